# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: its drives are wiped, and read afterwards with the kernel.

The folder that is named first gets `told`, a pickle; then comes the command."""
import glob
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time

MIB = 1 << 20
# Drive: a part of its place in /sys.
PLACES = {"ahci": "/ata1/", "nvme": "/nvme/", "scsi": "/virtio", "stick": "/usb"}
METHODS = {"ahci": ["random", "ata-secure-erase", "ata-sanitize-crypto"], "nvme": ["random", "nvme-sanitize-block", "nist-purge"],
           "scsi": ["random", "scsi-sanitize-block", "discard"], "stick": ["random", "nist-purge"]}


def run(*words, timeout=120):
    r = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, cwd="/mnt")
    return r.returncode, r.stdout, r.stderr


def drives():
    for _ in range(300):
        found = {}
        for at in glob.glob("/sys/block/*"):
            where = os.path.realpath(at)
            for name, part in PLACES.items():
                if part in where and "/block/vd" not in where and "/block/sr" not in where:
                    found[name] = "/dev/" + os.path.basename(at)
        if set(PLACES) <= set(found):
            return found
        time.sleep(0.1)
    raise RuntimeError(f"only {found} appeared")


def plant(device):
    with open(device, "r+b", buffering=0) as f:
        for _ in range(2):
            f.write(b"secret" * (MIB // 6) + b"1234")
        os.fsync(f.fileno())


def contents(device):
    """(size, SHA-256, what is left of what was planted)"""
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")
    with open(device, "rb") as f:
        data = f.read()
    return len(data), hashlib.sha256(data).hexdigest(), data.count(b"secret")


def main():
    share, command = sys.argv[1:3]
    found = drives()
    told = {"drives": found}
    for name, device in found.items():
        told[name, "auto"] = run(command, "wipe", "--dry-run", "--json", device)
        for method in METHODS[name]:
            plant(device)
            status, out, err = run(command, "wipe", "--yes", "--json", "--method", method, "--certificate",
                                   f"{share}/{name}-{method}.json", device)
            told[name, method] = status, out, err, contents(device)
    run("mkfs.ext4", "-q", found["ahci"])
    os.mkdir("/mnt/mounted")
    run("mount", found["ahci"], "/mnt/mounted")
    told["mounted"] = run(command, "wipe", "--yes", found["ahci"])
    run("umount", "/mnt/mounted")
    with open(os.path.join(share, "told"), "wb") as f:
        pickle.dump(told, f)


main()
