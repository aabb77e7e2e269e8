"""Columns of numbers in units of their spread, clipped smoothly."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import core

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Median and scale of columns, each of shape (n_columns,).

    Parameters
    ----------
    unit : ndarray
        Powers of two by which the columns are multiplied first.
    median : ndarray
        The medians of the multiplied columns; NaN if all values are missing.
    scale : ndarray
        What the distances from the median are divided by; infinity for constant columns.
    """

    unit: Floats
    median: Floats
    scale: Floats

    @cached_property
    def columns(self) -> Floats:
        """All three, as the core takes them."""
        return np.array([self.unit, self.median, self.scale])

    def __call__(self, x: Floats) -> Floats:
        """The columns x of shape (rows, n_columns), scaled and clipped. NaN becomes 0."""
        out = np.empty(x.shape)
        none = np.zeros(x.shape[1], np.intp)
        core.code_numbers(x, self.columns, none, np.empty((2, 0)), none[:0], out)
        return out
