"""Losses and scores as sums over chunks of rows, whose bits do not depend on the partitions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.dask.recipe import Recipe
from fastbp.estimators.labels import Labels
from fastbp.kernels import core, variant
from fastbp.network import allocate
from fastbp.threads import team
from fastbp.training import GRADIENT_CHUNK, Samples

ACCURACY, R2, LOSS = "accuracy", "r2", "loss"  # scores that are made of sums


@dataclass(frozen=True)
class Scoring:
    """Sums of losses and of what a score is made of; plain data.

    Parameters
    ----------
    recipe : Recipe
    estimator : MLPClassifier or MLPRegressor
        A bare one, which decodes predictions.
    labels : Labels
    kind : {'accuracy', 'r2', 'loss'}
    """

    recipe: Recipe
    estimator: Any
    labels: Labels
    kind: str

    def __call__(self, samples: Samples, params: NDArray[Any]) -> NDArray[np.float64]:
        """The sums of each chunk, a row for each; a task.

        `samples.y` has a column for each output, before it is lowered. The columns of the result
        are the sums of weights, of weighted losses, and of weights of right rows or of the squared
        errors of each target.
        """
        out, losses = self._outputs(samples, params)
        weight = np.ones(len(samples)) if samples.weight is None else samples.weight
        with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
            weighted = np.where(weight > 0, losses * weight, 0)
            columns = [weight, weighted, *self._of_score(out, samples.y, weight)]
        return sums_of_chunks(columns)

    def _outputs(
        self, samples: Samples, params: NDArray[Any]
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Predictions and losses of all rows, chunk by chunk."""
        network, dtype = self.recipe.network(params), params.dtype
        program, objective = self.recipe.objective.lower(network)
        targets = self.estimator._lower_targets(samples.y, self.labels, dtype)
        lowered = Samples(samples.x, targets, samples.weight)
        out, losses = (
            np.empty((len(samples), network.units[-1]), dtype),
            np.empty(len(samples), dtype),
        )
        rows = min(GRADIENT_CHUNK, len(samples))
        scratch = allocate(core.scratch_size(program, rows, 1, "validate"), dtype)
        door = partial(variant(core.validate, dtype), program, params, scratch)
        with team(1, lambda _: 0.0, rows, 0.0):  # BLAS has one thread meanwhile
            for first in range(0, len(samples), GRADIENT_CHUNK):
                part = slice(first, first + GRADIENT_CHUNK)
                door(lowered[part], objective, out[part], losses[part])
        return out, losses.astype(np.float64)

    def _of_score(
        self, out: NDArray[Any], y: NDArray[Any], weight: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        """What the score sums of each row."""
        if self.kind == LOSS:
            return []
        predicted, true = (self.estimator._decode(self.labels, one) for one in (out, y))
        if self.kind == ACCURACY:
            right = predicted == true
            return [weight * (right if right.ndim == 1 else right.all(axis=1))]
        errors = predicted.astype(np.float64) - true
        return list(weight * errors.reshape(len(errors), -1).T ** 2)

    def score(self, sums: NDArray[np.float64], variation: NDArray[np.float64] | None) -> float:
        """The score of the sums of all rows; NaN if a prediction is not finite.

        `variation` is the sum of squared deviations of each target from its mean.
        """
        if self.kind == LOSS:
            return -self.loss(sums)
        if self.kind == ACCURACY:
            return float(sums[2] / sums[0])
        assert variation is not None
        errors = sums[2:]
        if not np.isfinite(errors).all():
            return np.nan
        safe = np.where(variation > 0, variation, 1)
        explained = np.where(variation > 0, 1 - errors / safe, np.where(errors > 0, 0.0, 1.0))
        return float(explained.mean())

    def loss(self, sums: NDArray[np.float64]) -> float:
        """The mean loss of the sums of all rows."""
        return float(self.recipe.objective.scale * sums[1] / sums[0])

    def means(self, samples: Samples) -> NDArray[np.float64]:
        """The sums of weights and of weighted targets of each chunk; a task."""
        weight = np.ones(len(samples)) if samples.weight is None else samples.weight
        return sums_of_chunks([weight, *(weight * self._true(samples).T)])

    def variation(self, mean: NDArray[np.float64], samples: Samples) -> NDArray[np.float64]:
        """The sums of weighted squared deviations from the mean of each chunk; a task."""
        weight = np.ones(len(samples)) if samples.weight is None else samples.weight
        return sums_of_chunks(list(weight * (self._true(samples) - mean).T ** 2))

    def _true(self, samples: Samples) -> NDArray[np.float64]:
        """The targets, with a column for each."""
        true = np.asarray(self.estimator._decode(self.labels, samples.y), np.float64)
        return true.reshape(len(true), -1)


def sums_of_chunks(columns: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The sum of each column over each chunk; the last chunk is filled up with zeros."""
    n_chunks = -(-len(columns[0]) // GRADIENT_CHUNK)
    filled = np.zeros((len(columns), n_chunks * GRADIENT_CHUNK))
    for row, column in zip(filled, columns, strict=True):
        row[: len(column)] = column
    return filled.reshape(len(columns), n_chunks, GRADIENT_CHUNK).sum(axis=2).T
