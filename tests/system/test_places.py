# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots in places: of the image if it has them, else of the file system on it."""
import os

import lib
from lib import MIB, expect, expect_equal, path, platter, run


def sessions():
    """A disc of two sessions; the second has one file more."""
    lib.need_tool("genisoimage")
    for name in ("one", "two"):
        os.makedirs(path(name))
        with open(path(name) + "/" + name, "w") as f:
            f.write(name)
    # The second counts its blocks from where it begins on the disc.
    run(["genisoimage", "-quiet", "-R", "-o", path("1.iso"), path("one")])
    start = os.path.getsize(path("1.iso")) // 2048
    run(["genisoimage", "-quiet", "-R", "-C", f"0,{start}", "-M", path("1.iso"), "-o", path("2.iso"), path("two")])
    with open(path("disc.iso"), "wb") as f:
        for name in ("1.iso", "2.iso"):
            with open(path(name), "rb") as part:
                f.write(part.read())
    return path("disc.iso")


def names(place):
    return sorted(platter("ls", place).text.split())


def refused(place, *words, verb="ls"):
    r = platter(verb, place, status=3)
    for word in words:
        expect(word in r.errors, f"{place}: no {word!r} in\n{r.errors}")


def test_sessions_of_a_disc():
    """disc.iso?snapshot=1 is the first session: of an image, raw or not, and of a partition."""
    disc = sessions()
    platter("convert", disc, path("disc.qcow2"))
    for image in (disc, path("disc.qcow2")):
        expect_equal(names(image), ["one", "two"], "files of the last session")
        expect_equal(names(image + "?snapshot=1"), ["one"], f"first session of {image}")
        expect_equal(names(image + "?snapshot=2"), ["one", "two"], "second session")
        expect_equal(names(image + "?snapshot=1&fs=iso9660"), ["ONE"], "with the name of the tree")
        expect_equal(platter("cat", image + "?snapshot=1:/one").text, "one", "a file of the first session")
        refused(image + "?snapshot=1:/two", "no 'two'", verb="cat")
        refused(image + "?snapshot=9", "no session '9'", "sessions are 1 to 2")
        refused(image + "?snapshot=name:/one", "no session 'name'", verb="cat")
    refused(disc + "?snapshot=1", "has no snapshots", verb="hash")


def test_both_have_some():
    """Of a QCOW2 image with snapshots its own come first; what it has not is sought on it."""
    lib.need_tool("qemu-img")
    platter("convert", sessions(), path("disc.qcow2"))
    image = path("disc.qcow2")
    run(["qemu-img", "snapshot", "-c", "monday", image])
    expect_equal(names(image + "?snapshot=monday"), ["one", "two"], "the image's snapshot")
    # Its id is 1, which is the image's name for it too.
    expect_equal(names(image + "?snapshot=1"), ["one", "two"], "by its id")
    run(["qemu-img", "snapshot", "-c", "tuesday", image])
    refused(image + "?snapshot=9", "has no snapshot '9'", "no session '9'", "'monday', 'tuesday'", "sessions are 1 to 2")
    refused(image + "?snapshot=9", "has no snapshot '9'", "'monday', 'tuesday'", verb="hash")


def test_none_has_any():
    """What has no snapshots says so: it never shows what is there now instead."""
    lib.need_tool("mkfs.ext4", "sfdisk")
    plain = lib.make_raw("plain.img", 16 * MIB, [])
    run(["mkfs.ext4", "-q", "-F", plain])
    refused(plain + "?snapshot=x", "no snapshot 'x'", "ext", "which has none")
    refused(plain + "?snapshot=x:/lost+found", "no snapshot 'x'")
    disk = lib.make_raw("disk.img", 20 * MIB, [])
    run(["sfdisk", "-q", disk], input=b"label: gpt\nstart=2048,size=16M\n")
    run(["dd", f"if={plain}", f"of={disk}", "bs=1M", "seek=1", "conv=notrunc", "status=none"])
    refused(disk + "@1?snapshot=x", "no snapshot 'x'", "which has none")
    refused(disk + "@1?snapshot=x", "has no snapshot 'x'", verb="hash")
    refused(disk + "?snapshot=x", "no snapshot 'x'", "@NUMBER?snapshot=x")
    refused(disk + "?snapshot=x@1", "has no snapshots")


def test_btrfs():
    """Subvolumes and snapshots of a Btrfs that is the whole image."""
    lib.need_root()
    lib.need_tool("mkfs.btrfs", "btrfs")
    if not lib.kernel_knows("btrfs"):
        lib.skip("this kernel has no btrfs")
    image = lib.make_raw("b.img", 128 * MIB, [])
    run(["mkfs.btrfs", "-q", image])
    with lib.loop(image) as device, lib.mounted(device) as where:
        run(["btrfs", "subvolume", "create", "sub"], cwd=where)
        with open(os.path.join(where, "sub/first"), "w") as f:
            f.write("first")
        run(["btrfs", "subvolume", "snapshot", "sub", "then"], cwd=where)
        os.rename(os.path.join(where, "sub/first"), os.path.join(where, "sub/second"))
    expect_equal(names(image + "?snapshot=sub"), ["second"], "the subvolume")
    expect_equal(names(image + "?snapshot=then"), ["first"], "the snapshot")
    expect_equal(platter("cat", image + "?snapshot=then:/first").text, "first", "a file of it")
    refused(image + "?snapshot=never", "no subvolume or snapshot 'never'", "sub, then")


def test_apfs():
    """A snapshot of an APFS container that is the whole image."""
    image = path("apfs.img")
    run([lib.helper("make-apfs"), "snapshot", image])
    listed = [f["path"] for f in platter("ls", "-R", "--json", image + "?snapshot=then").json()["files"]]
    expect("Folder/file" in listed, f"the snapshot has {listed}")
    refused(image + "?snapshot=never", "no volume has a snapshot called 'never'", "the snapshots are then")
