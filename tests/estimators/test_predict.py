"""Predictions without scikit-learn's checks have the same errors and the same bits."""

import functools
import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from odd_inputs import put
from sklearn import config_context
from sklearn.preprocessing import LabelBinarizer

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import inputs
from fastbp.estimators.labels import plain_labels
from fastbp.estimators.model import Model
from fastbp.kernels import core
from fastbp.network import Network

try:
    import pandas as pd
except ImportError:
    pd = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PARAMS = dict(hidden_layer_sizes=(7,), max_iter=3, random_state=0)
METHODS = {
    MLPClassifier: ("predict", "predict_proba", "predict_log_proba"),
    MLPRegressor: ("predict",),
}
N, FEATURES = 30, 5
rng = np.random.RandomState(0)
X = rng.randn(N, FEATURES)
Y = np.arange(N) % 3


class Derived(np.ndarray):
    pass


def unaligned(a):
    return np.frombuffer(bytearray(b"\1" + a.tobytes()), a.dtype, offset=1).reshape(a.shape)


ODD = {
    "plain": X,
    "one row": X[:1],
    "float32": X.astype("f4"),
    "one row of float32": X[:1].astype("f4"),
    "Fortran": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=1)[::-1, ::2],
    "one column of many": np.repeat(X, 3, axis=0)[::3],
    "stride 0": np.broadcast_to(X[0], X.shape),
    "unaligned": unaligned(X),
    "unaligned float32": unaligned(X.astype("f4")),
    "big-endian": X.astype(">f8"),
    "big-endian float32": X.astype(">f4"),
    "dtype with metadata": X.astype(np.dtype("f8", metadata={"a": 1})),
    "float16": X.astype("f2"),
    "longdouble": X.astype("g"),
    "int": (9 * X).astype(int),
    "bool": X > 0,
    "object": X.astype(object),
    "list": X.tolist(),
    "masked": np.ma.array(X, mask=X > 1),
    "derived": X.view(Derived),
    "csr": sp.csr_array(X),
    "csc": sp.csc_matrix(X),
    "largest": np.full((3, FEATURES), np.finfo("f8").max),
    "largest float32": np.full((3, FEATURES), np.finfo("f4").max, "f4"),
    "denormal": np.full((3, FEATURES), 5e-324),
    "none": X[:0],
    "no column": X[:, :0],
    "a column less": X[:, 1:],
    "a column more": np.hstack([X, X])[:, : FEATURES + 1],
    "1-D": X[0],
    "0-D": np.array(1.0),
    "3-D": X[None],
    "scalar": 3.0,
    "None": None,
    "string": "abc",
    "strings": X.astype(str),
    "bytes": X.astype("S"),
    "words": np.full((2, FEATURES), "word"),
    "complex": X.astype(complex),
    "dates": np.zeros((2, FEATURES), "M8[s]"),
    "structured": np.zeros(3, [("a", "f8"), ("b", "f8")]),
    "ragged": [[1.0], [1.0, 2.0]],
    "nan": put(X, (-1, -1), np.nan),
    "nan in one row": put(X, (0, 2), np.nan)[:1],
    "inf": put(X, (3, 0), np.inf),
    "-inf": put(X, (0, 0), -np.inf),
    "inf and -inf": put(put(X, (0, 0), np.inf), (0, 1), -np.inf),
    "nan and inf": put(put(X, (0, 0), np.nan), (9, 1), np.inf),
    "nan in float32": put(X.astype("f4"), (7, 1), np.nan),
    "inf in Fortran": np.asfortranarray(put(X, (7, 1), np.inf)),
    "nan in object": put(X.astype(object), (7, 1), np.nan),
    "nan in csr": sp.csr_array(put(X, (7, 1), np.nan)),
    "nan, a column less": put(X, (0, 1), np.nan)[:, 1:],
}
if pd is not None:
    FRAME = pd.DataFrame(X, columns=list("abcde"))
    MIXED = FRAME.astype({"a": "f4", "d": "f4"})
    SPARSE = pd.DataFrame.sparse.from_spmatrix(sp.csr_array(X), columns=list("abcde"))
    ODD |= {
        "frame": FRAME,
        "row of a frame": FRAME.iloc[3:4],
        "frame, two dtypes": MIXED,
        "frame of float32": FRAME.astype("f4"),
        "no row of a frame": FRAME.iloc[:0],
        "frame, an int column": FRAME.astype({"b": int}),
        "frame, an object column": FRAME.astype({"b": object}),
        "frame, a nullable column": FRAME.astype({"b": "Float64"}),
        "frame, a sparse column": FRAME.assign(b=SPARSE["b"]),
        "sparse frame": SPARSE,
        "frame, a name twice": FRAME.set_axis(list("abcda"), axis=1),
        "frame, some names": FRAME.set_axis(["a", "b", 3, "d", "e"], axis=1),
        "frame, two levels": pd.concat({"x": FRAME}, axis=1),
        "frame with inf": FRAME.replace(FRAME.iloc[3, 1], np.inf),
        "frame with nan": FRAME.mask(FRAME > 1),
        "series": FRAME["a"],
        "frame, other order": FRAME[list("edcba")],
        "frame, a column less": FRAME.iloc[:, 1:],
        "frame of ints": FRAME.astype(int),
        "frame without names": pd.DataFrame(X),
    }


