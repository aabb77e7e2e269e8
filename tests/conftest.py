"""What all tests have in common."""

import gc


def pytest_collection_finish():
    """Keep the many objects of the collected tests out of each garbage collection."""
    gc.collect()
    gc.freeze()
