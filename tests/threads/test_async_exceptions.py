"""Exceptions that one thread sets in another, as time limits do, are heard within an epoch."""

import ctypes
import gc
import pickle
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.network import Network
from fastbp.threads import Team, blas, cores
from fastbp.training import ValidationSet, gradient, minibatch
from interrupts import THREADS, InterruptAt, ranks_alive, wait_for_ranks

pytestmark = [
    pytest.mark.usefixtures("nothing_remains"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
SOON = 1.0  # seconds; what is interrupted takes several times as long


class TimeIsUp(Exception):
    """What a time limit raises."""


@contextmanager
def time_limit(seconds, exception=TimeIsUp):
    """Set the exception in this thread after so many seconds of training; yields when, in a list.

    It has to be raised inside the context.
    """
    caller, when, over = threading.get_ident(), [], threading.Event()

    def end():
        while not cores._cores_taken and not over.is_set():
            time.sleep(0.001)
        time.sleep(seconds)
        when.append(time.monotonic())
        if not over.is_set():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(caller), ctypes.py_object(exception)
            )

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield when
    finally:
        over.set()
        thread.join()


def data(n=60_000, features=100):
    rng = np.random.RandomState(0)
    return rng.randn(n, features).astype(np.float32), rng.randint(0, 5, n)


def spied(monkeypatch, owner, name, seen):
    """Append the arguments of each call to seen."""
    function = getattr(owner, name)

    def spy(*arguments, **keywords):
        seen.append((*arguments, *keywords.values()))
        return function(*arguments, **keywords)

    monkeypatch.setattr(owner, name, spy)


def assert_limit_is_heard(model, act, seconds=0.3, exception=TimeIsUp):
    """Act under a time limit: it ends soon, and the model stays as it was."""
    before, names = pickle.dumps(model), sorted(vars(model))
    with time_limit(seconds, exception) as when:
        with pytest.raises(exception):
            act()
        late = time.monotonic() - when[0]
    assert late < SOON
    assert pickle.dumps(model) == before and sorted(vars(model)) == names


# Each pair of two of the three.
@pytest.mark.parametrize(
    "solver, n_threads, fitted",
    [("sgd", 1, False), ("sgd", 2, True), ("adam", 1, True), ("adam", 2, False)],
)
def test_it_is_heard_within_an_epoch(solver, n_threads, fitted, monkeypatch):
    X, y = data()
    model = MLPClassifier((1000, 1000), solver=solver, n_threads=n_threads, random_state=0)
    if fitted:
        model.set_params(max_iter=1, warm_start=True).fit(X[:200], y[:200])
    trained = []
    spied(monkeypatch, minibatch, "train", trained)
    assert_limit_is_heard(model, lambda: model.fit(X, y))
    steps = trained[0][1].tally[2]
    assert steps < len(X) / 200 / 2  # most of the epoch was not done
    with time_limit(0.3):  # `partial_fit` is one epoch
        twin = MLPClassifier((1000, 1000), solver=solver, n_threads=n_threads)
        with pytest.raises(TimeIsUp):
            twin.partial_fit(X, y, classes=range(5))
    assert not hasattr(twin, "coefs_")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_it_is_heard_within_an_evaluation_of_lbfgs(n_threads, monkeypatch):
    X, y = data()
    made = []
    spied(monkeypatch, gradient.Gradient, "__init__", made)
    model = MLPRegressor(
        hidden_layer_sizes=(1500, 1500), solver="lbfgs", n_threads=n_threads, random_state=0
    )
    assert_limit_is_heard(model, lambda: model.fit(X, y))
    assert made[0][0].tally[1] == 0  # the first evaluation was not finished


@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_it_is_heard_within_a_prediction_of_many_rows(n_threads, monkeypatch):
    X, y = data(200_000)
    model = MLPClassifier((1000, 1000), max_iter=1, n_threads=n_threads).fit(X[:200], y[:200])
    chunks = []
    spied(monkeypatch, Network, "predict", chunks)
    model.predict(X[:2])
    assert_limit_is_heard(model, lambda: model.predict_proba(X))
    done = sum(len(chunk[3]) for chunk in chunks)
    assert done < len(X) / 2


@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_it_is_heard_within_a_validation(n_threads, monkeypatch):
    """The epochs of two rows are short, the validation set is large."""
    X, y = data(200_000)
    chunks = []
    spied(monkeypatch, ValidationSet, "_validate", chunks)
    model = MLPClassifier((1000, 1000), early_stopping=True, max_iter=1, n_threads=n_threads)
    assert_limit_is_heard(model, lambda: model.fit(X[:5], np.arange(5), X_val=X, y_val=y))
    assert 0 < sum(part.stop - part.start for _, _, part in chunks) < len(X) / 2


def test_a_keyboard_interrupt_from_another_thread_ends_training_as_ctrl_c_does():
    X, y = data()
    model = MLPClassifier((1000, 1000), random_state=0, n_threads=2)
    with time_limit(0.3, KeyboardInterrupt) as when, pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, y)
    assert time.monotonic() - when[0] < SOON
    assert 0 < model._optimizer.tally[2] < len(X) / 200 / 2 and model.n_iter_ == 0


def long_activation(z):
    for _ in range(100):
        z = z + fg.tanh(z)
    return z


def long_loss(raw, y):
    return long_activation(raw - y) ** 2


@pytest.mark.parametrize("n_threads", [None, 1])
@pytest.mark.parametrize(
    "parameters, inline",
    [
        (dict(hidden_layer_sizes=(2,)), True),
        (dict(hidden_layer_sizes=(2,), solver="lbfgs"), True),
        (dict(hidden_layer_sizes=(), batch_size=1), False),
        (dict(hidden_layer_sizes=(), loss=long_loss), False),
        (dict(hidden_layer_sizes=(1,), activation=long_activation, batch_size=200), False),
        (dict(hidden_layer_sizes=(), loss=long_loss, solver="lbfgs"), False),
    ],
)
def test_a_first_epoch_of_little_work_and_much_time_has_a_thread(
    parameters, inline, n_threads, monkeypatch
):
    """In the calling thread nothing is heard before its end."""
    X, _ = data(30_000, 1)
    made = []
    spied(monkeypatch, Team, "__init__", made)
    MLPRegressor(max_iter=1, max_fun=1, n_threads=n_threads, **parameters).fit(X, X[:, 0])
    _, size, starts_inline = made[0]
    assert (size == 1 and starts_inline) == inline


@pytest.mark.parametrize(
    "parameters",
    [
        dict(n_threads=2),
        dict(n_threads=1, early_stopping=True),
        dict(n_threads=2, solver="lbfgs"),
    ],
)
def test_an_exception_at_any_line_of_the_launch_leaves_the_estimator_as_it_was(
    parameters, monkeypatch
):
    monkeypatch.setattr("fastbp.network.inference.PREDICT_WORK", 1)  # chunks of 64 rows
    X, y = data(1200)  # of which 120 are held out: two chunks, which ranks share
    model = MLPClassifier((8,), max_iter=2, max_fun=3, random_state=0, **parameters).fit(X, y)
    model.set_params(random_state=1)
    before = pickle.dumps(model)
    line = 0
    while True:
        line += 3
        with InterruptAt(line, THREADS, TimeIsUp) as tracer:
            try:
                model.fit(X, y)
            except TimeIsUp:
                pass
        if tracer.raised is None:
            break
        gc.collect()
        wait_for_ranks()
        assert pickle.dumps(model) == before, tracer.raised
        assert not ranks_alive() and not cores._cores_taken and not blas._users, tracer.raised
    assert line > 60 and pickle.dumps(model) != before
