"""Graphs, checked and run by ONNX Runtime; tables as its inputs; and data for all of them."""

import numpy as np
import pandas as pd
import pytest

from fastbp.onnx import to_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

DTYPES = (np.float32, np.float64)
# Of a difference, divided by the larger one of 1 and the size of the number.
MOST = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-14}
MISSING = "no such category"


def session(proto):
    """A session of ONNX Runtime, after all checks of onnx."""
    onnx.checker.check_model(proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def column_for(input_, values):
    """A column of a table as an input takes it: strings, or numbers with NaN for missing ones."""
    missing = [pd.isna(value) for value in values]
    pairs = list(zip(values, missing, strict=True))
    if "string" in input_.type:
        found = np.array([MISSING if gone else value for value, gone in pairs], object)
    elif "int64" in input_.type:
        found = np.array([-1 if gone else int(value) for value, gone in pairs], np.int64)
    else:
        dtype = np.float32 if input_.type == "tensor(float)" else np.float64
        found = np.array([np.nan if gone else value for value, gone in pairs], dtype)
    return found[:, None]


def run(made, X, **options):
    """The outputs by name of a model or a graph, for an array or a table."""
    ready = session(made if hasattr(made, "SerializeToString") else to_onnx(made, **options))
    inputs = ready.get_inputs()
    if isinstance(X, pd.DataFrame):
        X = {one.name: column_for(one, X[one.name].tolist()) for one in inputs}
    else:
        X = {inputs[0].name: X}
    names = [output.name for output in ready.get_outputs()]
    return dict(zip(names, ready.run(None, X), strict=True))


def gap(found, expected, mean=0.0):
    """The largest difference, relative to numbers above 1.

    A standard deviation is relative to the `mean` as well, whose members it is a difference of.
    """
    shape = np.shape(found)
    expected = np.asarray(expected, np.float64).reshape(shape)
    mean = np.reshape(mean, shape) if np.ndim(mean) else mean
    size = np.maximum(abs(expected), np.abs(mean))
    return (abs(found - expected) / np.maximum(1, size)).max()


def rows(dtype, n=300, features=6, seed=0):
    """Samples, and samples in three times their range."""
    random = np.random.RandomState(seed)
    X = random.randn(n, features).astype(dtype)
    return X, (3 * random.randn(2 * n, features)).astype(dtype)


def assert_predicts(found, model, X, most=None):
    """Assert that the outputs of a graph are what the model predicts."""
    most = most or MOST[X.dtype]
    if not hasattr(model, "predict_proba"):
        assert gap(found["variable"], model.predict(X)) <= most
        return
    labels, probabilities = model.predict(X), model.predict_proba(X)
    if not isinstance(probabilities, list):
        np.testing.assert_array_equal(found["label"], labels)
        assert gap(found["probabilities"], probabilities) <= most
        return
    for number, probability in enumerate(probabilities):
        np.testing.assert_array_equal(found[f"label_{number}"], labels[:, number])
        assert gap(found[f"probabilities_{number}"], probability) <= most


def table(n=400, seed=0, spread=1.0, unseen=False):
    """A frame with numbers, near numbers, strings, bools and integers, with missing values."""
    random = np.random.RandomState(seed)
    colors = ["red", "green", "blue", "", "größer"] + ["new"] * unseen
    near = np.where(random.rand(n) < 0.5, 0.3, 0.1 + 0.2)  # two neighbours
    frame = pd.DataFrame(
        {
            "amount": spread * random.randn(n),
            "near": near + (random.rand(n) < 0.2) * spread * random.randn(n),
            "count": random.randint(0, 9, n).astype(float),
            "constant": 5.0,
            "color": random.choice(colors, n),
            "flag": random.rand(n) < 0.4,
            "code": pd.Categorical(random.randint(0, 5 + unseen, n)),
            "big": pd.Categorical(2**53 + random.randint(0, 3 + unseen, n)),
            "two": random.choice(["no", "yes"], n),
        }
    )
    for name in ("amount", "count", "color", "flag", "code"):
        frame[name] = frame[name].astype(object if name in ("color", "flag") else frame[name].dtype)
        frame.loc[random.rand(n) < 0.1, name] = None
    return frame


def target_of(frame, seed=0):
    """Numbers that depend on a table."""
    noise = 0.3 * np.random.RandomState(seed).randn(len(frame))
    return (frame["amount"].fillna(0) + (frame["color"] == "red") + noise).to_numpy()
