"""Numbers that overflow: an error where the model is useless, else a warning, in clear words."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier, MLPRegressor, check_gradient, training
from fastbp import graph as fg
from fastbp.estimators import job as jobs
from fastbp.estimators.precision import Precision
from fastbp.kernels import core
from fastbp.training import overflow
from peaks import peak_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.randn(60, 4)
T = X[:, 0] + X[:, 1] ** 2 + 3
LABELS = (T > 4).astype(int)
SMALL = dict(hidden_layer_sizes=(6,), random_state=0, max_iter=20)
SECOND_MOMENT = r"^Adam's second moment, the mean of squared gradients, overflows float{}.* Scale X"


def warned(call):
    """The messages of the warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("at_once", [1, 7, 2**16])
@pytest.mark.parametrize("shape", [(0,), (1,), (90,), (0, 5), (30, 0), (1, 1), (40, 3)])
def test_the_largest_and_the_smallest_number_are_found_in_blocks(shape, at_once, monkeypatch):
    monkeypatch.setattr(overflow, "AT_ONCE", at_once)
    numbers = np.random.RandomState(0).randint(-9, 9, (2 * shape[0], *shape[1:]))[::2]
    expected = [int(numbers.argmax()), int(numbers.argmin())] if numbers.size else []
    assert overflow._extremes(numbers) == expected


def test_the_look_at_large_numbers_takes_little_memory():
    """Of X with 60 MB; a copy of what was looked at took 20 MB of a fit of MNIST."""
    wide = np.ones((20_000, 800), np.float32)
    y, model = np.arange(20_000) % 2, MLPClassifier((60,), max_iter=1, random_state=0)
    model.fit(wide[:100], y[:100])  # the first fit of a process also imports and caches
    assert peak_of(lambda: model.fit(wide, y)) < 4e6


# ---- Adam's second moment


@pytest.mark.parametrize("dtype, scale", [(np.float32, 1e11), (np.float64, 1e150)])
def test_a_second_moment_that_overflows_is_named(dtype, scale):
    model, rows = MLPRegressor(**SMALL), (scale * X).astype(dtype)
    bits = np.dtype(dtype).itemsize * 8
    with pytest.warns(ConvergenceWarning, match=SECOND_MOMENT.format(bits)):
        model.fit(rows, T)
    with pytest.warns(ConvergenceWarning, match=SECOND_MOMENT.format(bits)):
        MLPRegressor(**SMALL).partial_fit(rows, T)
    with pytest.warns(ConvergenceWarning, match="Scale X, or reduce"):
        MLPClassifier(**SMALL).fit(((1e22 if bits == 32 else 1e200) * X).astype(dtype), LABELS)
    assert np.isfinite(model.predict(rows)).all()


def test_a_second_moment_that_overflows_later_is_named_by_that_call():
    model = MLPRegressor(**SMALL).partial_fit(X, T)
    assert warned(lambda: model.partial_fit(X, T)) == []
    with pytest.warns(ConvergenceWarning, match=SECOND_MOMENT.format(64)):
        model.partial_fit(1e150 * X, T)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("n", [1, 3, 9])
@pytest.mark.parametrize("hidden", [(), (4,), (100, 100)], ids=str)
def test_one_huge_feature_of_a_large_network_is_noticed(hidden, n, form):
    """partial_fit looks at some of the second moments only, but steps over no feature."""
    noticed = 0
    for feature in range(2000, 3000, 41):
        rows = np.zeros((n, (40_000, 8_000, 3_200)[len(hidden)]), np.float32)
        rows[:, :20] = rng.randn(n, 20)
        model = MLPClassifier(hidden_layer_sizes=hidden, random_state=0)
        labels = np.arange(n) % 2
        assert warned(lambda: model.partial_fit(form(rows), labels, classes=[0, 1])) == []  # noqa: B023
        rows[:, feature] = 1e22
        model.coefs_[0][feature] = 0  # its units are not saturated, and the gradient is large
        messages = warned(lambda: model.partial_fit(form(rows), labels))  # noqa: B023
        overflows = not all(np.isfinite(one).all() for one in model._optimizer.vs)
        assert bool(messages) == overflows, f"feature {feature}"
        noticed += overflows
    assert noticed > 20


@pytest.mark.parametrize("hidden", [(300, 300), (2000, 5)], ids=str)
def test_huge_errors_of_a_large_network_are_noticed(hidden):
    """The gradients of all layers overflow, or of the last one only."""
    model = MLPRegressor(hidden_layer_sizes=hidden, random_state=0)
    rows = rng.randn(1, 40).astype(np.float32)
    assert warned(lambda: model.partial_fit(rows, [1.0])) == []
    for y in (1e19, 1e22):
        messages = warned(lambda: model.partial_fit(rows, [y]))  # noqa: B023
        overflows = not all(np.isfinite(one).all() for one in model._optimizer.vs)
        assert any("second moment" in one for one in messages) == overflows
    assert overflows


