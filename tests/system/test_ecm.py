# SPDX-License-Identifier: GPL-3.0-or-later
"""ECM: what an encoder in Python makes, whose sectors have EDC and ECC computed there too."""
import os

import disc_wrappers as wrap
import lib
from disc_wrappers import make_iso, opens_all_the_way, put
from lib import KIB, MIB, expect, expect_equal, path, platter, run


def sectors(kind, first, nr):
    size = 2324 if kind == 3 else 2048
    data = lib.noise(nr * size, first)
    return [wrap.sector(kind, first + i, data[i * size:(i + 1) * size]) for i in range(nr)]


def reads(image, disc):
    platter("compare", put("disc", disc), put("a.ecm", image))
    fits(path("a.ecm"))


def fits(image):
    """The EDC of the disc is right; among its sectors may be what is none."""
    r = platter("verify", image, status=(0, 1))
    expect("EDC of the disc" not in r.text + r.errors, r.text + r.errors)


def test_kinds():
    """Every kind of record, counts of one to four bytes, and what is between them."""
    cases = {
        "mode 1": [(1, sectors(1, 0, 90))],
        "form 1": [(2, sectors(2, 0, 40))],
        "form 2": [(3, sectors(3, 0, 70))],
        "bytes": [(0, lib.noise(3 * MIB + 1))],
        "one byte": [(0, b"x")],
        "mixed": [(1, sectors(1, 0, 35)), (0, lib.noise(2352 * 3 + 5)), (2, sectors(2, 40, 3)), (3, sectors(3, 43, 33)),
                  (0, lib.noise(300 * KIB)), (1, sectors(1, 200, 1))],
        "many records": [(0, bytes([i % 251])) for i in range(200 * KIB)],
    }
    for name, parts in cases.items():
        yield name, lambda parts=parts: reads(*wrap.ecm(parts))


def test_ecm_tools():
    """ecm-tools write what is read, and read what the encoder of these tests writes."""
    lib.need_tool("bin2ecm", "ecm2bin")
    image, disc = wrap.ecm([(1, sectors(1, 0, 35)), (0, lib.noise(2352 * 3)), (2, sectors(2, 40, 3)), (3, sectors(3, 43, 33))])
    run(["ecm2bin", put("ours.ecm", image), path("back")])
    lib.same_bytes(put("disc", disc), path("back"))
    run(["bin2ecm", path("disc"), path("theirs.ecm")])
    platter("compare", path("disc"), path("theirs.ecm"))
    fits(path("theirs.ecm"))


def test_all_the_way():
    """What is inside is told, listed, read and converted."""
    iso = make_iso()
    opens_all_the_way(put("disc.iso.ecm", wrap.ecm([(0, iso)])[0]), iso)


def test_damage():
    """verify tells of a byte that changed, and a cut file is refused as such."""
    image, _ = wrap.ecm([(1, sectors(1, 0, 5)), (0, lib.noise(1000))])
    changed = bytearray(image)
    changed[500] ^= 1
    r = platter("verify", put("a.ecm", changed), status=1)
    expect("EDC of the disc" in r.text + r.errors, r.text + r.errors)
    for n in (len(image) - 1, len(image) - 6, 5000, 6, 5):
        r = platter("info", put("a.ecm", image[:n]) + "?format=ecm", status=3)
        expect("end" in r.errors, r.errors)


def test_tiny_records_are_bounded():
    """Millions of records of one byte take no memory for each."""
    image = put("a.ecm", b"ECM\0" + b"\0x" * (4 << 20) + b"\xfc\xff\xff\xff\x3f" + bytes(4))
    r = platter("info", image)
    expect(r.rss < 64 * MIB, f"{r.rss >> 20} MiB")
    expect_equal(lib.info(image)["size"], 4 << 20, "size")
    os.truncate(put("b.ecm", b"ECM\0"), 1 << 40)
    r = platter("info", path("b.ecm"), status=3)
    expect("records" in r.errors, r.errors)


def test_sectors():
    """A disc of sectors is opened as such: what is inside of it is listed."""
    iso = make_iso()
    image, disc = wrap.ecm([(1, [wrap.sector(1, i, s) for i, s in enumerate(wrap.pieces(iso, 2048))])])
    opens_all_the_way(put("disc.bin.ecm", image), iso)
    platter("compare", put("disc.bin", disc), path("disc.bin.ecm"))
    changed = bytearray(image)
    changed[5000] ^= 1
    r = platter("verify", put("changed.bin.ecm", changed), status=1)
    expect("EDC of the disc" in r.text + r.errors, r.text + r.errors)
