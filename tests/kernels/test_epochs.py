"""Several epochs in one call: the bits of as many calls, and NumPy's shuffles."""

import itertools

import numpy as np
import pytest

from fastbp.kernels import CSR, Dropout, Epochs, core
from fastbp.network import epoch_use
from fastbp.training import Course
from fastbp.training.course import Epoch
from fastbp.training.watches import Patience
from problems import DTYPES, Problem, in_team, rule_of, state_of

N = 5  # epochs of a call


def bits_of(random_state):
    return random_state._bit_generator.capsule


def state(random_state):
    kind, key, *rest = random_state.get_state()
    return kind, key.tobytes(), *rest


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 64, 65, 150, 1000, 4097])
def test_a_shuffle_is_that_of_numpy(n):
    for seed in range(20):
        theirs, ours = np.random.RandomState(seed), np.random.RandomState(seed)
        expected, order = np.arange(n), np.arange(n)
        for _ in range(3):
            theirs.shuffle(expected)
            core.kernel_shuffle(order, bits_of(ours))
            assert (order == expected).all()
        assert state(ours) == state(theirs)


@pytest.mark.parametrize("most", [1, 2, 255, 256, 2**31, 2**32 - 1, 2**32, 2**33 + 5, 2**62])
def test_a_draw_is_masked_and_repeated(most):
    theirs, ours = np.random.RandomState(0), np.random.RandomState(0)
    mask = 2 ** most.bit_length() - 1
    for _ in range(50):
        while True:
            bits = int(theirs._bit_generator.random_raw())
            if most >= 2**32:
                bits = bits << 32 | int(theirs._bit_generator.random_raw())
            if bits & mask <= most:
                break
        assert core.kernel_draw(most, bits_of(ours)) == bits & mask


@pytest.mark.parametrize("tol", [0.0, 1e-4, 0.3, np.inf])
def test_stalls_are_counted_as_the_watch_counts_them(tol):
    rng = np.random.RandomState(0)
    for _ in range(300):
        losses = rng.choice([0.5, 0.5 + 1e-5, 0.2, 1.0, np.nan, np.inf, -np.inf], rng.randint(12))
        course = Course(Problem().network, rng, 1)
        counters = np.zeros(core.N_COUNTERS)
        counters[core.BEST_LOSS] = course.best_loss
        for loss in losses:
            course.epochs.append(Epoch(loss, None, None, 0.0, None))
            Patience(tol, 3, False).count(course)
        core.kernel_stalls(losses, tol, counters)
        assert counters[core.STALLS] == course.no_improvement_count
        assert counters[core.BEST_LOSS] == course.best_loss


class Call:
    """A network in training, whose calls take one epoch or several."""

    def __init__(self, problem, seed, *, dropout=(), t=0.0, shuffle=True):
        self.problem, self.network = problem, problem.network.copy()
        averages = problem.rule["ema_decay"] > 0
        optimizer = {code: name for name, code in core.OPTIMIZERS.items()}[
            problem.rule["optimizer"]
        ]
        self.state = state_of(self.network, optimizer, float(averages))
        self.tally, self.random_state = np.array([0.0, 0, t]), np.random.RandomState(seed)
        self.order = np.arange(problem.n)[1:] if shuffle else None
        self.dropout = None
        if dropout:
            thresholds = np.array(dropout, np.uint32)
            self.dropout = Dropout(thresholds, 7, np.zeros(1, np.uint64))

    def run(self, rates, epochs, size=1, **fields):
        """The core's part of `epochs` epochs by a team; returns losses and counters."""
        problem, words = self.problem, self.problem.words()
        counters = np.zeros(core.N_COUNTERS)
        counters[core.BEST_LOSS] = np.inf
        capsule = None if self.order is None else bits_of(self.random_state)
        several = Epochs(np.full(epochs, np.nan), counters, capsule, **fields)
        task = problem.task(
            weight=problem.weight,
            order=self.order,
            rates=np.reshape(rates, (-1, 1)).astype(float),
            dropout=self.dropout,
            epochs=several,
        )
        use = epoch_use(isinstance(problem.x, CSR), problem.rule["clip_norm"] > 0)
        network = self.network
        scratch = network.scratch(problem.batch, size, use, dropout=self.dropout)
        arguments = network.program, network.params, self.state, scratch, self.tally, task
        in_team(core.train_epochs, words, size, *arguments)
        return several.losses, counters

    def bits(self):
        order = b"" if self.order is None else self.order.tobytes()
        random = state(self.random_state)
        return self.network.params.tobytes(), self.state.tobytes(), *self.tally, order, random


RULES = [
    ("sgd", {}),
    ("adam", {"ema_decay": 0.9}),
    ("adam", {"weight_decay": 0.01, "clip_norm": 0.1}),
]


