"""Prediction intervals and calibrated probabilities on data of a known law."""

import numpy as np
import pytest
from tables import needs_bits, small

from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor
from fastbp.tabular.intervals import Errors, cross_conformal

SETTINGS = dict(hidden_layer_sizes=(16,), max_iter=15, n_bins=4, random_state=0)


def law(n_rows, seed):
    """Rows of a curve with noise of standard deviation 0.5."""
    random = np.random.RandomState(seed)
    X = random.uniform(-2, 2, (n_rows, 2))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] + 0.5 * random.randn(n_rows)


def by_loops(predictions, errors, coverage):
    """The ends of CV+ intervals, row by row."""
    n_rows = sum(len(one.errors) for one in errors)
    upper_rank = int(np.ceil(coverage * (n_rows + 1) - 1e-9))
    lower_rank = n_rows + 1 - upper_rank
    ends = []
    for k in range(predictions.shape[1]):
        lows, highs = [], []
        for members, residuals in errors:
            mean = predictions[members, k, 0].mean()
            lows += [mean - residual for residual in residuals[:, 0]]
            highs += [mean + residual for residual in residuals[:, 0]]
        ends.append((sorted(lows)[lower_rank - 1], sorted(highs)[upper_rank - 1]))
    return np.array(ends)


@pytest.mark.parametrize("coverage", [0.1, 0.5, 0.8, 0.9, 0.95])
def test_the_ends_are_those_of_loops(coverage, monkeypatch):
    monkeypatch.setattr("fastbp.tabular.intervals.CHUNK", 100)  # several chunks
    random = np.random.RandomState(0)
    predictions = random.randn(3, 11, 1)
    errors = [Errors([0], random.rand(9, 1)), Errors([1, 2], random.rand(14, 1))]
    found = cross_conformal(predictions, errors, coverage)
    np.testing.assert_allclose(np.hstack(found), by_loops(predictions, errors, coverage))


@pytest.fixture(scope="module")
def fitted():
    return TabularMLPRegressor(**SETTINGS).fit(*law(1500, 0))


@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_cover_as_many_targets_as_they_say(fitted, coverage):
    X, y = law(5000, 1)
    lower, upper = fitted.predict_interval(X, coverage)
    assert abs(((lower <= y) & (y <= upper)).mean() - coverage) < 0.03
    assert (lower < upper).all()


@needs_bits
def test_intervals_follow_from_the_out_of_fold_errors(fitted):
    X, y = law(1500, 0)
    new = law(40, 2)[0]
    residuals, members = np.abs(y - fitted.oof_prediction_), fitted.predict_members(X)
    seen_by = [(members[k] == fitted.oof_prediction_).nonzero()[0] for k in range(5)]
    assert sum(map(len, seen_by)) == 1500
    errors = [Errors([k], residuals[rows, None]) for k, rows in enumerate(seen_by)]
    predictions = fitted.predict_members(new)[:, :, None]
    found = np.column_stack(fitted.predict_interval(new, 0.8))
    np.testing.assert_allclose(found, by_loops(predictions, errors, 0.8))


def test_with_validation_rows_intervals_are_split_conformal():
    X, y = law(400, 0)
    X_val, y_val = law(199, 1)
    model = TabularMLPRegressor(**SETTINGS).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.oof_prediction_ is None
    assert model.oof_score_ is None
    width = np.sort(np.abs(y_val - model.predict(X_val)))[180 - 1]  # of 200 * 0.9
    new = law(20, 2)[0]
    lower, upper = model.predict_interval(new)
    np.testing.assert_allclose(upper, model.predict(new) + width)
    np.testing.assert_allclose(lower, model.predict(new) - width)


def test_several_targets_have_intervals_of_their_own():
    X, y = law(300, 0)
    model = TabularMLPRegressor(**SETTINGS).fit(X, np.column_stack([y, 100 * y]))
    lower, upper = model.predict_interval(X[:7])
    assert lower.shape == upper.shape == (7, 2)
    width = upper - lower
    assert (width[:, 1] > 20 * width[:, 0]).all()


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 1.5, "0.9", None, np.nan])
def test_a_coverage_is_between_0_and_1(fitted, coverage):
    with pytest.raises(ValueError, match="coverage must be a number between 0 and 1"):
        fitted.predict_interval([[0.0, 0.0]], coverage)


def test_few_rows_do_not_suffice_for_every_coverage():
    X, y = law(20, 0)
    model = TabularMLPRegressor(**SETTINGS).fit(X, y)
    model.predict_interval(X, 0.95)
    with pytest.raises(ValueError, match=r"coverage=0\.96 needs 24 rows .* there are 20"):
        model.predict_interval(X, 0.96)


def test_quantiles_are_intervals_themselves():
    X, y = law(60, 0)
    model = TabularMLPRegressor(loss="quantile", quantile=[0.1, 0.9], **SETTINGS).fit(X, y)
    with pytest.raises(ValueError, match="loss='quantile' predicts ends of intervals itself"):
        model.predict_interval(X)


# ---- calibration


def coins(n_rows, seed):
    """Rows whose class has the probability 1 / (1 + exp(-x))."""
    random = np.random.RandomState(seed)
    X = random.uniform(-3, 3, (n_rows, 1))
    probability = 1 / (1 + np.exp(-X[:, 0]))
    return X, (random.rand(n_rows) < probability).astype(int), probability


def log_loss(probability, y):
    return -np.log(probability[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("smoothing", [0.4, 0.0])
def test_the_temperature_mends_probabilities(smoothing):
    X, y, _ = coins(800, 0)
    settings = dict(SETTINGS, label_smoothing=smoothing)
    plain = TabularMLPClassifier(**settings).fit(X, y)
    model = TabularMLPClassifier(calibrate=True, **settings).fit(X, y)
    new, labels, true = coins(4000, 1)
    before, after = plain.predict_proba(new), model.predict_proba(new)
    if smoothing:
        assert log_loss(after, labels) < log_loss(before, labels) - 0.01
        assert np.abs(after[:, 1] - true).mean() < np.abs(before[:, 1] - true).mean() / 1.5
        assert model.temperature_ < 0.8
    assert np.abs(after[:, 1] - true).mean() < 0.09
    np.testing.assert_array_equal(np.argsort(after[:, 1]), np.argsort(before[:, 1]))
    np.testing.assert_allclose(after.sum(axis=1), 1)
    np.testing.assert_array_equal(plain.oof_prediction_, model.oof_prediction_)


def test_the_temperature_has_the_least_log_loss_out_of_fold():
    model, X, y = small("multiclass", calibrate=True, max_iter=15)
    model.fit(X, y)
    true = model.classes_.searchsorted(y)

    def loss(temperature):
        powers = model.oof_prediction_.astype(float) ** (1 / temperature)
        return log_loss(powers / powers.sum(axis=1, keepdims=True), true)

    grid = np.exp(np.linspace(-1, 1, 41)) * model.temperature_
    assert loss(model.temperature_) <= min(map(loss, grid)) + 1e-6
    assert model.temperature_ != 1
