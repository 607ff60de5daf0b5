# SPDX-License-Identifier: GPL-3.0-or-later
"""Python programs under Debian's own kernel in an emulated PC, for what the kernel of this machine lacks.

The folders of this machine are the PC's too, read-only: every program that is installed is there.
What goes in and comes out is in one folder, /mnt/share in the PC."""
import glob
import os
import shlex
import subprocess

import lib
from lib import path, run

# scripts/setup unpacks it there.
KERNEL = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "platter/kernel")
SHARE = "/mnt/share"
# What the PC itself needs.
MODULES = ["9p", "9pnet_virtio", "virtio_pci", "virtio_blk"]

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/sbin:/usr/sbin LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read m; do insmod /modules/$m; done </modules/order
p9=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o $p9,ro,cache=loose root /root
for d in proc sys dev; do mount -o bind /$d /root/$d; done
mount -t tmpfs tmpfs /root/mnt
mkdir /root/mnt/share
mount -t 9p -o $p9 share /root/mnt/share
chroot /root /bin/sh /mnt/share/run >/root/mnt/share/out 2>&1
echo $? >/root/mnt/share/status
sync
poweroff -f
"""


def version():
    lib.need_tool("qemu-system-x86_64", "cpio", "modprobe", "depmod")
    found = sorted(glob.glob(KERNEL + "/boot/vmlinuz-*"))
    if not found:
        lib.skip(f"no kernel in {KERNEL}: scripts/setup check-long fetches it")
    if not os.path.exists("/bin/busybox"):
        lib.skip("busybox is not installed")
    return os.path.basename(found[-1]).removeprefix("vmlinuz-")


def needed(modules):
    """The files of these modules and of what they depend on, in the order of loading, with their parameters."""
    if not os.path.exists(f"{KERNEL}/lib/modules/{version()}/modules.dep.bin"):
        run(["depmod", "-b", KERNEL, version()])
    found = []
    for m in modules:
        name, *parameters = m.split()
        for line in run(["modprobe", "-d", KERNEL, "-S", version(), "--show-depends", name]).text.splitlines():
            how, _, file = line.partition(" ")
            if how == "insmod" and file.split()[0] not in [f for f, _ in found]:
                found.append((file.split()[0], []))
        found[-1][1].extend(parameters)
    return found


def initramfs(modules):
    top = path("initramfs")
    for d in ("bin", "modules", "proc", "sys", "dev", "root"):
        os.makedirs(os.path.join(top, d), exist_ok=True)
    run(["cp", "/bin/busybox", top + "/bin/"])
    order = needed(modules)
    run(["cp", *[file for file, _ in order], top + "/modules/"])
    with open(top + "/modules/order", "w") as f:
        f.write("".join(" ".join([os.path.basename(file), *parameters]) + "\n" for file, parameters in order))
    with open(top + "/init", "w") as f:
        f.write(INIT)
    os.chmod(top + "/init", 0o755)
    names = b"\0".join(os.fsencode(os.path.relpath(os.path.join(base, n), top))
                       for base, folders, files in os.walk(top) for n in folders + files)
    packed = subprocess.run(["cpio", "-0", "-o", "-H", "newc", "--quiet"], cwd=top, input=names, stdout=subprocess.PIPE, check=True)
    with open(path("initramfs.cpio"), "wb") as f:
        f.write(packed.stdout)
    return f.name


def run_python(program, *args, share, disks, modules, disc=None, hardware=(), timeout=900):
    """Run a Python program in the PC.  disks: {serial number: image}; in the PC /sys/block/*/serial tells which is which.
    disc: an image in its optical drive, /dev/sr0.  modules: names, with parameters behind them.
    hardware: what else it has, as QEMU is told."""
    with open(os.path.join(share, "run"), "w") as f:
        f.write(shlex.join(["exec", "python3", program, *args]) + "\n")
    for name in ("status", "out"):
        with open(os.path.join(share, name), "w"):
            pass        # nothing of the time before
    devices = [*hardware]
    for i, (serial, image) in enumerate(disks.items()):
        devices += ["-drive", f"if=none,id=d{i},file={image},format=raw", "-device", f"virtio-blk-pci,drive=d{i},serial={serial}"]
    if disc:
        devices += ["-drive", f"if=none,id=disc,file={disc},format=raw,media=cdrom,readonly=on", "-device", "ide-cd,drive=disc,bus=ide.1"]
        modules = ["ahci", "sr_mod", "sg", *modules]
    local = "security_model=none,mount_tag="
    r = run(["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", 2, "-m", 1024,
             "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio",
             "-kernel", f"{KERNEL}/boot/vmlinuz-{version()}", "-initrd", initramfs([*MODULES, *modules]),
             "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
             "-virtfs", f"local,path=/,{local}root,readonly=on,multidevs=remap",
             "-virtfs", f"local,path={share},{local}share", *devices], timeout=timeout, status=None)
    told = {}
    for name in ("status", "out"):
        with open(os.path.join(share, name), errors="replace") as f:
            told[name] = f.read()
    lib.expect(told["status"].strip() == "0", f"in the PC: {told['out'][-3000:]}\n{r}")
