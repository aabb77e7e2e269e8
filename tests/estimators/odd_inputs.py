"""The rows of the tables of odd input, the data they use, and the checks that run them.

What is refused raises an exception and changes nothing: an unfitted estimator stays unfitted, a
fitted one keeps every bit (its next `partial_fit` included), and the caller's data keep every byte.
Whose words the exception has is said by the row:

- `theirs`: scikit-learn's own estimator of the same name gets the same call in the same state. It
  must raise, and fastbp must raise the same type with the same text. So no sentence of scikit-learn
  or NumPy is copied, and the row is true for every version of them.
- `ours`: the row holds the exception itself, since fastbp differs on purpose: scikit-learn has no
  such parameter or method, or it accepts the input, fails later, or crashes.

What is accepted gives the result of its plain equivalent, bit for bit.
"""

import copy
import inspect
import re
import traceback
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from fastbp import MLPClassifier, MLPRegressor

try:
    import pandas as pd
except ImportError:  # the rows that need it are left out
    pd = None

DEFAULTS = dict(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
CLF, REG = (MLPClassifier,), (MLPRegressor,)
NEW, FITTED = ("new",), ("fitted",)

VERSION = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
# From 1.7 on.
THEIR_FIT_TAKES_WEIGHTS = (
    "sample_weight" in inspect.signature(sklearn.neural_network.MLPRegressor.fit).parameters
)

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
    """CSR whose fourth stored element has the column index `value`."""
    a = sp.csr_array(X)
    a.indices[3] = value
    return a


class Thing:
    """An object that is no number."""


# --- calls ------------------------------------------------------------------------------------


class Call:
    """A method's name and its arguments."""

    def __init__(self, method, /, *args, **kwargs):
        self.method, self.args, self.kwargs = method, args, kwargs

    def __call__(self, est):
        return getattr(est, self.method)(*self.args, **self.kwargs)


class Use(Call):
    """A function and its arguments after the estimator."""

    def __call__(self, est):
        return self.method(est, *self.args, **self.kwargs)


fit = partial(Call, "fit")
partial_fit = partial(Call, "partial_fit")
predict = partial(Call, "predict")
score = partial(Call, "score")


def fitted(cls, before):
    est = cls(**DEFAULTS)
    before(est)
    return est


def fingerprint(value):
    """A hash of the bytes that a call was given."""
    if isinstance(value, Call):
        return [fingerprint(part) for part in (*value.args, *value.kwargs.values())]
    if sp.issparse(value):
        # Not the object itself: SciPy notes in it whether the indices are sorted.
        parts = ("data", "indices", "indptr", "row", "col", "offsets", "rows")
        return [joblib.hash(getattr(value, part, None)) for part in parts]
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if isinstance(value, np.ma.MaskedArray):
        value = value.data
    return joblib.hash(value)


def same(a, b):
    """Whether two values are equal bit for bit, down to the arrays in them."""
    if isinstance(a, dict):
        return type(a) is type(b) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return joblib.hash(a) == joblib.hash(b)


def learned(est):
    """The fitted attributes of an estimator."""
    return {name: value for name, value in vars(est).items() if name.endswith("_")}


# --- what is refused --------------------------------------------------------------------------


class Row(NamedTuple):
    id: str
    call: Call
    error: Exception | None  # None: as scikit-learn; {name}: the class; a pattern for free numbers
    of: tuple = CLF + REG
    params: Mapping[str, Any] = MappingProxyType({})
    on: tuple = NEW + FITTED  # the call is made on a new estimator, a fitted one, or each in turn
    before: Call = fit(X, Y)  # what fitted the fitted one
    peer: Callable | None = None  # what scikit-learn is asked, where it is not `call`
    told: Callable = str  # fastbp's text, made of scikit-learn's
    since: tuple = (1, 6)  # the first version of scikit-learn that refuses it


ours = Row


def theirs(id, call, *args, **kwargs):
    """A row for which scikit-learn is asked for the type and the words."""
    return Row(id, call, None, *args, **kwargs)


def rows(*table, **common):
    """Rows that have some fields in common."""
    return [row._replace(**common) for row in table]


def cases(table):
    """The parameters of a test: each row for each of its classes and states."""
    return [
        pytest.param(row, cls, on, id=f"{row.id}-{cls.__name__}-{on}")
        for row in table
        if VERSION >= row.since
        for cls in row.of
        for on in row.on
    ]


def raised_by(call, est):
    """The exception that a call raises."""
    try:
        call(est)
    except Exception as error:
        # A wrong call in the table would be refused by Python, on both sides in the same words.
        assert traceback.extract_tb(error.__traceback__)[-1].filename != __file__, error
        return error
    pytest.fail(f"{type(est)} raised nothing")


def raised_by_scikit_learn(row, cls, on):
    """The exception that scikit-learn raises for the same call in the same state."""
    peer, call = getattr(sklearn.neural_network, cls.__name__), row.peer or row.call
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not THEIR_FIT_TAKES_WEIGHTS and call.method == "fit" and len(call.args) > 2:
            return raised_by(call, LinearRegression())  # checks weights by the same function
        est = peer(**DEFAULTS) if on in NEW else fitted(peer, row.before)
        return raised_by(call, est.set_params(**row.params))


def choices_in_order(text):
    """The text with the choices of each `{...}` sorted: scikit-learn prints them in any order."""
    return re.sub(
        r"\{('[^}]*)\}", lambda match: "{" + ", ".join(sorted(match[1].split(", "))) + "}", text
    )


def check_words(error, row, cls, on):
    """The type and the text of an exception are as the row says."""
    wanted = row.error
    if wanted is None:
        wanted = raised_by_scikit_learn(row, cls, on)
        text = row.told(str(wanted))
    else:
        text = wanted.args[0]
    assert type(error) is type(wanted), (error, wanted)
    if isinstance(text, re.Pattern):
        assert text.fullmatch(str(error)), str(error)
    else:
        text = text.replace("{name}", cls.__name__)
        told = choices_in_order(str(error))
        assert told == choices_in_order(text), f"{told}\ninstead of\n{text}"


def future(est, before):
    """The results of predicting and of training further."""
    x, y = before.args[:2]
    predictions = est.predict(x)
    est.partial_fit(x, y)
    return [predictions, est.coefs_, est.intercepts_, est.loss_curve_, est.predict(x)]


@cache
def future_of_a_twin(cls, before):
    """The same results of an estimator that never met the odd call."""
    return future(fitted(cls, before), before)


def check_refused(row, cls, on):
    """The call raises in the right words and changes neither the estimator nor the data."""
    is_new = on in NEW
    est = cls(**DEFAULTS) if is_new else fitted(cls, row.before)
    state = copy.deepcopy(learned(est))
    est.set_params(**row.params)
    params = est.get_params()
    given = fingerprint(row.call)

    error = raised_by(row.call, est)

    assert fingerprint(row.call) == given, "the caller's data were written"
    check_words(error, row, cls, on)
    after = est.get_params()
    assert all(after[name] is value for name, value in params.items())
    assert same(learned(est), state), "the estimator changed"
    defaults = cls(**DEFAULTS).get_params()
    est.set_params(**{name: defaults[name] for name in row.params})
    if is_new:
        with pytest.raises(NotFittedError):
            est.predict(X)
        return
    assert same(future(est, row.before), future_of_a_twin(cls, row.before))


# Sentences of our own that are told about y, weights and validation data alike.
ALL_ZERO = ValueError("Sample weights must contain at least one non-zero number.")
NEGATIVE = ValueError("Negative values in data passed to `sample_weight`.")


def said_of(name, error):
    """The same error, told about another argument."""
    return type(error)(f"{name}: {error.args[0]}")


def not_numeric(dtype):
    return TypeError(f"y has dtype {dtype}, which is not numeric.")


def column_index(found):
    return ValueError(f"X has a column index out of range: {found}, expected 0 to 4.")


def negative_poisson(found):
    return ValueError(
        f"Some values of y are negative: loss='poisson' needs y >= 0, got a minimum of {found}."
    )


# --- what is accepted -------------------------------------------------------------------------


class Same(NamedTuple):
    id: str
    odd: Call
    plain: Call
    of: tuple = CLF + REG
    params: Mapping[str, Any] = MappingProxyType({})
    plain_params: dict[str, Any] | None = None  # where they are not `params`
    warns: bool = False  # with the warning of scikit-learn
    exact: bool = True  # bit for bit; otherwise the order of a sum differs


def cases_accepted(table):
    """The parameters of a test: each row for each of its classes."""
    return [
        pytest.param(row, cls, id=f"{row.id}-{cls.__name__}") for row in table for cls in row.of
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


def warned_by(call, est):
    """The category and the text of each warning of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        call(est)
    return [(w.category, str(w.message)) for w in caught]


def check_accepted(row, cls):
    """The odd call gives what the plain one gives, and warns where scikit-learn does."""
    odd = cls(**DEFAULTS).set_params(**copy.deepcopy(dict(row.params)))
    plain = cls(**DEFAULTS)
    plain.set_params(**(row.params if row.plain_params is None else row.plain_params))
    given = fingerprint(row.odd)

    if row.warns:
        told = warned_by(row.odd, odd)
        peer = getattr(sklearn.neural_network, cls.__name__)(**DEFAULTS).set_params(**row.params)
        wanted = warned_by(row.odd, peer)
        assert wanted, "scikit-learn did not warn"
        assert told == wanted, (told, wanted)
    else:
        row.odd(odd)
    row.plain(plain)

    assert fingerprint(row.odd) == given, "the caller's data were written"
    x = row.plain.args[0]
    with warnings.catch_warnings():  # the names of a frame are not tested here
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        results = outcome(odd, x), outcome(plain, x)
    if row.exact:
        assert same(*results)
    else:
        for a, b in zip(*results, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-9 if a.dtype == float else 1e-4)
