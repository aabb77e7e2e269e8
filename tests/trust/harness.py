"""Cases in forks of one process, each with a time limit and a verdict.

A case that crashes, hangs or exits ends only its own process. It is reproducible: it depends on the
name of its row, its number and the seed, and on nothing else.
"""

import contextlib
import faulthandler
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

HELD, SKIPPED = "held", "skipped"
FAILURES = ("crash", "hang", "exception", "broken")
DETAIL = 2500  # characters of a failure that are kept
MISSING = "the process ended without a verdict"
# In the stack of a crash or hang: what called the harness.
STARTING = re.compile(r'(harness\.py", line \d+ in attempt\n)(?: *File .*\n?)*')


class Skipped(Exception):
    """What a case needs is not there."""


class Row(NamedTuple):
    """A promise, and the cases that try it.

    `case(number, rng)` raises AssertionError if the promise is broken. It returns what it has
    tried, a dict from a noun in the plural to a number, or None.
    """

    subject: str
    name: str
    promise: str
    case: Callable[[int, np.random.RandomState], dict[str, int] | None]
    full: int  # number of cases
    short: int  # number of cases in the suite
    limit: float = 60  # seconds of a case
    unit: str = "cases"

    @property
    def title(self) -> str:
        """The name by which rows are chosen."""
        return f"{self.subject}/{self.name}"

    def numbers(self, most: int) -> list[int]:
        """The numbers of at most so many cases, spread over all."""
        drawn = np.random.RandomState(0).permutation(self.full)[:most]
        return sorted(drawn.tolist())


class Verdict(NamedTuple):
    """What came out of a case."""

    kind: str  # HELD, SKIPPED or one of FAILURES
    detail: str = ""
    tried: dict[str, int] | None = None


def attempt(row: Row, number: int, seed: int) -> Verdict:
    """Run a case in this process."""
    rng = np.random.RandomState([seed, zlib.crc32(row.title.encode()), number])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Verdict(HELD, tried=row.case(number, rng) or {})
    except Skipped as reason:
        return Verdict(SKIPPED, str(reason))
    except BaseException as error:  # SystemExit and KeyboardInterrupt are unexpected, too
        kind = "broken" if isinstance(error, AssertionError) else "exception"
        return Verdict(kind, traceback.format_exc()[-DETAIL:])


class Fork:
    """A case that runs in a fork."""

    def __init__(self, row: Row, number: int, seed: int) -> None:
        self.number = number
        self._ends = time.monotonic() + row.limit
        self._verdict, self._output = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._child(row, seed)
        with contextlib.suppress(OSError):  # the child may be gone
            os.setpgid(self.pid, self.pid)

    def _child(self, row: Row, seed: int) -> None:
        """Run the case, write its verdict and exit."""
        try:
            os.setpgid(0, 0)  # a group: processes that the case starts end with it
            for descriptor in (1, 2):
                os.dup2(self._output.fileno(), descriptor)
            sys.stdout = sys.stderr = os.fdopen(2, "w", errors="replace", closefd=False)
            faulthandler.enable(file=2, all_threads=True)
            faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            verdict = attempt(row, self.number, seed)
            os.write(self._verdict.fileno(), json.dumps(verdict).encode())
        finally:
            os._exit(0)

    def poll(self) -> Verdict | None:
        """The verdict, or None while the case runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return self._close(self._ended(status))
        if time.monotonic() < self._ends:
            return None
        os.kill(self.pid, signal.SIGUSR1)  # the output gets the stacks of all threads
        time.sleep(0.3)
        self._kill()
        os.waitpid(self.pid, 0)
        return self._close(Verdict("hang", self._tail()))

    def _ended(self, status: int) -> Verdict:
        code = os.waitstatus_to_exitcode(status)
        self._verdict.seek(0)
        if code == 0 and (text := self._verdict.read()):
            return Verdict(*json.loads(text))
        if code == 0:
            return Verdict("exception", f"{MISSING}\n{self._tail()}")
        what = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Verdict("crash", f"{what}\n{self._tail()}")

    def _tail(self) -> str:
        """The end of the output, without the lines of its stacks that say nothing."""
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        text = text.partition("\nExtension modules:")[0]
        return STARTING.sub(r"\1", text)[-DETAIL:]

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _close(self, verdict: Verdict) -> Verdict:
        self._kill()  # what the case has started
        self._verdict.close()
        self._output.close()
        return verdict


def run(
    row: Row,
    numbers: Iterable[int],
    *,
    seed: int = 0,
    jobs: int = 1,
    deadline: float = float("inf"),
) -> Iterator[tuple[int, Verdict]]:
    """Number and verdict of each case, `jobs` at a time; none is begun after the deadline."""
    waiting, running = iter(numbers), []
    while True:
        while len(running) < jobs and time.monotonic() < deadline:
            number = next(waiting, None)
            if number is None:
                break
            running.append(Fork(row, number, seed))
        if not running:
            return
        for fork in running[:]:
            verdict = fork.poll()
            if verdict is not None:
                running.remove(fork)
                yield fork.number, verdict
        time.sleep(0.001)


class Result:
    """The verdicts of a row, counted."""

    def __init__(self, row: Row) -> None:
        self.row, self.kinds, self.tried = row, Counter(), Counter()
        self.failures: list[tuple[int, Verdict]] = []
        self.reason = ""  # why cases were skipped

    def add(self, number: int, verdict: Verdict) -> None:
        """Count the verdict of a case."""
        self.kinds[verdict.kind] += 1
        self.tried.update(verdict.tried or {})
        if verdict.kind in FAILURES:
            self.failures.append((number, verdict))
        elif verdict.kind == SKIPPED:
            self.reason = verdict.detail

    @property
    def cases(self) -> int:
        """The number of cases that were run."""
        return self.kinds.total() - self.kinds[SKIPPED]

    def to_plain(self) -> dict[str, Any]:
        """Plain data, as stored."""
        return {
            "subject": self.row.subject,
            "name": self.row.name,
            "promise": self.row.promise,
            "cases": self.cases,
            "unit": self.row.unit,
            "tried": dict(self.tried),
            **{kind: self.kinds[kind] for kind in FAILURES},
            "skipped": self.reason,
        }
