"""What a model file keeps of an estimator, and the estimator that it makes of it.

Weights are one tensor, parameters and fitted attributes are values. Left out is what a fit makes
anew (the generator, caches), and what is no part of the model (callbacks, attributes of users).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from reprlib import repr as cut_repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import inputs
from fastbp.estimators.continued import check_attributes
from fastbp.estimators.generators import check_start
from fastbp.estimators.guard import guard_of, is_whole
from fastbp.estimators.labels import Labels, labels_of_targets
from fastbp.estimators.model import make_model, of_one_moment
from fastbp.estimators.resume import STATE
from fastbp.estimators.savable import check_class, read_parameters
from fastbp.estimators.scikit_learn import label_binarizer, parameter_names
from fastbp.files import (
    Reader,
    Record,
    SavedLabels,
    SavedNetwork,
    Writer,
    check_names,
    network_node,
    read_network,
)
from fastbp.files.names import CURVES, FITTED, PARTS, PARTS_FOR_TRAINING
from fastbp.kernels import core
from fastbp.network import Network, trace_activation, trace_loss
from fastbp.training import Optimizer
from fastbp.training.factors import PURE
from fastbp.training.state_checks import check_fields, floats

FOR_TRAINING = ("init", "learning_rate", "scoring")  # words are kept in any case
TRACED = {"activation": trace_activation, "loss": trace_loss}
RECORDS = {kind.__name__: kind for kind in PURE}
NOT_KEPT = (
    "{0} is {1}, which a model file cannot hold: training=False leaves out what only training "
    "needs, and a pickle keeps functions of modules."
)


# ---- saving


def node_of_estimator(estimator: Any, writer: Writer, training: bool) -> dict[str, Any]:
    """The description of a fitted estimator."""
    draft = _of_one_moment(estimator)
    attributes: dict[str, Any] = draft.__dict__
    model = attributes["_model"]
    draft.activation = _traced(draft.activation, model.network)
    draft.loss = as_formula(draft.loss, trace_loss)
    draft._validate_params()
    if not model.network.is_finite():
        raise ValueError("coefs_ and intercepts_ must be finite, or the model cannot be saved.")
    check_attributes(draft)
    labels = _saved_labels(attributes, model.labels)
    _check_sound(draft, model.network, labels)
    node = {
        "params": parameters_node(draft, writer, training),
        "network": network_node(model.network, model.link, labels, writer),
        "fitted": _fitted_node(attributes, writer),
    }
    optimizer, state = attributes.get("_optimizer"), attributes.get("_resume")
    if training and optimizer is not None:
        _check_numbers(optimizer)
        rest = {name: value for name, value in optimizer.items() if name != "units"}
        node["optimizer"] = {
            name: writer.value(value, f"optimizer.{name}") for name, value in rest.items()
        }
    if training and state is not None:
        check_resume(draft, state, model.network.params.size)
        node["resume"] = writer.value(state, "resume")
    return node


def check_savable(estimator: Any, training: bool) -> None:
    """Raise TypeError if a file cannot hold the parameters of an estimator that will be fitted."""
    node_of_unfitted(estimator, Writer(), training)


def node_of_unfitted(estimator: Any, writer: Writer, training: bool) -> dict[str, Any]:
    """The description of the parameters of an estimator alone."""
    name = check_class(estimator, writer.prefix)
    return {"class": name, "params": parameters_node(estimator, writer, training)}


def _of_one_moment(estimator: Any) -> Any:
    """A draft of an estimator with copies of its weights and curves, and a plain optimizer."""
    guard = guard_of(estimator)
    while True:
        before = guard.changes[0]
        draft = of_one_moment(estimator)
        attributes: dict[str, Any] = draft.__dict__
        if isinstance(attributes.get("_optimizer"), Optimizer):
            attributes["_optimizer"].check()
            attributes["_optimizer"] = attributes["_optimizer"].to_plain()
        for name in CURVES:
            if attributes.get(name) is not None:
                attributes[name] = list(attributes[name])
        if is_whole(guard, before):
            return draft
        time.sleep(0)


def as_formula(value: Any, trace: Callable[[Any], Any]) -> Any:
    """The value of a parameter, with an Expression in place of each function."""
    if isinstance(value, list | tuple):
        return type(value)(as_formula(one, trace) for one in value)
    return trace(value) if callable(value) else value


def _traced(activation: Any, network: Network) -> Any:
    """The parameter with the formulas of the fitted network in place of functions."""
    if isinstance(activation, list | tuple):
        return type(activation)(network.activations)
    if not callable(activation):
        return activation
    return network.activations[0] if network.activations else trace_activation(activation)


def parameters_node(estimator: Any, writer: Writer, training: bool) -> dict[str, Any]:
    """The values of all parameters, with formulas in place of functions."""
    draft = inputs.draft_of(estimator)
    for parameter, trace in TRACED.items():
        setattr(draft, parameter, as_formula(getattr(draft, parameter), trace))
    kind: Any = type(draft)
    node = {}
    for name in parameter_names(kind):
        value = getattr(draft, name)
        if type(value) in PURE:
            value = Record(type(value).__name__, asdict(value))
        elif name in FOR_TRAINING and not isinstance(value, str | None):
            if not training:
                continue
            if callable(value):
                raise TypeError(NOT_KEPT.format(f"{writer.prefix}{name}", cut_repr(value)))
        node[name] = writer.value(value, name)
    return node


def _fitted_node(attributes: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    """Fitted attributes, as far as they are there."""
    node = {name: writer.value(attributes[name], name) for name in FITTED if name in attributes}
    for name in CURVES:
        if name in attributes:
            curve = attributes[name]
            node[name] = None if curve is None else writer.tensor(_as_array(curve, name), name)
    return node


def _as_array(curve: list[Any], name: str) -> NDArray[np.float64]:
    try:
        array = np.array(curve, np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise TypeError(f"{name} must be a list of numbers to be saved, got {cut_repr(curve)}")
    return array


def _saved_labels(attributes: Mapping[str, Any], labels: Labels) -> SavedLabels | None:
    """The classes of a classifier, which are those of its binarizer."""
    binarizer = labels.binarizer
    if binarizer is None:
        return None
    given: Any = attributes.get("classes_")
    if labels.targets:
        is_same = isinstance(given, list) and len(given) == len(labels.targets)
        is_same = is_same and all(map(np.array_equal, given, labels.classes))
    else:
        is_same = np.array_equal(given, labels.classes)
    if not is_same:
        raise ValueError("classes_ must be those of the fit, or the model cannot be saved.")
    if labels.targets:
        parts = tuple(_saved_single(one.binarizer) for one in labels.targets)
        return SavedLabels(binarizer.y_type_, None, False, parts)
    return _saved_single(binarizer)


def _saved_single(binarizer: Any) -> SavedLabels:
    classes = np.asarray(binarizer.classes_)
    return SavedLabels(binarizer.y_type_, classes, bool(binarizer.sparse_input_))


# ---- loading


def fill_estimator(estimator: Any, node: Any, reader: Reader) -> Any:
    """Give a new estimator what a description has besides the parameters, which it has already."""
    saved = read_network(node["network"], estimator.activation, reader)
    saved.network.activation = _kept(estimator.activation)
    labels = _labels(saved)
    learned = _fitted(node["fitted"], saved.network, reader)
    if labels.binarizer is not None:
        learned.update(classes_=labels.classes, _label_binarizer=labels.binarizer)
    network = saved.network
    estimator.__dict__.update(
        learned,
        _model=make_model(network, saved.link, labels),
        n_features_in_=network.units[0],
        n_outputs_=network.units[-1],
        n_layers_=len(network.units),
        out_activation_=saved.link,
        coefs_=list(network.coefs),
        intercepts_=list(network.intercepts),
    )
    check_attributes(estimator)
    _check_sound(estimator, network, saved.labels)
    if "optimizer" in node:
        estimator._optimizer = _optimizer(node["optimizer"], network, reader)
    if "resume" in node:
        state = reader.value(node["resume"], "resume")
        check_resume(estimator, state, network.params.size)
        estimator._resume = state
    return estimator


def new_estimator(kind: Any, node: Any, reader: Reader) -> Any:
    """The fitted estimator of a description."""
    reader.fields(node, "the model", PARTS, PARTS_FOR_TRAINING)
    return fill_estimator(new_unfitted(kind, node["params"], reader), node, reader)


def new_unfitted(kind: Any, params: Any, reader: Reader) -> Any:
    """An estimator with the parameters of a description."""
    given = read_parameters(kind, params, reader)
    for name, value in given.items():
        if isinstance(value, Record):
            given[name] = _of_record(name, value)
        elif name in FOR_TRAINING and callable(value):  # a formula
            raise ValueError(f"{name} cannot be {cut_repr(value)}")
    estimator = kind(**given)
    estimator._validate_params()
    return estimator


def _of_record(name: str, record: Record) -> Any:
    """The schedule that a record stands for."""
    if name != "learning_rate" or record.name not in RECORDS:
        raise ValueError(f"{name} cannot be {cut_repr(record.name)}")
    return RECORDS[record.name](**record.fields)


def _kept(activation: Any) -> Any:
    """The parameter as a network holds it: a list of its own."""
    return list(activation) if isinstance(activation, list) else activation


def _labels(saved: SavedNetwork) -> Labels:
    """Labels with binarizers, as a fit makes them."""
    if saved.labels is None:
        return Labels()
    if saved.labels.targets:
        return labels_of_targets(map(_single, saved.labels.targets))
    return _single(saved.labels)


def _single(saved: SavedLabels) -> Labels:
    assert saved.classes is not None
    binarizer = label_binarizer(saved.classes, saved.kind)
    binarizer.sparse_input_ = saved.sparse
    return Labels(saved.classes, binarizer)


def _fitted(node: Any, network: Network, reader: Reader) -> dict[str, Any]:
    """Fitted attributes by name, after checks of the values alone."""
    reader.fields(node, "fitted", {"n_iter_", "t_"}, {*FITTED, *CURVES})
    learned = {name: reader.value(value, name) for name, value in node.items()}
    for name in CURVES:
        curve = learned.get(name)
        if curve is not None:
            if not floats(curve, None) or curve.dtype != np.float64:
                raise ValueError(f"{name} must be a list of float64, or null")
            learned[name] = list(curve) if name == "loss_curve_" else curve.tolist()
    if "loss_curve_" in learned and isinstance(learned.get("loss_"), float):
        learned["loss_"] = np.float64(learned["loss_"])
    if learned.get("feature_names_in_") is not None:
        check_names(learned["feature_names_in_"], network.units[0])
    if not isinstance(learned.get("stop_reason_", ""), str):
        raise ValueError("stop_reason_ must be a string")
    return learned


def _optimizer(node: Any, network: Network, reader: Reader) -> Optimizer:
    """The optimizer, whose state is a view of the file's bytes."""
    if not isinstance(node, dict):
        raise ValueError("optimizer must be an object")
    plain = {name: reader.value(value, f"optimizer.{name}") for name, value in node.items()}
    optimizer = Optimizer.from_plain({**plain, "units": network.units})
    _check_numbers(optimizer.to_plain())
    return optimizer


