# SPDX-License-Identifier: GPL-3.0-or-later
"""UDF as mkisofs, mkudffs and the kernel write it."""
import json
import os
import stat
import unicodedata

import lib
from lib import KIB, MIB, expect, expect_equal, limit, loop, mounted, need_root, need_tool, noise, path, platter, prose, run


def listed(place):
    return {f["path"]: f for f in json.loads(platter("ls", "-R", "--json", place, timeout=120).out)["files"]}


def hashes(place):
    files = json.loads(platter("hash", "-R", "--json", place, timeout=120).out)["files"]
    return {f["path"]: f["hashes"]["sha256"] for f in files}


def fill(top, special):
    os.makedirs(os.path.join(top, "1/2/3/4/5"), exist_ok=True)
    os.makedirs(os.path.join(top, "many"), exist_ok=True)
    for name, size in {"empty": 0, "one": 1, "sector": 2048, "over": 2049, "large": 300 * KIB, "long " + "n" * 85: 5000,
                       "ünïcödé 新": 77, "1/2/3/4/5/deep": 4000}.items():
        with open(os.path.join(top, name), "wb") as f:
            f.write(prose(size, name))
    for i in range(300):
        with open(os.path.join(top, f"many/file number {i}"), "w") as f:
            f.write(f"{i}\n")
    if not special:
        return
    with open(os.path.join(top, "sparse"), "wb") as f:
        f.write(b"begin")
        f.seek(500000)
        f.write(noise(5000))
        f.truncate(700000)
    for i in range(0, 300, 3):
        os.unlink(os.path.join(top, f"many/file number {i}"))
    os.chmod(os.path.join(top, "one"), 0o4751)
    os.chown(os.path.join(top, "sector"), 1234, 567)
    os.link(os.path.join(top, "large"), os.path.join(top, "linked"))
    for i, target in enumerate(["one", "../a/./one", "/", "/usr/lib/x", "x" * 100 + "/" + "y" * 100]):
        os.symlink(target, os.path.join(top, f"link{i}"))
    os.mkfifo(os.path.join(top, "fifo"))
    os.mknod(os.path.join(top, "null"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(os.path.join(top, "disk"), 0o640 | stat.S_IFBLK, os.makedev(8, 17))


@limit(300)
def test_bridge():
    """The UDF that genisoimage puts beside ISO 9660 has the same files."""
    need_tool("genisoimage")
    top = path("tree")
    fill(top, special=False)
    run(["genisoimage", "-quiet", "-input-charset", "utf-8", "-J", "-joliet-long", "-udf", "-o", path("a.iso"), top], timeout=120)
    files = {unicodedata.normalize("NFC", k): v for k, v in lib.tree_of(top).items()}
    expect_equal(hashes(path("a.iso") + "?fs=udf"), files, "files of the UDF")
    # Without Rock Ridge it is what is opened.
    expect_equal(hashes(path("a.iso")), files, "files of the disc")


# What mkudffs can make; those that the kernel can write to are filled too.
KINDS = {
    "1.02, blocks of 512": ("--media-type=hd", "-r", "1.02", "-b", "512"),
    "1.50, blocks of 2048": ("--media-type=hd", "-r", "1.50", "-b", "2048"),
    "2.00, blocks of 1024": ("--media-type=hd", "-r", "2.00", "-b", "1024"),
    "2.01, blocks of 4096": ("--media-type=hd", "-r", "2.01", "-b", "4096"),
    "table of free space": ("--media-type=hd", "-r", "2.01", "-b", "2048", "--space=unalloctable"),
    "freed space": ("--media-type=hd", "-r", "2.01", "-b", "2048", "--space=freedbitmap"),
    "strategy 4096": ("--media-type=hd", "-r", "1.02", "-b", "2048", "--strategy=4096"),
    "long extents": ("--media-type=hd", "-r", "2.01", "-b", "2048", "--ad=long"),
    "DVD-RAM": ("--media-type=dvdram", "-r", "2.01"),
    "DVD-RW, sparable": ("--media-type=dvdrw", "-r", "2.01"),
    "CD-RW, sparable": ("--media-type=cdrw", "-r", "1.50"),
    "CD-R, virtual": ("--media-type=cdr", "-r", "1.50"),
    "CD-R, virtual, 2.01": ("--media-type=cdr", "-r", "2.01"),
    "BD-R": ("--media-type=bdr",),
}


@limit(600)
def test_kinds():
    """Volumes of every kind that mkudffs makes open, and are empty."""
    need_tool("mkudffs")

    def attempt(options):
        lib.make_raw("a.img", 24 * MIB, [])
        run(["mkudffs", "-l", "label", *options, path("a.img")])
        expect_equal(set(listed(path("a.img"))) - {"lost+found"}, set(), "files of an empty volume")
    for name, options in KINDS.items():
        yield name, lambda options=options: attempt(options)


@limit(900)
def test_kernel():
    """What the kernel wrote reads the same."""
    need_root()
    need_tool("mkudffs")
    run(["modprobe", "-q", "udf"], status=None) if os.path.exists("/sbin/modprobe") else None
    if not lib.kernel_knows("udf"):
        lib.skip("this kernel has no UDF")

    def attempt(options):
        lib.make_raw("a.img", 24 * MIB, [])
        run(["mkudffs", "-l", "label", *options, path("a.img")])
        block = options[options.index("-b") + 1] if "-b" in options else "512"
        with loop(path("a.img"), "-b", block) as device:
            with mounted(device, "-t", "udf") as top:
                if not os.access(top, os.W_OK):
                    lib.skip("the kernel only reads this")
                fill(top, special=True)
            with mounted(device, "-t", "udf", "-o", "ro") as top:
                compare(top)
    for name, options in KINDS.items():
        if "virtual" not in name and name != "BD-R":
            yield name, lambda options=options: attempt(options)


def compare(top):
    got, seen = listed(path("a.img")), set()
    for base, folders, files in os.walk(top):
        for name in folders + files:
            full = os.path.join(base, name)
            p = os.path.relpath(full, top)
            seen.add(p)
            expect(p in got, f"'{p}' is not listed")
            s, f = os.lstat(full), got[p]
            expect_equal(f["mode"], stat.S_IMODE(s.st_mode), f"the mode of '{p}'")
            expect_equal((f["uid"], f["gid"]), (s.st_uid, s.st_gid), f"the owner of '{p}'")
            expect_equal(int(f["modified"]), int(s.st_mtime), f"the time of '{p}'")
            if stat.S_ISLNK(s.st_mode):
                expect_equal(f["target"], os.readlink(full), f"the target of '{p}'")
            if stat.S_ISREG(s.st_mode):
                expect_equal(f["size"], s.st_size, f"the size of '{p}'")
            if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode):
                expect_equal((f["major"], f["minor"]), (os.major(s.st_rdev), os.minor(s.st_rdev)), f"the device '{p}'")
    expect_equal(set(got) - seen, set(), "what is listed besides")
    expect_equal(hashes(path("a.img")), lib.tree_of(top), "the files' hashes")
