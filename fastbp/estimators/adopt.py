"""Adoption: the actions that give an estimator the results of a fit, in one step.

Each action is a call of a function written in C, so that no signal is handled within it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from operator import call
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.job import EstimatorJob
from fastbp.training import Optimizer

Action: TypeAlias = Callable[[], object]
Attributes: TypeAlias = dict[str, Any]


def at_once(actions: Iterable[Action]) -> None:
    """Call all actions in one line, since Python handles signals between two lines."""
    deque(map(call, actions), maxlen=0)


def extensions(
    known: Attributes, job: EstimatorJob, curves: dict[str, list[Any]], learned: Attributes
) -> list[Action]:
    """Actions that lengthen the known curves, so that the cost depends on the new epochs only.

    Curves that cannot be lengthened are added to `learned`.
    """
    actions: list[Action] = []
    for name, new in curves.items():
        curve = known.get(name) if job.continues else None
        if isinstance(curve, list) and len(curve) == job.lengths.get(name):
            actions.append(partial(curve.extend, new))
        else:  # no list, or users have changed its length meanwhile
            learned[name] = [*(() if curve is None else curve[: job.lengths.get(name)]), *new]
    return actions


def replacements(known: Attributes, job: EstimatorJob, learned: Attributes) -> list[Action]:
    """Actions that write the new weights and the optimizer's state into the known objects.

    The entries of `learned` that they replace are removed.
    """
    if job.early_stopping:  # new lists, as in scikit-learn
        return []
    actions: list[Action] = []
    network, source = job.network, job.source
    if job.in_place:
        learned["_model"] = source
    if job.in_place and source is not None and source.owns and source.is_that_of(known):
        actions.append(partial(source.network.params.__setitem__, ..., network.params))
        del learned["coefs_"], learned["intercepts_"]
    else:
        for name, views in (("coefs_", network.coefs), ("intercepts_", network.intercepts)):
            entries = known.get(name)
            if isinstance(entries, list) and len(entries) >= len(views):
                actions += _writes(entries, views, job.in_place)
                del learned[name]
    optimizer = known.get("_optimizer")
    if job.incremental and isinstance(optimizer, Optimizer):
        actions += optimizer.takes(learned.pop("_optimizer"))
    return actions


def _writes(entries: list[Any], views: list[NDArray[Any]], in_place: bool) -> list[Action]:
    """Actions that write the views into the arrays of a list, or put them in their place."""
    return [
        partial(entry.__setitem__, ..., view)
        if in_place and _is_writable(entry, view)
        else partial(entries.__setitem__, number, view)
        for number, (entry, view) in enumerate(zip(entries, views, strict=False))
    ]


def _is_writable(entry: Any, view: NDArray[Any]) -> bool:
    """Whether an array of a list can take the values of a view."""
    return (
        type(entry) in (np.ndarray, np.memmap)
        and entry.shape == view.shape
        and entry.dtype.kind == "f"
        and entry.flags.writeable
    )
