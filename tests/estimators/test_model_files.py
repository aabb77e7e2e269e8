"""Models that were saved to a file and loaded have the same bits, and train on with them."""

import enum
import io
import os

import numpy as np
import pytest
import scipy.sparse as sp
from fitted_models import (
    MODELS,
    PARAMS,
    T,
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
from sklearn.exceptions import NotFittedError

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.files import Writer, values
from fastbp.kernels import backend
from fastbp.schedules import Cosine, Exponential

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def through_path(est, folder, **how):
    path = folder / "model.safetensors"
    est.save(path, **how)
    return fastbp.load(path)


def through_map(est, folder):
    path = folder / "model.safetensors"
    est.save(str(path))
    return fastbp.load(str(path), mmap=True)


def through_object(est, folder=None, **how):
    file = io.BytesIO()
    est.save(file, **how)
    file.seek(0)
    return fastbp.load(file)


TRIPS = {"path": through_path, "map": through_map, "object": through_object}
TAKING_TURNS = [
    (list(TRIPS)[k % 3], model, (np.float32, np.float64)[k % 2]) for k, model in enumerate(MODELS)
]


def plain(value):
    """A parameter in a form that can be compared."""
    if isinstance(value, np.random.RandomState):
        return [str(one) for one in value.get_state()]
    return value


@pytest.mark.parametrize("trip, model, dtype", TAKING_TURNS)
def test_round_trip(trip, model, dtype, tmp_path):
    est, x = kept(model, dtype), X.astype(dtype)
    back = TRIPS[trip](est, tmp_path)
    assert type(back) is type(est) and back.coefs_[0].dtype == dtype
    assert_same(state(back, x), state(est, x))
    assert_same(outputs(back, sp.csr_array(x)), outputs(est, sp.csr_array(x)))
    known, found = est.__getstate__(), back.__getstate__()  # functions as formulas
    for name in est.get_params():
        assert plain(found[name]) == plain(known[name]), name
        assert type(found[name]) is type(known[name]), name
    assert known.keys() - found.keys() <= {"_random_state"}
    assert found.keys() <= known.keys()
    for name in known.keys() - {"_random_state", "_label_binarizer", "_optimizer"}:
        assert type(known[name]) is type(found[name]), name


@pytest.mark.parametrize("trip, model, dtype", TAKING_TURNS)
def test_training_goes_on(trip, model, dtype, tmp_path):
    for k, how in enumerate(ways(model)):
        folder = tmp_path / str(k)  # Windows does not replace a file that is mapped
        folder.mkdir()
        back = TRIPS[trip](kept(model, dtype), folder)
        twin = fitted(model, dtype)
        assert_same(
            state(trained_further(back, model, how), X), state(trained_further(twin, model, how), X)
        )


RESUMED = {
    "adam": (MLPClassifier, {}, Y),
    "invscaling": (MLPClassifier, {"solver": "sgd", "learning_rate": "invscaling"}, Y),
    "stopped": (MLPClassifier, {"early_stopping": True, "n_iter_no_change": 2}, Y),
    "generator": (MLPRegressor, {"random_state": np.random.RandomState(5)}, T),
    "averaged": (MLPRegressor, {"ema_decay": 0.9, "dropout": 0.1}, T),
    "schedule": (MLPRegressor, {"learning_rate": Cosine(warmup=0.1)}, T),
    "epochs": (MLPRegressor, {"solver": "sgd", "learning_rate": Exponential(0.5)}, T),
    "given weights": (MLPRegressor, {"init": "arrays"}, T),
    "classes": (MLPClassifier, {"class_weight": {0: 1.0, 1: 2.5, 2: 1}}, Y),
    "functions": (MLPRegressor, {"activation": [abs, "mish"], "loss": lambda r, y: abs(r - y)}, T),
    "float32, trained in float64": (MLPRegressor, {}, 1e5 * T),
}


@pytest.mark.parametrize("name", RESUMED)
def test_resume(name, tmp_path):
    cls, params, y = RESUMED[name]
    if params.get("init") == "arrays":
        rng = np.random.RandomState(1)
        params = {
            "init": (
                [rng.randn(5, 4), rng.randn(4, 3), rng.randn(3, 1)],
                [[0] * 4, [1, 2, 3], [0.5]],
            )
        }
    x = X.astype(np.float32) if "float32" in name else X
    est = cls(**{**PARAMS, **params, "max_iter": 4}).fit(x, y)
    back = through_path(est, tmp_path)
    for one in (est, back):
        one.set_params(max_iter=8).resume(x, y)
    assert_same(state(back, x), state(est, x))
    assert back.stop_reason_ == est.stop_reason_


def test_several_targets(tmp_path):
    y = np.column_stack([np.array(["a", "b"])[Y % 2], np.array(["u", "v", "w"])[Y]])
    est = MLPClassifier(**PARAMS).fit(X, y)
    back = through_path(est, tmp_path)
    assert_same([*back.predict_proba(X), *back.classes_], [*est.predict_proba(X), *est.classes_])
    assert (back.predict(X) == est.predict(X)).all()
    assert_same(back.partial_fit(X, y).coefs_, est.partial_fit(X, y).coefs_)


LABELS = {
    "objects": np.array(["a", "bb", "c"], object)[Y],
    "wide strings": np.array(["a", "bb", "c"], "<U30")[Y],
    "floats": np.array([0.0, 1, 5])[Y],
    "bools": Y > 1,
    "bytes of integers": Y.astype(np.uint8),
    "one column": Y[:, None] % 2,
    "sparse": sp.csr_array(np.stack([Y > 0, Y > 1], 1).astype(int)),
    "soft": np.full((60, 2), 0.5) + np.array([0.25, -0.25]),
}


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("name", LABELS)
def test_labels(name, tmp_path):
    est = MLPClassifier(**PARAMS).fit(X, LABELS[name])
    back = through_object(est)
    assert back.classes_.dtype == est.classes_.dtype
    assert back.classes_.tolist() == est.classes_.tolist()
    assert [*map(type, back.classes_)] == [*map(type, est.classes_)]
    a, b = est.predict(X), back.predict(X)
    assert sp.issparse(a) == sp.issparse(b) and a.dtype == b.dtype
    assert ((a != b).nnz == 0) if sp.issparse(a) else (a == b).all()


class Color(str, enum.Enum):  # noqa: UP042  whose `__str__` is another
    RED, GREEN = "r", "g"


def test_strings_of_an_enum_are_kept_as_strings():
    """`str` of a member is its name, `Color.RED`; levels are found by `r`."""
    names = np.array([*Color, "a"], object)
    assert Writer().value(names, "levels") == {"objects": ["r", "g", "a"]}


@pytest.mark.parametrize("kind", [np.datetime64, np.timedelta64])
def test_dates_among_objects_are_refused(kind):
    """Their `item` is a number of nanoseconds."""
    with pytest.raises(TypeError, match="levels"):
        Writer().value(np.array([kind(3, "ns")], object), "levels")


def test_arrays_of_strings_have_a_limit_in_all(monkeypatch):
    monkeypatch.setattr(values, "MOST_TEXT", 100)
    writer = Writer()
    writer.within("members.0").value(np.array(["abcdefghij"]), "classes_")
    with pytest.raises(TypeError, match=r"members\.1\.classes_ has 80 bytes of text"):
        writer.within("members.1").value(np.array(["abcdefghij"] * 2), "classes_")


def test_feature_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[*"abc", "déjà", "𝒳"])
    est = MLPClassifier(**PARAMS).fit(frame, Y)
    back = through_object(est)
    assert back.feature_names_in_.tolist() == est.feature_names_in_.tolist()
    assert back.feature_names_in_.dtype == object
    assert_same([back.predict_proba(frame)], [est.predict_proba(frame)])


