"""Guard: the lock of an estimator's fits, and the number of changes of its fitted attributes."""

import _thread
import copy
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain
from typing import Any
from weakref import WeakSet

import numpy as np

TURN = 0.02  # seconds
LISTS = ("coefs_", "intercepts_", "loss_curve_", "validation_scores_", "validation_loss_curve_")


class FitLock(_thread.RLock):  # type: ignore[misc]  # final only in the stubs
    """A lock that a thread waits for in short turns.

    Between two turns Python raises an exception that another thread has set in the waiting one.
    Only a thread that does not hold the lock may enter it.
    """

    _is_owned: Callable[[], bool]

    def __enter__(self) -> bool:  # type: ignore[override]
        """Wait for the lock; an exception, at whatever line, leaves it to others."""
        try:
            while not self.acquire(timeout=TURN):
                pass
            return True
        except BaseException:
            if self._is_owned():
                self.release()
            raise


class Guard:
    """What the threads that use one estimator share. It is neither pickled nor cloned.

    Attributes
    ----------
    lock : FitLock
        Held by the thread that fits the estimator.
    changes : list of int
        One number, which grows by 2 with each change of the fitted attributes. It is odd while they
        are being changed.
    params : list
        The parameters of the last call of `partial_fit`, which have been checked.
    """

    __slots__ = ("__weakref__", "changes", "lock", "params")

    def __init__(self) -> None:
        self.lock: Any = FitLock()
        self.changes = [0]
        self.params: list[Any] = []
        _guards.add(self)


class Guarded:
    """A class whose objects have a guard beside their `__dict__`: it is no part of their state."""

    __slots__ = ("_guard",)


del Guarded.__slots__  # the slot remains; scikit-learn refuses to pickle objects that name slots

_guards: WeakSet[Guard] = WeakSet()
_making = threading.Lock()
_adopting: Any = threading.RLock()


def guard_of(estimator: Any) -> Guard:
    """The guard of an estimator, made in the first call."""
    guard: Guard | None = getattr(estimator, "_guard", None)
    if guard is None:
        made = Guard()  # before the lock is held: a signal handler may come here, too
        with _making:
            guard = getattr(estimator, "_guard", None)
            if guard is None:
                guard = made
                object.__setattr__(estimator, "_guard", guard)
    return guard


def changes_of(estimator: Any) -> list[int]:
    """The number of changes of an estimator, in a list: the same object in every call."""
    return guard_of(estimator).changes


def fitting(estimator: Any) -> Any:
    """The lock of the fits of an estimator, to be used in a `with` statement.

    It is the lock itself, whose exit is written in C, and no context manager in Python: an
    interrupt between two lines of that could leave the lock held.

    Raises
    ------
    RuntimeError
        If this thread fits the estimator already.
    """
    lock = guard_of(estimator).lock
    if lock._is_owned():
        raise RuntimeError(
            f"this thread is already fitting this {type(estimator).__name__}: what runs during a "
            "fit cannot fit the same estimator. Fit a copy (sklearn.base.clone, copy.deepcopy)."
        )
    return lock


def between_fits(estimator: Any) -> Any:
    """As `fitting`, for short changes; within a fit of this thread nothing is waited for."""
    lock = guard_of(estimator).lock
    return nullcontext() if lock._is_owned() else lock


def adopting() -> Any:
    """The lock of the adoptions of all estimators, to be used in a `with` statement.

    A fork waits for it, so that no child has half of an adoption. It is held for a copy of the
    weights at most, never during training.
    """
    return _adopting


def is_whole(guard: Guard, before: int) -> bool:
    """Whether what was read since the number of changes was `before` is of one moment.

    A thread that adopts itself must not wait for the end of that: it takes what is there.
    """
    return (guard.changes[0] == before and before % 2 == 0) or guard.lock._is_owned()


def between_changes(estimator: Any, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of read(), between two changes, with copies of what fits change in place."""
    guard = guard_of(estimator)
    while True:
        before = guard.changes[0]
        state = _with_copies(read())
        if is_whole(guard, before):
            return state
        time.sleep(0)


def _with_copies(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes, with copies of the lists and arrays that fits change in place.

    Other attributes that are one of these lists or arrays become its copy: they remain one object.
    """
    kinds = list | tuple | deque | np.ndarray
    lists: list[Any] = [state[n] for n in LISTS if n in state and isinstance(state[n], kinds)]
    entries = [list(one) for one in lists]
    copies: dict[int, Any] = {
        id(entry): entry.copy(order="K")
        for entry in chain(*entries[:2])
        if isinstance(entry, np.ndarray)
    }
    for one, old in zip(lists, entries, strict=True):
        if id(one) not in copies:
            copies[id(one)] = _copied(one, [copies.get(id(entry), entry) for entry in old])
    return {name: copies.get(id(value), value) for name, value in state.items()}


def _copied(value: Any, entries: list[Any]) -> Any:
    """A copy of a list, of its own type, with these entries."""
    if type(value) in (list, tuple):
        return type(value)(entries)
    copied = copy.copy(value)
    if isinstance(copied, list):
        list.__setitem__(copied, slice(None), entries)
    return copied


def _before_fork() -> None:
    """Wait until no other thread adopts, and let none begin."""
    _adopting.acquire()


def _after_fork() -> None:
    """Let other threads adopt again."""
    if _adopting._is_owned():  # not if an interrupt ended the wait
        _adopting.release()


def _after_fork_in_child() -> None:
    """No other thread is in the child, but locks that other threads held are.

    What this thread holds remains: it may fork within a fit, which goes on in the child.
    """
    global _making, _adopting
    _making = threading.Lock()
    _after_fork()
    if not _adopting._is_owned():
        _adopting = threading.RLock()
    for guard in _guards:
        if not guard.lock._is_owned():
            guard.lock = FitLock()
            guard.changes[0] += guard.changes[0] % 2  # odd only after such an interrupt


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
