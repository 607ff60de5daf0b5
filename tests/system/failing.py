# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that fail: a file behind the nbdkit plugin baddisk, as a file (FUSE) or a loop device with direct I/O."""
import os
import subprocess
import time

import lib
from lib import path, run

PLUGIN = os.path.join(lib.BUILD, "tests/baddisk.so")
SECTOR = 512


def wait_for(name, seconds=10):
    for _ in range(int(seconds * 50)):
        if os.path.exists(name):
            return
        time.sleep(0.02)
    lib.skip(f"{name} did not appear: no FUSE here")


class Disk:
    """`faults`: bad=, weak=, slow= with lists of (first sector, count); slowms=, die=, log=.  size: of the device's sectors."""
    count = 0

    def __init__(self, file, loop=True, size=SECTOR, **faults):
        lib.need_tool("nbdkit", "nbdfuse", "fusermount3")
        if not os.path.exists(PLUGIN):
            lib.skip("baddisk was not built: nbdkit-plugin-dev is not installed")
        if loop:
            lib.need_root()
            lib.need_tool("losetup")
        Disk.count += 1
        base = path(f"failing{Disk.count}")
        self.mount, self.socket, self.pid = base, base + ".sock", base + ".pid"
        os.mkdir(self.mount)
        words = [f"{k}={ranges(v) if isinstance(v, list) else v}" for k, v in faults.items() if v]
        run(["nbdkit", "-U", self.socket, "-P", self.pid, PLUGIN, "file=" + file, *words])
        self.loop = self.fuse = None
        lib.undo(self.close)
        self.fuse = subprocess.Popen(["nbdfuse", self.mount, "--unix", self.socket], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.mount + "/nbd")
        self.name = self.mount + "/nbd"
        if loop:
            self.name = self.loop = run(["losetup", "-f", "--show", "--direct-io=on", "-b", size, self.name]).text.strip()

    def close(self):
        if self.loop:
            run(["losetup", "-d", self.loop], status=None)
            self.loop = None
        if self.fuse:
            # The loop device lets go of the file a moment later.
            for _ in range(100):
                if run(["fusermount3", "-u", self.mount], status=None).status == 0:
                    break
                time.sleep(0.05)
            self.fuse.wait(20)
            self.fuse = None
        if os.path.exists(self.pid):
            with open(self.pid) as f:
                os.kill(int(f.read()), 15)
            os.remove(self.pid)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def ranges(list_of):
    return ",".join(f"{first}+{count}" for first, count in list_of)


def sectors(list_of):
    return {i for first, count in list_of for i in range(first, first + count)}


def blocks(mapfile):
    """(offset, length, status) of each line of a mapfile, after its first."""
    with open(mapfile) as f:
        lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
    return [(int(a, 0), int(b, 0), status) for a, b, status in lines[1:]]


def with_status(mapfile, statuses):
    return {i for offset, length, status in blocks(mapfile) if status in statuses
            for i in range(offset // SECTOR, (offset + length) // SECTOR)}


def reads(log, wanted):
    """From the log of a disk: how many reads, and of these that failed, until the share `wanted` of the sectors that
    could ever be read was."""
    with open(log) as f:
        lines = [tuple(map(int, line.split())) for line in f]
    all_good, seen = set(), set()
    for offset, n, well in lines:
        if well:
            all_good.update(range(offset // SECTOR, (offset + n) // SECTOR))
    nr = failed = 0
    for offset, n, well in lines:
        nr += 1
        failed += not well
        if well:
            seen.update(range(offset // SECTOR, (offset + n) // SECTOR))
        if len(seen) >= wanted * len(all_good):
            break
    return nr, failed
