"""One cluster for all tests of a file."""

import pytest


@pytest.fixture(scope="module")
def client():
    """The client of a cluster of two workers."""
    clusters = pytest.importorskip("clusters", reason="needs fastbp[dask]")
    with clusters.local_cluster() as client:
        yield client
