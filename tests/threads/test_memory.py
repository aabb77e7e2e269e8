"""Too little memory, and threads that end or never begin: no call hangs, and nothing remains."""

import _thread
import collections
import gc
import sys
import types

import numpy as np
import pytest

from fastbp import MLPClassifier
from fastbp.kernels import core
from fastbp.threads import blas, cores, rank_thread, team
from fits import bits, data, fitted
from interrupts import THREADS, InterruptAt, ranks_alive, wait_for_ranks

pytestmark = [
    pytest.mark.usefixtures("nothing_remains"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    # Python tells of a thread that it could not run.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KINDS = ("adam", "stopping", "lbfgs")


def never(start, calls, *arguments):
    """The thread is dropped."""


def refused(start, calls, *arguments):
    raise RuntimeError("can't start new thread")


def no_memory(start, calls, *arguments):
    raise MemoryError


def only_the_first(start, calls, *arguments):
    return start(*arguments) if len(calls) == 1 else None


def all_but_the_first(start, calls, *arguments):
    return start(*arguments) if len(calls) > 1 else None


def kept(start, calls, *arguments):
    """The thread is dropped, but its arguments are not."""
    calls.append(arguments)


def late(start, calls, *arguments):
    """The thread begins after it was given up."""

    def begin():
        rank_thread.time.sleep(4 * rank_thread.START_SECONDS)
        arguments[0](*arguments[1])

    return start(begin, ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "how", [never, refused, no_memory, only_the_first, all_but_the_first, kept, late]
)
def test_ranks_that_never_begin_are_done_without(kind, how, monkeypatch):
    expected = bits(fitted(kind, np.float64, False, False, 1))
    start, calls = _thread.start_new_thread, []

    def odd(*arguments):
        calls.append(None)
        return how(start, calls, *arguments)

    # The end of a thread is seen at once, unless somebody keeps its arguments.
    seconds = 0.05 if how in (kept, late) else 10**6
    monkeypatch.setattr(rank_thread, "START_SECONDS", seconds)
    monkeypatch.setattr(_thread, "start_new_thread", odd)
    assert bits(fitted(kind, np.float64, False, False, 3)) == expected
    assert calls


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("how", [never, refused, only_the_first, kept])
def test_parts_are_done_once_each_without_the_ranks_that_never_begin(n_threads, how, monkeypatch):
    start, calls, done = _thread.start_new_thread, [], []

    def odd(*arguments):
        calls.append(None)
        return how(start, calls, *arguments)

    monkeypatch.setattr(rank_thread, "START_SECONDS", 0.05)
    monkeypatch.setattr(_thread, "start_new_thread", odd)
    with team(n_threads, None, 1, 1e12) as ranks:
        for _ in range(2):
            done.clear()
            ranks.for_each(range(100), done.append)
            assert sorted(done) == list(range(100))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("lost", [{0}, {1}, {0, 1, 2}])
def test_a_rank_without_memory_before_its_work_is_done_without(lost, keep, monkeypatch):
    """Also if somebody keeps the arguments of its thread."""
    expected = bits(fitted("adam", np.float64, False, False, 1))
    numbers, start, calls = iter(range(10**6)), _thread.start_new_thread, []

    def starting(*arguments):
        if keep:
            calls.append(arguments)
        return start(*arguments)

    monkeypatch.setattr(_thread, "start_new_thread", starting)

    def limit():
        if next(numbers) in lost:
            raise MemoryError

    monkeypatch.setattr(rank_thread, "limit_own_thread", limit)
    assert bits(fitted("adam", np.float64, False, False, 3)) == expected


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rank_that_ends_within_its_work_is_a_memory_error(kind, lost, monkeypatch):
    """The others wait for it at a barrier of the core."""
    work = rank_thread._work

    def die(thread):
        if thread.work is not None and thread.work[1].rank == lost:
            thread._gate.acquire()
            raise MemoryError
        return work(thread)

    def take(thread):
        rank_thread.time.sleep(0.05)  # the work is given meanwhile
        return die(thread)

    monkeypatch.setattr(rank_thread, "_work", take)
    with pytest.raises(MemoryError, match="thread ended before its work was done"):
        fitted(kind, np.float64, False, False, 2)


def test_a_failed_rank_that_cannot_abort_the_team_is_heard(monkeypatch):
    def fail(words):
        raise MemoryError

    class Odd(RuntimeError):
        pass

    def door(rank):
        if rank.rank == 1:
            raise Odd
        words, begun = rank.words, 0
        while not begun:  # as a barrier: until the abort
            begun = words[aborted]

    words = np.zeros(core.TEAM_WORDS, np.int32)
    core.abort_team(words)
    aborted = int(np.flatnonzero(words)[0])
    monkeypatch.setattr(rank_thread, "core", types.SimpleNamespace(abort_team=fail))
    with pytest.raises(Odd), team(2, None, 1, 1e12) as ranks:
        ranks.run(door)


def test_a_team_that_cannot_be_stopped_for_lack_of_memory_is_stopped_later(monkeypatch):
    failures = [MemoryError] * 5

    def stop(words):
        if failures:
            raise failures.pop()
        core.stop_team(words)

    odd_core = types.SimpleNamespace(**{**vars(core), "stop_team": stop})
    with team(2, None, 1, 1e12) as ranks:
        ranks.run(lambda rank: None)
        assert ranks_alive() == 2
        monkeypatch.setattr(sys.modules["fastbp.threads.team"], "core", odd_core)
    assert not failures


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_memory_that_is_missing_at_any_line_of_the_launch(solver, n_threads):
    """The fit fails, or it goes on with the same bits."""
    X, y, _ = data(120)
    parameters = dict(solver=solver, max_iter=2, max_fun=3, random_state=0, n_threads=n_threads)
    expected = bits(MLPClassifier((8,), **parameters).fit(X, y))
    line, verdicts = 0, collections.Counter()
    while True:
        line += 2
        with InterruptAt(line, THREADS, MemoryError) as tracer:
            try:
                assert bits(MLPClassifier((8,), **parameters).fit(X, y)) == expected
                verdicts["right"] += 1
            except MemoryError:
                verdicts["error"] += 1
        if tracer.raised is None:
            break
        gc.collect()
        wait_for_ranks()
        assert not ranks_alive() and not cores._cores_taken and not blas._users, tracer.raised
    assert verdicts["error"] > 10 and verdicts["right"]
