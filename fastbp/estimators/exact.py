"""Exact sums of floats, whose order therefore does not matter."""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 2**26  # numbers, so that a float64 holds sums of so many halves of a mantissa
HALF = 27  # bits of its lower half


def exact_sums(
    weights: NDArray[np.float64] | None, codes: NDArray[np.intp], n_codes: int
) -> list[Fraction]:
    """The sum of the finite weights with each code, without an error; None: their number."""
    if weights is None:
        return [Fraction(count) for count in np.bincount(codes, minlength=n_codes).tolist()]
    totals = [Fraction(0)] * n_codes
    for first in range(0, len(weights), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        sums, unit = _sums(weights[part], codes[part], n_codes)
        totals = [total + one * unit for total, one in zip(totals, sums, strict=True)]
    return totals


def _sums(
    weights: NDArray[np.float64], codes: NDArray[np.intp], n_codes: int
) -> tuple[list[int], Fraction]:
    """The sum of the weights with each code, in multiples of a unit, and the unit."""
    mantissas, exponents = np.frexp(weights)
    whole, least = np.ldexp(mantissas, 2 * HALF).astype(np.int64), int(exponents.min())
    totals = [0] * n_codes  # of integers of any length: far faster than fractions
    for exponent in np.unique(exponents).tolist():
        of_size = exponents == exponent
        for bits, shift in ((whole >> HALF, HALF), (whole & (2**HALF - 1), 0)):
            sums = np.bincount(codes[of_size], bits[of_size], minlength=n_codes)
            for code in np.flatnonzero(sums).tolist():
                totals[code] += int(sums[code]) << (shift + exponent - least)
    return totals, Fraction(2) ** (least - 2 * HALF)


def rounded(sums: list[Fraction]) -> NDArray[Any]:
    """The nearest float64 of each sum; infinite where it is too large."""
    return np.array([_rounded(one) for one in sums])


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf
