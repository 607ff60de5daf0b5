# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes, checked by the tools that people check them with."""
import glob
import hashlib
import os

import lib
from lib import MIB, expect, expect_equal, mixed_raw, path, platter, run

TOOLS = {"sha256": "sha256sum", "md5": "md5sum", "sha1": "sha1sum", "sha512": "sha512sum", "blake2b512": "b2sum"}


def digest(name, file):
    h = hashlib.new("blake2b" if name == "blake2b512" else name)
    with open(file, "rb") as f:
        while block := f.read(MIB):
            h.update(block)
    return h.hexdigest()


def test_sums_are_accepted():
    """The checksum files beside an image are accepted by the coreutils, for every format and hash."""
    raw = mixed_raw("disk")
    for name, options in (("a.img", []), ("b.qcow2", ["-c"]), ("c.img", ["--split=5M"])):
        platter("create", raw, path(name), "--hash", "sha256,md5,sha1,sha512", *options)
        for hash_name in ("sha256", "md5", "sha1", "sha512"):
            sums = path(name) + "." + hash_name
            expect(os.path.exists(sums), f"{sums} is missing")
            r = run([TOOLS[hash_name], "--strict", "-c", os.path.basename(sums)], cwd=lib.folder())
            images = len(glob.glob(path("c.img.00?"))) if "split" in str(options) else 1
            expect_equal(r.text.count(": OK"), images, "files found correct")


def test_sums_notice():
    """They notice a changed byte."""
    platter("create", mixed_raw("disk"), path("a.img"), "--hash", "sha256")
    with open(path("a.img"), "r+b") as f:
        f.write(b"\x01")
    run(["sha256sum", "-c", "a.img.sha256"], cwd=lib.folder(), status=1)


def test_hash_of_disk():
    """The hash told is that of the disk's bytes, whatever the format it is in."""
    raw = mixed_raw("disk", 24 * MIB + 512)
    for hash_name in TOOLS:
        wanted = digest(hash_name, raw)
        for name, options in (("a.img", []), ("b.qcow2", []), ("c.qcow2", ["-c"])):
            r = platter("create", "--force", raw, path(name), "--hash", hash_name, "--json", *options).json()
            expect_equal(r["hashes"], {hash_name: wanted}, f"{name}")
            r = platter("verify", "--json", "--hash", hash_name, path(name)).json()
            expect_equal(r["images"][0]["hashes"], {hash_name: wanted}, f"verify {name}")


def test_hash_with_resume():
    """A resumed image's hash covers what was there already."""
    raw = lib.make_raw("disk", 24 * MIB, [(0, lib.prose(24 * MIB))])
    with open(raw, "rb") as f, open(path("a.img.part"), "wb") as g:
        g.write(f.read(9 * MIB))
    r = platter("create", raw, path("a.img"), "--resume", "--hash", "sha256", "--json").json()
    expect_equal(r["hashes"]["sha256"], lib.sha256(raw), "hash")
    lib.same_bytes(raw, path("a.img"))


def test_unknown_hash():
    """An unknown hash is refused before anything is written."""
    platter("create", mixed_raw("disk"), path("a.img"), "--hash", "crc99", status=(2, 3))
    expect(not glob.glob(path("a.img*")), "something was written")
