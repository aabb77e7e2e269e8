"""The gradient check: right gradients pass whatever they are of, wrong ones fail in their layer."""

import copy
import pickle
import re
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import oracle
from fastbp import GradientCheck, MLPClassifier, MLPRegressor, check_gradient
from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, Expression
from fastbp.kernels import core

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMOOTH = [name for name in core.ACTIVATIONS if name not in (*oracle.KINKED, "step")]
METHODS = ("central", "forward")
over_methods = pytest.mark.parametrize("method", METHODS)

rng = np.random.RandomState(0)
X = rng.randn(20, 4)
y = rng.randn(20)
Y = rng.gamma(2.0, size=(20, 2))
LABELS = np.array(["ham", "spam", "eggs"])[np.arange(20) % 3]
WEIGHT = rng.randint(0, 3, 20).astype(float)
ZEROS = np.where(rng.rand(20, 4) < 0.6, 0, X)


def regressor(**parameters):
    return MLPRegressor(
        **{
            "hidden_layer_sizes": (5, 3),
            "activation": "tanh",
            "alpha": 0.1,
            "random_state": 0,
            **parameters,
        }
    )


def classifier(**parameters):
    return MLPClassifier(
        **{
            "hidden_layer_sizes": (5, 3),
            "activation": "tanh",
            "alpha": 0.1,
            "random_state": 0,
            **parameters,
        }
    )


def agrees(check, count, skipped=0):
    assert check.passed, str(check)
    assert (check.n_checked, check.n_skipped) == (count - skipped, skipped)
    assert check.max_error <= check.tolerance == {"central": 1e-6, "forward": 1e-4}[check.method]


# ---- right gradients


@over_methods
@pytest.mark.parametrize("activation", SMOOTH)
def test_smooth_activations(activation, method):
    """And nothing is taken for a kink."""
    agrees(check_gradient(regressor(activation=activation), X, y, method=method), 47)


@over_methods
@pytest.mark.parametrize("activation", oracle.KINKED)
def test_activations_with_kinks(activation, method):
    """Glorot's weights and biases put no preactivation next to a kink."""
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
    ids=str,
)
def test_losses_of_several_outputs(parameters, method):
    agrees(check_gradient(regressor(**parameters), X, Y, WEIGHT, method=method), 51)


def test_several_levels_of_quantiles():
    agrees(check_gradient(regressor(loss="quantile", quantile=[0.1, 0.9]), X, Y), 59)


