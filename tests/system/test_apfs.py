# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of APFS, held against other programs that read it."""
import os
import re

import lib
from lib import MIB, expect, expect_equal, helper, path, platter, run

def container(kind):
    """A container that make-apfs writes; nothing in Debian makes any with files in them."""
    image = path(kind + ".img")
    run([helper("make-apfs"), kind, image])
    return image


def names(place):
    """Paths of everything in a tree."""
    files = platter("ls", "-R", "--json", place, status=(0, 4)).json()["files"]
    return sorted(f["path"] for f in files)


def test_sleuth_kit():
    """Names, links and bytes are those that The Sleuth Kit finds."""
    lib.need_tool("fls", "pstat", "icat")
    # Of plain volumes it cuts the first two bytes of each name: it takes them for a part of the hash.
    for kind in ("one", "snapshot"):
        image = container(kind)
        block = re.search(r"APSB Block Number: (\d+)", run(["pstat", image]).text).group(1)
        where = ["-P", "apfs", "-B", block]
        found, parents = {}, []
        lines = run(["fls", "-r", *where, image]).text
        for depth, inode, name in re.findall(r"^(\+*) ?\S+ (\d+):\t(.*)$", lines, re.M):
            parents[len(depth):] = [name]
            found["/".join(parents)] = inode
        expect_equal(sorted(found), names(image), "names")
        with open(path("got"), "wb") as out:
            run(["icat", *where, image, found["Folder/file"]], stdout=out)
        with open(path("ours"), "wb") as out:
            platter("cat", image + ":/Folder/file", stdout=out)
        lib.same_bytes(path("got"), path("ours"))


def test_libfsapfs():
    """All volumes of a container list the names that libfsapfs lists."""
    lib.need_tool("fsapfsinfo")
    for kind in ("one", "plain", "several", "snapshot"):
        image = container(kind)
        lines = run(["fsapfsinfo", "-H", image]).text.splitlines()
        found = [m.groups() for m in (re.match(r"/\{([0-9a-f-]+)\}/(.+)", line) for line in lines) if m]
        if kind == "several":
            folders = {"11111111": "Same", "12121212": None, "13131313": "a:b"}
            found = [(u, folders[u[:8]] + "/" + n) for u, n in found if folders[u[:8]]]
            wanted = sorted([n for u, n in found] + ["Same", "Same (2)", "a:b"])
        else:
            wanted = sorted(n for u, n in found)
        expect_equal(names(image), wanted, f"names of {kind}")


def test_empty_container():
    """What mkapfs makes is empty, and as much of it is in use as The Sleuth Kit says."""
    lib.need_tool("mkapfs", "pstat")
    image = lib.make_raw("empty.img", 513 * MIB, [])
    run(["mkapfs", "-L", "Empty", image])
    expect_equal(names(image), [], "names")
    row = platter("df", "--json", image).json()["volumes"][0]
    said = run(["pstat", image]).text
    for key, label in ("size", "Ceiling \\(Size\\)"), ("used", "In Use"), ("free", "Available"):
        expect_equal(row[key], int(re.search(rf"Capacity {label}: *(\d+) B", said).group(1)), key)


def test_encrypted_volume():
    """An encrypted volume is listed, and says why its files cannot be read."""
    image = container("several")
    files = platter("ls", "-l", "--json", image).json()["files"]
    row = next(f for f in files if f["path"] == "Same (2)")
    expect_equal((row["type"], row["note"]), ("folder", "encrypted"), "volume")
    answer = platter("ls", image + ":/Same (2)", status=(3, 4))
    expect("'Same (2)' is encrypted" in answer.errors, answer.errors)


def test_damage():
    """Any sector may be overwritten: what comes is an answer or an error, and what verifies is listed."""
    whole = {kind: names(container(kind)) for kind in ("one", "sealed")}
    for kind, listed in whole.items():
        image = container(kind)
        size = os.path.getsize(image)
        with open(image, "r+b") as f:
            for at in range(0, size, 4096):
                f.seek(at)
                block = f.read(4096)
                if not any(block):
                    continue
                f.seek(at)
                f.write(lib.noise(512, at))
                f.flush()
                answer = platter("ls", "-R", "--json", image, status=(0, 3, 4))
                if answer.status != 3:
                    got = {f["path"] for f in answer.json()["files"]}
                    expect(got <= set(listed), f"names that were not there, with block {at // 4096} damaged")
                f.seek(at)
                f.write(block)
