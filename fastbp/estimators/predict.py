"""Predictions of rows: one, many, dense or CSR."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators import inputs
from fastbp.estimators.continued import FEATURES, check_attributes
from fastbp.estimators.inputs import CheckedMatrix, Matrix
from fastbp.estimators.model import Model, current_model, model_of
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.targets import LINK
from fastbp.runtime.rows import is_small, predict_many

IS_FITTED = CheckedEstimator.__sklearn_is_fitted__  # a subclass may have another


def plain_prediction(
    estimator: CheckedEstimator, X: Matrix
) -> tuple[Model, NDArray[np.floating]] | None:
    """Model and predictions if both need no validation, else None.

    scikit-learn's checks take a hundred times as long as the prediction of a row.
    """
    attributes = estimator.__dict__
    model = attributes.get("_model")
    names = attributes.get("feature_names_in_")
    if type(estimator).__sklearn_is_fitted__ is not IS_FITTED:
        return None
    rows = X if type(X) is np.ndarray and names is None else inputs.plain_array(X, names)
    if not inputs.is_numeric(rows):
        return None
    if type(model) is not Model or not model.is_that_of(attributes):
        try:
            model = current_model(estimator)
        except Exception:  # not fitted, or damaged: the checks say so
            return None
    if not rows.shape[1] == model.network.units[0] == attributes.get("n_features_in_"):
        return None
    prediction, finite = predict_rows(model, rows, estimator.n_threads)
    return (model, prediction) if finite else None  # the checks distinguish NaN from overflow


def checked_rows(estimator: CheckedEstimator, X: Matrix) -> tuple[Model, CheckedMatrix]:
    """Model and validated X of a fitted estimator, both of the same moment."""
    draft = inputs.draft_of(estimator)
    check_attributes(draft, FEATURES)
    X = inputs.check_prediction_data(draft, X)
    model = model_of(draft)
    if model is not draft.__dict__.get("_model"):
        estimator.__dict__["_model"] = model
    return model, X


def predict_rows(
    model: Model, X: CheckedMatrix, n_threads: int | None
) -> tuple[NDArray[np.floating], bool]:
    """Predictions of the rows X, dense in any layout or CSR, and whether they are finite.

    Returns
    -------
    prediction : ndarray of shape (n_samples, n_outputs)
        The predictions: the link of the raw predictions.
    finite : bool
        False if X is not finite or sums of the first layer overflow.
    """
    network = model.network
    dtype = network.params.dtype
    if X.dtype != dtype:
        dtype = network.dtype_for(X.dtype)
    predict: Callable[..., bool] = network.predict
    if not model.owns:
        predict = partial(network.predict_with, model.arrays(dtype, not isinstance(X, np.ndarray)))
    elif dtype != network.params.dtype:
        predict = network.astype(dtype).predict
    if model.link == LINK:
        predict = partial(predict, widths=model.labels.widths)
    n_samples = X.shape[0]
    shape = n_samples, network.units[-1]
    if is_small(network, n_samples):
        x = inputs.as_rows(X, dtype)
        out = np.empty(shape, dtype)
        return out, predict(x, model.link, out)
    rows = inputs.rows_by_part(X, dtype)  # copies and conversions are made chunk by chunk
    out = np.empty(shape, dtype)
    work = sum(network.row_work(None if isinstance(X, np.ndarray) else X.nnz / n_samples))
    return out, predict_many(predict, rows, work, model.link, out, n_threads)
