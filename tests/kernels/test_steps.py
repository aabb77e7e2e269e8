"""What a step does besides the optimizer: decay of the weights, clipping, the moving average."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from fastbp.kernels import Origin, core
from problems import DTYPES, Problem, oracle_epoch, rule_of, run_epoch, state_of

OPTIONS = {
    "decay": dict(weight_decay=3.0),
    "clip": dict(clip_norm=0.05),
    "no clip": dict(clip_norm=1e6),
    "average": dict(ema_decay=0.9),
    "decay and average": dict(weight_decay=3.0, ema_decay=0.5),
    "all": dict(weight_decay=3.0, clip_norm=0.05, ema_decay=0.9),
}
over_options = pytest.mark.parametrize("constants", OPTIONS.values(), ids=OPTIONS)
over_optimizers = pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
over_layouts = pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
WIDE = dict(n=130, batch=50, features=200, hidden=(150, 70))  # several blocks and slices


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@over_options
@over_optimizers
@over_layouts
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("shape", [dict(n=33, batch=7), WIDE], ids=["small", "wide"])
def test_epochs_agree_with_the_oracle(constants, optimizer, sparse, alpha, shape):
    """From the first step on, then one more epoch, with weights and a batch that makes no step."""
    problem = Problem("tanh", "log_loss", sparse=sparse, alpha=alpha, **shape)
    weight = problem.weight.copy()
    weight[problem.batch : 2 * problem.batch] = 0
    params = problem.network.params.copy()
    expected, state, t = params.copy(), state_of(problem.network, optimizer), 0.0
    if "ema_decay" in constants:
        state = np.vstack([state, np.zeros(params.size)])
    moments = state.copy()
    for _ in range(2):
        params, state, tally = run_epoch(
            problem, optimizer, params=params, state=state, weight=weight, t=t, **constants
        )
        total = oracle_epoch(problem, expected, moments, int(t), weight=weight)
        t += -(-problem.n // problem.batch) - 1
        np.testing.assert_allclose(params, expected, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(state, moments, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(tally, [total, problem.n, t], rtol=1e-12)


@over_optimizers
def test_one_step_agrees_with_the_oracle_to_the_last_digits(optimizer):
    problem = Problem("tanh", alpha=0.3)
    found, state, _ = run_epoch(problem, optimizer, **OPTIONS["all"])
    expected, moments = problem.network.params.copy(), np.zeros_like(state)
    oracle_epoch(problem, expected, moments, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(state, moments, rtol=1e-12, atol=1e-14)


@over_options
@over_optimizers
@over_layouts
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_team_makes_the_same_bits(constants, optimizer, sparse, dtype):
    problem = Problem("relu", "log_loss", dtype, sparse=sparse, **WIDE)
    expected = run_epoch(problem, optimizer, **constants)
    for size in (2, 3, 4):
        assert_same_bits(run_epoch(problem, optimizer, size=size, **constants), expected)


@over_options
@over_layouts
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [71, 85])
def test_any_team_makes_the_same_bits_of_packed_deltas(n, constants, sparse, dtype):
    """The last batch has one row, or some."""
    hidden = (270, 260) if dtype == np.float64 else (530, 520)
    problem = Problem(
        "relu", "log_loss", dtype, sparse=sparse, n=n, batch=70, features=140, hidden=hidden
    )
    expected = run_epoch(problem, "adam", **constants)
    for size in (2, 3):
        assert_same_bits(run_epoch(problem, "adam", size=size, **constants), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_team_makes_the_same_bits_of_a_large_network(dtype):
    """Of 131 072 weights or more one rank walks up to 512 rows at once, see scratch.pxd."""
    problem = Problem("relu", dtype=dtype, n=1050, features=500, hidden=(300,))
    expected = run_epoch(problem, size=1)
    for size in (2, 3):
        assert_same_bits(run_epoch(problem, size=size), expected)


@over_options
@over_optimizers
@over_layouts
def test_the_first_step_may_read_an_origin(constants, optimizer, sparse):
    problem = Problem("tanh", sparse=sparse, **WIDE)
    state = np.abs(np.sin(np.arange(3.0 * problem.network.params.size))).reshape(3, -1)
    state = state[: len(state_of(problem.network, optimizer, constants.get("ema_decay", 0)))]
    origin = Origin(problem.network.params.copy(), state, 3.0)
    expected = run_epoch(problem, optimizer, state=state, t=3.0, **constants)
    for size in (1, 3):
        found = run_epoch(problem, optimizer, t=3.0, size=size, origin=origin, **constants)
        assert_same_bits(found, expected)


@over_options
@over_optimizers
@over_layouts
def test_batches_without_weight_make_no_step(constants, optimizer, sparse):
    problem = Problem(n=20, batch=5, sparse=sparse)
    params, state, tally = run_epoch(problem, optimizer, weight=np.zeros(20), **constants)
    np.testing.assert_array_equal(params, problem.network.params)
    assert not state.any() and tally[2] == 0
    weight = np.repeat([0.0, 1, 0, 1], 5)
    found = run_epoch(problem, optimizer, weight=weight, **constants)
    expected = run_epoch(problem, optimizer, order=np.r_[5:10, 15:20], **constants)
    assert_same_bits(found[:2], expected[:2])


@over_optimizers
def test_decay_is_that_of_weights_alone_at_the_scheduled_rate(optimizer):
    """Without a gradient: the loss ends at targets that are met, so that only the decay is left."""
    problem = Problem("identity", "squared_error", n=6, hidden=(), alpha=0.0, rate=0.25)
    problem.weight = None
    problem.network.intercepts[0][:] = [1.0, 2.0]
    problem.x = problem.X = np.zeros_like(problem.X)
    problem.y = np.tile([1.0, 2.0], (6, 1))
    found, _, _ = run_epoch(problem, optimizer, weight_decay=2.0)
    coefs, intercepts = problem.unpack(found)
    np.testing.assert_array_equal(coefs[0], 0.5 * problem.coefs[0])
    np.testing.assert_array_equal(intercepts[0], [1.0, 2.0])


def gradient_of_a_step(problem, **constants):
    """The gradient by which a step of plain gradient descent went."""
    problem.rate = 1.0
    moved = run_epoch(problem, "sgd", momentum=0.0, nesterovs_momentum=False, **constants)[0]
    return problem.network.params.astype(float) - moved


@over_layouts
@pytest.mark.parametrize("alpha", [0.0, 7.0])
def test_a_clipped_gradient_has_the_norm_that_is_allowed(alpha, sparse):
    """All weights and biases count together, and so does the penalty."""
    problem = Problem("tanh", sparse=sparse, alpha=alpha, weighted=False)
    problem.network.params[:] = np.sin(np.arange(problem.network.params.size)) / 4
    plain = problem.loss_gradient()[1]
    norm = np.linalg.norm(plain)
    for share in (0.1, 0.999):
        clipped = gradient_of_a_step(problem, clip_norm=share * norm)
        assert np.linalg.norm(clipped) == pytest.approx(share * norm, rel=1e-13)
        np.testing.assert_allclose(clipped, share * plain, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        gradient_of_a_step(problem, clip_norm=1.001 * norm), plain, rtol=1e-12, atol=1e-14
    )


@over_layouts
@over_optimizers
def test_a_gradient_that_is_short_enough_makes_nearly_the_bits_of_no_clipping(optimizer, sparse):
    """Only the penalty's part may be rounded elsewhere; without it, and with weight 1, nothing."""
    problem = Problem("tanh", sparse=sparse, alpha=0.0, n=32, batch=16, features=200)
    plain = run_epoch(problem, optimizer)
    assert_same_bits(run_epoch(problem, optimizer, clip_norm=1e9), plain)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_gradient_that_overflows_is_not_hidden_by_clipping(dtype):
    problem = Problem("identity", "squared_error", dtype, hidden=(), n=4, weighted=False, alpha=0.0)
    problem.y = np.full_like(problem.y, np.finfo(dtype).max / 64)
    found = run_epoch(problem, "sgd", clip_norm=1.0)[0]
    assert np.isnan(found).all()


