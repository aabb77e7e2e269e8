"""Parameters that only 'sgd' and 'adam' have, and that scikit-learn does not have."""

from fastbp.estimators.scikit_learn import CheckedEstimator

NONE = {"weight_decay": 0, "clip_norm": None, "ema_decay": None}  # the values without effect


def refuse_for_lbfgs(estimator: CheckedEstimator) -> None:
    """Raise ValueError, with the name, if a parameter has an effect that 'lbfgs' does not know."""
    if estimator.solver != "lbfgs":
        return
    for name, none in NONE.items():
        if getattr(estimator, name) != none:
            raise ValueError(f"{name} needs solver='sgd' or 'adam', got 'lbfgs'.")
