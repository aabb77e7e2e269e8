"""fastbp.inspection in numbers: activations, derivatives and statistics against plain NumPy."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline

import fastbp
import oracle
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.inspection import activations, input_gradients, layer_statistics, layers
from fastbp.kernels import core
from problems import DTYPES, LOSSES, Problem

over_activations = pytest.mark.parametrize("activation", core.ACTIVATIONS)
over_losses = pytest.mark.parametrize("loss", LOSSES)
over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_layouts = pytest.mark.parametrize("is_sparse", [False, True], ids=["dense", "csr"])
# Functions as users write them, and the oracle's names of the same.
CUSTOM = {
    "silu": lambda z: z * fg.sigmoid(z),
    "softplus": lambda z: fg.log(1 + fg.exp(z)),
    "leaky_relu": lambda z: fg.where(z > 0, z, z / 100),
}
MIXED = ["tanh", CUSTOM["silu"], "relu"], ["tanh", "silu", "relu"]


def quietly(estimator, X, y, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y, **kwargs)


def walk(coefs, intercepts, names, X):
    """Preactivations and activations of all layers, by the oracle's functions."""
    zs, a, result = [], X, []
    for w, b, name in zip(coefs, intercepts, [*names, "identity"], strict=True):
        zs.append(a @ w + b)
        a = oracle.ACTIVATIONS[name][0](zs[-1])
        result.append(a)
    return zs, result


def slopes(names, zs):
    return [
        oracle.ACTIVATIONS[name][1](z) for name, z in zip([*names, "identity"], zs, strict=True)
    ]


def back(coefs, slope, delta):
    """Deltas of all layers from that of the output."""
    deltas = [delta]
    for w, s in zip(coefs[:0:-1], slope[-2::-1], strict=True):
        deltas.insert(0, deltas[0] @ w.T * s)
    return deltas


def compare(found, expected, dtype=np.float64):
    loose = 1e-12 if dtype == np.float64 else 2e-5
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=loose, atol=loose * abs(theirs).max())


# ---- the door


def examined(problem):
    """Activations, slopes and deltas of a problem, by the core."""
    network = problem.network
    return layers.examine(network, problem.x, problem.y, network.program, problem.objective)


def expected_of(problem):
    X, y = problem.X.astype(float), problem.y.astype(float)
    names = [problem.activation] * (len(problem.coefs) - 1)
    zs, a = walk(problem.coefs, problem.intercepts, names, X)
    slope = slopes(names, zs)
    return a, slope, back(problem.coefs, slope, oracle.row_delta(problem.loss, a[-1], y))


@over_activations
@over_dtypes
@over_layouts
def test_examine_agrees_with_the_oracle(activation, dtype, is_sparse):
    for n in (23, 600):  # one block of rows, and several of which the last is shorter
        problem = Problem(activation, dtype=dtype, sparse=is_sparse, n=n)
        for found, expected in zip(examined(problem), expected_of(problem), strict=True):
            compare(found, expected, dtype)


@over_losses
@over_dtypes
def test_examine_has_the_deltas_of_every_loss(loss, dtype):
    problem = Problem("tanh", loss, dtype)
    for found, expected in zip(examined(problem), expected_of(problem), strict=True):
        compare(found, expected, dtype)


@over_activations
def test_deltas_are_those_that_training_has(activation):
    """Each layer's gradient is a^T delta, to the last bits of the sums."""
    problem = Problem(activation, weighted=False, alpha=0.0)
    a, _, deltas = examined(problem)
    gradient = problem.unpack(problem.loss_gradient()[1])
    for k, delta in enumerate(deltas):
        before = problem.X if k == 0 else a[k - 1]
        np.testing.assert_allclose(before.T @ delta / problem.n, gradient[0][k], atol=1e-14)
        np.testing.assert_allclose(delta.mean(axis=0), gradient[1][k], atol=1e-14)


def test_weights_multiply_deltas():
    problem = Problem("tanh", "log_loss")
    deltas = np.zeros((2, problem.n * sum(problem.network.units[1:])))
    for out, weight in zip(deltas, (None, problem.weight), strict=True):
        core.deltas(
            problem.network.plan,
            problem.network.params,
            problem.network.scratch(problem.n, 1, "examine"),
            problem.task(weight=weight),
            out,
        )
    ends = problem.n * np.cumsum(problem.network.units[1:-1])
    for plain, weighted in zip(*(np.split(out, ends) for out in deltas), strict=True):
        rows = plain.reshape(problem.n, -1) * problem.weight[:, None]
        np.testing.assert_allclose(weighted.reshape(problem.n, -1), rows, rtol=1e-13)


