"""Sources of rows for data that are larger than memory: files, chunked arrays, memory maps.

>>> from fastbp import blocks

A source is any object with two methods, so it is easy to write another one.

- ``__len__()`` is the number of rows.
- ``read(start, stop)`` returns ``(X, y, sample_weight)`` of the rows from `start` to `stop`. X is
  an array, a CSR matrix or a pandas frame of shape (stop - start, n_features), y an array of shape
  (stop - start,) or (stop - start, n_outputs), and the weights an array of shape (stop - start,)
  or None. Another thread may call it, but there is one call at a time, with ``start < stop``. What
  it returns must not change later.

The attribute `borders` is optional. It is a sorted array of integers from 0 to the number of rows:
the rows between which reading is cheap to start and stop, such as the row groups of a file.

The functions here return sources. They read no rows when they are called. A source of files can be
pickled: the pickle has the paths.
"""

from fastbp.blocks.arrays import from_arrays
from fastbp.blocks.dask_arrays import from_dask
from fastbp.blocks.npy import from_npy
from fastbp.blocks.parquet import from_parquet

__all__ = ["from_arrays", "from_dask", "from_npy", "from_parquet"]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
