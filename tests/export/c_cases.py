"""Fitted models of every kind that `fastbp.export` takes."""

import warnings

import numpy as np

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import core

ROWS = 500
rng = np.random.RandomState(0)
X = rng.randn(200, 6)
X_TEST = rng.randn(ROWS, 6)
NUMBERS = X[:, 0] - X[:, 1] ** 2 + 0.1 * rng.randn(200)
TWO = np.column_stack([NUMBERS, X[:, 2]])
CLASSES = np.array(["ham", "eggs", "spam"])[np.digitize(NUMBERS, [-1, 0.5])]
SMALL = dict(hidden_layer_sizes=(9, 5), max_iter=8, random_state=0)

# Each operation of fastbp.graph that a function of one number can use is in one of these.
OWN = {
    "arithmetic": lambda z: (z + 1) * (z - 2) / (4 + z * z) - (-z) / 3,
    "compared": lambda z: fg.where((z < 0.3) & (z != -1.0) | (z <= -2), fg.sign(z) * 0.5, z),
    "limited": lambda z: fg.maximum(fg.minimum(z, 1.5), -0.5) + fg.relu(z - 1) + fg.abs(z),
    "clipped": lambda z: fg.clip(z, -1, 1) + fg.equal(z, 0.0),
    "exponential": lambda z: fg.exp(-z * z) + fg.expm1(-fg.abs(z)) + fg.sigmoid(z),
    "logarithm": lambda z: fg.log(1 + z * z) + fg.log1p(fg.abs(z)) + fg.softplus(z),
    "periodic": lambda z: fg.sin(z) + fg.cos(z / 2),
    "hyperbolic": lambda z: fg.sinh(z / 4) + fg.log(fg.cosh(z)) + fg.tanh(z),
    "powers": lambda z: fg.sqrt(z * z + 1) + fg.power(fg.abs(z) + 0.1, 1.7) / 4 + fg.tanh(z) ** 3,
    "errors": lambda z: 0.5 * z * (1 + fg.erf(z / 2**0.5)),
    "infinite": lambda z: fg.minimum(fg.power(2.0, -z * z), np.inf),
}


def classifier(y=CLASSES, **parameters):
    return MLPClassifier(**{**SMALL, **parameters}).fit(X, y)


def regressor(y=NUMBERS, **parameters):
    return MLPRegressor(**{**SMALL, **parameters}).fit(X, y)


def ensemble(member, y, **parameters):
    kind = MLPEnsembleRegressor if isinstance(member, MLPRegressor) else MLPEnsembleClassifier
    return kind(member, n_members=3, random_state=0, n_threads=1, **parameters).fit(X, y)


def several_targets():
    return np.column_stack([CLASSES == "ham", np.digitize(NUMBERS, [-1, 0.5]), NUMBERS > 0]) * 1


def lists():
    return regressor(hidden_layer_sizes=(7, 6, 5), activation=["tanh", OWN["errors"], "identity"])


def deep():
    return classifier(hidden_layer_sizes=(8, 3, 7, 2, 6), activation="silu")


def shares():
    y = np.abs(np.column_stack([NUMBERS, X[:, 1], X[:, 2]])) + 0.1
    return y / y.sum(axis=1, keepdims=True)


CASES = {
    "classes": classifier,
    "two classes": lambda: classifier(CLASSES == "ham"),
    "one class": lambda: classifier(np.full(200, 7), hidden_layer_sizes=(3,)),
    "many classes": lambda: classifier(np.arange(200) % 40),
    "soft labels": lambda: classifier(shares()),
    "multilabel": lambda: classifier((TWO > 0) * 1),
    "multilabel of five": lambda: classifier((X[:, :5] > 0) * 1),
    "several targets": lambda: classifier(several_targets()),
    "brier": lambda: classifier(loss="squared_error"),
    "no hidden layer": lambda: classifier(hidden_layer_sizes=()),
    "deep": deep,
    "one unit": lambda: regressor(hidden_layer_sizes=(1,)),
    "lists": lists,
    "numbers": regressor,
    "linear": lambda: regressor(hidden_layer_sizes=()),
    "two outputs": lambda: regressor(TWO),
    "poisson": lambda: regressor(np.abs(NUMBERS), loss="poisson"),
    "softplus": lambda: regressor(np.abs(NUMBERS), out_activation="softplus"),
    "logistic": lambda: regressor(NUMBERS > 0, out_activation="logistic"),
    "quantiles": lambda: regressor(TWO, loss="quantile", quantile=[0.1, 0.5, 0.9]),
    "own loss": lambda: regressor(TWO, loss=lambda raw, y: fg.log(fg.cosh(raw - y))),
    "gaussian": lambda: regressor(loss="gaussian"),
    "two gaussians": lambda: regressor(TWO, loss="gaussian"),
    "ensemble of classes": lambda: ensemble(MLPClassifier(**SMALL), CLASSES),
    "ensemble of two classes": lambda: ensemble(MLPClassifier(**SMALL), CLASSES == "ham"),
    "ensemble, multilabel": lambda: ensemble(MLPClassifier(**SMALL), (TWO > 0) * 1),
    "ensemble, targets": lambda: ensemble(MLPClassifier(**SMALL), several_targets()),
    "ensemble of numbers": lambda: ensemble(
        MLPRegressor(**SMALL, activation=OWN["errors"]), NUMBERS, bootstrap=True
    ),
    "ensemble of gaussians": lambda: ensemble(MLPRegressor("gaussian", **SMALL), TWO),
}
CASES |= {
    f"activation {name}": lambda name=name: regressor(activation=name) for name in core.ACTIVATIONS
}
CASES |= {f"own: {name}": lambda f=f: regressor(activation=f) for name, f in OWN.items()}


def fitted(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CASES[case]()
