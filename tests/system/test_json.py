# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON answers, held against docs/schemas and docs/json.md."""
import json
import os

import lib
from lib import MIB, ROOT, expect, expect_equal, mixed_raw, path, platter, run

SCHEMAS = os.path.join(ROOT, "docs/schemas")


def validate(answer, name):
    try:
        import jsonschema
    except ImportError:
        lib.skip("python3-jsonschema is not installed")
    with open(os.path.join(SCHEMAS, name + ".json")) as f:
        schema = json.load(f)
    errors = list(jsonschema.Draft7Validator(schema).iter_errors(answer))
    expect(not errors, "\n".join(f"{'/'.join(map(str, e.absolute_path))}: {e.message[:500]}" for e in errors[:5]))


def answers(name, *words, status=0):
    validate(platter(*words, "--json", status=status).json(), name)


def disk_of_everything():
    """Tables, file systems, a name that is no ASCII."""
    lib.need_tool("sfdisk", "mke2fs", "mkfs.vfat")
    disk = lib.make_raw("disk.img", 48 * MIB, [])
    run(["sfdisk", "-q", disk], input="label: gpt\nsize=20M,type=U,name=größe\nsize=20M,type=L\n".encode())
    run(["mke2fs", "-q", "-t", "ext4", "-L", "root", "-E", f"offset={21 * MIB}", disk, "20480"])
    fat = lib.make_raw("fat", 20 * MIB, [])
    run(["mkfs.vfat", "-n", "EFI", fat])
    run(["dd", f"if={fat}", f"of={disk}", "bs=1M", "seek=1", "conv=notrunc", "status=none"])
    return disk


def test_info():
    """info answers as its schema says: disks with tables and file systems, chains, snapshots, devices, damage."""
    disk = disk_of_everything()
    platter("create", "-c", disk, path("a.qcow2"))
    answers("info", "info", disk, disk + "@1", path("a.qcow2"), path("a.qcow2") + "@2")
    lib.need_tool("qemu-img")
    run(["qemu-img", "snapshot", "-c", "now", path("a.qcow2")])
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", path("a.qcow2"), "-F", "qcow2", path("b.qcow2")])
    answers("info", "info", path("a.qcow2"), path("b.qcow2"))
    answers("info", "info", path("missing"), disk, status=3)
    os.truncate(disk, 30 * MIB)
    answers("info", "info", disk)


def test_info_of_seeds():
    """So it does for every fuzz seed."""
    top = os.path.join(ROOT, "fuzz/seeds")
    for target in sorted(os.listdir(top)):
        for name in sorted(os.listdir(os.path.join(top, target))):
            if target != "place":
                validate(platter("info", "--json", os.path.join(top, target, name), status=(0, 3)).json(), "info")


def test_info_of_corpus():
    """And for every sample of the corpus that is small as stored."""
    for s in lib.manifest():
        if os.path.isfile(s.stored) and os.stat(s.stored).st_size < MIB:
            validate(platter("info", "--json", s.stored, status=(0, 3)).json(), "info")


