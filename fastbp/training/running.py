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
    if isinstance(rule, LBFGS):
        course = lbfgs.minimize(job, rule, watches)
    elif optimizer is not None:
        course = minibatch.train(job, optimizer, watches)
    else:
        raise ValueError("nothing to run: the job has no rule, or its course has no optimizer")
    if job.result_dtype not in (None, course.network.params.dtype):
        if course.raw_params is None and optimizer is not None:
            course.raw_params = course.network.params  # to go on from what was not rounded
        with np.errstate(over="ignore"):  # what overflows is noticed below
            course.network = course.network.astype(job.result_dtype)
    overflow.check_result(job)
    return course
