"""Odd functions as losses and activations, and odd calls of the functions that look inside."""

import math
import re
from functools import partial

import numpy as np
import pytest
from numpy import nan
from odd_inputs import (
    FITTED,
    NEW,
    Use,
    W,
    X,
    Y,
    cases,
    check_refused,
    fit,
    ours,
    predict,
    put,
    rows,
    theirs,
)
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import check_gradient, inspection
from fastbp import graph as fg
from fastbp.graph.expression import Expression
from fastbp.kernels import core

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- losses and activations that are functions: scikit-learn has none


def branch(raw, y):
    return raw - y if raw > y else y - raw


def independent_of(argument):
    return ValueError(
        f"the result does not depend on '{argument}': nothing is to be learned from a function "
        "that ignores an argument"
    )


def alike(z):
    return fg.primitive(lambda z: z, lambda grad, out, z: grad, name="alike")(z)


NO_BRANCH = TypeError(
    "a Variable is neither true nor false while a graph is made, so that `if`, `and`, `or`, `not` "
    "and chained comparisons cannot ask it: use where(condition, x, y), &, | and ~"
)
LIST_OF = "activation has {} entries, but hidden_layer_sizes has 1 layers: a list has one for each "
NO_NAME = (
    f"must be a function of fastbp.graph expressions or one of {', '.join(core.ACTIVATIONS)}, got "
)
FUNCTIONS = [
    *(
        ours(f"loss, {id}", fit(X, Y), error, params={"loss": loss})
        for id, loss, error in [
            ("if", branch, NO_BRANCH),
            (
                "without y",
                lambda raw, y: raw**2,
                independent_of("y"),
            ),
            (
                "without raw",
                lambda raw, y: y**2,
                independent_of("raw"),
            ),
            (
                "a constant",
                lambda raw, y: 1.0,
                independent_of("raw"),
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
                        r"a Variable is not a number: functions of `math`, float\(\) and int\(\) "
                        r"cannot take it\. .*where.*"
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
                    "the primitive 'alike' runs in Python alone and cannot be compiled: write it "
                    "with the functions of fastbp.graph"
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
                independent_of("z"),
            ),
            ("no entries", [], ValueError(LIST_OF.format(0) + "hidden layer")),
            ("two entries", ["relu", "tanh"], ValueError(LIST_OF.format(2) + "hidden layer")),
            ("an unknown entry", ["gulp"], ValueError("activation[0] " + NO_NAME + "'gulp'")),
            ("no name", [None], ValueError("activation[0] " + NO_NAME + "None")),
        ]
    ),
]

# --- functions that look inside: they refuse data in the words of predict and fit

check = partial(Use, check_gradient)
LOOKS = [
    *(
        theirs(f"{function.__name__} before fit", Use(function, *data), on=NEW, peer=predict(X))
        for function, data in (
            (inspection.activations, (X,)),
            (inspection.input_gradients, (X,)),
            (inspection.layer_statistics, (X, Y)),
        )
    ),
    *rows(
        *(
            theirs(what, call, peer=predict(X[:, :3]))
            for what, call in [
                ("activations, 3 features", Use(inspection.activations, X[:, :3])),
                ("input_gradients, 3 features", Use(inspection.input_gradients, X[:, :3])),
                ("layer_statistics, 3 features", Use(inspection.layer_statistics, X[:, :3], Y)),
                ("check_gradient, 3 features", check(X[:, :3], Y)),
            ]
        ),
        theirs(
            "layer_statistics, 3 targets",
            Use(inspection.layer_statistics, X, Y[:3]),
            peer=fit(X, Y[:3]),
        ),
        on=FITTED,
    ),
    theirs("check_gradient, 3 targets", check(X, Y[:3]), peer=fit(X, Y[:3])),
    theirs("check_gradient, NaN", check(put(X, 0, nan), Y), peer=fit(put(X, 0, nan), Y)),
    theirs("check_gradient, 3 weights", check(X, Y, W[:3]), peer=fit(X, Y, W[:3])),
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


@pytest.mark.parametrize("row, cls, on", cases(FUNCTIONS + LOOKS))
def test_refused(row, cls, on):
    check_refused(row, cls, on)
