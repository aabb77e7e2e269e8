"""Damaged and forged model files: each is a ModelFileError, at once.

FASTBP_ALL_FILES=1 (`make test-files`) cuts and flips each file in full; the suite takes a part.
"""

import io
import json
import os
import pickle
import re
import tracemalloc
import zlib
from functools import cache

import numpy as np
import pytest
import safetensors.numpy

import fastbp
from fastbp import MLPClassifier, MLPRegressor, ModelFileError, runtime
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.files import Reader, Writer, container, names, values
from fastbp.graph import tape
from fastbp.graph.expression import Expression
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ALL = os.environ.get("FASTBP_ALL_FILES") == "1"
BYTES, BITS = (1, 1) if ALL else (64 * 12, 7 * 149)  # from one case to the next
X = np.random.RandomState(0).randn(30, 4)
Y = np.arange(30) % 3
SMALL = dict(hidden_layer_sizes=(4,), max_iter=2, random_state=0)


def models():
    tab = dict(hidden_layer_sizes=(4,), max_iter=2, n_members=2, random_state=0, n_bins=3)
    table = [[float(x), "ab"[k % 2]] for k, x in enumerate(X[:, 0])]
    return {
        "classifier": lambda: MLPClassifier(**SMALL).fit(X, np.array(["a", "b", "c"])[Y]),
        "regressor": lambda: MLPRegressor(
            **SMALL, activation=lambda z: z * fg.sigmoid(z), loss=lambda r, y: abs(r - y)
        ).fit(X, X[:, 0]),
        "ensemble": lambda: MLPEnsembleRegressor(MLPRegressor(**SMALL), n_members=2).fit(X, Y),
        "tabular classifier": lambda: TabularMLPClassifier(**tab).fit(table, Y),
        "tabular regressor": lambda: TabularMLPRegressor(**tab).fit(table, X[:, 1]),
    }


@cache
def content(name):
    file = io.BytesIO()
    models()[name]().save(file)
    return file.getvalue()


def load(data):
    return fastbp.load(io.BytesIO(data))


def refused(data):
    with pytest.raises(ModelFileError) as caught:
        load(data)
    assert str(caught.value).startswith("BytesIO: ")
    return str(caught.value)


KINDS = list(models())


@pytest.mark.parametrize("name", KINDS)
def test_cut(name):
    data = content(name)
    for stop in range(0, len(data), BYTES):
        refused(data[:stop])
    refused(data + b"0")


@pytest.mark.parametrize("name", KINDS)
def test_flipped_bits(name):
    """The package safetensors alone loads most of these files without a word."""
    data, loaded, tried = content(name), 0, 0
    for bit in range(0, 8 * len(data), BITS):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        refused(bytes(broken))
        tried += 1
        try:
            safetensors.numpy.load(bytes(broken))
            loaded += 1
        except Exception:
            pass
    assert loaded > tried / 2


def test_flipped_bits_of_a_path(tmp_path):
    path, data = tmp_path / "model", content("classifier")
    for bit in range(0, 8 * len(data), 777):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        for how in ({}, {"mmap": True}):
            with pytest.raises(ModelFileError, match=re.escape(str(path))):
                fastbp.load(path, **how)


HEAD = (99_000_000).to_bytes(8, "little")
NO_MODELS = {
    "empty": b"",
    "pickle": pickle.dumps({"a": 1}),
    "zip": b"PK\x03\x04" + bytes(200),
    "length of 2^40": (2**40).to_bytes(8, "little") + b"{}",
    "length of 2^63": (2**63).to_bytes(8, "little") + b"{}",
    "long header in a short file": HEAD + b"{}",
    "other tensors": safetensors.numpy.save({"a": np.zeros(3)}),
    "other metadata": safetensors.numpy.save({"a": np.zeros(3)}, {"fastbp": "[]"}),
}


