# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of F2FS, held against the folder that sload.f2fs filled it from, and what is in use against fsck.f2fs."""
import os
import random
import re
import struct
import zlib

import files
import lib
from lib import MIB, expect, expect_equal, limit, path, platter, run
from test_backup import scribble

EXTRA = "extra_attr,inode_checksum,inode_crtime,flexible_inline_xattr,sb_checksum,project_quota,quota,compression"
KINDS = {
    "plain": [],
    "inode checksums and more": ["-O", EXTRA],
    "large bitmap of the NAT": ["-i"],
    "without regard to case": ["-O", "extra_attr,casefold,lost_found,verity", "-C", "utf8"],
    "sections of four segments": ["-s", "4"],
    "never written again": ["-O", "ro"],
}
BLOCK = 4096
HOLE, MARK = 0, 0xfffffffe


def make(image, options=(), top=None, size=300 * MIB, sload=(), noise=False):
    lib.need_tool("mkfs.f2fs", "sload.f2fs", "fsck.f2fs")
    with open(image, "wb") as f:
        for i in range(size // MIB if noise else 0):
            f.write(lib.noise(MIB, seed=i))
        f.truncate(size)
    r = run(["mkfs.f2fs", "-q", "-f", "-l", "label", *options, image], status=None)
    if r.status:
        lib.skip(f"mkfs.f2fs: {r.errors.strip()[:200]}")
    if top:
        r = run(["sload.f2fs", "-P", *sload, "-f", top, image], status=None, timeout=300)
        # 1: it checks what it made, and mended something.
        if r.status not in (0, 1) or "Error:" in r.text:
            lib.skip(f"sload.f2fs: {r.status} {r.text.strip().splitlines()[-1][:200]}")


def crc(data, seed=0xf2f52010):
    return zlib.crc32(data, seed ^ 0xffffffff) ^ 0xffffffff


class Image:
    """Enough of the format to find a file's inode and to change it."""

    def __init__(self, name):
        self.f = open(name, "r+b")
        sb = self.read_at(1024, 3072)
        self.cp, self.sit, self.nat, self.ssa, self.main = struct.unpack_from("<5I", sb, 76)
        packs = [self.cp, self.cp + 512]
        self.pack = max(packs, key=lambda b: struct.unpack("<Q", self.read_at(b * BLOCK, 8)))
        self.checkpoint = bytearray(self.read(self.pack))
        self.total = struct.unpack_from("<I", self.checkpoint, 136)[0]
        self.sit_bitmap, self.nat_bitmap = struct.unpack_from("<2I", self.checkpoint, 156)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.f.close()

    def read_at(self, offset, n):
        self.f.seek(offset)
        return self.f.read(n)

    def read(self, block):
        return self.read_at(block * BLOCK, BLOCK)

    def write(self, block, data):
        self.f.seek(block * BLOCK)
        self.f.write(data)
        self.f.flush()

    def entry_at(self, nid):
        """Where the NAT has a node's entry: only in packs of one block."""
        i = nid // 455
        block = self.nat + 2 * i - i % 512
        if self.checkpoint[192 + self.sit_bitmap + i // 8] & 0x80 >> i % 8:
            block += 512
        return block * BLOCK + nid % 455 * 9

    def node(self, nid):
        """The block that has a node, and its bytes."""
        block = struct.unpack("<I", self.read_at(self.entry_at(nid) + 5, 4))[0]
        return block, bytearray(self.read(block))

    def set_checkpoint(self, flags=None, total=None, start=None):
        if flags is not None:
            struct.pack_into("<I", self.checkpoint, 132, flags)
        if total is not None:
            struct.pack_into("<I", self.checkpoint, 136, total)
            self.total = total
        if start is not None:
            struct.pack_into("<I", self.checkpoint, 140, start)
        at = struct.unpack_from("<I", self.checkpoint, 164)[0]
        struct.pack_into("<I", self.checkpoint, at, crc(self.checkpoint[:at]))
        for block in (self.pack, self.pack + self.total - 1):
            self.write(block, self.checkpoint)

    def flags(self):
        return struct.unpack_from("<I", self.checkpoint, 132)[0]


def inodes(image):
    return {f["path"]: f["inode"] for f in platter("ls", "-R", "--json", image).json()["files"]}


def valid_blocks(image):
    """Those that fsck.f2fs counts."""
    text = run(["fsck.f2fs", "--dry-run", image], status=None, timeout=300).text
    return int(re.search(r"valid_block_count matching with CP +\[Ok\.\.\] \[0x([0-9a-f]+)\]", text)[1], 16)


def more(top):
    """Long names, many in one folder, a long link, sizes around what fits an inode."""
    files.populate(top)
    os.mkdir(os.path.join(top, "many"))
    for i in range(1500):
        open(os.path.join(top, "many", f"a rather long name of an entry, number {i:05}"), "w").close()
    for n in (1, 8, 9, 255):
        open(os.path.join(top, "n" * n), "w").close()
    for n in (3400, 3688, 3689, 4096, 4097):
        with open(os.path.join(top, f"size{n}"), "wb") as f:
            f.write(lib.prose(n, seed=n))
    os.symlink("t" * 3000, os.path.join(top, "a/long link"))
    os.chmod(os.path.join(top, "many"), 0o1777)
    if os.getuid() == 0:
        os.chown(os.path.join(top, "a/b"), 1234, 43210)


@limit(600)
def test_as_made():
    """Names, types, sizes, modes, times, owners, links and bytes are those of the folder; what is in use fsck counts."""
    top = path("top")
    more(top)
    told, bytes_of = files.told_of(top), files.wanted_hashes(top)
    for name, options in KINDS.items():
        def attempt(options=options):
            image = path("a.img")
            make(image, options, top)
            files.expect_same({k: v for k, v in files.listed(image).items() if k != b"lost+found"}, told, "the listing")
            files.expect_same(files.hashed(image), bytes_of, "the hashes")
            found = {f["path"]: f for f in platter("ls", "-R", "--json", image).json()["files"] if "path_hex" not in f}
            expect_equal(found["large"]["inode"], found["a/again"]["inode"], "the hard link's inode")
            expect_equal(found["large"]["links"], 2, "its links")
            if os.getuid() == 0:
                expect_equal((found["a/b"]["uid"], found["a/b"]["gid"]), (1234, 43210), "owner and group")
            for n in (0, 777, 1499):
                platter("ls", f"{image}:/many/a rather long name of an entry, number {n:05}")
            platter("ls", f"{image}:/many/a rather long name of an entry, number 01500", status=3)
            said = platter("create", "--used-only", "--json", image, path("b.qcow2")).json()["volumes"][0]
            expect_equal(said["whole"], None, "why all of it was kept")
            with Image(image) as i:
                expect_equal(said["used"], (i.main + valid_blocks(image)) * BLOCK, "what is in use")
            space = platter("df", "--json", image).json()["volumes"][0]
            expect_equal((space["content"], space["state"]), ("f2fs", "clean"), "what df tells")
        yield name, attempt


def test_case():
    """In a folder that is kept without regard to case, a name is found in any; in others it is not."""
    top = path("top")
    os.makedirs(os.path.join(top, "folded"))
    open(os.path.join(top, "folded", "Größe"), "w").close()
    make(path("a.img"), ["-O", "extra_attr,casefold", "-C", "utf8"], top, 64 * MIB)
    platter("ls", path("a.img") + ":/folded/GRÖSSE", status=3)
    platter("ls", path("a.img") + ":/folded/GRÖßE", status=3)
    with Image(path("a.img")) as i:
        block, node = i.node(inodes(path("a.img"))["folded"])
        struct.pack_into("<I", node, 80, 0x40000000)
        i.write(block, node)
    platter("ls", path("a.img") + ":/folded/grÖße")


@limit(300)
def test_free_is_free():
    """Noise over what a backup leaves out harms nothing."""
    files.populate(path("top"))
    image = path("a.img")
    make(image, ["-t", "0"], path("top"), noise=True)
    before = files.hashed(image)
    platter("create", "--used-only", "-q", image, path("b.qcow2"))
    expect(scribble(image, path("b.qcow2")) > 100 * MIB, "hardly anything was left out")
    files.expect_same(files.hashed(image), before, "after the noise")
    valid_blocks(image)
    platter("convert", "-q", path("b.qcow2"), path("c.img"))
    files.expect_same(files.hashed(path("c.img")), before, "restored")
    valid_blocks(path("c.img"))


# A cluster of four blocks, each of one byte.
BYTES = b"\0abc"
CLUSTER = b"".join(bytes([c]) * BLOCK for c in BYTES)


def lzo_again(n, literal):
    """The last byte n times more, and then one literal or none."""
    n -= 33
    return b"\x20" + b"\0" * ((n - 1) // 255) + bytes([(n - 1) % 255 + 1, len(literal), 0]) + literal


def lzo():
    out = bytes([17 + 4]) + b"\0" * 4 + lzo_again(BLOCK - 4, b"a")
    return out + lzo_again(BLOCK - 1, b"b") + lzo_again(BLOCK - 1, b"c") + lzo_again(BLOCK - 1, b"") + b"\x11\0\0"


def lzo_rle():
    """A version, and the zeros by runs of them."""
    out, left = b"\x11\x01" + bytes([17 + 4]) + b"\0" * 4, BLOCK - 4
    while left:
        n = min(left, 0x7ff + 4)
        left -= n
        out += bytes([0x18 | (n - 4) & 7, 0xfc | (not left), 0xff, (n - 4) >> 3])
    return out + b"a" + lzo_again(BLOCK - 1, b"b") + lzo_again(BLOCK - 1, b"c") + lzo_again(BLOCK - 1, b"") + b"\x11\0\0"


def lz4():
    """A literal and a match for each byte; the last five must be literals."""
    out = b""
    for c in BYTES:
        n = BLOCK - 1 - 5 * (c == BYTES[-1]) - 4 - 15
        out += b"\x1f" + bytes([c]) + b"\1\0" + b"\xff" * (n // 255) + bytes([n % 255])
    return out + b"\x50" + BYTES[-1:] * 5


def zstd():
    """A frame whose blocks are one byte each, repeated."""
    blocks = [(BLOCK << 3 | 1 << 1 | (c == BYTES[-1])).to_bytes(3, "little") + bytes([c]) for c in BYTES]
    return b"\x28\xb5\x2f\xfd\xa0" + len(CLUSTER).to_bytes(4, "little") + b"".join(blocks)


def test_methods():
    """Clusters of every method, of blocks that do not follow each other; checksums are verified; plain clusters beside them."""
    top = path("top")
    os.makedirs(top)
    plain = lib.noise(len(CLUSTER))
    with open(os.path.join(top, "file"), "wb") as f:
        f.write(lib.noise(4 * len(CLUSTER), seed=2) + plain + b"end")
    make(path("plain.img"), ["-O", "extra_attr,compression"], top, 64 * MIB)
    with open(path("plain.img"), "rb") as f:
        whole = f.read()
    for number, packed in enumerate((lzo(), lz4(), zstd(), lzo_rle())):
        for flags in (0, 1):
            def attempt(number=number, packed=packed, flags=flags):
                image = path("a.img")
                with open(image, "wb") as f:
                    f.write(whole)
                with Image(image) as i:
                    block, node = i.node(inodes(image)["file"])
                    struct.pack_into("<I", node, 80, 4)
                    struct.pack_into("<BBH", node, 392, number, 2, flags)
                    addresses = list(struct.unpack_from("<21I", node, 360 + 36))
                    stored = struct.pack("<II16x", len(packed), crc(packed) if flags else 7) + packed
                    # What unpackers must not look at makes it long: then it is in blocks that do not follow each other.
                    stored = stored.ljust(BLOCK + 1, b"\0")
                    blocks = [addresses[9], addresses[3]]
                    for k, b in enumerate(blocks):
                        i.write(b, stored[k * BLOCK:(k + 1) * BLOCK].ljust(BLOCK, b"\0"))
                    addresses[:16] = [MARK, *blocks] + [HOLE] * 13
                    struct.pack_into("<21I", node, 360 + 36, *addresses)
                    i.write(block, node)
                got = platter("cat", image + ":/file").out
                expect(got == CLUSTER + bytes(3 * len(CLUSTER)) + plain + b"end", "the bytes differ")
                expect("compressed" in platter("ls", "--json", image + ":/file").json()["files"][0]["attributes"],
                       "it is not said to be compressed")
                with Image(image) as i:
                    i.write(blocks[0], struct.pack("<II16x", len(packed), 1234) + packed[:BLOCK - 24].ljust(BLOCK - 24, b"\0"))
                r = platter("cat", image + ":/file", status=3 if flags else 0)
                expect(not flags or "checksum" in r.errors, f"what is told: {r.errors}")
                if flags:
                    platter("cat", "--ignore-checksums", image + ":/file")
            yield f"method {number}, {'with' if flags else 'without'} checksum", attempt


def test_sload_compresses():
    """What sload.f2fs compresses, where it can."""
    top = path("top")
    files.populate(top)
    for method in ("lz4", "lzo"):
        for bits in (2, 5, 8):
            def attempt(method=method, bits=bits):
                make(path("a.img"), ["-O", EXTRA], top, sload=["-c", "-a", method, "-L", str(bits)])
                files.expect_same(files.hashed(path("a.img")), files.wanted_hashes(top), "the hashes")
                expect("compressed" in platter("ls", "--json", path("a.img") + ":/large").json()["files"][0]["attributes"],
                       "nothing is compressed")
            yield f"{method} in clusters of {1 << bits} blocks", attempt


def entry(index, name, value):
    e = struct.pack("<BBH", index, len(name), len(value)) + name + value
    return e + b"\0" * (-len(e) % 4)


def test_attributes():
    """Attributes inline and in a node, one of which begins in the one and ends in the other; access control lists."""
    top = path("top")
    os.makedirs(top)
    for name in ("file", "gives its node"):
        with open(os.path.join(top, name), "wb") as f:
            f.write(b"x")
    make(path("a.img"), [], top, 64 * MIB)
    numbers = inodes(path("a.img"))
    acl = struct.pack("<IHHHHIHHHH", 1, 1, 7, 2, 6, 1234, 4, 5, 32, 4)
    shown = struct.pack("<I" + "HHI" * 4, 2, 1, 7, 0xffffffff, 2, 6, 1234, 4, 5, 0xffffffff, 32, 4, 0xffffffff)
    data = struct.pack("<II16x", 0xf2f52011, 1) + entry(1, b"first", b"1") + entry(2, b"", acl) + entry(6, b"capability", b"c" * 20) \
        + entry(9, b"c", b"hidden") + entry(1, b"long", bytes(range(250)) * 8) + entry(4, b"empty", b"")
    with Image(path("a.img")) as i:
        block, node = i.node(numbers["file"])
        other, rest = i.node(numbers["gives its node"])
        node[3] |= 1
        at = BLOCK - 24 - 20 - 200
        node[at:at + 200] = data[:200]
        struct.pack_into("<I", node, 76, numbers["gives its node"])
        i.write(block, node)
        rest[:4072] = data[200:].ljust(4072, b"\0")
        struct.pack_into("<I", rest, 4076, numbers["file"])
        i.write(other, rest)
    files.expect_same(files.xattrs_listed(path("a.img") + ":/file"), {
        b"": {"user.first": b"1", "system.posix_acl_access": shown, "security.capability": b"c" * 20,
              "user.long": bytes(range(250)) * 8, "trusted.empty": b""}}, "the attributes")


def test_devices():
    """Devices, of numbers as old Linux has them and as new, pipes and sockets."""
    top = path("top")
    os.makedirs(top)
    kinds = {"old": (0o020600, 12 << 8 | 34, 0, ("character device", 12, 34)),
             "new": (0o060640, 0, os.makedev(259, 70000), ("block device", 259, 70000)),
             "pipe": (0o010644, 0, 0, ("fifo", None, None)), "socket": (0o140755, 0, 0, ("socket", None, None))}
    for name in kinds:
        open(os.path.join(top, name), "w").close()
    make(path("a.img"), [], top, 64 * MIB)
    numbers = inodes(path("a.img"))
    with Image(path("a.img")) as i:
        for name, (mode, old, new, _) in kinds.items():
            block, node = i.node(numbers[name])
            struct.pack_into("<H", node, 0, mode)
            node[3] = 0
            struct.pack_into("<II", node, 360, old, new)
            i.write(block, node)
    for f in platter("ls", "--json", path("a.img")).json()["files"]:
        expect_equal((f["type"], f["major"], f["minor"]), kinds[f["path"]][3], f["path"])
        expect_equal(f["mode"], kinds[f["path"]][0] & 0o7777, "its mode")


def test_encrypted():
    """Encrypted folders and files are told to be so, with the names that Linux shows without the key."""
    top = path("top")
    os.makedirs(os.path.join(top, "secret"))
    with open(os.path.join(top, "secret", "sixteen bytes it"), "wb") as f:
        f.write(b"x" * 5000)
    make(path("a.img"), ["-O", "encrypt"], top, 64 * MIB)
    numbers = inodes(path("a.img"))
    with Image(path("a.img")) as i:
        for number in numbers.values():
            block, node = i.node(number)
            node[2] |= 4
            i.write(block, node)
    found = {f["path"]: f for f in platter("ls", "-R", "--json", path("a.img")).json()["files"]}
    expect_equal(len(found), 2, "files")
    for name, f in found.items():
        expect("encrypted" in f["attributes"], f"{name} is not told to be encrypted")
    name = max(found, key=len)
    expect(re.fullmatch(r"secret/[\w-]{32}", name), f"its name: {name}")
    expect("encrypted" in platter("cat", f"{path('a.img')}:/{name}", status=3).errors, "why it is not read")


def test_journals():
    """What the checkpoint's journals say goes before the tables, in compact summaries and in others."""
    top = path("top")
    files.populate(top)
    for compact in (True, False):
        def attempt(compact=compact):
            image = path("a.img")
            make(image, [], top, 128 * MIB)
            number = inodes(image)["large"]
            before, used = files.hashed(image), valid_blocks(image)
            with Image(image) as i:
                at = i.entry_at(number)
                nat = struct.pack("<HI", 1, number) + i.read_at(at, 9)
                i.f.seek(at)
                i.f.write(bytes(9))
                # The entry of the first segment in which blocks are in use.
                bit = i.checkpoint[192] & 0x80
                table = (i.sit + (512 if bit else 0)) * BLOCK
                segment = next(s for s in range(55) if struct.unpack("<H", i.read_at(table + 74 * s, 2))[0] & 1023)
                sit = struct.pack("<HI", 1, segment) + i.read_at(table + 74 * segment, 74)
                i.f.seek(table + 74 * segment)
                i.f.write(bytes(74))
                if compact:
                    i.set_checkpoint(flags=i.flags() | 4, total=20, start=13)
                    i.write(i.pack + 13, nat.ljust(507, b"\0") + sit.ljust(BLOCK - 507, b"\0"))
                else:
                    i.set_checkpoint(flags=i.flags() & ~4, total=20)
                    for k, journal in enumerate((nat, b"", sit, b"", b"", b"")):
                        i.write(i.pack + 13 + k, (bytes(3584) + journal).ljust(BLOCK, b"\0"))
                main = i.main
            files.expect_same(files.hashed(image), before, "the hashes")
            said = platter("create", "--used-only", "--json", image, path("c.qcow2")).json()["volumes"][0]
            expect_equal((said["whole"], said["used"]), (None, (main + used) * BLOCK), "what is in use")
        yield "compact" if compact else "plain", attempt


def test_dirty():
    """What was not unmounted is told, and kept whole."""
    make(path("a.img"), [], None, 64 * MIB)
    with Image(path("a.img")) as i:
        i.set_checkpoint(flags=i.flags() & ~1)
    said = lib.info(path("a.img"))["contents"][0]
    expect(any("not unmounted" in w for w in said["warnings"]), f"no warning: {said['warnings']}")
    expect_equal(platter("df", "--json", path("a.img")).json()["volumes"][0]["state"], "dirty", "its state")
    said = platter("create", "--used-only", "--json", path("a.img"), path("b.qcow2")).json()
    expect_equal(said["unused"], 0, "bytes left out")


@limit(300)
def test_damage():
    """Copies stand in for what is damaged; what is wrong is told, and never ends the listing of the rest."""
    top = path("top")
    files.populate(top)
    make(path("a.img"), ["-O", EXTRA], top, 128 * MIB)
    before, numbers = files.hashed(path("a.img")), inodes(path("a.img"))

    def broken(change):
        run(["cp", path("a.img"), path("b.img")])
        with Image(path("b.img")) as i:
            change(i)
        return path("b.img")

    def first_super(i):
        i.f.seek(1024 + 100)
        i.f.write(b"\xff" * 4)
    image = broken(first_super)
    files.expect_same(files.hashed(image), before, "with the second superblock")
    expect(any("superblock" in w for w in lib.info(image)["contents"][0]["warnings"]), "no warning")

    def both_packs(i):
        for block in (i.cp, i.cp + 512):
            i.write(block, bytes(200))
    expect("checkpoint" in platter("ls", broken(both_packs), status=3).errors, "what is told")

    def one_inode(i):
        block, node = i.node(numbers["a/b/file7"])
        node[16] ^= 1
        i.write(block, node)
    r = platter("hash", "-R", broken(one_inode), status=4)
    expect("checksum" in r.errors, f"what is told: {r.errors}")
    expect_equal(len(r.text.splitlines()), len(before) - 1, "files that are read")
    platter("hash", "-R", "--ignore-checksums", path("b.img"))

    def one_block(i):
        _, node = i.node(numbers["a/b"])
        at = 360 + 36
        i.write(next(b for b in struct.unpack_from("<800I", node, at) if b), b"\xff" * BLOCK)
    r = platter("ls", "-R", broken(one_block), status=4)
    expect(len(r.text.splitlines()) > 50, f"the rest is not listed: {len(r.text.splitlines())}")

    rng = random.Random(1)
    with open(path("a.img"), "rb") as f:
        start = f.read(32 * MIB)
    places = [1024, 1100, 2180, *(512 * BLOCK * k + n for k in range(1, 16) for n in range(0, 8192, 16) if
                                   any(start[512 * BLOCK * k + n:512 * BLOCK * k + n + 16]))]
    for _ in range(30):
        image = bytearray(start)
        for _ in range(20):
            image[rng.choice(places) + rng.randrange(16)] = rng.randrange(256)
        with open(path("b.img"), "wb") as f:
            f.write(image)
            f.truncate(128 * MIB)
        platter("ls", "-R", "--ignore-checksums", path("b.img"), status=(0, 3, 4))
