"""Models of tables: the preprocessing, and the mean of what the members predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.runtime.averages import (
    mean_of_numbers,
    mean_probability,
    spread,
    summing_to_one,
    tempered,
    within,
)
from fastbp.runtime.checks import Features
from fastbp.runtime.decoding import classes_of, largest_column
from fastbp.runtime.models import Classifier, Regressor
from fastbp.runtime.table_rows import read_rows
from fastbp.tables import Encoding


class Preprocessing(NamedTuple):
    """What makes an array of a table.

    Parameters
    ----------
    features : Features
        Of the table.
    encoding : Encoding
    dtype : dtype
        Of the array.
    """

    features: Features
    encoding: Encoding
    dtype: DTypeLike

    def __call__(self, X: Any) -> NDArray[np.floating]:
        """The table X as an array."""
        rows = read_rows(X, self.features, self.encoding.is_categorical)
        return self.encoding.array(rows, self.dtype)


class TabularClassifier:
    """The mean of the probabilities that the members predict, at a temperature."""

    def __init__(
        self, preprocessing: Preprocessing, members: Sequence[Classifier], temperature: float
    ) -> None:
        self.preprocessing, self.members = preprocessing, members
        self.features, self.labels = preprocessing.features, members[0].labels
        self.temperature = temperature

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels."""
        return classes_of(self.labels).take(largest_column(self.predict_proba(X)))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of all classes."""
        x = self.preprocessing(X)
        probability = mean_probability([member.predict_proba(x) for member in self.members])
        return tempered(summing_to_one(probability), self.temperature)


class TabularRegressor:
    """The mean of what the members predict, each within its limits."""

    def __init__(
        self,
        preprocessing: Preprocessing,
        members: Sequence[Regressor],
        limits: NDArray[np.float64],
        levels: NDArray[np.float64] | None,
    ) -> None:
        self.preprocessing, self.features = preprocessing, preprocessing.features
        self.members, self.limits, self.levels = members, limits, levels

    def predict(self, X: Any) -> NDArray[Any]:
        """Numbers."""
        return self._shaped(mean_of_numbers(self._of_members(self.preprocessing(X))))

    def predict_with_std(self, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Numbers, and the deviations of the members, or those that they predict."""
        x = self.preprocessing(X)
        predictions, noise = self._of_members(x), None
        if self.members[0].is_gaussian:
            stds = [member.predict_with_std(x)[1] for member in self.members]
            noise = np.array(stds, np.float64).reshape(predictions.shape)
        mean = self._shaped(mean_of_numbers(predictions))
        return mean, self._shaped(spread(predictions, noise))

    def _of_members(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predictions for transformed rows, shape (n_members, n_samples, n_outputs)."""
        joined = np.array([member.predict(x) for member in self.members], np.float64)
        return within(joined.reshape(len(self.members), len(x), -1), self.limits, self.levels)

    def _shaped(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Predictions without the axis of outputs if there is one."""
        return predictions[..., 0] if self.limits.shape[-1] == 1 else predictions
