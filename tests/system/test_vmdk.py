# SPDX-License-Identifier: GPL-3.0-or-later
"""VMDK disks of several files, and appliances, from the command line."""
import glob
import os
import random
import shutil
import signal
import subprocess
import time

import lib
from lib import MIB, PLATTER, expect, expect_equal, limit, path, platter, run, serial, weight

KILLS = 100 if lib.LONG else 12


@serial
@weight(20)
@limit(600)
def test_kill():
    """A disk of several files that is killed while it is written has no descriptor, or is whole."""
    source = lib.make_raw("source", 2400 * MIB, [(0, lib.noise(30 * MIB)), (2040 * MIB, lib.noise(20 * MIB, 2))], on_disk=True)
    rng = random.Random(1)
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse"):
        target = lib.path(subformat + ".vmdk", on_disk=True)
        args = [PLATTER, "create", "-q", "--force", "-o", "subformat=" + subformat, source, target]
        start = time.monotonic()
        run(args)
        duration = time.monotonic() - start
        for _ in range(KILLS):
            for f in glob.glob(target[:-5] + "*"):
                os.remove(f)
            p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lib.ENV)
            time.sleep(rng.uniform(0, duration))
            p.kill()
            expect(p.wait() in (0, -signal.SIGKILL), "it failed before it was killed")
            if os.path.exists(target):
                platter("compare", source, target)
        run(args)
        run(["qemu-img", "compare", "-f", "raw", "-F", "vmdk", source, target])
        expect(not glob.glob(target[:-5] + "*.part"), "a part was left behind")


