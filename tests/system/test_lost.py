# SPDX-License-Identifier: GPL-3.0-or-later
"""info --lost and repair --table: partitions that a table does not have."""
import json
import os
import re
import shlex
import shutil

import lib
from lib import MIB, expect, expect_equal, path, platter, run, same_bytes
from test_json import validate

GPT = ("label: gpt\nsize=34M,type=U\nsize=16M,type=L\nsize=8M,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n"
       "size=8M,type=S\nsize=110M,type=L\n")
MBR = "label: dos\nsize=34M,type=ef\nsize=16M,type=83\nsize=8M,type=7\nsize=8M,type=82\n"
LOGICAL = "label: dos\nsize=8M,type=82\nsize=8M,type=83\nsize=8M,type=82\ntype=f\nsize=16M,type=83\nsize=8M,type=7\n"
MAKERS = {"efi": ["mkfs.vfat", "-F", "32", "-n", "BOOT"], "linux": ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root"],
          "win": ["mkntfs", "-q", "-F", "-f", "-L", "win"], "swap": ["mkswap", "-L", "swp"], "btrfs": ["mkfs.btrfs", "-q", "-L", "bt"]}


def dump(disk):
    """Start, size and type of every partition, as sfdisk says, without containers."""
    table = json.loads(run(["sfdisk", "--json", disk]).text)["partitiontable"]
    return [(p["start"], p["size"], p["type"]) for p in table["partitions"] if p["type"] not in ("f", "5")]


def make_disk(name, table, contents, size=190 * MIB):
    lib.need_tool("sfdisk", "mcopy", *[MAKERS[c][0] for c in contents])
    disk = lib.make_raw(name, size, [])
    run(["sfdisk", "-q", disk], input=table.encode())
    for (start, sectors, _), content in zip(dump(disk), contents):
        part = lib.make_raw("part", sectors * 512, [])
        run([*MAKERS[content], part])
        if content == "efi":
            run(["mmd", "-i", part, "::/EFI"])
        run(["dd", f"if={part}", f"of={disk}", "bs=512", f"seek={start}", "conv=notrunc,sparse", "status=none"])
        os.remove(part)
    return disk


def wipe(disk, *places):
    """Zeros over MiBs of the disk, counted from its end if negative."""
    size = os.stat(disk).st_size
    with open(disk, "r+b") as f:
        for place in places:
            f.seek(place * MIB if place >= 0 else size + place * MIB)
            f.write(bytes(MIB))


def find_lost(disk):
    answer = platter("info", "--lost", "--json", disk).json()
    validate(answer, "info")
    return answer["disks"][0]["lost"]


def repair(disk, kind, *options, status=0):
    r = platter("repair", f"--table={kind}", *options, disk, status=status, cwd=lib.folder())
    return r.text


