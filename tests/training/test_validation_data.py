"""Validation data given to `fit`: recorded curves, effects on training, and refused data."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.training.validation_set as validation_set
import oracle
import twins
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.network import Network
from interrupts import TRAINING, InterruptAt

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

try:
    import pandas as pd
except ImportError:
    pd = None

rng = np.random.RandomState(0)
X, X_VAL = rng.randn(120, 6), rng.randn(50, 6)
LABELS, LABELS_VAL = X[:, :3].argmax(axis=1), X_VAL[:, :3].argmax(axis=1)
T, T_VAL = X[:, :2] @ [[1, 2], [3, -1]], X_VAL[:, :2] @ [[1, 2], [3, -1]]
W, W_VAL = rng.randint(0, 4, 120).astype(float), rng.randint(0, 4, 50).astype(float)
SMALL = dict(
    hidden_layer_sizes=(5,),
    activation="tanh",
    max_iter=6,
    batch_size=16,
    random_state=0,
    learning_rate_init=0.02,
)
BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])


def data_of(cls):
    """Training and validation targets."""
    return (LABELS, LABELS_VAL) if cls is MLPClassifier else (T, T_VAL)


def bits(model):
    return [array.tobytes() for array in (*model.coefs_, *model.intercepts_)]


# ---- recorded curves


def log_cosh(raw, y):
    return fg.log(fg.cosh(raw - y))


def own_log_loss(raw, y):
    return fg.logsumexp(raw) - fg.sum(raw * y)


def swish(z):
    return z * fg.sigmoid(z)


# Estimator and parameters; training and validation targets; name of the loss in the oracle.
PROBLEMS = {
    "log_loss": (MLPClassifier, {}, LABELS, LABELS_VAL, "log_loss"),
    "binary": (MLPClassifier, {}, LABELS > 0, LABELS_VAL > 0, "binary_log_loss"),
    "multilabel": (MLPClassifier, {}, (T > 0) * 1, (T_VAL > 0) * 1, "binary_log_loss"),
    "probabilities": (
        MLPClassifier,
        dict(loss="squared_error"),
        LABELS,
        LABELS_VAL,
        "squared_error/softmax",
    ),
    "own log loss": (MLPClassifier, dict(loss=own_log_loss), LABELS, LABELS_VAL, "log_loss"),
    "squared_error": (MLPRegressor, {}, T[:, 0], T_VAL[:, 0], "squared_error"),
    "two outputs": (MLPRegressor, {}, T, T_VAL, "squared_error"),
    "logistic": (
        MLPRegressor,
        dict(out_activation="logistic"),
        (T > 0) * 1.0,
        (T_VAL > 0) * 1.0,
        "squared_error/logistic",
    ),
    "huber": (
        MLPRegressor,
        dict(loss="huber", huber_threshold=twins.THRESHOLD),
        T,
        T_VAL,
        "huber",
    ),
    "quantile": (MLPRegressor, dict(loss="quantile", quantile=twins.LEVELS), T, T_VAL, "quantile"),
    "gaussian": (MLPRegressor, dict(loss="gaussian"), T, T_VAL, "gaussian"),
    "poisson": (MLPRegressor, dict(loss="poisson"), abs(T), abs(T_VAL), "poisson"),
    "tweedie": (
        MLPRegressor,
        dict(loss="tweedie", tweedie_power=twins.POWER),
        abs(T[:, 0]),
        abs(T_VAL[:, 0]),
        "tweedie",
    ),
    "own loss": (MLPRegressor, dict(loss=log_cosh), T, T_VAL, "log_cosh"),
    "own loss and activation": (
        MLPRegressor,
        dict(loss=log_cosh, activation=swish),
        T,
        T_VAL,
        "log_cosh",
    ),
}


def numpy_loss(model, problem, x, y, weight):
    """The reported loss of the current model, without the penalty, in float64."""
    cls, params, *_, loss = PROBLEMS[problem]
    activation = "silu" if params.get("activation") is swish else "tanh"
    coefs, intercepts = (
        [a.astype(float) for a in arrays] for arrays in (model.coefs_, model.intercepts_)
    )
    z = oracle.forward(coefs, intercepts, activation, x)[-1]
    y = np.reshape(y, (len(y), -1)).astype(float)
    if loss == "quantile":
        y = np.repeat(y, len(twins.LEVELS), axis=1)
    elif loss == "gaussian":
        y = np.tile(y, 2)
    clipped = 0 if problem == "own log loss" else np.finfo(model.coefs_[0].dtype).eps
    rows = oracle.row_reported(loss, z, y, clipped)
    is_mean = cls is MLPRegressor and loss.startswith("squared_error")
    return np.average(rows, weights=weight) / (z.shape[1] if is_mean else 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_curves_belong_to_the_weights_after_each_epoch(problem, weighted, dtype):
    """A second model is trained epoch by epoch; NumPy computes its loss and score after each."""
    cls, params, y, y_val, _ = PROBLEMS[problem]
    x, x_val = X.astype(dtype), X_VAL.astype(dtype)
    weight, weight_val = (W, W_VAL) if weighted else (None, None)
    model = cls(**{**SMALL, "shuffle": False, "alpha": 0.1, **params})
    twin = clone(model)
    model.fit(x, y, weight, X_val=x_val, y_val=y_val, sample_weight_val=weight_val)
    losses, scores = [], []
    for _ in range(model.n_iter_):
        extra = (
            {} if cls is MLPRegressor or hasattr(twin, "classes_") else {"classes": np.unique(y)}
        )
        twin.partial_fit(x, y, weight, **extra)
        losses.append(numpy_loss(twin, problem, x_val, y_val, weight_val))
        scores.append(twin.score(x_val, y_val, weight_val))
    assert bits(twin) == bits(model) and model.n_iter_ == 6
    assert model.validation_scores_ == scores
    np.testing.assert_allclose(
        model.validation_loss_curve_, losses, rtol=1e-12 if dtype == np.float64 else 2e-5
    )
    assert model.best_validation_score_ is None
    recorded = model.validation_loss_curve_ + model.validation_scores_
    assert {type(value) for value in recorded} == {float}


@BOTH
def test_validation_loss_on_the_training_data_is_the_loss_of_the_next_epoch(cls):
    """With one batch per epoch, loss_curve_ has the loss before the only step of each epoch."""
    y, _ = data_of(cls)
    model = cls(**{**SMALL, "batch_size": 120, "alpha": 0.0})
    model.fit(X, y, W, X_val=X, y_val=y, sample_weight_val=W)
    np.testing.assert_allclose(model.validation_loss_curve_[:-1], model.loss_curve_[1:], rtol=1e-12)


@BOTH
def test_held_out_samples_are_recorded_too(cls):
    y, _ = data_of(cls)
    model = cls(**SMALL, early_stopping=True, validation_fraction=0.3).fit(X, y, W)
    random_state = np.random.RandomState(0)
    network = Network([6, 5, 3 if cls is MLPClassifier else 2], "tanh", float)
    network.initialize(random_state)  # the same draws as in a fit before its split
    _, held_out = train_test_split(np.arange(120), test_size=0.3, random_state=random_state)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    best = np.argmax(model.validation_scores_)
    assert model.score(X[held_out], y[held_out], W[held_out]) == model.best_validation_score_
    z = oracle.forward(model.coefs_, model.intercepts_, "tanh", X[held_out])[-1]
    loss = "log_loss" if cls is MLPClassifier else "squared_error"
    target = y[held_out].reshape(len(held_out), -1)
    scale = 1 if cls is MLPClassifier else 0.5
    expected = scale * np.average(
        oracle.row_reported(loss, z, target, 2.0**-52), weights=W[held_out]
    )
    assert model.validation_loss_curve_[best] == pytest.approx(expected, rel=1e-12)


def test_a_sample_of_weight_zero_is_ignored_even_if_its_loss_is_infinite():
    x_val = np.vstack([X_VAL, np.full((1, 6), 1e200)])
    y_val, weight = np.append(T_VAL[:, 0], 0.0), np.append(np.ones(50), 0.0)
    model = MLPRegressor(**{**SMALL, "activation": "identity"})
    with_it = clone(model).fit(X, T[:, 0], X_val=x_val, y_val=y_val, sample_weight_val=weight)
    without = clone(model).fit(X, T[:, 0], X_val=X_VAL, y_val=T_VAL[:, 0])
    np.testing.assert_allclose(
        with_it.validation_loss_curve_, without.validation_loss_curve_, rtol=1e-13
    )
    heavy = clone(model).fit(X, T[:, 0], X_val=x_val, y_val=y_val)
    assert heavy.validation_loss_curve_ == [np.inf] * 6


def test_losses_may_overflow_in_their_sum():
    """Without a warning, which would be an error here; each loss is finite."""
    y_val = np.full(50, 1.3e154)
    model = MLPRegressor(**{**SMALL, "scoring": "loss"})
    model.fit(X, T[:, 0], X_val=X_VAL, y_val=y_val)
    assert model.validation_loss_curve_ == [np.inf] * 6


@BOTH
def test_weights_of_any_scale_give_the_same_curves(cls):
    y, y_val = data_of(cls)
    curves = []
    for scale in (1.0, 2.0**1020, 2.0**-1070):
        model = cls(**SMALL)
        model.fit(X, y, X_val=X_VAL, y_val=y_val, sample_weight_val=scale * W_VAL)
        curves.append((model.validation_loss_curve_, model.validation_scores_))
    assert curves[0] == curves[1] == curves[2]


# ---- effects on training


@BOTH
@pytest.mark.parametrize(
    "params",
    [
        {},
        dict(shuffle=False),
        dict(solver="sgd", learning_rate="adaptive", tol=0.5, max_iter=60),
        dict(solver="lbfgs", max_iter=20),
        dict(n_threads=2),
    ],
)
@pytest.mark.parametrize("kind", ["float64", "float32", "csr"])
def test_without_early_stopping_the_fit_is_the_same_to_the_bit(cls, params, kind):
    y, y_val = data_of(cls)
    x = sp.csr_array(X) if kind == "csr" else X.astype(kind)
    states = [np.random.RandomState(3) for _ in range(2)]
    plain, recorded = (cls(**{**SMALL, **params, "random_state": state}) for state in states)
    plain.fit(x, y, W)
    recorded.fit(x, y, W, X_val=X_VAL, y_val=y_val)
    assert bits(plain) == bits(recorded) and plain.n_iter_ == recorded.n_iter_
    assert plain.loss_ == recorded.loss_ and plain.t_ == recorded.t_
    assert states[0].randint(2**31) == states[1].randint(2**31)  # no additional draws
    if plain.solver == "lbfgs":
        assert not hasattr(plain, "validation_scores_")
    else:
        assert plain.loss_curve_ == recorded.loss_curve_
        assert plain.best_loss_ == recorded.best_loss_
        assert plain.validation_scores_ is plain.validation_loss_curve_ is None
    assert recorded.best_validation_score_ is None
    assert len(recorded.validation_loss_curve_) == len(recorded.validation_scores_)
    assert len(recorded.validation_scores_) == recorded.n_iter_


@BOTH
def test_with_early_stopping_all_samples_train_and_the_score_decides(cls):
    y, y_val = data_of(cls)
    params = {**SMALL, "max_iter": 200, "n_iter_no_change": 4, "tol": 1e-3}
    model = cls(**params, early_stopping=True, validation_fraction=0.5)
    model.fit(X, y, X_val=X_VAL, y_val=y_val, sample_weight_val=W_VAL)
    plain = cls(**{**params, "tol": 0.0, "max_iter": model.n_iter_})
    plain.fit(X, y, X_val=X_VAL, y_val=y_val, sample_weight_val=W_VAL)
    assert model.loss_curve_ == plain.loss_curve_  # no split was drawn, nothing held out
    assert model.validation_scores_ == plain.validation_scores_
    assert model.validation_loss_curve_ == plain.validation_loss_curve_
    assert model.t_ == 120 * model.n_iter_ and model.best_loss_ is None
    best, missed = -np.inf, 0
    for epoch, score in enumerate(model.validation_scores_, 1):
        missed = missed + 1 if score < best + 1e-3 else 0
        best = max(best, score)
        assert (missed > 4) == (epoch == model.n_iter_)
    assert 5 < model.n_iter_ < 200 and model.best_validation_score_ == best
    kept = 1 + model.validation_scores_.index(best)
    assert bits(model) == bits(plain.set_params(max_iter=kept).fit(X, y))
    assert model.score(X_VAL, y_val, W_VAL) == best


def test_divergence_restores_the_best_weights_or_raises():
    model = MLPRegressor(
        **{
            **SMALL,
            "activation": "identity",
            "solver": "sgd",
            "max_iter": 50,
            "learning_rate_init": 1e3,
        }
    )
    data = dict(X_val=X_VAL, y_val=T_VAL)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(X, T, **data)
    with pytest.warns(ConvergenceWarning, match="The best weights of the epochs before"):
        model.set_params(early_stopping=True).fit(X, T, **data)
    assert np.isfinite(model.predict(X)).all() and model.n_iter_ < 10
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert not np.isfinite(model.validation_loss_curve_[-1])


@BOTH
def test_curves_continue_in_warm_starts_and_begin_again_in_cold_ones(cls):
    y, y_val = data_of(cls)
    data = dict(X_val=X_VAL, y_val=y_val)
    model = cls(**SMALL, warm_start=True).fit(X, y, **data)
    first = list(model.validation_loss_curve_)
    model.fit(X, y, **data)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 12
    assert model.validation_loss_curve_[:6] == first
    model.set_params(warm_start=False).fit(X, y, **data)
    assert model.validation_loss_curve_ == first
    model.partial_fit(X, y)
    assert model.validation_scores_ is model.validation_loss_curve_ is None
    assert len(model.loss_curve_) == 7


def test_curves_of_lbfgs_continue_and_begin_again_likewise():
    data = dict(X_val=X_VAL, y_val=T_VAL)
    model = MLPRegressor(**SMALL, early_stopping=True).fit(X, T, **data)
    model.set_params(solver="lbfgs", max_iter=3)
    model.fit(X, T)  # keeps the curves, as it keeps loss_curve_
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == 6
    first = model.fit(X, T, **data).validation_loss_curve_
    assert len(first) == len(model.validation_scores_) == model.n_iter_ == 3
    assert model.fit(X, T, **data).validation_loss_curve_ == first
    model.set_params(warm_start=True).fit(X, T, **data)
    assert model.validation_loss_curve_[:3] == first
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 6


@BOTH
def test_lbfgs_records_every_iterate(cls):
    y, y_val = data_of(cls)
    data = dict(X_val=X_VAL, y_val=y_val, sample_weight_val=W_VAL)
    model = cls(**{**SMALL, "solver": "lbfgs", "alpha": 0.1}, early_stopping=True)
    model.fit(X, y, **data)
    assert model.best_validation_score_ is None  # and there is no early stopping
    for n in range(1, 7):
        step = clone(model).set_params(max_iter=n).fit(X, y)
        z = oracle.forward(step.coefs_, step.intercepts_, "tanh", X_VAL)[-1]
        loss = "log_loss" if cls is MLPClassifier else "squared_error"
        rows = oracle.row_reported(loss, z, y_val.reshape(50, -1), 2.0**-52)
        # The sum over outputs, as in the loss that lbfgs reports.
        assert model.validation_loss_curve_[n - 1] == pytest.approx(
            np.average(rows, weights=W_VAL), rel=1e-12
        )
        assert model.validation_scores_[n - 1] == step.score(X_VAL, y_val, W_VAL)
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == 6


@BOTH
@pytest.mark.parametrize("sparse", [False, True])
def test_any_number_of_threads_records_the_same_bits(cls, sparse, monkeypatch):
    monkeypatch.setattr("fastbp.network.inference.PREDICT_WORK", 1)  # chunks of 64 rows
    x_val = np.random.RandomState(1).randn(1000, 6)
    y_val = x_val[:, :3].argmax(axis=1) if cls is MLPClassifier else x_val[:, :2]
    ran = []
    validate = validation_set.ValidationSet._validate
    monkeypatch.setattr(
        validation_set.ValidationSet,
        "_validate",
        lambda self, params, part: (ran.append(part.start), validate(self, params, part)),
    )
    curves = []
    for n_threads in (1, 2, 3):
        model = cls(**SMALL, n_threads=n_threads)
        model.fit(X, data_of(cls)[0], X_val=sp.csr_array(x_val) if sparse else x_val, y_val=y_val)
        curves.append((model.validation_loss_curve_, model.validation_scores_))
        assert sorted(ran) == sorted([*range(0, 1000, 64)] * 6)
        ran.clear()
    assert curves[0] == curves[1] == curves[2]
    problem = "log_loss" if cls is MLPClassifier else "squared_error"
    loss = numpy_loss(model, problem, x_val, y_val, None)
    assert curves[0][0][-1] == pytest.approx(loss, rel=1e-12)


def test_a_large_validation_set_is_in_the_memory_that_is_checked(monkeypatch):
    told = []
    monkeypatch.setattr(
        "fastbp.estimators.memory.check_fits", lambda needed, *_: told.append(needed)
    )
    for n in (100_002, 200_002):
        MLPRegressor(**SMALL).fit(X, T[:, 0], X_val=np.ones((n, 6)), y_val=np.ones(n))
    assert told[-1] - told[1] == 100_000 * 3 * 8


# ---- labels, layouts, pipelines


@pytest.mark.parametrize(
    "names",
    [
        ["b", "a", "c"],
        [10, 20, 30],
        [-1, 0, 1],
        [2.0, 3.0, 4.0],
        [True, False],
    ],
    ids=str,
)
def test_labels_are_encoded_with_the_classes_of_y(names):
    names, k = np.array(names), len(names)
    y, y_val = names[LABELS % k], names[LABELS_VAL % k]
    model = MLPClassifier(**SMALL).fit(X, y, X_val=X_VAL, y_val=y_val)
    order = np.argsort(names).argsort()  # the codes of the labels
    plain = MLPClassifier(**SMALL).fit(
        X, order[LABELS % k], X_val=X_VAL, y_val=order[LABELS_VAL % k]
    )
    assert model.validation_loss_curve_ == plain.validation_loss_curve_
    assert model.validation_scores_ == plain.validation_scores_
    assert model.score(X_VAL, y_val) == model.validation_scores_[-1]
    as_list = MLPClassifier(**SMALL).fit(X, y, X_val=X_VAL.tolist(), y_val=y_val.tolist())
    assert as_list.validation_loss_curve_ == model.validation_loss_curve_


def test_validation_may_lack_classes():
    some = LABELS_VAL == 1
    model = MLPClassifier(**SMALL).fit(X, LABELS, X_val=X_VAL[some], y_val=LABELS_VAL[some])
    assert model.validation_scores_[-1] == model.score(X_VAL[some], LABELS_VAL[some])
    p = model.predict_proba(X_VAL[some])[:, 1]
    assert model.validation_loss_curve_[-1] == pytest.approx(-np.log(p).mean(), rel=1e-12)


def test_one_class():
    model = MLPClassifier(**SMALL).fit(X, ["a"] * 120, X_val=X_VAL, y_val=["a"] * 50)
    assert model.validation_scores_ == [1.0] * 6
    assert np.diff(model.validation_loss_curve_).max() < 0


def test_multilabel_targets_may_be_sparse():
    y, y_val = (T > 0) * 1, (T_VAL > 0) * 1
    dense = MLPClassifier(**SMALL).fit(X, y, X_val=X_VAL, y_val=y_val)
    sparse = MLPClassifier(**SMALL).fit(
        X, sp.csr_matrix(y), X_val=X_VAL, y_val=sp.csr_matrix(y_val)
    )
    assert sparse.validation_loss_curve_ == dense.validation_loss_curve_
    assert sparse.validation_scores_ == dense.validation_scores_
    assert dense.validation_scores_[-1] == dense.score(X_VAL, y_val)


@BOTH
def test_any_layout_and_dtype_of_the_validation_set(cls):
    y, y_val = data_of(cls)
    x_val = np.round(X_VAL, 1)
    plain = cls(**SMALL).fit(X, y, X_val=x_val, y_val=y_val)
    read_only = x_val.copy()
    read_only.flags.writeable = False
    y_read_only = y_val.copy()
    y_read_only.flags.writeable = False
    for odd in (
        np.asfortranarray(x_val),
        x_val.tolist(),
        x_val.astype(">f8"),
        read_only,
        np.repeat(x_val, 2, axis=0)[::2],
    ):
        model = cls(**SMALL).fit(X, y, X_val=odd, y_val=y_read_only)
        assert model.validation_loss_curve_ == plain.validation_loss_curve_
    for odd in (
        sp.csr_array(x_val),
        sp.csc_array(x_val),
        sp.coo_array(x_val),
        sp.csr_matrix(x_val),
    ):
        model = cls(**SMALL).fit(X, y, X_val=odd, y_val=y_val)
        np.testing.assert_allclose(
            model.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-12
        )
    single = cls(**SMALL).fit(X.astype("f4"), y, X_val=x_val.astype("f4"), y_val=y_val)
    double = cls(**SMALL).fit(X.astype("f4"), y, X_val=x_val, y_val=y_val)
    assert single.validation_loss_curve_ == double.validation_loss_curve_
    assert single.coefs_[0].dtype == np.float32
    np.testing.assert_allclose(
        single.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-3
    )


@BOTH
def test_pipelines_transform_validation_data(cls):
    y, y_val = data_of(cls)
    x, x_val = 5 * X + 3, 5 * X_VAL + 3
    data = dict(X_val=x_val, y_val=y_val, sample_weight_val=W_VAL)
    with config_context(enable_metadata_routing=True):
        model = cls(**SMALL, early_stopping=True)
        assert model.get_metadata_routing().fit.requests == {
            "sample_weight": None,
            "X_val": None,
            "y_val": None,
            "sample_weight_val": None,
        }
        assert set(model.get_metadata_routing().partial_fit.requests) <= {
            "sample_weight",
            "classes",
        }
        model.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline(
            [("scale", StandardScaler()), ("mlp", model)], transform_input=["X_val"]
        )
        pipeline.fit(x, y, **data)
        scores = pipeline[-1].validation_scores_
    scaler = StandardScaler().fit(x)
    data["X_val"] = scaler.transform(x_val)
    alone = cls(**SMALL, early_stopping=True).fit(scaler.transform(x), y, **data)
    assert bits(pipeline[-1]) == bits(alone) and scores == alone.validation_scores_
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


@BOTH
def test_pickles_keep_the_curves(cls):
    y, y_val = data_of(cls)
    model = cls(**SMALL).fit(X, y, X_val=X_VAL, y_val=y_val)
    back = pickle.loads(pickle.dumps(model))
    assert back.validation_loss_curve_ == model.validation_loss_curve_
    assert back.validation_scores_ == model.validation_scores_
    assert not hasattr(clone(model), "validation_loss_curve_")


@pytest.mark.parametrize("early_stopping", [False, True])
def test_verbose_prints_the_score(early_stopping, capsys):
    model = MLPClassifier(**SMALL, verbose=True, early_stopping=early_stopping)
    model.fit(X, LABELS, X_val=X_VAL, y_val=LABELS_VAL)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1::2] == [f"Validation score: {s:f}" for s in model.validation_scores_]
    assert printed[::2] == [
        f"Iteration {n}, loss = {loss:.8f}" for n, loss in enumerate(model.loss_curve_, 1)
    ]


# ---- interrupts

INTERRUPTED = [
    pytest.param(dict(early_stopping=True), id="early stopping"),
    pytest.param({}, id="recorded"),
    pytest.param(dict(n_threads=2), id="two threads"),
]


@pytest.mark.parametrize("params", INTERRUPTED)
def test_an_interrupt_at_any_line_keeps_the_curves_together(params):
    data = dict(X_val=X_VAL, y_val=LABELS_VAL)
    model = MLPClassifier(**{**SMALL, "max_iter": 3}, warm_start=True, **params)
    whole = clone(model).fit(X, LABELS, **data)
    known = pickle.dumps(whole)
    whole.fit(X, LABELS, **data)
    line = seen = 0
    while True:
        line += 5
        model = pickle.loads(known)  # it already has epochs
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with InterruptAt(line, TRAINING) as tracer:
                try:
                    model.fit(X, LABELS, **data)
                except KeyboardInterrupt:  # before or after the training itself
                    continue
        if tracer.raised is None:
            break
        done = model.n_iter_
        seen |= 1 << done
        assert model.loss_curve_ == whole.loss_curve_[: 3 + done], tracer.raised
        assert model.validation_scores_ == whole.validation_scores_[: 3 + done], tracer.raised
        assert model.validation_loss_curve_ == whole.validation_loss_curve_[: 3 + done]
        if model.early_stopping:
            assert model.best_validation_score_ == max(model.validation_scores_), tracer.raised
    assert seen == 0b1111  # in each epoch, and after the last


def test_an_interrupt_at_any_line_of_lbfgs_keeps_the_curves_together():
    data = dict(X_val=X_VAL, y_val=T_VAL)
    model = MLPRegressor(**{**SMALL, "solver": "lbfgs", "max_iter": 3}, warm_start=True)
    whole = model.fit(X, T, **data)
    known, before = pickle.dumps(whole), bits(whole)
    whole.fit(X, T, **data)
    line, seen = 0, set()
    while True:
        line += 3
        model = pickle.loads(known)  # it already has iterates
        with InterruptAt(line, TRAINING) as tracer, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(X, T, **data)
            except KeyboardInterrupt:
                pass
        if tracer.raised is None:
            break
        done = model.n_iter_
        if bits(model) == before and model.n_iter_ == 3:  # the interrupt came before training
            done = 0
        seen.add(done)
        assert model.validation_scores_ == whole.validation_scores_[: 3 + done], tracer.raised
        assert model.validation_loss_curve_ == whole.validation_loss_curve_[: 3 + done]
    assert seen == {0, 1, 2, 3}


# ---- refused data (more of them in tests/estimators/test_odd_validation_data.py)


def test_multilabel_is_refused_where_columns_differ():
    y = (T > 0) * 1
    for y_val, message in [
        (np.ones((50, 3), int), "y_val has 3 columns, y has 2."),
        (LABELS_VAL > 0, "y is a multilabel indicator matrix, but y_val is not."),
    ]:
        with pytest.raises(ValueError, match=f"^{message}$"):
            MLPClassifier(**SMALL).fit(X, y, X_val=X_VAL, y_val=y_val)


def test_values_too_large_for_float32_are_refused():
    x = X.astype("f4")
    with pytest.raises(ValueError, match=r"^X_val: X has values too large for float32"):
        MLPRegressor(**SMALL).fit(x, T[:, 0], X_val=1e300 * X_VAL, y_val=T_VAL[:, 0])
    with pytest.raises(ValueError, match=r"^y_val: y has values too large for float32"):
        MLPRegressor(**SMALL).fit(x, T[:, 0], X_val=X_VAL, y_val=1e300 * T_VAL[:, 0])


def test_a_broken_sparse_matrix_is_not_read():
    broken = sp.csr_array(X_VAL)
    broken.indices[3] = 6
    with pytest.raises(ValueError, match=r"^X_val: X has a column index out of range: 6"):
        MLPRegressor(**SMALL).fit(X, T, X_val=broken, y_val=T_VAL)


@BOTH
def test_x_or_y_alone_is_refused_with_scikit_learns_message(cls):
    if "X_val" not in inspect.signature(HistGradientBoostingClassifier.fit).parameters:
        pytest.skip("this scikit-learn has no X_val")
    for data in (dict(X_val=X_VAL), dict(y_val=LABELS_VAL)):
        with pytest.raises(ValueError) as theirs:
            HistGradientBoostingClassifier(early_stopping=True).fit(X, LABELS, **data)
        with pytest.raises(ValueError) as ours:
            cls().fit(X, LABELS, **data)
        assert str(ours.value) == str(theirs.value)


@BOTH
def test_partial_fit_takes_no_validation_data(cls):
    with pytest.raises(TypeError, match="unexpected keyword argument 'X_val'"):
        cls(**SMALL).partial_fit(X, LABELS, X_val=X_VAL)


@pytest.mark.skipif(pd is None, reason="pandas is not installed")
@BOTH
def test_feature_names_are_checked_as_at_predict(cls):
    y, y_val = data_of(cls)
    frame, frame_val = (pd.DataFrame(x, columns=list("abcdef")) for x in (X, X_VAL))
    model = cls(**SMALL).fit(frame, y, X_val=frame_val, y_val=y_val)
    plain = cls(**SMALL).fit(X, y, X_val=X_VAL, y_val=y_val)
    assert model.validation_loss_curve_ == plain.validation_loss_curve_
    for odd in (
        frame_val[list("bacdef")],
        frame_val.rename(columns={"a": "z"}),
        frame_val[list("abcde")],
    ):
        with pytest.raises(ValueError, match=r"^X_val: "):
            cls(**SMALL).fit(frame, y, X_val=odd, y_val=y_val)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        cls(**SMALL).fit(frame, y, X_val=X_VAL, y_val=y_val)
    series = cls(**SMALL).fit(
        frame,
        pd.DataFrame(y) if y.ndim == 2 else pd.Series(y),
        X_val=frame_val,
        y_val=pd.DataFrame(y_val) if y.ndim == 2 else pd.Series(y_val),
    )
    assert series.validation_loss_curve_ == plain.validation_loss_curve_
