"""Graphs of tabular models, run by ONNX Runtime beside `predict`; and of their preprocessing."""

import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from onnx_runs import DTYPES, assert_predicts, gap, run, session, table, target_of
from sklearn.exceptions import NotFittedError

from fastbp.kernels import backend
from fastbp.onnx import to_onnx
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FEW = dict(max_iter=8, n_members=3, random_state=0)
SINGLE = 1e-6  # members are networks of float32


@pytest.fixture(scope="module")
def frame():
    return table()


@pytest.fixture(scope="module")
def far():
    """Three times the range, with categories that did not occur in training."""
    return table(700, seed=1, spread=3.0, unseen=True)


def assert_transforms(transformer, far):
    """Assert the bits of `transform`, which rounds with multiply-adds."""
    found, expected = run(transformer, far)["variable"], transformer.transform(far)
    assert found.dtype == expected.dtype
    if backend == "native":
        np.testing.assert_array_equal(found, expected)
    assert gap(found, expected) <= 1e-7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, {"n_bins": 0}, {"max_categories": 3}], ids=str)
def test_transformed_numbers_have_the_bits_of_transform(options, dtype, frame, far):
    assert_transforms(TabularPreprocessor(dtype=dtype, **options).fit(frame), far)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_all_sizes_have_the_bits_of_transform(seed):
    random = np.random.RandomState(seed)
    sizes = {"a": 1e-310, "b": 1e-160, "c": 1e-8, "d": 1.0, "e": 1e12, "f": 1e155, "g": 1e307}
    frame = pd.DataFrame({name: size * random.randn(200) for name, size in sizes.items()})
    frame["single"] = np.r_[np.zeros(199), 1e-300]
    frame["steps"] = np.nextafter(1.0, 2.0 + random.randint(0, 2, 200)) * random.randint(1, 3, 200)
    assert_transforms(TabularPreprocessor().fit(frame), 3 * frame.sample(frac=1, random_state=seed))


def test_columns_of_one_kind_and_no_values():
    frame = pd.DataFrame({"only": ["a", "b", "a", "c"] * 5})
    assert_transforms(TabularPreprocessor().fit(frame), frame)
    frame = pd.DataFrame({"one": ["a"] * 20, "nothing": np.array([None] * 20, object)})
    assert_transforms(TabularPreprocessor().fit(frame), frame)
    frame = pd.DataFrame({"number": np.arange(20.0), "missing": np.full(20, np.nan)})
    assert_transforms(TabularPreprocessor().fit(frame), frame)


def test_columns_without_names():
    X = [[1.0, "red", True], [2.0, "green", False], [np.nan, "blue", None], [3.0, "red", True]]
    transformer = TabularPreprocessor().fit(X)
    inputs = to_onnx(transformer).graph.input
    assert [one.name for one in inputs] == ["x0", "x1", "x2"]
    found = run(transformer, pd.DataFrame(X, columns=["x0", "x1", "x2"]))["variable"]
    np.testing.assert_array_equal(found, transformer.transform(X))


def test_inputs_of_a_table(frame):
    kinds = {
        one.name: one.type
        for one in session(to_onnx(TabularPreprocessor().fit(frame))).get_inputs()
    }
    strings, integers = ("color", "two"), ("big",)
    assert list(kinds) == list(frame)
    for name, kind in kinds.items():
        expected = "string" if name in strings else "int64" if name in integers else "double"
        assert kind == f"tensor({expected})", name


# ---- estimators


@pytest.mark.parametrize("calibrate", [False, True])
@pytest.mark.parametrize("labels", ["strings", "two", "bools"])
def test_classifier(labels, calibrate, frame, far):
    target = target_of(frame)
    y = np.array(["low", "middle", "high"])[np.digitize(target, [-0.5, 0.5])]
    y = {"strings": y, "two": y == "low", "bools": target > 0}[labels]
    model = TabularMLPClassifier(calibrate=calibrate, **FEW).fit(frame, y)
    assert (model.temperature_ != 1) <= calibrate
    found = run(model, far)
    assert found["probabilities"].dtype == np.float64
    assert run(model, far[:0])["label"].shape == (0,)
    assert_predicts(found, model, far, SINGLE)


def test_temperature(frame, far):
    model = TabularMLPClassifier(**FEW).fit(frame, target_of(frame) > 0)
    for temperature in (0.5, 3.0):
        model.temperature_ = temperature
        assert_predicts(run(model, far), model, far, SINGLE)


