"""Inputs as members are trained on them: scaled, and with codes in a short form, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Codes, core
from fastbp.tables import Numbers

LEAST_BINS = 4  # of a code for which two rows of weights are fewer than those that are not left out


@dataclass(frozen=True)
class TrainingInputs:
    """The inputs of a network during training: the same columns in another order, times a factor.

    Parameters
    ----------
    factor : float32
    columns : ndarray of intp of shape (n_columns,)
        The columns in this order: those of codes come last.
    first : ndarray of intp of shape (n_codes + 1,)
        Where the columns of each code begin in this order, and their end.
    """

    factor: np.float32
    columns: NDArray[np.intp]
    first: NDArray[np.intp]

    @property
    def has_codes(self) -> bool:
        """Whether there are codes; without them the order is that of before."""
        return len(self.first) > 1

    def ordered(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scaled rows in the order of training."""
        return x[:, self.columns] if self.has_codes else x

    def return_weights(self, weights: NDArray[np.floating]) -> None:
        """Make the first weights of training those of inputs as they were before, in place."""
        weights *= self.factor
        if self.has_codes:
            weights[self.columns] = weights.copy()

    def codes_of(self, x: NDArray[np.float32]) -> Codes | None:
        """The codes of scaled rows in the order of training."""
        if not self.has_codes:
            return None
        first, codes = self.first[:-1], x[:, self.first[0] :]
        full = np.add.reduceat(codes == self.factor, first - first[0], axis=1, dtype=np.int32)
        bins = np.minimum(full, (np.diff(self.first) - 1).astype(np.int32))  # the last may be full
        shares = np.take_along_axis(x, first + bins, axis=1)
        return Codes(bins, shares, self.first, float(self.factor))


def training_inputs(numbers: Numbers, n_columns: int, factor: np.float32) -> TrainingInputs:
    """The inputs for tables of numbers, whose codes are within the output of n_columns columns."""
    counts, _ = numbers.bins
    begin = len(counts) + np.cumsum(counts) - counts
    coded = np.flatnonzero((counts >= LEAST_BINS) & core.HAS_CODES)
    of_codes = [np.arange(begin[j], begin[j] + counts[j]) for j in coded]
    columns = np.concatenate([np.arange(0), *of_codes])
    others = np.setdiff1d(np.arange(n_columns), columns)
    first = len(others) + np.concatenate([[0], np.cumsum(counts[coded])])
    return TrainingInputs(factor, np.concatenate([others, columns]), first.astype(np.intp))
