"""Optimizers: their rules and constants, and the state of a fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from numbers import Real
from operator import is_
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import core
from fastbp.network import count_params, split_params
from fastbp.training.dropout import MOST_SEED
from fastbp.training.factors import Steps
from fastbp.training.schedules import SCHEDULES, Schedule, ScheduleState
from fastbp.training.state_checks import (
    SIZE,
    Check,
    check_fields,
    floats,
    instance_of,
    name_in,
    whole_number,
)

MOST_STEPS = 2**53 - 1  # from here on the count of steps, a float64, does not grow by one

PLAIN: dict[str, Check] = {  # the fields of an optimizer as a dict
    "optimizer": name_in(core.OPTIMIZERS),
    "constants": instance_of(dict, "a dict"),
    "schedule": name_in(SCHEDULES),
    "initial_rate": SIZE,
    "power_t": SIZE,
    "rate": SIZE,
    "state": (lambda value: floats(value, None, None), "an array of floats in rows"),
    "units": (
        lambda value: (
            isinstance(value, tuple)
            and len(value) > 1
            and all(type(width) is int and width > 0 for width in value)
        ),
        "a tuple of two widths at least",
    ),
    "seed": (
        lambda value: value is None or (type(value) is int and 0 <= value <= MOST_SEED),
        "an integer from 0 to 2^63 - 1, or None",
    ),
    "tally": (
        lambda value: floats(value, 3) and value.dtype == np.float64,
        "an array of three float64",
    ),
    "epochs": whole_number(0),
}


@dataclass(frozen=True)
class Rule:
    """An optimizer of the core with its constants.

    Parameters
    ----------
    optimizer : str
        A name in the core's OPTIMIZERS.
    constants : dict of str to float
        Its constants, by the names in the core's RULE_CONSTANTS: those of the optimizer, then
        `weight_decay`, `clip_norm` and `ema_decay`, where 0 means none.
    """

    optimizer: str
    constants: dict[str, float] = field(default_factory=dict)

    def lower(self) -> dict[str, float]:
        """The fields of the core's struct Rule; constants of other optimizers are 0."""
        fields = dict.fromkeys(core.ALL_CONSTANTS, 0.0)
        return {**fields, **self.constants, "optimizer": core.OPTIMIZERS[self.optimizer]}

    @property
    def clips(self) -> bool:
        """Whether the gradient is clipped."""
        return self.constants.get("clip_norm", 0.0) > 0

    @cached_property
    def averages(self) -> bool:
        """Whether the state has a row for the moving average of the parameters: the last one."""
        return self.constants.get("ema_decay", 0.0) > 0

    @property
    def state_rows(self) -> int:
        """The number of rows of the state."""
        return core.STATE_ROWS[self.optimizer] + self.averages


LEAST, MOST = float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max)
BELOW_1 = float(np.nextafter(1.0, 0.0))


def _checked(name: str, value: Any, least: float, most: float) -> float:
    """The value as a float; ValueError unless it is a number in [least, most]."""
    if not isinstance(value, Real) or not least <= float(value) <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {value!r}")
    return float(value)


def _constant(name: str, least: float, most: float) -> property:
    """An attribute of an Optimizer: a constant of its rule."""

    def get(optimizer: "Optimizer") -> float:
        constants = optimizer.rule.constants
        if name not in constants:
            raise AttributeError(
                f"{optimizer.rule.optimizer} has no {name}, only {', '.join(constants)}"
            )
        return constants[name]

    def put(optimizer: "Optimizer", value: float) -> None:
        get(optimizer)
        constants = {**optimizer.rule.constants, name: _checked(name, value, least, most)}
        optimizer.rule = replace(optimizer.rule, constants=constants)

    return property(get, put, doc=f"The constant `{name}` of the rule.")


