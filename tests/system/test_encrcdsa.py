# SPDX-License-Identifier: GPL-3.0-or-later
"""Apple's encrypted images, beside a decoder of hashlib and the openssl command; and pass phrases."""
import hashlib
import os
import pty
import re
import select
import time

import cdsa
import lib
from lib import MIB, expect, expect_equal, limit, need_tool, path, platter, prose
from test_corpus import samples

PHRASE = "pässword, with blanks "
ENV = {"PLATTER_PASSPHRASE": PHRASE}


def made(name, plain, **how):
    need_tool("openssl")
    with open(path(name), "wb") as f:
        f.write(cdsa.encrypt(plain, PHRASE.encode(), **how))
    return path(name)


def is_ours(s):
    return s.name.endswith(".enc.dmg")


@limit(120)
def test_samples():
    """An encrypted image that a Mac made opens with its pass phrase alone, and holds what the manifest says."""
    found = samples(is_ours)
    expect(found, "the manifest lists none of these")
    for s in found:
        yield s.name, lambda s=s: check_sample(s)


def check_sample(s):
    env = {"PLATTER_PASSPHRASE": s.expect["pass"]}
    r = platter("info", s.stored, env={"PLATTER_PASSPHRASE": "not it"}, status=3)
    expect("not the pass phrase" in r.errors, r.errors)
    layers = lib.info(s.stored, env=env)["layers"]
    expect_equal([x["name"] for x in layers][:2], ["file", "encrcdsa"], "layers")
    expect_equal(layers[1]["size"], int(s.expect["inner.size"]), "size of what is encrypted")
    with open(s.stored, "rb") as f:
        inner = cdsa.decrypt(f.read(), s.expect["pass"].encode())
    expect_equal(hashlib.sha256(inner).hexdigest(), s.expect["inner.sha256"], "SHA-256 of what is encrypted")
    # Both are opened as what they are; the bytes of the file are the second opinion's.
    with open(path("inner.dmg"), "wb") as f:
        f.write(inner)
    platter("compare", s.stored, path("inner.dmg"), env=env)
    if "dmg" in {f["name"] for f in platter("formats", "--json").json()["formats"]}:
        expect_equal([x["name"] for x in layers], ["file", "encrcdsa", "dmg"], "layers")
        said = platter("verify", "--json", "--hash", "sha256", s.stored, env=env).json()
        expect_equal(said["images"][0]["hashes"]["sha256"], s.expect["sha256"], "SHA-256 of the disk")


@limit(180)
def test_both_ways():
    """What the other encrypts reads here, written bytes decrypt there, with each key and block size."""
    for bits, block in ((128, 4096), (256, 4096), (256, 512)):
        def one(bits=bits, block=block):
            plain = prose(300000 if block > 512 else 40000) + b"tail"
            image = made("a.dmg", plain, bits=bits, block=block, others=1)
            with open(path("a.raw"), "wb") as f:
                f.write(plain)
            platter("compare", image, path("a.raw"), env=ENV)
            platter("resize", image, str(len(plain) + 70000), env=ENV)
            with open(image, "rb") as f:
                now = cdsa.decrypt(f.read(), PHRASE.encode())
            expect(now == plain + bytes(70000), "what was resized decrypts otherwise")
        yield f"{bits}-{block}", one


def test_layers():
    """An image in another format inside is found by looking, and both layers are shown."""
    with open(path("x.raw"), "wb") as f:
        f.write(prose(300000))
    platter("create", "-o", "cluster_size=4k", path("x.raw"), path("x.hds"))
    with open(path("x.hds"), "rb") as f:
        image = made("x.enc", f.read(), bits=256)
    expect_equal([x["name"] for x in lib.info(image, env=ENV)["layers"]], ["file", "encrcdsa", "parallels"], "layers")
    platter("compare", "--ignore-zero-tail", image, path("x.raw"), env=ENV)
    expect_equal(lib.info(image + "?format=parallels", env=ENV)["layers"][2]["name"], "parallels", "a named format")
    expect_equal(lib.info(image + "?format=raw")["size"], os.path.getsize(image), "size of the file as it is")


