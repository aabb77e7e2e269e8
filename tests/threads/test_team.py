"""The team: the same bits at any size, and no launch, failure or interrupt that hangs it."""

import _thread
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

import fastbp.threads.team as team_module
import fastbp.training.trainer as trainer_module
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.kernels import Rank, backend, core, level, runnable_levels
from fastbp.threads.team import (
    available_cores,
    call_cost,
    reserved_cores,
    single_threaded_blas,
    step_cost,
    team,
)
from problems import Problem, state_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(n=700, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 200).astype(dtype)  # wide enough for several slices of a layer
    return X, rng.randint(0, 4, n), rng.randn(n, 3)


FITS = {
    "adam": (MLPClassifier, dict(hidden_layer_sizes=(150, 40), batch_size=333)),
    "sgd-tanh": (MLPRegressor, dict(solver="sgd", activation="tanh", batch_size=150)),
    "stopping": (MLPClassifier, dict(early_stopping=True, batch_size=200)),
    "poisson": (MLPRegressor, dict(loss="poisson", hidden_layer_sizes=(20,), batch_size=333)),
    "poisson-lbfgs": (MLPRegressor, dict(loss="poisson", hidden_layer_sizes=(9,), solver="lbfgs")),
    "binary": (MLPClassifier, dict(hidden_layer_sizes=(30,), batch_size=90)),
    "lbfgs": (MLPRegressor, dict(solver="lbfgs", activation="logistic")),
    "linear": (MLPClassifier, dict(hidden_layer_sizes=(), batch_size=700)),
    "own": (
        MLPRegressor,
        dict(
            loss=lambda raw, y: fg.log(fg.cosh(raw - y)) + 0.1 * fg.softplus(raw[0]),
            batch_size=150,
            hidden_layer_sizes=(40, 30),
            activation=[lambda z: z * fg.sigmoid(2 * z), "mish"],
        ),
    ),
    "own-lbfgs": (
        MLPClassifier,
        dict(
            loss=lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
            solver="lbfgs",
            activation=lambda z: fg.tanh(z) + 0.1 * z,
        ),
    ),
    "quantiles": (MLPRegressor, dict(loss="quantile", quantile=[0.2, 0.7], activation="gelu")),
    "brier": (MLPClassifier, dict(loss="squared_error", activation="elu")),
    "tiny": (MLPClassifier, dict(hidden_layer_sizes=(1,), batch_size=3)),
}


def fitted(name, dtype, is_sparse, weighted, n_threads):
    X, labels, targets = data(dtype=dtype)
    estimator, parameters = FITS[name]
    if is_sparse:
        X = np.where(abs(X) > 1, X, 0)
        X = sparse.csr_array(X.astype(dtype))
    y = labels if estimator is MLPClassifier else targets
    if name == "binary":
        y = labels % 2
    elif parameters.get("loss") == "poisson":
        y = abs(targets[:, 0])
    weight = np.arange(len(y)) % 3.0 if weighted else None
    model = estimator(**parameters, max_iter=3, random_state=0, n_threads=n_threads)
    return model.fit(X, y, sample_weight=weight)


def bits(model):
    return (
        b"".join(a.tobytes() for a in [*model.coefs_, *model.intercepts_])
        + repr((model.loss_, getattr(model, "loss_curve_", None), model.n_iter_)).encode()
    )


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_law_5_same_bits_at_any_number_of_threads(name, dtype, is_sparse):
    for weighted in (False, True):
        one = bits(fitted(name, dtype, is_sparse, weighted, 1))
        for n_threads in (2, 3, 4, None):
            assert bits(fitted(name, dtype, is_sparse, weighted, n_threads)) == one, n_threads


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
def test_law_5_csr_in_several_chunks(dtype):
    """The gradient of a rank's slices adds up over the chunks of lbfgs; dense columns first."""
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
import test_team
for name in test_team.FITS:
    for dtype in (np.float64, np.float32):
        model = test_team.fitted(name, dtype, False, True, 2)
        print(name, np.dtype(dtype), hashlib.sha256(test_team.bits(model)).hexdigest(), model.loss_)
"""


def at_level(name):
    """Hashes and losses of all fits, made by a process of that level."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LEVEL_PROGRAM, os.path.dirname(__file__)],
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
    for ours, theirs in zip(v4, baseline, strict=True):  # no fused multiply-add: near, not equal
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


def ranks_alive():
    """Threads of Python that `threading` does not know: bare ones, as the ranks are."""
    return _thread._count() - (threading.active_count() - 1)


def blas_threads():
    return [
        (lib["filepath"], lib["num_threads"])
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]


OURS = (team_module.__file__,)


