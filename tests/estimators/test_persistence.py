"""Estimators that were saved, copied or edited by hand predict and train with the same bits."""

import copy
import functools
import hashlib
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from fitted_models import (
    MODELS,
    PARAMS,
    X,
    Y,
    assert_same,
    fitted,
    kept,
    outputs,
    state,
    trained_further,
    ways,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, MLPRegressor

try:
    import cloudpickle
except ImportError:
    cloudpickle = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def through_joblib(est, folder, mmap_mode=None):
    path = folder / "model.joblib"
    joblib.dump(est, path)
    return joblib.load(path, mmap_mode=mmap_mode)


def through_compressed_joblib(est, folder):
    path = folder / "model.joblib.gz"
    joblib.dump(est, path, compress=3)
    return joblib.load(path)


def through_buffers(est, _):
    """Protocol 5, arrays out of band, as dask and ray send them: loaded arrays are read-only."""
    buffers = []
    data = pickle.dumps(est, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(b.raw()) for b in buffers])


TRIPS = {
    **{
        f"pickle {protocol}": lambda est, _, protocol=protocol: pickle.loads(
            pickle.dumps(est, protocol)
        )
        for protocol in (2, pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL)
    },
    "pickle twice": lambda est, _: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(est)))),
    "pickle out of band": through_buffers,
    "joblib": through_joblib,
    "joblib, compressed": through_compressed_joblib,
    "joblib, mmap r": lambda est, folder: through_joblib(est, folder, "r"),
    "joblib, mmap c": lambda est, folder: through_joblib(est, folder, "c"),
    "copy.copy": lambda est, _: copy.copy(est),
    "copy.deepcopy": lambda est, _: copy.deepcopy(est),
}
if cloudpickle is not None:
    TRIPS["cloudpickle"] = lambda est, _: pickle.loads(cloudpickle.dumps(est))

DTYPES = np.float32, np.float64
# Every trip of every model; the dtypes take turns.
ROUND_TRIPS = [
    (trip, model, DTYPES[(i + j) % 2])
    for i, trip in enumerate(TRIPS)
    for j, model in enumerate(MODELS)
]


def test_every_trip_and_every_model_goes_in_either_dtype():
    assert {case[::2] for case in ROUND_TRIPS} == {(t, dtype) for t in TRIPS for dtype in DTYPES}
    assert {case[1:] for case in ROUND_TRIPS} == {(m, dtype) for m in MODELS for dtype in DTYPES}


@pytest.mark.parametrize("trip, model, dtype", ROUND_TRIPS)
def test_round_trip(trip, model, dtype, tmp_path):
    x = X.astype(dtype)
    est = kept(model, dtype)
    before = state(est, x)
    back = TRIPS[trip](est, tmp_path)
    assert type(back) is type(est)
    assert back.coefs_[0].dtype == dtype
    assert_same(state(back, x), before)
    assert_same(outputs(back, sp.csr_array(x)), outputs(est, sp.csr_array(x)))
    assert_same(outputs(back, X), outputs(est, X))
    assert_same(state(est, x), before)
    assert back.get_params().keys() == est.get_params().keys()


@functools.cache
def state_of_a_twin(model, how):
    """What training gives an estimator that was neither saved nor copied."""
    return state(trained_further(fitted(model), model, how), X)


# Every trip of every model goes on by partial_fit, or by a warm start; the other ways take turns.
CONTINUED = [
    (trip, model, how)
    for i, trip in enumerate(TRIPS)
    for j, model in enumerate(MODELS)
    for k, how in enumerate(ways(model))
    if k == 0 or (i + j) % 2 == k % 2
]


def test_every_trip_and_every_model_goes_on_in_every_way():
    assert {case[1:] for case in CONTINUED} == {(m, how) for m in MODELS for how in ways(m)}
    assert len({case[::2] for case in CONTINUED}) == 3 * len(TRIPS)


@pytest.mark.parametrize("trip, model, how", CONTINUED)
def test_training_continues(trip, model, how, tmp_path):
    back = TRIPS[trip](fitted(model), tmp_path)
    assert_same(state(trained_further(back, model, how), X), state_of_a_twin(model, how))


@pytest.mark.parametrize("trip", TRIPS)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_unfitted(cls, trip, tmp_path):
    est = TRIPS[trip](cls(**PARAMS), tmp_path)
    with pytest.raises(NotFittedError):
        est.predict(X)
    assert_same(state(est.fit(X, Y), X), state(cls(**PARAMS).fit(X, Y), X))


