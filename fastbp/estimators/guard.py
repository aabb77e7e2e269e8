"""Guard: the lock of an estimator's fits, and the number of changes of its fitted attributes."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import numpy as np

NEVER_CHANGED = [0]  # the changes of an estimator that no fit has changed since it was made


class Guard:
    """What the threads that use one estimator share. It is neither pickled nor cloned.

    Attributes
    ----------
    lock : RLock
        Held by the thread that fits the estimator.
    changes : list of int
        One number, which grows by 2 with each change of the fitted attributes. It is odd while they
        are being changed.
    """

    __slots__ = ("__weakref__", "changes", "lock")

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()
        self.changes = [0]
        _guards.add(self)


class Guarded:
    """A class whose objects have a guard beside their `__dict__`: it is no part of their state."""

    __slots__ = ("_guard",)


del Guarded.__slots__  # the slot remains; scikit-learn refuses to pickle objects that name slots

_guards: WeakSet[Guard] = WeakSet()
_making = threading.Lock()


def guard_of(estimator: Any) -> Guard:
    """The guard of an estimator, made in the first call."""
    guard: Guard | None = getattr(estimator, "_guard", None)
    if guard is None:
        with _making:
            guard = getattr(estimator, "_guard", None)
            if guard is None:
                guard = estimator._guard = Guard()
    return guard


def changes_of(estimator: Any) -> list[int]:
    """The number of changes of an estimator, in a list: the same object in every call."""
    return guard_of(estimator).changes


def fitting(estimator: Any) -> Any:
    """The lock of the fits of an estimator, to be used in a `with` statement.

    It is the lock itself, and no context manager in Python: an interrupt between two lines of that
    could leave the lock held.

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


def between_changes(estimator: Any, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of read(), its lists of arrays copied, from between two changes."""
    changes = changes_of(estimator)
    while True:
        before = changes[0]
        state = {name: _copied(value) for name, value in read().items()}
        if changes[0] == before and before % 2 == 0:
            return state
        time.sleep(0)


def _copied(value: Any) -> Any:
    """A copy of a list of arrays or numbers; other values as they are."""
    if not isinstance(value, list):
        return value
    return [one.copy(order="K") if isinstance(one, np.ndarray) else one for one in value]


def _after_fork() -> None:
    """No fit runs in the child: it has one thread, which may have copied locks that are held."""
    global _making
    _making = threading.Lock()
    for guard in _guards:
        guard.lock = threading.RLock()
        guard.changes[0] += guard.changes[0] % 2


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
