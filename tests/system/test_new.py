# SPDX-License-Identifier: GPL-3.0-or-later
"""What platter new makes, held against the programs that read such things, and booted."""
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import lib
from lib import KIB, MIB, expect, expect_equal, limit, need_tool, noise, path, platter, prose, run
from test_iso9660 import check_rock_ridge, hashes, make_tree

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
ISOLINUX = "/usr/lib/ISOLINUX"
MODULES = "/usr/lib/syslinux/modules/bios"
OVMF = "/usr/share/OVMF/OVMF_CODE.fd"
SAYS = "platter-boots-this"     # as a kernel that ISOLINUX looks for in vain


def write(name, data):
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as f:
        f.write(data)


def small_tree(name="small"):
    """Plain files, the same every time."""
    top = path(name)
    for p, n in {"a/one": 1, "a/b/two": 5000, "empty": 0, "large": 300 * KIB, "z": 2049}.items():
        write(os.path.join(top, p), prose(n, p))
    for base, folders, files in os.walk(top):
        for f in folders + files:
            os.utime(os.path.join(base, f), (1600000000, 1600000000))
    return top


def need_isolinux():
    if not os.path.exists(ISOLINUX + "/isolinux.bin"):
        lib.skip("isolinux is not installed")


def bootable_tree():
    need_isolinux()
    top = small_tree("boot")
    os.makedirs(top + "/isolinux", exist_ok=True)
    shutil.copy(ISOLINUX + "/isolinux.bin", top + "/isolinux/")
    shutil.copy(MODULES + "/ldlinux.c32", top + "/isolinux/")
    write(top + "/isolinux/isolinux.cfg", f"SERIAL 0 115200\nDEFAULT x\nLABEL x\nKERNEL {SAYS}\n".encode())
    return top


def efi_folder():
    need_tool("mkfs.vfat", "mcopy")
    write(path("efi/EFI/BOOT/BOOTX64.EFI"), noise(100 * KIB))
    return path("efi")


def boot_report(image):
    need_tool("xorriso")
    return run(["xorriso", "-indev", "stdio:" + image, "-report_el_torito", "plain", "-report_system_area", "plain"]).text


def same_files(image, top):
    """7-Zip and xorriso take the same files out of it as they are in the folder."""
    need_tool("7zz", "xorriso")
    for name, command in (("7z", ["7zz", "x", "-y", "-bd", "-snld", "-o" + path("x.7z"), image]),
                          ("xorriso", ["xorriso", "-osirrox", "on", "-indev", "stdio:" + image, "-extract", "/", path("x.xorriso")])):
        run(command, timeout=120)
        run(["diff", "-r", "--no-dereference", top, path("x." + name)])
        run(["chmod", "-R", "u+w", path("x." + name)])
        shutil.rmtree(path("x." + name))


def sha256(top):
    out = run(["sh", "-c", f"cd '{top}' && find . -type f -exec sha256sum {{}} +"]).text
    return {line[66:].removeprefix("./"): line[:64] for line in out.splitlines()}


def test_iso_of_everything():
    """Modes, owners, times, links, devices and contents of a folder are those on the disc, in each of its trees."""
    top = make_tree(special=os.geteuid() == 0)
    platter("new", path("d.iso"), "--from", top, "--label", "EVERYTHING")
    check_rock_ridge(path("d.iso"), top)
    expect_equal(hashes(path("d.iso")), sha256(top), "the hashes")
    joliet = hashes(path("d.iso?fs=joliet"))
    expect_equal(sorted(joliet.values()), sorted(sha256(top).values()), "the hashes of Joliet's files")
    expect_equal(platter("info", "--json", path("d.iso")).json()["disks"][0]["contents"][0]["label"], "EVERYTHING", "the label")


