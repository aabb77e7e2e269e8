"""Multilayer perceptrons, trained fast on a CPU, with scikit-learn's manners.

>>> from fastbp import MLPClassifier, MLPRegressor
"""

from typing import TYPE_CHECKING

from fastbp import kernels as _kernels  # noqa: F401  picks the core, or says why it cannot

if TYPE_CHECKING:
    from fastbp.estimators import MLPClassifier, MLPRegressor
    from fastbp.gradient_check import GradientCheck, check_gradient

__version__ = "0.1.0"
__all__ = ["GradientCheck", "MLPClassifier", "MLPRegressor", "check_gradient"]


def __getattr__(name):
    """Import what is asked for, when it is asked for."""
    if name in ("MLPClassifier", "MLPRegressor"):
        from fastbp import estimators as room
    elif name in ("GradientCheck", "check_gradient"):
        from fastbp import gradient_check as room
    elif name == "graph":
        import fastbp.graph

        return fastbp.graph
    elif name == "inspection":
        import fastbp.inspection

        return fastbp.inspection
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(room, name)
    return value


def __dir__():
    return sorted([*globals(), *__all__, "graph", "inspection"])
