"""The recipe: initial weights, batches, and networks of all shapes."""

import numpy as np
import pytest
from tables import KINDS, output, small

from fastbp.callbacks import StopWhen
from fastbp.tabular import recipe

FUNCTIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
}
random = np.random.RandomState(0)
ROWS = (random.randn(300, 4) * [1, 5, 0.1, 1] + [0, 3, 0, 1]).astype(np.float32)


@pytest.mark.parametrize(
    "activation", ["relu", "tanh", "mish", ["relu", "tanh"], ("mish", "relu")], ids=str
)
def test_initial_weights_fit_the_rows(activation):
    """Preactivations have variance 1, and each kink lies among the rows."""
    names = [activation] * 2 if isinstance(activation, str) else activation
    state = np.random.RandomState(1)
    coefs, intercepts = recipe.initial_weights(ROWS, [4, 30, 20, 2], activation, state)
    a = ROWS.astype(np.float64)
    for depth, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        assert w.dtype == b.dtype == np.float32
        z = a @ w + b
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-4)
        assert (z.min(axis=0) < 0).all()
        assert (z.max(axis=0) > 0).all()
        assert np.abs(z.mean(axis=0)).max() < 3
        a = FUNCTIONS[names[depth]](z) if depth < 2 else None


def test_at_most_2000_rows_are_looked_at():
    rows = np.vstack([ROWS] * 20)
    state = np.random.RandomState(1)
    coefs, intercepts = recipe.initial_weights(rows, [4, 8, 1], "relu", state)
    state = np.random.RandomState(1)
    chosen = state.permutation(6000)[:2000]
    rows[np.setdiff1d(np.arange(6000), chosen)] = 1e6
    others = recipe.initial_weights(rows, [4, 8, 1], "relu", np.random.RandomState(1))
    for one, two in zip([*coefs, *intercepts], [*others[0], *others[1]], strict=True):
        np.testing.assert_array_equal(one, two)


def test_units_that_see_nothing_are_0():
    """Constant inputs have no spread: weights are 0, and biases too."""
    coefs, intercepts = recipe.initial_weights(
        np.zeros((50, 3), np.float32), [3, 5, 2], "relu", np.random.RandomState(0)
    )
    for one in [*coefs, *intercepts]:
        np.testing.assert_array_equal(one, 0)
    rows = np.full((50, 3), 0.7, np.float32)
    coefs, _ = recipe.initial_weights(rows, [3, 5, 2], "tanh", np.random.RandomState(0))
    assert not coefs[0].any()


@pytest.mark.parametrize(
    ("n_rows", "expected"), [(2, 2), (32, 32), (64, 32), (512, 32), (600, 67), (6000, 128)]
)
def test_batches_of_an_epoch_have_about_the_same_size(n_rows, expected):
    assert recipe.batch_size(n_rows) == expected


def test_batches_of_all_numbers_of_rows():
    for n_rows in range(2, 9000, 7):
        most = next(batch for last, batch in recipe.BATCHES if n_rows <= last)
        rows = recipe.batch_size(n_rows)
        n_batches = -(-n_rows // rows)
        assert 2 / 3 * most <= rows <= 3 / 2 * most or n_batches == 1
        assert n_rows - (n_batches - 1) * rows > rows / 2  # the last one


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(1, 40), (25_000, 40), (50_000, 28), (100_000, 20), (400_000, 10), (10**9, 10)],
)
def test_epochs_fall_with_the_rows_of_large_tables(n_rows, expected):
    assert recipe.n_epochs(n_rows) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_auto_counts_the_rows_with_a_weight(kind, monkeypatch):
    """The epochs of a member, and of the schedule, are those of `max_iter` as a number."""
    monkeypatch.setattr(recipe, "ROWS_OF_ALL_EPOCHS", 10)
    monkeypatch.setattr(recipe, "LEAST_EPOCHS", 2)
    model, X, y = small(kind, max_iter="auto")
    weight = np.ones(len(y))
    weight[::3] = 0
    expected = recipe.n_epochs(int(weight.sum()))
    assert 2 < expected < 20
    model.fit(X, y, weight)
    other = small(kind, max_iter=expected)[0].fit(X, y, weight)
    assert model.n_iter_ == expected
    np.testing.assert_array_equal(output(model, X), output(other, X))


SHAPES = {
    "linear": dict(hidden_layer_sizes=()),
    "an int": dict(hidden_layer_sizes=5),
    "one": dict(hidden_layer_sizes=[5]),
    "a list of activations": dict(hidden_layer_sizes=(6, 4), activation=["relu", "tanh"]),
    "deep": dict(hidden_layer_sizes=(5, 4, 3, 4), activation="gelu"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_networks(kind, shape):
    model, X, y = small(kind, **SHAPES[shape])
    found = output(model.fit(X, y), X)
    assert np.isfinite(found).all()
    widths = np.atleast_1d(np.array(SHAPES[shape]["hidden_layer_sizes"], int)).tolist()
    for member in model.members_:
        assert [len(one) for one in member.intercepts_[:-1]] == widths
        assert all(np.isfinite(one).all() for one in member.coefs_)
    if shape == "linear" and kind == "binary":
        x = model.transformer_.transform(X).astype(np.float64)
        member = model.members_[0]
        z = (x @ member.coefs_[0] + member.intercepts_[0]).ravel()
        expected = 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(member.predict_proba(x)[:, 1], expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:The validation score is nan")
@pytest.mark.parametrize("kind", ["binary", "numbers"])
@pytest.mark.parametrize(
    ("scores", "best"),
    [([1.0, 3, 3, 2], 3), ([np.nan, 2.0], 2), ([np.nan] * 3, 0), ([-np.inf, -5.0], 2)],
)
def test_the_best_epoch_is_the_last_of_the_best(kind, scores, best):
    """Its number and its weights, which are those that more epochs at the same rates had then."""
    given, weights = iter([*scores, 0.0]), []  # the last one is of the out-of-fold predictions

    def score(estimator, X, y):
        return next(given)

    class Note(StopWhen):
        def _after_epoch(self, member):
            weights.append(member.coefs_[1].copy())

    model, X, y = small(kind, scoring=score, n_members=1, max_iter=len(scores))
    model.set_callbacks(Note(lambda member: False)).fit(X, y)
    assert model.best_epochs_.tolist() == [best]
    kept = model.members_[0].coefs_[1]
    if best:  # else those of the last step
        np.testing.assert_array_equal(kept, weights[best - 1])


@pytest.mark.filterwarnings("ignore")
def test_without_scores_no_epoch_is_chosen():
    """A score that is never a number: the weights of the last epoch are kept."""
    model, X, y = small("numbers", scoring=lambda estimator, X, y: np.nan, max_iter=2)
    model.fit(X, y)
    assert model.best_epochs_.tolist() == [0] * 5
    assert np.isfinite(model.predict(X)).all()
