"""Gradient check: backpropagation compared with finite differences of the objective.

Each difference uses five values: E(w - e), E(w - e/2), E(w), E(w + e/2) and E(w + e). They have two
third differences. Both are of order e^3 where E is smooth. If E has a kink within the step, at
least one of them is of order e, wherever the kink is. The sum of both, divided by e, therefore
bounds the error of the slope by a kink. It does not depend on backpropagation: a wrong gradient is
never mistaken for a kink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import check_random_state

from fastbp.estimators.base import BaseMLP
from fastbp.estimators.request import INSPECT
from fastbp.estimators.scikit_learn import Interval, StrOptions, validate_params
from fastbp.threads import step_cost, team
from fastbp.training import Gradient, Job, chunk_size, explain_loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Method: TypeAlias = Literal["central", "forward"]

EPSILON = np.finfo(np.float64).eps
STEPS = {"forward": EPSILON ** (1 / 2), "central": EPSILON ** (1 / 3)}  # relative to the weights
TOLERANCES = {"forward": 1e-4, "central": 1e-6}
SHORTER_STEPS = {"forward": (1.0,), "central": (1.0, 2.0**-4, 2.0**-8)}
LONGER_STEPS = (2.0**4, 2.0**8)  # for an objective so large that rounding hides its slope
CAUTION = 40  # standard deviations of rounding in a third difference, with a margin
STRAIGHT_THROUGH = {"step"}  # activations with an estimate for their derivative


@validate_params(
    {
        "method": [StrOptions(set(STEPS))],
        "step": [Interval(Real, 0, np.inf, closed="neither"), None],
        "n_directions": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def check_gradient(
    estimator: BaseMLP,
    X: ArrayLike | sparse.sparray | sparse.spmatrix,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    method: Method = "central",
    step: float | None = None,
    n_directions: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> GradientCheck:
    """Compare the gradient by backpropagation with finite differences of the objective.

    The objective is the mean loss of all samples plus the L2 penalty, always in float64. (For log
    losses it differs slightly from the reported loss, which clips probabilities.)

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The gradient is taken at its weights if it is fitted, or else at the initial weights of
        `fit`. The estimator is not changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets, as for `fit`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples, which must not be negative.
    method : {'central', 'forward'}, default='central'
        ``(E(w + e) - E(w - e)) / (2 e)`` or ``(E(w + e) - E(w)) / e``.
    step : float, default=None
        The step e. None takes ``eps ** (1 / 3) * |w|`` for 'central' and ``eps ** (1 / 2) * |w|``
        for 'forward'. Here eps is the machine epsilon, 2.2e-16, and \\|w| is at least the root mean
        square of the layer's weights, or 1 if these are all 0. See Notes.
    n_directions : int, default=None
        None compares the derivatives by all parameters, with four evaluations of the objective on
        all samples for each. With more than a few thousand parameters, give a number such as 10.
        Then the slopes along this number of random unit vectors in the parameters of each layer are
        compared. An error in any parameter of the layer shows in nearly all of them, but they do
        not show which parameter it is.
    random_state : int, RandomState instance or None, default=None
        Source of the random directions.

    Returns
    -------
    check : GradientCheck
        Gradients, errors, and whether the gradients agree. It prints as a table.

    Raises
    ------
    TypeError
        If the estimator is not one of fastbp.
    ValueError
        If the data or a parameter is not valid, or the objective is not finite.

    Notes
    -----
    The step is a compromise [1]_. The truncation error of Taylor's series grows with e: it is
    ``e / 2 * |E''|`` for 'forward' and ``e ** 2 / 6 * |E'''|`` for 'central'. The rounding error is
    about ``eps * |E| / e`` and grows as e shrinks. If E changes with w on a scale of \\|w|, their
    sum is smallest near the default steps. Then half of the digits are right for 'forward', and two
    thirds for 'central'.

    The relative error between a, the derivative by backpropagation, and n, that by differences, is
    ``|a - n| / max(|a|, |n|, floor)``. The check passes if no error is above 1e-6 ('central') or
    1e-4 ('forward'). The floor is a bound on the error of the difference, divided by this
    tolerance, so that rounding alone never fails. The bound is 80 times the rounding error of E
    divided by e; 'forward' adds the second difference divided by e. The rounding error is estimated
    from a table of E at neighbouring parameters [2]_; it is at least that of the last digit of E.

    If the bound is too large for the tolerance, steps of 16 e and 256 e are tried as well, unless
    `step` is given. A derivative that is not larger than the bound is skipped and counted, since
    with so large an objective no difference can show whether it is right.

    If E has a kink within the step, such as that of a relu, a difference does not give the slope.
    'central' then tries steps of e / 16 and e / 256, unless `step` is given. If they contain the
    kink as well, the derivative is skipped and counted. The same happens if `step` is much too
    large.

    The gradient of step units is the straight-through estimate, on purpose not that of the
    objective, which is constant in all parameters in front of these units. Only the layers behind
    the last step units are compared, and the result says so.

    References
    ----------
    .. [1] William Press et al., "Numerical recipes", 3rd ed., 2007, section 5.7.
    .. [2] Jorge Moré and Stefan Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33,
       2011.

    Examples
    --------
    >>> from fastbp import MLPClassifier, check_gradient
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> check_gradient(MLPClassifier((5,), activation="tanh", random_state=0), X, y).passed
    True
    """
    if not isinstance(estimator, BaseMLP):
        raise TypeError(
            f"estimator must be an MLPClassifier or MLPRegressor of fastbp, got {estimator!r}. "
            "For a pipeline, give its last step, and X as transformed by the steps before it."
        )
    estimator._validate_params()
    job = estimator._job(X, y, sample_weight, purpose=INSPECT, dtype=np.float64)
    job = replace(job, objective=replace(job.objective, exact=True))
    network = job.network
    first = _first_exact_layer(network.activations)
    random_state = check_random_state(random_state)
    with _evaluation(job) as (evaluate, grads):
        here = evaluate()
        if not np.isfinite(here):
            raise ValueError(
                f"the objective is {here} at these weights: it has no gradient. "
                + explain_loss(job, here)
            )
        gradient = network.copy()
        gradient.params[...] = grads  # a copy: each evaluation overwrites grads
        noise = _noise(evaluate, network.params)
        layers = []
        for k in range(len(network.coefs)):
            parameters = _pair(network, k), _pair(gradient, k)
            directions = (
                _coordinate_directions(*parameters)
                if n_directions is None
                else _random_directions(*parameters, n_directions, random_state)
            )
            layers.append(_compare(directions, evaluate, here, noise, method, step, k >= first))
    if n_directions is None:
        layers = [_as_pairs(layer, *_pair(network, k)) for k, layer in enumerate(layers)]
    return GradientCheck(method, network.units, layers, first, n_directions)


# ---- the objective


@contextmanager
def _evaluation(job: Job) -> Iterator[tuple[Callable[[], float], NDArray[np.floating]]]:
    """(evaluate, grads): evaluate() gives the objective at the network's parameters.

    It also sets grads.
    """
    chunk, work = chunk_size(job.samples), job.work_per_sample
    cost = step_cost(work * chunk, job.network.params.size)
    with team(job.n_threads, cost, chunk, work * len(job.samples)) as ranks:
        gradient = Gradient(job, ranks.size)

        def evaluate() -> float:
            ranks.run(gradient)
            return gradient.loss

        yield evaluate, gradient.grads


def _noise(evaluate, params):
    """An estimate of the standard deviation of rounding errors in the objective.

    It uses a table of the objective at parameters with relative distances of 1e-9. In its third
    differences the smooth part vanishes, and independent errors have 20 times the variance of one
    error. The median ignores the few large differences at a kink.
    """
    start = params.copy()
    signs = np.random.RandomState(0).choice([-1.0, 1.0], params.size)
    table = []
    for k in range(32):
        params[...] = start * (1 + k * 2.0**-30 * signs)
        table.append(evaluate())
    params[...] = start
    with np.errstate(invalid="ignore"):
        differences = abs(np.diff(table, 3))
    differences = differences[np.isfinite(differences)]
    deviation = np.median(differences) / (0.6745 * 20**0.5) if differences.size else 0.0
    return max(deviation, np.finfo(np.float64).tiny)


# ---- differences


def _pair(network, k):
    return network.coefs[k], network.intercepts[k]


def _first_exact_layer(activations):
    """The first layer without step units in itself and behind it: its gradient is exact."""
    return max((k + 1 for k, one in enumerate(activations) if one in STRAIGHT_THROUGH), default=0)


def _typical(weight):
    """The root mean square of a layer's weights, or 1 if these are 0."""
    return float(np.sqrt(np.mean(weight**2))) or 1.0


def _coordinate_directions(parameters, gradient):
    """(move, derivative, size) of each parameter: move(t) sets it to its first value plus t."""
    typical = _typical(parameters[0])
    for array, slopes in zip(parameters, gradient, strict=True):
        flat = array.reshape(-1)  # a view
        for i, (w, slope) in enumerate(zip(flat.tolist(), slopes.ravel().tolist(), strict=True)):

            def move(t, flat=flat, i=i, w=w):
                flat[i] = w + t

            yield move, slope, max(abs(w), typical)


def _random_directions(parameters, gradient, n_directions, random_state):
    """(move, derivative, size) of random unit vectors in the parameters of a layer."""
    count = sum(array.size for array in parameters)
    size = _typical(parameters[0]) * count**0.5
    starts = [array.copy() for array in parameters]
    for _ in range(n_directions):
        draws = [random_state.standard_normal(array.shape) for array in parameters]
        norm = sum(np.vdot(draw, draw) for draw in draws) ** 0.5
        draws = [draw / norm for draw in draws]

        def move(t, draws=draws):
            for array, start, draw in zip(parameters, starts, draws, strict=True):
                array[...] = start + t * draw

        yield move, float(sum(map(np.vdot, draws, gradient))), size


def _compare(directions, evaluate, here, noise, method, step, has_gradient):
    """Derivatives by backpropagation, differences and relative errors of all directions.

    Three arrays. The difference and the error are NaN if the direction is skipped.
    """
    rows = []
    for move, slope, size in directions:
        first = STEPS[method] * size
        steps = [first * shorter for shorter in SHORTER_STEPS[method]] if step is None else [step]
        longer = [first * longer for longer in LONGER_STEPS] if step is None else []
        numeric = bound = np.nan
        if has_gradient:
            numeric, bound = _best_difference(move, evaluate, here, noise, method, steps, longer)
            if slope != 0 and max(abs(slope), abs(numeric)) <= bound:  # rounding hides the slope
                numeric = bound = np.nan
        rows.append((slope, numeric, bound))
    slopes, numeric, bounds = np.array(rows).T
    with np.errstate(invalid="ignore"):
        floor = bounds / TOLERANCES[method]
        errors = abs(slopes - numeric) / np.maximum(np.maximum(abs(slopes), abs(numeric)), floor)
    errors[~np.isfinite(slopes) & ~np.isnan(numeric)] = np.inf
    return slopes, numeric, errors


def _best_difference(move, evaluate, here, noise, method, steps, longer):
    """The result of _difference with `steps`, or with a longer step that has a smaller bound."""
    best = _difference(move, evaluate, here, noise, method, steps)
    for e in longer:
        if not best[1] > TOLERANCES[method] * abs(best[0]):  # exact enough, or NaN
            break
        candidate = _difference(move, evaluate, here, noise, method, [e])
        if not candidate[1] < best[1]:
            break
        best = candidate
    return best


def _difference(move, evaluate, here, noise, method, steps):
    """(difference quotient, bound on its error) for the first step without a kink; NaN if none.

    A kink adds an error of at most 1.5 times the sum of both third differences. The truncation
    error of 'central' is less than that sum.
    """
    slope = bound = np.nan
    for e in steps:
        values = []
        for t in (-e, -e / 2, e / 2, e):
            move(t)
            values.append(evaluate())
        left, half_left, half_right, right = values
        bend = (
            abs(right - 3 * half_right + 3 * here - half_left)
            + abs(half_right - 3 * here + 3 * half_left - left)
        ) / e
        rounding = CAUTION * max(noise, EPSILON * abs(left), EPSILON * abs(right)) / e
        if method == "central":
            quotient, truncation = (right - left) / (2 * e), 0.0
        else:
            quotient, truncation = (right - here) / e, abs(right - 2 * here + left) / e
        if bend <= max(rounding, TOLERANCES[method] / 4 * abs(quotient)) < np.inf:  # False for NaN
            slope, bound = quotient, 2 * rounding + truncation
            break
    move(0.0)
    return slope, bound


def _as_pairs(layer, weight, bias):
    """Each array of a layer as a pair (weights, biases) in their shapes."""
    return [
        (array[: weight.size].reshape(weight.shape), array[weight.size :].reshape(bias.shape))
        for array in layer
    ]


# ---- the result

# Numbers of a layer: one for each direction, or arrays for its weights and its biases.
LayerNumbers: TypeAlias = NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]


class GradientCheck:
    """Result of `check_gradient`. It prints as a table, in which layers count from 1.

    Attributes
    ----------
    passed : bool
        Whether all compared derivatives agree within `tolerance`, and at least one was compared.
    max_error : float
        The largest relative error; NaN if nothing could be compared.
    relative_errors : ndarray of shape (n_layers,)
        The largest relative error of each layer; NaN where nothing could be compared.
    analytic, numeric : list of (ndarray of shape (fan_in, fan_out), ndarray of shape (fan_out,))
        Derivatives of the objective with respect to the weights and the biases of each layer, by
        backpropagation and by differences. `numeric` is NaN for derivatives that were not compared.
        With `n_directions`, each layer has one ndarray of shape (n_directions,) instead.
    errors : list
        Relative errors of the derivatives, in the same shapes.
    n_checked, n_skipped : int
        Numbers of derivatives that were compared, and that were skipped because of a kink or of
        rounding.
    straight_through : int
        Number of layers, from the first on, that have step units behind them and are not compared.
    method : str
        'central' or 'forward'.
    tolerance : float
        The largest relative error that passes.
    """

    def __init__(
        self,
        method: Method,
        units: Sequence[int],
        layers: Sequence[tuple[LayerNumbers, LayerNumbers, LayerNumbers]],
        straight_through: int,
        n_directions: int | None,
    ) -> None:
        self.method, self.tolerance = method, TOLERANCES[method]
        self.straight_through = straight_through
        self.analytic, self.numeric, self.errors = map(list, zip(*layers, strict=True))
        self._units, self._n_directions = units, n_directions
        errors = [_flat(layer) for layer in self.errors]
        self.relative_errors = np.array([_largest(layer) for layer in errors])
        self.max_error = _largest(self.relative_errors)
        compared = [int(np.count_nonzero(~np.isnan(layer))) for layer in errors]
        self._skipped = [
            0 if k < straight_through else layer.size - compared[k]
            for k, layer in enumerate(errors)
        ]
        self.n_checked, self.n_skipped = sum(compared), sum(self._skipped)
        self.passed = self.max_error <= self.tolerance

    def __repr__(self) -> str:
        return (
            f"GradientCheck(passed={self.passed}, max_error={self.max_error:.2g}, "
            f"n_checked={self.n_checked}, n_skipped={self.n_skipped})"
        )

    def __str__(self) -> str:
        """A table with a line for each layer, followed by the verdict."""
        what = "every parameter"
        if self._n_directions is not None:
            what = f"{self._n_directions} random directions in each layer"
        lines = [
            f"Gradient by backpropagation and {self.method} differences, {what}",
            "layer         shape  max |analytic|  max error  skipped",
        ]
        for k, (analytic, error) in enumerate(
            zip(self.analytic, self.relative_errors, strict=True)
        ):
            shape = f"{self._units[k]} x {self._units[k + 1]}"
            largest = _largest(abs(_flat(analytic)))
            last = f"{error:.1e}", str(self._skipped[k])
            if k < self.straight_through:
                last = "-", "-"
            lines.append(f"{k + 1:5} {shape:>13} {largest:15.2e} {last[0]:>10} {last[1]:>8}")
        return "\n".join([*lines, *self._verdict()])

    def _verdict(self) -> Iterator[str]:
        bad = [str(k) for k, error in enumerate(self.relative_errors, 1) if error > self.tolerance]
        if self.passed:
            yield (
                f"passed: the largest error of {self.n_checked} is {self.max_error:.1e}, "
                f"at most {self.tolerance:g} are allowed"
            )
        elif not self.n_checked:
            yield "failed: nothing could be compared"
        else:
            yield (
                f"failed in layer {', '.join(bad)}: an error of {self.max_error:.1e}, "
                f"at most {self.tolerance:g} are allowed"
            )
        if self.n_skipped:
            yield (
                f"skipped: {self.n_skipped}, where the objective has a kink within the step or "
                "rounding hides its slope"
            )
        if self.straight_through:
            from fastbp.inspection.words import layers_in_words

            layers = layers_in_words(range(1, self.straight_through + 1))
            yield (
                f"not compared: {layers} in front of step units, whose gradient is "
                "straight-through,\non purpose not that of the objective"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences against the derivatives by backpropagation.

        Derivatives that agree are points on the diagonal, wrong ones are crosses.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw in; None makes a new figure.

        Returns
        -------
        ax : matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from fastbp.inspection import plot

        _, ax = plot.axes("GradientCheck", ax)
        for k, color in enumerate(plot.sequence(len(self.errors))):
            self._scatter(ax, k, color)
        ax.axline((0, 0), slope=1, color=plot.GREY, alpha=0.6, lw=0.8, zorder=0)
        ax.set(xlabel="derivative by backpropagation", ylabel=f"{self.method} difference")
        ax.set_title(
            f"gradient check: {'passed' if self.passed else 'failed'}, "
            f"largest error {self.max_error:.1e}",
            color=plot.INK,
        )
        plot.quiet(ax)
        if self.n_checked:
            plot.legend(ax)
        return ax

    def _scatter(self, ax: Axes, k: int, color: NDArray[np.float64]) -> None:
        """Draw the derivatives of layer k, the wrong ones as crosses."""
        analytic, numeric, errors = (
            _flat(layers[k]) for layers in (self.analytic, self.numeric, self.errors)
        )
        wrong = errors > self.tolerance
        right = ~wrong & ~np.isnan(errors)
        for shown, label, style in (
            (right, f"layer {k + 1}", {"s": 16, "alpha": 0.7, "lw": 0}),
            (wrong, f"layer {k + 1}, wrong", {"s": 36, "marker": "x"}),
        ):
            if shown.any():
                ax.scatter(analytic[shown], numeric[shown], color=[color], label=label, **style)


def _flat(layer: LayerNumbers) -> NDArray[np.float64]:
    """The numbers of a layer in one array, its weights before its biases."""
    return np.concatenate([array.ravel() for array in layer]) if isinstance(layer, tuple) else layer


def _largest(numbers: NDArray[np.float64]) -> float:
    """The largest number that is not NaN, or NaN if there is none."""
    numbers = numbers[~np.isnan(numbers)]
    return float(numbers.max()) if numbers.size else np.nan


for _public in (GradientCheck, check_gradient):
    _public.__module__ = "fastbp"
