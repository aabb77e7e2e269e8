"""Initial weights: each function fills views.

Those with a name draw from U(-b, b), with variance b^2 / 3, in float64 and then cast, as
scikit-learn does. Others are given by users, as arrays or by a function.
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


def of_user(init, coefs, intercepts, random_state):
    """Fill the views of all layers with the arrays or by the function that a user gave.

    Parameters
    ----------
    init : tuple or callable
        (coefs, intercepts), or a function (fan_in, fan_out, random_state) that returns weights and
        biases of a layer.
    coefs, intercepts : list of ndarray
        Views of the layers.
    random_state : RandomState
    """
    pairs = None
    if not callable(init):
        pairs = _pairs(init, len(coefs))
    for number, (weight, bias) in enumerate(zip(coefs, intercepts, strict=True)):
        pair = init(*weight.shape, random_state) if pairs is None else pairs[number]
        try:
            weights, biases = pair
        except (TypeError, ValueError):
            raise ValueError(
                f"init must return weights and biases of a layer, got {type(pair).__name__}"
            ) from None
        _fill(weight, weights, f"weights of layer {number}")
        _fill(bias, biases, f"biases of layer {number}")


def _pairs(init, n_layers):
    """Weights and biases of each layer, from lists of both."""
    try:
        coefs, intercepts = (list(arrays) for arrays in init)
    except (TypeError, ValueError):
        raise ValueError(
            f"init must be a pair (coefs, intercepts) of lists, got {init!r}"
        ) from None
    if len(coefs) != n_layers or len(intercepts) != n_layers:
        raise ValueError(
            f"init must have {n_layers} arrays of weights and of biases, one for each layer, got "
            f"{len(coefs)} and {len(intercepts)}"
        )
    return list(zip(coefs, intercepts, strict=True))


def _fill(view, values, what):
    """Copy finite real numbers of the same shape into a view."""
    try:
        array = np.asarray(values)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "fiub" or array.shape != view.shape:
        raise ValueError(
            f"init: the {what} must be real numbers of shape {view.shape}, got {array.dtype} of "
            f"shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        view[...] = array
    if not np.isfinite(view).all():
        raise ValueError(f"init: the {what} are not finite in {view.dtype}")
