"""The tables of numbers, learned from the numbers of the training data."""

import numpy as np
from numpy.typing import NDArray

from fastbp.tables import Floats, Numbers
from fastbp.tabular.scaling import quantile, scale_of_sorted


def learn_numbers(x: Floats, n_bins: int) -> Numbers:
    """The tables of columns of numbers, shape (n_samples, n_columns); NaN is missing.

    A column has codes if at least two of its `n_bins` bins are distinct: one bin would repeat the
    scaled number.
    """
    ordered = np.sort(x.T, axis=1)  # NaN comes last
    counts = np.count_nonzero(~np.isnan(ordered), axis=1)
    scale = scale_of_sorted(ordered, counts)
    had_missing = (counts < len(x)) & (counts > 0)
    columns = np.arange(len(ordered))

    def at(places: NDArray[np.intp]) -> Floats:
        return scale(ordered[columns, places][None])[0]

    levels = np.arange(n_bins + 1) / n_bins if n_bins else []
    quantiles = [quantile(at, counts, level) for level in levels]
    none = np.empty(0)
    edges = [np.unique(column) for column in np.transpose(quantiles)] or [none] * len(columns)
    return Numbers(scale, had_missing, tuple(e if len(e) > 2 else none for e in edges))
