"""Local steps: each shard makes some steps by itself, then parameters and moments are averaged."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from distributed import Future
from numpy.typing import NDArray

from fastbp.dask.cluster import Cluster, Graph, unique
from fastbp.dask.recipe import Recipe
from fastbp.kernels import Task, core, variant
from fastbp.network import epoch_use
from fastbp.threads import team
from fastbp.training import Epoch, Job, Optimizer, Rule, Samples, keyed, lower_dropout
from fastbp.training.epochs import steps_of

FAN_IN = 4  # shards that one task averages
MOST_SCALE = 8  # of the learning rate


class Model(NamedTuple):
    """Parameters and optimizer state, before a round or after it."""

    params: NDArray[Any]
    state: NDArray[Any]
    steps: float  # that were made before


class Local(NamedTuple):
    """What a shard, or the mean of several, has come to in a round."""

    model: Model
    loss: float  # sum of batch loss times batch size
    n_samples: float


@dataclass(frozen=True)
class ShardSteps:
    """The steps of one shard in one round; plain data.

    Parameters
    ----------
    recipe : Recipe
    rule : Rule
    dropout : tuple of float
        Rates, as a Job has them.
    dropout_seed : int or None
    batch_size : int
    rates : ndarray of shape (n_steps, 1) or (1, 1)
        Those of the steps of the round.
    seed : tuple of int or None
        Of the order of the shard's rows in this epoch; None: they stay in their own order.
    batches : tuple of int
        The first batch of the round, and the one behind its last, in that order.
    seen : int
        Samples that dropout counts before the first row of the shard in this epoch.
    """

    recipe: Recipe
    rule: Rule
    dropout: tuple[float, ...]
    dropout_seed: int | None
    batch_size: int
    rates: NDArray[np.float64]
    seed: tuple[int, ...] | None
    batches: tuple[int, int]
    seen: int

    def __call__(self, samples: Samples, model: Model) -> Local:
        """The model after the steps; a task."""
        params, state = model.params.copy(), model.state.copy()
        tally = np.array([0.0, 0.0, model.steps])
        batch = min(self.batch_size, len(samples))
        rows = slice(self.batches[0] * batch, min(self.batches[1] * batch, len(samples)))
        if rows.start < rows.stop:
            order = order_of(self.seed, len(samples))[rows]
            self._step(samples, Model(params, state, model.steps), tally, order)
        return Local(Model(params, state, tally.item(2)), tally.item(0), tally.item(1))

    def _step(
        self,
        samples: Samples,
        model: Model,
        tally: NDArray[np.float64],
        order: NDArray[np.intp],
    ) -> None:
        """Make the steps of these rows, in place."""
        network = self.recipe.network(model.params)
        program, objective = self.recipe.objective.lower(network)
        batch = min(self.batch_size, len(samples))
        seen = self.seen + self.batches[0] * batch
        dropout = lower_dropout(self.dropout, self.dropout_seed, seen)
        task = Task(
            samples,
            objective,
            self.rule.lower(),
            order,
            batch,
            rates=self.rates,
            goes_on=True,  # the count of steps
            dropout=dropout,
        )
        use = epoch_use(samples.is_sparse, self.rule.clips)
        door = variant(core.train_epochs, model.params.dtype)
        with team(self.recipe.n_threads, lambda _: 0.0, batch, 0.0) as ranks:
            scratch = network.scratch(batch, ranks.size, use, program, dropout)
            ranks.run(partial(door, program, model.params, model.state, scratch, tally, task))


def order_of(seed: tuple[int, ...] | None, n_rows: int) -> NDArray[np.intp]:
    """The order of a shard's rows: a function of the seed, with no generator that goes on."""
    if seed is None:
        return np.arange(n_rows, dtype=np.intp)
    return keyed(*seed).permutation(n_rows).astype(np.intp, copy=False)


def mean_of(*locals_: Local) -> Local:
    """The mean of what shards have come to, weighted by samples, from left to right; a task."""
    return functools.reduce(_mean, locals_)


