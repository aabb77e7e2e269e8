"""Rows of a dense matrix: checked, cast, and predicted chunk by chunk."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import Rows, backend, is_core_float
from fastbp.network import LEAST_CHUNK, Network, chunk_rows, predict_chunks

# OpenBLAS uses one thread for products of fewer multiply-adds than this (its least limit, that of
# matrix times vector). Larger products are limited to one thread, so that predictions do not depend
# on the number of threads.
SMALL_PRODUCT = 9216
TOO_LARGE = "float32, the dtype of X: convert X to float64."


def is_small(network: Network, n_rows: int) -> bool:
    """Whether so many rows are predicted at once, by the calling thread."""
    return n_rows <= LEAST_CHUNK and (
        backend == "native" or n_rows * max(network.products) < SMALL_PRODUCT
    )


def predict_many(
    predict: Callable[..., bool],
    rows: Callable[[slice], Rows],
    work: float,
    link: str,
    out: NDArray[Any],
    n_threads: int | None,
) -> bool:
    """Write the predictions of many rows into out. Returns whether the rows are finite.

    Parameters
    ----------
    predict : callable
        `Network.predict`, or a function like it.
    rows : callable
        Returns a slice of the rows as the core takes them.
    work : float
        Multiply-adds of a row.
    link : str
    out : ndarray of shape (n_rows, n_outputs)
    n_threads : int or None
        None chooses. The result is the same for every value.
    """
    from fastbp.threads import call_cost, team  # imported late: few rows need no team

    chunk = chunk_rows(work)
    n_chunks = -(-len(out) // chunk)
    if not (n_threads is None or (isinstance(n_threads, Integral) and n_threads > 0)):
        raise ValueError(f"n_threads must be None or an integer of at least 1, got {n_threads!r}.")
    n_threads = 1 if n_chunks == 1 else n_threads and min(n_threads, n_chunks)
    with team(n_threads, call_cost(len(out) * work), len(out), 0) as ranks:
        return predict_chunks(predict, rows, chunk, link, out, ranks)


def laid_out(array: Any, dtype: DTypeLike, order: Literal["C", "F"] = "C") -> NDArray[Any]:
    """The array aligned, in this order and in dtype; a copy only if it is not.

    As np.require, whose set comparison waits in Python 3.13 without the GIL for all busy threads.
    """
    array = np.asanyarray(array, dtype, order)
    return array if array.flags.aligned else array.copy(order)


def cast(array: NDArray[Any], dtype: DTypeLike, name: str) -> NDArray[Any]:
    """The array aligned, in C order and in dtype; ValueError if float32 cannot hold it."""
    flags = array.flags
    if array.dtype == dtype and is_core_float(array.dtype) and flags.c_contiguous and flags.aligned:
        return array
    with np.errstate(over="ignore"):
        cast = laid_out(array, dtype)
    if dtype == np.float32 and array.dtype != np.float32 and not np.isfinite(cast).all():
        what = "float32, the dtype of the fitted model." if name == "X" else TOO_LARGE
        raise ValueError(f"{name} has values too large for {what}")
    return cast
