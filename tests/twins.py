"""Every built-in activation, link, loss and optimizer, written again: one entry for each name.

The formulas in NumPy are for the oracle (`oracle.py`), those with fastbp.graph for fits with
functions, those of PyTorch for `make test-torch`. PyTorch's get `torch.nn.functional`, so that this
file can be imported where PyTorch is not installed.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, log_softmax, ndtr, softmax, xlogy

from fastbp import graph as fg


class Activation(NamedTuple):
    f: Callable  # of z, in NumPy
    derivative: Callable
    graph: Callable | None
    torch: Callable  # of torch.nn.functional and z
    has_kinks: bool = False


class Link(NamedTuple):
    f: Callable  # of z, in NumPy
    derivative: Callable | None  # None for softmax, whose outputs depend on each other
    graph: Callable | None
    torch: Callable | None  # of torch.nn.functional and z
    is_trained: bool = True  # whether losses have it


class Loss(NamedTuple):
    """A loss of predictions p, or of raw predictions z, and targets y; one number each."""

    f: Callable  # in NumPy
    derivative: Callable  # by p, or by z
    graph: Callable | None  # of z and y
    torch: Callable  # of torch.nn.functional, p or z, and y
    of_raw: bool = False  # written in z
    link: str = "identity"  # unless another is asked for
    targets: Callable | None = None  # (random, shape) -> targets to try it on; None if all do
    parameters: Mapping[str, Any] = MappingProxyType({})  # of the estimator, for `graph`
    lowered: Callable = lambda outputs: None  # number of outputs -> parameters, as the core's
    per_target: int = 1  # raw predictions of a target


class Optimizer(NamedTuple):
    step: Callable  # (params, grads, state, t, rate, rule): changes params and state in place
    golden: list  # losses of ten steps, each 17 significant digits, of the first release


# ---- activations

SCALE, ALPHA, ROOT = 1.0507009873554805, 1.6732632423543772, (2 / np.pi) ** 0.5


def softplus(z):
    return np.logaddexp(0, z)


def normal(z):
    return ndtr(z), np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


def gelu_tanh(z):
    inner = ROOT * (z + 0.044715 * z**3)
    slope = ROOT * (1 + 3 * 0.044715 * z**2) * (1 - np.tanh(inner) ** 2)
    return (1 + np.tanh(inner)) / 2, slope / 2


# PyTorch's softplus is linear from a threshold on, and its hardsigmoid has the slope 1 / 6 of
# float32 in float64 too. It has no step with a straight-through gradient, and fastbp.graph neither.
ACTIVATIONS = {
    "identity": Activation(
        lambda z: z, lambda z: np.ones_like(z), lambda z: 1.0 * z, lambda F, z: z
    ),
    "logistic": Activation(
        expit, lambda z: expit(z) * expit(-z), fg.sigmoid, lambda F, z: z.sigmoid()
    ),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2, fg.tanh, lambda F, z: z.tanh()),
    "relu": Activation(
        lambda z: np.maximum(z, 0),
        lambda z: (z > 0) * 1.0,
        fg.relu,
        lambda F, z: F.relu(z),
        has_kinks=True,
    ),
    "leaky_relu": Activation(
        lambda z: np.where(z > 0, z, z / 100),
        lambda z: np.where(z > 0, 1, 0.01),
        lambda z: fg.where(z > 0, z, 0.01 * z),
        lambda F, z: F.leaky_relu(z, 0.01),
        has_kinks=True,
    ),
    "elu": Activation(
        lambda z: np.where(z > 0, z, np.expm1(z)),
        lambda z: np.where(z > 0, 1, np.exp(z)),
        lambda z: fg.where(z > 0, z, fg.expm1(fg.minimum(z, 0))),
        lambda F, z: F.elu(z),
    ),
    "selu": Activation(
        lambda z: SCALE * np.where(z > 0, z, ALPHA * np.expm1(z)),
        lambda z: SCALE * np.where(z > 0, 1, ALPHA * np.exp(z)),
        lambda z: SCALE * fg.where(z > 0, z, ALPHA * fg.expm1(fg.minimum(z, 0))),
        lambda F, z: F.selu(z),
        has_kinks=True,
    ),
    "softplus": Activation(softplus, expit, fg.softplus, lambda F, z: F.softplus(z, threshold=100)),
    "hard_sigmoid": Activation(
        lambda z: np.clip(z / 6 + 0.5, 0, 1),
        lambda z: (abs(z) < 3) / 6,
        lambda z: fg.clip(z / 6 + 0.5, 0, 1),
        lambda F, z: (z / 6 + 0.5).clamp(0, 1),
        has_kinks=True,
    ),
    "step": Activation(
        lambda z: np.where(np.isnan(z), z, z > 0),
        lambda z: np.ones_like(z),  # by design
        None,
        lambda F, z: (z > 0) + z - z.detach(),
    ),
    "gelu": Activation(
        lambda z: z * normal(z)[0],
        lambda z: normal(z)[0] + z * normal(z)[1],
        lambda z: 0.5 * z * (1 + fg.erf(z / 2**0.5)),
        lambda F, z: F.gelu(z),
    ),
    "gelu_tanh": Activation(
        lambda z: z * gelu_tanh(z)[0],
        lambda z: gelu_tanh(z)[0] + z * gelu_tanh(z)[1],
        lambda z: 0.5 * z * (1 + fg.tanh(ROOT * (z + 0.044715 * z**3))),
        lambda F, z: F.gelu(z, approximate="tanh"),
    ),
    "silu": Activation(
        lambda z: z * expit(z),
        lambda z: expit(z) * (1 + z * expit(-z)),
        lambda z: z * fg.sigmoid(z),
        lambda F, z: F.silu(z),
    ),
    "mish": Activation(
        lambda z: z * np.tanh(softplus(z)),
        lambda z: np.tanh(softplus(z)) + z * expit(z) / np.cosh(softplus(z)) ** 2,
        lambda z: z * fg.tanh(fg.softplus(z)),
        lambda F, z: F.mish(z),
    ),
}
KINKED = [name for name, twin in ACTIVATIONS.items() if twin.has_kinks]

# ---- links

LINKS = {
    "identity": Link(lambda z: z, lambda z: 1, lambda z: z, lambda F, z: z),
    "exp": Link(np.exp, np.exp, fg.exp, lambda F, z: z.exp()),
    "logistic": Link(expit, lambda z: expit(z) * expit(-z), fg.sigmoid, lambda F, z: z.sigmoid()),
    "softplus": Link(softplus, expit, fg.softplus, lambda F, z: F.softplus(z, threshold=100)),
    "softmax": Link(
        lambda z: softmax(z, axis=1),
        None,
        lambda z: fg.exp(z - fg.logsumexp(z)),
        lambda F, z: z.softmax(dim=1),
    ),
    "grouped_softmax": Link(lambda z: grouped_softmax(z), None, None, None),  # of the loss below
    "relu": Link(*ACTIVATIONS["relu"][:4], is_trained=False),
    "tanh": Link(*ACTIVATIONS["tanh"][:4], is_trained=False),
}
TRAINED_LINKS = [name for name, twin in LINKS.items() if twin.is_trained]

# ---- losses

THRESHOLD, POWER = 0.7, 1.4
LEVELS = np.array([0.1, 0.5, 0.8])  # of the outputs, and again from the first


def levels(p):
    return np.resize(LEVELS, p.shape[1])


def huber(raw, y):
    error = fg.abs(raw - y)
    return fg.where(error <= THRESHOLD, 0.5 * error**2, THRESHOLD * (error - 0.5 * THRESHOLD))


def pinball(F, p, y):
    q = y.new_tensor(levels(p))
    return (q * (y - p)).maximum((q - 1) * (y - p))


def tweedie(raw, y, exp=fg.exp):
    """Without its constant, which depends on y alone."""
    q = POWER
    return exp((2 - q) * raw) / (2 - q) - y * exp((1 - q) * raw) / (1 - q)


def tweedie_constant(y):
    return y ** (2 - POWER) / ((1 - POWER) * (2 - POWER))


def gaussian(z, y):
    """Errors and log variances: z has all means, then these; y has the targets twice."""
    means, log_variances = np.split(z, 2, axis=1)
    return means - np.split(y, 2, axis=1)[0], log_variances


def gaussian_loss(z, y):
    error, v = gaussian(z, y)
    return (v + error**2 * np.exp(-v)) / 2


def gaussian_delta(z, y):
    error, v = gaussian(z, y)
    return np.hstack([error * np.exp(-v), (1 - error**2 * np.exp(-v)) / 2])


def gaussian_nll(F, z, y):
    (means, log_variances), (y, _) = z.chunk(2, dim=1), y.chunk(2, dim=1)
    return F.gaussian_nll_loss(means, y, log_variances.exp(), eps=1e-300, reduction="none")


def counts(random, shape):
    return random.poisson(2.0, shape)


def widths(outputs):
    """The outputs of each of several targets: 1, 3, 4, 1, 3, 4, ...; the last has the rest."""
    ends = np.cumsum(np.resize([1, 3, 4], outputs))
    return np.diff([0, *ends[ends < outputs], outputs])


def blocks(matrix):
    """The columns of each target, of a NumPy array or of PyTorch's."""
    sizes = widths(matrix.shape[1])
    if isinstance(matrix, np.ndarray):
        return np.split(matrix, np.cumsum(sizes)[:-1], axis=1)
    return matrix.split(sizes.tolist(), dim=1)


