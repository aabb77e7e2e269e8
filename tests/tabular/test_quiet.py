"""Fits beside others: nothing in the process changes, no model is half of another one."""

import sys
import threading
import time
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold
from tables import KINDS, classes, output, small

from fastbp.tabular import TabularMLPClassifier
from fastbp.tabular.folds import folds_of_members

pytestmark = pytest.mark.usefixtures("nothing_remains")


@pytest.fixture
def often():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize("n_classes", [1, 2, 3, 9])
def test_folds_are_those_of_scikit_learn(n_classes):
    for seed in range(20):
        random = np.random.RandomState(seed)
        y = np.array(list("ihgfedcba"))[random.binomial(n_classes - 1, 0.2, 40)]
        rows, state = np.arange(40) * 3, np.random.RandomState(seed)
        found = folds_of_members(rows, 6, y, None, state)
        again = np.random.RandomState(seed).randint(np.iinfo(np.int32).max)
        splitter = StratifiedKFold(6, shuffle=True, random_state=again)
        for fold, (train, held_out) in zip(found, splitter.split(y, y), strict=True):
            np.testing.assert_array_equal(fold.train, rows[train])
            np.testing.assert_array_equal(fold.held_out, rows[held_out])


@pytest.mark.parametrize("groups", [None, np.arange(40) // 2])
def test_rare_classes_neither_warn_nor_change_filters(groups, monkeypatch):
    """To catch the warning of scikit-learn would change what other threads hear."""
    monkeypatch.setattr(warnings, "filterwarnings", None)
    y = np.r_[np.arange(38) % 2, 2, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = folds_of_members(np.arange(40), 5, y, groups, np.random.RandomState(0))
    counts = [np.bincount(y[fold.held_out], minlength=4) for fold in folds]
    assert sum(counts).tolist() == [19, 19, 1, 1]
    assert all(3 <= one[0] <= 5 for one in counts)


def test_the_process_is_as_before():
    model, X, y = small("multiclass", n_threads=2)
    model.fit(X, y).predict(X)  # what is imported for the first time may add filters of its own
    before = warnings.filters[:], np.geterr(), sklearn.get_config(), np.random.get_state()[1].copy()
    model.fit(X, y).predict(X)
    assert warnings.filters == before[0]
    assert np.geterr() == before[1]
    assert sklearn.get_config() == before[2]
    np.testing.assert_array_equal(np.random.get_state()[1], before[3])


@pytest.mark.parametrize("kind", KINDS)
def test_fits_in_threads_of_a_user_have_the_same_bits(kind, often):
    model, X, y = small(kind, max_iter=3)
    expected = output(clone(model).fit(X, y), X)
    found = {}

    def fit(number):
        own = clone(model).set_params(n_threads=1 + number % 2)
        with sklearn.config_context(transform_output="pandas" if number else "default"):
            found[number] = output(own.fit(X, y), X)

    threads = [threading.Thread(target=fit, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [0, 1, 2, 3]
    for one in found.values():
        np.testing.assert_array_equal(one, expected)


def test_predictions_during_a_fit_are_of_one_model(often):
    """The classes, the features and the members are those of the same fit."""
    X, y = classes(40)
    model = TabularMLPClassifier((4,), max_iter=1, n_members=2, random_state=0)
    expected = []
    for labels in (y, np.char.add("other ", y)):
        expected.append((model.fit(X, labels).predict(X).tolist(), model.classes_.tolist()))
    assert expected[0][0] != expected[1][0]
    stop, failures = threading.Event(), []

    def fitting():
        number = 0
        while not stop.is_set():
            model.fit(X, np.char.add("other ", y) if number % 2 else y)
            number += 1

    thread = threading.Thread(target=fitting)
    thread.start()
    try:
        for _ in range(60):
            found = model.predict(X).tolist()
            if found not in (expected[0][0], expected[1][0]):
                failures.append(found)
    finally:
        stop.set()
        thread.join()
    assert not failures


def test_classes_and_probabilities_are_of_the_same_moment(monkeypatch):
    """Another thread fits the model to other labels while the rows are transformed."""
    model, X, y = small("binary", max_iter=1, n_members=1)
    expected = model.fit(X, y).predict(X)
    original = type(model)._transformed

    def slowly(self, rows):
        found = original(self, rows)
        monkeypatch.setattr(type(model), "_transformed", original)
        model.fit(rows, np.char.add("not ", y))
        return found

    monkeypatch.setattr(type(model), "_transformed", slowly)
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.classes_.tolist() == ["not no", "not yes"]


class Alone:
    """A callback that notes how many fits run at the same time."""

    def __init__(self):
        self.running = self.most = 0

    def setup(self, estimator, context):
        self.running += 1
        time.sleep(0.01)
        self.most = max(self.most, self.running)

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        time.sleep(0.01)
        return False

    def teardown(self, estimator, context):
        self.running -= 1


def test_callbacks_never_see_two_members_at_once():
    alone = Alone()
    model, X, y = small("numbers", n_members=3, n_threads=3, max_iter=2)
    model.set_callbacks(alone).fit(X, y)
    assert (alone.most, alone.running) == (1, 0)
