"""Slopes f'(z) of an activation, computed by the core: a new activation needs no entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.inspection.layers import slopes
from fastbp.network import Network

if TYPE_CHECKING:
    from fastbp.graph import Expression

SLOPE_RANGE = np.linspace(-10, 10, 2001)[:, None]  # preactivations z
MOST = 0.75  # share of SLOPE_RANGE; relu has a slope below 1 for half of it


def absolute_slopes(activation: str | Expression, dtype: DTypeLike) -> NDArray[np.floating]:
    """abs(f'(z)) for each z of SLOPE_RANGE."""
    network = Network((1, 1, 1), activation, dtype)
    network.coefs[0][:] = 1
    return abs(slopes(network, SLOPE_RANGE.astype(dtype))[0]).ravel()


def greatest_slope(activation: str | Expression, dtype: DTypeLike) -> float:
    """The greatest finite abs(f'(z))."""
    sizes = absolute_slopes(activation, dtype)
    return sizes[np.isfinite(sizes)].max(initial=0)


def shrinks_delta(activation: str | Expression, dtype: DTypeLike) -> bool:
    """Whether abs(f'(z)) is below 1 for most z: yes for tanh, no for relu."""
    return bool(np.mean(absolute_slopes(activation, dtype) < 1) > MOST)
