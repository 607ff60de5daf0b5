# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of the rooms, and what belongs to a driver."""
import json
import os
import re
import shlex

import lib
from lib import BUILD, ROOT, expect, expect_equal, platter, run

# From the lowest to the highest; a room sees those that it stands on.
STANDS_ON = {
    "util": [],
    "core": ["util"],
    "codecs": ["util", "core"],
    "storage": ["util", "core"],
    "formats": ["util", "core", "codecs", "storage"],
    "drives": ["util", "core", "codecs", "storage", "formats"],
    "partitions": ["util", "core", "codecs", "storage"],
    "filesystems": ["util", "core", "codecs", "storage"],
    "devices": ["util", "core", "codecs", "storage", "formats", "partitions", "filesystems"],
    "jobs": ["util", "core", "codecs", "storage", "formats", "partitions", "filesystems", "drives", "devices"],
    "authoring": ["util", "core", "codecs", "storage", "formats", "partitions", "filesystems", "drives", "devices", "jobs"],
}
# A header of each room that no other room has.
HEADER = {"util": "bytes.h", "core": "disk.h", "codecs": "codec.h", "storage": "storage.h", "formats": "format.h",
          "partitions": "scheme.h", "filesystems": "content.h", "drives": "drive.h", "devices": "guard.h", "jobs": "copy.h",
          "authoring": "source.h"}


def compile_commands():
    with open(os.path.join(BUILD, "compile_commands.json")) as f:
        return json.load(f)


def flags_of(room):
    """The compiler and the include folders that the build really uses for a room."""
    for entry in compile_commands():
        if f"libpl_{room}.a.p/" in entry["command"]:
            words = shlex.split(entry["command"])
            if os.path.basename(words[0]) == "ccache":
                words = words[1:]
            return entry["directory"], [words[0]] + [w for w in words[1:] if w.startswith(("-I", "-D", "-std"))]
    raise lib.Failure(f"room {room} has no source")


def compiles(room, header):
    where, command = flags_of(room)
    source = f'#include "{header}"\n'.encode()
    return run([*command, "-fsyntax-only", "-xc", "-"], input=source, cwd=where, status=None).status == 0


def tracked_sources():
    out = run(["git", "-C", ROOT, "ls-files", "*.c", "*.h"]).text
    return [f for f in out.splitlines() if os.path.exists(os.path.join(ROOT, f))]


