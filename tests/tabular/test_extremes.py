"""Numbers at the ends of float64, in targets and weights; the least validation data."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from tables import classes, frame, small

SCALES = (1e300, 1e40, 1e9, 1e-40, 1e-300)
X, Y = frame(60)
FIT = dict(hidden_layer_sizes=(8,), max_iter=6)


def regressor(**parameters):
    return small("numbers", **{**FIT, **parameters})[0]


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_positive_targets_of_any_size(loss):
    y = np.exp(Y)
    base = regressor(loss=loss).fit(X, y)
    for scale in SCALES:
        other = regressor(loss=loss).fit(X, y * scale)
        np.testing.assert_allclose(other.predict(X) / scale, base.predict(X), rtol=1e-5)
        member, one = other.members_[1], base.members_[1]
        x = base.transformer_.transform(X)
        np.testing.assert_allclose(member.predict(x) / scale, one.predict(x), rtol=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian", "absolute_error"])
@pytest.mark.parametrize("two", [False, True])
def test_deviations_and_intervals_of_any_size(loss, two):
    """With two targets, the other one keeps its size."""
    y = np.column_stack([Y, Y**2]) if two else Y
    base = regressor(loss=loss).fit(X, y)
    expected = [*base.predict(X, return_std=True), *base.predict_interval(X, 0.5)]
    for scale in SCALES:
        factor = np.array([scale, 1.0]) if two else scale
        other = regressor(loss=loss).fit(X, y * factor)
        found = [*other.predict(X, return_std=True), *other.predict_interval(X, 0.5)]
        for one, its in zip(found, expected, strict=True):
            np.testing.assert_allclose(one / factor, its, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [*SCALES, 1e-310])
def test_a_threshold_of_any_size(scale):
    base = regressor(loss="huber", huber_threshold=0.3).fit(X, Y)
    other = regressor(loss="huber", huber_threshold=0.3 * scale).fit(X, Y * scale)
    np.testing.assert_allclose(other.predict(X) / scale, base.predict(X), rtol=1e-4, atol=1e-4)
    for member in other.members_:
        assert member.huber_threshold == 0.3 * scale


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e-310])
def test_a_threshold_of_another_size_than_the_targets(scale):
    """Far below the errors the loss is the absolute error, far above it the squared error."""
    model = regressor(loss="huber").fit(X, Y * scale)
    loss = "absolute_error" if scale > 1 else "squared_error"
    expected = regressor(loss=loss).fit(X, Y * scale)
    np.testing.assert_allclose(model.predict(X) / scale, expected.predict(X) / scale, atol=0.05)
    assert {member.huber_threshold for member in model.members_} == {1.0}


def test_denormal_targets():
    y = np.round(Y * 100) * 5e-324
    assert np.ptp(regressor().fit(X, y).predict(X)) > 0
    np.testing.assert_array_equal(regressor().fit(X, y * 0 + 5e-324).predict(X), 5e-324)


@pytest.mark.parametrize("kind", ["binary", "numbers"])
@pytest.mark.parametrize("exponent", [1021, 200, -200, -1022])
def test_weights_of_any_size(kind, exponent):
    model, table, y = small(kind, max_iter=2)
    weight = np.random.RandomState(0).randint(1, 8, len(y)).astype(float)
    expected = model.fit(table, y, weight)
    oof, score = expected.oof_prediction_, expected.oof_score_
    model, table, y = small(kind, max_iter=2)
    model.fit(table, y, np.ldexp(weight, exponent))
    np.testing.assert_array_equal(model.oof_prediction_, oof)
    assert model.oof_score_ == score
    rows = dict(X_val=table[:30], y_val=y[:30])
    curves = []
    for given in (weight[:30], np.ldexp(weight[:30], exponent)):
        model.fit(table, y, **rows, sample_weight_val=given)
        curves.append(model.validation_curves_)
    assert curves[0] == curves[1]
    if kind == "binary":
        found = []
        for given in (weight[:30], np.ldexp(weight[:30], exponent)):
            model.set_params(calibrate=True).fit(table, y, **rows, sample_weight_val=given)
            found.append(model.temperature_)
        assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "numbers"])
def test_one_validation_row_suffices(kind):
    model, table, y = small(kind, max_iter=3)
    model.fit(table, y, X_val=table[:1], y_val=y[:1])
    one = model.validation_curves_
    model.fit(table, y, X_val=table.iloc[[0, 0, 0]], y_val=y[[0, 0, 0]])
    np.testing.assert_allclose(one, model.validation_curves_, rtol=1e-6)
    if kind == "numbers":
        model.fit(table, y, X_val=table[:1], y_val=y[:1])
        lower, upper = model.predict_interval(table[:1], 0.5)
        width = np.abs(model.predict(table[:1]) - y[:1])
        np.testing.assert_allclose((upper - lower) / 2, width)


def test_a_fit_that_diverges_is_seen():
    """The scores of later epochs are no numbers: members keep what they had before."""
    with pytest.warns(ConvergenceWarning, match="Solver produced non-finite"):
        model = regressor(learning_rate_init=1e30).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()
    model, table, y = small("multiclass", learning_rate_init=1e30, max_iter=2)
    before = model.set_params(learning_rate_init="auto").fit(table, y).predict(table)
    with pytest.raises(ValueError, match="not finite after training"):
        model.set_params(learning_rate_init=1e30).fit(table, y)
    np.testing.assert_array_equal(model.predict(table), before)


def test_classes_of_very_different_size():
    table, _ = classes(200)
    y = np.r_[np.zeros(197, int), [1, 2, 2]]
    model = small("multiclass", max_iter=2)[0].fit(table, y)
    assert model.oof_prediction_.shape == (200, 3)
    assert np.isfinite(model.oof_prediction_).all()