class InterruptAt:
    """KeyboardInterrupt at the n-th line that this thread runs in the files named."""

    def __init__(self, n, files):
        self.left, self.files, self.raised, self.again = n, files, None, 0

    def __call__(self, frame, event, _):
        if frame.f_code.co_filename not in self.files:
            return None
        if event == "line" and self.raised is None:
            self.left -= 1
            if self.left == 0:
                self.raised = f"{frame.f_code.co_name}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(
    "files", [OURS, (*OURS, contextlib.__file__)], ids=["team", "team-and-contextlib"]
)
def test_an_interrupt_at_any_line_of_the_launch_leaves_a_usable_model(solver, files, request):
    """The whole course of the team: launch, waiting, dismissal, limits and reservations."""
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
    gc.collect()
    gc.freeze()  # what other tests left is not looked through again at each line
    request.addfinalizer(gc.unfreeze)
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
        gc.collect()  # a generator whose frame was interrupted ends when it is collected
        deadline = time.monotonic() + 20
        while ranks_alive() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not ranks_alive(), tracer.raised
        assert blas_threads() == limits, tracer.raised
        assert not team_module._cores_taken and not team_module._blas_users, tracer.raised
        # contextlib also serves scikit-learn around the training: there the caller gets it.
        if files == OURS:
            assert raised == (solver == "lbfgs"), tracer.raised
        if not hasattr(model, "coefs_"):
            assert raised and files != OURS, tracer.raised
            continue
        returned += 1
        weights = b"".join(w.tobytes() for w in model.coefs_)
        if solver != "lbfgs" and weights in boundaries:
            assert boundaries[weights] - model.n_iter_ in (0, 1), tracer.raised
        elif solver != "lbfgs":  # nothing done: the initial weights
            assert model.n_iter_ == 0 and not model.loss_curve_, tracer.raised
        if solver != "lbfgs":
            assert len(model.loss_curve_) == model.n_iter_ and model.t_ == 120 * model.n_iter_
        assert np.isfinite(model.predict_proba(X)).all()
        assert isinstance(model.loss_, float)
    assert returned > 50 and len(places) > 40
    assert not hasattr(start, "coefs_")


def test_a_rank_that_fails_lets_the_others_go():
    problem = Problem(n=200, batch=200)
    network = problem.network

    def door(member):
        if member.rank == 1:
            raise RuntimeError("rank 1 fails")
        core.train_epoch(
            network.plan,
            network.params,
            state_of(network, "sgd"),
            network.scratch(200, 2, "epoch"),
            np.zeros(3),
            problem.task(),
            member,
        )

    before = network.params.copy()
    with pytest.raises(RuntimeError, match="rank 1 fails"), team(2, None, 1, 1) as members:
        members.run(door)
    np.testing.assert_array_equal(network.params, before)
    assert not ranks_alive()


@pytest.mark.parametrize("failing", [False, True], ids=["interrupted twice", "failed rank"])
def test_a_second_trouble_during_the_first_does_not_hang(failing):
    """An interrupt at any line after a rank has failed, or after another interrupt."""
    problem = Problem(n=200, batch=200)
    network = problem.network

    def door(member):
        if failing and member.rank == 1:
            raise RuntimeError("rank 1 fails")
        core.train_epoch(
            network.plan,
            network.params,
            state_of(network, "sgd"),
            network.scratch(200, 2, "epoch"),
            np.zeros(3),
            problem.task(),
            member,
        )

    class Twice(InterruptAt):
        """Another one, `left` lines after the first."""

        def __call__(self, frame, event, argument):
            if self.raised and not failing and self.again:
                self.left, self.raised, self.again = self.again, None, 0
            return super().__call__(frame, event, argument)

    for first in range(1, 60, 1 if failing else 3):
        for again in (0,) if failing else (1, 2, 3, 5):
            with Twice(first, OURS) as tracer:
                tracer.again = again
                try:
                    with team(2, None, 1, 1) as members:
                        members.run(door)
                except (KeyboardInterrupt, RuntimeError):
                    pass
            gc.collect()
            deadline = time.monotonic() + 20
            while ranks_alive() and time.monotonic() < deadline:
                time.sleep(0.001)
            assert not ranks_alive() and not team_module._cores_taken, (first, again)
    with single_threaded_blas():
        pass
    assert not team_module._blas_users and not team_module._blas_threads


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
                with InterruptAt(line, (trainer_module.__file__,)) as tracer:
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


def test_a_slow_epoch_moves_to_a_thread_of_its_own():
    """There the next Ctrl-C can reach it."""
    threads = []

    def door(member):
        threads.append(threading.get_ident())
        time.sleep(2 * team_module.INLINE_SECONDS if len(threads) == 2 else 0)

    with team(1, None, 1, 1) as members:
        for _ in range(3):
            members.run(door)
    here = threading.get_ident()
    assert threads[:2] == [here, here] and threads[2] != here


