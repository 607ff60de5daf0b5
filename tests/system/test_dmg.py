# SPDX-License-Identifier: GPL-3.0-or-later
"""UDIF (.dmg): held against 7-Zip, dmg2img, QEMU and a reader in Python, both ways."""
import os
import struct

import lib
import udif
from lib import KIB, MIB, expect, expect_equal, limit, need_tool, path, platter, run, weight

# What hdiutil calls them, the kind of their chunks, who reads them besides 7-Zip.
FORMATS = [("UDZO", udif.ZLIB, "dmg2img qemu"), ("UDBZ", udif.BZIP2, "dmg2img"), ("ULFO", udif.LZFSE, ""),
           ("ULMO", udif.LZMA, ""), ("UDRO", None, "dmg2img qemu")]


def read(name):
    with open(name, "rb") as f:
        return f.read()


def awkward(name, size):
    """Noise, text, zeros and stale bytes across the borders of chunks; the end is no whole sector if the size is not."""
    runs = [(0, lib.noise(700)), (MIB - 900, lib.noise(1800, 2)), (2 * MIB, lib.prose(900 * KIB)), (4 * MIB + 512, bytes(KIB)),
            (5 * MIB, lib.noise(MIB, 3)), (6 * MIB, lib.prose(3 * MIB, 2)), (max(0, size - 600), lib.noise(min(600, size), 4))]
    raw = lib.make_raw(name, size, [r for r in runs if r[0] < size])
    os.truncate(raw, size)
    return raw


def seven_reads(image, raw):
    """7-Zip finds every checksum right, and the same bytes in the tables one after the other."""
    r = run(["7zz", "t", "-tDmg", image], timeout=120)
    expect("Everything is Ok" in r.text and "Warning" not in r.text, r.text)
    r = run(["sh", "-c", f"7zz e -so -tDmg {image} | cmp - {raw}"], status=None, timeout=120)
    expect(r.status == 0, f"7zz reads other bytes: {r}")


def others_read(image, raw, who):
    seven_reads(image, raw)
    if "dmg2img" in who:
        run(["dmg2img", "-s", image, path("theirs")], timeout=120)
        # It leaves the zeros at the end out.
        os.truncate(path("theirs"), os.stat(raw).st_size)
        lib.same_bytes(path("theirs"), raw)
        os.remove(path("theirs"))
    if "qemu" in who:
        run(["qemu-img", "compare", "-f", "dmg", "-F", "raw", image, raw], timeout=120)


