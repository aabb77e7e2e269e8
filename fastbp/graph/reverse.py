"""The reverse sweep: the derivatives of one node by all that are behind it, in one pass.

Griewank and Walther (2008), section 3.2, but for one thing. Where `where` takes one side, nothing
comes back to the other. A zero would not do for that: behind it may stand a rule that divides by
zero or overflows, as that of exp(x) in where(x > 0, x, exp(x) - 1) at x = 1000, and 0 times
infinity is NaN. So what comes back keeps the choices on its path, and they are made at the end.
"""

from functools import reduce
from operator import add
from typing import NamedTuple

import numpy as np

from fastbp.graph.operations import ELSE, IF, NUMBER, Node, maximum, sum, where

MOST_CHOICES = 8  # kept one by one: a chain of a thousand relus is to take no more for each


class Back(NamedTuple):
    """What comes back: `grad` where all choices (condition, side) are made, elsewhere nothing."""

    grad: object
    choices: tuple = ()

    def chosen(self):
        """The grad, with zeros elsewhere."""
        grad = self.grad
        for condition, side in reversed(self.choices):
            grad = where(condition, grad, 0.0) if side == IF else where(condition, 0.0, grad)
        return grad

    def places(self):
        """1 where something comes back, else 0."""
        return Back(1.0, self.choices).chosen()


def total(backs):
    """The sum of all that comes back to one node."""
    first, same = backs[0].choices, 0
    while all(
        len(back.choices) > same
        and back.choices[same][0] is first[same][0]
        and back.choices[same][1] == first[same][1]
        for back in backs
    ):
        same += 1
    grad, places = decided(backs, same)
    return Back(grad, first[:same] if places is None else (*first[:same], (places, IF)))


def decided(backs, depth):
    """(their sum with all choices made but the first few, where something comes back).

    The latter is 1 or 0, or None for everywhere.
    """
    if not backs:
        return 0.0, 0.0
    here = [back.grad for back in backs if len(back.choices) == depth]
    sums, everywhere, places, conditions = here, bool(here), [], {}
    for back in backs:
        if len(back.choices) > depth:
            condition, side = back.choices[depth]
            _, sides = conditions.setdefault(id(condition), (condition, {IF: [], ELSE: []}))
            sides[side].append(back)
    for condition, sides in conditions.values():
        (yes, yes_places), (no, no_places) = (
            decided(sides[side], depth + 1) for side in (IF, ELSE)
        )
        sums.append(where(condition, yes, no))
        if yes_places is None and no_places is None:
            everywhere = True
        else:
            places.append(
                where(condition, *(1.0 if p is None else p for p in (yes_places, no_places)))
            )
    return reduce(add, sums), None if everywhere else reduce(maximum, places)


def order(node):
    """All nodes behind this one and itself, inputs before results."""
    found, stack = {}, [(node, False)]
    while stack:  # recursion would end at a thousand nodes in a row
        node, done = stack.pop()
        if done:
            found[node] = None
        elif node not in found:
            stack.append((node, True))
            stack += [(i, False) for i in reversed(node.inputs) if i not in found]
    return list(found)


def sweep(nodes, value_of):
    """What comes back to each of `nodes` from the last of them: a dict of node to Back.

    `value_of` says what the rules are given for a node: its value, and they give values; the node
    itself, and they give formulas.
    """
    parts, backs = {nodes[-1]: {(): Back(np.float64(1.0))}}, {}
    for node in reversed(nodes):
        if node not in parts:
            continue
        back = total(list(parts.pop(node).values()))
        if len(back.choices) > MOST_CHOICES:
            back = Back(back.chosen(), ((back.places(), IF),))
        backs[node] = back
        for i, part in zip(node.inputs, come_back(node, back, value_of), strict=True):
            if part is not None:
                key = tuple((id(condition), side) for condition, side in part.choices)
                known = parts.setdefault(i, {})
                known[key] = total([known[key], part]) if key in known else part
    return backs


def come_back(node, back, value_of):
    """What comes back over the edges of a node, to each of its inputs; None where nothing does."""
    operation = node.operation
    if operation is None:
        return []
    values = [value_of(i) for i in node.inputs]
    if operation.together is not None:
        parts = operation.together(back.chosen(), value_of(node), *values)
        parts = [part if part is None else Back(part) for part in parts]
    elif operation.shape is not None:
        parts = _across(node, back, value_of(node), values)
    else:
        parts = _alone(operation, back, value_of(node), values)
    return [
        None if part is None or i.is_constant else _unbroadcast(part, i.shape)
        for i, part in zip(node.inputs, parts, strict=True)
    ]


def _alone(operation, back, output, values):
    """Of an operation on every number alone: choices stay as they are, or there is one more."""
    condition = operation.condition and operation.condition(*values)
    for rule in operation.derivatives:
        if rule is None:
            yield None
        elif rule is IF or rule is ELSE:
            yield Back(back.grad, (*back.choices, (condition, rule)))
        else:
            yield back._replace(grad=rule(back.grad, output, *values))


def _across(node, back, output, values):
    """Of an operation that moves numbers: the places where something comes back move as well."""
    for rule in node.operation.derivatives:
        if rule is None:
            yield None
            continue
        grad = rule(back.chosen(), output, *values, **node.options)
        choices = ()
        if back.choices:
            moved = node.operation.places or rule
            choices = ((moved(back.places(), output, *values, **node.options), IF),)
        yield Back(grad, choices)


def _unbroadcast(back, shape):
    """The sum over all axes along which an input of this shape was repeated."""
    if isinstance(back.grad, Node):
        if back.grad.shape == NUMBER or shape != NUMBER:
            return back
    elif np.shape(back.grad) == shape:
        return back
    choices = ()
    if back.choices:
        places = back.places()
        if not isinstance(places, Node):
            places = np.broadcast_to(places, np.shape(back.grad))
        choices = ((_summed(places, shape), IF),)
    return Back(_summed(back.chosen(), shape), choices)


def _summed(grad, shape):
    if isinstance(grad, Node):
        return grad if grad.shape == NUMBER else sum(grad)
    grad = np.sum(grad, axis=tuple(range(np.ndim(grad) - len(shape))))
    repeated = tuple(k for k, n in enumerate(shape) if n == 1)
    return np.sum(grad, axis=repeated, keepdims=True) if repeated else grad
