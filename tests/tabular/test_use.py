"""Tabular estimators in use: pickles, searches, failures, interrupts, callbacks, printing, time."""

import pickle
import threading
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tables import KINDS, output, small

from fastbp.callbacks import StopWhen


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_predicts_the_same(kind):
    model, X, y = small(kind)
    model.fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(output(loaded, X), output(model, X))
    assert loaded.validation_curves_ == model.validation_curves_
    if kind == "numbers":
        np.testing.assert_array_equal(loaded.predict_interval(X), model.predict_interval(X))


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_holds_weights_and_tables_alone(kind):
    model, X, y = small(kind, hidden_layer_sizes=(64, 64), max_iter=2)
    marker = 123456.78901234567
    X.loc[3, "size"] = marker
    model.fit(X, y)
    content = pickle.dumps(model, protocol=5)
    assert np.float64(marker).tobytes() not in content
    assert np.float32(marker).tobytes() not in content
    arrays = [w for member in model.members_ for w in member.coefs_ + member.intercepts_]
    weights = sum(one.nbytes for one in arrays)
    assert len(content) < 1.3 * weights + 3 * model.oof_prediction_.nbytes + 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_clones_pipelines_and_searches(kind):
    model, X, y = small(kind, max_iter=2, n_members=2)
    assert clone(model).get_params() == model.get_params()
    pipe = make_pipeline(FunctionTransformer(), model).fit(X, y)
    np.testing.assert_array_equal(output(pipe, X), output(clone(model).fit(X, y), X))
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all()
    search = GridSearchCV(model, {"weight_decay": [0.0, 0.1], "n_bins": [0, 4]}, cv=2).fit(X, y)
    assert set(search.best_params_) == {"weight_decay", "n_bins"}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_not_written(kind):
    model, X, y = small(kind, max_iter=2)
    weight = np.linspace(0.5, 2, len(y))
    before = X.copy(), y.copy(), weight.copy()
    y.flags.writeable = weight.flags.writeable = False
    output(model.fit(X, y, weight), X)
    np.testing.assert_array_equal(before[1], y)
    np.testing.assert_array_equal(before[2], weight)
    assert before[0].equals(X)
    array = X[["size", "age"]].to_numpy()
    array.flags.writeable = False
    output(model.fit(array, y), array)


