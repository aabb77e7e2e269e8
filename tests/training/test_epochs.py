"""Fits whose calls of the core take several epochs: as with one epoch in each call."""

import pickle

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import StopWhen
from fastbp.schedules import Cosine
from fastbp.training import epochs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
rng = np.random.RandomState(0)
X, Y = rng.randn(60, 5), rng.randint(0, 3, 60)
CASES = {
    "adam": {},
    "stalls": dict(tol=0.01, n_iter_no_change=2, max_iter=400),
    "invscaling": dict(solver="sgd", learning_rate="invscaling", power_t=0.3),
    "adaptive": dict(solver="sgd", learning_rate="adaptive", tol=0.01, n_iter_no_change=2),
    "plateau": dict(learning_rate="plateau", tol=0.01, n_iter_no_change=1),
    "cosine": dict(learning_rate=Cosine()),
    "averages": dict(ema_decay=0.9, weight_decay=0.1, clip_norm=0.5),
    "dropout": dict(dropout=0.2, input_dropout=0.1),
    "rows": dict(batch_size=1, max_iter=40),
    "own order": dict(shuffle=False),
    "late": dict(max_seconds=1000),
    "threads": dict(n_threads=2),
}


def fitted(random_state, watched=False, kind=MLPClassifier, **options):
    """A fit; if watched, a callback looks at each epoch."""
    options = {**dict(hidden_layer_sizes=(6,), max_iter=150, batch_size=16), **options}
    model = kind(random_state=random_state, **options)
    if watched:
        model.set_callbacks(StopWhen(lambda context: False))
    return model.fit(X, Y)


def everything(model):
    names = "coefs_", "intercepts_", "loss_curve_", "n_iter_", "t_", "best_loss_", "stop_reason_"
    optimizer = model._optimizer
    resume = {**model._resume, "random_state": None}
    state = optimizer.rate, optimizer.tally, optimizer.state, optimizer.epochs, resume
    return pickle.dumps([[getattr(model, name) for name in names], state])


@pytest.fixture
def calls(monkeypatch):
    """The numbers of epochs that the calls of the core are asked for."""
    asked, prepare = [], epochs.EpochRunner._prepare

    def counted(self, most):
        asked.append(most)
        prepare(self, most)

    monkeypatch.setattr(epochs.EpochRunner, "_prepare", counted)
    monkeypatch.setattr(epochs, "CALL_SECONDS", 10)  # enough on a busy machine, too
    return asked


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seeded", [True, False])
def test_calls_of_several_epochs_have_the_same_bits(case, seeded, calls):
    def generator():
        return 3 if seeded else np.random.RandomState(3)

    one = fitted(generator(), watched=True, **CASES[case])
    assert set(calls) == {1}
    calls.clear()
    several = fitted(generator(), **CASES[case])
    assert (max(calls) > 1) == (seeded or case == "own order")
    assert everything(several) == everything(one)


def test_the_generator_of_the_user_stands_where_it_stood(calls):
    states = []
    for watched in (True, False):
        random_state = np.random.RandomState(3)
        fitted(random_state, watched)
        states.append(random_state.randint(2**31, size=5).tolist())
    assert set(calls) == {1}  # others may draw from it meanwhile
    assert states[0] == states[1]


class Backwards(np.random.RandomState):
    def shuffle(self, x):
        x[...] = x[::-1].copy()


def test_a_generator_of_a_class_of_its_own_shuffles_itself(calls):
    model = fitted(Backwards(3))
    assert set(calls) == {1}
    assert model.n_iter_ == 150


def test_another_bit_generator_shuffles_itself(calls):
    one, other = (fitted(np.random.RandomState(np.random.PCG64(3))) for _ in range(2))
    assert set(calls) == {1}
    assert everything(one) == everything(other)


def test_a_schedule_of_the_user_is_asked_before_each_epoch(calls):
    asked = []
    fitted(3, learning_rate=lambda epoch: asked.append(epoch) or 1.0)
    assert asked == list(range(150))
    assert set(calls) == {1}


def test_calls_become_as_long_as_meant(calls, monkeypatch):
    monkeypatch.setattr(epochs, "CALL_SECONDS", 1e9)
    fitted(3)
    assert calls == [1, 2, 4, 8, 16, 32, 64, 23]
    calls.clear()
    monkeypatch.setattr(epochs, "CALL_SECONDS", 0.0)
    fitted(3)
    assert calls == [1] * 150


def test_a_loss_that_overflows_within_a_call_is_reported(calls):
    with pytest.raises(ValueError, match=r"epoch [1-9]\d* with learning rate 1e\+150"):
        fitted(3, kind=MLPRegressor, solver="sgd", learning_rate_init=1e150)
    options = dict(kind=MLPRegressor, solver="sgd", learning_rate_init=20.0, momentum=0.0)
    messages = []
    for watched in (True, False):
        with pytest.raises(ValueError) as error:
            fitted(3, watched, **options)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_a_clock_that_stands_still(calls, monkeypatch):
    monkeypatch.setattr(epochs, "perf_counter", lambda: 0.0)
    expected = fitted(3, watched=True)
    calls.clear()
    assert everything(fitted(3)) == everything(expected)
    assert calls[:3] == [1, 2, 4]


class Halved(Cosine):
    def __call__(self, steps):
        ASKED.append(steps.epoch)
        return super().__call__(steps) / 2


ASKED = []


def test_a_schedule_of_a_class_of_its_own_is_asked_before_each_epoch(calls):
    model = fitted(3, learning_rate=Halved())
    assert set(ASKED) == set(range(model.n_iter_))
    assert set(calls) == {1}


@pytest.mark.parametrize("n_threads", [np.int8(1), np.uint8(2), np.int32(2)])
def test_numbers_of_threads_of_numpy(n_threads):
    assert everything(fitted(3, n_threads=n_threads)) == everything(fitted(3, n_threads=1))


def test_held_out_samples_leave_an_order_that_stays():
    """Of early stopping without shuffling: the order of the split, in each epoch."""
    options = dict(shuffle=False, early_stopping=True, n_iter_no_change=1000)
    seeded, given = (fitted(r, **options) for r in (3, np.random.RandomState(3)))
    assert seeded.loss_curve_ == given.loss_curve_
    assert fitted(3, watched=True, **options).loss_curve_ == seeded.loss_curve_
    assert seeded.validation_scores_ == given.validation_scores_
