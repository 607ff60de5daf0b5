# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress, quiet, and stopping by Ctrl-C."""
import json
import os
import pty
import signal
import subprocess
import time

import lib
from lib import MIB, PLATTER, expect, expect_equal, path, platter, run


SIZE = 96 * MIB


def big(name="big"):
    return lib.make_raw(name, SIZE, [(i * 32 * MIB, lib.prose(32 * MIB, i % 2)) for i in range(3)])


def test_json_lines():
    """--progress=json writes one event a line on standard error: growing, ending at the whole, phase by phase."""
    r = platter("create", "--progress=json", "--verify", "-c", "--json", big(), path("a.qcow2"), timeout=120)
    r.json()        # standard output is the answer alone
    events = [json.loads(line) for line in r.errors.splitlines()]
    expect(events, "there are no events")
    phases = []
    for e in events:
        if not phases or phases[-1] != e["phase"]:
            phases.append(e["phase"])
            done = 0
        expect(e["done"] >= done, f"progress went back: {e}")
        expect(e["total"] is None or e["done"] <= e["total"], f"more than all: {e}")
        done = e["done"]
    expect("copying" in phases and {"verifying", "comparing"} & set(phases), f"phases: {phases}")
    copying = [e for e in events if e["phase"] == "copying"]
    expect_equal(copying[-1]["done"], SIZE, "the last event's bytes")


def test_quiet_when_piped():
    """Without a terminal there is no bar; --quiet says nothing at all."""
    raw = lib.mixed_raw("disk")
    r = platter("create", raw, path("a.img"))
    expect("\r" not in r.errors and "\x1b" not in r.errors and not r.errors, f"standard error: {r.errors}")
    for words in (["create", raw, path("b.img")], ["verify", raw], ["compare", raw, path("a.img")]):
        r = platter(words[0], "-q", *words[1:])
        expect(not r.out and not r.err, str(r))


def on_terminal(args):
    """What a command shows on a terminal."""
    parent, child = pty.openpty()
    p = subprocess.Popen(args, stdin=child, stdout=child, stderr=child, env={**lib.ENV, "TERM": "xterm"})
    os.close(child)
    shown = b""
    while True:
        try:
            block = os.read(parent, 65536)
        except OSError:     # the terminal is gone with its last user
            break
        if not block:
            break
        shown += block
    os.close(parent)
    return p.wait(), shown.decode("utf-8", "replace")


def test_bar_on_terminal():
    """On a terminal a bar shows share, rate and time left, and is gone at the end."""
    status, shown = on_terminal([PLATTER, "create", "--compress=zstd:12", "--threads=1", big(), path("a.qcow2")])
    expect_equal(status, 0, "status")
    expect("%" in shown and "/s" in shown and "\r" in shown, f"no bar: {shown[:400]!r}")
    status, shown = on_terminal([PLATTER, "create", "-q", path("a.qcow2"), path("b.img")])
    expect_equal((status, shown), (0, ""), "--quiet on a terminal")


def interrupt(args, sig):
    p = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=lib.ENV)
    part = args[-1] + ".part"
    for _ in range(2000):
        if os.path.exists(part) and os.stat(part).st_size > MIB:
            break
        time.sleep(0.002)
    p.send_signal(sig)
    out, err = p.communicate(timeout=30)
    return p.returncode, err.decode()


def test_interrupted():
    """Ctrl-C leaves no half file under the final name and says how to go on; going on so ends in the exact image."""
    raw = big()
    for sig in (signal.SIGINT, signal.SIGTERM):
        # The level only makes the first run slow enough to be stopped.
        for name, options, again in (("a.img", ["--sparse=never"], ["--sparse=never"]),
                                     ("b.qcow2", ["--compress=zstd:9", "--threads=1"], ["--compress=zstd"])):
            out = path(f"{sig}-{name}")
            status, err = interrupt([PLATTER, "create", *options, raw, out], sig)
            if status == 0:     # it was done first
                platter("compare", raw, out)
                continue
            expect(status in (3, -sig, 128 + sig), f"status {status}: {err}")
            expect(not os.path.exists(out), "a half file stands under the final name")
            if os.path.exists(out + ".part"):       # there may have been nothing to keep yet
                expect("--resume" in err, f"nobody says how to go on: {err}")
            platter("create", "--resume", *again, raw, out, timeout=120)
            platter("compare", raw, out)


def test_rate_is_told():
    """The answer tells bytes and seconds."""
    r = platter("create", "--json", lib.mixed_raw("disk"), path("a.img")).json()
    expect(r["size"] == 24 * MIB and r["seconds"] >= 0 and 0 < r["data"] < r["size"], str(r))
    run(["cmp", path("disk"), path("a.img")])
