"""Networks in plain NumPy, layer by layer, and other helpers of the tests of inspection."""

import warnings

import numpy as np
import pytest

import twins
from fastbp import MLPRegressor
from fastbp import graph as fg
from problems import DTYPES

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_layouts = pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
# Activations as functions of users, by the names that the oracle has for them.
CUSTOM = {
    "silu": lambda z: z * fg.sigmoid(z),
    "softplus": lambda z: fg.log(1 + fg.exp(z)),
    "leaky_relu": lambda z: fg.where(z > 0, z, z / 100),
}
MIXED = ["tanh", CUSTOM["silu"], "relu"], ["tanh", "silu", "relu"]


def quietly(estimator, X, y, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y, **kwargs)


def walk(coefs, intercepts, names, X):
    """Preactivations and activations of all layers, by the oracle's functions."""
    zs, a, result = [], X, []
    for w, b, name in zip(coefs, intercepts, [*names, "identity"], strict=True):
        zs.append(a @ w + b)
        a = twins.ACTIVATIONS[name].f(zs[-1])
        result.append(a)
    return zs, result


def slopes(names, zs):
    return [
        twins.ACTIVATIONS[name].derivative(z)
        for name, z in zip([*names, "identity"], zs, strict=True)
    ]


def back(coefs, slope, delta):
    """Deltas of all layers, given the delta of the output layer."""
    deltas = [delta]
    for w, s in zip(coefs[:0:-1], slope[-2::-1], strict=True):
        deltas.insert(0, deltas[0] @ w.T * s)
    return deltas


def compare(found, expected, dtype=np.float64):
    loose = 1e-12 if dtype == np.float64 else 2e-5
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=loose, atol=loose * abs(theirs).max())


def regressor(activation, hidden=(7, 5, 6), n_outputs=3, dtype=np.float64, n=40):
    random = np.random.RandomState(0)
    X = random.randn(n, 4).astype(dtype)
    y = random.randn(n, n_outputs) if n_outputs > 1 else random.randn(n)
    estimator = MLPRegressor(
        activation=activation,
        hidden_layer_sizes=hidden,
        max_iter=2,
        learning_rate_init=0.05,
        random_state=0,
    )
    return quietly(estimator, X, y), X
