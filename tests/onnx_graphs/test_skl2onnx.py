"""Pipelines of scikit-learn, exported by skl2onnx with the converters of fastbp."""

import numpy as np
import pandas as pd
import pytest
from onnx_runs import DTYPES, MOST, assert_predicts, gap, rows, run, session, table, target_of
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import core
from fastbp.onnx import register
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor
from ids import plain

skl2onnx = pytest.importorskip("skl2onnx")
data_types = pytest.importorskip("skl2onnx.common.data_types")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = dict(max_iter=20, random_state=0)
TENSORS = {"zipmap": False}


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()
    register()


def labels(X, kind="strings"):
    number = np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])
    return {
        "strings": np.array(["low", "middle", "high"])[number],
        "bools": number > 0,
        "indicators": np.eye(3, dtype=int)[number] | (X[:, :3] > 1),
        "several": np.column_stack([number, number > 1]),
    }[kind]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [*core.ACTIVATIONS, lambda z: z * fg.sigmoid(z)], ids=plain)
def test_pipeline_with_each_activation(activation, dtype):
    X, far = rows(dtype)
    model = make_pipeline(StandardScaler(), MLPClassifier((9,), activation=activation, **FEW))
    model.fit(X, labels(X))
    found = run(skl2onnx.to_onnx(model, X[:1], options=TENSORS), far)
    # The scaler of the graph rounds other numbers than scikit-learn's, which a step can see.
    if activation != "step":
        assert_predicts(found, model, far)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["bools", "indicators", "several"])
@pytest.mark.parametrize("n_members", [0, 2])
def test_labels(kind, dtype, n_members):
    X, far = rows(dtype)
    model = MLPClassifier((9,), **FEW)
    if n_members:
        model = MLPEnsembleClassifier(model, n_members=n_members, random_state=0)
    model.fit(X, labels(X, kind))
    assert_predicts(run(skl2onnx.to_onnx(model, X[:1], options=TENSORS), far), model, far)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile", "gaussian"])
