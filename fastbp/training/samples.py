"""Samples: rows, targets and weights, as the core takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import CSR, Codes, Rows
from fastbp.network import row_slice


@dataclass(frozen=True)
class Samples:
    """Samples for training or validation. Arrays are not copied.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features), or CSR
        C-ordered rows of float32 or float64.
    y : ndarray of shape (n_samples, n_targets)
        Targets in the dtype of x: one column for each output, or the index of the class.
    weight : ndarray of float64 of shape (n_samples,), default=None
        Weights of the samples, at most 1; None: equal weights.
    codes : Codes, default=None
        Columns of x once more that are codes: epochs of steps read these.
    """

    x: Rows
    y: NDArray[np.floating]
    weight: NDArray[np.float64] | None = None
    codes: Codes | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, part: slice) -> "Samples":
        """A slice of the samples, as views, without codes."""
        first, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError(f"samples are sliced with step 1, got {part}")
        x = row_slice(self.x, slice(first, stop))
        weight = None if self.weight is None else self.weight[first:stop]
        return Samples(x, self.y[first:stop], weight)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.y.dtype

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are CSR."""
        return isinstance(self.x, CSR)

    @property
    def entries_per_row(self) -> float | None:
        """Mean number of entries of a CSR row; None for dense rows."""
        return len(self.x.data) / max(len(self), 1) if isinstance(self.x, CSR) else None

    @property
    def inputs_per_row(self) -> float | None:
        """Mean number of inputs that the first layer reads of a row, two for a code; None: all."""
        if self.codes is None or isinstance(self.x, CSR):
            return self.entries_per_row
        first = self.codes.first
        return float(self.x.shape[1] - (first[-1] - first[0]) + 2 * self.codes.bins.shape[1])

    def take(self, rows: NDArray[np.intp]) -> "Samples":
        """Copies of the samples with these indices, in this order, without codes."""
        x = _csr_rows(self.x, rows) if isinstance(self.x, CSR) else self.x[rows]
        weight = None if self.weight is None else self.weight[rows]
        return Samples(x, self.y[rows], weight)


@dataclass(frozen=True)
class Outline:
    """What training has to know of samples that are not all in memory.

    Parameters
    ----------
    n_samples : int
    dtype : dtype
        float32 or float64.
    entries_per_row : float, default=None
        Mean number of entries of a CSR row; None for dense rows.
    """

    n_samples: int
    dtype: np.dtype[Any]
    entries_per_row: float | None = None

    def __len__(self) -> int:
        return self.n_samples

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are CSR."""
        return self.entries_per_row is not None

    @property
    def inputs_per_row(self) -> float | None:
        """As of samples in memory."""
        return self.entries_per_row

    @property
    def codes(self) -> None:
        """Rows that are not in memory have none."""


def _csr_rows(x: CSR, rows: NDArray[np.intp]) -> CSR:
    """The chosen rows of a CSR matrix. The order of entries in a row is kept."""
    counts = np.diff(x.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(counts)])
    entries = np.arange(indptr[-1]) + np.repeat(x.indptr[rows] - indptr[:-1], counts)
    return CSR(x.data[entries], x.indices[entries], indptr.astype(np.int64), x.n_features)
