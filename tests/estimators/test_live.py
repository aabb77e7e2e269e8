"""Public attributes are live: what users keep, set or change counts as in scikit-learn."""

import array
import collections
import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.preprocessing import LabelBinarizer

from fastbp import MLPClassifier, MLPRegressor
from fastbp.kernels import backend

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
rng = np.random.RandomState(0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pair(kind=MLPRegressor, **parameters):
    """An estimator of fastbp and one of scikit-learn, fitted to the same data."""
    parameters = dict(hidden_layer_sizes=(4, 3), max_iter=3, random_state=0) | parameters
    theirs = getattr(sklearn.neural_network, kind.__name__)(**parameters)
    return kind(**parameters).fit(X, y), theirs.fit(X, y)


def same(program, **parameters):
    """Run a program on both, which returns a list of arrays; they must agree."""
    ours, theirs = map(program, pair(**parameters))
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


# ---- arrays and lists that are kept


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
def test_a_kept_list_can_be_assigned_to_again_and_again(name, layer):
    def program(m):
        weights, found = getattr(m, name), []
        for k in range(4):
            weights[layer] = np.full(weights[layer].shape, 0.1 * k)
            found.append(m.predict(X))
        return found

    same(program)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("call", ["partial_fit", "warm fit"])
def test_kept_arrays_lists_and_curves_move_along(call, solver):
    def program(m):
        if call == "warm fit":
            m.set_params(warm_start=True)
        lists, arrays, curve = [m.coefs_, m.intercepts_], [*m.coefs_, *m.intercepts_], m.loss_curve_
        before = len(curve)
        for _ in range(3):
            (m.partial_fit if call == "partial_fit" else m.fit)(X, y)
        assert lists[0] is m.coefs_ and lists[1] is m.intercepts_ and curve is m.loss_curve_
        assert all(a is b for a, b in zip(arrays, [*m.coefs_, *m.intercepts_], strict=True))
        assert len(curve) > before
        return [*arrays, curve, m.predict(X)]

    same(program, solver=solver)


class Logged(list):
    """A list that counts what is appended."""

    n_appended = 0

    def append(self, number):
        self.n_appended += 1
        super().append(number)

    def extend(self, numbers):
        raise AssertionError("scikit-learn never calls extend")


class Named(list):
    """A list that may have attributes."""


class Recorder:
    """No list at all."""

    def __init__(self, numbers):
        self.numbers = list(numbers)

    def append(self, number):
        self.numbers.append(number)

    def __getitem__(self, number):
        return self.numbers[number]

    def __len__(self):
        return len(self.numbers)


CURVES = {
    "deque": lambda curve: collections.deque(curve, maxlen=4),
    "array": lambda curve: array.array("d", curve),
    "subclass": Named,
    "subclass with append": Logged,
    "no list": Recorder,
}


@pytest.mark.parametrize("call", ["partial_fit", "warm fit"])
@pytest.mark.parametrize("kind", CURVES)
def test_a_curve_of_any_kind_is_appended_to(kind, call):
    def program(m):
        curve = m.loss_curve_ = CURVES[kind](m.loss_curve_)
        m.set_params(warm_start=True, n_iter_no_change=np.inf)
        for _ in range(2):
            (m.partial_fit if call == "partial_fit" else m.fit)(X, y)
            assert m.loss_curve_ is curve
        appended = getattr(curve, "n_appended", 0)
        m.set_params(warm_start=False).fit(X, y)
        assert type(m.loss_curve_) is list
        return [[curve[k] for k in range(len(curve))], [appended]]

    same(program)


@pytest.mark.parametrize("kind", ["deque", "subclass", "array"])
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "copy"])
def test_copies_share_no_curve(kind, way):
    if (kind, way) == ("array", "copy"):
        pytest.skip("only lists and deques are copied")
    ours, _ = pair()
    ours.loss_curve_ = CURVES[kind](ours.loss_curve_)
    pickled = lambda m: pickle.loads(pickle.dumps(m))  # noqa: E731
    twin = (pickled if way == "pickle" else getattr(copy, way))(ours)
    n = len(ours.loss_curve_)
    assert type(twin.loss_curve_) is type(ours.loss_curve_)
    twin.partial_fit(X, y)
    assert len(ours.loss_curve_) == n and twin.loss_curve_[-1] != ours.loss_curve_[-1]