def fresh(name):
    """A folder with nothing in it."""
    folder = path(name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def model(size):
    """A raw disk with data at its start and in each 2 GiB."""
    at = [(0, 100000), *((g * lib.GIB + 77 * lib.KIB, 5000) for g in range(2, size // lib.GIB, 2))]
    return lib.make_raw("model", size, [(offset, lib.noise(n, offset)) for offset, n in at])


SEVERAL = ("monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse")


def expect_disk(image, raw):
    platter("verify", image)
    platter("compare", raw, image)
    run(["qemu-img", "compare", "-f", "raw", "-F", "vmdk", raw, image])


@limit(600)
@weight(4)
def test_resize():
    """A disk of several files grows by files and loses them; what is added is zeros, and can be written."""
    for by in ("platter", "qemu-img"):
        for subformat in SEVERAL:
            raw, image = model(3000 * MIB), os.path.join(fresh("r"), "d.vmdk")
            if by == "platter":
                platter("convert", "-q", "--no-sync", "-o", "subformat=" + subformat, raw, image)
            else:
                run(["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=" + subformat, raw, image])
            for size in (9000 * MIB + 512, 4100 * MIB, 4 * lib.GIB, 6000 * MIB, 20 * MIB, 2100 * MIB):
                os.truncate(raw, size)
                r = platter("resize", image, str(size), "--discard-data")
                expect(str(size) in r.text, f"the size is not told: {r}")
                expect_disk(image, raw)
                at = size - 3 * 65536
                platter_write(image, at)
                platter_write(raw, at)
                expect_disk(image, raw)
            files = sorted(os.path.basename(f) for f in glob.glob(path("r/*")))
            wanted = {"monolithicFlat": ["d-flat.vmdk"], "twoGbMaxExtentFlat": ["d-f001.vmdk", "d-f002.vmdk"],
                      "twoGbMaxExtentSparse": ["d-s001.vmdk", "d-s002.vmdk"]}
            expect_equal(files, [*wanted[subformat], "d.vmdk"], "the files")


def platter_write(image, at):
    run([lib.helper("writes"), image], input=f"stamp {at % 1000} {at} 131072\nflush - 0 0\n".encode())


def test_resize_refuses():
    """Data does not fall off with a file, names that are taken are not touched, and an overlay hides its parent's end."""
    raw, image = model(5000 * MIB), os.path.join(fresh("r"), "d.vmdk")
    platter("convert", "-q", "--no-sync", "-o", "subformat=twoGbMaxExtentFlat", raw, image)
    r = platter("resize", image, "2G", status=3)
    expect("would fall off" in r.errors, f"nobody says so: {r}")
    expect_disk(image, raw)
    with open(path("r/d-f004.vmdk"), "w") as f:
        f.write("somebody's")
    platter("resize", image, "7G")
    os.truncate(raw, 7 * lib.GIB)
    expect_disk(image, raw)
    with open(path("r/d-f004.vmdk")) as f:
        expect_equal(f.read(), "somebody's", "the file that was there")
    expect(os.path.exists(path("r/d-f005.vmdk")), "the next name is not taken")
    # An overlay that was shorter than its parent shows nothing of it when it grows.
    top, base = path("r/top.vmdk"), path("r/base.vmdk")
    platter("convert", "-q", "--no-sync", raw, base)
    platter("create", "--parent", base, "-o", "subformat=twoGbMaxExtentSparse", "--size", "1G", top)
    platter("resize", top, "8G")
    short = lib.make_raw("short", 8 * lib.GIB, [(0, lib.noise(100000, 0))])
    expect_disk(top, short)
    with open(path("bad.vmdk"), "w") as f:
        f.write('# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="custom"\nRW 2048 ZERO\n')
    r = platter("resize", path("bad.vmdk"), "2M", status=3)
    expect("no file" in r.errors, f"nobody says why: {r}")


@serial
@limit(600)
@weight(4)
def test_resize_kill():
    """A kill at any step of resizing leaves a disk of the old size or of the new one, and doing it again completes it."""
    for subformat, sizes in (("twoGbMaxExtentSparse", (3000, 6500)), ("twoGbMaxExtentFlat", (6500, 3000)), ("twoGbMaxExtentFlat", (3000, 4200)),
                             ("twoGbMaxExtentSparse", (4200, 1000)), ("monolithicFlat", (10, 20))):
        old, new = sizes[0] * MIB, sizes[1] * MIB
        raw = lib.make_raw("raw", old, [(0, lib.noise(200000))])
        raws = {old: raw, new: lib.make_raw("new", new, [(0, lib.noise(200000))])}
        image = os.path.join(fresh("k"), "d.vmdk")
        seen = set()

        def prepare():
            fresh("k")
            platter("convert", "-q", "--no-sync", "-o", "subformat=" + subformat, raw, image)

        def judge():
            size = lib.info(image)["size"]
            seen.add(size)
            expect(size in raws, f"the disk has {size} bytes")
            platter("compare", raws[size], image)
            platter("resize", image, str(new))
            platter("compare", raws[new], image)
            run(["qemu-img", "compare", "-f", "raw", "-F", "vmdk", raws[new], image])
            expect(not glob.glob(path("k/*.part")), "a part was left behind")

        steps = lib.kill_at_each_step(["resize", image, str(new)], prepare, judge)
        expect_equal(seen, set(sizes[i] * MIB for i in (0, 1)), f"sizes seen after {steps} kills")


@serial
@limit(600)
@weight(4)
def test_made_anew_kill():
    """A kill at any step of flatten or compact --copy leaves a disk that reads as before, and the same again completes it."""
    raw = model(2400 * MIB)
    for words, subformat in ((["flatten"], "twoGbMaxExtentSparse"), (["compact", "--copy"], "twoGbMaxExtentFlat")):
        image = os.path.join(fresh("k"), "d.vmdk")

        def prepare():
            fresh("k")
            if words[0] == "compact":
                platter("convert", "-q", "--no-sync", "-o", "subformat=" + subformat, raw, image)
                return
            platter("convert", "-q", "--no-sync", raw, path("k/base.vmdk"))
            platter("create", "--parent", path("k/base.vmdk"), "-o", "subformat=" + subformat, image)

        def judge():
            platter("compare", raw, image)
            if words[0] == "compact" or lib.info(image)["chain"]:
                platter(*words, image)
            expect_disk(image, raw)
            with open(image) as f:
                named = {line.split('"')[1] for line in f if line.startswith("RW ")}
            # Files that got their names before the descriptor did, or lost their descriptor last.
            left.append({os.path.basename(f) for f in glob.glob(path("k/d*"))} - named - {"d.vmdk"})
            expect(len(left[-1]) <= 2, f"left behind: {left[-1]}")

        left = []
        lib.kill_at_each_step([*words, image], prepare, judge)
        expect_equal((left[0], left[-1]), (set(), set()), "what is left behind by a kill at once, or none")


def test_output():
    """Several files do not go to standard output, whatever that is."""
    raw = lib.mixed_raw("disk")
    for redirect in (f">{path('out')}", "| cat"):
        r = run(["sh", "-c", f"{{ {PLATTER} convert -O vmdk -o subformat=monolithicFlat {raw} -; echo status $? >&2; }} {redirect}"])
        expect("status 3" in r.errors and "several files" in r.errors, f"nobody says why: {r}")


def test_appliance():
    """The disks of an appliance are read where they are; of several one must be chosen."""
    raw = lib.mixed_raw("disk")
    platter("convert", "-o", "subformat=streamOptimized", raw, path("disk1.vmdk"))
    platter("convert", "-c", lib.make_raw("other", 3 * MIB, [(MIB, b"other")]), path("disk2.vmdk"))
    with open(path("x.ovf"), "w") as f:
        f.write('<Envelope xmlns:ovf="x"><References><File ovf:id="a" ovf:href="disk1.vmdk"/>'
                '<File ovf:id="b" ovf:href="disk2.vmdk"/></References><DiskSection>'
                '<Disk ovf:diskId="one" ovf:fileRef="a"/><Disk ovf:diskId="two" ovf:fileRef="b"/>'
                '</DiskSection><VirtualSystem ovf:id="vm"><Name>Machine</Name></VirtualSystem></Envelope>')
    ova = path("machine.ova")
    run(["tar", "-C", os.path.dirname(ova), "-cf", ova, "x.ovf", "disk1.vmdk", "disk2.vmdk"])
    r = platter("info", ova, status=3)
    expect("1 'disk1.vmdk', 2 'disk2.vmdk'" in r.errors, f"the disks are not listed: {r}")
    platter("compare", raw, ova + "?disk=1")
    platter("compare", path("other"), ova + "?disk=disk2.vmdk")
    platter("verify", ova + "?disk=one")
    platter("convert", ova + "?disk=two", path("back.qcow2"))
    run(["qemu-img", "compare", path("other"), path("back.qcow2")])
    expect("Machine" in platter("info", ova + "?disk=2").text, "its name is not shown")
    platter("create", "--force", ova + "?disk=1", ova, status=3)


def test_all_files_are_counted():
    """What info says a disk of several files takes up is what its files do, each once, without the parent's."""
    source = lib.make_raw("source", 2400 * MIB, [(0, lib.noise(3 * MIB)), (2300 * MIB, lib.noise(2 * MIB, 2))])
    for subformat in ("monolithicSparse", "monolithicFlat", "twoGbMaxExtentFlat", "twoGbMaxExtentSparse"):
        os.makedirs(path(subformat))
        image = path(subformat + "/disk.vmdk")
        platter("create", "-q", "--no-sync", "-o", "subformat=" + subformat, source, image)
        files = glob.glob(path(subformat + "/*"))
        expect_equal(lib.info(image)["stored"], sum(os.stat(f).st_blocks for f in files) * 512, subformat)
    # Both halves of the disk in one file.
    with open(path("twice.vmdk"), "w") as f:
        f.write('# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="custom"\n'
                'RW 2048 FLAT "half.raw" 0\nRW 2048 FLAT "half.raw" 2048\n')
    lib.make_raw("half.raw", 2 * MIB, [(0, lib.noise(MIB)), (MIB, lib.noise(MIB, 2))])
    files = [path("twice.vmdk"), path("half.raw")]
    expect_equal(lib.info(files[0])["stored"], sum(os.stat(f).st_blocks for f in files) * 512, "one file twice")
    base = path("monolithicSparse/disk.vmdk")
    platter("create", "--parent", base, path("top.vmdk"))
    expect_equal(lib.info(path("top.vmdk"))["stored"], os.stat(path("top.vmdk")).st_blocks * 512, "an overlay")
