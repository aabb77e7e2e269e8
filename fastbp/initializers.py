"""Initial weights: each function fills views."""

import numpy as np


def glorot_uniform(weight, bias, random_state, factor):
    """Draw weight (fan_in, fan_out), then bias (fan_out,), from U(-b, b).

    b = sqrt(factor / (fan_in + fan_out)): Glorot and Bengio (2010), eq. 16, has factor 6;
    scikit-learn takes 2 for logistic units. Drawn in float64, then cast, as scikit-learn does.
    """
    bound = np.sqrt(factor / sum(weight.shape))
    weight[...] = random_state.uniform(-bound, bound, weight.shape)
    bias[...] = random_state.uniform(-bound, bound, bias.shape)
