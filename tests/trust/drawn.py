"""Random parameters, data and containers, sound and odd, for the random lives of estimators."""

import tempfile

import numpy as np
import scipy.sparse as sp

from fastbp import graph as fg
from fastbp.kernels import core

try:
    import pandas as pd
except ImportError:  # the containers that need it are left out
    pd = None


def swish(z):
    """An activation as a function."""
    return z * fg.sigmoid(z)


def log_cosh(raw, y):
    """A loss as a function."""
    return fg.log(fg.cosh(raw - y))


# ---- parameters

HUGE = 10**30
ODD_VALUES = (None, "", "x", -1, 0, 1.5, np.nan, np.inf, -np.inf, HUGE, [], (), {}, b"relu", 1j)
ODD_VALUES += (np.array([1, 2]), object(), True, [None], "auto", np.float32(0.5), np.int64(3), len)

SOUND = {
    "hidden_layer_sizes": [(), (1,), (5,), (7, 3), [4], 6, np.array([3, 2]), (40, 20, 10)],
    "activation": [*core.ACTIVATIONS, swish, ["relu"], ["tanh", swish]],
    "init": ["auto", "glorot_uniform", "he_uniform", "he_normal", "lecun_normal"],
    "solver": ["lbfgs", *core.OPTIMIZERS],
    "alpha": [0, 1e-4, 1.0, 1e10, 1e300, np.float32(0.1)],
    "batch_size": ["auto", 1, 7, 10**9, np.int64(20)],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "learning_rate_init": [1e-300, 1e-3, 0.1, 10, 1e10, 1e300],
    "power_t": [0, 0.5, 100.0],
    "max_iter": [1, 2, 5],
    "shuffle": [True, False],
    "random_state": [0, 1, np.int32(7), None],
    "tol": [0, 1e-4, 1e10],
    "warm_start": [True, False],
    "momentum": [0, 0.9, 1],
    "nesterovs_momentum": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0, 0.1, 0.5, 0.99],
    "beta_1": [0, 0.9, 0.999999],
    "beta_2": [0, 0.999, 0.5],
    "epsilon": [1e-300, 1e-8, 1.0, 1e300],
    "n_iter_no_change": [1, 3, np.inf],
    "max_fun": [1, 10],
    "n_threads": [1, 2, 3, 1000, None],
}
REGRESSION = {
    "loss": ["squared_error", "absolute_error", "huber", "quantile", "log_cosh", "poisson"]
    + ["gamma", "tweedie", "gaussian", log_cosh],
    "quantile": [0.5, [0.1, 0.9], 0.001],
    "huber_threshold": [1e-300, 1.0, 1e300],
    "tweedie_power": [1.5, 1.001, 1.999],
    "out_activation": ["identity", "logistic", "softplus", "exp", None],
}
CLASSIFICATION = {"loss": ["log_loss", "squared_error"], "label_smoothing": [0, 0, 0.1, 0.99]}


def choose(rng, options):
    """One of the options."""
    return options[rng.randint(len(options))]


def parameters(rng, is_classifier, oddness=0.004):
    """Some parameters with values that are nearly always sound."""
    sound = {**SOUND, **(CLASSIFICATION if is_classifier else REGRESSION)}
    drawn = {"max_iter": 2, "hidden_layer_sizes": (5,), "random_state": 0}
    for name, values in sound.items():
        if rng.rand() < oddness:
            # A number of epochs beyond all bounds is no error: it would only take its time.
            odd = [value for value in ODD_VALUES if name != "max_iter" or value is not HUGE]
            drawn[name] = choose(rng, odd)
        elif rng.rand() < 0.12:
            drawn[name] = choose(rng, values)
    return drawn


# ---- values


def values(rng, n, features):
    """A matrix of float64, mostly of moderate numbers."""
    X = rng.randn(n, features)
    kind = rng.randint(60)
    if kind < 6 and X.size:
        special = (np.nan, np.inf, -np.inf, 1e300, 1e-310, -0.0)[kind]
        X.flat[rng.randint(X.size)] = special
    return X * {6: 1e30, 7: 1e150, 8: 1e300, 9: 1e-300, 10: 0.0}.get(kind, 1.0)


def strided(X):
    """A view of every other element."""
    wide = np.zeros((2 * len(X), 2 * X.shape[1]), X.dtype)
    wide[::2, ::2] = X
    return wide[::2, ::2]


def unaligned(X):
    """A copy whose address is no multiple of its item size."""
    memory = np.zeros(X.nbytes + 1, np.uint8)[1:]
    copy = memory.view(X.dtype) if X.size else X.copy()
    copy = copy.reshape(X.shape)
    copy[...] = X
    return copy


def read_only(X):
    """A copy that refuses to be written."""
    copy = X.copy()
    copy.flags.writeable = False
    return copy


def memmap(X):
    """A memory map of a file."""
    if not X.size:
        return X
    mapped = np.memmap(tempfile.TemporaryFile(), X.dtype, "w+", shape=X.shape)
    mapped[...] = X
    return mapped


def integers(X, dtype=np.int64):
    """Numbers cut to integers of a dtype."""
    return np.clip(np.nan_to_num(X), -100, 100).astype(dtype)


def frame(X):
    """A frame with names."""
    return pd.DataFrame(X, columns=[f"c{k}" for k in range(X.shape[1])])


def mixed_frame(X):
    """A frame with a column of integers."""
    made = frame(X)
    if X.shape[1]:
        made["c0"] = integers(X)[:, 0]
    return made