def test_work():
    """create, convert, clone, restore, verify and compare answer as their schemas say."""
    disk = disk_of_everything()
    answers("create", "create", "--hash", "sha256,md5", "--verify", disk, path("a.qcow2"))
    answers("create", "convert", path("a.qcow2"), path("b.img"))
    answers("create", "clone", path("b.img"), path("c.img"))
    answers("restore", "restore", "--yes", path("a.qcow2"), path("c.img"))
    answers("verify", "verify", "--hash", "sha1", path("a.qcow2"), path("b.img"))
    answers("compare", "compare", path("a.qcow2"), path("b.img"))
    answers("compare", "compare", path("a.qcow2"), mixed_raw("other"), status=1)
    answers("verify", "verify", path("a.qcow2"), path("missing"), status=3)
    with open(path("a.qcow2"), "r+b") as f:
        f.truncate(os.stat(path("a.qcow2")).st_size // 2)
    answers("verify", "verify", path("a.qcow2"), status=(1, 3))


def test_map():
    """map answers as its schema says: compressed, in a partition, in a chain, cut by damage."""
    disk = disk_of_everything()
    platter("create", "-c", disk, path("a.qcow2"))
    for place in (disk, path("a.qcow2"), path("a.qcow2") + "@2"):
        answers("map", "map", place)
    answers("map", "map", "--offset=48M", disk)
    answers("error", "map", path("missing"), status=3)
    platter("create", disk, path("b.vdi"))
    with open(path("b.vdi"), "r+b") as f:
        f.truncate(os.stat(path("b.vdi")).st_size - MIB)
    r = platter("map", "--json", path("b.vdi"), status=3)
    validate(r.json(), "map")
    expect("error" in r.json() and r.json()["extents"], f"no extents before the damage: {r}")


def test_measure():
    """measure answers as its schema says: one format, all, an empty disk, one that is too large."""
    disk = disk_of_everything()
    answers("measure", "measure", disk)
    answers("measure", "measure", "-O", "qcow2", "-c", disk)
    answers("measure", "measure", "--size=3T")
    answers("error", "measure", "--size=64T", "-O", "vhd", status=3)
    answers("error", "measure", path("missing"), status=3)
    answers("error", "measure", status=2)

def test_changes():
    """resize, snapshot, compact and repair answer as their schemas say."""
    disk = disk_of_everything()
    answers("resize", "resize", disk, "+1M")
    answers("error", "resize", disk, "-20M", status=3)
    answers("error", "resize", disk, "-20G", status=2)
    image = path("a.qcow2")
    platter("create", disk, image)
    answers("resize", "resize", image, "+1M")
    answers("snapshot", "snapshot", image, "--create", "größe")
    answers("snapshot", "snapshot", image)
    answers("snapshot", "snapshot", image, "--apply=1")
    answers("repair", "repair", image)
    with open(image, "r+b") as f:
        f.seek(48)
        f.write(bytes(8))
    answers("repair", "repair", "--dry-run", image, status=1)
    answers("repair", "repair", image)
    answers("change", "compact", image)
    answers("error", "compact", "--copy", image, status=3)
    answers("snapshot", "snapshot", image, "--delete=1")
    answers("error", "snapshot", image, "--delete=1", status=3)
    answers("error", "snapshot", image, "--delete=1", "--create=2", status=2)
    answers("error", "repair", disk, status=3)


def test_files():
    """ls, tree, find and hash answer as their schemas say: files, attributes, errors, names that are no UTF-8."""
    lib.need_tool("genromfs")
    top = path("top")
    os.makedirs(os.path.join(top, "folder"))
    for name in (b"file", b"folder/caf\xe9", b"\xc3\xa9t\xc3\xa9"):
        with open(os.path.join(top.encode(), name), "wb") as f:
            f.write(name)
    os.symlink("file", os.path.join(top, "link"))
    run(["genromfs", "-d", top, "-f", path("a.img")])
    for words in (["ls"], ["ls", "-R", "--attributes"], ["tree"], ["find", "-name", "f*"]):
        answer = platter(*words, "--json", path("a.img")).json()
        validate(answer, "files")
        expect(answer["files"], f"{words} finds nothing")
    validate(platter("hash", "-R", "--json", "--hash", "sha256,md5", path("a.img")).json(), "hash")
    validate(platter("hash", "--json", path("a.img")).json(), "hash")
    files = {f["path"]: f for f in platter("ls", "-R", "--json", path("a.img")).json()["files"]}
    expect_equal(bytes.fromhex(files["folder/caf\ufffd"]["path_hex"]), b"folder/caf\xe9", "a name that is no UTF-8")
    expect("path_hex" not in files["\u00e9t\u00e9"], "a name that is UTF-8 has its bytes twice")


def test_wipe():
    """wipe answers as its schema says: done, only planned, refused, and the list of methods; so do certificates."""
    image = mixed_raw("a")
    answers("wipe", "wipe", "--list-methods")
    answers("wipe", "wipe", "--dry-run", image)
    certificate = path("c.json")
    answers("wipe", "wipe", "--yes", "--method=dod", "--certificate", certificate, "-o", "notes=n,backup=no", image)
    with open(certificate) as f:
        validate(json.load(f), "wipe")
    answers("error", "wipe", "--yes", "--method=nvme-format", image, status=3)
    answers("error", "wipe", "--yes", "--method=nonesuch", image, status=3)
    answers("error", "wipe", status=2)


def test_formats():
    """formats answers as its schema says, with and without a name."""
    answers("formats", "formats")
    answers("formats", "formats", "qcow2")


def test_errors():
    """Failures and wrong usage answer with the error object."""
    answers("error", "create", path("missing"), path("out.img"), status=3)
    answers("error", "compare", path("missing"), path("missing"), status=3)
    answers("error", "create", "one", status=2)
    answers("error", "formats", "nonesuch", status=2)
    answers("error", "restore", "--yes", mixed_raw("a"), path("missing"), status=3)
    platter("create", path("a"), path("b"))
    answers("error", "create", path("a"), path("b"), status=3)


def test_progress():
    """Every line of --progress=json is as its schema says."""
    for words in (["create", "--verify", "--hash", "sha256", mixed_raw("a"), path("b.qcow2")], ["verify", path("b.qcow2")],
                  ["compare", path("a"), path("b.qcow2")], ["measure", "--sparse=auto", path("a")]):
        r = platter(*words, "--progress=json")
        for line in r.errors.splitlines():
            validate(json.loads(line), "progress")


def properties(schema):
    """Every member that a schema names, outside of `platter`."""
    found = set()
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            found.add(name)
            found |= properties(inner)
        inner = [schema.get("items")] + schema.get("anyOf", []) + list(schema.get("definitions", {}).values())
        for one in inner:
            found |= properties(one)
    return found


def test_reference_is_complete():
    """docs/json.md names every member that the schemas know."""
    with open(os.path.join(ROOT, "docs/json.md")) as f:
        text = f.read()
    for name in os.listdir(SCHEMAS):
        with open(os.path.join(SCHEMAS, name)) as f:
            for member in properties(json.load(f)) - {"platter", "schema", "command"}:
                expect(f"`{member}`" in text, f"docs/json.md does not name {member} ({name})")
