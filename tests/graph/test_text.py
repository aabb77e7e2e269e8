"""The text of formulas: as Python, linear in the steps, cut where it is long."""

import copy
import pickle

import numpy as np
import pytest
from formulas import Formula
from test_expression import ACTIVATIONS, CODES, LOSSES, run

from fastbp import graph as fg
from fastbp.graph import pictures
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.formula import FEW_STEPS, MOST_NUMBERS, MOST_STEPS, formula
from fastbp.graph.tape import compile_tape


def squarings(times):
    def function(z):
        for _ in range(times):
            z = fg.tanh(z * z)
        return z

    return function


def chain(z):
    for k in range(1_000):
        z = fg.sin(z * (1 + 1e-3 * k))
    return z


def sum_of_many(z):
    total = 0.0
    for term in [fg.tanh(z * (k + 0.5)) for k in range(300)]:
        total = total + term
    return total


def fibonacci(z):
    before, last = z, fg.tanh(z)
    for _ in range(150):
        before, last = last, fg.sin(last + before)
    return last


def many_conditions(z):
    for k in range(60):
        z = fg.where(z < k / 10, fg.exp(-z), fg.maximum(z, 0.5 * z))
    return z


DEEP = {
    "squarings": squarings(60),
    "chain": chain,
    "sum": sum_of_many,
    "fibonacci": fibonacci,
    "conditions": many_conditions,
}
of_deep_formulas = pytest.mark.parametrize("function", DEEP.values(), ids=DEEP)


@pytest.mark.parametrize(
    "function, text",
    [
        (lambda z: z * fg.sigmoid(z), "z * sigmoid(z)"),
        (lambda z: fg.exp(z) / (1 + fg.exp(z)), "exp(z) / (1 + exp(z))"),
        (lambda z: z**4, "z * z * (z * z)"),
        (squarings(2), "a = tanh(z * z); tanh(a * a)"),
        (squarings(3), "a = tanh(z * z); b = tanh(a * a); tanh(b * b)"),
        (lambda z: fg.log1p(fg.exp(z)) ** 2, "a = log1p(exp(z)); a * a"),
        (lambda z: 1e-10 * z + fg.exp(1e-10 * z), "a = 1e-10 * z; a + exp(a)"),
        (lambda z: z * 0.1234567 + fg.exp(0.1234567 + z), "z * 0.123457 + exp(0.123457 + z)"),
    ],
)
def test_longer_steps_that_are_used_again_have_names(function, text):
    assert str(Expression.trace(function, ACTIVATION)) == text


@pytest.mark.parametrize(
    "name, text",
    [
        ("squared", "(raw - y) * (raw - y) / 2"),
        (
            "huber",
            "a = abs(raw - y); where(a < 1, 0.5 * ((raw - y) * (raw - y)), a - 0.5)",
        ),
        ("quantiles", "maximum([0.1, 0.5, 0.9] * (y - raw), [-0.9, -0.5, -0.1] * (y - raw))"),
        ("cross entropy", "logsumexp(raw) - sum(raw * y)"),
    ],
)
def test_texts_of_losses(name, text):
    assert str(Expression.trace(LOSSES[name], LOSS)) == text


def test_names_differ_from_inputs_and_from_each_other():
    def shared(*values):
        for k in range(60):
            values = [fg.tanh(values[0] * values[0] + 0.25 * k), *values[1:]]
        return values[0] + fg.exp(values[1])

    text = str(Expression.trace(shared, ("b", "a1")))
    names = [line.split(" = ")[0] for line in text.split("; ")[:-1]]
    assert names[:3] == ["a", "c", "d"] and names[24:27] == ["z", "b1", "c1"]
    assert len(names) == len({*names}) == 59


def as_python(text, **values):
    """The value of a text, with the functions of fastbp.graph."""
    scope = {name: getattr(fg, name) for name in fg.__all__}
    scope |= {"inf": np.inf, "nan": np.nan, **values}
    scope |= {"spread": lambda number: number + 0 * next(iter(values.values()))}
    *lines, last = text.split("; ")
    for line in lines:
        exec(line, scope)
    return np.asarray(getattr(eval(last, scope), "value", last))


