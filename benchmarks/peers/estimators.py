"""scikit-learn and fastbp, through the interface they share.

Both draw the order of each epoch from the RandomState they are given. Theirs notes the time of each
draw, and an epoch lasts from one draw to the next: what is paid once per fit (validation, the first
weights, the ends) lies outside, as JAX's compilation does.
"""

import importlib
import warnings
from time import perf_counter

import numpy as np
import workloads as w
from sklearn.exceptions import ConvergenceWarning

from peers import calls


class Clock(np.random.RandomState):
    """A RandomState that notes when it is asked for an order: at the start of each epoch."""

    def __init__(self, seed):
        super().__init__(seed)
        self.ticks, self.inside = [], False

    def _draw(self, draw, x):
        if self.inside:  # `permutation` may shuffle
            return draw(x)
        self.ticks.append(perf_counter())
        self.inside = True
        try:
            return draw(x)
        finally:
            self.inside = False

    def shuffle(self, x):
        return self._draw(super().shuffle, x)

    def permutation(self, x):
        return self._draw(super().permutation, x)


def prepare(workload, X, y, way):
    warnings.simplefilter("ignore", ConvergenceWarning)
    way = dict(way)
    make = getattr(importlib.import_module(way.pop("module")), workload.estimator)
    turn = {w.EPOCH: epochs, w.FIT: fit, w.PREDICT: predict}[workload.timed]
    return turn(workload, X, y, lambda **more: make(**workload.parameters, **way, **more))


def epochs(workload, X, y, make):
    def turn():
        # The end of the last epoch is not seen, so there is one more than are timed. Without the
        # two settings in the middle training would stop where the loss does.
        clock = Clock(0)
        estimator = make(
            max_iter=workload.epochs + 1, tol=0, n_iter_no_change=np.inf, random_state=clock
        ).fit(X, y)
        if not len(clock.ticks) == estimator.n_iter_ == workload.epochs + 1:
            raise RuntimeError(f"{len(clock.ticks)} orders drawn in {estimator.n_iter_} epochs")
        seconds = np.diff(clock.ticks) / workload.steps
        return {"seconds": list(seconds), "result": estimator.loss_curve_[workload.epochs - 1]}

    return turn


def fit(workload, X, y, make):
    stop = {} if workload.solver == "lbfgs" else {"tol": 0, "n_iter_no_change": np.inf}

    def turn():
        estimator = make(max_iter=workload.epochs, random_state=0, **stop)
        start = perf_counter()
        estimator.fit(X, y)
        seconds = perf_counter() - start
        return {"seconds": [seconds], "result": estimator.loss_, "iterations": estimator.n_iter_}

    return turn


def predict(workload, X, y, make):
    estimator = make(max_iter=1, random_state=0).fit(X[:1000], y[:1000])
    layers = w.initial(workload, np.random.RandomState(0), X.dtype)
    estimator.coefs_, estimator.intercepts_ = map(list, zip(*layers, strict=True))
    return calls(estimator.predict_proba, X[: workload.rows])
