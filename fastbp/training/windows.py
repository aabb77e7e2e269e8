"""Windows of samples that are read block by block, in the order of the rows or shuffled.

The rule of the shuffle: the blocks come in random order, and the rows of the blocks that are in one
window are shuffled together. So all rows of a block are in one window, or the last few of them in
the next: those that did not fill a batch come first there.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import CSR
from fastbp.training.keyed import keyed
from fastbp.training.samples import Samples

Read = Callable[[int, int], Samples]  # the samples first..stop


class Part(NamedTuple):
    """Samples in memory, and the order in which they are trained on: some of them, or all."""

    samples: Samples
    order: NDArray[np.intp]


class Windows:
    """Reads samples in windows. At most two windows are in memory: one in use, one in work.

    Parameters
    ----------
    read : callable
        ``read(first, stop)`` is the samples of these rows.
    edges : ndarray of int64
        The blocks: from 0 to the number of samples.
    n_rows : int
        Rows of a window; no block has more.
    entries_per_row : float or None
        Mean number of entries of all CSR rows; None: they are dense.
    batch_size : int, default=1
        A window that is not the last has a multiple of it.
    """

    def __init__(
        self,
        read: Read,
        edges: NDArray[np.int64],
        n_rows: int,
        entries_per_row: float | None,
        batch_size: int = 1,
    ) -> None:
        self.read, self.edges, self.n_rows = read, edges, n_rows
        self.entries_per_row = entries_per_row
        self.batch_size = batch_size
        self.buffers: list[Samples | None] = [None, None]
        self.entries = [CSREntries(), CSREntries()]
        self.last: Samples | None = None  # that were read

    def in_order(self, multiple: int) -> Iterator[Callable[[], Samples]]:
        """Tasks that read all samples in their order; all but the last have a multiple of rows."""
        step = max(self.n_rows // multiple, 1) * multiple
        total = int(self.edges[-1])
        for number, first in enumerate(range(0, total, step)):
            stop = min(first + step, total)
            inner = self.edges[(self.edges > first) & (self.edges < stop)].tolist()
            yield partial(self._fill, number, list(pairwise([first, *inner, stop])), None)

    def of_epoch(self, seed: int | None, epoch: int) -> Iterator[Callable[[], Part]]:
        """Tasks that read all samples for one epoch, shuffled by the seed; None: in their order."""
        blocks = list(pairwise(self.edges.tolist()))
        if seed is not None:
            order = keyed(seed, epoch).permutation(len(blocks))
            blocks = [blocks[k] for k in order.tolist()]
        groups = self._groups(blocks)
        rest: list[Samples] = []  # what the window before has left over
        for number, group in enumerate(groups):
            draws = None if seed is None else keyed(seed, epoch, number + 1)
            is_last = number == len(groups) - 1
            yield partial(self._part, number, group, draws, rest, is_last)

    def _groups(self, blocks: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """The blocks of each window."""
        groups: list[list[tuple[int, int]]] = []
        rows = self.n_rows
        for first, stop in blocks:
            if rows + stop - first > self.n_rows:
                groups.append([])
                rows = 0
            groups[-1].append((first, stop))
            rows += stop - first
        return groups

    def _part(
        self,
        number: int,
        blocks: list[tuple[int, int]],
        draws: np.random.RandomState | None,
        rest: list[Samples],
        is_last: bool,
    ) -> Part:
        """The samples of a window and their order. What fills no batch is left in `rest`."""
        before = rest.pop() if rest else None
        samples = self._fill(number, blocks, before)
        n_before = 0 if before is None else len(before)
        order = np.arange(len(samples), dtype=np.intp)
        if draws is not None:
            draws.shuffle(order[n_before:])
        used = len(order) if is_last else len(order) // self.batch_size * self.batch_size
        if used < len(order):
            rest.append(samples.take(order[used:]))
        return Part(samples, order[:used])

    def _fill(self, number: int, blocks: list[tuple[int, int]], before: Samples | None) -> Samples:
        """The samples `before` and those of the blocks, in a buffer."""
        size = sum(stop - first for first, stop in blocks) + (0 if before is None else len(before))
        reads = (self.read(first, stop) for first, stop in blocks)
        parts = chain([] if before is None else [before], reads)
        if self.entries_per_row is not None:
            expected = math.ceil(1.05 * self.entries_per_row * size)  # windows differ a little
            self.last = _written_csr(parts, size, self.entries[number % 2], expected)
            return self.last
        samples, at = None, 0
        for part in parts:
            if samples is None:
                samples = self._buffer(number, part)[:size]
            _write(samples[at : at + len(part)], part)
            at += len(part)
        assert samples is not None  # a window has a block
        self.last = samples
        return samples

    def _buffer(self, number: int, like: Samples) -> Samples:
        """One of two buffers for samples like these."""
        buffer = self.buffers[number % 2]
        if buffer is None:
            rows = self.n_rows + self.batch_size - 1
            weight = None if like.weight is None else _room(rows, like.weight)
            buffer = Samples(_room(rows, like.x), _room(rows, like.y), weight)
            self.buffers[number % 2] = buffer
        return buffer


def _arrays(samples: Samples) -> tuple[Any, Any, Any]:
    return samples.x, samples.y, samples.weight


def _room(rows: int, like: Any) -> NDArray[Any]:
    return np.empty((rows, *like.shape[1:]), like.dtype)


def _write(target: Samples, source: Samples) -> None:
    """Copy dense samples."""
    for into, given in zip(_arrays(target), _arrays(source), strict=True):
        if given is not None:
            into[...] = given


class CSREntries:
    """Room for the entries of CSR rows, which grows."""

    def __init__(self) -> None:
        self.data: NDArray[Any] = np.empty(0)
        self.indices: NDArray[np.int32] = np.empty(0, np.int32)

    def write(self, x: CSR, first: int, expected: int) -> None:
        """Write the entries of x from `first` on; so many are expected in all, about."""
        stop = first + int(x.indptr[-1])
        self.data = _longer(self.data, x.data, first, stop, expected)
        self.indices = _longer(self.indices, x.indices, first, stop, expected)
        self.data[first:stop] = x.data[: stop - first]
        self.indices[first:stop] = x.indices[: stop - first]


def _longer(
    room: NDArray[Any], like: NDArray[Any], used: int, needed: int, expected: int
) -> NDArray[Any]:
    """The room, or a longer one with what is used of it: at first for those that are expected."""
    if len(room) >= needed and room.dtype == like.dtype:
        return room
    longer = _room(max(needed, 3 * len(room) // 2 or expected), like)
    if used:
        longer[:used] = room[:used]
    return longer


def _written_csr(
    parts: Iterator[Samples], size: int, entries: CSREntries, expected: int
) -> Samples:
    """Sparse samples of several parts, `size` in all, of which so many entries are expected.

    No two copies of them are in memory at once.
    """
    head = next(parts)  # a window has a block
    y, weight = _room(size, head.y), None if head.weight is None else _room(size, head.weight)
    indptr = np.zeros(size + 1, np.int64)
    at = used = 0
    for part in chain([head], parts):
        x: Any = part.x
        stop, end = at + len(part), used + int(x.indptr[-1])
        entries.write(x, used, expected)
        indptr[at + 1 : stop + 1] = x.indptr[1:] + used
        y[at:stop] = part.y
        if weight is not None:
            weight[at:stop] = part.weight
        at, used = stop, end
    data, indices = entries.data[:used], entries.indices[:used]
    return Samples(CSR(data, indices, indptr, x.n_features), y, weight)


def joined_samples(parts: Sequence[Samples]) -> Samples:
    """Samples of several parts, one after the other."""
    weights = [part.weight for part in parts if part.weight is not None]
    weight = np.concatenate(weights) if weights else None
    y = np.concatenate([part.y for part in parts])
    if not parts[0].is_sparse:
        return Samples(np.concatenate([part.x for part in parts]), y, weight)
    xs: list[Any] = [part.x for part in parts]
    starts = np.cumsum([0, *(x.indptr[-1] for x in xs)])
    pointers = [x.indptr[1:] + start for x, start in zip(xs, starts[:-1], strict=True)]
    x = CSR(
        np.concatenate([x.data for x in xs]),
        np.concatenate([x.indices for x in xs]),
        np.concatenate([np.zeros(1, np.int64), *pointers]),
        xs[0].n_features,
    )
    return Samples(x, y, weight)


def cut_blocks(
    n_rows: int, target: int, most: int, borders: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Edges of blocks of about `target` rows, `most` at most, at the borders where there are any.

    A range between two borders that has more than `target` rows is one block if it can be.
    """
    if borders is None:
        borders = np.arange(0, n_rows, target, dtype=np.int64)
    borders = np.unique(np.concatenate([borders, [0, n_rows]])).astype(np.int64)
    edges = [0]
    while edges[-1] < n_rows:
        first = edges[-1]
        k = int(np.searchsorted(borders, first + target, side="right")) - 1
        if borders[k] <= first:
            k += 1
        edges.append(min(int(borders[k]), first + most))
    return np.array(edges, np.int64)
