"""The team of a fit: its ranks, and how they start, run and stop.

The ranks are Python threads that run a door of the core without the GIL. The thread that calls
`fit` only waits for them, so that Ctrl-C reaches it at once. Clean-up is in two nested `finally`
clauses: KeyboardInterrupt may be raised at any line, also in the first clause; then the second one
runs.
"""

import _thread
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

import numpy as np

from fastbp.kernels import Rank, backend, core
from fastbp.threads.blas import limit_own_thread, single_threaded_blas
from fastbp.threads.cores import Cost, reserved_cores

# A team of one rank runs a door in the calling thread while it takes less than this. Ctrl-C is
# delayed until the door returns.
INLINE_WORK = 2_000_000  # multiply-adds, before the first run
INLINE_SECONDS = 0.05  # of the last run

Door: TypeAlias = Callable[[Rank], object]  # what runs in every rank
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
    blas = single_threaded_blas() if backend == "blas" else nullcontext()
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

    Threads and their messages use `_thread` and SimpleQueue. Both are written in C, so an interrupt
    cannot stop them at a line of Python with a lock held.

    Parameters
    ----------
    size : int
        Number of ranks.
    inline : bool
        Whether `run` starts no threads as long as a door is fast. For teams of one rank.

    Attributes
    ----------
    words : ndarray of int32
        The words that the ranks share: barrier, stop and abort.
    """

    def __init__(self, size: int, inline: bool):
        self.size = size
        self.words = np.zeros(core.TEAM_WORDS, np.int32)
        self._alone = Rank(self.words, 0, 1)
        self._inline = inline
        self._inboxes: list[SimpleQueue[Any]] = []
        self._started = 0
        self._gone: list[None] = []  # one entry per rank that has ended
        self._bell: SimpleQueue[None] = SimpleQueue()  # one message per rank that has ended

    def start(self) -> None:
        """Start the ranks. The team becomes smaller if the system refuses a thread."""
        while self._started < self.size:
            inbox: SimpleQueue[Any] = SimpleQueue()
            self._inboxes.append(inbox)  # before the start: close() ends the ranks in the list
            try:
                _thread.start_new_thread(_serve, (inbox, self._gone, self._bell))
            except RuntimeError:  # can't start new thread
                del self._inboxes[-1]
                break
            self._started += 1
        self.size = max(self._started, 1)

    def run(self, door: Door) -> None:
        """Run door((words, rank, size)) in every rank, until it returns or all agree to stop.

        After KeyboardInterrupt or a failure the ranks stop at a batch boundary, the team closes,
        and the exception is raised. A launch that is interrupted changes nothing.
        """
        if not self._inline and not self._started:
            self.start()
        self.words[:] = 0
        if not self._started:
            began = time.perf_counter()
            door(self._alone)
            self._inline = time.perf_counter() - began < INLINE_SECONDS
            return
        reports: SimpleQueue[BaseException | None] = SimpleQueue()
        try:
            for number, inbox in enumerate(self._inboxes):
                inbox.put((door, Rank(self.words, number, self.size), reports))
            for _ in self._inboxes:
                failure = reports.get()
                if failure is not None:
                    raise failure
        except BaseException:
            self.close()
            raise

    def for_each(self, parts: Iterable[Part], function: Callable[[Part], object]) -> None:
        """Call function(part) once for each part. Each rank takes the next part when it is idle.

        The ranks check for a stop before each part.
        """
        left = deque(parts)

        def door(rank):
            while left and not rank.words[core.TEAM_STOP]:
                try:
                    part = left.popleft()
                except IndexError:  # another rank was faster
                    return
                function(part)

        self.run(door)

    def close(self) -> None:
        """Stop the ranks at a batch boundary and wait until their threads have ended.

        It can be called again after an interrupt at any of its lines.
        """
        core.stop_team(self.words)
        for inbox in self._inboxes:
            inbox.put(None)
        while len(self._gone) < self._started:
            try:  # an interrupted close() may have taken the message
                self._bell.get(timeout=0.01)
            except Empty:
                pass
        self._inboxes.clear()
        self._started = 0
        self._gone.clear()
        self._inline = True


def _serve(inbox, gone, bell):
    """Run the doors of the inbox until it gives None: the body of a rank's thread."""
    limit_own_thread()
    for door, rank, reports in iter(inbox.get, None):
        try:
            door(rank)
            reports.put(None)
        except BaseException as failure:
            core.abort_team(rank.words)  # or the other ranks would wait for this one
            reports.put(failure)
        del door, rank, reports  # so that an idle rank keeps no arrays alive
    gone.append(None)
    bell.put(None)
