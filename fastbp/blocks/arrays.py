"""Sources of what can be sliced: arrays, memory maps, CSR matrices, frames, HDF5 and Zarr."""

import os
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.blocks.source import Block, Source, check_dimensions, check_lengths


def from_arrays(X: Any, y: Any, sample_weight: Any = None) -> Source:
    """A source of arrays of any kind whose rows can be sliced.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        An array, a memory map, a CSR matrix or a frame of pandas, or a dataset of h5py or Zarr. The
        chunks of a dataset are the borders of the source.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Of any of these kinds, but not sparse.
    sample_weight : array-like of shape (n_rows,), default=None

    Returns
    -------
    source : object
        It keeps the arrays and copies nothing: rows of an array or memory map are views. A pickle
        of it has all of the data, of a memory map too. `from_npy` keeps paths in place of data.

    Raises
    ------
    TypeError
        If something cannot be sliced, or is sparse in another format than CSR.
    ValueError
        If the numbers of rows differ, or a number of dimensions is wrong.

    See Also
    --------
    from_npy : Files of arrays.
    from_dask : Arrays of Dask.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.blocks import from_arrays
    >>> source = from_arrays(np.arange(12).reshape(6, 2), np.arange(6))
    >>> len(source)
    6
    >>> X, y, sample_weight = source.read(2, 4)
    >>> X
    array([[4, 5],
           [6, 7]])
    """
    return ArraySource(X, y, sample_weight)


class ArraySource(Source):
    """Rows of arrays; `from_arrays` describes the parameters."""

    def __init__(self, X: Any, y: Any, sample_weight: Any):
        self.X, self.y = _sliceable("X", X), _sliceable("y", y)
        self.sample_weight = sample_weight
        if sample_weight is not None:
            self.sample_weight = _sliceable("sample_weight", sample_weight)
        n_rows = int(self.X.shape[0])
        n_weights = None if sample_weight is None else self.sample_weight.shape[0]
        check_lengths(n_rows, y=self.y.shape[0], sample_weight=n_weights)
        super().__init__(n_rows)
        chunks = getattr(self.X, "chunks", None)
        if chunks and isinstance(chunks[0], Integral):
            self.borders: NDArray[np.int64] = np.append(
                np.arange(0, n_rows, int(chunks[0]), dtype=np.int64), n_rows
            )

    def _read(self, start: int, stop: int) -> Block:
        X, y = _rows(self.X, start, stop), np.asarray(_rows(self.y, start, stop))
        if self.sample_weight is None:
            return X, y, None
        return X, y, np.asarray(_rows(self.sample_weight, start, stop))


def _rows(array: Any, start: int, stop: int) -> Any:
    """The rows of an array or frame."""
    if hasattr(array, "tocsr"):
        return _rows_of_csr(array, start, stop)
    return array.iloc[start:stop] if hasattr(array, "iloc") else array[start:stop]


def _rows_of_csr(X: Any, start: int, stop: int) -> Any:
    """Rows of CSR as views; ValueError if its pointers are damaged.

    SciPy's own slices read where the pointers point, and drop entries beyond the last column.
    """
    pointers = X.indptr[start : stop + 1]
    entries = slice(int(pointers[0]), int(pointers[-1]))
    parts = X.data[entries], X.indices[entries], pointers - pointers[0]
    return type(X)(parts, shape=(stop - start, X.shape[1]))


def _sliceable(name: str, array: Any) -> Any:
    """The array, or a TypeError or ValueError that says what is wrong with it."""
    if isinstance(array, list | tuple):
        array = np.asarray(array)
    kind = type(array).__name__
    if isinstance(array, str | os.PathLike):
        raise TypeError(f"{name} must be an array, got the path {str(array)!r}: use from_npy.")
    if hasattr(array, "compute"):
        raise TypeError(
            f"{name} must be an array, got a {kind} that is not computed: use from_dask."
        )
    if hasattr(array, "tocsr") and (name != "X" or array.format != "csr"):
        allowed = "in the format CSR if it is sparse" if name == "X" else "dense"
        raise TypeError(f"{name} must be {allowed}, got a {kind}")
    if not (hasattr(array, "__getitem__") and hasattr(array, "shape")):
        raise TypeError(f"{name} must be an array with a shape and rows, got a {kind}")
    check_dimensions(name, array.shape)
    return array
