"""What all tests have in common."""

import gc
import signal

import pytest

from fastbp.threads import blas, cores
from interrupts import blas_threads, ranks_alive, wait_for_ranks

# These files come first, as the longest ones: two processes that share the files end together. The
# first one forks for each of its cases, which takes much longer when other tests filled the memory.
FIRST = ["test_trust.py", "test_gallery.py", "test_damaged_sparse.py", "test_benchmarks.py"]


def pytest_collection_modifyitems(items):
    """Sort the files; the tests of a file stay together and in their order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)))


@pytest.fixture(scope="module", autouse=True)
def quick_collections():
    """Keep the many objects of pytest and of earlier tests out of garbage collections."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def heeds_sigint():
    """Python ignores SIGINT if a shell started it as a background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def nothing_remains():
    """After the test there are no ranks, no reserved cores, and the limits of BLAS as before."""
    limits = blas_threads()
    yield
    gc.collect()
    wait_for_ranks()
    assert not ranks_alive() and not cores._cores_taken and not blas._users
    assert blas_threads() == limits
