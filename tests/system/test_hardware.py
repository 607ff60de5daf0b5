# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives of an emulated PC, asked and erased by their own commands; held against hdparm, sg3-utils, nvme-cli and lsblk."""
import json
import os
import pickle
import re

import lib
import vm
from lib import MIB, expect, expect_equal, limit, noise, path, weight

MODULES = ["ahci", "sd_mod", "nvme", "virtio_scsi", "sg", "usb-storage", "uas", "xhci-pci"]
SIZE = 64 * MIB
# Drive: how QEMU is told of it.
DEVICES = {
    "ahci": ["-device", "ide-hd,drive=ahci,serial=AH1 2,model=Model of mine,ver=F1.0,bus=ide.0,rotation_rate=7200"],
    "nvme": ["-device", "nvme,serial=NV1,drive=nvme"],
    "scsi": ["-device", "virtio-scsi-pci,id=v", "-device", "scsi-hd,bus=v.0,drive=scsi,serial=SC1,vendor=ACME,product=Disk,ver=9.9,rotation_rate=1"],
    "stick": ["-device", "qemu-xhci,id=x", "-device", "usb-storage,bus=x.0,drive=stick,removable=on,serial=ST1"],
    "uas": ["-device", "usb-uas,id=u,bus=x.0", "-device", "scsi-hd,bus=u.0,drive=uas,serial=UA1"],
    "slow": ["-device", "scsi-hd,bus=v.0,drive=slow,product=Slow"],
}


def image(name):
    with open(path(name), "wb") as f:
        f.truncate(SIZE)
    return path(name)


def in_pc():
    """What guest_hardware.py tells."""
    hardware, share, disc = [], path("share"), path("disc")
    os.makedirs(share)
    for name, words in DEVICES.items():
        slow = ",throttling.bps-read=2000" if name == "slow" else ""
        hardware += ["-drive", f"if=none,id={name},file={image(name)},format=raw,discard=unmap{slow}", *words]
    with open(disc, "wb") as f:
        f.write(noise(2 * MIB))
    program = os.path.join(os.path.dirname(__file__), "guest_hardware.py")
    vm.run_python(program, vm.SHARE, lib.helper("hardware"), share=share, disks={"VI1": image("virtio")}, disc=disc, modules=MODULES,
                  hardware=hardware)
    with open(os.path.join(share, "told"), "rb") as f:
        return pickle.load(f)


def text_of(told, *key):
    status, text = told[key]
    expect_equal(status, 0, f"exit status of {key}: {text.decode(errors='replace')}, which")
    return text.decode(errors="replace")


def look(told, name):
    return json.loads(text_of(told, name, "look"))


def field(text, name):
    found = re.search(rf"^\s*{name}\s*:\s*(.*?)\s*$", text, re.MULTILINE)
    expect(found, f"no '{name}' in {text}")
    return found[1]


def expect_fields(got, **wanted):
    for key, value in wanted.items():
        expect_equal(got.get(key), value, f"{key} in {got}")


def same_as_lsblk(told, name):
    said, got = json.loads(text_of(told, name, "lsblk"))["blockdevices"][0], look(told, name)
    expect_fields(got, size=said["size"], native_size=said["size"], real_size=said["size"])
    if name == "virtio":
        expect_fields(got, protocol="none", model="", erases=[])
        return
    words = [said["vendor"], said["model"]] if got["protocol"] == "scsi" else [said["model"]]
    expect_fields(got, model=" ".join(w.strip() for w in words), firmware=(said["rev"] or got["firmware"]).strip())
    if "rotational" in got:
        expect_fields(got, rotational=said["rota"])


def same_as_hdparm(told):
    said, got = text_of(told, "ahci", "hdparm"), look(told, "ahci")
    expect_fields(got, protocol="ata", model=field(said, "Model Number"), serial=field(said, "Serial Number"), firmware=field(said, "Firmware Revision"),
                  size=int(field(said, "LBA48  user addressable sectors")) * 512, rotational=True, erases=["TRIM"], health="good")


