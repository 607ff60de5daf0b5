# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders to make file systems of, and what platter and the system tell of the files inside."""
import errno
import os
import stat

import lib
from lib import platter


KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
         stat.S_IFCHR: "character device", stat.S_IFBLK: "block device"}


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
            kind = KINDS[stat.S_IFMT(st.st_mode)]
            size = 0 if kind == "folder" else st.st_size
            found[os.path.relpath(p, top.encode())] = (kind, st.st_mode & 0o7777, size, int(st.st_mtime),
                                                       link.decode() if link is not None else None)
    return found


def listed(place):
    found = {}
    for f in platter("ls", "-R", "--json", place).json()["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        time = f["modified"]
        found[name] = (f["type"], f["mode"], 0 if f["type"] == "folder" else f["size"], time if time is None else int(time),
                       f["target"])
    return found


def hashed(place):
    out = {}
    for f in platter("hash", "-R", "--json", place).json()["files"]:
        out[bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()] = f["hashes"]["sha256"]
    return out


def wanted_hashes(top):
    return {os.fsencode(name): value for name, value in lib.tree_of(top).items()}


def xattrs_of(top):
    """{path: {name: value}} of what has any."""
    found = {}
    for base, folders, files in os.walk(top.encode()):
        for name in folders + files:
            p = os.path.join(base, name)
            try:
                names = os.listxattr(p, follow_symlinks=False)
            except OSError as e:
                # HFS Plus has this error for none.
                if e.errno != errno.ENODATA:
                    raise
                names = []
            # XFS shows its own form of access control lists beside that of Linux.
            names = [n for n in names if not n.startswith("trusted.SGI_ACL")]
            if names:
                found[os.path.relpath(p, top.encode())] = {n: os.getxattr(p, n, follow_symlinks=False) for n in names}
    return found


def xattrs_listed(place):
    found = {}
    for f in platter("ls", "-R", "--json", "--attributes", place).json()["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        if f["xattrs"]:
            found[name] = {a["name"]: bytes.fromhex(a["value_hex"]) for a in f["xattrs"]}
    return found


def expect_same(got, wanted, what):
    """As expect_equal() of two dicts, showing only where they differ."""
    if got != wanted:
        wrong = [f"{k!r}: {got.get(k)!r}, expected {wanted.get(k)!r}" for k in sorted(set(got) | set(wanted))
                 if got.get(k) != wanted.get(k)]
        raise lib.Failure(f"{what}: {len(wrong)} differ\n  " + "\n  ".join(w[:300] for w in wrong[:12]))


def same_as_mounted(place, where, xattrs=True):
    """What platter tells of a file system is what the system tells of it, mounted at `where`."""
    expect_same(listed(place), told_of(where), "the listing")
    if xattrs:
        expect_same(xattrs_listed(place), xattrs_of(where), "the extended attributes")
    expect_same(hashed(place), wanted_hashes(where), "the hashes")