@pytest.mark.parametrize("what", NO_MODELS)
def test_no_model(what, tmp_path):
    path, data = tmp_path / "model", NO_MODELS[what]
    path.write_bytes(data)
    tracemalloc.start()
    message = refused(data)
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        fastbp.load(path)
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        fastbp.read_metadata(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert ("without fastbp's description" in message) == (what == "other tensors")


@pytest.mark.parametrize("byte", [b"[", b"{", b",", b'"'])
def test_huge_headers(byte):
    refused(HEAD + byte * 99_000_000)


# ---- files with a right checksum


def parts(name):
    """The description, as it is, and the tensors of a file."""
    data = content(name)
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(head["__metadata__"]["fastbp"]), safetensors.numpy.load(data)


def forged(description, tensors):
    """A file with a right checksum."""
    description["crc32"] = "00000000"
    rest = {key: value for key, value in description.items() if key != "crc32"}
    text = json.dumps({"crc32": "00000000", **rest})
    text = text.replace('{"crc32": "', '{"crc32":"')
    data = safetensors.numpy.save(tensors, {"fastbp": text})
    at = container.DIGITS
    return data[: at.start] + container._checksum(memoryview(data)) + data[at.stop :]


def edited(name, path, value):
    """A file in which an entry of the description, or a tensor, is another one."""
    description, tensors = parts(name)
    place = description
    if path[0] == "tensors":
        place, path = tensors, path[1:]
    for key in path[:-1]:
        place = place[key]
    if value is DELETED:
        del place[path[-1]]
    else:
        place[path[-1]] = value(place[path[-1]]) if callable(value) else value
    return forged(description, tensors)


DELETED = object()


def with_number(number):
    def change(array):
        array = array.copy()
        array.reshape(-1)[0] = number
        return array

    return change


def test_forged_files_are_right_but_for_the_edit():
    for name in KINDS:
        assert zlib.crc32(forged(*parts(name))) and load(forged(*parts(name))) is not None


def step(*one):
    return lambda formula: {**formula, "formula": [*formula["formula"], list(one)]}


C, R, E = "classifier", "regressor", "ensemble"
TC, TR = "tabular classifier", "tabular regressor"
EDITS = [
    (C, ("format",), 2),
    (C, ("format",), 1.0),
    (C, ("format",), DELETED),
    (C, ("class",), "os.system"),
    (C, ("class",), "MLPRegressor"),
    (C, ("class",), ["MLPClassifier"]),
    (C, ("params", "alhpa"), lambda _=None: 1),
    (C, ("params", "alpha"), -1),
    (C, ("params", "alpha"), {"float": "nan"}),
    (C, ("params", "alpha"), {"float": "1e3"}),
    (C, ("params", "alpha"), {"array": "params"}),
    (C, ("params", "solver"), "os.system"),
    (C, ("params", "activation"), "nothing"),
    (C, ("params", "activation"), {"record": "Cosine", "fields": {}}),
    (C, ("params", "learning_rate"), {"record": "OfEpoch", "fields": {"function": "len"}}),
    (C, ("params", "learning_rate"), {"record": "Cosine", "fields": {"warmup": 2}}),
    (C, ("params", "init"), {"formula": [["input", [], 0]], "inputs": ["z"]}),
    (C, ("params", "scoring"), {"formula": [["input", [], 0]], "inputs": ["z"]}),
    (C, ("params", "hidden_layer_sizes"), {"tuple": [5]}),
    (C, ("params", "hidden_layer_sizes"), {"tuple": [4, 4]}),
    (C, ("params", "hidden_layer_sizes"), {"tuple": 4}),
    (C, ("params", "batch_size"), json.loads("[" * 900 + "]" * 900)),
    (C, ("network", "units"), [4, 5, 3]),
    (C, ("network", "units"), [4, 10**9, 3]),
    (C, ("network", "units"), [4, 4.0, 3]),
    (C, ("network", "units"), [4, -4, 3]),
    (C, ("network", "units"), [True, 4, 3]),
    (C, ("network", "link"), "exec"),
    (C, ("network", "link"), "grouped_softmax"),
    (C, ("network", "params"), {"array": "optimizer.state"}),
    (C, ("network", "labels"), None),
    (C, ("network", "labels", "kind"), "binary"),
    (C, ("network", "labels", "kind"), "other"),
    (C, ("network", "labels", "sparse"), 1),
    (C, ("network", "labels", "classes", "strings"), ["b", "a", "c"]),
    (C, ("network", "labels", "classes", "strings"), ["a", "a", "c"]),
    (C, ("network", "labels", "classes", "strings"), ["a", "b"]),
    (C, ("network", "labels", "classes", "strings"), ["a", "b", 3]),
    (C, ("network", "labels", "classes", "strings"), ["a", "b", "cc"]),
    (C, ("network", "labels", "classes", "width"), 10**12),
    (C, ("network", "labels", "classes", "width"), 0),
    (C, ("fitted", "n_iter_"), 3.0),
    (C, ("fitted", "n_iter_"), True),
    (C, ("fitted", "n_iter_"), -1),
    (C, ("fitted", "t_"), "x"),
    (C, ("fitted", "t_"), DELETED),
    (C, ("fitted", "loss_"), "x"),
    (C, ("fitted", "stop_reason_"), 1),
    (C, ("fitted", "coefs_"), lambda _=None: 1),
    (C, ("fitted", "loss_curve_"), {"array": "params"}),
    (C, ("optimizer", "rate"), "x"),
    (C, ("optimizer", "rate"), {"float": "nan"}),
    (C, ("optimizer", "rate"), -0.5),
    (C, ("optimizer", "optimizer"), "exec"),
    (C, ("optimizer", "epochs"), 2.0),
    (C, ("optimizer", "seed"), -1),
    (C, ("optimizer", "constants"), {"dict": []}),
    (C, ("optimizer", "constants"), {"dict": [["beta_1"]]}),
    (C, ("resume", "dict", 0, 1), "x"),
    (C, ("resume",), {"dict": []}),
    (C, ("members",), lambda _=None: []),
    (C, ("tensors", "params"), with_number(np.nan)),
    (C, ("tensors", "params"), with_number(np.inf)),
    (C, ("tensors", "params"), lambda array: array.astype(np.int32)),
    (C, ("tensors", "params"), lambda array: array.astype(np.float16)),
    (C, ("tensors", "params"), lambda array: array[:-1]),
    (C, ("tensors", "params"), lambda array: array[None]),
    (C, ("tensors", "params"), DELETED),
    (C, ("tensors", "optimizer.state"), with_number(np.nan)),
    (C, ("tensors", "optimizer.state"), lambda array: array[:1]),
    (C, ("tensors", "optimizer.state"), lambda array: array[:, 1:]),
    (C, ("tensors", "optimizer.state"), lambda array: array.astype(np.int64)),
    (C, ("tensors", "optimizer.tally"), with_number(np.nan)),
    (C, ("tensors", "optimizer.tally"), lambda array: array - 10),
    (C, ("tensors", "loss_curve_"), lambda array: array[:1]),
    (C, ("tensors", "loss_curve_"), lambda array: array.astype(np.float32)),
    (C, ("tensors", "nobody"), lambda _=None: np.zeros(3)),
    (R, ("params", "activation"), step("exec", [0], None)),
    (R, ("params", "activation"), step("exp", [99], None)),
    (R, ("params", "activation"), step("exp", [-1], None)),
    (R, ("params", "activation"), step("exp", [0, 0], None)),
    (R, ("params", "activation"), step("place", [0], 0)),
    (R, ("params", "activation"), step("constant", [], "x")),
    (R, ("params", "activation"), step("sum", [0], None)),
    (R, ("params", "activation", "formula"), []),
    (R, ("params", "activation", "formula"), [["input", [], 0]] + [["exp", [0], None]] * 1001),
    (R, ("params", "activation", "inputs"), ["z", "z"]),
    (R, ("params", "activation", "inputs"), ["raw", "y"]),
    (R, ("params", "loss", "inputs"), ["z"]),
    (R, ("params", "loss"), "log_loss"),
    (E, ("members",), []),
    (E, ("members",), lambda members: [members[0], {**members[1], "class": "MLPClassifier"}]),
    (E, ("members", 0), None),
    (E, ("params", "n_members"), 0),
    (E, ("params", "estimator", "class"), "MLPClassifier"),
    (E, ("params", "estimator", "network"), lambda _=None: 1),
    (E, ("tensors", "members.1.params"), with_number(np.nan)),
    (TC, ("fitted", "temperature_"), -1.0),
    (TC, ("fitted", "temperature_"), "x"),
    (TC, ("fitted", "n_iter_"), 2.0),
    (TC, ("fitted", "oof_score_"), "x"),
    (TC, ("tensors", "oof_prediction_"), lambda array: array[:, :1]),
    (TC, ("transformer", "class"), "os.system"),
    (TC, ("transformer", "output"), "exec"),
    (TC, ("transformer", "dtype"), "object"),
    (TC, ("transformer", "params", "dtype"), "int32"),
    (TC, ("transformer", "params", "dtype"), None),
    (TC, ("transformer", "tables", "categories"), []),
    (TC, ("transformer", "tables", "categories", 0, "suffixes"), ["a", "b", "c"]),
    (TC, ("transformer", "tables", "categories", 0, "levels", "objects"), ["a", "a"]),
    (TC, ("transformer", "tables", "categories", 0, "levels", "objects"), [["a"], "b"]),
    (TC, ("tensors", "transformer_.categories.0.rows"), with_number(99)),
    (TC, ("tensors", "transformer_.categories.0.rows"), with_number(-1)),
    (TC, ("tensors", "transformer_.categories.0.table"), with_number(np.nan)),
    (TC, ("tensors", "transformer_.edges"), with_number(np.inf)),
    (TC, ("tensors", "transformer_.edges"), lambda array: array[::-1].copy()),
    (TC, ("tensors", "transformer_.n_edges"), with_number(10**12)),
    (TC, ("tensors", "transformer_.scale"), with_number(0)),
    (TC, ("tensors", "transformer_.scale"), lambda array: array[:, :0]),
    (TC, ("tensors", "transformer_.is_categorical"), lambda array: array | True),
    (TC, ("tensors", "transformer_.is_categorical"), lambda array: array[:1]),
    (TC, ("tensors", "best_epochs_"), with_number(-1)),
    (TR, ("tensors", "limits"), with_number(np.nan)),
    (TR, ("tensors", "limits"), with_number(np.inf)),
    (TR, ("tensors", "errors.0"), with_number(-1)),
    (TR, ("fitted", "errors", 0, "members"), [9]),
    (TR, ("fitted", "errors", 0, "members"), []),
]


def forged_by(number):
    """The file of an edit."""
    name, path, value = EDITS[number]
    if callable(value) and value.__defaults__:
        description, tensors = parts(name)  # the entry is new
        place = tensors if path[0] == "tensors" else description
        for key in path[:-1] if place is description else ():
            place = place[key]
        place[path[-1]] = value()
        return forged(description, tensors)
    return edited(name, path, value)


@pytest.mark.parametrize("number", range(len(EDITS)), ids=lambda k: f"{k} {EDITS[k][1][-1]}")
def test_wrong_values(number):
    refused(forged_by(number))


def is_read_for_predictions(name, path):
    """Whether the runtime needs an entry. Those that only training needs are not read."""
    if path[0] == "params":
        return path[1] in ("activation", "alhpa")
    if path[0] == "fitted":
        return path[1] in ("temperature_", "coefs_")
    if path[0] == "transformer":
        return path[1] in ("dtype", "tables", "class")
    unread = ("optimizer", "resume", "loss_curve_", "nobody", "oof", "best_epochs_", "errors")
    return not path[path[0] == "tensors"].startswith(unread)


READ_FOR_PREDICTIONS = [
    k for k, (name, path, _) in enumerate(EDITS) if is_read_for_predictions(name, path)
]


@pytest.mark.parametrize("number", READ_FOR_PREDICTIONS)
def test_wrong_values_are_refused_by_the_runtime(number):
    with pytest.raises(ModelFileError):
        runtime.load(io.BytesIO(forged_by(number)))


@pytest.mark.parametrize("load", [fastbp.load, runtime.load])
def test_newer_formats_name_both_versions(load):
    description, tensors = parts(C)
    description.update(format=2, fastbp="9.8.7")
    with pytest.raises(ModelFileError) as caught:
        load(io.BytesIO(forged(description, tensors)))
    message = str(caught.value)
    assert "9.8.7" in message and fastbp.__version__ in message and "format 2" in message


@pytest.mark.parametrize("load", [fastbp.load, runtime.load])
@pytest.mark.parametrize(
    "name, place",
    [
        *((name, place) for name in (C, E, TC, TR) for place in ((), ("params",), ("fitted",))),
        (C, ("network",)),
        (E, ("members", 0)),
        (E, ("members", 1, "params")),
        (TC, ("transformer",)),
        (TC, ("transformer", "params")),
        (TC, ("transformer", "fitted")),
        (TC, ("transformer", "tables")),
    ],
)
def test_what_a_newer_version_may_have_written(load, name, place):
    """Predictions may depend on it. So the runtime refuses it too."""
    description, tensors = parts(name)
    description["fastbp"], at = "9.8.7", description
    for key in place:
        at = at[key]
    at["depth"] = 3
    with pytest.raises(ModelFileError) as caught:
        load(io.BytesIO(forged(description, tensors)))
    message = str(caught.value)
    assert "9.8.7" in message and fastbp.__version__ in message and "'depth'" in message


@pytest.mark.parametrize(
    "kind",
    [
        MLPClassifier,
        MLPRegressor,
        MLPEnsembleClassifier,
        MLPEnsembleRegressor,
        TabularMLPClassifier,
        TabularMLPRegressor,
        TabularPreprocessor,
    ],
)
def test_names_of_parameters_are_known_without_the_classes(kind):
    assert {*kind().get_params(deep=False)} == names.PARAMETERS[kind.__name__]


def test_a_parameter_that_is_missing_has_its_default():
    description, tensors = parts(C)
    del description["params"]["label_smoothing"]
    assert load(forged(description, tensors)).label_smoothing == 0.0


def test_names_that_stand_twice():
    description, tensors = parts(C)
    data = forged(description, tensors)
    twice = data.replace(b'\\"format\\": 1', b'\\"format\\":1,\\"format\\": 1')
    refused(twice)


def test_a_generator_of_a_file_is_one_of_a_closed_table():
    """No name of a file is looked up in NumPy: `np.random.test` would run its tests."""
    est = MLPRegressor(**{**SMALL, "random_state": np.random.RandomState(0)}).fit(X, X[:, 0])
    est._resume["random_state"]["bit_generator"] = "test"
    with pytest.raises(ValueError, match="there is no generator 'test'"):
        est.save(io.BytesIO())


@pytest.mark.parametrize("load", [fastbp.load, runtime.load])
def test_a_formula_of_many_members_is_compiled_once(load, monkeypatch):
    """Else a short file with many members takes minutes."""
    model = MLPEnsembleRegressor(MLPRegressor(**SMALL, activation=lambda z: z * z), n_members=3)
    file, calls = io.BytesIO(), []
    model.fit(X, Y).save(file)
    file.seek(0)
    compile_tape = tape.compile_tape
    monkeypatch.setattr(tape, "compile_tape", lambda *a: calls.append(a) or compile_tape(*a))
    load(file)
    assert len(calls) == 1


def test_formulas_that_differ_in_the_sign_of_zero():
    formulas = [Expression.trace(lambda z, c=c: c / z, ("z",)) for c in (0.0, -0.0)]
    writer = Writer()
    nodes = [writer.value(one, "activation") for one in formulas]
    reader = Reader(container.Contents("", {}, writer.tensors))
    found = [reader.value(json.loads(json.dumps(one)), "activation") for one in nodes]
    assert [np.signbit(one(1.0)) for one in found] == [False, True]


def test_wide_strings_take_little_memory(monkeypatch):
    """A short file with many arrays of short strings, each of them as wide as one may be."""
    width = 2**21
    arrays = [{"strings": ["a"], "width": width}] * 100
    data = edited(C, ("params", "hidden_layer_sizes"), arrays)
    monkeypatch.setattr(values, "MOST_TEXT", 2 * 4 * width)
    tracemalloc.start()
    assert "bytes in all" in refused(data)
    assert tracemalloc.get_traced_memory()[1] < 4 * 4 * width
    tracemalloc.stop()


def test_formulas_of_the_most_steps_take_little_time():
    from fastbp.files.values import MOST_STEPS

    steps = [["input", [], 0]] + [["multiply", [k, k], None] for k in range(MOST_STEPS - 1)]
    data = edited(R, ("params", "activation", "formula"), steps)
    try:
        load(data)
    except ModelFileError:
        pass
