"""Predictions of many rows, in chunks by the ranks of a team, and predictions in many threads."""

import os
import signal
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
from odd_inputs import put

import fastbp.estimators
import fastbp.network
from fastbp import MLPClassifier, training
from fastbp.kernels import core
from fastbp.network import Network, predict_chunks
from fastbp.threads import Team, cores
from interrupts import (
    THREADS,
    InterruptAt,
    blas_threads,
    files_of,
    ranks_alive,
    wait_for_ranks,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 30
X = np.random.RandomState(0).randn(N, 5)
Y = np.arange(N) % 3


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("fastbp.network.inference.PREDICT_WORK", 1)  # chunks of 64 rows
    monkeypatch.setattr(cores, "LAUNCH_COST", 0)
    monkeypatch.setattr(cores, "available_cores", lambda: 2)


def wide(n, dtype=np.float32, seed=0):
    x = np.random.RandomState(seed).randn(n, 40).astype(dtype)
    return x, np.arange(n) % 4


@pytest.mark.parametrize("kind", ["float32", "float64", "Fortran", "converted", "csr"])
def test_any_number_of_threads_gives_the_same_bits(kind, small_chunks, monkeypatch):
    x, y = wide(1000, np.float64 if kind == "float64" else np.float32)
    model = MLPClassifier((30,), max_iter=2, random_state=0).fit(x, y)
    x = {
        "Fortran": np.asfortranarray,
        "converted": lambda a: a.astype(float),
        "csr": sp.csr_array,
    }.get(kind, np.asarray)(x)
    sizes, made = [], Team.__init__

    def spy(self, size, inline):
        sizes.append(size)
        made(self, size, inline)

    monkeypatch.setattr(Team, "__init__", spy)
    limits, results = blas_threads(), []
    for n_threads in (1, 2, 3, None, 2**40):
        results.append(model.set_params(n_threads=n_threads).predict_proba(x))
        assert not ranks_alive() and not cores._cores_taken
    assert sizes == [1, 2, 3, 2, 16]  # at most the number of chunks
    assert blas_threads() == limits
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    by_hand = np.maximum(x @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    expected = np.exp(by_hand + model.intercepts_[1])
    np.testing.assert_allclose(results[0], expected / expected.sum(1, keepdims=True), rtol=1e-4)


def test_nan_in_any_chunk_is_found_by_any_rank(small_chunks):
    x, y = wide(500)
    model = MLPClassifier((30,), max_iter=2, random_state=0, n_threads=2).fit(x, y)
    for row in (0, 63, 64, 250, 499):
        with pytest.raises(ValueError, match=r"^Input X contains NaN\.\nMLPClassifier does not"):
            model.predict(put(x, (row, 3), np.nan))


def test_early_stopping_scores_by_the_same_team(small_chunks):
    """The validation set has several chunks."""
    x, y = wide(1000)
    fits = [
        MLPClassifier(
            (30,),
            max_iter=4,
            random_state=0,
            early_stopping=True,
            batch_size=300,
            validation_fraction=0.4,
            n_threads=n_threads,
        ).fit(x, y)
        for n_threads in (1, 2, 3)
    ]
    for fit in fits[1:]:
        assert fit.validation_scores_ == fits[0].validation_scores_
        assert fit.validation_loss_curve_ == fits[0].validation_loss_curve_
        np.testing.assert_array_equal(fit.coefs_[0], fits[0].coefs_[0])


def test_fits_and_predictions_share_the_cores(small_chunks):
    x, y = wide(500)
    model = MLPClassifier((30,), max_iter=2, random_state=0).fit(x, y)
    with cores.reserved_cores(2, None, 1):
        assert not ranks_alive()
        model.predict(x)
        assert len(cores._cores_taken) == 1


def test_prediction_stops_between_chunks(small_chunks):
    network, seen, alone = Network((40, 2), "relu", np.float32), [], Team(1, inline=True)

    def rows(part):
        seen.append(part)
        if len(seen) == 3:
            core.stop_team(alone.words)
        return x[part]

    x, out = wide(1000)[0], np.empty((1000, 2), np.float32)
    predict_chunks(network.predict, rows, 64, "identity", out, alone)
    assert seen == [slice(0, 64), slice(64, 128), slice(128, 192)]


FILES = (*THREADS, *files_of(fastbp.network), *files_of(fastbp.estimators))


def test_an_interrupt_at_any_line_of_a_prediction_leaves_nothing_behind(small_chunks):
    x, y = wide(300)
    model = MLPClassifier((30,), max_iter=2, random_state=0, n_threads=2).fit(x, y)
    expected, limits, line = model.predict_proba(x), blas_threads(), 0
    while True:
        line += 1
        with InterruptAt(line, FILES) as tracer:
            try:
                model.predict_proba(x)
            except KeyboardInterrupt:
                pass
            else:
                assert tracer.raised is None
        if tracer.raised is None:
            break
        wait_for_ranks()
        assert not ranks_alive() and not cores._cores_taken, tracer.raised
        assert blas_threads() == limits, tracer.raised
    assert line > 50
    np.testing.assert_array_equal(model.predict_proba(x), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_ends_a_prediction_between_chunks(n_threads):
    x = np.broadcast_to(np.ones(100, np.float32), (3_000_000, 100))  # some seconds
    model = MLPClassifier((100,), max_iter=1, n_threads=n_threads).fit(
        np.eye(100, dtype=np.float32), np.arange(100) % 3
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            model.predict(x)
        timer.join()
        assert not ranks_alive() and not cores._cores_taken
    finally:
        signal.signal(signal.SIGINT, before)


# ---- many threads


def fitted(random_state=0):
    return MLPClassifier((7,), max_iter=3, random_state=random_state).fit(X, Y)


def in_threads(count, work):
    """Run work(number) in `count` threads at the same time; returns the failures."""
    failures, barrier = [], threading.Barrier(count)

    def run(number):
        barrier.wait()
        try:
            work(number)
        except BaseException as failure:
            failures.append((number, repr(failure)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_32_threads_predict_100_000_times_without_a_mismatch():
    """Most threads share one estimator, others a second one; for one row, a few, and many."""
    models = [MLPClassifier((8,), max_iter=2, random_state=seed).fit(X, Y) for seed in (0, 1)]
    many = np.repeat(X, 60, axis=0)
    parts = [X[:1], X[3:4], X[5:8], X[8:30], X[2:3].astype(np.float32), X[1:2].tolist(), many]
    expected = [[model.predict_proba(part) for part in parts] for model in models]
    done = [0] * 32

    def work(number):
        model, right = models[number % 8 == 7], expected[number % 8 == 7]
        for k in range(3130):
            which = k % 4 if k % 500 else (number + k // 500) % 7
            found = model.predict_proba(parts[which])
            assert found.tobytes() == right[which].tobytes(), which
            done[number] += 1

    assert not in_threads(32, work)
    assert sum(done) >= 100_000


def test_predictions_during_a_fit_use_the_old_model(monkeypatch):
    """Predictions during a fit with other features and classes use the old model."""
    model, seen = fitted(), []
    before, run = model.predict_proba(X), training.run

    def spy(*args, **kwargs):
        course = run(*args, **kwargs)
        seen.append(model.predict_proba(X))
        assert (model.predict(X) <= 2).all() and len(model.classes_) == 3
        return course

    monkeypatch.setattr(training, "run", spy)
    model.fit(X[:, :3], np.arange(N) % 5 + 3)
    np.testing.assert_array_equal(seen, [before])
    assert model.predict_proba(X[:, :3]).shape == (N, 5)


def test_a_fit_that_ends_during_a_prediction_is_not_undone(monkeypatch):
    """The prediction was reading the old weights while the fit ended: it is repeated."""
    model, twin = fitted(), fitted(random_state=1)
    module, calls = sys.modules["fastbp.estimators.model"], []
    check = module.check_arrays

    def slow(*arrays):
        checked = check(*arrays)
        if not calls:
            calls.append(arrays)
            model.set_params(random_state=1).fit(X, Y)
        return checked

    model.coefs_ = [w.copy() for w in model.coefs_]
    monkeypatch.setattr(module, "check_arrays", slow)
    np.testing.assert_array_equal(model.predict_proba(X), twin.predict_proba(X))
    np.testing.assert_array_equal(model.predict_proba(X), twin.predict_proba(X))
    assert calls
    np.testing.assert_array_equal(model.coefs_[0], twin.coefs_[0])


def test_predictions_during_fits_in_another_thread():
    model, known = MLPClassifier((8,), max_iter=3), set()
    for seed in range(3):
        model.set_params(random_state=seed).fit(X, Y)
        known.add(model.predict_proba(X).tobytes())
    assert len(known) == 3
    ended = threading.Event()

    def work(number):
        if number == 0:
            try:
                for k in range(100):
                    model.set_params(random_state=k % 3).fit(X, Y)
            finally:
                ended.set()
        while not ended.is_set():
            assert model.predict_proba(X).tobytes() in known

    assert not in_threads(6, work)


def test_edits_are_seen_by_all_threads():
    model = MLPClassifier((8,), max_iter=2, random_state=0).fit(X, Y)
    model.coefs_[0] = model.coefs_[0] * 2
    expected = []

    def work(number):
        found = model.predict_proba(X).tobytes()
        expected.append(found)

    assert not in_threads(8, work)
    assert len(set(expected)) == 1 and expected[0] == model.predict_proba(X).tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_during_predictions_works_in_the_child(small_chunks):
    x, y = wide(1000)
    model = MLPClassifier((30,), max_iter=2, random_state=0, n_threads=2).fit(x, y)
    expected, ended = model.predict_proba(x), threading.Event()

    def work():
        while not ended.is_set():
            model.predict_proba(x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                try:
                    same = np.array_equal(model.predict_proba(x), expected)
                    os._exit(
                        0
                        if same and np.array_equal(model.predict_proba(x[:1]).shape, (1, 4))
                        else 1
                    )
                except BaseException:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        ended.set()
        thread.join()
