"""Multilayer perceptrons, trained fast on a CPU, with scikit-learn's manners.

>>> from fastbp import MLPClassifier, MLPRegressor
"""

from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.gradient_check import GradientCheck, check_gradient

__version__ = "0.1.0"
__all__ = ["GradientCheck", "MLPClassifier", "MLPRegressor", "check_gradient"]


def __getattr__(name):
    if name == "inspection":  # imported when first asked for
        import fastbp.inspection

        return fastbp.inspection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
