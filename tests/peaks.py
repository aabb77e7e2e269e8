"""The memory that a call takes."""

import tracemalloc


def peak_of(call):
    """The peak of the memory that NumPy and Python allocate during a call."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
