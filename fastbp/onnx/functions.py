"""Functions that ONNX does not have, or that ONNX Runtime does not have in double.

Written with operators that ONNX Runtime has in both precisions, so that the error is a few units in
the last place. ONNX Runtime's Sigmoid loses the relative precision of small results.
"""

from __future__ import annotations

import numpy as np

from fastbp.onnx.graph import Tensor, where

# erf(x) = x + x p(x^2) for |x| < 1, else 1 - exp(q(|x| - 1)): the core's own, highest power first.
ERF_NEAR = (
    -7.779465445261772e-10,
    1.3710978512408646e-08,
    -1.6206313254516387e-07,
    1.6447131494882777e-06,
    -1.4924712294752659e-05,
    0.00012055293576450545,
    -0.0008548325929296111,
    0.005223977606117989,
    -0.02686617064311139,
    0.11283791670944184,
    -0.3761263890318352,
    0.12837916709551256,
)
LOG_ERFC = (
    -4.928673451366764e-12,
    1.2071098049909277e-10,
    -1.3326272641360317e-09,
    8.597186690930935e-09,
    -3.36923726870574e-08,
    5.8820347479546355e-08,
    2.0324766245405557e-07,
    -2.12972955083471e-06,
    9.669086349996184e-06,
    -2.7197239553374442e-05,
    2.6295381949835703e-05,
    0.00023731679778249382,
    -0.0019779013106687297,
    0.010033825195109222,
    -0.04156109802667743,
    -0.8431072563593307,
    -2.6389675142347775,
    -1.8496055099332482,
)
ERF_IS_ONE = 5.95


def exp(x: Tensor) -> Tensor:
    """e ** x."""
    return x.op("Exp")


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)), with a small relative error everywhere."""
    return 1.0 / (exp(-x) + 1.0)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return x.op("Tanh")


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return x.op("Relu")


def expm1(x: Tensor) -> Tensor:
    """exp(x) - 1: tanh(x / 2) (exp(x) + 1) near 0, where the difference loses digits.

    Beyond it, the difference has the smaller absolute error.
    """
    power = exp(x)
    return where(abs(x) < 0.2, tanh(x * 0.5) * (power + 1.0), power - 1.0)


def log1p(x: Tensor) -> Tensor:
    """log(u) + (x - (u - 1)) / u with u = 1 + x: the last term restores the error of u."""
    u = x + 1.0
    lost = (x - (u - 1.0)) / u
    return u.op("Log") + where(lost.op("IsNaN", dtype=np.bool_), 0.0, lost)


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    return relu(x) + log1p(exp(-abs(x)))


def cosh(x: Tensor) -> Tensor:
    """(exp(x) + exp(-x)) / 2."""
    return (exp(x) + exp(-x)) * 0.5


def sinh(x: Tensor) -> Tensor:
    """tanh(x / 2) (1 + cosh(x))."""
    return tanh(x * 0.5) * (cosh(x) + 1.0)


def erf(x: Tensor) -> Tensor:
    """The error function: ONNX Runtime has it of floats alone."""
    if x.dtype == np.float32:
        return x.op("Erf")
    size = abs(x)
    near = x * _polynomial(ERF_NEAR, (size * size).op("Min", 1.0)) + x
    far = (1.0 - exp(_polynomial(LOG_ERFC, size.op("Min", ERF_IS_ONE) - 1.0))) * x.op("Sign")
    return where(size < 1.0, near, far)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    """The value of a polynomial, whose highest power comes first."""
    first, *others = coefficients
    value = x * first
    for coefficient in others[:-1]:
        value = (value + coefficient) * x
    return value + others[-1]
