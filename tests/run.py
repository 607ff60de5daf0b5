#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tests: the unit test programs and the functions of tests/system.

usage: run.py [--build DIR] [--asan DIR] [--long] [--jobs N] [--logs DIR] [--list]
              [--only unit|system|asan] [WORD...]

WORDs select tests whose name contains one of them.  Every test, in C or Python, is a
process that prints a line "ok NAME", "not ok NAME" or "skip NAME: why" for each claim that
it tries, and "# ..." lines about a claim before its verdict.  This runner gathers these
lines.  The last line printed is "N passed, N failed, N skipped".
"""
import argparse
import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
SYSTEM = os.path.join(HERE, "system")


class Report:
    """Counts and prints results as they come, from any thread."""

    def __init__(self, logs=None):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.logs = logs
        self.lock = threading.Lock()
        if logs:
            os.makedirs(logs, exist_ok=True)

    def add(self, verdict, name, text="", details=(), seconds=None):
        """verdict is "ok", "not ok" or "skip"; text is the reason of a skip."""
        took = "" if seconds is None or seconds < 1 else f" ({seconds:.1f} s)"
        why = f": {text}" if text else ""
        with self.lock:
            if verdict == "ok":
                self.passed += 1
            elif verdict == "skip":
                self.skipped += 1
            else:
                self.failed += 1
                self.failures.append(name)
            print(f"{verdict} {name}{why}{took}")
            if verdict == "not ok":
                for line in list(details)[-60:]:
                    print(f"    {line}")
            sys.stdout.flush()

    def log(self, name, text):
        if self.logs:
            name = name.replace("/", "-").replace(" ", "-")
            with open(os.path.join(self.logs, name + ".log"), "w", errors="replace") as f:
                f.write(text)

    def time(self, name, seconds, processor):
        """What a job took, in a table for whoever wants the tests to be quicker."""
        if self.logs:
            with self.lock, open(os.path.join(self.logs, "times.tsv"), "a") as f:
                f.write(f"{seconds:.1f}\t{processor:.1f}\t{name}\n")

    def summary(self):
        """The last line, and the exit status."""
        if self.failures:
            print("failed:")
            for name in self.failures:
                print(f"    {name}")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed else 0


class Job:
    """One process to run.  `serial` ones run alone, after all others."""

    def __init__(self, name, args, *, prefix="", serial=False, limit=300, weight=1, env=None):
        self.name, self.args, self.prefix = name, args, prefix
        self.serial, self.limit, self.weight = serial, limit, weight
        self.env = env or {}

    def run(self, report):
        start = time.monotonic()
        with tempfile.TemporaryFile(mode="w+", errors="replace") as out:
            p = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, **self.env})
            late = threading.Timer(self.limit, kill_group, [p.pid])
            late.start()
            _, status, usage = os.wait4(p.pid, 0)
            status = p.returncode = os.waitstatus_to_exitcode(status)
            in_time = late.is_alive()
            late.cancel()
            kill_group(p.pid)       # what the test left behind
            out.seek(0)
            text = out.read()
        seconds = time.monotonic() - start
        report.log(self.name, text)
        report.time(self.name, seconds, usage.ru_utime + usage.ru_stime)
        self.judge(report, text, status, in_time, seconds)

    def judge(self, report, text, status, in_time, seconds):
        details, results = [], []
        for line in text.splitlines():
            for verdict in ("ok", "not ok", "skip"):
                if line.startswith(verdict + " "):
                    name, _, why = line[len(verdict) + 1:].partition(": ")
                    results.append((verdict, self.prefix + name, why, details))
                    details = []
                    break
            else:
                details.append(line)
        bad = any(r[0] == "not ok" for r in results)
        for verdict, name, why, lines in results:
            report.add(verdict, name, why, lines, seconds if len(results) == 1 else None)
        if not in_time:
            report.add("not ok", self.name, f"not done after {self.limit} s", details)
        elif status != 0 and not bad:
            report.add("not ok", self.name, f"ended with status {status}", details)
        elif not results:
            report.add("not ok", self.name, "ran no test", details)


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_jobs(jobs, report, workers):
    """Heavy ones first, so that none is left over at the end; serial ones last, alone."""
    queue = sorted((j for j in jobs if not j.serial), key=lambda j: -j.weight)
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not queue:
                    return
                job = queue.pop(0)
            job.run(report)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for job in jobs:
        if job.serial:
            job.run(report)


# ---- what there is to run ----

def unit_jobs(build, prefix="unit.", long=False):
    """Every test program of a build; fuzz seeds are replayed by programs of the same kind."""
    jobs = []
    limit = 900    # test-store goes through every format; sanitizers take their time
    for folder, start in (("tests", "test-"), ("fuzz", "replay-")):
        path = os.path.join(build, folder)
        if not os.path.isdir(path):
            continue
        for name in sorted(os.listdir(path)):
            exe = os.path.join(path, name)
            if name.startswith(start) and os.path.isfile(exe) and os.access(exe, os.X_OK):
                args = [exe]
                if start == "replay-":
                    args.append(os.path.join(ROOT, "fuzz/seeds", name[len(start):]))
                jobs.append(Job(prefix + name, args, prefix=f"{prefix}{name}.", limit=limit, weight=2,
                                env={"PLATTER_LONG": "1" if long else ""}))
    return jobs


def decorations(node):
    """@serial, @asan, @limit(N), @weight(N), @shards(N) of a test function, read without running it."""
    found = {}
    for d in node.decorator_list:
        if isinstance(d, ast.Name):
            found[d.id] = True
        elif isinstance(d, ast.Call) and isinstance(d.func, ast.Name):
            found[d.func.id] = d.args[0].value
    return found


def system_jobs(build, asan, long):
    jobs = []
    env = {"PLATTER_BUILD": build, "PLATTER_ASAN_BUILD": asan or "", "PLATTER_LONG": "1" if long else "",
           "PYTHONDONTWRITEBYTECODE": "1"}
    for name in sorted(os.listdir(SYSTEM)):
        if not (name.startswith("test_") and name.endswith(".py")):
            continue
        path = os.path.join(SYSTEM, name)
        with open(path) as f:
            tree = ast.parse(f.read(), path)
        for node in tree.body:
            if not (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
                continue
            if not ast.get_docstring(node):
                raise SystemExit(f"{path}: {node.name} has no docstring: a test says what it claims")
            d = decorations(node)
            shards = d.get("shards", 1)
            for i in range(shards):
                full = f"{name[5:-3]}.{node.name[5:]}"
                part = [f"{i}/{shards}"] if shards > 1 else []
                limit = d.get("limit", 300) * (10 if long else 1)
                jobs.append(Job(".".join([full] + part), [sys.executable, os.path.abspath(__file__), "--one", path,
                                                         node.name] + part,
                                serial=d.get("serial", False), limit=limit,
                                weight=d.get("weight", 1), env=env))
    return jobs


# ---- one system test, in a process of its own ----

def run_one(path, function, shard="0/1"):
    # A shell that runs the tests in the background has it ignored, and so would what is interrupted here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, SYSTEM)
    import lib
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    name = f"{os.path.basename(path)[5:-3]}.{function[5:]}"
    failed = False

    def attempt(name, call):
        nonlocal failed
        cases = None
        try:
            with lib.Scratch():
                cases = call()
                if not hasattr(cases, "__next__"):
                    print(f"ok {name}", flush=True)
                    return
                # A generator gives (case, call) pairs: each is a claim of its own.
                index, count = (int(n) for n in shard.split("/"))
                for i, (case, inner) in enumerate(cases):
                    if i % count == index:
                        attempt(f"{name}[{case}]", inner)
        except lib.Skip as e:
            print(f"skip {name}: {e}", flush=True)
        except lib.Failure as e:
            failed = True
            for line in str(e).splitlines():
                print(f"# {line}")
            frames = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == path]
            if frames:
                print(f"# at {os.path.relpath(frames[-1].filename, ROOT)}:{frames[-1].lineno}")
            print(f"not ok {name}", flush=True)
        except Exception:
            failed = True
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {name}", flush=True)

    try:
        spec.loader.exec_module(module)
    except lib.Skip as e:
        print(f"skip {name}: {e}")
        return 0
    attempt(name, getattr(module, function))
    return 1 if failed else 0


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--one":
        return run_one(*sys.argv[2:])
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--asan", default=os.path.join(ROOT, "build-asan"))
    p.add_argument("--long", action="store_true")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--logs", default=None)
    p.add_argument("--only", choices=["unit", "system", "asan"])
    p.add_argument("--list", action="store_true")
    p.add_argument("words", nargs="*")
    a = p.parse_args()
    asan = os.path.abspath(a.asan) if os.path.isdir(a.asan) else None
    build = os.path.abspath(a.build)
    jobs = []
    if a.only in (None, "unit"):
        jobs += unit_jobs(build, long=args.long)
    if asan and a.only in (None, "asan"):
        jobs += unit_jobs(asan, "unit-asan.", args.long)
    if a.only in (None, "system"):
        jobs += system_jobs(build, asan, a.long)
    if a.words:
        jobs = [j for j in jobs if any(w in j.name for w in a.words)]
    if a.list:
        print("\n".join(j.name for j in jobs))
        return 0
    report = Report(a.logs)
    with cache_folder():
        run_jobs(jobs, report, a.jobs)
    return report.summary()


class cache_folder:
    """Unpacked corpus samples, shared by the tests of one run."""

    def __enter__(self):
        # It is memory: leave none of it behind when the run is ended from outside.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.path = os.environ["PLATTER_TEST_CACHE"] = tempfile.mkdtemp(prefix="platter-cache.", dir=base)

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
