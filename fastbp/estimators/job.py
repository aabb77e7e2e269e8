"""Makes a job of parameters and data: checks, conversions, and the network with its draws."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.estimators import inputs, memory
from fastbp.estimators.class_weight import totals_of
from fastbp.estimators.continued import check_attributes, last_optimizer
from fastbp.estimators.generators import generator_of, restarted
from fastbp.estimators.held_out import Data, HeldOut, given_validation
from fastbp.estimators.inputs import CheckedMatrix, Features
from fastbp.estimators.labels import Labels, fitted_labels
from fastbp.estimators.model import Model, model_of, refuse_overlaps
from fastbp.estimators.moments import mean_and_spread
from fastbp.estimators.overrides import refuse_overrides
from fastbp.estimators.precision import precision_of
from fastbp.estimators.request import PARTIAL_FIT, EstimatorJob, Problem, Request
from fastbp.estimators.resume import state_of_fit
from fastbp.estimators.scoring import scorer_of
from fastbp.estimators.stochastic import refuse_for_lbfgs
from fastbp.estimators.training_job import Columns, trained_job
from fastbp.kernels import Origin
from fastbp.network import Network, hidden_activations, params_dtype
from fastbp.training import Course, Objective, Outline, Samples


def make_job(request: Request, data: Data, validation: Data) -> EstimatorJob:
    """The job of an estimator on these data; see `BaseMLP._job`."""
    estimator = request.estimator
    hidden, source, validates = begin_job(request, validation)
    X, y, features = inputs.check_training_data(
        estimator, data.X, data.y, reset=source is None, y_numeric=estimator._y_is_numeric
    )
    y, labels = _targets(request, y)
    dtype = request.dtype
    if dtype is None and source is not None:
        dtype = source.network.params.dtype
    weights = inputs.check_weights(data.sample_weight, X)
    class_weights = estimator._class_weights(
        partial(totals_of, y, weights, labels), y.shape[1], labels, request.purpose
    )
    if class_weights is not None:
        weights = class_weights.times(weights, y)
    problem = _problem(request, X, y, weights, labels, features, dtype)
    held_out = None
    if validates:
        held_out = given_validation(
            estimator, validation, y.shape[1], labels, problem.samples.dtype, class_weights
        )
    job = job_of(request, problem, hidden, source, held_out)
    if request.inspects:
        return replace(job, objective=replace(job.objective, scale=1.0))
    return trained_job(request, job, held_out, Columns(y, data))


def begin_job(request: Request, validation: Data) -> tuple[list[int], Model | None, bool]:
    """Checks that need no data: hidden widths, the model to continue, and whether it validates."""
    refuse_overrides(request.estimator)
    validates = inputs.is_validation_given(*validation)
    return _checked_sizes(request), _source(request), validates


def job_of(
    request: Request,
    problem: Problem,
    hidden: list[int],
    source: Model | None,
    held_out: HeldOut | None,
) -> EstimatorJob:
    """The job of a problem, with its network but without what training needs besides."""
    samples, objective, n_outputs = problem.samples, problem.objective, problem.n_outputs
    random_state = _random_state(request, source)
    units, origin = [problem.features.n_features, *hidden, n_outputs], None
    if source is not None:
        network, origin = _continued(request, source, units, samples, objective)
    else:
        n_validation = 0 if held_out is None else len(held_out.y)
        network = _new_network(request, problem, units, n_validation, random_state)
    return EstimatorJob(
        samples=samples,
        objective=objective,
        course=Course(network, random_state, len(samples), origin=origin),
        features=problem.features,
        labels=problem.labels,
        validation_set=None,
        source=source,
        n_threads=request.estimator.n_threads,
        result_dtype=problem.dtype,
        began=request.began,
        weights=problem.weights,
        engine=problem.engine,
    )


def _random_state(request: Request, source: Model | None) -> np.random.RandomState:
    """The generator of the job: the user's own only if the job trains from its state."""
    estimator = request.estimator
    if request.resumes and source is not None:
        start = state_of_fit(estimator)["random_state"]
        return restarted(start, source.network, estimator.init)
    return generator_of(estimator.random_state, copied=request.inspects)


def _checked_sizes(request: Request) -> list[int]:
    """The widths of the hidden layers, after checks of parameters that need no data."""
    estimator = request.estimator
    hidden = inputs.check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    if request.purpose == PARTIAL_FIT and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if not request.inspects:
        refuse_for_lbfgs(estimator)
    scorer_of(estimator.scoring)  # raises if there is no such scorer
    return hidden


def _source(request: Request) -> Model | None:
    """The model that the job continues, or None if it begins with a new network."""
    estimator = request.estimator
    if not hasattr(estimator, "coefs_") or not request.takes_over:
        return None
    if not request.inspects:
        check_attributes(estimator)
    return model_of(estimator)


