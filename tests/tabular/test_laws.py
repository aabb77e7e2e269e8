"""Laws of members with several targets, weights of classes, and tables that change in a fold."""

import copy

import numpy as np
import pytest
from tables import KINDS, frame, output, small

from fastbp import MLPRegressor
from fastbp.tabular import recipe
from fastbp.tabular.folds import folds_of_members


def folds_of(estimator, known, n_rows):
    """The folds and seeds of a fit, drawn again."""
    random_state = np.random.RandomState(estimator.random_state)
    folds = folds_of_members(np.arange(n_rows), estimator.n_members, known, None, random_state)
    return folds, random_state.randint(np.iinfo(np.int32).max, size=estimator.n_members)


def weights_of(member):
    return [*member.coefs_, *member.intercepts_]


def assert_same_bits(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


def trained_by_hand(estimator, x, y, fold, seed, **parameters):
    """A plain fit to targets y in units of training, with two outputs or more."""
    hidden, factor = list(estimator.hidden_layer_sizes), recipe.input_scale([16, 8], x.shape[1])
    random_state = np.random.RandomState(seed)
    n_outputs = parameters.pop("n_outputs")
    init = recipe.initial_weights(
        x[fold.train] * factor, [x.shape[1], *hidden, n_outputs], "mish", random_state
    )
    member = estimator._kind(
        activation="mish",
        batch_size=recipe.batch_size(len(fold.train)),
        max_iter=estimator.max_iter,
        init=init,
        random_state=int(random_state.randint(np.iinfo(np.int32).max)),
        **{**recipe.member_parameters(hidden, 0.2, 0.02), **parameters},
    )
    val = dict(X_val=x[fold.held_out] * factor, y_val=y[fold.held_out])
    member.fit(x[fold.train] * factor, y[fold.train], **val)
    member.coefs_[0] *= factor
    return member


@pytest.mark.filterwarnings("ignore:Stochastic")
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "gaussian", "poisson"])
def test_members_with_two_targets_are_plain_fits(loss):
    model, X, y = small("numbers", loss=loss, max_iter=4, n_bins=0)
    y = np.column_stack([y, 100 + 30 * y**2])
    y = y**2 if loss == "poisson" else y
    model.fit(X, y)
    x = model.transformer_.transform(X)
    folds, seeds = folds_of(model, None, len(y))
    for member, fold, seed in zip(model.members_, folds, seeds, strict=True):
        mean, scale = y[fold.train].mean(axis=0), y[fold.train].std(axis=0)
        if loss == "poisson":
            mean, scale = 0.0, mean
        n_outputs = 4 if loss == "gaussian" else 2
        targets = ((y - mean) / scale).astype(np.float32)
        other = trained_by_hand(
            model, x, targets, fold, seed, loss=loss, scoring="loss", n_outputs=n_outputs
        )
        bias = other.intercepts_[-1]
        if loss == "poisson":
            bias += np.log(scale)
        else:
            other.coefs_[-1][:, :2] *= scale
            bias[:2] = bias[:2] * scale + mean
            bias[2:] += 2 * np.log(scale)[: len(bias[2:])]
        for a, b in zip(weights_of(member), weights_of(other), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-6)
        for a, b in zip(weights_of(member)[:2], weights_of(other)[:2], strict=True):
            np.testing.assert_array_equal(a, b)
        assert member.validation_scores_ == other.validation_scores_


@pytest.mark.parametrize("kind", KINDS)
def test_values_in_a_fold_are_not_seen_by_its_member(kind):
    """Rows of X that change places within a fold leave all tables of the transformation.

    One epoch, whose weights are kept whatever their score is. Labels change with the rows, so that
    the folds stay.
    """
    model, X, y = small(kind, max_iter=1)
    known = None if kind == "numbers" else y
    folds, _ = folds_of(model, known, len(y))
    model.fit(X, y)
    held_out = folds[3].held_out
    order = np.arange(len(y))
    order[held_out] = held_out[::-1]
    if kind != "numbers":  # within a class
        order = np.arange(len(y))
        for name in np.unique(y):
            own = held_out[y[held_out] == name]
            order[own] = own[::-1]
    changed = X.iloc[order].reset_index(drop=True)
    other = copy.deepcopy(model).fit(changed, y)
    x = model.transformer_.transform(X)
    np.testing.assert_array_equal(other.transformer_.transform(X), x)
    same = [
        all((a == b).all() for a, b in zip(weights_of(one), weights_of(two), strict=True))
        for one, two in zip(model.members_, other.members_, strict=True)
    ]
    assert same == [False, False, False, True, False]


