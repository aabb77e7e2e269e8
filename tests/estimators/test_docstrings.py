"""The docstrings of both estimators say the same about what both have."""

import inspect
import re

from fastbp import MLPClassifier, MLPRegressor

LISTS = {"Parameters", "Attributes", "Returns", "Raises"}  # sections of named entries
OF_ONE_CLASS = {"Examples", "See Also"}

# What differs on purpose, and why.
DIFFERENT = {
    "summary": "the kinds of targets",
    "Parameters, loss": "other losses",
    "Attributes, out_activation_": "other links",
    "Attributes, validation_scores_": "accuracy here, R^2 there",
    "fit, Parameters, y": "labels here, numbers there",
    "fit, Parameters, y_val": "labels here, numbers there",
    "partial_fit, Parameters, y": "labels here, numbers there",
    "predict, summary": "labels here, numbers there",
    "predict, Returns, y": "labels here, numbers there",
    "from_weights, summary": "it names the class in words",
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
