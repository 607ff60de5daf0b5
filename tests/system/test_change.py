# SPDX-License-Identifier: GPL-3.0-or-later
"""Images changed in place by the command: resize, snapshot, compact, repair."""
import os
import random
import subprocess
import time

import lib
from lib import MIB, expect, expect_equal, info, make_raw, mixed_raw, noise, path, platter, qemu_check, run, same_bytes


def size_of(image):
    return info(image)["size"]


def test_resize_forms():
    """A size is absolute, or so much more or less, with any unit; what is none is refused with status 2."""
    for name in ("a.img", "a.qcow2"):
        image = path(name)
        platter("create", make_raw("empty", 8 * MIB, []), image)
        for text, size in (("10M", 10), ("+2M", 12), ("-4MiB", 8), ("+0.5M", 8.5), ("1G", 1024), ("-1016M", 8)):
            platter("resize", image, text)
            expect_equal(size_of(image), size * MIB, f"{name} after {text}")
        for text in ("0", "-8M", "-9M", "+9E", "much", "", "--1M", "+-1M"):
            platter("resize", image, text, status=2)
        expect_equal(size_of(image), 8 * MIB, name)


def test_shrink_keeps_data():
    """Data does not fall off unless that is asked for; zeros do, stored or not."""
    raw = make_raw("data", 8 * MIB, [(0, noise(MIB)), (4 * MIB, bytes(MIB)), (6 * MIB - 1, b"x")])
    for name in ("b.img", "b.qcow2"):
        image = path(name)
        platter("create", "--sparse=never", raw, image)
        r = platter("resize", image, "6291455", status=3)
        expect("6291455" in r.errors and "--discard-data" in r.errors, r)
        expect_equal(size_of(image), 8 * MIB, "size of what was refused")
        platter("resize", image, "6M")
        platter("resize", image, "2M", "--discard-data")
        platter("resize", image, "8M")
        want = make_raw("want", 8 * MIB, [(0, noise(MIB))])
        platter("compare", image, want)


def test_resize_refuses():
    """Devices, partitions, split images, and what a loop device stands on are not resized; each is told why."""
    disk = make_raw("disk.img", 16 * MIB, [])
    lib.need_tool("sfdisk")
    run(["sfdisk", "-q", disk], input=b"label: dos\nsize=4M\n")
    r = platter("resize", disk + "@1", "8M", status=3)
    expect("part of a disk" in r.errors, r)
    platter("create", "--split=4M", mixed_raw("m", 16 * MIB), path("s.img"))
    r = platter("resize", path("s.img.001"), "8M", "--discard-data", status=3)
    expect("split" in r.errors, r)
    with lib.loop(disk) as device:
        r = platter("resize", device, "8M", status=3)
        expect("device" in r.errors, r)
        platter("resize", disk, "32M", status=3)
    platter("resize", disk, "32M")


def test_gpt_is_mentioned():
    """A GPT whose backup is not at the end any more is said, and left as it is."""
    lib.need_tool("sfdisk")
    disk = make_raw("gpt.img", 16 * MIB, [])
    run(["sfdisk", "-q", disk], input=b"label: gpt\nsize=4M\n")
    platter("create", disk, path("gpt.qcow2"))
    for image in (disk, path("gpt.qcow2")):
        r = platter("resize", image, "+16M")
        expect("backup GPT" in r.text, r)
        with open(disk, "rb") as f:
            before = f.read(16 * MIB)
        platter("convert", "-f", image, path("after.img"))
        with open(path("after.img"), "rb") as f:
            expect(f.read(16 * MIB) == before, f"{image} is not what it was")


def test_snapshots():
    """What qemu-img creates platter lists, applies and deletes, and the other way round."""
    lib.need_tool("qemu-img", "qemu-io")
    raw, image = mixed_raw("raw"), path("s.qcow2")
    platter("create", raw, image)
    platter("snapshot", image, "--create", "first one")
    qemu_check(image)
    run(["qemu-io", "-c", "write -P 3 1M 3M", image])
    run(["qemu-img", "snapshot", "-c", "second", image])
    r = platter("snapshot", image)
    expect("first one" in r.text and "second" in r.text, r)
    listed = run(["qemu-img", "snapshot", "-l", image]).text
    expect("first one" in listed and "second" in listed, listed)
    platter("compare", image + "?snapshot=first one", raw)
    platter("compare", image, raw, status=1)
    platter("snapshot", image, "--apply", "first one")
    qemu_check(image)
    platter("compare", image, raw)
    run(["qemu-img", "snapshot", "-d", "first one", image])
    platter("compare", image, raw)
    platter("snapshot", image, "--delete", "second")
    qemu_check(image)
    platter("compare", image, raw)
    expect("no snapshots" in platter("snapshot", image).text, "snapshots are left")
    platter("snapshot", image, "--delete", "second", status=3)


