"""Several threads use one estimator: no update is lost, no prediction is of two models."""

import copy
import os
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, MLPRegressor, training
from fastbp.estimators.guard import guard_of

X, y = load_iris(return_X_y=True)
X = X[::3].copy()
y = y[::3]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def often():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def beside(change, look, times, n_threads=8):
    """The results of look(), called `times` in each of the threads while another one changes.

    There are at least five changes.
    """
    stop, failures, changes = threading.Event(), [], []

    def changing():
        try:
            while not stop.is_set() or len(changes) < 5:
                change()
                changes.append(None)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=changing)
    thread.start()
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            calls = [pool.submit(lambda: [look() for _ in range(times)]) for _ in range(n_threads)]
            found = [result for call in calls for result in call.result()]
            while len(changes) < 5 and thread.is_alive():
                found.append(look())
    finally:
        stop.set()
        thread.join()
    assert not failures
    return found


LETTERS = np.array(list("abc"))[np.arange(len(X)) % 3], np.array(list("xy"))[np.arange(len(X)) % 2]
REFITS = {
    "classes": (MLPClassifier, [({}, LETTERS[0]), ({}, LETTERS[1])]),
    "widths": (
        MLPRegressor,
        [({"hidden_layer_sizes": (30, 20)}, y), ({"hidden_layer_sizes": (3,)}, y * 100.0)],
    ),
    "links": (MLPRegressor, [({"loss": "poisson"}, y), ({"loss": "squared_error"}, y * 5.0)]),
    "outputs": (MLPRegressor, [({}, y), ({}, np.c_[y, y + 1.0])]),
    "activations": (MLPRegressor, [({"activation": "tanh"}, y), ({"activation": "relu"}, y)]),
    "warm lbfgs": (
        MLPRegressor,
        [({"solver": "lbfgs", "warm_start": True, "max_iter": n, "tol": 0}, y) for n in (1, 3)],
    ),
}


@pytest.mark.parametrize("form", ["array", "list"])
@pytest.mark.parametrize("case", REFITS)
def test_each_prediction_beside_refits_is_that_of_one_model(case, form):
    kind, settings = REFITS[case]
    model = kind(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    method = "predict_proba" if kind is MLPClassifier else "predict"
    x = X if form == "array" else X.tolist()
    expected, change = set(), 0
    for parameters, targets in settings * (1 if case != "warm lbfgs" else 40):
        model.set_params(**parameters).fit(X, targets)
        expected.add(getattr(model, method)(X).tobytes())

    def refit():
        nonlocal change
        change += 1
        parameters, targets = settings[change % 2]
        model.set_params(**parameters).fit(X, targets)
        if case == "warm lbfgs":
            expected.add(getattr(model, method)(X).tobytes())

    found = beside(
        refit, lambda: getattr(model, method)(x).tobytes(), 60 if form == "list" else 200
    )
    if case != "activations":  # a parameter counts at once, as in scikit-learn
        assert set(found) <= expected
    assert change > 1


@pytest.mark.parametrize("weights", ["own", "foreign", "cast"])
def test_each_prediction_beside_partial_fit_belongs_to_one_step(weights):
    """The widths are such that a step takes a while and its result is copied in many lines."""
    model = MLPRegressor(
        hidden_layer_sizes=(300, 200), solver="sgd", random_state=0, learning_rate_init=1e-3
    ).partial_fit(X, y)
    if weights != "own":
        dtype = np.float64 if weights == "foreign" else np.float32
        model.coefs_[1] = model.coefs_[1].astype(dtype)
    steps = {model.predict(X).tobytes()}

    def step():
        model.partial_fit(X, y)
        steps.add(model.predict(X).tobytes())

    found = beside(step, lambda: model.predict(X).tobytes(), 60, 4)
    assert len(steps) > 3 and set(found) <= steps


def test_many_rows_beside_partial_fit_belong_to_one_step():
    rows = np.resize(X, (3000, 4))
    model = MLPRegressor(hidden_layer_sizes=(100, 50), random_state=0).partial_fit(X, y)
    steps = {model.predict(rows).tobytes()}

    def step():
        model.partial_fit(X, y)
        steps.add(model.predict(rows).tobytes())

    assert set(beside(step, lambda: model.predict(rows).tobytes(), 15, 3)) <= steps


@pytest.mark.parametrize("read", [pickle.dumps, copy.deepcopy, copy.copy])
def test_each_copy_beside_partial_fit_is_of_one_moment(read):
    model = MLPRegressor(hidden_layer_sizes=(200, 100), random_state=0).partial_fit(X, y)

    def outputs(copied):
        copied = pickle.loads(copied) if type(copied) is bytes else copied
        optimizer = copied._optimizer
        state = optimizer.t, optimizer.state.tobytes()
        return len(copied.loss_curve_), copied.t_, copied.predict(X).tobytes(), state

    steps = {outputs(read(model))}

    def step():
        model.partial_fit(X, y)
        steps.add(outputs(model))

    assert {outputs(one) for one in beside(step, lambda: read(model), 20, 3)} <= steps


def test_a_copy_has_the_optimizer_of_its_weights(monkeypatch):
    """A step comes between the weights, which were read, and what is done with them."""
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, y)
    module = sys.modules["fastbp.estimators.base"]
    read = module.between_changes

    def then_a_step(*arguments):
        state = read(*arguments)
        model.partial_fit(X, y)
        return state

    monkeypatch.setattr(module, "between_changes", then_a_step)
    copied = copy.copy(model)
    monkeypatch.undo()
    assert len(copied.loss_curve_) == copied._optimizer.t == 1 and model._optimizer.t == 2


