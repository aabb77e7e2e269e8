"""TabularMLPClassifier."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import assert_all_finite, column_or_1d

from fastbp.estimators import MLPClassifier, inputs
from fastbp.estimators.class_weight import class_weights_of, totals_of
from fastbp.estimators.held_out import Data
from fastbp.estimators.labels import Labels
from fastbp.estimators.scikit_learn import Interval, StrOptions, meta_fit_context
from fastbp.files import Reader, Writer
from fastbp.runtime.averages import (
    MOST_TEMPERATURE,
    check_temperature,
    mean_probability,
    summing_to_one,
    tempered,
)
from fastbp.tables import is_missing
from fastbp.tabular import scoring
from fastbp.tabular.base import BaseTabularMLP, Problem, Weigher
from fastbp.tabular.members import CheckedData, MemberFit
from fastbp.tabular.model_file import read_oof
from fastbp.tabular.recipe import LABEL_SMOOTHING, RATE_OF_CLASSES


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Classifier for tables: several multilayer perceptrons on folds, with tuned defaults.

    It takes frames with numbers, categories and missing values. Each member is trained on some
    folds of the rows and keeps the weights of the epoch that is best on the fold it has not seen.
    The probabilities of the members are averaged. The recipe of the members is that of RealMLP [1]_
    with small changes, see the page "Tabular data" of the guide.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(128, 128, 128)
        Widths of the hidden layers of a member.

    activation : str, callable, Expression or list of these, default='auto'
        Activation of the hidden layers, as for `fastbp.MLPClassifier`. 'auto' is 'mish'.

    n_members : int, default=5
        Number of members. The rows are shared out into as many folds, but at least five, and a
        member does not see its fold in training. More members predict better, at a cost that grows
        as their number.

    max_iter : int or 'auto', default='auto'
        Number of epochs of a member. The learning rate falls to 0 in the last one. 'auto' is 40 for
        up to 25 000 rows. With more rows it falls as the root of their number, to 20 at 100 000 and
        10 at 400 000 or more.

    batch_size : int or 'auto', default='auto'
        Rows of a mini-batch. 'auto' is about 32, 64, 128 or 256 for up to 512, 1500, 6000 or more
        training rows of a member, such that all batches have about the same size.

    learning_rate_init : float or 'auto', default='auto'
        The largest learning rate, for weights in units of ``1 / sqrt(fan_in)``. 'auto' is 0.04.

    weight_decay : float, default=0.02
        Decoupled weight decay for weights in the same units: a step first multiplies them by
        ``1 - rate * weight_decay``.

    n_bins : int or None, default=16
        Bins of the piecewise-linear code of each number, see `TabularPreprocessor`.

    categorical_features : array-like or None, default='from_dtype'
        The categorical columns, see `TabularPreprocessor`.

    label_smoothing : float or 'auto', default='auto'
        Share of each target that is spread evenly over the classes, in [0, 1). 'auto' is 0.1 if
        `scoring` looks at labels alone, as the accuracy does, and else 0: smoothing makes labels
        better and probabilities worse.

    scoring : str, callable or None, default=None
        The score by which a member keeps the weights of an epoch: None is the accuracy. A name of
        `sklearn.metrics.get_scorer_names` or a function ``scorer(estimator, X, y)``, which gets the
        member and its transformed rows. ``scoring='neg_log_loss'`` is the choice for probabilities.

    loss : {'auto', 'log_loss', 'squared_error'}, default='auto'
        The loss of the members, as for `fastbp.MLPClassifier`. 'auto' is 'log_loss'.

    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, as for `fastbp.MLPClassifier`.

    calibrate : bool, default=False
        Whether probabilities p become ``p ** (1 / T)``, divided by their sum over the classes. The
        temperature T, between 1/4 and 4, gives the predictions for `X_val` the least log loss [2]_.
        Without `X_val` it is that of the out-of-fold predictions, but 1 at most: these are of
        single members, and the mean is less sure than they are. With `class_weight` probabilities
        belong to the weighted classes, calibrated or not.

    max_seconds : float or None, default=None
        Limit of the time of `fit`. Members share it, and each ends after the first epoch that is
        over its share. Then the result depends on the speed of the machine.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the folds, the initial weights and the order of the rows.

    n_threads : int or None, default=None
        Number of threads that train members. None chooses, and never more than affinity, control
        group and ``OMP_NUM_THREADS`` allow. The result has the same bits for every value.

    verbose : bool or int, default=False
        Whether to print a line for each member; 2 prints also one for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    members_ : list of MLPClassifier
        The members: plain fitted estimators. They take the rows of ``transformer_.transform(X)``.

    transformer_ : TabularPreprocessor
        The fitted transformation of tables.

    oof_prediction_ : ndarray of float32 of shape (n_samples, n_classes), or None
        Out-of-fold predictions: the mean probabilities by the members that have not seen the row.
        NaN for rows that all members have seen, which there are for less than five members, and for
        rows of weight 0. They are not calibrated. None if `X_val` was given.

    oof_score_ : float or None
        The score of `scoring` for them: an estimate of the score of a member on new rows, a bit too
        good, since the fold has chosen the epoch. Rows count with their weights and those of their
        classes. None if `X_val` was given.

    best_epochs_ : ndarray of int of shape (n_members,)
        The number of the epoch, from 1 on, whose weights each member has kept: the last of equally
        good ones; 0 if no epoch had a score that is a number.

    n_iter_ : int
        Number of epochs of the member that was trained longest.

    temperature_ : float
        The temperature; 1 without `calibrate`.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    See Also
    --------
    TabularMLPRegressor : The same for numbers.
    fastbp.MLPClassifier : One network, with scikit-learn's defaults.

    Notes
    -----
    Ctrl-C ends the training of all members and raises KeyboardInterrupt; the estimator stays as it
    was. There is no `resume` and no `partial_fit`: the schedule of the learning rate belongs to a
    fit as a whole.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491.
    .. [2] C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks",
       ICML 2017, arXiv:1706.04599.

    Examples
    --------
    >>> from fastbp.tabular import TabularMLPClassifier
    >>> X = [[None, "red"], [2.5, "green"], [0.5, "red"], [3.0, "green"]] * 10
    >>> y = ["no", "yes", "no", "yes"] * 10
    >>> clf = TabularMLPClassifier(random_state=0).fit(X, y)
    >>> clf.predict([[1.0, "red"], [2.0, "green"]])
    array(['no', 'yes'], dtype='<U3')
    """

    _kind = MLPClassifier
    _rate = RATE_OF_CLASSES
    _saved_as = "TabularMLPClassifier"
    _parameter_constraints: ClassVar[dict] = {
        **BaseTabularMLP._parameter_constraints,
        "label_smoothing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "loss": [StrOptions({"auto", "log_loss", "squared_error"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128, 128),
        activation="auto",
        *,
        n_members=5,
        max_iter="auto",
        batch_size="auto",
        learning_rate_init="auto",
        weight_decay=0.02,
        n_bins=16,
        categorical_features="from_dtype",
        label_smoothing="auto",
        scoring=None,
        loss="auto",
        class_weight=None,
        calibrate=False,
        max_seconds=None,
        random_state=None,
        n_threads=None,
        verbose=False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_members = n_members
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.n_bins = n_bins
        self.categorical_features = categorical_features
        self.label_smoothing = label_smoothing
        self.scoring = scoring
        self.loss = loss
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.max_seconds = max_seconds
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @meta_fit_context
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit all members to X and y.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table: a frame of pandas or polars, an array or a list of rows. Numbers, categories,
            strings and bools, and missing values everywhere. It is not written.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative; None: equal weights. A row of weight 0 is as if it
            were absent, but its class stays in `classes_`.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are in the same fold, so that no member is validated on a group that
            it was trained on.
        X_val : {DataFrame, array-like} of shape (n_val, n_features), default=None
            Validation rows. All members are then trained on all of X, and keep the epoch that is
            best on these rows.
        y_val : array-like of shape (n_val,), default=None
            Class labels of the validation rows. All of them have to be in y.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid; if there are less than two rows or groups.
        TypeError
            If a column holds dates or other objects that are no numbers and no categories.
        MemoryError
            If a member needs more memory than there is.
        KeyboardInterrupt
            On Ctrl-C; the estimator is unchanged.
        """
        validation = Data(X_val, y_val, sample_weight_val)
        return self._fit(Data(X, y, sample_weight), validation, groups)

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class labels: those of the largest mean probabilities.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The labels.
        """
        draft = inputs.draft_of(self)  # whose classes are of the same moment
        probability = draft.predict_proba(X)
        return draft.classes_.take(probability.argmax(axis=1))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the probability of each class: the mean over the members.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        draft, x = self._transformed(X)
        probability = mean_probability([member.predict_proba(x) for member in draft.members_])
        return tempered(summing_to_one(probability), draft.temperature_)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict_members(self, X: Any) -> NDArray[np.float32]:
        """Predict with each member: their spread shows how sure the mean is.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.

        Returns
        -------
        probability : ndarray of shape (n_members, n_samples, n_classes)
            The probabilities, not calibrated.
        """
        draft, x = self._transformed(X)
        return np.array([member.predict_proba(x) for member in draft.members_])

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy: the share of rows with the right label.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            The accuracy.
        """
        return super().score(X, y, sample_weight)

    # ---- hooks of BaseTabularMLP

    def _targets(self, y: Any) -> tuple[NDArray[Any], Labels]:
        """Labels of one target, and its classes."""
        y = _one_column(inputs.dense_targets(y), "y")
        check_classification_targets(y)
        return y, MLPClassifier()._read_targets(y, None, strict=False)[1]

    def _validation_targets(self, y: Any, _: NDArray[Any], labels: Labels | None) -> NDArray[Any]:
        """The labels of the validation rows, which have to be among the classes."""
        assert labels is not None
        y = _one_column(inputs.dense_targets(y), "y_val")
        MLPClassifier()._read_validation_targets(y, labels, labels.width)
        return y

    def _weigher(
        self, y: NDArray[Any], weight: NDArray[np.float64] | None, labels: Labels | None
    ) -> Weigher:
        """The weights of rows times those of their classes, which training rows decide."""
        assert labels is not None
        columns, _ = MLPClassifier()._read_targets(y, labels, strict=False)
        totals = partial(totals_of, columns, weight, labels)
        of_classes = class_weights_of(
            self.class_weight, totals, columns.shape[1], labels, incremental=False
        )

        def weights(y: NDArray[Any], weight: Any) -> NDArray[np.float64] | None:
            if of_classes is None:
                return weight
            return of_classes.times(weight, MLPClassifier()._read_targets(y, labels, False)[0])

        return weights

    def _chosen_by(self) -> tuple[Any, None]:
        """What chooses the epoch of a member."""
        return scoring.of_classes(self.scoring, self._loss())[0], None

    def _of_member(self) -> dict[str, Any]:
        """The loss and its smoothing."""
        loss, smoothing = self._loss(), self.label_smoothing
        if smoothing == "auto":
            of_labels = scoring.of_classes(self.scoring, loss)[1] and loss == "log_loss"
            smoothing = LABEL_SMOOTHING if of_labels else 0.0
        return {"loss": loss, "label_smoothing": smoothing}

    def _loss(self) -> str:
        """The name of the loss."""
        return "log_loss" if self.loss == "auto" else self.loss

    def _learned(self, problem: Problem, fits: list[MemberFit]) -> dict[str, Any]:
        """Classes, out-of-fold predictions with their score, and the temperature."""
        assert problem.labels is not None
        members, classes = [fit.member for fit in fits], problem.labels.classes
        data, oof, score = problem.data, None, None
        if problem.folds:
            oof = np.full((len(data.y), len(classes)), np.nan, np.float32)
            for numbers, rows in problem.held_out_of():
                x = data.X[rows]
                oof[rows] = mean_probability([members[k].predict_proba(x) for k in numbers])
            seen = np.flatnonzero(~np.isnan(oof[:, 0]))
            known, probability = data.take(seen), summing_to_one(oof[seen])
            stored = scoring.StoredClasses(probability, classes)
            score = scoring.score_of_stored(self.scoring or "accuracy", stored, known)
        else:
            assert problem.validation is not None
            known = problem.validation
            mean = mean_probability([member.predict_proba(known.X) for member in members])
            probability = summing_to_one(mean)
        temperature = 1.0
        if self.calibrate and len(classes) > 1:
            temperature = _temperature_of(probability, classes, known)
            if problem.folds:  # of single members; their mean is less sure than they are
                temperature = min(temperature, 1.0)
        return {
            "classes_": classes,
            "oof_prediction_": oof,
            "oof_score_": score,
            "temperature_": temperature,
        }

    def _fitted_node(self, writer: Writer, out_of_fold: bool) -> dict[str, Any]:
        if not np.array_equal(self.classes_, self.members_[0].classes_):
            raise ValueError("classes_ must be those of the fit, or the model cannot be saved.")
        return {"temperature_": writer.value(self.temperature_, "temperature_")}

    @classmethod
    def _read_fitted(cls, node: Any, members: list[Any], reader: Reader) -> dict[str, Any]:
        temperature, classes = check_temperature(node["temperature_"]), members[0].classes_
        shape = None, len(classes)
        oof = read_oof(node, np.float32, shape, reader)
        return {"classes_": classes, "temperature_": temperature, **oof}


def _one_column(y: Any, name: str) -> NDArray[Any]:
    """Labels with one dimension; ValueError for several targets, or if some are missing."""
    kind = np.asarray(y).dtype.kind
    if kind == "f":
        assert_all_finite(np.asarray(y), input_name=name)
    if kind == "O" and any(map(is_missing, np.ravel(np.asarray(y)).tolist())):
        raise ValueError(f"Input {name} contains missing values.")
    kind = type_of_target(y, input_name=name)
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    if y.ndim != 1:
        raise ValueError(
            f"{name} must be class labels of one target, got {kind} of shape {y.shape}"
        )
    return y


def _temperature_of(
    probability: NDArray[np.float64], classes: NDArray[Any], data: CheckedData
) -> float:
    """The temperature with the least log loss of the probabilities."""
    most = float(np.log(MOST_TEMPERATURE))

    def loss(temperature: float) -> float:
        stored = scoring.StoredClasses(tempered(probability, temperature), classes)
        return -scoring.score_of_stored("neg_log_loss", stored, data)

    found = minimize_scalar(
        lambda log: loss(float(np.exp(log))),
        bounds=(-most, most),
        method="bounded",
    )
    return float(np.exp(found.x))
