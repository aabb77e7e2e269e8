"""The Gaussian loss: means with standard deviations, as an estimator has them."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import twins
from fastbp import MLPRegressor, check_gradient
from fastbp.inspection import activations, input_gradients, layer_statistics
from fastbp.kernels import core

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = dict(loss="gaussian", hidden_layer_sizes=(7,), max_iter=8, random_state=0)
SOLVERS = pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])


def noisy(n, seed):
    """Targets with a noise that depends on x, and its true size."""
    rng = np.random.RandomState(seed)
    X = rng.uniform(-2, 2, (n, 1))
    sigma = 0.1 + 0.4 / (1 + np.exp(-2 * X[:, 0]))
    return X, np.sin(2 * X[:, 0]) + sigma * rng.randn(n), sigma


def data(n=90, targets=1, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 4)
    return X, np.squeeze(X[:, :targets] * [3.0, 0.2, 1.0][:targets] + rng.randn(n, targets))


def raw_predictions(model, X):
    a = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    return a @ model.coefs_[1] + model.intercepts_[1]


# ---- what is predicted


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_intervals_cover_what_they_promise(solver):
    """Where the noise is large the intervals are wide, so that 95 % cover 95 %."""
    X, y, _ = noisy(2000, 0)
    model = MLPRegressor(
        "gaussian",
        (32,),
        "tanh",
        solver=solver,
        learning_rate_init=0.01,
        max_iter=300,
        random_state=0,
    ).fit(X, y)
    X, y, sigma = noisy(4000, 1)
    mean, std = model.predict(X, return_std=True)
    inside = abs(y - mean) < 1.96 * std
    assert 0.92 < inside.mean() < 0.97
    for part in (X[:, 0] < -1, X[:, 0] > 1):
        assert 0.9 < inside[part].mean() < 0.98
    assert np.corrcoef(std, sigma)[0, 1] > 0.97


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("targets", [1, 3])
def test_the_first_outputs_are_means_and_the_others_log_variances(targets, dtype):
    X, y = data(targets=targets)
    X = X.astype(dtype)
    model = MLPRegressor(**SMALL).fit(X, y)
    assert model.n_outputs_ == 2 * targets and model.out_activation_ == "identity"
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == y.shape and mean.dtype == std.dtype == dtype
    raw = raw_predictions(model, X)
    tolerance = 20 * np.finfo(dtype).eps
    for found, expected in ((mean, raw[:, :targets]), (std, np.exp(raw[:, targets:] / 2))):
        np.testing.assert_allclose(found, expected.reshape(y.shape), rtol=tolerance, atol=tolerance)
    for plain in (model.predict(X), model.predict(X, return_std=False), model.predict(X, False)):
        np.testing.assert_array_equal(plain, mean)
    for rows in (sp.csr_array(X), X.tolist(), X[:1]):
        both = model.predict(rows, return_std=np.True_)
        n = rows.shape[0] if sp.issparse(rows) else len(rows)
        for found, expected in zip(both, (mean, std), strict=True):
            np.testing.assert_allclose(found, expected[:n], rtol=1e-5)


def test_standard_deviations_have_the_bits_of_the_core():
    X, y = data()
    model = MLPRegressor(**SMALL).fit(X, y)
    half = raw_predictions(model, X)[:, 1:] / 2
    exact = half.copy()
    core.kernel_link(core.LINKS["exp"], exact)
    std = model.predict(X, return_std=True)[1]
    np.testing.assert_allclose(std, exact[:, 0], rtol=1e-14)


def test_the_score_is_r2_of_the_means():
    X, y = data(targets=3)
    weight = np.random.RandomState(1).randint(0, 3, len(X))
    model = MLPRegressor(**SMALL).fit(X, y)
    assert model.score(X, y) == r2_score(y, model.predict(X))
    assert model.score(X, y, weight) == r2_score(y, model.predict(X), sample_weight=weight)
    early = MLPRegressor(early_stopping=True, **SMALL).fit(X, y)
    recorded = MLPRegressor(**SMALL).fit(X, y, X_val=X[:40], y_val=y[:40])
    assert recorded.validation_scores_[-1] == recorded.score(X[:40], y[:40])
    assert len(early.validation_scores_) == early.n_iter_ and early.best_loss_ is None


# ---- training


@SOLVERS
def test_it_trains_as_a_function_of_a_target_given_twice(solver):
    X, y = data()
    weight = np.random.RandomState(1).randint(0, 3, len(X)) * 0.5
    init = MLPRegressor(**SMALL).partial_fit(X, y)
    init = ([one.copy() for one in init.coefs_], [one.copy() for one in init.intercepts_])
    settings = dict(SMALL, solver=solver, init=init, max_iter=6)
    built_in = MLPRegressor(**settings).fit(X, y, weight)
    own = MLPRegressor(**dict(settings, loss=twins.LOSSES["gaussian"].graph))
    own.fit(X, np.column_stack([y, y]), weight)
    tolerance = 1e-9 if solver != "lbfgs" else 1e-4
    assert built_in.loss_ == pytest.approx(own.loss_, rel=tolerance)
    mean, std = built_in.predict(X, return_std=True)
    raw = own.predict(X)
    np.testing.assert_allclose(mean, raw[:, 0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(std, np.exp(raw[:, 1] / 2), rtol=tolerance)


def test_targets_are_summed():
    """As those of the other losses but the squared error."""
    X, y = data(targets=3)
    settings = dict(SMALL, hidden_layer_sizes=(), solver="lbfgs", alpha=0, max_iter=500, tol=1e-9)
    together = MLPRegressor(**settings).fit(X, y)
    alone = [MLPRegressor(**settings).fit(X, column) for column in y.T]
    assert together.loss_ == pytest.approx(sum(one.loss_ for one in alone), rel=1e-6)
    for found, wanted in zip(
        together.predict(X, return_std=True),
        zip(*(one.predict(X, return_std=True) for one in alone), strict=True),
        strict=True,
    ):
        np.testing.assert_allclose(found, np.transpose(wanted), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_bits_are_those_of_any_number_of_threads(sparse):
    X, y = data(600, targets=3)
    X = sp.csr_array(X) if sparse else X
    fits = [
        MLPRegressor(**dict(SMALL, hidden_layer_sizes=(60,), max_iter=2), n_threads=n).fit(X, y)
        for n in (1, 2, 3, 4)
    ]
    for other in fits[1:]:
        for one, two in zip(fits[0].coefs_, other.coefs_, strict=True):
            np.testing.assert_array_equal(one, two)
        assert fits[0].loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("weighted", [False, True])
def test_log_variances_begin_with_the_variances_of_y(weighted):
    X, y = data(targets=3)
    weight = np.random.RandomState(1).randint(0, 3, len(X)) if weighted else None
    still = dict(SMALL, solver="sgd", learning_rate_init=1e-300)
    model = MLPRegressor(**still).partial_fit(X, y, weight)
    mean = np.average(y, axis=0, weights=weight)
    variance = np.average((y - mean) ** 2, axis=0, weights=weight)
    steps = np.round(np.log(variance) * 1024) / 1024  # so they do not depend on the order of sums
    np.testing.assert_array_equal(model.intercepts_[-1][3:], steps)
    drawn = MLPRegressor(**dict(still, loss="squared_error")).partial_fit(X, np.tile(y, 2), weight)
    for ours, theirs in zip(model.coefs_, drawn.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)  # the same draws
    np.testing.assert_array_equal(model.intercepts_[-1][:3], drawn.intercepts_[-1][:3])
    y[:, 1] = 5.0
    constant = MLPRegressor(**still).partial_fit(X, y, weight)
    assert abs(constant.intercepts_[-1][4]) < 1e-290  # of the step
    single = MLPRegressor(**still).partial_fit(X[:1], y[:1])
    assert abs(single.intercepts_[-1][3:]).max() < 1e-290
    arrays = [np.ones((4, 2))], [np.array([3.0, 4.0])]
    given = MLPRegressor(**dict(still, hidden_layer_sizes=(), init=arrays)).partial_fit(X, y[:, 0])
    assert given.intercepts_[0].tolist() == [3, 4]


def test_a_constant_target_is_learned():
    X, _ = data()
    model = MLPRegressor(**dict(SMALL, max_iter=200, learning_rate_init=0.01))
    mean, std = model.fit(X, np.full(len(X), 2.0)).predict(X, return_std=True)
    assert np.isfinite(std).all() and std.max() < 0.5 and abs(mean - 2).max() < 1


@SOLVERS
@pytest.mark.parametrize("scale, offset", [(1e9, 0), (0.1, 0), (1, 1e2)])
def test_targets_of_float32_rows_may_have_any_scale(solver, scale, offset):
    X, y = data(200)
    y = scale * y + offset
    rows = X.astype(np.float32)
    settings = dict(SMALL, solver=solver, max_iter=20, learning_rate_init=1e-4)
    single = MLPRegressor(**settings).fit(rows, y)
    double = MLPRegressor(**settings).fit(rows.astype(float), y)
    assert single.coefs_[0].dtype == np.float32
    for ours, theirs in zip(
        single.predict(X, return_std=True), double.predict(X, return_std=True), strict=True
    ):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=0.02 * scale)


def test_a_standard_deviation_that_overflows_is_an_error():
    """A log variance of a large step is finite, but `predict` would return infinity."""
    X, y = data()
    model = MLPRegressor(**dict(SMALL, solver="sgd"))
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"not finite after training.* Scale X and y"):
            fit(X, 1e-9 * y)
        assert not hasattr(model, "coefs_")


# ---- the rest of an estimator


def test_fits_go_on():
    X, y = data()
    model = MLPRegressor(warm_start=True, **SMALL).fit(X, y)
    before = model.loss_
    assert model.fit(X, y).loss_ < before and len(model.loss_curve_) == 16
    for _ in range(3):
        model.partial_fit(X, y)
    assert len(model.loss_curve_) == 19
    with pytest.raises(ValueError, match="4 columns, but the fitted model has 2 outputs"):
        model.fit(X, np.column_stack([y, y]))


def test_copies_predict_the_same():
    X, y = data(targets=3)
    model = MLPRegressor(**SMALL).fit(X, y)
    given = MLPRegressor.from_weights(
        model.coefs_, model.intercepts_, activation="relu", loss="gaussian"
    )
    assert clone(model).get_params() == model.get_params()
    for other in (given, pickle.loads(pickle.dumps(model))):
        for ours, theirs in zip(
            other.predict(X, return_std=True), model.predict(X, return_std=True), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    assert given.score(X, y) == model.score(X, y)
    with pytest.raises(ValueError, match=r"two outputs for each target, .* there are 3 outputs"):
        MLPRegressor.from_weights(
            [np.ones((4, 3))], [np.ones(3)], activation="relu", loss="gaussian"
        )
    three = MLPRegressor(**dict(SMALL, loss="squared_error")).fit(X, y).set_params(loss="gaussian")
    with pytest.raises(ValueError, match=r"two outputs for each target, .* there are 3 outputs"):
        three.predict(X)


def test_gradients_and_layers_are_those_of_the_network():
    X, y = data(targets=3)
    weight = np.random.RandomState(1).randint(1, 3, len(X))
    for model in (MLPRegressor(**SMALL), MLPRegressor(**SMALL).fit(X, y)):
        assert check_gradient(model, X, y, weight).passed
    assert activations(model, X)[-1].shape == (len(X), 6)
    assert input_gradients(model, X).shape[0] == len(X)
    assert layer_statistics(model, X, y).units[-1] == 6


def test_pipelines_and_searches_reach_return_std():
    X, y = data()
    search = GridSearchCV(MLPRegressor(**SMALL), {"loss": ["squared_error", "gaussian"]}, cv=2)
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    piped = make_pipeline(StandardScaler(), MLPRegressor(**SMALL)).fit(X, y)
    mean, std = piped.predict(X, return_std=True)
    assert mean.shape == std.shape == (len(X),)
