"""What someone else may have written: damaged plans, tapes, orders, classes and CSR arrays.

Each damage is an error and never a crash. What could crash runs in a fork.
"""

import os
import threading
import time
from functools import partial

import numpy as np
import pytest

from fastbp import MLPRegressor
from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.tape import compile_tape
from fastbp.kernels import CSR, LoweredObjective, Rank, Task, core
from fastbp.network import Network, assemble, make_plan
from fastbp.training import Samples
from forks import failures
from problems import Problem, row_losses, rule_of, state_of, sums_of

REFUSED = (ValueError, OverflowError, IndexError)
in_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
HUGE = [-(2**63), -(2**40), -1, 2**31, 2**40, 2**62, 2**63 - 1]


def in_fork(function, *arguments):
    """Call a function in a fork; fail if it raises, crashes or hangs."""
    assert not failures([(function.__name__, partial(function, *arguments))], limit=120)


# ---- plans


def scratch_size(plan):
    return core.scratch_size(plan, 5, 1, "epoch")


@pytest.mark.parametrize(
    "layer, field, value, message",
    [
        (0, "weight", 1, "layer 0: weights begin at 0 .* not at 1"),
        (1, "weight", -18, "layer 1: weights begin at 18 .* not at -18"),
        (1, "weight", 2**62, "layer 1: weights begin at 18"),
        (0, "bias", 37, "layer 0: biases begin at 38, not at 37"),
        (1, "bias", 0, "layer 1: biases begin at 44, not at 0"),
        (1, "output", 5, "outputs at 6, not at 18 and 5"),
        (2, "output", -(2**63), "layer 2: weights"),
        (1, "fan_in", 5, "layer 1: a fan-in of 5, but the layer before has a fan-out of 6"),
        (0, "fan_out", 7, "layer 1: a fan-in of 6, but the layer before has a fan-out of 7"),
        (0, "activation", -1, "layer 0: no activation has the code -1"),
        (2, "activation", 64, "layer 2: no activation has the code 64"),
    ],
)
def test_a_plan_goes_on_where_it_ended(layer, field, value, message):
    plan = make_plan([3, 6, 2, 4], [1, 1])
    assert scratch_size(plan) > 0
    plan[field][layer] = value
    with pytest.raises(ValueError, match=message):
        scratch_size(plan)


def test_sizes_do_not_overflow():
    """Of arenas that no memory holds: sums of parameters, and scratch of so many ranks."""
    most = core.BLAS_INT_MAX
    plan = make_plan([3, 2], [])
    rows = np.repeat(plan, 5)
    rows["fan_in"] = rows["fan_out"] = most
    rows["weight"] = np.arange(5, dtype=np.uint64) * np.uint64(most**2)
    rows["output"] = np.arange(5) * most
    with pytest.raises(OverflowError, match=r"more than .* parameters"):
        scratch_size(rows)
    plan = make_plan([2**24, 2**24, 1], [0])
    with pytest.raises(OverflowError, match=r"larger than .* numbers"):
        core.scratch_size(plan, most, 2**30, "epoch")
    assert core.scratch_size(plan, 2, 2, "epoch") > 2**24


# ---- tapes


def program(layers=(2, 3, 2)):
    """A plan with an activation and a loss that are tapes, of several kinds of instructions."""
    network = Network(
        layers, Expression.trace(lambda z: fg.where(z > 0, z, z * 2), ACTIVATION), "d"
    )
    loss = Expression.trace(lambda raw, y: fg.sum((raw - y) ** 2) + raw[0] * 2, LOSS)
    tapes = [*network.tapes, compile_tape(loss, layers[-1], core.TAPE_OPERATIONS)]
    return network, assemble(network.plan.copy(), tapes)


FIELDS = ["code", "head", "length", "constants", "n_constants", "registers", "value"]
FIELDS += ["derivative", "K"]


