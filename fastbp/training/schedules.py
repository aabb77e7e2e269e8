"""Learning-rate schedules: pure functions of the rate and of the samples seen.

A schedule is one entry of SCHEDULES: the functions that give the rate of the next epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastbp.training.factors import Factor


class ScheduleState(NamedTuple):
    """What the functions of a schedule may look at."""

    initial_rate: float
    rate: float  # of the last epoch
    samples_seen: int
    power_t: float


def invscaling(state: ScheduleState) -> float:
    """initial_rate / (samples_seen + 1) ** power_t. It counts samples, as in scikit-learn."""
    return state.initial_rate / (state.samples_seen + 1) ** state.power_t


def a_fifth(state: ScheduleState) -> float | None:
    """A fifth of the rate, or None if the rate is at most 1e-6."""
    return None if state.rate <= 1e-6 else state.rate / 5.0


class Rules(NamedTuple):
    """The functions of one schedule.

    Parameters
    ----------
    after_epoch : callable, default=None
        Function of a ScheduleState that returns the rate of the next epoch. None: a constant one.
    after_stall : callable, default=None
        Function of a ScheduleState that returns the rate after a stall, or None to end training.
        None: training ends.
    ended : str
        Text that is printed when training ends.
    """

    after_epoch: Callable[[ScheduleState], float] | None = None
    after_stall: Callable[[ScheduleState], float | None] | None = None
    ended: str = "Stopping."


SCHEDULES = {
    "constant": Rules(),
    "invscaling": Rules(after_epoch=invscaling),
    "adaptive": Rules(after_stall=a_fifth, ended="Learning rate too small. Stopping."),
}
SCHEDULES["plateau"] = SCHEDULES["adaptive"]  # the name for which adam heeds it


@dataclass(frozen=True)
class Schedule:
    """A schedule of SCHEDULES and its constants.

    Parameters
    ----------
    name : str
    initial_rate : float
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    factor : Factor, default=None
        Makes the rates of the steps of each epoch from the initial rate; None: all steps have the
        rate of the epoch.
    """

    name: str
    initial_rate: float
    power_t: float = 0.5
    factor: Factor | None = None

    @property
    def rules(self) -> Rules:
        """The functions of this schedule."""
        return SCHEDULES[self.name]
