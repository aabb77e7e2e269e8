"""Training by L-BFGS (`scipy.optimize`) on gradients of all samples."""

import math
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from fastbp.network import Network
from fastbp.threads import Team, single_threaded_blas, step_cost, team
from fastbp.training.course import Course, Epoch
from fastbp.training.gradient import Gradient, chunk_size
from fastbp.training.job import Job, WholeGradient
from fastbp.training.overflow import explain_loss, warnings_of
from fastbp.training.rule import LBFGS
from fastbp.training.watches import Watch

STANDS_STILL = (
    "lbfgs ended at once, but not at a minimum: its steps do not change the loss within the "
    "precision of its digits. Scale y (and X)."
)


def minimize(job: Job, rule: LBFGS, watches: Sequence[Watch]) -> Course:
    """Train by L-BFGS, in place; `course.result` is SciPy's result.

    Each accepted iterate is an epoch of the course. Ctrl-C ends training with the last one, and so
    does a watch.
    """
    course, network = job.course, job.network
    chunk = chunk_size(job.samples)
    start, first_loss = network.params.astype(np.float64), np.inf
    course.begin_run()
    stands_still = False
    try:
        cost = step_cost(job.work_per_sample * chunk, network.params.size)
        epoch_work = job.work_per_sample * len(job.samples)
        # SciPy's L-BFGS calls BLAS for vectors. Threads of BLAS would compete with the ranks.
        with single_threaded_blas(), team(job.n_threads, cost, chunk, epoch_work) as ranks:
            gradient = _gradient(job, ranks)
            began = perf_counter()

            def loss_gradient(params: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
                nonlocal first_loss
                network.params[...] = params
                gradient.run(ranks)
                if first_loss == np.inf:
                    first_loss = gradient.loss
                return gradient.loss, gradient.grads.astype(np.float64)

            def accept(intermediate_result: scipy.optimize.OptimizeResult) -> None:
                nonlocal began
                seconds = perf_counter() - began
                network.params[...] = intermediate_result.x
                epoch = Epoch(intermediate_result.fun, None, None, seconds, None)
                epoch = _recorded(watches, course, epoch, ranks)
                # Kept before the epoch is appended, dropped afterwards: see Course.keep.
                course.kept[len(course.epochs)] = intermediate_result.x.copy()
                course.epochs.append(epoch)
                course.drop_all_but(len(course.epochs) - 1)
                for watch in watches:
                    watch.count(course)
                    course.stop_reason = watch.after_epoch(course, ranks) or course.stop_reason
                if course.stop_reason:
                    raise StopIteration
                began = perf_counter()

            result = scipy.optimize.minimize(
                loss_gradient,
                start,
                method="L-BFGS-B",
                jac=True,
                options=dict(maxfun=rule.max_fun, maxiter=job.max_iter, gtol=rule.tol),
                callback=accept,
            )
            stands_still = not course.stop_reason and _stands_still(
                result, rule, network, loss_gradient
            )
    except KeyboardInterrupt:
        course.interrupted, course.stop_reason = True, "interrupt"
        result = _last_iterate(course, start, first_loss)
    return _conclude(job, result, stands_still)


def _gradient(job: Job, ranks: Team) -> WholeGradient:
    """The gradient of all samples, wherever they are."""
    return Gradient(job, ranks.size) if job.engine is None else job.engine.gradient(job, ranks)


def _recorded(watches: Sequence[Watch], course: Course, epoch: Epoch, ranks: Team) -> Epoch:
    """The epoch of an iterate that was accepted, with the results of all watches."""
    for watch in watches:
        watch.before_epoch(course)
        epoch = watch.record(course, epoch, ranks)
    return epoch


def _conclude(job: Job, result: scipy.optimize.OptimizeResult, stands_still: bool) -> Course:
    """The course with its result and warnings; ValueError if numbers overflowed."""
    course, loss = job.course, float(result.fun)
    if not course.stop_reason:  # 1: the limit of iterations or evaluations
        course.stop_reason = "max_iter" if result.status == 1 else "tol"
    elif not course.interrupted:
        result.status, result.message = 0, "A watch ended training."
    course.network.params[...] = result.x
    course.kept.clear()
    course.result, course.loss = result, loss
    # An infinite loss after Ctrl-C is that of no evaluation.
    overflows = math.isnan(loss) or (math.isinf(loss) and not course.interrupted)
    if overflows and course.network.is_finite():
        raise ValueError(explain_loss(job, loss))
    course.warnings += [STANDS_STILL] * stands_still + warnings_of(job)
    return course


def _stands_still(
    result: scipy.optimize.OptimizeResult,
    rule: LBFGS,
    network: Network,
    loss_gradient: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
) -> bool:
    """Whether L-BFGS ended at once, by a loss that did not change, far from a minimum.

    If a step of whatever length lowers the loss by a hundredth, its digits were too few to show
    what the first short steps gained. Steps of biases alone are tried too: they have no penalty.
    """
    slope = np.abs(result.jac).max()
    if result.status != 0 or result.nit > 1 or not rule.tol < slope < np.inf:
        return False
    biases = network.astype(np.float64)
    biases.params[...] = result.jac
    for weight in biases.coefs:
        weight[...] = 0
    return any(
        loss_gradient(result.x - length / slope * step)[0] < 0.99 * result.fun
        for step in (result.jac, biases.params)
        for length in 10.0 ** np.arange(-10, 31)
    )


def _last_iterate(
    course: Course, start: NDArray[np.float64], first_loss: float
) -> scipy.optimize.OptimizeResult:
    """The result of an interrupted run: its last accepted iterate, or the start."""
    iterations = len(course.epochs)
    return scipy.optimize.OptimizeResult(
        x=course.kept.get(iterations - 1, start),
        fun=course.epochs[-1].loss if iterations else first_loss,
        nit=iterations,
    )
