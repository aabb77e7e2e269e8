"""Expressions: formulas traced from Python functions, and their derivatives.

    function -> trace -> steps (steps.py, simplify.py) -> derivative (reverse.py) -> tape (tape.py)

The steps are a flat tuple, each of them an operation on earlier ones: plain data, so that an
expression is compared, pickled and shown without the function that it was traced from.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from reprlib import repr as cut_repr
from typing import Any, NoReturn

import numpy as np

from fastbp.graph import operations
from fastbp.graph.formula import FEW_STEPS, formula
from fastbp.graph.operations import (
    NUMBER,
    OPERATIONS,
    ROW,
    Rules,
    Shape,
    apply,
    is_elementwise,
)
from fastbp.graph.reverse import sweep, topological_order
from fastbp.graph.simplify import FASTER, SIMPLER
from fastbp.graph.step_checks import check_steps
from fastbp.graph.steps import Step, Writer
from fastbp.graph.variable import Variable, constant

LOSS, ACTIVATION = ("raw", "y"), ("z",)


# ---- replaying: rule(name, values of the arguments, option, inputs) -> value


def _replay_elementwise(name: str, args: Sequence[Any], option: Any, inputs: Sequence[Any]) -> Any:
    return apply(name, *args)


def _replay_reduction(name: str, args: Sequence[Any], option: Any, inputs: Sequence[Any]) -> Any:
    return apply(name, *args, axis=None, keepdims=False)


def _replay_item(name: str, args: Sequence[Any], option: Any, inputs: Sequence[Any]) -> Any:
    try:
        return apply(name, *args, index=option)
    except (IndexError, TypeError):  # of a short row, of a number
        raise ValueError(
            f"the expression asks for column {option}, but was called with values of shape "
            f"{getattr(args[0], 'shape', ())}"
        ) from None


REPLAYING = Rules(
    "replaying",
    {
        "input": lambda name, args, option, inputs: inputs[option],
        "constant": lambda name, args, option, inputs: np.asarray(option)[()],
        "sum": _replay_reduction,
        "mean": _replay_reduction,
        "logsumexp": _replay_reduction,
        "item": _replay_item,
        # The inputs are rows, whose shape these take.
        "place": lambda name, args, option, inputs: apply(name, *args, inputs[0], index=option),
        "count": lambda name, args, option, inputs: apply(name, inputs[0], axis=None),
        "spread": lambda name, args, option, inputs: apply(
            name, *args, inputs[0], axis=None, keepdims=False
        ),
    },
    elementwise=_replay_elementwise,
)


class Expression:
    """A formula of one row: a loss of raw prediction and target, or an activation.

    Made by `trace`. The parameters `loss` and `activation` of the estimators take it as well as the
    function that it was traced from. It cannot be changed.

    Parameters
    ----------
    steps : tuple of (str, tuple of int, option)
        Operations on earlier steps; the last is the result.
    inputs : tuple of str
        Names of the arguments.

    Raises
    ------
    ValueError
        If these are not the steps of a formula.
    """

    steps: tuple[Step, ...]
    inputs: tuple[str, ...]

    def __init__(self, steps: tuple[Step, ...], inputs: tuple[str, ...]) -> None:
        check_steps(steps, inputs, _input_shape(inputs))
        vars(self).update(steps=steps, inputs=inputs)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise TypeError(f"an Expression cannot be changed: {name!r} cannot be set")

    def __getstate__(self) -> dict[str, Any]:
        """Steps and inputs."""
        return {"steps": self.steps, "inputs": self.inputs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave; ValueError if it is damaged."""
        if not isinstance(state, dict) or state.keys() != {"steps", "inputs"}:
            raise ValueError(
                f"the state of an Expression is a dict of steps and inputs, got {cut_repr(state)}"
            )
        vars(self).update(vars(Expression(**state)))

    @classmethod
    def trace(
        cls, function: Callable[..., Any] | Expression, inputs: tuple[str, ...]
    ) -> Expression:
        """The formula of a function, from one call with symbols.

        Parameters
        ----------
        function : callable
            Its arguments are `inputs`. It uses the functions and operators of `fastbp.graph`.
        inputs : tuple of str
            ``('raw', 'y')`` for a loss, rows with a number for each output; ``('z',)`` for an
            activation, a single number.

        Raises
        ------
        TypeError
            If the function uses an operation without a derivative, or branches on a symbol.
        ValueError
            If the result does not depend on all arguments.
        """
        if isinstance(function, cls):
            if function.inputs != inputs:
                raise ValueError(
                    f"an expression of ({', '.join(inputs)}) is wanted, got one of "
                    f"({', '.join(function.inputs)}): {function}"
                )
            function._check_dependence()
            return function
        names = ", ".join(inputs)
        if not callable(function):
            raise TypeError(f"a function of ({names}) is wanted, got {function!r}")
        symbols = _symbols(inputs)
        try:
            inspect.signature(function).bind(*symbols)
        except TypeError as error:
            raise TypeError(f"a function is called with ({names}), but this one: {error}") from None
        except ValueError:  # NumPy's ufuncs have no signature
            pass
        result = function(*symbols)
        if not isinstance(result, Variable):
            if not isinstance(result, int | float | np.number):
                raise TypeError(
                    f"a function of ({names}) has to return one expression, got "
                    f"{type(result).__name__}"
                )
            result = constant(result)
        writer = Writer(inputs, [SIMPLER])
        last = writer.write(topological_order(result))
        steps, _ = writer.finish([last])
        expression = cls(steps, inputs)
        expression._check_dependence()
        return expression

    def _check_dependence(self) -> None:
        """Raise ValueError if the result does not depend on all inputs."""
        needed, used = {len(self.steps) - 1}, set()
        for number in reversed(range(len(self.steps))):
            name, args, option = self.steps[number]
            if number in needed:
                needed.update(args)
                if name == "input":
                    used.add(option)
        for k, name in enumerate(self.inputs):
            if k not in used:
                raise ValueError(
                    f"the result does not depend on {name!r}: nothing is to be learned from a "
                    "function that ignores an argument"
                )

    def replay(self, *values: Any) -> Any:
        """The value of the last step, for numbers, arrays, Variables or symbols as inputs."""
        if len(values) != len(self.inputs):
            raise TypeError(
                f"an expression of ({', '.join(self.inputs)}) was called with {len(values)} values"
            )
        results: list[Any] = []
        for name, numbers, option in self.steps:
            args = [results[i] for i in numbers]
            results.append(REPLAYING[name](name, args, option, values))
        return results[-1]

    def __call__(self, *values: Any) -> Any:
        """The value for one row (a loss), or for any numbers (an activation).

        For Variables, and inside another traced function, the result is a node of their graph.
        """
        if not any(isinstance(value, Variable) for value in values):
            values = tuple(np.asarray(value, np.float64)[()] for value in values)
        if any(len(value.shape) > 1 for value in values if isinstance(value, np.ndarray)) and any(
            name in OPERATIONS and not is_elementwise(name) for name, _, _ in self.steps
        ):
            raise ValueError("this expression is of one row: call it with one after the other")
        return self.replay(*values)

    def with_derivative(self) -> tuple[tuple[Step, ...], list[int]]:
        """The steps of the value and of its derivative with respect to the first input.

        Returns
        -------
        steps : tuple
        results : list of int
            Numbers of the steps of value and derivative. A value with a number for each output is
            summed.
        """
        symbols = _symbols(self.inputs)
        for symbol in symbols[1:]:
            symbol.is_constant = True
        value = constant(self.replay(*symbols))
        if value.shape != NUMBER:
            value = operations.total(value)
        adjoint = sweep(topological_order(value), lambda node: node).get(symbols[0])
        derivative = constant(0.0 if adjoint is None else adjoint.masked())
        writer = Writer(self.inputs, [FASTER, SIMPLER])
        results = [writer.write(topological_order(node)) for node in (value, derivative)]
        return writer.finish(results)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and (self.steps, self.inputs) == (
            other.steps,
            other.inputs,
        )

    def __hash__(self) -> int:
        return hash((self.steps, self.inputs))

    def __str__(self) -> str:
        """The formula, as it would be written with fastbp.graph.

        Steps that are used more than once have names: ``a = tanh(z * z); a * a``. A long text is
        cut.
        """
        return formula(self.steps, self.inputs)

    def __repr__(self) -> str:
        return self._brief

    @cached_property
    def _brief(self) -> str:  # scikit-learn's repr of an estimator asks for it several times
        return (
            f"Expression({', '.join(self.inputs)}: {formula(self.steps, self.inputs, FEW_STEPS)})"
        )


def _symbols(inputs: tuple[str, ...]) -> list[Variable]:
    return [Variable._symbol(name, _input_shape(inputs)) for name in inputs]


def _input_shape(inputs: tuple[str, ...]) -> Shape:
    return ROW if inputs == LOSS else NUMBER
