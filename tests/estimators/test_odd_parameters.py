"""Odd parameters: what is refused, and what is accepted."""

import re
import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy import inf, nan
from odd_inputs import (
    CLF,
    FITTED,
    NEW,
    REG,
    T2,
    X32,
    XS,
    Same,
    T,
    W,
    X,
    Y,
    cases,
    cases_accepted,
    check_accepted,
    check_refused,
    fit,
    learned,
    ours,
    partial_fit,
    predict,
    put,
    rows,
    theirs,
)
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.regressor import LINKS_OF_LOSSES
from fastbp.kernels import core
from fastbp.network import INITIALIZERS
from fastbp.schedules import Cosine
from fastbp.training import FACTORS, SCHEDULES
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- what is refused: one value, just outside each bound or of another type

REALS = [nan, inf, None, "1", [1.0], 1j]
INTEGERS = [0, -1, 1.0, 2.5, nan, None, "1", [1]]
BOOLEANS = [1, 0, None, "True", 2, nan]
THEIR_PARAMETERS = {
    "hidden_layer_sizes": [0, -1, 2.5, nan, None, "5", "", 1j],
    "alpha": [-1e-300, -1, -inf, *REALS],
    "batch_size": [*INTEGERS, "AUTO", inf],
    "learning_rate_init": [0, 0.0, -1, *REALS],
    "power_t": [-1e-300, *REALS],
    "max_iter": [*INTEGERS, inf],
    "shuffle": BOOLEANS,
    "random_state": [-1, 2**32, 0.0, nan, "0", [0], np.random.PCG64],
    "tol": [-1e-300, *REALS],
    "verbose": [-1, 1.0, nan, None, "1"],
    "warm_start": BOOLEANS,
    "momentum": [-1e-300, np.nextafter(1, 2), 2, *REALS],
    "nesterovs_momentum": BOOLEANS,
    "early_stopping": BOOLEANS,
    "validation_fraction": [-1e-300, 1, 1.0, *REALS],
    "beta_1": [-1e-300, 1, 1.0, *REALS],
    "beta_2": [-1e-300, 1, 1.0, *REALS],
    "epsilon": [0, 0.0, -1, *REALS],
    "n_iter_no_change": [*INTEGERS, -inf],
    "max_fun": [*INTEGERS, inf],
}


# Parameters that scikit-learn has not, or has with fewer choices.
def among(names):
    """The words for the names that a parameter may have."""
    return "a str among {" + ", ".join(map(repr, sorted(names))) + "}"


LOSSES = f"{among(LINKS_OF_LOSSES)} or a callable"
OUR_PARAMETERS = [
    (
        "activation",
        f"{among(core.ACTIVATIONS)}, a callable, an instance of 'list' or an instance of 'tuple'",
        CLF + REG,
        ["softmax", "RELU", b"relu", "", None, 1, {"relu"}, nan],
    ),
    (
        "solver",
        among({"lbfgs", *core.OPTIMIZERS}),
        CLF + REG,
        ["newton", "SGD", "", None, 1, ["sgd"]],
    ),
    (
        "learning_rate",
        f"{among({*SCHEDULES, *FACTORS})} or a callable",
        CLF + REG,
        ["Constant", "", None, 0.1, ["cosine"], nan],
    ),
    (
        "init",
        f"{among({'auto', *INITIALIZERS})}, an instance of 'tuple' or a callable",
        CLF + REG,
        ["he", "Auto", "", None, 1, ["auto"]],
    ),
    (
        "n_threads",
        "an int in the range [1, inf) or None",
        CLF + REG,
        [0, -1, 1.0, 1.5, nan, "2", [2], inf],
    ),
    (
        "dropout",
        "a float in the range [0.0, 1.0) or an array-like",
        CLF + REG,
        [-1e-300, 1, 1.0, True, *(value for value in REALS if not isinstance(value, list))],
    ),
    ("input_dropout", "a float in the range [0.0, 1.0)", CLF + REG, [-1e-300, 1, 1.0, *REALS]),
    ("weight_decay", "a float in the range [0.0, inf)", CLF + REG, [-1e-300, -1, *REALS]),
    (
        "clip_norm",
        "a float in the range (0.0, inf) or None",
        CLF + REG,
        [0, 0.0, -1, *(value for value in REALS if value is not None)],
    ),
    (
        "ema_decay",
        "a float in the range (0.0, 1.0) or None",
        CLF + REG,
        [0, 1, 0.0, 1.0, -0.1, 1.1, *(value for value in REALS if value is not None)],
    ),
    ("loss", LOSSES, REG, ["log_loss", "soft_log_loss", "Poisson", "", None, 1.5, nan]),
    (
        "loss",
        "a str among {'log_loss', 'squared_error'} or a callable",
        CLF,
        ["poisson", "soft_log_loss", "Log_loss", "", None, 1.5, nan],
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
        "scoring",
        "an instance of 'str', a callable or None",
        CLF + REG,
        [1, 0.5, nan, ["accuracy"], {"a": "r2"}, b"loss"],
    ),
    (
        "max_seconds",
        "a float in the range (0.0, inf) or None",
        CLF + REG,
        [0, 0.0, -1, nan, inf, "1", [1], 1j],
    ),
    (
        "class_weight",
        "an instance of 'dict', an instance of 'list', a str among {'balanced'} or None",
        CLF,
        ["Balanced", "", 1, 1.5, nan, ({0: 1},), {0}],
    ),
    ("label_smoothing", "a float in the range [0.0, 1.0)", CLF, [-1e-300, 1, 1.0, *REALS]),
    (
        "out_activation",
        "a str among {'exp', 'identity', 'logistic', 'softplus'} or None",
        REG,
        ["softmax", "relu", "", 1, nan],
    ),
]