@pytest.mark.parametrize("model", MODELS)
def test_clone_is_unfitted(model):
    est = fitted(model)
    twin = clone(est)
    assert not [name for name in vars(twin) if name.endswith("_")]
    params, others = est.get_params(), twin.get_params()
    assert params.pop("random_state") is not None and others.pop("random_state") is not None
    assert params == others
    with pytest.raises(NotFittedError):
        twin.predict(X)
    if model != "RandomState":  # the first fit has changed it
        assert_same(state(twin.fit(X, MODELS[model][2]), X), state(est, X))


def test_partial_fit_from_the_start(tmp_path):
    """The estimator is saved after every call, as in an out-of-core loop with checkpoints."""
    est = MLPClassifier(**PARAMS)
    saved = MLPClassifier(**PARAMS)
    for start in range(0, 60, 20):
        rows = slice(start, start + 20)
        est.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
        saved.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
        saved = pickle.loads(pickle.dumps(saved))
    assert_same(state(saved, X), state(est, X))


def test_deep_copies_share_nothing():
    est = fitted("classes")
    before = [a.copy() for a in state(est, X)]
    for twin in (copy.deepcopy(est), pickle.loads(pickle.dumps(est))):
        twin.partial_fit(X, Y)
        twin.coefs_[0][...] = 0
        assert_same(state(est, X), before)


class Tagged(list):
    """A list with an attribute."""

    tag = None


