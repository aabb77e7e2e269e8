"""Zeros of X are left out of the first layer's products, and no number changes."""

import warnings

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor
from fastbp.kernels import backend, core, level
from fastbp.network import Network, epoch_use, make_plan
from fastbp.training import Samples
from problems import DTYPES, Problem, guarded, in_team, rule_of, state_of, sums_of

LEAVES_OUT = backend == "native" and level != "baseline"  # elsewhere the full loops run
needs_tiles = pytest.mark.skipif(backend != "native", reason="products go through BLAS")
SHAPES = [
    (2, 3, 5),
    (3, 100, 300),
    (5, 10, 784),
    (7, 24, 9),
    (10, 30, 600),
    (24, 100, 200),
    (33, 1030, 70),
    (1, 40, 300),
    (1, 9, 50),
    (1, 35, 256),
    (1, 33, 500),
    (1, 100, 784),
    (1, 1300, 300),
    (67, 52, 250),
    (70, 17, 256),
    (70, 17, 257),
    (130, 20, 512),
    (96, 520, 130),
    (300, 66, 40),
    (600, 300, 70),
    (600, 300, 300),
    (50, 700, 600),
    (131, 32, 40),
    (260, 28, 70),
    *((m, n, 150) for m in (*range(2, 9), 13, 28) for n in (14, 32)),  # flat tiles, see gemm.h
]


def sparse(rng, shape, share, dtype):
    """Numbers of which about this share is not zero; some zeros have a sign."""
    x = rng.randn(*shape)
    x[rng.rand(*shape) >= share] = 0
    x[rng.rand(*shape) < 0.1] *= -1
    return x.astype(dtype)


