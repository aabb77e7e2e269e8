"""Several threads that use one estimator, or its data, at the same time."""

import copy
import pickle
import sys
import threading
import time

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor
from trust.common import data, estimators
from trust.harness import Row

PREDICTIONS = 10_000
SMALL = dict(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
X, LABELS = data(40, 5)
WORDS = np.array(["a", "b", "c"])[LABELS], np.array(["x", "y"])[LABELS % 2]
TARGETS = np.abs(X[:, 0]), np.abs(X[:, :3])

# Pairs of models between which one estimator changes: (class, parameters and targets of each).
PAIRS = [
    (MLPClassifier, ({}, WORDS[0]), ({}, WORDS[1])),
    (MLPClassifier, ({}, WORDS[1]), (dict(hidden_layer_sizes=(9, 3)), WORDS[0])),
    (MLPRegressor, (dict(loss="poisson"), TARGETS[0]), ({}, TARGETS[0])),
    (MLPRegressor, ({}, TARGETS[0]), (dict(hidden_layer_sizes=(20, 2)), TARGETS[1])),
    (MLPClassifier, ({}, LABELS), ({}, (LABELS[:, None] == np.arange(3)).astype(int))),
]


class Helpers:
    """Threads that repeat an action until the context ends; their exceptions are raised here."""

    def __init__(self, *actions):
        self.stop, self.errors = threading.Event(), []
        self.threads = [threading.Thread(target=self.repeat, args=(one,)) for one in actions]

    def repeat(self, action):
        try:
            while not self.stop.is_set() and action() is not False:
                pass
        except BaseException as error:
            self.errors.append(error)

    def __enter__(self):
        self.interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        for thread in self.threads:
            thread.start()
        return self

    def join(self):
        """Wait until all have ended by themselves."""
        for thread in self.threads:
            thread.join()

    def __exit__(self, *_):
        self.stop.set()
        self.join()
        sys.setswitchinterval(self.interval)
        if self.errors:
            raise self.errors[0]


def predictors(call, n, known, threads=8):
    """Actions of threads that together call n times; each result has to be one of `known`."""
    left = [None] * n

    def action():
        try:
            left.pop()
        except IndexError:
            return False
        found = call()
        assert any(np.array_equal(found, one) for one in known), f"not of one model: {found[:5]}"
        return True

    return [action] * threads


def beside_refits(number, _):
    """Predictions while another thread fits the estimator to other classes, widths, links."""
    cls, *two = PAIRS[number % len(PAIRS)]
    name = ("predict", "predict_proba")[number // len(PAIRS) % 2 if cls is MLPClassifier else 0]
    model, known, refits = cls(**SMALL), [], [0]

    def refit():
        refits[0] += 2
        for params, y in two:
            model.set_params(**{**SMALL, "loss": cls().loss, **params}).fit(X, y)

    for params, y in two:
        known.append(getattr(cls(**{**SMALL, **params}).fit(X, y), name)(X))
    refit()
    calls = predictors(lambda: getattr(model, name)(X), PREDICTIONS, known)
    with Helpers(refit), Helpers(*calls) as helpers:
        helpers.join()
    return {"predictions": PREDICTIONS, "refits": refits[0]}


def beside_steps(number, _):
    """Predictions while another thread trains the estimator by partial_fit."""
    cls = (MLPClassifier, MLPRegressor)[number % 2]
    y = LABELS if cls is MLPClassifier else TARGETS[number // 2 % 2]
    name = "predict_proba" if cls is MLPClassifier else "predict"
    rows = X if number // 4 % 2 else X[:1]
    first = dict(classes=[0, 1, 2]) if cls is MLPClassifier else {}
    steps = 100
    twin = cls(**{**SMALL, "hidden_layer_sizes": (100, 50)}).partial_fit(X, y, **first)
    model, known = copy.deepcopy(twin), {getattr(twin, name)(rows).tobytes()}
    for _ in range(steps):
        known.add(getattr(twin.partial_fit(X, y), name)(rows).tobytes())
    tried = [0]

    def predict():
        tried[0] += 1
        found = getattr(model, name)(rows)
        assert found.tobytes() in known, "a prediction that belongs to no step"

    with Helpers(*[predict] * 7):
        for _ in range(steps):
            model.partial_fit(X, y)
            time.sleep(0)
    np.testing.assert_array_equal(getattr(model, name)(rows), getattr(twin, name)(rows))
    return {"predictions": tried[0], "steps": steps}


def optimizer_steps(model):
    """The number of steps that the optimizer counts."""
    optimizer = model._optimizer
    return int(optimizer.t if hasattr(optimizer, "t") else optimizer.tally[2])


def updates(number, _):
    """100 updates by each of four threads."""
    cls = (MLPClassifier, MLPRegressor)[number % 2]
    solver, rows = ("adam", "sgd")[number // 2 % 2], (1, 40)[number // 4 % 2]
    y = LABELS if cls is MLPClassifier else TARGETS[0]
    first = dict(classes=[0, 1, 2]) if cls is MLPClassifier else {}
    model = cls(**SMALL, solver=solver).partial_fit(X, y, **first)
    before = optimizer_steps(model)

    def hundred():
        for _ in range(100):
            model.partial_fit(X[:rows], y[:rows])
        return False

    with Helpers(*[hundred] * 4) as helpers:
        helpers.join()
    assert len(model.loss_curve_) == 401, f"{len(model.loss_curve_) - 1} of 400 losses"
    assert model.t_ == len(X) + 400 * rows, f"t_ is {model.t_}"
    counted = optimizer_steps(model) - before
    assert solver != "adam" or counted == 400, f"{counted} of 400 steps"
    return {"updates": 400}


def while_training(model, X, y):
    """A thread that fits, after its training has begun."""
    thread = threading.Thread(target=model.fit, args=(X, y))
    thread.start()
    time.sleep(0.05)
    return thread


def settings(number, _):
    """Parameters and attributes that are set while another thread fits."""
    solver = ("adam", "sgd", "stopping", "lbfgs")[number % 4]
    model = estimators(solver, 1 + number // 4 % 2)[number // 8 % 2]
    X, y = data(4000)
    thread = while_training(model.set_params(max_iter=60, tol=0, n_iter_no_change=10**6), X, y)
    model.set_params(alpha=0.5)
    model.note, model.max_iter = "mine", 3
    was_early = thread.is_alive()
    thread.join()
    assert model.alpha == 0.5 and model.max_iter == 3 and model.note == "mine"
    assert hasattr(model, "coefs_")
    return {"settings": 3, "during the fit": 3 * was_early}


def written_csr(number, rng):
    """Index arrays of a CSR matrix that are written while another thread fits or predicts."""
    A = sp.random(3000, 400, 0.05, format="csr", random_state=0)
    A.indptr = A.indptr.astype((np.int32, np.int64)[number % 2])
    y = np.arange(3000) % 3
    model = MLPClassifier((50,), random_state=0, n_threads=1 + number // 2 % 2)
    if number // 4 % 2:
        model.set_params(max_iter=2).fit(A, y)
        many = sp.vstack([A] * 20, format="csr")
        target, arrays = (lambda: [model.predict(many) for _ in range(9)]), many
    else:
        model.set_params(max_iter=40, tol=0, solver=("adam", "lbfgs")[number // 8 % 2])
        target, arrays = (lambda: model.fit(A, y)), A
    name = ("indices", "indptr")[number // 16 % 2]
    value = (2_000_000, -5_000_000, 10**9)[rng.randint(3)]
    errors = []

    def call():
        try:
            target()
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    time.sleep(rng.uniform(0, 0.15))
    getattr(arrays, name)[:] = value
    thread.join()
    assert errors or np.isfinite(np.concatenate([w.ravel() for w in model.coefs_])).all()


def written_while_converted(number, rng):
    """Indices of other formats, which SciPy converts, are written during predictions."""
    n, layout = 400_000, ("coo", "csc", "bsr")[number % 3]
    places = rng.randint(0, 200, n), rng.randint(0, 50, n)
    A = sp.coo_array((np.ones(n), places), shape=(200, 50))
    if layout != "coo":
        A = sp.bsr_array(A, blocksize=(1, 1)) if layout == "bsr" else sp.csc_array(A)
    model = MLPRegressor(**SMALL).fit(np.zeros((200, 50)), np.arange(200))
    arrays = A.coords if layout == "coo" else (A.indices, A.indptr)
    written, value = arrays[number // 3 % 2], (2**30, -(2**30))[number // 6 % 2]
    right, outcomes = written.copy(), {"results": 0, "refused": 0}

    def write():
        written[len(written) // 100 :] = value
        time.sleep(0.0005)
        written[:] = right
        time.sleep(0.002)

    with Helpers(write):
        for _ in range(60):
            try:
                assert np.isfinite(model.predict(A)).all()
                outcomes["results"] += 1
            except ValueError as error:
                assert "X has" in str(error)
                outcomes["refused"] += 1
    return outcomes


def written_sparse(number, rng):
    """Index arrays of sparse X in four formats, written by another thread during a call."""
    if number % 2:
        return written_while_converted(number // 2, rng)
    return written_csr(number // 2, rng)


def copied_by(number):
    """A way to copy an estimator."""
    return (copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)))[number % 2]


def copies_beside_refits(number, _):
    """Copies while another thread fits the estimator to other classes or outputs."""
    cls, y = ((MLPClassifier, WORDS), (MLPRegressor, TARGETS))[number // 2 % 2]
    model, copied = cls(**SMALL), copied_by(number)
    known = [clone(model).fit(X, one).predict(X) for one in y]

    def refit():
        for one in y:
            model.fit(X, one)

    refit()
    with Helpers(refit):
        for _ in range(200):
            found = copied(model).predict(X)
            assert any(np.array_equal(found, one) for one in known), "a copy of two models"
    return {"copies": 200}


def copies_beside_steps(number, _):
    """Copies while another thread trains the estimator by partial_fit."""
    copied, steps = copied_by(number), 150
    twin = MLPRegressor(**{**SMALL, "hidden_layer_sizes": (100, 50)}).partial_fit(X, TARGETS[1])
    model, known, done = copy.deepcopy(twin), {twin.predict(X).tobytes()}, [0]
    for _ in range(steps):
        known.add(twin.partial_fit(X, TARGETS[1]).predict(X).tobytes())

    def copy_it():
        done[0] += 1
        found = copied(model)
        assert found.predict(X).tobytes() in known, "a copy that belongs to no step"
        found.partial_fit(X, TARGETS[1])

    with Helpers(copy_it):
        for _ in range(steps):
            model.partial_fit(X, TARGETS[1])
    return {"copies": done[0]}


ROWS = [
    Row(
        "races",
        "refits",
        "A prediction during a refit with other classes, widths or links is the old model's or the "
        "new one's.",
        beside_refits,
        full=20,
        short=5,
        limit=180,
    ),
    Row(
        "races",
        "steps",
        "A prediction beside partial_fit belongs to one step.",
        beside_steps,
        full=16,
        short=3,
    ),
    Row("races", "updates", "No update of four threads is lost.", updates, full=24, short=4),
    Row(
        "races",
        "settings",
        "What another thread sets during a fit stays.",
        settings,
        full=32,
        short=4,
    ),
    Row(
        "races",
        "sparse data",
        "Index arrays of CSR, COO, CSC and BSR that another thread writes during a call give any "
        "result or a ValueError.",
        written_sparse,
        full=96,
        short=8,
    ),
    Row(
        "races",
        "copies",
        "A copy or pickle that is made during a refit is of the old model or the new one.",
        copies_beside_refits,
        full=24,
        short=4,
    ),
    Row(
        "races",
        "copied steps",
        "A copy or pickle that is made beside partial_fit belongs to one step.",
        copies_beside_steps,
        full=24,
        short=2,
    ),
]
