"""Folds: which rows train a member, and which are held out of it."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

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
    largest = 0 if classes is None else int(np.unique(classes, return_counts=True)[1].max())
    splitter: Any
    if largest < 2:
        splitter, classes = KFold if groups is None else GroupKFold, None
    else:
        wanted = min(wanted, largest)
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    make = splitter(wanted, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # known: labels are all seen
        pairs = list(make.split(np.zeros(len(rows)), classes, groups))
    folds = [Fold(rows[train], rows[held_out]) for train, held_out in pairs if len(held_out)]
    return [folds[k % len(folds)] for k in range(n_members)]
