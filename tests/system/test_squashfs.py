# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of SquashFS images, held against the folder that mksquashfs made them from."""
import hashlib
import os

import lib
import old_squashfs
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


def old_tree():
    """What versions 1 to 3 can hold: many owners, folders and files of both kinds of inode, tails, holes, devices."""
    def made(kind, uid=0, gid=0, **more):
        return {"type": kind, "mode": more.pop("mode", 0o644), "uid": uid, "gid": gid, "mtime": 1_000_000_000 + uid, **more}

    files = {b"large": made("file", data=lib.prose(50_000) + lib.noise(9000), mode=0o4755),
             b"empty": made("file", data=b""),
             b"holes": made("file", data=b"x" + bytes(30_000) + b"y", extended=True),
             b"whole": made("file", data=lib.prose(8192)),
             b"link": made("symlink", target=b"folder/name0", mode=0o777),
             b"block": made("block device", device=8 << 8 | 17),
             b"character": made("character device", device=4 << 8 | 64, uid=5, gid=6),
             b"pipe": made("fifo", uid=20, gid=20)}
    # Pipes and sockets are one type in version 1, whose owner's table is told elsewhere.
    names = {b"name%d" % i: made("file", 1000 + i % 40, 2000 + i % 10, data=lib.prose(i * 11, seed=i)) for i in range(300)}
    files[b"folder"] = made("folder", **{"in": names, "extended": True, "mode": 0o1777})
    files[b"nothing in it"] = made("folder", **{"in": {}, "mode": 0o700})
    return made("folder", **{"in": files, "mode": 0o755})


def old_told(tree, created, version, path=b""):
    """As files.listed() and files.hashed() tell of it."""
    told, hashes = {}, {}
    for name, f in tree["in"].items():
        here = path + name
        timed = version == 3 or f["type"] in ("file", "folder")
        size = len(f.get("data", f.get("target", b"")))
        target = f["target"].decode() if "target" in f else None
        told[here] = (f["type"], f["mode"], size, f["mtime"] if timed else created, target)
        if "data" in f:
            hashes[here] = hashlib.sha256(f["data"]).hexdigest()
        if "in" in f:
            for mine, theirs in zip((told, hashes), old_told(f, created, version, here + b"/")):
                mine.update(theirs)
    return told, hashes


def owners_of(tree, path=b""):
    found = {}
    for name, f in tree["in"].items():
        found[path + name] = (f["uid"], f["gid"])
        if "in" in f:
            found.update(owners_of(f, path + name + b"/"))
    return found


def test_old_versions():
    """Versions 1 to 3 in both byte orders, compressed or not, tell and hold what they were made of; unsquashfs agrees."""
    lib.need_tool("unsquashfs")
    for version in (1, 2, 3):
        for order in ("little", "big"):
            for more in ({}, {"check": True}, {"as_is": True}, {"block_size": 32768}):
                def attempt(version=version, order=order, more=more):
                    image, tree = path("old.img"), old_tree()
                    with open(image, "wb") as f:
                        f.write(old_squashfs.Image(version, order == "big", **more).make(tree, 1_234_567_890))
                    told, hashes = old_told(tree, 1_234_567_890, version)
                    expect_same(listed(image), told, "the listing")
                    expect_same(hashed(image), hashes, "the hashes")
                    owners = {f["path"].encode(): (f["uid"], f["gid"]) for f in platter("ls", "-R", "--json", image).json()["files"]}
                    expect_same(owners, owners_of(tree), "the owners")
                    said = lib.info(image)["contents"][0]
                    expect_equal((said["name"], said["block_size"]), ("squashfs3", more.get("block_size", 4096)), "what info tells")
                    if os.getuid() == 0:
                        run(["unsquashfs", "-q", "-n", "-f", "-d", path("out"), image])
                        expect_same(told_of(path("out")), told, "what unsquashfs extracts")
                        expect_same(wanted_hashes(path("out")), hashes, "the hashes of what unsquashfs extracts")
                        run(["rm", "-r", path("out")])
                yield f"version {version}, {order}-endian, {more}", attempt


def test_old_damage():
    """Damage to an old image is an error that is told, never more."""
    for version in (1, 2, 3):
        whole = old_squashfs.Image(version, version == 2).make(old_tree(), 0)
        for name, start, end in (("superblock", 4, 60), ("tables", len(whole) * 2 // 3, len(whole)), ("data", 200, 40_000)):
            def attempt(whole=whole, start=start, end=end):
                with open(path("old.img"), "wb") as f:
                    f.write(whole[:start] + b"\x5a" * (end - start) + whole[end:])
                r = platter("hash", "-R", path("old.img"), status=None)
                expect(r.status in (3, 4), f"status {r.status}: {r.errors}")
            yield f"version {version}, {name}", attempt
    with open(path("lzma.img"), "wb") as f:
        f.write(b"shsq" + whole[4:])
    expect("LZMA" in platter("ls", path("lzma.img"), status=3).errors, "the method is not told")
