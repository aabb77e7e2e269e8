"""Training apart from parity: printed lines, schedules, failed fits, memory, L-BFGS."""

import inspect
import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from peaks import peak_of

X, y = load_iris(return_X_y=True)
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@quiet
@pytest.mark.parametrize(
    "parameters",
    [
        dict(max_iter=4),
        dict(max_iter=4, early_stopping=True),
        dict(max_iter=60, solver="sgd", tol=0.5, n_iter_no_change=3),
        dict(max_iter=400, solver="sgd", tol=0.5, n_iter_no_change=2, learning_rate="adaptive"),
        dict(max_iter=60, tol=0.5, n_iter_no_change=3, early_stopping=True),
    ],
)
def test_verbose_lines_are_scikit_learns(parameters, capsys):
    printed = []
    for library in (theirs, fastbp):
        model = library.MLPClassifier(random_state=0, verbose=True, **parameters).fit(X, y)
        if not parameters.get("early_stopping"):
            model.partial_fit(X, y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and printed[0].count("\n") >= 4


def test_adam_ignores_the_schedule():
    with pytest.warns(ConvergenceWarning):
        plain = MLPClassifier(max_iter=5, random_state=0).fit(X, y)
    with pytest.warns(ConvergenceWarning):
        other = MLPClassifier(
            max_iter=5, random_state=0, learning_rate="invscaling", power_t=3.0, momentum=0.1
        ).fit(X, y)
    assert plain.loss_curve_ == other.loss_curve_


def diverging(**parameters):
    return MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="identity",
        solver="sgd",
        learning_rate_init=1e3,
        random_state=0,
        max_iter=50,
        **parameters,
    )


def test_divergence_ends_training_at_its_first_epoch(capsys):
    model = diverging(verbose=True)
    with pytest.raises(ValueError, match=r"stopped at epoch \d+ with learning rate 1000\.$"):
        model.fit(X, y)
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) < 10 and np.isfinite(losses[:-1]).all()  # scikit-learn: all 50
    assert not hasattr(model, "coefs_")


def test_divergence_with_early_stopping_restores_the_best_weights_and_warns():
    model = diverging(early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="The best weights of the epochs before are"):
        model.fit(X, y)
    assert model.n_iter_ < 10 and np.isfinite(model.predict(X)).all()


def test_divergence_in_the_last_epoch_raises_too():
    with pytest.raises(ValueError, match="Training stopped at epoch 1 with"):
        diverging(batch_size=10).set_params(max_iter=1).fit(X, y)


@quiet
def test_a_failed_warm_start_keeps_the_model_and_what_it_learned():
    model = MLPRegressor(
        hidden_layer_sizes=(5,),
        activation="identity",
        solver="sgd",
        warm_start=True,
        random_state=0,
        max_iter=3,
        batch_size=10,
    )
    model.fit(X, y)
    weights, curve = [w.copy() for w in model.coefs_], list(model.loss_curve_)
    model.set_params(learning_rate_init=1e10)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.partial_fit(np.full_like(X, np.nan), y)
    assert all(map(np.array_equal, weights, model.coefs_)) and model.loss_curve_ == curve


def test_warnings_point_at_the_line_that_called_fit():
    for model, call in (
        (MLPClassifier(max_iter=1), "fit"),
        (MLPRegressor(max_iter=1), "fit"),
        (MLPClassifier(max_iter=1, batch_size=1000), "fit"),
        (MLPClassifier(batch_size=1000), "partial_fit"),
        (diverging(early_stopping=True), "fit"),
    ):
        extra = {"classes": [0, 1, 2]} if call == "partial_fit" else {}
        with pytest.warns() as caught:
            getattr(model, call)(X, y, **extra)
        assert {warning.filename for warning in caught} == {__file__}, caught.list


def test_a_warning_turned_into_an_error_comes_after_the_model_is_stored():
    for solver in ("adam", "lbfgs"):
        model = MLPClassifier(solver=solver, max_iter=2, random_state=0)
        with pytest.raises(ConvergenceWarning), warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(X, y)
        assert model.n_iter_ == 2 and model.predict(X).shape == y.shape
    model = MLPClassifier(max_iter=2, batch_size=1000)  # these warn before there is a model
    for target in (y, y.reshape(-1, 1)):
        with pytest.raises(UserWarning), warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(X, target)
        assert set(vars(model)) == set(model.get_params())


@quiet
def test_lbfgs_in_between_leaves_the_optimizer_and_the_curves():
    """As in scikit-learn: a cold lbfgs fit keeps both."""
    for library in (theirs, fastbp):
        model = library.MLPClassifier(solver="sgd", max_iter=6, random_state=0).fit(X, y)
        model.set_params(solver="lbfgs").fit(X, y)
        assert len(model.loss_curve_) == 6
        model.set_params(solver="sgd").partial_fit(X, y)
        if library is theirs:
            expected = model
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=1e-6)
    assert len(model.loss_curve_) == len(expected.loss_curve_) == 7