ODD_PARAMETERS = {
    "hidden_layer_sizes": [np.array([4, 3]), [4, 3], (np.int64(4), 3)],
    "n_iter_no_change": [np.inf, 3],
    "alpha": [np.float64(0.1), np.float32(0.1), 0],
    "activation": [["relu", fg.tanh], ("tanh", "elu")],
    "dropout": [[0.1, 0.2], np.array([0.1, 0.2])],
    "random_state": [None, np.int32(3), np.random.RandomState(2)],
    "class_weight": ["balanced", {0: 1, 1: 2, 2: np.inf}],
    "clip_norm": [None, 2],
    "verbose": [False, 0],
    "scoring": ["neg_log_loss"],
    "learning_rate": [Cosine(end=0.1), "coslog4"],
}


@pytest.mark.parametrize("name", ODD_PARAMETERS)
def test_values_of_parameters_come_back(name):
    for value in ODD_PARAMETERS[name]:
        est = MLPClassifier(**PARAMS).fit(X, Y)
        if name == "activation":
            est = MLPClassifier(**{**PARAMS, name: value}).fit(X, Y)
        est.set_params(**{name: value})
        back = through_object(est)
        found, known = getattr(back, name), est.__getstate__()[name]
        if isinstance(known, np.ndarray):
            assert found.dtype == known.dtype
            found, known = found.tolist(), known.tolist()
        assert plain(found) == plain(known)
        assert isinstance(known, type(found) | np.generic)  # NumPy's scalars become Python's


