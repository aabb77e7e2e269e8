"""The thread of one rank: how it starts, gets its work and ends.

Python needs memory to run a thread, so a thread may end at any moment, also before its first line,
and then it can send no message. Therefore the team and the thread share locks and attributes, which
need no memory, and the team sees the end of a thread from outside: see `Life`.
"""

import _thread
import ctypes
import time
import weakref
from collections.abc import Callable
from typing import NoReturn, TypeAlias

from fastbp.kernels import Rank, core
from fastbp.threads.blas import limit_own_thread

START_SECONDS = 2.0  # a thread that has not begun after this time is given up

Door: TypeAlias = Callable[[Rank], object]  # what runs in every rank
Lock: TypeAlias = _thread.LockType


class Stopped(SystemExit):
    """Raised in a rank that runs Python code when its team closes; it ends a thread in silence."""


class Life:
    """An object that only the arguments of a thread refer to: it ends with the thread."""

    __slots__ = ("__weakref__",)


class RankThread:
    """What a team shares with the thread of one rank.

    The thread waits at its gate. The team sets `work` and opens the gate; the thread closes it when
    it passes.

    Parameters
    ----------
    bell : lock
        Opened whenever a thread of the team has done its work or ends. The team waits for it.

    Attributes
    ----------
    work : tuple or None
        The door and the rank, until the thread takes them. None lets the thread end.
    busy : bool
        Whether work was given that is not done.
    failure : BaseException or None
        What the door raised.
    """

    __slots__ = (
        "_begun",
        "_bell",
        "_ended",
        "_gate",
        "_ident",
        "_late",
        "_life",
        "_unborn",
        "busy",
        "failure",
        "work",
    )

    def __init__(self, bell: Lock) -> None:
        self._bell = bell
        self.work: tuple[Door, Rank] | None = None
        self.busy = False
        self.failure: BaseException | None = None
        self._gate = _thread.allocate_lock()
        self._gate.acquire()
        # Not in a local variable, which the traceback of an interrupt would keep alive.
        self._unborn = [Life()]
        self._life = weakref.ref(self._unborn[0])
        self._ident = 0
        self._begun = self._ended = False
        self._late = time.monotonic() + START_SECONDS

    def start(self) -> bool:
        """Start the thread. False if the system refuses a thread, or memory for it."""
        try:
            _thread.start_new_thread(_serve, (self, self._unborn.pop()))
        except (RuntimeError, MemoryError):
            self.dismiss()
            return False
        return True

    def give(self, door: Door, rank: Rank) -> None:
        """Let the thread run door(rank)."""
        self.work = door, rank
        self.busy = True
        self._gate.release()

    def take_back(self) -> bool:
        """Take the work back. False if the thread has passed the gate: it may have begun."""
        return self._gate.acquire(False)

    def raise_failure(self) -> NoReturn:
        """Raise what the door raised."""
        assert self.failure is not None
        try:
            raise self.failure
        finally:
            self.failure = None  # its traceback refers to this object

    def interrupt(self) -> None:
        """Raise Stopped in the thread if it works: for doors that run long in Python."""
        if self.busy and self._ident and not self.has_ended():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._ident), ctypes.py_object(Stopped)
            )

    def dismiss(self) -> None:
        """Let the thread end when it has done its work. It can be called again."""
        self._unborn.clear()
        self.work = None
        if self._gate.locked():
            self._gate.release()

    def has_ended(self) -> bool:
        """Whether the thread has ended, or was given up because it has not begun."""
        if self._ended or self._life() is None:
            return True
        return not self._begun and time.monotonic() > self._late

    def is_lost(self) -> bool:
        """Whether the thread has ended before its work was done."""
        return self.has_ended() and self.busy  # in this order: then `busy` is the last state


def _serve(thread: RankThread, life: Life) -> None:
    """Run the work that the team gives, until it gives None: the body of a rank's thread."""
    thread._begun, thread._ident = True, _thread.get_ident()
    del life  # a traceback may keep this frame alive
    try:
        limit_own_thread()
        while _work(thread):
            _ring(thread._bell)
    finally:
        thread._ended = True
        _ring(thread._bell)


def _work(thread: RankThread) -> bool:
    """Wait at the gate and do the work. False if there is none."""
    thread._gate.acquire()
    work, thread.work = thread.work, None
    if work is None:
        return False
    door, rank = work
    try:
        door(rank)
    except BaseException as failure:
        thread.failure = failure
        core.abort_team(rank.words)  # or the other ranks would wait for this one
    thread.busy = False
    return True


def _ring(bell: Lock) -> None:
    try:
        if bell.locked():
            bell.release()
    except (RuntimeError, MemoryError):  # another thread was faster
        pass
