"""layer_statistics against plain NumPy, its messages and its table."""

import numpy as np
import pytest
from layer_oracle import (
    CUSTOM,
    MIXED,
    back,
    over_dtypes,
    over_layouts,
    quietly,
    regressor,
    slopes,
    walk,
)
from scipy import sparse

import oracle
import twins
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.inspection import layer_statistics
from fastbp.inspection.statistics import FIRST_STEPS
from fastbp.kernels import core
from ids import plain


def problem_of(loss="log_loss", weighted=False, is_sparse=False, **params):
    """A fitted classifier or regressor, and its data."""
    random = np.random.RandomState(3)
    X = random.randn(50, 4)
    X[random.rand(*X.shape) < 0.3] = 0
    if loss == "log_loss":
        y = np.array(["no", "perhaps", "yes"])[random.randint(0, 3, 50)]
        estimator = MLPClassifier(
            (6, 5), **{"max_iter": 3, "alpha": 0.3, "random_state": 0, **params}
        )
    else:
        y = random.randn(50)
        estimator = MLPRegressor(
            loss, (6, 5), **{"max_iter": 3, "alpha": 0.3, "random_state": 0, **params}
        )
    weight = random.randint(0, 4, 50).astype(float) if weighted else None
    quietly(estimator, X, y, sample_weight=weight)
    return estimator, sparse.csr_array(X) if is_sparse else X, y, weight


def test_every_optimizer_has_a_first_step():
    assert set(FIRST_STEPS) == set(core.OPTIMIZERS)


def by_numpy(estimator, X, y, weight):
    """The statistics that layer_statistics must return."""
    X = X.toarray() if sparse.issparse(X) else X
    name = estimator.activation
    zs, a = walk(estimator.coefs_, estimator.intercepts_, [name] * 2, X)
    slope = slopes([name] * 2, zs)
    loss, target = estimator.loss, np.asarray(y).reshape(-1, 1)
    if loss == "log_loss":
        target = np.searchsorted(estimator.classes_, target)
    deltas = back(estimator.coefs_, slope, oracle.row_delta(loss, a[-1], target))
    weight = np.ones(len(X)) if weight is None else weight
    w = weight[:, None] / weight.sum()
    gradient = oracle.loss_gradient(
        estimator.coefs_, estimator.intercepts_, name, loss, X, target, weight, estimator.alpha
    )[2]
    greatest = [twins.ACTIVATIONS[name].derivative(np.linspace(-10, 10, 2001)).max()] * 2 + [1]
    mean = np.array([(w * layer).sum(axis=0).mean() for layer in a])
    change = estimator.learning_rate_init * np.array(
        [
            np.sqrt(
                np.mean(
                    (g / (abs(g) + estimator.epsilon)) ** 2 if estimator.solver == "adam" else g**2
                )
            )
            / np.sqrt(np.mean(c**2))
            for g, c in zip(gradient, estimator.coefs_, strict=True)
        ]
    )
    return {
        "mean": mean,
        "std": np.sqrt(
            [(w * (layer - m) ** 2).sum(axis=0).mean() for layer, m in zip(a, mean, strict=True)]
        ),
        "saturated": [
            (w * (abs(s) < 0.01 * g)).sum(axis=0).mean()
            for s, g in zip(slope, greatest, strict=True)
        ],
        "dead": [np.mean((s[weight > 0] == 0).all(axis=0)) for s in slope],
        "delta_rms": np.sqrt([(w * d**2).sum(axis=0).mean() for d in deltas]),
        "gradient_rms": [np.sqrt(np.mean(g**2)) for g in gradient],
        "update_ratio": change if estimator.solver != "lbfgs" else [np.nan] * 3,
    }