# ---- checks of both


def _check_sound(estimator: Any, network: Network, labels: SavedLabels | None) -> None:
    """Raise ValueError unless parameters, weights and classes belong together."""
    hidden = inputs.check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    if tuple(hidden) != network.units[1:-1]:
        raise ValueError(
            f"hidden_layer_sizes is {hidden}, but the fitted model has "
            f"{list(network.units[1:-1])}: in a model file they are the same."
        )
    if estimator._y_is_numeric != (labels is None):
        raise ValueError("only a classifier has classes, and it needs them")
    known = Labels() if labels is None else _labels(SavedNetwork(network, "", labels))
    network.with_loss(estimator._objective(network.units[-1], known).loss)


def _check_numbers(plain: Mapping[str, Any]) -> None:
    """Raise ValueError if there is a NaN in the state of an optimizer; infinity may be there."""
    for name in ("state", "tally"):
        numbers = plain[name].reshape(-1)
        if not core.is_finite(numbers) and np.isnan(numbers).any():
            raise ValueError(f"{name!r} of the optimizer has numbers that are NaN")


def check_resume(estimator: Any, state: Any, size: int) -> None:
    """Raise ValueError unless this is what `resume` needs; `size` is the number of parameters."""
    check_fields("the fit (_resume)", state, STATE)
    n_epochs, params = state["n_epochs"], state["raw_params"]
    for name in CURVES:
        curve = vars(estimator).get(name)
        if curve is not None and len(curve) < n_epochs:
            raise ValueError(f"{name} has {len(curve)} entries, but the fit had {n_epochs} epochs")
    if state["best_epoch"] >= n_epochs:
        raise ValueError("'best_epoch' of the fit (_resume) is none of its epochs")
    if params is not None and (params.size != size or not core.is_finite(params)):
        raise ValueError("'raw_params' of the fit (_resume) must be finite, one for each parameter")
    if state["random_state"] is not None:
        check_start(state["random_state"])