def test_large_numbers_that_do_not_overflow_are_not_named():
    for scale in (1e5, 1e7):
        messages = warned(lambda: MLPRegressor(**SMALL).fit((scale * X).astype("f4"), T))  # noqa: B023
        assert [one[:22] for one in messages] == ["Stochastic Optimizer: "]


# ---- losses


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("what", ["y", "X", "alpha", "rate"])
def test_every_fit_whose_numbers_overflow_says_so(solver, loss, dtype, what):
    huge = 1e200 if dtype == np.float64 else 1e30
    parameters = dict(SMALL, solver=solver, loss=loss)
    parameters |= {"alpha": 1e306} if what == "alpha" else {}
    parameters |= {"learning_rate_init": huge**1.5} if what == "rate" else {}
    rows, y = X.astype(dtype) * (huge if what == "X" else 1), T * (huge if what == "y" else 1)
    model = MLPRegressor(**parameters)
    try:
        messages = warned(lambda: model.fit(rows, y))
    except ValueError as error:
        messages = [str(error)]
        assert not hasattr(model, "coefs_")
    else:
        with np.errstate(over="ignore"):
            assert np.isfinite(model.predict(rows)).all()
        if np.isfinite(model.loss_):  # a fit of finite numbers need not say anything
            return
    assert any(words in one for one in messages for words in ("overflow", "to be preprocessed"))
    assert not any("not defined" in one for one in messages)


@pytest.mark.parametrize(
    "change, words",
    [
        (
            dict(y=1e155 * T),
            r"^The loss is \w+: errors or their squares overflow float64",
        ),
        (
            dict(X=1e200 * X),
            r"^The loss is \w+: errors or their squares overflow float64",
        ),
        (dict(X=1e307 * X), r"^The loss is \w+: .* overflow float64\. Scale X and y\.$"),
        (
            dict(alpha=1e306),
            r"^The loss is \w+: the L2 penalty overflows .* Reduce alpha",
        ),
    ],
)
def test_lbfgs_says_what_overflows(change, words):
    given = dict(X=X, y=T) | {name: change[name] for name in change.keys() & {"X", "y"}}
    model = MLPRegressor(solver="lbfgs", alpha=change.get("alpha", 1e-4), **SMALL)
    with pytest.raises(ValueError, match=words):
        model.fit(given["X"], given["y"])
    assert not hasattr(model, "coefs_")


def test_an_infinite_loss_of_usable_weights_is_a_warning():
    """The steps of sgd do not need the loss, whose squares overflow."""
    t = X[:, 0] + 3
    words = r"^The loss is infinite: errors or their squares overflow float{}\. Scale X and y"
    parameters = dict(hidden_layer_sizes=(), solver="sgd", learning_rate_init=0.05, random_state=0)
    model = MLPRegressor(max_iter=100, **parameters)
    with pytest.warns(ConvergenceWarning, match=words.format(64)):
        model.fit(X, 1e160 * t)
    assert np.corrcoef(model.predict(X) / 1e160, t)[0, 1] > 0.99
    with pytest.warns(ConvergenceWarning, match=words.format(32) + ".*convert X to float64"):
        MLPRegressor(**parameters).partial_fit(X.astype(np.float32), 1e20 * t)


def test_a_penalty_that_overflows_names_alpha():
    with pytest.warns(ConvergenceWarning, match="infinite: the L2 penalty overflows"):
        MLPRegressor(alpha=1e308, **SMALL).fit(X, T)
    with pytest.raises(ValueError, match=r"learning rate 0\.001 and a large alpha\.$"):
        MLPRegressor(alpha=1e300, solver="sgd", **SMALL).fit(X, T)


def test_weights_of_1e308_change_nothing():
    fits = [
        MLPRegressor(solver="sgd", alpha=0, **SMALL).fit(X, T, sample_weight=np.full(60, weight))
        for weight in (1.0, 1e308)
    ]
    np.testing.assert_allclose(fits[0].coefs_[0], fits[1].coefs_[0], rtol=1e-12)


def test_an_own_loss_is_undefined_or_overflows():
    def log_of_raw(raw, y):
        return fg.log(raw - 1000) + (raw - y) ** 2

    def difference(raw, y):  # inf - inf
        return raw**2 * y**2 - raw**2 * y**2 * 0.5

    for solver in ("lbfgs", "sgd"):
        with pytest.raises(ValueError, match=r"^The loss is NaN: it is not defined for"):
            MLPRegressor(log_of_raw, solver=solver, **SMALL).fit(X, T)
    with pytest.raises(ValueError, match=r"overflow|preprocessed"):
        MLPRegressor(difference, solver="lbfgs", **SMALL).fit(X, 1e200 * T)


