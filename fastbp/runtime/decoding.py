"""From the outputs of a network to labels, probabilities, means and deviations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.files import SavedLabels
from fastbp.kernels import core


def largest_column(columns: NDArray[Any]) -> NDArray[np.intp]:
    """The index of the largest number of each row."""
    return columns.argmax(1)


def is_above_half(column: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each number of a column is above 1/2."""
    return column.ravel() > 0.5


def of_each_class(n_classes: int, probability: NDArray[np.floating]) -> NDArray[np.floating]:
    """The probabilities of all classes of a target, of which two have one output."""
    if n_classes == 1:
        return np.ones_like(probability)
    if probability.shape[1] == 1:
        both = np.empty((len(probability), 2), probability.dtype)
        np.subtract(1, probability, out=both[:, :1])
        both[:, 1:] = probability
        return both
    return probability


def blocks_of_widths(outputs: NDArray[Any], widths: Sequence[int]) -> list[NDArray[Any]]:
    """The outputs of each of several targets, which have so many."""
    return np.split(outputs, np.cumsum(widths)[:-1], axis=1)


def join_columns(columns: list[NDArray[Any]]) -> NDArray[Any]:
    """Labels of each target side by side; of objects if there are strings and others."""
    kinds = {column.dtype.kind in "US" for column in columns}
    is_mixed = len(kinds) > 1 or any(column.dtype.kind == "O" for column in columns)
    joined = np.empty(
        (len(columns[0]), len(columns)),
        object if is_mixed else np.result_type(*(column.dtype for column in columns)),
    )
    for number, column in enumerate(columns):
        joined[:, number] = column
    return joined


def numbers_of(outputs: NDArray[Any], *, is_gaussian: bool = False) -> NDArray[Any]:
    """Predicted numbers, with one dimension if there is one column.

    Those of a Gaussian model are the means, the first half of its outputs.
    """
    if is_gaussian:
        outputs = np.ascontiguousarray(outputs[:, : outputs.shape[1] // 2])
    return outputs.ravel() if outputs.shape[1] == 1 else outputs


def deviations_of(outputs: NDArray[Any]) -> NDArray[Any]:
    """The standard deviations that a Gaussian model predicts, a column for each mean."""
    std = np.ascontiguousarray(outputs[:, outputs.shape[1] // 2 :]) / 2  # half a log variance
    core.kernel_link(core.LINKS["exp"], std)  # whose bits are the same on all processors
    return std


# ---- labels, of a model file


def probabilities_of(labels: SavedLabels, outputs: NDArray[Any]) -> Any:
    """The probabilities of all classes; a list with those of each target if there are several."""
    if labels.targets:
        pairs = zip(labels.targets, _blocks(labels, outputs), strict=True)
        return [of_each_class(len(classes_of(one)), block.copy()) for one, block in pairs]
    n_classes = len(classes_of(labels))
    return outputs if n_classes > 2 else of_each_class(n_classes, outputs)


def labels_of(labels: SavedLabels, outputs: NDArray[Any]) -> NDArray[Any]:
    """The labels that a network of a classifier predicts, a column for each of several targets."""
    if labels.targets:
        pairs = zip(labels.targets, _blocks(labels, outputs), strict=True)
        return join_columns([labels_of(one, block) for one, block in pairs])
    classes = classes_of(labels)
    if labels.kind == "multilabel-indicator":
        return indicators_of(outputs)
    if labels.kind == "multiclass":
        return classes.take(largest_column(outputs))
    if len(classes) == 1:
        return np.repeat(classes[0], len(outputs))
    return classes.take(is_above_half(outputs))


def labels_of_probabilities(labels: SavedLabels, probability: Any) -> NDArray[Any]:
    """The labels of the largest probabilities of an ensemble."""
    if labels.targets:
        pairs = zip(labels.targets, probability, strict=True)
        return join_columns([classes_of(one).take(largest_column(each)) for one, each in pairs])
    if labels.kind == "multilabel-indicator":
        return indicators_of(probability)
    return classes_of(labels).take(largest_column(probability))


def indicators_of(probability: NDArray[Any]) -> NDArray[np.int_]:
    """1 for each label that is more probable than not, else 0."""
    return (probability > 0.5).astype(int)


def classes_of(labels: SavedLabels) -> NDArray[Any]:
    """The classes of one target."""
    assert labels.classes is not None
    return labels.classes


def _blocks(labels: SavedLabels, outputs: NDArray[Any]) -> list[NDArray[Any]]:
    return blocks_of_widths(outputs, [one.n_outputs for one in labels.targets])
