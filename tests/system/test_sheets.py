# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of discs of CloneCD, Alcohol 120%, Nero, DiscJuggler, BlindWrite and Easy CD Creator:
built field by field by discs.py, read, converted into each other, and read by other programs."""
import hashlib
import os
import re

import lib
from discs import (PREGAP, Disc, Track, b6t, ccd, cdi, cif, mds, mds_dvd, nrg, nrg_tracks, pack, packed96, q16,
                   raw96)
from lib import expect, expect_equal, limit, need_tool, path, platter, run, unpacked
from test_corpus import samples

MODES = {0: "audio", 1: "mode1", 2: "mode2"}
TEXT = pack(0x80, 0, 0, b"Disc\0One\0Two") + pack(0x80, 3, 1, b"\0Three\0")


def write(name, data):
    with open(path(name), "wb") as f:
        f.write(data)
    return path(name)


def info(place):
    return platter("info", "--json", place).json()["disks"][0]["disc"]


def digest(place):
    return hashlib.sha256(platter("cat", place).out).hexdigest()


def check_tracks(place, disc, isrc=True, flags=True, indexes=True):
    """What the image says of its tracks, and every byte of them."""
    found = info(place)
    expect_equal([(s["number"], s["end"]) for s in found["sessions"]], list(disc.ends.items()), "sessions")
    expect_equal(len(found["tracks"]), len(disc.tracks), "number of tracks")
    for t, have in zip(disc.tracks, found["tracks"]):
        what = f"track {t.number}"
        wanted = (t.number, t.session, MODES[t.mode], t.start, t.nr)
        expect_equal(tuple(have[k] for k in ("number", "session", "mode", "start", "length")), wanted, what)
        if t.number == 2:
            expect_equal(have["pregap"], t.pregap, f"pregap of {what}")
        if isrc:
            expect_equal(have["isrc"], t.isrc, f"ISRC of {what}")
        if flags:
            expect_equal((have["preemphasis"], have["copy"]), (bool(t.flags & 1), bool(t.flags & 2)),
                         f"flags of {what}")
        if indexes:
            expect_equal(have["indexes"], t.indexes, f"indexes of {what}")
        expect_equal(digest(f"{place}?disk={t.number}"), t.sha256(), f"SHA-256 of {what}")
    return found


def check_sub(place, disc, sub, pregaps=(2, 4)):
    """The subchannel of sectors is that which was stored; `pregaps`: tracks that have theirs among them."""
    out = platter("cat", place + "?disk=raw+sub").out
    position = 0
    for t in disc.tracks:
        first = t.start - (t.pregap if t.number in pregaps else 0)
        for lba in (t.start, t.end - 1):
            at = (position + lba - first) * 2448
            expect_equal(out[at + 2352 + 12:at + 2352 + 24], sub(t, lba)[12:24] if sub is packed96
                         else q16(t, lba)[:12], f"Q of sector {lba}")
        position += t.end - first


def check_text(found):
    expect_equal(found["text"]["title"], "Disc", "title of the disc")
    expect_equal([t["text"]["title"] for t in found["tracks"]][2], "Three", "title of track 3")


def check_nrg(disc, wide, kinds, sub=False):
    place = write("disc.nrg", nrg(disc, wide, kinds, sub, TEXT))
    found = check_tracks(place, disc)
    expect_equal(found["mcn"], disc.mcn, "MCN")
    check_text(found)
    if sub:
        check_sub(place, disc, raw96)


def test_nero():
    """Versions 1 and 2, disc at once, sectors cooked and raw, with subchannel."""
    disc = Disc()
    yield "version 2, raw", lambda: check_nrg(disc, True, {1: 2352, 2: 2352})
    yield "version 2, cooked", lambda: check_nrg(disc, True, {1: 2048, 2: 2048})
    yield "version 2, subchannel", lambda: check_nrg(disc, True, {1: 2352, 2: 2352}, sub=True)
    yield "version 1", lambda: check_nrg(disc, False, {1: 2048, 2: 2336})


def test_nero_tracks_at_once():
    """Tracks that were recorded one by one, whose pregaps are not stored."""
    disc = Disc()
    disc.tracks = [Track(1, 1, 1, 0, 150, 310), Track(2, 1, 0, 460, 150, 300), Track(3, 1, 2, 910, 150, 305)]
    disc.ends = {1: 1215}
    for wide in (False, True):
        check_tracks(write("tracks.nrg", nrg_tracks(disc.tracks, wide)), disc)


def check_cdi(disc, version, kinds, sub=None):
    place = write("disc.cdi", cdi(disc, version, kinds, TEXT if version == 4 else b""))
    found = check_tracks(place, disc)
    if version > 2:
        expect_equal(found["tracks"][1]["text"]["title"], "Title", "title of track 2")
    if version == 4:
        expect_equal(found["mcn"], disc.mcn, "MCN")
        check_text(found)
    if sub:
        check_sub(place, disc, sub)


def test_discjuggler():
    """Versions 2, 3 and 4, every way of reading sectors."""
    disc = Disc()
    for version in (2, 3, 4):
        yield f"version {version}", lambda v=version: check_cdi(disc, v, {0: 2, 1: 0, 2: 1})
    yield "raw", lambda: check_cdi(disc, 4, {0: 2, 1: 2, 2: 2})
    yield "Q", lambda: check_cdi(disc, 4, {0: 3, 1: 3, 2: 3}, q16)
    yield "subchannel", lambda: check_cdi(disc, 4, {0: 4, 1: 4, 2: 4}, raw96)


def check_b6t(disc, names, sub=None):
    sheet, files = b6t(disc, names, sub, TEXT)
    place = write("disc.b6t", sheet)
    for name, data in files.items():
        # Upper and lower case are often not as the sheet has them.
        write(name.upper(), data)
    found = check_tracks(place, disc, isrc=False, indexes=False)
    expect_equal(found["mcn"], disc.mcn, "MCN")
    check_text(found)
    if sub:
        check_sub(place, disc, sub)


def test_blindwrite():
    """One data file and two, with subchannel and without."""
    disc = Disc()
    yield "one file", lambda: check_b6t(disc, ["disc.b6i", "disc.b6i"])
    yield "two files", lambda: check_b6t(disc, ["disc.b6i", "disc.002"])
    yield "subchannel", lambda: check_b6t(disc, ["disc.b6i", "disc.b6i"], packed96)
    yield "Q", lambda: check_b6t(disc, ["disc.b6i", "disc.b6i"], q16)


def test_easy_cd_creator():
    """Tracks of every type, with titles."""
    disc = Disc()
    found = check_tracks(write("disc.cif", cif(disc)), disc, flags=False, indexes=False)
    expect_equal((found["text"]["title"], found["text"]["performer"]), ("Disc", "Band"), "texts")
    expect_equal(found["tracks"][1]["text"]["title"], "Title 2", "title of track 2")


def check_mds(disc, name, sub=False, **how):
    sheet, data = mds(disc, name, sub, **how)
    place = write("disc.mds", sheet)
    write("Disc.MDF" if "*" in name else name, data)
    check_tracks(place, disc, isrc=False, indexes=False)
    if sub:
        check_sub(place, disc, raw96, (2, 4) if how.get("pregaps") else (2,))
    return place


def test_alcohol():
    """Names of every kind, with subchannel, with pregaps that are stored and not."""
    disc = Disc()
    yield "the name of the sheet", lambda: check_mds(disc, "*.mdf")
    yield "another name, in UTF-16", lambda: check_mds(disc, "dätä.mdf", wide=True)
    yield "subchannel", lambda: check_mds(disc, "a.mdf", sub=True, pregaps=True)
    yield "subchannel, no pregaps", lambda: check_mds(disc, "a.mdf", sub=True)


def test_stored_pregaps():
    """What lies between the sectors of two tracks is the pregap of the second."""
    disc = Disc()
    noise = lib.noise(2352)
    disc.tracks[1].sector = lambda lba, kind: (noise if lba < disc.tracks[1].start else
                                               disc.tracks[1].data[lba - disc.tracks[1].start])
    place = check_mds(disc, "a.mdf", pregaps=True)
    out = platter("cat", place + "?disk=raw").out
    expect(out[320 * 2352:321 * 2352] == noise, "the pregap of track 2 is not what is stored")


def test_dvd_in_parts():
    """The data of a DVD goes on from file to file."""
    names, parts = ["d.mdf", "d.md1", "d.md2"], [300, 200, 123]
    data = lib.noise(2048 * sum(parts))
    at = 0
    for name, n in zip(names, parts):
        write(name, data[at:at + n * 2048])
        at += n * 2048
    place = write("d.mds", mds_dvd(names, parts))
    expect_equal(info(place)["medium"], "DVD", "medium")
    expect(platter("cat", place).out == data, "the data is not that of the files")


def test_other_versions_of_mds_are_named():
    """MDX and what Daemon Tools calls MDS is refused by its name."""
    sheet = bytearray(mds(Disc(), "*.mdf")[0])
    sheet[16] = 2
    said = platter("info", write("new.mdx", bytes(sheet)), status=3).errors
    expect("version 2" in said and "MDX" in said, f"said {said!r}")


def check_ccd(disc, indexes, sub):
    sheet, img, subs = ccd(disc, indexes, [TEXT[:16], TEXT[18:36]] if indexes else ())
    place = write("disc.ccd", sheet)
    write("disc.img", img)
    if sub:
        write("DISC.SUB", subs)
    else:
        expect(not os.path.exists(path("DISC.SUB")), "there is subchannel")
    if not indexes:
        # Where the pregap begins is not told: it belongs to the track before.
        disc.tracks[1].pregap, disc.tracks[1].indexes = 0, []
        disc.tracks[0].nr += PREGAP
        first = disc.tracks[0]
        first.data = first.data + [bytes(2048)] * PREGAP
        img_first = b"".join(first.sector(lba, 2352) for lba in range(320)) + bytes(2352 * PREGAP)
        write("disc.img", img_first + img[len(img_first):])
    found = check_tracks(place, disc)
    expect_equal(found["mcn"], disc.mcn, "MCN")
    if indexes:
        check_text(found)
    if indexes and sub:
        check_sub(place, disc, packed96, (2,))


def test_clonecd():
    """With subchannel and without, indexes told and not, sectors of a data track whatever the sheet says."""
    yield "without subchannel", lambda: check_ccd(Disc(), True, False)
    yield "with subchannel", lambda: check_ccd(Disc(), True, True)
    yield "without indexes", lambda: check_ccd(Disc(), False, True)


def test_sessions_of_our_clonecd_images():
    """The pregap of each session has the mode of its first track."""
    platter("convert", "-q", "--no-sync", source(Disc()), path("a.ccd"))
    with open(path("a.ccd"), encoding="ascii") as f:
        expect_equal(re.findall(r"Session (\d)]\nPreGapMode=(\d)", f.read()), [("1", "1"), ("2", "2")], "pregaps")


def test_scrambled_clonecd_is_refused():
    """Scrambled data tracks are refused by their name."""
    sheet, img, _ = ccd(Disc())
    write("s.img", img)
    said = platter("info", write("s.ccd", sheet.replace(b"Scrambled=0", b"Scrambled=1")), status=3).errors
    expect("scrambled" in said, f"said {said!r}")


# ---- converting ----

def source(disc):
    """A disc with everything that a sheet can say, as Nero has it."""
    text = pack(0x80, 0, 0, b"Disc\0One\0Two") + pack(0x80, 3, 1, b"\0Three\0") + pack(0x81, 0, 2, b"B\xe4nd\0\0Foo\0")
    return write("origin.nrg", nrg(disc, True, {1: 2352, 2: 2352}, text=text))


def places(disc):
    """What every format can say, with pregaps only where all images have them."""
    keys = ("number", "session", "mode", "start", "length", "preemphasis", "copy", "four_channels")
    return [[t[k] for k in keys] + ([t["pregap"]] if t["number"] == 2 else []) for t in disc["tracks"]]


def texts(disc):
    """What Alcohol's images do not have."""
    return [disc["mcn"], disc["text"]["title"], disc["text"]["performer"]] + [
        [t["isrc"], t["indexes"], t["text"]["title"], t["text"]["performer"]] for t in disc["tracks"]]


