# SPDX-License-Identifier: GPL-3.0-or-later
"""ext2, ext3 and ext4: what platter reads is what the kernel shows, in every combination of
features that mke2fs makes."""
import contextlib
import os
import re
import shutil
import socket
import stat

import lib
from lib import KIB, MIB, expect, expect_equal, limit, loop, mounted, need_root, need_tool, noise, path, platter, run, weight

TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}


def make(name, size, *options, kind="ext4"):
    """An empty file system in a sparse file."""
    need_tool("mke2fs")
    image = path(name)
    with open(image, "wb") as f:
        f.truncate(size)
    run(["mke2fs", "-q", "-F", "-t", kind, "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", *options, image])
    return image


@contextlib.contextmanager
def at(image, *options):
    if not lib.kernel_knows("ext4"):
        lib.skip("this kernel has no ext4")
    with loop(image) as device, mounted(device, *options) as where:
        yield where


# ---- something of everything ----

NAMES = ["a", "sp ace", "ünïcödé ☃", "-dash", "new\nline", "tab\there", "back\\slash", "'quoted\"", "\u202e", "x" * 255,
         "ä" * 127]


def write(p, data, at_offset=0):
    with open(p, "wb") as f:
        f.seek(at_offset)
        f.write(data)


def fill(top, special=True, large=True):
    """Files, folders and links of all kinds; `special` ones need root."""
    here = os.path.join(top, "files")
    os.makedirs(here)
    for n in (0, 1, 59, 60, 61, 100, 1023, 1024, 1025, 4096, 65536, 300000):
        write(os.path.join(here, f"size-{n}"), noise(n, n))
    for i, name in enumerate(NAMES):
        write(os.path.join(here, name), name.encode())
    with open(os.path.join(os.fsencode(here), b"no utf-8 \xff\xfe\xe4"), "wb"):
        pass
    # Fragments: two files that grow in turns.
    with open(os.path.join(here, "even"), "wb") as a, open(os.path.join(here, "odd"), "wb") as b:
        for i in range(120):
            for f in (a, b):
                f.write(noise(8192 if large else 1024, i))
                f.flush()
                os.fdatasync(f.fileno())
    sparse = os.path.join(here, "sparse")
    with open(sparse, "wb") as f:
        for at_offset in (0, 50 * KIB, 5 * MIB, 70 * MIB):
            f.seek(at_offset)
            f.write(noise(5000, at_offset))
        f.truncate(80 * MIB)
    write(os.path.join(here, "hole at the end"), b"x")
    os.truncate(os.path.join(here, "hole at the end"), 3 * MIB)
    with contextlib.suppress(OSError), open(os.path.join(here, "unwritten"), "wb") as f:
        os.posix_fallocate(f.fileno(), 0, MIB)
        f.seek(100 * KIB)
        f.write(noise(70000))
    os.chmod(os.path.join(here, "size-1"), 0o4751)
    os.utime(os.path.join(here, "size-60"), ns=(-1234567890123456789, -5))
    os.utime(os.path.join(here, "size-61"), ns=(5 * 10**18, 9 * 10**18))
    os.link(os.path.join(here, "size-1024"), os.path.join(here, "hard link"))
    for n in (1, 40, 59, 60, 61, 120, 300, 1000):
        os.symlink("t" * n, os.path.join(here, f"link-{n}"))
    deep = top
    for i in range(40):
        deep = os.path.join(deep, f"level {i}")
    os.makedirs(deep)
    write(os.path.join(deep, "bottom"), b"deep down")
    many = os.path.join(top, "many")
    os.mkdir(many)
    for i in range(3000 if large else 300):
        write(os.path.join(many, f"{i} of many files with names of some length, ü"), b"%d" % i)
    for i in range(0, 300, 7):
        os.remove(os.path.join(many, f"{i} of many files with names of some length, ü"))
    for n in (1, 3, 8):
        small = os.path.join(top, f"small-{n}")
        os.mkdir(small)
        for i in range(n):
            write(os.path.join(small, f"name {i}"), b"y" * i)
    os.mkdir(os.path.join(top, "empty"))
    if special:
        fill_special(here)


