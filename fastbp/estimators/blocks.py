"""Fits on data that is read in blocks from a source: checks of the source, and the job."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import memory
from fastbp.estimators.encoding import Encoder
from fastbp.estimators.held_out import Data
from fastbp.estimators.part_facts import (
    LabelFacts,
    PartFacts,
    facts_of_part,
    join_facts,
    with_classes,
)
from fastbp.estimators.parts_job import check_request, job_of_facts
from fastbp.estimators.request import EstimatorJob, Request
from fastbp.estimators.resume import checksums, state_of_fit
from fastbp.threads import ahead
from fastbp.training import (
    GRADIENT_CHUNK,
    Blocks,
    Engine,
    Outline,
    Samples,
    Windows,
    cut_blocks,
)

Borders: TypeAlias = NDArray[np.int64] | None
WINDOW = 2**30  # bytes: a constant, or the model would depend on the memory that is free
FIRST = 1024  # rows that are read first, to know how long a row is
# Bytes of a block. Many blocks in a window mix well, but small ones take long to read and check: a
# half of the window has BLOCKS, or FEWER_BLOCKS where they would be smaller than LEAST_BLOCK.
BLOCKS, FEWER_BLOCKS, LEAST_BLOCK, MOST_BLOCK = 256, 64, 2**18, 2**22


class Range(NamedTuple):
    """Rows of a source: the first, and the one behind the last."""

    first: int
    stop: int


class Window(NamedTuple):
    """How much of the samples is in memory at once."""

    n_bytes: int
    of_row: int | None = None  # bytes of a row, if they are known from a fit that is resumed


def is_source(data: Any) -> bool:
    """Whether this is a source of blocks."""
    return callable(getattr(data, "read", None)) and hasattr(data, "__len__")


def check_source(source: Any) -> int:
    """The number of rows of a source; TypeError or ValueError if it is none."""
    if not is_source(source):
        raise TypeError(
            "source must have `__len__` and a method `read(start, stop)` that returns (X, y, "
            f"weight), as those of fastbp.blocks, got a {type(source).__name__}."
        )
    n_rows = len(source)
    if n_rows < 1:
        raise ValueError("source has no rows.")
    return n_rows


def check_window(window: Any) -> Window:
    """The window of this number of bytes; ValueError unless it is one."""
    if window is None:
        return Window(WINDOW)
    if not isinstance(window, Integral) or isinstance(window, bool) or window < 1:
        raise ValueError(f"window must be a number of bytes, an int > 0, or None, got {window!r}.")
    return Window(int(window))


def _last_window(estimator: Any) -> Window:
    """The window of the fit that is resumed; one that holds all if the fit had all in memory."""
    of_fit = state_of_fit(estimator)["data"].get("window")
    if of_fit is None:
        return Window(sys.maxsize)
    is_sound = isinstance(of_fit, list) and len(of_fit) == 3
    if not is_sound or any(type(one) is not int or one < 1 for one in of_fit[:2]):
        raise ValueError(f"'window' of the fit (_resume) is damaged: {of_fit!r}")
    return Window(*of_fit[:2])


@contextmanager
def about_rows(first: int, stop: int) -> Iterator[None]:
    """Add the rows of the source to errors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (f"rows {first} to {stop - 1} of source: {error}",)
        raise


def read_rows(source: Any, first: int, stop: int) -> tuple[Any, Any, Any]:
    """X, y and weights of rows of a source; ValueError if they are not so many rows."""
    given = source.read(first, stop)
    if not isinstance(given, tuple) or len(given) != 3:
        raise TypeError(f"source.read must return (X, y, weight), got a {type(given).__name__}.")
    X, y, weight = given
    for name, value in (("X", X), ("y", y), ("weight", weight)):
        if value is None and name == "weight":
            continue
        shape = np.shape(value)
        if not shape:
            raise TypeError(f"{name} must be an array with {stop - first} rows, got {value!r}.")
        if shape[0] != stop - first:
            raise ValueError(f"{name} has {shape[0]} rows instead of {stop - first}.")
    return X, y, weight


def job_of_blocks(
    request: Request, source: Any, validation: Data, *, classes: Any = None, window: Any = None
) -> EstimatorJob:
    """The job of a fit on a source; see `MLPClassifier.fit_blocks`."""
    n_rows, window = check_source(source), check_window(window)
    check_request(request, validation)
    if request.resumes:
        window = _last_window(request.estimator)
        classes = vars(request.estimator).get("classes_")
    elif not request.takes_over:  # scikit-learn's checks set the features anew
        for name in ("n_features_in_", "feature_names_in_"):
            request.estimator.__dict__.pop(name, None)
    borders = check_borders(getattr(source, "borders", None), n_rows)
    facts = _facts(request, source, n_rows, borders, classes)
    gives = partial(_samples_or_blocks, request, source, borders, window)
    return job_of_facts(request, facts, validation, gives)


