"""Exports of the tabular models: the transformed table, the members, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators.inputs import draft_of
from fastbp.estimators.model import Model
from fastbp.onnx.classes import Target, mean_of_targets, outputs_of_targets
from fastbp.onnx.graph import Graph, Tensor
from fastbp.onnx.moments import Moments, mixture
from fastbp.onnx.networks import frozen_model, moments_of, targets_of
from fastbp.onnx.plan import Export, Output
from fastbp.onnx.tables import inputs_of, transformed
from fastbp.runtime.averages import LEAST_PROBABILITY, check_levels


def export_preprocessor(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of a TabularPreprocessor; its numbers have its own dtype unless one is given."""
    draft = _fitted(model, name)
    width = len(draft.feature_index_)

    def write(graph: Graph, columns: Sequence[Tensor]) -> list[Output]:
        x = transformed(draft, columns)
        return [Output("variable", x.cast(x.dtype if dtype is None else dtype), [width])]

    return Export(inputs_of(draft), write)


def export_classifier(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of a TabularMLPClassifier."""
    draft = _fitted(model, name)
    models = [frozen_model(member) for member in draft.members_]

    def write(graph: Graph, columns: Sequence[Tensor]) -> list[Output]:
        x = transformed(draft.transformer_, columns)
        targets = [targets_of(one, _rows(x, one, dtype)) for one in models]
        doubles = [[_in_double(target) for target in several] for several in targets]
        (mean,) = mean_of_targets(doubles)
        probability = _tempered(_summing_to_one(mean.probability), draft.temperature_)
        return outputs_of_targets([mean._replace(probability=probability)])

    return Export(inputs_of(draft.transformer_), write)


def export_regressor(model: Any, dtype: DTypeLike | None, name: str) -> Export:
    """The export of a TabularMLPRegressor."""
    draft = _fitted(model, name)
    models = [frozen_model(member) for member in draft.members_]
    loss, width = draft.members_[0].loss, draft.n_outputs_
    levels = check_levels(draft.members_[0].quantile) if loss == "quantile" else None

    def write(graph: Graph, columns: Sequence[Tensor]) -> list[Output]:
        x = transformed(draft.transformer_, columns)
        members = []
        for one, least, most in zip(models, *draft._limits, strict=True):
            mean, std = moments_of(one, loss, _rows(x, one, dtype))
            mean = mean.cast(np.float64).op("Max", least).op("Min", most)
            if levels is not None:
                mean = _sorted_levels(mean, width, np.argsort(levels))
            members.append(Moments(mean, None if std is None else std.cast(np.float64)))
        return mixture(members, np.abs(draft._limits).max(axis=(0, 1, 2))).outputs(width)

    return Export(inputs_of(draft.transformer_), write)


def _fitted(model: Any, input_name: str) -> Any:
    """A draft of a fitted model, of one moment."""
    if input_name != "X":
        raise ValueError(
            f"input_name is for models with one input, but {type(model).__name__} has one for each "
            f"column, with its name; got {input_name!r}."
        )
    draft = draft_of(model)
    check_is_fitted(draft)
    return draft


def _rows(x: Tensor, model: Model, dtype: DTypeLike | None) -> Tensor:
    """Transformed rows in the dtype in which a member computes."""
    return x.cast(model.network.dtype_for(x.dtype) if dtype is None else dtype)


def _in_double(target: Target) -> Target:
    return target._replace(probability=target.probability.cast(np.float64))


def _summing_to_one(probability: Tensor) -> Tensor:
    """Probabilities divided by their sum."""
    axis = probability.graph.integers(1)
    return probability / probability.op("ReduceSum", axis, keepdims=1)


def _tempered(probability: Tensor, temperature: float) -> Tensor:
    """``p ** (1 / T)``, divided by its sum over the classes."""
    if temperature == 1.0:
        return probability
    logs = probability.op("Max", LEAST_PROBABILITY).op("Log") / temperature
    return logs.op("Softmax", axis=1)


def _sorted_levels(prediction: Tensor, width: int, order: NDArray[np.intp]) -> Tensor:
    """The predictions of each target, sorted so that they rise with the level.

    Their number is written out: of no rows ONNX Runtime cannot tell it.
    """
    n_levels, integers = len(order), prediction.graph.integers
    if n_levels == 1:
        return prediction
    blocks = prediction.op("Reshape", integers(0, width // n_levels, n_levels))
    rising = blocks.smallest_first(n_levels, axis=2)
    given = rising.op("Gather", integers(*np.argsort(order).tolist()), axis=2)
    return given.op("Reshape", integers(0, width))
