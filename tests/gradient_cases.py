"""Estimators and data for tests of the gradient check."""

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor

METHODS = ("central", "forward")
over_methods = pytest.mark.parametrize("method", METHODS)

rng = np.random.RandomState(0)
X = rng.randn(20, 4)
y = rng.randn(20)
Y = rng.gamma(2.0, size=(20, 2))
LABELS = np.array(["ham", "spam", "eggs"])[np.arange(20) % 3]
WEIGHT = rng.randint(0, 3, 20).astype(float)
ZEROS = np.where(rng.rand(20, 4) < 0.6, 0, X)


def regressor(**parameters):
    return MLPRegressor(
        **{
            "hidden_layer_sizes": (5, 3),
            "activation": "tanh",
            "alpha": 0.1,
            "random_state": 0,
            **parameters,
        }
    )


def classifier(**parameters):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (5, 3),
            "activation": "tanh",
            "alpha": 0.1,
            "random_state": 0,
            **parameters,
        }
    )


def agrees(check, count, skipped=0):
    assert check.passed, str(check)
    assert (check.n_checked, check.n_skipped) == (count - skipped, skipped)
    assert check.max_error <= check.tolerance == {"central": 1e-6, "forward": 1e-4}[check.method]
