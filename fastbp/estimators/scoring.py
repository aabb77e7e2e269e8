"""Scores of the parameter `scoring`, by scikit-learn's scorers and functions of users."""

import inspect
import math
from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.inputs import draft_of
from fastbp.estimators.labels import Labels
from fastbp.estimators.model import make_model
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.network import Network

LOSS = "loss"


def scorer_of(scoring: Any) -> Callable[..., Any] | None:
    """The scorer that the parameter names; None for scores that need none."""
    if scoring is None or scoring == LOSS:
        return None
    if callable(scoring):
        return scoring
    from sklearn.metrics import get_scorer  # imported late: it takes 18 ms

    try:
        return get_scorer(scoring)
    except ValueError as error:
        raise ValueError(f"scoring must be None, 'loss', a callable or a name: {error}") from None


def attributes_of(network: Network, link: str, labels: Labels) -> dict[str, Any]:
    """The fitted attributes that predictions need, as views of a network."""
    attributes = dict(
        _model=make_model(network, link, labels),
        coefs_=list(network.coefs),
        intercepts_=list(network.intercepts),
        out_activation_=link,
        n_outputs_=network.units[-1],
        n_layers_=len(network.units),
    )
    if labels.binarizer is not None:
        attributes.update(classes_=labels.classes, _label_binarizer=labels.binarizer)
    return attributes


class ScorerOfEpoch:
    """Calls a scorer with a view of the estimator; NaN where a prediction is not finite.

    Parameters
    ----------
    scorer : callable
        ``scorer(estimator, X, y)`` or ``scorer(estimator, X, y, sample_weight=...)``.
    estimator : MLPClassifier or MLPRegressor
        The one that is fitted; it is not changed.
    network : Network
        The one in training.
    link : str
    labels : Labels
    given : tuple
        X and y of the validation samples as the user gave them; their weights, float64 or None.
    """

    def __init__(
        self,
        scorer: Any,
        estimator: CheckedEstimator,
        network: Network,
        link: str,
        labels: Labels,
        given: tuple[Any, Any, Any],
    ) -> None:
        self.scorer, self.network, self.link, self.labels = scorer, network, link, labels
        self.view: Any = draft_of(estimator)
        self.X, self.y, sample_weight = given
        self.params: Any = None
        self.kwargs: dict[str, NDArray[Any]] = {}
        if sample_weight is not None and takes_weights(scorer):
            self.kwargs["sample_weight"] = sample_weight

    def __call__(self, prediction: NDArray[Any], params: NDArray[Any]) -> float:
        if params is not self.params:
            self.params = params
            network = self.network.over(params)
            vars(self.view).update(attributes_of(network, self.link, self.labels))
        if not np.isfinite(prediction).all():  # as without a scorer; scorers would raise
            return math.nan
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
                score = self.scorer(self.view, self.X, self.y, **self.kwargs)
        except StopIteration as error:  # SciPy would take it for the wish to stop
            raise RuntimeError("scoring raised StopIteration") from error
        if not isinstance(score, Real):
            raise ValueError(f"scoring must return a number, got {score!r}.")
        return float(score)


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer has the parameter sample_weight, and its metadata request allows it."""
    routing = getattr(scorer, "get_metadata_routing", None)
    if routing is not None:
        requests = getattr(routing(), "score", None)
        if requests is not None and requests.requests.get("sample_weight") is False:
            return False
    function = getattr(scorer, "_score_func", scorer)  # of scikit-learn's scorers
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return "sample_weight" in parameters or takes_all
