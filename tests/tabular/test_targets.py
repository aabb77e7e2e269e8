"""Targets of tabular estimators: units, losses, weights of rows and of classes, scores."""

import numpy as np
import pytest
from sklearn.metrics import make_scorer, roc_auc_score
from tables import classes, frame, needs_bits, output, small

from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor


@pytest.fixture(scope="module")
def base():
    model, X, y = small("numbers", max_iter=15)
    return model.fit(X, y), X, y


@pytest.mark.parametrize(("scale", "offset"), [(1e6, 1e9), (1e-5, 1e6), (1e300, 0), (1e-300, 0)])
def test_units_of_y_do_not_matter(base, scale, offset):
    model, X, y = base
    other = small("numbers", max_iter=15)[0].fit(X, y * scale + offset)
    found = (other.predict(X) - offset) / scale
    np.testing.assert_allclose(found, model.predict(X), atol=1e-3)
    assert other.oof_prediction_.dtype == np.float64


def test_a_constant_target_is_predicted():
    X, y = frame(40)
    model = small("numbers", max_iter=2)[0].fit(X, np.full(len(y), 3.25))
    np.testing.assert_array_equal(model.predict(X), 3.25)


def test_predictions_stay_within_the_range_of_y(base):
    model, X, y = base
    far = X.assign(size=1e9, age=1e9)
    assert y.min() <= model.predict(far).min() <= model.predict(far).max() <= y.max()


LOSSES = {
    "absolute_error": {},
    "huber": {"huber_threshold": 0.3},
    "log_cosh": {},
    "gaussian": {},
    "poisson": {},
    "gamma": {},
    "tweedie": {"tweedie_power": 1.2},
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_losses_of_the_plain_regressor(loss, n_targets):
    X, y = frame(200)
    y = np.exp(y) if loss in ("poisson", "gamma", "tweedie") else y
    y = np.column_stack([y, 10 * y]) if n_targets == 2 else y
    model = small("numbers", loss=loss, max_iter=25, **LOSSES[loss])[0].fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.n_outputs_ == n_targets
    assert model.score(X, y) > 0.5
    member = model.members_[0]
    assert member.loss == loss
    assert all(getattr(member, name) == pytest.approx(v) for name, v in LOSSES[loss].items())
    found = np.corrcoef(member.predict(model.transformer_.transform(X)).ravel(), y.ravel())
    assert found[0, 1] > 0.7


def test_the_threshold_of_huber_is_in_the_units_of_y():
    X, y = frame(80)
    one = small("numbers", loss="huber", huber_threshold=0.2)[0].fit(X, y)
    other = small("numbers", loss="huber", huber_threshold=200)[0].fit(X, 1000 * y)
    np.testing.assert_allclose(other.predict(X) / 1000, one.predict(X), rtol=1e-3, atol=1e-3)


def test_levels_do_not_cross_and_keep_their_columns():
    X, y = frame(200)
    levels = [0.9, 0.1, 0.5]
    model = small("numbers", loss="quantile", quantile=levels, max_iter=20)[0].fit(X, y)
    high, low, middle = model.predict(X).T
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (y < low).mean() < 0.3 < (y < high).mean()
    members = model.predict_members(X)
    assert (members[..., 1] <= members[..., 0]).all()


def test_a_gaussian_model_predicts_the_noise():
    random = np.random.RandomState(0)
    X = random.uniform(-1, 1, (800, 1))
    y = 5 * X[:, 0] + np.where(X[:, 0] > 0, 1.0, 0.1) * random.randn(800)
    model = small("numbers", loss="gaussian", max_iter=30)[0].fit(X, y)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X))
    assert 0.7 < std[X[:, 0] > 0.1].mean() < 1.4
    assert std[X[:, 0] < -0.1].mean() < 0.4