@pytest.mark.parametrize("field", range(len(FIELDS)), ids=FIELDS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", HUGE)
def test_a_tape_stays_within_its_memory(field, which, value):
    _, whole = program()
    whole.tapes[which, field] = value
    with pytest.raises(REFUSED, match=rf"tape {which}|no activation"):
        scratch_size(whole)


@pytest.mark.parametrize("value", [-(2**31), -1, 40, 2**31 - 1])
def test_an_instruction_stays_within_its_registers(value):
    """All operands that an operation reads or writes; the others are -1."""
    names = {code: name for name, code in core.TAPE_OPERATIONS.items()}
    operands, seen = {"where": 4, "item": 3, "place": 3}, set()
    binary = {"add", "subtract", "multiply", "divide", "power", "maximum", "minimum"}
    binary |= {"less", "less_equal", "equal"}
    _, whole = program()
    for i in range(len(whole.code)):
        name = names[whole.code[i, 0]]
        seen.add(name)
        for operand in range(1, 1 + operands.get(name, 3 if name in binary else 2)):
            _, damaged = program()
            damaged.code[i, operand] = value
            with pytest.raises(ValueError, match="leaves its"):
                scratch_size(damaged)
    assert {"where", "item", "place", "multiply", "sum"} <= seen


def test_no_instruction_writes_a_constant():
    _, whole = program()
    whole.code[0, 1] = 0
    with pytest.raises(ValueError, match="tape 0: instruction 0 leaves"):
        scratch_size(whole)


# ---- orders, classes, CSR, pairs of loss and link


class Epoch:
    """An epoch of a small problem, in whose task a test changes one thing."""

    def __init__(self, loss="squared_error", **fields):
        self.problem = Problem("tanh", loss, n=50, batch=7, **fields)

    def run(self, **task):
        network = self.problem.network
        use = "epoch_csr" if isinstance(self.problem.x, CSR) else "epoch"
        state, scratch = state_of(network, "sgd"), network.scratch(7, 1, use)
        task = self.problem.task(**task)
        alone = self.problem.alone()
        arguments = network.plan, network.params, state, scratch, np.zeros(3), task, alone
        core.train_epochs(*arguments)


@pytest.mark.parametrize("at", [0, 17, 49])
@pytest.mark.parametrize("row", [*HUGE, 50])
def test_an_order_names_rows_of_x(at, row):
    order = np.arange(50)
    order[at] = row
    with pytest.raises(ValueError, match=f"shuffle of random_state .* row {row}, X has rows 0 to"):
        Epoch().run(order=order)


def test_an_order_may_repeat_rows_but_is_not_longer_than_x():
    Epoch().run(order=np.full(50, 49))
    Epoch().run(order=np.arange(20))
    with pytest.raises(ValueError, match="the order has 51 rows, X 50"):
        Epoch().run(order=np.zeros(51, np.intp))


@pytest.mark.parametrize("row", [10**9, -1, 60])
def test_a_shuffle_of_the_user_s_is_checked(row):
    class Odd(np.random.RandomState):
        def shuffle(self, order):
            order[-1] = row

    X = np.random.RandomState(0).randn(60, 4)
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=Odd(0))
    with pytest.raises(ValueError, match=f"random_state .* row {row}"):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "coefs_")


class Keeps(np.random.RandomState):
    """A random state of a user's that keeps the array which it shuffles."""

    def shuffle(self, order):
        super().shuffle(order)
        self.kept = order


def write_the_order():
    """A thread writes wild numbers into the kept order, while another thread fits."""
    X = np.random.RandomState(0).randn(3000, 50)
    model = MLPRegressor(hidden_layer_sizes=(50,), random_state=Keeps(0), max_iter=30, tol=0)
    errors = []

    def fit():
        try:
            model.fit(X, X[:, 0])
        except ValueError as error:  # of an order that was written before it was copied
            errors.append(error)

    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        thread = threading.Thread(target=fit)
        thread.start()
        while thread.is_alive():
            if hasattr(model.random_state, "kept"):
                model.random_state.kept[:] = 2**40
            time.sleep(1e-3)
    assert all("the shuffle of random_state" in str(error) for error in errors)


@in_forks
def test_an_order_may_be_written_while_the_core_reads_it():
    in_fork(write_the_order)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_random_state_of_the_user_s_gives_the_same_bits(early_stopping):
    X = np.random.RandomState(0).randn(60, 4)
    fits = [
        MLPRegressor(
            hidden_layer_sizes=(4,), max_iter=5, random_state=one, early_stopping=early_stopping
        ).fit(X, X[:, 0])
        for one in (np.random.RandomState(0), Keeps(0))
    ]
    assert np.array_equal(fits[0].coefs_[0], fits[1].coefs_[0])
    assert fits[0].loss_curve_ == fits[1].loss_curve_