def fill_special(here):
    os.mkfifo(os.path.join(here, "fifo"))
    os.mknod(os.path.join(here, "old device"), 0o600 | stat.S_IFCHR, os.makedev(5, 1))
    os.mknod(os.path.join(here, "new device"), 0o660 | stat.S_IFBLK, os.makedev(259, 70000))
    before = os.getcwd()
    os.chdir(here)      # addresses of sockets are short
    try:
        s = socket.socket(socket.AF_UNIX)
        s.bind("socket")
        s.close()
    finally:
        os.chdir(before)
    os.chown(os.path.join(here, "size-59"), 70000, 2**31)
    for name, value in (("user.small", b"value"), ("user.empty", b""), ("trusted.t", b"\0\xff"),
                        ("security.selinux", b"system_u:object_r:x_t:s0\0"), ("user." + "n" * 250, b"long name")):
        with contextlib.suppress(OSError):
            os.setxattr(os.path.join(here, "size-1"), name, value)
            os.setxattr(os.path.join(here, "size-300000"), name, value)
    for i in range(12):
        with contextlib.suppress(OSError):
            os.setxattr(os.path.join(here, "size-60"), f"user.many{i}", noise(150, i))
    for size in (500, 3000, 20000, 65536):
        with contextlib.suppress(OSError):
            os.setxattr(os.path.join(here, "size-61"), "user.large", noise(size))
    with contextlib.suppress(OSError):
        os.setxattr(os.path.join(here, "link-40"), "trusted.link", b"x" * 200, follow_symlinks=False)
    if shutil.which("setfacl"):
        run(["setfacl", "-m", "u:1234:rwx,g:70000:r,u:0:x", os.path.join(here, "size-1025")], status=None)
        run(["setfacl", "-d", "-m", "u:99:rx,o::-", os.path.join(here, "../empty")], status=None)
    if shutil.which("chattr"):
        run(["chattr", "+a", os.path.join(here, "size-100")], status=None)


# ---- what the kernel shows ----

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
    row["xattrs"] = {}
    for name in os.listxattr(p, follow_symlinks=False):
        row["xattrs"][name] = os.getxattr(p, name, follow_symlinks=False).hex()
    return row


def kernel_tree(top):
    """{path: row} of everything below; paths as bytes."""
    found = {}
    top = os.fsencode(top)
    for base, folders, names in os.walk(top):
        for name in folders + names:
            p = os.path.join(base, name)
            found[os.path.relpath(p, top)] = kernel_row(p)
    return found


def as_text(p):
    return os.fsencode(p) if isinstance(p, str) else p