def test_iso_by_others():
    """7-Zip, xorriso, isoinfo and bsdtar read the disc."""
    top = small_tree()
    platter("new", path("d.iso"), "--from", top)
    same_files(path("d.iso"), top)
    need_tool("isoinfo", "bsdtar")
    listed = run(["isoinfo", "-R", "-f", "-i", path("d.iso")]).text.split()
    wanted = {"/" + os.path.relpath(os.path.join(b, n), top) for b, d, f in os.walk(top) for n in d + f}
    expect_equal(set(listed), wanted, "what isoinfo lists")
    out = run(["bsdtar", "-xOf", path("d.iso"), "a/b/two"]).out
    expect_equal(out, prose(5000, "a/b/two"), "a file by bsdtar")


def test_names():
    """Names that are no UTF-8, beyond 16 bits, long and alike, and deep folders come back as they were."""
    top = os.fsencode(path("names"))
    for name in (b"bad\xff\xfename", b"x" * 250 + b"1", b"x" * 250 + b"2", b"a:b*c?", "\N{PILE OF POO}".encode(), b"1/2/3/4/5/6/7/8/9/10/deep"):
        os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
        with open(os.path.join(top, name), "wb") as f:
            f.write(name)
    platter("new", path("d.iso"), "--from", path("names"))
    platter("extract", "-q", path("d.iso"), "-C", path("x"))
    run(["diff", "-r", path("names"), path("x")])
    joliet = set(hashes(path("d.iso?fs=joliet")))
    expect_equal(len(joliet), 6, "files of Joliet")
    expect("\N{PILE OF POO}" in joliet, f"{joliet}")


def test_iso_mounts():
    """The kernel reads it."""
    lib.need_root()
    with open("/proc/filesystems") as f:
        if "iso9660" not in f.read():
            lib.skip("this kernel has no iso9660")
    top = small_tree()
    platter("new", path("d.iso"), "--from", top)
    os.mkdir(path("m"))
    run(["mount", "-o", "ro,loop", path("d.iso"), path("m")])
    lib.undo(lambda: run(["umount", path("m")]))
    run(["diff", "-r", top, path("m")])


def test_iso_of_a_place():
    """The folder may be one in an image of any format."""
    need_tool("mke2fs")
    top = small_tree()
    run(["mke2fs", "-q", "-t", "ext4", "-d", top, path("e.img"), "16M"])
    platter("convert", path("e.img"), path("e.qcow2"))
    platter("new", path("d.iso"), "--from", path("e.qcow2") + ":/a")
    expect_equal(hashes(path("d.iso")), sha256(top + "/a"), "the hashes")
    platter("new", path("d2.iso"), "--from", path("d.iso"))
    expect_equal(hashes(path("d2.iso")), sha256(top + "/a"), "the hashes of a disc of a disc")


def test_trees_of_a_disc():
    """Trees can be left out, and one of HFS+ added."""
    top = small_tree()
    platter("new", path("plain.iso"), "--from", top, "--no-joliet", "--no-rock-ridge")
    facts = platter("info", path("plain.iso")).text
    expect(re.search(r"Rock Ridge names +no", facts) and re.search(r"Joliet names +no", facts), facts)
    platter("new", path("mac.iso"), "--from", top, "--hfsplus")
    tables = platter("info", "--json", path("mac.iso")).json()["disks"][0]["tables"]
    hfs = next(p["number"] for t in tables for p in t["partitions"] if p["type"] == "Apple_HFS")
    expect_equal(hashes(f"{path('mac.iso')}@{hfs}"), sha256(top), "the hashes of HFS+'s files")
    r = platter("new", path("u.iso"), "--from", top, "--udf", "--json", status=3).json()
    expect_equal(r["error"]["code"], "ENOTSUP", "what --udf says")
    expect("genisoimage" in r["error"]["hint"], f"the hint: {r}")


