# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: fills file systems, and tells what its kernel shows of them.

The folder has `disks`, {serial number: (type, options of mount, whether to fill it)}, and gets `told`,
{serial number: what files.py knows of its files, or what went wrong}."""
import contextlib
import glob
import os
import pickle
import subprocess
import sys
import traceback

import files
import lib

NAMES = ["UPPER.TXT", "lower.txt", "Mixed.Txt", "with space", ".hidden", "many.dots.in.name", "exactly 13 un", "x" * 31, "x" * 254,
         "Ünïcödé.txt", "ÇÉÑ.TXT", "日本語のファイル", "emoji 😀", "ä" * 120, "a+b=c,d;e[f]", "it's \"q\"", "tab\there", "a:b",
         "back\\slash", "trailing dot.", "trailing space ", b"caf\xe9"]


def write(file, data):
    with open(file, "wb") as f:
        f.write(data)


def text(n, seed):
    """What compresses, and noise between it."""
    return b"".join(b"line %d of file %d\n" % (i, seed) * 40 + lib.noise(i % 50, i) for i in range(n // 800 + 1))[:n]


def append(file, data):
    with open(file, "ab") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def fill(top):
    """What a file system refuses is left away."""
    many, deep = f"{top}/many", f"{top}/a/b/c/d/e/f/g/h"
    os.makedirs(deep)
    os.mkdir(many)
    os.mkdir(f"{top}/names")
    write(f"{deep}/bottom", b"found")
    for i in range(450):
        write(f"{many}/file number {i}", (text if i % 2 else lib.noise)(i * 13, i))
    os.sync()
    for i in range(0, 450, 3):
        os.unlink(f"{many}/file number {i}")
    for i in range(0, 450, 30):
        os.rename(f"{many}/file number {i + 1}", f"{deep}/moved {i}")
    for i in range(50):
        append(f"{top}/one", lib.noise(5000, i))
        append(f"{top}/two", text(3000, i))
    write(f"{top}/text", text(700_000, 1))
    write(f"{top}/empty", b"")
    with open(f"{top}/hole", "wb") as f:
        f.write(b"begin")
        f.seek(1_500_000)
        f.write(b"middle")
        f.truncate(2_000_000)
    with open(f"{top}/text", "r+b") as f:
        f.seek(300_001)
        f.write(lib.noise(9000))
    calls = [lambda n=n: write(os.path.join(f"{top}/names".encode(), n.encode() if isinstance(n, str) else n), b"odd") for n in NAMES]
    calls += [lambda: os.link(f"{top}/text", f"{deep}/again"), lambda: os.symlink("../../text", f"{top}/a/b/link"),
              lambda: os.symlink("n" * 900, f"{top}/long link"), lambda: os.mkfifo(f"{top}/fifo"),
              lambda: os.mknod(f"{top}/null", 0o20640, os.makedev(1, 3)), lambda: os.chmod(f"{top}/one", 0o4751),
              lambda: os.chmod(f"{top}/two", 0o440), lambda: os.chown(f"{top}/two", 1000, 1001),
              lambda: os.utime(f"{top}/text", (1_234_567_890, 1_234_567_890)),
              lambda: os.setxattr(f"{top}/one", "user.short", b"value"), lambda: os.setxattr(f"{top}/one", "trusted.long", b"v" * 2000),
              lambda: os.setxattr(many, "user.of a folder", b"\0\1\2")]
    for call in calls:
        with contextlib.suppress(OSError):
            call()
    # Last, so that nothing else gets its place.
    write(f"{top}/gone", lib.noise(3 * lib.MIB))
    os.sync()
    os.unlink(f"{top}/gone")


def told_of(device, kind, options, to_fill):
    where = f"/mnt/{os.path.basename(device)}"
    os.mkdir(where)
    for how in ("rw", "ro") if to_fill else ("ro",):
        subprocess.run(["mount", "-t", kind, "-o", ",".join([how, *options]), device, where], check=True)
        try:
            if how == "rw":
                fill(where)
            else:
                return {"listing": files.told_of(where), "hashes": files.wanted_hashes(where), "xattrs": files.xattrs_of(where)}
        finally:
            subprocess.run(["umount", where], check=True)


def main(share):
    with open(os.path.join(share, "disks"), "rb") as f:
        disks = pickle.load(f)
    told = {}
    for at in glob.glob("/sys/block/*/serial"):
        with open(at) as f:
            serial = f.read().strip()
        if serial in disks:
            try:
                told[serial] = told_of("/dev/" + at.split("/")[3], *disks[serial])
            except Exception:
                log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True).stdout
                told[serial] = traceback.format_exc() + log[-500:]
    with open(os.path.join(share, "told"), "wb") as f:
        pickle.dump(told, f)


if __name__ == "__main__":
    main(sys.argv[1])
