"""Graphs of single networks and of ensembles, run by ONNX Runtime beside `predict`."""

import json

import formulas
import numpy as np
import pytest
from onnx_runs import DTYPES, MOST, assert_predicts, gap, onnx, rows, run, session
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import backend, core
from fastbp.onnx import to_onnx
from fastbp.tabular import TabularPreprocessor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = dict(max_iter=20, random_state=0)


def names(proto):
    return [output.name for output in proto.graph.output]


def alone(function, dtype):
    """A network that computes an activation of one number."""
    one = np.ones((1, 1), dtype)
    zero = np.zeros(1, dtype)
    return MLPRegressor.from_weights([one, one], [zero, zero], activation=function)


# ---- activations


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", core.ACTIVATIONS)
def test_activation_far_out_and_near_zero(name, dtype):
    z = np.concatenate([np.linspace(-1000, 1000, 4001), np.linspace(-12, 12, 4001), [1e-9, -1e-6]])
    z = z.astype(dtype)[:, None]
    model = alone(name, dtype)
    found, expected = run(model, z)["variable"], model.predict(z)
    assert gap(found, expected) <= MOST[z.dtype] / 2
    tiny = abs(expected) < 1e-3  # whose relative precision is kept around 0
    near = tiny & (abs(z[:, 0]) < 1e-2)
    np.testing.assert_allclose(
        found[near, 0], expected[near], rtol=1e-6 if dtype == np.float32 else 1e-14
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*formulas.ONE, *formulas.TWO])
def test_traced_function(name, dtype):
    z = np.linspace(-6, 6, 4001).astype(dtype)[:, None]
    of_one = formulas.ONE.get(name)
    model = alone(of_one or (lambda z: formulas.TWO[name](z, 0.5 * z - 1.0)), dtype)
    assert gap(run(model, z)["variable"], model.predict(z)) <= MOST[z.dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", core.ACTIVATIONS)
def test_network(name, dtype):
    X, far = rows(dtype)
    model = MLPClassifier((30, 20), activation=name, **FEW).fit(
        X, (X[:, 0] > 0) * 1 + (X[:, 1] > 0)
    )
    assert_predicts(run(model, far), model, far)


@pytest.mark.parametrize("dtype", DTYPES)
def test_activation_of_each_layer(dtype):
    X, far = rows(dtype)
    activation = ["gelu", lambda z: z * fg.sigmoid(z), "tanh"]
    model = MLPRegressor(hidden_layer_sizes=(20, 20, 9), activation=activation, **FEW)
    model.fit(X, X[:, :2])
    assert_predicts(run(model, far), model, far)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "step", "hard_sigmoid", "identity"])
def test_sums_have_the_bits_of_the_core(name, dtype):
    """Sums that begin with the bias: a step unit cannot be on the other side of its threshold."""
    if backend != "native":
        pytest.skip("of multiply-adds")
    X, far = rows(dtype, features=60)
    model = MLPRegressor(hidden_layer_sizes=(50, 30), activation=name, **FEW).fit(X, X[:, :2])
    np.testing.assert_array_equal(run(model, far)["variable"], model.predict(far))


# ---- outputs of regressors


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("link", ["identity", "logistic", "softplus", "exp", "relu", "tanh"])
def test_link(link, dtype):
    _, far = rows(dtype)
    weights = [array / 4 for array in np.random.RandomState(0).randn(2, 6, 6).astype(dtype)]
    biases = [np.linspace(-1, 1, 6).astype(dtype)] * 2
    model = MLPRegressor.from_weights(weights, biases, activation="tanh")
    model.out_activation_ = link  # users may set it, also to one that no loss has
    assert_predicts(run(model, far), model, far)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantiles_and_several_targets(dtype):
    X, far = rows(dtype)
    model = MLPRegressor("quantile", quantile=[0.1, 0.5, 0.9], **FEW).fit(X, X[:, :2])
    found = run(model, far)
    assert found["variable"].shape == (600, 6)
    assert_predicts(found, model, far)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("targets", [1, 2])
def test_gaussian(targets, dtype):
    X, far = rows(dtype)
    model = MLPRegressor("gaussian", **FEW).fit(X, X[:, :targets] if targets > 1 else X[:, 0])
    found, (mean, std) = run(model, far), model.predict(far, return_std=True)
    assert gap(found["variable"], mean) <= MOST[far.dtype]
    assert gap(found["std"], std, mean) <= MOST[far.dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["squared_error", "gaussian"])
def test_ensemble_of_regressors(loss, dtype):
    X, far = rows(dtype)
    member = MLPRegressor(loss, max_iter=20, activation="gelu")
    model = MLPEnsembleRegressor(member, n_members=3, random_state=0).fit(X, X[:, 0])
    found, (mean, std) = run(model, far), model.predict(far, return_std=True)
    assert gap(found["variable"], mean) <= MOST[far.dtype]
    assert gap(found["std"], std, mean) <= MOST[far.dtype]


