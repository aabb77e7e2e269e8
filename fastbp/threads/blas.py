"""One thread for the process's BLAS, while a fit uses it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.RLock()  # for its release() that knows whether it is held
_users: set[object] = set()  # tokens of the running users of single-threaded BLAS
_thread_counts: list[tuple[Any, int]] = []  # (library, its thread count before the first user)
_libraries: list[Any] | None = None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Hold the process's BLAS libraries to one thread; the last of overlapping users restores."""
    token = object()
    try:
        try:
            _under_lock(_limit, token)
            yield
        finally:
            _under_lock(_restore, token)
    finally:
        _under_lock(_restore, token)


def limit_own_thread() -> None:
    """Hold the BLAS libraries whose limit is one thread's own to one thread here too."""
    for library, _ in tuple(_thread_counts):
        if getattr(library, "threading_layer", None) == "openmp":
            _set_threads(library, 1)


def _limit(token):
    global _libraries, _thread_counts
    if _libraries is None:
        _libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not _thread_counts:  # not "no users": a restoration may have been interrupted
        _thread_counts = [(library, library.num_threads) for library in _libraries]
    _users.add(token)
    for library, _ in _thread_counts:
        _set_threads(library, 1)


def _restore(token):
    _users.discard(token)
    if not _users:
        for library, threads in _thread_counts:
            _set_threads(library, threads)
        _thread_counts.clear()


def _set_threads(library, threads):
    # threadpoolctl >= 3.8 ignores the wish of every thread but the first that ever had one; the
    # count of users above keeps threads from each other, so the real setter is safe here.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


def _under_lock(action, token):
    """action(token) under the lock, which an interrupt at any line leaves free."""
    if _lock._is_owned():  # a generator was collected in the midst of this very function
        return action(token)
    try:
        try:
            _lock.acquire()
            action(token)
        finally:
            _release()
    finally:
        _release()
    return None


def _release():
    try:
        _lock.release()
    except RuntimeError:  # not held
        pass


def _forget_other_threads():
    """After a fork the child has one thread: the fits of the others are not there."""
    global _lock
    _lock = threading.RLock()
    _users.clear()
    _restore(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
