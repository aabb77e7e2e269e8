"""The gradient of all samples by tasks: the tree of sums over chunks, cut where the parts are."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from distributed import Future
from numpy.typing import NDArray

from fastbp.dask.cluster import Cluster, Graph, shared, unique
from fastbp.dask.recipe import Recipe
from fastbp.kernels import Rank, Sums, Task, core
from fastbp.threads import Team, team
from fastbp.training import GRADIENT_CHUNK, Job, Samples, WholeSums, empty_sums, n_chunks

FAN_IN = 4  # runs that one task joins


def sums_of_part(recipe: Recipe, first: int, samples: Samples, params: NDArray[Any]) -> Sums:
    """The sums of a run of chunks, of which `first` is the first one; a task."""
    network = recipe.network(params)
    program, objective = recipe.objective.lower(network)
    sums = empty_sums(params, first, first + n_chunks(samples))
    task = Task(samples, objective, batch=GRADIENT_CHUNK)
    with team(recipe.n_threads, lambda _: 0.0, GRADIENT_CHUNK, 0.0) as ranks:
        scratch = network.scratch(GRADIENT_CHUNK, ranks.size, "gradient", program)

        def door(rank: Rank) -> None:
            core.chunk_sums(program, params, sums, scratch, task, rank)

        ranks.run(door)
    return trimmed(sums)


def join_of_parts(*parts: Sums) -> Sums:
    """The sums of runs that follow each other; a task."""
    first, end = int(parts[0].chunks[0]), int(parts[-1].chunks[1])
    sums = empty_sums(parts[0].grads[0], first, end)
    for part in parts:
        core.join_sums(*part, sums)
    return trimmed(sums)


def trimmed(sums: Sums) -> Sums:
    """The sums without the room for more."""
    rows = core.n_sums(*sums.chunks)
    return Sums(sums.grads[:rows], sums.totals[:rows], sums.chunks)


class ExactGradient(WholeSums):
    """Reported loss and gradient of all samples: a round of tasks for each evaluation.

    Parameters
    ----------
    cluster : Cluster
    job : Job
    runs : list of (int, Future)
        The first chunk of each run of chunks, in their order, and its samples.
    where : callable
        ``where()`` is what an error says of the present round.
    """

    def __init__(
        self,
        cluster: Cluster,
        job: Job,
        runs: list[tuple[int, Future]],
        where: Callable[[], str],
    ) -> None:
        super().__init__(job, 1, 1)
        self.cluster, self.runs, self.where = cluster, runs, where
        self.recipe = Recipe.of(job)

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient on the cluster. The team is not needed."""
        graph, keys = self.graph()
        parts = self.cluster.compute(graph, keys, self.where)
        self.begin()
        for part in parts:
            core.join_sums(*part, self.sums)
        self.finish()

    def graph(self) -> tuple[Graph, list[Hashable]]:
        """The tasks of one round, and the keys of the sums that the client joins."""
        name = unique("gradient")
        graph: Graph = {}
        params = shared(graph, self.params, len(self.runs))
        level: list[Hashable] = []
        for number, (first, samples) in enumerate(self.runs):
            graph[name, number] = (partial(sums_of_part, self.recipe, first), samples, params)
            level.append((name, number))
        while len(level) > FAN_IN:
            name = unique("join")
            groups = [level[k : k + FAN_IN] for k in range(0, len(level), FAN_IN)]
            level = []
            for number, group in enumerate(groups):
                graph[name, number] = (join_of_parts, *group)
                level.append((name, number))
        return graph, level
