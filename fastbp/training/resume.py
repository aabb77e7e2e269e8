"""The small state of a course, from which training can continue with the same bits.

It does not contain the order of the samples, since the shuffles of all epochs can be repeated. The
counters of early stopping are not in it either: they follow from the epochs.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.training.course import Course, Epoch
from fastbp.training.rule import Optimizer
from fastbp.training.watches import BestWeights, Patience, Watch


def small_state(course: Course) -> dict[str, Any]:
    """Numbers and arrays of a course that are not fitted attributes."""
    optimizer = course.optimizer
    is_seed = course.start is not None and "seed" in course.start  # nobody else has drawn
    return {
        "random_state": course.start,
        "generator": None if is_seed else checksum_of(course.random_state),
        "n_epochs": len(course.epochs),
        "samples_seen": course.samples_seen,
        "best_epoch": course.best_epoch,
        "continues": course.continues,
        "tallied": course.tallied,
        "first_step": course.first_step,
        "rate": None if optimizer is None else optimizer.rate,
        "raw_params": course.raw_params,
        **course.before,
    }


def checksum_of(random_state: np.random.RandomState) -> int:
    """CRC-32 of the state of a generator."""
    state: Any = random_state.get_state(legacy=False)
    inner = state["state"]
    key = inner.pop("key", None)  # of MT19937
    checksum = 0 if key is None else zlib.crc32(key)
    return zlib.crc32(repr(inner).encode(), checksum)


def replay_order(
    random_state: np.random.RandomState, order: NDArray[np.intp], n_epochs: int
) -> NDArray[np.intp]:
    """The order of the samples after `n_epochs` shuffles of the first order.

    `random_state` is the one before the first epoch. It is changed to the one after the last epoch.
    """
    order = order.copy()
    for _ in range(n_epochs):
        random_state.shuffle(order)
    return order


def replay_epochs(
    course: Course, optimizer: Optimizer, epochs: Sequence[Epoch], watches: Sequence[Watch]
) -> str:
    """Append epochs that an earlier run has finished; counters and the rate follow from them.

    Returns
    -------
    reason : str
        Why training has ended within or after these epochs; '' if it goes on.
    """
    counting = [
        replace(watch, verbose=False) if isinstance(watch, Patience) else watch
        for watch in watches
        if isinstance(watch, Patience | BestWeights)
    ]
    after_epoch, reason = optimizer.schedule.rules.after_epoch, ""
    for epoch in epochs:
        course.epochs.append(epoch)
        for watch in counting:
            watch.count(course)
        if after_epoch is not None:
            optimizer.rate = after_epoch(optimizer.schedule_state(course.t))
        for watch in counting:
            reason = reason or watch.after_epoch(course, None)
    course.replayed = len(course.epochs)
    return reason
