# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed images of discs, written and read from their descriptions with Python's codecs: what
platter's drivers are held against, and what the seeds of their fuzz targets are made with."""
import bz2
import lzma
import os
import struct
import zlib

import lz4.block

import lib

SECTOR = 2048


def put(name, data):
    """The bytes as a file of the test's folder; returns its path."""
    with open(lib.path(name), "wb") as f:
        f.write(data)
    return lib.path(name)


def get(name):
    with open(name, "rb") as f:
        return f.read()


FILES = {"prose.txt": 200 * lib.KIB, "program": None, "noise": 150 * lib.KIB + 77, "zeros": 300 * lib.KIB}


def make_iso():
    """An ISO of text, a program, noise and zeros, as bytes."""
    lib.need_tool("xorriso")
    os.makedirs(lib.path("tree"), exist_ok=True)
    put("tree/prose.txt", lib.prose(FILES["prose.txt"]))
    put("tree/program", get("/bin/ls"))
    put("tree/noise", lib.noise(FILES["noise"]))
    put("tree/zeros", bytes(FILES["zeros"]))
    lib.run(["xorriso", "-as", "mkisofs", "-quiet", "-V", "WRAPPED", "-R", "-J", "-o", lib.path("made.iso"), lib.path("tree")])
    return get(lib.path("made.iso"))


def opens_all_the_way(image, iso):
    """What is inside of the image of that ISO is told, listed, read and converted."""
    lib.expect("iso9660" in [c["name"] for c in lib.info(image)["contents"]], "no file system is found")
    lib.expect_equal(sorted(lib.platter("ls", image).text.split()), sorted(FILES), "files")
    lib.expect(lib.platter("cat", f"{image}:/prose.txt").out == lib.prose(FILES["prose.txt"]), "the file differs")
    lib.platter("convert", "-q", "--force", image, lib.path("back.iso"))
    lib.same_bytes(put("disc.iso", iso), lib.path("back.iso"))
    lib.platter("verify", "-q", image)


def pieces(disc, size):
    return [disc[at:at + size] for at in range(0, len(disc), size)]


