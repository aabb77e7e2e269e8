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
    model = attributes.get("_model")
    if model is not None and model.is_that_of(attributes):
        return model
    for name in ("coefs_", "intercepts_", "out_activation_"):
        if name not in attributes:
            getattr(estimator, name)  # raises AttributeError
    model = _made_of(attributes)
    # The lists get views into the new network, and the estimator the model. If a fit in another
    # thread has meanwhile replaced the lists, the next call makes a model of the new lists.
    for name, views in (("coefs_", model.network.coefs), ("intercepts_", model.network.intercepts)):
        if isinstance(attributes[name], list):
            attributes[name][:] = views
    estimator._model = model
    return model


def _made_of(attributes: dict[str, Any]) -> Model:
    """The model of the public attributes."""
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
