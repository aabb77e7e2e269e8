"""The team of a fit: its ranks, and how they start, run and stop.

The ranks of a team are Python threads in one door of the core, without the GIL; the thread that
fits only waits for them, so that Ctrl-C reaches it at once. Clean-up stands in two nested `finally`
clauses: KeyboardInterrupt may come at any line, and one of them always runs.
"""

import _thread
import time
from collections import deque
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue

import numpy as np

from fastbp.kernels import core, matmul
from fastbp.threads import blas
from fastbp.threads.cores import reserved_cores

INLINE_WORK = 2_000_000  # an epoch that is over before a signal could matter
INLINE_SECONDS = 0.05


@contextmanager
def team(n_threads, cost, rows, epoch_work):
    """The team of one fit, for steps of so many rows and this cost, and epochs of so much work.

    n_threads None means "decide".
    """
    limit = blas.single_threaded_blas() if matmul == "blas" else nullcontext()
    with reserved_cores(n_threads, cost, rows) as size, limit:
        members = Team(size, inline=size == 1 and epoch_work < INLINE_WORK)
        try:
            try:
                yield members
            finally:
                members.close()
        finally:
            members.close()


class Team:
    """Ranks that run a door together. `run` starts the threads when it first needs them.

    The threads are bare ones of `_thread` and all words between them pass through SimpleQueue:
    both are C, so that there is no line of Python inside them at which an interrupt could leave
    a lock held.
    """

    def __init__(self, size, inline):
        self.size = size
        self.words = np.zeros(core.TEAM_WORDS, np.int32)
        self._inline = inline
        self._inboxes = []
        self._started = 0
        self._gone = []  # one entry per rank that has ended
        self._bell = SimpleQueue()  # rings at each

    def start(self):
        """Start the ranks; where the system refuses a thread, the team is smaller."""
        while self._started < self.size:
            inbox = SimpleQueue()
            self._inboxes.append(inbox)  # listed first: what is listed is dismissed by close()
            try:
                _thread.start_new_thread(_serve, (inbox, self._gone, self._bell))
            except RuntimeError:  # can't start new thread
                del self._inboxes[-1]
                break
            self._started += 1
        self.size = max(self._started, 1)

    def run(self, door):
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
        reports = SimpleQueue()
        try:
            for rank, inbox in enumerate(self._inboxes):
                inbox.put((door, (self.words, rank, self.size), reports))
            for _ in self._inboxes:
                failure = reports.get()
                if failure is not None:
                    raise failure
        except BaseException:
            self.close()
            raise

    def for_each(self, parts, function):
        """Call function(part) once for every part; the ranks take turns.

        A stop is heard between two parts.
        """
        left = deque(parts)

        def door(member):
            while left and not member[0][core.TEAM_STOP]:
                try:
                    part = left.popleft()
                except IndexError:  # another rank was faster
                    return
                function(part)

        self.run(door)

    def close(self):
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
    for library, _ in tuple(blas._blas_threads):
        if getattr(library, "threading_layer", None) == "openmp":  # its limit is per thread
            blas._set_threads(library, 1)
    for door, member, reports in iter(inbox.get, None):
        try:
            door(member)
            reports.put(None)
        except BaseException as failure:
            core.abort_team(member[0])  # its mates would wait for it
            reports.put(failure)
        del door, member, reports  # an idle rank holds no arrays
    gone.append(None)
    bell.put(None)
