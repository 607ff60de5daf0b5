# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of exFAT, as exfat-fuse or the kernel writes and reads them."""
import contextlib
import os
import re

import lib
from lib import MIB, expect, expect_equal, limit, noise, path, platter, run
from test_vfat import NAMES, expect_same, files_of, files_under, write

MORE_NAMES = ["emoji 😀.bin", "ä" * 255, "a name that takes several entries, " + "long " * 20 + "end"]


@contextlib.contextmanager
def mounted(image):
    """The image, mounted by the kernel or by exfat-fuse."""
    lib.need_root()
    with lib.loop(image) as device:
        if lib.kernel_knows("exfat"):
            with lib.mounted(device, "-t", "exfat", "-o", "iocharset=utf8") as where:
                yield where
            return
        lib.need_tool("mount.exfat-fuse")
        where = path("mnt")
        os.makedirs(where, exist_ok=True)
        r = run(["mount.exfat-fuse", device, where], status=None)
        if r.status:
            lib.skip(f"neither the kernel nor FUSE mounts exFAT here: {r.text}{r.errors}")
        try:
            yield where
        finally:
            run(["umount", where])


def formatted(size, cluster):
    lib.need_tool("mkfs.exfat")
    image = path("image")
    with open(image, "wb") as f:
        f.truncate(size)
    run(["mkfs.exfat", "-c", cluster, image])
    return image


def fill(where, nr):
    for i, name in enumerate(NAMES + MORE_NAMES):
        write(os.path.join(where, "names", name), noise(i * 777, i), 1_000_000_000 + 2 * i)
    for i in range(nr):
        write(os.path.join(where, "many", str(i // 200), f"file number {i}"), noise(i % 97, i), 1_600_000_000)
    write(os.path.join(where, *["deep"] * 20, "bottom"), b"found", 1_600_000_000)
    # Turn by turn, so that both are in pieces.
    with open(os.path.join(where, "odd"), "wb") as a, open(os.path.join(where, "even"), "wb") as b:
        for i in range(20):
            a.write(noise(9000, i))
            a.flush()
            b.write(noise(7000, i + 1))
            b.flush()
    with open(os.path.join(where, "zeros"), "wb") as f:
        f.write(b"not all")
        f.truncate(200_000)


def check(size, cluster, nr):
    image = formatted(size, cluster)
    with mounted(image) as where:
        fill(where, nr)
    with mounted(image) as where:
        wanted = files_under(where)
        times = {p: os.stat(os.path.join(where, p)).st_mtime for p in wanted}
    expect_same(files_of(image), wanted, "what mounts it")
    listed = {f["path"]: f for f in platter("ls", "-lR", "--json", image).json()["files"] if f["type"] == "file"}
    for p, time in times.items():
        # exfat-fuse keeps whole seconds.
        expect(abs(listed[p]["modified"] - time) < 2, f"time of {p} is {listed[p]['modified']}, expected {time}")


@limit(300)
def test_trees():
    """The files are those that the file system has when it is mounted."""
    for size, cluster, nr in ((64 * MIB, "4K", 1500), (16 * MIB, "512", 300), (128 * MIB, "64K", 300)):
        yield f"clusters of {cluster}", lambda size=size, cluster=cluster, nr=nr: check(size, cluster, nr)


def test_deleted():
    """What was deleted is found as The Sleuth Kit finds it."""
    lib.need_tool("fls")
    image = formatted(16 * MIB, "4K")
    with mounted(image) as where:
        for i in range(30):
            write(os.path.join(where, "folder", f"victim {i}"), noise(5000 + i, i), 1_600_000_000)
        write(os.path.join(where, "stays"), noise(100), 1_600_000_000)
    with mounted(image) as where:
        for i in range(30):
            os.unlink(os.path.join(where, "folder", f"victim {i}"))
    got = {f["path"] for f in platter("ls", "--deleted", "--json", image).json()["files"]}
    said = run(["fls", "-rdp", "-f", "exfat", image]).text
    wanted = {m.group(1) for m in re.finditer(r"^\S+ \* [^\t]*\t(.*)$", said, re.M) if not m.group(1).startswith("$Orphan")}
    expect_equal(got, wanted, "deleted files")
    expect_equal(len(got), 30, "number of deleted files")


def test_second_boot_region():
    """With its first boot sector gone it is opened when it is named, and not otherwise."""
    image = formatted(16 * MIB, "4K")
    with mounted(image) as where:
        write(os.path.join(where, "file"), b"text", 1_600_000_000)
    with open(image, "r+b") as f:
        f.write(bytes(512))
    expect_equal(list(files_of(image + "?fs=exfat")), ["file"], "files")
    platter("ls", image, status=3)
