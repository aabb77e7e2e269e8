"""The C files of `fastbp.export`: strict compilers, the numbers of `predict`, names and errors."""

import copy
import ctypes
import importlib
import re
import shutil
import threading

import numpy as np
import pytest
from c_cases import CASES, CLASSES, OWN, SMALL, X_TEST, X, classifier, fitted, regressor
from c_programs import (
    COMPILERS,
    STRICT,
    C,
    compiler,
    each_row,
    indices,
    library,
    pointer,
    run,
    ulps,
)
from exhaustive import BOUNDS, SINES, exact_value, sample
from exhaustive import ulps as ulps_of_each
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from fastbp import MLPClassifier, MLPRegressor
from fastbp.ensemble import MLPEnsembleClassifier
from fastbp.export import to_c
from fastbp.export.c_model import LINKS
from fastbp.export.c_network import ACTIVATIONS, LINES, OPERATIONS, STORED, stored_weights
from fastbp.export.c_scalar import for_type, functions
from fastbp.graph.operations import OPERATIONS as GRAPH
from fastbp.kernels import LEVELS, core
from fastbp.tabular import TabularMLPRegressor
from ids import plain

MOST_ULPS = 16
DTYPES = (np.float32, np.float64)
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no compiler of C")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def label(case, dtype):
    return re.sub(r"\W", "_", case) + f"_{np.dtype(dtype).name}"


@pytest.fixture(scope="module")
def models():
    return {case: fitted(case) for case in CASES}


@pytest.fixture(scope="module")
def everything(models):
    """All models in both types, in one file: each has names of its own."""
    texts = [
        to_c(model, label(case, dtype), dtype=dtype)
        for case, model in models.items()
        for dtype in DTYPES
    ]
    texts += [
        to_c(models["classes"], f"stored_{weights}_{dtype.__name__}", dtype=dtype, weights=weights)
        for weights in STORED
        for dtype in DTYPES
    ]
    return "\n".join(texts)


@pytest.fixture(scope="module")
def compiled(everything, tmp_path_factory):
    return library(everything, tmp_path_factory.mktemp("c"))


# ---- the numbers


def in_dtype(model, dtype):
    """A copy of a model with the weights in this dtype, which is that of its predictions."""
    model = copy.deepcopy(model)
    for one in getattr(model, "estimators_", [model]):
        one.coefs_ = [w.astype(dtype) for w in one.coefs_]
        one.intercepts_ = [b.astype(dtype) for b in one.intercepts_]
    return model


def probabilities(model, rows):
    """The columns of all targets, side by side."""
    found = model.predict_proba(rows)
    return np.hstack(found) if isinstance(found, list) else found


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_predict(compiled, models, case, dtype):
    model, rows = in_dtype(models[case], dtype), X_TEST.astype(dtype)
    name = label(case, dtype)
    is_classifier = hasattr(model, "predict_proba")
    expected = probabilities(model, rows) if is_classifier else model.predict(rows)
    width = expected.size // len(rows)
    found = each_row(compiled[f"{name}_predict"], rows, width)
    assert ulps(found, expected, not is_classifier) <= MOST_ULPS
    if not is_classifier:
        return
    labels = model.predict(rows)
    if labels.ndim == 1:
        found = model.classes_[indices(compiled[f"{name}_class"], rows)]
    else:
        written = each_row(compiled[f"{name}_labels"], rows, labels.shape[1], np.intc)
        classes = model.classes_ if isinstance(model.classes_, list) else None
        found = written
        if classes is not None:
            pairs = zip(classes, written.T, strict=True)
            found = np.column_stack([own[column] for own, column in pairs])
    assert np.array_equal(found, labels)


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in CASES if "gauss" in case or "of numb" in case])
def test_standard_deviations(compiled, models, case, dtype):
    """Their unit is that of the row's largest number, mean or deviation."""
    model, rows = in_dtype(models[case], dtype), X_TEST.astype(dtype)
    expected = model.predict(rows, return_std=True)
    width = expected[0].size // len(rows)
    function = compiled[f"{label(case, dtype)}_predict_std"]
    found = each_row(function, rows, width, n_results=2)
    both = np.column_stack([one.reshape(len(rows), -1) for one in expected])
    assert ulps(np.hstack(found), both.astype(dtype), is_regressor=True) <= MOST_ULPS


