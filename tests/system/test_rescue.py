# SPDX-License-Identifier: GPL-3.0-or-later
"""platter rescue: disks that fail in every way, beside GNU ddrescue."""
import os
import random
import signal
import socket
import subprocess
import threading
import time

import failing
import lib
import vm
from failing import Disk, blocks, sectors, with_status
from lib import KIB, MIB, PLATTER, expect, expect_equal, limit, noise, path, platter, run, serial
from test_json import validate

SECTOR = failing.SECTOR


def source(size=8 * MIB, name="disk"):
    with open(path(name), "wb") as f:
        f.write(noise(size))
    return f.name


def expect_rescued(original, image, mapfile, missing):
    """All but these sectors is finished in the mapfile, and there; zeros stand where they were."""
    expect_equal(with_status(mapfile, "?*/-"), missing, "sectors that are missing")
    with open(original, "rb") as f:
        wanted = bytearray(f.read())
    for i in missing:
        wanted[i * SECTOR:(i + 1) * SECTOR] = bytes(SECTOR)
    with open(image, "rb") as f:
        expect(f.read() == wanted, f"{image} is not what could be read")


def test_bad_sectors():
    """Bad sectors cost these sectors alone; the mapfile is ddrescue's; the next run has nothing more to do."""
    bad = [(0, 1), (100, 1), (2000, 8), (9000, 300), (16383, 1)]
    original, image = source(), path("out.img")
    with Disk(original, bad=bad) as disk:
        r = platter("rescue", "--json", disk.name, image, status=4)
        answer = r.json()
        validate(answer, "rescue")
        missing = sectors(bad)
        expect_equal((answer["bad"], answer["areas"], answer["finished"]), (len(missing) * SECTOR, 5, 8 * MIB - len(missing) * SECTOR), "what is told")
        expect_rescued(original, image, image + ".map", missing)
        again = platter("rescue", "--json", "--retries=0", disk.name, image, status=4).json()
        expect_equal(again["reads"], 0, "reads of the next run")
    if lib.shutil.which("ddrescuelog"):
        listed = run(["ddrescuelog", "--list-blocks=-", image + ".map"]).text.split()
        expect_equal({int(i) for i in listed}, missing, "bad blocks by ddrescuelog")
        run(["ddrescuelog", "--done-status", image + ".map"], status=1)


def test_good_disk():
    """A disk without faults is copied with its zeros as holes, in large reads, whichever end is first."""
    data = noise(2 * MIB) + bytes(5 * MIB) + noise(1 * MIB, 2) + noise(3 * KIB, 3)[:2560]
    with open(path("disk"), "wb") as f:
        f.write(data)
    for options in ([], ["--reverse"]):
        image = path("out.img")
        with Disk(path("disk"), log=path("log")) as disk:
            r = platter("rescue", "--json", "--force", *options, disk.name, image)
        expect_equal(r.json()["finished"], len(data), "what was read")
        lib.same_bytes(path("disk"), image)
        expect(os.stat(image).st_blocks * 512 < 4 * MIB, "zeros are stored")
        nr, failed = failing.reads(path("log"), 1)
        expect(nr <= 60 and not failed, f"{nr} reads, {failed} failed")


def test_file_with_holes():
    """The holes of a file are taken without reading, and an image that held something else there has them too."""
    original = lib.make_raw("disk", 16 * MIB, [(4 * MIB, noise(MIB))])
    platter("rescue", original, path("out.img"))
    lib.same_bytes(original, path("out.img"))
    answer = platter("rescue", "--json", "--force", original, path("out.img")).json()
    expect(answer["read"] <= MIB, f"{answer['read']} bytes were read")
    # An untried map over an image full of something else.
    with open(path("old.img"), "wb") as f:
        f.write(noise(16 * MIB))
    with open(path("old.img.map"), "w") as f:
        f.write("0 ?\n0 0x1000000 ?\n")
    platter("rescue", original, path("old.img"))
    lib.same_bytes(original, path("old.img"))


# On a disk of 24 MiB.
FAULTS = {
    "few": dict(bad=[(i * 4621 + 2005, 1) for i in range(10)]),
    "areas": dict(bad=[(3000, 700), (14000, 40), (29000, 1500)]),
    "weak": dict(weak=[(i * 4500 + 2007, 1 + i * 5) for i in range(8)]),
    "ends": dict(bad=[(0, 600), (48500, 652)]),
}


