# SPDX-License-Identifier: GPL-3.0-or-later
"""NTFS volumes filled through ntfs-3g, read back, and held against it and its tools."""
import contextlib
import hashlib
import os
import stat
import struct

import lib
from lib import KIB, MIB, expect, expect_equal, limit, noise, path, platter, prose, run, weight


@contextlib.contextmanager
def filled(image, options="streams_interface=xattr,compression,user_xattr"):
    """The image, mounted by ntfs-3g."""
    lib.need_root()
    lib.need_tool("mkntfs", "ntfs-3g")
    if not os.path.exists("/dev/fuse"):
        lib.skip("no FUSE here")
    where = path("mnt")
    os.makedirs(where, exist_ok=True)
    run(["ntfs-3g", "-o", options, image, where])
    try:
        yield where
    finally:
        run(["umount", where])


def formatted(name, size, *options):
    lib.need_tool("mkntfs")
    image = lib.make_raw(name, size, [])
    run(["mkntfs", "-q", "-F", "-f", "-p", "0", "-H", "16", "-S", "63", "-L", "label", *options, image])
    return image


def write(*names_and_bytes):
    for p, data in names_and_bytes:
        with open(p, "wb") as f:
            f.write(data)


def populate(top, many):
    os.makedirs(f"{top}/many")
    for i in range(many):
        write((f"{top}/many/file number {i:05}", b"%d\n" % i * (i % 90)))
    p = f"{top}/deep"
    for i in range(40):
        p += f"/folder {i}"
    os.makedirs(p)
    write((p + "/leaf", b"leaf"))
    os.mkdir(f"{top}/odd")
    for n in ("ä" * 255, "漢字", "emoji 😀", "x" * 255, "new\nline", "$dollar", "..dots", "trailing "):
        write((f"{top}/odd/{n}", n.encode()))
    for n in ("Case", "case", "CASE"):      # three files: names of POSIX
        write((f"{top}/odd/{n}", n.encode()))
    os.mkdir(f"{top}/packed")
    os.setxattr(f"{top}/packed", "system.ntfs_attrib", struct.pack("<I", 0x810))
    for n in (10, 4096, 65536, 65537, 300001):
        write((f"{top}/packed/text{n}", prose(n)), (f"{top}/packed/noise{n}", noise(n)),
              (f"{top}/packed/zero{n}", bytes(n)))
    write((f"{top}/packed/mixed", prose(200000) + noise(150000) + bytes(300000) + prose(12345)))
    # Written in turns, so that units are in pieces.
    files = [open(f"{top}/packed/turn{i}", "wb") for i in range(6)]
    for k in range(20):
        for f in files:
            f.write(prose(20000, k))
            f.flush()
            os.fsync(f.fileno())
    for f in files:
        f.close()
    os.mkdir(f"{top}/sparse")
    with open(f"{top}/sparse/huge", "wb") as f:
        f.seek(1 << 40)
        f.write(b"end")
    with open(f"{top}/sparse/pieces", "wb") as f:
        for k in range(2000):
            f.seek(k * 70000)
            f.write(b"%d" % k * 500)
    os.mkdir(f"{top}/links")
    write((f"{top}/links/a", b"linked"))
    for i in range(200):        # needs an attribute list
        os.link(f"{top}/links/a", f"{top}/links/hard link with a long name {i}")
    os.symlink("../odd/emoji 😀", f"{top}/links/symbolic")
    os.mknod(f"{top}/links/null", 0o20666, os.makedev(1, 3))
    write((f"{top}/streams", b"main"))
    os.setxattr(f"{top}/streams", "user.other", noise(50000))


def tree(top):
    """{path: (type, size, time, target)} and {path: sha256}, of what is below 1 GiB."""
    nodes, hashes = {}, {}
    for base, folders, files in os.walk(os.fsencode(top)):
        for name in folders + files:
            p = os.path.join(base, name)
            st = os.lstat(p)
            kind = stat.S_IFMT(st.st_mode)
            rel = os.path.relpath(p, os.fsencode(top))
            nodes[rel] = (kind, st.st_size if kind == stat.S_IFREG else None, st.st_mtime_ns,
                          os.readlink(p) if kind == stat.S_IFLNK else None,
                          st.st_nlink if kind == stat.S_IFREG else None)
            if kind == stat.S_IFREG and st.st_size < 1 << 30:
                hashes[rel] = lib.sha256(p)
    return nodes, hashes


KINDS = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "symlink": stat.S_IFLNK, "character device": stat.S_IFCHR}


def path_bytes(f):
    return bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()


def compare_hashes(image, wanted):
    """Folder by folder, since a sparse terabyte takes its time."""
    got = {}
    for top in sorted({p.split(b"/")[0] for p in wanted}):
        place = image + ":/" + os.fsdecode(top)
        if top == b"sparse":
            place += "/pieces"
        answer = platter("hash", "-R", "--json", place, timeout=300).json()
        for f in answer["files"]:
            inner = path_bytes(f)
            whole = inner.startswith(os.fsencode(image))
            name = inner[len(image) + 2:] if whole else top + b"/" + inner
            got[name] = f["hashes"]["sha256"]
    for p in wanted:
        expect_equal(got.get(p), wanted[p], f"SHA-256 of {p}")
    expect_equal(sorted(got), sorted(wanted), "files")


def free_by_ntfsinfo(image):
    text = run(["ntfsinfo", "-m", image]).text
    numbers = {key.strip(): value.split()[0] for key, value in
               (line.split(":", 1) for line in text.splitlines() if ":" in line and line.split(":", 1)[1].strip())}
    return int(numbers["Free Clusters"]) * int(numbers["Cluster Size"])