@needs_compiler
@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize("case", ["ensemble of numbers", "ensemble of gaussians"])
def test_standard_deviations_whose_squares_are_no_floats(tmp_path, models, case, size):
    model, rows = in_dtype(models[case], np.float32), X_TEST.astype(np.float32)
    for one in model.estimators_:
        means = slice(None, one.n_outputs_ // 2 if one.loss == "gaussian" else None)
        one.coefs_[-1][:, means] *= np.float32(size)
        one.intercepts_[-1][means] *= np.float32(size)
        if one.loss == "gaussian":  # whose other outputs are the logarithms of variances
            one.intercepts_[-1][means.stop :] += np.float32(2 * np.log(size))
    _, expected = model.predict(rows, return_std=True)
    width = expected.size // len(rows)
    function = library(to_c(model), tmp_path)["model_predict_std"]
    _, found = each_row(function, rows, width, n_results=2)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-3)


@needs_compiler
def test_errors_are_not_larger_than_those_of_predict(compiled, models):
    """Of float, both measured by double: what remains of rounding is that of any order of sums."""
    for case, model in models.items():
        if hasattr(model, "predict_proba"):
            continue
        rows = X_TEST.astype(np.float32)
        single = in_dtype(model, np.float32)
        exact = in_dtype(single, np.float64).predict(rows.astype(np.float64))
        found = each_row(compiled[f"{label(case, np.float32)}_predict"], rows, exact.size // 500)
        ours = np.abs(found.reshape(exact.shape) - exact).max()
        assert ours <= 2 * np.abs(single.predict(rows) - exact).max(), case


@needs_compiler
def test_wide_layers(tmp_path):
    """Sums of many numbers, and of numbers of rows that are no multiple of four."""
    rng, y = np.random.RandomState(0), np.arange(60) % 10
    rows = [rng.rand(500, n).astype(np.float32) for n in (783, 784, 785, 786)]
    models = [MLPClassifier((20,), max_iter=3, random_state=0).fit(one[:60], y) for one in rows]
    texts = [to_c(model, f"wide_{k}") for k, model in enumerate(models)]
    compiled = library("\n".join(texts), tmp_path)
    for k, (one, model) in enumerate(zip(rows, models, strict=True)):
        found = each_row(compiled[f"wide_{k}_predict"], one, 10)
        assert ulps(found, model.predict_proba(one)) <= MOST_ULPS


@needs_compiler
@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ["classes", "deep", "two gaussians", "ensemble of classes"])
def test_stored_weights_are_those_that_count(tmp_path, models, case, dtype, weights):
    """`predict` with the weights that are stored gives the numbers of the file."""
    model, rows = in_dtype(models[case], dtype), X_TEST.astype(dtype)
    text, is_classifier = to_c(model, weights=weights), hasattr(model, "classes_")
    for one in getattr(model, "estimators_", [model]):
        one.coefs_ = [stored_weights(w, weights) for w in one.coefs_]
    expected = model.predict_proba(rows) if is_classifier else model.predict(rows)
    found = each_row(library(text, tmp_path)["model_predict"], rows, expected.shape[1])
    assert ulps(found, expected, not is_classifier) <= MOST_ULPS


@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.parametrize("size", [1e-30, 1e-3, 1.0, 1e30])
def test_stored_weights_are_near(weights, size):
    """The largest error is half a step: 2^-11 of a weight, or 1/254 of its column's largest."""
    w = (size * np.random.RandomState(0).randn(50, 20)).astype(np.float32)
    w[:, 3] = 0
    error = np.abs(stored_weights(w, weights) - w)
    if weights == "int8":
        assert (error <= 1.001 * np.abs(w).max(axis=0) / 254).all()
    else:
        assert (error <= 2.0**-11 * np.abs(w) + 2.0**-38 * np.abs(w).max()).all()
    assert (stored_weights(w, weights)[:, 3] == 0).all()
    assert not stored_weights(np.zeros_like(w), weights).any()


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_accuracy_holds_with_stored_weights(weights):
    """Within 0.2 points on digits, in the mean of five networks."""
    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    losses = []
    for seed in range(5):
        model = MLPClassifier((32,), max_iter=30, random_state=seed)
        model.fit(images[::2], digits[::2])
        before = model.score(images[1::2], digits[1::2])
        model.coefs_ = [stored_weights(w, weights) for w in model.coefs_]
        losses.append(before - model.score(images[1::2], digits[1::2]))
    assert abs(np.mean(losses)) <= 0.002


