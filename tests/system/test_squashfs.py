# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of SquashFS images, held against the folder that mksquashfs made them from."""
import os

import lib
from files import expect_same, hashed, listed, populate, told_of, wanted_hashes
from lib import expect, expect_equal, path, platter, run

METHODS = ("gzip", "lzma", "lzo", "xz", "lz4", "zstd")


def test_methods():
    """Every compression method, fragments or none, blocks of 4 KiB to 1 MiB: listing and bytes are those of the folder."""
    lib.need_tool("mksquashfs")
    top = path("top")
    populate(top)
    told, bytes_of = told_of(top), wanted_hashes(top)
    for method in METHODS:
        for more in ([], ["-b", "4K"], ["-b", "1M", "-no-fragments"], ["-always-use-fragments"], ["-noI", "-noD", "-noF", "-noX"]):
            def attempt(method=method, more=more):
                image = path(f"{method}.sqsh")
                r = run(["mksquashfs", top, image, "-comp", method, "-quiet", "-no-progress", "-noappend", *more], status=None)
                if r.status:
                    lib.skip(f"mksquashfs cannot compress with {method}")
                expect_same(listed(image), told, "the listing")
                expect_same(hashed(image), bytes_of, "the hashes")
            yield f"{method} {' '.join(more)}", attempt


def test_attributes():
    """Extended attributes are those of the folder."""
    lib.need_tool("mksquashfs")
    top = path("top")
    populate(top)
    try:
        want = os.getxattr(os.path.join(top, "large"), "user.name")
    except OSError:
        lib.skip("extended attributes cannot be set here")
    run(["mksquashfs", top, path("a.sqsh"), "-quiet", "-no-progress"])
    files = {f["path"]: f for f in platter("ls", "--json", "--attributes", path("a.sqsh")).json()["files"]}
    expect_equal([(a["name"], bytes.fromhex(a["value_hex"])) for a in files["large"]["xattrs"]], [("user.name", want)],
                 "extended attributes")
    platter("extract", "-q", path("a.sqsh"), "-C", path("out"))
    expect_equal(os.getxattr(path("out") + "/large", "user.name"), want, "the attribute of the extracted file")
    expect_equal(os.stat(path("out") + "/large").st_ino, os.stat(path("out") + "/a/again").st_ino, "hard links")
    expect(os.stat(path("out") + "/hole").st_blocks < 1000, "the hole is filled")


def test_damage():
    """A damaged table or block is an error that is told; what does not need it is read."""
    lib.need_tool("mksquashfs")
    top = path("top")
    populate(top)
    run(["mksquashfs", top, path("a.sqsh"), "-quiet", "-no-progress"])
    with open(path("a.sqsh"), "r+b") as f:
        f.seek(96)
        f.write(bytes(1000))
    r = platter("hash", "-R", path("a.sqsh"), status=4)
    expect("cannot read" in r.errors, "no file is told to be damaged")
    expect(len(r.text.splitlines()) > 200, "the other files are not read")
