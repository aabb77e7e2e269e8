"""Job: everything that training needs, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from fastbp.graph.expression import Expression
from fastbp.network import Network
from fastbp.threads import Team
from fastbp.training.course import Course, Epoch
from fastbp.training.objective import Objective
from fastbp.training.rule import LBFGS, Optimizer, Rule
from fastbp.training.samples import Outline, Samples
from fastbp.training.watches import Watch


@dataclass
class Job:
    """Samples, objective, rule, course and limits of one training run.

    Parameters
    ----------
    samples : Samples or Outline
        The outline of samples that are not all in memory: then the job has an engine.
    objective : Objective
    course : Course
        Where training starts; it is changed by the run.
    rule : Rule or LBFGS, default=None
        None if nothing is trained, as in a gradient check.
    dropout : tuple of float, default=()
        Rates at which units are dropped: of the input and of each hidden layer; () means none.
    batch_size : int
        Samples of a mini-batch.
    max_iter : int
        Largest number of epochs or iterations.
    planned : int, default=None
        Number of epochs that the schedule of the rate spans; None: `max_iter`.
    shuffle : bool
        Whether each epoch draws a new order.
    shares_random_state : bool
        Whether others may draw from the generator of the course meanwhile.
    early_stopping : bool
        Whether the validation score decides which weights are kept.
    incremental : bool
        Whether the run is a call of `partial_fit`, which does not warn of missing convergence.
    n_threads : int, default=None
        Number of threads; None: chosen by the amount of work.
    result_dtype : dtype, default=None
        Dtype of the network after training; None: that of the samples.
    engine : Engine, default=None
        How training gets gradients and epochs; None: from samples in memory.
    """

    samples: Samples | Outline
    objective: Objective
    course: Course
    rule: Rule | LBFGS | None = None
    dropout: tuple[float, ...] = ()
    batch_size: int = 1
    max_iter: int = 1
    planned: int | None = None
    shuffle: bool = True
    shares_random_state: bool = True
    early_stopping: bool = False
    incremental: bool = False
    n_threads: int | None = None
    result_dtype: DTypeLike | None = None
    engine: Engine | None = None

    @property
    def network(self) -> Network:
        """The network that is trained."""
        return self.course.network

    @property
    def in_memory(self) -> Samples:
        """The samples; TypeError if they are not all in memory."""
        if isinstance(self.samples, Outline):
            raise TypeError("the samples of this job are not in memory")
        return self.samples

    @property
    def work_per_sample(self) -> float:
        """The approximate number of multiply-adds for one sample, forward and backward."""
        network = self.network
        first, others = network.row_work(self.samples.inputs_per_row)
        functions = [*network.activations, self.objective.loss]
        return 2 * first + 3 * others + sum(map(_function_work, network.units[1:], functions))


def _function_work(width: int, function: str | Expression) -> float:
    """The approximate number of multiply-adds that take as long as an activation or a loss."""
    steps = 1 if isinstance(function, str) else 2 * len(function.steps)  # 2: and its derivative
    return 10 * width * steps


# ---- samples that are not all in memory


class WholeGradient(Protocol):
    """Reported loss and gradient of all samples, as `Gradient` of samples in memory."""

    grads: NDArray[Any]

    @property
    def loss(self) -> float:
        """The loss that was computed last."""

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient at the network's parameters."""


class EpochSteps(Protocol):
    """The steps of one epoch after another, as `EpochRunner` makes them of samples in memory."""

    def __call__(self) -> Epoch | None:
        """Perform the steps of the next epoch, or of several, which are then appended: None."""

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite after the last call."""


class Engine(Protocol):
    """Computes on samples that are not all in memory.

    Attributes
    ----------
    seed : int or None
        Seed of its orders of the samples; None: they stay in their own order.
    """

    seed: int | None

    def gradient(self, job: Job, ranks: Team) -> WholeGradient:
        """The gradient of all samples, for L-BFGS."""

    def steps(
        self, job: Job, optimizer: Optimizer, ranks: Team, watches: Sequence[Watch]
    ) -> EpochSteps:
        """The steps of epochs, for the other optimizers."""

    def examples(self) -> Samples | None:
        """Some samples, on which results are checked after training; None: they were checked."""

    def validation_set(self, job: Job) -> Any:
        """What scores parameters, as a ValidationSet; None if the engine has no such samples."""

    def facts(self) -> dict[str, Any] | None:
        """What has to be the same if the fit is resumed: plain data; None if it cannot be."""
