# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: what the library tells of the PC's drives and does to them, and what other programs tell.

The folder that is named first gets `told`, {(drive, what): (exit status, output)}; then comes the helper program."""
import contextlib
import glob
import os
import pickle
import subprocess
import sys
import time

MIB = 1 << 20
# Drive: a part of its place in /sys, and the driver of its USB interface.
PLACES = {"ahci": ("/ata1/", None), "nvme": ("/nvme/", None), "virtio": ("/block/vd", None), "scsi": ("/virtio", None),
          "stick": ("/usb", "usb-storage"), "uas": ("/usb", "uas"), "cd": ("/block/sr", None), "slow": ("/nothing", None)}
OTHERS = {
    "ahci": {"hdparm": ["hdparm", "-I"]},
    "nvme": {"nvme": ["nvme", "id-ctrl", "-o", "json"], "nvme-ns": ["nvme", "id-ns", "-o", "json"], "smart": ["nvme", "smart-log", "-o", "json"]},
    "scsi": {"sg_inq": ["sg_inq"], "sg_serial": ["sg_inq", "-p", "sn"]},
    "stick": {"sg_inq": ["sg_inq"], "sg_serial": ["sg_inq", "-p", "sn"]},
    "uas": {"sg_inq": ["sg_inq"], "sg_serial": ["sg_inq", "-p", "sn"]},
}
# Bits of enum pl_erase, which the drives of the PC do not have.
REFUSED = {"ahci": [1, 2, 1 << 2, 1 << 5, 1 << 10], "nvme": [1 << 7, 1 << 8, 1 << 9, 1 << 6], "scsi": [1 << 10, 1 << 12, 1],
           "stick": [1 << 11], "uas": [1 << 10], "virtio": [1, 1 << 5]}


def run(*words, timeout=60):
    r = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    return r.returncode, r.stdout


def usb_driver(where):
    return os.path.basename(os.path.realpath(where.split("/host")[0] + "/driver"))


def drive_of(at):
    where = os.path.realpath(at)
    with contextlib.suppress(OSError), open(at + "/device/model") as f:
        if f.read().strip() == "Slow":
            return "slow"
    for name, (part, driver) in PLACES.items():
        if part in where and (driver is None or usb_driver(where) == driver) and ("/usb" in where) == (driver is not None):
            return name
    return None


def drives():
    """{name: device}, when all have appeared."""
    for _ in range(300):
        found = {drive_of(at): "/dev/" + os.path.basename(at) for at in glob.glob("/sys/block/*")}
        if set(PLACES) <= set(found):
            return found
        time.sleep(0.1)
    raise RuntimeError(f"only {found} appeared")


def fill(device):
    with open(device, "r+b", buffering=0) as f:
        f.write(b"secret" * (MIB // 6))
        os.fsync(f.fileno())


def zeros(device):
    with open(device, "rb") as f:
        return not any(f.read(2 * MIB))


def main():
    share, helper = sys.argv[1:3]
    told, found = {}, drives()
    for name, device in found.items():
        if name in (None, "slow"):
            continue
        told[name, "look"] = run(helper, "look", device)
        told[name, "lsblk"] = run("lsblk", "-dnbJ", "-o", "VENDOR,MODEL,REV,SIZE,ROTA", device)
        for program, words in OTHERS.get(name, {}).items():
            told[name, program] = run(*words, device)
        if name in REFUSED:
            fill(device)
        for how in REFUSED.get(name, []):
            told[name, how] = run(helper, "erase", device, str(how))
            told[name, how, "kept"] = not zeros(device)
    for how in ("hpa", "dco", "prepare"):
        told["ahci", how] = run(helper, how, found["ahci"])
    for c2 in (0, 1, 2):
        told["cd", f"c2 {c2}"] = run(helper, "read-cd", found["cd"], "20", str(c2))
    told["cd", "past the end"] = run(helper, "read-cd", found["cd"], "1000000", "0")
    told["nvme", "format"] = run(helper, "erase", found["nvme"], str(1 << 5))
    told["nvme", "zeros"] = zeros(found["nvme"])
    told["nvme", "look again"] = run(helper, "look", found["nvme"])
    began = time.monotonic()
    told["slow", "read"] = run(helper, "read", found["slow"], timeout=200)
    told["slow", "seconds"] = time.monotonic() - began
    with open(share + "/told", "wb") as f:
        pickle.dump(told, f)


if __name__ == "__main__":
    main()
