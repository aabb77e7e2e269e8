"""Units of the target: members train on scaled targets, and their last layer returns to y's."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.moments import mean_and_spread
from fastbp.estimators.precision import LEAST_SPREAD

MOST_SCALE = 1e30  # that weights of float32 can be multiplied by
LEAST_THRESHOLD = 1e-5  # or slopes, which are as small, would vanish beside Adam's epsilon
EXPONENTIAL = ("poisson", "gamma", "tweedie")  # losses whose predictions are positive


class Units(NamedTuple):
    """The units of the targets of some rows: ``y = mean + scale * u``, where u is trained on.

    Parameters
    ----------
    mean, scale, least, most : ndarray of float64 of shape (n_targets,)
        The range of y is that of predictions.
    is_exponential : bool
        Whether predictions are ``exp(z)``; then `mean` is 0.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    is_exponential: bool

    def of(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """The scaled targets, shape (n_rows,) if there is one."""
        u = ((y - self.mean) / self.scale).astype(np.float32)
        return u.ravel() if u.shape[1] == 1 else u

    def threshold_of(self, threshold: float) -> float:
        """A threshold of Huber's loss, which has one scale for all targets, in these units."""
        scale = max(float(self.scale[0]), threshold / MOST_SCALE)
        return max(threshold / scale, LEAST_THRESHOLD)

    def return_to(self, member: Any) -> None:
        """Let a member that was trained on scaled targets predict in the units of y."""
        is_coarse = self.scale < LEAST_SPREAD * np.abs(self.mean)  # for float32
        if (is_coarse | (self.scale > MOST_SCALE) | (self.scale < 1 / MOST_SCALE)).any():
            member.coefs_ = [one.astype(np.float64) for one in member.coefs_]
            member.intercepts_ = [one.astype(np.float64) for one in member.intercepts_]
        if self.is_exponential:  # exp(z) scale = exp(z + log(scale))
            member.intercepts_[-1] += np.log(self.scale)
            return
        n_outputs, n_targets = member.n_outputs_, len(self.mean)
        n_means = n_outputs // 2 if member.loss == "gaussian" else n_outputs
        mean, scale = (np.repeat(one, n_means // n_targets) for one in (self.mean, self.scale))
        weight, bias = member.coefs_[-1], member.intercepts_[-1]
        weight[:, :n_means] *= scale
        bias[:n_means] = bias[:n_means] * scale + mean
        if n_means < n_outputs:  # log variances
            bias[n_means:] += 2 * np.log(self.scale)

    def predicted(self, member: Any, X: Any) -> NDArray[Any]:
        """What a member in training predicts, in the units of y and within their range."""
        u = member.predict(X)
        mean, scale = (np.repeat(one, np.size(u) // len(u) // len(one)) for one in self[:2])
        y = u * scale + mean if u.ndim > 1 else u * scale[0] + mean[0]
        return self.clipped(y)

    def clipped(self, prediction: NDArray[Any]) -> NDArray[np.float64]:
        """Predictions within the range of y, in float64."""
        least, most = self.least, self.most
        if prediction.ndim == 1:
            return np.minimum(np.maximum(prediction, least[0], dtype=np.float64), most[0])
        repeats = prediction.shape[1] // len(least)
        if repeats > 1:
            least, most = np.repeat(least, repeats), np.repeat(most, repeats)
        return np.minimum(np.maximum(prediction, least, dtype=np.float64), most)


def units_of(y: NDArray[Any], weight: NDArray[np.float64] | None, loss: Any) -> Units:
    """The units of targets: weighted mean and standard deviation, or the mean alone as a factor.

    Parameters
    ----------
    y : ndarray of shape (n_rows, n_targets)
    weight : ndarray of float64 of shape (n_rows,), default=None
        Weights of the rows; None: equal weights.
    loss : str
        Huber's loss has one scale for all targets, so that its threshold is one number.
    """
    least, most = y.min(axis=0).astype(np.float64), y.max(axis=0).astype(np.float64)
    largest = np.maximum(np.abs(least), np.abs(most))
    largest[largest == 0] = 1
    mean, spread = mean_and_spread(y / largest, weight)  # whose squares are numbers
    mean, spread = mean * largest, spread * largest
    if loss in EXPONENTIAL:
        scale = np.where(mean > 0, mean, 1.0)
        return Units(np.zeros_like(mean), scale, least, most, True)
    if loss == "huber":
        most_spread = spread.max() or 1.0
        spread[:] = most_spread * np.sqrt(np.mean((spread / most_spread) ** 2))
    scale = np.where(spread > 0, spread, 1.0)
    return Units(mean, scale, least, most, False)
