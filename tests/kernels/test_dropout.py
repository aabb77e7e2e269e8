"""Dropout: the mask, and epochs in which units are dropped."""

import numpy as np
import pytest

import oracle
import twins
from fastbp.kernels import Dropout, Task, core
from fastbp.network import Network
from problems import DTYPES, Problem, oracle_epoch, run_epoch, state_of, sums_of

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_optimizers = pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
WIDE = dict(n=130, batch=50, features=200, hidden=(150, 70))  # several blocks and slices


def dropout_of(*rates, seed=2**62 + 12345, seen=0):
    thresholds = np.array([round(rate * 2**16) for rate in rates], np.uint32)
    return Dropout(thresholds, seed, np.array([seen], np.uint64))


def dropped(dropout, layer, shape, dtype=np.float64):
    """The factors of units, by the core; and of slopes, which are the same."""
    a, s = np.ones(shape, dtype), np.full(shape, 2, dtype)
    core.kernel_dropout(a, s, dropout, layer)
    np.testing.assert_array_equal(s, 2 * a)
    return a


# ---- the mask


@over_dtypes
@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 511, 512, 513, 1100])
@pytest.mark.parametrize("rate", [2**-16, 0.1, 0.5, 1 - 2**-16])
def test_the_mask_agrees_with_the_oracle(rate, n, dtype):
    """Odd and even widths, and more than are hashed at once."""
    for seed, seen in ((0, 0), (2**63 - 1, 2**40 + 7), (123456789, 3)):
        dropout = dropout_of(0.0, rate, seed=seed, seen=seen)
        expected = oracle.mask(dropout, 1, 0, 4, n)
        np.testing.assert_array_equal(dropped(dropout, 1, (4, n), dtype), expected.astype(dtype))


def test_the_mask_never_changes():
    """As literals: a model that was fitted once is fitted again by later versions."""
    dropout = dropout_of(0.3, 0.3, 0.3, seed=20261126, seen=5)
    kept = [
        "".join(str(int(unit > 0)) for unit in dropped(dropout, k, (2, 24)).ravel())
        for k in range(3)
    ]
    assert kept == [
        "111110011110110011001111100110001001110001100111",
        "111111101111111010111001111111111111111101101111",
        "110110111100011111111101111010100001111011111110",
    ]


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_mean_over_masks_is_the_unit(rate):
    """Within 5 standard deviations; no unit, pair of units, row or layer is different."""
    n, width = 100_000, 30
    kept = dropped(dropout_of(rate, rate, seed=7), 1, (n, width)) > 0
    q = round(rate * 2**16) / 2**16
    sigma = (q / (1 - q) / n) ** 0.5
    units = np.sin(np.arange(1.0, width + 1))
    assert (abs((kept * units / (1 - q)).mean(axis=0) - units) < 5 * sigma * abs(units)).all()
    off = (kept - (1 - q)) / (q * (1 - q)) ** 0.5
    pairs = off.T @ off / n**0.5
    assert abs(pairs[np.triu_indices(width, 1)]).max() < 5
    for apart in (1, 2, 7):
        assert abs((off[apart:] * off[:-apart]).sum(axis=0) / n**0.5).max() < 5
    for other in (
        dropped(dropout_of(rate, rate, seed=7), 0, (n, width)),
        dropped(dropout_of(rate, rate, seed=8), 1, (n, width)),
    ):
        assert abs((off * ((other > 0) - (1 - q))).sum(axis=0)).max() < 5 * (n * q * (1 - q)) ** 0.5


def test_the_mask_of_a_sample_is_its_own():
    """It depends on the number of the sample, not on the rows beside it."""
    whole = dropped(dropout_of(0.5, 0.5, seen=100), 1, (20, 9))
    for first in range(20):
        one = dropped(dropout_of(0.5, 0.5, seen=100 + first), 1, (1, 9))
        np.testing.assert_array_equal(one[0], whole[first])


