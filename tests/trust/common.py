"""What several rows use: small data, fingerprints, and what a call must not leave behind."""

import copy
import gc
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from fastbp import MLPClassifier, MLPRegressor
from fastbp.threads import blas, cores
from fits import bits
from interrupts import blas_threads, ranks_alive

FOREVER = dict(max_iter=10**8, tol=0, n_iter_no_change=np.inf)
BATCHES = dict(hidden_layer_sizes=(30,), batch_size=50, random_state=0)
SOLVERS = {
    "adam": {},
    "sgd": dict(solver="sgd"),
    "stopping": dict(early_stopping=True),
    "lbfgs": dict(solver="lbfgs", max_fun=10**9),
}
PARTS = ("data", "indices", "indptr", "row", "col", "offsets", "rows")  # of sparse formats


def data(n=400, features=20, classes=3, seed=0):
    """Samples and labels."""
    rng = np.random.RandomState(seed)
    return rng.randn(n, features), rng.randint(0, classes, n)


def estimators(solver, n_threads):
    """Both estimators, for small fits."""
    parameters = {**BATCHES, **SOLVERS[solver], "n_threads": n_threads}
    return MLPClassifier(**parameters), MLPRegressor(**parameters)


def is_of_the_core(error):
    """Whether an error comes from the compiled core: Cython's files are named in its traceback."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename).suffix != ".py"


def fingerprint(value):
    """A nested tuple of the content of a value: equal before and after if nothing has changed."""
    if isinstance(value, np.random.RandomState):  # a fit draws from it, even one that fails
        return "RandomState"
    if sp.issparse(value):
        parts = [getattr(value, name, None) for name in PARTS]
        return (value.format, value.shape, *map(fingerprint, parts))
    if hasattr(value, "to_numpy"):  # of pandas
        return (str(type(value)), fingerprint(value.to_numpy()))
    if isinstance(value, np.ma.MaskedArray):
        return (fingerprint(value.data), fingerprint(np.asarray(value.mask)))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, list | tuple | np.ndarray):
        return (str(type(value)), *map(fingerprint, value))
    if isinstance(value, dict):
        return tuple((name, fingerprint(part)) for name, part in value.items())
    if isinstance(value, bool | int | float | complex | str | bytes | None):
        return repr(value)
    if hasattr(value, "__dict__") and not callable(value):
        return (str(type(value)), fingerprint(vars(value)))
    return repr(value)


def state(estimator):
    """A fingerprint of an estimator, without its caches."""
    kept = {name: value for name, value in vars(estimator).items() if name != "_model"}
    return fingerprint(dict(sorted(kept.items())))


class Untouched:
    """Asserts that the process is as before: no thread remains, no core is kept, no BLAS limit."""

    def __init__(self):
        self.limits = blas_threads()
        self.ranks = ranks_alive()  # in a fork Python counts threads that only the parent has

    def check(self):
        gc.collect()  # this closes generators that were interrupted
        deadline = time.monotonic() + 10
        while ranks_alive() > self.ranks and time.monotonic() < deadline:
            time.sleep(0.001)
        assert ranks_alive() <= self.ranks, "threads are left"
        assert not cores._cores_taken, "cores are kept"
        assert not blas._users, "BLAS has users left"
        assert blas_threads() == self.limits, "BLAS keeps a limit"


class Fresh:
    """Asserts that a later fit of the same estimator has the bits of a first one."""

    def __init__(self, model, X, y, max_iter=3):
        self.model, self.X, self.y = copy.deepcopy(model).set_params(max_iter=max_iter), X, y
        self.expected = bits(copy.deepcopy(self.model).fit(X, y))
        self.max_iter = max_iter

    def check(self, model):
        again = copy.deepcopy(model).set_params(max_iter=self.max_iter).fit(self.X, self.y)
        assert bits(again) == self.expected, "the next fit has other bits than a first one"
        assert np.isfinite(again.predict(self.X[:5])).all()
