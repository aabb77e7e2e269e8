"""The dtype of a fit: where float32 is too coarse for the targets, float64 takes its place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.estimators.inputs import CheckedMatrix
from fastbp.estimators.messages import warn
from fastbp.estimators.moments import mean_and_spread
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.training import Objective

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
# float32 holds targets whose spread (standard deviation) is at least this part of their size (root
# mean square): its rounding errors are then below a hundredth of the spread.
LEAST_SPREAD = 100 * float(np.finfo(np.float32).eps)
# A fit compares losses that differ little: L-BFGS those of its trial steps, the others those of
# epochs, to see whether training has stalled. Up to these sizes of X and of y, the latter also in
# units of its spread, float32 finds what float64 finds. With exponentials (float32 holds exp(88),
# float64 exp(709)) the trial steps of L-BFGS overflow sooner. All are measured.
MOST_X, MOST_Y, MOST_Y_OF_EXP, MOST_SPREADS = 8.0, 1e4, 10.0, 20.0


class Precision(NamedTuple):
    """The dtypes of a fit."""

    training: np.dtype[Any]  # of samples and network while it is trained
    network: np.dtype[Any]  # of the network afterwards


def precision_of(
    estimator: CheckedEstimator,
    objective: Objective,
    X: CheckedMatrix,
    y: NDArray[Any],
    weights: NDArray[np.float64] | None,
    dtype: DTypeLike,
    *,
    incremental: bool,
) -> Precision:
    """The dtypes of a fit, given that of X or of the fitted network; it warns if both change.

    `y` has a column for each output. Calls of `partial_fit` are `incremental`.
    """
    kept = np.dtype(dtype)
    if kept != FLOAT32 or not estimator._y_is_numeric:
        return Precision(kept, kept)
    if incremental and weights is None and _differs_at_once(y):
        return Precision(kept, kept)
    with np.errstate(over="ignore"):
        mean, spread = mean_and_spread(y, weights)
    return precision_of_parts(
        estimator, objective, mean, spread, lambda: largest_of(X), incremental=incremental
    )


def precision_of_parts(
    estimator: CheckedEstimator,
    objective: Objective,
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    largest_x: Callable[[], float],
    *,
    incremental: bool = False,
) -> Precision:
    """The dtypes of a regressor's fit on float32, given mean and spread of y and max |X|."""
    kept = FLOAT32
    with np.errstate(over="ignore"):
        size = np.hypot(mean, spread)
    coarse = (spread > 0) & (spread < LEAST_SPREAD * size)
    if coarse.any():
        column = int(coarse.argmax())
        warn(
            f"y has a mean of {mean[column]:g} and a standard deviation of {spread[column]:g}"
            f"{f' in column {column}' if len(mean) > 1 else ''}, which float32 cannot resolve: "
            "training and predictions use float64. Subtract the mean from y to avoid this."
        )
        return Precision(FLOAT64, FLOAT64)
    is_lbfgs = estimator.solver == "lbfgs"
    has_exp = objective.link == "exp" or not isinstance(objective.loss, str)
    has_exp |= objective.loss == "gaussian"
    most = np.minimum(MOST_Y_OF_EXP if is_lbfgs and has_exp else MOST_Y, MOST_SPREADS * spread)
    is_fine = incremental or bool((size <= most).all())
    if is_lbfgs:
        is_fine = is_fine and largest_x() <= MOST_X
    return Precision(kept if is_fine else FLOAT64, kept)


def largest_of(X: CheckedMatrix) -> float:
    """The largest absolute value of X."""
    # SciPy's own max would write into X, and trust its indices.
    values = X if isinstance(X, np.ndarray) else np.asarray(X.data)
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def _differs_at_once(y: NDArray[Any]) -> bool:
    """Whether the first and the last row show that float32 holds y: a check of a few microseconds.

    If it does not, y differs from its mean by less than sqrt(n) * LEAST_SPREAD of its size. A
    single row has no spread.
    """
    if len(y) == 1:
        return True
    first, last = y[0].tolist(), y[-1].tolist()
    part = 4 * len(y) ** 0.5 * LEAST_SPREAD
    return all(abs(a - b) > part * abs(a) for a, b in zip(first, last, strict=True))
