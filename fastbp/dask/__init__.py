"""Multilayer perceptrons on a cluster of Dask, for data that one machine does not hold."""

try:
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError(
        'fastbp.dask needs Dask with its scheduler: install "fastbp[dask]", or dask[distributed]'
    ) from error

from fastbp.dask.classifier import DaskMLPClassifier
from fastbp.dask.regressor import DaskMLPRegressor

for _public in (DaskMLPClassifier, DaskMLPRegressor):
    _public.__module__ = "fastbp.dask"

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]
