"""Adoption: the actions that give an estimator the results of a fit, all of them or none.

What may fail, since it runs code of users, comes first. The actions are then called in one line:
each is a call of a function written in C, so that no signal is handled within it. Other threads may
run between two actions; the number of changes tells them (see `guard`).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import call
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.guard import adopting
from fastbp.estimators.model import FACTS, LISTS
from fastbp.estimators.request import EstimatorJob
from fastbp.training import Optimizer

Action: TypeAlias = Callable[[], object]
Attributes: TypeAlias = dict[str, Any]


def at_once(actions: Iterable[Action]) -> None:
    """Call all actions in one line, since Python handles signals between two lines."""
    with adopting():
        deque(map(call, actions), maxlen=0)


def extensions(
    known: Attributes, job: EstimatorJob, curves: dict[str, list[Any]], learned: Attributes
) -> list[Action]:
    """Actions that lengthen the known curves, so that the cost depends on the new epochs only.

    A curve with an `append` of its own is lengthened here, number by number as in scikit-learn.
    Curves that cannot be lengthened are added to `learned`.
    """
    actions: list[Action] = []
    for name, new in curves.items():
        curve: Any = known.get(name) if job.continues else None
        if getattr(type(curve), "append", None) is list.append:
            actions.append(partial(list.extend, curve, new))
        elif hasattr(curve, "append"):
            for number in new:
                curve.append(number)
        else:
            learned[name] = [*(() if curve is None else curve), *new]
    return actions


def replacements(known: Attributes, job: EstimatorJob, learned: Attributes) -> list[Action]:
    """Actions that write the new weights and the optimizer's state into the known objects.

    The entries of `learned` that they replace are removed. Arrays are written that the estimator
    had when the job was made: what other threads have put in their place since then stays.
    """
    if job.early_stopping:  # new lists, as in scikit-learn
        return []
    actions: list[Action] = []
    network, source = job.network, job.source
    assert source is not None  # the job continues
    if job.in_place:
        learned["_model"] = source
    if job.in_place and source.owns:
        actions.append(partial(source.network.params.__setitem__, ..., network.params))
        del learned["coefs_"], learned["intercepts_"]
    else:
        for name, old in zip(LISTS, source.entries, strict=True):
            writes = _writes(known.get(name), old, learned[name], job.in_place)
            if writes is not None:
                actions += writes
                del learned[name]
    optimizer = known.get("_optimizer")
    if job.incremental and isinstance(optimizer, Optimizer):
        actions += optimizer.takes(learned.pop("_optimizer"))
    return actions


def forget_known(job: EstimatorJob, learned: Attributes) -> None:
    """Remove the facts that the fit has not changed: another thread may have set them since."""
    if job.source is not None:
        for name, value in zip(FACTS, job.source.facts, strict=False):
            new = learned.get(name)
            if type(new) is type(value) and new == value:
                del learned[name]


def _writes(
    entries: Any, old: Sequence[Any], views: list[NDArray[Any]], in_place: bool
) -> list[Action] | None:
    """Actions that write the views into the old arrays, or put them in their place in the list.

    None if that is not possible, because the entries are in no list.
    """
    actions: list[Action] = []
    for number, (entry, view) in enumerate(zip(old, views, strict=False)):
        if in_place and _is_writable(entry, view):
            actions.append(partial(entry.__setitem__, ..., view))
        elif not isinstance(entries, list):
            return None
        elif number < len(entries) and entries[number] is entry:
            # No method of a subclass, which might fail.
            actions.append(partial(list.__setitem__, entries, number, view))
    return actions


def _is_writable(entry: Any, view: NDArray[Any]) -> bool:
    """Whether an array of a list can take the values of a view."""
    return (
        type(entry) in (np.ndarray, np.memmap)
        and entry.shape == view.shape
        and entry.dtype.kind == "f"
        and entry.flags.writeable
    )
