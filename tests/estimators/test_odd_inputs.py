"""Odd input, as two tables.

What is refused raises exactly this exception with exactly this message, and changes nothing: an
unfitted estimator stays unfitted, a fitted one keeps every bit (its next `partial_fit` included),
and the caller's data keep every byte. What is accepted gives the result of its plain equivalent.
"""

import copy
import math
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from numpy import inf, nan
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import MLPClassifier, MLPRegressor, check_gradient, inspection
from fastbp import graph as fg
from fastbp.graph.expression import Expression

try:
    import pandas as pd
except ImportError:  # the rows that need it are left out
    pd = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Words that are scikit-learn's or NumPy's own are compared with this version only.
SAME_WORDS = sklearn.__version__.startswith("1.9.")

DEFAULTS = dict(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
CLF, REG = (MLPClassifier,), (MLPRegressor,)
NEW, FITTED = ("new",), ("fitted",)

rng = np.random.RandomState(0)
X = rng.randn(20, 5)
X32 = X.astype(np.float32)
XO = X.astype(object)
XS = sp.csr_array(X)
Y = np.arange(20) % 3  # three classes, and a target for the regressor
Y2 = np.arange(20) % 2
M = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]] * 5)  # multilabel
AB = np.array(["a", "b"] * 10)
T = rng.randn(20)
T2 = rng.randn(20, 2)
W = np.ones(20)
Z = np.array([1j, 2.0])
SHORT = np.array([0.5, 1.5, 2.5])  # few enough digits to be quoted in a message
with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX = np.asmatrix(X)


def put(a, index, value):
    """A copy of `a` in which some elements are another value."""
    a = np.array(a)
    a[index] = value
    return a


def csr_with_index(value):
    """CSR whose fourth stored element claims to sit in column `value`."""
    a = sp.csr_array(X)
    a.indices[3] = value
    return a


class Thing:
    """Something that is no number."""


class Call:
    """A method's name and what it is called with."""

    def __init__(self, method, /, *args, **kwargs):
        self.method, self.args, self.kwargs = method, args, kwargs

    def __call__(self, est):
        return getattr(est, self.method)(*self.args, **self.kwargs)


class Use(Call):
    """A function of fastbp and what it is called with besides the estimator."""

    def __call__(self, est):
        return self.method(est, *self.args, **self.kwargs)


fit = partial(Call, "fit")
partial_fit = partial(Call, "partial_fit")
predict = partial(Call, "predict")
score = partial(Call, "score")


# --- what is refused, and in what words -------------------------------------------------------


class Row(NamedTuple):
    id: str
    call: Call
    error: BaseException  # its text is a pattern where a number is free; {name}: the class
    of: tuple = CLF + REG
    params: Mapping[str, Any] = MappingProxyType({})
    on: tuple = NEW + FITTED  # the call meets a new estimator, a fitted one, or each in turn
    before: Call = fit(X, Y)  # what fitted the fitted one
    theirs: bool = False  # the words are scikit-learn's or NumPy's


ours = Row
theirs = partial(Row, theirs=True)


def rows(*table, **common):
    """Rows that have something in common."""
    return [row._replace(**common) for row in table]


def reshape(what):
    return ValueError(
        f"Expected 2D array, got {what}.\nReshape your data either using array.reshape(-1, 1) if "
        "your data has a single feature or array.reshape(1, -1) if it contains a single sample."
    )


def none_found(what, shape):
    return ValueError(
        f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required by "
        "{name}."
    )


def lengths(*found):
    return ValueError(f"Found input variables with inconsistent numbers of samples: {list(found)}")


def n_features(found):
    return ValueError(f"X has {found} features, but {{name}} is expecting 5 features as input.")


def ragged(rows):
    return ValueError(
        "setting an array element with a sequence. The requested array has an inhomogeneous shape "
        f"after 1 dimensions. The detected shape was ({rows},) + inhomogeneous part."
    )


def no_scalar(found):
    return TypeError(
        "Input should have at least 1 dimension i.e. satisfy `len(x.shape) > 0`, "
        f"got scalar `{found}` instead."
    )


def no_sparse(name):
    return TypeError(
        f"Sparse data was passed for {name}, but dense data is required. "
        "Use '.toarray()' to convert to a dense numpy array."
    )


def no_float(found):
    return TypeError(f"float() argument must be a string or a real number, not '{found}'")


def not_numeric(dtype):
    return TypeError(f"y has dtype {dtype}, which is not numeric.")


def no_number(found="'a'"):
    return ValueError(f"could not convert string to float: {found}")


def no_complex(found):
    return ValueError(f"Complex data not supported\n{found}\n")


def infinite(name="X", dtype="float64"):
    return ValueError(f"Input {name} contains infinity or a value too large for dtype('{dtype}').")


def column_index(found):
    return ValueError(f"X has a column index out of range: {found}, expected 0 to 4.")


def weights_1d(ndim):
    return ValueError(
        f"Sample weights must be 1D array or scalar, got {ndim}D array. "
        "Expected either a scalar value or a 1D array of length 20."
    )


def n_weights(found):
    return ValueError(f"sample_weight.shape == ({found},), expected (20,)!")


def no_order(a, b):
    return TypeError(f"'<' not supported between instances of '{a}' and '{b}'")


def label_type(found):
    return ValueError(f"Unknown label type: ({found},)")


def unseen(known, found):
    return ValueError(
        f"`y` has classes not in `self.classes_`. `self.classes_` has {known}. 'y' has {found}."
    )


def last_classes(found):
    return ValueError(
        f"`classes={found}` is not the same as on last call to partial_fit, was: array([0, 1, 2])"
    )


def no_array(found):
    return ValueError(f"Expected array-like (array or non-string sequence), got {found}")


def warm_classes(known, found):
    return ValueError(
        "warm_start can only be used where `y` has the same classes as in the previous call to "
        f"fit. Previously got {known}, `y` has {found}"
    )


def no_training_rows(n, fraction):
    return ValueError(
        f"With n_samples={n}, test_size={fraction} and train_size=None, the resulting train set "
        "will be empty. Adjust any of the aforementioned parameters."
    )


def one_member(found):
    return ValueError(
        "The least populated classes in y have only 1 member, which is too few. The minimum "
        "number of groups for any class cannot be less than 2. Classes with too few members are: "
        f"[{found}]"
    )


def negative_poisson(found):
    return ValueError(
        f"Some values of y are negative: loss='poisson' needs y >= 0, got a minimum of {found}."
    )


def names_differ(how):
    return ValueError(f"The feature names should match those that were passed during fit.\n{how}")


ONE_D = reshape("1D array instead:\narray=[0.5 1.5 2.5]")
THREE_D = ValueError("Found array with dim 3, while dim <= 2 is required by {name}.")
NO_ROWS = none_found("sample", "(0, 5)")
NO_COLS = none_found("feature", "(20, 0)")
NO_Y = ValueError("This {name} estimator requires y to be passed, but the target y is None.")
NO_MATRIX = TypeError(
    "np.matrix is not supported. Please convert to a numpy array with np.asarray. For more "
    "information see: https://numpy.org/doc/stable/reference/generated/numpy.matrix.html"
)
NUMERIC = ValueError(
    "dtype='numeric' is not compatible with arrays of bytes/strings."
    "Convert your data to numeric values explicitly instead."
)
NAN_X = ValueError(
    "Input X contains NaN.\n{name} does not accept missing values encoded as NaN natively. For "
    "supervised learning, you might want to consider sklearn.ensemble."
    "HistGradientBoostingClassifier and Regressor which accept missing values encoded as NaNs "
    "natively. Alternatively, it is possible to preprocess the data, for instance by using an "
    "imputer transformer in a pipeline or drop samples with missing values. See "
    "https://scikit-learn.org/stable/modules/impute.html You can find a list of all estimators "
    "that handle NaN values at the following page: "
    "https://scikit-learn.org/stable/modules/impute.html#estimators-that-handle-nan-values"
)
NAN_Y = ValueError("Input y contains NaN.")
NAN_LABELS = ValueError("Input contains NaN")
NAN_WEIGHTS = ValueError("Input sample_weight contains NaN.")
UNFITTED = NotFittedError(
    "This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using "
    "this estimator."
)
TOO_LONG = OverflowError("int too large to convert to float")
TOO_LARGE = ValueError("y has values too large for float32, the dtype of X: convert X to float64.")
ALL_ZERO = ValueError("Sample weights must contain at least one non-zero number.")
NEGATIVE = ValueError("Negative values in data passed to `sample_weight`.")
MULTIOUTPUT = ValueError("Multioutput target data is not supported with label binarization")
BYTES = TypeError(
    "Support for labels represented as bytes is not supported. "
    "Convert the labels to a string or integer format."
)
FIRST = ValueError("classes must be passed on the first call to partial_fit.")
INT_OBJECTS = "array([1, 2], dtype=object)"
LABELS = ValueError("classes [0 1 2] mismatch with the labels [0 1] found in the data")
MIX_OF_LABELS = ValueError("Mix of label input types (string and number); Got ['a'] and [0 1 2].")
MIXED_NAMES = TypeError(
    "Feature names are only supported if all input features have string names, but your input has "
    "['int', 'str'] as feature name / column name types. If you want feature names to be stored "
    "and validated, you must convert them all to strings, by using X.columns = "
    "X.columns.astype(str) for example. Otherwise you can remove feature / column names from your "
    "input data, or convert them all to a non-string data type."
)
TOO_SMALL = ValueError(
    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
)
NO_SPLIT = ValueError(
    "test_size=0.0 should be either positive and smaller than the number of samples 20 or a float "
    "in the (0, 1) range"
)
NO_STOPPING = ValueError("partial_fit does not support early_stopping=True")
NO_PARTIAL_FIT = AttributeError("This '{name}' has no attribute 'partial_fit'")
DIVERGED = ValueError(
    re.compile(
        r"Solver produced non-finite parameter weights\. The input data may contain large values "
        r"and need to be preprocessed\. "
        r"Training stopped at epoch [1-9]\d* with learning rate 1e\+10\."
    )
)

