"""Sources of arrays of Dask."""

import math
from typing import Any

import numpy as np

from fastbp.blocks.source import Block, Source, check_dimensions, check_lengths


def from_dask(X: Any, y: Any, sample_weight: Any = None) -> Source:
    """A source of arrays of Dask, computed as they are read.

    Parameters
    ----------
    X : dask.array.Array of shape (n_rows, n_features)
        Its chunks are the borders of the source.
    y : dask.array.Array of shape (n_rows,) or (n_rows, n_outputs)
    sample_weight : dask.array.Array of shape (n_rows,), default=None

    Returns
    -------
    source : object
        A read computes the chunks that have the rows, again in every epoch. The scheduler is the
        one that is configured: without a client of dask.distributed, threads of this process. They
        take cores from the training; ``dask.config.set(scheduler="synchronous")`` computes in the
        thread that reads.

    Raises
    ------
    TypeError
        If something is not an array of Dask.
    ValueError
        If the numbers of rows differ, a number of dimensions is wrong, or the sizes of chunks are
        unknown.

    Examples
    --------
    A frame of Dask becomes arrays whose sizes are known::

        X = frame[features].to_dask_array(lengths=True)
        y = frame[target].to_dask_array(lengths=True)
        source = from_dask(X, y)
    """
    return DaskSource(X, y, sample_weight)


class DaskSource(Source):
    """Rows of arrays of Dask; `from_dask` describes the parameters."""

    def __init__(self, X: Any, y: Any, sample_weight: Any):
        self.arrays = {"X": X, "y": y}
        if sample_weight is not None:
            self.arrays["sample_weight"] = sample_weight
        lengths = {name: _length(name, array) for name, array in self.arrays.items()}
        n_rows = lengths.pop("X")
        check_lengths(n_rows, **lengths)
        super().__init__(n_rows)
        self.borders = np.unique(np.cumsum([0, *X.chunks[0]], dtype=np.int64))

    def _read(self, start: int, stop: int) -> Block:
        import dask

        X, y, *weight = dask.compute(*(array[start:stop] for array in self.arrays.values()))
        return X, np.asarray(y), np.asarray(weight[0]) if weight else None


def _length(name: str, array: Any) -> int:
    """The number of rows, or a TypeError or ValueError that says what is wrong with the array."""
    if not (hasattr(array, "compute") and hasattr(array, "chunks")):
        hint = " Make it one: to_dask_array(lengths=True)." if hasattr(array, "compute") else ""
        raise TypeError(f"{name} must be an array of Dask, got a {type(array).__name__}.{hint}")
    check_dimensions(name, array.shape)
    if any(math.isnan(size) for sizes in array.chunks for size in sizes):
        raise ValueError(
            f"{name} must have chunks of known sizes: {name}.compute_chunk_sizes() finds them."
        )
    return int(array.shape[0])
