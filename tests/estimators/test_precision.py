"""The dtype of fits with float32 X: as exact as with float64 X, at any scale of the targets."""

import numpy as np
import pytest
import scipy.sparse as sp

import scales
from fastbp import MLPClassifier, MLPRegressor

quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, T = scales.samples(0)
X64 = X.astype(np.float64)
SMALL = dict(hidden_layer_sizes=(6,), random_state=0, max_iter=60)
COARSE = r"^y has a mean of .* which float32 cannot resolve: training and predictions use float64"


def r2(model, y):
    return 1 - ((y - model.predict(X)) ** 2).sum() / ((y - y.mean()) ** 2).sum()


# ---- the law (all of its grid: python tests/scales.py)


@quiet
@pytest.mark.parametrize("loss", scales.LOSSES)
@pytest.mark.parametrize("scale, offset", [(1e8, 0), (1, 1e2), (1e6, 1e9)])
def test_lbfgs_learns_large_targets_from_float32_rows(loss, scale, offset):
    case = scales.Case(loss, "lbfgs", "relu", scale, offset, None)
    assert scales.disagreement(case, seeds=range(2)) == ""


@quiet
@pytest.mark.filterwarnings("ignore:y has a mean")
@pytest.mark.parametrize(
    "case",
    [
        scales.Case("squared_error", "lbfgs", "linear", 1, 1e9, None),
        scales.Case("poisson", "lbfgs", "linear", 1, 1e9, None),
        scales.Case("absolute_error", "lbfgs", "relu", 1, 1e4, None),
        scales.Case("squared_error", "sgd", "linear", 1, 1e9, 0.01),
        scales.Case("squared_error", "sgd", "linear", 1, 1e6, 0.01),
        scales.Case("squared_error", "sgd", "linear", 1e12, 0, 0.01),
        scales.Case("squared_error", "sgd", "relu", 1e6, 0, 0.01),
        scales.Case("squared_error", "adam", "relu", 1, 1e2, 0.1),
        scales.Case("absolute_error", "sgd", "relu", 1e9, 0, 1e-3),
        scales.Case("quantile", "sgd", "relu", 1, 1e2, 1e-2),
    ],
)
def test_offsets_and_scales_are_learned_by_every_solver(case):
    assert scales.disagreement(case, seeds=range(3)) == ""


@quiet
@pytest.mark.parametrize("factor, shift", [(1e11, 0), (1e20, 0), (1, 1e4)])
def test_lbfgs_learns_from_large_float32_features(factor, shift):
    rows = (factor * X64 + shift).astype(np.float32)
    parameters = dict(SMALL, solver="lbfgs", activation="tanh")
    single = MLPRegressor(**parameters).fit(rows, T)
    double = MLPRegressor(**parameters).fit(rows.astype(np.float64), T)
    assert single.score(rows, T) == pytest.approx(double.score(rows, T), abs=0.02)
    assert single.n_iter_ == double.n_iter_ and single.coefs_[0].dtype == np.float32


# ---- what decides


@quiet
@pytest.mark.parametrize(
    "y",
    [
        1e8 * T,
        (1.6e9 + 1e7 * T).astype(np.int64),
        np.column_stack([T, 1e8 * T]),
        100 + T,
    ],
    ids=["large", "timestamps", "one of two", "a small spread"],
)
def test_lbfgs_works_in_float64_and_the_weights_are_float32(y):
    single = MLPRegressor(solver="lbfgs", **SMALL).fit(X, y)
    double = MLPRegressor(solver="lbfgs", **SMALL).fit(X64, y)
    for ours, exact in zip(single.coefs_, double.coefs_, strict=True):
        assert ours.dtype == np.float32 and np.array_equal(ours, exact.astype(np.float32))
    assert single.loss_ == double.loss_ and single.predict(X).dtype == np.float32


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize("y", [T, 50 * T, T - 3, np.full(len(T), 0.1), np.zeros(len(T))])
def test_targets_that_float32_resolves_stay_in_float32(solver, y):
    model = MLPRegressor(solver=solver, **SMALL)
    samples = model._job(X, y).samples
    assert (samples.y.dtype == np.float32) == (np.ptp(y) > 0 or not y.any())
    assert model.fit(X, y).coefs_[0].dtype == np.float32


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "sgd", "adam"])
@pytest.mark.parametrize(
    "y, words",
    [
        (1e9 + T, "a mean of 1e\\+09 and a standard deviation of 1\\.2"),
        ((10**15 + 1e6 * T).astype(np.int64), "a mean of 1e\\+15 and a standard deviation"),
        (np.column_stack([T, 1e9 + T]), "standard deviation of .* in column 1, which"),
    ],
)
def test_targets_that_float32_cannot_resolve_make_a_float64_model(solver, y, words):
    parameters = dict(SMALL, solver=solver, hidden_layer_sizes=() if solver == "sgd" else (6,))
    single, double = MLPRegressor(**parameters), MLPRegressor(**parameters)
    with pytest.warns(UserWarning, match=words) as caught:
        single.fit(X, y)
    assert sum("y has a mean" in str(one.message) for one in caught) == 1
    assert {one.filename for one in caught} == {__file__}
    double.fit(X64, y)
    assert np.array_equal(single.predict(X), double.predict(X64))
    assert single.predict(X).dtype == np.float64


