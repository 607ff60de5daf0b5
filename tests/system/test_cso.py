# SPDX-License-Identifier: GPL-3.0-or-later
"""CSO, ZSO and DAX: maxcso and an encoder and decoder in Python, both ways."""
import os

import disc_wrappers
import lib
from disc_wrappers import get, make_iso, opens_all_the_way, put
from lib import GIB, KIB, MIB, expect, expect_equal, path, platter, run

WAYS = {
    "version 1": ("cso", "cso1", []),
    "version 2": ("cso", "cso2", ["-o", "version=2"]),
    "ZSO": ("zso", "zso", []),
    "version 1, 32K": ("cso", "cso1", ["-o", "block_size=32K"]),
    "version 2, 16K": ("cso", "cso2", ["-o", "version=2", "-o", "block_size=16K"]),
    "ZSO, 128K": ("zso", "zso", ["-o", "block_size=128K"]),
    "version 1, level 12": ("cso", "cso1", ["-c=zlib:12"]),
}


def test_what_is_written_is_read_by_a_decoder_of_ours_in_python():
    """Each kind, from an ISO and from disks of awkward sizes, is read block for block as its description says."""
    iso = make_iso()
    sources = [iso, iso[:512], iso[:2048], iso[:40 * KIB - 512], iso + lib.noise(1536)]
    for name, (format, _, options) in WAYS.items():
        def attempt(format=format, options=options):
            for plain in sources:
                out = path("out." + format)
                platter("create", "-q", "--force", *options, put("disc.iso", plain), out)
                expect(disc_wrappers.read_cso(get(out)) == plain.ljust(-(-len(plain) // 2048) * 2048, b"\0"),
                       f"a disc of {len(plain)} bytes differs")
        yield name, attempt


def test_what_python_writes_is_read():
    """Every kind, block size and shift that the description allows."""
    plain = make_iso()[-700 * KIB:]
    for kind in ("cso1", "cso2", "zso"):
        for block, shift in ((2048, 0), (2048, 1), (2048, 6), (2048, 11), (4096, 3), (64 * KIB, 0), (MIB, 4)):
            def attempt(kind=kind, block=block, shift=shift):
                image = put("image", disc_wrappers.cso(plain, kind, block, shift, header_size=0 if shift else 24))
                platter("compare", put("part.iso", plain), image)
                platter("verify", "-q", image)
            yield f"{kind}, {block}, shift {shift}", attempt


def test_maxcso():
    """maxcso reads what is written, and what it writes is read."""
    lib.need_tool("maxcso")
    iso = make_iso()
    for name, (format, kind, options) in WAYS.items():
        def attempt(format=format, kind=kind, options=options):
            raw, ours, back, theirs = put("disc.iso", iso), path("ours." + format), path("back.iso"), path("theirs")
            platter("create", "-q", "--force", *options, raw, ours)
            run(["maxcso", "--quiet", "--decompress", ours, "-o", back])
            lib.same_bytes(raw, back)
            block = [f"--block={int(o[len('block_size='):-1]) * KIB}" for o in options if "block_size" in o]
            run(["maxcso", "--quiet", "--format=" + kind, *block, raw, "-o", theirs], timeout=200)
            platter("compare", raw, theirs)
            platter("verify", "-q", theirs)
        yield name, attempt


def test_dax():
    """Both versions of DAX, with areas as they are, from the encoder here and from maxcso."""
    iso = make_iso()
    for name, how in {"0": dict(version=0), "1": dict(stored=((3, 2), (10, 1))), "not whole": dict(version=0)}.items():
        def attempt(name=name, how=how):
            plain = iso[:100 * KIB] if name == "not whole" else iso
            image = put("a.dax", disc_wrappers.dax(plain, **how))
            platter("compare", put("disc.iso", plain), image)
            platter("verify", "-q", image)
        yield name, attempt

    def theirs():
        lib.need_tool("maxcso")
        run(["maxcso", "--quiet", "--format=dax", put("disc.iso", iso), "-o", path("theirs.dax")], timeout=200)
        platter("compare", path("disc.iso"), path("theirs.dax"))
        platter("verify", "-q", path("theirs.dax"))
    yield "maxcso", theirs


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = make_iso()
    for name in ("a.cso", "a.zso"):
        def attempt(name=name):
            platter("create", "-q", "--force", put("disc.iso", iso), path(name))
            opens_all_the_way(path(name), iso)
        yield name, attempt
    yield "a.dax", lambda: opens_all_the_way(put("a.dax", disc_wrappers.dax(iso)), iso)


@lib.limit(300)
@lib.weight(4)
def test_past_2_gib():
    """A disc of 5 GiB with noise past 4 GiB of the file: offsets are shifted, and it reads back the same."""
    size = 5 * GIB
    raw = lib.make_raw("disc", size, [(0, lib.noise(MIB)), (3 * GIB + 2048, lib.noise(3 * MIB)), (size - 4096, lib.noise(4096))], on_disk=True)
    os.truncate(raw, size)
    out = path("out.cso", on_disk=True)
    made = platter("create", "-q", "--no-sync", raw, out, timeout=200)
    expect(made.rss <= 256 * MIB, f"{made.rss >> 20} MiB to write")
    expect(get_shift(out) > 0, "no shift")
    r = platter("compare", raw, out, timeout=200)
    expect(r.rss <= 256 * MIB, f"{r.rss >> 20} MiB to read")
    with open(out, "rb") as f:
        for at in (0, 3 * GIB + 2048, 4 * GIB, size - 2048):
            block = disc_wrappers.read_cso_block(f, at // 2048)
            with open(raw, "rb") as plain:
                plain.seek(at)
                expect(block == plain.read(2048), f"the block at byte {at} differs")


def get_shift(name):
    with open(name, "rb") as f:
        return f.read(24)[21]


def test_refused():
    """Streams both ways, options and codecs that it has not, and another format of the same name."""
    raw = lib.make_raw("disc", MIB, [(0, b"x")])
    r = run(["sh", "-c", f"{{ {lib.PLATTER} create -O cso {raw} - || echo status $? >&2; }} | cat"])
    expect("status 3" in r.errors, r.errors)
    expect("cannot be written to a stream" in r.errors and "try:" in r.errors, r.errors)
    r = run(["sh", "-c", f"printf stream | {lib.PLATTER} create - {path('a.cso')}"], status=3)
    expect("cannot be made of a stream" in r.errors and "try:" in r.errors, r.errors)
    platter("create", "-o", "version=3", raw, path("a.cso"), status=3)
    platter("create", "-c=zstd", raw, path("a.cso"), status=3)
    platter("create", "-c=zlib", raw, path("a.zso"), status=3)
    wii = put("wii.cso", b"CISO" + (2 * MIB).to_bytes(4, "little") + b"\1" * 100 + bytes(0x7ff8))
    expect("GameCube" in platter("info", wii, status=3).errors, "not named")
    expect("JSO" in platter("info", put("a.jso", b"JISO" + bytes(100)), status=3).errors, "not named")


def test_claims():
    """A small file that claims a petabyte is refused at once; a cut one is told to be cut."""
    head = (24).to_bytes(4, "little") + (1 << 50).to_bytes(8, "little") + (2048).to_bytes(4, "little") + b"\1\0\0\0"
    r = platter("info", put("claims", b"CISO" + head + bytes(4096)), status=3)
    expect("index" in r.errors and r.rss < 64 * MIB, r.errors)
    whole = disc_wrappers.cso(lib.noise(MIB))
    cut = put("cut", whole[:-5000])
    r = platter("verify", cut, status=(1, 3))
    expect("not in the file" in r.text + r.errors, r.text + r.errors)
