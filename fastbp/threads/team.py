"""The team of a fit: its ranks, and how they start, run and stop.

The ranks are Python threads that run a door of the core without the GIL. The thread that calls
`fit` only waits for them, so that Ctrl-C reaches it at once, and an exception that another thread
sets in it reaches it soon. Clean-up is in two nested `finally` clauses: an interrupt may be raised
at any line, also in the first clause; then the second one runs.
"""

import _thread
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

import numpy as np

from fastbp.kernels import Rank, backend, core
from fastbp.threads.blas import single_threaded_blas
from fastbp.threads.cores import Cost, reserved_cores
from fastbp.threads.rank_thread import Door, RankThread

# A team of one rank runs a door in the calling thread while it takes less than this. Interrupts are
# delayed until the door returns.
INLINE_WORK = 2_000_000  # multiply-adds, before the first run; 10 ns each where they are slowest
INLINE_SECONDS = 0.02  # of the last run

# While ranks work, the calling thread looks this often for ranks that have ended without a report,
# and for exceptions that other threads have set in it (PyThreadState_SetAsyncExc).
LISTEN_SECONDS = 0.02
END_SECONDS = 0.002  # the same, while it waits for ranks to end

INTERRUPT_SECONDS = 0.5  # an interrupt may be lost, in a finalizer, and is then repeated

LOST_RANK = "A thread ended before its work was done, probably because there is too little memory."

Part = TypeVar("Part")


@contextmanager
def team(
    n_threads: int | None, cost: Cost, rows: int, epoch_work: float, *, interrupts: bool = False
) -> Iterator["Team"]:
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
    interrupts : bool, default=False
        Whether `Stopped` is raised in ranks that work when the team closes. For doors that run long
        in Python, where they cannot see the stop word.

    Yields
    ------
    Team
    """
    blas = single_threaded_blas() if backend == "blas" else nullcontext()
    with reserved_cores(n_threads, cost, rows) as size, blas:
        ranks = Team(size, inline=size == 1 and epoch_work < INLINE_WORK)
        ranks.interrupts = interrupts
        try:
            try:
                yield ranks
            finally:
                ranks.close()
        finally:
            ranks.close()


class Team:
    """Ranks that run a door together. `run` starts the threads when it first needs them.

    The threads use `_thread`, which is written in C, so an interrupt cannot stop them at a line of
    Python with a lock held.

    Parameters
    ----------
    size : int
        Number of ranks.
    inline : bool
        Whether `run` starts no threads as long as a door is fast. For teams of one rank.

    Attributes
    ----------
    interrupts : bool
        Whether closing raises `Stopped` in ranks that work, see `team`.
    words : ndarray of int32
        The words that the ranks share: barrier, stop and abort.
    """

    def __init__(self, size: int, inline: bool):
        self.size = size
        self.interrupts = False
        self.words = np.zeros(core.TEAM_WORDS, np.int32)
        self._alone = Rank(self.words, 0, 1)
        self._inline = inline
        self._threads: list[RankThread] = []
        self._bell = _thread.allocate_lock()

    def start(self) -> None:
        """Start the ranks. The team becomes smaller if the system refuses threads or memory."""
        try:
            while len(self._threads) < self.size:
                # In the list before the start: close() ends the threads in the list.
                self._threads.append(RankThread(self._bell))
                if not self._threads[-1].start():
                    del self._threads[-1]
                    break
        except MemoryError:
            pass
        self.size = max(len(self._threads), 1)

    def run(self, door: Door) -> None:
        """Run door((words, rank, size)) in every rank, until it returns or all agree to stop.

        After an interrupt or a failure the ranks stop at a batch boundary, the team closes, and the
        exception is raised. A launch that is interrupted changes nothing.

        If a thread ends before it begins, the others end too and a smaller team runs the door; the
        calling thread if none is left. So a door must do nothing before all its ranks have begun,
        or share its parts among those that have.
        """
        try:
            self.begin(door)
            self.end(door)
        except BaseException:
            self.close()
            raise

    def begin(self, door: Door) -> None:
        """Let the ranks begin to run a door, as `run` does. `end` waits for them."""
        if not self._inline and not self._threads:
            self.start()
        self.words[:] = 0
        if self._threads:
            self._bell.acquire(False)  # it may have rung late in the last run
        for number, thread in enumerate(self._threads):
            thread.give(door, Rank(self.words, number, self.size))

    def end(self, door: Door) -> None:
        """Wait until the ranks have run the door. Without threads the calling one runs it now."""
        if not self._threads:
            began = time.perf_counter()
            door(self._alone)
            self._inline = time.perf_counter() - began < INLINE_SECONDS
            return
        missing = self._wait()
        if missing:
            self.close()
            left = self.size - missing
            self.size, self._inline = max(left, 1), left == 0
            self.run(door)

    def _wait(self) -> int:
        """Wait until all ranks have done their work. Returns how many did not begin it.

        Raises what a door has raised, or MemoryError if a rank has ended within its work.
        """
        busy = True
        while busy:
            self._bell.acquire(True, LISTEN_SECONDS)
            busy, missing = False, 0
            for thread in self._threads:
                works = thread.busy  # read first: a failure is set before `busy` ends
                if thread.failure is not None:
                    thread.raise_failure()
                if works and thread.is_lost():
                    if thread.take_back():
                        missing += 1
                    elif thread.is_lost():  # still: it has not begun in this moment
                        raise MemoryError(LOST_RANK)
                busy |= works
            if missing:
                return missing
        return 0

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
        again = -math.inf
        while self._threads:
            try:
                if time.monotonic() > again:
                    self._ask_to_end()
                    again = time.monotonic() + INTERRUPT_SECONDS if self.interrupts else math.inf
                elif self._have_ended():
                    self._threads.clear()
                    break
            except MemoryError:  # it is tried again
                pass
            self._bell.acquire(True, END_SECONDS)
        self._inline = True

    def _ask_to_end(self) -> None:
        core.stop_team(self.words)
        for thread in self._threads:
            if self.interrupts:
                thread.interrupt()
            thread.dismiss()

    def _have_ended(self) -> bool:
        ended = [thread for thread in self._threads if thread.has_ended()]
        if len(ended) == len(self._threads):
            return True
        if any(thread.busy for thread in ended):
            core.abort_team(self.words)  # or the other ranks would wait for a lost one
        return False