def test_an_own_activation_that_is_not_defined_is_named():
    words = "or an activation is not defined for its argument"
    model = MLPRegressor(activation=fg.sqrt, solver="lbfgs", **SMALL)
    with pytest.raises(ValueError, match=words):
        model.fit(X, T)


def test_gradient_check_says_what_overflows():
    with pytest.raises(ValueError, match=r"no gradient\. The loss is infinite: .* Scale X and y"):
        check_gradient(MLPRegressor(**SMALL), X, 1e200 * T)


# ---- validation


@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
def test_validation_numbers_that_overflow_are_named(solver):
    words = r"^The validation (loss|score) is .* validation set\. Scale X_val and y_val"
    for X_val, y_val in ((X, 1e200 * T), (1e300 * X, T)):
        with pytest.warns(ConvergenceWarning, match=words):
            MLPRegressor(solver=solver, **SMALL).fit(X, T, X_val=X_val, y_val=y_val)
    if solver != "lbfgs":
        with pytest.warns(ConvergenceWarning, match=words):
            MLPRegressor(solver=solver, early_stopping=True, **SMALL).fit(
                X, T, X_val=1e307 * X, y_val=T
            )


# ---- predictions


OVERFLOWING = [  # finite weights, predictions that are not
    (MLPRegressor, dict(solver="adam", learning_rate_init=1e200, max_iter=1)),
    (MLPRegressor, dict(solver="sgd", learning_rate_init=1e200, max_iter=1)),
    (MLPClassifier, dict(solver="adam", learning_rate_init=1e200, max_iter=1)),
    (MLPRegressor, dict(solver="adam", loss="poisson", learning_rate_init=1e4, max_iter=1)),
]


@pytest.mark.parametrize("estimator, parameters", OVERFLOWING)
def test_finite_weights_whose_predictions_are_not_are_refused(estimator, parameters):
    y = LABELS if estimator is MLPClassifier else T
    words = r"^Predictions for samples of X are not finite after training: .* overflow float64\. Sc"
    for rows in (X, sp.csr_array(X)):
        model = estimator(**{**SMALL, **parameters})
        with pytest.raises(ValueError, match=words):
            model.fit(rows, y)
        assert not hasattr(model, "coefs_")
    model = estimator(**{**SMALL, **parameters, "learning_rate_init": 1e-3})
    classes = {"classes": [0, 1]} if estimator is MLPClassifier else {}
    model.partial_fit(X, y, **classes)
    before = model.predict(X)
    model.set_params(**parameters)
    model._optimizer = None
    with pytest.raises(ValueError, match=words):
        model.partial_fit(X, y)
    assert np.array_equal(model.predict(X), before)  # the failed call left it as it was


def of_two_sizes(n, huge, dtype):
    """Rows of zeros, but for those with the numbers `huge`."""
    rows = np.zeros((n, 5), dtype)
    rows[huge] = 1e6
    return rows


WHERE = [slice(200, None), slice(395, None), [211], [-2]]  # of 400 rows


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("huge", WHERE, ids=str)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_predictions_that_overflow_for_few_samples_are_refused(call, huge, form, sign):
    """A step of 1e16 makes weights of 1e16, by which two layers multiply 1e6: not in float32."""
    rows, y = sign * of_two_sizes(400, huge, np.float32), rng.randn(400)
    parameters = dict(hidden_layer_sizes=(20,), random_state=0, max_iter=1, batch_size=400)
    model = MLPRegressor(learning_rate_init=1e16, **parameters)
    with pytest.raises(ValueError, match=r"^Predictions for samples of X are not finite"):
        getattr(model, call)(form(rows), y)
    model = MLPRegressor(learning_rate_init=1e12, **parameters)  # so the others are right
    with np.errstate(all="ignore"):
        assert np.isfinite(getattr(model, call)(form(rows), y).predict(rows)).all()


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_only_samples_with_weight_count(call):
    rows, y = of_two_sizes(400, slice(380, None), np.float32), rng.randn(400)
    parameters = dict(hidden_layer_sizes=(20,), random_state=0, max_iter=1, batch_size=400)
    weight = np.zeros(400)
    weight[375:390] = 1
    with pytest.raises(ValueError, match=r"^Predictions for samples of X are not finite"):
        getattr(MLPRegressor(learning_rate_init=1e16, **parameters), call)(rows, y, weight)
    weight = np.ones(400)
    weight[380:] = 0
    getattr(MLPRegressor(learning_rate_init=1e16, **parameters), call)(rows, y, weight)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_largest_numbers_of_x_are_found(form):
    rows = (0.1 * rng.randn(900, 50)).astype(np.float32)  # more than are looked at for one step
    rows[rng.rand(*rows.shape) < 0.5] = 0
    rows[411, 17], rows[500, 3] = 9, -9
    model = MLPRegressor(hidden_layer_sizes=(300,), random_state=0, max_iter=4)
    job = model._job(form(rows), rows[:, 0])
    training.run(job)
    assert overflow._largest(job, job.samples) == [(411, 17), (500, 3)]
    job = model._job(form(rows[:, :4]), rows[:, 0], purpose="inspect")
    assert overflow._largest(job, job.samples)[1] == (500, 3)
    empty = model._job(sp.csr_array((9, 4)), rows[:9, 0])
    assert overflow._largest(empty, empty.samples) == []