def raw_deflate(data, level=9):
    c = zlib.compressobj(level, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush()


def raw_lz4(data):
    return lz4.block.compress(data, mode="high_compression", store_size=False)


# ---- CSO, ZSO ----

def cso(disc, kind="cso1", block=SECTOR, shift=0, header_size=24):
    """kind: cso1, cso2 or zso; in cso2 every other block is by LZ4."""
    align = 1 << shift
    blocks = pieces(disc, block)
    at = 24 + 4 * (len(blocks) + 1)
    at += -at % align
    index, data = [], b"\0" * (at - 24 - 4 * (len(blocks) + 1))
    start = at - len(data)
    for i, plain in enumerate(blocks):
        plain = plain.ljust(block, b"\0")
        lz = kind == "zso" or (kind == "cso2" and i % 2)
        packed = raw_lz4(plain) if lz else raw_deflate(plain)
        stored = len(packed) + -len(packed) % align >= block
        flag = stored if kind != "cso2" else lz and not stored
        index.append((start + len(data)) >> shift | flag << 31)
        data += plain if stored else packed
        data += b"\0" * (-(start + len(data)) % align)
    index.append((start + len(data)) >> shift)
    magic, version = {"cso1": (b"CISO", 1), "cso2": (b"CISO", 2), "zso": (b"ZISO", 1)}[kind]
    return (struct.pack("<4sIQIBBH", magic, header_size, len(disc), block, version, shift, 0)
            + struct.pack(f"<{len(index)}I", *index) + data)


def read_cso(image):
    """The disc in a CSO or ZSO of at most a few MiB."""
    magic, header, size, block, version, shift, _ = struct.unpack_from("<4sIQIBBH", image)
    assert magic in (b"CISO", b"ZISO") and header == 24
    nr = -(-size // block)
    index = struct.unpack_from(f"<{nr + 1}I", image, 24)
    out = []
    for entry, following in zip(index, index[1:]):
        flag = entry >> 31
        start, end = (entry & 0x7fffffff) << shift, (following & 0x7fffffff) << shift
        data = image[start:end]
        if version == 2:
            stored, lz = end - start >= block, flag
        else:
            stored, lz = flag, magic == b"ZISO"
        if stored:
            out.append(data[:block])
        elif lz:
            # Its end is not told: the padding follows.
            out.append(next(filter(None, (try_lz4(data[:len(data) - cut], block) for cut in range(1 << shift)))))
        else:
            out.append(zlib.decompressobj(-15).decompress(data))
        assert len(out[-1]) == block, (entry, len(out[-1]))
    assert (index[-1] & 0x7fffffff) << shift == len(image)
    return b"".join(out)[:size]


def read_cso_block(f, number):
    """One block of a CSO of version 1, however large that is."""
    f.seek(0)
    _, _, _, block, _, shift, _ = struct.unpack("<4sIQIBBH", f.read(24))
    f.seek(24 + 4 * number)
    entry, following = struct.unpack("<2I", f.read(8))
    start, end = (entry & 0x7fffffff) << shift, (following & 0x7fffffff) << shift
    f.seek(start)
    data = f.read(end - start)
    return data[:block] if entry >> 31 else zlib.decompressobj(-15).decompress(data)


def try_lz4(data, size):
    try:
        plain = lz4.block.decompress(data, uncompressed_size=size)
    except lz4.block.LZ4BlockError:
        return None
    return plain if len(plain) == size else None


# ---- DAX ----

def dax(disc, version=1, stored=()):
    """stored: (first frame, how many) that are as they are."""
    frames = pieces(disc, 8192)
    plain = {i for first, nr in stored for i in range(first, first + nr)}
    data = [f if i in plain else zlib.compress(f.ljust(8192, b"\0")) for i, f in enumerate(frames)]
    areas = b"".join(struct.pack("<II", *a) for a in stored)
    at = 32 + 6 * len(frames) + len(areas)
    offsets = [at + sum(map(len, data[:i])) for i in range(len(data))]
    return (struct.pack("<4sIII16x", b"DAX", len(disc), version, len(stored)) + struct.pack(f"<{len(data)}I", *offsets)
            + struct.pack(f"<{len(data)}H", *map(len, data)) + areas + b"".join(data))


# ---- ISZ ----

ISZ_MASK = bytes(~b & 0xff for b in b"IsZ!")


def isz_masked(table):
    return bytes(b ^ ISZ_MASK[i % 4] for i, b in enumerate(table))


def isz_pack(i, plain, methods):
    """Method and stored bytes of the i-th chunk."""
    method = methods[i % len(methods)]
    if not any(plain):
        method = 0
    if method == 3:
        return 3, b"\1\2\3" + bz2.compress(plain)[3:]
    return method, {0: b"", 1: plain, 2: zlib.compress(plain)}[method]


def isz(disc, chunk=8192, entry=3, methods=(2, 3, 1), encrypt=None, encryption=0, cut=(), sums=True):
    """encrypt: what becomes of stored bytes; cut: lengths of the data in all files but the last.  One image a file."""
    sector = next(n for n in (2048, 512, 1) if len(disc) % n == 0)
    table, data, lengths = b"", b"", []
    for i, plain in enumerate(pieces(disc, chunk)):
        method, stored = isz_pack(i, plain, methods)
        if encrypt:
            stored = encrypt(stored)
        length = len(stored) if method else len(plain)
        table += (length | method << 8 * entry - 2).to_bytes(entry, "little")
        data += stored
        lengths.append(len(stored))
    size = 64 if sums else 48

    def header(number, chunks_at=0, segments_at=0, data_at=0, total=0):
        h = struct.pack("<4sBBIHIBQIIBBIIIB", b"IsZ!", size, 1, 0x12345678, sector, len(disc) // sector, encryption, total,
                        len(lengths), chunk, entry, number, chunks_at, segments_at, data_at, 0)
        return h + (struct.pack("<IIII", ~zlib.crc32(disc) & 0xffffffff, 0, 0, 0) if sums else b"")

    if not cut:
        return [header(0, size, 0, size + len(table)) + isz_masked(table) + data]
    # Each file has what follows of the data; a chunk may go on in the next.
    starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
    ends = [sum(cut[:i + 1]) for i in range(len(cut))] + [len(data)]
    segments, at, first = b"", 0, 0
    first_at = size + len(table) + 24 * (len(ends) + 1)
    left = 0
    for i, end in enumerate(ends):
        begun = sum(1 for s in starts[:-1] if s < end) if i + 1 < len(ends) else len(lengths)
        begins_at = (first_at if i == 0 else size) + left
        left = max(0, starts[begun] - end)
        segments += struct.pack("<QIIII", begins_at + end - at, begun - first, first, begins_at, left)
        first, at = begun, end
    segments += bytes(24)
    files, at = [], 0
    for i, end in enumerate(ends):
        if i == 0:
            files.append(header(0, size, size + len(table), first_at, 1) + isz_masked(table) + isz_masked(segments) + data[:end])
        else:
            files.append(header(i, 0, 0, size, 1) + data[at:end])
        at = end
    return files


# ---- sectors of CDs, and ECM ----

def edc_table():
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0xd8018001 if i & 1 else 0)
        yield i


EDC = list(edc_table())
TWICE = [i << 1 ^ (0x11d if i & 0x80 else 0) for i in range(256)]
HALF = {i ^ TWICE[i]: i for i in range(256)}


def edc(data, value=0):
    for b in data:
        value = value >> 8 ^ EDC[(value ^ b) & 0xff]
    return value


def parity(area, major, minor, major_step, minor_step):
    """Two bytes of parity for each of `major` vectors of `minor` bytes."""
    first, second = bytearray(), bytearray()
    for m in range(major):
        at, a, b = (m >> 1) * major_step + (m & 1), 0, 0
        for _ in range(minor):
            t = area[at]
            at = (at + minor_step) % (major * minor)
            a = TWICE[a ^ t]
            b ^= t
        a = HALF[TWICE[a] ^ b]
        first.append(a)
        second.append(a ^ b)
    return bytes(first + second)


def sector(kind, number, data):
    """A whole sector: kind 1, mode 1; 2 and 3, forms of mode 2."""
    bcd = lambda n: n // 10 << 4 | n % 10
    number += 150
    header = bytes([bcd(number // 4500), bcd(number // 75 % 60), bcd(number % 75), 1 if kind == 1 else 2])
    sync = b"\0" + b"\xff" * 10 + b"\0"
    if kind == 1:
        body = header + data
        body += struct.pack("<I", edc(sync + body)) + bytes(8)
    else:
        sub = bytes([1, 2, 0x20 if kind == 3 else 8, 0]) * 2
        body = header + sub + data
        body += struct.pack("<I", edc(sub + data))
    if kind == 3:
        return sync + body
    area = body if kind == 1 else bytes(4) + body[4:]
    area += parity(area, 86, 24, 2, 86)
    area += parity(area, 52, 43, 86, 88)
    return sync + body + area[2064:]


def ecm_record(kind, count):
    count -= 1
    head = [kind | (count & 0x1f) << 2]
    count >>= 5
    while count:
        head[-1] |= 0x80
        head.append(count & 0x7f)
        count >>= 7
    return bytes(head)


def ecm(parts):
    """(kind, units) one after another, kind 0: bytes; the others whole sectors, of mode 2 without sync and header.

    Returns the file and the disc."""
    out, disc = b"ECM\0", b""
    for kind, units in parts:
        out += ecm_record(kind, len(units))
        if kind == 0:
            out, disc = out + units, disc + units
            continue
        for s in units:
            disc += s if kind == 1 else s[16:]
            out += s[12:15] + s[16:2064] if kind == 1 else s[20:2072 if kind == 2 else 2348]
    return out + b"\xfc\xff\xff\xff\x3f" + struct.pack("<I", edc(disc)), disc


# ---- LZMA without a header, DAA and GBI ----

LZMA = {"id": lzma.FILTER_LZMA1, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}
LZMA_PROPERTIES = bytes([(2 * 5 + 0) * 9 + 3]) + struct.pack("<I", 1 << 16)


def raw_lzma(data, x86=False):
    filters = [{"id": lzma.FILTER_X86}] * x86 + [LZMA]
    return lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters)


def pack_bits(numbers):
    """(value, bits), the lowest bit first."""
    total = at = 0
    for value, bits in numbers:
        total |= value << at
        at += bits
    return total.to_bytes((at + 7) // 8, "little")


def daa_entries_2(chunks, widths, masked):
    masks = (0x0a, 0x35, 0x2d, 0x3f, 0x08, 0x33, 0x09, 0x15)
    for i, (kind, stored) in enumerate(chunks):
        mask = ((i ^ masks[i & 7]) & 0xff) * 0x01010101 if masked else 0
        for value, bits in ((len(stored) - 5, widths[0]), (max(kind, 0), widths[1])):
            yield value ^ mask & (1 << bits) - 1, bits


def daa_masked(table, size, crc, gbi, by_size):
    out = bytearray(table)
    if by_size:
        mask, step = size // 2048 & 0xff, size // 2048 >> 8 & 0xff
        for i in range(len(out)):
            out[i] = out[i] + mask & 0xff
            mask = mask + step & 0xff
    if gbi:
        out = bytearray((b ^ len(out) // 4 & 0xff) + crc & 0xff for b in out)
    return bytes(out)


def daa(disc, version=1, chunk=65536, kinds=(0, 1), x86=False, gbi=False, masked=False, bits_masked=False, lengths_bits=None,
        cut=(), descriptors=b""):
    """kinds, of version 2: 0 LZMA, 1 deflate, -1 as it is; cut: lengths of the data in all files but the last.  One image a file."""
    chunks = []
    for i, plain in enumerate(pieces(disc, chunk)):
        kind = 1 if version == 1 else kinds[i % len(kinds)]
        stored = raw_deflate(plain) if kind == 1 else raw_lzma(plain, x86) if kind == 0 else plain
        if version == 2 and len(stored) >= chunk:
            stored = plain.ljust(chunk, b"\0")
        chunks.append((kind, stored))
    if cut:
        descriptors += struct.pack("<III", 1, 8 + 12, 0) + bytes(8) + struct.pack("<IIII", 2, 16, len(cut) + 1, 1)
    widths = (lengths_bits or chunk.bit_length() - 1, 1)
    if version == 1:
        table = b"".join(bytes([len(s) >> 16, len(s) & 0xff, len(s) >> 8 & 0xff]) for _, s in chunks)
        size_field, extra = chunk, bytes(16)
    else:
        table = pack_bits(list(daa_entries_2(chunks, widths, bits_masked)))
        size_field = chunk >> 14 | 0x100000 | bits_masked << 17 | masked << 27 | gbi << 23
        extra = struct.pack("<BIBB", 1, 0, (lengths_bits - 10 << 3 if lengths_bits else 0) | 1, x86) + LZMA_PROPERTIES + bytes(4)
    data = b"".join(s for _, s in chunks)
    ends = [sum(cut[:i + 1]) for i in range(len(cut))] + [len(data)]
    table_at = 76 + len(descriptors)
    data_at = table_at + len(table)
    name = b"GBI" if gbi else b"DAA"
    head = struct.pack("<16sIIIIIIQQ", name, table_at, 0x100 if version == 1 else 0x110, data_at, 1, 0, size_field, len(disc),
                       data_at + ends[0]) + extra
    crc = zlib.crc32(head)
    table = daa_masked(table, len(disc), crc & 0xff, gbi, masked)
    files = [head + struct.pack("<I", crc) + descriptors + table + data[:ends[0]]]
    for start, end in zip(ends, ends[1:]):
        part = struct.pack("<16sI16s", name + b" VOL", 76, b"")
        # Readers take a whole header, whatever a part has of it.
        files.append((part + struct.pack("<I", zlib.crc32(part))).ljust(76, b"\0") + data[start:end])
    return files


# ---- UIF ----

def uif_pack(data, version, x86):
    if version < 3:
        return zlib.compress(data)
    return bytes([x86]) + LZMA_PROPERTIES + struct.pack("<Q", len(data)) + raw_lzma(data, x86)


def uif(disc, version=1, piece=32, kinds=(5, 1), x86=False, sector=2048, packed=True, kind=8, key=0, cipher=0, order=1, sign=b"blhr"):
    """kinds: 5 compressed, 1 as it is; zeros are 3.  order -1: the table is backwards."""
    data, entries = b"", []
    plain = disc.ljust(-(-len(disc) // sector) * sector, b"\0")
    for i, chunk in enumerate(pieces(plain, piece * sector)):
        how = kinds[i % len(kinds)] if any(chunk) else 3
        stored = uif_pack(chunk, version, x86) if how == 5 else chunk.rstrip(b"\0") if how == 1 else b""
        entries.append(struct.pack("<QIIII", len(data), len(stored), i * piece, len(chunk) // sector, how))
        data += stored
    table = b"".join(entries[::order])
    if packed:
        table = uif_pack(table, version, x86)
    head = struct.pack("<4sIII", sign, len(table) + 8, packed, len(entries))
    last = len(disc) % sector
    return data + head + table + struct.pack("<4sIHHHHIIIQI16sBBBBI", b"bbis", 64, version, kind, 0, 0, len(plain) // sector, sector,
                                             last, len(data), len(head) + len(table) + 64, b"", key, cipher, 0, 0, 0)


# ---- seeds ----

def small_disc():
    """A few sectors: text, noise without a seed, zeros, and a part of one."""
    noise = bytes((i * i >> 3 ^ i * 7919) & 0xff for i in range(SECTOR))
    return b"to be or not " * 300 + noise + bytes(3 * SECTOR) + noise[:100] * 40 + b"end"


def seeds():
    disc = small_disc()
    for kind in ("cso1", "cso2", "zso"):
        name = "zso" if kind == "zso" else "cso"
        yield f"{name}-{kind}", cso(disc, kind)
        yield f"{name}-{kind}-shift", cso(disc, kind, 4096, 3)
        yield f"{name}-{kind}-cut", cso(disc, kind)[:3000]
    yield "dax-zlib", dax(disc, 0)
    yield "dax-areas", dax(disc, 1, ((0, 1), (1, 1)))
    yield "dax-cut", dax(disc)[:200]
    yield "isz-mixed", isz(disc, 4096)[0]
    yield "isz-short", isz(disc, 2048, 2, sums=False)[0]
    yield "isz-segments", isz(disc, 4096, cut=(2000, 3000))[0]
    yield "isz-aes", isz(disc, 4096, encryption=2)[0]
    yield "isz-cut", isz(disc, 4096)[0][:700]
    user = disc[:2324]
    yield "ecm-sectors", ecm([(1, [sector(1, i, user[:2048]) for i in range(3)]), (0, b"bytes"),
                              (2, [sector(2, 3, user[:2048])]), (3, [sector(3, 4, user)])])[0]
    yield "ecm-bytes", ecm([(0, disc)])[0]
    yield "ecm-tiny", ecm([(0, bytes([i & 0xff])) for i in range(2000)])[0]
    yield "ecm-cut", ecm([(0, disc)])[0][:1000]
    yield "daa-one", daa(disc, chunk=4096)[0]
    yield "daa-two", daa(disc * 3, 2, 16384, (0, 1, -1), x86=True)[0]
    yield "daa-masked", daa(disc * 3, 2, 16384, (0,), masked=True, bits_masked=True, lengths_bits=16)[0]
    yield "daa-gbi", daa(disc * 3, 2, 16384, (1,), gbi=True)[0]
    yield "daa-parts", daa(disc, chunk=4096, cut=(2000,))[0]
    yield "daa-cut", daa(disc, chunk=4096)[0][:1500]
    yield "uif-zlib", uif(disc, piece=2)
    yield "uif-lzma", uif(disc, 3, 2, x86=True)
    yield "uif-plain", uif(disc, 2, 3, packed=False, order=-1)
    yield "uif-password", uif(disc, sign=b"bsdr")


def write_seeds():
    """Each into a file, FORMAT-NAME."""
    for name, image in seeds():
        with open(name, "wb") as f:
            f.write(image)