LOSSES = {
    "auto": ({}, lambda target: target),
    "two targets": ({}, lambda target: np.column_stack([target, np.sin(target)])),
    "gaussian": ({"loss": "gaussian"}, lambda target: target),
    "quantile": ({"loss": "quantile"}, lambda target: target),
    "quantiles": (
        {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]},
        lambda target: np.column_stack([target, -target]),
    ),
    "poisson": ({"loss": "poisson"}, lambda target: np.exp(target / 2)),
    "far from 0": ({}, lambda target: target + 1e7),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_regressor(loss, frame, far):
    parameters, make = LOSSES[loss]
    model = TabularMLPRegressor(**parameters, **FEW).fit(frame, make(target_of(frame)))
    found, (mean, std) = run(model, far), model.predict(far, return_std=True)
    assert gap(found["variable"], mean) <= SINGLE
    assert gap(found["std"], std, mean) <= SINGLE
    width = np.size(mean) // len(far)
    assert all(one.shape == (0, width) for one in run(model, far[:0]).values())


@pytest.mark.parametrize("size", [1e-200, 1e-6, 1e6, 1e200])
def test_units_of_targets(size, frame, far):
    """The difference is relative to the spread of the targets."""
    model = TabularMLPRegressor(**FEW).fit(frame, size * target_of(frame))
    found, (mean, std) = run(model, far), model.predict(far, return_std=True)
    assert gap(found["variable"] / size, mean / size) <= SINGLE
    assert gap(found["std"] / size, std / size, mean / size) <= SINGLE


def test_networks_in_double(frame, far):
    model = TabularMLPRegressor(**FEW).fit(frame, target_of(frame))
    assert gap(run(model, far, dtype=np.float64)["variable"], model.predict(far)) <= SINGLE


def test_maps_and_metadata(frame, far):
    model = TabularMLPClassifier(**FEW).fit(frame, target_of(frame) > 0)
    proto = to_onnx(model, zipmap=True)
    maps = run(proto, far)["probabilities"]
    assert gap(np.array([list(one.values()) for one in maps]), model.predict_proba(far)) <= SINGLE
    said = {entry.key: entry.value for entry in proto.metadata_props}
    assert said["class"] == "TabularMLPClassifier"
    assert json.loads(said["feature_names"]) == list(frame)
    assert proto.ir_version == 8
    assert {one.domain: one.version for one in proto.opset_import} == {"": 17, "ai.onnx.ml": 2}


@pytest.mark.parametrize("opset", [13, 18, 21])
def test_opset(opset, frame, far):
    model = TabularMLPRegressor(loss="quantile", quantile=[0.2, 0.8], **FEW)
    model.fit(frame, target_of(frame))
    assert gap(run(model, far, opset=opset)["variable"], model.predict(far)) <= SINGLE


def test_column_with_the_name_of_an_output():
    frame = pd.DataFrame({"variable": np.arange(20.0), "fastbp_Cast": ["a", "b"] * 10})
    transformer = TabularPreprocessor().fit(frame)
    found = run(transformer, frame)
    np.testing.assert_array_equal(found["variable_1"], transformer.transform(frame))


# ---- what cannot be exported


@pytest.mark.parametrize(
    "levels", [["a", 1], [(1, 2), (3, 4)], [b"a", b"b"], [2**70, 1], [Fraction(1, 3), 2]], ids=str
)
def test_categories_that_are_refused(levels):
    frame = pd.DataFrame({"odd": pd.Series(levels * 5, dtype=object)})
    transformer = TabularPreprocessor(categorical_features=["odd"]).fit(frame)
    with pytest.raises(TypeError, match="the column 'odd' has categories of"):
        to_onnx(transformer)


def test_names_that_are_refused(frame):
    nameless = TabularPreprocessor().fit(pd.DataFrame({"": [1.0, 2.0], "a": [1.0, 3.0]}))
    with pytest.raises(ValueError, match="X has a column whose name is ''"):
        to_onnx(nameless)
    with pytest.raises(ValueError, match="input_name is for models with one input"):
        to_onnx(TabularPreprocessor().fit(frame), input_name="rows")


def test_models_that_are_not_fitted():
    for kind in (TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor):
        with pytest.raises(NotFittedError):
            to_onnx(kind())


def test_strings_for_numbers_are_an_error_of_the_runtime(frame):
    ready = session(to_onnx(TabularPreprocessor().fit(frame[["amount"]])))
    with pytest.raises(Exception, match=r"expected: \(tensor\(double\)\)"):
        ready.run(None, {"amount": np.array([["much"]], object)})
