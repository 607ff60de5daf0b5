# SPDX-License-Identifier: GPL-3.0-or-later
"""Apple's sparse images and bundles: the samples of the corpus, beside readers in Python, kills, and
bundles as folders."""
import hashlib
import os
import plistlib
import shutil

import cdsa
import lib
import sparse
from lib import KIB, MIB, expect, expect_equal, limit, make_raw, need_tool, noise, path, platter, run, weight
from test_corpus import samples

ENV = {"PLATTER_PASSPHRASE": "geheim"}


def is_bundle(s):
    return s.name.endswith(".sparsebundle/Info.plist")


def test_samples():
    """A bundle that a Mac made opens by its folder and by its Info.plist, and holds what the manifest says."""
    found = samples(is_bundle)
    expect(found, "the manifest lists none of these")
    for s in found:
        top = path("sample.sparsebundle")
        shutil.copytree(os.path.dirname(s.stored), top)
        if not os.path.exists(os.path.join(top, "bands")):
            os.mkdir(os.path.join(top, "bands"))
        sparse.expand_sparsebundle(top, path("expanded"))
        for place in (top, top + "/", os.path.join(top, "Info.plist")):
            expect_equal(lib.info(place)["size"], int(s.expect["vsize"]), "size")
            platter("compare", place, path("expanded"))
        offset, length, wanted = s.expect["range"].split(":")
        with open(path("expanded"), "rb") as f:
            f.seek(int(offset))
            expect_equal(hashlib.sha256(f.read(int(length))).hexdigest(), wanted, "SHA-256 of the range")
        info = sparse.bundle_info(top)
        expect_equal(info["band-size"], int(s.expect["bandsize"]), "band size")
        shutil.rmtree(top)


def disk(name="disk"):
    return make_raw(name, 60 * MIB + 512, [(0, noise(3 * MIB)), (17 * MIB - 700, noise(1400)), (60 * MIB, noise(512))])


def test_bundle_as_a_folder():
    """It appears whole under its name, with Apple's files in it; --force replaces a bundle and nothing else."""
    raw, top = disk(), path("x.sparsebundle")
    platter("create", raw, top)
    expect_equal(sorted(os.listdir(top)), ["Info.bckup", "Info.plist", "bands", "token"], "files")
    expect_equal(sorted(os.listdir(top + "/bands")), ["0", "2", "7"], "bands")
    with open(top + "/Info.plist", "rb") as f:
        info = plistlib.load(f)
    expect_equal(info, {"CFBundleInfoDictionaryVersion": "6.0", "band-size": 8 * MIB, "bundle-backingstore-version": 1,
                        "diskimage-bundle-type": "com.apple.diskimage.sparsebundle", "size": 60 * MIB + 512}, "Info.plist")
    r = platter("create", raw, top, status=3)
    expect("--force" in r.errors, r)
    platter("create", "--force", "--verify", "-o", "band_size=1M", raw, top)
    expect_equal(sorted(os.listdir(top + "/bands")), ["0", "1", "10", "11", "2", "3c"], "bands")
    sparse.expand_sparsebundle(top, path("back"))
    lib.same_bytes(raw, path("back"))
    os.mkdir(path("precious"))
    r = platter("create", "--force", "-O", "sparsebundle", raw, path("precious"), status=3)
    expect("is a folder" in r.errors, r)
    r = platter("create", "--force", "-O", "raw", raw, top, status=3)
    expect("is a folder" in r.errors and os.path.exists(top + "/bands"), r)
    r = platter("create", "--force", top, top, status=3)
    expect("part of the source" in r.errors, r)


def test_time_machine():
    """A bundle of many bands, most of them missing, is read with few files open, and what else is in it stays."""
    top = path("tm.sparsebundle")
    platter("create", "--size", "4T", "-O", "sparsebundle", "-o", "band_size=64K", top)
    for i in range(3000):
        with open(f"{top}/bands/{i * 21841:x}", "wb") as f:
            f.write(noise(512, i))
    with open(top + "/com.apple.TimeMachine.MachineID.plist", "w") as f:
        f.write("theirs")
    r = run(["sh", "-c", f"ulimit -n 100; exec {lib.PLATTER} create -q --no-sync {top} {path('back')}"], timeout=60)
    expect(r.rss < 200 * MIB, f"{r.rss >> 20} MiB")
    sparse.expand_sparsebundle(top, path("expanded"))
    platter("compare", path("back"), path("expanded"))
    platter("resize", top, "5T")
    r = platter("compact", "--copy", top, status=3)
    expect("com.apple.TimeMachine.MachineID.plist" in r.errors, r)
    expect(os.path.exists(top + "/com.apple.TimeMachine.MachineID.plist"), "a file of Time Machine's is gone")
    expect_equal(sparse.bundle_info(top)["size"], 5 << 40, "size")


def test_damaged_list():
    """A bundle whose Info.plist is lost is opened by its copy, and a change of its size writes both."""
    raw, top = disk(), path("x.sparsebundle")
    platter("create", raw, top)
    with open(top + "/Info.bckup", "rb") as f:
        kept = f.read().replace(b"</dict>", b"<key>theirs</key><true/></dict>")
    with open(top + "/Info.bckup", "wb") as f:
        f.write(kept)
    for damage in (b"", b"damaged", bytes(4096), b"x" * (2 * MIB)):
        with open(top + "/Info.plist", "wb") as f:
            f.write(damage)
        platter("compare", raw, top)
        r = platter("info", top)
        expect(b"Info.bckup" in r.out, r.out)
        platter("verify", top, status=1)
    platter("resize", top, "61M")
    platter("verify", top)
    expect_equal(sparse.bundle_info(top)["size"], 61 * MIB, "size")
    with open(top + "/Info.plist", "rb") as f, open(top + "/Info.bckup", "rb") as g:
        now = f.read()
        expect(now == g.read() and b"theirs" in now, "the two lists differ, or are not what they were")


