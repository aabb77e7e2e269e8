"""scoring, max_seconds and stop_reason_."""

import pickle
import time
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, log_loss, make_scorer, max_error
from sklearn.model_selection import GridSearchCV

from fastbp import MLPClassifier, MLPRegressor
from fits import bits

VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))

rng = np.random.RandomState(0)
X, X_VAL = rng.randn(120, 4), rng.randn(50, 4)
LABELS = np.array(["no", "yes", "perhaps"])
Y, Y_VAL = (LABELS[x[:, :3].argmax(axis=1)] for x in (X, X_VAL))
T, T_VAL = (x[:, 0] + x[:, 1] ** 2 for x in (X, X_VAL))
W_VAL = rng.rand(50) + 0.1
SMALL = dict(hidden_layer_sizes=(6,), max_iter=8, random_state=0, batch_size=30)
BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data_of(cls):
    return (Y, Y_VAL) if cls is MLPClassifier else (T, T_VAL)


@quiet
@BOTH
@pytest.mark.parametrize("given", [False, True])
def test_the_scorer_of_the_default_score_gives_the_default_fit(cls, given):
    y, y_val = data_of(cls)
    validation = dict(X_val=X_VAL, y_val=y_val, sample_weight_val=W_VAL) if given else {}
    options = dict(SMALL, max_iter=40, early_stopping=True, n_iter_no_change=3)
    plain = cls(**options).fit(X, y, **validation)
    name = "accuracy" if cls is MLPClassifier else "r2"
    scored = cls(**options, scoring=name).fit(X, y, **validation)
    assert bits(plain) == bits(scored)
    np.testing.assert_allclose(plain.validation_scores_, scored.validation_scores_, rtol=1e-12)


@quiet
@BOTH
def test_loss_is_minus_the_validation_loss(cls):
    y, _ = data_of(cls)
    model = cls(**{**SMALL, "max_iter": 60}, learning_rate_init=0.05, early_stopping=True)
    model.set_params(scoring="loss").fit(X, y)
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    assert model.best_validation_score_ == -min(model.validation_loss_curve_)


@quiet
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scorer_sees_the_model_of_each_epoch(solver, dtype):
    x = X.astype(dtype)
    seen = []

    def scorer(estimator, x_val, y_val):
        assert x_val is X_VAL
        assert y_val is Y_VAL
        assert estimator.score(x_val, y_val) <= 1
        seen.append(estimator.predict_proba(x_val))
        return -log_loss(y_val, seen[-1], labels=sorted(LABELS))

    model = MLPClassifier(**SMALL, solver=solver, scoring=scorer)
    model.fit(x, Y, X_val=X_VAL, y_val=Y_VAL)
    assert len(seen) == len(model.validation_scores_) == 8
    for k, proba in enumerate(seen):
        step = clone(model).set_params(max_iter=k + 1, scoring=None).fit(x, Y)
        np.testing.assert_array_equal(proba, step.predict_proba(X_VAL))
    np.testing.assert_array_equal(model.predict_proba(X_VAL), seen[-1])


@quiet
@pytest.mark.parametrize("kind", ["array", "list", "frame", "sparse"])
def test_held_out_rows_are_given_as_they_came(kind):
    pandas = pytest.importorskip("pandas")
    x, y = {
        "array": (X, Y),
        "list": (X.tolist(), Y.tolist()),
        "frame": (pandas.DataFrame(X, columns=list("abcd")), pandas.Series(Y)),
        "sparse": (sp.csr_array(X), Y),
    }[kind]
    kinds, options = set(), dict(SMALL, early_stopping=True)

    def scorer(estimator, x_val, y_val):
        kinds.add((type(x_val), type(y_val), len(y_val)))
        return estimator.score(x_val, y_val)

    model = MLPClassifier(**options, scoring=scorer).fit(x, y)
    assert kinds == {(type(x), type(y), 12)}
    assert bits(model) == bits(MLPClassifier(**options).fit(x, y))


