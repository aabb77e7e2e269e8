"""The scores of validation and of `score` have scikit-learn's bits."""

import os
import warnings

import numpy as np
import pytest
import sklearn.base
from scipy.sparse import csr_array
from sklearn.metrics import accuracy_score, d2_pinball_score, r2_score
from sklearn.preprocessing import LabelBinarizer

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import metrics
from fastbp.estimators.labels import choice_of

N_CASES = int(os.environ.get("FASTBP_CASES", "500"))  # of each score


def same(ours, theirs):
    assert type(ours) is float
    assert ours == theirs or (np.isnan(ours) and np.isnan(theirs)), (ours, theirs)


def weights_of(rng, n):
    """None, or weights of which some are zero."""
    kind = rng.randint(3)
    if kind == 0:
        return None
    weights = rng.rand(n) if kind == 1 else rng.randint(3, size=n).astype(float)
    return weights if weights.any() else None


@pytest.fixture
def no_scikit_learn(monkeypatch):
    """scikit-learn's scores raise: what is compared are ours."""

    def forbid():
        def refuse(*_, **__):
            raise AssertionError("scikit-learn's score was called")

        for name in ("accuracy_score", "r2_score", "d2_pinball_score"):
            monkeypatch.setattr(f"sklearn.metrics.{name}", refuse)

    return forbid


def random_labels(rng, n):
    """True and predicted labels: integers, strings, bools, floats, or an indicator matrix."""
    kind = rng.randint(6)
    if kind == 0:
        shape = n, rng.randint(2, 5)
        return rng.randint(2, size=shape), rng.randint(2, size=shape)
    classes = [
        np.array([-1, 1]),
        np.arange(rng.randint(1, 6)),
        np.array(["no", "yes", "perhaps"]),
        np.array(["no", "yes"], object),
        np.array([1.0, 2.0, 5.0]),
    ][kind - 1]
    return classes[rng.randint(len(classes), size=(2, n))]


def test_accuracy(no_scikit_learn):
    rng = np.random.RandomState(0)
    no_scikit_learn()
    for _ in range(N_CASES):
        n = rng.randint(1, 40)
        y_true, y_pred = random_labels(rng, n)
        weights = weights_of(rng, n)
        ours = metrics.Accuracy(y_true, weights)(y_pred)
        same(ours, accuracy_score(y_true, y_pred, sample_weight=weights))


