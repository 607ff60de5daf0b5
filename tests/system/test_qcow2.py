# SPDX-License-Identifier: GPL-3.0-or-later
"""QCOW2, held against qemu-img and qemu-io both ways."""
import itertools
import os
import random
import shutil

import lib
from lib import MIB, expect, helper, mixed_raw, path, platter, qemu_check, qemu_equal, run

SIZE = 24 * MIB


def need_qemu():
    lib.need_tool("qemu-img", "qemu-io")


def qemu_image(raw, name, *options):
    image = path(name)
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, image], timeout=120)
    return image


def reads_as(image, raw, place=None, count=400):
    """Wholly, and at random places from several threads."""
    place = place or image
    platter("compare", place, raw)
    run([helper("reads"), place, raw, "1", str(count)])


# ---- images that qemu-img made ----

def test_reads_images_of_qemu():
    """An image that qemu-img made reads byte-exact, whatever its features."""
    need_qemu()
    features = {"v2": ["-o", "compat=0.10"], "v3": [], "lazy refcounts": ["-o", "lazy_refcounts=on"],
                "zlib": ["-c"], "zlib v2": ["-c", "-o", "compat=0.10"], "zstd": ["-c", "-o", "compression_type=zstd"],
                "extended L2": ["-o", "extended_l2=on"],
                "extended L2, 16K clusters": ["-o", "extended_l2=on,cluster_size=16k"],
                "extended L2, zstd": ["-c", "-o", "extended_l2=on,compression_type=zstd"],
                "preallocated": ["-o", "preallocation=metadata"], "every byte stored": ["-S", "0"]}
    for bits in range(9, 22):
        features[f"clusters of {1 << bits}"] = ["-o", f"cluster_size={1 << bits}"]
        features[f"zlib, clusters of {1 << bits}"] = ["-c", "-o", f"cluster_size={1 << bits}"]
        features[f"zstd, clusters of {1 << bits}"] = ["-c", "-o", f"cluster_size={1 << bits},compression_type=zstd"]
    for bits in (1, 2, 4, 8, 32, 64):
        features[f"refcounts of {bits} bits"] = ["-o", f"refcount_bits={bits}"]
    for name, options in features.items():
        def attempt(options=options):
            # Small clusters make many tables: a smaller disk has them all too.
            raw = mixed_raw("disk.raw", 6 * MIB if any("=512" in o for o in options) else SIZE)
            image = qemu_image(raw, "disk.qcow2", *options)
            reads_as(image, raw)
            platter("verify", "-q", image)
        yield name, attempt


def test_reads_sizes():
    """Disks that end within a cluster, a sector, or have no bytes at all, read to their last byte."""
    need_qemu()
    for size in (0, 512, 1024, 65536, 65536 + 512, 3 * 65536 - 512, 5 * MIB + 1536):
        def attempt(size=size):
            raw = lib.make_raw("disk.raw", size, [(0, lib.noise(size))] if size else [])
            for options in ([], ["-c"], ["-o", "extended_l2=on"]):
                image = qemu_image(raw, "disk.qcow2", *options)
                lib.expect_equal(lib.info(image)["size"], size, "size")
                platter("compare", image, raw)
        yield str(size), attempt


def random_writes(seed, size, count, unit=512):
    """qemu-io commands: writes, zeros and discards all over the disk."""
    rng = random.Random(seed)
    for i in range(count):
        length = rng.choice([unit, 4096, 65536, 70000, 200000]) // unit * unit
        offset = rng.randrange(0, size - length) // unit * unit
        yield rng.choice(["write"] * 6 + ["zero", "discard"]), i % 255 + 1, offset, length


def qemu_io(image, operations, format="qcow2"):
    words = {"write": "write -P {1} {2} {3}", "zero": "write -z {2} {3}", "discard": "discard {2} {3}"}
    lines = "".join(words[o[0]].format(*o) + "\n" for o in operations)
    r = run(["qemu-io", "-f", format, "-d", "unmap", image], input=lines.encode(), timeout=300)
    expect("failed" not in r.text and "failed" not in r.errors, str(r))


def as_raw(image, name="as.raw"):
    """What qemu-img says the image holds."""
    raw = path(name)
    run(["qemu-img", "convert", "-O", "raw", image, raw], timeout=120)
    return raw


