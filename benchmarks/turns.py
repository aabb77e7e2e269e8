"""Processes that take turns at the same work: a slow phase of the machine slows all of them."""

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

PATIENCE = 600  # seconds
SETTLE = 0.25  # seconds: threads of the last turn may spin for a while
TURN = 0.5  # seconds of work in a turn
LONG, FEW = 2.0, 3  # a turn of more seconds is made this often: its epoch has many steps,
BEHIND = 3  # where it takes this many times as long as the quickest one's
AMOUNTS = 1, 2  # of work whose instructions are counted
WALL, CPU = "wall", "CPU"  # the two clocks; that of the CPU counts all threads of a process
AGREE = 0.01  # largest relative difference of two final losses after the same work
WORKER = Path(__file__).with_name("worker.py")


def environment(path: Path | None, one_thread: bool) -> dict[str, str]:
    """Of a worker that imports the package installed in `path`, if any."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if path:
        variables["PYTHONPATH"] = str(path)
    if one_thread:
        variables.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    return variables


class Contestant:
    """A worker process, what it measured, and why it failed if it did."""

    def __init__(
        self,
        peer: str,
        workload: str,
        dtype: str,
        way: dict[str, Any],
        path: Path | None = None,
        one_thread: bool = False,
    ) -> None:
        self.peer, self.way = peer, way
        self.job = {"peer": peer, "workload": workload, "dtype": dtype, "way": way}
        # path: of another revision's package
        self.environment = environment(path, one_thread or way.get("cores") == 1)
        self.turns: list[list[float]] = []  # seconds
        self.cpu_turns: list[list[float]] = []
        self.last: dict[str, float] = {}
        self.took: list[float] = []  # seconds of each turn
        self.error: str | None = None

    def start(self) -> "Contestant":
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            self.command(self.job),
            env=self.environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=1,
        )
        self._read()
        return self

    @staticmethod
    def command(job: dict[str, Any]) -> list[str]:
        return [sys.executable, str(WORKER), json.dumps(job)]

    def fixed_work(self, more: bool) -> tuple[list[str], dict[str, str]]:
        """Command and environment of a process that does a fixed amount of the work and ends."""
        return self.command({**self.job, "amount": AMOUNTS[more]}), fixed(self.environment)

    def _read(self) -> dict[str, Any] | None:
        """The worker's next answer, or None, with the reason in `error`."""
        assert self.process.stdout
        if select.select([self.process.stdout], [], [], PATIENCE)[0]:
            if line := self.process.stdout.readline():
                return json.loads(line)
            self.process.wait()
            self.log.seek(0)
            said = self.log.read().strip().splitlines()
            self.error = said[-1] if said else f"exit code {self.process.returncode}"
        else:
            self.error = f"no answer in {PATIENCE} seconds"
            self.process.kill()
        return None

    def turn(self, count: bool = True) -> None:
        """A turn, measured or only to warm up. Nothing once the worker has failed."""
        if self.error:
            return
        assert self.process.stdin
        sleep(SETTLE)
        start = perf_counter()
        with suppress(BrokenPipeError):  # _read finds the reason
            self.process.stdin.write("\n")
        done = self._read()
        if done and count:
            self.took.append(perf_counter() - start)
            self.turns.append(done.pop("seconds"))
            self.cpu_turns.append(done.pop("cpu_seconds"))
            self.last = done

    def stop(self) -> None:
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def times(self, clock: str = WALL) -> list[list[float]]:
        """The measured times of each turn, by one of the two clocks."""
        return {WALL: self.turns, CPU: self.cpu_turns}[clock]

    def microseconds(self, clock: str = WALL) -> float:
        """The median of all measured times."""
        return median(s for seconds in self.times(clock) for s in seconds) * 1e6

    def least(self, clock: str = WALL) -> float:
        """The least of all measured times."""
        return min(s for seconds in self.times(clock) for s in seconds) * 1e6

    def result(self, clock: str = WALL) -> dict[str, Any]:
        """The figures to store."""
        if self.error:
            return {"error": self.error, "way": self.way}
        return {
            "us": round(self.microseconds(clock), 4),
            "least_us": round(self.least(clock), 4),
            "us_of_turns": [round(median(seconds) * 1e6, 4) for seconds in self.times(clock)],
            "way": self.way,
            **self.last,
        }


class Program(Contestant):
    """A whole Python program, run by new processes in each turn."""

    def __init__(self, code: str, path: Path | None = None, one_thread: bool = False) -> None:
        super().__init__("program", code, "", {}, path, one_thread)
        self.code = code

    def start(self) -> "Program":
        return self

    def stop(self) -> None:
        pass

    def turn(self, count: bool = True) -> None:
        seconds: list[float] = []
        cpu_seconds: list[float] = []
        start = perf_counter()
        while not self.error and (not seconds or perf_counter() - start < TURN):
            begin, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [sys.executable, "-P", "-c", self.code],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            seconds.append(perf_counter() - begin)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
            cpu_seconds.append(user + system)
            if done.returncode:
                said = done.stderr.strip().splitlines()
                self.error = said[-1] if said else f"exit code {done.returncode}"
        if count and not self.error:
            self.turns.append(seconds)
            self.cpu_turns.append(cpu_seconds)

    def fixed_work(self, more: bool) -> tuple[list[str], dict[str, str]]:
        """The program, or an empty one as the smaller amount."""
        code = self.code if more else ""
        return [sys.executable, "-P", "-c", code], fixed(self.environment)


def fixed(variables: dict[str, str]) -> dict[str, str]:
    """Without what makes two runs of a program differ."""
    return {**variables, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def agrees(result: float, expected: float) -> bool:
    """Whether two final losses show the same work; estimators add L2 to theirs."""
    return abs(result - expected) <= AGREE * abs(expected)


def best_way(
    peer: str,
    ways: Sequence[dict[str, Any]],
    workload: str,
    dtype: str,
    clock: str = WALL,
    expected: float | None = None,
) -> tuple[Contestant, dict[str, Any]]:
    """The contestant with the fastest of the ways in two trial turns, and what came of each way.

    A way that arrives at another loss than the expected one is taken only if all of them do.
    """
    tried = [Contestant(peer, workload, dtype, way).start() for way in ways]
    if len(tried) == 1:
        tried[0].turn(count=False)
        return tried[0], {}
    for _ in range(2):
        for contestant in tried:
            contestant.turn()

    def rank(contestant: Contestant) -> tuple[bool, float]:
        if contestant.error:
            return True, float("inf")
        stranger = expected is not None and not agrees(contestant.last["result"], expected)
        return stranger, contestant.microseconds(clock)

    best = min(tried, key=rank)
    for contestant in tried:
        if contestant is not best:
            contestant.stop()
    trial = {
        json.dumps(c.way): c.error
        or f"{c.microseconds(clock):.4f}, arrives elsewhere: {c.last['result']}"
        if rank(c)[0]
        else round(c.microseconds(clock), 4)
        for c in tried
    }
    best.turns, best.cpu_turns = [], []
    return best, trial


def race(contestants: Sequence[Contestant], rounds: int) -> None:
    """Let them take turns, `rounds` of them; every other round in the opposite direction.

    Who is slow and far behind has a turn in the first rounds alone.
    """
    for i in range(rounds):
        for contestant in contestants[:: -1 if i % 2 else 1]:
            if i < FEW or contestant not in _slow(contestants):
                contestant.turn()


def _slow(contestants: Sequence[Contestant]) -> list[Contestant]:
    middle = {c: median(c.took) for c in contestants if c.took}
    return [c for c, s in middle.items() if s > max(LONG, BEHIND * min(middle.values()))]
