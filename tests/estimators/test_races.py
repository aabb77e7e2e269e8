"""Several threads use one estimator: no update is lost, no prediction is of two models."""

import copy
import ctypes
import os
import pickle
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, MLPRegressor, training
from fastbp.estimators import adopt
from fastbp.estimators.guard import FitLock, guard_of
from fastbp.inspection import activations

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
        if case == "activations":  # a parameter counts at once, as in scikit-learn
            for activation in ("tanh", "relu"):
                expected.add(model.set_params(activation=activation).predict(X).tobytes())

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


@pytest.mark.parametrize("read", [copy.copy, copy.deepcopy])
def test_a_copy_may_meet_a_thread_that_adds_attributes(read):
    """It iterates over the attributes, where Python may turn to another thread at each name."""
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)

    class Name(str):
        """Each look at it adds an attribute, as another thread may do then."""

        def __hash__(self):
            setattr(model, f"note_{len(vars(model))}_", 0)
            return super().__hash__()

    vars(model)[Name("name_")] = 0
    n_attributes = len(vars(model))
    assert read(model).predict(X).tobytes() == model.predict(X).tobytes()
    assert len(vars(model)) > n_attributes


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


def raise_in(thread, exception):
    """Set an exception, which the thread raises between two steps of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(exception)
    )


@pytest.mark.parametrize("call", ["partial_fit", "rate_"])
def test_a_thread_that_waits_for_the_lock_hears_exceptions(call):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    begun, heard = threading.Event(), threading.Event()

    def wait():
        try:
            begun.set()
            model.partial_fit(X, y) if call == "partial_fit" else setattr(model, "rate_", 0.1)
        except Inside:
            heard.set()

    thread = threading.Thread(target=wait)
    with guard_of(model).lock:
        thread.start()
        begun.wait()
        time.sleep(0.05)  # it waits now; a second exception could come when the thread has ended
        raise_in(thread, Inside)
        is_heard = heard.wait(10)
    thread.join()
    assert is_heard
    model.rate_ = 0.2
    assert model.partial_fit(X, y).rate_ == 0.2


def test_an_exception_at_any_moment_of_the_wait_leaves_the_lock_free():
    lock, ready, stop, left = FitLock(), [], [], []

    def enter():
        while not stop:
            with lock:
                pass

    def listen():
        while not stop:
            try:
                ready.append(True)
                enter()  # a loop here could jump back outside of the clause, since Python 3.12
            except Inside:
                left.append(not lock._is_owned())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    for _ in range(500):
        while not ready and thread.is_alive():
            time.sleep(0)
        ready.clear()
        raise_in(thread, Inside)
    while len(left) < 500 and thread.is_alive():
        time.sleep(0)
    stop.append(True)
    thread.join()
    assert left == [True] * 500
    assert lock.acquire(timeout=5)


# ---- code of users that runs within an adoption


def ended(call):
    """Whether call() ends, in a thread."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive()


