"""Steps: a formula as plain data, simplified while it is written.

A step is (operation, numbers of earlier steps, option). Constants are folded, what changes nothing
is left out, and equal steps are written once.
"""

import numpy as np

from fastbp.graph.operations import NUMBER, OPERATIONS, ROW

REDUCTIONS = {"sum", "mean", "logsumexp", "item"}  # a row to a number
ACROSS = REDUCTIONS | {"count", "spread", "place"}
COMPARISONS = {"less", "less_equal", "equal"}
COMMUTATIVE = {"add", "multiply", "equal"}
LARGEST_POWER = 16  # integer powers up to here are products


class Writer:
    """Writes nodes as steps: constants folded, what changes nothing left out, equal steps once.

    Parameters
    ----------
    inputs : tuple of str
        Names of the symbols.
    fast : bool, default=False
        Whether steps may be others than were written, with other rounding, where these are faster.
    """

    def __init__(self, inputs, fast=False):
        self.inputs, self.fast = inputs, fast
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
        if node.operation is None and node._value is None:
            return self.step("input", (), self.inputs.index(node.name), node.shape)
        if node._value is not None:
            return self.constant(node._value)
        name, options = node.operation.name, node.options
        if OPERATIONS.get(name) is not node.operation:
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
        if name == "count":
            return self.step(name, (), None, NUMBER)
        args = [self.places[i] for i in node.inputs]
        if name in ("spread", "place"):  # what comes back to their second input, which is a row
            args = args[:1]
        if name in REDUCTIONS and self.shapes[args[0]] == NUMBER:
            if node.inputs[0].shape == NUMBER:
                raise TypeError(f"{name} is of a row, but this is a single number")
            args = [self.spread(args[0])]
        number = self.operate(name, args, None if option is None else int(option))
        return self.spread(number) if node.shape == ROW else number

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
            return self.step("constant", (), value, ROW)
        return self.step("constant", (), float(value), NUMBER)

    def spread(self, number):
        """A row of equal numbers, where it is no row yet."""
        if self.shapes[number] == ROW:
            return number
        return self.step("spread", (number,), None, ROW)

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
        known = [self.steps[i][2] if self.steps[i][0] == "constant" else None for i in args]
        operation = OPERATIONS[name]
        if operation.shape is None and all(value is not None for value in known):
            with np.errstate(all="ignore"):
                return self.constant(operation.value(*known))
        wide = any(self.shapes[i] == ROW for i in args)
        shape = operation.shape if operation.shape is not None else ROW if wide else NUMBER
        return self.step(name, args, option, shape)

    def simpler(self, name, args):
        """[the step that is the same as this operation], or None."""
        value = [self.value(i) for i in args]
        if self.fast and (faster := self.faster(name, args, value)):
            return faster
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
        elif name == "spread" and self.shapes[args[0]] == ROW:
            return [args[0]]
        return None

    def faster(self, name, args, value):
        """[a step of about the same result that takes less time], or None."""
        if name == "divide" and usual(value[1]) and usual(1 / value[1]):
            return [self.operate("multiply", [args[0], self.constant(1 / value[1])], None)]
        if name == "add" and args[0] == args[1]:
            return [self.operate("multiply", [self.constant(2.0), args[0]], None)]
        if name == "where" and value[1:] == [1.0, 0.0] and self.steps[args[0]][0] in COMPARISONS:
            return [args[0]]
        if name == "multiply":
            for this, other in ((0, 1), (1, 0)):
                inner, inner_args, _ = self.steps[args[other]]
                if value[this] is None or inner != "multiply":
                    continue
                for its, rest in (inner_args, inner_args[::-1]):
                    factor = self.value(its)
                    if factor is not None and usual(factor * value[this]):
                        product = self.constant(factor * value[this])
                        return [self.operate("multiply", [product, rest], None)]
        return None

    def fixed_power(self, base, exponent):
        """Powers that are products, a root, or a reciprocal."""
        if exponent == 0.5:
            return [self.operate("sqrt", [base], None)]
        if not (abs(exponent) <= LARGEST_POWER and exponent == int(exponent)):
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


def usual(number):
    """Whether it is a number that neither overflows nor loses digits in float32."""
    return number is not None and 1e-30 < abs(number) < 1e30
