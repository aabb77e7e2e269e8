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
        mantissas, exponents = np.frexp(weights[part])
        whole = np.ldexp(mantissas, 2 * HALF).astype(np.int64)
        for exponent in np.unique(exponents).tolist():
            of_size = exponents == exponent
            unit = Fraction(2) ** (exponent - 2 * HALF)
            for bits, shift in ((whole >> HALF, HALF), (whole & (2**HALF - 1), 0)):
                sums = np.bincount(codes[part][of_size], bits[of_size], minlength=n_codes)
                for code, number in enumerate(sums.tolist()):
                    totals[code] += (int(number) << shift) * unit
    return totals


def rounded(sums: list[Fraction]) -> NDArray[Any]:
    """The nearest float64 of each sum; infinite where it is too large."""
    return np.array([_rounded(one) for one in sums])


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf
