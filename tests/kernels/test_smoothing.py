"""Label smoothing of the log losses: the laws, and what it is of other losses."""

import numpy as np
import pytest
from exhaustive import levels

import oracle
import twins
from fastbp.kernels import LoweredObjective, Task, core
from problems import DTYPES, Problem, Samples, in_team, lowered, row_losses, run_epoch, sums_of

SMOOTHED = ["binary_log_loss", "log_loss", "soft_log_loss", "grouped_log_loss"]
over_losses = pytest.mark.parametrize("loss", SMOOTHED)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_shares = pytest.mark.parametrize("smoothing", [1e-9, 0.1, 0.7, 1 - 2**-20])


def drawn(loss, dtype, n=40, outputs=9, size=3):
    """Raw predictions and targets."""
    z = np.random.RandomState(2).randn(n, outputs) * size
    return z.astype(dtype), Problem("tanh", loss, dtype, n=n, outputs=outputs).y


def oracle_gradient(problem, smoothing):
    """Reported loss and flat gradient, by the oracle."""
    loss, _, dcoefs, dintercepts = oracle.loss_gradient(
        problem.coefs,
        problem.intercepts,
        problem.activation,
        problem.loss,
        problem.X.astype(float),
        problem.y.astype(float),
        problem.weight,
        problem.alpha,
        eps=float(np.finfo(problem.dtype).eps),
        smoothing=smoothing,
    )
    return loss, problem.pack(dcoefs, dintercepts)


# ---- the laws


@over_losses
@over_dtypes
@over_shares
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("outputs", [2, 3, 40])
def test_losses_and_deltas_are_those_of_the_oracle(outputs, exact, smoothing, dtype, loss):
    z, y = drawn(loss, dtype, outputs=outputs)
    rows, delta = row_losses(loss, z, y, exact, smoothing=smoothing)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    raw, eps = z.astype(float), float(np.finfo(dtype).eps)
    expected = oracle.row_delta(loss, raw, y, smoothing)
    np.testing.assert_allclose(delta, expected, rtol=tolerance, atol=tolerance)
    reported = (
        oracle.row_objective(loss, raw, y, smoothing)
        if exact
        else oracle.row_reported(loss, raw, y, eps, smoothing)
    )
    np.testing.assert_allclose(rows, reported, rtol=tolerance, atol=tolerance / 10)


@over_losses
@over_dtypes
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_law_1_gradient_is_that_of_the_objective(is_sparse, dtype, loss):
    problem = Problem("tanh", loss, dtype, sparse=is_sparse, seed=3, smoothing=0.2)

    def objective(params):
        return oracle.objective(
            *problem.unpack(params), "tanh", loss, problem.X.astype(float),
            problem.y.astype(float), problem.weight, problem.alpha, 0.2,
        )  # fmt: skip

    params, step = problem.network.params.astype(np.float64), 1e-6
    gradient = problem.loss_gradient()[1].astype(np.float64)
    for direction in np.random.RandomState(0).randn(9, params.size):
        rise = objective(params + step * direction) - objective(params - step * direction)
        loose = 1e-7 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(gradient @ direction, rise / (2 * step), rtol=loose, atol=loose)


