"""What the layers of a fitted network do: activations, derivatives by the input, statistics."""

from dataclasses import dataclass, field

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.kernels import Task, core
from fastbp.network import Network, allocate, count_rows, row_slice
from fastbp.training.trainer import Samples, Settings, loss_gradient

# Rows that are examined together: a few MiB for usual widths.
EXAMINE_CHUNK = 1024
SATURATED = 0.01  # of an activation's greatest slope: less is saturated
SLOPE_RANGE = np.linspace(-10, 10, 2001)[:, None]  # where that is looked for
VANISHING, EXPLODING = 1e-3, 1e3  # RMS of delta, beside that of the output layer
DEAD = 0.1  # share of a layer's units from which a message names them
NAME_WIDTH = 24  # of an activation in the table: a formula may be long


def activations(estimator, X):
    """Activations of every layer.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.

    Returns
    -------
    activations : list of ndarray of shape (n_samples, fan_out)
        What each hidden layer makes of X, the first layer first, and last the raw prediction: that
        of the link is left out. float32 where X and the model are, else float64.

    Raises
    ------
    TypeError
        If the estimator is none of fastbp's.
    ValueError
        If X is not valid, or has other features than the model was fitted on.
        `sklearn.exceptions.NotFittedError`, which is one, if the estimator is not fitted.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.inspection import activations
    >>> reg = MLPRegressor(hidden_layer_sizes=(3, 2), solver="lbfgs").fit([[0.0], [1.0]], [0, 1])
    >>> [layer.shape for layer in activations(reg, [[0.5]])]
    [(1, 3), (1, 2), (1, 1)]
    """
    network, x = _network_and_rows(estimator, X)
    return forward(network, x)


def input_gradients(estimator, X):
    """Derivatives of the raw prediction by X, exact: what delta becomes one layer before the first.

    They tell, sample by sample, to which features a prediction is sensitive. With delta of the
    output k set to 1, and to 0 for the other outputs, backpropagation gives ``dz_k / dX = delta_1
    W_1^T``, where delta_1 and W_1 are those of the first layer.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.

    Returns
    -------
    gradients : ndarray
        Of shape (n_samples, n_features) for one output, else (n_samples, n_outputs, n_features);
        dense for sparse X, too.

    Raises
    ------
    TypeError
        If the estimator is none of fastbp's.
    ValueError
        If X is not valid, or has other features than the model was fitted on.
        `sklearn.exceptions.NotFittedError`, which is one, if the estimator is not fitted.

    Notes
    -----
    The raw prediction is the last preactivation: of classifiers not the probability but its logit,
    of Poisson models the logarithm of the mean. By the chain rule, the derivative of a binary
    probability p is ``p (1 - p)`` times this one.

    Through units of ``activation='step'``, whose derivative is 0 almost everywhere, flows what
    training lets flow there, the straight-through estimate: as if their derivative were 1. Kinks
    have the derivative of one side.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from fastbp.inspection import input_gradients
    >>> reg = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9)
    >>> reg = reg.fit([[0.0, 0], [1, 0], [0, 1]], [0, 2, 3])
    >>> input_gradients(reg, [[5.0, 5]]).round(3)
    array([[2., 3.]])
    """
    network, x = _network_and_rows(estimator, X)
    gradients = raw_gradients(network, x)
    return gradients[:, 0] if gradients.shape[1] == 1 else gradients


def fitted_network(estimator):
    """The network of a fitted estimator of fastbp, whatever else is refused."""
    if not isinstance(estimator, BaseMLP):
        kind = type(estimator)
        raise TypeError(
            "estimator must be a fitted MLPClassifier or MLPRegressor of fastbp, got "
            f"{kind.__module__}.{kind.__qualname__}. Out of a pipeline or a search take the "
            "estimator itself, and give it X as it gets it there."
        )
    check_is_fitted(estimator)
    return estimator._current_network()


def _network_and_rows(estimator, X):
    """Network and rows in one dtype, as for a prediction."""
    network = fitted_network(estimator)
    X = inputs.check_prediction_data(estimator, X)
    network = network.for_rows_of(X.dtype)
    return network, inputs.as_rows(X, network.params.dtype)


# ---- by the core


def _per_layer(network, n_rows):
    """An array (rows, fan_out) for each layer, and the flat one that they are views into."""
    flat = allocate(n_rows * sum(network.units[1:]), network.params.dtype)
    ends = n_rows * np.cumsum(network.units[1:])
    return [part.reshape(n_rows, -1) for part in np.split(flat, ends[:-1])], flat