@pytest.mark.parametrize("loss", ["log_loss", "squared_error/softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [-1, -0.5, 3, 1e300, -1e9, np.nan, np.inf, -np.inf])
def test_a_class_is_one_of_the_outputs(loss, dtype, value):
    problem = Problem("tanh", loss, dtype, outputs=3)
    z = np.zeros((problem.n, 3), dtype)
    for at in (0, 11, problem.n - 1):
        y = problem.y.copy()
        row_losses(loss, z, y)
        with np.errstate(over="ignore"):
            y[at] = value
        with pytest.raises(ValueError, match=rf"y\[{at}\] is .*, which is no class: .* 0 to 2"):
            row_losses(loss, z, y)
        with pytest.raises(ValueError, match="which is no class"):
            problem.loss_gradient(y=y)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda indptr: indptr.__setitem__(3, -1), "does not rise"),
        (lambda indptr: indptr.__setitem__(0, -5), "does not rise"),
        (lambda indptr: indptr.__setitem__(7, 10**9), "does not rise"),
        (lambda indptr: indptr.__setitem__(-1, 10**9), "shorter than indptr says"),
        (lambda indptr: indptr.__iadd__(10**6), "shorter than indptr says"),
    ],
)
def test_row_pointers_rise_within_the_entries(damage, message):
    epoch = Epoch(sparse=True)
    damage(epoch.problem.x.indptr)
    with pytest.raises(ValueError, match=message):
        epoch.run()
    network, n = epoch.problem.network, epoch.problem.n
    with pytest.raises(ValueError, match=message):
        network.predict(epoch.problem.x, "identity", np.empty((n, 2)))


def test_csr_without_row_pointers():
    problem = Problem("tanh", sparse=True)
    empty = problem.x._replace(indptr=problem.x.indptr[:0])
    network, scratch = problem.network, problem.network.scratch(1, 1, "predict")
    with pytest.raises(ValueError, match="indptr is empty"):
        core.predict(network.plan, network.params, scratch, empty, np.empty((1, 2)), 0)


PAIRS = [("poisson", "identity"), ("gamma", "softmax"), ("tweedie", "logistic")]
PAIRS += [("log_loss", "identity"), ("log_loss", "logistic"), ("soft_log_loss", "exp")]
PAIRS += [("binary_log_loss", "softmax"), ("binary_log_loss", "identity"), ("poisson", "softplus")]
PAIRS += [("gaussian", "exp"), ("grouped_log_loss", "softmax")]


@pytest.mark.parametrize("loss, link", PAIRS)
def test_a_loss_of_raw_predictions_has_its_own_link(loss, link):
    problem = Problem("tanh", loss)
    objective = problem.objective._replace(link=core.LINKS[link])
    for y in (problem.y, np.zeros((problem.n, 1))):
        with pytest.raises(ValueError, match=f"the loss {core.LOSSES[loss]} has the link"):
            row_losses(loss, np.zeros((problem.n, 3)), y, link=core.LINKS[link])
    with pytest.raises(ValueError, match="has the link"):
        Epoch(loss).run(objective=objective)


def test_a_mean_has_its_log_variance():
    for K in (1, 3):
        with pytest.raises(ValueError, match=f"has 2 outputs for each target, the plan {K}"):
            row_losses("gaussian", np.zeros((5, K)), np.zeros((5, K)))


def test_small_doors_check_sizes():
    for door in (core.stop_team, core.abort_team):
        with pytest.raises(ValueError, match="a team has"):
            door(np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="one column"):
        core.kernel_link(core.LINKS["softmax"], np.zeros((3, 0)))


# ---- at random


def all_doors(network, whole):
    """Call every door that takes a plan. Scratch has NaN on both sides, which stays."""
    units, n = network.units, 9
    x, y = np.ones((n, units[0])), np.ones((n, units[-1]))
    widths, out = n * sum(units[1:]), np.empty((n, units[-1]))
    objective = LoweredObjective(core.TAPES + 1, 0)
    task = Task(Samples(x, y), objective, rule_of("sgd"), np.arange(n), n, np.full((1, 1), 0.1))
    words, params = np.zeros(core.TEAM_WORDS, np.int32), network.params
    rank, state = Rank(words, 0, 1), state_of(network, "sgd")

    def scratch(use):
        size = core.scratch_size(whole, n, 1, use)
        if size > 10**7:
            raise OverflowError(size)
        memory.append(np.full(size + 2000, np.nan))
        return memory[-1][1000:-1000]

    calls = {
        "epoch": lambda s: core.train_epochs(
            whole, params.copy(), state, s, np.zeros(3), task, rank
        ),
        "gradient": lambda s: core.loss_gradient(
            whole, params, sums_of(params, 1), s, np.zeros(3), task._replace(order=None), rank
        ),
        "predict": lambda s: core.predict(whole, params, s, x, out, 0),
        "examine": lambda s: core.look(whole, params, s, x, np.empty(widths), np.empty(widths)),
        "validate": lambda s: core.validate(
            whole, params, s, task.samples, objective, out, np.empty(n)
        ),
    }
    accepted, memory = 0, []
    for use, call in calls.items():
        try:
            call(scratch(use))
            accepted += 1
        except REFUSED:
            pass
    for whole_memory in memory:
        assert np.isnan(whole_memory[:1000]).all() and np.isnan(whole_memory[-1000:]).all()
    return accepted