def test_the_doors_refuse_what_does_not_fit():
    problem = Problem()
    network, room = problem.network, np.zeros(problem.n * sum(problem.network.units[1:]))
    scratch, dx = network.scratch(problem.n, 1, "examine"), np.zeros(problem.X.size)
    given = network.plan, network.params, scratch
    for arrays in ((room[1:], None), (None, room[1:])):
        with pytest.raises(ValueError, match="an array of"):
            core.look(*given, problem.x, *arrays)
    with pytest.raises(ValueError, match="an array of"):
        core.deltas(*given, problem.task(), room[1:])
    for arrays in ((room[1:], dx), (room, dx[1:])):
        with pytest.raises(ValueError, match="an array of"):
            core.pull_back(*given, problem.x, *arrays)
    with pytest.raises(ValueError, match="in their own order"):
        core.deltas(*given, problem.task(order=np.arange(problem.n)), room)
    small = network.plan, network.params, scratch[1:]
    with pytest.raises(ValueError, match="scratch"):
        core.look(*small, problem.x, room, None)
    with pytest.raises(ValueError, match="scratch"):
        core.deltas(*small, problem.task(), room)
    with pytest.raises(ValueError, match="scratch"):
        core.pull_back(*small, problem.x, room, dx)


# ---- activations and derivatives


def regressor(activation, hidden=(7, 5, 6), n_outputs=3, dtype=np.float64, n=40):
    random = np.random.RandomState(0)
    X = random.randn(n, 4).astype(dtype)
    y = random.randn(n, n_outputs) if n_outputs > 1 else random.randn(n)
    estimator = MLPRegressor(
        activation=activation,
        hidden_layer_sizes=hidden,
        max_iter=2,
        learning_rate_init=0.05,
        random_state=0,
    )
    return quietly(estimator, X, y), X


def numpy_input_gradients(estimator, names, X):
    coefs = [w.astype(float) for w in estimator.coefs_]
    zs, _ = walk(coefs, estimator.intercepts_, names, X.astype(float))
    slope = slopes(names, zs)
    units = np.eye(coefs[-1].shape[1])
    result = [back(coefs, slope, np.tile(unit, (len(X), 1)))[0] @ coefs[0].T for unit in units]
    return np.stack(result, axis=1)


ACTIVATIONS = [pytest.param(name, [name] * 3, id=name) for name in core.ACTIVATIONS]
ACTIVATIONS += [pytest.param(f, [name] * 3, id=f"function-{name}") for name, f in CUSTOM.items()]
ACTIVATIONS += [pytest.param(*MIXED, id="list")]


@pytest.mark.parametrize("activation, names", ACTIVATIONS)
@over_dtypes
@over_layouts
def test_activations_and_input_gradients_agree_with_numpy(activation, names, dtype, is_sparse):
    estimator, X = regressor(activation, dtype=dtype)
    given = sparse.csr_array(X) if is_sparse else X
    _, expected = walk(estimator.coefs_, estimator.intercepts_, names, X)
    compare(activations(estimator, given), expected, dtype)
    gradients = numpy_input_gradients(estimator, names, X)
    compare([input_gradients(estimator, given)], [gradients], dtype)


@pytest.mark.parametrize("activation, names", ACTIVATIONS)
def test_input_gradients_are_derivatives(activation, names):
    """Central differences of what the estimator predicts; its link is the identity."""
    if "step" in names:
        pytest.skip("its derivative is not that of its output, on purpose")
    estimator, X = regressor(activation)
    gradients, e = input_gradients(estimator, X), 1e-6
    for j, unit in enumerate(np.eye(X.shape[1])):
        numeric = (estimator.predict(X + e * unit) - estimator.predict(X - e * unit)) / (2 * e)
        np.testing.assert_allclose(gradients[:, :, j], numeric, atol=1e-7)


def test_step_units_let_the_estimate_through():
    estimator, X = regressor("step", n_outputs=1)
    product = np.linalg.multi_dot(estimator.coefs_).ravel()
    np.testing.assert_allclose(input_gradients(estimator, X), np.tile(product, (len(X), 1)))


def test_one_output_has_no_axis():
    estimator, X = regressor("tanh", n_outputs=1)
    assert input_gradients(estimator, X).shape == X.shape
    assert activations(estimator, X)[-1].shape == (len(X), 1)


def test_without_hidden_layers_the_gradient_is_the_weights():
    estimator, X = regressor("tanh", hidden=())
    np.testing.assert_array_equal(input_gradients(estimator, X)[7], estimator.coefs_[0].T)


def test_many_rows_are_their_chunks():
    estimator, _ = regressor("gelu")
    X = np.random.RandomState(1).randn(2500, 4)
    whole, parts = input_gradients(estimator, X), np.array_split(X, 7)
    np.testing.assert_allclose(
        whole, np.concatenate([input_gradients(estimator, x) for x in parts]), rtol=1e-13
    )


