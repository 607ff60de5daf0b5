# SPDX-License-Identifier: GPL-3.0-or-later
"""A real disk: imaged from a device, restored to a larger one, mounted by the kernel, every file compared."""
import os
import shutil
import time

import lib
from lib import KIB, MIB, expect, expect_equal, limit, loop, need_root, need_tool, path, platter, run, weight

DISK = 256 * MIB
LARGER = 320 * MIB
FAT_AT, FAT_SIZE = MIB, 64 * MIB
EXT_AT, EXT_SIZE = 80 * MIB, 160 * MIB


def real_files(name, most):
    """Files of this system, no more than `most` bytes."""
    top = path(name)
    os.mkdir(top)
    total = 0
    for source in ("/usr/share/doc", "/usr/include", "/usr/share/perl", "/etc/ssl", lib.ROOT):
        for base, folders, names in os.walk(source):
            folders[:] = sorted(f for f in folders if not f.startswith((".", "build")))
            for n in sorted(names):
                p = os.path.join(base, n)
                if os.path.islink(p) or not os.path.isfile(p) or os.stat(p).st_size > 4 * MIB:
                    continue
                total += os.stat(p).st_size + 4096
                if total > most:
                    return top
                to = os.path.join(top, f"{total >> 23}", os.path.relpath(p, "/").replace("/", "_")[-100:])
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copyfile(p, to)
    return top


def make_disk(sector_size=512):
    """A GPT disk with a FAT and an ext4 file system full of real files; (image, trees)."""
    need_tool("sfdisk", "mkfs.vfat", "mcopy", "mke2fs")
    fat_files, ext_files = real_files("fat-files", 24 * MIB), real_files("ext-files", 60 * MIB)
    disk = lib.make_raw("disk.img", DISK, [])
    fat, ext = lib.make_raw("fat.img", FAT_SIZE, []), lib.make_raw("ext.img", EXT_SIZE, [])
    # FAT32 needs more clusters than there are large sectors.
    run(["mkfs.vfat", "-F", "32" if sector_size == 512 else "16", "-s", "1", "-S", str(sector_size), "-n", "EFI", fat])
    env = {"MTOOLS_SKIP_CHECK": "1"}
    run(["sh", "-c", f"mcopy -s -i {fat} {fat_files}/* ::"], env=env, timeout=120)
    run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-L", "root", "-d", ext_files, ext], timeout=120)
    table = (f"label: gpt\nstart={FAT_AT // sector_size},size={FAT_SIZE // sector_size},type=U,name=EFI\n"
             f"start={EXT_AT // sector_size},size={EXT_SIZE // sector_size},type=L,name=root\n").encode()
    if sector_size == 512:
        run(["sfdisk", "-q", disk], input=table)
    else:
        with loop(disk, "-b", str(sector_size)) as device:
            run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", device], input=table)
            run(["sync", device])
    for part, at in ((fat, FAT_AT), (ext, EXT_AT)):
        run(["dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={at // MIB}", "conv=notrunc,sparse", "status=none"])
    trees = lib.tree_of(fat_files), lib.tree_of(ext_files)
    expect(len(trees[0]) > 20 and len(trees[1]) > 50, "there are too few files on this system")
    return disk, trees


def node(device, n):
    """The kernel here may have no partition parser: partx makes the nodes."""
    run(["partx", "-u", device], status=None)
    name = f"{device}p{n}"
    for _ in range(50):
        if os.path.exists(name):
            return name
        time.sleep(0.1)
    run(["partx", "-a", device])
    return name


