"""Interrupts: at lines of the launch, as signals at random times, and as set exceptions."""

import _thread
import ctypes
import os
import signal
import sys
import threading
import time

import numpy as np
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor
from interrupts import THREADS, TRAINING, InterruptAt
from trust.common import FOREVER, SOLVERS, Fresh, Untouched, data, estimators, state
from trust.harness import Row

FEW = dict(max_iter=3, max_fun=5)


def configuration(number):
    """An estimator and its data, by number: solver, threads, kind."""
    solvers = list(SOLVERS)
    X, y = data()
    pair = estimators(solvers[number % 4], 1 + number // 4 % 2)
    return pair[number // 8 % 2], X, y


def check_after(model, before, heard, X):
    """Assert that an interrupted estimator is as before or usable."""
    if heard and state(model) == before:
        return
    assert np.isfinite(model.predict(X[:5])).all()
    curve = getattr(model, "loss_curve_", None)  # lbfgs has none
    assert curve is None or len(curve) == model.n_iter_


def at_a_line(number, rng):
    """KeyboardInterrupt at a random line of launch, training and clean-up."""
    model, X, y = configuration(number)
    model.set_params(**FEW)
    untouched, fresh = Untouched(), Fresh(model, X, y)
    files = THREADS + TRAINING
    lines = 10**9
    with InterruptAt(lines, files) as counter:
        clone(model).fit(X, y)
    before, heard = state(model), False
    with InterruptAt(rng.randint(1, lines - counter.left + 1), files) as tracer:
        try:
            model.fit(X, y)
        except KeyboardInterrupt:
            heard = True
    untouched.check()
    check_after(model, before, heard, X)
    fresh.check(model)
    # Not each fit has as many lines as the counted one: waits are repeated until they end.
    return {"interrupts": int(tracer.raised is not None)}


def under_signals(call, delays):
    """Run call() while SIGINT comes after each of the delays; whether it raised."""
    inside, done = [True], []

    def handle(*_):
        if inside:
            raise KeyboardInterrupt

    def send():
        for delay in delays:
            time.sleep(delay)
            os.kill(os.getpid(), signal.SIGINT)
        done.append(True)

    known = signal.signal(signal.SIGINT, handle)
    heard = False
    _thread.start_new_thread(send, ())  # the signal interrupts the main thread only
    try:
        try:
            call()
        finally:
            inside.clear()
    except KeyboardInterrupt:
        heard = True
    while not done:
        time.sleep(0.001)
    signal.signal(signal.SIGINT, known)
    return heard


def by_signals(number, rng):
    """One SIGINT, or twelve, at random times of an endless fit."""
    model, X, y = configuration(number)
    untouched, fresh = Untouched(), Fresh(model.set_params(**FEW), X, y)
    model.set_params(**FOREVER, max_fun=10**9)
    storm = number // 16 % 2
    delays = rng.uniform(0, 0.06, 1) if not storm else rng.uniform(0, 0.01, 12)
    before = state(model)
    heard = under_signals(lambda: model.fit(X, y), delays)
    untouched.check()
    check_after(model, before, heard, X)
    model.set_params(tol=1e-4, n_iter_no_change=10)
    fresh.model.set_params(tol=1e-4, n_iter_no_change=10)
    fresh.check(model.set_params(**FEW))
    return {"signals": len(delays)}


def in_predict(number, rng):
    """SIGINT during a prediction of many rows."""
    X, y = data()
    cls = (MLPClassifier, MLPRegressor)[number % 2]
    model = cls(hidden_layer_sizes=(50,), max_iter=2, random_state=0, n_threads=1 + number // 2 % 2)
    model.fit(X, y)
    many = np.tile(X, (500, 1))
    expected, before, untouched = model.predict(many), state(model), Untouched()
    for delay in rng.uniform(0, 0.05, 5):
        under_signals(lambda: model.predict(many), [delay])
        untouched.check()
    assert state(model) == before
    np.testing.assert_array_equal(model.predict(many), expected)
    return {"signals": 5}


class Stop(Exception):
    """The exception that is set into a thread."""


def set_exception(thread, exception):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(exception)
    )


def into_a_thread(number, rng):
    """An exception set into the thread that fits, in epochs of half a minute and of no time."""
    long = number % 10 == 0
    model, X, y = configuration(number)
    if long:
        X, y = (np.tile(part, (500, 1)[: part.ndim]) for part in data(features=100))
        model.set_params(hidden_layer_sizes=(1000, 1000), batch_size=200)
    model.set_params(**FOREVER, max_fun=10**9)
    raised, untouched, before, begun = [], Untouched(), state(model), threading.Event()

    def fit():
        try:
            begun.set()
            model.fit(X, y)
        except Stop as error:
            raised.append(error)

    thread = threading.Thread(target=fit)
    thread.start()
    begun.wait()  # on a busy machine an exception could end the thread before it fits
    time.sleep(rng.uniform(0, 0.1) + long)
    # Before Python 3.12 a thread that has not begun has the number of the thread that starts it,
    # and gets its exception. So a rank can take one at the start of a fit, but not a second one.
    for _ in range(1 + (sys.version_info < (3, 12))):
        set_exception(thread, Stop)
        thread.join(5)
        if not thread.is_alive():
            break
    assert not thread.is_alive(), "it was not heard for five seconds"
    untouched.check()
    assert raised
    check_after(model, before, True, X)


ROWS = [
    Row(
        "interrupts",
        "lines",
        "KeyboardInterrupt at any line of Python of a fit leaves no thread, no limit of BLAS, no "
        "reserved core, and an estimator as before or usable; the next fit has a first one's bits.",
        at_a_line,
        full=1200,
        short=16,
    ),
    Row(
        "interrupts",
        "signals",
        "SIGINT, also twelve in a row, ends any fit, with the same.",
        by_signals,
        full=640,
        short=16,
        limit=30,
    ),
    Row(
        "interrupts",
        "predictions",
        "SIGINT during a prediction of many rows changes nothing.",
        in_predict,
        full=60,
        short=4,
        limit=30,
    ),
    Row(
        "interrupts",
        "threads",
        "An exception set into a thread ends its fit, however long an epoch is.",
        into_a_thread,
        full=120,
        short=10,
        limit=60,
    ),
]
