"""What a model file keeps of the tables of columns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.files import Reader, Writer
from fastbp.tables.codes import Numbers
from fastbp.tables.encoding import Encoding
from fastbp.tables.levels import Categories
from fastbp.tables.scaling import Scale


def array_of(node: Any, name: str, reader: Reader, dtype: Any, *shape: int | None) -> NDArray[Any]:
    """An array of this dtype and shape, where None is any length; ValueError for others."""
    array = reader.tensor(node, name)
    fits = array.ndim == len(shape) and array.dtype == dtype
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(
            f"{name} must be an array of {np.dtype(dtype)} of shape {shape}, got {array.dtype} of "
            f"shape {array.shape}"
        )
    return array


def read_limits(node: Any, n_members: int, n_outputs: int, reader: Reader) -> NDArray[np.float64]:
    """The least and the largest prediction of each member of a regressor."""
    limits = array_of(node, "limits", reader, np.float64, 2, n_members, 1, n_outputs)
    if not (limits[0] <= limits[1]).all():
        raise ValueError("limits must be the least and the largest target of each member")
    return limits


def encoding_node(tables: Encoding, writer: Writer) -> dict[str, Any]:
    """The description of the tables of all columns."""
    numbers = tables.numbers
    sizes = np.array([len(edges) for edges in numbers.edges], np.int64)
    return {
        "is_categorical": writer.tensor(tables.is_categorical, "is_categorical"),
        "scale": writer.tensor(numbers.scale.columns, "scale"),
        "had_missing": writer.tensor(numbers.had_missing, "had_missing"),
        "edges": writer.tensor(np.concatenate([np.empty(0), *numbers.edges]), "edges"),
        "n_edges": writer.tensor(sizes, "n_edges"),
        "categories": [
            _categories_node(one, writer.within(f"categories.{k}"))
            for k, one in enumerate(tables.categories)
        ],
    }


def _categories_node(its: Categories, writer: Writer) -> dict[str, Any]:
    levels = its.levels.tolist()
    return {
        "levels": writer.value(its.levels, "levels"),
        "rows": writer.tensor(np.array([its.rows[one] for one in levels], np.int64), "rows"),
        "table": writer.tensor(its.table, "table"),
        "suffixes": list(map(str, its.suffixes)),
    }


def read_encoding(node: Any, reader: Reader) -> Encoding:
    """The tables of a description; ValueError if they are not sound."""
    names = {"is_categorical", "scale", "had_missing", "edges", "n_edges", "categories"}
    reader.fields(node, "tables", names)
    is_categorical = array_of(node["is_categorical"], "is_categorical", reader, bool, None)
    if not len(is_categorical) or not isinstance(node["categories"], list):
        raise ValueError("the tables must have columns")
    n_numbers = int(np.count_nonzero(~is_categorical))
    if len(node["categories"]) != len(is_categorical) - n_numbers:
        raise ValueError("the tables have another number of categorical columns")
    scale = array_of(node["scale"], "scale", reader, np.float64, 3, n_numbers)
    unit, median, width = scale
    if not ((unit > 0) & (unit < np.inf) & ~np.isinf(median) & (width > 0)).all():
        raise ValueError("scale must have positive units and widths, and medians that are numbers")
    had_missing = array_of(node["had_missing"], "had_missing", reader, bool, n_numbers)
    edges = _read_edges(node, n_numbers, reader)
    numbers = Numbers(Scale(unit, median, width), had_missing, edges)
    categories = tuple(_read_categories(one, reader) for one in node["categories"])
    return Encoding(is_categorical, numbers, categories)


def _read_edges(node: Any, n_numbers: int, reader: Reader) -> tuple[NDArray[np.float64], ...]:
    """The edges of the bins of each column of numbers."""
    joined = array_of(node["edges"], "edges", reader, np.float64, None)
    sizes = array_of(node["n_edges"], "n_edges", reader, np.int64, n_numbers).tolist()
    if any(size < 3 and size != 0 for size in sizes) or sum(sizes) != len(joined):
        raise ValueError("n_edges must be 0 or at least 3, and have the sum of all edges")
    ends = np.cumsum([0, *sizes]).tolist()
    edges = tuple(joined[first:last] for first, last in pairwise(ends))
    if not np.isfinite(joined).all() or not all((np.diff(one) > 0).all() for one in edges):
        raise ValueError("edges must be finite and rising")
    return edges


def _read_categories(node: Any, reader: Reader) -> Categories:
    reader.fields(node, "categories", {"levels", "rows", "table", "suffixes"})
    levels, suffixes = reader.value(node["levels"], "levels"), node["suffixes"]
    if not isinstance(levels, np.ndarray) or levels.dtype != object:
        raise ValueError("levels must be an array of objects")
    if not isinstance(suffixes, list) or not all(isinstance(one, str) for one in suffixes):
        raise ValueError("suffixes must be strings")
    rows = array_of(node["rows"], "rows", reader, np.int64, len(levels))
    table = array_of(node["table"], "table", reader, np.float64, None, len(suffixes))
    found = dict(zip(levels.tolist(), rows.tolist(), strict=True))
    if not suffixes or not len(table) or not np.isfinite(table).all() or len(found) < len(levels):
        raise ValueError("a table of categories must be finite, of levels that differ")
    if rows.min(initial=0) < 0 or rows.max(initial=-1) >= len(table) - 1:
        raise ValueError("rows of levels must be those of their table")
    return Categories(levels, found, table, suffixes)
