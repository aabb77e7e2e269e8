"""Checks of X, without scikit-learn but in its words."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_NAMES = 5  # in a message


class Features(NamedTuple):
    """The features of a model.

    Parameters
    ----------
    model : str
        The name of its class, for messages.
    n_features : int
    names : ndarray of str or None
        If all names were strings in the fit.
    """

    model: str
    n_features: int
    names: NDArray[Any] | None


def check_rows(X: Any, features: Features) -> NDArray[Any]:
    """X as an array of real numbers with the features of a model, in native byte order.

    Whether all numbers are finite is not looked at.
    """
    columns = getattr(X, "column_names", getattr(X, "columns", None))  # of pyarrow, of a frame
    if columns is not None:
        check_names(list(columns), features)
    try:
        array = np.asarray(X)
        if array.dtype.kind == "O" and array.ndim:
            array = array.astype(_common_dtype(X))
    except (TypeError, ValueError) as error:  # rows of different lengths
        raise ValueError(f"X must be an array of real numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(
            f"X must be an array of real numbers, got {type(X).__name__} of dtype {array.dtype}."
        )
    check_shape(array, features)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _common_dtype(X: Any) -> Any:
    """The dtype of numbers that are objects: a frame makes objects of columns that differ."""
    dtypes = list(getattr(X, "dtypes", ()))
    if dtypes and all(isinstance(one, np.dtype) and one.kind in "fiub" for one in dtypes):
        return np.result_type(*dtypes)
    return np.float64


def check_shape(array: NDArray[Any], features: Features) -> None:
    """Raise ValueError unless an array has rows with a number for each feature."""
    if array.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: X has the shape {array.shape}. "
            "Reshape your data either using array.reshape(-1, 1) if your data has a single feature "
            "or array.reshape(1, -1) if it contains a single sample."
        )
    if len(array) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required "
            f"by {features.model}."
        )
    if array.shape[1] != features.n_features:
        raise ValueError(
            f"X has {array.shape[1]} features, but {features.model} is expecting "
            f"{features.n_features} features as input."
        )


def check_finite(array: NDArray[Any]) -> None:
    """Raise ValueError if a number is NaN or infinite."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    if np.isnan(array).any():
        raise ValueError("Input X contains NaN.")
    raise ValueError(f"Input X contains infinity or a value too large for {array.dtype!r}.")


def check_names(given: list[Any], features: Features, *, ordered: bool = True) -> None:
    """Raise ValueError if columns have names, and others than in the fit, or another order."""
    if features.names is None or not all(isinstance(name, str) for name in given):
        return
    known = features.names.tolist()
    if given == known:
        return
    message = "The feature names should match those that were passed during fit.\n"
    if unseen := sorted(set(given) - set(known)):
        message += f"Feature names unseen at fit time:\n{_listed(unseen)}"
    if missing := sorted(set(known) - set(given)):
        message += f"Feature names seen at fit time, yet now missing:\n{_listed(missing)}"
    if unseen or missing:
        raise ValueError(message)
    if ordered or len(given) != len(known):
        raise ValueError(f"{message}Feature names must be in the same order as they were in fit.\n")


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = names[:MOST_NAMES] + ["..."] * (len(names) > MOST_NAMES)
    return "".join(f"- {name}\n" for name in shown)
