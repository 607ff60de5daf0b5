# SPDX-License-Identifier: GPL-3.0-or-later
"""Real images from public test suites, held against their manifest."""
import hashlib
import os
import re
import shutil

import lib
from lib import expect, expect_equal, limit, path, platter, shards, unpacked, weight


def samples(choose):
    return [s for s in lib.manifest() if choose(s)]


def is_qcow2(s):
    return s.kind == "containers" and ".qcow2" in s.name and "part-of" not in s.expect


def is_virtual_machine(s):
    """VDI, QCOW version 1, QED, Parallels."""
    name = os.path.basename(s.name)
    return (s.kind == "containers" and "part-of" not in s.expect
            and (re.search(r"\.(vdi|qcow|qed)(\.|$)", name) or re.match(r"parallels-|DiskDescriptor\.xml$", name)) is not None)


def is_vmdk(s):
    return s.kind == "containers" and ".vmdk" in s.name and "part-of" not in s.expect


def is_dmg(s):
    """Apple's disk images, also one without a trailer, which is raw; those that are encrypted are not among them."""
    return s.kind in ("containers", "filesystems") and re.search(r"\.dmg(\.|$)", s.name) is not None


def is_disc_wrapper(s):
    """Compressed images of discs."""
    return s.kind == "containers" and s.name.endswith((".cso", ".zso", ".dax", ".isz", ".ecm", ".daa", ".uif"))


def is_raw(s):
    """Disks stored byte for byte, after one layer of compression."""
    if s.kind == "optical":
        return "vsize" in s.expect and s.name.endswith((".iso.xz", ".iso.gz", ".img.xz", ".raw.xz", ".zip"))
    return s.kind in ("filesystems", "partitions") and "vsize" in s.expect


def placed(s):
    """The sample, with the files that belong to it beside it."""
    main = unpacked(s.stored, s.member())
    beside = [stored_beside(s, name) for name in s.expect.get("with", "").split(",") if name]
    beside += [p.stored for p in lib.manifest() if "segments" in s.expect and p.expect.get("part-of") == s.name]
    if not beside:
        return main
    for stored in beside:
        p = unpacked(stored)
        link(p, path(os.path.basename(p)))
    return link(main, path(os.path.basename(main)))


def stored_beside(s, name):
    """The file of that name in the folder of a sample, as it is stored: packed or not."""
    p = os.path.join(os.path.dirname(s.stored), name)
    return next((p + suffix for suffix in ("", *lib.UNPACKERS) if os.path.exists(p + suffix)), p)


def link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
    return target


# ---- what info must say ----

def check_content(s, prefix, contents, where):
    wanted = s.expect.get(prefix + "fs")
    if wanted is None:
        return
    wanted = {"fat": "vfat"}.get(wanted, wanted)
    names = [c["name"].lower() for c in contents]
    expect(wanted.lower() in names, f"{where} is {wanted}; platter finds {names or 'nothing'}")
    content = contents[names.index(wanted.lower())]
    for key in ("label", "uuid"):
        accepted = [s.expect[k] for k in (prefix + key, prefix + key + ".alt") if k in s.expect]
        if accepted:
            expect(content[key] in accepted, f"{where}: {key} is {content[key]!r}, expected {accepted}")


def same_type(a, b):
    """MBR types are numbers, the others names."""
    try:
        return len(a) <= 4 and len(b) <= 4 and int(a, 16) == int(b, 16)
    except ValueError:
        return a.lower() == b.lower()


def check_table(text, table, name):
    wanted = []
    for part in filter(None, text.split("|")):
        start, length, kind = part.split(",")
        wanted.append((int(start), int(length), kind))
    got = [(p["offset"], p["length"], p["type"]) for p in table["partitions"]]
    expect(len(got) == len(wanted) and all(g[:2] == w[:2] and (same_type(g[2], w[2]) or g[2].lower() == w[2].lower())
                                           for g, w in zip(got, wanted)),
           f"the {name} table is\n  {wanted}\nplatter reads\n  {got}")
    return wanted


