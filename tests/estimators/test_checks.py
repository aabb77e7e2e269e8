"""scikit-learn's estimator checks (law 10), and conventions that they do not test."""

import inspect
import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # The checks fit on 20 rows or fewer: the batch size is clipped to that.
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger:UserWarning"),
    # lbfgs fits random labels exactly: a probability is 0, and its logarithm -inf.
    pytest.mark.filterwarnings("ignore:divide by zero encountered in log:RuntimeWarning"),
]

VALIDATION = ("X_val", "y_val", "sample_weight_val")  # further arguments of our fit
RETURN_STD = ("return_std", inspect.Parameter.POSITIONAL_OR_KEYWORD, False)  # of the regressor
SKLEARN_VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))


# ---- scikit-learn's checks --------------------------------------------------------------------


class WithoutPartialFit:
    """Hides partial_fit, which raises with early stopping, here as in scikit-learn.

    Some checks call partial_fit wherever an estimator has it. Where it is hidden, they test the
    other methods with early stopping, and need not be listed as expected failures.
    """

    @property
    def partial_fit(self):
        raise AttributeError("partial_fit does not support early_stopping=True")


class EarlyStoppingClassifier(WithoutPartialFit, MLPClassifier):
    pass


class EarlyStoppingRegressor(WithoutPartialFit, MLPRegressor):
    pass


# Small networks and learning rates that fit in a few epochs: some checks want a good score.
QUICK = dict(hidden_layer_sizes=(8,), learning_rate_init=0.02, max_iter=60)
SGD = dict(hidden_layer_sizes=(8,), learning_rate_init=0.1, max_iter=60, solver="sgd")
LBFGS = dict(hidden_layer_sizes=(8,), max_iter=60, solver="lbfgs")
LINEAR = dict(hidden_layer_sizes=(), learning_rate_init=0.05, max_iter=60, batch_size=4)
STOPPING = dict(
    hidden_layer_sizes=(8,),
    activation="tanh",
    learning_rate_init=0.05,
    max_iter=60,
    batch_size=4,
    early_stopping=True,
    validation_fraction=0.3,
)

CONFIGURATIONS = [
    MLPClassifier(**QUICK),
    MLPClassifier(**SGD, learning_rate="adaptive"),
    MLPClassifier(**LBFGS),
    MLPClassifier(**LINEAR, shuffle=False),
    EarlyStoppingClassifier(**STOPPING),
    MLPClassifier(**QUICK, weight_decay=0.1, clip_norm=1.0, ema_decay=0.5, label_smoothing=0.1),
    MLPRegressor(**QUICK),
    MLPRegressor(**{**SGD, "learning_rate_init": 0.02}, activation="tanh"),
    MLPRegressor(**LBFGS),
    MLPRegressor(**LINEAR, shuffle=False),
    MLPRegressor("gaussian", **QUICK),
    EarlyStoppingRegressor(**STOPPING),
]


def expected_failures(estimator):
    """The names of the checks that this configuration fails, and why.

    The check of the weights has 15 rows. With `batch_size="auto"` they are one batch, and a row
    repeated is the same as a row of weight 2. (With the default parameters lbfgs also fails
    check_classifiers_multilabel_output_format_predict_proba, here as in scikit-learn:
    200 iterations on 100 rows give probabilities of exactly 1. With fewer iterations it passes.)
    """
    if estimator.solver == "lbfgs" or estimator.batch_size == "auto":
        return {}
    reason = "a repeated row and a weight of two make other mini-batches"
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


STRICT = {"xfail_strict": True} if SKLEARN_VERSION >= (1, 8) else {}


@parametrize_with_checks(CONFIGURATIONS, expected_failed_checks=expected_failures, **STRICT)
def test_estimator_checks(estimator, check):
    check(estimator)


# Checks that scikit-learn runs on its own estimators alone.
NOT_YIELDED = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_n_features_in_after_fitting",
    "check_inplace_ensure_writeable",
    "check_all_zero_sample_weights_error",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_parameters_default_constructible",
    "check_estimators_partial_fit_n_features",
]


@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("estimator", CONFIGURATIONS, ids=lambda e: re.sub(r"\s+", "", str(e)))
def test_checks_not_yielded(name, estimator):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"scikit-learn {sklearn.__version__} has no {name}")
    if "partial_fit" in name and not hasattr(estimator, "partial_fit"):
        pytest.skip("no partial_fit")
    check(type(estimator).__name__, estimator)


# ---- conventions ------------------------------------------------------------------------------

ESTIMATORS = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
FITTED = {
    MLPClassifier: load_iris(return_X_y=True),
    MLPRegressor: load_diabetes(return_X_y=True),
}


def small(Estimator, **params):
    return Estimator(**{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0, **params})


