# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile and broken input: a clear end, within 10 s and 256 MiB, under the sanitizers."""
import os
import random
import re
import struct
import zlib

import lib
from lib import KIB, MIB, asan_platter, expect, limit, path, platter, run, shards, unpacked, weight

SECONDS = 10
MEMORY = 256 * MIB
# 0 fine, 1 damaged, 3 could not, 4 done but for bad sectors: all but wrong usage and signals.
STATUSES = (0, 1, 3, 4)
VERBS = ("info", "verify", "create")


def words(verb, place):
    if verb == "create":
        return ["create", "-q", "--force", "--no-sync", "-O", "raw", place, path("out.raw")]
    return [verb, place]


def survives(place, verbs=VERBS, plain=True):
    """Every verb ends as it should, on the build with sanitizers; and, `plain`, on the ordinary one within its memory."""
    for verb in verbs:
        for call in (asan_platter, platter) if plain else (asan_platter,):
            r = call(*words(verb, place), status=None, timeout=2 * SECONDS)
            bad = (r.timed_out or r.status not in STATUSES or r.seconds > SECONDS
                   or "Sanitizer" in r.errors or "runtime error" in r.errors)
            if call is platter:
                bad = bad or r.rss > MEMORY
            expect(not bad, f"{place}\n{r}")
            if r.status == 3:
                expect(r.errors.startswith("platter: "), f"a failure without words: {r}")
    if os.path.exists(path("out.raw")):
        os.remove(path("out.raw"))


def unpack_any(s):
    """The sample unpacked as far as it goes: some are broken archives, some tar files."""
    p = unpacked(s.stored, s.member(), exact=False)
    if not p.endswith(".tar"):
        return p
    top = path("tar")
    os.makedirs(top, exist_ok=True)
    run(["tar", "--sparse", "-xf", p, "-C", top], status=None, timeout=120)
    files = [os.path.join(base, n) for base, _, names in os.walk(top) for n in names]
    return files[0] if files else p


@limit(900)
@weight(7)
@shards(2)
def test_broken_samples():
    """Every broken file of the corpus ends in a clear error or a partial answer."""
    for s in lib.manifest():
        if s.kind == "broken":
            yield s.name, lambda s=s: survives(unpack_any(s))


