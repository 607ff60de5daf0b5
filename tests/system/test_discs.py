# SPDX-License-Identifier: GPL-3.0-or-later
"""Optical discs: the samples of the corpus, conversions between their formats, tracks of sound, and what
libcdio, cdrdao, flac and Python's own reader of sound make of what we write."""
import hashlib
import os
import re
import wave

import lib
from lib import expect, expect_equal, limit, need_tool, path, platter, run, unpacked, weight
from test_corpus import check_content, file_lines, link, placed, samples

RAW, USER = 2352, 2048
KNOWN = [f for f in platter("formats", "--json").json()["formats"] if f["holds"] == "disc"]
CREATED = [f["name"] for f in KNOWN if f["create"]]


def disc(place):
    return lib.info(place)["disc"]


# ---- samples ----

def is_disc(s):
    extension = s.name.removesuffix(".xz").rpartition(".")[2]
    return s.kind == "optical" and "part-of" not in s.expect and any(extension in f["extensions"] for f in KNOWN)


MODES = {"audio": "audio", "AUDIO": "audio", "MODE1/2352": "mode1", "MODE2/2352": "mode2", "XA": "mode2"}


def check_tracks(s, place):
    have = disc(place)
    told = {k: v for k, v in s.expect.items() if re.fullmatch(r"track\d+", k)}
    if "tracks" in s.expect:
        expect_equal(len(have["tracks"]), int(s.expect["tracks"]), "tracks")
    by_number = {t["number"]: t for t in have["tracks"]}
    for key, value in told.items():
        track = by_number[int(key[5:])]
        mode, _, lsn = value.partition(",")
        if mode == "data":
            expect(track["mode"] != "audio", f"{key} is {track['mode']}")
        else:
            expect_equal(track["mode"], MODES[mode], f"mode of {key}")
        if lsn:
            expect_equal(track["start"], int(lsn.split()[1]), f"start of {key}")
    if "leadout" in s.expect:
        expect_equal(have["sessions"][-1]["end"], int(s.expect["leadout"].split()[1]), "lead-out")


def check_sample(s):
    place = placed(s)
    check_tracks(s, place)
    if "track1.iso.sha256" in s.expect:
        expect_equal(platter("hash", f"{place}?disk=1").text.split()[0], s.expect["track1.iso.sha256"], "SHA-256 of track 1")
    check_content(s, "track1.", lib.info(place)["contents"], "track 1")
    if "track1.tree" in s.expect:
        expect_equal(hashlib.sha256(b"".join(file_lines(place, status=0))).hexdigest(), s.expect["track1.tree"], "the files")
    # Sectors that the sample's files lack are damage.
    cut = "295 sectors" in platter("info", place).text
    platter("verify", place, status=1 if cut else 0)


@limit(300)
def test_samples():
    """Discs of libcdio, igir and libchdman-rs read as the manifest says."""
    found = samples(is_disc)
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)


# ---- discs of our own ----

def edc(data, table=[]):
    if not table:
        for i in range(256):
            c = i
            for _ in range(8):
                c = c >> 1 ^ (0xd8018001 if c & 1 else 0)
            table.append(c)
    c = 0
    for b in data:
        c = c >> 8 ^ table[(c ^ b) & 255]
    return c.to_bytes(4, "little")