@over_methods
@pytest.mark.parametrize(
    "loss",
    ["log_loss", "squared_error", lambda raw, y: fg.sum((fg.sigmoid(raw) - y) ** 2)],
    ids=str,
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
    # The objective is 1e12, and the slopes by the first weights, 1, are but its rounding.
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
    """Probabilities of 1e-40: what is reported does not move with the weights, the objective does."""
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
    assert max(abs(w).max() for w, _ in everything) < 0.1  # lbfgs has nearly made it 0
    estimator.coefs_[2] = 2 * estimator.coefs_[2]  # weights that are assigned count
    assert abs(check_gradient(estimator, X, LABELS).analytic[2][0] - everything[2][0]).max() > 0.01


@over_methods
def test_threads_change_no_bit(method):
    data = np.random.RandomState(0).randn(300, 4)
    checks = [
        check_gradient(regressor(n_threads=n), data, data[:, 0], method=method) for n in (1, 3)
    ]
    for one, other in zip(*(check.numeric for check in checks), strict=True):
        assert one[0].tobytes() == other[0].tobytes()


# ---- wrong gradients


def core_with(monkeypatch, mistake):
    """A core whose gradients, an arena as the parameters are, pass through a mistake."""
    door = core.loss_gradient

    def loss_gradient(plan, params, grads, scratch, tally, task, rank):
        door(plan, params, grads, scratch, tally, task, rank)
        mistake(plan, params, grads, task)

    monkeypatch.setattr(core, "loss_gradient", loss_gradient)


def weights_of(plan, arena, k):
    layer = plan[k]
    size = layer["fan_in"] * layer["fan_out"]
    return arena[layer["weight"] :][:size].reshape(layer["fan_in"], layer["fan_out"])


def biases_of(plan, arena, k):
    return arena[plan[k]["bias"] :][: plan[k]["fan_out"]]


def one_element_1_percent_off(plan, params, grads, task):
    weights_of(plan, grads, 1)[2, 1] *= 1.01


def one_element_a_millionth_off(plan, params, grads, task):
    weights_of(plan, grads, 1)[2, 1] *= 1 + 4e-6


def sign_of_biases(plan, params, grads, task):
    biases_of(plan, grads, 2)[...] *= -1


def no_penalty(plan, params, grads, task):
    weights_of(plan, grads, 0)[...] -= (
        task.objective.alpha / len(task.samples.y) * weights_of(plan, params, 0)
    )


def penalty_on_biases(plan, params, grads, task):
    biases_of(plan, grads, 1)[...] += (
        task.objective.alpha / len(task.samples.y) * biases_of(plan, params, 1)
    )


def weights_transposed(plan, params, grads, task):
    """The delta of the first layer is taken back through w where it should be its transpose."""
    coefs = [weights_of(plan, params, k) for k in range(3)]
    intercepts = [biases_of(plan, params, k) for k in range(3)]
    activations = oracle.forward(coefs, intercepts, "tanh", task.samples.x)
    delta = (activations[3] - task.samples.y) / len(task.samples.y)
    delta = delta @ coefs[2].T * (1 - activations[2] ** 2)
    delta = delta @ coefs[1] * (1 - activations[1] ** 2)
    weights_of(plan, grads, 0)[...] = (
        task.samples.x.T @ delta + task.objective.alpha / len(task.samples.y) * coefs[0]
    )
    biases_of(plan, grads, 0)[...] = delta.sum(axis=0)


def sum_for_mean(plan, params, grads, task):
    grads *= len(task.samples.y)


def nan(plan, params, grads, task):
    weights_of(plan, grads, 0)[0, 0] = np.nan


def infinite(plan, params, grads, task):
    biases_of(plan, grads, 1)[0] = np.inf


@over_methods
@pytest.mark.parametrize(
    "mistake, layers",
    [
        (one_element_1_percent_off, [1]),
        (sign_of_biases, [2]),
        (no_penalty, [0]),
        (penalty_on_biases, [1]),
        (weights_transposed, [0]),
        (sum_for_mean, [0, 1, 2]),
        (nan, [0]),
        (infinite, [1]),
    ],
)
@pytest.mark.parametrize("n_directions", [None, 3])
def test_a_wrong_gradient_fails_in_its_layer(mistake, layers, n_directions, method, monkeypatch):
    core_with(monkeypatch, mistake)
    check = check_gradient(
        regressor(hidden_layer_sizes=(4, 4), alpha=0.01),
        X,
        y,
        method=method,
        n_directions=n_directions,
        random_state=0,
    )
    assert not check.passed and check.n_skipped == 0
    wrong = check.relative_errors > check.tolerance
    assert np.flatnonzero(wrong).tolist() == layers, str(check)
    assert f"failed in layer {', '.join(str(k + 1) for k in layers)}: " in str(check)
    assert check.max_error == check.relative_errors[wrong].max()


def test_a_millionth_is_seen(monkeypatch):
    core_with(monkeypatch, one_element_a_millionth_off)
    check = check_gradient(regressor(hidden_layer_sizes=(4, 4)), X, y)
    assert np.argwhere(check.errors[1][0] > check.tolerance).tolist() == [[2, 1]]


def test_a_wrong_element_is_named(monkeypatch):
    core_with(monkeypatch, one_element_1_percent_off)
    check = check_gradient(regressor(hidden_layer_sizes=(4, 4)), X, y)
    assert np.argwhere(check.errors[1][0] > check.tolerance).tolist() == [[2, 1]]
    assert check.errors[1][0][2, 1] == pytest.approx(0.01 / 1.01, rel=1e-3)


@pytest.mark.parametrize("size, factor", [(1e6, 1.01), (1e8, 2.0), (1e12, 2.0)])
@pytest.mark.parametrize("n_directions", [None, 3])
def test_a_wrong_gradient_does_not_hide_behind_a_large_objective(
    size, factor, n_directions, monkeypatch
):
    def check():
        return check_gradient(
            regressor(), X, size * (10 + y), n_directions=n_directions, random_state=0
        )

    visible = size < 1e12
    assert check().passed == visible
    core_with(monkeypatch, lambda plan, params, grads, task: grads.__imul__(factor))
    assert not check().passed and (check().n_checked > 0) == visible


@over_methods
def test_a_wrong_gradient_is_seen_where_the_true_one_is_nearly_zero(method, monkeypatch):
    estimator = regressor(solver="lbfgs", max_iter=2000, tol=1e-9).fit(X, y)
    check = check_gradient(estimator, X, y, method=method)
    assert check.passed and check.n_checked + check.n_skipped == 47
    assert check.n_skipped <= 5  # so small here that rounding may hide one
    core_with(monkeypatch, no_penalty)
    assert not check_gradient(estimator, X, y, method=method).passed


def test_a_wrong_derivative_of_relu_is_no_kink(monkeypatch):
    """relu' taken for 1 everywhere: the differences settle, so that nothing is skipped."""

    def mistake(plan, params, grads, task):
        activation = task.samples.x @ weights_of(plan, params, 0) + biases_of(plan, params, 0)
        raw = np.maximum(activation, 0) @ weights_of(plan, params, 1) + biases_of(plan, params, 1)
        delta = (raw - task.samples.y) / len(task.samples.y) @ weights_of(plan, params, 1).T
        weights_of(plan, grads, 0)[...] = task.samples.x.T @ delta

    core_with(monkeypatch, mistake)
    check = check_gradient(regressor(hidden_layer_sizes=(6,), activation="relu", alpha=0), X, y)
    assert check.n_skipped == 0 and np.flatnonzero(check.relative_errors > 0.1).tolist() == [0]


# ---- kinks


def with_kink(distance=0.0, activation="relu"):
    """A net of which one sample puts the second unit at a kink, or beside it."""
    estimator = regressor(hidden_layer_sizes=(6,), activation=activation, max_iter=1).fit(X, y)
    estimator.intercepts_[0] = estimator.intercepts_[0].copy()
    estimator.intercepts_[0][1] = distance - X[7] @ estimator.coefs_[0][:, 1]
    return estimator


@over_methods
@pytest.mark.parametrize(
    "beyond", [lambda raw: raw * 1e308 * 1e10, lambda raw: fg.log(-raw)], ids=["inf", "nan"]
)
def test_where_the_objective_is_not_finite_there_is_no_difference(beyond, method):
    estimator = regressor(hidden_layer_sizes=(), max_iter=1).fit(X, y)
    estimator.intercepts_[0] = 1 - X[:1] @ estimator.coefs_[0][:, 0]  # the raw prediction is 1
    estimator.set_params(loss=lambda raw, y: fg.where(raw < 1 + 1e-12, raw * y, beyond(raw)))
    check = check_gradient(estimator, X[:1], y[:1], method=method)
    assert (check.n_checked, check.n_skipped) == (0, 5)
    # At the end of the step alone.
    estimator.set_params(loss=lambda raw, y: fg.where(raw < 1 + 3e-4, raw * y, beyond(raw)))
    check = check_gradient(estimator, X[:1], y[:1], method=method, step=4e-4)
    assert np.isnan(check.numeric[0][1]).all()


@over_methods
@pytest.mark.parametrize(
    "activation",
    [
        "relu",
        "leaky_relu",
        "selu",
        lambda z: fg.maximum(z, 0),
        lambda z: fg.abs(z),
        lambda z: fg.where(z < 0, z, 3 * z),
        lambda z: fg.relu(z) ** 2 + fg.relu(z),
    ],
    ids=["relu", "leaky", "selu", "maximum", "abs", "where", "formula"],
)
def test_kinks_are_skipped_and_counted(activation, method):
    check = check_gradient(with_kink(activation=activation), X, y, method=method)
    agrees(check, 37, skipped=5)  # all that move this unit's preactivation
    weights, biases = check.numeric[0]
    assert np.isnan(weights[:, 1]).all() and np.isnan(biases[1])
    assert np.isnan(check.errors[0][0][:, 1]).all()
    assert "skipped: 5, where the objective has a kink" in str(check)
    assert not np.isnan(check.analytic[0][0]).any()


@pytest.mark.parametrize(
    "activation, at",
    [("hard_sigmoid", 3), ("hard_sigmoid", -3), (lambda z: fg.clip(z, -1, 0.5), 0.5)],
)
def test_kinks_elsewhere(activation, at):
    agrees(check_gradient(with_kink(at, activation=activation), X, y), 37, skipped=5)


@pytest.mark.parametrize(
    "loss", ["absolute_error", "quantile", lambda raw, y: fg.abs(raw - y)], ids=str
)
def test_kinks_of_losses(loss):
    estimator = regressor(hidden_layer_sizes=()).fit(X, y)
    estimator.set_params(loss=loss)
    target = y.copy()
    target[3] = estimator.predict(X)[3]
    check = check_gradient(estimator, X, target)
    assert (check.n_checked, check.n_skipped, check.passed) == (0, 5, False)
    estimator.set_params(loss="huber", huber_threshold=0.5)
    target[3] += 0.5  # only the curvature jumps
    agrees(check_gradient(estimator, X, target), 5)


@pytest.mark.parametrize("fraction", [*np.linspace(-0.95, 0.95, 20), -1 / 3, 1 / 3, 0.25, -0.5])
def test_no_place_within_the_step_hides_a_kink(fraction):
    """A kink at this part of the step from the bias."""
    estimator = with_kink(fraction * 1e-4)
    check = check_gradient(estimator, X, y, step=1e-4)
    assert np.isnan(check.numeric[0][1][1])
    default = check_gradient(estimator, X, y)  # shorter steps come past it, unless it is very near
    assert default.n_skipped == 0 and default.passed


def test_a_wrong_gradient_beside_a_kink(monkeypatch):
    core_with(monkeypatch, one_element_off_beside)
    check = check_gradient(with_kink(), X, y)
    assert not check.passed and check.n_skipped == 5
    assert np.argwhere(check.errors[0][0] > check.tolerance).tolist() == [[0, 0]]


def one_element_off_beside(plan, params, grads, task):
    weights_of(plan, grads, 0)[0, :2] *= 1.01


def test_units_that_never_fire_have_no_kink():
    """Zeros in sparse rows and biases of 0 put preactivations at 0 that no weight moves."""
    data = ZEROS.copy()
    data[:, 2] = 0
    data[5] = 0
    check = check_gradient(regressor(activation="leaky_relu"), data, y)
    assert check.passed
    assert not np.isnan(check.numeric[0][0]).any()  # row 5 is at the kink, and stays there
    assert np.isnan(check.numeric[0][1]).all()
    dead = with_kink(-100.0)
    agrees(check_gradient(dead, X, y), 37)


# ---- step units


def test_what_is_in_front_of_step_units_is_not_compared():
    check = check_gradient(
        regressor(hidden_layer_sizes=(5, 4, 3), activation=["tanh", "step", "tanh"]), X, y
    )
    agrees(check, 4 * 3 + 3 + 3 + 1)
    assert check.straight_through == 2
    assert np.isnan(check.relative_errors).tolist() == [True, True, False, False]
    assert all(np.isnan(array).all() for k in (0, 1) for array in check.numeric[k])
    assert abs(check.analytic[0][0]).max() > 0
    assert "not compared: layers 1 to 2 in front of step units" in str(check)
    check = check_gradient(
        classifier(hidden_layer_sizes=(5,), activation="step"), X, LABELS, n_directions=2
    )
    agrees(check, 2)
    assert "not compared: layer 1 in front of step units" in str(check)


def test_behind_step_units_a_wrong_gradient_fails(monkeypatch):
    core_with(monkeypatch, sign_of_biases)
    check = check_gradient(regressor(activation="step"), X, y)
    assert np.flatnonzero(check.relative_errors > 1).tolist() == [2]


# ---- steps and directions


def seen_steps(monkeypatch, estimator, **options):
    """How far the first weight is moved."""
    seen = []
    core_with(monkeypatch, lambda plan, params, *_: seen.append(params[0]))
    check_gradient(estimator, X, y, **options)
    return [w - seen[0] for w in seen[33:37]]  # after those that are to tell the noise


@pytest.mark.parametrize("method, power", [("central", 1 / 3), ("forward", 1 / 2)])
@pytest.mark.parametrize("first", [0.0, 0.5, 30.0])
def test_default_steps(method, power, first, monkeypatch):
    estimator = regressor(hidden_layer_sizes=()).fit(X, y)
    estimator.coefs_[0] = np.array([[first], [1.0], [-2.0], [0.0]])
    moves = seen_steps(monkeypatch, estimator, method=method)
    size = max(first, np.sqrt((first**2 + 5) / 4))
    expected = size * np.finfo(float).eps ** power * np.array([-1, -0.5, 0.5, 1])
    np.testing.assert_allclose(moves, expected, rtol=1e-6)


def test_default_steps_along_directions(monkeypatch):
    """Each of the layer's parameters moves as far as it would alone, in the mean."""
    seen = []
    core_with(monkeypatch, lambda plan, params, *_: seen.append(params.copy()))
    estimator = regressor(hidden_layer_sizes=()).fit(X, y)
    check_gradient(estimator, X, y, n_directions=1, random_state=0)
    move = seen[36] - seen[0]
    size = np.sqrt(5 * np.mean(estimator.coefs_[0] ** 2)) * np.finfo(float).eps ** (1 / 3)
    assert np.sqrt((move**2).sum()) == pytest.approx(size, rel=1e-6)


def test_step_overrides(monkeypatch):
    estimator = regressor(hidden_layer_sizes=()).fit(X, y)
    moves = seen_steps(monkeypatch, estimator, step=0.25)
    np.testing.assert_allclose(moves, [-0.25, -0.125, 0.125, 0.25], rtol=1e-12)


def test_a_given_step_may_be_as_large_as_the_objective_is_smooth():
    agrees(check_gradient(regressor(activation="identity"), X, y, step=0.5), 47)  # a parabola
    check = check_gradient(regressor(), X, y, step=1.0)
    assert check.n_skipped > 40 and check.n_checked + check.n_skipped == 47
    linear = regressor(alpha=0, hidden_layer_sizes=(), loss="log_cosh")
    check = check_gradient(linear, X, y, step=50)
    assert not check.passed and check.n_checked == 0 and np.isnan(check.max_error)
    assert "failed: nothing could be compared" in str(check)
    assert np.isnan(check.relative_errors).all()


def test_directions():
    estimator = regressor()
    whole = check_gradient(estimator, X, y)
    check = check_gradient(estimator, X, y, n_directions=6, random_state=4)
    agrees(check, 18)
    draws = np.random.RandomState(4)
    for k, (weights, biases) in enumerate(whole.analytic):
        assert check.analytic[k].shape == check.numeric[k].shape == check.errors[k].shape == (6,)
        for j in range(6):
            parts = draws.standard_normal(weights.shape), draws.standard_normal(biases.shape)
            norm = np.sqrt(sum((part**2).sum() for part in parts))
            slope = (
                sum(
                    (part * slopes).sum()
                    for part, slopes in zip(parts, (weights, biases), strict=True)
                )
                / norm
            )
            assert check.analytic[k][j] == pytest.approx(slope, rel=1e-10)
            assert check.numeric[k][j] == pytest.approx(slope, rel=1e-6)
    again = check_gradient(estimator, X, y, n_directions=6, random_state=4)
    np.testing.assert_array_equal(check.numeric[0], again.numeric[0])
    assert "6 random directions in each layer" in str(check)


@over_methods
def test_directions_in_a_larger_net(method):
    """Thousands of samples and many units: there are kinks wherever one goes, and shorter steps."""
    data = np.random.RandomState(0).randn(2000, 10)
    estimator = regressor(hidden_layer_sizes=(60, 40), activation="relu", init="glorot_uniform")
    check = check_gradient(
        estimator, data, data[:, 0] * data[:, 1], method=method, n_directions=5, random_state=0
    )
    assert check.passed and check.n_checked >= 12, str(check)


# ---- what is shown


def test_it_prints_as_a_table():
    check = check_gradient(regressor(), X, y)
    lines = str(check).splitlines()
    assert lines[0] == "Gradient by backpropagation and central differences, every parameter"
    assert lines[1].split("  ")[0] == "layer" and len(lines) == 6
    for k, shape in enumerate(["4 x 5", "5 x 3", "3 x 1"]):
        largest = max(abs(check.analytic[k][0]).max(), abs(check.analytic[k][1]).max())
        assert lines[2 + k].split() == [
            str(k + 1),
            *shape.split(),
            f"{largest:.2e}",
            f"{check.relative_errors[k]:.1e}",
            "0",
        ]
    assert lines[5].startswith("passed: the largest error of 47 is ")
    assert re.fullmatch(
        r"GradientCheck\(passed=True, max_error=\S+, n_checked=47, n_skipped=0\)", repr(check)
    )
    assert isinstance(check, GradientCheck) and isinstance(check.passed, bool)
    assert repr(copy.deepcopy(check)) == repr(pickle.loads(pickle.dumps(check))) == repr(check)


def test_plot(monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot as plt

    core_with(monkeypatch, one_element_1_percent_off)
    check = check_gradient(regressor(hidden_layer_sizes=(4, 4)), X, y)
    ax = check.plot()
    drawn = {
        points.get_label(): len(points.get_offsets())
        for points in ax.collections
        if not points.get_label().startswith("_")
    }
    assert drawn == {"layer 1": 20, "layer 2": 19, "layer 2, wrong": 1, "layer 3": 5}
    assert "failed" in ax.get_title()
    assert check_gradient(regressor(activation="step"), X, y, n_directions=2).plot(ax) is ax
    plt.close(ax.figure)


def test_plot_names_the_extra_where_matplotlib_is_missing(monkeypatch):
    check = check_gradient(regressor(), X, y, n_directions=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"extra 'plot': pip install 'fastbp\[plot\]'"):
        check.plot()


# ---- refusals


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(method="backward"), "'method' parameter of check_gradient must be a str among"),
        (dict(method=None), "'method' parameter of check_gradient"),
        (
            dict(step=0.0),
            r"'step' parameter of check_gradient must be a float in the range \(0.0, inf",
        ),
        (dict(step=-1e-6), "'step' parameter"),
        (dict(step=np.nan), "'step' parameter"),
        (dict(step=np.inf), "'step' parameter"),
        (dict(step="small"), "'step' parameter"),
        (dict(n_directions=0), "'n_directions' parameter of check_gradient must be an int in the"),
        (dict(n_directions=2.5), "'n_directions' parameter"),
        (dict(random_state="no"), "'random_state' parameter"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        check_gradient(regressor(), X, y, **options)


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), regressor()),
        MLPRegressor,
        None,
        "net",
    ],
    ids=["pipeline", "class", "None", "str"],
)
def test_only_estimators_of_ours(estimator):
    with pytest.raises(TypeError, match="estimator must be an MLPClassifier or MLPRegressor of"):
        check_gradient(estimator, X, y)


