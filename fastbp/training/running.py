"""Run a job: the entry point of training."""

from collections.abc import Sequence

import numpy as np

from fastbp.training import lbfgs, minibatch, overflow
from fastbp.training.course import Course
from fastbp.training.job import Job
from fastbp.training.rule import LBFGS
from fastbp.training.watches import Watch


def run(job: Job, watches: Sequence[Watch] = ()) -> Course:
    """Train the network of a job, starting from its course.

    Parameters
    ----------
    job : Job
        Its course is changed: network, optimizer, epochs.
    watches : sequence of Watch, default=()
        Called after each epoch, in this order.

    Returns
    -------
    course : Course
        The course of the job.

    Raises
    ------
    ValueError
        If training diverged: parameters, loss or predictions are not finite. Or if the job has no
        rule.
    """
    rule, optimizer = job.rule, job.course.optimizer
    try:
        if isinstance(rule, LBFGS):
            course = lbfgs.minimize(job, rule, watches)
        elif optimizer is not None:
            course = minibatch.train(job, optimizer, watches)
        else:
            raise ValueError("nothing to run: the job has no rule, or its course has no optimizer")
    finally:
        for watch in watches:
            watch.after_run()
    round_result(job, course)
    overflow.check_result(job)
    return course


def round_result(job: Job, course: Course) -> None:
    """Give the network of a course the dtype of the result; what was not rounded is kept."""
    if job.result_dtype in (None, course.network.params.dtype):
        return
    if course.raw_params is None and course.optimizer is not None:
        course.raw_params = course.network.params  # to go on from
    with np.errstate(over="ignore"):  # what overflows is noticed later
        course.network = course.network.astype(job.result_dtype)