def forward(network, x):
    """The activations of all layers for rows x, the raw prediction last: arrays (rows, fan_out)."""
    n_rows = count_rows(x)
    layers, flat = _per_layer(network, n_rows)
    core.look(network.program, network.params, _scratch(network, n_rows), x, flat, None)
    return layers


def slopes(network, x):
    """The slopes f'(z) of all layers for rows x: arrays (rows, fan_out)."""
    n_rows = count_rows(x)
    layers, flat = _per_layer(network, n_rows)
    core.look(network.program, network.params, _scratch(network, n_rows), x, None, flat)
    return layers


def raw_gradients(network, x):
    """The derivatives of the raw predictions by x, shape (rows, outputs, features).

    The deltas of the output layer are 1 for the output itself and 0 for the others.
    """
    n_rows, n_outputs = count_rows(x), network.units[-1]
    gradients = np.empty((n_rows, n_outputs, network.units[0]), network.params.dtype)
    for first in range(0, n_rows, EXAMINE_CHUNK):
        part = slice(first, min(first + EXAMINE_CHUNK, n_rows))
        rows, size = row_slice(x, part), part.stop - first
        layers, deltas = _per_layer(network, size)
        dx = allocate(size * network.units[0], network.params.dtype)
        scratch = _scratch(network, size)
        for k in range(n_outputs):
            layers[-1][:] = np.arange(n_outputs) == k
            core.pull_back(network.program, network.params, scratch, rows, deltas, dx)
            gradients[part, k] = dx.reshape(-1, network.units[0])
    return gradients


def examine(network, x, y, program, objective):
    """Activations, slopes and deltas of all layers, as training has them for rows x and targets y.

    Parameters
    ----------
    x, y
        Rows and targets, as training takes them.
    program : ndarray or Program
        The network's, with the tape of the loss if it has one.
    objective : LoweredObjective

    Returns
    -------
    activations, slopes, deltas : lists of ndarray of shape (rows, fan_out)
        a, f'(z) and dloss/dz of all layers; the last activation is the raw prediction.
    """
    n_rows = len(y)
    views, flat = zip(*(_per_layer(network, n_rows) for _ in range(3)), strict=True)
    scratch = network.scratch(n_rows, 1, "examine", program)
    core.look(program, network.params, scratch, x, *flat[:2])
    task = Task(Samples(x, y, None), objective)
    core.deltas(program, network.params, scratch, task, flat[2])
    return views


def _scratch(network, n_rows):
    return network.scratch(n_rows, 1, "examine")


# ---- statistics


@dataclass(eq=False, repr=False)
class LayerStatistics:
    """What each layer does, forward and backward; made by `layer_statistics`.

    Arrays have a number for each layer: the hidden layers from the input on, and the output layer,
    whose activation is the raw prediction. ``print`` shows them as a table, with the messages.

    Attributes
    ----------
    activations : list of str
        Names or formulas of the hidden layers' activations.
    units : list of int
        Widths of the layers.
    mean, std : ndarray of shape (n_layers,)
        Of the layer's activation, over all its units and all samples.
    saturated : ndarray of shape (n_layers,)
        Share of (sample, unit) pairs with a slope, ``abs(f'(z))``, below 1 % of the greatest that
        the activation has for z in [-10, 10]. Of relu that is the share of zeros.
    dead : ndarray of shape (n_layers,)
        Share of units without a slope for every sample: at most machine epsilon times the greatest.
        No gradient comes through such a unit.
    delta_rms : ndarray of shape (n_layers,)
        Root mean square of delta, the derivative of a sample's loss by z.
    gradient_rms : ndarray of shape (n_layers,)
        Root mean square of the gradient of the layer's weights, of the objective over all samples
        with its penalty.
    update_ratio : ndarray of shape (n_layers,)
        Root mean square of what one step changes in the layer's weights, relative to that of the
        weights. The step has rate `learning_rate_init` and the gradient g of all samples: ``rate *
        g`` of 'sgd', without momentum; ``rate * m / (sqrt(v) + epsilon)`` of 'adam', with its
        corrected moments at its first step, ``m = g`` and ``v = g ** 2``. NaN for 'lbfgs'.
    messages : list of str
        A vanishing or exploding gradient and dead units, in words: where, and the usual remedies.
        Layers count from 1, which follows the input.
    """

    activations: list
    units: list
    mean: np.ndarray
    std: np.ndarray
    saturated: np.ndarray
    dead: np.ndarray
    delta_rms: np.ndarray
    gradient_rms: np.ndarray
    update_ratio: np.ndarray
    messages: list = field(default_factory=list)

    NUMBERS = ("mean", "std", "saturated", "dead", "delta_rms", "gradient_rms", "update_ratio")

    def __str__(self):
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

    def to_frame(self):
        """The table as a DataFrame of pandas, a row per layer, counted from 1."""
        import pandas

        columns = {"activation": [*self.activations, None], "units": self.units}
        columns |= {number: getattr(self, number) for number in self.NUMBERS}
        return pandas.DataFrame(columns, pandas.RangeIndex(1, len(self.units) + 1, name="layer"))


