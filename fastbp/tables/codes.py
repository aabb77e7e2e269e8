"""Numbers as the networks see them: scaled, with piecewise-linear codes, missing ones marked."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import core
from fastbp.tables.scaling import Floats, Scale


@dataclass(frozen=True)
class Numbers:
    """The tables of the columns of numbers.

    Parameters
    ----------
    scale : Scale
        Medians and scales.
    had_missing : ndarray of bool of shape (n_columns,)
        Whether a value was missing in training.
    edges : tuple of ndarray
        For each column the edges of its bins, rising, of scaled numbers; empty without codes.
    """

    scale: Scale
    had_missing: NDArray[np.bool_]
    edges: tuple[Floats, ...]

    @cached_property
    def bins(self) -> tuple[NDArray[np.intp], Floats]:
        """The number of bins of each column; the left edges and the widths of all of them."""
        parts = [edges for edges in self.edges if len(edges)]
        counts = np.array([max(len(edges) - 1, 0) for edges in self.edges], np.intp)
        left = np.concatenate([np.empty(0), *(edges[:-1] for edges in parts)])
        return counts, np.array([left, np.concatenate([np.empty(0), *map(np.diff, parts)])])

    @cached_property
    def marked(self) -> NDArray[np.intp]:
        """The columns that have an indicator."""
        return np.flatnonzero(self.had_missing)

    @cached_property
    def layout(self) -> list[tuple[int, str]]:
        """Of each column of the output: the column it is made of, and the end of its name."""
        found = [(column, "") for column in range(len(self.edges))]
        for column, edges in enumerate(self.edges):
            found += [(column, f"_bin{i}") for i in range(len(edges) - 1)]
        return found + [(int(column), "_missing") for column in self.marked]

    def write(self, x: Floats, out: NDArray[np.floating]) -> None:
        """Write the output for the numbers x, shape (rows, n_columns), to `out`."""
        x = np.ascontiguousarray(x)
        core.code_numbers(x, self.scale.columns, *self.bins, self.marked, out)
