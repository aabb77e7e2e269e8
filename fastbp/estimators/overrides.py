"""Methods of scikit-learn's perceptrons that a subclass overrides in vain."""

from collections.abc import Iterable
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


NAMES = frozenset(WAYS)
OURS: dict[type, dict[str, Any]] = {}  # the functions of fastbp's classes that have such a name


def note_ours(*kinds: type[CheckedEstimator]) -> None:
    """Note the functions of classes of fastbp, before anyone can put others into the classes."""
    for base in {base for kind in kinds for base in kind.__mro__}:
        OURS[base] = {name: vars(base)[name] for name in WAYS if name in vars(base)}


def refuse_overrides(estimator: CheckedEstimator) -> None:
    """Raise TypeError if the class or the object has one of scikit-learn's private methods.

    The classes are asked at each fit, since methods can be put into them at any time.
    """
    kind: Any = type(estimator)
    own = estimator.__dict__.keys()
    name = "" if own.isdisjoint(NAMES) else _one_of(own & NAMES)
    for attributes, others, ours in _definitions(kind):
        if not attributes.keys().isdisjoint(others):
            name = name or _one_of(attributes.keys() & others)
        for known, function in ours.items():
            if attributes.get(known) is not function:
                name = name or known
    if name:
        raise TypeError(
            f"{kind.__name__} overrides {name}, a private method of scikit-learn that "
            f"fastbp never calls. Instead: {WAYS[name]}."
        )


PREDICTIONS = ("predict", "predict_proba", "transform")


def refuse_own_predictions(model: Any, kinds: Iterable[type]) -> None:
    """Raise TypeError if a subclass of one of these predicts in its own way.

    An export has the predictions of the class of fastbp.
    """
    known = next(kind for kind in kinds if isinstance(model, kind))
    for name in PREDICTIONS:
        if getattr(type(model), name, None) is not getattr(known, name, None):
            raise TypeError(
                f"{type(model).__name__} overrides {name}, but an export would have the {name} of "
                f"{known.__name__}: it has no functions of Python."
            )


def _one_of(names: Iterable[str]) -> str:
    """The first of the names in their order; '' if there are none."""
    return min(names, default="")


@lru_cache(64)
def _definitions(kind: type) -> list[tuple[Any, frozenset[str], dict[str, Any]]]:
    """Of each class that may override: its live attributes, names it may not have, and OURS."""
    return [
        (vars(base), NAMES - OURS.get(base, {}).keys(), OURS.get(base, {}))
        for base in kind.__mro__
        if base not in CheckedEstimator.__mro__ and not base.__module__.startswith("sklearn.")
    ]
