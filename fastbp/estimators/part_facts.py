"""What a fit has to know of all its data, found in one part after another and joined."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from fastbp.estimators import inputs
from fastbp.estimators.exact import exact_sums
from fastbp.estimators.form import Form
from fastbp.estimators.inputs import Features, Matrix
from fastbp.estimators.labels import is_soft
from fastbp.estimators.moments import Moments, moments_of
from fastbp.estimators.precision import largest_of
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.targets import classes_of_targets, columns_of

AGAIN = 3  # samples of a label: scikit-learn warns where most labels are of one sample


class LabelFacts(NamedTuple):
    """What is known of the samples of a label."""

    total: Fraction  # of their weights, without an error
    largest: float  # weight


NO_SAMPLES = LabelFacts(Fraction(0), 0.0)
ByLabel: TypeAlias = Mapping[Any, LabelFacts]


class TargetFacts(NamedTuple):
    """What is known of y."""

    dtype: np.dtype[Any]
    n_columns: int | None  # None: y has one dimension
    is_sparse: bool = False
    is_soft: bool = False
    labels: tuple[ByLabel, ...] = ()  # of each column of class labels
    moments: Moments | None = None  # of numbers, for each output


class PartFacts(NamedTuple):
    """What is known of a part of the data, or of several parts."""

    n_rows: int
    features: Features
    form: Form
    n_entries: int  # of CSR rows; 0 for dense ones
    targets: TargetFacts
    largest_x: float
    largest_weight: float  # 1 without weights

    @property
    def entries_per_row(self) -> float | None:
        """Mean number of entries of a CSR row; None for dense rows."""
        return self.n_entries / self.n_rows if self.form.is_sparse else None


def facts_of_part(
    estimator: CheckedEstimator, X: Matrix, y: Any, sample_weight: Any = None
) -> PartFacts:
    """The facts of one part of the training data, after all checks of it.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        It is not changed. If it is to be trained on, the part must have its features.
    X, y, sample_weight
        As `fit` takes them.

    Raises
    ------
    ValueError, TypeError
        As `fit` raises them.
    """
    draft = inputs.draft_of(estimator)
    reset = not hasattr(draft, "n_features_in_")
    X, y, features = inputs.check_training_data(
        draft, X, y, reset=reset, y_numeric=draft._y_is_numeric
    )
    weights = inputs.check_weights(sample_weight, X, some=False)
    if draft._y_is_numeric:
        targets = _facts_of_numbers(draft, y, weights)
    else:
        targets = _facts_of_labels(y, weights)
    return PartFacts(
        n_rows=X.shape[0],
        features=features,
        form=Form.of(X, sample_weight),
        n_entries=0 if isinstance(X, np.ndarray) else int(X.nnz),
        targets=targets,
        largest_x=largest_of(X),
        largest_weight=1.0 if weights is None else float(weights.max()),
    )


def _facts_of_numbers(
    draft: CheckedEstimator, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> TargetFacts:
    """Those of a regressor's y."""
    columns, _ = draft._read_targets(y, None, False)
    columns = columns.reshape(len(y), -1)
    n_columns = y.shape[1] if y.ndim == 2 else None
    with np.errstate(over="ignore"):
        moments = moments_of(columns.astype(np.float64, copy=False), weights)
    return TargetFacts(y.dtype, n_columns, moments=moments)


def _facts_of_labels(y: Any, weights: NDArray[np.float64] | None) -> TargetFacts:
    """Those of a classifier's y."""
    is_sparse = scipy.sparse.issparse(y)
    y = y.toarray() if is_sparse else y
    n_columns = y.shape[1] if y.ndim == 2 else None
    if is_soft(y):
        return TargetFacts(y.dtype, n_columns, is_soft=True)
    labels = tuple(_facts_by_label(column, weights) for column in columns_of(y))
    return TargetFacts(y.dtype, n_columns, is_sparse, labels=labels)


def _facts_by_label(column: NDArray[Any], weights: NDArray[np.float64] | None) -> ByLabel:
    """The facts of each label of a column."""
    if column.dtype.kind == "f":  # labels, or numbers, of which there may be very many
        check_classification_targets(column)
    labels, codes = np.unique(column, return_inverse=True)
    largest = np.ones(len(labels))
    if weights is not None:
        largest[:] = 0
        np.maximum.at(largest, codes, weights)
    facts = map(LabelFacts, exact_sums(weights, codes, len(labels)), largest.tolist())
    return dict(zip(labels.tolist(), facts, strict=True))


# ---- parts that are joined