def test_the_average_begins_with_the_first_parameters():
    problem = Problem("tanh", n=40, batch=10)
    found, state, _ = run_epoch(problem, "sgd", ema_decay=0.75)
    problem.n, average = 10, None
    params, velocity = problem.network.params, state_of(problem.network, "sgd", 0.75)
    for t in range(4):
        order = np.arange(10 * t, 10 * t + 10)
        params, velocity, _ = run_epoch(
            problem, "sgd", params=params, state=velocity, order=order, t=t, ema_decay=0.75
        )
        average = params if t == 0 else 0.75 * average + 0.25 * params
    np.testing.assert_array_equal(params, found)
    np.testing.assert_allclose(state[-1], average, rtol=1e-14)
    assert abs(state[-1] - found).max() > 1e-3


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("width", [1, 3, 5, 16, 31, 70])
def test_sgd_in_one_pass_has_the_bits_of_the_general_step(width, alpha, nesterov, dtype):
    """Which is taken where there is an average. Slices have no, some and only whole sixteens."""
    problem = Problem(
        "tanh", dtype=dtype, n=60, batch=20, features=45, hidden=(width, 7), alpha=alpha
    )
    rule = dict(nesterovs_momentum=nesterov, momentum=0.8)
    found = run_epoch(problem, "sgd", **rule)
    params, state, tally = run_epoch(problem, "sgd", ema_decay=0.9, **rule)
    for one, other in zip(found, (params, state[:1], tally), strict=True):
        assert one.tobytes() == other.tobytes()
    assert found[1].any()


