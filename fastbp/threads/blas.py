"""Single-threaded BLAS: a limit with a count of its users, safe under interrupts and forks."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.RLock()  # an RLock: its release() raises if it is not held
_users: set[object] = set()  # tokens of the running users of single-threaded BLAS
_thread_counts: list[tuple[Any, int]] = []  # (library, its thread count before the first user)
_libraries: list[Any] | None = None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit the BLAS libraries of the process to one thread; the last user restores them."""
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
    """Limit BLAS on OpenMP in the calling thread too: OpenMP has one limit for each thread."""
    for library, _ in tuple(_thread_counts):
        if getattr(library, "threading_layer", None) == "openmp":
            _set_threads(library, 1)


def _limit(token):
    global _libraries, _thread_counts
    if _libraries is None:
        import scipy.linalg.cython_blas  # noqa: F401 - the core loads it later, and calls it
        from threadpoolctl import ThreadpoolController  # imported late: the tiles need none

        _libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    if not _thread_counts:  # not `_users`: an interrupted _restore leaves counts
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
    # threadpoolctl >= 3.8 obeys only the first thread that ever sets a limit. Here the lock and the
    # count of users protect the limit, so it is safe to call the original setter.
    getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


def _under_lock(action, token):
    """Run action(token) under the lock, and release it after an interrupt at any line."""
    if _lock._is_owned():  # garbage collection closes a generator while this function runs
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
    """Drop the users in the child of a fork, which has none of the other threads."""
    global _lock
    _lock = threading.RLock()
    _users.clear()
    _restore(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
