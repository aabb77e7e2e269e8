"""Steps on rows with columns that are piecewise-linear codes, beside steps on the whole rows."""

import numpy as np
import pytest

from fastbp.kernels import CSR, Codes, Dropout, core, load_core, runnable_levels
from oracle import written_out
from problems import DTYPES, Problem, oracle_epoch, run_epoch, state_of

pytestmark = pytest.mark.skipif(not core.HAS_CODES, reason="no vectors in this build")
# Bins of each code: one alone, few, many; fewer codes and more than are added at once.
BINS = {"one": [16], "few": [2, 3, 1, 5, 4], "many": [16, 300, 7, 1, 16, 16, 2, 16, 40]}
over_bins = pytest.mark.parametrize("bins", BINS.values(), ids=BINS)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_optimizers = pytest.mark.parametrize("optimizer", core.OPTIMIZERS)


def drawn_codes(rng, n, bins, others, one, dtype):
    """Codes of n rows behind so many other columns: shares of 0 and of all occur, too."""
    bins = np.array(bins)
    places = rng.randint(0, bins, (n, len(bins))).astype(np.int32)
    shares = rng.choice([0, 0.25, 0.5, 1], (n, len(bins))) * one
    first = others + np.concatenate([[0], np.cumsum(bins)])
    return Codes(places, shares.astype(dtype), first.astype(np.intp), one)


class CodedProblem(Problem):
    """A problem with codes among its features."""

    def __init__(self, bins, others=3, behind=2, one=1.5, seed=0, **options):
        super().__init__(features=others + sum(bins) + behind, seed=seed, **options)
        rng = np.random.RandomState(seed)
        self.codes = drawn_codes(rng, self.n, bins, others, one, self.dtype)
        self.X[:, others : others + sum(bins)] = written_out(self.codes)


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@over_bins
@over_optimizers
@pytest.mark.parametrize("constants", [{}, dict(weight_decay=3.0, clip_norm=0.05, ema_decay=0.9)])
@pytest.mark.parametrize("hidden", [(5,), (16, 4), (33, 7), (100,)], ids=str)
@pytest.mark.parametrize("behind", [0, 30])
def test_epochs_agree_with_the_oracle(bins, optimizer, constants, hidden, behind):
    options = dict(hidden=hidden, n=71, batch=20, loss="log_loss", alpha=0.3)
    problem = CodedProblem(bins, behind=behind, **options)
    weight, order = problem.weight, np.random.RandomState(1).permutation(problem.n)
    params, state, _ = run_epoch(problem, optimizer, weight=weight, order=order, **constants)
    expected = problem.network.params.copy()
    moments = state_of(problem.network, optimizer, problem.rule["ema_decay"])
    oracle_epoch(problem, expected, moments, 0, weight=weight, order=order)
    np.testing.assert_allclose(params, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state, moments, rtol=1e-10, atol=1e-12)


@over_dtypes
@pytest.mark.parametrize("outputs", [1, 2, 7, 8, 40])
def test_codes_change_no_bit_where_nothing_is_rounded(dtype, outputs):
    """Products and sums of small whole numbers are exact, in whichever order."""
    bins = BINS["few"]
    options = dict(n=16, batch=16, loss="squared_error", alpha=0.0, rate=0.5, outputs=outputs)
    problem = CodedProblem(bins, one=4.0, dtype=dtype, hidden=(), **options)
    rng = np.random.RandomState(2)
    problem.network.params[:] = rng.randint(-3, 4, problem.network.params.size)
    problem.X[:, :3] = rng.randint(-3, 4, (problem.n, 3))
    problem.X[:, -2:] = rng.randint(-3, 4, (problem.n, 2))
    problem.y[:] = rng.randint(-3, 4, problem.y.shape)
    short = run_epoch(problem, momentum=0.5)
    problem.codes = None
    assert_same_bits(short, run_epoch(problem, momentum=0.5))
    assert not np.array_equal(short[0], problem.network.params)


@over_bins
@over_dtypes
@pytest.mark.parametrize("constants", [{}, dict(clip_norm=0.05)], ids=["steps", "clipped"])
def test_any_team_makes_the_same_bits(bins, dtype, constants):
    options = dict(n=130, batch=50, hidden=(70, 30), loss="log_loss")
    problem = CodedProblem(bins, dtype=dtype, others=40, **options)
    order = np.random.RandomState(3).permutation(problem.n)
    expected = run_epoch(problem, "adam", order=order, **constants)
    for size in (2, 3, 4):
        assert_same_bits(run_epoch(problem, "adam", order=order, size=size, **constants), expected)


@pytest.mark.skipif(
    core.DEBUG or not {"v3", "v4"} <= set(runnable_levels()), reason="no v3 and v4 here"
)
@over_bins
@over_dtypes
@pytest.mark.parametrize("hidden", [(5,), (33,), (100,)], ids=str)
def test_law_5_v3_and_v4_give_the_same_bits(bins, dtype, hidden, monkeypatch):
    problem, found = CodedProblem(bins, dtype=dtype, hidden=hidden, n=64, batch=16), []
    for level in ("v3", "v4"):
        monkeypatch.setattr("problems.core", load_core(level)[1])
        found.append(run_epoch(problem, "adam"))
    assert_same_bits(*found)


@over_dtypes
def test_single_rows_and_rows_in_their_own_order(dtype):
    problem = CodedProblem(BINS["few"], dtype=dtype, n=9, batch=1)
    params, _, _ = run_epoch(problem, "sgd")
    expected = problem.network.params.astype(np.float64)
    oracle_epoch(problem, expected, np.zeros((1, expected.size)), 0)
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(params, expected, rtol=tolerance, atol=tolerance)


def test_codes_that_do_not_fit_are_refused():
    codes = CodedProblem([4, 3], others=2, behind=0).codes

    def call(match, x=None, dropout=None, **changed):
        problem = CodedProblem([4, 3], others=2, behind=0)
        task = problem.task()
        x = problem.x if x is None else x
        samples = task.samples.__class__(x, problem.y, None, codes._replace(**changed))
        network = problem.network.copy()
        scratch = np.zeros(10**5)
        state, tally = state_of(network, "sgd"), np.zeros(3)
        with pytest.raises(ValueError, match=match):
            core.train_epochs(
                network.plan,
                network.params,
                state,
                scratch,
                tally,
                task._replace(samples=samples, dropout=dropout),
                problem.alone(),
            )

    n = len(codes.bins)
    for first in ([2], [0, 4, 9], [2, 6, 10]):
        call("the columns of codes are some of 9", first=np.array(first, np.intp))
    call("code 0 has the columns 2 to 2", first=np.array([2, 2, 9], np.intp))
    for bins in (codes.bins[:-1], codes.bins[:, :1].copy()):
        call("a bin and a share for each of 2 codes", bins=bins)
    call("a bin and a share for each of 2 codes", shares=codes.shares[:-1])
    for place, bad in (((0, 0), 4), ((n - 1, 1), 3), ((3, 1), -1)):
        bins = codes.bins.copy()
        bins[place] = bad
        call("a code has no such bin", bins=bins)
    csr = CSR(np.ones(n), np.zeros(n, np.int32), np.arange(n + 1, dtype=np.int64), 9)
    call("CSR rows have no codes", x=csr)
    thresholds = np.array([1000, 0, 0], np.uint32)
    call("codes cannot be dropped", dropout=Dropout(thresholds, 1, np.zeros(1, np.uint64)))
