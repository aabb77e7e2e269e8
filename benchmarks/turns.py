"""Contestants in processes of their own take turns at the same work, so that a machine which is
slow for a while is slow for all of them."""

import json
import os
import select
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import sleep

PATIENCE = 600  # seconds
SETTLE = 0.25  # seconds: threads of the last turn may spin for a while
WORKER = Path(__file__).with_name("worker.py")


class Contestant:
    """A worker process, what it measured, and why it failed if it did."""

    def __init__(self, peer, workload, dtype, way, path=None):
        self.peer, self.way = peer, way
        self.job = {"peer": peer, "workload": workload, "dtype": dtype, "way": way}
        self.path = path  # of another revision's package
        self.turns, self.last, self.error = [], {}, None

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        if self.path:
            environment["PYTHONPATH"] = str(self.path)
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(self.job)],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            bufsize=1,
        )
        self._read()
        return self

    def _read(self):
        """The worker's next answer, or None, with the reason in `error`."""
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

    def turn(self, count=True):
        """One turn; it counts, or it only warms up. Nothing once the worker has failed."""
        if self.error:
            return
        sleep(SETTLE)
        with suppress(BrokenPipeError):  # the reason is about to be read
            self.process.stdin.write("\n")
        done = self._read()
        if done and count:
            self.turns.append(done.pop("seconds"))
            self.last = done

    def stop(self):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def microseconds(self):
        """The median of all that was timed."""
        return median(s for seconds in self.turns for s in seconds) * 1e6

    def least(self):
        """The least that was timed."""
        return min(s for seconds in self.turns for s in seconds) * 1e6

    def result(self):
        """What is stored of it."""
        if self.error:
            return {"error": self.error, "way": self.way}
        return {
            "us": round(self.microseconds(), 4),
            "least_us": round(self.least(), 4),
            "us_of_turns": [round(median(seconds) * 1e6, 4) for seconds in self.turns],
            "way": self.way,
            **self.last,
        }


def best_way(peer, ways, workload, dtype):
    """A contestant going the way that was best in a first turn or two, and what each way took."""
    tried = [Contestant(peer, workload, dtype, way).start() for way in ways]
    if len(tried) == 1:
        tried[0].turn(count=False)
        return tried[0], {}
    for _ in range(2):
        for contestant in tried:
            contestant.turn()
    times = [c.microseconds() if not c.error else float("inf") for c in tried]
    best = tried[times.index(min(times))]
    for contestant in tried:
        if contestant is not best:
            contestant.stop()
    trial = {json.dumps(c.way): c.error or round(c.microseconds(), 4) for c in tried}
    best.turns = []
    return best, trial


def race(contestants, rounds):
    """Let them take turns, `rounds` of them; every other time in the other direction."""
    for i in range(rounds):
        for contestant in contestants[:: -1 if i % 2 else 1]:
            contestant.turn()
