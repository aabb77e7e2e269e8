"""Damaged sparse X and y raise an error; odd ones give the right numbers; neither kills."""

import os
import pickle
import signal
import time
import warnings
from functools import partial

import numpy as np
import pytest
import scipy
import scipy.sparse as sp
from damaged_sparse import FAMILIES, FORMATS, at, damaged, odd, parts, sound
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, MLPRegressor, check_gradient
from fastbp.estimators import inputs, sparse
from fastbp.inspection import activations, input_gradients, layer_statistics
from forks import failures

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
over_formats = pytest.mark.parametrize("form", FORMATS)
# Arrays and matrices, and all calls; otherwise the two take turns.
FULL = os.environ.get("FASTBP_TEST_FULL") == "1"

SCIPY = tuple(int(part) for part in scipy.__version__.split(".")[:2])

rng = np.random.RandomState(0)
X = np.where(rng.rand(60, 12) < 0.4, np.round(rng.randn(60, 12) * 4), 0.0)
X[-1, -1] = 1.0
LABELS = np.arange(60) % 3
INDICATOR = (rng.rand(60, 4) < 0.5).astype(float)
INDICATOR[-1, -1] = 1
PARAMS = dict(hidden_layer_sizes=(4,), max_iter=2, random_state=0)


def fitted(cls, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cls(**PARAMS).fit(X, y)


MULTICLASS, MULTILABEL = fitted(MLPClassifier, LABELS), fitted(MLPClassifier, INDICATOR)
REGRESSOR, OUTPUTS = fitted(MLPRegressor, X[:, 0]), fitted(MLPRegressor, INDICATOR)

NEW = MLPClassifier(**PARAMS)
QUANTILES = fitted(MLPRegressor, INDICATOR).set_params(loss="quantile")
ESTIMATORS = [MULTICLASS, MULTILABEL, REGRESSOR, OUTPUTS, NEW, QUANTILES]
STATES = [pickle.dumps(est) for est in ESTIMATORS]
ONE_DIRECTION = dict(n_directions=1, random_state=0)

# Calls by name: an estimator, and a function of it and of X or y.
OF_X = {
    "fit": (MULTICLASS, lambda est, x: est.fit(x, LABELS)),
    "predict": (REGRESSOR, lambda est, x: est.predict(x)),
    "partial_fit": (MULTICLASS, lambda est, x: est.partial_fit(x, LABELS)),
    "X_val": (REGRESSOR, lambda est, x: est.fit(X, X[:, 0], X_val=x, y_val=X[:, 0])),
    "score": (REGRESSOR, lambda est, x: est.score(x, X[:, 0])),
}
MORE_OF_X = {
    "fit, regressor": (REGRESSOR, lambda est, x: est.fit(x, X[:, 0])),
    "predict_proba": (MULTICLASS, lambda est, x: est.predict_proba(x)),
    "predict_log_proba": (MULTICLASS, lambda est, x: est.predict_log_proba(x)),
    "score, classifier": (MULTICLASS, lambda est, x: est.score(x, LABELS)),
    "activations": (REGRESSOR, activations),
    "input_gradients": (REGRESSOR, input_gradients),
    "layer_statistics": (REGRESSOR, lambda est, x: layer_statistics(est, x, X[:, 0])),
    "check_gradient": (MULTICLASS, lambda est, x: check_gradient(est, x, LABELS, **ONE_DIRECTION)),
}
OF_Y = {
    "fit": (MULTILABEL, lambda est, y: est.fit(X, y)),
    "fit, regressor": (OUTPUTS, lambda est, y: est.fit(X, y)),
    "partial_fit": (MULTILABEL, lambda est, y: est.partial_fit(X, y)),
    "partial_fit, regressor": (OUTPUTS, lambda est, y: est.partial_fit(X, y)),
    "first partial_fit": (NEW, lambda est, y: est.partial_fit(X, y, classes=[0, 1, 2, 3])),
    "y_val": (MULTILABEL, lambda est, y: est.fit(X, INDICATOR, X_val=X, y_val=y)),
    "y_val, regressor": (OUTPUTS, lambda est, y: est.fit(X, INDICATOR, X_val=X, y_val=y)),
    "score": (MULTILABEL, lambda est, y: est.score(X, y)),
    "score, regressor": (OUTPUTS, lambda est, y: est.score(X, y)),
}
MORE_OF_Y = {
    "layer_statistics": (MULTILABEL, lambda est, y: layer_statistics(est, X, y)),
    "check_gradient": (OUTPUTS, lambda est, y: check_gradient(est, X, y, **ONE_DIRECTION)),
    "score of a quantile": (QUANTILES, lambda est, y: est.score(X, y)),
}


def refuses(make, calls):
    """Assert that each call raises a clear error, and changes neither matrix nor estimator."""
    matrix = make()
    given = parts(matrix)
    for name, (estimator, call) in calls.items():
        try:
            call(estimator, matrix)
        except (ValueError, TypeError) as error:
            assert str(error).strip(), f"{name} gave no words"
        else:
            raise AssertionError(f"{name} was accepted")
    assert parts(matrix) == given, "the matrix was changed"
    assert [pickle.dumps(est) for est in ESTIMATORS] == STATES, "an estimator was changed"


def results(calls, argument):
    """The numbers that each call gives, from a copy of its estimator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {
            name: numbers(call(pickle.loads(STATES[ESTIMATORS.index(estimator)]), argument))
            for name, (estimator, call) in calls.items()
        }


def agrees(make, calls, expected):
    """Assert that the calls give the expected numbers and do not change the matrix."""
    matrix = make()
    given = parts(matrix)
    for name, found in results(calls, matrix).items():
        for one, other in zip(found, expected[name], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12, err_msg=name)
    assert parts(matrix) == given, "the matrix was changed"


def numbers(result):
    """All numbers of a result, as arrays."""
    if isinstance(result, MLPClassifier | MLPRegressor):
        more = getattr(result, "validation_loss_curve_", None) or []
        return [*result.coefs_, *result.intercepts_, result.loss_curve_, more]
    if hasattr(result, "gradient_rms"):
        return [result.gradient_rms, result.mean]
    if hasattr(result, "passed"):
        return [result.passed]
    return [np.asarray(one) for one in (result if isinstance(result, list) else [result])]


@over_formats
def test_damaged_x_is_refused(form):
    calls = OF_X | MORE_OF_X
    matrices = list(damaged(X, [form], FAMILIES if FULL else ["array"]))
    assert len(matrices) >= 19
    assert failures((name, partial(refuses, make, calls)) for name, make in matrices) == {}


@over_formats
def test_damaged_y_is_refused(form):
    calls = OF_Y | MORE_OF_Y
    matrices = damaged(INDICATOR, [form], FAMILIES if FULL else ["matrix"])
    assert failures((name, partial(refuses, make, calls)) for name, make in matrices) == {}


@over_formats
def test_odd_x_gives_the_right_numbers(form):
    calls = OF_X | MORE_OF_X if FULL else OF_X
    expected = results(calls, X)
    matrices = odd(X, [form], FAMILIES if FULL else ["matrix"])
    assert failures((name, partial(agrees, make, calls, expected)) for name, make in matrices) == {}


@over_formats
def test_odd_y_gives_the_right_numbers(form):
    calls = OF_Y | MORE_OF_Y
    if not FULL:
        some = ("fit", "y_val, regressor", "first partial_fit", "score", "score, regressor")
        calls = {name: calls[name] for name in some}
    expected = results(calls, INDICATOR)
    matrices = odd(INDICATOR, [form], FAMILIES if FULL else ["array"])
    assert failures((name, partial(agrees, make, calls, expected)) for name, make in matrices) == {}


# ---- what SciPy converts


@pytest.mark.parametrize("form", ["csr", *sparse.CHECKED])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_what_is_converted_is_what_was_checked(form, dtype):
    """The user's own arrays may be written by another thread after the check."""
    matrix = sound(form, "array", X.astype(dtype))
    given = [getattr(matrix, part, None) for part in ("indices", "indptr", "offsets")]
    given = [one for one in [*given, *getattr(matrix, "coords", ())] if one is not None]
    assert given or form in ("lil", "dok")
    convert = sparse.CHECKED.get(form, sparse._as_csr)
    got = convert(matrix, matrix.shape, "X")
    used = [getattr(got, part, None) for part in ("indices", "indptr", "offsets")]
    used = [one for one in [*used, *getattr(got, "coords", ())] if one is not None]
    assert used and not any(np.shares_memory(one, other) for one in given for other in used)
    assert np.array_equal(got.toarray(), X)


def test_lists_are_converted_as_they_were_checked(monkeypatch):
    """A list of LIL that another thread makes longer after the check."""
    matrix, listed = sp.lil_array(X), sparse._listed

    def later(items, dtype, name):
        matrix.rows[0] += [3] * 100
        return listed(items, dtype, name)

    monkeypatch.setattr(sparse, "_listed", later)
    assert np.array_equal(sparse._as_csr(matrix, X.shape, "X").toarray(), X)


LBFGS = MLPRegressor(solver="lbfgs", **PARAMS)


def fitted_in_float32(matrix):
    """The size of X decides the dtype of training under lbfgs."""
    with pytest.raises((ValueError, TypeError)):
        LBFGS.fit(matrix, LABELS)


@over_formats
def test_damaged_float32_is_refused_by_lbfgs(form):
    cases = damaged(X.astype(np.float32), [form], FAMILIES if FULL else ["array"])
    assert (
        failures((name, lambda make=make: fitted_in_float32(make())) for name, make in cases) == {}
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_leaves_repeated_entries_as_they_are():
    data, indices = np.array([1, 2, 3, 4], np.float32), np.array([1, 1, 0, 0], np.int32)
    matrix = sp.csr_array((data, indices, np.array([0, 2, 4], np.int32)), shape=(2, 2))
    given = parts(matrix)
    LBFGS.fit(matrix, [1.0, 2.0])
    assert parts(matrix) == given


# ---- more about X and y


@pytest.mark.parametrize("form", ["coo", "dok", "csr"])
def test_one_dimension(form):
    """Sparse y with one dimension is as good as the dense one. X needs two."""
    if form == "csr" and SCIPY < (1, 15):
        pytest.skip("this SciPy has no CSR of one dimension")
    labels = getattr(sp, f"{form}_array")(LABELS)
    assert labels.ndim == 1
    for cls in (MLPClassifier, MLPRegressor):
        expected = fitted(cls, LABELS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = cls(**PARAMS).fit(X, labels, X_val=X, y_val=labels)
        for one, other in zip(found.coefs_, expected.coefs_, strict=True):
            np.testing.assert_array_equal(one, other)
        assert found.score(X, labels) == expected.score(X, LABELS)
        with pytest.raises(ValueError, match=r"^Expected 2D input, .* of shape \(60,\) for X\.$"):
            found.predict(labels)


def test_damaged_y_of_one_dimension():
    def with_index(value):
        y = sp.coo_array(LABELS)
        y.coords = (at(5, value)(y.coords[0]),)
        return y

    calls = {name: OF_Y[name] for name in ("fit", "fit, regressor", "y_val", "score")}
    cases = [
        (str(value), partial(refuses, partial(with_index, value), calls))
        for value in (60, 10**7, -1, 2**32)
    ]
    assert failures(cases) == {}


def test_three_dimensions():
    if SCIPY < (1, 15):
        pytest.skip("this SciPy has no arrays of three dimensions")
    cube = sp.coo_array(X.reshape(60, 3, 4))
    for call in (
        lambda: REGRESSOR.predict(cube),
        lambda: REGRESSOR.fit(cube, LABELS),
        lambda: REGRESSOR.fit(X, cube),
        lambda: REGRESSOR.score(X, cube),
    ):
        with pytest.raises(ValueError, match=r"must be a sparse matrix of two sizes, got a shape"):
            call()


@pytest.mark.parametrize(
    "name, call, message",
    [
        ("X", lambda x, y: REGRESSOR.predict(x), "X has a column index out of range: 12, "),
        ("X_val", lambda x, y: REGRESSOR.fit(X, LABELS, X_val=x, y_val=LABELS), "X_val: X has a "),
        ("y", lambda x, y: MULTILABEL.fit(X, y), "y has a column index out of range: 12, "),
        ("y_val", lambda x, y: MULTILABEL.fit(X, INDICATOR, X_val=X, y_val=y), "y_val has a "),
        ("y of score", lambda x, y: MULTILABEL.score(X, y), "y has a column index out of range"),
    ],
)
def test_errors_name_the_argument(name, call, message):
    x, y = sp.coo_array(X), sp.csr_array(INDICATOR)
    x.coords = (x.coords[0], at(5, 12)(x.coords[1]))
    y.indices = at(5, 12)(y.indices)
    with pytest.raises(ValueError, match=f"^{message}"):
        call(x, y)


WANTS_A_LIST = r"(classes|sample_weight) must be a list or array, got a \w+\.$"


@over_formats
def test_sparse_classes_and_weights(form):
    """Sparse `classes` and `sample_weight` are refused, damaged ones too."""
    whole = [("sound", partial(sound, form, "array", INDICATOR))]
    damages = damaged(INDICATOR, [form], ["array"])

    def refused(make):
        matrix = make()
        for call in (
            lambda: MLPClassifier(**PARAMS).partial_fit(X, LABELS, classes=matrix),
            lambda: MULTICLASS.partial_fit(X, LABELS, classes=matrix),
            lambda: MULTICLASS.fit(X, LABELS, matrix),
            lambda: MULTICLASS.partial_fit(X, LABELS, matrix),
            lambda: MULTICLASS.score(X, LABELS, matrix),
            lambda: REGRESSOR.score(X, LABELS, matrix),
            lambda: REGRESSOR.fit(X, LABELS, X_val=X, y_val=LABELS, sample_weight_val=matrix),
        ):
            with pytest.raises(TypeError, match=WANTS_A_LIST):
                call()

    cases = [(name, partial(refused, make)) for name, make in [*whole, *damages]]
    assert failures(cases) == {}


def test_shape_for_which_there_is_no_memory():
    """Row pointers of a huge matrix are not allocated to find that out."""
    rows = sp.coo_array(([1.0], ([0], [0])), shape=(2**50, 12))
    columns = sp.csr_array(([1.0], [0], [0, *[1] * 60]), shape=(60, 2**50))
    with pytest.raises(MemoryError, match=r"X of shape \(1125899906842624, 12\) needs 8.0 PiB"):
        REGRESSOR.predict(rows)
    for call in (OUTPUTS.fit, MULTILABEL.fit, OUTPUTS.score):
        with pytest.raises(MemoryError, match=r"y of shape \(60, 1125899906842624\) needs"):
            call(X, columns)
    with pytest.raises(ValueError, match="X has 1125899906842624 columns, at most"):
        REGRESSOR.fit(columns, LABELS)


# ---- the arrays that the core gets


@pytest.mark.parametrize("to_rows", [inputs.as_rows, inputs.rows_by_part])
def test_every_way_to_the_core_checks(to_rows):
    """The last step in front of the core refuses damaged CSR, whatever was checked before."""

    def refused(make):
        with pytest.raises((ValueError, TypeError)):
            to_rows(make(), np.float64)

    cases = [
        (name, partial(refused, make))
        for name, make in damaged(X, ["csr"], ["array"])
        if name.split()[1] in ("indices", "indptr")
    ]
    assert len(cases) > 50
    assert failures(cases) == {}


def test_row_pointers_are_the_fits_own():
    x = sp.csr_array(X)
    x.indptr = x.indptr.astype(np.int64)
    assert not np.shares_memory(inputs.as_rows(x, np.float64).indptr, x.indptr)
    rows = inputs.rows_by_part(x, np.float64)
    x.indptr[:] = 10**7
    np.testing.assert_array_equal(rows(slice(0, 60)).indptr, sp.csr_array(X).indptr)


@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_parts_of_rows(dtype, indices):
    x = sp.csr_array(X.astype(dtype))
    x.indices, x.indptr = x.indices.astype(indices), x.indptr.astype(indices)
    rows = inputs.rows_by_part(x, np.float64)
    for part in (slice(0, 7), slice(7, 50), slice(50, 70)):
        csr = rows(part)
        assert csr.indices.dtype == np.int32 and csr.data.dtype == np.float64
        assert csr.indptr[0] == 0 and csr.indptr[-1] == len(csr.data) == len(csr.indices)
        found = sp.csr_array((csr.data, csr.indices, csr.indptr), shape=(csr.n_rows, 12))
        np.testing.assert_array_equal(found.toarray(), X[part])


def test_many_rows_are_checked_too():
    """The last of 20 000 rows, which are predicted in several chunks."""
    many = sp.csr_array(np.tile(X, (334, 1)))
    np.testing.assert_allclose(REGRESSOR.predict(many)[-60:], REGRESSOR.predict(X), rtol=1e-12)
    many.indices[-1] = 10**7
    assert failures([("far", partial(refuses, lambda: many, {"predict": OF_X["predict"]}))]) == {}


# ---- the forks


def test_forks_report_what_goes_wrong():
    def wrong():
        raise KeyError("a word")

    cases = [
        ("right", lambda: None),
        ("wrong", wrong),
        ("crash", lambda: os.kill(os.getpid(), signal.SIGKILL)),
        ("right again", lambda: None),
        ("hang", lambda: time.sleep(60)),
        ("exit", lambda: os._exit(3)),
        ("right at the end", lambda: None),
    ]
    assert failures(cases, limit=0.5) == {
        "wrong": "KeyError: 'a word'",
        "crash": "ended the process with status 9",
        "hang": "hangs",
        "exit": "ended the process with status 768",
    }
