"""Schedules as factors of the initial learning rate: words, dataclasses and functions of users.

A factor depends on the step t = 0, 1, ... of T: T is `max_iter` times the steps of an epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Steps(NamedTuple):
    """The steps of the next epoch."""

    t: NDArray[np.float64]  # their numbers, from the first step of training on
    total: int  # of training
    epoch: int  # finished before


class Factor:
    """The base class of schedules that are factors: plain data, equal by value."""

    @property
    def in_advance(self) -> bool:
        """Whether it may be called long before its epoch: it looks at nothing but the steps."""
        return type(self) in PURE

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        """The factor of each step."""
        raise NotImplementedError


def _check(name: str, value: Any, least: float, most: float, open_ends: bool = False) -> None:
    """Raise ValueError unless a field is a number within the limits."""
    is_within = isinstance(value, Real) and (
        least < float(value) < most if open_ends else least <= float(value) <= most
    )
    if not is_within:
        ends = "excluded" if open_ends else "included"
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, {ends}: {value!r}")


def _fall(start: float, end: float, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """From start to end by half a cosine, as `share` goes from 0 to 1."""
    return end + (start - end) / 2 * (1 + np.cos(np.pi * share))


@dataclass(frozen=True)
class Linear(Factor):
    """``1 - t / T``."""

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        return 1 - steps.t / steps.total


@dataclass(frozen=True)
class Cosine(Factor):
    """Half a cosine from 1 to `end`, after an optional linear rise.

    ``end + (1 - end) * (1 + cos(pi * s)) / 2``, where s goes from 0 to 1 in the steps after the
    rise. During the rise the factor is ``(t + 1) / (warmup * T)``, at most 1. Without a rise this
    is `CosineAnnealingLR` of PyTorch with ``T_max=T``, stepped after each batch.

    Parameters
    ----------
    warmup : float in [0, 1), default=0.0
        Share of the steps in which the rate rises.
    end : float in [0, 1], default=0.0
        The factor at the end.
    """

    warmup: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        _check("warmup", self.warmup, 0, np.nextafter(1, 0))
        _check("end", self.end, 0, 1)

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        rise = self.warmup * steps.total
        fall = _fall(1.0, self.end, (steps.t - rise) / (steps.total - rise))
        return np.where(steps.t < rise, np.minimum((steps.t + 1) / max(rise, 1), 1), fall)


@dataclass(frozen=True)
class OneCycle(Factor):
    """A rise from ``1 / start`` to 1 by half a cosine, then a fall to ``1 / end``.

    The defaults are those of `OneCycleLR` of PyTorch with ``cycle_momentum=False``; its `max_lr` is
    `learning_rate_init` here (Smith and Topin, "Super-convergence", 2018, arXiv:1708.07120).

    Parameters
    ----------
    peak : float in (0, 1), default=0.3
        The rise ends at step ``peak * T - 1``.
    start : float, default=25.0
    end : float, default=2.5e5
    """

    peak: float = 0.3
    start: float = 25.0
    end: float = 2.5e5

    def __post_init__(self) -> None:
        _check("peak", self.peak, 0, 1, open_ends=True)
        for name in ("start", "end"):
            _check(name, getattr(self, name), 1, np.finfo(float).max)

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        top, last = self.peak * steps.total - 1, steps.total - 1
        rise = _fall(1 / self.start, 1.0, steps.t / max(top, 1e-300))
        fall = _fall(1.0, 1 / self.end, (steps.t - top) / max(last - top, 1e-300))
        return np.where((steps.t <= top) & (top > 0), rise, np.where(last > top, fall, 1.0))


@dataclass(frozen=True)
class Exponential(Factor):
    """``gamma ** epoch``, as `ExponentialLR` of PyTorch.

    Parameters
    ----------
    gamma : float in [0, 1]
    """

    gamma: float

    def __post_init__(self) -> None:
        _check("gamma", self.gamma, 0, 1)

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        return np.full(len(steps.t), float(self.gamma) ** steps.epoch)


@dataclass(frozen=True)
class Step(Factor):
    """``gamma ** (epoch // every)``, as `StepLR` of PyTorch.

    Parameters
    ----------
    every : int
        Number of epochs with the same rate.
    gamma : float in [0, 1], default=0.1
    """

    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _check("gamma", self.gamma, 0, 1)
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise ValueError(f"every must be an integer of at least 1: {self.every!r}")

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        return np.full(len(steps.t), float(self.gamma) ** (steps.epoch // self.every))


@dataclass(frozen=True)
class Coslog(Factor):
    """``(1 - cos(2 pi log2(1 + (2 ** cycles - 1) t / T))) / 2``: cycles that become longer.

    With 4 cycles the schedule of RealMLP (Holzmüller et al., 2024, arXiv:2407.04491).

    Parameters
    ----------
    cycles : int, default=4
    """

    cycles: int = 4

    def __post_init__(self) -> None:
        is_int = isinstance(self.cycles, int) and not isinstance(self.cycles, bool)
        if not is_int or not 1 <= self.cycles <= 50:
            raise ValueError(f"cycles must be an integer from 1 to 50: {self.cycles!r}")

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        share = steps.t / steps.total
        return (1 - np.cos(2 * np.pi * np.log2(1 + (2**self.cycles - 1) * share))) / 2


PURE = (Linear, Cosine, OneCycle, Exponential, Step, Coslog)
FACTORS = {
    "linear": Linear(),
    "cosine": Cosine(),
    "onecycle": OneCycle(),
    "coslog4": Coslog(),
}


@dataclass(frozen=True)
class OfEpoch(Factor):
    """The factor that a user's function returns for the number of the epoch."""

    function: Callable[[int], Any]

    def __call__(self, steps: Steps) -> NDArray[np.float64]:
        factor = self.function(steps.epoch)
        if not isinstance(factor, Real) or not 0 <= float(factor) < np.inf:
            raise ValueError(
                "learning_rate must return a finite factor >= 0, but returned "
                f"{factor!r} for epoch {steps.epoch}."
            )
        return np.full(len(steps.t), float(factor))


def factor_of(learning_rate: Any) -> Factor | None:
    """The factor that the parameter asks for; None for schedules that are none."""
    if isinstance(learning_rate, str):
        return FACTORS.get(learning_rate)
    return learning_rate if isinstance(learning_rate, Factor) else OfEpoch(learning_rate)