def test_a_fit_gets_the_threads_that_its_work_pays_for(monkeypatch):
    monkeypatch.setattr(team_module.joblib, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    sizes, made = [], team_module.Team.__init__

    def spy(self, size, inline):
        sizes.append((size, inline))
        made(self, size, inline)

    monkeypatch.setattr(team_module.Team, "__init__", spy)
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
    """Rank 0 waits for a rank 1 that never comes: the stop lets it go."""
    problem = Problem(n=50, batch=10)
    network, words = problem.network, problem.words()
    before, tally = network.params.copy(), np.zeros(3)
    rank = threading.Thread(
        target=core.train_epoch,
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
            target=core.train_epoch,
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


# ---- how many, and whose BLAS ---------------------------------------------------------------


def test_n_threads_is_taken_at_its_word_and_none_decides(monkeypatch):
    monkeypatch.setattr(team_module.joblib, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    small, large = step_cost(1e6, 1000), step_cost(1e12, 1000)
    for n_threads, cost, expected in (
        (5, small, 5),
        (None, small, 1),
        (None, large, 8),
        (2**40, small, team_module.MOST_RANKS),
        (None, call_cost(1e6), 1),
        (None, call_cost(1e12), 8),
    ):
        with reserved_cores(n_threads, cost, 1000) as size:
            assert size == expected
    block = 1 if backend == "native" else core.BLAS_ROWS
    with reserved_cores(None, large, 2 * block) as size:  # two blocks of rows, no more
        assert size == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert available_cores() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert available_cores() == 8


@pytest.mark.parametrize(
    "work, params, expected",
    [
        (0.8e6, 23_860, 1),  # 784-30-10, batch 10: 25 us alone, 32 us together
        (3.2e6, 79_510, 1),  # 784-100-10, batch 16: 91, 111
        (5.8e6, 79_510, 2),  # batch 32: 130, 116
        (8.9e6, 274_000, 1),  # 300-300-300-10, batch 16: 229, 250
        (31e6, 274_000, 2),  # batch 64: 521, 428
        (41e6, 5_000_000, 2),  # parameters that no cache holds
    ],
)
def test_a_second_thread_is_taken_where_it_was_measured_to_pay(work, params, expected, monkeypatch):
    monkeypatch.setattr(team_module.joblib, "cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with reserved_cores(None, step_cost(work, params), 1000) as size:
        assert size == expected


def test_fits_side_by_side_share_the_cores(monkeypatch):
    monkeypatch.setattr(team_module.joblib, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cost = step_cost(1e12, 1000)
    with reserved_cores(3, cost, 1000) as first:
        with reserved_cores(None, cost, 999) as second, reserved_cores(None, cost, 999) as third:
            assert (first, second, third) == (3, 1, 1)
    with reserved_cores(None, cost, 1000) as size:
        assert size == 4
    assert not team_module._cores_taken


def test_overlapping_users_restore_the_blas_limit_exactly():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        outer, inner = single_threaded_blas(), single_threaded_blas()
        with outer:
            assert {threads for _, threads in blas_threads()} == {1}
            inner.__enter__()
        assert {threads for _, threads in blas_threads()} == {1}  # one user is left
        inner.__exit__(None, None, None)
        assert blas_threads() == before


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_blas_is_held_to_one_thread_where_it_is_called_and_nowhere_else(solver, monkeypatch):
    seen, run = [], team_module.Team.run

    def noting(self, door):
        seen.append({threads for _, threads in blas_threads()})
        return run(self, door)

    monkeypatch.setattr(team_module.Team, "run", noting)
    X, y, _ = data(100)
    with threadpool_limits(2, user_api="blas"):
        MLPClassifier((5,), solver=solver, max_iter=2, random_state=0).fit(X, y)
    held = solver == "lbfgs" or backend == "blas"
    assert seen and all(threads == ({1} if held else {2}) for threads in seen)


def test_overlapping_fits_in_threads_restore_the_blas_limit_and_do_not_disturb_each_other():
    expected = {name: bits(fitted(name, np.float64, False, False, 1)) for name in FITS}
    failures = []

    def work(seed):
        rng = np.random.RandomState(seed)
        for name in rng.permutation(list(FITS)):
            model = fitted(name, np.float64, False, False, [None, 1, 2][seed % 3])
            if bits(model) != expected[name]:
                failures.append((seed, name))

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert blas_threads() == before
    assert not failures and not ranks_alive() and not team_module._cores_taken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_during_a_fit_works_in_the_child():
    """The child has none of the parent's fits: no lock is held, no core taken, no limit left."""
    X, y, _ = data(3000)
    fit = threading.Thread(target=MLPClassifier(max_iter=40, n_threads=2).fit, args=(X, y))
    fit.start()
    deadline = time.monotonic() + 20
    while not team_module._cores_taken and time.monotonic() < deadline:
        time.sleep(0.001)
    for _ in range(5):
        child = os.fork()
        if child == 0:
            try:
                taken = bool(team_module._cores_taken or team_module._blas_users)
                MLPClassifier(max_iter=2, n_threads=2).fit(X[:300], y[:300])
                os._exit(1 if taken else 0)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    fit.join()
