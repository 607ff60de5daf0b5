# SPDX-License-Identifier: GPL-3.0-or-later
"""LVM2: logical volumes as disks, as the lvm2 package makes and lists them.

No device mapper is needed: the tools write the metadata alone, and say which extents each volume has.
"""
import os
import re
import shutil
import struct
import zlib

import files
import lib
from lib import KIB, MIB, expect, expect_equal, path, platter, run

START = 16 * MIB    # of the physical volume in the disk
SIZE = 200 * MIB


class Lvm:
    """The tools, let at these devices alone and away from the system's settings."""

    def __init__(self, *devices):
        lib.need_tool("pvcreate", "lvs")
        self.devices = devices
        os.makedirs(path("lvm"), exist_ok=True)
        names = ",".join(f'"a|^{d}$|"' for d in devices)
        self.config = (f'devices{{filter=[{names},"r|.*|"] use_devicesfile=0 obtain_device_list_from_udev=0}}'
                       f'global{{use_lvmlockd=0 locking_dir="{path("lvm")}"}}'
                       'activation{udev_sync=0 udev_rules=0 monitoring=0}backup{backup=0 archive=0}')

    def __call__(self, tool, *args):
        return run([tool, "--config", self.config, "--driverloaded", "n", *args],
                   env={"LVM_SYSTEM_DIR": path("lvm"), "LVM_SUPPRESS_FD_WARNINGS": "1"}).text

    def create(self, name, extents, *options):
        self("lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", name, "-l", str(extents), *options, "vg")

    def extents(self, volume):
        """[(start in the volume, bytes, [(device, first extent), ...], stripe size)], as lvs tells it."""
        found = []
        for line in self("lvs", "-a", "--noheadings", "--nosuffix", "--units", "b", "--separator", "|", "-o",
                         "seg_start,seg_size,stripe_size,seg_pe_ranges", "vg/" + volume).splitlines():
            if line.count("|") == 3:
                start, size, stripe, ranges = line.strip().split("|")
                found.append((int(start), int(size), [(d, int(a)) for d, a in re.findall(r"(\S+):(\d+)-\d+", ranges)],
                              int(stripe)))
        return sorted(found)

    def pieces(self, volume, pe_start=MIB, extent=MIB):
        """[(offset in the volume, offset in the physical volume, bytes)]"""
        out = []
        for start, size, stripes, stripe in self.extents(volume):
            if len(stripes) == 1:
                out.append((start, pe_start + stripes[0][1] * extent, size))
                continue
            for i in range(size // stripe):
                first = stripes[i % len(stripes)][1]
                out.append((start + i * stripe, pe_start + first * extent + i // len(stripes) * stripe, stripe))
        return out


def make_disk(name="disk.img", metadata_copies=2):
    """A disk of two partitions, the second a physical volume with a volume in two pieces, a striped one and others."""
    lib.need_tool("sfdisk")
    disk = lib.make_raw(name, START + SIZE + 2 * MIB, [])
    run(["sfdisk", "-q", disk], input=b"label: gpt\nstart=2048,size=10M\nstart=32768,size=200M,type=lvm\n")
    with lib.loop(disk, "-o", str(START), "--sizelimit", str(SIZE)) as device:
        lvm = Lvm(device)
        lvm("pvcreate", "-y", "--metadatacopies", str(metadata_copies), device)
        lvm("vgcreate", "-s", "1M", "vg", device)
        lvm.create("root", 30)
        lvm.create("home", 20)
        lvm("lvextend", "-l", "+20", "vg/root")
        lvm.create("striped", 20, "-i", "2", "-I", "64", "--alloc", "anywhere")
        lvm.create("disk", 20)
        lvm.create("zeros", 2, "--type", "zero")
        pieces = {v: lvm.pieces(v) for v in ("root", "home", "striped", "disk")}
    return disk, pieces


def put(disk, pieces, content, base=START):
    """Write the bytes of a file into a volume's extents."""
    with open(content, "rb") as f, open(disk, "r+b") as d:
        for start, at, n in pieces:
            f.seek(start)
            d.seek(base + at)
            d.write(f.read(n))


def make_ext4(name, size, top, label):
    lib.need_tool("mkfs.ext4")
    image = lib.make_raw(name, size, [])
    run(["mkfs.ext4", "-q", "-F", "-L", label, "-d", top, image])
    return image


def make_full():
    """The disk, with file systems and a partitioned disk in its volumes: (disk, pieces, images, folder)."""
    disk, pieces = make_disk()
    top = path("top")
    files.populate(top)
    images = {"root": make_ext4("root.img", 50 * MIB, top, "rootfs"), "striped": make_ext4("striped.img", 20 * MIB, top, "stripes")}
    inner = lib.make_raw("inner.img", 20 * MIB, [])
    run(["sfdisk", "-q", inner], input=b"label: dos\nstart=2048,size=16M,type=83\n")
    small = make_ext4("small.img", 16 * MIB, top, "inside")
    run(["dd", f"if={small}", f"of={inner}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none"])
    images["disk"] = inner
    for name, image in images.items():
        put(disk, pieces[name], image)
    return disk, pieces, images, top


def test_volumes_are_disks():
    """Each is the bytes of its extents, on a partition, by group and name, by UUID, and on a bare physical volume."""
    disk, pieces, images, _ = make_full()
    run(["dd", f"if={disk}", f"of={path('pv.img')}", "bs=1M", f"skip={START // MIB}", f"count={SIZE // MIB}", "status=none"])
    uuids = {v["name"]: v["uuid"] for v in platter("info", "--json", disk + "@2").json()["disks"][0]["contents"][0]["volumes"]}
    for name, image in images.items():
        wanted = lib.sha256(image)
        for place in (f"{disk}@2/{name}", f"{disk}@2/vg/{name}", f"{disk}@2@{name}", f"{disk}@2/{uuids[name]}",
                      f"{path('pv.img')}@{name}", f"{path('pv.img')}@/vg/{name}", f"{path('pv.img')}@vg/{name}"):
            expect_equal(platter("hash", place).text.split()[0], wanted, place)
    expect_equal(platter("hash", disk + "@2/zeros").text.split()[0],
                 lib.sha256(lib.make_raw("zeros", 2 * MIB, [])), "a volume of zeros")
    platter("convert", disk + "@2/root", path("root.qcow2"))
    platter("compare", path("root.qcow2"), images["root"])
    expect_equal(platter("hash", f"{disk}@2/disk@1").text.split()[0], lib.sha256(path("small.img")), "a partition in a volume")


def test_the_map_is_lvms():
    """What is stored where agrees with what lvs tells."""
    disk, pieces, _, _ = make_full()
    for name in ("root", "striped"):
        for e in platter("map", "--json", f"{disk}@2/{name}").json()["extents"]:
            if e["kind"] != "data":
                continue
            start, at, n = next(p for p in pieces[name] if p[0] <= e["offset"] < p[0] + p[2])
            expect_equal(e["stored_offset"], START + at + e["offset"] - start, f"{name} at {e['offset']}")


def test_files():
    """Whole disks, physical volumes and logical ones are looked into."""
    disk, _, _, top = make_full()
    for place in (disk + "@2/root", disk + "@2/vg/striped", disk + "@2/disk@1"):
        files.expect_same(files.hashed(place), files.wanted_hashes(top) | {}, place)
    large = lib.sha256(os.path.join(top, "large"))
    for place in ("@2/root:/large", ":/2/root/large", "@2:/root/large", ":/2/disk/1-inside/large", "@2/disk:/1/large",
                  "@2/root:/a/link", ":/2/striped/a/link"):
        expect_equal(platter("hash", disk + place).text.split()[0], large, place)
        expect_equal(len(platter("cat", disk + place).out), 3_500_000, f"bytes of {place}")
    names = platter("ls", disk + ":/2").text.split()
    expect_equal(names, ["disk", "home", "root", "striped", "zeros"], "what is in the physical volume")
    everything = files.hashed(disk)
    for folder in (b"2/root/", b"2/striped/", b"2/disk/1-inside/"):
        files.expect_same({k[len(folder):]: v for k, v in everything.items() if k.startswith(folder)},
                          files.wanted_hashes(top), folder)
    said = {v["place"]: v for v in platter("df", "--json", disk).json()["volumes"]}
    expect_equal(sorted(said), [disk + p for p in ("@2/disk@1", "@2/root", "@2/striped")], "what df lists")
    expect_equal(said[disk + "@2/root"]["size"], 50 * MIB, "size of root")


def test_info():
    """info lists the volumes with their types, sizes and what is on each."""
    disk, _, images, _ = make_full()
    contents = platter("info", "--json", disk).json()["disks"][0]["tables"][0]["partitions"][1]["contents"]
    expect_equal(contents[0]["name"], "LVM2_member", "the partition")
    expect_equal(contents[0]["facts"]["volume_group"], "vg", "the group")
    expect_equal(contents[0]["free"], (198 - 110) * MIB, "free extents")
    volumes = {v["name"]: v for v in contents[0]["volumes"]}
    told = [(v["type"], v["size"] // MIB, [c["name"] for c in v["contents"]]) for v in contents[0]["volumes"]]
    expect_equal(told, [("linear", 50, ["ext4"]), ("linear", 20, []), ("striped", 20, ["ext4"]), ("linear", 20, []),
                        ("zero", 2, [])], "the volumes")
    expect_equal(volumes["disk"]["table"], {"name": "mbr", "partitions": 1}, "the table in a volume")
    alone = platter("info", "--json", images["root"]).json()["disks"][0]["contents"][0]
    expect_equal(volumes["root"]["contents"][0]["free"], alone["free"], "free space in root")
    layers = platter("info", "--json", volumes["root"]["place"]).json()["disks"][0]["layers"]
    expect_equal([layer["kind"] for layer in layers], ["storage", "format", "partition", "logical"], "layers")
    expect_equal(layers[3]["facts"]["type"], "linear", "type of the layer")
    text = platter("info", disk).text
    for word in ("root", "striped", "@2/home", "MBR".lower() + " table, 1 partition", 'Logical volume root: '):
        expect(word in text, f"info does not say {word!r}:\n{text}")


def test_used_only():
    """What is left out is free extents and free blocks; all that is not understood stays."""
    disk, pieces, images, top = make_full()
    with open(disk, "r+b") as f:    # noise in all that is free
        for at, n in free_extents(pieces):
            f.seek(at)
            f.write(lib.noise(n, seed=at))
        for start, at, n in pieces["home"]:     # not known: stays
            f.seek(START + at)
            f.write(lib.noise(n, seed=n))
    said = platter("create", "--used-only", "--json", disk, path("b.img"), timeout=120).json()
    volumes = {v["logical"]: v for v in said["volumes"] if v["partition"] == 2}
    expect_equal(sorted(volumes, key=str), [None, "vg/disk", "vg/home", "vg/root", "vg/striped", "vg/zeros"], "volumes told")
    expect(volumes[None]["whole"] is None, f"kept whole: {volumes[None]}")
    for name in ("root", "striped"):
        alone = platter("create", "--used-only", "--json", images[name], path(name + ".used")).json()["volumes"][0]
        expect_equal(volumes["vg/" + name]["used"], alone["used"], f"of {name} kept")
        expect(volumes["vg/" + name]["whole"] is None, f"{name}: {volumes['vg/' + name]}")
    expect_equal(volumes["vg/home"]["used"], 20 * MIB, "of an unknown volume kept")
    # 199 extents: free ones, and what is free in the file systems.
    expect(said["unused"] > 87 * MIB + 60 * MIB // 2, f"only {said['unused']} bytes were left out")
    backup = path("b.img")
    for name in ("root", "striped", "home"):
        if name == "home":
            platter("compare", f"{disk}@2/home", f"{backup}@2/home")
        else:
            files.expect_same(files.hashed(f"{backup}@2/{name}"), files.wanted_hashes(top), name)
    files.expect_same(files.hashed(f"{backup}@2/disk@1"), files.wanted_hashes(top), "disk")
    with lib.loop(backup, "-o", str(START), "--sizelimit", str(SIZE)) as device:
        lvm = Lvm(device)
        lvm("vgck", "vg")
        for name in pieces:
            expect_equal(lvm.pieces(name), pieces[name], f"extents of {name} in the backup")
    # The sum, by the extents: metadata and ends, what is not known, and what each file system has.
    kept = said["size"] - said["unused"]
    expect_equal(volumes[None]["used"] + said["size"] - SIZE, kept, "bytes kept, partition 1 and gaps being all in use")


def free_extents(pieces):
    """Free extents of the physical volume: (offset on the disk, bytes)."""
    taken = sorted((at, n) for p in pieces.values() for _, at, n in p)
    at = MIB
    for start, n in taken + [(199 * MIB, 0)]:
        if start > at:
            yield START + at, start - at
        at = max(at, start + n)


# ---- what the tools make only with a device mapper: the metadata by itself ----

def restore(disk, edit):
    """Have vgcfgrestore write the group's metadata again, as edit() makes it of the text."""
    with lib.loop(disk, "-o", str(START), "--sizelimit", str(SIZE)) as device:
        lvm = Lvm(device)
        lvm("vgcfgbackup", "-f", path("vg.txt"), "vg")
        with open(path("vg.txt")) as f:
            text = f.read()
        changed = edit(text)
        expect(changed != text, "the edit changes nothing")
        with open(path("vg.txt"), "w") as f:
            f.write(changed)
        lvm("vgcfgrestore", "--force", "-y", "-f", path("vg.txt"), "vg")


def volume_text(name, number, segment, status='"READ", "WRITE", "VISIBLE"'):
    uuid = f"{number:06d}-aaaa-bbbb-cccc-dddd-eeee-ffffff"
    return (f'{name} {{ id = "{uuid}" status = [{status}] flags = [] creation_time = 1 creation_host = "h"\n'
            f'segment_count = 1 segment1 {{ start_extent = 0 {segment} }} }}\n')


def add_volumes(*texts):
    return lambda text: text.replace("logical_volumes {", "logical_volumes {\n" + "".join(texts), 1)


def linear(first, count=2):
    return f'extent_count = {count} type = "striped" stripe_count = 1 stripes = [ "pv0", {first} ]'


HIDDEN = '"READ", "WRITE"'


def test_what_is_not_read():
    """Snapshots, RAID, thin volumes are named, and refused with the reason; their extents and origins are kept."""
    disk, pieces, images, _ = make_full()
    restore(disk, add_volumes(
        volume_text("cow", 1, linear(150), HIDDEN),
        volume_text("snapshot0", 2, 'extent_count = 50 type = "snapshot" chunk_size = 8 origin = "root" cow_store = "cow"', HIDDEN),
        volume_text("leg_rimage_0", 3, linear(152), HIDDEN), volume_text("leg_rmeta_0", 4, linear(154, 1), HIDDEN),
        volume_text("leg_rimage_1", 5, linear(155), HIDDEN), volume_text("leg_rmeta_1", 6, linear(157, 1), HIDDEN),
        volume_text("leg", 7, 'extent_count = 2 type = "raid1" device_count = 2 region_size = 2048 '
                              'raids = [ "leg_rmeta_0", "leg_rimage_0", "leg_rmeta_1", "leg_rimage_1" ]')))
    volumes = {v["name"]: v for v in platter("info", "--json", disk + "@2").json()["disks"][0]["contents"][0]["volumes"]}
    expect("leg_rimage_0" not in volumes, "a part of a RAID is shown")
    for name, kind, word in (("cow", "snapshot", "snapshot"), ("leg", "raid1", "raid1")):
        expect_equal(volumes[name]["type"], kind, f"type of {name}")
        expect(word in volumes[name]["reason"], f"{name}: {volumes[name]}")
        r = platter("hash", f"{disk}@2/{name}", status=3)
        expect("cannot be opened" in r.errors and word in r.errors, r.errors)
    expect_equal(platter("hash", disk + "@2/root").text.split()[0], lib.sha256(images["root"]), "the origin of a snapshot")
    expect_equal(len(platter("cat", disk + "@2/leg_rimage_0").out), 2 * MIB, "a leg, by its name")
    said = platter("create", "--used-only", "--json", disk, path("b.img"), timeout=120).json()
    told = {v["logical"]: v for v in said["volumes"] if v["partition"] == 2}
    expect_equal(told["vg/root"]["used"], 50 * MIB, "of the origin kept")
    expect("made of it" in told["vg/root"]["whole"], told["vg/root"]["whole"])
    extents = platter("map", "--json", path("b.img")).json()["extents"]
    with open(disk, "rb") as a, open(path("b.img"), "rb") as b:
        for start, at, n in pieces["root"]:
            a.seek(START + at)
            b.seek(START + at)
            expect(a.read(n) == b.read(n), f"the origin differs at {start}")
    expect(extents, "the backup has no map")


def test_other_disks():
    """A volume that is not wholly on this physical volume says what it misses; the rest opens."""
    first, second = lib.make_raw("a.img", 40 * MIB, []), lib.make_raw("b.img", 40 * MIB, [])
    with lib.loop(first) as a, lib.loop(second) as b:
        lvm = Lvm(a, b)
        lvm("pvcreate", "-y", a, b)
        lvm("vgcreate", "-s", "1M", "vg", a, b)
        lvm("lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", "here", "-l", "5", "vg", a)
        lvm("lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", "there", "-l", "5", "vg", b)
        lvm("lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", "both", "-i", "2", "-l", "6", "vg")
    for image, good, bad in ((first, "here", "there"), (second, "there", "here")):
        expect_equal(len(platter("cat", f"{image}@{good}").out), 5 * MIB, good)
        for name in (bad, "both"):
            r = platter("hash", f"{image}@{name}", status=3)
            expect("not on this physical volume" in r.errors, r.errors)
        said = platter("create", "--used-only", "--json", image, path("c.img"), "--force").json()
        # Of the one of both, 3 extents; of the other 5, which hold nothing known; metadata and the end.
        expect_equal(said["unused"], (39 - 3 - 5) * MIB, f"left out of {image}")


# ---- damage ----

def crc(data):
    """LVM's: begun with a number of its own, without inversions."""
    return zlib.crc32(data, 0xf597a6cf ^ 0xffffffff) ^ 0xffffffff


def areas(disk):
    """Offsets on the disk of the two metadata areas."""
    with open(disk, "rb") as f:
        f.seek(START + 512)
        label = f.read(512)
    at = struct.unpack_from("<I", label, 20)[0] + 40
    while struct.unpack_from("<Q", label, at)[0]:
        at += 16
    at += 16
    found = []
    while struct.unpack_from("<Q", label, at)[0]:
        found.append(START + struct.unpack_from("<Q", label, at)[0])
        at += 16
    return found


def change(disk, at, data):
    with open(disk, "r+b") as f:
        f.seek(at)
        f.write(data)


def text_of(disk, area):
    with open(disk, "rb") as f:
        f.seek(area)
        header = f.read(512)
        offset, size, checksum = struct.unpack_from("<QQI", header, 40)
        expect_equal(struct.unpack_from("<I", header, 0)[0], crc(header[4:]), "the header's checksum")
        f.seek(area + offset)
        text = f.read(size)
        expect_equal(crc(text), checksum, "the text's checksum")
    return header, offset, text


def set_text(disk, area, text, at=None):
    """Put another text into an area, in a ring that begins again behind the header."""
    header, offset, _ = text_of(disk, area)
    size = struct.unpack_from("<Q", header, 32)[0]
    offset = at or offset
    first = text[:size - offset]
    change(disk, area + offset, first)
    change(disk, area + 512, text[len(first):])
    header = bytearray(header)
    struct.pack_into("<QQI", header, 40, offset, len(text), crc(text))
    struct.pack_into("<I", header, 0, crc(bytes(header[4:])))
    change(disk, area, bytes(header))


def test_two_areas():
    """The newest text counts; a damaged area is told, the other is used, and nothing is called free then."""
    disk, pieces, images, _ = make_full()
    first, second = areas(disk)
    wanted = lib.sha256(images["root"])
    _, offset, text = text_of(disk, first)
    with open(disk, "rb") as f:
        whole = f.read()

    def reset():
        for area in (first, second):
            change(disk, area, whole[area:area + MIB - 4096])

    def warnings():
        content = platter("info", "--json", disk + "@2").json()["disks"][0]["contents"][0]
        return " ".join(content["warnings"]), [v["name"] for v in content["volumes"]]

    def newer_second():
        new = re.sub(rb"seqno = (\d+)", lambda m: b"seqno = %d" % (int(m[1]) + 1), text).replace(b"home", b"hone")
        set_text(disk, second, new)
        expect("hone" in warnings()[1], "the older text was used")
    yield "the second is newer", newer_second

    def wrapped():
        reset()
        size = struct.unpack_from("<Q", text_of(disk, first)[0], 32)[0]
        set_text(disk, first, text, size - 700)
        change(disk, second, bytes(512))
        said, _ = warnings()
        expect("metadata area at byte" in said, said)
        expect_equal(platter("hash", disk + "@2/root").text.split()[0], wanted, "root, by a text that wraps")
        with lib.loop(disk, "-o", str(START), "--sizelimit", str(SIZE)) as device:
            expect("root" in Lvm(device)("lvs", "vg"), "lvs does not read it")
    yield "a text that wraps, and the second area zeroed", wrapped

    def damaged():
        reset()
        change(disk, first + offset + 20, b"\0\1\2")
        said, _ = warnings()
        expect("checksum" in said, said)
        expect_equal(platter("hash", disk + "@2/root").text.split()[0], wanted, "root, by the second area")
        r = platter("create", "--used-only", "--json", disk, path("b.img"), timeout=120).json()
        whole = [v["whole"] for v in r["volumes"] if v["partition"] == 2]
        expect(len(whole) == 1 and "damaged" in whole[0], f"kept whole: {whole}")
    yield "the first is damaged", damaged

    def both():
        for area in (first, second):
            change(disk, area + 4, b"nothing")
        r = platter("hash", disk + "@2/root", status=3)
        expect("no metadata area where the label says" in r.errors, r.errors)
        platter("info", disk)
    yield "both are damaged", both


# What becomes of a text, and a word of the error or the reason.
BROKEN = {
    "no end": (lambda t: t[:len(t) // 2], "without an end"),
    "a string without an end": (lambda t: t.replace(b'format = "lvm2"', b'format = "lvm2', 1), "in line"),
    "extents of nothing": (lambda t: t.replace(b"extent_size = 2048", b"extent_size = 0", 1), "extents of 0 sectors"),
    "extents too large": (lambda t: t.replace(b"extent_size = 2048", b"extent_size = 99999999999", 1), "99999999999"),
    "not listed": (lambda t: t.replace(b"pv0 {\nid = \"", b"pv0 {\nid = \"x", 1), "does not list"),
    "extents past the end": (lambda t: re.sub(rb'"pv0", 0\n', b'"pv0", 190\n', t, count=1), "extents that this disk has not"),
    "segments apart": (lambda t: t.replace(b"start_extent = 30", b"start_extent = 31", 1), "do not follow"),
    "segments missing": (lambda t: t.replace(b"segment_count = 2", b"segment_count = 3", 1), "number of its segments"),
    "stripes missing": (lambda t: t.replace(b"stripe_count = 1", b"stripe_count = 2", 1), "stripes"),
    "no group": (lambda t: b"contents = 1\n\0", "without a group"),
    "no name": (lambda t: t.replace(b"logical_volumes {", b"logical_volumes {\n= 3\n", 1), "no name in line"),
}


def test_broken_texts():
    """Texts whose checksum is right and that are wrong otherwise: errors that name it, and nothing is left out."""
    disk, _, _, _ = make_full()
    first, second = areas(disk)
    change(disk, second, bytes(512))
    _, _, text = text_of(disk, first)
    for name, (edit, word) in BROKEN.items():
        def attempt(edit=edit, word=word):
            new = edit(text)
            expect(new != text, "the edit changes nothing")
            set_text(disk, first, new)
            r = platter("hash", disk + "@2/root", status=3)
            expect(word in r.errors, r.errors)
            said = platter("create", "--used-only", "--json", disk, path("b.img"), "--force", timeout=120).json()
            pv = next(v for v in said["volumes"] if v["partition"] == 2 and v["logical"] is None)
            expect(pv["whole"], f"not kept whole: {pv}")
            platter("info", disk)
        yield name, attempt


def test_nested_braces():
    """A text of braces in each other, and one of many volumes, take neither stack nor time."""
    disk, _ = make_disk(metadata_copies=1)
    first, = areas(disk)
    _, _, text = text_of(disk, first)
    depth = 300_000
    set_text(disk, first, text.replace(b"logical_volumes {", b"logical_volumes {\n" + b"a{" * depth + b"}" * depth, 1), 512)
    expect_equal(platter("hash", disk + "@2/root", timeout=20, status=(0, 3)).timed_out, False, "timed out")
    many = b"".join(b"v%d{a=[1]}" % i for i in range(60_000))
    set_text(disk, first, text.replace(b"logical_volumes {", b"logical_volumes {\n" + many, 1), 512)
    r = platter("hash", disk + "@2/root", timeout=20, status=3)
    expect("more than 16384" in r.errors, r.errors)


def test_errors():
    """What is not there is said, with what is."""
    disk, _ = make_disk()
    for place, words in (("@2/nope", ["no logical volume 'nope'", "root, home, striped, disk, zeros"]),
                         ("@2/other/root", ["no logical volume 'other/root'"]),
                         ("@3/root", ["no partition '3'"]),
                         ("@1/root", ["is no physical volume"]),
                         ("@/vg/root", ["is no physical volume"])):
        r = platter("hash", disk + place, status=3)
        for word in words:
            expect(word in r.errors, f"{place}: {r.errors}")
    r = platter("restore", "--yes", path("lvm"), disk + "@2/root", status=None)
    expect(r.status != 0, "a logical volume was written")
