"""Small tables and small models for the tests of the tabular estimators."""

import numpy as np
import pandas as pd
import pytest

from fastbp.kernels import backend
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

# Members are known by their predictions, to the bit.
needs_bits = pytest.mark.skipif(
    backend == "blas", reason="BLAS rounds a row by the rows that are beside it"
)
SMALL = dict(hidden_layer_sizes=(16, 8), max_iter=8, random_state=0)


def frame(n_rows=120, seed=0):
    """A frame with numbers, a category and missing values; a target that depends on all."""
    random = np.random.RandomState(seed)
    color = random.choice(["red", "green", "blue"], n_rows)
    X = pd.DataFrame(
        {
            "size": random.lognormal(size=n_rows),
            "age": random.randint(0, 90, n_rows).astype(float),
            "color": pd.Categorical(color),
        }
    )
    y = np.log(X["size"].to_numpy()) + (color == "red") + 0.01 * X["age"].to_numpy()
    X.loc[random.rand(n_rows) < 0.1, "age"] = np.nan
    return X, y + 0.1 * random.randn(n_rows)


def classes(n_rows=120, seed=0, names=("low", "mid", "high")):
    """The frame with classes of about the same size."""
    X, y = frame(n_rows, seed)
    ranks = np.argsort(np.argsort(y))
    return X, np.array(names)[ranks * len(names) // n_rows]


def small(kind, **parameters):
    """A small estimator and its data; kind is 'binary', 'multiclass' or 'numbers'."""
    if kind == "numbers":
        return TabularMLPRegressor(**{**SMALL, **parameters}), *frame()
    names = ("no", "yes") if kind == "binary" else ("low", "mid", "high")
    return TabularMLPClassifier(**{**SMALL, **parameters}), *classes(names=names)


KINDS = ("binary", "multiclass", "numbers")


def output(estimator, X):
    """Probabilities or predictions."""
    predict = getattr(estimator, "predict_proba", estimator.predict)
    return predict(X)
