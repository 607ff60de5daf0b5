# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: help, statuses, messages, manual, completions."""
import glob
import os
import re

import lib
from lib import BUILD, ROOT, expect, expect_equal, mixed_raw, path, platter, run

VERBS = ("info", "create", "convert", "restore", "clone", "verify", "compare", "map", "measure", "resize", "examine",
         "compact", "snapshot", "repair", "commit", "flatten", "rebase", "list", "explain", "burn", "rip",
         "formats")


def options_of(verb):
    return set(re.findall(r"--[a-z][a-z-]+", platter(verb, "--help").text)) | {"--help"}


def test_help():
    """Every verb has help with its usage, options and an example; the overview names every verb."""
    overview = platter("--help").text
    for verb in VERBS:
        expect(re.search(rf"^\s*{verb}\b", overview, re.M), f"the overview does not name {verb}")
        text = platter(verb, "--help").text
        expect(text.startswith(f"Usage: platter {verb}") and "Example" in text, f"help of {verb}: {text}")
        expect_equal(platter("help", verb).text, text, f"platter help {verb}")
        for line in text.splitlines():
            expect(len(line) <= 100, f"a long line in the help of {verb}: {line}")


def test_version():
    """--version says the library's version."""
    with open(os.path.join(ROOT, "meson.build")) as f:
        version = re.search(r"version: '([^']+)'", f.read()).group(1)
    expect_equal(platter("--version").text, f"platter {version}\n", "version")


def test_wrong_usage():
    """A wrong command line ends with status 2, words on standard error, and nothing on standard output."""
    for words in ([], ["frobnicate"], ["info"], ["info", "--frobnicate", "x"], ["create", "a"], ["create", "a", "b", "c"],
                  ["compare", "a"], ["create", "--sparse=perhaps", "a", "b"], ["create", "--split=0", "a", "b"],
                  ["create", "--threads=0", "a", "b"], ["create", "-o", "novalue", "a", "b"], ["info", "--json=1", "a"],
                  ["create", "--format", "a"], ["formats", "nonesuch"], ["info", "-Z", "x"]):
        r = platter(*words, status=2)
        expect(r.errors.strip() and not r.out, f"{words}: {r}")
        expect("--help" in r.errors or "help VERB" in r.errors, f"{words}: no way to help is told: {r.errors}")


def test_statuses():
    """0 done, 1 the answer is no, 2 wrong usage, 3 could not."""
    a, b = mixed_raw("a"), mixed_raw("b", seed=2)
    platter("compare", a, a, status=0)
    platter("compare", a, b, status=1)
    platter("compare", a, status=2)
    platter("compare", a, path("missing"), status=3)
    platter("create", a, path("disk.qcow2"), status=0)
    with open(path("disk.qcow2"), "r+b") as f:
        f.seek(48)
        f.write((1 << 40).to_bytes(8, "big"))
    platter("verify", path("disk.qcow2"), status=1)
    platter("create", a, "/proc/nowhere/x.img", status=3)


def test_messages():
    """An error names the program, the place and what to do, one line each."""
    r = platter("info", path("missing.img"), status=3)
    first = r.errors.splitlines()[0]
    expect(first.startswith("platter: ") and "missing.img" in first, first)
    platter("create", mixed_raw("a"), path("a.img"))
    r = platter("create", path("a"), path("a.img"), status=3)
    expect("--force" in r.errors, f"nobody says how to replace the file: {r.errors}")


def test_option_forms():
    """Long options, their short forms, '=' and separate values, '--' and mixed order mean the same."""
    a = mixed_raw("a", 6 << 20)
    forms = (["-O", "qcow2", a, "{}"], ["-Oqcow2", a, "{}"], ["--format=qcow2", a, "{}"], [a, "{}", "--format", "qcow2"],
             ["-qO", "qcow2", "--", a, "{}"])
    for i, form in enumerate(forms):
        out = path(f"out{i}")
        platter("create", *[w.format(out) for w in form])
        lib.expect_equal(lib.info(out)["layers"][-1]["name"], "qcow2", "format")


