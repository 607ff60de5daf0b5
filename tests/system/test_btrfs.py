# SPDX-License-Identifier: GPL-3.0-or-later
"""Btrfs: what platter reads is what the kernel shows."""
import contextlib
import os
import re
import stat

import lib
from lib import KIB, MIB, expect, expect_equal, limit, loop, mounted, need_root, need_tool, noise, path, platter, prose, run, weight

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}
METHODS = ["zlib", "lzo", "zstd"]


def need_btrfs():
    need_root()
    need_tool("mkfs.btrfs", "btrfs")
    if not lib.kernel_knows("btrfs"):
        lib.skip("this kernel has no Btrfs")


def make(name, size, *options):
    image = path(name)
    with open(image, "wb") as f:
        f.truncate(size)
    run(["mkfs.btrfs", "-q", *options, image])
    return image


def write(p, data, at_offset=0):
    with open(p, "r+b" if os.path.exists(p) else "wb") as f:
        f.seek(at_offset)
        f.write(data)


def fill_compressed(top):
    """Inline, short, odd and long files of each method, and parts of their extents."""
    for method in METHODS:
        here = os.path.join(top, method)
        os.mkdir(here)
        run(["btrfs", "property", "set", here, "compression", method])
        for n in (0, 1, 1500, 2000, 4095, 4097, 131072, 131073, 1000001):
            write(os.path.join(here, f"prose-{n}"), prose(n, n))
        write(os.path.join(here, "noise"), noise(300000))
        write(os.path.join(here, "zeros"), bytes(700000))
        os.sync()
        shared, part = os.path.join(here, "prose-1000001"), os.path.join(here, "part")
        run(["cp", "--reflink=always", shared, part])
        write(part, b"another text", 70000)
        write(part, noise(9000), 400000)


def fill(top):
    write(os.path.join(top, "noise"), noise(3 * MIB))
    sparse = os.path.join(top, "sparse")
    for at_offset in (0, 50 * KIB, 5 * MIB, 70 * MIB):
        write(sparse, noise(5000, at_offset), at_offset)
    os.truncate(sparse, 80 * MIB)
    unwritten = os.path.join(top, "unwritten")
    write(unwritten, b"x")
    with open(unwritten, "r+b") as f:
        os.posix_fallocate(f.fileno(), 0, MIB)
        f.seek(100 * KIB)
        f.write(noise(70000))
    run(["fallocate", "-n", "-o", "8192", "-l", "1M", sparse], status=None)
    many = os.path.join(top, "many")
    os.mkdir(many)
    for i in range(2000):
        write(os.path.join(many, f"{i} of many files with names of some length, ü"), b"%d" % i)
    write(os.path.join(top, "x" * 255), b"long")
    os.mkfifo(os.path.join(top, "fifo"))
    os.mknod(os.path.join(top, "device"), 0o660 | stat.S_IFBLK, os.makedev(259, 70000))
    os.link(os.path.join(top, "noise"), os.path.join(many, "hard link"))
    os.symlink("many/0 of many", os.path.join(top, "link"))
    os.symlink("t" * 1000, os.path.join(top, "long link"))
    os.chmod(os.path.join(top, "noise"), 0o4751)
    os.chown(os.path.join(top, "noise"), 70000, 2**31)
    os.utime(os.path.join(top, "noise"), ns=(-1234567890123456789, -5))
    for name, value in (("user.small", b"value"), ("user.empty", b""), ("trusted.t", b"\0\xff"),
                        ("user.large", noise(3000)), ("user." + "n" * 250, b"long name")):
        with contextlib.suppress(OSError):
            os.setxattr(os.path.join(top, "noise"), name, value)
    fill_compressed(top)


def fill_subvolumes(top):
    def btrfs(*args):
        run(["btrfs", "subvolume", *args], cwd=top)
    btrfs("create", "sub")
    write(os.path.join(top, "sub/file"), b"first")
    os.mkdir(os.path.join(top, "sub/folder"))
    btrfs("create", "sub/folder/deep")
    write(os.path.join(top, "sub/folder/deep/bottom"), b"deep")
    btrfs("create", "sub/other")
    btrfs("snapshot", "sub", "snapshot")
    btrfs("snapshot", "-r", ".", "of all")
    write(os.path.join(top, "sub/file"), b"second")


