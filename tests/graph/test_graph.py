"""Computational graphs: textbook examples, operations against finite differences, errors."""

import math
import pickle
import re

import numpy as np
import pytest

from fastbp import graph as fg
from fastbp.graph import Variable, primitive
from fastbp.graph.operations import OPERATIONS

POINTS = np.random.RandomState(0).uniform(-3, 3, 1000)

# A function of Variables, and the interval of each argument.
FUNCTIONS = {
    "add": (fg.add, (-2, 2), (-2, 2)),
    "subtract": (fg.subtract, (-2, 2), (-2, 2)),
    "multiply": (fg.multiply, (-2, 2), (-2, 2)),
    "divide": (fg.divide, (-2, 2), (0.5, 2)),
    "power": (fg.power, (0.2, 3), (-2, 2)),
    "negative": (fg.negative, (-2, 2)),
    "exp": (fg.exp, (-3, 3)),
    "expm1": (fg.expm1, (-1, 1)),
    "log": (fg.log, (0.1, 5)),
    "log1p": (fg.log1p, (-0.9, 3)),
    "sqrt": (fg.sqrt, (0.1, 4)),
    "sin": (fg.sin, (-7, 7)),
    "cos": (fg.cos, (-7, 7)),
    "sinh": (fg.sinh, (-3, 3)),
    "cosh": (fg.cosh, (-3, 3)),
    "tanh": (fg.tanh, (-3, 3)),
    "sigmoid": (fg.sigmoid, (-5, 5)),
    "softplus": (fg.softplus, (-5, 5)),
    "erf": (fg.erf, (-2, 2)),
    "relu": (fg.relu, (-2, 2)),
    "abs": (fg.abs, (-2, 2)),
    "sign": (fg.sign, (-2, 2)),
    "maximum": (fg.maximum, (-2, 2), (-2, 2)),
    "minimum": (fg.minimum, (-2, 2), (-2, 2)),
    "where": (lambda x, y: fg.where(x < y, x * x, fg.sin(y)), (-2, 2), (-2, 2)),
    "less": (lambda x, y: fg.less(x, y) + x, (-2, 2), (-2, 2)),
    "less_equal": (lambda x, y: x * (y <= x), (-2, 2), (-2, 2)),
    "equal": (lambda x, y: x * (x == y) + y, (-2, 2), (-2, 2)),
    "clip": (lambda x: fg.clip(x, -1.0, 0.5), (-2, 2)),
    "sum": (lambda x: fg.sum(x, axis=0) * 2 + fg.sum(x), (-2, 2)),
    "spread": (lambda x: fg.sum(x, axis=1, keepdims=True) * x, (-2, 2)),
    "mean": (lambda x: fg.mean(x, axis=1) ** 2, (-2, 2)),
    "logsumexp": (lambda x: fg.logsumexp(x, axis=1), (-2, 2)),
    "item": (lambda x: x[1] * x[0, 2], (-2, 2)),
    "place": (lambda x: x[[0, 0, 1]] ** 2, (-2, 2)),
}


def numeric(function, values, step=1e-6):
    """The gradient of a scalar function by central differences."""
    grads = []
    for k, value in enumerate(values):
        grad = np.zeros_like(value)
        for i in np.ndindex(value.shape):
            sides = []
            for sign in (1, -1):
                moved = [v.copy() for v in values]
                moved[k][i] += sign * step
                sides.append(function(*moved))
            grad[i] = (sides[0] - sides[1]) / (2 * step)
        grads.append(grad)
    return grads


def test_all_operations_are_tested():
    assert set(OPERATIONS) - {"count"} <= set(FUNCTIONS)  # it has no derivative


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shapes", [((), ()), ((4, 3), (4, 3)), ((4, 3), (3,)), ((1, 3), (4, 1))])
def test_derivatives_are_those_of_differences(name, shapes):
    function, *ranges = FUNCTIONS[name]
    if shapes[0] != (4, 3) and name in ("sum", "spread", "mean", "logsumexp", "item", "place"):
        pytest.skip("needs arrays")
    random = np.random.RandomState(1)
    values = [
        np.asarray(random.uniform(*r, shape)) for r, shape in zip(ranges, shapes, strict=False)
    ]

    def scalar(*values):
        result = function(*map(Variable, values))
        return fg.sum(result * result)

    inputs = [Variable(value) for value in values]
    result = function(*inputs)
    result = fg.sum(result * result)
    result.backward()
    for x, expected in zip(inputs, numeric(lambda *v: scalar(*v).value, values), strict=True):
        assert np.shape(x.grad) == np.shape(x.value)
        np.testing.assert_allclose(x.grad, expected, rtol=1e-6, atol=1e-7)


# ---- textbook examples


def test_two_apples_with_tax():
    apple, number, tax = Variable(100.0), Variable(2.0), Variable(1.1)
    total = apple * number * tax
    total.backward()
    assert math.isclose(total.value, 220, rel_tol=1e-15)
    assert math.isclose(apple.grad, 2.2, rel_tol=1e-15)
    assert math.isclose(number.grad, 110, rel_tol=1e-15)
    assert tax.grad == 200


