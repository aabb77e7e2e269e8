"""Expressions: formulas traced from Python functions, simplified, differentiated, compiled.

    function -> trace -> steps -> derivative (the reverse sweep of graph.py) -> tape

The steps are a flat tuple, each of them an operation on earlier ones, equal steps only once: plain
data, so that an expression is compared, pickled and shown without the function it came from. A tape
is what the core runs: the steps of value and derivative together, on few registers.
"""

from dataclasses import dataclass

import numpy as np

from fastbp import graph

LOSS, ACTIVATION = ("raw", "y"), ("z",)
COMMUTATIVE = {"add", "multiply", "equal"}
LARGEST_POWER = 16  # integer powers up to here are products


class Expression:
    """A formula of one row: a loss of raw prediction and target, or an activation.

    Made by `trace`; the parameters `loss` and `activation` of the estimators take it as well as the
    function it was traced from.

    Parameters
    ----------
    steps : tuple of (str, tuple of int, option)
        Operations on earlier steps; the last is the result.
    inputs : tuple of str
        Names of the arguments.
    """

    def __init__(self, steps, inputs):
        self.steps, self.inputs = steps, inputs

    @classmethod
    def trace(cls, function, inputs):
        """The formula that a function writes when it is called with symbols.

        Parameters
        ----------
        function : callable
            Of as many arguments as `inputs`, made of the functions and operators of `fastbp.graph`.
        inputs : tuple of str
            ``('raw', 'y')`` for a loss, rows with a number for each output; ``('z',)`` for an
            activation, a single number.

        Raises
        ------
        TypeError
            Where the function uses what cannot be differentiated, or branches on a symbol.
        ValueError
            Where the result does not depend on all arguments.
        """
        if isinstance(function, cls):
            if function.inputs != inputs:
                raise ValueError(
                    f"an expression of ({', '.join(inputs)}) is wanted, got one of "
                    f"({', '.join(function.inputs)}): {function}"
                )
            return function
        shape = graph.ROW if inputs == LOSS else graph.NUMBER
        symbols = [graph.Variable._symbol(name, shape) for name in inputs]
        result = function(*symbols)
        if not isinstance(result, graph.Variable):
            if not isinstance(result, int | float | np.number):
                raise TypeError(
                    f"a function of ({', '.join(inputs)}) has to return one expression, got "
                    f"{type(result).__name__}"
                )
            result = graph.constant(result)
        nodes = graph.order(result)
        for symbol in symbols:
            if not any(node is symbol for node in nodes):
                raise ValueError(
                    f"the result does not depend on {symbol.name!r}: nothing is to be learned "
                    "from a function that ignores an argument"
                )
        writer = Writer(inputs)
        last = writer.write(nodes)
        return cls(*writer.finish([last])[:1], inputs)

    def replay(self, *values):
        """What the steps make of other inputs: numbers, arrays, Variables or symbols."""
        done = []
        for name, args, option in self.steps:
            if name == "input":
                done.append(values[option])
            elif name == "constant":
                done.append(np.asarray(option)[()])
            elif name == "columns":
                symbolic = isinstance(values[0], graph.Variable) and values[0].value is None
                done.append(graph.COLUMNS if symbolic else np.shape(values[0])[-1])
            else:
                done.append(graph.apply(name, *(done[i] for i in args), **_options(name, option)))
        return done[-1]

    def __call__(self, *values):
        """The value for one row (a loss), or for any numbers (an activation)."""
        return self.replay(*(np.asarray(value, np.float64)[()] for value in values))

    def with_derivative(self):
        """Steps that lead to the value and to its derivative by the first input.

        Returns
        -------
        steps : tuple
        results : list of int
            The steps that are value and derivative. A value in columns is summed over them.
        """
        shape = graph.ROW if self.inputs == LOSS else graph.NUMBER
        symbols = [graph.Variable._symbol(name, shape) for name in self.inputs]
        for symbol in symbols[1:]:
            symbol.is_constant = True
        value = graph.constant(self.replay(*symbols))
        if value.shape != graph.NUMBER:
            value = graph.sum(value)
        derivative = graph.sweep(graph.order(value), lambda node: node).get(symbols[0], 0.0)
        writer = Writer(self.inputs)
        results = [writer.write(graph.order(graph.constant(r))) for r in (value, derivative)]
        return writer.finish(results)

    def __eq__(self, other):
        return (
            isinstance(other, Expression)
            and (self.steps, self.inputs) == (other.steps, other.inputs)
        )

    def __hash__(self):
        return hash((self.steps, self.inputs))

    def __str__(self):
        """The formula, as it would be written with fastbp.graph."""
        text = []
        for name, args, option in self.steps:
            text.append(_formula(name, [text[i] for i in args], option, self.inputs))
        return text[-1][0]

    def __repr__(self):
        return f"Expression({', '.join(self.inputs)}: {self})"


