"""Plain states of optimizers and courses: damaged ones are refused, with the name of the field."""

import dataclasses
import pickle

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor, training
from fastbp.kernels import Origin
from fastbp.training import SCHEDULES, Course, Epoch, Optimizer, Rule, Schedule
from fastbp.training.course import FIELDS
from fastbp.training.rule import PLAIN

NO_NUMBERS = (None, "1", 1j, np.nan, np.inf, -1.0, 10**400, [1.0], (), {}, object())
NO_NAMES = (None, "adamw", "", 1, ["adam"], ("constant",), {}, b"adam")
NONE = {"weight_decay": 0.0, "clip_norm": 0.0, "ema_decay": 0.0}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, **NONE}
WRONG = {
    "optimizer": (*NO_NAMES, "lbfgs", "sgd"),  # the constants are not those of sgd
    "constants": (
        None,
        [],
        {},
        {**ADAM, "momentum": 0.9},
        {name: ADAM[name] for name in ADAM if name != "epsilon"},
        {name: ADAM[name] for name in ADAM if name != "ema_decay"},
        *({**ADAM, name: wrong} for name in ("beta_1", *NONE) for wrong in NO_NUMBERS),
    ),
    "schedule": NO_NAMES,
    "initial_rate": NO_NUMBERS,
    "power_t": NO_NUMBERS,
    "rate": NO_NUMBERS,
    "state": (
        None,
        [[0.0] * 6] * 2,
        np.zeros(6),
        np.zeros((1, 6)),
        np.zeros((3, 6)),
        np.zeros((2, 6, 1)),
        np.zeros((2, 7)),  # the widths make 6
        *(np.zeros((2, 6), kind) for kind in ("i8", "f2", "c16", "O", "U1", "?")),
    ),
    "epochs": [-1, 0.5, None],
    "units": (None, 3, [1, 3], (1,), (), (1, 0), (1, -3), (1.0, 3.0), ("1", "3")),
    "seed": (-1, 2**63, 1.0, "1", [1], np.nan, True),
    "tally": (
        None,
        [0.0] * 3,
        np.zeros(2),
        np.zeros((1, 3)),
        np.zeros(3, "f4"),
        np.array([0, 0, -1.0]),
        *(np.array([0, 0, steps]) for steps in (np.nan, np.inf, 0.5, 2.0**53, 1e300)),
    ),
}


def plain():
    rule, schedule = Rule("adam", dict(ADAM)), Schedule("constant", 0.001)
    return Optimizer.start(rule, schedule, (1, 3), np.float64).to_plain()


def test_all_fields_are_damaged_in_these_tests():
    assert {*WRONG} == {*PLAIN} == {*plain()}


@pytest.mark.parametrize("name", PLAIN)
def test_a_damaged_optimizer_is_refused_with_the_name_of_the_field(name):
    for wrong in WRONG[name]:
        with pytest.raises(ValueError, match=f"'{name}'|the optimizer's constants"):
            Optimizer.from_plain({**plain(), name: wrong})


def test_an_optimizer_has_its_fields_and_no_others():
    for wrong in (
        None,
        [],
        {**plain(), "more": 1},
        *({k: v for k, v in plain().items() if k != name} for name in PLAIN),
    ):
        with pytest.raises(ValueError, match="the state of the optimizer must be a dict of"):
            Optimizer.from_plain(wrong)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_optimizers_of_fits_are_taken(solver, schedule):
    model = MLPRegressor(
        solver=solver,
        learning_rate=schedule,
        learning_rate_init=np.float32(0.1),
        power_t=1,
        nesterovs_momentum=np.bool_(True),
        hidden_layer_sizes=(3,),
    )
    x = np.arange(8.0).reshape(4, 2) / 8
    optimizer = model.partial_fit(x, x[:, 0])._optimizer
    for twin in (Optimizer.from_plain(optimizer.to_plain()), pickle.loads(pickle.dumps(optimizer))):
        assert pickle.dumps(twin) == pickle.dumps(optimizer)
    pickle.loads(pickle.dumps(model)).partial_fit(x, x[:, 0])


@pytest.mark.parametrize("name", [*PLAIN, "rule"])
def test_an_optimizer_with_a_field_of_a_wrong_kind_does_not_train(name):
    """Fields of the object itself were set by hand."""
    x = np.arange(8.0).reshape(4, 2) / 8
    model = MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(x, x[:, 0])
    for _ in range(2):  # so that all fields have been found right before
        model.partial_fit(x, x[:, 0])
    optimizer, rule, schedule = model._optimizer, model._optimizer.rule, model._optimizer.schedule
    for wrong in WRONG.get(name, (None, "adam")):
        if name in ("optimizer", "constants"):
            optimizer.rule = dataclasses.replace(rule, **{name: wrong})
        elif name in ("initial_rate", "power_t"):
            optimizer.schedule = dataclasses.replace(schedule, **{name: wrong})
        else:
            setattr(optimizer, name, wrong)
        with pytest.raises(ValueError, match=f"'{name}' of the opt|the optimizer's constants"):
            model.partial_fit(x, x[:, 0])
        assert model.t_ == 12


