"""Training by mini-batch steps."""

import functools
import math
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import CSR, Rank, Task, core, variant
from fastbp.network import epoch_use
from fastbp.threads import step_cost, team
from fastbp.training.course import Course, Epoch
from fastbp.training.dropout import lower_dropout
from fastbp.training.job import Job
from fastbp.training.overflow import NON_FINITE, explain_loss, warnings_of
from fastbp.training.rule import Optimizer
from fastbp.training.watches import Watch, hooks

STEP_WORK = 100  # multiply-adds that a step stands for, or many short steps would count as nothing
LARGE_ALPHA = 10.0  # from here on the penalty may be what diverges; 1e-4 is usual


def train(job: Job, optimizer: Optimizer, watches: Sequence[Watch]) -> Course:
    """Train by mini-batch steps, in place.

    Ctrl-C ends training at a batch boundary. With early stopping the network gets the parameters
    of the best epoch at the end.

    Raises
    ------
    ValueError
        If parameters are not finite after an epoch, or if its loss is NaN. With early stopping the
        best parameters are restored instead, with a warning.
    """
    course, diverged = job.course, ""
    if job.early_stopping:
        course.begin()
        start = course.network.params.copy()
    course.interrupted, course.warnings = False, []
    course.exchange()
    optimizer.tally[:2] = 0
    try:
        diverged = _run_epochs(job, optimizer, watches)
    except KeyboardInterrupt:
        course.interrupted = True
        course.leave_origin()
    course.loss = _loss(course, optimizer)
    if diverged:
        where = (
            f" Training stopped at epoch {len(course.epochs)} with learning rate "
            f"{optimizer.rate:g}{' and a large alpha' * (job.objective.alpha > LARGE_ALPHA)}."
        )
        if not job.early_stopping:
            raise ValueError(diverged + where)
        restored = " The best weights of the epochs before are restored."
        course.warnings = [diverged + where + restored]
    else:
        course.warnings += warnings_of(job)
    course.exchange()
    if job.early_stopping:
        course.note_best()
        if diverged:
            course.kept.setdefault(course.best_epoch, start)
        course.end()
    return course


def _run_epochs(job: Job, optimizer: Optimizer, watches: Sequence[Watch]) -> str:
    """Run epochs until a watch or `max_iter` ends training. Returns why it diverged, or ''."""
    course, network = job.course, job.network
    if job.shuffle and course.order is None:
        course.order = np.arange(course.n_samples, dtype=np.intp)
    shuffled, ended = course.order if job.shuffle else None, False
    order = _order_of_the_core(course)
    records, counts = hooks(watches, "record"), hooks(watches, "count")
    endings = hooks(watches, "after_epoch")
    after_epoch = optimizer.schedule.rules.after_epoch
    n_steps = math.ceil(course.n_samples / job.batch_size)
    varies, written = optimizer.schedule.rules.within_epoch is not None, None
    rates, total = np.empty((n_steps if varies else 1, 1)), optimizer.tally.item
    step_work = STEP_WORK + job.work_per_sample * job.batch_size + 8 * network.params.size
    cost = step_cost(step_work, network.params.size)
    with team(job.n_threads, cost, job.batch_size, step_work * n_steps) as ranks:
        door = _epoch_door(job, optimizer, rates, order, ranks.size)
        for _ in range(len(course.epochs), job.max_iter):
            if shuffled is not None:  # as `sklearn.utils.shuffle` does
                course.random_state.shuffle(shuffled)
                if order is not None and order is not shuffled:
                    order[...] = shuffled
            if varies or optimizer.rate != written:
                written = optimizer.rate
                rates[...] = optimizer.rates(n_steps, course.t)
            began = perf_counter()
            ranks.run(door)
            course.leave_origin()
            loss = total(0) / course.n_samples
            epoch = Epoch(loss, None, None, perf_counter() - began, optimizer.rate)
            for record in records:
                epoch = record(course, epoch, ranks)
            course.epochs.append(epoch)
            for count in counts:
                count(course)
            if not course.is_finite():
                return NON_FINITE
            if math.isnan(loss):  # possible with finite parameters: derivatives may be finite
                return explain_loss(job, loss)
            if after_epoch is not None:
                optimizer.rate = after_epoch(optimizer.progress(course.t))
            for ends in endings:
                ended |= ends(course, ranks)
            if ended:
                return ""
    if not job.incremental:
        course.warnings.append(
            f"Stochastic Optimizer: Maximum iterations ({job.max_iter:d}) reached and the "
            "optimization hasn't converged yet."
        )
    return ""


def _order_of_the_core(course: Course) -> NDArray[np.intp] | None:
    """The array from which the core reads the order: a copy if a user may keep the order itself.

    The core checks it once in each epoch, so nobody else may write to it. NumPy's own RandomState
    keeps no reference to what it shuffles, but the user's may be another class.
    """
    if course.order is None or type(course.random_state) is np.random.RandomState:
        return course.order
    return course.order.copy()


def _epoch_door(
    job: Job,
    optimizer: Optimizer,
    rates: NDArray[np.float64],
    order: NDArray[np.intp] | None,
    n_ranks: int,
) -> Callable[[Rank], object]:
    """The door that trains one epoch, with its scratch memory."""
    network = job.network
    program, objective = job.objective.lower(network)
    use = epoch_use(isinstance(job.samples.x, CSR), optimizer.rule.clips)
    course, rule = job.course, optimizer.rule.lower()
    dropout = lower_dropout(job.dropout, optimizer.seed, course.t)
    scratch = network.scratch(job.batch_size, n_ranks, use, program, dropout)
    batch, origin = job.batch_size, course.origin
    task = Task(job.samples, objective, rule, order, batch, rates, origin, dropout)
    return functools.partial(
        variant(core.train_epoch, network.params.dtype),
        program,
        network.params,
        optimizer.state,
        scratch,
        optimizer.tally,
        task,
    )


def _loss(course: Course, optimizer: Optimizer) -> float:
    """The loss of the last epoch; without one that of the batches so far, or as it was before."""
    batch_losses, n_samples = optimizer.tally[:2].tolist()
    if course.epochs:
        return course.epochs[-1].loss
    return batch_losses / n_samples if n_samples else course.loss
