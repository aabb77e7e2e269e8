"""Validation data: given to `fit` or held out of X, and the set that training scores."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastbp.estimators import inputs
from fastbp.estimators.class_weight import ClassWeights
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.labels import Labels, choice_of
from fastbp.estimators.metrics import Accuracy, ShareOfRight
from fastbp.estimators.request import EstimatorJob
from fastbp.estimators.scikit_learn import CheckedEstimator, rows_of
from fastbp.estimators.scoring import LOSS, ScorerOfEpoch, scorer_of
from fastbp.kernels import Rows
from fastbp.training import Job, Samples, ValidationSet


class Data(NamedTuple):
    """Samples, targets and weights as users give them."""

    X: Matrix | None
    y: ArrayLike | None
    sample_weight: ArrayLike | None = None


NO_DATA = Data(None, None)


class HeldOut(NamedTuple):
    """Validation data after all checks."""

    x: Rows
    y: NDArray[Any]  # a column for each output
    weight: NDArray[np.float64] | None
    given: Data  # for a scorer: X and y as the user gave them, weights times those of the classes


def given_validation(
    draft: CheckedEstimator,
    validation: Data,
    n_outputs: int,
    labels: Labels,
    dtype: DTypeLike,
    class_weights: ClassWeights | None,
) -> HeldOut:
    """The given validation data, checked, converted and weighted like the training data."""
    X, y, sample_weight = inputs.check_validation_data(
        draft, *validation, y_numeric=draft._y_is_numeric
    )
    with inputs.about("X_val"):
        x = inputs.as_rows(X, dtype)
    with inputs.about("y_val"):
        y = draft._read_validation_targets(y, labels, n_outputs)
    if class_weights is not None:
        sample_weight = class_weights.times(sample_weight, y, "y_val")
    given = validation._replace(sample_weight=sample_weight)
    return HeldOut(x, y, inputs.near_one(sample_weight, 0.0)[0], given)


def hold_out(
    estimator: CheckedEstimator, job: EstimatorJob, y: NDArray[Any], data: Data
) -> tuple[NDArray[np.intp], HeldOut]:
    """Indices of the training rows, and the samples that early stopping holds out.

    `data` are the samples as the user gave them.
    """
    stratify = y if y.shape[1] == 1 and not estimator._y_is_numeric else None
    rows, others = inputs.hold_out(
        len(y), estimator.validation_fraction, job.course.random_state, stratify
    )
    held_out = job.in_memory.take(others)
    if held_out.weight is not None and not held_out.weight.any():
        raise ValueError(
            "All samples that early stopping holds out have the weight 0: increase "
            "validation_fraction, or give X_val and y_val."
        )
    given = NO_DATA
    if scorer_of(estimator.scoring) is not None:
        weight = None if job.weights is None else job.weights[others]
        given = Data(_rows(data.X, others), _rows(data.y, others), weight)
    return rows, HeldOut(held_out.x, y[others], held_out.weight, given)


def _rows(data: Any, rows: NDArray[np.intp]) -> Any:
    """The rows of an array, a frame, a list or a sparse matrix of any format."""
    return rows_of(data.tocsr() if scipy.sparse.issparse(data) else data, rows)


def validation_set(
    estimator: CheckedEstimator, job: Job, labels: Labels, held_out: HeldOut
) -> ValidationSet:
    """The validation set with the metric of the estimator."""
    score: Callable[[Any, Any], float] | None = None
    scorer = scorer_of(estimator.scoring)
    if scorer is not None:
        link = job.objective.link
        score = ScorerOfEpoch(scorer, estimator, job.network, link, labels, held_out.given)
    elif estimator.scoring != LOSS:
        decode = partial(estimator._decode, labels)
        metric = estimator._metric(labels, decode(held_out.y), held_out.weight)
        score = partial(_score, metric, decode)
        choose = choice_of(labels.binarizer) if type(metric) is Accuracy else None
        if choose is not None and metric.is_plain and held_out.weight is None:
            score = ShareOfRight(choose, held_out.y)
    with inputs.about("y_val"):  # float32 may not hold it
        targets = estimator._lower_targets(held_out.y, labels, job.samples.dtype)
    samples = Samples(held_out.x, targets, held_out.weight)
    objective = replace(job.objective, smoothing=0.0)  # of training alone
    return ValidationSet(job.network, objective, samples, score)


def _score(
    metric: Callable[[Any], float],
    decode: Callable[[NDArray[Any]], NDArray[Any]],
    out: NDArray[np.floating],
    _: Any,
) -> float:
    """The metric of predictions with a column for each output; NaN if one is not finite."""
    prediction = decode(out)
    if prediction.dtype.kind != "f":
        return metric(prediction)
    if not np.isfinite(prediction).all():
        return np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
        return metric(prediction)