def test_reads_after_qemu_io():
    """Images that qemu-io scattered writes, zeros and discards over read byte-exact."""
    need_qemu()
    for options in ("cluster_size=64k", "cluster_size=512", "cluster_size=2M", "extended_l2=on",
                    "extended_l2=on,cluster_size=16k", "compat=0.10", "lazy_refcounts=on"):
        def attempt(options=options):
            image = path("disk.qcow2")
            run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, image, str(SIZE)])
            qemu_io(image, random_writes(1, SIZE, 300))
            reads_as(image, as_raw(image))
        yield options, attempt


def test_reads_backing_chains():
    """Overlays of overlays read through to raw and QCOW2 files, named relatively or absolutely, larger and smaller."""
    need_qemu()
    for absolute, base_format, shrink in itertools.product((False, True), ("raw", "qcow2"), (False, True)):
        def attempt(absolute=absolute, base_format=base_format, shrink=shrink):
            raw = mixed_raw("base.raw")
            base = raw if base_format == "raw" else qemu_image(raw, "base.qcow2", "-c")
            size = SIZE
            names = [base]
            for i in range(3):
                below, image = names[-1], path(f"layer{i}.qcow2")
                size += -3 * MIB if shrink else 2 * MIB
                run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", base_format if i == 0 else "qcow2",
                     "-b", below if absolute else os.path.basename(below), image, str(size)])
                qemu_io(image, random_writes(i, size, 40))
                names.append(image)
            reads_as(names[-1], as_raw(names[-1]))
            lib.expect_equal(len(lib.info(names[-1])["chain"]), 3, "files in the chain")
        yield f"{'absolute' if absolute else 'relative'} {base_format} {'shrinking' if shrink else 'growing'}", attempt


def test_cycles():
    """A chain that names itself is refused with words, at once."""
    need_qemu()
    a, b = path("a.qcow2"), path("b.qcow2")
    run(["qemu-img", "create", "-q", "-f", "qcow2", a, "1M"])
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", a, "-F", "qcow2", b])
    run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", b, "-F", "qcow2", a])
    for image in (a, b):
        r = platter("compare", image, image, status=3, timeout=10)
        expect("backing" in r.errors, str(r))


def test_backing_no():
    """?backing=no reads an overlay alone, its holes as zeros."""
    need_qemu()
    base = mixed_raw("base.raw")
    image, alone = path("over.qcow2"), path("alone.qcow2")
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image])
    run(["qemu-img", "create", "-q", "-f", "qcow2", alone, str(SIZE)])
    for i in (image, alone):
        qemu_io(i, [("write", 7, 3 * MIB, 65536)])
    os.remove(base)
    platter("info", image, status=None)
    platter("compare", image + "?backing=no", alone)


def test_snapshots():
    """Internal snapshots are listed, and each reads as the disk was then, by name and by id."""
    need_qemu()
    raw = mixed_raw("disk.raw")
    image = qemu_image(raw, "disk.qcow2")
    for name in ("monday", "tuesday evening"):
        run(["qemu-img", "snapshot", "-c", name, image])
        shutil.copy(raw, path(name))
        qemu_io(image, random_writes(len(name), SIZE, 50))
        raw = as_raw(image, name + ".after")
    lib.expect_equal([s["name"] for s in lib.info(image)["snapshots"]], ["monday", "tuesday evening"], "snapshots")
    reads_as(image, raw)
    reads_as(image, path("monday"), image + "?snapshot=monday")
    reads_as(image, path("tuesday evening"), image + "?snapshot=tuesday evening")
    reads_as(image, path("tuesday evening"), image + "?snapshot=2")
    platter("compare", image + "?snapshot=never", raw, status=3)
    platter("verify", image)


def test_data_file():
    """Guest data in an external file is found beside the image."""
    need_qemu()
    raw = mixed_raw("disk.raw")
    for options in ("data_file={}", "data_file={},data_file_raw=on"):
        image = path("disk.qcow2")
        data = path("data.bin")
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options.format(data), raw, image])
        reads_as(image, raw)
        os.remove(data)
        r = platter("compare", image, raw, status=3)
        expect("data.bin" in r.errors, str(r))


def test_data_file_is_no_way_out():
    """An image cannot make platter read a device or a pipe as its data file and hang."""
    need_qemu()
    image = path("disk.qcow2")
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={path('data.bin')}", image, "1M"])
    fifo = path("data.bin")
    os.remove(fifo)
    os.mkfifo(fifo)
    platter("verify", image, status=(1, 3), timeout=10)


