"""The slow twin: backpropagation in plain NumPy, float64, one line per formula, no tricks.

Everything takes and gives lists of weights and biases, one per layer. `reported` and `objective`
are the two numbers of design: what scikit-learn prints, and what the gradient belongs to.
"""

import numpy as np
from scipy.special import expit, log_softmax, ndtr, softmax, xlogy

SCALE, ALPHA, ROOT = 1.0507009873554805, 1.6732632423543772, (2 / np.pi) ** 0.5


def softplus(z):
    return np.logaddexp(0, z)


def normal(z):
    return ndtr(z), np.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


def gelu_tanh(z):
    inner = ROOT * (z + 0.044715 * z**3)
    slope = ROOT * (1 + 3 * 0.044715 * z**2) * (1 - np.tanh(inner) ** 2)
    return (1 + np.tanh(inner)) / 2, slope / 2


# f, f'
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "logistic": (expit, lambda z: expit(z) * expit(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, z / 100), lambda z: np.where(z > 0, 1, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1, np.exp(z))),
    "selu": (
        lambda z: SCALE * np.where(z > 0, z, ALPHA * np.expm1(z)),
        lambda z: SCALE * np.where(z > 0, 1, ALPHA * np.exp(z)),
    ),
    "softplus": (softplus, expit),
    "hard_sigmoid": (lambda z: np.clip(z / 6 + 0.5, 0, 1), lambda z: (abs(z) < 3) / 6),
    "step": (lambda z: np.where(np.isnan(z), z, z > 0), lambda z: np.ones_like(z)),  # by design
    "gelu": (lambda z: z * normal(z)[0], lambda z: normal(z)[0] + z * normal(z)[1]),
    "gelu_tanh": (lambda z: z * gelu_tanh(z)[0], lambda z: gelu_tanh(z)[0] + z * gelu_tanh(z)[1]),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "mish": (
        lambda z: z * np.tanh(softplus(z)),
        lambda z: np.tanh(softplus(z)) + z * expit(z) / np.cosh(softplus(z)) ** 2,
    ),
}
KINKED = ("relu", "leaky_relu", "selu", "hard_sigmoid")
LINKS = {
    "identity": lambda z: z,
    "exp": np.exp,
    "logistic": expit,
    "softplus": softplus,
    "softmax": lambda z: softmax(z, axis=1),
}
OWN_LINKS = {
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "binary_log_loss": "logistic",
    "log_loss": "softmax",
}
THRESHOLD, POWER = 0.7, 1.4
LEVELS = np.array([0.1, 0.5, 0.8])  # of the outputs, and again from the first


def split(loss):
    """Loss and link of "loss" or "loss/link"."""
    loss, _, link = loss.partition("/")
    return loss, link or OWN_LINKS.get(loss, "identity")


def predicted(loss, z):
    return LINKS[split(loss)[1]](z)


def levels(p):
    return np.resize(LEVELS, p.shape[1])


def onehot(loss, y, K):
    """Targets as a matrix of K columns; a multinomial model gets indices of classes."""
    return np.eye(K)[y[:, 0].astype(int)] if split(loss)[1] == "softmax" else y


def row_objective(loss, z, y):
    """The true loss of each row."""
    y, p, name = onehot(loss, y, z.shape[1]), predicted(loss, z), split(loss)[0]
    error = p - y
    return {
        "squared_error": lambda: error**2 / 2,
        "absolute_error": lambda: abs(error),
        "huber": lambda: np.where(
            abs(error) <= THRESHOLD, error**2 / 2, THRESHOLD * (abs(error) - THRESHOLD / 2)
        ),
        "quantile": lambda: np.maximum(levels(p) * -error, (1 - levels(p)) * error),
        "log_cosh": lambda: abs(error) + np.log1p(np.expm1(-2 * abs(error)) / 2),
        "poisson": lambda: xlogy(y, y) - y * z - y + p,
        "gamma": lambda: z - np.log(y) + y / p - 1,
        "tweedie": lambda: (
            y ** (2 - POWER) / ((1 - POWER) * (2 - POWER))
            + p ** (2 - POWER) / (2 - POWER)
            - y * p ** (1 - POWER) / (1 - POWER)
        ),
        "binary_log_loss": lambda: np.logaddexp(0, z) - y * z,
        "log_loss": lambda: -(y * log_softmax(z, axis=1)),
    }[name]().sum(axis=1)


