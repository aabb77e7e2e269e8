"""Predictors of ensembles and of models of tables have the bits of the estimators."""

import functools
import io
import subprocess
import sys
from pathlib import Path

import make_fixtures
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from kinds_of_models import X, Y, two_columns
from predictors import PACKAGES, assert_same, assert_same_predictions, load

import fastbp
from fastbp import MLPClassifier, MLPRegressor, runtime
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import backend
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ENSEMBLES = {
    "3 classes": (MLPEnsembleClassifier, {}, Y % 3),
    "2 classes": (MLPEnsembleClassifier, {}, Y % 2),
    "names": (MLPEnsembleClassifier, {}, np.array(["c", "a", "bb"], object)[Y % 3]),
    "multilabel": (MLPEnsembleClassifier, {}, np.stack([Y % 2, Y % 3 > 0, Y % 5 > 1], axis=1)),
    "several targets": (MLPEnsembleClassifier, {}, two_columns(3)),
    "regressor": (MLPEnsembleRegressor, {}, X[:, 0]),
    "regressor of two": (MLPEnsembleRegressor, {}, X[:, :2]),
    "gaussian": (MLPEnsembleRegressor, {"loss": "gaussian"}, X[:, 0]),
}
ROWS = {"one": X[:1], "a list": X[:3].tolist(), "all": X, "float32": X[:1].astype(np.float32)}


@functools.cache
def ensemble(name, dtype):
    kind, params, y = ENSEMBLES[name]
    member = MLPClassifier if kind is MLPEnsembleClassifier else MLPRegressor
    member = member(hidden_layer_sizes=(7,), max_iter=3, **params)
    model = kind(member, n_members=3, random_state=0).fit(X.astype(dtype), y)
    return model, load(model)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_have_the_bits_of_the_estimator(name, dtype):
    model, predictor = ensemble(name, dtype)
    for rows in ROWS.values():
        assert_same_predictions(predictor, model, rows)
        if isinstance(model, MLPEnsembleRegressor):
            pair = model.predict(rows, return_std=True)
            assert_same(predictor.predict(rows, return_std=True), pair)
    assert predictor.n_features_in_ == model.n_features_in_
    if hasattr(model, "classes_"):
        assert_same(predictor.classes_, model.classes_)


def test_ensembles_refuse_bad_rows():
    _, predictor = ensemble("3 classes", "float64")
    with pytest.raises(ValueError, match="4 features, but MLPEnsembleClassifier is expecting 5"):
        predictor.predict(X[:, 1:])
    with pytest.raises(ValueError, match=r"Input X contains NaN\."):
        predictor.predict(X * np.nan)


# ---- tables

N = 120
rng = np.random.RandomState(1)
AGE = np.where(rng.rand(N) < 0.2, np.nan, rng.randint(18, 90, N))
TABLE = pd.DataFrame(
    {
        "age": AGE,
        "income": rng.lognormal(10, 1, N),
        "city": rng.choice(["Rome", "Oslo", "Lima", None], N),
        "member": rng.rand(N) > 0.5,
        "count": rng.randint(0, 9, N),
        "size": pd.Categorical(rng.choice(["S", "M", "L"], N)),
    }
)
T = np.log(TABLE["income"].to_numpy()) + rng.randn(N)
SMALL = dict(hidden_layer_sizes=(8,), n_members=2, max_iter=2, random_state=0)
MODELS = {
    "classes": (TabularMLPClassifier, {}, np.array(["no", "yes", "perhaps"])[np.arange(N) % 3]),
    "calibrated": (TabularMLPClassifier, {"calibrate": True}, (T > 10).astype(int)),
    "1 class": (TabularMLPClassifier, {}, np.zeros(N, int)),
    "numbers": (TabularMLPRegressor, {}, T),
    "large numbers": (TabularMLPRegressor, {}, 1e9 + T),  # members of float64
    "two targets": (TabularMLPRegressor, {}, np.stack([T, -T], axis=1)),
    "gaussian": (TabularMLPRegressor, {"loss": "gaussian"}, T),
    "quantile": (TabularMLPRegressor, {"loss": "quantile", "quantile": [0.9, 0.1]}, T),
    "poisson": (TabularMLPRegressor, {"loss": "poisson"}, np.round(np.abs(T))),
}
NEW = pd.concat([TABLE.head(7), TABLE.tail(1).assign(city="Quito", age=None, size=None)])


