"""Computational graphs at the edges: 0, infinity, NaN, odd shapes, shared arrays."""

import copy
import inspect
import pydoc

import numpy as np
import pytest

from fastbp import graph as fg
from fastbp.graph import Variable, primitive

inf, nan = np.inf, np.nan


def value_and_grads(function, *values):
    inputs = [Variable(value) for value in values]
    with np.errstate(all="ignore"):
        result = function(*inputs)
    fg.sum(result).backward()
    return result.value, *(x.grad for x in inputs)


# ---- points where a rule divides by zero, or multiplies 0 by infinity


@pytest.mark.parametrize(
    "function, values, expected",
    [
        (lambda x: x**0, [0.0], [0]),
        (lambda x: x**1, [0.0], [1]),
        (lambda x: x**2, [0.0], [0]),
        (lambda x: x**2, [-3.0], [-6]),
        (lambda x: x**3, [-2.0], [12]),
        (lambda x: x**-1, [-2.0], [-0.25]),
        (lambda x: x**0.5, [0.0], [inf]),
        (lambda x, y: x**y, [0.0, 2.0], [0, 0]),
        (lambda x, y: x**y, [0.0, 0.5], [inf, 0]),
        (lambda x, y: x**y, [0.0, 0.0], [0, 0]),
        (lambda x, y: x**y, [-2.0, 3.0], [12, nan]),
        (lambda y: 0**y, [3.0], [0]),
        (lambda x: 2**x, [0.0], [np.log(2)]),
        (fg.log, [0.0], [inf]),
        (fg.sqrt, [0.0], [inf]),
        (lambda x: fg.sqrt(x) * 0, [0.0], [nan]),  # 0 times infinity
        (lambda x, y: x / y, [0.0, 2.0], [0.5, 0]),
        (lambda x: fg.log1p(fg.exp(x)), [-800.0], [0]),
        (fg.sinh, [0.0], [1]),
    ],
)
def test_derivatives_at_special_points(function, values, expected):
    np.testing.assert_array_equal(value_and_grads(function, *values)[1:], expected)


def sides_of(x, a):
    """Two conditions on the paths to a, neither of them true for large x."""
    return fg.where(x < 0, a, 0.0) + fg.where(x < -1, a, 0.0)


@pytest.mark.parametrize(
    "function, x, value, grad",
    [
        (lambda x: fg.where(x > 0, fg.sqrt(x), 0.0), [-1, 0, 4], [0, 0, 2], [0, 0, 0.25]),
        (lambda x: fg.where(x > 0, fg.log(x), x), [-1, 0, 4], [-1, 0, np.log(4)], [1, 1, 0.25]),
        (
            lambda x: fg.where(x > 0, x, fg.expm1(x)),
            [-1, 1e3, inf],
            [np.expm1(-1), 1e3, inf],
            [np.exp(-1), 1, 1],
        ),
        (
            lambda x: fg.where(x == 0, 1.0, fg.sin(x) / x),
            [0, np.pi / 2],
            [1, 2 / np.pi],
            [0, -4 / np.pi**2],
        ),
        (lambda x: fg.minimum(fg.exp(x), 5.0), [0, 1e3], [1, 5], [1, 0]),
        (lambda x: fg.maximum(-fg.exp(x), -5.0), [0, 1e3], [-1, -5], [-1, 0]),
        (lambda x: fg.clip(fg.exp(x), 0.5, 5.0), [-9, 0, 1e3], [0.5, 1, 5], [0, 1, 0]),
        (lambda x: fg.relu(-fg.exp(x) * x), [-1, 1e3], [np.exp(-1), 0], [0, 0]),
        (
            lambda x: fg.where(x < -1, -x, fg.where(x < 1, fg.sqrt(1 - x * x), fg.log(x))),
            [-2, 0, 1, 4],
            [2, 1, 0, np.log(4)],
            [-1, 0, 1, 0.25],
        ),
        (
            lambda x: fg.where(x > 0, fg.where(x > 2, fg.sqrt(x - 2), 3.0), fg.sqrt(-x)),
            [-4, 1, 2, 6],
            [2, 3, 3, 2],
            [-0.25, 0, 0, 0.25],
        ),
        (
            lambda x: sides_of(x, fg.exp(x)),
            [-2, -0.5, 1e3],
            [2 * np.exp(-2), np.exp(-0.5), 0],
            [2 * np.exp(-2), np.exp(-0.5), 0],
        ),
    ],
)
def test_sides_not_taken_change_nothing(function, x, value, grad):
    result, *grads = value_and_grads(function, np.array(x, float))
    np.testing.assert_allclose(result, value, rtol=1e-15)
    np.testing.assert_allclose(grads, [grad], rtol=1e-14, atol=1e-15)


