# SPDX-License-Identifier: GPL-3.0-or-later
"""CSO and ZSO: maxcso and an encoder and decoder in Python, both ways."""
import os

import disc_wrappers
import lib
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


def put(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def get(name):
    with open(name, "rb") as f:
        return f.read()


def disc(name="disc.iso"):
    """An ISO with text, noise and a file of zeros."""
    lib.need_tool("xorriso")
    top = path("tree")
    os.makedirs(top, exist_ok=True)
    for file, data in (("prose.txt", lib.prose(700 * KIB)), ("noise", lib.noise(300 * KIB + 77)), ("zeros", bytes(MIB))):
        with open(os.path.join(top, file), "wb") as f:
            f.write(data)
    run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "WRAPPED", "-R", "-J", "-o", path(name), top])
    return path(name)


def test_what_is_written_is_read_by_a_decoder_of_ours_in_python():
    """Each kind, from an ISO and from disks of awkward sizes, is read block for block as its description says."""
    iso = get(disc())
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
    plain = get(disc())[-700 * KIB:]
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
    iso = get(disc())
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


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = get(disc())
    for name in ("a.cso", "a.zso"):
        def attempt(name=name):
            raw, out = put("disc.iso", iso), path(name)
            platter("create", "-q", "--force", raw, out)
            said = lib.info(out)
            expect("iso9660" in [c["name"] for c in said["contents"]], f"contents are {said['contents']}")
            listed = platter("ls", out).text.split()
            expect_equal(sorted(listed), ["noise", "prose.txt", "zeros"], "files")
            expect(platter("cat", f"{out}:/prose.txt").out == lib.prose(700 * KIB), "the file differs")
            platter("convert", "-q", "--force", out, path("back.iso"))
            lib.same_bytes(raw, path("back.iso"))
            platter("verify", "-q", out)
        yield name, attempt


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
    r = platter("create", "-O", "cso", raw, "-", status=3)
    expect("cannot be written to a stream" in r.errors and "try:" in r.errors, r.errors)
    r = platter("create", "-", path("a.cso"), input=b"stream", status=3)
    expect("cannot be made of a stream" in r.errors and "try:" in r.errors, r.errors)
    platter("create", "-o", "version=3", raw, path("a.cso"), status=2)
    platter("create", "-c=zstd", raw, path("a.cso"), status=2)
    platter("create", "-c=zlib", raw, path("a.zso"), status=2)
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