@functools.cache
def tabular(name):
    kind, params, y = MODELS[name]
    model = kind(**SMALL, **params).fit(TABLE, y)
    if params.get("calibrate"):
        model.temperature_ = 1.7
    return model, load(model)


@pytest.mark.parametrize("name", MODELS)
def test_models_of_tables_have_the_bits_of_the_estimator(name):
    model, predictor = tabular(name)
    for rows in (TABLE, NEW, NEW.head(1)):
        assert_same_predictions(predictor, model, rows)
        if isinstance(model, TabularMLPRegressor):
            assert_same(
                predictor.predict(rows, return_std=True), model.predict(rows, return_std=True)
            )
    assert predictor.feature_names_in_.tolist() == list(TABLE)
    assert predictor.n_features_in_ == 6


def columns_of(frame):
    """A dict of lists, with None for what is missing."""
    return {
        name: [None if pd.isna(one) else one for one in column.tolist()]
        for name, column in frame.items()
    }


def structured(frame):
    dtype = [("income", "f8"), ("age", "f8"), ("city", object), ("member", "?"), ("count", "i8")]
    array = np.empty(len(frame), [*dtype, ("size", "U1")])
    for name in array.dtype.names:
        column = frame[name].astype(object).where(frame[name].notna(), None)
        array[name] = frame[name] if name in ("age", "income") else column.tolist()
    return array


KINDS = {
    "dict of lists": columns_of,
    "dict in another order": lambda frame: dict(reversed(columns_of(frame).items())),
    "dict of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "polars": lambda frame: pl.DataFrame(columns_of(frame), strict=False),
    "pyarrow": lambda frame: pl.DataFrame(columns_of(frame), strict=False).to_arrow(),
    "array of objects": lambda frame: frame.astype(object).to_numpy(),
    "list of rows": lambda frame: frame.astype(object).to_numpy().tolist(),
    "structured array": structured,
}


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_all_kinds(kind):
    model, predictor = tabular("classes")
    frame = TABLE.head(20) if kind == "structured array" else NEW
    assert_same(predictor.predict_proba(KINDS[kind](frame)), model.predict_proba(frame))


@pytest.mark.parametrize("levels", [[1.5, 2.5, None], [True, False, None], ["a", "b", None]])
def test_encoded_columns_of_pyarrow(levels):
    """NumPy gets them with another level for what is missing, and integers for bools."""
    column = pd.Categorical(levels * 10)
    frame = pd.DataFrame({"number": X[:, 0], "category": column})
    model = TabularMLPRegressor(**SMALL).fit(frame, X[:, 1])
    assert_same(load(model).predict(pa.Table.from_pandas(frame)), model.predict(frame))