def test_attributes_that_users_set_count():
    model = regressor(hidden_layer_sizes=())
    model.coefs_[0] = np.full((6, 1), 0.125)
    assert to_c(model).count("0.125") == 6
    model.out_activation_ = "tanh"
    assert "model_tanh(z[j])" in to_c(model)


# ---- the functions


def elementary(real, names):
    """A file with a loop over each of these functions."""
    loops = "\n".join(
        f"void each_{name}(const {real} *x, {real} *y, int n);\n"
        f"void each_{name}(const {real} *x, {real} *y, int n) {{\n"
        f"    int i;\n    for (i = 0; i < n; i++) y[i] = NAME_{name}(x[i]);\n}}"
        for name in names
    )
    head = "#include <stdint.h>\n#include <string.h>\n\n"
    return head + f"{functions(loops, real)}\n{for_type(loops, real)}\n"


def values(library, name, x):
    y = np.empty_like(x)
    library[f"each_{name}"](pointer(x), pointer(y), ctypes.c_int(len(x)))
    return y


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_are_those_of_the_core(tmp_path, dtype):
    """The same bits as the core without fused multiply-adds, and within the bounds of the core."""
    real = "float" if dtype == np.float32 else "double"
    c_names = {name: {"sigmoid": "logistic"}.get(name, name) for name in BOUNDS}
    text = elementary(real, [*c_names.values(), "sqrt", "floor"])
    compiled = library(text, tmp_path, ("-O2", C, "-ffp-contract=off"))
    x, baseline = sample(dtype, 40_000), importlib.import_module(f"fastbp.{LEVELS['baseline']}")
    for name, c_name in c_names.items():
        found = values(compiled, c_name, x)
        where = ~((np.abs(x) > 1e5) & (np.abs(x) <= SINES)) | (name not in ("sin", "cos"))
        with np.errstate(all="ignore"):
            distance = ulps_of_each(found[where], exact_value(name, x[where]))
        assert distance.max() <= BOUNDS[name], name
        if baseline.BACKENDS[0] == "blas":  # without fused multiply-adds
            expected = x.copy()
            baseline.kernel_elementary(name, expected)
            assert np.array_equal(found, expected, equal_nan=True), name
    with np.errstate(invalid="ignore"):
        expected, whole = np.sqrt(x), np.floor(x)
    found = values(compiled, "sqrt", x)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    is_finite = np.isfinite(expected)
    assert np.array_equal(found[~is_finite], expected[~is_finite], equal_nan=True)
    distance = np.abs(found[is_finite] - expected[is_finite]) / np.spacing(expected[is_finite])
    assert distance.max() <= 1
    assert np.array_equal(values(compiled, "floor", x), whole, equal_nan=True)


def test_tables_are_complete():
    """Every activation, link and elementwise operation of the core can be written."""
    assert {*ACTIVATIONS, *LINES, "identity"} == set(core.ACTIVATIONS)
    assert {*LINKS, "softmax", "grouped_softmax"} == set(core.LINKS)
    assert set(OPERATIONS) == {name for name, one in GRAPH.items() if one.shape is None}
    assert set(OPERATIONS) <= set(core.TAPE_OPERATIONS)


# ---- compilers


@pytest.mark.parametrize("program", COMPILERS)
def test_strict_compilers_say_nothing(everything, tmp_path, program):
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    (tmp_path / "models.c").write_text(everything)
    more = ("-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wmissing-declarations")
    run(program, *COMPILERS[program], *STRICT, *more, "-fsyntax-only", tmp_path / "models.c")


@needs_compiler
def test_nothing_is_allocated_kept_or_linked(models, tmp_path):
    """No data that can be written, and no function of others but memcpy and its like."""
    if not shutil.which("nm"):
        pytest.skip("no nm")
    names = ["classes", "several targets", "ensemble of gaussians", *(f"own: {one}" for one in OWN)]
    texts = [to_c(models[case], label(case, np.float32)) for case in names]
    (tmp_path / "models.c").write_text("\n".join(texts))
    out = tmp_path / "models.o"
    run(compiler(), C, "-O2", "-fno-pic", "-c", tmp_path / "models.c", "-o", out)
    kinds = {}
    for line in run("nm", out).splitlines():
        *_, kind, name = line.split()
        kinds.setdefault(kind, set()).add(name)
    assert set(kinds) <= {"T", "t", "R", "r", "U"}
    assert kinds.get("U", set()) <= {"memcpy", "memset", "__stack_chk_fail"}
    assert len(kinds["T"]) >= len(names)


