"""The laws of the design over the core's own tables: every activation, loss and dtype.

Laws 5 (threads, levels) and 12 (process state) have files of their own, 9 is test_parity.py, 10
test_checks.py; 13 is this suite run again by `make test-levels` and `make test-debug`.
"""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor

import oracle
import twins
from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.inputs import as_rows
from fastbp.kernels import CSR, Origin, Rank, core
from fastbp.network import PREDICT_CHUNK, make_plan
from problems import (
    DTYPES,
    LOSSES,
    Problem,
    Samples,
    oracle_epoch,
    row_losses,
    rule_of,
    run_epoch,
    state_of,
    sums_of,
)

KINDS = [(dtype, is_sparse) for dtype in DTYPES for is_sparse in (False, True)]


def over(cases):
    """A test runs for each of these activations, losses, dtypes and forms of X."""
    ids = [
        f"{activation}-{loss}-{np.dtype(dtype)}-{'csr' if is_sparse else 'dense'}"
        for activation, loss, dtype, is_sparse in cases
    ]
    return pytest.mark.parametrize("activation, loss, dtype, is_sparse", cases, ids=ids)


TABLE = [
    (activation, loss, *kind)
    for activation in core.ACTIVATIONS
    for loss in LOSSES
    for kind in KINDS
]
# Each pair of an activation and a loss once; the kinds take turns, so that each name meets all.
PAIRS = [
    (activation, loss, *KINDS[(i + j) % len(KINDS)])
    for i, activation in enumerate(core.ACTIVATIONS)
    for j, loss in enumerate(LOSSES)
]
# Each name with each kind, in other pairs for every kind.
NAMES = [
    ([*core.ACTIVATIONS][(j + 3 * k) % len(core.ACTIVATIONS)], loss, *kind)
    for j, loss in enumerate(LOSSES)
    for k, kind in enumerate(KINDS)
]
over_losses = pytest.mark.parametrize("loss", LOSSES)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def test_every_name_of_the_core_has_a_twin():
    assert set(twins.ACTIVATIONS) == set(core.ACTIVATIONS)
    assert set(twins.LINKS) == set(core.LINKS)
    assert set(twins.LOSSES) == set(core.LOSSES)
    assert set(twins.OPTIMIZERS) == set(core.OPTIMIZERS)
    assert {oracle.split(loss)[0] for loss in LOSSES} == set(core.LOSSES)
    assert {oracle.split(loss)[1] for loss in LOSSES} == set(twins.TRAINED_LINKS)
    assert set(core.STATE_ROWS) == set(core.OPTIMIZERS)


@pytest.mark.parametrize("cases", [PAIRS, NAMES], ids=["pairs", "names"])
def test_selections_cover_every_name_in_every_kind(cases):
    assert {(case[0], *case[2:]) for case in cases} == {(case[0], *case[2:]) for case in TABLE}
    assert {case[1:] for case in cases} == {case[1:] for case in TABLE}


def test_every_pair_is_among_the_pairs():
    assert {case[:2] for case in PAIRS} == {case[:2] for case in TABLE}


def objective(problem, params, of=oracle.objective):
    return of(
        *problem.unpack(params),
        problem.activation,
        problem.loss,
        problem.X.astype(float),
        problem.y.astype(float),
        problem.weight,
        problem.alpha,
    )


@over(PAIRS)
def test_law_1_gradient_is_that_of_the_objective(activation, loss, dtype, is_sparse):
    """Every element, and a random direction, against central differences.

    The gradients of a pair in its other kinds are compared with the oracle's, by law 2.
    """
    problem = Problem(activation, loss, dtype, sparse=is_sparse, seed=3)
    params = problem.network.params.astype(np.float64)
    assert objective(problem, params) == objective(problem, params, oracle.loss_gradient)[1]
    if activation == "step":
        pytest.skip("its derivative is not that of the objective, on purpose")
    if activation in twins.KINKED:  # differences across a kink are no derivative
        hidden = oracle.forward(*problem.unpack(params), activation, problem.X)[1:-1]
        before = [
            a @ w + b
            for a, w, b in zip(
                [problem.X, *hidden], problem.coefs, problem.intercepts, strict=False
            )
        ][:-1]
        assert min(abs(z).min() for z in before) > 1e-4
    gradient = problem.loss_gradient()[1].astype(np.float64)
    step = 1e-6
    numeric = np.array(
        [
            (objective(problem, params + step * e) - objective(problem, params - step * e))
            / (2 * step)
            for e in np.eye(params.size)
        ]
    )
    loose = 1 if dtype == np.float64 else 2e3
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6 * loose, atol=1e-8 * loose)
    direction = np.random.RandomState(0).randn(params.size)
    slope = (
        objective(problem, params + step * direction)
        - objective(problem, params - step * direction)
    ) / (2 * step)
    np.testing.assert_allclose(gradient @ direction, slope, rtol=1e-6 * loose, atol=1e-7 * loose)


