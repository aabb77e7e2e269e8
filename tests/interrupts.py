"""Exceptions at any line; threads and limits of BLAS that must not remain after them."""

import _thread
import functools
import sys
import threading
import time
from pathlib import Path

from threadpoolctl import ThreadpoolController

import fastbp.threads
import fastbp.training


def files_of(room):
    """Paths of the files of a room, spelled as in `co_filename`."""
    return tuple(map(str, Path(room.__file__).parent.glob("*.py")))


THREADS, TRAINING = files_of(fastbp.threads), files_of(fastbp.training)


class InterruptAt:
    """Raises an exception at the n-th line that this thread runs in the given files."""

    def __init__(self, n, files, exception=KeyboardInterrupt):
        self.left, self.files, self.raised, self.again = n, files, None, 0
        self.exception = exception

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename not in self.files:
            return None
        if event == "line" and self.raised is None:
            self.left -= 1
            if self.left == 0:
                self.raised = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise self.exception
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)


def bare_threads():
    """The number of threads that `_thread` started: `threading` does not count them."""
    return _thread._count() - (threading.active_count() - 1)


# Of pytest-xdist, in a process that shares the tests with others: it hears the main process.
OTHERS = bare_threads()


def ranks_alive():
    """The number of ranks."""
    return bare_threads() - OTHERS


def wait_for_ranks():
    """Wait until no rank is alive, or for 20 seconds."""
    deadline = time.monotonic() + 20
    while ranks_alive() and time.monotonic() < deadline:
        time.sleep(0.001)


@functools.cache
def libraries(n_modules):
    """The libraries with threads; they are looked for again after further imports."""
    return ThreadpoolController().select(user_api="blas")


def blas_threads():
    """(library, number of threads) of each BLAS library in the process."""
    return [(lib["filepath"], lib["num_threads"]) for lib in libraries(len(sys.modules)).info()]