def test_repair():
    """Damaged counts are put right, --dry-run only says so, and statuses tell which."""
    lib.need_tool("qemu-img")
    raw, image = mixed_raw("raw"), path("r.qcow2")
    platter("create", raw, image)
    expect("nothing to repair" in platter("repair", image).text, "a whole image")
    with open(image, "r+b") as f:
        f.seek(48)
        table = int.from_bytes(f.read(8), "big")
        f.seek(table)
        block = int.from_bytes(f.read(8), "big")
        f.seek(block)
        f.write(bytes(100) + b"\0\7" * 50)
    broken = lib.sha256(image)
    r = platter("repair", "--dry-run", image, status=1)
    expect("would be put right" in r.text, r)
    expect_equal(lib.sha256(image), broken, "the image after --dry-run")
    platter("verify", image, status=1)
    r = platter("repair", image)
    expect("put right" in r.text and "repaired:" in r.text, r)
    qemu_check(image)
    platter("verify", image)
    platter("compare", image, raw)


def test_repair_broken_samples():
    """The corpus's damaged images are repaired or refused, and nothing readable is lost."""
    lib.need_tool("qemu-img")
    import shutil
    for s in lib.manifest():
        if not s.name.startswith("broken/") or "qcow2" not in s.name:
            continue
        copy = path("copy")
        shutil.copy(lib.unpacked(s.stored), copy)
        os.chmod(copy, 0o600)
        before = platter("convert", "-f", copy + "?backing=no", path("before.img"), status=None).status
        dry = platter("repair", "--dry-run", copy, status=(0, 1, 3))
        r = platter("repair", copy, status=(0, 1, 3))
        expect((dry.status == 3) == (r.status == 3), f"{s.name}: {dry} {r}")
        if r.status == 0 and dry.status:
            expect_equal(platter("repair", "--dry-run", copy).status, 0, f"{s.name} a second time")
            run(["qemu-img", "check", copy])
        if before == 0:
            platter("convert", "-f", copy + "?backing=no", path("after.img"))
            same_bytes(path("before.img"), path("after.img"))


COMPACTED = {"qcow2": "qcow2", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx", "vmdk": "vmdk", "hds": "parallels"}


def stored(image):
    return os.stat(image).st_blocks * 512


def full_of_zeros(name, qemu_format):
    """An image that stores 24 MiB of zeros between 8 and 2 MiB of data, and what it holds."""
    raw = make_raw("raw", 34 * MIB, [(0, noise(8 * MIB)), (32 * MIB, noise(2 * MIB, 2))])
    run(["qemu-img", "convert", "-f", "raw", "-O", qemu_format, "-S", "0", raw, path(name)])
    return path(name), raw


def test_compact():
    """Stored zeros are given up, in place and through a new file; the image reads as before, and is whole."""
    lib.need_tool("qemu-img")
    for extension, qemu_format in COMPACTED.items():
        for how in ((), ("--copy",)):
            image, raw = full_of_zeros("c." + extension, qemu_format)
            before = stored(image)
            r = platter("compact", "--json", image, *how)
            expect_equal(r.json()["in_place"], not how, extension)
            expect(stored(image) < before - 20 * MIB, f"{extension} {how}: {before} became {stored(image)}")
            platter("compare", "--ignore-zero-tail", image, raw)
            platter("verify", image)
            if qemu_format != "vpc":
                run(["qemu-img", "compare", "-f", qemu_format, "-F", "raw", image, raw])
    raw = make_raw("holes.img", 34 * MIB, [(0, noise(MIB)), (MIB, bytes(30 * MIB))])
    platter("compact", raw)
    expect(stored(raw) <= 2 * MIB, f"raw: {stored(raw)}")


def test_compact_of_an_overlay():
    """What hides data of the parent stays; snapshots stay; only a copy is refused."""
    lib.need_tool("qemu-img")
    base, raw = full_of_zeros("base.qcow2", "qcow2")
    top = path("top.qcow2")
    platter("create", "--parent", base, top)
    run(["qemu-io", "-c", "write -P 0 0 4M", "-c", "write -P 7 9M 1M", top])
    platter("snapshot", top, "--create", "kept")
    want = path("want.img")
    platter("create", top, want)
    platter("compact", top)
    platter("compare", top, want)
    qemu_check(top)
    r = platter("compact", "--copy", top, status=3)
    expect("parent" in r.errors and "flatten" in r.errors, r)
    platter("snapshot", base, "--create", "kept")
    r = platter("compact", "--copy", base, status=3)
    expect("snapshots" in r.errors, r)


def test_compact_refuses_damage():
    """An image whose structure is damaged is left as it is."""
    lib.need_tool("qemu-img")
    image, _ = full_of_zeros("d.vdi", "vdi")
    with open(image, "r+b") as f:
        f.seek(512 + 4)
        entry = f.read(4)
        f.seek(512)
        f.write(entry)
    before = lib.sha256(image)
    r = platter("compact", image, status=3)
    expect("damaged" in r.errors and "repair" in r.errors, r)
    expect_equal(lib.sha256(image), before, "the image")


@lib.weight(2)
def test_kill_compact():
    """A kill at any moment leaves an image that reads as before."""
    lib.need_tool("qemu-img")
    rng = random.Random(5)
    for extension, qemu_format in COMPACTED.items():
        for _ in range(4):
            image, raw = full_of_zeros("k." + extension, qemu_format)
            p = subprocess.Popen([lib.PLATTER, "compact", "-q", image], stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0, 0.06))
            p.kill()
            p.wait()
            platter("compare", "--ignore-zero-tail", image, raw)
            platter("compact", image)
            platter("compare", "--ignore-zero-tail", image, raw)
            platter("verify", image)