def invalid(parameter, allowed, value, more=""):
    return InvalidParameterError(
        f"The '{parameter}' parameter of {{name}} must be {allowed}. Got {value!r} instead.{more}"
    )


PARAMETERS = [
    theirs(f"{name}={value!r}", fit(X, Y), params={name: value})
    for name, values in THEIR_PARAMETERS.items()
    for value in values
] + [
    ours(f"{name}={value!r}", fit(X, Y), invalid(name, allowed, value), of, {name: value})
    for name, allowed, of, values in OUR_PARAMETERS
    for value in values
]

# Before scikit-learn 1.7 the layers came first.
LAYERS_FIRST = [
    ours(
        f"MLPRegressor({value!r})",
        fit(X, T),
        invalid(
            "loss",
            LOSSES,
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
    theirs(f"hidden_layer_sizes={value!r}", fit(X, Y), params={"hidden_layer_sizes": value})
    for value in [(0,), [0], (5, -1), (5, 0), (-3, 5), np.array([4, 0])]
]

# scikit-learn fails in the comparison or in the drawing of the weights.
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

# --- what is refused: parameters that do not suit the data or each other

LOSSES_WITH_PARAMETERS = rows(
    *(
        ours(
            f"{loss} with the link {other}",
            fit(X, abs(T) + 1),
            ValueError(
                f"loss={loss!r} has out_activation={link!r}, got {other!r}. Write the loss as a "
                "function to have it with another."
            ),
            params={"loss": loss, "out_activation": other},
        )
        for loss, link, other in (
            ("poisson", "exp", "softplus"),
            ("gamma", "exp", "logistic"),
            ("tweedie", "exp", "identity"),
            ("gaussian", "identity", "logistic"),
        )
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
    of=REG,
)

DIVERGED = ValueError(
    re.compile(
        r"Solver produced non-finite parameter weights\. The input data may contain large values "
        r"and need to be preprocessed\. "
        r"Training stopped at epoch [1-9]\d* with learning rate 1e\+10\."
    )
)

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

TOO_SMALL = ValueError(
    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
)
SPLIT = [
    theirs(what, fit(x, y), of, {"early_stopping": True, "validation_fraction": fraction})
    for what, x, y, fraction, of in [
        ("validation set empty", X, Y, 0.0, CLF + REG),
        ("all rows for validation", X, Y, 0.99, CLF + REG),
        ("one row to split", X[:1], Y[:1], 0.1, CLF + REG),
        ("a class of one row", X, put(0 * Y, 3, 1), 0.3, CLF),
        ("classes of one row", X[:2], Y[:2], 0.5, CLF),
    ]
] + [
    # scikit-learn 1.6 does not look: it scores one row.
    ours(what, fit(x, y), TOO_SMALL, of, {"early_stopping": True, "validation_fraction": fraction})
    for what, x, y, fraction, of in [
        ("validation set too small", X, Y, 0.05, CLF + REG),
        ("two rows, one for validation", X[:2], Y[:2], 0.5, REG),
    ]
]

LBFGS_ALONE = [
    ours(
        f"lbfgs, {name}={value!r}",
        fit(x, Y),
        ValueError(f"{name} needs solver='sgd' or 'adam', got 'lbfgs'."),
        params={"solver": "lbfgs", name: value},
    )
    for name, value in [
        ("dropout", 0.5),
        ("dropout", [0.5]),
        ("dropout", ["a"]),
        ("dropout", [[1], []]),
        ("input_dropout", 0.1),
        ("weight_decay", 1e-9),
        ("clip_norm", 1),
        ("ema_decay", 0.5),
    ]
    for x in (X, XS, None)
]

ONE_EACH = "dropout must be a rate, or a list with one for each of 1 hidden layers, got {!r}."
BELOW_1 = "dropout must have rates of at least 0 and below 1, got {!r}."
DROPOUT = [
    ours(
        f"dropout={value!r}, {call.method}",
        call,
        ValueError(text.format(value)),
        of,
        params={"dropout": value},
    )
    for value, text in [
        ([], ONE_EACH),
        ([0.5, 0.5], ONE_EACH),
        ([[0.5]], ONE_EACH),
        ([[0.5], []], ONE_EACH),
        (["0.5"], ONE_EACH),
        ([None], ONE_EACH),
        ([1j], ONE_EACH),
        (np.array([b"0.5"]), ONE_EACH),
        ([1.0], BELOW_1),
        ([True], BELOW_1),
        ([-1e-300], BELOW_1),
        ([nan], BELOW_1),
        ([inf], BELOW_1),
    ]
    for call, of in [
        (fit(X, Y), CLF + REG),
        (partial_fit(X, Y, classes=[0, 1, 2]), CLF),
        (partial_fit(X, Y), REG),
    ]
] + rows(
    *(
        ours(
            f"input_dropout of {kind.__name__}",
            fit(kind(X), Y),
            ValueError("input_dropout needs dense X, got 0.5 with a sparse matrix."),
        )
        for kind in (sp.csr_array, sp.csc_matrix, sp.coo_array)
    ),
    params={"input_dropout": 0.5},
)

PARTIAL_FIT = rows(
    theirs("early stopping in partial_fit", partial_fit(X, Y), on=FITTED),
    theirs("early stopping in the first partial_fit", partial_fit(X, Y), REG, on=NEW),
    theirs(
        "early stopping in the first partial_fit",
        partial_fit(X, Y, classes=[0, 1, 2]),
        CLF,
        on=NEW,
    ),
    params={"early_stopping": True},
) + rows(
    theirs("partial_fit under lbfgs", partial_fit(X, Y), CLF),
    # scikit-learn's regressor has the method, and trains by another solver.
    ours(
        "partial_fit under lbfgs",
        partial_fit(X, Y),
        AttributeError("This '{name}' has no attribute 'partial_fit'"),
        REG,
    ),
    params={"solver": "lbfgs"},
)

STANDARD_DEVIATIONS = [
    ours(
        f"return_std with loss={loss!r}",
        predict(X, return_std=True),
        ValueError(
            "return_std=True needs loss='gaussian', whose models predict a standard deviation, got "
            f"loss={loss!r}."
        ),
        REG,
        {"loss": loss},
        FITTED,
    )
    for loss in ("squared_error", "quantile")
] + [
    ours(
        f"return_std={value!r}",
        predict(X, return_std=value),
        TypeError(f"return_std must be True or False, got {value!r}."),
        REG,
        on=FITTED,
    )
    for value in [None, 1, 0.0, "yes", [True], W]
]

REFUSED = [
    *PARAMETERS,
    *LAYERS_FIRST,
    *LAYERS,
    *LOSSES_WITH_PARAMETERS,
    *DIVERGENCE,
    *SPLIT,
    *PARTIAL_FIT,
    *STANDARD_DEVIATIONS,
    *LBFGS_ALONE,
    *DROPOUT,
]


@pytest.mark.parametrize("row, cls, on", cases(REFUSED))
def test_refused(row, cls, on):
    check_refused(row, cls, on)


def test_layers_in_the_place_of_the_loss():
    with pytest.raises(InvalidParameterError, match=r"write MLPRegressor\(hidden_layer_sizes="):
        MLPRegressor((5,)).fit(X, T)


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


# --- what is accepted

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
    ({"dropout": 0, "input_dropout": 0}, {}),
    ({"dropout": [0.0]}, {}),
    ({"dropout": [0.5]}, {"dropout": 0.5}),
    ({"dropout": (np.float32(0.5),)}, {"dropout": 0.5}),
    ({"dropout": np.array([0.5])}, {"dropout": 0.5}),
    ({"dropout": np.float32(0.5)}, {"dropout": 0.5}),
    ({"dropout": [False]}, {"dropout": 0.0}),
    ({"dropout": 0.5, "hidden_layer_sizes": ()}, {"hidden_layer_sizes": ()}),
    ({"input_dropout": np.float32(0.5)}, {"input_dropout": 0.5}),
    ({"weight_decay": 0, "clip_norm": None, "ema_decay": None}, {}),
    ({"weight_decay": np.float32(0.5)}, {"weight_decay": 0.5}),
    ({"weight_decay": True}, {"weight_decay": 1.0}),
    ({"weight_decay": 1e9, "max_iter": 1}, {"weight_decay": 10**9, "max_iter": 1}),
    ({"clip_norm": 1}, {"clip_norm": 1.0}),
    ({"clip_norm": np.float32(0.5)}, {"clip_norm": 0.5}),
    ({"ema_decay": np.float32(0.5)}, {"ema_decay": 0.5}),
    ({"n_threads": 1}, {}),
    ({"n_threads": 2}, {}),
    ({"n_threads": np.int64(1)}, {}),
    ({"n_threads": 64}, {}),
    ({"learning_rate": lambda epoch: 1}, {}),  # a factor
    ({"learning_rate": lambda epoch: np.float32(1)}, {}),
    ({"learning_rate": Cosine(end=1.0)}, {}),
    ({"scoring": "loss"}, {}),  # nothing is validated
    ({"scoring": abs}, {}),
    ({"max_seconds": 1e9}, {}),
    ({"max_seconds": 10**6}, {}),
    ({"max_seconds": np.float32(1e6)}, {}),
]

ACCEPTED = [
    *[
        Same(
            ", ".join(plain(f"{k}={v}") for k, v in odd.items()),
            fit(X, Y),
            fit(X, Y),
            CLF + REG,
            *both,
        )
        for both in ODD_PARAMS
        for odd in both[:1]
    ],
    *[
        Same(
            f"label_smoothing={odd!r}",
            fit(X, Y),
            fit(X, Y),
            CLF,
            params={"label_smoothing": odd},
            plain_params={"label_smoothing": plain_value},
        )
        for odd, plain_value in [(0, 0.0), (False, 0.0), (np.float32(0.5), 0.5)]
    ],
    Same(
        "batch_size beyond n",
        fit(X, Y),
        fit(X, Y),
        params={"batch_size": 21},
        plain_params={"batch_size": 20},
        warns=True,
    ),
    Same(
        "batch_size beyond 64 bits",
        fit(X, Y),
        fit(X, Y),
        params={"batch_size": 10**30},
        plain_params={"batch_size": 20},
        warns=True,
    ),
]


@pytest.mark.parametrize("row, cls", cases_accepted(ACCEPTED))
def test_accepted(row, cls):
    check_accepted(row, cls)


@pytest.mark.parametrize(
    ("name", "value"),
    [("loss", "x"), ("loss", -1), ("batch_size", 0), ("alpha", "1"), ("shuffle", "no")],
)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_parameters_set_between_two_calls_of_partial_fit_are_checked(cls, name, value):
    """scikit-learn checks them in the first call only."""
    x, y = np.arange(12.0).reshape(6, 2), np.array([0, 1] * 3)
    model = cls(hidden_layer_sizes=(3,), random_state=0)
    model.partial_fit(x, y, **({"classes": [0, 1]} if cls is MLPClassifier else {}))
    good = getattr(model, name)
    model.partial_fit(x, y)
    setattr(model, name, value)
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        model.partial_fit(x, y)
    setattr(model, name, good)
    assert model.partial_fit(x, y).t_ == 18
