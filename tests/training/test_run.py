"""A fit is a value: a job is made, run, stopped, pickled, loaded and continued."""

import io
import pickle
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_iris

from fastbp import MLPClassifier, MLPRegressor, training
from fastbp.estimators import inputs
from fastbp.estimators.generators import restarted
from fastbp.estimators.inputs import as_rows
from fastbp.estimators.model import current_model
from fastbp.estimators.request import INSPECT
from fastbp.estimators.training_job import watches_of
from fastbp.training import SCHEDULES, Course, Epoch, Samples, Watch
from fastbp.training.factors import Factor, Steps
from fastbp.training.schedules import Schedule, ScheduleState
from ids import plain
from peaks import peak_of

X, y = load_iris(return_X_y=True)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def job_of(model, max_iter):
    job = model._job(X, y)
    job.max_iter = max_iter
    return job, watches_of(model, job)


def facts(course):
    """Everything that must be equal: parameters, state, counters, epochs without seconds."""
    yield course.network.params.tobytes()
    yield course.optimizer.state.tobytes()
    yield course.optimizer.tally[2]
    yield course.optimizer.rate
    yield (
        course.no_improvement_count,
        course.best_loss,
        course.best_score,
        course.best_epoch,
        course.t,
    )
    yield [epoch._replace(seconds=0) for epoch in course.epochs]


@quiet
@pytest.mark.parametrize("stop", [1, 2, 7, 11])
@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="adam"),
        dict(solver="adam", early_stopping=True, n_iter_no_change=20),
        dict(solver="sgd", learning_rate="invscaling"),
        dict(solver="sgd", learning_rate="adaptive", tol=0.5, n_iter_no_change=1),
        dict(solver="sgd", early_stopping=True, shuffle=False, n_iter_no_change=20),
        dict(solver="adam", activation=lambda z: z * 0.5 + abs(z)),
        dict(solver="adam", weight_decay=0.5, clip_norm=0.1, ema_decay=0.9),
        dict(solver="sgd", ema_decay=0.9, early_stopping=True, n_iter_no_change=20),
        dict(solver="adam", dropout=0.3, input_dropout=0.1),
        dict(dropout=(0.3, 0), ema_decay=0.9, early_stopping=True, n_iter_no_change=20),
    ],
    ids=plain,
)
def test_a_job_that_was_pickled_in_the_middle_continues_with_the_same_bits(parameters, stop):
    model = MLPClassifier((7, 5), random_state=0, batch_size=32, **parameters)
    job, watches = job_of(model, 12)
    whole = training.run(job, watches)
    job, watches = job_of(model, stop)
    training.run(job, watches)
    job = pickle.loads(pickle.dumps(job))
    job.max_iter = 12
    again = training.run(job, watches_of(model, job))
    assert list(facts(again)) == list(facts(whole))
    assert len(again.epochs) == len(whole.epochs)


@quiet
def test_a_course_is_plain_data_without_estimator():
    job, watches = job_of(MLPClassifier((5,), random_state=0), 3)
    course = training.run(job, watches)
    names = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            names.append(f"{module}.{name}")
            return super().find_class(module, name)

    loaded = Unpickler(io.BytesIO(pickle.dumps(course))).load()
    assert list(facts(loaded)) == list(facts(course))
    assert not [
        name
        for name in names
        if "sklearn" in name or "estimators" in name or "fastbp._core" in name
    ]


def test_training_needs_no_scikit_learn():
    program = "import sys, fastbp.training; print('sklearn' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@quiet
def test_a_watch_sees_each_epoch_and_may_end_training():
    class EndsAtThree(Watch):
        def __init__(self):
            self.seen = []

        def record(self, course, epoch, team):
            self.seen.append((len(course.epochs), epoch.loss))
            return epoch

        def after_epoch(self, course, team):
            return len(course.epochs) == 3

    watch = EndsAtThree()
    job, _ = job_of(MLPClassifier((5,), random_state=0), 10)
    course = training.run(job, [watch])
    assert watch.seen == [(k, epoch.loss) for k, epoch in enumerate(course.epochs)]
    assert len(course.epochs) == 3 and course.warnings == []
    assert all(isinstance(epoch, Epoch) and epoch.seconds > 0 for epoch in course.epochs)
    assert {epoch.rate for epoch in course.epochs} == {0.001}