SHAPES = [
    theirs("X of one dimension", fit(SHORT, Y[:3]), ONE_D),
    theirs("X a number", fit(3.0, Y), reshape("scalar array instead:\narray=3.0")),
    theirs("X None", fit(None, Y), reshape("scalar array instead:\narray=nan")),
    theirs("X of three dimensions", fit(X[:, :, None], Y), THREE_D),
    theirs("X without rows", fit(X[:0], Y[:0]), NO_ROWS),
    theirs("X without columns", fit(X[:, :0], Y), NO_COLS),
    theirs("CSR without rows", fit(XS[:0], Y[:0]), NO_ROWS),
    theirs("CSR without columns", fit(XS[:, :0], Y), NO_COLS),
    theirs("X an empty list", fit([], []), reshape("1D array instead:\narray=[]")),
    theirs("X ragged", fit([[1.0, 2.0], [3.0]], [0, 1]), ragged(2)),
    theirs("X longer than y", fit(X, Y[:-1]), lengths(20, 19)),
    theirs("y longer than X", fit(X[:-1], Y), lengths(19, 20)),
    theirs("CSR shorter than y", fit(XS[:-1], Y), lengths(19, 20)),
    theirs("y empty", fit(X, Y[:0]), none_found("sample", "(0,)")),
    theirs("y without columns", fit(X, T2[:, :0]), NO_COLS),
    theirs("y of three dimensions", fit(X, T2[:, :, None]), THREE_D),
    theirs("y a number", fit(X, 1), no_scalar("array(1)")),
    theirs("y a string", fit(X, "ab"), no_scalar("array('ab', dtype='<U2')")),
    theirs("y None", fit(X, None), NO_Y),
    theirs("y a sparse column", fit(X, sp.csr_array(Y[:, None])), no_sparse("y")),
]

DTYPES = [
    theirs("X complex", fit(Z[None], Y[:1]), no_complex("[[0.+1.j 2.+0.j]]")),
    theirs("X a list of complex", fit([[1j, 2.0]], Y[:1]), no_float("complex")),
    theirs("X complex CSR", fit(1j * XS, Y), no_complex(1j * XS)),
    theirs("X strings", fit(np.full((20, 5), "a"), Y), no_number("np.str_('a')")),
    theirs("X bytes", fit(np.full((20, 5), b"a"), Y), no_number("np.bytes_(b'a')")),
    theirs("X objects with a string", fit(put(XO, (0, 0), "a"), Y), no_number()),
    theirs("X objects with a thing", fit(put(XO, (0, 0), Thing()), Y), no_float("Thing")),
    theirs("X objects with a complex", fit(put(XO, (0, 0), 1j), Y), no_float("complex")),
    theirs("X objects with None", fit(put(XO, (0, 0), None), Y), NAN_X),
    theirs("X an int beyond floats", fit(put(XO, (0, 0), 10**400), Y), TOO_LONG),
    theirs("X a string", fit("a", Y), no_number()),
    theirs("X a dict", fit({"a": 1}, Y), no_float("dict")),
    theirs("X a set", fit({1, 2}, Y), no_float("set")),
    theirs("X a thing", fit(Thing(), Y), no_float("Thing")),
    theirs(
        "X of no type",
        fit(np.zeros((20, 5), "V8"), Y),
        ValueError("setting an array element with a sequence."),
    ),
    theirs("X np.matrix", fit(MATRIX, Y), NO_MATRIX),
    theirs("y np.matrix", fit(X, MATRIX[:, :1]), NO_MATRIX),
    theirs("y complex", fit(X[:2], Z), no_complex("[0.+1.j 2.+0.j]")),
    theirs("y objects with a string", fit(X, put(XO[:, 0], 0, "a")), no_number(), REG),
    theirs("y an int beyond floats", fit(X, put(XO[:, 0], 0, 10**400)), TOO_LONG, REG),
]

VALUES = [
    theirs("NaN in X", fit(put(X, (3, 1), nan), Y), NAN_X),
    theirs("NaN in float32 X", fit(put(X32, (3, 1), nan), Y), NAN_X),
    theirs("NaN in float16 X", fit(put(X.astype("f2"), (3, 1), nan), Y), NAN_X),
    theirs("NaN in Fortran X", fit(np.asfortranarray(put(X, (3, 1), nan)), Y), NAN_X),
    theirs("NaN in strided X", fit(put(np.c_[X, X], (3, 2), nan)[:, ::2], Y), NAN_X),
    theirs("NaN in CSR", fit(sp.csr_array(put(X, (3, 1), nan)), Y), NAN_X),
    theirs("NaN in CSC", fit(sp.csc_array(put(X, (3, 1), nan)), Y), NAN_X),
    theirs("NaN in a list", fit(put(X, (3, 1), nan).tolist(), Y), NAN_X),
    theirs("NaN in objects", fit(put(XO, (3, 1), nan), Y), NAN_X),
    theirs("infinity in X", fit(put(X, (3, 1), inf), Y), infinite()),
    theirs("-infinity in X", fit(put(X, (3, 1), -inf), Y), infinite()),
    theirs("infinity in float32 X", fit(put(X32, (3, 1), inf), Y), infinite(dtype="float32")),
    theirs("infinity in CSR", fit(sp.csr_array(put(X, (3, 1), inf)), Y), infinite()),
    theirs("NaN in y", fit(X, put(T, 3, nan)), NAN_Y),
    theirs("NaN in y, lbfgs", fit(X, put(T, 3, nan)), NAN_Y, params={"solver": "lbfgs"}),
    theirs("NaN in one of two outputs", fit(X, put(T2, (3, 1), nan)), NAN_Y),
    theirs("infinity in y", fit(X, put(T, 3, inf)), infinite("y")),
    theirs("-infinity in y", fit(X, put(T, 3, -inf)), infinite("y")),
    theirs("infinity in float32 y", fit(X, put(X32[:, 0], 3, inf)), infinite("y", "float32")),
]

# What scikit-learn's subtraction of y refuses, or what it would train on as NaN.
NO_NUMBERS = rows(
    *[
        ours(f"y {what}, {solver}", fit(X, y), error, params={"solver": solver})
        for what, y, error in [
            ("strings of numbers", np.array(["1", "2"] * 10), not_numeric("<U1")),
            ("dates", np.arange(20).astype("M8[s]"), not_numeric("datetime64[s]")),
            ("time differences", np.arange(20).astype("m8[s]"), not_numeric("timedelta64[s]")),
            ("None among objects", put(XO[:, 0], 0, None), NAN_Y),
        ]
        for solver in ("adam", "lbfgs")
    ],
    of=REG,
)

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

INDICES = [
    ours(f"CSR index {bad}, {method}", Call(method, csr_with_index(bad), *y), column_index(bad), of)
    for bad in (7, 5, -1)
    for method, y, of in [
        ("fit", [Y], CLF + REG),
        ("partial_fit", [Y], REG),
    ]
] + [
    row
    for bad in (7, 5, -1)
    for row in rows(
        *[
            ours(f"CSR index {bad}, {m}", Call(m, csr_with_index(bad), *y), column_index(bad), of)
            for m, y, of in [
                ("partial_fit", [Y], CLF),
                ("predict", [], CLF + REG),
                ("predict_proba", [], CLF),
                ("predict_log_proba", [], CLF),
                ("score", [Y], CLF + REG),
            ]
        ],
        on=FITTED,
    )
]

DIVERGENCE = [
    ours(
        f"divergence, {what}",
        call,
        DIVERGED,
        REG,
        {"solver": "sgd", "learning_rate_init": 1e10, "max_iter": 1000, **params},
    )
    for what, call, params in [
        ("defaults", fit(X, T), {}),
        ("two outputs", fit(X, T2), {}),
        ("CSR", fit(XS, T), {}),
        ("float32", fit(X32, T), {}),
        ("weights", fit(X, T, W), {}),
        ("small batches", fit(X, T), {"batch_size": 3}),
        ("no momentum", fit(X, T), {"momentum": 0.0}),
        ("warm start", fit(X, T), {"warm_start": True}),
    ]
]

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

