# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of what is in use: what is left out is really free, and what comes back is whole."""
import contextlib
import os
import shutil

import files
import lib
import test_exfat
import test_ntfs
from lib import MIB, expect, expect_equal, limit, path, platter, run, weight



@contextlib.contextmanager
def by_kernel(image):
    lib.need_root()
    with lib.loop(image) as device:
        kind = run(["blkid", "-p", "-o", "value", "-s", "TYPE", device]).text.strip()
        if not lib.kernel_knows(kind):
            lib.skip(f"this kernel has no {kind}")
        with lib.mounted(device) as where:
            yield where


# name: [command that makes it, size, what checks it (read-only), what mounts it, or None: mtools fill it]
KINDS = {
    "ext2": (["mkfs.ext2", "-q", "-F", "-E", "nodiscard"], 64, ["e2fsck", "-fn"], by_kernel),
    "ext4": (["mkfs.ext4", "-q", "-F", "-E", "nodiscard"], 200, ["e2fsck", "-fn"], by_kernel),
    "ext4 of 1 KiB": (["mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-b", "1024", "-O", "meta_bg,^resize_inode"], 64, ["e2fsck", "-fn"],
                      by_kernel),
    "ext4 bigalloc": (["mkfs.ext4", "-q", "-F", "-E", "nodiscard", "-O", "bigalloc", "-C", "65536"], 128, ["e2fsck", "-fn"], by_kernel),
    "xfs": (["mkfs.xfs", "-q", "-f", "-K"], 320, ["xfs_repair", "-n"], by_kernel),
    "btrfs": (["mkfs.btrfs", "-q", "-f", "-K"], 256, ["btrfs", "check", "--readonly"], by_kernel),
    "fat16": (["mkfs.vfat", "-F", "16"], 32, ["fsck.vfat", "-n"], None),
    "fat32": (["mkfs.vfat", "-F", "32"], 128, ["fsck.vfat", "-n"], None),
    "exfat": (["mkfs.exfat"], 96, ["fsck.exfat", "-n"], test_exfat.mounted),
    "ntfs": (["mkntfs", "-q", "-F", "-f"], 96, ["ntfsresize", "--check", "--force"], test_ntfs.filled),
    "ntfs of 512 bytes": (["mkntfs", "-q", "-F", "-f", "-c", "512"], 64, ["ntfsresize", "--check", "--force"], test_ntfs.filled),
}


def copy_in(top, where):
    """What the file system takes of it."""
    for base, folders, names in os.walk(top.encode()):
        to = os.path.join(where.encode(), os.path.relpath(base, top.encode()))
        os.makedirs(to, exist_ok=True)
        for name in names:
            with contextlib.suppress(OSError):
                shutil.copy2(os.path.join(base, name), os.path.join(to, name), follow_symlinks=False)


def fill(image, mount, top):
    """Fill it, and leave free space that was used before."""
    files.populate(top)
    if mount is None:
        lib.need_tool("mcopy")
        for name in ("large", "hole"):
            run(["mcopy", "-i", image, os.path.join(top, name), "::" + name.upper()])
        run(["mmd", "-i", image, "::FOLDER"])
        run(["mcopy", "-i", image, os.path.join(top, "large"), "::FOLDER/GONE"])
        run(["mcopy", "-i", image, os.path.join(top, "large"), "::FOLDER/STAYS"])
        run(["mdel", "-i", image, "::FOLDER/GONE"])
        return
    with mount(image) as where:
        copy_in(top, os.path.join(where, "top"))
        with open(os.path.join(where, "gone"), "wb") as f:
            f.write(lib.noise(8 * MIB))
        os.sync()
        os.unlink(f.name)


def scribble(image, backup):
    """Overwrite what the backup left out.  Zeros that are in use are holes of it too: they are passed."""
    left_out = 0
    zeros, noise = bytes(512), lib.noise(512, seed=7)
    with open(image, "r+b") as f:
        for e in platter("map", "--json", backup, timeout=120).json()["extents"]:
            if e["kind"] != "hole":
                continue
            f.seek(e["offset"])
            old = f.read(e["length"])
            new = b"".join(zeros if old[i:i + 512] == zeros else noise for i in range(0, len(old), 512))
            left_out += len(new) - new.count(zeros) * 512
            f.seek(e["offset"])
            f.write(new)
    return left_out


