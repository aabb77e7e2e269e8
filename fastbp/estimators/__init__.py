"""The estimators, with scikit-learn's interface."""

from fastbp.estimators.classifier import MLPClassifier
from fastbp.estimators.overrides import note_ours
from fastbp.estimators.regressor import MLPRegressor

note_ours(MLPClassifier, MLPRegressor)

for _public in (MLPClassifier, MLPRegressor):
    _public.__module__ = "fastbp"

__all__ = ["MLPClassifier", "MLPRegressor"]