def test_encrypted():
    """A LUKS-encrypted image is recognised, named, and refused to be read as plain."""
    need_qemu()
    image = path("disk.qcow2")
    for _ in range(10):     # the time of its key derivation cannot always be measured on a busy machine
        r = run(["qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=x", "-o",
                 "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=500", image, "1M"], status=None)
        if r.status == 0:
            break
    else:
        lib.skip(f"qemu-img cannot make one here: {r.errors.strip()}")
    run(["qemu-io", "--object", "secret,id=s,data=x", "-c", "write -P 5 0 64k", "--image-opts",
         f"driver=qcow2,file.filename={image},encrypt.key-secret=s"])
    r = platter("info", image, status=(0, 3))
    expect("luks" in (r.text + r.errors).lower(), str(r))
    r = platter("create", image, path("out.raw"), status=3)
    expect("encrypted" in r.errors or "LUKS" in r.errors, str(r))
    expect(not os.path.exists(path("out.raw")), "an image was written")


def test_marked_corrupt():
    """The dirty and corrupt marks are shown; neither hides the data."""
    need_qemu()
    raw = mixed_raw("disk.raw")
    image = qemu_image(raw, "disk.qcow2")
    for bit, word in ((1, "dirty"), (2, "corrupt")):
        with open(image, "r+b") as f:
            f.seek(79)
            f.write(bytes([bit]))
        r = platter("info", image)
        expect(word in r.text.lower(), f"{word} is not said: {r}")
        platter("compare", image, raw)


# ---- images that platter makes ----

CREATE = {
    "plain": [], "zlib": ["--compress=zlib"], "zstd": ["--compress=zstd"], "usual codec": ["-c"],
    "zlib level 9": ["--compress=zlib:9"], "zstd level 15": ["--compress=zstd:15"],
    "every byte stored": ["--sparse=never"], "4K sparse": ["--sparse=always"], "one thread": ["-c", "--threads=1"],
    "verified": ["-c", "--verify"],
    **{f"clusters of {1 << b}": ["-o", f"cluster_size={1 << b}"] for b in range(9, 22)},
    **{f"zstd, clusters of {1 << b}": ["-c", "-o", f"cluster_size={1 << b}"] for b in range(9, 22)},
}


def test_writes_images():
    """Every image that platter writes passes qemu-img check without a word and is equal by qemu-img compare."""
    need_qemu()
    for name, options in CREATE.items():
        def attempt(options=options):
            small = "cluster_size=512" in options or "cluster_size=1024" in options
            raw = mixed_raw("disk.raw", 6 * MIB if small else SIZE)
            image = path("disk.qcow2")
            platter("create", raw, image, *options, timeout=120)
            qemu_check(image)
            qemu_equal(raw, image, "raw", "qcow2")
            reads_as(image, raw, count=100)
            platter("verify", "-q", image)
        yield name, attempt


def test_writes_sizes():
    """Images of odd sizes, of nothing and of large holes pass qemu-img check."""
    need_qemu()
    for size in (0, 512, 65536, 65536 + 512, 5 * MIB + 1536, 3 << 40):
        for options in ([], ["-c"]):
            def attempt(size=size, options=options):
                raw = lib.make_raw("disk.raw", size, [(0, lib.noise(min(size, 3 * MIB)))] if size else [])
                image = path("disk.qcow2")
                platter("create", raw, image, *options)
                qemu_check(image)
                if size < 1 << 40:
                    qemu_equal(raw, image, "raw", "qcow2")
                expect(os.stat(image).st_size < min(size, 4 * MIB) + 4 * MIB, "the image is larger than its data")
            yield f"{size} {' '.join(options)}", attempt


def test_writes_are_smaller():
    """Compressed images are no larger than those of qemu-img with the same codec."""
    need_qemu()
    raw = lib.make_raw("disk.raw", 32 * MIB, [(0, lib.prose(24 * MIB))])
    for codec in ("zlib", "zstd"):
        theirs = qemu_image(raw, f"theirs-{codec}", "-c", "-o", f"compression_type={codec}")
        ours = path(f"ours-{codec}.qcow2")
        platter("create", raw, ours, f"--compress={codec}")
        a, b = os.stat(ours).st_size, os.stat(theirs).st_size
        expect(a <= b, f"{codec}: {a} bytes, qemu-img needs {b}")