def read(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def test_includes():
    """A room can include the rooms that it stands on, and no other."""
    for room in STANDS_ON:
        for other, header in HEADER.items():
            allowed = other == room or other in STANDS_ON[room]

            def attempt(room=room, header=header, allowed=allowed):
                expect_equal(compiles(room, header), allowed, f'#include "{header}" in room {room} compiles')
            yield f"{room} includes {other}", attempt


def test_clients():
    """The command and the example include the public headers and no room."""
    for name in tracked_sources():
        if name.startswith(("cli/", "docs/examples/", "frontends/")):
            for header in re.findall(r'#include "([^"]+)"', read(name)):
                beside = os.path.exists(os.path.join(ROOT, os.path.dirname(name), header))
                expect(beside, f'{name} includes "{header}"')
    for entry in compile_commands():
        if "platter.p/cli" in entry["command"]:
            expect("lib/" not in re.sub(r"-I\S*subprojects\S*", "", " ".join(re.findall(r"-I\S+", entry["command"]))),
                   f"{entry['file']} is compiled with a room's headers")


def test_headers_as_cplusplus():
    """Each public header compiles by itself as C11 and as C++ from C++11 on."""
    lib.need_tool("g++")
    for name in sorted(os.listdir(os.path.join(ROOT, "include/platter"))):
        source = f"""#include <platter/{name}>
#ifdef PLATTER_ERROR_INIT
struct platter_error an_error = PLATTER_ERROR_INIT;
#endif
""".encode()
        for compiler, std in (("gcc", "c11"), ("g++", "c++11"), ("g++", "c++17"), ("g++", "c++20")):
            def attempt(source=source, compiler=compiler, std=std):
                run([compiler, f"-std={std}", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", os.path.join(ROOT, "include"),
                     "-fsyntax-only", "-x", "c++" if compiler == "g++" else "c", "-"], input=source)
            yield f"{name} as {std}", attempt


def test_flat_includes():
    """No include climbs up or names a folder of the library."""
    for name in tracked_sources():
        for header in re.findall(r'#include ["<]([^">]+)[">]', read(name)):
            expect("../" not in header, f"{name} includes {header}")
            expect(header.split("/")[0] not in STANDS_ON, f"{name} includes {header}")


def test_symbols_of_rooms():
    """No room calls the public API: only the room above them all defines and knows it."""
    lib.need_tool("nm")
    # Public functions that are a room's own work, not a way back up.
    own = {"platter_parse_size", "platter_format_size"}
    for room in STANDS_ON:
        archive = os.path.join(BUILD, "lib", f"libpl_{room}.a")
        wanted = {line.split()[-1] for line in run(["nm", "-u", archive]).text.splitlines() if line.strip()}
        up = {s for s in wanted if s.startswith("platter_")} - own
        expect(not up, f"room {room} needs {', '.join(sorted(up))}")


def test_exported_symbols():
    """The shared library exports what the public headers declare, and nothing else."""
    lib.need_tool("nm")
    out = run(["nm", "-D", "--defined-only", os.path.join(BUILD, "lib", "libplatter.so.0")]).text
    exported = {line.split()[2].split("@")[0] for line in out.splitlines() if line.split()[1] in "TDBRVW"}
    declared = set()
    for name in os.listdir(os.path.join(ROOT, "include/platter")):
        text = read(f"include/platter/{name}")
        declared |= set(re.findall(r"PLATTER_API[^;{]*?\b(platter_\w+)\(", text))
    expect(exported == declared, f"exported only: {sorted(exported - declared)}; declared only: {sorted(declared - exported)}")


def documented(kind):
    """Names of what the command lists, by its own registry."""
    return platter("formats", "--json").json()[kind]


def test_every_driver_is_whole():
    """Every format and partition scheme has its page, fuzz seeds and tests, under its name."""
    for kind in ("formats", "tables"):
        for info in documented(kind):
            name = info["name"]
            expect(os.path.exists(os.path.join(ROOT, "docs/formats", name + ".md")), f"docs/formats/{name}.md is missing")
            expect(f"]({'formats/' + name + '.md'})" in read("docs/formats.md"), f"docs/formats.md has no link to {name}.md")
            if name == "raw":   # nothing to parse
                continue
            expect(os.listdir(os.path.join(ROOT, "fuzz/seeds", name)), f"fuzz/seeds/{name} is empty")
            named = [t for t in os.listdir(os.path.join(ROOT, "tests/unit"))
                     if t.startswith("test-" + name) or f'"{name}"' in read("tests/unit/" + t)]
            expect(named, f"no test of tests/unit is about {name}")


def test_every_file_system_is_whole():
    """What has files that are read has its page, a row, fuzz seeds and tests, under its name."""
    for info in documented("contents"):
        name = info["name"]
        if not info["files"]:
            continue
        expect(os.path.exists(os.path.join(ROOT, "docs/formats", name + ".md")), f"docs/formats/{name}.md is missing")
        expect(f"](formats/{name}.md)" in read("docs/formats.md"), f"docs/formats.md has no link to {name}.md")
        seeds = os.path.join(ROOT, "fuzz/seeds/volume-" + name)
        expect(os.path.isdir(seeds) and os.listdir(seeds), f"{seeds} is empty")
        named = [t for t in os.listdir(os.path.join(ROOT, "tests/unit")) if f'"{name}"' in read("tests/unit/" + t)]
        expect(named, f"no test of tests/unit opens {name}")


def test_table_of_formats():
    """The table of docs/formats.md says of each format what its driver says that it can."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in read("docs/formats.md").splitlines() if line.startswith("|")]
    head = next(r for r in rows if r[0] == "format")
    abilities = {"read": "read", "create": "create", "write in place": "write", "compress": "compress",
                 "backing files": "backing", "snapshots": "snapshots", "structure checked": "check"}
    expect(set(abilities) <= set(head), f"columns: {head}")
    for info in documented("formats"):
        found = [r for r in rows if r[0].startswith(f"[`{info['name']}`]")]
        expect_equal(len(found), 1, f"rows about {info['name']}")
        said = dict(zip(head, found[0]))
        for column, ability in abilities.items():
            expect_equal(said[column] != "-", info[ability], f"{info['name']}: {column}")


def test_every_content_is_listed():
    """docs/formats.md names everything that is recognised."""
    text = read("docs/formats.md")
    for info in documented("contents"):
        expect(f"`{info['name']}`" in text, f"docs/formats.md does not name {info['name']}")


def test_no_marks():
    """No unfinished work is marked in the sources."""
    mark = re.compile(r"\b(TO" r"DO|FIX" r"ME|XXX)\b")
    for name in tracked_sources():
        for i, line in enumerate(read(name).splitlines(), 1):
            expect(not mark.search(line), f"{name}:{i}: {line.strip()}")


def test_licence_lines():
    """Every source begins with its licence."""
    for name in tracked_sources():
        expect(read(name).startswith("/* SPDX-License-Identifier: GPL-3.0-or-later */\n"), f"{name} has no licence line")
