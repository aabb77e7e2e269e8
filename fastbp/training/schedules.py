"""Learning-rate schedules: pure functions of the progress of training.

A schedule is one entry of SCHEDULES. `after_epoch` gives the rate of the next epoch. `after_stall`
gives the rate after training has stalled, or None if training has to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Progress(NamedTuple):
    """The progress of training."""

    initial_rate: float
    rate: float  # of the last epoch
    samples_seen: int
    power_t: float


def constant(progress: Progress) -> float:
    """The rate of the last epoch."""
    return progress.rate


def invscaling(progress: Progress) -> float:
    """initial_rate / (samples_seen + 1) ** power_t. It counts samples, as in scikit-learn."""
    return progress.initial_rate / (progress.samples_seen + 1) ** progress.power_t


def end(progress: Progress) -> None:
    """None: training ends when it stalls."""
    return None


def a_fifth(progress: Progress) -> float | None:
    """A fifth of the rate, or None if the rate is at most 1e-6."""
    return None if progress.rate <= 1e-6 else progress.rate / 5.0


class Rules(NamedTuple):
    """The functions of one schedule."""

    after_epoch: Callable[[Progress], float] = constant
    after_stall: Callable[[Progress], float | None] = end
    ended: str = "Stopping."  # printed when training ends


SCHEDULES = {
    "constant": Rules(),
    "invscaling": Rules(after_epoch=invscaling),
    "adaptive": Rules(after_stall=a_fifth, ended="Learning rate too small. Stopping."),
}


@dataclass(frozen=True)
class Schedule:
    """A schedule of SCHEDULES and its constants.

    Parameters
    ----------
    name : str
    initial_rate : float
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    """

    name: str
    initial_rate: float
    power_t: float = 0.5

    @property
    def rules(self) -> Rules:
        """The functions of this schedule."""
        return SCHEDULES[self.name]

    def progress(self, rate: float, samples_seen: int) -> Progress:
        """The argument of the schedule's functions."""
        return Progress(self.initial_rate, rate, samples_seen, self.power_t)

    def fill(self, rates: NDArray[np.float64], rate: float) -> None:
        """Write the scheduled rates of an epoch's steps into the first column of `rates`.

        `rate` is the rate of the epoch. All schedules use it for all steps.
        """
        rates[:, 0] = rate
