# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of one disc in formats that no program here writes, built field by field from what is
known of their layout: independent of the readers, which share no code with this."""
import hashlib
import random
import struct

FIRST_GAP, PREGAP = 11400, 150
_edc_table = []


def _edc(data):
    if not _edc_table:
        for i in range(256):
            for _ in range(8):
                i = i >> 1 ^ (0xD8018001 if i & 1 else 0)
            _edc_table.append(i)
    edc = 0
    for b in data:
        edc = edc >> 8 ^ _edc_table[(edc ^ b) & 255]
    return struct.pack("<I", edc)


def _bcd(n):
    return n // 10 << 4 | n % 10


def _header(lba, mode):
    n = lba + PREGAP
    return b"\0" + b"\xff" * 10 + b"\0" + bytes([_bcd(n // 4500), _bcd(n // 75 % 60), _bcd(n % 75), mode])


SUBHEADER = bytes([0, 0, 8, 0]) * 2


class Track:
    """`mode` is 0 for sound; `data` the sectors from index 1 on, 2352 or 2048 bytes each."""

    def __init__(self, number, session, mode, start, pregap, nr, flags=0, isrc="", indexes=()):
        self.number, self.session, self.mode, self.start = number, session, mode, start
        self.pregap, self.nr, self.flags, self.isrc = pregap, nr, flags, isrc
        self.indexes = list(indexes)
        size = 2048 if mode else 2352
        bytes_ = random.Random(number).randbytes(size * nr)
        self.data = [bytes_[i * size:(i + 1) * size] for i in range(nr)]

    @property
    def control(self):
        return (4 if self.mode else 0) | self.flags

    @property
    def end(self):
        return self.start + self.nr

    def sector(self, lba, kind):
        """What is stored of a sector as 2048, 2056, 2332, 2336, 2352 bytes; zeros in the pregap."""
        user = self.data[lba - self.start] if lba >= self.start else bytes(2048 if self.mode else 2352)
        if not self.mode or kind == 2048:
            return user
        if kind == 2056:
            return SUBHEADER + user
        if self.mode == 1:
            body = _header(lba, 1) + user
            return body + _edc(body) + bytes(284)
        body = SUBHEADER + user
        body += _edc(body) + bytes(276)
        return {2336: body, 2352: _header(lba, 2) + body, 2332: body[:2332]}[kind]

    def sectors(self, first, kind, sub=None):
        return b"".join(self.sector(lba, kind) + (sub(self, lba) if sub else b"")
                        for lba in range(first, self.end))

    def sha256(self):
        return hashlib.sha256(b"".join(self.data)).hexdigest()


class Disc:
    """Data, sound with a pregap and without, and a second session of mode 2."""
    mcn = "4006408001072"

    def __init__(self):
        self.tracks = [
            Track(1, 1, 1, 0, 150, 320),
            Track(2, 1, 0, 470, 150, 310, flags=2, isrc="DEABC0412345", indexes=(570, 600)),
            Track(3, 1, 0, 780, 0, 305, flags=1),
            Track(4, 2, 2, 1085 + FIRST_GAP, 150, 302),
        ]
        self.ends = {1: 1085, 2: 1085 + FIRST_GAP + 302}

    def of(self, session):
        return [t for t in self.tracks if t.session == session]


def raw96(track, lba):
    """96 bytes of interleaved subchannel that tell the sector: Q is the LBA, the rest zeros."""
    q = struct.pack(">12s", b"%011d" % (lba + PREGAP))
    return bytes((q[i // 8] >> 7 - i % 8 & 1) << 6 for i in range(96))


def packed96(track, lba):
    return bytes(12) + struct.pack(">12s", b"%011d" % (lba + PREGAP)) + bytes(72)


def q16(track, lba):
    return struct.pack(">16s", b"%011d" % (lba + PREGAP))


# ---- Nero ----

def _nrg_mode(t, kind, sub):
    if sub:
        return {0: 0x10, 1: 0x0F, 2: 0x11}[t.mode]
    return {(0, 2352): 7, (1, 2048): 0, (1, 2352): 5, (2, 2048): 2, (2, 2336): 3, (2, 2352): 6}[
        t.mode, 2352 if not t.mode else kind]


def _chunk(name, data):
    return name + struct.pack(">I", len(data)) + data


def _trailer(wide, at):
    return b"NER5" + struct.pack(">Q", at) if wide else b"NERO" + struct.pack(">I", at)


def nrg(disc, wide, kinds, sub=False, text=b""):
    """Disc at once; `kinds`: bytes of a sector by mode."""
    out, chunks = bytearray(), b""
    number = ">Q" if wide else ">I"
    for session in disc.ends:
        tracks = disc.of(session)

        def cue(t, track, index, lba):
            if wide:
                position = struct.pack(">i", lba)
            else:
                n = lba + PREGAP
                position = bytes([0, _bcd(n // 4500), _bcd(n // 75 % 60), _bcd(n % 75)])
            return bytes([t.control << 4 | 1, track, index, 0]) + position
        cues, daos = cue(tracks[0], 0, 0, tracks[0].start - tracks[0].pregap), b""
        for t in tracks:
            kind = kinds.get(t.mode, 2352)
            size = kind + (96 if sub else 0)
            cues += cue(t, _bcd(t.number), 0, t.start - t.pregap) + cue(t, _bcd(t.number), 1, t.start)
            for i, lba in enumerate(t.indexes):
                cues += cue(t, _bcd(t.number), i + 2, lba)
            offsets = [len(out), len(out) + t.pregap * size]
            out += t.sectors(t.start - t.pregap, kind, raw96 if sub else None)
            daos += t.isrc.encode().ljust(12, b"\0") + struct.pack(">HB3x", size, _nrg_mode(t, kind, sub))
            daos += b"".join(struct.pack(number, n) for n in [*offsets, len(out)])
        cues += cue(t, 0xAA, 1, disc.ends[session])
        head = struct.pack(">I", 22 + len(daos)) + disc.mcn.encode() + b"\0\x00\x01"
        daos = head + bytes([tracks[0].number, t.number]) + daos
        chunks += _chunk(b"CUEX" if wide else b"CUES", cues) + _chunk(b"DAOX" if wide else b"DAOI", daos)
        if text and session == 1:
            chunks += _chunk(b"CDTX", text)
        chunks += _chunk(b"SINF", struct.pack(">I", len(tracks)))
    chunks += _chunk(b"MTYP", struct.pack(">I", 1)) + _chunk(b"END!", b"")
    return bytes(out) + chunks + _trailer(wide, len(out))


def nrg_tracks(tracks, wide):
    """Track at once: one session of tracks with pregaps that are not stored."""
    out, entries = bytearray(), b""
    for i, t in enumerate(tracks):
        kind = {0: 2352, 1: 2048, 2: 2336}[t.mode]
        data = t.sectors(t.start, kind)
        entries += struct.pack(">QQIIQ" if wide else ">IIIII", len(out), len(data), _nrg_mode(t, kind, False),
                               t.start - i * PREGAP, 0)
        out += data
    chunks = _chunk(b"ETN2" if wide else b"ETNF", entries) + _chunk(b"SINF", struct.pack(">I", len(tracks)))
    return bytes(out) + chunks + _chunk(b"END!", b"") + _trailer(wide, len(out))


# ---- DiscJuggler ----

_MARK = bytes([0, 0, 1, 0, 0, 0, 255, 255, 255, 255])


def _cdi_header(version, name=b"C:\\track.bin"):
    out = bytes(4) + _MARK + _MARK + bytes([0, 0, 0, 4]) + bytes([len(name)]) + name
    out += bytes(11) + bytes([2]) + bytes(7)
    if version == 2:
        return out + bytes(4)
    return out + struct.pack("<IIHH", 0x80000000, 360000, 0, 0x98)


def cdi(disc, version, kinds, text=b""):
    """`version` 2, 3 or 4; `kinds`: how sectors are read by mode, 0 to 4."""
    out = bytearray()
    d = struct.pack("<H", len(disc.ends))
    for session in disc.ends:
        tracks = disc.of(session)
        d += struct.pack("<H", len(tracks))
        for t in tracks:
            read = kinds[t.mode]
            kind = [2048, 2336, 2352, 2352, 2352][read]
            sub = [None, None, None, q16, raw96][read]
            out += t.sectors(t.start - t.pregap, kind, sub)
            bounds = [t.start - t.pregap, t.start, *t.indexes, t.end]
            lengths = [b - a for a, b in zip(bounds, bounds[1:])]
            d += _cdi_header(version) + struct.pack("<H", len(lengths))
            d += b"".join(struct.pack("<I", n) for n in lengths)
            if t.isrc and version > 2:
                d += struct.pack("<I", 1) + bytes(10) + b"\5Title" + bytes(7)
            else:
                d += struct.pack("<I", 0)
            total = t.pregap + t.nr
            d += bytes(2) + struct.pack("<IIIIII", t.mode, 0, session - 1, t.number - tracks[0].number,
                                        t.start - t.pregap + PREGAP, total)
            d += bytes(16) + struct.pack("<II", read, t.control) + b"\0" + struct.pack("<I", total) + bytes(4)
            d += t.isrc.encode().ljust(12, b"\0") + struct.pack("<I", bool(t.isrc))
            if version > 2:
                d += bytes(5) + b"\xff" * 4 + bytes([1, 0, 0, 0, 0x80, 0, 0, 0]) + bytes(70)
        d += bytes(12 if version == 2 else 13)
    if version == 4:
        d += bytes(2) + _cdi_header(4) + struct.pack("<I", disc.ends[2] + PREGAP) + b"\4DISC" + bytes(9)
        d += disc.mcn.encode() + struct.pack("<II", 1, len(text)) + text + bytes(8)
    value = len(d) + 8 if version == 4 else len(out)
    return bytes(out) + d + struct.pack("<II", 0x80000002 + version, value)


# ---- BlindWrite ----

def b6t(disc, names, sub=None, text=b""):
    """The sheet, and the bytes of the data files `names`: of each session one."""
    files, blocks, at = {}, b"", []
    for session, name in zip(disc.ends, names):
        files[name] = files.get(name, b"")
        for t in disc.of(session):
            first = t.start - t.pregap
            data = t.sectors(first, 2352, sub)
            utf16 = name.encode("utf-16-le")
            blocks += struct.pack("<II16xI12xiII", 0x8000 if not t.mode else 0, len(data), len(files[name]),
                                  first, t.pregap + t.nr, len(utf16)) + utf16 + bytes(4)
            at.append(t)
            files[name] += data
    blocks = struct.pack("<II", len(at), 6) + b"D:\0\0\0\0" + blocks
    sessions = b""
    for session, end in disc.ends.items():
        tracks = disc.of(session)
        sessions += struct.pack("<HBBiiHH", session, 3 + len(tracks), 3, tracks[0].start - tracks[0].pregap,
                                end, tracks[0].number, tracks[-1].number)
        for point in (0xA0, 0xA1, 0xA2):
            sessions += bytes(12) + bytes([point]) + bytes(51)
        for t in tracks:
            e = bytearray(72)
            e[0] = {0: 1, 1: 2, 2: 4}[t.mode]
            e[8], e[10], e[11], e[12] = 4 if sub else 0, t.control, 1, t.number
            struct.pack_into("<I", e, 22, t.pregap)
            struct.pack_into("<iI", e, 42, t.start - t.pregap, t.pregap + t.nr)
            struct.pack_into("<I", e, 58, session)
            sessions += e
    h = bytearray(260)
    h[:16] = b"BWT5 STREAM SIGN"
    struct.pack_into("<HH", h, 48, 8, len(disc.ends))
    h[64:78] = b"\1" + disc.mcn.encode()
    struct.pack_into("<HHHH", h, 96, 0, 0, len(text), 56)
    h[160:188] = b"VENDOR  PRODUCT         1.00"
    struct.pack_into("<IIIII", h, 240, 20, 4, len(blocks), len(sessions), 0)
    sheet = bytes(h) + bytes(20) + bytes(4) + text + bytes(56) + blocks + sessions
    return sheet + struct.pack("<I", len(sheet) + 20) + b"BWT5 STREAM FOOT", files


# ---- Easy CD Creator ----

def _riff(kind, data):
    return b"RIFF" + struct.pack("<I", len(data) + 4) + kind + data + bytes(len(data) % 2)


def cif(disc):
    out = bytearray(_riff(b"imag", bytes(20)))
    offsets, sessions = b"", b""
    for session in disc.ends:
        tracks = disc.of(session)
        sessions += struct.pack("<HHHHHHHHH", 18, len(tracks), 1, 1, 0, 1, 0, 0, 0)
        for t in tracks:
            kind, code = {0: (2352, 0), 1: (2048, 1), 2: (2056, 2)}[t.mode]
            data = t.sectors(t.start, kind)
            offsets += b"RIFF" + struct.pack("<I", len(data) + 4) + b"adio" + struct.pack("<I6x", len(out) + 8)
            out += _riff(b"adio", data)
            more = bytearray(272)
            if not t.mode:
                more[205:217] = t.isrc.encode().ljust(12, b"\0")
                more[269:] = b"Title %d\0" % t.number
            sessions += struct.pack("<HHIHHHHHHHH", 24 + len(more), 0, t.nr, 0, code, 0, 0, 0, 4, 0, kind) + more
    title = b"Disc" + b"Band\0"
    head = struct.pack("<HHHHHHHH", 16 + len(title), 2, len(disc.tracks), 4, 16 + len(title), 0, 2, 0)
    out += _riff(b"disc", bytes(8) + head + title + sessions)
    out += _riff(b"ofs ", bytes(8) + struct.pack("<H", len(disc.tracks)) + offsets)
    return bytes(out)


# ---- Alcohol 120% ----

def mds(disc, name, sub=False, wide=False, pregaps=False):
    """The sheet, and the data file; `pregaps`: it has them, uncounted."""
    out, blocks, extras = bytearray(), b"", b""
    at_blocks = 88 + 24 * len(disc.ends)
    at_extras = at_blocks + 80 * (len(disc.tracks) + 3 * len(disc.ends))
    at_footer = at_extras + 8 * len(disc.tracks)
    sessions = b""
    for session, end in disc.ends.items():
        tracks = disc.of(session)
        sessions += struct.pack("<iiHBBHHII", tracks[0].start - tracks[0].pregap, end, session, 3 + len(tracks), 3,
                                tracks[0].number, tracks[-1].number, 0, at_blocks + len(blocks))
        for point in (0xA0, 0xA1, 0xA2):
            blocks += bytes([0, 0, 0x14, 0, point]) + bytes(75)
        for t in tracks:
            first = t.start - (t.pregap if pregaps and t.number > 1 else 0)
            data = t.sectors(first, 2352, raw96 if sub else None)
            size = 2448 if sub else 2352
            b = bytearray(80)
            b[0:5] = [{0: 0xA9, 1: 0xAA, 2: 0xAC}[t.mode], 8 if sub else 0, 0x10 | t.control, 0, t.number]
            struct.pack_into("<IH", b, 12, at_extras + len(extras), size)
            struct.pack_into("<IQII", b, 36, t.start, len(out) + (t.start - first) * size, 1, at_footer)
            blocks += b
            extras += struct.pack("<II", t.pregap, t.nr)
            out += data
    header = b"MEDIA DESCRIPTOR" + struct.pack("<BBHH42xII4xII4xII", 1, 3, 0, len(disc.ends), 0, 0, 0, 0, 0, 0)
    header = bytearray(header[:88].ljust(88, b"\0"))
    struct.pack_into("<II", header, 80, 88, 0)
    name = name.encode("utf-16-le") + b"\0\0" if wide else name.encode() + b"\0"
    footer = struct.pack("<IIII", at_footer + 16, wide, 0, 0)
    return bytes(header) + sessions + blocks + extras + footer + name, bytes(out)


def mds_dvd(names, parts):
    """The sheet of a DVD whose data is in several files of so many sectors."""
    header = bytearray(88)
    header[:22] = b"MEDIA DESCRIPTOR" + struct.pack("<BBHH", 1, 3, 0x10, 1)
    struct.pack_into("<I", header, 80, 88)
    total, at_footer = sum(parts), 88 + 24 + 80
    session = struct.pack("<iiHBBHHII", 0, total, 1, 1, 0, 1, 1, 0, 112)
    block = bytearray(80)
    block[0:5] = [0xAA, 0, 0x14, 0, 1]
    struct.pack_into("<IH", block, 12, total, 2048)
    struct.pack_into("<IQII", block, 36, 0, 0, len(parts), at_footer)
    footers, text = b"", b""
    for name in names:
        footers += struct.pack("<IIII", at_footer + 16 * len(names) + len(text), 0, 0, 0)
        text += name.encode() + b"\0"
    return bytes(header) + session + bytes(block) + footers + text


# ---- CloneCD ----

def ccd(disc, indexes=True, text=()):
    """The sheet, the sectors, their subchannel."""
    lines = ["[CloneCD]", "Version=2", "[Disc]", f"TocEntries={len(disc.tracks) + 3 * len(disc.ends)}",
             f"Sessions={len(disc.ends)}", "DataTracksScrambled=0", f"CDTextLength={18 * len(text)}",
             f"CATALOG={disc.mcn}"]
    n, out, subs, bases = 0, b"", b"", {}
    for session, end in disc.ends.items():
        tracks = disc.of(session)
        bases[session] = tracks[0].start
        for point, t in [(0xA0, None), (0xA1, None), (0xA2, None)] + [(t.number, t) for t in tracks]:
            control = (t or tracks[0]).control
            plba = t.start if t else end
            lines += [f"[Entry {n}]", f"Session={session}", f"Point=0x{point:02x}", "ADR=0x01",
                      f"Control=0x{control:02x}", "TrackNo=0", "ALBA=-150", f"PLBA={plba}"]
            n += 1
    for t in disc.tracks:
        first = t.start - (t.pregap if t.number == 2 else 0)
        base = bases[t.session]
        lines += [f"[TRACK {t.number}]", f"MODE={t.mode}"]
        if t.isrc:
            lines += [f"ISRC={t.isrc}"]
        if t.number == 2 and indexes:
            lines += [f"INDEX 0={first - base}"]
        if indexes:
            lines += [f"INDEX 1={t.start - base}"] + [f"INDEX {i + 2}={x - base}" for i, x in enumerate(t.indexes)]
        out += t.sectors(first, 2352)
        subs += b"".join(packed96(t, lba) for lba in range(first, t.end))
    if text:
        lines += ["[CDText]", f"Entries={len(text)}"]
        lines += [f"Entry {i}=" + " ".join(f"{b:02x}" for b in p) for i, p in enumerate(text)]
    return ("\r\n".join(lines) + "\r\n").encode(), out, subs


def pack(kind, track, sequence, text):
    """A CD-TEXT pack with its CRC."""
    data = bytes([kind, track, sequence, 0]) + text.ljust(12, b"\0")
    crc = 0
    for b in data:
        crc ^= b << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return data + struct.pack(">H", crc ^ 0xFFFF)