def selected():
    """Each rule with each dtype and form of X; sizes of the team and the shuffle take turns."""
    kinds = itertools.product(enumerate(RULES), [False, True], DTYPES)
    for k, ((r, rule), sparse, dtype) in enumerate(kinds):
        for half in (0, 1):
            size = 1 + half + 2 * ((k // 2 + r) % 2)
            yield *rule, sparse, size, bool((k + half) % 2), dtype


SELECTED = list(selected())


def test_the_selection_covers_each_rule_and_form_with_each_team():
    for fields in (slice(0, 2), slice(2, 3), slice(4, 5), slice(5, 6)):
        pairs = {(str(case[fields]), case[3]) for case in SELECTED}
        assert len(pairs) == 4 * len({str(case[fields]) for case in SELECTED})
    forms = {(case[0], str(case[1]), *case[2:3], *case[4:]) for case in SELECTED}
    assert len(forms) == len(RULES) * 2 * 2 * 2


@pytest.mark.parametrize("optimizer, constants, sparse, size, shuffle, dtype", SELECTED)
def test_a_call_of_several_epochs_has_the_bits_of_several_calls(
    optimizer, constants, sparse, size, shuffle, dtype
):
    problem = Problem("tanh", dtype=dtype, n=40, batch=7, sparse=sparse, optimizer=optimizer)
    problem.rule = rule_of(optimizer, **constants)
    dropout = () if sparse else (1000, 20000, 30000)
    n_steps = -(-(problem.n - shuffle) // problem.batch)
    rates = np.random.RandomState(3).uniform(0.001, 0.02, (N, n_steps))
    for form in (rates, rates[:, :1], rates[:1, :1]):
        one, several = (Call(problem, 5, dropout=dropout, shuffle=shuffle) for _ in range(2))
        losses = []
        for k in range(N):
            loss, counters = one.run(form[min(k, len(form) - 1)], 1, size)
            losses.append(loss[0])
            assert counters[core.BEGUN] == counters[core.DONE] == 1
            if one.dropout is not None:
                one.dropout.seen[0] += problem.n - shuffle
        before = several.tally[2]
        found, counters = several.run(form, N, size)
        assert several.bits() == one.bits()
        assert found.tolist() == losses
        assert losses[-1] == one.tally[0] / one.tally[1]
        assert counters[core.BEGUN] == counters[core.DONE] == N
        performed = several.tally[2] - before
        assert counters[core.FIRST_STEP] == before + performed - performed / N


@pytest.mark.parametrize("size", [1, 3])
def test_a_call_ends_when_the_loss_stalls(size):
    problem = Problem(n=40, batch=7)
    losses, counters = Call(problem, 0).run([1e-3], 60, size, tol=np.inf, patience=3.0)
    assert counters[core.DONE] == counters[core.BEGUN] == 5  # the first one is no stall
    assert counters[core.STALLS] == 4
    assert counters[core.FINITE] == 1
    assert np.isfinite(losses[:5]).all()
    assert np.isnan(losses[5:]).all()
    assert counters[core.BEST_LOSS] == losses[:5].min()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("constants", [{}, {"ema_decay": 0.9}])
def test_a_call_ends_when_parameters_are_not_finite(size, constants):
    problem = Problem("relu", n=40, batch=7)
    problem.rule = rule_of("sgd", **constants)
    call = Call(problem, 0)
    _, counters = call.run([1e100], 60, size)
    assert 1 <= counters[core.DONE] < 60
    assert counters[core.FINITE] == 0
    assert not np.isfinite(call.network.params).all()


def test_a_call_ends_when_averages_are_not_finite():
    problem = Problem(n=40, batch=7)
    problem.rule = rule_of("sgd", ema_decay=0.9)
    call = Call(problem, 0, t=8.0)
    call.state[-1, 3] = np.inf
    _, counters = call.run([1e-3], 60)
    assert counters[core.DONE] == 1
    assert counters[core.FINITE] == 0
    assert np.isfinite(call.network.params).all()


def test_wrong_epochs_are_refused():
    problem = Problem(n=40, batch=7)
    call = Call(problem, 0)
    with pytest.raises(ValueError, match="rates have a row for each of 6 steps of 5 epochs"):
        refused(call, rates=np.ones((7, 1)))
    with pytest.raises(ValueError, match="room for a loss at least"):
        refused(call, losses=np.empty(0))
    with pytest.raises(ValueError, match="7 counters, not 5"):
        refused(call, counters=np.zeros(5))
    with pytest.raises(ValueError, match="no order to shuffle"):
        refused(call, order=None)
    with pytest.raises(ValueError, match="PyCapsule_GetPointer"):
        refused(call, generator=object())


def refused(call, *, rates=None, order="own", **fields):
    """Call the door with epochs that have these fields."""
    problem = call.problem
    given = dict(
        losses=np.empty(N),
        counters=np.zeros(core.N_COUNTERS),
        generator=bits_of(call.random_state),
    )
    task = problem.task(
        order=call.order if order == "own" else order,
        rates=np.ones((1, 1)) if rates is None else rates,
        epochs=Epochs(**{**given, **fields}),
    )
    scratch = call.network.scratch(problem.batch, 1, "epoch")
    core.train_epochs(
        call.network.program,
        call.network.params,
        call.state,
        scratch,
        call.tally,
        task,
        problem.alone(),
    )