def test_given_weights():
    est = MLPClassifier.from_weights(
        [[[1.0], [1.0]]], [[-1.5]], activation="step", classes=["n", "y"]
    )
    back = through_object(est)
    assert back.predict([[0, 1], [1, 1]]).tolist() == ["n", "y"]
    assert vars(back).keys() == vars(est).keys()


def test_weights_that_were_set_by_hand():
    est = fitted("classes", np.float32)
    est.coefs_[0] = np.asfortranarray(est.coefs_[0] * 2)
    est.intercepts_[1] = est.intercepts_[1].astype(np.float64)
    back = through_object(est)
    assert_same(outputs(back, X), outputs(est, X))
    assert all(coef.dtype == np.float64 for coef in back.coefs_)


def test_a_model_in_one_block_predicts_as_fast(tmp_path):
    """The weights are views of one array, which lies in the bytes that were read."""
    for back in (through_path(kept("classes"), tmp_path), through_map(kept("classes"), tmp_path)):
        assert back._model.owns
        assert (back._model.row is not None) == (backend == "native")  # with BLAS nobody has one
        assert all(coef.base is not None and coef.flags.writeable for coef in back.coefs_)


# ---- training=False


def test_without_training(tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    est = MLPClassifier((50,), max_iter=2, random_state=0).fit(X, Y)
    est.save(whole)
    est.save(part, training=False)
    weights = est._model.network.params.nbytes
    assert whole.stat().st_size > 3 * weights
    assert part.stat().st_size < weights + 4500
    back = fastbp.load(part)
    assert_same(state(back, X), state(est, X))
    assert not hasattr(back, "_optimizer")
    with pytest.raises(ValueError, match="resume goes on with a fit"):
        back.resume(X, Y)
    back.partial_fit(X, Y)  # with a new optimizer


class Scorer:
    def __call__(self, estimator, X, y):
        return 1.0


def initial(fan_in, fan_out, random_state):
    return np.ones((fan_in, fan_out)), np.zeros(fan_out)


FUNCTIONS = {"scoring": Scorer(), "init": initial, "learning_rate": lambda epoch: 1.0}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_only_training_needs(name, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    est = MLPRegressor(**{**PARAMS, name: FUNCTIONS[name]}).fit(X, T)
    with pytest.raises(TypeError, match=f"{name} is .*training=False"):
        est.save(path)
    assert path.read_bytes() == b"old" and len(os.listdir(tmp_path)) == 1
    est.save(path, training=False)
    back = fastbp.load(path)
    assert getattr(back, name) == getattr(MLPRegressor(), name)
    assert_same(outputs(back, X), outputs(est, X))


# ---- what is refused


class Sub(MLPClassifier):
    pass


REFUSED = {
    "subclass": (lambda: Sub(**PARAMS).fit(X, Y), TypeError, "is a Sub"),
    "dates": (
        lambda: MLPClassifier.from_weights(
            [np.ones((5, 3))], [np.ones(3)], activation="relu", classes=np.arange(3).astype("M8[D]")
        ),
        TypeError,
        "classes_ has the dtype datetime64",
    ),
    "class_weight": (
        lambda: fitted("classes").set_params(class_weight={0: 1, 1: 1, 2: 1j}),
        (TypeError, ValueError),
        "class_weight",
    ),
    "classes of a fit that confused them": (  # of NumPy's, which scikit-learn calls
        lambda: MLPClassifier(**PARAMS).fit(X, np.array([*Color], object)[Y % 2]),
        ValueError,
        "classes_ must be in rising order, each once",
    ),
    "generator": (
        lambda: fitted("classes").set_params(random_state=np.random.RandomState(np.random.PCG64())),
        TypeError,
        "random_state is a generator other than",
    ),
    "wrong parameter": (lambda: fitted("classes").set_params(alpha=-1), ValueError, "alpha"),
    "other widths": (
        lambda: fitted("classes").set_params(hidden_layer_sizes=(9, 9)),
        ValueError,
        "hidden_layer_sizes is",
    ),
    "other loss": (
        lambda: fitted("two outputs").set_params(loss="quantile", quantile=[0.1, 0.5, 0.9]),
        ValueError,
        "quantile",
    ),
    "NaN": (lambda: _edited("coefs_", np.nan), ValueError, "finite"),
    "infinity": (lambda: _edited("intercepts_", np.inf), ValueError, "finite"),
    "curve": (lambda: _with(loss_curve_=["a"]), TypeError, "loss_curve_"),
    "counter": (lambda: _with(t_="x"), ValueError, "t_ must be"),
    "names": (lambda: _with(classes_=np.array([4, 5, 6])), ValueError, "classes_"),
    "optimizer": (lambda: _moments(np.nan), ValueError, "'state' of the optimizer"),
    "formula": (lambda: _long_formula(), TypeError, "activation is a formula of .* steps"),
}


def _with(**attributes):
    est = fitted("classes")
    vars(est).update(attributes)
    return est


def _edited(name, value):
    est = fitted("classes")
    getattr(est, name)[0].flat[0] = value
    return est


def _moments(value):
    est = fitted("classes")
    est._optimizer.ms[0][:] = value
    return est


def _long_formula():
    def activation(z):
        for k in range(600):
            z = fg.tanh(z) + k
        return z

    return MLPRegressor.from_weights(
        [np.ones((5, 1)), np.ones((1, 1))], [[0.0], [0.0]], activation=activation
    )


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_save(what, tmp_path):
    make, error, message = REFUSED[what]
    est = make()
    with pytest.raises(error, match=message):
        est.save(tmp_path / "model")
    assert not os.listdir(tmp_path)


def test_unfitted(tmp_path):
    with pytest.raises(NotFittedError):
        MLPClassifier().save(tmp_path / "model")
    with pytest.raises(TypeError, match="training"):
        fitted("classes").save(tmp_path / "model", training=1)
    assert not os.listdir(tmp_path)


# ---- metadata


def test_metadata(tmp_path):
    path = tmp_path / "model"
    kept("strings", np.float32).save(path)
    found = fastbp.read_metadata(path)
    assert found["class"] == "MLPClassifier" and found["format"] == 1
    assert found["fastbp"] == fastbp.__version__ and found["numpy"] == np.__version__
    assert found["params"].keys() == MLPClassifier().get_params().keys()
    assert found["params"]["hidden_layer_sizes"] == {"tuple": [4, 3]}
    assert found["network"]["units"] == [5, 4, 3, 3]
    n_params = 6 * 4 + 5 * 3 + 4 * 3
    assert found["tensors"]["params"] == {"dtype": "F32", "shape": [n_params]}
    assert found["tensors"]["optimizer.state"] == {"dtype": "F32", "shape": [2, n_params]}
    with open(path, "rb") as file:
        assert fastbp.read_metadata(file) == found


def test_the_package_safetensors_reads_it(tmp_path):
    """Other programs can use the weights, which are in the arena's order: weights, then biases."""
    from safetensors.numpy import load_file

    est, path = kept("regression"), tmp_path / "model"
    est.save(path)
    arrays = [*est.coefs_, *est.intercepts_]
    expected = np.concatenate([array.ravel() for array in arrays])
    assert_same([load_file(path)["params"]], [expected])
