"""Validation samples on the workers: their loss and score are sums over parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from distributed import Future
from numpy.typing import NDArray

from fastbp.dask.cluster import Cluster, Graph, shared, unique
from fastbp.dask.sums import ACCURACY, LOSS, R2, Scoring
from fastbp.estimators import inputs
from fastbp.estimators.encoding import Encoder
from fastbp.estimators.inputs import Matrix
from fastbp.threads import Team
from fastbp.training import Samples

NEEDS_MEMORY = (
    "{what} needs X_val in memory: of a collection the loss, the accuracy and R^2 are computed, "
    "which are sums over its partitions. Give arrays, or {instead}."
)


def kind_of_score(estimator: Any) -> str:
    """The kind of the estimator's score; ValueError if it is not made of sums."""
    scoring = estimator.scoring
    if scoring == LOSS:
        return LOSS
    if scoring is not None:
        what, instead = f"scoring={scoring!r}", "scoring=None or 'loss'"
        raise ValueError(NEEDS_MEMORY.format(what=what, instead=instead))
    if not estimator._y_is_numeric:
        return ACCURACY
    if estimator.loss == "quantile":
        what, instead = "D^2, the score of loss='quantile',", "scoring='loss'"
        raise ValueError(NEEDS_MEMORY.format(what=what, instead=instead))
    return R2


@dataclass(frozen=True)
class ValidationEncoder:
    """Turns parts of the validation data into samples, with a column of y for each output.

    Parameters
    ----------
    encoder : Encoder
        That of the training data.
    n_outputs : int
    """

    encoder: Encoder
    n_outputs: int

    def __call__(self, X: Matrix, y: Any, sample_weight: Any = None) -> Samples:
        """The samples of a part; errors as of `fit`."""
        encoder, estimator = self.encoder, inputs.draft_of(self.encoder.estimator)
        with inputs.about("X_val"):
            X, y, _ = inputs.check_training_data(
                estimator, X, y, reset=False, y_numeric=estimator._y_is_numeric
            )
        with inputs.about("y_val"):
            columns = estimator._read_validation_targets(y, encoder.labels, self.n_outputs)
        with inputs.about("sample_weight_val"):
            weights = inputs.check_weights(sample_weight, X, some=False)
        if encoder.class_weights is not None:
            weights = encoder.class_weights.times(weights, columns, "y_val", some=False)
        return Samples(inputs.as_rows(X, encoder.dtype), columns, weights)


class ValidationParts:
    """Scores parameters on the workers: ``validation(params, team)`` is (score, loss).

    Parameters
    ----------
    cluster : Cluster
    scoring : Scoring
    runs : sequence of Future
        The validation samples, in runs of whole chunks.
    where : callable
        ``where()`` is what an error says of the present epoch.
    """

    def __init__(
        self,
        cluster: Cluster,
        scoring: Scoring,
        runs: Sequence[Future],
        where: Callable[[], str],
    ) -> None:
        self.cluster, self.scoring, self.runs, self.where = cluster, scoring, runs, where
        self.variation: NDArray[np.float64] | None = None

    def __call__(self, params: NDArray[Any], team: Team | None) -> tuple[float, float]:
        if self.scoring.kind == R2 and self.variation is None:
            self.variation = self._variation()
        graph: Graph = {}
        sums = self._sums(self.scoring, graph, shared(graph, params, len(self.runs)))
        if sums[0] == 0:
            raise ValueError("All validation samples have the weight 0.")
        return self.scoring.score(sums, self.variation), self.scoring.loss(sums)

    def _variation(self) -> NDArray[np.float64]:
        """The sum of squared deviations of each target from its mean, once."""
        weight, *sums = self._sums(self.scoring.means, {})
        mean = np.array(sums) / weight
        return self._sums(partial(self.scoring.variation, mean), {})

    def _sums(self, task: Callable[..., Any], graph: Graph, *arguments: Any) -> NDArray[np.float64]:
        """The sums over all rows of the results of a task."""
        name = unique("validation")
        tasks = {(name, k): (task, run, *arguments) for k, run in enumerate(self.runs)}
        parts = self.cluster.compute({**graph, **tasks}, list(tasks), self.where)
        return np.asarray(np.concatenate(parts).sum(axis=0))
