"""The gradient check passes for every right gradient, and leaves the estimator as it is."""

import pickle

import numpy as np
import pytest
from scipy import sparse

import oracle
import twins
from fastbp import check_gradient
from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, Expression
from fastbp.kernels import core
from gradient_cases import (
    LABELS,
    WEIGHT,
    ZEROS,
    X,
    Y,
    agrees,
    classifier,
    over_methods,
    regressor,
    rng,
    y,
)
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMOOTH = [name for name in core.ACTIVATIONS if name not in (*twins.KINKED, "step")]


# ---- right gradients


@over_methods
@pytest.mark.parametrize("activation", SMOOTH)
def test_smooth_activations(activation, method):
    """They pass, and nothing is mistaken for a kink."""
    agrees(check_gradient(regressor(activation=activation), X, y, method=method), 47)


@over_methods
@pytest.mark.parametrize("activation", twins.KINKED)
def test_activations_with_kinks(activation, method):
    """With Glorot's weights and biases, no preactivation is next to a kink."""
    estimator = regressor(activation=activation, init="glorot_uniform")
    agrees(check_gradient(estimator, X, y, method=method), 47)


@over_methods
@pytest.mark.parametrize(
    "parameters",
    [
        dict(loss="squared_error"),
        dict(loss="squared_error", out_activation="softplus"),
        dict(loss="absolute_error", out_activation="exp"),
        dict(loss="huber", huber_threshold=0.3),
        dict(loss="log_cosh"),
        dict(loss="poisson"),
        dict(loss="gamma"),
        dict(loss="tweedie", tweedie_power=1.2),
        dict(loss="quantile", quantile=0.7),
        dict(loss=lambda raw, y: fg.log(fg.cosh(raw - y))),
        dict(loss=lambda raw, y: fg.sqrt(1 + fg.sum((raw - y) ** 2))),
    ],
    ids=plain,
)
def test_losses_of_several_outputs(parameters, method):
    agrees(check_gradient(regressor(**parameters), X, Y, WEIGHT, method=method), 51)


def test_several_levels_of_quantiles():
    agrees(check_gradient(regressor(loss="quantile", quantile=[0.1, 0.9]), X, Y), 59)


@over_methods
def test_means_and_log_variances(method):
    agrees(check_gradient(regressor(loss="gaussian"), X, Y, WEIGHT, method=method), 59)


@over_methods
@pytest.mark.parametrize(
    "loss",
    ["log_loss", "squared_error", lambda raw, y: fg.sum((fg.sigmoid(raw) - y) ** 2)],
    ids=plain,
)
@pytest.mark.parametrize(
    "target, count",
    [
        (LABELS, 55),
        (LABELS == "ham", 47),
        (np.array(LABELS[:, None] != ["ham", "eggs"]) * 1, 51),
    ],
    ids=["multiclass", "binary", "multilabel"],
)
def test_classifiers(target, count, loss, method):
    agrees(check_gradient(classifier(loss=loss), X, target, method=method), count)


@pytest.mark.parametrize(
    "activation",
    [
        lambda z: z * fg.sigmoid(z),
        Expression.trace(lambda z: fg.sin(z) + z, ACTIVATION),
        ["tanh", lambda z: z / (1 + z * z)],
        ["relu", "logistic"],
    ],
    ids=["function", "expression", "list", "names"],
)
def test_functions_and_lists_as_activations(activation):
    agrees(check_gradient(regressor(activation=activation), X, y), 47)


