"""The team: the same bits for any number of ranks; no launch, failure or interrupt hangs it."""

import _thread
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
from scipy import sparse

import fits
from fastbp import MLPClassifier, MLPRegressor
from fastbp.kernels import Rank, core, level, runnable_levels
from fastbp.threads import (
    Team,
    blas,
    cores,
    single_threaded_blas,
    team,
)
from fastbp.threads.rank_thread import Stopped
from fastbp.threads.team import INLINE_SECONDS
from fits import FITS, bits, data, fitted
from interrupts import THREADS, TRAINING, InterruptAt, blas_threads, ranks_alive, wait_for_ranks
from problems import Problem, state_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_law_5_same_bits_at_any_number_of_threads(name, dtype, is_sparse):
    weighted = is_sparse == (dtype == np.float64)  # once with each dtype and with each form
    one = bits(fitted(name, dtype, is_sparse, weighted, 1))
    for n_threads in (2, 3, 4, None):
        assert bits(fitted(name, dtype, is_sparse, weighted, n_threads)) == one, n_threads


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
def test_law_5_csr_in_several_chunks(dtype):
    """Each rank sums the gradient of its slices over the chunks. The first columns are dense."""
    random = np.random.RandomState(0)
    X = random.randn(2600, 90) * (random.rand(2600, 90) < np.linspace(1, 0, 90))
    y = X[:, :3].sum(axis=1)
    models = [
        MLPRegressor(
            hidden_layer_sizes=(40,),
            solver="lbfgs",
            max_iter=4,
            random_state=0,
            n_threads=n_threads,
        ).fit(X_, y)
        for n_threads in (1, 2, 3, 8)
        for X_ in (sparse.csr_array(X.astype(dtype)),)
    ]
    for model in models[1:]:
        assert bits(model) == bits(models[0])
    dense = MLPRegressor(hidden_layer_sizes=(40,), solver="lbfgs", max_iter=4, random_state=0)
    expected = dense.fit(X.astype(dtype), y).loss_
    assert abs(models[0].loss_ - expected) <= 1e-3 * expected


LEVEL_PROGRAM = """
import hashlib, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import numpy as np
import fits
for name in fits.FITS:
    for dtype in (np.float64, np.float32):
        model = fits.fitted(name, dtype, False, True, 2)
        print(name, np.dtype(dtype), hashlib.sha256(fits.bits(model)).hexdigest(), model.loss_)
"""