def outcome(call):
    """The bits of the result, or type and message of the error; and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
            result = (type(result), result.dtype, result.shape, result.tobytes())
        except Exception as error:
            result = (type(error), str(error))
    told = [(warning.category, str(warning.message)) for warning in caught]
    return result, [pair for pair in told if pair[0] is not RuntimeWarning]  # log(0), of NumPy


def fitted(cls, dtype="f8", names=False, **params):
    x = FRAME.astype(dtype) if names else X.astype(dtype)
    return cls(**{**PARAMS, **params}).fit(x, Y)


@functools.cache
def pair(cls, state):
    """Estimators of fastbp and of scikit-learn in the same state."""
    theirs = getattr(sklearn.neural_network, cls.__name__)
    if state == "new":
        return cls(), theirs()
    dtype = "f4" if state == "float32" else "f8"
    est = fitted(cls, dtype, state == "names")
    other = theirs(**PARAMS).fit((FRAME if state == "names" else X).astype(dtype), Y)
    if state == "edited":
        est.coefs_[0] = other.coefs_[0] = est.coefs_[0] * 2
    return est, other


@pytest.fixture
def full(monkeypatch):
    """A function that makes all later predictions use scikit-learn's checks."""

    def turn():
        monkeypatch.setattr(Model, "row", None)
        monkeypatch.setattr("fastbp.estimators.base.plain_prediction", lambda *_: None)

    return turn


@pytest.mark.parametrize("state", ["float64", "float32", "names", "new", "edited"])
@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_input_gives_the_same_errors_and_bits_with_and_without_checks(odd, cls, state, full):
    if state == "names" and pd is None:
        pytest.skip("pandas is not installed")
    est, other = pair(cls, state)

    def outcomes():
        return [outcome(partial(getattr(est, method), ODD[odd])) for method in METHODS[cls]]

    lean, again = outcomes(), outcomes()
    full()
    assert lean == again == outcomes()
    theirs = outcome(partial(other.predict, ODD[odd]))
    assert (len(theirs[0]) == 2) == (len(lean[0][0]) == 2)
    if len(theirs[0]) == 2 and odd != "dates":  # these fail in the arithmetic
        assert lean[0] == theirs


@pytest.mark.parametrize("cls", METHODS)
@pytest.mark.parametrize("odd", ["nan", "inf", "nan in float32", "inf in Fortran", "nan in object"])
def test_assume_finite_gives_nan(odd, cls, full):
    est = fitted(cls)
    with config_context(assume_finite=True):
        lean = outcome(lambda: est.predict(ODD[odd]))
        full()
        assert len(lean[0]) == 4 and lean == outcome(lambda: est.predict(ODD[odd]))


