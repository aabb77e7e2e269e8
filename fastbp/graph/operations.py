"""The operations of computational graphs: the value of each, and the adjoints of its inputs.

`OPERATIONS` is the table of both. The rules of differentiation are written in the same functions
that users call. Called with numbers they give numbers, for `backward`; called with nodes they give
more graph, so that an Expression is differentiated once and compiled.

At a kink the derivative is that of one side: 0 for abs and relu at 0. For equal numbers, maximum
and minimum have the derivative of their second argument. At its ends, clip has that of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

__all__ = [  # without abs and sum, which would hide Python's: __init__.py names them
    "add",
    "clip",
    "cos",
    "cosh",
    "divide",
    "equal",
    "erf",
    "exp",
    "expm1",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "power",
    "relu",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "subtract",
    "tanh",
    "where",
]

Shape: TypeAlias = tuple[str, ...] | tuple[int, ...]
ROW: Shape = ("n_outputs",)  # shapes of symbols: a number for each output,
NUMBER: Shape = ()  # or a single one
IF, ELSE = True, False  # derivatives: 1 where a condition holds, or where it does not
Derivative: TypeAlias = Callable[..., Any] | bool | None


@dataclass(frozen=True, eq=False)
class Operation:
    """A function of values, and its derivatives.

    Parameters
    ----------
    name : str
    value : callable
        ``value(*inputs, **options)``, of numbers and arrays.
    derivatives : tuple of callable, IF, ELSE or None
        One for each input, ``derivative(grad, output, *inputs, **options)``: the adjoint of the
        input, from `grad`, the adjoint of the output. IF: `grad` where the condition holds, and no
        adjoint elsewhere. ELSE: the opposite. None: no adjoint. The sweep sums over broadcast
        axes.
    condition : callable or None
        ``condition(*inputs)``, for IF and ELSE.
    shape : tuple or None
        Shape of the result for symbols as inputs. None: the operation is elementwise.
    mask : callable or None
        The derivative rule for the mask of an adjoint. None: the rule for the adjoint.
    joint : callable or None
        Replaces `derivatives`: a function that returns the adjoints of all inputs in a tuple.
    """

    name: str
    value: Callable[..., Any]
    derivatives: tuple[Derivative, ...] = ()
    condition: Callable[..., Any] | None = None
    shape: Shape | None = None
    mask: Callable[..., Any] | None = None
    joint: Callable[..., Any] | None = None

    def __reduce__(self) -> str | tuple[Any, ...]:
        if OPERATIONS.get(self.name) is self:  # by name: its functions are lambdas
            return operation_named, (self.name,)
        return super().__reduce__()


OPERATIONS: dict[str, Operation] = {}  # by name: values and derivatives
FUNCTIONS: dict[str, Callable[..., Any]] = {}  # by public name: what users call


def operation_named(name: str) -> Operation:
    """The operation of this name: what pickles call."""
    if name not in OPERATIONS:
        raise ValueError(f"there is no operation {name!r}")
    return OPERATIONS[name]


def is_elementwise(name: str) -> bool:
    """Whether this is an operation that works on each number alone."""
    return name in OPERATIONS and OPERATIONS[name].shape is None


class Rules(dict[str, Callable[..., Any]]):
    """The table of one interpretation of operations: a rule for each of them, by name.

    An elementwise operation without a rule of its own has the rule `elementwise`. Any other
    operation without a rule is an error.
    """

    def __init__(
        self,
        interpretation: str,
        rules: dict[str, Callable[..., Any]],
        elementwise: Callable[..., Any],
    ) -> None:
        super().__init__(rules)
        self.interpretation, self.elementwise = interpretation, elementwise

    def __missing__(self, name: str) -> Callable[..., Any]:
        if is_elementwise(name):
            return self.elementwise
        raise TypeError(f"there is no rule for {self.interpretation} the operation {name!r}")


class Node:
    """The base of Variable: operations of nodes give nodes, not numbers."""

    _result: Callable[..., Any]


Operand: TypeAlias = Node | ArrayLike


def apply(name: str, *inputs: Any, **options: Any) -> Any:
    """The operation `name` of numbers, or a node for it if one of the inputs is a node."""
    operation = OPERATIONS[name]
    for i in inputs:
        if isinstance(i, Node):
            return i._result(operation, inputs, options)
    return operation.value(*inputs, **options)


def _enter(name: str, value: Callable[..., Any], *derivatives: Derivative, **fields: Any) -> None:
    OPERATIONS[name] = Operation(name, value, derivatives, **fields)


def _public(function: Callable[..., Any], name: str, text: str) -> Any:
    """The function, with the name and the docstring that users see, entered for them."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    FUNCTIONS[name] = function
    return function


# ---- elementwise

OF_ONE = """{}

    Parameters
    ----------
    x : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where x is no Variable
    """
