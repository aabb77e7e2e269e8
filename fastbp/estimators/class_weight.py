"""Weights of classes: the factor of each sample's weight that its class gives."""

from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.exact import exact_sums, rounded
from fastbp.estimators.labels import Labels
from fastbp.estimators.targets import class_numbers

BALANCED_NEEDS_ALL_SAMPLES = (
    "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' weights, "
    "use compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a large "
    "enough sample of the full training set target to properly estimate the class frequency "
    "distributions. Pass the resulting weights as the class_weight parameter."
)
NO_LIST_OF_DICTS = (
    "For multi-output, class_weight should be a list of dicts, or the string 'balanced'."
)
ALL_ZERO = (
    "Sample weights must contain at least one non-zero number: class_weight makes all weights of "
    "{} zero."
)
Totals: TypeAlias = list[NDArray[np.float64]]  # for each target, by class
NO_SOFT_LABELS = (
    "class_weight needs class labels, but y is soft labels: weigh their rows by sample_weight."
)


class ClassWeights(NamedTuple):
    """The weights of the classes of each target, from the targets of the training samples."""

    tables: list[NDArray[np.float64]]
    labels: Labels

    def times(
        self,
        sample_weight: NDArray[np.float64] | None,
        y: NDArray[Any],
        name: str = "y",
        *,
        some: bool = True,
    ) -> NDArray[np.float64]:
        """The samples' weights times those of their classes: for several targets their product.

        y has a column for each output. With `some`, not all products may be zero.
        """
        columns = zip(self.tables, _codes(y, self.labels), strict=True)
        factors = [table[codes] for table, codes in columns]
        product = np.prod(factors, axis=0)
        if sample_weight is not None:
            with np.errstate(over="ignore"):
                product = sample_weight * product
        if not np.isfinite(product).all():
            raise ValueError("sample_weight times class_weight is too large for float64.")
        if some and not product.any():
            raise ValueError(ALL_ZERO.format(name))
        return product

    def largest(self, sample_weights: list[NDArray[np.float64]]) -> float:
        """The largest of all products, given the largest weight of each class's samples.

        Of several targets it is a bound: their largest weights may be those of different samples.
        """
        bounds = []
        for k, (table, largest) in enumerate(zip(self.tables, sample_weights, strict=True)):
            others = [other.max() for number, other in enumerate(self.tables) if number != k]
            with np.errstate(over="ignore"):
                bounds.append(np.prod([(table * largest).max(), *others]))
        return float(min(bounds))


def class_weights_of(
    class_weight: Any,
    totals: Callable[[], Totals],
    n_outputs: int,
    labels: Labels,
    incremental: bool,
) -> ClassWeights | None:
    """The weights of classes that the parameter asks for; None: all are 1.

    Parameters
    ----------
    class_weight : dict, list of dict, 'balanced' or None
        The parameter.
    totals : callable
        ``totals()`` is, for each target, the weight of the training samples of each class.
    n_outputs : int
    labels : Labels
    incremental : bool
        Whether the job is a call of `partial_fit`.

    Raises
    ------
    ValueError
        If the weights do not belong to the classes, are negative or not finite; if y is soft
        labels; or for 'balanced' in `partial_fit`.
    """
    if class_weight is None:
        return None
    if incremental and isinstance(class_weight, str):
        raise ValueError(BALANCED_NEEDS_ALL_SAMPLES)
    if labels.soft:
        raise ValueError(NO_SOFT_LABELS)
    is_multilabel = labels.binarizer.y_type_ == "multilabel-indicator"
    known = [one.classes.tolist() for one in labels.targets]  # of each of several targets
    if is_multilabel:
        known = [[0, 1]] * n_outputs
    if isinstance(class_weight, str):
        tables = [_balanced(of_class) for of_class in totals()]
    elif known:
        tables = _of_dicts(class_weight, known)
    else:
        if not isinstance(class_weight, Mapping):
            raise ValueError(
                "class_weight must be a dict or 'balanced' for a single target, got a list: "
                f"{class_weight!r}."
            )
        tables = [_of_dict(class_weight, labels.classes.tolist())]
    return ClassWeights(tables, labels)


def _codes(y: NDArray[Any], labels: Labels) -> list[NDArray[np.intp]]:
    """The index of each sample's class, for each target."""
    if labels.targets:
        return class_numbers(y, labels)
    if labels.is_multinomial:
        return [y.argmax(axis=1)]
    return list(y.T.astype(np.intp))


def totals_of(y: NDArray[Any], sample_weight: NDArray[np.float64] | None, labels: Labels) -> Totals:
    """For each target the weight of the samples of each class; y has a column for each output.

    The sums are exact until they are rounded, so they do not depend on the order of the samples.
    """
    sizes = [len(one.classes) for one in labels.targets or (labels,)]
    columns = _codes(y, labels)
    if len(columns) != len(sizes):  # of an indicator matrix
        sizes = [2] * len(columns)
    pairs = zip(columns, sizes, strict=True)
    return [rounded(exact_sums(sample_weight, codes, n)) for codes, n in pairs]


def _balanced(of_class: NDArray[np.float64]) -> NDArray[np.float64]:
    """W / (K W_c), with W_c the weight of the samples of class c, of K classes that have any."""
    present = of_class > 0
    weights = np.zeros(len(of_class))
    weights[present] = of_class.sum() / (present.sum() * of_class[present])
    return weights


def _of_dicts(class_weight: Any, known: list[list[Any]]) -> list[NDArray[np.float64]]:
    """The tables of a list with a dict for each target, of known classes."""
    if not isinstance(class_weight, Sequence):
        raise ValueError(NO_LIST_OF_DICTS)
    if len(class_weight) != len(known):
        raise ValueError(
            "For multi-output, number of elements in class_weight should match number of outputs. "
            f"Got {len(class_weight)} element(s) while having {len(known)} outputs."
        )
    for one in class_weight:
        if not isinstance(one, Mapping):
            raise ValueError(NO_LIST_OF_DICTS)
    return [_of_dict(one, classes) for one, classes in zip(class_weight, known, strict=True)]


def _of_dict(class_weight: Mapping[Any, Any], classes: list[Any]) -> NDArray[np.float64]:
    """The weight of each class; 1 for those that are not in the dict."""
    for name, weight in class_weight.items():
        if not _is_weight(weight):
            raise ValueError(f"class_weight must be finite and >= 0, got {name!r}: {weight!r}.")
    weights, missing = np.ones(len(classes)), []
    for k, name in enumerate(classes):
        key = name if name in class_weight else _key_of_scikit_learn(name)
        if key in class_weight:
            weights[k] = class_weight[key]
        else:
            missing.append(key)
    if missing and len(classes) - len(missing) != len(class_weight):
        raise ValueError(f"The classes, {missing}, are not in class_weight")
    return weights


def _is_weight(weight: Any) -> bool:
    """Whether this is a finite number >= 0."""
    try:
        return isinstance(weight, Real) and 0 <= float(weight) < np.inf
    except OverflowError:  # of an integer that no float holds
        return False


def _key_of_scikit_learn(name: Any) -> int | str:
    """The key by which `compute_class_weight` looks up a class: "1" as 1."""
    try:
        return int(name)
    except (TypeError, ValueError):
        return str(name)
