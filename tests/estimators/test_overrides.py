"""What subclasses of scikit-learn's perceptrons did by private methods has a public way."""

import types
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy.special
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.overrides import WAYS

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- refused overrides


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("name", WAYS)
def test_an_override_of_a_private_method_is_refused(kind, name):
    class Mixin:
        pass

    setattr(Mixin, name, lambda self, *args, **kwargs: None)

    class Own(Mixin, kind):
        pass

    class Deeper(Own):
        pass

    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    for model in (Own(), Deeper()):
        for call in (model.fit, partial(model.partial_fit, **classes)):
            with pytest.raises(TypeError, match=f"overrides {name}, a private method .* Instead: "):
                call(X, y)
        assert not hasattr(model, "coefs_")
    model = kind()
    setattr(model, name, types.MethodType(lambda self: None, model))
    with pytest.raises(TypeError, match=f"overrides {name}"):
        model.fit(X, y)


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("when", ["before a fit", "after a fit"])
def test_a_method_that_is_put_into_a_class_is_refused(name, when, monkeypatch):
    """Into classes of fastbp too, and into a class that has been fitted before."""
    parameters = {"hidden_layer_sizes": (3,), "max_iter": 1}

    class Mixin:
        pass

    class Own(Mixin, MLPRegressor):
        pass

    for patched in (Own, Mixin, MLPRegressor, MLPRegressor.__mro__[2]):
        models = [Own(**parameters)] + [MLPRegressor(**parameters)] * (patched not in (Own, Mixin))
        if when == "after a fit":
            for model in models:
                model.fit(X, y)
        with monkeypatch.context() as patch:
            patch.setattr(patched, name, lambda self, *args: None, raising=False)
            for model in models:
                for call in (model.fit, model.partial_fit):
                    with pytest.raises(TypeError, match=f"overrides {name}, .* Instead: "):
                        call(X, y)
        Own(**parameters).fit(X, y)


def test_every_private_method_that_scikit_learn_shares_is_known():
    theirs = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    module = theirs[0].__module__
    names = {
        name
        for kind in theirs
        for base in kind.__mro__
        if base.__module__ == module
        for name, value in vars(base).items()
        if callable(value) and name.startswith("_") and not name.startswith("__")
    }
    assert names - {"_check_solver"} <= WAYS.keys()


def test_other_subclasses_fit():
    class Own(MLPClassifier):
        def fit(self, X, y):
            self.seen = len(X)
            return super().fit(X, y)

        def _helper(self):
            return 1

    assert Own(max_iter=2).fit(X, y).seen == 150


# ---- initial weights


def arrays(units, scale=0.1):
    rng = np.random.RandomState(1)
    coefs = [rng.randn(a, b) * scale for a, b in pairwise(units)]
    return coefs, [rng.randn(b) * scale for b in units[1:]]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_are_the_initial_weights(solver, dtype):
    coefs, intercepts = arrays((4, 5, 6, 3))
    kept = [a.copy() for a in coefs + intercepts]
    model = MLPClassifier(
        (5, 6), init=(coefs, intercepts), solver=solver, max_iter=1, learning_rate_init=1e-300
    ).set_params(max_fun=1)
    model.fit(X.astype(dtype), y)
    if solver != "lbfgs":
        for a, b in zip(model.coefs_ + model.intercepts_, kept, strict=True):
            np.testing.assert_array_equal(a, b.astype(dtype))
    assert all(map(np.array_equal, coefs + intercepts, kept))
    assert not any(np.shares_memory(a, b) for a, b in zip(model.coefs_, coefs, strict=True))
    clone(model).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_initial_weights_of_a_subclass_of_scikit_learn(solver):
    """A program that was found in public: a normal distribution by an override."""

    class Theirs(sklearn.neural_network.MLPRegressor):
        def _init_coef(self, fan_in, fan_out, dtype):
            weights = self._random_state.normal(0, 0.2, (fan_in, fan_out))
            return weights.astype(dtype), np.zeros(fan_out, dtype)

    def normal(fan_in, fan_out, random_state):
        return random_state.normal(0, 0.2, (fan_in, fan_out)), np.zeros(fan_out)

    parameters = dict(hidden_layer_sizes=(7, 5), max_iter=15, random_state=3, solver=solver)
    theirs = Theirs(**parameters).fit(X, y)
    ours = MLPRegressor(**parameters, init=normal).fit(X, y)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-9 if solver == "adam" else 1e-4)
    np.testing.assert_allclose(
        ours.predict(X), theirs.predict(X), rtol=1e-8 if solver == "adam" else 1e-2, atol=1e-2
    )