def same_as_sg_inq(told, name):
    said, got = text_of(told, name, "sg_inq"), look(told, name)
    expect_fields(got, protocol="scsi", model=f"{field(said, 'Vendor identification')} {field(said, 'Product identification')}",
                  firmware=field(said, "Product revision level"), serial=field(text_of(told, name, "sg_serial"), "Unit serial number"))


def same_as_nvme(told):
    controller, space, smart = (json.loads(text_of(told, "nvme", what)) for what in ("nvme", "nvme-ns", "smart"))
    expect_fields(look(told, "nvme"), protocol="nvme", model=controller["mn"].strip(), serial=controller["sn"].strip(),
                  firmware=controller["fr"].strip(), size=space["nsze"] << space["lbafs"][space["flbas"] & 15]["ds"],
                  temperature=smart["temperature"] - 273, percent_used=smart["percent_used"], health="good",
                  erases=["NVMe FORMAT NVM, user data erase", "TRIM"])


def refused(told, name, how):
    status, text = told[name, how]
    expect(status == 1 and re.match(rb"error E(OPNOTSUPP|IO): .", text), f"{status}: {text}")
    expect(told[name, how, "kept"], "the data is gone")


def said_no(told, name, how, words):
    status, text = told[name, how]
    expect(status == 1 and text.decode().startswith(words), f"{status}: {text}")


def sectors_of_disc(told):
    wanted = noise(2 * MIB)[20 * 2048:21 * 2048]
    for c2, size in ((0, 2352), (1, 2352 + 294), (2, 2352 + 296)):
        status, sector = told["cd", f"c2 {c2}"]
        expect_equal((status, len(sector)), (0, size), "status and length")
        expect(sector.startswith(b"\0" + b"\xff" * 10 + b"\0") and sector[16:2064] == wanted, "another sector")


def formatted(told):
    expect_equal(text_of(told, "nvme", "format"), "", "answer")
    expect(told["nvme", "zeros"], "not all is zero")
    expect_equal(json.loads(text_of(told, "nvme", "look again"))["size"], SIZE, "size")


def given_up(told):
    said_no(told, "slow", "read", "error ETIMEDOUT: READ (10): no answer from the drive in 8 seconds")
    expect(told["slow", "seconds"] < 60, f"it took {told['slow', 'seconds']:.0f} s")


@limit(600)
@weight(4)
def test_hardware():
    """Drives tell who they are as other programs say; what they do not have is refused with nothing lost; NVMe formats."""
    if not lib.LONG:
        lib.skip("takes minutes: only of check-long")
    lib.need_root()
    lib.need_tool("hdparm", "sg_inq", "nvme", "lsblk")
    vm.version()
    told = in_pc()
    for name in ("ahci", "nvme", "scsi", "stick", "uas", "virtio", "cd"):
        yield f"{name} as lsblk", lambda name=name: same_as_lsblk(told, name)
    yield "ahci as hdparm", lambda: same_as_hdparm(told)
    yield "nvme as nvme-cli", lambda: same_as_nvme(told)
    for name in ("scsi", "stick", "uas"):
        yield f"{name} as sg_inq", lambda name=name: same_as_sg_inq(told, name)
    for key in told:
        if len(key) == 3:
            yield f"{key[0]} refuses {key[1]}", lambda key=key: refused(told, *key[:2])
    yield "the registers of a refusal", lambda: said_no(told, "ahci", "prepare",
                                                        "error EIO: SECURITY ERASE PREPARE: the drive refused it (status 41h, error 04h)")
    yield "no HPA", lambda: said_no(told, "ahci", "hpa", "error EOPNOTSUPP: the drive has no host protected area")
    yield "no DCO", lambda: said_no(told, "ahci", "dco", "error EOPNOTSUPP: the drive has no device configuration overlay")
    yield "raw sectors of a disc", lambda: sectors_of_disc(told)
    yield "past the end of a disc", lambda: said_no(told, "cd", "past the end", "error ERANGE: READ CD: sector 1000000 is not on the disc")
    yield "FORMAT NVM", lambda: formatted(told)
    yield "a drive that hangs", lambda: given_up(told)
