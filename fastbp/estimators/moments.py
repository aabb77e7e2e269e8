"""Weighted mean and spread of targets, also of parts that are joined."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.exact import exact_sums
from fastbp.estimators.inputs import near_one


class Moments(NamedTuple):
    """Of each column: weight, mean, variance, and range.

    The range is that of the rows that have a weight. No weights overflow, whatever their size.
    """

    weight: Fraction
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """The standard deviation, exactly 0 where all rows are the same."""
        spread = np.sqrt(self.variance)
        spread[self.least == self.most] = 0
        return spread

    def joined(self, other: Moments) -> Moments:
        """The moments of both parts (Chan, Golub and LeVeque 1979)."""
        if not self.weight or not other.weight:
            return other if not self.weight else self
        weight = self.weight + other.weight
        own, share = float(self.weight / weight), float(other.weight / weight)
        apart = other.mean - self.mean
        variance = own * self.variance + share * other.variance + own * apart * (share * apart)
        least, most = np.minimum(self.least, other.least), np.maximum(self.most, other.most)
        return Moments(weight, self.mean + apart * share, variance, least, most)


def moments_of(y: NDArray[Any], weights: NDArray[np.float64] | None) -> Moments:
    """The moments of y, which has a column for each output."""
    counted = y if weights is None else y[weights > 0]
    if not len(counted):
        nothing = np.zeros(y.shape[1])
        return Moments(Fraction(0), nothing, nothing, nothing, nothing)
    (total,) = exact_sums(weights, np.zeros(len(y), np.intp), 1)
    mean, spread = mean_and_spread(y, near_one(weights, 0.0)[0])
    return Moments(total, mean, spread**2, counted.min(axis=0), counted.max(axis=0))


def mean_and_spread(
    y: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted mean and standard deviation of each column; the latter is exactly 0 if constant."""
    y = y.astype(np.float64, copy=False)
    share = 1 / len(y) if weights is None else (weights / weights.sum())[:, None]
    mean = (y * share).sum(axis=0)
    spread = np.sqrt(((y - mean) ** 2 * share).sum(axis=0))
    counted = y if weights is None else y[weights > 0]
    spread[counted.min(axis=0) == counted.max(axis=0)] = 0
    return mean, spread
