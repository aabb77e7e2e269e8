"""Checks of what a job reads of a fitted estimator besides its weights: users may have set it."""

from typing import Any

import numpy as np

from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.training import Optimizer
from fastbp.training.state_checks import (
    NUMBER,
    Check,
    described,
    instance_of,
    or_none,
    whole_number,
)

CURVE: Check = lambda value: hasattr(value, "append"), "a list, or have a method `append`"


def _are_names(value: Any) -> bool:
    return np.ndim(value) == 1 and np.asarray(value).dtype.kind in "OUT"


NAMES: Check = _are_names, "an array of names"
CHECKS: dict[str, Check] = {  # of attributes, as far as the estimator has them
    "t_": whole_number(0),
    "n_iter_": whole_number(0),
    "n_features_in_": whole_number(1),
    "feature_names_in_": or_none(NAMES),  # None means no names, as in scikit-learn
    "loss_": NUMBER,
    "loss_curve_": CURVE,
    "best_loss_": or_none(NUMBER),
    "validation_scores_": or_none(CURVE),
    "validation_loss_curve_": or_none(CURVE),
    "best_validation_score_": or_none(NUMBER),
    "_no_improvement_count": whole_number(0),
    "_random_state": instance_of(np.random.RandomState, "a RandomState"),
}
FEATURES = {name: CHECKS[name] for name in ("n_features_in_", "feature_names_in_")}


def check_attributes(estimator: CheckedEstimator, checks: dict[str, Check] = CHECKS) -> None:
    """Raise ValueError, with the name, if an attribute is not what fits leave there."""
    attributes = estimator.__dict__
    for name, (is_right, wanted) in checks.items():
        if name in attributes and not is_right(attributes[name]):
            raise ValueError(f"{name} must be {wanted}, got {described(attributes[name])}.")


def last_optimizer(estimator: CheckedEstimator, units: tuple[int, ...]) -> Optimizer | None:
    """The optimizer of the last call of `partial_fit`, checked; None: a new one begins."""
    optimizer: Any = getattr(estimator, "_optimizer", None)
    if optimizer is None:
        return None
    if not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"_optimizer must be that of a fit, or None for a new one, got {described(optimizer)}."
        )
    try:
        optimizer.check()
    except ValueError as error:
        raise ValueError(f"_optimizer is damaged: {error}") from None
    if optimizer.units != units:
        raise ValueError(
            f"_optimizer belongs to a network with the widths {optimizer.units}, but the estimator "
            f"has {units}. Set it to None for a new one."
        )
    return optimizer
