"""Optimizers: their rules and constants, and the state of a fit."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import core
from fastbp.training.schedules import SCHEDULES, Progress, Schedule
from fastbp.training.state_checks import SIZE, Check, check_fields, floats, instance_of, name_in

PLAIN: dict[str, Check] = {  # the fields of an optimizer as a dict
    "optimizer": name_in(core.OPTIMIZERS),
    "constants": instance_of(dict, "a dict"),
    "schedule": name_in(SCHEDULES),
    "initial_rate": SIZE,
    "power_t": SIZE,
    "rate": SIZE,
    "state": (lambda value: floats(value, None, None), "an array of floats in rows"),
    "tally": (
        lambda value: floats(value, 3) and value.dtype == np.float64 and value[2] >= 0,
        "an array of three float64, of which the last is not negative",
    ),
}


@dataclass(frozen=True)
class Rule:
    """An optimizer of the core with its constants.

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
        """The fields of the core's struct Rule; constants of other optimizers are 0."""
        fields = dict.fromkeys(core.ALL_CONSTANTS, 0.0)
        return {**fields, **self.constants, "optimizer": core.OPTIMIZERS[self.optimizer]}


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS of `scipy.optimize` on the gradient over all samples.

    Parameters
    ----------
    tol : float
        Training ends when the largest element of the gradient is at most this.
    max_fun : int
        Largest number of evaluations of the objective.
    """

    tol: float
    max_fun: int


@dataclass
class Optimizer:
    """A rule, its schedule, and the state that each step changes.

    Parameters
    ----------
    rule : Rule
    schedule : Schedule
    rate : float
        Scheduled rate of the next epoch.
    state : ndarray of shape (rows of the optimizer, parameters)
        Velocity or moments.
    tally : ndarray of float64 of shape (3,)
        Written by the core: for the last epoch the sum of batch loss times batch size and the
        number of samples in finished batches, then the number of all steps performed.
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
        """A copy with its own arrays, and its state in this dtype."""
        return Optimizer(
            self.rule, self.schedule, self.rate, self.state.astype(dtype), self.tally.copy()
        )

    def to_plain(self) -> dict[str, Any]:
        """The optimizer as a dict of names, numbers and arrays, for pickles."""
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
        """The optimizer of a dict that `to_plain` returned; ValueError if it is damaged."""
        check_fields("the optimizer", plain, PLAIN)
        constants = core.RULE_CONSTANTS[plain["optimizer"]]
        check_fields(
            "the optimizer's constants", plain["constants"], dict.fromkeys(constants, SIZE)
        )
        rows = core.STATE_ROWS[plain["optimizer"]]
        if len(plain["state"]) != rows:
            raise ValueError(
                f"'state' of the optimizer must have {rows} rows, got {len(plain['state'])}"
            )
        return cls(
            Rule(plain["optimizer"], plain["constants"]),
            Schedule(plain["schedule"], plain["initial_rate"], plain["power_t"]),
            plain["rate"],
            plain["state"],
            plain["tally"],
        )

    def __getstate__(self) -> dict[str, Any]:
        """The plain dict."""
        return self.to_plain()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave; ValueError if it is damaged."""
        vars(self).update(vars(Optimizer.from_plain(state)))

    def progress(self, samples_seen: int) -> Progress:
        """The argument of the schedule's functions."""
        return Progress(self.schedule.initial_rate, self.rate, samples_seen, self.schedule.power_t)

    def rates(self, n_steps: int, samples_seen: int) -> NDArray[np.float64]:
        """The rates of the next epoch, shape (n_steps, 1), or (1, 1) if all steps have the same."""
        within_epoch = self.schedule.rules.within_epoch
        if within_epoch is None:
            return np.full((1, 1), self.rate)
        return within_epoch(self.progress(samples_seen), n_steps).reshape(n_steps, 1)

    def lower_rate(self, samples_seen: int) -> bool:
        """Set the rate after a stall. Returns False if training has to end."""
        after_stall = self.schedule.rules.after_stall
        rate = None if after_stall is None else after_stall(self.progress(samples_seen))
        if rate is not None:
            self.rate = rate
        return rate is not None