def check_chain(disc, first, seconds):
    origin = source(disc)
    wanted, raw = info(origin), digest(origin + "?disk=raw")
    platter("convert", "-q", "--no-sync", origin, path(f"one.{first}"))
    for second in seconds:
        place = path(f"two.{second}")
        platter("convert", "-q", "--no-sync", path(f"one.{first}"), place)
        found = info(place)
        expect_equal(places(found), places(wanted), f"tracks as {second}")
        if "mds" not in (first, second):
            expect_equal(texts(found), texts(wanted), f"texts and codes as {second}")
        expect_equal(digest(place + "?disk=raw"), raw, f"SHA-256 of all sectors as {second}")


@limit(600)
def test_every_format_from_every_other():
    """Tracks, indexes, ISRC, MCN, CD-TEXT and bytes stay through two conversions."""
    for first in ("ccd", "mds", "nrg", "cue"):
        yield f"by way of {first}", lambda f=first: check_chain(Disc(), f, ("ccd", "mds", "nrg", "cue"))


def test_by_way_of_a_toc():
    """The same with cdrdao's format, which has one session."""
    disc = Disc()
    disc.tracks, disc.ends = disc.of(1), {1: 1085}
    check_chain(disc, "toc", ("ccd", "mds", "nrg"))


def test_subchannel_goes_into_clonecd():
    """What is stored of the subchannel is written, not made."""
    disc = Disc()
    place = write("sub.nrg", nrg(disc, True, {1: 2352, 2: 2352}, sub=True))
    platter("convert", "-q", "--no-sync", place, path("sub.ccd"))
    check_sub(path("sub.ccd"), disc, raw96)
    expect_equal(os.path.getsize(path("sub.sub")) % 96, 0, "rest of the subchannel file")


