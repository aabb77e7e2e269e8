"""Lazy predictions: a collection of the kind of X, with the model once in its graph."""

from __future__ import annotations

import copy
from typing import Any

import dask
import numpy as np
from dask.delayed import Delayed

from fastbp.dask.parts import is_distributed

NOT_NEEDED = ("_optimizer", "_resume", "_random_state")  # by predictions


def to_predict_with(local: Any) -> Any:
    """A copy of a fitted estimator without what training alone needs: a third of its size."""
    model = copy.copy(local)
    for name in NOT_NEEDED:
        vars(model).pop(name, None)
    return model


def lazily(local: Any, method: str, X: Any) -> Any:
    """The result of a method of a fitted estimator, for each partition of X.

    Parameters
    ----------
    local : MLPClassifier or MLPRegressor
    method : str
        'predict', 'predict_proba', ...
    X : dask Array, DataFrame, list of delayed, or what the method itself takes

    Returns
    -------
    predictions : dask Array, Series, DataFrame, list of delayed, or the method's own result
        Of the kind of X; frames keep their index. A list of them for several targets.
    """
    if not is_distributed(X):
        return getattr(local, method)(X)
    model = dask.delayed(to_predict_with(local), name=None, pure=False, traverse=False)
    example = getattr(local, method)(_example(local, X))
    if not isinstance(example, list):
        return _one(model, method, X, example, None)
    return [_one(model, method, X, one, number) for number, one in enumerate(example)]


def _example(local: Any, X: Any) -> Any:
    """A row of the dtype of X, for which a prediction shows dtype and shape."""
    if hasattr(X, "_meta_nonempty"):
        return X._meta_nonempty[:1]
    dtype = getattr(X, "dtype", np.dtype(np.float64))
    row = np.zeros((1, local.n_features_in_), dtype)
    names = getattr(local, "feature_names_in_", None)
    if names is None:
        return row
    import pandas

    return pandas.DataFrame(row, columns=names)


def _one(model: Delayed, method: str, X: Any, example: Any, number: int | None) -> Any:
    """The predictions of all partitions; `number` is that of the target, if there are several."""
    if isinstance(X, list | tuple):
        predict = dask.delayed(of_partition, pure=False)
        return [predict(part, model, method, number) for part in X]
    if hasattr(X, "map_partitions") and hasattr(X, "columns"):
        meta = as_frame(example, X._meta_nonempty[:1].index)[:0]
        return X.map_partitions(of_frame, model, method, number, meta=meta)
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    arguments = dict(model=model, method=method, number=number, dtype=example.dtype)
    meta = example[:0]
    if example.ndim == 1:
        return X.map_blocks(of_partition, **arguments, drop_axis=1, meta=meta)
    chunks = X.chunks[0], (example.shape[1],)
    return X.map_blocks(of_partition, **arguments, chunks=chunks, meta=meta)


def of_partition(part: Any, model: Any, method: str, number: int | None) -> Any:
    """The predictions of one partition, which may be empty; a task."""
    n_rows = part.shape[0] if hasattr(part, "shape") else len(part)
    if n_rows == 0:
        part = _example(model, np.empty(0, getattr(part, "dtype", np.float64)))
    result = getattr(model, method)(part)
    result = result if number is None else result[number]
    return result[:0] if n_rows == 0 else result


def of_frame(part: Any, model: Any, method: str, number: int | None) -> Any:
    """The predictions of one partition of a frame, with its index; a task."""
    return as_frame(of_partition(part, model, method, number), part.index)


def as_frame(values: Any, index: Any) -> Any:
    """Predictions as a Series, or as a frame if there are several columns."""
    import pandas

    kind = pandas.Series if values.ndim == 1 else pandas.DataFrame
    return kind(values, index=index)
