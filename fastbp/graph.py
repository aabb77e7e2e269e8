"""Computational graphs: forward they give values, backward the derivatives.

    >>> from fastbp import graph as fg
    >>> price, number, tax = fg.Variable(100.0), fg.Variable(2.0), fg.Variable(1.1)
    >>> total = price * number * tax
    >>> total.backward()
    >>> print(f"{total.value:.9g} {price.grad:.9g}")
    220 2.2

An operation is a row of one table: its value, and for each input what comes back to it (the rules
of reverse-mode differentiation; Griewank and Walther, 2008, section 3.2). The rules are written in
the same functions that users call. On numbers they give numbers, which is `backward`; on Variables
they give more graph, which is how an Expression is differentiated once and compiled.

Where a function has a kink its derivative is that of one side: 0 for abs and relu at 0; maximum and
minimum of equal numbers pass it on to their second argument; clip passes it on at its ends.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from fastbp import _graph_picture

ROW, NUMBER = ("n_outputs",), ()  # shapes of symbols: a number for each output, or one


@dataclass(frozen=True, eq=False)
class Operation:
    """A function of values, and its derivatives.

    Parameters
    ----------
    name : str
    value : callable
        ``value(*inputs, **options)``, of numbers and arrays.
    derivatives : tuple of callable or None
        For each input what comes back to it, ``derivative(grad, output, *inputs, **options)``;
        None where nothing does. Shapes that were broadcast are summed over afterwards.
    shape : tuple or None
        Of the result, if inputs are symbols; None: that of the widest input.
    together : callable or None
        Takes the place of `derivatives` if they come in one tuple.
    """

    name: str
    value: callable
    derivatives: tuple = ()
    shape: tuple | None = None
    together: callable = None

    def __reduce__(self):  # by name: its functions are lambdas
        if OPERATIONS.get(self.name) is self:
            return _operation, (self.name,)
        return super().__reduce__()


def _operation(name):
    return OPERATIONS[name]


SIGNS = {"add": "+", "subtract": "-", "multiply": "×", "divide": "÷", "power": "^",
         "negative": "-", "less": "<", "less_equal": "≤", "equal": "="}  # in pictures


# ---- nodes


class Variable:
    """A node of a graph: an input that can be set, or the result of an operation.

    Parameters
    ----------
    value : float or array-like
        Its value, as float64.
    name : str, default=None
        What it is called in pictures.

    Attributes
    ----------
    value : float or ndarray
        Settable where the node is an input; results follow with `forward`.
    grad : float, ndarray or None
        Derivative of the scalar whose `backward` ran last, of the shape of `value`.

    Examples
    --------
    >>> x, y = Variable(3.0), Variable(4.0)
    >>> z = (x + y) ** 2
    >>> z.backward()
    >>> print(x.grad)
    14.0
    >>> x.value = 1.0
    >>> print(z.forward())
    25.0
    """

    def __init__(self, value, name=None):
        self.operation, self.inputs, self.options = None, (), {}
        self.name, self.is_constant, self.grad = name, False, None
        self.value = value

    @classmethod
    def _result(cls, operation, inputs, options):
        node = object.__new__(cls)
        node.operation, node.inputs, node.options = operation, inputs, options
        node.name = node.grad = None
        node.is_constant = all(i.is_constant for i in inputs)
        if any(i._value is None for i in inputs) or options.get("shape") == ROW:
            wide = any(i.shape != NUMBER for i in inputs)
            node._value = None
            node._shape = ROW if wide else NUMBER
            if operation.shape is not None:
                node._shape = operation.shape
        else:
            node._evaluate()
        return node

    @classmethod
    def _symbol(cls, name, shape):
        """An input without a value: what is made of it is a formula."""
        node = cls(0.0, name)
        node._value, node._shape = None, shape
        return node

    def _evaluate(self):
        self._value = _plain(self.operation.value(*(i._value for i in self.inputs), **self.options))
        self._shape = np.shape(self._value)

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        if self.operation is not None:
            raise AttributeError(
                f"this Variable is the result of {self.operation.name!r}: set the inputs, and call "
                "forward()"
            )
        self._value = _plain(value)
        self._shape = np.shape(self._value)

    @property
    def shape(self):
        """Of the value."""
        return self._shape

    def forward(self):
        """Compute all results anew, after inputs were set.

        Returns
        -------
        float or ndarray
            The value of this node.
        """
        for node in order(self):
            if node.operation is not None:
                node._evaluate()
            node.grad = None
        return self._value

    def backward(self):
        """Set `grad` of all nodes behind this one to the derivatives of its value.

        Raises
        ------
        ValueError
            If the value is no scalar.
        """
        if self._shape != ():
            raise ValueError(
                f"backward() begins at a scalar, but this result has shape {self._shape}: take its "
                "sum or its mean first"
            )
        nodes = order(self)
        grads = sweep(nodes, lambda node: node._value)
        for node in nodes:
            grad = grads.get(node)
            node.grad = _plain(np.zeros(node._shape) if grad is None else grad)

    def to_mermaid(self):
        """The graph as Mermaid text, values and derivatives on its edges."""
        return _graph_picture.mermaid(*self._drawn())

    def to_dot(self):
        """The graph as Graphviz text, values and derivatives on its edges."""
        return _graph_picture.dot(*self._drawn())

    def _repr_svg_(self):
        return _graph_picture.svg(*self._drawn())

    def _drawn(self):
        """Nodes and edges of the graph behind this node, as _graph_picture.py takes them."""
        nodes = order(self)
        number = {node: k for k, node in enumerate(nodes)}
        labels, edges = [], []
        for node in nodes:
            operation = node.operation
            label = SIGNS.get(operation.name, operation.name) if operation else node.name
            if label is None:
                label = _graph_picture.shown(node._value) if node.is_constant else "input"
            labels.append((label, operation is not None))
            back = [None] * len(node.inputs)
            if node.grad is not None:
                back = come_back(node, node.grad, lambda node: node._value)
            edges += [
                (number[i], number[node], i._value, grad)
                for i, grad in zip(node.inputs, back, strict=True)
            ]
        return labels, [*edges, (number[self], None, self._value, self.grad)]

    def __repr__(self):
        what = self.name or (self.operation.name if self.operation else "")
        what = f", {what!r}" if what else ""
        return f"Variable({'a formula' if self._value is None else self._value}{what})"

    # What would take the value out of the graph, unseen, is refused.

    def __bool__(self):
        raise TypeError(
            "a Variable is neither true nor false while a graph is made, so that `if`, `and`, "
            "`or`, `not` and chained comparisons cannot ask it: use where(condition, x, y), &, | "
            "and ~"
        )

    def __float__(self):
        raise TypeError(
            "a Variable is not a number: functions of `math` cannot take it, those of fastbp.graph "
            "can; its number is .value"
        )

    __int__ = __index__ = __float__

    def __iter__(self):
        raise TypeError("a Variable cannot be unpacked: write x[0], x[1]")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a Variable is not an array: its array is .value")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        function = UFUNCS.get(ufunc.__name__)
        if method != "__call__" or options or function is None:
            how = "" if method == "__call__" else f".{method}"
            raise TypeError(f"there is no derivative of np.{ufunc.__name__}{how}. {WAY_OUT}")
        return function(*inputs)

    def __array_function__(self, function, types, inputs, options):
        ours = {"sum": sum, "mean": mean, "where": where, "clip": clip}.get(function.__name__)
        if ours is None:
            raise TypeError(f"there is no derivative of np.{function.__name__}. {WAY_OUT}")
        return ours(*inputs, **options)

    def __getattr__(self, name):
        raise AttributeError(f"a Variable has no {name!r}. {WAY_OUT}")

    def sum(self, axis=None, keepdims=False):
        return sum(self, axis, keepdims)

    def mean(self, axis=None, keepdims=False):
        return mean(self, axis, keepdims)

    def __getitem__(self, index):
        return apply("item", self, index=index)

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return subtract(self, other)

    def __rsub__(self, other):
        return subtract(other, self)

    def __mul__(self, other):
        return multiply(self, other)

    def __rmul__(self, other):
        return multiply(other, self)

    def __truediv__(self, other):
        return divide(self, other)

    def __rtruediv__(self, other):
        return divide(other, self)

    def __pow__(self, other):
        return power(self, other)

    def __rpow__(self, other):
        return power(other, self)

    def __neg__(self):
        return negative(self)

    def __pos__(self):
        return self

    def __abs__(self):
        return abs(self)

    def __lt__(self, other):
        return less(self, other)

    def __le__(self, other):
        return less_equal(self, other)

    def __gt__(self, other):
        return less(other, self)

    def __ge__(self, other):
        return less_equal(other, self)

    def __eq__(self, other):
        return equal(self, other)

    def __ne__(self, other):
        return 1 - equal(self, other)

    __hash__ = object.__hash__

    def __and__(self, other):  # conditions are 0 and 1
        return multiply(self, other)

    def __or__(self, other):
        return maximum(self, other)

    def __invert__(self):
        return 1 - self


def _plain(value):
    """float64: an array, or a number of no dimensions."""
    if isinstance(value, Variable):
        raise TypeError("the value of a Variable is a number or an array, not a Variable")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"the value of a Variable is a number or an array of them, got {value!r}")
    return array.astype(np.float64)[()]


def constant(value):
    """A node that stays as it is and has no derivative."""
    if isinstance(value, Variable):
        return value
    node = Variable(value)
    node.is_constant = True
    return node


def order(node):
    """All nodes behind this one and itself, inputs before results."""
    found, stack = {}, [(node, False)]
    while stack:  # recursion would end at a thousand nodes in a row
        node, done = stack.pop()
        if done:
            found[node] = None
        elif node not in found:
            stack.append((node, True))
            stack += [(i, False) for i in reversed(node.inputs) if i not in found]
    return list(found)


def sweep(nodes, value_of):
    """The reverse sweep: derivatives of the last of `nodes` by each of them, in a dict.

    `value_of` says what the rules are given for a node: its value, and they give values; the node
    itself, and they give formulas.
    """
    grads = {nodes[-1]: 1.0}
    for node in reversed(nodes):
        if node in grads:
            for i, grad in zip(node.inputs, come_back(node, grads[node], value_of), strict=True):
                if grad is not None:
                    grads[i] = grads[i] + grad if i in grads else grad
    return grads


def come_back(node, grad, value_of):
    """What comes back over the edges of a node, to each of its inputs; None where nothing does."""
    given = (grad, value_of(node), *map(value_of, node.inputs))
    operation = node.operation
    if operation is None:
        return []
    if operation.together is not None:
        back = operation.together(*given)
    else:
        back = [
            None if rule is None or i.is_constant else rule(*given, **node.options)
            for i, rule in zip(node.inputs, operation.derivatives, strict=True)
        ]
    return [
        None if part is None or i.is_constant else _unbroadcast(part, i.shape)
        for i, part in zip(node.inputs, back, strict=True)
    ]


def _unbroadcast(grad, shape):
    """The sum over all axes along which an input of this shape was repeated."""
    if isinstance(grad, Variable):
        return sum(grad) if grad.shape != NUMBER and shape == NUMBER else grad
    extra = np.ndim(grad) - len(shape)
    if extra > 0:
        grad = np.sum(grad, axis=tuple(range(extra)))
    repeated = tuple(k for k, n in enumerate(shape) if n == 1 and np.shape(grad)[k] != 1)
    return np.sum(grad, axis=repeated, keepdims=True) if repeated else grad


# ---- operations


def apply(name, *inputs, **options):
    """The operation `name` on numbers, or a node for it if there is a Variable among them."""
    operation = OPERATIONS[name]
    if any(isinstance(i, Variable) for i in inputs) or options.get("shape") == ROW:
        return Variable._result(operation, tuple(constant(i) for i in inputs), options)
    return operation.value(*inputs, **options)


def primitive(forward, backward, name=None):
    """An operation of one's own, from its pair; for graphs that run in Python.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)``: the value, from numbers and arrays.
    backward : callable
        ``backward(grad, output, *inputs)``: what comes back to each input, in a tuple (or alone, if
        there is one input), of the shapes of the inputs; None where nothing does. `grad` is what
        has come back to the output.
    name : str, default=None
        For pictures and messages; None: that of `forward`.

    Returns
    -------
    callable
        It takes Variables and numbers, and gives a Variable.

    Examples
    --------
    >>> multiply = primitive(lambda x, y: x * y, lambda grad, _, x, y: (grad * y, grad * x), "mul")
    >>> x = Variable(3.0)
    >>> z = multiply(x, 4.0)
    >>> z.backward()
    >>> print(x.grad)
    4.0
    """
    name = name or getattr(forward, "__name__", "primitive")

    def together(grad, output, *inputs):
        back = backward(grad, output, *inputs)
        back = back if isinstance(back, tuple | list) else (back,)
        if len(back) != len(inputs):
            raise ValueError(
                f"the backward of {name!r} gave {len(back)} derivatives for {len(inputs)} inputs"
            )
        for i, (part, value) in enumerate(zip(back, inputs, strict=True)):
            if part is not None and np.shape(part) != np.shape(value):
                raise ValueError(
                    f"the backward of {name!r} gave a derivative of shape {np.shape(part)} for "
                    f"input {i} of shape {np.shape(value)}"
                )
        return back

    operation = Operation(name, forward, together=together)

    def function(*inputs):
        return Variable._result(operation, tuple(constant(i) for i in inputs), {})

    function.__name__ = name
    return function


def _item_back(grad, output, x, index):
    return apply("place", grad, index=index, shape=_shape(x))


def _place(grad, index, shape):
    """Zeros of a shape, but for `grad` at the index; added up where it names a place twice."""
    result = np.zeros(shape)
    np.add.at(result, index, grad)
    return result


def _shape(x):
    return x.shape if isinstance(x, Variable) else np.shape(x)


def _spread(grad, axis, keepdims, shape):
    """The derivative of a sum: each number of the sum's shape, for all that went into it."""
    if axis is not None and not keepdims:
        grad = np.expand_dims(grad, axis)
    return np.broadcast_to(grad, shape)