SIGNS = {"add": ("+", 1), "subtract": ("-", 1), "multiply": ("*", 2), "divide": ("/", 2),
         "power": ("**", 4), "less": ("<", 0), "less_equal": ("<=", 0), "equal": ("==", 0)}
ATOM = 9  # how tightly a name, a number or a call holds together


def _formula(name, args, option, inputs):
    """(text, how tightly it holds together) of a step."""
    if name == "input":
        return inputs[option], ATOM
    if name == "constant":
        return (f"{option:.6g}", ATOM if option >= 0 else 3) if np.ndim(option) == 0 else (
            f"[{', '.join(f'{number:.6g}' for number in option)}]", ATOM)
    if name == "columns":
        return name, ATOM
    if name == "item":
        return f"{_held(args[0], ATOM)}[{option}]", ATOM
    if name in SIGNS:
        sign, strength = SIGNS[name]
        left, right = _held(args[0], strength), _held(args[1], strength + 1)
        return f"{left} {sign} {right}", strength
    if name == "negative":
        return f"-{_held(args[0], 3)}", 3
    return f"{name}({', '.join(text for text, _ in args)})", ATOM


def _held(arg, strength):
    text, its = arg
    return text if its >= strength else f"({text})"


def _options(name, option):
    """The options that an operation of graph.py is called with."""
    if name in ("sum", "logsumexp"):
        return {"axis": -1 if option else None, "keepdims": False}
    if name == "spread":
        return {"axis": None, "keepdims": False, "shape": graph.ROW}
    if name == "item":
        return {"index": option}
    if name == "place":
        return {"index": option, "shape": graph.ROW}
    return {}


