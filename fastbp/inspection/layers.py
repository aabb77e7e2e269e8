"""What goes through the layers of a fitted network: activations, derivatives by the input."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.network import Network

Rows: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix  # what is taken for X


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
    return network.forward(x)


def input_gradients(estimator: BaseMLP, X: Rows) -> NDArray[np.floating]:
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
    found = network.input_gradients(x)
    return found[:, 0] if found.shape[1] == 1 else found


def fitted_network(estimator: BaseMLP) -> Network:
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
