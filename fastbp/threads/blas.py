"""One thread for the process's BLAS, while a fit uses it."""

import os
import threading
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController

_lock = threading.RLock()  # for its release() that knows whether it is held
_blas_users = set()  # tokens of the running users of single-threaded BLAS
_blas_threads = []  # (library, its thread count before the first user)
_blas_libraries = None


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
    _blas_users.clear()
    _restore_blas(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
