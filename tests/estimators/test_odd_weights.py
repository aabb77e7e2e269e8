"""Odd sample weights: what is refused, and what is accepted."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy import inf, nan
from odd_inputs import (
    ALL_ZERO,
    CLF,
    FITTED,
    NEGATIVE,
    NEW,
    X32,
    XS,
    Same,
    W,
    X,
    Y,
    Z,
    cases,
    cases_accepted,
    check_accepted,
    check_refused,
    fit,
    ours,
    partial_fit,
    pd,
    put,
    score,
    theirs,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# Damaged, it must not be read. scikit-learn does, for its words.
SPARSE = TypeError("sample_weight must be a list or array, got a csr_array.")

REFUSED = [
    theirs("weights, one less", fit(X, Y, W[:19])),
    theirs("weights, one more", fit(X, Y, np.ones(21))),
    theirs("weights, none at all", fit(X, Y, [])),
    theirs("weights of two dimensions", fit(X, Y, np.ones((20, 2)))),
    theirs("weights in a column", fit(X, Y, W[:, None])),
    theirs("weights of three dimensions", fit(X, Y, W[:, None, None])),
    theirs("weights of no dimension", fit(X, Y, np.array(2.0))),
    theirs("weights that are strings", fit(X, Y, ["a"] * 20)),
    theirs("weights a string", fit(X, Y, "balanced")),
    theirs("weights a dict", fit(X, Y, {0: 1.0})),
    ours("weights sparse", fit(X, Y, sp.csr_array(W[None])), SPARSE),
    theirs("weights complex", fit(X[:2], Y[:2], Z)),
    theirs("weights NaN", fit(X, Y, put(W, 3, nan))),
    theirs("weights None", fit(X, Y, [None] * 20)),
    theirs("weights infinite", fit(X, Y, put(W, 3, inf))),
    # scikit-learn looks at these from 1.9 on.
    ours("weights of zero", fit(X, Y, 0 * W), ALL_ZERO),
    ours("weights of zero, lbfgs", fit(X, Y, 0 * W), ALL_ZERO, params={"solver": "lbfgs"}),
    ours("weight zero for all", fit(X, Y, 0), ALL_ZERO),
    ours("partial_fit, weights of zero", partial_fit(X, Y, 0 * W), ALL_ZERO, on=FITTED),
    ours(
        "weights of zero, first time",
        partial_fit(X, Y, 0 * W, classes=[0, 1, 2]),
        ALL_ZERO,
        CLF,
        on=NEW,
    ),
    # scikit-learn does not look at these: it trains towards a larger loss.
    ours("a weight < 0", fit(X, Y, put(W, 3, -1e-9)), NEGATIVE),
    ours("a weight < 0, float32", fit(X, Y, put(W.astype("f4"), 3, -1e-9)), NEGATIVE),
    ours("weights < 0, integers", fit(X, Y, [-1] * 20), NEGATIVE),
    ours("weight < 0 for all", fit(X, Y, -1.0), NEGATIVE),
    ours("weights < 0, lbfgs", fit(X, Y, -W), NEGATIVE, params={"solver": "lbfgs"}),
    ours("weights < 0, CSR", fit(XS, Y, -W), NEGATIVE),
    ours("partial_fit, a weight < 0", partial_fit(X, Y, put(W, 3, -1)), NEGATIVE, on=FITTED),
    ours(
        "a weight < 0, first time",
        partial_fit(X, Y, -W, classes=[0, 1, 2]),
        NEGATIVE,
        CLF,
        on=NEW,
    ),
    # scikit-learn does not look at these two: it trains on NaN. Its words for an array are used.
    *[
        theirs(
            f"{what}, {solver}",
            fit(X, Y, weight),
            params={"solver": solver},
            peer=fit(X, Y, weight * W),
        )
        for what, weight in [("weight NaN for all", nan), ("weight infinite for all", inf)]
        for solver in ("adam", "lbfgs")
    ],
    # scikit-learn 1.6 takes no weights in partial_fit.
    theirs("partial_fit, weights of 3", partial_fit(X, Y, W[:3]), on=FITTED, peer=fit(X, Y, W[:3])),
    theirs("score, weights of 3", score(X, Y, W[:3]), on=FITTED),
    theirs("score, NaN for weights", score(X, Y, nan * W), on=FITTED, since=(1, 8)),  # before: NaN
    theirs("score, weights in two columns", score(X, Y, np.ones((20, 2))), on=FITTED),
]


@pytest.mark.parametrize("row, cls, on", cases(REFUSED))
def test_refused(row, cls, on):
    check_refused(row, cls, on)


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

ACCEPTED = [
    *[
        Same(f"weights {what}", fit(X, Y, odd), fit(X, Y, plain))
        for what, odd, plain in ODD_WEIGHTS
    ],
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
]

if pd is not None:
    ACCEPTED += [
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


@pytest.mark.parametrize("row, cls", cases_accepted(ACCEPTED))
def test_accepted(row, cls):
    check_accepted(row, cls)
