"""Fits that are stopped and go on: kills during Checkpoint, resume, callbacks that raise."""

import copy
import os
import pickle
import signal
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import Checkpoint, StopWhen
from fits import bits
from trust.common import data
from trust.harness import Row

X, LABELS = data(90, 5)
EPOCHS = 7


def drawn(rng):
    """An estimator with drawn parameters, and the data of its fit."""
    parameters = dict(
        hidden_layer_sizes=[(6,), (5, 4)][rng.randint(2)],
        solver=str(rng.choice(["adam", "sgd"])),
        learning_rate=str(rng.choice(["constant", "invscaling", "adaptive", "onecycle"])),
        batch_size=int(rng.choice([1, 20, 90])),
        shuffle=bool(rng.randint(2)),
        early_stopping=bool(rng.randint(2)),
        n_iter_no_change=int(rng.choice([2, 50])),
        tol=float(rng.choice([0.0, 1e-2])),
        dropout=float(rng.choice([0.0, 0.3])),
        ema_decay=[None, 0.9][rng.randint(2)],
        clip_norm=[None, 0.1][rng.randint(2)],
        weight_decay=float(rng.choice([0.0, 0.1])),
        n_threads=int(rng.randint(1, 4)),
        random_state=int(rng.randint(1000)),
        max_iter=EPOCHS,
    )
    x = X.astype(rng.choice([np.float32, np.float64]))
    if rng.randint(2):
        smoothing = float(rng.choice([0.0, 0.1]))
        return MLPClassifier(**parameters, label_smoothing=smoothing), x, LABELS
    return MLPRegressor(**parameters), x, X[:, 0]


def left(model):
    """What a fit leaves."""
    optimizer = model._optimizer
    scores = list(model.validation_scores_ or ())
    return bits(model), optimizer.state.tobytes(), optimizer.rate, scores, model.stop_reason_


def resume(number, rng):
    """A fit that a callback stops, from a pickle, with another number of threads."""
    model, x, y = drawn(rng)
    whole = copy.deepcopy(model).fit(x, y)
    stop = rng.randint(1, EPOCHS + 1)
    model.set_callbacks(StopWhen(lambda estimator: estimator.n_iter_ == stop)).fit(x, y)
    model = pickle.loads(pickle.dumps(model)).set_params(n_threads=int(rng.randint(1, 4)))
    is_over = model.n_iter_ >= whole.n_iter_
    again = left(model.resume(x, y))
    assert again[:4] == left(whole)[:4], "a resumed fit differs"
    assert is_over or again == left(whole), "a resumed fit has another reason"
    return {"epochs": whole.n_iter_}


class Fails:
    """A callback that raises in a hook, and counts the hooks."""

    def __init__(self, hook, count, error):
        self.fails_at, self.count, self.error = hook, count, error
        self.seen = dict.fromkeys(("setup", "begin", "end", "teardown"), 0)

    def _note(self, hook):
        self.seen[hook] += 1
        if hook == self.fails_at and self.seen[hook] == self.count:
            raise self.error("of a callback")

    def setup(self, estimator, context):
        self._note("setup")

    def on_fit_task_begin(self, estimator, context):
        self._note("begin")

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self._note("end")

    def teardown(self, estimator, context):
        self._note("teardown")


def failing_callbacks(number, rng):
    """A callback that raises somewhere: the estimator stays, all callbacks are torn down."""
    model, x, y = drawn(rng)
    if number % 5 == 0:
        parameters = dict(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=EPOCHS)
        model = MLPRegressor(**parameters, random_state=0)
        y = X[:, 0]
    model.fit(x, y)
    before = pickle.dumps(model)
    hook = str(rng.choice(["setup", "begin", "end", "teardown"]))
    count = 1 if hook in ("setup", "teardown") else int(rng.randint(1, 2 * EPOCHS))
    error = [ValueError, RuntimeError, MemoryError, StopIteration][rng.randint(4)]
    callbacks = [Fails(hook, count, error), Fails(None, 0, None)]
    threads, failed = threading.active_count(), False
    model.set_callbacks(*callbacks)
    try:
        model.fit(x, y)
    except (error, RuntimeError):
        failed = True
    model.set_callbacks()
    if failed:
        assert pickle.dumps(model) == before, "a failed fit changed the estimator"
    for callback in callbacks:
        assert callback.seen["setup"] == callback.seen["teardown"], "a callback was not torn down"
    assert threading.active_count() == threads, "a thread is left"
    return {"hooks": sum(sum(callback.seen.values()) for callback in callbacks)}


def kills(number, rng):
    """kill -9 at any moment of a fit with a Checkpoint: the file is whole, and goes on."""
    model, x, y = drawn(rng)
    model.set_params(max_iter=10**6, tol=0.0, n_iter_no_change=10**6, learning_rate="constant")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        child = os.fork()
        if child == 0:
            try:
                model.set_callbacks(Checkpoint(path)).fit(x, y)
            finally:
                os._exit(2)
        end = time.monotonic() + 30
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved = fastbp.load(path)
    n = saved.n_iter_
    saved.set_params(max_iter=n + 2).resume(x, y)
    whole = model.set_callbacks().set_params(max_iter=n + 2).fit(x, y)
    assert left(saved)[:4] == left(whole)[:4], "a resumed fit differs"
    return {"files": 1}


ROWS = [
    Row("resume", "epochs", "A fit that was stopped goes on with the same bits.", resume, 1000, 5),
    Row(
        "callbacks",
        "failing",
        "A callback that raises changes nothing, and each setup has its teardown.",
        failing_callbacks,
        1000,
        5,
    ),
    Row(
        "checkpoints",
        "kills",
        "kill -9 during a Checkpoint leaves a file that is whole and goes on.",
        kills,
        1000,
        3,
    ),
]
