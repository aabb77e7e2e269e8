"""Steps on single samples have the bits of the general path.

Dropout that drops nothing leads there, and so does a team of two.
"""

import itertools
import threading
import time

import numpy as np
import pytest

from fastbp.kernels import Dropout, Epochs, Origin, Rank, core
from problems import DTYPES, LOSSES, Problem, rule_of, run_epoch, state_of


def no_dropout(problem):
    return Dropout(np.zeros(len(problem.network.plan), np.uint32), 0, np.zeros(1, np.uint64))


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


def assert_same_epochs(problem, optimizer="sgd", *, size=1, state=None, **given):
    """Two epochs, the second from the end of the first, by both paths."""
    for _ in range(2):
        found = run_epoch(problem, optimizer, state=state, **given)
        dropout = no_dropout(problem) if size == 1 else None
        expected = run_epoch(problem, optimizer, state=state, dropout=dropout, size=size, **given)
        assert_same_bits(found, expected)
        params, state, tally = found
        assert np.isfinite(params).all() and tally[1] > 0
        given |= {"params": params, "t": tally[2], "origin": None}
    return found


over_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@over_dtypes
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_of_all_activations(activation, optimizer, dtype):
    for hidden in [(16,), (5, 13), (3, 17, 2)]:
        problem = Problem(activation, "log_loss", dtype, n=40, batch=1, hidden=hidden)
        assert_same_epochs(problem, optimizer)


@over_dtypes
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_of_all_losses(loss, exact, dtype):
    for outputs, weighted in itertools.product([1, 3, 18], [False, True]):
        if outputs == 1 and loss in ("log_loss", "soft_log_loss", "squared_error/softmax"):
            outputs = 2
        if loss == "grouped_log_loss":
            outputs = 3
        problem = Problem("tanh", loss, dtype, n=30, batch=1, outputs=outputs, exact=exact)
        order = np.random.RandomState(1).permutation(problem.n)[3:]
        weight = problem.weight if weighted else None  # some are 0
        assert_same_epochs(problem, order=order, weight=weight)


@over_dtypes
@pytest.mark.parametrize("width", range(1, 41))
def test_of_all_widths(width, dtype):
    optimizer = "sgd" if width % 2 else "adam"
    for hidden in [(), (width,), (7, width), (width, width)]:
        for features, outputs in [(8, 1), (width, 3)]:
            problem = Problem(
                "relu", dtype=dtype, n=12, batch=1, hidden=hidden, features=features,
                outputs=outputs, alpha=0.1 * (width % 3),
            )  # fmt: skip
            assert_same_epochs(problem, optimizer)


RULES = [
    {},
    {"nesterovs_momentum": False},
    {"momentum": 0.0},
    {"weight_decay": 0.5},
    {"ema_decay": 0.9},
    {"weight_decay": 0.5, "ema_decay": 0.9},
]