def test_lbfgs_keeps_the_list_and_replaces_the_arrays():
    def program(m):
        m.set_params(warm_start=True, max_iter=2)
        coefs, first = m.coefs_, m.coefs_[0]
        value = first.copy()
        m.fit(X, y)
        assert coefs is m.coefs_ and m.coefs_[0] is not first
        return [value, first]

    ours, theirs = map(program, pair(solver="lbfgs", max_iter=2))
    np.testing.assert_array_equal(ours[0], ours[1])
    np.testing.assert_array_equal(theirs[0], theirs[1])


def test_a_new_fit_makes_new_lists_and_arrays():
    def program(m):
        kept, values = m.coefs_, [w.copy() for w in m.coefs_]
        curve, losses = m.loss_curve_, list(m.loss_curve_)
        m.set_params(random_state=1).fit(X, y)
        assert kept is not m.coefs_ and curve is not m.loss_curve_ and curve == losses
        assert all(map(np.array_equal, kept, values))
        return [m.predict(X)]

    same(program)


def test_lists_shared_by_two_models():
    def program(m):
        other = copy.deepcopy(m)
        other.coefs_ = m.coefs_
        m.coefs_[0][:] = 0
        found = [other.predict(X)]
        m.partial_fit(X, y)
        return [*found, other.predict(X), m.predict(X)]

    same(program)


@pytest.mark.parametrize("after", ["predict", "partial_fit", "pickle"])
def test_an_own_array_changed_in_place_is_seen(after):
    def program(m):
        W = rng.__class__(1).randn(4, 4)
        m.coefs_[0] = W
        found = []
        for _ in range(3):
            if after == "partial_fit":
                m.partial_fit(X, y)
            elif after == "pickle":
                pickle.dumps(m)
            found.append(m.predict(X))
            assert m.coefs_[0] is W
            W += 0.1
        return [*found, W]

    same(program)


def test_views_of_a_flat_vector_are_the_weights():
    def program(m):
        sizes = [w.size for w in m.coefs_ + m.intercepts_]
        flat = np.concatenate([w.ravel() for w in m.coefs_ + m.intercepts_])
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        n = len(m.coefs_)
        m.coefs_ = [p.reshape(w.shape) for p, w in zip(parts[:n], m.coefs_, strict=True)]
        m.intercepts_ = parts[n:]
        found = []
        for k in range(3):
            flat += 0.05 * k
            found.append(m.predict(X))
        m.partial_fit(X, y)
        return [*found, flat]

    same(program)


def test_entries_that_cannot_take_floats_are_replaced():
    ours, _ = pair()
    integers, frozen = np.ones((4, 4), int), np.ones((4, 3))
    frozen.flags.writeable = False
    ours.coefs_[:2] = integers, frozen
    expected = pickle.loads(pickle.dumps(ours)).partial_fit(X, y).predict(X)
    lists = ours.coefs_
    ours.partial_fit(X, y)
    assert lists is ours.coefs_ and ours.coefs_[0] is not integers and (integers == 1).all()
    assert ours.coefs_[1] is not frozen and (frozen == 1).all()
    np.testing.assert_array_equal(ours.predict(X), expected)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_predictions_neither_replace_nor_cast_weights(kind):
    ours, theirs = pair(kind)
    for m in (ours, theirs):
        for arrays in (m.coefs_, m.intercepts_):
            arrays[:] = [a.astype(np.float16) for a in arrays]
    size, kept = len(pickle.dumps(ours)), [*ours.coefs_, *ours.intercepts_]
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    ours.score(X, y), ours.predict(X[:1])
    assert all(a is b for a, b in zip(kept, [*ours.coefs_, *ours.intercepts_], strict=True))
    assert len(pickle.dumps(ours)) == size
    again = pickle.loads(pickle.dumps(ours))
    assert {a.dtype for a in again.coefs_} == {np.dtype(np.float16)}


