"""Real SIGINT signals at many moments of a fit, on the main thread and on another one."""

import _thread
import os
import pickle
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.inputs import as_targets
from fastbp.kernels import Rank, Task, core
from fastbp.threads import cores
from fastbp.threads.blas import single_threaded_blas
from fastbp.threads.team import Team
from fastbp.training import Samples
from problems import lowered

pytestmark = [
    pytest.mark.usefixtures("heeds_sigint"),
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
FOREVER = dict(max_iter=10**8, tol=0, n_iter_no_change=np.inf, random_state=0)


def interrupted(model, X, y, after, **validation):
    """Interrupt a fit `after` seconds of training.

    Returns the seconds from the signal to the end of the fit, the exception, and the warnings.
    """
    sent, failure = [], None

    def send():
        while not cores._cores_taken:  # training has not begun
            time.sleep(0.001)
        time.sleep(after)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _thread.start_new_thread(send, ())  # SIGINT never interrupts a thread of `_thread`
        try:
            model.fit(X, y, **validation)
        except KeyboardInterrupt as interrupt:
            failure = interrupt
    return time.monotonic() - sent[0], failure, [str(warning.message) for warning in caught]


def data(n=4000, features=60):
    rng = np.random.RandomState(0)
    return rng.randn(n, features), rng.randint(0, 5, n)


def batch_boundaries(model, X, y, epochs):
    """The weights at each batch boundary of an uninterrupted fit without shuffling."""
    twin = clone(model).set_params(max_iter=1, shuffle=False, early_stopping=False)
    start = clone(twin).set_params(learning_rate_init=1e-300, solver="sgd").fit(X, y)
    network = start._model.network  # with this rate these are the initial weights
    optimizer = clone(twin).fit(X, y)._optimizer
    optimizer.state[:], optimizer.tally[:] = 0, 0
    targets, size = as_targets(y, X.dtype), min(model.batch_size, len(X))
    objective, rule = lowered("log_loss", 5, alpha=model.alpha), optimizer.rule.lower()
    seen = [network.params.tobytes()]
    for first in epochs * list(range(0, len(X), size)):
        order = np.arange(first, min(first + size, len(X)))
        with single_threaded_blas():  # as in a fit: BLAS's own threads change the bits
            core.train_epochs(
                network.plan,
                network.params,
                optimizer.state,
                network.scratch(size, 1, "epoch"),
                optimizer.tally,
                Task(Samples(X, targets), objective, rule, order, size, np.full((1, 1), 1e-3)),
                Rank(np.zeros(core.TEAM_WORDS, np.int32), 0, 1),
            )
        seen.append(network.params.tobytes())
    return seen


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_it_stops_soon_at_an_exact_batch_boundary(solver, n_threads):
    X, y = data()
    model = MLPClassifier(
        (80,), solver=solver, batch_size=150, shuffle=False, n_threads=n_threads, **FOREVER
    )
    delays = []
    for after in np.linspace(0.02, 0.15, 6):
        delay, failure, messages = interrupted(model, X, y, after)
        delays.append(delay)
        assert failure is None and messages == ["Training interrupted by user."]
        assert len(model.loss_curve_) == model.n_iter_ and model.t_ == len(X) * model.n_iter_
        batches = -(-len(X) // 150)
        steps = int(model._optimizer.tally[2])
        assert np.isfinite(model.loss_) == (steps > 0) and model.predict(X[:5]).shape == (5,)
        assert 0 <= steps - batches * model.n_iter_ <= batches
        if model.n_iter_ < 12:
            boundaries = batch_boundaries(model, X, y, model.n_iter_ + 1)
            assert model._model.network.params.tobytes() == boundaries[steps]
        else:  # compare the finished epochs with an ordinary fit
            whole = clone(model).set_params(max_iter=model.n_iter_).fit(X, y)
            assert whole.loss_curve_ == model.loss_curve_
    assert np.median(delays) < 0.2 and max(delays) < 2, delays


def test_in_the_first_epoch_the_loss_is_that_of_the_finished_batches():
    X, y = data(60_000, 100)
    model = MLPClassifier((200,), batch_size=50, n_threads=2, **FOREVER)
    delay, failure, _ = interrupted(model, X, y, 0.4)
    assert failure is None and delay < 2
    if model.n_iter_ == 0:  # the first epoch takes some seconds
        assert model.loss_curve_ == [] and model.t_ == 0
        assert 0 < model.loss_ < 10 and model._optimizer.tally[1] > 0
    assert np.isfinite(model.predict_proba(X[:9])).all()


def test_a_long_batch_is_abandoned_before_its_update():
    X, y = data(20_000, 200)
    model = MLPClassifier((500, 500), batch_size=20_000, n_threads=1, **FOREVER)
    delay, failure, _ = interrupted(model, X, y, 0.05)
    assert failure is None and delay < 2
    assert model.n_iter_ == 0 and model.loss_curve_ == [] and model._optimizer.tally[2] == 0
    assert isinstance(model.loss_, float)
    start = MLPClassifier((500, 500), solver="lbfgs", max_fun=1, max_iter=1, random_state=0)
    start.fit(X[:50], y[:50])
    assert model.coefs_[0].shape == start.coefs_[0].shape and np.ptp(model.coefs_[0]) < 0.2


@pytest.mark.parametrize("given", [False, True])
def test_early_stopping_gets_its_best_weights(given):
    X, y = data()
    validation = dict(X_val=X[:500], y_val=y[:500]) if given else {}
    model = MLPClassifier((50,), early_stopping=True, learning_rate_init=0.01, **FOREVER)
    delay, failure, _ = interrupted(model, X, y, 0.3, **validation)
    assert failure is None and delay < 2
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_ > 3
    assert model.best_validation_score_ == max(model.validation_scores_)
    again = clone(model).set_params(max_iter=model.n_iter_).fit(X, y, **validation)
    assert again.validation_scores_ == model.validation_scores_
    assert again.validation_loss_curve_ == model.validation_loss_curve_
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


@pytest.mark.parametrize("after", [0.1, 0.2])
def test_a_recorded_validation_set_is_as_long_as_the_loss_curve(after):
    """Validation takes most of the time, so that the signal arrives during it."""
    X, y = data()
    validation = dict(X_val=np.vstack([X] * 20), y_val=np.tile(y, 20))
    model = MLPClassifier((50,), **FOREVER)
    delay, failure, _ = interrupted(model, X, y, after, **validation)
    assert failure is None and delay < 2
    assert len(model.loss_curve_) == model.n_iter_ and model.t_ == len(X) * model.n_iter_
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    if model.n_iter_:
        again = clone(model).set_params(max_iter=model.n_iter_).fit(X, y, **validation)
        assert again.validation_loss_curve_ == model.validation_loss_curve_


def test_lbfgs_keeps_its_last_iterate_and_raises():
    X, y = data(20_000)
    targets = np.stack([y, X[:, 0]], axis=1)
    model = MLPRegressor(hidden_layer_sizes=(100,), solver="lbfgs", max_fun=10**9, **FOREVER)
    delay, failure, messages = interrupted(model, X, targets, 1.0)
    assert isinstance(failure, KeyboardInterrupt) and delay < 2 and not messages
    assert model.predict(X[:3]).shape == (3, 2) and np.isfinite(model.loss_)
    assert model.n_iter_ >= 1
    whole = clone(model).set_params(max_iter=model.n_iter_).fit(X, targets)
    assert whole.loss_ == pytest.approx(model.loss_, rel=1e-12)
    np.testing.assert_array_equal(whole.coefs_[0], model.coefs_[0])


def test_an_interrupt_before_training_leaves_the_estimator_as_it_was(monkeypatch):
    X, y = data(50)
    model = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    before = vars(model).copy()
    monkeypatch.setattr(
        "fastbp.estimators.job.Network", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_an_interrupt_before_the_first_step_of_partial_fit(solver, monkeypatch):
    """The new weights are first written by that step; without it they are those of before."""
    X, y = data(50)
    model = MLPClassifier(solver=solver, random_state=0).partial_fit(X, y, classes=np.unique(y))
    before = pickle.dumps(model.coefs_), pickle.dumps(model._optimizer.state)

    def run(self, door):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Team, "run", run)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.partial_fit(X, y)
    assert before == (pickle.dumps(model.coefs_), pickle.dumps(model._optimizer.state))
    twin = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    np.testing.assert_array_equal(model.partial_fit(X, y).coefs_[0], twin.coefs_[0])


def test_a_fit_off_the_main_thread_does_not_see_it():
    """As documented: only the main thread gets the signal, and the fit continues."""
    X, y = data(2000)
    model = MLPClassifier((50,), max_iter=40, random_state=0)
    fit = threading.Thread(target=model.fit, args=(X, y))
    fit.start()
    try:
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
        while fit.is_alive():
            fit.join(0.01)
        seen = False
    except KeyboardInterrupt:
        seen = True
    fit.join()
    assert seen and model.n_iter_ == 40
