"""Run a job: the entry point of training."""

import math
from collections.abc import Sequence

from fastbp.training import lbfgs, minibatch
from fastbp.training.course import Course
from fastbp.training.job import NAN_LOSS, NON_FINITE, Job
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
        If training diverged, or if the job has no rule.
    """
    rule, optimizer = job.rule, job.course.optimizer
    if isinstance(rule, LBFGS):
        course = lbfgs.minimize(job, rule, watches)
    elif optimizer is not None:
        course = minibatch.train(job, optimizer, watches)
    else:
        raise ValueError("nothing to run: the job has no rule, or its course has no optimizer")
    if not course.network.is_finite():
        raise ValueError(NON_FINITE)
    if isinstance(rule, LBFGS) and math.isnan(course.loss):
        raise ValueError(NAN_LOSS)
    return course
