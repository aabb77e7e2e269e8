"""The network and the classes of a model in its description, as predictions need them.

They can be read without scikit-learn.
"""

from __future__ import annotations

from reprlib import repr as cut_repr
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.files.values import Reader, Writer
from fastbp.kernels import core
from fastbp.network import Network, count_params

ONE_OUTPUT = "binary"  # the kinds of targets have the names of scikit-learn's LabelBinarizer
EACH_CLASS = ("multiclass", "multilabel-indicator")
LINK_OF_SEVERAL = "grouped_softmax"


class SavedLabels(NamedTuple):
    """The classes of a classifier.

    Parameters
    ----------
    kind : str
        'binary' (one output, the probability of the second class, or of the only one),
        'multiclass', 'multilabel-indicator', or 'multiclass-multioutput' for several targets.
    classes : ndarray or None
        In rising order; None for several targets.
    sparse : bool
        Whether predictions are sparse matrices, as multilabel targets were.
    targets : tuple of SavedLabels
        Of several targets, whose outputs follow each other.
    """

    kind: str
    classes: NDArray[Any] | None
    sparse: bool = False
    targets: tuple[SavedLabels, ...] = ()

    @property
    def n_outputs(self) -> int:
        """The number of outputs that they need."""
        if self.targets:
            return sum(one.n_outputs for one in self.targets)
        assert self.classes is not None
        return 1 if self.kind == ONE_OUTPUT else len(self.classes)


class SavedNetwork(NamedTuple):
    """A network with the function that makes predictions of its outputs.

    Parameters
    ----------
    network : Network
        Its parameters are a view of the file's bytes.
    link : str
        A name in the core's LINKS.
    labels : SavedLabels or None
        None for a regressor.
    """

    network: Network
    link: str
    labels: SavedLabels | None


def network_node(
    network: Network, link: str, labels: SavedLabels | None, writer: Writer
) -> dict[str, Any]:
    """The description of a network; all its parameters are one tensor, in the arena's order."""
    return {
        "units": list(network.units),
        "params": writer.tensor(network.params, "params"),
        "link": link,
        "labels": None if labels is None else _labels_node(labels, writer, "classes_"),
    }


def _labels_node(labels: SavedLabels, writer: Writer, name: str) -> dict[str, Any]:
    if labels.targets:
        pairs = enumerate(labels.targets)
        return {"targets": [_labels_node(one, writer, f"{name}.{k}") for k, one in pairs]}
    _check_classes(labels.classes, name)
    classes = writer.value(labels.classes, name)
    return {"kind": labels.kind, "classes": classes, "sparse": labels.sparse}


def read_network(node: Any, activation: Any, reader: Reader) -> SavedNetwork:
    """The network that `network_node` described; ValueError if it is none.

    Parameters
    ----------
    node : dict
    activation : str, Expression, or list of them
        The value of the parameter: `reader.value` of that in the description.
    reader : Reader
    """
    reader.fields(node, "network", {"units", "params", "link", "labels"})
    units, link = node["units"], node["link"]
    if not (
        isinstance(units, list)
        and len(units) > 1
        and all(type(width) is int and width > 0 for width in units)
    ):
        raise ValueError(f"units must be a list of two widths at least, got {cut_repr(units)}")
    params, size = reader.tensor(node["params"], "params"), count_params(units)
    if params.dtype.type not in (np.float32, np.float64) or params.shape != (size,):
        raise ValueError(
            f"the tensor of the parameters must have {size} numbers, float32 or float64, for the "
            f"widths {units}, got {params.dtype} of shape {params.shape}"
        )
    if not isinstance(link, str) or link not in core.LINKS:
        raise ValueError(f"link must be one of {', '.join(core.LINKS)}, got {cut_repr(link)}")
    network = Network(units, activation, params.dtype).over(params)
    if not network.is_finite():
        raise ValueError("coefs_ and intercepts_ must be finite")
    labels = None if node["labels"] is None else _read_labels(node["labels"], reader)
    if labels is not None and labels.n_outputs != units[-1]:
        raise ValueError(f"the classes need {labels.n_outputs} outputs, but there are {units[-1]}")
    if (link == LINK_OF_SEVERAL) != (labels is not None and bool(labels.targets)):
        raise ValueError(f"the link {link!r} does not fit the classes")
    return SavedNetwork(network, link, labels)


def _read_labels(node: Any, reader: Reader) -> SavedLabels:
    if isinstance(node, dict) and node.keys() == {"targets"}:
        parts = node["targets"]
        if not isinstance(parts, list) or len(parts) < 2:
            raise ValueError(f"several targets must be a list, got {cut_repr(parts)}")
        targets = tuple(_read_single(one, reader) for one in parts)
        return SavedLabels("multiclass-multioutput", None, False, targets)
    return _read_single(node, reader)


def _read_single(node: Any, reader: Reader) -> SavedLabels:
    """The labels of one target."""
    reader.fields(node, "labels", {"kind", "classes", "sparse"})
    kind, sparse = node["kind"], node["sparse"]
    classes = reader.value(node["classes"], "classes_")
    if kind not in (ONE_OUTPUT, *EACH_CLASS) or type(sparse) is not bool:
        raise ValueError(f"labels are of no known kind: {cut_repr(kind)}, {cut_repr(sparse)}")
    _check_classes(classes, "classes_")
    if kind == ONE_OUTPUT and len(classes) > 2:
        raise ValueError(f"two classes at most have one output, got {len(classes)}")
    return SavedLabels(kind, classes, sparse)


def _check_classes(classes: Any, name: str) -> None:
    """Raise ValueError unless these are the labels of one target."""
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not len(classes):
        raise ValueError(f"{name} must be an array of labels, got {cut_repr(classes)}")
    if not (classes[1:] > classes[:-1]).all():
        raise ValueError(f"{name} must be in rising order, each once, got {cut_repr(classes)}")


def check_names(names: Any, n_features: int) -> None:
    """Raise ValueError unless these are the names of so many features."""
    is_array = isinstance(names, np.ndarray) and names.shape == (n_features,)
    if not is_array or not all(isinstance(one, str) for one in names.tolist()):
        raise ValueError(f"feature_names_in_ must be {n_features} strings")
