"""What is printed of an estimator is short and takes no time, whatever its parameters hold."""

import functools
import time
from itertools import pairwise

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators import scikit_learn

WIDTHS = (784, 1024, 1024, 10)
PAIR = (
    [np.full(shape, 0.1234) for shape in pairwise(WIDTHS)],
    [np.full(width, 0.1234) for width in WIDTHS[1:]],
)
LISTS = tuple([array.tolist() for array in arrays] for arrays in PAIR)
DEEP = ([np.ones((8, 8))] * 41, [np.ones(8)] * 41)
TEXT = (
    "init=(<3 arrays: (784, 1024), (1024, 1024), (1024, 10)>, <3 arrays: (1024,), (1024,), (10,)>)"
)


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    ("init", "text"),
    [
        (PAIR, TEXT),
        (LISTS, TEXT),
        (list(PAIR), "init=[<3 arrays: (784, 1024), (1024, 1024), (1024, 10)>, <3 arrays: "),
        (DEEP, "init=(<41 arrays: (8, 8), (8, 8), (8, 8), ...>, <41 arrays: (8,), "),
        (([], []), "init=(<0 arrays: >, <0 arrays: >)"),
        ((PAIR[0][0], None), "init=(<array (784, 1024)>, None)"),
        (([None, 3], ["a"]), "init=(<2 arrays: None, 3>, <1 arrays: 'a'>)"),
        (functools.partial(max, PAIR), "init=functools.partial(<built-in function max>, ...)"),
        ("orthogonal", "init='orthogonal'"),
    ],
    ids=["arrays", "lists", "list", "deep", "empty", "array", "odd", "partial", "name"],
)
def test_initial_weights_are_shown_by_their_shapes(kind, init, text):
    model = kind(init=init, hidden_layer_sizes=(1024, 1024), random_state=0)
    repr(model)
    began = time.perf_counter()
    shown = [repr(model), str(model), repr(make_pipeline(model)), repr(GridSearchCV(model, {}))]
    with sklearn.config_context(print_changed_only=False):
        shown.append(repr(model))
    html = model._repr_html_()
    assert time.perf_counter() - began < 2  # 23 s for the lists, as scikit-learn prints them
    assert all(text in flat(one) for one in shown)
    assert len(html) < 100_000
    assert model.get_params()["init"] is init and model.get_params(deep=False)["init"] is init
    assert type(clone(model).init) is type(init)


def test_a_list_that_contains_itself_is_shown():
    init = []
    init += [init, init]
    assert "init=[<2 arrays: (2, 2, 2), (2, 2, 2)>" in flat(repr(MLPClassifier(init=init)))


def test_functions_of_other_programs_get_the_parameters_themselves():
    def _get_params_html(model):
        return model.get_params()["init"]

    assert _get_params_html(MLPClassifier(init=PAIR)) is PAIR


def test_other_estimators_are_shown_as_before():
    model = MLPRegressor(hidden_layer_sizes=(3, 4), alpha=0.5)
    assert repr(model) == "MLPRegressor(alpha=0.5, hidden_layer_sizes=(3, 4))"
    with sklearn.config_context(print_changed_only=False):
        assert "init='auto'" in repr(model)


@pytest.mark.skipif(
    not hasattr(sklearn.base.BaseEstimator, "_get_params_html"),
    reason="this scikit-learn prints no parameters in HTML",
)
def test_the_functions_that_print_exist():
    """If scikit-learn names them otherwise, long parameters are printed in full again."""
    from sklearn.utils import _pprint

    names = {*dir(_pprint), *dir(_pprint._EstimatorPrettyPrinter), *dir(sklearn.base.BaseEstimator)}
    assert scikit_learn.PRINTERS <= names