@quiet
def test_sample_weights_are_passed_where_they_are_taken():
    given = []

    def weighs(estimator, x, y, sample_weight=None):
        given.append(sample_weight)
        return 0.0

    def fit(scoring, **kwargs):
        given.clear()
        model = MLPClassifier(**SMALL, scoring=scoring, **kwargs)
        return model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL, **validation)

    validation = {}
    fit(weighs)
    assert given == [None] * 8
    validation = dict(sample_weight_val=W_VAL)
    fit(weighs)
    np.testing.assert_array_equal(given[0], W_VAL)
    validation = {}
    fit(weighs, class_weight={"no": 3.0})
    np.testing.assert_array_equal(given[0], 1 + 2 * (Y_VAL == "no"))
    MLPClassifier(**SMALL, scoring=weighs, early_stopping=True).fit(X, Y, np.full(120, 10.0))
    np.testing.assert_array_equal(given[-1], np.full(12, 10.0))
    validation = dict(sample_weight_val=W_VAL)
    fit(lambda estimator, x, y: given.append("no weights") or 0.0)
    assert given[0] == "no weights"
    model = fit("f1_macro")
    np.testing.assert_allclose(
        model.validation_scores_[-1],
        f1_score(Y_VAL, model.predict(X_VAL), average="macro", sample_weight=W_VAL),
    )
    regressor = MLPRegressor(**SMALL, scoring="neg_max_error")  # max_error takes none
    regressor.fit(X, T, X_val=X_VAL, y_val=T_VAL, sample_weight_val=W_VAL)
    expected = -max_error(T_VAL, regressor.predict(X_VAL))
    assert regressor.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


@quiet
@pytest.mark.skipif(VERSION < (1, 9), reason="older versions refuse labels that are strings")
def test_a_metadata_request_may_refuse_sample_weights():

    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(f1_score, average="macro").set_score_request(sample_weight=False)
        model = MLPClassifier(**SMALL, scoring=scorer)
        model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=W_VAL)
    expected = f1_score(Y_VAL, model.predict(X_VAL), average="macro")
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


@quiet
def test_nan_is_no_improvement():
    options = dict(SMALL, max_iter=50, early_stopping=True, n_iter_no_change=3)
    model = MLPClassifier(**options, scoring=lambda *_: np.nan).fit(X, Y)
    assert model.n_iter_ == 4
    assert model.stop_reason_ == "early_stopping"
    scores = iter([0.1, 0.2, np.nan, 0.3] + 46 * [np.nan])
    model.set_params(scoring=lambda *_: next(scores)).fit(X, Y)
    assert model.n_iter_ == 8
    assert model.best_validation_score_ == 0.3


@quiet
@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("result", [None, "0.5", [0.5], 1j], ids=repr)
def test_what_is_no_number_is_refused(cls, solver, result):
    y, y_val = data_of(cls)
    model = cls(**SMALL, solver=solver, scoring=lambda *_: result)
    with pytest.raises(ValueError, match="scoring must return a number, got "):
        model.fit(X, y, X_val=X_VAL, y_val=y_val)
    assert not hasattr(model, "coefs_")


def test_unknown_scorers_are_refused_before_data_are_looked_at():
    with pytest.raises(ValueError, match="scoring must be None, 'loss', a callable or a name: 'f"):
        MLPClassifier(scoring="f2").fit(None, None)


@quiet
def test_errors_of_a_scorer_leave_no_model():
    def fails(*_):
        raise KeyError("mine")

    model = MLPClassifier(**SMALL, early_stopping=True, scoring=fails)
    with pytest.raises(KeyError, match="mine"):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("scoring", [None, "loss", "r2", "neg_mean_squared_error"])
def test_divergence_restores_the_best_weights_with_any_score(scoring):
    model = MLPRegressor(
        hidden_layer_sizes=(6,), solver="sgd", learning_rate_init=1e6, early_stopping=True,
        scoring=scoring,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning):
        model.fit(X, T, X_val=X_VAL, y_val=T_VAL)
    assert model.stop_reason_ == "diverged"
    with pytest.raises(ValueError, match=r"non-finite parameter weights|overflow"):
        model.set_params(early_stopping=False).fit(X, T, X_val=X_VAL, y_val=T_VAL)


def test_held_out_samples_without_weight_are_refused():
    y = np.zeros(30, int)
    y[:2] = 1
    model = MLPClassifier(class_weight={0: 0, 1: 1}, early_stopping=True, random_state=0)
    with pytest.raises(ValueError, match="early stopping holds out have the weight 0"):
        model.fit(X[:30], y)
    assert not hasattr(model, "coefs_")


