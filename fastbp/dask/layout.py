"""Which rows of the partitions make up a run of whole chunks, or a shard."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from fastbp.training import GRADIENT_CHUNK, Samples


class Piece(NamedTuple):
    """Rows of one partition."""

    source: int
    start: int
    stop: int


class Run(NamedTuple):
    """A run of whole chunks of all data, and the rows it is made of, in their order."""

    first: int  # chunk
    end: int
    pieces: tuple[Piece, ...]


def runs_of(lengths: Sequence[int], chunk: int = GRADIENT_CHUNK) -> list[Run]:
    """The runs of chunks of partitions with these lengths, one for each that begins a chunk.

    A chunk belongs to the partition of its first row: the others give it rows to the left.
    """
    starts = [0, *accumulate(lengths)]
    total = starts[-1]
    borders = [min(-(-start // chunk) * chunk, total) for start in starts]
    runs = []
    for number in range(len(lengths)):
        begin, end = borders[number], borders[number + 1]
        if begin < end:
            pieces = _pieces(starts, number, begin, end)
            runs.append(Run(begin // chunk, -(-end // chunk), tuple(pieces)))
    return runs


def _pieces(starts: Sequence[int], number: int, begin: int, end: int) -> list[Piece]:
    """The rows begin..end of all data, of which the first are in a partition of this number."""
    pieces = []
    while begin < end:
        stop = min(starts[number + 1], end)
        if begin < stop:
            pieces.append(Piece(number, begin - starts[number], stop - starts[number]))
            begin = stop
        number += 1
    return pieces


def shard_sizes(n_samples: int, n_shards: int, chunk: int = GRADIENT_CHUNK) -> list[int]:
    """The rows of each shard, if the chunks are dealt to the shards in turn."""
    n_chunks = -(-n_samples // chunk)
    chunks = [len(range(shard, n_chunks, n_shards)) for shard in range(n_shards)]
    sizes = [chunk * count for count in chunks]
    if n_chunks:
        sizes[(n_chunks - 1) % n_shards] -= n_chunks * chunk - n_samples
    return sizes


def rows_of_shard(
    samples: Samples, start: int, shard: int, n_shards: int, chunk: int = GRADIENT_CHUNK
) -> Samples:
    """The rows of a partition that belong to a shard; `start` is its first row in all data."""
    chunks = np.arange(start, start + len(samples)) // chunk
    return samples.take(np.flatnonzero(chunks % n_shards == shard))


def cut(samples: Samples, start: int, stop: int) -> Samples:
    """A copy of some rows, which holds no others in memory."""
    return samples.take(np.arange(start, stop))
