"""Methods of scikit-learn's perceptrons that a subclass overrides in vain."""

from functools import lru_cache
from typing import Any

from fastbp.estimators.scikit_learn import CheckedEstimator

INITIAL = "`init` takes arrays or a function for the initial weights"
TARGETS = "`fit` takes soft labels; convert other data before it"
LAYERS = "`activation` takes functions, `fastbp.inspection.activations` gives the layers' values"
LOSS = "`loss` takes a function, whose derivative is found"
LOOP = "call `partial_fit`, which is one epoch, in a loop of your own"
SCORE = "`fit` takes X_val and y_val; or call `partial_fit` in a loop of your own"
ARRAYS = "`coefs_` and `intercepts_` may be set"
WAYS = {
    "_init_coef": INITIAL,
    "_initialize": INITIAL,
    "_validate_input": TARGETS,
    "_forward_pass": LAYERS,
    "_forward_pass_fast": LAYERS,
    "_backprop": LOSS,
    "_compute_loss_grad": LOSS,
    "_loss_grad_lbfgs": LOSS,
    "_fit": LOOP,
    "_fit_stochastic": LOOP,
    "_fit_lbfgs": LOOP,
    "_update_no_improvement_count": SCORE,
    "_score": SCORE,
    "_score_with_function": SCORE,
    "_pack": ARRAYS,
    "_unpack": ARRAYS,
    "_predict": "override `predict` or `predict_proba`",
}


def refuse_overrides(estimator: CheckedEstimator) -> None:
    """Raise TypeError if the class or the object has one of scikit-learn's private methods."""
    own = WAYS.keys() & estimator.__dict__.keys()
    kind: Any = type(estimator)
    name = min(own) if own else _overridden(kind)
    if name:
        raise TypeError(
            f"{kind.__name__} overrides {name}, a private method of scikit-learn that "
            f"fastbp never calls. Instead: {WAYS[name]}."
        )


@lru_cache(64)
def _overridden(kind: Any) -> str:
    """The first of the names that a class outside of fastbp defines; '' if there is none."""
    for name in WAYS:
        for base in kind.__mro__:
            if name in vars(base):
                if base.__module__.partition(".")[0] != "fastbp":
                    return name
                break
    return ""