# ---- labels

LABELS = {
    "integers": lambda number: np.array([7, -3, 40])[number],
    "two": lambda number: number > 0,
    "strings": lambda number: np.array(["low", "high", "größer"])[number],
    "objects": lambda number: np.array(["low", "high", ""], object)[number],
    "bytes of numbers": lambda number: number.astype(np.uint8),
    "floats": lambda number: number * 2.0,
    "one": lambda number: np.full(len(number), 3),
    "indicators": lambda number: np.eye(3, dtype=int)[number] | np.eye(3, dtype=int)[::-1][number],
    "several": lambda number: np.column_stack([number, number > 0, (number + 1) % 3]),
    "several of two kinds": lambda number: np.array(
        [[k, "ab"[k > 0], k == 1] for k in number.tolist()], object
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("n_members", [0, 2])
def test_labels(labels, dtype, n_members):
    X, far = rows(dtype)
    y = LABELS[labels](np.random.RandomState(0).randint(3, size=len(X)))
    model = MLPClassifier((10,), **FEW)
    if n_members:
        model = MLPEnsembleClassifier(model, n_members=n_members, random_state=0)
    model.fit(X, y)
    assert_predicts(run(model, far), model, far)


def test_labels_at_ties():
    """Two classes of probability 1/2 give the first class, and so do several equal ones."""
    X = np.zeros((3, 2))
    two = MLPClassifier.from_weights([[[1.0], [1]]], [[0.0]], activation="relu", classes=["a", "b"])
    many = MLPClassifier.from_weights([np.zeros((2, 3))], [[0, 1, 1]], activation="relu")
    for model in (two, many):
        found = run(model, X)
        np.testing.assert_array_equal(found["label"], model.predict(X))
        assert gap(found["probabilities"], model.predict_proba(X)) <= 1e-15


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", ["integers", "strings", "two", "indicators", "several"])
def test_maps(labels, dtype):
    X, far = rows(dtype)
    y = LABELS[labels](np.random.RandomState(0).randint(3, size=len(X)))
    model = MLPClassifier((10,), **FEW).fit(X, y)
    found, probability = run(model, far, zipmap=True), model.predict_proba(far)
    if isinstance(probability, list):
        pairs = zip(probability, model.classes_, strict=True)
    else:
        found, pairs = {"probabilities_0": found["probabilities"]}, [(probability, model.classes_)]
    for number, (expected, classes) in enumerate(pairs):
        maps = found[f"probabilities_{number}"]
        assert list(maps[0]) == classes.tolist()
        assert gap(np.array([list(one.values()) for one in maps]), expected) <= 1e-6


# ---- options, and what a graph says of itself


@pytest.mark.parametrize("own", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_dtype(own, dtype):
    X, far = rows(own)
    model = MLPClassifier((10,), activation="elu", **FEW).fit(X, X[:, 0] > 0)
    far = far.astype(dtype)
    found = run(model, far, dtype=dtype)["probabilities"]
    assert found.dtype == dtype
    # `predict` computes in double if the weights or the rows are doubles.
    expected = model.predict_proba(far if own == np.float32 else far.astype(np.float64))
    assert gap(found, expected) <= MOST[np.dtype(dtype)]


def test_weights_that_users_set():
    X, far = rows(np.float32)
    model = MLPClassifier((10,), **FEW).fit(X, X[:, 0] > 0)
    model.coefs_[0] = 2 * model.coefs_[0].astype(np.float64)
    far = far.astype(np.float64)
    found = run(model, far)
    assert found["probabilities"].dtype == np.float64
    assert_predicts(found, model, far)


def test_graph_keeps_the_weights_of_its_moment():
    X, far = rows(np.float32)
    model = MLPClassifier((10,), **FEW).fit(X, X[:, 0] > 0)
    made, before = to_onnx(model), model.predict_proba(far)
    model.coefs_[0][:] = 0
    assert gap(run(made, far)["probabilities"], before) <= 1e-6


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 21])
def test_opset(opset):
    X, far = rows(np.float32)
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])
    model = MLPClassifier((10,), activation="selu", **FEW).fit(X, y * 1)
    proto = to_onnx(model, opset=opset)
    assert {one.domain: one.version for one in proto.opset_import} == {"": opset}
    assert_predicts(run(proto, far), model, far)


def test_metadata():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows(np.float64)[0][:, :2], columns=["height", "die Länge"])
    model = MLPRegressor(hidden_layer_sizes=(3,), **FEW).fit(frame, frame["height"])
    proto = to_onnx(model, input_name="rows")
    said = {entry.key: entry.value for entry in proto.metadata_props}
    assert said["class"] == "MLPRegressor" and said["fastbp_version"] == fastbp.__version__
    assert json.loads(said["feature_names"]) == ["height", "die Länge"]
    assert (proto.ir_version, proto.producer_name) == (8, "fastbp")
    assert [one.name for one in proto.graph.input] == ["rows"]
    assert [one.version for one in proto.opset_import] == [17]
    assert names(proto) == ["variable"]


