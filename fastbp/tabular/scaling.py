"""Medians and scales of columns, from order statistics.

Statistics are computed of columns in units of a power of two, so that no difference of two numbers
overflows or becomes denormal.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastbp.tables import Floats, Scale


def scale_of_sorted(ordered: Floats, counts: NDArray[np.intp]) -> Scale:
    """The scale of sorted columns.

    `ordered` has shape (n_columns, n_samples), each row sorted with the missing values, NaN, at the
    end; `counts` are the numbers of those present.
    """
    columns = np.arange(len(ordered))
    ends = ordered[columns, 0], ordered[columns, np.maximum(counts - 1, 0)]
    unit = _units(np.maximum(*map(np.abs, ends)))

    def at(places: NDArray[np.intp]) -> Floats:
        return ordered[columns, places] * unit

    return Scale(unit, *robust_scale(at, counts))


def _units(largest: Floats) -> Floats:
    """1 for most columns; other powers of two if the largest number is near the ends of float64."""
    tiny = (largest < 2.0**-500) & (largest > 0)
    return np.where(largest > 2.0**1020, 0.25, np.where(tiny, 2.0**500, 1.0))


def robust_scale(
    at: Callable[[NDArray[np.intp]], Floats], counts: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Medians and scales of columns of which `at` gives the order statistics.

    The scale is the distance of the quartiles. Where it is 0, the scale is half the range. For a
    constant column, or one with nothing in it, it is infinity.
    """
    q25, median, q75 = (quantile(at, counts, level) for level in (0.25, 0.5, 0.75))
    low, high = (quantile(at, counts, level) for level in (0.0, 1.0))
    scale = np.where(q75 == q25, (high - low) / 2, q75 - q25)
    usable = (counts > 0) & (scale > 0)
    return median, np.where(usable, scale, np.inf)


def quantile(
    at: Callable[[NDArray[np.intp]], Floats], counts: NDArray[np.intp], level: float
) -> Floats:
    """Quantiles of columns, linear between order statistics as in `numpy.quantile`."""
    last = np.maximum(counts - 1, 0)
    place = level * last
    below = place.astype(np.intp)
    a, b = at(below), at(np.minimum(below + 1, last))
    return a + (b - a) * (place - below)