@pytest.mark.parametrize("seed", range(40))
def test_texts_of_random_formulas_are_python(seed):
    expression = Expression.trace(Formula(seed), LOSS)
    raw, y = np.random.RandomState(seed).randn(2, 3)
    with np.errstate(all="ignore"):
        found = as_python(str(expression), raw=fg.Variable(raw), y=fg.Variable(y))
        np.testing.assert_allclose(found, expression(raw, y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        *ACTIVATIONS.values(),
        squarings(20),
        lambda z: (abs(z) ** 0.3) ** (0.7 * z),
        lambda z: abs(z) ** (abs(z) ** (0.7 * z)),
        lambda z: ((z < 1) < 0.5) + 2 * (z <= (z <= 1)) + 4 * ((z == 1) == (z < 2)),
        lambda z: -((-z) ** 2) - (-(abs(z) ** -1.5)) - (z - (1 - z)) / (2 / (z / 3)),
        lambda z: (-2.5) * z - -3.5 + (-(z + 1)) * abs(-z),
    ],
)
def test_texts_of_operators_are_python(function):
    expression = Expression.trace(function, ACTIVATION)
    for z in (-0.8, 0.6, 1.0):
        found = as_python(str(expression), z=fg.Variable(z))
        np.testing.assert_allclose(found, expression(z), rtol=1e-5)


@of_deep_formulas
def test_text_is_short_for_any_formula(function):
    expression = Expression.trace(function, ACTIVATION)
    for text in (str(expression), repr(expression)):
        assert 100 < len(text) < 5_000
    left = len(expression.steps) - MOST_STEPS
    assert str(expression).endswith(f"; … ({left} more steps)") == (left > 0)
    assert repr(expression).endswith(f"; … ({left + MOST_STEPS - FEW_STEPS} more steps))")
    with pytest.raises(ValueError, match="is wanted, got one of") as caught:
        Expression.trace(expression, LOSS)
    assert len(str(caught.value)) < 5_000


def test_steps_that_only_cut_ones_use_are_shown():
    steps = [("input", (), 0), *[("sin", (0,), None), ("constant", (), 2.0)] * MOST_STEPS]
    text = formula(steps, ACTIVATION)
    assert text.startswith("a = sin(z); b = sin(z)")
    assert text.count("sin(z)") == MOST_STEPS // 2 and len(text) < 5_000
    assert text.endswith(f"… ({MOST_STEPS + 1} more steps)") and "= 2" not in text


def test_long_rows_of_constants_are_cut():
    numbers = np.arange(1, 5_001) / 8
    expression = Expression.trace(lambda raw, y: numbers * raw + fg.exp(numbers - y), LOSS)
    text = str(expression)
    assert text.startswith("a = [0.125, 0.25, ")
    assert text.endswith(f"… ({5_000 - MOST_NUMBERS} more numbers)]; a * raw + exp(a - y)")
    few = Expression.trace(lambda raw, y: numbers[:MOST_NUMBERS] * raw + y, LOSS)
    assert str(few) == f"[{', '.join(f'{n:.6g}' for n in numbers[:MOST_NUMBERS])}] * raw + y"


@of_deep_formulas
def test_nothing_walks_over_paths(function):
    """Each of these would not end, or end in a RecursionError, if it followed all paths."""
    expression = Expression.trace(function, ACTIVATION)
    n_steps = len(expression.steps)
    again = Expression.trace(function, ACTIVATION)
    assert again == expression and hash(again) == hash(expression)
    for twin in (
        pickle.loads(pickle.dumps(expression)),
        copy.deepcopy(expression),
        Expression.trace(expression.replay, ACTIVATION),
    ):
        assert twin == expression and str(twin) == str(expression)
    tape = compile_tape(expression, 1, CODES)
    assert len(tape.code) < 20 * n_steps and tape.registers < 2 * n_steps
    z = np.array([[0.3], [0.8]])
    value, derivative = run(tape, 1, z)
    np.testing.assert_allclose(value, expression(z), rtol=1e-9, atol=1e-300)
    x = fg.Variable(z)
    result = fg.sum(function(x))
    result.backward()
    np.testing.assert_allclose(derivative, x.grad, rtol=1e-9, atol=1e-300)


def test_pictures_show_each_node_once_and_large_ones_are_not_drawn(monkeypatch):
    for times, is_drawn in ((60, True), (150, False)):
        result = squarings(times)(fg.Variable(0.5, "x"))
        result.backward()
        assert result.to_mermaid().count("tanh") == result.to_dot().count("tanh") == times
        assert len(repr(result)) < 100
        if is_drawn:
            assert result._repr_svg_().count(">tanh<") == times
    monkeypatch.setattr(pictures, "svg", None)  # not even begun
    assert result._repr_svg_() is None
