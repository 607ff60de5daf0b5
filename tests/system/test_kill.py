# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL at random moments."""
import os
import random
import signal
import subprocess
import time

import lib
from lib import MIB, PLATTER, expect, helper, limit, path, platter, run, serial, weight

KILLS = 300 if lib.LONG else 30     # of each kind; there are five kinds


def kill_after(seconds, args, stdin=None):
    """Start, kill after so long; what it printed, or None if it was done before."""
    p = subprocess.Popen(args, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lib.ENV)
    time.sleep(seconds)
    p.kill()
    out, err = p.communicate()
    expect(p.returncode in (0, -signal.SIGKILL), f"{args} ended with {p.returncode}: {err.decode()}")
    return out.decode() if p.returncode else None


def kill_many(make_args, after, duration):
    """Kill until KILLS of them hit; `after` judges what each left.  duration: how long a whole run takes."""
    rng = random.Random(1)
    hits = tries = 0
    while hits < KILLS:
        tries += 1
        expect(tries < 20 * KILLS, "too few kills hit")
        if kill_after(rng.uniform(0, duration), make_args()) is not None:
            hits += 1
        after()
    print(f"# {hits} kills of {tries} runs hit")


def source():
    return lib.make_raw("source", 96 * MIB, [(0, lib.prose(24 * MIB)), (30 * MIB, lib.noise(20 * MIB)), (80 * MIB, lib.prose(9 * MIB, 2))])


def judge_image(place, target, options, qcow2):
    """No file or a whole one; and going on ends in the exact image."""
    if os.path.exists(target):
        platter("compare", place, target)
        os.remove(target)
        if os.path.exists(target + ".part"):
            raise lib.Failure("a finished image left its part behind")
    platter("create", "-q", "--resume", *options, place, target, timeout=120)
    platter("compare", place, target)
    if qcow2:
        lib.qemu_check(target)
    expect(not os.path.exists(target + ".part"), "the part is still there")
    os.remove(target)


def whole_run(args):
    start = time.monotonic()
    run(args)
    return time.monotonic() - start


def try_kind(place, name, options, qcow2):
    target = path(name)
    args = [PLATTER, "create", "-q", *options, place, target]
    duration = whole_run(args)
    os.remove(target)
    kill_many(lambda: args, lambda: judge_image(place, target, options, qcow2), duration)


@serial
@limit(400)
def test_create_raw():
    """A kill during create to raw leaves no file or a whole one, and --resume ends in the exact image."""
    try_kind(source(), "out.img", ["--sparse=never"], False)


@serial
@limit(400)
def test_create_qcow2():
    """The same for compressed QCOW2."""
    try_kind(source(), "out.qcow2", ["--compress=zstd"], True)


@serial
@limit(400)
def test_create_split():
    """The same for split raw images."""
    place, name = source(), path("out.img")
    args = [PLATTER, "create", "-q", "--split=10M", place, name]
    first = name + ".001"

    def remove_all():
        for f in os.listdir(lib.folder()):
            if f.startswith("out.img"):
                os.remove(path(f))

    def judge():
        if os.path.exists(first):
            platter("compare", place, first)
            remove_all()
        platter("create", "-q", "--resume", "--split=10M", place, name)
        platter("compare", place, first)
        remove_all()

    duration = whole_run(args)
    remove_all()
    kill_many(lambda: args, judge, duration)


@serial
@limit(400)
def test_convert():
    """The same for a conversion from compressed QCOW2 to plain QCOW2."""
    platter("create", source(), path("in.qcow2"), "-c")
    try_kind(path("in.qcow2"), "out.qcow2", [], True)


# ---- random writes into an image ----

SIZE = 8 * MIB
SECTOR = 512


def script(rng, count):
    lines = []
    for i in range(1, count + 1):
        length = rng.choice([1, 1, 8, 100, 128, 300]) * SECTOR
        offset = rng.randrange(0, (SIZE - length) // SECTOR + 1) * SECTOR
        what = rng.choice(["stamp"] * 6 + ["zero", "discard", "flush"])
        lines.append((what, i, offset, length) if what != "flush" else (what, i, 0, 0))
    return lines


def sector_after(op, sector, base):
    what, number = op
    if what == "base":
        return base[sector * SECTOR:(sector + 1) * SECTOR]
    if what == "stamp":
        return (number.to_bytes(4, "little") + sector.to_bytes(4, "little")) * (SECTOR // 8)
    return bytes(SECTOR)


def judge_writes(image, base, lines, done):
    """Leaks at worst; every sector holds what was flushed, or something written to it later."""
    r = run(["qemu-img", "check", "-f", "qcow2", image], status=None)
    expect(r.status in (0, 3), f"qemu-img check is not content: {r}")
    flushed = max((i for i, line in enumerate(lines[:done], 1) if line[0] == "flush"), default=0)
    allowed = [[("base", 0)] for _ in range(SIZE // SECTOR)]
    for i, (what, number, offset, length) in enumerate(lines[:done + 1], 1):
        for s in range(offset // SECTOR, (offset + length) // SECTOR):
            if i <= flushed:
                allowed[s] = [(what, number)]
            else:
                allowed[s].append((what, number))
    for reader in ("qemu-img", "platter"):
        raw = path("after.raw")
        if reader == "qemu-img":
            run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, raw])
        else:
            platter("convert", "-q", "--force", "--no-sync", "-O", "raw", image, raw)
        with open(raw, "rb") as f:
            for s, operations in enumerate(allowed):
                got = f.read(SECTOR)
                if not any(got == sector_after(op, s, base) for op in operations):
                    raise lib.Failure(f"{reader}: sector {s} holds {got[:16].hex()}...; allowed were {operations}; "
                                      f"{done} lines done, {flushed} flushed")


@serial
@limit(600)
@weight(2)
def test_random_writes():
    """A kill during random writes leaves an image that qemu-img check accepts, with all that was flushed."""
    lib.need_tool("qemu-img")
    base_raw = lib.mixed_raw("base.raw", SIZE)
    with open(base_raw, "rb") as f:
        base = f.read()
    kinds = [["-o", "cluster_size=64k"], ["-o", "cluster_size=512"], ["-c"], ["-o", "cluster_size=4k"],
             ["-B", base_raw, "-F", "raw"], ["-o", "extended_l2=on"], ["-o", "refcount_bits=64,cluster_size=4k"]]
    rng = random.Random(7)
    hits = tries = 0
    duration = 0.3
    while hits < KILLS:
        options = kinds[tries % len(kinds)]
        tries += 1
        expect(tries < 20 * KILLS, "too few kills hit")
        image = path("disk.qcow2")
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, base_raw, image])
        lines = script(rng, 600)
        with open(path("script"), "w") as f:
            f.writelines(f"{w} {n if w == 'stamp' else '-'} {o} {length}\n" for w, n, o, length in lines)
        with open(path("script")) as f:
            start = time.monotonic()
            out = kill_after(rng.uniform(0, duration), [helper("writes"), image], f)
        if out is None:
            duration = max(0.02, min(duration, time.monotonic() - start))
            out = f"{len(lines)}\n"
        else:
            hits += 1
            duration = min(1.0, duration * 1.05)
        whole = out.rpartition("\n")[0].split("\n")[-1]
        judge_writes(image, base, lines, int(whole or 0))
    print(f"# {hits} kills of {tries} runs hit")