@ESTIMATORS
@pytest.mark.parametrize("fit", [False, True])
def test_html_repr_shows_every_parameter_and_attribute(Estimator, fit):
    estimator = small(Estimator, n_threads=1)
    if fit:
        estimator.fit(*FITTED[Estimator])
    html = estimator._repr_html_()
    assert Estimator.__name__ in html
    if SKLEARN_VERSION >= (1, 7):  # with a table of parameters
        for name in estimator.get_params():
            assert name in html
    if SKLEARN_VERSION >= (1, 9):  # with the docstring's description of each
        assert html.count('class="param-doc-description"') >= len(estimator.get_params())
        assert "Number of threads of a fit" in html
    if SKLEARN_VERSION >= (1, 9) and fit:  # and a table of fitted attributes
        for name in ("coefs_", "loss_curve_", "n_iter_", "out_activation_"):
            assert name in html
    assert estimator._repr_mimebundle_()["text/plain"] == repr(estimator)


@ESTIMATORS
def test_repr_shows_what_was_set(Estimator):
    assert repr(Estimator()) == f"{Estimator.__name__}()"
    assert repr(Estimator(alpha=1.0)) == f"{Estimator.__name__}(alpha=1.0)"
    assert repr(Estimator(n_threads=2)) == f"{Estimator.__name__}(n_threads=2)"


@ESTIMATORS
def test_clone_copies_parameters_and_nothing_fitted(Estimator):
    estimator = small(Estimator, alpha=0.5, n_threads=1).fit(*FITTED[Estimator])
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert list(vars(copy)) == list(vars(Estimator()))
    copy.fit(*FITTED[Estimator])
    for a, b in zip(copy.coefs_, estimator.coefs_, strict=True):
        assert np.array_equal(a, b)


@ESTIMATORS
def test_set_params(Estimator):
    estimator = small(Estimator)
    assert estimator.set_params(alpha=2.0, solver="sgd") is estimator
    assert (estimator.alpha, estimator.solver) == (2.0, "sgd")
    with pytest.raises(ValueError, match="Invalid parameter 'dropuot' for estimator"):
        estimator.set_params(dropuot=0.5)
    # Values are checked by fit, not before.
    estimator.set_params(alpha=-1)
    with pytest.raises(ValueError, match="The 'alpha' parameter of " + Estimator.__name__):
        estimator.fit(*FITTED[Estimator])


OF_STEPS = ["dropout", "input_dropout", "weight_decay", "clip_norm", "ema_decay"]
OURS = {  # a change here is a change for users
    MLPClassifier: [
        "loss",
        "init",
        "n_threads",
        "class_weight",
        *OF_STEPS,
        "scoring",
        "max_seconds",
        "label_smoothing",
    ],
    MLPRegressor: [
        "quantile",
        "huber_threshold",
        "tweedie_power",
        "out_activation",
        "init",
        "n_threads",
        *OF_STEPS,
        "scoring",
        "max_seconds",
    ],
}


@ESTIMATORS
def test_parameters_are_scikit_learns_and_then_ours(Estimator):
    reference = getattr(pytest.importorskip("sklearn.neural_network"), Estimator.__name__)
    ours, theirs = (inspect.signature(c).parameters for c in (Estimator, reference))
    if SKLEARN_VERSION < (1, 7):  # MLPRegressor without `loss`
        ours = {name: p for name, p in ours.items() if name != "loss" or Estimator is MLPClassifier}
    assert list(ours)[: len(theirs)] == list(theirs)
    more = list(ours)[len(theirs) :]
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default
        assert ours[name].kind == parameter.kind
    assert more == OURS[Estimator]
    for name in more:
        assert ours[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert ours["n_threads"].default is None


def arguments(function):
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


@ESTIMATORS
def test_methods_take_scikit_learns_arguments(Estimator):
    if SKLEARN_VERSION < (1, 7):
        pytest.skip("fit without sample_weight")
    reference = getattr(pytest.importorskip("sklearn.neural_network"), Estimator.__name__)
    for name, theirs in inspect.getmembers(reference, inspect.isfunction):
        if not name.startswith("_"):
            ours = arguments(getattr(Estimator, name))
            if name in ("fit", "set_fit_request"):  # as in HistGradientBoosting
                validation = [one for one in ours if one[0] in VALIDATION]
                assert {kind for _, kind, _ in validation} == {inspect.Parameter.KEYWORD_ONLY}
                assert {one[0] for one in validation} == set(VALIDATION)
                ours = [one for one in ours if one not in validation]
            more = [RETURN_STD] if (Estimator, name) == (MLPRegressor, "predict") else []
            assert ours == arguments(theirs) + more, name


@ESTIMATORS
def test_tags_are_scikit_learns(Estimator):
    reference = getattr(pytest.importorskip("sklearn.neural_network"), Estimator.__name__)
    ours, theirs = Estimator().__sklearn_tags__(), reference().__sklearn_tags__()
    if SKLEARN_VERSION < (1, 7):  # its tag says wrongly that it takes no sparse data
        theirs.input_tags.sparse = True
    if Estimator is MLPClassifier:  # several targets of several classes are fastbp's own
        theirs.target_tags.multi_output = True
    assert ours == theirs


@ESTIMATORS
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_n_features_in_after_fit(Estimator, solver):
    X, y = FITTED[Estimator]
    estimator = small(Estimator, solver=solver)
    assert not hasattr(estimator, "n_features_in_")
    estimator.fit(X, y)
    assert estimator.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match=f"X has 2 features, but {Estimator.__name__} is expect"):
        estimator.predict(X[:, :2])
    estimator.fit(X[:, :2], y)
    assert estimator.n_features_in_ == 2
    assert estimator.coefs_[0].shape == (2, 5)


