# SPDX-License-Identifier: GPL-3.0-or-later
"""Tens of thousands of files: in one folder, in folders within folders, with long names."""
import os
import sys

import files
import lib
import test_exfat
import test_ntfs
from lib import MIB, expect, expect_equal, limit, path, platter, run, weight
from test_backup import by_kernel

COUNT = 100_000 if lib.LONG else 9_000
DEEP = 60
SIZE = 700 * MIB


def contents(i):
    return b"%d\n" % i * (i % 90)


def make_tree(top):
    """A third in one folder, a third in folders of a hundred, a third with long names; and a deep path."""
    os.makedirs(os.path.join(top, "/".join("deep" for _ in range(DEEP))))
    with open(os.path.join(top, "/".join("deep" for _ in range(DEEP)), "bottom"), "w") as f:
        f.write("here")
    for i in range(COUNT):
        folder = ("many", f"of a hundred/{i // 300}", f"long/{i % 7}")[i % 3]
        name = f"file {i}" + (" with a long name" * 11 if i % 3 == 2 else "")
        if i % 300 < 3 or i < 21:
            os.makedirs(os.path.join(top, folder), exist_ok=True)
        with open(os.path.join(top, folder, name), "wb") as f:
            f.write(contents(i))


def mounted_fill(mount):
    def fill(image, top):
        with mount(image) as where:
            run(["cp", "-r", top, os.path.join(where, "top")], timeout=900)
        return "top/"
    return fill


def made_of(*command):
    """A command that makes the image of a folder."""
    def fill(image, top):
        lib.need_tool(command[0])
        os.unlink(image)
        run([{"IMAGE": image, "FOLDER": top}.get(word, word) for word in command], timeout=900)
        return ""
    return fill


# name: [command that makes it empty or None, what fills it and tells where].  Without a kernel that has FAT, mcopy would take
# minutes to fill it.
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-F", "-N", "150000"], mounted_fill(by_kernel)),
    "xfs": (["mkfs.xfs", "-q"], mounted_fill(by_kernel)),
    "btrfs": (["mkfs.btrfs", "-q"], mounted_fill(by_kernel)),
    "ntfs": (["mkntfs", "-q", "-F", "-f"], mounted_fill(test_ntfs.filled)),
    "exfat": (["mkfs.exfat", "-c", "4096"], mounted_fill(test_exfat.mounted)),
    "iso9660": (None, made_of("genisoimage", "-quiet", "-R", "-D", "-o", "IMAGE", "FOLDER")),
    "squashfs": (None, made_of("mksquashfs", "FOLDER", "IMAGE", "-quiet", "-no-progress")),
}


def peak_of(*args):
    """The largest resident size of a run, in bytes.  This process, which is large, would count as the child's until exec."""
    watch = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True); "
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)")
    return int(run([sys.executable, "-c", watch, lib.PLATTER, *args], timeout=600).text)


@limit(900)
@weight(5)
def test_tree():
    """Every file of a large tree is listed once and has its bytes, one is found by its path, and little memory is taken."""
    for name, (make, fill) in KINDS.items():
        def attempt(make=make, fill=fill):
            top, image = path("top"), path("image")
            make_tree(top)
            with open(image, "wb") as f:
                f.truncate(SIZE)
            if make:
                lib.need_tool(make[0])
                run([*make, image])
            under = fill(image, top)
            wanted = {under.encode() + name: h for name, h in files.wanted_hashes(top).items()}
            r = platter("hash", "-R", "--json", image, timeout=600)
            got = {f["path"].encode(): f["hashes"]["sha256"] for f in r.json()["files"]}
            files.expect_same(got, wanted, "contents")
            r = platter("ls", "-R", image, timeout=600)
            listed = [line for line in r.text.splitlines() if line.startswith(f"{under}many/")]
            expect_equal((len(listed), len(set(listed))), ((COUNT + 2) // 3,) * 2, "files listed in the large folder, and names")
            for verb in ("ls", "hash"):
                peak = peak_of(verb, "-R", image)
                expect(peak < 128 * MIB, f"{peak} bytes of memory for {verb} -R")
            last = COUNT - 1 - (COUNT - 1) % 3
            expect_equal(platter("cat", f"{image}:/{under}many/file {last}").out, contents(last), "the last one's bytes")
            expect_equal(platter("cat", f"{image}:/{under}{'deep/' * DEEP}bottom").text, "here", "what is deepest")
        yield name, attempt
