"""Model: everything that a prediction needs, in one object that is replaced by one assignment.

A model is a cache. The public attributes are the truth, and users may set them: an array that a
user put into `coefs_` is read where it lies, at every prediction, and is never replaced or cast.
Another thread may set attributes during a prediction. So each public method reads the model once
and then uses only that object.
"""

import time
from collections.abc import Sequence
from numbers import Integral
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import DTypeLike, NDArray

from fastbp.estimators.guard import guard_of, is_whole
from fastbp.estimators.inputs import draft_of
from fastbp.estimators.labels import Labels, TargetBinarizers, known_labels
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.targets import LINK, check_width
from fastbp.kernels import core, is_core_float
from fastbp.network import Network, check_arrays, params_dtype
from fastbp.runtime.rows import laid_out

# Attributes that a prediction reads besides the arrays; regressors have all but the last.
FACTS = ("activation", "out_activation_", "n_outputs_", "n_layers_", "_label_binarizer")
LISTS = ("coefs_", "intercepts_")


class Model(NamedTuple):
    """A fitted network, with the link and labels that turn its outputs into predictions."""

    network: Network
    link: str
    labels: Labels
    # What the model was made of: the entries of both lists, and the other attributes.
    entries: tuple[tuple[Any, ...], tuple[Any, ...]]
    facts: tuple[Any, ...]
    owns: bool  # whether the arrays are the views of the network
    direct: bool  # whether the core can read them as they are
    row: Any  # the core's door of a single row, or None

    def __reduce__(self) -> tuple[Any, ...]:
        """For copies, whose network and entries are copied apart: no door, and nothing is owned."""
        return Model, (*self[:-3], False, self.direct, None)

    def is_that_of(self, attributes: dict[str, Any]) -> bool:
        """Whether the model was made of these attributes of an estimator."""
        names = FACTS[: len(self.facts)]
        try:
            return core.is_made_of(attributes, names, self.facts, LISTS, self.entries)
        except (TypeError, ValueError):  # one cannot be compared
            return False

    def arrays(
        self, dtype: DTypeLike, is_sparse: bool = False
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arrays of all layers as the core takes them; those that are need no copy.

        For sparse rows the first weights lie by rows.
        """
        n = len(self.network.coefs)
        coefs, intercepts = (entries[:n] for entries in self.entries)
        if not self.direct or dtype != self.network.params.dtype:

            def lowered(array: Any) -> NDArray[Any]:
                by_columns = isinstance(array, np.ndarray) and array.flags.f_contiguous
                return laid_out(array, dtype, "F" if by_columns else "C")

            coefs, intercepts = tuple(map(lowered, coefs)), tuple(map(lowered, intercepts))
        if is_sparse and not coefs[0].flags.c_contiguous:
            coefs = (np.ascontiguousarray(coefs[0]), *coefs[1:])
        return coefs, intercepts

    def copy_network(self, dtype: DTypeLike | None = None) -> Network:
        """A network with copies of the values of the arrays, in this dtype or in their own."""
        network = self.network.astype(self.network.params.dtype if dtype is None else dtype)
        if not self.owns:
            network.set_arrays(*self.arrays(network.params.dtype))
        return network


def make_model(network: Network, link: str, labels: Labels) -> Model:
    """The model of a network that was just fitted."""
    facts: tuple[Any, ...] = (network.activation, link, network.units[-1], len(network.units))
    facts = facts if labels.binarizer is None else (*facts, labels.binarizer)
    return _over_network(network, link, labels, facts)


def _over_network(network: Network, link: str, labels: Labels, facts: tuple[Any, ...]) -> Model:
    """The model of a network whose views are the arrays of the estimator."""
    entries = tuple(network.coefs), tuple(network.intercepts)
    row = _row_door(network, link, labels, facts, entries)
    return Model(network, link, labels, entries, facts, True, True, row)


def _row_door(
    network: Network,
    link: str,
    labels: Labels,
    facts: tuple[Any, ...],
    entries: tuple[tuple[Any, ...], tuple[Any, ...]],
) -> Any:
    """The core's door of a single row for a network that has the arrays, or None."""
    names = *FACTS[: len(facts)], "n_features_in_", "feature_names_in_"
    values = *facts, network.units[0], core.ABSENT  # the names of a frame are checked elsewhere
    widths = labels.widths if link == LINK else None
    return network.row_door(link, widths, (names, values, LISTS, entries))


def current_model(estimator: CheckedEstimator) -> Model:
    """The model of a fitted estimator. It is made again if users have set public attributes."""
    draft = draft_of(estimator)  # all attributes in one step: never half of two models
    model = model_of(draft)
    estimator.__dict__["_model"] = model
    return model


def model_of(draft: CheckedEstimator) -> Model:
    """The model of an estimator whose attributes do not change meanwhile; it is not stored."""
    model = draft.__dict__.get("_model")
    if not isinstance(model, Model):
        model = None
    elif model.is_that_of(draft.__dict__):
        return model
    return _made_of(draft, model)


def of_one_moment(estimator: CheckedEstimator) -> CheckedEstimator:
    """A draft of an estimator with copies of its weights, all from between two changes."""
    guard = guard_of(estimator)
    while True:
        before, draft, failure = guard.changes[0], draft_of(estimator), None
        if is_whole(guard, before):
            try:
                model = model_of(draft)
                network = model.copy_network()
            except Exception as error:  # perhaps of half a change
                failure = error
            if is_whole(guard, before):
                break
        time.sleep(0)
    if failure is not None:
        raise failure
    take_over(draft, model, network)
    return draft


def take_over(estimator: CheckedEstimator, model: Model, network: Network) -> None:
    """Give an estimator, which no one else uses yet, the arrays of a network with its weights."""
    coefs, intercepts = list(network.coefs), list(network.intercepts)
    model = _over_network(network, model.link, model.labels, model.facts)
    estimator.__dict__.update(_model=model, coefs_=coefs, intercepts_=intercepts)


def join_arrays(estimator: CheckedEstimator) -> None:
    """Put the weights of an estimator that was just loaded into one block, if they are arrays.

    Predictions from one block are faster. Memory maps, and arrays of other dtypes, stay where they
    are. What is damaged stays too: the first use will say what is wrong.
    """
    attributes = estimator.__dict__
    lists = attributes.get("coefs_"), attributes.get("intercepts_")
    if not all(type(entries) is list for entries in lists):
        return
    try:
        model = model_of(estimator)
    except (AttributeError, TypeError, ValueError):
        return
    entries = model.entries[0] + model.entries[1]
    n = len(set(map(id, entries)))  # one array may be there twice
    is_all = n == len(entries) == 2 * len(model.network.coefs) and not model.owns
    if is_all and model.direct and all(type(entry) is np.ndarray for entry in entries):
        take_over(estimator, model, model.copy_network())
        _keep_identities(attributes, lists, entries)


def _keep_identities(
    attributes: dict[str, Any], lists: tuple[Any, ...], entries: tuple[Any, ...]
) -> None:
    """Give the new arrays to the old lists, and to attributes that are one of the old arrays."""
    arrays = [*attributes["coefs_"], *attributes["intercepts_"]]
    for name, old in zip(LISTS, lists, strict=True):
        old[:] = attributes[name]
        attributes[name] = old
    new = {id(entry): array for entry, array in zip(entries, arrays, strict=True)}
    attributes.update({n: new[id(v)] for n, v in attributes.items() if id(v) in new})


def refuse_overlaps(model: Model) -> None:
    """Raise ValueError if two arrays share memory, so that training cannot give each its values."""
    if model.owns:
        return
    n = len(model.network.coefs)
    named = [
        (*byte_bounds(entry), f"{name}[{number}]", entry)
        for name, entries in zip(LISTS, model.entries, strict=True)
        for number, entry in enumerate(entries[:n])
        if isinstance(entry, np.ndarray)
    ]
    named.sort(key=itemgetter(0, 1))
    for number, (_, end, name, array) in enumerate(named):
        for start, _, other, second in named[number + 1 :]:
            if start >= end:
                break
            if _share_memory(array, second):
                raise ValueError(
                    f"{' and '.join(sorted((name, other)))} share memory: training would write the "
                    "weights of both layers into it. Give each its own array."
                )


def _share_memory(array: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays have an element in common; False if that is too hard to tell."""
    try:
        return np.shares_memory(array, other, max_work=10_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return False


def _made_of(draft: CheckedEstimator, last: Model | None) -> Model:
    """The model of the public attributes. The network of the last one is used if it fits."""
    attributes = draft.__dict__
    has_classes = "_label_binarizer" in attributes or "classes_" in attributes
    needed = ["coefs_", "intercepts_", "out_activation_", "activation"]
    needed += ["_label_binarizer"] * has_classes
    for name in needed:
        if name not in attributes:
            raise AttributeError(f"the estimator has no attribute {name!r}, but was fitted")
    link = attributes["out_activation_"]
    if not isinstance(link, str) or link not in core.LINKS:
        raise ValueError(f"out_activation_ must be one of {sorted(core.LINKS)}, got {link!r}.")
    coefs, intercepts = _entries(attributes, "coefs_"), _entries(attributes, "intercepts_")
    n = _n_weights(attributes, coefs, intercepts)
    arrays = check_arrays(coefs[:n], intercepts[:n])
    units = [array.shape[0] for array in arrays[0]] + [arrays[0][-1].shape[1]]
    expected = attributes.get("n_features_in_", units[0])
    if units[0] != expected:
        raise ValueError(
            f"coefs_[0] has {units[0]} rows, but the model was fitted on {expected} features."
        )
    activation = attributes["activation"]
    if isinstance(activation, list | tuple) and n < len(coefs):  # a part of the fitted layers
        activation = activation[: n - 1]
    dtype = params_dtype([*arrays[0], *arrays[1]])
    network = None if last is None else last.network
    if not (
        network is not None
        and network.units == tuple(units)
        and network.activation == activation
        and network.params.dtype == dtype
    ):
        network = Network(units, activation, dtype)
    labels = _labels(attributes, units[-1]) if has_classes else Labels()
    if link == LINK and not labels.targets:
        raise ValueError(f"out_activation_ {link!r} needs a model of several targets.")
    _check_n_outputs(attributes, units[-1], has_classes)
    names = FACTS if has_classes else FACTS[:-1]
    facts = tuple(list(v) if isinstance(v, list) else v for v in map(attributes.get, names))
    if network.holds(coefs, intercepts):
        return _over_network(network, link, labels, facts)
    direct = all(_is_direct(array, dtype) for array in coefs[:n] + intercepts[:n])
    entries = tuple(coefs), tuple(intercepts)
    return Model(network, link, labels, entries, facts, False, direct, None)


def _is_direct(array: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the core can read an array as it is."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not is_core_float(array.dtype):
        return False
    return array.flags.forc and array.flags.aligned


def _entries(attributes: dict[str, Any], name: str) -> list[Any]:
    """The entries of a list of arrays."""
    value = attributes[name]
    if not isinstance(value, Sequence) and not isinstance(value, np.ndarray):
        raise ValueError(f"{name} must be a list of arrays, got {type(value).__name__}.")
    return list(value)


def _n_weights(attributes: dict[str, Any], coefs: list[Any], intercepts: list[Any]) -> int:
    """The number of weight matrices that a prediction uses: one less than `n_layers_`."""
    if len(coefs) > len(intercepts):
        raise ValueError(
            f"coefs_ has {len(coefs)} arrays, but intercepts_ has {len(intercepts)}: each layer "
            "needs one of both."
        )
    n_layers = attributes.get("n_layers_", len(coefs) + 1)
    most = len(coefs) + 1
    if not isinstance(n_layers, Integral) or not 2 <= int(n_layers) <= max(most, 2):
        raise ValueError(
            f"n_layers_ must be an integer from 2 to {most}, since coefs_ has {len(coefs)} and "
            f"intercepts_ {len(intercepts)} arrays, got {n_layers!r}."
        )
    return int(n_layers) - 1


def _check_n_outputs(attributes: dict[str, Any], width: int, has_classes: bool) -> None:
    """Raise ValueError unless `n_outputs_` is a number, and for a classifier 1 where it is 1."""
    n_outputs = attributes.get("n_outputs_", width)
    is_right = isinstance(n_outputs, Integral) and int(n_outputs) > 0
    if not is_right or (has_classes and (n_outputs == 1) != (width == 1)):
        raise ValueError(
            f"n_outputs_ must be the number of outputs, got {n_outputs!r}: the weights of the last "
            f"layer have {width} columns."
        )


def _labels(attributes: dict[str, Any], n_outputs: int) -> Labels:
    """The classes of the binarizer, which decodes predictions as in scikit-learn."""
    binarizer = attributes["_label_binarizer"]
    if not hasattr(binarizer, "classes_") or not hasattr(binarizer, "y_type_"):
        raise ValueError(
            "_label_binarizer must be a fitted sklearn.preprocessing.LabelBinarizer, got "
            f"{binarizer!r}."
        )
    if isinstance(binarizer, TargetBinarizers):
        labels = known_labels(binarizer)
        check_width(labels, n_outputs)
        return labels
    classes = np.asarray(binarizer.classes_)
    if classes.ndim != 1 or not (len(classes) == n_outputs or n_outputs == 1 >= len(classes) - 1):
        raise ValueError(
            f"_label_binarizer.classes_ has shape {classes.shape}, but the model has {n_outputs} "
            "outputs."
        )
    return Labels(classes, binarizer)
