"""Model: everything that a prediction needs, in one object that is replaced by one assignment.

A model is a cache of the public attributes, which users may set. Another thread may replace them
during a prediction. So each public method reads the model once and then uses only that object.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.network import Network

NO_CLASSES: NDArray[Any] = np.empty(0)  # of a regressor


class Labels(NamedTuple):
    """The classes of a classifier, and its LabelBinarizer."""

    classes: NDArray[Any] = NO_CLASSES
    binarizer: Any = None  # of scikit-learn, which has no types

    @property
    def is_multinomial(self) -> bool:
        """Whether each sample has one of more than two classes."""
        return self.binarizer is not None and self.binarizer.y_type_ == "multiclass"


class Model(NamedTuple):
    """A fitted network, with the link and labels that turn its outputs into predictions."""

    network: Network
    link: str
    n_outputs: int
    labels: Labels

    def is_that_of(self, attributes: dict[str, Any]) -> bool:
        """Whether the model was made of these attributes of an estimator."""
        get = attributes.get
        return (
            self.network.activation == get("activation")
            and self.network.holds(get("coefs_", ()), get("intercepts_", ()))
            and self.link == get("out_activation_")
            and self.n_outputs == get("n_outputs_")
            and self.labels.classes is get("classes_", NO_CLASSES)
            and self.labels.binarizer is get("_label_binarizer")
        )


def current_model(estimator: CheckedEstimator) -> Model:
    """The model of a fitted estimator. It is made again if users have set public attributes."""
    attributes = estimator.__dict__
    model = attributes.get("_model")
    if model is not None and model.is_that_of(attributes):
        return model
    attributes = attributes.copy()  # in one step: never half of two models
    model = model_of(attributes)
    store(estimator, attributes, model)
    return model


def model_of(attributes: dict[str, Any]) -> Model:
    """The model of an estimator's attributes, which must not change meanwhile; it is not stored."""
    model = attributes.get("_model")
    return model if model is not None and model.is_that_of(attributes) else _made_of(attributes)


def store(estimator: CheckedEstimator, attributes: dict[str, Any], model: Model) -> None:
    """Store a model that was made of these attributes, unless a fit has replaced them meanwhile.

    `coefs_` and `intercepts_` become lists of views into its network.
    """
    now = estimator.__dict__
    coefs, intercepts = list(model.network.coefs), list(model.network.intercepts)
    if all(now.get(name) is attributes[name] for name in ("coefs_", "intercepts_")):
        now.update(_model=model, coefs_=coefs, intercepts_=intercepts)


def _made_of(attributes: dict[str, Any]) -> Model:
    """The model of the public attributes."""
    needed = ["coefs_", "intercepts_", "out_activation_"]
    if "_label_binarizer" in attributes or "classes_" in attributes:
        needed += ["classes_", "_label_binarizer"]
    for name in needed:
        if name not in attributes:
            raise AttributeError(f"the estimator has no attribute {name!r}, but was fitted")
    network = Network.from_arrays(
        attributes["coefs_"], attributes["intercepts_"], attributes["activation"]
    )
    expected = attributes.get("n_features_in_", network.units[0])
    if network.units[0] != expected:
        raise ValueError(
            f"coefs_[0] has {network.units[0]} rows, but the model was fitted on {expected} "
            "features."
        )
    labels = Labels(attributes.get("classes_", NO_CLASSES), attributes.get("_label_binarizer"))
    n_outputs = attributes.get("n_outputs_", network.units[-1])
    return Model(network, attributes["out_activation_"], n_outputs, labels)
