# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of cramfs, held against the folder that mkfs.cramfs made them from, 7-Zip and fsck.cramfs."""
import os
import struct
import zlib

import files
import lib
from files import expect_same, hashed, populate, told_of
from lib import expect, expect_equal, path, platter, run

KINDS = {
    "little-endian": ["-N", "little"],
    "big-endian": ["-N", "big"],
    "behind a boot sector": ["-p"],
    "big-endian, holes, behind a boot sector": ["-N", "big", "-z", "-p"],
    "with a name": ["-n", "platter", "-e", "7", "-z"],
}


def fill(top):
    """What populate() makes, owners, devices, sizes about those of blocks."""
    populate(top)
    for size in (0, 1, 4095, 4096, 4097, 8192, 100_000):
        with open(os.path.join(top, f"noise{size}"), "wb") as f:
            f.write(lib.noise(size))
    os.symlink("t" * 4000, os.path.join(top, "long link"))
    os.mkdir(os.path.join(top, "nothing in it"))
    os.mkfifo(os.path.join(top, "pipe"))
    if os.getuid() == 0:
        os.mknod(os.path.join(top, "device"), 0o600 | 0o020000, os.makedev(12, 34))
        os.chown(os.path.join(top, "pipe"), 1234, 56)


def made(top, *options):
    lib.need_tool("mkfs.cramfs")
    image = path("a.img")
    if os.path.exists(image):
        os.remove(image)
    r = run(["mkfs.cramfs", *options, top, image], status=None)
    if not os.path.exists(image):
        lib.skip(f"mkfs.cramfs: {r.errors.strip()[:200]}")
    return image


def told(place):
    """{path: (type, mode, size, target, owner, group)}; there are no times."""
    found = {}
    for f in platter("ls", "-R", "--json", place).json()["files"]:
        expect_equal(f["modified"], None, "its time")
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        found[name] = (f["type"], f["mode"], f["size"], f["target"], f["uid"], f["gid"])
    return found


def wanted(top):
    found = {}
    for name, (kind, mode, size, _, target) in told_of(top).items():
        st = os.lstat(os.path.join(top.encode(), name))
        size = 0 if kind in ("folder", "fifo", "character device") else size
        found[name] = (kind, mode, size, target, st.st_uid, st.st_gid & 0xff)
    return found


def test_kinds():
    """Names, types, modes, owners, targets and bytes are those of the folder, in both byte orders; the checksum is right."""
    top = path("top")
    fill(top)
    for name, options in KINDS.items():
        def attempt(name=name, options=options):
            image = made(top, *options)
            expect_same(told(image), wanted(top), "the listing")
            expect_same(hashed(image), files.wanted_hashes(top), "the hashes")
            said = lib.info(image)["contents"][0]
            expect_equal(said["warnings"], [], "the warnings")
            expect_equal(said["size"], os.stat(image).st_size, "the size")
            r = platter("create", "--used-only", "--json", image, path(name + ".qcow2")).json()
            expect_equal(r["unused"], 0, "bytes left out")
        yield name, attempt


def test_as_others_see_it():
    """7-Zip and fsck.cramfs extract what platter extracts."""
    lib.need_tool("7zz", "fsck.cramfs")
    top = path("top")
    fill(top)
    # 7-Zip takes names for UTF-8.
    for name in os.listdir(top.encode()):
        if b"\xe9" in name:
            os.remove(os.path.join(top.encode(), name))
    image = made(top)
    mine = hashed(image)
    run(["7zz", "x", "-y", "-o" + path("seven"), image], status=None)
    seven = {os.fsencode(name): value for name, value in lib.tree_of(path("seven")).items()}
    links = {name for name, f in wanted(top).items() if f[0] != "file"}
    expect_same({n: v for n, v in seven.items() if n not in links}, mine, "7-Zip's files")
    lib.need_root()
    r = run(["fsck.cramfs", "--extract=" + path("fsck"), image], status=None)
    if r.status:
        lib.skip(f"fsck.cramfs: {r.errors.strip()[:200]}")
    expect_same({os.fsencode(n): v for n, v in lib.tree_of(path("fsck")).items()}, mine, "fsck.cramfs's files")