def test_only_plain_arrays_skip_the_checks(monkeypatch):
    asked = []
    check = inputs.check_prediction_data
    monkeypatch.setattr(
        inputs, "check_prediction_data", lambda est, x: asked.append(x) or check(est, x)
    )
    est = fitted(MLPClassifier)
    for name in (
        "plain",
        "one row",
        "float32",
        "one row of float32",
        "Fortran",
        "strided",
        "one column of many",
        "stride 0",
        "unaligned",
        "largest",
        "denormal",
        "int",
        "bool",
        "list",
        *(["frame without names"] if pd is not None else []),
    ):
        est.predict(ODD[name])
    assert not asked
    for name in ("derived", "float16", "object", "big-endian", "csr"):
        est.predict(ODD[name])
    assert len(asked) == 5
    est.feature_names_in_ = np.array(list("abcde"), object)
    if pd is not None:
        for name in (
            "frame",
            "row of a frame",
            "frame of float32",
            "frame, two dtypes",
            "frame, an int column",
            "frame of ints",
        ):
            est.predict(ODD[name])
        assert len(asked) == 5
        est.predict(ODD["frame, a nullable column"])
        del asked[-1]
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        est.predict(X)
    assert len(asked) == 6


def test_what_a_user_changes_is_seen():
    est = fitted(MLPClassifier)
    before = est.predict_proba(X)
    est.set_params(activation="tanh")
    tanh = est.predict_proba(X)
    est.set_params(activation="relu")
    np.testing.assert_array_equal(est.predict_proba(X), before)
    assert not np.array_equal(tanh, before)
    est.n_features_in_ = 4
    with pytest.raises(ValueError, match="X has 5 features, but MLPClassifier is expecting 4"):
        est.predict(X)
    est.n_features_in_ = 5
    est.intercepts_[1] = est.intercepts_[1].copy()  # equal, but another array
    est.predict(X)
    est.intercepts_[1][0] += 1
    assert not np.array_equal(est.predict_proba(X), before)
    del est.coefs_, est.intercepts_
    with pytest.raises(AttributeError):
        est.predict(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("weights", ["zeros", "drawn"])
def test_the_core_finds_values_that_are_not_finite_anywhere(weights, value, dtype):
    for rows, features, units in ((1, 1, 2), (1, 67, 1), (3, 16, 40), (300, 3, 4)):  # two blocks
        network = Network((features, units, 2), "relu", dtype)
        x, out = np.full((rows, features), np.finfo(dtype).max, dtype), np.empty((rows, 2), dtype)
        x.ravel()[::2] *= -1
        if weights == "drawn":
            network.initialize(np.random.RandomState(0))
            x /= 1e4
        assert network.predict(x, "identity", out)
        for place in range(0, x.size, 1 if x.size < 100 else 7):
            odd = x.copy()
            odd.ravel()[place] = value
            assert not network.predict(odd, "identity", out)
            assert core.is_finite(x.ravel()) and not core.is_finite(odd.ravel())


def test_overflow_of_sums_is_not_an_error_of_x():
    x = np.full((5, 3), np.finfo("f4").max, "f4")
    x[1] = 1
    est = MLPRegressor(hidden_layer_sizes=(4,), random_state=0, max_iter=1)
    est.fit(x / np.float32(1e38), np.arange(5.0))
    for weight in est.coefs_:
        weight[...] = 2
    assert not est._model.network.predict(x, "identity", np.empty((5, 1), "f4"))
    found = est.predict(x)
    assert np.isinf(found[[0, 2, 3, 4]]).all()
    np.testing.assert_allclose(found[1], est.predict(x[1:2])[0], rtol=1e-6)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        est.predict(put(x, (3, 1), np.nan))


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("names", ["int", "str", "bool", "float"])
def test_labels_are_those_of_the_binarizer(names, classes):
    labels = {
        "int": np.array([7, -3, 4]),
        "str": np.array(["c", "a", "bb"]),
        "bool": np.array([True, False, True]),
        "float": np.array([0.0, 2.0, 1.0]),
    }[names]
    y = labels[:classes][np.arange(N) % classes]
    est = MLPClassifier(**PARAMS).fit(X, y)
    binarizer = LabelBinarizer().fit(y)
    for name, value in vars(binarizer).items():
        found = getattr(est._label_binarizer, name)
        np.testing.assert_array_equal(found, value)
        assert getattr(found, "dtype", None) == getattr(value, "dtype", None)
    probability = (
        est.predict_proba(X) if len(binarizer.classes_) == 3 else est._predict(X)[1].ravel()
    )
    expected, found = binarizer.inverse_transform(probability), est.predict(X)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize(
    "y",
    [
        np.arange(30) % 3,
        np.arange(30) % 2,
        np.arange(30, dtype="u1") % 5,
        np.zeros(9, int),
        np.arange(30) % 2 == 0,
        np.arange(4),
        np.array([2**63, 5], np.uint64),
    ],
)
def test_plain_labels_are_encoded_as_scikit_learn_does(y):
    classes, codes, complete = plain_labels(y)
    binarizer = LabelBinarizer().fit(y)
    np.testing.assert_array_equal(classes, binarizer.classes_)
    assert classes.dtype == binarizer.classes_.dtype and complete
    np.testing.assert_array_equal(classes[codes], y)
    again = plain_labels(y[:1], classes)
    assert again is not None and classes[again[1]] == y[:1] and again[2] == (len(classes) == 1)
    if y.dtype != bool:
        assert plain_labels(np.append(y, y.dtype.type(9)), classes) is None


@pytest.mark.parametrize(
    "y",
    [
        np.arange(30.0),
        np.array(list("abc")),
        [1, 2],
        np.arange(4).astype(">i8"),
        np.arange(4).reshape(2, 2),
        np.arange(21),
        np.array([1, None], object),
    ],
)
def test_other_labels_are_left_to_scikit_learn(y):
    assert plain_labels(y) is None


@pytest.mark.parametrize(
    "plan",
    [np.zeros(3), np.zeros((2, 5), np.int64), np.zeros(0, "V48"), np.zeros(8, "V48")[::2], None],
    ids=repr,
)
def test_an_invalid_plan_is_refused(plan):
    """The core reads plans as bytes."""
    with pytest.raises((ValueError, BufferError, TypeError)):
        core.scratch_size(plan, 1, 1, "predict")


@pytest.mark.parametrize("dtype", [str, object])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_string_labels_of_a_piece_need_no_checks(dtype):
    names = np.array(["cherry", "apple", "bee"]).astype(dtype)
    codes = np.array([1, 2, 0])[np.arange(30) % 3]  # in the order of the sorted names
    X, y = np.random.RandomState(0).randn(30, 3), np.sort(names.astype(str))[codes].astype(dtype)
    by_name, by_code = (MLPClassifier((4,), random_state=0) for _ in range(2))
    for part in (slice(0, 30), slice(0, 1), slice(4, 9)):
        by_name.partial_fit(X[part], y[part], classes=names)
        by_code.partial_fit(X[part], codes[part], classes=[0, 1, 2])
    np.testing.assert_array_equal(by_name.predict_proba(X), by_code.predict_proba(X))
    np.testing.assert_array_equal(by_name.predict(X), by_name.classes_[by_code.predict(X)])
    assert plain_labels(y[:1], by_name.classes_) is not None
    with pytest.raises(ValueError, match="has classes not in"):
        by_name.partial_fit(X[:2], np.array(["apple", "appl"]).astype(dtype))
    assert plain_labels(np.array(["apple", 3], object), by_name.classes_) is None