def _sum_back(grad, output, x, axis, keepdims):
    return apply("spread", grad, axis=axis, keepdims=keepdims, shape=_shape(x))


def _logsumexp(x, axis, keepdims):
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    result = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return result if keepdims else np.sum(result, axis=axis)  # of one number each


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


TWO_OVER_ROOT_PI = 1.1283791670955126

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("add", np.add, (lambda g, out, x, y: g, lambda g, out, x, y: g)),
        Operation("subtract", np.subtract, (lambda g, out, x, y: g, lambda g, out, x, y: -g)),
        Operation("multiply", np.multiply,
                  (lambda g, out, x, y: g * y, lambda g, out, x, y: g * x)),
        Operation("divide", np.divide,
                  (lambda g, out, x, y: g / y, lambda g, out, x, y: -(g * out / y))),
        Operation("power", np.power,
                  (lambda g, out, x, y: g * (y * power(x, y - 1)),
                   lambda g, out, x, y: g * (out * log(x)))),
        Operation("negative", np.negative, (lambda g, out, x: -g,)),
        Operation("exp", np.exp, (lambda g, out, x: g * out,)),
        Operation("expm1", np.expm1, (lambda g, out, x: g * (out + 1),)),
        Operation("log", np.log, (lambda g, out, x: g / x,)),
        Operation("log1p", np.log1p, (lambda g, out, x: g / (1 + x),)),
        Operation("sqrt", np.sqrt, (lambda g, out, x: g * 0.5 / out,)),
        Operation("sin", np.sin, (lambda g, out, x: g * cos(x),)),
        Operation("cos", np.cos, (lambda g, out, x: -(g * sin(x)),)),
        Operation("sinh", np.sinh, (lambda g, out, x: g * cosh(x),)),
        Operation("cosh", np.cosh, (lambda g, out, x: g * sinh(x),)),
        Operation("tanh", np.tanh, (lambda g, out, x: g * (1 - out * out),)),
        Operation("sigmoid", special.expit, (lambda g, out, x: g * (out * (1 - out)),)),
        Operation("softplus", _softplus, (lambda g, out, x: g * sigmoid(x),)),
        Operation("erf", special.erf,
                  (lambda g, out, x: g * (TWO_OVER_ROOT_PI * exp(-(x * x))),)),
        Operation("relu", lambda x: np.maximum(x, 0), (lambda g, out, x: where(x > 0, g, 0.0),)),
        Operation("abs", np.abs, (lambda g, out, x: g * sign(x),)),
        Operation("sign", np.sign, (None,)),
        Operation("maximum", np.maximum,
                  (lambda g, out, x, y: where(x > y, g, 0.0),
                   lambda g, out, x, y: where(x > y, 0.0, g))),
        Operation("minimum", np.minimum,
                  (lambda g, out, x, y: where(x < y, g, 0.0),
                   lambda g, out, x, y: where(x < y, 0.0, g))),
        Operation("where", lambda c, x, y: np.where(np.asarray(c) != 0, x, y),
                  (None, lambda g, out, c, x, y: where(c, g, 0.0),
                   lambda g, out, c, x, y: where(c, 0.0, g))),
        Operation("less", lambda x, y: np.less(x, y) * 1.0, (None, None)),
        Operation("less_equal", lambda x, y: np.less_equal(x, y) * 1.0, (None, None)),
        Operation("equal", lambda x, y: np.equal(x, y) * 1.0, (None, None)),
        Operation("sum", lambda x, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
                  (_sum_back,), NUMBER),
        Operation("spread", _spread,
                  (lambda g, out, x, axis, keepdims, shape: sum(g, axis, keepdims),), ROW),
        Operation("logsumexp", _logsumexp,
                  (lambda g, out, x, axis, keepdims: (
                      _sum_back(g, out, x, axis, keepdims)
                      * exp(x - _sum_back(out, out, x, axis, keepdims))),), NUMBER),
        Operation("item", lambda x, index: x[index], (_item_back,), NUMBER),
        Operation("place", _place, (lambda g, out, x, index, shape: g[index],), ROW),
    )
}  # fmt: skip


