"""The suite on a core that the sanitizers of the compiler watch, and the number of their reports.

    make trust-sanitizers                           # all, stored, and into the guide
    make trust-sanitizers ARGS="--only kernels"     # the files whose path has this text, shown only

Each file of tests runs in a process of its own. A sanitizer reports and lets the process go on.
Only the core is watched, not NumPy, SciPy and Python. The thread sanitizer sees their locks.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from trust import table
from trust.stamp import facts, stamped

TESTS = Path(__file__).parents[1]
FIRST = ("kernels", "threads", "training", "network")  # rooms whose tests are run first
REPORT = re.compile(r"ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer")


class Kind(NamedTuple):
    """Sanitizers that can watch one process together."""

    name: str
    mark: bytes  # in a core that they watch
    library: str  # loaded before everything else
    environment: dict[str, str]
    files: str  # a pattern of the paths of the tests that are run
    seconds: float  # of all files: what has not ended then is left out
    tests: str = ""  # as of pytest's option -k


# Files that do not run the core are left out, and those that limit memory and time, which a watched
# process needs more of.
NOT_WATCHED = (
    "test_house|test_docs|test_examples|test_gallery|test_benchmarks|test_torch|test_interrupt|"
    "test_memory|test_process_state|test_trust|test_sklearn_suite|inspection/"
)
KINDS = (
    Kind(
        "address and undefined behaviour",
        b"__asan_init",
        "libasan.so",
        {
            "ASAN_OPTIONS": "{options}:detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "{options}:print_stacktrace=1",
            "PYTHONMALLOC": "malloc",  # so that Python's own memory is watched, too
        },
        rf"^(?!.*({NOT_WATCHED}))",
        2100,
    ),
    Kind(
        "threads",
        b"__tsan_init",
        "libtsan.so",
        {"TSAN_OPTIONS": "{options}:history_size=4:die_after_fork=0"},
        r"threads/test_(team|blas)|test_predict_many|test_run|test_layouts|test_doors",
        1200,
        "not interrupt",  # thousands of traced fits, which take too long when watched
    ),
)


def watched_by():
    """The Kind that watches the installed core, or None. The core cannot be imported without it."""
    folder = Path(importlib.util.find_spec("fastbp").origin).parent
    core = b"".join(path.read_bytes() for path in folder.glob("_core.*.so"))
    return next((kind for kind in KINDS if kind.mark in core), None)


def chosen(kind, text):
    """The files of tests whose path has the text, those of the core first."""
    found = sorted(TESTS.rglob("test_*.py"), key=lambda path: (path.parent.name not in FIRST, path))
    return [path for path in found if re.search(kind.files, str(path)) and text in str(path)]


def environment(kind, folder):
    """Variables with which an interpreter loads the sanitizers, which report into a folder."""
    command = ["gcc", f"-print-file-name={kind.library}"]
    library = subprocess.check_output(command, text=True).strip()
    options = f"halt_on_error=0:log_path={folder}/report"
    more = {name: text.format(options=options) for name, text in kind.environment.items()}
    return {**os.environ, "LD_PRELOAD": library, "FASTBP_ISA": "baseline", **more}


def counted(output):
    """Numbers of tests that passed, failed and had errors, from the last line of pytest."""
    last = output.strip().splitlines()[-1] if output.strip() else ""
    found = [re.search(rf"(\d+) {word}", last) for word in ("passed", "failed", "error")]
    return [int(match[1]) if match else 0 for match in found]


def run_file(kind, path, folder, seconds):
    """Numbers by kind of what came out of a file of tests, and the text; None: no time."""
    # Addresses that are not random: the thread sanitizer has fixed places for its own memory.
    command = ["setarch", "-R"] if shutil.which("setarch") else []
    command += [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["--timeout=400", "-k", kind.tests, str(path)]
    try:
        done = subprocess.run(
            command, env=environment(kind, folder), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return None, ""
    passed, failed, errors = counted(done.stdout)
    found = {"cases": passed + failed, "exception": failed + errors}
    if "+ Timeout +" in done.stderr + done.stdout:  # of pytest-timeout, which ends the process
        found["hang"] = 1
    elif done.returncode not in (0, 1, 5):  # 5: no tests were collected
        found["crash"] = 1
    return found, done.stdout[-3000:] + done.stderr[-1000:]


def reports(folder):
    """The texts of all reports."""
    return [path.read_text(errors="replace") for path in sorted(Path(folder).glob("report*"))]


def watch(kind, paths, seconds):
    """The row of the scorecard, after all files have been run."""
    row = {
        "subject": "sanitizers",
        "name": kind.name,
        "promise": "The compiler's sanitizer has nothing to report while the tests run. (A report "
        "is a broken promise, a test that fails an unexpected exception.)",
        "unit": "tests",
        "tried": {"files": 0, "files left out for lack of time": 0},
        "skipped": "",
        **dict.fromkeys(("cases", *table.FOUND), 0),
    }
    deadline = time.monotonic() + seconds
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            found, text = run_file(kind, path, folder, max(deadline - began, 1))
            texts = reports(folder)
        if found is None:
            print(f"{path.relative_to(TESTS)}: no time", flush=True)
            row["tried"]["files left out for lack of time"] += 1
            continue
        found["broken"] = sum(len(REPORT.findall(one)) for one in texts)
        for what, count in found.items():
            row[what] += count
        row["tried"]["files"] += 1
        print(f"{path.relative_to(TESTS)}: {found} in {time.monotonic() - began:.0f} s", flush=True)
        if any(found.get(what) for what in table.FOUND):
            print(text, *(one[:3000] for one in texts[:3]), sep="\n", flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="files whose path has this text")
    parser.add_argument("--seconds", type=float, help="of all files")
    options = parser.parse_args()
    kind = watched_by()
    if kind is None:
        parser.error("this fastbp was built without sanitizers: run make trust-sanitizers")
    paths = chosen(kind, options.only)
    row = watch(kind, paths, options.seconds or kind.seconds)
    print(row)
    if not options.only:
        table.store(table.merged(table.read(), [stamped(row)], facts()))
    return int(any(row[what] for what in table.FOUND))


if __name__ == "__main__":
    sys.exit(main())
