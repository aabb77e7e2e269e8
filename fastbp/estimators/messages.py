"""Warnings that point at the user's line, and scikit-learn's message about L-BFGS."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

import sklearn
from scipy.optimize import OptimizeResult

# Frames of these folders are skipped. scikit-learn is among them since its decorators call `fit`.
_OURS = tuple(
    folder + os.sep for module in (sys.modules["fastbp"], sklearn) for folder in module.__path__
)

INTERRUPTED = "Training interrupted by user."

Said: TypeAlias = list[tuple[str, type[Warning]]]  # messages and categories of warnings
_collected: ContextVar[Said | None] = ContextVar("collected", default=None)


@contextmanager
def collected() -> Iterator[Said]:
    """Collect warnings in a list instead of giving them, in threads that have no line of a user."""
    said: Said = []
    token = _collected.set(said)
    try:
        yield said
    finally:
        _collected.reset(token)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost frame outside of fastbp and scikit-learn."""
    said = _collected.get()
    if said is not None:
        said.append((message, category))
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def lbfgs_message(result: OptimizeResult, max_iter: int) -> str:
    """The warning of scikit-learn 1.9 if L-BFGS has not converged, else ''."""
    if result.status == 0:
        return ""
    n_iter = min(result.nit, max_iter)
    more = ""
    if n_iter == max_iter:
        more = (
            f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
        )
    return (
        f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
        f"{result.message}\n{more}\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
