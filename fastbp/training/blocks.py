"""Training on samples that are read block by block: the engine, its gradient and its steps."""

from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Task, core
from fastbp.threads import Team, ahead
from fastbp.training.course import Epoch
from fastbp.training.dropout import lower_dropout
from fastbp.training.epochs import door_and_task, steps_of
from fastbp.training.gradient import WholeSums, chunk_size
from fastbp.training.job import Job
from fastbp.training.rule import Optimizer
from fastbp.training.samples import Samples
from fastbp.training.watches import Watch
from fastbp.training.windows import Part, Read, Windows


class Blocks:
    """The engine of samples that are read block by block.

    Parameters
    ----------
    read : callable
        ``read(first, stop)`` is the samples of these rows. It is called from a thread.
    edges : ndarray of int64
        The blocks: from 0 to the number of samples.
    n_rows : int
        Rows of a window, of which two are in memory; no block has more.
    facts : dict
        What has to be the same if the fit is resumed.
    """

    def __init__(
        self, read: Read, edges: NDArray[np.int64], n_rows: int, facts: dict[str, Any]
    ) -> None:
        self.read, self.edges, self.n_rows = read, edges, n_rows
        self.seed: int | None = None
        self._facts = facts
        self._windows: Windows | None = None

    def windows(self, job: Job) -> Windows:
        """The windows of a job; their memory is kept from one use to the next."""
        if self._windows is None:
            self._windows = Windows(
                self.read, self.edges, self.n_rows, job.samples.entries_per_row, job.batch_size
            )
        return self._windows

    def gradient(self, job: Job, ranks: Team) -> "BlockGradient":
        """The gradient of all samples."""
        return BlockGradient(job, self.windows(job), ranks)

    def steps(
        self, job: Job, optimizer: Optimizer, ranks: Team, watches: Sequence[Watch]
    ) -> "BlockSteps":
        """The steps of epochs."""
        return BlockSteps(job, optimizer, self.windows(job), ranks, self.seed)

    def examples(self) -> Samples | None:
        """The samples of the window that was read last."""
        return None if self._windows is None else self._windows.last

    def validation_set(self, job: Job) -> None:
        """None: validation samples are in memory."""

    def facts(self) -> dict[str, Any]:
        """What has to be the same if the fit is resumed."""
        return self._facts


class BlockGradient(WholeSums):
    """Reported loss and gradient of all samples, with the bits of `Gradient` in memory.

    Parameters
    ----------
    job : Job
    windows : Windows
    ranks : Team
    """

    def __init__(self, job: Job, windows: Windows, ranks: Team) -> None:
        self.windows, self.chunk = windows, chunk_size(job.samples)
        super().__init__(job, self.chunk, ranks.size)

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient in one pass over all samples."""
        self.begin()
        door = partial(core.chunk_sums, self.program, self.params, self.sums, self.scratch)
        with ahead(self.windows.in_order(self.chunk)) as parts:
            for samples in parts:
                ranks.run(partial(door, Task(samples, self.objective, batch=self.chunk)))
        self.finish()


class BlockSteps:
    """Performs the steps of one epoch after another, window by window.

    Parameters
    ----------
    job : Job
    optimizer : Optimizer
    windows : Windows
    ranks : Team
    seed : int or None
        From which the orders of all epochs follow; None: the samples stay in their order.
    """

    def __init__(
        self, job: Job, optimizer: Optimizer, windows: Windows, ranks: Team, seed: int | None
    ) -> None:
        self.job, self.optimizer, self.windows, self.ranks = job, optimizer, windows, ranks
        self.course, self.seed = job.course, seed
        self.dropout = lower_dropout(job.dropout, optimizer.seed)
        self.door, task = door_and_task(job, optimizer, ranks.size, self.dropout)
        self.task = task._replace(goes_on=True)

    def __call__(self) -> Epoch:
        """Perform the steps of the next epoch, or those that a stop has left of it."""
        course, optimizer, began = self.course, self.optimizer, perf_counter()
        done = int(optimizer.tally[1]) if course.is_cut else 0
        if not course.is_cut:
            course.begin_epoch()
        rates = optimizer.rates(steps_of(self.job))
        optimizer.rate = rates.item(-1)
        seen = 0
        with ahead(self.windows.of_epoch(self.seed, course.optimizer_epochs)) as parts:
            for part in parts:
                first, seen = seen, seen + len(part.order)
                if seen > done:
                    self._train(part, max(done - first, 0), max(done, first), rates)
        seconds = perf_counter() - began
        loss = optimizer.tally.item(0) / course.n_samples
        return Epoch(loss, None, None, seconds, optimizer.rate)

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite after the last call."""
        return self.course.is_finite()

    def _train(self, part: Part, skip: int, seen: int, rates: NDArray[np.float64]) -> None:
        """The steps of a window from its sample `skip` on, before which the epoch has `seen`."""
        if self.dropout is not None:
            self.dropout.seen[0] = (self.course.t + seen) % 2**64
        if len(rates) > 1:
            rates = rates[seen // self.job.batch_size :]
        task = self.task._replace(samples=part.samples, order=part.order[skip:], rates=rates)
        self.ranks.run(partial(self.door, task))
