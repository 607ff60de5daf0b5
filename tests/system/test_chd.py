# SPDX-License-Identifier: GPL-3.0-or-later
"""CHD against chdman of MAME, both ways: every codec, kinds of data, parents, checksums."""
import hashlib
import os
import re
import struct

import lib
from lib import KIB, MIB, expect, expect_equal, limit, need_tool, path, platter, run

from test_corpus import placed, samples
from test_discs import edc

CODECS = ("none", "zlib", "lzma", "huff", "flac", "zlib,lzma,huff,flac")
CD_CODECS = ("none", "cdzl", "cdlz", "cdfl", "cdlz,cdzl,cdfl")


def chdman(verb, *words, status=0):
    need_tool("chdman")
    return run(["chdman", verb, *words], timeout=200, status=status)


def sums(image):
    """SHA-1 of everything, and of the data, as chdman reads them."""
    text = chdman("info", "-i", image).text
    return {k: re.search(rf"^{k}: +([0-9a-f]{{40}})$", text, re.M).group(1) for k in ("SHA1", "Data SHA1")}


# Doubled in GF(2^8), and what doubled gives with it a byte.
TWICE = [i << 1 ^ (0x11d if i & 0x80 else 0) for i in range(256)]
BACK = {i ^ TWICE[i]: i for i in range(256)}


def parity(area, major, minor, step, along):
    """P or Q of ECMA-130, annex A, over `area`."""
    first, second = bytearray(), bytearray()
    for m in range(major):
        at, a, b = (m >> 1) * step + (m & 1), 0, 0
        for _ in range(minor):
            a, b = TWICE[a ^ area[at]], b ^ area[at]
            at = (at + along) % (major * minor)
        first.append(BACK[TWICE[a] ^ b])
        second.append(first[-1] ^ b)
    return bytes(first + second)


def ecc(area):
    p = parity(area, 86, 24, 2, 86)
    return p + parity(area + p, 52, 43, 86, 88)


