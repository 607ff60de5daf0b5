# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of EROFS, held against the kernel's own view of them."""
import os
import struct
import subprocess

import files
import lib
from files import hashed, listed, populate, told_of
from lib import MIB, expect, expect_equal, limit, loop, mounted, path, platter, run, weight

# What an older mkfs.erofs cannot do is skipped.
KINDS = {
    "plain": [],
    "plain, no inline tails": ["-E", "noinline_data"],
    "extended inodes": ["-E", "force-inode-extended"],
    "compact inodes": ["-E", "force-inode-compact", "--all-root", "-T", "1000000000"],
    "blocks of 512 bytes": ["-b", "512"],
    "blocks of 1 KiB, lz4hc": ["-b", "1024", "-zlz4hc"],
    "chunks of 4 KiB": ["--chunksize=4096"],
    "chunks of 1 MiB, by indexes": ["--chunksize=1048576", "-E", "force-chunk-indexes"],
    "chunks of 4 KiB, by blocks": ["--chunksize=4096", "-E", "force-inode-blockmap"],
    "lz4": ["-zlz4"],
    "lz4hc, big clusters": ["-zlz4hc", "-C", "65536"],
    "lz4, legacy": ["-zlz4", "-E", "legacy-compress"],
    "lz4, big clusters, legacy": ["-zlz4", "-C", "16384", "-E", "legacy-compress"],
    "lz4, tails": ["-zlz4", "-E", "ztailpacking"],
    "lz4, big clusters, tails": ["-zlz4hc", "-C", "1048576", "-E", "ztailpacking"],
    "lz4, fragments": ["-zlz4", "-E", "fragments"],
    "lz4, everything in fragments": ["-zlz4", "-E", "all-fragments"],
    "lz4, deduplicated": ["-zlz4", "-E", "dedupe"],
    "lz4, all of it": ["-zlz4hc,12", "-C", "65536", "-E", "ztailpacking,fragments,dedupe"],
    "lzma": ["-zlzma"],
    "lzma, big clusters, fragments": ["-zlzma,level=9", "-C", "131072", "-E", "fragments,dedupe"],
    "deflate": ["-zdeflate,9"],
    "deflate, deduplicated": ["-zdeflate", "-C", "32768", "-E", "dedupe,ztailpacking"],
    "zstd": ["-zzstd"],
    "zstd, all of it": ["-zzstd", "-C", "65536", "-E", "fragments,dedupe"],
    "several methods": ["-zlz4:lzma:zstd", "-C", "8192"],
    "blocks of 512 bytes, zstd, tails": ["-b", "512", "-zzstd", "-E", "ztailpacking"],
    "48 bits": ["-E", "48bit"],
    "48 bits, lz4": ["-zlz4hc", "-C", "65536", "-E", "48bit"],
    "48 bits, zstd, all of it": ["-zzstd", "-C", "65536", "-E", "48bit,fragments,dedupe"],
    "48 bits, chunks": ["--chunksize=4096", "-E", "48bit"],
    "metabox": ["-zzstd", "-m4096", "-E", "48bit"],
    "metabox, packed tails": ["-zlz4hc", "-m16384", "-C", "16384", "-E", "48bit,ztailpacking"],
    "folders behind the data": ["-zlz4hc", "--MZ=id", "-E", "ztailpacking"],
    "compressed folders": ["-zlz4hc", "--zD=1"],
    "attributes of a long prefix": ["-x1", "--xattr-prefix=user.long.prefix.", "-E", "plain-xattr-prefixes"],
    "attributes of a long prefix, packed": ["-x1", "--xattr-prefix=user.long.prefix.", "-zlz4", "-E", "fragments"],
    "attributes not shared": ["-x0"],
}


