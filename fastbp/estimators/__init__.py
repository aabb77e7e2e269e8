"""The estimators, with scikit-learn's interface."""

from fastbp.estimators.classifier import MLPClassifier
from fastbp.estimators.regressor import MLPRegressor

for _public in (MLPClassifier, MLPRegressor):
    _public.__module__ = "fastbp"

__all__ = ["MLPClassifier", "MLPRegressor"]