def test_data_becomes_a_disc():
    """A plain image of a file system is the only track of the new disc."""
    data = lib.noise(2048 * 400)
    iso = write("a.iso", data)
    for kind in ("ccd", "mds", "nrg"):
        platter("convert", "-q", "--no-sync", iso, path(f"a.{kind}"))
        expect(platter("cat", path(f"a.{kind}")).out == data, f"{kind} does not give the data back")
        platter("verify", "-q", path(f"a.{kind}"))


def test_dvds():
    """What does not fit on a CD, or comes from a DVD, is written as one: its data as it is, and what says so."""
    big, small = path("big.iso"), lib.noise(2048 * 300)
    with open(big, "wb") as f:
        f.truncate(2048 * 460000)
        f.seek(2048 * 459999)
        f.write(lib.noise(2048))
    platter("convert", "-q", "--no-sync", big, path("big.mds"))
    with open(path("big.mds"), "rb") as f:
        ours = f.read()
    theirs = mds_dvd(["big.mdf"], [460000])
    expect_equal(ours[112], 2, "mode of a DVD's track")
    expect(ours[:112] + theirs[112:113] + ours[113:] == theirs, "the sheet differs")
    run(["cmp", path("big.mdf"), big])
    platter("convert", "-q", "--no-sync", big, path("big.nrg"))
    platter("compare", path("big.nrg"), path("big.mds"))
    write("small.mdf", small)
    write("small.mds", mds_dvd(["small.mdf"], [300]))
    for a, b in (("small.mds", "a.nrg"), ("a.nrg", "b.mds"), ("b.mds", "c.mds")):
        platter("convert", "-q", "--no-sync", path(a), path(b))
        found = info(path(b))
        expect_equal((found["medium"], [t["start"] for t in found["tracks"]], found["sessions"][0]["end"]), ("DVD", [0], 300), b)
        expect(platter("cat", path(b)).out == small, f"{b} has other data")
        platter("verify", "-q", path(b))
    with open(path("a.nrg"), "rb") as f:
        expect(f.read(len(small)) == small, "the data is not at the beginning")