@quiet
def test_a_job_changes_nothing_before_it_is_adopted():
    model = MLPClassifier((5,), random_state=0, max_iter=2)
    before = dict(vars(model))
    job = model._job(X, y)
    course = training.run(job, watches_of(model, job))
    assert vars(model) == before
    model._adopt(job, course)
    fitted = MLPClassifier((5,), random_state=0, max_iter=2).fit(X, y)
    assert all(map(np.array_equal, model.coefs_, fitted.coefs_))
    assert model.loss_curve_ == fitted.loss_curve_


def test_a_job_for_inspection_leaves_the_random_state_alone():
    random_state = np.random.RandomState(0)
    before = random_state.get_state()[1].copy()
    job = MLPClassifier((5,), random_state=random_state)._job(X, y, purpose=INSPECT)
    assert job.rule is None and (random_state.get_state()[1] == before).all()


@quiet
def test_lists_of_a_fit_that_is_continued_grow_in_place():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0)
    model.partial_fit(X, y)
    curve = model.loss_curve_
    for _ in range(3):
        model.partial_fit(X, y)
    assert model.loss_curve_ is curve and len(curve) == 4
    model.fit(X, y)  # a new fit has new ones
    assert model.loss_curve_ is not curve and len(curve) == 4


@quiet
def test_a_call_of_partial_fit_allocates_nothing_for_the_calls_before():
    model = MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, y)
    model.loss_curve_ *= 10**6
    curve = model.loss_curve_
    model.partial_fit(X, y)  # the list takes room for more
    peak = peak_of(lambda: model.partial_fit(X, y))
    assert model.loss_curve_ is curve and len(curve) == 10**6 + 2
    assert peak < 2 * 10**6  # the curve has 8 MB


# ---- samples


@pytest.mark.parametrize("sparse", [False, True])
def test_samples_are_taken_and_sliced(sparse):
    rng = np.random.RandomState(0)
    dense = rng.rand(20, 6) * (rng.rand(20, 6) < 0.4)
    dense[7] = 0
    x = as_rows(scipy.sparse.csr_array(dense) if sparse else dense, np.float64)
    samples = Samples(x, rng.rand(20, 2), rng.rand(20))

    def rows(part):
        if not sparse:
            return part.x
        indptr = part.x.indptr
        entries = slice(indptr[0], indptr[-1])
        data = part.x.data[entries], part.x.indices[entries], indptr - indptr[0]
        return scipy.sparse.csr_array(data, shape=(len(part), 6)).toarray()

    assert len(samples) == 20
    for part in (slice(3, 9), slice(7, 8), slice(15, 99), slice(None)):
        np.testing.assert_array_equal(rows(samples[part]), dense[part])
        np.testing.assert_array_equal(samples[part].y, samples.y[part])
        np.testing.assert_array_equal(samples[part].weight, samples.weight[part])
    chosen = np.array([19, 7, 0, 7, 3])
    np.testing.assert_array_equal(rows(samples.take(chosen)), dense[chosen])
    np.testing.assert_array_equal(samples.take(chosen).weight, samples.weight[chosen])
    with pytest.raises(ValueError, match="step 1"):
        samples[::2]


# ---- schedules


def test_schedules():
    state = ScheduleState(initial_rate=0.5, rate=0.3, samples_seen=99, power_t=0.5)
    assert SCHEDULES["constant"] == SCHEDULES["constant"]._replace(
        after_epoch=None, after_stall=None
    )
    invscaling, adaptive = SCHEDULES["invscaling"], SCHEDULES["adaptive"]
    assert invscaling.after_epoch(state) == 0.05 and invscaling.after_stall is None
    assert adaptive.after_epoch is None
    assert adaptive.after_stall(state._replace(rate=1.0)) == 0.2
    assert adaptive.after_stall(state._replace(rate=1e-6)) is None


class Halving(Factor):
    """Half of the rate from one step to the next."""

    def __init__(self):
        self.seen = []

    def __call__(self, steps):
        self.seen.append((steps.epoch, len(steps.t)))
        return 1 / 2.0 ** np.arange(len(steps.t))


def test_one_row_of_rates_is_for_all_steps():
    job = MLPClassifier((3,), learning_rate_init=0.05)._job(X, y)
    assert job.course.optimizer.rates(Steps(np.arange(5.0), 5, 0)).tolist() == [[0.05]]