def with_flags(order):
    """A cramfs whose block pointers are of each kind that Linux 4.15 brought."""
    word = ("<" if order == "little" else ">") + "I"
    half = word[0] + "H"

    def inode(mode, size, name, at):
        n = len(name) // 4
        if order == "little":
            return struct.pack("<III", mode, size, n | at // 4 << 6) + name
        return struct.pack(">III", mode << 16, size << 8, n << 26 | at // 4) + name

    blocks = [lib.prose(4096, seed=1), lib.prose(4096, seed=2), bytes(4096), lib.prose(4096, seed=3), lib.prose(4096, seed=4),
              lib.prose(100, seed=5)]
    at = 76 + 16
    table, data = at, bytearray()
    start = table + len(blocks) * 4
    pointers = []

    def end():
        return start + len(data)

    # Compressed and by its end; direct and compressed; a hole behind that; direct as is; compressed behind that; as is, short.
    data += zlib.compress(blocks[0])
    pointers.append(end())
    data += bytes(-end() % 4)
    pointers.append(1 << 30 | end() // 4)
    packed = zlib.compress(blocks[1])
    data += struct.pack(half, len(packed)) + packed
    pointers.append(end())
    data += bytes(-end() % 4)
    pointers.append(1 << 31 | 1 << 30 | end() // 4)
    data += blocks[3]
    data += zlib.compress(blocks[4])
    pointers.append(end())
    data += blocks[5]
    pointers.append(1 << 31 | end())
    body = inode(0o100644, sum(map(len, blocks)), b"file", table) + b"".join(struct.pack(word, p) for p in pointers) + data
    size = 76 + len(body)
    head = struct.pack(word[0] + "4I16s4I16s", 0x28cd3d45, size, 0x1 | 0x800, 0, b"Compressed ROMFS", 0, 0, len(blocks), 2, b"flags")
    image = bytearray(head + inode(0o40755, 16, b"", 76) + body)
    struct.pack_into(word, image, 32, zlib.crc32(image))
    return bytes(image), b"".join(blocks)


def test_flags_of_pointers():
    """Blocks that are not compressed and direct pointers are read, in both byte orders."""
    for order in ("little", "big"):
        image, content = with_flags(order)
        with open(path("a.img"), "wb") as f:
            f.write(image)
        expect_equal(platter("cat", path("a.img") + ":/file").out, content, f"the {order}-endian file")
        expect_equal(lib.info(path("a.img"))["contents"][0]["warnings"], [], "the warnings")


def test_damage():
    """Damaged fields are errors that are told; a wrong checksum is a warning."""
    image, _ = with_flags("little")
    rows = (("features", 8, b"\x01\x80\0\0", "ls", "features"), ("root", 64, b"\xa4\x81", "ls", "folder"),
            ("name's length", 76 + 8, b"\x3f", "ls", "name"), ("no name", 76 + 8, b"\x40", "ls", "name"),
            ("folder's place", 64 + 8, b"\xff\xff\xff\xff", "ls", ""), ("block's end", 92, b"\xff\xff\xff\x0f", "cat", "block"),
            ("block's place", 96, b"\xff\xff\xff\x4f", "cat", ""), ("file's place", 84, b"\xc1\xff\xff\xff", "cat", ""))
    for name, offset, value, verb, word in rows:
        def attempt(offset=offset, value=value, verb=verb, word=word):
            broken = bytearray(image)
            broken[offset:offset + len(value)] = value
            with open(path("a.img"), "wb") as f:
                f.write(broken)
            r = platter(verb, path("a.img") + (":/file" if verb == "cat" else ""), status=None)
            expect(r.status in (3, 4) and word in r.errors, f"status {r.status}: {r.errors}")
        yield name, attempt

    def checksum():
        with open(path("a.img"), "wb") as f:
            f.write(image[:-1] + b"\xff")
        expect(any("checksum" in w for w in lib.info(path("a.img"))["contents"][0]["warnings"]), "no warning")
    yield "checksum", checksum
