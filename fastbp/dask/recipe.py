"""Recipe: what a task has to know of a network, but for its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fastbp.network import Network
from fastbp.training import Job, Objective


@dataclass(frozen=True)
class Recipe:
    """The same for all tasks of a fit; plain data, which is small.

    Parameters
    ----------
    units : tuple of int
        Widths of all layers.
    activations : list of str or Expression
        Of the hidden layers.
    objective : Objective
    n_threads : int
        Of a task.
    """

    units: tuple[int, ...]
    activations: list[Any]
    objective: Objective
    n_threads: int

    @classmethod
    def of(cls, job: Job) -> Recipe:
        """The recipe of a job. A task has one thread unless the job names a number."""
        network = job.network
        return cls(network.units, network.activations, job.objective, job.n_threads or 1)

    def network(self, params: NDArray[Any]) -> Network:
        """The network with these parameters, which are not copied."""
        network = Network(self.units, self.activations, params.dtype, self.activations)
        return network.over(params)
