"""Folds: which rows train a member, and which are held out of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold
from sklearn.utils.validation import column_or_1d

from fastbp.tables import is_missing
from fastbp.tabular.recipe import LEAST_FOLDS

Rows = NDArray[np.intp]


class Fold(NamedTuple):
    """Rows by their indices."""

    train: Rows
    held_out: Rows


def folds_of_members(
    rows: Rows,
    n_members: int,
    classes: NDArray[Any] | None,
    groups: NDArray[Any] | None,
    random_state: np.random.RandomState,
) -> list[Fold]:
    """The fold of each member.

    There are as many folds as members, but at least five, so that a member trains on 80 % of the
    rows; then some rows are held out of no member. Where the rows, or the groups, or the rows of
    the largest class, are fewer than that, several members share a fold.

    Parameters
    ----------
    rows : ndarray of intp
        The rows to be shared out.
    n_members : int
    classes : ndarray of shape (len(rows),), default=None
        The class of each row: folds have about the same share of each class.
    groups : ndarray of shape (len(rows),), default=None
        Rows of one group are all in the same fold.
    random_state : RandomState

    Raises
    ------
    ValueError
        If there are less than two rows or groups.
    """
    wanted = max(n_members, LEAST_FOLDS)
    n_groups = len(rows) if groups is None else len(np.unique(groups))
    if n_groups < 2:
        what = f"n_samples={len(rows)}" if groups is None else f"{n_groups} group"
        raise ValueError(
            f"Found {what}, but members are validated on folds, which need 2 at least."
        )
    wanted = min(wanted, n_groups)
    counts, codes = np.zeros(1, np.intp), None
    if classes is not None:
        codes, counts = _numbered(classes)
        if counts.max() > 1:
            wanted = min(wanted, int(counts.max()))
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    if counts.max() > 1 and codes is not None and groups is None:
        places = _dealt(codes, wanted, seed)
        folds = [Fold(rows[places != one], rows[places == one]) for one in range(wanted)]
    else:
        splitter: Any = KFold if groups is None else GroupKFold
        if counts.max() > 1 and codes is not None:
            splitter = StratifiedGroupKFold
            # scikit-learn warns of classes that are not in every fold
            codes = np.where(counts[codes] < wanted, counts.argmax(), codes)
        pairs = splitter(wanted, shuffle=True, random_state=seed).split(rows, codes, groups)
        folds = [Fold(rows[train], rows[held_out]) for train, held_out in pairs if len(held_out)]
    return [folds[k % len(folds)] for k in range(n_members)]


def numbers_of_groups(groups: Any) -> NDArray[np.intp]:
    """The group of each row as a number.

    Raises
    ------
    ValueError
        If a group is missing.
    TypeError
        If groups cannot be compared.
    """
    groups = column_or_1d(groups)
    if groups.dtype.kind not in "biuSU" and any(map(is_missing, groups.tolist())):
        raise ValueError("groups has missing values: give each row a group.")
    try:
        return np.unique(groups, return_inverse=True)[1]
    except TypeError as error:
        raise TypeError(f"groups must be numbers or strings, and not both: {error}") from None


def _numbered(classes: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The number of each row's class, in the order of their first rows; the rows of each class."""
    _, first, codes = np.unique(classes, return_index=True, return_inverse=True)
    codes = first.argsort().argsort()[codes]
    return codes, np.bincount(codes)


def _dealt(codes: NDArray[np.intp], n_folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each row: those of scikit-learn's StratifiedKFold, without its warnings.

    It warns of classes that have fewer rows than there are folds; to catch the warning would change
    the filters of other threads.
    """
    random_state, ordered = np.random.RandomState(seed), np.sort(codes)
    places = np.empty(len(codes), np.intp)
    for code in range(ordered[-1] + 1):
        of_class = np.sort(np.flatnonzero(ordered == code) % n_folds)
        random_state.shuffle(of_class)
        places[codes == code] = of_class
    return places
