"""A table as users give it, checked; and which of its columns are categories."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from fastbp.kernels import is_core_float
from fastbp.tables import Columns, frame_kind, refusal


def plain(X: Any, estimator: BaseEstimator) -> Any:
    """X as a frame of pandas or polars, or as an array of two dimensions that is not empty."""
    kind = frame_kind(X)
    if kind == "lazy":
        raise TypeError("X is a LazyFrame of polars: call its method collect first.")
    if kind is None and hasattr(X, "to_pandas") and hasattr(X, "columns"):  # pyarrow's tables
        X = X.to_pandas()
        kind = "frame"
    if kind == "frame":
        _check_frame(X, estimator)
        return X
    if np.ma.isMaskedArray(X):
        X = np.ma.filled(X.astype(np.float64 if X.dtype.kind in "fiu" else object), np.nan)
    elif not isinstance(X, np.ndarray) and not scipy.sparse.issparse(X):
        X = _array_of_list(X)
    return check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator, input_name="X")


def _array_of_list(X: Any) -> Any:
    """An array of a list, in which numbers beside strings stay numbers."""
    try:
        array = np.asarray(X)
    except ValueError:  # rows of different lengths; scikit-learn says so
        return X
    return np.array(X, dtype=object) if array.dtype.kind in "US" else array


def _check_frame(X: Any, estimator: BaseEstimator) -> None:
    """Check that a frame is not empty, in scikit-learn's words, and that its names differ."""
    if 0 in X.shape:
        check_array(np.broadcast_to(False, X.shape), estimator=estimator)
    names = list(X.columns)
    if len(set(names)) < len(names):
        repeated = list(dict.fromkeys(name for name in names if names.count(name) > 1))
        raise ValueError(
            "X has several columns of the same name, so that it is not known which is which: "
            f"{', '.join(map(repr, repeated))}. Rename them."
        )


def check_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype of the output; ValueError unless it is float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if dtype is None or found is None or not is_core_float(found):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")
    return found


def categorical_mask(
    columns: Columns, given: Any, names: NDArray[np.object_] | None
) -> NDArray[np.bool_]:
    """Which columns are categories; `given` and the messages are as in HistGradientBoosting."""
    n_features = columns.shape[1]
    if isinstance(given, str) and given == "from_dtype":
        return np.array([_is_category(columns, i) for i in range(n_features)], bool)
    mask = np.zeros(n_features, bool)
    if given is None:
        return mask
    chosen = np.asarray(given)
    if chosen.size == 0:
        return mask
    kinds = {type(item) for item in chosen.ravel().tolist()}
    if chosen.ndim != 1 or len(kinds) > 1 or not kinds <= {bool, int, str}:
        words = "from_dtype, None, or an array-like of bool, int or str of one dimension"
        raise ValueError(f"categorical_features must be {words}, got {given!r}.")
    if kinds == {str}:
        mask[_places(chosen.tolist(), names)] = True
    elif kinds == {int}:
        if chosen.max() >= n_features or chosen.min() < 0:
            raise ValueError(
                "categorical_features set as integer indices must be in "
                f"[0, n_features - 1] = [0, {n_features - 1}], got {given!r}."
            )
        mask[chosen.astype(np.intp)] = True
    else:
        if len(chosen) != n_features:
            raise ValueError(
                "categorical_features set as a boolean mask must have shape (n_features,) = "
                f"({n_features},), got: {chosen.shape}."
            )
        mask[:] = chosen
    return mask


def _places(chosen: list[str], names: NDArray[np.object_] | None) -> list[int]:
    """Where the chosen names are among those of the features."""
    if names is None:
        raise ValueError(
            "categorical_features should be passed as an array of integers or as a boolean mask "
            "when the model is fitted on data without feature names."
        )
    known = names.tolist()
    for name in chosen:
        if name not in known:
            raise ValueError(
                f"categorical_features has an item value {name!r} which is not a valid feature "
                f"name of the training data. Observed feature names: {known}"
            )
    return [known.index(name) for name in chosen]


def _is_category(columns: Columns, column: int) -> bool:
    """Whether a column is a category by its dtype; an error if it can be nothing."""
    kind = columns.kind(column)
    if kind not in ("number", "category"):
        raise refusal(columns, column, kind)
    return kind == "category"
