"""Odd tables and odd targets, each with the exact result or message of a fit or prediction."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tables import classes, frame

from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

SETTINGS = dict(hidden_layer_sizes=(8,), max_iter=3, n_members=2, random_state=0)
X, NUMBERS = frame(40)
LABELS = classes(40)[1]
nan = np.nan


def classifier(**parameters):
    return TabularMLPClassifier(**{**SETTINGS, **parameters})


def regressor(**parameters):
    return TabularMLPRegressor(**{**SETTINGS, **parameters})


def of_frame(column):
    """The frame with one more column."""
    return X.assign(more=column)


# Tables that are fitted and predicted like any other.
FITTED = {
    "an all-missing column": of_frame(nan),
    "a column of None": of_frame(None),
    "one level": of_frame(pd.Categorical(["a"] * 40)),
    "a constant": of_frame(7.0),
    "one level and missing": of_frame(pd.Categorical(["a", None] * 20)),
    "bools": of_frame(np.arange(40) % 3 == 0),
    "nullable bools": of_frame(pd.array([True, None] * 20, dtype="boolean")),
    "nullable integers": of_frame(pd.array([1, None, 3, 4] * 10, dtype="Int64")),
    "nullable strings": of_frame(pd.array(["a", None] * 20, dtype="string")),
    "arrow": of_frame(pd.array([1.5, None] * 20, dtype="double[pyarrow]")),
    "sparse": of_frame(pd.arrays.SparseArray([0.0, 0.0, 1.0, 0.0] * 10)),
    "each row its level": of_frame([f"level {i}" for i in range(40)]),
    "huge and tiny": of_frame([1e308, -1e308, 5e-324, 0.0] * 10),
    "integer names": X.set_axis([0, 1, 2], axis=1),
    "another index": X.set_axis(np.arange(40)[::-1] * 3, axis=0),
    "an array": X[["size", "age"]].to_numpy(),
    "a list": X.astype(object).to_numpy().tolist(),
    "one column": X[["color"]],
}


@pytest.mark.parametrize("name", FITTED)
def test_tables_that_are_fitted(name):
    table = FITTED[name]
    probability = classifier().fit(table, LABELS).predict_proba(table)
    assert probability.shape == (40, 3)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert np.isfinite(regressor().fit(table, NUMBERS).predict(table)).all()


def test_unseen_levels_and_reordered_categories():
    model = classifier().fit(X, LABELS)
    color = X["color"].astype(str)
    reordered = X.assign(color=pd.Categorical(color, ["red", "blue", "green", "black"]))
    np.testing.assert_array_equal(model.predict_proba(reordered), model.predict_proba(X))
    unseen = model.predict_proba(X.assign(color="black"))
    missing = model.predict_proba(X.assign(color=None))
    np.testing.assert_array_equal(unseen, missing)


def lazily_polars():
    return pytest.importorskip("polars").Series(LABELS.tolist())


# Kinds of labels: y, and the classes.
KINDS_OF_LABELS = {
    "strings": (LABELS, ["high", "low", "mid"]),
    "objects": (LABELS.astype(object), ["high", "low", "mid"]),
    "bools": (NUMBERS > 0, [False, True]),
    "floats": (np.where(NUMBERS > 0, 1.0, -1.0), [-1, 1]),
    "a series": (pd.Series(LABELS, index=np.arange(40) + 5), ["high", "low", "mid"]),
    "categories": (pd.Series(LABELS, dtype="category"), ["high", "low", "mid"]),
    "a list": (LABELS.tolist(), ["high", "low", "mid"]),
    "one class": (np.ones(40, int), [1]),
    "a class with one row": (np.r_[5, np.arange(39) % 2], [0, 1, 5]),
    "a polars series": (lazily_polars, ["high", "low", "mid"]),
    "arrow strings": (pd.Series(LABELS, dtype="string[pyarrow]"), ["high", "low", "mid"]),
    "nullable integers": (pd.Series(np.arange(40) % 3, dtype="Int64"), [0, 1, 2]),
    "nullable bools": (pd.Series(NUMBERS > 0, dtype="boolean"), [False, True]),
    "each row its class but two": (np.r_[np.arange(39), 0], list(range(39))),
}


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@pytest.mark.parametrize("name", KINDS_OF_LABELS)
def test_labels_of_all_kinds(name):
    y, expected = KINDS_OF_LABELS[name]
    y = y() if callable(y) else y
    model = classifier(n_members=5).fit(X, y)
    assert model.classes_.tolist() == expected
    assert model.predict_proba(X).shape == (40, len(expected))
    assert set(model.predict(X)) <= set(expected)
    assert all(member.classes_.tolist() == expected for member in model.members_)
    assert not np.isnan(model.oof_prediction_).any()


def test_a_column_of_targets_warns_and_is_one_target():
    from sklearn.exceptions import DataConversionWarning

    for model, y in ((classifier(), LABELS), (regressor(), NUMBERS)):
        expected = model.fit(X, y).predict(X)
        with pytest.warns(DataConversionWarning, match="column-vector y"):
            model.fit(X, y[:, None])
        np.testing.assert_array_equal(model.predict(X), expected)


def test_a_sparse_column_of_targets_is_one_target():
    y = np.arange(40) % 2
    for model in (classifier(), regressor()):
        expected = model.fit(X, y).predict(X)
        with pytest.warns(UserWarning, match="column-vector y"):
            model.fit(X, sp.csr_array(y[:, None]))
        np.testing.assert_array_equal(model.predict(X), expected)


FRAMES = {
    "polars": lambda: pytest.importorskip("polars").from_pandas(X),
    "polars, lazy": lambda: pytest.importorskip("polars").from_pandas(X).lazy(),
    "arrow": lambda: pytest.importorskip("pyarrow").Table.from_pandas(X),
}


@pytest.mark.parametrize("weight", [None, np.arange(40) % 4])
@pytest.mark.parametrize("name", FRAMES)
def test_frames_of_other_libraries(name, weight):
    table, model = FRAMES[name](), classifier()
    if "lazy" in name:
        with pytest.raises(TypeError, match="LazyFrame of polars: call its method collect"):
            model.fit(table, LABELS, weight)
        return
    found = model.fit(table, LABELS, weight).predict_proba(table)
    np.testing.assert_array_equal(found, model.fit(X, LABELS, weight).predict_proba(X))


@pytest.mark.parametrize(
    "groups", [["a", "b"] * 20, np.arange(40) // 20, pd.Series([1.5, 2.5] * 20)]
)
def test_two_groups_are_two_folds(groups):
    """Of five members some share a fold."""
    for model, y in ((classifier(n_members=5), LABELS), (regressor(n_members=5), NUMBERS)):
        model.fit(X, y, groups=groups)
        assert np.isfinite(model.oof_prediction_).all()
        members = model.predict_members(X).astype(model.oof_prediction_.dtype)
        means = [members[[0, 2, 4]].mean(axis=0), members[[1, 3]].mean(axis=0)]
        first = np.asarray(groups) == groups[0]
        is_close = [np.isclose(model.oof_prediction_[first], one[first]).all() for one in means]
        assert sum(is_close) == 1


@pytest.mark.parametrize("n_rows", [2, 3, 4, 7])
def test_few_rows(n_rows):
    table, y = X[:n_rows], NUMBERS[:n_rows]
    model = regressor(n_members=5).fit(table, y)
    assert np.isfinite(model.predict(table)).all()
    assert np.isfinite(model.oof_prediction_).all()
    model = classifier(n_members=5).fit(table, np.arange(n_rows) % 2)
    assert model.predict_proba(table).shape == (n_rows, 2)


VAL = dict(X_val=X[:9], y_val=LABELS[:9])
# What is refused: the arguments of fit of a classifier or regressor, and the message.
REFUSED = {
    "one row": (classifier(), dict(X=X[:1], y=LABELS[:1]), r"n_samples=1.* need 2"),
    "no row": (classifier(), dict(X=X[:0], y=LABELS[:0]), r"0 sample\(s\)"),
    "no column": (regressor(), dict(X=X[[]]), r"0 feature\(s\)"),
    "infinity": (
        regressor(),
        dict(X=of_frame([np.inf, *[0.0] * 39])),
        "infinity in column 'more'",
    ),
    "two columns of a name": (
        regressor(),
        dict(X=pd.concat([X, X[["age"]]], axis=1)),
        "several columns of the same name.*'age'",
    ),
    "no y": (classifier(), dict(y=None), "requires y to be passed"),
    "lengths": (classifier(), dict(y=LABELS[:-1]), "inconsistent numbers of samples"),
    "missing labels": (classifier(), dict(y=np.r_[nan, np.zeros(39)]), "NaN"),
    "missing numbers": (regressor(), dict(y=np.r_[nan, np.zeros(39)]), "Input y contains NaN"),
    "infinite numbers": (regressor(), dict(y=np.r_[np.inf, np.zeros(39)]), "y contains infinity"),
    "missing labels among strings": (
        classifier(),
        dict(y=[None, *LABELS[1:]]),
        "Input y contains missing values",
    ),
    "missing nullable labels": (
        classifier(),
        dict(y=pd.Series([None, *LABELS[1:]], dtype="string")),
        "Input y contains missing values",
    ),
    "missing nullable integers": (
        classifier(),
        dict(y=pd.Series([None, 1, 2, 2] * 10, dtype="Int64")),
        "Input y contains NaN",
    ),
    "missing nullable numbers": (
        regressor(),
        dict(y=pd.Series([None, 1, 2, 2] * 10, dtype="Int64")),
        "Input y contains NaN",
    ),
    "labels of two kinds": (
        classifier(),
        dict(y=np.array(["a", 1] * 20, dtype=object)),
        "not supported between instances of 'int' and 'str'",
    ),
    "text as numbers": (regressor(), dict(y=LABELS), "y has dtype <U4, which is not numeric"),
    "numbers as text": (
        regressor(),
        dict(y=NUMBERS.astype(str)),
        "y has dtype <U.*, which is not numeric",
    ),
    "dates as numbers": (
        regressor(),
        dict(y=np.arange(40).astype("M8[D]")),
        r"y has dtype datetime64\[D\], which is not numeric",
    ),
    "complex numbers": (regressor(), dict(y=NUMBERS + 0j), "Complex data not supported"),
    "no target": (regressor(), dict(y=np.zeros((40, 0))), r"0 feature\(s\)"),
    "a sparse table": (classifier(), dict(X=sp.csr_array(np.eye(40))), "Sparse data was passed"),
    "sparse weights": (
        classifier(),
        dict(sample_weight=sp.csr_array(np.ones((40, 1)))),
        "sample_weight must be a list or array",
    ),
    "numbers as labels": (classifier(), dict(y=NUMBERS), "Unknown label type"),
    "several targets of a classifier": (
        classifier(),
        dict(y=np.column_stack([LABELS, LABELS])),
        "y must be class labels of one target",
    ),
    "indicators": (
        classifier(),
        dict(y=np.eye(2, dtype=int)[np.arange(40) % 2]),
        "y must be class labels of one target, got multilabel-indicator",
    ),
    "three dimensions": (regressor(), dict(y=np.zeros((40, 1, 1))), "dim 3|dimension"),
    "negative weights": (
        classifier(),
        dict(sample_weight=-np.ones(40)),
        "[Nn]egative",
    ),
    "weights 0": (classifier(), dict(sample_weight=np.zeros(40)), "at least one non-zero"),
    "weights of one row": (
        regressor(),
        dict(sample_weight=np.r_[1, np.zeros(39)]),
        "n_samples=1",
    ),
    "one group": (classifier(), dict(groups=np.ones(40)), "Found 1 group.* need 2"),
    "a missing group": (
        regressor(),
        dict(groups=np.r_[nan, np.zeros(39)]),
        "groups has missing values",
    ),
    "a missing group of strings": (
        classifier(),
        dict(groups=[None, *LABELS[1:]]),
        "groups has missing values",
    ),
    "groups of two kinds": (
        classifier(),
        dict(groups=np.array(["a", 1] * 20, dtype=object)),
        "groups must be numbers or strings, and not both",
    ),
    "two columns of groups": (classifier(), dict(groups=np.ones((40, 2))), "1d array"),
    "lengths of groups": (classifier(), dict(groups=np.ones(3)), "inconsistent"),
    "groups and validation rows": (classifier(), dict(groups=np.arange(40), **VAL), "groups"),
    "X_val alone": (classifier(), dict(X_val=X), "y_val was not provided"),
    "y_val alone": (classifier(), dict(y_val=LABELS), "X_val was not provided"),
    "unseen labels of validation rows": (
        classifier(),
        dict(X_val=X[:3], y_val=["low", "mid", "other"]),
        r"y_val has labels that y has not: \['other'\]",
    ),
    "targets of validation rows": (
        regressor(),
        dict(X_val=X[:3], y_val=np.zeros((3, 2))),
        "y_val has 2 targets, y has 1",
    ),
    "lengths of validation rows": (
        regressor(),
        dict(X_val=X[:3], y_val=np.zeros(4)),
        "X_val has 3 samples, but y_val has 4",
    ),
    "columns of validation rows": (
        regressor(),
        dict(X_val=X[["size"]], y_val=NUMBERS),
        "X_val.*feature names",
    ),
    "class weights": (
        classifier(class_weight={"other": 2.0}),
        {},
        "not in class_weight",
    ),
    "smoothing": (classifier(label_smoothing=1.0), {}, "label_smoothing"),
    "smoothing of another loss": (
        classifier(label_smoothing=0.1, loss="squared_error"),
        {},
        "label_smoothing must be 0",
    ),
    "members": (classifier(n_members=0), {}, "n_members"),
    "a loss": (regressor(loss="log_loss"), {}, "'loss' parameter"),
    "levels": (regressor(loss="quantile", quantile=1.5), {}, "quantile"),
    "widths": (regressor(hidden_layer_sizes=(8, 0)), {}, "hidden_layer_sizes"),
    "categories": (
        regressor(categorical_features=["nothing"]),
        {},
        "not a valid feature name",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    model, arguments, message = REFUSED[name]
    y = NUMBERS if isinstance(model, TabularMLPRegressor) else LABELS
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(**{"X": X, "y": y, **arguments})
    assert "members_" not in vars(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table[["size", "age"]], "feature names"),
        (lambda table: table[["age", "size", "color"]], "feature names"),
        (lambda table: of_frame(1.0), "feature names"),
        (lambda table: table.assign(age=np.inf), "infinity in column 'age'"),
        (lambda table: table.assign(age="old"), "column 'age'"),
    ],
)
def test_what_predictions_refuse(change, message):
    model = classifier().fit(X, LABELS)
    with pytest.raises((ValueError, TypeError), match=message):
        model.predict(change(X))


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gamma"])
def test_targets_that_hardly_vary(loss):
    """In units of their mean, float32 hardly tells them apart; nobody has to hear of that."""
    y = 5 + 1e-6 * NUMBERS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = regressor(loss=loss, max_iter=30).fit(X, y).predict(X)
    assert y.min() <= found.min() < found.max() <= y.max()
    assert loss != "squared_error" or np.corrcoef(found, y)[0, 1] > 0.8