def random_numbers(rng, least=2):
    """Targets and predictions of one to three outputs, of any dtype, scale and layout."""
    n, outputs = rng.randint(least, 40), rng.randint(1, 4)
    y_true = rng.randn(n, outputs) * 10.0 ** rng.randint(-3, 8) + rng.randint(-5, 6)
    kind = rng.randint(6)
    if kind == 0:
        y_true[:] = y_true[0]  # constant
    elif kind == 1:
        y_true = np.round(y_true).astype(rng.choice([np.int64, np.int32]))
    elif kind == 2:
        y_true = np.asfortranarray(y_true.astype(np.float32))
    y_pred = np.array(y_true, dtype=rng.choice([np.float32, np.float64]))
    if rng.randint(5):
        y_pred += (rng.randn(n, outputs) * 10.0 ** rng.randint(-8, 3)).astype(y_pred.dtype)
    if outputs == 1 and rng.randint(2):
        y_true, y_pred = y_true.ravel(), y_pred.ravel()
    return y_true, y_pred, weights_of(rng, n)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_the_share_of_right_choices_is_the_accuracy_of_decoded_labels(n_classes):
    rng = np.random.RandomState(n_classes)
    for _ in range(N_CASES // 5):
        n = rng.randint(1, 40)
        kinds = [np.arange(n_classes) - 1, np.array(list("abcdefg"))[:n_classes]]
        labels = kinds[rng.randint(2)]
        binarizer = LabelBinarizer().fit(labels)
        true = binarizer.transform(labels[rng.randint(n_classes, size=n)])
        columns = rng.choice([0.0, 0.25, 0.5, 0.75, 1.0, np.nan], size=true.shape)
        ours = metrics.ShareOfRight(choice_of(binarizer), true)(columns)
        right, chosen = (binarizer.inverse_transform(one) for one in (true, columns))
        same(ours, float(accuracy_score(right, chosen)))


def test_scikit_learn_decodes_what_is_no_choice():
    assert choice_of(LabelBinarizer().fit([1, 1])) is None
    assert choice_of(LabelBinarizer().fit(np.eye(3, dtype=int) | np.eye(3, dtype=int)[1])) is None
    assert choice_of(LabelBinarizer(sparse_output=True).fit(csr_array(np.eye(3)))) is None


def test_r2(no_scikit_learn):
    rng = np.random.RandomState(1)
    no_scikit_learn()
    for _ in range(N_CASES):
        y_true, y_pred, weights = random_numbers(rng)
        with np.errstate(all="ignore"):
            ours = metrics.R2(y_true, weights)(y_pred)
            same(ours, r2_score(y_true, y_pred, sample_weight=weights))


def test_d2(no_scikit_learn):
    rng = np.random.RandomState(2)
    if metrics.quantile_of_d2(np.ones((2, 1)), None, 0.5) is not None:
        no_scikit_learn()  # older versions have another quantile, and are called
    for _ in range(N_CASES // 2):  # of two columns in the mean
        y_true, y_pred, weights = random_numbers(rng)
        levels = rng.choice([0.05, 0.1, 0.25, 0.5, 0.9, 0.99], size=rng.randint(1, 3))
        with np.errstate(all="ignore"):
            ours = metrics.D2Pinball(y_true, weights, levels)(y_pred)
            true, pred = (y.reshape(len(y), -1).T for y in (y_true, y_pred))
            theirs = [
                d2_pinball_score(*pair, sample_weight=weights, alpha=levels[k % len(levels)])
                for k, pair in enumerate(zip(true, pred, strict=True))
            ]
        same(ours, float(np.mean(theirs)))


def outcome(call):
    """The result of a call, or its exception; and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            result = type(error), str(error)
    return result, [(one.category, str(one.message)) for one in caught]


Y = np.arange(30) % 2
CLASSES = {MLPClassifier: {"classes": [0, 1]}, MLPRegressor: {}}
ODD_Y = {
    "a list": [0, 1, 1] * 10,
    "an unknown label": [0, 1, 7] * 10,
    "many classes": list(range(30)),
    "floats": [0.5, 1.5, 1.0] * 10,
    "NaN": [np.nan, 1.0, 0.0] * 10,
    "strings": ["0", "1", "1"] * 10,
    "objects": np.array([0, 1, None] * 10, object),
    "indicators": np.eye(3)[np.arange(30) % 3],
    "short": [0, 1],
    "none": [],
    "another dtype": np.array([0, 1, 1] * 10, np.int8),
    "one column": np.array([[0], [1], [1]] * 10),
}
ODD_WEIGHTS = {
    "none": None,
    "integers": np.arange(30),
    "float32": np.arange(30, dtype=np.float32),
    "a list": [1.0, 2.0, 0.0] * 10,
    "negative": np.array([1.0, -1.0, 2.0] * 10),
    "zero": np.zeros(30),
    "NaN": np.full(30, np.nan),
    "infinite": np.full(30, np.inf),
    "short": np.ones(3),
    "a column": np.ones((30, 1)),
    "a number": 2.0,
}


@pytest.mark.parametrize("weights", ODD_WEIGHTS)
@pytest.mark.parametrize("y", ODD_Y)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_odd_y_and_weights_are_left_to_scikit_learn(kind, y, weights):
    rng = np.random.RandomState(0)
    X = rng.randn(30, 3)
    model = kind(hidden_layer_sizes=(4,), random_state=0).partial_fit(X, Y, **CLASSES[kind])
    mixin = sklearn.base.ClassifierMixin if kind is MLPClassifier else sklearn.base.RegressorMixin
    for array in (ODD_Y[y], np.asarray(ODD_Y[y])):
        ours = outcome(lambda array=array: model.score(X, array, ODD_WEIGHTS[weights]))
        theirs = outcome(lambda array=array: mixin.score(model, X, array, ODD_WEIGHTS[weights]))
        np.testing.assert_equal(ours, theirs)


def test_predictions_that_are_not_finite_are_refused_as_by_scikit_learn():
    model = MLPRegressor.from_weights([[[1.0]]], [[np.finfo(float).max]], activation="identity")
    X = np.array([[1.0], [np.finfo(float).max]])
    ours = outcome(lambda: model.score(X, np.array([1.0, 2.0])))
    theirs = outcome(lambda: sklearn.base.RegressorMixin.score(model, X, np.array([1.0, 2.0])))
    assert ours == theirs
    assert ours[0][0] is ValueError


@pytest.mark.parametrize("y", ["integers", "strings", "objects", "bools", "floats", "indicators"])
def test_early_stopping_does_not_ask_scikit_learn(y, no_scikit_learn):
    rng = np.random.RandomState(0)
    X, classes = rng.randn(60, 3), np.arange(60) % 2
    targets = {
        "integers": classes,
        "strings": np.array(["a", "b"])[classes],
        "objects": np.array(["a", "b"], object)[classes],
        "bools": classes.astype(bool),
        "floats": classes + 1.0,
        "indicators": np.eye(3, dtype=int)[np.arange(60) % 3] | np.eye(3, dtype=int)[1],
    }[y]
    no_scikit_learn()
    model = MLPClassifier((4,), max_iter=3, random_state=0, early_stopping=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, targets)
        assert len(model.validation_scores_) == 3
        model.score(X, targets)
        regressor = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, early_stopping=True)
        regressor.fit(X, X[:, 0]).score(X, X[:, 0])
