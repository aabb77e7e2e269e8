"""Generators of orders that are functions of a key, with nothing that goes on from draw to draw."""

import numpy as np


def keyed(*key: int) -> np.random.RandomState:
    """A generator whose draws are a function of the key alone.

    It is a RandomState, of which the draws stay the same in all versions of NumPy; those of
    `numpy.random.Generator` may change.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(key)))
