"""The steps of one epoch after another: order, rates, and the door of the core."""

import functools
import math
from collections.abc import Callable
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import CSR, Rank, Task, core, variant
from fastbp.network import epoch_use
from fastbp.threads import Team
from fastbp.training.course import Course
from fastbp.training.dropout import lower_dropout
from fastbp.training.factors import Steps
from fastbp.training.job import Job
from fastbp.training.rule import Optimizer


class EpochRunner:
    """Runs the epochs of a job by the ranks of a team: each call the steps of the next one.

    Parameters
    ----------
    job : Job
    optimizer : Optimizer
    ranks : Team
    """

    def __init__(self, job: Job, optimizer: Optimizer, ranks: Team) -> None:
        course = job.course
        if job.shuffle and course.order is None:
            course.order = np.arange(course.n_samples, dtype=np.intp)
        self.job, self.optimizer, self.ranks, self.course = job, optimizer, ranks, course
        self.order = _order_of_the_core(course)
        self.n_steps = math.ceil(course.n_samples / job.batch_size)
        self.varies = optimizer.schedule.factor is not None
        self.rates = np.empty((self.n_steps if self.varies else 1, 1))
        self.written: float | None = None
        self.dropout = lower_dropout(job.dropout, optimizer.seed)
        self.door = self._door(self.rates, self.order)

    def __call__(self) -> float:
        """Perform the steps of the next epoch. Returns the seconds that they took."""
        course = self.course
        if self.dropout is not None:
            self.dropout.seen[0] = course.t % 2**64
        if course.is_cut:
            began = perf_counter()
            self._run_rest()
        else:
            course.begin_epoch()
            if self.job.shuffle and course.order is not None:  # as `sklearn.utils.shuffle` does
                course.random_state.shuffle(course.order)
                if self.order is not None and self.order is not course.order:
                    self.order[...] = course.order
            if self.varies or self.optimizer.rate != self.written:
                self.rates[...] = self.optimizer.rates(self._steps())
                self.optimizer.rate = self.written = self.rates.item(-1)
            began = perf_counter()
            self.ranks.run(self.door)
        course.leave_origin()
        return perf_counter() - began

    def _run_rest(self) -> None:
        """Perform the steps that are left of an epoch that a stop has cut short."""
        course, tally = self.course, self.optimizer.tally
        done, n_samples = int(tally[1]), course.n_samples
        rates = self.optimizer.rates(self._steps())
        self.optimizer.rate = rates.item(-1)
        if done == n_samples:
            return
        if self.dropout is not None:
            self.dropout.seen[0] += done
        order = np.arange(n_samples, dtype=np.intp) if self.order is None else self.order
        if len(rates) > 1:
            rates = rates[int(tally[2] - course.first_step) :]
        self.ranks.run(self._door(rates, order[done:], goes_on=True))

    def _steps(self) -> Steps:
        """The steps of the next epoch; beyond the planned ones the last one is repeated."""
        epoch, planned = self.course.optimizer_epochs, self.job.planned or self.job.max_iter
        total = planned * self.n_steps
        t = np.arange(self.n_steps, dtype=np.float64) + epoch * self.n_steps
        return Steps(np.minimum(t, total - 1), total, epoch)

    def _door(
        self, rates: NDArray[np.float64], order: NDArray[np.intp] | None, goes_on: bool = False
    ) -> Callable[[Rank], object]:
        """The door that trains one epoch, with its scratch memory."""
        job, course, optimizer = self.job, self.course, self.optimizer
        network = course.network
        program, objective = job.objective.lower(network)
        use = epoch_use(isinstance(job.samples.x, CSR), optimizer.rule.clips)
        return functools.partial(
            variant(core.train_epoch, network.params.dtype),
            program,
            network.params,
            optimizer.state,
            network.scratch(job.batch_size, self.ranks.size, use, program, self.dropout),
            optimizer.tally,
            Task(
                job.samples,
                objective,
                optimizer.rule.lower(),
                order,
                job.batch_size,
                rates,
                course.origin,
                goes_on,
                self.dropout,
            ),
        )


def _order_of_the_core(course: Course) -> NDArray[np.intp] | None:
    """The array from which the core reads the order: a copy if a user may keep the order itself.

    The core checks it once in each epoch, so nobody else may write to it. NumPy's own RandomState
    keeps no reference to what it shuffles, but the user's may be another class.
    """
    if course.order is None or type(course.random_state) is np.random.RandomState:
        return course.order
    return course.order.copy()
