"""The reverse sweep: the adjoints of all nodes behind a result, in one pass.

Griewank and Walther (2008), section 3.2, with one addition. The side that a `where` does not take
has no adjoint there. A zero would not do: a rule further back may divide by zero or overflow, as
that of exp(x) does in where(x > 0, x, exp(x) - 1) at x = 1000, and 0 times infinity is NaN. So an
adjoint keeps the conditions on its path, and they are applied last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from fastbp.graph.operations import (
    ELSE,
    IF,
    NUMBER,
    Node,
    Operation,
    Shape,
    maximum,
    where,
)
from fastbp.graph.operations import total as sum_of

MOST_CONDITIONS = 8  # kept one by one: a chain of a thousand relus must not cost more for each


class Adjoint(NamedTuple):
    """The derivative of the result by a node, under conditions.

    `grad` is the adjoint where all `conditions`, pairs (condition, side), take their side.
    Elsewhere there is none, and `grad` may be anything.
    """

    grad: Any
    conditions: tuple[tuple[Any, bool], ...] = ()

    def masked(self) -> Any:
        """The grad, with zeros where there is no adjoint."""
        grad = self.grad
        for condition, side in reversed(self.conditions):
            grad = where(condition, grad, 0.0) if side == IF else where(condition, 0.0, grad)
        return grad

    def mask(self) -> Any:
        """1 where there is an adjoint, else 0."""
        return Adjoint(1.0, self.conditions).masked()


def accumulate(adjoints: Sequence[Adjoint]) -> Adjoint:
    """The sum of adjoints of one node, under the conditions that all of them share."""
    first, shared = adjoints[0].conditions, 0
    while all(
        len(adjoint.conditions) > shared
        and adjoint.conditions[shared][0] is first[shared][0]
        and adjoint.conditions[shared][1] == first[shared][1]
        for adjoint in adjoints
    ):
        shared += 1
    grad, mask = _merge(adjoints, shared)
    return Adjoint(grad, first[:shared] if mask is None else (*first[:shared], (mask, IF)))


def _merge(adjoints: Sequence[Adjoint], depth: int) -> tuple[Any, Any]:
    """The sum of adjoints and its mask, after the first `depth` conditions.

    The mask is None where the sum is an adjoint everywhere.
    """
    if not adjoints:
        return 0.0, 0.0
    terms = [adjoint.grad for adjoint in adjoints if len(adjoint.conditions) == depth]
    everywhere, masks = bool(terms), []
    branches: dict[int, tuple[Any, dict[bool, list[Adjoint]]]] = {}
    for adjoint in adjoints:
        if len(adjoint.conditions) > depth:
            condition, side = adjoint.conditions[depth]
            _, sides = branches.setdefault(id(condition), (condition, {IF: [], ELSE: []}))
            sides[side].append(adjoint)
    for condition, sides in branches.values():
        (yes, yes_mask), (no, no_mask) = (_merge(sides[side], depth + 1) for side in (IF, ELSE))
        terms.append(where(condition, yes, no))
        if yes_mask is None and no_mask is None:
            everywhere = True
        else:
            masks.append(where(condition, *(1.0 if m is None else m for m in (yes_mask, no_mask))))
    return reduce(add, terms), None if everywhere else reduce(maximum, masks)


def topological_order(node: Any) -> list[Any]:
    """The node and all nodes behind it, inputs before results."""
    ordered: dict[Any, None] = {}
    stack = [(node, False)]
    while stack:  # recursion would end at a thousand nodes in a row
        node, done = stack.pop()
        if done:
            ordered[node] = None
        elif node not in ordered:
            stack.append((node, True))
            stack += [(i, False) for i in reversed(node.inputs) if i not in ordered]
    return list(ordered)


def sweep(nodes: Sequence[Any], value_of: Callable[[Any], Any]) -> dict[Any, Adjoint]:
    """The adjoints of nodes by node; a node that the result does not depend on has none.

    Parameters
    ----------
    nodes : sequence of Variable
        In topological order. The last is the result, which is differentiated.
    value_of : callable
        What the rules of differentiation take for a node: its value, and adjoints are values; the
        node itself, and adjoints are formulas.
    """
    adjoints: dict[Any, Adjoint] = {}
    # For each node the adjoints that its users pass on, by their conditions.
    passed: dict[Any, dict[tuple[tuple[int, bool], ...], Adjoint]]
    passed = {nodes[-1]: {(): Adjoint(np.float64(1.0))}}
    for node in reversed(nodes):
        if node not in passed:
            continue
        adjoint = accumulate(list(passed.pop(node).values()))
        if len(adjoint.conditions) > MOST_CONDITIONS:
            adjoint = Adjoint(adjoint.masked(), ((adjoint.mask(), IF),))
        adjoints[node] = adjoint
        parts = input_adjoints(node, adjoint, value_of)
        for i, part in zip(node.inputs, parts, strict=True):
            if part is not None:
                key = tuple((id(condition), side) for condition, side in part.conditions)
                others = passed.setdefault(i, {})
                others[key] = accumulate([others[key], part]) if key in others else part
    return adjoints


def input_adjoints(
    node: Any, adjoint: Adjoint, value_of: Callable[[Any], Any]
) -> list[Adjoint | None]:
    """The adjoints that a node passes on to its inputs; None for an input that gets none."""
    operation = node.operation
    if operation is None:
        return []
    output, values = value_of(node), [value_of(i) for i in node.inputs]
    parts: list[Adjoint | None]
    if operation.joint is not None:
        grads = operation.joint(adjoint.masked(), output, *values)
        parts = [None if grad is None else Adjoint(grad) for grad in grads]
    elif len(operation.derivatives) != len(values):
        raise TypeError(
            f"the operation {operation.name!r} has {len(operation.derivatives)} derivatives for "
            f"{len(values)} inputs"
        )
    elif operation.shape is not None:
        parts = list(_across(node, adjoint, output, values))
    else:
        parts = list(_elementwise(operation, adjoint, output, values))
    return [
        None if part is None or i.is_constant else _unbroadcast(part, i.shape)
        for i, part in zip(node.inputs, parts, strict=True)
    ]


def _elementwise(
    operation: Operation, adjoint: Adjoint, output: Any, values: Sequence[Any]
) -> Iterator[Adjoint | None]:
    """The adjoints of the inputs of an elementwise operation; IF and ELSE add one condition."""
    condition = operation.condition and operation.condition(*values)
    for rule in operation.derivatives:
        if rule is None:
            yield None
        elif isinstance(rule, bool):
            yield Adjoint(adjoint.grad, (*adjoint.conditions, (condition, rule)))
        else:
            yield adjoint._replace(grad=rule(adjoint.grad, output, *values))


def _across(
    node: Any, adjoint: Adjoint, output: Any, values: Sequence[Any]
) -> Iterator[Adjoint | None]:
    """The adjoints of the inputs of an operation that moves numbers: their masks move as well."""
    for rule in node.operation.derivatives:
        if rule is None:
            yield None
            continue
        grad = rule(adjoint.masked(), output, *values, **node.options)
        conditions: tuple[tuple[Any, bool], ...] = ()
        if adjoint.conditions:
            move = node.operation.mask or rule
            conditions = ((move(adjoint.mask(), output, *values, **node.options), IF),)
        yield Adjoint(grad, conditions)


def _unbroadcast(adjoint: Adjoint, shape: Shape) -> Adjoint:
    """The sum over all axes along which an input of this shape was repeated."""
    if _is_formula(adjoint.grad):
        if adjoint.grad.shape == NUMBER or shape != NUMBER:
            return adjoint
    elif np.shape(adjoint.grad) == shape:
        return adjoint
    conditions: tuple[tuple[Any, bool], ...] = ()
    if adjoint.conditions:
        mask = adjoint.mask()
        if not _is_formula(mask):
            mask = np.broadcast_to(mask, np.shape(adjoint.grad))
        conditions = ((_summed(mask, shape), IF),)
    return Adjoint(_summed(adjoint.masked(), shape), conditions)


def _is_formula(grad: Any) -> bool:
    return isinstance(grad, Node)


def _summed(grad: Any, shape: Shape) -> Any:
    if _is_formula(grad):
        return grad if grad.shape == NUMBER else sum_of(grad)
    grad = np.sum(grad, axis=tuple(range(np.ndim(grad) - len(shape))))
    repeated = tuple(k for k, n in enumerate(shape) if n == 1)
    return np.sum(grad, axis=repeated, keepdims=True) if repeated else grad
