"""Odd validation data: what `X_val`, `y_val` and `sample_weight_val` are refused for."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy import inf, nan
from odd_inputs import (
    AB,
    ALL_ZERO,
    CLF,
    MATRIX,
    NEGATIVE,
    REG,
    SHORT,
    T2,
    X32,
    XO,
    XS,
    Call,
    M,
    T,
    Thing,
    Use,
    W,
    X,
    Y,
    Z,
    cases,
    check_refused,
    column_index,
    csr_with_index,
    fit,
    negative_poisson,
    not_numeric,
    ours,
    put,
    rows,
    said_of,
    theirs,
)
from sklearn.utils import check_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def validate(x=X, y=Y, weight=None):
    return fit(X, Y, X_val=x, y_val=y, sample_weight_val=weight)


class AfterFit(Call):
    """A call on an estimator that is fitted first."""

    def __call__(self, est):
        return super().__call__(est.fit(X, Y))


def y_renamed(text):
    return text.replace("Input y ", "Input y_val ")


NO_X_VAL = ValueError("y_val is provided, but X_val was not provided.")
NO_Y_VAL = ValueError("X_val is provided, but y_val was not provided.")
ONLY_WEIGHTS = ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")


def two_rows_wanted(est, x):
    check_array(x, accept_sparse="csr", ensure_min_samples=2, estimator=est)


def unseen_by_y(found):
    return ValueError(f"y_val has labels that y has not: {found}. The classes of y are [0 1 2].")


def n_outputs_of(shape, made, of_y):
    return ValueError(f"y_val has shape {shape}, which makes {made} outputs; y makes {of_y}.")


# scikit-learn takes no validation data. It is asked about the same data given for training.
REFUSED = [
    ours("X_val alone", validate(y=None), NO_Y_VAL),
    ours("X_val alone, lbfgs", validate(y=None), NO_Y_VAL, params={"solver": "lbfgs"}),
    ours(
        "X_val alone, early stopping", validate(y=None), NO_Y_VAL, params={"early_stopping": True}
    ),
    ours("y_val alone", validate(x=None), NO_X_VAL),
    ours("weights alone", validate(None, None, W), ONLY_WEIGHTS),
    ours("X_val and weights", validate(y=None, weight=W), NO_Y_VAL),
    ours("y_val and weights", validate(x=None, weight=W), NO_X_VAL),
    *(
        theirs(what, validate(x, y), peer=Use(two_rows_wanted, x), told="X_val: {}".format)
        for what, x, y in [
            ("X_val without rows", X[:0], Y[:0]),
            ("CSR X_val without rows", XS[:0], Y[:0]),
            ("X_val of one row", X[:1], Y[:1]),
        ]
    ),
    ours("y_val shorter", validate(y=Y[1:]), ValueError("X_val has 20 samples, but y_val has 19.")),
    ours("y_val longer", validate(x=XS[1:]), ValueError("X_val has 19 samples, but y_val has 20.")),
    *(
        theirs(
            f"X_val, {what}",
            validate(x=x),
            peer=AfterFit("partial_fit", x, Y),
            told="X_val: {}".format,
        )
        for what, x in [
            ("a column less", X[:, :4]),
            ("a column more", np.c_[X, T]),
            ("CSR with a column less", XS[:, :4]),
            ("without columns", X[:, :0]),
            ("of one dimension", SHORT),
            ("of three dimensions", X[:, :, None]),
            ("a number", 3.0),
            ("ragged", [[1.0, 2.0], [3.0]]),
            ("NaN", put(X, (3, 1), nan)),
            ("NaN in float32", put(X32, (3, 1), nan)),
            ("NaN in CSR", sp.csr_array(put(X, (3, 1), nan))),
            ("None among objects", put(XO, (3, 1), None)),
            ("infinity", put(X, (3, 1), inf)),
            ("strings", np.full((20, 5), "a")),
            ("a thing", Thing()),
            ("complex", Z[None]),
            ("np.matrix", MATRIX),
        ]
    ),
    ours("X_val, CSR index 7", validate(csr_with_index(7)), said_of("X_val", column_index(7))),
    *(
        theirs(f"y_val, {what}", validate(y=y), of, peer=fit(X, y), told=told)
        for what, y, told, of in [
            ("empty", Y[:0], "y_val: {}".format, CLF + REG),
            ("a number", 3, "y_val: {}".format, CLF + REG),
            ("np.matrix", MATRIX[:, :1], "y_val: {}".format, CLF + REG),
            ("NaN", put(T, 3, nan), y_renamed, REG),
            ("infinity", put(T, 3, inf), y_renamed, CLF + REG),
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
            "y_val, None among objects",
            validate(y=put(XO[:, 0], 3, None)),
            ValueError("y_val: Input y contains NaN."),
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
        theirs(
            f"sample_weight_val, {what}",
            validate(weight=weight),
            peer=fit(X, Y, weight),
            told="sample_weight_val: {}".format,
        )
        for what, weight in [
            ("too few", W[1:]),
            ("of two dimensions", W[:, None]),
            ("NaN", put(W, 3, nan)),
        ]
    ),
    ours(
        "sample_weight_val, negative",
        validate(weight=put(W, 3, -1)),
        said_of("sample_weight_val", NEGATIVE),
    ),
    ours(
        "sample_weight_val, all zero",
        validate(weight=0 * W),
        said_of("sample_weight_val", ALL_ZERO),
    ),
]


@pytest.mark.parametrize("row, cls, on", cases(REFUSED))
def test_refused(row, cls, on):
    check_refused(row, cls, on)
