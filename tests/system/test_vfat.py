# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of FAT, as mtools writes them and the kernel, 7-Zip and The Sleuth Kit read them."""
import hashlib
import os
import re

import lib
from lib import KIB, MIB, expect, expect_equal, limit, noise, path, platter, run

# Name, size of the volume, how it is formatted.
KINDS = [
    ("FAT12", 4 * MIB, ["-F", "12", "-s", "4"]),
    ("FAT12 of one sector a cluster, one table", 1900 * KIB, ["-F", "12", "-s", "1", "-f", "1"]),
    ("FAT16", 40 * MIB, ["-F", "16", "-s", "4"]),
    ("FAT16 in clusters of 64 KiB", 300 * MIB, ["-F", "16", "-s", "128"]),
    ("FAT32", 40 * MIB, ["-F", "32", "-s", "1"]),
    ("FAT32 in sectors of 4096, three tables", 300 * MIB, ["-F", "32", "-S", "4096", "-s", "1", "-f", "3"]),
]
NAMES = ["plain", "UPPER.TXT", "lower.txt", "Mixed.Txt", "with space", ".hidden", "many.dots.in.name", "Ünïcödé.txt",
         "日本語のファイル.txt", "x" * 255, "ä" * 120, "a+b=c,d;e[f].txt", "it's", "~tilde", "ÇÉÑ.TXT",
         "exactly 13 un", "exactly twenty-six charact"]


def write(file, data, time):
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as f:
        f.write(data)
    os.utime(file, (time, time))


