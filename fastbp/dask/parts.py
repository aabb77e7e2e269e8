"""The parts of distributed data: X, y and weights of each partition, as one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import dask
import numpy as np
from dask.delayed import Delayed
from distributed import Future

from fastbp.dask.cluster import unique

KINDS = "a dask Array, DataFrame or Series, or a list of delayed"


class Part(NamedTuple):
    """The rows of one partition, as they come."""

    X: Any
    y: Any
    weight: Any


def is_distributed(data: Any) -> bool:
    """Whether these are data of Dask: a collection, or a list of delayed objects or futures."""
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(one, Delayed | Future) for one in data)
    return dask.is_dask_collection(data)


def parts_of(X: Any, y: Any, sample_weight: Any = None, suffix: str = "") -> list[Delayed]:
    """The parts of data as delayed objects, each with X, y and weights of one partition.

    Parameters
    ----------
    X, y, sample_weight : dask Array, DataFrame, Series, or list of delayed
        They have the same partitions. An array whose chunks are known is given the chunks of X.
    suffix : str, default=''
        Of the names in errors, such as '_val'.

    Raises
    ------
    TypeError
        If one of them is something else.
    ValueError
        If their lengths or the numbers of their partitions differ.
    """
    names = [f"{name}{suffix}" for name in ("X", "y", "sample_weight")]
    given = dict(zip(names, (X, y, sample_weight), strict=True))
    if sample_weight is None:
        del given[names[2]]
    columns = [_partitions(one, given[names[0]], name, names[0]) for name, one in given.items()]
    for name, partitions in zip(given, columns, strict=True):
        if len(partitions) != len(columns[0]):
            raise ValueError(
                f"{names[0]} has {len(columns[0])} partitions, but {name} has {len(partitions)}"
            )
    columns += [[None] * len(columns[0])] * (3 - len(columns))
    bundled, name = dask.delayed(Part, pure=False), unique("part")
    return [
        bundled(*one, dask_key_name=(name, number))
        for number, one in enumerate(zip(*columns, strict=True))
    ]


def _partitions(data: Any, X: Any, name: str, name_of_x: str) -> list[Any]:
    """The partitions of one collection, as delayed objects; cut like X if both cuts are known."""
    if isinstance(data, list | tuple) and is_distributed(data):
        return [dask.delayed(one) for one in data]
    if not dask.is_dask_collection(data) or not hasattr(data, "to_delayed"):
        raise TypeError(
            f"{name} must be {KINDS}, got {type(data).__name__}: for data in memory use the "
            "estimators of fastbp itself"
        )
    if not hasattr(data, "chunks"):  # a frame
        return list(data.to_delayed())
    if data.ndim not in (1, 2):
        raise ValueError(f"{name} must have one or two dimensions, got {data.ndim}")
    if data.ndim == 2 and data.numblocks[1] > 1:
        data = data.rechunk({1: -1})
    rows, rows_of_x = _rows(data), _rows(X)
    if rows is not None and rows_of_x is not None and rows != rows_of_x:
        if sum(rows) != sum(rows_of_x):
            raise ValueError(f"{name_of_x} has {sum(rows_of_x)} rows, but {name} has {sum(rows)}")
        data = data.rechunk({0: rows_of_x})
    return list(data.to_delayed().ravel())


def _rows(data: Any) -> Sequence[int] | None:
    """The rows of each chunk of an array; None if they are not known."""
    chunks = getattr(data, "chunks", None)
    if chunks is None or np.isnan(chunks[0]).any():
        return None
    return tuple(map(int, chunks[0]))