def test_the_square_of_a_sum():
    for x, y in POINTS.reshape(-1, 2)[:50]:
        left, right = Variable(x), Variable(y)
        z = (left + right) ** 2
        z.backward()
        for grad in (left.grad, right.grad):
            assert math.isclose(grad, 2 * (x + y), rel_tol=1e-14, abs_tol=1e-14)


def test_x_sin_x_squared_plus_x_is_right_to_1e_12():
    x = Variable(POINTS)
    y = (x * fg.sin(x)) ** 2 + x
    fg.sum(y).backward()
    s, c = np.sin(POINTS), np.cos(POINTS)
    np.testing.assert_allclose(y.value, (POINTS * s) ** 2 + POINTS, rtol=1e-12)
    expected = 2 * POINTS * s * (s + POINTS * c) + 1
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12, atol=1e-12)


def test_a_node_used_twice_gets_both_derivatives():
    x = Variable(3.0)
    y = x * x
    z = y + y * x
    z.backward()
    assert x.grad == 2 * 3 + 3 * 9 and y.grad == 4


def test_forward_recomputes_after_inputs_were_set():
    x, y = Variable([1.0, 2.0]), Variable(3.0)
    z = fg.sum(x * y)
    z.backward()
    assert z.value == 9
    x.value = [5.0, 6.0]
    assert z.value == 9 and z.forward() == 33 and x.grad is None
    z.backward()
    assert y.grad == 11 and list(x.grad) == [3, 3]
    with pytest.raises(AttributeError, match="set the inputs"):
        z.value = 1


def test_inputs_without_influence_have_derivative_zero():
    x, y = Variable([1.0, -1.0]), Variable(2.0)
    fg.sum(fg.where(x > 0, 1.0, 2.0) + 0 * y).backward()
    assert list(x.grad) == [0, 0] and y.grad == 0


def test_long_graphs_need_no_recursion():
    x = y = Variable(1.0)
    for _ in range(5000):
        y = y + 1e-3 * x
    y.backward()
    assert math.isclose(x.grad, 6, rel_tol=1e-9)


def test_numpy_functions_find_ours():
    x = Variable([0.5, 2.0])
    for theirs, ours in (
        (np.exp(x), fg.exp(x)),
        (np.float64(2) * x, 2 * x),
        (np.sum(x), fg.sum(x)),
        (np.where(x > 1, x, 0), fg.where(x > 1, x, 0)),
        (np.square(x), x**2),
        (np.array([1.0, 2.0]) / x, np.array([1.0, 2.0]) * x**-1),
        (np.clip(x, 1, 3), fg.clip(x, 1, 3)),
        (abs(x), fg.abs(x)),
        (+x, x),
        (x.mean(), fg.mean(x)),
        (2**x, fg.exp(x * np.log(2))),
    ):
        np.testing.assert_allclose(theirs.value, ours.value, rtol=1e-15)


def test_layers_from_primitives():
    """Affine and relu as primitives, as textbooks build them, against finite differences."""
    affine = primitive(
        lambda x, w, b: x @ w + b,
        lambda grad, _, x, w, b: (grad @ w.T, x.T @ grad, grad.sum(axis=0)),
        "affine",
    )
    relu = primitive(lambda x: np.maximum(x, 0), lambda grad, out, x: grad * (x > 0), "relu")
    random = np.random.RandomState(0)
    values = [random.randn(*shape) for shape in ((5, 3), (3, 4), (4,), (4, 2), (2,))]
    inputs = [Variable(value) for value in values]

    def net(x, w1, b1, w2, b2):
        return fg.mean(affine(relu(affine(x, w1, b1)), w2, b2) ** 2)

    net(*inputs).backward()
    by_differences = numeric(lambda *v: net(*map(Variable, v)).value, values)
    for node, expected in zip(inputs, by_differences, strict=True):
        np.testing.assert_allclose(node.grad, expected, rtol=1e-5, atol=1e-8)


def test_errors_name_a_wrong_primitive():
    x = Variable([1.0, 2.0])
    short = primitive(lambda x, y: x * y, lambda grad, out, x, y: grad * y, "short")
    with pytest.raises(ValueError, match=r"'short' gave 1 derivatives for 2 inputs"):
        fg.sum(short(x, 2.0)).backward()
    wide = primitive(lambda x: x, lambda grad, out, x: np.ones(3), "wide")
    with pytest.raises(ValueError, match=r"'wide' gave a derivative of shape \(3,\) for input 0"):
        fg.sum(wide(x)).backward()


# ---- kinks, ties, overflow


def test_kinks_have_the_derivative_of_one_side():
    for function, expected in (
        (fg.relu, 0),
        (fg.abs, 0),
        (lambda x: fg.maximum(x, 0.0), 0),
        (lambda x: fg.maximum(0.0, x), 1),
        (lambda x: fg.minimum(x, 0.0), 0),
        (lambda x: fg.clip(x, 0, 1), 1),
        (fg.sign, 0),
    ):
        x = Variable(0.0)
        function(x).backward()
        assert x.grad == expected