WEIGHTS = [
    theirs("weights, one less", fit(X, Y, W[:19]), n_weights(19)),
    theirs("weights, one more", fit(X, Y, np.ones(21)), n_weights(21)),
    theirs(
        "weights, none at all",
        fit(X, Y, []),
        ValueError("Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required."),
    ),
    theirs("weights of two dimensions", fit(X, Y, np.ones((20, 2))), weights_1d(2)),
    theirs("weights in a column", fit(X, Y, W[:, None]), weights_1d(2)),
    theirs(
        "weights of three dimensions",
        fit(X, Y, W[:, None, None]),
        ValueError("Found array with dim 3, while dim <= 2 is required."),
    ),
    theirs("weights of no dimension", fit(X, Y, np.array(2.0)), no_scalar("array(2.)")),
    theirs("weights that are strings", fit(X, Y, ["a"] * 20), no_number()),
    theirs("weights a string", fit(X, Y, "balanced"), no_number("'balanced'")),
    theirs("weights a dict", fit(X, Y, {0: 1.0}), no_float("dict")),
    theirs("weights sparse", fit(X, Y, sp.csr_array(W[None])), no_sparse("sample_weight")),
    theirs("weights complex", fit(X[:2], Y[:2], Z), no_complex("[0.+1.j 2.+0.j]")),
    theirs("weights NaN", fit(X, Y, put(W, 3, nan)), NAN_WEIGHTS),
    theirs("weights None", fit(X, Y, [None] * 20), NAN_WEIGHTS),
    theirs("weights infinite", fit(X, Y, put(W, 3, inf)), infinite("sample_weight")),
    ours("weights of zero", fit(X, Y, 0 * W), ALL_ZERO),
    ours("weights of zero, lbfgs", fit(X, Y, 0 * W), ALL_ZERO, params={"solver": "lbfgs"}),
    ours("weight zero for all", fit(X, Y, 0), ALL_ZERO),
    ours("a weight < 0", fit(X, Y, put(W, 3, -1e-9)), NEGATIVE),
    ours("a weight < 0, float32", fit(X, Y, put(W.astype("f4"), 3, -1e-9)), NEGATIVE),
    ours("weights < 0, integers", fit(X, Y, [-1] * 20), NEGATIVE),
    ours("weight < 0 for all", fit(X, Y, -1.0), NEGATIVE),
    ours("weights < 0, lbfgs", fit(X, Y, -W), NEGATIVE, params={"solver": "lbfgs"}),
    ours("weights < 0, CSR", fit(XS, Y, -W), NEGATIVE),
    # scikit-learn does not look at these two; it trains on NaN.
    *[
        ours(f"{what}, {solver}", fit(X, Y, weight), error, params={"solver": solver})
        for what, weight, error in [
            ("weight NaN for all", nan, NAN_WEIGHTS),
            ("weight infinite for all", inf, infinite("sample_weight")),
        ]
        for solver in ("adam", "lbfgs")
    ],
]

CLASSES = rows(
    theirs("floats for labels", fit(X[:3], SHORT), label_type("array([0.5, 1.5, 2.5])")),
    theirs("ints beyond 64 bits", fit(X[:1], [2**70]), label_type(np.array([2**70]).__repr__())),
    theirs("strings and ints", fit(X, np.array(["a", 1] * 10, "O")), no_order("int", "str")),
    theirs("None among ints", fit(X, put(Y.astype("O"), 0, None)), no_order("int", "NoneType")),
    theirs("None for labels", fit(X, [None] * 20), no_order("NoneType", "NoneType")),
    theirs("NaN among strings", fit(X, put(AB.astype("O"), 0, nan)), NAN_LABELS),
    theirs("ints among objects", fit(X[:2], np.array([1, 2], "O")), label_type(INT_OBJECTS)),
    theirs("multiclass and multioutput", fit(X, np.c_[Y, Y2 + 1]), MULTIOUTPUT),
    theirs("floats, two outputs", fit(X, T2), MULTIOUTPUT),
    theirs("strings, two outputs", fit(X, np.c_[AB, AB]), MULTIOUTPUT),
    theirs("tuples for labels", fit(X, [("a", "b")] * 20), MULTIOUTPUT),
    theirs("sequences of labels", fit(X, [(0,), (0, 1)] * 10), ragged(20)),
    of=CLF,
)

FIRST_CLASSES = rows(
    theirs("first classes missing", partial_fit(X, Y), FIRST),
    theirs("first classes missing, multilabel", partial_fit(X, M), FIRST),
    theirs("first classes for weights", partial_fit(X, Y, [0, 1, 2]), FIRST),
    ours("label not among them", partial_fit(X, Y, classes=[0, 1]), unseen("[0 1]", "[0 1 2]")),
    theirs("first classes empty", partial_fit(X, Y, classes=[]), ValueError("y has 0 samples: []")),
    theirs("first classes a number", partial_fit(X, Y, classes=3), no_array(3)),
    theirs("first classes a string", partial_fit(X, Y, classes="abc"), no_array("'abc'")),
    theirs("first classes floats", partial_fit(X, Y, classes=[0.5, 1.2]), label_type([0.5, 1.2])),
    theirs("first classes nested", partial_fit(X, Y, classes=[[0, 1, 2]]), label_type([[0, 1, 2]])),
    theirs(
        "first classes mixed",
        partial_fit(X, Y, classes=np.array(["a", 1], object)),
        no_order("int", "str"),
    ),
    theirs("NaN, first time", partial_fit(put(X, 3, nan), Y, classes=[0, 1, 2]), NAN_X),
    theirs("y shorter, first time", partial_fit(X, Y[:3], classes=[0, 1, 2]), lengths(20, 3)),
    ours("weights of zero, first time", partial_fit(X, Y, 0 * W, classes=[0, 1, 2]), ALL_ZERO),
    ours("a weight < 0, first time", partial_fit(X, Y, -W, classes=[0, 1, 2]), NEGATIVE),
    of=CLF,
    on=NEW,
)

LATER = rows(
    theirs("partial_fit, X longer than y", partial_fit(X, Y[:3]), lengths(20, 3)),
    theirs("partial_fit, a column less", partial_fit(X[:, :4], Y), n_features(4)),
    theirs("partial_fit, a column more", partial_fit(np.c_[X, T], Y), n_features(6)),
    theirs("partial_fit, CSR with a column less", partial_fit(XS[:, :4], Y), n_features(4)),
    theirs("partial_fit, NaN", partial_fit(put(X, (3, 1), nan), Y), NAN_X),
    theirs("partial_fit, infinity", partial_fit(put(X, (3, 1), inf), Y), infinite()),
    theirs("partial_fit, NaN in y", partial_fit(X, put(T, 3, nan)), NAN_Y),
    theirs("partial_fit, weights of 3", partial_fit(X, Y, W[:3]), n_weights(3)),
    ours("partial_fit, weights of zero", partial_fit(X, Y, 0 * W), ALL_ZERO),
    ours("partial_fit, a weight < 0", partial_fit(X, Y, put(W, 3, -1)), NEGATIVE),
    on=FITTED,
)

LATER_CLASSES = rows(
    theirs("other classes", partial_fit(X, Y, classes=[0, 1, 3]), last_classes([0, 1, 3])),
    theirs("more classes", partial_fit(X, Y, classes=[0, 1, 2, 3]), last_classes([0, 1, 2, 3])),
    ours("new label", partial_fit(X, Y), unseen("[0 1]", "[0 1 2]"), before=fit(X, Y2)),
    ours(
        "new label after partial_fit",
        partial_fit(X, Y),
        unseen("[0 1]", "[0 1 2]"),
        before=partial_fit(X, Y2, classes=[0, 1]),
    ),
    ours("strings after ints", partial_fit(X, AB), unseen("[0 1 2]", "['a' 'b']")),
    theirs(
        "multilabel after multiclass",
        partial_fit(X, M),
        ValueError("The object was not fitted with multilabel input."),
    ),
    theirs("fewer labels, multilabel", partial_fit(X, M[:, :2]), LABELS, before=fit(X, M)),
    of=CLF,
    on=FITTED,
)

WARM_START = rows(
    theirs("warm start, a column less", fit(X[:, :4], Y), n_features(4)),
    theirs("warm start, NaN", fit(put(X, 3, nan), Y), NAN_X),
    ours("warm start, fewer classes", fit(X, Y2), warm_classes("[0 1 2]", "[0 1]"), CLF),
    ours(
        "warm start, more classes",
        fit(X, Y),
        warm_classes("[0 1]", "[0 1 2]"),
        CLF,
        before=fit(X, Y2),
    ),
    ours("warm start, strings", fit(X, AB), warm_classes("[0 1 2]", "['a' 'b']"), CLF),
    ours(
        "warm start, fewer labels, multilabel",
        fit(X, M[:, :2]),
        warm_classes("[0 1 2]", "[0 1]"),
        CLF,
        before=fit(X, M),
    ),
    ours(
        "warm start, partial_fit, fewer classes",
        partial_fit(X, Y2),
        warm_classes("[0 1 2]", "[0 1]"),
        CLF,
    ),
    on=FITTED,
    params={"warm_start": True},
)

SPLIT = [
    (ours if error is TOO_SMALL else theirs)(
        what, fit(x, y), error, of, {"early_stopping": True, "validation_fraction": fraction}
    )
    for what, x, y, fraction, error, of in [
        ("validation set too small", X, Y, 0.05, TOO_SMALL, CLF + REG),
        ("two rows, one for validation", X[:2], Y[:2], 0.5, TOO_SMALL, REG),
        ("validation set empty", X, Y, 0.0, NO_SPLIT, CLF + REG),
        ("all rows for validation", X, Y, 0.99, no_training_rows(20, 0.99), CLF + REG),
        ("one row to split", X[:1], Y[:1], 0.1, no_training_rows(1, 0.1), CLF + REG),
        ("a class of one row", X, put(0 * Y, 3, 1), 0.3, one_member("'True'"), CLF),
        ("classes of one row", X[:2], Y[:2], 0.5, one_member("'False', 'True'"), CLF),
    ]
] + [
    ours(
        "early stopping in partial_fit",
        partial_fit(X, Y),
        NO_STOPPING,
        params={"early_stopping": True},
        on=FITTED,
    ),
    ours(
        "early stopping in the first partial_fit",
        partial_fit(X, Y),
        NO_STOPPING,
        REG,
        {"early_stopping": True},
        NEW,
    ),
    ours(
        "early stopping in the first partial_fit",
        partial_fit(X, Y, classes=[0, 1, 2]),
        NO_STOPPING,
        CLF,
        {"early_stopping": True},
        NEW,
    ),
    theirs(
        "partial_fit under lbfgs", partial_fit(X, Y), NO_PARTIAL_FIT, params={"solver": "lbfgs"}
    ),
]


def said_of(name, error):
    return type(error)(f"{name}: {error.args[0]}")


def validate(x=X, y=Y, weight=None):
    return fit(X, Y, X_val=x, y_val=y, sample_weight_val=weight)


