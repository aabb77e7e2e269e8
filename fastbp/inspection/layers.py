"""Activations of the layers of a fitted network, and its derivatives by the input."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.estimators.inputs import CheckedMatrix, Matrix
from fastbp.estimators.model import Model, model_of, of_one_moment
from fastbp.estimators.predict import checked_rows
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.kernels import Task, core
from fastbp.network import Network, allocate, count_rows, row_slice

# Rows that are examined together: a few MiB for usual widths.
EXAMINE_CHUNK = 1024


def activations(estimator: BaseMLP, X: Matrix) -> list[NDArray[np.floating]]:
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
        The activations of each hidden layer for X, from the first layer on, and then the raw
        prediction: the output before the link is applied. float32 if both X and the model are
        float32, else float64.

    Raises
    ------
    TypeError
        If the estimator is not one of fastbp.
    ValueError
        If X is not valid, or does not have the features that the model was fitted on.
        `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.

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


def input_gradients(estimator: BaseMLP, X: Matrix) -> NDArray[np.floating]:
    """Exact derivatives of the raw prediction by X, for each sample.

    They show which features a prediction is sensitive to. Delta is set to 1 for output k and to 0
    for the other outputs. Backpropagation then gives ``dz_k / dX = delta_1 W_1^T``, where delta_1
    and W_1 belong to the first layer.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.

    Returns
    -------
    gradients : ndarray
        Shape (n_samples, n_features) for one output, else (n_samples, n_outputs, n_features). It is
        dense, also for sparse X.

    Raises
    ------
    TypeError
        If the estimator is not one of fastbp.
    ValueError
        If X is not valid, or does not have the features that the model was fitted on.
        `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.

    Notes
    -----
    The raw prediction is the last preactivation: the logit of a classifier, not its probability,
    and the logarithm of the mean of a Poisson model. By the chain rule, the derivative of a binary
    probability p is ``p (1 - p)`` times that of its logit.

    The derivative of ``activation='step'`` is 0 almost everywhere. As in training, its
    straight-through estimate of 1 is used instead. At a kink, the derivative is that of one side.

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


def fitted_network(estimator: BaseMLP) -> Network:
    """A copy of the network of a fitted fastbp estimator; TypeError for any other object."""
    return model_of(_fitted(estimator)).network


def model_and_rows(estimator: BaseMLP, X: Matrix) -> tuple[Model, CheckedMatrix]:
    """The model of a fitted fastbp estimator and the checked rows X, as for a prediction."""
    return checked_rows(_fitted(estimator), X)


def _fitted(estimator: BaseMLP) -> CheckedEstimator:
    """A draft of a fitted fastbp estimator that no fit changes."""
    if not isinstance(estimator, BaseMLP):
        kind = type(estimator)
        raise TypeError(
            "estimator must be a fitted MLPClassifier or MLPRegressor of fastbp, got "
            f"{kind.__module__}.{kind.__qualname__}. Out of a pipeline or a search take the "
            "estimator itself, and give it X as it gets it there."
        )
    check_is_fitted(estimator)
    return of_one_moment(estimator)


def _network_and_rows(estimator, X):
    """The network and the rows of X in one dtype, as for a prediction."""
    model, X = model_and_rows(estimator, X)
    network, dtype = model.network, model.network.dtype_for(X.dtype)
    network = network if dtype == network.params.dtype else network.astype(dtype)
    return network, inputs.as_rows(X, dtype)


# ---- by the core


def per_layer(network, n_rows):
    """An array (rows, fan_out) for each layer, and the flat one that they are views into."""
    flat = allocate(n_rows * sum(network.units[1:]), network.params.dtype)
    ends = n_rows * np.cumsum(network.units[1:])
    return [part.reshape(n_rows, -1) for part in np.split(flat, ends[:-1])], flat


def forward(network, x):
    """The activations of all layers for rows x, the raw prediction last: arrays (rows, fan_out)."""
    n_rows = count_rows(x)
    layers, flat = per_layer(network, n_rows)
    core.look(network.program, network.params, _scratch(network, n_rows), x, flat, None)
    return layers


def slopes(network, x):
    """The slopes f'(z) of all layers for rows x: arrays (rows, fan_out)."""
    n_rows = count_rows(x)
    layers, flat = per_layer(network, n_rows)
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
        layers, deltas = per_layer(network, size)
        dx = allocate(size * network.units[0], network.params.dtype)
        scratch = _scratch(network, size)
        for k in range(n_outputs):
            layers[-1][:] = np.arange(n_outputs) == k
            core.pull_back(network.program, network.params, scratch, rows, deltas, dx)
            gradients[part, k] = dx.reshape(-1, network.units[0])
    return gradients


def examine(job, part):
    """Activations, slopes f'(z) and deltas dloss/dz of all layers, as training has them.

    Of the samples in a slice, unweighted: three lists of arrays of shape (rows, fan_out). The last
    activation is the raw prediction.
    """
    network, samples = job.network, job.in_memory[part]
    program, objective = job.objective.lower(network)
    views, flat = zip(*(per_layer(network, len(samples)) for _ in range(3)), strict=True)
    scratch = network.scratch(len(samples), 1, "examine", program)
    core.look(program, network.params, scratch, samples.x, *flat[:2])
    task = Task(replace(samples, weight=None), objective)
    core.deltas(program, network.params, scratch, task, flat[2])
    return views


def _scratch(network, n_rows):
    return network.scratch(n_rows, 1, "examine")
