"""Codes of numbers in a short form, by which members are trained: a bin and the share in it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Codes, core
from fastbp.tables import Numbers

LEAST_BINS = 4  # on average: with fewer, two rows of weights are no less than all of a code
LEAST_BATCH = 8  # rows for which the sums over the bins of all codes are worth it


def columns_of_codes(numbers: Numbers) -> NDArray[np.intp] | None:
    """Where the columns of each code begin, and their end; None if the short form does not pay."""
    counts, _ = numbers.bins
    bins = counts[counts > 0]
    if not core.HAS_CODES or bins.sum() < LEAST_BINS * max(len(bins), 1):
        return None
    return len(counts) + np.concatenate([[0], np.cumsum(bins)]).astype(np.intp)


def short_codes(
    x: NDArray[np.floating], first: NDArray[np.intp] | None, one: float, batch_size: int
) -> Codes | None:
    """The codes of rows whose columns of codes begin at `first`; a full bin is `one`."""
    if first is None or batch_size < LEAST_BATCH:
        return None
    bins = np.empty((len(x), len(first) - 1), np.int32)
    shares = np.empty(bins.shape, x.dtype)
    rows = np.arange(len(x))
    for j, (begin, end) in enumerate(pairwise(first.tolist())):
        code = x[:, begin:end]
        bins[:, j] = np.minimum((code == one).sum(axis=1), end - begin - 1)  # all may be full
        shares[:, j] = code[rows, bins[:, j]]
    return Codes(bins, shares, first, one)