def kernel_row(p):
    st = os.lstat(p)
    kind = TYPES[stat.S_IFMT(st.st_mode)]
    row = {"type": kind, "mode": st.st_mode & 0o7777, "uid": st.st_uid, "gid": st.st_gid, "links": st.st_nlink,
           "inode": st.st_ino, "modified": st.st_mtime_ns, "changed": st.st_ctime_ns}
    if kind not in ("character device", "block device"):
        row["size"] = st.st_size
    else:
        row["major"], row["minor"] = os.major(st.st_rdev), os.minor(st.st_rdev)
    if kind == "symlink":
        row["target"] = os.readlink(p)
    row["xattrs"] = {name: os.getxattr(p, name, follow_symlinks=False).hex()
                     for name in os.listxattr(p, follow_symlinks=False)}
    if st.st_ino == 2:      # made up, with the time of now
        row = {"type": kind, "inode": 2}
    return row


def kernel_tree(top):
    found = {}
    for base, folders, names in os.walk(top):
        for name in folders + names:
            p = os.path.join(base, name)
            found[os.path.relpath(p, top)] = kernel_row(p)
    return found


def compare_rows(name, ours, kernel):
    ours["xattrs"] = {x["name"]: x["value_hex"] for x in ours["xattrs"]}
    for key, wanted in kernel.items():
        got = ours[key]
        if key in ("modified", "changed"):
            expect(got is not None and abs(got - wanted / 1e9) <= 1e-6 * max(1, abs(wanted) / 1e18),
                   f"{name!r}: {key} is {got!r}, the kernel says {wanted} ns")
        else:
            expect_equal(got, wanted, f"{name!r}: {key}")


def compare_with_kernel(image):
    ours = {f["path"]: f for f in platter("ls", "-lR", "--attributes", "--json", image, timeout=300).json()["files"]}
    contents = {f["path"]: f["hashes"]["sha256"]
                for f in platter("hash", "-R", "--json", image, timeout=300).json()["files"]}
    with loop(image) as device, mounted(device, "-o", "ro,subvolid=5") as top:
        kernel = kernel_tree(top)
        missing, more = sorted(set(kernel) - set(ours)), sorted(set(ours) - set(kernel))
        expect(not missing and not more, f"platter lacks {missing[:9]}, and has {more[:9]} more")
        for name, row in kernel.items():
            compare_rows(name, ours[name], row)
        expect_equal(contents, lib.tree_of(top), "contents")
    for name in sorted(kernel)[::97]:
        said = platter("ls", "-l", "--json", f"{image}:/{name}").json()["files"]
        if kernel[name]["type"] != "folder":
            expect_equal([f["inode"] for f in said], [kernel[name]["inode"]], f"what {name!r} is")


def compare_used(image):
    """Where every extent has one copy, they are as many bytes as the superblock counts, and what
    is always taken: the first MiB and the copy of the superblock at 64 MiB."""
    text = run(["btrfs", "inspect-internal", "dump-super", image]).text
    wanted = int(re.search(r"^bytes_used\s+(\d+)", text, re.M)[1]) + MIB + 4 * KIB
    out = path("used.qcow2")
    volume = platter("create", "-q", "--json", "--used-only", image, out).json()["volumes"][0]
    os.remove(out)
    expect(volume["whole"] is None, f"all is taken to be in use: {volume}")
    expect_equal(volume["used"], wanted, "what is in use")


COMBINATIONS = [
    ("the default", []),
    ("single metadata", ["-m", "single", "-d", "single"]),
    ("mixed groups", ["--mixed", "-m", "single", "-d", "single"]),
    ("DUP data", ["-m", "dup", "-d", "dup"]),
    ("nodes of 4 KiB", ["-n", "4096", "-m", "single", "-d", "single"]),
    ("nodes of 64 KiB", ["-n", "65536"]),
    ("holes as items, no free space tree", ["-O", "^no-holes", "-R", "^free-space-tree"]),
    ("SHA-256", ["--csum", "sha256"]),
    ("xxHash", ["--csum", "xxhash"]),
    ("BLAKE2b", ["--csum", "blake2"]),
]


