"""Several targets of several classes each: laws, shapes, labels, and all that fits do."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import get_tags
from sklearn.utils.class_weight import compute_sample_weight

from fastbp import MLPClassifier, MLPRegressor, check_gradient
from fastbp.ensemble import MLPEnsembleClassifier
from fastbp.inspection import NetworkDisplay, activations
from fits import bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
N = 90
X, X_VAL = rng.randn(N, 5), rng.randn(40, 5)
WEIGHT = rng.rand(N) + 0.1


def drawn(X):
    """Three targets of 3, 2 and 4 classes that depend on X."""
    noise = rng.randn(len(X), 3) / 2
    return np.column_stack(
        [
            np.digitize(X[:, 0] + noise[:, 0], [-0.5, 0.5]),
            X[:, 1] + noise[:, 1] > 0,
            np.digitize(X[:, 2] + noise[:, 2], [-1, 0, 1]),
        ]
    )


Y, Y_VAL = drawn(X), drawn(X_VAL)
CLASSES = [np.arange(3), np.arange(2), np.arange(4)]
BLOCKS = [slice(0, 3), slice(3, 4), slice(4, 8)]
SMALL = dict(hidden_layer_sizes=(6,), max_iter=8, random_state=0, batch_size=20)
NAMES = [np.array(["ant", "bee", "cat"]), np.array(["no", "yes"]), np.array(list("nesw"))]
STRINGS = np.column_stack([np.sort(names)[y] for names, y in zip(NAMES, Y.T, strict=True)])


def models(**parameters):
    return MLPClassifier(**{**SMALL, **parameters})


# ---- laws


def same_fits(solver, dtype, x=None, **parameters):
    """A fit of all targets without a hidden layer, and one of each, from the same weights."""
    x = X.astype(dtype) if x is None else x
    settings = dict(
        hidden_layer_sizes=(), solver=solver, max_iter=40, random_state=0, batch_size=20,
        tol=0, n_iter_no_change=99, **parameters,
    )  # fmt: skip
    w, b = rng.randn(5, 8) / 3, rng.randn(8) / 3
    whole = MLPClassifier(**settings, init=([w], [b])).fit(x, Y)
    singles = [
        MLPClassifier(**settings, init=([w[:, block]], [b[block]])).fit(x, y)
        for block, y in zip(BLOCKS, Y.T, strict=True)
    ]
    return whole, singles


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_without_a_hidden_layer_it_is_a_fit_of_each_target(solver, dtype, sparse):
    x = sp.csr_array(X.astype(dtype)) if sparse else X.astype(dtype)
    whole, singles = same_fits(solver, dtype, x, alpha=0.01)
    tolerance = dict(rtol=1e-12, atol=1e-13) if dtype == np.float64 else dict(rtol=0, atol=1e-5)
    start = whole.init[0][0]
    assert abs(whole.coefs_[0] - start).max() > 1e-3  # it was trained
    for block, single in zip(BLOCKS, singles, strict=True):
        np.testing.assert_allclose(whole.coefs_[0][:, block], single.coefs_[0], **tolerance)
        np.testing.assert_allclose(whole.intercepts_[0][block], single.intercepts_[0], **tolerance)
    curves = np.sum([single.loss_curve_ for single in singles], axis=0)
    np.testing.assert_allclose(whole.loss_curve_, curves, rtol=max(tolerance["rtol"], 1e-6))
    for t, single in enumerate(singles):
        assert (whole.predict(x)[:, t] == single.predict(x)).all()
        theirs = single.predict_proba(x)
        np.testing.assert_allclose(whole.predict_proba(x)[t], theirs, **tolerance)


def test_without_a_hidden_layer_the_optimum_is_logistic_regression_of_each_target():
    model = MLPClassifier(
        (), solver="lbfgs", alpha=1.0, tol=1e-10, max_iter=5000, max_fun=10**6, random_state=0
    ).fit(X, Y)
    for y, probability in zip(Y.T, model.predict_proba(X), strict=True):
        single = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, y)
        np.testing.assert_allclose(probability, single.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_the_objective(weighted):
    weight = WEIGHT if weighted else None
    check = check_gradient(models(activation="tanh"), X, Y, weight)
    assert check.passed and check.n_checked == 6 * 6 + 7 * 8
    assert check_gradient(models(activation="tanh").fit(X, STRINGS), X, STRINGS, weight).passed


def test_the_loss_is_the_sum_of_log_losses():
    model = models(alpha=0).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    expected = [
        log_loss(y, probability, labels=classes)
        for y, probability, classes in zip(
            Y_VAL.T, model.predict_proba(X_VAL), CLASSES, strict=True
        )
    ]
    assert model.validation_loss_curve_[-1] == pytest.approx(sum(expected), rel=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_it_learns(solver):
    model = MLPClassifier(
        (20,), solver=solver, max_iter=400, random_state=0, learning_rate_init=0.02
    ).fit(X, Y)
    assert model.score(X, Y) > (0.6 if solver == "sgd" else 0.9)


# ---- shapes


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("rows", [1, N])
def test_shapes_are_those_of_scikit_learn_s_forests(dtype, rows):
    x = X.astype(dtype)
    model = models().fit(x, Y)
    assert isinstance(model.classes_, list)
    for ours, theirs in zip(model.classes_, CLASSES, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (model.n_outputs_, model.out_activation_) == (8, "grouped_softmax")
    predicted, probabilities = model.predict(x[:rows]), model.predict_proba(x[:rows])
    assert predicted.shape == (rows, 3) and predicted.dtype == Y.dtype
    assert [one.shape for one in probabilities] == [(rows, 3), (rows, 2), (rows, 4)]
    logs = model.predict_log_proba(x[:rows])
    for t, probability in enumerate(probabilities):
        assert probability.dtype == dtype and probability.flags.c_contiguous
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(predicted[:, t], probability.argmax(axis=1))
        np.testing.assert_array_equal(logs[t], np.log(probability))
    raw = activations(model, x[:rows])[-1]
    assert raw.shape == (rows, 8)
    assert get_tags(model).target_tags.multi_output
    assert get_tags(MLPEnsembleClassifier()).target_tags.multi_output


def test_predictions_are_the_same_dense_and_sparse_and_in_threads():
    many = np.tile(X, (100, 1))
    model = models(n_threads=1).fit(X, Y)
    alone = model.predict_proba(many)
    for one, other in zip(alone, model.predict_proba(sp.csr_array(many)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    for n_threads in (2, 3):
        for one, other in zip(
            alone, model.set_params(n_threads=n_threads).predict_proba(many), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_same_bits_for_1_to_4_threads(solver, dtype, sparse):
    x = sp.csr_array(X.astype(dtype)) if sparse else X.astype(dtype)
    found = {
        bits(models(solver=solver, n_threads=n_threads).fit(x, Y, WEIGHT))
        for n_threads in (1, 2, 3, 4)
    }
    assert len(found) == 1


def test_one_target_has_the_shapes_of_always():
    with pytest.warns(match="column-vector"):
        column = models().fit(X, Y[:, :1])
    plain = models().fit(X, Y[:, 0])
    assert bits(column) == bits(plain)
    assert column.predict(X).shape == (N,) and column.predict_proba(X).shape == (N, 3)
    assert isinstance(column.classes_, np.ndarray)


@pytest.mark.parametrize(
    "y",
    [Y % 2, Y % 2 == 1, (Y % 2).astype(float), Y % 2 + 4],
    ids=["ints", "bools", "floats", "4 and 5"],
)
def test_two_numbers_are_a_multilabel_indicator_matrix(y):
    model = models().fit(X, y)
    assert isinstance(model._label_binarizer, LabelBinarizer)
    assert model._label_binarizer.y_type_ == "multilabel-indicator"
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (N, 3)
    assert model.out_activation_ == "logistic"


def test_targets_of_two_classes_are_trained_as_the_indicator_matrix_is():
    strings = np.array(["a", "b"])[Y % 2]
    several, multilabel = models().fit(X, strings), models().fit(X, Y % 2)
    np.testing.assert_allclose(several.loss_curve_, multilabel.loss_curve_, rtol=1e-12)
    np.testing.assert_array_equal(several.predict(X), np.array(["a", "b"])[multilabel.predict(X)])
    for t, probability in enumerate(several.predict_proba(X)):
        np.testing.assert_allclose(probability[:, 1], multilabel.predict_proba(X)[:, t], rtol=1e-10)


# ---- labels


def test_labels_of_any_kind_give_the_same_network():
    expected = models().fit(X, Y)
    for y in (
        STRINGS,
        STRINGS.astype(object),
        STRINGS.tolist(),
        Y.astype(np.int8),
        Y.astype(float),
        Y.astype(np.float32),
        Y.astype(object),
        Y * 3 - 7,
        np.asfortranarray(Y),
        np.hstack([Y, Y])[:, :3],
        Y.tolist(),
    ):
        model = models().fit(X, y)
        assert bits(model) == bits(expected)
        numbers = model.predict(X)
        assert numbers.shape == (N, 3)
        for t, classes in enumerate(model.classes_):
            np.testing.assert_array_equal(
                numbers[:, t], np.asarray(classes)[expected.predict(X)[:, t]]
            )
        assert model.score(X, y) == expected.score(X, Y) > 0


def test_columns_of_a_frame_keep_their_kind():
    pd = pytest.importorskip("pandas")
    sklearn_is_old = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9)
    if sklearn_is_old and int(pd.__version__.split(".")[0]) >= 3:
        pytest.skip("older versions of scikit-learn do not know the strings of pandas 3")
    expected = models().fit(X, Y, X_val=X_VAL, y_val=Y_VAL)

    def frame(Y):
        return pd.DataFrame(
            {
                "animal": np.sort(NAMES[0])[Y[:, 0]],
                "holds": Y[:, 1] > 0,
                "size": pd.Categorical(Y[:, 2] * 10),
            }
        )

    y, y_val = frame(Y), frame(Y_VAL)
    model = models().fit(X, y, X_val=X_VAL, y_val=y_val)
    assert bits(model) == bits(expected)
    assert [one.tolist() for one in model.classes_] == [
        ["ant", "bee", "cat"],
        [False, True],
        [0, 10, 20, 30],
    ]
    assert model.classes_[1].dtype == bool and model.classes_[2].dtype.kind == "i"
    predicted = model.predict(X)
    assert predicted.dtype == object
    assert {tuple(map(type, row)) for row in predicted.tolist()} == {(str, bool, int)}
    assert model.score(X, y) == (predicted == y.to_numpy()).all(axis=1).mean() > 0
    assert model.score(X, predicted) == 1.0
    assert model.validation_scores_ == expected.validation_scores_


def test_a_target_of_one_class():
    y = np.column_stack([Y[:, 0], np.full(N, 7), Y[:, 2]])
    model = models().fit(X, y)
    assert model.n_outputs_ == 3 + 1 + 4
    assert (model.predict(X)[:, 1] == 7).all()
    np.testing.assert_array_equal(model.predict_proba(X)[1], np.ones((N, 1)))
    assert 0 < model.score(X, y) <= 1


# ---- score


@pytest.mark.parametrize("weighted", [False, True])
def test_the_score_is_that_of_multi_output_classifier(weighted):
    peer = MultiOutputClassifier(models(max_iter=100)).fit(X, Y)
    predicted = peer.predict(X)
    assert 0 < peer.score(X, Y) < 1
    model = models(max_iter=60).fit(X, Y)
    model.predict = lambda X: predicted
    if not weighted:
        assert model.score(X, Y) == peer.score(X, Y)
    else:
        right = (predicted == Y).all(axis=1)
        assert model.score(X, Y, WEIGHT) == np.average(right, weights=WEIGHT)


@pytest.mark.parametrize("y", [Y, STRINGS], ids=["numbers", "strings"])
@pytest.mark.parametrize("given", [False, True], ids=["held out", "given"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_early_stopping_looks_at_the_share_of_rows(class_weight, given, y):
    names = [np.sort(one) for one in NAMES]
    y_val = Y_VAL
    if y is STRINGS:
        y_val = np.column_stack([n[one] for n, one in zip(names, Y_VAL.T, strict=True)])
    data = dict(X_val=X_VAL, y_val=y_val) if given else {}
    model = models(early_stopping=True, max_iter=60, n_iter_no_change=5, class_weight=class_weight)
    model.fit(X, y, **data)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_) > 0
    if given and class_weight is None:  # the weights of the best epoch are kept
        assert model.best_validation_score_ == model.score(X_VAL, y_val)


def test_scoring_gets_the_labels():
    seen = []

    def scorer(estimator, X, y, sample_weight=None):
        seen.append(estimator.classes_)
        assert [len(p) for p in estimator.predict_proba(X)] == [len(y)] * 3
        return float((estimator.predict(X) == y).mean())

    model = models(scoring=scorer).fit(X, STRINGS, X_val=X, y_val=STRINGS)
    assert model.validation_scores_[-1] == (model.predict(X) == STRINGS).mean()
    assert [one.tolist() for one in seen[0]] == [np.sort(one).tolist() for one in NAMES]
    loss = models(scoring="loss").fit(X, Y, X_val=X, y_val=Y)
    assert loss.validation_scores_ == [-one for one in loss.validation_loss_curve_]


def test_searches_and_cross_validation():
    search = GridSearchCV(models(), {"alpha": [1e-4, 1.0]}, cv=3).fit(X, Y)
    assert 0 < search.best_score_ <= 1
    assert cross_val_predict(models(), X, STRINGS, cv=3).shape == (N, 3)


# ---- class weights


WEIGHTS = [{0: 0.5, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 4.0}, {0: 1.0, 1: 0.25, 2: 2.0, 3: 0.0}]


@pytest.mark.parametrize("validation", [None, "held out", "given"])
@pytest.mark.parametrize("class_weight", ["balanced", WEIGHTS], ids=["balanced", "dicts"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_are_the_product_of_scikit_learn(solver, class_weight, validation):
    rows = compute_sample_weight(class_weight, Y)
    given = given_rows = {}
    if validation == "given":
        tables = [np.array([one[k] for k in sorted(one)]) for one in WEIGHTS]
        if class_weight == "balanced":
            tables = [N / (len(set(y)) * np.bincount(y)) for y in Y.T]
        rows_val = np.prod([one[y] for one, y in zip(tables, Y_VAL.T, strict=True)], axis=0)
        given = dict(X_val=X_VAL, y_val=Y_VAL)
        given_rows = dict(given, sample_weight_val=rows_val)
    settings = dict(solver=solver, early_stopping=validation == "held out")
    model = models(**settings, class_weight=class_weight).fit(X, Y, **given)
    twin = models(**settings).fit(X, Y, rows, **given_rows)
    for one, other in zip(model.coefs_, twin.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert model.loss_ == pytest.approx(twin.loss_, rel=1e-12)
    if validation == "given":
        np.testing.assert_allclose(
            model.validation_loss_curve_, twin.validation_loss_curve_, rtol=1e-10
        )
    assert bits(model) != bits(models(**settings).fit(X, Y))


@pytest.mark.parametrize(
    "class_weight, message",
    [
        ({0: 1.0}, "For multi-output, class_weight should be a list of dicts"),
        ([{0: 1.0}] * 2, r"Got 2 element\(s\) while having 3 outputs"),
        ([{0: 1.0}, 3, {}], "For multi-output, class_weight should be a list of dicts"),
        ([{5: 1.0}, {}, {}], r"The classes, \[0, 1, 2\], are not in class_weight"),
        ([{0: -1.0}, {}, {}], "class_weight must be finite and >= 0, got 0: -1.0"),
    ],
)
def test_class_weights_that_are_refused(class_weight, message):
    with pytest.raises(ValueError, match=message):
        models(class_weight=class_weight).fit(X, Y)


# ---- partial_fit, warm start, resume


def test_partial_fit_with_a_list_of_classes():
    model, parts = models(), (slice(0, 30), slice(30, 60), slice(60, N))
    for part in parts:
        model.partial_fit(X[part], Y[part], classes=CLASSES)
    assert isinstance(model.classes_, list) and model.n_outputs_ == 8
    other = models().partial_fit(X[:30], Y[:30], classes=[[2, 0, 1], [0, 1], list(range(4))])
    for part in parts[1:]:
        other.partial_fit(X[part], Y[part])
    assert bits(other) == bits(model)
    named = models()
    for part in parts:
        named.partial_fit(X[part], STRINGS[part], classes=tuple(NAMES))
    assert bits(named) == bits(model)


def test_the_list_of_classes_decides_what_zeros_and_ones_are():
    y = Y % 2
    several = models().partial_fit(X, y, classes=[np.arange(2)] * 3)
    assert isinstance(several.predict_proba(X), list)
    several.partial_fit(X, y)  # and later calls know it
    assert isinstance(several.predict_proba(X), list)
    more = models().partial_fit(X, y, classes=[np.arange(3)] * 3)  # a batch without some classes
    assert more.n_outputs_ == 9
    multilabel = models().partial_fit(X, y, classes=np.arange(3))
    assert multilabel.predict_proba(X).shape == (N, 3)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_what_is_fitted_stays_several_targets(call):
    """Also for y whose columns happen to have zeros and ones only."""
    model = models(warm_start=call == "fit").partial_fit(X, Y, classes=CLASSES)
    if call == "partial_fit":
        model.partial_fit(X, Y % 2)
    else:
        model.fit(X, Y)
    assert len(model.classes_) == 3 and model.n_outputs_ == 8


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_warm_start_goes_on(solver):
    model = models(solver=solver, warm_start=True, max_iter=3).fit(X, STRINGS)
    loss = model.loss_
    assert model.fit(X, STRINGS).loss_ < loss
    with pytest.raises(ValueError, match="column 0 of y: warm_start can only be used where"):
        model.fit(X, STRINGS[:, ::-1])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("pickled", [False, True])
def test_resume_gives_the_bits_of_one_fit(pickled, early_stopping):
    settings = dict(early_stopping=early_stopping, n_iter_no_change=99)
    whole = models(max_iter=12, **settings).fit(X, STRINGS)
    part = models(max_iter=5, **settings).fit(X, STRINGS)
    if pickled:
        part = pickle.loads(pickle.dumps(part))
    assert bits(part.set_params(max_iter=12).resume(X, STRINGS)) == bits(whole)
    with pytest.raises(ValueError, match="y"):
        part.set_params(max_iter=20).resume(X, STRINGS[::-1])


def test_pickles_and_clones():
    model = models().fit(X, STRINGS)
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert bits(loaded.partial_fit(X, STRINGS)) == bits(model.partial_fit(X, STRINGS))
    assert bits(clone(model).fit(X, STRINGS)) == bits(models().fit(X, STRINGS))


def test_weights_that_users_set_are_read():
    model = models().fit(X, Y)
    model.coefs_[-1] = np.zeros((6, 8))
    model.intercepts_[-1] = np.log([1.0, 2, 5, 3, 1, 1, 1, 7])
    first, second, third = model.predict_proba(X[:1])
    np.testing.assert_allclose(first, [[1 / 8, 2 / 8, 5 / 8]])
    np.testing.assert_allclose(second, [[1 / 4, 3 / 4]])
    np.testing.assert_allclose(third, [[0.1, 0.1, 0.1, 0.7]])
    model.coefs_[-1], model.intercepts_[-1] = np.zeros((6, 7)), np.zeros(7)
    with pytest.raises(ValueError, match=r"have 8 outputs .*, but the model has 7"):
        model.predict(X)
    single = models().fit(X, Y[:, 0])
    single.out_activation_ = "grouped_softmax"
    with pytest.raises(ValueError, match="needs a model of several targets"):
        single.predict(X)


def test_from_weights():
    model = models().fit(X, STRINGS)
    names = [np.sort(one) for one in NAMES]
    copy = MLPClassifier.from_weights(
        model.coefs_, model.intercepts_, activation="relu", classes=names
    )
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    for one, other in zip(copy.predict_proba(X), model.predict_proba(X), strict=True):
        np.testing.assert_array_equal(one, other)
    copy.partial_fit(X, STRINGS)
    with pytest.raises(ValueError, match=r"have 7 outputs .*, but the model has 8"):
        MLPClassifier.from_weights(
            model.coefs_, model.intercepts_, activation="relu", classes=[names[0], names[2]]
        )


class Views:
    """A callback that looks at the fitted estimator of each epoch."""

    def __init__(self):
        self.seen = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        if fitted_estimator is not None:
            self.seen.append((fitted_estimator.predict(X).shape, fitted_estimator.score(X, y)))

    def teardown(self, estimator, context):
        pass


def test_callbacks_see_a_model_of_several_targets():
    pytest.importorskip("sklearn.callback")
    views = Views()
    model = models().set_callbacks(views).fit(X, STRINGS)
    assert {shape for shape, _ in views.seen} == {(N, 3)}
    assert views.seen[-1][1] == model.score(X, STRINGS)


# ---- ensembles and pictures


def test_an_ensemble_averages_the_lists():
    ensemble = MLPEnsembleClassifier(models(), n_members=3, random_state=0)
    ensemble.fit(X, STRINGS, X_val=X_VAL, y_val=STRINGS[:40])
    assert [one.tolist() for one in ensemble.classes_] == [np.sort(one).tolist() for one in NAMES]
    means = ensemble.predict_proba(X)
    for t, mean in enumerate(means):
        total = sum(member.predict_proba(X)[t] for member in ensemble.estimators_)
        np.testing.assert_array_equal(mean, total / 3)
        np.testing.assert_array_equal(ensemble.predict_log_proba(X)[t], np.log(mean))
    predicted = ensemble.predict(X)
    for t, mean in enumerate(means):
        names = ensemble.classes_[t]
        np.testing.assert_array_equal(predicted[:, t], names[mean.argmax(axis=1)])
    assert ensemble.score(X, STRINGS) == (predicted == STRINGS).all(axis=1).mean()


def test_a_picture_names_target_and_class():
    pytest.importorskip("matplotlib").use("agg")
    display = NetworkDisplay.from_estimator(models().fit(X, STRINGS))
    texts = {text.get_text() for text in display.ax_.texts}
    assert {"1: ant", "1: cat", "2: yes", "3: e", "3: w"} <= texts
    assert "2: no" not in texts


# ---- what is refused


def refuse(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_other_losses_are_refused():
    for loss in ("squared_error", lambda raw, y: (raw - y) ** 2):
        with pytest.raises(ValueError, match="y has several targets, which need loss='log_loss'"):
            models(loss=loss).fit(X, Y)


def test_mixes_with_regression_targets_keep_the_error_of_scikit_learn():
    words = "Multioutput target data is not supported with label binarization"
    refuse(words, lambda: models().fit(X, np.column_stack([Y[:, 0], X[:, 0]])))
    mixed = np.column_stack([STRINGS[:, 0].astype(object), X[:, 0].astype(object)])
    with pytest.raises((TypeError, ValueError)):
        models().fit(X, mixed)
    refuse("Unknown label type", lambda: models().fit(X, (Y % 2).astype(object)))
    assert not isinstance(MLPRegressor(max_iter=2).fit(X, Y).predict(X), list)


def test_labels_that_do_not_fit_are_refused():
    model = models().fit(X, Y)
    refuse("column 2 of y: `y` has classes not in", lambda: model.partial_fit(X, Y + [0, 0, 1]))
    refuse(
        "y has 2 columns, but the fitted model has 3 targets",
        lambda: model.partial_fit(X, Y[:, :2]),
    )
    refuse(
        "y has 1 columns, but the fitted model has 3 targets", lambda: model.partial_fit(X, Y[:, 0])
    )
    refuse("must be dense", lambda: model.partial_fit(X, sp.csr_array(Y)))
    refuse("y has 2 columns, but", lambda: model.score(X, Y[:, :2]))
    refuse("y has 1 columns, but", lambda: model.score(X, Y[:, 0]))
    refuse("inconsistent numbers of samples", lambda: model.score(X, Y[:-1]))
    refuse("NaN", lambda: model.score(X, np.where(Y == 0, np.nan, Y)))
    refuse("y_val has 2 columns", lambda: model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL[:, :2]))
    refuse(
        "column 0 of y_val: y_val has labels that y has not: .7.",
        lambda: model.fit(X, Y, X_val=X_VAL, y_val=np.where(Y_VAL == 2, 7, Y_VAL)),
    )
    refuse("is not the same as on last call", lambda: model.partial_fit(X, Y, classes=CLASSES[:2]))
    refuse("is not the same as on last call", lambda: model.partial_fit(X, Y, classes=[0, 1, 2]))
    others = [CLASSES[0] + 1, *CLASSES[1:]]
    refuse("is not the same as on last call", lambda: model.partial_fit(X, Y, classes=others))
    refuse(
        "is not the same as on last call",
        lambda: models().fit(X, Y[:, 0]).partial_fit(X, Y, classes=CLASSES),
    )
    refuse("y has 3 columns, but", lambda: models().partial_fit(X, Y, classes=CLASSES[:2]))
    refuse("classes must be passed on the first call", lambda: models().partial_fit(X, Y))
    assert bits(model) == bits(models().fit(X, Y))  # nothing has changed it
    assert model.score(X, STRINGS) == 0.0  # strings are no numbers, but labels
    assert models().fit(X, STRINGS).score(X, Y) == 0.0


def test_damaged_classes_are_named():
    for classes in (CLASSES[:2], np.arange(3), [CLASSES[0], CLASSES[2], CLASSES[1]], 3):
        model = models().fit(X, Y)
        model.classes_ = classes
        with pytest.raises(ValueError, match="classes_ must be a list of 3 arrays"):
            model.partial_fit(X, Y)
