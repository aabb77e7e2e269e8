"""Encoder: the parts of data as samples, by what is known of all parts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import inputs
from fastbp.estimators.class_weight import ClassWeights
from fastbp.estimators.form import Form
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.labels import Labels
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.training import Samples


@dataclass(frozen=True)
class Encoder:
    """Turns parts of the data into samples: ``encoder(X, y, sample_weight)``.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A draft with the features of the data.
    labels : Labels
    dtype : dtype
        That of the samples.
    form : Form
        That of all parts.
    class_weights : ClassWeights or None
    exponent : int or None
        Weights are divided by two to this power: the largest is then below 1. None: no weights.
    """

    estimator: CheckedEstimator
    labels: Labels
    dtype: np.dtype[Any]
    form: Form
    class_weights: ClassWeights | None = None
    exponent: int | None = None

    def __call__(self, X: Matrix, y: Any, sample_weight: Any = None) -> Samples:
        """The samples of a part; errors as of `fit`, or if it differs from the other parts."""
        estimator = inputs.draft_of(self.estimator)
        X, y, _ = inputs.check_training_data(
            estimator, X, y, reset=False, y_numeric=estimator._y_is_numeric
        )
        self.form.check(Form.of(X, sample_weight))
        columns, _ = estimator._read_targets(y, self.labels, False)
        columns = columns.reshape(len(columns), -1)
        weights = self._weights(inputs.check_weights(sample_weight, X, some=False), columns)
        targets = estimator._lower_targets(columns, self.labels, self.dtype)
        return Samples(inputs.as_rows(X, self.dtype), targets, weights)

    @property
    def is_weighted(self) -> bool:
        """Whether the samples have weights."""
        return self.exponent is not None

    def _weights(
        self, weights: NDArray[np.float64] | None, columns: NDArray[Any]
    ) -> NDArray[np.float64] | None:
        """Weights times those of the classes, divided by the power of two."""
        if self.exponent is None:
            return None
        if self.class_weights is not None:
            weights = self.class_weights.times(weights, columns, some=False)
        assert weights is not None
        return np.ldexp(weights, -self.exponent)