@limit(600)
@weight(6)
def test_files():
    """Contents, sizes, times and targets are those that ntfs-3g shows, with clusters and records of several sizes."""
    for name, many, options in (("usual", 3000, ()), ("sectors", 300, ("-c", "512")), ("large", 50, ("-c", "65536"))):
        def attempt(name=name, many=many, options=options):
            image = formatted("ntfs.img", 256 * MIB, *options)
            with filled(image) as top:
                if name == "large":     # has no compression
                    populate_without_compression(top, many)
                else:
                    populate(top, many)
            with filled(image, "ro,streams_interface=xattr") as top:
                nodes, hashes = tree(top)
            compare_hashes(image, hashes)
            answer = platter("ls", "-lR", "--json", image).json()
            got = {path_bytes(f): f for f in answer["files"]}
            expect_equal(sorted(got), sorted(nodes), "names")
            for p, (kind, size, _, target, links) in nodes.items():
                f = got[p]
                expect_equal(KINDS.get(f["type"]), kind, f"type of {p}")
                if size is not None:
                    expect_equal(f["size"], size, f"size of {p}")
                    expect_equal(f.get("links", 1), links, f"links of {p}")
                if target is not None:
                    expect_equal(f["target"].encode(), target, f"target of {p}")
        yield name, attempt


def populate_without_compression(top, many):
    for i in range(many):
        write((f"{top}/{i}", noise(i * 1000, i)))
    with open(f"{top}/hole", "wb") as f:
        f.seek(MIB)
        f.write(b"end")


def wim_resource(data, compression, chunk):
    """The file as wimlib compresses it: a table of chunks, and these: what Windows' own compression has too."""
    os.makedirs(path("wim"), exist_ok=True)
    write((path("wim/file"), data))
    run(["wimcapture", path("wim"), path("x.wim"), "--compress=" + compression, f"--chunk-size={chunk}"])
    with open(path("x.wim"), "rb") as f:
        wim = f.read()
    entry = struct.Struct("<QQQHI20s")
    size, offset, _ = struct.unpack_from("<QQQ", wim, 0x30)
    for flags, at, _, _, _, sha1 in entry.iter_unpack(wim[offset:offset + (size & (1 << 56) - 1)]):
        if sha1 == hashlib.sha1(data).digest():
            expect(flags >> 56 & 4, "wimlib did not compress it")
            return wim[at:at + (flags & (1 << 56) - 1)]
    raise lib.Failure("wimlib's archive lacks the file")


@limit(300)
def test_system_compression():
    """Files with Windows' own compression (XPRESS in three sizes, LZX) read as what was compressed."""
    lib.need_tool("wimcapture")
    with open(lib.PLATTER, "rb") as f:
        program = f.read(900 * KIB)
    contents = [prose(500000), prose(30000) + noise(50000) + prose(40001), prose(32769), prose(5000), bytes(100000), program]
    image = formatted("ntfs.img", 64 * MIB)
    wanted = {}
    with filled(image, "streams_interface=windows") as top:
        for algorithm, (name, chunk) in enumerate((("XPRESS", 4096), ("LZX", 32768), ("XPRESS", 8192), ("XPRESS", 16384))):
            for i, data in enumerate(contents):
                p = f"{top}/{name}-{chunk}-{i}"
                with open(p, "wb") as f:
                    f.truncate(len(data))
                write((p + ":WofCompressedData", wim_resource(data, name, chunk)))
                os.setxattr(p, "system.ntfs_reparse_data",
                            struct.pack("<IHHIIII", 0x80000017, 16, 0, 1, 2, 1, algorithm))
                wanted[os.path.basename(p)] = hashlib.sha256(data).hexdigest()
    answer = platter("hash", "-R", "--json", image).json()
    expect_equal({f["path"]: f["hashes"]["sha256"] for f in answer["files"]}, wanted, "hashes")


@limit(300)
def test_deleted():
    """A file that was deleted is listed with its path."""
    image = formatted("ntfs.img", 32 * MIB)
    data = noise(100000)
    with filled(image) as top:
        os.mkdir(top + "/folder")
        write((top + "/folder/gone", data), (top + "/stays", b"x"))
    with filled(image) as top:
        os.unlink(top + "/folder/gone")
    text = platter("ls", "--deleted", image).text
    expect("folder/gone" in text, f"ls --deleted says {text!r}")
    expect("stays" not in text, f"ls --deleted says {text!r}")


def usage(image):
    return platter("df", "--json", image).json()["volumes"][0]


def find_flags(image):
    """Where the flags of $Volume are: in MFT record 3, attribute 0x70."""
    with open(image, "rb") as f:
        boot = f.read(512)
        f.seek(struct.unpack_from("<Q", boot, 48)[0] * boot[13] * 512 + 3 * 1024)
        at, record = f.tell(), f.read(1024)
    offset = struct.unpack_from("<H", record, 20)[0]
    while struct.unpack_from("<I", record, offset)[0] != 0x70:
        offset += struct.unpack_from("<I", record, offset + 4)[0]
    return at + offset + struct.unpack_from("<H", record, offset + 20)[0] + 10


def test_space():
    """Free space is what ntfsinfo counts; a volume that is marked dirty says so and counts as wholly in use."""
    lib.need_tool("ntfsinfo")
    image = formatted("ntfs.img", 32 * MIB)
    with filled(image) as top:
        write((top + "/a", noise(3 * MIB)))
    before = usage(image)
    expect_equal(before["free"], free_by_ntfsinfo(image), "free space")
    expect_equal(before["state"], "clean", "state")
    with open(image, "r+b") as f:
        f.seek(find_flags(image))
        f.write(b"\1")
    expect_equal(usage(image)["state"], "dirty", "state")