@needs_compiler
def test_any_number_of_threads_may_call(compiled, models):
    rows = X_TEST.copy()
    name = label("ensemble of classes", np.float64)
    expected = each_row(compiled[f"{name}_predict"], rows, 3)
    found = [None] * 4

    def work(k):
        found[k] = [each_row(compiled[f"{name}_predict"], rows, 3) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, expected) for several in found for one in several)


MAIN = r"""
#define model_declarations_only
#include "model.c"
#include "model.c"
#include <stdio.h>
int main(void) {
    double x[model_n_features], out[model_n_outputs];
    int j;
    for (j = 0; j < model_n_features; j++) x[j] = 0.5 * j;
    model_predict(x, out);
    for (j = 0; j < model_n_outputs; j++) printf("%.17g ", out[j]);
    printf("%s %d", model_classes[model_class(x)], model_n_classes);
    return 0;
}
"""


@needs_compiler
def test_another_file_includes_the_declarations(tmp_path):
    """From C and, where there is a compiler, from C++."""
    model = classifier()
    (tmp_path / "model.c").write_text(to_c(model))
    programs = [(compiler(), "main.c", (C,))]
    programs += [("g++", "main.cpp", ())] if shutil.which("g++") else []
    run(compiler(), C, *STRICT, "-c", tmp_path / "model.c", "-o", tmp_path / "model.o")
    for program, main, flags in programs:
        (tmp_path / main).write_text(MAIN)
        run(program, *flags, *STRICT, tmp_path / main, tmp_path / "model.o", "-o", tmp_path / "go")
        *numbers, word, n = run(tmp_path / "go").split()
        x = 0.5 * np.arange(6.0)[None]
        assert ulps(np.array([numbers], float), model.predict_proba(x)) <= MOST_ULPS
        assert (word, n) == (model.predict(x)[0], "3")


@needs_compiler
def test_fast_math_is_refused(tmp_path):
    (tmp_path / "model.c").write_text(to_c(regressor()))
    with pytest.raises(AssertionError, match="not with -ffast-math"):
        run(compiler(), "-ffast-math", "-c", tmp_path / "model.c", "-o", tmp_path / "model.o")


ANY_ORDER = ("-O3", C, "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math")


@pytest.mark.parametrize("program", ["gcc", "clang"])
def test_sums_in_any_order_are_refused_or_not_made(tmp_path, models, program):
    """They cancel the rounding of `exp`: gcc says that it may, clang has to be told not to."""
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    model, rows = in_dtype(models["classes"], np.float32), X_TEST.astype(np.float32)
    try:
        found = library(to_c(model), tmp_path, ANY_ORDER, program)
    except AssertionError as error:
        assert "-fassociative-math: the order" in str(error)
        return
    distance = ulps(each_row(found["model_predict"], rows, 3), model.predict_proba(rows))
    assert distance <= MOST_ULPS


# ---- words of users

HOSTILE = [
    'quo"te',
    "back\\slash",
    "??/ ??= trigraph ???/",
    "*/ int x; /*",
    "new\nline\r",
    "tab\t\x01",
    "Zoë ☃ 𝄞",
    "NAME_exp REAL SINE",
    "%s {0} {braces}",
    "",
    "//",
    "1f0",
]


@needs_compiler
@pytest.mark.parametrize("program", ["cc", "g++"])
def test_hostile_words(tmp_path, program):
    """Names of features stay inside the comment, labels come out as they went in."""
    pandas = pytest.importorskip("pandas")
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    frame = pandas.DataFrame(np.random.RandomState(0).rand(48, 12), columns=HOSTILE)
    y = np.array(HOSTILE * 4)
    model = MLPClassifier((3,), max_iter=2, activation="gelu").fit(frame, y)
    text = to_c(model, "REAL")
    flags = ("-x", "c++") if program == "g++" else ("-x", "c", C)
    found = library(text, tmp_path, flags, program)
    words = (ctypes.c_char_p * 12).in_dll(found, "REAL_classes")
    assert [word.decode() for word in words] == model.classes_.tolist()
    comment = text[: text.index("*/")]
    assert all(f"x[{k}]" in comment for k in range(12))
    assert text.isascii()


