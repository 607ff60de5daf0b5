# SPDX-License-Identifier: GPL-3.0-or-later
"""Apple's sparse images and sparse bundles again, from their published descriptions."""
import os
import plistlib
import struct


def sparseimage_bands(f):
    """Size of the disk, bytes of a band, and {band: offset in the file}."""
    head = f.read(4096)
    magic, version, band_sectors, flags, _low, nxt, sectors = struct.unpack_from(">4s4IQQ", head)
    assert (magic, version, flags) == (b"sprs", 3, 1), head[:64]
    band, at, ids, number, found = band_sectors * 512, 0, head[64:], 0, {}
    while True:
        for slot, (one,) in enumerate(struct.iter_unpack(">I", ids)):
            if one:
                assert one - 1 not in found and (one - 1) * band < sectors * 512, f"slot {slot} of node {number}: {one}"
                found[one - 1] = at + 4096 + slot * band
        if not nxt:
            return sectors * 512, band, found
        assert nxt > at
        f.seek(nxt)
        node = f.read(4096)
        magic, its_number, flags, after = struct.unpack_from(">4sIIQ", node)
        number += 1
        assert (magic, its_number, flags) == (b"sprs", number, 1), (nxt, node[:64])
        at, nxt, ids = nxt, after, node[56:]


def copy(source, offset, target, at, n):
    source.seek(offset)
    data = source.read(n)
    if data.strip(b"\0"):
        target.seek(at)
        target.write(data)


def expand_sparseimage(image, raw):
    """The disk in a sparse image, as a sparse raw file."""
    with open(image, "rb") as f, open(raw, "wb") as out:
        size, band, bands = sparseimage_bands(f)
        out.truncate(size)
        for i, offset in bands.items():
            copy(f, offset, out, i * band, min(band, size - i * band))


def bundle_info(bundle):
    with open(os.path.join(bundle, "Info.plist"), "rb") as f:
        info = plistlib.load(f)
    assert info["diskimage-bundle-type"] == "com.apple.diskimage.sparsebundle", info
    assert info["bundle-backingstore-version"] == 1 and info["CFBundleInfoDictionaryVersion"] == "6.0", info
    return info


def expand_sparsebundle(bundle, raw):
    """The disk in a sparse bundle, as a sparse raw file."""
    info = bundle_info(bundle)
    size, band = info["size"], info["band-size"]
    with open(raw, "wb") as out:
        out.truncate(size)
        for name in os.listdir(os.path.join(bundle, "bands")):
            i = int(name, 16)
            assert name == f"{i:x}" and i * band < size, name
            with open(os.path.join(bundle, "bands", name), "rb") as f:
                assert os.fstat(f.fileno()).st_size <= band, name
                copy(f, 0, out, i * band, min(band, size - i * band))
