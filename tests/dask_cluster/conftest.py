"""One cluster for all tests."""

import pytest


@pytest.fixture(scope="session")
def client():
    """The client of a cluster of two workers."""
    clusters = pytest.importorskip("clusters", reason="needs fastbp[dask]")
    with clusters.local_cluster() as client:
        yield client
