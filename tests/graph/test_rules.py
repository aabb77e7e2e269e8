"""The tables of the expression compiler: rules alone, missing entries, what pickles name."""

import io
import pickle

import numpy as np
import pytest
from test_expression import ACTIVATIONS, CODES, LOSSES

from fastbp import graph as fg
from fastbp.graph import formula, operations, pictures, simplify, steps, tape
from fastbp.graph.expression import ACTIVATION, LOSS, REPLAYING, Expression
from fastbp.graph.operations import NUMBER, OPERATIONS, ROW, Operation, apply
from fastbp.graph.simplify import FASTER, SIMPLER
from fastbp.graph.step_checks import KINDS
from fastbp.graph.steps import Writer
from fastbp.graph.tape import Lowering, compile_tape

# ---- rules of simplification, each alone


def wrote(rule, *arguments, inputs=("x", "y")):
    """The formula that a rule makes of its arguments, or None where it does not apply.

    An argument is a constant, or the text of a formula of x and y.
    """
    w = Writer(inputs)
    number = {name: w.step("input", (), k, NUMBER) for k, name in enumerate(inputs)}
    number["-x"] = w.step("negative", [number["x"]], None, NUMBER)
    number["x < y"] = w.step("less", [number["x"], number["y"]], None, NUMBER)
    number["3 * x"] = w.step("multiply", [w.constant(3.0), number["x"]], None, NUMBER)
    number["x * 1e25"] = w.step("multiply", [number["x"], w.constant(1e25)], None, NUMBER)
    number["row"] = w.spread(number["x"])
    args = [number[a] if isinstance(a, str) else w.constant(a) for a in arguments]
    result = rule(w, *args)
    return None if result is None else formula.formula(w.steps[: result + 1], inputs)


@pytest.mark.parametrize(
    "rule, arguments, expected",
    [
        ("zero_plus", (0.0, "y"), "y"),
        ("zero_plus", (-0.0, "y"), "y"),
        ("zero_plus", ("y", 0.0), None),
        ("one_times", (1.0, "y"), "y"),
        ("one_times", (2.0, "y"), None),
        ("zero_times", (0.0, "y"), "0"),
        ("zero_times", (0.0, np.nan), "0"),
        ("zero_times", (0.0, np.inf), "0"),
        ("zero_times", (1.0, "y"), None),
        ("minus_one_times", (-1.0, "y"), "-y"),
        ("minus_one_times", (1.0, "y"), None),
        ("minus_zero", ("x", 0.0), "x"),
        ("minus_zero", (0.0, "x"), None),
        ("zero_minus", (0.0, "y"), "-y"),
        ("zero_minus", ("y", 0.0), None),
        ("over_one", ("x", 1.0), "x"),
        ("over_one", (1.0, "x"), None),
        ("double_negative", ("-x",), "x"),
        ("double_negative", ("x",), None),
        ("constant_condition", (1.0, "x", "y"), "x"),
        ("constant_condition", (0.0, "x", "y"), "y"),
        ("constant_condition", (np.nan, "x", "y"), "x"),
        ("constant_condition", ("x", "x", "y"), None),
        ("square_root", ("x", 0.5), "sqrt(x)"),
        ("square_root", ("x", 1.5), None),
        ("integer_power", ("x", 0.0), "1"),
        ("integer_power", ("x", 4.0), "1 * (x * x * (x * x))"),
        ("integer_power", ("x", -2.0), "1 / (1 * (x * x))"),
        ("integer_power", ("x", 17.0), None),
        ("integer_power", ("x", 2.5), None),
        ("integer_power", ("x", np.nan), None),
        ("integer_power", ("x", np.inf), None),
        ("integer_power", ("x", "y"), None),
        ("spread_of_a_row", ("row",), "spread(x)"),
        ("spread_of_a_row", ("x",), None),
        ("reciprocal", ("x", 4.0), "x * 0.25"),
        ("reciprocal", ("x", 1e35), None),
        ("reciprocal", ("x", 0.0), None),
        ("reciprocal", ("x", "y"), None),
        ("twice", ("x", "x"), "2 * x"),
        ("twice", ("x", "y"), None),
        ("comparison_itself", ("x < y", 1.0, 0.0), "x < y"),
        ("comparison_itself", ("x < y", 0.0, 1.0), None),
        ("comparison_itself", ("x", 1.0, 0.0), None),
        ("product_of_factors", (2.0, "3 * x"), "6 * x"),
        ("product_of_factors", (2.0, "x * 1e25"), "2e+25 * x"),
        ("product_of_factors", (1e25, "x * 1e25"), None),
        ("product_of_factors", (2.0, "x < y"), None),
        ("product_of_factors", ("y", "3 * x"), None),
    ],
)
def test_a_rule_alone(rule, arguments, expected):
    assert wrote(getattr(simplify, rule), *arguments) == expected


def test_every_rule_is_tested_alone():
    [cases] = [mark.args[1] for mark in test_a_rule_alone.pytestmark]
    rules = {
        name
        for name, value in vars(simplify).items()
        if getattr(value, "__annotations__", {}).get("w") == "Writer"
    }
    assert {name for name, _, expected in cases if expected is not None} == rules
    assert {name for name, _, expected in cases if expected is None} == rules