def add(x, y):
    """x + y."""
    return apply("add", x, y)


def subtract(x, y):
    """x - y."""
    return apply("subtract", x, y)


def multiply(x, y):
    """x y."""
    return apply("multiply", x, y)


def divide(x, y):
    """x / y."""
    return apply("divide", x, y)


def power(x, y):
    """x ** y."""
    return apply("power", x, y)


def negative(x):
    """-x."""
    return apply("negative", x)


def exp(x):
    """e ** x."""
    return apply("exp", x)


def expm1(x):
    """e ** x - 1, exact for small x."""
    return apply("expm1", x)


def log(x):
    """The natural logarithm of x."""
    return apply("log", x)


def log1p(x):
    """log(1 + x), exact for small x."""
    return apply("log1p", x)


def sqrt(x):
    """The square root of x."""
    return apply("sqrt", x)


def sin(x):
    """The sine of x, in radians."""
    return apply("sin", x)


def cos(x):
    """The cosine of x, in radians."""
    return apply("cos", x)


def sinh(x):
    """(exp(x) - exp(-x)) / 2."""
    return apply("sinh", x)


def cosh(x):
    """(exp(x) + exp(-x)) / 2."""
    return apply("cosh", x)


def tanh(x):
    """sinh(x) / cosh(x)."""
    return apply("tanh", x)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return apply("sigmoid", x)


