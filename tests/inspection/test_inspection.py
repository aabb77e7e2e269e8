"""activations and input_gradients against plain NumPy; errors that all functions raise."""

import subprocess
import sys

import numpy as np
import pytest
from layer_oracle import (
    CUSTOM,
    MIXED,
    back,
    compare,
    over_dtypes,
    over_layouts,
    quietly,
    regressor,
    slopes,
    walk,
)
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.pipeline import make_pipeline

import fastbp
import oracle
from fastbp import MLPClassifier, MLPRegressor
from fastbp.inspection import activations, input_gradients, layer_statistics
from fastbp.inspection.layers import per_layer
from fastbp.kernels import core
from problems import LOSSES, Problem

over_activations = pytest.mark.parametrize("activation", core.ACTIVATIONS)
over_losses = pytest.mark.parametrize("loss", LOSSES)
# ---- the door


def examined(problem):
    """Activations, slopes and deltas of a problem, by the core."""
    network, n = problem.network, problem.n
    (activations, a), (slopes, s), (deltas, d) = (per_layer(network, n) for _ in range(3))
    scratch = network.scratch(n, 1, "examine")
    core.look(network.program, network.params, scratch, problem.x, a, s)
    core.deltas(network.program, network.params, scratch, problem.task(), d)
    return activations, slopes, deltas


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
    """They agree with central differences of the predictions; the link is the identity."""
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


# ---- bad input, imports


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


def test_it_is_imported_when_asked_for():
    program = (
        "import sys, fastbp; assert 'fastbp.inspection' not in sys.modules; "
        "fastbp.inspection.activations; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'inspektion'"):
        fastbp.inspektion  # noqa: B018