OF_TWO = """{}

    Parameters
    ----------
    x, y : Variable, float or array-like
        Of shapes that can be broadcast.

    Returns
    -------
    Variable, or float or ndarray where neither is a Variable
    """


class Unary(Protocol):
    """A function of one number."""

    def __call__(self, x: Operand) -> Any: ...


class Binary(Protocol):
    """A function of two numbers."""

    def __call__(self, x: Operand, y: Operand) -> Any: ...


def _unary(
    name: str,
    text: str,
    value: Callable[..., Any],
    derivative: Derivative,
    condition: Callable[..., Any] | None = None,
) -> Unary:
    """Enter an operation of one number; the function that users call."""
    _enter(name, value, derivative, condition=condition)
    function: Unary = _public(lambda x: apply(name, x), name, OF_ONE.format(text))
    return function


def _binary(
    name: str,
    text: str,
    value: Callable[..., Any],
    by_x: Derivative,
    by_y: Derivative,
    condition: Callable[..., Any] | None = None,
) -> Binary:
    """Enter an operation of two numbers; the function that users call."""
    _enter(name, value, by_x, by_y, condition=condition)
    function: Binary = _public(lambda x, y: apply(name, x, y), name, OF_TWO.format(text))
    return function


def _where(condition: Any, x: Any, y: Any) -> Any:
    return np.where(np.asarray(condition) != 0, x, y)


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _expit(x: Any) -> Any:
    from scipy import special  # imported late: it takes longer than all of fastbp's graphs

    return special.expit(x)


def _erf(x: Any) -> Any:
    from scipy import special

    return special.erf(x)


def _power_by_base(g: Any, out: Any, x: Any, y: Any) -> Any:
    # At x = y = 0 the product is 0 times infinity.
    return g * where(equal(y, 0.0), 0.0, y * power(x, y - 1))


def _power_by_exponent(g: Any, out: Any, x: Any, y: Any) -> Any:
    # 0 ** y is 0 around every y > 0.
    return g * (out * log(where(equal(x, 0.0), 1.0, x)))


TWO_OVER_ROOT_PI = 1.1283791670955126

add = _binary("add", "x + y.", np.add, lambda g, out, x, y: g, lambda g, out, x, y: g)
subtract = _binary(
    "subtract", "x - y.", np.subtract, lambda g, out, x, y: g, lambda g, out, x, y: -g
)
multiply = _binary(
    "multiply", "x * y.", np.multiply, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x
)
divide = _binary(
    "divide", "x / y.", np.divide, lambda g, out, x, y: g / y, lambda g, out, x, y: -(g * out / y)
)
power = _binary(
    "power",
    "x ** y. A negative x needs an integer y.",
    np.power,
    _power_by_base,
    _power_by_exponent,
)
negative = _unary("negative", "-x.", np.negative, lambda g, out, x: -g)
exp = _unary("exp", "e ** x.", np.exp, lambda g, out, x: g * out)
expm1 = _unary(
    "expm1", "e ** x - 1, accurate for small x.", np.expm1, lambda g, out, x: g * (out + 1)
)
log = _unary("log", "The natural logarithm of x.", np.log, lambda g, out, x: g / x)
log1p = _unary(
    "log1p", "log(1 + x), accurate for small x.", np.log1p, lambda g, out, x: g / (1 + x)
)
sqrt = _unary("sqrt", "The square root of x.", np.sqrt, lambda g, out, x: g * 0.5 / out)
sin = _unary("sin", "The sine of x, in radians.", np.sin, lambda g, out, x: g * cos(x))
cos: Unary = _unary("cos", "The cosine of x, in radians.", np.cos, lambda g, out, x: -(g * sin(x)))
sinh = _unary("sinh", "(exp(x) - exp(-x)) / 2.", np.sinh, lambda g, out, x: g * cosh(x))
cosh: Unary = _unary("cosh", "(exp(x) + exp(-x)) / 2.", np.cosh, lambda g, out, x: g * sinh(x))
tanh = _unary("tanh", "sinh(x) / cosh(x).", np.tanh, lambda g, out, x: g * (1 - out * out))
sigmoid = _unary("sigmoid", "1 / (1 + exp(-x)).", _expit, lambda g, out, x: g * (out * (1 - out)))
softplus = _unary(
    "softplus", "log(1 + exp(x)), without overflow.", _softplus, lambda g, out, x: g * sigmoid(x)
)
erf = _unary(
    "erf",
    "The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    _erf,
    lambda g, out, x: g * (TWO_OVER_ROOT_PI * exp(-(x * x))),
)
relu = _unary("relu", "max(x, 0).", lambda x: np.maximum(x, 0), IF, condition=lambda x: x > 0)
absolute = _unary("abs", "The absolute value of x.", np.abs, lambda g, out, x: g * sign(x))
sign: Unary = _unary("sign", "The sign of x: -1, 0 or 1. Its derivative is 0.", np.sign, None)
maximum = _binary(
    "maximum", "The larger of x and y.", np.maximum, IF, ELSE, condition=lambda x, y: x > y
)
minimum = _binary(
    "minimum", "The smaller of x and y.", np.minimum, IF, ELSE, condition=lambda x, y: x < y
)
less = _binary("less", "1 where x < y, else 0.", lambda x, y: np.less(x, y) * 1.0, None, None)
less_equal = _binary(
    "less_equal", "1 where x <= y, else 0.", lambda x, y: np.less_equal(x, y) * 1.0, None, None
)
equal = _binary("equal", "1 where x = y, else 0.", lambda x, y: np.equal(x, y) * 1.0, None, None)

