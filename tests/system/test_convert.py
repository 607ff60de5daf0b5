# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions between the formats, and what they leave on disk."""
import glob
import itertools
import os

import lib
from lib import GIB, KIB, MIB, expect, expect_equal, mixed_raw, path, platter, run, same_bytes

KINDS = {"raw": ("disk.img", []), "qcow2": ("disk.qcow2", []), "zstd": ("disk.qcow2", ["--compress=zstd"]),
         "zlib": ("disk.qcow2", ["--compress=zlib"]), "split": ("disk.raw", ["--split=5M"]),
         "raw, all bytes": ("disk.img", ["--sparse=never"]),
         "vmdk": ("disk.vmdk", []), "stream": ("disk.vmdk", ["-o", "subformat=streamOptimized"]),
         "flat": ("disk.vmdk", ["-o", "subformat=monolithicFlat"]),
         "pieces": ("disk.vmdk", ["-o", "subformat=twoGbMaxExtentSparse"])}


def place_of(kind, stem):
    name = f"{stem}-{KINDS[kind][0]}"
    return path(name), path(name + ".001") if kind == "split" else path(name)


def test_every_pair():
    """Any format converts to any other and back to the same bytes."""
    for a, b in itertools.product(KINDS, KINDS):
        def attempt(a=a, b=b):
            raw = mixed_raw("original")
            first, first_place = place_of(a, "a")
            second, second_place = place_of(b, "b")
            platter("create", raw, first, *KINDS[a][1])
            platter("convert", first_place, second, *KINDS[b][1])
            platter("compare", raw, second_place)
            platter("convert", "-O", "raw", second_place, path("back"))
            same_bytes(raw, path("back"))
        yield f"{a} to {b}", attempt


def test_split_parts():
    """Split images are plain parts whose concatenation is the disk; the last may be short."""
    raw = mixed_raw("disk", 24 * MIB + 512)
    platter("create", raw, path("out.img"), "--split", "5M")
    parts = sorted(glob.glob(path("out.img.*")))
    expect_equal([os.path.basename(p) for p in parts], [f"out.img.00{i}" for i in range(1, 6)], "parts")
    expect(all(os.stat(p).st_size == 5 * MIB for p in parts[:-1]), "a part has another size than asked for")
    run(["sh", "-c", f"cat {' '.join(parts)} | cmp - {raw}"])
    platter("compare", raw, parts[0])


def test_split_of_others():
    """Split images made by split(1), with numbers or letters, are read whole."""
    raw = mixed_raw("disk")
    for options in (["-d", "-a", "3", "--numeric-suffixes=1"], ["-a", "2"], ["-d", "-a", "3"]):
        top = path(f"by-split{len(options)}-{options[-1]}")
        os.mkdir(top)
        run(["split", "-b", "7M", *options, raw, os.path.join(top, "disk.")])
        platter("compare", raw, sorted(glob.glob(top + "/*"))[0])


def test_missing_part():
    """A split image with a part missing in the middle is an error, not a short disk."""
    platter("create", mixed_raw("disk"), path("out.img"), "--split", "5M")
    os.remove(path("out.img.003"))
    r = platter("info", path("out.img.001"), status=(0, 3))
    if r.status == 0:
        expect("003" in r.text + r.errors, f"nobody says that a part is missing: {r}")


def stored(p):
    return os.stat(p).st_blocks * 512


def test_holes_stay_holes():
    """Sparse sources stay sparse; stored zeros are left out; --sparse=never stores every byte."""
    raw = lib.make_raw("disk", 64 * MIB, [(0, lib.noise(MIB)), (32 * MIB, bytes(4 * MIB))], on_disk=True)
    for how, least, most in (("auto", MIB, 2 * MIB), ("always", MIB, 2 * MIB), ("never", 64 * MIB, 66 * MIB)):
        out = lib.path(f"out-{how}", on_disk=True)
        platter("create", raw, out, f"--sparse={how}")
        expect(least <= stored(out) <= most, f"--sparse={how} takes {stored(out)} bytes")
        same_bytes(raw, out)


def test_existing_target():
    """An existing file is not replaced without --force, and is left as it was."""
    raw = mixed_raw("disk")
    for name in ("out.img", "out.qcow2"):
        with open(path(name), "w") as f:
            f.write("precious")
        platter("create", raw, path(name), status=3)
        with open(path(name)) as f:
            expect_equal(f.read(), "precious", "the file")
        expect(not glob.glob(path("*.part")), "a part was left behind")
        platter("create", "--force", raw, path(name))
        platter("compare", raw, path(name))


def test_onto_itself():
    """A disk is not converted onto its own file, by whatever name, even with --force."""
    raw = mixed_raw("disk.img")
    before = lib.sha256(raw)
    os.link(raw, path("other.img"))
    os.symlink(raw, path("link.img"))
    for target in (raw, path("other.img"), path("link.img")):
        platter("convert", "--force", raw, target, status=(0, 3))
        expect_equal(lib.sha256(raw), before, f"after a conversion onto {target} the source")


