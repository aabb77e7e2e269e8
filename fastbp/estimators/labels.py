"""Labels of classifiers: classes with their binarizer, labels without checks, and soft labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from fastbp.estimators.scikit_learn import label_binarizer
from fastbp.runtime.decoding import is_above_half, largest_column
from fastbp.training.state_checks import described

SUM_TOLERANCE = 1e-6  # of a row of soft labels
NO_CLASSES: NDArray[Any] = np.empty(0)  # of a regressor


class Labels(NamedTuple):
    """The classes of a classifier, its LabelBinarizer, and the kind of its targets."""

    classes: Any = NO_CLASSES  # of several targets a list with an array for each
    binarizer: Any = None  # of scikit-learn, which has no types, or TargetBinarizers
    soft: bool = False  # whether targets are rows of probabilities
    targets: tuple[Labels, ...] = ()  # of several targets of several classes each

    @property
    def width(self) -> int:
        """The number of outputs of a target: one for two classes."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def widths(self) -> NDArray[np.float64]:
        """The number of outputs of each of several targets, as the core takes them."""
        return np.array([one.width for one in self.targets], np.float64)

    @property
    def is_multinomial(self) -> bool:
        """Whether the outputs are the probabilities of classes that exclude each other."""
        return self.binarizer is not None and self.binarizer.y_type_ == "multiclass"


class TargetBinarizers:
    """The LabelBinarizer of each of several targets, in the place of a single one.

    Parameters
    ----------
    binarizers : tuple of LabelBinarizer
    """

    y_type_ = "multiclass-multioutput"
    sparse_input_ = False

    def __init__(self, binarizers: tuple[Any, ...]) -> None:
        self.binarizers = binarizers

    @property
    def classes_(self) -> list[NDArray[Any]]:
        """The classes of each target."""
        return [np.asarray(one.classes_) for one in self.binarizers]


def labels_of_targets(targets: Iterable[Labels]) -> Labels:
    """The labels of several targets, of which each has several classes."""
    targets = tuple(targets)
    binarizers = TargetBinarizers(tuple(one.binarizer for one in targets))
    return Labels([one.classes for one in targets], binarizers, targets=targets)


def known_labels(binarizers: TargetBinarizers) -> Labels:
    """The labels of a fitted model of several targets."""
    pairs = zip(binarizers.classes_, binarizers.binarizers, strict=True)
    targets = tuple(Labels(classes, binarizer) for classes, binarizer in pairs)
    return Labels([one.classes for one in targets], binarizers, targets=targets)


def fitted_labels(classes: Any, binarizer: Any) -> Labels:
    """The labels of the attributes of a fitted classifier; ValueError if they do not fit."""
    if isinstance(binarizer, TargetBinarizers):
        labels = known_labels(binarizer)
        wanted = [one.classes.shape for one in labels.targets]
        if not isinstance(classes, list | tuple) or [np.shape(one) for one in classes] != wanted:
            raise ValueError(
                f"classes_ must be a list of {len(wanted)} arrays of labels, as in "
                f"_label_binarizer, got {described(classes)}."
            )
        arrays = [np.asarray(one) for one in classes]
        pairs = zip(labels.targets, arrays, strict=True)
        targets = tuple(one._replace(classes=own) for one, own in pairs)
        return labels._replace(classes=arrays, targets=targets)
    names, known = np.asarray(classes), len(binarizer.classes_)
    if names.shape != (known,):
        raise ValueError(
            f"classes_ must be a list or an array of {known} labels, as in _label_binarizer, got "
            f"{described(classes)}."
        )
    return Labels(names, binarizer)


# ---- from columns to classes


def choice_of(binarizer: Any) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    """The function from columns to the index of each row's class; None if scikit-learn decodes."""
    if not binarizer.sparse_input_:
        if binarizer.y_type_ == "multiclass":
            return largest_column
        if binarizer.y_type_ == "binary" and len(binarizer.classes_) == 2:
            return is_above_half
    return None


# ---- labels that need no checks


class PlainLabels(NamedTuple):
    """Integer labels, or strings, that scikit-learn need not check."""

    classes: NDArray[Any]
    indices: NDArray[np.intp]  # the index of each sample's class
    is_complete: bool  # whether each class has a sample


