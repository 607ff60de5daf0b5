# SPDX-License-Identifier: GPL-3.0-or-later
"""Images changed in place by the command: resize, snapshot, repair."""
import os

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