NO_X_VAL = ValueError("y_val is provided, but X_val was not provided.")
NO_Y_VAL = ValueError("X_val is provided, but y_val was not provided.")
ONLY_WEIGHTS = ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")


def too_few(found):
    return ValueError(
        f"X_val: Found array with {found} sample(s) (shape=({found}, 5)) while a minimum of 2 is "
        "required by {name}."
    )


def unseen_by_y(found):
    return ValueError(f"y_val has labels that y has not: {found}. The classes of y are [0 1 2].")


def n_outputs_of(shape, made, of_y):
    return ValueError(f"y_val has shape {shape}, which makes {made} outputs; y makes {of_y}.")


VALIDATION = [
    ours("X_val alone", validate(y=None), NO_Y_VAL),
    ours("X_val alone, lbfgs", validate(y=None), NO_Y_VAL, params={"solver": "lbfgs"}),
    ours(
        "X_val alone, early stopping", validate(y=None), NO_Y_VAL, params={"early_stopping": True}
    ),
    ours("y_val alone", validate(x=None), NO_X_VAL),
    ours("weights alone", validate(None, None, W), ONLY_WEIGHTS),
    ours("X_val and weights", validate(y=None, weight=W), NO_Y_VAL),
    ours("y_val and weights", validate(x=None, weight=W), NO_X_VAL),
    ours("X_val without rows", validate(X[:0], Y[:0]), too_few(0)),
    ours("CSR X_val without rows", validate(XS[:0], Y[:0]), too_few(0)),
    ours("X_val of one row", validate(X[:1], Y[:1]), too_few(1)),
    ours("y_val shorter", validate(y=Y[1:]), ValueError("X_val has 20 samples, but y_val has 19.")),
    ours("y_val longer", validate(x=XS[1:]), ValueError("X_val has 19 samples, but y_val has 20.")),
    *(
        theirs(f"X_val, {what}", validate(x=x), said_of("X_val", error))
        for what, x, error in [
            ("a column less", X[:, :4], n_features(4)),
            ("a column more", np.c_[X, T], n_features(6)),
            ("CSR with a column less", XS[:, :4], n_features(4)),
            ("without columns", X[:, :0], NO_COLS),
            ("of one dimension", SHORT, ONE_D),
            ("of three dimensions", X[:, :, None], THREE_D),
            ("a number", 3.0, reshape("scalar array instead:\narray=3.0")),
            ("ragged", [[1.0, 2.0], [3.0]], ragged(2)),
            ("NaN", put(X, (3, 1), nan), NAN_X),
            ("NaN in float32", put(X32, (3, 1), nan), NAN_X),
            ("NaN in CSR", sp.csr_array(put(X, (3, 1), nan)), NAN_X),
            ("None among objects", put(XO, (3, 1), None), NAN_X),
            ("infinity", put(X, (3, 1), inf), infinite()),
            ("strings", np.full((20, 5), "a"), no_number("np.str_('a')")),
            ("a thing", Thing(), no_float("Thing")),
            ("complex", Z[None], no_complex("[[0.+1.j 2.+0.j]]")),
            ("np.matrix", MATRIX, NO_MATRIX),
        ]
    ),
    ours("X_val, CSR index 7", validate(csr_with_index(7)), said_of("X_val", column_index(7))),
    *(
        theirs(f"y_val, {what}", validate(y=y), error, of)
        for what, y, error, of in [
            ("empty", Y[:0], said_of("y_val", none_found("sample", "(0,)")), CLF + REG),
            ("a number", 3, said_of("y_val", no_scalar("array(3)")), CLF + REG),
            ("np.matrix", MATRIX[:, :1], said_of("y_val", NO_MATRIX), CLF + REG),
            ("NaN", put(T, 3, nan), ValueError("Input y_val contains NaN."), REG),
            ("infinity", put(T, 3, inf), infinite("y_val"), CLF + REG),
        ]
    ),
    *rows(
        ours("y_val, an unseen label", validate(y=put(Y, 3, 7)), unseen_by_y([7])),
        ours("y_val, other labels", validate(y=AB), unseen_by_y(["a", "b"])),
        ours("y_val, numbers as strings", validate(y=Y.astype(str)), unseen_by_y(["0", "1", "2"])),
        ours(
            "y_val continuous",
            validate(y=T),
            ValueError("y_val must be class labels, got targets of type 'continuous'."),
        ),
        ours(
            "y_val multilabel",
            validate(y=M),
            ValueError("y_val is a multilabel indicator matrix, but y is not."),
        ),
        of=CLF,
    ),
    *rows(
        ours("y_val, strings", validate(y=AB), said_of("y_val", not_numeric("<U1"))),
        ours(
            "y_val, dates",
            validate(y=np.arange(20).astype("M8[s]")),
            said_of("y_val", not_numeric("datetime64[s]")),
        ),
        ours(
            "y_val, None among objects", validate(y=put(XO[:, 0], 3, None)), said_of("y_val", NAN_Y)
        ),
        ours("y_val of two columns", validate(y=T2), n_outputs_of((20, 2), 2, 1)),
        ours(
            "y_val of two columns and levels",
            validate(y=T2),
            n_outputs_of((20, 2), 6, 3),
            params={"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
        ),
        ours(
            "y_val < 0",
            validate(y=put(Y, 3, -1)),
            said_of("y_val", negative_poisson(-1)),
            params={"loss": "poisson"},
        ),
        of=REG,
    ),
    *(
        Row(
            f"sample_weight_val, {what}",
            validate(weight=weight),
            said_of("sample_weight_val", error),
            theirs=error is not NEGATIVE,
        )
        for what, weight, error in [
            ("too few", W[1:], n_weights(19)),
            ("of two dimensions", W[:, None], weights_1d(2)),
            ("NaN", put(W, 3, nan), NAN_WEIGHTS),
            ("negative", put(W, 3, -1), NEGATIVE),
            ("all zero", 0 * W, ALL_ZERO),
        ]
    ),
]

# The methods that only read the model.
READERS = [("predict", CLF + REG), ("predict_proba", CLF), ("predict_log_proba", CLF)]
READ = [
    theirs(f"{method}, {what}", Call(method, x), error, of, on=FITTED)
    for method, of in READERS
    for what, x, error in [
        ("X of one dimension", SHORT, ONE_D),
        ("X a number", 3.0, reshape("scalar array instead:\narray=3.0")),
        ("X None", None, reshape("scalar array instead:\narray=None")),
        ("X of three dimensions", X[:, :, None], THREE_D),
        ("X without rows", X[:0], NO_ROWS),
        ("X without columns", X[:, :0], NO_COLS),
        ("a column less", X[:, :4], n_features(4)),
        ("a column more", np.c_[X, T], n_features(6)),
        ("CSR with a column less", XS[:, :4], n_features(4)),
        ("NaN", put(X, (3, 1), nan), NAN_X),
        ("NaN in float32", put(X32, (3, 1), nan), NAN_X),
        ("NaN in CSR", sp.csr_array(put(X, (3, 1), nan)), NAN_X),
        ("None among objects", put(XO, (3, 1), None), NAN_X),
        ("infinity", put(X, (3, 1), inf), infinite()),
        ("-infinity in float32", put(X32, (3, 1), -inf), infinite(dtype="float32")),
        ("strings", np.full((2, 5), "a"), NUMERIC),
        ("no type", np.zeros((2, 5), "V8"), NUMERIC),
        ("objects that are strings", np.full((2, 5), "a", object), no_number()),
        ("complex", Z[None], no_complex("[[0.+1.j 2.+0.j]]")),
        ("ragged", [[1.0, 2.0], [3.0]], ragged(2)),
        ("np.matrix", MATRIX, NO_MATRIX),
    ]
] + [
    theirs(f"{method} before fit", Call(method, X), UNFITTED, of, on=NEW) for method, of in READERS
]

SCORE = rows(
    theirs("score, y shorter", score(X, Y[:-1]), lengths(19, 20)),
    theirs("score, a column less", score(X[:, :4], Y), n_features(4)),
    theirs("score, X without rows", score(X[:0], Y[:0]), NO_ROWS),
    theirs("score, NaN in X", score(put(X, 3, nan), Y), NAN_X),
    theirs("score, NaN in y", score(X, put(T, 3, nan)), ValueError("Input contains NaN."), REG),
    theirs("score, strings", score(X, ["a"] * 20), no_number(), REG),
    theirs(
        "score, floats",
        score(X, T),
        ValueError(
            "Classification metrics can't handle a mix of continuous and multiclass targets"
        ),
        CLF,
    ),
    theirs(
        "score, two outputs",
        score(X, T2),
        ValueError("y_true and y_pred have different number of output (2!=1)"),
        REG,
    ),
    theirs(
        "score, y None",
        score(X, None),
        InvalidParameterError(
            "The 'y_true' parameter of r2_score must be an array-like. Got None instead."
        ),
        REG,
    ),
    theirs("score, weights of 3", score(X, Y, W[:3]), lengths(20, 20, 3)),
    on=FITTED,
) + [theirs("score before fit", score(X, Y), UNFITTED, on=NEW)]

# Every constructor parameter: just outside each bound, and what is of another kind.
REALS = [nan, inf, None, "1", [1.0], 1j]
INTEGERS = [0, -1, 1.0, 2.5, nan, None, "1", [1]]
BOOLEANS = [1, 0, None, "True", 2, nan]
BOOL = f"an instance of 'bool' or an instance of 'numpy.{np.bool_.__name__}'"
INVALID = [
    (
        "hidden_layer_sizes",
        "an array-like or an int in the range [1, inf)",
        [0, -1, 2.5, nan, None, "5", "", 1j],
    ),
    (
        "activation",
        "a str among {'elu', 'gelu', 'gelu_tanh', 'hard_sigmoid', 'identity', 'leaky_relu', "
        "'logistic', 'mish', 'relu', 'selu', 'silu', 'softplus', 'step', 'tanh'}, a callable, an "
        "instance of 'list' or an instance of 'tuple'",
        ["softmax", "RELU", b"relu", "", None, 1, {"relu"}, nan],
    ),
    (
        "init",
        "a str among {'auto', 'glorot_uniform', 'he_uniform', 'lecun_uniform'}",
        ["he", "Auto", "", None, 1, ["auto"]],
    ),
    ("solver", "a str among {'adam', 'lbfgs', 'sgd'}", ["rmsprop", "SGD", "", None, 1, ["sgd"]]),
    ("alpha", "a float in the range [0.0, inf)", [-1e-300, -1, -inf, *REALS]),
    (
        "batch_size",
        "a str among {'auto'} or an int in the range [1, inf)",
        [*INTEGERS, "AUTO", inf],
    ),
    (
        "learning_rate",
        "a str among {'adaptive', 'constant', 'invscaling'}",
        ["Constant", "", None, 0.1],
    ),
    ("learning_rate_init", "a float in the range (0.0, inf)", [0, 0.0, -1, *REALS]),
    ("power_t", "a float in the range [0.0, inf)", [-1e-300, *REALS]),
    ("max_iter", "an int in the range [1, inf)", [*INTEGERS, inf]),
    ("shuffle", BOOL, BOOLEANS),
    (
        "random_state",
        "an int in the range [0, 4294967295], an instance of 'numpy.random.mtrand.RandomState' "
        "or None",
        [-1, 2**32, 0.0, nan, "0", [0], np.random.PCG64],
    ),
    ("tol", "a float in the range [0.0, inf)", [-1e-300, *REALS]),
    ("verbose", f"an int in the range [0, inf), {BOOL}", [-1, 1.0, nan, None, "1"]),
    ("warm_start", BOOL, BOOLEANS),
    ("momentum", "a float in the range [0.0, 1.0]", [-1e-300, np.nextafter(1, 2), 2, *REALS]),
    ("nesterovs_momentum", BOOL, BOOLEANS),
    ("early_stopping", BOOL, BOOLEANS),
    ("validation_fraction", "a float in the range [0.0, 1.0)", [-1e-300, 1, 1.0, *REALS]),
    ("beta_1", "a float in the range [0.0, 1.0)", [-1e-300, 1, 1.0, *REALS]),
    ("beta_2", "a float in the range [0.0, 1.0)", [-1e-300, 1, 1.0, *REALS]),
    ("epsilon", "a float in the range (0.0, inf)", [0, 0.0, -1, *REALS]),
    ("n_iter_no_change", "an int in the range [1, inf) or a float among {inf}", [*INTEGERS, -inf]),
    ("max_fun", "an int in the range [1, inf)", [*INTEGERS, inf]),
    ("n_threads", "an int in the range [1, inf) or None", [0, -1, 1.0, 1.5, nan, "2", [2], inf]),
]


def invalid(parameter, allowed, value, more=""):
    return InvalidParameterError(
        f"The '{parameter}' parameter of {{name}} must be {allowed}. Got {value!r} instead.{more}"
    )


A_LOSS = (
    "a str among {'absolute_error', 'gamma', 'huber', 'log_cosh', 'poisson', 'quantile', "
    "'squared_error', 'tweedie'} or a callable"
)
PARAMETERS = [
    theirs(f"{name}={value!r}", fit(X, Y), invalid(name, allowed, value), params={name: value})
    for name, allowed, values in INVALID
    for value in values
] + [
    theirs(f"{name}={value!r}", fit(X, T), invalid(name, allowed, value), of, {name: value})
    for name, allowed, of, values in [
        ("loss", A_LOSS, REG, ["log_loss", "Poisson", "", None, 1.5, nan]),
        (
            "loss",
            "a str among {'log_loss', 'squared_error'} or a callable",
            CLF,
            ["poisson", "Log_loss", "", None, 1.5, nan],
        ),
        (
            "quantile",
            "a float in the range (0.0, 1.0) or an array-like",
            REG,
            [0, 1, 0.0, 1.0, -0.1, 1.1, nan, None, 1j, "0.5"],
        ),
        ("huber_threshold", "a float in the range (0.0, inf)", REG, [0, -1, *REALS]),
        ("tweedie_power", "a float in the range (1.0, 2.0)", REG, [1, 2, 0, 3, *REALS]),
        (
            "out_activation",
            "a str among {'exp', 'identity', 'logistic', 'softplus'} or None",
            REG,
            ["softmax", "relu", "", 1, nan],
        ),
    ]
    for value in values
]

# Before scikit-learn 1.7 the layers came first.
LAYERS_FIRST = [
    ours(
        f"MLPRegressor({value!r})",
        fit(X, T),
        invalid(
            "loss",
            A_LOSS,
            value,
            " Since scikit-learn 1.7 the first positional parameter is the loss: "
            f"write MLPRegressor(hidden_layer_sizes={value!r}).",
        ),
        REG,
        {"loss": value},
    )
    for value in [(5,), [5, 3], 5, ()]
]

LAYERS = [
    ours(
        f"hidden_layer_sizes={value!r}",
        fit(X, Y),
        ValueError(f"hidden_layer_sizes must be > 0, got {list(value)}."),
        params={"hidden_layer_sizes": value},
    )
    for value in [(0,), [0], (5, -1), (5, 0), (-3, 5), np.array([4, 0])]
]

LAYERS += [
    ours(
        f"hidden_layer_sizes={value!r}",
        fit(X, Y),
        ValueError(f"hidden_layer_sizes must be integers, got {list(value)}."),
        params={"hidden_layer_sizes": value},
    )
    for value in [
        (2.5,),
        (5, 2.5),
        (nan,),
        (inf,),
        (None,),
        ("5",),
        [[3, 4]],
        ((3,),),
        (4, (3,)),
        np.array([2.5, 3]),
        np.array(["a"]),
        np.ones((2, 2), int),
    ]
]

LOSS_TARGETS = [
    *rows(
        ours(
            "gamma, y = 0",
            fit(X, put(abs(T) + 1, 3, 0)),
            ValueError(
                "Some values of y are not positive: loss='gamma' needs y > 0, got a minimum of 0.0."
            ),
        ),
        params={"loss": "gamma"},
    ),
    *rows(
        ours(
            "tweedie, y < 0",
            fit(X, put(abs(T), 3, -0.5)),
            ValueError(
                "Some values of y are negative: loss='tweedie' needs y >= 0, got a minimum of -0.5."
            ),
        ),
        params={"loss": "tweedie"},
    ),
    *rows(
        ours(
            "logistic, y < 0",
            fit(X, put(abs(T) / 9, 3, -0.5)),
            ValueError(
                "Some values of y are negative: out_activation='logistic' needs y >= 0, got a minimum "
                "of -0.5."
            ),
        ),
        ours(
            "logistic, y > 1",
            fit(X, put(abs(T) / 9, 3, 1.5)),
            ValueError(
                "Some values of y are above 1: out_activation='logistic' needs y <= 1, got a maximum "
                "of 1.5."
            ),
        ),
        params={"out_activation": "logistic"},
    ),
    *(
        ours(
            f"{loss} with another link",
            fit(X, abs(T) + 1),
            ValueError(
                f"loss={loss!r} has out_activation='exp', got 'softplus'. Write the loss as a function "
                "to have it with another."
            ),
            params={"loss": loss, "out_activation": "softplus"},
        )
        for loss in ("poisson", "gamma", "tweedie")
    ),
    *(
        ours(
            f"quantile={value!r}",
            fit(X, T),
            ValueError(text.format(value)),
            params={"loss": "quantile", "quantile": value},
        )
        for value, text in [
            ([], "quantile must be a level or a list of levels, got {!r}."),
            ([[0.5]], "quantile must be a level or a list of levels, got {!r}."),
            (["0.5"], "quantile must be a level or a list of levels, got {!r}."),
            ([0.5, 1], "quantile must lie between 0 and 1, both excluded, got {!r}."),
            ([0.5, nan], "quantile must lie between 0 and 1, both excluded, got {!r}."),
        ]
    ),
]
LOSS_TARGETS = rows(*LOSS_TARGETS, of=REG)


def branch(raw, y):
    return raw - y if raw > y else y - raw


def alike(z):
    return fg.primitive(lambda z: z, lambda grad, out, z: grad, name="alike")(z)


NO_BRANCH = TypeError(
    "a Variable is neither true nor false while a graph is made, so that `if`, `and`, `or`, `not` "
    "and chained comparisons cannot ask it: use where(condition, x, y), &, | and ~"
)
LIST_OF = "activation has {} entries, but hidden_layer_sizes has 1 layers: a list has one for each "
NO_NAME = (
    "must be a function of fastbp.graph expressions or one of identity, logistic, tanh, relu, "
    "leaky_relu, elu, selu, softplus, hard_sigmoid, step, gelu, gelu_tanh, silu, mish, got "
)
FUNCTIONS = [
    *(
        ours(f"loss, {id}", fit(X, Y), error, params={"loss": loss})
        for id, loss, error in [
            ("if", branch, NO_BRANCH),
            (
                "without y",
                lambda raw, y: raw**2,
                ValueError(
                    "the result does not depend on 'y': nothing is to be learned from a function that "
                    "ignores an argument"
                ),
            ),
            (
                "without raw",
                lambda raw, y: y**2,
                ValueError(
                    "the result does not depend on 'raw': nothing is to be learned from a function "
                    "that ignores an argument"
                ),
            ),
            (
                "a constant",
                lambda raw, y: 1.0,
                ValueError(
                    "the result does not depend on 'raw': nothing is to be learned from a function "
                    "that ignores an argument"
                ),
            ),
            (
                "two results",
                lambda raw, y: (raw, y),
                TypeError("a function of (raw, y) has to return one expression, got tuple"),
            ),
            (
                "no result",
                lambda raw, y: None,
                TypeError("a function of (raw, y) has to return one expression, got NoneType"),
            ),
            (
                "math",
                lambda raw, y: math.exp(raw[0]) - y,
                TypeError(
                    re.compile(
                        r"a Variable is not a number: functions of `math`, float\(\) and int\(\) cannot "
                        r"take it\. .*where.*"
                    )
                ),
            ),
            (
                "no such function",
                lambda raw, y: np.arctan(raw - y),
                TypeError(re.compile(r"there is no derivative of np\.arctan\. .*where.*")),
            ),
            (
                "no such method",
                lambda raw, y: (raw - y).cumsum(),
                AttributeError(re.compile(r"a Variable has no 'cumsum'\. .*where.*")),
            ),
            (
                "column 7",
                lambda raw, y: raw[7] - y,
                ValueError(re.compile(r"the expression asks for column 7 of \d outputs")),
            ),
            (
                "two constants",
                lambda raw, y: (raw - y) * [1.0, 2.0],
                ValueError(
                    re.compile(
                        r"a constant of the expression has 2 numbers, but there are \d outputs"
                    )
                ),
            ),
            (
                "an activation",
                Expression.trace(lambda z: z * z, ("z",)),
                ValueError("an expression of (raw, y) is wanted, got one of (z): z * z"),
            ),
        ]
    ),
    *(
        ours(f"activation, {id}", fit(X, Y), error, params={"activation": activation})
        for id, activation, error in [
            ("if", lambda z: z if z > 0 else 0, NO_BRANCH),
            (
                "primitive",
                alike,
                TypeError(
                    "the primitive 'alike' runs in Python alone and cannot be compiled: write it with "
                    "the functions of fastbp.graph"
                ),
            ),
            (
                "a sum",
                lambda z: fg.sum(z),
                TypeError("sum is of a row, but this is a single number"),
            ),
            (
                "a constant",
                lambda z: 0.0,
                ValueError(
                    "the result does not depend on 'z': nothing is to be learned from a function that "
                    "ignores an argument"
                ),
            ),
            ("no entries", [], ValueError(LIST_OF.format(0) + "hidden layer")),
            ("two entries", ["relu", "tanh"], ValueError(LIST_OF.format(2) + "hidden layer")),
            ("an unknown entry", ["gulp"], ValueError("activation[0] " + NO_NAME + "'gulp'")),
            ("no name", [None], ValueError("activation[0] " + NO_NAME + "None")),
        ]
    ),
]

check = partial(Use, check_gradient)
LOOKS = [
    *(
        ours(f"{function.__name__} before fit", Use(function, *arguments), UNFITTED, on=NEW)
        for function, arguments in (
            (inspection.activations, (X,)),
            (inspection.input_gradients, (X,)),
            (inspection.layer_statistics, (X, Y)),
        )
    ),
    *rows(
        ours("activations, 3 features", Use(inspection.activations, X[:, :3]), n_features(3)),
        ours(
            "input_gradients, 3 features", Use(inspection.input_gradients, X[:, :3]), n_features(3)
        ),
        ours(
            "layer_statistics, 3 features",
            Use(inspection.layer_statistics, X[:, :3], Y),
            n_features(3),
        ),
        ours(
            "layer_statistics, 3 targets",
            Use(inspection.layer_statistics, X, Y[:3]),
            lengths(20, 3),
        ),
        ours("check_gradient, 3 features", check(X[:, :3], Y), n_features(3)),
        on=FITTED,
    ),
    ours("check_gradient, 3 targets", check(X, Y[:3]), lengths(20, 3)),
    ours("check_gradient, NaN", check(put(X, (0, 0), nan), Y), NAN_X),
    ours("check_gradient, 3 weights", check(X, Y, W[:3]), n_weights(3)),
    ours(
        "check_gradient, an unknown method",
        check(X, Y, method="backward"),
        InvalidParameterError(
            "The 'method' parameter of check_gradient must be a str among {'central', 'forward'}. "
            "Got 'backward' instead."
        ),
    ),
    ours(
        "check_gradient, step 0",
        check(X, Y, step=0.0),
        InvalidParameterError(
            "The 'step' parameter of check_gradient must be a float in the range (0.0, inf) or "
            "None. Got 0.0 instead."
        ),
    ),
    ours(
        "check_gradient, no directions",
        check(X, Y, n_directions=0),
        InvalidParameterError(
            "The 'n_directions' parameter of check_gradient must be an int in the range [1, inf) "
            "or None. Got 0 instead."
        ),
    ),
]

REFUSED = [
    *LOOKS,
    *LOSS_TARGETS,
    *FUNCTIONS,
    *SHAPES,
    *DTYPES,
    *VALUES,
    *NO_NUMBERS,
    *OVERFLOW,
    *POISSON,
    *INDICES,
    *DIVERGENCE,
    *NUMBER_OF_OUTPUTS,
    *WEIGHTS,
    *CLASSES,
    *FIRST_CLASSES,
    *LATER,
    *LATER_CLASSES,
    *WARM_START,
    *SPLIT,
    *VALIDATION,
    *READ,
    *SCORE,
    *PARAMETERS,
    *LAYERS_FIRST,
    *LAYERS,
]

if SAME_WORDS:  # before, scikit-learn accepted these, or refused them by accident
    REFUSED += [
        theirs("bytes for labels", fit(X, AB.astype("S")), BYTES, CLF),
        *rows(
            theirs("score, NaN for weights", score(X, Y, nan * W), NAN_WEIGHTS),
            theirs("score, weights in two columns", score(X, Y, np.ones((20, 2))), weights_1d(2)),
            theirs("score, strings", score(X, ["a"] * 20), MIX_OF_LABELS, CLF),
            on=FITTED,
        ),
    ]

if pd is not None:
    DF = pd.DataFrame(X, columns=list("abcde"))
    DF_NA = pd.DataFrame({"a": pd.array([1, None] * 10, dtype="Int64")})
    REFUSED += [
        theirs("frame with missing values", fit(DF_NA, Y), NAN_X),
        theirs("frame with strings", fit(DF.assign(a="x"), Y), no_number("'x'")),
        theirs("frame with mixed names", fit(DF.rename(columns={"a": 1}), Y), MIXED_NAMES),
        theirs("pd.NA among objects", fit(put(XO, (0, 0), pd.NA), Y), no_float("NAType")),
        theirs("y with missing values", fit(X, DF_NA["a"]), NAN_Y),
        *rows(
            theirs(
                "frame, other order",
                predict(DF[list("edcba")]),
                names_differ("Feature names must be in the same order as they were in fit.\n"),
            ),
            theirs(
                "frame, another name",
                predict(DF.rename(columns={"a": "z"})),
                names_differ(
                    "Feature names unseen at fit time:\n- z\n"
                    "Feature names seen at fit time, yet now missing:\n- a\n"
                ),
            ),
            theirs(
                "frame, a column less",
                partial_fit(DF[list("abcd")], Y),
                names_differ("Feature names seen at fit time, yet now missing:\n- e\n"),
            ),
            on=FITTED,
            before=fit(DF, Y),
        ),
    ]


def cases(table):
    for row in table:
        for cls in row.of:
            for on in row.on:
                yield pytest.param(row, cls, on, id=f"{row.id}-{cls.__name__}-{on}")


def fitted(cls, before):
    est = cls(**DEFAULTS)
    before(est)
    return est


def fingerprint(value):
    """The bytes of what a call was given."""
    if isinstance(value, Call):
        return [fingerprint(part) for part in (*value.args, *value.kwargs.values())]
    if sp.issparse(value):
        # Not the object: SciPy notes in it whether the indices are sorted.
        parts = ("data", "indices", "indptr", "row", "col", "offsets", "rows")
        return [joblib.hash(getattr(value, part, None)) for part in parts]
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, np.ma.MaskedArray):
        value = value.data
    return joblib.hash(value)


