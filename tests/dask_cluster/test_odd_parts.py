"""Odd partitions and mismatched data: right, or an error that names the partition."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from clusters import as_dask, da, dask, labelled, sha
from scipy.sparse import csr_array

from fastbp import MLPClassifier, MLPRegressor
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor

dd = pytest.importorskip("dask.dataframe")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LBFGS = dict(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=2, random_state=0)
STEPS = dict(hidden_layer_sizes=(5,), max_iter=2, random_state=0, n_shards=2, rounds_per_epoch=1)


def frames(n=1500):
    """A frame with names and text labels, and both in five partitions, of which one is empty."""
    X, y = labelled(n, features=4)
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(n) * 2)
    labels = pd.Series(np.array(["x", "yy", "zzz"], object)[y], index=frame.index, name="label")
    bounds = [0, 400, 400, 401, 1100, n]
    pieces = [slice(a, b) for a, b in pairwise(bounds)]
    divisions = dict(meta=None, verify_meta=False)
    parts = [
        dd.from_delayed([dask.delayed(one.iloc[part]) for part in pieces], **divisions)
        for one in (frame, labels)
    ]
    return frame, labels, *parts


def test_frames_of_unknown_lengths_with_text_labels(client):
    frame, labels, X, y = frames()
    model = DaskMLPClassifier(**LBFGS).fit(X, y)
    local = MLPClassifier(**LBFGS).fit(frame, labels)
    assert sha(model) == sha(local)
    assert [*model.feature_names_in_] == ["a", "b", "c", "d"]
    assert [*model.classes_] == [*local.classes_]


def test_integers_are_read_as_float64(client):
    rng = np.random.RandomState(0)
    X, y = rng.randint(-3, 4, (1200, 3)), rng.randint(0, 2, 1200)
    rows = (500, 700)
    model = DaskMLPClassifier(**LBFGS).fit(as_dask(X, rows), as_dask(y, rows))
    assert sha(model) == sha(MLPClassifier(**LBFGS).fit(X, y))


def test_columns_and_rows_in_other_chunks_are_brought_together(client):
    X, y = labelled(1500)
    data = da.from_array(X, chunks=((900, 600), (3, 4))), da.from_array(y, chunks=400)
    assert sha(DaskMLPClassifier(**LBFGS).fit(*data)) == sha(MLPClassifier(**LBFGS).fit(X, y))


def test_weights_of_a_whole_partition_may_be_zero(client):
    X, y = labelled(1500)
    w = np.ones(1500)
    w[400:900] = 0
    data = [as_dask(one, (400, 500, 600)) for one in (X, y, w)]
    assert sha(DaskMLPClassifier(**LBFGS).fit(*data)) == sha(MLPClassifier(**LBFGS).fit(X, y, w))
    with pytest.raises(ValueError, match="at least one non-zero"):
        DaskMLPClassifier(**LBFGS).fit(*data[:2], as_dask(0 * w, (400, 500, 600)))


def test_targets_of_a_regressor_decide_the_dtype(client):
    """float32 is too coarse for them, as the local fit finds."""
    X, _ = labelled(1500)
    y = 1e6 * X[:, 0] + 10 * X[:, 1]
    rows = (700, 800)
    model = DaskMLPRegressor(**LBFGS).fit(as_dask(X, rows), as_dask(y, rows))
    local = MLPRegressor(**LBFGS).fit(X, y)
    assert model.coefs_[0].dtype == local.coefs_[0].dtype == np.float32
    assert sha(model) == sha(local)


def test_all_data_in_one_row(client):
    X, y = labelled(1)
    model = DaskMLPClassifier(**STEPS).fit(as_dask(X, (0, 1, 0)), as_dask(y, (0, 1, 0)))
    assert np.isfinite(model.loss_)


# ---- what is refused


def parts_of(X, y, change):
    """Three partitions, of which `change` makes another second one."""
    bounds = [slice(0, 400), slice(400, 900), slice(900, 1500)]
    pieces = [(X[part], y[part]) for part in bounds]
    pieces[1] = change(*pieces[1])
    return [[dask.delayed(piece[k]) for piece in pieces] for k in (0, 1)]


def with_nan(x, y):
    x = x.copy()
    x[7, 1] = np.nan
    return x, y


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (with_nan, "partition 1: Input X contains NaN"),
        (lambda x, y: (x.astype(float), y), "partition 1: X has the dtype float64"),
        (lambda x, y: (x[:, 1:], y), "partition 1: X has 6 features"),
        (lambda x, y: (csr_array(x), y), "partition 1: X is sparse"),
        (lambda x, y: (x, y[1:]), "partition 1: .*inconsistent numbers of samples"),
        (lambda x, y: (x, np.array(["a", "b"] * 250)), "partition 1: y has the dtype"),
        (lambda x, y: (x, y[:, None].repeat(2, 1)), "partition 1: y has 2 columns"),
        (lambda x, y: (x[:0], y), "partition 1: "),
    ],
    ids=["nan", "dtype", "features", "sparse", "lengths", "labels", "columns", "no X"],
)
def test_an_error_names_the_partition(client, change, text):
    X, y = labelled(1500)
    model = DaskMLPClassifier(**LBFGS)
    with pytest.raises(ValueError, match=text):
        model.fit(*parts_of(X, y, change))
    assert not hasattr(model, "coefs_")


def test_frames_with_other_columns_are_refused(client):
    frame, labels, *_ = frames()
    pieces = [frame[:700], frame[700:][["b", "a", "c", "d"]]]
    y = [dask.delayed(labels[:700]), dask.delayed(labels[700:])]
    with pytest.raises(ValueError, match="partition 1: X has the feature names"):
        DaskMLPClassifier(**LBFGS).fit([dask.delayed(one) for one in pieces], y)


def test_lengths_that_do_not_match_are_refused_at_once(client):
    X, y = labelled(1500)
    X = as_dask(X, (700, 800))
    for wrong, text in (
        (as_dask(y[1:], (700, 799)), "X has 1500 rows, but y has 1499"),
        ([dask.delayed(y)], "X has 2 partitions, but y has 1"),
    ):
        with pytest.raises(ValueError, match=text):
            DaskMLPClassifier(**LBFGS).fit(X, wrong)
    with pytest.raises(ValueError, match="X has 1500 rows, but sample_weight has 3"):
        DaskMLPClassifier(**LBFGS).fit(X, as_dask(y, (700, 800)), da.ones(3))


def test_bad_weights_name_the_partition(client):
    X, y = labelled(1500)
    w = np.ones(1500)
    w[900] = -1
    data = [as_dask(one, (700, 800)) for one in (X, y, w)]
    with pytest.raises(ValueError, match=r"partition 1: .*sample_weight"):
        DaskMLPClassifier(**LBFGS).fit(*data)


def test_no_rows_at_all_are_refused(client):
    X, y = labelled(5)
    with pytest.raises(ValueError, match="all partitions are empty"):
        DaskMLPClassifier(**LBFGS).fit(as_dask(X[:0], (0, 0)), as_dask(y[:0], (0, 0)))


def test_data_in_memory_are_refused(client):
    X, y = labelled(50)
    with pytest.raises(TypeError, match="for data in memory use MLPClassifier"):
        DaskMLPClassifier(**LBFGS).fit(X, y)
    with pytest.raises(TypeError, match="y must be a dask Array"):
        DaskMLPClassifier(**LBFGS).fit(as_dask(X, (50,)), y)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (dict(n_shards=0), "'n_shards' parameter"),
        (dict(rounds_per_epoch=1.5), "'rounds_per_epoch' parameter"),
        (dict(patience=0), "'patience' parameter"),
        (dict(scale_rate="yes"), "'scale_rate' parameter"),
        (dict(alpha=-1), "'alpha' parameter"),
        (dict(solver="adam", early_stopping=True), "early_stopping=True needs X_val"),
        (dict(client=3), "client must be a synchronous"),
    ],
)
def test_parameters_are_checked(client, parameters, text):
    X, y = labelled(50)
    with pytest.raises((TypeError, ValueError), match=text):
        DaskMLPClassifier(**{**LBFGS, **parameters}).fit(as_dask(X, (50,)), as_dask(y, (50,)))


def test_bad_parameters_are_refused_before_data_are_read(client):
    X, y = labelled(1500)

    def fails(block):
        raise AssertionError("data were read")

    parts = da.from_array(X, chunks=(500, X.shape[1])).map_blocks(fails, meta=X[:0])
    for parameters, message in (
        (dict(early_stopping=True), "early_stopping=True needs X_val and y_val"),
        (dict(hidden_layer_sizes=(0,)), "hidden_layer_sizes must be > 0"),
        (dict(scoring="no such"), "no such"),
    ):
        with pytest.raises(ValueError, match=message):
            DaskMLPClassifier(**{**STEPS, **parameters}).fit(parts, as_dask(y, (500, 500, 500)))