@pytest.mark.parametrize("n_rows", [1, 50])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_no_update_is_lost(solver, n_rows):
    def model():
        return MLPRegressor(hidden_layer_sizes=(10,), solver=solver, random_state=0)

    ours, alone = model().partial_fit(X, y), model().partial_fit(X, y)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(400):
            pool.submit(ours.partial_fit, X[:n_rows], y[:n_rows])
    for _ in range(400):
        alone.partial_fit(X[:n_rows], y[:n_rows])
    assert len(ours.loss_curve_) == 401 and ours.t_ == len(X) + 400 * n_rows
    assert ours._optimizer.t == 401
    np.testing.assert_array_equal(ours.predict(X), alone.predict(X))


def test_first_calls_of_partial_fit_count_too():
    for _ in range(5):
        model = MLPClassifier((4,), random_state=0)
        with ThreadPoolExecutor(4) as pool:
            for call in [pool.submit(model.partial_fit, X, y, classes=[0, 1, 2]) for _ in range(8)]:
                call.result()
        assert len(model.loss_curve_) == 8


def test_scikit_learn_need_not_iterate_over_attributes():
    """It does in each call of `partial_fit`, where another thread may add attributes."""
    model = MLPClassifier((4,), random_state=0)
    assert not model.__sklearn_is_fitted__()
    model.note_ = 1  # no sign of a fit
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert model.partial_fit(X, y, classes=[0, 1, 2]).__sklearn_is_fitted__()

    class Undecided(MLPClassifier):
        def __sklearn_is_fitted__(self):
            return False

    with pytest.raises(NotFittedError):
        Undecided((4,), max_iter=1).fit(X, y).predict(X)


def test_warm_starts_continue_each_other():
    model = MLPRegressor(hidden_layer_sizes=(4,), warm_start=True, max_iter=1, random_state=0)
    with ThreadPoolExecutor(4) as pool:
        for call in [pool.submit(model.fit, X, y) for _ in range(20)]:
            call.result()
    assert len(model.loss_curve_) == 20 and model.t_ == 20 * len(X)


# ---- the lock


class Inside(Exception):
    """Raised during a fit."""


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_a_fit_within_a_fit_is_refused(monkeypatch, call):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    before, run = pickle.dumps(model), training.run

    def within(job, watches):
        with pytest.raises(RuntimeError, match="already fitting this MLPRegressor"):
            getattr(model, call)(X, y)
        clone(model).set_params(max_iter=1)  # others may be fitted
        raise Inside

    monkeypatch.setattr(training, "run", within)
    with pytest.raises(Inside):
        model.partial_fit(X, y)
    monkeypatch.setattr(training, "run", run)
    assert pickle.dumps(model) == before
    model.partial_fit(X, y)  # the lock was released


def test_the_lock_is_neither_pickled_nor_cloned_nor_shared():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert guard_of(twin) is not guard_of(model)
    assert "_guard" not in vars(model) and not hasattr(clone(model), "_guard")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_can_fit_what_another_thread_was_fitting():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    guard = guard_of(model)
    held, done = threading.Event(), threading.Event()

    def hold():
        with guard.lock:
            guard.changes[0] += 1
            held.set()
            done.wait()
            guard.changes[0] += 1

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    pid = os.fork()
    if pid == 0:
        try:
            model.partial_fit(X, y).predict(X)
            os._exit(0)
        except BaseException:
            os._exit(1)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_rate_set_during_a_fit_stays(monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    run = training.run

    def meanwhile(job, watches):
        model._optimizer.learning_rate_init = 0.5
        return run(job, watches)

    monkeypatch.setattr(training, "run", meanwhile)
    model.partial_fit(X, y)
    assert model._optimizer.learning_rate_init == model.rate_ == 0.5
