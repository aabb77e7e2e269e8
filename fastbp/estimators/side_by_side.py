"""Fits of several estimators side by side, each in a thread of its own."""

import sys
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any

import numpy as np
from sklearn import config_context, get_config

from fastbp.estimators.messages import INTERRUPTED, Said, collected
from fastbp.threads import team


def side_by_side(fits: Sequence[Callable[[], object]], n_threads: int | None) -> Said:
    """Call functions that fit estimators, in threads. An error or an interrupt in one ends all.

    They see the context variables and scikit-learn's configuration of the calling thread.

    Parameters
    ----------
    fits : sequence of callable
        The first ones begin first.
    n_threads : int or None
        Number of threads. None: as few as give the least number of rounds.

    Returns
    -------
    said : list
        Messages and categories of the warnings of all fits, in the order of the fits.

    Raises
    ------
    KeyboardInterrupt
        If an interrupt ended the training of one.
    """
    tasks = [_Task(fit) for fit in fits]
    ranks = n_threads and min(n_threads, len(tasks))
    # Always threads, since a fit in the calling one would take Ctrl-C for its own.
    with team(
        ranks, lambda size: -(-len(tasks) // size), sys.maxsize, np.inf, interrupts=True
    ) as members:
        members.for_each(tasks, lambda task: task())
    return [said for task in tasks for said in task.said]


class _Task:
    """A fit in the context of the thread that makes this object."""

    def __init__(self, fit: Callable[[], object]) -> None:
        self.fit = fit
        self.said: Said = []
        self.context: Context = copy_context()
        self.config: dict[str, Any] = get_config()

    def __call__(self) -> None:
        self.context.run(self._run)

    def _run(self) -> None:
        with config_context(**self.config), collected() as said:
            self.fit()
        self.said.extend(said)
        if any(message == INTERRUPTED for message, _ in said):
            raise KeyboardInterrupt
