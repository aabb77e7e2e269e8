"""What a fitted model says to those who export it: networks, link, classes and names."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.estimators.inputs import draft_of
from fastbp.estimators.labels import Labels
from fastbp.estimators.model import Model, model_of, of_one_moment
from fastbp.estimators.overrides import refuse_own_predictions
from fastbp.estimators.targets import LINK
from fastbp.kernels import is_core_float
from fastbp.network import Network

PLAIN = (MLPClassifier, MLPRegressor)
ENSEMBLES = (MLPEnsembleClassifier, MLPEnsembleRegressor)


@dataclass(frozen=True)
class Block:
    """The outputs of a target: those of the network, and the columns that are predicted.

    Parameters
    ----------
    width : int
        Outputs of the network.
    columns : int
        Predicted numbers: of one output of two classes both probabilities.
    link : str
        From the outputs of the network to the columns, one of `core.LINKS`.
    classes : ndarray or None
        The labels of a classifier.
    """

    width: int
    columns: int
    link: str
    classes: NDArray[Any] | None = None


@dataclass(frozen=True)
class Facts:
    """A fitted model as plain data.

    Parameters
    ----------
    title : str
        Its class.
    networks : tuple of Network
        One, or those of the members of an ensemble; copies.
    blocks : tuple of Block
        The targets in the order of the outputs. Regressors have one block.
    is_multilabel : bool
        Whether each class is there or not, independently of the others.
    is_gaussian : bool
        Whether the second half of the outputs are log variances.
    is_ensemble : bool
        Whether predictions are means of those of the networks.
    names : tuple of str or None
        Names of the features.
    """

    title: str
    networks: tuple[Network, ...]
    blocks: tuple[Block, ...]
    is_multilabel: bool
    is_gaussian: bool
    is_ensemble: bool
    names: tuple[str, ...] | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.networks[0].params.dtype

    @property
    def units(self) -> tuple[int, ...]:
        """Widths of all layers, the input's first."""
        return self.networks[0].units

    @property
    def is_classifier(self) -> bool:
        """Whether the model predicts classes."""
        return self.blocks[0].classes is not None

    @property
    def n_outputs(self) -> int:
        """Predicted numbers of a row."""
        return sum(block.columns for block in self.blocks)

    @property
    def has_std(self) -> bool:
        """Whether the model predicts standard deviations."""
        return self.is_gaussian or (self.is_ensemble and not self.is_classifier)


def facts_of(model: Any, dtype: DTypeLike | None) -> Facts:
    """The facts of a fitted estimator, with weights of this dtype or of their own.

    TypeError for an object that is no estimator of fastbp, NotFittedError for one without weights,
    ValueError for weights that are not finite.
    """
    if not isinstance(model, PLAIN + ENSEMBLES):
        kind = type(model)
        raise TypeError(
            "model must be a fitted MLPClassifier, MLPRegressor, MLPEnsembleClassifier or "
            f"MLPEnsembleRegressor of fastbp, got {kind.__module__}.{kind.__qualname__}. Of a "
            "pipeline or a search export the estimator itself, and give it its input as there."
        )
    draft = draft_of(model)
    check_is_fitted(draft)
    is_ensemble = isinstance(model, ENSEMBLES)
    members = [of_one_moment(one) for one in (draft.estimators_ if is_ensemble else [model])]
    for one in (model, *members):
        refuse_own_predictions(one, PLAIN + ENSEMBLES)
    models = [model_of(member) for member in members]
    wanted = np.result_type(*(one.network.params.dtype for one in models))
    if dtype is not None:
        wanted = np.dtype(dtype)
        if not is_core_float(wanted):
            raise ValueError(f"dtype must be None, 'float32' or 'float64', got {dtype!r}")
    is_gaussian = all(
        isinstance(member, MLPRegressor) and member.loss == "gaussian" for member in members
    )
    names = getattr(draft, "feature_names_in_", None)
    labels = models[0].labels
    return Facts(
        type(model).__name__,
        tuple(_in_dtype(one.network, wanted) for one in models),
        _blocks(models[0], is_gaussian),
        labels.binarizer is not None and labels.binarizer.y_type_ == "multilabel-indicator",
        is_gaussian,
        is_ensemble,
        None if names is None else tuple(map(str, names)),
    )


def _in_dtype(network: Network, dtype: np.dtype[Any]) -> Network:
    """The network in a dtype; ValueError if a weight is not finite there."""
    with np.errstate(over="ignore"):
        network = network.astype(dtype)
    for name in ("coefs", "intercepts"):
        for k, array in enumerate(getattr(network, name)):
            if not np.isfinite(array).all():
                raise ValueError(f"{name}_[{k}] has numbers that are not finite in {dtype}")
    return network


def _blocks(model: Model, is_gaussian: bool) -> tuple[Block, ...]:
    """The blocks of the outputs of a model."""
    labels, width = model.labels, model.network.units[-1]
    if labels.binarizer is None:
        return (Block(width, width // 2 if is_gaussian else width, model.link),)
    if not labels.targets:
        return (_block(labels, width, model.link),)
    own = {LINK: None}.get(model.link, model.link)
    return tuple(
        _block(one, one.width, own or ("softmax" if one.width > 1 else "logistic"))
        for one in labels.targets
    )


def _block(labels: Labels, width: int, link: str) -> Block:
    """The block of a target of a classifier."""
    classes = np.asarray(labels.classes)
    return Block(width, width if width > 1 else len(classes), link, classes)
