"""Rows that a member has not seen: nothing in them reaches its weights. And rows of weight 0."""

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from tables import KINDS, classes, frame, output, small

from fastbp.tabular.folds import folds_of_members


def same_weights(one, two):
    """Which members have the same weights, bit for bit."""
    return [
        all(
            np.array_equal(a, b)
            for a, b in zip(
                m.coefs_ + m.intercepts_,
                n.coefs_ + n.intercepts_,
                strict=True,
            )
        )
        for m, n in zip(one.members_, two.members_, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", range(5))
def test_tables_of_held_out_rows_do_not_reach_a_member(kind, number):
    """Rows of X change places within a fold, so that the transformation stays the same.

    After one epoch, which is kept whatever its score is.
    """
    model, X, y = small(kind, max_iter=1)
    known = None if kind == "numbers" else y
    state = np.random.RandomState(model.random_state)
    held_out = folds_of_members(np.arange(len(y)), 5, known, None, state)[number].held_out
    order = np.arange(len(y))
    order[held_out] = held_out[::-1]
    changed = X.iloc[order].reset_index(drop=True)
    other = small(kind, max_iter=1)[0].fit(changed, y)
    model.fit(X, y)
    x = model.transformer_.transform(X)
    np.testing.assert_array_equal(other.transformer_.transform(X), x)
    assert same_weights(model, other) == [k == number for k in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_given_validation_rows_reach_no_member(kind):
    model, X, y = small(kind, max_iter=1)
    model.fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:])
    other = small(kind, max_iter=1)[0]
    other.fit(X[:90], y[:90], X_val=X[80:90], y_val=y[80:90])
    assert same_weights(model, other) == [True] * 5
    assert model.validation_curves_ != other.validation_curves_


def test_a_class_of_weight_0_is_no_reason_to_fail():
    """Its rows are in no fold: a fold of them alone would have no score."""
    X, y = classes(90)
    model = small("multiclass", class_weight={"low": 0})[0]
    model.fit(X, y, groups=np.unique(y, return_inverse=True)[1])
    assert np.isnan(model.oof_prediction_[y == "low"]).all()
    assert np.isfinite(model.oof_prediction_[y != "low"]).all()
    assert model.classes_.tolist() == ["high", "low", "mid"]


def test_metadata_are_routed():
    X, y = frame()
    groups, weight = np.arange(len(y)) % 7, np.linspace(0.5, 2, len(y))
    expected = small("numbers", max_iter=2)[0].fit(X, y, weight, groups=groups).predict(X)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small("numbers", max_iter=2)[0]
        model.set_fit_request(sample_weight=True, groups=True)
        pipe = Pipeline([("same", FunctionTransformer()), ("fit", model)])
        pipe.fit(X, y, sample_weight=weight, groups=groups)
    np.testing.assert_array_equal(output(pipe, X), expected)


@pytest.mark.parametrize("library", ["polars", "pyarrow", "list"])
def test_rows_of_weight_0_are_left_out_of_all_kinds_of_tables(library):
    X, y = frame(60)
    X = X.astype({"color": str})
    weight = np.r_[np.zeros(7), np.ones(53)]
    X.loc[3, "size"] = 1e9
    if library == "list":
        table = X.to_numpy(object).tolist()
        kept = table[7:]
    elif library == "polars":
        table = pytest.importorskip("polars").from_pandas(X)
        kept = table[7:]
    else:
        table = pytest.importorskip("pyarrow").Table.from_pandas(X)
        kept = table.slice(7)
    model = small("numbers", max_iter=2)[0]
    found = model.fit(table, y, weight).predict(kept)
    np.testing.assert_array_equal(model.fit(kept, y[7:]).predict(kept), found)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_rows_of_weight_0_are_left_out_too(kind):
    model, X, y = small(kind, max_iter=2)
    groups = np.array(list("abcdefghij"))[np.arange(len(y)) % 10]
    weight = np.ones(len(y))
    weight[::10] = weight[5:40:7] = 0
    kept = weight > 0
    found = output(model.fit(X, y, weight, groups=groups), X)
    expected = output(model.fit(X[kept], y[kept], weight[kept], groups=groups[kept]), X)
    np.testing.assert_array_equal(found, expected)