def test_identifiers_exclusion_weights():
    """Identifiers stand in the descriptor, what is excluded is not there, contents of high weight stand first."""
    top = small_tree()
    write(path("weights"), b"# comment\n*.none 3\na 100\nempty -1\n")
    platter("new", path("d.iso"), "--from", top, "--label", "L", "--publisher", "PUB", "--preparer", "PREP", "--application", "APP",
            "--system", "SYS", "--set", "SET", "--exclude", "two", "--exclude", "/empty", "--weight", "z=200", "--sort-weights", path("weights"))
    need_tool("isoinfo")
    text = run(["isoinfo", "-d", "-i", path("d.iso")]).text
    for field, value in {"Volume id": "L", "Publisher id": "PUB", "Data preparer id": "PREP", "Application id": "APP",
                         "System id": "SYS", "Volume set id": "SET"}.items():
        expect(f"{field}: {value}\n" in text, f"{field}: {text}")
    expect_equal(set(hashes(path("d.iso"))), {"a/one", "large", "z"}, "what is there")
    starts = {f: platter("map", "--json", f"{path('d.iso')}:/{f}").json()["extents"][0] for f in ("z", "a/one", "large")}
    at = {f: e.get("file_offset", e.get("stored_offset", e.get("offset_in_file"))) for f, e in starts.items()}
    if None not in at.values():
        expect(at["z"] < at["a/one"] < at["large"], f"order: {at}")


def test_wrong_orders():
    """What contradicts itself is refused, and nothing of it is left."""
    top = small_tree()
    for code, words in {"EINVAL": [["--label", "x" * 33], ["--isohybrid", "x"], ["--like", "x", "--append", "y"]],
                        "ENOENT": [["--boot-bios", "none"], ["--boot-uefi", "none"], ["--like", "none"]]}.items():
        for w in words:
            r = platter("new", path("d.iso"), "--from", top, "--json", *w, status=3).json()
            expect_equal(r["error"]["code"], code, f"{w}: {r}")
            expect(not [n for n in os.listdir(lib.folder()) if n.startswith("d.iso")], f"left: {os.listdir(lib.folder())}")
    write(path("d.iso"), b"there")
    platter("new", path("d.iso"), "--from", top, status=3)
    platter("new", path("d.iso"), "--from", top, "--force")
    expect_equal(hashes(path("d.iso")), sha256(top), "the hashes")
    platter("new", path("e.iso"), status=2)
    platter("new", path("e.iso"), "--from", top, "--weight", "x", status=2)


def test_reproducible():
    """With SOURCE_DATE_EPOCH two runs give the same bytes, of copies of a folder too."""
    top = bootable_tree()
    words = ["--label", "SAME", "--boot-bios", "isolinux/isolinux.bin", "--isohybrid", ISOLINUX + "/isohdpfx.bin",
             "--boot-uefi", efi_folder(), "--hfsplus"]
    platter("new", path("1.iso"), "--from", top, *words, env=EPOCH)
    time.sleep(1.1)
    run(["cp", "-a", top, path("copy")])
    os.utime(path("copy/z"), (1800000000, 1800000000))      # later than the epoch
    os.utime(top + "/z", (1700000000, 1700000000))
    platter("new", path("1.iso"), "--force", "--from", top, *words, env=EPOCH)
    platter("new", path("2.iso"), "--from", path("copy"), *words, "--threads", 1, env=EPOCH)
    run(["cmp", path("1.iso"), path("2.iso")])


def test_append():
    """Another session: the old files, the new ones in their places, and the old disc unchanged in front."""
    top, more = small_tree(), path("more")
    write(more + "/a/one", b"newer")
    write(more + "/n/new", b"new")
    platter("new", path("1.iso"), "--from", top)
    platter("new", path("2.iso"), "--from", more, "--append", path("1.iso"))
    wanted = {**sha256(top), **sha256(more)}
    expect_equal(hashes(path("2.iso")), wanted, "the hashes")
    run(["cp", "-a", top, path("both")])
    run(["cp", "-a", more + "/.", path("both")])
    same_files(path("2.iso"), path("both"))
    with open(path("1.iso"), "rb") as a, open(path("2.iso"), "rb") as b:
        a.seek(64 * KIB), b.seek(64 * KIB)
        old = a.read()
        expect(b.read(len(old)) == old, "the old session was changed")


