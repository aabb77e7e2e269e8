"""Steps: a formula as plain data.

A step is (operation, numbers of earlier steps, option). A Writer turns nodes into steps. It folds
constants, applies the rules of simplification that it is given, and writes equal steps once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastbp.graph.operations import NUMBER, OPERATIONS, ROW, Rules, Shape, is_elementwise

Step: TypeAlias = tuple[str, tuple[int, ...], Any]

# ---- writing: the rules that turn a node into a step, rule(writer, node) -> number of the step


def _write_elementwise(writer: Writer, node: Any) -> int:
    return writer.operate(node.operation.name, [writer.written[i] for i in node.inputs])


def _write_reduction(writer: Writer, node: Any) -> int:
    name, options = node.operation.name, node.options
    if options["keepdims"] or options["axis"] not in (None, 0, -1):
        raise TypeError(
            f"{name} of a row has the axis None, 0 or -1 and no keepdims, got {options}"
        )
    return writer.operate(name, [_row(writer, node)])


def _write_item(writer: Writer, node: Any) -> int:
    index = _index(node)
    return writer.operate("item", [_row(writer, node)], index)


def _write_place(writer: Writer, node: Any) -> int:
    return writer.operate("place", [writer.written[node.inputs[0]]], _index(node))


def _write_spread(writer: Writer, node: Any) -> int:
    return writer.operate("spread", [writer.written[node.inputs[0]]])


def _write_count(writer: Writer, node: Any) -> int:
    return writer.step("count", (), None, NUMBER)


WRITING = Rules(
    "writing",
    {
        "sum": _write_reduction,
        "mean": _write_reduction,
        "logsumexp": _write_reduction,
        "item": _write_item,
        "place": _write_place,
        "spread": _write_spread,
        "count": _write_count,
    },
    elementwise=_write_elementwise,
)


def _row(writer: Writer, node: Any) -> int:
    """The step of the input, as a row."""
    number = writer.written[node.inputs[0]]
    if writer.shapes[number] == NUMBER and node.inputs[0].shape == NUMBER:
        raise TypeError(f"{node.operation.name} is of a row, but this is a single number")
    return writer.spread(number)


def _index(node: Any) -> int:
    index = node.options["index"]
    if not isinstance(index, int | np.integer):
        raise TypeError(f"a row is indexed by the number of a column, raw[0], got [{index!r}]")
    return int(index)


# ---- the writer

COMMUTATIVE = {"add", "multiply", "equal"}  # x + y and y + x are one step


class Writer:
    """Writes nodes as steps, simplified, equal steps once.

    Parameters
    ----------
    inputs : tuple of str
        Names of the symbols.
    tables : sequence of dict, default=()
        Rules of simplification by operation, the first table first; see `simplify.py`.
    """

    def __init__(self, inputs: Sequence[str], tables: Sequence[Mapping[str, Any]] = ()) -> None:
        self.inputs, self.tables = inputs, tables
        self.steps: list[Step] = []
        self.shapes: list[Shape] = []
        self.numbers: dict[Step, int] = {}  # the number of each step
        self.written: dict[Any, int] = {}  # the number of the step of each node

    def write(self, nodes: Sequence[Any]) -> int:
        """The number of the last node's step, after writing all nodes, inputs before results."""
        for node in nodes:
            if node not in self.written:
                self.written[node] = self._write(node)
        return self.written[nodes[-1]]

    def finish(self, results: Sequence[int]) -> tuple[tuple[Step, ...], list[int]]:
        """The steps that `results` need, and the numbers of the results among them."""
        needed: set[int] = set()
        stack = list(results)
        while stack:
            number = stack.pop()
            if number not in needed:
                needed.add(number)
                stack += self.steps[number][1]
        new = {number: k for k, number in enumerate(sorted(needed))}
        steps = tuple(
            (name, tuple(new[i] for i in args), option)
            for name, args, option in (self.steps[number] for number in sorted(needed))
        )
        return steps, [new[number] for number in results]

    def _write(self, node: Any) -> int:
        if node._value is not None:
            return self.constant(node._value)
        if node.operation is None:
            return self.step("input", (), self.inputs.index(node.name), node.shape)
        name = node.operation.name
        if OPERATIONS.get(name) is not node.operation:
            raise TypeError(
                f"the primitive {name!r} runs in Python alone and cannot be compiled: write it "
                "with the functions of fastbp.graph"
            )
        number: int = WRITING[name](self, node)
        return self.spread(number) if node.shape == ROW else number

    def step(self, name: str, args: Iterable[int], option: Any, shape: Shape) -> int:
        """The number of a step, which is written unless there is an equal one."""
        args = tuple(args)
        key = name, tuple(sorted(args)) if name in COMMUTATIVE else args, option
        if key not in self.numbers:
            self.numbers[key] = len(self.steps)
            self.steps.append((name, args, option))
            self.shapes.append(shape)
        return self.numbers[key]

    def constant(self, value: ArrayLike) -> int:
        """The step of a constant: a number, or one number for each output."""
        if np.ndim(value) > 1:
            raise TypeError(
                "a constant is a number, or one number for each output, got an array of shape "
                f"{np.shape(value)}"
            )
        if np.ndim(value):
            return self.step("constant", (), tuple(map(float, np.asarray(value))), ROW)
        return self.step("constant", (), float(np.asarray(value)), NUMBER)

    def spread(self, number: int) -> int:
        """The step as a row: of equal numbers, unless it is a row."""
        if self.shapes[number] == ROW:
            return number
        return self.step("spread", (number,), None, ROW)

    def constant_value(self, number: int) -> float | None:
        """The value of a step that is a constant number, or a row of one; else None."""
        name, args, option = self.steps[number]
        if name == "spread":
            return self.constant_value(args[0])
        return option if name == "constant" and np.ndim(option) == 0 else None

    def operate(self, name: str, args: Sequence[int], option: Any = None) -> int:
        """The step of an operation, simplified."""
        for table in self.tables:
            for rule in table.get(name, ()):
                number: int | None = rule(self, *args)
                if number is not None:
                    return number
        if is_elementwise(name):
            constants = [self.steps[i][2] for i in args if self.steps[i][0] == "constant"]
            if len(constants) == len(args):
                with np.errstate(all="ignore"):
                    return self.constant(OPERATIONS[name].value(*constants))
        shape = OPERATIONS[name].shape
        if shape is None:
            shape = ROW if any(self.shapes[i] == ROW for i in args) else NUMBER
        return self.step(name, args, option, shape)
