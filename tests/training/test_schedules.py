"""Schedules of the learning rate that are factors: formulas, and what the steps use."""

import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, MLPRegressor
from fastbp.kernels import core
from fastbp.schedules import Cosine, Coslog, Exponential, OneCycle, Step
from fastbp.training.factors import FACTORS, Steps
from fits import bits
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X, Y = rng.randn(80, 4), rng.randint(3, size=80)
SMALL = dict(hidden_layer_sizes=(5,), max_iter=6, random_state=0, batch_size=20, tol=0)
SOLVERS = pytest.mark.parametrize("solver", ["sgd", "adam"])


def half_cosine(start, end, share):
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def onecycle(t, total, peak=0.3, start=25, end=2.5e5):
    """The factor of step t, as PyTorch's OneCycleLR defines it."""
    top = peak * total - 1
    if t <= top:
        return half_cosine(1 / start, 1, t / top)
    return half_cosine(1, 1 / end, (t - top) / (total - 1 - top))


def warm(t, total, warmup, end):
    if t < warmup * total:
        return min((t + 1) / (warmup * total), 1)
    return half_cosine(1, end, (t - warmup * total) / (total - warmup * total))


FORMULAS = {
    "linear": lambda t, total, epoch: 1 - t / total,
    "cosine": lambda t, total, epoch: (1 + math.cos(math.pi * t / total)) / 2,
    "onecycle": lambda t, total, epoch: onecycle(t, total),
    "coslog4": lambda t, total, epoch: (
        (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t / total))) / 2
    ),
    Cosine(warmup=0.25, end=0.1): lambda t, total, epoch: warm(t, total, 0.25, 0.1),
    OneCycle(0.5, 10, 100): lambda t, total, epoch: onecycle(t, total, 0.5, 10, 100),
    Exponential(0.9): lambda t, total, epoch: 0.9**epoch,
    Step(2, 0.5): lambda t, total, epoch: 0.5 ** (epoch // 2),
    Coslog(2): lambda t, total, epoch: (
        (1 - math.cos(2 * math.pi * math.log2(1 + 3 * t / total))) / 2
    ),
}


@pytest.mark.parametrize("schedule", FORMULAS, ids=str)
@pytest.mark.parametrize("n_epochs, n_steps", [(6, 4), (1, 50), (200, 3)])
def test_formulas(schedule, n_epochs, n_steps):
    factor = FACTORS[schedule] if isinstance(schedule, str) else schedule
    total = n_epochs * n_steps
    for epoch in range(n_epochs):
        t = np.arange(n_steps) + epoch * n_steps
        expected = [FORMULAS[schedule](step, total, epoch) for step in t]
        got = factor(Steps(t.astype(float), total, epoch))
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("schedule", [*FACTORS.values(), Cosine(0.9), OneCycle(0.01), Step(1)])
@pytest.mark.parametrize("total", [1, 2, 3, 4])
def test_few_steps_give_finite_factors(schedule, total):
    for t in range(total):
        (factor,) = schedule(Steps(np.array([float(t)]), total, t))
        assert 0 <= factor <= 1 + 1e-12


def rates_of(model, monkeypatch, call):
    """The rates of all steps that a call makes."""
    from fastbp.training.rule import Optimizer

    seen, rates = [], Optimizer.rates

    def noting(self, steps):
        result = rates(self, steps)
        seen.append(np.broadcast_to(result, (len(steps.t), 1))[:, 0].copy())
        return result

    monkeypatch.setattr(Optimizer, "rates", noting)
    call()
    return np.concatenate(seen)


