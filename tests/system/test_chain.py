# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of overlays: made, opened with --parent, committed, flattened, rebased."""
import glob
import json
import os
import pathlib
import random
import shutil
import time

import lib
from lib import MIB, PLATTER, expect, expect_equal, helper, limit, loop, mixed_raw, need_tool, path, platter, run, serial, shards, weight
from test_json import validate
from test_kill import kill_after

SIZE = 24 * MIB


def formats(*abilities):
    """Formats that overlays can be made in, and that can do what is asked for besides."""
    known = platter("formats", "--json").json()["formats"]
    return [f["name"] for f in known if f["backing"] and f["create"] and all(f[a] for a in abilities)]


def writes(image, seed, size, count=25):
    """The same writes, zeros and discards go into any image that gets the same seed."""
    rng = random.Random(seed)
    lines = []
    for _ in range(count):
        at = rng.randrange(size // 512) * 512
        n = min(size - at, rng.choice((512, 4096, 65536, 200704, 3 * MIB)))
        what = rng.choice(("write", "write", "stamp", "zero"))
        lines.append(f"{what} {rng.randrange(1, 250) if what != 'zero' else '-'} {at} {n}\n")
    run([helper("writes"), image], input="".join(lines).encode())


def chain_of(kind, sizes=(SIZE, SIZE, SIZE), folder=""):
    """base, middle and top of a format, and the raw disk that each is to read as."""
    os.makedirs(path(folder), exist_ok=True)
    names, models = [], []
    for i, (name, size) in enumerate(zip(("base", "middle", "top"), sizes)):
        image, model = path(os.path.join(folder, f"{name}.{kind}")), path(os.path.join(folder, name + ".raw"))
        if i:
            platter("create", "--parent", names[-1], "--size", str(size), image)
            shutil.copy(models[-1], model)
            os.truncate(model, size)
            for target in (image, model):
                writes(target, (kind, i).__repr__(), size)
        else:
            shutil.copy(mixed_raw("source", size), model)
            platter("create", "-q", model, image)
        names.append(image)
        models.append(model)
    return names, models


def check(image, model):
    platter("compare", image, model)
    platter("verify", image)
    if image.endswith(".qcow2"):
        lib.qemu_equal(image, model, "qcow2", "raw")
        lib.qemu_check(image)


def test_create_overlay():
    """create --parent makes an overlay in every format that has one; it reads as its parent."""
    for kind in formats():
        def attempt(kind=kind):
            base, top = path("base." + kind), path("sub/top." + kind)
            platter("create", "-q", mixed_raw("source"), base)
            os.makedirs(path("sub"))
            said = platter("create", "--json", "--parent", base, top).json()
            validate(said, "create")
            expect_equal(said["size"], SIZE, "size")
            expect_equal([c["name"] for c in lib.info(top)["chain"]], [kind], "formats of the chain")
            check(top, path("source"))
            platter("create", "--parent", base, top, status=3)
            shutil.rmtree(path("sub"))
            if kind == "qcow2":
                need_tool("qemu-img")
                run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", path("q.qcow2")])
                platter("compare", path("q.qcow2"), path("source"))
        yield kind, attempt


def test_names_of_parents():
    """A relative parent counts from the current folder, and is stored as seen from the image's."""
    need_tool("qemu-img")
    os.makedirs(path("a/b"))
    os.makedirs(path("c"))
    platter("create", "-q", mixed_raw("source"), path("a/base.qcow2"))
    for given, stored in (("base.qcow2", "../../a/base.qcow2"), (path("a/base.qcow2"), path("a/base.qcow2")),
                          ("./b/../base.qcow2", "../../a/base.qcow2")):
        top = path("c/d/top.qcow2")
        os.makedirs(path("c/d"))
        platter("create", "--parent", given, top, cwd=path("a"))
        expect_equal(run(["qemu-img", "info", "--output=json", top]).json()["backing-filename"], stored, "name")
        platter("compare", top, path("source"))
        shutil.rmtree(path("c/d"))
    platter("create", "--parent", "base.qcow2", "x:y.qcow2", cwd=path("a"))
    platter("create", "--parent", "x:y.qcow2", "z.qcow2", cwd=path("a"))
    platter("compare", path("a/z.qcow2"), path("source"))


def test_create_empty():
    """create --size makes an image of zeros in every format of disks that can be created."""
    for f in platter("formats", "--json").json()["formats"]:
        if not f["create"] or f["holds"] != "disk":
            continue

        def attempt(name=f["name"]):
            said = platter("create", "--json", "-O", name, "--size", "37M", path("new")).json()
            validate(said, "create")
            expect_equal((said["source"], said["size"]), (None, 37 * MIB), "what is said")
            platter("compare", path("new"), lib.make_raw("zeros", 37 * MIB, []))
        yield f["name"], attempt


def test_create_refuses():
    """What has no parents, or not of that format, is refused with words."""
    platter("create", "-q", mixed_raw("source"), path("base.qcow2"))
    for words, say in ((["--parent", path("base.qcow2"), path("top.img")], "no parents"),
                       (["--parent", path("base.qcow2"), path("top.vhdx")], "is qcow2"),
                       (["--parent", path("none.qcow2"), path("top.qcow2")], "none.qcow2"),
                       (["--parent", path("base.qcow2"), "-o", "backing_file=x", path("top.qcow2")], "backing_file")):
        r = platter("create", *words, status=3)
        expect(say in r.errors, str(r))
        expect(not os.path.exists(words[-1]) and not os.path.exists(words[-1] + ".part"), "something was left")
    for words in ([path("a.qcow2")], ["--size", "1M", path("source"), path("a.qcow2")],
                  ["--size", "1M", "--parent", path("a"), "--parent", path("b"), path("c.qcow2")],
                  ["--size", "1M", "-F", "raw", path("a.qcow2")], ["--size", "1M", "--verify", path("a.qcow2")]):
        platter("create", *words, status=2)


def test_three_deep():
    """Chains three deep, written at each level, read as they are to; info shows each file of them."""
    for kind in formats("write"):
        def attempt(kind=kind):
            names, models = chain_of(kind)
            for image, model in zip(names, models):
                check(image, model)
            chain = lib.info(names[2])["chain"]
            expect_equal([(c["name"], os.path.realpath(c["place"]), c["size"]) for c in chain],
                         [(kind, names[1], SIZE), (kind, names[0], SIZE)], "chain")
        yield kind, attempt


def test_mixed_chain():
    """A chain of several formats opens by its top, and info shows it."""
    platter("create", "-q", mixed_raw("source"), path("base.vhdx"))
    platter("create", "--parent", path("base.vhdx"), path("middle.vhdx"))
    platter("create", "--parent", path("middle.vhdx"), path("top.qcow2"))
    platter("create", "--parent", path("source"), path("one.qcow2"))
    platter("create", "--parent", path("one.qcow2"), path("two.qcow2"))
    platter("create", "-q", path("source"), path("base.vmdk"))
    platter("create", "--parent", path("base.vmdk"), path("over.qcow2"))
    for top, kinds in (("top.qcow2", ["vhdx", "vhdx"]), ("two.qcow2", ["qcow2", "raw"]), ("over.qcow2", ["vmdk"])):
        shutil.copy(path("source"), path("model.raw"))
        for target in (path(top), path("model.raw")):
            writes(target, top, SIZE)
        platter("compare", path(top), path("model.raw"))
        expect_equal([c["name"] for c in lib.info(path(top))["chain"]], kinds, "formats of the chain")
        text = platter("info", path(top)).text
        for c in lib.info(path(top))["chain"]:
            expect(c["place"] in text, f"{c['place']} is not shown: {text}")


def test_missing_parent():
    """A parent that is not found is named with what to do; --parent opens the chain; another is refused."""
    for kind in formats():
        def attempt(kind=kind):
            base, middle, top = (path(f"{n}.{kind}") for n in ("base", "middle", "top"))
            platter("create", "-q", mixed_raw("source"), base)
            platter("create", "-q", mixed_raw("other", seed=2), path("other." + kind))
            platter("create", "--parent", base, middle)
            platter("create", "--parent", middle, top)
            gone = [path(f"away/{i}/" + os.path.basename(f)) for i, f in enumerate((base, middle))]
            for f in gone:
                os.makedirs(os.path.dirname(f))
            os.rename(path("other." + kind), path("away/other"))
            os.rename(base, gone[0])
            for image in (middle, top):
                r = platter("info", image, status=3)
                expect("--parent FILE" in r.errors, str(r))
                # VDI knows its parent by its UUID alone.
                expect(("the image " if kind == "vdi" else "base." + kind) in r.errors, str(r))
                platter("compare", "--parent", gone[0], image, path("source"))
                platter("info", "--parent", path("nowhere"), image, status=3)
            os.rename(middle, gone[1])
            platter("compare", "--parent", gone[1], "--parent", gone[0], top, path("source"))
            r = platter("info", "--parent", gone[1], top, status=3)
            expect("--parent FILE" in r.errors, str(r))
            r = platter("info", "--parent", top, top, status=3)
            expect("own chain" in r.errors, str(r))
            if kind == "qcow2":     # which cannot tell
                return
            r = platter("info", "--parent", gone[1], "--parent", path("away/other"), top, status=3)
            expect("--ignore-checksums" in r.errors, str(r))
            platter("compare", "--ignore-checksums", "--parent", gone[1], "--parent", path("away/other"), top, path("other"))
        yield kind, attempt


def test_commit():
    """commit makes the parent read as the overlay, of any size, and the overlay still does."""
    for kind in formats("write"):
        for sizes in ((SIZE, SIZE, SIZE), (SIZE, SIZE, SIZE + 5 * MIB), (SIZE, SIZE, SIZE - 3 * MIB)):
            def attempt(kind=kind, sizes=sizes):
                names, models = chain_of(kind, sizes)
                want = shutil.copy(models[2], path("want.raw"))
                if sizes[2] < SIZE:     # what the overlay does not reach stays
                    with open(models[1], "rb") as f, open(want, "ab") as out:
                        f.seek(sizes[2])
                        out.write(f.read())
                said = platter("commit", "--json", names[2]).json()
                validate(said, "change")
                expect_equal((said["size"], said["in_place"]), (sizes[2], True), "what is said")
                check(names[1], want)
                check(names[2], models[2])
                check(names[0], models[0])
                platter("commit", "--remove", names[1])
                expect(not os.path.exists(names[1]), "the overlay is still there")
                check(names[0], want)
                r = platter("commit", names[0], status=3)
                expect("has no parent" in r.errors, str(r))
            yield f"{kind}, top of {sizes[2]}", attempt


# Of these an overlay knows its parent by an identifier that changes with it.
KNOWN = ("vhdx", "vmdk", "vdi")


def test_commit_after_a_change():
    """A parent that something else has written to is not committed to, where that can be known."""
    for kind in formats("write"):
        def attempt(kind=kind):
            base, top, want = path("base." + kind), path("top." + kind), path("want.raw")
            shutil.copy(mixed_raw("source"), want)
            platter("create", "-q", want, base)
            platter("create", "--parent", base, top)
            for target in (top, want):
                run([helper("writes"), target], input=b"write 7 4096 100000\nwrite 8 9000000 70000\n")
            run([helper("writes"), base], input=b"write 7 4096 50000\n")
            before = pathlib.Path(base).read_bytes()
            r = platter("commit", top, status=3 if kind in KNOWN else 0)
            if kind in KNOWN:
                expect("--ignore-checksums" in r.errors, str(r))
                expect(pathlib.Path(base).read_bytes() == before, "the parent was changed")
            else:
                check(base, want)
                check(top, want)
        yield kind, attempt


@serial
@limit(600)
@weight(6)
@shards(2)
def test_commit_kill():
    """A kill at any step of a commit loses nothing: the same again completes it, and no other overlay takes the parent."""
    for kind, options in [(kind, []) for kind in formats("write")] + [("vmdk", ["-o", "subformat=twoGbMaxExtentFlat"])]:
        def attempt(kind=kind, options=options):
            base, top, other = (path(name + "." + kind) for name in ("base", "top", "other"))
            source, want = mixed_raw("source"), path("want.raw")
            shutil.copy(source, want)
            os.truncate(want, SIZE + 2 * MIB)
            begun = 0

            def prepare():
                for name in glob.glob(path("*." + kind)):
                    os.remove(name)
                platter("create", "-q", "--no-sync", *options, source, base)
                platter("create", "-q", "--no-sync", "--parent", base, "--size", str(SIZE + 2 * MIB), top)
                platter("create", "-q", "--no-sync", "--parent", base, other)
                for target in (top, want):
                    run([helper("writes"), target], input=b"write 7 4096 100000\nwrite 8 5000000 70000\n")

            def judge():
                nonlocal begun
                r = platter("compare", top, want, status=(0, 3))
                if r.status:
                    begun += 1
                    expect("'platter commit' of the overlay goes on" in r.errors, str(r))
                if kind in KNOWN:
                    r = platter("compare", other, source, status=(0, 3))
                    if r.status:
                        platter("commit", other, status=3)
                platter("commit", top)
                check(base, want)
                check(top, want)
                if kind in KNOWN:
                    r = platter("commit", other, status=3)
                    expect("goes on" not in r.errors, str(r))

            lib.kill_at_each_step(["commit", top], prepare, judge)
            expect((begun > 0) == (kind in KNOWN), f"seen {begun} times between the two changes of identifiers")
        yield " ".join([kind, *options]), attempt


def test_commit_as_qemu_does():
    """The parent reads as after qemu-img commit."""
    need_tool("qemu-img")
    names, _ = chain_of("qcow2")
    names2, _ = chain_of("qcow2", folder="qemu")
    run(["qemu-img", "commit", "-q", "-d", names2[2]])
    platter("commit", "-q", names[2])
    lib.qemu_equal(names[1], names2[1])


def test_commit_is_guarded():
    """A parent that is attached as a loop device is not written."""
    base, top = mixed_raw("base.raw"), path("top.qcow2")
    before = lib.sha256(base)
    platter("create", "--parent", base, top)
    writes(top, 1, SIZE)
    with loop(base):
        r = platter("commit", top, status=3)
        expect("in use" in r.errors, str(r))
    expect_equal(lib.sha256(base), before, "parent")
    platter("commit", top)
    platter("compare", base, top)


def test_flatten():
    """flatten makes an overlay whole; its format, options, name, mode and owner stay."""
    for kind in formats():
        def attempt(kind=kind):
            if kind in formats("write"):
                names, models = chain_of(kind)
                top, model = names[2], models[2]
            else:
                model, top = mixed_raw("source"), path("top." + kind)
                platter("create", "-q", model, path("base." + kind))
                platter("create", "--parent", path("base." + kind), top)
            os.symlink(top, path("link"))
            os.chmod(top, 0o640)
            before = lib.info(top)
            validate(platter("flatten", "--json", path("link")).json(), "change")
            expect(os.path.islink(path("link")), "the link was replaced")
            expect_equal(os.stat(top).st_mode & 0o7777, 0o640, "mode")
            after = lib.info(top)
            expect_equal(after["chain"], [], "chain")
            for key in ("block_size", "cluster_size", "uuid", "data_write_guid", "disk_id", "cid"):
                expect_equal(after["layers"][-1]["facts"].get(key), before["layers"][-1]["facts"].get(key), key)
            for f in os.listdir(lib.folder()):
                if f.startswith(("base.", "middle.")) and not f.endswith(".raw"):
                    os.remove(path(f))
            check(top, model)
            r = platter("flatten", top, status=3)
            expect("has no parent" in r.errors, str(r))
        yield kind, attempt


def test_flatten_keeps_options():
    """Cluster size, version and compression of a qcow2 overlay are those of the whole image."""
    need_tool("qemu-img")
    for options in ("cluster_size=4K,refcount_bits=1", "compat=0.10,cluster_size=128K", "compression_type=zstd,lazy_refcounts=on"):
        base, top = mixed_raw("base.raw"), path("top.qcow2")
        platter("create", "--parent", base, "-F", "raw", "-o", options, top)
        before = run(["qemu-img", "info", "--output=json", top]).json()
        platter("flatten", top)
        after = run(["qemu-img", "info", "--output=json", top]).json()
        for key in ("cluster-size", "format-specific"):
            expect_equal(after[key], before[key], f"{key} of {options}")
        check(top, base)
        os.remove(top)
    # Compressed stays compressed.
    platter("create", "-c", "-o", f"backing_file={base},backing_fmt=raw", base, top)
    stored = os.stat(top).st_blocks
    platter("flatten", top)
    expect(os.stat(top).st_blocks < stored * 1.1, "it is not compressed any more")
    check(top, base)


def test_snapshots_are_not_lost():
    """An image whose snapshots stand on its parent is neither flattened nor rebased."""
    need_tool("qemu-img")
    base, top = mixed_raw("base.raw"), path("top.qcow2")
    platter("create", "--parent", base, top)
    run(["qemu-img", "snapshot", "-c", "now", top])
    for words in (["flatten", top], ["rebase", "--no-parent", top], ["rebase", "--parent", base, top]):
        r = platter(*words, status=3)
        expect("snapshot" in r.errors, str(r))
    platter("rebase", "--unsafe", "--parent", base, top)


def test_rebase():
    """rebase puts an overlay on another parent and it reads as before, as with qemu-img."""
    for kind in formats("write"):
        def attempt(kind=kind):
            names, models = chain_of(kind)
            other = path("other." + kind)
            platter("create", "-q", mixed_raw("other.raw", SIZE - 2 * MIB, seed=7), other)
            os.makedirs(path("sub"))
            moved = path("sub/top." + kind)
            for parent in (other, names[0], other):
                validate(platter("rebase", "--json", "--parent", parent, names[2]).json(), "change")
                expect_equal(os.path.realpath(lib.info(names[2])["chain"][0]["place"]), parent, "parent")
                check(names[2], models[2])
            shutil.copy(names[2], moved)
            platter("rebase", "--unsafe", "--parent", other, moved)
            check(moved, models[2])
            platter("rebase", "--no-parent", moved)
            os.remove(other)
            check(moved, models[2])
        yield kind, attempt


def test_rebase_beside_qemu():
    """What qemu-img rebase makes of the same chain is equal, and each opens the other's."""
    need_tool("qemu-img")
    for options in ([], ["compat=0.10"], ["cluster_size=512"]):
        shutil.rmtree(path("x"), ignore_errors=True)
        base = mixed_raw("base.raw")
        other = mixed_raw("other.raw", SIZE + MIB, seed=3)
        os.makedirs(path("x"))
        tops = [path("x/ours.qcow2"), path("x/theirs.qcow2")]
        for top in tops:
            platter("create", "--parent", base, *[w for o in options for w in ("-o", o)], top)
            writes(top, 5, SIZE)
        platter("rebase", "--parent", other, "-F", "raw", tops[0])
        run(["qemu-img", "rebase", "-f", "qcow2", "-b", other, "-F", "raw", tops[1]])
        lib.qemu_equal(*tops)
        platter("compare", *tops)
        for top in tops:
            lib.qemu_check(top)
        told = [run(["qemu-img", "info", "--output=json", top]).json() for top in tops]
        for key in ("full-backing-filename", "backing-filename-format"):
            expect_equal(told[0][key], told[1][key], key)


def test_unsafe_rebase_moves_nothing():
    """rebase --unsafe changes the name alone, however long or short, and the present parent need not be there."""
    need_tool("qemu-img")
    base, top = mixed_raw("base.raw"), path("top.qcow2")
    platter("create", "--parent", base, top)
    writes(top, 3, SIZE)
    platter("create", "-q", top, path("want.raw"))
    size = os.stat(top).st_size
    for name in ("b" * 200, "b", "c" * 255, "base2.raw"):
        os.rename(base, path(name))
        base = path(name)
        platter("rebase", "-u", "--parent", base, top)
        check(top, path("want.raw"))
        expect_equal(os.stat(top).st_size, size, "size of the file")
    platter("rebase", "-u", "--no-parent", top)
    expect_equal(lib.info(top)["chain"], [], "chain")


def test_moved_parent():
    """In every format rebase --unsafe follows a parent that was moved, again and again; what stands on
    the overlay goes on doing so, also when that is flattened."""
    for kind in formats():
        def attempt(kind=kind):
            base, middle, top = (path(f"{n}.{kind}") for n in ("base", "middle", "top"))
            platter("create", "-q", mixed_raw("source"), base)
            platter("create", "--parent", base, middle)
            platter("create", "--parent", middle, top)
            model = shutil.copy(path("source"), path("model.raw"))
            if kind in formats("write"):
                for target in (middle, model):
                    writes(target, kind, SIZE)
                platter("rebase", "--unsafe", "--parent", middle, top)
            for i in range(4):
                os.makedirs(path("x" * (i + 1)))
                moved = path("x" * (i + 1) + "/base." + kind)
                os.rename(base, moved)
                base = moved
                platter("rebase", "-u", "--parent", base, middle)
                for image in (middle, top):
                    platter("verify", image, "--parent", base)
                    platter("compare", image, model, "--parent", base)
            platter("flatten", middle, "--parent", base)
            os.remove(base)
            check(middle, model)
            check(top, model)
        yield kind, attempt


def test_name_that_does_not_fit():
    """A name that the first cluster has no room for is refused, and nothing is changed."""
    top = path("top.qcow2")
    base = mixed_raw("base.raw")
    platter("create", "--parent", base, "-o", "cluster_size=512", top)
    before = lib.sha256(top)
    os.makedirs(path("d" * 250 + "/" + "e" * 250))
    long = path("d" * 250 + "/" + "e" * 250 + "/base.raw")
    os.rename(base, long)
    r = platter("rebase", "-u", "--parent", long, top, status=3)
    expect("does not fit" in r.errors, str(r))
    expect_equal(lib.sha256(top), before, "image")


def test_cycles():
    """No image is put onto one that stands on it."""
    for kind in formats():
        def attempt(kind=kind):
            base, top = path("base." + kind), path("top." + kind)
            platter("create", "-q", mixed_raw("source"), base)
            platter("create", "--parent", base, top)
            for words in (["rebase", "--unsafe", "--parent", top, base], ["rebase", "-u", "--parent", top, top]):
                r = platter(*words, status=3)
                expect("stands on" in r.errors, str(r))
            check(top, path("source"))
        yield kind, attempt


def test_wrong_usage():
    """rebase wants to know onto what."""
    for words in (["rebase", path("a")], ["rebase", "--parent", path("a"), "--no-parent", path("a")],
                  ["rebase", "--parent", path("a"), "--parent", path("b"), path("c")],
                  ["rebase", "--no-parent", "-F", "raw", path("a")], ["commit"], ["flatten", path("a"), path("b")]):
        platter(*words, status=2)


@serial
@limit(400)
def test_kills():
    """A kill during rebase, commit or flatten loses nothing; doing it again completes it."""
    names, models = chain_of("qcow2", (96 * MIB, 96 * MIB, 96 * MIB))
    other = path("other.qcow2")
    platter("create", "-q", mixed_raw("other.raw", 96 * MIB, seed=4), other)
    rng = random.Random(1)
    for words in (["rebase", "--parent", other], ["commit"], ["flatten"]):
        hits, whole = 0, 0.1
        for _ in range(25):
            for n in names:
                shutil.copy(n, path("copy-" + os.path.basename(n)))
            top = path("copy-top.qcow2")
            platter("rebase", "-u", "--parent", path("copy-middle.qcow2"), top)
            start = time.monotonic()
            args = [PLATTER, *words, top]
            killed = kill_after(rng.uniform(0, whole), args) is not None
            hits += killed
            if not killed:      # it takes no longer than this
                whole = min(whole, time.monotonic() - start)
            platter("compare", top, models[2])
            platter(*words, top) if lib.info(top)["chain"] else None
            platter("compare", top, models[2])
            lib.qemu_check(top)
        print(f"# {words[0]}: {hits} kills hit")
        expect(hits > 1, f"too few kills of {words[0]} hit")


def halves(name, block, order, sparse):
    """Four blocks, each zeros in one half and data in the other, or in a smaller part of it."""
    with open(path(name), "wb") as f:
        f.truncate(4 * block)
        for i in range(4):
            for half in (0, 1):
                n = block // 2 if i % 2 else 4096
                at = i * block + half * (block // 2) + (0 if i % 3 else block // 2 - n)
                if half == order:
                    f.seek(at)
                    f.write(random.Random(i).randbytes(n))
                elif not sparse:
                    f.seek(i * block + half * (block // 2))
                    f.write(bytes(block // 2))
    return path(name)


@limit(900)
def test_overlay_written_front_to_back():
    """A block of an overlay that is zeros in one half and data in the other hides all of the parent's."""
    blocks = [(kind, [], 2 * MIB) for kind in formats()]
    blocks += [("vhdx", [f"block_size={n}M"], n * MIB) for n in (1, 16, 64)]
    blocks += [("qcow2", [f"cluster_size={n}"], n) for n in (8192, 2 * MIB)]
    for kind, options, block in blocks:
        def attempt(kind=kind, options=options, block=block):
            with open(path("full.raw"), "wb") as f:
                for length in (block, block, block, block // 4):
                    f.write(b"\xaa" * length)
            base, top = path("base." + kind), path("top." + kind)
            platter("create", "-q", "--no-sync", path("full.raw"), base)
            for order in (0, 1):
                for sparse in (True, False):
                    source = halves("source.raw", block, order, sparse)
                    words = [w for o in options + ["backing_file=" + base] for w in ("-o", o)]
                    if kind == "qcow2":
                        words += ["-o", "backing_fmt=qcow2"]
                    platter("create", "-q", "--no-sync", *words, source, top)
                    platter("compare", top, source)
                    if kind == "qcow2":
                        lib.qemu_equal(top, source, kind, "raw")
                    os.remove(top)
        yield " ".join([kind, *options]), attempt
