"""The operations of computational graphs: a value, and what comes back to each input.

The rules of differentiation are written in the same functions that users call. On numbers they give
numbers, which is `backward`; on nodes they give more graph, which is how an Expression is
differentiated once and compiled.

Where a function has a kink its derivative is that of one side: 0 for abs and relu at 0; maximum and
minimum of equal numbers pass it on to their second argument; clip passes it on at its ends.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

__all__ = [
    "abs",
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
    "sum",
    "tanh",
    "where",
]

ROW, NUMBER = ("n_outputs",), ()  # shapes of symbols: a number for each output, or one
IF, ELSE = True, False  # rules of inputs that come through as they are, or not at all


@dataclass(frozen=True, eq=False)
class Operation:
    """A function of values, and its derivatives.

    Parameters
    ----------
    name : str
    value : callable
        ``value(*inputs, **options)``, of numbers and arrays.
    derivatives : tuple of callable, IF, ELSE or None
        For each input what comes back to it, ``derivative(grad, output, *inputs, **options)``. IF:
        grad where the condition holds, and nothing elsewhere; ELSE: the other way round. None:
        nothing. Shapes that were broadcast are summed over afterwards.
    condition : callable or None
        ``condition(*inputs)``, which IF and ELSE refer to.
    shape : tuple or None
        Of the result, if inputs are symbols; None: it works on every number alone.
    places : callable or None
        The derivative that moves along what only says where something comes back; None: the same.
    together : callable or None
        Takes the place of `derivatives` if they come in one tuple.
    """

    name: str
    value: callable
    derivatives: tuple = ()
    condition: callable = None
    shape: tuple | None = None
    places: callable = None
    together: callable = None

    def __reduce__(self):  # by name: its functions are lambdas
        if OPERATIONS.get(self.name) is self:
            return _operation, (self.name,)
        return super().__reduce__()


OPERATIONS = {}


def _operation(name):
    return OPERATIONS[name]


class Node:
    """What an operation makes a node of, and not a number: the Variables of graph.py."""


def apply(name, *inputs, **options):
    """The operation `name` on numbers, or a node for it if there is a node among them."""
    operation = OPERATIONS[name]
    for i in inputs:
        if isinstance(i, Node):
            return i._result(operation, inputs, options)
    return operation.value(*inputs, **options)


def _enter(name, value, *derivatives, **more):
    OPERATIONS[name] = Operation(name, value, derivatives, **more)


# ---- of every number alone

ONE = """{}

    Parameters
    ----------
    x : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where x is no Variable
    """
TWO = """{}

    Parameters
    ----------
    x, y : Variable, float or array-like
        Of shapes that can be broadcast.

    Returns
    -------
    Variable, or float or ndarray where neither is a Variable
    """


def _function(name, text, value, *derivatives, condition=None):
    """Enter an operation of one or two numbers; the function that users call."""
    _enter(name, value, *derivatives, condition=condition)
    if len(derivatives) == 1:

        def function(x):
            return apply(name, x)
    else:

        def function(x, y):
            return apply(name, x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (ONE, TWO)[len(derivatives) - 1].format(text)
    return function


def _where(condition, x, y):
    return np.where(np.asarray(condition) != 0, x, y)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _power_by_base(g, out, x, y):  # at x = y = 0 the product is 0 times infinity
    return g * where(equal(y, 0.0), 0.0, y * power(x, y - 1))


def _power_by_exponent(g, out, x, y):  # 0 ** y is 0 around every y > 0
    return g * (out * log(where(equal(x, 0.0), 1.0, x)))


TWO_OVER_ROOT_PI = 1.1283791670955126

add = _function("add", "x + y.", np.add, lambda g, out, x, y: g, lambda g, out, x, y: g)
subtract = _function(
    "subtract", "x - y.", np.subtract, lambda g, out, x, y: g, lambda g, out, x, y: -g
)
multiply = _function(
    "multiply", "x y.", np.multiply, lambda g, out, x, y: g * y, lambda g, out, x, y: g * x
)
divide = _function(
    "divide", "x / y.", np.divide, lambda g, out, x, y: g / y, lambda g, out, x, y: -(g * out / y)
)
power = _function(
    "power",
    "x ** y, of a negative x for whole numbers y.",
    np.power,
    _power_by_base,
    _power_by_exponent,
)
negative = _function("negative", "-x.", np.negative, lambda g, out, x: -g)
exp = _function("exp", "e ** x.", np.exp, lambda g, out, x: g * out)
expm1 = _function(
    "expm1", "e ** x - 1, exact for small x.", np.expm1, lambda g, out, x: g * (out + 1)
)
log = _function("log", "The natural logarithm of x.", np.log, lambda g, out, x: g / x)
log1p = _function(
    "log1p", "log(1 + x), exact for small x.", np.log1p, lambda g, out, x: g / (1 + x)
)
sqrt = _function("sqrt", "The square root of x.", np.sqrt, lambda g, out, x: g * 0.5 / out)
sin = _function("sin", "The sine of x, in radians.", np.sin, lambda g, out, x: g * cos(x))
cos = _function("cos", "The cosine of x, in radians.", np.cos, lambda g, out, x: -(g * sin(x)))
sinh = _function("sinh", "(exp(x) - exp(-x)) / 2.", np.sinh, lambda g, out, x: g * cosh(x))
cosh = _function("cosh", "(exp(x) + exp(-x)) / 2.", np.cosh, lambda g, out, x: g * sinh(x))
tanh = _function("tanh", "sinh(x) / cosh(x).", np.tanh, lambda g, out, x: g * (1 - out * out))
sigmoid = _function(
    "sigmoid", "1 / (1 + exp(-x)).", special.expit, lambda g, out, x: g * (out * (1 - out))
)
softplus = _function(
    "softplus", "log(1 + exp(x)), without overflow.", _softplus, lambda g, out, x: g * sigmoid(x)
)
erf = _function(
    "erf",
    "The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    special.erf,
    lambda g, out, x: g * (TWO_OVER_ROOT_PI * exp(-(x * x))),
)
relu = _function("relu", "max(x, 0).", lambda x: np.maximum(x, 0), IF, condition=lambda x: x > 0)
abs = _function("abs", "x without its sign.", np.abs, lambda g, out, x: g * sign(x))
sign = _function("sign", "-1, 0 or 1; its derivative is 0 everywhere.", np.sign, None)
maximum = _function(
    "maximum", "The larger of x and y.", np.maximum, IF, ELSE, condition=lambda x, y: x > y
)
minimum = _function(
    "minimum", "The smaller of x and y.", np.minimum, IF, ELSE, condition=lambda x, y: x < y
)
less = _function("less", "1 where x < y, else 0.", lambda x, y: np.less(x, y) * 1.0, None, None)
less_equal = _function(
    "less_equal", "1 where x <= y, else 0.", lambda x, y: np.less_equal(x, y) * 1.0, None, None
)
equal = _function("equal", "1 where x = y, else 0.", lambda x, y: np.equal(x, y) * 1.0, None, None)

_enter("where", _where, None, IF, ELSE, condition=lambda condition, x, y: condition)


def where(condition, x, y):
    """x where the condition holds, else y: the `if` of a graph.

    Both are computed everywhere. What the side not taken is there, NaN or infinite, changes neither
    the value nor the derivatives.

    Parameters
    ----------
    condition : Variable, float or array-like
        It holds where it is not 0; comparisons give 0 and 1, and combine by &, | and ~.
    x, y : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where none of them is a Variable
    """
    return apply("where", condition, x, y)


def clip(x, low, high):
    """x, but at least `low` and at most `high`.

    Parameters
    ----------
    x, low, high : Variable, float or array-like

    Returns
    -------
    Variable, or float or ndarray where none of them is a Variable
    """
    return where(less(x, low), low, where(less(high, x), high, x))


# ---- across numbers

ACROSS = """{}

    Parameters
    ----------
    x : Variable, float or array-like
    axis : int, tuple of int or None, default=None
        None: over all numbers. In a traced function a row has the axis None, 0 or -1.
    keepdims : bool, default=False
        Whether the axis stays, with one number on it; not in a traced function.

    Returns
    -------
    Variable, or float or ndarray where x is no Variable
    """


def _reduction(name, text, value, rule):
    """Enter an operation that takes many numbers to one; the function that users call."""
    _enter(name, value, rule, shape=NUMBER, places=_sum_back)

    def function(x, axis=None, keepdims=False):
        return apply(name, x, axis=axis, keepdims=keepdims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = ACROSS.format(text)
    return function


def _spread(g, x, axis, keepdims):
    """What comes back to a sum, for all that went into it."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, np.shape(x))