def damage_at_random(cases, seed):
    rng = np.random.RandomState(seed)
    network, whole = program()
    assert all_doors(network, whole) == 5
    accepted = 0
    for _ in range(cases):
        network, whole = program()
        for _ in range(rng.randint(1, 4)):
            table = whole[rng.randint(3)]
            table = table.view(np.int64).reshape(len(table), -1) if table is whole.plan else table
            at = tuple(rng.randint(length) for length in table.shape)
            if rng.rand() < 0.3:
                value = HUGE[rng.randint(len(HUGE))]
            else:
                value = int(table[at]) + rng.randint(-3, 4)
            table[at] = np.array(value % 2**64, np.uint64).astype(table.dtype)
        accepted += all_doors(network, whole)
    assert accepted < 5 * cases / 2  # most damage is found


@in_forks
@pytest.mark.parametrize("seed", range(3))
def test_damaged_plans_and_tapes_never_crash(seed):
    in_fork(damage_at_random, 300, seed)


# ---- another thread writes into the indices of X


def race(sizes):
    """Epochs, gradients and predictions while the indices change between right and wrong."""
    n, features, hidden = sizes
    rng = np.random.RandomState(0)
    per_row = 20
    indices = rng.randint(0, features, n * per_row).astype(np.int32)
    right = indices.copy()
    indptr = np.arange(0, n * per_row + 1, per_row, dtype=np.int64)
    x = CSR(rng.randn(n * per_row), indices, indptr, features)
    network = Network([features, hidden, 2], "relu", np.float64)
    network.initialize(rng)
    y, over = rng.randn(n, 2), threading.Event()
    words, state = np.zeros(core.TEAM_WORDS, np.int32), state_of(network, "sgd")
    objective = LoweredObjective(core.LOSSES["squared_error"], 0)
    rule = {**rule_of("sgd"), "momentum": 0.0}
    task = Task(Samples(x, y), objective, rule, None, 50, np.full((1, 1), 1e-9))

    def write():
        wrong = np.array([2_000_000_000, -2_000_000_000, features, -1], np.int32)
        while not over.is_set():
            indices[:] = np.resize(wrong, indices.size)
            time.sleep(1e-4)
            indices[:] = right

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ends, out, rank = time.monotonic() + 1.5, np.empty((n, 2)), Rank(words, 0, 1)
        while time.monotonic() < ends:
            scratch = network.scratch(50, 1, "epoch_csr")
            core.train_epochs(network.plan, network.params, state, scratch, np.zeros(3), task, rank)
            words[:] = 0
            scratch, sums = network.scratch(50, 1, "gradient"), sums_of(network.params, -(-n // 50))
            core.loss_gradient(network.plan, network.params, sums, scratch, np.zeros(3), task, rank)
            words[:] = 0
            network.predict(x, "identity", out)
            assert np.isfinite(out).all()
    finally:
        over.set()
        writer.join()


@in_forks
def test_indices_may_be_written_while_the_core_reads_them():
    in_fork(race, (3000, 400, 50))


def test_entries_outside_of_the_columns_are_left_out():
    data, indices = np.array([1.0, 2, 3, 4]), np.array([0, 7, -1, 1], np.int32)
    x = CSR(data, indices, np.array([0, 2, 4]), 2)
    w, b, order = np.array([[1.0], [10]]), np.zeros(1), np.arange(2)
    z, dw = np.empty((2, 1)), np.empty((2, 1))
    core.kernel_affine_csr(x, order, w, b, z)
    np.testing.assert_array_equal(z, [[1], [40]])
    core.kernel_affine_csr_gradient(x, order, np.ones((2, 1)), dw, 0, 2)
    np.testing.assert_array_equal(dw, [[1], [4]])
