"""The gradient check: wrong gradients fail in their layer; kinks, steps, directions, its table."""

import copy
import pickle
import re
import sys

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

import oracle
from fastbp import GradientCheck, MLPRegressor, check_gradient
from fastbp import graph as fg
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
    y,
)
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# ---- wrong gradients


def core_with(monkeypatch, mistake):
    """Replace the core's gradient (an arena, like the parameters) by one with a mistake."""
    door = core.loss_gradient

    def loss_gradient(plan, params, sums, scratch, tally, task, rank):
        door(plan, params, sums, scratch, tally, task, rank)
        mistake(plan, params, sums.grads[0], task)

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
    assert check.n_skipped <= 5  # a slope may be so small that rounding hides it
    core_with(monkeypatch, no_penalty)
    assert not check_gradient(estimator, X, y, method=method).passed


def test_a_wrong_derivative_of_relu_is_no_kink(monkeypatch):
    """relu' is taken as 1 everywhere: the differences are right, so nothing is skipped."""

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
    """A network in which one sample puts the second unit at a kink, or at a distance from it."""
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
    # Not finite only at the end of the step.
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
    agrees(check, 37, skipped=5)  # all parameters that move this unit's preactivation
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
    "loss", ["absolute_error", "quantile", lambda raw, y: fg.abs(raw - y)], ids=plain
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
    default = check_gradient(estimator, X, y)  # shorter steps avoid the kink
    assert default.n_skipped == 0 and default.passed


def test_a_wrong_gradient_beside_a_kink(monkeypatch):
    core_with(monkeypatch, one_element_off_beside)
    check = check_gradient(with_kink(), X, y)
    assert not check.passed and check.n_skipped == 5
    assert np.argwhere(check.errors[0][0] > check.tolerance).tolist() == [[0, 0]]


def one_element_off_beside(plan, params, grads, task):
    weights_of(plan, grads, 0)[0, :2] *= 1.01


def test_units_that_never_fire_have_no_kink():
    """With zeros in a row and biases of 0, preactivations are 0 and no weight moves them."""
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
    assert "not compared: layers 1 and 2 in front of step units" in str(check)
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
    """Distances by which the first weight is moved."""
    seen = []
    core_with(monkeypatch, lambda plan, params, *_: seen.append(params[0]))
    check_gradient(estimator, X, y, **options)
    return [w - seen[0] for w in seen[33:37]]  # the first 33 evaluations estimate the noise


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
    """On average, each parameter of the layer moves as far as it would alone."""
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
    """With thousands of samples and many units, kinks are everywhere: shorter steps are used."""
    data = np.random.RandomState(0).randn(2000, 10)
    estimator = regressor(hidden_layer_sizes=(60, 40), activation="relu", init="glorot_uniform")
    check = check_gradient(
        estimator, data, data[:, 0] * data[:, 1], method=method, n_directions=5, random_state=0
    )
    assert check.passed and check.n_checked >= 12, str(check)


# ---- the table and the plot


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
    with pytest.raises(ImportError, match=r"GradientCheck draws with matplotlib.*fastbp\[plot\]"):
        check.plot()


# ---- errors


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
