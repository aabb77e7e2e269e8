"""Windows of samples: each row once, in the order that the rule states."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastbp.estimators.inputs import as_rows
from fastbp.threads import ahead
from fastbp.training import Samples, cut_blocks, joined_samples
from fastbp.training.windows import Windows
from sources import ragged

over_forms = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
over_weights = pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])


def samples_of(n, sparse=False, weighted=False):
    """Samples whose target is the number of their row."""
    rng = np.random.RandomState(n)
    x = rng.randn(n, 3) * (rng.rand(n, 3) < 0.5)
    rows = np.arange(n, dtype=np.float64)
    x = as_rows(csr_array(x) if sparse else x, np.float64)
    return Samples(x, rows[:, None], rows + 0.5 if weighted else None)


def copied(samples):
    return samples.take(np.arange(len(samples)))


def read_from(samples):
    return lambda first, stop: copied(samples[first:stop])


def dense(x):
    """Rows as an array, also those of CSR."""
    return csr_array(tuple(x)[:3], shape=(x.n_rows, x.n_features)).toarray() if sparse_of(x) else x


def sparse_of(x):
    return not isinstance(x, np.ndarray)


def assert_same(found, expected):
    np.testing.assert_array_equal(dense(found.x), dense(expected.x))
    np.testing.assert_array_equal(found.y, expected.y)
    assert (found.weight is None) == (expected.weight is None)
    if found.weight is not None:
        np.testing.assert_array_equal(found.weight, expected.weight)


# ---- blocks


@pytest.mark.parametrize("seed", range(20))
def test_blocks_tile_the_rows_within_their_limits(seed):
    rng = np.random.RandomState(seed)
    n, target = rng.randint(1, 500), rng.randint(1, 40)
    most = target + rng.randint(0, 40)
    borders = None if seed % 3 == 0 else ragged(rng, n, rng.randint(0, 60))
    edges = cut_blocks(n, target, most, borders)
    sizes = np.diff(edges)
    assert edges[0] == 0 and edges[-1] == n and (sizes > 0).all() and (sizes <= most).all()
    for first, stop in pairwise(edges.tolist()):
        if borders is None:
            assert stop - first == target or stop == n
            continue
        inner = borders[(borders > first) & (borders < stop)]
        assert not len(inner) or stop in borders  # a block of several ranges ends with one
        following = borders[borders > first].min()
        if stop not in borders:  # a range that no block can hold is cut
            assert stop - first == most and following > stop
        elif following <= first + target:  # as many ranges as the target holds
            assert stop == borders[borders <= first + target].max()


def test_ranges_larger_than_the_target_stay_whole():
    assert cut_blocks(100, 10, 60, np.array([0, 50, 100])).tolist() == [0, 50, 100]
    assert cut_blocks(100, 10, 40, np.array([0, 50, 100])).tolist() == [0, 40, 50, 90, 100]


# ---- windows


def parts_of(tasks):
    """Copies of the results of tasks, whose memory is used again."""
    with ahead(tasks) as results:
        return [
            (copied(one.samples), one.order.copy()) if isinstance(one, tuple) else copied(one)
            for one in results
        ]


@over_forms
@over_weights
@pytest.mark.parametrize("seed", range(6))
def test_in_order_all_samples_come_once(seed, sparse, weighted):
    rng = np.random.RandomState(seed)
    n, most, multiple = rng.randint(1, 300), rng.randint(20, 60), rng.randint(1, 20)
    samples = samples_of(n, sparse, weighted)
    edges = cut_blocks(n, rng.randint(1, 20), most, ragged(rng, n, 9) if seed % 2 else None)
    windows = Windows(read_from(samples), edges, most, samples.entries_per_row)
    parts = parts_of(windows.in_order(multiple))
    assert all(len(part) % multiple == 0 for part in parts[:-1])
    assert all(len(part) <= max(most, multiple) for part in parts)
    assert_same(joined_samples(parts), samples)


@over_forms
@over_weights
@pytest.mark.parametrize("shuffled", [False, True], ids=["in-order", "shuffled"])
@pytest.mark.parametrize("seed", range(6))
def test_an_epoch_has_each_sample_once(seed, shuffled, sparse, weighted):
    """Only the last window has samples that fill no batch."""
    rng = np.random.RandomState(seed)
    n, most, batch = rng.randint(1, 300), rng.randint(20, 60), rng.randint(1, 20)
    samples = samples_of(n, sparse, weighted)
    edges = cut_blocks(n, rng.randint(1, 20), most, ragged(rng, n, 9) if seed % 2 else None)
    windows = Windows(read_from(samples), edges, most, samples.entries_per_row, batch)
    parts = parts_of(windows.of_epoch(seed if shuffled else None, 4))
    assert all(len(order) % batch == 0 for _, order in parts[:-1])
    seen = joined_samples([part.take(order) for part, order in parts])
    rows = seen.y[:, 0].astype(np.intp)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    assert_same(seen, samples.take(rows))
    if not shuffled:
        np.testing.assert_array_equal(rows, np.arange(n))


@pytest.mark.parametrize("densities", [(0.2, 0.2), (0.02, 0.2), (0.2, 0.02)], ids=str)
def test_sparse_samples_are_not_copied_twice(densities):
    """Of one window and of several, whose entries come evenly, ever more or ever fewer of them."""
    n, rng = 40_000, np.random.RandomState(0)
    rows = np.linspace(*densities, n)[:, None]
    samples = Samples(as_rows(csr_array(rng.rand(n, 30) < rows), np.float64), np.zeros((n, 1)))
    whole = sum(array.nbytes for array in (*samples.x[:3], samples.y))
    for most in (n, n // 4):
        edges = cut_blocks(n, n // 100, most, None)
        windows = Windows(read_from(samples), edges, most, samples.entries_per_row, 10)
        tracemalloc.start()
        try:
            for task in windows.of_epoch(0, 0):
                task()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # In a window of some rows may be more entries than expected: then its room grows.
        growth = 1.3 if most == n or densities[0] == densities[1] else 2.6
        assert peak < growth * (whole if most == n else whole / 2), peak / whole


def stream(seed, epoch, n=400, most=60, batch=7):
    """The rows of an epoch, and for each the number of the window that it was read in."""
    samples = samples_of(n)
    windows = Windows(read_from(samples), cut_blocks(n, 9, most, None), most, None, batch)
    parts = parts_of(windows.of_epoch(seed, epoch))
    rows = [part.y[order, 0].astype(np.intp) for part, order in parts]
    return np.concatenate(rows), [part.y[:, 0].astype(np.intp) for part, _ in parts], rows


def test_the_rule_of_the_shuffle():
    """All rows of a block are in one window, or the last of them first in the next."""
    _, held, used = stream(3, 0)
    blocks_of = [set((one // 9).tolist()) for one in held]
    left: set = set()
    for number, (rows, order) in enumerate(zip(held, used, strict=True)):
        before = len(left)
        assert set(rows[:before].tolist()) == left
        np.testing.assert_array_equal(order[:before], rows[:before])  # they come first
        for block in blocks_of[number] - {row // 9 for row in left}:
            assert np.isin(np.arange(block * 9, min(block * 9 + 9, 400)), rows).all()
        left = set(rows.tolist()) - set(order.tolist())
        assert len(left) < 7
    assert not left


def test_orders_follow_from_seed_and_epoch():
    first, again = stream(3, 0)[0], stream(3, 0)[0]
    np.testing.assert_array_equal(first, again)
    others = [stream(3, 1)[0], stream(4, 0)[0], stream(0, 3)[0]]
    assert all((other != first).mean() > 0.9 for other in others)


def test_rows_travel_far():
    """Positions in an epoch do not depend on the row: the blocks are in random order."""
    places = np.empty((200, 400))
    for epoch in range(200):
        places[epoch, stream(1, epoch)[0]] = np.arange(400)
    mean = places.mean(axis=0)
    assert abs(mean - 199.5).max() < 5 * 400 / 12**0.5 / 200**0.5
    assert places.std(axis=0).min() > 90  # uniform: 115
