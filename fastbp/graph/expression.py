"""Expressions: formulas traced from Python functions, and their derivatives.

    function -> trace -> steps (_simplify.py) -> derivative (_reverse.py) -> tape (_lowering.py)

The steps are a flat tuple, each of them an operation on earlier ones: plain data, so that an
expression is compared, pickled and shown without the function it came from.
"""

import inspect

import numpy as np

from fastbp.graph import operations
from fastbp.graph.operations import NUMBER, ROW, apply
from fastbp.graph.reverse import order, sweep
from fastbp.graph.steps import ACROSS, Writer
from fastbp.graph.variable import Variable, constant

LOSS, ACTIVATION = ("raw", "y"), ("z",)


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
        names = ", ".join(inputs)
        if not callable(function):
            raise TypeError(f"a function of ({names}) is wanted, got {function!r}")
        symbols = _symbols(inputs)
        try:
            inspect.signature(function).bind(*symbols)
        except TypeError as error:
            raise TypeError(f"a function is called with ({names}), but this one: {error}") from None
        except ValueError:  # NumPy's functions do not say
            pass
        result = function(*symbols)
        if not isinstance(result, Variable):
            if not isinstance(result, int | float | np.number):
                raise TypeError(
                    f"a function of ({names}) has to return one expression, got "
                    f"{type(result).__name__}"
                )
            result = constant(result)
        writer = Writer(inputs)
        last = writer.write(order(result))
        steps, _ = writer.finish([last])
        used = {option for name, _, option in steps if name == "input"}
        for k, name in enumerate(inputs):
            if k not in used:
                raise ValueError(
                    f"the result does not depend on {name!r}: nothing is to be learned from a "
                    "function that ignores an argument"
                )
        return cls(steps, inputs)

    def replay(self, *values):
        """What the steps make of other inputs: numbers, arrays, Variables or symbols."""
        done = []
        for name, args, option in self.steps:
            given = [done[i] for i in args]
            if name == "input":
                done.append(values[option])
            elif name == "constant":
                done.append(np.asarray(option)[()])
            elif name == "count":
                done.append(apply(name, values[0], axis=None))
            elif name == "spread":
                done.append(apply(name, *given, values[0], axis=None, keepdims=False))
            elif name == "item":
                done.append(apply(name, *given, index=option))
            elif name in ACROSS:
                done.append(apply(name, *given, axis=None, keepdims=False))
            else:
                done.append(apply(name, *given))
        return done[-1]

    def __call__(self, *values):
        """The value for one row (a loss), or for any numbers (an activation).

        Of Variables, or of the arguments of another function that is traced, it is more graph.
        """
        if not any(isinstance(value, Variable) for value in values):
            values = [np.asarray(value, np.float64)[()] for value in values]
        if any(len(value.shape) > 1 for value in values if isinstance(value, np.ndarray)) and any(
            name in ACROSS for name, _, _ in self.steps
        ):
            raise ValueError("this expression is of one row: call it with one after the other")
        return self.replay(*values)

    def with_derivative(self):
        """Steps that lead to the value and to its derivative by the first input.

        Returns
        -------
        steps : tuple
        results : list of int
            The steps that are value and derivative. A value in columns is summed over them.
        """
        symbols = _symbols(self.inputs)
        for symbol in symbols[1:]:
            symbol.is_constant = True
        value = self.replay(*symbols)
        if value.shape == ROW:
            value = operations.sum(value)
        back = sweep(order(value), lambda node: node).get(symbols[0])
        derivative = constant(0.0 if back is None else back.chosen())
        writer = Writer(self.inputs, fast=True)
        results = [writer.write(order(node)) for node in (value, derivative)]
        return writer.finish(results)

    def __eq__(self, other):
        return isinstance(other, Expression) and (self.steps, self.inputs) == (
            other.steps,
            other.inputs,
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


SIGNS = {
    "add": ("+", 1),
    "subtract": ("-", 1),
    "multiply": ("*", 2),
    "divide": ("/", 2),
    "power": ("**", 4),
    "less": ("<", 0),
    "less_equal": ("<=", 0),
    "equal": ("==", 0),
}
ATOM = 9  # how tightly a name, a number or a call holds together


def _formula(name, args, option, inputs):
    """(text, how tightly it holds together) of a step."""
    if name == "input":
        return inputs[option], ATOM
    if name == "constant":
        return (
            (f"{option:.6g}", ATOM if option >= 0 else 3)
            if np.ndim(option) == 0
            else (f"[{', '.join(f'{number:.6g}' for number in option)}]", ATOM)
        )
    if name == "count":
        return "n_outputs", ATOM
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


def _symbols(inputs):
    shape = ROW if inputs == LOSS else NUMBER
    return [Variable._symbol(name, shape) for name in inputs]
