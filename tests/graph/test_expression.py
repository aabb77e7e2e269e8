"""Traced expressions: steps, simplification, derivatives, refusals, tapes in NumPy."""

import functools
import math
import pickle

import numpy as np
import pytest
from test_graph import numeric

from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.operations import OPERATIONS
from fastbp.graph.tape import compile_tape

LOSSES = {
    "squared": lambda raw, y: (raw - y) ** 2 / 2,
    "log_cosh": lambda raw, y: fg.log(fg.cosh(raw - y)),
    "one sum": lambda raw, y: fg.sum((raw - y) ** 2) ** 0.5,
    "cross entropy": lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
    "gaussian": lambda raw, y: raw[1] + (raw[0] - y[0]) ** 2 * fg.exp(-2 * raw[1]) / 2,
    "quantiles": lambda raw, y: fg.maximum(Q * (y - raw), (Q - 1) * (y - raw)),
    "mean": lambda raw, y: fg.sqrt(1 + fg.mean((raw - y) ** 2)) * fg.abs(y),
    "huber": lambda raw, y: fg.where(
        fg.abs(raw - y) < 1, 0.5 * (raw - y) ** 2, fg.abs(raw - y) - 0.5
    ),
    "clip": lambda raw, y: fg.clip(raw, -1, 1) * y + fg.softplus(-raw[-1]),
}
Q = np.array([0.1, 0.5, 0.9])
ACTIVATIONS = {
    "gelu": lambda z: 0.5 * z * (1 + fg.erf(z / math.sqrt(2))),
    "swish": lambda z: z * fg.sigmoid(1.5 * z),
    "snake": lambda z: z + fg.sin(3 * z) ** 2 / 3,
    "softsign": lambda z: z / (1 + abs(z)),
    "cube": lambda z: z**3,
    "power": lambda z: (1 + fg.exp(z)) ** 0.3 + (1 + z * z) ** -1.5,
}


def run(tape, n_outputs, *inputs, names=None):
    """A tape run in NumPy instead of the core: the value of each row, and the derivative."""
    names = names or NAMES
    rows = len(inputs[0])
    registers = {k: np.broadcast_to(c, (rows, n_outputs)) for k, c in enumerate(tape.constants)}
    registers |= {len(tape.constants) + k: x for k, x in enumerate(inputs)}

    for operation, to, a, b, c, wide in tape.code:
        name = names[operation]
        if name == "sum":
            result = registers[a].sum(axis=1)
        elif name == "largest":
            result = registers[a].max(axis=1)
        elif name == "spread":
            result = np.repeat(registers[a][:, None], n_outputs, axis=1)
        elif name == "item":
            result = registers[a][:, b]
        elif name == "place":
            result = np.zeros((rows, n_outputs))
            result[:, b] = registers[a]
        else:
            args = [registers[k] for k in (a, b, c) if k >= 0]
            if not wide and n_outputs > 1:  # a constant has any width
                args = [arg if arg.ndim == 1 else arg[:, 0] for arg in args]
            result = OPERATIONS[name].value(*args)
        registers[to] = result
    return registers[tape.value], registers[tape.derivative]


