"""Graphs of tables: their columns as inputs, and the numbers that networks see of them.

All is in double, and each step is rounded as in the core, so that the numbers have its bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.onnx.graph import INTEGER, ML, Tensor, where
from fastbp.onnx.plan import Input
from fastbp.tables import Categories, Numbers

DOUBLE, STRINGS = np.dtype(np.float64), np.dtype(object)
INTEGERS, FLOATS = bool | int | np.bool_ | np.integer, float | np.floating
FIRST_INEXACT = 2**53  # the first integer that is the double of another one too
LARGEST = 3.0  # scaled number, in absolute value
HUGE = 1e150  # whose square is not finite
SPLITTER = 134217729.0  # 2^27 + 1: of products of halves of a double


def inputs_of(transformer: Any) -> list[Input]:
    """An input for each column of a table, of a fitted TabularPreprocessor."""
    names = getattr(transformer, "feature_names_in_", None)
    if names is None:
        names = [f"x{number}" for number in range(transformer.n_features_in_)]
    found = []
    for name, levels in zip(names, transformer.categories_, strict=True):
        if not name:
            raise ValueError("X has a column whose name is '', which ONNX does not allow: name it.")
        found.append(Input(str(name), DOUBLE if levels is None else _dtype_of(levels, name), 1))
    return found


def _dtype_of(levels: NDArray[Any], name: str) -> np.dtype[Any]:
    """The dtype of a categorical column: strings, or numbers that are all told apart."""
    values = levels.tolist()
    if all(isinstance(value, str) for value in values):
        return STRINGS
    whole = [int(value) for value in values if isinstance(value, INTEGERS)]
    if all(isinstance(value, INTEGERS | FLOATS) for value in values):
        if all(abs(value) < FIRST_INEXACT for value in whole):
            return DOUBLE
        bounds = np.iinfo(np.int64)
        if len(whole) == len(values) and bounds.min <= min(whole) and max(whole) <= bounds.max:
            return INTEGER
    kinds = sorted({type(value).__name__ for value in values})
    raise TypeError(
        f"the column {name!r} has categories of {' and '.join(kinds)}: ONNX has columns of "
        "strings, of numbers, or of integers of 64 bits. Convert it, and fit again."
    )


def transformed(transformer: Any, columns: Sequence[Tensor]) -> Tensor:
    """What `transform` makes of columns: the tensor of all numbers that networks see."""
    tables, dtype, graph = transformer._tables, transformer._dtype, columns[0].graph
    numbers, categories = [], []
    for column, is_category in zip(columns, tables.is_categorical, strict=True):
        (categories if is_category else numbers).append(column)
    parts = _coded_numbers(tables.numbers, graph.concat(numbers)) if numbers else []
    for its, column in zip(tables.categories, categories, strict=True):
        parts.append(_one_hot(its, column))
    return graph.concat([part.cast(dtype) for part in parts])


# ---- numbers


def _coded_numbers(numbers: Numbers, x: Tensor) -> list[Tensor]:
    """Scaled numbers, their codes, and marks of those that are missing."""
    u = _scaled(x, *numbers.scale.columns)
    counts, (left, width) = numbers.bins
    found = [u]
    if len(left):
        code = (u.take_columns(np.repeat(np.arange(len(counts)), counts)) - left) / width
        found.append(code.op("Max", 0.0).op("Min", 1.0))
    if len(numbers.marked):
        found.append(_is_nan(x.take_columns(numbers.marked)).cast(DOUBLE))
    return found


def _scaled(x: Tensor, unit: Any, median: Any, scale: Any) -> Tensor:
    """u = (x unit - median) / scale; u / sqrt(1 + (u / 3)^2), in [-3, 3]. NaN becomes 0."""
    u = (x * unit - median) / scale
    u = where(_is_nan(u), 0.0, u)
    clipped = u / _one_plus_square(u / LARGEST).op("Sqrt")
    clipped = clipped.op("Max", -LARGEST).op("Min", LARGEST)
    return where(abs(u) > HUGE, u.op("Sign") * LARGEST, clipped)


def _one_plus_square(t: Tensor) -> Tensor:
    """1 + t^2, rounded once, as by the multiply-add of the core.

    Bins may be so narrow that a last place decides between them. The square is the sum of two
    doubles (Dekker, 1971), and so is its sum with 1 (Knuth, 1969).
    """
    square = t * t
    shifted = t * SPLITTER
    high = shifted - (shifted - t)
    low = t - high
    cross = high * low
    lost = high * high - square + (cross + cross) + low * low
    total = square + 1.0
    part = total - square
    rest = (square - (total - part)) + (1.0 - part)
    return total + (rest + lost)


def _is_nan(x: Tensor) -> Tensor:
    return x.op("IsNaN", dtype=np.bool_)


# ---- categories


def _one_hot(its: Categories, column: Tensor) -> Tensor:
    """The columns of a category: rows of its table, whose last one is that of unknown levels."""
    graph, levels = column.graph, its.levels.tolist()
    rows, unknown = [its.rows[level] for level in levels], len(its.table) - 1
    if column.dtype == DOUBLE:
        row = _row_of_number(column, levels, rows, unknown)
    elif column.dtype == STRINGS:
        row = _encoded(column, "keys_strings", levels or [""], rows or [unknown], unknown)
    else:
        row = _encoded(column, "keys_int64s", list(map(int, levels)), rows, unknown)
    return graph.constant(its.table, DOUBLE).op("Gather", row, axis=0)


def _row_of_number(column: Tensor, levels: list[Any], rows: list[int], unknown: int) -> Tensor:
    """For each number the row of the level that it is; a bool is the number 0 or 1."""
    graph = column.graph
    is_level = column.equals(np.array([levels], np.float64))
    distances = graph.constant(np.array([rows]) - unknown, INTEGER)
    distance = is_level.op("Where", distances, distances.like(0), dtype=INTEGER)
    return distance.op("ReduceSum", graph.integers(1), keepdims=0) + unknown


def _encoded(column: Tensor, keys: str, levels: list[Any], rows: list[int], unknown: int) -> Tensor:
    """For each string or integer the row of the level that it is."""
    options = {keys: levels, "values_int64s": rows, "default_int64": unknown}
    encoded = column.op("LabelEncoder", dtype=INTEGER, domain=ML, **options)
    return encoded.op("Reshape", column.graph.integers(-1))