def test_regressor(loss, dtype):
    X, far = rows(dtype)
    model = make_pipeline(StandardScaler(), MLPRegressor(loss, activation="mish", **FEW))
    model.fit(X, abs(X[:, 0]))
    proto = skl2onnx.to_onnx(model, X[:1])
    assert [one.name for one in proto.graph.output] == ["variable"]
    assert_predicts(run(proto, far / 3), model, far / 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_standard_deviations(dtype):
    X, far = rows(dtype)
    one = MLPRegressor("gaussian", **FEW).fit(X, X[:, 0])
    several = MLPEnsembleRegressor(one, n_members=2, random_state=0).fit(X, X[:, 0])
    for model in (one, several):
        found = run(skl2onnx.to_onnx(model, X[:1], options={"return_std": True}), far)
        mean, std = model.predict(far, return_std=True)
        assert gap(found["variable"], mean) <= MOST[far.dtype]
        assert gap(found["std"], std, mean) <= MOST[far.dtype]


@pytest.mark.parametrize("options", [None, {"zipmap": True}, {"zipmap": "columns"}], ids=str)
def test_maps(options):
    X, far = rows(np.float64)
    model = make_pipeline(StandardScaler(), MLPClassifier((9,), **FEW)).fit(X, labels(X))
    found = run(skl2onnx.to_onnx(model, X[:1], options=options), far)
    expected = model.predict_proba(far)
    if options == {"zipmap": "columns"}:
        given = np.column_stack([found[f"s{name}"] for name in model.classes_])
    else:
        maps = found["output_probability"]
        given = np.array([[one[name] for name in model.classes_] for one in maps])
    assert gap(given, expected) <= 1e-6
    np.testing.assert_array_equal(found["output_label"], model.predict(far))


def test_class_labels_as_an_output():
    X, far = rows(np.float32)
    model = MLPClassifier((9,), **FEW).fit(X, labels(X))
    options = {"zipmap": False, "output_class_labels": True}
    found = run(skl2onnx.to_onnx(model, X[:1], options=options), far)
    np.testing.assert_array_equal(found["class_labels"], model.classes_)


def test_search_and_columns():
    frame = pd.DataFrame(rows(np.float64)[0][:, :2], columns=["height", "width"])
    frame["color"] = np.array(["red", "green", "blue"])[np.arange(300) % 3]
    columns = make_column_transformer(
        (StandardScaler(), ["height", "width"]), (OneHotEncoder(), ["color"])
    )
    search = GridSearchCV(MLPClassifier(**FEW), {"hidden_layer_sizes": [(3,), (5,)]}, cv=2)
    model = make_pipeline(columns, search).fit(frame, frame["height"] > 0)
    double, string = (
        data_types.DoubleTensorType([None, 1]), data_types.StringTensorType([None, 1])
    )  # fmt: skip
    types = [("height", double), ("width", double), ("color", string)]
    proto = skl2onnx.to_onnx(model, initial_types=types, options=TENSORS)
    assert_predicts(run(proto, frame), model, frame, 1e-14)


ENSEMBLES = {
    "calibrated": lambda one: CalibratedClassifierCV(one, cv=2),
    "votes": lambda one: VotingClassifier(
        [("first", one), ("second", one)], voting="soft", flatten_transform=False
    ),
    "bags": lambda one: BaggingClassifier(one, n_estimators=2, random_state=0),
    "one against the rest": OneVsRestClassifier,
    "stack": lambda one: StackingClassifier([("first", one), ("second", one)], cv=2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["strings", "bools"])
@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_inside_of_estimators_of_scikit_learn(ensemble, kind, dtype):
    """They take probabilities in the type of the inputs, whatever becomes of their own."""
    X, far = rows(dtype)
    model = ENSEMBLES[ensemble](MLPClassifier((9,), **FEW)).fit(X, labels(X, kind))
    proto = skl2onnx.to_onnx(model, X[:1], options={id(model): TENSORS})
    assert_predicts(run(proto, far), model, far)


@pytest.mark.parametrize("dtype", DTYPES)
def test_maps_of_a_search(dtype):
    X, far = rows(dtype)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((9,), **FEW))
    for one in (MLPClassifier((9,), **FEW), pipeline):
        model = GridSearchCV(one, {}, cv=2).fit(X, labels(X))
        maps = run(skl2onnx.to_onnx(model, X[:1]), far)["output_probability"]
        given = np.array([[one[name] for name in model.classes_] for one in maps])
        assert gap(given, model.predict_proba(far)) <= 1e-6


def types_of(frame, single=()):
    """A type for each column; `single` are columns of float32."""
    found = []
    for name in frame:
        kind = "Float" if name in single else "Double"
        kind = {"color": "String", "two": "String", "big": "Int64"}.get(name, kind)
        found.append((name, getattr(data_types, f"{kind}TensorType")([None, 1])))
    return found


@pytest.mark.parametrize("zipmap", [False, True])
def test_tabular_classifier(zipmap):
    frame, far = table(), table(500, seed=1, spread=3.0, unseen=True)
    model = TabularMLPClassifier(max_iter=5, n_members=2, random_state=0)
    model.fit(frame, target_of(frame) > 0)
    options = {"zipmap": zipmap}
    found = run(skl2onnx.to_onnx(model, initial_types=types_of(frame), options=options), far)
    if zipmap:
        maps = found["output_probability"]
        found = {
            "label": found["output_label"],
            "probabilities": np.array([list(one.values()) for one in maps]),
        }
    assert_predicts(found, model, far, 1e-6)


def test_tabular_regressor_with_columns_of_float32():
    frame, far = table(), table(500, seed=1, spread=3.0, unseen=True)
    for one in (frame, far):
        one["amount"] = one["amount"].astype(np.float32)
    model = TabularMLPRegressor(max_iter=5, n_members=2, random_state=0)
    model.fit(frame, target_of(frame))
    types = types_of(frame, single=["amount"])
    found = run(skl2onnx.to_onnx(model, initial_types=types, options={"return_std": True}), far)
    mean, std = model.predict(far, return_std=True)
    assert gap(found["variable"], mean) <= 1e-6 and gap(found["std"], std, mean) <= 1e-6


def test_preprocessor_in_a_pipeline():
    frame, far = table(), table(500, seed=1, spread=3.0, unseen=True)
    model = make_pipeline(TabularPreprocessor(), MLPClassifier((9,), **FEW))
    model.fit(frame, target_of(frame) > 0)
    proto = skl2onnx.to_onnx(model, initial_types=types_of(frame), options=TENSORS)
    assert_predicts(run(proto, far), model, far, 1e-6)


def test_numbers_of_a_table_together():
    X, far = rows(np.float64)
    model = TabularMLPRegressor(max_iter=5, n_members=2, random_state=0).fit(X, X[:, 0])
    found = run(skl2onnx.to_onnx(model, X[:1]), far)
    assert gap(found["variable"], model.predict(far)) <= 1e-6


def test_what_is_refused():
    frame = table()
    model = TabularMLPRegressor(max_iter=2, n_members=2, random_state=0)
    model.fit(frame, target_of(frame))
    types = types_of(frame)
    with pytest.raises(ValueError, match="was fitted on 9 columns, got 8"):
        skl2onnx.to_onnx(model, initial_types=types[:-1])
    types[0] = "amount", data_types.StringTensorType([None, 1])
    with pytest.raises(TypeError, match="'amount' was fitted as numbers, but"):
        skl2onnx.to_onnx(model, initial_types=types)
    X, _ = rows(np.float32)
    network = MLPClassifier((3,), **FEW).fit(X, labels(X))
    with pytest.raises(ValueError, match="MLPClassifier was fitted on 6 columns, got 5"):
        skl2onnx.to_onnx(network, X[:1, :5])
    with pytest.raises(TypeError, match="'X' was fitted as numbers, but"):
        skl2onnx.to_onnx(network, initial_types=[("X", data_types.StringTensorType([None, 6]))])
    with pytest.raises(ValueError, match="target_opset must be 13 or more, got 12"):
        skl2onnx.to_onnx(network, X[:1], target_opset=12)
    with pytest.raises(ValueError, match="nocl"):
        skl2onnx.to_onnx(network, X[:1], options={"nocl": True, "zipmap": False})


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor, TabularMLPClassifier])
def test_models_that_are_not_fitted(kind):
    with pytest.raises(NotFittedError):
        skl2onnx.to_onnx(kind(), np.zeros((1, 3)))


def test_older_operators():
    X, far = rows(np.float32)
    model = make_pipeline(StandardScaler(), MLPClassifier((3,), **FEW)).fit(X, labels(X))
    proto = skl2onnx.to_onnx(model, X[:1], target_opset=13, options=TENSORS)
    assert {one.domain: one.version for one in proto.opset_import}[""] == 13
    assert (
        session(proto) and gap(run(proto, far)["probabilities"], model.predict_proba(far)) <= 1e-6
    )
