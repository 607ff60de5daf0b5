# SPDX-License-Identifier: GPL-3.0-or-later
"""platter map: beside qemu-img map, on disks of many extents, within bounds."""
import json
import os
import shutil
import struct
import xml.etree.ElementTree
import zlib

import lib
from lib import GIB, KIB, MIB, expect, expect_equal, mixed_raw, path, platter, run

TIB = 1 << 40
# What qemu-img calls them, and options.  Of VHDX it says only that all is data.
FORMATS = {"raw": [], "qcow2": [], "qcow2, small clusters": ["-o", "cluster_size=4k"], "vmdk": [], "vdi": [],
           "vpc": ["-o", "force_size=on"], "qed": [], "qcow": [], "parallels": []}


def extents(place, *options):
    answer = platter("map", "--json", *options, place).json()
    at = answer["extents"][0]["offset"] if answer["extents"] else 0
    totals = dict.fromkeys(("data", "zero", "hole", "bad"), 0)
    for e in answer["extents"]:
        expect_equal(e["offset"], at, f"offset of an extent of {place}")
        at += e["length"]
        totals[e["kind"]] += e["length"]
    expect_equal({k: answer[k] for k in totals}, totals, f"totals of {place}")
    return answer["extents"]


def pieces(ours, theirs):
    """Both maps cut at the borders of either."""
    at, i, k = 0, 0, 0
    while i < len(ours) and k < len(theirs):
        a, b = ours[i], theirs[k]
        end = min(a["offset"] + a["length"], b["start"] + b["length"])
        yield at, end, a, b
        at = end
        i += at == a["offset"] + a["length"]
        k += at == b["start"] + b["length"]


def same_map(place, image, format):
    """Where platter sees data QEMU sees it, at the same byte of the same depth; all else reads as zeros
    to both.  A hole of the file within an allocated block counts as stored to QEMU in most formats."""
    theirs = run(["qemu-img", "map", "--output=json", "-f", format, image]).json()
    ours = extents(place)
    for at, end, a, b in pieces(ours, theirs):
        where = f"{place}, bytes {at} to {end}: {a} and {b}"
        if a["kind"] == "data":
            expect(b["data"], f"{where}: no data to QEMU")
            expect_equal(a["depth"], b["depth"], f"{where}: depth")
            if "offset" in b:
                expect_equal(a["stored_offset"] + at - a["offset"], b["offset"] + at - b["start"], where)
        elif b["data"] and not b["zero"]:
            # QEMU did not look into the file.
            expect("offset" in b and hole_in_file(image, b["offset"] + at - b["start"], end - at), f"{where}: data to QEMU")
    expect_equal(sum(e["length"] for e in ours), sum(e["length"] for e in theirs), f"length of {place}")


def hole_in_file(file, offset, n):
    """The file holds zeros there, or ends before."""
    with open(file, "rb") as f:
        f.seek(offset)
        return not any(f.read(n))


def test_beside_qemu():
    """The map of every format is the one that qemu-img gives: sparse, with data at awkward places."""
    lib.need_tool("qemu-img")
    raw = mixed_raw("disk", 24 * MIB)
    for name, options in FORMATS.items():
        def attempt(name=name, options=options):
            format = name.split(",")[0]
            image = path("image." + format)
            run(["qemu-img", "convert", "-O", format, *options, raw, image])
            same_map(image, image, format)
        yield name, attempt


def test_own_images_beside_qemu():
    """So is that of the images that platter makes."""
    lib.need_tool("qemu-img")
    raw = mixed_raw("disk", 24 * MIB)
    for format, options in (("qcow2", []), ("vmdk", []), ("vdi", []), ("vhd", []), ("parallels", []),
                            ("vhd", ["-o", "subformat=fixed"]), ("vdi", ["-o", "static=on"])):
        image = path("image." + format)
        platter("create", "--force", "-O", format, *options, raw, image)
        same_map(image, image, {"vhd": "vpc"}.get(format, format))


def test_chain():
    """In a chain of three each extent has the depth of the image that holds it, and its file."""
    lib.need_tool("qemu-img", "qemu-io")
    base = mixed_raw("base.img", 24 * MIB)
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path("middle.qcow2")])
    run(["qemu-io", "-c", "write -P 7 0 128k", "-c", "write -z 2M 1M", "-c", "write -P 9 20M 64k", path("middle.qcow2")])
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", path("middle.qcow2"), "-F", "qcow2", path("top.qcow2"), "32M"])
    run(["qemu-io", "-c", "write -P 8 64k 64k", "-c", "discard 20M 64k", "-c", "write -P 1 30M 1M", path("top.qcow2")])
    same_map(path("top.qcow2"), path("top.qcow2"), "qcow2")
    found = {(e["depth"], e["file"].rsplit("/", 1)[-1]) for e in extents(path("top.qcow2")) if e["kind"] == "data"}
    expect_equal(found, {(0, "top.qcow2"), (1, "middle.qcow2"), (2, "base.img")}, "depths and files")
    alone = {e["depth"] for e in extents(path("top.qcow2") + "?backing=no")}
    expect_equal(alone, {0}, "depths without the backing file")


