"""Data that is read in blocks: any cut, reads that fail or are interrupted, fits that go on."""

import pickle
import threading

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor
from fits import bits
from sources import Source, ragged
from trust.harness import Row

N = 2600  # rows: two chunks of the gradient, and a part of one
RNG = np.random.RandomState(0)
X, LABELS, NUMBERS = RNG.randn(N, 6), RNG.randint(0, 3, N), RNG.randn(N, 2)


def drawn(rng, solvers):
    """An estimator with drawn parameters, its source, and a window that does not hold all."""
    dtype = rng.choice([np.float32, np.float64])
    x = X.astype(dtype)
    if rng.randint(3) == 0:
        x = sp.csr_array(np.where(x > 0.7, x, 0))
    weight = rng.choice([0.0, 1e-3, 1.0, 7.0], N) if rng.randint(2) else None
    borders = ragged(rng, N, rng.randint(0, 20)) if rng.randint(2) else None
    parameters = dict(
        hidden_layer_sizes=[(5,), (4, 3), ()][rng.randint(3)],
        solver=str(rng.choice(solvers)),
        batch_size=int(rng.choice([1, 30, 200])),
        shuffle=bool(rng.randint(2)),
        n_threads=int(rng.randint(1, 4)),
        random_state=int(rng.randint(1000)),
        max_iter=2,
    )
    if rng.randint(2):
        balanced = [None, "balanced"][rng.randint(2)]
        model, y = MLPClassifier(**parameters, class_weight=balanced), LABELS
    else:
        model, y = MLPRegressor(**parameters), NUMBERS
    rows = rng.randint(1024, N // 2) if parameters["solver"] == "lbfgs" else rng.randint(200, 800)
    window = 2 * rows * (6 * 8 + 2 * 8 + 8)
    return model, Source(x, y, weight, borders), window


def cuts(number, rng):
    """A fit of lbfgs in windows; one of the other solvers in a window that holds all."""
    model, source, window = drawn(rng, ["lbfgs", "lbfgs", "adam", "sgd"])
    window = window if model.solver == "lbfgs" else None
    whole = clone(model).fit(source.X, source.y, source.weight)
    model.set_params(n_threads=int(rng.randint(1, 4))).fit_blocks(source, window=window)
    assert bits(model) == bits(whole), "a fit of parts differs"
    return {"reads": len(source.reads)}


class Breaks(Source):
    """A source whose read fails once."""

    def __init__(self, source, at, error):
        super().__init__(source.X, source.y, source.weight, getattr(source, "borders", None))
        self.at, self.error = at, error

    def read(self, first, stop):
        if len(self.reads) == self.at:
            self.reads.append(None)
            raise self.error("of a source")
        return super().read(first, stop)


def failing_reads(number, rng):
    """A read that raises: the estimator stays as it was, and no thread is left."""
    model, source, window = drawn(rng, ["lbfgs", "adam", "sgd"])
    model.fit(source.X[:50], source.y[:50])
    before, threads = pickle.dumps(model), threading.active_count()
    error = [OSError, ValueError, MemoryError, RuntimeError, ZeroDivisionError][rng.randint(5)]
    broken = Breaks(source, rng.randint(0, 60), error)
    try:
        model.fit_blocks(broken, window=window)
    except error:
        assert pickle.dumps(model) == before, "a failed fit changed the estimator"
    else:
        assert None not in broken.reads, "an error was lost"
    assert threading.active_count() == threads, "a thread is left"
    return {"reads": len(broken.reads)}


def resumed(number, rng):
    """A fit that is interrupted at any read, from a pickle, goes on with the same bits."""
    model, source, window = drawn(rng, ["adam", "sgd"])
    model.set_params(max_iter=3, dropout=float(rng.choice([0.0, 0.2])))
    whole = clone(model).fit_blocks(source, window=window)
    checks = 4 + len(source.reads) // 4  # reads before and within the first epoch, about
    broken = Breaks(source, checks + rng.randint(0, len(source.reads)), KeyboardInterrupt)
    try:
        model.fit_blocks(broken, window=window)
    except KeyboardInterrupt:  # before training
        return {}
    model = pickle.loads(pickle.dumps(model)).set_params(n_threads=int(rng.randint(1, 4)))
    assert bits(model.resume(source)) == bits(whole), "a resumed fit differs"
    return {"interrupts": int(None in broken.reads)}


ROWS = [
    Row(
        "parts",
        "cuts",
        "Data that is read in blocks gives the bits of `fit`: under lbfgs for any blocks and "
        "windows, else where one window holds all.",
        cuts,
        400,
        3,
    ),
    Row(
        "parts",
        "failing reads",
        "A read that raises changes nothing, and no thread is left.",
        failing_reads,
        400,
        3,
    ),
    Row(
        "parts",
        "resume",
        "A fit that is interrupted at any read goes on with the same bits.",
        resumed,
        150,
        3,
    ),
]
