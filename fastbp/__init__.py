"""Multilayer perceptrons with scikit-learn's interface, trained fast on a CPU.

>>> from fastbp import MLPClassifier, MLPRegressor
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastbp import kernels as _kernels  # noqa: F401  chooses the core, or raises

if TYPE_CHECKING:
    from fastbp import blocks as blocks
    from fastbp import callbacks as callbacks
    from fastbp import dask as dask
    from fastbp import ensemble as ensemble
    from fastbp import export as export
    from fastbp import graph as graph
    from fastbp import inspection as inspection
    from fastbp import onnx as onnx
    from fastbp import runtime as runtime
    from fastbp import schedules as schedules
    from fastbp import tabular as tabular
    from fastbp.estimators import MLPClassifier, MLPRegressor
    from fastbp.files import ModelFileError
    from fastbp.gradient_check import GradientCheck, check_gradient
    from fastbp.model_files import load, read_metadata

__version__ = "0.1.0"
# Imported when they are first used.
ROOMS = (
    "blocks",
    "callbacks",
    "dask",
    "ensemble",
    "export",
    "graph",
    "inspection",
    "onnx",
    "runtime",
    "schedules",
    "tabular",
)
__all__ = [
    "GradientCheck",
    "MLPClassifier",
    "MLPRegressor",
    "ModelFileError",
    "check_gradient",
    "load",
    "read_metadata",
]


def _get(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in ("MLPClassifier", "MLPRegressor"):
        from fastbp import estimators

        value = getattr(estimators, name)
    elif name in ("GradientCheck", "check_gradient"):
        from fastbp import gradient_check

        value = getattr(gradient_check, name)
    elif name in ("load", "read_metadata"):
        from fastbp import model_files

        value = getattr(model_files, name)
    elif name == "ModelFileError":
        from fastbp.files import ModelFileError as value
    elif name in ROOMS:
        value = importlib.import_module(f"fastbp.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # or type checkers take any name for one of the package
    __getattr__ = _get


def __dir__() -> list[str]:
    special = [name for name in globals() if name.startswith("__")]
    return sorted([*special, *__all__, *ROOMS])
