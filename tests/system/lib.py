# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests share: running programs within limits, scratch folders, loop
devices, the corpus."""
import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PLATTER_BUILD") or os.path.join(ROOT, "build")
ASAN_BUILD = os.environ.get("PLATTER_ASAN_BUILD") or os.path.join(ROOT, "build-asan")
LONG = bool(os.environ.get("PLATTER_LONG"))
PLATTER = os.path.join(BUILD, "platter")
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# No messages in another language, no colour, no user's settings.
ENV = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
# Sanitizers: a report ends the process with this status, which platter itself never uses.
SANITIZER_STATUS = 99
ENV["ASAN_OPTIONS"] = f"exitcode={SANITIZER_STATUS}:allocator_may_return_null=1:detect_leaks=1"
ENV["UBSAN_OPTIONS"] = f"exitcode={SANITIZER_STATUS}:halt_on_error=1:print_stacktrace=1"


class Failure(Exception):
    """The claim does not hold."""


class Skip(Exception):
    """The claim cannot be tried here."""


def skip(reason):
    raise Skip(reason)


def expect(condition, text):
    if not condition:
        raise Failure(text)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what} is {got!r}, expected {wanted!r}")


# Marks for tests/run.py, which reads them from the source.
def serial(f):
    """Run alone: it measures time or kills, or needs both processors."""
    return f


def limit(seconds):
    """Longest time in seconds; 300 without it."""
    return lambda f: f


def weight(n):
    """Heavier tests are begun first."""
    return lambda f: f


def shards(n):
    """Cases of a generator are dealt out to n processes."""
    return lambda f: f


# ---- scratch folders ----

_scratch = []


class Scratch:
    """A folder for one test on tmpfs (made when first asked for), and things to undo after it."""

    def __enter__(self):
        self.folders, self.undo = {}, []
        _scratch.append(self)
        return self

    def __exit__(self, *exc):
        _scratch.pop()
        for call in reversed(self.undo):
            call()
        for path in self.folders.values():
            shutil.rmtree(path, ignore_errors=True)


def undo(call):
    """Call this when the running test ends, however it ends."""
    _scratch[-1].undo.append(call)


def folder(on_disk=False):
    """The test's own folder; on_disk: not on tmpfs."""
    scratch = _scratch[-1]
    if on_disk not in scratch.folders:
        base = "/var/tmp" if on_disk or not os.access("/dev/shm", os.W_OK) else "/dev/shm"
        scratch.folders[on_disk] = tempfile.mkdtemp(prefix="platter-test.", dir=base)
    return scratch.folders[on_disk]


def path(name, on_disk=False):
    return os.path.join(folder(on_disk), name)


# ---- running programs ----

class Result:
    def __init__(self, args, status, out, err, seconds, rss, timed_out):
        self.args, self.status, self.out, self.err = args, status, out, err
        self.seconds, self.rss, self.timed_out = seconds, rss, timed_out

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "replace")

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise Failure(f"{self}\nis no JSON: {e}")

    def __str__(self):
        how = "timed out" if self.timed_out else f"status {self.status}"
        return (f"$ {' '.join(map(str, self.args))}\n{how}, {self.seconds:.1f} s, {self.rss >> 10} KiB\n"
                f"stdout: {self.text[-2000:]}\nstderr: {self.errors[-4000:]}")


