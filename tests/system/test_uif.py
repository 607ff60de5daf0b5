# SPDX-License-Identifier: GPL-3.0-or-later
"""UIF: what an encoder in Python makes as uif2iso has it."""
import os

import disc_wrappers as wrap
import lib
from disc_wrappers import make_iso, opens_all_the_way, put
from lib import KIB, MIB, expect, expect_equal, path, platter, run


WAYS = {
    "zlib": dict(kinds=(5,)),
    "zlib and as it is": dict(),
    "LZMA": dict(version=3, kinds=(5,)),
    "LZMA, x86": dict(version=3, kinds=(5, 5, 1), x86=True),
    "a plain table, backwards": dict(version=2, packed=False, order=-1),
    "pieces of a sector": dict(piece=1),
    "a key that is none": dict(version=2, key=0x20),
    "sectors of 2352 bytes": dict(sector=2352, kind=9),
}


def test_ways():
    """Each version, method and table reads as the disc does, also one whose last sector is not whole."""
    iso = make_iso()
    for name, how in WAYS.items():
        def attempt(how=how):
            for plain in (iso, iso[:100 * KIB + 77]):
                sector = how.get("sector", 2048)
                image = put("a.uif", wrap.uif(plain, **how))
                platter("compare", put("disc", plain), image)
                expect_equal(lib.info(image)["size"], len(plain), f"size with sectors of {sector}")
                platter("verify", "-q", image)
        yield name, attempt


def test_refused():
    """What is encrypted is refused by its name."""
    plain = lib.noise(100 * KIB)
    for how, word in ((dict(sign=b"bsdr"), "password"), (dict(version=2, key=5), "fixed key 5"), (dict(version=2, cipher=2), "MagicISO")):
        r = platter("info", put("a.uif", wrap.uif(plain, **how)), status=3)
        expect(word in r.errors and "encrypted" in r.errors, r.errors)


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = make_iso()
    opens_all_the_way(put("a.uif", wrap.uif(iso, 3)), iso)


def test_claims():
    """A table of millions of entries, and pieces outside of the file, take no memory and are told."""
    image = bytearray(wrap.uif(lib.noise(MIB), kinds=(1,), packed=False))
    at = image.index(b"blhr")
    broken = bytearray(image)
    broken[at + 12:at + 16] = b"\xff" * 4
    r = platter("info", put("a.uif", broken), status=3)
    expect("pieces" in r.errors and r.rss < 64 * MIB, r.errors)
    broken = bytearray(image)
    broken[at + 16 + 7] = 1
    r = platter("verify", put("a.uif", broken), status=(1, 3))
    expect("not in the file" in r.text + r.errors, r.text + r.errors)
