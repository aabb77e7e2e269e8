"""Memory that runs out: limits of the address space, and single allocations that fail."""

import contextlib
import ctypes
import pickle
import resource

import numpy as np

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from trust.common import Untouched, bits, data, fingerprint, is_of_the_core, state
from trust.harness import Row, Skipped

try:
    import _testcapi  # of CPython's own tests: not every system installs it
except ImportError:
    _testcapi = None

SMALL = dict(hidden_layer_sizes=(300,), max_iter=2, random_state=0)
X, LABELS = data(300, 10)
MANY = np.tile(X, (60, 1))
TARGETS = X[:, :2].copy()


# What is tried: an estimator, and what is called.
OPERATIONS = {
    "adam": (MLPRegressor, {}, lambda m: m.fit(X, TARGETS)),
    "classes": (MLPClassifier, {}, lambda m: m.fit(X, LABELS)),
    "sgd": (MLPRegressor, dict(solver="sgd"), lambda m: m.fit(X, TARGETS)),
    "lbfgs": (MLPRegressor, dict(solver="lbfgs"), lambda m: m.fit(X, TARGETS)),
    "stopping": (MLPRegressor, dict(early_stopping=True), lambda m: m.fit(X, TARGETS)),
    "validation": (
        MLPRegressor,
        {},
        lambda m: m.fit(X, TARGETS, X_val=X[:50], y_val=TARGETS[:50]),
    ),
    "traced": (
        MLPRegressor,
        dict(activation=lambda z: z * fg.sigmoid(z)),
        lambda m: m.fit(X, TARGETS),
    ),
    "partial_fit": (MLPRegressor, {}, lambda m: m.partial_fit(X, TARGETS)),
    "row": (MLPRegressor, {}, lambda m: m.predict(X[:1])),
    "rows": (MLPRegressor, {}, lambda m: m.predict(MANY)),
    "proba": (MLPClassifier, {}, lambda m: m.predict_proba(MANY)),
    "pickle": (MLPClassifier, {}, lambda m: pickle.loads(pickle.dumps(m))),
}


class Attempt:
    """A call of a fitted estimator that may run out of memory, and what must hold afterwards."""

    def __init__(self, number):
        names = list(OPERATIONS)
        cls, parameters, self.call = OPERATIONS[names[number % len(names)]]
        n_threads = (1, 2, 4)[number // len(names) % 3]
        y = LABELS if cls is MLPClassifier else TARGETS
        # Fitted to other data, so that nothing of a new fit looks like the old one.
        self.model = cls(**{**SMALL, **parameters, "n_threads": n_threads}).fit(X[::-1], y)
        twin = pickle.loads(pickle.dumps(self.model))
        self.expected = result_of(self.call, twin)  # now what a process needs once is there
        self.before, self.untouched = state(self.model), Untouched()

    def run(self):
        """The result as a fingerprint, or None if memory ran out."""
        try:
            return result_of(self.call, self.model)
        except MemoryError:
            return None
        except SystemError as error:  # CPython and NumPy have lines that forget to say MemoryError
            if is_of_the_core(error):
                raise
            return None

    def check(self, result):
        """Assert that the call had all its effect, or none and can be repeated."""
        self.untouched.check()
        if result is None and state(self.model) == self.before:
            result = result_of(self.call, self.model)
        elif result is None:  # a fit that is done may lack memory for its warning
            result = fingerprint(bits(self.model))
            assert result == self.expected, "MemoryError, but the estimator has changed"
        assert result == self.expected, "another result than with enough memory"


def result_of(call, model):
    """The result of a call as a fingerprint: predictions, or the bits of a fitted estimator."""
    result = call(model)
    return fingerprint(result if isinstance(result, np.ndarray) else bits(result))


def address_space():
    """Bytes of the address space of this process, after freed memory is given back."""
    with contextlib.suppress(AttributeError):  # of glibc
        ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def under_a_limit(number, rng):
    """A limit of the address space a little above what is in use."""
    attempt = Attempt(number)
    over = 0 if number % 7 == 0 else int(2 ** rng.uniform(10, 25))
    try:
        limits = resource.getrlimit(resource.RLIMIT_AS)
        present = address_space()
    except OSError as error:
        raise Skipped("the size of the process is not known here") from error
    try:
        resource.setrlimit(resource.RLIMIT_AS, (present + over, limits[1]))
        result = attempt.run()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    attempt.check(result)
    return {"refused": int(result is None)}


def one_failing(number, rng):
    """A single allocation of Python or NumPy that fails, at a random place of the call."""
    if _testcapi is None:
        raise Skipped("CPython's module _testcapi is not installed")
    attempt = Attempt(number)
    start = int(2 ** rng.uniform(0, 11))
    try:
        _testcapi.set_nomemory(start, start + 1)
        result = attempt.run()
    finally:
        _testcapi.remove_mem_hooks()
    attempt.check(result)
    return {"refused": int(result is None)}


ROWS = [
    Row(
        "memory",
        "limits",
        "Under any limit of memory a call ends, with its result or with MemoryError. Then the "
        "estimator is as before, and the call works once there is memory.",
        under_a_limit,
        full=720,
        short=18,
        limit=20,
    ),
    Row(
        "memory",
        "allocations",
        "The same if a single allocation fails.",
        one_failing,
        full=1440,
        short=24,
        limit=20,
    ),
]