def test_names_of_outputs_give_way_to_that_of_the_input():
    X, far = rows(np.float32)
    model = MLPClassifier((3,), **FEW).fit(X, X[:, 0] > 0)
    found = run(model, far, input_name="label")
    np.testing.assert_array_equal(found["label_1"], model.predict(far))
    assert list(run(model, far, input_name="fastbp_Gemm")) == ["label", "probabilities"]


def test_any_number_of_rows():
    X, far = rows(np.float32)
    model = MLPClassifier((10,), **FEW).fit(X, X[:, 0] > 0)
    ready = session(to_onnx(model))
    for n in (0, 1, 7):
        label, probability = ready.run(None, {"X": far[:n]})
        assert label.shape == (n,) and probability.shape == (n, 2)


def test_size_is_that_of_the_weights():
    random = np.random.RandomState(0)
    weights = [random.randn(784, 100).astype(np.float32), random.randn(100, 10).astype(np.float32)]
    biases = [np.zeros(100, np.float32), np.zeros(10, np.float32)]
    model = MLPClassifier.from_weights(weights, biases, activation="relu")
    n_weights = sum(array.nbytes for array in weights + biases)
    assert len(to_onnx(model).SerializeToString()) < n_weights + 2000


# ---- what cannot be exported


def fitted(**parameters):
    X, _ = rows(np.float64)
    return MLPClassifier((3,), **FEW, **parameters).fit(X, X[:, 0] > 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 12}, "opset must be an integer from 13 to"),
        ({"opset": 999}, "opset must be an integer from 13 to"),
        ({"opset": True}, "opset must be an integer"),
        ({"dtype": np.int64}, "dtype must be float32 or float64"),
        ({"dtype": np.float16}, "dtype must be float32 or float64"),
        ({"input_name": ""}, "input_name must be a string that is not empty"),
        ({"input_name": 3}, "input_name must be a string"),
    ],
)
def test_parameters_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        to_onnx(fitted(), **options)


def test_models_that_are_refused():
    with pytest.raises(NotFittedError):
        to_onnx(MLPClassifier())
    with pytest.raises(NotFittedError):
        to_onnx(MLPEnsembleRegressor())
    with pytest.raises(TypeError, match=r"model must be one of MLPClassifier, .* got Logistic"):
        to_onnx(LogisticRegression())
    with pytest.raises(TypeError, match="zipmap"):
        to_onnx(fitted(), zipmap="yes")
    X, _ = rows(np.float64)
    with pytest.raises(ValueError, match="zipmap=True is for the probabilities of classifiers"):
        to_onnx(MLPRegressor(hidden_layer_sizes=(), **FEW).fit(X, X[:, 0]), zipmap=True)


class Reversed(MLPClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class Doubled(TabularPreprocessor):
    def transform(self, X):
        return 2 * super().transform(X)


class Named(MLPClassifier):
    """Of another name alone."""


def test_subclasses_with_their_own_predictions_are_refused():
    X, far = rows(np.float64)
    model = Named((3,), **FEW).fit(X, X[:, 0] > 0)
    assert_predicts(run(model, far), model, far)
    one = Reversed((3,), **FEW)
    for model in (one, MLPEnsembleClassifier(one, n_members=2, random_state=0)):
        with pytest.raises(TypeError, match="Reversed overrides predict_proba, but an export"):
            to_onnx(model.fit(X, X[:, 0] > 0))
    with pytest.raises(TypeError, match="Doubled overrides transform, but an export"):
        to_onnx(Doubled().fit(X))


def test_labels_that_are_refused():
    X, _ = rows(np.float64)
    days = np.array(["2024-01-01", "2024-01-02"], "M8[D]")
    dates = MLPClassifier.from_weights([np.ones((2, 1))], [[0.0]], activation="relu", classes=days)
    with pytest.raises(TypeError, match=r"classes_ must be strings, bools, .* datetime64\[D\]"):
        to_onnx(dates)
    floats = MLPClassifier((3,), **FEW).fit(X, (X[:, 0] > 0) * 1.0)
    with pytest.raises(TypeError, match="zipmap=True needs classes_ that are strings or integers"):
        to_onnx(floats, zipmap=True)


def test_large_labels_are_refused():
    labels = np.array([1, 2**63], np.uint64)
    model = MLPClassifier.from_weights([[[1.0]]], [[0.0]], activation="relu", classes=labels)
    with pytest.raises(TypeError, match="integers of 64 bits"):
        to_onnx(model)


def test_full_check_finds_mistakes():
    """The checks of these tests see a node with an input that nothing writes."""
    proto = to_onnx(fitted())
    proto.graph.node[0].input[0] = "nothing"
    with pytest.raises(onnx.checker.ValidationError):
        session(proto)
