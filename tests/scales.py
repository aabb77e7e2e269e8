"""Targets of all scales and offsets, fitted with X in float32 and in float64: a law, and its grid.

`disagreements` runs any part of the grid. The suite runs a short one.
"""

import warnings
from itertools import product
from typing import NamedTuple

import numpy as np

from fastbp import MLPRegressor
from fastbp import graph as fg


def own_loss(raw, y):
    return abs(raw - y) ** 1.5


LOSSES = {
    "squared_error": "squared_error",
    "absolute_error": "absolute_error",
    "huber": "huber",
    "quantile": "quantile",
    "log_cosh": "log_cosh",
    "gaussian": "gaussian",
    "poisson": "poisson",
    "gamma": "gamma",
    "tweedie": "tweedie",
    "own": own_loss,
    "own-exp": lambda raw, y: fg.exp(raw) - y * raw,
}
LINKS = {"own-exp": "exp"}
SCALES = [(1, 0), (1e3, 0), (1e6, 0), (1e9, 0), (1e12, 0)]
OFFSETS = [(1, 1e2), (1, 1e4), (1, 1e6), (1, 1e9), (1e3, 1e9), (1e6, 1e9)]
NETWORKS = {"linear": ("identity", ()), "relu": ("relu", (10,)), "tanh": ("tanh", (10,))}
RATES = {"lbfgs": (None,), "sgd": (1e-3, 1e-2, 0.1), "adam": (1e-2, 0.1)}
NONE = -np.inf  # the R^2 of a fit that raised an error


class Case(NamedTuple):
    """One point of the grid."""

    loss: str
    solver: str
    network: str
    scale: float
    offset: float
    rate: float | None

    def estimator(self, seed):
        activation, hidden = NETWORKS[self.network]
        given = {} if self.rate is None else {"learning_rate_init": self.rate}
        return MLPRegressor(
            LOSSES[self.loss],
            hidden_layer_sizes=hidden,
            activation=activation,
            solver=self.solver,
            out_activation=LINKS.get(self.loss),
            max_iter=150,
            batch_size=20,
            random_state=seed,
            n_threads=1,
            **given,
        )


class Outcome(NamedTuple):
    """R^2 of a fit (NONE if it failed), and the kinds of its errors and warnings about numbers."""

    r2: float
    said: frozenset[str]


def samples(seed, n=200):
    """float32 rows and positive float64 targets with a mean of about 3 and a spread of about 1."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 4)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    return X, abs(X[:, 0] + X[:, 1].astype(np.float64) ** 2 / 2 + 3) + 0.1


def outcome(estimator, X, y):
    """What comes of fitting X and y."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            prediction = estimator.fit(X, y).predict(X).astype(np.float64)
        except ValueError as error:
            return Outcome(NONE, frozenset([f"ValueError: {str(error)[:25]}"]))
    kinds = {str(one.message)[:25] for one in caught}
    with np.errstate(all="ignore"):
        r2 = 1 - ((y - prediction) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return Outcome(float(r2), frozenset(kinds))


def cases(losses=LOSSES, solvers=RATES, networks=NETWORKS, targets=(*SCALES, *OFFSETS)):
    """The points of the grid."""
    for loss, solver, network, (scale, offset) in product(losses, solvers, networks, targets):
        for rate in RATES[solver]:
            yield Case(loss, solver, network, scale, offset, rate)


def disagreement(case, seeds=range(8)):
    """What breaks the law for one case, or ''.

    Where the median R^2 with float64 X reaches 0.5, that with float32 X is within 0.02, or within
    what float64 X that differ in their eighth digit change: some fits are chaotic. Where all fits
    with float64 X diverge, all with float32 X do, with the same error.
    """
    results = {"float64": [], "float32": [], "nudged": []}
    for seed in seeds:
        X, t = samples(seed)
        y = case.scale * t + case.offset
        rows = X.astype(np.float64)
        nudged = rows * (1 + 1e-7 * np.random.RandomState(seed).randn(*rows.shape))
        for name, given in (("float64", rows), ("float32", X), ("nudged", nudged)):
            results[name].append(outcome(case.estimator(seed), given, y))
    medians = {name: np.median([one.r2 for one in all_]) for name, all_ in results.items()}
    wanted = min(medians["float64"], medians["nudged"])
    if wanted >= 0.5:
        chaos = abs(medians["float64"] - medians["nudged"])
        if medians["float32"] >= wanted - max(0.02, chaos):
            return ""
        return f"{case}: R^2 {medians['float32']:.4f} in float32, {wanted:.4f} in float64"
    if all(one.r2 == NONE for one in results["float64"]):
        errors = [set().union(*(one.said for one in results[name])) for name in medians]
        if not all(one.r2 == NONE for one in results["float32"]) or errors[0] != errors[1]:
            return f"{case}: diverges in float64 {errors[0]}, in float32 {errors[1]}"
    return ""


def disagreements(seeds=range(8), **part):
    """All cases that break the law, and the number of cases; `part` as in `cases`."""
    found = [disagreement(case, seeds) for case in cases(**part)]
    return [text for text in found if text], len(found)


if __name__ == "__main__":
    broken, tried = disagreements()
    print(*broken, f"{len(broken)} of {tried} cases", sep="\n")
