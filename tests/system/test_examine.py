# SPDX-License-Identifier: GPL-3.0-or-later
"""platter examine: is anything left on a disk?"""
import os
import re
import struct
import zlib

import lib
from lib import GIB, KIB, MIB, expect, expect_equal, limit, make_raw, noise, path, platter, prose, run
from test_json import validate


def examine(disk, *options, status=(0, 1)):
    answer = platter("examine", "--json", *options, disk, status=status).json()
    validate(answer, "examine")
    expect_equal(sum(answer["bytes"].values()), answer["examined"], "bytes of all classes")
    expect_equal(sum(r["length"] for r in answer["regions"]), answer["size"], "length of all regions")
    return answer


def types(answer):
    return {t["name"]: t for t in answer["remains"]["types"]}


def files_of(name, count=60):
    """A folder of files of several types."""
    top = path(name)
    os.makedirs(top)
    for i in range(count):
        with open(os.path.join(top, f"letter{i}.pdf"), "wb") as f:
            f.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + prose(20000, i))
        with open(os.path.join(top, f"photo{i}.jpg"), "wb") as f:
            f.write(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xdb\0\x43" + noise(30000, i) + b"\xff\xd9")
    return top


def ext4_of(name, size, top=None, *options):
    lib.need_tool("mke2fs")
    disk = path(name)
    if not os.path.exists(disk):
        make_raw(name, size, [])
    run(["mke2fs", "-q", "-F", "-t", "ext4", *(["-d", top] if top else []), *options, disk])
    return disk


def test_wiped():
    """What shred(1) wiped is told as wiped: random bytes, patterns, zeros; nothing is left."""
    lib.need_tool("shred")
    disk = make_raw("disk.img", 24 * MIB, [(0, prose(4 * MIB))])
    expect_equal(examine(disk, status=1)["left"], True, "left before")
    run(["shred", "-n1", disk])
    answer = examine(disk, status=0)
    expect_equal((answer["verdict"], answer["left"], answer["even"]), ("random", False, True), "after random bytes")
    expect_equal(answer["bytes"]["random"], 24 * MIB, "random bytes")
    run(["shred", "-n0", "-z", disk])
    expect_equal(examine(disk, status=0)["verdict"], "zeros", "after zeros")
    for pattern in (b"\xff", b"\x92\x49\x24", b"\xde\xad\xbe\xef"):
        with open(disk, "r+b") as f:
            f.write((pattern * (8 * MIB))[:24 * MIB])
        answer = examine(disk, status=0)
        expect_equal(answer["verdict"], "pattern", f"after {pattern.hex()}")
        expect_equal(len(answer["patterns"]), 1, "patterns")
        expect(answer["patterns"][0]["bytes"] in (pattern * 2).hex(), f"pattern is {answer['patterns']}")


def test_used_formatted_and_wiped():
    """A disk in use; then quickly formatted, its old contents still there; then its beginning wiped."""
    disk = ext4_of("disk.img", 48 * MIB, files_of("top"))
    used = examine(disk, status=1)
    expect_equal(used["verdict"], "in-use", "verdict")
    expect_equal((types(used)["pdf"]["count"], types(used)["jpeg"]["count"]), (60, 60), "files")
    expect_equal(types(used)["pdf"]["unused"], 0, "files in unused space")
    run(["mkfs.vfat", "-F", "32", "-s", "1", disk])
    formatted = examine(disk, status=1)
    expect_equal(formatted["verdict"], "formatted", "after mkfs.vfat")
    expect(types(formatted)["pdf"]["unused"] > 50, f"old files: {types(formatted)}")
    expect(formatted["unused_data"] > MIB, f"{formatted['unused_data']} bytes of old data")
    with open(disk, "r+b") as f:
        f.write(bytes(6 * MIB))
    wiped = examine(disk, status=1)
    expect_equal(wiped["verdict"], "partly-wiped", "after its beginning was wiped")


def test_formatted_and_empty():
    """A new file system on a new disk is empty; a file, and a deleted one, are seen."""
    disk = ext4_of("disk.img", 32 * MIB)
    expect_equal(examine(disk, status=1)["verdict"], "empty", "of a new ext4")
    lib.need_tool("debugfs")
    letter = make_raw("letter", 0, [(0, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + prose(2 * MIB))])
    run(["debugfs", "-w", "-R", f"write {letter} letter.pdf", disk])
    expect_equal(examine(disk, status=1)["verdict"], "in-use", "with a file")
    run(["debugfs", "-w", "-R", "rm letter.pdf", disk])
    deleted = examine(disk, status=1)
    expect_equal(deleted["verdict"], "formatted", "with a deleted file")
    expect_equal(types(deleted)["pdf"]["unused"], 1, "deleted files")


def test_encrypted():
    """LUKS is told by its header; without it nothing tells its bytes from random ones."""
    lib.need_tool("cryptsetup")
    disk = make_raw("disk.img", 32 * MIB, [(0, noise(32 * MIB))])
    run(["cryptsetup", "luksFormat", "-q", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", disk],
        input=b"secret")
    answer = examine(disk, status=1)
    expect_equal(answer["verdict"], "encrypted", "verdict")
    expect_equal(answer["structures"][0]["name"], "crypto_LUKS", "structure")
    with open(disk, "r+b") as f:
        f.write(noise(16 * MIB, 2))
    expect_equal(examine(disk, status=0)["verdict"], "random", "without its header")


def test_remains_at_their_offsets():
    """What is planted is found where it is, among zeros and among random bytes."""
    gzip = zlib.compressobj(9, zlib.DEFLATED, 31)
    planted = {
        "pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0",
        "sqlite": b"SQLite format 3\0\x10\0\1\1\0\x40\x20\x20" + bytes(80),
        "gzip": gzip.compress(prose(9000)) + gzip.flush(),
        "zip": b"PK\3\4\x14\0\0\0\x08\0" + bytes(16) + b"\7\0\0\0one.txt",
        "elf": b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\x3e\0",
    }
    for name, background in (("zeros", bytes(MIB)), ("random", noise(MIB))):
        runs = [(i * MIB, background) for i in range(16)]
        offsets = {t: 512 * (3001 + 1013 * i) for i, t in enumerate(planted)}
        disk = make_raw(name, 16 * MIB, runs + [(offsets[t], planted[t]) for t in planted])
        found = types(examine(disk, status=1))
        expect_equal({t: found[t]["first"] for t in found}, offsets, f"what is found among {name}")
        expect_equal({t: found[t]["count"] for t in found}, {t: 1 for t in planted}, f"counts among {name}")


def png(seed):
    """A picture of 100 by 100 random points."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    points = noise(30000, seed)
    rows = b"".join(b"\0" + points[300 * i:300 * i + 300] for i in range(100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 100, 100, 8, 2, 0, 0, 0)) + \
        chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_as_foremost_finds():
    """Pictures are found where foremost(1) finds them, also among other data."""
    lib.need_tool("foremost")
    runs = [(i * MIB, prose(MIB, i)) for i in range(8)] + [(512 * (1001 + 1201 * i), png(i)) for i in range(10)]
    disk = make_raw("disk.img", 8 * MIB, runs)
    run(["foremost", "-Q", "-w", "-t", "png", "-i", disk, "-o", path("out")], status=None)
    with open(os.path.join(path("out"), "audit.txt"), errors="replace") as f:
        theirs = sorted(int(n) for n in re.findall(r"^\d+:\s+\S+\.png.*?\s(\d{4,})\s", f.read(), re.M))
    ours = types(examine(disk, status=1))["png"]
    expect_equal((ours["count"], ours["first"]), (10, 512 * 1001), "pictures")
    expect_equal((len(theirs), theirs[0]), (10, 512 * 1001), "pictures that foremost finds")


def test_no_false_alarm():
    """Random bytes show nothing: no file, no file system, no mail address."""
    size = GIB if lib.LONG else 64 * MIB
    disk = path("disk.img")
    with open(disk, "wb") as f:
        for i in range(size // (16 * MIB)):
            f.write(noise(16 * MIB, i))
    answer = examine(disk, status=0)
    expect_equal(answer["bytes"]["random"], size, "random bytes")
    expect_equal((answer["remains"]["types"], answer["structures"], answer["remains"]["mail_addresses"]), ([], [], 0), "finds")
    expect(answer["remains"]["false_alarms"] < 0.001, f"{answer['remains']['false_alarms']} false alarms expected")


def test_holes_are_not_read():
    """A terabyte that holds one file is examined at once."""
    disk = make_raw("disk.img", 1024 * GIB, [(700 * GIB, b"%PDF-1.4\n" + prose(5000))], on_disk=True)
    answer = examine(disk, status=1)
    expect(answer["read"] < 4 * MIB, f"{answer['read']} bytes were read")
    expect_equal(types(answer)["pdf"]["first"], 700 * GIB, "the file")
    expect(answer["seconds"] < 20, f"it took {answer['seconds']} s")


def test_sample():
    """A sample reads its share, says what it may have missed, and looks at the same places for the same seed."""
    disk = make_raw("disk.img", 64 * MIB, [(i * 4 * MIB, noise(2 * MIB, i)) for i in range(16)])
    a, b = (examine(disk, "--sample=10%", "--seed=17", status=(0, 1)) for _ in range(2))
    expect_equal(a["bytes"], b["bytes"], "classes of the same sample")
    expect_equal(a["sample"], b["sample"], "sample")
    expect(6 * MIB < a["examined"] < 10 * MIB, f"{a['examined']} bytes were examined")
    expect(0.03 < a["sample"]["missed"] < 0.06, f"missed {a['sample']['missed']}")
    # Half is random: the estimate is near that.
    expect(0.3 < a["bytes"]["random"] / a["examined"] < 0.7, f"{a['bytes']}")
    other = examine(disk, "--sample=8M", status=(0, 1))
    expect(other["sample"]["seed"] not in (0, 17), "a seed of its own")
    platter("examine", "--sample=2x", disk, status=2)
    platter("examine", "--sample=0%", disk, status=2)
    platter("examine", "--seed=3", disk, status=2)


def test_unreadable():
    """What cannot be read is counted, and the status says so if nothing else is left."""
    lib.need_tool("sfdisk")
    disk = make_raw("disk.img", 16 * MIB, [])
    run(["sfdisk", "-q", disk], input=b"label: dos\nstart=2048,size=20480,type=83\n")
    os.truncate(disk, 8 * MIB)
    answer = examine(disk + "@1", status=4)
    expect_equal(answer["bytes"]["unreadable"], 3 * MIB, "unreadable")
    expect_equal(answer["left"], False, "left")


def test_examples_are_masked():
    """Finds are shown on request alone, and no address in full."""
    disk = make_raw("disk.img", 8 * MIB, [(MIB, b"From: jane.roe@example.com\n" * 50), (2 * MIB, b"%PDF-1.4\n")])
    plain = platter("examine", disk, status=1).text
    shown = platter("examine", "--examples", disk, status=1).text
    expect("@" not in plain and "e.g." not in plain, plain)
    expect("j*******@e******.com" in shown and "jane" not in shown, shown)
    expect(f"PDF document at {2 * MIB}" in shown, shown)


def test_pictures():
    """--png and --svg draw the disk."""
    disk = make_raw("disk.img", 8 * MIB, [(MIB, noise(MIB))])
    platter("examine", "-q", "--png", path("a.png"), "--svg", path("a.svg"), disk)
    with open(path("a.png"), "rb") as f:
        expect(f.read(8) == b"\x89PNG\r\n\x1a\n", "no PNG")
    with open(path("a.svg")) as f:
        expect("random" in f.read(), "no legend in the SVG")


def test_images_and_streams():
    """An image is examined as the disk in it; a stream is refused."""
    disk = make_raw("disk.img", 24 * MIB, [(MIB, prose(MIB)), (5 * MIB, noise(2 * MIB))])
    platter("create", "-c", disk, path("a.qcow2"))
    a, b = examine(disk, status=1), examine(path("a.qcow2"), status=1)
    for member in ("bytes", "verdict", "regions", "remains"):
        expect_equal(b[member], a[member], member)
    with open(disk, "rb") as f:
        r = run(["sh", "-c", f"cat | {lib.PLATTER} examine -"], stdin=f, status=3)
    expect("stream" in r.errors, f"{r}")


@limit(600)
def test_corpus():
    """Every file system of the corpus is told as such, those with files as in use, none as wiped."""
    for s in lib.manifest():
        if s.kind != "filesystems" or not os.path.isfile(s.stored) or os.stat(s.stored).st_size > (16 * MIB if lib.LONG else 3 * KIB):
            continue
        answer = platter("examine", "--json", lib.unpacked(s.stored, s.member()), status=1).json()
        expect(answer["verdict"] in ("in-use", "empty", "formatted"), f"{s.name} is {answer['verdict']}")
        if s.expect.get("files", "0").isdigit() and int(s.expect.get("files", "0")) > 5:
            expect_equal(answer["verdict"], "in-use", s.name)
