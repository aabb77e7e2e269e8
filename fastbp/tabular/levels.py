"""The tables of categories, learned from the levels of the training data."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.tables import Categories, Coded, Floats, Scale, is_missing
from fastbp.tabular.scaling import robust_scale


def learn_categories(column: Coded, max_categories: int | None) -> Categories:
    """The tables of a categorical column.

    Two levels, with none missing, are one column of -1 and 1. Otherwise there is a column for each
    level. If this makes more than `max_categories` columns, then the rarest levels share the last.
    """
    counts = np.bincount(column.places[column.places >= 0], minlength=len(column.values))
    n_samples = len(column.places)
    present = {
        value: int(count)
        for value, count in zip(column.values, counts, strict=True)
        if count and not is_missing(value)
    }
    levels = _sorted(present)
    frequencies = [present[level] for level in levels]
    rows, kept = _group(levels, frequencies, max_categories)
    n_kinds = len(kept) + (len(kept) < len(levels))
    sizes = np.bincount([rows[level] for level in levels], frequencies, n_kinds).astype(np.intp)
    suffixes = [f"_{level}" for level in kept] + ["_infrequent"] * (n_kinds - len(kept))
    if n_kinds == 2 and sizes.sum() == n_samples:
        raw, suffixes = np.array([[-1.0], [1.0], [0.0]]), suffixes[1:]
        low, high, highs = -1.0, 1.0, sizes[1:]
    elif n_kinds:
        raw = np.eye(n_kinds + 1, n_kinds)
        low, high, highs = 0.0, 1.0, sizes
    else:  # nothing is known
        raw, suffixes = np.zeros((1, 1)), [""]
        low, high, highs = 0.0, 1.0, np.zeros(1, np.intp)
    scale = _scale_of_two_values(low, high, highs, n_samples)
    return Categories(_objects(levels), rows, scale(raw), suffixes)


def _sorted(levels: Iterable[Any]) -> list[Any]:
    """The levels sorted; by type and text if they cannot be compared."""
    levels = list(levels)
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=lambda level: (type(level).__name__, str(level)))


def _objects(levels: Sequence[Any]) -> NDArray[np.object_]:
    """The levels as an array of one dimension, also if they are tuples."""
    array = np.empty(len(levels), object)
    array[:] = levels
    return array


def _group(
    levels: list[Any], frequencies: list[int], max_categories: int | None
) -> tuple[dict[Hashable, int], list[Any]]:
    """For each level its column, and the levels that have a column of their own."""
    if max_categories is None or len(levels) <= max_categories:
        return {level: row for row, level in enumerate(levels)}, levels
    order = np.argsort(-np.array(frequencies), kind="stable")  # equal ones: the first levels
    kept = [levels[i] for i in sorted(order[: max_categories - 1])]
    rows: dict[Hashable, int] = dict.fromkeys(levels, len(kept))
    rows.update((level, row) for row, level in enumerate(kept))
    return rows, kept


def _scale_of_two_values(low: float, high: float, highs: NDArray[np.intp], n_samples: int) -> Scale:
    """The scale of columns of n_samples numbers, of which `highs` are high and the others low."""
    first_high = n_samples - highs
    counts = np.full(len(highs), n_samples)

    def at(places: NDArray[np.intp]) -> Floats:
        return np.where(places < first_high, low, high)

    return Scale(np.ones(len(highs)), *robust_scale(at, counts))
