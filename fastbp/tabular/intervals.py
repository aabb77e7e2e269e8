"""Prediction intervals from the errors of rows that members have not seen."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CHUNK = 4_000_000  # numbers that are sorted at once


class Errors(NamedTuple):
    """Absolute errors of some members' mean on rows that none of them has seen.

    Parameters
    ----------
    members : list of int
    errors : ndarray of float64 of shape (n_rows, n_outputs)
    """

    members: list[int]
    errors: NDArray[np.float64]


def check_coverage(coverage: Any, n_rows: int) -> tuple[int, int]:
    """The ranks, from 0 on, of the lower and the upper end among the sorted ends of all rows.

    Raises
    ------
    ValueError
        If the coverage is not in (0, 1), or if there are too few rows for it.
    """
    if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
        raise ValueError(f"coverage must be a number between 0 and 1, got {coverage!r}.")
    upper = int(np.ceil(float(coverage) * (n_rows + 1) - 1e-9))
    if upper > n_rows:
        least = int(np.ceil(float(coverage) / (1 - float(coverage)) - 1e-9))
        raise ValueError(
            f"coverage={coverage!r} needs {least} rows with out-of-fold predictions, but there are "
            f"{n_rows}."
        )
    return n_rows - upper, upper - 1


def cross_conformal(
    predictions: NDArray[Any], errors: list[Errors], coverage: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The intervals CV+ of Barber, Candès, Ramdas and Tibshirani (2021).

    Of ``mu_i(x) - r_i`` for all training rows i the ``floor((1 - coverage) (n + 1))``-th smallest,
    and of ``mu_i(x) + r_i`` the ``ceil(coverage (n + 1))``-th smallest: mu_i is the mean of the
    members that have not seen row i, and r_i its absolute error there. If all members have seen no
    row of the errors, this is the split conformal interval.

    Parameters
    ----------
    predictions : ndarray of shape (n_members, n_samples, n_outputs)
    errors : list of Errors
    coverage : float

    Returns
    -------
    lower, upper : ndarray of shape (n_samples, n_outputs)
    """
    n_samples, n_outputs = predictions.shape[1:]
    n_rows = sum(len(one.errors) for one in errors)
    low, high = check_coverage(coverage, n_rows)
    lower, upper = np.empty((2, n_samples, n_outputs))
    means = [predictions[one.members].mean(axis=0, dtype=np.float64) for one in errors]
    step = max(1, CHUNK // n_rows)
    for first in range(0, n_samples, step):
        part = slice(first, first + step)
        for output in range(n_outputs):
            pairs = [
                (mean[part, output, None], one.errors[None, :, output])
                for mean, one in zip(means, errors, strict=True)
            ]
            ends = np.concatenate([mean - error for mean, error in pairs], axis=1)
            lower[part, output] = np.partition(ends, low, axis=1)[:, low]
            ends = np.concatenate([mean + error for mean, error in pairs], axis=1)
            upper[part, output] = np.partition(ends, high, axis=1)[:, high]
    return lower, upper