@quiet
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_losses_of_large_targets_are_those_of_float64(solver, early_stopping):
    """So training does not look stalled where float32 shows no improvement."""
    single, double = (
        MLPRegressor("huber", solver=solver, early_stopping=early_stopping, **SMALL).fit(rows, y)
        for rows, y in ((X, 1e9 * T), (X64, 1e9 * T))
    )
    assert single.loss_curve_ == double.loss_curve_ and single.n_iter_ == double.n_iter_
    assert single.coefs_[0].dtype == np.float32
    assert single._optimizer.state.dtype == np.float64  # to go on from
    single.set_params(early_stopping=False).partial_fit(X, 1e9 * T)
    assert single.coefs_[0].dtype == np.float32


@quiet
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_weights_are_float32_but_a_fit_goes_on_from_float64(solver):
    """The last weights and the optimizer's state are not rounded, so that resume is exact."""
    parameters = dict(SMALL, solver=solver, early_stopping=True, learning_rate_init=1.0)
    single = MLPRegressor("huber", **parameters).fit(X, 1e4 * T)
    double = MLPRegressor("huber", **parameters).fit(X64, 1e4 * T)
    last = double._resume["raw_params"]
    if last is None:  # the last epoch is the best
        last = np.concatenate([a.ravel() for a in (*double.coefs_, *double.intercepts_)])
    assert np.array_equal(single._resume["raw_params"], last)
    assert np.array_equal(single._optimizer.state, double._optimizer.state)
    arrays, doubles = (m.coefs_ + m.intercepts_ for m in (single, double))
    for one, other in zip(arrays, doubles, strict=True):
        assert one.dtype == np.float32
        assert np.array_equal(one, other.astype(np.float32))
    assert single._resume["best_epoch"] == double._resume["best_epoch"]
    assert single.validation_scores_ == double.validation_scores_


@quiet
def test_sparse_rows_too():
    single = MLPRegressor(solver="lbfgs", **SMALL).fit(sp.csr_array(X), 1e8 * T)
    double = MLPRegressor(solver="lbfgs", **SMALL).fit(sp.csr_array(X64), 1e8 * T)
    assert single.loss_ == double.loss_ and single.coefs_[0].dtype == np.float32


@quiet
def test_samples_without_weight_decide_nothing():
    weight = np.ones(len(T))
    weight[:5] = 0
    y = 1e9 + T
    y[:5] = 0  # alone they would give y a spread that float32 resolves
    with pytest.warns(UserWarning, match=COARSE):
        model = MLPRegressor(solver="lbfgs", **SMALL).fit(X, y, sample_weight=weight)
    assert model.coefs_[0].dtype == np.float64
    y, rows = T.copy(), X.copy()
    y[:5] = 1e30
    model = MLPRegressor(solver="sgd", **SMALL).fit(rows, y, sample_weight=weight)
    assert model.coefs_[0].dtype == np.float32


@quiet
def test_classifiers_are_not_concerned():
    labels = np.where(T > 3, 10**9 + 1, 10**9)
    model = MLPClassifier(solver="lbfgs", **SMALL)
    assert model._job(100 * X, labels).samples.y.dtype == np.float32
    assert model.fit(100 * X, labels).coefs_[0].dtype == np.float32


@quiet
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_validation_targets_are_not_rounded(solver):
    y = 1e9 + T
    with pytest.warns(UserWarning, match=COARSE):
        model = MLPRegressor(solver=solver, **SMALL).fit(X, y, X_val=X, y_val=y)
    double = MLPRegressor(solver=solver, **SMALL).fit(X64, y, X_val=X64, y_val=y)
    assert model.validation_loss_curve_ == double.validation_loss_curve_
    assert model.validation_scores_ == double.validation_scores_


# ---- calls that continue


@quiet
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_widens_the_model_when_it_has_to(solver):
    model = MLPRegressor(solver=solver, **SMALL).partial_fit(X, T)
    assert model.coefs_[0].dtype == np.float32
    with pytest.warns(UserWarning, match=COARSE):
        model.partial_fit(X, 1e9 + T)
    assert model.coefs_[0].dtype == model._optimizer.state.dtype == np.float64
    model.partial_fit(X, T)  # it stays in float64, and nothing is left to say
    assert model.coefs_[0].dtype == np.float64 and model.t_ == 3 * len(T)


@quiet
def test_single_rows_decide_nothing():
    """docs/differences.md says so: a row alone shows no spread of y."""
    model = MLPRegressor(**SMALL)
    for k in range(3):
        model.partial_fit(X[k : k + 1], [1e9 + T[k]])
    assert model.coefs_[0].dtype == np.float32


@quiet
def test_a_warm_start_of_lbfgs_continues_in_float64_and_stays_float32():
    model = MLPRegressor(solver="lbfgs", warm_start=True, **SMALL).fit(X, T)
    model.set_params(max_iter=300).fit(X, 1e8 * T)
    assert model.coefs_[0].dtype == np.float32 and r2(model, 1e8 * T) > 0.9


def test_targets_beyond_float32_are_refused_before_and_after():
    refused = r"^y has values too large for float32"
    for solver in ("lbfgs", "adam"):
        model = MLPRegressor(solver=solver, **SMALL)
        for y in (1e39 * T, 1e39 + T):
            with pytest.raises(ValueError, match=refused):
                model.fit(X, y)
        assert not hasattr(model, "coefs_")