def test_init_is_used_by_partial_fit_and_searches_and_once():
    coefs, intercepts = arrays((4, 5, 1))
    model = MLPRegressor(hidden_layer_sizes=(5,), init=(coefs, intercepts), random_state=0)
    model.partial_fit(X, y)
    first = model.coefs_[0].copy()
    model.partial_fit(X, y)
    assert not np.array_equal(first, model.coefs_[0])
    search = GridSearchCV(
        clone(model).set_params(max_iter=2), {"init": [(coefs, intercepts), "auto"]}, cv=2
    )
    assert search.fit(X, y).best_params_


@pytest.mark.parametrize(
    ("init", "words"),
    [
        (([np.ones((4, 5))], [np.ones(5)]), "init must have 2 arrays"),
        ((1, 2), "init must be a pair"),
        ((1, 2, 3), "init must be a pair"),
        ([1, 2], "'init' parameter"),
        ((), "init must be a pair"),
        (([np.ones((5, 4)), np.ones((5, 3))], [np.ones(5), np.ones(3)]), r"of shape \(4, 5\)"),
        (([np.ones((4, 5)), np.ones((5, 3))], [np.ones(5), np.ones(4)]), "biases of layer 1"),
        (([np.full((4, 5), np.nan), np.ones((5, 3))], [np.ones(5), np.ones(3)]), "not finite"),
        (([[["a"] * 5] * 4, np.ones((5, 3))], [np.ones(5), np.ones(3)]), "real numbers"),
        (([[[1, 2], [1]], np.ones((5, 3))], [np.ones(5), np.ones(3)]), "real numbers"),
        (lambda fan_in, fan_out, random_state: None, "must return weights and biases"),
        (lambda fan_in, fan_out, random_state: (1, 2), "weights of layer 0"),
        (lambda fan_in, fan_out, random_state: np.ones(3), "must return weights and biases"),
        ("normal", "'init' parameter"),
        (3, "'init' parameter"),
    ],
)
def test_odd_initial_weights_are_refused_by_name(init, words):
    model = MLPClassifier((5,), init=init)
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


# ---- soft labels


def soft(n_classes=3, seed=0):
    rng = np.random.RandomState(seed)
    return scipy.special.softmax(rng.randn(len(X), n_classes) + X[:, :1], axis=1)


def cross_entropy(model, X, P):
    probability = model.predict_proba(X)
    penalty = model.alpha / 2 * sum((w**2).sum() for w in model.coefs_) / len(X)
    return -(P * np.log(probability)).sum(axis=1).mean() + penalty


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_soft_labels_minimize_the_cross_entropy(solver, n_classes, dtype):
    P = soft(n_classes)
    model = MLPClassifier((8,), solver=solver, random_state=0, max_iter=5, batch_size=len(X))
    model.fit(X.astype(dtype), P.astype(dtype))
    assert model.out_activation_ == "softmax" and model.n_outputs_ == n_classes
    np.testing.assert_array_equal(model.classes_, np.arange(n_classes))
    assert model.predict_proba(X).shape == (len(X), n_classes)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    if solver == "lbfgs":
        assert model.loss_ == pytest.approx(cross_entropy(model, X, P), rel=1e-5)
    else:
        again = clone(model).set_params(max_iter=6).fit(X.astype(dtype), P.astype(dtype))
        assert again.loss_curve_[5] == pytest.approx(cross_entropy(model, X, P), rel=1e-5)
        assert again.loss_curve_[5] < again.loss_curve_[0]


def test_soft_labels_of_one_class_each_are_hard_labels():
    """Almost: one row is not 0 and 1, by less than what counts."""
    P = np.eye(3)[y]
    P[0] = [1 - 1e-12, 1e-12, 0]
    parameters = dict(hidden_layer_sizes=(6,), random_state=0, max_iter=20)
    ours, hard = (MLPClassifier(**parameters).fit(X, target) for target in (P, y))
    np.testing.assert_allclose(ours.loss_curve_, hard.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), hard.predict_proba(X), rtol=1e-7)


def test_a_subclass_of_scikit_learn_for_soft_labels():
    """A program that was found in public: the targets go past the checks."""

    class Theirs(sklearn.neural_network.MLPClassifier):
        def _validate_input(self, X, y, incremental, reset):
            from sklearn.preprocessing import LabelBinarizer

            self._label_binarizer = LabelBinarizer().fit(np.arange(y.shape[1]))
            self.classes_ = self._label_binarizer.classes_
            self.n_features_in_ = X.shape[1]
            return X, y

    P = soft()
    parameters = dict(hidden_layer_sizes=(6, 4), random_state=0, max_iter=20)
    theirs = Theirs(**parameters).fit(X, P)
    ours = MLPClassifier(**parameters).fit(X, P)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)


def test_a_matrix_of_zeros_and_ones_stays_multilabel():
    for matrix in (np.eye(3)[y], np.eye(3)[y].astype(int), (soft() > 0.3).astype(float)):
        model = MLPClassifier((4,), max_iter=2).fit(X, matrix)
        assert model.out_activation_ == "logistic" and model.predict(X).shape == matrix.shape


