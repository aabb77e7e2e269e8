"""Small fits of many kinds, and their results as bytes."""

import numpy as np
from scipy import sparse

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg


def data(n=700, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 200).astype(dtype)  # wide enough for several slices of a layer
    return X, rng.randint(0, 4, n), rng.randn(n, 3)


FITS = {
    "adam": (MLPClassifier, dict(hidden_layer_sizes=(150, 40), batch_size=333)),
    "sgd-tanh": (MLPRegressor, dict(solver="sgd", activation="tanh", batch_size=150)),
    "stopping": (MLPClassifier, dict(early_stopping=True, batch_size=200)),
    "poisson": (MLPRegressor, dict(loss="poisson", hidden_layer_sizes=(20,), batch_size=333)),
    "poisson-lbfgs": (MLPRegressor, dict(loss="poisson", hidden_layer_sizes=(9,), solver="lbfgs")),
    "binary": (MLPClassifier, dict(hidden_layer_sizes=(30,), batch_size=90)),
    "lbfgs": (MLPRegressor, dict(solver="lbfgs", activation="logistic")),
    "linear": (MLPClassifier, dict(hidden_layer_sizes=(), batch_size=700)),
    "own": (
        MLPRegressor,
        dict(
            loss=lambda raw, y: fg.log(fg.cosh(raw - y)) + 0.1 * fg.softplus(raw[0]),
            batch_size=150,
            hidden_layer_sizes=(40, 30),
            activation=[lambda z: z * fg.sigmoid(2 * z), "mish"],
        ),
    ),
    "own-lbfgs": (
        MLPClassifier,
        dict(
            loss=lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
            solver="lbfgs",
            activation=lambda z: fg.tanh(z) + 0.1 * z,
        ),
    ),
    "quantiles": (MLPRegressor, dict(loss="quantile", quantile=[0.2, 0.7], activation="gelu")),
    "gaussian": (MLPRegressor, dict(loss="gaussian", activation="softplus")),
    "brier": (MLPClassifier, dict(loss="squared_error", activation="elu")),
    "targets": (MLPClassifier, dict(hidden_layer_sizes=(30,), batch_size=90)),
    "tiny": (MLPClassifier, dict(hidden_layer_sizes=(1,), batch_size=3)),
}


def unfitted(name, dtype, is_sparse, weighted, **others):
    """The model of an entry of FITS, for 3 epochs, with its X, y and weights."""
    X, labels, targets = data(dtype=dtype)
    estimator, parameters = FITS[name]
    if is_sparse:
        X = np.where(abs(X) > 1, X, 0)
        X = sparse.csr_array(X.astype(dtype))
    y = labels if estimator is MLPClassifier else targets
    if name == "binary":
        y = labels % 2
    elif name == "targets":
        y = np.column_stack([labels, labels % 2, labels % 3])
    elif parameters.get("loss") == "poisson":
        y = abs(targets[:, 0])
    weight = np.arange(len(y)) % 3.0 if weighted else None
    model = estimator(**{**parameters, "max_iter": 3, "random_state": 0, **others})
    return model, X, y, weight


def fitted(name, dtype, is_sparse, weighted, n_threads):
    """The model of an entry of FITS, after 3 epochs."""
    model, X, y, weight = unfitted(name, dtype, is_sparse, weighted, n_threads=n_threads)
    return model.fit(X, y, sample_weight=weight)


def bits(model):
    """Weights, losses and number of epochs, as bytes."""
    return (
        b"".join(a.tobytes() for a in [*model.coefs_, *model.intercepts_])
        + repr((model.loss_, getattr(model, "loss_curve_", None), model.n_iter_)).encode()
    )
