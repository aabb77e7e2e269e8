"""The law of bits: they depend on the rows, the parameters and the seed alone."""

from itertools import pairwise

import numpy as np
import pytest
from clusters import as_dask, dask, labelled, local_cluster, random_rows, scale, sha
from scipy.sparse import csr_array

from fastbp import MLPClassifier, MLPRegressor
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LBFGS = dict(hidden_layer_sizes=(9,), solver="lbfgs", max_iter=3, random_state=0)
STEPS = dict(hidden_layer_sizes=(9,), max_iter=2, random_state=0, n_shards=3, rounds_per_epoch=2)
PARTITIONINGS = 5  # for each number of workers; `make bench-dask` tries 20


def test_one_sha_for_any_workers_and_partitions():
    """That of the local fit for lbfgs, and one of local steps."""
    X, y = labelled()
    local, found, of_steps = sha(MLPClassifier(**LBFGS).fit(X, y)), set(), set()
    with local_cluster(1) as client:
        for n_workers in (1, 2, 3, 4):
            scale(client, n_workers)
            for seed in range(n_workers, 4 * PARTITIONINGS, 4):
                rows = random_rows(len(X), seed)
                data = as_dask(X, rows), as_dask(y, rows)
                found.add(sha(DaskMLPClassifier(**LBFGS).fit(*data)))
                if seed < 8:
                    of_steps.add(sha(DaskMLPClassifier(**STEPS).fit(*data)))
    assert found == {local}
    assert len(of_steps) == 1


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lbfgs_is_the_local_fit(client, dtype, weighted):
    """With weights of samples and of classes, which are found in the pass over the data."""
    X, y = labelled(dtype=dtype)
    w = np.random.RandomState(1).rand(len(X)) if weighted else None
    parameters = dict(LBFGS, class_weight="balanced" if weighted else None)
    for seed in (1, 2):
        rows = random_rows(len(X), seed)
        data = [as_dask(one, rows) for one in (X, y, w)]
        model = DaskMLPClassifier(**parameters).fit(*data)
        local = MLPClassifier(**parameters).fit(X, y, w)
        assert sha(model) == sha(local)
        assert model.n_iter_ == local.n_iter_ and (model.classes_ == local.classes_).all()


def test_lbfgs_of_sparse_rows_and_of_two_targets(client):
    X, y = labelled()
    X[X < 0.5] = 0
    y = np.column_stack([y, X[:, 1]]).astype(np.float32)
    bounds = [0, 700, 700, 1500, len(X)]
    pieces = [slice(a, b) for a, b in pairwise(bounds)]
    # A list of delayed, of which the second is empty.
    data = [[dask.delayed(one[part]) for part in pieces] for one in (csr_array(X), y)]
    model = DaskMLPRegressor(**LBFGS).fit(*data)
    local = MLPRegressor(**LBFGS).fit(csr_array(X), y)
    assert sha(model) == sha(local)


@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="sgd", learning_rate="invscaling", nesterovs_momentum=False),
        dict(dropout=0.3, ema_decay=0.9, weight_decay=0.01, clip_norm=1.0),
        dict(learning_rate="cosine", batch_size=64, shuffle=False),
    ],
    ids=["sgd", "dropout", "schedule"],
)
def test_local_steps_have_one_sha(client, parameters):
    X, y = labelled(4500)
    found = set()
    for seed in (3, 4):
        rows = random_rows(len(X), seed)
        data = as_dask(X, rows), as_dask(y, rows)
        model = DaskMLPClassifier(**{**STEPS, **parameters}).fit(*data)
        found.add(sha(model))
    assert len(found) == 1
    assert np.isfinite(model.loss_curve_).all() and len(model.loss_curve_) == 2
