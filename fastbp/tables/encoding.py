"""A whole table as an array: the tables of all its columns."""

from __future__ import annotations  # those of an inner function cost as much as a row

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.tables.codes import Numbers
from fastbp.tables.levels import Categories
from fastbp.tables.table import Table

# Numbers of the output that are computed together: they stay in the cache.
CHUNK = 65536


@dataclass(frozen=True)
class Encoding:
    """What the columns of a table become, as a fit has learned it.

    Parameters
    ----------
    is_categorical : ndarray of bool of shape (n_features,)
        Which columns are categories.
    numbers : Numbers
        The tables of all columns of numbers.
    categories : tuple of Categories
        The tables of each categorical column.
    """

    is_categorical: NDArray[np.bool_]
    numbers: Numbers
    categories: tuple[Categories, ...]

    @cached_property
    def layout(self) -> list[tuple[int, str]]:
        """Of each column of the output: the feature it is made of, and the end of its name."""
        number = np.flatnonzero(~self.is_categorical)
        found = [(int(number[column]), suffix) for column, suffix in self.numbers.layout]
        for feature, its in zip(np.flatnonzero(self.is_categorical), self.categories, strict=True):
            found += [(int(feature), suffix) for suffix in its.suffixes]
        return found

    def by_feature(self, values: list[Any], is_categorical: bool) -> list[Any]:
        """The values of the columns of one kind as a list for all features, None for others."""
        of_kind = iter(values)
        return [next(of_kind) if its == is_categorical else None for its in self.is_categorical]

    def parts(self, n_rows: int) -> list[slice]:
        """The rows whose output is computed together."""
        step = max(1, CHUNK // len(self.layout))
        return [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]

    def array(self, read: Table, dtype: DTypeLike) -> NDArray[np.floating]:
        """The output for a table, in C order."""
        n_rows, write = len(read.numbers), self.writer(read)
        out = np.empty((n_rows, len(self.layout)), dtype)
        for part in self.parts(n_rows):
            write(part, out[part])
        return out

    def writer(self, read: Table) -> Callable[[slice, NDArray[np.floating]], None]:
        """The function that writes the output for some rows of a table to an array."""
        pairs = zip(self.categories, read.categories, strict=True)
        rows_of = [its.rows_of(column) for its, column in pairs]  # levels are looked up once

        def write(part: slice, out: NDArray[np.floating]) -> None:
            first = len(self.numbers.layout)
            self.numbers.write(read.numbers[part], out[:, :first])
            for its, rows in zip(self.categories, rows_of, strict=True):
                stop = first + len(its.suffixes)
                its.write(rows[part], out[:, first:stop])
                first = stop

        return write
