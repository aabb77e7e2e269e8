"""Dropout: rates of layers as the core takes them."""

from collections.abc import Sequence

import numpy as np

from fastbp.kernels import Dropout

MOST_SEED = 2**63 - 1
STEPS = 2**16  # rates are multiples of one over this; 8 bits would make 0.1016 of 0.1


def lower_dropout(rates: Sequence[float], seed: int | None, seen: int = 0) -> Dropout | None:
    """The dropout of an epoch after so many samples; None if no unit is dropped.

    `rates` are those of the input and of each hidden layer; a layer keeps one unit in 2^16 at
    least, in the mean. The seed is None only if all rates are 0.
    """
    if seed is None or not any(rates):
        return None
    thresholds = np.rint(np.multiply(rates, STEPS)).clip(max=STEPS - 1).astype(np.uint32)
    return Dropout(thresholds, seed, np.array([seen % 2**64], np.uint64))
