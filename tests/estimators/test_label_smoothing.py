"""label_smoothing: its objective, where it counts and where not, and what it needs."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, MLPRegressor, check_gradient
from fastbp import graph as fg
from fastbp.callbacks import StopWhen
from fastbp.ensemble import MLPEnsembleClassifier
from fastbp.inspection import layer_statistics
from fits import bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
N = 90
X, X_VAL = rng.randn(N, 5), rng.randn(40, 5)
W = rng.rand(N) + 0.1
SIGNAL, SIGNAL_VAL = X[:, 0] + rng.randn(N) / 2, X_VAL[:, 0] + rng.randn(40) / 2
SHARES = rng.dirichlet([0.5] * 3, N + 40)
TARGETS = {  # y and y_val
    "binary": (SIGNAL > 0, SIGNAL_VAL > 0),
    "classes": (np.digitize(SIGNAL, [-0.6, 0.6]), np.digitize(SIGNAL_VAL, [-0.6, 0.6])),
    "multilabel": (X[:, :3] > 0, X_VAL[:, :3] > 0),
    "targets": tuple(
        np.column_stack([np.digitize(x[:, 0], [-0.6, 0.6]), x[:, 1] > 0]) for x in (X, X_VAL)
    ),
    "shares": (SHARES[:N], SHARES[N:]),
}
SMALL = dict(hidden_layer_sizes=(6,), max_iter=8, random_state=0, batch_size=20)
over_targets = pytest.mark.parametrize("kind", TARGETS)


def smoothed_loss(model, x, y, smoothing):
    """The mean log loss by the formula, of predicted probabilities."""

    def of_target(p, y):
        return -(((1 - smoothing) * y + smoothing / p.shape[1]) * np.log(p)).sum(axis=1)

    probability = model.predict_proba(x)
    if isinstance(probability, list):
        pairs = zip(probability, y.T, strict=True)
        return sum(of_target(p, np.eye(p.shape[1])[one]) for p, one in pairs).mean()
    if model.out_activation_ == "softmax":
        return of_target(probability, y if y.ndim == 2 else np.eye(3)[y]).mean()
    p = probability[:, 1:] if y.ndim == 1 else probability
    y = y.reshape(p.shape).astype(float)
    pairs = zip(p.T, y.T, strict=True)
    return sum(of_target(np.c_[1 - a, a], np.c_[1 - b, b]) for a, b in pairs).mean()


# ---- the objective


@over_targets
@pytest.mark.parametrize("smoothing", [0.1, 0.9])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_training_loss_is_smoothed_and_the_validation_loss_not(solver, smoothing, kind):
    y, y_val = TARGETS[kind]
    model = MLPClassifier(
        (6,), solver=solver, learning_rate_init=1e-300, alpha=0, batch_size=N, random_state=0,
        max_iter=1, label_smoothing=smoothing, scoring="loss",
    ).fit(X, y, X_val=X_VAL, y_val=y_val)  # fmt: skip
    assert model.loss_ == pytest.approx(smoothed_loss(model, X, y, smoothing), rel=1e-12)
    plain = smoothed_loss(model, X_VAL, y_val, 0.0)
    assert model.validation_loss_curve_ == pytest.approx([plain], rel=1e-12)
    assert model.validation_scores_ == pytest.approx([-plain], rel=1e-12)


@over_targets
@pytest.mark.parametrize("weight", [None, W], ids=["plain", "weighted"])
def test_the_gradient_is_that_of_the_objective(weight, kind):
    y, _ = TARGETS[kind]
    model = MLPClassifier(**SMALL, activation="tanh", label_smoothing=0.3)
    assert check_gradient(model, X, y, weight).passed
    model.fit(X, y)
    smooth = check_gradient(model, X, y, weight)
    plain = check_gradient(model.set_params(label_smoothing=0.0), X, y, weight)
    assert smooth.passed and plain.passed
    assert abs(smooth.analytic[-1][1] - plain.analytic[-1][1]).max() > 1e-4
    rms = [layer_statistics(model.set_params(label_smoothing=e), X, y) for e in (0.3, 0.0)]
    assert not np.array_equal(rms[0].gradient_rms, rms[1].gradient_rms)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_it_is_a_fit_of_soft_labels(solver, dtype, sparse):
    x = sp.csr_array(X.astype(dtype)) if sparse else X.astype(dtype)
    y, _ = TARGETS["classes"]
    shares = np.full((N, 3), 0.1 / 3)
    shares[np.arange(N), y] += 0.9
    model = MLPClassifier(**SMALL, solver=solver, label_smoothing=0.1).fit(x, y, W)
    twin = MLPClassifier(**SMALL, solver=solver).fit(x, shares, W)
    tolerance = 1e-11 if dtype == np.float64 else 2e-4
    assert_allclose(model.loss_, twin.loss_, rtol=tolerance)
    for ours, theirs in zip(model.coefs_, twin.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["binary", "classes"])
def test_the_optimum_is_logistic_regression_on_every_label_by_its_share(kind):
    """Each sample once for each class, with the weight that smoothing gives to it."""
    y, _ = TARGETS[kind]
    labels = np.unique(y)
    weight = (np.repeat(y, len(labels)) == np.tile(labels, N)) * 0.7 + 0.3 / len(labels)
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(
        np.repeat(X, len(labels), axis=0), np.tile(labels, N), weight
    )
    model = MLPClassifier(
        (), solver="lbfgs", alpha=1.0, tol=1e-10, max_iter=5000, max_fun=10**6, random_state=0,
        label_smoothing=0.3,
    ).fit(X, y)  # fmt: skip
    assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-4)


def test_class_weight_weighs_samples_by_their_own_class():
    y, _ = TARGETS["classes"]
    weights = {0: 0.3, 1: 1.7, 2: 5.0}
    model = MLPClassifier(**SMALL, label_smoothing=0.2, class_weight=weights).fit(X, y, W)
    rows = W * np.array([weights[label] for label in y])
    assert bits(model) == bits(MLPClassifier(**SMALL, label_smoothing=0.2).fit(X, y, rows))


@over_targets
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_same_bits_for_1_to_4_threads(solver, kind):
    y, _ = TARGETS[kind]
    model = MLPClassifier(**SMALL, solver=solver, label_smoothing=0.1)
    found = {bits(clone(model).set_params(n_threads=n).fit(X, y, W)) for n in (1, 2, 3, 4)}
    assert len(found) == 1


@over_targets
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_it_keeps_probabilities_from_0_and_1(solver, kind):
    y, _ = TARGETS[kind]
    options = dict(SMALL, hidden_layer_sizes=(40,), max_iter=300, learning_rate_init=0.02, alpha=0)
    sharp, soft = (
        MLPClassifier(**options, solver=solver, label_smoothing=e).fit(X, y) for e in (0.0, 0.3)
    )
    least = [
        np.hstack(np.atleast_2d(model.predict_proba(X))).min() if kind != "targets" else
        min(one.min() for one in model.predict_proba(X))
        for model in (sharp, soft)
    ]  # fmt: skip
    assert least[0] < least[1]
    if kind != "shares":
        assert soft.score(X, y) > 0.9


@over_targets
def test_scores_are_those_of_y_itself(kind):
    y, y_val = TARGETS[kind]
    model = MLPClassifier(**SMALL, label_smoothing=0.3, early_stopping=True)
    model.fit(X, y, X_val=X_VAL, y_val=y_val)
    best = max(model.validation_scores_)
    assert best == model.score(X_VAL, y_val) == model.best_validation_score_
    truth = y_val.argmax(axis=1) if kind == "shares" else y_val
    if kind in ("binary", "classes", "shares"):
        assert model.score(X_VAL, y_val) == accuracy_score(truth, model.predict(X_VAL))
    if kind == "classes":
        last = MLPClassifier(**SMALL, label_smoothing=0.3).fit(X, y, X_val=X_VAL, y_val=y_val)
        expected = log_loss(y_val, last.predict_proba(X_VAL))
        assert last.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)


# ---- calls that go on, and what holds an estimator


def test_each_call_of_partial_fit_takes_the_share_of_then():
    y, _ = TARGETS["classes"]
    model = MLPClassifier(**SMALL).partial_fit(X, y, classes=[0, 1, 2])
    twin = clone(model).partial_fit(X, y, classes=[0, 1, 2])
    model.set_params(label_smoothing=0.2).partial_fit(X, y)
    assert bits(model) != bits(twin.partial_fit(X, y))
    first = MLPClassifier(**SMALL, label_smoothing=0.2).partial_fit(X, y, classes=[0, 1, 2])
    assert bits(first.set_params(label_smoothing=0.0).partial_fit(X, y)) != bits(twin)
    model.set_params(label_smoothing=1.0)
    with pytest.raises(ValueError, match="The 'label_smoothing' parameter"):
        model.partial_fit(X, y)


@over_targets
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_that_is_resumed_has_the_bits_of_one_that_was_not(early_stopping, kind):
    y, _ = TARGETS[kind]
    options = dict(SMALL, label_smoothing=0.1, early_stopping=early_stopping)
    whole = MLPClassifier(**options).fit(X, y)
    part = MLPClassifier(**options)
    part.set_callbacks(StopWhen(lambda estimator: estimator.n_iter_ == 3)).fit(X, y)
    assert part.n_iter_ == 3
    part = pickle.loads(pickle.dumps(part.set_callbacks())).resume(X, y)
    assert bits(part) == bits(whole) and part.loss_curve_ == whole.loss_curve_
    part.set_params(label_smoothing=0.2, max_iter=9)
    with pytest.raises(ValueError, match=r"label_smoothing is 0\.2, but was 0\.1 in the fit"):
        part.resume(X, y)


def test_clones_searches_and_ensembles_have_it():
    y, _ = TARGETS["classes"]
    model = MLPClassifier(**SMALL, label_smoothing=0.1).fit(X, y)
    assert clone(model).get_params()["label_smoothing"] == 0.1
    assert bits(clone(model).fit(X, y)) == bits(model) != bits(MLPClassifier(**SMALL).fit(X, y))
    search = GridSearchCV(
        MLPClassifier(**SMALL), {"label_smoothing": [0.0, 0.1]}, cv=2, scoring="neg_log_loss"
    ).fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    ensemble = MLPEnsembleClassifier(model, n_members=2, random_state=0).fit(X, y)
    assert {member.label_smoothing for member in ensemble.estimators_} == {0.1}
    assert "label_smoothing" not in MLPRegressor().get_params()


# ---- what it needs


def own_log_loss(raw, y):
    return fg.logsumexp(raw) - fg.sum(raw * y)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "check_gradient"])
@pytest.mark.parametrize("loss", ["squared_error", own_log_loss], ids=["name", "own"])
@over_targets
def test_it_needs_the_log_loss(kind, loss, method):
    y, _ = TARGETS[kind]
    model = MLPClassifier(**SMALL, loss=loss, label_smoothing=0.1)
    call = {
        "fit": lambda: model.fit(X, y),
        "partial_fit": lambda: model.partial_fit(X, y, classes=CLASSES[kind]),
        "check_gradient": lambda: check_gradient(model, X, y),
    }[method]
    message = "^label_smoothing must be 0 unless loss='log_loss', got 0.1 and loss="
    if kind == "shares":
        message = "^y is soft labels, which need loss='log_loss', got"
    with pytest.raises(ValueError, match=message):
        call()
    assert not hasattr(model, "coefs_")


CLASSES = {
    "binary": [False, True],
    "classes": [0, 1, 2],
    "multilabel": [0, 1, 2],
    "targets": [[0, 1, 2], [0, 1]],
    "shares": [0, 1, 2],
}


def test_from_weights_takes_it():
    y, _ = TARGETS["classes"]
    fitted = MLPClassifier(**SMALL).fit(X, y)
    arrays = fitted.coefs_, fitted.intercepts_
    model = MLPClassifier.from_weights(*arrays, activation="relu", label_smoothing=0.1)
    assert_allclose(model.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)
    model.partial_fit(X, y)
    for given in (dict(label_smoothing=-0.1), dict(label_smoothing=0.1, loss="squared_error")):
        with pytest.raises(ValueError, match="label_smoothing"):
            MLPClassifier.from_weights(*arrays, activation="relu", **given)
