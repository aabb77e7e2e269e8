"""The recipe: what the defaults are, where they come from, and what follows from the data.

Most of it is that of RealMLP (Holzmüller, Grinsztajn and Steinwart, "Better by default", NeurIPS
2024, arXiv:2407.04491): its schedule, its rates, its second moment, Mish, decoupled decay, label
smoothing, and initial weights that look at the data. Members on folds, averaged weights and
piecewise-linear codes in place of learned ones are ours, measured on small and medium tables.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import MLPRegressor
from fastbp.schedules import Coslog

RATE_OF_CLASSES, RATE_OF_NUMBERS = 0.04, 0.2  # of weights in units of 1 / sqrt(fan_in)
LABEL_SMOOTHING = 0.1  # where the accuracy chooses the epoch
SCHEDULE = Coslog(4)
BETA_2, EMA_DECAY = 0.95, 0.98
BATCHES = ((512, 32), (1500, 64), (6000, 128), (math.inf, 256))  # training rows at most, batch
EPOCHS, LEAST_EPOCHS = 40, 10
ROWS_OF_ALL_EPOCHS = 25_000  # rows at most; with more, epochs fall as the root of their number
LEAST_FOLDS = 5  # or members would train on less than 80 % of the rows
ROWS_OF_INITIAL_WEIGHTS = 2000
MIXED_ROWS = 5  # whose preactivations a bias mixes
NOMINAL_WIDTH = 128  # of nets without hidden layers


def batch_size(n_rows: int) -> int:
    """Rows of a batch for a number of training rows; all batches of an epoch are about as large.

    A last batch of few rows would make a step as long as the others out of much less.
    """
    rows = next(batch for most, batch in BATCHES if n_rows <= most)
    return math.ceil(n_rows / max(round(n_rows / rows), 1))


def n_epochs(n_rows: int) -> int:
    """Epochs of a member for a number of rows of the table.

    More rows make more steps of an epoch. Fourfold rows get half the epochs, and twice the steps.
    """
    share = math.sqrt(min(1.0, ROWS_OF_ALL_EPOCHS / max(n_rows, 1)))
    return max(round(EPOCHS * share), LEAST_EPOCHS)


def typical_width(hidden: list[int]) -> float:
    """The fan-in for which the rate is meant: the geometric mean of the hidden layers' widths."""
    return float(np.exp(np.mean(np.log(hidden or [NOMINAL_WIDTH]))))


def input_scale(hidden: list[int], n_features: int) -> np.float32:
    """The factor of all inputs of a network during training.

    Layers have the parametrization of the neural tangent kernel, ``z = a w / sqrt(fan_in)`` with w
    of unit size. Here weights have the size ``1 / sqrt(fan_in)`` and a rate to match. One rate
    serves all layers if the first one, whose fan-in is another, has inputs that are scaled by
    ``sqrt(width / n_features)``.
    """
    return np.float32(math.sqrt(typical_width(hidden) / max(n_features, 1)))


def member_parameters(hidden: list[int], learning_rate: float, weight_decay: float) -> dict:
    """The parameters of a member that do not depend on its rows."""
    root = math.sqrt(typical_width(hidden))
    return dict(
        hidden_layer_sizes=tuple(hidden),
        solver="adam",
        alpha=0.0,
        learning_rate=SCHEDULE,
        learning_rate_init=learning_rate / root,
        beta_2=BETA_2,
        weight_decay=weight_decay * root,
        ema_decay=EMA_DECAY,
        early_stopping=True,
        n_iter_no_change=np.inf,
        tol=0.0,
    )


def initial_weights(
    x: NDArray[np.float32],
    units: list[int],
    activation: Any,
    random_state: np.random.RandomState,
    *,
    n_threads: int = 1,
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Weights and biases that fit the rows x, layer by layer: "he+5" and "std" of RealMLP.

    Weights are normal, scaled so that each preactivation has variance 1 on (at most 2000 of) the
    rows. A bias is minus a random convex combination of the preactivations of five rows, so that
    the kinks of units lie where the data are.

    Parameters
    ----------
    x : ndarray of shape (n_rows, n_features)
        The scaled inputs.
    units : list of int
        Widths of all layers, the inputs first.
    activation : str, callable, Expression or list of these
        As in the estimators.
    random_state : RandomState
    n_threads : int, default=1
        The result does not depend on it.

    Returns
    -------
    coefs, intercepts : list of ndarray
    """
    x = x[random_state.permutation(len(x))[:ROWS_OF_INITIAL_WEIGHTS]]
    coefs: list[NDArray[np.float32]] = []
    intercepts: list[NDArray[np.float32]] = []
    for depth, (fan_in, fan_out) in enumerate(itertools.pairwise(units)):
        coefs.append(random_state.randn(fan_in, fan_out).astype(np.float32))
        intercepts.append(np.zeros(fan_out, np.float32))
        # fastbp's own products and functions, whose bits are the same on all processors
        several = isinstance(activation, list | tuple)
        network = MLPRegressor.from_weights(
            coefs,
            intercepts,
            activation=activation[:depth] if several else activation,
            n_threads=n_threads,
        )
        z = network.predict(x).reshape(-1, fan_out).astype(np.float64)
        spread = z.std(axis=0)
        spread[spread <= 1e-6 * np.abs(z).max(axis=0, initial=1e-30)] = np.inf  # a dead unit
        coefs[-1] /= spread.astype(np.float32)
        rows = random_state.randint(len(z), size=(MIXED_ROWS, fan_out))
        shares = random_state.exponential(size=(MIXED_ROWS, fan_out))
        mixed = (z[rows, np.arange(fan_out)] * shares / shares.sum(axis=0)).sum(axis=0)
        intercepts[-1] -= (mixed / spread).astype(np.float32)
    return coefs, intercepts