def shape(report):
    """What a report says but for where things are and identifiers that are new."""
    lines = []
    for line in report.splitlines():
        if line.startswith("El Torito cat path"):   # platter hides the catalog
            continue
        if re.match(r"El Torito (boot|cat|img blks)|.*(GUID|CRC|image size|lba range|start and size|MBR partition  )", line):
            line = re.sub(r"0x\w+|[0-9a-f]{32}|\d+", lambda m: m.group() if m.group().startswith("0x") else "#", line)
        lines.append(re.sub(r" +", " ", line))
    return lines


def test_like():
    """A disc with other files boots as the old one did, by xorriso's reports; whoever made it."""
    top, other = bootable_tree(), path("other")
    write(other + "/only", b"this\n")
    need_tool("xorriso")
    efi = path("efi.img")
    platter("new", path("o.iso"), "--from", top, "--boot-uefi", efi_folder())
    run(["sh", "-c", f"mkfs.vfat -C {efi} 2048 >/dev/null"])
    hybrid = ["--boot-bios", "isolinux/isolinux.bin", "--isohybrid", ISOLINUX + "/isohdpfx.bin"]
    platter("new", path("hybrid.iso"), "--from", top, *hybrid)
    platter("new", path("both.iso"), "--from", top, *hybrid, "--boot-uefi", efi)
    platter("new", path("mac.iso"), "--from", top, *hybrid, "--hfsplus")
    shutil.copy(efi, top + "/efi.img")
    bios = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
    mk = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-no-pad"]
    run([*mk, "-o", path("debian.iso"), "-isohybrid-mbr", ISOLINUX + "/isohdpfx.bin", *bios, "-eltorito-alt-boot", "-e", "efi.img",
         "-no-emul-boot", "-isohybrid-gpt-basdat", top])
    run([*mk, "-o", path("ubuntu.iso"), *bios, "-eltorito-alt-boot", "-append_partition", "2", "0xef", efi, "-appended_part_as_gpt", "-e",
         "--interval:appended_partition_2:all::", "-no-emul-boot", top])
    for name in ("o", "hybrid", "both", "mac", "debian", "ubuntu"):
        old = path(name + ".iso")
        platter("new", path("new.iso"), "--force", "--from", other, "--like", old)
        expect_equal(shape(boot_report(path("new.iso"))), shape(boot_report(old)), f"how the disc like {name} boots")
        expect_equal(platter("cat", path("new.iso") + ":/only").out, b"this\n", "the new file")
        files = set(hashes(path("new.iso")))
        expect(files <= {"only", "isolinux/isolinux.bin", "efi.img"}, f"files: {files}")
    platter("new", path("data.iso"), "--from", other)
    r = platter("new", path("x.iso"), "--from", other, "--like", path("data.iso"), status=3)
    expect("does not boot" in r.errors, r.errors)


def interrupt(begun, *words):
    """Ctrl-C as soon as a file is there whose name begins so; nothing but the folder is left."""
    p = subprocess.Popen([lib.PLATTER, "new", "--no-sync", *words], stderr=subprocess.PIPE, env=lib.ENV)
    while p.poll() is None and not any(n.startswith(begun) for n in os.listdir(lib.folder())):
        time.sleep(0.01)
    p.send_signal(signal.SIGINT)
    errors = p.stderr.read().decode()
    expect_equal(p.wait(), 3, "the status")
    expect("cancelled" in errors, errors)
    expect_equal(os.listdir(lib.folder()), ["large"], "what is left")


def test_interrupted():
    """Ctrl-C leaves nothing, not of a disc and not of what other programs were making."""
    top = path("large")
    os.mkdir(top)
    with open(top + "/file", "wb") as f:
        f.truncate(20 << 30)
    interrupt("d.iso.part", path("d.iso"), "--from", top)
    need_tool("mksquashfs")
    interrupt(".platter-", path("d.qcow2"), "--size", "1G", "--fs", "squashfs", "--from", top)


