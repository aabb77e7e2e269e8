"""feature_importance against central differences and known laws."""

import numpy as np
import pytest
from layer_oracle import quietly
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from fastbp import MLPClassifier, MLPRegressor
from fastbp.inspection import activations, feature_importance
from fastbp.kernels import core
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

E = 1e-6
SMOOTH = [name for name in core.ACTIVATIONS if name != "step"]


def rows(n=60, n_features=4, seed=0):
    random = np.random.RandomState(seed)
    return random.randn(n, n_features) * np.arange(1, n_features + 1) + 1


def by_differences(function, X, columns=None):
    """The importance by the definition; `function` gives the outputs, shape (rows, outputs)."""
    contributions = np.empty((X.shape[1], *function(X).shape))
    for c, unit in enumerate(np.eye(X.shape[1], dtype=X.dtype)):
        slope = (function(X + E * unit) - function(X - E * unit)) / (2 * E)
        contributions[c] = slope * (X[:, c] - X[:, c].mean())[:, None]
    features = np.arange(X.shape[1]) if columns is None else columns
    summed = [contributions[features == j].sum(axis=0) for j in range(features.max() + 1)]
    return np.array([np.sqrt(np.mean(one**2)) for one in summed])


def agree(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


# ---- one network


@pytest.mark.parametrize("activation", SMOOTH)
def test_it_agrees_with_differences(activation):
    X = rows()
    y = np.sin(X[:, 0]) + X[:, 1] / 5
    model = MLPRegressor(
        hidden_layer_sizes=(7, 5), activation=activation, max_iter=3, random_state=0
    )
    quietly(model, X, y)
    found = feature_importance(model, X)
    agree(found.importances_mean, by_differences(lambda x: model.predict(x)[:, None], X))
    np.testing.assert_array_equal(found.importances[:, 0], found.importances_mean)
    np.testing.assert_array_equal(found.importances_std, 0)
    assert found.feature_names.tolist() == ["x0", "x1", "x2", "x3"]


LINKS = {
    "poisson": {"loss": "poisson"},
    "tweedie": {"loss": "tweedie"},
    "logistic": {"out_activation": "logistic"},
    "softplus": {"out_activation": "softplus"},
    "exp": {"out_activation": "exp"},
    "gaussian": {"loss": "gaussian"},
    "quantile": {"loss": "quantile", "quantile": [0.1, 0.9]},
}


@pytest.mark.parametrize("name", LINKS)
def test_regressors_count_in_units_of_the_prediction(name):
    X = rows()
    y = 1 / (1 + np.exp(-X[:, 0] + X[:, 3] / 4))
    model = MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=5, random_state=0)
    quietly(model.set_params(**LINKS[name]), X, y)
    found = feature_importance(model, X).importances_mean
    agree(found, by_differences(lambda x: model.predict(x).reshape(len(x), -1), X))


@pytest.mark.parametrize("link", ["relu", "tanh"])
def test_links_that_are_set_by_hand(link):
    X = rows()
    model = quietly(MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0), X, X[:, 0])
    model.out_activation_ = link
    found = feature_importance(model, X).importances_mean
    agree(found, by_differences(lambda x: model.predict(x)[:, None], X))


def test_several_outputs_are_averaged_in_squares():
    X = rows()
    model = MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0)
    quietly(model, X, X[:, :3] ** 2)
    agree(feature_importance(model, X).importances_mean, by_differences(model.predict, X))


def raw(model, X, centred=False):
    z = activations(model, X)[-1]
    return z - z.mean(axis=1, keepdims=True) if centred else z


def test_classifiers_count_in_log_odds():
    X = rows()
    classes = (X[:, 0] > 1).astype(int) + (X[:, 2] > 3)
    for y, centred in ((classes > 0, False), (classes, True), (X > 1, False)):
        model = quietly(MLPClassifier((6,), max_iter=5, random_state=0), X, y)
        found = feature_importance(model, X).importances_mean
        agree(found, by_differences(lambda x: raw(model, x, centred), X))  # noqa: B023


def test_several_targets_are_centred_each():
    X = rows()
    Y = np.column_stack([np.digitize(X[:, 0], [0, 1]), np.digitize(X[:, 1], [-1, 0, 2])])
    model = quietly(MLPClassifier((6,), max_iter=5, random_state=0), X, Y)

    def centred(x):
        blocks = np.split(raw(model, x), [3], axis=1)
        return np.hstack([block - block.mean(axis=1, keepdims=True) for block in blocks])

    agree(feature_importance(model, X).importances_mean, by_differences(centred, X))


def test_of_a_linear_function_it_is_weight_times_spread():
    X, w = rows(500, 5), np.array([3.0, 0, -1, 0.5, 2])
    model = MLPRegressor.from_weights([w[:, None]], [[7.0]], activation="relu")
    found = feature_importance(model, X).importances_mean
    np.testing.assert_allclose(found, abs(w) * X.std(axis=0), rtol=1e-12)