def stored_bytes(place, raw, start):
    """What is data stands as it is at that byte of that file; all else of `raw` from `start` on is zeros."""
    with open(raw, "rb") as f:
        for e in extents(place):
            n = min(e["length"], 65536)
            f.seek(start + e["offset"])
            wanted, got = f.read(n), bytes(n)
            if e["kind"] == "data":
                with open(e["file"], "rb") as g:
                    g.seek(e["stored_offset"])
                    got = g.read(n)
            expect(got == wanted, f"{place}: bytes of {e} are others")


def test_stored_bytes_are_there():
    """What is said to be stored uncompressed stands at that byte of that file, also through a partition."""
    lib.need_tool("sfdisk")
    raw = mixed_raw("disk.img", 24 * MIB)
    run(["sfdisk", "-q", raw], input=b"label: dos\nstart=2048,size=40000\n")
    for format in ("qcow2", "vhdx", "vdi", "vmdk"):
        platter("create", raw, path("a." + format))
        stored_bytes(path("a." + format), raw, 0)
        stored_bytes(path("a." + format) + "@1", raw, MIB)
    if shutil.which("qemu-img"):
        run(["qemu-img", "convert", "-O", "vhdx", raw, path("b.vhdx")])
        stored_bytes(path("b.vhdx"), raw, 0)


def test_compressed_extents():
    """Compressed clusters that follow each other are one extent, within the bytes of the file."""
    raw = lib.make_raw("disk", 16 * MIB, [(MIB, lib.prose(4 * MIB))])
    for name, options in (("a.qcow2", ["-c"]), ("b.qcow2", ["-c=zlib"]), ("c.vmdk", ["-c"])):
        platter("create", *options, raw, path(name))
        data = [e for e in extents(path(name)) if e["kind"] == "data"]
        expect_equal([(e["offset"], e["compressed"]) for e in data], [(MIB, True)], f"extents of {name}")
        size = run(["stat", "-c", "%s", path(name)]).text
        end = data[0]["stored_offset"] + data[0]["stored_length"]
        expect(data[0]["stored_length"] < 3 * MIB and end <= int(size) + 511, f"{name} of {size} bytes: {data}")


def test_range():
    """--offset and --length cut the map; what is past the end is wrong usage."""
    raw = lib.make_raw("disk", 4 * MIB, [(MIB, lib.noise(MIB))])
    got = [(e["offset"], e["length"], e["kind"]) for e in extents(raw, "--offset=1536K", "--length=1M")]
    expect_equal(got, [(1536 * KIB, 512 * KIB, "data"), (2 * MIB, 512 * KIB, "hole")], "extents")
    expect_equal(extents(raw, "--offset", str(4 * MIB)), [], "extents at the end")
    expect_equal(extents(raw, "--offset=0", "--length=99G")[-1]["length"], 2 * MIB, "the last extent")
    platter("map", "--offset=5M", raw, status=2)
    platter("map", "--length=0", raw, status=2)


def test_text():
    """For people: a line an extent, then the totals; no control character of a file's name."""
    raw = lib.make_raw("na\x1bme", 4 * MIB, [(MIB, lib.noise(MIB))])
    lines = platter("map", raw).text.splitlines()
    expect_equal(len(lines), 5, "lines")
    expect_equal(lines[2].split()[:5], ["0x100000", "0x100000", "data", "0", "0x100000"], "the line of the data")
    expect("\x1b" not in "".join(lines), "the name's control character is printed")
    expect(lines[4].startswith("3 extents: data 1.0 MiB (1048576 bytes)"), lines[4])
    expect_equal(platter("map", "-q", raw).text, "", "with --quiet it says")


def pixels(png):
    """Width, height, palette and rows of an indexed PNG, by the chunks of its specification."""
    with open(png, "rb") as f:
        data = f.read()
    expect_equal(data[:8], b"\x89PNG\r\n\x1a\n", "signature")
    at, chunks = 8, {}
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        expect_equal(zlib.crc32(kind + body), struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0], f"CRC of {kind}")
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + n
    width, height, bits, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    expect_equal((bits, colour), (8, 3), "bits and colour type")
    raw = zlib.decompress(chunks[b"IDAT"])
    rows = [raw[y * (width + 1):(y + 1) * (width + 1)] for y in range(height)]
    expect_equal({row[0] for row in rows}, {0}, "filters")
    palette = [chunks[b"PLTE"][i:i + 3].hex() for i in range(0, len(chunks[b"PLTE"]), 3)]
    return width, height, palette, [row[1:] for row in rows]