def row_reported(loss, z, y, eps):
    """The loss of each row as scikit-learn reports it: log losses of clipped probabilities."""
    if loss not in ("binary_log_loss", "log_loss"):
        return row_objective(loss, z, y)
    p = np.clip(predicted(loss, z), eps, 1 - eps)
    y = onehot(loss, y, z.shape[1])
    if loss == "binary_log_loss":
        return -(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=1)
    return -xlogy(y, p).sum(axis=1)


def row_delta(loss, z, y):
    """dloss/dz: for a loss and its canonical link prediction - target, else by the chain rule."""
    y, p, (name, link) = onehot(loss, y, z.shape[1]), predicted(loss, z), split(loss)
    if name in ("poisson", "binary_log_loss", "log_loss"):
        return p - y
    if name in ("gamma", "tweedie"):
        power = 2 if name == "gamma" else POWER
        return p ** (2 - power) - y * p ** (1 - power)
    error = p - y
    by_p = {
        "squared_error": lambda: error,
        "absolute_error": lambda: np.sign(error),
        "huber": lambda: np.clip(error, -THRESHOLD, THRESHOLD),
        "quantile": lambda: (error > 0) - levels(p),
        "log_cosh": lambda: np.tanh(error),
    }[name]()
    if link == "softmax":
        return p * (by_p - (p * by_p).sum(axis=1, keepdims=True))
    return by_p * {"identity": 1, "exp": p, "logistic": p * (1 - p), "softplus": expit(z)}[link]


def forward(coefs, intercepts, activation, X):
    """Activations of all layers, X first; the last is the raw prediction."""
    f, _ = ACTIVATIONS[activation]
    activations = [X]
    for layer, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = activations[-1] @ w + b
        activations.append(z if layer == len(coefs) - 1 else f(z))
    return activations


def loss_gradient(
    coefs, intercepts, activation, loss, X, y, weight=None, alpha=0.0, scale=1.0, eps=2.0**-52
):
    """Reported loss, objective, and the objective's gradient (dcoefs, dintercepts)."""
    _, derivative = ACTIVATIONS[activation]
    weight = np.ones(len(X)) if weight is None else weight
    total = weight.sum()
    if total == 0:
        zeros = [np.zeros_like(w) for w in coefs], [np.zeros_like(b) for b in intercepts]
        return 0.0, 0.0, *zeros
    activations = forward(coefs, intercepts, activation, X)
    z = activations[-1]
    penalty = alpha / 2 * sum((w**2).sum() for w in coefs) / total
    present = weight > 0
    reported = (weight * row_reported(loss, z, y, eps))[present].sum() * scale / total + penalty
    objective = (weight * row_objective(loss, z, y))[present].sum() / total + penalty
    delta = row_delta(loss, z, y) * weight[:, None]
    dcoefs, dintercepts = [], []
    for layer in range(len(coefs) - 1, -1, -1):
        dcoefs.insert(0, (activations[layer].T @ delta + alpha * coefs[layer]) / total)
        dintercepts.insert(0, delta.sum(axis=0) / total)
        if layer > 0:
            z = activations[layer - 1] @ coefs[layer - 1] + intercepts[layer - 1]
            delta = delta @ coefs[layer].T * derivative(z)
    return reported, objective, dcoefs, dintercepts


def step(optimizer, params, grads, state, t, rate, rule):
    """One step of flat params, in place; state has the optimizer's rows."""
    if optimizer == "sgd":
        state[0] = rule["momentum"] * state[0] - rate * grads
        nesterov = rule["momentum"] * state[0] - rate * grads
        params += nesterov if rule["nesterovs_momentum"] else state[0]
    else:
        b1, b2 = rule["beta_1"], rule["beta_2"]
        state[0] = b1 * state[0] + (1 - b1) * grads
        state[1] = b2 * state[1] + (1 - b2) * grads**2
        rate *= np.sqrt(1 - b2**t) / (1 - b1**t)
        params -= rate * state[0] / (np.sqrt(state[1]) + rule["epsilon"])
