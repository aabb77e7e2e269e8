"""The small state of a course, from which training can continue with the same bits.

It does not contain the order of the samples, since the shuffles of all epochs can be repeated.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.training.course import Course


def small_state(course: Course) -> dict[str, Any]:
    """Numbers and arrays of a course that are not fitted attributes."""
    return {
        "random_state": course.start,
        "n_epochs": len(course.epochs),
        "samples_seen": course.samples_seen,
        "best_epoch": course.best_epoch,
        "raw_params": course.raw_params,
    }


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
