# SPDX-License-Identifier: GPL-3.0-or-later
"""VMDK disks of several files, and appliances, from the command line."""
import glob
import os
import random
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