def test_the_same_seed_gives_the_same_model_and_others_another():
    model, X, y = small("numbers")
    one, two = (clone(model).fit(X, y).predict(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert (other.predict(X) != one).any()
    state = np.random.RandomState(0)
    third = clone(model).set_params(random_state=state).fit(X, y)
    np.testing.assert_array_equal(third.predict(X), one)
    assert (clone(model).set_params(random_state=state).fit(X, y).predict(X) != one).any()


@pytest.mark.parametrize("method", ["predict", "predict_members"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_fitted_says_so(kind, method):
    model, X, _ = small(kind)
    with pytest.raises(NotFittedError):
        getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.loss_curves_  # noqa: B018


def test_a_failed_fit_loses_nothing():
    model, X, y = small("numbers")
    before = model.fit(X, y).predict(X)
    known = set(vars(model))
    for bad in (dict(y=np.full(len(y), np.nan)), dict(sample_weight=-np.ones(len(y)))):
        with pytest.raises(ValueError, match=r"NaN|[Nn]egative"):
            model.fit(X, **{"y": y, **bad})
    with pytest.raises(ValueError, match="batch_size"):
        model.set_params(batch_size=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert set(vars(model)) == known


def test_an_interrupt_ends_all_members_and_changes_nothing():
    model, X, y = small("numbers", n_threads=2)
    before = model.fit(X, y).predict(X)
    n_threads = threading.active_count()

    def interrupt(estimator, X, y):
        raise KeyboardInterrupt

    model.set_params(scoring=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert threading.active_count() == n_threads


@pytest.mark.parametrize("kind", KINDS)
def test_a_usual_fit_does_not_warn(kind):
    model, X, y = small(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output(model.fit(X, y), X)


def test_a_limit_of_time_ends_members_early():
    model, X, y = small("numbers", max_iter=10_000, max_seconds=0.5, hidden_layer_sizes=(4,))
    with pytest.warns(ConvergenceWarning, match=r"Time limit \(0.5 s\) reached: .* 5 of 5") as said:
        model.fit(X, y)
    assert len(said) == 1
    assert 1 <= model.n_iter_ < 10_000
    assert all(member.stop_reason_ == "time" for member in model.members_)
    assert model.members_[0].max_seconds is None


class Calls:
    """A callback that notes its calls."""

    def __init__(self):
        self.notes = []

    def setup(self, estimator, context):
        self.notes.append("setup")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.notes.append(context.task_name)
        return False

    def teardown(self, estimator, context):
        self.notes.append("teardown")


@pytest.mark.parametrize("kind", KINDS)
def test_callbacks_see_one_member_after_the_other(kind):
    model, X, y = small(kind, max_iter=3, n_members=2, n_threads=2)
    calls = Calls()
    expected = output(clone(model).fit(X, y), X)
    found = output(model.set_callbacks(calls).fit(X, y), X)
    np.testing.assert_array_equal(found, expected)
    assert calls.notes == 2 * ["setup", "epoch", "epoch", "epoch", "fit", "teardown"]
    assert b"Calls" not in pickle.dumps(model)
    assert not any(vars(member).get("_skl_callbacks") for member in model.members_)
    model.set_callbacks().fit(X, y)
    assert len(calls.notes) == 12
    with pytest.raises(TypeError, match="callbacks must be instances"):
        model.set_callbacks(Calls)


def test_a_callback_may_end_a_member():
    model, X, y = small("numbers", max_iter=9)
    model.set_callbacks(StopWhen(lambda member: member.n_iter_ >= 4)).fit(X, y)
    assert {member.stop_reason_ for member in model.members_} == {"callback"}
    assert [len(curve) for curve in model.loss_curves_] == [4] * 5


def test_members_are_printed(capsys):
    model, X, y = small("numbers", max_iter=3, verbose=True)
    model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("member 1 of 5: the best of 3 epochs is ")
    assert lines[4].endswith("0 s left")
    model.set_params(verbose=2).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert sum(line.startswith("epoch ") for line in lines) == 15
    assert "epoch 15 of 15" in "".join(lines)
    model.set_params(verbose=False).fit(X, y)
    assert not capsys.readouterr().out


def test_scikit_learns_configuration_does_not_disturb():
    model, X, y = small("binary", max_iter=2)
    expected = output(clone(model).fit(X, y), X)
    with sklearn.config_context(transform_output="pandas", assume_finite=True):
        found = output(model.fit(X, y), X)
    np.testing.assert_array_equal(found, expected)


def test_given_validation_rows_choose_the_epoch():
    model, X, y = small("binary", max_iter=12)
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert model.oof_prediction_ is None
    assert model.oof_score_ is None
    x, right = model.transformer_.transform(X[80:]), y[80:]
    for member, best, scores in zip(
        model.members_, model.best_epochs_, model.validation_curves_, strict=True
    ):
        assert scores[best - 1] == max(scores) == (member.predict(x) == right).mean()
    calibrated = clone(model).set_params(calibrate=True)
    calibrated.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert calibrated.temperature_ != 1


def test_names_are_those_of_the_last_fit():
    model, X, y = small("numbers", max_iter=2)
    assert model.fit(X, y).feature_names_in_.tolist() == ["size", "age", "color"]
    assert model.n_features_in_ == 3
    model.fit(X[["size", "age"]].to_numpy(), y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 2
    assert np.isfinite(model.predict([[1.0, 2.0], [np.nan, 3.0]])).all()


def test_the_transformer_may_make_frames():
    model, X, y = small("binary", max_iter=2)
    expected = output(model.fit(X, y), X)
    model.transformer_.set_output(transform="pandas")
    assert hasattr(model.transformer_.transform(X), "columns")
    np.testing.assert_array_equal(output(model, X), expected)