def check_restored(device, trees, table_tool=True):
    if table_tool:
        need_tool("sgdisk")
        r = run(["sgdisk", "-v", device])
        expect("No problems found" in r.text, f"sgdisk -v: {r}")
    fat, ext = node(device, 1), node(device, 2)
    run(["fsck.fat", "-n", fat])
    run(["e2fsck", "-fn", ext], timeout=120)
    out = path("fat-out")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    if lib.kernel_knows("vfat"):
        with lib.mounted(fat, "-o", "ro") as where:
            expect_equal(lib.tree_of(where), trees[0], "files of the FAT file system")
    else:
        run(["mcopy", "-s", "-n", "-i", fat, "::*", out], timeout=120)
        expect_equal(lib.tree_of(out), trees[0], "files of the FAT file system")
    with lib.mounted(ext, "-o", "ro") as where:
        expect_equal(lib.tree_of(where), trees[1], "files of the ext4 file system")


IMAGES = {"raw": ("image.img", []), "qcow2": ("image.qcow2", ["-c"]), "plain qcow2": ("image.qcow2", []),
          "split": ("image.img", ["--split=50M"])}


@limit(600)
@weight(9)
def test_device_to_larger_device():
    """A device imaged, and restored to a larger one: the kernel mounts it, fsck and sgdisk are content, every file is equal."""
    need_root()
    disk, trees = make_disk()
    with loop(disk) as device:
        for kind, (name, options) in IMAGES.items():
            place = path(name) + (".001" if kind == "split" else "")
            platter("create", "--hash", "sha256", device, path(name), *options, timeout=120)
            platter("compare", device, place, timeout=120)
            # Something else stood there; its remains in the rest stay.
            target = lib.make_raw("target.img", LARGER, [(0, lib.noise(MIB)), (DISK - MIB, lib.noise(20 * MIB)),
                                                         (LARGER - MIB, lib.noise(MIB))])
            with loop(target) as second:
                platter("restore", "--yes", "--verify", place, second, timeout=120)
                run(["sync", second])
                check_restored(second, trees)
            with open(target, "rb") as f:
                f.seek(DISK)
                expect(f.read(18 * MIB) == lib.noise(20 * MIB)[MIB:19 * MIB], "the rest of the device was touched")
            for f in os.listdir(lib.folder()):
                if f.startswith("image."):
                    os.remove(path(f))


@limit(600)
@weight(5)
def test_4096_byte_sectors():
    """The same with 4096-byte sectors, whose GPT counts in them."""
    need_root()
    disk, trees = make_disk(4096)
    with loop(disk, "-b", "4096") as device:
        expect_equal(lib.info(device)["sector_size"], 4096, "sector size")
        platter("create", "-c", device, path("image.qcow2"), timeout=120)
    with loop(lib.make_raw("target.img", LARGER, []), "-b", "4096") as second:
        platter("restore", "--yes", "--verify", path("image.qcow2"), second, timeout=120)
        run(["sync", second])
        check_restored(second, trees)


