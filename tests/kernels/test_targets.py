"""The grouped log loss and its link: several targets of several classes, block by block."""

import numpy as np
import pytest

import oracle
import twins
from fastbp.kernels import LoweredObjective, Task, core
from fastbp.network import make_plan
from problems import DTYPES, Problem, Samples, in_team, lowered, row_losses, run_epoch, sums_of

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
# Widths of the targets; the last ones are wider than a block of the link.
WIDTHS = [(1,), (3,), (1, 1), (1, 3), (4, 1, 5), (2, 1, 1, 3), (300, 1, 256), (257,)]
over_widths = pytest.mark.parametrize("widths", WIDTHS, ids=str)
LOSS, LINK = "grouped_log_loss", core.LINKS["grouped_softmax"]


def drawn(widths, dtype, n=41, size=5):
    rng = np.random.RandomState(0)
    y = np.column_stack([rng.randint(0, max(width, 2), n) for width in widths])
    return (rng.randn(n, sum(widths)) * size).astype(dtype), y.astype(dtype)


def parts_of(widths, matrix):
    return [np.ascontiguousarray(one) for one in np.split(matrix, np.cumsum(widths)[:-1], axis=1)]


def grouped(widths, z, y, exact=False):
    return row_losses(LOSS, z, y, exact, parameters=np.array(widths, float))


@over_widths
@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [1, 30, 1e4])
def test_each_block_has_the_bits_of_its_own_loss(widths, dtype, exact, size):
    """The deltas are those of the log losses of each target, the losses their sum in order."""
    z, y = drawn(widths, dtype, size=size)
    rows, delta = grouped(widths, z, y, exact)
    assert np.isfinite(rows).all() and np.isfinite(delta).all()
    total = 0
    for t, (z_t, delta_t) in enumerate(
        zip(parts_of(widths, z), parts_of(widths, delta), strict=True)
    ):
        loss = "binary_log_loss" if widths[t] == 1 else "log_loss"
        rows_t, expected = row_losses(loss, z_t, y[:, [t]].copy(), exact)
        np.testing.assert_array_equal(delta_t, expected)
        total = total + rows_t
    np.testing.assert_array_equal(rows, total)


@over_widths
@over_dtypes
def test_each_block_has_the_bits_of_its_own_link(widths, dtype):
    z, _ = drawn(widths, dtype, n=600)
    z[3, 0] = np.nan
    p = z.copy()
    core.kernel_link(LINK, p, np.array(widths, float))
    for width, z_t, p_t in zip(widths, parts_of(widths, z), parts_of(widths, p), strict=True):
        core.kernel_link(core.LINKS["logistic" if width == 1 else "softmax"], z_t)
        np.testing.assert_array_equal(p_t, z_t)


@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
def test_law_7_a_constant_within_a_block_changes_nothing(dtype, exact):
    widths = (4, 1, 5)
    z, y = drawn(widths, dtype, size=1)
    moved = z + np.repeat([64, 0, -32], widths).astype(dtype)
    loose = np.finfo(dtype).eps * 400
    for a, b in zip(grouped(widths, z, y, exact), grouped(widths, moved, y, exact), strict=True):
        np.testing.assert_allclose(a, b, rtol=loose, atol=loose)


@over_dtypes
def test_the_oracle_has_the_sum_of_single_targets(dtype):
    """The twin of the tests, against losses of one target that other tests trust."""
    z, y = drawn(twins.widths(12), dtype)
    z = z.astype(float)
    total, parts = 0, []
    for t, z_t in enumerate(twins.blocks(z)):
        loss = "binary_log_loss" if z_t.shape[1] == 1 else "log_loss"
        total = total + oracle.row_objective(loss, z_t, y[:, [t]])
        parts.append(oracle.row_delta(loss, z_t, y[:, [t]]))
    np.testing.assert_allclose(oracle.row_objective(LOSS, z, y), total, rtol=1e-12)
    np.testing.assert_allclose(oracle.row_delta(LOSS, z, y), np.hstack(parts), rtol=1e-12)


@over_dtypes
@pytest.mark.parametrize("hidden", [(), (5, 4)], ids=["linear", "trunk"])
def test_the_gradient_is_the_sum_of_single_targets_on_the_same_trunk(hidden, dtype):
    problem = Problem("tanh", LOSS, dtype, outputs=9, hidden=hidden, alpha=0.0)
    widths = twins.widths(9)
    assert widths.tolist() == [1, 3, 4, 1]
    value, gradient = problem.loss_gradient()
    coefs, intercepts = problem.unpack(gradient.astype(float))
    total, first = 0, 0
    expected = [np.zeros_like(w) for w in coefs], [np.zeros_like(b) for b in intercepts]
    for t, width in enumerate(widths):
        loss = "binary_log_loss" if width == 1 else "log_loss"
        one = Problem("tanh", loss, dtype, outputs=width, hidden=hidden, alpha=0.0)
        block = slice(first, first + width)
        arrays = [*zip(one.network.coefs, problem.network.coefs, strict=True)]
        arrays += zip(one.network.intercepts, problem.network.intercepts, strict=True)
        for own, whole in arrays:  # the trunk is the same, the last layer a part
            own[...] = whole if own.shape == whole.shape else whole[..., block]
        own_value, own_gradient = one.loss_gradient(
            x=problem.x, y=problem.y[:, [t]].copy(), weight=problem.weight
        )
        total += own_value
        for whole, parts in zip(expected, one.unpack(own_gradient.astype(float)), strict=True):
            for k, part in enumerate(parts):
                last = k == len(parts) - 1
                whole[k][..., block if last else slice(None)] += part
        first += width
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(value, total, rtol=tolerance)
    for found, wanted in zip([*coefs, *intercepts], [*expected[0], *expected[1]], strict=True):
        np.testing.assert_allclose(
            found, wanted, rtol=tolerance, atol=tolerance * abs(wanted).max()
        )