@quiet
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_schedule_may_change_the_rate_within_an_epoch(solver):
    """Two steps at two rates are an epoch of one step, and another at the other rate."""
    halving = Halving()
    whole = MLPRegressor(
        hidden_layer_sizes=(4,), solver=solver, batch_size=75, shuffle=False, random_state=0
    )
    job, parts = whole._job(X, y), whole._job(X, y)
    job.max_iter = 2
    job.course.optimizer.schedule = Schedule("constant", 0.1, factor=halving)
    job.course.optimizer.rate = 0.1
    training.run(job)
    assert halving.seen[-1] == (1, 2)
    network, optimizer = parts.course.network, parts.course.optimizer
    for epoch in range(4):
        part = replace(parts, samples=parts.samples[75 * (epoch % 2) :][:75], max_iter=1)
        optimizer.rate = 0.1 / 2 ** (epoch % 2)
        part.course = Course(network, parts.course.random_state, 75, optimizer)
        training.run(part)
    np.testing.assert_array_equal(network.params, job.network.params)


@quiet
def test_a_watch_may_end_lbfgs():
    class EndsAtTwo(Watch):
        def after_epoch(self, course, team):
            return len(course.epochs) == 2

    job = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", random_state=0)._job(X, y)
    course = training.run(job, [EndsAtTwo()])
    assert len(course.epochs) == course.result.nit == 2 and course.result.status == 0


# ---- the small state that a fitted estimator keeps


@quiet
@pytest.mark.parametrize("stop", [1, 4, 9])
@pytest.mark.parametrize("seed", [4, np.random.RandomState(4)], ids=["seed", "RandomState"])
@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="adam"),
        dict(solver="sgd", learning_rate="invscaling"),
        dict(solver="sgd", shuffle=False),
        dict(solver="adam", early_stopping=True, n_iter_no_change=20),
        dict(solver="adam", weight_decay=0.5, clip_norm=0.1, ema_decay=0.9),
        dict(solver="sgd", ema_decay=0.9, early_stopping=True, n_iter_no_change=20),
        dict(solver="adam", dropout=0.3, input_dropout=0.1),
        dict(dropout=(0.3, 0), ema_decay=0.9, early_stopping=True, n_iter_no_change=20),
    ],
    ids=str,
)
def test_the_small_state_of_a_pickled_estimator_is_enough_to_continue(parameters, seed, stop):
    parameters = dict(hidden_layer_sizes=(7, 5), batch_size=32, **parameters)

    def fresh(max_iter):
        return MLPClassifier(max_iter=max_iter, random_state=deepcopy(seed), **parameters)

    whole, stopped = fresh(11).fit(X, y), fresh(stop).fit(X, y)
    stopped = pickle.loads(pickle.dumps(stopped))
    state, model = stopped._resume, fresh(11 - stop)
    job = model._job(X, y)
    course = job.course
    rows = np.arange(len(X)) if course.order is None else course.order
    course.random_state = restarted(state["random_state"], course.network, model.init)
    if model.early_stopping:
        rows, _ = inputs.hold_out(len(X), 0.1, course.random_state, None)
    if stopped._optimizer.seed is not None:  # drawn before the first order
        assert course.random_state.randint(2**63, dtype=np.int64) == stopped._optimizer.seed
    if model.shuffle:
        course.order = training.replay_order(course.random_state, rows, state["n_epochs"])
    fitted = current_model(stopped).network
    course.network.params[...] = fitted.params
    course.optimizer, course.samples_seen = stopped._optimizer, stopped.t_
    if model.early_stopping:
        course.continues, course.raw_params = True, state["raw_params"]
        course.kept[-1] = fitted.params.copy()
        course.best_score = stopped.best_validation_score_
    again = training.run(job, watches_of(model, job))
    for ours, theirs in zip(again.network.coefs, whole.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [epoch.loss for epoch in again.epochs] == whole.loss_curve_[stop:]


@quiet
def test_the_small_state_is_small():
    model = MLPClassifier((50,), random_state=0, max_iter=2).fit(
        np.tile(X, (40, 1)), np.tile(y, 40)
    )
    size = len(pickle.dumps(model._resume))
    assert size < 4000
    model.partial_fit(X, y)
    assert not hasattr(model, "_resume")  # partial_fit draws another order of samples