def test_the_standard_deviation_of_members(base):
    model, X, _ = base
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(std, model.predict_members(X).std(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(mean, model.predict(X))
    with pytest.raises(TypeError, match="return_std"):
        model.predict(X, return_std="yes")


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_targets_that_a_loss_refuses(loss):
    X, y = frame(40)
    with pytest.raises(ValueError, match=f"loss='{loss}'"):
        small("numbers", loss=loss)[0].fit(X, y - 100)


# ---- weights and groups


@pytest.mark.parametrize("kind", ["binary", "multiclass", "numbers"])
def test_a_row_of_weight_0_is_as_if_absent(kind):
    model, X, y = small(kind, max_iter=3)
    weight = np.random.RandomState(0).uniform(0.5, 2, len(y))
    weight[::7] = 0
    kept = weight > 0
    changed = y.copy()
    changed[~kept] = y[0]
    model.fit(X, changed, weight)
    other = small(kind, max_iter=3)[0].fit(X[kept], y[kept], weight[kept])
    np.testing.assert_array_equal(output(model, X), output(other, X))
    missing = np.isnan(model.oof_prediction_.reshape(len(y), -1)).any(axis=1)
    np.testing.assert_array_equal(missing, ~kept)


@pytest.mark.parametrize("names", [("no", "yes"), ("a", "b", "c")])
def test_class_weights_are_weights_of_rows(names):
    X, y = classes(names=names)
    known = {name: 1.0 + k for k, name in enumerate(names)}
    by_rows = np.array([known[label] for label in y])
    kind = TabularMLPClassifier
    settings = dict(hidden_layer_sizes=(8,), max_iter=3, random_state=0)
    model = kind(class_weight=known, **settings).fit(X, y)
    other = kind(**settings).fit(X, y, by_rows)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    keep = np.flatnonzero((y != names[0]) | (np.arange(len(y)) % 3 == 0))
    X, y = X.iloc[keep], y[keep]
    counts = {name: (y == name).sum() for name in names}
    by_rows = np.array([len(y) / (len(names) * counts[label]) for label in y])
    model = kind(class_weight="balanced", **settings).fit(X, y)
    other = kind(**settings).fit(X, y, by_rows)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


def test_class_weights_count_in_given_validation_rows():
    X, y = classes(names=("no", "yes"))
    settings = dict(hidden_layer_sizes=(8,), max_iter=6, random_state=0)
    weights = {"no": 5.0, "yes": 1.0}
    rows = np.array([weights[label] for label in y])
    val = dict(X_val=X[80:], y_val=y[80:])
    model = TabularMLPClassifier(class_weight=weights, **settings).fit(X[:80], y[:80], **val)
    other = TabularMLPClassifier(**settings).fit(
        X[:80], y[:80], rows[:80], **val, sample_weight_val=rows[80:]
    )
    assert model.validation_curves_ == other.validation_curves_


@needs_bits
@pytest.mark.parametrize("kind", ["binary", "numbers"])
def test_groups_are_not_split(kind):
    model, X, y = small(kind, max_iter=1)
    groups = np.random.RandomState(0).randint(0, 9, len(y))
    model.fit(X, y, groups=groups)
    members = model.predict_members(X).astype(model.oof_prediction_.dtype)
    of_row = [
        {k for k in range(5) if (members[k][i] == model.oof_prediction_[i]).all()}
        for i in range(len(y))
    ]
    for group in np.unique(groups):
        shared = set.intersection(*(of_row[i] for i in np.flatnonzero(groups == group)))
        assert len(shared) == 1


# ---- scoring


def negative_error(estimator, X, y):
    assert len(X) == len(y)
    return -np.abs(estimator.predict(X) - y).max()


@needs_bits
@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", "r2", negative_error])
def test_scores_of_numbers_are_in_the_units_of_y(scoring):
    X, y = frame()
    y = 1000 * y + 5000
    model = small("numbers", scoring=scoring)[0].fit(X, y)
    for k, (best, scores) in enumerate(
        zip(model.best_epochs_, model.validation_curves_, strict=True)
    ):
        assert scores[best - 1] == max(scores)
        rows = np.flatnonzero(model.predict_members(X)[k] == model.oof_prediction_)

        error = model.oof_prediction_[rows] - y[rows]
        expected = {
            "neg_mean_absolute_error": -np.abs(error).mean(),
            "r2": 1 - (error**2).sum() / ((y[rows] - y[rows].mean()) ** 2).sum(),
            negative_error: -np.abs(error).max(),
        }[scoring]
        assert max(scores) == pytest.approx(expected, rel=1e-4)
    if scoring == "neg_mean_absolute_error":
        assert model.oof_score_ == pytest.approx(-np.abs(model.oof_prediction_ - y).mean())
    assert model.members_[0].scoring is None or model.members_[0].scoring == "loss"


SMOOTHED = [
    (None, 0.1),
    ("accuracy", 0.1),
    ("balanced_accuracy", 0.1),
    ("f1_macro", 0.1),
    ("neg_log_loss", 0.0),
    ("roc_auc", 0.0),
    (make_scorer(roc_auc_score, response_method="predict_proba"), 0.0),
    (lambda estimator, X, y: estimator.score(X, y), 0.0),
]


@pytest.mark.parametrize(("scoring", "smoothing"), SMOOTHED)
def test_smoothing_follows_the_score(scoring, smoothing):
    model, X, y = small("binary", scoring=scoring, max_iter=2)
    model.fit(X, y == "yes")
    assert {member.label_smoothing for member in model.members_} == {smoothing}
    assert np.isfinite(model.oof_score_)
    model.set_params(label_smoothing=0.3).fit(X, y == "yes")
    assert {member.label_smoothing for member in model.members_} == {0.3}


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.parametrize("scoring", ["no such score", "loss"])
def test_scores_that_do_not_exist(kind, scoring):
    X, y = frame(30)
    with pytest.raises(ValueError, match="scoring must be None"):
        kind(scoring=scoring).fit(X, y > 0)


def test_the_log_loss_is_minus_the_score():
    model, X, y = small("multiclass", scoring="neg_log_loss")
    model.fit(X, y)
    true = model.classes_.searchsorted(y)
    of_true = model.oof_prediction_[np.arange(len(y)), true]
    assert model.oof_score_ == pytest.approx(np.log(of_true).mean(), rel=1e-5)


@pytest.mark.parametrize("scored", [False, True])
def test_levels_of_several_targets(scored):
    """The columns are those of the first target first, also for a score, in the units of y."""
    X, y = frame(150)
    y = np.column_stack([y, 1000 * y + 50_000])
    seen = []

    def score(estimator, X, y):
        seen.append(estimator.predict(X))
        return -np.abs(seen[-1] - np.repeat(y, 2, axis=1)).sum()

    parameters = dict(loss="quantile", quantile=[0.9, 0.2], scoring=score if scored else None)
    model = small("numbers", max_iter=20, **parameters)[0].fit(X, y)
    for found in [model.predict(X), *seen]:
        assert found.shape[1] == model.n_outputs_ == 4
        assert (np.ptp(found, axis=0) > 0).all()
        assert y[:, 0].min() <= found[:, :2].min() <= found[:, :2].max() <= y[:, 0].max()
        assert y[:, 1].min() <= found[:, 2:].min() <= found[:, 2:].max() <= y[:, 1].max()
    for target in (0, 1):
        high, low = model.predict(X)[:, 2 * target : 2 * target + 2].T
        assert (low <= high).all()
        assert 0.6 < (y[:, target] < high).mean() <= 1
        assert 0 <= (y[:, target] < low).mean() < 0.5
        assert np.corrcoef(high + low, y[:, target])[0, 1] > 0.7
    assert len(seen) == (20 * 5 + 1 if scored else 0)


@needs_bits
def test_scores_of_numbers_are_weighted():
    model, X, y = small("numbers", scoring="neg_mean_absolute_error", max_iter=4)
    weight = np.random.RandomState(0).uniform(0.1, 5, len(y))
    model.fit(X, y, weight)
    for k, scores in enumerate(model.validation_curves_):
        rows = np.flatnonzero(model.predict_members(X)[k] == model.oof_prediction_)
        error = np.abs(model.oof_prediction_[rows] - y[rows])
        assert max(scores) == pytest.approx(-np.average(error, weights=weight[rows]), rel=1e-5)
