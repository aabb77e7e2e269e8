"""Activations of the layers of a fitted network, and its derivatives by the input."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.network import Network

Rows: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix  # the type of X


def activations(estimator: BaseMLP, X: Rows) -> list[NDArray[np.floating]]:
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
    return network.forward(x)


def input_gradients(estimator: BaseMLP, X: Rows) -> NDArray[np.floating]:
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
    found = network.input_gradients(x)
    return found[:, 0] if found.shape[1] == 1 else found


def fitted_network(estimator: BaseMLP) -> Network:
    """The network of a fitted fastbp estimator; TypeError for any other object."""
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
    """The network and the rows of X in one dtype, as for a prediction."""
    network = fitted_network(estimator)
    X = inputs.check_prediction_data(estimator, X)
    network = network.for_rows_of(X.dtype)
    return network, inputs.as_rows(X, network.params.dtype)