def join_facts(left: PartFacts, right: PartFacts) -> PartFacts:
    """The facts of two parts together; ValueError if they are not parts of one table."""
    _check_features(left.features, right.features)
    left.form.check(right.form)
    return left._replace(
        n_rows=left.n_rows + right.n_rows,
        n_entries=left.n_entries + right.n_entries,
        targets=_joined_targets(left.targets, right.targets),
        largest_x=max(left.largest_x, right.largest_x),
        largest_weight=max(left.largest_weight, right.largest_weight),
    )


def _check_features(left: Features, right: Features) -> None:
    """Raise ValueError unless both are the same."""
    names = [None if one.names is None else [*one.names] for one in (left, right)]
    wrong = ""
    if left.n_features != right.n_features:
        wrong = f"X has {right.n_features} features, before it had {left.n_features}"
    elif names[0] != names[1]:
        wrong = f"X has the feature names {names[1]}, before it had {names[0]}"
    if wrong:
        raise ValueError(f"{wrong}: all rows must have the same features.")


def _joined_targets(left: TargetFacts, right: TargetFacts) -> TargetFacts:
    if left.n_columns != right.n_columns:
        shapes = ["one dimension" if n is None else f"{n} columns" for n in (left[1], right[1])]
        raise ValueError(f"y has {shapes[1]}, before it had {shapes[0]}.")
    dtype = _joined_dtype(left.dtype, right.dtype)
    moments = left.moments
    if moments is not None and right.moments is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            moments = moments.joined(right.moments)
    is_soft = left.is_soft or right.is_soft
    labels: tuple[ByLabel, ...] = ()
    if not is_soft:
        labels = tuple(map(_joined_labels, left.labels, right.labels))
    return TargetFacts(
        dtype, left.n_columns, left.is_sparse or right.is_sparse, is_soft, labels, moments
    )


def _joined_dtype(left: np.dtype[Any], right: np.dtype[Any]) -> np.dtype[Any]:
    """A dtype for the labels or numbers of both; ValueError for text beside numbers."""
    if left == right:
        return left
    kinds = {"number" if one.kind in "biuf" else one.kind for one in (left, right)}
    if len(kinds) > 1 and not kinds <= {"U", "O"}:
        raise ValueError(f"y has the dtype {right}, before it had {left}.")
    return np.result_type(left, right)


def _joined_labels(left: ByLabel, right: ByLabel) -> ByLabel:
    joined = dict(left)
    for label, new in right.items():
        old = joined.get(label, NO_SAMPLES)
        joined[label] = LabelFacts(old.total + new.total, max(old.largest, new.largest))
    return joined


# ---- what follows from them


def few_targets(targets: TargetFacts) -> Any:
    """A small y with all labels, from which the labels of all parts can be read."""
    if targets.is_soft:
        row = np.full(targets.n_columns or 1, 1 / (targets.n_columns or 1), targets.dtype)
        return np.tile(row, (2, 1))
    columns = [np.array(sorted(one), targets.dtype) for one in targets.labels]
    longest = max(map(len, columns)) * AGAIN
    columns = [np.resize(one, longest) for one in columns]
    if targets.n_columns is None:
        return columns[0]
    y = np.column_stack(columns)
    return scipy.sparse.csr_array(y) if targets.is_sparse else y


def with_classes(
    targets: TargetFacts, classes: Any, others: LabelFacts = NO_SAMPLES
) -> TargetFacts:
    """The targets with the given classes; `others` are the facts of those that y has not.

    ValueError if y has other labels.
    """
    with inputs.about("classes"):
        several = classes_of_targets(classes)
        given = [unique_labels(classes)] if several is None else several
    if targets.is_soft or (several is None and targets.n_columns is not None):
        n_columns = targets.n_columns
        if several is not None or not np.array_equal(given[0], np.arange(n_columns or 0)):
            raise ValueError(
                f"y has {n_columns} columns, one for each class, so classes must be 0 to "
                f"{(n_columns or 0) - 1}, got {classes!r}."
            )
        indicators = tuple({0: others, 1: others, **column} for column in targets.labels)
        return targets._replace(labels=indicators)
    if len(given) != len(targets.labels):
        raise ValueError(f"classes are of {len(given)} targets, but y has {len(targets.labels)}.")
    labels = []
    for of_y, known in zip(targets.labels, given, strict=True):
        every = dict.fromkeys(known.tolist(), others)
        unknown = [label for label in of_y if label not in every]
        if unknown:
            raise ValueError(f"y has labels that are not in classes: {unknown[:9]}.")
        labels.append({**every, **of_y})
    dtype = targets.dtype
    for known in given:
        dtype = _joined_dtype(dtype, known.dtype)
    return targets._replace(dtype=dtype, labels=tuple(labels))
