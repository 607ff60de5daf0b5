# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk on the host that misbehaves when it is written: nbdkit's eval plugin, reached as a file through FUSE, under a
loop device with direct I/O, so that errors are those of single sectors."""
import contextlib
import os
import shlex
import signal
import subprocess
import time

import lib
from lib import need_tool, path, run, skip

PREAD = 'dd if="$IMAGE" iflag=skip_bytes,count_bytes skip=$4 count=$3 bs=1M status=none'
PWRITE = """
for b in $BAD; do
    [ $((b * 512)) -lt $(($4 + $3)) ] && [ $((b * 512 + 512)) -gt $4 ] && { echo EIO bad sector >&2; exit 1; }
done
[ -z "$DELAY" ] || sleep $DELAY
if [ -n "$LOG" ]; then
    t="$LOG/$(date +%s%N).$4"
    cat >"$t"
    dd if="$t" of="$IMAGE" oflag=seek_bytes seek=$4 conv=notrunc bs=1M status=none
else
    dd of="$IMAGE" iflag=fullblock oflag=seek_bytes seek=$4 conv=notrunc bs=1M status=none
fi
for b in $FLIP; do
    [ $((b * 512)) -lt $(($4 + $3)) ] && [ $((b * 512 + 512)) -gt $4 ] || continue
    printf X | dd of="$IMAGE" oflag=seek_bytes seek=$((b * 512 + 7)) conv=notrunc status=none
done
"""


def wait_for(what, test):
    for _ in range(200):
        if test():
            return
        time.sleep(0.02)
    raise lib.Failure(f"{what} did not come")


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def faulty(image, bad=(), flip=(), delay="", log=None):
    """A loop device on `image`: sectors that cannot be written (bad), that keep something else (flip), that take their time
    (delay, in seconds); `log` is a folder that gets every write as a file TIME.OFFSET."""
    need_tool("nbdkit", "nbdfuse", "fusermount3")
    socket, where = path("nbd"), path("fuse")
    env = {**lib.ENV, "IMAGE": image, "BAD": " ".join(map(str, bad)), "FLIP": " ".join(map(str, flip)),
           "DELAY": str(delay), "LOG": log or ""}
    server = subprocess.Popen(["nbdkit", "-f", "-U", socket, "eval", f"get_size=stat -c %s {shlex.quote(image)}",
                               f"pread={PREAD}", f"pwrite={PWRITE}", "flush=exit 0"], env=env,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.mkdir(where)
    fuse = None
    try:
        wait_for("nbdkit", lambda: os.path.exists(socket) or server.poll() is not None)
        if server.poll() is not None:
            skip("nbdkit has no eval plugin here")
        fuse = subprocess.Popen(["nbdfuse", where, "--unix", socket], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        wait_for("nbdfuse", lambda: os.path.exists(os.path.join(where, "nbd")) or fuse.poll() is not None)
        if fuse.poll() is not None:
            skip("no FUSE here")
        with lib.loop(os.path.join(where, "nbd"), "--direct-io=on") as device:
            yield device
    finally:
        if fuse:
            run(["fusermount3", "-u", where], status=None)
            end(fuse)
        end(server)
        os.rmdir(where)
        if os.path.exists(socket):
            os.unlink(socket)