@pytest.mark.parametrize("balanced", [False, True])
def test_weights_of_classes_times_those_of_rows(balanced):
    model, X, y = small("multiclass", max_iter=3)
    weight = np.random.RandomState(0).randint(1, 5, len(y)).astype(float)
    weight[y == "low"] *= 4
    known = {"low": 0.5, "mid": 2.0, "high": 8.0}
    if balanced:  # of all rows, not of those of a fold
        known = {name: weight.sum() / (3 * weight[y == name].sum()) for name in known}
    times = weight * np.array([known[label] for label in y])
    found = copy.deepcopy(model).set_params(class_weight="balanced" if balanced else known)
    found.fit(X, y, weight)
    expected = model.fit(X, y, times)
    if balanced:  # rounding of the products
        np.testing.assert_allclose(output(found, X), output(expected, X), atol=1e-5)
    else:
        np.testing.assert_array_equal(output(found, X), output(expected, X))
    assert found.oof_score_ == pytest.approx(expected.oof_score_)


def test_a_class_of_weight_0_teaches_nothing():
    model, X, y = small("multiclass", class_weight={"low": 0.0, "mid": 1.0, "high": 1.0})
    model.set_params(label_smoothing=0.0, max_iter=20).fit(X, y)
    assert model.classes_.tolist() == ["high", "low", "mid"]
    assert (model.predict(X) == "low").mean() < 0.1
    model.set_params(class_weight=dict.fromkeys(model.classes_, 0.0))
    with pytest.raises(ValueError, match="class_weight makes all weights of y zero"):
        model.fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_0_are_not_even_read(kind):
    """They may hold what could not be read, or make another kind of column."""
    model, X, y = small(kind, max_iter=2)
    weight = np.arange(len(y)) % 5 * 1.0
    absent = weight == 0
    strange = X.astype({"age": object})
    strange.loc[absent, "age"] = "unknown"
    strange.loc[absent, "size"] = np.inf
    found = output(model.fit(strange, y, weight), X)
    plain = copy.deepcopy(model).fit(X[~absent], y[~absent], weight[~absent])
    np.testing.assert_array_equal(found, output(plain, X))
    assert not model.transformer_.is_categorical_[1]


def test_members_of_quantiles_have_columns_of_targets_first():
    X, y = frame(160)
    model = small("numbers", loss="quantile", quantile=[0.8, 0.2], max_iter=20)[0]
    found = model.fit(X, np.column_stack([y, 1000 + 10 * y])).predict(X)
    assert found.shape == (160, 4) and model.n_outputs_ == 4
    assert (found[:, 1] <= found[:, 0]).all() and (found[:, 3] <= found[:, 2]).all()
    assert np.abs(found[:, :2]).max() < 50 < 900 < found[:, 2:].min()
    assert model.oof_prediction_.shape == (160, 4)
    shares = [(y <= found[:, k]).mean() for k in (0, 1)]
    assert shares[0] > 0.6 and shares[1] < 0.4


def test_members_are_plain_regressors_that_go_alone():
    model, X, y = small("numbers", n_members=1)
    model.fit(X, 50 * y - 7)
    member = copy.deepcopy(model.members_[0])
    x = model.transformer_.transform(X)
    assert type(member) is MLPRegressor
    clipped = np.clip(member.predict(x), *model._limits[:, 0, 0, 0])
    np.testing.assert_array_equal(clipped, model.predict(X))
    assert_same_bits(member, model.members_[0])