def check_info(s, place):
    said = lib.info(place)
    expect_equal(said["size"], int(s.expect["vsize"]), "size")
    check_content(s, "", said["contents"], "the whole disk")
    tables = {t["name"]: t for t in said["tables"]}
    if "ptable" not in s.expect:
        return
    kind = s.expect["ptable"]
    expect(kind in tables, f"it has a {kind} table; platter finds {sorted(tables) or 'none'}")
    expect_equal(said["tables"][0]["name"], kind, "the table to believe first")
    parts = check_table(s.expect.get("parts", ""), tables[kind], kind)
    if "apm" in s.expect:
        check_table(s.expect["apm"], tables["apm"], "apm")
    for i, part in enumerate(parts, 1):
        ours = next(p for p in tables[kind]["partitions"] if (p["offset"], p["length"]) == part[:2])
        check_content(s, f"p{i}.", ours["contents"], f"partition {i}")


def check_sample(s):
    place = placed(s)
    r = platter("info", place, status=(0, 3) if "nocrash" in s.expect else 0)
    if "vsize" not in s.expect or r.status:
        return
    check_info(s, place)
    if "sha256" in s.expect:
        # A raw file that holds only the start of its disk is damaged; an image must not be.
        status = 0 if s.kind == "containers" else (0, 1)
        r = platter("verify", "--json", "--hash", "sha256", place, status=status, timeout=120).json()
        expect_equal(r["images"][0]["hashes"]["sha256"], s.expect["sha256"], "SHA-256 of the disk")


def each(choose):
    found = samples(choose)
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)


@limit(600)
@weight(5)
@shards(2)
def test_qcow2():
    """QCOW2 samples read as the manifest says: size, content, file system."""
    yield from each(is_qcow2)


@limit(600)
@weight(4)
def test_virtual_machines():
    """VDI, QCOW version 1, QED and Parallels samples read as the manifest says."""
    yield from each(is_virtual_machine)


@limit(600)
@weight(5)
def test_vmdk():
    """VMDK samples read as the manifest says: size, content, partition tables, file systems."""
    yield from each(is_vmdk)


@limit(600)
@weight(4)
def test_dmg():
    """Apple's disk images of every codec read as the manifest says, and all their checksums match."""
    yield from each(is_dmg)


@limit(300)
def test_broken_dmg():
    """Images that made another reader overflow end in words."""
    for s in samples(lambda s: s.name.startswith("broken/dmg-forensic/")):
        def attempt(s=s):
            place = placed(s)
            for words in (["info"], ["verify"], ["info", place + "?format=dmg"], ["verify", place + "?format=dmg"]):
                r = platter(*(words if len(words) > 1 else [*words, place]), status=(0, 1, 3), timeout=60)
                expect(r.rss < 128 << 20, f"{words}: {r.rss >> 20} MiB")
        yield s.name, attempt


def test_disc_wrappers():
    """Compressed images of discs read as the manifest says: size and content."""
    yield from each(is_disc_wrapper)


@limit(900)
@weight(8)
@shards(2)
def test_raw():
    """Raw samples read as the manifest says: size, content, partition tables, file systems with label and UUID."""
    yield from each(is_raw)


@limit(600)
@weight(3)
def test_through_qcow2():
    """Partition samples that go through a compressed QCOW2 image read the same."""
    for s in samples(lambda s: s.kind == "partitions" and "sha256" in s.expect):
        def attempt(s=s):
            place = placed(s)
            platter("create", "-q", "-c", place, path("a.qcow2"))
            platter("compare", place, path("a.qcow2"))
            if "nocrash" not in s.expect:
                check_info(s, path("a.qcow2"))
        yield s.name, attempt


# ---- the files inside ----

# What a key's prefix is in a place; p1. and so on are partitions.
# Those of rr. are left out: isoinfo, which they are from, lists links and devices as empty files, and decodes no zisofs.
VIEWS = {"": "", "iso.": "?fs=iso9660", "joliet.": "?fs=joliet", "udf.": "?fs=udf",
         "hfs.": "?fs={hfs}"}