def fill(top):
    """What populate() makes, folders of many blocks, repeated data, attributes, devices, far owners."""
    populate(top)
    os.makedirs(os.path.join(top, "many"))
    for i in range(1500):
        with open(os.path.join(top, "many", f"a rather long name of an entry number {i:05}"), "wb") as f:
            f.write(b"x" * (i % 7))
    for name, parts in {"same": (0, 1, 0), "again": (1, 0, 1, 1), "tail": (0, 2)}.items():
        with open(os.path.join(top, name), "wb") as f:
            for part in parts:
                f.write(lib.prose(100_000 + part * 7, seed=part) + lib.noise(9000 + part, seed=part))
    with open(os.path.join(top, "zeros"), "wb") as f:
        f.write(bytes(8 * MIB) + b"end")
    for size in (1, 511, 512, 4095, 4096, 4097, 8192, 65536, 65537):
        for kind, data in (("prose", lib.prose(size)), ("noise", lib.noise(size))):
            with open(os.path.join(top, f"{kind}{size}"), "wb") as f:
                f.write(data)
    for i in range(20):
        name = os.path.join(top, f"a/b/file{i}")
        os.setxattr(name, "user.shared", b"the same for several files")
        os.setxattr(name, f"user.own{i}", bytes([i]) * 100 * i)
        os.setxattr(name, f"user.long.prefix.{i}", b"value")
        os.setxattr(name, "trusted.mine", b"")
        os.setxattr(name, "security.thing", b"\0\1")
    subprocess.run(["setfacl", "-m", "u:1234:rw,g:99:r", name], stderr=subprocess.DEVNULL)
    subprocess.run(["setfacl", "-d", "-m", "u:5:rwx", os.path.join(top, "many")], stderr=subprocess.DEVNULL)
    os.mknod(os.path.join(top, "device"), 0o600 | 0o020000, os.makedev(12, 3456))
    os.mknod(os.path.join(top, "block"), 0o640 | 0o060000, os.makedev(259, 70000))
    os.mkfifo(os.path.join(top, "pipe"))
    os.symlink("t" * 4000, os.path.join(top, "long link"))
    os.chown(os.path.join(top, "pipe"), 70000, 80000)
    os.lchown(os.path.join(top, "broken"), 1000, 1001)


def make(image, options, top):
    lib.need_tool("mkfs.erofs")
    r = run(["mkfs.erofs", "-d0", *options, image, top], status=None, timeout=300)
    if r.status:
        lib.skip(f"mkfs.erofs: {r.errors.strip().splitlines()[-1][:200]}")


@limit(1800)
@weight(2)
def test_as_the_kernel():
    """Files, metadata, attributes and bytes are those that the kernel shows, however they are stored."""
    lib.need_root()
    if not lib.kernel_knows("erofs"):
        lib.skip("this kernel has no EROFS")
    top = path("top")
    fill(top)
    for name, options in KINDS.items():
        def attempt(options=options):
            image = path("a.img")
            make(image, options, top)
            with loop(image) as device, mounted(device, "-o", "ro") as where:
                files.same_as_mounted(image, where)
            size = os.stat(image).st_size
            space = platter("df", "--json", image).json()["volumes"][0]
            expect_equal((space["content"], space["size"]), ("erofs", size), "what df tells")
        yield name, attempt


def unfolded(seed):
    """An image as fuzz/unfold.h has it."""
    data = open(seed, "rb").read()
    if not data.startswith(b"unfold\n\0"):
        return data
    image, at = bytearray(struct.unpack_from("<I", data, 8)[0] * 512), 12
    while at < len(data):
        where, n = struct.unpack_from("<II", data, at)
        image[where:where + n] = data[at + 8:at + 8 + n]
        at += 8 + n
    return bytes(image)


def test_seeds():
    """Small images of every layout, of the newest mkfs.erofs, hold what fuzz/make-seeds.d/erofs puts into them; the kernel agrees."""
    top = os.path.join(lib.ROOT, "fuzz/seeds/volume-erofs")
    lines = "".join(f"{i}\n" for i in range(1, 1001)).encode()
    for name in sorted(os.listdir(top)):
        def attempt(name=name):
            image = path("seed.img")
            with open(image, "wb") as f:
                f.write(unfolded(os.path.join(top, name)))
            for file, content in (("numbers", lines), ("again", lines), ("a/few", lines[:21]), ("hole", bytes(20480)),
                                  ("a/link", lines), ("a/a-rather-long-name-7", b"")):
                expect_equal(platter("cat", f"{image}:/{file}").out, content, file)
            if os.getuid() == 0 and lib.kernel_knows("erofs"):
                with loop(image) as device, mounted(device, "-o", "ro") as where:
                    files.same_as_mounted(image, where)
        yield name, attempt


