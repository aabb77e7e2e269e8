"""The suite on a core that the sanitizers of the compiler watch, and the number of their reports.

    make trust-sanitizers                           # all, stored, and into the guide
    make trust-sanitizers ARGS="--only kernels"     # the files whose path has this text, shown only

Each file of tests runs in a process of its own. A sanitizer reports and lets the process go on.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trust import table
from trust.stamp import facts, stamped

TESTS = Path(__file__).parents[1]
SECONDS = 3000  # of all files: none is begun after them
LIMIT = 1200  # seconds of one file
# These do not run the core, or limit memory and time, which a watched process needs more of.
LEFT_OUT = ("test_house", "test_docs", "test_examples", "test_gallery", "test_benchmarks")
LEFT_OUT += ("test_torch", "test_interrupt", "test_memory", "test_process_state", "test_trust")
REPORT = re.compile(r"ERROR: AddressSanitizer|runtime error:")


def environment(folder):
    """Variables with which an interpreter loads the sanitizers before everything else."""
    library = subprocess.check_output(["gcc", "-print-file-name=libasan.so"], text=True).strip()
    options = f"halt_on_error=0:log_path={folder}/report"
    return {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": f"{options}:detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # so that Python's own memory is watched, too
        "FASTBP_ISA": "baseline",
    }


def is_watched():
    """Whether the installed core was built with sanitizers. It cannot be imported without them."""
    folder = Path(importlib.util.find_spec("fastbp").origin).parent
    return any(b"__asan_init" in path.read_bytes() for path in folder.glob("_core.*.so"))


def files(text):
    """The files of tests that are run."""
    found = sorted(path for path in TESTS.rglob("test_*.py") if path.stem not in LEFT_OUT)
    return [path for path in found if text in str(path)]


def counted(output):
    """Numbers of tests that passed, failed and had errors, from the last line of pytest."""
    last = output.strip().splitlines()[-1] if output.strip() else ""
    found = [re.search(rf"(\d+) {word}", last) for word in ("passed", "failed", "error")]
    return [int(match[1]) if match else 0 for match in found]


def run_file(path, folder):
    """What came out of a file of tests: numbers by kind, and the text of failures."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=--import-mode=importlib", "--timeout=600", str(path)]
    try:
        done = subprocess.run(
            command, env=environment(folder), capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return {"hang": 1}, "no end"
    passed, failed, errors = counted(done.stdout)
    found = {"cases": passed + failed, "exception": failed + errors}
    if done.returncode not in (0, 1, 5):  # 5: no tests were collected
        found["crash"] = 1
    return found, done.stdout[-3000:] + done.stderr[-1000:]


def reports(folder):
    """The texts of all reports."""
    return [path.read_text(errors="replace") for path in sorted(Path(folder).glob("report*"))]


def watch(paths, seconds):
    """The row of the scorecard, after all files have been run."""
    row = {
        "subject": "sanitizers",
        "name": "address and undefined behaviour",
        "promise": "The suite, and the compiled core under it, give the sanitizers of the "
        "compiler nothing to report (broken promises are reports).",
        "unit": "tests",
        "tried": {"files": 0},
        "skipped": "",
        **dict.fromkeys(("cases", *table.FOUND), 0),
    }
    deadline = time.monotonic() + seconds
    for path in paths:
        if time.monotonic() > deadline:
            print(f"{path.relative_to(TESTS)}: left out, for lack of time")
            continue
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found, text = run_file(path, folder)
            texts = reports(folder)
        found["broken"] = sum(len(REPORT.findall(one)) for one in texts)
        for kind, count in found.items():
            row[kind] += count
        row["tried"]["files"] += 1
        print(f"{path.relative_to(TESTS)}: {found} in {time.monotonic() - began:.0f} s", flush=True)
        if any(found.get(kind) for kind in table.FOUND):
            print(text, *(one[:3000] for one in texts[:3]), sep="\n", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="files whose path has this text")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of all files")
    options = parser.parse_args()
    if not is_watched():
        parser.error("this fastbp was built without sanitizers: run make trust-sanitizers")
    paths = files(options.only)
    row = watch(paths, options.seconds)
    print(row)
    if not options.only:
        table.store(table.merged(table.read(), [stamped(row)], facts()))
    return int(any(row[kind] for kind in table.FOUND))


if __name__ == "__main__":
    sys.exit(main())
