"""Tapes in the core: operations and random expressions against NumPy, the same bits anywhere."""

import numpy as np
import pytest

from fastbp import graph as fg
from fastbp._dispatch import core
from fastbp.expression import ACTIVATION, LOSS, Expression, compile_tape
from fastbp.network import assemble
from problems import DTYPES
from test_expression import ACTIVATIONS, LOSSES, run
from test_graph import FUNCTIONS

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
NAMES = {code: name for name, code in core.TAPE_OPERATIONS.items()}


def in_core(tape, *inputs):
    """Value and derivative of a tape, by the core."""
    stacked = np.ascontiguousarray(np.stack(inputs))
    rows, K = inputs[0].shape
    value, derivative = np.empty(rows, stacked.dtype), np.empty((rows, K), stacked.dtype)
    registers = np.full(tape.registers * (4096 + K), np.nan, stacked.dtype)
    core.run_tape[{"f": "float", "d": "double"}[stacked.dtype.char]](
        assemble(None, [tape]), 0, stacked.reshape(len(inputs), -1), value, derivative, registers
    )
    return value, derivative


def compare(function, inputs, dtype, *values):
    expression = Expression.trace(function, inputs)
    values = [np.asarray(v, dtype) for v in values]
    tape = compile_tape(expression, values[0].shape[1], core.TAPE_OPERATIONS)
    found = in_core(tape, *values)
    with np.errstate(all="ignore"):
        expected = run(tape, values[0].shape[1], *(v.astype(float) for v in values), names=NAMES)
    tolerance = 1e-12 if dtype == np.float64 else 2e-4
    for ours, theirs in zip(found, expected, strict=True):
        theirs = np.broadcast_to(theirs.reshape(len(theirs), -1), ours.reshape(len(ours), -1).shape)
        np.testing.assert_allclose(ours, theirs.reshape(ours.shape), rtol=tolerance,
                                   atol=tolerance * np.abs(theirs).max())
    return tape, found


def test_the_core_knows_what_expressions_are_made_of():
    assert {*fg.OPERATIONS} - {"logsumexp"} == {*core.TAPE_OPERATIONS} - {"largest"}


@over_dtypes
@pytest.mark.parametrize("name", [name for name in FUNCTIONS
                                  if name in fg.OPERATIONS and name in core.TAPE_OPERATIONS
                                  and name not in ("sum", "spread", "item", "place")])
def test_operations(name, dtype):
    function, *ranges = FUNCTIONS[name]
    random = np.random.RandomState(0)
    x = random.uniform(*ranges[0], (700, 1))
    if len(ranges) == 1:
        compare(function, ACTIVATION, dtype, x)
    else:
        compare(function, LOSS, dtype, x, random.uniform(*ranges[1], (700, 1)))


@over_dtypes
@pytest.mark.parametrize("rows", [1, 5, 1500])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, rows, dtype):
    compare(LOSSES[name], LOSS, dtype, *np.random.RandomState(0).randn(2, rows, 3))


@over_dtypes
@pytest.mark.parametrize("name", ["squared", "cross entropy", "one sum", "huber"])
@pytest.mark.parametrize("outputs", [1, 2, 17, 3000])
def test_losses_of_many_outputs(name, outputs, dtype):
    compare(LOSSES[name], LOSS, dtype, *np.random.RandomState(0).randn(2, 4, outputs) / 4)


@over_dtypes
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name, dtype):
    compare(ACTIVATIONS[name], ACTIVATION, dtype, np.random.RandomState(0).randn(1100, 1))


def random_expression(random, x, y, size):
    """An expression of about `size` operations, finite for x and y of ordinary size."""
    terms = [x, y, x - y]
    unary = (fg.tanh, fg.sigmoid, fg.softplus, fg.sin, fg.erf, fg.abs, lambda t: fg.log1p(t * t),
             lambda t: fg.sqrt(1 + t * t), lambda t: fg.exp(-fg.abs(t)),
             lambda t: fg.cosh(fg.tanh(t)))
    binary = (lambda s, t: s + t, lambda s, t: s * t, lambda s, t: s - t, fg.maximum,
              lambda s, t: s / (1 + t * t), lambda s, t: fg.where(s < t, s, t * 0.5))
    for _ in range(size):
        if random.rand() < 0.5:
            term = unary[random.randint(len(unary))](terms[random.randint(len(terms))])
        else:
            s, t = (terms[random.randint(len(terms))] for _ in range(2))
            term = binary[random.randint(len(binary))](s, t)
        terms.append(term)
    total = (x - y) ** 2
    for term in terms[-size // 2:]:
        total = total + 0.1 * fg.tanh(term)
    return total


@over_dtypes
@pytest.mark.parametrize("seed", range(20))
def test_random_expressions(seed, dtype):
    def function(raw, y):
        return random_expression(np.random.RandomState(seed), raw, y, 8)

    compare(function, LOSS, dtype, *np.random.RandomState(seed).randn(2, 300, 2))


@over_dtypes
@pytest.mark.parametrize("name", ["cross entropy", "huber", "clip"])
def test_a_row_does_not_know_its_neighbours(name, dtype):
    """The same bits alone and in any block; a NaN stays in its row."""
    raw, y = np.random.RandomState(0).randn(2, 900, 5).astype(dtype)
    raw[7, 2] = np.nan
    tape, whole = compare_free(LOSSES[name], raw, y)
    for rows in (slice(0, 1), slice(5, 9), slice(801, 900)):
        for ours, theirs in zip(in_core(tape, raw[rows], y[rows]), whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[rows])
    assert np.isnan(whole[0]).sum() == 1


def compare_free(function, raw, y):
    tape = compile_tape(Expression.trace(function, LOSS), raw.shape[1], core.TAPE_OPERATIONS)
    return tape, in_core(tape, raw, y)
