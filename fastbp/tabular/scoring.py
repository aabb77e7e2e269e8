"""Scores: what chooses the epoch of a member, and the score of out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from fastbp.estimators.messages import warn
from fastbp.estimators.scoring import LOSS, scorer_of, takes_weights
from fastbp.runtime.averages import LEAST_PROBABILITY
from fastbp.tabular.members import CheckedData
from fastbp.tabular.units import Units


def of_classes(scoring: Any, loss: str) -> tuple[Any, bool]:
    """What a classifier's members get as `scoring`, and whether it looks at labels alone."""
    scorer = _checked(scoring)
    if scoring is None or scoring == "accuracy":
        return None, True
    if scoring == "neg_log_loss":  # the core computes it if it is the loss
        return LOSS if loss == "log_loss" else neg_log_loss, False
    return scorer, getattr(scorer, "_response_method", None) == "predict"


def of_numbers(scoring: Any) -> tuple[Any, Callable[[Units, CheckedData], Any] | None]:
    """What a regressor's members get as `scoring`, and what makes it anew for each of them."""
    scorer = _checked(scoring)
    if scorer is None:
        return LOSS, None
    return None, lambda units, data: _ScorerInUnits(scorer, units, data)


def _checked(scoring: Any) -> Any:
    """The scorer of the parameter, or None."""
    if isinstance(scoring, str) and scoring == LOSS:
        raise ValueError(
            "scoring must be None, a name of sklearn.metrics.get_scorer_names or a callable, got "
            "'loss': None takes the loss for a regressor, 'neg_log_loss' for a classifier."
        )
    return scorer_of(scoring)


class _ScorerInUnits:
    """A scorer of a member in training, whose predictions it takes back to the units of y.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)``, and perhaps with `sample_weight`.
    units : Units
    data : CheckedData
        The validation data with targets in the units of y.
    """

    def __init__(self, scorer: Any, units: Units, data: CheckedData) -> None:
        self.scorer, self.units, self.y = scorer, units, _given(data.y)
        self.kwargs = {}
        if data.sample_weight is not None and takes_weights(scorer):
            self.kwargs["sample_weight"] = data.sample_weight

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        prediction = self.units.predicted(estimator, X)
        return self.scorer(StoredNumbers(prediction), X, self.y, **self.kwargs)


class StoredNumbers(RegressorMixin, BaseEstimator):
    """A regressor that predicts what it is given, for scorers."""

    def __init__(self, prediction: NDArray[Any]) -> None:
        self.prediction = prediction

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any) -> None:
        """Nothing: scorers want to see the method."""

    def predict(self, X: Any) -> NDArray[Any]:
        """The stored predictions, whatever X is."""
        return self.prediction


class StoredClasses(ClassifierMixin, BaseEstimator):
    """A classifier that predicts the probabilities it is given, for scorers."""

    def __init__(self, probability: NDArray[Any], classes: NDArray[Any]) -> None:
        self.probability, self.classes = probability, classes
        self.classes_ = classes

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any) -> None:
        """Nothing: scorers want to see the method."""

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """The stored probabilities, whatever X is."""
        return self.probability

    def predict(self, X: Any) -> NDArray[Any]:
        """The labels of the largest of them."""
        return self.classes.take(self.probability.argmax(axis=1))


def score_of_stored(scoring: Any, stored: Any, data: CheckedData) -> float:
    """The score of stored predictions for the targets and weights of some rows."""
    scorer: Any = neg_log_loss if scoring == "neg_log_loss" else scorer_of(scoring)
    kwargs = {}
    if data.sample_weight is not None and takes_weights(scorer):
        kwargs["sample_weight"] = data.sample_weight
    try:
        return float(scorer(stored, data.X, _given(data.y), **kwargs))
    except ValueError as error:  # members have been trained: they are not lost
        warn(f"oof_score_ is NaN, since scoring failed for the out-of-fold predictions: {error}")
        return float("nan")


def neg_log_loss(estimator: Any, X: Any, y: NDArray[Any], sample_weight: Any = None) -> float:
    """The mean logarithm of the true classes' probabilities.

    scikit-learn's scorer of this name wants a row of each class.
    """
    probability = estimator.predict_proba(X)
    of_true = probability[np.arange(len(y)), estimator.classes_.searchsorted(y)]
    logs = np.log(np.maximum(of_true, LEAST_PROBABILITY))
    return float(np.average(logs, weights=sample_weight))


def _given(y: NDArray[Any]) -> NDArray[Any]:
    """Targets as users give them: of one target with one dimension."""
    return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