def test_beside_ddrescue():
    """Of the same disk no fewer sectors are saved than by ddrescue, and it takes no more reads to 99 % of them."""
    lib.need_tool("ddrescue")
    original = source(24 * MIB)
    for name, faults in FAULTS.items():
        def attempt(name=name, faults=faults):
            saved, effort = {}, {}
            for tool in ("ddrescue", "platter"):
                log, image, mapfile = path(f"{name}-{tool}.log"), path(f"{name}-{tool}"), path(f"{name}-{tool}.map")
                with Disk(original, log=log, **faults) as disk:
                    if tool == "ddrescue":
                        run(["ddrescue", "-q", "-d", "-r1", disk.name, image, mapfile])
                    else:
                        platter("rescue", "--retries=1", disk.name, image, mapfile, status=(0, 4))
                saved[tool], effort[tool] = len(with_status(mapfile, "+")), failing.reads(log, 0.99)
            expect(saved["platter"] >= saved["ddrescue"], f"sectors saved: {saved}")
            expect(effort["platter"][0] <= effort["ddrescue"][0], f"reads, and of these failed: {effort}")
            # One large read may fail before it is known that the disk has bad sectors, and one from each end of an area.
            expect(effort["platter"][1] <= effort["ddrescue"][1] + 2, f"reads, and of these failed: {effort}")
        yield name, attempt


def test_exchange():
    """Either program goes on with what the other has left in the middle of its work."""
    lib.need_tool("ddrescue", "ddrescuelog")
    bad = [(100, 1), (2000, 8), (9000, 300), (12000, 77)]
    original, image, mapfile = source(), path("out.img"), path("out.map")
    ours, theirs = ["rescue", "--no-trim"], ["ddrescue", "-q", "-d"]
    steps = {
        "their first part": (theirs + ["-s", "3Mi"], None),
        "their copying": (theirs + ["--no-trim", "--no-scrape"], None),
        "their trimming": (theirs + ["--no-scrape"], None),
        "our copying": (None, ours),
        "our trimming": (None, ["rescue", "--no-scrape"]),
        "our first part": (None, ["rescue", "--length=3M"]),
    }
    for name, (they, we) in steps.items():
        def attempt(they=they, we=we):
            for old in (image, mapfile):
                if os.path.exists(old):
                    os.remove(old)
            with Disk(original, bad=bad) as disk:
                if they:
                    run([*they, disk.name, image, mapfile])
                else:
                    platter(*we, disk.name, image, mapfile, status=(0, 4))
                expect(with_status(mapfile, "?*/"), "nothing was left to do")
                run(["ddrescuelog", "--show-status", mapfile])
                if they:
                    platter("rescue", "--retries=0", disk.name, image, mapfile, status=4)
                else:
                    run([*theirs, disk.name, image, mapfile])
            expect_rescued(original, image, mapfile, sectors(bad))
        yield name, attempt


def test_weak_sectors():
    """What can be read only now and then is got by retries, and by the next run."""
    original, image = source(2 * MIB), path("out.img")
    with Disk(original, weak=[(500, 40), (3000, 3)]) as disk:
        r = platter("rescue", "--json", "--retries=0", disk.name, image, status=(0, 4))
        platter("rescue", "--retries=5", disk.name, image)
    expect(r.json()["bad"] or r.status == 0, str(r))
    lib.same_bytes(original, image)


def test_slow_sectors():
    """A read that takes too long is given up, and good when it ends after all; the program does not wait for it."""
    original, image = source(4 * MIB), path("out.img")
    env = {"LD_PRELOAD": lib.helper("slow-read.so"), "SLOW_FILE": original, "SLOW_AT": str(4000 * SECTOR)}
    r = platter("rescue", "--timeout=1", "--no-trim", original, image, status=4, env={**env, "SLOW_MS": "60000"})
    expect(r.seconds < 20, f"{r.seconds:.1f} s")
    missing = with_status(image + ".map", "?*/-")
    expect(4000 in missing and len(missing) <= 128, f"{len(missing)} sectors are missing")
    # Where it ends while others are read, it is good.
    r = platter("rescue", "--force", "--timeout=1", original, image, status=(0, 4), env={**env, "SLOW_MS": "1500"})
    platter("rescue", original, image)
    lib.same_bytes(original, image)


