"""The first pass over the data: facts of each partition, found where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from distributed import Future

from fastbp.dask.cluster import Cluster, unique
from fastbp.dask.parts import Part
from fastbp.estimators.callbacks import CALLBACKS
from fastbp.estimators.inputs import draft_of
from fastbp.estimators.part_facts import PartFacts, facts_of_part, join_facts

NOT_SENT = ("coefs_", "intercepts_", "_model", "_optimizer", "_resume", "_random_state", CALLBACKS)


class Scan(NamedTuple):
    """What the first pass has found."""

    facts: PartFacts  # of all rows
    lengths: list[int]  # of the partitions


@contextmanager
def about_part(number: int, of: str = "") -> Iterator[None]:
    """Add the number of the partition to errors about its data."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (f"partition {number}{of}: {error}",)
        raise


def bare(estimator: Any) -> Any:
    """A copy of an estimator that says how data are read; it has no weights and is small."""
    copied = draft_of(estimator)
    for name in NOT_SENT:
        vars(copied).pop(name, None)
    vars(copied).update(init="auto", random_state=None)
    return copied


def scan(cluster: Cluster, parts: Sequence[Future], estimator: Any) -> Scan:
    """The facts of all partitions; what `fit` raises about data, with the partition's number."""
    name = unique("scan")
    task = partial(facts_or_none, bare(estimator))
    graph = {(name, k): (task, k, part) for k, part in enumerate(parts)}
    facts = cluster.compute(graph, list(graph), lambda: "while the data were scanned")
    known = [(number, one) for number, one in enumerate(facts) if one is not None]
    if not known:
        raise ValueError("X has no rows: all partitions are empty.")
    joined = known[0][1]
    for number, one in known[1:]:
        with about_part(number):
            joined = join_facts(joined, one)
    return Scan(joined, [0 if one is None else one.n_rows for one in facts])


def facts_or_none(estimator: Any, number: int, part: Part) -> PartFacts | None:
    """The facts of a partition, None if it is empty; a task."""
    with about_part(number):
        if n_rows(part.X) == n_rows(part.y) == 0:
            return None
        return facts_of_part(estimator, *part)


def lengths_of(cluster: Cluster, parts: Sequence[Future]) -> list[int]:
    """The rows of the partitions of validation data."""
    name = unique("lengths")
    graph = {(name, k): (length_of, k, part) for k, part in enumerate(parts)}
    lengths: list[int] = cluster.compute(
        graph, list(graph), lambda: "while the validation data were read"
    )
    return lengths


def length_of(number: int, part: Part) -> int:
    """The rows of a partition of validation data; a task."""
    rows = n_rows(part.X)
    if n_rows(part.y) != rows:
        raise ValueError(
            f"partition {number}: X_val has {rows} samples, but y_val has {n_rows(part.y)}."
        )
    return rows


def n_rows(data: Any) -> int:
    """The rows of an array, a frame, a list or a sparse matrix."""
    return int(data.shape[0]) if hasattr(data, "shape") else len(data)