@limit(300)
@weight(6)
def test_what_we_write():
    """Each format, of disks of awkward sizes, passes the three levels of checksums of 7-Zip and of a reader in Python, and
    reads as the disk to all who know the format."""
    need_tool("7zz", "dmg2img", "qemu-img")
    for name, kind, who in FORMATS:
        for size in (512, 7 * MIB + 1536, 13 * MIB + 700):
            def attempt(name=name, kind=kind, who=who, size=size):
                raw, image = awkward("disk", size), path("image.dmg")
                platter("create", "-q", "--no-sync", "--force", "-o", f"format={name}", raw, image)
                os.truncate(raw, -(-size // 512) * 512)
                whole = read(raw)
                ours = udif.Image(image)
                expect(ours.disk(whole) == whole, "other bytes")
                expect(ours.kinds() <= {kind, udif.RAW, udif.ZERO} - {None}, f"kinds of chunks: {ours.kinds()}")
                expect(size == 512 or kind is None or kind in ours.kinds(), "nothing is compressed")
                expect_equal((ours.variant, [t.name for t in ours.tables]), (2, ["whole disk (unknown partition : 0)"]), "tables")
                others_read(image, raw, who)
                said = platter("verify", "--json", image).json()["images"][0]
                expect_equal(said["findings"], [], "findings")
                platter("compare", raw, image)
            yield f"{name}, {size} bytes", attempt


def test_compress_is_the_same_as_format():
    """--compress chooses the format, and must agree with it."""
    raw = awkward("disk", 7 * MIB)
    for codec, name in (("zlib:1", "UDZO"), ("bzip2", "UDBZ"), ("lzfse", "ULFO"), ("lzma:2", "ULMO"), ("xz", "ULMO")):
        platter("create", "-q", "--no-sync", "--force", f"--compress={codec}", raw, path("a.dmg"))
        facts = lib.info(path("a.dmg"))["layers"][-1]["facts"]
        expect_equal(facts["subformat"], name, codec)
        platter("create", "-q", "--no-sync", "--force", f"--compress={codec}", "-o", f"format={name}", raw, path("b.dmg"))
    r = platter("create", "-q", "--compress=bzip2", "-o", "format=UDZO", raw, path("c.dmg"), status=3)
    expect("format=UDZO does not go with compression by bzip2" in r.errors, r.errors)
    r = platter("create", "-q", "-o", "format=UDTO", raw, path("c.dmg"), status=3)
    expect("*.cdr" in r.errors, r.errors)
    platter("create", "-q", raw, path("c.cdr"))
    lib.same_bytes(raw, path("c.cdr"))


# ---- tables ----

def gpt_disk():
    raw = lib.make_raw("disk", 12 * MIB, [(40 * 512, lib.prose(MIB)), (5 * MIB, lib.noise(300 * KIB))])
    run(["sgdisk", "-a", "1", "-n", "1:40:10000", "-t", "1:af00", "-c", "1:disk image", "-n", "2:10240:20000", "-t", "2:8300",
         "-c", "2:R&D <1>", raw])
    return raw


def named(image):
    return [(t.name, t.first, t.sectors, t.id, t.descriptor) for t in udif.Image(image).tables]


def test_tables_of_a_gpt():
    """Each partition, each part of the table and each gap has a table under Apple's name; gaps are ignored, not zeros."""
    need_tool("sgdisk", "7zz", "dmg2img", "qemu-img")
    raw, image = gpt_disk(), path("image.dmg")
    platter("create", "-q", "--no-sync", raw, image)
    linux = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
    wanted = [("Protective Master Boot Record (MBR : 0)", 0, 1), ("GPT Header (Primary GPT Header : 1)", 1, 1),
              ("GPT Partition Data (Primary GPT Table : 2)", 2, 32), (" (Apple_Free : 3)", 34, 6),
              ("disk image (Apple_HFS : 4)", 40, 9961), (" (Apple_Free : 5)", 10001, 239),
              (f"R&D <1> ({linux} : 6)", 10240, 9761), (" (Apple_Free : 7)", 20001, 4542),
              ("GPT Partition Data (Backup GPT Table : 8)", 24543, 32), ("GPT Header (Backup GPT Header : 9)", 24575, 1)]
    expect_equal(named(image), [(*w, str(i - 1), i) for i, w in enumerate(wanted)], "tables")
    ours = udif.Image(image)
    expect_equal(ours.variant, 1, "variant")
    expect_equal({c[0] for t in ours.tables if "Free" in t.name for c in t.chunks}, {udif.IGNORE}, "chunks of free space")
    expect(ours.disk() == read(raw), "other bytes")
    others_read(image, raw, "dmg2img qemu")


def test_tables_of_an_mbr():
    """The same of an MBR with logical partitions."""
    need_tool("sfdisk", "7zz")
    raw, image = lib.make_raw("disk", 12 * MIB, [(2 * MIB, lib.noise(MIB))]), path("image.dmg")
    run(["sfdisk", "-q", raw], input=b"label: dos\nstart=64,size=4000,type=c\nstart=4096,size=16000,type=5\nstart=4160,size=900,type=83\n")
    platter("create", "-q", "--no-sync", raw, image)
    names = [(t.name, t.first) for t in udif.Image(image).tables]
    for name in (("Master Boot Record (MBR : 0)", 0), (" (Windows_FAT_32 : 2)", 64), (" (Linux : 6)", 4160)):
        expect(name in names, f"{name} is not in {names}")
    expect(udif.Image(image).disk() == read(raw), "other bytes")
    seven_reads(image, raw)


def test_tables_like_apples():
    """The samples that Apple's tools made get, after a way through a raw image, the tables that they had."""
    for s in lib.manifest():
        if s.kind != "containers" or ".dmg" not in s.name or "qemu" in s.name:    # the names of that one are in Chinese
            continue

        def attempt(s=s):
            theirs = lib.unpacked(s.stored)
            before = lib.info(theirs)["layers"][-1]["facts"]["table"]
            platter("convert", "-q", "--no-sync", theirs, path("disk.raw"))
            platter("create", "-q", "--no-sync", path("disk.raw"), path("ours.dmg"))
            after = lib.info(path("ours.dmg"))["layers"][-1]["facts"]["table"]
            cut = lambda facts: [f.rsplit(", checksum", 1)[0] for f in facts]
            expect_equal(cut(after), cut(before), "tables")
            # No zeros are in the small ones, which therefore have the same checksums, each way.
            small = [i for i, f in enumerate(before) if "GPT" in f or "MBR" in f or "DDM" in f]
            expect(small and all(after[i] == before[i] for i in small), f"checksums of {after}, they were {before}")
            udif.Image(path("ours.dmg"))
        yield s.name, attempt


# ---- reading ----

def parted_disk():
    """A disk of 5 MiB with noise, text and zeros, and three tables for it."""
    disk = bytearray(5 * MIB)
    disk[:700] = lib.noise(700)
    disk[MIB:2 * MIB] = lib.prose(MIB)
    disk[4 * MIB - 5000:4 * MIB + 5000] = lib.noise(10000, 2)
    return bytes(disk), [("first (Test : 0)", 63), (" (Apple_Free : 1)", 1000), ("last (Test : 2)", 10240 - 1063)]


def test_what_others_write():
    """Images made in Python, with small and large chunks in several tables, read as the disk that they were made from."""
    disk, tables = parted_disk()
    for kind in udif.ENCODERS:
        for chunk in (512, 2048, 7):
            def attempt(kind=kind, chunk=chunk):
                udif.write(path("disk"), disk)
                fork, plist, master = udif.make(disk, tables, kind, chunk)
                image = udif.write(path("x.dmg"), fork, plist, udif.koly(fork, plist, master, 10240))
                platter("compare", path("disk"), image)
                expect_equal(platter("verify", "--json", image).json()["images"][0]["findings"], [], "findings")
            yield f"{kind:#x}, {chunk} sectors", attempt


def test_segments():
    """An image in three files is opened by the first; without the last it says what is missing."""
    disk, tables = parted_disk()
    fork, plist, master = udif.make(disk, tables, udif.ZLIB)
    udif.write(path("disk"), disk)
    cuts = [0, len(fork) // 3 + 1, len(fork) // 3 * 2 + 1, len(fork)]
    for i, name in enumerate(("a.dmg", "a.002.dmgpart", "a.003.dmgpart")):
        part, list_ = fork[cuts[i]:cuts[i + 1]], plist if i == 0 else b""
        udif.write(path(name), part, list_, udif.koly(part, list_, master, 10240, (i + 1, 3), cuts[i]))
    platter("compare", path("disk"), path("a.dmg"))
    r = platter("verify", "--json", path("a.dmg"))
    expect_equal(r.json()["images"][0]["findings"], [], "findings")
    with open(path("a.002.dmgpart"), "r+b") as f:
        f.seek(-512 + 0x58, 2)
        f.write(b"wron")
    r = platter("verify", "--json", path("a.dmg"))
    expect("1 of 3 segments" in r.json()["images"][0]["findings"][0]["message"], r)
    expect_equal(lib.info(path("a.dmg"))["layers"][-1]["facts"]["segments"], 3, "segments")
    os.remove(path("a.003.dmgpart"))
    r = platter("info", path("a.dmg"), status=3)
    expect("segment 3 of 3" in r.errors and "one folder" in r.errors, r.errors)


def test_damage_is_found():
    """verify finds a changed byte of the data fork, each wrong checksum, and says which table it is in."""
    disk, tables = parted_disk()
    fork, plist, master = udif.make(disk, tables, udif.ZLIB)
    whole = fork + plist + udif.koly(fork, plist, master, 10240)
    end = len(whole) - 512

    def found(at, value):
        image = udif.write(path("x.dmg"), whole[:at], bytes([value]), whole[at + 1:])
        return " ".join(f["message"] for f in platter("verify", "--json", image, status=1).json()["images"][0]["findings"])

    expect_equal(platter("verify", "--json", udif.write(path("x.dmg"), whole)).json()["images"][0]["findings"], [], "findings")
    said = found(len(fork) - 4000, whole[len(fork) - 4000] ^ 1)
    expect("bytes of the disk at" in said and "the data fork has" in said, said)
    plain, list_, sums = udif.make(disk, tables, udif.RAW)
    plain = plain[:-1000] + bytes([plain[-1000] ^ 1]) + plain[-999:]
    image = udif.write(path("x.dmg"), plain, list_, udif.koly(plain, list_, sums, 10240))
    said = " ".join(f["message"] for f in platter("verify", "--json", image, status=1).json()["images"][0]["findings"])
    expect("'last (Test : 2)'" in said, said)
    expect("the data fork has" in found(end + 0x58, whole[end + 0x58] ^ 1), "the checksum of the data fork")
    expect("checksums of the tables have" in found(end + 0x168, whole[end + 0x168] ^ 1), "the master checksum")
    said = found(end + 0x1ec + 6, 39)
    expect("the trailer says that the disk has 9984" in said, said)


def test_verify_reads_once():
    """verify of an image reads its file about once, though it compares three levels of checksums."""
    raw = lib.make_raw("disk", 24 * MIB, [(0, lib.noise(20 * MIB))])
    platter("create", "-q", "--no-sync", raw, path("a.dmg"))
    need_tool("strace")
    run(["strace", "-f", "-o", path("trace"), "-e", "trace=read,pread64,preadv", lib.PLATTER, "verify", path("a.dmg")], timeout=120)
    total = 0
    for line in read(path("trace")).decode(errors="replace").splitlines():
        if "pread" in line and line.rsplit("= ", 1)[-1].isdigit():
            total += int(line.rsplit("= ", 1)[-1])
    size = os.stat(path("a.dmg")).st_size
    expect(size <= total < size * 1.2 + MIB, f"{total} bytes read of {size}")


# ---- streams, identifiers, sizes ----

def test_streams():
    """A disk from a pipe becomes an image in a pipe, the same but for its name as one that is written to a file."""
    raw = awkward("disk", 13 * MIB + 512)
    env = {"SOURCE_DATE_EPOCH": "1"}
    platter("create", "-q", "--no-sync", "-O", "dmg", raw, path("file.dmg"), env=env)
    run(["sh", "-c", f"cat {raw} | {lib.PLATTER} create -q -O dmg - - >{path('pipe.dmg')}"], env=env)
    lib.same_bytes(path("file.dmg"), path("pipe.dmg"))
    udif.Image(path("pipe.dmg"))
    platter("compare", raw, path("pipe.dmg"))


def test_identifiers():
    """Images get identifiers of their own, unless SOURCE_DATE_EPOCH asks for the same bytes each time."""
    raw = awkward("disk", 3 * MIB)
    for i in range(2):
        platter("create", "-q", "--no-sync", raw, path(f"r{i}.dmg"))
        platter("create", "-q", "--no-sync", "--compress=zlib", raw, path(f"e{i}.dmg"), env={"SOURCE_DATE_EPOCH": "1700000000"})
    expect(udif.Image(path("r0.dmg")).id != udif.Image(path("r1.dmg")).id, "two images have one identifier")
    lib.same_bytes(path("e0.dmg"), path("e1.dmg"))


@limit(120)
def test_terabytes():
    """A sparse disk of 64 TiB is written and read back at once, in bounded memory, and so is what only claims to be large."""
    size = 64 << 40
    raw = lib.make_raw("disk", size, [(0, b"x" * 512), (size // 3, lib.noise(1100)), (size - 512, b"y" * 512)])
    r = platter("create", "-q", "--no-sync", raw, path("a.dmg"), timeout=100)
    expect(r.rss < 256 * MIB, f"{r.rss >> 20} MiB to write")
    r = platter("verify", path("a.dmg"), timeout=100)
    expect(r.rss < 256 * MIB, f"{r.rss >> 20} MiB to verify")
    platter("compare", raw, path("a.dmg"), timeout=100)
    rows = struct.pack(">IIQQQQ", udif.ZERO, 0, 0, 1 << 54, 0, 0) + struct.pack(">IIQQQQ", udif.TERMINATOR, 0, 1 << 54, 0, 0, 0)
    blob = struct.pack(">4sIQQQIi24x", b"mish", 1, 0, 1 << 54, 0, 0, 0) + bytes(136) + struct.pack(">I", 2) + rows
    plist = udif.plistlib.dumps({"resource-fork": {"blkx": [{"Name": "x", "ID": "0", "Data": blob}]}})
    image = udif.write(path("claim.dmg"), plist, udif.koly(b"", plist, 0, 1 << 54))
    for words in (["info"], ["map"], ["verify"]):
        r = platter(*words, image, status=(0, 1), timeout=30)
        expect(r.rss < 64 * MIB, f"{words}: {r.rss >> 20} MiB")


# ---- licences ----

def test_license():
    """info tells that there is a licence agreement, and shows it, in its default language and as UTF-8, when asked."""
    disk, tables = parted_disk()
    lpic = struct.pack(">HH", 3, 2) + struct.pack(">HHHHHH", 0, 0, 0, 3, 1, 0)
    more = {"LPic": [{"Name": "", "ID": "5000", "Data": lpic}],
            "TEXT": [{"Name": "English", "ID": "5000", "Data": b"Agree?"},
                     {"Name": "German", "ID": "5001", "Data": "Zustimmen für 5 €?\rJa.".encode("mac_roman")}]}
    fork, plist, master = udif.make(disk, tables, udif.ZLIB, more=more)
    image = udif.write(path("x.dmg"), fork, plist, udif.koly(fork, plist, master, 10240))
    said = platter("info", image).text
    expect("Licence agreement" in said and "Zustimmen" not in said, said)
    said = platter("info", "--license", image).text
    expect(said.endswith("Licence agreement\n  Zustimmen für 5 €?\n  Ja.\n"), said)
    facts = lambda *words: platter("info", "--json", *words, image).json()["disks"][0]["layers"][-1]["facts"]
    expect_equal(facts("--license")["license_text"], ["Zustimmen für 5 €?", "Ja."], "the text")
    expect("license_text" not in facts(), "the text is there unasked")


def test_refused():
    """What only looks like an image of a disk, or is one of another time, is refused in words."""
    udif.write(path("ndif.img"), b"\0\4disk".ljust(65, b"\0"), b"rohdddsk".ljust(4096, b"\0"))
    r = platter("info", path("ndif.img"), status=3)
    expect("NDIF" in r.errors and "hdiutil" in r.errors, r.errors)
    udif.write(path("cut.dmg"), lib.noise(4096))
    r = platter("info", path("cut.dmg") + "?format=dmg", status=3)
    expect("'koly'" in r.errors and "?format=raw" in r.errors, r.errors)