def mode1(lba, user):
    """A sector of mode 1, without ECC: nothing here reads that."""
    n = lba + 150
    bcd = lambda v: v // 10 << 4 | v % 10
    head = b"\0" + b"\xff" * 10 + b"\0" + bytes([bcd(n // 4500), bcd(n // 75 % 60), bcd(n % 75), 1]) + user
    return head + edc(head) + bytes(284)


def sectors(nr, seed):
    return lib.noise(nr * RAW, seed)


def iso(name):
    """An ISO 9660 image with a few files."""
    os.makedirs(path("tree") + "/sub", exist_ok=True)
    for name_in, size in (("one.txt", 5000), ("sub/two.bin", 200000)):
        with open(os.path.join(path("tree"), name_in), "wb") as f:
            f.write(lib.noise(size, name_in))
    run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-V", "MIXED", "-o", path(name), path("tree")])
    return path(name)


def mixed(name, gap=True):
    """A disc of data and two tracks of sound, with all that a cue sheet can say."""
    with open(iso("data.iso"), "rb") as f:
        data = f.read()
    nr = len(data) // USER
    with open(path(name + ".bin"), "wb") as f:
        for i in range(nr):
            f.write(mode1(i, data[i * USER:(i + 1) * USER]))
        f.write(sectors(150 + 400 + 75 + 300, "sound"))
    msf = lambda n: f"{n // 4500:02}:{n // 75 % 60:02}:{n % 75:02}"
    with open(path(name + ".cue"), "w", encoding="utf-8") as f:
        f.write(f'CATALOG 1234567890123\nTITLE "Mixed"\nPERFORMER "Some \xe9"\nFILE "{name}.bin" BINARY\n'
                f'  TRACK 01 MODE1/2352\n    INDEX 01 00:00:00\n'
                f'  TRACK 02 AUDIO\n    TITLE "First song"\n    PERFORMER "Her"\n    FLAGS DCP PRE\n    ISRC ABCDE1234567\n'
                f'    INDEX 00 {msf(nr)}\n    INDEX 01 {msf(nr + 150)}\n    INDEX 02 {msf(nr + 200)}\n'
                f'  TRACK 03 AUDIO\n    TITLE "Second song"\n    INDEX 00 {msf(nr + 550)}\n    INDEX 01 {msf(nr + 625)}\n')
    return path(name + ".cue"), data, nr


# Formats that have no place for codes and for indexes beyond 1.
PLAIN = {"mds"}


def facts(place, plain=False):
    """What must survive every conversion, or every one to a plain format."""
    d = disc(place)
    keep = ("number", "session", "mode", "start", "pregap", "length", "copy", "preemphasis")
    tracks = [{k: t[k] for k in (keep if plain else (*keep, "indexes", "isrc"))} for t in d["tracks"]]
    # The sectors before LBA 0 are on every disc, whether or not the image tells.
    tracks[0]["pregap"] -= 150 if tracks[0]["pregap"] == 150 + tracks[0]["start"] else 0
    return "" if plain else d["mcn"], tracks, d["sessions"]


def raw_hash(place):
    return platter("hash", f"{place}?disk=raw").text.split()[0]


def test_a_mixed_disc():
    """Data, sound, gaps, indexes and texts of a cue sheet: as files, tracks and raw sectors."""
    need_tool("xorriso")
    cue, data, nr = mixed("disc")
    d = disc(cue)
    expect_equal([(t["mode"], t["start"], t["pregap"], t["length"]) for t in d["tracks"]],
                 [("mode1", 0, 0, nr), ("audio", nr + 150, 150, 400), ("audio", nr + 625, 75, 300)], "tracks")
    expect_equal(d["tracks"][1]["indexes"], [nr + 200], "index 2")
    expect_equal((d["text"]["title"], d["tracks"][1]["text"]["performer"], d["tracks"][1]["isrc"]), ("Mixed", "Her", "ABCDE1234567"), "texts")
    platter("convert", "-q", cue, path("out.iso"))
    with open(path("out.iso"), "rb") as f:
        expect(f.read() == data, "the data track differs")
    with open(path("disc.bin"), "rb") as f:
        whole = f.read()
    expect_equal(raw_hash(cue), hashlib.sha256(whole).hexdigest(), "raw sectors")
    track = platter("hash", f"{cue}?disk=2").text.split()[0]
    expect_equal(track, hashlib.sha256(whole[(nr + 150) * RAW:(nr + 550) * RAW]).hexdigest(), "track 2")
    expect_equal(platter("cat", f"{cue}:/one.txt").out, lib.noise(5000, "one.txt"), "a file")
    # Its ECC was left out, and EDC is right: worth a note, no damage.
    expect("ECC" in platter("verify", cue).text, "verify says nothing of the missing ECC")
    platter("info", f"{cue}?disk=4", status=3)


@limit(300)
def test_every_disc_format_to_every_other():
    """Converted to each format and on to each other, a disc keeps its sectors, tracks, gaps, ISRC and number."""
    need_tool("xorriso")
    cue, _, _ = mixed("disc")
    sums = raw_hash(cue)
    for a in CREATED:
        def attempt(a=a):
            first = path(f"first.{a}")
            platter("convert", "-q", "--verify", "--no-sync", "--force", cue, first)
            expect_equal(facts(first, a in PLAIN), facts(cue, a in PLAIN), f"{a}: tracks")
            expect_equal(raw_hash(first), sums, f"{a}: sectors")
            for b in CREATED:
                second = path(f"second.{b}")
                platter("convert", "-q", "--no-sync", "--force", first, second)
                plain = bool({a, b} & PLAIN)
                expect_equal(facts(second, plain), facts(cue, plain), f"{a} to {b}: tracks")
                expect_equal(raw_hash(second), sums, f"{a} to {b}: sectors")
        yield a, attempt


def test_data_becomes_a_disc():
    """An ISO becomes a disc of one track in each format, sectors and all, and comes back from it."""
    need_tool("xorriso")
    source = iso("data.iso")
    for name in CREATED:
        target = path(f"disc.{name}")
        platter("convert", "-q", "--force", "--verify", source, target)
        platter("verify", target)
        platter("convert", "-q", "--force", target, path("back.iso"))
        run(["cmp", source, path("back.iso")])
    with open(path("odd"), "wb") as f:
        f.write(bytes(3000))
    r = platter("convert", path("odd"), path("odd.cue"), status=3)
    expect("2048" in r.errors and not os.path.exists(path("odd.bin.part")), r.errors)


def test_others_read_our_sheets():
    """cd-info and cdrdao find the tracks of a disc that we wrote where we do."""
    need_tool("xorriso", "cd-info", "cdrdao")
    cue, _, nr = mixed("disc")
    platter("convert", "-q", cue, path("ours.toc"))
    platter("convert", "-q", cue, path("theirs.cue"))
    said = run(["cd-info", "--no-device-info", "--no-cddb", "--no-disc-mode", "-c", path("theirs.cue")], status=None).text
    for number, lsn, kind in ((1, 0, "data"), (2, nr + 150, "audio"), (3, nr + 625, "audio")):
        expect(re.search(rf"^ *{number}: \S+ +{lsn:06} {kind}", said, re.M), f"track {number} of the cue: {said}")
    expect("1234567890123" in said and "First song" in said, said)
    r = run(["cdrdao", "show-toc", path("ours.toc")], status=None)
    said = r.text + r.errors
    for number, lba in ((2, nr + 150), (3, nr + 625)):
        expect(re.search(rf"TRACK +{number} +Mode AUDIO:.*?START +\S+\( *{lba}\)", said, re.S), f"track {number} of the TOC: {said}")
    run(["iso-info", "-i", path("theirs.cue"), "--no-header"], status=None)


def test_texts_of_a_toc():
    """What one track has cdrdao wants of all tracks, and of the disc."""
    with open(path("a.bin"), "wb") as f:
        f.write(sectors(900, "sound"))
    with open(path("a.cue"), "w", encoding="ascii") as f:
        f.write('FILE "a.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n'
                ' TRACK 02 AUDIO\n  SONGWRITER "Him"\n  INDEX 01 00:06:00\n')
    platter("convert", "-q", path("a.cue"), path("b.toc"))
    with open(path("b.toc"), encoding="ascii") as f:
        sheet = f.read()
    expect_equal(re.findall(r'(\w+) "(.*)"$', sheet, re.M), [("SONGWRITER", ""), ("SONGWRITER", ""), ("SONGWRITER", "Him")], "texts")
    expect_equal([t["text"]["songwriter"] for t in disc(path("b.toc"))["tracks"]], ["", "Him"], "read again")


def test_names_that_cue_sheets_cannot_say():
    """A name with quotes is refused before anything is written; other sheets have it."""
    with open(path("a.iso"), "wb") as f:
        f.write(lib.noise(300 * USER))
    r = platter("convert", "-q", path("a.iso"), path('7" single.cue'), status=3)
    expect("cannot name the file" in r.errors, r)
    expect_equal(os.listdir(path("")), ["a.iso"], "files")
    platter("convert", "-q", path("a.iso"), path('7" single.toc'))
    platter("compare", path('7" single.toc'), path("a.iso"))


def test_genres():
    """The genre of a cue sheet goes through CD-TEXT into a cue sheet."""
    with open(path("a.bin"), "wb") as f:
        f.write(sectors(300, "sound"))
    with open(path("a.cue"), "w", encoding="ascii") as f:
        f.write('REM GENRE "Big band"\nFILE "a.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n')
    platter("convert", "-q", path("a.cue"), path("b.ccd"))
    platter("convert", "-q", path("b.ccd"), path("c.cue"))
    with open(path("c.cue"), encoding="ascii") as f:
        expect('REM GENRE "Big band"\n' in f.read(), "the genre is not in the sheet")
    expect_equal(disc(path("c.cue"))["text"]["genre"], "Big band", "genre")


def test_sound():
    """A track becomes WAVE and FLAC that others read alike, with its tags, also through a pipe."""
    need_tool("xorriso", "flac", "metaflac")
    cue, _, nr = mixed("disc")
    with open(path("disc.bin"), "rb") as f:
        f.seek((nr + 150) * RAW)
        samples_of_track = f.read(400 * RAW)
    platter("convert", "-q", "--verify", f"{cue}?disk=2", path("song.wav"))
    platter("convert", "-q", "--verify", f"{cue}?disk=2", path("song.flac"))
    with wave.open(path("song.wav")) as w:
        expect_equal((w.getframerate(), w.getnchannels(), w.getsampwidth()), (44100, 2, 2), "kind of sound")
        expect(w.readframes(1 << 30) == samples_of_track, "the WAVE file differs")
    run(["flac", "-s", "-d", "--force-raw-format", "--endian=little", "--sign=signed", "-o", path("song.raw"), path("song.flac")])
    with open(path("song.raw"), "rb") as f:
        expect(f.read() == samples_of_track, "the FLAC file differs")
    tags = run(["metaflac", "--export-tags-to=-", path("song.flac")]).text
    for tag in ("TITLE=First song", "ARTIST=Her", "ALBUM=Mixed", "ISRC=ABCDE1234567", "TRACKNUMBER=2"):
        expect(tag in tags, f"{tag} is not among the tags: {tags}")
    piped = platter("convert", "-q", f"{cue}?disk=2", "-", "-O", "flac").out
    with open(path("song.flac"), "rb") as f:
        expect(piped == f.read(), "standard output differs")
    # And theirs.
    run(["flac", "-s", "-f", "-o", path("theirs.flac"), path("song.wav")])
    with open(path("sound.cue"), "w", encoding="ascii") as f:
        f.write('FILE "theirs.flac" FLAC\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\nFILE "song.wav" WAVE\n TRACK 02 AUDIO\n  INDEX 01 00:00:00\n')
    for number in (1, 2):
        expect_equal(platter("hash", f"{path('sound.cue')}?disk={number}").text.split()[0],
                     hashlib.sha256(samples_of_track).hexdigest(), f"track {number}")
    platter("convert", f"{cue}?disk=1", path("data.wav"), status=3)


def test_aiff():
    """AIFF and AIFF-C files that flac makes are read, alone and named by a cue sheet; MP3 is refused with words."""
    need_tool("flac")
    data = sectors(200, "sound")
    with open(path("a.raw"), "wb") as f:
        f.write(data)
    for name, option in (("a.aiff", "--force-aiff-format"), ("b.aifc", "--force-aiff-c-none-format"),
                         ("c.aifc", "--force-aiff-c-sowt-format")):
        run(["flac", "-s", "-f", "--force-raw-format", "--endian=little", "--sign=signed", "--channels=2", "--bps=16",
             "--sample-rate=44100", "-o", path("a.flac"), path("a.raw")])
        if run(["flac", "-s", "-f", "-d", option, "-o", path(name), path("a.flac")], status=None).status != 0:
            # Those of before 1.4.3 write AIFF alone.
            continue
        expect(platter("cat", path(name)).out == data, f"{name} has other samples")
        platter("convert", "-q", path(name), path("back.wav"), "--force")
        expect(platter("cat", path("back.wav")).out == data, f"{name} becomes another WAVE file")
        with open(path("disc.cue"), "w", encoding="ascii") as f:
            f.write(f'FILE "{name}" AIFF\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n TRACK 02 AUDIO\n  INDEX 01 00:01:00\n')
        expect(platter("cat", path("disc.cue") + "?disk=2").out == data[75 * RAW:], f"track 2 of {name} differs")
    with open(path("disc.cue"), "w", encoding="ascii") as f:
        f.write('FILE "a.mp3" MP3\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n')
    r = platter("info", path("disc.cue"), status=3)
    expect("is of type 'MP3'" in r.errors and "sound program" in r.errors, r)


def test_damaged_sound():
    """A damaged frame of a FLAC file is an error, and so is one that is missing: nothing stands in for it."""
    with open(path("a.bin"), "wb") as f:
        f.write(sectors(300, "sound"))
    with open(path("a.cue"), "w", encoding="ascii") as f:
        f.write('FILE "a.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n')
    platter("convert", "-q", path("a.cue") + "?disk=1", path("a.flac"))
    with open(path("a.flac"), "rb") as f:
        whole = f.read()
    frames = [m.start() for m in re.finditer(rb"\xff\xf8\xc9[\x18\x88\x98\xa8]", whole)]
    expect(len(frames) >= 300 * 588 // 4096, "frames are not found")
    damaged = {
        "a flipped bit": whole[:frames[20] + 5000] + bytes([whole[frames[20] + 5000] ^ 1]) + whole[frames[20] + 5001:],
        "a frame that is missing": whole[:frames[20]] + whole[frames[21]:],
        "a frame twice": whole[:frames[21]] + whole[frames[20]:]}
    for what, data in damaged.items():
        with open(path("b.flac"), "wb") as f:
            f.write(data)
        r = platter("verify", path("b.flac"), status=1)
        expect("can be decoded" in r.text + r.errors, f"{what}: {r}")
        platter("cat", path("b.flac"), status=3)


def test_damage():
    """ECC corrects what it can; what it cannot is bad in the map, in verify and in every copy."""
    need_tool("xorriso")
    platter("convert", "-q", iso("data.iso"), path("disc.cue"))
    with open(path("disc.bin"), "r+b") as f:
        f.seek(40 * RAW + 100)
        f.write(b"\x55")
        f.seek(50 * RAW + 50)
        f.write(lib.noise(1900, "damage"))
    said = platter("verify", path("disc.cue"), status=1)
    expect("sector 40 has wrong EDC, which ECC corrects" in said.text + said.errors, said)
    expect("sector 50 has wrong EDC, and ECC cannot" in said.text + said.errors, said)
    maps = platter("map", "--json", path("disc.cue")).json()
    bad = [e for e in maps["extents"] if e["kind"] == "bad"]
    expect_equal([(e["offset"], e["length"]) for e in bad], [(50 * USER, USER)], "bad extents")
    platter("convert", "-q", path("disc.cue"), path("out.iso"), status=4)
    with open(path("data.iso"), "rb") as f, open(path("out.iso"), "rb") as g:
        want, have = f.read(), g.read()
    expect(have == want[:50 * USER] + bytes(USER) + want[51 * USER:], "more than the bad sector differs")


def test_broken_sheets():
    """Sheets of libcdio's tests that are wrong are refused, or read without harm."""
    found = samples(lambda s: s.kind == "broken" and s.name.startswith("broken/libcdio/") and s.name.endswith((".cue", ".toc")))
    expect(found, "the manifest lists none of these")
    cdda = next(s for s in lib.manifest() if s.name == "optical/libcdio/cdda.bin")
    link(unpacked(cdda.stored), path("cdda.bin"))
    for s in found:
        def attempt(s=s):
            sheet = link(unpacked(s.stored), path(os.path.basename(s.name)))
            r = platter("info", sheet, status=3 if "error" in s.expect else None)
            expect(r.status in (0, 3), r)
        yield s.name, attempt


def test_tracks_without_sectors():
    """A track that a sheet tells of and that has only its pregap is read, and not written as another disc."""
    with open(path("a.bin"), "wb") as f:
        f.write(sectors(300, "sound"))
    with open(path("a.cue"), "w", encoding="ascii") as f:
        f.write('FILE "a.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n'
                ' TRACK 02 AUDIO\n  INDEX 00 00:02:00\n  INDEX 01 00:04:00\n')
    expect_equal([t["length"] for t in disc(path("a.cue"))["tracks"]], [150, 0], "lengths")
    expect_equal(platter("cat", path("a.cue") + "?disk=2").out, b"", "track 2")
    for name in CREATED + ["chd"]:
        r = platter("convert", "-q", path("a.cue"), path(f"b.{name}"), status=3)
        expect("track 2 of" in r.errors and "has no sectors" in r.errors, r)
        expect(not os.path.exists(path(f"b.{name}")), "a file was left")
    platter("convert", "-q", path("a.cue") + "?disk=1", path("b.wav"))


def test_a_claim_costs_nothing():
    """A sheet that tells of 90 minutes over an empty file opens at once, or says what is missing."""
    with open(path("big.cue"), "w", encoding="ascii") as f:
        f.write('FILE "big.bin" BINARY\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n TRACK 02 AUDIO\n  INDEX 01 99999:00:00\n')
    with open(path("big.bin"), "wb") as f:
        f.truncate(RAW)
    r = platter("info", path("big.cue"), timeout=5, status=None)
    expect(r.status in (0, 3) and r.rss < 64 * lib.MIB, r)


def field(image):
    """The application's part of the volume descriptor, where an MD5 is implanted."""
    with open(image, "rb") as f:
        f.seek(16 * USER + 883)
        return f.read(512)


def test_implanted_md5():
    """What implantisomd5 wrote is compared, and checkisomd5 accepts what we write, which is the same."""
    need_tool("xorriso", "implantisomd5", "checkisomd5")
    os.makedirs(path("tree"), exist_ok=True)
    with open(os.path.join(path("tree"), "file"), "wb") as f:
        f.write(lib.noise(3 * lib.MIB, "file"))
    theirs, ours = iso("theirs.iso"), path("ours.iso")
    run(["implantisomd5", theirs])
    expect("the implanted MD5 fits" in platter("verify", theirs).text, "verify does not compare it")
    platter("new", "-q", ours, "--from", path("tree"), "--implant-md5")
    expect("PASS" in run(["checkisomd5", ours], status=None).errors, "checkisomd5 does not accept ours")
    mine = field(ours)
    run(["implantisomd5", "-f", ours])
    expect_equal(field(ours), mine, "what implantisomd5 writes into the same image")
    platter("convert", "-q", theirs, path("theirs.cue"))
    expect("the implanted MD5 fits" in platter("verify", path("theirs.cue")).text, "nor on a disc in another format")
    with open(theirs, "r+b") as f:
        f.seek(100 * USER)
        f.write(b"damage")
    said = platter("verify", theirs, status=1)
    expect("and that of the data is" in said.text + said.errors, said)
    r = run(["sh", "-c", '"$0" new -q - --from "$1" --implant-md5 | cat', lib.PLATTER, path("tree")])
    expect("implanted in a stream" in r.errors, r)
