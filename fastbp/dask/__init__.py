"""Multilayer perceptrons on a cluster of Dask, for data that one machine does not hold."""

from fastbp.dask.classifier import DaskMLPClassifier
from fastbp.dask.regressor import DaskMLPRegressor

for _public in (DaskMLPClassifier, DaskMLPRegressor):
    _public.__module__ = "fastbp.dask"

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]
