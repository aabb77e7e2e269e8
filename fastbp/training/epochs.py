"""The steps of one epoch after another: order, rates, and the door of the core."""

import functools
import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Dropout, Epochs, Task, core, variant
from fastbp.network import epoch_use
from fastbp.threads import Team
from fastbp.training.course import Epoch
from fastbp.training.dropout import lower_dropout
from fastbp.training.factors import Steps
from fastbp.training.job import Job
from fastbp.training.rule import Optimizer
from fastbp.training.watches import Patience, Watch

NOTHING: NDArray[np.float64] = np.empty((0, 0))
CALL_SECONDS = 0.01  # that several epochs are meant to take: Ctrl-C may have to wait for the last


class EpochRunner:
    """Runs the epochs of a job by the ranks of a team: each call the steps of the next ones.

    A call has several epochs where nothing in Python looks at each of them. The core then draws
    their orders and counts their stalls.

    Parameters
    ----------
    job : Job
    optimizer : Optimizer
    ranks : Team
    watches : sequence of Watch
    """

    def __init__(
        self, job: Job, optimizer: Optimizer, ranks: Team, watches: Sequence[Watch]
    ) -> None:
        course, factor = job.course, optimizer.schedule.factor
        if job.shuffle and course.order is None:
            course.order = np.arange(course.n_samples, dtype=np.intp)
        self.job, self.optimizer, self.ranks, self.course = job, optimizer, ranks, course
        self.generator = None
        if job.shuffle and not job.shares_random_state:
            self.generator = _bits_of(course.random_state)
        self.order = course.order
        is_numpys = type(course.random_state) is np.random.RandomState
        if job.shuffle and course.order is not None and not is_numpys:
            # A class of the user may keep what it shuffles; the core checks it once in a call.
            self.order = course.order.copy()
        self.n_steps = math.ceil(course.n_samples / job.batch_size)
        self.dropout = lower_dropout(job.dropout, optimizer.seed)
        self.patience = next((watch for watch in watches if isinstance(watch, Patience)), None)
        self.takes_several = (
            (self.generator is not None or not job.shuffle)
            and (factor is None or factor.in_advance)
            and not any(watch.sees_each_epoch for watch in watches)
        )
        self.most = 1  # epochs of the next call
        self.counters = np.zeros(core.N_COUNTERS)
        self.losses: NDArray[np.float64] = NOTHING
        self.rates: NDArray[np.float64] = NOTHING
        self.door, task = door_and_task(job, optimizer, ranks.size, self.dropout)
        self.task = task._replace(order=self.order, origin=course.origin)
        self.run_task = functools.partial(self.door, self.task)
        self.prepared: tuple[int, float] | None = None  # epochs and rate of the task

    def __call__(self) -> Epoch | None:
        """Perform the steps of the next epochs.

        Returns
        -------
        epoch : Epoch or None
            The epoch, which the caller has to append to the course. None: all were appended.
        """
        course = self.course
        if self.dropout is not None:
            self.dropout.seen[0] = course.t % 2**64
        if course.is_cut:
            return self._rest()
        first = len(course.epochs)
        if self.generator is None:
            self._shuffle()
        self._prepare(min(self.most, self.job.max_iter - first))
        began = perf_counter()
        try:
            try:
                self.ranks.run(self.run_task)
            finally:
                self._note(first, began)
        except BaseException:  # again: an interrupt may have come within it
            self._note(first, began)
            raise
        if self.takes_several:
            return None
        seconds = perf_counter() - began
        return Epoch(self.losses.item(0), None, None, seconds, self.optimizer.rate)

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite after the last call."""
        if self.counters[core.DONE]:
            return bool(self.counters[core.FINITE])
        return self.course.is_finite()  # after the rest of an epoch

    def _shuffle(self) -> None:
        """Draw the order of the next epoch, as `sklearn.utils.shuffle` does."""
        course, order = self.course, self.course.order
        if self.job.shuffle and order is not None:
            course.begin_epoch()
            course.random_state.shuffle(order)
            if self.order is not None and self.order is not order:
                self.order[...] = order

    def _rest(self) -> Epoch:
        """Perform the steps that are left of an epoch that a stop has cut short."""
        course, optimizer, began = self.course, self.optimizer, perf_counter()
        tally, n_samples = optimizer.tally, course.n_samples
        done = int(tally[1])
        rates = optimizer.rates(steps_of(self.job))
        optimizer.rate = rates.item(-1)
        if done < n_samples:
            if self.dropout is not None:
                self.dropout.seen[0] += done
            order = np.arange(n_samples, dtype=np.intp) if self.order is None else self.order
            if len(rates) > 1:
                rates = rates[int(tally[2] - course.first_step) :]
            rest = self.task._replace(order=order[done:], rates=rates, goes_on=True, epochs=None)
            self.ranks.run(functools.partial(self.door, rest))
        course.leave_origin()
        seconds = perf_counter() - began
        return Epoch(tally.item(0) / n_samples, None, None, seconds, optimizer.rate)

    def _prepare(self, most: int) -> None:
        """Set the task: this number of epochs, with their rates."""
        course, counters, schedule = self.course, self.counters, self.optimizer.schedule
        counters[:] = 0
        counters[core.BEST_LOSS] = course.best_loss
        counters[core.STALLS] = course.no_improvement_count
        wanted = most, self.optimizer.rate
        if wanted == self.prepared:
            return
        self.losses, self.rates = np.empty(most), self._rates(most)
        has_one_rate = schedule.factor is None and len(self.rates) == 1
        self.prepared = wanted if has_one_rate else None
        tol, patience = 0.0, math.inf
        if self.patience is not None and self.takes_several:
            tol, patience = self.patience.tol, self.patience.most
        capsule = None if self.generator is None else self.generator.capsule
        epochs = Epochs(self.losses, counters, capsule, tol, patience)
        self.task = self.task._replace(rates=self.rates, epochs=epochs)
        self.run_task = functools.partial(self.door, self.task)

    def _note(self, first: int, began: float) -> None:
        """Take notice of what a call has done, also if it was stopped; twice changes nothing."""
        course, counters = self.course, self.counters
        begun = int(counters[core.BEGUN])
        if not begun:
            return
        course.first_step, course.tallied = counters.item(core.FIRST_STEP), first + begun - 1
        rate = self._rate_of(begun - 1)
        if rate != self.optimizer.rate:  # an optimizer that is the same need not be checked again
            self.optimizer.rate = rate
        course.leave_origin()
        epochs = self._finished(began) if self.takes_several else []
        if not epochs:
            return
        course.epochs[first:] = epochs
        if self.patience is not None:
            course.best_loss = counters.item(core.BEST_LOSS)
            course.no_improvement_count = int(counters[core.STALLS])
        self.most = max(1, min(2 * len(epochs), int(CALL_SECONDS / max(epochs[0].seconds, 1e-9))))

    def _finished(self, began: float) -> list[Epoch]:
        """The epochs that the call has finished. Each has the same share of the time."""
        losses = self.losses[: int(self.counters[core.DONE])].tolist()
        seconds = (perf_counter() - began) / max(len(losses), 1)
        return [Epoch(loss, None, None, seconds, self._rate_of(k)) for k, loss in enumerate(losses)]

    def _rates(self, most: int) -> NDArray[np.float64]:
        """Rates of the next epochs: a row for each step, for each epoch, or for all."""
        course, optimizer = self.course, self.optimizer
        after_epoch = optimizer.schedule.rules.after_epoch
        if optimizer.schedule.factor is not None:
            return np.concatenate([optimizer.rates(steps_of(self.job, k)) for k in range(most)])
        rates = [optimizer.rate]
        if after_epoch is not None:
            for k in range(1, most):
                state = optimizer.schedule_state(course.t + k * course.n_samples)
                rates.append(after_epoch(state._replace(rate=rates[-1])))
        return np.array(rates, np.float64).reshape(-1, 1)

    def _rate_of(self, k: int) -> float:
        """The rate of the last step of epoch k of a call."""
        rows = len(self.rates)
        if rows == 1:
            return self.rates.item(0)
        return self.rates.item(k if rows == len(self.losses) else (k + 1) * self.n_steps - 1)


def door_and_task(
    job: Job, optimizer: Optimizer, n_ranks: int, dropout: Dropout | None
) -> tuple[functools.partial[None], Task]:
    """The door of a job's epochs, which takes a task and a rank, and the task of all samples."""
    network = job.network
    program, objective = job.objective.lower(network)
    use = epoch_use(job.samples.is_sparse, optimizer.rule.clips)
    door = functools.partial(
        variant(core.train_epochs, network.params.dtype),
        program,
        network.params,
        optimizer.state,
        network.scratch(job.batch_size, n_ranks, use, program, dropout, job.samples.codes),
        optimizer.tally,
    )
    rule = optimizer.rule.lower()
    return door, Task(job.samples, objective, rule, batch=job.batch_size, dropout=dropout)


def steps_of(job: Job, k: int = 0, n_steps: int | None = None) -> Steps:
    """The steps of the k-th of the next epochs; beyond the plan the last one is repeated.

    `n_steps` are those of an epoch; None: that of batches of all samples.
    """
    n_steps = n_steps or math.ceil(job.course.n_samples / job.batch_size)
    epoch, total = job.course.optimizer_epochs + k, (job.planned or job.max_iter) * n_steps
    t = np.arange(n_steps, dtype=np.float64) + epoch * n_steps
    return Steps(np.minimum(t, total - 1), total, epoch)


def _bits_of(random_state: np.random.RandomState) -> Any:
    """The bit generator from which the core shuffles as this generator does; None if unknown."""
    bits = random_state._bit_generator if type(random_state) is np.random.RandomState else None
    return bits if type(bits) is np.random.MT19937 else None
