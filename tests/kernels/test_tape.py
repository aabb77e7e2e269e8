"""Tapes in the core: operations and random expressions against NumPy, the same bits anywhere."""

import numpy as np
import pytest
from exhaustive import levels, sample
from formulas import Formula
from test_expression import ACTIVATIONS, LOSSES, LOWERED, run
from test_graph import FUNCTIONS

from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.operations import OPERATIONS
from fastbp.graph.tape import compile_tape
from fastbp.kernels import core, variant
from fastbp.network import assemble
from problems import DTYPES

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
NAMES = {code: name for name, code in core.TAPE_OPERATIONS.items()}


def in_core(tape, *inputs, core=core):
    """Value and derivative of a tape, by the core."""
    stacked = np.ascontiguousarray(np.stack(inputs))
    rows, K = inputs[0].shape
    value, derivative = np.empty(rows, stacked.dtype), np.empty((rows, K), stacked.dtype)
    registers = np.full(tape.registers * (4096 + K), np.nan, stacked.dtype)
    variant(core.kernel_run_tape, stacked.dtype)(
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
        np.testing.assert_allclose(
            ours, theirs.reshape(ours.shape), rtol=tolerance, atol=tolerance * np.abs(theirs).max()
        )
    return tape, found


def test_the_core_knows_what_expressions_are_made_of():
    assert {*OPERATIONS} - LOWERED == {*core.TAPE_OPERATIONS} - {"largest"}


@over_dtypes
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in FUNCTIONS
        if name in OPERATIONS
        and name in core.TAPE_OPERATIONS
        and name not in ("sum", "spread", "item", "place")
    ],
)
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


@over_dtypes
@pytest.mark.parametrize(
    "function",
    [
        *map(LOSSES.get, ["cross entropy", "huber", "clip"]),
        *map(Formula, range(10)),
    ],
)
def test_a_row_does_not_know_its_neighbours(function, dtype):
    """The same bits alone and in any block; a NaN stays in its row."""
    raw, y = np.random.RandomState(0).randn(2, 900, 5).astype(dtype)
    raw[7, 2] = np.nan
    tape, whole = compare_free(function, raw, y)
    for rows in (slice(0, 1), slice(5, 9), slice(801, 900)):
        for ours, theirs in zip(in_core(tape, raw[rows], y[rows]), whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[rows])
    assert np.isnan(whole[0]).sum() == 1


def compare_free(function, raw, y):
    tape = compile_tape(Expression.trace(function, LOSS), raw.shape[1], core.TAPE_OPERATIONS)
    return tape, in_core(tape, raw, y)


@pytest.mark.skipif(core.DEBUG or not {"v3", "v4"} <= set(levels()), reason="no v3 and v4 here")
@over_dtypes
@pytest.mark.parametrize("seed", range(20))
def test_v3_and_v4_give_the_same_bits(seed, dtype):
    """Of random formulas, at ordinary numbers and at all others."""
    rng = np.random.RandomState(seed)
    for outputs in (1, 3):
        raw, y = rng.choice(sample(dtype, 4000), (2, 700, outputs))
        raw[::2], y[::2] = rng.randn(2, 350, outputs)
        expression = Expression.trace(Formula(seed), LOSS)
        tape = compile_tape(expression, outputs, core.TAPE_OPERATIONS)
        for v3, v4 in zip(
            *(in_core(tape, raw, y, core=levels()[level]) for level in ("v3", "v4")), strict=True
        ):
            np.testing.assert_array_equal(v3.view(np.uint8), v4.view(np.uint8))


@over_dtypes
@pytest.mark.parametrize(
    "function",
    [
        lambda z: fg.where(z > 0, z, fg.expm1(z)),
        lambda z: fg.where(z > 0, fg.sqrt(z), 0.0) * 2,
        lambda z: fg.where(z > 0, fg.log(z), z),
        lambda z: fg.where(z == 0, 1.0, fg.sin(z) / z),
        lambda z: fg.minimum(fg.exp(z), 5.0) + fg.relu(-fg.exp(z) * z),
        lambda z: fg.clip(fg.exp(z), 0.5, 5.0),
        lambda z: z**0 + z**2 * 1.5 + 0.5 / z**3,
        lambda z: 2.0**z + abs(z) ** 1.5,
        lambda z: (z * z) ** fg.relu(z),
        lambda z: fg.tanh(z) + fg.softplus(z) - fg.sigmoid(-z) / fg.cosh(z),
    ],
)
def test_special_points_are_those_of_graphs(function, dtype):
    z = np.array([-1e3, -2, -1, -0.0, 0, 1, 2, 1e3, np.nan, -np.inf, np.inf], dtype)
    x = fg.Variable(z)
    with np.errstate(all="ignore"):
        y = function(x)
        fg.sum(y).backward()
        expected = [v.astype(dtype) for v in (y.value, x.grad)]
    tape = compile_tape(Expression.trace(function, ACTIVATION), 1, core.TAPE_OPERATIONS)
    for ours, theirs in zip(in_core(tape, z[:, None]), expected, strict=True):
        np.testing.assert_allclose(ours.ravel(), theirs, rtol=1e3 * np.finfo(dtype).eps)
