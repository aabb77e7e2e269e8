"""Fits with functions as losses and activations, with lists of activations, and with new names."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    GammaRegressor,
    HuberRegressor,
    QuantileRegressor,
    TweedieRegressor,
)
from sklearn.metrics import d2_pinball_score
from sklearn.model_selection import GridSearchCV

import twins
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.estimators.regressor import LINKS_OF_LOSSES
from fastbp.graph import expression
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.graph.formula import FEW_STEPS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LOSSES = {name: twin.graph for name, twin in twins.LOSSES.items()}
ACTIVATIONS = {name: twin.graph for name, twin in twins.ACTIVATIONS.items() if twin.graph}
SMALL = dict(
    hidden_layer_sizes=(9, 7), max_iter=12, random_state=0, init="glorot_uniform", batch_size=32
)


def data(n=120, outputs=1, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 5)
    return X, np.squeeze(np.tanh(X @ rng.randn(5, outputs)) + 0.3 * rng.randn(n, outputs))


def assert_twins(own, builtin, X, tolerance=1e-9):
    for ours, theirs in zip(
        own.coefs_ + own.intercepts_, builtin.coefs_ + builtin.intercepts_, strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(own.predict(X), builtin.predict(X), rtol=tolerance, atol=tolerance)


# ---- functions train like the built-in losses and activations


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", sorted(LINKS_OF_LOSSES.keys() - {"gaussian"}))
def test_a_loss_trains_as_its_built_in_twin(name, outputs, solver):
    X, y = data(outputs=outputs)
    link = LINKS_OF_LOSSES[name]
    y = abs(y) + 0.1 if link == "exp" else y
    weight = np.random.RandomState(1).randint(0, 3, len(X)) * 0.5
    settings = dict(SMALL, solver=solver, max_iter=6 if solver == "lbfgs" else 12)
    own = MLPRegressor(LOSSES[name], out_activation=link, **settings)
    builtin = MLPRegressor(name, **twins.LOSSES[name].parameters, **settings)
    for model in (own, builtin):
        model.fit(X, y, sample_weight=weight)
    # lbfgs minimizes the reported loss. Its constants differ here, so its stopping rule does too.
    assert_twins(own, builtin, X, 1e-9 if solver != "lbfgs" else 1e-4)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_loss_of_a_classifier_trains_as_its_built_in_twin(n_classes):
    X, y = data()
    y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    kind, link = ("binary_log_loss", "logistic") if n_classes == 2 else ("log_loss", "softmax")

    def squared(raw, y):
        return LOSSES["squared_error"](twins.LINKS[link].graph(raw), y)

    for name, function in (("log_loss", LOSSES[kind]), ("squared_error", squared)):
        own = MLPClassifier(loss=function, **SMALL).fit(X, y)
        builtin = MLPClassifier(loss=name, **SMALL).fit(X, y)
        np.testing.assert_allclose(own.loss_curve_, builtin.loss_curve_, rtol=1e-10)
        np.testing.assert_allclose(own.predict_proba(X), builtin.predict_proba(X), rtol=1e-9)
        assert own.out_activation_ == builtin.out_activation_


def test_a_loss_of_a_multilabel_classifier():
    X, y = data(outputs=3)
    own = MLPClassifier(loss=LOSSES["binary_log_loss"], **SMALL).fit(X, y > 0)
    assert_twins(own, MLPClassifier(**SMALL).fit(X, y > 0), X)


@pytest.mark.parametrize("kind", ["dense", "csr", "float32"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_trains_as_its_built_in_twin(name, kind):
    X, y = data()
    X = X.astype(np.float32) if kind == "float32" else X
    X = sp.csr_array(np.where(abs(X) > 0.5, X, 0)) if kind == "csr" else X
    settings = dict(SMALL, max_iter=4, solver="sgd")
    own = MLPRegressor(activation=ACTIVATIONS[name], **settings)
    builtin = MLPRegressor(activation=name, **settings)
    if name == "logistic":  # glorot_uniform is the same for all
        assert builtin.get_params()["init"] == "glorot_uniform"
    assert_twins(own.fit(X, y), builtin.fit(X, y), X, 1e-10 if kind != "float32" else 1e-4)


def test_every_activation_but_step_is_written_as_a_function():
    assert set(twins.ACTIVATIONS) - set(ACTIVATIONS) == {"step"}


def test_a_list_has_an_activation_for_each_layer():
    X, y = data()
    one = MLPRegressor(activation="tanh", **SMALL).fit(X, y)
    same = MLPRegressor(activation=["tanh", "tanh"], **SMALL).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), same.predict(X))
    mixed = MLPRegressor(activation=["relu", ACTIVATIONS["silu"]], **SMALL).fit(X, y)
    hidden = np.maximum(X @ mixed.coefs_[0] + mixed.intercepts_[0], 0)
    z = hidden @ mixed.coefs_[1] + mixed.intercepts_[1]
    raw = z / (1 + np.exp(-z)) @ mixed.coefs_[2] + mixed.intercepts_[2]
    np.testing.assert_allclose(mixed.predict(X), raw[:, 0], rtol=1e-12)
    twin = MLPRegressor(activation=("relu", "silu"), **SMALL).fit(X, y)
    assert_twins(mixed, twin, X)
    mixed.activation[0] = "tanh"  # the parameter decides, as with a name
    assert not np.allclose(mixed.predict(X), raw[:, 0])


def test_one_function_in_two_layers_is_one_tape():
    X, y = data()
    model = MLPRegressor(activation=ACTIVATIONS["silu"], **SMALL).fit(X, y)
    assert len(model._model.network.tapes) == 1
    assert len(set(model._model.network.plan["activation"])) == 2  # and the identity of the output


# ---- kinds of functions, and how they are kept


def test_an_expression_is_a_legal_value():
    X, y = data()
    loss = Expression.trace(LOSSES["log_cosh"], LOSS)
    activation = Expression.trace(ACTIVATIONS["gelu"], ACTIVATION)
    traced = MLPRegressor(loss, activation=activation, **SMALL).fit(X, y)
    functions = MLPRegressor(LOSSES["log_cosh"], activation=ACTIVATIONS["gelu"], **SMALL)
    np.testing.assert_array_equal(traced.predict(X), functions.fit(X, y).predict(X))


@pytest.mark.parametrize("is_fitted", [False, True])
def test_pickles_hold_the_expression_in_place_of_the_function(is_fitted):
    X, y = data()
    model = MLPRegressor(
        lambda raw, y: abs(raw - y), activation=["relu", lambda z: fg.sin(z)], **SMALL
    )
    if is_fitted:
        model.fit(X, y)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert isinstance(twin.loss, Expression) and isinstance(twin.activation[1], Expression)
        assert twin.activation[0] == "relu"
        if is_fitted:
            np.testing.assert_array_equal(twin.predict(X), model.predict(X))
        refitted = twin.fit(X, y).predict(X)
        np.testing.assert_array_equal(refitted, clone(model).fit(X, y).predict(X))
    assert callable(model.loss) and not isinstance(model.loss, Expression)  # unchanged
    assert joblib.hash(model) == joblib.hash(clone(model) if not is_fitted else model)


def test_estimators_with_long_formulas_have_short_texts(monkeypatch):
    def long(z):
        for k in range(1_000):
            z = fg.tanh(z * z * (1 + 1e-3 * k))
        return z

    def loss(raw, y):
        return fg.sum(long(raw - y))

    layers = [Expression.trace(lambda z, k=k: long(z + k), ACTIVATION) for k in range(8)]
    written = []

    def writer(*args):
        written.append(args)
        return formula(*args)

    formula = expression.formula
    monkeypatch.setattr(expression, "formula", writer)
    for model in (
        MLPRegressor(Expression.trace(loss, LOSS), activation=layers),
        pickle.loads(pickle.dumps(MLPRegressor(loss, activation=long))),
    ):
        written.clear()
        for text in (repr(model), str(model)):
            assert "tanh(z * z" in text and len(text) < 1_500
        assert "more steps" in model._repr_html_() and len(model._repr_html_()) < 100_000
        # Each formula is written once, and its first steps only.
        assert len(written) <= 9 and {most for _, _, most in written} == {FEW_STEPS}


def test_a_fitted_function_stays_what_it_was():
    X, y = data()
    factor, calls = [0.5], []

    def function(z):
        calls.append(z)
        return factor[0] * fg.tanh(z)

    model = MLPRegressor(activation=function, **SMALL).fit(X.astype(np.float32), y)
    expected = model.predict(X)
    factor[0] = 2.0  # as in a loop, in which all functions see the last value
    calls.clear()
    for twin in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(X), expected)
    assert not calls


def test_a_fit_traces_once():
    X, y = data()
    calls = []

    def function(z):
        calls.append("activation")
        return fg.tanh(z)

    def loss(raw, y):
        calls.append("loss")
        return (raw - y) ** 2

    model = MLPRegressor(loss, activation=function, **SMALL).fit(X, y)
    model.predict(X)
    assert sorted(calls) == ["activation", "loss"]


def test_a_search_over_functions_in_processes():
    X, y = data()
    search = GridSearchCV(
        MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0),
        {
            "activation": ["relu", lambda z: z * fg.sigmoid(z)],
            "loss": ["squared_error", lambda raw, y: fg.log(fg.cosh(raw - y))],
        },
        cv=2,
        n_jobs=2,
    ).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(search.best_estimator_.predict(X)).all()


def test_a_formula_that_does_not_fit_the_outputs_says_which_parameter_it_is():
    X, y = data()
    for name, function in {
        "loss": lambda raw, y: raw[7] - y,
        "activation": lambda z: z * np.ones(3),
    }.items():
        with pytest.raises(ValueError) as caught:
            MLPRegressor(**{**SMALL, name: function}).fit(X, y)
        assert caught.value.__notes__ == [f"This function is the parameter {name!r}."]


def test_an_infinite_power_is_a_power():
    assert Expression.trace(lambda z: z**np.inf, ACTIVATION)(0.5) == 0


def test_training_continues():
    X, y = data()
    own = MLPRegressor(LOSSES["log_cosh"], warm_start=True, **SMALL).fit(X, y)
    first = own.loss_
    assert own.fit(X, y).loss_ < first
    assert own.partial_fit(X, y).n_iter_ == 1
    stopped = MLPRegressor(LOSSES["log_cosh"], early_stopping=True, **SMALL).fit(X, y)
    assert len(stopped.validation_scores_) == stopped.n_iter_


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_loss_of_nan_stops_training(solver):
    """log(raw) is NaN for raw < 0, but its derivative 1 / raw is not."""
    X, y = data()
    model = MLPRegressor(lambda raw, y: fg.log(raw) + (raw - y) ** 2, solver=solver, **SMALL)
    with pytest.raises(ValueError, match="The loss is NaN"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    if solver == "adam":
        model.set_params(early_stopping=True)
        with pytest.warns(ConvergenceWarning, match=r"The loss is NaN.* epoch 1 .*restored"):
            model.fit(X, y)


# ---- the new losses, compared with scikit-learn


def test_linear_models_agree_with_those_of_scikit_learn():
    rng = np.random.RandomState(0)
    X = rng.randn(150, 3)
    y = X @ [0.5, -1, 0.2] + rng.standard_t(3, 150)
    positive = np.exp(X @ [0.3, -0.5, 0.2]) * rng.gamma(2.0, size=150)
    exact = dict(
        hidden_layer_sizes=(),
        solver="lbfgs",
        tol=1e-10,
        alpha=0,
        max_iter=5000,
        max_fun=10**6,
        random_state=0,
    )
    huber = MLPRegressor("huber", huber_threshold=0.9, **exact).fit(X, y)
    theirs = HuberRegressor(epsilon=1.35, alpha=0).fit(X, y)
    rescaled = MLPRegressor("huber", huber_threshold=1.35 * theirs.scale_, **exact).fit(X, y)
    np.testing.assert_allclose(rescaled.coefs_[0][:, 0], theirs.coef_, atol=1e-3)
    assert not np.allclose(huber.coefs_[0][:, 0], theirs.coef_, atol=1e-3)
    for name, glm in (
        ("gamma", GammaRegressor(alpha=0, tol=1e-10, max_iter=5000)),
        ("tweedie", TweedieRegressor(power=1.5, alpha=0, tol=1e-10, max_iter=5000)),
    ):
        ours = MLPRegressor(name, **exact).fit(X, positive)
        np.testing.assert_allclose(ours.predict(X), glm.fit(X, positive).predict(X), rtol=1e-3)
    for level in (0.25, 0.9):
        ours = MLPRegressor(
            "quantile",
            quantile=level,
            alpha=0,
            hidden_layer_sizes=(),
            tol=0,
            learning_rate_init=0.01,
            max_iter=2000,
            n_iter_no_change=2000,
            random_state=0,
        ).fit(X, y)
        linear = QuantileRegressor(quantile=level, alpha=0, solver="highs").fit(X, y)
        np.testing.assert_allclose(ours.coefs_[0][:, 0], linear.coef_, atol=0.05)


def test_columns_of_quantiles_are_those_of_the_first_target_first():
    X, y = data(outputs=2)
    levels = [0.1, 0.5, 0.9]
    model = MLPRegressor(
        "quantile",
        quantile=levels,
        hidden_layer_sizes=(20,),
        max_iter=400,
        tol=0,
        n_iter_no_change=400,
        alpha=0,
        random_state=0,
    ).fit(X, y)
    prediction = model.predict(X)
    assert prediction.shape == (len(X), 6) and model.n_outputs_ == 6
    for column in range(6):
        share = (y[:, column // 3] <= prediction[:, column]).mean()
        assert abs(share - levels[column % 3]) < 0.07
    expected = np.mean(
        [d2_pinball_score(y[:, k // 3], prediction[:, k], alpha=levels[k % 3]) for k in range(6)]
    )
    assert model.score(X, y) == pytest.approx(expected, rel=1e-12)
    weight = np.arange(len(X)) % 2
    assert model.score(X, y, weight) == pytest.approx(model.score(X[1::2], y[1::2]), rel=1e-12)
    single = MLPRegressor("quantile", quantile=0.9, **SMALL).fit(X, y[:, 0])
    assert single.predict(X).shape == (len(X),)
    early = MLPRegressor("quantile", quantile=levels, early_stopping=True, **SMALL).fit(X, y)
    assert np.isfinite(early.validation_scores_).all()


def test_a_score_of_other_columns_or_levels_is_refused():
    X, y = data(outputs=2)
    model = MLPRegressor("quantile", quantile=[0.1, 0.5, 0.9], **SMALL).fit(X, y)
    for levels, targets in (([0.1, 0.5, 0.9], y[:, 0]), (0.5, y), ([0.2, 0.8], y)):
        with pytest.raises(ValueError, match=r"y and quantile make . outputs, .* has 6"):
            model.set_params(quantile=levels).score(X, targets)


@pytest.mark.parametrize("link", ["logistic", "softplus", "exp"])
def test_out_activation_is_the_link_of_the_prediction(link):
    X, y = data()
    y = (y - y.min()) / np.ptp(y) if link == "logistic" else abs(y) + 0.1
    model = MLPRegressor(out_activation=link, **SMALL).fit(X, y)
    raw = MLPRegressor.from_weights(model.coefs_, model.intercepts_, activation="relu").predict(X)
    function = twins.LINKS[link].graph
    np.testing.assert_allclose(model.predict(X), function(raw), rtol=1e-12)
    assert model.out_activation_ == link
    own = MLPRegressor(lambda raw, y: 0.5 * (function(raw) - y) ** 2, out_activation=link, **SMALL)
    assert_twins(own.fit(X, y), model, X)


# ---- initial weights


@pytest.mark.parametrize(
    "init, variance",
    [("glorot_uniform", 2 / 500), ("he_uniform", 2 / 300), ("lecun_uniform", 1 / 300)],
)
def test_initial_weights_have_the_variance_of_their_name(init, variance):
    model = first_weights(init=init)
    assert np.var(model.coefs_[0]) == pytest.approx(variance, rel=0.02)
    assert abs(model.coefs_[0].mean()) < 3 * (variance / 60000) ** 0.5
    assert abs(model.intercepts_[0]).max() > 0 or init != "glorot_uniform"


def first_weights(**parameters):
    X = np.random.RandomState(0).randn(10, 300)
    model = MLPRegressor(
        hidden_layer_sizes=(200, 200),
        random_state=0,
        max_iter=1,
        solver="sgd",
        learning_rate_init=1e-300,
        **parameters,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, X[:, 0])


def test_auto_takes_what_fits_each_layer():
    for activation in ("leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish"):
        auto, he = first_weights(activation=activation), first_weights(init="he_uniform")
        np.testing.assert_array_equal(auto.coefs_[0], he.coefs_[0])
    lecun = first_weights(activation="selu").coefs_[0]
    np.testing.assert_array_equal(lecun, first_weights(init="lecun_uniform").coefs_[0])
    for activation in ("relu", "tanh", "identity", ACTIVATIONS["silu"], "softplus", "step"):
        glorot = first_weights(init="glorot_uniform").coefs_[0]
        np.testing.assert_array_equal(first_weights(activation=activation).coefs_[0], glorot)
    mixed = first_weights(activation=["logistic", "selu"])
    assert np.var(mixed.coefs_[0]) == pytest.approx(2 / 3 / 500, rel=0.02)
    assert np.var(mixed.coefs_[1]) == pytest.approx(1 / 200, rel=0.02)
    assert abs(mixed.intercepts_[1]).max() < 1e-200 < abs(mixed.intercepts_[0]).min()


# ---- given weights


@pytest.mark.parametrize(
    "gate, weights, bias", [("and", [1, 1], -1.5), ("or", [1, 1], -0.5), ("nand", [-1, -1], 1.5)]
)
def test_gates_are_single_units(gate, weights, bias):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    model = MLPClassifier.from_weights([np.reshape(weights, (2, 1))], [[bias]], activation="step")
    a, b = X.T.astype(bool)
    expected = {"and": a & b, "or": a | b, "nand": ~(a & b)}[gate]
    np.testing.assert_array_equal(model.predict(X), expected)


def test_xor_is_gates_stacked():
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    model = MLPClassifier.from_weights(
        [[[1, -1], [1, -1]], [[1], [1]]],
        [[-0.5, 1.5], [-1.5]],
        activation="step",
        classes=["even", "odd"],
    )
    assert model.predict(X).tolist() == ["even", "odd", "odd", "even"]
    model.partial_fit(X, ["even", "odd", "odd", "even"])  # by step's straight-through gradient
    assert model.classes_.tolist() == ["even", "odd"]


def test_given_weights_are_copied_and_checked():
    weights, bias = np.ones((2, 3), np.float32), np.zeros(3, np.float32)
    model = MLPClassifier.from_weights([weights], [bias], activation="relu", alpha=0.5)
    assert model.coefs_[0].dtype == np.float32 and not np.shares_memory(model.coefs_[0], weights)
    assert model.classes_.tolist() == [0, 1, 2] and model.alpha == 0.5
    assert model.hidden_layer_sizes == () and model.n_layers_ == 2
    np.testing.assert_allclose(model.predict_proba([[0.0, 0.0]]), 1 / 3, rtol=1e-6)
    assert clone(model).get_params() == model.get_params()
    for message, arguments in {
        "do not fit each other": dict(
            coefs=[np.ones((2, 3)), np.ones((2, 1))], intercepts=[np.ones(3), np.ones(1)]
        ),
        "must be finite": dict(coefs=[np.full((2, 1), np.nan)], intercepts=[np.ones(1)]),
        "real": dict(coefs=[np.full((2, 1), 1j)], intercepts=[np.ones(1)]),
        "one layer at least": dict(coefs=[], intercepts=[]),
        "no width is 0": dict(coefs=[np.ones((0, 1))], intercepts=[np.ones(1)]),
        "two classes have one output": dict(coefs=[np.ones((2, 2))], intercepts=[np.ones(2)]),
        "classes must be 3 labels": dict(coefs=[weights], intercepts=[bias], classes=[1, 2]),
        "in rising order": dict(coefs=[weights], intercepts=[bias], classes=[1, 3, 2]),
        "'alpha' parameter": dict(coefs=[weights], intercepts=[bias], alpha=-1),
        "activation must be": dict(
            coefs=[weights, np.ones((3, 1))], intercepts=[bias, np.ones(1)], activation="gulp"
        ),
    }.items():
        with pytest.raises(ValueError, match=message):
            MLPClassifier.from_weights(**{"activation": "relu", **arguments})


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one", "several"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_model_of_scikit_learn_is_taken_over(kind, dtype, activation):
    neural_network = pytest.importorskip("sklearn.neural_network")
    X, y = data(outputs=3)
    cls, y = {
        "binary": (MLPClassifier, np.where(y[:, 0] > 0, "yes", "no")),
        "multiclass": (MLPClassifier, y.argmax(axis=1) * 10),
        "multilabel": (MLPClassifier, y > 0),
        "one": (MLPRegressor, y[:, 0]),
        "several": (MLPRegressor, y),
    }[kind]
    model = getattr(neural_network, cls.__name__)(
        activation=activation, max_iter=4, random_state=0
    ).fit(X.astype(dtype), y)
    ours = cls.from_sklearn(model)
    # Both compute in the dtype of X; in float32 they round differently.
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    method = "predict_proba" if cls is MLPClassifier else "predict"
    np.testing.assert_allclose(
        getattr(ours, method)(X.astype(dtype)),
        getattr(model, method)(X.astype(dtype)),
        rtol=tolerance,
        atol=tolerance,
    )
    if cls is MLPClassifier:
        np.testing.assert_array_equal(ours.predict(X), model.predict(X))
    assert ours.coefs_[0].dtype == dtype and ours.loss_curve_ == model.loss_curve_
    assert ours.get_params().items() >= model.get_params().items()
    before = [w.copy() for w in model.coefs_]
    ours.partial_fit(X.astype(dtype), y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.coefs_, strict=True))
    assert ours.n_iter_ == 1 and len(ours.loss_curve_) == 5


def test_nothing_is_shared_with_a_model_of_scikit_learn():
    neural_network = pytest.importorskip("sklearn.neural_network")
    X, y = data()
    model = neural_network.MLPRegressor(
        hidden_layer_sizes=[5], max_iter=2, random_state=np.random.RandomState(0)
    ).fit(X, y)
    ours = MLPRegressor.from_sklearn(model)
    assert ours.random_state is not model.random_state
    assert ours.hidden_layer_sizes is not model.hidden_layer_sizes


def test_levels_have_to_fit_given_weights():
    with pytest.raises(ValueError, match="quantile has 3 levels, but there are 2 outputs"):
        MLPRegressor.from_weights(
            [np.ones((4, 2))],
            [np.ones(2)],
            activation="relu",
            loss="quantile",
            quantile=[0.1, 0.5, 0.9],
        )


def test_only_fitted_models_of_the_same_kind_are_taken_over():
    neural_network = pytest.importorskip("sklearn.neural_network")
    with pytest.raises(TypeError, match=r"fitted sklearn\.neural_network\.MLPClassifier, got MLPR"):
        MLPClassifier.from_sklearn(neural_network.MLPRegressor())
    with pytest.raises(ValueError, match="not fitted"):
        MLPRegressor.from_sklearn(neural_network.MLPRegressor())
