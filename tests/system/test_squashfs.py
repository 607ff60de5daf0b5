# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of SquashFS images, held against the folder that mksquashfs made them from."""
import os

import lib
from lib import expect, expect_equal, path, platter, run

METHODS = ("gzip", "lzma", "lzo", "xz", "lz4", "zstd")


def populate(top):
    """Deep folders, small files that share fragments, a large one, holes, links, attributes, odd names."""
    os.makedirs(os.path.join(top, "a/b/c/d"))
    for i in range(300):
        with open(os.path.join(top, f"a/b/file{i}"), "wb") as f:
            f.write(lib.prose(i * 7 + 1, seed=i))
    with open(os.path.join(top, "large"), "wb") as f:
        f.write(lib.prose(3_000_000) + lib.noise(500_000))
    with open(os.path.join(top, "hole"), "wb") as f:
        f.truncate(5_000_000)
        f.write(b"start")
    open(os.path.join(top, "a/b/c/d/empty"), "w").close()
    with open(os.path.join(top.encode(), b"caf\xe9 \xc3\xa9"), "wb") as f:
        f.write(b"odd")
    os.link(os.path.join(top, "large"), os.path.join(top, "a/again"))
    os.symlink("../large", os.path.join(top, "a/link"))
    os.symlink("nowhere", os.path.join(top, "broken"))
    os.chmod(os.path.join(top, "large"), 0o4751)
    os.utime(os.path.join(top, "large"), (1234567890, 1234567890))
    try:
        os.setxattr(os.path.join(top, "large"), "user.name", b"value" * 100)
    except OSError:
        pass


def told_of(top):
    """{path: (type, mode, size, time, target)} as the system tells it."""
    found = {}
    for base, folders, files in os.walk(top.encode()):
        for name in folders + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            link = os.readlink(p) if os.path.islink(p) else None
            kind = "symlink" if link is not None else "folder" if os.path.isdir(p) else "file"
            size = 0 if kind == "folder" else st.st_size
            found[os.path.relpath(p, top.encode())] = (kind, st.st_mode & 0o7777, size, int(st.st_mtime),
                                                       link.decode() if link is not None else None)
    return found


def listed(place):
    found = {}
    for f in platter("ls", "-R", "--json", place).json()["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        found[name] = (f["type"], f["mode"], 0 if f["type"] == "folder" else f["size"], int(f["modified"]), f["target"])
    return found


def hashed(place):
    out = {}
    for f in platter("hash", "-R", "--json", place).json()["files"]:
        out[bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()] = f["hashes"]["sha256"]
    return out


def wanted_hashes(top):
    return {os.fsencode(name): value for name, value in lib.tree_of(top).items()}


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
                expect_equal(listed(image), told, "the listing")
                expect_equal(hashed(image), bytes_of, "the hashes")
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