@limit(900)
@weight(6)
@lib.shards(2)
def test_combinations():
    """Listings, metadata, attributes and contents are the kernel's."""
    for name, options in COMBINATIONS:
        def attempt(options=options):
            need_btrfs()
            image = make("fs.img", 400 * MIB, *options)
            with loop(image) as device, mounted(device) as top:
                fill(top)
                fill_subvolumes(top)
            compare_with_kernel(image)
            if "single" in options:
                compare_used(image)
        yield name, attempt


@limit(300)
def test_rootdir():
    """What mkfs.btrfs copies into an image, read by platter alone and restored by btrfs."""
    need_tool("mkfs.btrfs", "btrfs")
    source = path("source")
    os.makedirs(os.path.join(source, "a/b"))
    for n in (0, 1, 2000, 4096, 5000, 300000):
        write(os.path.join(source, f"a/b/size-{n}"), noise(n, n))
    image = make("fs.img", 200 * MIB, "--rootdir", source)
    ours = {f["path"]: f["hashes"]["sha256"] for f in platter("hash", "-R", "--json", image).json()["files"]}
    expect_equal(ours, lib.tree_of(source), "contents")
    restored = path("restored")
    os.mkdir(restored)
    run(["btrfs", "restore", image, restored])
    expect_equal(ours, lib.tree_of(restored), "what btrfs restores")


@limit(300)
def test_copies():
    """A node that is damaged in one copy is read from the other; a superblock from its copy."""
    need_btrfs()
    image = make("fs.img", 400 * MIB, "-m", "dup")
    with loop(image) as device, mounted(device) as top:
        fill_compressed(top)
    with loop(image) as device, mounted(device, "-o", "ro") as top:
        wanted = lib.tree_of(top)
    tree = run(["btrfs", "inspect-internal", "dump-tree", "-t", "5", "--bfs", image]).text
    node = re.search(r"^(?:node|leaf) (\d+)", tree, re.M)[1]
    where = run(["btrfs-map-logical", "-l", node, image], status=None).text
    copies = [int(n) for n in re.findall(r"physical (\d+)", where)]
    expect(len(copies) == 2, f"two copies of node {node}: {where}")

    def hashes(status=0):
        return {f["path"]: f["hashes"]["sha256"]
                for f in platter("hash", "-R", "--json", image, status=status).json()["files"]}
    write(image, b"damage", copies[0] + 200)
    expect_equal(hashes(), wanted, "with one copy")
    write(image, b"damage", 64 * KIB + 100)
    expect_equal(hashes(), wanted, "with the superblock at 64 MiB")
    write(image, b"damage", copies[1] + 200)
    platter("hash", "-R", image, status=3)


@limit(300)
def test_mirrors_and_stripes():
    """One device of two: mirrors are read, stripes refused by name."""
    need_btrfs()
    for profile in ("raid1", "raid0"):
        def attempt(profile=profile):
            images = [path("one.img"), path("two.img")]
            for image in images:
                with open(image, "wb") as f:
                    f.truncate(300 * MIB)
            with loop(images[0]) as a, loop(images[1]) as b:
                run(["mkfs.btrfs", "-q", "-m", "raid1", "-d", profile, a, b])
                run(["btrfs", "device", "scan", a, b], status=None)
                with mounted(a, "-o", f"device={b}") as top:
                    fill_compressed(top)
                    wanted = lib.tree_of(top)
                run(["btrfs", "device", "scan", "--forget"], status=None)
            for image in images:
                if profile == "raid1":
                    ours = {f["path"]: f["hashes"]["sha256"]
                            for f in platter("hash", "-R", "--json", image).json()["files"]}
                    expect_equal(ours, wanted, "contents")
                else:
                    refused = platter("hash", "-R", image, status=4)
                    expect("RAID0" in refused.errors, f"not refused by name: {refused.errors}")
        yield profile, attempt
