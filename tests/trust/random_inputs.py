"""Random lives of estimators: parameters, data, containers and calls, sound and odd."""

import copy
import io
import pickle
import warnings

import numpy as np
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor
from trust import drawn
from trust.common import fingerprint, state
from trust.harness import Row

ALLOWED = (ValueError, TypeError)  # scikit-learn's NotFittedError is a ValueError
# A warning that training ended early says nothing about the numbers.
ENDED = ("Maximum iterations", "failed to converge", "UndefinedMetric")


class Life:
    """An estimator, its present data, and what it was told."""

    def __init__(self, rng):
        self.rng, self.tried = rng, {"calls": 0, "refused": 0}
        cls = drawn.choose(rng, [MLPClassifier, MLPRegressor])
        self.is_classifier = cls is MLPClassifier
        self.estimator = cls(**drawn.parameters(rng, self.is_classifier))
        self.features = int(drawn.choose(rng, [1, 2, 5, 30, 0 if rng.rand() < 0.1 else 3]))
        self.fitted_on, self.was_warned = None, False
        self.draw()

    def draw(self):
        """Other data, mostly with as many features."""
        rng = self.rng
        n = int(drawn.choose(rng, [1, 2, 3, 10, 40, 200, 0 if rng.rand() < 0.2 else 50]))
        features = self.features + (rng.rand() < 0.05)
        self.X = drawn.container(rng, drawn.values(rng, n, features))
        self.y = drawn.labels(rng, n) if self.is_classifier else drawn.targets(rng, n)
        self.weight = drawn.weights(rng, n)

    def call(self, name, *args, **kwargs):
        """Call a method: returns its result, or None if the call was refused as it may be."""
        self.tried["calls"] += 1
        before = [fingerprint(value) for value in (*args, *kwargs.values())]
        known = state(self.estimator)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                result = getattr(self.estimator, name)(*args, **kwargs)
        except (*ALLOWED, MemoryError, AttributeError) as error:
            self.tried["refused"] += 1
            self.check_error(name, error)
            assert name == "set_params" or state(self.estimator) == known, (
                f"{name} raised {error!r} and changed the estimator"
            )
            result = None
        after = [fingerprint(value) for value in (*args, *kwargs.values())]
        assert after == before, f"{name} changed its arguments"
        if result is not None and name in ("fit", "partial_fit"):
            said = [f"{w.category.__name__} {w.message}" for w in caught]
            told = [text for text in said if not any(words in text for words in ENDED)]
            self.fitted_on, self.was_warned = self.X, bool(told)
            assert drawn.is_finite(self.X) is not False, f"{name} took numbers that are not finite"
        return result

    def check_error(self, name, error):
        """An error has words, and AttributeError is that of a method that there is not."""
        assert str(error), f"{name} raised {type(error).__name__} without words"
        if isinstance(error, AttributeError) and not isinstance(error, ALLOWED):
            assert name in ("partial_fit", "predict_proba", "predict_log_proba"), repr(error)

    # ---- what is done

    def fit(self):
        more = {}
        if self.rng.rand() < 0.15:
            X, y = self.X, self.y
            self.draw()
            more = dict(X_val=self.X, y_val=self.y)
            self.X, self.y = X, y
        self.call("fit", self.X, self.y, self.weight, **more)

    def partial_fit(self):
        if self.is_classifier and self.rng.rand() < 0.7:
            y = np.asarray(self.y) if isinstance(self.y, list) else self.y
            if isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype != object:
                self.call("partial_fit", self.X, self.y, np.unique(y))
                return
        self.call("partial_fit", self.X, self.y)

    def predict(self):
        name = "predict_proba" if self.is_classifier and self.rng.rand() < 0.7 else "predict"
        predicted = self.call(name, self.X)
        if predicted is None:
            return
        known = getattr(self.X, "shape", None) or (len(self.X),)
        n = predicted.shape[0]  # of sparse labels, too
        assert n == known[0], f"{n} predictions of {known[0]} rows"
        if predicted.dtype.kind == "f" and self.fitted_on is self.X and not self.was_warned:
            assert np.isfinite(predicted).all(), "the fit gave no warning, but predictions are NaN"

    def score(self):
        self.call("score", self.X, self.y)

    def set_params(self):
        params = drawn.parameters(self.rng, self.is_classifier)
        name = drawn.choose(self.rng, list(params))
        self.call("set_params", **{name: params[name]})

    def odd_name(self):
        self.call("set_params", nonsense=1)

    def copies(self):
        """A pickle and a deep copy predict as the estimator, and a clone has its parameters."""
        try:
            text = pickle.dumps(self.estimator)
        except (*ALLOWED, pickle.PicklingError, AttributeError) as error:  # of an odd parameter
            assert str(error)
            return
        for copied in (pickle.load(io.BytesIO(text)), copy.deepcopy(self.estimator)):
            try:
                expected = self.estimator.predict(self.X)
            except ALLOWED:
                continue
            found = copied.predict(self.X)
            assert fingerprint(found) == fingerprint(expected), "a copy predicts otherwise"
        self.tried["calls"] += 1
        try:
            cloned = clone(self.estimator)
        except (*ALLOWED, RuntimeError):  # scikit-learn's, of parameters that it cannot copy
            return
        assert cloned.get_params().keys() == self.estimator.get_params().keys()
        repr(cloned)

    def step(self):
        """Do one thing."""
        things = [self.fit, self.partial_fit, self.predict, self.predict, self.score]
        things += [self.set_params, self.copies, self.odd_name, self.draw]
        shares = np.array([5, 3, 3, 3, 2, 2, 2, 0.2, 2])
        things[self.rng.choice(len(things), p=shares / shares.sum())]()


def live(number, rng):
    """One life."""
    life = Life(rng)
    life.fit()
    for _ in range(rng.randint(1, 6)):
        life.step()
    life.predict()
    return life.tried


ROWS = [
    Row(
        "random",
        "inputs",
        "Any parameters and data give a result, or a ValueError, TypeError or MemoryError with "
        "words. Arguments are never changed, an estimator only by a call that succeeds. "
        "Predictions that are not finite are announced.",
        live,
        full=10_000,
        short=24,
    ),
]
