"""Paths and loaders of the larger data sets of examples and benchmarks. All are optional.

A data set is searched for in the directory that the environment variable FASTBP_DATA names. Without
the variable it is searched for in `../shared/data` beside the checkout. Each caller decides what to
do if it is not found.
"""

import os
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]


def find(name):
    """The path of the data file `name`, or None."""
    folder = Path(os.environ.get("FASTBP_DATA") or CHECKOUT.parent / "shared" / "data")
    path = folder / name
    return path if path.is_file() else None


def mnist(path):
    """X_train, y_train, X_test, y_test of `mnist.npz`; pixels as float32 between 0 and 1."""
    with np.load(path) as data:
        return (
            data["X_train"].astype(np.float32) / 255,
            data["y_train"],
            data["X_test"].astype(np.float32) / 255,
            data["y_test"],
        )


def housing(path):
    """X (20640, 8), y (median house value in 100,000 dollars) and the names of the columns."""
    with open(path) as file:
        names = file.readline().strip().split(",")[:8]
    table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(9))
    X, y = table[:, :8], table[:, 8] / 1e5
    # 207 block groups have no number of bedrooms: they get the median.
    missing = np.isnan(X)
    X[missing] = np.broadcast_to(np.nanmedian(X, axis=0), X.shape)[missing]
    return X, y, names
