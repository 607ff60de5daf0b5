# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that this machine's kernel may lack, filled and read by Debian's in an emulated PC."""
import os
import pickle
import unicodedata

import files
import guest
import lib
import vm
from files import expect_same
from lib import MIB, expect, expect_equal, limit, path, platter, run, weight
from test_backup import scribble

MODULES = ["vfat", "exfat", "hfs", "hfsplus", "f2fs", "udf", "isofs", "romfs", "nls_cp437", "nls_ascii", "nls_utf8", "mac-roman",
           "crc32_generic", "crc32c_generic"]
COMPRESSED = ["mkfs.f2fs", "-q", "-f", "-O", "extra_attr,inode_checksum,compression"]

# Those that the PC fills.  Serial number: type, options of mount, size in MiB, command that formats it.
EMPTY = {
    "fat12": ("vfat", [], 15, ["mkfs.vfat", "-F", "12", "-s", "8"]),
    "fat16": ("vfat", [], 40, ["mkfs.vfat", "-F", "16"]),
    "fat32": ("vfat", [], 48, ["mkfs.vfat", "-F", "32", "-s", "1"]),
    "exfat": ("exfat", [], 64, ["mkfs.exfat", "-c", "4K"]),
    "hfs": ("hfs", ["codepage=macroman", "iocharset=utf8"], 40, ["hformat", "-l", "Test"]),
    "hfsplus": ("hfsplus", ["force"], 0, None),     # nothing in Debian formats it: it is from the corpus
    "f2fs": ("f2fs", [], 128, ["mkfs.f2fs", "-q", "-f"]),
    "f2fs-lz4": ("f2fs", ["compress_algorithm=lz4", "compress_extension=*"], 128, COMPRESSED),
    "f2fs-lzo-rle": ("f2fs", ["compress_algorithm=lzo-rle", "compress_extension=*"], 128, COMPRESSED),
    "f2fs-zstd": ("f2fs", ["compress_algorithm=zstd", "compress_chksum", "compress_log_size=4", "compress_extension=*"], 128, COMPRESSED),
    "udf-1.02": ("udf", [], 48, ["mkudffs", "--media-type=hd", "-r", "1.02", "-b", "512"]),
    "udf-2.01": ("udf", [], 48, ["mkudffs", "--media-type=hd", "-r", "2.01", "-b", "2048"]),
}
# Those that are made of a folder.
MADE = {
    "isofs": ("iso9660", ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", "{image}", "{top}"]),
    "romfs": ("romfs", ["genromfs", "-d", "{top}", "-f", "{image}"]),
}
# What the file system does not keep, and the kernel makes up; of attributes, what it shows in its own way.
LACKS = {"vfat": {"mode"}, "exfat": {"mode"}, "hfs": {"mode", "xattrs"}, "romfs": {"mode", "time"}}


def made(name):
    """An image of one of MADE."""
    _, make = MADE[name]
    lib.need_tool(make[0])
    image, top = path(name + ".img"), path("top")
    if not os.path.exists(top):
        files.populate(top)
    run([a.format(image=image, top=top) for a in make])
    return image


def formatted(name):
    """An image of one of EMPTY."""
    kind, _, size, make = EMPTY[name]
    image = path(name + ".img")
    if make is None:
        empty = next((s for s in lib.manifest() if s.name == f"filesystems/util-linux/{kind}.img.xz"), None)
        if not empty:
            lib.skip("no empty volume in the corpus")
        run(["cp", "--sparse=always", lib.unpacked(empty.stored), image])
        return image
    lib.need_tool(make[0])
    with open(image, "wb") as f:
        f.truncate(size * MIB)
    run([*make, image], env={"HOME": lib.folder()})
    return image


def in_pc(images, fill=()):
    """{name: what the PC's kernel shows of it}, after it filled some."""
    share = path("share")
    os.makedirs(share, exist_ok=True)
    disks = {name: (kind_of(name), EMPTY[name][1] if name in EMPTY else [], name in fill) for name in images}
    with open(os.path.join(share, "disks"), "wb") as f:
        pickle.dump(disks, f)
    vm.run_python(guest.__file__, vm.SHARE, share=share, disks=images, modules=MODULES)
    with open(os.path.join(share, "told"), "rb") as f:
        return pickle.load(f)


def kind_of(name):
    return {**EMPTY, **MADE}[name][0]


def composed(tree):
    """The kernel gives names of HFS Plus composed."""
    return {unicodedata.normalize("NFC", os.fsdecode(name)): value for name, value in tree.items()}


def without(listing, lacks):
    fields = ("type", "mode", "size", "time", "target")
    return {name: [v for field, v in zip(fields, row) if field not in lacks] for name, row in composed(listing).items()}


def same(image, told, kind):
    expect(isinstance(told, dict), f"the PC: {told}")
    expect(len(told["listing"]) > 300, f"only {len(told['listing'])} files were made")
    lacks = LACKS.get(kind, ())
    expect_same(without(files.listed(image), lacks), without(told["listing"], lacks), "the listing")
    expect_same(composed(files.hashed(image)), composed(told["hashes"]), "the hashes")
    if "xattrs" in lacks:
        return
    got, wanted = files.xattrs_listed(image), told["xattrs"]
    if kind == "hfsplus":
        # The kernel has a prefix of its own, and shows none of devices and the like.
        wanted = {name: {n.removeprefix("osx."): v for n, v in xattrs.items()} for name, xattrs in wanted.items()}
        got = {name: v for name, v in got.items() if name not in (b"fifo", b"null")}
    expect_same(composed(got), composed(wanted), "the extended attributes")


def compressed(image):
    with open(image, "rb") as f:
        expect(b"line 200 of file 1\n" * 3 not in f.read(), "the kernel did not compress")


def unused_scribbled(image, name):
    """Noise over what a backup leaves out."""
    said = platter("create", "--used-only", "--json", "-o", "cluster_size=4k", image, path(name + ".qcow2"), timeout=300).json()
    expect_equal(said["volumes"][0]["whole"], None, "why all of it was kept")
    expect(scribble(image, path(name + ".qcow2")) > MIB, "hardly anything was left out")


@limit(600)
@weight(4)
def test_kernel():
    """What platter tells of the files is what the kernel that wrote them shows; so it is after noise over what a backup leaves out."""
    if not lib.LONG:
        lib.skip("takes minutes: only of check-long")
    lib.need_root()
    vm.version()
    images = {}
    for name in [*EMPTY, *MADE]:
        try:
            images[name] = formatted(name) if name in EMPTY else made(name)
        except lib.Skip as e:
            yield name, lambda e=e: lib.skip(str(e))
    told = in_pc(images, fill=EMPTY)
    for name, image in images.items():
        yield name, lambda name=name, image=image: same(image, told.get(name), kind_of(name))
    written = {name: image for name, image in images.items() if name in EMPTY and isinstance(told.get(name), dict)}
    for name, image in written.items():
        if EMPTY[name][3] is COMPRESSED:
            yield f"{name} is compressed", lambda image=image: compressed(image)
        yield f"{name}, backup", lambda name=name, image=image: unused_scribbled(image, name)
    again = in_pc(written)
    for name in written:
        yield f"{name}, noise in what is free", lambda name=name: expect_same(again[name], told[name], "what the kernel shows")
