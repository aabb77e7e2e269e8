"""Small models of every kind, by name: classes, targets, parameters; and the data they are of."""

import numpy as np

from fastbp import MLPClassifier, MLPRegressor

PARAMS = dict(hidden_layer_sizes=(7,), max_iter=3, random_state=0)
N, FEATURES = 30, 5
rng = np.random.RandomState(0)
X = rng.randn(N, FEATURES)
Y = np.arange(N)


def two_columns(classes):
    return np.column_stack([Y % classes, -(Y % (classes + 1))])


MODELS = {
    "3 classes": (MLPClassifier, Y % 3, {}),
    "2 classes": (MLPClassifier, Y % 2, {}),
    "1 class": (MLPClassifier, 0 * Y, {}),
    "names": (MLPClassifier, np.array(["c", "a", "bb"])[Y % 3], {}),
    "objects": (MLPClassifier, np.array(["c", "a", "bb"], object)[Y % 3], {}),
    "1 name": (MLPClassifier, np.array(["c"], object)[0 * Y], {}),
    "bools": (MLPClassifier, Y % 2 == 0, {}),
    "multilabel": (MLPClassifier, rng.rand(N, 4) > 0.5, {}),
    "two labels": (MLPClassifier, rng.rand(N, 2) > 0.5, {}),
    "several targets": (MLPClassifier, two_columns(3), {}),
    "several targets of two classes": (MLPClassifier, two_columns(2), {}),
    "soft labels": (MLPClassifier, rng.dirichlet([1, 1, 1], N), {}),
    "squared error": (MLPClassifier, Y % 3, {"loss": "squared_error"}),
    "no hidden layer": (MLPClassifier, Y % 3, {"hidden_layer_sizes": ()}),
    "deep": (MLPClassifier, Y % 3, {"hidden_layer_sizes": (70, 3, 33), "activation": "tanh"}),
    "own activation": (MLPClassifier, Y % 3, {"activation": lambda z: z / (1 + abs(z))}),
    "list of activations": (MLPClassifier, Y % 3, {"activation": ["selu"]}),
    "own loss": (MLPRegressor, X[:, 0], {"loss": lambda raw, y: abs(raw - y)}),
    "regressor": (MLPRegressor, X[:, 0], {}),
    "regressor of two": (MLPRegressor, X[:, :2], {}),
    "poisson": (MLPRegressor, Y, {"loss": "poisson"}),
    "gaussian": (MLPRegressor, X[:, 0], {"loss": "gaussian"}),
    "gaussian of two": (MLPRegressor, X[:, :2], {"loss": "gaussian"}),
    "quantile": (MLPRegressor, X[:, 0], {"loss": "quantile", "quantile": [0.1, 0.9]}),
    "lbfgs": (MLPRegressor, X[:, 0], {"solver": "lbfgs"}),
}


def fitted(name="3 classes", dtype="float64"):
    """A new model of this kind, fitted."""
    kind, y, params = MODELS[name]
    return kind(**{**PARAMS, **params}).fit(X.astype(dtype), y)
