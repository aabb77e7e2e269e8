"""Statistics of each layer of a fitted network, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbp.estimators.base import BaseMLP
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.request import INSPECT
from fastbp.inspection.layers import EXAMINE_CHUNK, examine, fitted_network
from fastbp.inspection.messages import diagnose
from fastbp.inspection.slopes import greatest_slope
from fastbp.inspection.words import shortened
from fastbp.training import Gradient

if TYPE_CHECKING:
    import pandas

SATURATED = 0.01  # of an activation's greatest slope: less is saturated


@dataclass(eq=False, repr=False)
class LayerStatistics:
    """Statistics of each layer, forward and backward, computed by `layer_statistics`.

    Arrays have one number per layer: the hidden layers from the input on, then the output layer,
    whose activation is the raw prediction. ``print`` shows them as a table with the messages.

    Attributes
    ----------
    activations : list of str
        Names or formulas of the hidden layers' activations.
    units : list of int
        Widths of the layers.
    mean, std : ndarray of shape (n_layers,)
        Mean and standard deviation of the activation, over all units and all samples.
    saturated : ndarray of shape (n_layers,)
        Share of (sample, unit) pairs whose slope, ``abs(f'(z))``, is below 1 % of the activation's
        greatest slope for z in [-10, 10]. For relu this is the share of zeros.
    dead : ndarray of shape (n_layers,)
        Share of units whose slope is 0 for every sample: at most machine epsilon times the greatest
        slope. No gradient flows through such a unit.
    delta_rms : ndarray of shape (n_layers,)
        Root mean square of delta, the derivative of a sample's loss by z.
    gradient_rms : ndarray of shape (n_layers,)
        Root mean square of the derivatives of the objective, penalty included, by the layer's
        weights.
    update_ratio : ndarray of shape (n_layers,)
        Root mean square of the change of the layer's weights by one step, relative to the root mean
        square of the weights. The step has the rate `learning_rate_init` and the gradient g of all
        samples. For 'sgd' it is ``rate * g``, without momentum. For 'adam' it is ``rate * m /
        (sqrt(v) + epsilon)`` with the corrected moments of the first step, ``m = g`` and ``v = g **
        2``. NaN for 'lbfgs'.
    messages : list of str
        Vanishing or exploding gradients and dead units, in words: the layers, and the usual
        remedies. Layer 1 is the one after the input.
    """

    activations: list[str]
    units: list[int]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    saturated: NDArray[np.float64]
    dead: NDArray[np.float64]
    delta_rms: NDArray[np.float64]
    gradient_rms: NDArray[np.float64]
    update_ratio: NDArray[np.float64]
    messages: list[str] = field(default_factory=list)

    NUMBERS: ClassVar[tuple[str, ...]] = (
        "mean",
        "std",
        "saturated",
        "dead",
        "delta_rms",
        "gradient_rms",
        "update_ratio",
    )

    def __str__(self) -> str:
        names = [shortened(name) for name in [*self.activations, "(output)"]]
        wide = max(map(len, [*names, "activation"]))
        lines = [
            f"{'layer':>5}  {'activation':<{wide}}  {'units':>5}  {'mean':>10}  {'std':>9}  "
            f"{'saturated':>9}  {'dead':>6}  {'RMS delta':>9}  {'RMS grad':>9}  {'update':>9}"
        ]
        for k, name in enumerate(names):
            mean, std, saturated, dead, delta, gradient, update = (
                getattr(self, number)[k] for number in self.NUMBERS
            )
            lines.append(
                f"{k + 1:>5}  {name:<{wide}}  {self.units[k]:>5}  {mean:>10.3g}  {std:>9.3g}  "
                f"{saturated:>9.1%}  {dead:>6.1%}  {delta:>9.2e}  {gradient:>9.2e}  {update:>9.2e}"
            )
        return "\n".join([*lines, *self.messages])

    __repr__ = __str__

    def to_frame(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame, with one row per layer, counted from 1."""
        import pandas

        columns: dict[str, Any] = {"activation": [*self.activations, None], "units": self.units}
        columns |= {number: getattr(self, number) for number in self.NUMBERS}
        return pandas.DataFrame(columns, pandas.RangeIndex(1, len(self.units) + 1, name="layer"))


def layer_statistics(
    estimator: BaseMLP, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> LayerStatistics:
    """Statistics of all layers, forward and backward, for the given samples.

    They are the first thing to look at if a network does not learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted; it is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples. All computations use the dtype of the model, as in training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, as for `fit`; some classes may be missing.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, used in the objective and in all means.

    Returns
    -------
    statistics : LayerStatistics
        Arrays with one number per layer, and messages in words.

    Raises
    ------
    TypeError
        If the estimator is not one of fastbp.
    ValueError
        If X, y or the weights are not valid or do not fit the model.
        `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.

    Notes
    -----
    The gradient vanishes in a layer if the root mean square of its delta is below a thousandth of
    that of the output layer. It explodes if it is above a thousand times that. Delta of a layer is
    the delta of the next layer times the weights between them times f'(z). The factors of all
    layers thus multiply [1]_. Units of ``activation='step'`` have slope 1, the straight-through
    estimate.

    References
    ----------
    .. [1] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward
       neural networks", AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.inspection import layer_statistics
    >>> X = np.random.RandomState(0).randn(100, 3)
    >>> deep = MLPRegressor(hidden_layer_sizes=(20,) * 8, activation="logistic", random_state=0)
    >>> print(layer_statistics(deep.fit(X, X[:, 0]), X, X[:, 0]).messages[0][:21])
    The gradient vanishes
    """
    network = fitted_network(estimator)
    estimator._validate_params()
    job = estimator._job(X, y, sample_weight, purpose=INSPECT, dtype=network.params.dtype)
    weight = job.in_memory.weight
    if weight is not None and not weight.all():  # samples of weight 0 are left out
        job = replace(job, samples=job.in_memory.take(np.flatnonzero(weight)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        seen = [layer.summary() for layer in _sums_of_layers(job)]
        grads = Gradient(job).compute().grads
        gradient_rms, update_ratio = _updates(network, grads, estimator)
    mean, std, saturated, dead, delta_rms = np.array(seen).T
    statistics = LayerStatistics(
        [str(one) for one in network.activations],
        list(network.units[1:]),
        mean,
        std,
        saturated,
        dead,
        delta_rms,
        gradient_rms,
        update_ratio,
    )
    statistics.messages += diagnose(statistics, network)
    return statistics


class _LayerSums:
    """Sums of one layer over chunks of rows."""

    def __init__(self, fan_out, greatest):
        self.greatest = greatest
        self.total = self.mean = self.squares = self.saturated = self.delta = 0.0
        self.alive = np.zeros(fan_out, bool)

    def add(self, a, slope, delta, weight):
        total, slope = weight.sum(), abs(slope)
        mean = (weight @ a).mean() / total
        # Means and sums of squared deviations are merged (Chan, Golub and LeVeque, 1983). This is
        # accurate even if the mean is far from 0.
        gap, self.total = mean - self.mean, self.total + total
        self.mean += gap * total / self.total
        self.squares += (weight @ (a - mean) ** 2).mean()
        self.squares += gap**2 * total * (self.total - total) / self.total
        self.saturated += (weight @ (slope < SATURATED * self.greatest)).mean()
        self.alive |= ~(slope <= np.finfo(slope.dtype).eps * self.greatest).all(axis=0)
        self.delta = np.hypot(self.delta, rms(delta, weight) * total**0.5)

    def summary(self):
        """(mean, standard deviation, saturated share, dead share, RMS of delta)"""
        return (
            self.mean,
            (self.squares / self.total) ** 0.5,
            self.saturated / self.total,
            1 - self.alive.mean(),
            self.delta / self.total**0.5,
        )


def _sums_of_layers(job):
    """The sums of each layer, over chunks of rows."""
    network, samples = job.network, job.in_memory
    activations = [*network.activations, "identity"]
    layers = [
        _LayerSums(fan_out, greatest_slope(activation, network.params.dtype))
        for fan_out, activation in zip(network.units[1:], activations, strict=True)
    ]
    for first in range(0, len(samples), EXAMINE_CHUNK):
        part = slice(first, min(first + EXAMINE_CHUNK, len(samples)))
        weight = samples.weight
        share = np.ones(part.stop - first) if weight is None else weight[part]
        for layer, a, slope, delta in zip(layers, *examine(job, part), strict=True):
            layer.add(a, slope, delta, share)
    return layers


def rms(array, weight=None):
    """The root mean square, even if squares overflow or underflow; rows may have weights."""
    top = abs(array).max()
    if not (0 < top < np.inf):
        return float(top)
    squares = (array / top).astype(np.float64) ** 2
    mean = squares.mean() if weight is None else (weight @ squares).mean() / weight.sum()
    return float(top) * mean**0.5


# By optimizer: the first step of (gradient, estimator), without the rate and without momentum.
FIRST_STEPS = {
    "sgd": lambda g, estimator: g,
    "adam": lambda g, estimator: g / (abs(g) + estimator.epsilon),
}


def _updates(network, grads, estimator):
    """RMS of each layer's gradient, and of one step relative to the weights."""
    gradient_rms, update_ratio = [], []
    for layer, weights in zip(network.plan.tolist(), network.coefs, strict=True):
        begin = layer[network.plan.dtype.names.index("weight")]
        gradient = grads[begin : begin + weights.size]
        gradient_rms.append(rms(gradient))
        ratio = np.nan
        if estimator.solver != "lbfgs":
            step = FIRST_STEPS[estimator.solver](gradient, estimator)
            ratio = estimator.learning_rate_init * np.divide(rms(step), rms(weights))
        update_ratio.append(ratio)
    return np.array(gradient_rms), np.array(update_ratio)