@pytest.mark.parametrize("steps", [np.nan, np.inf, -1.0, 1e300])
def test_steps_that_were_written_into_the_tally_do_not_train(steps):
    x = np.arange(8.0).reshape(4, 2) / 8
    model = MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(x, x[:, 0])
    model.partial_fit(x, x[:, 0])._optimizer.tally[2] = steps
    with pytest.raises(ValueError, match="'tally' of the optimizer must end with t"):
        model.partial_fit(x, x[:, 0])


def test_a_damaged_optimizer_in_a_pickled_estimator_is_refused():
    x = np.arange(8.0).reshape(4, 2) / 8
    model = MLPRegressor(hidden_layer_sizes=(3,)).partial_fit(x, x[:, 0])
    state = model.__getstate__()
    state["_optimizer"]["schedule"] = "constantt"
    with pytest.raises(ValueError, match="'schedule' of the optimizer must be one of constant"):
        object.__new__(MLPRegressor).__setstate__(state)


# ---- courses


@pytest.fixture(scope="module")
def course():
    """A course in the middle of training, with a best epoch, and kept parameters."""
    x = np.random.RandomState(0).randn(40, 3)
    model = MLPClassifier((4,), early_stopping=True, random_state=0, n_iter_no_change=9)
    job = model._job(x, (x[:, 0] > 0).astype(int))
    job.max_iter = 4
    course = training.run(job, job.watches)
    course.kept = {course.best_epoch: course.network.params.copy()}
    course.raw_params = course.network.params.copy()
    course.epochs = course.epochs or [Epoch(1.0, None, None, 0.1, None)]
    return course


BIG = 10**30
WRONG_IN_COURSES = {
    "network": (None, "network"),
    "random_state": (None, 0, np.random.default_rng(0)),
    "n_samples": (None, -1, 2.0, "3", 7),  # 7 is not the length of the order
    "optimizer": ({}, "adam", plain(), Optimizer.from_plain(plain())),  # of another network
    "order": ([0, 1], np.arange(36.0), np.arange(35), np.arange(36)[None], np.arange(-1, 35)),
    "samples_seen": (None, -1, 0.5, "1"),
    "loss": (None, "0", 1j),
    "best_loss": (None, "0", 1j),
    "best_score": (None, "0", 1j),
    "best_epoch": (None, -2, 0.0, 10**6),
    "no_improvement_count": (None, -1, 1.5),
    "epochs": (None, (), [1.0], [(1.0, None, None, 0.0, None)], [Epoch("1", None, None, 0, None)]),
    "continues": (None, 1, "yes"),
    "start": (1, "state"),
    "raw_params": ([1.0], np.zeros(3), np.zeros((1, 21)), np.array(["1"] * 21)),
    "kept": (None, [], {0: None}, {0: np.zeros(3)}, {0: [0.0] * 21}),
    "warnings": (None, 1, "text", [None]),
    "interrupted": (None, 0),
    "stop_reason": (None, 1, b"tol"),
    "replayed": (-1, None, 0.5),
    "tallied": (-2, None, 0.5),
    "first_step": (None, "0"),
    "before": (None, {"best_loss": None}, []),
    "result": ({}, "result"),
    "origin": (
        1,
        (np.zeros(21), np.zeros((2, 21)), 0.0),
        Origin(np.zeros(20), np.zeros((2, 21)), 0.0),
        Origin([0.0] * 21, np.zeros((2, 21)), 0.0),
        Origin(np.zeros(21), np.zeros((1, 21)), 0.0),
        Origin(np.zeros(21), None, 0.0),
    ),
}


def test_all_fields_of_courses_are_damaged_in_these_tests():
    assert {*WRONG_IN_COURSES} == {*FIELDS} == {*Course.__dataclass_fields__}


@pytest.mark.parametrize("name", FIELDS)
def test_a_damaged_course_is_refused_with_the_name_of_the_field(course, name):
    known = {"n_samples": "order"}.get(name, name)
    for wrong in WRONG_IN_COURSES[name]:
        state = {**course.__getstate__(), name: wrong}
        with pytest.raises(ValueError, match=rf"'({name}|{known})(\[\d+\])?' of the course"):
            object.__new__(Course).__setstate__(state)


def test_a_course_has_its_fields_and_no_others(course):
    state = course.__getstate__()
    for wrong in (None, {**state, "more": 1}, {k: state[k] for k in state if k != "loss"}):
        with pytest.raises(ValueError, match="the state of the course must be a dict of"):
            object.__new__(Course).__setstate__(wrong)
    twin = pickle.loads(pickle.dumps(course))
    assert vars(twin).keys() == vars(course).keys() and twin.epochs == course.epochs