def _facts(request: Request, source: Any, n_rows: int, borders: Borders, classes: Any) -> PartFacts:
    """The facts of all rows; of the first ones alone if the others need not be known."""
    estimator = request.estimator
    reads = partial(_facts_of_rows, estimator, source)
    first = reads(Range(0, min(FIRST, n_rows)))
    knows = classes is not None and not first.form.is_weighted
    # A fit that is resumed may have had soft labels of which the first rows are all 0 or 1.
    knows &= not request.resumes or first.targets.n_columns is None
    if knows and getattr(estimator, "class_weight", None) != "balanced":
        targets = with_classes(first.targets, classes, LabelFacts(Fraction(1), 1.0))
        n_entries = int(first.n_entries * n_rows / first.n_rows)
        return first._replace(n_rows=n_rows, targets=targets, n_entries=n_entries)
    facts = first
    of_row = _row_bytes(first.form.dtype.itemsize, first.features.n_features, first.entries_per_row)
    edges = cut_blocks(n_rows, _rows_of(MOST_BLOCK, of_row), n_rows, borders)
    edges = np.unique(np.concatenate([edges[edges > first.n_rows], [first.n_rows]]))
    ranges = [Range(*pair) for pair in pairwise(edges.tolist())]
    with ahead(partial(reads, rows) for rows in ranges) as parts:
        for rows, part in zip(ranges, parts, strict=True):
            with about_rows(*rows):
                facts = join_facts(facts, part)
    if classes is not None:
        facts = facts._replace(targets=with_classes(facts.targets, classes))
    return facts


def _facts_of_rows(estimator: Any, source: Any, rows: Range) -> PartFacts:
    with about_rows(*rows):
        return facts_of_part(estimator, *read_rows(source, *rows))


def _row_bytes(size: int, n_features: int, entries_per_row: float | None) -> int:
    """About how many bytes a row of X takes, of numbers of this size."""
    if entries_per_row is None:
        return size * n_features
    return int((size + 4) * entries_per_row) + 8


def block_bytes(window: int) -> int:
    """The bytes of a block, of a window of so many bytes."""
    half = window // 2
    return min(max(half // BLOCKS, min(LEAST_BLOCK, half // FEWER_BLOCKS)), MOST_BLOCK)


def _rows_of(n_bytes: int, of_row: int) -> int:
    return max(n_bytes // of_row, 1)


def _samples_or_blocks(
    request: Request,
    source: Any,
    borders: Borders,
    window: Window,
    encoder: Encoder,
    outline: Outline,
) -> Samples | Engine:
    """All samples, if the window holds them, or the engine that reads them block by block."""
    read, half = partial(_encoded, source, encoder), window.n_bytes // 2
    of_row = window.of_row
    if of_row is None:
        size, n_features = outline.dtype.itemsize, encoder.estimator.n_features_in_
        of_row = _row_bytes(size, n_features, outline.entries_per_row)
        of_row += size * read(0, 1).y.shape[1] + 8 * encoder.is_weighted
    if of_row * len(outline) <= window.n_bytes:
        memory.check_fits(of_row * len(outline), "samples of source")
        edges = cut_blocks(len(outline), _rows_of(MOST_BLOCK, of_row), len(outline), borders)
        return _all_samples(read, edges, outline.entries_per_row)
    memory.check_fits(window.n_bytes, f"window={window.n_bytes}: it")
    most = _rows_of(half, of_row)
    _check_rows(request, len(outline), most, of_row)
    target = min(_rows_of(block_bytes(window.n_bytes), of_row), most)
    edges = cut_blocks(len(outline), target, most, borders)
    return Blocks(read, edges, most, _facts_of_source(read, edges, window._replace(of_row=of_row)))


def _check_rows(request: Request, n_rows: int, most: int, of_row: int) -> None:
    """Raise ValueError if half a window has too few rows for a batch or a chunk."""
    estimator = request.estimator
    if estimator.solver == "lbfgs":
        least, what = GRADIENT_CHUNK, "a chunk of the gradient"
    else:
        least = 200 if estimator.batch_size == "auto" else int(estimator.batch_size)
        what = "a batch"
    least = min(least, n_rows)
    if most < least:
        raise ValueError(
            f"window is too small: half of it holds {most} rows of {of_row} bytes, but {what} has "
            f"{least}. It must be at least {2 * least * of_row}."
        )


def check_borders(borders: Any, n_rows: int) -> Borders:
    """The borders of a source; ValueError unless they rise from 0 to the number of rows."""
    if borders is None:
        return None
    array = np.asarray(borders)
    if (
        array.ndim != 1
        or array.dtype.kind not in "iu"
        or len(array) < 2
        or array[0] != 0
        or array[-1] != n_rows
        or (array[1:] < array[:-1]).any()
    ):
        raise ValueError(
            f"source.borders must be integers that rise from 0 to {n_rows}, got {borders!r}."
        )
    return array.astype(np.int64)


def _encoded(source: Any, encoder: Encoder, first: int, stop: int) -> Samples:
    """Rows of a source as samples."""
    with about_rows(first, stop):
        return encoder(*read_rows(source, first, stop))


def _all_samples(
    read: Callable[[int, int], Samples], edges: NDArray[np.int64], entries: float | None
) -> Samples:
    """All samples in memory: those of one window."""
    (fill,) = Windows(read, edges, int(edges[-1]), entries).in_order(1)
    return fill()


def _facts_of_source(
    read: Callable[[int, int], Samples], edges: NDArray[np.int64], window: Window
) -> dict[str, Any]:
    """What has to be the same if a fit on blocks is resumed: the first and the last rows."""
    n_rows = int(edges[-1])
    of_first = checksums(read(0, min(FIRST, n_rows)), "")
    of_last = checksums(read(max(n_rows - FIRST, 0), n_rows), "")
    facts: dict[str, Any] = {name: [n_rows, of_first[name], of_last[name]] for name in ("X", "y")}
    weights = of_first["sample_weight"], of_last["sample_weight"]
    facts["sample_weight"] = None if weights[0] is None else [*weights]
    return {**facts, "window": [*window, zlib.crc32(edges.tobytes())]}