# ---- metadata routing -------------------------------------------------------------------------


@ESTIMATORS
def test_sample_weight_is_routed_through_a_pipeline(Estimator):
    X, y = FITTED[Estimator]
    weights = np.random.RandomState(0).uniform(0.1, 2.0, size=len(y))
    with config_context(enable_metadata_routing=True):
        model = small(Estimator)
        requests = dict.fromkeys(("sample_weight", *VALIDATION))
        assert model.get_metadata_routing().fit.requests == requests
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = Pipeline([("scale", StandardScaler().set_fit_request(sample_weight=False))])
        pipeline.steps.append(("mlp", model))
        pipeline.fit(X, y, sample_weight=weights)
        score = pipeline.score(X, y, sample_weight=weights)
    alone = small(Estimator).fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
    unweighted = small(Estimator).fit(StandardScaler().fit_transform(X), y)
    assert np.array_equal(pipeline[-1].coefs_[0], alone.coefs_[0])
    assert not np.array_equal(alone.coefs_[0], unweighted.coefs_[0])
    assert score == alone.score(StandardScaler().fit_transform(X), y, sample_weight=weights)
    assert score != unweighted.score(StandardScaler().fit_transform(X), y)


@ESTIMATORS
def test_sample_weight_not_asked_for_is_refused_or_held_back(Estimator):
    X, y = FITTED[Estimator]
    weights = np.linspace(0.1, 2.0, len(y))
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(small(Estimator)).fit(X, y, sample_weight=weights)
        held_back = small(Estimator).set_fit_request(sample_weight=False)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, held_back).fit(X, y, sample_weight=weights)
    plain = small(Estimator).fit(pipeline[0].transform(X), y)
    assert np.array_equal(pipeline[-1].coefs_[0], plain.coefs_[0])


@ESTIMATORS
def test_requests_of_all_methods(Estimator):
    model = Estimator()
    with config_context(enable_metadata_routing=True):
        for method in ("fit", "partial_fit", "score"):
            assert hasattr(model, f"set_{method}_request")
        model.set_partial_fit_request(sample_weight=True)
        assert model.get_metadata_routing().partial_fit.requests["sample_weight"] is True
        if Estimator is MLPClassifier:
            assert "classes" in model.get_metadata_routing().partial_fit.requests


# ---- together with other tools ----------------------------------------------------------------


@ESTIMATORS
def test_grid_search_and_cross_validation(Estimator):
    X, y = FITTED[Estimator]
    model = make_pipeline(StandardScaler(), small(Estimator))
    name = Estimator.__name__.lower()
    search = GridSearchCV(model, {f"{name}__alpha": [1e-4, 1.0]}, cv=2).fit(X, y)
    assert set(search.best_params_) == {f"{name}__alpha"}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(cross_val_score(model, X, y, cv=2)).all()


@ESTIMATORS
def test_set_output_of_a_pipeline_leaves_predictions_alone(Estimator):
    """Estimators that predict have no set_output, but a scaler before them may give them frames."""
    pytest.importorskip("pandas")
    X, y = FITTED[Estimator]
    assert not hasattr(Estimator(), "set_output")
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), small(Estimator))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", category=sklearn.exceptions.ConvergenceWarning)
        prediction = model.fit(X, y).predict(X)
    assert type(prediction) is np.ndarray
    assert list(model[-1].feature_names_in_) == [f"x{i}" for i in range(X.shape[1])]
    plain = make_pipeline(StandardScaler(), small(Estimator)).fit(X, y)
    assert np.array_equal(prediction, plain.predict(X))


@ESTIMATORS
def test_an_unpickled_estimator_predicts_and_trains_alike(Estimator):
    X, y = FITTED[Estimator]
    estimator = small(Estimator).fit(X, y)
    copy = pickle.loads(pickle.dumps(estimator))
    assert np.array_equal(copy.predict(X), estimator.predict(X))
    for model in (copy, estimator):
        model.partial_fit(X, y)
    for a, b in zip(copy.coefs_, estimator.coefs_, strict=True):
        assert np.array_equal(a, b)