def test_sides_not_taken_change_nothing_across_sums_and_broadcasts():
    x, use = np.array([[1.0, 4.0], [0.0, -1.0]]), np.array([1.0, 0.0])
    for function in (
        lambda x, w: fg.where(use, fg.sum(fg.log(x) * w, axis=1), 0.0),
        lambda x, w: fg.where(use, 2 * fg.mean(fg.log(x) * w, axis=1), 0.0),
        lambda x, w: fg.where(use[:, None], fg.log(x) * w, 0.0),
        lambda x, w: fg.where(use == 1, (fg.log(x) * w)[:, 0] + (fg.log(x) * w)[:, 1], 0.0),
    ):
        value, grad, grad_w = value_and_grads(function, x, np.array([[1.0, 1.0]]))
        assert value.sum() == np.log(4)
        np.testing.assert_array_equal(grad, [[1, 0.25], [0, 0]])
        np.testing.assert_array_equal(grad_w, [[0, np.log(4)]])
    _, grad_w = value_and_grads(lambda w: fg.where(x > 9, fg.log(w) * x, 0.0), 0.0)
    assert grad_w == 0
    value, grad = value_and_grads(lambda x: fg.where(use, fg.logsumexp(fg.log(x), axis=1), 0.0), x)
    np.testing.assert_allclose(grad, [[0.2, 0.2], [0, 0]])


def test_both_sides_and_others_add_up():
    def function(x):
        a = fg.exp(x)
        b = fg.where(x > 0, a * 2, a * 3)
        c = fg.where(x > 1, b * a, a) + fg.where(x < -1, a, 0.0)
        return c + a + fg.maximum(a, b) + fg.minimum(x, a)

    x = np.array([-2.0, -0.5, 0.5, 2.0])
    _, grad = value_and_grads(function, x)
    ahead, behind = (value_and_grads(function, x + h)[0] for h in (1e-6, -1e-6))
    np.testing.assert_allclose(grad, (ahead - behind) / 2e-6, rtol=1e-7)


@pytest.mark.parametrize(
    "x, value, grad",
    [
        ([-inf, 1.0], 1.0, [0, 1]),
        ([-inf, -inf], -inf, [nan, nan]),
        ([inf, 1.0], inf, [nan, 0]),
        ([nan, 1.0], nan, [nan, nan]),
        ([-1e308, 1e308], 1e308, [0, 1]),
    ],
)
def test_logsumexp_of_infinities(x, value, grad):
    x = Variable(x)
    y = fg.logsumexp(x)  # without a warning
    y.backward()
    np.testing.assert_array_equal(y.value, value)
    np.testing.assert_array_equal(x.grad, grad)


# ---- shapes


