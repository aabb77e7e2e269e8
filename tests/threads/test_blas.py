"""Single-threaded BLAS: which fits limit it, and that the limit is restored."""

import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from fastbp import MLPClassifier
from fastbp.kernels import backend
from fastbp.threads import Team, blas, cores, single_threaded_blas
from fits import FITS, bits, data, fitted
from interrupts import blas_threads, ranks_alive

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    seen, run = [], Team.run

    def noting(self, door):
        seen.append({threads for _, threads in blas_threads()})
        return run(self, door)

    monkeypatch.setattr(Team, "run", noting)
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
    assert not failures and not ranks_alive() and not cores._cores_taken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_restores_the_limit_in_the_child_and_leaves_no_lock_held():
    """The child does not have the thread that holds limit and lock."""
    held, ended = threading.Event(), threading.Event()

    def hold():
        with single_threaded_blas(), blas._lock:
            held.set()
            ended.wait(20)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        user = threading.Thread(target=hold)
        user.start()
        try:
            assert held.wait(20)
            child = os.fork()
            if child == 0:
                try:
                    restored = blas_threads() == before and not blas._users
                    free = blas._lock.acquire(blocking=False)
                    os._exit(0 if restored and free else 1)
                except BaseException:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert {threads for _, threads in blas_threads()} == {1}
        finally:
            ended.set()
            user.join()
        assert blas_threads() == before