@over_dtypes
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_law_5_an_epoch_has_the_same_bits_for_1_to_4_threads(optimizer, sparse, dtype):
    shape = dict(n=330, batch=100, features=200, hidden=(150, 70), outputs=20)
    problem = Problem("relu", LOSS, dtype, sparse=sparse, **shape)
    order = np.random.RandomState(1).permutation(330)
    one, *others = (
        run_epoch(problem, optimizer, weight=problem.weight, order=order, size=size)
        for size in (1, 2, 3, 4)
    )
    assert np.isfinite(one[0]).all() and not np.array_equal(one[0], problem.network.params)
    for other in others:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@over_dtypes
def test_law_5_the_gradient_has_the_same_bits_for_1_to_4_threads(dtype):
    problem = Problem("relu", LOSS, dtype, n=500, hidden=(70,), outputs=20)
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


# ---- what is refused


@pytest.mark.parametrize(
    "widths, message",
    [
        ([1, 3], "the targets have 4 outputs, not 5"),
        ([1, 5], "the targets have 6 outputs, not 5"),
        ([1.5, 3.5], r"target 0 has 1.5 outputs, of 5 in all"),
        ([5, 0], r"target 1 has 0.0 outputs"),
        ([-1, 6], r"target 0 has -1.0 outputs"),
        ([6, -1], r"target 0 has 6.0 outputs"),
        ([np.nan, 5], r"target 0 has nan outputs"),
        ([np.inf, 5], r"target 0 has inf outputs"),
        ([1e300, 5], r"target 0 has 1e\+300 outputs"),
        ([5], "the loss has 2 parameters, got 1"),
        ([1, 1, 3], "the loss has 2 parameters, got 3"),
        ([], "the loss has 2 parameters, got 0"),
        (None, "the loss has 2 parameters, got 0"),
    ],
    ids=str,
)
def test_the_widths_tile_the_outputs(widths, message):
    z, y = np.zeros((7, 5)), np.zeros((7, 2))
    widths = None if widths is None else np.array(widths, float)
    with pytest.raises(ValueError, match=message):
        row_losses(LOSS, z, y, parameters=widths)
    if widths is None:
        message = "needs the widths"
    elif "parameters" in message:
        if widths.sum() == 5:
            return
        message = "the targets have 0 outputs"
    with pytest.raises(ValueError, match=message):
        core.kernel_link(LINK, z, widths)


def test_no_outputs_have_no_link():
    with pytest.raises(ValueError, match="one column at least"):
        core.kernel_link(LINK, np.zeros((3, 0)), np.zeros(0))


def test_predictions_need_the_widths():
    problem = Problem("tanh", LOSS, outputs=5)
    out = np.empty((problem.n, 5))
    for widths, message in (
        (None, "needs the widths"),
        (np.array([1.0, 3]), "the targets have 4 outputs, not 5"),
    ):
        with pytest.raises(ValueError, match=message):
            problem.network.predict(problem.x, "grouped_softmax", out, widths)
        arrays = tuple(problem.network.coefs), tuple(problem.network.intercepts)
        with pytest.raises(ValueError, match=message):
            problem.network.predict_with(arrays, problem.x, "grouped_softmax", out, widths)


@over_dtypes
@pytest.mark.parametrize("value", [-1, -0.5, 1e9, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column, most", [(0, 1), (1, 2), (2, 3)])
def test_a_class_is_one_of_its_target(column, most, value, dtype):
    widths = (1, 3, 4)
    z, y = drawn(widths, dtype)
    grouped(widths, z, y)
    for at in (0, 11, 40):
        for wrong in (value, most + 1):
            damaged = y.copy()
            damaged[at, column] = wrong
            match = rf"y\[{at}, {column}\] is .*, which is no class: they are 0 to {most}$"
            with pytest.raises(ValueError, match=match):
                grouped(widths, z, damaged)


def test_no_other_loss_has_its_link():
    objective = LoweredObjective(core.LOSSES["squared_error"], LINK, None)
    z = np.zeros((3, 2))
    scratch = np.empty(core.scratch_size(make_plan([1, 2], []), 3, 1, "validate"))
    with pytest.raises(ValueError, match=f"no loss has the link {LINK}"):
        core.kernel_losses(
            make_plan([1, 2], []), z, z.copy(), objective, z.copy(), np.empty(3), scratch
        )
    assert lowered(LOSS, 4).link == LINK