COPIES = {
    "pickle": lambda est: pickle.loads(pickle.dumps(est)),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("trained", [False, True])
def test_attributes_that_are_one_object_stay_one(way, trained):
    est = fitted("classes")
    if trained:  # weights that lie outside the block
        est.coefs_[1] = est.coefs_[1].copy()
        est.partial_fit(X, Y)
    est.weights, est.first, est.losses = est.coefs_, est.coefs_[0], est.loss_curve_
    twin = COPIES[way](est)
    assert twin.weights is twin.coefs_ is not est.coefs_
    assert twin.first is twin.coefs_[0] is not est.coefs_[0]
    assert twin.losses is twin.loss_curve_ is not est.loss_curve_
    assert_same(outputs(twin, X), outputs(est, X))
    twin.weights[0][:] = 0
    assert not twin.first.any() and est.first.any()
    assert_same([twin.partial_fit(X, Y).first], [twin.coefs_[0]])


@pytest.mark.parametrize("way", COPIES)
def test_one_array_in_two_places_stays_one(way):
    est = fitted("classes").set_params(hidden_layer_sizes=(4, 4))
    est.fit(X[:, :4], Y)
    est.coefs_[1] = est.coefs_[0]
    twin = COPIES[way](est)
    assert twin.coefs_[1] is twin.coefs_[0] is not est.coefs_[0]
    assert_same(outputs(twin, X[:, :4]), outputs(est, X[:, :4]))


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", ["notes", "coefs_", "intercepts_", "loss_curve_"])
def test_lists_keep_their_type(way, name):
    est = fitted("classes")
    kept = Tagged(getattr(est, name, [1, [2]]))
    kept.tag = 3
    setattr(est, name, kept)
    twin = getattr(COPIES[way](est), name)
    assert type(twin) is Tagged and twin.tag == 3 and len(twin) == len(kept)
    assert (twin is kept) == (way == "copy.copy" and name == "notes")  # as in scikit-learn


def test_a_shallow_copy_trained_on_leaves_a_whole_model():
    """Weights and predictions of the original match, whether they are shared or not."""
    est = fitted("classes")
    copy.copy(est).partial_fit(X, Y)
    np.testing.assert_allclose(est.predict_proba(X), by_hand(est, X), rtol=1e-12)


def test_another_process_predicts_the_same(tmp_path):
    est = fitted("classes")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(est))
    np.save(tmp_path / "x.npy", X)
    program = (
        "import hashlib, pickle, sys, numpy as np; folder = sys.argv[1]; "
        "est = pickle.load(open(folder + '/model.pickle', 'rb')); "
        "p = est.predict_proba(np.load(folder + '/x.npy')); "
        "print(hashlib.sha256(p.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(est.predict_proba(X).tobytes()).hexdigest()


# ---- weights edited by hand


def by_hand(est, x):
    """predict_proba of a multiclass relu network, from its public weights."""
    for w, b in zip(est.coefs_[:-1], est.intercepts_[:-1], strict=True):
        x = np.maximum(x @ w + b, 0)
    z = x @ est.coefs_[-1] + est.intercepts_[-1]
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def set_item(est):
    est.coefs_[0] = 0.5 * np.ones((5, 4))


def set_item_fortran(est):
    est.coefs_[0] = np.asfortranarray(np.arange(20.0).reshape(5, 4) / 10)


def set_item_strided(est):
    est.coefs_[1] = (np.arange(48.0).reshape(8, 6) / 30)[::2, ::2]


def set_item_read_only(est):
    w = np.full((4, 3), 0.25)
    w.flags.writeable = False
    est.coefs_[1] = w


def set_item_list(est):
    est.coefs_[2] = [[0.1, 0.2, 0.3]] * 3


def in_place(est):
    est.coefs_[0][...] = 0


def in_place_scaled(est):
    for w in est.coefs_:
        w *= 0.5


def one_element(est):
    est.coefs_[1][2, 1] += 1.0


def bias_in_place(est):
    est.intercepts_[0][:] = 0.125


def bias_item(est):
    est.intercepts_[-1] = np.array([1.0, -1.0, 0.0])


def whole_lists(est):
    est.coefs_ = [w + 0.01 for w in est.coefs_]
    est.intercepts_ = [b - 0.01 for b in est.intercepts_]


def copied_lists(est):
    est.coefs_ = copy.deepcopy(est.coefs_)
    est.coefs_[0][0] = 1.0


def swapped_lists(est):
    est.coefs_, est.intercepts_ = list(est.coefs_), tuple(est.intercepts_)


def after_predict(est):
    est.predict(X)
    est.coefs_[0][...] = 0.3
    est.predict(X)
    est.coefs_[0] = est.coefs_[0] * 2


EDITS = [
    set_item,
    set_item_fortran,
    set_item_strided,
    set_item_read_only,
    set_item_list,
    in_place,
    in_place_scaled,
    one_element,
    bias_in_place,
    bias_item,
    whole_lists,
    copied_lists,
    swapped_lists,
    after_predict,
]


@pytest.mark.parametrize("trip", ["none", "pickle", "copy.deepcopy"])
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_edits_are_seen(edit, trip, tmp_path):
    est = fitted("classes")
    if trip != "none":
        est = {"pickle": TRIPS["pickle 5"], **TRIPS}[trip](est, tmp_path)
    before = est.predict_proba(X)
    edit(est)
    np.testing.assert_allclose(est.predict_proba(X), by_hand(est, X), rtol=1e-12)
    if edit is not swapped_lists:
        assert not np.array_equal(est.predict_proba(X), before)

    edited = [np.array(w) for w in est.coefs_]
    est.partial_fit(X, Y)
    assert all(not np.array_equal(w, old) for w, old in zip(est.coefs_, edited, strict=True))
    np.testing.assert_allclose(est.predict_proba(X), by_hand(est, X), rtol=1e-12)


# scikit-learn trains the arrays in its lists, so its result after an edit is the expected one.
@pytest.mark.parametrize(
    "edit",
    [edit for edit in EDITS if edit not in (set_item_read_only, set_item_list, swapped_lists)],
    ids=lambda edit: edit.__name__,
)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_continues_from_edits(edit, how):
    ours = fitted("classes")
    theirs = sklearn.neural_network.MLPClassifier(**PARAMS).fit(X, Y)
    for est in (ours, theirs):
        edit(est)
        if how == "partial_fit":
            est.partial_fit(X, Y).partial_fit(X, Y)
        else:
            est.set_params(warm_start=True).fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_changes_the_arrays_that_are_in_the_lists(how):
    """Predictions never do. Training does, as in scikit-learn."""
    ours = MLPClassifier(**PARAMS).fit(X, Y)
    theirs = sklearn.neural_network.MLPClassifier(**PARAMS).fit(X, Y)
    arrays = []
    for est in (ours, theirs):
        w, b = 0.5 * np.ones((5, 4)), np.zeros(4)
        est.coefs_[0], est.intercepts_[0] = w, b
        est.predict(X)
        assert (w == 0.5).all() and (b == 0).all()
        if how == "partial_fit":
            est.partial_fit(X, Y)
        else:
            est.set_params(warm_start=True).fit(X, Y)
        assert est.coefs_[0] is w and est.intercepts_[0] is b
        arrays.append([w, b])
    for a, b in zip(*arrays, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_arrays_kept_from_an_earlier_fit_are_not_changed():
    """Later fits do not change arrays that a user has kept from an earlier fit."""
    est = fitted("classes")
    kept = est.coefs_
    copies = [w.copy() for w in kept]
    est.fit(X[:30], Y[:30])
    assert_same(kept, copies)


@pytest.mark.parametrize(
    "shapes",
    [
        [],
        [(5, 4)],
        [(3, 4), (4, 3), (3, 3)],
        [(5, 4), (4, 3), (3, 2)],
        [(5, 4), (4, 2), (3, 3)],
        [(5, 4), (4, 3), (3,)],
        [(5, 4), (4, 3), (3, 3), (3, 3)],
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["predict", "partial_fit"])
def test_weights_that_do_not_fit_are_refused(shapes, method):
    est = fitted("classes")
    est.coefs_ = [np.zeros(shape) for shape in shapes]
    with pytest.raises(ValueError):
        est.predict(X) if method == "predict" else est.partial_fit(X, Y)


def test_optimizer_state_that_does_not_fit_is_refused():
    """A network of another shape predicts, but it cannot use the moments of Adam."""
    est = fitted("classes")
    est.coefs_ = [np.ones((5, 8)), np.ones((8, 3)), np.ones((3, 3))]
    est.intercepts_ = [np.ones(8), np.ones(3), np.ones(3)]
    np.testing.assert_allclose(est.predict_proba(X), by_hand(est, X), rtol=1e-12)
    with pytest.raises(ValueError):
        est.partial_fit(X, Y)
    assert est.coefs_[0].shape == (5, 8)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("model, weight", [("f4", "f8"), ("f8", "f4"), ("f8", "i8")])
def test_training_continues_from_weights_of_another_dtype(model, weight, how):
    """np.load and averages of models may give another dtype than that of training."""
    x = X.astype(model)
    ours = MLPClassifier(**PARAMS).fit(x, Y)
    theirs = sklearn.neural_network.MLPClassifier(**PARAMS).fit(x, Y)
    w = np.arange(20).reshape(5, 4)
    ours.coefs_[0] = w.astype(weight)
    theirs.coefs_[0] = w.astype(float)  # it adds in place, which integer arrays do not allow
    for est in (ours, theirs):
        est.predict(x)
        if how == "partial_fit":
            est.partial_fit(x, Y).partial_fit(x, Y)
        else:
            est.set_params(warm_start=True).fit(x, Y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-3)


@pytest.mark.parametrize("mode", ["r", "c"])
def test_memory_maps_are_not_written(mode, tmp_path):
    est = fitted("classes")
    back = through_joblib(est, tmp_path, mode)
    saved = (tmp_path / "model.joblib").read_bytes()
    back.predict(X)
    back.partial_fit(X, Y)
    assert (tmp_path / "model.joblib").read_bytes() == saved
    assert_same([joblib.load(tmp_path / "model.joblib").predict_proba(X)], [est.predict_proba(X)])


# ---- contents of a saved model


def nbytes(est):
    return sum(w.nbytes for w in est.coefs_ + est.intercepts_)


@pytest.mark.parametrize(
    "params, arrays",
    [
        ({}, 3),  # the weights and Adam's two moments
        ({"early_stopping": True}, 4),  # and the weights of the last epoch
        ({"solver": "sgd"}, 2),  # the weights and their velocity
        ({"solver": "lbfgs", "max_iter": 1}, 1),
    ],
    ids=["adam", "early stopping", "sgd", "lbfgs"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_size(params, arrays, dtype):
    """No array is stored twice, although arrays are views."""
    x = np.random.RandomState(0).randn(200, 100).astype(dtype)
    est = MLPRegressor(**{**PARAMS, "hidden_layer_sizes": (200, 50), **params}).fit(x, x[:, 0])
    for trained in (est, clone(est).fit(x, x[:, 0])):
        trained.predict(x)
        assert len(pickle.dumps(trained)) < 1.25 * arrays * nbytes(est)
        assert len(pickle.dumps(trained, protocol=2)) < 3 * arrays * nbytes(est)
    stream = io.BytesIO()
    joblib.dump(est, stream)
    assert stream.tell() < 1.25 * arrays * nbytes(est)
    back = pickle.loads(pickle.dumps(est))
    back.predict(x)
    assert len(pickle.dumps(back)) < 1.25 * arrays * nbytes(est)


@pytest.mark.parametrize("model", MODELS)
def test_a_pickle_names_public_modules_alone(model):
    """Files may move, and nothing compiled is pickled."""
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        modules = {module for module, _ in classes_in(pickle.dumps(fitted(model), protocol))}
        ours = {module for module in modules if module.startswith("fastbp")}
        assert "fastbp" in ours and ours <= {"fastbp", "fastbp.graph"}


def classes_in(data):
    """(module, name) of every global that unpickling looks up."""
    found = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            found.append((module, name))
            return super().find_class(module, name)

    Unpickler(io.BytesIO(data)).load()
    return found


@pytest.mark.parametrize("trip", ["none", *TRIPS])
@pytest.mark.parametrize("model", MODELS)
def test_types(model, trip, tmp_path):
    est = fitted(model)
    if trip != "none":
        est = TRIPS[trip](est, tmp_path)
    mapped = "mmap" in trip  # then joblib gives np.memmap
    for arrays, ndim in [(est.coefs_, 2), (est.intercepts_, 1)]:
        assert type(arrays) is list
        assert len(arrays) == est.n_layers_ - 1
        for a in arrays:
            assert isinstance(a, np.ndarray) if mapped else type(a) is np.ndarray
            assert a.ndim == ndim
            assert a.dtype == np.float64
            assert a.dtype.isnative
            assert a.flags.c_contiguous
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_"):
        assert type(getattr(est, name)) is int, name
    assert isinstance(est.loss_, float)
    if est.solver == "lbfgs":
        assert not hasattr(est, "loss_curve_")
        return
    assert type(est.loss_curve_) is list
    assert all(isinstance(loss, float) for loss in est.loss_curve_)
    if est.early_stopping:
        assert est.best_loss_ is None
        assert type(est.validation_scores_) is list
        assert all(isinstance(score, float) for score in est.validation_scores_)
        assert isinstance(est.best_validation_score_, float)
    else:
        assert isinstance(est.best_loss_, float)
        assert est.validation_scores_ is None
        assert est.best_validation_score_ is None


@pytest.mark.parametrize("kind", ["dense", "CSR"])
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_float32_model_reads_float64(cls, kind):
    """As in scikit-learn: the product of float32 weights and float64 data is float64."""
    x32 = X.astype(np.float32)
    ours = cls(**PARAMS).fit(x32, Y)
    theirs = getattr(sklearn.neural_network, cls.__name__)(**PARAMS).fit(x32, Y)
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_
    for x in (X, x32, X.astype(np.float16), (X > 0), (10 * X).astype(int)):
        if kind == "CSR":
            if x.dtype == np.float16:
                continue  # SciPy has no such type
            x = sp.csr_array(x)
        expected = theirs.predict_proba(x) if cls is MLPClassifier else theirs.predict(x)
        found = ours.predict_proba(x) if cls is MLPClassifier else ours.predict(x)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-10 if found.dtype == float else 1e-4)
    assert ours.coefs_[0].dtype == np.float32


@pytest.mark.parametrize("model", MODELS)
def test_names_that_converters_read(model):
    """skl2onnx reads these attributes."""
    cls, params, y = MODELS[model]
    if callable(params.get("activation")):
        pytest.skip("scikit-learn's activation is a name")
    est = fitted(model)
    their_cls = getattr(sklearn.neural_network, cls.__name__)
    if not params.keys() <= their_cls().get_params().keys():
        pytest.skip("this scikit-learn has no such parameter")
    theirs = their_cls(**{**PARAMS, **copy.deepcopy(params)}).fit(X, y)
    for name in ("n_layers_", "n_outputs_", "activation", "out_activation_", "n_features_in_"):
        assert getattr(est, name) == getattr(theirs, name), name
    assert [w.shape for w in est.coefs_] == [w.shape for w in theirs.coefs_]
    assert [b.shape for b in est.intercepts_] == [b.shape for b in theirs.intercepts_]
    if cls is MLPClassifier:
        np.testing.assert_array_equal(est.classes_, theirs.classes_)
        assert est.classes_.dtype == theirs.classes_.dtype
        assert est._label_binarizer.y_type_ == theirs._label_binarizer.y_type_
