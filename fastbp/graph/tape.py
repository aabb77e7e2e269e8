"""Lowering: from the steps of an expression to a tape, which is what the core runs.

A tape holds the steps of value and derivative together, for a known number of outputs, on few
registers.
"""

from dataclasses import dataclass

import numpy as np

ARGUMENTS = 3


@dataclass(frozen=True)
class Tape:
    """What the core runs over blocks of rows.

    Registers hold a number for each row of the block, or a row of numbers for each. The first are
    the constants, the next the inputs; instructions fill the others.
    """

    code: np.ndarray  # int32 (instructions, 6): operation, result, three arguments or -1, is a row
    constants: np.ndarray  # float64 (constants, n_outputs)
    registers: int
    head: int  # instructions that lead to the value; the others, to the derivative
    value: int  # registers of the results
    derivative: int


def compile_tape(expression, n_outputs, operations):
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
        Where the expression does not fit so many columns.
    """
    steps, results = expression.with_derivative()
    lower = Lowering(n_outputs)
    for step in steps:
        lower.add(*step)
    value, derivative = (lower.places[i] for i in results)
    return lower.tape(value, lower.widen(derivative), len(expression.inputs), operations)


class Lowering:
    """From steps to instructions: a known number of columns, arguments of one width."""

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs
        self.places, self.spreads = [], {}
        self.lines, self.wide = [], []  # (name, args, option); whether it is a row

    def emit(self, name, args=(), option=None, wide=False):
        self.lines.append((name, tuple(args), option))
        self.wide.append(wide and self.n_outputs > 1)
        return len(self.lines) - 1

    def is_constant(self, line):
        return self.lines[line][0] == "constant"

    def widen(self, line):
        """A line as a row. A constant number is one already: its register is full of it."""
        if self.wide[line] or self.n_outputs == 1 or self.is_constant(line):
            return line
        if line not in self.spreads:
            self.spreads[line] = self.emit("spread", [line], wide=True)
        return self.spreads[line]

    def add(self, name, args, option):
        """Append a step of an expression."""
        args = [self.places[i] for i in args]
        self.places.append(self.lowered(name, args, option))

    def lowered(self, name, args, option):
        K = self.n_outputs
        if name == "constant":
            if np.ndim(option) and len(option) != K:
                raise ValueError(
                    f"a constant of the expression has {len(option)} numbers, but there are {K} "
                    "outputs"
                )
            return self.emit(name, option=option, wide=np.ndim(option) > 0)
        if name == "count":
            return self.emit("constant", option=float(K))
        if name == "input":
            return self.emit(name, option=option, wide=True)
        if name in ("item", "place"):
            if not -K <= option < K:
                raise ValueError(f"the expression asks for column {option} of {K} outputs")
            option %= K
        if name in ("item", "place", "sum", "mean", "spread", "logsumexp") and K == 1:
            return args[0]
        if name == "spread":
            return self.widen(args[0])
        if name == "logsumexp":
            row = self.widen(args[0])
            top = self.emit("largest", [row])
            shifted = self.emit("subtract", [row, self.widen(top)], wide=True)
            total = self.emit("sum", [self.emit("exp", [shifted], wide=True)])
            return self.emit("add", [self.emit("log", [total]), top])
        if name == "mean":
            total = self.emit("sum", [self.widen(args[0])])
            return self.emit("divide", [total, self.emit("constant", option=float(K))])
        if name in ("sum", "item"):
            return self.emit(name, [self.widen(args[0])], option)
        if name == "place":
            return self.emit(name, args, option, wide=True)
        wide = any(self.wide[i] for i in args)
        return self.emit(name, [self.widen(i) for i in args] if wide else args, option, wide)

    def tape(self, value, derivative, n_inputs, operations):
        """Registers for all lines: a line's is free again after its last use."""
        constants = [i for i, line in enumerate(self.lines) if line[0] == "constant"]
        registers = {line: k for k, line in enumerate(constants)}
        for i, (name, _, option) in enumerate(self.lines):
            if name == "input":
                registers[i] = len(constants) + option
        count = len(constants) + n_inputs
        last = {}
        for i, (_, args, _) in enumerate(self.lines):
            for arg in args:
                last[arg] = i
        last[value] = last[derivative] = len(self.lines)
        free, code, head = [], [], 0
        for i, (name, args, option) in enumerate(self.lines):
            if name in ("constant", "input"):
                continue
            if not free:
                free.append(count)
                count += 1
            registers[i] = free.pop()
            row = [registers[arg] for arg in args] + ([] if option is None else [option])
            row += [-1] * (ARGUMENTS - len(row))
            code.append([operations[name], registers[i], *row, int(self.wide[i])])
            if i == value:
                head = len(code)
            # Only now: a result never takes the place of its own argument.
            for arg in dict.fromkeys(args):
                if last[arg] == i and self.lines[arg][0] not in ("constant", "input"):
                    free.append(registers[arg])
        return Tape(
            np.array(code, np.int32).reshape(-1, ARGUMENTS + 3),
            np.array(
                [np.broadcast_to(self.lines[i][2], self.n_outputs) for i in constants], np.float64
            ).reshape(-1, self.n_outputs),
            count,
            head,
            registers[value],
            registers[derivative],
        )