def _targets(request: Request, y: NDArray[Any]) -> tuple[NDArray[Any], Labels]:
    """Targets with a column for each output, and the labels of a classifier.

    If the request has no labels, they are those of the fitted estimator: in a warm start, in later
    calls of `partial_fit` and for inspection.
    """
    estimator, labels = request.estimator, request.labels
    if labels is None and hasattr(estimator, "classes_") and request.takes_over:
        labels = fitted_labels(estimator.classes_, estimator._label_binarizer)
    strict = estimator.warm_start and not request.inspects
    y, labels = estimator._read_targets(y, labels, strict)
    return (y.reshape(-1, 1) if y.ndim == 1 else y), labels


def _problem(
    request: Request,
    X: CheckedMatrix,
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    labels: Labels,
    features: Features,
    dtype: DTypeLike | None,
) -> Problem:
    """The problem of these data. `dtype` is that of the network; None: that of X."""
    estimator = request.estimator
    objective = estimator._objective(y.shape[1], labels)
    dtype = params_dtype([X.dtype]) if dtype is None else dtype
    near_one, alpha = inputs.near_one(weights, estimator.alpha)
    targets, kept = estimator._lower_targets(y, labels, dtype), dtype
    if not request.inspects:
        incremental = request.purpose == PARTIAL_FIT
        training, kept = precision_of(
            estimator, objective, X, y, near_one, dtype, incremental=incremental
        )
        if training != dtype:
            targets = estimator._lower_targets(y, labels, training)
    samples = Samples(inputs.as_rows(X, targets.dtype), targets, near_one)
    objective = replace(objective, alpha=alpha)
    return Problem(
        samples,
        objective,
        kept,
        features,
        labels,
        y.shape[1],
        lambda: mean_and_spread(y, near_one)[1],
        weights,
    )


def _continued(
    request: Request,
    source: Model,
    units: list[int],
    samples: Samples | Outline,
    objective: Objective,
) -> tuple[Network, Origin | None]:
    """The network of a model to train on, and what its first step reads if it is not copied."""
    _check_shape(request, source.network, units[1:-1], units[-1])
    _check_trainable(request, source, objective)
    origin = _origin(request, source, samples.dtype)
    if origin is not None:
        return source.network.unset_copy(), origin
    return source.copy_network(samples.dtype), None


def _check_shape(request: Request, network: Network, hidden: list[int], n_outputs: int) -> None:
    """Raise ValueError if the fitted network does not have the shape of the parameters and y.

    'sgd' and 'adam' ignore other widths if the depth is the same, as in scikit-learn.
    """
    fitted, is_lbfgs = network.units[1:-1], request.estimator.solver == "lbfgs"
    if not request.inspects and (
        len(hidden) != len(fitted) or (is_lbfgs and tuple(hidden) != fitted)
    ):
        raise ValueError(
            f"hidden_layer_sizes is {hidden}, but the fitted model has {list(fitted)}."
        )
    if n_outputs != network.units[-1]:
        raise ValueError(
            f"y has {n_outputs} columns, but the fitted model has {network.units[-1]} outputs."
        )


def _check_trainable(request: Request, source: Model, objective: Objective) -> None:
    """Raise ValueError for a link that is not the loss's, and for layers that share memory."""
    if request.inspects:
        return
    if request.estimator.solver != "lbfgs":  # which makes new arrays
        refuse_overlaps(source)
    link = request.estimator.out_activation_
    if link != objective.link:
        raise ValueError(
            f"out_activation_ is {link!r}, but training with this loss needs {objective.link!r}: "
            "predictions can use another link, training cannot. Set out_activation_ to "
            f"{objective.link!r} to train on."
        )


def _origin(request: Request, source: Model, dtype: DTypeLike) -> Origin | None:
    """What the first step of `partial_fit` can read without a copy, if it is all in one place."""
    if request.purpose != PARTIAL_FIT:
        return None
    last = last_optimizer(request.estimator, source.network.units)
    if last is None or not source.owns or not last.state.flags.c_contiguous:
        return None
    if last.rule.averages:  # the parameters are exchanged first: see Course.exchange
        return None
    params, state = source.network.params, last.state
    if not params.dtype == state.dtype == dtype:
        return None
    return Origin(params, state, last.tally[2])


def _new_network(
    request: Request,
    problem: Problem,
    units: list[int],
    n_validation: int,
    random_state: np.random.RandomState,
) -> Network:
    """A network with initial weights. MemoryError if there is too little memory to train it."""
    estimator, samples = request.estimator, problem.samples
    activations = hidden_activations(estimator.activation, len(units) - 2)
    dtype = samples.dtype
    what = f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}"
    if request.inspects:
        memory.check_gradient(units, samples, what)
    else:
        memory.check_training(estimator, units, activations, samples, n_validation, what)
    network = Network(units, estimator.activation, dtype, activations)
    network.initialize(random_state, estimator.init)
    if isinstance(estimator.init, str):  # the user's own biases stay
        estimator._set_output_biases(network.intercepts[-1], problem.spread_of_y)
    return network
