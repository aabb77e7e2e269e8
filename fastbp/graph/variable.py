"""Variables: the nodes of computational graphs that run in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import count
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike

from fastbp.graph import operations, pictures
from fastbp.graph.operations import NUMBER, ROW, Axis, Node, Operand, Operation, Shape
from fastbp.graph.reverse import Adjoint, input_adjoints, sweep, topological_order

# NumPy's ufuncs that Variables support, by name. Operators are ufuncs, too.
UFUNCS: dict[str, Callable[..., Any]] = {
    **operations.FUNCTIONS,
    "true_divide": operations.divide,
    "absolute": operations.absolute,
    "fabs": operations.absolute,
    "expit": operations.sigmoid,
    "positive": lambda x: x,
    "square": lambda x: operations.multiply(x, x),
    "reciprocal": lambda x: operations.divide(1.0, x),
    "greater": lambda x, y: operations.less(y, x),
    "greater_equal": lambda x, y: operations.less_equal(y, x),
    "not_equal": lambda x, y: 1 - operations.equal(x, y),
    "bitwise_and": operations.multiply,  # conditions are 0 and 1
    "bitwise_or": operations.maximum,
    "invert": lambda x: 1 - x,
}
# NumPy's other functions that Variables support, with those of its arguments that we have.
ARRAY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda x, axis=None, *, keepdims=False: operations.total(x, axis, keepdims),
    "mean": lambda x, axis=None, *, keepdims=False: operations.mean(x, axis, keepdims),
    "where": operations.where,
    "clip": operations.clip,
}
WAY_OUT = (
    f"Of fastbp.graph there are {', '.join(sorted(operations.FUNCTIONS))}; "
    "where(condition, x, y) takes the place of an `if`, and primitive(forward, backward) makes an "
    "operation of your own for graphs that run in Python."
)
_clock = count()  # tells which of two values is older


class Variable(NDArrayOperatorsMixin, Node):
    """A node of a graph: an input that can be set, or the result of an operation.

    It supports + - * / ** and comparisons, indices, the functions of `fastbp.graph` and NumPy's
    functions of the same names.

    Parameters
    ----------
    value : float or array-like
        Its value, copied as float64.
    name : str, default=None
        Label in pictures.

    Attributes
    ----------
    value : float or ndarray
        The value of an input can be set; `forward` then updates the results.
    grad : float, ndarray or None
        Derivative of the scalar whose `backward` ran last, with the shape of `value`.

    Examples
    --------
    >>> from fastbp import graph as fg
    >>> x, y = fg.Variable(3.0), fg.Variable(4.0)
    >>> z = (x + y) ** 2
    >>> z.backward()
    >>> print(x.grad)
    14.0
    >>> x.value = 1.0
    >>> print(z.forward())
    25.0
    """

    operation: Operation | None = None
    inputs: tuple[Variable, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012
    name: str | None = None
    grad: Any = None
    is_constant = False
    _value: Any
    _shape: Shape
    _time: int
    _adjoint: Adjoint | None = None

    def __init__(self, value: ArrayLike, name: str | None = None) -> None:
        self.name = name
        self.value = value

    @classmethod
    def _result(
        cls, operation: Operation, inputs: Sequence[Any], options: dict[str, Any]
    ) -> Variable:
        node = object.__new__(cls)
        node.operation, node.options = operation, options
        node.inputs = tuple(constant(i) for i in inputs)
        node.is_constant = all(i.is_constant for i in node.inputs)
        if any(i._value is None for i in node.inputs):
            wide = any(i.shape != NUMBER for i in node.inputs)
            node._value = None
            node._shape = (
                operation.shape if operation.shape is not None else (ROW if wide else NUMBER)
            )
        else:
            node._evaluate()
        return node

    @classmethod
    def _symbol(cls, name: str, shape: Shape) -> Variable:
        """An input without a value, for tracing."""
        node = object.__new__(cls)
        node.name, node._value, node._shape = name, None, shape
        return node

    def _set(self, value: ArrayLike) -> None:
        self._value, self._time = _plain(value), next(_clock)
        self._shape = np.shape(self._value)

    def _evaluate(self) -> None:
        """Compute the value of a result from those of its inputs."""
        if self.operation is None:
            return
        self._set(self.operation.value(*(i._value for i in self.inputs), **self.options))
        if self._shape:  # only inputs can be set
            self._value.flags.writeable = False

    @property
    def value(self) -> Any:
        if self._value is None:
            raise TypeError(
                "a function that is traced is called with symbols, which have no value yet: what "
                "depends on a value has to be written with the functions of fastbp.graph, as "
                "where(condition, x, y)"
            )
        return self._value

    @value.setter
    def value(self, value: ArrayLike) -> None:
        if self.operation is not None:
            raise AttributeError(
                f"this Variable is the result of {self.operation.name!r}: set the inputs, and call "
                "forward()"
            )
        self._set(value)

    @property
    def shape(self) -> Shape:
        """The shape of the value."""
        return self._shape

    def forward(self) -> Any:
        """Recompute this node and all nodes that it depends on, after inputs were set.

        Returns
        -------
        float or ndarray
            The value of this node.
        """
        for node in topological_order(self):
            node._evaluate()
            node.grad = node._adjoint = None
        return self.value

    def backward(self) -> None:
        """Set `grad` of this node and of all nodes that it depends on.

        Raises
        ------
        ValueError
            If the value is not a scalar, or if inputs were set after it was computed.
        """
        if self._shape != NUMBER:
            raise ValueError(
                f"backward() begins at a scalar, but this result has shape {self._shape}: take its "
                "sum or its mean first"
            )
        nodes = topological_order(self)
        if any(i._time > node._time for node in nodes for i in node.inputs):
            raise ValueError("inputs were set after this result was computed: call forward() first")
        with np.errstate(all="ignore"):  # grad shows infinite derivatives
            adjoints = sweep(nodes, lambda node: node._value)
            for node in nodes:
                node._adjoint = adjoints.get(node)
                node.grad = _plain(
                    node._adjoint.masked() if node in adjoints else np.zeros(node._shape)
                )

    def to_mermaid(self) -> str:
        """The graph as Mermaid text, with values and derivatives on its edges."""
        return pictures.mermaid(*_drawn(topological_order(self)))

    def to_dot(self) -> str:
        """The graph as Graphviz text, with values and derivatives on its edges."""
        return pictures.dot(*_drawn(topological_order(self)))

    def _repr_svg_(self) -> str | None:
        nodes = topological_order(self)
        return pictures.svg(*_drawn(nodes)) if len(nodes) <= pictures.MOST_NODES else None

    def __repr__(self) -> str:
        what = self.name or (self.operation.name if self.operation else "")
        what = f", {what!r}" if what else ""
        return f"Variable({'a formula' if self._value is None else self._value}{what})"

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Variable:
        """The sum along an axis, or of all numbers."""
        result: Variable = operations.total(self, axis, keepdims)
        return result

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Variable:
        """The mean along an axis, or of all numbers."""
        result: Variable = operations.mean(self, axis, keepdims)
        return result

    def __getitem__(self, index: Any) -> Variable:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, Variable) for part in parts):
            raise TypeError(
                "an index is made of numbers, and a Variable is none: use where(condition, x, y)"
            )
        # A copy, since the caller may change an index array later.
        item: Variable = operations.apply("item", self, index=deepcopy(index))
        return item

    __hash__ = object.__hash__  # == makes a node

    # NDArrayOperatorsMixin turns operators into ufuncs, and NumPy calls this method for ufuncs.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        function = UFUNCS.get(ufunc.__name__)
        if method != "__call__" or function is None:
            how = "" if method == "__call__" else f".{method}"
            raise TypeError(f"there is no derivative of np.{ufunc.__name__}{how}. {WAY_OUT}")
        if options and not (list(options) == ["out"] and options["out"][0] is inputs[0]):  # x += y
            raise TypeError(f"np.{ufunc.__name__} of Variables takes no {', '.join(options)}")
        return function(*inputs)

    def __array_function__(
        self, function: Any, types: Any, inputs: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        ours = ARRAY_FUNCTIONS.get(function.__name__)
        if ours is None:
            raise TypeError(f"there is no derivative of np.{function.__name__}. {WAY_OUT}")
        return ours(*inputs, **options)

    # Conversions that would silently take the value out of the graph are errors.

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a Variable is neither true nor false while a graph is made, so that `if`, `and`, "
            "`or`, `not` and chained comparisons cannot ask it: use where(condition, x, y), &, | "
            "and ~"
        )

    def __float__(self) -> NoReturn:
        raise TypeError(
            "a Variable is not a number: functions of `math`, float() and int() cannot take it. "
            f"Outside a graph its number is .value. {WAY_OUT}"
        )

    __int__ = __index__ = __float__

    def __iter__(self) -> NoReturn:
        raise TypeError("a Variable cannot be unpacked: write x[0], x[1]")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise TypeError("a Variable is not an array: its array is .value")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Variable has no {name!r}. {WAY_OUT}")


def _drawn(nodes: Sequence[Variable]) -> tuple[list[pictures.Node], list[pictures.Edge]]:
    """These nodes, the result last, and their edges, in the format of pictures.py."""
    number = {node: k for k, node in enumerate(nodes)}
    labels, edges = [], []
    for node in nodes:
        operation = node.operation
        label = pictures.SYMBOLS.get(operation.name, operation.name) if operation else node.name
        if label is None:
            label = pictures.shown(node._value) if node.is_constant else "input"
        labels.append((label, operation is not None))
        grads = [None] * len(node.inputs)
        if node._adjoint is not None:
            with np.errstate(all="ignore"):
                adjoints = input_adjoints(node, node._adjoint, lambda node: node._value)
                grads = [part and part.masked() for part in adjoints]
        edges += [
            (number[i], number[node], i._value, grad)
            for i, grad in zip(node.inputs, grads, strict=True)
        ]
    return labels, [*edges, (number[nodes[-1]], None, nodes[-1]._value, nodes[-1].grad)]


def _plain(value: Any) -> Any:
    """A float64 copy of the value: an array, or a NumPy scalar."""
    if isinstance(value, Variable):
        raise TypeError("the value of a Variable is a number or an array, not a Variable")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"the value of a Variable is a number or an array of them, got {value!r}")
    return array.astype(np.float64)[()]


def constant(value: Any) -> Variable:
    """A node of a fixed value, without a derivative. A Variable is returned as it is."""
    if isinstance(value, Variable):
        return value
    node = Variable(value)
    node.is_constant = True
    return node


def primitive(
    forward: Callable[..., Any], backward: Callable[..., Any], name: str | None = None
) -> Callable[..., Variable]:
    """A new operation, from its value and its derivatives, for graphs that run in Python.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)`` returns the value. Its inputs are numbers and read-only arrays.
    backward : callable
        ``backward(grad, output, *inputs)`` returns the derivatives of the result with respect to
        the inputs, in a tuple (or alone, if there is one input). Each has the shape of its input;
        None means zero. `grad` is the derivative with respect to `output`; `backward` may overwrite
        it.
    name : str, default=None
        Name in pictures and messages. None: the name of `forward`.

    Returns
    -------
    callable
        A function of Variables, numbers and arrays that returns a Variable.

    Examples
    --------
    >>> from fastbp import graph as fg
    >>> multiply = fg.primitive(
    ...     lambda x, y: x * y, lambda grad, output, x, y: (grad * y, grad * x), "multiply"
    ... )
    >>> x = fg.Variable(3.0)
    >>> z = multiply(x, 4.0)
    >>> z.backward()
    >>> print(x.grad)
    4.0
    """
    label = str(name or getattr(forward, "__name__", "primitive"))

    def value(*inputs: Any) -> Any:
        return forward(*map(_read_only, inputs))

    def joint(grad: Any, output: Any, *inputs: Any) -> Sequence[Any]:
        back = backward(np.array(grad)[()], output, *map(_read_only, inputs))
        back = back if isinstance(back, tuple | list) else (back,)
        if len(back) != len(inputs):
            raise ValueError(
                f"the backward of {label!r} gave {len(back)} derivatives for {len(inputs)} inputs"
            )
        for i, (part, given) in enumerate(zip(back, inputs, strict=True)):
            if part is not None and np.shape(part) != np.shape(given):
                raise ValueError(
                    f"the backward of {label!r} gave a derivative of shape {np.shape(part)} for "
                    f"input {i} of shape {np.shape(given)}"
                )
        return back

    operation = Operation(label, value, joint=joint)

    def function(*inputs: Operand) -> Variable:
        return Variable._result(operation, inputs, {})

    function.__name__ = function.__qualname__ = label
    function.__doc__ = forward.__doc__
    return function


def _read_only(value: Any) -> Any:
    """A read-only view of the value."""
    if not np.ndim(value):
        return value
    view = value.view()
    view.flags.writeable = False
    return view
