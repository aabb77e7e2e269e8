"""Scores of a fitted model on distributed data, as sums over the partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from distributed import Future
from numpy.typing import NDArray

from fastbp.dask.cluster import Cluster, itself, unique
from fastbp.dask.parts import Part
from fastbp.dask.scan import about_part, n_rows


def accuracy_of_parts(cluster: Cluster, model: Any, parts: Sequence[Future]) -> float:
    """The share of rows that a classifier predicts right."""
    weight, right = _sums(cluster, right_rows, parts, model)
    _check_weight(weight)
    return float(right / weight)


def r2_of_parts(cluster: Cluster, model: Any, parts: Sequence[Future]) -> float:
    """R^2 of a regressor, the mean over its targets."""
    if model.loss == "quantile":
        raise ValueError(
            "the score of loss='quantile' is no sum over partitions: compute the predictions and "
            "score those."
        )
    weight, *sums = _sums(cluster, sums_of_targets, parts)
    _check_weight(weight)
    mean = np.array(sums) / weight
    errors, variation = np.split(_sums(cluster, partial(squares, mean), parts, model), 2)
    constant = variation == 0
    explained = 1 - errors / np.where(constant, 1, variation)
    return float(np.where(constant, errors == 0, explained).mean())


def _sums(
    cluster: Cluster, task: Callable[..., Any], parts: Sequence[Future], *model: Any
) -> NDArray[np.float64]:
    """The sums over all partitions of what a task makes of each."""
    name, holder = unique("score"), unique("model")
    graph: dict[Any, Any] = {holder: (partial(itself, *model),)} if model else {}
    arguments = [holder] if model else []
    tasks = {
        (name, k): (partial(of_part, task, k), part, *arguments) for k, part in enumerate(parts)
    }
    sums = cluster.compute({**graph, **tasks}, list(tasks), lambda: "while the score was computed")
    known = [one for one in sums if one is not None]
    if not known:
        raise ValueError("X has no rows: all partitions are empty.")
    return np.asarray(np.sum(known, axis=0))


def of_part(task: Callable[..., Any], number: int, part: Part, *model: Any) -> Any:
    """What the task makes of a partition; None if it is empty."""
    with about_part(number):
        if n_rows(part.X) == n_rows(part.y) == 0:
            return None
        return task(part, *model)


def right_rows(part: Part, model: Any) -> list[float]:
    """The weight of the rows, and of those that are predicted right."""
    weight = float(_weights(part).sum())
    if weight == 0:  # scikit-learn has no score of such rows
        return [0.0, 0.0]
    right = model.score(*part) * weight
    return [weight, float(round(right)) if part.weight is None else right]


def sums_of_targets(part: Part) -> NDArray[np.float64]:
    """The sum of weights, and of each weighted target."""
    true, weight = _true(part), _weights(part)
    return np.concatenate([[weight.sum()], weight @ true])


def squares(mean: NDArray[np.float64], part: Part, model: Any) -> NDArray[np.float64]:
    """For each target the weighted squares of errors, then those of deviations from the mean."""
    true, weight = _true(part), _weights(part)
    predicted = np.asarray(model.predict(part.X), np.float64).reshape(true.shape)
    return np.concatenate([weight @ (true - predicted) ** 2, weight @ (true - mean) ** 2])


def _check_weight(weight: float) -> None:
    if weight == 0:
        raise ValueError("Sample weights must contain at least one non-zero number.")


def _true(part: Part) -> NDArray[np.float64]:
    return np.asarray(part.y, np.float64).reshape(n_rows(part.y), -1)


def _weights(part: Part) -> NDArray[np.float64]:
    if part.weight is None:
        return np.ones(n_rows(part.y))
    return np.asarray(part.weight, np.float64).ravel()
