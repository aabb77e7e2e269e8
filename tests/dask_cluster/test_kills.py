"""Workers that are killed in the middle of a fit: the same bits, or an error in time; no hang."""

import os
import time

import numpy as np
import pytest
from clusters import (
    KillAt,
    as_dask,
    dask,
    kill,
    kill_later,
    labelled,
    local_cluster,
    pids,
    random_rows,
    scale,
    sha,
)

from fastbp import MLPClassifier
from fastbp.dask import DaskMLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
LBFGS = dict(hidden_layer_sizes=(9,), solver="lbfgs", max_iter=12, random_state=0)
STEPS = dict(hidden_layer_sizes=(9,), max_iter=5, random_state=0, n_shards=3, rounds_per_epoch=2)
# `make test-dask-kills` sets the number.
KILLED_FITS = int(os.environ.get("FASTBP_KILLED_FITS", "3"))


@pytest.fixture(scope="module")
def data():
    X, y = labelled()
    rows = random_rows(len(X), 7)
    return X, y, as_dask(X, rows), as_dask(y, rows)


def test_lbfgs_that_loses_workers_has_the_bits_of_the_local_fit(client, data):
    killer = KillAt(client, [2, 5])
    model = DaskMLPClassifier(**LBFGS).set_callbacks(killer).fit(*data[2:])
    assert killer.killed == 2
    assert sha(model) == sha(MLPClassifier(**LBFGS).fit(*data[:2]))


def test_local_steps_that_lose_workers_have_the_same_bits(client, data):
    model = DaskMLPClassifier(**STEPS)
    expected = sha(model.fit(*data[2:]))
    killer = KillAt(client, [1, 3], which=1)
    model.set_callbacks(killer).fit(*data[2:])
    assert killer.killed == 2
    assert sha(model) == expected


@pytest.mark.timeout(300 * KILLED_FITS)
@pytest.mark.parametrize("parameters", [LBFGS, STEPS], ids=["lbfgs", "steps"])
def test_fits_with_a_kill_at_a_random_moment_do_not_hang(client, data, parameters):
    """In the scan, in the placing, in a round, in the check: always the same bits."""
    model, rng = DaskMLPClassifier(**parameters), np.random.RandomState(KILLED_FITS)
    began = time.monotonic()
    expected = sha(model.fit(*data[2:]))
    seconds = time.monotonic() - began
    for number in range(KILLED_FITS):
        thread = kill_later(client, rng.rand() * seconds, rng.randint(2))
        began = time.monotonic()
        assert sha(model.fit(*data[2:])) == expected
        thread.join()
        print(f"fit {number} with a kill: {time.monotonic() - began:.1f} s")


def test_without_any_worker_a_fit_ends_in_time(data):
    patience = 2.0
    with local_cluster(1) as client:
        model = DaskMLPClassifier(**STEPS, patience=patience).fit(*data[2:])
        before = sha(model)

        class Leave(KillAt):
            def on_fit_task_end(self, estimator, context):
                if estimator.n_iter_ == 2:
                    scale(self.client, 0)
                    self.left = time.monotonic()

        leave = Leave(client, [2])
        with pytest.raises(TimeoutError, match=r"no worker for 2 s \(patience\), in epoch 3"):
            model.set_callbacks(leave).fit(*data[2:])
        assert patience <= time.monotonic() - leave.left < patience + 5
        assert sha(model) == before
        with pytest.raises(TimeoutError, match="while the data were scanned"):
            model.fit(*data[2:])
        scale(client, 1)  # a worker that joins is used
        model.set_callbacks()
        assert sha(model.fit(*data[2:])) == before


def dies(x):
    """A partition that kills each worker that reads it."""
    kill(os.getpid())
    return x


def test_a_partition_that_kills_its_workers_is_named():
    X, y = labelled(600)
    parts = [dask.delayed(X[:300]), dask.delayed(dies)(X[300:])]
    labels = [dask.delayed(y[:300]), dask.delayed(y[300:])]
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        with local_cluster(1) as client:
            with pytest.raises(RuntimeError, match="has lost its worker again and again"):
                DaskMLPClassifier(**STEPS).fit(parts, labels)
            assert len(client.nthreads()) <= 1


def test_scattered_data_that_are_lost_are_an_error(client):
    """They cannot be computed again."""
    X, y = labelled(600)
    futures = [client.scatter(one) for one in (X, y)]
    model = DaskMLPClassifier(**STEPS)
    expected = sha(model.fit([futures[0]], [futures[1]]))
    assert expected
    for pid in pids(client):
        kill(pid)
    with pytest.raises(RuntimeError, match="cannot compute it again"):
        model.fit([futures[0]], [futures[1]])
