# SPDX-License-Identifier: GPL-3.0-or-later
"""DAA and GBI: what an encoder in Python makes, which daa2iso reads too."""
import os
import struct

import disc_wrappers as wrap
import lib
from disc_wrappers import make_iso, opens_all_the_way, put
from lib import KIB, MIB, expect, expect_equal, path, platter, run


# Those with `theirs` are read by daa2iso, whose table of x86 addresses and of masks is its own.
WAYS = {
    "1.0": dict(),
    "1.0, chunks of 20000": dict(chunk=20000),
    "1.1, LZMA": dict(version=2, kinds=(0,)),
    "1.1, deflate": dict(version=2, kinds=(1,)),
    "1.1, all": dict(version=2, kinds=(0, 1, -1)),
    "1.1, x86": dict(version=2, kinds=(0,), x86=True),
    "1.1, widths": dict(version=2, lengths_bits=18),
    "1.1, masked": dict(version=2, masked=True),
    "1.1, masked bits": dict(version=2, bits_masked=True),
    "1.1, both": dict(version=2, masked=True, bits_masked=True, lengths_bits=20, chunk=256 * KIB),
    "GBI": dict(version=2, gbi=True),
    "GBI, masked": dict(version=2, gbi=True, masked=True, kinds=(0,), x86=True),
}


def test_ways():
    """Each version, codec, filter and mask reads as the disc does, to daa2iso too."""
    lib.need_tool("daa2iso")
    iso = make_iso()
    for name, how in WAYS.items():
        def attempt(how=how):
            image = put("a.daa", wrap.daa(iso, **how)[0])
            plain = put("disc", iso)
            platter("compare", plain, image)
            platter("verify", "-q", image)
            r = run(["daa2iso", image, path("back.iso")], status=None, timeout=120)
            expect(os.path.exists(path("back.iso")), f"daa2iso refuses it: {r}")
            lib.same_bytes(plain, path("back.iso"))
        yield name, attempt


def test_parts():
    """Three files under every kind of name, cut within chunks."""
    iso = make_iso()
    for names in (("a.daa", "a.d00", "a.d01"), ("b.part01.daa", "b.part02.daa", "b.part03.daa"),
                  ("c.part001.daa", "c.part002.daa", "c.part003.daa"), ("g.gbi", "g.g00", "g.g01")):
        def attempt(names=names):
            how = dict(version=2, gbi=True) if names[0].endswith("gbi") else dict()
            for name, data in zip(names, wrap.daa(iso, cut=(100 * KIB + 1, 33 * KIB + 7), **how)):
                put(name, data)
            image = path(names[0])
            platter("compare", put("disc", iso), image)
            expect("later part" in platter("info", path(names[1]), status=3).errors, "a part is taken for the first")
            if not how:
                lib.need_tool("daa2iso")
                run(["daa2iso", image, path("back.iso")], status=None)
                lib.same_bytes(path("disc"), path("back.iso"))
            os.remove(path(names[2]))
            expect(names[2] in platter("info", image, status=3).errors, "the missing part is not named")
        yield names[0], attempt


def test_refused():
    """What is encrypted or not known is refused by its name."""
    iso = lib.noise(100 * KIB)
    encrypted = wrap.daa(iso, descriptors=struct.pack("<IIII", 3, 144, 0, 0) + bytes(128))[0]
    expect("encrypted" in platter("info", put("a.daa", encrypted), status=3).errors, "not named")
    for flag, word in ((0x4000, "compressed"), (0x800000, "swapped")):
        image = bytearray(wrap.daa(iso, 2)[0])
        image[36:40] = struct.pack("<I", struct.unpack_from("<I", image, 36)[0] | flag)
        image[72:76] = struct.pack("<I", wrap.zlib.crc32(image[:72]))
        expect(word in platter("info", put("a.daa", image), status=3).errors, f"{word}: not named")
    image[40] ^= 1
    expect("checksum" in platter("info", put("a.daa", image), status=3).errors, "the checksum is not looked at")


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = make_iso()
    opens_all_the_way(put("a.daa", wrap.daa(iso, 2)[0]), iso)


def test_claims():
    """A claim that the chunk table cannot keep is refused at once, and a cut file is told to be cut."""
    image = bytearray(wrap.daa(lib.noise(MIB))[0])
    r = platter("verify", put("cut.daa", image[:-5000]), status=(1, 3))
    expect("chunk 15" in r.text + r.errors, r.text + r.errors)
    image[40:48] = struct.pack("<Q", 1 << 50)
    image[72:76] = struct.pack("<I", wrap.zlib.crc32(image[:72]))
    r = platter("info", put("claims.daa", image), status=3)
    expect("chunk table" in r.errors and r.rss < 64 * MIB, r.errors)