def at_level(name):
    """Hashes and losses of all fits, from a process that runs the core of this level."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LEVEL_PROGRAM, os.path.dirname(fits.__file__)],
        env={**os.environ, "FASTBP_ISA": name},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.skipif(core.DEBUG or "v4" not in runnable_levels(), reason="no v3 and v4 here")
def test_law_5_v3_and_v4_give_the_same_bits():
    v4, v3, baseline = map(at_level, ("v4", "v3", "baseline"))
    assert v4 == v3
    for ours, theirs in zip(v4, baseline, strict=True):  # no fused multiply-add: close, not equal
        assert float(ours[3]) == pytest.approx(float(theirs[3]), rel=1e-3)


def test_the_level_can_be_forced():
    assert level in runnable_levels()
    refused = subprocess.run(
        [sys.executable, "-P", "-c", "import fastbp"],
        text=True,
        env={**os.environ, "FASTBP_ISA": "v9"},
        capture_output=True,
    )
    assert "FASTBP_ISA must be one of baseline, v3, v4, got 'v9'" in refused.stderr


# ---- launch, failure, interrupt -------------------------------------------------------------


# The launch of sgd is that of adam.
@pytest.mark.parametrize(
    "solver, files",
    [
        pytest.param("sgd", THREADS, id="sgd-team"),
        pytest.param("adam", (*THREADS, contextlib.__file__), id="adam-team-and-contextlib"),
        pytest.param("lbfgs", THREADS, id="lbfgs-team"),
        pytest.param("lbfgs", (*THREADS, contextlib.__file__), id="lbfgs-team-and-contextlib"),
    ],
)
def test_an_interrupt_at_any_line_of_the_launch_leaves_a_usable_model(solver, files):
    """At all lines of launch, waiting, closing, the limit of BLAS and the reservation of cores."""
    X, y, _ = data(120)
    parameters = dict(
        hidden_layer_sizes=(8,),
        solver=solver,
        batch_size=120,
        random_state=0,
        n_threads=2,
        tol=0,
        max_fun=3,
    )
    boundaries = {}
    start = MLPClassifier(**parameters, max_iter=1)
    for epochs in (1, 2, 3):
        model = MLPClassifier(**parameters, max_iter=epochs).fit(X, y)
        boundaries[b"".join(w.tobytes() for w in model.coefs_)] = epochs
    limits = blas_threads()
    line, places, returned = 0, set(), 0
    while True:
        line += 1
        model = MLPClassifier(**parameters, max_iter=3)
        raised = False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with InterruptAt(line, files) as tracer:
                try:
                    model.fit(X, y)
                except KeyboardInterrupt:
                    raised = True
        if tracer.raised is None:
            break
        places.add(tracer.raised)
        gc.collect()  # this closes generators that were interrupted
        wait_for_ranks()
        assert not ranks_alive(), tracer.raised
        assert blas_threads() == limits, tracer.raised
        assert not cores._cores_taken and not blas._users, tracer.raised
        # scikit-learn uses contextlib around the training: an interrupt there is raised.
        if files == THREADS:
            assert raised == (solver == "lbfgs"), tracer.raised
        if not hasattr(model, "coefs_"):
            assert raised and files != THREADS, tracer.raised
            continue
        returned += 1
        weights = b"".join(w.tobytes() for w in model.coefs_)
        if solver != "lbfgs" and weights in boundaries:
            assert boundaries[weights] - model.n_iter_ in (0, 1), tracer.raised
        elif solver != "lbfgs":  # no step was performed: the initial weights
            assert model.n_iter_ == 0 and not model.loss_curve_, tracer.raised
        if solver != "lbfgs":
            assert len(model.loss_curve_) == model.n_iter_ and model.t_ == 120 * model.n_iter_
        assert np.isfinite(model.predict_proba(X)).all()
        assert isinstance(model.loss_, float)
    assert returned > 50 and len(places) > 40
    assert not hasattr(start, "coefs_")


def epoch_of(problem, failing):
    """A door that trains for an epoch with two ranks; rank 1 may fail."""
    network = problem.network

    def door(rank):
        if failing and rank.rank == 1:
            raise RuntimeError("rank 1 fails")
        core.train_epochs(
            network.plan,
            network.params,
            state_of(network, "sgd"),
            network.scratch(200, 2, "epoch"),
            np.zeros(3),
            problem.task(),
            rank,
        )

    return door


def test_a_rank_that_fails_lets_the_others_go():
    problem = Problem(n=200, batch=200)
    network = problem.network
    before = network.params.copy()
    with pytest.raises(RuntimeError, match="rank 1 fails"), team(2, None, 1, 1) as ranks:
        ranks.run(epoch_of(problem, failing=True))
    np.testing.assert_array_equal(network.params, before)
    assert not ranks_alive()


@pytest.mark.parametrize("failing", [False, True], ids=["interrupted twice", "failed rank"])
def test_a_second_trouble_during_the_first_does_not_hang(failing):
    """An interrupt at any line after a rank has failed, or after another interrupt."""
    door = epoch_of(Problem(n=200, batch=200), failing)

    class Twice(InterruptAt):
        """A second interrupt, `again` lines after the first."""

        def __call__(self, frame, event, argument):
            if self.raised and not failing and self.again:
                self.left, self.raised, self.again = self.again, None, 0
            return super().__call__(frame, event, argument)

    for first in range(1, 60, 1 if failing else 3):
        for again in (0,) if failing else (1, 2, 3, 5):
            with Twice(first, THREADS) as tracer:
                tracer.again = again
                try:
                    with team(2, None, 1, 1) as ranks:
                        ranks.run(door)
                except (KeyboardInterrupt, RuntimeError):
                    pass
            gc.collect()
            wait_for_ranks()
            assert not ranks_alive() and not cores._cores_taken, (first, again)
    with single_threaded_blas():
        pass
    assert not blas._users and not blas._thread_counts


def test_an_interrupt_at_any_line_of_the_trainer_keeps_score_and_weights_together():
    X, y, _ = data(400)
    for parameters in (dict(early_stopping=True, n_threads=1), dict(n_threads=2)):
        line = 0
        while True:
            line += 7
            model = MLPClassifier(
                (4,), max_iter=4, random_state=0, learning_rate_init=0.02, **parameters
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with InterruptAt(line, TRAINING) as tracer:
                    try:
                        model.fit(X, y)
                    except KeyboardInterrupt:  # before or after the training itself
                        continue
            if tracer.raised is None:
                break
            assert len(model.loss_curve_) == model.n_iter_, tracer.raised
            if model.early_stopping:
                assert len(model.validation_scores_) == model.n_iter_, tracer.raised
                assert len(model.validation_loss_curve_) == model.n_iter_, tracer.raised
                best = max(model.validation_scores_, default=-np.inf)
                assert model.best_validation_score_ == best, tracer.raised
                if model.n_iter_:
                    again = MLPClassifier(
                        (4,),
                        max_iter=model.n_iter_,
                        random_state=0,
                        learning_rate_init=0.02,
                        **parameters,
                    )
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        again.fit(X, y)
                    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])
            else:
                assert model.best_loss_ == min(model.loss_curve_, default=np.inf), tracer.raised


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_ranks_of_a_team_take_turns_and_each_part_has_one(n_threads):
    """In each call of a team, and with no parts too."""
    with team(n_threads, None, 1, 1) as ranks:
        for parts in (range(1000), "abc", ()):
            done = []
            ranks.for_each(parts, done.append)
            assert sorted(done) == sorted(parts)
    assert not ranks_alive()


def test_two_ranks_work_at_two_parts_at_the_same_time():
    """Each part waits for the other."""
    met = threading.Barrier(2)
    with team(2, None, 1, 1) as ranks:
        ranks.for_each(range(2), lambda part: met.wait(20))
    assert not met.broken


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_stop_is_heard_between_two_parts(n_threads):
    """Each rank finishes its current part."""
    done, before = [], []
    with team(n_threads, None, 1, 1) as ranks:

        def work(part):
            if part == 3:
                core.stop_team(ranks.words)
                before.append(len(done))
            done.append(part)

        ranks.for_each(range(100_000), work)
        assert {0, 1, 2, 3} <= set(done) and len(done) <= before[0] + n_threads
        done.clear()
        ranks.for_each([7, 8], done.append)  # a new call ignores the old stop
    assert sorted(done) == [7, 8]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_part_that_fails_ends_the_team(n_threads):
    done = []

    def work(part):
        if part == 3:
            raise RuntimeError("part 3 fails")
        time.sleep(0.001)
        done.append(part)

    with pytest.raises(RuntimeError, match="part 3 fails"), team(n_threads, None, 1, 1) as ranks:
        ranks.for_each(range(10_000), work)
    assert len(done) < 5000 and not ranks_alive()


class Stubborn:
    """A door in Python that runs for long, and does not end at the first interrupts."""

    def __init__(self, swallows):
        self.swallows, self.begun, self.ended = swallows, threading.Event(), []

    def __call__(self, part):
        if part == 1:
            assert self.begun.wait(20)
            raise RuntimeError("part 1 fails")
        try:
            for k in range(self.swallows + 1):
                try:
                    self.begun.set()
                    until = time.monotonic() + 20
                    while time.monotonic() < until:
                        time.sleep(0.001)
                except Stopped:
                    if k == self.swallows:
                        raise
        finally:
            self.ended.append(part)


@pytest.mark.parametrize("swallows", [0, 1])
def test_a_team_that_interrupts_ends_doors_in_python(swallows, capfd):
    """Also where an interrupt is lost, as in a finalizer; and no thread complains."""
    door, began = Stubborn(swallows), time.monotonic()
    with (
        pytest.raises(RuntimeError, match="part 1 fails"),
        team(2, None, 1, 1, interrupts=True) as ranks,
    ):
        ranks.for_each(range(2), door)
    assert door.ended == [0] and time.monotonic() - began < 10 and not ranks_alive()
    assert capfd.readouterr().err == ""


def test_ranks_that_have_worked_are_not_interrupted():
    done = []
    with team(2, None, 1, 1, interrupts=True) as ranks:
        ranks.for_each(range(50), done.append)
        ranks.for_each(range(50), done.append)
    assert len(done) == 100 and not ranks_alive()


def test_a_slow_epoch_moves_to_a_thread_of_its_own():
    """There Ctrl-C interrupts the next epoch at once."""
    threads = []

    def door(rank):
        threads.append(threading.get_ident())
        time.sleep(2 * INLINE_SECONDS if len(threads) == 2 else 0)

    with team(1, None, 1, 1) as ranks:
        for _ in range(3):
            ranks.run(door)
    here = threading.get_ident()
    assert threads[:2] == [here, here] and threads[2] != here


def test_a_fit_gets_the_threads_that_its_work_pays_for(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    sizes, made = [], Team.__init__

    def spy(self, size, inline):
        sizes.append((size, inline))
        made(self, size, inline)

    monkeypatch.setattr(Team, "__init__", spy)
    X, y, _ = data(600)
    for hidden, rows, solver in (
        ((2,), 20, "adam"),
        ((300, 300), 600, "adam"),
        ((300, 300), 600, "lbfgs"),
    ):
        MLPClassifier(hidden, max_iter=1, solver=solver, batch_size=rows, max_fun=2).fit(
            X[:rows], y[:rows]
        )
    assert sizes == [(1, True), (4, False), (4, False)]


@pytest.mark.parametrize("started", [0, 1, 2])
def test_a_thread_that_cannot_start_shrinks_the_team(started, monkeypatch):
    expected = bits(fitted("adam", np.float64, False, False, 1))
    start, calls = _thread.start_new_thread, []

    def refuse(*arguments):
        calls.append(arguments)
        if len(calls) > started:
            raise RuntimeError("can't start new thread")
        return start(*arguments)

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert bits(fitted("adam", np.float64, False, False, 3)) == expected
    assert len(calls) > started and not ranks_alive()


def test_a_cancelled_launch_runs_nothing():
    """Rank 0 waits for rank 1, which never starts, until the stop."""
    problem = Problem(n=50, batch=10)
    network, words = problem.network, problem.words()
    before, tally = network.params.copy(), np.zeros(3)
    rank = threading.Thread(
        target=core.train_epochs,
        args=(
            network.plan,
            network.params,
            state_of(network, "sgd"),
            network.scratch(10, 2, "epoch"),
            tally,
            problem.task(),
            Rank(words, 0, 2),
        ),
    )
    rank.start()
    time.sleep(0.02)
    assert rank.is_alive()
    core.stop_team(words)
    rank.join(20)
    assert not rank.is_alive() and not tally.any()
    np.testing.assert_array_equal(network.params, before)


def test_the_abort_word_frees_a_rank_at_any_barrier():
    problem = Problem(n=500_000, batch=10, hidden=())
    network, words = problem.network, problem.words()
    state, scratch = state_of(network, "sgd"), network.scratch(10, 2, "epoch")
    task = problem.task()
    ranks = [
        threading.Thread(
            target=core.train_epochs,
            args=(
                network.plan,
                network.params,
                state,
                scratch,
                np.zeros(3),
                task,
                Rank(words, rank, 2),
            ),
        )
        for rank in (0, 1)
    ]
    for rank in ranks:
        rank.start()
    core.abort_team(words)
    for rank in ranks:
        rank.join(20)
        assert not rank.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_during_a_fit_works_in_the_child():
    """The child does not run the fits of its parent: it has no reservations and no limits."""
    X, y, _ = data(3000)
    fit = threading.Thread(target=MLPClassifier(max_iter=40, n_threads=2).fit, args=(X, y))
    fit.start()
    deadline = time.monotonic() + 20
    while not cores._cores_taken and time.monotonic() < deadline:
        time.sleep(0.001)
    for _ in range(5):
        child = os.fork()
        if child == 0:
            try:
                taken = bool(cores._cores_taken or blas._users)
                MLPClassifier(max_iter=2, n_threads=2).fit(X[:300], y[:300])
                os._exit(1 if taken else 0)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    fit.join()
