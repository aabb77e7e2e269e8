"""How many threads a fit gets, and the team of them.

The ranks of a team are Python threads in one door of the core, without the GIL; the thread that
fits only waits for them, so that Ctrl-C reaches it at once. Clean-up stands in two nested `finally`
clauses: KeyboardInterrupt may come at any line, and one of them always runs.
"""

import _thread
import os
import threading
import time
from collections import deque
from contextlib import contextmanager, nullcontext
from queue import Empty, SimpleQueue

import joblib
import numpy as np
from threadpoolctl import ThreadpoolController

from fastbp.kernels import Rank, backend, core

# Costs are counted in multiply-adds, some 50 to a nanosecond. Measured on two cores with nets of 20
# to 784 inputs, widths of 30 to 300, batches of 10 to 1000:
MEETING = 800_000  # one more rank at the barriers of a step, and what it tells the others
MOVE = 44  # a parameter stepped by one rank and read by the others, while all fit into caches,
CACHED = 500_000  # as so many do
LAUNCH = 15_000_000  # a rank that is made for one prediction
INLINE_WORK = 2_000_000  # an epoch that is over before a signal could matter
INLINE_SECONDS = 0.05
MOST_RANKS = 256  # the bits are the same for every size, so a larger wish is not refused

_lock = threading.RLock()  # for its release() that knows whether it is held
_cores_taken = {}  # token of a running fit -> its ranks
_blas_users = set()  # tokens of the running users of single-threaded BLAS
_blas_threads = []  # (library, its thread count before the first user)
_blas_libraries = None


def available_cores():
    """Cores that affinity, cgroup quota and OMP_NUM_THREADS leave to this process."""
    cores = joblib.cpu_count()
    try:
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:  # not set, or not a number
        pass
    return max(cores, 1)


def step_cost(work, params):
    """Cost of an optimization step, ranks -> multiply-adds, given those of its arithmetic."""
    moved = MOVE * min(params, CACHED)
    return lambda ranks: work / ranks + MEETING * (ranks - 1) + moved * (1 - 1 / ranks)


def call_cost(work):
    """Cost of a single call whose ranks start and end with it."""
    return lambda ranks: work / ranks + LAUNCH * (ranks - 1)


@contextmanager
def reserved_cores(n_threads, cost, rows):
    """How many ranks a fit gets: n_threads, or the cheapest number that idle cores allow.

    With None, only cores count that no other fit of this process has taken, and blocks of a batch's
    rows: a rank without one does not pay.
    """
    token = object()
    blocks = rows if backend == "native" else -(-rows // core.BLAS_ROWS)
    try:
        try:
            size = min(n_threads or 1, MOST_RANKS)
            if n_threads is None and cost(2) < cost(1):
                # The wish is entered first: two that come at once may both yield, never neither.
                cores = available_cores()
                size = _cheapest(cost, min(cores, blocks))
                _cores_taken[token] = size
                others = sum(_cores_taken.copy().values()) - size
                size = _cheapest(cost, min(cores - others, size))
            _cores_taken[token] = size
            yield size
        finally:
            _cores_taken.pop(token, None)
    finally:
        _cores_taken.pop(token, None)


def _cheapest(cost, most):
    return min(range(1, max(min(most, MOST_RANKS), 1) + 1), key=cost)


@contextmanager
def single_threaded_blas():
    """Hold the process's BLAS libraries to one thread; the last of overlapping users restores."""
    token = object()
    try:
        try:
            _exclusively(_limit_blas, token)
            yield
        finally:
            _exclusively(_restore_blas, token)
    finally:
        _exclusively(_restore_blas, token)


def _limit_blas(token):
    global _blas_libraries, _blas_threads
    if _blas_libraries is None:
        _blas_libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not _blas_threads:  # not "no users": a restoration may have been interrupted
        _blas_threads = [(library, library.num_threads) for library in _blas_libraries]
    _blas_users.add(token)
    for library, _ in _blas_threads:
        _set_threads(library, 1)


def _restore_blas(token):
    _blas_users.discard(token)
    if not _blas_users:
        for library, threads in _blas_threads:
            _set_threads(library, threads)
        _blas_threads.clear()


def _set_threads(library, threads):
    # threadpoolctl >= 3.8 ignores the wish of every thread but the first that ever had one; the
    # count of users above keeps threads from each other, so the real setter is safe here.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


def _exclusively(action, token):
    """action(token) under the lock, which an interrupt at any line leaves free."""
    if _lock._is_owned():  # a generator was collected in the midst of this very function
        return action(token)
    try:
        try:
            _lock.acquire()
            action(token)
        finally:
            _let_go()
    finally:
        _let_go()
    return None


def _let_go():
    try:
        _lock.release()
    except RuntimeError:  # not held
        pass


def _forget_other_threads():
    """After a fork the child has one thread: the fits of the others are not there."""
    global _lock
    _lock = threading.RLock()
    _cores_taken.clear()
    _blas_users.clear()
    _restore_blas(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


@contextmanager
def team(n_threads, cost, rows, epoch_work):
    """The team of one fit, for steps of so many rows and this cost, and epochs of so much work.

    n_threads None means "decide".
    """
    blas = single_threaded_blas() if backend == "blas" else nullcontext()
    with reserved_cores(n_threads, cost, rows) as size, blas:
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
        """Run door(Rank) in every rank, to the end or to an agreed stop.

        Raises KeyboardInterrupt after the ranks have stopped at a batch boundary; the team is
        closed then. A launch that was interrupted has changed nothing.
        """
        if not self._inline and not self._started:
            self.start()
        self.words[:] = 0
        if not self._started:
            began = time.perf_counter()
            door(Rank(self.words, 0, 1))
            self._inline = time.perf_counter() - began < INLINE_SECONDS
            return
        reports = SimpleQueue()
        try:
            for rank, inbox in enumerate(self._inboxes):
                inbox.put((door, Rank(self.words, rank, self.size), reports))
            for _ in self._inboxes:
                failure = reports.get()
                if failure is not None:
                    raise failure
        except BaseException:
            self.close()
            raise

    def for_each(self, parts, function):
        """Call function(part) for every part, ranks taking turns; a stop ends it between parts."""
        waiting = deque(parts)

        def door(rank):
            while waiting and not rank.words[core.TEAM_STOP]:
                try:
                    part = waiting.popleft()
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
    for library, _ in tuple(_blas_threads):
        if getattr(library, "threading_layer", None) == "openmp":  # its limit is per thread
            _set_threads(library, 1)
    for door, member, reports in iter(inbox.get, None):
        try:
            door(member)
            reports.put(None)
        except BaseException as failure:
            core.abort_team(member.words)  # its mates would wait for it
            reports.put(failure)
        del door, member, reports  # an idle rank holds no arrays
    gone.append(None)
    bell.put(None)
