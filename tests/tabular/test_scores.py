"""Scores: the names, functions and weights that choose epochs and judge out-of-fold predictions."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, get_scorer, log_loss, roc_auc_score
from tables import small

from fastbp.tabular.folds import folds_of_members

WEIGHT = np.random.RandomState(5).uniform(0.5, 2, 120)


def fitted_with(kind, scoring, weight=None, **parameters):
    model, X, y = small(kind, scoring=scoring, **parameters)
    return model.fit(X, y, weight), X, y


def held_out_by(model, y):
    """The rows that each member has not seen."""
    random_state = np.random.RandomState(model.random_state)
    folds = folds_of_members(np.arange(len(y)), 5, y, None, random_state)
    return [fold.held_out for fold in folds]


OF_CLASSES = {
    None: lambda y, p, names, w: accuracy_score(y, names[p.argmax(axis=1)], sample_weight=w),
    "neg_log_loss": lambda y, p, names, w: -log_loss(y, p, labels=names, sample_weight=w),
    "roc_auc_ovr": lambda y, p, names, w: roc_auc_score(
        y, p / p.sum(axis=1, keepdims=True), multi_class="ovr", sample_weight=w
    ),
}


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("scoring", OF_CLASSES)
@pytest.mark.parametrize("loss", ["auto", "squared_error"])
def test_members_keep_the_epoch_that_is_best_on_their_fold(loss, scoring, weight):
    """Whatever the loss is: the score of 'neg_log_loss' is that of the log loss."""
    model, X, y = fitted_with("multiclass", scoring, weight, loss=loss, max_iter=3)
    members = model.predict_members(X).astype(float)
    members /= members.sum(axis=2, keepdims=True)
    by_hand = OF_CLASSES[scoring]
    for number, rows in enumerate(held_out_by(model, y)):
        own = None if weight is None else weight[rows]
        score = by_hand(y[rows], members[number, rows], model.classes_, own)
        scores = model.validation_curves_[number]
        assert scores[model.best_epochs_[number] - 1] == max(scores) == pytest.approx(score, 1e-5)
    oof = model.oof_prediction_
    assert model.oof_score_ == pytest.approx(by_hand(y, oof, model.classes_, weight), rel=1e-5)


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_probabilities_sum_to_one_for_scikit_learn(kind, calibrate):
    """Which warns if they do not by more than 1e-8, as means of float32 would."""
    model, X, y = fitted_with(kind, None, calibrate=calibrate)
    probability = model.predict_proba(X)
    assert np.abs(probability.sum(axis=1) - 1).max() < 1e-15
    expected = -np.log(probability[np.arange(120), model.classes_.searchsorted(y)]).mean()
    assert log_loss(y, probability) == pytest.approx(expected)
    assert get_scorer("neg_log_loss")(model, X, y) == pytest.approx(-expected)
    log_loss(y, model.oof_prediction_)


def test_one_class_is_certain():
    model, X, y = small("binary")
    y[:] = "no"
    np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), 1.0)
    np.testing.assert_array_equal(model.oof_prediction_, 1.0)
    assert model.oof_score_ == 1.0


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_the_score_without_scoring_is_that_of_the_method_score(weight):
    model, X, y = fitted_with("numbers", None, weight)
    weights = np.ones(120) if weight is None else weight
    mean = np.average(y, weights=weights)
    left, all_of_it = weights @ (y - model.oof_prediction_) ** 2, weights @ (y - mean) ** 2
    assert model.oof_score_ == pytest.approx(1 - left / all_of_it)
    error = y - model.predict(X)
    assert model.score(X, y, weight) == pytest.approx(1 - weights @ error**2 / all_of_it)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "numbers"])
def test_functions_see_the_transformed_rows(kind):
    seen = []

    def scorer(estimator, X, y):
        seen.append(X)
        assert len(estimator.predict(X)) == len(X) == len(y)
        return -np.abs(X).sum()

    model, table, _ = fitted_with(kind, scorer, max_iter=1, n_threads=1)
    x = model.transformer_.transform(table)
    assert [len(one) for one in seen] == [24] * 5 + [120]
    assert model.oof_score_ == pytest.approx(-np.abs(x).sum(), rel=1e-5)
    np.testing.assert_array_equal(seen[-1], x)


def test_functions_with_weights_get_them():
    seen = []

    def scorer(estimator, X, y, sample_weight):
        seen.append(sample_weight.sum())
        return 0.0

    fitted_with("numbers", scorer, WEIGHT, max_iter=1, n_members=2)
    assert len(seen) == 3
    seen_rows = sum(seen[:2])
    assert seen[2] == pytest.approx(seen_rows)


def test_a_score_that_is_no_number():
    for kind in ("binary", "numbers"):
        model, X, y = small(kind, scoring=lambda *_: np.nan, max_iter=2)
        with pytest.warns(UserWarning, match="validation score is nan"):
            model.fit(X, y)
        assert model.best_epochs_.tolist() == [0] * 5
        assert np.isfinite(np.asarray(model.oof_prediction_)).all()
        model.set_params(scoring=lambda *_: "good")
        with pytest.raises(ValueError, match="scoring must return a number, got 'good'"):
            model.fit(X, y)
        model.set_params(scoring=lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model.fit(X, y)


def test_the_temperature_heeds_weights():
    """Rows that are right count more: the sharper for them, the better."""
    model, X, y = small("binary", calibrate=True, max_iter=20)
    even = model.fit(X, y).temperature_
    true = model.oof_prediction_[np.arange(120), model.classes_.searchsorted(y)]
    right = np.where(true > 0.5, 9.0, 1.0)
    model.fit(X, y, right)
    logs = np.log(model.oof_prediction_.astype(float))

    def loss(temperature):
        p = np.exp(logs / temperature)
        p /= p.sum(axis=1, keepdims=True)
        return log_loss(y, p, labels=model.classes_, sample_weight=right)

    grid = model.temperature_ * np.exp(np.linspace(-0.5, 0.5, 21))
    assert model.temperature_ < even / 1.2
    assert loss(model.temperature_) <= min(map(loss, grid[grid > 0.25])) + 1e-6
