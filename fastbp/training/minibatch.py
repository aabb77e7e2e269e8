"""Training by mini-batch steps."""

import math
from collections.abc import Sequence

from fastbp.threads import Cost, blocks_of, cheapest, step_cost, team
from fastbp.training.course import Course
from fastbp.training.epochs import EpochRunner
from fastbp.training.job import Job
from fastbp.training.overflow import NON_FINITE, explain_loss, warnings_of
from fastbp.training.rule import Optimizer
from fastbp.training.watches import Watch, hooks

NOT_CONVERGED = (
    "Stochastic Optimizer: Maximum iterations ({:d}) reached and the optimization hasn't converged "
    "yet."
)
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
    course.begin_run()
    course.exchange()
    if not course.is_cut:
        optimizer.tally[:2] = 0
    try:
        diverged = _run_epochs(job, optimizer, watches)
    except KeyboardInterrupt:
        course.interrupted, course.stop_reason = True, "interrupt"
        course.leave_origin()
    course.loss, optimizer.epochs = _loss(course, optimizer), course.optimizer_epochs
    if diverged:
        where = (
            f" Training stopped at epoch {len(course.epochs)} with learning rate "
            f"{optimizer.rate:g}{' and a large alpha' * (job.objective.alpha > LARGE_ALPHA)}."
        )
        if not job.early_stopping:
            raise ValueError(diverged + where)
        restored = " The best weights of the epochs before are restored."
        course.stop_reason = "diverged"
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
    course = job.course
    begins, records = hooks(watches, "before_epoch"), hooks(watches, "record")
    counts, endings = hooks(watches, "count"), hooks(watches, "after_epoch")
    after_epoch = optimizer.schedule.rules.after_epoch
    work = _step_work(job)
    cost, epoch_work = _cost(job), work * math.ceil(course.n_samples / job.batch_size)
    with team(job.n_threads, cost, job.batch_size, epoch_work) as ranks:
        make_steps = EpochRunner if job.engine is None else job.engine.steps
        run_epochs = make_steps(job, optimizer, ranks, watches)
        while len(course.epochs) < job.max_iter:
            for begin in begins:
                begin(course)
            epoch = run_epochs()
            if epoch is not None:
                for record in records:
                    epoch = record(course, epoch, ranks)
                course.epochs.append(epoch)
                for count in counts:
                    count(course)
            loss = course.epochs[-1].loss
            if not run_epochs.is_finite():
                return NON_FINITE
            if math.isnan(loss):  # possible with finite parameters: derivatives may be finite
                return explain_loss(job, loss)
            if after_epoch is not None:
                optimizer.rate = after_epoch(optimizer.schedule_state(course.t))
            for ends in endings:
                course.stop_reason = ends(course, ranks) or course.stop_reason
            if course.stop_reason:
                return ""
    course.stop_reason = "max_iter"
    if not job.incremental:
        course.warnings.append(NOT_CONVERGED.format(job.max_iter))
    return ""


def ranks_that_pay(job: Job, most: int) -> int:
    """The number of ranks, `most` or fewer, that a job of mini-batch steps would choose."""
    return cheapest(_cost(job), min(most, blocks_of(job.batch_size)))


def _cost(job: Job) -> Cost:
    """The cost of a step as a function of the ranks."""
    return step_cost(_step_work(job), job.network.params.size)


def _step_work(job: Job) -> float:
    """The approximate number of multiply-adds of a step."""
    return STEP_WORK + job.work_per_sample * job.batch_size + 8 * job.network.params.size


def _loss(course: Course, optimizer: Optimizer) -> float:
    """The loss of the last epoch; without one that of the batches so far, or as it was before."""
    batch_losses, n_samples = optimizer.tally[:2].tolist()
    if course.epochs:
        return course.epochs[-1].loss
    return batch_losses / n_samples if n_samples else course.loss