def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return apply("softplus", x)


def erf(x):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return apply("erf", x)


def relu(x):
    """max(x, 0)."""
    return apply("relu", x)


def abs(x):
    """x without its sign."""
    return apply("abs", x)


def sign(x):
    """-1, 0 or 1; its derivative is 0 everywhere."""
    return apply("sign", x)


def maximum(x, y):
    """The larger of x and y."""
    return apply("maximum", x, y)


def minimum(x, y):
    """The smaller of x and y."""
    return apply("minimum", x, y)


def clip(x, low, high):
    """x, but at least `low` and at most `high`."""
    return where(x < low, low, where(high < x, high, x))


def where(condition, x, y):
    """x where the condition holds, else y: the `if` of a graph. Both are computed everywhere."""
    return apply("where", condition, x, y)


def less(x, y):
    """1 where x < y, else 0."""
    return apply("less", x, y)


def less_equal(x, y):
    """1 where x <= y, else 0."""
    return apply("less_equal", x, y)


def equal(x, y):
    """1 where x = y, else 0."""
    return apply("equal", x, y)


def sum(x, axis=None, keepdims=False):
    """The sum along an axis, or of all; of a row of symbols, over its columns."""
    return apply("sum", x, axis=axis, keepdims=keepdims)


def mean(x, axis=None, keepdims=False):
    """The mean along an axis, or of all; of a row of symbols, over its columns."""
    if isinstance(x, Variable) and x.value is None:
        return sum(x, axis, keepdims) / (COLUMNS if x.shape == ROW else 1.0)
    shape = _shape(x)
    count = np.prod(shape if axis is None else np.take(shape, axis))
    return sum(x, axis, keepdims) / float(count)


