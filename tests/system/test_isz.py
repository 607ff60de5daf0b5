# SPDX-License-Identifier: GPL-3.0-or-later
"""ISZ: what an encoder in Python makes by the specification."""
import os

import disc_wrappers
import lib
from disc_wrappers import make_iso, opens_all_the_way, put
from lib import KIB, MIB, expect, expect_equal, path, platter, run


WAYS = {
    "zlib": dict(methods=(2,)),
    "bzip2": dict(methods=(3,)),
    "as it is": dict(methods=(1,)),
    "all": dict(methods=(1, 2, 3)),
    "header of 48 bytes": dict(sums=False),
    "entries of 4 bytes, chunks of 256K": dict(entry=4, chunk=256 * KIB),
    "entries of 2 bytes, chunks of 2K": dict(entry=2, chunk=2048),
}


def test_methods():
    """Each method, length of entry and size of chunk reads as the disc does."""
    iso = make_iso()
    for name, how in WAYS.items():
        def attempt(how=how):
            for plain in (iso, iso[:40 * KIB + 2048], iso[:512]):
                image = put("a.isz", disc_wrappers.isz(plain, **how)[0])
                platter("compare", put("disc", plain), image)
                platter("verify", "-q", image)
        yield name, attempt


def segments(names, files):
    for name, data in zip(names, files):
        put(name, data)
    return path(names[0])


def test_segments():
    """Three files, whose borders are within a chunk, at one, or cut one in three; every way of naming them."""
    iso = make_iso()[:600 * KIB]
    for names in (("a.isz", "a.i01", "a.i02"), ("b.part01.isz", "b.part02.isz", "b.part03.isz"),
                  ("c.part001.isz", "c.part002.isz", "c.part003.isz"), ("D.ISZ", "D.I01", "D.I02")):
        def attempt(names=names):
            plain = put("disc", iso)
            for cut in ((100 * KIB + 5, 70 * KIB + 3), (8192 * 5, 8192 * 7), (3, 2)):
                image = segments(names, disc_wrappers.isz(iso, methods=(1,), cut=cut))
                platter("compare", plain, image)
            image = segments(names, disc_wrappers.isz(iso, cut=(50 * KIB, 20 * KIB)))
            platter("compare", plain, image)
            expect_equal(platter("ls", image, status=(0, 3)).status, 0, "status")
        yield names[0], attempt

    def lost():
        files = disc_wrappers.isz(iso, cut=(100 * KIB,))
        image = segments(("a.isz", "a.i01"), files)
        other = bytearray(files[1])
        other[6] ^= 1
        put("a.i01", other)
        expect("is not part 1" in platter("info", image, status=3).errors, "another image's part is taken")
        os.remove(path("a.i01"))
        r = platter("info", image, status=3)
        expect("a.i01" in r.errors, r.errors)
        r = platter("info", put("b.i01", files[1]), status=3)
        expect("part 1 of an ISZ image" in r.errors, r.errors)
    yield "a part that is missing, or another's", lost


def aes(key, bits):
    """Encrypts whole blocks with AES in ECB."""
    def encrypt(data):
        n = len(data) & ~15
        done = run(["openssl", "enc", f"-aes-{bits}-ecb", "-nopad", "-K", key.encode().ljust(bits // 8, b"\0")[:bits // 8].hex()],
                   input=data[:n]).out if n else b""
        return done + data[n:]
    return encrypt


def test_encrypted():
    """AES with each length of key, by the pass phrase that is asked for; a wrong one and none are refused."""
    lib.need_tool("openssl")
    iso = make_iso()[:300 * KIB]
    for method, bits in ((2, 128), (3, 192), (4, 256)):
        def attempt(method=method, bits=bits):
            image = put("a.isz", disc_wrappers.isz(iso, 64 * KIB, encrypt=aes("open sesame", bits), encryption=method)[0])
            expect("pass phrase" in platter("info", image, status=3).errors, "opened without a pass phrase")
            if not knows_passphrases():
                lib.skip("the command cannot be given a pass phrase yet")
            key = put("key", b"open sesame")
            platter("compare", "--passphrase-file", key, put("disc", iso), image)
            platter("info", "--passphrase-file", put("wrong", b"sesame"), image, status=3)
        yield f"AES-{bits}", attempt

    def others():
        image = put("a.isz", disc_wrappers.isz(iso, encryption=1)[0])
        expect("encryption method 1" in platter("info", image, status=3).errors, "not named")
    yield "other methods are named", others


def knows_passphrases():
    return "--passphrase-file" in platter("info", "--help").text


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = make_iso()
    opens_all_the_way(put("a.isz", disc_wrappers.isz(iso, 64 * KIB)[0]), iso)


def test_claims():
    """Claims that the file cannot keep are refused at once, and a cut file is told to be cut."""
    image = bytearray(disc_wrappers.isz(lib.noise(MIB), methods=(1,))[0])
    cut = put("cut.isz", image[:-5000])
    r = platter("verify", cut, status=(1, 3))
    expect("chunk 127" in r.text + r.errors, r.text + r.errors)
    image[12:16] = b"\xff" * 4
    r = platter("info", put("claims.isz", image), status=3)
    expect("chunks" in r.errors and r.rss < 64 * MIB, r.errors)
    image[25:29] = b"\xff" * 4
    r = platter("info", put("claims.isz", image), status=3)
    expect("chunk table" in r.errors and r.rss < 64 * MIB, r.errors)
