"""Fits beside the local ones: validation, stopping, callbacks, copies, and what an error leaves."""

import pickle

import numpy as np
import pytest
from clusters import as_dask, labelled, random_rows, sha
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from fastbp import MLPClassifier, MLPRegressor
from fastbp.dask import DaskMLPClassifier, DaskMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
STEPS = dict(hidden_layer_sizes=(9,), max_iter=4, random_state=0, n_shards=2, rounds_per_epoch=2)
ONE = dict(STEPS, n_shards=1, rounds_per_epoch=1, shuffle=False)


def split(seed=5, **kind):
    """Training and validation data, both in memory and cut at random."""
    X, y = labelled(3000, **kind)
    order = np.random.RandomState(seed).permutation(len(X))
    X, y = X[order], y[order]
    local = X[:2400], y[:2400], X[2400:], y[2400:]
    rows, rows_val = random_rows(2400, seed), random_rows(600, seed)
    parts = [as_dask(one, rows) for one in local[:2]] + [
        as_dask(one, rows_val) for one in local[2:]
    ]
    return local, parts


def test_one_shard_in_one_round_is_the_local_fit_without_shuffling(client):
    """Then nothing is averaged: the same steps, so the same bits."""
    (X, y, *_), parts = split()
    local = MLPClassifier(hidden_layer_sizes=(9,), max_iter=4, random_state=0, shuffle=False)
    assert sha(DaskMLPClassifier(**ONE).fit(*parts[:2])) == sha(local.fit(X, y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("scoring", [None, "loss"])
def test_validation_by_sums_is_that_of_local_arrays(client, scoring, solver):
    """Accuracy to the bit; the loss but for the order of its sum."""
    (_, _, X_val, y_val), parts = split()
    parameters = dict(STEPS, solver=solver, scoring=scoring)
    lazy = DaskMLPClassifier(**parameters).fit(*parts[:2], X_val=parts[2], y_val=parts[3])
    local = DaskMLPClassifier(**parameters).fit(*parts[:2], X_val=X_val, y_val=y_val)
    assert [a.tobytes() for a in lazy.coefs_] == [a.tobytes() for a in local.coefs_]
    np.testing.assert_allclose(lazy.validation_loss_curve_, local.validation_loss_curve_, rtol=1e-6)
    if scoring is None:
        assert lazy.validation_scores_ == local.validation_scores_
        assert lazy.validation_scores_[-1] == lazy.score(parts[2], parts[3])


def test_validation_has_one_sha_for_any_partitions(client):
    """So early stopping ends at the same epoch. There are several chunks, and weights."""
    _, parts = split()
    X_val, y_val = labelled(4500)
    weights, found = np.random.RandomState(2).rand(4500), set()
    for rows in ((4500,), (700, 0, 1, 2799, 1000)):
        cut = [as_dask(one, rows) for one in (X_val, y_val, weights)]
        model = DaskMLPClassifier(**STEPS, early_stopping=True)
        model.fit(*parts[:2], X_val=cut[0], y_val=cut[1], sample_weight_val=cut[2])
        found.add((sha(model), *model.validation_loss_curve_, *model.validation_scores_))
    assert len(found) == 1


def test_a_regressor_is_validated_by_r2(client):
    (X, _, X_val, _), parts = split()
    targets = [np.column_stack([x[:, 1] * 2, np.ones(len(x))]) for x in (X, X_val)]
    y, y_val = (as_dask(one, x.chunks[0]) for one, x in zip(targets, parts[::2], strict=True))
    model = DaskMLPRegressor(**STEPS).fit(parts[0], y, X_val=parts[2], y_val=y_val)
    local = model.to_local()
    expected = local.score(X_val, targets[1])
    np.testing.assert_allclose(model.validation_scores_[-1], expected, rtol=1e-6)
    np.testing.assert_allclose(model.score(parts[2], y_val), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (DaskMLPClassifier, dict(scoring="roc_auc_ovr")),
        (DaskMLPRegressor, dict(loss="quantile")),
    ],
)
def test_a_score_that_is_no_sum_needs_samples_in_memory(client, kind, parameters):
    (_, _, X_val, y_val), parts = split()
    model = kind(**STEPS, **parameters)
    with pytest.raises(ValueError, match="needs X_val in memory"):
        model.fit(*parts[:2], X_val=parts[2], y_val=parts[3])
    model.fit(*parts[:2], X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == 4


def test_validation_data_are_checked(client):
    local, parts = split()
    other = local[3].copy()
    other[3] = 7
    model = DaskMLPClassifier(**STEPS)
    for X_val, y_val, text in (
        (parts[2], as_dask(other, (600,)), "of X_val: .*y_val has labels that y has not"),
        (parts[2][:1], parts[3][:1], "two samples at least"),
        (parts[2], None, "y_val is provided|X_val is provided"),
    ):
        with pytest.raises(ValueError, match=text):
            model.fit(*parts[:2], X_val=X_val, y_val=y_val)


def test_training_stops_as_elsewhere(client, capsys):
    _, parts = split()
    model = DaskMLPClassifier(**{**STEPS, "max_iter": 50}, tol=10.0, n_iter_no_change=2, verbose=1)
    model.fit(*parts[:2])
    assert model.stop_reason_ == "tol" and model.n_iter_ == 4
    assert capsys.readouterr().out.count("Iteration") == 4
    model = DaskMLPClassifier(**{**STEPS, "max_iter": 10**6}, max_seconds=0.01)
    with pytest.warns(ConvergenceWarning, match="Time limit"):
        model.fit(*parts[:2])
    assert model.stop_reason_ == "time"


class StopAt:
    """Stops at the second epoch, or raises."""

    error = None

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if estimator.n_iter_ == 2:
            if self.error is not None:
                error, self.error = self.error, None  # it would be called at the end once more
                raise error
            return True

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_are_called(client, solver):
    _, parts = split()
    model = DaskMLPClassifier(**dict(STEPS, solver=solver)).set_callbacks(StopAt())
    model.fit(*parts[:2])
    assert model.n_iter_ == 2 and model.stop_reason_ == "callback"


def test_an_error_leaves_the_estimator_as_it_was(client):
    _, parts = split()
    model = DaskMLPClassifier(**STEPS).fit(*parts[:2])
    before, stop = sha(model), StopAt()
    stop.error = RuntimeError("as asked")
    with pytest.raises(RuntimeError, match="as asked"):
        model.set_callbacks(stop).fit(*parts[:2])
    assert sha(model) == before


def test_ctrl_c_leaves_the_last_mean(client):
    _, parts = split()
    stop = StopAt()
    stop.error = KeyboardInterrupt()
    model = DaskMLPClassifier(**STEPS).set_callbacks(stop)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(*parts[:2])
    assert model.stop_reason_ == "interrupt" and np.isfinite(model.coefs_[0]).all()
    assert model.predict(parts[2]).compute().shape == (600,)


def test_divergence_is_an_error(client):
    _, parts = split()
    model = DaskMLPClassifier(**STEPS, solver="sgd", learning_rate_init=1e30)
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        model.fit(*parts[:2])


def test_predictions_that_overflow_are_found_where_the_rows_are(client):
    """In the last partition a row has numbers so large that its prediction is not finite."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(1500, 2), rng.poisson(50, 1500).astype(float)
    parameters = dict(loss="poisson", activation="identity", solver="sgd", batch_size=1500)
    parameters |= dict(hidden_layer_sizes=(3,), max_iter=1, random_state=0, shuffle=False)
    errors = []
    for outlier in (1.0, 1e3):
        X[1400] = outlier
        data = as_dask(X, (700, 800)), as_dask(y, (700, 800))
        ways = (MLPRegressor(**parameters), (X, y)), (DaskMLPRegressor(**parameters), data)
        for model, arguments in ways:
            try:
                model.fit(*arguments)
            except ValueError as error:
                errors.append(str(error))
    assert len(errors) == 2 and errors[0] == errors[1]
    assert "Predictions for samples of X are not finite after training" in errors[0]


def test_warm_start_goes_on(client):
    _, parts = split()
    model = DaskMLPClassifier(**STEPS, warm_start=True).fit(*parts[:2])
    first = model.loss_
    model.fit(*parts[:2])
    assert model.loss_ < first and model.t_ == 2 * 4 * 2400


def test_a_local_fit_on_a_collection_warns_that_it_takes_all(client):
    (X, y, *_), parts = split()
    few = dict(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match="fastbp.dask trains where the data are"):
        model = MLPClassifier(**few).fit(*parts[:2])
    assert sha(model) == sha(MLPClassifier(**few).fit(X, y))


# ---- copies


def test_copies_share_the_client_and_pickles_have_none(client):
    _, parts = split()
    model = DaskMLPClassifier(**STEPS, client=client)
    assert clone(model).client is client
    model.fit(*parts[:2])
    loaded = pickle.loads(pickle.dumps(model))
    assert loaded.client is None and sha(loaded) == sha(model)
    assert not hasattr(clone(model), "coefs_")
    with pytest.raises(NotFittedError):
        clone(model).predict(parts[2])


def test_to_local_and_from_local(client):
    (X, y, X_val, _), parts = split()
    model = DaskMLPClassifier(**STEPS).fit(*parts[:2])
    local = model.to_local()
    assert type(local) is MLPClassifier and sha(local) == sha(model)
    local.coefs_[0][:] = 0
    assert model.coefs_[0].any()
    assert type(pickle.loads(pickle.dumps(local))) is MLPClassifier
    with pytest.raises(ValueError, match="leave nothing to resume"):
        model.to_local().resume(X, y)
    other = MLPClassifier(hidden_layer_sizes=(4,), max_iter=2).fit(X, y)
    back = DaskMLPClassifier.from_local(other, client=client)
    assert back.get_params()["hidden_layer_sizes"] == (4,)
    assert (back.predict(parts[2]).compute() == other.predict(X_val)).all()
    with pytest.raises(TypeError, match="model must be a fitted MLPClassifier"):
        DaskMLPClassifier.from_local(MLPRegressor())


def test_the_parameters_are_those_of_the_local_estimators():
    own = ["client", "n_shards", "patience", "rounds_per_epoch", "scale_rate"]
    for ours, local in ((DaskMLPClassifier, MLPClassifier), (DaskMLPRegressor, MLPRegressor)):
        parameters = ours().get_params()
        assert sorted(set(parameters) - set(local().get_params())) == own
        assert {**local().get_params(), **{name: parameters[name] for name in own}} == parameters


def test_without_a_client_an_error_says_how_to_begin(client, monkeypatch):
    def no_client():
        raise ValueError("No clients found")

    _, parts = split()
    monkeypatch.setattr("fastbp.dask.cluster.default_client", no_client)
    with pytest.raises(ValueError, match="there is no current one"):
        DaskMLPClassifier(**STEPS).fit(*parts[:2])