@pytest.mark.parametrize("loss", ["log_loss", "squared_error", "absolute_error"])
@pytest.mark.parametrize(
    "params",
    [
        dict(activation="relu"),
        dict(activation="logistic", solver="sgd", learning_rate_init=0.2),
        dict(activation="tanh", solver="lbfgs"),
        dict(activation="gelu", warm_start=True),
    ],
    ids=lambda params: params["activation"],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
@over_layouts
def test_statistics_agree_with_numpy(monkeypatch, loss, params, weighted, is_sparse):
    estimator, X, y, weight = problem_of(loss, weighted, is_sparse, **params)
    for chunk in (1024, 7):
        monkeypatch.setattr("fastbp.inspection.statistics.EXAMINE_CHUNK", chunk)
        found = layer_statistics(estimator, X, y, weight)
        for name, expected in by_numpy(estimator, X, y, weight).items():
            np.testing.assert_allclose(
                getattr(found, name), expected, rtol=1e-10, atol=1e-14, err_msg=name
            )
    assert found.units == [6, 5, len(estimator.intercepts_[-1])]
    assert found.activations == [params["activation"]] * 2


def test_weight_2_is_a_sample_twice_and_weight_0_none():
    estimator, X, y, _ = problem_of(activation="relu")
    weight = np.array([2.0, 0, 1, 1, 0] * 10)
    repeated = np.repeat(np.arange(50), weight.astype(int))
    once = layer_statistics(estimator, X, y, weight)
    twice = layer_statistics(estimator, X[repeated], y[repeated])
    for name in once.NUMBERS:
        np.testing.assert_allclose(getattr(once, name), getattr(twice, name), rtol=1e-10)


def test_a_sample_of_no_weight_may_be_anything():
    """It does not revive dead units, and its overflows have no effect."""
    estimator, X, y, _ = problem_of("squared_error", activation="relu")
    odd, weight = np.vstack([np.full((1, 4), 1e300), X]), np.r_[0, np.ones(50)]
    estimator.coefs_[0][:, 0] = 1.0
    estimator.intercepts_[0][0] = -100.0
    expected = layer_statistics(estimator, X, y)
    assert expected.dead[0] > 0
    found = layer_statistics(estimator, odd, np.r_[0, y], weight)
    for name in found.NUMBERS:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12)


def test_nothing_is_lost_far_from_zero():
    """Means of a million with a spread of a thousandth, in several chunks."""
    random = np.random.RandomState(0)
    X = 1e6 + 1e-3 * random.randn(5000, 1)
    line = quietly(MLPRegressor(hidden_layer_sizes=(), max_iter=1), X, X[:, 0])
    line.coefs_[0], line.intercepts_[0] = np.ones((1, 1)), np.zeros(1)
    found = layer_statistics(line, X, X[:, 0])
    np.testing.assert_allclose(found.std, X.std(), rtol=1e-6)


def test_the_estimator_stays_as_it_was():
    estimator, X, y, _ = problem_of(warm_start=True)
    before = dict(vars(estimator))
    layer_statistics(estimator, X[y != "yes"], y[y != "yes"])
    assert vars(estimator) == before


def test_labels_are_those_of_the_fit():
    """A single class keeps the meaning that it had in fit."""
    estimator, X, y, _ = problem_of()
    rows = y == "yes"
    found = layer_statistics(estimator, X[rows], y[rows]).delta_rms[-1]
    delta = estimator.predict_proba(X[rows]) - [0, 0, 1]
    np.testing.assert_allclose(found, np.sqrt(np.mean(delta**2)))


@over_dtypes
@pytest.mark.parametrize(
    "activation", ["leaky_relu", "step", "identity", CUSTOM["leaky_relu"]], ids=plain
)
def test_units_that_always_have_a_slope_are_not_saturated(activation, dtype):
    estimator, X = regressor(activation, dtype=dtype, n_outputs=1)
    found = layer_statistics(estimator, X, X[:, 0])
    assert not found.saturated.any()
    assert not found.dead.any()


@pytest.mark.parametrize(
    "activation", ["logistic", "tanh", "hard_sigmoid", "gelu", "silu", CUSTOM["silu"]], ids=plain
)
def test_saturated_units_are_counted(activation):
    estimator, X = regressor(activation, hidden=(4,), n_outputs=1)
    estimator.coefs_[0] = np.zeros((4, 4))
    estimator.intercepts_[0] = np.array([-12.0, -900.0, 0.5, 0.9])
    found = layer_statistics(estimator, X, X[:, 0])
    np.testing.assert_array_equal(found.saturated, [0.5, 0])
    # At -12 the slope of gelu is -1e-30, far below machine epsilon.
    assert found.dead[0] == (0.5 if activation in ("hard_sigmoid", "gelu") else 0.25)


def deep(activation, scale=1.0, depth=10, **params):
    random = np.random.RandomState(0)
    X = random.randn(100, 10)
    y = (X[:, 0] > 0).astype(int)
    estimator = MLPClassifier(
        (30,) * depth,
        activation=activation,
        max_iter=1,
        random_state=0,
        learning_rate_init=1e-12,
        **params,
    )
    quietly(estimator, X, y)
    estimator.coefs_ = [w * scale for w in estimator.coefs_]
    return layer_statistics(estimator, X, y)


def test_a_vanishing_gradient_is_named():
    found = deep("logistic")
    assert len(found.messages) == 1
    message = found.messages[0]
    assert message.startswith("The gradient vanishes")
    assert f"to {found.delta_rms[0]:.1e} in layer 1" in message
    last = int(np.flatnonzero(found.delta_rms < 1e-3 * found.delta_rms[-1])[-1]) + 1
    assert f"in layers 1 to {last}." in message
    for remedy in ("relu family", "init='he_uniform'", "fewer layers", "scaled", "rate"):
        assert remedy in message