class LiveArrays(list[NDArray[np.floating]]):
    """A list of views of the state of an optimizer: what is assigned to an entry is written there.

    Its length is fixed. A copy or pickle is a plain list.
    """

    def __init__(self, name: str, views: Sequence[NDArray[np.floating]]) -> None:
        super().__init__(views)
        self._name = name

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write an array into an entry, or a sequence of arrays into a slice."""
        is_one = not isinstance(index, slice)
        views = [self[index]] if is_one else self[index]
        what = f"{self._name}[{index}]" if is_one else self._name
        try:
            arrays = [np.asarray(one) for one in ([value] if is_one else value)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what} must have arrays of numbers: {error}") from None
        shapes = [view.shape for view in views]
        is_right = all(array.dtype.kind in "fiub" for array in arrays)
        if not is_right or [array.shape for array in arrays] != shapes:
            raise ValueError(
                f"{what} must have arrays of the shapes {shapes}, got "
                f"{', '.join(f'{array.dtype} {array.shape}' for array in arrays) or 'none'}"
            )
        for view, array in zip(views, arrays, strict=True):
            view[...] = array

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[NDArray[np.floating]]:
        return [array.copy() for array in self]

    def _fixed(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"{self._name} has one array for each of coefs_ and intercepts_")

    append = extend = insert = pop = remove = clear = sort = reverse = _fixed
    __delitem__ = __iadd__ = __imul__ = _fixed


def _per_array(name: str, owner: str, row: int) -> property:
    """An attribute of an Optimizer: a row of its state, as views with the shapes of the arrays."""

    def get(optimizer: "Optimizer") -> LiveArrays:
        if optimizer.rule.optimizer != owner:
            raise AttributeError(f"{optimizer.rule.optimizer} has no {name}")
        coefs, intercepts = split_params(optimizer.state[row], optimizer.units)
        return LiveArrays(name, [*coefs, *intercepts])

    def put(optimizer: "Optimizer", values: Sequence[Any]) -> None:
        get(optimizer)[:] = values

    return property(get, put, doc=f"Row {row} of the state, array by array.")


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


@dataclass(slots=True)
class Optimizer:
    """A rule, its schedule, and the state that each step changes.

    Parameters
    ----------
    rule : Rule
    schedule : Schedule
    rate : float
        Scheduled rate of the next epoch.
    state : ndarray of shape (rows of the rule, parameters)
        Velocity or moments. If the rule averages the parameters, the last row is their moving
        average while training runs. Otherwise it holds the parameters themselves, and the network
        the average: see `Course.exchange`.
    tally : ndarray of float64 of shape (3,)
        Written by the core: for the last epoch the sum of batch loss times batch size and the
        number of samples in finished batches, then the number of all steps performed.
    units : tuple of int
        Widths of the layers.
    epochs : int, default=0
        Number of epochs in which it made its steps.
    seed : int, default=None
        Seed of the dropout; None before the first epoch in which units are dropped.

    Notes
    -----
    The other attributes are those of scikit-learn's optimizers, under their names there. What is
    set takes effect in the next epoch. There are no others: to set one raises AttributeError.
    """

    rule: Rule
    schedule: Schedule
    rate: float
    state: NDArray[np.floating]
    tally: NDArray[np.float64]
    units: tuple[int, ...]
    epochs: int = 0
    seed: int | None = None
    # The rate that a copy began with: what differs from it was changed by training.
    copied_rate: float | None = field(default=None, compare=False, repr=False)
    # The fields that were checked last, or written by training since then.
    checked: tuple[Any, ...] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def start(
        cls, rule: Rule, schedule: Schedule, units: tuple[int, ...], dtype: DTypeLike
    ) -> "Optimizer":
        """An optimizer before its first step, for a network of these widths."""
        state = np.zeros((rule.state_rows, count_params(units)), dtype)
        return cls(rule, schedule, schedule.initial_rate, state, np.zeros(3), units)

    momentum = _constant("momentum", 0.0, 1.0)
    nesterov = _constant("nesterovs_momentum", 0, 1)
    beta_1 = _constant("beta_1", 0.0, BELOW_1)
    beta_2 = _constant("beta_2", 0.0, BELOW_1)
    epsilon = _constant("epsilon", LEAST, MOST)
    weight_decay = _constant("weight_decay", 0.0, MOST)
    clip_norm = _constant("clip_norm", 0.0, MOST)
    ema_decay = _constant("ema_decay", 0.0, BELOW_1)
    velocities = _per_array("velocities", "sgd", 0)
    ms = _per_array("ms", "adam", 0)
    vs = _per_array("vs", "adam", 1)

    @property
    def params(self) -> Any:
        """No attribute here: the optimizer does not hold the weights."""
        raise AttributeError(
            "the optimizer has no params: read and set coefs_ and intercepts_ of the estimator"
        )

    @params.setter
    def params(self, _: Any) -> None:
        self.params  # noqa: B018  raises

    @property
    def learning_rate_init(self) -> float:
        """The initial rate of the schedule, which Adam uses in each step."""
        return self.schedule.initial_rate

    @learning_rate_init.setter
    def learning_rate_init(self, rate: float) -> None:
        rate = _checked("learning_rate_init", rate, LEAST, MOST)
        self.schedule = replace(self.schedule, initial_rate=rate)
        if self.rule.optimizer == "adam":
            self.rate = rate

    @property
    def learning_rate(self) -> float:
        """The rate of the last epoch; of Adam that of the last step, with the correction."""
        if self.rule.optimizer != "adam" or not self.t:
            return self.rate
        return core.kernel_rate(self.rule.lower(), self.rate, self.t)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if self.rule.optimizer == "adam":
            raise AttributeError(
                "adam computes learning_rate in each step: set learning_rate_init instead"
            )
        self.rate = _checked("learning_rate", rate, LEAST, MOST)

    def set_rate(self, name: str, rate: float) -> None:
        """Set the rate of the next epoch; `name` is that of the attribute for the error."""
        self.rate = _checked(name, rate, LEAST, MOST)
        if self.rule.optimizer == "adam" or self.schedule.factor is not None:
            self.schedule = replace(self.schedule, initial_rate=self.rate)

    @property
    def power_t(self) -> float:
        """Exponent of the schedule 'invscaling'."""
        return self.schedule.power_t

    @power_t.setter
    def power_t(self, power: float) -> None:
        self.schedule = replace(self.schedule, power_t=_checked("power_t", power, 0.0, MOST))

    @property
    def lr_schedule(self) -> str:
        """The name of the schedule."""
        return self.schedule.name

    @lr_schedule.setter
    def lr_schedule(self, name: str) -> None:
        if name not in SCHEDULES:
            raise ValueError(f"lr_schedule must be one of {sorted(SCHEDULES)}, got {name!r}")
        self.schedule = replace(self.schedule, name=name)

    @property
    def t(self) -> int:
        """The number of steps that were made."""
        return int(self.tally[2])

    @t.setter
    def t(self, steps: int) -> None:
        if not isinstance(steps, Real) or not 0 <= steps <= MOST_STEPS or steps != int(steps):
            raise ValueError(f"t must be an integer from 0 to {MOST_STEPS}, got {steps!r}")
        self.tally[2] = int(steps)

    def copy(self, dtype: DTypeLike) -> "Optimizer":
        """A copy with its own arrays, and its state in this dtype."""
        return self._with(self.state.astype(dtype, order="C"))

    def unset_copy(self) -> "Optimizer":
        """A copy whose state has still to be written."""
        return self._with(np.empty_like(self.state, order="C"))

    def _with(self, state: NDArray[np.floating]) -> "Optimizer":
        tally, rate = self.tally.copy(), self.rate
        rest = self.units, self.epochs, self.seed
        return Optimizer(self.rule, self.schedule, rate, state, tally, *rest, rate)

    def takes(self, later: "Optimizer") -> list[Callable[[], object]]:
        """Actions that give this optimizer the state of a copy that was trained further.

        Users may hold this object and set its rate meanwhile. So the rate is written only if the
        schedule has changed it.
        """
        names = ["state", "tally", "epochs", "seed"]
        if later.rate != later.copied_rate:
            names.append("rate")
        actions: list[Callable[[], object]] = [
            partial(setattr, self, name, getattr(later, name)) for name in names
        ]
        if self.checked is not None:
            rule, schedule, _, _, _, units, _ = self.checked
            now = rule, schedule, later.rate, later.state, later.tally, units, later.seed
            actions.append(partial(setattr, self, "checked", now))
        return actions

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
            "units": self.units,
            "epochs": self.epochs,
            "seed": self.seed,
        }

    def check(self) -> None:
        """Raise ValueError unless all fields, which users may have set, are right."""
        rest = self.state, self.tally, self.units, self.seed
        now = self.rule, self.schedule, self.rate, *rest
        is_known = self.checked is not None and all(map(is_, now, self.checked))
        is_counted = type(self.epochs) is int and self.epochs >= 0
        if is_known and is_counted and 0 <= self.tally.item(2) <= MOST_STEPS:
            return  # as in most calls of partial_fit
        for name, kind in (("rule", Rule), ("schedule", Schedule)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name!r} of the optimizer must be a {kind.__name__}")
        if not isinstance(self.rule.constants, dict):
            raise ValueError("the optimizer's constants must be a dict")
        _check_plain(self.to_plain())
        self.checked = now

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Optimizer":
        """The optimizer of a dict that `to_plain` returned; ValueError if it is damaged."""
        _check_plain(plain)
        return cls(
            Rule(plain["optimizer"], plain["constants"]),
            Schedule(plain["schedule"], plain["initial_rate"], plain["power_t"]),
            plain["rate"],
            plain["state"],
            plain["tally"],
            plain["units"],
            plain["epochs"],
            plain["seed"],
        )

    def __getstate__(self) -> dict[str, Any]:
        """The plain dict."""
        return self.to_plain()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave; ValueError if it is damaged."""
        restored = Optimizer.from_plain(state)
        for one in fields(Optimizer):
            setattr(self, one.name, getattr(restored, one.name))

    def schedule_state(self, samples_seen: int) -> ScheduleState:
        """The argument of the schedule's functions."""
        return ScheduleState(
            self.schedule.initial_rate, self.rate, samples_seen, self.schedule.power_t
        )

    def rates(self, steps: Steps) -> NDArray[np.float64]:
        """The rates of the next epoch, shape (n_steps, 1), or (1, 1) if all steps have the same."""
        factor = self.schedule.factor
        if factor is None:
            return np.full((1, 1), self.rate)
        return (self.schedule.initial_rate * factor(steps)).reshape(-1, 1)

    def lower_rate(self, samples_seen: int) -> bool:
        """Set the rate after a stall. Returns False if training has to end."""
        after_stall = self.schedule.rules.after_stall
        rate = None if after_stall is None else after_stall(self.schedule_state(samples_seen))
        if rate is not None:
            self.rate = rate
        return rate is not None


def _check_plain(plain: Any) -> None:
    """Raise ValueError unless this is the dict of an optimizer, with fields that fit together."""
    check_fields("the optimizer", plain, PLAIN)
    constants = core.RULE_CONSTANTS[plain["optimizer"]]
    check_fields("the optimizer's constants", plain["constants"], dict.fromkeys(constants, SIZE))
    rows = Rule(plain["optimizer"], plain["constants"]).state_rows
    if len(plain["state"]) != rows:
        raise ValueError(
            f"'state' of the optimizer must have {rows} rows, got {len(plain['state'])}"
        )
    steps = plain["tally"].item(2)
    if not (0 <= steps <= MOST_STEPS and steps.is_integer()):
        raise ValueError(
            "'tally' of the optimizer must end with t, the number of steps: an integer from 0 to "
            f"{MOST_STEPS}, got {steps:g}"
        )
    size = count_params(plain["units"])
    if plain["state"].shape[1] != size:
        raise ValueError(
            f"'state' of the optimizer must have rows of {size} numbers for the widths "
            f"{plain['units']}, got {plain['state'].shape[1]}"
        )
