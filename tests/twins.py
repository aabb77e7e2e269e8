"""Every built-in activation, link and loss, written again with fastbp.graph and with PyTorch.

One entry for each name. The functions of PyTorch get `torch.nn.functional`, so that this file can
be imported where PyTorch is not installed. Formulas in NumPy, with derivatives, are in oracle.py.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import oracle
from fastbp import graph as fg


class Twin(NamedTuple):
    graph: Callable | None  # of z; a loss of the raw predictions and the targets
    torch: Callable  # of torch.nn.functional and z; a loss of predictions and targets
    of_raw: bool = False  # the loss of PyTorch takes raw predictions
    parameters: Mapping[str, Any] = MappingProxyType({})  # with which the built-in equals `graph`


# PyTorch's softplus is linear from a threshold on, and its hardsigmoid has the slope 1 / 6 of
# float32 in float64 too. It has no step with a straight-through gradient, and fastbp.graph neither.
ACTIVATIONS = {
    "identity": Twin(lambda z: 1.0 * z, lambda F, z: z),
    "logistic": Twin(fg.sigmoid, lambda F, z: z.sigmoid()),
    "tanh": Twin(fg.tanh, lambda F, z: z.tanh()),
    "relu": Twin(fg.relu, lambda F, z: F.relu(z)),
    "leaky_relu": Twin(lambda z: fg.where(z > 0, z, 0.01 * z), lambda F, z: F.leaky_relu(z, 0.01)),
    "elu": Twin(lambda z: fg.where(z > 0, z, fg.expm1(fg.minimum(z, 0))), lambda F, z: F.elu(z)),
    "selu": Twin(
        lambda z: oracle.SCALE * fg.where(z > 0, z, oracle.ALPHA * fg.expm1(fg.minimum(z, 0))),
        lambda F, z: F.selu(z),
    ),
    "softplus": Twin(fg.softplus, lambda F, z: F.softplus(z, threshold=100)),
    "hard_sigmoid": Twin(
        lambda z: fg.clip(z / 6 + 0.5, 0, 1), lambda F, z: (z / 6 + 0.5).clamp(0, 1)
    ),
    "step": Twin(None, lambda F, z: (z > 0) + z - z.detach()),
    "gelu": Twin(lambda z: 0.5 * z * (1 + fg.erf(z / 2**0.5)), lambda F, z: F.gelu(z)),
    "gelu_tanh": Twin(
        lambda z: 0.5 * z * (1 + fg.tanh(oracle.ROOT * (z + 0.044715 * z**3))),
        lambda F, z: F.gelu(z, approximate="tanh"),
    ),
    "silu": Twin(lambda z: z * fg.sigmoid(z), lambda F, z: F.silu(z)),
    "mish": Twin(lambda z: z * fg.tanh(fg.softplus(z)), lambda F, z: F.mish(z)),
}

LINKS = {
    "identity": Twin(lambda z: z, lambda F, z: z),
    "exp": Twin(fg.exp, lambda F, z: z.exp()),
    "logistic": Twin(fg.sigmoid, lambda F, z: z.sigmoid()),
    "softplus": Twin(fg.softplus, lambda F, z: F.softplus(z, threshold=100)),
    "softmax": Twin(lambda z: fg.exp(z - fg.logsumexp(z)), lambda F, z: z.softmax(dim=1)),
}


def huber(raw, y):
    error, threshold = fg.abs(raw - y), oracle.THRESHOLD
    return fg.where(error <= threshold, 0.5 * error**2, threshold * (error - 0.5 * threshold))


def pinball(F, p, y):
    q = y.new_tensor(oracle.levels(p))
    return (q * (y - p)).maximum((q - 1) * (y - p))


def tweedie(raw, y, exp=fg.exp):
    """Without its constant, which depends on y alone."""
    q = oracle.POWER
    return exp((2 - q) * raw) / (2 - q) - y * exp((1 - q) * raw) / (1 - q)


def tweedie_of_torch(F, z, y, q=oracle.POWER):
    return y ** (2 - q) / ((1 - q) * (2 - q)) + tweedie(z, y, lambda x: x.exp())


# Those of fastbp.graph are without the constants that depend on y alone.
LOSSES = {
    "squared_error": Twin(
        lambda raw, y: 0.5 * (raw - y) ** 2,
        lambda F, p, y: F.mse_loss(p, y, reduction="none") / 2,
    ),
    "absolute_error": Twin(
        lambda raw, y: fg.abs(raw - y), lambda F, p, y: F.l1_loss(p, y, reduction="none")
    ),
    "huber": Twin(
        huber,
        lambda F, p, y: F.huber_loss(p, y, delta=oracle.THRESHOLD, reduction="none"),
        parameters={"huber_threshold": oracle.THRESHOLD},
    ),
    "quantile": Twin(
        lambda raw, y: fg.maximum(0.8 * (y - raw), 0.2 * (raw - y)),
        pinball,
        parameters={"quantile": 0.8},
    ),
    "log_cosh": Twin(lambda raw, y: fg.log(fg.cosh(raw - y)), lambda F, p, y: (p - y).cosh().log()),
    "poisson": Twin(
        lambda raw, y: fg.exp(raw) - y * raw,
        lambda F, z, y: F.poisson_nll_loss(z, y, log_input=True, reduction="none") + y.xlogy(y) - y,
        of_raw=True,
    ),
    "gamma": Twin(
        lambda raw, y: raw + y * fg.exp(-raw),
        lambda F, z, y: z - y.log() + y * (-z).exp() - 1,
        of_raw=True,
    ),
    "tweedie": Twin(
        tweedie, tweedie_of_torch, of_raw=True, parameters={"tweedie_power": oracle.POWER}
    ),
    "binary_log_loss": Twin(
        lambda raw, y: fg.softplus(raw) - y * raw,
        lambda F, z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"),
        of_raw=True,
    ),
    "log_loss": Twin(
        lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
        lambda F, z, y: F.cross_entropy(z, y, reduction="none")[:, None],
        of_raw=True,
    ),
}
