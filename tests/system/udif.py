# SPDX-License-Identifier: GPL-3.0-or-later
"""UDIF images, read and made by nothing of platter's: all their checksums, every chunk."""
import bz2
import lzma
import plistlib
import struct
import zlib

SECTOR = 512
ZERO, RAW, IGNORE, COMMENT, TERMINATOR = 0, 1, 2, 0x7ffffffe, 0xffffffff
ADC, ZLIB, BZIP2, LZFSE, LZMA = range(0x80000004, 0x80000009)
DECODERS = {RAW: bytes, ZLIB: zlib.decompress, BZIP2: bz2.decompress, LZMA: lzma.decompress}
ENCODERS = {RAW: bytes, ZLIB: zlib.compress, BZIP2: bz2.compress, LZMA: lambda d: lzma.compress(d, preset=1)}


def crc_of(checksum):
    kind, bits, crc = struct.unpack(">III", checksum[:12])
    return crc if (kind, bits) == (2, 32) else None


class Table:
    def __init__(self, entry):
        b = entry["Data"]
        magic, version, self.first, self.sectors, offset, self.buffers, descriptor = struct.unpack(">4sIQQQIi", b[:40])
        assert (magic, version, offset) == (b"mish", 1, 0), b[:40]
        self.name, self.id, self.descriptor = entry["Name"], entry["ID"], descriptor
        assert entry["CFName"] == self.name
        self.crc = crc_of(b[0x40:0xc8])
        nr = struct.unpack(">I", b[0xc8:0xcc])[0]
        assert len(b) == 0xcc + 40 * nr, (len(b), nr)
        rows = [struct.unpack(">IIQQQQ", b[0xcc + 40 * i:0xcc + 40 * (i + 1)]) for i in range(nr)]
        assert rows[-1][0] == TERMINATOR and rows[-1][2] == self.sectors, rows[-1]
        self.chunks = [(r[0], *r[2:]) for r in rows[:-1]]
        at = 0
        for kind, start, sectors, _, _ in self.chunks:
            assert start == at and sectors > 0 and kind != TERMINATOR, (self.name, start, at)
            at += sectors
        assert at == self.sectors, (self.name, at, self.sectors)


class Image:
    """What is in an image that has all that Apple's have; an assertion fails where it is not right."""

    def __init__(self, path):
        with open(path, "rb") as f:
            b = f.read()
        k = b[-512:]
        magic, version, size, flags, running, at, length, _, _, segment, segments = struct.unpack(">4sIIIQQQQQII", k[:0x40])
        assert (magic, version, size, flags, running, at, segment, segments) == (b"koly", 4, 512, 1, 0, 0, 1, 1), k[:0x40]
        xml, xml_length = struct.unpack(">QQ", k[0xd8:0xe8])
        assert xml == length and xml + xml_length + 512 == len(b), (xml, length, xml_length, len(b))
        self.id, self.fork = k[0x40:0x50], b[:length]
        self.variant, self.sectors = struct.unpack(">IQ", k[0x1e8:0x1f4])
        plist = plistlib.loads(b[xml:xml + xml_length])
        self.tables = [Table(e) for e in plist["resource-fork"]["blkx"]]
        assert crc_of(k[0x50:0xd8]) == zlib.crc32(self.fork), "the CRC-32 of the data fork"
        assert crc_of(k[0x160:0x1e8]) == zlib.crc32(b"".join(struct.pack(">I", t.crc) for t in self.tables)), "the master CRC-32"
        at = 0
        for t in self.tables:
            assert t.first == at, (t.name, t.first, at)
            at += t.sectors
        assert at == self.sectors, (at, self.sectors)

    def kinds(self):
        return {c[0] for t in self.tables for c in t.chunks}

    def disk(self, lzfse=None):
        """The bytes of the disk; the CRC-32 of each table is compared.  Apple's codec is not in Python: `lzfse` has the disk."""
        out = []
        for t in self.tables:
            crc, at = 0, t.first * SECTOR
            for kind, _, sectors, offset, length in t.chunks:
                n = sectors * SECTOR
                if kind in (ZERO, IGNORE):
                    piece = bytes(n)
                elif kind == LZFSE:
                    assert self.fork[offset:offset + 3] == b"bvx" and self.fork[offset + length - 4:offset + length] == b"bvx$"
                    piece = lzfse[at:at + n]
                else:
                    piece = DECODERS[kind](self.fork[offset:offset + length])
                assert len(piece) == n, (t.name, kind, len(piece), n)
                crc = crc if kind == IGNORE else zlib.crc32(piece, crc)
                out.append(piece)
                at += n
            assert crc == t.crc, f"the CRC-32 of table {t.name!r}"
        return b"".join(out)


def checksum(crc):
    return struct.pack(">III124x", 2, 32, crc)


def make(disk, tables, kind, chunk=512, more=None):
    """The data fork, property list and master checksum of an image of `disk`, with (name, sectors) tables."""
    fork, entries, crcs, first = b"", [], b"", 0
    for number, (name, sectors) in enumerate(tables):
        rows, crc = b"", 0
        for at in range(0, sectors, chunk):
            n = min(chunk, sectors - at)
            piece = disk[(first + at) * SECTOR:(first + at + n) * SECTOR]
            if not any(piece):
                row = (IGNORE, 0, at, n, 0, 0) if "Free" in name else (ZERO, 0, at, n, 0, 0)
            else:
                stored = ENCODERS[kind](piece)
                row = (kind, 0, at, n, len(fork), len(stored))
                if len(stored) >= len(piece):
                    row, stored = (RAW, 0, at, n, len(fork), len(piece)), piece
                fork += stored
            crc = crc if row[0] == IGNORE else zlib.crc32(piece, crc)
            rows += struct.pack(">IIQQQQ", *row)
        rows += struct.pack(">IIQQQQ", TERMINATOR, 0, sectors, 0, len(fork), 0)
        blob = struct.pack(">4sIQQQIi24x", b"mish", 1, first, sectors, 0, chunk + 8, number) + checksum(crc)
        blob += struct.pack(">I", len(rows) // 40) + rows
        entries.append({"Attributes": "0x0050", "CFName": name, "Data": blob, "ID": str(number - 1), "Name": name})
        crcs += struct.pack(">I", crc)
        first += sectors
    plist = plistlib.dumps({"resource-fork": {"blkx": entries, **(more or {})}})
    return fork, plist, zlib.crc32(crcs)


def koly(fork, plist, master, sectors, segment=(1, 1), running=0):
    return (struct.pack(">4sIIIQQQQQII16s", b"koly", 4, 512, 1, running, 0, len(fork), 0, 0, *segment, b"test" * 4)
            + checksum(zlib.crc32(fork)) + struct.pack(">QQ120x", len(fork) if plist else 0, len(plist))
            + checksum(master) + struct.pack(">IQ12x", 1, sectors))


def write(path, *parts):
    with open(path, "wb") as f:
        for part in parts:
            f.write(part)
    return path