def forget_peak():
    """The kernel counts the largest size of this process as the child's, until exec.  Start again
    from what it is now, which is small."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def run(args, *, input=None, stdin=None, stdout=None, status=0, timeout=60, cwd=None, env=None):
    """Run a program.  `status`: what it must end with, or a tuple of them, or None for any.
    Its largest resident size comes from wait4()."""
    forget_peak()
    with contextlib.ExitStack() as stack:
        out = stdout or stack.enter_context(tempfile.TemporaryFile())
        err = stack.enter_context(tempfile.TemporaryFile())
        if input is not None:
            stdin = stack.enter_context(tempfile.TemporaryFile())
            stdin.write(input)
            stdin.seek(0)
        start = time.monotonic()
        p = subprocess.Popen([str(a) for a in args], stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err,
                             cwd=cwd, env={**ENV, **(env or {})})
        late = threading.Timer(timeout, os.kill, [p.pid, signal.SIGKILL])
        late.start()
        _, code, usage = os.wait4(p.pid, 0)
        timed_out = not late.is_alive()
        late.cancel()
        p.returncode = os.waitstatus_to_exitcode(code)
        seconds = time.monotonic() - start
        if stdout is None:
            out.seek(0)
        err.seek(0)
        r = Result(args, p.returncode, b"" if stdout else out.read(), err.read(), seconds,
                   usage.ru_maxrss << 10, timed_out)
    if status is not None:
        wanted = status if isinstance(status, tuple) else (status,)
        if timed_out or r.status not in wanted:
            raise Failure(f"{r}\nexpected status {' or '.join(map(str, wanted))}")
    return r


# What changes files, or makes a change last.
CHANGES = "write,pwrite64,pwritev,fallocate,ftruncate,copy_file_range,fsync,fdatasync,rename,renameat2,unlink"


def kill_at_each_step(args, prepare, judge, most=400):
    """After prepare(), run platter and kill it before its n-th change of a file; then judge(), for n = 1, 2, ... until
    it comes to its end."""
    need_tool("strace")
    for n in range(1, most + 1):
        prepare()
        r = run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=" + CHANGES + f":signal=KILL:when={n}", PLATTER, *args],
                status=(0, -signal.SIGKILL))
        judge()
        if r.status == 0:
            expect(n > 3, f"{args} was done before it could be killed")
            return n - 1
    raise Failure(f"{args} was not done after {most} changes of files")


def platter(*args, **how):
    """Run the command of the ordinary build."""
    return run([PLATTER, *args], **how)


def asan_platter(*args, **how):
    """Run the command of the build with sanitizers."""
    exe = os.path.join(ASAN_BUILD, "platter")
    if not os.path.exists(exe):
        skip("no build with sanitizers")
    return run([exe, *args], **how)


def helper(name):
    """A program of tests/helpers."""
    exe = os.path.join(BUILD, "tests", name)
    expect(os.path.exists(exe), f"{exe} was not built")
    return exe


def need_root():
    if os.geteuid() != 0:
        skip("needs root")


def need_tool(*names):
    for name in names:
        if not shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            skip(f"{name} is not installed")


os.environ["PATH"] = ENV["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


# ---- bytes ----

def noise(n, seed=1):
    """n bytes that do not compress, the same every time."""
    return hashlib.shake_128(f"platter {seed}".encode()).digest(n)


def prose(n, seed=1):
    """n bytes that compress about three to one, the same every time."""
    words = [w.hex().encode() for w in (noise(4, (seed, i)) for i in range(200))]
    pick = noise(n // 8 + 64, (seed, "order"))
    return b" ".join(words[b % 200] for b in pick)[:n].ljust(n, b".")


def make_raw(name, size, runs, on_disk=False):
    """A sparse raw image with (offset, bytes) runs; its path."""
    p = path(name, on_disk)
    with open(p, "wb") as f:
        f.truncate(size)
        for offset, data in runs:
            f.seek(offset)
            f.write(data)
    return p


def mixed_raw(name, size=24 * MIB, seed=1, on_disk=False):
    """A raw image of everything that copying treats differently: text, noise, stored zeros, holes,
    runs that begin and end at odd offsets, data in its first and last bytes."""
    p = make_raw(name, size, [
        (0, prose(70000, seed)), (MIB, noise(MIB, seed)), (2 * MIB + 123, prose(3 * MIB, seed + 1)),
        (6 * MIB, bytes(MIB)), (8 * MIB - 1, b"x"), (8 * MIB + 65536, noise(4097, seed + 2)),
        (size // 2 + 512, prose(100, seed)), (size - 5000, noise(5000, seed + 3))], on_disk)
    os.truncate(p, size)    # a small one has not room for all of it
    return p


def sha256(file):
    h = hashlib.sha256()
    with open(file, "rb") as f:
        while block := f.read(MIB):
            h.update(block)
    return h.hexdigest()


def same_bytes(a, b):
    """cmp(1) says where."""
    r = run(["cmp", a, b], status=None, timeout=300)
    expect(r.status == 0, f"{a} and {b}: {r.text}{r.errors}")


def qemu_equal(a, b, format_a=None, format_b=None):
    """qemu-img compare says that content is the same, qemu-img info that the size is."""
    how = (["-f", format_a] if format_a else []) + (["-F", format_b] if format_b else [])
    run(["qemu-img", "compare", *how, a, b], timeout=300)
    sizes = [run(["qemu-img", "info", "--output=json", i]).json()["virtual-size"] for i in (a, b)]
    expect_equal(sizes[0], sizes[1], f"size of {a} and of {b}")


def qemu_check(image):
    """qemu-img check finds nothing, not even leaks."""
    r = run(["qemu-img", "check", "--output=json", image], timeout=120)
    report = r.json()
    for key in ("corruptions", "leaks", "check-errors"):
        expect(not report.get(key), f"qemu-img check: {r.text}")


# ---- loop devices ----

@contextlib.contextmanager
def loop(file, *options):
    """A loop device on `file`; partitions made with partx are removed with it."""
    need_root()
    need_tool("losetup", "partx")
    r = run(["losetup", "-f", "--show", *options, file], status=None)
    if r.status != 0:
        skip(f"no loop devices here: {r.errors.strip()}")
    device = r.text.strip()
    try:
        yield device
    finally:
        # The nodes stay behind for ever if the device goes first.
        run(["partx", "-d", device], status=None)
        for _ in range(50):
            if run(["losetup", "-d", device], status=None).status == 0:
                break
            time.sleep(0.1)


@contextlib.contextmanager
def mounted(device, *options):
    where = tempfile.mkdtemp(prefix="mnt.", dir=folder())
    r = run(["mount", *options, device, where], status=None)
    if r.status != 0:
        raise Failure(f"cannot mount {device}: {r.errors}")
    try:
        yield where
    finally:
        run(["umount", where])


def kernel_knows(filesystem):
    with open("/proc/filesystems") as f:
        return filesystem in f.read().split()


def tree_of(top):
    """{path: sha256} of every regular file."""
    found = {}
    for base, _, names in os.walk(top):
        for name in names:
            p = os.path.join(base, name)
            if os.path.isfile(p) and not os.path.islink(p):
                found[os.path.relpath(p, top)] = sha256(p)
    return found


# ---- the corpus ----

def corpus():
    """The folder of the test corpus."""
    for p in (os.environ.get("PLATTER_CORPUS"), os.path.join(ROOT, "../shared/corpus"),
              os.path.join(ROOT, "../../shared/corpus")):
        if p and os.path.isfile(os.path.join(p, "MANIFEST.tsv")):
            return os.path.abspath(p)
    skip("the corpus is not here (set PLATTER_CORPUS)")


class Sample:
    def __init__(self, top, row):
        self.name, self.sha256, _, _, self.kind, expectation, _, self.notes = row[:8]
        self.stored = os.path.join(top, self.name)
        self.expect = {}
        for item in expectation.split(";"):
            key, _, value = item.partition("=")
            self.expect.setdefault(key, value)

    def member(self):
        return self.expect.get("member")


def manifest():
    top = corpus()
    with open(os.path.join(top, "MANIFEST.tsv"), encoding="utf-8") as f:
        next(f)
        return [Sample(top, line.rstrip("\n").split("\t")) for line in f if line.strip()]


CACHE_LIMIT = 2 * GIB
UNPACKERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def unpacked(stored, member=None, exact=True):
    """The sample without its one layer of compression, as a file under its own name: read only.
    Kept for the next test as long as there is room.  With exact=False whatever could be
    unpacked of a damaged archive will do."""
    base = os.path.basename(stored)
    stem, suffix = os.path.splitext(base)
    if member is None and suffix not in UNPACKERS and suffix != ".zst":
        return stored
    cache = os.environ.get("PLATTER_TEST_CACHE")
    key = hashlib.sha256(stored.encode()).hexdigest()[:24]
    if cache:
        kept = os.path.join(cache, key, member or stem)
        if os.path.exists(kept):
            return kept
    room = cache and allocated(cache) < CACHE_LIMIT
    where = tempfile.mkdtemp(prefix=key + ".", dir=cache if room else folder())
    p = os.path.join(where, os.path.basename(member or stem))
    with open_packed(stored, suffix, member) as source, open(p, "wb") as out:
        write_sparse(source, out, exact)
    if room:
        final = os.path.join(cache, key)
        try:
            os.rename(where, final)
        except OSError:         # another test was faster
            shutil.rmtree(where)
        return os.path.join(final, os.path.basename(p))
    return p


def open_packed(stored, suffix, member):
    if member is not None:
        return zipfile.ZipFile(stored).open(member)
    if suffix == ".zst":
        need_tool("zstd")
        return subprocess.Popen(["zstd", "-dcq", stored], stdout=subprocess.PIPE).stdout
    return UNPACKERS[suffix](stored)


def write_sparse(source, out, exact):
    zeros = bytes(MIB)
    while True:
        try:
            block = source.read(MIB)
        except (OSError, EOFError, lzma.LZMAError):
            if exact:
                raise
            break
        if not block:
            break
        if block == zeros:
            out.seek(len(block), io.SEEK_CUR)
        else:
            out.write(block)
    out.truncate(out.tell())


def allocated(top):
    total = 0
    for base, _, names in os.walk(top):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
    return total


# ---- platter's answers ----

def info(place, **how):
    """What `platter info --json` says of one place."""
    return platter("info", "--json", place, **how).json()["disks"][0]
