# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard input and output."""
import os
import subprocess

import lib
from lib import MIB, PLATTER, expect, mixed_raw, path, platter, run, same_bytes


def pipe(*commands, output=None):
    """a | b | c; every one must succeed."""
    procs, stdin = [], subprocess.DEVNULL
    for i, c in enumerate(commands):
        last = i == len(commands) - 1
        procs.append(subprocess.Popen([str(w) for w in c], stdin=stdin, env=lib.ENV, stderr=subprocess.PIPE,
                                      stdout=open(output, "wb") if last and output else subprocess.PIPE))
        stdin = procs[-1].stdout
    for p, c in zip(procs, commands):
        if p is not procs[-1]:
            p.stdout.close()
    for p, c in zip(reversed(procs), reversed(commands)):
        err = p.stderr.read().decode()
        expect(p.wait(timeout=60) == 0, f"{c} ended with {p.returncode}: {err}")


def test_from_pipe():
    """What comes through a pipe becomes any image, though its size is known only at the end."""
    raw = mixed_raw("disk", 24 * MIB + 1024)
    for name, options in (("a.img", []), ("b.qcow2", []), ("c.qcow2", ["-c"]), ("d.img", ["--hash", "sha256"])):
        pipe(["cat", raw], [PLATTER, "create", "-q", "-", path(name), *options])
        platter("compare", raw, path(name))
        if name.endswith("qcow2"):
            lib.qemu_check(path(name))
            lib.qemu_equal(raw, path(name), "raw", "qcow2")


def test_from_empty_pipe():
    """Nothing at all makes an image of nothing."""
    for name in ("a.img", "b.qcow2"):
        pipe(["true"], [PLATTER, "create", "-q", "-", path(name)])
        lib.expect_equal(lib.info(path(name))["size"], 0, "size")


def test_redirected():
    """Standard input redirected from an image file is as good as its name."""
    raw = mixed_raw("disk")
    platter("create", raw, path("a.qcow2"), "-c")
    with open(raw, "rb") as f:
        platter("create", "-", path("b.img"), stdin=f)
    same_bytes(raw, path("b.img"))


def test_to_pipe():
    """Raw images go through a pipe byte for byte, holes as zeros."""
    raw = mixed_raw("disk")
    platter("create", raw, path("a.qcow2"), "-c")
    for words in (["create", "-O", "raw", path("a.qcow2"), "-"], ["convert", "-O", "raw", "--stdout", path("a.qcow2")]):
        pipe([PLATTER, *words], ["cat"], output=path("out"))
        same_bytes(raw, path("out"))


def test_to_file():
    """So do they into a file that standard output is redirected to."""
    raw = mixed_raw("disk")
    with open(path("out"), "wb") as f:
        platter("create", "-O", "raw", raw, "-", stdout=f)
    same_bytes(raw, path("out"))


def test_nothing_else_on_stdout():
    """With the image on standard output, words go to standard error."""
    raw = mixed_raw("disk", 6 * MIB)
    r = platter("create", "-O", "raw", "--json", "--hash", "sha256", raw, "-")
    with open(raw, "rb") as f:
        expect(r.out == f.read(), "standard output is not the image")
    expect(lib.sha256(raw) in r.errors, f"the hash is not on standard error: {r.errors}")


def test_unstreamable():
    """A format that cannot be written front to back is refused for a pipe, with words."""
    raw = mixed_raw("disk", 6 * MIB)
    p = subprocess.Popen([PLATTER, "create", "-O", "qcow2", raw, "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=lib.ENV)
    out, err = p.communicate(timeout=60)
    if p.returncode == 0:       # then it must be one
        with open(path("out.qcow2"), "wb") as f:
            f.write(out)
        platter("compare", raw, path("out.qcow2"))
    else:
        expect(p.returncode == 3 and err, f"status {p.returncode}, {err}")


def test_closed_pipe():
    """A reader that leaves early ends the work with status 3 or the signal, at once."""
    raw = mixed_raw("disk")
    p = subprocess.Popen([PLATTER, "create", "-O", "raw", raw, "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=lib.ENV)
    p.stdout.read(1000)
    p.stdout.close()
    p.stderr.read()
    expect(p.wait(timeout=20) in (3, -13), f"status {p.returncode}")


def test_between_two():
    """Two commands make an image together: raw through a pipe, compressed at its end."""
    raw = mixed_raw("disk")
    pipe([PLATTER, "create", "-q", "-O", "raw", raw, "-"], [PLATTER, "create", "-q", "-c", "-", path("a.qcow2")])
    platter("compare", raw, path("a.qcow2"))
    run(["qemu-img", "check", path("a.qcow2")])


def restore_piped(data, target, *words, status=0):
    with open(path("in"), "wb") as f:
        f.write(data)
    with subprocess.Popen(["cat", path("in")], stdout=subprocess.PIPE) as cat:
        return platter("restore", "--yes", *words, "-", target, stdin=cat.stdout, status=status)


def test_restore_too_large():
    """A stream that is larger than the image it is restored to is refused, and the image keeps its size."""
    for name, tail in (("data", lib.noise(MIB)), ("zeros", bytes(MIB)), ("resumed", bytes(MIB))):
        words = ["--resume"] if name == "resumed" else []
        target = lib.make_raw(f"{name}.img", 8 * MIB, [(0, lib.noise(MIB))])
        r = restore_piped(lib.noise(8 * MIB) + tail, target, *words, status=3)
        expect("too small" in r.errors and str(8 * MIB) in r.errors, f"{name}: {r.errors}")
        lib.expect_equal(os.path.getsize(target), 8 * MIB, f"{name}: size of the image")


def test_restore_that_fits():
    """A stream that is as large as the image, or smaller, is restored to it."""
    for n in (8 * MIB, 8 * MIB - 1000):
        target = lib.make_raw("fits.img", 8 * MIB, [(0, lib.noise(MIB))])
        restore_piped(lib.noise(n, 2), target)
        with open(target, "rb") as f:
            expect(f.read(n) == lib.noise(n, 2), f"{n} bytes: they differ")