def small(options=()):
    top = path("top")
    if not os.path.exists(top):
        populate(top)
    make(path("a.img"), list(options), top)
    return path("a.img"), top


def test_lookup():
    """Names are found at each end of each block of a folder, and others are not."""
    lib.need_tool("mkfs.erofs")
    top = path("names")
    os.makedirs(top)
    names = sorted(f"{'n' * (i % 50)}{i:04}" for i in range(2000))
    for name in names:
        open(os.path.join(top, name), "w").close()
    make(path("a.img"), [], top)
    for name in [names[0], names[1], names[-2], names[-1], *names[::97]]:
        expect_equal(platter("cat", f"{path('a.img')}:/{name}").out, b"", name)
    for name in ("", "0", "n", names[5] + "x", names[5][:-1], "zzz"):
        platter("cat", f"{path('a.img')}:/{name}", status=3)


def change(image, offset, data):
    with open(image, "r+b") as f:
        f.seek(offset)
        f.write(data)


def test_other_device():
    """Data that is on another device is told to be there; the tree is read without it."""
    top = path("top")
    populate(top)
    make(path("a.img"), ["--chunksize=4096", f"--blobdev={path('blob')}"], top)
    expect_equal(set(listed(path("a.img"))), set(told_of(top)), "the names")
    r = platter("cat", path("a.img") + ":/large", status=3)
    expect("device" in r.errors, r.errors)
    said = lib.info(path("a.img"))["contents"][0]
    expect(any("device" in w for w in said["warnings"]), f"no warning: {said['warnings']}")


def test_damaged_fields():
    """A superblock that contradicts itself is refused with the field's place; a wrong checksum can be ignored."""
    image, top = small()
    whole = open(image, "rb").read()
    for name, offset, value, word in (("magic", 1024, b"\0", "recognised"), ("block size", 1036, b"\x08", "recognised"),
                                      ("features", 1024 + 81, b"\x80", "features"), ("no blocks", 1024 + 36, bytes(4), "blocks"),
                                      ("root", 1024 + 14, b"\xff\xff", ""), ("checksum", 1024 + 4, b"\0\0\0\0", "checksum")):
        def attempt(offset=offset, value=value, word=word):
            with open(image, "wb") as f:
                f.write(whole)
            change(image, offset, value)
            if offset not in (1024, 1036, 1028):
                change(image, 1032, struct.pack("<I", struct.unpack_from("<I", whole, 1032)[0] & ~1))
            r = platter("ls", image, status=3)
            expect(word in r.errors, r.errors)
        yield name, attempt

    def ignored():
        with open(image, "wb") as f:
            f.write(whole)
        change(image, 1028, bytes(4))
        told = platter("ls", "-R", "--ignore-checksums", image).text
        expect(len(told.splitlines()) > 300, "the files are not listed")
    yield "checksum, ignored", ignored


def test_damaged_contents():
    """Damaged pieces and indexes are errors that are told; what does not need them is read."""
    image, top = small(["-zlz4"])
    whole = open(image, "rb").read()
    size = len(whole)
    for name, start, end in (("in front", 4096, 200_000), ("behind", size - 200_000, size - 4096)):
        def attempt(start=start, end=end):
            with open(image, "wb") as f:
                f.write(whole)
            change(image, start, b"\xa5" * (end - start))
            r = platter("hash", "-R", image, status=None, timeout=60)
            expect(r.status in (3, 4), f"status {r.status}: {r.errors}")
        yield name, attempt

    def cut():
        with open(image, "wb") as f:
            f.write(whole)
        os.truncate(image, size // 2)
        r = platter("hash", "-R", image, status=None)
        expect(r.status in (3, 4), f"status {r.status}: {r.errors}")
    yield "cut short", cut


def test_used():
    """A backup of what is in use leaves nothing out."""
    image, top = small(["-zlz4"])
    size = os.stat(image).st_size
    os.truncate(image, size + 10 * MIB)
    change(image, size + MIB, b"not part of it")
    r = platter("create", "--used-only", "--json", image, path("a.qcow2")).json()
    expect_equal(r["unused"], 0, "bytes left out")
    expect_equal(hashed(path("a.qcow2")), files.wanted_hashes(top), "the hashes")
