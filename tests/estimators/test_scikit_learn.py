"""What fastbp uses of scikit-learn without a promise: all of it is in one file, and does this."""

import ast
import warnings
from numbers import Real
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import LabelBinarizer

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import scikit_learn

FILES = sorted(Path(fastbp.__file__).parent.rglob("*.py"))


def private_imports(path):
    """Private names of scikit-learn that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sklearn":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            dotted = [alias.name.split(".") for alias in node.names]
            names = [name for parts in dotted if parts[0] == "sklearn" for name in parts]
        yield from (name for name in names if name.startswith("_"))


@pytest.mark.parametrize(
    "text",
    [
        "from sklearn.utils._x import y",
        "from sklearn.base import y, _x",
        "import numpy, sklearn.utils._x as z",
    ],
)
def test_private_imports_are_seen(text, tmp_path):
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    assert list(private_imports(path)) == ["_x"]


def test_private_names_are_in_one_file():
    found = {path.name for path in FILES if any(private_imports(path))}
    assert found == {"scikit_learn.py"}


def test_constraints_check_and_name_the_parameter():
    for name, wrong in {"alpha": -1, "solver": "newton", "tol": None, "max_iter": 0.5}.items():
        with pytest.raises(scikit_learn.InvalidParameterError, match=f"The '{name}' parameter of "):
            MLPRegressor(**{name: wrong})._validate_params()
    MLPRegressor(activation=lambda z: z, n_iter_no_change=np.inf)._validate_params()


def test_parameters_of_a_function_are_checked():
    @scikit_learn.validate_params(
        {"step": [scikit_learn.Interval(Real, 0, None, closed="neither"), None]},
        prefer_skip_nested_validation=False,
    )
    def function(step=None):
        return step

    assert function(0.5) == 0.5 and function() is None
    with pytest.raises(
        scikit_learn.InvalidParameterError, match=r"The 'step' parameter of .*function"
    ):
        function(-1.0)


def test_a_fit_runs_in_the_context_of_the_estimator_itself():
    seen = []

    class Estimator(BaseEstimator):
        _parameter_constraints: ClassVar[dict] = {}

        @scikit_learn.fit_context
        def fit(self):
            seen.append(self)
            return self

    estimator = Estimator()
    assert estimator.fit() is estimator and seen == [estimator]


def test_classes_of_the_first_call_of_partial_fit():
    model = SimpleNamespace()
    assert scikit_learn.check_partial_fit_classes(model, [2, 1])
    assert model.classes_.tolist() == [1, 2]
    assert not scikit_learn.check_partial_fit_classes(model, None)
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        scikit_learn.check_partial_fit_classes(model, [1, 3])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        scikit_learn.check_partial_fit_classes(SimpleNamespace(), None)


def test_sample_weights_are_float64_of_the_right_length():
    X = np.zeros((3, 2))
    weight = scikit_learn.check_sample_weight([1, 2, 3], X, dtype=np.float64)
    assert weight.dtype == np.float64 and weight.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="sample_weight"):
        scikit_learn.check_sample_weight([1, 2], X, dtype=np.float64)


@pytest.mark.parametrize(
    "classes, kind", [([3], "binary"), ([0, 7], "binary"), ([1, 2, 5], "multiclass")]
)
def test_a_binarizer_made_by_hand_is_a_fitted_one(classes, kind):
    classes = np.array(classes)
    ours, theirs = scikit_learn.label_binarizer(classes, kind), LabelBinarizer().fit(classes)
    assert vars(ours).keys() == vars(theirs).keys()
    assert ours.y_type_ == theirs.y_type_ and ours.sparse_input_ == theirs.sparse_input_
    np.testing.assert_array_equal(ours.transform(classes), theirs.transform(classes))


@pytest.mark.parametrize("fails", [False, True])
def test_the_callback_context_sees_the_estimator_that_is_fitted(fails, monkeypatch):
    """Its manager looks at `estimator` after `fit` has returned or raised: it is not a copy."""
    support = pytest.importorskip("sklearn.callback._callback_support", reason="scikit-learn < 1.9")
    seen = []
    original = support.callback_management_context

    def spy(estimator):
        seen.append(estimator)
        return original(estimator)

    monkeypatch.setattr(support, "callback_management_context", spy)
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    model = MLPClassifier((3,), max_iter=2)
    job = []
    make = MLPClassifier._job
    monkeypatch.setattr(
        MLPClassifier, "_job", lambda self, *a, **k: job.append(self) or make(self, *a, **k)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if fails:
            with pytest.raises(ValueError, match="NaN"):
                model.fit(np.full_like(X, np.nan), y)
        else:
            model.fit(X, y)
    assert len(seen) == 1 and seen[0] is model and job == [model]
