# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading at any offset and length through the library."""
import os

import lib
from lib import MIB, helper, mixed_raw, path, platter, run


def test_random_reads():
    """platter_read() at any offset and length, from many threads, equals the raw disk, in every format."""
    kinds = {"raw": ("a.img", []), "qcow2": ("b.qcow2", []), "zstd": ("c.qcow2", ["-c"]),
             "zlib, 512-byte clusters": ("d.qcow2", ["--compress=zlib", "-o", "cluster_size=512"]),
             "2M clusters": ("e.qcow2", ["-c", "-o", "cluster_size=2M"]), "split": ("f.img", ["--split=3333s"])}
    for kind, (name, options) in kinds.items():
        def attempt(name=name, options=options):
            raw = mixed_raw("disk", 24 * MIB + 512 * 3)
            platter("create", raw, path(name), *options)
            place = path(name) if os.path.exists(path(name)) else path(name) + ".001"
            for seed in range(30 if lib.LONG else 3):
                run([helper("reads"), place, raw, str(seed), "2000"], timeout=120)
        yield kind, attempt


def test_partition_reads():
    """Reads of a partition stay within it and equal its range of the disk."""
    lib.need_tool("sfdisk")
    raw = mixed_raw("disk")
    run(["sfdisk", "-q", raw], input=b"label: dos\nstart=4097,size=20001\n")
    platter("create", raw, path("a.qcow2"), "-c")
    run(["dd", f"if={raw}", f"of={path('part')}", "bs=512", "skip=4097", "count=20001", "status=none"])
    run([helper("reads"), path("a.qcow2") + "@1", path("part"), "7", "2000"])
