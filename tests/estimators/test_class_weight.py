"""class_weight: equal to explicit sample weights, and scikit-learn's words."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from fastbp import MLPClassifier, MLPRegressor
from fits import bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X, X_VAL = rng.randn(90, 5), rng.randn(40, 5)
W, W_VAL = rng.rand(90) + 0.1, rng.rand(40) + 0.1
Y = np.array(["ant", "bee", "cat"])[(rng.rand(90) ** 2 * 3).astype(int)]
Y_VAL = np.array(["ant", "bee", "cat"])[rng.randint(3, size=40)]
WEIGHTS = {"ant": 0.3, "bee": 1.7, "cat": 5.0}
M, M_VAL = rng.randint(2, size=(90, 3)), rng.randint(2, size=(40, 3))
SMALL = dict(hidden_layer_sizes=(6,), max_iter=5, random_state=0, batch_size=20)


def row_weights(y, weights):
    return np.array([weights[label] for label in y])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("validation", [None, "held out", "given"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("classes", ["binary", "three"])
def test_it_is_sample_weight_bit_for_bit(classes, solver, dtype, sparse, validation, weighted):
    y, y_val = (Y, Y_VAL) if classes == "three" else (Y == "cat", Y_VAL == "cat")
    weights = WEIGHTS if classes == "three" else {False: 0.4, True: 3.0}
    x, x_val = X.astype(dtype), X_VAL.astype(dtype)
    if sparse:
        x, x_val = sp.csr_array(x), sp.csr_array(x_val)
    w, w_val = (W, W_VAL) if weighted else (None, None)
    w_all, w_all_val = row_weights(y, weights), row_weights(y_val, weights)
    if weighted:
        w_all, w_all_val = W * w_all, W_VAL * w_all_val
    given, given_all = {}, {}
    if validation == "given":
        given = dict(X_val=x_val, y_val=y_val, sample_weight_val=w_val)
        given_all = {**given, "sample_weight_val": w_all_val}
    model = MLPClassifier(
        **SMALL, solver=solver, class_weight=weights, early_stopping=validation == "held out"
    ).fit(x, y, w, **given)
    twin = MLPClassifier(**SMALL, solver=solver, early_stopping=validation == "held out")
    twin.fit(x, y, w_all, **given_all)
    assert bits(model) == bits(twin)
    for name in ("loss_", "loss_curve_", "validation_scores_", "validation_loss_curve_"):
        assert getattr(model, name, None) == getattr(twin, name, None)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_and_warm_start(solver):
    classes = ["ant", "bee", "cat"]
    model = MLPClassifier(**SMALL, solver=solver, class_weight=WEIGHTS)
    twin = MLPClassifier(**SMALL, solver=solver)
    for part in (slice(0, 30), slice(30, 60)):  # of which not all have all classes
        y = np.where(Y[part] == "cat", "bee", Y[part])
        model.partial_fit(X[part], y, classes=classes)
        twin.partial_fit(X[part], y, row_weights(y, WEIGHTS), classes=classes)
    assert bits(model) == bits(twin)
    model.set_params(warm_start=True).fit(X, Y)
    twin.set_params(warm_start=True).fit(X, Y, row_weights(Y, WEIGHTS))
    assert bits(model) == bits(twin)


@pytest.mark.parametrize("weight", [None, W])
def test_balanced_is_that_of_scikit_learn(weight):
    rows = compute_sample_weight("balanced", Y)
    if weight is not None:
        of_class = {c: W[Y == c].sum() for c in set(Y)}
        rows = W * np.array([W.sum() / (3 * of_class[c]) for c in Y])
    model = MLPClassifier(**SMALL, class_weight="balanced").fit(X, Y, weight)
    twin = MLPClassifier(**SMALL).fit(X, Y, rows)
    np.testing.assert_allclose(model.loss_curve_, twin.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(rows.sum(), 90 if weight is None else W.sum())


def test_balanced_counts_repeated_rows_as_weight_two_and_weight_zero_as_absent():
    full = dict(hidden_layer_sizes=(4,), max_iter=5, random_state=0, solver="lbfgs", alpha=0.01)
    twice = np.r_[np.arange(90), np.arange(20)]
    weight = np.where(np.arange(90) < 20, 2.0, 1.0)
    a = MLPClassifier(**full, class_weight="balanced").fit(X[twice], Y[twice])
    b = MLPClassifier(**full, class_weight="balanced").fit(X, Y, weight)
    np.testing.assert_allclose(a.loss_, b.loss_, rtol=1e-10)
    is_cat = Y == "cat"
    absent = np.where(is_cat, 0.0, W)
    a = MLPClassifier(**full, class_weight="balanced").fit(X, Y, absent)
    of_class = {c: W[Y == c].sum() for c in ("ant", "bee")}
    rows = np.array([0 if c == "cat" else 1 / of_class[c] for c in Y]) * W * absent.sum() / 2
    b = MLPClassifier(**full).fit(X, Y, rows)
    np.testing.assert_allclose(a.loss_, b.loss_, rtol=1e-10)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_power_of_two_changes_nothing_without_a_penalty(solver):
    small = {**SMALL, "alpha": 0.0, "solver": solver}
    a = MLPClassifier(**small, class_weight=WEIGHTS).fit(X, Y)
    scaled = {name: 2.0**-40 * weight for name, weight in WEIGHTS.items()}
    assert bits(a) == bits(MLPClassifier(**small, class_weight=scaled).fit(X, Y))


@pytest.mark.parametrize(
    "labels, weights",
    [
        (["1", "2"], {"1": 1.0, "2": 5.0}),
        (["1", "2"], {1: 1.0, 2: 5.0}),
        ([False, True], {False: 1.0, True: 5.0}),
        ([False, True], {0: 1, 1: 5}),
        ([-1, 1], {-1: 1, 1: 5}),
        ([10, 20], {20: 5.0}),
        ([1.0, 2.0], {1: 1, 2: 5}),
        (["a", "b"], {"b": 5.0}),
    ],
    ids=str,
)
def test_labels_of_any_type(labels, weights):
    y = np.array(labels)[(Y == "cat").astype(int)]
    model = MLPClassifier(**SMALL, class_weight=weights).fit(X, y)
    assert bits(model) == bits(MLPClassifier(**SMALL).fit(X, y, np.where(Y == "cat", 5.0, 1.0)))


@pytest.mark.parametrize("sparse", [False, True])
def test_multilabel(sparse):
    y, y_val = (sp.csr_array(M), sp.csr_array(M_VAL)) if sparse else (M, M_VAL)
    given = dict(X_val=X_VAL, y_val=y_val)
    model = MLPClassifier(**SMALL, class_weight="balanced").fit(X, y, **given)
    expected = compute_sample_weight("balanced", M)
    tables = [np.bincount(column, minlength=2) for column in M.T]
    val = np.prod([45 / table[col] for table, col in zip(tables, M_VAL.T, strict=True)], axis=0)
    twin = MLPClassifier(**SMALL).fit(X, y, expected, **given, sample_weight_val=val)
    np.testing.assert_allclose(model.loss_curve_, twin.loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(model.validation_scores_, twin.validation_scores_, rtol=1e-12)
    dicts = [{0: 1, 1: 2}, {1: 3}, {0: 0.5, 1: 0.25}]
    model = MLPClassifier(**SMALL, class_weight=dicts).fit(X, y)
    twin = MLPClassifier(**SMALL).fit(X, y, compute_sample_weight(dicts, M))
    assert bits(model) == bits(twin)


def test_a_class_of_weight_zero_is_that_of_logistic_regression():
    options = dict(solver="lbfgs", tol=1e-10, max_iter=5000, random_state=0)
    weights = {"ant": 0.0, "bee": 1.0, "cat": 2.0}
    model = MLPClassifier((), alpha=1.0, class_weight=weights, warm_start=True, **options)
    for _ in range(4):  # a fit ends where the loss changes by less than 2e-9 of its size
        model.fit(X, Y)
    theirs = LogisticRegression(C=1.0, class_weight=weights, tol=1e-10, max_iter=5000).fit(X, Y)
    np.testing.assert_allclose(
        model.predict_proba(X)[:, 1:], theirs.predict_proba(X)[:, 1:], atol=1e-5
    )


def test_score_and_predictions_do_not_use_it():
    model = MLPClassifier(**SMALL, class_weight=WEIGHTS).fit(X, Y)
    assert model.score(X, Y) == (model.predict(X) == Y).mean()


def test_it_is_pickled_and_searched():
    search = GridSearchCV(
        MLPClassifier(**SMALL), {"class_weight": [None, "balanced", WEIGHTS]}, cv=2
    ).fit(X, Y)
    model = pickle.loads(pickle.dumps(search.best_estimator_))
    assert bits(model) == bits(search.best_estimator_)
    assert "class_weight" not in MLPRegressor().get_params()


def their_error(weights, y):
    with pytest.raises(ValueError) as raised:
        compute_class_weight(weights, classes=np.unique(y), y=y)
    return str(raised.value)


def error(weights, y, method="fit", **kwargs):
    model = MLPClassifier(**SMALL, class_weight=weights)
    with pytest.raises(ValueError) as raised:
        getattr(model, method)(X, y, **kwargs)
    assert not hasattr(model, "coefs_")
    return str(raised.value)


@pytest.mark.parametrize(
    "weights", [{"ant": 2, "dog": 3}, {"dog": 1}, {0: 1, 1: 2}, {"ant": 1, "bee": 2, "dog": 2}]
)
def test_missing_classes_have_the_words_of_scikit_learn(weights):
    assert error(weights, Y) == their_error(weights, Y)


def test_numbers_as_strings_are_looked_up_as_numbers_too():
    y = np.where(Y == "cat", "1", "2")
    assert error({"1": 2, "3": 4}, y) == "The classes, [2], are not in class_weight"


def test_errors():
    for wrong in (-1, np.nan, np.inf, "1", None, [1]):
        assert error({"ant": wrong, "bee": 1, "cat": 1}, Y) == (
            f"class_weight must be finite and >= 0, got 'ant': {wrong!r}."
        )
    assert "must be a dict or 'balanced' for a single target" in error([{"ant": 1}], Y)
    for weights in ({0: 1}, [1, 2, 3]):
        with pytest.raises(ValueError) as raised:
            compute_sample_weight({0: 1}, M)
        assert error(weights, M) == str(raised.value)
    with pytest.raises(ValueError) as raised:
        compute_sample_weight([{0: 1}], M)
    assert error([{0: 1}], M) == str(raised.value)
    assert "contain at least one non-zero number" in error(dict.fromkeys(WEIGHTS, 0), Y)
    soft = np.full((90, 3), 1 / 3)
    assert "soft labels: weigh their rows by sample_weight" in error("balanced", soft)
    assert "all weights of y_val zero" in error(
        {"ant": 1, "bee": 1, "cat": 0}, Y, X_val=X_VAL[:2], y_val=["cat", "cat"]
    )


def test_partial_fit_refuses_balanced_in_every_call():
    from sklearn.linear_model import SGDClassifier

    with pytest.raises(ValueError) as theirs:
        SGDClassifier(class_weight="balanced").partial_fit(X, Y, classes=np.unique(Y))
    assert error("balanced", Y, "partial_fit", classes=np.unique(Y)) == str(theirs.value)
    model = MLPClassifier(**SMALL, class_weight="balanced").fit(X, Y)
    before = bits(model)
    with pytest.raises(ValueError, match="not supported for partial_fit"):
        model.partial_fit(X, Y)
    assert bits(model) == before


def test_early_stopping_may_miss_a_class_in_validation():
    y = Y.copy()
    y[2:][y[2:] == "cat"] = "ant"
    y[:2] = "cat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MLPClassifier(**SMALL, class_weight="balanced").fit(
            X, y, X_val=X_VAL, y_val=np.where(Y_VAL == "cat", "bee", Y_VAL)
        )
