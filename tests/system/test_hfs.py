# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of HFS and HFS Plus, held against what wrote them: hfsutils, xorriso, the kernel."""
import os
import struct
import unicodedata

import lib
from lib import MIB, expect, expect_equal, limit, path, platter, run


def hashed(place):
    return {f["path"]: f["hashes"]["sha256"] for f in platter("hash", "-R", "--json", place).json()["files"]}


def composed(tree):
    return {unicodedata.normalize("NFC", name): value for name, value in tree.items()}


def content(place):
    return lib.info(place)["contents"][0]


def hfs_disk(name, size, source):
    """A volume of hfsutils with the files of `source`, and folders as there."""
    image = path(name)
    with open(image, "wb") as f:
        f.truncate(size)
    env = {**lib.ENV, "HOME": lib.folder()}
    run(["hformat", "-l", "Test", image], env=env)
    run(["hmount", image], env=env)
    for base, folders, files in os.walk(source):
        there = ":" + "".join(p + ":" for p in os.path.relpath(base, source).split(os.sep) if p != ".")
        for f in folders:
            run(["hmkdir", there + f], env=env)
        for f in files:
            run(["hcopy", "-r", os.path.join(base, f), there + f], env=env)
    run(["humount"], env=env)
    return image


def populate(top, files=400):
    """Enough for trees of several levels, and a file of some size."""
    os.makedirs(os.path.join(top, "folder/in folder"))
    for i in range(files):
        with open(os.path.join(top, f"folder/file number {i}"), "wb") as f:
            f.write(lib.prose(i * 5 + 1, seed=i))
    with open(os.path.join(top, "large"), "wb") as f:
        f.write(lib.noise(700_000))
    open(os.path.join(top, "folder/in folder/empty"), "w").close()


def test_hfs():
    """Files that hfsutils wrote: bytes, free space, and the same after many were deleted."""
    lib.need_tool("hformat", "hmount", "hcopy", "hmkdir", "humount", "hdel")
    top = path("top")
    populate(top)
    image = hfs_disk("hfs.img", 4 * MIB, top)
    expect_equal(hashed(image), lib.tree_of(top), "the files")
    env = {**lib.ENV, "HOME": lib.folder()}
    run(["hmount", image], env=env)
    for i in range(0, 400, 2):
        run(["hdel", f":folder:file number {i}"], env=env)
        os.unlink(os.path.join(top, f"folder/file number {i}"))
    free = run(["hvol"], env=env).text
    run(["humount"], env=env)
    expect_equal(hashed(image), lib.tree_of(top), "the files that are left")
    expect(f"{content(image)['free']} bytes free" in free, f"platter and hvol differ on free space: {free}")


def hfsplus_disk(name, source):
    """The volume that xorriso puts beside ISO 9660, cut out of the disc."""
    disc = path(name + ".iso")
    run(["xorriso", "-as", "mkisofs", "-quiet", "-hfsplus", "-o", disc, source])
    with open(disc, "rb") as f:
        data = f.read()
    for entry in (data[512 * i:512 * (i + 1)] for i in range(1, 64)):
        if entry[:2] == b"PM" and entry[48:57] == b"Apple_HFS":
            start, length = struct.unpack(">II", entry[8:16])
            with open(path(name), "wb") as f:
                f.write(data[512 * start:512 * (start + length)])
            return path(name)
    raise lib.Failure("xorriso wrote no HFS Plus volume")


