"""Predictors have the bits of the estimators, and start without scikit-learn."""

import functools
import io
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from kinds_of_models import FEATURES, MODELS, PARAMS, X, Y, fitted, rng
from predictors import PACKAGES, assert_same, assert_same_predictions, load
from sklearn.base import clone

import fastbp
from fastbp import MLPClassifier, runtime
from fastbp.kernels import backend

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@functools.cache
def pair(name, dtype):
    """A fitted estimator and its predictor; nobody changes them."""
    model = fitted(name, dtype)
    return model, load(model)


ROWS = {
    "one row": X[:1],
    "a row of float32": X[:1].astype(np.float32),
    "a list": X[:3].tolist(),
    "integers": (10 * X[:9]).astype(int),
    "bytes": (10 * X[:9]).astype(np.int8),
    "bools": X[:9] > 0,
    "float16": X[:9].astype(np.float16),
    "big-endian": X[:9].astype(">f4"),
    "columns": np.asfortranarray(X[:20]),
    "every second": X[::2],
    "not aligned": np.frombuffer(b"." + X.tobytes(), np.uint8)[1:]
    .view(np.float64)
    .reshape(X.shape),
    "many": np.tile(X, (3, 1)),
    "many of float32": np.tile(X, (3, 1)).astype(np.float32),
    "a frame": pd.DataFrame(X[:4]),
    "huge": X[:5] * 1e30,
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_predictions_have_the_bits_of_the_estimator(name, dtype):
    model, predictor = pair(name, dtype)
    for rows in ROWS.values():
        assert_same_predictions(predictor, model, rows)
    assert predictor.n_features_in_ == FEATURES
    if hasattr(model, "classes_"):
        assert_same(predictor.classes_, model.classes_)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_many_chunks_have_the_bits_of_the_estimator(n_threads):
    model, _ = pair("deep", "float32")
    x = rng.randn(9001, FEATURES).astype(np.float32)
    assert_same_predictions(load(model, n_threads=n_threads), model, x)


def test_a_single_row_goes_through_the_door_of_rows():
    if backend != "native":
        pytest.skip("BLAS has no door of a single row")
    _, predictor = pair("3 classes", "float64")
    calls = []

    class Counting:
        def __init__(self, row):
            self.row = row

        def predict(self, *args):
            calls.append(self.row.predict(*args))
            return calls[-1]

    outputs = predictor._model.outputs
    row = outputs.row
    try:
        outputs.row = Counting(row)
        predictor.predict_proba(X[:1])
        predictor.predict_proba(X[:2])
    finally:
        outputs.row = row
    assert [result is not None for result in calls] == [True, False]


def test_a_network_is_widened_once_for_rows_of_more_digits():
    _, predictor = pair("regressor", "float32")
    predictor.predict(X[:2])
    wide = predictor._model.outputs._wide
    predictor.predict(X)
    assert predictor._model.outputs._wide is wide and wide.params.dtype == np.float64


@pytest.mark.parametrize("mmap", [False, True])
def test_a_path_is_loaded(mmap, tmp_path):
    model, _ = pair("names", "float32")
    model.save(tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        assert_same_predictions(runtime.load(path, mmap=mmap), model, X.astype(np.float32))


def test_optimizer_state_is_not_needed(tmp_path):
    model, _ = pair("3 classes", "float64")
    file = io.BytesIO()
    model.save(file, training=False)
    file.seek(0)
    assert_same_predictions(runtime.load(file), model, X)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mmap", [True, False])
def test_a_predictor_does_not_keep_the_state_of_the_optimizer(training, mmap, tmp_path):
    """Nor what else only training needs; unless the memory is that of the mapped file."""
    path, (model, _) = tmp_path / "model", pair("names", "float64")
    model.save(path, training=training)
    predictor = runtime.load(path, mmap=mmap)
    params = predictor._model.outputs.network.params
    whole = params
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    is_view = mmap or not training
    assert whole.nbytes == (path.stat().st_size if is_view else params.nbytes)
    assert_same_predictions(predictor, model, X)


# ---- errors

BAD = {
    "one dimension": X[0],
    "three dimensions": X[None],
    "a number": 3.0,
    "no rows": X[:0],
    "too few features": X[:, 1:],
    "too many features": np.hstack([X, X]),
    "NaN": np.where(X == X[3, 2], np.nan, X),
    "NaN in one row": X[:1] * np.nan,
    "infinity": np.where(X == X[3, 2], np.inf, X),
    "infinity in one row": X[:1] * np.inf,
    "infinity of float16": np.where(X == X[3, 2], np.inf, X).astype(np.float16),
    "strings": np.full((2, FEATURES), "a"),
    "complex": X + 1j,
    "ragged": [[1.0], [2.0, 3.0]],
}
IN_OTHER_WORDS = {"one dimension", "three dimensions", "a number", "strings", "complex", "ragged"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["3 classes", "regressor"])
def test_bad_rows_are_refused_in_the_words_of_the_estimator(name, case, dtype):
    model, predictor = pair(name, dtype)
    with pytest.raises(ValueError) as theirs:
        model.predict(BAD[case])
    with pytest.raises(ValueError) as ours:
        predictor.predict(BAD[case])
    if case in IN_OTHER_WORDS:
        assert "X" in str(ours.value)
    else:
        assert str(ours.value) == str(theirs.value).partition("\n")[0]


def test_sparse_matrices_are_refused():
    with pytest.raises(ValueError, match="X must be an array of real numbers, got csr_array"):
        pair("regressor", "float64")[1].predict(scipy.sparse.csr_array(X))


def test_overflow_in_the_first_layer_is_no_error():
    model, predictor = pair("regressor", "float64")
    huge = np.full((1, FEATURES), 1.7e308)
    with np.errstate(all="ignore"):
        assert_same(predictor.predict(huge), model.predict(huge))


def test_only_regressors_of_the_right_loss_have_deviations():
    with pytest.raises(ValueError, match="needs loss='gaussian'"):
        pair("regressor", "float64")[1].predict(X, return_std=True)
    with pytest.raises(ValueError, match="needs a regressor, got a MLPClassifier"):
        pair("3 classes", "float64")[1].predict(X, return_std=True)


def test_a_regressor_has_neither_probabilities_nor_classes():
    _, predictor = pair("regressor", "float64")
    with pytest.raises(AttributeError, match="MLPRegressor has no probabilities"):
        predictor.predict_proba(X)
    assert not hasattr(predictor, "classes_")


def test_a_predictor_cannot_be_changed_or_pickled():
    _, predictor = pair("names", "float64")
    with pytest.raises(AttributeError, match="'classes_' cannot be set"):
        predictor.classes_ = None
    with pytest.raises(AttributeError, match="'_model' cannot be deleted"):
        del predictor._model
    predictor.classes_[:] = "z"  # a copy
    assert predictor.classes_.tolist() == ["a", "bb", "c"]
    with pytest.raises(TypeError, match="load the file where it is needed"):
        pickle.dumps(predictor)
    assert repr(predictor) == "Predictor(MLPClassifier, n_features_in_=5)"


@pytest.mark.parametrize("n_threads", [0, None, 1.5, True])
def test_n_threads_is_a_number(n_threads):
    with pytest.raises(ValueError, match="n_threads must be an integer of at least 1"):
        load(pair("regressor", "float64")[0], n_threads=n_threads)


def test_damaged_and_other_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    pair("3 classes", "float64")[0].save(path)
    data = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        runtime.load(tmp_path / "other")
    for damaged in (data[:-1], data[:50], b"", data[:-1] + bytes([data[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(fastbp.ModelFileError, match=r"model\.safetensors"):
            runtime.load(path)
    with pytest.raises(fastbp.ModelFileError):
        runtime.load(io.BytesIO(pickle.dumps(3)))


# ---- names of features

FRAME = pd.DataFrame(X, columns=list("abcde"))


@functools.cache
def named():
    model = MLPClassifier(**PARAMS).fit(FRAME, Y % 3)
    return model, load(model)


def test_names_of_features_are_compared():
    model, predictor = named()
    assert predictor.feature_names_in_.tolist() == list("abcde")
    assert not hasattr(pair("regressor", "float64")[1], "feature_names_in_")
    assert_same_predictions(predictor, model, FRAME)
    assert_same(predictor.predict(X), model.predict(FRAME))  # without names, and without a warning
    for other in (FRAME[list("edcba")], FRAME.rename(columns={"a": "z"}), FRAME.drop(columns="a")):
        with pytest.raises(ValueError) as theirs:
            model.predict(other)
        with pytest.raises(ValueError) as ours:
            predictor.predict(other)
        assert str(ours.value) == str(theirs.value)


FRAMES = {
    "bools": lambda frame: frame > 0,
    "a column of bools": lambda frame: frame.assign(b=frame["b"] > 0),
    "bools beside float32": lambda frame: frame.astype(np.float32).assign(b=frame["b"] > 0),
    "bools beside integers": lambda frame: frame.round().astype(np.int8).assign(b=frame["b"] > 0),
    "objects": lambda frame: frame.astype(object),
    "nullable": lambda frame: frame.astype("Float64"),
    "nullable float32": lambda frame: frame.astype("Float32").assign(b=frame["b"] > 0),
    "columns of pyarrow": lambda frame: frame.astype("double[pyarrow]"),
    "pyarrow": pa.Table.from_pandas,
    "polars": pl.DataFrame,
    "bools of polars": lambda frame: pl.DataFrame(frame.assign(b=frame["b"] > 0)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_all_dtypes(kind, dtype):
    model = MLPClassifier(**PARAMS).fit(FRAME.astype(dtype), Y % 3)
    assert_same_predictions(load(model), model, FRAMES[kind](FRAME))


def test_names_of_a_table_of_pyarrow_are_compared():
    with pytest.raises(ValueError, match="must be in the same order"):
        named()[1].predict(pa.Table.from_pandas(FRAME[list("edcba")]))


@pytest.mark.parametrize("value", ["a", None, 1j, pd.NA])
def test_objects_that_are_no_numbers_are_refused(value):
    rows = X[:2].astype(object)
    rows[1, 2] = value
    with pytest.raises(ValueError, match=r"X must be an array of real numbers|contains NaN"):
        pair("regressor", "float64")[1].predict(rows)


# ---- threads and processes


def test_threads_share_a_predictor():
    model, predictor = pair("deep", "float32")
    parts, failures = [slice(k, k + 1 + k % 3) for k in range(30)], []
    expected = [model.predict_proba(X[part]).tobytes() for part in parts]

    def work():
        for _ in range(2):
            for part, wanted in zip(parts, expected, strict=True):
                if predictor.predict_proba(X[part]).tobytes() != wanted:
                    failures.append(part)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


PROGRAM = """
import sys
missing, path = sys.argv[1].split(), sys.argv[2]
for name in missing:
    sys.modules[name] = None
from fastbp import runtime
predictor = runtime.load(path)
X = [[0.5, -1.0, 0.25, 2.0, 0.0]]
row, many = predictor.predict_proba(X), predictor.predict(X * 500)
loaded = [name for name, module in sys.modules.items() if module is not None]
print(len(loaded), *{name.split(".")[0] for name in loaded})
print(row.tobytes().hex(), len(many))
"""


@pytest.mark.parametrize("name", ["3 classes", "own activation"])
def test_a_process_predicts_without_scikit_learn(name, tmp_path):
    model, _ = pair(name, "float64")
    path = tmp_path / "model.safetensors"
    model.save(path)
    if backend != "native":
        pytest.skip("BLAS is that of SciPy")
    for missing in ("", " ".join(PACKAGES)):
        command = [sys.executable, "-c", PROGRAM, missing, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        first, second = done.stdout.splitlines()
        count, *loaded = first.split()
        assert not set(PACKAGES) & set(loaded)
        assert int(count) <= 250
        row = model.predict_proba([[0.5, -1.0, 0.25, 2.0, 0.0]])
        assert second.split() == [row.tobytes().hex(), "500"]


def test_a_cpu_without_fma_needs_no_scipy_either(tmp_path):
    model, _ = pair("3 classes", "float64")
    path = tmp_path / "model.safetensors"
    model.save(path)
    environment = {name: value for name, value in os.environ.items() if name != "FASTBP_MATMUL"}
    environment["FASTBP_ISA"] = "baseline"
    command = [sys.executable, "-c", PROGRAM, " ".join(PACKAGES), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    row = np.frombuffer(bytes.fromhex(done.stdout.splitlines()[1].split()[0]))
    expected = model.predict_proba([[0.5, -1.0, 0.25, 2.0, 0.0]])
    np.testing.assert_allclose(row, expected[0], rtol=1e-12)


WITH_BLAS = """
import sys
import numpy as np
from fastbp import runtime
X = np.random.RandomState(0).rand(3000, 400).astype(np.float32)
sys.stdout.write(runtime.load(sys.argv[1]).predict_proba(X).tobytes().hex())
"""


def test_with_blas_bits_do_not_depend_on_its_threads(tmp_path):
    """SciPy's BLAS is not there before the first product, and has a limit of threads then."""
    path = tmp_path / "model.safetensors"
    x = np.random.RandomState(1).rand(40, 400).astype(np.float32)
    MLPClassifier((100,), max_iter=1).fit(x, np.arange(40) % 10).save(path)
    found = []
    for threads in ("1", "2"):
        environment = {**os.environ, "FASTBP_MATMUL": "blas", "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", WITH_BLAS, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found.append(done.stdout)
    assert found[0] == found[1]


def test_an_unfitted_clone_is_no_predictor():
    with pytest.raises(Exception, match="not fitted"):
        load(clone(pair("regressor", "float64")[0]))
