"""Rules of optimization: an optimizer of the core with its constants, or L-BFGS."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import core
from fastbp.training.schedules import Progress, Schedule


@dataclass(frozen=True)
class Rule:
    """How a mini-batch step is made: one row of the core's table of optimizers.

    Parameters
    ----------
    optimizer : str
        A name in the core's OPTIMIZERS.
    constants : dict of str to float
        Its constants, by the names in the core's RULE_CONSTANTS.
    """

    optimizer: str
    constants: dict[str, float] = field(default_factory=dict)

    def lower(self) -> dict[str, float]:
        """The fields of the core's struct Rule; constants that the optimizer has not are 0."""
        fields = dict.fromkeys(core.ALL_CONSTANTS, 0.0)
        return {**fields, **self.constants, "optimizer": core.OPTIMIZERS[self.optimizer]}


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS of `scipy.optimize` on the gradient over all samples.

    Parameters
    ----------
    tol : float
        Bound on the gradient's largest element.
    max_fun : int
        Most evaluations of the objective.
    """

    tol: float
    max_fun: int


@dataclass
class Optimizer:
    """A rule and its schedule, and what moves with each step.

    Parameters
    ----------
    rule : Rule
    schedule : Schedule
    rate : float
        Scheduled rate of the next epoch.
    state : ndarray of shape (rows of the optimizer, parameters)
        Velocity or moments.
    tally : ndarray of float64 of shape (3,)
        The core's report: of the last epoch the sum of batch loss times batch size and the number
        of samples in finished batches; and the number of steps ever performed.
    """

    rule: Rule
    schedule: Schedule
    rate: float
    state: NDArray[np.floating]
    tally: NDArray[np.float64]

    @classmethod
    def start(cls, rule: Rule, schedule: Schedule, size: int, dtype: DTypeLike) -> "Optimizer":
        """An optimizer before its first step, for `size` parameters."""
        state = np.zeros((core.STATE_ROWS[rule.optimizer], size), dtype)
        return cls(rule, schedule, schedule.initial_rate, state, np.zeros(3))

    def copy(self, dtype: DTypeLike) -> "Optimizer":
        """The same optimizer with arrays of its own, its state in this dtype."""
        return Optimizer(
            self.rule, self.schedule, self.rate, self.state.astype(dtype), self.tally.copy()
        )

    def to_plain(self) -> dict[str, Any]:
        """Names, numbers and arrays alone, for pickles."""
        return {
            "optimizer": self.rule.optimizer,
            "constants": dict(self.rule.constants),
            "schedule": self.schedule.name,
            "initial_rate": self.schedule.initial_rate,
            "power_t": self.schedule.power_t,
            "rate": self.rate,
            "state": self.state,
            "tally": self.tally,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Optimizer":
        """The optimizer that `to_plain` gave."""
        return cls(
            Rule(plain["optimizer"], plain["constants"]),
            Schedule(plain["schedule"], plain["initial_rate"], plain["power_t"]),
            plain["rate"],
            plain["state"],
            plain["tally"],
        )

    def rates(self, n_steps: int) -> NDArray[np.float64]:
        """An array for the rates of an epoch, shape (n_steps or 1, 2), full of NaN.

        It has a row for each step where the optimizer's rate changes from step to step.
        """
        return np.full((n_steps if core.CORRECTS_RATE[self.rule.optimizer] else 1, 2), np.nan)

    def fill(self, rates: NDArray[np.float64], lowered: dict[str, float]) -> None:
        """Write the scheduled rates and those that the optimizer multiplies by, of the next epoch.

        Bias correction is the core's: NumPy's powers have other last bits on other processors.
        """
        is_new = rates[0, 0] != self.rate
        if is_new:
            self.schedule.fill(rates, self.rate)
        if is_new or core.CORRECTS_RATE[self.rule.optimizer]:
            core.step_rates(lowered, rates, int(self.tally[2]) + 1)

    def progress(self, samples_seen: int) -> Progress:
        """The argument of the schedule's functions."""
        return Progress(self.schedule.initial_rate, self.rate, samples_seen, self.schedule.power_t)

    def lower_rate(self, samples_seen: int) -> bool:
        """Set the rate with which to continue after a stall; False if training shall end."""
        after_stall = self.schedule.rules.after_stall
        rate = None if after_stall is None else after_stall(self.progress(samples_seen))
        if rate is not None:
            self.rate = rate
        return rate is not None
