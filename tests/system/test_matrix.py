# SPDX-License-Identifier: GPL-3.0-or-later
"""Every format that can be written, converted to every other at awkward sizes, and read back by
programs that are not ours: qemu-img, 7zz where it knows the format, libvhdi where QEMU does not, and
readers in Python, made by the description, where nobody does."""
import os

import disc_wrappers
import lib
import sparse
from lib import GIB, KIB, MIB, expect, expect_equal, path, platter, run

SECTOR = 512
TIB = 1 << 40


# ---- what becomes of a disk's size ----

def to(unit):
    """Up to a whole number of `unit`."""
    return lambda size: -(-size // unit) * unit


def chs_sectors(sectors):
    """The geometry that the VHD specification gives to so many sectors, as the product of its numbers."""
    if sectors > 65535 * 16 * 255:
        return 65535 * 16 * 255
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16 * 16 * 255
    track, heads = 17, max(4, -(-(sectors // 17) // 1024))
    if sectors // 17 >= heads * 1024 or heads > 16:
        track, heads = 31, 16
    if sectors // track >= heads * 1024:
        track, heads = 63, 16
    return sectors // track // heads * heads * track


def to_geometry(size):
    """Up to the smallest size that a geometry says exactly: what Virtual PC makes of a disk."""
    sectors = size // SECTOR
    while chs_sectors(sectors) * SECTOR < size:
        sectors += 1
    return chs_sectors(sectors) * SECTOR


class Kind:
    def __init__(self, name, format, *options, qemu=None, size=to(SECTOR), seven=True, most=None,
                 expand=None):
        self.name, self.format, self.options, self.size, self.seven, self.most = name, format, options, size, seven, most
        self.qemu = format if qemu is None and not expand else qemu
        self.expand = expand

    def make(self, source, target, **how):
        return platter("convert", "--no-sync", "-q", "--force", "-O", self.format, *self.options, source, target, **how)


# `qemu`: its name to QEMU, "": it is not read; `expand`: what makes a raw disk of it instead; `size`: what the disk's size becomes; `seven`: 7zz reads it; `most`: the largest disk it holds.
# A VHDX takes over the sectors of what it is made from; QEMU reads only those of 512 bytes.
# A VHD keeps the exact size unless force_size=off asks for a geometry; Azure takes whole MiB.
VHD_MOST, VHDX_MOST = 2040 * GIB, 64 * TIB
KINDS = [
    Kind("raw", "raw", seven=False),
    Kind("qcow2", "qcow2"),
    Kind("qcow2, 512", "qcow2", "-o", "cluster_size=512", "-o", "compat=0.10"),
    Kind("qcow2, zstd", "qcow2", "-c=zstd:1", seven=False),
    Kind("qcow2, zlib", "qcow2", "-c=zlib:1"),
    Kind("vhd", "vhd", qemu="vpc", most=VHD_MOST),
    Kind("vhd, fixed", "vhd", "-o", "subformat=fixed", qemu="vpc", most=VHD_MOST),
    Kind("vhd, geometry", "vhd", "-o", "force_size=off", qemu="vpc", size=to_geometry, most=VHD_MOST),
    Kind("vhd, azure", "vhd", "-o", "azure=on", qemu="vpc", size=to(MIB), most=VHD_MOST),
    Kind("vhdx", "vhdx", "-o", "sector_size=512", most=VHDX_MOST),
    Kind("vhdx, fixed", "vhdx", "-o", "subformat=fixed", "-o", "sector_size=512", most=VHDX_MOST),
    Kind("vhdx, 4096", "vhdx", "-o", "sector_size=4096", "-o", "block_size=1M", qemu="", size=to(4096), seven=False,
         most=VHDX_MOST),
    Kind("vmdk", "vmdk", most=512 * TIB),
    Kind("vmdk, stream", "vmdk", "-o", "subformat=streamOptimized"),
    Kind("vmdk, flat", "vmdk", "-o", "subformat=monolithicFlat", seven=False),
    Kind("vmdk, split", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", seven=False),
    Kind("vmdk, split flat", "vmdk", "-o", "subformat=twoGbMaxExtentFlat", seven=False),
    Kind("vdi", "vdi", most=0x3fffffff * MIB),
    Kind("vdi, fixed", "vdi", "-o", "static=on"),
    Kind("parallels", "parallels", seven=False),
    Kind("dmg", "dmg"),
    Kind("dmg, bzip2", "dmg", "-o", "format=UDBZ", qemu=""),
    Kind("dmg, LZFSE", "dmg", "-o", "format=ULFO", qemu=""),
    Kind("dmg, LZMA", "dmg", "--compress=xz:0", qemu=""),
    Kind("dmg, plain", "dmg", "-o", "format=UDRO"),
    Kind("cso", "cso", qemu="", size=to(2048), seven=False),
    Kind("cso, 2", "cso", "-o", "version=2", "-o", "block_size=16K", qemu="", size=to(2048), seven=False),
    Kind("zso", "zso", qemu="", size=to(2048), seven=False),
    Kind("sparseimage", "sparseimage", seven=False, most=0xffffffff * MIB, expand=sparse.expand_sparseimage),
    Kind("sparsebundle", "sparsebundle", seven=False, expand=sparse.expand_sparsebundle),
    Kind("chd", "chd", "-o", "codecs=zlib", qemu="", seven=False),
    Kind("chd, plain", "chd", "-o", "codecs=none", qemu="", seven=False, most=TIB),
]


def content(size):
    """Runs at the start, at the end, and across the borders of every unit in which a format allocates."""
    runs = [(0, lib.noise(700, "start")), (max(0, size - 600), lib.noise(min(size, 600), "end"))]
    borders = [4 * KIB, 64 * KIB, MIB, 2 * MIB, 32 * MIB, 32 * MIB + 64 * KIB, GIB, size // 2 // MIB * MIB,
               size // MIB * MIB - 2 * MIB]
    for b in borders:
        if 2000 < b < size - 2000:
            runs.append((b - 900, lib.noise(1800, b)))
    if size > 8 * MIB:
        runs.append((5 * MIB + SECTOR, lib.prose(300 * KIB)))
        runs.append((7 * MIB, bytes(128 * KIB)))
    return runs


def disk(name, size, longer=0):
    """A raw disk of that content, with zeros up to `longer`."""
    raw = lib.make_raw(name, size, content(size))
    os.truncate(raw, size)
    os.truncate(raw, max(size, longer))
    return raw


def others_read(kind, image, raw):
    """qemu-img, or 7zz, libvhdi, chdman, or Python finds the same bytes and the same size."""
    if kind.format == "dmg" and not kind.qemu:
        seven_reads(kind, image, raw)
        return
    if kind.format in ("cso", "zso"):
        python_reads(image, raw)
        return
    if kind.expand:
        kind.expand(image, path("expanded"))
        run(["cmp", path("expanded"), raw], timeout=200)
        return
    if kind.format == "chd":
        run(["chdman", "extractraw", "-f", "-i", image, "-o", path("extracted")], timeout=200)
        lib.same_bytes(path("extracted"), raw)
        return
    if not kind.qemu:
        vhdi_reads(image, raw)
        return
    r = run(["qemu-img", "compare", "-f", "raw", "-F", kind.qemu, raw, image], timeout=200, status=None)
    expect(r.status == 0 and "mismatch" not in r.text + r.errors, f"{kind.name}: {r}")


def python_reads(image, raw):
    if os.stat(raw).st_size > 16 * MIB:
        platter("compare", image, raw, timeout=200)
        return
    with open(image, "rb") as a, open(raw, "rb") as b:
        expect(disc_wrappers.read_cso(a.read()) == b.read(), f"{image} is read differently")


def vhdi_reads(image, raw):
    mount = path("mount")
    os.makedirs(mount, exist_ok=True)
    if not os.path.exists("/dev/fuse"):
        expect(platter("compare", image, raw), "differs")
        return
    run(["vhdimount", image, mount])
    try:
        r = run(["cmp", os.path.join(mount, "vhdi1"), raw], status=None, timeout=200)
    finally:
        run(["umount", mount])
    expect(r.status == 0, f"libvhdi reads {image} differently: {r}")


def seven_reads(kind, image, raw):
    """So does 7zz.  It opens a VHDX only of whole MiB, QEMU's too."""
    if kind.seven and (kind.format != "vhdx" or os.stat(raw).st_size % MIB == 0):
        # Without an ending a fixed VHD or a disk with a file system would be taken for that.
        r = run(["sh", "-c", f"7zz e -so -t{kind.format.replace('qcow2', 'qcow')} {image} | cmp - {raw}"], status=None, timeout=200)
        expect(r.status == 0, f"{kind.name}: 7zz reads {image} differently: {r}")


def convert_and_read(a, b, size):
    """Convert a disk of that size to `a` and on to `b`, which others then read as it should be."""
    middle, end = path("middle-" + a.format), path("end-" + b.format)
    expected_middle = a.size(to(SECTOR)(size))
    a.make(disk("disk", size), middle)
    b.make(f"{middle}?format={a.format}", end)
    expected = b.size(expected_middle)
    others_read(b, end, disk("expected", size, expected))
    expect_equal(lib.info(f"{end}?format={b.format}")["size"], expected, f"size of {b.name} from {a.name}")


SMALL = (SECTOR, 7 * SECTOR, MIB + SECTOR)


def test_kinds_are_all():
    """The matrix has every format of disks that can be created; discs and sound are in test_discs.py."""
    known = {f["name"] for f in platter("formats", "--json").json()["formats"] if f["create"] and f["holds"] == "disk"}
    expect_equal({k.format for k in KINDS}, known, "formats")


@lib.limit(600)
@lib.weight(30)
@lib.shards(2)
def test_every_format_to_every_other():
    """Disks of 1 sector, 7 sectors, and 1 MiB and 1 sector: each kind of image made from raw is read by
    others, and so is every other kind made from it; sizes become what each kind's rule says."""
    lib.need_tool("qemu-img", "7zz", "vhdimount", "chdman")
    for a in KINDS:
        for size in SMALL:
            def attempt(a=a, size=size):
                first = path("first-" + a.format)
                a.make(disk("disk", size), first)
                first_size = a.size(size)
                expected = disk("expected", size, first_size)
                others_read(a, first, expected)
                seven_reads(a, first, expected)
                for b in KINDS:
                    second = path("second-" + b.format)
                    b.make(f"{first}?format={a.format}", second)
                    os.truncate(expected, b.size(first_size))
                    others_read(b, second, expected)
            yield f"{a.name}, {size}", attempt


def neighbours():
    """Each kind once as what is read and once as what is written."""
    for i, a in enumerate(KINDS):
        yield 2 * GIB - SECTOR, a, KINDS[(i + 1) % len(KINDS)]
        yield 2 * GIB + SECTOR, a, KINDS[(i + 5) % len(KINDS)]


@lib.limit(600)
@lib.weight(30)
@lib.shards(2)
def test_around_2_gib():
    """Sparse disks of 2 GiB, one sector less and more: each kind read once and written once."""
    lib.need_tool("qemu-img", "vhdimount", "chdman")
    for size, a, b in neighbours():
        yield f"{a.name} to {b.name}, {size}", lambda a=a, b=b, size=size: convert_and_read(a, b, size)


# ---- large ones ----

def large_runs(size):
    """A few blocks at awkward places of a disk that is nearly all hole."""
    places = (0, 2 * MIB - 700, 4 * GIB - 700, size // 3 // SECTOR * SECTOR + 100, size - 40 * GIB - 1, size - 1100)
    return [(at, lib.noise(1100, at)) for at in places]


def qemu_reads_runs(kind, image, runs):
    """qemu-img reads each run, with the zeros around it."""
    for at, data in runs:
        first, last = at // SECTOR, (at + len(data) - 1) // SECTOR
        run(["qemu-img", "dd", "-f", kind.qemu, "-O", "raw", f"bs={SECTOR}", f"skip={first}", f"count={last + 1}",
             f"if={image}", f"of={path('part')}"], timeout=100)
        with open(path("part"), "rb") as f:
            wanted = bytes(at % SECTOR) + data
            expect(f.read() == wanted.ljust((last + 1 - first) * SECTOR, b"\0"), f"{kind.name}: bytes at {at} are others")


def large(kind, size, whole):
    """Make it, read it back ourselves, and by qemu-img: `whole`, or where it takes too long only what is stored."""
    runs = large_runs(size)
    raw = lib.make_raw("disk", size, runs)
    image, back = path("image-" + kind.format), path("back")
    made = kind.make(raw, image, timeout=100)
    expect(made.rss <= 256 * MIB, f"{kind.name}: {made.rss >> 20} MiB to write")
    r = platter("compare", raw, f"{image}?format={kind.format}", timeout=100)
    expect(r.rss <= 256 * MIB, f"{kind.name}: {r.rss >> 20} MiB to read")
    KINDS[0].make(f"{image}?format={kind.format}", back, timeout=100)
    platter("compare", raw, back, timeout=100)
    if kind.qemu:
        info = run(["qemu-img", "info", "-f", kind.qemu, "--output=json", image]).json()
        expect_equal(info["virtual-size"], size, f"{kind.name}: size to QEMU")
    if not kind.qemu:
        kind.expand(image, path("expanded"))
        platter("compare", raw, path("expanded"), timeout=100)
    elif whole:
        others_read(kind, image, raw)
    else:
        qemu_reads_runs(kind, image, runs)


# The size to try of each kind, and whether QEMU compares it whole: it knows of no holes in a VHDX,
# and asks for each grain of a VMDK.
LARGE = {"qcow2": (64 * TIB, True), "qcow2, zstd": (64 * TIB, True), "vhd": (VHD_MOST, True), "vhd, fixed": (VHD_MOST, True),
         "vhdx": (VHDX_MOST, False), "vhdx, fixed": (VHDX_MOST, False),
         "vmdk": (64 * TIB, False), "vmdk, stream": (64 * TIB, False), "vdi": (64 * TIB, False), "parallels": (64 * TIB, False), "sparseimage": (14 * TIB, False), "sparsebundle": (14 * TIB, False)}


@lib.limit(600)
@lib.weight(30)
@lib.shards(2)
def test_large():
    """2040 GiB of VHD, 64 TiB of VHDX and of all others, nearly empty: written and read at once, in bounded memory,
    and as QEMU reads them."""
    lib.need_tool("qemu-img")
    for kind in KINDS:
        if kind.name in LARGE:
            yield kind.name, lambda kind=kind: large(kind, *LARGE[kind.name])


def test_limits():
    """One sector more than a format holds is refused before anything is written, with the limit in the words."""
    for kind in KINDS:
        if kind.most:
            raw = lib.make_raw("disk", kind.most + SECTOR, [])
            r = kind.make(raw, path("image"), status=3)
            expect(str(kind.most) in r.errors, f"{kind.name}: the limit is not told: {r.errors}")
            expect(not os.path.exists(path("image")) and not os.path.exists(path("image.part")), f"{kind.name}: a file is left")
            if kind.most <= VHDX_MOST:
                os.truncate(raw, kind.most)
                kind.make(raw, path("image"))
                os.remove(path("image"))