def test_a_scorer_that_raises_stop_iteration_does_not_end_lbfgs_as_converged():
    model = MLPClassifier(**SMALL, solver="lbfgs", scoring=lambda *_: next(iter(())))
    with pytest.raises(RuntimeError, match="scoring raised StopIteration"):
        model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)


@quiet
@pytest.mark.parametrize("kind", ["coo", "bsr", "csc", "lil"])
def test_sparse_rows_of_any_format_are_held_out_for_a_scorer(kind):
    x = sp.csr_array(X).asformat(kind)
    MLPClassifier(**SMALL, early_stopping=True, scoring="accuracy").fit(x, Y)


@quiet
def test_it_is_pickled_and_searched():
    model = MLPClassifier(**SMALL, early_stopping=True)
    search = GridSearchCV(model, {"scoring": [None, "loss", "f1_macro"]}, cv=2).fit(X, Y)
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    assert bits(loaded) == bits(search.best_estimator_)


# ---- max_seconds


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_max_seconds_gives_the_fit_of_its_epochs(cls, solver, early_stopping):
    y, _ = data_of(cls)
    options = dict(
        hidden_layer_sizes=(6,), random_state=0, solver=solver, tol=0.0, n_iter_no_change=10**9
    )
    limit = 0.002 if solver == "lbfgs" else 0.05  # it ends by itself soon
    model = cls(**options, early_stopping=early_stopping, max_iter=10**7, max_seconds=limit)
    began = time.perf_counter()
    with pytest.warns(ConvergenceWarning, match=rf"^Time limit \({limit:g} s\) reached and"):
        model.fit(X, y)
    assert limit <= time.perf_counter() - began < 5
    assert model.stop_reason_ == "time"
    assert 1 <= model.n_iter_ < 10**6
    twin = clone(model).set_params(max_iter=model.n_iter_, max_seconds=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twin.fit(X, y)
    assert bits(twin) == bits(model)


@BOTH
def test_one_epoch_at_least(cls):
    model = cls(**SMALL, max_seconds=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"Time limit \(1e-09 s\)"):
        model.fit(X, data_of(cls)[0])
    assert model.n_iter_ == 1


# ---- stop_reason_


@quiet
@pytest.mark.parametrize(
    "parameters, reason",
    [
        (dict(max_iter=3), "max_iter"),
        (dict(max_iter=3, solver="lbfgs"), "max_iter"),
        (dict(max_fun=3, solver="lbfgs"), "max_iter"),
        (dict(tol=1.0, solver="lbfgs"), "tol"),
        (dict(tol=1e9, n_iter_no_change=2), "tol"),
        (dict(tol=1e9, n_iter_no_change=2, solver="sgd", learning_rate="adaptive"), "tol"),
        (dict(tol=1e9, n_iter_no_change=2, early_stopping=True), "early_stopping"),
        (dict(max_iter=2, early_stopping=True), "max_iter"),
    ],
    ids=str,
)
def test_why_training_ended(parameters, reason):
    model = MLPClassifier((6,), random_state=0, **{"max_iter": 200, **parameters}).fit(X, Y)
    assert model.stop_reason_ == reason
    assert pickle.loads(pickle.dumps(model)).stop_reason_ == reason


def test_divergence_and_interrupts():
    model = MLPRegressor(
        hidden_layer_sizes=(6,), solver="sgd", learning_rate_init=1e200, early_stopping=True
    )
    with pytest.warns(ConvergenceWarning, match="diverge|overflow|finite"):
        model.fit(X, T)
    assert model.stop_reason_ == "diverged"

    def interrupts(estimator, *_):
        interrupts.calls += 1
        if interrupts.calls == 3:
            raise KeyboardInterrupt
        return 0.0

    interrupts.calls = 0
    model = MLPClassifier(**SMALL, early_stopping=True, scoring=interrupts)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y)
    assert model.stop_reason_ == "interrupt"
    assert model.n_iter_ == 2


@quiet
def test_partial_fit_has_no_reason():
    model = MLPClassifier(**SMALL).fit(X, Y)
    assert not hasattr(model.partial_fit(X, Y), "stop_reason_")