def escaped(name):
    return name.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def file_lines(place, status=0):
    """The lines that a `tree` digest is made of: sha256, size, path of every regular file, by path."""
    answer = platter("hash", "-R", "--json", place, status=status, timeout=300).json()
    lines = []
    for f in answer["files"]:
        name = bytes.fromhex(f["path_hex"]) if "path_hex" in f else f["path"].encode()
        lines.append((escaped(name), f["hashes"]["sha256"], f["size"]))
    return [b"%s\t%d\t%s\n" % (sha.encode(), size, name) for name, sha, size in sorted(lines)]


def expected_lines(s, prefix):
    """The list behind a digest, if it is there."""
    base = os.path.join(lib.corpus(), "expected", s.name + "." + (prefix or "fs.") + "tsv")
    for p in (base, base + ".xz"):
        if os.path.exists(p):
            with lib.open_packed(p, ".xz" if p.endswith(".xz") else "", None) as f:
                return f.read().splitlines(keepends=True)
    return None


def difference(got, wanted):
    if wanted is None:
        return f"{len(got)} files, and there is no list of what they must be"
    more = [line.decode(errors="replace").rstrip() for line in got if line not in set(wanted)]
    less = [line.decode(errors="replace").rstrip() for line in wanted if line not in set(got)]
    return "only platter has:\n  " + "\n  ".join(more[:8]) + "\nonly the list has:\n  " + "\n  ".join(less[:8])


def has_files():
    return {c["name"].lower() for c in platter("formats", "--json").json()["contents"] if c["files"]}


def volume_of(said, s, prefix):
    """What of a place the files of a prefix are in, and what is recognised there."""
    if prefix.startswith("p"):
        kind = said["tables"][0]
        rows = [tuple(map(int, r.split(",")[:2])) for r in s.expect["parts"].split("|") if r]
        part = next(p for p in kind["partitions"] if (p["offset"], p["length"]) == rows[int(prefix[1:-1]) - 1])
        return f"@{part['number']}", part["contents"]
    return VIEWS[prefix], said["contents"]


def is_open(s):
    return s.kind in ("filesystems", "partitions") or (
        s.kind == "containers" and (is_qcow2(s) or is_virtual_machine(s) or is_vmdk(s) or is_dmg(s) or ".vhd" in s.name)) or is_raw(s)


# Lists that lack files which are there: GRUB reads no disc with a virtual allocation table, and what begins with '$', as the
# recycle bin does, was taken for metadata of NTFS.
NOT_THEIRS = {"optical/util-linux/udf-bdr-2.60-nero.img.xz", "containers/velociraptor/test.vhdx.zip"}


def check_tree(s, prefix, readable):
    if s.name in NOT_THEIRS:
        lib.skip("the list is not that of the files")
    place = placed(s)
    said = lib.info(place)
    where, contents = volume_of(said, s, prefix)
    names = [c["name"].lower() for c in contents]
    where = where.replace("{hfs}", "hfsplus" if "hfsplus" in names else "hfs")
    # The corpus calls file systems as blkid does; one driver may read several of them.
    alias = {"ext2": "ext4", "ext3": "ext4", "squashfs3": "squashfs"}
    if not any(alias.get(n, n) in readable for n in names):
        lib.skip(f"the files of {', '.join(names) or 'this'} are not read")
    got = file_lines(place + where, status=(0, 4))
    if prefix + "unreadable" in s.expect:
        expect(len(got) <= int(s.expect[prefix + "files"]), "files that cannot be read are there")
    digest = hashlib.sha256(b"".join(got)).hexdigest()
    if digest != s.expect[prefix + "tree"]:
        raise lib.Failure(difference(got, expected_lines(s, prefix)))


def tree_prefixes(s):
    return [k[:-len("tree")] for k in s.expect if k.endswith("tree") and (k[:-len("tree")] in VIEWS or re.match(r"p\d+\.tree", k))]


@limit(900)
@weight(8)
@shards(2)
def test_trees():
    """The files inside of samples, their paths, sizes and bytes, are those of the manifest."""
    readable = has_files()
    for s in samples(lambda s: "part-of" not in s.expect and is_open(s)):
        for prefix in tree_prefixes(s):
            yield f"{s.name} {prefix}tree", lambda s=s, prefix=prefix: check_tree(s, prefix, readable)
