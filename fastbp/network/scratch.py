"""Scratch memory: which use of the core an epoch is, and arrays that are not initialized."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import core


def epoch_use(is_csr: bool, clips: bool) -> str:
    """The use of the core, one of core.USES, that training by steps is.

    `clips` tells whether gradients are clipped.
    """
    if is_csr:
        return "epoch_csr"
    return "epoch_clipped" if clips else "epoch"


def allocate(size: int, dtype: DTypeLike) -> NDArray[Any]:
    """An array that is not initialized, but full of NaN in a debug build: a stray read shows."""
    return np.full(size, np.nan, dtype) if core.DEBUG else np.empty(size, dtype)