def test_full_target():
    """A target without room ends with words and status 3, and no file under the final name."""
    lib.need_root()
    raw = lib.make_raw("disk", 24 * MIB, [(0, lib.noise(24 * MIB))])
    small = path("small")
    os.mkdir(small)
    if run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], status=None).status != 0:
        lib.skip("cannot mount a tmpfs")
    lib.undo(lambda: run(["umount", small], status=None))
    for name, options in (("a.img", []), ("b.qcow2", []), ("c.qcow2", ["-c"]), ("d.img", ["--split=1M"])):
        r = platter("create", raw, os.path.join(small, name), *options, status=3)
        expect("space" in r.errors.lower() or "full" in r.errors.lower(), str(r))
        expect(not os.path.exists(os.path.join(small, name)), f"{name} is there")
        for left in glob.glob(small + "/*"):
            os.remove(left)


def test_memory():
    """Converting 8 GiB stays within 256 MiB of memory, to every kind of image and back."""
    big = lib.make_raw("big", 8 * GIB, [(i * 512 * MIB + 4096, lib.noise(2 * MIB, i)) for i in range(16)])
    for name, options in (("a.qcow2", ["--compress=zstd"]), ("b.qcow2", ["--compress=zlib"]), ("c.qcow2", []),
                          ("d.img", []), ("e.qcow2", ["-c", "-o", "cluster_size=2M"])):
        r = platter("create", "--hash", "sha256", big, path(name), *options, timeout=200)
        expect(r.rss <= 256 * MIB, f"{name}: {r.rss >> 20} MiB")
        r = platter("compare", path(name), big, timeout=200)
        expect(r.rss <= 256 * MIB, f"compare {name}: {r.rss >> 20} MiB")
        os.remove(path(name))


def test_dense_memory():
    """So does converting data that fills every buffer."""
    mixed = lib.noise(16 * MIB) + lib.prose(16 * MIB)
    big = lib.make_raw("big", GIB, ((at, mixed) for at in range(0, GIB, 32 * MIB)))
    del mixed
    for name, options in (("a.qcow2", ["--compress=zstd"]), ("b.qcow2", ["--compress=zlib"]), ("d.img", ["--verify"]),
                          ("e.qcow2", ["-c", "-o", "cluster_size=2M"])):
        r = platter("create", "--hash", "sha256,md5", big, path(name), *options, timeout=250)
        expect(r.rss <= 256 * MIB, f"{name}: {r.rss >> 20} MiB")
        os.remove(path(name))


def test_compare():
    """compare finds the first difference and counts them, and tells a tail of zeros apart from one."""
    size = 24 * MIB
    raw = mixed_raw("a")
    run(["cp", "--sparse=always", raw, path("b")])
    platter("compare", raw, path("b"))
    with open(path("b"), "r+b") as f:
        f.seek(7 * MIB + 5)
        f.write(b"abc")
        f.seek(20 * MIB)
        f.write(b"z")
    r = platter("compare", "--json", raw, path("b"), status=1).json()
    expect_equal((r["equal"], r["first_difference"], r["different_bytes"]), (False, 7 * MIB + 5, 4), "answer")
    run(["cp", "--sparse=always", raw, path("c")])
    os.truncate(path("c"), size + 64 * KIB)
    r = platter("compare", "--json", raw, path("c"), status=1).json()
    expect_equal((r["equal"], r["equal_but_zero_tail"]), (False, True), "answer")
    platter("compare", "--ignore-zero-tail", raw, path("c"))
    with open(path("c"), "r+b") as f:
        f.seek(size + 100)
        f.write(b"x")
    r = platter("compare", "--json", raw, path("c"), status=1).json()
    expect_equal((r["equal_but_zero_tail"], r["nonzero_tail_offset"]), (False, size + 100), "answer")
    platter("compare", "--ignore-zero-tail", raw, path("c"), status=1)


def test_partition_as_source():
    """A partition is imaged like a disk, by number and by name."""
    lib.need_tool("sfdisk")
    raw = lib.make_raw("disk.img", 16 * MIB, [(4 * MIB, lib.prose(MIB))])
    run(["sfdisk", "-q", raw], input=b"label: gpt\nstart=2048,size=4096,name=first\nstart=8192,size=8192,name=second\n")
    for place in ("@2", "@second"):
        platter("create", raw + place, path("part.img"), "--force")
        run(["cmp", "-n", str(4 * MIB), "-i", f"0:{4 * MIB}", path("part.img"), raw])
        expect_equal(os.stat(path("part.img")).st_size, 4 * MIB, "size")


def test_nested():
    """A QCOW2 image stored raw in a partition of a disk opens through it."""
    lib.need_tool("sfdisk")
    inner_raw = mixed_raw("inner.raw", 6 * MIB)
    platter("create", inner_raw, path("inner.qcow2"), "-c")
    outer = path("outer.img")
    lib.make_raw("outer.img", 24 * MIB, [])
    run(["sfdisk", "-q", outer], input=b"label: dos\nstart=2048,size=40000\n")
    with open(outer, "r+b") as f, open(path("inner.qcow2"), "rb") as g:
        f.seek(MIB)
        f.write(g.read())
    platter("convert", outer, path("outer.qcow2"), "-c")
    platter("compare", path("outer.qcow2") + "@1?format=qcow2", inner_raw)
