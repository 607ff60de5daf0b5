# SPDX-License-Identifier: GPL-3.0-or-later
"""The example programs, built as a user would."""
import os

import lib
from lib import BUILD, ROOT, expect, expect_equal, mixed_raw, path, platter, run

EXAMPLES = os.path.join(ROOT, "docs/examples")


def build(name):
    lib.need_tool("pkg-config", "cc")
    env = {"PKG_CONFIG_PATH": os.path.join(BUILD, "meson-uninstalled")}
    flags = run(["pkg-config", "--cflags", "--libs", "libplatter"], env=env).text.split()
    exe = path(name[:-2])
    run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", exe, os.path.join(EXAMPLES, name), *flags,
         f"-Wl,-rpath,{BUILD}/lib"])
    return exe


def test_examples_are_short():
    """Each example is a page or less and needs only <platter/platter.h>."""
    for name in os.listdir(EXAMPLES):
        with open(os.path.join(EXAMPLES, name)) as f:
            lines = f.read().splitlines()
        expect(len(lines) <= 70, f"{name} has {len(lines)} lines")
        headers = [line for line in lines if line.startswith("#include <platter")]
        expect_equal(headers, ["#include <platter/platter.h>"], f"what {name} includes of platter")


def test_read_sector():
    """docs/examples/read-sector.c builds with pkg-config and prints the bytes that are there."""
    exe = build("read-sector.c")
    raw = mixed_raw("disk")
    platter("create", raw, path("disk.qcow2"), "-c")
    r = run([exe, path("disk.qcow2"), "4097"])
    with open(raw, "rb") as f:
        f.seek(4097 * 512)
        wanted = f.read(512)
    got = bytes.fromhex("".join(line.partition(":")[2] for line in r.text.splitlines()))
    expect_equal(got, wanted, "sector 4097")
    r = run([exe, path("disk.qcow2"), "99999999"], status=1)
    expect(r.errors, "nothing is said about a sector past the end")


def test_header_in_cxx():
    """The public headers compile as C++ and as strict C11."""
    source = b"#include <platter/platter.h>\nint main(void) { return 0; }\n"
    include = os.path.join(ROOT, "include")
    run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", include, "-xc", "-"],
        input=source)
    if run(["clang++", "--version"], status=None).status == 0:
        run(["clang++", "-std=c++2b", "-Wall", "-Werror", "-fsyntax-only", "-I", include, "-xc++", "-"], input=source)


def test_install():
    """make install puts the command, library, headers, manual and completions where they belong, and they work there."""
    to = path("root")
    run(["meson", "install", "--no-rebuild", "-C", BUILD], env={"DESTDIR": to}, timeout=120)
    found = {os.path.relpath(os.path.join(base, n), to) for base, _, names in os.walk(to) for n in names}
    for wanted in ("bin/platter", "include/platter/platter.h", "/libplatter.so.0", "pkgconfig/libplatter.pc",
                   "man1/platter", "bash-completion", "zsh", "fish"):
        expect(any(wanted in f for f in found), f"{wanted} is not installed: {sorted(found)}")
    exe = next(os.path.join(to, f) for f in found if f.endswith("bin/platter"))
    libs = next(os.path.dirname(os.path.join(to, f)) for f in found if f.endswith("libplatter.so.0"))
    run([exe, "--version"], env={"LD_LIBRARY_PATH": libs})