def unaligned(array):
    """A copy at an odd address."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    copied = raw.view(array.dtype).reshape(array.shape)
    copied[...] = array
    return copied


def tied(m):
    m.coefs_[1] = m.coefs_[0].T
    return "coefs_[0] and coefs_[1]"


def twice(m):
    m.coefs_[2] = m.coefs_[1].T[:3, :1]
    return "coefs_[1] and coefs_[2]"


def bias_in_weights(m):
    m.intercepts_[0] = m.coefs_[0][:, 1]
    return "coefs_[0] and intercepts_[0]"


def same_biases(m):
    m.intercepts_[1] = m.intercepts_[0]
    return "intercepts_[0] and intercepts_[1]"


@pytest.mark.parametrize("share", [tied, twice, bias_in_weights, same_biases])
@pytest.mark.parametrize("call", ["partial_fit", "warm fit"])
def test_layers_that_share_memory_can_predict_but_not_be_trained(share, call):
    ours, theirs = pair(hidden_layer_sizes=(4, 4) if share is not twice else (4, 3))
    names = [share(m) for m in (ours, theirs)]
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    ours.set_params(warm_start=call == "warm fit")
    before = pickle.dumps(ours)
    with pytest.raises(ValueError, match=re.escape(f"{names[0]} share memory")):
        (ours.partial_fit if call == "partial_fit" else ours.fit)(X, y)
    assert pickle.dumps(ours) == before
    ours.set_params(warm_start=False).fit(X, y)


def test_columns_of_one_matrix_are_layers_that_share_no_memory():
    def program(m):
        both = np.arange(28.0).reshape(4, 7) / 28
        m.coefs_[:2] = both[:, 3:], both[:, :3]
        m.partial_fit(X, y)
        return [both, m.predict(X)]

    same(program)


FORMS = {
    "Fortran order": np.asfortranarray,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "lists": lambda a: a.tolist(),
    "float32": lambda a: a.astype(np.float32),
    "longdouble": lambda a: a.astype(np.longdouble),
    "matrix": lambda a: np.asmatrix(a) if a.ndim == 2 else a,
    "masked": np.ma.masked_array,
}


@pytest.mark.parametrize("n_rows", [1, 150, 5000])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", ["all", "one weight", "one bias"])
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_arrays_of_any_form_are_read_where_they_lie(form, which, n_rows):
    ours, _ = pair()
    x = np.resize(X, (n_rows, 4))
    inputs = x, sparse.csr_array(x)
    expected = [ours.predict(rows) for rows in inputs]
    plain = [a.copy() for a in ours.coefs_ + ours.intercepts_]
    if which in ("all", "one weight"):
        ours.coefs_[1] = FORMS[form](ours.coefs_[1])
    if which in ("all", "one bias"):
        ours.intercepts_[0] = FORMS[form](ours.intercepts_[0])
    if which == "all":
        ours.coefs_[::2] = [FORMS[form](a) for a in ours.coefs_[::2]]
        ours.intercepts_[1:] = [FORMS[form](a) for a in ours.intercepts_[1:]]
    kept = [*ours.coefs_, *ours.intercepts_]
    tolerance = {"float32": 1e-5, "Fortran order": 0 if backend == "native" else 1e-13}.get(form, 0)
    for rows, numbers in zip(inputs, expected, strict=True):
        np.testing.assert_allclose(ours.predict(rows), numbers, rtol=tolerance)
    assert all(a is b for a, b in zip(kept, [*ours.coefs_, *ours.intercepts_], strict=True))
    assert all(map(np.array_equal, kept, plain)) or form == "float32"


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_memory_map_stays_one(tmp_path, mode):
    joblib = pytest.importorskip("joblib")
    ours, _ = pair()
    joblib.dump(ours, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode=mode)
    expected = ours.predict(X)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert all(type(w) is np.memmap for w in loaded.coefs_)
    loaded.partial_fit(X, y)
    np.testing.assert_array_equal(ours.partial_fit(X, y).predict(X), loaded.predict(X))


def test_shallow_copies_deep_copies_and_pickles_share_no_weights():
    for twin in (copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))):
        for ours in (pair()[0], twin(pair()[0])):  # a model of a fit, and a loaded one
            other = twin(ours)
            expected = ours.predict(X)
            other.partial_fit(X, y).coefs_[0][:] = 7
            np.testing.assert_array_equal(ours.predict(X), expected)
            assert len(ours.loss_curve_) + 1 == len(other.loss_curve_)


# ---- other attributes


@pytest.mark.parametrize("link", ["relu", "tanh", "logistic", "identity", "softmax"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_predictions_use_the_link_that_was_set(kind, link):
    def program(m):
        m.out_activation_ = link
        return [m.predict_proba(X) if kind is MLPClassifier else m.predict(X), m.predict(X[:1])]

    same(program, kind=kind)


@pytest.mark.parametrize("link", ["xx", None, 3, ["relu"], "gelu"])
def test_an_unknown_link_is_refused_by_name(link):
    ours, _ = pair()
    ours.out_activation_ = link
    for call in (ours.predict, lambda x: ours.partial_fit(x, y)):
        with pytest.raises(ValueError, match="out_activation_ must be one of"):
            call(X)


def test_training_with_another_link_is_refused():
    ours, _ = pair()
    ours.out_activation_ = "logistic"
    before = pickle.dumps(ours)
    with pytest.raises(ValueError, match=r"out_activation_ is 'logistic', but .* 'identity'"):
        ours.partial_fit(X, y)
    with pytest.raises(ValueError, match="out_activation_ is 'logistic'"):
        ours.set_params(warm_start=True).fit(X, y)
    assert pickle.dumps(ours.set_params(warm_start=False)) == before
    assert ours.fit(X, y).out_activation_ == "identity"


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_number_of_layers_decides_where_a_prediction_ends(n_layers, cut, activation):
    """The code of an autoencoder is cut out like this."""

    def program(m):
        m.n_layers_, m.out_activation_ = n_layers, activation
        if cut:
            m.coefs_, m.intercepts_ = m.coefs_[: n_layers - 1], m.intercepts_[: n_layers - 1]
        return [m.predict(X), m.predict(X[:1])]

    same(program, activation=activation)


def test_a_list_of_activations_is_cut_with_the_layers():
    m = MLPRegressor(hidden_layer_sizes=(4, 3), activation=["tanh", "relu"], max_iter=3).fit(X, y)
    m.n_layers_ = 3
    expected = np.tanh(X @ m.coefs_[0] + m.intercepts_[0]) @ m.coefs_[1] + m.intercepts_[1]
    np.testing.assert_allclose(m.predict(X), expected)


@pytest.mark.parametrize("n_layers", [5, 1, 0, -1, 2.5, "3", None])
def test_a_number_of_layers_that_does_not_fit_is_refused(n_layers):
    ours, _ = pair()
    ours.n_layers_ = n_layers
    with pytest.raises(ValueError, match="n_layers_ must be an integer from 2 to 4"):
        ours.predict(X)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"], None], ids=str)
@pytest.mark.parametrize("classes", [[0, 1, 2], ("x", "y", "z"), np.array(list("xyz"))], ids=str)
def test_the_binarizer_alone_decodes(labels, classes):
    ours, theirs = pair(MLPClassifier)
    for m in (ours, theirs):
        m.classes_ = classes
        if labels is not None:
            m._label_binarizer = LabelBinarizer().fit(labels)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    for m in (ours, theirs):
        m._label_binarizer.classes_ = np.array([7, 8, 9])
    assert set(ours.predict(X)) <= {7, 8, 9} and (ours.predict(X) == theirs.predict(X)).all()
    del ours.classes_
    assert set(ours.predict(X)) <= {7, 8, 9}


DAMAGE = {
    "coefs_": [None, 3, "ab", [], [None] * 3, [["1"]] * 3, [np.ones((4, 4)) * 1j] * 3],
    "intercepts_": [None, [], [None] * 3, [np.ones(3)] * 3, ["a", "b", "c"]],
    "_label_binarizer": [None, 3, "x", LabelBinarizer(), LabelBinarizer().fit([0, 1])],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in DAMAGE.items() for v in vs])
def test_damaged_attributes_are_refused_by_name(name, value):
    ours, _ = pair(MLPClassifier)
    setattr(ours, name, value)
    for x in (X, X[:1], X.tolist()):
        with pytest.raises((ValueError, TypeError), match=name.strip("_")):
            ours.predict(x)


NO_COUNTS = (None, "x", "1", [], -5, 1.5)
TRAINING_DAMAGE = {  # of what training reads
    **DAMAGE,
    "classes_": ["ab", 3, {0, 1, 2}, [[0, 1, 2]], [0, 1], [0, 1, 2, 3], []],
    "t_": NO_COUNTS,
    "n_iter_": NO_COUNTS,
    "_no_improvement_count": NO_COUNTS,
    "n_features_in_": NO_COUNTS,
    "n_outputs_": NO_COUNTS,
    "loss_": [None, "x", [], 1j],
    "best_loss_": ["x", [], 1j],
    "best_validation_score_": ["x", [], 1j],
    "loss_curve_": [None, "x", -5],
    "validation_scores_": ["x", -5],
    "validation_loss_curve_": ["x", -5],
    "_random_state": [None, "x", [], -5],
    "feature_names_in_": ["x", [], -5, [1.0, 2.0]],
    "_optimizer": [
        "x",
        {},
        3,
        sklearn.neural_network.MLPRegressor().partial_fit(X, y)._optimizer,
        MLPRegressor(hidden_layer_sizes=(7,)).partial_fit(X, y)._optimizer,
        MLPRegressor(hidden_layer_sizes=(7,)).partial_fit(X, y)._optimizer.to_plain(),
    ],
}


@pytest.mark.parametrize("call", ["partial_fit", "warm fit", "pickle"])
@pytest.mark.parametrize("name", TRAINING_DAMAGE)
def test_training_refuses_damaged_attributes_by_name(name, call):
    for value in TRAINING_DAMAGE[name]:
        ours = pair(MLPClassifier)[0].set_params(warm_start=call == "warm fit")
        vars(ours)[name] = value
        if name == "_optimizer" and call == "warm fit":  # not read
            continue
        if name == "_optimizer" and call == "pickle" and isinstance(value, dict):
            with pytest.raises(ValueError, match=r"state of the optimizer|belongs to a network"):
                pickle.loads(pickle.dumps(ours)).partial_fit(X, y)
            continue
        if call == "pickle":
            ours = pickle.loads(pickle.dumps(ours))
        before = {key: one for key, one in vars(ours).items() if key != "_model"}
        with pytest.raises((ValueError, TypeError), match=name.strip("_")) as caught:
            (ours.fit if call == "warm fit" else ours.partial_fit)(X, y)
        assert caught.type is ValueError or name in DAMAGE
        assert all(vars(ours)[key] is one for key, one in before.items())


@pytest.mark.parametrize("name", ["n_features_in_", "feature_names_in_", "n_outputs_"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_predictions_refuse_what_they_read_by_name(name, kind):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    for value in TRAINING_DAMAGE[name]:
        ours = pair(kind)[0]
        setattr(ours, name, value)
        for x in (X, X[:1], X.tolist(), *[frame] * name.startswith("feature")):
            with pytest.raises(ValueError, match=name):
                ours.predict(x)


def test_names_of_features_may_be_a_list_or_none():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    ours = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3).fit(frame, y)
    expected = ours.predict(frame)
    for names in (list("abcd"), tuple("abcd"), frame.columns):
        ours.feature_names_in_ = names
        np.testing.assert_array_equal(ours.predict(frame), expected)
        with pytest.raises(ValueError, match="feature names should match"):
            ours.predict(frame.rename(columns={"a": "e"}))
        ours.partial_fit(frame, y)
        expected = ours.predict(frame)
    ours.feature_names_in_ = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(ours.predict(X), expected)
        ours.partial_fit(X, y)


@pytest.mark.parametrize("name", ["activation", "out_activation_", "coefs_", "intercepts_"])
@pytest.mark.parametrize("pickled", [False, True])
def test_a_missing_attribute_is_missed_by_name(name, pickled):
    ours, _ = pair()
    delattr(ours, name)
    if pickled:
        ours = pickle.loads(pickle.dumps(ours))
    for call in (ours.predict, lambda x: ours.partial_fit(x, y) if name != "coefs_" else None):
        with pytest.raises(AttributeError, match=name):
            if call(X) is None:
                ours.predict(X)


@pytest.mark.parametrize("name", ["loss", "alpha", "hidden_layer_sizes"])
def test_an_estimator_without_a_parameter_can_be_pickled(name):
    ours, _ = pair()
    expected = ours.predict(X)
    delattr(ours, name)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict(X), expected)


@pytest.mark.parametrize("state", [None, [], 3, "x", [("coefs_", [])]])
def test_a_state_that_is_no_dict_is_refused(state):
    with pytest.raises(ValueError, match="state of a MLPRegressor must be a dict"):
        object.__new__(MLPRegressor).__setstate__(state)


@pytest.mark.parametrize("model", ["x", [], -5, (), object()])
def test_a_cached_model_that_is_none_is_made_again(model):
    ours, _ = pair()
    expected = ours.predict(X)
    ours._model = model
    pickle.dumps(ours)
    np.testing.assert_array_equal(ours.predict(X), expected)
    ours._model = model
    ours.partial_fit(X, y)


@pytest.mark.parametrize("n_threads", ["x", 0, -1, 1.5])
def test_a_number_of_threads_that_was_set_by_hand(n_threads):
    ours, _ = pair()
    ours.n_threads = n_threads
    with pytest.raises(ValueError, match="n_threads must be"):
        ours.predict(np.resize(X, (20_000, 4)))


# ---- the optimizer, under scikit-learn's names


@pytest.mark.parametrize(
    ("solver", "name", "value"),
    [
        ("adam", "learning_rate_init", 0.05),
        ("adam", "beta_1", 0.5),
        ("adam", "beta_2", 0.9),
        ("adam", "epsilon", 0.1),
        ("adam", "t", 100),
        ("sgd", "learning_rate", 0.05),
        ("sgd", "learning_rate_init", 0.05),
        ("sgd", "momentum", 0.2),
        ("sgd", "nesterov", False),
        ("sgd", "power_t", 0.1),
        ("sgd", "lr_schedule", "invscaling"),
    ],
)
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_what_is_set_on_the_optimizer_counts(solver, name, value, schedule):
    def program(m):
        optimizer, found = m._optimizer, []
        for k in range(4):
            if k == 2:
                setattr(optimizer, name, value)
                assert getattr(optimizer, name) == value
            m.partial_fit(X, y)
            assert m._optimizer is optimizer
            found += [m.predict(X), optimizer.learning_rate, optimizer.learning_rate_init]
        return found

    same(program, solver=solver, learning_rate=schedule)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("how", ["in place", "assigned"])
def test_moments_and_velocities_are_live(solver, how):
    def program(m):
        optimizer, found = m._optimizer, []
        for name in ("ms", "vs") if solver == "adam" else ("velocities",):
            arrays = getattr(optimizer, name)
            found += [a.copy() for a in arrays]
            if how == "assigned":
                setattr(optimizer, name, [np.full_like(a, 0.01) for a in arrays])
            else:
                for array in arrays:
                    array *= 0.5
        return [*found, m.partial_fit(X, y).predict(X)]

    same(program, solver=solver)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_assigned_entries_of_moments_and_velocities_count(solver):
    def program(m):
        optimizer, found = m._optimizer, []
        for name in ("ms", "vs") if solver == "adam" else ("velocities",):
            for number, entry in enumerate(getattr(optimizer, name)):
                getattr(optimizer, name)[number] = np.full_like(entry, 0.01 * (number + 1))
            arrays = getattr(optimizer, name)
            arrays[-2:] = [np.full_like(a, 0.5) for a in arrays[-2:]]
            arrays[0] *= 2
            found += [a.copy() for a in getattr(optimizer, name)]
        assert m._optimizer is optimizer
        return [*found, m.partial_fit(X, y).predict(X)]

    same(program, solver=solver)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, list, pickle.loads])
def test_moments_can_be_saved_and_restored(copied):
    ours, _ = pair()
    live = ours._optimizer.ms
    saved = copied(pickle.dumps(live)) if copied is pickle.loads else copied(live)
    assert type(saved) is list and all(map(np.array_equal, saved, live))
    if copied in (copy.deepcopy, pickle.loads):
        saved[0] = saved[0] * 0
        assert ours._optimizer.ms[0].any()
        ours._optimizer.ms = saved
        assert not ours._optimizer.ms[0].any()


@pytest.mark.parametrize(
    ("index", "value", "words"),
    [
        (
            0,
            np.zeros(3),
            r"ms\[0\] must have arrays of the shapes \[\(4, 4\)\], got float64 \(3,\)",
        ),
        (0, 0.0, r"ms\[0\] must have arrays of the shapes"),
        (0, None, r"ms\[0\] must have arrays of the shapes .* got object"),
        (-1, ["1"], r"ms\[-1\] must have arrays of the shapes \[\(1,\)\], got <U1"),
        (-1, [1j], r"ms\[-1\] must have arrays of the shapes"),
        (-1, [[1, 2], [3]], r"ms\[-1\] must have arrays of numbers"),
        (slice(None), None, "ms must have arrays of numbers"),
        (slice(None), [], "ms must have arrays of the shapes .* got none"),
        (slice(1, 3), [np.ones((4, 3))], "ms must have arrays of the shapes"),
        (slice(4, 6), [np.ones(3), np.ones(2)], "ms must have arrays of the shapes"),
    ],
)
def test_wrong_moments_are_refused_by_name_and_nothing_is_written(index, value, words):
    ours, _ = pair()
    state = ours._optimizer.state.copy()
    with pytest.raises(ValueError, match=words):
        ours._optimizer.ms[index] = value
    for change in ("append", "extend", "remove", "__iadd__"):
        with pytest.raises(TypeError, match="one array for each"):
            getattr(ours._optimizer.ms, change)([])
    np.testing.assert_array_equal(ours._optimizer.state, state)


def test_an_optimizer_has_no_other_attributes():
    adam, sgd = (pair(solver=solver)[0]._optimizer for solver in ("adam", "sgd"))
    with pytest.raises(AttributeError):
        adam.learning_rates = 3
    for wrong in (lambda: adam.params, lambda: setattr(adam, "params", [1])):
        with pytest.raises(AttributeError, match="set coefs_ and intercepts_"):
            wrong()
    with pytest.raises(AttributeError, match="set learning_rate_init"):
        adam.learning_rate = 3.0
    with pytest.raises(AttributeError, match="adam has no momentum, only beta_1"):
        adam.momentum = 0.1
    with pytest.raises(AttributeError, match="sgd has no beta_1"):
        sgd.beta_1 = 0.1
    with pytest.raises(AttributeError, match="sgd has no ms"):
        sgd.ms  # noqa: B018
    with pytest.raises(ValueError, match="velocities must have arrays of the shapes"):
        sgd.velocities = [np.zeros(3)]
    for name, value in [("learning_rate", 0), ("momentum", 1.5), ("learning_rate", "x")]:
        with pytest.raises(ValueError, match=name):
            setattr(sgd, name, value)
    for steps in (-1, 0.5, np.inf, np.nan, "1", None, 2**53, 10**16):
        with pytest.raises(ValueError, match="t must be"):
            sgd.t = steps
    with pytest.raises(ValueError, match="lr_schedule must be one of"):
        sgd.lr_schedule = "cosine"


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_rate_can_be_set_between_two_calls(solver):
    ours, theirs = pair(solver=solver)
    name = "learning_rate_init" if solver == "adam" else "learning_rate"
    for rate in (0.1, 0.01, 0.003):
        ours.rate_ = rate
        setattr(theirs._optimizer, name, rate)
        assert ours.rate_ == rate
        ours.partial_fit(X, y), theirs.partial_fit(X, y)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-9)
    assert pickle.loads(pickle.dumps(ours)).rate_ == 0.003
    for rate in (0, -1, np.nan, np.inf, "a", None):
        with pytest.raises(ValueError, match="rate_ must be a number"):
            ours.rate_ = rate
    assert not hasattr(MLPRegressor(), "rate_")
    with pytest.raises(AttributeError, match="no optimizer before a fit"):
        MLPRegressor().rate_ = 0.1


@pytest.mark.parametrize("steps", [10**6, 2**53 - 1])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_no_update_is_lost_after_many_steps(solver, steps):
    def program(m):
        m._optimizer.t = steps
        return [m.partial_fit(X[:1], y[:1]).predict(X)]

    same(program, solver=solver)


def test_an_update_that_the_count_of_steps_would_lose_is_refused():
    ours, _ = pair()
    ours._optimizer.t = 2**53 - 1
    ours.partial_fit(X[:1], y[:1])
    with pytest.raises(ValueError, match="'tally' of the optimizer must end with t"):
        ours.partial_fit(X[:1], y[:1])


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_state_in_any_layout_is_taken(order):
    ours, _ = pair()
    expected = copy.deepcopy(ours).partial_fit(X, y).predict(X)
    ours._optimizer.state = np.array(ours._optimizer.state, order=order)
    np.testing.assert_array_equal(ours.partial_fit(X, y).predict(X), expected)


@pytest.mark.parametrize("schedule", ["constant", "adaptive"])
def test_a_rate_that_is_set_during_partial_fit_stays(schedule):
    """Another thread sets it between the copy that is trained and its adoption."""
    ours, _ = pair(solver="sgd", learning_rate=schedule)
    later = ours._optimizer.unset_copy()
    ours._optimizer.learning_rate = 0.5
    for action in ours._optimizer.takes(later):
        action()
    assert ours.rate_ == 0.5
    later = ours._optimizer.unset_copy()
    later.rate = 0.1  # the schedule has lowered it
    for action in ours._optimizer.takes(later):
        action()
    assert ours.rate_ == 0.1


def test_an_optimizer_set_to_none_begins_anew():
    ours, _ = pair()
    ours._optimizer = None
    ours.partial_fit(X, y)
    assert ours._optimizer.t == 1


# ---- nothing grows with the past


def test_partial_fit_copies_no_history():
    import tracemalloc

    ours, _ = pair()
    ours.loss_curve_.extend([0.5] * 1_000_000)
    ours.partial_fit(X, y).partial_fit(X, y)  # the list gets room for more
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracemalloc.start()
        ours.partial_fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert len(ours.loss_curve_) == 1_000_006 and peak < 2**20  # a copy takes 8 MB


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_given_weights_lie_in_one_block(cls):
    """So the core reads them as it reads those of a fit, which is faster."""
    rng = np.random.RandomState(0)
    weights = [rng.randn(4, 5), rng.randn(5, 1)], [rng.randn(5), rng.randn(1)]
    m = cls.from_weights(*weights, activation="tanh")
    first = m.predict(X)
    assert m._model.owns
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(m)).predict(X), first)
