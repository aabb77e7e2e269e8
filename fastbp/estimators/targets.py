"""Several targets of several classes each: y, outputs in blocks, predictions and their score.

A target has a block of outputs, of which its own labels say the meaning: one output for two
classes, else one for each. The functions `read` and `decode` are those of a single target.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastbp.estimators.inputs import sound_targets
from fastbp.estimators.labels import Labels, TargetBinarizers, labels_of_targets
from fastbp.estimators.metrics import Accuracy
from fastbp.runtime.decoding import blocks_of_widths, join_columns

LINK = "grouped_softmax"
LOSS = "grouped_log_loss"


def are_several(y: Any) -> bool:
    """Whether y has several columns of labels, and not one for each label (an indicator matrix).

    A y that is neither is left to scikit-learn's checks.
    """
    if scipy.sparse.issparse(y) or y.ndim != 2 or y.shape[1] < 2:
        return False
    if y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all():
        return False
    if y.dtype.kind == "O":
        columns = columns_of(y)
        if any(column.dtype.kind == "O" for column in columns):
            return all(map(_are_labels, columns))
        y = np.column_stack(columns)
    return bool(type_of_target(y) == TargetBinarizers.y_type_)


def _are_labels(column: NDArray[Any]) -> bool:
    """Whether these are labels of one target."""
    try:
        return type_of_target(column) in ("binary", "multiclass")
    except (TypeError, ValueError):  # such as strings among numbers
        return False


def columns_of(y: Any, n_targets: int | None = None, name: str = "y") -> list[NDArray[Any]]:
    """The columns of y, in a dtype of their own if y has objects that are numbers.

    ValueError unless there is one for each target.
    """
    if scipy.sparse.issparse(y):
        raise ValueError(f"{name} has several targets and must be dense, got a {type(y).__name__}.")
    n_columns = y.shape[1] if y.ndim == 2 else 1
    if n_targets is not None and n_columns != n_targets:
        raise ValueError(
            f"{name} has {n_columns} columns, but the fitted model has {n_targets} targets."
        )
    return [_own_dtype(column) for column in y.reshape(len(y), -1).T]


def _own_dtype(column: NDArray[Any]) -> NDArray[Any]:
    """The column of a frame with columns of several dtypes, as it was there if it has numbers."""
    if column.dtype.kind == "O":
        own = np.array(column.tolist())
        if own.dtype.kind in "biuf":
            return own
    return column


def check_width(labels: Labels, n_outputs: int) -> None:
    """Raise ValueError unless the targets have so many outputs in all."""
    expected = sum(one.width for one in labels.targets)
    if expected != n_outputs:
        raise ValueError(
            f"{len(labels.targets)} targets with {[len(one.classes) for one in labels.targets]} "
            f"classes have {expected} outputs (one for two classes), but the model has {n_outputs}."
        )


def blocks_of(labels: Labels, outputs: NDArray[Any]) -> list[NDArray[Any]]:
    """The outputs of each target."""
    return blocks_of_widths(outputs, [one.width for one in labels.targets])


def read_targets(
    y: Any,
    labels: Labels | None,
    read: Callable[[NDArray[Any], Labels | None], tuple[NDArray[Any], Labels]],
) -> tuple[NDArray[Any], Labels]:
    """What `read` makes of each column, side by side, and the labels."""
    columns = columns_of(y, None if labels is None else len(labels.targets))
    known = [None] * len(columns) if labels is None else labels.targets
    pairs = []
    for number, (column, one) in enumerate(zip(columns, known, strict=True)):
        with _about_column(number, "y"):
            pairs.append(read(column, one))
    if labels is None:
        labels = labels_of_targets(one for _, one in pairs)
    return np.hstack([indicators for indicators, _ in pairs]), labels


def read_validation_targets(
    y: Any, labels: Labels, read: Callable[[NDArray[Any], Labels], NDArray[Any]]
) -> NDArray[Any]:
    """What `read` makes of each column of y_val, side by side."""
    parts = []
    pairs = zip(columns_of(y, len(labels.targets), "y_val"), labels.targets, strict=True)
    for number, (column, one) in enumerate(pairs):
        with _about_column(number, "y_val"):
            parts.append(read(column, one))
    return np.hstack(parts)


@contextmanager
def _about_column(number: int, name: str) -> Iterator[None]:
    """Add the number of the column to errors."""
    try:
        yield
    except ValueError as error:
        error.args = (f"column {number} of {name}: {error}",)
        raise


def class_numbers(y: NDArray[Any], labels: Labels) -> list[NDArray[np.intp]]:
    """The index of each sample's class, for each target; y has a column for each output."""
    return [
        block.argmax(axis=1) if one.width > 1 else block[:, 0].astype(np.intp)
        for one, block in zip(labels.targets, blocks_of(labels, y), strict=True)
    ]


def decode_targets(
    labels: Labels,
    outputs: NDArray[Any],
    decode: Callable[[Labels, NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    """What `decode` makes of the outputs of each target, a column for each."""
    blocks = blocks_of(labels, outputs)
    return join_columns([decode(*pair) for pair in zip(labels.targets, blocks, strict=True)])


# ---- the score


class AllRight:
    """The share of rows whose labels are right for all targets, as of MultiOutputClassifier.

    Parameters
    ----------
    y_true : ndarray of shape (n_samples, n_targets)
    sample_weight : array-like of shape (n_samples,) or None
    """

    def __init__(self, y_true: NDArray[Any], sample_weight: Any) -> None:
        self.y_true = y_true
        self.share = Accuracy(np.ones(len(y_true), np.intp), sample_weight)

    def __call__(self, y_pred: NDArray[Any]) -> float:
        check_consistent_length(self.y_true, y_pred)
        return self.share((self.y_true == y_pred).all(axis=1).astype(np.intp))


def score_of_targets(
    binarizers: TargetBinarizers, y: Any, sample_weight: Any, predict: Callable[[], NDArray[Any]]
) -> float:
    """The score of the result of predict(), after the checks of y."""
    y = check_array(sound_targets(y), accept_sparse="csr", ensure_2d=False, dtype=None)
    columns = columns_of(y, len(binarizers.binarizers))
    return AllRight(join_columns(columns), sample_weight)(predict())


# ---- classes that are given


def classes_of_targets(classes: Any) -> list[NDArray[Any]] | None:
    """The labels of each target, if `classes` is a list with an array for each, else None."""
    if not isinstance(classes, list | tuple) or len(classes) < 2:
        return None
    if not all(isinstance(one, list | tuple) or hasattr(one, "__array__") for one in classes):
        return None
    if not all(len(np.shape(np.asarray(one, object))) == 1 for one in classes):
        return None
    return [unique_labels(one) for one in classes]


def refuse_other_classes(known: Any, classes: Any, given: list[NDArray[Any]]) -> None:
    """Raise ValueError, in the words of scikit-learn, unless these are the known classes."""
    is_list = isinstance(known, list) and len(known) == len(given)
    if not is_list or not all(map(np.array_equal, known, given)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}"
        )
