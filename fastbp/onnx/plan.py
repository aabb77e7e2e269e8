"""What an export is made of: inputs, outputs, and the function that writes the graph between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.onnx.graph import Graph, Tensor


class Input(NamedTuple):
    """An input of a graph.

    Parameters
    ----------
    name : str
    dtype : dtype
        Object is that of strings.
    width : int
        The number of columns.
    """

    name: str
    dtype: np.dtype[Any]
    width: int


class Output(NamedTuple):
    """An output of a graph.

    Parameters
    ----------
    name : str
        The name that users see.
    tensor : Tensor
    shape : list of int
        Without the rows.
    classes : ndarray or None
        Of the columns of probabilities.
    """

    name: str
    tensor: Tensor
    shape: list[int]
    classes: NDArray[Any] | None = None


Write: TypeAlias = Callable[[Graph, Sequence[Tensor]], list[Output]]


class Export(NamedTuple):
    """A fitted model that was read and checked, before anything is written.

    Parameters
    ----------
    inputs : list of Input
    write : callable
        Writes the graph from the tensors of the inputs, and gives the outputs.
    """

    inputs: list[Input]
    write: Write
