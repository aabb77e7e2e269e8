"""Multilayer perceptrons, trained fast on a CPU, with scikit-learn's manners.

>>> from fastbp import MLPClassifier, MLPRegressor
"""

from fastbp.estimators import MLPClassifier, MLPRegressor

__version__ = "0.1.0"
__all__ = ["MLPClassifier", "MLPRegressor"]


def __getattr__(name):
    if name == "inspection":  # imported when first asked for
        import fastbp.inspection

        return fastbp.inspection
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
