"""Completes a job with what training needs besides the network: rule, course and watches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.continued import last_optimizer
from fastbp.estimators.generators import is_own, start_of
from fastbp.estimators.held_out import Data, HeldOut, hold_out, validation_set
from fastbp.estimators.messages import warn
from fastbp.estimators.request import PARTIAL_FIT, EstimatorJob, Request
from fastbp.estimators.resume import (
    check_same,
    facts_of_fit,
    go_on,
    optimizer_to_go_on,
    resumed_course,
    state_of_fit,
)
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.stochastic import dropout_rates
from fastbp.kernels import core
from fastbp.training import (
    LBFGS,
    MOST_SEED,
    Course,
    Optimizer,
    Rule,
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
