"""All private names of scikit-learn that fastbp uses. No other file may import one.

They may change without notice. `tests/estimators/test_scikit_learn.py` tests each of them.
"""

import sys
from functools import lru_cache
from operator import is_
from types import SimpleNamespace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    _fit_context,  # checks the parameters, and manages scikit-learn's callbacks
)
from sklearn.utils import _safe_indexing as rows_of  # of arrays, frames, lists, sparse matrices
from sklearn.utils._param_validation import (  # constraints of parameters and their one error
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    make_constraint,
    validate_params,
)
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_partial_fit_classes
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from fastbp.estimators.brief import brief

if TYPE_CHECKING:
    from sklearn.preprocessing import LabelBinarizer

fit_context = _fit_context(prefer_skip_nested_validation=True)
meta_fit_context = _fit_context(prefer_skip_nested_validation=False)  # the members check theirs

__all__ = [
    "CheckedEstimator",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "callback_support",
    "check_partial_fit_classes",
    "check_sample_weight",
    "fit_context",
    "label_binarizer",
    "meta_fit_context",
    "parameter_names",
    "quantile_of_d2",
    "rows_of",
    "validate_params",
]


# Functions that ask an estimator for the parameters that they print.
PRINTERS = {"_changed_params", "_safe_repr", "_pprint_estimator", "_get_params_html"}


@lru_cache(64)
def _constraints(cls):
    """Pairs (name, constraints), one for each parameter of an estimator class."""
    known = cls._parameter_constraints
    return [
        (name, [make_constraint(constraint) for constraint in known[name]])
        for name in cls._get_param_names()
        if known.get(name, "no_validation") != "no_validation"
    ]


@lru_cache(64)
def parameter_names(cls):
    """The names of the parameters of an estimator class."""
    return tuple(cls._get_param_names())


IMMUTABLE = (str, bool, int, float, type(None))
# Parameters that were valid in the last check, by class.
_valid: WeakKeyDictionary[type, dict[str, object]] = WeakKeyDictionary()


class CheckedEstimator(BaseEstimator):
    """An estimator with a fast check of its parameters."""

    # scikit-learn's page describes the same API. Notebooks show descriptions of parameters only if
    # there is a page to link to. To be changed when fastbp has its own pages.
    _doc_link_module = "fastbp"
    _doc_link_template = (
        "https://scikit-learn.org/stable/modules/generated/"
        "sklearn.neural_network.{estimator_name}.html"
    )

    def _store(self, parameters):
        """Set the constructor's parameters, given its locals()."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def get_params(self, deep=True):
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the parameters of contained estimators too.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep)
        # Arrays in `init` would be printed for seconds, several times. A method `__repr__` here
        # would be of no use: scikit-learn prints what a Pipeline contains without it.
        caller = sys._getframe(1)
        is_shown = caller.f_code.co_name in PRINTERS
        if is_shown and caller.f_globals["__name__"].startswith("sklearn."):
            params["init"] = brief(params["init"])
        return params

    def __sklearn_is_fitted__(self):
        """Whether there are parameters. If one of the two is missing, it is missed by name.

        Without this method scikit-learn iterates over all attributes, which fails if another thread
        adds one.
        """
        return not self.__dict__.keys().isdisjoint(("coefs_", "intercepts_"))

    def _validate_params(self):
        """Check the parameters quickly; let scikit-learn raise if one is invalid.

        Values that were valid in the last call for the class, defaults above all, are not checked
        again if they are the same objects.
        """
        kind, valid = type(self), {}
        last = _valid.get(kind, valid)
        for name, constraints in _constraints(kind):
            value = getattr(self, name)
            if name not in last or last[name] is not value:
                if not any(constraint.is_satisfied_by(value) for constraint in constraints):
                    super()._validate_params()
            if type(value) in IMMUTABLE:
                valid[name] = value
        _valid[kind] = valid

    def _validate_new_params(self, known):
        """Check the parameters, unless all are the known objects. Returns them.

        For later calls of `partial_fit`, in which scikit-learn checks no parameter.
        """
        values = [getattr(self, name) for name, _ in _constraints(type(self))]
        if len(known) != len(values) or not all(map(is_, values, known)):
            self._validate_params()
        return values


def label_binarizer(classes: NDArray[np.integer], kind: str) -> "LabelBinarizer":
    """The result of `LabelBinarizer().fit` for sorted integer classes, without its checks.

    `kind` is 'binary' or 'multiclass'.
    """
    from sklearn.preprocessing import LabelBinarizer  # imported late: it takes longer than fastbp

    binarizer = LabelBinarizer()
    vars(binarizer).update(y_type_=kind, sparse_input_=False, classes_=classes)
    return binarizer


def quantile_of_d2(y, sample_weight, level):
    """The quantile of each column by which `d2_pinball_score` divides; None before version 1.9.

    The older ones take another quantile.
    """
    from sklearn.utils.stats import _weighted_percentile

    if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
        return None
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    return _weighted_percentile(y, weight, percentile_rank=level * 100, average=True)


def callback_support():
    """How scikit-learn begins and ends a fit with callbacks; None before version 1.9.

    Imported late: it takes longer than a small fit.
    """
    try:
        from sklearn.callback import CallbackSupportMixin
        from sklearn.callback._callback_context import CallbackContext
        from sklearn.callback._callback_support import callback_management_context
    except ImportError:
        return None
    if not hasattr(CallbackContext, "call_on_fit_task_end"):
        return None

    def begin(estimator, task_name, max_subtasks):
        return CallbackSupportMixin._init_callback_context(
            estimator, task_name=task_name, max_subtasks=max_subtasks
        )

    return SimpleNamespace(begin=begin, managing=callback_management_context)
