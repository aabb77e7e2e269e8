"""Checks of the fields of plain states, which may come from damaged pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from reprlib import repr as cut_repr
from sys import float_info
from typing import Any, TypeAlias

import numpy as np

Check: TypeAlias = tuple[Callable[[Any], bool], str]  # and what the value has to be


def check_fields(what: str, state: Any, checks: Mapping[str, Check]) -> None:
    """Raise ValueError unless `state` is a dict with these fields, and all of them are right."""
    if not isinstance(state, dict) or state.keys() != checks.keys():
        raise ValueError(
            f"the state of {what} must be a dict of {', '.join(checks)}, got "
            f"{', '.join(map(cut_repr, state)) if isinstance(state, dict) else cut_repr(state)}"
        )
    for name, (is_right, wanted) in checks.items():
        if not is_right(state[name]):
            raise ValueError(f"{name!r} of {what} must be {wanted}, got {described(state[name])}")


def described(value: Any) -> str:
    """A short text for a value in a message."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    return cut_repr(value)


# ---- checks


def instance_of(kind: type, text: str) -> Check:
    """An object of this type."""
    return lambda value: isinstance(value, kind), text


def or_none(check: Check) -> Check:
    """What the check wants, or None."""
    is_right, wanted = check
    return lambda value: value is None or is_right(value), f"{wanted}, or None"


def whole_number(least: int) -> Check:
    """An integer of at least this size."""

    def is_right(value: Any) -> bool:
        if type(value) is int:  # the usual case: to ask an abstract class takes longer
            return value >= least
        is_integer = isinstance(value, Integral) and not isinstance(value, bool)
        return is_integer and int(value) >= least

    return is_right, f"an integer of at least {least}"


def name_in(names: Mapping[str, Any]) -> Check:
    """A key of this table."""
    return (
        lambda value: isinstance(value, str) and value in names,
        f"one of {', '.join(names)}",
    )


def floats(value: Any, *shape: int | None) -> bool:
    """Whether this is an array of float32 or float64 of this shape; None: any length."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype.type in (np.float32, np.float64)
        and value.ndim == len(shape)
        and all(wanted in (None, n) for wanted, n in zip(shape, value.shape, strict=True))
    )


def _is_size(value: Any) -> bool:
    is_number: bool = isinstance(value, Real | np.bool_)
    return is_number and bool(0 <= value <= float_info.max)


NUMBER: Check = (
    lambda value: type(value) in (float, np.float64) or isinstance(value, Real),
    "a number",
)
SIZE: Check = _is_size, "a finite number of at least 0"