def plain_labels(y: NDArray[Any], classes: NDArray[Any] | None = None) -> PlainLabels | None:
    """The labels y as PlainLabels, or None if scikit-learn has to check them.

    It has to check labels that are neither integers nor, where `classes` are given, strings; and
    those that are not in `classes`. If there are many classes, it may warn.
    """
    if type(y) is not np.ndarray or y.ndim != 1 or not y.dtype.isnative:
        return None
    if classes is not None and y.dtype.kind in "UO" and classes.dtype.kind in "UO":
        strings, known = _as_strings(y), _as_strings(classes)
        if strings is None or known is None:
            return None
        y, classes = strings, known
    elif y.dtype.kind not in "biu":
        return None
    if classes is None:
        classes, indices = np.unique(y, return_inverse=True)
    elif classes.dtype == y.dtype or y.dtype.kind == "U":
        indices = classes.searchsorted(y)
        if (classes.take(indices, mode="clip") != y).any():
            return None
    else:
        return None
    if len(y) > 20 and 2 * len(classes) > len(y):
        return None
    is_complete = bool(np.bincount(indices, minlength=len(classes)).all())
    return PlainLabels(classes, indices, is_complete)


def _as_strings(array: NDArray[Any]) -> NDArray[np.str_] | None:
    """An array of strings, also if it holds them as objects; None if it holds other objects."""
    if array.dtype.kind == "O":
        if not all(type(label) is str for label in array.tolist()):
            return None
        array = array.astype(np.str_)
    return array


# ---- soft labels


def is_soft(y: Any) -> bool:
    """Whether y is soft labels: a matrix of probabilities in [0, 1] that are not all 0 or 1.

    ValueError if the numbers are probabilities, but those of a row do not sum to one.
    """
    if scipy.sparse.issparse(y):
        return False
    y = np.asarray(y)
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind != "f" or ((y == 0) | (y == 1)).all():
        return False
    if not (y.min() >= 0 and y.max() <= 1 + SUM_TOLERANCE):
        return False
    check_probabilities(y, "y")
    return True


def check_probabilities(y: NDArray[Any], name: str) -> None:
    """Raise ValueError unless the rows of y are not negative and sum to one."""
    least, sums = y.min(), y.sum(axis=1, dtype=np.float64)
    worst = sums[np.abs(sums - 1).argmax()]
    if least < 0 or not abs(worst - 1) <= SUM_TOLERANCE:
        raise ValueError(
            f"{name} is a matrix of real numbers, which are soft labels: each row must be >= 0 and "
            f"sum to 1 within {SUM_TOLERANCE:g}, got a minimum of {least:g} and a sum of {worst:g}."
        )


def soft_labels(n_classes: int) -> Labels:
    """The labels of soft labels: the numbers of the columns."""
    classes = np.arange(n_classes)
    return Labels(classes, label_binarizer(classes, "multiclass"), soft=True)


def is_shares(y: Any) -> bool:
    """Whether y is soft labels, or an indicator matrix with one class in each row."""
    if y.ndim != 2 or scipy.sparse.issparse(y):
        return False
    return is_soft(y) or (y.dtype.kind in "biuf" and (y.sum(axis=1) == 1).all())


def most_probable(y: Any, binarizer: Any) -> Any:
    """The most probable class of each row of soft labels, or y itself if it has other labels."""
    labels = Labels(binarizer=binarizer)
    try:
        matrix = np.asarray(y)
        classes = np.asarray(binarizer.classes_)
    except (AttributeError, ValueError):  # others say what is wrong
        return y
    if not labels.is_multinomial or not is_shares(matrix):
        return y
    return classes.take(probabilities(matrix, Labels(classes), "y").argmax(axis=1))


def probabilities(y: Any, labels: Labels, name: str) -> NDArray[np.floating]:
    """Soft labels, also if all of them are 0 or 1."""
    if y.shape[1] != len(labels.classes):
        raise ValueError(
            f"{name} has {y.shape[1]} columns, but there are {len(labels.classes)} classes."
        )
    y = y if y.dtype.kind == "f" else y.astype(np.float64)
    check_probabilities(y, name)
    return y