@pytest.mark.parametrize("axis", [None, 0, -1, 1, (0, 2), (-1, 0), (1,), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "logsumexp"])
def test_reductions_over_any_axes(name, axis, keepdims):
    function = getattr(fg, name)
    values = np.random.RandomState(0).randn(2, 3, 4)
    weights = np.random.RandomState(1).randn(2, 3, 4)
    x = Variable(values)
    y = function(x, axis=axis, keepdims=keepdims)
    expected = {"sum": np.sum, "mean": np.mean}.get(
        name, lambda x, **how: np.log(np.sum(np.exp(x), **how))
    )(values, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(y.value, expected, rtol=1e-14)
    # Only a result with kept dimensions can be broadcast against the values.
    result = fg.sum(y * y if not keepdims else y * weights)
    result.backward()
    back = 2 * expected if not keepdims else np.sum(weights, axis=axis, keepdims=True)
    kept = np.reshape(back, np.sum(values, axis=axis, keepdims=True).shape)
    share = {"sum": 1.0, "mean": kept.size / values.size}.get(name)
    if share is None:
        share = np.exp(values) / np.sum(np.exp(values), axis=axis, keepdims=True)
    np.testing.assert_allclose(x.grad, np.broadcast_to(kept, values.shape) * share, rtol=1e-13)


def test_the_mean_follows_its_input():
    x = Variable([1.0, 3.0])
    y = fg.mean(x)
    x.value = [1.0, 2.0, 6.0]
    assert y.forward() == 3
    y.backward()
    assert list(x.grad) == [1 / 3] * 3


def test_a_column_and_a_row_are_broadcast():
    x, y = np.arange(3.0)[:, None], np.arange(1.0, 5)
    _, grad, grad_y = value_and_grads(lambda x, y: x * y, x, y)
    np.testing.assert_array_equal(grad, np.full((3, 1), 10.0))
    np.testing.assert_array_equal(grad_y, [3, 3, 3, 3])


@pytest.mark.parametrize(
    "function, value",
    [
        (lambda x: fg.exp(x) * 2, np.empty((0, 3))),
        (lambda x: fg.sum(x, axis=0), np.zeros(3)),
        (lambda x: fg.logsumexp(x, axis=0), np.full(3, -inf)),
        (lambda x: x + np.ones((1, 3)), np.empty((0, 3))),
        (lambda x: x[:, 1], np.empty(0)),
    ],
)
def test_arrays_without_numbers(function, value):
    result, grad = value_and_grads(function, np.empty((0, 3)))
    np.testing.assert_array_equal(result, value)
    assert grad.shape == (0, 3)


@pytest.mark.parametrize("value", [3, True, np.int8(3), np.float32(3), np.array(3), np.array(3.0)])
def test_any_kind_of_number_becomes_float64(value):
    x = Variable(value)
    y = 2 / x
    y.backward()
    assert isinstance(x.value, np.float64) and isinstance(y.value, np.float64)
    assert isinstance(x.grad, np.float64) and x.grad == -2 / float(value) ** 2
    assert Variable([1, 2]).value.dtype == np.float64


@pytest.mark.parametrize("value", ["3", None, 1j, object(), [Variable(1.0), 2.0], 10**400])
def test_values_that_are_not_numbers_are_errors(value):
    with pytest.raises(TypeError, match=r"number|array"):
        Variable(value)


def test_graphs_of_thirty_thousand_nodes():
    x = y = Variable(1.0)
    for _ in range(10_000):
        y = y * 1.0 + 5e-5 * x
    y.backward()
    assert np.isclose(x.grad, 1.5, rtol=1e-9)
    x.value = 2.0
    assert np.isclose(y.forward(), 3, rtol=1e-9)


def test_nested_conditions_cost_linear_time():
    x = y = Variable([-1.0, 1.0])
    for _ in range(1_000):
        y = fg.relu(y * 1.0)
    with np.errstate(divide="ignore"):
        fg.sum(fg.where(y > 0, fg.log(y), 0.0)).backward()
    np.testing.assert_array_equal(x.grad, [0, 1])
    assert len(x._adjoint.conditions) < 10


def test_shared_nodes_of_many_paths():
    x = y = Variable(1.0)
    for _ in range(60):  # 2^60 paths
        y = y + y
    y.backward()
    assert x.grad == 2.0**60


# ---- shared arrays


def test_arrays_of_the_caller_are_copied():
    given, other, index = np.array([1.0, 2.0]), np.array([3.0, 4.0]), [1, 0]
    x = Variable(given)
    y = fg.sum((x * other)[index] * [1.0, 10.0])
    before = given.copy(), other.copy()
    y.backward()
    np.testing.assert_array_equal(given, before[0])
    np.testing.assert_array_equal(other, before[1])
    given[:], other[:], index[:] = 7, 7, [0, 0]
    assert y.forward() == y.value == 8 + 30
    y.backward()
    np.testing.assert_array_equal(x.grad, [30, 4])


def test_results_are_read_only_and_grads_are_copies():
    x = Variable([1.0, 2.0])
    y = x + 0.0
    z = fg.sum(y + y)
    z.backward()
    x.grad[:] = 0
    np.testing.assert_array_equal(y.grad, [2, 2])
    with pytest.raises(ValueError, match="read-only"):
        y.value[0] = 5
    x.value -= 0.5 * y.grad
    assert z.forward() == 2


def test_backward_of_outdated_values_is_an_error():
    x = Variable(3.0)
    z = x * x
    x.value = 5.0
    with pytest.raises(ValueError, match=r"inputs were set .* call forward\(\) first"):
        z.backward()
    z.forward()
    z.backward()
    assert x.grad == 10


def test_backward_of_primitives_may_overwrite_grad():
    """The relu layer of a well-known textbook does so."""

    def back(grad, out, x):
        grad[x <= 0] = 0
        return grad

    relu = primitive(lambda x: np.where(x > 0, x, 0), back, "relu")
    x = Variable([-1.0, 2.0])
    y = x + 0.0
    fg.sum(relu(y) + y).backward()
    np.testing.assert_array_equal(x.grad, [1, 2])

    def write(x):
        x[x < 0] = 0
        return x

    with pytest.raises(ValueError, match="read-only"):
        primitive(write, back)(x)
    kept = primitive(lambda x: x, lambda grad, out, x: grad)(x)
    x.value[0] = 9
    assert kept.value[0] == -1


def test_copies_are_independent_graphs():
    x = Variable([1.0, 2.0])
    y = fg.sum(x * x)
    again = copy.deepcopy(y)
    x.value = [0.0, 0.0]
    assert y.forward() == 0 and again.forward() == 5


# ---- operators, and functions of NumPy


def test_operators_and_their_reflections():
    x, a = Variable([0.5, 2.0]), np.array([1.0, -1.0])
    for made, value in (
        (a + x, a + x.value),
        (a - x, a - x.value),
        (a / x, a / x.value),
        (2**x, 2**x.value),
        (3 - x, 3 - x.value),
        (abs(-x), x.value),
        (+x, x.value),
        (~(x > 1), [1, 0]),
        ((x > 0) & (x < 1), [1, 0]),
        ((x < 0) | (x >= 2), [0, 1]),
        (np.array([True, True]) & (x > 1), [0, 1]),
        (True & (x > 1), [0, 1]),
        (x != 2, [1, 0]),
        (x == 2, [0, 1]),
        (1 <= x, [0, 1]),
        (np.absolute(-x), x.value),
        (np.maximum(x, 1), [1, 2]),
        (np.mean(x, 0), 1.25),
        (np.sum(x, axis=0, keepdims=True), [2.5]),
    ):
        assert isinstance(made, Variable)
        np.testing.assert_array_equal(made.value, value)
    total = Variable(0.0)
    start = total
    for number in (1.0, 2.0):
        total += number * x[0]
    assert total.value == 1.5 and start.value == 0


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda x: x // 2, "np.floor_divide.*where"),
        (lambda x: x % 2, "np.remainder.*where"),
        (lambda x: x @ x, "np.matmul.*primitive"),
        (lambda x: np.eye(2) @ x, "np.matmul.*primitive"),
        (lambda x: np.add(x, 1, where=[True, False]), "np.add of Variables takes no where"),
        (lambda x: np.sum(x, 0, float), "positional argument"),
        (lambda x: np.max(x), "no derivative of np.max"),
        (lambda x: x[x > 0], "an index is made of numbers.*where"),
        (lambda x: round(x), "__round__"),
        (lambda x: len(x), "has no len"),
    ],
)
def test_errors_name_functions_without_a_derivative(use, message):
    with pytest.raises(TypeError, match=message):
        use(Variable([0.5, 2.0]))


def test_public_functions_have_a_name_a_signature_and_a_docstring():
    for name in fg.__all__:
        function = getattr(fg, name)
        assert function.__name__ == name and len(function.__doc__) > 40
        assert "\nParameters\n----------\n" in inspect.getdoc(function)
    assert help_of(fg.exp).startswith("exp(x)\n    e ** x.\n")
    assert "logsumexp(x, axis=None, keepdims=False)" in help_of(fg)


def help_of(what):
    text = pydoc.plain(pydoc.render_doc(what))
    return text.split("\n\n", 1)[1]