def name_classes(model, classes):
    """Give a fitted model other labels."""
    model._label_binarizer = copy.deepcopy(model._label_binarizer)
    model._label_binarizer.classes_ = classes


@needs_compiler
@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ([-3, 0, 2**31 - 1], ctypes.c_int32),
        ([-(2**62), 5, 2**63 - 1], ctypes.c_int64),
        ([False, True], ctypes.c_int),
        ([0.5, 1.0, 2.25], None),
    ],
)
def test_labels_that_are_numbers(tmp_path, classes, kind):
    classes = np.array(classes)
    y = np.arange(60) % len(classes)
    model = MLPClassifier((3,), max_iter=2).fit(X[:60], y)
    name_classes(model, classes)
    found = library(to_c(model), tmp_path)
    table = ((kind or ctypes.c_double) * len(classes)).in_dll(found, "model_classes")
    assert list(table) == classes.tolist()


@pytest.mark.parametrize(
    "classes",
    [[None, "a"], ["a", 1], [0, 2**64], [0.5, np.inf], [b"a", b"b"], ["a\0b", "c"]],
    ids=plain,
)
def test_labels_without_a_type_are_refused(classes):
    model = MLPClassifier((3,), max_iter=2).fit(X[:60], np.arange(60) % 2)
    name_classes(model, np.array(classes, object))
    with pytest.raises(TypeError, match="classes must be strings without NUL, bools,"):
        to_c(model)


def test_comment_says_what_the_file_is():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    model = MLPClassifier(**SMALL, activation=["relu", lambda z: z * z]).fit(frame, CLASSES)
    head = to_c(model, "mail").split("*/")[0]
    for words in ("mail: MLPClassifier 6-9-5-3", "written by fastbp ", "(scikit-learn ", "x[5]  f"):
        assert words in head
    for words in ("relu, z * z", "softmax", "each of mail_classes"):
        assert words in head
    size = 8 * (6 * 9 + 9 + 9 * 5 + 5 + 5 * 3 + 3)
    assert f"Tables: {size} bytes." in head
    assert f"Tables: {size // 2} bytes." in to_c(model, dtype="float32")
    n_weights, n_biases = 6 * 9 + 9 * 5 + 5 * 3, 9 + 5 + 3
    small = to_c(model, dtype="float32", weights="int8")
    assert f"Tables: {n_weights + 8 * n_biases} bytes, with weights of 8 bits." in small
    small = to_c(model, dtype="float32", weights="float16")
    assert f"Tables: {2 * n_weights + 4 * n_biases} bytes, with weights in half prec" in small


# ---- errors


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (LinearRegression(), "got sklearn.linear_model._base.LinearRegression. Of a pipeline"),
        (make_pipeline(MLPRegressor()), "export the estimator itself"),
        (TabularMLPRegressor(), "must be a fitted MLPClassifier, MLPRegressor"),
        (None, "got builtins.NoneType"),
    ],
)
def test_other_models_are_refused(model, words):
    with pytest.raises(TypeError, match=words):
        to_c(model)


class Reversed(MLPClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class Named(MLPClassifier):
    """Of another name alone."""


def test_subclasses_with_their_own_predictions_are_refused():
    assert "model: Named 6-9-5-3" in to_c(Named(**SMALL).fit(X, CLASSES))
    for model in (Reversed(**SMALL), MLPEnsembleClassifier(Reversed(**SMALL), n_members=2)):
        with pytest.raises(TypeError, match="Reversed overrides predict_proba, but an export"):
            to_c(model.fit(X, CLASSES))


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_c(MLPRegressor())


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "naïve", "a\n", None, 3])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="name must be an identifier of C, got"):
        to_c(regressor(), name)


@pytest.mark.parametrize("dtype", ["float16", int, "longdouble"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype must be None, 'float32' or 'float64', got"):
        to_c(regressor(), dtype=dtype)


@pytest.mark.parametrize("weights", ["int4", "float32", 8, True])
def test_other_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be None, 'float16' or 'int8', got"):
        to_c(regressor(), weights=weights)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("storage", STORED)
def test_weights_that_are_not_finite_are_refused(value, storage):
    model = regressor()
    model.intercepts_[1] = model.intercepts_[1].copy()
    model.intercepts_[1][2] = value
    with pytest.raises(ValueError, match=r"intercepts_\[1\] has numbers that are not finite in fl"):
        to_c(model, dtype="float32", weights=storage)
