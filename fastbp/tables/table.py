"""A table read: numbers as float64, categories encoded."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.tables.columns import Columns
from fastbp.tables.levels import Coded
from fastbp.tables.scaling import Floats

WHAT_TO_DO = {
    "date": (
        "It holds dates or times, which have no scale. Convert it to numbers that matter to the "
        "target, such as days since a date, the month or the hour; or drop it."
    ),
    "complex": "Complex data not supported.",
    "unknown": "Convert it to numbers, strings or categories, or drop it.",
}


class Table(NamedTuple):
    """The values of a table.

    Parameters
    ----------
    numbers : ndarray of float64 of shape (n_rows, n_numbers)
        The columns of numbers; NaN is missing.
    categories : list of Coded
        The categorical columns.
    """

    numbers: Floats
    categories: list[Coded]


def read(columns: Columns, is_categorical: NDArray[np.bool_]) -> Table:
    """The values of columns.

    Raises
    ------
    ValueError
        If a number is infinite, or what should be a number is none.
    TypeError
        If a column is neither numbers nor categories, such as dates.
    """
    number, category = (np.flatnonzero(mask).tolist() for mask in (~is_categorical, is_categorical))
    with np.errstate(over="ignore"):  # of wider floats
        numbers = columns.block(number)
        if numbers is None:
            numbers = np.empty((columns.shape[0], len(number)))
            for place, column in enumerate(number):
                numbers[:, place] = _floats(columns, column)
    check_not_infinite(numbers, lambda place: columns.name(number[place]))
    return Table(numbers, [_coded(columns, column) for column in category])


def check_not_infinite(numbers: Floats, name: Callable[[int], str]) -> None:
    """Raise ValueError if a number is infinite; `name` gives the names of columns."""
    finite = np.isfinite(numbers)
    if finite.all():
        return
    infinite = ~(finite | np.isnan(numbers)).all(axis=0)
    if infinite.any():
        column = name(int(np.flatnonzero(infinite)[0]))
        raise ValueError(
            f"Input X contains infinity in column {column}, or a value too large for float64."
        )


def refusal(columns: Columns, column: int, kind: str) -> Exception:
    """The exception for a column that is neither numbers nor categories."""
    error = ValueError if kind == "complex" else TypeError
    where = f"column {columns.name(column)} of dtype {columns.dtype(column)}"
    return error(f"X cannot be read in {where}. {WHAT_TO_DO[kind]}")


def _floats(columns: Columns, column: int) -> Floats:
    """A column of numbers as float64."""
    kind = columns.kind(column)
    if kind not in ("number", "category"):
        raise refusal(columns, column, kind)
    try:
        return columns.floats(column)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"X has something in column {columns.name(column)} that is not a number: {error}. "
            "Columns of categories are those of such a dtype, or named in categorical_features."
        ) from error


def _coded(columns: Columns, column: int) -> Coded:
    """A categorical column, encoded."""
    try:
        return columns.coded(column)
    except TypeError as error:
        raise TypeError(
            f"X has something in column {columns.name(column)} that cannot be a category, which "
            f"must be a string, a number or another value that can be hashed: {error}."
        ) from error
