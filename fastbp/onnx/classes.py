"""What a graph of a classifier gives: labels and probabilities, of one target or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.onnx.graph import INTEGER, ML, Tensor
from fastbp.onnx.package import element_type, onnx_package
from fastbp.onnx.plan import Output

LARGEST_LABEL = np.iinfo(np.int64).max
STRINGS = np.dtype(object)


class Target(NamedTuple):
    """The probabilities of one target.

    Parameters
    ----------
    classes : ndarray
        In the dtype that tensors have for such labels.
    probability : Tensor
        A column for each class.
    is_multilabel : bool
        Whether each class is there or not, whatever the others are.
    """

    classes: NDArray[Any]
    probability: Tensor
    is_multilabel: bool = False

    def label(self) -> Tensor:
        """The most probable class; of a multilabel target, which ones are above 1/2."""
        if self.is_multilabel:
            return (self.probability > 0.5).cast(INTEGER)
        place = self.probability.op("ArgMax", dtype=INTEGER, axis=1, keepdims=0)
        table = place.graph.constant(self.classes, self.classes.dtype)
        return table.op("Gather", place, axis=0)


def mean_of_targets(targets: Sequence[Sequence[Target]]) -> list[Target]:
    """The targets of an ensemble: the mean probabilities of its members."""
    found = []
    for several in zip(*targets, strict=True):
        probabilities = [one.probability for one in several]
        mean = probabilities[0].graph.mean(probabilities)
        found.append(several[0]._replace(probability=mean))
    return found


def outputs_of_targets(targets: Sequence[Target]) -> list[Output]:
    """The labels of all targets, then their probabilities; numbered if there are several."""
    ends = [""] if len(targets) == 1 else [f"_{number}" for number in range(len(targets))]
    labels, probabilities = [], []
    for end, target in zip(ends, targets, strict=True):
        shape = [len(target.classes)]
        labels.append(Output(f"label{end}", target.label(), shape * target.is_multilabel))
        probabilities.append(
            Output(f"probabilities{end}", target.probability, shape, target.classes)
        )
    return labels + probabilities


def classes_in_tensors(classes: Any) -> NDArray[Any]:
    """Class labels as a tensor has them: strings, integers of 64 bits (bools too), or doubles."""
    labels = np.asarray(classes)
    if labels.dtype.kind == "O":
        labels = np.array(labels.tolist())  # numbers in a dtype of their own
    kind = labels.dtype.kind
    if kind == "U":
        return labels.astype(object)
    if kind == "b" or kind == "i" or (kind == "u" and labels.max() <= LARGEST_LABEL):
        return labels.astype(np.int64)
    if kind == "f":
        return labels.astype(np.float64)
    raise TypeError(
        "classes_ must be strings, bools, integers of 64 bits or floats, which tensors of ONNX "
        f"can hold, got {labels.tolist()[:3]} of dtype {np.asarray(classes).dtype}: fit with other "
        "labels."
    )


def write_maps(output: Output, name: str) -> Any:
    """Write probabilities as a list of dicts from class to probability; the type of the output."""
    classes, helper = output.classes, onnx_package().helper
    assert classes is not None
    if classes.dtype not in (INTEGER, STRINGS):
        raise TypeError(
            "zipmap=True needs classes_ that are strings or integers, which are the keys of maps "
            f"in ONNX, got {classes.tolist()[:3]}."
        )
    attribute = "classlabels_int64s" if classes.dtype == INTEGER else "classlabels_strings"
    single = output.tensor.cast(np.float32)  # there are no other maps
    single.op("ZipMap", name=name, domain=ML, **{attribute: classes.tolist()})
    number = helper.make_tensor_type_proto(element_type(np.float32), None)
    one = helper.make_map_type_proto(element_type(classes.dtype), number)
    return helper.make_value_info(name, helper.make_sequence_type_proto(one))
