"""scikit-learn and fastbp, through the interface they share.

Both draw the order of each epoch from the RandomState that they are given. This one records the
times of the draws, and an epoch lasts from one draw to the next. Costs that occur once per fit
(checks, initial weights) are not counted, as JAX's compilation is not.
"""

import importlib
import warnings

import numpy as np
import workloads as w
from sklearn.exceptions import ConvergenceWarning

from peers import calls, done, now


class Clock(np.random.RandomState):
    """A RandomState that notes when it is asked for an order: at the start of each epoch."""

    def __init__(self, seed):
        super().__init__(seed)
        self.ticks, self.inside = [], False

    def _draw(self, draw, x):
        if self.inside:  # `permutation` may shuffle
            return draw(x)
        self.ticks.append(now())
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
    way.pop("cores", None)  # the worker has limited them
    repeats = way.pop("calls", None)  # of each turn
    make = getattr(importlib.import_module(way.pop("module")), workload.estimator)

    def estimator(**more):
        return make(**workload.parameters, **way, **more)

    if workload.timed == w.PREDICT:
        return predict(workload, X, y, estimator, repeats)
    return {w.EPOCH: epochs, w.FIT: fit}[workload.timed](workload, X, y, estimator)


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
        times = np.diff(clock.ticks, axis=0) / workload.steps
        return done(times, estimator.loss_curve_[workload.epochs - 1])

    return turn


def fit(workload, X, y, make):
    stop = {} if workload.solver == "lbfgs" else {"tol": 0, "n_iter_no_change": np.inf}

    def turn():
        estimator = make(max_iter=workload.epochs, random_state=0, **stop)
        start = now()
        estimator.fit(X, y)
        return done(now() - start, estimator.loss_, iterations=estimator.n_iter_)

    return turn


def predict(workload, X, y, make, repeats):
    estimator = make(max_iter=1, random_state=0).fit(X[:1000], y[:1000])
    layers = w.initial(workload, np.random.RandomState(0), X.dtype)
    for number, (weights, biases) in enumerate(layers):  # in place: the model is as a fit leaves it
        estimator.coefs_[number][:], estimator.intercepts_[number][:] = weights, biases
    return calls(estimator.predict_proba, X[: workload.rows], repeats)
