"""Activations of hidden layers, by name or traced; and links, from raw predictions to predictions.

In ONNX the operators with these names came late, and ONNX Runtime has them of floats alone. So all
are written with elementary ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp.onnx import functions
from fastbp.onnx.functions import erf, exp, expm1, logistic, relu, softplus, tanh
from fastbp.onnx.graph import Tensor, where

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
ROOT_HALF, GELU_RATE, GELU_CUBE = 0.7071067811865476, 0.7978845608028654, 0.044715


def _elu(z: Tensor, scale: float, alpha: float) -> Tensor:
    return where(z > 0.0, z * scale, expm1(z.op("Min", 0.0)) * (scale * alpha))


def _step(z: Tensor) -> Tensor:
    return (z > 0.0).cast(z.dtype)


def _gelu(z: Tensor) -> Tensor:
    return z * (erf(z * ROOT_HALF) * 0.5 + 0.5)


def _gelu_tanh(z: Tensor) -> Tensor:
    """z (1 + tanh(t)) / 2 = z logistic(2 t); beyond |z| = 100 it is z or 0."""
    square = (z * z).op("Min", 1e4) * GELU_CUBE
    return z / (exp((square * z + z) * (-2 * GELU_RATE)) + 1.0)


def _silu(z: Tensor) -> Tensor:
    return z / (exp(-z) + 1.0)


def _mish(z: Tensor) -> Tensor:
    """z tanh(log(1 + e)) = z m / (m + 2) with e = exp(z), m = e (e + 2); beyond 40 it is z."""
    e = exp(z.op("Min", 40.0))
    m = e * (e + 2.0)
    return z * (m / (m + 2.0))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "logistic": logistic,
    "tanh": tanh,
    "relu": relu,
    "leaky_relu": lambda z: z.op("Max", z * 0.01),
    "elu": lambda z: _elu(z, 1.0, 1.0),
    "selu": lambda z: _elu(z, SELU_SCALE, SELU_ALPHA),
    "softplus": softplus,
    "hard_sigmoid": lambda z: ((z + 3.0) / 6.0).op("Max", 0.0).op("Min", 1.0),
    "step": _step,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
}
LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "exp": exp,
    "logistic": logistic,
    "softplus": softplus,
    "softmax": lambda z: z.op("Softmax", axis=1),
    "relu": relu,
    "tanh": tanh,
}

# Of the operations of `fastbp.graph`: those that ONNX has under another name, and the others.
SAME = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "negative": "Neg",
    "abs": "Abs",
    "sign": "Sign",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "sin": "Sin",
    "cos": "Cos",
    "tanh": "Tanh",
    "relu": "Relu",
    "maximum": "Max",
    "minimum": "Min",
}
OTHERS: dict[str, Callable[..., Tensor]] = {
    "expm1": expm1,
    "log1p": functions.log1p,
    "sinh": functions.sinh,
    "cosh": functions.cosh,
    "sigmoid": logistic,
    "softplus": softplus,
    "erf": erf,
    "less": lambda x, y: (x < y).cast(x.dtype),
    "less_equal": lambda x, y: (x <= y).cast(x.dtype),
    "equal": lambda x, y: x.equals(y).cast(x.dtype),
    "where": lambda condition, x, y: where(condition.equals(0.0).op("Not", dtype=np.bool_), x, y),
}


def activation(function: Any, z: Tensor) -> Tensor:
    """The activation of a layer: a name, or an Expression."""
    if isinstance(function, str):
        return ACTIVATIONS[function](z)
    results: list[Tensor] = []
    for name, numbers, option in function.steps:
        inputs = [results[number] for number in numbers]
        if name == "input":
            results.append(z)
        elif name == "constant":
            results.append(z.like(option))
        elif name in SAME:
            results.append(inputs[0].op(SAME[name], *inputs[1:]))
        elif name in OTHERS:
            results.append(OTHERS[name](*inputs))
        else:
            raise ValueError(f"the activation {function} has {name!r}, which has no ONNX graph.")
    return results[-1]