def platter_tree(place, status=0, exe=platter, **how):
    """The same from platter."""
    answer = exe("ls", "-lR", "--attributes", "--json", place, status=status, timeout=300, **how).json()
    found = {}
    for f in answer["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        f["xattrs"] = {x["name"]: x["value_hex"] for x in f["xattrs"]}
        found[name] = f
    return found


def same_time(ours, ns):
    """JSON has 53 bits for it."""
    return ours is not None and abs(ours - ns / 1e9) <= 1e-6 * max(1, abs(ns) / 1e18)


def compare_rows(name, ours, kernel):
    for key, wanted in kernel.items():
        got = ours[key]
        if key in ("modified", "changed"):
            expect(same_time(got, wanted), f"{name!r}: {key} is {got!r}, the kernel says {wanted} ns")
        elif key == "target":
            expect_equal(as_text(got), as_text(wanted), f"{name!r}: {key}")
        else:
            expect_equal(got, wanted, f"{name!r}: {key}")


def compare_trees(ours, kernel, skip=()):
    """Names, metadata and attributes."""
    missing, more = sorted(set(kernel) - set(ours)), sorted(set(ours) - set(kernel))
    expect(not missing and not more, f"platter lacks {missing[:9]}, and has {more[:9]} more")
    for name, row in kernel.items():
        compare_rows(name, ours[name], {k: v for k, v in row.items() if k not in skip})


def hashes(place, status=0):
    found = {}
    for f in platter("hash", "-R", "--json", place, status=status, timeout=300).json()["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        found[name] = f["hashes"]["sha256"]
    return found


def kernel_hashes(top):
    return {os.fsencode(p): sha for p, sha in lib.tree_of(top).items()}


def compare_with_kernel(image, *options):
    """Listing, metadata, attributes and contents; then every name found by its path."""
    ours, contents = platter_tree(image), hashes(image)
    with at(image, "-o", ",".join(("ro", *options))) as top:
        kernel = kernel_tree(top)
        compare_trees(ours, kernel)
        expect_equal(contents, kernel_hashes(top), "contents")
    return kernel


def compare_lookups(image, kernel, step=1):
    """Names are found by their paths, which goes through the index of large folders."""
    for name in sorted(kernel)[::step]:
        said = platter("ls", "-l", "--json", image + ":/" + os.fsdecode(name)).json()["files"]
        if kernel[name]["type"] != "folder":
            expect_equal([f["inode"] for f in said], [kernel[name]["inode"]], f"what {name!r} is")


def compare_used(image):
    """What is not in use has as many blocks as dumpe2fs counts."""
    text = run(["dumpe2fs", image]).text
    head = dict(re.findall(r"^([A-Z][^:\n]*): *(.*)$", text, re.M))
    unit = int(head.get("Cluster size", head["Block size"]))
    free = sum(int(n) for n in re.findall(r"^ +(\d+) free (?:blocks|clusters),", text, re.M))
    out = path("used.qcow2")
    volume = platter("create", "-q", "--json", "--used-only", image, out).json()["volumes"][0]
    os.remove(out)
    expect(volume["whole"] is None, f"all is taken to be in use: {volume}")
    expect_equal(volume["size"] - volume["used"], free * unit, "what is not in use")


COMBINATIONS = [
    ("ext2", "ext2", ["-b", "1024", "-I", "128"]),
    ("ext2 of revision 0", "ext2", ["-b", "1024", "-r", "0", "-O", "none"]),
    ("ext2 without types", "ext2", ["-b", "2048", "-O", "^filetype,^dir_index,^resize_inode"]),
    ("ext3", "ext3", ["-b", "4096"]),
    ("ext3 of revision 1 with 1 KiB blocks", "ext3", ["-b", "1024", "-I", "128"]),
    ("ext4, 1 KiB blocks", "ext4", ["-b", "1024"]),
    ("ext4", "ext4", []),
    ("ext4 of 32 bits", "ext4", ["-O", "^64bit,^metadata_csum,uninit_bg"]),
    ("ext4 of 32 bits with checksums", "ext4", ["-O", "^64bit,metadata_csum"]),
    ("ext4, meta_bg", "ext4", ["-b", "1024", "-O", "meta_bg,^resize_inode"]),
    ("ext4, sparse_super2", "ext4", ["-O", "sparse_super2", "-b", "1024"]),
    ("ext4, every group has a superblock", "ext4",
     ["-O", "^sparse_super,^resize_inode,^flex_bg,^has_journal", "-b", "1024"]),
    ("ext4, bigalloc", "ext4", ["-O", "bigalloc", "-C", "16384"]),
    ("ext4, bigalloc, 1 KiB blocks", "ext4", ["-O", "bigalloc", "-b", "1024", "-C", "16384"]),
    ("ext4, inline data", "ext4", ["-O", "inline_data", "-I", "256"]),
    ("ext4, inline data, large inodes", "ext4", ["-O", "inline_data", "-I", "1024", "-b", "1024"]),
    ("ext4, attributes in inodes", "ext4", ["-O", "ea_inode", "-I", "512"]),
    ("ext4, inodes of 128 bytes", "ext4", ["-I", "128"]),
    ("ext4, inodes of 4096 bytes", "ext4", ["-I", "4096", "-b", "4096"]),
    ("ext4, without extents", "ext4", ["-O", "^extent,^64bit", "-b", "1024"]),
    ("ext4, large_dir, csum_seed, mmp", "ext4", ["-O", "large_dir,metadata_csum_seed,mmp", "-b", "1024"]),
]
HASHES = ["legacy", "half_md4", "tea"]


@limit(900)
@weight(8)
@lib.shards(2)
def test_combinations():
    """Whatever mke2fs was told, listings, metadata, attributes and contents are the kernel's."""
    for name, kind, options in COMBINATIONS:
        def attempt(kind=kind, options=options):
            need_root()
            need_tool("mke2fs")
            image = make("fs.img", 96 * MIB, "-N", "6000", *options, kind=kind)
            with at(image) as top:
                fill(top)
            kernel = compare_with_kernel(image)
            compare_lookups(image, kernel, 97)
            compare_used(image)
        yield name, attempt


@limit(600)
@weight(3)
def test_large_blocks():
    """Blocks that this kernel does not mount, filled by mke2fs; and small images of all sizes."""
    need_tool("mke2fs")
    for size in (1024, 2048, 4096, 8192, 16384, 32768, 65536):
        def attempt(size=size):
            source, image = path("source"), path("large.img")
            fill(source, special=False, large=False)
            wanted = kernel_tree(source)
            with open(image, "wb") as f:
                f.truncate(256 * MIB)
            run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(size), "-d", source, image], timeout=300)
            ours = platter_tree(image)
            ours.pop(b"lost+found")
            compare_trees(ours, wanted, skip=("inode", "changed", "links", "xattrs", "size", "modified"))
            contents = hashes(image)
            expect_equal(contents, kernel_hashes(source), "contents")
            compare_lookups(image, {k: {**v, "inode": ours[k]["inode"]} for k, v in wanted.items()}, 29)
            compare_used(image)
        yield f"blocks of {size} bytes", attempt