@SOLVERS
@pytest.mark.parametrize("schedule", [*FORMULAS, lambda epoch: 1 / (1 + epoch)], ids=plain)
def test_each_step_has_its_rate(schedule, solver, monkeypatch):
    """A fit is that of one-epoch calls whose step rates are those of the formula."""
    formula = FORMULAS.get(schedule, lambda t, total, epoch: 1 / (1 + epoch))
    model = MLPClassifier(
        **SMALL, solver=solver, learning_rate=schedule, learning_rate_init=0.02, shuffle=False
    )
    rates = rates_of(model, monkeypatch, lambda: model.fit(X, Y))
    expected = [0.02 * formula(t, 24, t // 4) for t in range(24)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-17)
    assert model.rate_ == rates[-1]
    # Step by step, each with a constant rate.
    twin = MLPClassifier(**SMALL, solver=solver, shuffle=False)
    for t in range(24):
        rows = slice(20 * (t % 4), 20 * (t % 4) + 20)
        twin.learning_rate_init = max(rates[t], 1e-300)
        if t == 0:
            twin.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
            twin._optimizer.state[...] = 0
            twin = clone(twin)
            twin.fit = None
            start = MLPClassifier(**{**SMALL, "max_iter": 1}, learning_rate_init=1e-300).fit(X, Y)
            twin.init = (start.coefs_, start.intercepts_)
            twin.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
        else:
            twin.rate_ = max(rates[t], 1e-300)
            twin.partial_fit(X[rows], Y[rows])
    for ours, other in zip(model.coefs_, twin.coefs_, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12)


@SOLVERS
def test_partial_fit_counts_epochs_and_stays_at_the_end(solver, monkeypatch):
    model = MLPClassifier(**SMALL, solver=solver, learning_rate="linear", learning_rate_init=1.0)

    def calls():
        for _ in range(8):
            model.partial_fit(X, Y, classes=[0, 1, 2])
        nonlocal loaded
        loaded = pickle.loads(pickle.dumps(model))
        loaded.partial_fit(X, Y)

    loaded = None
    rates = rates_of(model, monkeypatch, calls)
    expected = [1 - min(t, 23) / 24 for t in range(36)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@SOLVERS
def test_a_fit_and_then_partial_fit_go_on(solver, monkeypatch):
    model = MLPClassifier(**SMALL, solver=solver, learning_rate="cosine").set_params(max_iter=3)
    model.fit(X, Y).set_params(max_iter=6)
    rates = rates_of(model, monkeypatch, lambda: model.partial_fit(X, Y))
    expected = [0.001 * FORMULAS["cosine"](t, 24, 3) for t in range(12, 16)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    model.set_params(warm_start=True)  # which makes a new optimizer
    rates = rates_of(model, monkeypatch, lambda: model.fit(X, Y))
    assert rates[0] == pytest.approx(0.001, rel=1e-12)


@SOLVERS
@pytest.mark.parametrize("schedule", [*FORMULAS, "plateau"], ids=str)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_resume_goes_on_with_the_schedule(schedule, solver, early_stopping):
    options = dict(SMALL, solver=solver, learning_rate=schedule, early_stopping=early_stopping)
    whole = MLPClassifier(**options).fit(X, Y)
    for k in (1, 4):
        model = MLPClassifier(**options)
        model.scoring = None
        _stop_after(model, k)
        model.fit(X, Y)
        assert model.n_iter_ == k
        model = pickle.loads(pickle.dumps(model)).resume(X, Y)
        assert bits(model) == bits(whole)


def _stop_after(model, k):
    from fastbp.callbacks import StopWhen

    model.set_callbacks(StopWhen(lambda estimator: estimator.n_iter_ == k))


@SOLVERS
@pytest.mark.parametrize("sparse", [False, True])
def test_any_number_of_threads_and_sparse_rows(solver, sparse):
    import scipy.sparse as sp

    x = sp.csr_array(X) if sparse else X
    models = [
        MLPClassifier(**SMALL, solver=solver, learning_rate="onecycle", n_threads=n).fit(x, Y)
        for n in (1, 2, 3)
    ]
    assert len({bits(model) for model in models}) == 1


def test_plateau_is_adaptive_for_sgd_and_works_for_adam():
    options = dict(SMALL, max_iter=60, tol=0.5, n_iter_no_change=1)
    sgd = dict(options, solver="sgd")
    plateau = MLPClassifier(**sgd, learning_rate="plateau").fit(X, Y)
    assert bits(plateau) == bits(MLPClassifier(**sgd, learning_rate="adaptive").fit(X, Y))
    adam = MLPClassifier(**options, learning_rate="plateau").fit(X, Y)
    assert adam.rate_ < 1e-5
    assert adam.stop_reason_ == "tol"
    ignored = MLPClassifier(**options, learning_rate="adaptive").fit(X, Y)
    assert ignored.rate_ == 0.001


def test_lbfgs_ignores_them():
    options = dict(SMALL, solver="lbfgs")
    model = MLPClassifier(**options, learning_rate="cosine").fit(X, Y)
    assert bits(model) == bits(MLPClassifier(**options).fit(X, Y))


@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "0.1", None, [1.0]], ids=repr)
def test_a_function_that_returns_no_factor(value):
    model = MLPRegressor(**SMALL, learning_rate=lambda epoch: 1.0 if epoch < 2 else value)
    message = r"learning_rate must return a finite factor >= 0, but returned .* for epoch 2"
    with pytest.raises(ValueError, match=message):
        model.fit(X, X[:, 0])
    assert not hasattr(model, "coefs_")


def test_errors_of_a_function_come_through():
    with pytest.raises(ZeroDivisionError):
        MLPClassifier(**SMALL, learning_rate=lambda epoch: 1 / epoch).fit(X, Y)


@pytest.mark.parametrize(
    "make, name",
    [
        (lambda: Cosine(warmup=1.0), "warmup"),
        (lambda: Cosine(warmup="1"), "warmup"),
        (lambda: Cosine(end=-0.1), "end"),
        (lambda: OneCycle(peak=0), "peak"),
        (lambda: OneCycle(peak=1.0), "peak"),
        (lambda: OneCycle(start=0.5), "start"),
        (lambda: OneCycle(end=np.nan), "end"),
        (lambda: Exponential(1.5), "gamma"),
        (lambda: Exponential(None), "gamma"),
        (lambda: Step(0), "every"),
        (lambda: Step(1.5), "every"),
        (lambda: Step(1, -1), "gamma"),
        (lambda: Coslog(0), "cycles"),
        (lambda: Coslog(2.0), "cycles"),
    ],
)
def test_wrong_constants_are_refused_by_name(make, name):
    with pytest.raises(ValueError, match=f"^{name} must be "):
        make()


def test_they_are_plain_data():
    for schedule in (Cosine(0.1, 0.2), OneCycle(), Exponential(0.9), Step(3), Coslog()):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
        assert clone(MLPClassifier(learning_rate=schedule)).learning_rate == schedule
        assert type(schedule).__module__ == "fastbp.schedules"
    grid = {"learning_rate": ["constant", "cosine", Cosine(0.1), Step(2)]}
    search = GridSearchCV(MLPClassifier(**SMALL), grid, cv=2).fit(X, Y)
    assert search.best_params_["learning_rate"] in grid["learning_rate"]
    assert bits(pickle.loads(pickle.dumps(search.best_estimator_))) == bits(search.best_estimator_)


def test_the_rate_that_is_told_is_the_one_that_was_taken():
    """Also at the steps at which Python's power of 0.9999 has another last bit."""
    rng = np.random.RandomState(0)
    model = MLPRegressor(hidden_layer_sizes=(3,), beta_2=0.9999, random_state=0)
    optimizer = model.partial_fit(rng.randn(20, 2), rng.randn(20))._optimizer
    for optimizer.t in (1, 494, 2258, 2746, 2993):
        taken = core.kernel_rate(optimizer.rule.lower(), optimizer.rate, optimizer.t)
        assert optimizer.learning_rate == taken