class Writer:
    """Writes nodes as steps: constants folded, what changes nothing left out, equal steps once."""

    def __init__(self, inputs):
        self.inputs = inputs
        self.steps, self.shapes, self.known, self.places = [], [], {}, {}

    def write(self, nodes):
        """Write nodes, inputs before results; the number of the last one's step."""
        for node in nodes:
            if node not in self.places:
                self.places[node] = self._write(node)
        return self.places[nodes[-1]]

    def finish(self, results):
        """(the steps that `results` need, the numbers of these results among them)."""
        needed = set()
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

    def _write(self, node):
        if node is graph.COLUMNS:
            return self.step("columns", (), None, graph.NUMBER)
        if node.operation is None and node.value is None:
            return self.step("input", (), self.inputs.index(node.name), node.shape)
        if node.value is not None:
            return self.constant(node.value)
        name, options = node.operation.name, node.options
        if graph.OPERATIONS.get(name) is not node.operation:
            raise TypeError(
                f"the primitive {name!r} runs in Python alone and cannot be compiled: write it "
                "with the functions of fastbp.graph"
            )
        if options.get("keepdims") or options.get("axis") not in (None, 0, -1):
            raise TypeError(
                f"{name} of a row has the axis None, 0 or -1 and no keepdims, got {options}"
            )
        option = options.get("index")
        if name in ("item", "place") and not isinstance(option, int | np.integer):
            raise TypeError(f"a row is indexed by the number of a column, raw[0], got [{option!r}]")
        args = [self.places[i] for i in node.inputs]
        if name in ("sum", "logsumexp", "item") and self.shapes[args[0]] == graph.NUMBER:
            if node.inputs[0].shape == graph.NUMBER:
                raise TypeError(f"{name} is of a row, but this is a single number")
            args = [self.spread(args[0])]
        number = self.operate(name, args, None if option is None else int(option))
        return self.spread(number) if node.shape == graph.ROW else number

    def step(self, name, args, option, shape):
        """The number of a step, which is written unless it already is."""
        key = name, tuple(sorted(args)) if name in COMMUTATIVE else tuple(args), option
        if key not in self.known:
            self.known[key] = len(self.steps)
            self.steps.append((name, tuple(args), option))
            self.shapes.append(shape)
        return self.known[key]

    def constant(self, value):
        if np.ndim(value) > 1:
            raise TypeError(
                "a constant is a number, or one number for each output, got an array of shape "
                f"{np.shape(value)}"
            )
        if np.ndim(value):
            value = tuple(float(number) for number in value)
            return self.step("constant", (), value, graph.ROW)
        return self.step("constant", (), float(value), graph.NUMBER)

    def spread(self, number):
        """A row of equal numbers, where it is no row yet."""
        if self.shapes[number] == graph.ROW:
            return number
        return self.step("spread", (number,), None, graph.ROW)

    def value(self, number):
        """What a step always is, if it is a constant number; else None."""
        name, args, option = self.steps[number]
        if name == "spread":
            return self.value(args[0])
        return option if name == "constant" and np.ndim(option) == 0 else None

    def operate(self, name, args, option):
        """A step for an operation, or what comes to the same with fewer."""
        if simpler := self.simpler(name, args):
            return simpler[0]
        values = [self.steps[i][2] if self.steps[i][0] == "constant" else None for i in args]
        if args and all(value is not None for value in values) and name not in ("spread", "place",
                                                                               "sum", "logsumexp"):
            with np.errstate(all="ignore"):
                value = graph.OPERATIONS[name].value(*values, **_options(name, option))
            return self.constant(value)
        operation = graph.OPERATIONS[name]
        wide = any(self.shapes[i] == graph.ROW for i in args)
        shape = operation.shape if operation.shape is not None else (
            graph.ROW if wide else graph.NUMBER)
        return self.step(name, args, option, shape)

    def simpler(self, name, args):
        """[the step that is the same as this operation], or None."""
        value = [self.value(i) for i in args]
        if name in ("add", "multiply"):
            neutral = 0.0 if name == "add" else 1.0
            for this, other in ((0, 1), (1, 0)):
                if value[this] == neutral:
                    return [args[other]]
                if name == "multiply" and value[this] == 0:
                    return [args[this]]
                if name == "multiply" and value[this] == -1:
                    return [self.operate("negative", [args[other]], None)]
        elif name == "subtract":
            if value[1] == 0:
                return [args[0]]
            if value[0] == 0:
                return [self.operate("negative", [args[1]], None)]
        elif name == "divide" and value[1] == 1:
            return [args[0]]
        elif name == "negative" and self.steps[args[0]][0] == "negative":
            return [self.steps[args[0]][1][0]]
        elif name == "where" and value[0] is not None:
            return [args[1] if value[0] else args[2]]
        elif name == "power" and value[1] is not None:
            return self.fixed_power(args[0], value[1])
        elif name == "spread" and self.shapes[args[0]] == graph.ROW:
            return [args[0]]
        return None

    def fixed_power(self, base, exponent):
        """Powers that are products, a root, or a reciprocal."""
        if exponent == 0.5:
            return [self.operate("sqrt", [base], None)]
        if exponent != int(exponent) or abs(exponent) > LARGEST_POWER:
            return None
        result, square, left = self.constant(1.0), base, abs(int(exponent))
        while left:
            if left % 2:
                result = self.operate("multiply", [result, square], None)
            left //= 2
            if left:
                square = self.operate("multiply", [square, square], None)
        if exponent < 0:
            result = self.operate("divide", [self.constant(1.0), result], None)
        return [result]


# ---- tapes


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


ARGUMENTS = 3


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
    if expression.inputs == LOSS:
        derivative = lower.widen(derivative)
    return lower.tape(value, derivative, len(expression.inputs), operations)


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
        if name == "columns":
            return self.emit("constant", option=float(K))
        if name == "input":
            return self.emit(name, option=option, wide=True)
        if name in ("item", "place"):
            if not -K <= option < K:
                raise ValueError(f"the expression asks for column {option} of {K} outputs")
            option %= K
        if name in ("item", "place", "sum", "spread", "logsumexp") and K == 1:
            return args[0]
        if name == "spread":
            return self.widen(args[0])
        if name == "logsumexp":
            row = self.widen(args[0])
            top = self.emit("largest", [row])
            shifted = self.emit("subtract", [row, self.widen(top)], wide=True)
            total = self.emit("sum", [self.emit("exp", [shifted], wide=True)])
            return self.emit("add", [self.emit("log", [total]), top])
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
            np.array([np.broadcast_to(self.lines[i][2], self.n_outputs) for i in constants],
                     np.float64).reshape(-1, self.n_outputs),
            count, head, registers[value], registers[derivative],
        )
