"""From the predictions of several members to one: means, and how far the members are apart."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_PROBABILITY = 1e-12  # whose logarithm is taken
MOST_TEMPERATURE = 4.0  # and 1 / 4 at least


# ---- ensembles


def mean_of_arrays(probabilities: Iterable[Any]) -> Any:
    """The mean of the members' probabilities: of arrays, which are overwritten, or lists of them.

    Lists have an array for each of several targets.
    """
    members = iter(probabilities)
    total, n_members = next(members), 1
    for probability in members:
        if isinstance(total, list):
            total = [one + other for one, other in zip(total, probability, strict=True)]
        else:
            total += probability
        n_members += 1
    return [one / n_members for one in total] if isinstance(total, list) else total / n_members


def mean_and_deviation(
    means: Sequence[NDArray[Any]], stds: Sequence[NDArray[Any]] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The mean of what members predict, and its standard deviation.

    With `stds`, the deviations that Gaussian members predict, it is that of the targets:
    ``sqrt(mean(std ** 2) + var(mean))``.
    """
    joined = np.array(means)
    noise: Any = 0.0
    if stds is not None:
        noise = np.mean([np.square(std, dtype=np.float64) for std in stds], axis=0)
    std = np.sqrt(noise + joined.var(axis=0, dtype=np.float64))
    return joined.mean(axis=0), std.astype(joined.dtype)


# ---- members of tabular models, in float64


def mean_probability(probabilities: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """The mean of the members' probabilities."""
    return np.add.reduce(probabilities, axis=0, dtype=np.float64) / len(probabilities)


def summing_to_one(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities of float32 as float64, whose sums scikit-learn checks more closely."""
    probability = probability.astype(np.float64, copy=False)
    return probability / probability.sum(axis=1, keepdims=True)


def tempered(probability: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """``p ** (1 / T)``, divided by its sum over the classes."""
    if temperature == 1.0:
        return probability
    logs = np.log(np.maximum(probability, LEAST_PROBABILITY)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def within(
    predictions: NDArray[np.float64],
    limits: NDArray[np.float64],
    levels: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Predictions within limits, those of quantiles sorted; they are overwritten.

    Parameters
    ----------
    predictions : ndarray of shape (n_members, n_samples, n_outputs)
    limits : ndarray of shape (2, n_members, 1, n_outputs)
        The least and the largest prediction.
    levels : ndarray of shape (n_levels,) or None
        Of quantiles. Outputs are those of each target side by side.
    """
    np.maximum(predictions, limits[0], out=predictions)
    np.minimum(predictions, limits[1], out=predictions)
    if levels is None:
        return predictions
    shape = predictions.shape
    predictions = predictions.reshape(*shape[:2], -1, len(levels))
    predictions[..., np.argsort(levels)] = np.sort(predictions, axis=-1)
    return predictions.reshape(shape)


def check_levels(quantile: ArrayLike) -> NDArray[np.float64]:
    """The levels of a quantile loss as float64, shape (n_levels,)."""
    levels = np.asarray(quantile)
    if levels.ndim > 1 or levels.size == 0 or levels.dtype.kind not in "fiu":
        raise ValueError(f"quantile must be a level or a list of levels, got {quantile!r}.")
    levels = np.atleast_1d(levels).astype(np.float64)
    if not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"quantile must lie between 0 and 1, both excluded, got {quantile!r}.")
    return levels


def check_temperature(temperature: Any) -> float:
    """The temperature of a saved model; ValueError if none could be that."""
    if type(temperature) is not float or not 0 < temperature <= MOST_TEMPERATURE * (1 + 1e-9):
        raise ValueError(f"temperature_ must be a positive number, got {temperature!r}")
    return temperature


def mean_of_numbers(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over the first axis, that of the members."""
    return np.add.reduce(predictions, axis=0) / len(predictions)


def spread(
    predictions: NDArray[np.float64], noise: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """``sqrt(var(predictions) + mean(noise ** 2))`` over the first axis.

    Of numbers divided by a power of two for each output, so that squares are numbers too.
    """
    size = np.abs(predictions) if noise is None else np.maximum(np.abs(predictions), noise)
    exponent = np.frexp(size.max(axis=(0, 1)))[1]
    variance = np.ldexp(predictions, -exponent).var(axis=0)
    if noise is not None:
        variance += np.square(np.ldexp(noise, -exponent)).mean(axis=0)
    return np.ldexp(np.sqrt(variance), exponent)
