"""What an estimator keeps of a course, so that training could continue with the same bits.

It is small: the order of the samples is not kept, since the shuffles of all epochs can be repeated.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.training.course import Course


def small_state(course: Course) -> dict[str, Any]:
    """Plain numbers and arrays of a course, besides those that the fitted attributes hold."""
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
    """The order of the last of `n_epochs` epochs, from the one before the first.

    `random_state` is that before the first epoch, and ends as it was after the last.
    """
    order = order.copy()
    for _ in range(n_epochs):
        random_state.shuffle(order)
    return order
