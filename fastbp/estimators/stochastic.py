"""Parameters that only 'sgd' and 'adam' have, and that scikit-learn does not have."""

from numbers import Real
from reprlib import repr as cut_repr
from typing import Any

import numpy as np

from fastbp.estimators.scikit_learn import CheckedEstimator

NAMES = ("dropout", "input_dropout", "weight_decay", "clip_norm", "ema_decay")


def refuse_for_lbfgs(estimator: CheckedEstimator) -> None:
    """Raise ValueError, with the name, if a parameter has an effect that 'lbfgs' does not know."""
    if estimator.solver != "lbfgs":
        return
    for name in NAMES:
        value = getattr(estimator, name)
        if value is not None and np.any(np.asarray(value, object) != 0):
            raise ValueError(f"{name} needs solver='sgd' or 'adam', got 'lbfgs'.")


def dropout_rates(
    estimator: CheckedEstimator, n_hidden: int, *, is_sparse: bool
) -> tuple[float, ...]:
    """Rates of the input and of each hidden layer, after a check; () if all are 0."""
    given = estimator.dropout
    hidden = [float(given)] * n_hidden if isinstance(given, Real) else _as_rates(given, n_hidden)
    if is_sparse and estimator.input_dropout > 0:
        raise ValueError(
            f"input_dropout needs dense X, got {estimator.input_dropout!r} with a sparse matrix."
        )
    rates = float(estimator.input_dropout), *hidden
    return rates if any(rates) else ()


def _as_rates(given: Any, n_hidden: int) -> list[float]:
    """The rates of a list, one for each hidden layer."""
    try:
        rates = np.asarray(given)
    except ValueError:  # rows of different lengths
        rates = np.empty((0, 0))
    if rates.shape != (n_hidden,) or rates.dtype.kind not in "fiub":
        raise ValueError(
            f"dropout must be a rate, or a list with one for each of {n_hidden} hidden layers, got "
            f"{cut_repr(given)}."
        )
    if not ((rates >= 0) & (rates < 1)).all():
        raise ValueError(
            f"dropout must have rates of at least 0 and below 1, got {cut_repr(given)}."
        )
    return [float(rate) for rate in rates]