def test_arrays_of_numbers():
    numbers = X.copy()
    numbers[3, 2] = np.nan
    model = TabularMLPRegressor(**SMALL).fit(numbers, X[:, 0])
    predictor = load(model)
    for rows in (numbers, numbers[:1], numbers.astype(np.float32), numbers.tolist()):
        assert_same(predictor.predict(rows), model.predict(rows))
    for wrong, message in (
        (numbers[:, 1:], "4 features, but TabularMLPRegressor is expecting 5"),
        (numbers[0], "Expected 2D array, got 1D array"),
        (numbers[:0], "Found array with 0 sample"),
        (numbers * np.inf, "contains infinity in column 0"),
        ({"a": [1.0]}, "was fitted without names of features"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.predict(wrong)


WRONG = {
    "missing column": (TABLE.drop(columns="city"), "yet now missing:\n- city"),
    "another column": (TABLE.assign(more=1), "unseen at fit time:\n- more"),
    "another order": (TABLE[list(TABLE)[::-1]], "must be in the same order"),
    "a dict without a column": ({"age": [1.0]}, "yet now missing:\n- city"),
    "columns of different lengths": (
        {**columns_of(NEW), "age": [1.0]},
        "columns of different lengths",
    ),
    "a number for a column": ({**columns_of(NEW), "age": 1.0}, "'age' of shape \\(\\)"),
    "infinity": (TABLE.assign(age=np.inf), "infinity in column 'age'"),
    "no number": ({**columns_of(NEW), "age": ["old"] * len(NEW)}, "column 'age' that is not a"),
    "no rows": (TABLE.head(0), "Found array with 0 sample"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_tables_are_refused(case):
    table, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        tabular("classes")[1].predict(table)


def test_dates_are_refused():
    table = {**columns_of(NEW), "age": np.array(["2020-01-01"] * len(NEW), "M8[D]")}
    with pytest.raises(TypeError, match="holds dates or times"):
        tabular("classes")[1].predict(table)


PROGRAM = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
from fastbp import runtime
predictor = runtime.load(sys.argv[2])
table = {"age": [40, None], "income": [2e4, 3e4], "city": ["Rome", None], "member": [True, False],
         "count": [3, 4], "size": ["S", "Z"]}
result = predictor.predict_proba(table)
loaded = [name for name, module in sys.modules.items() if module is not None]
print(len(loaded), result.tobytes().hex(), *{name.split(".")[0] for name in loaded})
"""


def test_a_process_predicts_tables_without_scikit_learn(tmp_path):
    if backend != "native":
        pytest.skip("BLAS is that of SciPy")
    model, predictor = tabular("classes")
    model.save(tmp_path / "model.safetensors")
    table = {"age": [40, None], "income": [2e4, 3e4], "city": ["Rome", None]}
    table.update({"member": [True, False], "count": [3, 4], "size": ["S", "Z"]})
    command = [sys.executable, "-c", PROGRAM, " ".join(PACKAGES), tmp_path / "model.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    count, result, *loaded = done.stdout.split()
    assert not set(PACKAGES) & set(loaded)
    assert int(count) <= 250
    assert result == predictor.predict_proba(table).tobytes().hex()
    assert_same(predictor.predict_proba(table), model.predict_proba(pd.DataFrame(table)))


# ---- files

FILES = sorted((Path(__file__).parents[1] / "files").glob("format_*/*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name} {path.stem}")
def test_files_of_released_formats(path):
    model, predictor = fastbp.load(path), runtime.load(path)
    rows = make_fixtures.TABLE if hasattr(model, "transformer_") else make_fixtures.X
    assert_same_predictions(predictor, model, rows)


WRONG_NODES = {
    "no members": lambda node: node["members"].clear(),
    "another class": lambda node: node["members"][0].update({"class": "MLPEnsembleRegressor"}),
    "another dtype": lambda node: node["transformer"].update(dtype="float16"),
    "a column less": lambda node: node["transformer"]["tables"]["categories"].pop(),
    "no transformer": lambda node: node.pop("transformer"),
    "fitted": lambda node: node["fitted"].update(temperature_=-1.0, limits=None),
    "links": lambda node: node["members"][1]["network"].update(link="grouped_softmax"),
    "name": lambda node: node.update({"class": "TabularMLP"}),
}


@pytest.mark.parametrize("case", WRONG_NODES)
@pytest.mark.parametrize("name", ["classes", "numbers", "quantile"])
def test_files_whose_parts_do_not_fit_are_refused(name, case):
    """With a right checksum: descriptions that no `save` writes."""
    with pytest.raises(fastbp.ModelFileError):
        runtime.load(rewritten(tabular(name)[0], WRONG_NODES[case]))


@pytest.mark.parametrize(
    "names", [("3 classes", "2 classes"), ("names", "3 classes"), ("regressor", "regressor of two")]
)
def test_members_that_differ_are_refused(names):
    model, other = (ensemble(name, "float64")[0] for name in names)
    mixed = type(model)(model.estimator)
    vars(mixed).update(vars(model), estimators_=[*model.estimators_, other.estimators_[0]])
    with pytest.raises(fastbp.ModelFileError, match="the members differ"):
        load(mixed)


def test_members_of_several_losses_are_refused():
    def change(node):
        node["members"][1]["params"].update(loss="huber")

    with pytest.raises(fastbp.ModelFileError, match="the members have different losses"):
        runtime.load(rewritten(tabular("numbers")[0], change))


def rewritten(model, change):
    """The file of a model with another description."""
    from fastbp.estimators.savable import node_of
    from fastbp.files import Writer, write

    writer, file = Writer(), io.BytesIO()
    node = node_of(model, writer, True)
    change(node)
    write(file, node, writer.tensors)
    file.seek(0)
    return file
