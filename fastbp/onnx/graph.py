"""Graphs of ONNX that are being written: tensors, whose operators add nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastbp.onnx.package import element_type, onnx_package

ML = "ai.onnx.ml"  # the domain of the operators that are not those of tensors
BOOL, INTEGER = np.dtype(np.bool_), np.dtype(np.int64)


class Names:
    """Gives names that are not taken yet.

    Parameters
    ----------
    taken : iterable of str
    """

    def __init__(self, taken: Sequence[str] = ()) -> None:
        self.taken = set(taken)

    def __call__(self, wanted: str) -> str:
        """The name `wanted`, with a number if it is taken."""
        name, number = wanted, 0
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name


class Graph:
    """A graph that is being written.

    Parameters
    ----------
    new_name : callable
        Gives a name that is not taken yet, from a wanted one.
    nodes, constants : list
        Nodes and tensors of the package onnx are appended to them.

    Attributes
    ----------
    domains : set of str
        The domains of the operators so far.
    """

    def __init__(
        self,
        new_name: Callable[[str], str],
        nodes: list[Any] | None = None,
        constants: list[Any] | None = None,
    ) -> None:
        self.new_name = new_name
        self.nodes: list[Any] = [] if nodes is None else nodes
        self.constants: list[Any] = [] if constants is None else constants
        self.domains = {""}
        self.known: dict[Any, Tensor] = {}  # equal constants are written once

    def node(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        dtype: DTypeLike,
        *,
        name: str = "",
        domain: str = "",
        **attributes: Any,
    ) -> Tensor:
        """The result of a new node; its name is a new one, unless it is given."""
        name = name or self.new_name(f"fastbp_{kind}")
        names = [tensor.name for tensor in inputs]
        make_node = onnx_package().helper.make_node
        node = make_node(kind, names, [name], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        self.domains.add(domain)
        return Tensor(self, name, dtype)

    def constant(self, value: ArrayLike, dtype: DTypeLike) -> Tensor:
        """A constant; dtype object is that of strings."""
        array = np.asarray(value, dtype)
        content = tuple(array.ravel()) if array.dtype.kind == "O" else array.tobytes()
        key = array.dtype.str, array.shape, content
        if key not in self.known:
            name = self.new_name("fastbp_constant")
            self.constants.append(onnx_package().numpy_helper.from_array(array, name))
            self.known[key] = Tensor(self, name, array.dtype)
        return self.known[key]

    def integers(self, *values: int) -> Tensor:
        """A constant of one dimension: axes, places or a shape."""
        return self.constant(values, INTEGER)

    def concat(self, tensors: Sequence[Tensor]) -> Tensor:
        """Tensors side by side."""
        if len(tensors) == 1:
            return tensors[0]
        return self.node("Concat", tensors, tensors[0].dtype, axis=1)

    def total(self, tensors: Sequence[Tensor]) -> Tensor:
        """The sum of several tensors, the first ones first."""
        return tensors[0] if len(tensors) == 1 else self.node("Sum", tensors, tensors[0].dtype)

    def mean(self, tensors: Sequence[Tensor]) -> Tensor:
        """The mean of several tensors."""
        return tensors[0] if len(tensors) == 1 else self.total(tensors) / len(tensors)


class Tensor:
    """A tensor of a graph that is being written. Arithmetic adds nodes to the graph.

    Parameters
    ----------
    graph : Graph
    name : str
    dtype : dtype
        Object is that of strings.
    """

    def __init__(self, graph: Graph, name: str, dtype: DTypeLike) -> None:
        self.graph, self.name, self.dtype = graph, name, np.dtype(dtype)

    def op(self, kind: str, *others: Any, dtype: Any = None, **attributes: Any) -> Tensor:
        """The result of a node whose first input is this tensor.

        Numbers and arrays among `others` become constants of this dtype. The result has it too,
        unless `dtype` is given.
        """
        inputs = [self, *map(self.like, others)]
        dtype = self.dtype if dtype is None else dtype
        return self.graph.node(kind, inputs, dtype, **attributes)

    def like(self, value: Tensor | ArrayLike) -> Tensor:
        """A tensor as it is, or a constant of this dtype."""
        return value if isinstance(value, Tensor) else self.graph.constant(value, self.dtype)

    def cast(self, dtype: DTypeLike) -> Tensor:
        """The tensor in another dtype."""
        if np.dtype(dtype) == self.dtype:
            return self
        return self.op("Cast", dtype=dtype, to=element_type(dtype))

    def columns(self, first: int, stop: int) -> Tensor:
        """Some columns, side by side."""
        bounds = [self.graph.integers(value) for value in (first, stop, 1)]
        return self.op("Slice", *bounds)

    def take_columns(self, places: NDArray[np.integer]) -> Tensor:
        """The columns at these places."""
        return self.op("Gather", self.graph.integers(*map(int, places)), axis=1)

    def smallest_first(self, n: int, axis: int) -> Tensor:
        """The n numbers along an axis, sorted."""
        rising = self.op("TopK", self.graph.integers(n), axis=axis, largest=0, sorted=1)
        self.graph.nodes[-1].output.append(self.graph.new_name("fastbp_places"))
        return rising

    def __add__(self, other: Any) -> Tensor:
        return self.op("Add", other)

    def __radd__(self, other: Any) -> Tensor:
        return self.like(other).op("Add", self)

    def __sub__(self, other: Any) -> Tensor:
        return self.op("Sub", other)

    def __rsub__(self, other: Any) -> Tensor:
        return self.like(other).op("Sub", self)

    def __mul__(self, other: Any) -> Tensor:
        return self.op("Mul", other)

    def __rmul__(self, other: Any) -> Tensor:
        return self.like(other).op("Mul", self)

    def __truediv__(self, other: Any) -> Tensor:
        return self.op("Div", other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return self.like(other).op("Div", self)

    def __neg__(self) -> Tensor:
        return self.op("Neg")

    def __abs__(self) -> Tensor:
        return self.op("Abs")

    def __lt__(self, other: Any) -> Tensor:
        return self.op("Less", other, dtype=BOOL)

    def __le__(self, other: Any) -> Tensor:
        return self.op("LessOrEqual", other, dtype=BOOL)

    def __gt__(self, other: Any) -> Tensor:
        return self.op("Greater", other, dtype=BOOL)

    def equals(self, other: Any) -> Tensor:
        """Where two tensors are equal."""
        return self.op("Equal", other, dtype=BOOL)


def where(condition: Tensor, x: Tensor | float, y: Tensor | float) -> Tensor:
    """x where the condition holds, else y; one of them is a tensor."""
    tensor = x if isinstance(x, Tensor) else y
    assert isinstance(tensor, Tensor)
    return condition.op("Where", tensor.like(x), tensor.like(y), dtype=tensor.dtype)