def shortened(name):
    return name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 1] + "…"


def layer_statistics(estimator, X, y, sample_weight=None):
    """Statistics of all layers, forward and backward, on data such as the estimator was fitted on.

    The first thing to look at where a network does not learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted; it is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples. The model's dtype is that of all computations, as in training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, as for `fit`; not every class has to be there.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, in the objective and in all means.

    Returns
    -------
    statistics : LayerStatistics
        Arrays with a number for each layer, and messages in words.

    Raises
    ------
    TypeError
        If the estimator is none of fastbp's.
    ValueError
        If X, y or the weights are not valid or do not fit the model.
        `sklearn.exceptions.NotFittedError`, which is one, if the estimator is not fitted.

    Notes
    -----
    The gradient vanishes in a layer where the root mean square of delta is below a thousandth of
    that of the output layer, and explodes where it is above a thousand times that. Delta of a layer
    is that of the next one through its weights, times f'(z), so that the factors of all layers
    multiply [1]_. Units of ``activation='step'`` have the slope 1 of the straight-through estimate.

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
    >>> print(layer_statistics(deep.fit(X, X[:, 0]), X, X[:, 0]).messages[0][:45])
    The gradient vanishes: RMS of delta falls from
    """
    network = fitted_network(estimator)
    # A twin, which may take notice of the data; new classes are as unknown to it as to partial_fit.
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator), warm_start=False)
    twin._validate_params()
    dtype = network.params.dtype
    X, y, data, objective, alpha = twin._prepare(
        X, y, sample_weight, dtype, incremental=True, reset=False
    )
    twin._check_shape(network.units, network.units[1:-1], y.shape[1])
    weight = data[2]
    if weight is not None and not weight.all():  # a sample of no weight is absent
        present = weight > 0
        data = (inputs.as_rows(X[present], dtype), data[1][present], weight[present])
    settings = Settings(objective, alpha, max_iter=1, tol=0.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        seen = [layer.summary() for layer in _look(network, data, settings.objective)]
        _, grads = loss_gradient(network, data, settings)
        gradient_rms, update_ratio = _updates(network, grads, twin)
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
    statistics.messages += _messages(statistics)
    return statistics


class _Layer:
    """What is summed over chunks of rows for one layer."""

    def __init__(self, fan_out, greatest):
        self.greatest = greatest
        self.total = self.mean = self.squares = self.saturated = self.delta = 0.0
        self.alive = np.zeros(fan_out, bool)

    def add(self, a, slope, delta, weight):
        total, slope = weight.sum(), abs(slope)
        mean = (weight @ a).mean() / total
        # Mean and sum of squares around it merge (Chan, Golub and LeVeque, 1983), so that nothing
        # is lost where the mean is far from 0.
        gap, self.total = mean - self.mean, self.total + total
        self.mean += gap * total / self.total
        self.squares += (weight @ (a - mean) ** 2).mean()
        self.squares += gap**2 * total * (self.total - total) / self.total
        self.saturated += (weight @ (slope < SATURATED * self.greatest)).mean()
        self.alive |= ~(slope <= np.finfo(slope.dtype).eps * self.greatest).all(axis=0)
        self.delta = np.hypot(self.delta, rms(delta, weight) * total**0.5)

    def summary(self):
        """Mean, std, saturated and dead share, RMS of delta."""
        return (
            self.mean,
            (self.squares / self.total) ** 0.5,
            self.saturated / self.total,
            1 - self.alive.mean(),
            self.delta / self.total**0.5,
        )


def _look(network, data, objective):
    """The sums of all layers, over chunks of rows."""
    x, y, weight = data
    program, lowered = objective.program(network)
    activations = [*network.activations, "identity"]
    layers = [
        _Layer(fan_out, greatest_slope(activation, network.params.dtype))
        for fan_out, activation in zip(network.units[1:], activations, strict=True)
    ]
    for first in range(0, len(y), EXAMINE_CHUNK):
        part = slice(first, min(first + EXAMINE_CHUNK, len(y)))
        examined = examine(network, row_slice(x, part), y[part], program, lowered)
        share = np.ones(part.stop - first) if weight is None else weight[part]
        for layer, a, slope, delta in zip(layers, *examined, strict=True):
            layer.add(a, slope, delta, share)
    return layers


def greatest_slope(activation, dtype):
    """The greatest finite abs(f'(z)) for z in SLOPE_RANGE, by the core itself."""
    network = Network((1, 1, 1), activation, dtype)
    network.coefs[0][:] = 1
    sizes = abs(slopes(network, SLOPE_RANGE.astype(dtype))[0])
    return sizes[np.isfinite(sizes)].max(initial=0)


def rms(array, weight=None):
    """Root of the mean of squares, which themselves may be out of range; rows may have weights."""
    top = abs(array).max()
    if not (0 < top < np.inf):
        return float(top)
    squares = (array / top).astype(np.float64) ** 2
    mean = squares.mean() if weight is None else (weight @ squares).mean() / weight.sum()
    return float(top) * mean**0.5


def _updates(network, grads, estimator):
    """RMS of each layer's gradient, and of its step relative to its weights."""
    gradient_rms, update_ratio = [], []
    for layer, weights in zip(network.plan.tolist(), network.coefs, strict=True):
        begin = layer[network.plan.dtype.names.index("weight")]
        gradient = grads[begin : begin + weights.size]
        gradient_rms.append(rms(gradient))
        step = gradient
        if estimator.solver == "adam":
            step = gradient / (abs(gradient) + estimator.epsilon)
        rate = np.nan if estimator.solver == "lbfgs" else estimator.learning_rate_init
        update_ratio.append(rate * np.divide(rms(step), rms(weights)))
    return np.array(gradient_rms), np.array(update_ratio)


# ---- in words


def _messages(statistics):
    *deltas, last = statistics.delta_rms
    found = []
    if not np.isfinite(statistics.delta_rms).all():
        found.append(
            "The gradient is not finite: the deltas overflow. "
            "Usual remedies: smaller initial weights, a smaller learning rate, scaled X and y."
        )
    elif last > 0 and deltas:
        deltas = np.array(deltas)
        below, above = (
            np.flatnonzero(where) + 1
            for where in (deltas < VANISHING * last, deltas > EXPLODING * last)
        )
        if len(below):
            found.append(
                f"The gradient vanishes: {_course(deltas, 'falls', last, below)}, below a "
                f"thousandth of it in {_layers(below)}. {_against_vanishing(statistics)}"
            )
        if len(above):
            found.append(
                f"The gradient explodes: {_course(deltas, 'grows', last, above)}, above a thousand "
                f"times it in {_layers(above)}. Usual remedies: smaller initial weights "
                "(init='glorot_uniform', or 'he_uniform' for the relu family), a smaller learning "
                "rate, fewer layers, a larger alpha, X scaled to mean 0 and standard deviation 1."
            )
    dead = np.flatnonzero(statistics.dead >= DEAD)
    if len(dead):
        where = ", ".join(
            f"{round(statistics.dead[k] * statistics.units[k])} of {statistics.units[k]} in layer "
            f"{k + 1}"
            for k in dead
        )
        found.append(
            f"Units are dead, {where}: no sample gives them a slope, so that they cannot learn. "
            "Usual remedies: a smaller learning rate, activation='leaky_relu' or 'elu', He's "
            "initial weights (init='he_uniform'), X scaled to mean 0 and standard deviation 1."
        )
    return found


def _course(deltas, verb, last, named):
    """From where to where the RMS of delta goes, towards the input."""
    k = named[np.argmin(deltas[named - 1]) if verb == "falls" else np.argmax(deltas[named - 1])]
    return (
        f"RMS of delta {verb} from {last:.1e} in the output layer to {deltas[k - 1]:.1e} in "
        f"layer {k}"
    )


def _against_vanishing(statistics):
    squashing = {"logistic", "tanh", "hard_sigmoid", "softplus"} & {*statistics.activations}
    family = "an activation of the relu family (relu, leaky_relu, elu, gelu), " if squashing else ""
    return (
        f"Usual remedies: {family}He's initial weights (init='he_uniform'), fewer layers, X "
        "scaled to mean 0 and standard deviation 1, solver='adam' or a larger learning rate."
    )


def _layers(numbers):
    """The layers in words: 'layer 3', 'layers 1 to 4', 'layers 1, 2 and 5'."""
    if len(numbers) == 1:
        return f"layer {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"layers {numbers[0]} to {numbers[-1]}"
    return f"layers {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