@limit(600)
def test_large_file():
    """A file of more than 4 GiB is whole, in several extents."""
    top = path("huge")
    os.makedirs(top)
    with open(top + "/file", "wb") as f:
        f.truncate((4 << 30) + 5000)
        f.seek((4 << 30) + 100)
        f.write(b"end")
    disc = path("huge.iso")
    platter("new", "--no-sync", disc, "--from", top, timeout=300)
    run(["sh", "-c", f"{lib.PLATTER} cat '{disc}:/file' | cmp - '{top}/file'"], timeout=300)


# ---- booting ----

def boots(*args):
    """Whether a PC with these devices says what its boot program should, within two minutes."""
    p = subprocess.Popen(["qemu-system-x86_64", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", *args],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    late = threading.Timer(120, p.kill)
    late.start()
    said = b""
    while SAYS.encode() not in said:
        block = os.read(p.stdout.fileno(), 4096)
        if not block:
            break
        said += block
    late.cancel()
    p.kill()
    p.wait()
    expect(SAYS.encode() in said, f"it said: {said[-2000:].decode(errors='replace')}")


def need_pc():
    if not lib.LONG:
        lib.skip("runs with 'make check-long'")
    need_tool("qemu-system-x86_64")


def efi_that_says():
    """A folder with a program for UEFI."""
    need_tool("grub-mkimage", "mkfs.vfat", "mcopy")
    if not os.path.exists("/usr/lib/grub/x86_64-efi"):
        lib.skip("grub-efi-amd64-bin is not installed")
    write(path("grub.cfg"), f"serial --unit=0 --speed=115200\nterminal_output serial\necho {SAYS}\nsleep 5\nhalt\n".encode())
    os.makedirs(path("says/EFI/BOOT"))
    run(["grub-mkimage", "-O", "x86_64-efi", "-o", path("says/EFI/BOOT/BOOTX64.EFI"), "-p", "/EFI/BOOT", "-c", path("grub.cfg"),
         "serial", "terminal", "echo", "sleep", "halt", "normal"])
    return path("says")


@limit(600)
def test_boots():
    """A PC boots it: as a disc and as a stick, by a BIOS and by UEFI; so does one that was made like it."""
    need_pc()
    if not os.path.exists(OVMF):
        lib.skip("ovmf is not installed")
    top, disc = bootable_tree(), path("d.iso")
    platter("new", disc, "--from", top, "--boot-bios", "isolinux/isolinux.bin", "--isohybrid", ISOLINUX + "/isohdpfx.bin",
            "--boot-uefi", efi_that_says())
    os.makedirs(path("other/isolinux"))
    for name in ("isolinux.cfg", "ldlinux.c32"):
        shutil.copy(f"{top}/isolinux/{name}", path("other/isolinux"))
    platter("new", path("like.iso"), "--from", path("other"), "--like", disc)
    uefi = path("uefi.iso")
    platter("new", uefi, "--from", small_tree(), "--boot-uefi", path("says"))
    firmware = ["-bios", OVMF]
    for image in (disc, path("like.iso")):
        boots("-cdrom", image)
        boots("-drive", f"file={image},format=raw")
        boots(*firmware, "-cdrom", image)
        boots(*firmware, "-drive", f"file={image},format=raw")
    boots(*firmware, "-cdrom", uefi)
    boots(*firmware, "-drive", f"file={uefi},format=raw")


# ---- disks ----

FILLED = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "squashfs", "erofs", "fat12", "fat16", "fat32"]
EMPTY = ["exfat", "ntfs", "udf", "swap"]
SIZE = {"xfs": 320, "btrfs": 150, "fat32": 40, "f2fs": 80, "fat12": 15}
CHECK = {"ext2": ["e2fsck", "-fn"], "ext3": ["e2fsck", "-fn"], "ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n", "-f"],
         "btrfs": ["btrfs", "check"], "f2fs": ["fsck.f2fs"], "squashfs": ["unsquashfs", "-s"], "erofs": ["fsck.erofs"],
         "fat12": ["fsck.fat", "-n"], "fat16": ["fsck.fat", "-n"], "fat32": ["fsck.fat", "-n"], "exfat": ["fsck.exfat", "-n"],
         "ntfs": ["ntfsfix", "-n"], "udf": ["udfinfo"], "swap": ["swaplabel"]}
