"""The check of steps that no Writer wrote: a user may give them, or a damaged pickle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from reprlib import repr as cut_repr
from typing import Any, NamedTuple

from fastbp.graph.operations import NUMBER, OPERATIONS, ROW, Shape, is_elementwise


class Kind(NamedTuple):
    """The steps of one operation."""

    arguments: tuple[Shape, ...]  # their shapes
    option: str = "None"  # a key of OPTIONS


def _is_constant(option: Any, n_inputs: int) -> bool:
    numbers = option if isinstance(option, tuple) and option else (option,)
    return all(isinstance(number, float) for number in numbers)  # infinity and NaN too


OPTIONS: dict[str, Callable[[Any, int], bool]] = {
    "None": lambda option, n_inputs: option is None,
    "the number of an input": lambda option, n_inputs: (
        type(option) is int and 0 <= option < n_inputs
    ),
    "the number of a column": lambda option, n_inputs: type(option) is int,
    "a float, or a tuple of them": _is_constant,
}
KINDS = {  # all others are elementwise
    "input": Kind((), "the number of an input"),
    "constant": Kind((), "a float, or a tuple of them"),
    "count": Kind(()),
    "sum": Kind((ROW,)),
    "mean": Kind((ROW,)),
    "logsumexp": Kind((ROW,)),
    "item": Kind((ROW,), "the number of a column"),
    "place": Kind((NUMBER,), "the number of a column"),
    "spread": Kind((NUMBER,)),
}


def check_steps(steps: Any, inputs: Any, input_shape: Shape) -> None:
    """Raise ValueError unless these are the steps and inputs of a formula.

    Parameters
    ----------
    steps : tuple of (str, tuple of int, option)
    inputs : tuple of str
    input_shape : tuple
        Shape of each input.
    """
    if not (
        isinstance(inputs, tuple)
        and inputs
        and all(isinstance(name, str) and name.isidentifier() for name in inputs)
        and len({*inputs}) == len(inputs)
    ):
        raise ValueError(
            "the inputs of an expression must be a tuple of different names, got "
            f"{cut_repr(inputs)}"
        )
    if not isinstance(steps, tuple) or not steps:
        raise ValueError(
            f"the steps of an expression must be a tuple of one at least, got {cut_repr(steps)}"
        )
    shapes: list[Shape] = []
    for k, step in enumerate(steps):
        try:
            shapes.append(_checked_shape(step, shapes, len(inputs), input_shape))
        except ValueError as error:
            raise ValueError(
                f"step {k} of the expression, {cut_repr(step)}, is none: {error}"
            ) from None


def _checked_shape(step: Any, earlier: Sequence[Shape], n_inputs: int, input_shape: Shape) -> Shape:
    """The shape of a step, given those of all earlier steps; ValueError if it is no step."""
    if not isinstance(step, tuple) or len(step) != 3:
        raise ValueError("a step is (operation, numbers of earlier steps, option)")
    name, args, option = step
    if not isinstance(name, str) or not (name in KINDS or is_elementwise(name)):
        raise ValueError("there is no such operation")
    if not isinstance(args, tuple):
        raise ValueError("the numbers of earlier steps are a tuple")
    shapes = []
    for i in args:
        if type(i) is not int or not 0 <= i < len(earlier):
            raise ValueError(f"earlier steps have the numbers 0 to {len(earlier) - 1}")
        shapes.append(earlier[i])
    kind = KINDS.get(name)
    n_arguments = len(OPERATIONS[name].derivatives) if kind is None else len(kind.arguments)
    if len(args) != n_arguments:
        raise ValueError(f"{name} takes {n_arguments} arguments")
    what = "None" if kind is None else kind.option
    if not OPTIONS[what](option, n_inputs):
        raise ValueError(f"the option of {name} is {what}")
    if kind is None:
        return ROW if ROW in shapes else NUMBER
    for wanted, shape in zip(kind.arguments, shapes, strict=True):
        if shape != wanted:
            raise ValueError(f"{name} is of a {'row' if wanted == ROW else 'single number'}")
    if name == "input":
        return input_shape
    if name == "constant":
        return ROW if isinstance(option, tuple) else NUMBER
    result = OPERATIONS[name].shape
    return NUMBER if result is None else result
