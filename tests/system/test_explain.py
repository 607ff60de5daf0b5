# SPDX-License-Identifier: GPL-3.0-or-later
"""explain: what partitions are for, on layouts of Macs, Windows and Linux that are rebuilt from their type codes and files."""
import os

import lib
from lib import MIB, expect, expect_equal, loop, mounted, path, platter, run
from test_json import validate

APPLE_HFS = "48465300-0000-11AA-AA11-00306543ECAC"
APPLE_BOOT = "426F6F74-0000-11AA-AA11-00306543ECAC"
APPLE_APFS = "7C3457EF-0000-11AA-AA11-00306543ECAC"


def explained(place):
    answer = platter("explain", "--json", place).json()
    validate(answer, "explain")
    return answer


def flat(thing):
    """{place: explanation} of a thing and all in it."""
    found = {thing["place"]: thing}
    for part in thing["parts"]:
        found.update(flat(part))
    return found


def commands(answer):
    return [a["command"] for a in answer["advice"]]


def tree(name, *files):
    top = path(name)
    os.makedirs(top, exist_ok=True)
    for f in files:
        file = os.path.join(top, f)
        if f.endswith("/"):
            os.makedirs(file, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as to:
            to.write(f)
    return top


def put(disk, sector, image):
    run(["dd", f"if={image}", f"of={disk}", "bs=512", f"seek={sector}", "conv=notrunc", "status=none"])


def partitioned(name, script, size=64):
    lib.need_tool("sfdisk")
    disk = lib.make_raw(name, size * MIB, [])
    run(["sfdisk", "-q", disk], input=script.encode())
    return disk


def hfs(name, label, *files):
    """A volume of HFS+ with these files."""
    dmg = path(name + ".dmg")
    platter("new", "-q", "--from", tree(name, *files), "--label", label, dmg)
    number = next(p["number"] for p in platter("info", "--json", dmg).json()["disks"][0]["tables"][0]["partitions"]
                  if p["type"] == "Apple_HFS")
    platter("convert", "-q", f"{dmg}@{number}", path(name + ".hfs"))
    return path(name + ".hfs")


def ntfs(name, label, folders, size=8):
    lib.need_tool("mkntfs", "ntfscp")
    image = lib.make_raw(name, size * MIB, [])
    run(["mkntfs", "-q", "-F", "-f", "-L", label, image])
    top = tree(name + ".top", *folders)
    mount = path(name + ".mnt")
    os.makedirs(mount)
    if run(["ntfs-3g", image, mount], status=None).status != 0:
        lib.skip("ntfs-3g does not mount here")
    try:
        run(["cp", "-r", top + "/.", mount])
    finally:
        run(["fusermount3", "-u", mount], status=None).status == 0 or run(["umount", mount])
    return image


def ext4(name, label, *files, size=8):
    lib.need_tool("mke2fs")
    image = lib.make_raw(name, size * MIB, [])
    run(["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", tree(name + ".top", *files), image])
    return image


def base_system():
    """An image as that in a Mac's recovery partition."""
    platter("new", "-q", "--from", tree("base", "System/Library/CoreServices/SystemVersion.plist", "Applications/"),
            "--label", "OS X Base System", path("BaseSystem.dmg"))
    return path("BaseSystem.dmg")


def test_base_system():
    """An image with 'OS X Base System' is told as Apple's recovery system, without data of people, and with the way to eject it."""
    dmg = base_system()
    answer = explained(dmg)
    expect_equal((answer["explained"]["id"], answer["explained"]["data"]), ("apple-base-system", "none"), "what it is")
    expect("Apple disk image Media" in answer["origin"] and dmg in answer["origin"], answer["origin"])
    expect("OS X Base System" in answer["explained"]["because"], answer["explained"]["because"])
    expect({"diskutil list", "hdiutil detach /dev/diskN", f"rm {dmg}"} <= set(commands(answer)), f"{commands(answer)}")
    text = " ".join(platter("explain", dmg).text.split())
    for words in ("An image, not a drive", "Data of people: No, because it is a copy of Apple's system",
                  "Because its volume is called 'OS X Base System'", "nothing of yours"):
        expect(words in text, f"no '{words}' in {text}")


def test_mac():
    """A Mac's disk: EFI, the system with its users, Recovery HD, and the image in that."""
    system = hfs("system", "Macintosh HD", "System/Library/CoreServices/SystemVersion.plist", "Users/Shared/", "Users/anna/letter.txt")
    recovery = path("recovery")
    os.makedirs(recovery + "/com.apple.recovery.boot")
    os.rename(base_system(), recovery + "/com.apple.recovery.boot/BaseSystem.dmg")
    recovery = hfs("recovery", "Recovery HD", "com.apple.recovery.boot/boot.efi")
    disk = partitioned("mac.img", f"label: gpt\nstart=2048,size=40960,type=U\nsize=40960,type={APPLE_HFS},name=\"Macintosh HD\"\n"
                       f"size=20480,type={APPLE_BOOT},name=\"Recovery HD\"\n")
    put(disk, 43008, system)
    put(disk, 83968, recovery)
    found = flat(explained(disk)["explained"])
    ids = {p.removeprefix(disk): (t["id"], t["data"]) for p, t in found.items()}
    inside = "@3:/com.apple.recovery.boot/BaseSystem.dmg"
    expected = {"": ("disk", "likely"), "@1": ("efi-system", "unlikely"), "@2": ("macos-system", "likely"),
                "@3": ("apple-recovery", "none"), inside: ("apple-base-system", "none")}
    expect_equal({p: ids.get(p) for p in expected}, expected, "what is there")
    expect("Users/anna" in found[disk + "@2"]["data_because"] and "Shared" not in found[disk + "@2"]["data_because"],
           found[disk + "@2"]["data_because"])
    expect(APPLE_BOOT in found[disk + "@3"]["because"] and "com.apple.recovery.boot" in found[disk + "@3"]["because"],
           found[disk + "@3"]["because"])
    answer = explained(disk + inside)
    expect_equal(answer["explained"]["id"], "apple-base-system" if answer["explained"]["parts"] else "image-on-device", "the image alone")
    expect_equal(explained(disk + "@3")["explained"]["id"], "apple-recovery", "the partition alone")


def test_real_mac():
    """The start of a Mac's disk: Core Storage is sealed, and Apple's boot partition holds nothing of people."""
    sample = next((s for s in lib.manifest() if s.name.endswith("apple-mac-osx-10.10.3.bin.xz")), None)
    if not sample:
        lib.skip("the sample is not in the corpus")
    disk = path("mac.img")
    run(["cp", lib.unpacked(sample.stored), disk])
    os.truncate(disk, 121332826624)
    found = flat(explained(disk)["explained"])
    expect_equal([(found[f"{disk}@{n}"]["id"], found[f"{disk}@{n}"]["data"]) for n in (1, 2, 3)],
                 [("efi-system", "unlikely"), ("apple-core-storage", "sealed"), ("apple-boot", "none")], "its partitions")


def test_windows():
    """A disk as Windows makes it: EFI, reserved, the system with its users, recovery."""
    lib.need_root()
    system = ntfs("c", "Windows", ["Windows/System32/ntoskrnl.exe", "Users/Public/", "Users/Default/", "Users/Ben/Documents/a.docx"])
    tools = ntfs("re", "WinRE", ["Recovery/WindowsRE/Winre.wim"], size=4)
    disk = partitioned("windows.img", "label: gpt\nstart=2048,size=20480,type=U\nsize=32768,type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE\n"
                       "size=20480,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\nsize=10240,type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC\n")
    put(disk, 55296, system)
    put(disk, 75776, tools)
    found = flat(explained(disk)["explained"])
    expect_equal([(found[f"{disk}@{n}"]["id"], found[f"{disk}@{n}"]["data"]) for n in (1, 2, 3, 4)],
                 [("efi-system", "unlikely"), ("microsoft-reserved", "none"), ("windows-system", "likely"), ("windows-recovery", "none")],
                 "its partitions")
    because = found[disk + "@3"]["data_because"]
    expect("Users/Ben" in because and "Public" not in because and "Default" not in because, because)


def test_boot_camp():
    """Windows beside a Mac's system, in both tables of a hybrid MBR, is Boot Camp."""
    lib.need_root()
    lib.need_tool("sgdisk")
    system = ntfs("c", "BOOTCAMP", ["Windows/System32/ntoskrnl.exe", "Users/Anna/x"])
    disk = partitioned("mac.img", f"label: gpt\nstart=2048,size=20480,type=U\nsize=20480,type={APPLE_HFS}\n"
                       "size=20480,type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7\n")
    put(disk, 43008, system)
    run(["sgdisk", "--hybrid", "3", disk])
    answer = explained(disk)["explained"]
    found = flat(answer)
    expect_equal((answer["id"], found[disk + "@3"]["id"], found[disk + "@3"]["data"]), ("apple-disk", "boot-camp", "likely"), "what it is")
    expect(APPLE_HFS in found[disk + "@3"]["because"], found[disk + "@3"]["because"])


def test_linux():
    """A disk of Linux: BIOS boot, /boot, LUKS, swap, LVM with a system and the folders of people."""
    lib.need_root()
    lib.need_tool("cryptsetup", "mkswap")
    boot = ext4("boot", "", "vmlinuz-6.1.0", "initrd.img-6.1.0", "grub/grub.cfg")
    luks, swap = lib.make_raw("luks", 20 * MIB, []), lib.make_raw("swap", 4 * MIB, [])
    run(["cryptsetup", "luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", luks, "-"], input=b"secret")
    run(["mkswap", swap])
    home = ext4("home", "home", "anna/letter.txt", "ben/")
    system = ext4("root", "root", "etc/fstab", "etc/os-release", "usr/bin/true", "home/carl/x")
    disk = partitioned("linux.img", "label: gpt\nstart=2048,size=2048,type=21686148-6449-6E6F-744E-656564454649\nsize=20480,type=L\n"
                       "size=40960,type=L\nsize=8192,type=S\nsize=20480,type=L\nsize=20480,type=L\n", size=80)
    for sector, image in ((4096, boot), (24576, luks), (65536, swap), (73728, home), (94208, system)):
        put(disk, sector, image)
    found = flat(explained(disk)["explained"])
    expect_equal([(found[f"{disk}@{n}"]["id"], found[f"{disk}@{n}"]["data"]) for n in range(1, 7)],
                 [("bios-boot", "none"), ("linux-boot", "unlikely"), ("encrypted", "sealed"), ("swap", "unlikely"),
                  ("linux-home", "possible"), ("linux-system", "likely")], "its partitions")
    expect("home/carl" in found[disk + "@6"]["data_because"], found[disk + "@6"]["data_because"])
    expect("anna" in found[disk + "@5"]["data_because"], found[disk + "@5"]["data_because"])


def test_mounted_folder_and_loop():
    """A folder where a loop device is mounted is explained as that: an image, in use, with the commands that end that; they work."""
    image = ext4("data.img", "data", "photos/a.jpg")
    with loop(image) as device:
        with mounted(device) as where:
            answer = explained(where)
            expect_equal((answer["explained"]["place"], answer["explained"]["id"], answer["explained"]["data"], answer["in_use"], answer["system"]),
                         (device, "files", "possible", True, False), "what it is")
            expect(image in answer["origin"] and "not a drive" in answer["origin"], answer["origin"])
            expect_equal(commands(answer)[:2], [f"umount {where}", f"losetup -d {device}"], "commands")
            expect("photos" in answer["explained"]["data_because"], answer["explained"]["data_because"])
            expect_equal(commands(explained(image))[:2], [f"umount {where}", f"losetup -d {device}"], "commands for the file")
            r = platter("explain", lib.folder(), status=3)
            expect("no block device is mounted" in r.errors, r.errors)
        expect(not explained(device)["in_use"], "it is still in use")


def test_empty_and_unknown():
    """An empty file system holds nothing; what is not known is said to be so; an image that is encrypted is told without its key."""
    found = explained(ext4("empty.img", ""))["explained"]
    expect_equal((found["id"], found["data"]), ("empty-volume", "none"), "an empty file system")
    found = explained(lib.make_raw("noise", MIB, [(0, lib.noise(MIB))]))["explained"]
    expect_equal((found["id"], found["data"]), ("unknown", "unknown"), "noise")
    sample = next((s for s in lib.manifest() if s.name.endswith("SparkleTestCodeSignApp.enc.dmg")), None)
    if sample:
        env = {k: v for k, v in lib.ENV.items() if k != "PLATTER_PASSPHRASE"}
        found = platter("explain", "--json", sample.stored, env=env).json()["explained"]
        expect_equal((found["id"], found["data"]), ("encrypted", "sealed"), "an encrypted image")
    platter("explain", path("missing"), status=3)


def test_seeds():
    """Every fuzz seed is explained, or refused with words."""
    top = os.path.join(lib.ROOT, "fuzz/seeds")
    for target in sorted(os.listdir(top))[::3]:
        for name in sorted(os.listdir(os.path.join(top, target)))[:2]:
            if target != "place":
                platter("explain", os.path.join(top, target, name), status=(0, 3))
