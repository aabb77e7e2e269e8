"""Forks, other processes and ends of the process while a fit runs."""

import copy
import multiprocessing
import os
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from fastbp import MLPRegressor
from fits import bits
from trust.common import BATCHES, FOREVER, data, estimators
from trust.harness import Row


def fitted_bits(model, X, y):
    """The bits of a fit and of its predictions, one row and many."""
    model.fit(X, y)
    return bits(model) + model.predict(X[:1]).tobytes() + model.predict(X).tobytes()


def in_a_fork(number, rng):
    """A fork while another thread fits; the child fits and predicts."""
    solver = ("adam", "sgd", "lbfgs", "stopping")[number % 4]
    n_threads = 1 + number // 4 % 2
    X, y = data()
    model, _ = estimators(solver, n_threads)
    model.set_params(max_iter=3)
    expected = fitted_bits(model, X, y)
    busy = estimators(solver, n_threads)[0].set_params(**FOREVER)
    threading.Thread(target=busy.fit, args=(X, y), daemon=True).start()
    for _ in range(4):
        time.sleep(rng.uniform(0, 0.03))
        child = os.fork()
        if child == 0:
            try:
                os._exit(int(fitted_bits(model, X, y) != expected))
            finally:
                os._exit(2)  # an exception
        wait_for(child)
    return {"forks": 4 + beside_its_steps(n_threads, rng)}


def wait_for(child):
    """Wait for a child, which has to end without an error; if it hangs, this case does."""
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child ended with {os.waitstatus_to_exitcode(status)}"


def beside_its_steps(n_threads, rng):
    """The number of forks while another thread trains the same estimator by partial_fit.

    Its weights are so many, and its step so short, that much of the time they are being copied.
    """
    X, y = np.ones((1, 500)), np.ones(1)
    parameters = dict(hidden_layer_sizes=(800, 800), solver="sgd", learning_rate_init=1e-4)
    model = MLPRegressor(**parameters, random_state=0, n_threads=n_threads).partial_fit(X, y)
    twin, forks, steps = copy.deepcopy(model), 0, 15
    known = {1: twin.predict(X).tobytes()}
    for step in range(2, steps + 3):
        known[step] = twin.partial_fit(X, y).predict(X).tobytes()

    def whole():
        return known[model.t_] == model.predict(X).tobytes() and len(model.loss_curve_) == model.t_

    thread = threading.Thread(target=lambda: [model.partial_fit(X, y) for _ in range(steps)])
    thread.start()
    while thread.is_alive():
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if whole() and model.partial_fit(X, y) and whole() else 1)
            finally:
                os._exit(2)  # an exception
        forks += 1
        wait_for(child)
        time.sleep(rng.uniform(0, 0.01))
    thread.join()
    return forks


def spawned(number, _):
    """A fit in processes that multiprocessing or loky starts, while one runs here."""
    X, y = data()
    model, _ = estimators(("adam", "lbfgs")[number % 2], 2)
    model.set_params(max_iter=3)
    expected = bits(model.fit(X, y))
    busy = estimators("adam", 2)[0].set_params(**FOREVER)
    threading.Thread(target=busy.fit, args=(X, y), daemon=True).start()
    if number // 2 % 2:
        # Not joblib.Parallel: a fork has the pool of its parent, but not the threads of that pool.
        with ProcessPoolExecutor(2) as pool:
            calls = [pool.submit(model.fit, X, y) for _ in range(4)]
            found = [call.result() for call in calls]
    else:
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            found = pool.starmap(model.fit, [(X, y)] * 4)
    assert all(bits(other) == expected for other in found)
    return {"fits": 4}


PROGRAM = """
import os, sys, threading, time, warnings
import joblib
import numpy as np
from fastbp import MLPClassifier
warnings.simplefilter("ignore")
X, y = np.random.RandomState(0).randn(400, 20), np.arange(400) % 3
model = MLPClassifier({parameters})
rows = np.tile(X, (200, 1))

def fits():
    model.fit(X, y)

def small_fits():
    for _ in range({repeats}):
        MLPClassifier((5,), max_iter=2).fit(X, y)

def predictions():
    known = MLPClassifier((50,), max_iter=2, n_threads={n_threads}).fit(X, y)
    for _ in range({repeats}):
        known.predict(rows)

def exits():
    model.fit(X, y)
    sys.exit()

thread = threading.Thread(target={target}, daemon={daemon})
thread.start()
time.sleep({delay})
{end}
"""
ENDS = ("", "sys.exit(0)", "os._exit(0)", "raise SystemExit")
TARGETS = ("fits", "small_fits", "predictions", "exits")


def at_exit(number, rng):
    """The end of an interpreter in which threads fit and predict."""
    daemon = number % 3 != 0
    target = TARGETS[number // 3 % 4]
    parameters = dict(BATCHES, solver=("adam", "lbfgs")[number // 12 % 2])
    parameters["n_threads"] = n_threads = 1 + number // 24 % 2
    endless = daemon and target != "exits"
    program = PROGRAM.format(
        parameters=", ".join(f"{name}={value!r}" for name, value in parameters.items())
        + (", max_iter=10**8, tol=0, n_iter_no_change=np.inf" if endless else ", max_iter=20"),
        repeats=10**8 if endless else 3,
        n_threads=n_threads,
        target=target,
        daemon=daemon,
        delay=round(rng.uniform(0, 0.2), 4),
        end=ENDS[rng.randint(len(ENDS))],
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stderr}\n{program}"
    assert not done.stderr, f"{done.stderr}\n{program}"


def beside_each_other(number, _):
    """Fits of eight estimators in eight threads, and predictions of one in sixteen."""
    X, y = data()
    models = [estimators(("adam", "sgd")[number % 2], 1 + k % 2)[0] for k in range(8)]
    expected = bits(models[0].set_params(max_iter=3).fit(X, y))
    with joblib.parallel_config("threading", n_jobs=16):
        fits = joblib.Parallel()(
            joblib.delayed(model.set_params(max_iter=3).fit)(X, y) for model in models * 10
        )
        assert all(bits(model) == expected for model in fits)
        known = models[0].predict_proba(X)
        found = joblib.Parallel()(joblib.delayed(models[0].predict_proba)(X) for _ in range(640))
    assert all(np.array_equal(proba, known) for proba in found)
    return {"fits": 80, "predictions": 640}


ROWS = [
    Row(
        "forks",
        "fork",
        "A child that is forked while another thread fits can fit and predict, with the same bits.",
        in_a_fork,
        full=160,
        short=4,
        limit=30,
    ),
    Row(
        "forks",
        "processes",
        "Processes of multiprocessing (spawn) and of loky give the same bits.",
        spawned,
        full=8,
        short=1,
        limit=90,
    ),
    Row(
        "forks",
        "exits",
        "The interpreter ends at once and without a word while threads fit or predict.",
        at_exit,
        full=144,
        short=2,
        limit=30,
    ),
    Row(
        "forks",
        "threads",
        "Fits and predictions in many threads have the bits of those in one.",
        beside_each_other,
        full=6,
        short=1,
    ),
]
