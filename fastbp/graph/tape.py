"""Lowering: from the steps of an expression to a tape, which the core runs.

A tape holds the steps of value and derivative together, for a known number of outputs, on few
registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.graph.expression import Expression
from fastbp.graph.operations import Rules
from fastbp.graph.steps import Step

ARGUMENTS = 3


@dataclass(frozen=True)
class Tape:
    """A program of the core, which runs it over blocks of rows.

    A register holds a number for each row of the block, or a row of numbers for each. The first
    registers hold the constants, the next the inputs; instructions fill the others.
    """

    code: np.ndarray  # int32 (instructions, 6): operation, result, three arguments or -1, is a row
    constants: np.ndarray  # float64 (constants, n_outputs)
    registers: int
    head: int  # instructions that lead to the value; the others, to the derivative
    value: int  # registers of the results
    derivative: int


def compile_tape(expression: Expression, n_outputs: int, operations: Mapping[str, int]) -> Tape:
    """The tape of an expression and its derivative.

    Parameters
    ----------
    expression : Expression
    n_outputs : int
        Columns of a row; 1 for an activation.
    operations : dict of str to int
        The operations that the core knows.

    Raises
    ------
    ValueError
        Where the expression does not fit this number of columns.
    TypeError
        Where the core does not know an operation of the expression.
    """
    steps, results = expression.with_derivative()
    lowering = Lowering(n_outputs)
    for step in steps:
        lowering.add(*step)
    value, derivative = (lowering.lowered[i] for i in results)
    return lowering.tape(value, lowering.widen(derivative), len(expression.inputs), operations)


# ---- lowering: the rules that turn a step into lines of the tape,
# rule(lowering, name, lines of the arguments, option) -> line of the result


def _lower_elementwise(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    wide = any(lowering.wide[i] for i in args)
    return lowering.emit(name, map(lowering.widen, args) if wide else args, option, wide)


def _lower_constant(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    if np.ndim(option) and len(option) != lowering.n_outputs:
        raise ValueError(
            f"a constant of the expression has {len(option)} numbers, but there are "
            f"{lowering.n_outputs} outputs"
        )
    return lowering.emit("constant", option=option, wide=np.ndim(option) > 0)


def _lower_input(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    return lowering.emit("input", option=option, wide=True)


def _lower_count(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    return lowering.emit("constant", option=float(lowering.n_outputs))


# Of one column, the operations across a row are the identity.


def _lower_spread(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    return args[0] if lowering.n_outputs == 1 else lowering.widen(args[0])


def _lower_item(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    column = lowering.column(option)
    if lowering.n_outputs == 1:
        return args[0]
    return lowering.emit("item", [lowering.widen(args[0])], column)


def _lower_place(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    column = lowering.column(option)
    if lowering.n_outputs == 1:
        return args[0]
    return lowering.emit("place", args, column, wide=True)


def _lower_sum(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    if lowering.n_outputs == 1:
        return args[0]
    return lowering.emit("sum", [lowering.widen(args[0])])


def _lower_mean(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    if lowering.n_outputs == 1:
        return args[0]
    total = lowering.emit("sum", [lowering.widen(args[0])])
    count = lowering.emit("constant", option=float(lowering.n_outputs))
    return lowering.emit("divide", [total, count])


def _lower_logsumexp(lowering: Lowering, name: str, args: Sequence[int], option: Any) -> int:
    if lowering.n_outputs == 1:
        return args[0]
    row = lowering.widen(args[0])
    top = lowering.emit("largest", [row])
    shifted = lowering.emit("subtract", [row, lowering.widen(top)], wide=True)
    total = lowering.emit("sum", [lowering.emit("exp", [shifted], wide=True)])
    return lowering.emit("add", [lowering.emit("log", [total]), top])


LOWERING = Rules(
    "lowering",
    {
        "input": _lower_input,
        "constant": _lower_constant,
        "count": _lower_count,
        "sum": _lower_sum,
        "mean": _lower_mean,
        "logsumexp": _lower_logsumexp,
        "item": _lower_item,
        "place": _lower_place,
        "spread": _lower_spread,
    },
    elementwise=_lower_elementwise,
)


class Lowering:
    """The lines of a tape: a known number of columns, arguments of one width.

    A line is (operation, numbers of earlier lines, option).
    """

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs
        self.lowered: list[int] = []  # the line of each step
        self.lines: list[Step] = []
        self.wide: list[bool] = []  # whether the line is a row
        self.rows: dict[int, int] = {}  # lines as rows

    def add(self, name: str, args: Sequence[int], option: Any) -> None:
        """Append a step of an expression."""
        args = [self.lowered[i] for i in args]
        self.lowered.append(LOWERING[name](self, name, args, option))

    def emit(
        self, name: str, args: Iterable[int] = (), option: Any = None, wide: bool = False
    ) -> int:
        """The number of a new line."""
        self.lines.append((name, tuple(args), option))
        self.wide.append(wide and self.n_outputs > 1)
        return len(self.lines) - 1

    def widen(self, line: int) -> int:
        """The line as a row. A constant number is one: its register is full of it."""
        if self.wide[line] or self.n_outputs == 1 or self.lines[line][0] == "constant":
            return line
        if line not in self.rows:
            self.rows[line] = self.emit("spread", [line], wide=True)
        return self.rows[line]

    def column(self, index: int) -> int:
        """The index of a column, counted from the first."""
        if not -self.n_outputs <= index < self.n_outputs:
            raise ValueError(f"the expression asks for column {index} of {self.n_outputs} outputs")
        return index % self.n_outputs

    def tape(
        self, value: int, derivative: int, n_inputs: int, operations: Mapping[str, int]
    ) -> Tape:
        """The tape of all lines, for the lines of its results."""
        constants = [i for i, line in enumerate(self.lines) if line[0] == "constant"]
        registers, count = self._registers((value, derivative), constants, n_inputs)
        code, head = [], 0
        for i, (name, args, option) in enumerate(self.lines):
            if self._is_given(i):
                continue
            if name not in operations:
                raise TypeError(f"the operation {name!r} cannot be compiled: the core lacks it")
            row = [registers[arg] for arg in args] + ([] if option is None else [option])
            row += [-1] * (ARGUMENTS - len(row))
            code.append([operations[name], registers[i], *row, int(self.wide[i])])
            if i == value:
                head = len(code)
        numbers = [np.broadcast_to(self.lines[i][2], self.n_outputs) for i in constants]
        return Tape(
            np.array(code, np.int32).reshape(-1, ARGUMENTS + 3),
            np.array(numbers, np.float64).reshape(-1, self.n_outputs),
            count,
            head,
            registers[value],
            registers[derivative],
        )

    def _is_given(self, line: int) -> bool:
        """Whether a line has its register from the start, and no instruction."""
        return self.lines[line][0] in ("constant", "input")

    def _registers(
        self, results: Sequence[int], constants: Sequence[int], n_inputs: int
    ) -> tuple[dict[int, int], int]:
        """The register of each line, and how many there are; each is reused after its last use."""
        registers = {line: k for k, line in enumerate(constants)}
        for i, (name, _, option) in enumerate(self.lines):
            if name == "input":
                registers[i] = len(constants) + option
        count = len(constants) + n_inputs
        last_use = {arg: i for i, (_, args, _) in enumerate(self.lines) for arg in args}
        last_use |= dict.fromkeys(results, len(self.lines))
        free: list[int] = []
        for i, (_, args, _) in enumerate(self.lines):
            if self._is_given(i):
                continue
            if not free:
                free.append(count)
                count += 1
            registers[i] = free.pop()
            # Only now: a result must not overwrite its own argument.
            for arg in dict.fromkeys(args):
                if last_use[arg] == i and not self._is_given(arg):
                    free.append(registers[arg])
        return registers, count