def test_a_shift_of_a_feature_changes_nothing():
    X = rows()
    w, v = np.random.RandomState(1).randn(2, 4, 4)
    b = v[0]
    shift = np.array([5.0, -3, 0, 100])
    one = MLPRegressor.from_weights([w, v[:, :1]], [b, [0.0]], activation="tanh")
    other = MLPRegressor.from_weights([w, v[:, :1]], [b - shift @ w, [0.0]], activation="tanh")
    agree(
        feature_importance(other, X + shift).importances_mean,
        feature_importance(one, X).importances_mean,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_features_count_nothing(dtype):
    X = rows(77).astype(dtype)
    X[:, 1] = 0.1
    model = quietly(MLPRegressor(hidden_layer_sizes=(6,), max_iter=5), X, X[:, 0])
    found = feature_importance(model, X).importances_mean
    assert found[1] == 0
    assert found.dtype == np.float64
    assert (found[[0, 2, 3]] > 0).all()


def test_sparse_rows_are_as_dense_ones(monkeypatch):
    X = np.where(rows() > 1, rows(), 0)
    model = quietly(MLPClassifier((6,), max_iter=5, random_state=0), X, X[:, 0] > 0)
    whole = feature_importance(model, X).importances_mean
    agree(feature_importance(model, sparse.csr_matrix(X)).importances_mean, whole)
    monkeypatch.setattr("fastbp.inspection.importance.MOST_NUMBERS", 50)  # in small parts
    agree(feature_importance(model, sparse.csc_array(X)).importances_mean, whole)


def test_names_are_those_of_the_frame():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows(), columns=list("pqrs"))
    model = quietly(MLPRegressor(hidden_layer_sizes=(6,), max_iter=5), X, X["p"])
    assert feature_importance(model, X).feature_names.tolist() == list("pqrs")


# ---- tables


def table(n=800):
    pandas = pytest.importorskip("pandas")
    random = np.random.RandomState(0)
    X = pandas.DataFrame(
        {
            "size": random.randn(n),
            "colour": random.choice(["red", "green", "blue"], n),
            "noise": random.randn(n),
            "constant": np.ones(n),
            "one": ["level"] * n,
            "gaps": np.where(random.rand(n) < 0.3, np.nan, random.randn(n)),
        }
    )
    return X, (X["colour"] == "red").to_numpy(float)


@pytest.mark.parametrize("loss", ["squared_error", "gamma"])
def test_features_of_a_table_sum_their_columns(loss):
    X, red = table(200)
    y = np.exp(X["size"] / 2 + red) if loss == "gamma" else X["size"] + 10 * red
    model = TabularMLPRegressor((8,), n_members=3, max_iter=3, loss=loss, random_state=0)
    model.fit(X, y)
    found = feature_importance(model, X)
    x = model.transformer_.transform(X).astype(float)
    columns = model.transformer_.feature_index_
    for k, member in enumerate(model.members_):
        wide = MLPRegressor.from_weights(
            [w.astype(float) for w in member.coefs_],
            [b.astype(float) for b in member.intercepts_],
            activation=member.activation,
        )
        wide.out_activation_ = member.out_activation_

        def predict(x, wide=wide):
            return wide.predict(x)[:, None]

        expected = by_differences(predict, x, columns)
        np.testing.assert_allclose(found.importances[:, k], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.importances_mean, found.importances.mean(axis=1))
    np.testing.assert_array_equal(found.importances_std, found.importances.std(axis=1))
    assert found.feature_names.tolist() == list(X.columns)


def test_a_table_of_known_law():
    X, red = table()
    y = 100 + 2 * X["size"] + 5 * red
    model = TabularMLPRegressor((32, 32), n_members=2, random_state=0).fit(X, y)
    found = dict(zip(X.columns, feature_importance(model, X).importances_mean, strict=True))
    assert found["constant"] == found["one"] == 0
    assert found["size"] == pytest.approx(2 * X["size"].std(), rel=0.15)
    assert found["colour"] == pytest.approx(5 * red.std(), rel=0.15)
    assert max(found["noise"], found["gaps"]) < 0.3


def test_classes_of_a_table():
    X, red = table()
    y = np.where(X["size"] > 0, "large", np.where(red, "red", "small"))
    model = TabularMLPClassifier((16, 16), n_members=2, max_iter=10, random_state=0).fit(X, y)
    found = feature_importance(model, X)
    assert found.importances.shape == (6, 2)
    first, second = np.argsort(-found.importances_mean)[:2]
    assert {first, second} == {0, 1}


def test_arrays_have_numbered_features():
    X = rows(50)
    model = TabularMLPRegressor((4,), n_members=1, max_iter=1, random_state=0).fit(X, X[:, 0])
    model.transformer_.set_output(transform="pandas")
    assert feature_importance(model, X).feature_names.tolist() == ["x0", "x1", "x2", "x3"]


# ---- bad input


def test_bad_input():
    X = rows()
    with pytest.raises(NotFittedError, match="TabularMLPRegressor instance is not fitted yet"):
        feature_importance(TabularMLPRegressor(), X)
    with pytest.raises(NotFittedError, match="MLPClassifier instance is not fitted yet"):
        feature_importance(MLPClassifier(), X)
    for other in (LinearRegression().fit(X, X), MLPRegressor, None):
        with pytest.raises(TypeError, match=r"or TabularMLPRegressor of fastbp, got .*Out of a"):
            feature_importance(other, X)
    model = quietly(MLPRegressor(hidden_layer_sizes=(6,), max_iter=5), X, X[:, 0])
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 4"):
        feature_importance(model, X[:, :3])
    model.out_activation_ = "softmax"
    with pytest.raises(ValueError, match="out_activation_ 'softmax' has no derivative"):
        feature_importance(model, X)
