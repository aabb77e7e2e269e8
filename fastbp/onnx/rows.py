"""Exports of the models that take rows of numbers as they are: single networks and ensembles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators.inputs import draft_of
from fastbp.estimators.model import Model
from fastbp.onnx.classes import mean_of_targets, outputs_of_targets
from fastbp.onnx.graph import Graph, Tensor
from fastbp.onnx.moments import mixture
from fastbp.onnx.networks import frozen_model, moments_of, targets_of, width_of_moments
from fastbp.onnx.plan import Export, Input, Output


def export_classifier(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of an MLPClassifier."""
    check_is_fitted(model)
    one = frozen_model(model)
    return _export([one], dtype, name, lambda x: outputs_of_targets(targets_of(one, x)))


def export_regressor(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of an MLPRegressor."""
    check_is_fitted(model)
    one, loss = frozen_model(model), model.loss
    width = width_of_moments(one, loss)
    return _export([one], dtype, name, lambda x: moments_of(one, loss, x).outputs(width))


def export_classifiers(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of an MLPEnsembleClassifier."""
    models = [frozen_model(member) for member in _members(model)]

    def write(x: Tensor) -> list[Output]:
        return outputs_of_targets(mean_of_targets([targets_of(one, x) for one in models]))

    return _export(models, dtype, name, write)


def export_regressors(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of an MLPEnsembleRegressor."""
    members = _members(model)
    models, losses = [frozen_model(one) for one in members], [one.loss for one in members]
    width = width_of_moments(models[0], losses[0])

    def write(x: Tensor) -> list[Output]:
        pairs = zip(models, losses, strict=True)
        return mixture([moments_of(one, loss, x) for one, loss in pairs]).outputs(width)

    return _export(models, dtype, name, write)


def _members(ensemble: Any) -> list[Any]:
    """The members of an ensemble, of one moment."""
    draft = draft_of(ensemble)
    check_is_fitted(draft)
    return list(draft.estimators_)


def _export(
    models: Sequence[Model],
    dtype: DTypeLike | None,
    name: str,
    write: Callable[[Tensor], list[Output]],
) -> Export:
    """The export of models that take the same rows; `dtype` None is that of the weights."""
    own = np.result_type(*(one.network.params.dtype for one in models))
    input_ = Input(name, np.dtype(own if dtype is None else dtype), models[0].network.units[0])

    def write_graph(graph: Graph, tensors: Sequence[Tensor]) -> list[Output]:
        return write(tensors[0])

    return Export([input_], write_graph)