def test_soft_labels_validate_stop_weigh_and_continue():
    P = soft()
    model = MLPClassifier((6,), random_state=0, max_iter=8, early_stopping=True).fit(X, P)
    assert len(model.validation_scores_) == model.n_iter_
    model = MLPClassifier((6,), random_state=0, max_iter=4)
    model.fit(X, P, X_val=X[:40], y_val=P[:40])
    z = model.predict_proba(X[:40])
    expected = -(P[:40] * np.log(z)).sum(axis=1).mean()
    assert model.validation_loss_curve_[-1] == pytest.approx(expected)
    labels = model.fit(X, P, X_val=X[:40], y_val=y[:40])
    assert labels.validation_scores_[-1] == pytest.approx((model.predict(X[:40]) == y[:40]).mean())
    weight = np.r_[np.zeros(50), np.ones(100)]
    whole = clone(model).set_params(solver="lbfgs").fit(X, P, sample_weight=weight)
    part = clone(model).set_params(solver="lbfgs").fit(X[50:], P[50:])
    np.testing.assert_allclose(whole.predict_proba(X), part.predict_proba(X), rtol=1e-6)
    model.set_params(warm_start=True).fit(X, P)
    before = model.loss_curve_[-1]
    model.partial_fit(X, P).partial_fit(X, y).partial_fit(X, np.eye(3)[y])
    assert len(model.loss_curve_) == 11 and before != model.loss_curve_[-1]
    first = MLPClassifier((6,)).partial_fit(X, P, classes=[0, 1, 2]).partial_fit(X[:5], P[:5])
    assert first.out_activation_ == "softmax"
    two = MLPClassifier((6,), max_iter=2).fit(X, soft(2)).partial_fit(X, y == 0)
    assert two.predict_proba(X).shape == (150, 2)


def test_soft_labels_are_scored_by_their_most_probable_class():
    pandas = pytest.importorskip("pandas")

    P = soft()
    stopped = MLPClassifier(
        (6,), random_state=0, max_iter=8, early_stopping=True, validation_fraction=0.5
    ).fit(X, P)
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)
    model = MLPClassifier((6,), random_state=0, max_iter=8).fit(X, P, X_val=X, y_val=P)
    expected = (model.predict(X) == P.argmax(axis=1)).mean()
    assert model.validation_scores_[-1] == pytest.approx(expected)
    for form in (P, P.astype("f4"), P.tolist(), pandas.DataFrame(P), P.argmax(axis=1)):
        assert model.score(X, form) == pytest.approx(expected)
    weight = np.arange(150.0)
    assert model.score(X, P, weight) == model.score(X, P.argmax(axis=1), weight)
    hot = np.eye(3)[y]
    assert model.score(X[:9], hot[:9]) == model.score(X[:9], y[:9])
    named = MLPClassifier((6,), random_state=0, max_iter=8).fit(X, np.array(list("abc"))[y])
    assert named.score(X, hot) == named.score(X, np.array(list("abc"))[y])
    with pytest.raises(ValueError, match="y has 4 columns, but there are 3 classes"):
        model.score(X, soft(4))
    with pytest.raises(ValueError, match="sum to 1 within"):
        model.score(X, P * 0.9)
    with pytest.raises(NotFittedError):
        MLPClassifier().score(X, P)
    multilabel = MLPClassifier((4,), max_iter=2).fit(X, hot)
    assert multilabel.score(X, hot) == (multilabel.predict(X) == hot).all(axis=1).mean()


@pytest.mark.parametrize(
    ("change", "parameters", "words"),
    [
        (lambda P: P * 1.01, {}, "sum to 1 within 1e-06, got a minimum .* a sum of 1.01"),
        (lambda P: P * 0.9, {}, "sum of 0.9"),
        (lambda P: P - 0.2, {}, "Multioutput"),  # no probabilities: the words of scikit-learn
        (lambda P: P * 7, {}, "Multioutput"),
        (lambda P: P, {"loss": "squared_error"}, "soft labels, which need loss='log_loss'"),
    ],
)
def test_odd_soft_labels_are_refused(change, parameters, words):
    model = MLPClassifier((4,), max_iter=2, **parameters)
    with pytest.raises(ValueError, match=words):
        model.fit(X, change(soft()))
    assert not hasattr(model, "coefs_")


def test_soft_labels_of_another_width_are_refused():
    model = MLPClassifier((4,), max_iter=2).fit(X, soft())
    for y_new in (soft(4), soft(2)):
        with pytest.raises(ValueError, match=r"y has . columns, but there are 3 classes"):
            model.partial_fit(X, y_new)
    with pytest.raises(ValueError, match="y_val has 4 columns"):
        model.fit(X, soft(), X_val=X, y_val=soft(4))
    with pytest.raises(ValueError, match="classes must be 0 to 2"):
        MLPClassifier().partial_fit(X, soft(), classes=["a", "b", "c"])