NAMED = {"fat12": "vfat", "fat16": "vfat", "fat32": "vfat"}     # what info calls them


def size_of(fs):
    return SIZE.get(fs, 32) * MIB


def check_fs(fs, image):
    need_tool(CHECK[fs][0])
    run([*CHECK[fs], image], timeout=120)


def test_file_systems():
    """Each kind holds the folder, by its own checker and by platter, on a disk without a table and as a partition."""
    top = small_tree()
    for fs in FILLED:
        def attempt(fs=fs):
            image = path(fs + ".img")
            platter("new", image, "--size", size_of(fs), "--fs", fs, "--from", top, timeout=120)
            expect_equal(os.path.getsize(image), size_of(fs), "the size")
            check_fs(fs, image)
            expect_equal(hashes(image), sha256(top), f"the hashes in {fs}")
            disk = path(fs + ".qcow2")
            platter("new", disk, "-p", f"{size_of(fs)},,{fs},,{top}", timeout=120)
            expect_equal(hashes(disk + "@1"), sha256(top), f"the hashes in a partition of {fs}")
        yield fs, attempt


def test_empty_file_systems():
    """Those that nothing fills unmounted are made empty, and say so when they are to be filled."""
    for fs in EMPTY:
        def attempt(fs=fs):
            image = path(fs + ".img")
            label = [] if fs == "exfat" else ["--label", "NAME"]
            platter("new", image, "--size", size_of(fs), "--fs", fs, *label, timeout=120)
            check_fs(fs, image)
            content = platter("info", "--json", image).json()["disks"][0]["contents"][0]
            expect_equal(content["name"], fs, "what it is")
            r = platter("new", path("x.img"), "--size", size_of(fs), "--fs", fs, "--from", small_tree(), "--json", status=3).json()
            expect(r["error"]["code"] in ("ENOTSUP", "EINVAL"), f"filling {fs}: {r}")
            expect(not os.path.exists(path("x.img")), "an image was left")
        yield fs, attempt


def test_partitions():
    """A table is what sfdisk reads: types, names, places aligned to 1 MiB; in images of several formats."""
    need_tool("sfdisk")
    top = small_tree()
    words = ["-p", "64M,efi,fat32,ESP", "-p", "20M,swap,swap", "-p", "10M,21686148-6449-6E6F-744E-656564454649", "-p", "rest,root-x86-64,ext4,root"]
    for name in ("d.img", "d.qcow2", "d.vhdx", "d.vmdk", "d.vdi"):
        platter("new", path(name), "--size", "200M", *words, "--from", top, env=EPOCH)
        expect_equal(hashes(path(name) + "@root"), sha256(top), f"the hashes in {name}")
        if name != "d.img":
            platter("compare", path("d.img"), path(name))
    table = lib.json.loads(run(["sfdisk", "-J", path("d.img")]).out)["partitiontable"]
    expect_equal([(p["start"] * 512 / MIB, p["size"] * 512 / MIB) for p in table["partitions"]],
                 [(1, 64), (65, 20), (85, 10), (95, 104)], "places")
    expect_equal([p["type"][:8] for p in table["partitions"]], ["C12A7328", "0657FD6D", "21686148", "4F68BCE3"], "types")
    expect_equal([p.get("name", "") for p in table["partitions"]], ["ESP", "", "", "root"], "names")
    run(["sgdisk", "-v", path("d.img")])
    platter("new", path("m.img"), "--table", "mbr", "-p", "20M,,fat16", "-p", "8M,swap", "-p", "9M,83,ext2", "-p", "9M,af")
    table = lib.json.loads(run(["sfdisk", "-J", path("m.img")]).out)["partitiontable"]
    expect_equal((table["label"], [p["type"] for p in table["partitions"]]), ("dos", ["c", "82", "83", "af"]), "an MBR")


