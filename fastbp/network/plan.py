"""The plan: a table of integers, one row per layer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import core

PLAN = np.asarray(core.PLAN).dtype


def count_params(units: Sequence[int]) -> int:
    """Weights and biases of a network with these widths, the input's first."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))


def split_params(
    params: NDArray[Any], units: Sequence[int]
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Views of the weights and of the biases of each layer, where `make_plan` lays them."""
    coefs, intercepts, first = [], [], 0
    for fan_in, fan_out in pairwise(units):
        coefs.append(params[first : first + fan_in * fan_out].reshape(fan_in, fan_out))
        first += fan_in * fan_out
    for fan_out in units[1:]:
        intercepts.append(params[first : first + fan_out])
        first += fan_out
    return coefs, intercepts


def make_plan(units: Sequence[int], codes: Sequence[int]) -> NDArray[Any]:
    """One row per layer; all weights lie before all biases, the order of scikit-learn's lbfgs.

    codes are those of the hidden layers' activations.
    """
    weight, output = 0, 0
    biases = sum(fan_in * fan_out for fan_in, fan_out in pairwise(units))
    layers = []
    for (fan_in, fan_out), code in zip(
        pairwise(units), [*codes, core.ACTIVATIONS["identity"]], strict=True
    ):
        layers.append((fan_in, fan_out, code, weight, biases + output, output))
        weight, output = weight + fan_in * fan_out, output + fan_out
    return np.array(layers, PLAN)
