"""The oracle: backpropagation in plain NumPy, float64, one line per formula, no tricks.

Everything takes and gives lists of weights and biases, one per layer. `row_reported` is the number
that scikit-learn prints; the gradient belongs to `row_objective`. The formulas of single
activations, links and losses are in `twins.py`.
"""

import numpy as np
from scipy.special import xlogy

from twins import ACTIVATIONS, LINKS, LOSSES, OPTIMIZERS, blocks, widths


def split(loss):
    """Loss and link of "loss" or "loss/link"."""
    loss, _, link = loss.partition("/")
    return loss, link or LOSSES[loss].link


def predicted(loss, z):
    return LINKS[split(loss)[1]].f(z)


def onehot(loss, y, K):
    """Targets as a matrix of K columns; under softmax y has numbers of classes, or shares."""
    name, link = split(loss)
    if name == "grouped_log_loss":
        eyes = (np.eye(2)[:, 1:] if width == 1 else np.eye(width) for width in widths(K))
        return np.hstack([eye[column.astype(int)] for eye, column in zip(eyes, y.T, strict=True)])
    return np.eye(K)[y[:, 0].astype(int)] if link == "softmax" and name != "soft_log_loss" else y


def smoothed(loss, y, K, smoothing):
    """The targets as a matrix, mixed with the uniform distribution; an output alone has two."""
    name, link = split(loss)
    outputs = widths(K) if name == "grouped_log_loss" else [K] if link == "softmax" else [1] * K
    classes = [n if link == "softmax" else max(n, 2) for n in outputs]
    return (1 - smoothing) * onehot(loss, y, K) + smoothing / np.repeat(classes, outputs)


def row_objective(loss, z, y, smoothing=0.0):
    """The true loss of each row."""
    twin = LOSSES[split(loss)[0]]
    y = smoothed(loss, y, z.shape[1], smoothing)
    return twin.f(z if twin.of_raw else predicted(loss, z), y).sum(axis=1)


def row_reported(loss, z, y, eps, smoothing=0.0):
    """The loss of each row as scikit-learn reports it: log losses of clipped probabilities."""
    if loss == "grouped_log_loss":
        return sum(
            row_reported(kind, a, column, eps, smoothing)
            for a, column in zip(blocks(z), y.T[..., None], strict=True)
            for kind in ["binary_log_loss" if a.shape[1] == 1 else "log_loss"]
        )
    if loss not in ("binary_log_loss", "log_loss", "soft_log_loss"):
        return row_objective(loss, z, y)
    p = np.clip(predicted(loss, z), eps, 1 - eps)
    y = smoothed(loss, y, z.shape[1], smoothing)
    if loss == "binary_log_loss":
        return -(xlogy(y, p) + xlogy(1 - y, 1 - p)).sum(axis=1)
    return -xlogy(y, p).sum(axis=1)


def row_delta(loss, z, y, smoothing=0.0):
    """dloss/dz; the chain rule for a loss that is written in the prediction."""
    name, link = split(loss)
    y = smoothed(loss, y, z.shape[1], smoothing)
    if LOSSES[name].of_raw:
        return LOSSES[name].derivative(z, y)
    p = predicted(loss, z)
    by_p = LOSSES[name].derivative(p, y)
    if link == "softmax":
        return p * (by_p - (p * by_p).sum(axis=1, keepdims=True))
    return by_p * LINKS[link].derivative(z)


def forward(coefs, intercepts, activation, X, masks=None):
    """Activations of all layers, X first; the last is the raw prediction.

    `masks` are factors of X and of each hidden layer.
    """
    f = ACTIVATIONS[activation].f
    masks = [1.0] * len(coefs) if masks is None else masks
    activations = [X * masks[0]]
    for layer, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = activations[-1] @ w + b
        activations.append(z if layer == len(coefs) - 1 else f(z) * masks[layer + 1])
    return activations


def objective(coefs, intercepts, activation, loss, X, y, weight, alpha, smoothing=0.0):
    """The objective alone, as `loss_gradient` gives it."""
    z, total, present = forward(coefs, intercepts, activation, X)[-1], weight.sum(), weight > 0
    penalty = alpha / 2 * sum((w**2).sum() for w in coefs) / total
    losses = row_objective(loss, z, y, smoothing)
    return (weight * losses)[present].sum() / total + penalty


