"""The team of a fit: its ranks, and how they start, run and stop.

The ranks of a team are Python threads in one door of the core, without the GIL; the thread that
fits only waits for them, so that Ctrl-C reaches it at once. Clean-up stands in two nested `finally`
clauses: KeyboardInterrupt may come at any line, and one of them always runs.
"""

import _thread
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import core, matmul
from fastbp.threads.blas import limit_own_thread, single_threaded_blas
from fastbp.threads.cores import Cost, reserved_cores

INLINE_WORK = 2_000_000  # an epoch that is over before a signal could matter
INLINE_SECONDS = 0.05

# What runs in every rank: a function of (words of the team, rank, number of ranks).
Door: TypeAlias = Callable[[tuple[NDArray[np.int32], int, int]], object]
Part = TypeVar("Part")


@contextmanager
def team(n_threads: int | None, cost: Cost, rows: int, epoch_work: float) -> Iterator["Team"]:
    """The team of one fit or prediction, as a context manager that ends its ranks.

    Parameters
    ----------
    n_threads : int or None
        Number of ranks, MOST_RANKS at most. None: the number with the least cost, among those that
        the idle cores and the rows allow.
    cost : callable
        Cost of a step or call in multiply-adds, as a function of the number of ranks: `step_cost`
        or `call_cost`. Not called where n_threads is a number.
    rows : int
        Rows that the ranks share in one step or call.
    epoch_work : float
        Multiply-adds of one `Team.run`. Where they are few, a team of one rank needs no thread of
        its own.

    Yields
    ------
    Team
    """
    blas = single_threaded_blas() if matmul == "blas" else nullcontext()
    with reserved_cores(n_threads, cost, rows) as size, blas:
        ranks = Team(size, inline=size == 1 and epoch_work < INLINE_WORK)
        try:
            try:
                yield ranks
            finally:
                ranks.close()
        finally:
            ranks.close()


class Team:
    """Ranks that run a door together. `run` starts the threads when it first needs them.

    The threads are bare ones of `_thread` and all words between them pass through SimpleQueue:
    both are C, so that there is no line of Python inside them at which an interrupt could leave
    a lock held.
    """

    def __init__(self, size: int, inline: bool):
        self.size = size
        self.words = np.zeros(core.TEAM_WORDS, np.int32)
        self._inline = inline
        self._inboxes: list[SimpleQueue[Any]] = []
        self._started = 0
        self._gone: list[None] = []  # one entry per rank that has ended
        self._bell: SimpleQueue[None] = SimpleQueue()  # rings at each

    def start(self) -> None:
        """Start the ranks; where the system refuses a thread, the team is smaller."""
        while self._started < self.size:
            inbox: SimpleQueue[Any] = SimpleQueue()
            self._inboxes.append(inbox)  # listed first: what is listed is dismissed by close()
            try:
                _thread.start_new_thread(_serve, (inbox, self._gone, self._bell))
            except RuntimeError:  # can't start new thread
                del self._inboxes[-1]
                break
            self._started += 1
        self.size = max(self._started, 1)

    def run(self, door: Door) -> None:
        """Run door((words, rank, size)) in every rank, to the end or to an agreed stop.

        Raises KeyboardInterrupt after the ranks have stopped at a batch boundary; the team is
        closed then. A launch that was interrupted has changed nothing.
        """
        if not self._inline and not self._started:
            self.start()
        self.words[:] = 0
        if not self._started:
            began = time.perf_counter()
            door((self.words, 0, 1))
            self._inline = time.perf_counter() - began < INLINE_SECONDS
            return
        reports: SimpleQueue[BaseException | None] = SimpleQueue()
        try:
            for number, inbox in enumerate(self._inboxes):
                inbox.put((door, (self.words, number, self.size), reports))
            for _ in self._inboxes:
                failure = reports.get()
                if failure is not None:
                    raise failure
        except BaseException:
            self.close()
            raise

    def for_each(self, parts: Iterable[Part], function: Callable[[Part], object]) -> None:
        """Call function(part) once for every part; the ranks take turns.

        A stop is heard between two parts.
        """
        left = deque(parts)

        def door(rank):
            while left and not rank[0][core.TEAM_STOP]:
                try:
                    part = left.popleft()
                except IndexError:  # another rank was faster
                    return
                function(part)

        self.run(door)

    def close(self) -> None:
        """Stop what still runs at its batch boundary, dismiss the ranks, wait until they have gone.

        Can be repeated after an interrupt at any of its lines.
        """
        core.stop_team(self.words)
        for inbox in self._inboxes:
            inbox.put(None)
        while len(self._gone) < self._started:
            try:  # the bell may have rung for a close() that was interrupted
                self._bell.get(timeout=0.01)
            except Empty:
                pass
        self._inboxes.clear()
        self._started = 0
        self._gone.clear()
        self._inline = True


def _serve(inbox, gone, bell):
    """A rank's life: run what comes until None comes."""
    limit_own_thread()
    for door, rank, reports in iter(inbox.get, None):
        try:
            door(rank)
            reports.put(None)
        except BaseException as failure:
            core.abort_team(rank[0])  # its mates would wait for it
            reports.put(failure)
        del door, rank, reports  # an idle rank holds no arrays
    gone.append(None)
    bell.put(None)
