"""Initial weights: each function fills views.

All draw from U(-b, b), with variance b^2 / 3, in float64 and then cast, as scikit-learn does.
"""

import numpy as np


def glorot_uniform(weight, bias, random_state, factor=6.0):
    """Draw weight (fan_in, fan_out), then bias (fan_out,), from U(-b, b).

    b = sqrt(factor / (fan_in + fan_out)): Glorot and Bengio (2010), eq. 16, has factor 6;
    scikit-learn takes 2 for logistic units.
    """
    bound = np.sqrt(factor / sum(weight.shape))
    weight[...] = random_state.uniform(-bound, bound, weight.shape)
    bias[...] = random_state.uniform(-bound, bound, bias.shape)


def he_uniform(weight, bias, random_state):
    """Variance 2 / fan_in, which relu halves (He et al., 2015, eq. 10); biases 0."""
    _by_fan_in(weight, bias, random_state, 6.0)


def lecun_uniform(weight, bias, random_state):
    """Variance 1 / fan_in (LeCun et al., 1998, eq. 16), as SELU needs it; biases 0."""
    _by_fan_in(weight, bias, random_state, 3.0)


def _by_fan_in(weight, bias, random_state, factor):
    bound = np.sqrt(factor / len(weight))
    weight[...] = random_state.uniform(-bound, bound, weight.shape)
    bias[...] = 0


INITIALIZERS = {
    "glorot_uniform": glorot_uniform,
    "he_uniform": he_uniform,
    "lecun_uniform": lecun_uniform,
}
RELU_FAMILY = ("leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish")


def fitting(activation):
    """The initializer that fits an activation; those of scikit-learn have scikit-learn's."""
    if activation == "logistic":
        return lambda weight, bias, state: glorot_uniform(weight, bias, state, 2.0)
    if activation == "selu":
        return lecun_uniform
    return he_uniform if activation in RELU_FAMILY else glorot_uniform
