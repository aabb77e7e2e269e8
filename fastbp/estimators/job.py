"""Makes a job of parameters and data: all checks, conversions and draws before training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.estimators import inputs, memory
from fastbp.estimators.class_weight import totals_of
from fastbp.estimators.continued import check_attributes, last_optimizer
from fastbp.estimators.generators import generator_of, is_own, restarted, start_of
from fastbp.estimators.held_out import (
    Data,
    HeldOut,
    given_validation,
    hold_out,
    validation_set,
)
from fastbp.estimators.inputs import CheckedMatrix, Features
from fastbp.estimators.labels import Labels, fitted_labels
from fastbp.estimators.messages import warn
from fastbp.estimators.model import Model, model_of, refuse_overlaps
from fastbp.estimators.moments import mean_and_spread
from fastbp.estimators.overrides import refuse_overrides
from fastbp.estimators.precision import precision_of
from fastbp.estimators.request import PARTIAL_FIT, EstimatorJob, Problem, Request
from fastbp.estimators.resume import (
    check_same,
    facts_of_fit,
    go_on,
    optimizer_to_go_on,
    resumed_course,
    state_of_fit,
)
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.scoring import scorer_of
from fastbp.estimators.stochastic import dropout_rates, refuse_for_lbfgs
from fastbp.kernels import Origin, core
from fastbp.network import Network, hidden_activations
from fastbp.training import (
    LBFGS,
    MOST_SEED,
    Course,
    Objective,
    Optimizer,
    Outline,
    Rule,
    Samples,
    Schedule,
    Watch,
    factor_of,
    watches,
)

OF_SCIKIT_LEARN = ("constant", "invscaling", "adaptive")  # schedules that only sgd heeds
NEEDS_VALIDATION = (
    "early_stopping=True needs X_val and y_val here: no samples can be held out of data that is "
    "not in memory."
)
BATCH_CLIPPED = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"


class Columns(NamedTuple):
    """Targets with a column for each output, and the data as the user gave them."""

    y: NDArray[Any]
    data: Data


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


def trained_job(
    request: Request, job: EstimatorJob, held_out: HeldOut | None, columns: Columns | None
) -> EstimatorJob:
    """The job with all that training needs; one that resumes is brought to where it ended.

    `columns` are the targets from which early stopping may hold some out; None if it may not.
    """
    job = _for_training(request, job, held_out, columns)
    estimator = request.estimator
    job.watches = watches_of(estimator, job)
    resumable = job.engine is None or job.engine.facts() is not None
    if resumable and not (job.incremental or isinstance(job.rule, LBFGS)):
        job.facts = facts_of_fit(estimator, job)
    if request.resumes:
        state = state_of_fit(estimator)
        check_same(state, job.facts)
        go_on(estimator, job, state)
    return job


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
    dtype = X.dtype if dtype is None else dtype
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


def _for_training(
    request: Request, job: EstimatorJob, held_out: HeldOut | None, columns: Columns | None
) -> EstimatorJob:
    """The job with a rule, a course to continue, a validation set and limits."""
    estimator, rows = request.estimator, None
    is_lbfgs = estimator.solver == "lbfgs"
    if is_lbfgs:  # its loss is not scaled, see Gradient
        job.objective = replace(job.objective, scale=1.0)
    job.early_stopping = estimator.early_stopping and not is_lbfgs
    job.incremental = request.purpose == PARTIAL_FIT
    start, given, init = None, estimator.random_state, estimator.init
    if request.resumes:
        start = state_of_fit(estimator)["random_state"]
    elif not (is_lbfgs or job.incremental):
        start = start_of(given, job.course.random_state, None if job.continues else init)
    if job.engine is not None and held_out is None:
        job.validation_set = job.engine.validation_set(job)
    if job.early_stopping and held_out is None and job.validation_set is None:
        if columns is None:
            raise ValueError(NEEDS_VALIDATION)
        rows, held_out = hold_out(estimator, job, *columns)
    if held_out is not None:
        job.validation_set = validation_set(estimator, job, job.labels, held_out)
    job.max_iter, job.planned = 1 if job.incremental else estimator.max_iter, estimator.max_iter
    if request.resumes:
        job.course = resumed_course(job, state_of_fit(estimator), rows)
    else:
        job.course = last_course(estimator, job, rows)
    if is_lbfgs:
        job.rule = LBFGS(estimator.tol, estimator.max_fun)
        return job
    job.shuffle = estimator.shuffle
    job.shares_random_state = not is_own(given, init)
    job.batch_size = _batch_size(estimator, job.course.n_samples)
    job.course.start = start
    is_sparse = job.samples.is_sparse
    job.dropout = dropout_rates(estimator, len(job.network.units) - 2, is_sparse=is_sparse)
    if request.resumes:
        last = last_optimizer(estimator, job.network.units)
        optimizer = _with_factor(estimator, optimizer_to_go_on(last, job))
    else:
        optimizer = _optimizer(estimator, job)
    job.course.optimizer, job.rule = optimizer, optimizer.rule
    if job.dropout and (request.resumes or optimizer.seed is None):
        optimizer.seed = _seed(job)
    if job.engine is not None:  # it shuffles by itself
        job.shuffle = False
        job.engine.seed = _seed(job) if estimator.shuffle else None
    return job


def _seed(job: EstimatorJob) -> int:
    """A seed that is drawn from the generator of the job."""
    return int(job.course.random_state.randint(MOST_SEED + 1, dtype=np.int64))


def _batch_size(estimator: CheckedEstimator, n_samples: int) -> int:
    """The number of samples in a mini-batch."""
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn(BATCH_CLIPPED)
    return int(min(estimator.batch_size, n_samples))


def _optimizer(estimator: CheckedEstimator, job: EstimatorJob) -> Optimizer:
    """The optimizer of the last call of `partial_fit`, or a new one."""
    network = job.network
    last = None
    if job.incremental:  # it is checked where a job continues: see _origin
        last = getattr(estimator, "_optimizer", None)
        if not job.continues:
            last = last_optimizer(estimator, network.units)
    if last is not None:
        is_unset = job.course.origin is not None
        return _with_factor(
            estimator, last.unset_copy() if is_unset else last.copy(network.params.dtype)
        )
    values = {name: getattr(estimator, name) for name in core.RULE_CONSTANTS[estimator.solver]}
    constants = {name: 0.0 if value is None else value for name, value in values.items()}
    name = estimator.learning_rate
    if factor_of(name) is not None or (estimator.solver == "adam" and name in OF_SCIKIT_LEARN):
        name = "constant"  # Adam ignores the words of scikit-learn, as there
    schedule = Schedule(name, float(estimator.learning_rate_init), estimator.power_t)
    rule = Rule(estimator.solver, constants)
    return _with_factor(
        estimator, Optimizer.start(rule, schedule, network.units, network.params.dtype)
    )


def _with_factor(estimator: CheckedEstimator, optimizer: Optimizer) -> Optimizer:
    """The optimizer with the factor of the parameter, which no pickle of it has."""
    factor = factor_of(estimator.learning_rate)
    if factor != optimizer.schedule.factor:
        if factor is None:  # or the last factor would remain
            optimizer.rate = optimizer.schedule.initial_rate
        optimizer.schedule = replace(optimizer.schedule, factor=factor)
    return optimizer


def last_course(
    estimator: CheckedEstimator, job: EstimatorJob, rows: NDArray[np.intp] | None
) -> Course:
    """A new course, with the values of the last one that scikit-learn keeps as well.

    A warm start and `partial_fit` continue the counters and the best values. The order of the
    samples and the random state are new in each call; in a warm start the moments are new too.
    """
    learned = vars(estimator) if job.continues else {}
    best_loss, best_score = learned.get("best_loss_"), learned.get("best_validation_score_")
    return Course(
        job.network,
        job.course.random_state,
        n_samples=len(job.samples) if rows is None else len(rows),
        order=rows,
        samples_seen=learned.get("t_", 0),
        loss=vars(estimator).get("loss_", np.inf),
        best_loss=np.inf if best_loss is None else best_loss,
        best_score=-np.inf if best_score is None else best_score,
        no_improvement_count=learned.get("_no_improvement_count", 0),
        continues=bool(learned.get("loss_curve_")),
        origin=job.course.origin,
    )


def watches_of(estimator: CheckedEstimator, job: EstimatorJob) -> list[Watch]:
    """The watches that the parameters ask for."""
    chosen: list[Watch] = []
    steps = not isinstance(job.rule, LBFGS)
    shows_progress = estimator.verbose == 2
    verbose = bool(estimator.verbose) and not shows_progress
    if verbose and steps:
        chosen.append(watches.PrintLoss())
    if job.validation_set is not None:
        chosen.append(watches.Validation(job.validation_set))
        if verbose:
            chosen.append(watches.PrintScore())
    tol, most = estimator.tol, estimator.n_iter_no_change
    if job.early_stopping:
        nan_stalls = estimator.scoring is not None
        chosen += [
            watches.PatienceWithScore(tol, most, verbose, nan_stalls),
            watches.BestWeights(),
        ]
    elif steps:
        chosen.append(watches.Patience(tol, most, verbose))
    if estimator.max_seconds is not None and not job.incremental:
        limit = float(estimator.max_seconds)
        chosen.append(watches.TimeLimit(limit, job.began + limit))
    if shows_progress:
        chosen.append(watches.ProgressLine(job.max_iter, job.began))
    return chosen