def product(form, a, b, init, zeros):
    """The product in exactly the scratch that the core asks for."""
    c = init.copy() if form == "tn" else np.full_like(init, np.nan)
    k = len(a) if form == "tn" else a.shape[1]
    size = core.matmul_scratch(form, *c.shape, k, zeros)
    whole = np.full(size + 128, np.nan, c.dtype)
    bias = init[0].copy() if form == "nn" else None
    core.kernel_matmul(a, b, c, form, whole[64 : 64 + size], bias, form == "tn", zeros)
    assert np.isnan(whole[:64]).all() and np.isnan(whole[64 + size :]).all()
    return c


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 1.0])
@pytest.mark.parametrize("form", ["nn", "tn"])
@pytest.mark.parametrize("m, n, k", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_have_the_bits_of_the_full_loop(dtype, m, n, k, form, share):
    rng = np.random.RandomState(m + n + k)
    a = sparse(rng, (k, m) if form == "tn" else (m, k), share, dtype)
    b, init = rng.randn(k, n).astype(dtype), rng.randn(m, n).astype(dtype)
    full, left_out = (product(form, a, b, init, zeros) for zeros in (False, True))
    assert left_out.tobytes() == full.tobytes()


@needs_tiles
@pytest.mark.parametrize("form", ["nn", "tn"])
@pytest.mark.parametrize("m", [2, 8, 9, 13, 131, 260])
@pytest.mark.parametrize("n", [8, 14, 32, 48])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lists_have_no_place_where_a_tile_is_zero(dtype, n, m, form):
    """Each row has one place of its own. b is NaN at all others but those of rows nearby."""
    k = 20 * m
    a = np.zeros((m, k), dtype)
    a[np.arange(m), 20 * np.arange(m) + 3] = 1
    for row in range(m) if m < 20 else (0, 1, *range(123, 131), m - 2, m - 1):
        b = np.full((k, n), np.nan, dtype)
        near = 20 * np.arange(max(row - 7, 0), min(row + 8, m)) + 3
        b[near] = 1
        left = np.ascontiguousarray(a.T if form == "tn" else a)
        c = product(form, left, b, np.zeros((m, n), dtype), True)
        assert (c[row] == 1).all()


@pytest.mark.parametrize("form", ["nn", "tn"])
@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_only_a_sum_of_minus_zero_changes(form, factor):
    """It becomes 0, whichever rows share its tile. The full loop gives -0 where b is negative."""
    a, b, init = np.zeros((20, 20)), np.full((20, 40), factor), np.full((20, 40), -0.0)
    full, left_out = (product(form, a, b, init, zeros) for zeros in (False, True))
    np.testing.assert_array_equal(left_out, full)  # where -0 equals 0
    assert np.signbit(full).all() == (factor < 0)
    assert np.signbit(left_out).all() == (factor < 0 and not LEAVES_OUT)


@pytest.mark.parametrize("form, m", [("nn", 40), ("tn", 40), ("nn", 1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_of_x_are_no_zeros(bad, form, m):
    rng = np.random.RandomState(0)
    a = sparse(rng, (m, 40), 0.1, "float32")
    a[0], a[0, 20] = 0, bad
    b, init = rng.randn(40, 50).astype("float32"), np.zeros((m, 50), "float32")
    full, left_out = (product(form, a, b, init, zeros) for zeros in (False, True))
    np.testing.assert_array_equal(left_out, full)
    assert not np.isfinite(full).all(axis=0).any()


@pytest.mark.parametrize("n", [48, 50])  # all columns, and two at the end
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_where_b_is_not_finite_the_full_loop_of_a_row_sees_it(bad, n):
    a, b = np.zeros((1, 64), "float32"), np.ones((64, n), "float32")
    b[40] = bad
    assert np.isnan(product("nn", a, b, np.zeros((1, n), "float32"), False)).all()


# ---- the decision


def decision(x, units, *, weight=None):
    network = Network([x.shape[1], units, 1], "relu", x.dtype)
    network.initialize(np.random.RandomState(0), "glorot_uniform")
    if weight is not None:
        network.coefs[0][1, 2] = weight
    return core.kernel_zeros(network.plan, network.params, x)


def test_the_decision_follows_from_the_share_of_zeros():
    rng = np.random.RandomState(0)
    few = sparse(rng, (400, 60), 0.04 if level == "v4" else 0.08, "float32")  # 0.3 of the places
    assert decision(few, 50) == decision(few, 10) == (LEAVES_OUT, LEAVES_OUT)
    assert decision(rng.randn(400, 60), 50) == (False, False)
    half = sparse(rng, (400, 60), 0.12 if level == "v4" else 0.2, "float32")  # 0.6 of the places
    assert decision(half, 50) == (LEAVES_OUT, LEAVES_OUT)
    assert decision(half, 10) == (False, False)  # narrow layers gain less
    assert decision(few[:127], 50) == (False, False)  # too few rows to look at


def test_rows_and_columns_are_decided_each_for_itself():
    blocks = np.zeros((400, 64))  # one-hot: in each row 8 columns that are neighbours
    for r in range(400):
        at = 8 * np.random.RandomState(r).randint(8)
        blocks[r, at : at + 8] = 1
    stripes = np.zeros((400, 64))  # the same column of each 4 or 8
    stripes[:, ::4] = 1
    assert decision(blocks, 50)[1] == LEAVES_OUT
    assert decision(stripes, 50) == (LEAVES_OUT, False)


@pytest.mark.parametrize("weight", [np.inf, -np.inf, np.nan])
def test_weights_that_are_not_finite_are_seen(weight):
    x = np.zeros((200, 30))
    x[:, 0] = 1
    assert decision(x, 50, weight=weight)[0] is False
    model = MLPRegressor(
        hidden_layer_sizes=(50,), max_iter=1, random_state=0, activation="identity"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, x[:, 0])
    model.coefs_[0][5, 7] = weight  # of a feature that is 0 in all rows
    assert np.isnan(model.predict(x)).all()


# ---- in training


def trained(
    n,
    size,
    dtype,
    optimizer,
    *,
    batch=20,
    weight=0.0,
    velocity=0.0,
    at=(3, 5),
    alpha=0.1,
    hidden=(50,),
    **constants,
):
    """A network after an epoch on 127 rows of n, and its state. A weight may be given.

    127 rows are too few to look for zeros. The 128th is in no batch, and makes them enough.
    """
    problem = Problem(
        "tanh", dtype=dtype, n=128, hidden=hidden, features=140, batch=batch, alpha=alpha
    )
    problem.rule = rule_of(optimizer, **constants)
    problem.X[:127] = sparse(np.random.RandomState(1), (127, 140), 0.05, dtype)
    problem.X[:127, at[0]] = 0
    if weight:
        problem.network.coefs[0][at] = weight
    x, y, weights = problem.X[:n], problem.y[:n], problem.weight[:n]
    decided = core.kernel_zeros(problem.network.plan, problem.network.params, x)
    assert decided == ((LEAVES_OUT, LEAVES_OUT) if n == 128 else (False, False))
    problem.x, problem.y, problem.weight, problem.n = x, y, weights, n
    network, tally = problem.network, np.zeros(3)
    state = state_of(network, optimizer, "ema_decay" in constants)
    state[0, at[0] * hidden[0] + at[1]] = velocity
    order = np.random.RandomState(2).permutation(127)
    task = problem.task(order=order, weight=weights, rates=np.full((1, 1), 0.01))
    scratch = network.scratch(batch, size, epoch_use(False, "clip_norm" in constants))
    arguments = network.program, network.params, state, scratch, tally, task
    in_team(core.train_epochs, problem.words(), size, *arguments)
    return network.params, state, tally


RULES = [("sgd", {}), ("adam", {}), ("adam", {"clip_norm": 0.1}), ("sgd", {"ema_decay": 0.9})]


@pytest.mark.parametrize("batch", [20, 70, 127])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer, constants", RULES)
def test_training_has_the_bits_of_the_full_loops(optimizer, constants, dtype, size, batch):
    full, left_out = (
        trained(n, size, dtype, optimizer, batch=batch, **constants) for n in (127, 128)
    )
    for one, other in zip(full, left_out, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("dtype, units", [("float32", 530), ("float64", 270)])
def test_packed_deltas_have_the_bits_of_the_full_loops(dtype, units, size):
    full, left_out = (
        trained(n, size, dtype, "adam", batch=70, hidden=(units,)) for n in (127, 128)
    )
    for one, other in zip(full, left_out, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("clips", [{}, {"clip_norm": 1e300}])
def test_a_weight_that_overflows_within_an_epoch_is_seen_at_the_next_step(clips, size):
    """Decay makes it infinite, although its feature is 0 in all rows: the losses become NaN.

    There are two steps: at a third one the norm of the gradient would tell, where it is clipped.
    """
    rule = dict(weight_decay=300.0, batch=70, **clips)
    full, left_out = (
        trained(n, size, np.float64, "sgd", weight=1.7e308, alpha=0.0, **rule) for n in (127, 128)
    )
    assert np.isnan(full[2][0])
    for one, other in zip(full, left_out, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("units, at", [(50, (3, 5)), (61, (39, 60))])
def test_a_weight_that_momentum_makes_infinite_is_seen_at_the_next_step(units, at, sign, size):
    """One in the middle of a slice, and the last one, behind all whole sixteens."""
    full, left_out = (
        trained(
            n, size, np.float64, "sgd", weight=sign * 1.7e308, velocity=sign * 1.7e308, at=at,
            alpha=0.0, batch=70, hidden=(units,),
        )
        for n in (127, 128)
    )  # fmt: skip
    assert np.isnan(full[2][0])
    for one, other in zip(full, left_out, strict=True):
        np.testing.assert_array_equal(one, other)


@needs_tiles
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("batch", [30, 127])
def test_gradients_and_validation_have_the_bits_of_the_full_loops(batch, size):
    found = []
    for n in (127, 128):
        problem = Problem("tanh", "log_loss", n=128, hidden=(50,), features=90, batch=batch)
        problem.X[:] = sparse(np.random.RandomState(1), (128, 90), 0.05, np.float64)
        problem.weight[127] = 0  # the last row counts as absent
        problem.x, problem.y, problem.n = problem.X[:n], problem.y[:n], n
        network, tally = problem.network, np.zeros(2)
        task = problem.task(weight=problem.weight[:n])
        sums = sums_of(network.params, -(-n // batch))
        scratch = network.scratch(batch, size, "gradient")
        arguments = network.program, network.params, sums, scratch, tally, task
        in_team(core.loss_gradient, problem.words(), size, *arguments)
        out, losses = np.zeros((n, 4)), np.zeros(n)
        scratch = np.empty(core.scratch_size(network.plan, n, 1, "validate"))
        core.validate(
            network.plan, network.params, scratch, task.samples, problem.objective, out, losses
        )
        found.append(
            (sums.grads[0].tobytes(), tally[0], out[:127].tobytes(), losses[:127].tobytes())
        )
    assert found[0] == found[1]


@needs_tiles
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_predictions_have_the_bits_of_the_full_loops(solver):
    """Of rows in groups that are too small to look for zeros."""
    rng = np.random.RandomState(0)
    X, y = sparse(rng, (300, 40), 0.1, "float64"), rng.randint(0, 3, 300)
    model = MLPClassifier((40,), solver=solver, max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    whole = model.predict_proba(X)
    parts = [model.predict_proba(X[k : k + 100]) for k in range(0, 300, 100)]
    assert np.vstack(parts).tobytes() == whole.tobytes()


@needs_tiles
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [127, 128, 129, 330, 600])
@pytest.mark.parametrize("features, units", [
    (63, 40), (64, 40), (70, 4), (80, 1), (150, 50), (600, 100), (300, 28), (900, 205), (600, 300),
])  # fmt: skip
def test_long_rows_are_predicted_and_validated_with_the_bits_of_the_full_loops(
    features, units, n, dtype
):
    """Their weights may be packed, and their blocks have fewer rows, see scratch.pxd."""
    problem = Problem("tanh", "log_loss", dtype=dtype, n=n, hidden=(units,), features=features)
    problem.X[:] = sparse(np.random.RandomState(1), (n, features), 0.05, dtype)
    plan, params = problem.network.plan, problem.network.params
    assert core.kernel_zeros(plan, params, problem.X)[0] == (LEAVES_OUT and n >= 128)

    def of_arrays(x):
        first, *rest = problem.network.coefs
        for coef in (first, np.asfortranarray(first)):
            out = np.empty((len(x), 4), dtype)
            scratch = np.empty(core.scratch_size(plan, len(x), 1, "predict_arrays"), dtype)
            arrays = (coef, *rest), tuple(problem.network.intercepts)
            core.predict_arrays(plan, *arrays, scratch, x, out, problem.objective.link)
            yield out

    def outputs(rows):
        samples = Samples(problem.X[rows], problem.y[rows])
        size = len(samples.x)
        out, validated, losses = (np.empty((size, k), dtype) for k in (4, 4, 1))
        with_guards = [
            guarded(np.full(core.scratch_size(plan, size, 1, use), np.nan, dtype))
            for use in ("predict", "validate")
        ]
        (first, _), (second, _) = with_guards
        core.predict(plan, params, first, samples.x, out, problem.objective.link)
        core.validate(plan, params, second, samples, problem.objective, validated, losses[:, 0])
        for inner, whole in with_guards:
            assert np.isnan(whole[:64]).all() and np.isnan(whole[64 + len(inner) :]).all()
        return np.hstack([out, validated, losses, *of_arrays(samples.x)])

    parts = [outputs(slice(k, k + 100)) for k in range(0, n, 100)]  # too few to look for zeros
    assert outputs(slice(0, n)).tobytes() == np.vstack(parts).tobytes()


@pytest.mark.parametrize("units", [[100000, 1], [2**20, 4, 1], [5000, 1000, 10], [20000, 50, 1]])
def test_weights_that_would_be_large_are_not_packed(units):
    """Scratch for them has the size of that for few rows, but for activations."""
    plan = make_plan(units, [0] * (len(units) - 2))
    few, many = (core.scratch_size(plan, rows, 1, "predict") for rows in (127, 128))
    assert many - few < 100 * sum(units[1:]) + 1000