READS = {
    "predict": lambda model: model.predict(X),
    "list": lambda model: model.predict(X.tolist()),
    "pickle": pickle.dumps,
    "inspect": lambda model: activations(model, X),
    "copy": copy.copy,
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("of", ["coefs_", "_optimizer", "integers", "curve"])
def test_what_a_fit_replaces_may_read_the_estimator_when_it_is_freed(of, read):
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(X, y)
    if of == "integers":
        model.coefs_[0] = np.ones((4, 4), int)
    elif of == "curve":
        model.loss_curve_ = Curve(model.loss_curve_)
    found = []
    weakref.finalize(
        {
            "coefs_": lambda: model.coefs_[1],
            "integers": lambda: model.coefs_[0],
            "_optimizer": lambda: model._optimizer.state,
            "curve": lambda: model.loss_curve_,
        }[of](),
        lambda: found.append(READS[read](model)),
    )
    model.set_params(random_state=1)
    changes = model.partial_fit if of in ("_optimizer", "integers") else model.fit
    assert ended(lambda: changes(X, y).predict(X))  # a prediction frees the last model
    assert len(found) == 1
    if read == "predict":  # whatever is freed, is freed when the new model is whole
        np.testing.assert_array_equal(found[0], model.predict(X))


@pytest.mark.parametrize("read", READS)
def test_a_thread_that_adopts_does_not_wait_for_itself(read, monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(4,), random_state=0).partial_fit(X, y)
    found = []

    def reading(action):
        found.append(READS[read](model))
        action()

    monkeypatch.setattr(adopt, "call", reading)
    assert ended(lambda: model.partial_fit(X, y))
    assert len(found) > 3


class Curve(list):
    """A list that can be referred to weakly."""


# ---- forks


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def in_child(check):
    """Whether check() is true in a child of this process."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def moment(model):
    """What a step changes."""
    optimizer = model._optimizer
    state = optimizer.t, optimizer.state.tobytes()
    return len(model.loss_curve_), model.t_, model.predict(X).tobytes(), state


@needs_fork
def test_a_child_can_fit_what_another_thread_was_fitting(monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    expected = pickle.loads(pickle.dumps(model)).partial_fit(X, y).predict(X)
    run, held, done = training.run, threading.Event(), threading.Event()

    def slow_run(job, watches):
        held.set()
        done.wait()
        return run(job, watches)

    monkeypatch.setattr(training, "run", slow_run)
    thread = threading.Thread(target=model.partial_fit, args=(X, y))
    thread.start()
    held.wait()
    monkeypatch.undo()
    is_right = in_child(lambda: np.array_equal(model.partial_fit(X, y).predict(X), expected))
    done.set()
    thread.join()
    assert is_right


@needs_fork
@pytest.mark.parametrize("weights", ["own", "foreign"])
def test_a_fork_waits_until_another_thread_has_adopted(weights, monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, y)
    if weights == "foreign":
        model.coefs_[1] = model.coefs_[1].copy()
    expected = moment(pickle.loads(pickle.dumps(model)).partial_fit(X, y))
    half = threading.Event()

    def slowly(action):
        action()
        half.set()
        time.sleep(0.1)

    monkeypatch.setattr(adopt, "call", slowly)
    thread = threading.Thread(target=model.partial_fit, args=(X, y))
    thread.start()
    half.wait()
    is_whole = in_child(lambda: moment(model) == expected)
    thread.join()
    assert is_whole


@needs_fork
def test_a_fork_within_an_adoption_goes_on_in_both_processes(monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    expected = [moment(twin.partial_fit(X, y)) for _ in range(2)]
    calls, pids = [], []

    def forking(action):
        calls.append(action)
        if len(calls) == 3:
            pids.append(os.fork())
        action()

    monkeypatch.setattr(adopt, "call", forking)
    found = []
    try:
        found.append(moment(model.partial_fit(X, y)))
        monkeypatch.undo()
        found.append(moment(model.partial_fit(X, y)))
    finally:
        if pids == [0]:
            os._exit(found != expected)
    assert found == expected
    assert os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]) == 0


# ---- what other threads set during a fit


@pytest.fixture
def meanwhile(monkeypatch):
    """A function that sets what is done while the next fits train."""

    def during(action):
        run = training.run
        monkeypatch.setattr(training, "run", lambda *given: (run(*given), action())[0])

    return during


CALLS = ["partial_fit", "warm fit", "warm lbfgs"]


def continued(call, **parameters):
    """A fitted model, and the method that trains it further."""
    parameters = dict(hidden_layer_sizes=(3, 3), max_iter=2, random_state=0) | parameters
    parameters |= dict(warm_start=call != "partial_fit")
    if call == "warm lbfgs":
        parameters |= dict(solver="lbfgs")
    model = MLPRegressor(**parameters).fit(X, y)
    return model, model.partial_fit if call == "partial_fit" else model.fit


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("before", ["own", "foreign", "tuple"])
@pytest.mark.parametrize("what", ["list", "array", "bias"])
def test_weights_that_are_set_during_a_fit_stay(call, before, what, meanwhile):
    model, train = continued(call)
    if before == "foreign":
        model.coefs_[1] = model.coefs_[1].copy()
    elif before == "tuple":
        model.coefs_ = tuple(model.coefs_)
        if what == "array":
            pytest.skip("a tuple takes no array")
    kept = [*model.coefs_, *model.intercepts_]
    expected = pickle.loads(pickle.dumps(model))
    (expected.partial_fit if call == "partial_fit" else expected.fit)(X, y)
    mine = [np.zeros_like(w) for w in model.coefs_]
    bias = np.zeros_like(model.intercepts_[0])

    def put():
        if what == "list":
            model.coefs_ = mine
        elif what == "array":
            model.coefs_[1] = mine[1]
        else:
            model.intercepts_[0] = bias

    meanwhile(put)
    train(X, y)
    assert not any(w.any() for w in mine) and not bias.any()
    if what == "list":
        assert model.coefs_ is mine
    elif what == "array":
        assert model.coefs_[1] is mine[1]
    else:
        assert model.intercepts_[0] is bias
    for ours, theirs in zip(model.intercepts_[1:], expected.intercepts_[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if call != "warm lbfgs":  # the arrays that the fit began with are trained, as in scikit-learn
        for ours, theirs in zip(kept, [*expected.coefs_, *expected.intercepts_], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("name", "value"), [("out_activation_", "tanh"), ("n_layers_", 3), ("n_outputs_", 7)]
)
def test_facts_that_are_set_during_a_fit_stay(call, name, value, meanwhile):
    model, train = continued(call)
    meanwhile(lambda: setattr(model, name, value))
    train(X, y)
    assert getattr(model, name) == value
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))


@pytest.mark.parametrize("call", CALLS[:2])
def test_losses_that_are_added_during_a_fit_stay(call, meanwhile):
    model, train = continued(call)
    curve = model.loss_curve_
    meanwhile(lambda: model.loss_curve_.append(7.0))
    train(X, y)
    assert model.loss_curve_ is curve and curve[2] == 7.0
    assert len(curve) == 3 + model.n_iter_


@pytest.mark.parametrize("call", CALLS[:2])
def test_a_curve_that_is_set_during_a_fit_gets_the_losses(call, meanwhile):
    model, train = continued(call)
    curve, mine = model.loss_curve_, []
    meanwhile(lambda: setattr(model, "loss_curve_", mine))
    train(X, y)
    assert model.loss_curve_ is mine and len(mine) == model.n_iter_ and len(curve) == 2


def test_the_rate_set_during_a_fit_stays(monkeypatch):
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).fit(X, y)
    run = training.run

    def meanwhile(job, watches):
        model._optimizer.learning_rate_init = 0.5
        return run(job, watches)

    monkeypatch.setattr(training, "run", meanwhile)
    model.partial_fit(X, y)
    assert model._optimizer.learning_rate_init == model.rate_ == 0.5