@over_optimizers
def test_zeros_are_no_options(optimizer):
    """The bits are those of a rule that was made before there were options."""
    problem = Problem("tanh", **WIDE)
    assert set(core.COMMON_CONSTANTS) < set(core.RULE_CONSTANTS[optimizer])
    rule = rule_of(optimizer)
    assert [rule[name] for name in core.COMMON_CONSTANTS] == [0.0, 0.0, 0.0]
    _, state, _ = run_epoch(problem, optimizer)
    assert len(state) == core.STATE_ROWS[optimizer]


def test_a_state_without_the_row_of_the_average_is_refused():
    problem = Problem("tanh")
    problem.rule = rule_of("adam", ema_decay=0.9)
    network = problem.network
    arguments = [network.plan, network.params, state_of(network, "adam")]
    arguments += [network.scratch(problem.n, 1, "epoch"), np.zeros(3), problem.task()]
    with pytest.raises(ValueError, match="the optimizer's state does not fit the plan"):
        core.train_epochs(*arguments, problem.alone())
    # Clipping needs room for the whole gradient.
    problem.rule = rule_of("adam", clip_norm=1.0)
    arguments[5] = problem.task()
    with pytest.raises(ValueError, match="numbers of scratch are needed"):
        core.train_epochs(*arguments, problem.alone())


FMA = core.BACKENDS[0] == "native"  # where multiply and add are one instruction


def sum_of_products(a, b, product):
    """a b + product in float64, the first product exact if there are multiply-adds."""
    exact = Fraction(a) * Fraction(b) if FMA else Fraction(a * b)
    return float(exact + Fraction(product))


@pytest.mark.parametrize(
    "beta", [0.0, 1e-300, 0.1, 0.5, 0.9, 0.98, 0.999, 0.9999, 1 - 2.0**-40, 1 - 2.0**-53]
)
def test_powers_of_adam_are_rounded_once(beta):
    """C libraries' are not always: glibc's of 0.9999 are not at the four steps after 70."""
    first = rule_of("adam", beta_1=beta, beta_2=0.0)
    second = rule_of("adam", beta_1=0.0, beta_2=beta)
    steps = [*range(1, 70), 494, 2258, 2746, 2993, 4097, 37_400, 44_000, 10**6, 10**15, 2**53 - 1]
    for t in steps:
        power = float(Decimal(beta) ** t)
        if FMA:
            assert core.kernel_rate(first, 1.0, t) == 1 / (1 - power), t
            assert core.kernel_rate(second, 1.0, t) == np.sqrt(1 - power), t
        else:  # the C library's
            assert core.kernel_rate(first, 1.0, t) == pytest.approx(1 / (1 - power), rel=1e-11)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 37])
def test_a_sum_of_two_products_is_rounded_in_one_way(nesterov, n):
    """The state's product is fused, in whole vectors and behind them; the gradient's is rounded."""
    rng = np.random.RandomState(n)
    w, dw, velocity, moments = rng.randn(n), rng.randn(n), rng.randn(1, n), rng.rand(2, n)
    rate, scale = 0.123, 1 / 7
    grads = (dw * scale).tolist()
    rule = rule_of("sgd", momentum=0.9, nesterovs_momentum=nesterov)
    taken = [-(rate * g) for g in grads]
    state = [sum_of_products(0.9, v, t) for v, t in zip(velocity[0].tolist(), taken, strict=True)]
    ahead = [sum_of_products(0.9, v, t) for v, t in zip(state, taken, strict=True)]
    expected = w + (ahead if nesterov else state)
    core.kernel_step(w, dw, velocity, rule, rate, 0.0, scale)
    np.testing.assert_array_equal(velocity[0], state)
    np.testing.assert_array_equal(w, expected)

    rule = rule_of("adam", beta_1=0.9, beta_2=0.999)
    new = [(1 - 0.9) * g for g in grads], [(1 - 0.999) * (g * g) for g in grads]
    pairs = zip((0.9, 0.999), moments.tolist(), new, strict=True)
    expected = [
        [sum_of_products(beta, m, part) for m, part in zip(row, parts, strict=True)]
        for beta, row, parts in pairs
    ]
    core.kernel_step(w, dw, moments, rule, rate, 0.0, scale)
    np.testing.assert_array_equal(moments, expected)