@limit(900)
@weight(7)
@shards(2)
def test_truncated_samples():
    """Image and partition samples cut short at many lengths do, too."""
    images = re.compile(r"\.(qcow2?|qed|vdi)(\.|$)|/parallels-v")
    for s in lib.manifest():
        if not (s.kind == "partitions" or (s.kind == "containers" and images.search(s.name))):
            continue

        def attempt(s=s):
            whole = unpacked(s.stored, s.member())
            size = os.stat(whole).st_size
            rng = random.Random(s.name)
            lengths = {0, 1, 3, 4, 71, 103, 511, 512, 513, 1024, 4096, 65535, 65536, size // 2, size - 512, size - 1}
            lengths |= {rng.randrange(size) for _ in range(40 if lib.LONG else 4)}
            for n in sorted(n for n in lengths if 0 <= n < size):
                cut = path("cut" + os.path.splitext(whole)[1])
                run(["cp", "--sparse=always", whole, cut])
                os.truncate(cut, n)
                survives(cut, ("info", "verify"), plain=False)
            survives(cut, ("info", "verify", "create"))
        yield s.name, attempt


# ---- header fields set to extremes ----

def extremes(width, value, limit_to=None):
    """Numbers of `width` bytes that break sums, products and comparisons."""
    top = (1 << 8 * width) - 1
    found = {0, 1, 2, 3, 7, 8, 9, 16, 31, 32, 63, 64, 65, 511, 512, 4096, 65535, 65536, 1 << 20, 1 << 24, 1 << 28,
             0x7fffffff, 0x80000000, 0xffffffff, 0xfffffe00, 1 << 32, 1 << 40, (1 << 55) - 512, (1 << 56) - 512, 1 << 62,
             (1 << 63) - 1, 1 << 63, (1 << 64) - 512, (1 << 64) - 1, value + 1, value - 1, value * 2, top, top - 1, top // 2,
             top // 2 + 1}
    return sorted(n for n in found if 0 <= n <= top and n != value)


def with_field(image, at, width, n, order="big", sign=None):
    """The image with one field changed, and checksums made right again by `sign`."""
    data = bytearray(image)
    data[at:at + width] = n.to_bytes(width, order)
    if sign:
        sign(data)
    return data


def try_fields(image, fields, verbs, order="big", sign=None, name="field.img", plain=False):
    """fields: (name, offset, width).  One case a field."""
    for field, at, width in fields:
        def attempt(at=at, width=width):
            value = int.from_bytes(image[at:at + width], order)
            for n in extremes(width, value):
                with open(path(name), "wb") as f:
                    f.write(with_field(image, at, width, n, order, sign))
                survives(path(name), verbs, plain)
        yield field, attempt


QCOW2_HEADER = [
    ("magic", 0, 4), ("version", 4, 4), ("backing file offset", 8, 8), ("backing file size", 16, 4), ("cluster bits", 20, 4),
    ("size", 24, 8), ("crypt method", 32, 4), ("L1 size", 36, 4), ("L1 table offset", 40, 8), ("refcount table offset", 48, 8),
    ("refcount table clusters", 56, 4), ("snapshots", 60, 4), ("snapshots offset", 64, 8), ("incompatible features", 72, 8),
    ("compatible features", 80, 8), ("autoclear features", 88, 8), ("refcount order", 96, 4), ("header length", 100, 4),
    ("compression type", 104, 1), ("extension type", 112, 4), ("extension length", 116, 4)]


def seed(target, name):
    with open(os.path.join(lib.ROOT, "fuzz/seeds", target, name), "rb") as f:
        return f.read()


def qcow2_structure(image):
    """First entries of the tables that the header points to."""
    l1, refcounts, snapshots = (struct.unpack_from(">Q", image, at)[0] for at in (40, 48, 64))
    fields = [("L1 entry", l1, 8), ("refcount table entry", refcounts, 8)]
    l2 = struct.unpack_from(">Q", image, l1)[0] & 0x00fffffffffffe00
    fields += [("L2 entry", l2, 8), ("second L2 entry", l2 + 8, 8)]
    block = struct.unpack_from(">Q", image, refcounts)[0]
    fields += [("refcount", block, 2)]
    if struct.unpack_from(">I", image, 60)[0]:
        fields += [(f"snapshot {n}", snapshots + at, w) for n, at, w in
                   (("L1 offset", 0, 8), ("L1 size", 8, 4), ("id size", 12, 2), ("name size", 14, 2), ("VM state size", 32, 4),
                    ("extra data size", 36, 4), ("disk size", 48, 8))]
    return [f for f in fields if f[1] + f[2] <= len(image)]


@limit(900)
@weight(6)
@shards(2)
def test_qcow2_fields():
    """QCOW2 header and table fields set to extremes."""
    for name in ("v3", "snapshots", "compressed-zstd"):
        image = seed("qcow2", name)
        fields = (QCOW2_HEADER if name == "v3" else []) + qcow2_structure(image)
        for field, attempt in try_fields(image, fields, ("info", "verify"), name="field.qcow2"):
            yield f"{name}: {field}", attempt


@limit(600)
@weight(4)
def test_qcow2_memory():
    """QCOW2 images that ask for huge tables end within the memory that is allowed."""
    image = seed("qcow2", "v3")
    fields = [f for f in QCOW2_HEADER if f[0] in ("size", "L1 size", "refcount table clusters", "snapshots", "cluster bits",
                                                  "header length")]
    yield from try_fields(image, fields, VERBS, name="field.qcow2", plain=True)


def sign_gpt(data, sector=512):
    """Both checksums of the primary header."""
    count, size = struct.unpack_from("<II", data, sector + 80)
    table = struct.unpack_from("<Q", data, sector + 72)[0] * sector
    header_size = struct.unpack_from("<I", data, sector + 12)[0]
    if count * size <= len(data):
        struct.pack_into("<I", data, sector + 88, zlib.crc32(data[table:table + count * size]))
    struct.pack_into("<I", data, sector + 16, 0)
    struct.pack_into("<I", data, sector + 16, zlib.crc32(data[sector:sector + min(header_size, 4096)]))


GPT_HEADER = [("revision", 520, 4), ("header size", 524, 4), ("header CRC", 528, 4), ("my LBA", 536, 8), ("alternate LBA", 544, 8),
              ("first usable LBA", 552, 8), ("last usable LBA", 560, 8), ("entries' LBA", 584, 8), ("entries", 592, 4),
              ("entry size", 596, 4), ("entries' CRC", 600, 4), ("first LBA of entry 1", 1024 + 32, 8),
              ("last LBA of entry 1", 1024 + 40, 8), ("flags of entry 1", 1024 + 48, 8)]


@limit(600)
@weight(5)
def test_gpt_fields():
    """GPT fields set to extremes, with right and with wrong checksums."""
    image = seed("gpt", "gpt")
    for how, sign in (("signed", sign_gpt), ("unsigned", None)):
        for field, attempt in try_fields(image, GPT_HEADER, ("info",), "little", sign):
            yield f"{field}, {how}", attempt


@limit(600)
@weight(4)
def test_mbr_fields():
    """MBR and extended partition fields set to extremes."""
    image = seed("mbr", "mbr")
    fields = [(f"{n} of entry {i} at {at}", at + 446 + 16 * i + o, w) for at in (0, 24 * 512) for i in (0, 1)
              for n, o, w in (("status", 0, 1), ("type", 4, 1), ("start", 8, 4), ("length", 12, 4))]
    yield from try_fields(image, fields + [("signature", 510, 2)], ("info",), "little")


@limit(600)
@weight(4)
def test_other_table_fields():
    """Apple, BSD, Sun and SGI table fields set to extremes."""
    apm = [("block size", 2, 2), ("block count", 4, 4), ("map entries", 516, 4), ("start of entry 2", 1024 + 8, 4),
           ("blocks of entry 2", 1024 + 12, 4), ("entries in entry 2", 1028, 4)]
    yield from try_fields(seed("apm", "apm"), apm, ("info",))
    bsd = [("sector size", 552, 4), ("sectors a track", 556, 4), ("partitions", 512 + 138, 2), ("size of a", 512 + 148, 4),
           ("offset of a", 512 + 152, 4)]

    def sign_bsd(data):
        struct.pack_into("<H", data, 512 + 136, 0)
        n = min(struct.unpack_from("<H", data, 512 + 138)[0], 22)
        s = 0
        for (w,) in struct.iter_unpack("<H", data[512:512 + 148 + 16 * n]):
            s ^= w
        struct.pack_into("<H", data, 512 + 136, s)
    yield from try_fields(seed("bsd", "bsd"), bsd, ("info",), "little", sign_bsd)

    def sign_sun(data):
        s = 0
        for (w,) in struct.iter_unpack(">H", data[:510]):
            s ^= w
        struct.pack_into(">H", data, 510, s)
    sun = [("partitions", 140, 2), ("heads", 436, 2), ("sectors", 438, 2), ("cylinder of 1", 444, 4), ("sectors of 1", 448, 4)]
    yield from try_fields(seed("sun", "sun"), sun, ("info",), "big", sign_sun)

    def sign_sgi(data):
        struct.pack_into(">I", data, 504, 0)
        struct.pack_into(">I", data, 504, -sum(w for (w,) in struct.iter_unpack(">I", data[:512])) & 0xffffffff)
    sgi = [("blocks of 1", 312, 4), ("first of 1", 316, 4), ("type of 1", 320, 4), ("root", 4, 2)]
    yield from try_fields(seed("sgi", "sgi"), sgi, ("info",), "big", sign_sgi)


@limit(600)
def test_seeds():
    """Each fuzz seed through the command, and each with 60 random bytes changed."""
    top = os.path.join(lib.ROOT, "fuzz/seeds")
    for target in sorted(os.listdir(top)):
        if target == "place":
            continue
        for name in sorted(os.listdir(os.path.join(top, target))):
            def attempt(target=target, name=name):
                image = seed(target, name)
                rng = random.Random(name)
                for i in range(20 if lib.LONG else 3):
                    data = bytearray(image)
                    for _ in range(60 if i else 0):
                        data[rng.randrange(min(len(data), 8 * KIB))] = rng.randrange(256)
                    with open(path("seed"), "wb") as f:
                        f.write(data)
                    survives(path("seed"), ("info", "verify"), plain=False)
            yield f"{target}/{name}", attempt


def test_no_hang_on_special_files():
    """Pipes, character devices and folders named as places are refused at once."""
    fifo = path("fifo")
    os.mkfifo(fifo)
    for place in (fifo, "/dev/zero", "/dev/random", lib.folder(), path("missing"), "", "@1", "?", f"{fifo}@1"):
        for verb in ("info", "verify"):
            r = platter(verb, place, status=None, timeout=SECONDS)
            expect(r.status == 3 and r.errors.startswith("platter: "), str(r))


def test_terminal_is_safe():
    """Names in an image cannot send control characters to the terminal."""
    lib.need_tool("sfdisk", "mke2fs")
    disk = lib.make_raw("disk.img", 8 * MIB, [])
    run(["sfdisk", "-q", disk], input=b"label: gpt\nstart=2048,size=8192,name=evil\n")
    run(["mke2fs", "-q", "-t", "ext4", "-L", "evil", "-E", f"offset={MIB}", disk, "4096"])
    with open(disk, "r+b") as f:
        data = bytearray(f.read())
        name = "\x1b[31mno\x07\u202e\u0085".encode("utf-16-le")
        data[1024 + 56:1024 + 56 + len(name)] = name
        sign_gpt(data)
        data[MIB + 1144:MIB + 1152] = b"\x1b]0;x\x07\xff"
        f.seek(0)
        f.write(data)
    r = platter("info", disk)
    for c in ("\x1b", "\x07", "\u202e", "\u0085"):
        expect(c not in r.text + r.errors, f"{c!r} reaches the terminal: {r}")
    lib.info(disk)