def same(a, b):
    """The same values, bit for bit, down to the arrays."""
    if isinstance(a, dict):
        return type(a) is type(b) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return joblib.hash(a) == joblib.hash(b)


def future(est, before):
    """What comes of predicting and of training on."""
    x, y = before.args[:2]
    predictions = est.predict(x)
    est.partial_fit(x, y)
    return [predictions, est.coefs_, est.intercepts_, est.loss_curve_, est.predict(x)]


@cache
def future_of_a_twin(cls, before):
    """The same for one that never met the odd call."""
    return future(fitted(cls, before), before)


def learned(est):
    return {name: value for name, value in vars(est).items() if name.endswith("_")}


def words(text):
    """The text, with the choices of a `{...}` in order: scikit-learn prints a set's own."""
    return re.sub(
        r"\{('[^}]*)\}", lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", text
    )


def assert_says(error, row, cls):
    assert type(error) is type(row.error)
    if row.theirs and not SAME_WORDS:
        return
    text = row.error.args[0]
    if isinstance(text, re.Pattern):
        assert text.fullmatch(str(error)), str(error)
    else:
        assert words(str(error)) == words(text.replace("{name}", cls.__name__))


@pytest.mark.parametrize("row, cls, on", list(cases(REFUSED)))
def test_refused(row, cls, on):
    is_new = on in NEW
    est = cls(**DEFAULTS) if is_new else fitted(cls, row.before)
    state = copy.deepcopy(learned(est))
    est.set_params(**row.params)
    params = est.get_params()
    given = fingerprint(row.call)

    with pytest.raises(type(row.error)) as caught:
        row.call(est)

    assert_says(caught.value, row, cls)
    assert fingerprint(row.call) == given, "the caller's data were written"
    assert all(est.get_params()[name] is value for name, value in params.items())
    assert same(learned(est), state), "the estimator changed"
    est.set_params(**{name: cls(**DEFAULTS).get_params()[name] for name in row.params})
    if is_new:
        with pytest.raises(NotFittedError):
            est.predict(X)
        return
    assert same(future(est, row.before), future_of_a_twin(cls, row.before))


