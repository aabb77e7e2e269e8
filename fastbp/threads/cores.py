"""The number of ranks of a fit, from the idle cores and the cost of a rank."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from fastbp.kernels import backend, core

# Costs are counted in multiply-adds, some 50 to a nanosecond. Measured on two cores with nets of 20
# to 784 inputs, widths of 30 to 300, batches of 10 to 1000.
BARRIER_COST = 800_000  # one more rank at the barriers of a step
SHARE_COST = 44  # a parameter in the caches that one rank steps and the others read
CACHED_PARAMS = 500_000  # parameters that fit into the caches
LAUNCH_COST = 15_000_000  # the thread of one more rank, made for one call
ROWS_OF_A_RANK = 8  # of a batch, at least: fewer leave the tiles of the products partly empty
ENOUGH = 1.1  # times the least cost: the last ranks bring less than they take from others
MOST_RANKS = 256  # a larger n_threads is reduced to it; results do not depend on it

Cost: TypeAlias = Callable[[int], float]  # ranks -> multiply-adds of the slowest of them

_cores_taken: dict[object, int] = {}  # token of a running fit -> number of its ranks


def available_cores() -> int:
    """The cores that affinity, cgroup quota and OMP_NUM_THREADS allow this process."""
    import joblib  # imported late: a prediction in one thread needs no number of cores

    cores = joblib.cpu_count()
    try:
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS", "").split(",")[0]))
    except ValueError:  # not set or not a number
        pass
    return max(cores, 1)


def step_cost(work: float, params: int) -> Cost:
    """The cost of an optimization step with `work` multiply-adds, as a function of the ranks."""
    moved = SHARE_COST * min(params, CACHED_PARAMS)
    return lambda ranks: work / ranks + BARRIER_COST * (ranks - 1) + moved * (1 - 1 / ranks)


def call_cost(work: float) -> Cost:
    """The cost of one call with `work` multiply-adds, whose ranks start and end with it."""
    return lambda ranks: work / ranks + LAUNCH_COST * (ranks - 1)


@contextmanager
def reserved_cores(n_threads: int | None, cost: Cost, rows: int) -> Iterator[int]:
    """The number of ranks of a fit, reserved until the context ends.

    It is n_threads, or with None the number with the least cost. That number is limited by the
    cores that no other fit of this process has reserved, and by the blocks of rows in a batch: a
    rank without a block has nothing to do. Of more than two ranks only as many are taken as come
    near the least cost.
    """
    token = object()
    blocks = blocks_of(rows)
    try:
        try:
            size = min(n_threads or 1, MOST_RANKS)
            if n_threads is None and cost(2) < cost(1):
                # Reserve first, then count the others: of two simultaneous fits at least one sees
                # the other and gets fewer ranks.
                cores = available_cores()
                size = cheapest(cost, min(cores, blocks))
                _cores_taken[token] = size
                others = sum(_cores_taken.copy().values()) - size
                if cores - others < size:
                    size = cheapest(cost, cores - others)
            _cores_taken[token] = size
            yield size
        finally:
            _cores_taken.pop(token, None)
    finally:
        _cores_taken.pop(token, None)


def blocks_of(rows: int) -> int:
    """The blocks of rows in a batch; a rank without one has nothing to do."""
    return rows // ROWS_OF_A_RANK if backend == "native" else -(-rows // core.BLAS_ROWS)


def cheapest(cost: Cost, most: int) -> int:
    """One rank where no other number costs less, else the fewest that cost nearly the least."""
    ranks = range(1, max(min(most, MOST_RANKS), 1) + 1)
    least = min(map(cost, ranks))
    return next(size for size in ranks if cost(size) <= (ENOUGH if size > 1 else 1) * least)


if hasattr(os, "register_at_fork"):  # no other fit runs in the child: it has one thread
    os.register_at_fork(after_in_child=_cores_taken.clear)
