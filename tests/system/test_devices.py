# SPDX-License-Identifier: GPL-3.0-or-later
"""list and the questions before a device is overwritten, with loop devices."""
import contextlib
import json
import os
import pty
import shlex
import subprocess
import time

import lib
import vm
from lib import MIB, PLATTER, expect, expect_equal, limit, loop, mounted, path, platter, run, weight
from test_json import validate

GPT = "label: gpt\nsize=20M,type=U,name=ESP\nsize=20M,type=L,name=größe\n"


def answered(words, answer, before=None):
    """(status, what was said) of platter at a terminal, where `answer` is typed when it asks, after before()."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(PLATTER, [PLATTER, *words], lib.ENV)
    said, asked = b"", False
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
        if not asked and b"to overwrite it: " in said:
            asked = True
            if before:
                before()
            os.write(fd, answer.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def disk_with_table(name="disk.img"):
    lib.need_tool("sfdisk", "mke2fs")
    disk = lib.make_raw(name, 48 * MIB, [])
    run(["sfdisk", "-q", disk], input=GPT.encode())
    return disk


def listed(device):
    answer = platter("list", "--json", device).json()
    validate(answer, "list")
    return {d["path"]: d for d in answer["devices"]}


def test_list():
    """A loop device is an image with its file; partitions are there with and without nodes of the kernel; JSON has all of it."""
    disk = disk_with_table()
    with loop(disk) as device:
        text = platter("list", device).text
        expect(device + "@2" in text and "größe" in text and "Disk images:" in text and disk in text, text)
        run(["partx", "-a", device])
        run(["mke2fs", "-q", "-L", "home", device + "p2"])
        with mounted(device + "p2") as where:
            found = listed(device)
            expect_equal(sorted(found), [device, device + "p1", device + "p2"], "devices")
            whole, part = found[device], found[device + "p2"]
            expect_equal((whole["kind"], whole["nature"], whole["backing"]), ("loop", "image", disk), "kind, nature and file")
            expect_equal(whole["children"], [device + "p1", device + "p2"], "children")
            expect_equal((part["parents"], part["partition"], part["start"]), ([device], 2, 21 * MIB), "partition 2")
            expect_equal((part["entry"]["name"], part["contents"][0]["label"], part["mounts"]), ("größe", "home", [where]), "what is on it")
            expect_equal([u["device"] for u in whole["uses"]], [device + "p2"], "what is used")
            expect_equal(whole["uses"][0]["release"], "umount " + shlex.quote(where), "what ends it")
            text = platter("list", device).text
            expect('ext2 "home"' in text and where in text, text)


def test_list_agrees_with_lsblk():
    """Names, sizes, sector sizes, mounts and kinds of all devices of this computer are those that lsblk tells."""
    lib.need_tool("lsblk")
    disk = disk_with_table()
    with loop(disk, "--sector-size", "4096") as device:
        answer = platter("list", "--json").json()
        validate(answer, "list")
        ours = {d["name"]: d for d in answer["devices"]}
        theirs = json.loads(run(["lsblk", "-abJo", "KNAME,SIZE,RO,RM,LOG-SEC,PHY-SEC,MOUNTPOINTS,TYPE,SERIAL"]).text)["blockdevices"]
        checked = 0
        while theirs:
            t = theirs.pop()
            theirs += t.get("children", [])
            if t["kname"] not in ours:
                continue        # attached or detached by another test meanwhile
            d = ours[t["kname"]]
            if t["kname"].startswith("loop") and "/dev/" + t["kname"] != device:
                continue
            checked += 1
            expect_equal((d["size"], d["read_only"], d["removable"], d["sector_size"], d["physical_sector_size"]),
                         (t["size"], t["ro"], t["rm"], t["log-sec"], t["phy-sec"]), t["kname"])
            if t["serial"]:
                expect_equal(d["serial"], t["serial"], "serial number of " + t["kname"])
            points = {p for p in t["mountpoints"] if p and p != "[SWAP]"}
            expect(points <= set(d["mounts"]), f"{d['mounts']}, lsblk has {points}")
        expect(checked, "no device was compared")


def test_paths_alone():
    """list -q prints paths, and nothing of loop devices without files."""
    disk = disk_with_table()
    with loop(disk) as device:
        expect(device in platter("list", "-q").text.split(), "the device is missing")
        expect_equal(platter("list", "-q", device).text, device + "\n", "paths")
        empty = run(["losetup", "-f"]).text.strip()
    expect(device not in platter("list", "-q").text.split() or empty != device, "a device without a file")
    platter("list", path("missing"), status=3)


def test_uses_are_all_named():
    """A disk whose partitions are mounted, and shown by another loop device, is refused with all of that and the way out."""
    disk = disk_with_table()
    small = lib.make_raw("small", MIB, [])
    with loop(disk) as device:
        run(["partx", "-a", device])
        run(["mke2fs", "-q", device + "p2"])
        with mounted(device + "p2") as where, loop(device + "p1") as above:
            r = platter("restore", "--yes", small, device, status=3)
            for word in (where, above, device + "p1", "umount ", f"losetup -d {above}"):
                expect(word in r.errors, f"no '{word}' in: {r.errors}")
            r = platter("restore", "--yes", small, disk, status=3)
            expect(f"attached as '{device}'" in r.errors, r.errors)
        expect_equal(listed(device)[device]["uses"], [], "uses of an idle device")
        platter("restore", "--yes", small, device)


def test_swap_file():
    """A file that is swap is refused."""
    lib.need_tool("mkswap", "swapon")
    lib.need_root()
    small = lib.make_raw("small", MIB, [])
    file = path("swap", on_disk=True)
    with open(file, "wb") as f:
        f.write(bytes(8 * MIB))
    os.chmod(file, 0o600)
    run(["mkswap", file])
    if run(["swapon", file], status=None).status != 0:
        lib.skip("no swap files here")
    try:
        r = platter("restore", "--yes", small, file, status=3)
        expect("swap space" in r.errors and "swapoff" in r.errors, r.errors)
    finally:
        run(["swapoff", file])


def test_device_wants_its_name():
    """Of a device without a serial number the name has to be typed; a file takes yes."""
    small, disk = lib.make_raw("small", MIB, [(0, lib.noise(MIB))]), disk_with_table()
    before = lib.sha256(disk)
    with loop(disk) as device:
        for answer in ("yes", "y", "", device + "x"):
            status, said = answered(["restore", small, device], answer)
            expect(status == 3 and "nothing was written" in said and device in said, f"{answer!r}: {status} {said}")
        expect_equal(lib.sha256(disk), before, "the disk")
        status, said = answered(["restore", small, device], f"  {device} ")
        expect(status == 0, said)
    expect(lib.sha256(disk) != before, "nothing was written")
    for answer in ("yes", "y"):
        status, said = answered(["restore", small, disk], answer)
        expect(status == 0, said)
    expect_equal(answered(["restore", small, disk], "no")[0], 3, "status of no")


def test_replaced_while_asked():
    """A device that is attached to another file between question and answer is not written to, nor a file put in place of another."""
    small, disk, other = lib.make_raw("small", MIB, [(0, lib.noise(MIB))]), disk_with_table(), disk_with_table("other.img")
    before = lib.sha256(other)
    with loop(disk) as device:
        def attach_other():
            run(["losetup", "-d", device])
            run(["losetup", device, other])
        status, said = answered(["restore", small, device], device, attach_other)
        expect(status == 3 and "is not what it was" in said, said)
    expect_equal(lib.sha256(other), before, "the other disk")
    status, said = answered(["restore", small, disk], "yes", lambda: os.replace(other, disk))
    expect(status == 3 and "another file" in said, said)
    expect_equal(lib.sha256(disk), before, "the file in its place")


def test_burn_to_a_device_asks_for_its_name():
    """A block device that behaves like a drive is asked for as any other, and refused while it is mounted."""
    disk, image = disk_with_table(), lib.make_raw("image.iso", MIB, [(0, lib.noise(MIB))])
    run(["mke2fs", "-q", "-F", "-L", "precious", disk])
    with loop(disk) as device:
        status, said = answered(["burn", image, "stdio:" + device], "yes")
        expect(status == 3 and "precious" in said, said)
        with mounted(device):
            r = platter("burn", "--yes", image, "stdio:" + device, status=3)
            expect("mounted on" in r.errors, r.errors)
        status, said = answered(["burn", image, "stdio:" + device], device)
        expect(status == 0, said)


@contextlib.contextmanager
def slow_disk(seconds):
    """A file whose bytes take so long to be read."""
    lib.need_tool("nbdkit", "nbdfuse")
    lib.need_root()
    sock, where = path("sock"), path("fuse")
    os.makedirs(where)
    server = subprocess.Popen(["nbdkit", "-f", "-U", sock, "--filter=delay", "memory", "8M", f"rdelay={seconds}"], stderr=subprocess.DEVNULL)
    client = None
    try:
        for _ in range(100):
            if os.path.exists(sock):
                break
            time.sleep(0.1)
        client = subprocess.Popen(["nbdfuse", where, "--unix", sock], stderr=subprocess.DEVNULL)
        for _ in range(100):
            if os.path.exists(where + "/nbd"):
                break
            time.sleep(0.1)
        else:
            lib.skip("nbdfuse does not mount here")
        yield where + "/nbd"
    finally:
        server.kill()
        server.wait()
        run(["umount", "-l", where], status=None)
        if client:
            client.kill()
            client.wait()


@limit(120)
def test_device_that_hangs():
    """A device that does not answer gets a problem after a while, and others are told of all the same."""
    if not lib.LONG:
        lib.skip("takes half a minute: only of check-long")
    disk = disk_with_table()
    with loop(disk) as device, slow_disk(60) as slow:
        r = run(["losetup", "-f", "--show", slow])
        hanging = r.text.strip()
        try:
            began = time.monotonic()
            answer = platter("list", "--json", device, hanging).json()
            took = time.monotonic() - began
            found = {d["path"]: d for d in answer["devices"]}
            expect("did not answer" in (found[hanging]["problem"] or ""), f"{found[hanging]}")
            expect_equal([p["name"] for p in found[device]["tables"][0]["partitions"]], ["ESP", "größe"], "the other device")
            expect(took < 30, f"it took {took} s")
        finally:
            run(["losetup", "-d", hanging])


# Serial numbers of the PC's drives: what of it is in use, and the words that must be in the refusal.
USED = {
    "SATA1": ["mounted on '/mnt/sata'"],
    "NVME1": ["'vault'", "vg-data", "mounted on '/mnt/data'"],
    "SCSI4K": ["/dev/md0", "mounted on '/mnt/array'"],
    "USB1": ["/dev/md0", "mounted on '/mnt/array'"],
    "VIRTIO1": ["swap space"],
}


@limit(600)
@weight(4)
def test_computer():
    """In a PC with SATA, NVMe, USB, SCSI with 4096-byte sectors and virtio, with dm-crypt, LVM, md and swap on them: list names
    each rightly, each is refused, and each can be written when its uses were ended by the commands that list tells."""
    if not lib.LONG:
        lib.skip("takes minutes: only of check-long")
    lib.need_root()
    lib.need_tool("cryptsetup", "pvcreate", "mdadm", "sfdisk")
    vm.version()
    share = path("share")
    os.makedirs(share, exist_ok=True)
    hardware = ["-device", "qemu-xhci,id=x", "-device", "virtio-scsi-pci,id=s"]
    for name, device in {"SATA1": "ide-hd,bus=ide.0", "NVME1": "nvme", "USB1": "usb-storage,bus=x.0,removable=on",
                         "SCSI4K": "scsi-hd,bus=s.0,logical_block_size=4096,physical_block_size=4096",
                         "VIRTIO1": "virtio-blk-pci"}.items():
        image = lib.make_raw(name, 64 * MIB, [])
        hardware += ["-drive", f"if=none,id={name},file={image},format=raw", "-device", f"{device},drive={name},serial={name}"]
    lib.make_raw("share/small", MIB, [])
    guest = os.path.join(os.path.dirname(__file__), "guest_devices.py")
    vm.run_python(guest, vm.SHARE, PLATTER, share=share, disks={}, hardware=hardware,
                  modules=["ahci", "sd_mod", "nvme", "virtio_scsi", "xhci_pci", "usb_storage", "dm_crypt", "dm_mod", "md_mod", "raid1",
                           "loop", "xts", "aesni_intel", "crc32c_generic", "ext4", "algif_skcipher"])
    with open(os.path.join(share, "told")) as f:
        told = json.load(f)
    validate(told["list"], "list")
    drives = {d["serial"]: d for d in told["list"]["devices"] if d["serial"] and d["kind"] == "drive"}
    expect_equal({s: d["bus"] for s, d in drives.items() if s in USED},
                 {"SATA1": "sata", "NVME1": "nvme", "USB1": "usb", "SCSI4K": "scsi", "VIRTIO1": "virtio"}, "buses")
    expect_equal(drives["SCSI4K"]["sector_size"], 4096, "sector size")
    expect(drives["USB1"]["removable"], "the stick is removable")
    devices = {d["path"]: d for d in told["list"]["devices"]}
    expect_equal(devices["/dev/mapper/vault"]["type"], "dm-crypt (LUKS2)", "type of the vault")
    expect_equal(devices["/dev/mapper/vg-data"]["type"], "LVM logical volume", "type of the logical volume")
    expect_equal((devices["/dev/md0"]["type"], sorted(devices["/dev/md0"]["parents"])),
                 ("raid1", sorted([drives["SCSI4K"]["path"], drives["USB1"]["path"]])), "the array")
    expect_equal(devices["/dev/mapper/vg-data"]["mounts"], ["/mnt/data"], "mounts")
    for serial, words in USED.items():
        status, said = told["refused"][serial]
        for word in ["in use", *words]:
            expect(status == 3 and word in said, f"{serial}: no '{word}' in {status}: {said}")
    for serial in USED:
        status, said = told["written"][serial]
        expect(status == 0, f"{serial}, when nothing used it: {status}: {said}")
    expect_equal(told["asked"][0][0], 3, "status when the serial number was typed wrongly")
    expect("Type its serial number, SATA1" in told["asked"][0][1], told["asked"][0][1])
    expect_equal(told["asked"][1][0], 0, "status when it was typed rightly")