def test_hfsplus():
    """Files that xorriso wrote, with accents in names and links, and what 7-Zip and The Sleuth Kit see of them."""
    lib.need_tool("xorriso", "7zz", "fls")
    top = path("top")
    populate(top)
    for name in ("Zürich", "ÅÄÖ éèê", "日本語", "a" * 200):
        with open(os.path.join(top, "folder", name), "w") as f:
            f.write(name)
    os.symlink("../large", os.path.join(top, "folder/link"))
    image = hfsplus_disk("plus.img", top)
    expect_equal(composed(hashed(image)), composed(lib.tree_of(top)), "the files")
    files = {f["path"]: f for f in platter("ls", "-R", "--json", image).json()["files"]}
    expect_equal(files["folder/link"]["target"], "../large", "the link's target")
    platter("cat", image + ":/FOLDER/in FOLDER/EMPTY")
    expect_equal(platter("cat", image + ":/folder/FILE number 7").out, lib.prose(36, seed=7), "a file found in the wrong case")
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "zürich")
        expect_equal(platter("cat", f"{image}:/folder/{name}").text, "Zürich", f"a file found by its name in {form}")
    # The volume's name is in front of those that 7-Zip lists.
    listing = run(["7zz", "l", "-ba", "-slt", image]).text
    seen = {line[7:].partition("/")[2] for line in listing.splitlines() if line.startswith("Path = ")} - {""}
    expect_equal(set(composed(dict.fromkeys(seen))) ^ set(composed(files)), set(), "what 7-Zip lists besides, or not")
    listing = run(["fls", "-r", "-p", "-F", "-f", "hfs", image]).text
    seen = {line.split("\t", 1)[1] for line in listing.splitlines()}
    expect_equal(set(hashed(image)) - seen, set(), "what The Sleuth Kit does not list")


def test_inside():
    """Both are found as partitions of a hybrid disc."""
    lib.need_tool("genisoimage", "xorriso")
    top = path("top")
    populate(top, files=20)
    run(["genisoimage", "-quiet", "-hfs", "-part", "-o", path("hybrid.iso"), top])
    parts = lib.info(path("hybrid.iso"))["tables"][0]["partitions"]
    number = next(p["number"] for p in parts if p["type"] == "Apple_HFS")
    found = {name: h for name, h in hashed(f"{path('hybrid.iso')}@{number}").items() if not name.startswith("Desktop")}
    expect_equal(found, lib.tree_of(top), "the files of the HFS partition")


@limit(600)
def test_kernel():
    """A volume that the kernel filled: modes, owners, links, attributes, files in many pieces, and what is in use."""
    lib.need_root()
    if not lib.kernel_knows("hfsplus"):
        lib.skip("this kernel has no hfsplus")
    empty = next((s for s in lib.manifest() if s.name == "filesystems/util-linux/hfsplus.img.xz"), None)
    if not empty:
        lib.skip("no empty volume in the corpus")
    image = path("plus.img")
    with open(lib.unpacked(empty.stored), "rb") as f, open(image, "wb") as g:
        g.write(f.read())
    with lib.loop(image) as device:
        with lib.mounted(device, "-t", "hfsplus", "-o", "force") as m:
            populate(m)
            for i in range(60):
                for name in ("one", "two"):
                    with open(f"{m}/{name}", "ab") as f:
                        f.write(lib.noise(4096, seed=i))
                        f.flush()
                        os.fsync(f.fileno())
            os.link(f"{m}/large", f"{m}/folder/again")
            os.symlink("../large", f"{m}/folder/link")
            os.chmod(f"{m}/one", 0o4751)
            os.chown(f"{m}/one", 1000, 1001)
            os.mknod(f"{m}/null", 0o20666, os.makedev(1, 3))
            wanted = lib.tree_of(m)
            st = os.statvfs(m)
    expect_equal(hashed(image), wanted, "the files")
    files = {f["path"]: f for f in platter("ls", "-R", "--json", image).json()["files"]}
    expect_equal((files["one"]["mode"], files["one"]["uid"], files["one"]["gid"]), (0o4751, 1000, 1001), "mode and owner")
    expect_equal(files["large"]["links"], 2, "names of the linked file")
    expect_equal(files["large"]["inode"], files["folder/again"]["inode"], "the numbers of two names of one file")
    expect_equal((files["null"]["major"], files["null"]["minor"]), (1, 3), "the device")
    expect_equal(content(image)["free"], st.f_bfree * st.f_frsize, "free space")