@over_dtypes
def test_a_unit_that_is_nan_stays_nan(dtype):
    a = np.full((5, 40), np.nan, dtype)
    core.kernel_dropout(a, a.copy(), dropout_of(0.9, 0.9), 1)
    assert np.isnan(a).all()


# ---- epochs


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def check_epochs(problem, dropout, optimizer="adam", **options):
    """Two epochs agree with the oracle; the second goes on with the count of samples."""
    params, state = problem.network.params.copy(), state_of(problem.network, optimizer)
    expected, moments, t = params.copy(), state.copy(), 0.0
    for _ in range(2):
        params, state, tally = run_epoch(
            problem, optimizer, params=params, state=state, t=t, dropout=dropout, **options
        )
        total = oracle_epoch(problem, expected, moments, int(t), dropout=dropout, **options)
        dropout = dropout._replace(seen=dropout.seen + np.uint64(problem.n))
        t += -(-problem.n // problem.batch)
        np.testing.assert_allclose(params, expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(state, moments, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(tally, [total, problem.n, t], rtol=1e-12)


@pytest.mark.parametrize("kind", ["name", "tape"])
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_epochs_of_every_activation_agree_with_the_oracle(activation, kind):
    problem = Problem(activation, "log_loss", n=33, batch=7, hidden=(9, 8))
    if kind == "tape":
        formula = twins.ACTIVATIONS[activation].graph
        if formula is None:
            pytest.skip("it cannot be traced")
        params = problem.network.params
        problem.network = Network(problem.network.units, formula, np.float64)
        problem.network.params[:] = params
    check_epochs(problem, dropout_of(0.1, 0.5, 0.25), weight=problem.weight)


@over_optimizers
@pytest.mark.parametrize("rates", [(0.3, 0, 0), (0, 0.5, 0), (0, 0, 0.5), (0.2, 0.3, 0.4)])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    "shape", [dict(n=9, batch=1), dict(n=33, batch=7), WIDE], ids=["single", "small", "wide"]
)
def test_epochs_agree_with_the_oracle(optimizer, rates, shuffled, shape):
    problem = Problem("relu", "log_loss", **shape)
    order = np.random.RandomState(5).permutation(problem.n) if shuffled else None
    check_epochs(problem, dropout_of(*rates, seen=1000), optimizer, order=order)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_epochs_of_csr_rows_agree_with_the_oracle(activation):
    problem = Problem(activation, "log_loss", sparse=True, **WIDE)
    check_epochs(problem, dropout_of(0, 0.5, 0.25))


def test_dropout_goes_with_decay_clipping_and_average():
    problem = Problem("tanh", "log_loss", **WIDE)
    dropout = dropout_of(0.1, 0.5, 0.25)
    constants = dict(weight_decay=3.0, clip_norm=0.05, ema_decay=0.9)
    found, state, _ = run_epoch(problem, "adam", dropout=dropout, **constants)
    expected, moments = problem.network.params.copy(), np.zeros_like(state)
    oracle_epoch(problem, expected, moments, 0, dropout=dropout)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state, moments, rtol=1e-10, atol=1e-12)


@over_optimizers
@over_dtypes
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
def test_any_team_makes_the_same_bits(optimizer, dtype, activation, sparse):
    problem = Problem(activation, "log_loss", dtype, sparse=sparse, **WIDE)
    dropout = dropout_of(0 if sparse else 0.2, 0.5, 0.25)
    expected = run_epoch(problem, optimizer, dropout=dropout)
    for size in (2, 3, 4):
        assert_same_bits(run_epoch(problem, optimizer, size=size, dropout=dropout), expected)
    assert abs(run_epoch(problem, optimizer)[0] - expected[0]).max() > 1e-4


@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_rates_of_0_change_no_bit(activation):
    problem = Problem(activation, "log_loss", **WIDE)
    plain = run_epoch(problem)
    assert_same_bits(run_epoch(problem, dropout=dropout_of(0, 0, 0)), plain)


@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_a_batch_is_the_mean_of_its_samples(activation):
    """Each with the mask of its own number."""
    problem = Problem(activation, n=12, alpha=0.0, weighted=False, rate=1.0)
    rates, plain = (0.2, 0.5, 0.25), dict(momentum=0.0, nesterovs_momentum=False)
    start = problem.network.params

    def gradient(order, seen):
        dropout = dropout_of(*rates, seen=seen)
        return start - run_epoch(problem, order=order, dropout=dropout, **plain)[0]

    whole = gradient(np.arange(12), 40)
    single = [gradient(np.array([row]), 40 + row) for row in range(12)]
    np.testing.assert_allclose(whole, np.mean(single, axis=0), rtol=1e-11, atol=1e-13)


def test_only_epochs_drop():
    """Not the gradient of the objective, by which it is checked and lbfgs trains."""
    problem = Problem("tanh")
    expected = problem.loss_gradient()
    sums, tally = sums_of(problem.network.params, 1), np.zeros(2)
    samples = problem.task(weight=problem.weight).samples
    task = Task(samples, problem.objective, batch=problem.n, dropout=dropout_of(0.5, 0.5, 0.5))
    scratch = problem.network.scratch(problem.n, 1, "gradient")
    core.loss_gradient(
        problem.network.plan, problem.network.params, sums, scratch, tally, task, problem.alone()
    )
    np.testing.assert_array_equal(sums.grads[0], expected[1])
    assert tally[0] == expected[0]


def test_damaged_dropout_is_refused():
    for wrong, text in (
        (dropout_of(0.1, 0.1), "a threshold for each of 3 layers and one number of samples, not 2"),
        (dropout_of(*[0.1] * 4), "a threshold for each of 3 layers and one number of samples"),
        (dropout_of(0.1, 1.0, 0.1), "a threshold of dropout is at most 65535, not 65536"),
        (dropout_of(0.1, 0, 0)._replace(seen=np.zeros(2, np.uint64)), "not 3 and 2"),
    ):
        problem = Problem("tanh")
        with pytest.raises(ValueError, match=text):
            problem.network.scratch(problem.n, 1, "epoch", dropout=wrong)
        network, state = problem.network, state_of(problem.network, "sgd")
        scratch = network.scratch(problem.n, 1, "epoch", dropout=dropout_of(0.1, 0.1, 0.1))
        arguments = network.plan, network.params, state, scratch, np.zeros(3)
        with pytest.raises(ValueError, match=text):
            core.train_epochs(*arguments, problem.task(dropout=wrong), problem.alone())
        small = network.scratch(problem.n, 1, "epoch")  # without slopes
        arguments = network.plan, network.params, state, small, np.zeros(3)
        task = problem.task(dropout=dropout_of(0.1, 0.1, 0.1))
        with pytest.raises(ValueError, match="numbers of scratch are needed"):
            core.train_epochs(*arguments, task, problem.alone())
    sparse = Problem("tanh", sparse=True)
    scratch = sparse.network.scratch(sparse.n, 1, "epoch_csr", dropout=dropout_of(0.1, 0, 0))
    arguments = sparse.network.plan, sparse.network.params, state_of(sparse.network, "sgd")
    with pytest.raises(ValueError, match="entries of CSR rows cannot be dropped"):
        core.train_epochs(
            *arguments,
            scratch,
            np.zeros(3),
            sparse.task(dropout=dropout_of(0.1, 0, 0)),
            sparse.alone(),
        )
    units = np.ones((2, 3))
    for a, s, layer in ((units, units[:1], 0), (units[:0], units[:0], 0), (units, units, 2)):
        with pytest.raises(ValueError, match=r"units and slopes|no layer 2 of 2"):
            core.kernel_dropout(a, s.copy(), dropout_of(0.1, 0.1), layer)
