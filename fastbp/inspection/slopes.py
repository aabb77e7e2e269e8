"""Slopes f'(z) of an activation, by the core itself: a new activation needs no entry here."""

import numpy as np

from fastbp.network import Network

SLOPE_RANGE = np.linspace(-10, 10, 2001)[:, None]  # preactivations z at which slopes are taken
MOST = 0.75  # share of SLOPE_RANGE: a kink or a steep middle is less, a half axis is not


def absolute_slopes(activation, dtype):
    """abs(f'(z)) for each z of SLOPE_RANGE."""
    network = Network((1, 1, 1), activation, dtype)
    network.coefs[0][:] = 1
    return abs(network.forward(SLOPE_RANGE.astype(dtype), slopes=True)[0]).ravel()


def greatest_slope(activation, dtype):
    """The greatest finite abs(f'(z))."""
    slopes = absolute_slopes(activation, dtype)
    return slopes[np.isfinite(slopes)].max(initial=0)


def shrinks_delta(activation, dtype):
    """Whether abs(f'(z)) is below 1 for most z, as that of tanh, and not as that of relu."""
    return np.mean(absolute_slopes(activation, dtype) < 1) > MOST
