"""Predictor: the predictions of a saved model."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, overload

from numpy.typing import NDArray

from fastbp.runtime.loading import Model


class Predictor:
    """The predictions of a model file. Made by `load`.

    It has the bits of the estimator that was saved, and needs neither scikit-learn nor SciPy. It
    cannot be changed, and any number of threads can use it at once.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of such arrays
        The class labels; a list with those of each target if there are several. Only of
        classifiers.

    n_features_in_ : int
        Number of features.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only if all of them were strings in the fit.

    See Also
    --------
    fastbp.load : Load the estimator itself.

    Examples
    --------
    >>> import io
    >>> import fastbp
    >>> from fastbp import runtime
    >>> file = io.BytesIO()  # or a path
    >>> fastbp.MLPRegressor.from_weights([[[2.0]]], [[1.0]], activation="relu").save(file)
    >>> _ = file.seek(0)
    >>> runtime.load(file).predict([[0.0], [5.0]])
    array([ 1., 11.])
    """

    __slots__ = ("_model",)
    _model: Model

    def __init__(self, model: Model) -> None:
        object.__setattr__(self, "_model", model)

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> NDArray[Any]: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[NDArray[Any], NDArray[Any]]: ...

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict labels, or numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or table
            Real numbers: an array, a list of rows, or a frame with the columns of the fit. Of a
            model of tables also a dict of columns or a structured array; its columns of categories
            may be strings, and values may be missing.
        return_std : bool, default=False
            Whether to return standard deviations too, as the regressors that have this parameter.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            What the estimator's `predict` returns. Indicators of labels are dense.
        std : ndarray of the shape of y
            Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If X has another shape, other names, a number that is not finite, or no numbers; or if
            the model has no standard deviations.
        """
        if return_std:
            return self._regressor().predict_with_std(X)
        return self._model.predict(X)

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or table
            As for `predict`.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes), or list of such arrays
            In the order of `classes_`; a list with the probabilities of each target if there are
            several.

        Raises
        ------
        AttributeError
            If the model is a regressor.
        ValueError
            As of `predict`.
        """
        model: Any = self._model
        try:
            predict = model.predict_proba
        except AttributeError:
            raise AttributeError(
                f"a {model.features.model} has no probabilities: it predicts numbers"
            ) from None
        return predict(X)

    @property
    def classes_(self) -> Any:
        """The class labels."""
        labels = getattr(self._model, "labels", None)
        if labels is None:
            raise AttributeError(f"a {self._model.features.model} has no classes")
        if labels.targets:
            return [one.classes.copy() for one in labels.targets]
        return labels.classes.copy()

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._model.features.n_features

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the features."""
        names = self._model.features.names
        if names is None:
            raise AttributeError("the model was fitted without names of features")
        return names.copy()

    def _regressor(self) -> Any:
        model: Any = self._model
        if not hasattr(model, "predict_with_std"):
            raise ValueError(f"return_std=True needs a regressor, got a {model.features.model}.")
        return model

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"a Predictor cannot be changed: {name!r} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Predictor cannot be changed: {name!r} cannot be deleted")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Predictor cannot be pickled: load the file where it is needed")

    def __repr__(self) -> str:
        return f"Predictor({self._model.features.model}, n_features_in_={self.n_features_in_})"