@limit(600)
@weight(4)
def test_many_names():
    """100000 names in a folder, with each kind of hash: all are listed, and found by their index."""
    need_root()
    need_tool("mke2fs", "tune2fs")
    for kind in HASHES:
        def attempt(kind=kind):
            image = make("many.img", 512 * MIB, "-N", "110000", "-b", "1024")
            run(["tune2fs", "-E", f"hash_alg={kind}", image])
            with at(image) as top:
                folder = os.path.join(top, "folder")
                os.mkdir(folder)
                for i in range(100000):
                    os.close(os.open(os.path.join(folder, f"{i:x} näme"), os.O_CREAT | os.O_WRONLY))
            ours = platter_tree(image)
            expect_equal(len([n for n in ours if n.startswith(b"folder/")]), 100000, "names")
            for i in range(0, 100000, 3331):
                name = f"folder/{i:x} näme"
                said = platter("ls", "--json", f"{image}:/{name}").json()["files"]
                expect_equal([f["inode"] for f in said], [ours[name.encode()]["inode"]], name)
            platter("ls", f"{image}:/folder/none", status=3)
        yield kind, attempt


def stored(image, extents, offset, n):
    """Bytes of a file by where its map says that they are."""
    data = b""
    while len(data) < n:
        at_offset = offset + len(data)
        e = next(e for e in extents if e["offset"] <= at_offset < e["offset"] + e["length"])
        expect_equal(e["kind"], "data", f"kind at {at_offset}")
        with open(image, "rb") as f:
            f.seek(e["stored_offset"] + at_offset - e["offset"])
            data += f.read(min(n - len(data), e["offset"] + e["length"] - at_offset))
    return data


@limit(300)
def test_casefold():
    """In folders that ignore case, and in no others, names are found in any."""
    need_tool("mke2fs", "debugfs", "e2fsck")
    for many in (3, 2000):
        def attempt(many=many):
            source, image = path("source"), path("casefold.img")
            for folder in ("folded", "plain"):
                os.makedirs(os.path.join(source, folder))
                for name in ("ReadMe", "GRÖSSE", *(f"Name {i}" for i in range(many))):
                    write(os.path.join(source, folder, name), name.encode())
            with open(image, "wb") as f:
                f.truncate(64 * MIB)
            run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-O", "casefold", "-d", source, image])
            run(["debugfs", "-w", "-R", "set_inode_field folded flags 0x40080000", image])
            # Makes the index anew, with the hashes of folded names.
            run(["e2fsck", "-fyD", image], status=(0, 1))
            for name in ("readme", "README", "ReadMe", "größe".replace("ß", "SS"), "name 1", f"NAME {many - 1}"):
                platter("ls", f"{image}:/folded/{name}")
                platter("ls", f"{image}:/plain/{name}", status=0 if name == "ReadMe" else 3)
            platter("ls", f"{image}:/folded/none", status=3)
        yield f"{many} names", attempt


