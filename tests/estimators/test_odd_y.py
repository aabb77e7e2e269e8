"""Odd y: targets and labels that are refused, and those that are accepted."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from numpy import inf, nan
from odd_inputs import (
    AB,
    CLF,
    DEFAULTS,
    FITTED,
    MATRIX,
    NEW,
    REG,
    SHORT,
    T2,
    X32,
    XO,
    XS,
    Y2,
    M,
    Same,
    T,
    X,
    Y,
    Z,
    cases,
    cases_accepted,
    check_accepted,
    check_refused,
    fit,
    negative_poisson,
    not_numeric,
    ours,
    outcome,
    partial_fit,
    pd,
    put,
    rows,
    same,
    score,
    sklearn,
    theirs,
)

from fastbp import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- what is refused: y of both estimators

SHAPES = [
    theirs("X longer than y", fit(X, Y[:-1])),
    theirs("y longer than X", fit(X[:-1], Y)),
    theirs("CSR shorter than y", fit(XS[:-1], Y)),
    theirs("y empty", fit(X, Y[:0])),
    theirs("y without columns", fit(X, T2[:, :0])),
    theirs("y of three dimensions", fit(X, T2[:, :, None])),
    theirs("y a number", fit(X, 1)),
    theirs("y a string", fit(X, "ab")),
    theirs("y None", fit(X, None)),
    theirs("y a sparse column", fit(X, sp.csr_array(Y[:, None]))),
    theirs("partial_fit, X longer than y", partial_fit(X, Y[:3]), on=FITTED),
    theirs("y shorter, first time", partial_fit(X, Y[:3], classes=[0, 1, 2]), CLF, on=NEW),
]

VALUES = [
    theirs("y np.matrix", fit(X, MATRIX[:, :1])),
    theirs("y complex", fit(X[:2], Z)),
    theirs("y objects with a string", fit(X, put(XO[:, 0], 0, "a")), REG),
    theirs("y an int beyond floats", fit(X, put(XO[:, 0], 0, 10**400)), REG),
    theirs("NaN in y", fit(X, put(T, 3, nan))),
    theirs("NaN in y, lbfgs", fit(X, put(T, 3, nan)), params={"solver": "lbfgs"}),
    theirs("NaN in one of two outputs", fit(X, put(T2, (3, 1), nan))),
    theirs("infinity in y", fit(X, put(T, 3, inf))),
    theirs("-infinity in y", fit(X, put(T, 3, -inf))),
    theirs("infinity in float32 y", fit(X, put(X32[:, 0], 3, inf))),
    theirs("partial_fit, NaN in y", partial_fit(X, put(T, 3, nan)), on=FITTED),
]

SCORE = rows(
    theirs("score, y shorter", score(X, Y[:-1])),
    theirs("score, NaN in y", score(X, put(T, 3, nan)), REG),
    theirs("score, strings", score(X, ["a"] * 20), REG),
    theirs("score, strings", score(X, ["a"] * 20), CLF, since=(1, 9)),  # before: no label is right
    theirs("score, floats", score(X, T), CLF),
    theirs("score, two outputs", score(X, T2), REG),
    theirs("score, y None", score(X, None), REG),
    on=FITTED,
)

# --- what is refused: targets of the regressor

TOO_LARGE = ValueError("y has values too large for float32, the dtype of X: convert X to float64.")

# scikit-learn's subtraction of y refuses these, or it trains on NaN.
NO_NUMBERS = rows(
    *[
        ours(f"y {what}, {solver}", fit(X, y), error, params={"solver": solver})
        for what, y, error in [
            ("strings of numbers", np.array(["1", "2"] * 10), not_numeric("<U1")),
            ("dates", np.arange(20).astype("M8[s]"), not_numeric("datetime64[s]")),
            ("time differences", np.arange(20).astype("m8[s]"), not_numeric("timedelta64[s]")),
            ("None among objects", put(XO[:, 0], 0, None), ValueError("Input y contains NaN.")),
        ]
        for solver in ("adam", "lbfgs")
    ],
    of=REG,
)

# scikit-learn trains on infinite targets.
OVERFLOW = rows(
    ours("y beyond float32", fit(X32, put(T, 3, 1e300)), TOO_LARGE),
    ours("y below float32", fit(X32, put(T, 3, -1e39)), TOO_LARGE),
    ours("y beyond float32, CSR", fit(sp.csr_array(X32), put(T, 3, 1e300)), TOO_LARGE),
    ours("y beyond float32, two outputs", fit(X32, put(T2, (3, 1), 1e39)), TOO_LARGE),
    ours("y beyond float32, integers", fit(X32, [10**40] * 20), TOO_LARGE),
    ours("y beyond float32, lbfgs", fit(X32, 1e39 * T), TOO_LARGE, params={"solver": "lbfgs"}),
    ours("y beyond float32, later", partial_fit(X32, 1e39 * T), TOO_LARGE, before=fit(X32, T)),
    of=REG,
)

# scikit-learn trains on whatever the targets are.
POISSON = rows(
    ours("y < 0", fit(X, put(abs(T), 3, -0.5)), negative_poisson(-0.5)),
    ours("y < 0, integers", fit(X, put(Y, 3, -1)), negative_poisson(-1)),
    ours("y < 0, two outputs", fit(X, put(abs(T2), (3, 1), -2.0)), negative_poisson(-2.0)),
    ours("y < 0, partial_fit", partial_fit(X, put(Y, 3, -1)), negative_poisson(-1)),
    of=REG,
    params={"loss": "poisson"},
) + [
    ours(
        "y < 0, lbfgs",
        fit(X, put(abs(T), 3, -0.5)),
        negative_poisson(-0.5),
        REG,
        {"loss": "poisson", "solver": "lbfgs"},
    )
]

LOSS_TARGETS = [
    ours(what, fit(X, y), ValueError(f"Some values of y are {text}"), REG, params)
    for what, y, params, text in [
        (
            "gamma, y = 0",
            put(abs(T) + 1, 3, 0),
            {"loss": "gamma"},
            "not positive: loss='gamma' needs y > 0, got a minimum of 0.0.",
        ),
        (
            "tweedie, y < 0",
            put(abs(T), 3, -0.5),
            {"loss": "tweedie"},
            "negative: loss='tweedie' needs y >= 0, got a minimum of -0.5.",
        ),
        (
            "logistic, y < 0",
            put(abs(T) / 9, 3, -0.5),
            {"out_activation": "logistic"},
            "negative: out_activation='logistic' needs y >= 0, got a minimum of -0.5.",
        ),
        (
            "logistic, y > 1",
            put(abs(T) / 9, 3, 1.5),
            {"out_activation": "logistic"},
            "above 1: out_activation='logistic' needs y <= 1, got a maximum of 1.5.",
        ),
    ]
]

# scikit-learn fails where it adds arrays of different shapes, or trains one output on two.
NUMBER_OF_OUTPUTS = [
    ours(f"{what}, {call.method}", call, ValueError(error), REG, params, FITTED, before)
    for before, y, what, error in [
        (
            fit(X, T),
            T2,
            "two outputs after one",
            "y has 2 columns, but the fitted model has 1 outputs.",
        ),
        (
            fit(X, T2),
            T,
            "one output after two",
            "y has 1 columns, but the fitted model has 2 outputs.",
        ),
    ]
    for call, params in [(partial_fit(X, y), {}), (fit(X, y), {"warm_start": True})]
]


# --- what is refused: labels of the classifier

CLASSES = rows(
    theirs("floats for labels", fit(X[:3], SHORT)),
    theirs("ints beyond 64 bits", fit(X[:1], [2**70])),
    theirs("strings and ints", fit(X, np.array(["a", 1] * 10, "O"))),
    theirs("None among ints", fit(X, put(Y.astype("O"), 0, None))),
    theirs("None for labels", fit(X, [None] * 20)),
    theirs("NaN among strings", fit(X, put(AB.astype("O"), 0, nan))),
    theirs("ints among objects", fit(X[:2], np.array([1, 2], "O"))),
    theirs("bytes for labels", fit(X, AB.astype("S")), since=(1, 7)),
    theirs("labels and floats", fit(X, np.c_[Y, T])),
    theirs("several targets, CSR", fit(X, sp.csr_array(np.c_[Y, Y2 + 1]))),
    theirs("several targets, numbers among objects", fit(X, M.astype(object))),
    theirs("floats, two outputs", fit(X, T2)),
    theirs("sequences of labels", fit(X, [(0,), (0, 1)] * 10)),
    of=CLF,
)

FIRST_CLASSES = rows(
    theirs("first classes missing", partial_fit(X, Y)),
    theirs("first classes missing, multilabel", partial_fit(X, M)),
    # scikit-learn 1.6 has no weights: there the third argument is the classes.
    theirs("first classes for weights", partial_fit(X, Y, [0, 1, 2]), peer=partial_fit(X, Y)),
    theirs("label not among them", partial_fit(X, Y, classes=[0, 1])),
    theirs("first classes empty", partial_fit(X, Y, classes=[])),
    theirs("first classes a number", partial_fit(X, Y, classes=3)),
    theirs("first classes a string", partial_fit(X, Y, classes="abc")),
    theirs("first classes floats", partial_fit(X, Y, classes=[0.5, 1.2])),
    theirs("first classes nested", partial_fit(X, Y, classes=[[0, 1, 2]])),
    theirs("first classes a list of one array", partial_fit(X, Y, classes=[np.arange(3)])),
    theirs("first classes missing, several targets", partial_fit(X, np.c_[Y, Y2 + 1])),
    theirs("first classes missing", partial_fit(X, np.c_[Y, Y2 + 1], classes=[0, 1, 2])),
    theirs("first classes mixed", partial_fit(X, Y, classes=np.array(["a", 1], object))),
    of=CLF,
    on=NEW,
)

LATER_CLASSES = rows(
    theirs("other classes", partial_fit(X, Y, classes=[0, 1, 3])),
    theirs("more classes", partial_fit(X, Y, classes=[0, 1, 2, 3])),
    theirs("new label", partial_fit(X, Y), before=fit(X, Y2)),
    theirs(
        "new label after partial_fit",
        partial_fit(X, Y),
        before=partial_fit(X, Y2, classes=[0, 1]),
    ),
    theirs("strings after ints", partial_fit(X, AB)),
    theirs("multilabel after multiclass", partial_fit(X, M)),
    theirs("fewer labels, multilabel", partial_fit(X, M[:, :2]), before=fit(X, M)),
    of=CLF,
    on=FITTED,
)

WARM_START = rows(
    theirs("warm start, fewer classes", fit(X, Y2)),
    theirs("warm start, more classes", fit(X, Y), before=fit(X, Y2)),
    theirs("warm start, strings", fit(X, AB)),
    theirs("warm start, fewer labels, multilabel", fit(X, M[:, :2]), before=fit(X, M)),
    theirs("warm start, partial_fit, fewer classes", partial_fit(X, Y2)),
    of=CLF,
    on=FITTED,
    params={"warm_start": True},
)

REFUSED = [
    *SHAPES,
    *VALUES,
    *SCORE,
    *NO_NUMBERS,
    *OVERFLOW,
    *POISSON,
    *LOSS_TARGETS,
    *NUMBER_OF_OUTPUTS,
    *CLASSES,
    *FIRST_CLASSES,
    *LATER_CLASSES,
    *WARM_START,
]

if pd is not None:
    NUMBERS_NA = pd.Series(pd.array([1, None] * 10, dtype="Int64"))
    REFUSED.append(theirs("y with missing values", fit(X, NUMBERS_NA)))


@pytest.mark.parametrize("row, cls, on", cases(REFUSED))
def test_refused(row, cls, on):
    check_refused(row, cls, on)


# --- what is accepted

ODD_TARGETS = [
    ("list", Y.tolist(), Y, CLF + REG),
    ("tuple", tuple(Y.tolist()), Y, CLF + REG),
    ("bool", Y2 > 0, Y2, CLF + REG),
    ("uint8", Y.astype(np.uint8), Y, CLF + REG),
    ("float64", Y.astype(float), Y, CLF + REG),
    ("float32", Y.astype(np.float32), Y, CLF + REG),
    ("float16", Y.astype(np.float16), Y, CLF + REG),
    ("objects that are ints", Y.astype(object), Y, REG),
    ("objects that are floats", T.astype(object), T, REG),
    ("two outputs, lists", T2.tolist(), T2, REG),
    ("two outputs, objects", T2.astype(object), T2, REG),
    ("three outputs, CSR", sp.csr_array(M), M, REG),
    ("multilabel, lists", M.tolist(), M, CLF),
    ("multilabel, bool", M > 0, M, CLF),
    ("multilabel, floats", M.astype(float), M, CLF),
    ("multilabel, CSR", sp.csr_array(M), M, CLF),
]


PAIRS = [("a", "b"), ("b", "c")] * 10

ACCEPTED = [
    *[Same(f"y {what}", fit(X, odd), fit(X, plain), of) for what, odd, plain, of in ODD_TARGETS],
    Same("y a column", fit(X, Y[:, None]), fit(X, Y), warns=True),
    Same("y a column of lists", fit(X, Y[:, None].tolist()), fit(X, Y), warns=True),
    Same(
        "several targets, lists", fit(X, np.c_[Y, Y2 + 1].tolist()), fit(X, np.c_[Y, Y2 + 1]), CLF
    ),
    Same("several targets, tuples", fit(X, PAIRS), fit(X, np.array(PAIRS)), CLF),
    Same("one row", fit(X[:1].tolist(), [1.5]), fit(X[:1], np.array([1.5])), REG),
    Same(
        "classes in another order",
        partial_fit(X, Y, classes=[2, 0, 1]),
        partial_fit(X, Y, classes=[0, 1, 2]),
        CLF,
    ),
    Same(
        "classes twice",
        partial_fit(X, Y, classes=np.array([0, 1, 2, 1])),
        partial_fit(X, Y, classes=[0, 1, 2]),
        CLF,
    ),
]

if pd is not None:
    ACCEPTED += [
        Same("y a Series", fit(X, pd.Series(Y)), fit(X, Y)),
        Same("y a Series with an index", fit(X, pd.Series(Y, index=range(90, 110))), fit(X, Y)),
        Same("y a nullable Series", fit(X, pd.Series(Y, dtype="Int64")), fit(X, Y)),
        Same("y a nullable float Series", fit(X, pd.Series(T, dtype="Float64")), fit(X, T), REG),
        Same("y a frame of one column", fit(X, pd.DataFrame(Y)), fit(X, Y), warns=True),
        Same("y a frame of two columns", fit(X, pd.DataFrame(T2)), fit(X, T2), REG),
        Same("multilabel, a frame", fit(X, pd.DataFrame(M)), fit(X, M), CLF),
    ]


@pytest.mark.parametrize("row, cls", cases_accepted(ACCEPTED))
def test_accepted(row, cls):
    check_accepted(row, cls)


# Labels of any kind give the network of the labels 0, 1, 2, and are predicted as they were given.
NAMES = np.array(["ab", "b", "c"])
ODD_LABELS = [
    ("str", NAMES),
    ("np.str_ among objects", np.array([np.str_(name) for name in NAMES], object)),
    ("str among objects", NAMES.astype(object)),
    ("str that are numbers", np.array(["-1", "0", "1"])),
    ("empty str", np.array(["", " ", "\N{SNOWMAN}"])),
    ("int64 extremes", np.array([-(2**63), 0, 2**63 - 1])),
    ("uint64 extremes", np.array([0, 2**63, 2**64 - 1], np.uint64)),
    ("int8", np.array([-128, 0, 127], np.int8)),
    ("uint8", np.array([0, 1, 255], np.uint8)),
    ("whole floats", np.array([-1.0, 0.0, 1e10])),
    ("whole float32", np.array([-1.0, 0.0, 1.0], np.float32)),
    ("big endian", np.array([1, 2, 3], ">i4")),
]


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("names", [pytest.param(names, id=what) for what, names in ODD_LABELS])
def test_labels(names, n):
    y = np.arange(20) % n
    plain = MLPClassifier(**DEFAULTS).fit(X, y)
    # NumPy makes floats of a list of large unsigned integers.
    for labels in [names[y]] if names.dtype == np.uint64 else [names[y], names[y].tolist()]:
        est = MLPClassifier(**DEFAULTS).fit(X, labels)
        assert same(outcome(est, X), outcome(plain, X))
        assert est.classes_.tolist() == names[:n].tolist()
        assert est.predict(X).tolist() == names[plain.predict(X)].tolist()
        assert est.score(X, labels) == plain.score(X, y)
    est = MLPClassifier(**DEFAULTS).fit(X, names[y])
    peer = sklearn.neural_network.MLPClassifier(**DEFAULTS).fit(X, names[y])
    assert same(est.classes_, peer.classes_)
    assert same(est.predict(X), peer.predict(X))


def test_bool_labels():
    plain = MLPClassifier(**DEFAULTS).fit(X, Y2)
    est = MLPClassifier(**DEFAULTS).fit(X, Y2 > 0)
    assert same(outcome(est, X), outcome(plain, X))
    assert est.predict(X).dtype == bool


@pytest.mark.skipif(pd is None, reason="pandas is not installed")
@pytest.mark.parametrize(
    "dtype, names", [("category", "abc"), ("string", "abc"), ("Int64", (7, 8, 9)), (object, "abc")]
)
def test_labels_of_pandas(dtype, names):
    y = pd.Series([names[i] for i in Y], dtype=dtype)
    plain = MLPClassifier(**DEFAULTS).fit(X, Y)
    est = MLPClassifier(**DEFAULTS).fit(X, y)
    assert same(outcome(est, X)[:-1], outcome(plain, X)[:-1])
    assert est.predict(X).tolist() == [names[i] for i in plain.predict(X)]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("label", [0, 7, "a", True, 2.0], ids=repr)
def test_one_class(label, solver):
    """One column of ones, where scikit-learn gives two columns that depend on X."""
    est = MLPClassifier(**DEFAULTS).set_params(solver=solver).fit(X, [label] * 20)
    assert est.classes_.tolist() == [label]
    assert same(est.predict_proba(X), np.ones((20, 1)))
    assert same(est.predict_log_proba(X), np.zeros((20, 1)))
    assert est.predict(X).tolist() == [label] * 20
    assert est.score(X, [label] * 20) == 1.0
    assert all(np.isfinite(w).all() for w in est.coefs_ + est.intercepts_)


def test_one_class_of_partial_fit():
    est = MLPClassifier(**DEFAULTS).partial_fit(X32, 0 * Y, classes=[0]).partial_fit(X32, 0 * Y)
    assert same(est.predict_proba(X32), np.ones((20, 1), np.float32))
    assert same(est.predict_log_proba(X32), np.zeros((20, 1), np.float32))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_row(solver):
    est = MLPClassifier(**DEFAULTS).set_params(solver=solver).fit(X[:1], ["a"])
    assert est.predict(X).tolist() == ["a"] * 20
    est = MLPRegressor(**DEFAULTS).set_params(solver=solver).fit(X[:1], T2[:1])
    assert est.predict(X).shape == (20, 2)
    assert est.predict(X[:1]).shape == (1, 2)