def test_cd_info_reads_our_dvd():
    """libcdio finds the track of a DVD in an image of ours."""
    need_tool("cd-info")
    write("small.mdf", bytes(2048 * 300))
    write("small.mds", mds_dvd(["small.mdf"], [300]))
    platter("convert", "-q", "--no-sync", path("small.mds"), path("a.nrg"))
    expect_equal(listed_tracks(path("a.nrg"))[0], {1: (0, "data"), 170: (300, "leadout")}, "tracks")


def test_dvds_are_not_written():
    """What does not fit into the times of a CD is refused before anything is written."""
    big = path("big.iso")
    with open(big, "wb") as f:
        f.truncate(2048 * 460000)
    for kind in ("ccd", "cue", "toc"):
        said = platter("convert", "-q", big, path(f"big.{kind}"), status=3).errors
        expect("is for CDs" in said, f"said {said!r}")
        expect(not os.path.exists(path(f"big.{kind}")), "a file was left")


def test_files_that_are_there_stay():
    """The data file of another disc is not overwritten."""
    iso = write("a.iso", lib.noise(2048 * 300))
    for kind, data in (("ccd", "img"), ("ccd", "sub"), ("mds", "mdf")):
        write(f"b.{data}", b"precious")
        platter("convert", "-q", "--no-sync", iso, path(f"b.{kind}"), status=3)
        with open(path(f"b.{data}"), "rb") as f:
            expect_equal(f.read(), b"precious", f"b.{data}")
        expect(not os.path.exists(path(f"b.{kind}")), "the sheet was written")
        os.remove(path(f"b.{data}"))


