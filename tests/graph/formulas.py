"""Random formulas of rows, made of all operations of fastbp.graph, from a seed."""

import numpy as np

from fastbp import graph as fg

# Functions of any number. Arguments of moderate size give results of moderate size.
ONE = {
    "negative": lambda t: -t,
    "exp": lambda t: fg.exp(-fg.abs(t)),
    "expm1": lambda t: fg.expm1(fg.sin(t)),
    "log": lambda t: fg.log(1.5 + fg.cos(t)),
    "log1p": lambda t: fg.log1p(t * t),
    "sqrt": lambda t: fg.sqrt(1 + t * t),
    "sinh": lambda t: fg.sinh(fg.tanh(t)),
    "cosh": lambda t: fg.cosh(fg.tanh(t)),
    "sigmoid": fg.sigmoid,
    "softplus": fg.softplus,
    "erf": fg.erf,
    "relu": fg.relu,
    "sign": lambda t: fg.sign(t) * t,
    "clip": lambda t: fg.clip(t, -1.0, 0.5),
    "whole power": lambda t: fg.tanh(t) ** 3 / 3,
    "negative power": lambda t: (1 + t * t) ** -2,
    "root": lambda t: (2 + fg.sin(t)) ** 0.5,
    "power": lambda t: (1 + t * t) ** -0.7,
    "exponent": lambda t: 2 ** fg.tanh(t),
    "elu": lambda t: fg.where(t > 0, t, fg.expm1(t)),
    "half a root": lambda t: fg.where(t > 1, fg.sqrt(t - 1), 0.25 * t),
    "three parts": lambda t: fg.where(t < -1, -t, fg.where(t <= 1, t * t, fg.log(t))),
    "constants": lambda t: 0.5 * (2 * (t + 0.0)) * 1.0 - (0.0 - t * 3) / 4,
}
TWO = {
    "add": lambda s, t: s + t,
    "subtract": lambda s, t: s - t,
    "multiply": lambda s, t: fg.tanh(s) * t,
    "divide": lambda s, t: s / (1 + t * t),
    "power of both": lambda s, t: (1 + s * s) ** fg.tanh(t),
    "maximum": fg.maximum,
    "minimum": fg.minimum,
    "where": lambda s, t: fg.where((s < t) & ~(t <= 1.0), s, 0.5 * t),
    "either": lambda s, t: fg.where((s == t) | (s > 0.5), fg.exp(-s * s), t),
}
ACROSS = {
    "sum": fg.sum,
    "mean": fg.mean,
    "logsumexp": fg.logsumexp,
    "first": lambda t: t[0],
    "last": lambda t: t[-1] * 0.5,
}


class Formula:
    """A function of raw and y, of about `size` operations."""

    def __init__(self, seed, size=12):
        self.seed, self.size = seed, size

    def __call__(self, raw, y):
        random = np.random.RandomState(self.seed)
        rows, numbers = [raw, y, raw - y], []
        for _ in range(self.size):
            names = [*ONE, *TWO, *TWO, *ACROSS]
            name = names[random.randint(len(names))]
            first, second = (
                (rows + numbers)[random.randint(len(rows) + len(numbers))] for _ in range(2)
            )
            if name in ACROSS:
                numbers.append(fg.tanh(ACROSS[name](rows[random.randint(len(rows))])))
                continue
            made = TWO[name](first, second) if name in TWO else ONE[name](first)
            alone = [id(first)] + [id(second)] * (name in TWO)
            is_number = set(alone) <= {id(number) for number in numbers}
            (numbers if is_number else rows).append(made)
        total = (raw - y) ** 2 / 2
        for term in (rows + numbers)[-self.size // 2 :]:
            total = total + 0.3 * fg.tanh(term)
        return total
