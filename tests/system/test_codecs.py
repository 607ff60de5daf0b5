# SPDX-License-Identifier: GPL-3.0-or-later
"""Codecs by name, on the command line; and held against other programs, which read them in Apple's disk images."""
import bz2
import lzma
import os
import plistlib
import random
import struct
import zlib

from lib import BUILD, KIB, MIB, expect, expect_equal, manifest, mixed_raw, path, platter, run, unpacked

CODECS = ["zstd", "zlib", "bzip2", "lzfse", "lzvn", "xz", "lz4"]
# Kinds of chunks in Apple's disk images.
KINDS = {0x80000004: "adc", 0x80000005: "zlib", 0x80000006: "bzip2", 0x80000007: "lzfse", 0x80000008: "xz"}
CHUNK = 256 * KIB


def encode(codec, level, data):
    return run([os.path.join(BUILD, "tests/codec"), codec, level], input=data).out


def decode(codec, data, size):
    return run([os.path.join(BUILD, "tests/codec"), "-d", codec, size], input=data).out


def samples():
    """Chunks of what disks hold: nothing, noise, text, programs, short patterns, all of it."""
    noise = random.Random(7)
    with open(os.path.join(BUILD, "platter"), "rb") as f:
        program = f.read(CHUNK)
    text = " ".join(noise.choice(["sector", "cluster", "image", "of", "the", "disk"]) for _ in range(CHUNK)).encode()[:CHUNK]
    short = b"".join(noise.randbytes(noise.randrange(1, 9)) * noise.randrange(1, 400) for _ in range(2000))[:CHUNK]
    mix = b"".join(noise.choice([program, text, short, bytes(CHUNK), noise.randbytes(4096)])[i:i + 1536] for i in range(0, CHUNK, 1536))
    return [bytes(CHUNK), noise.randbytes(CHUNK), text, program.ljust(CHUNK, b"p"), short, mix[:CHUNK], text[:2048], noise.randbytes(512)]