def rebuild(table, contents, kind):
    disk = make_disk("disk.img", table, contents)
    before = dump(disk)
    wiped = path("wiped.img")
    shutil.copyfile(disk, wiped)
    wipe(wiped, 0, -1)
    for start, _, _ in before:      # records of logical partitions
        with open(wiped, "r+b") as f:
            f.seek((start - 2048) * 512)
            f.write(bytes(512))
    shutil.copyfile(wiped, path("kept.img"))
    lost = find_lost(wiped)
    expect_equal([(p["offset"] // 512, p["length"] // 512) for p in lost["partitions"]], [b[:2] for b in before], "what is found")
    expect(all(p["fits"] for p in lost["partitions"]), f"{lost}")
    text = repair(wiped, kind, "--yes")
    expect_equal(dump(wiped), before, "the table, as sfdisk --dump says")
    run(["sfdisk", "--verify", wiped])
    for line in re.findall(r"^to undo: (.*)$", text, re.M):
        run(shlex.split(line), cwd=lib.folder())
    same_bytes(wiped, path("kept.img"))


def test_gpt_is_rebuilt():
    """A GPT whose copies are both gone is rebuilt as it was; what was written can be undone."""
    rebuild(GPT, ["efi", "linux", "win", "swap", "btrfs"], "gpt")


def test_mbr_is_rebuilt():
    """So is an MBR."""
    rebuild(MBR, ["efi", "linux", "win", "swap"], "mbr")


def test_mbr_with_logical_partitions_is_rebuilt():
    """So is one with logical partitions."""
    rebuild(LOGICAL, ["swap", "linux", "swap", "linux", "win"], "mbr")


def test_superblocks_that_are_gone():
    """What begins with nothing any more is found by its copy."""
    disk = make_disk("disk.img", GPT, ["efi", "linux", "win", "swap", "btrfs"])
    before = dump(disk)
    wipe(disk, 0, -1)
    for start, _, _ in before[:3]:
        with open(disk, "r+b") as f:
            f.seek(start * 512)
            f.write(bytes(3072))
    lost = find_lost(disk)["partitions"]
    expect_equal([(p["offset"] // 512, p["length"] // 512) for p in lost[:3]], [b[:2] for b in before[:3]], "what is found")
    for p in lost[:3]:
        expect(p["structure"]["backup"] and "copy" in p["structure"]["evidence"], f"{p}")


def test_damaged_gpt_is_made_whole():
    """Of two copies of a GPT one is enough to bring back the disk as it was, byte for byte."""
    disk = make_disk("disk.img", GPT, ["efi", "linux"])
    for places in ((0,), (-1,)):
        broken = path("broken.img")
        shutil.copyfile(disk, broken)
        wipe(broken, *places)
        expect_equal((find_lost(broken)["damaged"], find_lost(broken)["partitions"]), (True, []), "what is found")
        expect_equal("whole" in repair(broken, "gpt", "--yes"), True, "repair says that the table is whole")
        same_bytes(disk, broken)
        for name in os.listdir(lib.folder()):
            if name.endswith(".bak"):
                os.remove(path(name))
    expect("no partition is missing" in repair(disk, "gpt", "--yes"), "a table that is whole")


def test_one_deleted_partition():
    """One that was deleted comes back beside the others, which stay as they are."""
    disk = make_disk("disk.img", GPT, ["efi", "linux", "win", "swap"])
    before = run(["sfdisk", "--dump", disk]).text
    run(["sfdisk", "-q", "--delete", disk, "3"])
    lost = find_lost(disk)["partitions"]
    expect_equal([(p["structure"]["label"], p["type"]) for p in lost], [("win", "msdata")], "what is found")
    repair(disk, "gpt", "--yes")
    without = lambda text: re.sub(r"(disk.img3.*), uuid=\S+", r"\1", text)
    expect_equal(without(run(["sfdisk", "--dump", disk]).text), without(before), "the table")


def test_nothing_is_written_without_a_word():
    """--dry-run, nobody to ask, a table of another kind, and files in the way leave the disk as it is."""
    disk = make_disk("disk.img", MBR, ["efi", "linux"])
    run(["sfdisk", "-q", "--delete", disk, "2"])
    before = lib.sha256(disk)
    expect("1 partition" in repair(disk, "mbr", "--dry-run", status=1), "dry run")
    repair(disk, "mbr", status=2)
    repair(disk, "gpt", "--yes", status=3)
    with open(path("disk.img-0x00000000.bak"), "wb"):
        pass
    repair(disk, "mbr", "--yes", status=3)
    expect_equal(lib.sha256(disk), before, "the disk")
    os.remove(path("disk.img-0x00000000.bak"))
    answer = platter("repair", "--table=mbr", "--yes", "--json", disk, cwd=lib.folder()).json()
    validate(answer, "repair")
    expect_equal((answer["repaired"], [s["offset"] for s in answer["saved"]]), (1, [0]), "answer")


def test_in_an_image():
    """The table of a disk in an image is rebuilt in the image."""
    lib.need_tool("qemu-img")
    disk = make_disk("disk.img", MBR, ["efi", "linux", "win", "swap"])
    before = dump(disk)
    wipe(disk, 0)
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, path("disk.qcow2")])
    repair(path("disk.qcow2"), "mbr", "--yes")
    lib.qemu_check(path("disk.qcow2"))
    run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path("disk.qcow2"), path("back.img")])
    expect_equal(dump(path("back.img")), before, "the table")


def test_as_testdisk_finds():
    """testdisk(8) finds each of them where platter does."""
    lib.need_tool("testdisk")
    disk = make_disk("disk.img", GPT, ["efi", "linux", "win", "swap", "btrfs"])
    wipe(disk, 0, -1)
    run(["testdisk", "/log", "/cmd", disk, "partition_gpt,analyze,search"], cwd=lib.folder(), status=None, timeout=120)
    with open(path("testdisk.log"), errors="replace") as f:
        theirs = {int(n) for n in re.findall(r"^ {5}\S.*?\s(\d+)\s+\d+\s+\d+(?: \[.*)?$", f.read(), re.M)}
    ours = {p["offset"] // 512 for p in find_lost(disk)["partitions"]}
    expect(len(ours) == 5 and ours <= theirs, f"platter: {sorted(ours)}, testdisk: {sorted(theirs)}")


def test_sectors_of_4096_bytes():
    """A table of a device with sectors of 4096 bytes is rebuilt in those."""
    lib.need_tool("sfdisk", "mke2fs", "mkswap")
    with lib.loop(lib.make_raw("disk.img", 48 * MIB, []), "-b", "4096") as device:
        run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", device], input=b"label: gpt\nsize=16M,type=L\nsize=8M,type=S\n")
        before = dump(device)
        expect_equal(before[0][:2], (256, 4096), "the first partition in sectors of 4096 bytes")
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", lib.make_raw("a", 16 * MIB, [])])
        run(["mkswap", lib.make_raw("b", 8 * MIB, [])])
        for (start, _, _), name in zip(before, "ab"):
            run(["dd", f"if={path(name)}", f"of={device}", "bs=4096", f"seek={start}", "conv=notrunc", "status=none"])
        for place in ("seek=0", "seek=47"):
            run(["dd", "if=/dev/zero", f"of={device}", "bs=1M", "count=1", place, "conv=notrunc", "status=none"])
        repair(device, "gpt", "--yes")
        expect_equal(dump(device), before, "the table")