@quiet
@pytest.mark.parametrize(
    "solver, hidden, told",
    [
        ("adam", (5, 5), True),
        ("sgd", (), True),
        ("lbfgs", (6,), True),
        ("adam", (6,), False),
    ],
)
def test_warm_start_with_other_sizes(solver, hidden, told):
    """An error where scikit-learn fails with an unclear message; otherwise ignored, as there."""
    model = MLPClassifier((5,), solver=solver, warm_start=True, max_iter=3, random_state=0)
    model.fit(X, y).set_params(hidden_layer_sizes=hidden)
    if told:
        with pytest.raises(ValueError, match=r"hidden_layer_sizes is \[.*\], but the fitted model"):
            model.fit(X, y)
    assert model.fit(X, y).coefs_[0].shape == (4, 5) if not told else True


@quiet
@pytest.mark.parametrize(
    "parameters",
    [
        dict(solver="adam"),
        dict(solver="sgd"),
        dict(solver="lbfgs"),
        dict(early_stopping=True),
        dict(hidden_layer_sizes=(1500, 900), batch_size=64),
        dict(sparse=True),
        dict(clip_norm=0.1),
        dict(dropout=0.5, batch_size=300),
        dict(solver="sgd", ema_decay=0.9),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
def test_the_memory_that_is_checked_is_the_memory_that_is_used(parameters, dtype, monkeypatch):
    told = []
    monkeypatch.setattr(
        "fastbp.estimators.memory.check_fits", lambda needed, *_: told.append(needed)
    )
    rng = np.random.RandomState(0)
    data, target = rng.rand(300, 400).astype(dtype), rng.rand(300)
    if parameters.get("sparse"):
        data = csr_array(np.where(data > 0.9, data, 0).astype(dtype))
    settings = {"hidden_layer_sizes": (3000,), "max_iter": 2, **parameters}
    settings.pop("sparse", None)
    model = MLPRegressor(**settings, n_threads=1, random_state=0)
    peak = peak_of(lambda: model.fit(data, target))
    # With float32, drawing the weights of a layer in float64 needs more memory for a short time.
    assert 0.75 * peak < told[-1] < 1.6 * peak


def test_parameters_are_stored_in_the_order_of_the_signature():
    """Pickles of equal estimators are therefore equal in every process."""
    for estimator in (MLPClassifier(), MLPRegressor()):
        assert list(vars(estimator)) == list(inspect.signature(type(estimator)).parameters)


@quiet
def test_multi_output_lbfgs_minimizes_and_reports_the_sum():
    """In scikit-learn the loss is the mean over outputs, the gradient that of the sum (#8349)."""
    Y = np.stack([y, X[:, 0], X[:, 1] ** 2], axis=1)
    model = MLPRegressor(solver="lbfgs", alpha=0.1, max_iter=2000, random_state=0).fit(X, Y)
    error = ((model.predict(X) - Y) ** 2).sum(axis=1).mean() / 2
    penalty = 0.1 / 2 * sum((w**2).sum() for w in model.coefs_) / len(X)
    assert model.loss_ == pytest.approx(error + penalty, rel=1e-9)
    one = MLPRegressor(solver="lbfgs", max_iter=20, random_state=0).fit(X, y)
    other = theirs.MLPRegressor(solver="lbfgs", max_iter=20, random_state=0).fit(X, y)
    assert one.loss_ == pytest.approx(other.loss_, rel=1e-6)


@quiet
@pytest.mark.parametrize("max_fun", range(1, 8))
def test_the_weights_of_lbfgs_are_those_of_its_loss(max_fun):
    """Also if the last evaluation was a rejected step of the line search."""
    model = MLPRegressor(solver="lbfgs", alpha=0.1, max_fun=max_fun, random_state=0).fit(X, y)
    error = ((model.predict(X) - y) ** 2).mean() / 2
    penalty = 0.1 / 2 * sum((w**2).sum() for w in model.coefs_) / len(X)
    assert model.loss_ == pytest.approx(error + penalty, rel=1e-9)


@quiet
def test_divergence_after_a_warm_start_restores_the_weights_of_its_start():
    model = diverging(early_stopping=True, warm_start=True, n_iter_no_change=np.inf)
    model.set_params(learning_rate_init=1e-3)
    model.fit(X, y).set_params(learning_rate_init=1e3)
    weights = [w.copy() for w in model.coefs_]
    model.best_validation_score_ = np.inf  # no epoch of the second fit is better
    with pytest.warns(ConvergenceWarning, match="The best weights of the epochs before are"):
        model.fit(X, y)
    assert all(map(np.array_equal, weights, model.coefs_))


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_float32_data_keeps_float32_weights(solver):
    model = MLPRegressor(solver=solver, max_iter=5, random_state=0).fit(X.astype(np.float32), y)
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
    assert model.predict(X.astype(np.float32)).dtype == np.float32