def test_writes_overlay():
    """An image created with a backing file names it, and qemu-img reads both together."""
    need_qemu()
    base = mixed_raw("base.raw")
    shutil.copy(base, path("changed.raw"))
    with open(path("changed.raw"), "r+b") as f:
        f.seek(5 * MIB)
        f.write(lib.noise(100000, "new"))
    image = path("over.qcow2")
    platter("create", path("changed.raw"), image, "-o", f"backing_file={base}")
    qemu_check(image)
    qemu_equal(path("changed.raw"), image, "raw", "qcow2")
    reads_as(image, path("changed.raw"))
    expect(run(["qemu-img", "info", "--output=json", image]).json().get("full-backing-filename") == base,
           "qemu-img does not see the backing file")


# ---- writes into an existing image ----

def write_both(image, model, operations):
    """The same operations through platter on one image, through qemu-io on another."""
    script = "".join(f"{o[0]} {o[1] if o[0] == 'write' else '-'} {o[2]} {o[3]}\n" for o in operations)
    run([helper("writes"), image], input=script.encode(), timeout=300)
    qemu_io(model, operations)


def clusters_only(operations, cluster):
    """qemu-img leaves alone the parts of a discard that do not fill a cluster: ask for whole ones."""
    for what, n, offset, length in operations:
        if what == "discard":
            offset, length = offset // cluster * cluster, max(length // cluster, 1) * cluster
        yield what, n, offset, length


def test_random_writes():
    """1,000 random writes through platter equal the same writes through qemu-io, on every kind of image."""
    need_qemu()
    kinds = {"cluster_size=64k": 65536, "cluster_size=512": 512, "cluster_size=4k": 4096, "cluster_size=2M": 2 * MIB,
             "extended_l2=on": 65536, "compat=0.10": 65536, "lazy_refcounts=on": 65536,
             "refcount_bits=1": 65536, "refcount_bits=64": 65536}
    for options, cluster in kinds.items():
        for backed in (False, True):
            def attempt(options=options, cluster=cluster, backed=backed):
                if options == "compat=0.10" and backed:
                    # Version 2 cannot say "zeros over a backing file": what a discard leaves is undefined.
                    lib.skip("version 2 has no zero clusters to hide a backing file with")
                image, model = path("ours.qcow2"), path("theirs.qcow2")
                base = ["-b", mixed_raw("base.raw"), "-F", "raw"] if backed else []
                for i in (image, model):
                    run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, *base, i, str(SIZE)])
                write_both(image, model, list(clusters_only(random_writes(options, SIZE, 1000), cluster)))
                qemu_check(image)
                qemu_equal(image, model)
                platter("compare", image, model)
            yield f"{options}{' backed' if backed else ''}", attempt


def test_writes_over_compressed():
    """Writing into compressed and snapshotted images copies what is shared, and leaves snapshots as they were."""
    need_qemu()
    raw = mixed_raw("disk.raw")
    for options in (["-c"], ["-c", "-o", "compression_type=zstd"], []):
        image, model = path("ours.qcow2"), path("theirs.qcow2")
        qemu_image(raw, "ours.qcow2", *options)
        run(["qemu-img", "snapshot", "-c", "before", image])
        shutil.copy(image, model)
        write_both(image, model, list(clusters_only(random_writes(3, SIZE, 300), 65536)))
        qemu_check(image)
        qemu_equal(image, model)
        platter("compare", image + "?snapshot=before", raw)


def test_unaligned_writes():
    """Writes at odd offsets and lengths change exactly their bytes."""
    need_qemu()
    raw = mixed_raw("disk.raw")
    image = qemu_image(raw, "disk.qcow2", "-c")
    rng = random.Random(5)
    script = []
    with open(raw, "r+b") as f:
        for i in range(300):
            length = rng.choice([1, 3, 511, 513, 4097, 65537, 100001])
            offset = rng.randrange(SIZE - length)
            what = rng.choice(["write", "write", "write", "zero"])
            n = i % 255 + 1 if what == "write" else 0
            script.append(f"{what} {n if n else '-'} {offset} {length}\n")
            f.seek(offset)
            f.write(bytes([n]) * length)
    run([helper("writes"), image], input="".join(script).encode())
    qemu_check(image)
    platter("compare", image, raw)
    qemu_equal(image, raw, "qcow2", "raw")
