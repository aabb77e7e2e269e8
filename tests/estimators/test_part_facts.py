"""Facts of parts: sums without an error, moments, and any cut of the rows."""

import math
from fractions import Fraction
from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import exact
from fastbp.estimators.exact import exact_sums, rounded
from fastbp.estimators.moments import Moments, moments_of
from fastbp.estimators.part_facts import facts_of_part, few_targets, join_facts
from sources import ragged

LEAST, MOST = 5e-324, float(np.finfo(np.float64).max)
WEIGHTS = {
    "usual": lambda rng, n: rng.rand(n),
    "integers": lambda rng, n: rng.randint(0, 9, n).astype(np.float64),
    "of-all-sizes": lambda rng, n: 10.0 ** rng.uniform(-323, 308, n),
    "denormal": lambda rng, n: LEAST * rng.randint(0, 9, n),
    "largest": lambda rng, n: np.full(n, MOST),
    "extremes": lambda rng, n: rng.choice([0.0, LEAST, 1.0, 1e308, MOST], n),
}
over_weights = pytest.mark.parametrize("kind", WEIGHTS)


# ---- exact sums


@over_weights
def test_sums_are_exact_whatever_the_order(kind):
    rng = np.random.RandomState(len(kind))
    weights, codes = WEIGHTS[kind](rng, 300), rng.randint(0, 4, 300)
    pairs = list(zip(map(Fraction, weights.tolist()), codes.tolist(), strict=True))
    expected = [sum((one for one, of in pairs if of == code), Fraction()) for code in range(5)]
    order = rng.permutation(300)
    assert exact_sums(weights, codes, 5) == expected
    assert exact_sums(weights[order], codes[order], 5) == expected


def test_without_weights_samples_are_counted():
    assert exact_sums(None, np.array([2, 0, 2]), 4) == [1, 0, 2, 0]


def test_sums_of_many_numbers_are_cut(monkeypatch):
    rng = np.random.RandomState(0)
    weights, codes = WEIGHTS["extremes"](rng, 100), rng.randint(0, 3, 100)
    expected = exact_sums(weights, codes, 3)
    monkeypatch.setattr(exact, "AT_ONCE", 7)
    assert exact_sums(weights, codes, 3) == expected


def test_as_many_halves_as_are_added_at_once_fit_into_a_float():
    assert exact.AT_ONCE * (2**exact.HALF - 1) <= 2**53


def test_sums_are_rounded_to_the_nearest_float():
    tenth = exact_sums(np.full(10, 0.1), np.zeros(10, np.intp), 1)
    assert rounded(tenth)[0] == math.fsum([0.1] * 10) == 1.0
    half = Fraction(1, 2**53)
    assert rounded([1 + half, 1 + half + half / 2**1000, Fraction(LEAST)]).tolist() == [
        1.0,
        1 + 2**-52,
        LEAST,
    ]
    assert rounded([2 * Fraction(MOST)])[0] == np.inf


# ---- moments


def joined_moments(y, weights, edges):
    parts = [
        moments_of(y[first:stop], None if weights is None else weights[first:stop])
        for first, stop in pairwise(edges)
        if first < stop
    ]
    total = parts[0]
    for one in parts[1:]:
        total = total.joined(one)
    return total


def assert_close(found: Moments, expected: Moments):
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.spread, expected.spread, rtol=1e-12)
    np.testing.assert_array_equal(found.least, expected.least)
    np.testing.assert_array_equal(found.most, expected.most)


@pytest.mark.parametrize("kind", [None, *WEIGHTS])
@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_all_rows_for_any_cut(kind, seed):
    rng = np.random.RandomState(seed)
    y = rng.randn(400, 3) * [1, 1e3, 1e-3] + [0, 5e3, 1]
    weights = None if kind is None else WEIGHTS[kind](rng, 400)
    share = np.ones(400) if kind is None else weights / weights.max()
    mean = np.average(y, axis=0, weights=share)
    spread = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=share))
    whole = moments_of(y, weights)
    np.testing.assert_allclose(whole.mean, mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole.spread, spread, rtol=1e-12)
    for edges in (ragged(rng, 400, 9), range(0, 401, 8), [0, 1, 400]):
        assert_close(joined_moments(y, weights, edges), whole)


def test_moments_are_associative():
    rng = np.random.RandomState(1)
    a, b, c = (moments_of(rng.randn(n, 2) + n, rng.rand(n)) for n in (3, 40, 200))
    assert_close(a.joined(b).joined(c), a.joined(b.joined(c)))
    assert_close(a.joined(b), b.joined(a))


