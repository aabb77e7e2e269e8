"""What a model file keeps of tabular estimators: tables of columns, and results of folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp.estimators import inputs
from fastbp.estimators.savable import names_node, read_names, read_parameters
from fastbp.files import Reader, Record, Writer
from fastbp.files.names import PARTS_OF_TRANSFORMER
from fastbp.tables import array_of, encoding_node, read_encoding
from fastbp.tabular.intervals import Errors
from fastbp.tabular.preprocessor import TabularPreprocessor, learned_of
from fastbp.tabular.table import check_dtype

TRANSFORMER = "TabularPreprocessor"
OUTPUTS = ("default", "pandas", "polars")  # of set_output


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
        "tables": encoding_node(draft._tables, writer),
    }


def read_transformer(node: Any, reader: Reader) -> TabularPreprocessor:
    """The transformer of a description; ValueError if it is not sound."""
    reader.fields(node, "transformer", PARTS_OF_TRANSFORMER)
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
    check_dtype(transformer.dtype)
    if node["dtype"] not in ("float32", "float64"):
        raise ValueError("dtype of the transformer must be float32 or float64")
    if node["output"] is not None:
        transformer.set_output(transform=node["output"])
    tables = read_encoding(node["tables"], reader)
    n_features = len(tables.is_categorical)
    names = read_names(node["fitted"], n_features, reader)
    transformer.__dict__.update(learned_of(tables, np.dtype(node["dtype"])), **names)
    return transformer


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
