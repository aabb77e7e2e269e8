"""Laws of folds, for many small tables with all kinds of classes and groups."""

import warnings

import numpy as np
import pytest

from fastbp.tabular.folds import folds_of_members


def draw(seed):
    """Rows, the number of members, and perhaps classes and groups."""
    random = np.random.RandomState(seed)
    n_rows = random.randint(2, 30)
    rows = np.sort(random.choice(50, n_rows, replace=False))
    n_members = random.randint(1, 9)
    classes = random.randint(random.randint(1, 7), size=n_rows) if seed % 2 else None
    groups = None
    if seed % 4 > 1:
        groups = np.unique(random.randint(random.randint(2, 9), size=n_rows), return_inverse=True)[
            1
        ]
        if seed % 8 > 5 and classes is not None:
            classes = groups % 3  # a class has whole groups
        groups = np.array(list("abcdefghi"))[groups]
    return rows, n_members, classes, groups, random


@pytest.mark.parametrize("part", range(4))
def test_folds_of_small_tables(part):
    for seed in range(part, 480, 4):
        rows, n_members, classes, groups, random = draw(seed)
        if groups is not None and len(np.unique(groups)) < 2:
            with pytest.raises(ValueError, match="Found 1 group, but"):
                folds_of_members(rows, n_members, classes, groups, random)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            folds = folds_of_members(rows, n_members, classes, groups, random)
        assert len(folds) == n_members
        held_out = np.concatenate(
            [one.held_out for one in {id(one): one for one in folds}.values()]
        )
        assert len(set(held_out)) == len(held_out), seed  # no row is in two folds
        assert n_members < 5 or set(held_out) == set(rows), seed
        for train, others in folds:
            assert len(train) and len(others), seed
            assert sorted([*train, *others]) == rows.tolist(), seed
            if groups is not None:
                known = dict(zip(rows, groups, strict=True))
                assert not {known[row] for row in train} & {known[row] for row in others}, seed


@pytest.mark.parametrize("n_members", [1, 5, 8])
def test_folds_are_as_equal_as_possible(n_members):
    classes = np.repeat([0, 1, 2], [50, 30, 16])
    random = np.random.RandomState(0)
    n_folds = max(5, n_members)
    for known in (classes, None):
        folds = folds_of_members(np.arange(96), n_members, known, None, random)
        for _, held_out in folds:
            assert abs(len(held_out) - 96 / n_folds) <= (3 if known is not None else 1)
            if known is not None:
                counts = np.bincount(classes[held_out], minlength=3)
                assert (np.abs(counts - np.array([50, 30, 16]) / n_folds) < 1).all()


def test_folds_follow_the_seed():
    one, two, other = (
        folds_of_members(np.arange(40), 5, None, None, np.random.RandomState(seed))
        for seed in (0, 0, 1)
    )
    assert all((a.held_out == b.held_out).all() for a, b in zip(one, two, strict=True))
    assert any((a.held_out != b.held_out).any() for a, b in zip(one, other, strict=True))
    assert any((np.diff(fold.held_out) != 1).any() for fold in one)  # shuffled