def grouped(what):
    """A function of z and y: block by block that of the log losses, for one output the binary."""

    def function(z, y):
        pairs = zip(blocks(z), blocks(y), strict=True)
        kinds = {True: LOSSES["binary_log_loss"], False: LOSSES["log_loss"]}
        return np.hstack([getattr(kinds[a.shape[1] == 1], what)(a, b) for a, b in pairs])

    return function


def grouped_cross_entropy(F, z, y):
    """The sum over targets."""
    return sum(
        LOSSES["binary_log_loss" if a.shape[1] == 1 else "log_loss"].torch(F, a, b)
        for a, b in zip(blocks(z), blocks(y), strict=True)
    )


def grouped_softmax(z):
    return np.hstack([expit(a) if a.shape[1] == 1 else softmax(a, axis=1) for a in blocks(z)])


def class_numbers(random, shape):
    sizes = widths(shape[1])
    return np.column_stack([random.randint(0, max(width, 2), shape[0]) for width in sizes])


def shares(random, shape):
    """Rows of probabilities, some of them 0, and some rows with all on one class."""
    y = random.dirichlet(np.full(shape[1], 0.7), shape[0]) * random.randint(0, 4, shape)
    y[::5] = 0
    y[y.sum(axis=1) == 0, -1] = 1
    return y / y.sum(axis=1, keepdims=True)


