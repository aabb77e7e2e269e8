"""Locks of others that are held while the core works, and what a fork does with them.

A child has the locks that other threads of its parent held, and nobody there releases them. So a
fork first takes the locks of this module itself.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

_lent: list[tuple[Any, int]] = []  # a lock, and the thread that holds it or waits for it
_of_fork: list[Any] = []  # the locks that the fork in progress has taken


@contextmanager
def lent(lock: Any) -> Iterator[None]:
    """Hold a lock for a short time. A fork in another thread waits for its release."""
    entry = lock, get_ident()
    _lent.append(entry)
    try:
        with lock:
            yield
    finally:
        _lent.remove(entry)


def _before_fork() -> None:
    """Take the locks that other threads hold. What this thread holds, it also has in the child."""
    own = [lock for lock, thread in _lent if thread == get_ident()]
    for lock in dict.fromkeys(lock for lock, _ in _lent):
        if lock not in own:
            lock.acquire()
            _of_fork.append(lock)


def _after_fork() -> None:
    """Release them."""
    while _of_fork:
        _of_fork.pop().release()


def _after_fork_in_child() -> None:
    """Release them; no other thread is in the child."""
    _lent[:] = [entry for entry in _lent if entry[1] == get_ident()]
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork,
        after_in_child=_after_fork_in_child,
    )
