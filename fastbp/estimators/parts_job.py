"""Makes a job of data that is not in memory, from the facts of all its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import inputs
from fastbp.estimators.class_weight import ALL_ZERO, ClassWeights, Totals
from fastbp.estimators.encoding import Encoder
from fastbp.estimators.exact import rounded
from fastbp.estimators.held_out import Data, given_validation
from fastbp.estimators.job import begin_job, job_of
from fastbp.estimators.labels import Labels, fitted_labels
from fastbp.estimators.part_facts import NO_SAMPLES, LabelFacts, PartFacts, few_targets
from fastbp.estimators.precision import FLOAT32, precision_of_parts
from fastbp.estimators.request import EstimatorJob, Problem, Request
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.training_job import NEEDS_VALIDATION, trained_job
from fastbp.training import Engine, Objective, Outline, Samples

# From the encoder and the outline: the samples, if all of them can be in memory, or the engine.
Gives: TypeAlias = Callable[[Encoder, Outline], Samples | Engine]


class _Found(NamedTuple):
    """What follows from the facts."""

    encoder: Encoder
    objective: Objective
    kept: np.dtype[Any]  # of the trained network
    n_outputs: int


def check_request(request: Request, validation: Data) -> None:
    """Raise what `fit` raises before it looks at any data: to be called before a first pass."""
    estimator, (_, _, validates) = request.estimator, begin_job(request, validation)
    if estimator.early_stopping and estimator.solver != "lbfgs" and not validates:
        raise ValueError(NEEDS_VALIDATION)


def job_of_facts(
    request: Request, facts: PartFacts, validation: Data, gives: Gives
) -> EstimatorJob:
    """The job of data with these facts; it raises what `fit` raises.

    Parameters
    ----------
    request : Request
        Its estimator is a draft; it gets the features of the data.
    facts : PartFacts
        Those of all the training data.
    validation : Data
        X_val, y_val and sample_weight_val in memory, or NO_DATA.
    gives : callable
        ``gives(encoder, outline)`` is the engine that has the samples, or the samples themselves.
    """
    estimator = request.estimator
    hidden, source, validates = begin_job(request, validation)
    _set_features(estimator, facts)
    dtype = facts.form.dtype if source is None else source.network.params.dtype
    found = _find(request, facts, np.dtype(dtype))
    encoder, held_out = found.encoder, None
    if validates:
        held_out = given_validation(
            estimator,
            validation,
            found.n_outputs,
            encoder.labels,
            encoder.dtype,
            encoder.class_weights,
        )
    outline = Outline(facts.n_rows, encoder.dtype, facts.entries_per_row)
    given = gives(encoder, outline)
    problem = Problem(
        samples=given if isinstance(given, Samples) else outline,
        objective=found.objective,
        dtype=found.kept,
        features=facts.features,
        labels=encoder.labels,
        n_outputs=found.n_outputs,
        spread_of_y=lambda: _spread(facts),
        engine=None if isinstance(given, Samples) else given,
    )
    job = job_of(request, problem, hidden, source, held_out)
    return trained_job(request, job, held_out, None)


def _set_features(estimator: CheckedEstimator, facts: PartFacts) -> None:
    """Give the draft the features of the data, as scikit-learn's checks do."""
    if not hasattr(estimator, "n_features_in_"):
        estimator.n_features_in_ = facts.features.n_features
        if facts.features.names is not None:
            estimator.feature_names_in_ = facts.features.names


def _find(request: Request, facts: PartFacts, dtype: np.dtype[Any]) -> _Found:
    """Labels, weights and dtypes of the data, and the objective."""
    estimator = request.estimator
    if facts.largest_weight == 0:
        raise ValueError("Sample weights must contain at least one non-zero number.")
    labels, n_outputs = _labels(request, facts)
    class_weights = estimator._class_weights(
        lambda: _totals(facts, labels), n_outputs, labels, request.purpose
    )
    objective = estimator._objective(n_outputs, labels)
    training = kept = dtype
    if facts.targets.moments is not None and kept == FLOAT32:
        moments = facts.targets.moments
        training, kept = precision_of_parts(
            estimator, objective, moments.mean, moments.spread, lambda: facts.largest_x
        )
    exponent, alpha = _scaling(facts, class_weights, labels, estimator.alpha)
    encoder = Encoder(estimator, labels, np.dtype(training), facts.form, class_weights, exponent)
    return _Found(encoder, replace(objective, alpha=alpha), np.dtype(kept), n_outputs)


def _labels(request: Request, facts: PartFacts) -> tuple[Labels, int]:
    """The labels of all parts, or the known ones, and the number of outputs."""
    estimator, labels = request.estimator, request.labels
    if facts.targets.moments is not None:
        return Labels(), len(facts.targets.moments.mean)
    if labels is None and hasattr(estimator, "classes_") and request.takes_over:
        labels = fitted_labels(estimator.classes_, estimator._label_binarizer)
    y = few_targets(facts.targets)
    columns, labels = estimator._read_targets(y, labels, estimator.warm_start)
    return labels, columns.reshape(len(columns), -1).shape[1]


def _of_classes(facts: PartFacts, labels: Labels) -> list[list[LabelFacts]]:
    """For each target the facts of each class."""
    columns = facts.targets.labels
    if len(columns) > 1 and not labels.targets:  # an indicator matrix
        known: list[list[Any]] = [[0, 1]] * len(columns)
    else:
        known = [one.classes.tolist() for one in labels.targets or (labels,)]
    pairs = zip(columns, known, strict=True)
    return [[one.get(label, NO_SAMPLES) for label in classes] for one, classes in pairs]


def _totals(facts: PartFacts, labels: Labels) -> Totals:
    """For each target the weight of the samples of each class."""
    return [rounded([one.total for one in column]) for column in _of_classes(facts, labels)]


def _scaling(
    facts: PartFacts, class_weights: ClassWeights | None, labels: Labels, alpha: float
) -> tuple[int | None, float]:
    """The power of two that divides weights, and alpha divided by it; see `inputs.near_one`."""
    if class_weights is not None:
        of_classes = _of_classes(facts, labels)
        largest = class_weights.largest(
            [np.array([one.largest for one in column]) for column in of_classes]
        )
        if largest == 0:
            raise ValueError(ALL_ZERO.format("y"))
    elif facts.form.is_weighted:
        largest = facts.largest_weight
    else:
        return None, alpha
    one, alpha = inputs.near_one(np.array([largest]), alpha)
    assert one is not None
    return int(np.frexp(largest)[1]), alpha


def _spread(facts: PartFacts) -> NDArray[np.float64]:
    """The standard deviation of each column of y."""
    assert facts.targets.moments is not None
    return facts.targets.moments.spread