def _spread_like(g, x, axis, keepdims):
    return apply("spread", g, x, axis=axis, keepdims=keepdims)


def _sum_back(g, out, x, axis, keepdims):
    return _spread_like(g, x, axis, keepdims)


def _count(x, axis):
    """How many numbers go into one of a mean."""
    return float(np.prod(np.shape(x) if axis is None else np.take(np.shape(x), axis)))


def _logsumexp(x, axis, keepdims):
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # of infinities
        result = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return result if keepdims else np.sum(result, axis=axis)  # of one number each


def _place(g, x, index):
    """Zeros like x, but for g at the index; added up where it names a place twice."""
    result = np.zeros(np.shape(x))
    np.add.at(result, index, g)
    return result


sum = _reduction(
    "sum", "The sum.", lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims), _sum_back
)
mean = _reduction(
    "mean",
    "The mean.",
    lambda x, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims),
    lambda g, out, x, axis, keepdims: _spread_like(
        g / apply("count", x, axis=axis), x, axis, keepdims
    ),
)
logsumexp = _reduction(
    "logsumexp",
    "log(sum(exp(x))), without overflow; its derivatives are softmax(x).",
    _logsumexp,
    lambda g, out, x, axis, keepdims: (
        _spread_like(g, x, axis, keepdims) * exp(x - _spread_like(out, x, axis, keepdims))
    ),
)

# What derivatives of these are made of, and x[index].
_enter("count", _count, None, shape=NUMBER)
_enter(
    "spread", _spread, lambda g, out, s, x, axis, keepdims: sum(g, axis, keepdims), None, shape=ROW
)
_enter(
    "item",
    lambda x, index: x[index],
    lambda g, out, x, index: apply("place", g, x, index=index),
    shape=NUMBER,
)
_enter("place", _place, lambda g, out, s, x, index: g[index], None, shape=ROW)