def test_samples_without_weight_need_no_prediction():
    rows, weight = X.copy(), np.ones(len(X))
    rows[0], weight[0] = [1e4, -1e4, 1e4, -1e4], 0
    rows[1] = -rows[0]
    weight[1] = 0
    model = MLPRegressor("poisson", hidden_layer_sizes=(), solver="sgd", max_iter=5, random_state=0)
    model.fit(rows, T, sample_weight=weight)
    assert np.isinf(model.predict(rows[:2])).any() and np.isfinite(model.predict(rows[2:])).all()


def test_weights_that_float32_cannot_hold_are_refused():
    """lbfgs works in float64 here, and its weights are rounded to float32 at the end."""
    model = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0)
    job = model._job((1e-30 * X).astype(np.float32), 1e8 * T)
    job.network.coefs[0][...] = 1e50
    job.rule = training.LBFGS(tol=1e308, max_fun=10)  # it ends at the start
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        training.run(job, [])


# ---- lbfgs that ends at once


def at_once(model, rows, y):
    return [one for one in warned(lambda: model.fit(rows, y)) if "lbfgs ended at once" in one]


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_lbfgs_that_stands_still_says_so(loss, monkeypatch):
    """In float32 the loss of targets of 1e9 does not change in its last digit."""
    model = MLPRegressor(loss, solver="lbfgs", **SMALL)
    assert at_once(model, X.astype(np.float32), 1e9 * T) == [] and model.n_iter_ > 1
    monkeypatch.setattr(
        jobs, "precision_of", lambda *_, **__: Precision(np.dtype("f4"), np.dtype("f4"))
    )
    said = at_once(model, X.astype(np.float32), 1e9 * T)
    assert len(said) == 1 and "Scale y" in said[0] and model.n_iter_ <= 1


def test_float64_stands_still_too():
    model = MLPRegressor("absolute_error", solver="lbfgs", **{**SMALL, "hidden_layer_sizes": ()})
    assert len(at_once(model, X, 1e26 * T)) == 1 and model.n_iter_ <= 1


def test_an_end_at_once_at_the_minimum_is_silent():
    model = MLPRegressor(solver="lbfgs", warm_start=True, tol=1e-12, **SMALL)
    model.set_params(max_iter=3000)
    for _ in range(5):
        assert at_once(model, X, T) == []
    assert model.n_iter_ <= 5
    for y in (np.zeros(60), np.full(60, 5.0)):
        assert at_once(MLPRegressor(solver="lbfgs", **SMALL), X, y) == []
    assert at_once(MLPRegressor(solver="lbfgs", **{**SMALL, "max_iter": 1}), X, T) == []


# ---- the bound that spares small networks the look at predictions


@pytest.mark.parametrize("activation", core.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_named_activations_are_within_the_bound(activation, dtype):
    """|f(z)| <= 2 |z| + 2, from which `_stays_small` follows layer by layer."""
    sizes = np.r_[np.logspace(-30, 30, 4001), np.linspace(0, 50, 4001)]
    z = np.r_[-sizes, sizes].astype(dtype)
    a = z.copy()
    core.kernel_activate(core.ACTIVATIONS[activation], a, np.empty_like(a))
    assert (np.abs(a.astype(np.float64)) <= 2 * np.abs(z.astype(np.float64)) + 2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["relu", "identity", "selu", "softplus"])
def test_what_stays_small_has_finite_predictions(activation, dtype):
    """Weights of all scales: some are within the bound, and some predictions overflow."""
    job = MLPRegressor(**{**SMALL, "activation": activation})._job(np.abs(X).astype(dtype), T)
    judged = set()
    for power in np.linspace(0, np.log10(float(np.finfo(dtype).max)) - 0.1, 60):
        job.network.params[...] = 0.9 * 10.0**power
        small = overflow._stays_small(job, job.samples)
        predictions = overflow._predictions(job, job.samples, "identity")
        judged.add((small, bool(np.isfinite(predictions).all())))
    assert judged >= {(True, True), (False, False)}
    assert (True, False) not in judged
