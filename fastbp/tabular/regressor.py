"""TabularMLPRegressor."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d

from fastbp.estimators import MLPRegressor, inputs
from fastbp.estimators.held_out import Data
from fastbp.estimators.labels import Labels
from fastbp.estimators.scikit_learn import Interval, StrOptions, meta_fit_context
from fastbp.files import Reader, Writer
from fastbp.runtime.averages import check_levels, mean_of_numbers, spread, within
from fastbp.tables import read_limits
from fastbp.tabular import scoring
from fastbp.tabular.base import BaseTabularMLP, Problem, Weigher
from fastbp.tabular.intervals import Errors, cross_conformal
from fastbp.tabular.members import CheckedData, MemberFit
from fastbp.tabular.model_file import errors_node, read_errors, read_oof
from fastbp.tabular.recipe import RATE_OF_NUMBERS

LOSSES = (
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "log_cosh",
    "gaussian",
    "poisson",
    "gamma",
    "tweedie",
)


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Regressor for tables: several multilayer perceptrons on folds, with tuned defaults.

    It takes frames with numbers, categories and missing values. Each member is trained on some
    folds of the rows and keeps the weights of the epoch that is best on the fold it has not seen.
    The predictions of the members are averaged. The recipe of the members is that of RealMLP [1]_
    with small changes, see the page "Tabular data" of the guide.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(128, 128, 128)
        Widths of the hidden layers of a member.

    activation : str, callable, Expression or list of these, default='auto'
        Activation of the hidden layers, as for `fastbp.MLPRegressor`. 'auto' is 'mish'.

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
        The largest learning rate, for weights in units of ``1 / sqrt(fan_in)``. 'auto' is 0.2.

    weight_decay : float, default=0.02
        Decoupled weight decay for weights in the same units: a step first multiplies them by
        ``1 - rate * weight_decay``.

    n_bins : int or None, default=16
        Bins of the piecewise-linear code of each number, see `TabularPreprocessor`.

    categorical_features : array-like or None, default='from_dtype'
        The categorical columns, see `TabularPreprocessor`.

    scoring : str, callable or None, default=None
        The score by which a member keeps the weights of an epoch: None is minus the loss. A name of
        `sklearn.metrics.get_scorer_names` or a function ``scorer(estimator, X, y)``, which gets
        predictions and targets in the units of y.

    loss : str, default='auto'
        The loss of the members: 'squared_error' ('auto'), 'absolute_error', 'huber', 'quantile',
        'log_cosh', 'gaussian', 'poisson', 'gamma' or 'tweedie', as for `fastbp.MLPRegressor`.
        Members are trained on targets in units of their standard deviation, or for the last three
        of their mean. 'log_cosh' is meant in these units.

    quantile : float or array-like of float, default=0.5
        Levels of ``loss='quantile'``, each in (0, 1). Several levels give a column of predictions
        for each target and level, those of the first target first; they do not cross.

    huber_threshold : float, default=1.0
        Absolute error, in the units of y, above which ``loss='huber'`` is linear.

    tweedie_power : float, default=1.5
        Power of the variance for ``loss='tweedie'``, between 1 and 2.

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
    members_ : list of MLPRegressor
        The members: plain fitted estimators that predict in the units of y. They take the rows of
        ``transformer_.transform(X)``.

    transformer_ : TabularPreprocessor
        The fitted transformation of tables.

    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs), or None
        Out-of-fold predictions: the mean of the members that have not seen the row. NaN for rows
        that all members have seen, which there are for less than five members, and for rows of
        weight 0. None if `X_val` was given.

    oof_score_ : float or None
        The score of `scoring` for them; without one, that of `score`. An estimate of the score of a
        member on new rows, a bit too good, since the fold has chosen the epoch. None if `X_val` was
        given.

    best_epochs_ : ndarray of int of shape (n_members,)
        The number of the epoch, from 1 on, whose weights each member has kept: the last of equally
        good ones; 0 if no epoch had a score that is a number.

    n_iter_ : int
        Number of epochs of the member that was trained longest.

    n_outputs_ : int
        Number of columns of predictions.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    See Also
    --------
    TabularMLPClassifier : The same for classes.
    fastbp.MLPRegressor : One network, with scikit-learn's defaults.

    Notes
    -----
    The predictions of a member are clipped to the range of y in its training rows: what lies beyond
    is not extrapolated.

    Ctrl-C ends the training of all members and raises KeyboardInterrupt; the estimator stays as it
    was. There is no `resume` and no `partial_fit`: the schedule of the learning rate belongs to a
    fit as a whole.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.tabular import TabularMLPRegressor
    >>> x = np.linspace(-1, 1, 300)
    >>> X, y = np.column_stack([x, x > 0]), np.where(x > 0, 2.0, 0.0) + x
    >>> reg = TabularMLPRegressor(random_state=0).fit(X, y)
    >>> reg.predict([[-0.5, 0], [0.5, 1]]).round(1)
    array([-0.5,  2.5])
    >>> lower, upper = reg.predict_interval([[0.5, 1]], coverage=0.9)
    >>> bool(lower[0] < 2.5 < upper[0])
    True
    """

    _kind = MLPRegressor
    _rate = RATE_OF_NUMBERS
    _saved_as = "TabularMLPRegressor"
    _parameter_constraints: ClassVar[dict] = {
        **BaseTabularMLP._parameter_constraints,
        "loss": [StrOptions({"auto", *LOSSES})],
        "quantile": ["array-like", Real],
        "huber_threshold": [Interval(Real, 0, None, closed="neither")],
        "tweedie_power": [Interval(Real, 1, 2, closed="neither")],
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
        scoring=None,
        loss="auto",
        quantile=0.5,
        huber_threshold=1.0,
        tweedie_power=1.5,
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
        self.scoring = scoring
        self.loss = loss
        self.quantile = quantile
        self.huber_threshold = huber_threshold
        self.tweedie_power = tweedie_power
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
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative; None: equal weights. A row of weight 0 is as if it
            were absent.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are in the same fold, so that no member is validated on a group that
            it was trained on.
        X_val : {DataFrame, array-like} of shape (n_val, n_features), default=None
            Validation rows. All members are then trained on all of X, and keep the epoch that is
            best on these rows.
        y_val : array-like of shape (n_val,) or (n_val, n_targets), default=None
            Target values of the validation rows.
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

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> NDArray[np.float64]: ...

    @overload
    def predict(
        self, X: Any, return_std: Literal[True]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

    def predict(self, X, return_std=False):
        """Predict the targets: the mean of what the members predict.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The means. Levels of `quantile` are sorted.
        std : ndarray of the shape of y
            The standard deviation of the members' predictions: how much is unknown of the mean.
            With ``loss='gaussian'`` it is ``sqrt(mean(std ** 2) + var(mean))`` of the members' own,
            which belongs to the targets. Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If X is not valid.
        TypeError
            If `return_std` is not a bool.
        """
        inputs.check_bool(return_std, "return_std")
        draft, x = self._transformed(X)
        predictions = draft._of_members(x)
        mean = draft._shaped(mean_of_numbers(predictions))
        if not return_std:
            return mean
        noise = None
        if draft.members_[0].loss == "gaussian":
            stds = [member.predict(x, return_std=True)[1] for member in draft.members_]
            noise = np.array(stds, np.float64).reshape(predictions.shape)
        return mean, draft._shaped(spread(predictions, noise))

    def predict_members(self, X: Any) -> NDArray[np.float64]:
        """Predict with each member: their spread shows how much is unknown of the mean.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.

        Returns
        -------
        y : ndarray of shape (n_members, n_samples) or (n_members, n_samples, n_outputs)
            The predictions, each within the range of y that the member was trained on.
        """
        draft, x = self._transformed(X)
        return draft._shaped(draft._of_members(x))

    def predict_interval(
        self, X: Any, coverage: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict intervals that contain the targets with a given probability.

        They come from the errors of out-of-fold predictions (the method CV+ [1]_), or of those of
        `X_val` (split conformal intervals). Nothing is assumed of the law of the targets, only that
        new rows come from the same source. Weights of rows do not matter to them, except 0. For
        each x they are about as wide: what varies with x is only where they lie.
        ``loss='gaussian'`` and ``loss='quantile'`` model the width.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.
        coverage : float, default=0.9
            The share of targets in their intervals, in (0, 1). It is reached about: for members
            whose epoch the fold had not chosen, the theory of CV+ has ``2 * coverage - 1`` as the
            least, and `coverage` as what is usual.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_targets)
            The ends of the intervals.

        Raises
        ------
        ValueError
            If `coverage` is no such number, or if there are too few rows for it; with
            ``loss='quantile'``, whose predictions are ends of intervals themselves.

        References
        ----------
        .. [1] R. Barber, E. Candès, A. Ramdas and R. Tibshirani, "Predictive inference with the
           jackknife+", Annals of Statistics 49, 2021, arXiv:1905.02928.
        """
        draft, x = self._transformed(X)
        if draft.members_[0].loss == "quantile":
            raise ValueError(
                "predict_interval needs a loss of means, but loss='quantile' predicts ends of "
                "intervals itself: fit the levels that you need."
            )
        if not draft._errors:
            raise ValueError(
                "predict_interval needs the errors of out-of-fold predictions, but the model comes "
                "from a file that was saved with out_of_fold=False."
            )
        lower, upper = cross_conformal(draft._of_members(x), draft._errors, coverage)
        return draft._shaped(lower), draft._shaped(upper)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the predictions; for ``loss='quantile'`` D^2, its analogue with the pinball loss.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            As that of `fastbp.MLPRegressor`.
        """
        member = self._members()[0]
        return member._score_of(y, sample_weight, lambda: self.predict(X))

    # ---- hooks of BaseTabularMLP

    def _targets(self, y: Any) -> tuple[NDArray[np.float64], None]:
        """Finite targets, with a column for each."""
        y = inputs.dense_targets(inputs.sound_targets(y))
        y = check_array(y, dtype=None, ensure_2d=False, input_name="y")
        if y.dtype.kind not in "buifO":
            raise TypeError(f"y has dtype {y.dtype}, which is not numeric.")
        y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.ndim > 2:
            raise ValueError(f"y must have one or two dimensions, got shape {y.shape}.")
        y = y.reshape(len(y), -1)
        self._new_checked_member()._check_targets(y)
        return y, None

    def _validation_targets(
        self, y: Any, of_training: NDArray[Any], _: Labels | None
    ) -> NDArray[np.float64]:
        """The targets of the validation rows, as many as there are in y."""
        y, _ = self._targets(y)
        if y.shape[1] != of_training.shape[1]:
            raise ValueError(f"y_val has {y.shape[1]} targets, y has {of_training.shape[1]}.")
        return y

    def _weigher(self, *_: Any) -> Weigher:
        """The weights as they are."""
        return lambda _, weight: weight

    def _new_checked_member(self) -> MLPRegressor:
        """A member for checks of its loss."""
        member = MLPRegressor(**self._of_member())
        member._validate_params()
        return member

    def _chosen_by(self) -> tuple[Any, Any]:
        """What chooses the epoch of a member."""
        return scoring.of_numbers(self.scoring)

    def _of_member(self) -> dict[str, Any]:
        """The loss with its parameters."""
        return {
            "loss": "squared_error" if self.loss == "auto" else self.loss,
            "quantile": self.quantile,
            "huber_threshold": self.huber_threshold,
            "tweedie_power": self.tweedie_power,
        }

    def _learned(self, problem: Problem, fits: list[MemberFit]) -> dict[str, Any]:
        """Out-of-fold predictions, their score and errors, and the ranges of predictions."""
        draft, data, oof, score = inputs.draft_of(self), problem.data, None, None
        n_outputs = fits[0].member.n_outputs_
        if fits[0].member.loss == "gaussian":
            n_outputs //= 2
        learned: dict[str, Any] = {
            "members_": [fit.member for fit in fits],
            "_limits": _limits_of(fits, n_outputs),
            "n_outputs_": n_outputs,
        }
        draft.__dict__.update(learned)
        seen_by = problem.held_out_of()
        if seen_by:
            oof = np.full((len(data.y), n_outputs), np.nan)
            for numbers, rows in seen_by:
                oof[rows] = draft._of_members(data.X[rows], numbers).mean(axis=0)
            seen = np.flatnonzero(~np.isnan(oof[:, 0]))
            known = data.take(seen)
            score = draft._score_of_stored(draft._shaped(oof[seen]), known)
            pairs = [(numbers, data.y[rows], oof[rows]) for numbers, rows in seen_by]
        else:
            assert problem.validation is not None
            everyone = list(range(len(fits)))
            mean = draft._of_members(problem.validation.X).mean(axis=0)
            pairs = [(everyone, problem.validation.y, mean)]
        errors = []
        if fits[0].member.loss != "quantile":
            errors = [Errors(numbers, np.abs(y - mean)) for numbers, y, mean in pairs]
        if oof is not None:
            oof = draft._shaped(oof)
        return {**learned, "oof_prediction_": oof, "oof_score_": score, "_errors": errors}

    def _of_members(self, x: Any, numbers: list[int] | None = None) -> NDArray[np.float64]:
        """Predictions of members for transformed rows, shape (n_members, n_samples, n_outputs)."""
        members, limits = self.members_, self._limits
        if numbers is not None:
            members, limits = [members[k] for k in numbers], limits[:, numbers]
        joined = np.array([member._predict(x)[1] for member in members], np.float64)
        levels, loss = None, members[0].loss
        if loss == "gaussian":  # the other half are log variances
            joined = joined[..., : joined.shape[-1] // 2]
        elif loss == "quantile":
            levels = check_levels(members[0].quantile)
        return within(joined, limits, levels)

    def _shaped(self, predictions: NDArray[Any]) -> NDArray[Any]:
        """Predictions without the axis of outputs if there is one."""
        return predictions[..., 0] if self.n_outputs_ == 1 else predictions

    def _score_of_stored(self, prediction: NDArray[Any], data: CheckedData) -> float:
        """The score of out-of-fold predictions."""
        if self.scoring is not None:
            return scoring.score_of_stored(self.scoring, scoring.StoredNumbers(prediction), data)
        y = data.y.ravel() if data.y.shape[1] == 1 else data.y
        with np.errstate(over="ignore", invalid="ignore"):  # targets may be huge
            return float(self.members_[0]._score_of(y, data.sample_weight, lambda: prediction))

    def _fitted_node(self, writer: Writer, out_of_fold: bool) -> dict[str, Any]:
        return {
            "limits": writer.tensor(self._limits, "limits"),
            "errors": errors_node(self._errors if out_of_fold else [], writer),
        }

    @classmethod
    def _read_fitted(cls, node: Any, members: list[Any], reader: Reader) -> dict[str, Any]:
        n_outputs, n_members = members[0].n_outputs_, len(members)
        if {member.loss for member in members} != {members[0].loss}:
            raise ValueError("the members have different losses")
        if members[0].loss == "gaussian":
            n_outputs //= 2
        limits = read_limits(node["limits"], n_members, n_outputs, reader)
        shape = (None,) if n_outputs == 1 else (None, n_outputs)
        return {
            "_limits": limits,
            "n_outputs_": n_outputs,
            "_errors": read_errors(node["errors"], n_members, n_outputs, reader),
            **read_oof(node, np.float64, shape, reader),
        }


def _limits_of(fits: list[MemberFit], n_outputs: int) -> NDArray[np.float64]:
    """The ranges of the members' predictions, shape (2, n_members, 1, n_outputs)."""
    ranges = []
    for fit in fits:
        assert fit.units is not None
        ranges.append(np.repeat(fit.units[2:4], n_outputs // len(fit.units.mean), axis=1))
    return np.stack(ranges, axis=1)[:, :, None]