def test_sizes_as_people_write_them():
    """--split takes 1M, 1MiB, 1MB and plain bytes for what they are."""
    a = mixed_raw("a", 6 << 20)
    for text, size in (("1M", 1 << 20), ("1MiB", 1 << 20), ("1MB", 10 ** 6 // 512 * 512), ("2048s", 1 << 20), ("1048576", 1 << 20)):
        platter("create", "--force", a, path("out"), f"--split={text}")
        got = os.stat(path("out.001")).st_size
        expect(abs(got - size) < 512, f"--split={text} makes parts of {got} bytes")
        for f in glob.glob(path("out.*")):
            os.remove(f)


def test_names_with_marks():
    """Files whose names hold '@' and '?' are found under their whole name."""
    for name in ("a@1", "a?b=c", "me@home.img", "50%.img", "-dash.img", "with space.img"):
        raw = mixed_raw(name, 6 << 20)
        platter("info", "--", raw)
        platter("create", "--force", raw, path("out@2.img"))
        lib.same_bytes(raw, path("out@2.img"))


def manual_pages():
    pages = glob.glob(os.path.join(ROOT, "docs/man/*.[0-9]")) + glob.glob(os.path.join(BUILD, "docs/**/*.[0-9]"), recursive=True)
    return sorted(p for p in pages if os.path.isfile(p))


def test_manual_lint():
    """mandoc finds nothing to say about the manual pages."""
    lib.need_tool("mandoc")
    pages = manual_pages()
    expect(pages, "there are no manual pages")
    for page in pages:
        r = run(["mandoc", "-T", "lint", "-W", "warning", page], status=None)
        expect(r.status == 0, f"{page}: {r.text}{r.errors}")


def test_manual_is_complete():
    """Every verb and every option of its help stands in the manual, and the exit statuses."""
    text = ""
    for page in manual_pages():
        with open(page) as f:
            text += f.read().replace("\\-", "-")
    # mdoc writes options as "Fl -json"; man as "--json".
    text = re.sub(r"\bFl (Fl )?-?(?=[a-z]{2})", "--", text)
    for verb in VERBS:
        expect(re.search(rf"\b{verb}\b", text), f"the manual does not name {verb}")
        for option in options_of(verb):
            expect(option in text, f"the manual does not name {option} ({verb})")


def completions(name):
    made = os.path.join(BUILD, "completions", name)
    expect(os.path.exists(made), f"{made} was not made")
    return made


def test_completion_syntax():
    """The completion scripts parse in their shells."""
    for shell, name in (("bash", "platter.bash"), ("zsh", "_platter"), ("fish", "platter.fish")):
        def attempt(shell=shell, name=name):
            lib.need_tool(shell)
            run([shell, "-n", completions(name)])
        yield shell, attempt


def test_bash_completes():
    """In bash, verbs and the options of a verb are completed."""
    lib.need_tool("bash")
    script = completions("platter.bash")
    probe = f"""
source {script}
complete_it() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=()
  local f; f=$(complete -p platter | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f platter "${{@: -1}}" "${{@: -2:1}}"; printf '%s\\n' "${{COMPREPLY[@]}}"; }}
complete_it platter ver
complete_it platter create --com
"""
    out = run(["bash", "-c", probe]).text.split()
    expect("verify" in out, f"'ver' is not completed: {out}")
    expect(any(w.startswith("--compress") for w in out), f"'--com' is not completed: {out}")


def test_formats():
    """formats names what is read, written and created; with a name, that format's options."""
    text = platter("formats").text
    for word in ("raw", "qcow2", "gpt", "mbr", "ext4"):
        expect(word in text, f"{word} is not listed: {text}")
    text = platter("formats", "qcow2").text
    for word in ("cluster_size", "backing"):
        expect(word in text, f"option {word} is not listed: {text}")


def test_full_stdout():
    """An answer that could not be written is a failure."""
    if not os.path.exists("/dev/full"):
        lib.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        platter("formats", stdout=full, status=3)