def test_disks_reproducible():
    """With SOURCE_DATE_EPOCH two runs give the same bytes."""
    top = small_tree()
    words = ["-p", "64M,efi,fat32,ESP," + top, "-p", "40M,,ext4,root", "-p", "32M,,squashfs,," + top, "-p", "32M,,erofs,," + top, "-p", "9M,,swap",
             "--from", top]
    platter("new", path("1.img"), *words, env=EPOCH)
    time.sleep(1.1)
    platter("new", path("2.img"), *words, env=EPOCH)
    run(["cmp", path("1.img"), path("2.img")])


def test_wrong_disks():
    """What cannot be is refused, with nothing left behind."""
    top = small_tree()
    for code, words in {"EINVAL": [["-p", "8M,nosuch"], ["-p", "8M,,nosuch"], ["-p", "rest"], ["--size", "9M", "--from", top],
                                   ["-p", "rest", "-p", "rest", "--size", "99M"], ["--table", "mbr", "-p", "8M,msreserved"]],
                        "ENOSPC": [["--size", "9M", "-p", "8M"]],
                        "EFBIG": [["--table", "mbr", *["-p", "1M"] * 5]],
                        "ENOENT": [["--size", "9M", "--fs", "ext4", "--from", path("none")]],
                        "EIO": [["--size", "64K", "--fs", "ext4", "--from", top]]}.items():
        for w in words:
            r = platter("new", path("d.img"), "--json", *w, status=3).json()
            expect_equal(r["error"]["code"], code, f"{w}: {r}")
            expect_equal([n for n in os.listdir(lib.folder()) if "d.img" in n or "platter" in n], [], f"left by {w}")
    platter("new", path("d.img"), status=3)
    r = platter("new", top + "/d.img", "--size", "9M", "--fs", "ext4", "--from", top, status=3)
    expect("would stand in" in r.errors, r.errors)
    platter("new", path("d.img"), "-p", "x", status=2)
    platter("new", path("d.img"), "-p", "8M", "--label", "x", status=2)
    platter("new", path("d.img"), "--size", "9M", "--append", "x", status=2)


def test_names_of_file_systems():
    """Names that a program would change, ask about or stumble over are refused; paths like options are not."""
    need_tool("mkfs.vfat", "mcopy", "mkfs.xfs")
    for fs, name, other in (("fat16", "Read", "READ"), ("fat16", "a:b", "c"), ("xfs", ":a", "b"), ("xfs", "$", "b")):
        top = path(fs + name)
        write(os.path.join(top, name), b"1")
        write(os.path.join(top, other), b"2")
        r = platter("new", path("d.img"), "--size", size_of(fs), "--fs", fs, "--from", top, status=3)
        expect(name in r.errors and "try:" in r.errors, r.errors)
        expect(not os.path.exists(path("d.img")), "an image was left")
    write(path("-f/-x"), b"dashes")
    write(path("c:d/x"), b"drive")
    for fs in FILLED:
        for i, (top, name) in enumerate((("-f", "-x"), ("c:d", "x"))):
            image = f"{fs}{i}.img"
            platter("new", image, f"--from={top}", "--size", size_of(fs), "--fs", fs, cwd=lib.folder(), timeout=120)
            expect_equal(list(hashes(path(image))), [name], f"files in {fs}")
            os.remove(path(image))


def test_many_files_of_fat():
    """The names of a folder are copied by few programs, as many as a command line holds."""
    need_tool("mkfs.vfat", "mcopy")
    top = path("many")
    for i in range(2000):
        write(f"{top}/{i:04}.txt", b"%d" % i)
    platter("new", path("d.img"), "--size", "40M", "--fs", "fat32", "--from", top, timeout=30)
    expect_equal(hashes(path("d.img")), sha256(top), "the hashes")


