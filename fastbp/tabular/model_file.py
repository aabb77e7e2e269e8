"""What a model file keeps of tabular estimators: tables of columns, and results of folds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import inputs
from fastbp.estimators.savable import names_node, read_names, read_parameters
from fastbp.files import Reader, Record, Writer
from fastbp.tabular.codes import Numbers
from fastbp.tabular.intervals import Errors
from fastbp.tabular.levels import Categories
from fastbp.tabular.preprocessor import Tables, TabularPreprocessor, learned_of
from fastbp.tabular.scaling import Scale
from fastbp.tabular.table import check_dtype

TRANSFORMER = "TabularPreprocessor"
OUTPUTS = ("default", "pandas", "polars")  # of set_output


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


# ---- the transformer


def transformer_node(transformer: TabularPreprocessor, writer: Writer) -> dict[str, Any]:
    """The description of a fitted transformer."""
    if type(transformer) is not TabularPreprocessor:
        raise TypeError(
            f"transformer_ is a {type(transformer).__name__}, which a model file cannot hold"
        )
    draft = inputs.draft_of(transformer)
    if not isinstance(draft.dtype, str):
        draft.dtype = Record("dtype", {"name": check_dtype(draft.dtype).name})
    names = draft._get_param_names()
    output = getattr(draft, "_sklearn_output_config", {}).get("transform")
    return {
        "class": TRANSFORMER,
        "params": {name: writer.value(getattr(draft, name), name) for name in names},
        "fitted": names_node(draft, writer),
        "output": output,
        "dtype": draft._dtype.name,
        "tables": _tables_node(draft._tables, writer),
    }


def _tables_node(tables: Tables, writer: Writer) -> dict[str, Any]:
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


def read_transformer(node: Any, reader: Reader) -> TabularPreprocessor:
    """The transformer of a description; ValueError if it is not sound."""
    parts = {"class", "params", "fitted", "output", "dtype", "tables"}
    reader.fields(node, "transformer", parts)
    if node["class"] != TRANSFORMER or node["output"] not in (None, *OUTPUTS):
        raise ValueError("transformer is of an unknown class, or has an unknown output")
    given = read_parameters(TabularPreprocessor, node["params"], reader)
    kind = given.get("dtype")
    if isinstance(kind, Record):
        if kind.name != "dtype" or kind.fields not in ({"name": "float32"}, {"name": "float64"}):
            raise ValueError("dtype must be float32 or float64")
        given["dtype"] = np.dtype(kind.fields["name"]).type
    transformer = TabularPreprocessor(**given)
    transformer._validate_params()
    if node["dtype"] not in ("float32", "float64"):
        raise ValueError("dtype of the transformer must be float32 or float64")
    if node["output"] is not None:
        transformer.set_output(transform=node["output"])
    tables = _read_tables(node["tables"], reader)
    n_features = len(tables.is_categorical)
    names = read_names(node["fitted"], n_features, reader)
    transformer.__dict__.update(learned_of(tables, np.dtype(node["dtype"])), **names)
    return transformer


def _read_tables(node: Any, reader: Reader) -> Tables:
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
    return Tables(is_categorical, numbers, categories)


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


# ---- out-of-fold results


def errors_node(errors: list[Errors], writer: Writer) -> list[dict[str, Any]]:
    """The errors of rows that members have not seen."""
    return [
        {
            "members": [int(k) for k in one.members],
            "errors": writer.tensor(one.errors, f"errors.{k}"),
        }
        for k, one in enumerate(errors)
    ]


def read_errors(node: Any, n_members: int, n_outputs: int, reader: Reader) -> list[Errors]:
    """What `errors_node` described, after checks."""
    if not isinstance(node, list):
        raise ValueError("errors must be a list")
    found = []
    for one in node:
        members = reader.fields(one, "errors", {"members", "errors"})["members"]
        if not isinstance(members, list) or not members:
            raise ValueError("errors must be those of members")
        if not all(type(k) is int and 0 <= k < n_members for k in members):
            raise ValueError(f"errors must be those of members, which are {n_members}")
        errors = array_of(one["errors"], "errors", reader, np.float64, None, n_outputs)
        if not (errors >= 0).all():
            raise ValueError("errors must not be negative")
        found.append(Errors(members, errors))
    return found


def oof_node(draft: Any, writer: Writer, out_of_fold: bool) -> dict[str, Any]:
    """Out-of-fold predictions, if there are any, and their score."""
    prediction = draft.oof_prediction_ if out_of_fold else None
    if prediction is not None:
        prediction = writer.tensor(prediction, "oof_prediction_")
    return {
        "oof_prediction_": prediction,
        "oof_score_": writer.value(draft.oof_score_, "oof_score_"),
    }


def read_oof(
    node: Any, dtype: Any, shape: tuple[int | None, ...], reader: Reader
) -> dict[str, Any]:
    """What `oof_node` described, after checks of dtype and shape."""
    prediction, score = node["oof_prediction_"], reader.value(node["oof_score_"], "oof_score_")
    if prediction is not None:
        prediction = array_of(prediction, "oof_prediction_", reader, dtype, *shape)
    if score is not None and type(score) is not float:
        raise ValueError("oof_score_ must be a float or null")
    return {"oof_prediction_": prediction, "oof_score_": score}
