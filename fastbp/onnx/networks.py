"""Graphs of plain estimators: the layers of a network, its link, and what the outputs mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.estimators.labels import Labels
from fastbp.estimators.model import Model, model_of, of_one_moment
from fastbp.estimators.overrides import refuse_own_predictions
from fastbp.estimators.targets import LINK
from fastbp.network import Network
from fastbp.onnx.activations import LINKS, activation
from fastbp.onnx.classes import Target, classes_in_tensors
from fastbp.onnx.functions import exp
from fastbp.onnx.graph import Tensor
from fastbp.onnx.moments import Moments

# Terms of a sum that ONNX Runtime does not divide.
BLOCK = 256


def frozen_model(estimator: Any) -> Model:
    """The model of a fitted estimator, with weights that nobody changes."""
    refuse_own_predictions(estimator, [MLPClassifier, MLPRegressor])
    return model_of(of_one_moment(estimator))


def targets_of(model: Model, x: Tensor) -> list[Target]:
    """The probabilities of the targets of a classifier."""
    z, is_grouped = _raw_prediction(model.network, x), model.link == LINK
    prediction = z if is_grouped else LINKS[model.link](z)
    if not model.labels.targets:
        return [_target(model.labels, prediction)]
    targets, first = [], 0
    for labels in model.labels.targets:
        block = prediction.columns(first, first + labels.width)
        if is_grouped:
            block = LINKS["softmax" if labels.width > 1 else "logistic"](block)
        targets.append(_target(labels, block))
        first += labels.width
    return targets


def _target(labels: Labels, prediction: Tensor) -> Target:
    """The probabilities of a target from the predictions of its outputs."""
    classes = classes_in_tensors(labels.classes)
    if labels.binarizer.y_type_.startswith("multilabel"):
        return Target(classes, prediction, is_multilabel=True)
    if len(classes) == 1:
        return Target(classes, prediction * 0.0 + 1.0)
    if len(classes) == 2 and not labels.is_multinomial:
        prediction = prediction.graph.concat([1.0 - prediction, prediction])
    return Target(classes, prediction)


def moments_of(model: Model, loss: Any, x: Tensor) -> Moments:
    """The predictions of a regressor with this loss."""
    prediction = LINKS[model.link](_raw_prediction(model.network, x))
    if loss != "gaussian":
        return Moments(prediction)
    width = width_of_moments(model, loss)
    log_variance = prediction.columns(width, 2 * width)
    return Moments(prediction.columns(0, width), exp(log_variance * 0.5))


def width_of_moments(model: Model, loss: Any) -> int:
    """The number of predictions for a row: of means and log variances, the means alone."""
    width = model.network.units[-1]
    return width // 2 if loss == "gaussian" else width


def _raw_prediction(network: Network, x: Tensor) -> Tensor:
    """The last preactivation of a network."""
    a = x
    arrays = zip(network.coefs, network.intercepts, strict=True)
    for number, (weight, bias) in enumerate(arrays):
        if number:
            a = activation(network.activations[number - 1], a)
        a = _affine(a, weight, bias)
    return a


def _affine(a: Tensor, weight: NDArray[Any], bias: NDArray[Any]) -> Tensor:
    """The map a w + b.

    The core begins each sum with the bias, Gemm ends with it. As weights of a column of ones before
    the others it comes first too, and ONNX Runtime's sums then have the bits of the core's: where
    all terms are one block for it, and where the core does not sum a single column by parts.
    """
    fan_in, fan_out = weight.shape
    if fan_out == 1 or fan_in >= BLOCK:
        return a.op("Gemm", weight, bias)
    ones = a.op("Pad", a.graph.integers(0, 1, 0, 0), 1.0)
    return ones.op("MatMul", np.vstack([bias, weight]))