@limit(900)
@weight(4)
def test_free_is_free():
    """Of each file system: noise over what a backup left out harms nothing; restored it is whole, and every file equal."""
    for name, (make, size, check, mount) in KINDS.items():
        def attempt(make=make, size=size, check=check, mount=mount):
            lib.need_tool(make[0], check[0])
            image = path("a.img")
            with open(image, "wb") as f:
                for i in range(size):
                    f.write(lib.noise(MIB, seed=i))
            r = run([*make, image], status=None)
            if r.status:
                lib.skip(f"{make[0]}: {r.errors.strip()[:100]}")
            fill(image, mount, path("top"))
            filled = {f"top/{name}" for name in ("large", "hole", "a/b/file299")} if mount else {"LARGE"}
            before = files.hashed(image)
            expect({name.encode() for name in filled} <= set(before), f"of what was put in there is only {list(before)[:9]}")
            # Small clusters, so that small holes show.
            said = platter("create", "--backup", "-o", "cluster_size=4k", "--json", image, path("b.qcow2"), timeout=300).json()
            expect(said["verified"], "it was not verified")
            expect_equal(said["volumes"][0]["whole"], None, "why all of it was kept")
            expect(said["unused"] > size * MIB // 8, f"only {said['unused']} bytes were left out")
            space = platter("df", "--json", image).json()["volumes"][0]
            expect(abs(space["free"] - said["unused"]) <= max(space["size"] // 50, 2 * MIB),
                   f"{said['unused']} bytes left out, {space['free']} free by its own count")
            expect(scribble(image, path("b.qcow2")) > size * MIB // 10, "there was nothing in free space")
            run([*check, image], timeout=300)
            files.expect_same(files.hashed(image), before, "after the noise")
            platter("convert", path("b.qcow2"), path("c.img"), timeout=300)
            run([*check, path("c.img")], timeout=300)
            files.expect_same(files.hashed(path("c.img")), before, "restored")
        yield name, attempt


def test_disk():
    """Of a disk with partitions, gaps and boot areas stay, an unknown partition is kept whole, swap is left out."""
    lib.need_tool("sfdisk", "mkfs.ext4", "mkswap")
    image = path("a.img")
    with open(image, "wb") as f:
        f.write(lib.noise(160 * MIB))
    run(["sfdisk", "-q", image], input=b"label: gpt\nstart=4096, size=64M\nsize=32M, type=swap\nsize=32M\n")
    for start, size, make in ((2, 64, ["mkfs.ext4", "-q", "-F"]), (66, 32, ["mkswap"])):
        with open(path("p.img"), "wb") as f:
            f.truncate(size * MIB)
        run([*make, path("p.img")])
        with open(path("p.img"), "rb") as p, open(image, "r+b") as f:
            f.seek(start * MIB)
            shutil.copyfileobj(p, f)
    said = platter("create", "--used-only", "--json", image, path("b.img"), timeout=120).json()
    volumes = {v["partition"]: v for v in said["volumes"]}
    expect(volumes[1]["used"] < 20 * MIB and volumes[1]["whole"] is None, f"ext4: {volumes[1]}")
    expect_equal(volumes[2]["used"], 4096, "of swap kept")
    expect(volumes[3]["whole"], "an unknown partition has no reason to be whole")
    with open(image, "rb") as a, open(path("b.img"), "rb") as b:
        for start, length, what in ((0, 2 * MIB, "what is in front of the partitions"), (98 * MIB, 62 * MIB, "what is behind them")):
            a.seek(start)
            b.seek(start)
            expect(a.read(length) == b.read(length), f"{what} differs")


def test_dirty():
    """A file system that was not unmounted is told, and nothing that its journal holds is lost."""
    lib.need_root()
    lib.need_tool("mkfs.ext4")
    image = path("a.img")
    with open(image, "wb") as f:
        f.truncate(64 * MIB)
    run(["mkfs.ext4", "-q", "-F", image])
    with lib.loop(image) as device, lib.mounted(device) as where:
        with open(os.path.join(where, "file"), "wb") as f:
            f.write(lib.noise(MIB))
        os.sync()
        run(["cp", "--sparse=always", device, path("b.img")])
    platter("create", "--used-only", "-q", path("b.img"), path("c.img"))
    for name in ("b.img", "c.img"):
        run(["e2fsck", "-fy", path(name)], status=(0, 1))
    expect_equal(platter("hash", path("c.img") + ":/file").text.split()[0],
                 platter("hash", path("b.img") + ":/file").text.split()[0], "the file")