def assert_agrees_with_the_oracle(problem):
    """Loss and gradient, of all rows at once and in chunks."""
    n, dtype = problem.n, problem.dtype
    reported, _, dcoefs, dintercepts = oracle.loss_gradient(
        problem.coefs,
        problem.intercepts,
        problem.activation,
        problem.loss,
        problem.X.astype(float),
        problem.y.astype(float),
        problem.weight,
        problem.alpha,
        eps=np.finfo(dtype).eps,
    )
    expected = problem.pack(dcoefs, dintercepts)
    for chunk in {n, max(n // 3, 1)}:
        value, gradient = problem.loss_gradient(chunk=chunk)
        # Longer sums round more: in float32 a thousand terms against two dozen.
        tolerance = 1e-12 if dtype == np.float64 else 2e-5 if problem.X.shape[1] < 100 else 1e-4
        np.testing.assert_allclose(value, reported, rtol=tolerance)
        np.testing.assert_allclose(
            gradient, expected, rtol=tolerance, atol=tolerance * abs(expected).max()
        )


@over(TABLE)
def test_law_2_loss_and_gradient_agree_with_the_oracle(activation, loss, dtype, is_sparse):
    assert_agrees_with_the_oracle(Problem(activation, loss, dtype, sparse=is_sparse))
    single = Problem(activation, loss, dtype, sparse=is_sparse, hidden=(), n=1)
    single.weight = np.array([1.5])
    assert_agrees_with_the_oracle(single)


@over(NAMES)
def test_law_2_of_wide_layers(activation, loss, dtype, is_sparse):
    """Several row blocks and several slices in a layer; the last, 18 slices."""
    for features, hidden, n in ((200, (150, 70), 130), (1100, (150,), 4)):
        assert_agrees_with_the_oracle(
            Problem(
                activation, loss, dtype, sparse=is_sparse, features=features, hidden=hidden, n=n
            )
        )


@over_dtypes
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
def test_law_2_of_packed_deltas(dtype, is_sparse):
    """In one chunk and in several; the last of them is a single row."""
    hidden = (270, 260) if dtype == np.float64 else (530, 520)
    assert_agrees_with_the_oracle(
        Problem("tanh", "log_loss", dtype, sparse=is_sparse, features=140, hidden=hidden, n=31)
    )


@over_losses
@over_dtypes
def test_law_3_a_batch_is_the_mean_of_its_samples(loss, dtype):
    problem = Problem("tanh", loss, dtype, alpha=0.0, weighted=False)
    value, gradient = problem.loss_gradient()
    single = [
        problem.loss_gradient(chunk=1, x=problem.X[i : i + 1], y=problem.y[i : i + 1])
        for i in range(problem.n)
    ]
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(value, np.mean([v for v, _ in single]), rtol=tolerance)
    mean = np.mean([g for _, g in single], axis=0)
    np.testing.assert_allclose(gradient, mean, rtol=tolerance, atol=tolerance * abs(mean).max())


@over_losses
def test_law_4_weight_2_is_a_sample_twice_and_weight_0_none(loss):
    problem = Problem("logistic", loss, n=12, weighted=False)
    weight = np.array([2.0, 0, 1] * 4)
    repeated = np.repeat(np.arange(12), weight.astype(int))
    value, gradient = problem.loss_gradient(weight=weight)
    twice = problem.loss_gradient(chunk=len(repeated), x=problem.X[repeated], y=problem.y[repeated])
    np.testing.assert_allclose(value, twice[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, twice[1], rtol=1e-12, atol=1e-14)


@over_losses
def test_law_4_a_sample_of_no_weight_is_absent_whatever_its_loss(loss):
    problem = Problem("identity", loss, n=6, weighted=False)
    weight = np.array([1.0, 1, 0, 1, 1, 1])
    before = problem.loss_gradient(weight=weight)
    problem.X[2] = 1e300  # its raw prediction is infinite, its loss inf or NaN
    after = problem.loss_gradient(weight=weight)
    assert before[0] == after[0]
    # Its delta is zero, but 0 * inf in a^T delta would not be: the input itself is finite here.
    np.testing.assert_array_equal(before[1], after[1])


@over_dtypes
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_the_first_step_may_read_an_origin(optimizer, sparse, alpha, dtype):
    """Its bits are those of a step in place, and it writes nothing into the origin."""
    problem = Problem(
        dtype=dtype, n=20, batch=5, sparse=sparse, alpha=alpha, features=300, hidden=(70, 9)
    )
    weight = np.ones(20)
    weight[:5] = 0  # the first batch makes no step
    state = state_of(problem.network, optimizer)
    origin = Origin(problem.network.params.copy(), state, 3.0)
    for array in origin[:2]:
        array.flags.writeable = False
    expected = run_epoch(problem, optimizer, weight=weight, t=3.0)
    assert expected[2][2] == 6
    for size in (1, 2, 3):
        found = run_epoch(problem, optimizer, weight=weight, t=3.0, size=size, origin=origin)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    # It is that of one number of steps: later epochs read what they change.
    problem.network.params[:] *= 2
    expected = run_epoch(problem, optimizer, t=4.0)
    for one, other in zip(
        run_epoch(problem, optimizer, t=4.0, origin=origin), expected, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_law_4_a_batch_without_weight_changes_nothing_and_reports_0(optimizer):
    problem = Problem(n=20, batch=5)
    params, state, tally = run_epoch(problem, optimizer, weight=np.zeros(20))
    np.testing.assert_array_equal(params, problem.network.params)
    assert not state.any() and tally[0] == 0 and tally[2] == 0
    # In the midst of others it is as if the batch were not there, but for the loss of the epoch.
    weight = np.ones(20)
    weight[5:10] = 0
    params, state, tally = run_epoch(problem, optimizer, weight=weight)
    rest = Problem(n=20, batch=5)
    keep = np.r_[0:5, 10:20]
    rest.x, rest.y = problem.X[keep], problem.y[keep]
    others = run_epoch(rest, optimizer)
    np.testing.assert_array_equal(params, others[0])
    np.testing.assert_array_equal(state, others[1])
    np.testing.assert_allclose(tally[0], others[2][0], rtol=1e-15)
    assert tally[2] == 3


@over_dtypes
def test_law_7_softmax_does_not_see_a_constant(dtype):
    z = np.random.RandomState(0).randn(9, 4).astype(dtype)
    y = np.arange(9).reshape(-1, 1).astype(dtype) % 4
    shares = twins.shares(np.random.RandomState(1), (9, 4)).astype(dtype)
    loose = np.finfo(dtype).eps * 400
    for loss, targets in (("log_loss", y), ("soft_log_loss", shares)):
        for exact in (False, True):
            plain, moved = (
                row_losses(loss, raw, targets, exact=exact) for raw in (z, z + dtype(64))
            )
            for a, b in zip(plain, moved, strict=True):
                np.testing.assert_allclose(a, b, rtol=loose, atol=loose)


@over_dtypes
@pytest.mark.parametrize("loss", ["log_loss", "soft_log_loss", "binary_log_loss"])
def test_law_7_log_losses_stay_finite_and_clipped(loss, dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4], [-1e4, -1e4]], dtype)
    for target in (0, 1) if loss != "soft_log_loss" else (0, 1, 0.25):
        y = np.full((4, 1), target, dtype)
        if loss == "binary_log_loss":
            y = np.repeat(y, 2, axis=1)
        elif loss == "soft_log_loss":
            y = np.hstack([y, 1 - y])
        rows, delta = row_losses(loss, z, y)
        assert np.isfinite(rows).all() and np.isfinite(delta).all()
        expected = oracle.row_reported(loss, z.astype(float), y, float(np.finfo(dtype).eps))
        np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-6)
        unclipped, same = row_losses(loss, z, y, exact=True)
        np.testing.assert_allclose(
            unclipped, oracle.row_objective(loss, z.astype(float), y), rtol=1e-6
        )
        np.testing.assert_array_equal(same, delta)


@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("outputs", [1, 2, 3, 10, 40])
def test_a_share_of_one_class_is_the_class(outputs, exact, dtype):
    """The soft log loss has the bits of the log loss, at ordinary and at far raw predictions."""
    rng = np.random.RandomState(0)
    z = (rng.randn(60, outputs) * np.repeat([1, 30, 1e4], 20)[:, None]).astype(dtype)
    z[7] = np.nan
    z[8, 0] = np.inf
    y = rng.randint(0, outputs, (60, 1)).astype(dtype)
    soft = row_losses("soft_log_loss", z, np.eye(outputs, dtype=dtype)[y[:, 0].astype(int)], exact)
    for ours, theirs in zip(soft, row_losses("log_loss", z, y, exact), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@over_dtypes
def test_the_soft_log_loss_of_scikit_learn(dtype):
    """With zeros among the shares; and the gradient is the true one where they do not sum to 1."""
    log_loss = pytest.importorskip("sklearn.neural_network._base").log_loss
    rng = np.random.RandomState(0)
    z = (rng.randn(30, 4) * 9).astype(dtype)
    y = twins.shares(rng, (30, 4)).astype(dtype)
    p = z.copy()
    core.kernel_link(core.LINKS["softmax"], p)
    rows, _ = row_losses("soft_log_loss", z, y)
    assert rows.mean() == pytest.approx(log_loss(y, p), rel=20 * float(np.finfo(dtype).eps))
    _, delta = row_losses("soft_log_loss", z, y * dtype(1.5))
    _, single = row_losses("soft_log_loss", z, y)
    np.testing.assert_allclose(delta, 1.5 * single, rtol=1e-5, atol=4 * np.finfo(dtype).eps)


@over_dtypes
@pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
def test_a_target_of_0_is_far_from_no_tweedie_prediction(power, dtype):
    z = np.full((1, 1), -2000.0 if dtype == np.float64 else -300.0, dtype)
    losses, delta = row_losses("tweedie", z, np.zeros_like(z), parameters=np.array([power]))
    expected = np.exp((2 - power) * z[0])
    tiny = 20 * float(np.finfo(dtype).eps)
    assert losses == pytest.approx(expected / (2 - power), abs=tiny)
    assert delta[0] == pytest.approx(expected, abs=tiny)


@over_dtypes
@pytest.mark.parametrize("power", [1 + 1e-9, 1 + 1e-5, 1.5, 2 - 1e-5, 2 - 1e-9])
def test_the_tweedie_loss_does_not_cancel_near_its_ends(power, dtype):
    rng = np.random.RandomState(0)
    z, y = rng.randn(2, 50, 1).astype(dtype)
    y = np.exp(y)
    losses, _ = row_losses("tweedie", z, y, parameters=np.array([power]))
    high, low = (np.longdouble(dtype(one)) for one in (2 - power, power - 1))
    z, y = z[:, 0].astype(np.longdouble), y[:, 0].astype(np.longdouble)
    u = z - np.log(y)
    expected = y**high * (np.expm1(high * u) / high + np.expm1(-low * u) / low)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    assert (losses >= 0).all()
    np.testing.assert_allclose(losses, expected.astype(dtype), rtol=tolerance, atol=tolerance / 100)


@over_dtypes
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_slopes_of_huge_preactivations_are_numbers(activation, dtype):
    huge = np.finfo(dtype).max / 4
    a = np.array([1, -1, 1e-19, -1e-19, 1e-25, -1e-25], dtype) * dtype(huge)
    slopes, delta = np.empty_like(a), np.ones_like(a)
    core.kernel_activate(core.ACTIVATIONS[activation], a, slopes)
    core.kernel_activate_gradient(core.ACTIVATIONS[activation], delta, a, slopes)
    assert np.isfinite(a).all() and np.isfinite(delta).all()


def test_law_8_no_hidden_layer_is_a_linear_model():
    """As near as L-BFGS comes, which stops at relative gains of 2e-9 of the loss."""
    rng = np.random.RandomState(0)
    X = rng.randn(150, 4)
    exact = dict(
        hidden_layer_sizes=(),
        solver="lbfgs",
        tol=1e-10,
        max_iter=5000,
        max_fun=10**6,
        random_state=0,
    )
    target = X @ rng.randn(4, 2) + rng.randn(150, 2)
    squared = MLPRegressor(alpha=0, **exact).fit(X, target)
    np.testing.assert_allclose(
        squared.coefs_[0].T, LinearRegression().fit(X, target).coef_, atol=1e-4
    )
    for labels in ((X[:, 0] + rng.randn(150) > 0), rng.randint(0, 3, 150) + (X[:, 1] > 0)):
        fitted = MLPClassifier(alpha=1.0, **exact).fit(X, labels)
        logistic = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, labels)
        np.testing.assert_allclose(fitted.predict_proba(X), logistic.predict_proba(X), atol=1e-4)
    counts = rng.poisson(np.exp(X[:, 0]))
    poisson = MLPRegressor("poisson", alpha=0, **exact).fit(X, counts)
    glm = PoissonRegressor(alpha=0, tol=1e-10, max_iter=5000).fit(X, counts)
    np.testing.assert_allclose(poisson.predict(X), glm.predict(X), rtol=1e-3)


@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
@pytest.mark.parametrize("nesterov", [False, True])
@over_dtypes
def test_steps_agree_with_the_oracle(optimizer, nesterov, dtype):
    rng = np.random.RandomState(1)
    w, state = rng.randn(37), np.zeros((core.STATE_ROWS[optimizer], 37))
    ours, our_state = w.astype(dtype), state.astype(dtype)
    rule = rule_of(optimizer, nesterovs_momentum=nesterov)
    for t in range(1, 6):
        rate = core.kernel_rate(rule, 0.01, t)
        dw = rng.randn(37)
        grads = (dw + 0.1 * w) / 7
        core.kernel_step(ours, dw.astype(dtype), our_state, rule, rate, 0.1, 1 / 7)
        twins.OPTIMIZERS[optimizer].step(w, grads, state, t, 0.01, rule)
        tolerance = 1e-12 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(ours, w, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(our_state, state, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
@pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        dict(n=33, batch=7, size=1),
        dict(n=330, batch=100, size=2, features=200, hidden=(150, 70)),  # several blocks and slices
        dict(n=230, batch=90, size=2, features=140, hidden=(270, 260)),  # packed deltas
    ],
    ids=["small", "wide", "wider"],
)
def test_an_epoch_agrees_with_the_oracle(optimizer, is_sparse, shuffled, shape):
    """Batches in order, the last one short, weights, and the sums of the tally."""
    shape = dict(shape)
    n, batch, size = shape["n"], shape["batch"], shape.pop("size")
    problem = Problem("relu", "log_loss", sparse=is_sparse, **shape)
    order = np.random.RandomState(5).permutation(n) if shuffled else None
    params, state, tally = run_epoch(
        problem, optimizer, weight=problem.weight, order=order, t=4.0, size=size
    )
    expected, moments = problem.network.params.copy(), np.zeros_like(state)
    total = oracle_epoch(problem, expected, moments, 4, weight=problem.weight, order=order)
    small = size == 1
    np.testing.assert_allclose(params, expected, rtol=1e-11 if small else 1e-9, atol=1e-12)
    np.testing.assert_allclose(state, moments, rtol=1e-10 if small else 1e-9, atol=1e-12)
    np.testing.assert_allclose(tally, [total, n, 4 - (-n // batch)], rtol=1e-12)


@over_losses
def test_an_order_is_the_rows_put_in_that_order(loss):
    problem = Problem("tanh", loss, n=33, batch=7)
    order = np.random.RandomState(5).permutation(33)
    shuffled = run_epoch(problem, weight=problem.weight, order=order)
    problem.x, problem.y = problem.X[order], problem.y[order]
    for ours, theirs in zip(
        shuffled, run_epoch(problem, weight=problem.weight[order]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def ten_losses(optimizer):
    problem = Problem(
        "tanh",
        "log_loss",
        n=16,
        batch=16,
        weighted=False,
        alpha=0.01,
        rate=0.05,
        optimizer=optimizer,
    )
    state, tally, losses = state_of(problem.network, optimizer), np.zeros(3), []
    network = problem.network
    # Weights that do not depend on a random generator, nor on its version.
    network.params[:] = np.sin(np.arange(network.params.size) + 1.0)
    problem.x = np.cos(np.arange(96.0)).reshape(16, 6)
    problem.y = (np.arange(16.0) % 4).reshape(16, 1)
    for _ in range(10):
        core.train_epochs(
            network.plan,
            network.params,
            state,
            network.scratch(16, 1, "epoch"),
            tally,
            problem.task(),
            problem.alone(),
        )
        losses.append(float(tally[0]) / 16)
    return losses


@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_law_11_ten_golden_steps(optimizer):
    losses = ten_losses(optimizer)
    print(losses)  # pytest shows all digits if the test fails
    np.testing.assert_allclose(losses, twins.OPTIMIZERS[optimizer].golden, rtol=1e-12)


# ---- single kernels against the oracle ------------------------------------------------------


@over_dtypes
def test_affine_and_its_gradient(dtype):
    rng = np.random.RandomState(0)
    a, w, b, delta = (rng.randn(*s).astype(dtype) for s in ((9, 5), (5, 3), (3,), (9, 3)))
    z, da, dw, db = (np.full(s, np.nan, dtype) for s in ((9, 3), (9, 5), (5, 3), (3,)))
    scratch = np.empty(1000, dtype)
    core.kernel_affine(a, w, b, z, scratch)
    core.kernel_affine_gradient(a, w, delta, da, dw, db, scratch)
    tolerance = np.finfo(dtype).eps * 20
    expected = (a @ w + b, delta @ w.T, a.T @ delta, delta.sum(axis=0))
    for ours, theirs in zip((z, da, dw, db), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@over_dtypes
def test_affine_of_csr_rows(dtype):
    """Unsorted and repeated indices, empty rows, rows in any order, dw in parts."""
    data = np.array([1, 2, 3, 4, 5, 6], dtype)
    indices = np.array([2, 0, 2, 1, 1, 3], np.int32)
    indptr = np.array([0, 3, 3, 5, 6], np.int64)
    dense = sparse.csr_array((data, indices, indptr), shape=(4, 4)).toarray()
    rng = np.random.RandomState(0)
    w, b = rng.randn(4, 5).astype(dtype), rng.randn(5).astype(dtype)
    order = np.array([2, 0, 3, 1, 0])
    z = np.full((5, 5), np.nan, dtype)
    x = CSR(data, indices, indptr, 4)
    core.kernel_affine_csr(x, order, w, b, z)
    tolerance = np.finfo(dtype).eps * 20
    np.testing.assert_allclose(z, dense[order] @ w + b, rtol=tolerance, atol=tolerance)
    delta, dw = rng.randn(5, 5).astype(dtype), np.full((4, 5), np.nan, dtype)
    for top, end in ((0, 1), (1, 4)):
        core.kernel_affine_csr_gradient(x, order, delta, dw, top, end)
    np.testing.assert_allclose(dw, dense[order].T @ delta, rtol=tolerance, atol=20 * tolerance)


@over_dtypes
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_activations(activation, dtype):
    z = np.array([-1e4, -30, -1, -1e-3, 0, 1e-3, 0.5, 1, 30, 1e4, np.nan], dtype)
    f, derivative = twins.ACTIVATIONS[activation][:2]
    a, delta, s = z.copy(), np.linspace(1, 2, z.size).astype(dtype), np.empty_like(z)
    core.kernel_activate(core.ACTIVATIONS[activation], a, s)
    exact, tolerance = z.astype(float), np.finfo(dtype).eps * 4
    with np.errstate(over="ignore", invalid="ignore"):
        np.testing.assert_allclose(a, f(exact), rtol=tolerance, atol=tolerance)  # NaN stays NaN
        expected = delta[:-1] * derivative(exact[:-1])
    core.kernel_activate_gradient(core.ACTIVATIONS[activation], delta, a, s)
    np.testing.assert_allclose(delta[:-1], expected, rtol=tolerance * 10, atol=tolerance)


@over_dtypes
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_the_tail_of_a_layer_is_activated_like_its_body(activation, dtype):
    code = core.ACTIVATIONS[activation]
    z = (np.random.RandomState(0).randn(333) * 3).astype(dtype)
    whole, slopes, deltas = z.copy(), np.ones_like(z), np.ones_like(z)
    core.kernel_activate(code, whole, slopes)
    core.kernel_activate_gradient(code, deltas, whole, slopes)
    for i in range(z.size):
        a, s, delta = z[i : i + 1].copy(), np.ones(1, dtype), np.ones(1, dtype)
        core.kernel_activate(code, a, s)
        core.kernel_activate_gradient(code, delta, a, s)
        assert (a, s, delta) == (whole[i], slopes[i], deltas[i])


@over_dtypes
@over_losses
@pytest.mark.parametrize("outputs", [None, 40], ids=["few", "many"])
def test_losses_and_links(loss, outputs, dtype):
    problem = Problem("tanh", loss, dtype, n=40, outputs=outputs)
    z = np.random.RandomState(2).randn(40, problem.network.units[-1]).astype(dtype) * 3
    p = z.copy()
    rows, delta = row_losses(loss, z, problem.y)
    core.kernel_link(problem.objective.link, p, problem.objective.parameters)
    tolerance = np.finfo(dtype).eps * 50
    exact = z.astype(float)
    np.testing.assert_allclose(p, oracle.predicted(loss, exact), rtol=tolerance)
    np.testing.assert_allclose(
        delta, oracle.row_delta(loss, exact, problem.y), rtol=tolerance, atol=tolerance * 10
    )
    expected = oracle.row_reported(loss, exact, problem.y, float(np.finfo(dtype).eps))
    np.testing.assert_allclose(rows, expected, rtol=tolerance * 10, atol=tolerance * 10)


@over_losses
@over_dtypes
def test_predict_is_forward_and_link(loss, dtype):
    """In chunks, in blocks of rows: one row, a short last block, exactly one block; CSR too."""
    problem = Problem("tanh", loss, dtype, n=PREDICT_CHUNK + 300, sparse=True)
    link = oracle.split(loss)[1]
    for n in (1, 255, 256, 600, problem.n):
        out = np.full((n, problem.network.units[-1]), np.nan, dtype)
        problem.network.predict(problem.X[:n], link, out, problem.objective.parameters)
        of_csr = np.full_like(out, np.nan)
        rows = as_rows(sparse.csr_array(problem.X[:n]), dtype)
        problem.network.predict(rows, link, of_csr, problem.objective.parameters)
        np.testing.assert_allclose(
            of_csr, out, rtol=np.finfo(dtype).eps * 100, atol=np.finfo(dtype).eps * 100
        )
        raw = oracle.forward(problem.coefs, problem.intercepts, "tanh", problem.X[:n])[-1]
        tolerance = np.finfo(dtype).eps * 100
        np.testing.assert_allclose(out, oracle.predicted(loss, raw), rtol=tolerance, atol=tolerance)


@over_dtypes
@pytest.mark.parametrize("link", core.LINKS)
def test_links_of_predictions(link, dtype):
    """Those of no loss too; NaN stays NaN, as in scikit-learn."""
    z = np.random.RandomState(0).randn(50, 7).astype(dtype) * 5
    z[:4, 0] = 0, -0.0, 30, -30
    z[7, 3] = np.nan
    p, widths = z.copy(), twins.widths(7).astype(float)
    core.kernel_link(core.LINKS[link], p, widths)
    tolerance = np.finfo(dtype).eps * 200
    with np.errstate(invalid="ignore"):
        expected = twins.LINKS[link].f(z.astype(float))
    np.testing.assert_allclose(p, expected, rtol=tolerance)
    problem = Problem("tanh", dtype=dtype)
    out, raw = np.empty((2, problem.n, 2), dtype)
    problem.network.predict(problem.x, link, out, np.ones(2))
    problem.network.predict(problem.x, "identity", raw)
    core.kernel_link(core.LINKS[link], raw, np.ones(2))
    np.testing.assert_array_equal(out, raw)


@over_dtypes
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_links_of_predictions_are_those_of_layers(name, dtype):
    z = np.random.RandomState(0).randn(9, 5).astype(dtype)
    z[3, 2] = np.nan
    p, a = z.copy(), z.copy()
    core.kernel_link(core.LINKS[name], p)
    core.kernel_activate(core.ACTIVATIONS[name], a.reshape(-1), np.empty(45, dtype))
    np.testing.assert_array_equal(p, a)


def test_the_penalty_is_measured_before_each_step():
    problem = Problem("tanh", "squared_error", weighted=False, alpha=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, _, tally = run_epoch(problem)
    np.testing.assert_allclose(tally[0] / problem.n, problem.loss_gradient()[0], rtol=1e-13)


@pytest.mark.parametrize("door", ["epoch", "gradient"])
def test_training_flushes_denormals_and_restores_the_mode(door):
    """Adam's moments of inputs that are always zero would end as denormals, which are slow."""
    problem = Problem(
        "tanh", "squared_error", alpha=0.0, weighted=False, batch=23, optimizer="adam"
    )
    tiny = 1e-310
    if door == "epoch":
        problem.x = problem.X = np.zeros_like(problem.X)
        network, state = problem.network, state_of(problem.network, "adam")
        state[:] = tiny
        core.train_epochs(
            network.plan,
            network.params,
            state,
            network.scratch(23, 1, "epoch"),
            np.zeros(3),
            problem.task(),
            problem.alone(),
        )
        first = network.coefs[0].size  # no input: no gradient of the first weights
        assert not state[:, :first].any()
    else:
        problem.x = problem.X = np.full_like(problem.X, tiny)
        assert not problem.loss_gradient()[1][: problem.network.coefs[0].size].any()
    assert (np.array([tiny]) * 0.5)[0] > 0


@pytest.mark.parametrize("stop", range(2))
def test_a_stop_before_a_batch_changes_nothing(stop):
    """The word alone, in a team that has begun: the ranks leave before the update."""
    problem = Problem(n=200, batch=200, features=200, hidden=(150,))
    network, words, tally = problem.network.copy(), problem.words(), np.ones(3)
    words[48] = stop  # team_stop
    task, rank = problem.task(), Rank(words, 0, 1)
    core.train_epochs(
        network.plan,
        network.params,
        state_of(network, "sgd"),
        network.scratch(200, 1, "epoch"),
        tally,
        task,
        rank,
    )
    assert np.array_equal(network.params, problem.network.params) == bool(stop)
    assert tally[1] == (0 if stop else 200) and tally[2] == (1 if stop else 2)
    words[:] = 0
    words[48] = stop
    sums = sums_of(network.params, 1)
    sums.grads[:] = 7.0
    core.loss_gradient(
        network.plan,
        network.params,
        sums,
        network.scratch(200, 1, "gradient"),
        tally,
        task,
        rank,
    )
    assert (sums.grads == 7.0).all() == bool(stop) and tally[1] == (0 if stop else 200)


# ---- the border refuses what does not fit ---------------------------------------------------


def test_doors_check_sizes():
    problem = Problem()
    network = problem.network
    scratch, tally = network.scratch(23, 1, "epoch"), np.zeros(3)
    state = state_of(network, "sgd")

    def door(
        plan=network.plan,
        params=network.params,
        state=None,
        scratch=scratch,
        x=problem.x,
        y=problem.y,
        tally=tally,
        weight=None,
        words=None,
        **task,
    ):
        words = problem.words() if words is None else words
        state = state_of(network, "sgd") if state is None else state
        task = problem.task(samples=Samples(x, y, weight), **task)
        core.train_epochs(plan, params, state, scratch, tally, task, Rank(words, 0, 1))

    for message, wrong in {
        "parameters": dict(params=network.params[:-1].copy()),
        "scratch": dict(scratch=scratch[:10].copy()),
        "rows": dict(y=problem.y[:-1].copy()),
        "features": dict(x=problem.X[:, :-1].copy()),
        "state": dict(state=np.zeros((1, 3))),
        "columns": dict(y=problem.y[:, :1].copy()),
        "tally": dict(tally=np.zeros(2)),
        "weights": dict(weight=np.ones(22)),
        "words": dict(words=np.zeros(3, np.int32)),
        "needs a rule": dict(rule=None),
        "rates have rows of a number at least": dict(rates=None),
        "for each epoch or for all": dict(batch=5, rates=np.ones((4, 2))),
        "rates have": dict(rates=np.ones((23, 0))),
        "dtype mismatch": dict(y=problem.y.astype(np.float32)),
        "the origin does not fit": dict(origin=Origin(network.params[1:], state, 0)),
        "fit the plan and the optimizer": dict(
            origin=Origin(network.params, state[:, 1:].copy(), 0)
        ),
        "origin does not": dict(origin=Origin(network.params, np.zeros((2, state.size)), 0)),
    }.items():
        with pytest.raises(ValueError, match=message):
            door(**wrong)
    door()


@pytest.mark.parametrize("batch", [2**31, 2**40, 0, -1])
def test_a_dimension_beyond_blas_is_refused_before_it_is_narrowed(batch):
    assert core.BLAS_INT_MAX in (2**31 - 1, 2**63 - 1)
    if batch > core.BLAS_INT_MAX or batch < 1:
        with pytest.raises(OverflowError, match=f"a batch of {batch} is out of the range of BLAS"):
            core.scratch_size(make_plan([3, 2], []), batch, 1, "epoch")
    plan = make_plan([3, 2], [])
    for name in ("fan_in", "fan_out"):
        wide = plan.copy()
        wide[name] = 2**62
        with pytest.raises(OverflowError, match=f"layer 0: a {name.replace('_', '-')} of"):
            core.scratch_size(wide, 5, 1, "epoch")
    assert core.scratch_size(make_plan([3, 2], []), 2**31 - 1, 1, "gradient") > 2**31
