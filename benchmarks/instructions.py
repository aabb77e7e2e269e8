"""Instructions that a command executes in user space: by perf, or else by valgrind's callgrind.

Unlike time, the count hardly depends on what else the machine does. Many virtual machines give perf
no counters. callgrind runs everywhere but some fifty times slower, and its CPU has no AVX-512, so
that fastbp runs at level v3 in it.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

PERF = ("perf", "stat", "-x,", "-e", "instructions:u", "-o")
CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


class NotCountedError(Exception):
    """Says why there is no count."""


def parse_perf(text: str) -> int | None:
    """The count in perf's table, summed over kinds of cores; None where it has none."""
    fields = [line.split(",") for line in text.splitlines() if "instructions" in line]
    counts = [int(first) for first, *_ in fields if first.isdigit()]
    return sum(counts) if counts else None


def parse_callgrind(text: str) -> int | None:
    """The count at the end of what callgrind says."""
    found = re.search(r"Collected\s*:\s*(\d+)", text)
    return int(found[1]) if found else None


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"


def with_perf(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table"
        done = subprocess.run(
            [*PERF, str(table), *command], env=environment, capture_output=True, text=True
        )
        text = table.read_text(encoding="utf-8") if table.exists() else ""
    count = parse_perf(text)
    if done.returncode or count is None:
        raise NotCountedError(f"perf: {last_line(done.stderr or text)}")
    return count


def with_callgrind(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    done = subprocess.run(
        [*CALLGRIND, *command], env=environment, capture_output=True, text=True, errors="replace"
    )
    count = parse_callgrind(done.stderr)
    if done.returncode or count is None:
        raise NotCountedError(f"valgrind: {last_line(done.stderr)}")
    return count


COUNTERS = {"perf": with_perf, "callgrind": with_callgrind}


@cache
def counter() -> str:
    """The name of the way to count on this machine."""
    nothing = [sys.executable, "-S", "-c", ""]
    if shutil.which("perf"):
        try:
            with_perf(nothing)
            return "perf"
        except NotCountedError:
            pass  # no counters here, or not for this user
    if shutil.which("valgrind"):
        return "callgrind"
    raise NotCountedError("perf counts no instructions here, and there is no valgrind")


def count(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Instructions of a command and its threads."""
    return COUNTERS[counter()](command, environment)
