# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD and VHDX: the samples of the corpus, and converting beside qemu-img and libvhdi."""
import hashlib
import os

import lib
from lib import MIB, expect, expect_equal, limit, need_tool, path, platter, run, unpacked, weight
from test_corpus import check_info, link, samples


def is_ours(s):
    return s.kind == "containers" and ".vhd" in s.name


def placed(s):
    """The sample, with its parent beside it."""
    member = os.path.basename(s.stored)[:-4] if s.stored.endswith(".zip") else None
    main = unpacked(s.stored, member)
    if "parent" not in s.expect:
        return main
    parent = next(o for o in samples(is_ours) if os.path.dirname(o.name) == os.path.dirname(s.name)
                  and os.path.basename(o.name).startswith(s.expect["parent"] + "."))
    link(unpacked(parent.stored), path(s.expect["parent"]))
    return link(main, path(os.path.basename(main)))


def check_range(s, place):
    offset, length, wanted = s.expect["range"].split(":")
    platter("create", "-q", "--no-sync", place, path("whole.raw"))
    with open(path("whole.raw"), "rb") as f:
        f.seek(int(offset))
        expect_equal(hashlib.sha256(f.read(int(length))).hexdigest(), wanted, "SHA-256 of the range")
    os.remove(path("whole.raw"))


def check_sample(s):
    place = placed(s)
    check_info(s, place)
    if "range" in s.expect:
        check_range(s, place)
    if "sha256" not in s.expect:
        return
    # Two samples were edited without making their checksums right; verify must say so.
    edited = "Incorrect header checksum" in s.notes
    said = platter("verify", "--json", "--hash", "sha256", place, status=1 if edited else 0, timeout=300).json()
    expect_equal(said["images"][0]["hashes"]["sha256"], s.expect["sha256"], "SHA-256 of the disk")


@limit(900)
@weight(5)
def test_samples():
    """Samples of Hyper-V, Virtual PC, Disk2vhd and QEMU read as the manifest says, logs replayed."""
    found = samples(is_ours)
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)


def make_disk(name, size):
    """Data at the start, across 2 MiB, and in the last sector."""
    with open(path(name), "wb") as f:
        f.truncate(size)
        for at in (0, 2 * MIB - 1000, size // 2, size - 512):
            f.seek(at)
            f.write(os.urandom(min(3000, size - at)))
    return path(name)


QEMU = {"vhd": "vpc", "vhdx": "vhdx"}


def test_from_qemu():
    """What qemu-img makes in each subformat reads as qemu-img reads it."""
    need_tool("qemu-img")
    source = make_disk("source.raw", 21 * MIB + 512)
    for ours, theirs in QEMU.items():
        for subformat in ("dynamic", "fixed"):
            def attempt(ours=ours, theirs=theirs, subformat=subformat):
                image = path("image." + ours)
                run(["qemu-img", "convert", "-f", "raw", "-O", theirs, "-o", "subformat=" + subformat, source, image])
                platter("verify", image)
                platter("create", "-q", "-f", "--no-sync", image, path("back.raw"))
                run(["qemu-img", "compare", "-f", theirs, "-F", "raw", image, path("back.raw")])
            yield f"{ours}, {subformat}", attempt


def test_from_a_stream():
    """A stream, whose size is known only at its end, becomes an image that qemu-img reads."""
    need_tool("qemu-img")
    source = make_disk("source.raw", 21 * MIB + 512)
    for ours, theirs in QEMU.items():
        for subformat in ("dynamic", "fixed"):
            def attempt(ours=ours, theirs=theirs, subformat=subformat):
                image = path("image." + ours)
                with open(source, "rb") as f:
                    platter("create", "-q", "-f", "--no-sync", "-o", "subformat=" + subformat, "-O", ours,
                                "-", image, stdin=f)
                platter("verify", image)
                run(["qemu-img", "compare", "-f", "raw", "-F", theirs, source, image])
            yield f"{ours}, {subformat}", attempt


def test_children_in_libvhdi():
    """libvhdi reads a child, through its parent, as what it was made from."""
    need_tool("vhdimount", "umount")
    below, above = make_disk("base.raw", 9 * MIB), make_disk("top.raw", 9 * MIB)
    for ours in QEMU:
        def attempt(ours=ours):
            # Blocks that are zero are stored: libvhdi takes a VHDX block marked zero for its parent's.
            platter("create", "-q", below, path("base." + ours))
            platter("create", "-q", "--sparse=never", "-o", "backing_file=base." + ours, above, path("top." + ours))
            mount = path("mount-" + ours)
            os.mkdir(mount)
            if run(["vhdimount", path("top." + ours), mount], status=(0, 1)).status:
                lib.skip("FUSE is not to be had here")
            try:
                with open(os.path.join(mount, "vhdi2"), "rb") as f, open(above, "rb") as g:
                    expect(f.read() == g.read(), "libvhdi reads the child differently")
            finally:
                run(["umount", mount])
        yield ours, attempt


def test_parents_that_are_not_right():
    """A parent that is missing or another is named, and the child opens alone."""
    source = make_disk("base.raw", 5 * MIB)
    for ours in QEMU:
        def attempt(ours=ours):
            base, top = path("base." + ours), path("top." + ours)
            platter("create", "-q", source, base)
            platter("create", "-q", "-o", "backing_file=base." + ours, source, top)
            platter("create", "-q", "-f", source, base)
            r = platter("info", top, status=3)
            expect("base." + ours in r.errors, r.errors)
            os.remove(base)
            r = platter("info", top, status=3)
            expect("base." + ours in r.errors and "backing=no" in r.errors, r.errors)
            platter("info", top + "?backing=no")
        yield ours, attempt
