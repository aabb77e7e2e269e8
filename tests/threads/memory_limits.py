"""Fits and predictions with too little memory, each in a fork of its own.

`sweep(n_cases)` runs that many cases and returns their outcomes:

- half of them limit the address space of the process to what it has and some pages;
- in the other half one single allocation of Python fails, if this Python has `_testcapi`.

A case may succeed, with the right bits, or raise an error, with the estimator as it was. Nothing
may remain of it: no thread, no reserved core, no limit of BLAS; and the fit must work afterwards.
"""

import _thread
import ctypes
import faulthandler
import itertools
import json
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastbp import MLPClassifier
from fastbp.threads import blas, cores
from interrupts import blas_threads

try:
    import _testcapi
except ImportError:
    _testcapi = None
try:
    import resource
except ImportError:  # Windows
    resource = None

CAN_LIMIT = resource is not None and sys.platform == "linux" and hasattr(os, "fork")
CAN_FAIL = _testcapi is not None and hasattr(_testcapi, "set_nomemory") and hasattr(os, "fork")
PAGE = 4096
RIGHT, ERROR, CHANGED, CRASH, HANG = "right", "error", "changed", "crash", "hang"
BAD = (CHANGED, CRASH, HANG)

_random = np.random.RandomState(0)
X, Y = _random.randn(400, 20), np.arange(400) % 3
MANY = np.tile(X, (100, 1))
NETS = dict(max_iter=2, random_state=0, hidden_layer_sizes=(200, 100))
KINDS = {  # what is done, parameters of the estimator, and about how often it allocates
    "fit adam": ("fit", NETS, 5_000),
    "fit lbfgs": ("fit", dict(NETS, solver="lbfgs", max_fun=4), 30_000),
    "fit early stopping": ("fit", dict(NETS, early_stopping=True), 10_000),
    "refit": ("refit", dict(NETS, solver="sgd"), 5_500),
    "predict": ("predict", NETS, 1_500),
}
MOST_PAGES = 40_000  # enough for the stacks and heaps of some threads


class Case(NamedTuple):
    """What is done with how many threads, and where memory ends."""

    kind: str  # one of KINDS
    n_threads: int
    limit: str  # "pages": that many more than now; "allocation": the one with this number fails
    amount: int


class Outcome(NamedTuple):
    """What came out of a case."""

    case: Case
    verdict: str  # "right" or "error", which are good, or "changed", "crash", "hang"
    detail: str  # the error, or where it was


class _Work:
    """One kind of work, ready to be done under a limit."""

    def __init__(self, kind: str, n_threads: int) -> None:
        self.what, parameters, _ = KINDS[kind]
        self.model = MLPClassifier(**parameters, n_threads=n_threads)
        if self.what != "fit":
            _quietly(lambda: self.model.fit(X, Y))

    def do(self) -> bytes:
        """Do it. The result, as bytes."""
        if self.what == "predict":
            return self.model.predict_proba(MANY).tobytes()
        # Other data than before, so that nothing of a new fit looks like the old one.
        self.model.fit(X[::-1] if self.what == "refit" else X, Y)
        return self.weights()

    def weights(self) -> bytes:
        """The weights of the model; none before the first fit."""
        arrays = [*getattr(self.model, "coefs_", ()), *getattr(self.model, "intercepts_", ())]
        return b"".join(array.tobytes() for array in arrays)

    def state(self) -> dict[str, bytes]:
        """Everything that is to stay as it was."""
        return {name: pickle.dumps(value) for name, value in self.model.__getstate__().items()}


def sweep(n_cases: int, seconds: float = 20.0) -> list[Outcome]:
    """Run this many cases, spread over all kinds, 1, 2 and 4 threads and both ways to fail.

    Parameters
    ----------
    n_cases : int
        600 take some two minutes.
    seconds : float
        After this time a case hangs.

    Returns
    -------
    outcomes : list of Outcome
        In the order of the cases. Those with a verdict in BAD are faults.
    """
    outcomes = []
    ways = [way for way, can in (("pages", CAN_LIMIT), ("allocation", CAN_FAIL)) if can]
    groups = list(itertools.product(KINDS, (1, 2, 4), ways))
    for number, (kind, n_threads, way) in enumerate(groups):
        work = _Work(kind, n_threads)
        before = pickle.dumps(work.model)
        expected = _quietly(work.do)
        work.model = pickle.loads(before)
        share = len(range(number, n_cases, len(groups)))
        for k in range(share):
            place = (k + 0.618 * number % 1) / share  # each group tries other places
            amount = int(MOST_PAGES**place) - 1
            if way == "allocation":
                amount = int(place * KINDS[kind][2])
            case = Case(kind, n_threads, way, amount)
            outcomes.append(Outcome(case, *run_case(work, expected, case, seconds)))
    return outcomes


def run_case(work: _Work, expected: bytes, case: Case, seconds: float) -> tuple[str, str]:
    """Verdict and detail of one case, in a fork."""
    with tempfile.TemporaryFile() as log:
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            _in_child(work, expected, case, seconds, send, log.fileno())
        os.close(send)
        status = _wait(child, seconds)
        with os.fdopen(receive) as pipe:
            told = pipe.read()
        log.seek(0)
        last = log.read().decode(errors="replace")
    if status is None:
        return HANG, last
    if told and status == 0:
        verdict, detail = json.loads(told)
        return verdict, detail
    return CRASH, f"status {status}: {last}"


def _wait(child, seconds):
    """The exit status of a child; None if it had to be killed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _in_child(work, expected, case, seconds, send, log):
    """Do the work under the limit, tell the verdict, and never return."""
    status = 1
    try:
        os.dup2(log, 2)  # also what Python says of threads that it could not run
        faulthandler.enable(log)
        faulthandler.dump_traceback_later(0.9 * seconds, file=log)
        verdict = _quietly(lambda: _verdict(work, expected, case))
        with os.fdopen(send, "w") as pipe:
            json.dump(verdict, pipe)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _verdict(work, expected, case):
    before, limits, threads = work.state(), blas_threads(), _thread._count()
    end, failure, result = _begin_limit(case), "", None
    try:
        result = work.do()
    except Exception as raised:
        end()
        failure = f"{type(raised).__name__}: {raised}"[:200]
    finally:
        end()
    deadline = time.monotonic() + 5
    while _thread._count() > threads and time.monotonic() < deadline:
        time.sleep(0.001)
    # A fit that is done may still fail to give its warning.
    changed = failure and work.state() != before and work.weights() != expected
    faults = {
        "threads are left": _thread._count() > threads,
        "cores are reserved": bool(cores._cores_taken),
        "BLAS is limited": bool(blas._users) or blas_threads() != limits,
        "the result is wrong": not failure and result != expected,
        "the estimator has changed": changed,
    }
    found = [fault for fault in faults if faults[fault]]
    if not found and work.do() != expected:
        found = ["the next result is wrong"]
    if found:
        return CHANGED, "; ".join([*found, failure])
    return (ERROR if failure else RIGHT), failure


def _begin_limit(case: Case) -> Callable[[], None]:
    """Begin the limit of a case; the function that ends it."""
    if case.limit == "allocation":
        _testcapi.set_nomemory(case.amount, case.amount + 1)
        return _testcapi.remove_mem_hooks
    ctypes.CDLL(None).malloc_trim(0)  # or there is room in what was freed
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    size = (pages + case.amount) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (size, before[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_AS, before)


def _quietly(action):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return action()
