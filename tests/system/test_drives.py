# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical drives: list, burn and rip, with files that behave like drives, and with what xorriso makes of them."""
import os
import signal
import subprocess
import time

import lib
import vm
from lib import KIB, MIB, expect, expect_equal, limit, noise, path, platter, prose, run, weight
from test_json import validate


def drive(name="disc.img"):
    return "stdio:" + path(name)


def files(name, **contents):
    top = path(name)
    os.makedirs(top, exist_ok=True)
    for file, data in contents.items():
        with open(os.path.join(top, file), "wb") as f:
            f.write(data)
    return top


def iso(name, volume, *how, **contents):
    """An ISO 9660 image of some files."""
    lib.need_tool("xorriso")
    image = path(name)
    run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", volume, *how, "-o", image, files(name + ".d", **contents)])
    return image


def burn(*words, **how):
    return platter("burn", "--json", *words, **how).json()


def disc_of(address):
    return platter("list", "--json", address).json()["optical"][-1]["disc"]


def test_burn_and_verify():
    """What is burned is on the disc, byte for byte, whatever image it comes from; rip makes an image of it again."""
    image = iso("a.iso", "ONE", one=noise(3 * MIB + 5))
    size = os.stat(image).st_size
    platter("create", "-c", image, path("a.qcow2"))
    for source in (image, path("a.qcow2")):
        address = drive(os.path.basename(source) + ".disc")
        answer = burn("--verify", source, address)
        validate(answer, "burn")
        expect_equal((answer["written"], answer["verified"], answer["start"]), (size, True, 0), f"answer for {source}")
        lib.same_bytes(image, address.removeprefix("stdio:"))
    platter("rip", "--hash=sha256", address, path("back.iso"))
    lib.same_bytes(image, path("back.iso"))
    run(["sha256sum", "-c", "back.iso.sha256"], cwd=lib.folder())
    platter("rip", address, path("back.qcow2"))
    platter("compare", path("back.qcow2"), image)
    expect(not os.path.exists(path("back.iso.map")), "a list of bad sectors, though all were read")


