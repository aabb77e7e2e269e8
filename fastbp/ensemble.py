"""Ensembles: the mean of what several networks predict that differ in their random numbers.

Members are fitted side by side, each by its own `fit`, in threads. So a member has the bits of a
separate fit, and the number of threads changes the time only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    clone,
)
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import MLPClassifier, MLPRegressor, inputs
from fastbp.estimators.adopt import at_once
from fastbp.estimators.held_out import Data
from fastbp.estimators.inputs import CheckedMatrix, Matrix
from fastbp.estimators.messages import warn
from fastbp.estimators.model_file import new_unfitted, node_of_unfitted
from fastbp.estimators.savable import (
    Savable,
    check_class_of,
    members_node,
    names_node,
    read_members,
    read_names,
    read_parameters,
)
from fastbp.estimators.scikit_learn import Interval, meta_fit_context
from fastbp.estimators.side_by_side import side_by_side
from fastbp.files import Reader, Writer
from fastbp.files.names import PARTS_OF_ENSEMBLE
from fastbp.runtime.averages import mean_and_deviation, mean_of_arrays
from fastbp.runtime.decoding import join_columns

__all__ = ["MLPEnsembleClassifier", "MLPEnsembleRegressor"]


@dataclass(frozen=True)
class _Fit:
    """The fit of one member.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Not fitted.
    data, validation : Data
        What `fit` takes.
    is_one_of_many : bool
        Whether other members have the other threads.
    """

    estimator: Any
    data: Data
    validation: Data
    is_one_of_many: bool

    def __call__(self) -> None:
        """Fit the estimator."""
        estimator, (X_val, y_val, weight_val) = self.estimator, self.validation
        n_threads = estimator.n_threads
        if n_threads is None and self.is_one_of_many:
            estimator.n_threads = 1  # no barriers: the threads of a fit wait for each other
        estimator.fit(*self.data, X_val=X_val, y_val=y_val, sample_weight_val=weight_val)
        estimator.n_threads = n_threads


class _MLPEnsemble(Savable, MetaEstimatorMixin, BaseEstimator):
    """The base class of both ensembles: the fits of the members."""

    _kind: ClassVar[Any]  # the class of the members
    _parameter_constraints: ClassVar[dict] = {
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self, estimator=None, *, n_members=10, bootstrap=False, random_state=None, n_threads=None
    ):
        self.estimator = estimator
        self.n_members = n_members
        self.bootstrap = bootstrap
        self.random_state = random_state
        self.n_threads = n_threads

    def _fit(self, data: Data, validation: Data) -> Self:
        """Fit all members, then set the fitted attributes in one step, then warn."""
        draft, numeric = inputs.draft_of(self), self._kind._y_is_numeric
        X, y, features = inputs.check_training_data(
            draft, data.X, data.y, reset=True, y_numeric=numeric
        )
        data = Data(X, y, inputs.check_weights(data.sample_weight, X))
        if inputs.is_validation_given(*validation):
            checked = inputs.check_validation_data(draft, *validation, y_numeric=numeric)
            validation = Data(*checked)
        fits = self._fits(data, validation, len(y))
        said = side_by_side(fits, self.n_threads)
        members = [fit.estimator for fit in fits]
        learned = {"estimators_": members, "n_features_in_": features.n_features}
        if features.names is not None:
            learned["feature_names_in_"] = features.names
        if hasattr(members[0], "classes_"):
            learned["classes_"] = members[0].classes_
        pop, update = self.__dict__.pop, self.__dict__.update
        at_once([partial(pop, "feature_names_in_", None), partial(update, learned)])
        for message, category in dict.fromkeys(said):
            warn(message, category)
        return self

    def _fits(self, data: Data, validation: Data, n_samples: int) -> list[_Fit]:
        """The fits of all members, with all that is random drawn."""
        template = self._kind() if self.estimator is None else self.estimator
        random_state = check_random_state(self.random_state)
        seeds = random_state.randint(np.iinfo(np.int32).max, size=self.n_members)
        fits = []
        for seed in seeds.tolist():
            member, own = clone(template).set_params(random_state=seed), data
            if self.bootstrap:
                draws = _draws(n_samples, data.sample_weight, random_state)
                own = data._replace(sample_weight=draws)
            fits.append(_Fit(member, own, validation, is_one_of_many=self.n_members > 1))
        return fits

    def _checked(self, X: Matrix) -> tuple[list[Any], CheckedMatrix]:
        """The members and validated X, both of the same moment."""
        draft = inputs.draft_of(self)
        check_is_fitted(draft)
        return draft.estimators_, inputs.check_prediction_data(draft, X)

    # ---- model files

    def _to_node(self, writer: Writer, training: bool) -> dict[str, Any]:
        draft = inputs.draft_of(self)
        check_is_fitted(draft)
        params = {
            name: writer.value(getattr(draft, name), name)
            for name in self._get_param_names()
            if name != "estimator"
        }
        own = writer.within("estimator")
        template = draft.estimator
        params["estimator"] = template and node_of_unfitted(template, own, training)
        return {
            "params": params,
            "fitted": names_node(draft, writer),
            "members": members_node(draft.estimators_, writer, training),
        }

    @classmethod
    def _from_node(cls, node: dict[str, Any], reader: Reader) -> Self:
        reader.fields(node, "the ensemble", PARTS_OF_ENSEMBLE)
        params = reader.fields(node["params"], "params", {"estimator"}, set(cls._get_param_names()))
        template, params = params["estimator"], {**params, "estimator": None}
        ensemble = cls(**read_parameters(cls, params, reader))
        if template is not None:
            reader.fields(template, "estimator", {"class", "params"})
            check_class_of(cls._kind, template)
            ensemble.estimator = new_unfitted(cls._kind, template["params"], reader)
        ensemble._validate_params()
        members = read_members(cls._kind, node["members"], reader)
        n_features = members[0].n_features_in_
        learned = {"estimators_": members, "n_features_in_": n_features}
        learned.update(read_names(node["fitted"], n_features, reader))
        if hasattr(members[0], "classes_"):
            learned["classes_"] = members[0].classes_
        ensemble.__dict__.update(learned)
        return ensemble

    def __sklearn_tags__(self):
        tags, theirs = super().__sklearn_tags__(), get_tags(self._kind())
        tags.input_tags, tags.target_tags = theirs.input_tags, theirs.target_tags
        tags.classifier_tags = theirs.classifier_tags
        return tags


def _draws(
    n_samples: int, weights: Any, random_state: np.random.RandomState
) -> NDArray[np.float64]:
    """How often each sample is drawn if as many are drawn, with replacement, as there are.

    Given weights are the probabilities of the samples in a draw.
    """
    share = None if weights is None else weights / weights.sum()
    drawn = random_state.choice(n_samples, n_samples, p=share)
    return np.bincount(drawn, minlength=n_samples).astype(np.float64)


class MLPEnsembleClassifier(ClassifierMixin, _MLPEnsemble):
    """Classifier: the mean of the probabilities that several multilayer perceptrons predict.

    The members differ in their initial weights, in the order of the samples and, with `bootstrap`,
    in the samples. Their mean usually has a smaller loss than one of them [1]_. They are fitted
    side by side in threads.

    Parameters
    ----------
    estimator : MLPClassifier, default=None
        The estimator of which the members are clones; it is not fitted itself. None is
        ``MLPClassifier()``.

    n_members : int, default=10
        Number of members.

    bootstrap : bool, default=False
        Whether each member is fitted to samples that are drawn with replacement. Samples that are
        drawn several times have a weight, the others have weight 0. `sample_weight` then is the
        probability of a sample in a draw.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the seeds of the members and for `bootstrap`. The seeds are drawn as
        those of `sklearn.ensemble.BaggingClassifier`; each is the `random_state` of a member.

    n_threads : int or None, default=None
        Number of threads that fit members. None chooses: at most one for each member, and never
        more than affinity, control group and ``OMP_NUM_THREADS`` allow. A member whose `n_threads`
        is None is fitted in one thread, unless it is the only one. The result has the same bits for
        every value.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The fitted members. Each has the bits of
        ``clone(estimator).set_params(random_state=seed).fit(X, y)``; X as an array.

    classes_ : ndarray of shape (n_classes,), or list of such arrays
        The class labels, in the order of the columns of `predict_proba`; a list with those of each
        target if there are several.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    See Also
    --------
    MLPEnsembleRegressor : An ensemble for regression.
    fastbp.MLPClassifier : One member.

    Notes
    -----
    Ctrl-C ends the threads of all members and raises KeyboardInterrupt. So does an error in one
    member, which is then raised. In both cases the ensemble stays as it was.

    References
    ----------
    .. [1] L. Hansen and P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern
       Analysis and Machine Intelligence 12, 1990.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.ensemble import MLPEnsembleClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> member = MLPClassifier((10,), solver="lbfgs", alpha=1, max_iter=1000)
    >>> clf = MLPEnsembleClassifier(member, n_members=5, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    """

    _kind = MLPClassifier
    _saved_as = "MLPEnsembleClassifier"
    _parameter_constraints: ClassVar[dict] = {
        "estimator": [MLPClassifier, None],
        **_MLPEnsemble._parameter_constraints,
    }

    @meta_fit_context
    def fit(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit all members to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 stays float32, everything else becomes float64.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or an indicator matrix for multilabel targets, or several targets of
            several classes each, or soft labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative; None: equal weights.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples of all members. With early stopping each member stops by itself.
        y_val : {array-like, sparse matrix} of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation samples.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation samples in their loss and score.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid, or if the training of a member diverged.
        MemoryError
            If a member needs more memory than there is.
        KeyboardInterrupt
            On Ctrl-C; the ensemble is unchanged.
        """
        return self._fit(Data(X, y, sample_weight), Data(X_val, y_val, sample_weight_val))

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Predict the class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_targets)
            The labels of the largest mean probabilities; an indicator matrix for multilabel
            targets; for several targets a column for each.
        """
        probability = self.predict_proba(X)
        if isinstance(probability, list):
            pairs = zip(self.classes_, probability, strict=True)
            return join_columns([classes.take(one.argmax(axis=1)) for classes, one in pairs])
        binarizer = self.estimators_[0]._label_binarizer
        if binarizer.y_type_.startswith("multilabel"):
            return binarizer.inverse_transform(probability)
        return self.classes_.take(probability.argmax(axis=1))

    def predict_proba(self, X: Matrix) -> Any:
        """Predict the probability of each class: the mean of what the members predict.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes), or list of such arrays
            In the order of `classes_`. Multilabel probabilities need not sum to 1. A list with the
            probabilities of each target if there are several.
        """
        members, X = self._checked(X)
        return mean_of_arrays(member.predict_proba(X) for member in members)

    def predict_log_proba(self, X: Matrix) -> Any:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes), or list of such arrays
            ``log(predict_proba(X))``; a list for several targets.
        """
        probability = self.predict_proba(X)
        if isinstance(probability, list):
            return [np.log(one, out=one) for one in probability]
        return np.log(probability, out=probability)

    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy; for multilabel and for several targets the share of rows without a mistake.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, as in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            `sklearn.metrics.accuracy_score` of the predictions.
        """
        check_is_fitted(self)
        return self.estimators_[0]._score_of(y, sample_weight, lambda: self.predict(X))


class MLPEnsembleRegressor(RegressorMixin, _MLPEnsemble):
    """Regressor: the mean of what several multilayer perceptrons predict, and its uncertainty.

    The members differ in their initial weights, in the order of the samples and, with `bootstrap`,
    in the samples. Their mean usually has a smaller loss than one of them, and they differ where
    there were few samples [1]_. They are fitted side by side in threads.

    Parameters
    ----------
    estimator : MLPRegressor, default=None
        The estimator of which the members are clones; it is not fitted itself. None is
        ``MLPRegressor()``.

    n_members : int, default=10
        Number of members.

    bootstrap : bool, default=False
        Whether each member is fitted to samples that are drawn with replacement. Samples that are
        drawn several times have a weight, the others have weight 0. `sample_weight` then is the
        probability of a sample in a draw.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the seeds of the members and for `bootstrap`. The seeds are drawn as
        those of `sklearn.ensemble.BaggingRegressor`; each is the `random_state` of a member.

    n_threads : int or None, default=None
        Number of threads that fit members. None chooses: at most one for each member, and never
        more than affinity, control group and ``OMP_NUM_THREADS`` allow. A member whose `n_threads`
        is None is fitted in one thread, unless it is the only one. The result has the same bits for
        every value.

    Attributes
    ----------
    estimators_ : list of MLPRegressor
        The fitted members. Each has the bits of
        ``clone(estimator).set_params(random_state=seed).fit(X, y)``; X as an array.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    See Also
    --------
    MLPEnsembleClassifier : An ensemble for classification.
    fastbp.MLPRegressor : One member.

    Notes
    -----
    Ctrl-C ends the threads of all members and raises KeyboardInterrupt. So does an error in one
    member, which is then raised. In both cases the ensemble stays as it was.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive
       uncertainty estimation using deep ensembles", NIPS 2017, arXiv:1612.01474.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLPRegressor
    >>> from fastbp.ensemble import MLPEnsembleRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> member = MLPRegressor(hidden_layer_sizes=(20,), activation="tanh", solver="lbfgs")
    >>> reg = MLPEnsembleRegressor(member, n_members=5, random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> mean, std = reg.predict([[0.0], [3.0]], return_std=True)
    >>> bool(std[1] > 10 * std[0])  # there are no samples near 3
    True
    """

    _kind = MLPRegressor
    _saved_as = "MLPEnsembleRegressor"
    _parameter_constraints: ClassVar[dict] = {
        "estimator": [MLPRegressor, None],
        **_MLPEnsemble._parameter_constraints,
    }

    @meta_fit_context
    def fit(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit all members to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 stays float32, everything else becomes float64.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative; None: equal weights.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples of all members. With early stopping each member stops by itself.
        y_val : {array-like, sparse matrix} of shape (n_val,) or (n_val, n_outputs), default=None
            Target values of the validation samples.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation samples in their loss and score.

        Returns
        -------
        self : object
            The fitted ensemble.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid, or if the training of a member diverged.
        MemoryError
            If a member needs more memory than there is.
        KeyboardInterrupt
            On Ctrl-C; the ensemble is unchanged.
        """
        return self._fit(Data(X, y, sample_weight), Data(X_val, y_val, sample_weight_val))

    @overload
    def predict(self, X: Matrix, return_std: Literal[False] = False) -> NDArray[np.floating]: ...

    @overload
    def predict(
        self, X: Matrix, return_std: Literal[True]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]: ...

    def predict(self, X, return_std=False):
        """Predict the targets: the mean of what the members predict.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The means.
        std : ndarray of the shape of y
            The standard deviation of the predictions of the members: how much is unknown of the
            mean, but not how noisy the targets are. Members with ``loss='gaussian'`` predict that
            too: then it is ``sqrt(mean(std ** 2) + var(mean))`` of theirs [1]_, which belongs to
            the targets. Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If X is not valid.
        TypeError
            If `return_std` is not a bool.

        References
        ----------
        .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive
           uncertainty estimation using deep ensembles", NIPS 2017, arXiv:1612.01474.
        """
        inputs.check_bool(return_std, "return_std")
        members, X = self._checked(X)
        if not return_std:
            return np.mean([member.predict(X) for member in members], axis=0)
        if all(member.loss == "gaussian" for member in members):
            means, stds = zip(
                *(member.predict(X, return_std=True) for member in members), strict=True
            )
            return mean_and_deviation(means, stds)
        return mean_and_deviation([member.predict(X) for member in members], None)

    def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions; for ``loss='quantile'`` D^2, its analogue with the pinball loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            As that of `MLPRegressor`.
        """
        check_is_fitted(self)
        return self.estimators_[0]._score_of(y, sample_weight, lambda: self.predict(X))