def disk_image(name, kind, chunks):
    """A disk image of Apple's with one table; `chunks` are pairs of what is stored and what it decodes to.  Those that
    did not get shorter are stored as they are, as all writers have it."""
    stored, table, sector, whole = b"", b"", 0, b"".join(plain for _, plain in chunks)
    for packed, plain in chunks:
        shorter = len(packed) < len(plain)
        packed = packed if shorter else plain
        table += struct.pack(">II4Q", kind if shorter else 1, 0, sector, len(plain) // 512, len(stored), len(packed))
        stored += packed
        sector += len(plain) // 512
    table += struct.pack(">II4Q", 0xffffffff, 0, sector, 0, len(stored), 0)
    crc = struct.pack(">I", zlib.crc32(whole))
    mish = struct.pack(">4sI3QIi24xII4s124xI", b"mish", 1, 0, sector, 0, 0x808, -2, 2, 32, crc, len(chunks) + 1) + table
    plist = plistlib.dumps({"resource-fork": {"blkx": [
        {"Attributes": "0x0050", "CFName": "whole disk", "Name": "whole disk (unknown partition : 0)", "ID": "0", "Data": mish}]}})
    koly = struct.pack(">4s3I5QII16xII4s124xQQ120xII4s124xIQ12x", b"koly", 4, 512, 1, 0, 0, len(stored), 0, 0, 1, 1,
                       2, 32, struct.pack(">I", zlib.crc32(stored)), len(stored), len(plist),
                       2, 32, struct.pack(">I", zlib.crc32(crc)), 2, sector)
    expect_equal(len(koly), 512, "length of the trailer")
    with open(path(name), "wb") as f:
        f.write(stored + plist + koly)
    return whole


def test_formats_have_some_of_them():
    """A format that compresses stores with a codec what reads back, or says which ones it has."""
    formats = [f for f in platter("formats", "--json").json()["formats"] if f["create"]]
    for f in formats:
        def attempt(f=f):
            raw, done = mixed_raw("disk", 4 * MIB), 0
            for codec in CODECS:
                image = path(f["name"] + "-" + codec)
                result = platter("create", "-O", f["name"], "--compress=" + codec, raw, image, status=None)
                if result.status == 0:
                    platter("compare", raw, image)
                    done += 1
                    continue
                expect(result.status == 3, f"exit status is {result.status}")
                said = f"compression '{codec}'" if f["compress"] else "stores nothing compressed"
                expect(said in result.errors, f"the error is {result.errors!r}")
                expect(not os.path.exists(image), "an image was made")
            expect(bool(done) == f["compress"], f"{done} codecs work")
        yield f["name"], attempt


def test_unknown_codec():
    """What is no codec is an error that lists those there are; aliases are understood."""
    raw = mixed_raw("disk", 4 * MIB)
    for name in ("zst", "zstdd", "lzo", "zstd:23", "bzip2:0", "xz:10", ":3", "zlib:"):
        result = platter("create", "-O", "qcow2", "--compress=" + name, raw, path("x"), status=3)
        expect("compression" in result.errors, f"the error is {result.errors!r}")
        expect(":" in name or all(c in result.errors for c in CODECS), f"no list of codecs in {result.errors!r}")
    platter("create", "-O", "qcow2", "--compress=deflate:3", raw, path("y"))
    platter("compare", raw, path("y"))


def in_lzfse(packed, plain):
    """LZVN as a block of LZFSE, as which 7-Zip reads it."""
    return struct.pack("<4sII", b"bvxn", len(plain), len(packed)) + packed + b"bvx$"


def read_by_7zip(codec, kind, levels, wrap=lambda packed, plain: packed):
    for level in levels:
        chunks = [(wrap(encode(codec, level, plain), plain), plain) for plain in samples()]
        whole = disk_image("x.dmg", kind, chunks)
        out = run(["7zz", "t", "-tDmg", path("x.dmg")]).text
        expect("Everything is Ok" in out and "Warnings" not in out, out)
        expect_equal(run(["7zz", "x", "-so", "-tDmg", path("x.dmg")]).out, whole, f"what 7-Zip reads at level {level}")


def test_7zip_reads_them():
    """7-Zip reads what is encoded, at every level."""
    for codec, kind, levels in (("zlib", 0x80000005, (1, 6, 12)), ("bzip2", 0x80000006, (1, 9)),
                                ("lzfse", 0x80000007, range(1, 10)), ("xz", 0x80000008, (0, 6, 9))):
        yield codec, lambda codec=codec, kind=kind, levels=levels: read_by_7zip(codec, kind, levels)
    yield "lzvn", lambda: read_by_7zip("lzvn", 0x80000007, range(1, 10), in_lzfse)


def test_python_reads_and_writes_them():
    """Python's modules read what is encoded, and what they write is decoded."""
    for plain in [*samples(), b"", b"x"]:
        for codec, module in (("bzip2", bz2), ("xz", lzma), ("zlib", zlib)):
            expect(module.decompress(encode(codec, 5, plain)) == plain, f"{codec} is read differently")
            expect(decode(codec, module.compress(plain), len(plain)) == plain, f"{codec} is decoded differently")
        for level in (1, 5):
            expect(decode("bzip2", bz2.compress(plain, level), len(plain)) == plain, "bzip2 is decoded differently")


def tables_of(image):
    """Of each table of a disk image of Apple's: its checksum, and its chunks."""
    at, length = struct.unpack_from(">QQ", image, len(image) - 512 + 0xd8)
    for entry in plistlib.loads(image[at:at + length])["resource-fork"]["blkx"]:
        data = entry["Data"]
        yield struct.unpack_from(">I", data, 0x48)[0], [struct.unpack_from(">II4Q", data, i) for i in range(204, len(data), 40)]


def test_samples_of_disk_images():
    """Each chunk of the samples decodes to what its table's checksum says."""
    names = ["adc.dmg.xz", "bzip2.dmg", "lzfse.dmg.xz", "lzma.dmg", "zlib.dmg.xz"]
    for sample in manifest():
        if not sample.name.startswith("containers/keramics/hfsplus_") or not sample.name.endswith(tuple(names)):
            continue

        def attempt(sample=sample):
            with open(unpacked(sample.stored), "rb") as f:
                image = f.read()
            decoded = 0
            for checksum, chunks in tables_of(image):
                crc = 0
                for kind, _, _, sectors, at, length in chunks:
                    if kind in KINDS:
                        plain = decode(KINDS[kind], image[at:at + length], sectors * 512)
                        decoded += 1
                    elif kind <= 1:
                        plain = image[at:at + length] if kind else bytes(sectors * 512)
                    else:
                        continue
                    crc = zlib.crc32(plain, crc)
                expect_equal(crc, checksum, "the checksum of a table")
            expect(decoded > 2, f"only {decoded} chunks are compressed")
        yield os.path.basename(sample.name), attempt
