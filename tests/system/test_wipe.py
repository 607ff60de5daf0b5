# SPDX-License-Identifier: GPL-3.0-or-later
"""platter wipe: what is read afterwards by others, what is left alone, what goes on after a kill."""
import contextlib
import glob
import hashlib
import html.parser
import json
import os
import pickle
import shutil
import signal
import subprocess
import time

import lib
import vm
from faulty import faulty
from lib import KIB, MIB, expect, expect_equal, loop, need_root, need_tool, path, platter, run

ALL_METHODS = {"zero": "zeros", "random": "random", "dod": "random", "apple-1": "zeros", "apple-3": "zeros",
               "apple-7": "random", "gutmann": "random", "nist-clear": "zeros"}


def wipe(target, *options, status=0, **how):
    """Wipe and return what the certificate says of it."""
    r = platter("wipe", "--yes", "--json", "--state", lib.folder(), target, *options, status=status, **how)
    return r.json()["wipes"][0]


def keystream(seed, number, size):
    """The random bytes of a pass (from 0), by another program."""
    need_tool("openssl")
    counter = f"{number:016x}{0:016x}"
    return run(["openssl", "enc", "-aes-256-ctr", "-K", seed, "-iv", counter], input=bytes(size)).out


def bytes_of(text, seed, number, size):
    """What a pass is to leave, from what the certificate calls it."""
    if text == "random":
        return keystream(seed, number, size)
    pattern = b"\0" if text == "zeros" else bytes(int(b, 16) for b in text.split())
    return (pattern * (size // len(pattern) + 1))[:size]


def read(file):
    with open(file, "rb") as f:
        return f.read()


def wanted(report, size):
    last = len(report["passes"]) - 1
    return bytes_of(report["passes"][last]["writes"], report["seed"], last, size)


def test_every_method_leaves_what_its_certificate_says():
    """The last pass of every method is what is read afterwards; random bytes are those that OpenSSL makes of the seed."""
    size = 5 * MIB + 512
    for method, last in ALL_METHODS.items():
        image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
        report = wipe(image, "--method", method)
        expect_equal((report["passes"][-1]["writes"], report["outcome"]), (last, "verified"), method)
        expect(read(image) == wanted(report, size), f"{method}: the file holds something else")
        expect_equal(report["verification"]["read"], size, f"{method}: bytes read back")


def check_devices(*options):
    size = 6 * MIB
    for method in ("zero", "random", "dod"):
        image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
        with loop(image, *options) as device:
            report = wipe(device, "--method", method)
            expect(read(device) == wanted(report, size), f"{method}: the device holds something else")
        expect(read(image) == wanted(report, size), f"{method}: the file below holds something else")


def test_devices_are_wiped_to_the_last_sector():
    """A loop device, and the file below it, hold the last pass."""
    check_devices()


def test_devices_of_4096_byte_sectors():
    """The same of a disk with sectors of 4096 bytes."""
    check_devices("-b", "4096")


def test_each_pass_writes_its_pattern():
    """Every write is seen by the disk: all of it, in the order of the passes, with their bytes."""
    need_root()
    size, log = 96 * KIB, path("log")
    for method, passes in (("gutmann", 35), ("apple-7", 7)):
        os.mkdir(log)
        with faulty(lib.make_raw("disk.img", size, []), log=log) as device:
            report = wipe(device, "--method", method, timeout=100)
        writes = sorted((int(n.split(".")[0]), int(n.split(".")[1]), read(os.path.join(log, n)))
                        for n in os.listdir(log))
        shutil.rmtree(log)
        seen = b"".join(data for _, _, data in writes)
        expect_equal((len(seen), len(report["passes"])), (passes * size, passes), f"{method}: bytes written")
        for i, p in enumerate(report["passes"]):
            expect(seen[i * size:(i + 1) * size] == bytes_of(p["writes"], report["seed"], i, size),
                   f"{method}: pass {i + 1} did not write {p['writes']}")


# Gutmann's table: what shred writes with 35 passes or more, and every description of it.
GUTMANN = ["random"] * 8 + ["zeros", "0x55", "0x55", "0xaa", "0xaa"] + ["0x92 0x49 0x24", "0x49 0x24 0x92", "0x24 0x92 0x49"] * 2 + \
    [f"0x{d}{d}" for d in "12346789bcdef"] + ["0x6d 0xb6 0xdb", "0xb6 0xdb 0x6d", "0xdb 0x6d 0xb6"]


def test_methods_against_their_documentation():
    """The passes are those of Gutmann's table, of DoD 5220.22-M and of Apple's support article."""
    methods = {m["name"]: m for m in platter("wipe", "--list-methods", "--json").json()["methods"]}
    g = methods["gutmann"]["passes"]
    expect_equal((len(g), g[:4], g[-4:]), (35, ["random"] * 4, ["random"] * 4), "Gutmann's first and last passes")
    expect_equal(sorted(g), sorted(GUTMANN), "Gutmann's passes")
    expect_equal(methods["dod"]["passes"], ["zeros", "0xff", "random"], "DoD's passes")
    expect_equal(methods["apple-7"]["passes"],
                 ["0xf6", "zeros", "0xff", "random", "zeros", "0xff", "random"], "Apple's seven passes")
    expect_equal(methods["apple-3"]["passes"], ["random", "random", "zeros"], "Apple's three passes")
    completion = platter("--completion", "bash").text
    with open(os.path.join(lib.ROOT, "docs/man/platter-wipe.1")) as f:
        manual = f.read()
    for name in methods:
        expect(name in completion and name in manual, f"the completion, or the manual, does not name {name}")


def test_sectors_that_cannot_be_written_are_in_the_certificate():
    """Only they keep what they held; status 4, and both kinds of certificate name them."""
    need_root()
    size, bad = 4 * MIB, [100, 5000, 5001, 8191]
    image = lib.make_raw("disk.img", size, [(0, b"secret" * (size // 6))])
    page, data = path("c.html"), path("c.json")
    with faulty(image, bad=bad) as device:
        r = platter("wipe", "--yes", "--state", lib.folder(), device, "--certificate", page, "--certificate", data,
                    status=4, timeout=100)
    expect("could not be written" in r.text, f"{r}")
    with open(data) as f:
        report = json.load(f)["wipes"][0]
    expect_equal(report["bad"], [{"offset": 100 * 512, "length": 512}, {"offset": 5000 * 512, "length": 1024},
                                 {"offset": 8191 * 512, "length": 512}], "sectors in the certificate")
    expect_equal((report["outcome"], report["unwritable"]), ("incomplete", 4 * 512), "outcome")
    expect("2048 bytes" in read(page).decode() and "INCOMPLETE" in read(page).decode(), "the page does not tell")
    left = read(image)
    for i in range(size // 512):
        expect((left[i * 512:(i + 1) * 512] != bytes(512)) == (i in bad), f"sector {i}")


def test_what_a_disk_keeps_differently_is_found():
    """A sector that holds something else than was written fails the verification: status 1."""
    need_root()
    image = lib.make_raw("disk.img", 2 * MIB, [])
    with faulty(image, flip=[77]) as device:
        report = wipe(device, status=1, timeout=100)
    expect_equal((report["outcome"], report["verification"]["different"]), ("differs", 512), "outcome")
    expect_equal(report["bad"], [{"offset": 77 * 512, "length": 512}], "where")


def start(*args):
    return subprocess.Popen([lib.PLATTER, "wipe", "--yes", "-q", *args], env=lib.ENV, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def state_pass(state):
    """(pass, bytes) of a state file."""
    try:
        with open(state) as f:
            line = next(l for l in f if l.startswith("pass ")).split()
        return int(line[1]), int(line[2])
    except FileNotFoundError:
        return 0, 0


def go_on(device, state, image, size, page):
    """Resume: only the end is written again, and every sector has the last pass's bytes."""
    need = state_pass(state)
    expect(need > (0, 0), "nothing was kept")
    r = platter("wipe", "--yes", "--json", "--state", state, device, status=3, timeout=100)
    expect("--resume" in r.text, f"it does not tell of the earlier run: {r}")
    r = platter("wipe", "--yes", "--json", "--resume", "--state", state, "--certificate", page, device, timeout=100)
    report = r.json()["wipes"][0]
    expect(report["kept"] >= need[0] * size + need[1], f"{report['kept']} bytes were kept, {need} were done")
    expect_equal((report["outcome"], report["resumed"]), ("verified", 1), "outcome")
    expect(read(image) == wanted(report, size), "some sector does not hold the last pass's bytes")
    expect(not os.path.exists(state), "the state file is still there")


def stopped(how):
    need_root()
    size, state = 12 * MIB, path("state")
    image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
    with faulty(image, delay=0.02) as device:
        process = start("--method", "apple-3", "--state", state, device)
        for _ in range(500):
            if state_pass(state) > (0, 0):
                break
            time.sleep(0.02)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        if how == signal.SIGINT:
            expect_equal(process.returncode, 3, "exit status")
            expect(b"go on: platter wipe --resume" in err, f"it does not tell how to go on: {err}")
        go_on(device, state, image, size, path("c.json"))


def test_killed_wipe_goes_on():
    """After kill -9 only the last seconds are written again, and every sector has the last pass's bytes."""
    stopped(signal.SIGKILL)


def test_stopped_wipe_goes_on():
    """Ctrl-C tells how to go on, and that does."""
    stopped(signal.SIGINT)


def test_finished_drives_are_not_wiped_again():
    """Of two drives one is done when both are stopped: it is not written again, and is in the certificate."""
    need_root()
    size, page = 8 * MIB, path("c.json")
    quick = lib.make_raw("quick.img", size, [(0, lib.noise(size))])
    with faulty(lib.make_raw("disk.img", size, []), delay=0.1) as device:
        words = ["--state", lib.folder(), "--certificate", page, quick, device]
        process = start(*words)
        for _ in range(300):
            if state_pass(quick + ".wipe-state") == (1, size):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        expect_equal(process.returncode, 3, "exit status")
        before = os.stat(quick).st_mtime_ns
        platter("wipe", "--yes", "--resume", *words, timeout=60)
        expect_equal(os.stat(quick).st_mtime_ns, before, "time of the last write")
    with open(page) as f:
        reports = json.load(f)["wipes"]
    expect_equal([(r["outcome"], r["verification"]["read"]) for r in reports], [("verified", size)] * 2, "outcomes")
    expect(not glob.glob(os.path.join(lib.folder(), "*.wipe-state")), "state files are left")


def test_state_of_another_disk_is_refused():
    """A state file is of one disk, and of nothing if it was changed."""
    need_root()
    size, state = 8 * MIB, path("state")
    with faulty(lib.make_raw("disk.img", size, []), delay=0.1) as device:
        process = start("--state", state, device)
        for _ in range(300):
            if os.path.exists(state):
                break
            time.sleep(0.02)
        process.kill()
        process.communicate()
    other = lib.make_raw("other.img", size + MIB, [])
    r = platter("wipe", "--yes", "--resume", "--state", state, other, status=3)
    expect("another drive" in r.errors, f"{r}")
    expect(read(other) == bytes(size + MIB), "it was written to")
    with open(state, "r+") as f:
        text = f.read()
        f.seek(0)
        f.write(text.replace("pass 0", "pass 9"))
    r = platter("wipe", "--yes", "--resume", "--state", state, path("disk.img"), status=3)
    expect("state file" in r.errors, f"{r}")


# ---- free space and slack ----

REMAINS = b"the remains of a file that was deleted long ago, "


def fill(top):
    """Files to keep, and some that are deleted again; {path: sha256} of the first."""
    os.makedirs(os.path.join(top, "folder"))
    for i in range(40):
        with open(os.path.join(top, "folder" if i % 2 else ".", f"keep{i}"), "wb") as f:
            f.write(lib.noise(1000 * i + 17, i))
    gone = os.path.join(top, "gone")
    with open(gone, "wb") as f:
        f.write(REMAINS * 60000)
    os.sync()
    os.unlink(gone)
    os.sync()
    return lib.tree_of(top)


def count_remains(image):
    return read(image).count(REMAINS)


KERNEL = {"ext4": (["mkfs.ext4", "-q", "-F"], ["e2fsck", "-fn"], 32 * MIB),
          "xfs": (["mkfs.xfs", "-q", "-f"], ["xfs_repair", "-n"], 320 * MIB),
          "btrfs": (["mkfs.btrfs", "-q", "-f", "-M"], ["btrfs", "check"], 128 * MIB)}


def free_space(filesystem, in_folder):
    make, check, size = KERNEL[filesystem]
    need_root()
    need_tool(make[0], check[0])
    if not lib.kernel_knows(filesystem):
        lib.skip(f"the kernel knows no {filesystem}")
    image = lib.make_raw("fs.img", size, [])
    run([*make, image])
    with loop(image) as device:
        with lib.mounted(device) as top:
            files = fill(top)
            expect(count_remains(image) > 50000, "nothing was planted")
            if in_folder:
                report = wipe(top, "--free-space", timeout=100)
                expect_equal(os.listdir(os.path.join(top, "folder")), os.listdir(os.path.join(top, "folder")), "folder")
                expect(not glob.glob(os.path.join(top, ".platter*")), "files were left behind")
                expect_equal(lib.tree_of(top), files, "files")
        if not in_folder:
            report = wipe(device, "--free-space", timeout=100)
        expect_equal(report["outcome"], "verified", "outcome")
        run([*check, device], timeout=100)
        with lib.mounted(device, "-o", "ro") as top:
            expect_equal(lib.tree_of(top), files, "files")
    expect_equal(count_remains(image), 0, "remains of what was deleted")


def test_free_space_of_ext4():
    """Unmounted ext4: remains are gone, every file is equal, fsck is content."""
    free_space("ext4", False)


def test_free_space_of_xfs():
    """The same of XFS."""
    free_space("xfs", False)


def test_free_space_of_btrfs():
    """The same of Btrfs."""
    free_space("btrfs", False)


def test_free_space_of_mounted_ext4():
    """Mounted ext4, filled through a folder: remains are gone, every file is equal, nothing is left behind."""
    free_space("ext4", True)


def test_free_space_of_mounted_btrfs():
    """The same of Btrfs."""
    free_space("btrfs", True)


def test_free_space_of_fat():
    """FAT, unmounted, with files that mtools put there and deleted."""
    need_tool("mkfs.vfat", "mcopy", "mdel", "fsck.fat")
    image = lib.make_raw("fat.img", 16 * MIB, [])
    run(["mkfs.vfat", "-s", "4", image])
    top = path("files")
    files = fill(top)
    gone = path("gone")
    with open(gone, "wb") as f:
        f.write(REMAINS * 60000)
    env = {"MTOOLS_SKIP_CHECK": "1"}
    run(["sh", "-c", f"mcopy -s -i {image} {top}/* {gone} :: && mdel -i {image} ::gone"], env=env)
    expect(count_remains(image) > 50000, "nothing was planted")
    expect_equal(wipe(image, "--free-space")["outcome"], "verified", "outcome")
    run(["fsck.fat", "-n", image])
    out = path("out")
    os.mkdir(out)
    run(["mcopy", "-s", "-n", "-i", image, "::*", out], env=env)
    expect_equal(lib.tree_of(out), files, "files")
    expect_equal(count_remains(image), 0, "remains of what was deleted")


def test_free_space_and_slack_of_ntfs():
    """NTFS, written by ntfs-3g, which finds every file equal afterwards."""
    need_root()
    need_tool("mkntfs", "ntfs-3g", "ntfsfix")
    image = lib.make_raw("fs.img", 32 * MIB, [])
    run(["mkntfs", "-q", "-F", image])
    with ntfs(image) as top:
        files = fill(top)
    expect(count_remains(image) > 50000, "nothing was planted")
    for part in ("--free-space", "--slack"):
        expect_equal(wipe(image, part)["outcome"], "verified", part)
        run(["ntfsfix", "-n", image])
        with ntfs(image) as top:
            expect_equal(lib.tree_of(top), files, f"files after {part}")
    expect_equal(count_remains(image), 0, "remains of what was deleted")


@contextlib.contextmanager
def ntfs(image):
    where = path("ntfs")
    os.mkdir(where)
    if run(["ntfs-3g", image, where], status=None).status != 0:
        lib.skip("no FUSE here")
    try:
        yield where
    finally:
        run(["umount", where])
        os.rmdir(where)


def test_free_space_of_a_dirty_file_system_is_refused():
    """What was not unmounted is not trusted in what is free, and not written to."""
    need_root()
    need_tool("mkfs.ext4", "debugfs")
    image = lib.make_raw("fs.img", 16 * MIB, [])
    run(["mkfs.ext4", "-q", "-F", image])
    run(["debugfs", "-w", "-R", "ssv state 0", image])
    before = lib.sha256(image)
    r = platter("wipe", "--yes", "--free-space", image, status=3)
    expect("not certain" in r.errors, f"{r}")
    expect_equal(lib.sha256(image), before, "the image")


def test_waiting_changes_are_not_overwritten():
    """A journal that has to be replayed: neither free space nor slack is certain."""
    need_root()
    need_tool("mkfs.ext4")
    if not lib.kernel_knows("ext4"):
        lib.skip("the kernel knows no ext4")
    image, copy = lib.make_raw("fs.img", 32 * MIB, []), path("copy.img")
    run(["mkfs.ext4", "-q", "-F", image])
    with loop(image) as device, lib.mounted(device) as top:
        fill(top)
        shutil.copy(image, copy)
    before = lib.sha256(copy)
    for part in ("--free-space", "--slack"):
        r = platter("wipe", "--yes", part, copy, status=3)
        expect("not certain" in r.errors, f"{part}: {r}")
    expect_equal(lib.sha256(copy), before, "the image")


def test_slack_of_ext4_and_fat():
    """Only what is behind the ends of files changes, in their last clusters."""
    need_tool("mke2fs", "e2fsck", "mkfs.vfat", "mcopy", "fsck.fat")
    top = path("files")
    files = fill(top)
    env = {"MTOOLS_SKIP_CHECK": "1"}
    ext, fat = lib.make_raw("ext.img", 24 * MIB, []), lib.make_raw("fat.img", 16 * MIB, [])
    run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", top, ext])
    run(["mkfs.vfat", "-s", "4", fat])
    run(["sh", "-c", f"mcopy -s -i {fat} {top}/* ::"], env=env)
    for image, cluster, check in ((ext, 4096, ["e2fsck", "-fn"]), (fat, 2048, ["fsck.fat", "-n"])):
        planted, expected = plant_slack(image, cluster)
        with open(image, "wb") as f:
            f.write(planted)
        for method in ("zero", "random"):
            report = wipe(image, "--slack", "--method", method)
            expect_equal(report["outcome"], "verified", f"{image}: outcome")
            expect(read(image) == expected, f"{image}, {method}: other bytes than the slack changed")
        run([*check, image])
        out = path("out")
        shutil.rmtree(out, ignore_errors=True)
        platter("extract", image, "-C", out)
        shutil.rmtree(os.path.join(out, "lost+found"), ignore_errors=True)
        expect_equal(lib.tree_of(out), files, f"{image}: files")


def plant_slack(image, cluster):
    """The image with something in the slack of each file, and as it should be without it.  Where files end is known by
    their own bytes, which stand nowhere else."""
    clean = bytearray(read(image))
    planted = bytearray(clean)
    for i in range(1, 40):
        data = lib.noise(1000 * i + 17, i)
        at = clean.find(data[-17:])
        expect(at >= 0 and clean.find(data[-17:], at + 1) < 0, f"file {i} is not there once")
        end = at + 17
        # Clusters of both file systems are whole ones in the image or begin at a multiple of a sector in it.
        slack = -len(data) % cluster
        expect(clean[end:end + slack] == bytes(slack), f"the slack of file {i} is not empty")
        planted[end:end + slack] = (REMAINS * 100)[:slack]
    return planted, clean


# ---- others ----

def test_partitions_alone():
    """disk.img@2 wipes the partition and nothing else."""
    need_tool("sfdisk")
    size = 8 * MIB
    image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
    run(["sfdisk", "-q", image], input=b"label: gpt\nstart=2048,size=4096\nstart=6144,size=4096\n")
    before = read(image)
    wipe(f"{image}@2", "--method", "random")
    report = wipe(f"{image}@2", "--method", "zero")
    expect_equal((report["offset"], report["size"]), (6144 * 512, 4096 * 512), "where")
    after = read(image)
    expect(after[6144 * 512:10240 * 512] == bytes(4096 * 512), "the partition is not wiped")
    expect(after[:6144 * 512] == before[:6144 * 512] and after[10240 * 512:] == before[10240 * 512:],
           "the rest was touched")


def test_partition_nodes_are_no_drives():
    """/dev/loop0p2 is wiped alone, and no command that erases a whole drive is sent for it."""
    need_root()
    need_tool("sfdisk")
    size = 8 * MIB
    image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
    run(["sfdisk", "-q", image], input=b"label: gpt\nstart=2048,size=4096\nstart=6144,size=4096\n")
    before = read(image)
    with loop(image) as device:
        run(["partx", "-a", device], status=None)
        node = device + "p2"
        for _ in range(50):
            if os.path.exists(node):
                break
            time.sleep(0.1)
        r = platter("wipe", "--yes", "--method", "nvme-format", node, status=3)
        expect("only a part" in r.errors, f"{r}")
        report = wipe(node)
    expect_equal((report["offset"], report["size"], report["drive"]["size"]), (6144 * 512, 4096 * 512, size), "where")
    after = read(image)
    expect(after[6144 * 512:10240 * 512] == bytes(4096 * 512), "the partition is not wiped")
    expect(after[:6144 * 512] == before[:6144 * 512] and after[10240 * 512:] == before[10240 * 512:],
           "the rest was touched")


def test_luks_is_erased_with_its_copies():
    """cryptsetup opens neither LUKS1 nor LUKS2 any more; headers, copies and key slots are gone."""
    need_root()
    need_tool("cryptsetup")
    for version in ("luks1", "luks2"):
        image = lib.make_raw("luks.img", 32 * MIB, [])
        run(["cryptsetup", "luksFormat", "-q", "--type", version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
             image, "-"], input=b"pass phrase")
        test = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", image]
        run(test, input=b"pass phrase")
        before = read(image)
        report = wipe(image, "--method", "luks")
        after = read(image)
        expect(run(test, input=b"pass phrase", status=None).status != 0, f"{version}: the pass phrase still opens it")
        expect(run(["cryptsetup", "isLuks", image], status=None).status != 0, f"{version}: it is still LUKS")
        end = 16 * MIB if version == "luks2" else 2 * MIB
        expect(report["bytes"] >= end, f"{version}: only {report['bytes']} bytes")
        for at in range(0, end, 4096):
            block = before[at:at + 4096]
            expect(block.count(0) == 4096 or after[at:at + 4096] != block, f"{version}: byte {at} is as it was")
        expect(b"LUKS" not in after and b"SKUL" not in after, f"{version}: a header is left")
    r = platter("wipe", "--yes", "--method", "luks", lib.make_raw("none.img", MIB, []), status=3)
    expect("not encrypted with LUKS" in r.errors, f"{r}")


def test_apple_fastest_leaves_the_middle():
    """Only the ends are overwritten."""
    need_tool("mkfs.vfat")
    size = 24 * MIB
    image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
    before = read(image)
    wipe(image, "--method", "apple-fastest")
    after = read(image)
    expect(after[:4 * MIB] == bytes(4 * MIB) and after[-4 * MIB:] == bytes(4 * MIB), "the ends are not zeros")
    expect(after[4 * MIB:-4 * MIB] == before[4 * MIB:-4 * MIB], "the middle was touched")


def test_what_is_in_use_is_refused():
    """Mounted devices, and files under loop devices; without --yes nobody is asked; no drive, no command of drives."""
    need_root()
    need_tool("mkfs.ext4")
    image = lib.make_raw("fs.img", 16 * MIB, [])
    run(["mkfs.ext4", "-q", "-F", image])
    with loop(image) as device, lib.mounted(device):
        for target in (device, image):
            r = platter("wipe", "--yes", target, status=3)
            expect("in use" in r.errors, f"{r}")
    r = platter("wipe", image, status=2)
    expect("--yes" in r.errors, f"{r}")
    r = platter("wipe", "--yes", "--method", "nvme-format", image, status=3)
    expect("no drive" in r.errors, f"{r}")
    run(["e2fsck", "-fn", image])


def test_several_drives_at_once():
    """Each has its own random bytes; one progress counts all."""
    size = 4 * MIB
    images = [lib.make_raw(f"disk{i}.img", size, [(0, lib.noise(size, i))]) for i in range(3)]
    answer = platter("wipe", "--yes", "--json", "--method", "random", "--progress=json", *images)
    reports = answer.json()["wipes"]
    expect_equal([r["target"] for r in reports], images, "targets")
    for image, report in zip(images, reports):
        expect(read(image) == wanted(report, size), f"{image} holds something else")
    expect_equal(len({r["seed"] for r in reports}), 3, "seeds")
    last = json.loads(answer.errors.strip().splitlines()[-1])
    expect_equal((last["phase"], last["done"], last["total"]), ("wiping", 6 * size, 6 * size), "progress of all")


def test_sample_of_a_tenth_is_read_back():
    """--verify=sample reads a tenth or a little more, --verify=none nothing."""
    size = 40 * MIB
    report = wipe(lib.make_raw("disk.img", size, []), "--verify=sample")
    share = report["verification"]["read"] / size
    expect(0.1 <= share < 0.25, f"a share of {share} was read back")
    report = wipe(path("disk.img"), "--verify=none")
    expect_equal((report["outcome"], report["verification"]["read"]), ("done", 0), "without reading back")


class Text(html.parser.HTMLParser):
    """Checks that elements are closed in order, and keeps the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], "", set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        expect_equal(self.open.pop(), tag, "element that ends")

    def handle_data(self, data):
        self.text += data


def test_certificate_has_the_fields_of_the_form_and_no_markup_from_outside():
    """The page is well formed, self-contained, and escapes whatever names and fields hold."""
    image = lib.make_raw("<b>disk&amp;.img", MIB, [])
    page, data = path("c.html"), path("c.json")
    evil = "<script>alert('\"&')</script>"
    platter("wipe", "--yes", image, "--certificate", page, "--certificate", data, "--operator", evil, "--organisation",
            "Org", "--location", "Lab", "--destination", "External reuse", "--property", "P-17", "-o",
            "notes=two\nlines,validator=V,classification=secret,backup=no")
    parser = Text()
    parser.feed(read(page).decode())
    parser.close()
    expect_equal(parser.open, [], "elements left open")
    expect("script" not in parser.tags and "b" not in parser.tags, f"markup from outside: {parser.tags}")
    for word in (evil, image, "Org", "Lab", "External reuse", "P-17", "secret", "Clear", "Verification method",
                 "Media property number", "Serial number", "Signature", "Validation"):
        expect(word in parser.text, f"{word} is not on the page")
    expect("http" not in read(page).decode(), "the page needs something else")
    with open(data) as f:
        fields = json.load(f)["certificate"]
    expect_equal(fields["operator"], evil, "operator")
    expect_equal(fields["notes"], "two\nlines", "notes")
    r = platter("wipe", "--yes", image, "--certificate", page, status=2)
    expect("exists" in r.errors, f"{r}")
    r = platter("wipe", "--yes", image, "-o", "colour=blue", status=2)
    expect("colour" in r.errors, f"{r}")


def test_discard_is_told_for_what_it_is():
    """Discarding promises nothing, and says so."""
    size = 4 * MIB
    image = lib.make_raw("disk.img", size, [(0, lib.noise(size))])
    report = wipe(image, "--method", "discard")
    expect_equal((report["level"], report["outcome"]), ("none", "verified"), "what it is")
    expect(any("no erasure" in w for w in report["warnings"]), f"{report['warnings']}")
    expect("all of it reads as zeros" in report["verification"]["found"], report["verification"]["found"])
    expect(read(image) == bytes(size), "it holds something else")


# ---- drives, in an emulated PC ----

DRIVES = {
    "ahci": ["-device", "ide-hd,drive=ahci,serial=AHCI1,bus=ide.0"],
    "nvme": ["-device", "nvme,serial=NVME1,drive=nvme"],
    "scsi": ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=scsi,serial=SCSI1,logical_block_size=4096,physical_block_size=4096"],
    "stick": ["-device", "qemu-xhci,id=x", "-device", "usb-storage,bus=x.0,drive=stick,serial=STICK1,removable=on"],
}


@lib.limit(600)
@lib.weight(4)
def test_drives_of_a_pc():
    """SATA, NVMe, SCSI with 4096-byte sectors, USB: what their images hold afterwards; what they refuse is told, and not
    taken for done."""
    if not lib.LONG:
        lib.skip("takes minutes: only of check-long")
    vm.version()
    share, size = path("share"), 4 * MIB
    os.mkdir(share)
    hardware = []
    for name, words in DRIVES.items():
        image = lib.make_raw(f"{name}.img", size, [])
        hardware += ["-drive", f"if=none,id={name},file={image},format=raw,discard=unmap", *words]
    vm.run_python(os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest_wipe.py"), vm.SHARE, lib.PLATTER, share=share, disks={},
                  modules=["ahci", "sd_mod", "nvme", "virtio_scsi", "usb-storage", "xhci-pci", "sg", "ext4"], hardware=hardware)
    with open(os.path.join(share, "told"), "rb") as f:
        told = pickle.load(f)
    mounted = told.pop("mounted")
    del told["drives"]
    for name in DRIVES:
        check_drive(name, told, size)
    expect(mounted[0] == 3 and b"mounted" in mounted[2], f"{mounted}")


def check_drive(name, told, size):
    status, out, err = told[name, "auto"]
    expect_equal(status, 0, f"{name}, --dry-run: {out.decode()} {err.decode()}: status")
    auto = json.loads(out)["wipes"][0]
    expect_equal(auto["drive"]["serial"], f"{name.upper()}1", f"{name}: serial number")
    # Of QEMU's drives, NVMe alone has a way to erase itself.
    expect_equal(any("memory sticks" in w for w in auto["warnings"]), name == "stick", f"{name}: words on flash")
    expect_equal(auto["method"], "nvme-format" if name == "nvme" else "zero", f"{name}: what is proposed, {auto}")
    for (drive, method), answer in told.items():
        if drive != name or method == "auto":
            continue
        status, out, err, (length, digest, secrets) = answer
        what = f"{name}, {method}: status {status}, {out.decode()} {err.decode()}"
        expect_equal(length, size, what)
        if method == "random":
            report = json.loads(out)["wipes"][0]
            expect(status == 0 and report["outcome"] == "verified", what)
            expect_equal(hashlib.sha256(wanted(report, size)).hexdigest(), digest, what)
        elif method == "nist-purge" and name == "nvme":
            report = json.loads(out)["wipes"][0]
            expect(status == 0 and secrets == 0 and "NVMe FORMAT" in report["technique"], what)
            expect(report["verification"]["found"].startswith("0 of "), what)
        elif method == "discard":
            expect(status == 0 and secrets == 0, what)
        else:
            expect(status == 3 and secrets > 1000 and json.loads(out)["error"]["code"], what)