def test_sources():
    """A file goes before the environment; its first line counts; standard input serves too, but not twice."""
    image = made("s.dmg", b"secret" * 100)
    with open(path("right"), "w") as f:
        f.write(PHRASE + "\nand what follows\n")
    with open(path("wrong"), "w") as f:
        f.write(PHRASE.strip() + "\n")
    platter("info", image, "--passphrase-file", path("right"), env={"PLATTER_PASSPHRASE": "no"})
    platter("info", image, "--passphrase-file", "-", input=PHRASE.encode() + b"\r\n")
    r = platter("info", image, "--passphrase-file", path("wrong"), env=ENV, status=3)
    expect("not the pass phrase" in r.errors, r.errors)
    r = platter("info", image, "--passphrase-file", path("missing"), env=ENV, status=3)
    expect("missing" in r.errors, r.errors)
    for disk in ("-", "-?format=raw", "-@1"):
        platter("info", disk, "--passphrase-file", "-", input=b"x", status=2)
    # Two images, one command, one reading of the file.
    platter("compare", image, image, "--passphrase-file", "-", input=PHRASE.encode())


def on_terminal(args, answers):
    """Run platter on a terminal of its own and answer its questions; what the terminal showed, and the status."""
    child, fd = pty.fork()
    if not child:
        os.execve(lib.PLATTER, [lib.PLATTER, *args], lib.ENV)
    shown, until = b"", time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            got = b""
        if not got:
            break
        shown += got
        if answers and re.search(rb"': $", shown):
            time.sleep(0.2)
            os.write(fd, answers.pop(0).encode() + b"\n")
            shown += b"<answered>"
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(fd)
    return shown.decode("utf-8", "replace"), status


def test_terminal():
    """Without another source the terminal is asked, shows nothing of the answer, and asks three times."""
    image = made("t.dmg", b"secret" * 100)
    shown, status = on_terminal(["info", image], ["wrong", "again", PHRASE])
    expect_equal(status, 0, f"status after {shown}")
    expect(shown.count("Pass phrase of") == 3 and "wrong" not in shown and PHRASE not in shown, shown)
    shown, status = on_terminal(["info", image], ["1", "2", "3", PHRASE])
    expect(status == 3 and shown.count("Pass phrase of") == 3 and "not the pass phrase" in shown, shown)
    # Both sides of a comparison are one image: asked once.
    shown, status = on_terminal(["compare", image, image], [PHRASE, "no"])
    expect(status == 0 and shown.count("Pass phrase of") == 1, shown)


def test_terminal_is_told_printable_names():
    """A name with escape sequences does not reach the terminal as it is."""
    image = made("\x1b]0;title\x07\n.dmg", b"secret" * 100)
    shown, status = on_terminal(["info", "-q", image], [PHRASE])
    question = shown.split("<answered>")[0]
    expect(status == 0 and "\\x1b]0;title\\x07\\x0a.dmg': " in question and "\x1b" not in question, repr(shown))


def test_new_on_terminal():
    """A new pass phrase is typed twice; where that fails three times, or is broken off, nothing is made."""
    words = ["create", "--size=1M", "-o", "encryption=AES-128", path("new.sparseimage")]
    shown, status = on_terminal(words, ["1", "2", "3", "4", "5", "6", "7"])
    expect(status == 3 and shown.count("not the same") == 3 and shown.count("New pass phrase") == 3, shown)
    expect(not os.path.exists(path("new.sparseimage")), "an image was made")
    shown, status = on_terminal(words, [PHRASE, PHRASE])
    expect(status == 0 and "not the same" not in shown and PHRASE not in shown, shown)


def test_nobody_to_ask():
    """Where there is no terminal, the error says where a pass phrase could come from."""
    image = made("n.dmg", b"secret" * 100)
    r = lib.run(["setsid", "--wait", lib.PLATTER, "info", image], status=3)
    expect("--passphrase-file" in r.errors and "PLATTER_PASSPHRASE" in r.errors, r.errors)