@over_dtypes
@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
@pytest.mark.parametrize("constants", RULES, ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_of_all_rules(constants, optimizer, dtype, alpha):
    shapes = [dict(hidden=(16,)), dict(hidden=(90, 70), features=100)]  # the latter in slices
    for k, shape in enumerate(shapes):
        problem = Problem("tanh", dtype=dtype, n=25, batch=1, alpha=alpha, **shape)
        problem.network.params[::3] = 0
        problem.network.params[1::7] = -0.0
        problem.X[:, ::2] = 0
        assert_same_epochs(problem, optimizer, size=1 + k, **constants)


@over_dtypes
@pytest.mark.parametrize("constants", RULES[:3], ids=str)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("outputs", [1, 16])
@pytest.mark.parametrize("hidden", [(16,), (48,), (32, 16), (64, 16, 32)])
def test_of_sgd_by_outer_products(hidden, outputs, alpha, constants, dtype):
    """All layers have whole blocks of 16 weights: gradients are written nowhere."""
    problem = Problem(
        "tanh", dtype=dtype, n=25, batch=1, alpha=alpha, hidden=hidden, outputs=outputs
    )
    problem.network.params[::3] = 0
    problem.network.params[1::7] = -0.0
    problem.X[:, ::2] = 0
    order = np.random.RandomState(1).permutation(problem.n)[3:]
    for given in ({}, {"order": order, "weight": problem.weight}):
        assert_same_epochs(problem, **given, **constants)
    state = state_of(problem.network, "sgd")
    origin = Origin(problem.network.params.copy(), state + 1, 0.0)
    assert_same_epochs(problem, origin=origin, **constants)


@over_dtypes
@pytest.mark.parametrize("optimizer", core.OPTIMIZERS)
def test_from_an_origin(optimizer, dtype):
    problem = Problem("tanh", dtype=dtype, n=20, batch=1)
    weight = problem.weight.copy()
    weight[:2] = 0  # the first step is that of the third sample
    state = state_of(problem.network, optimizer, 0.9)
    origin = Origin(problem.network.params.copy(), state + 1, 0.0)
    constants = {"ema_decay": 0.9, "weight_decay": 0.1}
    assert_same_epochs(problem, optimizer, origin=origin, weight=weight, **constants)
    weight[:] = 0  # no step at all
    params, state, tally = run_epoch(problem, optimizer, origin=origin, weight=weight, **constants)
    assert np.isnan(params).all() and np.isnan(state).all()
    assert tally.tolist() == [0, 20, 0]


@over_dtypes
def test_steps_that_overflow(dtype):
    problem = Problem("identity", dtype=dtype, n=200, batch=1, rate=1e3)
    with np.errstate(all="ignore"):
        found = run_epoch(problem)
        assert_same_bits(found, run_epoch(problem, dropout=no_dropout(problem)))
    assert not np.isfinite(found[0]).all()


@over_dtypes
def test_several_epochs_with_shuffles(dtype):
    found = []
    for general in (False, True):
        problem = Problem("tanh", "binary_log_loss", dtype, n=40, batch=1)
        random_state, order = np.random.RandomState(3), np.arange(problem.n)[2:]
        capsule = random_state._bit_generator.capsule
        epochs = Epochs(np.zeros(6), np.zeros(core.N_COUNTERS), capsule)
        rates = np.linspace(0.01, 0.001, 6 * len(order))[:, None]
        dropout = no_dropout(problem) if general else None
        task = problem.task(order=order, rates=rates, epochs=epochs, dropout=dropout)
        network, state, tally = problem.network, state_of(problem.network, "sgd"), np.zeros(3)
        scratch = network.scratch(1, 1, "epoch", dropout=dropout)
        core.train_epochs(
            network.program, network.params, state, scratch, tally, task, problem.alone()
        )
        assert tally[2] == len(order) * epochs.counters[core.DONE]
        found.append((network.params, state, tally, epochs.losses, epochs.counters, order))
    assert_same_bits(*found)


def test_a_stop_in_the_middle_leaves_a_whole_number_of_steps():
    problem = Problem("tanh", n=300_000, batch=1, hidden=(4,), weighted=False)
    words, tally, state = problem.words(), np.zeros(3), state_of(problem.network, "sgd")
    network, task = problem.network.copy(), problem.task(rates=np.full((1, 1), 0.001))
    scratch = network.scratch(1, 1, "epoch")
    arguments = network.program, network.params, state, scratch, tally, task
    rank = threading.Thread(target=core.train_epochs, args=(*arguments, Rank(words, 0, 1)))
    rank.start()
    while not words[32]:  # team_begun
        time.sleep(0)
    core.stop_team(words)
    rank.join()
    done = int(tally[1])
    assert done == tally[2] < problem.n
    if done:
        rest = Problem("tanh", n=300_000, batch=1, hidden=(4,), weighted=False, rate=0.001)
        dropout, order = no_dropout(rest), np.arange(done)
        rest.rule = rule_of("sgd")
        task = rest.task(rates=np.full((1, 1), 0.001), order=order, dropout=dropout)
        other, expected = state_of(rest.network, "sgd"), np.zeros(3)
        core.train_epochs(
            rest.network.program, rest.network.params, other, scratch, expected, task, rest.alone()
        )
        assert_same_bits((network.params, state, tally), (rest.network.params, other, expected))