def head(lba, mode):
    n = lba + 150
    return b"\0" + b"\xff" * 10 + b"\0" + bytes(v // 10 << 4 | v % 10 for v in (n // 4500, n // 75 % 60, n % 75)) + bytes([mode])


def mode1(lba, user):
    sector = head(lba, 1) + user
    sector += edc(sector) + bytes(8)
    return sector + ecc(sector[12:])


def form1(lba, user):
    body = bytes([0, 0, 8, 0]) * 2 + user
    body += edc(body)
    return head(lba, 2) + body + ecc(bytes(4) + body)


def form2(lba, user):
    body = bytes([0, 0, 0x28, 0]) * 2 + user
    return head(lba, 2) + body + edc(body)


def tone(nr):
    return b"".join(struct.pack("<hh", i % 700 * 30, i % 500 * 20) for i in range(588 * nr))


def disk():
    """Text, noise, samples, few different bytes, zeros, and text again: something for each codec."""
    sound = b"".join(struct.pack("<hh", i % 700 * 30, i % 500 * 20) for i in range(20000))
    few = bytes(b"aaaaaaaabbbcd"[b % 13] for b in lib.noise(60 * KIB, "few"))
    text = lib.prose(200 * KIB)
    data = text + lib.noise(30 * KIB) + sound + few + bytes(100 * KIB) + text[:32 * KIB]
    data += bytes(-len(data) % 4096)
    with open(path("disk.raw"), "wb") as f:
        f.write(data)
    return path("disk.raw")


def disc():
    """Tracks of mode 1, both forms of mode 2, and sound, none of a multiple of 4 sectors."""
    parts = {
        "t1.bin": b"".join(mode1(i, lib.prose(2048, i) if i % 3 else lib.noise(2048, i)) for i in range(101)),
        "t2.bin": b"".join(form1(i, lib.prose(2048, i)) if i % 2 else form2(i, lib.prose(2324, i)) for i in range(101, 151)),
        "t3.bin": tone(77), "t4.bin": tone(34)}
    for name, data in parts.items():
        with open(path(name), "wb") as f:
            f.write(data)
    with open(path("disc.cue"), "w") as f:
        f.write('FILE "t1.bin" BINARY\n  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n'
                'FILE "t2.bin" BINARY\n  TRACK 02 MODE2/2352\n    INDEX 01 00:00:00\n'
                'FILE "t3.bin" BINARY\n  TRACK 03 AUDIO\n    INDEX 00 00:00:00\n    INDEX 01 00:00:20\n'
                'FILE "t4.bin" BINARY\n  TRACK 04 AUDIO\n    PREGAP 00:02:00\n    INDEX 01 00:00:00\n')
    return path("disc.cue")


# ---- chdman's are read ----

def test_codecs_of_chdman():
    """Disks that chdman makes with each codec alone, and with all, read the same, and their sums are right."""
    raw = disk()
    for codec in CODECS:
        def attempt(codec=codec):
            for verb, more in (("createhd", []), ("createraw", ["-hs", "6144", "-us", "512"])):
                image = path("a.chd")
                chdman(verb, "-f", "-i", raw, "-o", image, "-c", codec, *more)
                platter("compare", image, raw)
                platter("verify", image)
        yield codec, attempt


def test_discs_of_chdman():
    """CDs that chdman makes with each codec alone, and with all, are the disc that they were made of."""
    cue = disc()
    for codec in CD_CODECS:
        def attempt(codec=codec):
            image = path("a.chd")
            chdman("createcd", "-f", "-i", cue, "-o", image, "-c", codec)
            platter("compare", f"{image}?disk=raw", f"{cue}?disk=raw")
            platter("compare", image, cue)
            platter("verify", image)
            have = lib.info(image)["disc"]["tracks"]
            expect_equal([(t["mode"], t["start"], t["pregap"], t["length"]) for t in have],
                         [("mode1", 0, 0, 101), ("mode2", 101, 0, 50), ("audio", 171, 20, 57), ("audio", 378, 150, 34)], "tracks")
            if codec != "none":
                frames = platter("hash", "--hash=sha1", f"{image}?disk=frames").text.split()[0]
                expect_equal(frames, sums(image)["Data SHA1"], "SHA-1 of the frames")
        yield codec, attempt


def test_children_of_chdman():
    """A child's parent is found by its SHA-1 in the folder, or given; any other is refused."""
    raw, changed, base, other = disk(), path("changed.raw"), path("base.chd"), path("other.chd")
    with open(raw, "rb") as f:
        data = f.read()
    with open(changed, "wb") as f:
        f.write(data[:50000] + lib.noise(3000) + data[53000:250000] + data[100000:len(data) - 150000])
    size = os.path.getsize(changed) // 4096 * 4096
    os.truncate(changed, size)
    chdman("createraw", "-f", "-i", raw, "-o", base, "-hs", "4096", "-us", "512")
    chdman("createraw", "-f", "-i", changed, "-o", other, "-hs", "4096", "-us", "512")
    for codec in ("none", "zlib"):
        def attempt(codec=codec):
            child, away = os.path.join(os.path.dirname(base), "child.chd"), path("away")
            chdman("createraw", "-f", "-i", changed, "-o", child, "-op", base, "-hs", "4096", "-us", "512", "-c", codec)
            platter("compare", child, changed)
            platter("verify", child)
            os.makedirs(away, exist_ok=True)
            os.replace(child, os.path.join(away, "child.chd"))
            child = os.path.join(away, "child.chd")
            expect("in its folder" in platter("verify", child, status=3).errors, "the parent is not named")
            platter("verify", "--parent", base, child)
            expect("is not the parent" in platter("verify", "--parent", other, child, status=1).text, "the wrong parent is taken")
            platter("map", f"{child}?backing=no")
        yield codec, attempt


# ---- ours are read ----

def option(codecs):
    return ["-o", "codecs=" + codecs.replace(",", "+")]


@limit(200)
def test_codecs_of_ours():
    """Disks that platter makes with each codec: chdman verifies and extracts them, its own have the same sums."""
    raw = disk()
    for codec in CODECS + ("zstd",):
        def attempt(codec=codec):
            ours, theirs, back = path("ours.chd"), path("theirs.chd"), path("back.raw")
            platter("convert", "-q", "--force", "--verify", *option(codec), raw, ours)
            platter("verify", ours)
            # chdman of before 0.255 knows no zstd.
            if codec == "zstd":
                return
            chdman("verify", "-i", ours)
            chdman("extracthd", "-f", "-i", ours, "-o", back)
            lib.same_bytes(back, raw)
            if codec != "none":
                chdman("createhd", "-f", "-i", raw, "-o", theirs, "-c", codec)
                expect_equal(sums(ours), sums(theirs), "SHA-1")
                expect(os.path.getsize(ours) < os.path.getsize(theirs) * 1.05, "ours is larger")
        yield codec, attempt


@limit(200)
def test_discs_of_ours():
    """CDs that platter makes with each codec: chdman verifies them and extracts the same as from its own."""
    cue = disc()
    for codec in CD_CODECS + ("cdzs",):
        def attempt(codec=codec):
            ours, theirs = path("ours.chd"), path("theirs.chd")
            platter("convert", "-q", "--force", "--verify", *option(codec), cue, ours)
            platter("compare", f"{ours}?disk=raw", f"{cue}?disk=raw")
            if codec == "cdzs":
                return
            chdman("createcd", "-f", "-i", cue, "-o", theirs, "-c", codec)
            chdman("verify", "-i", ours)
            extracted = []
            for image in (ours, theirs):
                chdman("extractcd", "-f", "-i", image, "-o", path("x.cue"), "-ob", path("x.bin"))
                with open(path("x.cue")) as sheet, open(path("x.bin"), "rb") as sectors:
                    extracted.append((sheet.read(), hashlib.sha256(sectors.read()).hexdigest()))
            expect_equal(extracted[0], extracted[1], "sheet and sectors")
            if codec != "none":
                expect_equal(sums(ours), sums(theirs), "SHA-1")
        yield codec, attempt


def test_data_as_disc_and_dvd():
    """Data becomes a CD as chdman makes it, or a DVD."""
    iso = path("data.iso")
    with open(iso, "wb") as f:
        f.write(lib.prose(2048 * 701))
    platter("convert", "-q", "--verify", "-o", "type=cd", iso, path("cd.chd"))
    chdman("createcd", "-i", iso, "-o", path("theirs.chd"))
    expect_equal(sums(path("cd.chd")), sums(path("theirs.chd")), "SHA-1")
    platter("compare", path("cd.chd"), iso)
    platter("convert", "-q", "--verify", "-o", "type=dvd", iso, path("dvd.chd"))
    chdman("verify", "-i", path("dvd.chd"))
    expect("DVD" in chdman("info", "-i", path("dvd.chd")).text, "no metadata of a DVD")
    expect_equal(lib.info(path("dvd.chd"))["sector_size"], 2048, "sector")
    os.truncate(iso, 2048 * 700 + 512)
    expect(platter("convert", "-o", "type=cd", iso, path("no.chd"), status=3).errors, "2048")


def test_odd_sizes_and_streams():
    """Disks that end within a hunk and within a sector, a stream, and an empty disk."""
    raw = disk()
    for size in (1, 4095, 200001, 300 * KIB + 512):
        os.truncate(raw, size)
        for codec in ("zlib", "none"):
            platter("convert", "-q", "--force", "--verify", *option(codec), "-o", "type=raw", raw, path("a.chd"))
            expect_equal(lib.info(path("a.chd"))["size"], size, "size")
            platter("compare", path("a.chd"), raw)
            chdman("verify", "-i", path("a.chd"))
    with open(raw, "rb") as f:
        platter("convert", "-q", "--force", "-", path("b.chd"), stdin=f)
    chdman("verify", "-i", path("b.chd"))
    platter("compare", path("b.chd"), raw)
    platter("create", "--size", "40M", path("empty.chd"))
    chdman("extracthd", "-i", path("empty.chd"), "-o", path("empty.raw"))
    expect(not any(open(path("empty.raw"), "rb").read()), "an empty disk is not empty")


def test_zeros_and_copies_are_stored_once():
    """A disk of zeros, and one of the same hunk again and again, are a few hundred bytes."""
    for name, data in (("zeros", bytes(24 * MIB)), ("copies", lib.noise(4096) * 500)):
        with open(path("disk"), "wb") as f:
            f.write(data)
        platter("convert", "-q", "--force", "--verify", path("disk"), path("a.chd"))
        chdman("verify", "-i", path("a.chd"))
        expect(os.path.getsize(path("a.chd")) < 5500, f"{name}: {os.path.getsize(path('a.chd'))} bytes")


def test_wrong_options():
    """Codecs of the other kind, twice, too many or unknown, hunks of no whole sectors, and levels are refused."""
    raw = disk()
    for words in (["codecs=cdzl"], ["codecs=zlib+zlib"], ["codecs=avhu"], ["codecs=zlib+lzma+huff+flac+zstd"], ["hunk=1000"],
                  ["hunk=2M"], ["type=floppy"], ["type=cd", "codecs=zlib"], ["type=cd", "hunk=4096"]):
        many = [w for word in words for w in ("-o", word)]
        platter("convert", "-q", *many, raw, path("no.chd"), status=3)
    platter("convert", "-q", "-c=zlib:3", raw, path("no.chd"), status=3)
    expect(not os.path.exists(path("no.chd")), "something was made")


# ---- damage ----

def test_damage_is_found():
    """A flipped bit in a hunk, in the map, in a sum or in the metadata is damage."""
    raw, image, broken = disk(), path("a.chd"), path("broken.chd")
    platter("convert", "-q", "-o", "codecs=zlib", raw, image)
    with open(image, "rb") as f:
        whole = f.read()
    map_at, meta_at = struct.unpack(">QQ", whole[40:56])
    for what, at in (("a hunk", 1000), ("the data's sum", 70), ("the whole sum", 90), ("metadata", meta_at + 20)):
        with open(broken, "wb") as f:
            f.write(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        expect(platter("verify", broken, status=1).text, what)
    with open(broken, "wb") as f:
        f.write(whole[:map_at + 11] + bytes([whole[map_at + 11] ^ 1]) + whole[map_at + 12:])
    platter("info", broken, status=3)
    platter("compare", f"{broken}", raw, "--ignore-checksums")


# ---- samples ----

def check_sample(s):
    image = placed(s)
    whole = f"{image}?disk=frames"
    if "datasha1" in s.expect:
        expect_equal(platter("hash", "--hash=sha1", whole).text.split()[0], s.expect["datasha1"], "SHA-1 of the data")
    if "vsize" in s.expect:
        expect_equal(lib.info(whole)["size"], int(s.expect["vsize"]), "size")
    if "sha256" in s.expect:
        expect_equal(platter("hash", whole).text.split()[0], s.expect["sha256"], "SHA-256")
    if "bin.size" in s.expect:
        expect_equal(lib.info(f"{image}?disk=raw")["size"], int(s.expect["bin.size"]), "size of the sectors")
        expect_equal(platter("hash", f"{image}?disk=raw").text.split()[0], s.expect["bin.sha256"], "SHA-256 of the sectors")
    platter("verify", image, status=(0, 4))


def test_samples():
    """CHDs of igir, and those made of other samples by chdman, read as the manifest says."""
    found = samples(lambda s: s.name.endswith(".chd"))
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)