_enter("where", _where, None, IF, ELSE, condition=lambda condition, x, y: condition)


def where(condition: Operand, x: Operand, y: Operand) -> Any:
    """x where the condition holds, else y: the `if` of a graph.

    Both sides are computed everywhere. NaN or infinity on the side that is not taken changes
    neither the value nor the derivatives.

    Parameters
    ----------
    condition : Variable, float or array-like
        True where it is not 0. Comparisons give 0 and 1; combine them with &, | and ~.
    x, y : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where none of them is a Variable
    """
    return apply("where", condition, x, y)


def clip(x: Operand, low: Operand, high: Operand) -> Any:
    """x limited to the interval from `low` to `high`.

    Parameters
    ----------
    x, low, high : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where none of them is a Variable
    """
    return where(less(x, low), low, where(less(high, x), high, x))


FUNCTIONS |= {"where": where, "clip": clip}


# ---- across numbers

ACROSS = """{}

    Parameters
    ----------
    x : Variable, float or array-like
    axis : int, tuple of int or None, default=None
        None: over all numbers. In a traced function the axis of a row is None, 0 or -1.
    keepdims : bool, default=False
        Whether to keep the axis, with length 1. Not in a traced function.

    Returns
    -------
    Variable, or float or ndarray where x is no Variable
    """
Axis: TypeAlias = int | tuple[int, ...] | None


class Reduction(Protocol):
    """A function that takes the numbers along an axis to one."""

    def __call__(self, x: Operand, axis: Axis = None, keepdims: bool = False) -> Any: ...


def _reduction(
    name: str, text: str, value: Callable[..., Any], derivative: Derivative
) -> Reduction:
    """Enter an operation that takes many numbers to one; the function that users call."""
    _enter(name, value, derivative, shape=NUMBER, mask=_sum_derivative)
    function: Reduction = _public(
        lambda x, axis=None, keepdims=False: apply(name, x, axis=axis, keepdims=keepdims),
        name,
        ACROSS.format(text),
    )
    return function


def _spread(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The result of a reduction of x, repeated to the shape of x."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, np.shape(x))


def _spread_like(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    return apply("spread", g, x, axis=axis, keepdims=keepdims)


def _sum_derivative(g: Any, out: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    return _spread_like(g, x, axis, keepdims)


def _count(x: Any, axis: Any) -> float:
    """The number of terms of each mean."""
    return float(np.prod(np.shape(x) if axis is None else np.take(np.shape(x), axis)))


def _logsumexp(x: Any, axis: Axis, keepdims: bool) -> Any:
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # of infinities
        result = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return result if keepdims else np.sum(result, axis=axis)  # over axes of length 1


def _place(g: Any, x: Any, index: Any) -> Any:
    """Zeros of the shape of x, with g added at the index; twice where the index repeats."""
    result = np.zeros(np.shape(x))
    np.add.at(result, index, g)
    return result


total = _reduction(
    "sum",
    "The sum of x along an axis.",
    lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
    _sum_derivative,
)
mean = _reduction(
    "mean",
    "The mean of x along an axis.",
    lambda x, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims),
    lambda g, out, x, axis, keepdims: _spread_like(
        g / apply("count", x, axis=axis), x, axis, keepdims
    ),
)
logsumexp = _reduction(
    "logsumexp",
    "log(sum(exp(x))) along an axis, without overflow. Its derivative is softmax(x).",
    _logsumexp,
    lambda g, out, x, axis, keepdims: (
        _spread_like(g, x, axis, keepdims) * exp(x - _spread_like(out, x, axis, keepdims))
    ),
)

# The operations that these derivatives need, and x[index].
_enter("count", _count, None, shape=NUMBER)
_enter(
    "spread",
    _spread,
    lambda g, out, s, x, axis, keepdims: total(g, axis, keepdims),
    None,
    shape=ROW,
)
_enter(
    "item",
    lambda x, index: x[index],
    lambda g, out, x, index: apply("place", g, x, index=index),
    shape=NUMBER,
)
_enter("place", _place, lambda g, out, s, x, index: g[index], None, shape=ROW)