@limit(300)
def test_sizes():
    """Sparse files of 16 TiB, and what is near the limits of block maps."""
    need_root()
    for options, sizes in ((("-b", "4096"), (16 * lib.GIB * 1024 - 4096, 5 * lib.GIB)),
                           (("-b", "1024", "-O", "^extent,^64bit"), (16 * lib.GIB, 70 * MIB))):
        def attempt(options=options, sizes=sizes):
            image = make("fs.img", 64 * MIB, *options)
            with at(image) as top:
                for size in sizes:
                    with open(os.path.join(top, f"{size}"), "wb") as f:
                        for offset in (0, size // 3, size - 100):
                            f.seek(offset)
                            f.write(noise(100, offset))
            for size in sizes:
                extents = platter("map", "--json", f"{image}:/{size}").json()["extents"]
                expect_equal(extents[-1]["offset"] + extents[-1]["length"], size, "size")
                for offset in (0, size // 3, size - 100):
                    expect_equal(stored(image, extents, offset, 100), noise(100, offset), f"{size} at {offset}")
        yield " ".join(options), attempt


# ---- the journal ----

JOURNALS = [
    ("data in the journal", ["-b", "1024"], "data=journal"),
    ("data in the journal, no checksums", ["-b", "1024", "-O", "^metadata_csum,^64bit"], "data=journal"),
    ("one checksum a transaction", ["-O", "^metadata_csum,^64bit"], "data=journal,journal_checksum"),
    ("asynchronous commits", ["-O", "^metadata_csum"], "data=writeback,journal_async_commit"),
    ("64 bits", ["-O", "64bit,metadata_csum", "-J", "size=4"], "data=journal"),
    ("bigalloc", ["-O", "bigalloc", "-C", "16384"], "data=ordered"),
]


def work(top, rounds):
    """Enough changes for the journal to wrap, with names deleted again: blocks are revoked."""
    for i in range(rounds):
        folder = os.path.join(top, f"round {i}")
        os.mkdir(folder)
        for k in range(60):
            write(os.path.join(folder, f"name {k}"), noise(700 * k, (i, k)))
        # The journal's own magic, which has to be escaped there.
        write(os.path.join(folder, "magic"), b"\xc0\x3b\x39\x98" * 5000)
        os.setxattr(os.path.join(folder, "name 1"), "user.round", b"%d" % i)
        if i % 3 == 2:
            shutil.rmtree(os.path.join(top, f"round {i - 1}"))
        os.sync()


@limit(600)
@weight(4)
def test_journal():
    """A copy of a mounted file system reads as the kernel leaves it after its own recovery."""
    need_root()
    for name, options, mount in JOURNALS:
        for rounds in (1, 4, 25):
            def attempt(options=options, mount=mount, rounds=rounds):
                image, copy = make("fs.img", 96 * MIB, *options), path("copy.img")
                with loop(image) as device:
                    with mounted(device, "-o", mount) as top:
                        work(top, rounds)
                        run(["dd", f"if={device}", f"of={copy}", "bs=1M", "conv=sparse", "iflag=direct"], timeout=120)
                before = lib.sha256(copy)
                ours, contents = platter_tree(copy), hashes(copy)
                said = platter("create", "-q", "--json", "--used-only", copy, path("used.qcow2")).json()["volumes"][0]
                expect_equal(lib.sha256(copy), before, "the image after it was read")
                with at(copy) as top:
                    kernel = kernel_tree(top)
                    compare_trees(ours, kernel, skip=("changed",))
                    expect_equal(contents, kernel_hashes(top), "contents")
                expect(said["whole"] is None, f"what is in use is not told: {said}")
                # What is in use after recovery is in the image too.
                platter("create", "-q", path("used.qcow2"), path("used.raw"))
                with at(path("used.raw")) as top:
                    expect_equal(kernel_hashes(top), contents, "contents of the image of what is in use")
            yield f"{name}, {rounds} rounds", attempt


@limit(300)
def test_journal_of_debugfs():
    """Transactions that debugfs writes into a journal: blocks, and revoked ones."""
    need_tool("mke2fs", "debugfs")
    for options in (["-b", "1024", "-O", "^metadata_csum,^64bit"], ["-b", "1024"], ["-b", "4096", "-O", "metadata_csum"]):
        def attempt(options=options):
            source = path("source")
            os.mkdir(source)
            write(os.path.join(source, "a"), b"a" * 16384)
            image = path("debugfs.img")
            with open(image, "wb") as f:
                f.truncate(64 * MIB)
            run(["mke2fs", "-q", "-F", "-t", "ext4", *options, "-d", source, image])
            size = int(options[1])
            first = int(run(["debugfs", "-R", "blocks /a", image]).text.split()[0])
            for name, c in (("x", b"x"), ("y", b"y")):
                write(path(name), c * size)
            script = path("script")
            with open(script, "w", encoding="ascii") as f:
                f.write(f"jo\njw -b {first} {path('x')}\njw -b {first + 1} {path('x')}\njw -r {first + 1}\n"
                        f"jw -b {first + 2} {path('y')}\njc\n")
            run(["debugfs", "-w", "-f", script, image])
            out = path("a")
            with open(out, "wb") as f:
                platter("cat", f"{image}:/a", stdout=f)
            with open(out, "rb") as f:
                expect_equal(f.read(), b"x" * size + b"a" * size + b"y" * size + b"a" * (16384 - 3 * size),
                             "the file with what the journal holds")
            run(["e2fsck", "-fy", image], status=(0, 1))
            out = path("b")
            with open(out, "wb") as f:
                platter("cat", f"{image}:/a", stdout=f)
            lib.same_bytes(out, path("a"))
        yield " ".join(options), attempt


@limit(300)
def test_fast_commits():
    """Fast commits are not replayed: the file system is said to be behind, and all of it in use."""
    need_root()
    image, copy = make("fs.img", 96 * MIB, "-O", "fast_commit", "-J", "size=16"), path("copy.img")
    with loop(image) as device:
        with mounted(device) as top:
            work(top, 2)
            fd = os.open(os.path.join(top, "new"), os.O_CREAT | os.O_WRONLY)
            os.write(fd, b"new")
            os.fsync(fd)
            os.pwrite(fd, b"newer", 3)
            os.fsync(fd)
            os.close(fd)
            run(["dd", f"if={device}", f"of={copy}", "bs=1M", "conv=sparse", "iflag=direct"], timeout=120)
    said = platter("create", "-q", "--json", "--used-only", copy, path("used.qcow2")).json()["volumes"][0]
    names = platter_tree(copy)
    with at(copy) as top:
        kernel = kernel_tree(top)
    if b"new" in names:
        lib.skip("this kernel made no fast commit of it")
    expect(b"new" in kernel, "the kernel's recovery finds the new file")
    expect(said["whole"], "what is in use is told though the bitmaps are behind")


# ---- deleted files, and damage ----

@limit(300)
def test_deleted():
    """What debugfs deletes, as old drivers did, is found whole; what the kernel deletes leaves an inode."""
    need_tool("mke2fs", "debugfs")
    for kind in ("ext2", "ext4"):
        def attempt(kind=kind):
            source, image = path("source"), path(kind + ".img")
            os.makedirs(os.path.join(source, "folder"))
            for i in range(20):
                write(os.path.join(source, "folder", f"name {i}"), noise(10000 + i, i))
            with open(image, "wb") as f:
                f.truncate(32 * MIB)
            run(["mke2fs", "-q", "-F", "-t", kind, "-d", source, image])
            run(["debugfs", "-w", "-R", 'rm "/folder/name 7"', image])
            said = platter("ls", "-l", "--deleted", "--json", image).json()["files"]
            expect_equal([f["path"] for f in said], ["folder/name 7"], "deleted")
            expect_equal(said[0]["size"], 10007, "its size")
            expect_equal(said[0]["recoverable"], "whole", "what can be recovered")
            need_root()
            with at(image) as top:
                os.remove(os.path.join(top, "folder/name 9"))
            said = platter("ls", "-l", "--deleted", "--json", image).json()["files"]
            # Since Linux 5.13 names are wiped too.
            rest = [(f["path"], f["recoverable"]) for f in said if f["path"] != "folder/name 7"]
            expect(len(rest) == 1 and rest[0][1] == "nothing" and re.fullmatch(r"folder/name 9|#\d+", rest[0][0]),
                   f"what the kernel deleted is {rest}")
        yield kind, attempt


@limit(600)
@weight(3)
def test_broken():
    """Damaged images of e2fsprogs' tests end in answers or clean errors, and what is readable is listed."""
    base = os.path.join(lib.corpus(), "broken", "x-e2fsprogs")
    for name in sorted(os.listdir(base)):
        def attempt(name=name):
            for flags in ([], ["--ignore-checksums"]):
                image = lib.unpacked(os.path.join(base, name, "image.gz"), exact=False)
                for args in (("ls", "-lR", "--attributes"), ("hash", "-R"), ("ls", "--deleted")):
                    r = lib.asan_platter(*args, *flags, image, status=None, timeout=120)
                    expect(r.status in (0, 1, 3, 4) and not r.timed_out, str(r))
        yield name, attempt
