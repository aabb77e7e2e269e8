"""Random formulas: traced, simplified and compiled they equal the Python function."""

import numpy as np
import pytest
from formulas import ACROSS, ONE, TWO, Formula
from test_tape import in_core

from fastbp import graph as fg
from fastbp.graph import Variable
from fastbp.graph.expression import LOSS, Expression
from fastbp.graph.operations import OPERATIONS
from fastbp.graph.tape import compile_tape
from fastbp.kernels import core
from problems import DTYPES

SEEDS = range(40)
ROWS = 3


def rows(seed, outputs):
    return np.random.RandomState(1000 + seed).randn(2, ROWS, outputs)


def by_variables(function, raw, y):
    """Value, derivative by `backward` and derivative by central differences, row by row."""
    values, grads, differences = [], [], []
    for row, target in zip(raw, y, strict=True):
        x = Variable(row)
        with np.errstate(all="ignore"):  # on sides that are not taken
            result = fg.sum(function(x, target))
            result.backward()
            values.append(result.value)
            grads.append(x.grad)
            differences.append([slope(function, row, target, k) for k in range(row.size)])
    return np.array(values), np.array(grads), np.array(differences)


def slope(function, row, target, k):
    """The derivative with respect to column k; NaN where two step sizes disagree, at a kink."""
    slopes = []
    for step in (1e-5, 2.5e-6):
        ahead, behind = row.copy(), row.copy()
        ahead[k] += step
        behind[k] -= step
        slopes.append(
            (np.sum(function(ahead, target)) - np.sum(function(behind, target)))
            / (ahead[k] - behind[k])
        )
    return slopes[1] if abs(slopes[0] - slopes[1]) < 1e-6 * max(1, abs(slopes[1])) else np.nan


def test_formulas_contain_all_operations():
    names = set()
    for seed in SEEDS:
        expression = Expression.trace(Formula(seed), LOSS)
        steps, _ = expression.with_derivative()
        names |= {name for name, _, _ in (*expression.steps, *steps)}
    assert set(OPERATIONS) <= names
    assert {*ONE} & {*TWO} == {*ONE} & {*ACROSS} == set()


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_value_and_derivative_of_random_formulas(seed, outputs):
    function = Formula(seed)
    raw, y = rows(seed, outputs)
    value, grad, differences = by_variables(function, raw, y)
    seen = np.isfinite(differences)
    assert seen.mean() > 0.7
    np.testing.assert_allclose(grad[seen], differences[seen], rtol=1e-5, atol=1e-6)

    expression = Expression.trace(function, LOSS)
    tape = compile_tape(expression, outputs, core.TAPE_OPERATIONS)
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            result, derivative = in_core(tape, raw.astype(dtype), y.astype(dtype))
        if dtype == np.float64:
            np.testing.assert_allclose(result, value, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(derivative, grad, rtol=1e-11, atol=1e-11)
        else:
            np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-4)
            near = np.isclose(derivative, grad, rtol=1e-3, atol=1e-3)
            assert near.mean() > 0.9  # rounding may step over a kink


@pytest.mark.parametrize("seed", SEEDS)
def test_simplification_changes_no_value(seed):
    function = Formula(seed)
    raw, y = rows(seed, 3) * 3
    expression = Expression.trace(function, LOSS)
    again = Expression.trace(expression.replay, LOSS)  # simplified twice
    for row, target in zip(raw, y, strict=True):
        with np.errstate(all="ignore"):
            expected = function(row, target)
            for result in (expression(row, target), again(row, target)):
                np.testing.assert_allclose(result, expected, rtol=1e-13, atol=1e-14)
    assert len(again.steps) <= len(expression.steps)
