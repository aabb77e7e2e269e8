"""The importance of features: root mean squares of their first-order contributions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.estimators.model import Model
from fastbp.inspection.layers import forward, model_and_rows, raw_gradients
from fastbp.kernels import core

MOST_NUMBERS = 1 << 20  # derivatives that are looked at together
# dp/dz of the links of regressors, by the prediction p.
SLOPES_OF_LINKS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "identity": np.ones_like,
    "exp": lambda p: p,
    "logistic": lambda p: p * (1 - p),
    "softplus": lambda p: -np.expm1(-p),
    "relu": lambda p: (p > 0).astype(p.dtype),
    "tanh": lambda p: 1 - p**2,
}


def feature_importance(estimator: Any, X: Any) -> Bunch:
    """Importance of each feature: the typical size of its contribution to the output.

    It is in units of the output: those of y for a regressor, log-odds for a classifier. It needs
    the exact gradient of each row. Nothing is permuted, fitted again or drawn at random.

    Parameters
    ----------
    estimator : TabularMLPClassifier, TabularMLPRegressor, MLPClassifier or MLPRegressor
        Fitted.
    X : {DataFrame, array-like, sparse matrix} of shape (n_samples, n_features)
        The rows that contributions are computed for, as `predict` takes them. Their mean is what
        each row is compared with, so there should be many.

    Returns
    -------
    result : `sklearn.utils.Bunch`
        importances_mean : ndarray of shape (n_features,)
            The mean over the members. A feature is a column of X: the columns that
            `TabularPreprocessor` makes of it count together.
        importances_std : ndarray of shape (n_features,)
            The standard deviation over the members; 0 for a single network.
        importances : ndarray of shape (n_features, n_members)
            The importance by each member.
        feature_names : ndarray of str of shape (n_features,)
            `feature_names_in_` if it is there, or "x0", "x1", ...

    Raises
    ------
    TypeError
        If the estimator is not one of fastbp.
    ValueError
        If X is not valid, or does not have the features that the model was fitted on.
        `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.

    See Also
    --------
    FeatureImportanceDisplay : Draws them.
    input_gradients : The derivatives by themselves.

    Notes
    -----
    Let x be the columns that a network sees, and f one of its outputs. The contribution of feature
    j to the output for row r is that of the columns c that were made of it [1]_,

    .. math:: v_{rj} = \\sum_{c \\in j} \\frac{\\partial f}{\\partial x_c}(x_r)
              (x_{rc} - \\bar x_c),

    where the bar is the mean over the rows. The importance of j is the root mean square of it,

    .. math:: I_j = \\sqrt{\\frac{1}{n} \\sum_r v_{rj}^2}.

    For a linear function with the weights w, it is ``abs(w_j) * std(x_j)``. A constant column has
    an importance of 0. The columns that the members of a tabular estimator see are curved functions
    of the numbers, so there the first law holds approximately.

    - The output of a regressor is its prediction; with ``loss='gaussian'`` the mean. What
      `TabularMLPRegressor` predicts is also clipped to the range of y, which is not looked at.
    - The output of a classifier is the raw prediction: the log-odds of the second of two classes.
      If there are more classes, each has a raw prediction, of which the mean over the classes is
      subtracted, since probabilities do not depend on it.
    - The square is averaged over several outputs, too.

    It is of first order: what two features do together only, such as their product, counts for each
    of them in the rows where the other one is not at its mean. It says what the network does with
    a feature, not what a score loses without it, as `sklearn.inspection.permutation_importance`
    does. Features that say the same share their importance.

    References
    ----------
    .. [1] A. Shrikumar, P. Greenside, A. Shcherbina and A. Kundaje, "Not just a black box: learning
       important features through propagating activation differences", 2016, arXiv:1605.01713.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.inspection import feature_importance
    >>> X = np.array([[0, 0, 1], [1, 0, 1], [0, 4, 1], [1, 4, 1]])
    >>> reg = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9)
    >>> reg = reg.fit(X, 6 * X[:, 0] + X[:, 1])
    >>> feature_importance(reg, X).importances_mean.round(3)
    array([3., 2., 0.])
    """
    if isinstance(estimator, BaseMLP):
        members, columns = [estimator], None
        fitted: Any = estimator
    else:
        fitted = _tabular(estimator)
        members, columns = fitted.members_, fitted.transformer_.feature_index_
        X = np.asarray(fitted.transformer_.transform(X))
    importances = np.column_stack([_importances(member, X, columns) for member in members])
    names = getattr(fitted, "feature_names_in_", None)
    if names is None:
        names = np.array([f"x{j}" for j in range(len(importances))], object)
    return Bunch(
        importances_mean=importances.mean(axis=1),
        importances_std=importances.std(axis=1),
        importances=importances,
        feature_names=names,
    )


def _tabular(estimator: Any) -> Any:
    """A draft of a fitted estimator that has members behind a transformer; TypeError for others."""
    if hasattr(estimator, "fit") and not isinstance(estimator, type):
        check_is_fitted(estimator)
        draft = inputs.draft_of(estimator)
        if hasattr(draft, "members_") and hasattr(draft, "transformer_"):
            return draft
    kind = type(estimator)
    raise TypeError(
        "estimator must be a fitted MLPClassifier, MLPRegressor, TabularMLPClassifier or "
        f"TabularMLPRegressor of fastbp, got {kind.__module__}.{kind.__qualname__}. Out of a "
        "pipeline or a search take the estimator itself, and give it X as it gets it there."
    )


def _importances(member: Any, X: Any, columns: NDArray[np.intp] | None) -> NDArray[np.float64]:
    """The importance of each feature by one network.

    Parameters
    ----------
    member : MLPClassifier or MLPRegressor
    X : {ndarray, sparse matrix} of shape (n_rows, n_columns)
        What the network sees.
    columns : ndarray of intp of shape (n_columns,), default=None
        The feature that each column was made of; None: each is a feature.
    """
    model, X = model_and_rows(member, X)
    dtype = model.network.dtype_for(X.dtype)
    model = model._replace(network=model.network.astype(dtype))
    n_columns = X.shape[1]
    if columns is None:
        columns = np.arange(n_columns)
    features, place = np.unique(columns, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(features)))
    step = max(1, MOST_NUMBERS // (n_columns * model.network.units[-1]))
    mean = _mean(X, step)
    squares = np.zeros(len(features))
    for x in _parts(X, step):
        gradients = _gradients(model, inputs.as_rows(x, dtype), getattr(member, "loss", None))
        of_columns = gradients * (x - mean)[:, None]
        contributions = np.add.reduceat(of_columns[:, :, order], starts, axis=2)
        squares += np.square(contributions).mean(axis=1).sum(axis=0)
    importances = np.zeros(columns.max() + 1)
    importances[features] = np.sqrt(squares / X.shape[0])
    return importances


def _parts(X: Any, step: int) -> Iterator[NDArray[Any]]:
    """The rows of X, dense, some at a time."""
    for first in range(0, X.shape[0], step):
        part = X[first : first + step]
        yield part if isinstance(part, np.ndarray) else part.toarray()


def _mean(X: Any, step: int) -> NDArray[np.float64]:
    """The means of the columns, exact for those that are constant."""
    first = next(_parts(X, 1))[0].astype(np.float64)
    return first + sum((x - first).sum(axis=0) for x in _parts(X, step)) / X.shape[0]


def _gradients(model: Model, x: Any, loss: Any) -> NDArray[np.floating]:
    """The derivatives of the outputs by the columns, shape (rows, outputs, columns)."""
    gradients = raw_gradients(model.network, x)
    labels = model.labels
    if labels.targets:
        blocks = np.split(gradients, np.cumsum(labels.widths.astype(int))[:-1], axis=1)
        return np.concatenate([_centred(block) for block in blocks], axis=1)
    if labels.binarizer is not None:
        return _centred(gradients) if labels.is_multinomial else gradients
    if model.link != "identity":
        if model.link not in SLOPES_OF_LINKS:
            raise ValueError(f"out_activation_ {model.link!r} has no derivative for each output.")
        prediction = forward(model.network, x)[-1]
        core.kernel_link(core.LINKS[model.link], prediction)
        gradients *= SLOPES_OF_LINKS[model.link](prediction)[:, :, None]
    return gradients[:, : gradients.shape[1] // 2] if loss == "gaussian" else gradients


def _centred(gradients: NDArray[np.floating]) -> NDArray[np.floating]:
    """The derivatives of outputs without their mean, unless there is one output."""
    if gradients.shape[1] == 1:
        return gradients
    return gradients - gradients.mean(axis=1, keepdims=True)
