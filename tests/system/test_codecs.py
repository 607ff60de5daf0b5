# SPDX-License-Identifier: GPL-3.0-or-later
"""Codecs by name, on the command line."""
import os

from lib import MIB, expect, mixed_raw, path, platter

CODECS = ["zstd", "zlib", "bzip2", "xz"]


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
