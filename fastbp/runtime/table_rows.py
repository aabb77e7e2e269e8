"""Rows of a table as users give them, for a model of tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.runtime.checks import Features, check_names, check_shape
from fastbp.tables import (
    ArrayColumns,
    Columns,
    NamedColumns,
    Table,
    check_not_infinite,
    columns_of,
    frame_kind,
    read,
)


def read_rows(X: Any, features: Features, is_categorical: NDArray[np.bool_]) -> Table:
    """The values of X, which must have the features of the fit."""
    if type(X) is np.ndarray and X.dtype.kind == "f" and not is_categorical.any():
        check_shape(X, features)
        numbers = np.asarray(X, np.float64)
        check_not_infinite(numbers, str)
        return Table(numbers, [])
    return read(_columns(X, features), is_categorical)


def _columns(X: Any, features: Features) -> Columns:
    """The columns of a frame, a mapping, an array or a list of rows, in the order of the fit."""
    kind = frame_kind(X)
    if kind == "lazy":
        raise TypeError("X is a LazyFrame of polars: call its method collect first.")
    if kind == "frame":
        check_names(list(X.columns), features)
        columns = columns_of(X)
        check_shape(np.broadcast_to(False, columns.shape), features)
        return columns
    names = _names_of(X)
    if names is not None:
        if features.names is None:
            raise ValueError("the model was fitted without names of features: X must be an array.")
        check_names(names, features, ordered=False)
        found = {name: _array(X[name]) for name in features.names.tolist()}
        _check_lengths(found)
        columns = NamedColumns(found)
        check_shape(np.broadcast_to(False, columns.shape), features)
        return columns
    array = _array(X)
    check_shape(array, features)
    return ArrayColumns(array)


def _names_of(X: Any) -> list[Any] | None:
    """The names of the columns of a mapping, a structured array or another frame; else None."""
    if isinstance(X, Mapping):
        return list(X)
    for owner, name in ((X, "column_names"), (X, "columns"), (getattr(X, "dtype", None), "names")):
        names = getattr(owner, name, None)
        if names is not None:
            return list(names)
    return None


def _array(values: Any) -> NDArray[Any]:
    """An array in which numbers beside strings stay numbers."""
    if str(getattr(values, "type", "")).startswith("dictionary"):  # of pyarrow, which NumPy
        values = values.to_pylist()  # gets without what is missing
    masked: Any = sys.modules.get("numpy.ma")
    if masked is not None and masked.isMaskedArray(values):
        kind = float if values.dtype.kind in "fiu" else object
        values = masked.filled(values.astype(kind), np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"X must be a table: {error}") from None
    is_mixed = array.dtype.kind in "US" and not isinstance(values, np.ndarray)
    return np.array(values, object) if is_mixed else array


def _check_lengths(columns: Mapping[str, NDArray[Any]]) -> None:
    for name, column in columns.items():
        if column.ndim != 1:
            raise ValueError(
                f"X has the column {name!r} of shape {column.shape}: a column has one dimension."
            )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"X has columns of different lengths: {lengths}")
