"""The second pass: partitions become samples, cut at the borders of chunks or dealt to shards.

Samples stay on the workers. Each is the result of tasks that begin with the user's collection, so a
lost one is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from distributed import Future

from fastbp.dask.cluster import Cluster, Graph, unique
from fastbp.dask.layout import cut, rows_of_shard, runs_of, shard_sizes
from fastbp.dask.parts import Part
from fastbp.dask.scan import about_part
from fastbp.training import GRADIENT_CHUNK, Samples, joined_samples


def encode(encoder: Any, number: int, of: str, part: Part) -> Samples:
    """The samples of a partition; a task."""
    with about_part(number, of):
        samples: Samples = encoder(*part)
        return samples


def place_runs(
    cluster: Cluster,
    parts: Sequence[Future],
    lengths: Sequence[int],
    encoder: Any,
    of: str = "",
) -> list[tuple[int, Future]]:
    """Start the tasks that cut the samples into runs of whole chunks.

    Parameters
    ----------
    cluster : Cluster
    parts : sequence of Future
    lengths : sequence of int
        The rows of the parts.
    encoder : callable
        Makes samples of a part.
    of : str, default=''
        Follows the number of a partition in errors, such as ' of X_val'.

    Returns
    -------
    runs : list of (int, Future)
        The first chunk of each run, in their order, and its samples.
    """
    graph, encoded = _encoding(parts, lengths, encoder, of)
    name, piece = unique("run"), unique("piece")
    runs = runs_of(lengths)
    for number, run in enumerate(runs):
        own, *others = run.pieces
        keys = []
        for k, (source, start, stop) in enumerate(others):
            graph[piece, number, k] = (partial(cut, start=start, stop=stop), (encoded, source))
            keys.append((piece, number, k))
        task = partial(run_of, own.start, own.stop)
        graph[name, number] = (task, (encoded, own.source), *keys)
    futures = cluster.start(graph, [(name, number) for number in range(len(runs))])
    return [(run.first, future) for run, future in zip(runs, futures, strict=True)]


def place_shards(
    cluster: Cluster,
    parts: Sequence[Future],
    lengths: Sequence[int],
    encoder: Any,
    n_shards: int,
) -> list[tuple[int, Future]]:
    """Start the tasks that deal chunks to shards in turn; shards without rows are left out.

    Returns
    -------
    shards : list of (int, Future)
        The number of rows of each shard, and its samples.
    """
    graph, encoded = _encoding(parts, lengths, encoder)
    name, piece = unique("shard"), unique("piece")
    starts = [0, *accumulate(lengths)]
    sizes = [size for size in shard_sizes(starts[-1], n_shards) if size]
    for shard in range(len(sizes)):
        pieces = []
        for source, length in enumerate(lengths):
            if _has_rows(starts[source], length, shard, n_shards):
                task = partial(rows_of_shard, start=starts[source], shard=shard, n_shards=n_shards)
                graph[piece, (shard, source)] = (task, (encoded, source))
                pieces.append((piece, (shard, source)))
        graph[name, shard] = (shard_of, *pieces)
    futures = cluster.start(graph, [(name, shard) for shard in range(len(sizes))])
    return list(zip(sizes, futures, strict=True))


def run_of(start: int, stop: int, own: Samples, *others: Samples) -> Samples:
    """The samples of a run: rows of one partition, and copies of the first rows of others."""
    if stop - start < len(own):
        # A slice of CSR would keep the entries of all rows.
        own = cut(own, start, stop) if own.is_sparse else own[start:stop]
    return joined_samples([own, *others]) if others else own


def shard_of(*pieces: Samples) -> Samples:
    """The samples of a shard: rows of several partitions."""
    return joined_samples(pieces)


def _encoding(
    parts: Sequence[Future], lengths: Sequence[int], encoder: Any, of: str = ""
) -> tuple[Graph, str]:
    """The tasks that encode partitions that have rows, and the name in their keys."""
    name = unique("encode")
    graph: Graph = {
        (name, number): (partial(encode, encoder, number, of), part)
        for number, part in enumerate(parts)
        if lengths[number]
    }
    return graph, name


def _has_rows(start: int, length: int, shard: int, n_shards: int) -> bool:
    """Whether a partition has rows of a shard; `start` is its first row in all data."""
    first, last = start // GRADIENT_CHUNK, (start + length - 1) // GRADIENT_CHUNK
    return length > 0 and (shard - first) % n_shards <= last - first
