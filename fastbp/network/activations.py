"""Activations and losses by name or function: functions are traced, and compiled into tapes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp.kernels import Plan, Program, core

if TYPE_CHECKING:
    from fastbp.graph.expression import Expression
    from fastbp.graph.tape import Tape

    Activation = str | Expression


def hidden_activations(activation: Any, depth: int) -> "list[Activation]":
    """The activation of each hidden layer: a name, or an Expression.

    Parameters
    ----------
    activation : str, callable, Expression, or list of them
        One for all layers, or a list with one for each.
    depth : int
        Hidden layers.
    """
    if not isinstance(activation, list | tuple):
        return [_activation(activation, "activation")] * depth
    if len(activation) != depth:
        raise ValueError(
            f"activation has {len(activation)} entries, but hidden_layer_sizes has {depth} layers: "
            "a list has one for each hidden layer"
        )
    return [_activation(one, f"activation[{k}]") for k, one in enumerate(activation)]


def _activation(activation: Any, name: str) -> "Activation":
    if isinstance(activation, str) and activation in core.ACTIVATIONS:
        return activation
    if not callable(activation):
        raise ValueError(
            f"{name} must be a function of fastbp.graph expressions or one of "
            f"{', '.join(core.ACTIVATIONS)}, got {activation!r}"
        )
    return trace_activation(activation, name)


def trace_activation(function: Callable[..., Any], parameter: str = "activation") -> "Expression":
    """The Expression of an activation, given as the value of an estimator's parameter."""
    from fastbp.graph import expression  # imported late: only fits with functions need it

    with _naming(parameter):
        return expression.Expression.trace(function, expression.ACTIVATION)


def trace_loss(function: Callable[..., Any], parameter: str = "loss") -> "Expression":
    """The Expression of a loss, given as the value of an estimator's parameter."""
    from fastbp.graph import expression

    with _naming(parameter):
        return expression.Expression.trace(function, expression.LOSS)


def compiled(expression: "Expression", n_outputs: int, parameter: str) -> "Tape":
    """The tape of an Expression that is the value of an estimator's parameter.

    The Expression keeps it: the members of an ensemble have one in common.
    """
    from fastbp.graph.tape import compile_tape

    tapes: dict[int, Tape] = vars(expression).setdefault("_tapes", {})
    if n_outputs not in tapes:
        with _naming(parameter):
            tapes[n_outputs] = compile_tape(expression, n_outputs, core.TAPE_OPERATIONS)
    return tapes[n_outputs]


@contextmanager
def _naming(parameter: str) -> Iterator[None]:
    """Add the name of the parameter to an error that its function causes."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        error.add_note(f"This function is the parameter {parameter!r}.")
        raise


def assemble(plan: Any, tapes: "Sequence[Tape]") -> Plan:
    """A plan as the doors of the core take it: bare, or a Program with its tapes."""
    if not tapes:
        return plan
    rows, code, constants = [], 0, 0
    for tape in tapes:
        n_constants, K = tape.constants.shape
        rows.append(
            (
                code,
                tape.head,
                len(tape.code),
                constants,
                n_constants,
                tape.registers,
                tape.value,
                tape.derivative,
                K,
            )
        )
        code, constants = code + len(tape.code), constants + n_constants * K
    return Program(
        plan,
        np.array(rows, np.int64),
        np.concatenate([tape.code for tape in tapes]),
        np.concatenate([tape.constants.ravel() for tape in tapes]),
    )
