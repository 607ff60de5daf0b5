# SPDX-License-Identifier: GPL-3.0-or-later
"""SquashFS images of versions 1 to 3, which no packaged tool makes any more."""
import struct
import zlib

TYPES = {"folder": 1, "file": 2, "symlink": 3, "block device": 4, "character device": 5, "fifo": 6, "socket": 7}
NONE = 0xffffffff


def pack(big, *fields):
    """Bit fields (value, bits) as compilers lay them out."""
    total = value = 0
    for v, n in fields:
        value = value << n | v if big else value | v << total
        total += n
    return value.to_bytes(total // 8, "big" if big else "little")


class Table:
    """Blocks of 8192 bytes, compressed each, with their stored length in front."""

    def __init__(self, big, check, as_is):
        self.big, self.check, self.as_is = big, check, as_is
        self.out, self.block = bytearray(), bytearray()

    def at(self):
        return len(self.out), len(self.block)

    def flush(self):
        if self.block:
            packed = zlib.compress(bytes(self.block))
            if self.as_is or len(packed) >= len(self.block):
                packed, flag = bytes(self.block), 0x8000
            else:
                flag = 0
            self.out += pack(self.big, (len(packed) | flag, 16)) + (b"\xff" if self.check else b"") + packed
            self.block = bytearray()

    def add(self, data):
        while data:
            n = 8192 - len(self.block)
            self.block += data[:n]
            data = data[n:]
            if len(self.block) == 8192:
                self.flush()


class Image:
    def __init__(self, version, big, block_size=4096, check=False, as_is=False):
        self.version, self.big, self.block_size, self.as_is = version, big, block_size, as_is
        self.check = check
        self.data = bytearray({1: 51, 2: 63, 3: 119}[version])
        self.inodes, self.folders = Table(big, check, as_is), Table(big, check, as_is)
        self.fragment, self.fragments = bytearray(), []  # the one being filled, and those that are full
        self.uids, self.gids, self.number = [], [], 0

    def stored(self, data):
        """Add a block; its place and its length with the flag of version 2 and 3."""
        packed = zlib.compress(data)
        flag = 0
        if self.as_is or len(packed) >= len(data):
            packed, flag = data, 1 << 24
        at = len(self.data)
        self.data += packed
        return at, len(packed) | flag

    def base(self, kind, f):
        """Type, mode, owner, group; in version 3 the time and number too."""
        if f["uid"] not in self.uids:
            self.uids.append(f["uid"])
        uid = self.uids.index(f["uid"])
        if f["gid"] == f["uid"]:
            gid = 15 if self.version == 1 else 255
        else:
            if f["gid"] not in self.gids:
                self.gids.append(f["gid"])
            gid = self.gids.index(f["gid"])
        self.number += 1
        f["number"] = self.number
        if self.version == 1:
            kind = 0 if kind > 5 else kind + uid // 16 * 5
            return [(kind, 4), (f["mode"], 12), (uid % 16, 4), (gid, 4)], uid // 16
        more = [(f["mtime"], 32), (self.number, 32)] if self.version == 3 else []
        return [(kind, 4), (f["mode"], 12), (uid, 8), (gid, 8), *more], 0

    def time(self, f):
        return [(f["mtime"], 32)] if self.version < 3 else []

    def links(self):
        return [(1, 32)] if self.version == 3 else []

    def contents(self, data):
        start, lengths, size = len(self.data), [], self.block_size
        fragment, offset = NONE, 0
        tail = len(data) % size if self.version > 1 else 0
        for k in range(0, len(data) - tail, size):
            block = data[k:k + size]
            if self.version == 3 and not any(block):
                lengths.append(0)
            else:
                lengths.append(self.stored(block)[1])
        if tail:
            if len(self.fragment) + tail > size:
                self.end_fragment()
            fragment, offset = len(self.fragments), len(self.fragment)
            self.fragment += data[-tail:]
        return start, lengths, fragment, offset

    def end_fragment(self):
        """It is stored in the end: the blocks of a file follow each other."""
        self.fragments.append(bytes(self.fragment))
        self.fragment = bytearray()

    def file(self, f):
        start, lengths, fragment, offset = self.contents(f["data"])
        size = len(f["data"])
        kind = 9 if self.version == 3 and f.get("extended") else 2
        base, _ = self.base(kind, f)
        where = [(fragment, 32), (offset, 32)] if self.version > 1 else []
        if kind == 9:
            base += [(1, 32), (start, 64), *where, (size, 64)]
        else:
            base += [*self.time(f), (start, 64 if self.version == 3 else 32), *where, (size, 32)]
        out = pack(self.big, *base)
        for n in lengths:
            if self.version == 1:
                out += pack(self.big, ((n & 0x7fff) | (0x8000 if n >> 24 else 0), 16))
            else:
                out += pack(self.big, (n, 32))
        return out

    def folder(self, f):
        children = []
        for name, child in sorted(f["in"].items()):
            self.add(child)
            children.append((name, child))
        start, offset = self.folders.at()
        size, wide = 0, self.version == 3
        while children:
            block, first = children[0][1]["at"][0], children[0][1]["number"]
            run = []
            while children and len(run) < 256 and children[0][1]["at"][0] == block:
                run.append(children.pop(0))
            out = pack(self.big, (len(run) - 1, 8), (block, 32 if wide else 24), *([(first, 32)] if wide else []))
            for name, child in run:
                delta = [((child["number"] - first) & 0xffff, 16)] if wide else []
                out += pack(self.big, (child["at"][1], 13), (TYPES[child["type"]], 3), (len(name) - 1, 8), *delta) + name
            self.folders.add(out)
            size += len(out)
        kind = 8 if self.version > 1 and f.get("extended") else 1
        base, _ = self.base(kind, f)
        bits = 27 if kind == 8 else 19
        if wide:
            base += [(1, 32), (size + 3, bits), (offset, 13), (start, 32), *([(0, 16)] if kind == 8 else []), (1, 32)]
        else:
            base += [(size, bits), (offset, 13), *self.time(f), (start, 24), *([(0, 16)] if kind == 8 else [])]
        return pack(self.big, *base)

    def other(self, f):
        kind = TYPES[f["type"]]
        base, third = self.base(kind, f)
        base += self.links()
        if f["type"] == "symlink":
            return pack(self.big, *base, (len(f["target"]), 16)) + f["target"]
        if kind < 6:
            return pack(self.big, *base, (f["device"], 16))
        return pack(self.big, *base, *([(kind, 4), (third, 4)] if self.version == 1 else []))

    def add(self, f):
        out = {"file": self.file, "folder": self.folder}.get(f["type"], self.other)(f)
        f["at"] = self.inodes.at()
        self.inodes.add(out)

    def make(self, root, created):
        self.add(root)
        if self.fragment:
            self.end_fragment()
        fragments = [self.stored(data) for data in self.fragments]
        places = []
        for table in (self.inodes, self.folders):
            table.flush()
            places.append(len(self.data))
            self.data += table.out
        fragment_table = 0
        if fragments:
            # Few enough for one block.
            table = Table(self.big, self.check, self.as_is)
            for at, n in fragments:
                table.add(pack(self.big, (at, 64), (n, 32), (0, 32)) if self.version == 3 else pack(self.big, (at, 32), (n, 32)))
            table.flush()
            at = len(self.data)
            self.data += table.out
            fragment_table = len(self.data)
            self.data += pack(self.big, (at, 64 if self.version == 3 else 32))
        ids = []
        for numbers in (self.uids, self.gids):
            ids.append(len(self.data) if numbers else 0)
            self.data += b"".join(pack(self.big, (n, 32)) for n in numbers)
        size = len(self.data)
        old = self.version < 3
        head = struct.pack(
            (">" if self.big else "<") + "4s6I4H3BIQ3I7Q", b"sqsh" if self.big else b"hsqs", self.number,
            size if old else 0, ids[0] if old else 0, ids[1] if old else 0, places[0] if old else 0, places[1] if old else 0,
            self.version, 1 if self.version == 3 else 0, self.block_size if old else 0, self.block_size.bit_length() - 1,
            4 if self.check else 0, len(self.uids), len(self.gids), created, root["at"][0] << 16 | root["at"][1],
            self.block_size, len(fragments), fragment_table if old else 0,
            size, ids[0], ids[1], places[0], places[1], fragment_table, 2 ** 64 - 1)
        n = {1: 51, 2: 63, 3: 119}[self.version]
        self.data[:n] = head[:n]
        return bytes(self.data) + bytes(-len(self.data) % 4096)