PLAIN = [lambda X: X, lambda X: X.astype(np.float32)]
DENSE = [
    lambda X: X.astype(np.float16),
    lambda X: X.astype(np.longdouble),
    lambda X: X.astype(">f8"),
    lambda X: X.astype(">f4"),
    lambda X: X.astype(object),
    np.asfortranarray,
    strided,
    lambda X: strided(X.astype(np.float32)),
    lambda X: X[::-1, ::-1],
    unaligned,
    read_only,
    memmap,
    integers,
    lambda X: integers(X, np.int8),
    lambda X: X > 0,
    lambda X: np.ma.masked_array(X),
    lambda X: X.tolist(),
    lambda X: tuple(map(tuple, X)),
    lambda X: np.broadcast_to(X[:1], X.shape) if len(X) else X,
]
FRAMES = [frame, mixed_frame, lambda X: frame(X.astype(np.float32))] if pd is not None else []
SPARSE = [
    getattr(sp, f"{name}_{kind}")
    for name in ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")
    for kind in ("array", "matrix")
]
ODD_CONTAINERS = [
    lambda X: X + 1j,
    lambda X: X.astype(str),
    lambda X: X.ravel(),
    lambda X: X[:, :, None],
    lambda X: X.astype("M8[s]"),
    lambda X: [list(row)[: 1 + k % 2] for k, row in enumerate(X)],
    lambda X: None,
    lambda X: "text",
    lambda X: {"a": 1},
    lambda X: iter(X),
    lambda X: np.float64(1),
    lambda X: X.astype(object) * None if not X.size else np.full(X.shape, None),
]


def container(rng, X):
    """The values in a container: an array, a list, a frame, a sparse matrix, or an odd thing."""
    kinds = [PLAIN, DENSE, DENSE, SPARSE, FRAMES or DENSE, ODD_CONTAINERS]
    shares = [0.37, 0.15, 0.15, 0.2, 0.1, 0.03]
    make = choose(rng, kinds[rng.choice(len(kinds), p=shares)])
    if make in SPARSE:
        X = np.where(rng.rand(*X.shape) < 0.6, 0.0, X).astype(choose(rng, ["f8", "f4"]))
    with np.errstate(all="ignore"):
        return make(X)


def is_finite(X):
    """Whether all numbers in a container are finite, or None if that has no meaning."""
    try:
        X = X.toarray() if sp.issparse(X) else X
        with np.errstate(all="ignore"):
            return bool(np.isfinite(np.asarray(X, np.float64)).all())
    except (TypeError, ValueError, OverflowError):
        return None


# ---- targets

LABELS = [
    np.array([0, 1, 2]),
    np.array([-5, 7]),
    np.array([3]),
    np.array(["a", "b", "ccc"]),
    np.array(["a", "b"], object),
    np.array([False, True]),
    np.array([0.0, 1.0]),
    np.array([0, 10**18]),
    np.arange(200),
    np.array([0, 1], np.uint8),
    np.array([1, 2], ">i4"),
]
ODD_LABELS = [
    np.array([0.5, 1.5]),
    np.array([np.nan, 1.0]),
    np.array([None, "a"]),
    np.array([1, "a"], object),
    np.array([1j, 2]),
    np.array(["2020-01-01", "2021-01-01"], "M8[D]"),
]


def labels(rng, n):
    """Labels of n samples: of one class or many, multilabel, in lists and columns, or odd."""
    kind = rng.randint(40)
    if kind == 0:
        return sp.csr_array(rng.randint(0, 2, (n, 3)))
    if kind < 3:
        return rng.randint(0, 2, (n, 3))
    y = choose(rng, ODD_LABELS if kind == 3 else LABELS)
    y = y[rng.randint(0, len(y), n)]
    if kind == 4:
        return y[:, None]
    if kind == 5:
        return pd.Series(y) if pd is not None else y
    return {6: y.tolist(), 7: y[:-1], 8: None}.get(kind, y)


def targets(rng, n):
    """Targets of n samples: one column or several, of any scale, or odd."""
    kind = rng.randint(48)
    y = abs(rng.randn(n, 2)) if kind % 4 == 0 else abs(rng.randn(n))
    y = y - rng.randint(2)  # half of them are not negative
    if kind < 4 and y.size:
        y.flat[0] = (np.nan, np.inf, 1e300, -1e38)[kind]
    if kind == 10:
        return sp.csr_array(y if y.ndim == 2 else y[:, None])
    scales = {4: 1e10, 5: 1e150, 6: 1e300, 7: 1e-300, 8: 0.0}
    y = y * scales.get(kind, 1.0)
    made = {
        11: lambda: y.astype(np.float32),
        12: lambda: y.astype(object),
        13: lambda: y.astype(str),
        14: lambda: y[:-1],
        15: lambda: y.tolist(),
        16: lambda: y.reshape(*y.shape, 1, 1),
        17: lambda: pd.Series(y) if pd is not None and y.ndim == 1 else y,
        18: lambda: y + 1j,
        19: lambda: integers(y),
    }
    with np.errstate(all="ignore"):
        return made.get(kind, lambda: y)()


def weights(rng, n):
    """Sample weights, or mostly None."""
    options = [np.ones(n), rng.rand(n), np.zeros(n), -np.ones(n), np.ones(n + 1), 2.0, "x"]
    options += [np.arange(n) % 2, np.full(n, 1e300), np.full(n, np.nan), [1.0] * n]
    return choose(rng, options) if rng.rand() < 0.1 else None