def make_tree(nr):
    top = path("tree")
    for i, name in enumerate(NAMES):
        write(os.path.join(top, "names", name), noise(i * 777, i), 1_000_000_000 + i * 1_000_000)
    for i in range(nr):
        write(os.path.join(top, "many", str(i // 100), f"file number {i}"), noise(i % 97, i), 1_600_000_000)
    write(os.path.join(top, *["deep"] * 20, "bottom"), b"found", 1_600_000_000)
    write(os.path.join(top, "large"), noise(300_000), 1_600_000_001)
    write(os.path.join(top, "empty"), b"", 1_600_000_002)
    return top


def formatted(size, options):
    lib.need_tool("mkfs.fat", "mcopy", "mdel")
    image = path("image")
    with open(image, "wb") as f:
        f.truncate(size)
    run(["mkfs.fat", *options, image])
    return image


def mtool(name, image, *args):
    run([name, "-i", image, *args], env={**lib.ENV, "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}, timeout=200)


def files_of(place):
    """{path: (size, sha256)} of what platter finds."""
    answer = platter("hash", "-R", "--json", place, timeout=200).json()
    expect_equal(answer.get("errors", []), [], "errors")
    return {f["path"]: (f["size"], f["hashes"]["sha256"]) for f in answer["files"]}


def files_under(top):
    found = {}
    for base, _, names in os.walk(top):
        for name in names:
            p = os.path.join(base, name)
            with open(p, "rb") as f:
                data = f.read()
            found[os.path.relpath(p, top)] = (len(data), hashlib.sha256(data).hexdigest())
    return found


def expect_same(got, wanted, whose):
    more, less = sorted(set(got) - set(wanted)), sorted(set(wanted) - set(got))
    expect(not more and not less, f"only platter has {more[:5]}, only {whose} has {less[:5]}")
    differ = [p for p in wanted if got[p] != wanted[p]]
    expect(not differ, f"{differ[:5]} are not as {whose} has them")


def check_kind(size, options):
    nr = 100 if size < 2 * MIB else 600
    top, image = make_tree(nr), formatted(size, options)
    # Holes among the files, so that what comes after is in pieces.
    for i in range(8):
        mtool("mcopy", image, os.path.join(top, "large" if i % 2 else "empty"), f"::/gap{i}")
    mtool("mdel", image, "::/gap1")
    mtool("mcopy", image, "-s", "-m", *(os.path.join(top, n) for n in os.listdir(top)), "::/")
    mtool("mdel", image, "::/gap3", "::/gap5")
    mtool("mcopy", image, os.path.join(top, "large"), "::/last")
    wanted = files_under(top)
    for i in (0, 2, 4, 6):
        wanted[f"gap{i}"] = wanted["empty"]
    wanted["gap7"] = wanted["last"] = wanted["large"]
    expect_same(files_of(image), wanted, "the tree")
    listed = {f["path"]: f for f in platter("ls", "-lR", "--json", image).json()["files"]}
    for i, name in enumerate(NAMES):
        expect_equal(listed["names/" + name]["modified"], 1_000_000_000 + i * 1_000_000, f"time of {name}")
    run(["fsck.fat", "-n", image], status=(0, 1))


@limit(300)
def test_kinds():
    """Files copied with mtools are found in every kind of FAT, whole and with their times."""
    for name, size, options in KINDS:
        yield name, lambda size=size, options=options: check_kind(size, options)


def test_kernel():
    """The files, their times and attributes are those that the kernel finds."""
    lib.need_root()
    if not lib.kernel_knows("vfat"):
        lib.skip("this kernel has no vfat")
    top, image = make_tree(300), formatted(40 * MIB, ["-F", "32", "-s", "1"])
    mtool("mcopy", image, "-s", "-m", *(os.path.join(top, n) for n in os.listdir(top)), "::/")
    with lib.loop(image) as device, lib.mounted(device, "-o", "ro,utf8,tz=UTC") as where:
        expect_same(files_of(image), files_under(where), "the kernel")
        for f in platter("ls", "-lR", "--json", image).json()["files"]:
            st = os.stat(os.path.join(where, f["path"]))
            expect_equal(f["modified"], st.st_mtime, f"time of {f['path']}")


def test_7zip():
    """7-Zip lists the same files."""
    lib.need_tool("7zz")
    top, image = make_tree(100), formatted(40 * MIB, ["-F", "16", "-s", "4"])
    # Its short name alone would do, in a code page that 7-Zip does not take.
    os.unlink(os.path.join(top, "names", "ÇÉÑ.TXT"))
    mtool("mcopy", image, "-s", "-m", *(os.path.join(top, n) for n in os.listdir(top)), "::/")
    out = path("7zip")
    run(["7zz", "x", "-y", "-tfat", "-o" + out, image], timeout=200)
    expect_same(files_of(image), files_under(out), "7-Zip")


def test_deleted():
    """What was deleted is found as The Sleuth Kit finds it, and read as it was."""
    lib.need_tool("fls")
    image = formatted(40 * MIB, ["-F", "32", "-s", "1"])
    top = path("tree")
    for i in range(40):
        write(os.path.join(top, f"victim number {i}.data"), noise(3000 + i, i), 1_600_000_000)
    mtool("mmd", image, "::/folder", "::/old folder")
    mtool("mcopy", image, *(os.path.join(top, n) for n in sorted(os.listdir(top))), "::/folder")
    mtool("mcopy", image, os.path.join(top, "victim number 1.data"), "::/SHORT.DAT")
    mtool("mcopy", image, os.path.join(top, "victim number 2.data"), "::/old folder")
    mtool("mdel", image, "::/folder/victim number *", "::/SHORT.DAT")
    mtool("mdeltree", image, "::/old folder")
    answer = platter("ls", "--deleted", "--json", image).json()
    got = {f["path"]: f for f in answer["files"]}
    said = run(["fls", "-rdp", "-f", "fat32", image]).text
    wanted = {m.group(1) for m in re.finditer(r"^\S+ \* [^\t]*\t(.*)$", said, re.M) if not m.group(1).startswith("$Orphan")}
    expect_equal(set(got), wanted, "deleted files")
    expect_equal(len([p for p in got if p.startswith("folder/victim")]), 40, "deleted files of the folder")
    expect_equal({f["recoverable"] for f in got.values()}, {"whole"}, "what is left of them")


def test_deleted_and_reused():
    """What another file lies on now is said to be lost."""
    image = formatted(MIB, ["-F", "12", "-s", "1"])
    write(path("a"), noise(20000), 1_600_000_000)
    write(path("b"), noise(5000, 2), 1_600_000_000)
    mtool("mmd", image, "::/folder")
    for name in ("first", "second", "third"):
        mtool("mcopy", image, path("a"), "::/folder/" + name)
    mtool("mdel", image, "::/folder/first", "::/folder/third")
    # Fills the first gap.
    mtool("mcopy", image, path("b"), "::/new")
    got = {f["path"]: f["recoverable"] for f in platter("ls", "--deleted", "--json", image).json()["files"]}
    expect_equal(got, {"folder/_irst": "nothing", "folder/_hird": "whole"}, "deleted files")