def test_sizes_that_are_no_sectors():
    """The last sector is filled up with zeros, and verified."""
    for size in (1, 2047, 2049, MIB + 1):
        with open(path("odd"), "wb") as f:
            f.write(noise(size))
        answer = burn("--yes", "--verify", path("odd"), drive())
        expect_equal(answer["written"], -(-size // 2048) * 2048, "bytes written")
        with open(path("disc.img"), "rb") as f:
            expect(f.read()[:size] == noise(size), f"what stands there of {size} bytes")
    with open(path("empty"), "wb"):
        pass
    r = platter("burn", "--yes", path("empty"), drive(), status=3)
    expect("nothing to burn" in r.errors, r.errors)


def test_list():
    """list tells what is in a drive: nothing, an image, where a session would begin; as xorriso sees it."""
    lib.need_tool("xorriso")
    validate(platter("list", "--json").json(), "list")
    validate(platter("list", "--json", drive()).json(), "list")
    expect_equal(disc_of(drive())["size"], 0, "size of what is not there yet")
    burn(iso("a.iso", "ONE", one=noise(MIB)), drive())
    disc = disc_of(drive())
    r = run(["xorriso", "-indev", drive(), "-toc"])
    told = dict(line.split(":", 1) for line in r.errors.splitlines() + r.text.splitlines() if ":" in line)
    nwa = next(v for k, v in told.items() if k.strip() == "Media nwa")
    expect_equal(disc["next_writable"], int(nwa.strip().rstrip("s")), "where the next session begins")
    expect_equal(disc["state"], "overwritable", "state")
    text = platter("list", drive()).text
    expect(drive() in text and f"-C 0,{disc['next_writable']}" in text, text)


def test_sessions():
    """Sessions that are appended follow each other, and the newest is what others find; one made for another place is refused."""
    lib.need_tool("xorriso", "isoinfo")
    burn("--multi", iso("a.iso", "ONE", one=b"first"), drive())
    for i, name in enumerate(("second", "third")):
        disc = disc_of(drive())
        at = disc["next_writable"]
        image = iso(name + ".iso", name.upper(), "-M", drive(), "-C", f"{disc['last_session']},{at}", **{name: noise(MIB, i)})
        answer = burn("--append", "--verify", image, drive())
        expect_equal(answer["start"], at, "start of the session")
        with open(path("disc.img"), "rb") as f:
            f.seek(at * 2048)
            with open(image, "rb") as g:
                expect(f.read(os.stat(image).st_size) == g.read(), f"{name} is not at sector {at}")
        run(["xorriso", "-osirrox", "on", "-indev", drive(), "-extract", "/", path("out" + name)])
        with open(path("out" + name + "/" + name), "rb") as f:
            expect(f.read() == noise(MIB, i), f"what xorriso reads of {name}")
        with open(path("out" + name + "/one"), "rb") as f:
            expect(f.read() == b"first", "what xorriso reads of the first session")
        expect(name.upper() in run(["isoinfo", "-d", "-i", path("disc.img")]).text, "volume identifier")
    expect_equal(sorted(platter("ls", path("disc.img")).text.split()), ["one", "second", "third"], "files")
    before = lib.sha256(path("disc.img"))
    r = platter("burn", "--append", path("a.iso"), drive(), status=3)
    expect("made for another place" in r.errors and "-C 0," in r.errors, r.errors)
    expect_equal(lib.sha256(path("disc.img")), before, "the disc after a refusal")
    r = platter("burn", "--append", path("a.iso"), drive("nothing"), status=3)
    expect("no ISO 9660 image" in r.errors, r.errors)


def test_nothing_is_lost_by_surprise():
    """What is on the disc is shown; without an answer, or with another than yes, nothing is written."""
    image, other = iso("a.iso", "PRECIOUS", one=b"1"), iso("b.iso", "OTHER", two=noise(MIB))
    burn(image, drive())
    before = lib.sha256(path("disc.img"))
    for words in ([other, drive()], ["--blank=fast", drive()], ["--blank=full", other, drive()]):
        r = platter("burn", *words, status=2)
        expect("PRECIOUS" in r.errors and "--yes" in r.errors, r.errors)
        expect_equal(lib.sha256(path("disc.img")), before, "the disc")
    burn("--yes", other, drive())
    with open(path("disc.img"), "rb") as f, open(other, "rb") as g:
        expect(f.read(os.stat(other).st_size) == g.read(), "what was burned over it")


def test_what_lies_behind_the_last_session():
    """Where an appended session would go stands another file system: it is shown, and lost only after a yes."""
    lib.need_tool("mke2fs")
    burn("--multi", iso("a.iso", "ONE", one=b"first"), drive())
    at = disc_of(drive())["next_writable"]
    lib.make_raw("ext", 4 * MIB, [])
    run(["mke2fs", "-q", "-L", "treasure", path("ext")])
    with open(path("disc.img"), "r+b") as f, open(path("ext"), "rb") as g:
        f.seek(at * 2048)
        f.write(g.read())
    before = lib.sha256(path("disc.img"))
    image = iso("b.iso", "TWO", "-M", drive(), "-C", f"0,{at}", two=noise(MIB))
    r = platter("burn", "--append", image, drive(), status=2)
    expect("treasure" in r.errors and f"sector {at} on" in r.errors and "--yes" in r.errors, r.errors)
    expect_equal(lib.sha256(path("disc.img")), before, "the disc")
    burn("--append", "--verify", "--yes", image, drive())
    expect_equal(sorted(platter("ls", path("disc.img")).text.split()), ["one", "two"], "files")


def test_simulation():
    """A simulation writes nothing, and asks nothing."""
    image = iso("a.iso", "ONE", one=noise(MIB))
    burn(image, drive())
    before = lib.sha256(path("disc.img"))
    answer = burn("--simulate", iso("b.iso", "TWO", two=noise(2 * MIB)), drive())
    expect(answer["simulated"] and answer["written"] > 2 * MIB, f"{answer}")
    expect_equal(lib.sha256(path("disc.img")), before, "the disc")
    platter("burn", "--simulate", "--verify", image, drive(), status=3)


def test_blanking():
    """Blanked fast, an image is not found any more; in full, nothing is left."""
    image = iso("a.iso", "ONE", one=noise(MIB))
    burn(image, drive())
    answer = burn("--yes", "--blank=fast", drive())
    validate(answer, "burn")
    expect(answer["blanked"] and answer["tracks"] == 0, f"{answer}")
    expect_equal(disc_of(drive())["next_writable"], None, "next session")
    with open(path("disc.img"), "rb") as f:
        expect(not any(f.read(64 * KIB)) and any(f.read()), "fast blanking")
    burn("--yes", "--blank=full", drive())
    with open(path("disc.img"), "rb") as f:
        expect(not any(f.read()), "full blanking")
    answer = burn("--blank=fast", "--verify", "--yes", image, drive())
    expect(answer["blanked"] and answer["verified"], f"{answer}")


def test_full_disc():
    """An image that does not fit is refused before anything is written."""
    image = iso("a.iso", "ONE", one=noise(3 * MIB))
    with open(path("small"), "wb") as f:
        f.write(noise(2 * MIB, 7))
    with lib.loop(path("small")) as device:
        r = platter("burn", "--yes", image, "stdio:" + device, status=3)
        expect(f"room for {2 * MIB}" in r.errors, r.errors)
        with open(path("fits"), "wb") as f:
            f.write(noise(2 * MIB, 8))
        with open(path("small"), "rb") as f:
            expect(f.read() == noise(2 * MIB, 7), "the device was written to")
        burn("--yes", "--verify", path("fits"), "stdio:" + device)
    lib.same_bytes(path("small"), path("fits"))


def test_devices_in_use():
    """A device that is mounted, and a file that a loop device stands on, are refused, also to be read."""
    lib.need_tool("mke2fs")
    image = iso("a.iso", "ONE", one=b"1")
    lib.make_raw("disk", 8 * MIB, [])
    run(["mke2fs", "-q", path("disk")])
    with lib.loop(path("disk")) as device:
        r = platter("burn", "--yes", image, "stdio:" + path("disk"), status=3)
        expect("in use" in r.errors and device in r.errors, r.errors)
        with lib.mounted(device) as where:
            r = platter("burn", "--yes", image, "stdio:" + device, status=3)
            expect("mounted on" in r.errors and where in r.errors, r.errors)


def test_what_is_no_drive():
    """A file, a folder and a device that is no drive are told apart from drives, with what to do."""
    image = iso("a.iso", "ONE", one=b"1")
    r = platter("burn", image, path("b.iso"), status=3)
    expect("No such file" in r.errors, r.errors)
    r = platter("burn", image, image, status=3)
    expect("no drive" in r.errors and "stdio:" + image in r.errors, r.errors)
    for address in ("stdio:", "stdio:/dev/null", "stdio:" + lib.folder(), "stdio:" + path("no/such")):
        platter("burn", image, address, status=3)
        platter("rip", address, path("x.iso"), status=3)
    expect(not os.path.exists(path("x.iso")), "an image of nothing")
    r = platter("burn", "--yes", image, "stdio:" + image, status=3)
    expect("part of the source" in r.errors, r.errors)
    r = platter("rip", drive("none"), path("x.iso"), status=3)
    expect("nothing on the disc" in r.errors, r.errors)
    platter("list", image, status=3)
    listed = platter("list", "--json", "stdio:" + path("no/such")).json()
    validate(listed, "list")
    expect(listed["optical"][-1]["problem"], f"{listed}")


def test_wrong_combinations():
    """Options that contradict each other, or a CD's that this disc has not, are refused with a reason."""
    image = iso("a.iso", "ONE", one=noise(MIB))
    for words in (["--multi", "--close", image], ["--append", "--blank=fast", image], ["--simulate", "--blank=fast", image],
                  ["--format", image], ["--multi"], ["--close"], []):
        r = platter("burn", "--yes", *words, drive(), status=3)
        expect(not os.path.exists(path("disc.img")) or not os.path.getsize(path("disc.img")), f"{words}: {r}")
    for speed in ("fast", "8x", "-1", "0", "4y"):
        platter("burn", f"--speed={speed}", image, drive(), status=2)
    burn("--speed=100000", image, drive())


def test_unreadable_image():
    """An image that cannot be read does not end as a disc that looks whole."""
    image = iso("a.iso", "ONE", one=prose(40 * MIB))
    platter("create", "-c", image, path("a.qcow2"))
    with open(path("a.qcow2"), "r+b") as f:
        f.seek(os.stat(path("a.qcow2")).st_size - MIB)
        f.write(b"\xff" * MIB)
    r = platter("burn", path("a.qcow2"), drive(), status=3)
    expect("a.qcow2" in r.errors and "where:" in r.errors, r.errors)


@limit(120)
def test_cancelling():
    """SIGINT stops burning and ripping in good order; the drive can be used at once."""
    with open(path("big"), "wb") as f:
        for i in range(300):
            f.write(noise(MIB, i % 3))
    for words in (["burn", "--yes", path("big"), drive()], ["rip", drive("whole"), path("copy.iso")]):
        if words[0] == "rip":
            os.rename(path("big"), path("whole"))
        p = subprocess.Popen([lib.PLATTER, *words, "--progress=json"], stderr=subprocess.PIPE, env=lib.ENV)
        for line in p.stderr:
            if b'"done":0,' not in line:
                break
        p.send_signal(signal.SIGINT)
        errors = p.stderr.read().decode()
        expect_equal(p.wait(), 3, f"status of {words[0]}: {errors}")
        expect("stopped" in errors, errors)
    expect(disc_of(drive())["size"] < 300 * MIB, "all was burned although it was stopped")
    expect(not os.path.exists(path("copy.iso")), "an image of a disc that was read in part")
    with open(path("small"), "wb") as f:
        f.write(prose(MIB))
    burn("--yes", "--verify", path("small"), drive())


def test_progress():
    """Burning tells its phase, rate, time left and how much is read ahead."""
    with open(path("a"), "wb") as f:
        f.write(noise(64 * MIB))
    r = platter("burn", "--progress=json", "--verify", path("a"), drive())
    events = [lib.json.loads(line) for line in r.errors.splitlines()]
    for e in events:
        validate(e, "progress")
    phases = [e["phase"] for e in events]
    expect("burning" in phases and "verifying" in phases, f"phases: {set(phases)}")
    done = [e["done"] for e in events if e["phase"] == "burning"]
    expect(done == sorted(done) and done[-1] == 64 * MIB, f"{done}")
    expect(any("ahead" in e for e in events), "nothing is told of what is read ahead")
    expect(any(e["rate"] > 0 for e in events if e["phase"] == "burning"), "no rate")


def test_bad_sectors():
    """Sectors of a device that cannot be read are zeros, are listed as GNU ddrescue does, and the status is 4."""
    lib.need_tool("nbdkit", "nbdfuse", "ddrescuelog")
    with open(path("good"), "wb") as f:
        f.write(noise(4 * MIB))
    with open(path("bad.map"), "w") as f:
        f.write("0x0 + 1\n0x0 0x100000 +\n0x100000 0x1000 -\n0x101000 0x2FF000 +\n")
    mount = path("mount")
    os.mkdir(mount)
    server = subprocess.Popen(["nbdfuse", mount, "--command", "nbdkit", "-s", "--exit-with-parent", "--filter=ddrescue", "file",
                               path("good"), "ddrescue-mapfile=" + path("bad.map")], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    lib.undo(lambda: (run(["fusermount3", "-u", mount], status=None), server.wait(10)))
    for _ in range(100):
        if os.path.exists(mount + "/nbd"):
            break
        time.sleep(0.05)
    else:
        lib.skip("no FUSE here")
    answer = platter("rip", "--json", "--retries=1", "stdio:" + mount + "/nbd", path("out.img"), status=4).json()
    validate(answer, "rip")
    expect_equal((answer["bad"], answer["map"]), (4096, path("out.img.map")), "what is told")
    with open(path("out.img"), "rb") as f:
        got = f.read()
    wanted = bytearray(noise(4 * MIB))
    wanted[MIB:MIB + 4096] = bytes(4096)
    expect(got == wanted, "what was saved")
    listed = run(["ddrescuelog", "--list-blocks=-", "-b", "2048", path("out.img.map")]).text.split()
    expect_equal(listed, ["512", "513"], "bad blocks by ddrescuelog")
    run(["ddrescuelog", "--show-status", path("out.img.map")])
    platter("rip", "stdio:" + path("good"), path("out.img"), "--force")
    expect(not os.path.exists(path("out.img.map")), "the list of an earlier image is still there")


def test_rip_encrypted():
    """An encrypted image of a disc takes its pass phrase from a file, and opens with that."""
    burn(iso("a.iso", "ONE", one=noise(MIB)), drive())
    with open(path("phrase"), "w") as f:
        f.write("open sesame\n")
    secret = path("a.sparseimage")
    platter("rip", "-o", "encryption=AES-128", "--passphrase-file=" + path("phrase"), drive(), secret)
    expect(platter("info", secret, status=3, env={"PLATTER_PASSPHRASE": "wrong"}).errors, "no pass phrase was asked for")
    platter("compare", "--passphrase-file=" + path("phrase"), secret, path("a.iso"))


@limit(600)
@weight(3)
def test_real_drive():
    """In an emulated PC, the disc of its drive is listed, read as it is, and not written; a mounted one is left alone."""
    if not lib.LONG:
        lib.skip("takes a minute: only of check-long")
    lib.need_root()
    vm.version()
    image = iso("a.iso", "REAL", one=noise(20 * MIB))
    share = path("share")
    os.makedirs(share)
    vm.run_python(os.path.join(os.path.dirname(__file__), "guest_drive.py"), vm.SHARE, lib.PLATTER, share=share, disks={}, disc=image, modules=["isofs"])
    said = {}
    for name in ("list", "rip", "burn", "mounted"):
        with open(os.path.join(share, name)) as f:
            said[name] = f.read()
    expect(said["rip"].startswith("status 0"), said["rip"])
    lib.same_bytes(image, os.path.join(share, "rip.iso"))
    expect(said["list"].startswith("status 0"), said["list"])
    listed = lib.json.loads(said["list"].split("\n", 1)[1])
    validate(listed, "list")
    drive0 = listed["optical"][0]
    expect_equal((drive0["address"], drive0["vendor"], drive0["problem"]), ("/dev/sr0", "QEMU", None), "drive")
    expect_equal((drive0["disc"]["state"], drive0["disc"]["size"]), ("closed", os.stat(image).st_size), "disc")
    expect(said["burn"].startswith("status 3") and "closed" in said["burn"], said["burn"])
    expect("status 3" in said["mounted"] and "/mnt/disc" in said["mounted"], said["mounted"])
    expect("status 0" in said["mounted"] and "in use" in said["mounted"], said["mounted"])


@limit(600)
@weight(3)
def test_recorder():
    """In an emulated PC, a DVD+R is burned by a recorder's own commands, verified and read; it is not written a second time."""
    if not lib.LONG:
        lib.skip("takes a minute: only of check-long")
    lib.need_root()
    lib.need_tool("tgtd", "tgtadm", "tgtimg", "iscsid", "iscsiadm")
    vm.version()
    share = path("share")
    os.makedirs(share)
    image = iso("share/a.iso", "RECORDED", one=noise(12 * MIB))
    program = os.path.join(os.path.dirname(__file__), "guest_recorder.py")
    vm.run_python(program, vm.SHARE, lib.PLATTER, share=share, disks={}, modules=["crc32c_generic", "iscsi_tcp", "sr_mod", "sg", "isofs"])
    said = {}
    for name in ("before", "burn", "after", "rip", "again"):
        with open(os.path.join(share, name)) as f:
            status, _, rest = f.read().partition("\n")
        said[name] = (status, rest)
    disc = lib.json.loads(said["before"][1])["optical"][0]["disc"]
    expect_equal((disc["state"], disc["medium"]), ("blank", "DVD"), "the disc before")
    expect_equal(said["burn"][0], "status 0", said["burn"][1])
    expect(lib.json.loads(said["burn"][1])["verified"], said["burn"][1])
    expect_equal(lib.json.loads(said["after"][1])["optical"][0]["disc"]["state"], "closed", "the disc after")
    expect_equal(said["rip"][0], "status 0", said["rip"][1])
    with open(os.path.join(share, "rip.iso"), "rb") as f, open(image, "rb") as g:
        expect(f.read(os.stat(image).st_size) == g.read(), "what was read of the disc")
    expect_equal(said["again"][0], "status 3", said["again"][1])