# ---- other programs ----

def test_ccd2iso_reads_ours():
    """ccd2iso finds the user data in the sectors."""
    need_tool("ccd2iso")
    data = lib.noise(2048 * 300)
    platter("convert", "-q", "--no-sync", write("a.iso", data), path("a.ccd"))
    run(["ccd2iso", path("a.img"), path("out.iso")])
    with open(path("out.iso"), "rb") as f:
        expect(f.read() == data, "ccd2iso reads something else")


def test_mdf2iso_reads_ours():
    """mdf2iso finds the user data in the sectors."""
    need_tool("mdf2iso")
    data = lib.noise(2048 * 300)
    platter("convert", "-q", "--no-sync", write("a.iso", data), path("a.mds"))
    run(["mdf2iso", path("a.mdf"), path("out.iso")])
    with open(path("out.iso"), "rb") as f:
        expect(f.read() == data, "mdf2iso reads something else")


def test_nrg2iso_reads_as_we_do():
    """Of an image with cooked sectors nrg2iso copies what is behind the pregap: our track 1."""
    need_tool("nrg2iso")
    disc = Disc()
    place = write("a.nrg", nrg(disc, True, {1: 2048, 2: 2048}))
    run(["nrg2iso", place, path("out.iso")])
    with open(path("out.iso"), "rb") as f:
        theirs = f.read()
    ours = platter("cat", place + "?disk=1").out
    expect(len(ours) == 320 * 2048 and theirs[:len(ours)] == ours, "nrg2iso reads something else")


def listed_tracks(place):
    """{number: (LSN, kind)} and where the lead-out is, as cd-info of libcdio tells."""
    said = run(["cd-info", "--no-device-info", "--no-cddb", "-N", place]).text
    found = re.findall(r"^ *(\d+): \d\d:\d\d:\d\d +(\d+) (\w+)", said, re.M)
    expect(found, f"cd-info lists no tracks: {said}")
    return {int(n): (int(lsn), kind) for n, lsn, kind in found}, said


def test_cd_info_reads_our_nero_images():
    """libcdio lists the tracks of an image of ours, and its CD-TEXT and MCN."""
    need_tool("cd-info")
    disc = Disc()
    disc.tracks = [Track(1, 1, 0, 0, 150, 320), Track(2, 1, 0, 470, 150, 310, isrc="DEABC0412345")]
    disc.ends = {1: 780}
    origin = write("origin.nrg", nrg(disc, False, {}, text=TEXT))
    platter("convert", "-q", "--no-sync", origin, path("a.cue"))
    platter("convert", "-q", "--no-sync", path("a.cue"), path("a.nrg"))
    tracks, said = listed_tracks(path("a.nrg"))
    expect_equal(tracks, {1: (0, "audio"), 2: (470, "audio"), 170: (780, "leadout")}, "tracks")
    expect("TITLE: Disc" in said and disc.mcn in said, f"cd-info said {said}")


def test_samples():
    """Nero images of libcdio's own tests have the tracks that cd-info lists."""
    found = samples(lambda s: s.kind == "optical" and ".nrg" in s.name)
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)


def check_sample(s):
    place = unpacked(s.stored)
    disc = info(place)
    kinds = {"audio": "audio", "XA": "mode2"}
    expect_equal(len(disc["tracks"]), int(s.expect["tracks"]), "number of tracks")
    for t in disc["tracks"]:
        kind, lsn = s.expect[f"track{t['number']}"].split(",lsn ")
        expect_equal((t["mode"], t["start"]), (kinds[kind], int(lsn)), f"track {t['number']}")
    expect_equal(disc["sessions"][-1]["end"], int(s.expect["leadout"].removeprefix("lsn ")), "lead-out")
    raw = digest(place + "?disk=raw")
    for kind in ("ccd", "mds", "nrg"):
        platter("convert", "-q", "--no-sync", place, path(f"s.{kind}"))
        expect_equal(digest(path(f"s.{kind}") + "?disk=raw"), raw, f"SHA-256 as {kind}")