def fitted(make, target):
    return make(solver="sgd", max_iter=1).partial_fit(
        X, target, **({"classes": np.unique(target)} if make is classifier else {})
    )


@pytest.mark.parametrize(
    "make, arguments, message",
    [
        (regressor, (X[:3], y), "inconsistent numbers of samples"),
        (regressor, (X[:, 0], y), "Expected 2D array, got 1D array"),
        (regressor, (np.full_like(X, np.nan), y), "contains NaN"),
        (regressor, (X, y, WEIGHT[:3]), "sample_weight.shape"),
        (regressor, (X, y, -1 - WEIGHT), "Negative values in data"),
        (lambda: regressor(loss="gamma"), (X, y), "Some values of y are not positive"),
        (lambda: regressor(alpha=-1), (X, y), "'alpha' parameter"),
        (lambda: regressor(activation=["tanh"]), (X, y), "a list has one for each hidden layer"),
        (lambda: regressor(hidden_layer_sizes=(0,)), (X, y), "hidden_layer_sizes must be > 0"),
        (lambda: regressor(loss=lambda raw, y: raw), (X, y), "does not depend on 'y'"),
        (
            lambda: regressor(loss=lambda raw, y: fg.log(-fg.exp(raw)) + y),
            (X, y),
            "the objective is nan at these weights",
        ),
        (lambda: fitted(regressor, y), (X[:, :2], y), "X has 2 features"),
        (lambda: fitted(regressor, y), (X, Y), "y has 2 columns, but the fitted model has 1"),
        (lambda: fitted(classifier, LABELS), (X, np.full(20, "tofu")), "classes not in"),
    ],
)
def test_bad_data(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        check_gradient(make(), *arguments)


def test_a_net_that_does_not_fit_is_refused():
    with pytest.raises(MemoryError, match="hidden_layer_sizes"):
        check_gradient(regressor(hidden_layer_sizes=(10**7, 10**7)), X, y)
