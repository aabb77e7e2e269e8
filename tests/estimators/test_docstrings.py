"""The docstrings of the estimators are complete, and equal where both have the same thing."""

import inspect
import re

import numpy as np
import pytest

from fastbp import MLPClassifier, MLPRegressor

ESTIMATORS = pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])

LISTS = {"Parameters", "Attributes", "Returns", "Raises"}  # sections of named entries
OF_ONE_CLASS = {"Examples", "See Also"}

# What differs on purpose, and why.
DIFFERENT = {
    "summary": "the kinds of targets",
    "Parameters, loss": "other losses",
    "Attributes, n_outputs_": "means and variances there",
    "Attributes, out_activation_": "other links",
    "Attributes, validation_loss_curve_": "label smoothing here",
    "fit, Parameters, y": "labels here, numbers there",
    "fit, Parameters, y_val": "labels here, numbers there",
    "partial_fit, Parameters, y": "labels here, numbers there",
    "predict, summary": "labels here, numbers there",
    "predict, Returns, y": "labels here, numbers there",
    "score, summary": "accuracy here, R^2 there",
    "score, Parameters, y": "labels here, numbers there",
    "score, Returns, score": "accuracy here, R^2 there",
    "from_weights, summary": "it names the class in words",
    "References": "that of the Gaussian loss",
    "from_weights, Raises, ValueError": "a classifier has classes",
}


def entries(obj, cls, prefix=""):
    """The text of each part of a docstring in NumPy's style, by the name of the part."""
    text = inspect.getdoc(obj).replace(cls.__name__, "{class}")
    summary, *sections = re.split(r"^(\w[\w ]*)\n-+\n", text, flags=re.MULTILINE)
    parts = {f"{prefix}summary": summary.strip()}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title in LISTS:  # an entry begins without indentation
            for entry in re.split(r"\n(?=\S)", body.strip()):
                parts[f"{prefix}{title}, {entry.split()[0]}"] = entry.strip()
        elif title not in OF_ONE_CLASS:
            parts[f"{prefix}{title}"] = body.strip()
    return parts


def documentation(cls):
    """The parts of the docstrings of a class and of its public methods, without inherited ones."""
    parts = entries(cls, cls)
    for name, method in inspect.getmembers(cls, inspect.isroutine):
        if not name.startswith("_") and method.__module__.startswith("fastbp"):
            parts |= entries(method, cls, f"{name}, ")
    return parts


def test_shared_docstrings_are_equal():
    one, other = documentation(MLPClassifier), documentation(MLPRegressor)
    shared = one.keys() & other.keys()
    for about in ("Parameters, alpha", "Attributes, coefs_", "Notes", "partial_fit, Parameters, X"):
        assert about in shared
    assert {about for about in shared if one[about] != other[about]} == DIFFERENT.keys()


def documented(cls, section):
    """The type of each name in a section of the class's docstring."""
    kinds = {}
    for about, text in entries(cls, cls).items():
        if about.startswith(f"{section}, "):
            header, _, description = text.partition("\n")
            name, colon, kind = header.partition(" : ")
            assert colon and kind, f"no type for {name!r}"
            assert description.startswith("    "), f"no description of {name!r}"
            kinds[name] = kind
    return kinds


@ESTIMATORS
def test_every_parameter_is_documented(Estimator):
    parameters = inspect.signature(Estimator).parameters
    described = documented(Estimator, "Parameters")
    assert list(described) == list(parameters)
    for name, parameter in parameters.items():
        default = parameter.default
        written = re.search(r"default=(.+)$", described[name])
        assert written, name
        text = written.group(1)
        if isinstance(default, float):
            assert float(text) == default
        else:
            assert text in (repr(default), str(default)), name


@ESTIMATORS
def test_every_name_that_a_parameter_takes_is_documented(Estimator):
    parts, n_names = entries(Estimator, Estimator), 0
    for parameter, constraints in Estimator._parameter_constraints.items():
        for constraint in constraints:
            for name in getattr(constraint, "options", ()):
                if isinstance(name, str):
                    assert f"'{name}'" in parts[f"Parameters, {parameter}"], name
                    n_names += 1
    assert n_names > 20


@ESTIMATORS
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_attribute_is_documented(Estimator, solver, early_stopping):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.RandomState(0).randn(60, 3), columns=["a", "b", "c"])
    estimator = Estimator(max_iter=2, solver=solver, early_stopping=early_stopping, batch_size=20)
    estimator.fit(X, np.arange(60) % 3)
    names = {*vars(estimator), *dir(Estimator)}  # attributes, and properties of the class
    fitted = {n for n in names if n.endswith("_") and not n.startswith("_")}
    fitted = {n for n in fitted if hasattr(estimator, n)}
    described = set(documented(Estimator, "Attributes"))
    assert fitted <= described
    if solver == "adam":
        assert described == fitted


@ESTIMATORS
def test_public_methods_are_documented(Estimator):
    for name, method in inspect.getmembers(Estimator, inspect.isfunction):
        if not name.startswith("_"):
            assert method.__doc__, name