def test_no_avoidable_overflow():
    x = Variable([-1e4, 0.0, 1e4])
    for function, value, grad in (
        (fg.softplus, [0, np.log(2), 1e4], [0, 0.5, 1]),
        (fg.sigmoid, [0, 0.5, 1], [0, 0.25, 0]),
        (fg.tanh, [-1, 0, 1], [0, 1, 0]),
    ):
        with np.errstate(over="raise", invalid="raise"):
            y = function(x)
            fg.sum(y).backward()
        np.testing.assert_allclose(y.value, value)
        np.testing.assert_allclose(x.grad, grad)
    y = fg.logsumexp(x)
    y.backward()
    assert y.value == 1e4 and list(x.grad) == [0, 0, 1]


# ---- errors


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda x: 1 if x > 0 else 0, r"where\(condition, x, y\)"),
        (lambda x: 0 < x < 1, r"use where"),
        (lambda x: x > 0 and x, r"use where"),
        (math.exp, "functions of `math`"),
        (float, "its number is .value"),
        (int, "its number is .value"),
        (lambda x: np.arctan(x), r"no derivative of np.arctan\. .* where"),
        (lambda x: np.add.reduce(x), r"no derivative of np.add.reduce"),
        (lambda x: np.linalg.norm(x), r"no derivative of np.norm"),
        (np.asarray, "its array is .value"),
        (lambda x: [*x], r"cannot be unpacked: write x\[0\]"),
        (lambda x: Variable(x), "not a Variable"),
        (lambda x: x + "1", "number or an array"),
    ],
)
def test_silent_ways_out_of_the_graph_are_errors(use, message):
    with pytest.raises(TypeError, match=message):
        use(Variable([0.5]))


def test_errors_of_unknown_methods_list_the_operations():
    with pytest.raises(AttributeError, match=r"no 'arctan'.* there are abs, add, .*primitive"):
        Variable(1.0).arctan()


def test_backward_begins_at_a_scalar():
    with pytest.raises(ValueError, match=r"this result has shape \(2,\): take its sum"):
        (Variable([1.0, 2.0]) * 2).backward()


def test_variables_can_be_copied_and_pickled():
    x = Variable([1.0, 2.0], "x")
    y = fg.sum(fg.exp(x))
    z = pickle.loads(pickle.dumps(y))
    assert z.forward() == y.value


# ---- pictures


def test_pictures_show_values_forward_and_derivatives_back():
    apple, number, tax = (
        Variable(value, name) for value, name in ((100.0, "apple"), (2.0, "number"), (1.1, "tax"))
    )
    total = apple * number * tax
    before = total.to_mermaid()
    assert before.startswith("graph LR\n") and "100 →" in before and "←" not in before
    total.backward()
    for text in (total.to_mermaid(), total.to_dot()):
        for what in (
            "apple",
            "number",
            "tax",
            "×",
            "100 → / ← 2.2",
            "2 → / ← 110",
            "1.1 → / ← 200",
            "200 → / ← 1.1",
            "220 → / ← 1",
        ):
            assert what in text, what
    picture = total._repr_svg_()
    for what in ("apple", "100 →", "← 2.2", "220 →", "← 1<"):
        assert what in picture
    assert picture.count("<rect") == 5 and picture.count("<line") == 5


def test_an_edge_shows_its_own_part_of_the_derivative():
    x = Variable(3.0, "x")
    y = x * x + x
    y.backward()
    assert x.grad == 7
    assert y.to_mermaid().count("3 → / ← 3") == 2 and y.to_mermaid().count("3 → / ← 1") == 1


def boxes(picture):
    """(left, right, top) of the boxes of an SVG."""
    rectangles = re.findall(r'<rect x="(-?\d+)" y="(-?\d+)" width="(\d+)"', picture)
    return [(int(x), int(x) + int(width), int(y)) for x, y, width in rectangles]


def test_boxes_do_not_overlap_and_stay_inside():
    x, y = Variable(1.0, "a name that is rather long"), Variable(2.0, "y")
    z = fg.where(x > y, fg.log(x) * y, fg.clip(x + y, 0.0, 1.0)) * x
    picture = z._repr_svg_()
    width = int(re.search(r'<svg [^>]*width="(\d+)"', picture)[1])
    placed = boxes(picture)
    assert len(placed) == picture.count("<rect")
    for k, (left, right, top) in enumerate(placed):
        assert 0 <= left and right <= width and top >= 0
        for other_left, other_right, other_top in placed[:k]:
            assert right < other_left or other_right < left or abs(top - other_top) > 32


def test_a_large_graph_has_no_picture():
    x = y = Variable(1.0)
    for _ in range(400):
        y = y + x
    assert y._repr_svg_() is None and y.to_dot().count("->") == 801


def test_names_are_escaped():
    x = Variable(1.0, '<"&>')
    for text in ((x + 1).to_mermaid(), (x + 1)._repr_svg_()):
        assert '<"&>' not in text
    assert '\\"' in (x + 1).to_dot()
    assert '["two lines"]' in (Variable(1.0, "two\nlines") + 1).to_mermaid()