def test_either_order_tries_all_rules_on_one_order_first():
    rule = simplify.either_order(simplify.one_times, simplify.zero_times)
    assert wrote(rule, 0.0, 1.0) == "0" and wrote(rule, "x", 1.0) == "x"
    assert wrote(rule, "x", 0.0) == "0" and wrote(rule, "x", "y") is None


def test_the_first_table_and_the_first_rule_win():
    w = Writer(("x",), [{"add": [lambda w, x, y: None, lambda w, x, y: y]}, SIMPLER])
    x = w.step("input", (), 0, NUMBER)
    zero = w.constant(0.0)
    assert w.operate("add", [x, zero]) == zero
    assert Writer(("x",)).tables == ()


# ---- tables


def test_tables_name_operations():
    names = {*OPERATIONS, "input", "constant"}
    for table in (
        SIMPLER,
        FASTER,
        steps.WRITING,
        REPLAYING,
        tape.LOWERING,
        formula.PRINTING,
        pictures.SYMBOLS,
        steps.COMMUTATIVE,
        simplify.COMPARISONS,
    ):
        assert {*table} <= names


def test_operations_across_numbers_have_rules():
    across = {name for name, operation in OPERATIONS.items() if operation.shape is not None}
    assert across == {*steps.WRITING}
    assert across | {"input", "constant"} == {*REPLAYING} == {*tape.LOWERING} == {*KINDS}


def test_public_functions_are_entered_under_their_names():
    assert {*operations.FUNCTIONS} == {*operations.__all__, "abs", "sum"}
    assert {*fg.__all__} == {"Expression", "Variable", "primitive", *operations.FUNCTIONS}
    assert all(getattr(fg, name) is f for name, f in operations.FUNCTIONS.items())


@pytest.fixture
def cumulate(monkeypatch):
    """An operation across numbers that no table of the compiler has."""
    operation = Operation("cumulate", np.cumsum, (lambda g, out, x: g,), shape=ROW)
    monkeypatch.setitem(OPERATIONS, "cumulate", operation)


def test_an_operation_without_a_rule_is_an_error(cumulate):
    with pytest.raises(TypeError, match="no rule for writing the operation 'cumulate'"):
        Expression.trace(lambda raw, y: apply("cumulate", raw) - y, LOSS)
    with pytest.raises(ValueError, match=r"'cumulate'.* no such operation"):
        Expression((("input", (), 0), ("cumulate", (0,), None)), LOSS)
    with pytest.raises(TypeError, match="no rule for replaying the operation 'cumulate'"):
        REPLAYING["cumulate"]
    lowering = Lowering(3)
    lowering.add("input", (), 0)
    with pytest.raises(TypeError, match="no rule for lowering the operation 'cumulate'"):
        lowering.add("cumulate", (0,), None)


def test_an_operation_that_the_core_lacks_is_an_error(monkeypatch):
    operation = Operation("unheard", np.arctan, (lambda g, out, x: g / (1 + x * x),))
    monkeypatch.setitem(OPERATIONS, "unheard", operation)
    expression = Expression.trace(lambda z: z * apply("unheard", z), ACTIVATION)
    assert str(expression) == "z * unheard(z)" and expression(1.0) == np.pi / 4
    with pytest.raises(TypeError, match="'unheard' cannot be compiled: the core lacks it"):
        compile_tape(expression, 1, CODES)


def test_an_operation_without_derivatives_is_an_error(monkeypatch):
    monkeypatch.setitem(OPERATIONS, "half", Operation("half", lambda x: x / 2))
    y = apply("half", fg.Variable(1.0))
    with pytest.raises(TypeError, match="'half' has 0 derivatives for 1 inputs"):
        y.backward()


@pytest.mark.parametrize("name", LOSSES)
def test_steps_of_derivatives_are_replayed(name):
    """All that derivatives are made of, spread and place among them."""
    function = LOSSES[name]
    steps, (_, derivative) = Expression.trace(function, LOSS).with_derivative()
    raw, y = np.random.RandomState(0).randn(2, 3)
    x = fg.Variable(raw)
    fg.sum(function(x, y)).backward()
    replayed = Expression(steps[: derivative + 1], LOSS).replay(raw, y)
    np.testing.assert_allclose(np.broadcast_to(replayed, 3), x.grad, rtol=1e-13, atol=1e-15)


# ---- pickles


def modules_in(data):
    """Modules of fastbp that a pickle names."""
    named = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            named.add(module)
            return super().find_class(module, name)

    Reader(io.BytesIO(data)).load()
    return {module for module in named if module.split(".")[0] == "fastbp"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_name_no_private_module(protocol):
    expression = Expression.trace(ACTIVATIONS["gelu"], ACTIVATION)
    x = fg.Variable([1.0, -2.0], "x")
    y = fg.sum(fg.where(x > 0, fg.exp(x), x))
    y.backward()
    for made in (expression, y, fg.sum, fg.logsumexp, fg.Variable):
        assert modules_in(pickle.dumps(made, protocol)) == {"fastbp.graph"}
    again = pickle.loads(pickle.dumps(y, protocol))
    assert again.operation is y.operation and again.to_mermaid() == y.to_mermaid()