# Those of fastbp.graph are without the constants that depend on y alone.
LOSSES = {
    "squared_error": Loss(
        lambda p, y: (p - y) ** 2 / 2,
        lambda p, y: p - y,
        lambda raw, y: 0.5 * (raw - y) ** 2,
        lambda F, p, y: F.mse_loss(p, y, reduction="none") / 2,
    ),
    "absolute_error": Loss(
        lambda p, y: abs(p - y),
        lambda p, y: np.sign(p - y),
        lambda raw, y: fg.abs(raw - y),
        lambda F, p, y: F.l1_loss(p, y, reduction="none"),
    ),
    "huber": Loss(
        lambda p, y: np.where(
            abs(p - y) <= THRESHOLD, (p - y) ** 2 / 2, THRESHOLD * (abs(p - y) - THRESHOLD / 2)
        ),
        lambda p, y: np.clip(p - y, -THRESHOLD, THRESHOLD),
        huber,
        lambda F, p, y: F.huber_loss(p, y, delta=THRESHOLD, reduction="none"),
        parameters={"huber_threshold": THRESHOLD},
        lowered=lambda outputs: np.array([THRESHOLD]),
    ),
    "quantile": Loss(
        lambda p, y: np.maximum(levels(p) * (y - p), (1 - levels(p)) * (p - y)),
        lambda p, y: (p > y) - levels(p),
        lambda raw, y: fg.maximum(0.8 * (y - raw), 0.2 * (raw - y)),
        pinball,
        parameters={"quantile": 0.8},
        lowered=lambda outputs: np.resize(LEVELS, outputs),
    ),
    "log_cosh": Loss(
        lambda p, y: abs(p - y) + np.log1p(np.expm1(-2 * abs(p - y)) / 2),
        lambda p, y: np.tanh(p - y),
        lambda raw, y: fg.log(fg.cosh(raw - y)),
        lambda F, p, y: (p - y).cosh().log(),
    ),
    "gaussian": Loss(
        gaussian_loss,
        gaussian_delta,
        lambda raw, y: (raw[1] + (raw[0] - y[0]) ** 2 * fg.exp(-raw[1])) / 2,  # of one target
        gaussian_nll,
        of_raw=True,
        targets=lambda random, shape: np.tile(random.randn(shape[0], shape[1] // 2), 2),
        per_target=2,
    ),
    "poisson": Loss(
        lambda z, y: xlogy(y, y) - y * z - y + np.exp(z),
        lambda z, y: np.exp(z) - y,
        lambda raw, y: fg.exp(raw) - y * raw,
        lambda F, z, y: F.poisson_nll_loss(z, y, log_input=True, reduction="none") + y.xlogy(y) - y,
        of_raw=True,
        link="exp",
        targets=counts,
    ),
    "gamma": Loss(
        lambda z, y: z - np.log(y) + y / np.exp(z) - 1,
        lambda z, y: 1 - y / np.exp(z),
        lambda raw, y: raw + y * fg.exp(-raw),
        lambda F, z, y: z - y.log() + y * (-z).exp() - 1,
        of_raw=True,
        link="exp",
        targets=lambda random, shape: random.gamma(2.0, size=shape),
    ),
    "tweedie": Loss(
        lambda z, y: tweedie_constant(y) + tweedie(z, y, np.exp),
        lambda z, y: np.exp(z) ** (2 - POWER) - y * np.exp(z) ** (1 - POWER),
        tweedie,
        lambda F, z, y: tweedie_constant(y) + tweedie(z, y, lambda x: x.exp()),
        of_raw=True,
        link="exp",
        targets=counts,
        parameters={"tweedie_power": POWER},
        lowered=lambda outputs: np.array([POWER]),
    ),
    "binary_log_loss": Loss(
        lambda z, y: np.logaddexp(0, z) - y * z,
        lambda z, y: expit(z) - y,
        lambda raw, y: fg.softplus(raw) - y * raw,
        lambda F, z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"),
        of_raw=True,
        link="logistic",
    ),
    "log_loss": Loss(
        lambda z, y: -(y * log_softmax(z, axis=1)),
        lambda z, y: softmax(z, axis=1) - y,
        lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
        lambda F, z, y: F.cross_entropy(z, y, reduction="none")[:, None],
        of_raw=True,
        link="softmax",
    ),
    "soft_log_loss": Loss(
        lambda z, y: -(y * log_softmax(z, axis=1)),
        lambda z, y: y.sum(axis=1, keepdims=True) * softmax(z, axis=1) - y,
        lambda raw, y: fg.sum(y) * fg.logsumexp(raw) - fg.sum(raw * y),
        lambda F, z, y: F.cross_entropy(z, y, reduction="none")[:, None],
        of_raw=True,
        link="softmax",
        targets=shares,
    ),
    "grouped_log_loss": Loss(
        grouped("f"),
        grouped("derivative"),
        None,
        grouped_cross_entropy,
        of_raw=True,
        link="grouped_softmax",
        targets=class_numbers,
        lowered=lambda outputs: widths(outputs).astype(float),
    ),
}

# ---- optimizers


def sgd(params, grads, state, t, rate, rule):
    state[0] = rule["momentum"] * state[0] - rate * grads
    nesterov = rule["momentum"] * state[0] - rate * grads
    params += nesterov if rule["nesterovs_momentum"] else state[0]


def adam(params, grads, state, t, rate, rule):
    b1, b2 = rule["beta_1"], rule["beta_2"]
    state[0] = b1 * state[0] + (1 - b1) * grads
    state[1] = b2 * state[1] + (1 - b2) * grads**2
    rate *= np.sqrt(1 - b2**t) / (1 - b1**t)
    params -= rate * state[0] / (np.sqrt(state[1]) + rule["epsilon"])


OPTIMIZERS = {
    "sgd": Optimizer(
        sgd,
        [
            1.6493829698472968,
            1.6070305032231442,
            1.555132370445512,
            1.502139063047992,
            1.4555425520790624,
            1.420666876148473,
            1.3995369126541821,
            1.3905077463048325,
            1.3892607402692276,
            1.3907700424929925,
        ],
    ),
    "adam": Optimizer(
        adam,
        [
            1.6493829698472968,
            1.4928972560016607,
            1.4068073568016382,
            1.3824780013324456,
            1.3786138370781575,
            1.368799770506442,
            1.3470896329530997,
            1.3195111181119559,
            1.2947554329970192,
            1.2765316714539805,
        ],
    ),
}