def test_picture():
    """--png and --svg draw cells in the colours of the legend, and nothing is left beside a file that cannot be written."""
    raw = lib.make_raw("a&<b>.img", 8 * MIB, [(2 * MIB, lib.noise(2 * MIB))])
    r = platter("map", "--png", path("a.png"), "--svg", path("a.svg"), raw)
    expect_equal(len(r.text.splitlines()), 1, "lines beside a picture")
    width, height, palette, rows = pixels(path("a.png"))
    colours = [palette[rows[60 + 8 * y][20]] for y in range(64)]
    expect_equal(len(set(colours)), 2, f"colours of the rows of cells: {colours}")
    expect_equal([i for i, c in enumerate(colours) if c == "2e7d32"], list(range(16, 32)), "rows of cells with data")
    svg = xml.etree.ElementTree.parse(path("a.svg")).getroot()
    name = "{http://www.w3.org/2000/svg}"
    texts = [t.text for t in svg.iter(name + "text")]
    expect_equal(texts[0], raw, "title")
    expect("data: 2.0 MiB (2097152 bytes)" in texts, f"legend: {texts}")
    green = [e for e in svg.iter(name + "rect") if e.get("fill") == "#2e7d32"]
    expect_equal(len(green), 16 + 1, "green rectangles: a row each, and the legend's")
    r = platter("map", "--png", path("none/a.png"), raw, status=3)
    expect("none/a.png" in r.errors, str(r))


def test_stream():
    """A stream has no map, and says so."""
    r = run(["sh", "-c", f"cat {mixed_raw('a')} | {lib.PLATTER} map -"], status=3)
    expect("stream" in r.errors, str(r))


def small_extents(name, size):
    """A QCOW2 image full of data no two clusters of which follow each other: one L2 table for all."""
    cluster, entries = 65536, 8192
    nr = size // cluster // entries
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, 0, 0, 16, size, 0, nr, cluster, 0, 0, 0, 0)
    header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    with open(path(name), "wb") as f:
        f.write(header.ljust(cluster, b"\0"))
        f.write(struct.pack(">Q", 3 * cluster) * nr)
        f.seek(3 * cluster)
        f.write(struct.pack(">QQ", 5 * cluster, 7 * cluster) * (entries // 2))
        f.write(b"x" * (5 * cluster))
    return path(name)


@lib.limit(120)
@lib.weight(5)
def test_millions_of_extents():
    """A map of millions of extents is printed as it is found: 64 GiB of 64 KiB each, in little memory."""
    image = small_extents("full.qcow2", 64 * GIB)
    with open(path("out"), "wb") as out:
        r = platter("map", image, stdout=out)
    expect(r.rss < 64 * MIB and r.seconds < 50, f"{r.rss >> 20} MiB, {r.seconds:.1f} s")
    with open(path("out"), "rb") as f:
        expect_equal(sum(1 for _ in f), MIB + 2, "lines")
    with open(path("out"), "wb") as out:
        r = platter("map", "--json", image, stdout=out)
    expect(r.rss < 64 * MIB, f"{r.rss >> 20} MiB")
    with open(path("out")) as f:
        expect_equal(len(json.load(f)["extents"]), MIB, "extents")


def test_large_and_sparse():
    """A sparse disk of 64 TiB is mapped at once."""
    raw = lib.make_raw("disk", 64 * TIB, [(0, b"x"), (40 * TIB + 512, lib.noise(MIB)), (64 * TIB - 512, b"y")])
    platter("create", raw, path("a.vhdx"))
    r = platter("map", path("a.vhdx"))
    expect(r.seconds < 10 and r.rss < 128 * MIB, str(r))
    expect_equal(len([l for l in r.text.splitlines() if " data  " in l]), 3, "lines of data")


def survives(place):
    for words in (["map", "-q"], ["measure", "-q", "-O", "vhdx"]):
        r = lib.asan_platter(*words, place, status=(0, 3), timeout=60)
        expect("runtime error" not in r.errors, str(r))


@lib.weight(2)
def test_hostile_images():
    """map and measure of every fuzz seed, and of every broken sample of the corpus that is small as stored, end
    well under the sanitizers."""
    top = os.path.join(lib.ROOT, "fuzz/seeds")
    for base, _, names in os.walk(top):
        for name in names:
            survives(os.path.join(base, name))
    for s in lib.manifest():
        if s.kind == "broken" and os.path.isfile(s.stored) and os.stat(s.stored).st_size < MIB:
            survives(lib.unpacked(s.stored, s.member(), exact=False))