LOWERED = {"logsumexp", "mean", "count"}  # to other operations
NAMES = [*(name for name in OPERATIONS if name not in LOWERED), "largest"]
CODES = {name: k for k, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", LOSSES)
def test_tapes_of_losses_give_value_and_derivative(name):
    expression = Expression.trace(LOSSES[name], LOSS)
    random = np.random.RandomState(0)
    raw, y = random.randn(7, 3), random.randn(7, 3)
    value, derivative = run(compile_tape(expression, 3, CODES), 3, raw, y)
    for k in range(7):
        expected = np.sum(expression(raw[k], y[k]))
        np.testing.assert_allclose(value[k], expected, rtol=1e-12)
        np.testing.assert_allclose(value[k], np.sum(_plain(LOSSES[name](raw[k], y[k]))), rtol=1e-12)
        [grad] = numeric(lambda raw, k=k: np.sum(expression(raw, y[k])), [raw[k]])
        np.testing.assert_allclose(derivative[k], grad, rtol=1e-6, atol=1e-8)


def _plain(value):
    return value.value if isinstance(value, fg.Variable) else value


@pytest.mark.parametrize(
    "name", ["squared", "log_cosh", "one sum", "cross entropy", "mean", "huber", "clip"]
)
def test_a_single_output_is_a_row_of_one(name):
    expression = Expression.trace(LOSSES[name], LOSS)
    raw, y = np.random.RandomState(0).randn(2, 7, 1)
    value, derivative = run(compile_tape(expression, 1, CODES), 1, raw, y)
    for k in range(7):
        np.testing.assert_allclose(value[k], np.sum(expression(raw[k], y[k])), rtol=1e-12)
        [grad] = numeric(lambda raw, k=k: np.sum(expression(raw, y[k])), [raw[k]])
        np.testing.assert_allclose(derivative[k], grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_tapes_of_activations(name):
    expression = Expression.trace(ACTIVATIONS[name], ACTIVATION)
    z = np.random.RandomState(0).randn(50, 1)
    value, derivative = run(compile_tape(expression, 1, CODES), 1, z)
    np.testing.assert_allclose(value, _plain(ACTIVATIONS[name](z)), rtol=1e-13)
    h = 1e-6
    slope = (expression(z + h) - expression(z - h)) / (2 * h)
    np.testing.assert_allclose(derivative, slope, rtol=1e-6, atol=1e-8)


def test_equal_parts_are_shared_and_constants_folded():
    expression = Expression.trace(
        lambda raw, y: fg.exp(raw - y) * (2 * 3 - 5) + 0 * y + fg.exp(raw - y) ** 1, LOSS
    )
    assert [name for name, _, _ in expression.steps] == ["input", "input", "subtract", "exp", "add"]
    assert str(expression) == "a = exp(raw - y); a + a"


@pytest.mark.parametrize(
    "function, expected",
    [
        (
            lambda z: fg.where(abs(z) < 1, z**2 / 2, abs(z) - 0.5),  # not products and sums
            ["abs", "less", "multiply", "multiply", "subtract", "where", "sign", "where"],
        ),
        (fg.relu, ["relu", "less"]),
        (lambda z: z * 0.5 * 4 / 8, ["multiply"]),
        (lambda z: z / 1e35, ["divide"]),  # 1e-35 loses digits in float32
        (lambda z: z * 1e20 * 1e20, ["multiply", "multiply"]),
    ],
)
def test_tapes_take_the_faster_steps(function, expected):
    expression = Expression.trace(function, ACTIVATION)
    steps, _ = expression.with_derivative()
    assert [name for name, _, _ in steps if name not in ("input", "constant")] == expected


def test_a_formula_reads_as_it_was_written():
    for function, text in (
        (lambda raw, y: -(raw - y) * 2 / (raw * y), "-(raw - y) * 2 / (raw * y)"),
        (lambda raw, y: raw - (y - raw[0]), "raw - (y - raw[0])"),
        (lambda raw, y: fg.where(raw < y, raw, 0.5), "where(raw < y, raw, 0.5)"),
        (lambda raw, y: (raw * raw) ** y, "(raw * raw) ** y"),
    ):
        assert str(Expression.trace(function, LOSS)) == text


def test_expressions_are_plain_data():
    first, second = (Expression.trace(LOSSES["log_cosh"], LOSS) for _ in range(2))
    assert first == second and hash(first) == hash(second)
    assert first != Expression.trace(LOSSES["squared"], LOSS)
    back = pickle.loads(pickle.dumps(first))
    assert back == first and Expression.trace(back, LOSS) is back
    assert repr(back) == "Expression(raw, y: log(cosh(raw - y)))"


@pytest.mark.parametrize(
    "function, error, message",
    [
        (lambda raw, y: raw if raw > y else y, TypeError, r"where\(condition, x, y\)"),
        (lambda raw, y: np.arctan(raw - y), TypeError, "np.arctan.*where"),
        (lambda raw, y: math.exp(raw) + y, TypeError, "functions of `math`"),
        (lambda raw, y: raw**2, ValueError, "does not depend on 'y'"),
        (lambda raw, y: y**2, ValueError, "does not depend on 'raw'"),
        (lambda raw, y: 3.0, ValueError, "does not depend on 'raw'"),
        (lambda raw, y: (raw, y), TypeError, "return one expression, got tuple"),
        (lambda raw, y: None, TypeError, "return one expression, got NoneType"),
        (lambda raw, y: raw[:2] - y[0], TypeError, "number of a column"),
        (lambda raw, y: sum(r * y[0] for r in raw), TypeError, "cannot be unpacked"),
        (lambda raw, y: np.eye(3) * raw - y, TypeError, r"array of shape \(3, 3\)"),
        (lambda raw, y: fg.sum(raw, keepdims=True) - y, TypeError, "keepdims"),
        (lambda raw, y: fg.sum(raw, axis=1) - y, TypeError, "axis None, 0 or -1"),
        (
            lambda raw, y: fg.primitive(np.exp, lambda g, o, x: g * o, "own")(raw) - y,
            TypeError,
            "primitive 'own' runs in Python alone",
        ),
        (lambda raw, y: fg.sum(fg.sum(raw - y)), TypeError, "single number"),
        (lambda raw, y: raw + 0 * y, ValueError, "does not depend on 'y'"),
        (lambda raw, y: fg.where(0, raw, 1) * y, ValueError, "does not depend on 'raw'"),
        (lambda raw, y: "raw - y", TypeError, "return one expression, got str"),
        (lambda raw, y: [raw - y], TypeError, "return one expression, got list"),
        (lambda raw, y: raw if raw.value > 0 else y, TypeError, "no value yet.*where"),
        (lambda raw, y: raw // 2 - y, TypeError, "np.floor_divide.*where"),
        (lambda raw, y: raw @ y, TypeError, "np.matmul.*primitive"),
        (lambda raw, y: np.max(raw) - y, TypeError, "np.max.*where"),
        (lambda raw, y: raw[raw > 0] - y, TypeError, "an index is made of numbers.*where"),
        (lambda raw, y: fg.backward(raw), AttributeError, "backward"),
        (lambda z: z, TypeError, r"called with \(raw, y\), but this one: too many positional"),
        (lambda raw, y, weight: raw - y, TypeError, r"called with \(raw, y\).*'weight'"),
        (lambda *, raw, y: raw - y, TypeError, r"called with \(raw, y\).*too many positional"),
        ("hubre", TypeError, r"function of \(raw, y\) is wanted, got 'hubre'"),
        (None, TypeError, r"function of \(raw, y\) is wanted, got None"),
    ],
)
def test_errors_name_what_cannot_be_compiled(function, error, message):
    with pytest.raises(error, match=message):
        Expression.trace(function, LOSS)


def test_any_callable_can_be_traced():
    class Scaled:
        def __call__(self, raw, y=None, scale=2.0):
            return np.square(raw - y) * scale

    def squared(raw, y, scale):
        def inner(difference):
            return difference**2

        return inner(raw - y) * scale

    expected = Expression.trace(lambda raw, y: (raw - y) ** 2 * 2, LOSS)
    for function in (Scaled(), functools.partial(squared, scale=2)):
        assert str(Expression.trace(function, LOSS)) == str(expected)
    assert Expression.trace(lambda *rows: 2 * squared(*rows, 1), LOSS)([3], [1]) == 8
    assert Expression.trace(np.tanh, ACTIVATION) == Expression.trace(fg.tanh, ACTIVATION)


def test_expressions_can_be_parts_of_others():
    squared = Expression.trace(lambda raw, y: fg.sum((raw - y) ** 2), LOSS)
    soft = Expression.trace(lambda z: z * fg.sigmoid(z), ACTIVATION)
    both = Expression.trace(lambda raw, y: soft(squared(raw, y)) + fg.mean(soft(raw)), LOSS)
    raw, y = np.array([1.0, -2.0, 0.5]), np.zeros(3)
    np.testing.assert_allclose(both(raw, y), soft(squared(raw, y)) + soft(raw).mean(), rtol=1e-15)
    x = fg.Variable(raw)
    both(x, y).backward()
    [expected] = numeric(lambda raw: both(raw, y), [raw])
    np.testing.assert_allclose(x.grad, expected, rtol=1e-7)
    assert "mean(" in str(both) and "mean" in both(x, y).to_mermaid()
    spread = Expression.trace(lambda raw, y: fg.sum(raw * 0 + 2.0) + raw - y, LOSS)
    np.testing.assert_array_equal(spread(raw, y), raw + 6)


def test_a_variable_with_a_value_is_a_constant():
    scale = fg.Variable(3.0)
    expression = Expression.trace(lambda raw, y: scale * (raw - y), LOSS)
    scale.value = 5.0
    assert expression([2.0], [1.0]) == 3


def test_many_rows_at_once_are_refused_where_sums_would_mix_them():
    raw = np.ones((2, 3))
    assert Expression.trace(lambda raw, y: raw - y, LOSS)(raw, 0 * raw).shape == (2, 3)
    with pytest.raises(ValueError, match="of one row"):
        Expression.trace(lambda raw, y: fg.sum(raw - y), LOSS)(raw, raw)


def test_an_expression_has_to_fit_the_outputs():
    quantiles = Expression.trace(LOSSES["quantiles"], LOSS)
    with pytest.raises(ValueError, match="has 3 numbers, but there are 2 outputs"):
        compile_tape(quantiles, 2, CODES)
    gaussian = Expression.trace(LOSSES["gaussian"], LOSS)
    with pytest.raises(ValueError, match="asks for column 1 of 1 outputs"):
        compile_tape(gaussian, 1, CODES)
    with pytest.raises(ValueError, match=r"expression of \(z\) is wanted, got one of \(raw, y\)"):
        Expression.trace(quantiles, ACTIVATION)