def test_dying_disk():
    """A disk that dies is not taken for one of bad sectors; when it is back, the work goes on."""
    original, image = source(), path("out.img")
    bad = [(3000, 1)]
    with Disk(original, bad=bad, die=16) as disk:
        r = platter("rescue", disk.name, image, status=3)
    expect("does not read any more" in r.errors and "go on: platter rescue" in r.errors, r.errors)
    expect_equal(with_status(image + ".map", "-"), set(), "sectors that are called bad")
    expect(with_status(image + ".map", "+"), "nothing was read")
    with Disk(original, bad=bad) as disk:
        platter("rescue", disk.name, image, status=4)
    expect_rescued(original, image, image + ".map", sectors(bad))


    # One that is dead from the start of the next run, too.
    with Disk(original, bad=[(3000, 300)]) as disk:
        platter("rescue", "--no-trim", disk.name, path("late.img"), status=4)
        name = disk.name
    with Disk(original, die=2) as disk:
        if disk.name == name:
            platter("rescue", disk.name, path("late.img"), status=3)
            expect_equal(with_status(path("late.img.map"), "-"), set(), "sectors that are called bad")


def test_sector_sizes():
    """On a disk of 4096-byte sectors one bad one costs eight; a file that ends within a sector is read to its end."""
    original = source(4 * MIB)
    with Disk(original, size=4096, bad=[(1001, 1), (8191, 1)]) as disk:
        platter("rescue", disk.name, path("out.img"), status=4)
    expect_rescued(original, path("out.img"), path("out.img.map"), set(range(1000, 1008)) | set(range(8184, 8192)))
    for on_disk in (False, True):
        odd = path("odd", on_disk)
        with open(odd, "wb") as f:
            f.write(noise(MIB + 1234))
        platter("rescue", odd, odd + ".img")
        lib.same_bytes(odd, odd + ".img")


def test_several_copies():
    """What one copy cannot give another does: as a device, as an image with a mapfile, in one run or in two."""
    original = source()
    first, second = [(100, 50), (5000, 300)], [(120, 20), (8000, 100)]
    with Disk(original, bad=first) as a, Disk(original, bad=second) as b:
        platter("rescue", a.name, path("one.img"), "--also", b.name, status=4)
        platter("rescue", a.name, path("two.img"), status=4)
        platter("rescue", b.name, path("other.img"), status=4)
        platter("rescue", b.name, path("two.img"), status=4)
        platter("rescue", a.name, path("three.img"), "--also", path("other.img"), status=4)
    missing = sectors(first) & sectors(second)
    for name in ("one.img", "two.img", "three.img"):
        expect_rescued(original, path(name), path(name + ".map"), missing)


def test_same_disk_again():
    """The next copy on the same drive is tried in large pieces first: few reads fill in what a disc's scratch hid."""
    original, image = source(), path("out.img")
    with Disk(original, bad=[(1000, 1024)]) as disk:
        platter("rescue", disk.name, image, status=4)
        name = disk.name
    with Disk(original, log=path("log")) as disk:
        if disk.name != name:
            lib.skip("another loop device")
        platter("rescue", disk.name, image)
    lib.same_bytes(original, image)
    nr, failed = failing.reads(path("log"), 1)
    expect(nr < 40 and not failed, f"{nr} reads, {failed} failed")


def filesystem(name, size=24 * MIB):
    """An ext4 file system in the second half of a disk with a partition table, with files of noise."""
    lib.need_tool("mke2fs", "sfdisk")
    os.makedirs(path("top/sub"))
    for i in range(6):
        with open(path(f"top/sub/file{i}"), "wb") as f:
            f.write(noise(MIB, i))
    with open(path(name), "wb") as f:
        f.truncate(size)
        f.write(noise(64 * KIB))
    run(["sfdisk", "-q", path(name)], input=b"label: dos\nstart=8192\n")
    run(["mke2fs", "-q", "-t", "ext4", "-b", "1024", "-d", path("top"), "-E", "offset=4194304", path(name), f"{(size - 4 * MIB) >> 10}k"])
    return path(name)