def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) along an axis, or of all, without overflow."""
    return apply("logsumexp", x, axis=axis, keepdims=keepdims)


# The number of columns of a row of symbols, which is known once the formula is compiled.
COLUMNS = Variable._symbol("columns", NUMBER)
COLUMNS.is_constant = True


FUNCTIONS = (add, subtract, multiply, divide, power, negative, exp, expm1, log, log1p, sqrt, sin,
             cos, sinh, cosh, tanh, sigmoid, softplus, erf, relu, abs, sign, maximum, minimum, clip,
             where, less, less_equal, equal, sum, mean, logsumexp)  # fmt: skip
UFUNCS = {function.__name__: function for function in FUNCTIONS} | {
    "true_divide": divide, "expit": sigmoid, "absolute": abs, "fabs": abs,
    "greater": lambda x, y: less(y, x), "greater_equal": lambda x, y: less_equal(y, x),
    "not_equal": lambda x, y: 1 - equal(x, y), "square": lambda x: multiply(x, x),
    "reciprocal": lambda x: divide(1.0, x),
}  # fmt: skip
WAY_OUT = (
    "Of fastbp.graph there are " + ", ".join(function.__name__ for function in FUNCTIONS)
    + "; where(condition, x, y) takes the place of an `if`, and primitive(forward, backward) makes "
    "an operation of your own for graphs that run in Python."
)
