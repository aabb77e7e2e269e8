"""Which rows make up runs of chunks and shards: all rows, in order, each once."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array

pytest.importorskip("distributed")

from clusters import random_rows

from fastbp.dask.layout import cut, rows_of_shard, runs_of, shard_sizes
from fastbp.dask.placing import _has_rows, run_of, shard_of
from fastbp.estimators.inputs import as_rows
from fastbp.training import GRADIENT_CHUNK, Samples


def samples_of(n, sparse=False, weighted=False):
    x = np.arange(3.0 * n).reshape(n, 3)
    x[:, 1] = 0
    y = np.arange(float(n)).reshape(n, 1)
    rows = as_rows(csr_array(x), np.float64) if sparse else x
    return Samples(rows, y, np.arange(float(n)) if weighted else None)


def assert_same(found, expected):
    for one, other in zip(as_arrays(found), as_arrays(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def as_arrays(samples):
    x = samples.x if isinstance(samples.x, tuple) else (samples.x,)
    return [*map(np.asarray, x), samples.y, np.asarray(samples.weight, float)]


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
@pytest.mark.parametrize("seed", range(12))
def test_runs_have_all_rows_in_whole_chunks(seed, weighted, sparse):
    n = [5000, 1, 1024, 4096, 1025, 700][seed % 6]
    whole, lengths = samples_of(n, sparse, weighted), random_rows(n, seed)
    starts = np.cumsum([0, *lengths])
    parts = [cut(whole, a, b) for a, b in pairwise(starts)]
    chunk = 0
    for run in runs_of(lengths):
        own, *others = run.pieces
        pieces = [cut(parts[source], start, stop) for source, start, stop in others]
        found = run_of(own.start, own.stop, parts[own.source], *pieces)
        assert run.first == chunk < run.end
        chunk = run.end
        rows = np.arange(run.first * GRADIENT_CHUNK, min(run.end * GRADIENT_CHUNK, n))
        assert_same(found, whole.take(rows))
    assert chunk == -(-n // GRADIENT_CHUNK)


@pytest.mark.parametrize("n_shards", [1, 3, 8])
@pytest.mark.parametrize("seed", range(6))
def test_shards_have_every_so_manieth_chunk(seed, n_shards):
    n = [9000, 1, 1024, 8192, 1025, 3000][seed]
    whole, lengths = samples_of(n), random_rows(n, seed)
    starts = np.cumsum([0, *lengths])
    numbers = np.arange(n) // GRADIENT_CHUNK % n_shards
    sizes = shard_sizes(n, n_shards)
    for shard in range(n_shards):
        expected = whole.take(np.flatnonzero(numbers == shard))
        assert sizes[shard] == len(expected)
        pieces = []
        for start, length in zip(starts[:-1].tolist(), lengths, strict=True):
            piece = rows_of_shard(whole[start : start + length], start, shard, n_shards)
            assert _has_rows(start, length, shard, n_shards) == (len(piece) > 0)
            pieces.append(piece)
        if sizes[shard]:
            assert_same(shard_of(*pieces), expected)


def test_a_piece_holds_no_other_rows():
    whole = samples_of(3000)
    assert cut(whole, 5, 9).x.base is None
    assert rows_of_shard(whole, 0, 1, 2).x.base is None
