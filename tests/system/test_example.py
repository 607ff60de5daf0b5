# SPDX-License-Identifier: GPL-3.0-or-later
"""The example programs, built as a user would."""
import os

import lib
from lib import BUILD, ROOT, expect, expect_equal, mixed_raw, path, platter, run

EXAMPLES = os.path.join(ROOT, "docs/examples")


def install():
    """The project installed below a folder; all files of it."""
    to = path("root")
    run(["meson", "install", "--no-rebuild", "-C", BUILD], env={"DESTDIR": to}, timeout=120)
    return [os.path.join(base, n) for base, _, names in os.walk(to) for n in names]


def installed(files, end):
    found = [f for f in files if f.endswith(end)]
    expect(found, f"{end} is not installed: {sorted(files)}")
    return found[0]


def build(name):
    lib.need_tool("pkg-config", "cc")
    files = install()
    top = path("root")
    env = {"PKG_CONFIG_PATH": os.path.dirname(installed(files, "/libplatter.pc")), "PKG_CONFIG_SYSROOT_DIR": top}
    flags = run(["pkg-config", "--cflags", "--libs", "libplatter"], env=env).text.split()
    exe = path(name[:-2])
    libs = os.path.dirname(installed(files, "/libplatter.so.0"))
    run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", exe, os.path.join(EXAMPLES, name), *flags,
         f"-Wl,-rpath,{libs}"])
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
    files = install()
    for wanted in ("/include/platter/platter.h", "/libplatter.so.0", "/pkgconfig/libplatter.pc", "/man1/platter.1",
                   "/man3/libplatter.3", "/bash-completion/completions/platter.bash", "/_platter", "/platter.fish"):
        installed(files, wanted)
    libs = os.path.dirname(installed(files, "/libplatter.so.0"))
    run([installed(files, "/bin/platter"), "--version"], env={"LD_LIBRARY_PATH": libs})