@pytest.mark.parametrize(
    "data",
    [
        ZEROS.astype(np.float32),
        ZEROS.tolist(),
        sparse.csr_array(ZEROS),
        sparse.csc_matrix(ZEROS.astype(np.float32)),
        np.asfortranarray(ZEROS),
    ],
    ids=["float32", "list", "csr", "csc float32", "by columns"],
)
def test_the_check_is_of_float64_in_any_layout(data):
    check = check_gradient(regressor(), data, y, WEIGHT)
    agrees(check, 47)
    plain = check_gradient(regressor(), ZEROS, y, WEIGHT)
    tolerance = 1e-6 if getattr(data, "dtype", None) == np.float32 else 1e-12
    for ours, theirs in zip(check.analytic, plain.analytic, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == np.float64
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_no_hidden_layer_and_wide_data():
    agrees(check_gradient(regressor(hidden_layer_sizes=()), X, y), 5)
    agrees(check_gradient(regressor(hidden_layer_sizes=()), X[:1], y[:1]), 5)
    wide = rng.randn(1500, 4)  # more than a chunk of rows
    agrees(check_gradient(regressor(n_threads=2), wide, wide[:, 0] ** 2), 47)


@pytest.mark.parametrize("scale", [1e-6, 1e4])
@over_methods
def test_scales(scale, method):
    check = check_gradient(regressor(), X * scale, y / scale, method=method)
    assert check.passed and check.n_checked + check.n_skipped == 47
    # The objective is 1e12, so that rounding hides the slopes of the first weights, about 1.
    assert check.n_checked >= (26 if scale < 1 else 47)
    agrees(check_gradient(regressor(loss="poisson"), X, Y * scale, method=method), 51)


def test_weights_of_any_size():
    agrees(check_gradient(regressor(alpha=0), X, y, WEIGHT * 1e307), 47)


@over_methods
def test_weights_that_are_0_and_an_objective_that_is_0(method):
    estimator = regressor(hidden_layer_sizes=(3,), max_iter=1).fit(X, y)
    estimator.coefs_ = [np.zeros_like(w) for w in estimator.coefs_]
    estimator.intercepts_ = [np.zeros_like(b) for b in estimator.intercepts_]
    agrees(check_gradient(estimator, X, y, method=method), 19)
    agrees(check_gradient(estimator, X, 0 * y, method=method), 19)


@pytest.mark.parametrize("target", [LABELS, LABELS == "ham"], ids=["multiclass", "binary"])
def test_log_losses_are_not_clipped(target):
    """With probabilities of 1e-40 the reported loss is constant, the objective is not."""
    estimator = classifier(hidden_layer_sizes=(), max_iter=1, alpha=0).fit(X, target)
    estimator.coefs_[0] = 100 * estimator.coefs_[0]
    probability = estimator.predict_proba(X)[np.arange(20), estimator.classes_.searchsorted(target)]
    assert 0 < (probability < 1e-20).sum()
    agrees(check_gradient(estimator, X, target), 5 * estimator.n_outputs_)


def test_analytic_gradient_is_that_of_the_oracle():
    estimator = regressor()
    check = check_gradient(estimator, X, Y, WEIGHT)
    estimator.set_params(solver="sgd", learning_rate_init=1e-300).partial_fit(X, Y, WEIGHT)
    *_, dcoefs, dintercepts = oracle.loss_gradient(
        estimator.coefs_, estimator.intercepts_, "tanh", "squared_error", X, Y, WEIGHT, 0.1
    )
    for k, (weights, biases) in enumerate(check.analytic):
        np.testing.assert_allclose(weights, dcoefs[k], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(biases, dintercepts[k], rtol=1e-11, atol=1e-13)
        assert check.numeric[k][0].shape == check.errors[k][0].shape == dcoefs[k].shape
        np.testing.assert_allclose(check.numeric[k][0], dcoefs[k], rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(check.numeric[k][1], dintercepts[k], rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(
        check.relative_errors, [max(w.max(), b.max()) for w, b in check.errors]
    )
    assert check.max_error == check.relative_errors.max() > 0


# ---- whose gradient


def test_an_unfitted_estimator_stays_as_it_is():
    estimator = regressor(random_state=np.random.RandomState(3), activation=["tanh", "silu"])
    before, data = pickle.dumps(vars(estimator)), (X.tobytes(), y.tobytes())
    first = check_gradient(estimator, X, y)
    assert pickle.dumps(vars(estimator)) == before and (X.tobytes(), y.tobytes()) == data
    second = check_gradient(estimator, X, y)
    np.testing.assert_array_equal(first.analytic[0][0], second.analytic[0][0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_a_fitted_estimator_is_checked_at_its_weights_and_stays_as_it_is(dtype):
    estimator = classifier(solver="lbfgs", max_iter=30, warm_start=True, early_stopping=True)
    estimator.fit(X.astype(dtype), LABELS)
    before = vars(estimator).copy()
    weights = [array.copy() for array in estimator.coefs_ + estimator.intercepts_]
    two = LABELS != "eggs"  # a class may be missing
    check = check_gradient(estimator, X[two], LABELS[two])
    agrees(check, 55)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is value for name, value in before.items())
    assert all(map(np.array_equal, weights, estimator.coefs_ + estimator.intercepts_))
    everything = check_gradient(estimator, X, LABELS).analytic
    assert max(abs(w).max() for w, _ in everything) < 0.1  # nearly 0 after lbfgs
    estimator.coefs_[2] = 2 * estimator.coefs_[2]  # assigned weights are used
    assert abs(check_gradient(estimator, X, LABELS).analytic[2][0] - everything[2][0]).max() > 0.01


@over_methods
def test_threads_change_no_bit(method):
    data = np.random.RandomState(0).randn(300, 4)
    checks = [
        check_gradient(regressor(n_threads=n), data, data[:, 0], method=method) for n in (1, 3)
    ]
    for one, other in zip(*(check.numeric for check in checks), strict=True):
        assert one[0].tobytes() == other[0].tobytes()
