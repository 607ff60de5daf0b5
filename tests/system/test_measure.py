# SPDX-License-Identifier: GPL-3.0-or-later
"""platter measure: the numbers are the lengths of the files that create then makes."""
import os
import random
import shutil

import lib
from lib import GIB, KIB, MIB, expect, expect_equal, path, platter, run

TIB = 1 << 40
# Every format that can be created, with every option that changes how long its file becomes.
WAYS = {
    "raw": [[]],
    "qcow2": [[], ["-o", "cluster_size=512"], ["-o", "cluster_size=2M"], ["-o", "refcount_bits=1"], ["-o", "refcount_bits=64"],
              ["-o", "compat=0.10"], ["-c"], ["-c=zstd:1"], ["-c=zlib", "-o", "cluster_size=4K"]],
    "vhd": [[], ["-o", "subformat=fixed"], ["-o", "force_size=off"], ["-o", "azure=on"]],
    "vhdx": [[], ["-o", "subformat=fixed"], ["-o", "block_size=1M"], ["-o", "block_size=16M"], ["-o", "log_size=4M"],
             ["-o", "sector_size=4096"]],
    "vmdk": [[], ["-c"], ["-o", "subformat=streamOptimized"], ["-o", "adapter_type=lsilogic"],
             ["-o", "subformat=monolithicFlat"], ["-o", "subformat=twoGbMaxExtentSparse"],
             ["-o", "subformat=twoGbMaxExtentFlat"]],
    "vdi": [[], ["-o", "static=on"]],
    "parallels": [[], ["-o", "cluster_size=64K"]],
    "dmg": [[], ["-o", "format=UDBZ"], ["-o", "format=ULFO"], ["--compress=xz:0"], ["-o", "format=UDRO"]],
    "cso": [[], ["-c=zlib:1"], ["-o", "version=2"], ["-o", "block_size=64K"]],
    "zso": [[], ["-o", "block_size=8K"]],
    "sparseimage": [[], ["-o", "encryption=AES-128"]],
    "sparsebundle": [[], ["-o", "band_size=64K"], ["-o", "encryption=AES-256"]],
    "chd": [["-o", "codecs=zlib"], ["-o", "codecs=none"], ["-o", "codecs=zlib+huff", "-o", "hunk=16K", "-o", "type=raw"]],
}


def every_way():
    for format, ways in WAYS.items():
        for options in ways:
            yield format, options


def measure(*words):
    answer = platter("measure", "--json", *words).json()
    expect_equal(len(answer["formats"]), 1, "formats measured")
    return answer["formats"][0]


def files_of(source, format, options, *more):
    """What create makes of it, under the name that measure takes for the image's."""
    top = path("made")
    shutil.rmtree(top, ignore_errors=True)
    os.mkdir(top)
    platter("create", "--no-sync", "-O", format, *options, *more, source, os.path.join(top, "image"),
            env={"PLATTER_PASSPHRASE": "phrase"})
    return [os.stat(os.path.join(folder, name)) for folder, _, names in os.walk(top) for name in names]


def created(source, format, options, *more):
    return sum(st.st_size for st in files_of(source, format, options, *more))


