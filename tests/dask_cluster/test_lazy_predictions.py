"""Lazy predictions equal local ones to the bit, in the kind of X, with the model sent once."""

import numpy as np
import pandas as pd
import pytest
from clusters import as_dask, da, dask, labelled
from scipy.sparse import csr_array, issparse

from fastbp import MLPClassifier, MLPRegressor
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor

dd = pytest.importorskip("dask.dataframe")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = dict(hidden_layer_sizes=(9,), max_iter=2, random_state=0)
METHODS = ("predict", "predict_proba", "predict_log_proba")
X, Y = labelled(700)
ROWS = (300, 0, 1, 399)


@pytest.fixture(scope="module")
def model():
    return DaskMLPClassifier.from_local(MLPClassifier(**FEW).fit(X, np.array(["a", "b", "c"])[Y]))


@pytest.mark.parametrize("method", METHODS)
def test_arrays(client, model, method):
    lazy, expected = getattr(model, method)(as_dask(X, ROWS)), getattr(model.to_local(), method)(X)
    assert isinstance(lazy, da.Array) and lazy.chunks[0] == ROWS
    assert lazy.shape == expected.shape and lazy.dtype == expected.dtype
    found = lazy.compute()
    assert found.dtype == expected.dtype and (found == expected).all()


def test_arrays_of_columns_in_chunks_and_of_unknown_rows(client, model):
    expected = model.to_local().predict_proba(X)
    assert (model.predict_proba(da.from_array(X, chunks=(200, 3))).compute() == expected).all()
    unknown = da.from_array(X, chunks=(200, 7))
    unknown = unknown[da.from_array(X[:, 0], chunks=200) > 1]
    assert (model.predict_proba(unknown).compute() == expected[X[:, 0] > 1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_frames_keep_their_index(client, method):
    frame = pd.DataFrame(X, columns=list("abcdefg"), index=np.arange(len(X)) * 3)
    local = MLPClassifier(**FEW).fit(frame, Y)
    lazy = getattr(DaskMLPClassifier.from_local(local), method)(
        dd.from_pandas(frame, npartitions=3)
    )
    found, expected = lazy.compute(), getattr(local, method)(frame)
    assert (found.index == frame.index).all() and (found.to_numpy() == expected).all()
    assert type(found) is (pd.Series if expected.ndim == 1 else pd.DataFrame)
    assert lazy._meta.dtypes is not None and found.shape == expected.shape


def test_lists_of_delayed_and_sparse_rows(client, model):
    parts = [dask.delayed(csr_array(X[:300])), dask.delayed(csr_array(X[300:]))]
    found = np.concatenate(dask.compute(*model.predict_proba(parts)))
    assert (found == model.to_local().predict_proba(csr_array(X))).all()
    assert issparse(csr_array(X))


def test_samples_in_memory(model):
    assert (model.predict(X) == model.to_local().predict(X)).all()


def test_several_targets_and_numbers(client):
    y = np.column_stack([Y, Y % 2 + 3])
    local = MLPClassifier(**FEW).fit(X, y)
    model = DaskMLPClassifier.from_local(local)
    found = dask.compute(*model.predict_proba(as_dask(X, ROWS)))
    for one, expected in zip(found, local.predict_proba(X), strict=True):
        assert (one == expected).all()
    assert (model.predict(as_dask(X, ROWS)).compute() == local.predict(X)).all()
    numbers = MLPRegressor(**FEW).fit(X, X[:, :2])
    lazy = DaskMLPRegressor.from_local(numbers).predict(as_dask(X, ROWS))
    assert (lazy.compute() == numbers.predict(X)).all()


def test_the_model_is_once_in_the_graph(model):
    lazy = model.predict_proba(as_dask(X, ROWS))
    graph = dict(lazy.__dask_graph__())
    models = [key for key, task in graph.items() if _holds(task, MLPClassifier)]
    assert len(models) == 1
    assert len(graph) >= 2 * len(ROWS)


def _holds(task, kind):
    """Whether a task of a graph holds an object of this class itself."""
    values = [task, getattr(task, "value", None), *getattr(task, "args", ())]
    values += list(getattr(task, "kwargs", {}).values())
    return any(isinstance(one, kind) for one in values)


def test_what_training_alone_needs_is_not_sent(client, model):
    from fastbp.dask.prediction import to_predict_with

    sent = vars(to_predict_with(model.to_local()))
    assert "_optimizer" not in sent and "coefs_" in sent
    assert "_optimizer" in vars(model.to_local())


@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_the_local_model(client, model, weighted):
    labels = np.array(["a", "b", "c"])[Y]
    w = np.linspace(0, 2, len(X)) if weighted else None
    found = model.score(as_dask(X, ROWS), as_dask(labels, ROWS), as_dask(w, ROWS))
    expected = model.to_local().score(X, labels, w)
    assert found == expected if w is None else abs(found - expected) < 1e-12
    local = MLPRegressor(**FEW).fit(X, X[:, :2])
    y = X[:, :2] + 0.1 * X[:, 2:4]
    found = DaskMLPRegressor.from_local(local).score(
        as_dask(X, ROWS), as_dask(y, ROWS), as_dask(w, ROWS)
    )
    np.testing.assert_allclose(found, local.score(X, y, w), rtol=1e-5)
    assert model.score(X, labels) == model.to_local().score(X, labels)


def test_a_partition_without_weight_does_not_count_in_the_score(client, model):
    labels = np.array(["a", "b", "c"])[Y]
    w = np.arange(len(X)) % 3.0
    w[: ROWS[0]] = 0
    found = model.score(as_dask(X, ROWS), as_dask(labels, ROWS), as_dask(w, ROWS))
    np.testing.assert_allclose(found, model.to_local().score(X, labels, w), rtol=1e-12)
    with pytest.raises(ValueError, match="at least one non-zero"):
        model.score(as_dask(X, ROWS), as_dask(labels, ROWS), as_dask(0 * w, ROWS))