@pytest.mark.parametrize(
    "activation, scale, is_proposed",
    [
        ("logistic", 1.0, True),
        ("tanh", 0.1, True),
        ("hard_sigmoid", 1.0, True),
        ("softplus", 0.1, True),
        (lambda z: 1.7 * fg.tanh(z * 2 / 3), 0.1, True),
        (lambda z: z / (1 + fg.abs(z)), 0.1, True),
        ("leaky_relu", 0.1, False),
        ("gelu", 0.1, False),
        ("silu", 0.1, False),
        ("selu", 0.1, False),
        (CUSTOM["silu"], 0.1, False),
        (["relu"] * 9 + ["tanh"], 0.1, True),
    ],
    ids=plain,
)
def test_relu_is_proposed_where_the_activation_shrinks_delta(activation, scale, is_proposed):
    """The slope decides, not the name: it is below 1 nearly everywhere."""
    vanishes = [text for text in deep(activation, scale).messages if "vanishes" in text]
    assert len(vanishes) == 1
    assert ("an activation of the relu family" in vanishes[0]) == is_proposed


def test_an_exploding_gradient_is_named():
    found = deep("leaky_relu", scale=5.0)
    assert len(found.messages) == 1
    message = found.messages[0]
    assert message.startswith("The gradient explodes")
    assert f"to {found.delta_rms[0]:.1e} in layer 1" in message
    for remedy in ("glorot_uniform", "smaller learning rate", "fewer layers", "scaled"):
        assert remedy in message


def test_an_overflowing_gradient_is_named():
    with np.errstate(over="ignore"):
        found = deep("leaky_relu", scale=1e60)
    assert [message[:30] for message in found.messages] == ["The gradient is not finite: the"[:30]]
    assert "nan" in str(found) or "inf" in str(found)


def test_deltas_whose_squares_underflow_are_not_0():
    found = deep("leaky_relu", scale=1e-20)
    assert 0 < found.delta_rms[0] < 1e-170


def test_dead_units_are_named():
    estimator, X = regressor("relu", n_outputs=1)
    estimator.intercepts_[1] = np.array([-1e3, 0, -1e3, 5, 5.0])
    found = layer_statistics(estimator, X, X[:, 0])
    assert found.dead[1] == 0.4
    assert any("2 of 5 in layer 2" in message for message in found.messages)


def test_a_healthy_network_has_no_message():
    assert deep("leaky_relu", depth=3).messages == []


def test_the_table():
    estimator, X = regressor(MIXED[0], n_outputs=1)
    found = layer_statistics(estimator, X, X[:, 0])
    table = str(found).splitlines()
    lines, messages = table[:5], table[5:]
    assert messages == found.messages
    assert len({len(line) for line in lines}) == 1
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert "z * sigmoid(z)" in lines[2]
    assert f"{found.delta_rms[1]:.2e}" in lines[2]
    assert repr(found) == str(found)


def test_a_long_formula_is_cut():
    long = lambda z: fg.tanh(z) + fg.sin(z) * fg.cos(z) - fg.tanh(z - 1) ** 2  # noqa: E731
    estimator, X = regressor(long, n_outputs=1)
    assert max(map(len, str(layer_statistics(estimator, X, X[:, 0])).splitlines())) < 125


def test_the_table_as_a_frame():
    pytest.importorskip("pandas")
    estimator, X = regressor("tanh", n_outputs=1)
    found = layer_statistics(estimator, X, X[:, 0])
    frame = found.to_frame()
    assert frame.index.tolist() == [1, 2, 3, 4]
    assert frame["units"].tolist() == [7, 5, 6, 1]
    np.testing.assert_array_equal(frame["delta_rms"], found.delta_rms)


def test_functions_as_losses():
    estimator, X, y, _ = problem_of("squared_error")
    before = layer_statistics(estimator, X, y)
    estimator.set_params(loss=lambda raw, y: (raw - y) ** 2 / 2)
    after = layer_statistics(estimator, X, y)
    for name in before.NUMBERS:
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-10)


def test_bad_targets():
    estimator, X, y, _ = problem_of()
    number, _ = regressor("tanh", n_outputs=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        layer_statistics(estimator, X, y[:-1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        layer_statistics(estimator, X, np.where(y == "yes", "never", y))
    with pytest.raises(ValueError, match="y has 2 columns, but the fitted model has 1 outputs"):
        layer_statistics(number, X, X[:, :2])
    with pytest.raises(TypeError, match="y has dtype <U7, which is not numeric"):
        layer_statistics(number, X, y)
    with pytest.raises(ValueError, match="Negative values"):
        layer_statistics(estimator, X, y, -np.ones(50))
    with pytest.raises(ValueError, match=r"sample_weight.shape"):
        layer_statistics(estimator, X, y, np.ones(49))
