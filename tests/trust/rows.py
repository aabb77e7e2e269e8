"""All rows of the scorecard, in the order of its table."""

import gc

import numpy as np

from fastbp import MLPClassifier, MLPRegressor
from trust import (
    forks,
    going_on,
    hostile,
    interrupts,
    leaks,
    memory,
    parts,
    races,
    random_inputs,
    sparse_data,
)

MODULES = (
    random_inputs,
    interrupts,
    going_on,
    parts,
    forks,
    memory,
    races,
    leaks,
    hostile,
    sparse_data,
)
ROWS = [row for module in MODULES for row in module.ROWS]


def prepare():
    """Do once, before the forks, what each of them would do: late imports, and common models."""
    X = np.eye(20)
    for model in (MLPClassifier, MLPRegressor):
        fitted = model(hidden_layer_sizes=(3,), max_iter=1, early_stopping=True, n_threads=1)
        fitted.fit(X, np.arange(20) % 2).score(X, np.arange(20) % 2)
    hostile.models()
    sparse_data.known()
    gc.collect()
    gc.freeze()  # so that no collection in a fork writes to the pages of all objects
