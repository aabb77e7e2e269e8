"""Members: the plain fits that they are, what they have seen, and the threads that train them."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tables import KINDS, frame, needs_bits, output, small

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.held_out import Data
from fastbp.tabular import TabularMLPClassifier, TabularPreprocessor, recipe
from fastbp.tabular.folds import folds_of_members
from fastbp.tabular.short_codes import columns_of_codes, short_codes
from fastbp.training import watches
from oracle import written_out


def folds_of(estimator, y, kind, weight=None):
    """The folds and seeds of a fit, drawn again."""
    random_state = np.random.RandomState(estimator.random_state)
    rows = np.arange(len(y)) if weight is None else np.flatnonzero(weight)
    known = None if kind == "numbers" else y[rows]
    folds = folds_of_members(rows, estimator.n_members, known, None, random_state)
    return folds, random_state.randint(np.iinfo(np.int32).max, size=estimator.n_members)


def plain_fit(estimator, x, y, fold, seed, weight=None, **parameters):
    """The fit of a member by the public parameters of a plain estimator; but for short codes."""
    is_regressor = estimator._kind is MLPRegressor
    hidden = list(estimator.hidden_layer_sizes)
    factor = recipe.input_scale(hidden, x.shape[1])
    train, held_out = fold
    targets, targets_val, mean, scale = y[train], y[held_out], 0.0, 1.0
    if is_regressor:
        share = np.ones(len(train)) if weight is None else weight[train]
        share = share / share.sum()
        mean = (y[train] * share).sum()
        scale = np.sqrt(((y[train] - mean) ** 2 * share).sum())
        targets, targets_val = (
            ((one - mean) / scale).astype(np.float32) for one in (targets, targets_val)
        )
    n_outputs = 1 if is_regressor else len(np.unique(y))
    n_outputs = 1 if n_outputs == 2 else n_outputs
    random_state = np.random.RandomState(seed)
    init = recipe.initial_weights(
        x[train] * factor, [x.shape[1], *hidden, n_outputs], "mish", random_state
    )
    rate = recipe.RATE_OF_NUMBERS if is_regressor else recipe.RATE_OF_CLASSES
    own = {"scoring": "loss"} if is_regressor else {"label_smoothing": 0.1}
    member = estimator._kind(
        activation="mish",
        batch_size=recipe.batch_size(len(train)),
        max_iter=estimator.max_iter,
        init=init,
        random_state=int(random_state.randint(np.iinfo(np.int32).max)),
        **{
            **recipe.member_parameters(hidden, rate, estimator.weight_decay),
            **own,
            **parameters,
        },
    )
    weights = (None, None) if weight is None else (weight[train], weight[held_out])
    data = Data(x[train] * factor, targets, weights[0])
    validation = Data(x[held_out] * factor, targets_val, weights[1])
    first = columns_of_codes(estimator.transformer_._tables.numbers)
    if member.scoring == "loss" and first is None:
        X_val, y_val, weight_val = validation
        member.fit(*data, X_val=X_val, y_val=y_val, sample_weight_val=weight_val)
    else:
        fit_alone(member, data, validation, lambda x: short_codes(x, first, float(factor), 32))
    member.coefs_[0] *= factor
    if is_regressor:
        member.coefs_[-1] *= np.array([scale])
        member.intercepts_[-1][:] = member.intercepts_[-1] * np.array([scale]) + mean
    return member


def fit_alone(member, data, validation, codes_of):
    """`fit` on codes in their short form; and of equal scores the last is best: accuracies tie."""
    member._validate_params()
    job = member._job(*data, validation=validation)
    job.samples = replace(job.samples, codes=codes_of(job.samples.x))
    assert [type(one) for one in job.watches].count(watches.BestWeights) == 1
    job.watches = [
        watches.BestWeights(last=True) if type(one) is watches.BestWeights else one
        for one in job.watches
    ]
    member._adopt(job, member._run(job, data))


def assert_same_weights(member, other):
    for one, two in zip(
        member.coefs_ + member.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.filterwarnings("ignore:Stochastic")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_bins", [0, 16])
def test_a_member_is_a_plain_fit(kind, weighted, n_bins):
    estimator, X, y = small(kind, n_bins=n_bins)
    weight = np.random.RandomState(1).uniform(0.2, 2, len(y)) if weighted else None
    estimator.fit(X, y, weight)
    x = estimator.transformer_.transform(X)
    folds, seeds = folds_of(estimator, y, kind)
    for member, fold, seed in zip(estimator.members_, folds, seeds, strict=True):
        other = plain_fit(estimator, x, y, fold, seed, weight)
        assert_same_weights(member, other)
        assert member.validation_scores_ == other.validation_scores_


@pytest.mark.filterwarnings("ignore:Stochastic")
def test_members_without_smoothing_choose_by_the_log_loss():
    estimator, X, y = small("multiclass", scoring="neg_log_loss")
    estimator.fit(X, y)
    x = estimator.transformer_.transform(X)
    folds, seeds = folds_of(estimator, y, "multiclass")
    parameters = {"label_smoothing": 0.0, "scoring": "loss"}
    other = plain_fit(estimator, x, y, folds[2], seeds[2], **parameters)
    assert_same_weights(estimator.members_[2], other)


@pytest.mark.parametrize("kind", KINDS)
def test_short_codes_change_a_member_by_rounding_errors_alone(kind, monkeypatch):
    short, X, y = small(kind, max_iter=1)
    whole, _, _ = small(kind, max_iter=1)
    short.fit(X, y)
    monkeypatch.setattr("fastbp.tabular.short_codes.LEAST_BINS", 1000)
    whole.fit(X, y)
    for member, other in zip(short.members_, whole.members_, strict=True):
        assert not np.array_equal(member.coefs_[0], other.coefs_[0])
        for one, two in zip(member.coefs_, other.coefs_, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=2e-6 * np.abs(two).max())


@pytest.mark.parametrize("n_bins", [2, 5, 16, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_codes_say_what_the_columns_say(n_bins, dtype):
    """Of the rows of training and of others, with ties, missing and huge numbers."""
    X, _ = frame(400)
    rng = np.random.RandomState(0)
    X["many ties"] = rng.randint(0, 6, 400) / 7
    X["huge"] = rng.standard_cauchy(400) ** 9
    X["tiny"] = rng.randn(400) * 1e-300
    X["constant"] = 3.0
    preprocessor = TabularPreprocessor(n_bins=n_bins).fit(X[:300])
    edges = {
        name: np.resize(np.quantile(X[name].dropna(), [0, 0.25, 0.5, 1]), 400)
        for name in X.columns.drop("color")
    }
    rows = pd.concat([X, X.assign(**edges)])
    x = preprocessor.transform(rows)
    first = columns_of_codes(preprocessor._tables.numbers)
    assert (first is not None) == (n_bins >= 5)
    if first is None:
        return
    x = (x * np.float32(0.37)).astype(dtype)
    codes = short_codes(x, first, float(np.float32(0.37)), 32)
    assert codes.shares.dtype == dtype
    np.testing.assert_array_equal(written_out(codes), x[:, first[0] : first[-1]])
    assert preprocessor.get_feature_names_out()[first[0]] == "size_bin0"
    assert "_bin" not in "".join(preprocessor.get_feature_names_out()[first[-1] :])
    assert short_codes(x, first, 1.0, 7) is None  # batches of a few rows


def test_a_fit_needs_little_more_memory_than_its_rows():
    X = np.random.RandomState(0).randn(4000, 20)
    y = (X[:, 0] > 0).astype(int)
    model = TabularMLPClassifier((8,), n_members=1, max_iter=1, random_state=0, n_threads=1)
    model.fit(X[:200], y[:200])
    tracemalloc.start()
    try:
        model.fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    rows = model.transformer_.transform(X).nbytes
    assert peak < 3 * rows  # transformed, a copy of those in training, and scores of the held out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_members", [1, 3, 5, 7])
def test_the_number_of_threads_changes_no_bit(kind, n_members):
    found = []
    for n_threads in (1, 2, 3, 4, None):
        estimator, X, y = small(kind, n_members=n_members, n_threads=n_threads, max_iter=2)
        found.append(output(estimator.fit(X, y), X))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_members_left_over_share_the_threads(monkeypatch):
    asked = []

    def note(job, most):
        asked.append(most)
        return 1

    monkeypatch.setattr("fastbp.tabular.members.ranks_that_pay", note)
    estimator, X, y = small("numbers", n_threads=4, max_iter=1)
    estimator.fit(X, y)
    assert sorted(asked) == [1, 1, 1, 1, 4]
    asked.clear()
    estimator.set_params(n_members=7).fit(X, y)
    assert asked == [1] * 7
    asked.clear()
    estimator.set_params(n_members=2).fit(X, y)
    assert asked == [2, 2]


@needs_bits
@pytest.mark.parametrize("kind", KINDS)
def test_no_member_has_seen_its_fold(kind):
    """Labels that change within a fold change the weights of all members but the one of the fold.

    After one epoch, which is kept whatever its score is. Groups make folds that no label changes.
    """
    groups = np.arange(120) % 5
    estimator, X, y = small(kind, max_iter=1)
    if kind != "numbers":
        groups = np.repeat(np.arange(60), 2)
    estimator.fit(X, y, groups=groups)
    held_out = next(
        np.flatnonzero((estimator.oof_prediction_ == one).reshape(120, -1).all(axis=1))
        for one in [estimator.predict_members(X)[1].astype(estimator.oof_prediction_.dtype)]
    )
    changed = y.copy()
    changed[held_out] = y[held_out][::-1]
    if kind != "numbers":  # within groups, so that the folds stay
        changed[held_out] = y[held_out].reshape(-1, 2)[:, ::-1].ravel()
    assert (changed != y).any()
    other = small(kind, max_iter=1)[0].fit(X, changed, groups=groups)
    same = [
        all((a == b).all() for a, b in zip(one.coefs_, two.coefs_, strict=True))
        for one, two in zip(estimator.members_, other.members_, strict=True)
    ]
    assert same == [False, True, False, False, False]


@needs_bits
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_members", [2, 5, 6])
def test_out_of_fold_predictions_are_those_of_members_that_have_not_seen_the_row(kind, n_members):
    estimator, X, y = small(kind, n_members=n_members)
    estimator.fit(X, y)
    folds, _ = folds_of(estimator, y, kind)
    members = estimator.predict_members(X)
    expected = np.full(members.shape[1:], np.nan)
    for number, fold in enumerate(folds):
        expected[fold.held_out] = members[number][fold.held_out]
    np.testing.assert_allclose(estimator.oof_prediction_, expected, rtol=1e-6)
    is_missing = np.isnan(estimator.oof_prediction_.reshape(len(y), -1)[:, 0])
    assert is_missing.any() == (n_members < 5)
    known = ~is_missing
    if kind == "numbers":
        residual = y[known] - expected[known]
        score = 1 - (residual**2).sum() / ((y[known] - y[known].mean()) ** 2).sum()
    else:
        chosen = estimator.classes_[expected[known].argmax(axis=1)]
        score = (chosen == y[known]).mean()
    assert estimator.oof_score_ == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_curves_and_the_mean_of_members(kind):
    estimator, X, y = small(kind)
    estimator.fit(X, y)
    np.testing.assert_allclose(
        estimator.predict_members(X).mean(axis=0), output(estimator, X), rtol=1e-6
    )
    for best, losses, scores in zip(
        estimator.best_epochs_, estimator.loss_curves_, estimator.validation_curves_, strict=True
    ):
        assert len(losses) == len(scores) == estimator.n_iter_ == 8
        assert best == len(scores) - np.argmax(scores[::-1])  # the last of equal ones
    kind_of_member = MLPRegressor if kind == "numbers" else MLPClassifier
    assert all(type(member) is kind_of_member for member in estimator.members_)


def test_members_predict_in_the_units_of_y():
    estimator, X, y = small("numbers", max_iter=30)
    estimator.fit(X, 1000 * y + 5000)
    x = estimator.transformer_.transform(X)
    for member in estimator.members_:
        assert np.corrcoef(member.predict(x), y)[0, 1] > 0.9
        assert abs(member.predict(x).mean() - 5000 - 1000 * y.mean()) < 300


def test_more_members_than_rows_share_folds():
    estimator, X, y = small("numbers", n_members=7, max_iter=2)
    estimator.fit(X[:3], y[:3])
    assert len(estimator.members_) == 7
    assert np.isfinite(estimator.oof_prediction_).all()
    members = estimator.predict_members(X[:3])
    folds, _ = folds_of(estimator, y[:3], "numbers")
    for row in range(3):
        numbers = [k for k, fold in enumerate(folds) if row in fold.held_out]
        assert len(numbers) >= 2
        assert estimator.oof_prediction_[row] == pytest.approx(members[numbers, row].mean())


def test_of_equal_scores_the_last_epoch_is_kept():
    model, X, y = small("binary", scoring=lambda *_: 0.0, max_iter=6)
    model.fit(X, y)
    assert model.best_epochs_.tolist() == [6] * 5
    for member in model.members_:
        assert member.best_validation_score_ == 0
    first = small("binary", scoring=lambda *_: 0.0, max_iter=1)[0].fit(X, y)
    assert (first.predict_proba(X) != model.predict_proba(X)).any()
    easy = TabularMLPClassifier((16,), random_state=0).fit([[0.0], [1.0]] * 20, ["no", "yes"] * 20)
    assert max(map(max, easy.validation_curves_)) == 1
    assert easy.best_epochs_.min() > 30