@over_losses
@over_dtypes
@over_shares
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize(
    "shape", [{}, dict(hidden=(), n=1), dict(features=200, hidden=(150, 70), n=130)], ids=str
)
def test_law_2_loss_and_gradient_agree_with_the_oracle(shape, is_sparse, smoothing, dtype, loss):
    problem = Problem("tanh", loss, dtype, sparse=is_sparse, smoothing=smoothing, **shape)
    if problem.n == 1:
        problem.weight = np.array([1.5])
    expected = oracle_gradient(problem, smoothing)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5 if problem.X.shape[1] < 100 else 1e-4
    for chunk in {problem.n, max(problem.n // 3, 1)}:
        value, gradient = problem.loss_gradient(chunk=chunk)
        np.testing.assert_allclose(value, expected[0], rtol=tolerance)
        np.testing.assert_allclose(
            gradient, expected[1], rtol=tolerance, atol=tolerance * abs(expected[1]).max()
        )


@over_losses
def test_law_4_weight_2_is_a_sample_twice_and_weight_0_none(loss):
    problem = Problem("logistic", loss, n=12, weighted=False, smoothing=0.2)
    weight = np.array([2.0, 0, 1] * 4)
    repeated = np.repeat(np.arange(12), weight.astype(int))
    value, gradient = problem.loss_gradient(weight=weight)
    twice = problem.loss_gradient(chunk=len(repeated), x=problem.X[repeated], y=problem.y[repeated])
    np.testing.assert_allclose(value, twice[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, twice[1], rtol=1e-12, atol=1e-14)


@over_losses
def test_law_4_a_sample_of_no_weight_is_absent_whatever_its_loss(loss):
    problem = Problem("identity", loss, n=6, weighted=False, smoothing=0.2)
    weight = np.array([1.0, 1, 0, 1, 1, 1])
    before = problem.loss_gradient(weight=weight)
    problem.X[2] = 1e300  # its raw prediction is infinite, its loss inf or NaN
    after = problem.loss_gradient(weight=weight)
    assert before[0] == after[0]
    np.testing.assert_array_equal(before[1], after[1])


@over_losses
@over_dtypes
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("batch", [1, 100])
def test_law_5_an_epoch_has_the_same_bits_for_1_to_4_threads(batch, sparse, dtype, loss):
    shape = dict(n=330 if batch > 1 else 40, features=200, hidden=(150, 70), outputs=20)
    problem = Problem("relu", loss, dtype, sparse=sparse, batch=batch, smoothing=0.1, **shape)
    order = np.random.RandomState(1).permutation(problem.n)
    one, *others = (
        run_epoch(problem, "adam", weight=problem.weight, order=order, size=size)
        for size in (1, 2, 3, 4)
    )
    assert np.isfinite(one[0]).all() and not np.array_equal(one[0], problem.network.params)
    for other in others:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@over_losses
@over_dtypes
def test_law_5_the_gradient_has_the_same_bits_for_1_to_4_threads(dtype, loss):
    problem = Problem("relu", loss, dtype, n=500, hidden=(70,), outputs=20, smoothing=0.1)
    network, found = problem.network, []
    for size in (1, 2, 3, 4):
        sums, tally, words = sums_of(network.params, 3), np.zeros(2), problem.words()
        task = Task(Samples(problem.x, problem.y, problem.weight), problem.objective, batch=200)
        scratch = network.scratch(200, size, "gradient")
        arguments = network.plan, network.params, sums, scratch, tally, task
        in_team(core.loss_gradient, words, size, *arguments)
        assert tally[1] == 500
        found.append(sums.grads[0].tobytes() + tally.tobytes())
    assert len(set(found)) == 1


@pytest.mark.skipif(core.DEBUG or not {"v3", "v4"} <= set(levels()), reason="no v3 and v4 here")
@over_losses
@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("outputs", [1, 3, 20])
def test_law_5_v3_and_v4_give_the_same_bits(outputs, exact, dtype, loss):
    z, y = drawn(loss, dtype, n=500, outputs=outputs, size=9)
    z[::50], z[1::50], z[2::50] = np.inf, -np.inf, np.nan
    v3, v4 = (
        row_losses(loss, z, y, exact, core=levels()[level], smoothing=0.1) for level in ("v3", "v4")
    )
    for one, other in zip(v3, v4, strict=True):
        np.testing.assert_array_equal(one.view(np.uint8), other.view(np.uint8))


@over_losses
@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
def test_each_row_has_the_bits_of_the_row_alone(exact, dtype, loss):
    z, y = drawn(loss, dtype)
    rows, delta = row_losses(loss, z, y, exact, smoothing=0.1)
    for r in range(len(z)):
        one = row_losses(loss, z[r : r + 1].copy(), y[r : r + 1].copy(), exact, smoothing=0.1)
        np.testing.assert_array_equal(one[0], rows[r : r + 1])
        np.testing.assert_array_equal(one[1], delta[r : r + 1])


@over_losses
def test_an_order_is_the_rows_put_in_that_order(loss):
    problem = Problem("tanh", loss, n=33, batch=7, smoothing=0.1)
    order = np.random.RandomState(5).permutation(33)
    shuffled = run_epoch(problem, weight=problem.weight, order=order)
    problem.x, problem.y = problem.X[order], problem.y[order]
    for ours, theirs in zip(
        shuffled, run_epoch(problem, weight=problem.weight[order]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@over_losses
@over_dtypes
@over_shares
@pytest.mark.parametrize("outputs", [2, 9])
def test_law_7_losses_of_far_raw_predictions_are_finite(outputs, smoothing, dtype, loss):
    _, y = drawn(loss, dtype, outputs=outputs)
    z = np.random.RandomState(0).choice([-1e4, 0, 1e4], y.shape[:1] + (outputs,)).astype(dtype)
    raw, eps = z.astype(float), float(np.finfo(dtype).eps)
    rows, delta = row_losses(loss, z, y, smoothing=smoothing)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    expected = oracle.row_reported(loss, raw, y, eps, smoothing)
    np.testing.assert_allclose(rows, expected, rtol=tolerance, atol=tolerance)
    assert np.isfinite(delta).all()
    unclipped, same = row_losses(loss, z, y, exact=True, smoothing=smoothing)
    expected = oracle.row_objective(loss, raw, y, smoothing)
    np.testing.assert_allclose(unclipped, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(same, delta)


@over_dtypes
@pytest.mark.parametrize("loss", ["log_loss", "soft_log_loss"])
@pytest.mark.parametrize("exact", [False, True])
def test_law_7_softmax_does_not_see_a_constant(exact, loss, dtype):
    z, y = drawn(loss, dtype, size=1)
    plain, moved = (row_losses(loss, raw, y, exact, smoothing=0.1) for raw in (z, z + dtype(64)))
    loose = np.finfo(dtype).eps * 400
    for a, b in zip(plain, moved, strict=True):
        np.testing.assert_allclose(a, b, rtol=loose, atol=loose)


# ---- what it is of other losses


@over_dtypes
@over_shares
@pytest.mark.parametrize("exact", [False, True])
def test_it_is_the_soft_log_loss_of_smoothed_targets(exact, smoothing, dtype):
    z, y = drawn("log_loss", dtype)
    K = z.shape[1]
    targets = np.full(z.shape, dtype(smoothing / K))
    targets[np.arange(len(z)), y[:, 0].astype(int)] += dtype(1 - smoothing)
    theirs = row_losses("soft_log_loss", z, targets, exact)
    for a, b in zip(row_losses("log_loss", z, y, exact, smoothing=smoothing), theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@over_dtypes
@over_shares
@pytest.mark.parametrize("exact", [False, True])
def test_an_output_alone_is_a_softmax_of_two(exact, smoothing, dtype):
    z, y = drawn("binary_log_loss", dtype, outputs=1)
    rows, delta = row_losses("binary_log_loss", z, y, exact, smoothing=smoothing)
    both = np.hstack([np.zeros_like(z), z])
    theirs, deltas = row_losses("log_loss", both, y, exact, smoothing=smoothing)
    loose = np.finfo(dtype).eps * 50
    np.testing.assert_allclose(rows, theirs, rtol=loose, atol=loose)
    np.testing.assert_allclose(delta, deltas[:, 1:], rtol=loose, atol=loose)


@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("widths", [(1,), (3,), (1, 3), (4, 1, 5), (300, 1, 2)], ids=str)
def test_each_of_several_targets_has_the_bits_of_its_own_loss(widths, exact, dtype):
    rng = np.random.RandomState(0)
    y = np.column_stack([rng.randint(0, max(width, 2), 41) for width in widths]).astype(dtype)
    z = (rng.randn(41, sum(widths)) * 5).astype(dtype)
    given = dict(exact=exact, smoothing=0.3)
    rows, delta = row_losses("grouped_log_loss", z, y, parameters=np.array(widths, float), **given)
    total, ends = 0, np.cumsum(widths)
    for t, (end, width) in enumerate(zip(ends, widths, strict=True)):
        block = slice(end - width, end)
        loss = "binary_log_loss" if width == 1 else "log_loss"
        rows_t, expected = row_losses(loss, z[:, block].copy(), y[:, [t]].copy(), **given)
        np.testing.assert_array_equal(delta[:, block], expected)
        total = total + rows_t
    np.testing.assert_array_equal(rows, total)


# Cross entropies of PyTorch 2.13 with label_smoothing=0.1, of classes 0, 2 and 1.
RAW = [[0.3, -1.2, 2.5], [-0.7, 0.4, 1.1], [3.0, -2.0, 0.5]]
OF_CLASSES = [2.3037632494671527, 0.591285347442922, 4.83509724636431]
OF_SHARES = [1.7187632494671528, 1.1582853474429222, 2.58509724636431]


def test_the_values_of_pytorch():
    z, y = np.array(RAW), np.array([[0.0], [2.0], [1.0]])
    rows, _ = row_losses("log_loss", z, y, exact=True, smoothing=0.1)
    np.testing.assert_allclose(rows, OF_CLASSES, rtol=1e-12)
    shares = np.array([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1], [0.25, 0.25, 0.5]])
    rows, _ = row_losses("soft_log_loss", z, shares, exact=True, smoothing=0.1)
    np.testing.assert_allclose(rows, OF_SHARES, rtol=1e-12)


# ---- what is refused


@pytest.mark.parametrize("loss", SMOOTHED)
@pytest.mark.parametrize("smoothing", [-0.1, -1e-300, 1.0, 2.0, np.nan, np.inf])
def test_a_share_is_at_least_0_and_below_1(smoothing, loss):
    z, y = drawn(loss, np.float64)
    with pytest.raises(ValueError, match=f"has targets with a smoothing of {smoothing}"):
        row_losses(loss, z, y, smoothing=smoothing)


@pytest.mark.parametrize("loss", sorted(set(core.LOSSES) - set(SMOOTHED)))
def test_no_other_loss_has_it(loss):
    problem = Problem("tanh", loss)
    z = np.zeros((problem.n, problem.network.units[-1]))
    row_losses(loss, z, problem.y, smoothing=0.0)
    with pytest.raises(ValueError, match=f"no loss {core.LOSSES[loss]} has targets with"):
        row_losses(loss, z, problem.y, smoothing=0.1)


def test_there_is_none_unless_it_is_asked_for():
    assert LoweredObjective(0, 0).smoothing == lowered("log_loss", 3).smoothing == 0.0
    assert twins.LOSSES.keys() >= set(SMOOTHED)