def test_the_table_is_long_enough():
    assert len(REFUSED) >= 160
    assert len(ACCEPTED) >= 30


def test_layers_in_the_place_of_the_loss():
    with pytest.raises(InvalidParameterError, match=r"write MLPRegressor\(hidden_layer_sizes="):
        MLPRegressor((5,)).fit(X, T)


def test_broken_row_pointers():
    """In a process of its own: what is not refused reads foreign memory."""
    program = """
import numpy as np, scipy.sparse as sp
from fastbp import MLPRegressor
x, y = np.ones((20, 5)), np.arange(20.0)
est = MLPRegressor(hidden_layer_sizes=(), max_iter=1)
for at, value in [(0, -5), (0, 3), (7, -500), (7, 10**6), (7, 20), (20, 10**6), (20, -1)]:
    for name in ("fit", "predict", "score"):
        broken = sp.csr_array(x)
        broken.indptr[at] = value
        try:
            getattr(est.fit(x, y), name)(*(broken, y)[: 1 + (name != "predict")])
        except ValueError as error:
            print(at, value, name, error)
        else:
            raise AssertionError((at, value, name))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


@pytest.mark.parametrize("cls", CLF + REG)
def test_partial_fit_is_absent_under_lbfgs(cls):
    assert not hasattr(cls(solver="lbfgs"), "partial_fit")
    assert hasattr(cls(solver="sgd"), "partial_fit")


SIZE = r"\d+(\.\d+)? (MiB|GiB|TiB|PiB|EiB|ZiB|YiB)"


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(
    "sizes",
    [2**40, (2**40,), (10**6, 10**6), (2**62,), (2**31, 2), (2**62,) * 2, (5, 10**12), 10**400],
    ids=lambda sizes: repr(sizes) if len(repr(sizes)) < 50 else "10**400",
)
@pytest.mark.parametrize("cls", CLF + REG)
def test_layers_beyond_memory(cls, sizes, solver):
    """Refused with both numbers before anything is allocated."""
    est = cls(hidden_layer_sizes=sizes, solver=solver)
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(MemoryError) as caught:
        est.fit(X, Y)
    seconds = time.perf_counter() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert type(caught.value) is MemoryError
    assert re.fullmatch(
        rf"Fitting hidden_layer_sizes={re.escape(repr(sizes))} needs {SIZE} of memory, "
        rf"but {SIZE} is available\.",
        str(caught.value),
    ), str(caught.value)
    assert peak < 50 * 2**20
    assert seconds < 2
    assert not learned(est)


# --- what is accepted -------------------------------------------------------------------------


class Same(NamedTuple):
    id: str
    odd: Call
    plain: Call
    of: tuple = CLF + REG
    params: Mapping[str, Any] = MappingProxyType({})
    plain_params: dict[str, Any] | None = None  # where they are not `params`
    warning: Warning | None = None
    exact: bool = True  # bit for bit; otherwise a sum's order differs


COLUMN = DataConversionWarning(
    "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
    "(n_samples, ), for example using ravel()."
)
CLIPPED = UserWarning(
    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
)


def csr_backwards(a):
    """The same CSR with the indices of every row in falling order."""
    a = sp.csr_array(a)
    for start, stop in zip(a.indptr[:-1], a.indptr[1:], strict=True):
        a.indices[start:stop] = a.indices[start:stop][::-1].copy()
        a.data[start:stop] = a.data[start:stop][::-1].copy()
    return sp.csr_array((a.data, a.indices, a.indptr), shape=a.shape)


def csr_twice(a):
    """The same CSR with every element stored as two halves."""
    a = sp.csr_array(a)
    halves = np.repeat(a.data / 2, 2), np.repeat(a.indices, 2), a.indptr * 2
    return sp.csr_array(halves, shape=a.shape)


def csr_int64(a):
    """The same CSR with 64-bit indices."""
    a = sp.csr_array(a)
    a.indices, a.indptr = a.indices.astype(np.int64), a.indptr.astype(np.int64)
    return a


def csr_zeros(a):
    """The same CSR with the zeros stored."""
    a = np.asarray(a)
    full = sp.csr_array(np.ones_like(a))
    full.data[:] = a.ravel()
    return full


XI = np.arange(100).reshape(20, 5) % 7
HOLES = np.where(X > 0.5, X, 0.0)

ODD_X = [
    ("list", X.tolist(), X),
    ("tuple of lists", tuple(X.tolist()), X),
    ("list of arrays", list(X), X),
    ("bool", XI > 3, (XI > 3).astype(float)),
    ("int8", XI.astype(np.int8), XI.astype(float)),
    ("int64", XI, XI.astype(float)),
    ("uint64", put(XI, (0, 0), 7).astype(np.uint64) << 50, put(XI, (0, 0), 7) * 2.0**50),
    ("float16", X.astype(np.float16), X.astype(np.float16).astype(float)),
    ("long double", X.astype(np.longdouble), X),
    ("objects", XO, X),
    ("strings of numbers", np.array([["0.5", "1e-3"]] * 20), np.array([[0.5, 1e-3]] * 20)),
    ("masked array", np.ma.masked_array(X, X > 9), X),
    ("one feature", X[:, :1].tolist(), X[:, 0].copy()[:, None]),
    ("csr_matrix", sp.csr_matrix(HOLES), sp.csr_array(HOLES)),
    ("CSC", sp.csc_array(HOLES), sp.csr_array(HOLES)),
    ("csc_matrix", sp.csc_matrix(HOLES), sp.csr_array(HOLES)),
    ("COO", sp.coo_array(HOLES), sp.csr_array(HOLES)),
    ("coo_matrix", sp.coo_matrix(HOLES), sp.csr_array(HOLES)),
    ("LIL", sp.lil_array(HOLES), sp.csr_array(HOLES)),
    ("DOK", sp.dok_array(HOLES), sp.csr_array(HOLES)),
    ("DIA", sp.dia_array(HOLES), sp.csr_array(HOLES)),
    ("BSR", sp.bsr_array(HOLES), csr_zeros(HOLES)),
    ("CSR of 64-bit indices", csr_int64(HOLES), sp.csr_array(HOLES)),
    ("CSR of bool", sp.csr_array(HOLES > 0), sp.csr_array((HOLES > 0).astype(float))),
    ("CSR of int8", sp.csr_array(XI.astype(np.int8)), sp.csr_array(XI.astype(float))),
    ("CSR with zeros stored", csr_zeros(HOLES), sp.csr_array(HOLES)),
    ("CSR without elements", sp.csr_array((20, 5)), csr_zeros(np.zeros((20, 5)))),
]
ODD_SUMS = [
    ("CSR backwards", csr_backwards(HOLES), sp.csr_array(HOLES)),
    ("CSR with duplicates", csr_twice(HOLES), sp.csr_array(HOLES)),
    ("CSR backwards, all stored", csr_backwards(X), sp.csr_array(X)),
    ("CSR for dense", sp.csr_array(HOLES), HOLES),
]

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

ODD_WEIGHTS = [
    ("list", [0.5, 2.0] * 10, np.array([0.5, 2.0] * 10)),
    ("tuple", (0.5, 2.0) * 10, np.array([0.5, 2.0] * 10)),
    ("integers", Y, Y.astype(float)),
    ("bool", Y > 0, (Y > 0).astype(float)),
    ("float32", np.array([0.5, 2.0] * 10, np.float32), np.array([0.5, 2.0] * 10)),
    ("float16", np.array([0.5, 2.0] * 10, np.float16), np.array([0.5, 2.0] * 10)),
    ("objects", np.array([0.5, 2.0] * 10, object), np.array([0.5, 2.0] * 10)),
    ("a float", 2.0, 2 * W),
    ("an int", 2, 2 * W),
    ("a NumPy float", np.float32(2), 2 * W),
    ("True", True, W),
]

ODD_PARAMS = [
    ({"hidden_layer_sizes": 4}, {}),
    ({"hidden_layer_sizes": [4]}, {}),
    ({"hidden_layer_sizes": np.int64(4)}, {}),
    ({"hidden_layer_sizes": np.array([4])}, {}),
    ({"hidden_layer_sizes": (np.int8(4),)}, {}),
    ({"hidden_layer_sizes": range(4, 2, -1)}, {"hidden_layer_sizes": (4, 3)}),
    ({"hidden_layer_sizes": []}, {"hidden_layer_sizes": ()}),
    ({"hidden_layer_sizes": np.array([], int)}, {"hidden_layer_sizes": ()}),
    ({"activation": np.str_("tanh")}, {"activation": "tanh"}),
    ({"solver": np.str_("lbfgs")}, {"solver": "lbfgs"}),
    ({"alpha": 0}, {"alpha": 0.0}),
    ({"alpha": True}, {"alpha": 1.0}),
    ({"alpha": np.float32(0.5)}, {"alpha": 0.5}),
    ({"alpha": np.float64(0.1)}, {"alpha": 0.1}),
    ({"batch_size": np.int32(6)}, {"batch_size": 6}),
    ({"batch_size": True}, {"batch_size": 1}),
    ({"learning_rate_init": 1}, {"learning_rate_init": 1.0}),
    ({"learning_rate_init": np.float32(0.25)}, {"learning_rate_init": 0.25}),
    ({"max_iter": np.uint8(3)}, {}),
    ({"max_iter": True}, {"max_iter": 1}),
    ({"max_iter": 2**70, "tol": 1e9}, {"max_iter": 1000, "tol": 1e9}),
    ({"shuffle": np.False_}, {"shuffle": False}),
    ({"random_state": np.int64(0)}, {}),
    ({"random_state": np.random.RandomState(0)}, {}),
    ({"random_state": False}, {}),
    ({"tol": 0}, {"tol": 0.0}),
    ({"verbose": np.False_}, {}),
    ({"verbose": 0}, {}),
    ({"warm_start": np.True_}, {}),
    ({"solver": "sgd", "momentum": 0}, {"solver": "sgd", "momentum": 0.0}),
    ({"solver": "sgd", "momentum": 1}, {"solver": "sgd", "momentum": 1.0}),
    ({"solver": "sgd", "nesterovs_momentum": np.True_}, {"solver": "sgd"}),
    ({"solver": "sgd", "learning_rate": "invscaling", "power_t": 0}, {"solver": "sgd"}),
    ({"beta_1": 0, "beta_2": 0}, {"beta_1": 0.0, "beta_2": 0.0}),
    ({"n_iter_no_change": inf, "max_iter": 30}, {"n_iter_no_change": 100, "max_iter": 30}),
    ({"n_iter_no_change": np.float64(inf)}, {}),
    ({"n_iter_no_change": 2**70}, {}),
    ({"solver": "lbfgs", "max_fun": np.int64(9)}, {"solver": "lbfgs", "max_fun": 9}),
    (
        {"early_stopping": np.True_, "validation_fraction": np.float32(0.25)},
        {"early_stopping": True, "validation_fraction": 0.25},
    ),
    ({"n_threads": 1}, {}),
    ({"n_threads": 2}, {}),
    ({"n_threads": np.int64(1)}, {}),
    ({"n_threads": 64}, {}),
]

ACCEPTED = [
    *[Same(f"X {what}", fit(odd, Y), fit(plain, Y)) for what, odd, plain in ODD_X],
    *[Same(f"X {what}", fit(odd, Y), fit(plain, Y), exact=False) for what, odd, plain in ODD_SUMS],
    *[Same(f"y {what}", fit(X, odd), fit(X, plain), of) for what, odd, plain, of in ODD_TARGETS],
    *[
        Same(f"weights {what}", fit(X, Y, odd), fit(X, Y, plain))
        for what, odd, plain in ODD_WEIGHTS
    ],
    *[
        Same(", ".join(f"{k}={v}" for k, v in odd.items()), fit(X, Y), fit(X, Y), CLF + REG, *both)
        for both in ODD_PARAMS
        for odd in both[:1]
    ],
    Same("y a column", fit(X, Y[:, None]), fit(X, Y), warning=COLUMN),
    Same("y a column of lists", fit(X, Y[:, None].tolist()), fit(X, Y), warning=COLUMN),
    Same(
        "batch_size beyond n",
        fit(X, Y),
        fit(X, Y),
        params={"batch_size": 21},
        plain_params={"batch_size": 20},
        warning=CLIPPED,
    ),
    Same(
        "batch_size beyond 64 bits",
        fit(X, Y),
        fit(X, Y),
        params={"batch_size": 10**30},
        plain_params={"batch_size": 20},
        warning=CLIPPED,
    ),
    Same("one row", fit(X[:1].tolist(), [1.5]), fit(X[:1], np.array([1.5])), REG),
    Same("float32, weights float64", fit(X32, Y, 1e3 * W), fit(X32, Y, np.float32(1e3) * W)),
    *(
        Same(
            f"float32, weights times 2**{power}",
            fit(X32, Y, 2.0**power * W),
            fit(X32, Y, W),
            params={"alpha": 0.0},
        )
        for power in (200, -200, -1000)
    ),
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
    NAMED = pd.DataFrame(X, columns=list("abcde"))
    ACCEPTED += [
        Same("frame", fit(NAMED, Y), fit(X, Y)),
        Same("frame of float32", fit(NAMED.astype("f4"), Y), fit(X32, Y)),
        Same("frame of ints", fit(pd.DataFrame(XI), Y), fit(XI.astype(float), Y)),
        Same("frame of nullable floats", fit(NAMED.astype("Float64"), Y), fit(X, Y)),
        Same("frame of nullable ints", fit(pd.DataFrame(XI, dtype="Int64"), Y), fit(XI, Y)),
        Same(
            "frame of nullable bool",
            fit(pd.DataFrame(XI > 3, dtype="boolean"), Y),
            fit(XI > 3, Y),
        ),
        Same(
            "frame of mixed numbers",
            fit(NAMED.assign(a=Y, b=Y > 0), Y),
            fit(np.c_[Y, Y > 0, X[:, 2:]], Y),
        ),
        Same("y a Series", fit(X, pd.Series(Y)), fit(X, Y)),
        Same("y a Series with an index", fit(X, pd.Series(Y, index=range(90, 110))), fit(X, Y)),
        Same("y a nullable Series", fit(X, pd.Series(Y, dtype="Int64")), fit(X, Y)),
        Same("y a nullable float Series", fit(X, pd.Series(T, dtype="Float64")), fit(X, T), REG),
        Same("y a frame of one column", fit(X, pd.DataFrame(Y)), fit(X, Y), warning=COLUMN),
        Same("y a frame of two columns", fit(X, pd.DataFrame(T2)), fit(X, T2), REG),
        Same("multilabel, a frame", fit(X, pd.DataFrame(M)), fit(X, M), CLF),
        Same(
            "weights a Series with an index",
            fit(X, Y, pd.Series(2 * W, index=range(90, 110))),
            fit(X, Y, 2 * W),
        ),
        Same(
            "weights a nullable Series",
            fit(X, Y, pd.Series(2 * W, dtype="Float64")),
            fit(X, Y, 2 * W),
        ),
    ]


def outcome(est, x):
    """All that training and prediction give, apart from how the labels are written."""
    positions = []
    if isinstance(est, MLPClassifier):
        outputs = est.predict_proba(x)
        labels = est.predict(x)
        if labels.ndim == 1:
            positions = np.searchsorted(est.classes_, labels)
            assert same(est.classes_[positions], labels)
    else:
        outputs = est.predict(x)
    curve = getattr(est, "loss_curve_", [])
    return [*est.coefs_, *est.intercepts_, np.array(curve), outputs, np.array(positions)]


@pytest.mark.parametrize(
    "row, cls",
    [pytest.param(row, cls, id=f"{row.id}-{cls.__name__}") for row in ACCEPTED for cls in row.of],
)
def test_accepted(row, cls):
    odd = cls(**DEFAULTS).set_params(**copy.deepcopy(dict(row.params)))
    plain = cls(**DEFAULTS)
    plain.set_params(**(row.params if row.plain_params is None else row.plain_params))
    given = fingerprint(row.odd)

    if row.warning is None:
        row.odd(odd)
    else:
        with pytest.warns(type(row.warning)) as caught:
            row.odd(odd)
        texts = [str(w.message) for w in caught if w.category is type(row.warning)]
        assert texts == [str(row.warning)]
    row.plain(plain)

    assert fingerprint(row.odd) == given, "the caller's data were written"
    x = row.plain.args[0]
    with warnings.catch_warnings():  # a frame's names are not the subject here
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        results = outcome(odd, x), outcome(plain, x)
    if row.exact:
        assert same(*results)
    else:
        for a, b in zip(*results, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9 if a.dtype == float else 1e-4)


@pytest.mark.parametrize("cls", CLF + REG)
@pytest.mark.parametrize(
    "odd, plain, exact",
    [
        pytest.param(odd, plain, table is ODD_X, id=what)
        for table in (ODD_X, ODD_SUMS)
        for what, odd, plain in table
        if what != "strings of numbers"  # refused: see above
    ],
)
def test_reads_accepted(odd, plain, exact, cls):
    """Where `fit` takes an odd X, so does prediction."""
    est = cls(**DEFAULTS).fit(plain, Y)
    given = fingerprint(odd)
    results = outcome(est, odd), outcome(est, plain)
    assert est.score(odd, Y) == pytest.approx(est.score(plain, Y), rel=0 if exact else 1e-9)
    assert fingerprint(odd) == given
    if exact:
        assert same(*results)
    else:
        np.testing.assert_allclose(results[0][-2], results[1][-2], rtol=1e-9)


# Labels of any kind give the network of the labels 0, 1, 2, and come back as they were.
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
    theirs = sklearn.neural_network.MLPClassifier(**DEFAULTS).fit(X, names[y])
    assert same(est.classes_, theirs.classes_)
    assert same(est.predict(X), theirs.predict(X))


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
    """One column of certainty, where scikit-learn gives two of doubt."""
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


@pytest.mark.skipif(pd is None, reason="pandas is not installed")
@pytest.mark.parametrize("cls", CLF + REG)
def test_feature_names_on_one_side_only_warn(cls):
    named = cls(**DEFAULTS).fit(NAMED, Y)
    plain = cls(**DEFAULTS).fit(X, Y)
    name = cls.__name__
    with pytest.warns(
        UserWarning,
        match=f"^X does not have valid feature names, but {name} was fitted with feature names$",
    ):
        assert same(named.predict(X), plain.predict(X))
    with pytest.warns(
        UserWarning, match=f"^X has feature names, but {name} was fitted without feature names$"
    ):
        assert same(plain.predict(NAMED), plain.predict(X))
    assert named.feature_names_in_.tolist() == list("abcde")
    assert not hasattr(plain, "feature_names_in_")