def keys_of(header):
    return cdsa.unlock(header, ENV["PLATTER_PASSPHRASE"].encode())


def test_encrypted_bundle():
    """Bands decrypt, each from its own first block, with keys that the token holds."""
    need_tool("openssl")
    raw, top = disk(), path("x.sparsebundle")
    platter("create", "-o", "encryption=AES-256,band_size=1M", "--verify", raw, top, env=ENV)
    platter("compare", raw, top, env=ENV)
    with open(top + "/token", "rb") as f:
        token = f.read()
    keys = keys_of(token)
    with open(raw, "rb") as f:
        for name in sorted(os.listdir(top + "/bands"))[:4]:
            f.seek(int(name, 16) * MIB)
            with open(f"{top}/bands/{name}", "rb") as band:
                plain = cdsa.decrypt_blocks(keys, band.read(), 512)
            expect(plain == f.read(len(plain)), f"band {name} decrypts otherwise")
    # And the other way: a band that the other encrypts.
    with open(top + "/bands/20", "wb") as f:
        f.write(cdsa.encrypt_blocks(keys, noise(4096, 7), 512))
    with open(raw, "r+b") as f:
        f.seek(32 * MIB)
        f.write(noise(4096, 7))
    platter("compare", raw, top, env=ENV)
    r = platter("info", top, env={"PLATTER_PASSPHRASE": "no"}, status=3)
    expect("not the pass phrase" in r.errors, r)


@limit(300)
@weight(3)
def test_kills():
    """A kill at any step of a resize leaves a bundle of the old or the new size that holds what it held."""
    raw = make_raw("disk", 3 * MIB, [(0, noise(MIB)), (3 * MIB - 700, noise(700))])
    top, model = path("k.sparsebundle"), path("model")
    for size in (5 * MIB, MIB):
        def prepare():
            shutil.rmtree(top, ignore_errors=True)
            platter("create", "--no-sync", "-o", "band_size=64K", raw, top)

        def judge():
            got = lib.info(top)["size"]
            expect(got in (3 * MIB, size), f"size {got}")
            shutil.copy(raw, model)
            os.truncate(model, got)
            platter("compare", top, model)
            platter("verify", top)
            # Whatever it left, it does not come back.
            platter("resize", top, "--discard-data", str(8 * MIB))
            os.truncate(model, 8 * MIB)
            platter("compare", top, model)
        lib.kill_at_each_step(["resize", "--discard-data", top, str(size)], prepare, judge)


def test_kill_create():
    """A kill while a bundle is made, or replaced, leaves the old one or none, and the next run does not mind the rest."""
    raw, top = make_raw("disk", MIB, [(0, noise(200 * KIB))]), path("k.sparsebundle")

    def prepare():
        shutil.rmtree(top, ignore_errors=True)
        platter("create", "--no-sync", "--size", "1M", "-O", "sparsebundle", top)

    def judge():
        if os.path.exists(top):
            size = len(os.listdir(top + "/bands"))
            expect(size in (0, 4), f"{size} bands")
            platter("verify", top)
        platter("create", "--no-sync", "--force", "-o", "band_size=64K", raw, top)
        platter("compare", raw, top)
        shutil.rmtree(top + ".part", ignore_errors=True)
    lib.kill_at_each_step(["create", "--force", "-o", "band_size=64K", raw, top], prepare, judge)


def test_encrypted_sparseimage():
    """A sparse image that is encrypted as a whole is one to the other decoder and the other reader, also after it was
    written to, made larger and compacted."""
    need_tool("openssl")
    raw, image = make_raw("disk", 9 * MIB + 512, [(0, noise(MIB + 700)), (5 * MIB + 3, noise(1400)), (9 * MIB, noise(512))]), path("x.sparseimage")
    platter("create", "-o", "encryption=AES-128", "--verify", raw, image, env=ENV)
    expect_equal([x["name"] for x in lib.info(image, env=ENV)["layers"]], ["file", "encrcdsa", "sparseimage"], "layers")

    def judge():
        with open(image, "rb") as f, open(path("inner"), "wb") as out:
            out.write(cdsa.decrypt(f.read(), ENV["PLATTER_PASSPHRASE"].encode()))
        sparse.expand_sparseimage(path("inner"), path("expanded"))
        lib.same_bytes(path("expanded"), raw)
        platter("compare", raw, image, env=ENV)
        platter("verify", image, env=ENV)
    judge()
    platter("resize", image, "20M", env=ENV)
    os.truncate(raw, 20 * MIB)
    judge()
    platter("compact", image, env=ENV)
    judge()
    platter("compact", "--copy", image, env=ENV)
    judge()
    expect_equal(lib.info(image, env=ENV)["layers"][1]["name"], "encrcdsa", "layer after making it anew")


def test_encryption_needs_a_phrase():
    """Nothing is made without a pass phrase, and none is asked for to measure."""
    raw = make_raw("disk", MIB, [(0, b"x")])
    for name in ("x.sparseimage", "x.sparsebundle"):
        r = run(["setsid", "--wait", lib.PLATTER, "create", "-o", "encryption=AES-256", raw, path(name)], status=3)
        expect("pass phrase" in r.errors and not os.path.exists(path(name)) and not os.path.exists(path(name) + ".part"), r)
        r = platter("create", "-o", "encryption=DES", raw, path(name), status=3)
        expect("AES-128" in r.errors, r)
    platter("measure", "-O", "sparseimage", "-o", "encryption=AES-256", raw)