def test_output_in_its_folder():
    """Standard output that is a file in the folder is refused, as any other target is."""
    top = small_tree()
    for words in (["--size=9M", "--fs=ext4"], ["-O", "dmg"]):
        r = run(["sh", "-c", '"$@" > "$0"', top + "/out", lib.PLATTER, "new", "-", "--from", top, *words], status=3)
        expect("would stand in" in r.errors, r.errors)
    r = platter("new", "-", "--from", lib.folder(), "--size=9M", "--fs=ext4", env={"TMPDIR": top}, status=3)
    expect("TMPDIR" in r.errors, r.errors)


def test_missing_program():
    """A program that is not there is named, with the package that has it."""
    r = platter("new", path("d.img"), "--size", "9M", "--fs", "hfs+", "--json", status=3).json()
    if shutil.which("mkfs.hfsplus"):
        lib.skip("mkfs.hfsplus is installed")
    expect_equal(r["error"]["code"], "ENOENT", "the code")
    expect("mkfs.hfsplus" in r["error"]["message"] and "hfsprogs" in r["error"]["hint"], f"{r}")


# ---- DMGs ----

def test_dmg():
    """HFS+ in a DMG holds the folder, by 7-Zip and by platter."""
    if "dmg" not in [f["name"] for f in platter("formats", "--json").json()["formats"] if f["create"]]:
        lib.skip("this platter writes no DMGs")
    need_tool("7zz")
    top = small_tree()
    platter("new", path("x.dmg"), "--from", top, "--label", "Files", "--exclude", "empty")
    wanted = {k: v for k, v in sha256(top).items() if k != "empty"}
    tables = platter("info", "--json", path("x.dmg")).json()["disks"][0]["tables"]
    hfs = next(p["number"] for t in tables for p in t["partitions"] if p["type"] == "Apple_HFS")
    expect_equal(hashes(f"{path('x.dmg')}@{hfs}"), wanted, "the hashes")
    run(["7zz", "x", "-y", "-bd", "-o" + path("parts"), path("x.dmg")])
    part = next(n for n in os.listdir(path("parts")) if n.endswith(".hfs"))
    run(["7zz", "x", "-y", "-bd", "-o" + path("files"), path("parts/" + part)])
    inside = path("files/Files") if os.path.isdir(path("files/Files")) else path("files")
    expect_equal({k: v for k, v in sha256(inside).items() if not k.startswith(".")}, wanted, "the hashes by 7-Zip")
    platter("verify", path("x.dmg"))


def test_encrypted():
    """An encrypted DMG, and an encrypted disk, take their pass phrase from a file."""
    top = small_tree()
    write(path("phrase"), b"open sesame\n")
    key = "--passphrase-file=" + path("phrase")
    platter("new", path("x.dmg"), "--from", top, "-o", "encryption=AES-128", key)
    platter("new", path("x.sparseimage"), "--size=20M", "--fs=ext4", "--from", top, "-o", "encryption=AES-256", key)
    layers = platter("info", "--json", path("x.dmg"), key).json()["disks"][0]["layers"]
    expect("encrcdsa" in [x["name"] for x in layers], f"{layers}")
    said = platter("ls", key, path("x.sparseimage")).text.split()
    expect_equal(sorted(n for n in said if n != "lost+found"), sorted(os.listdir(top)), "files")


# ---- answers ----

def test_json():
    """The answer is as its schema says, and progress too."""
    from test_json import validate
    top = small_tree()
    r = platter("new", path("d.iso"), "--from", top, "--json", "--progress=json")
    validate(r.json(), "new")
    expect_equal((r.json()["kind"], r.json()["files"], r.json()["folders"]), ("disc", 5, 2), "what it says")
    for line in r.errors.splitlines():
        validate(lib.json.loads(line), "progress")
    expect('"writing"' in r.errors, f"phases: {r.errors}")
    validate(platter("new", path("d.qcow2"), "-p", "20M,,ext4", "--from", top, "--json").json(), "new")
    out = platter("new", "-", "--from", top, "--json")
    validate(lib.json.loads(out.errors), "new")
    write(path("s.iso"), out.out)
    expect_equal(hashes(path("s.iso")), sha256(top), "the hashes of what went to standard output")
