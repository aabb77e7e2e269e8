"""Categories as the networks see them: one-hot, scaled as numbers are."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.tables.scaling import Floats


class Coded(NamedTuple):
    """A column as a list of its distinct values, and for each row the place of its value.

    Missing values may be in the list, or have the place -1.
    """

    values: list[Any]
    places: NDArray[np.intp]


def code(values: Iterable[Any], n_rows: int) -> Coded:
    """Encode values; TypeError if one of them cannot be hashed."""
    found: dict[Hashable, int] = {}
    place = found.setdefault
    places = np.fromiter((place(value, len(found)) for value in values), np.intp, n_rows)
    return Coded(list(found), places)


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # an array
        return False


@dataclass(frozen=True)
class Categories:
    """The tables of a categorical column.

    Parameters
    ----------
    levels : ndarray of object of shape (n_levels,)
        The levels in training, sorted.
    rows : dict
        For each level its row in `table`. Rare levels share one.
    table : ndarray of shape (n_rows, n_columns)
        The output of each level. The last row is that of missing and unknown ones.
    suffixes : list of str
        The end of the name of each column of the output.
    """

    levels: NDArray[np.object_]
    rows: dict[Hashable, int]
    table: Floats
    suffixes: list[str]

    def rows_of(self, column: Coded) -> NDArray[np.intp]:
        """For each sample its row in `table`."""
        unknown = len(self.table) - 1
        rows = [self.rows.get(value, unknown) for value in column.values]
        return np.array([*rows, unknown], np.intp)[column.places]  # -1 takes the last

    def write(self, rows: NDArray[np.intp], out: NDArray[np.floating]) -> None:
        """Write the output for samples, by their rows in `table`, to `out`."""
        out[:] = self.table.take(rows, axis=0)
