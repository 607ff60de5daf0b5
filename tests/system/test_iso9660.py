# SPDX-License-Identifier: GPL-3.0-or-later
"""ISO 9660 discs made by the tools that make them, held against the folders that they were made of."""
import json
import os
import shutil
import stat

import lib
from lib import KIB, MIB, expect, expect_equal, limit, need_root, need_tool, noise, path, platter, prose, run

LONG = "long " + "n" * 235
DEEP = "/".join(str(i) for i in range(1, 13))


def make_tree(special=True):
    """A folder of everything that discs can hold; genisoimage damages targets of some 400 bytes."""
    top = path("tree")
    os.makedirs(os.path.join(top, DEEP))
    os.makedirs(os.path.join(top, "many"))
    sizes = {"empty": 0, "one": 1, "under": 2047, "sector": 2048, "over": 2049, "large": 300 * KIB, LONG: 5000,
             "with space and ünïcödé 新": 77, DEEP + "/deepest": 4000, "1/2/3/file": 10, ".hidden": 3, "no.type.at.all": 4}
    for name, size in sizes.items():
        with open(os.path.join(top, name), "wb") as f:
            f.write(prose(size, name))
    for i in range(500):
        with open(os.path.join(top, "many", f"file number {i}"), "w") as f:
            f.write(f"{i}\n")
    os.chmod(os.path.join(top, "one"), 0o4751)
    os.chmod(os.path.join(top, "1"), 0o1777)
    os.link(os.path.join(top, "large"), os.path.join(top, "linked"))
    for i, target in enumerate(["one", "../tree/./one", "/", "/usr/lib/x", "..", "./many/../one", "x" * 100 + "/" + "y" * 200,
                                "/".join("component%d" % i for i in range(25))]):
        os.symlink(target, os.path.join(top, f"link{i}"))
    if special:
        os.mkfifo(os.path.join(top, "fifo"))
        os.mknod(os.path.join(top, "null"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(os.path.join(top, "disk"), 0o640 | stat.S_IFBLK, os.makedev(259, 70000 & 0xff))
    for base, folders, files in os.walk(top):
        for i, name in enumerate(folders + files):
            t = 1000000000 + i * 1001
            os.utime(os.path.join(base, name), (t, t), follow_symlinks=False)
    return top


def listed(place):
    """{path: what ls says} of everything in a volume."""
    return {f["path"]: f for f in json.loads(platter("ls", "-R", "--json", place, timeout=120).out)["files"]}


def hashes(place):
    files = json.loads(platter("hash", "-R", "--json", place, timeout=120).out)["files"]
    return {f["path"]: f["hashes"]["sha256"] for f in files}


def types():
    return {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
            stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}


def check_rock_ridge(place, top):
    """Types, modes, owners, times, targets, numbers of devices and contents are those of the folder."""
    got = listed(place)
    wanted = set()
    for base, folders, files in os.walk(top):
        for name in folders + files:
            full = os.path.join(base, name)
            p = os.path.relpath(full, top)
            wanted.add(p)
            expect(p in got, f"'{p}' is not listed")
            s, f = os.lstat(full), got[p]
            expect_equal(f["type"].replace("_", " ").replace("-", " "), types()[stat.S_IFMT(s.st_mode)], f"the type of '{p}'")
            expect_equal(f["mode"], stat.S_IMODE(s.st_mode), f"the mode of '{p}'")
            expect_equal((f["uid"], f["gid"]), (s.st_uid, s.st_gid), f"the owner of '{p}'")
            expect_equal(int(f["modified"]), int(s.st_mtime), f"the time of '{p}'")
            if f["type"] == "symlink":
                expect_equal(f["target"], os.readlink(full), f"the target of '{p}'")
            if f["type"] == "file":
                expect_equal(f["size"], s.st_size, f"the size of '{p}'")
            if stat.S_ISCHR(s.st_mode) or stat.S_ISBLK(s.st_mode):
                expect_equal((f["major"], f["minor"]), (os.major(s.st_rdev), os.minor(s.st_rdev)), f"the device '{p}'")
    expect_equal(set(got) - wanted, set(), "what is listed besides")
    expect_equal(hashes(place), lib.tree_of(top), "the files' hashes")
    expect_equal(got["large"]["inode"], got["linked"]["inode"], "the inode of a hard link")


@limit(300)
def test_rock_ridge():
    """Rock Ridge by xorriso and genisoimage keeps all that the folder had, moved folders in their places."""
    need_root()
    top = make_tree()

    def attempt(*command):
        need_tool(command[0])
        if command[0] == "xorrisofs" and not os.path.lexists(os.path.join(top, "longer")):
            os.symlink("/".join("component%d" % i for i in range(80)), os.path.join(top, "longer"))
        run([*command, "-o", path("a.iso"), top], timeout=120)
        check_rock_ridge(path("a.iso"), top)
    yield "genisoimage", lambda: attempt("genisoimage", "-quiet", "-R")
    yield "genisoimage with Joliet and UDF", lambda: attempt("genisoimage", "-quiet", "-R", "-J", "-joliet-long", "-udf")
    yield "rr_moved hidden", lambda: attempt("genisoimage", "-quiet", "-R", "-hide-rr-moved")
    yield "xorriso", lambda: attempt("xorrisofs", "-quiet", "-R")
    yield "xorriso with Joliet", lambda: attempt("xorrisofs", "-quiet", "-R", "-J", "-joliet-long")


@limit(300)
def test_other_names():
    """Joliet has the names but for what it cannot hold; plain names are those that isoinfo prints."""
    need_tool("xorrisofs", "isoinfo")
    top = make_tree(special=False)
    image = path("a.iso")
    run(["xorrisofs", "-quiet", "-R", "-J", "-joliet-long", "-o", image, top])
    names = {p for p, f in listed(image + "?fs=joliet").items() if f["type"] == "file"}
    files = lib.tree_of(top)
    expect("with space and ünïcödé 新" in names and "many/file number 123" in names, "names of Joliet are missing")
    expect_equal(names & set(files), {p for p in files if LONG not in p}, "names of Joliet")
    got = hashes(image + "?fs=joliet")
    expect(all(got[p] == files[p] for p in names & set(files)), "files differ in Joliet")
    plain = {p for p, f in listed(image + "?fs=iso9660").items()}
    printed = set()
    for line in run(["isoinfo", "-f", "-i", image]).out.decode().splitlines():
        line = line.strip("/").removesuffix(";1")
        printed.add(line.removesuffix("."))
    expect_equal(plain, printed, "plain names")


@limit(300)
def test_compressed():
    """zisofs and zisofs2 by xorriso read as what was compressed."""
    top = path("plain")
    os.mkdir(top)
    for name, size in {"a": 0, "b": 100, "c": 32768, "d": 32769, "e": 3 * MIB + 5}.items():
        with open(os.path.join(top, name), "wb") as f:
            f.write(prose(size, name))
    with open(os.path.join(top, "holes"), "wb") as f:
        f.write(prose(40000))
        f.seek(MIB)
        f.write(noise(70000))

    def compare():
        # A file that does not shrink is stored as it is.
        expect_equal(hashes(path("z.iso")), lib.tree_of(top), "the files' hashes")
        expect("compressed" in listed(path("z.iso"))["e"]["attributes"], "nothing is compressed")

    def xorriso(*options):
        need_tool("xorriso")
        if os.path.exists(path("z.iso")):
            os.unlink(path("z.iso"))
        r = run(["xorriso", "-outdev", "stdio:" + path("z.iso"), *options, "-map", top, "/", "-set_filter_r", "--zisofs", "/",
                 "--", "-commit"], status=None, timeout=120)
        if r.status:
            lib.skip("this xorriso has no such zisofs")
        compare()
    yield "version 1", lambda: xorriso("-zisofs", "block_size=32k")
    yield "version 1 with large blocks", lambda: xorriso("-zisofs", "block_size=128k")
    yield "version 2", lambda: xorriso("-zisofs", "version_2=on:block_size_v2=1m")
    yield "version 2 with an entry of its own", lambda: xorriso("-zisofs", "version_2=on:susp_z2=on")


@limit(300)
def test_sessions():
    """Of several sessions the last is seen; an image of the last alone opens too."""
    need_tool("genisoimage", "xorriso")

    def folder(n):
        p = path(f"s{n}")
        os.mkdir(p)
        with open(os.path.join(p, f"file{n}"), "wb") as f:
            f.write(prose(5000, n))
        return p
    first, second = folder(1), folder(2)

    def appended(pad):
        # As a burner lays them out: the second one counts its blocks from where it begins on the disc.
        run(["genisoimage", "-quiet", "-R", "-J", "-o", path("1.iso"), first])
        size = os.path.getsize(path("1.iso")) // 2048
        start = size + pad
        run(["genisoimage", "-quiet", "-R", "-J", "-C", f"0,{start}", "-M", path("1.iso"), "-o", path("2.iso"), second])
        with open(path("disc.iso"), "wb") as f:
            for name, at in (("1.iso", 0), ("2.iso", start)):
                f.seek(at * 2048)
                with open(path(name), "rb") as part:
                    f.write(part.read())
        both = {**lib.tree_of(first), **lib.tree_of(second)}
        expect_equal(hashes(path("disc.iso")), both, "files of the last session")
        expect_equal(set(listed(path("2.iso"))), set(both), "names in the image of a session alone")
        got = platter("cat", path("2.iso") + ":/file2").out
        with open(os.path.join(second, "file2"), "rb") as f:
            expect_equal(got, f.read(), "a file of that session")
    yield "at once", lambda: appended(0)
    yield "after a track's end", lambda: appended(150)
    yield "after lead-out and lead-in", lambda: appended(11400)

    def emulated():
        run(["xorriso", "-outdev", "stdio:" + path("e.iso"), "-map", first, "/", "-commit"])
        run(["xorriso", "-dev", "stdio:" + path("e.iso"), "-map", second, "/", "-commit"])
        expect_equal(hashes(path("e.iso")), {**lib.tree_of(first), **lib.tree_of(second)}, "files of both sessions")
    yield "overwritten by libburn", emulated


@limit(300)
def test_boot_images():
    """El Torito: the images are files of a folder that is not listed, as long as what they are."""
    need_tool("xorrisofs")
    top = path("boot")
    os.mkdir(top)
    images = {"bios.img": prose(10000), "efi.img": prose(70000, 2), "floppy.img": noise(1440 * KIB)}
    for name, data in images.items():
        with open(os.path.join(top, name), "wb") as f:
            f.write(data)
    run(["xorrisofs", "-quiet", "-R", "-o", path("b.iso"), "-c", "boot.cat", "-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4",
         "-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot", "-eltorito-alt-boot", "-b", "floppy.img", top])
    place = path("b.iso") + ":/[BOOT]"
    got = {f["path"].rsplit("/", 1)[-1]: f["size"] for f in json.loads(platter("ls", "--json", place).out)["files"]}
    expect_equal(got, {"1-BIOS-noemul.img": 10000, "2-UEFI.img": 70000, "3-BIOS-floppy-1.44.img": 1440 * KIB, "boot.cat": 2048},
                 "boot images")
    for name, wanted in (("1-BIOS-noemul.img", "bios.img"), ("2-UEFI.img", "efi.img"), ("3-BIOS-floppy-1.44.img", "floppy.img")):
        r = json.loads(platter("hash", "--json", f"{place}/{name}").out)
        expect(lib.sha256(os.path.join(top, wanted)) in json.dumps(r), f"{name} is not {wanted}")
    expect("[BOOT]" not in listed(path("b.iso")), "the folder of boot images is listed")


@limit(120)
def test_attributes():
    """Extended attributes and access control lists that libisofs stores are those of the files."""
    need_tool("xorriso", "setfacl")
    top = path("x")
    os.makedirs(os.path.join(top, "folder"))
    for name in ("a", "b", "folder/c"):
        with open(os.path.join(top, name), "w") as f:
            f.write("x")
    try:
        os.setxattr(os.path.join(top, "a"), "user.short", b"value")
        os.setxattr(os.path.join(top, "a"), "user.long", bytes(range(256)) * 8)
        run(["setfacl", "-m", "u:1234:rw,g:77:x,m::rx", os.path.join(top, "b")])
        run(["setfacl", "-d", "-m", "u:5:rwx", os.path.join(top, "folder")])
    except (OSError, lib.Failure):
        lib.skip("this folder has no extended attributes")
    run(["xorriso", "-acl", "on", "-xattr", "on", "-outdev", "stdio:" + path("x.iso"), "-map", top, "/", "-commit"])
    files = json.loads(platter("ls", "-R", "--attributes", "--json", path("x.iso")).out)["files"]
    got = {f["path"]: {x["name"]: x["value_hex"] for x in f["xattrs"]} for f in files}
    for p in got:
        full = os.path.join(top, p)
        wanted = {n: os.getxattr(full, n).hex() for n in os.listxattr(full) if n.startswith(("user.", "system.posix_acl"))}
        expect_equal(got[p], wanted, f"attributes of '{p}'")