def test_float64_rows_of_a_float32_model_are_not_rounded():
    estimator, X = regressor("tanh", dtype=np.float32)
    X = X.astype(np.float64) + 1e-12
    found = activations(estimator, X)
    assert {layer.dtype for layer in found} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(found[-1], estimator.predict(X))


def test_classifiers_show_logits():
    random = np.random.RandomState(0)
    X, y = random.randn(60, 3), random.randint(0, 2, 60)
    binary = quietly(MLPClassifier((5,), max_iter=3, random_state=0), X, y)
    z = activations(binary, X)[-1].ravel()
    p = binary.predict_proba(X)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-z)), p)
    e = 1e-6 * np.eye(3)[1]
    numeric = (binary.predict_proba(X + e) - binary.predict_proba(X - e))[:, 1] / 2e-6
    np.testing.assert_allclose(p * (1 - p) * input_gradients(binary, X)[:, 1], numeric, atol=1e-8)
    several = quietly(MLPClassifier((5,), max_iter=3, random_state=0), X, y + (X[:, 0] > 1))
    assert input_gradients(several, X).shape == (60, 3, 3)


def test_assigned_weights_are_seen():
    estimator, X = regressor("tanh")
    estimator.coefs_[0] = 2 * estimator.coefs_[0]
    compare(
        activations(estimator, X), walk(estimator.coefs_, estimator.intercepts_, ["tanh"] * 3, X)[1]
    )


# ---- statistics


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


def by_numpy(estimator, X, y, weight):
    """What layer_statistics has to find."""
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
    greatest = [oracle.ACTIVATIONS[name][1](np.linspace(-10, 10, 2001)).max()] * 2 + [1]
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
        monkeypatch.setattr("fastbp.inspection.layers.EXAMINE_CHUNK", chunk)
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
    """It wakes no dead unit, and what overflows in it is not seen."""
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
    """One class alone still is the one that it was in fit."""
    estimator, X, y, _ = problem_of()
    rows = y == "yes"
    found = layer_statistics(estimator, X[rows], y[rows]).delta_rms[-1]
    delta = estimator.predict_proba(X[rows]) - [0, 0, 1]
    np.testing.assert_allclose(found, np.sqrt(np.mean(delta**2)))


@over_dtypes
@pytest.mark.parametrize(
    "activation", ["leaky_relu", "step", "identity", CUSTOM["leaky_relu"]], ids=str
)
def test_units_that_always_have_a_slope_are_not_saturated(activation, dtype):
    estimator, X = regressor(activation, dtype=dtype, n_outputs=1)
    found = layer_statistics(estimator, X, X[:, 0])
    assert not found.saturated.any()
    assert not found.dead.any()


@pytest.mark.parametrize(
    "activation", ["logistic", "tanh", "hard_sigmoid", "gelu", "silu", CUSTOM["silu"]], ids=str
)
def test_saturated_units_are_counted(activation):
    estimator, X = regressor(activation, hidden=(4,), n_outputs=1)
    estimator.coefs_[0] = np.zeros((4, 4))
    estimator.intercepts_[0] = np.array([-12.0, -900.0, 0.5, 0.9])
    found = layer_statistics(estimator, X, X[:, 0])
    np.testing.assert_array_equal(found.saturated, [0.5, 0])
    # At -12 gelu has the slope -1e-30, less than rounding leaves of 1.
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


# ---- bad input, and what it costs to have it


def functions():
    return [
        activations,
        input_gradients,
        lambda estimator, X: layer_statistics(estimator, X, np.zeros(len(X))),
    ]


@pytest.mark.parametrize("function", functions(), ids=["activations", "gradients", "statistics"])
def test_bad_input(function):
    estimator, X = regressor("tanh", n_outputs=1)
    with pytest.raises(NotFittedError, match="MLPRegressor instance is not fitted yet"):
        function(MLPRegressor(), X)
    theirs = quietly(Theirs((2,), max_iter=1), X, X[:, 0] > 0)
    with pytest.raises(TypeError, match=r"got sklearn\.neural_network\..*MLPClassifier"):
        function(theirs, X)
    with pytest.raises(TypeError, match=r"got sklearn\.pipeline\.Pipeline.*Out of a pipeline"):
        function(make_pipeline(estimator), X)
    with pytest.raises(TypeError, match=r"got builtins\.NoneType"):
        function(None, X)
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 4"):
        function(estimator, X[:, :3])
    with pytest.raises(ValueError, match="contains NaN"):
        function(estimator, np.where(X > 1, np.nan, X))
    with pytest.raises(ValueError, match="Expected 2D array"):
        function(estimator, X[0])


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


def test_it_is_imported_when_asked_for():
    program = (
        "import sys, fastbp; assert 'fastbp.inspection' not in sys.modules; "
        "fastbp.inspection.activations; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'inspektion'"):
        fastbp.inspektion  # noqa: B018
