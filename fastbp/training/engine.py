"""Engine: what training asks for where the samples are not all in memory."""

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from fastbp.threads import Team
from fastbp.training.course import Epoch
from fastbp.training.job import Job
from fastbp.training.rule import Optimizer
from fastbp.training.samples import Samples
from fastbp.training.watches import Watch


class WholeGradient(Protocol):
    """Reported loss and gradient of all samples, as `Gradient` of samples in memory."""

    grads: NDArray[Any]

    @property
    def loss(self) -> float:
        """The loss that was computed last."""

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient at the network's parameters."""


class Steps(Protocol):
    """The steps of one epoch after another, as `EpochRunner` makes them of samples in memory."""

    def __call__(self) -> Epoch | None:
        """Perform the steps of the next epoch, or of several, which are then appended: None."""

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite after the last call."""


class Engine(Protocol):
    """Computes on samples that are not all in memory."""

    def gradient(self, job: Job, ranks: Team) -> WholeGradient:
        """The gradient of all samples, for L-BFGS."""

    def steps(self, job: Job, optimizer: Optimizer, ranks: Team, watches: Sequence[Watch]) -> Steps:
        """The steps of epochs, for the other optimizers."""

    def examples(self) -> Samples | None:
        """Some samples, on which results are checked after training; None: they were checked."""

    def facts(self) -> dict[str, Any]:
        """What has to be the same if the fit is resumed: plain data, as checksums."""
