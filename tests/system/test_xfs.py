# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of XFS, held against the kernel's own view of them."""
import os
import random
import subprocess

import files
import lib
from files import populate
from lib import MIB, expect, expect_equal, limit, loop, mounted, path, platter, run, weight

KINDS = {
    "version 5": [],
    "blocks of 1 KiB, folders of 8 KiB": ["-b", "size=1024", "-n", "size=8192"],
    "inodes of 2 KiB, bigtime": ["-i", "size=2048", "-m", "bigtime=1"],
    "sectors of 4 KiB": ["-s", "size=4096"],
}


def make(image, options, size=320 * MIB):
    lib.need_tool("mkfs.xfs")
    with open(image, "wb") as f:
        f.truncate(size)
    r = run(["mkfs.xfs", "-q", "-f", *options, image], status=None)
    if r.status:
        lib.skip(f"mkfs.xfs: {r.errors.strip()[:200]}")


def fill(top):
    """What populate() makes, many entries and extents, ACLs, large attributes, old and far times."""
    populate(os.path.join(top, "populated"))
    os.makedirs(os.path.join(top, "many"))
    for i in range(3000):
        open(os.path.join(top, "many", f"a rather long name of an entry number {i:05}"), "w").close()
    with open(os.path.join(top, "pieces"), "wb") as f:
        for i in range(0, 400, 2):
            f.seek(i * 8192)
            f.write(bytes([i % 250 + 1]) * 4096)
            f.flush()
            os.fsync(f.fileno())
    with open(os.path.join(top, "attributed"), "w") as f:
        f.write("x")
    for i in range(40):
        os.setxattr(f.name, f"user.name{i}", bytes([i]) * 300)
    os.setxattr(f.name, "user.large", lib.noise(30000))
    os.setxattr(f.name, "trusted.mine", b"1")
    if subprocess.run(["setfacl", "-m", "u:1234:rw,g:99:r", f.name], stderr=subprocess.DEVNULL).returncode == 0:
        subprocess.run(["setfacl", "-d", "-m", "u:5:rwx", os.path.join(top, "many")], check=True)
    os.symlink("t" * 1000, os.path.join(top, "long link"))
    os.mknod(os.path.join(top, "device"), 0o600 | 0o020000, os.makedev(12, 3456))
    os.utime(os.path.join(top, "attributed"), ns=(0, -1_000_000_000_500_000_000 + 10**18))
    with open(os.path.join(top, "huge"), "wb") as f:
        f.truncate(1 << 40)
        f.seek(1 << 39)
        f.write(b"here")
    run(["fallocate", "-l", "1M", os.path.join(top, "preallocated")], status=None)


@limit(900)
@weight(4)
def test_as_the_kernel():
    """Files, metadata, attributes and bytes are those that the kernel shows."""
    lib.need_root()
    if not lib.kernel_knows("xfs"):
        lib.skip("this kernel has no XFS")
    for name, options in KINDS.items():
        def attempt(options=options):
            image = path("a.img")
            make(image, options)
            with loop(image) as device:
                with mounted(device) as where:
                    fill(where)
                with mounted(device, "-o", "ro,norecovery") as where:
                    huge = os.path.join(where, "huge")
                    expect(os.path.exists(huge), "the file is gone")
                    platter_of_huge(image)
                    same_but_huge(image, where)
            expect_equal(platter("df", "--json", image).json()["volumes"][0]["content"], "xfs", "what df finds")
        yield name, attempt


def platter_of_huge(image):
    """A file of 1 TiB with 4 bytes in it is mapped and read at once."""
    spans = platter("map", "--json", image + ":/huge", timeout=30).json()
    expect(spans["data"] < MIB, "the hole is data")
    expect_equal(spans["size"], 1 << 40, "its size")


def same_but_huge(image, where):
    told, said = files.told_of(where), files.listed(image)
    files.expect_same(said, told, "the listing")
    files.expect_same(files.xattrs_listed(image), files.xattrs_of(where), "the extended attributes")
    for folder in ("populated", "many"):
        files.expect_same(files.hashed(f"{image}:/{folder}"), files.wanted_hashes(os.path.join(where, folder)), folder)
    for name in ("pieces", "attributed", "preallocated"):
        if os.path.exists(os.path.join(where, name)):
            r = platter("hash", f"{image}:/{name}")
            expect_equal(r.text.split()[0], lib.sha256(os.path.join(where, name)), name)


def test_dirty():
    """A log that holds changes is told, and nothing is left out of a backup then."""
    lib.need_root()
    if not lib.kernel_knows("xfs"):
        lib.skip("this kernel has no XFS")
    make(path("a.img"), [])
    with loop(path("a.img")) as device:
        with mounted(device) as where:
            with open(os.path.join(where, "file"), "wb") as f:
                f.write(lib.noise(MIB))
            os.sync()
            run(["cp", "--sparse=always", device, path("b.img")])
    said = lib.info(path("b.img"))["contents"][0]
    expect(any("log" in w for w in said["warnings"]), f"no warning: {said['warnings']}")
    r = platter("create", "--used-only", "--json", path("b.img"), path("b.qcow2")).json()
    expect_equal(r["unused"], 0, "bytes left out")
    r = platter("create", "--used-only", "--json", path("a.img"), path("a.qcow2")).json()
    expect(r["unused"] > 100 * MIB, "nothing is left out of the clean one")


@limit(300)
def test_damage():
    """Random bytes in the metadata never stop the listing of the rest, and never crash."""
    make(path("a.img"), [])
    with open(path("a.img"), "r+b") as f:
        start = f.read(2 * MIB)
    rng = random.Random(1)
    for i in range(30):
        broken = bytearray(start)
        for _ in range(20):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        with open(path("b.img"), "wb") as f:
            f.write(broken)
            f.truncate(320 * MIB)
        platter("ls", "-R", path("b.img"), status=(0, 3, 4))