def tree_sum(leaves):
    """The sum of the leaves: pairs of neighbours, again and again; an odd one waits for the end."""
    while len(leaves) > 1:
        odd = leaves[len(leaves) // 2 * 2 :]
        leaves = [a + b for a, b in zip(leaves[::2], leaves[1::2], strict=False)] + odd
    return leaves[0]


def loss_gradient(
    coefs,
    intercepts,
    activation,
    loss,
    X,
    y,
    weight=None,
    alpha=0.0,
    scale=1.0,
    eps=2.0**-52,
    masks=None,
    smoothing=0.0,
):
    """Reported loss, objective, and the objective's gradient (dcoefs, dintercepts)."""
    derivative = ACTIVATIONS[activation].derivative
    weight = np.ones(len(X)) if weight is None else weight
    total = weight.sum()
    if total == 0:
        zeros = [np.zeros_like(w) for w in coefs], [np.zeros_like(b) for b in intercepts]
        return 0.0, 0.0, *zeros
    activations = forward(coefs, intercepts, activation, X, masks)
    z = activations[-1]
    penalty = alpha / 2 * sum((w**2).sum() for w in coefs) / total
    present = weight > 0
    reported = (weight * row_reported(loss, z, y, eps, smoothing))[present].sum()
    reported = reported * scale / total + penalty
    objective = (weight * row_objective(loss, z, y, smoothing))[present].sum() / total + penalty
    delta = row_delta(loss, z, y, smoothing) * weight[:, None]
    dcoefs, dintercepts = [], []
    for layer in range(len(coefs) - 1, -1, -1):
        dcoefs.insert(0, (activations[layer].T @ delta + alpha * coefs[layer]) / total)
        dintercepts.insert(0, delta.sum(axis=0) / total)
        if layer > 0:
            z = activations[layer - 1] @ coefs[layer - 1] + intercepts[layer - 1]
            delta = delta @ coefs[layer].T * derivative(z)
            if masks is not None:
                delta = delta * masks[layer]
    return reported, objective, dcoefs, dintercepts


def step(params, grads, state, t, rate, rule, optimizer, is_weight):
    """Step number t of a rule, in place: clipping, decay, the optimizer, the average."""
    norm = np.sqrt((grads**2).sum())
    if 0 < rule["clip_norm"] < norm:
        grads = grads * (rule["clip_norm"] / norm)
    params[is_weight] *= 1 - rate * rule["weight_decay"]
    OPTIMIZERS[optimizer].step(params, grads, state, t, rate, rule)
    if rule["ema_decay"] > 0:
        share = 1 if t == 1 else 1 - rule["ema_decay"]
        state[-1] += share * (params - state[-1])


def mix64(x):
    x &= 2**64 - 1
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def mix32(x):
    x = ((x ^ (x >> 16)) * 0x7FEB352D) % 2**32
    x = ((x ^ (x >> 15)) * 0x846CA68B) % 2**32
    return x ^ (x >> 16)


def mask(dropout, layer, first, rows, n):
    """m / (1 - q) of n units for samples first.. of an epoch; layer 0 is the input."""
    threshold, seen = int(dropout.thresholds[layer]), int(dropout.seen[0])
    factors, half = np.empty((rows, n)), (n + 1) // 2
    for r in range(rows):
        key = mix64(dropout.seed + layer * 0x9E3779B97F4A7C15 + mix64(seen + first + r))
        for j in range(n):
            pair = j % half
            bits = mix32(mix32((pair * 0x9E3779B9 + key) % 2**32) ^ (key >> 32))
            bits = bits % 2**16 if j < half else bits >> 16
            factors[r, j] = 0 if bits < threshold else 65536 / (65536 - threshold)
    return factors


def written_out(codes):
    """The columns of Codes, as the rows have them."""
    columns = []
    for j, bins in enumerate(np.diff(codes.first)):
        column = np.arange(bins)
        place, share = codes.bins[:, [j]], codes.shares[:, [j]]
        columns.append(np.where(column < place, codes.one, np.where(column == place, share, 0)))
    return np.hstack(columns)
