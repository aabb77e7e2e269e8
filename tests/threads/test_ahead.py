"""Work ahead: one task beside one result, errors in their place, no thread left, no hang."""

import gc
import threading
import time

import pytest

from fastbp.threads import ahead
from fastbp.threads.rank_thread import RankThread
from interrupts import THREADS, InterruptAt, ranks_alive, wait_for_ranks


def test_the_next_task_runs_while_a_result_is_in_use():
    began = [threading.Event() for _ in range(3)]

    def task(k):
        began[k].set()
        return k

    with ahead((lambda k=k: task(k)) for k in range(3)) as results:
        assert next(results) == 0
        assert began[1].wait(10)
        time.sleep(0.05)
        assert not began[2].is_set()  # at most two results at a time
        assert list(results) == [1, 2]


def test_an_error_of_a_task_comes_in_its_place_and_no_thread_remains():
    def fails():
        raise ValueError("no such rows")

    with ahead([lambda: 1, fails, lambda: 3]) as results:
        assert next(results) == 1
        with pytest.raises(ValueError, match="no such rows"):
            next(results)
    with pytest.raises(KeyError), ahead([lambda: 1, lambda: time.sleep(0.05)]) as results:
        next(results)
        raise KeyError
    assert not ranks_alive()


def test_an_interrupt_at_any_line_leaves_no_thread():
    """Also within the locks of `threading`, which an interrupt can leave locked for ever."""
    files, line, raised = (*THREADS, threading.__file__), 0, 0
    while True:
        line += 1
        seen = []
        with InterruptAt(line, files) as tracer:
            try:
                with ahead((lambda k=k: k) for k in range(3)) as results:
                    seen.extend(results)
            except KeyboardInterrupt:
                raised += 1
        if tracer.raised is None:
            break
        gc.collect()  # this closes generators that were interrupted
        wait_for_ranks()
        assert not ranks_alive(), tracer.raised
        assert seen == [0, 1, 2][: len(seen)]
    assert raised == line - 1 > 50 and seen == [0, 1, 2]


def test_without_a_thread_the_tasks_are_done_in_turn(monkeypatch):
    monkeypatch.setattr(RankThread, "start", lambda _: False)
    done = []
    with ahead((lambda k=k: done.append(k) or k) for k in range(3)) as results:
        assert next(results) == 0 and done == [0]
        assert list(results) == [1, 2] and done == [0, 1, 2]
