"""Fitted estimators of many kinds, all that they show, and how they are trained further."""

import copy
import functools

import numpy as np

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.RandomState(0)
X = rng.randn(60, 5)
Y = np.arange(60) % 3
T = rng.randn(60)
PARAMS = dict(hidden_layer_sizes=(4, 3), max_iter=3, random_state=0)


MODELS = {
    "classes": (MLPClassifier, {}, Y),
    "binary": (MLPClassifier, {}, Y > 0),
    "strings": (MLPClassifier, {}, np.array(["a", "b", "c"])[Y]),
    "multilabel": (MLPClassifier, {}, np.stack([Y > 0, Y > 1], axis=1).astype(int)),
    "one class": (MLPClassifier, {}, 0 * Y),
    "sgd": (MLPClassifier, {"solver": "sgd", "learning_rate": "invscaling"}, Y),
    "sgd, no momentum": (MLPRegressor, {"solver": "sgd", "momentum": 0.0}, T),
    "adaptive": (MLPRegressor, {"solver": "sgd", "learning_rate": "adaptive"}, T),
    "lbfgs": (MLPRegressor, {"solver": "lbfgs"}, T),
    "early stopping": (MLPClassifier, {"early_stopping": True, "validation_fraction": 0.3}, Y),
    "regression": (MLPRegressor, {}, T),
    "two outputs": (MLPRegressor, {}, np.stack([T, T**2], axis=1)),
    "poisson": (MLPRegressor, {"loss": "poisson"}, T**2),
    "no hidden layer": (MLPRegressor, {"hidden_layer_sizes": ()}, T),
    "RandomState": (MLPRegressor, {"random_state": np.random.RandomState(3)}, T),
    "average": (MLPClassifier, {"ema_decay": 0.9}, Y),
    "dropout": (MLPClassifier, {"dropout": [0.3, 0.1], "input_dropout": 0.1}, Y),
    "average, stopped": (MLPClassifier, {"ema_decay": 0.9, "early_stopping": True}, Y),
    "decayed and clipped": (MLPRegressor, {"weight_decay": 0.5, "clip_norm": 0.1}, T),
    "smoothed": (MLPClassifier, {"label_smoothing": 0.1}, Y),
    "own functions": (MLPRegressor, {"activation": abs, "loss": lambda raw, y: (raw - y) ** 2}, T),
}


def fitted(model, dtype=np.float64):
    cls, params, y = MODELS[model]
    return cls(**{**PARAMS, **copy.deepcopy(params)}).fit(X.astype(dtype), y)


# One fit for all tests that change nothing.
kept = functools.cache(fitted)


def outputs(est, x):
    if isinstance(est, MLPClassifier):
        return [est.predict(x), est.predict_proba(x), est.predict_log_proba(x)]
    return [est.predict(x)]


def state(est, x):
    """All public fitted attributes, and the predictions."""
    curve = np.array(getattr(est, "loss_curve_", []))
    scores = np.array(
        [
            getattr(est, name, None) or []
            for name in ("validation_scores_", "validation_loss_curve_")
        ]
    )
    counts = np.array([est.n_iter_, est.t_, est.n_layers_, est.n_outputs_, est.n_features_in_])
    numbers = [curve, scores, counts, np.array(est.loss_)]
    return [*est.coefs_, *est.intercepts_, *numbers, *outputs(est, x)]


def assert_same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def ways(model):
    """The methods by which a model can be trained further."""
    _, parameters, _ = MODELS[model]
    lacks = parameters.get("solver") == "lbfgs" or parameters.get("early_stopping")
    return ["warm_start", "fit"] if lacks else ["partial_fit", "warm_start", "fit"]


def trained_further(est, model, how):
    _, _, y = MODELS[model]
    if how == "partial_fit":
        return est.partial_fit(X, y).partial_fit(X[:20], y[:20])
    return est.set_params(warm_start=how == "warm_start").fit(X, y)