def _mean(left: Local, right: Local) -> Local:
    """The mean of two; equal numbers stay as they are."""
    if not left.n_samples or not right.n_samples:
        return left if left.n_samples else right
    n_samples = left.n_samples + right.n_samples
    share = left.model.params.dtype.type(right.n_samples / n_samples)
    with np.errstate(over="ignore", invalid="ignore"):  # a fit that diverges is noticed later
        params, state = (
            a + (b - a) * share for a, b in zip(left.model[:2], right.model[:2], strict=True)
        )
    steps = max(left.model.steps, right.model.steps)
    return Local(Model(params, state, steps), left.loss + right.loss, n_samples)


class Plan(NamedTuple):
    """How an epoch is made of rounds."""

    seed: int | None  # of the orders of the rows; None: they stay in their own order
    rounds: int  # averages in an epoch
    scales_rate: bool  # whether the learning rate is multiplied by the number of shards


class LocalSteps:
    """The steps of one epoch after another, some rounds of tasks for each.

    Parameters
    ----------
    cluster : Cluster
    job : Job
    optimizer : Optimizer
    shards : list of (int, Future)
        The number of rows of each shard, and its samples.
    plan : Plan
    where : callable
        ``where()`` is what an error says of the present round.
    """

    def __init__(
        self,
        cluster: Cluster,
        job: Job,
        optimizer: Optimizer,
        shards: list[tuple[int, Future]],
        plan: Plan,
        where: Callable[[], str],
    ) -> None:
        self.cluster, self.job, self.optimizer = cluster, job, optimizer
        self.shards, self.plan, self.where = shards, plan, where
        sizes = [size for size, _ in shards]
        self.starts = [0, *accumulate(sizes)]
        self.n_batches = [-(-size // min(job.batch_size, size)) for size in sizes]
        self.rounds = min(plan.rounds, max(self.n_batches))
        self.scale = min(len(shards), MOST_SCALE) if plan.scales_rate else 1
        self.recipe = Recipe.of(job)

    def __call__(self) -> Epoch:
        """Perform the steps of the next epoch; the model is the last mean also after a stop."""
        course, optimizer, began = self.job.course, self.optimizer, perf_counter()
        optimizer.tally[:2] = 0
        rates = optimizer.rates(steps_of(self.job, n_steps=max(self.n_batches)))
        optimizer.rate = rates.item(-1)
        for number in range(self.rounds):
            graph, keys = self._graph(number, rates * self.scale)
            mean = mean_of(*self.cluster.compute(graph, keys, self.where))
            course.network.params[...] = mean.model.params
            optimizer.state[...] = mean.model.state
            optimizer.tally[:2] += mean.loss, mean.n_samples
            optimizer.tally[2] = mean.model.steps
        loss = optimizer.tally.item(0) / optimizer.tally.item(1)
        return Epoch(loss, None, None, perf_counter() - began, optimizer.rate)

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite."""
        return self.job.course.is_finite()

    def _graph(self, number: int, rates: NDArray[np.float64]) -> tuple[Graph, list[Hashable]]:
        """The tasks of a round, and the keys of what the client averages."""
        name, model = unique("steps"), unique("model")
        optimizer = self.optimizer
        params, state = self.job.network.params.copy(), optimizer.state.copy()
        graph: Graph = {model: (partial(Model, params, state, optimizer.tally.item(2)),)}
        level: list[Hashable] = []
        for shard, (_, samples) in enumerate(self.shards):
            graph[name, shard] = (self._task(shard, number, rates), samples, model)
            level.append((name, shard))
        while len(level) > FAN_IN:
            name = unique("mean")
            groups = [level[k : k + FAN_IN] for k in range(0, len(level), FAN_IN)]
            graph.update({(name, k): (mean_of, *group) for k, group in enumerate(groups)})
            level = [(name, k) for k in range(len(groups))]
        return graph, level

    def _task(self, shard: int, number: int, rates: NDArray[np.float64]) -> ShardSteps:
        """The steps of a shard in a round."""
        job, n = self.job, self.n_batches[shard]
        first, end = n * number // self.rounds, n * (number + 1) // self.rounds
        seed = self.plan.seed
        return ShardSteps(
            recipe=self.recipe,
            rule=self.optimizer.rule,
            dropout=job.dropout,
            dropout_seed=self.optimizer.seed,
            batch_size=job.batch_size,
            rates=rates[first:end] if len(rates) > 1 else rates,
            seed=None if seed is None else (seed, shard, job.course.optimizer_epochs),
            batches=(first, end),
            seen=job.course.t + self.starts[shard],
        )
