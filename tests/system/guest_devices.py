# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: puts its drives to use, and tells what platter says of them, into the file `told` of the folder that is
named first."""
import glob
import json
import os
import pty
import subprocess
import sys
import time

LVM = ["--config", "activation{udev_sync=0 udev_rules=0} backup{backup=0 archive=0} global{event_activation=0}"]


def run(*words, **how):
    r = subprocess.run(words, capture_output=True, **how)
    if r.returncode:
        raise RuntimeError(f"{words}: {r.returncode}\n{r.stdout.decode()}{r.stderr.decode()}")
    return r.stdout.decode()


def platter(*words):
    r = subprocess.run([sys.argv[2], *words], capture_output=True)
    return r.returncode, r.stdout.decode() + r.stderr.decode()


def asked(answer, *words):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.argv[2], [sys.argv[2], *words])
    said, done = b"", False
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            break
        said += piece
        if not piece:
            break
        if not done and b"to overwrite it: " in said:
            done = True
            os.write(fd, answer + b"\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace")


def drives():
    """{serial number: path}, when all five are there."""
    for _ in range(200):
        answer = json.loads(platter("list", "--json")[1])
        found = {d["serial"]: d["path"] for d in answer["devices"] if d["kind"] == "drive" and d["serial"] and d["size"]}
        if {"SATA1", "NVME1", "USB1", "SCSI4K", "VIRTIO1"} <= set(found):
            return found
        time.sleep(0.2)
    raise RuntimeError(f"only {found} of the drives: {answer}")


def mount(device, name):
    where = "/mnt/" + name
    os.makedirs(where, exist_ok=True)
    run("mkfs.ext4", "-q", "-F", device)
    run("mount", device, where)


def put_to_use(d):
    run("sfdisk", "-q", d["SATA1"], input=b"label: gpt\nsize=20M,type=U\nsize=20M,type=L\n")
    time.sleep(1)
    mount(d["SATA1"] + "2", "sata")
    key = b"secret"
    run("cryptsetup", "luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", d["NVME1"], "-", input=key)
    run("cryptsetup", "open", d["NVME1"], "vault", "--key-file", "-", input=key)
    run("pvcreate", *LVM, "-q", "-y", "/dev/mapper/vault")
    run("vgcreate", *LVM, "-q", "vg", "/dev/mapper/vault")
    run("lvcreate", *LVM, "-q", "-y", "-Wn", "-Zn", "-n", "data", "-L", "20M", "vg")
    mount("/dev/mapper/vg-data", "data")
    run("mdadm", "--create", "/dev/md0", "--run", "--level=1", "--raid-devices=2", "--assume-clean", d["SCSI4K"], d["USB1"])
    mount("/dev/md0", "array")
    run("mkswap", d["VIRTIO1"])
    run("swapon", d["VIRTIO1"])


def end_uses():
    """By the commands that list tells, in its order."""
    done = []
    for device in json.loads(platter("list", "--json")[1])["devices"]:
        for use in device["uses"]:
            if use["release"] and use["release"] not in done:
                done.append(use["release"])
                words = use["release"].split()
                run(*words, *(LVM if words[0] == "lvchange" else []))


def main():
    os.environ["DM_DISABLE_UDEV"] = "1"
    for folder in ("/run", "/tmp", "/etc/lvm/backup", "/etc/lvm/archive"):
        if os.path.isdir(folder):
            run("mount", "-t", "tmpfs", "tmpfs", folder)
    os.makedirs("/dev/pts", exist_ok=True)
    run("mount", "-t", "devpts", "-o", "ptmxmode=666", "devpts", "/dev/pts")
    if not os.path.exists("/dev/ptmx"):
        os.symlink("pts/ptmx", "/dev/ptmx")
    small = sys.argv[1] + "/small"
    told = {"refused": {}, "written": {}}
    d = drives()
    put_to_use(d)
    told["list"] = json.loads(platter("list", "--json")[1])
    told["text"] = platter("list")[1]
    for serial, device in d.items():
        told["refused"][serial] = platter("restore", "--yes", small, device)
    end_uses()
    for serial, device in d.items():
        told["written"][serial] = platter("restore", "--yes", "--no-gpt-fix", small, device)
    told["asked"] = [asked(b"SATA2", "restore", small, d["SATA1"]), asked(b"SATA1", "restore", small, d["SATA1"])]
    with open(sys.argv[1] + "/told", "w") as f:
        json.dump(told, f)


main()
