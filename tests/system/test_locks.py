# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that another program uses are not changed, and QEMU's programs leave those alone that platter changes."""
import contextlib
import os
import shutil
import subprocess
import time

import lib
from lib import MIB, expect, expect_equal, helper, loop, mixed_raw, need_tool, path, platter, run


@contextlib.contextmanager
def running(*args, line):
    """A program that is given a line and does not come to the end of its input."""
    p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=lib.ENV)
    try:
        p.stdin.write(line.encode())
        p.stdin.flush()
        yield p
    finally:
        p.stdin.close()
        p.wait()


def wait_for_lock(image):
    """Until a program has locked the file."""
    want = f":{os.stat(image).st_ino} "
    for _ in range(500):
        with open("/proc/locks", encoding="ascii") as f:
            if any(want in line for line in f):
                return
        time.sleep(0.01)
    lib.skip("nothing locks files here")


def changes(top, base):
    """What changes an image: the words, and which image."""
    return ((["resize", top, "64M"], top), (["snapshot", "--create=now", top], top), (["repair", top], top),
            (["commit", top], base), (["flatten", top], top), (["rebase", "--parent", base, top], top),
            (["rebase", "--unsafe", "--parent", base, top], top))


def chain():
    base, top = path("base.qcow2"), path("top.qcow2")
    platter("create", "-q", mixed_raw("source"), base)
    platter("create", "--parent", base, top)
    run([helper("writes"), top], input=b"write 7 4096 100000\n")
    return base, top


def check_refused(top, base, used):
    before = {f: lib.sha256(f) for f in (base, top)}
    for words, image in changes(top, base):
        if image != used:
            continue
        r = platter(*words, status=None)
        if words[0] == "repair" and r.status == 0:  # which only looked: there was nothing to repair
            continue
        expect_equal(r.status, 3, f"status of {words[0]}: {r}")
        expect("in use" in r.errors and os.path.basename(used) in r.errors, str(r))
    expect_equal({f: lib.sha256(f) for f in (base, top)}, before, "images")


def test_image_in_use_by_qemu():
    """An image that a program of QEMU has open to write is read, but not changed."""
    need_tool("qemu-io")
    base, top = chain()
    with running("qemu-io", "-f", "qcow2", top, line="read 0 512\n"):
        wait_for_lock(top)
        check_refused(top, base, top)
        platter("info", top)
        platter("create", "-q", top, path("copy.raw"))
    platter("commit", top)
    platter("resize", top, "64M")


def test_image_read_by_qemu():
    """An image that QEMU's programs read and want unchanged is not written."""
    need_tool("qemu-io")
    base, top = chain()
    with running("qemu-io", "-r", "-f", "qcow2", base, line="read 0 512\n"):
        wait_for_lock(base)
        r = platter("resize", base, "64M", status=3)
        expect("reads it" in r.errors and "qemu" in r.errors, str(r))
        check_refused(top, base, base)
    platter("resize", base, "64M")


def test_image_in_use_by_platter():
    """Two programs of ours do not write one image, and QEMU's do not write it meanwhile."""
    base, top = chain()
    with running(helper("writes"), top, line="write 1 0 512\n"):
        wait_for_lock(top)
        check_refused(top, base, top)
        if shutil.which("qemu-img"):
            r = run(["qemu-img", "resize", "-q", top, "64M"], status=None)
            expect(r.status != 0 and "lock" in r.errors, str(r))
    platter("resize", top, "64M")


def test_attached_image():
    """An image that is a loop device is not changed."""
    raw = mixed_raw("disk.raw")
    before = lib.sha256(raw)
    with loop(raw):
        r = platter("resize", raw, "64M", status=3)
        expect("attached" in r.errors, str(r))
    expect_equal(lib.sha256(raw), before, "image")
    platter("resize", raw, str(64 * MIB))