def scattered(name, size, seed):
    """Runs of noise that begin and end anywhere, and one of stored zeros."""
    pick = random.Random(seed)
    runs = [(pick.randrange(size), lib.noise(pick.choice((1, 512, 4096, 65536, 100001, 3 * MIB)), i)) for i in range(12)]
    raw = lib.make_raw(name, size, runs + [(size // 3 * 2, bytes(256 * KIB))])
    os.truncate(raw, size)
    return raw


def test_all_formats_are_here():
    """This file measures every format of disks that can be created, and the table lists them."""
    known = {f["name"] for f in platter("formats", "--json").json()["formats"] if f["create"] and f["holds"] == "disk"}
    expect_equal(set(WAYS), known, "formats of this test")
    table = platter("measure", "--size=1G").text
    for name in known:
        expect(f"\n{name} " in table, f"{name} is not in the table: {table}")


@lib.weight(3)
def test_required():
    """With --sparse=auto, and with -c, what is measured is the length of the image that is made: every
    format and option, disks with data anywhere."""
    for format, options in every_way():
        def attempt(format=format, options=options):
            for seed, size in ((1, 20 * MIB), (2, 37 * MIB + 512), (3, 5 * MIB + 3584)):
                raw = scattered("disk", size, seed)
                got = measure("-O", format, *options, "--sparse=auto", raw)
                expect_equal(got["required"], created(raw, format, options), f"disk {seed}: the length")
                expect(got["required"] <= got["full"], f"disk {seed}: {got}")
        yield " ".join([format, *options]), attempt


def test_by_map():
    """Without --sparse nothing is read, and it is still so if the disk stores no zeros; those it stores
    count as data, and so does everything with --sparse=never."""
    for format, options in every_way():
        if "-c" in " ".join(options) or "streamOptimized" in options[-1:]:
            continue
        raw = lib.make_raw("disk", 21 * MIB + 512, [(0, lib.noise(4096)), (2 * MIB - 4096, lib.noise(8192)),
                                                    (9 * MIB + 4096, lib.noise(MIB)), (21 * MIB, lib.noise(512))])
        got = measure("-O", format, *options, raw)
        expect_equal(got["required"], created(raw, format, options), f"length of {format} {options}")
        never = measure("-O", format, *options, "--sparse=never", raw)
        expect_equal(never["required"], created(raw, format, options, "--sparse=never"), f"length of {format} {options}, all")
    zeros = lib.make_raw("zeros", 16 * MIB, [(4 * MIB, bytes(4 * MIB))])
    if os.stat(zeros).st_blocks * 512 >= 4 * MIB:
        expect_equal(measure("-O", "qcow2", zeros)["data"], 4 * MIB, "data by the map")
        expect_equal(measure("-O", "qcow2", "--sparse=auto", zeros)["data"], 0, "data when looked for")


@lib.weight(2)
def test_full():
    """What is said to be fully allocated is the length of an image of a disk full of noise."""
    raw = path("full")
    with open(raw, "wb") as f:
        f.write(lib.noise(33 * MIB + 1536))
    sparse = lib.make_raw("sparse", 33 * MIB + 1536, [(MIB, b"x")])
    for format, options in every_way():
        length = created(raw, format, options)
        # The last hunk of a CHD is filled up with zeros, which compress more or less.
        off = 16 * KIB if format == "chd" and "codecs=none" not in options else 0
        for source in (raw, sparse):
            full = measure("-O", format, *options, source)["full"]
            expect(0 <= full - length <= off, f"{format} {options}, {source}: full is {full}, expected {length}")
        full = measure("-O", format, *options, "--size", str(33 * MIB + 1536))["full"]
        expect(0 <= full - length <= off, f"{format} {options}: full is {full}, expected {length}")


def test_empty():
    """--size is an image of a disk of holes."""
    for size in (512, 7 * 512, MIB + 512, 3 * GIB + 512):
        raw = lib.make_raw("disk", size, [])
        for format, options in every_way():
            if (format, size) != ("raw", 3 * GIB + 512):
                got = measure("-O", format, *options, "--size", str(size))["required"]
                expect_equal(got, created(raw, format, options), f"{format} {options} of {size}")


def test_written():
    """What would be written is about what the file takes up."""
    raw = lib.make_raw("disk", 64 * MIB, [(MIB, lib.noise(3 * MIB)), (50 * MIB, lib.noise(5 * MIB))])
    for format, options in every_way():
        got = measure("-O", format, *options, "--sparse=auto", raw)
        takes = sum(st.st_blocks * 512 for st in files_of(raw, format, options))
        expect(abs(got["written"] - takes) <= 2 * MIB + takes // 16, f"{format} {options}: {got}, the file takes {takes}")


def test_backing():
    """An overlay is measured with its options."""
    raw = lib.make_raw("base.raw", 16 * MIB, [(MIB, lib.noise(3 * MIB))])
    platter("create", raw, path("base.qcow2"))
    options = ["-o", f"backing_file={path('base.qcow2')},backing_fmt=qcow2"]
    got = measure("-O", "qcow2", *options, "--sparse=auto", raw)
    expect_equal(got["required"], created(raw, "qcow2", options), "length")


def test_chain_and_partition():
    """The source may be any place: a chain, a partition, a compressed image."""
    lib.need_tool("qemu-img", "qemu-io", "sfdisk")
    raw = lib.make_raw("disk.img", 24 * MIB, [(3 * MIB, lib.noise(MIB)), (20 * MIB, lib.noise(MIB))])
    run(["sfdisk", "-q", raw], input=b"label: dos\nstart=2048,size=40000\n")
    platter("create", "-c", raw, path("a.qcow2"))
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", path("a.qcow2"), "-F", "qcow2", path("b.qcow2")])
    run(["qemu-io", "-c", "write -P 7 10M 64k", path("b.qcow2")])
    for place in (raw + "@1", path("a.qcow2"), path("b.qcow2"), path("b.qcow2") + "@1"):
        for format in ("vhdx", "qcow2", "vdi"):
            got = measure("-O", format, "--sparse=auto", place)["required"]
            expect_equal(got, created(place, format, []), f"{format} of {place}")


def test_several_files():
    """An image of several files is measured as a whole, also with gaps of whole files."""
    raw = lib.make_raw("disk", 7 * GIB + 512, [(0, lib.noise(512)), (2047 * MIB - 4096, lib.noise(8192)), (6 * GIB, b"x")])
    for subformat in ("twoGbMaxExtentSparse", "twoGbMaxExtentFlat", "monolithicFlat"):
        options = ["-o", "subformat=" + subformat]
        got = measure("-O", "vmdk", *options, raw)["required"]
        expect_equal(got, created(raw, "vmdk", options), f"length of {subformat}")


def test_stream():
    """A stream is read to its end; only for one format."""
    raw = scattered("disk", 11 * MIB, 4)
    for format in ("qcow2", "vhdx", "vmdk", "raw"):
        out = run(["sh", "-c", f"cat {raw} | {lib.PLATTER} measure --json -O {format} -"]).json()["formats"][0]
        run(["sh", "-c", f"cat {raw} | {lib.PLATTER} create --force -O {format} - {path('out')}"])
        expect_equal(out["required"], os.stat(path("out")).st_size, f"length of {format}")
    run(["sh", "-c", f"cat {raw} | {lib.PLATTER} measure -"], status=2)


def test_beside_qemu():
    """Raw and fully allocated QCOW2 are what qemu-img measures, and QCOW2 with data within its tables."""
    lib.need_tool("qemu-img")
    raw = scattered("disk", 40 * MIB, 5)
    for size, source in (("20G", ["--size", "20G"]), (None, [raw])):
        for format in ("raw", "qcow2"):
            theirs = run(["qemu-img", "measure", "--output=json", "-O", format, *(source if size else ["-f", "raw", raw])]).json()
            ours = measure("-O", format, *source, *([] if size else ["--sparse=auto"]))
            expect_equal(ours["full"], theirs["fully-allocated"], f"{format} {source}: fully allocated")
            tables = 8 * theirs["fully-allocated"] // (64 * KIB) + MIB
            expect(abs(ours["required"] - theirs["required"]) <= tables, f"{format} {source}: {ours}, {theirs}")


def test_limits():
    """A format that cannot hold the disk says so, one that can but not full has no room."""
    r = platter("measure", "--size", str(2040 * GIB + 512), "-O", "vhd", status=3)
    expect("2190433320960" in r.errors, r.errors)
    got = {f["format"]: f for f in platter("measure", "--json", "--size=3T").json()["formats"]}
    expect("error" in got["vhd"] and got["vmdk"]["full"] is None, str(got))
    expect("no room" in platter("measure", "--size=3T", "-O", "vmdk").text, "no room is not said")


def test_usage():
    """What is for one format needs one; a source or a size, not both."""
    raw = lib.make_raw("disk", MIB, [])
    for words in (["-c", raw], ["-o", "cluster_size=4K", raw], ["--size=1G", raw], [], ["-O", "nonesuch", raw], ["--size=0"]):
        platter("measure", *words, status=2)
    platter("measure", "-O", "qcow2", "-o", "nonesuch=1", raw, status=3)
    expect_equal(platter("measure", "-q", raw).text, "", "with --quiet it says")


def test_quick():
    """A sparse disk of 64 TiB takes no time by its map, and little memory."""
    raw = lib.make_raw("disk", 64 * TIB, [(0, b"x"), (40 * TIB + 512, lib.noise(MIB)), (64 * TIB - 512, b"y" * 512)])
    for format in ("qcow2", "vhdx"):
        r = platter("measure", "-O", format, raw, timeout=120)
        expect(r.seconds < 60 and r.rss < 128 * MIB, str(r))