def test_wipe_rest():
    """--wipe-rest makes all that lies past the source read as zeros, but for the GPT's backup."""
    need_root()
    disk, trees = make_disk()
    with loop(lib.make_raw("target.img", LARGER, [(0, lib.noise(LARGER // 4)), (DISK, lib.noise(LARGER - DISK))])) as second:
        platter("restore", "--yes", "--wipe-rest", disk, second, timeout=120)
        run(["sync", second])
        check_restored(second, trees)
        run(["cmp", "-n", str(LARGER - DISK - MIB), "-i", f"{DISK}:0", second, "/dev/zero"])


def test_clone():
    """clone copies device to device with the same care."""
    need_root()
    disk, trees = make_disk()
    with loop(disk) as first, loop(lib.make_raw("target.img", LARGER, [])) as second:
        platter("clone", "--yes", first, second, timeout=120)
        run(["sync", second])
        check_restored(second, trees)


def test_same_size():
    """Restored to a device of the same size, every byte is equal."""
    need_root()
    disk, _ = make_disk()
    platter("create", "-c", disk, path("image.qcow2"), timeout=120)
    with loop(lib.make_raw("target.img", DISK, [(5 * MIB, lib.noise(MIB))])) as second:
        platter("restore", "--yes", path("image.qcow2"), second, timeout=120)
        run(["sync", second])
        lib.same_bytes(disk, second)


def test_resumed_restore():
    """A restore that was stopped goes on with --resume and ends exact."""
    need_root()
    disk, _ = make_disk()
    with loop(lib.make_raw("target.img", DISK, [])) as second:
        run(["dd", f"if={disk}", f"of={second}", "bs=1M", "count=60", "status=none"])
        r = platter("restore", "--yes", "--resume", "--json", disk, second, timeout=120).json()
        expect(r["kept"] >= 10 * MIB, f"what was there was written again: {r}")
        run(["sync", second])
        lib.same_bytes(disk, second)


# ---- what is refused before a byte is written ----

def refused(image, device, file, *words, args=("--yes",), status=3):
    run(["sync"])       # what the test itself wrote through the device
    before = lib.sha256(file)
    r = platter("restore", *args, image, device, status=status)
    run(["sync"])
    expect_equal(lib.sha256(file), before, "the target after a refusal")
    for word in words:
        expect(word in (r.text + r.errors).lower(), f"the refusal does not say '{word}': {r}")
    return r


def small_disk(name="small.img", size=32 * MIB):
    """A disk with one ext4 partition."""
    need_tool("mke2fs", "sfdisk")
    disk = lib.make_raw(name, size, [])
    run(["sfdisk", "-q", disk], input=b"label: gpt\nstart=2048,type=L\n")
    run(["mke2fs", "-q", "-t", "ext4", "-L", "precious", "-E", f"offset={MIB}", disk, str((size - 2 * MIB) // KIB)])
    return disk


def test_refuses_too_small():
    """A device that is too small is refused, with both sizes."""
    target = small_disk("target.img", 16 * MIB)
    with loop(target) as device:
        refused(small_disk(), device, target, "33554432", "16777216")


def test_refuses_mounted():
    """A device with a mounted partition is refused, and so is the partition."""
    need_root()
    target = small_disk("target.img")
    with loop(target) as device:
        part = node(device, 1)
        with lib.mounted(part, "-o", "ro") as where:
            refused(small_disk(), device, target, "mounted", where)
            refused(lib.make_raw("tiny", MIB, []), part, target, "mounted", where)


def test_refuses_read_only():
    """A read-only device is refused."""
    target = small_disk("target.img")
    with loop(target, "-r") as device:
        refused(small_disk(), device, target, "read-only")


def test_refuses_itself():
    """A device is not restored from itself, from a partition of it, or from the file behind it."""
    target = small_disk("target.img")
    with loop(target) as device:
        refused(device, device, target)
        refused(f"{device}@1", device, target)
        refused(target, device, target)


def test_refuses_in_use():
    """A device that another device stands on, or that is swap, is refused."""
    need_root()
    target = small_disk("target.img")
    with loop(target) as device:
        with loop(device):
            refused(small_disk(), device, target, "loop")
        run(["mkswap", device])
        if run(["swapon", device], status=None).status == 0:
            try:
                refused(lib.make_raw("other", 8 * MIB, [(0, b"x")]), device, target, "swap")
            finally:
                run(["swapoff", device])


def test_refuses_without_yes():
    """Without --yes and without a terminal to ask on, nothing is written, and what stands there is shown."""
    target = small_disk("target.img")
    with loop(target) as device:
        refused(small_disk(), device, target, "precious", "ext4", "--yes", args=(), status=(2, 3))


def test_refuses_missing():
    """A target that does not exist is not made by restore."""
    platter("restore", "--yes", small_disk(), path("nowhere"), status=3)
    expect(not os.path.exists(path("nowhere")), "a file was made")


def test_restore_to_file():
    """An existing image file is a target too."""
    disk = small_disk()
    target = lib.make_raw("target.img", 48 * MIB, [(0, lib.noise(MIB))])
    platter("restore", "--yes", disk, target)
    r = run(["sgdisk", "-v", target])
    expect("No problems found" in r.text, f"sgdisk -v: {r}")
    run(["e2fsck", "-fn", f"{target}?offset={MIB}"])