def sectors_of_file(disk, name):
    r = platter("map", "--json", f"{disk}@1:{name}").json()
    return [(e["stored_offset"] // SECTOR, e["length"] // SECTOR) for e in r["extents"] if e["kind"] == "data"]


def test_files_that_are_hit():
    """The files that lie on bad sectors are named, and no others; through a partition; so are those that a copy lacks."""
    disk = filesystem("disk")
    hit = sectors_of_file(disk, "/sub/file3")[0][0]
    with Disk(disk, bad=[(hit + 4, 3)]) as failed:
        r = platter("rescue", "--json", failed.name, path("out.img"), status=4).json()
        expect_equal([(f["path"].split("/", 2)[-1], f["lost"]) for f in r["files"]], [("sub/file3", 3 * SECTOR)], "files")
        expect_equal((r["files_lost"], r["files_checked"]), (1, 6), "counts")
        text = platter("rescue", "--retries=0", failed.name, path("out.img"), status=4).text
        expect("1 file is hit:" in text and "sub/file3" in text, text)
    platter("convert", "-c", path("out.img"), path("a.qcow2"), status=4)
    platter("extract", path("a.qcow2") + "@1:/sub", "-C", path("got"), status=(1, 4))


def test_used_first():
    """With --used-only what file systems use is read, and no more; with --used-first that comes first."""
    disk = filesystem("disk", 64 * MIB)
    with open(disk, "r+b") as f:
        f.seek(60 * MIB)
        f.write(noise(MIB))     # nobody's
    with Disk(disk, log=path("log")) as failed:
        r = platter("rescue", "--json", "--used-only", failed.name, path("used.img"), status=4).json()
        expect(r["untried"] > 30 * MIB, f"untried: {r['untried']}")
        expect_equal(run(["e2fsck", "-fn", path("used.img") + "?offset=4194304"], status=None).status < 4, True, "e2fsck")
        platter("rescue", failed.name, path("used.img"))
        lib.same_bytes(disk, path("used.img"))
        os.truncate(path("log"), 0)
        platter("rescue", "--used-first", failed.name, path("first.img"))
    lib.same_bytes(disk, path("first.img"))
    with open(path("log")) as f:
        offsets = [int(line.split()[0]) for line in f]
    last = max(i for i, offset in enumerate(offsets) if offset < 20 * MIB and offset >= 4 * MIB)
    expect(last < len(offsets) // 2 or 60 * MIB in offsets[last - 200:], f"order: {offsets}")


def test_bad_is_known():
    """What a mapfile calls missing is bad in every verb, in every format that the image is converted to, and in overlays."""
    original, image = source(4 * MIB), path("out.img")
    with Disk(original, bad=[(1000, 10)]) as disk:
        platter("rescue", disk.name, image, status=4)

    def bad_of(place):
        return [(e["offset"], e["length"]) for e in platter("map", "--json", place).json()["extents"] if e["kind"] == "bad"]

    wanted = [(1000 * SECTOR, 10 * SECTOR)]
    expect_equal(bad_of(image), wanted, "bad extents")
    expect_equal(bad_of(image + "?map=none"), [], "bad extents without the mapfile")
    expect_equal(bad_of(image + "?map=" + image + ".map"), wanted, "bad extents with another")
    expect_equal(platter("convert", image, path("a.qcow2"), status=4).status, 4, "status")
    for format in ("vhd", "vmdk", "vdi", "img", "dmg", "vhdx"):
        platter("convert", "--force", path("a.qcow2"), path("b." + format), status=4)
        expect_equal(bad_of(path("b." + format)), wanted, f"bad extents as {format}")
    platter("create", "--parent", image, path("over.qcow2"))
    expect_equal(bad_of(path("over.qcow2")), wanted, "bad extents of an overlay")
    platter("convert", "--split=1M", image, path("c.img"), status=4)
    expect_equal(bad_of(path("c.img.001")), wanted, "bad extents of parts")
    platter("convert", "--force", original, path("a.qcow2"))
    expect_equal(bad_of(path("a.qcow2")), [], "bad extents of another image of that name")
    expect("Not read" in platter("info", image).text, "info does not tell")


def test_mapfiles_that_do_not_fit():
    """A mapfile of another disk, or a broken one, is refused with words; what is none is left alone."""
    with open(path("a.img"), "wb") as f:
        f.write(noise(MIB))
    for text, words in (("# Mapfile.\n0 +\n0 0x1000000 +\n", "16777216 bytes"),
                        ("# Mapfile.\n0 +\n0 512 +\n256 512 -\n", "line 4"),
                        ("# Mapfile.\n0 +\n0 512 x\n", "line 3"),
                        ("# Mapfile.\n", "no line")):
        with open(path("a.img.map"), "w") as f:
            f.write(text)
        r = platter("map", path("a.img"), status=3)
        expect(words in r.errors and "?map=none" in r.errors, r.errors)
        platter("map", path("a.img") + "?map=none")
    with open(path("a.img.map"), "w") as f:
        f.write("Memory map of some program\n")
    platter("map", path("a.img"))
    platter("map", path("a.img") + "?map=" + path("a.img.map"), status=3)
    with Disk(path("a.img"), bad=[(5, 1)]) as disk:
        r = platter("rescue", disk.name, path("a.img"), status=3)
        expect("no mapfile" in r.errors or "mapfile" in r.errors, r.errors)
        platter("rescue", disk.name, path("b.img"), status=4)
        with open(path("c.img.map"), "w") as f:
            f.write("Memory map of some program\n")
        platter("convert", path("b.img"), path("c.img"), status=3)
    with open(path("c.img.map")) as f:
        expect_equal(f.read(), "Memory map of some program\n", "what is no mapfile")


def test_refusals():
    """What would destroy something is refused: an image without mapfile, the device itself, another size, a busy target."""
    original = source(MIB)
    with open(path("there.img"), "wb") as f:
        f.write(b"precious")
    r = platter("rescue", original, path("there.img"), status=3)
    expect("--force" in r.errors, r.errors)
    expect_equal(os.path.getsize(path("there.img")), 8, "size of what was there")
    platter("rescue", original, original, status=3)
    platter("rescue", original, path("out.img"))
    os.remove(path("out.img"))
    r = platter("rescue", original, path("out.img"), status=3)
    expect("no image" in r.errors, r.errors)
    platter("rescue", "--force", original, path("out.img"))
    larger = source(2 * MIB, "larger")
    r = platter("rescue", larger, path("out.img"), status=3)
    expect("is it the same disk" in r.errors, r.errors)
    platter("rescue", path("nothing"), path("out2.img"), status=3)
    platter("rescue", "--retries=1025", original, path("out2.img"), status=2)


def test_device_as_image():
    """A device takes the image after a question, with a mapfile elsewhere."""
    lib.need_root()
    original = source(2 * MIB)
    with open(path("target"), "wb") as f:
        f.write(noise(3 * MIB, 5))
    with lib.loop(path("target")) as target, Disk(original, bad=[(700, 4)]) as disk:
        platter("rescue", disk.name, target, status=2)
        r = platter("rescue", "--yes", disk.name, target, status=3)
        expect("mapfile" in r.errors, r.errors)
        platter("rescue", "--yes", disk.name, target, path("target.map"), status=4)
        platter("rescue", disk.name, target, path("target.map"), status=4)
        run(["sync", target])
    with open(path("target"), "rb") as f:
        got = bytearray(f.read(2 * MIB))
    with open(original, "rb") as f:
        wanted = bytearray(f.read())
    for data in (got, wanted):
        data[700 * SECTOR:704 * SECTOR] = bytes(4 * SECTOR)
    expect(got == wanted, "what stands on the device")


def test_interruption():
    """SIGINT saves and says how to go on."""
    original, image = source(), path("out.img")
    with Disk(original, loop=False, slow=[(i, 1) for i in range(0, 16384, 512)], slowms=100) as disk:
        p = subprocess.Popen([PLATTER, "rescue", disk.name, image], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lib.ENV)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        _, errors = p.communicate(timeout=20)
        expect_equal(p.returncode, 3, f"status: {errors.decode()}")
        expect(f"go on: platter rescue {disk.name} {image}" in errors.decode(), errors.decode())
        expect(with_status(image + ".map", "?"), "all was read although it was stopped")
        platter("rescue", disk.name, image)
    lib.same_bytes(original, image)


@serial
@limit(900)
def test_kill():
    """Killed at any moment, the mapfile calls nothing finished that is not in the image, and the work goes on."""
    rng = random.Random(4)
    bad = [(100, 1), (2000, 8), (9000, 100)]
    original = source()
    with open(original, "rb") as f:
        data = f.read()
    with Disk(original, bad=bad, slow=[(i, 1) for i in range(0, 16384, 1024)], slowms=20) as disk:
        for i in range(60 if lib.LONG else 3):
            image = path(f"out{i}.img")
            p = subprocess.Popen([PLATTER, "rescue", disk.name, image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lib.ENV)
            time.sleep(rng.uniform(0, 0.6))
            p.kill()
            p.wait()
            if os.path.exists(image + ".map") and os.path.exists(image):
                with open(image, "rb") as f:
                    got = f.read()
                for offset, length, status in blocks(image + ".map"):
                    expect(status != "+" or got[offset:offset + length] == data[offset:offset + length],
                           f"finished at {offset}, {length} bytes, but not in the image")
            expect(os.path.exists(image + ".map") or not os.path.exists(image), "an image without a mapfile")
            platter("rescue", "--retries=0", disk.name, image, status=4)
            expect_rescued(original, image, image + ".map", sectors(bad))
            os.remove(image)


def errors_of_qemu(name, bad):
    """A configuration of QEMU's blkdebug: these sectors cannot be read."""
    with open(path(name), "w") as f:
        for i in sorted(sectors(bad)):
            f.write(f'[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "{i}"\nonce = "off"\n\n')
    return f.name


def pull(name, ready, device):
    """When the PC says that it is ready, pull a device out."""
    for _ in range(6000):
        if os.path.exists(ready):
            break
        time.sleep(0.1)
    s = socket.socket(socket.AF_UNIX)
    s.connect(name)
    s.sendall(b'{"execute":"qmp_capabilities"}{"execute":"device_del","arguments":{"id":"' + device.encode() + b'"}}')
    time.sleep(5)
    s.close()


@limit(900)
@lib.weight(5)
def test_real_buses():
    """In an emulated PC, on SATA, NVMe, SCSI and USB, and with the medium errors of SCSI, bad sectors cost these sectors alone; a
    stick that is pulled stops the work with words, and nothing of it is called bad."""
    if not lib.LONG:
        lib.skip("takes minutes: only of check-long")
    lib.need_root()
    vm.version()
    bad, share = [(100, 1), (5000, 9)], path("share")
    os.makedirs(share)
    sizes = {"sata": 16 * MIB, "nvme": 17 * MIB, "scsi": 18 * MIB, "usb": 19 * MIB, "stick": 200 * MIB, "debug": 8 * MIB}
    devices = {"sata": ["ide-hd,drive=sata,bus=ide.2"], "nvme": ["nvme,drive=nvme,serial=1"],
               "scsi": ["virtio-scsi-pci", "scsi-hd,drive=scsi"], "usb": ["qemu-xhci,id=x", "usb-storage,bus=x.0,drive=usb"],
               "stick": ["usb-storage,bus=x.0,drive=stick,id=stick"]}
    more = ["-qmp", f"unix:{path('qmp')},server=on,wait=off"]
    for name, words in devices.items():
        original = source(sizes[name], name + ".img")
        file = original if name == "stick" else f"blkdebug:{errors_of_qemu(name + '.conf', bad)}:{original}"
        slow = ",throttling.bps-read=20000000" if name == "stick" else ""
        more += ["-drive", f"if=none,id={name},file={file},format=raw,rerror=report,werror=report{slow}"]
        for word in words:
            more += ["-device", word]
    puller = threading.Thread(target=pull, args=(path("qmp"), os.path.join(share, "ready"), "stick"), daemon=True)
    puller.start()
    vm.run_python(os.path.join(os.path.dirname(__file__), "guest_rescue.py"), vm.SHARE, PLATTER,
                  *[f"{name}={size}" for name, size in sizes.items()], share=share, disks={}, hardware=more,
                  modules=["ahci", "sd_mod", "nvme", "virtio_scsi", "xhci-pci", "usb-storage",
                           "scsi_debug dev_size_mb=8 opts=2 medium_error_start=4660 medium_error_count=10"])
    said = {}
    for name in sizes:
        with open(os.path.join(share, name)) as f:
            said[name] = f.read()
    for name in ("sata", "nvme", "scsi", "usb"):
        expect(said[name].startswith("status 4"), f"{name}: {said[name]}")
        expect_rescued(path(name + ".img"), os.path.join(share, name + ".img"), os.path.join(share, name + ".map"), sectors(bad))
    expect(said["debug"].startswith("status 4"), said["debug"])
    expect_equal(with_status(os.path.join(share, "debug.map"), "?*/-"), set(range(4660, 4670)), "medium errors of SCSI")
    expect(said["stick"].startswith("status 3") and "go on:" in said["stick"], said["stick"])
    gone = os.path.join(share, "stick.map")
    expect(with_status(gone, "?") and with_status(gone, "+") and not with_status(gone, "-"), f"the stick's map: {blocks(gone)}")