def test_what_is_constant_has_no_spread():
    y = np.column_stack([np.full(30, 0.1), np.arange(30)])
    weights = (np.arange(30) % 10 == 3) * 0.7  # of them 3, 13 and 23 count
    for edges in ([0, 30], [0, 3, 4, 5, 30], range(31)):
        found = joined_moments(y, weights, edges)
        assert found.spread[0] == 0 and found.spread[1] > 8
        assert found.least[1] == 3 and found.most[1] == 23
    nothing = joined_moments(y, np.zeros(30), [0, 10, 30])
    assert nothing.weight == 0 and nothing.spread.tolist() == [0, 0]


# ---- facts of parts


def facts_of(estimator, X, y, weights, edges):
    """The facts of the parts between the edges, joined."""
    parts = [slice(*pair) for pair in pairwise(edges) if pair[0] < pair[1]]
    rows = [(X[part], y[part], None if weights is None else weights[part]) for part in parts]
    return reduce(join_facts, [facts_of_part(estimator, *one) for one in rows])


RNG = np.random.RandomState(0)
Y = RNG.randint(0, 3, 200)
LABELS = {
    "integers": Y,
    "strings": np.array(["a", "bb", "ccc"])[Y],
    "objects": np.array(["a", "bb", "ccc"], object)[Y],
    "bools": Y > 0,
    "indicators": np.eye(3, dtype=int)[Y],
    "sparse-indicators": sparse.csr_array(np.eye(3, dtype=int)[Y]),
    "targets": np.column_stack([Y, 5 - Y]),
    "soft": np.where(np.arange(200)[:, None] % 50, np.eye(3)[Y], 1 / 3),  # most are 0 or 1
}


@pytest.mark.parametrize("kind", [None, "extremes"])
@pytest.mark.parametrize("name", LABELS)
def test_facts_of_labels_are_the_same_for_any_cut(name, kind):
    rng = np.random.RandomState(len(name))
    X, y = rng.randn(200, 4), LABELS[name]
    weights = None if kind is None else WEIGHTS[kind](rng, 200)
    whole = facts_of_part(MLPClassifier(), X, y, weights)
    for edges in (ragged(rng, 200, 4), [0, 1, 199, 200]):
        found = facts_of(MLPClassifier(), X, y, weights, edges)
        assert found == whole
    seen = few_targets(whole.targets)
    if name != "soft":
        columns = [one if sparse.issparse(one) else np.asarray(one) for one in (seen, y)]
        columns = [one.toarray() if sparse.issparse(one) else one for one in columns]
        for few, many in zip(*(one.reshape(len(one), -1).T for one in columns), strict=True):
            assert set(few.tolist()) == set(many.tolist())


@pytest.mark.parametrize("form", ["dense", "csr", "frame", "float32"])
def test_facts_of_numbers_are_the_same_for_any_cut(form):
    rng = np.random.RandomState(3)
    X, y = np.where(rng.rand(200, 4) < 0.5, rng.randn(200, 4), 0), rng.randn(200, 2)
    if form == "csr":
        X = sparse.csr_array(X)
    elif form == "frame":
        X = pd.DataFrame(X, columns=list("abcd"))
    elif form == "float32":
        X, y = X.astype(np.float32), y.astype(np.float32)
    estimator = MLPRegressor()

    def parts(edges):
        return facts_of(estimator, Cut(X), y, None, edges)

    whole = parts([0, 200])
    found = parts(ragged(rng, 200, 20))
    assert_close(found.targets.moments, whole.targets.moments)
    targets = whole.targets._replace(moments=None)
    assert found.targets._replace(moments=None) == targets
    assert found.features.n_features == 4
    assert found._replace(targets=targets, features=None) == whole._replace(
        targets=targets, features=None
    )
    assert found.n_entries == (X.nnz if form == "csr" else 0)
    assert found.form.is_sparse == (form == "csr")
    assert found.form.dtype == (np.float32 if form == "float32" else np.float64)
    assert not hasattr(estimator, "n_features_in_")


class Cut:
    """X whose slices are rows, also of a frame."""

    def __init__(self, X):
        self.X = X

    def __getitem__(self, part):
        return self.X.iloc[part] if hasattr(self.X, "iloc") else self.X[part]


def test_joining_is_associative():
    X = RNG.randn(30, 2)
    parts = [
        facts_of_part(MLPClassifier(), X[k : k + 10], Y[k : k + 10], WEIGHTS["extremes"](RNG, 10))
        for k in (0, 10, 20)
    ]
    a, b, c = parts
    assert join_facts(join_facts(a, b), c) == join_facts(a, join_facts(b, c))
