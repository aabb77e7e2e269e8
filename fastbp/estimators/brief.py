"""Short texts in place of parameters that hold many numbers, where an estimator is shown."""

from functools import partial
from itertools import islice
from reprlib import repr as cut_repr
from typing import Any

MOST_SHAPES = 3  # that are shown of a list of arrays


class Brief:
    """An object whose repr is this text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def brief(init: Any) -> Any:
    """What is shown of the parameter `init`: itself, or shapes in place of its arrays."""
    if isinstance(init, partial):
        return Brief(f"functools.partial({init.func!r}, ...)")
    if not isinstance(init, list | tuple):
        return init
    parts = ", ".join(map(_part, islice(init, MOST_SHAPES)))
    return Brief(f"[{parts}]" if isinstance(init, list) else f"({parts})")


def _part(part: Any) -> str:
    """Number and shapes of the arrays in one list of the pair."""
    if not isinstance(part, list | tuple):
        return f"<array {_shape(part)}>" if hasattr(part, "shape") else cut_repr(part)
    shapes = ", ".join(map(_shape, part[:MOST_SHAPES]))
    return f"<{len(part)} arrays: {shapes}{', ...' * (len(part) > MOST_SHAPES)}>"


def _shape(array: Any) -> str:
    """The shape of an array, or of nested lists if all have the length of the first one."""
    if hasattr(array, "shape"):
        return str(array.shape)
    shape = []
    for _ in range(3):  # no more, since a list may contain itself
        if isinstance(array, list | tuple):
            shape.append(len(array))
            array = array[0] if array else None
    return str(tuple(shape)) if shape else cut_repr(array)
