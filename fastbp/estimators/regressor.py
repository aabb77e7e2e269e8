"""MLPRegressor."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.metaestimators import available_if

from fastbp import training
from fastbp.estimators import inputs
from fastbp.estimators.base import BaseMLP
from fastbp.estimators.guard import fitting
from fastbp.estimators.held_out import Data
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.labels import Labels
from fastbp.estimators.metrics import R2, D2Pinball
from fastbp.estimators.model import join_arrays
from fastbp.estimators.request import PARTIAL_FIT
from fastbp.estimators.scikit_learn import (
    Interval,
    InvalidParameterError,
    StrOptions,
    fit_context,
)
from fastbp.network import trace_loss
from fastbp.runtime.averages import check_levels
from fastbp.runtime.decoding import deviations_of, numbers_of
from fastbp.training import Objective

LINKS_OF_LOSSES = {
    "squared_error": "identity",
    "absolute_error": "identity",
    "huber": "identity",
    "quantile": "identity",
    "log_cosh": "identity",
    "gaussian": "identity",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}
LOG_STEPS = 1024  # of the logarithm of a variance that a network begins with
OF_RAW = ("gaussian", "poisson", "gamma", "tweedie")  # losses with no other link than that


class MLPRegressor(RegressorMixin, BaseMLP):
    """Regressor: a multilayer perceptron that minimizes the squared error or another loss.

    A replacement for `sklearn.neural_network.MLPRegressor` with the same parameters and attributes
    and, for float64 data and the same `random_state`, the same numbers. There are one or several
    outputs, data are dense or sparse. Training with float32 data uses float32; where large targets
    need it, float64 (see docs/differences.md).

    Parameters
    ----------
    loss : str, callable or Expression, default='squared_error'
        The loss, a sum over the outputs. In the formulas e is prediction - target.

        - 'squared_error': ``e ** 2 / 2``; 'absolute_error': ``abs(e)``; 'log_cosh':
          ``log(cosh(e))``; 'huber': squared up to `huber_threshold`, then linear;
          'quantile': ``max(-q * e, (1 - q) * e)`` for the level q, see `quantile`.
        - 'gaussian': ``(v + e ** 2 * exp(-v)) / 2``, the negative log-likelihood of a normal
          distribution [3]_ without its constant. The network has two outputs for each target, the
          mean and the log variance v. `predict` returns means, and with ``return_std=True`` also
          standard deviations. Unless `init` gives arrays, the biases of v are the logarithms of the
          variances of y, or 0 where y is constant.
        - 'poisson', 'gamma', 'tweedie': half the deviance of the mean ``exp(z)``; z is the raw
          prediction. Targets must not be negative; for 'gamma' they must be positive.
        - A function of the raw predictions and the targets of one row that uses the functions and
          operators of `fastbp.graph`, such as ``lambda raw, y: fg.log(fg.cosh(raw - y))``. The
          results for all columns are summed. It is traced once, differentiated and compiled.
          Predictions are the link of `raw`, see `out_activation`.

    hidden_layer_sizes : array-like of int or int, default=(100,)
        Widths of the hidden layers, the first layer first. ``()`` makes a linear model, an int one
        hidden layer.

    activation : str, callable, Expression or list of these, default='relu'
        Activation of the hidden layers; a list has one entry for each layer.

        - 'identity': ``z``; 'logistic': ``1 / (1 + exp(-z))``; 'tanh': ``tanh(z)``;
          'relu': ``max(0, z)``.
        - 'leaky_relu': ``z`` if ``z > 0``, else ``z / 100``; 'elu': ``exp(z) - 1`` for negative z;
          'selu': 1.0507 times ELU, with 1.6733 times its negative part; 'softplus':
          ``log(1 + exp(z))``.
        - 'gelu': z times the normal distribution function; 'gelu_tanh': its approximation by tanh;
          'silu': ``z * logistic(z)``; 'mish': ``z * tanh(softplus(z))``.
        - 'hard_sigmoid': ``z / 6 + 1 / 2`` within [0, 1]; 'step': 1 if ``z > 0``, else 0, the
          perceptron's unit, trained as if its derivative were 1 (straight-through estimator).
        - A function of one number that uses the functions and operators of `fastbp.graph`, such as
          ``lambda z: z * fg.sigmoid(z)``. It is traced once, differentiated and compiled.

    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        The optimizer. 'sgd' is mini-batch gradient descent with momentum [2]_, 'adam' the method of
        Kingma and Ba [1]_. 'lbfgs' runs L-BFGS-B of `scipy.optimize` with gradients of all samples;
        it is often the best choice for a few thousand samples or less.

    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * sum(w ** 2)`` on the weights (not the biases). Like
        the loss, the penalty is divided by the sum of the sample weights of the batch.

    batch_size : int or 'auto', default='auto'
        Samples of a mini-batch; 'auto' is ``min(200, n_samples)``. Not used by 'lbfgs'.

    learning_rate : str, schedule or callable, default='constant'
        Schedule of the learning rate. Not used by 'lbfgs'. Only 'sgd' uses the first three: 'adam'
        ignores them, as in scikit-learn.

        - 'constant' stays at `learning_rate_init`.
        - 'invscaling' sets ``learning_rate_init / (t + 1) ** power_t`` after each epoch, where t is
          the number of *samples* seen so far.
        - 'adaptive' divides the rate by 5 whenever training has not improved by `tol` for more
          than `n_iter_no_change` epochs. Training stops when the rate is at most 1e-6.
        - 'plateau' is 'adaptive' for each of the two solvers.
        - 'linear', 'cosine', 'onecycle', 'coslog4', or an object of `fastbp.schedules`: factors of
          `learning_rate_init` that depend on the step, from the first to the last of `max_iter`
          epochs. 'linear' is ``1 - t / T``, the others are the defaults of the classes.
        - A function of the number of the epoch, 0, 1, ..., that returns a factor of
          `learning_rate_init`.

        `partial_fit` counts the epochs since the first call, and repeats the last step's rate after
        `max_iter` of them.

    learning_rate_init : float, default=0.001
        The initial learning rate. Not used by 'lbfgs'.

    power_t : float, default=0.5
        Exponent of the schedule 'invscaling'.

    max_iter : int, default=200
        Maximum number of epochs ('sgd', 'adam') or iterations ('lbfgs').

    shuffle : bool, default=True
        Whether each epoch draws a new order of the samples. Not used by 'lbfgs'.

    random_state : int, RandomState instance or None, default=None
        Random numbers for the initial weights, the validation split and the order of the samples.
        An int gives the same model in every call, bit for bit, for any `n_threads`.

    tol : float, default=1e-4
        Smallest change of the loss, or of the validation score, that counts as an improvement.
        'lbfgs' stops when the largest element of the gradient is at most `tol`.

    verbose : bool or int, default=False
        Whether to print a line per epoch. 2 prints the progress: epoch, loss, score, rate and time
        left, in a terminal in one line that is rewritten.

    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last call. The moments of the optimizer are
        reset, as in scikit-learn.

    momentum : float, default=0.9
        Momentum of 'sgd', between 0 and 1.

    nesterovs_momentum : bool, default=True
        Whether 'sgd' uses Nesterov's momentum.

    early_stopping : bool, default=False
        Whether to stop when the score on a validation set does not improve, and to keep the weights
        of the best epoch. The validation set is held out of X, unless `fit` is given one. Not used
        by 'lbfgs'.

    validation_fraction : float, default=0.1
        Fraction of the samples that early stopping holds out, unless `fit` is given `X_val`.

    beta_1 : float, default=0.9
        Decay rate of Adam's first moment, in [0, 1).

    beta_2 : float, default=0.999
        Decay rate of Adam's second moment, in [0, 1).

    epsilon : float, default=1e-8
        Term added to the square root of Adam's second moment.

    n_iter_no_change : int or inf, default=10
        Number of epochs in a row without improvement that is tolerated. Training ends with the next
        one.

    max_fun : int, default=15000
        Maximum number of evaluations of the loss by 'lbfgs'.

    quantile : float or array-like of float, default=0.5
        Levels of ``loss='quantile'``, each in (0, 1). Several levels give a column of predictions
        for each target and level, those of the first target first.

    huber_threshold : float, default=1.0
        Absolute error above which ``loss='huber'`` is linear.

    tweedie_power : float, default=1.5
        Power of the variance for ``loss='tweedie'``, between 1 and 2.

    out_activation : {'identity', 'logistic', 'softplus', 'exp'} or None, default=None
        Link: the function that turns raw predictions into predictions. None is 'exp' for 'poisson',
        'gamma' and 'tweedie', and otherwise 'identity'. These three and 'gaussian' have no other
        link. 'squared_error', 'absolute_error', 'log_cosh', 'huber' and 'quantile' are losses of
        the prediction. 'logistic' needs targets in [0, 1].

    init : {'auto', 'glorot_uniform', 'he_uniform', 'lecun_uniform'}, tuple or callable, \
            default='auto'
        The initial weights.

        - A name: a uniform distribution with variance ``2 / (fan_in + fan_out)``, ``2 / fan_in`` or
          ``1 / fan_in``. 'auto' chooses by the activation of each layer: He's for the relu family,
          LeCun's for 'selu', Glorot's for the others. For 'identity', 'logistic', 'tanh' and 'relu'
          the weights are those of scikit-learn.
        - A tuple ``(coefs, intercepts)`` of lists of arrays, which are copied.
        - A function ``init(fan_in, fan_out, random_state)`` that returns weights and biases of a
          layer, of shapes (fan_in, fan_out) and (fan_out,). The first layer is drawn first.

    n_threads : int or None, default=None
        Number of threads of a fit and of a prediction of many rows, at most 256. None chooses: one
        thread for little work, and never more than affinity, control group and
        ``OMP_NUM_THREADS`` allow. Fits that run at the same time in several threads share these
        cores. The result has the same bits for every value.

    dropout : float or array-like of float, default=0.0
        Rate at which units of the hidden layers are dropped in training, in [0, 1): one for all
        layers, or one for each. The units that remain are divided by ``1 - rate``, so that
        predictions need no change. Each sample has a mask of its own in each epoch. `loss_curve_`
        is the loss with dropped units; validation, prediction and inspection drop none. Rates are
        rounded to multiples of 2^-16. Only 'sgd' and 'adam' have this parameter and those below.

    input_dropout : float, default=0.0
        The same for the features, in [0, 1). It needs dense X.

    weight_decay : float, default=0.0
        Decoupled weight decay, as in AdamW and SGDW. Each step first multiplies the weights, not
        the biases, by ``1 - rate * weight_decay``, where rate is the scheduled learning rate. So
        ``solver='adam', alpha=0, weight_decay=0.01`` is AdamW. It is not part of the loss.

    clip_norm : float or None, default=None
        Largest Euclidean norm of the gradient of a batch: of all weights and biases together, with
        the penalty of `alpha`. A longer gradient is scaled down to it. None: the gradient is not
        clipped.

    ema_decay : float or None, default=None
        Decay d of an exponential moving average of the weights and biases, in (0, 1). It begins
        with those after the first step; each step adds ``(1 - d) * (w - average)``. The average is
        what is validated, kept by early stopping and stored in `coefs_` and `intercepts_`; training
        and `partial_fit` go on from the weights themselves, a warm start from the average.
        ``1 / (1 - d)`` steps should be well below the number of steps in training; 0.99 is a good
        first choice. None: there is no average.

    scoring : None, 'loss', str or callable, default=None
        The score on the validation set, of which larger is better. It is recorded after each epoch
        and decides under early stopping.

        - None: that of `score`. 'loss': minus the validation loss.
        - A name of `sklearn.metrics.get_scorer_names`, or a function ``scorer(estimator, X, y)`` or
          ``scorer(estimator, X, y, sample_weight=...)``. It is called with the validation samples
          as they were given, and with an estimator that is valid during the call only: its weights
          are those in training. A score that is NaN is no improvement.

    max_seconds : float or None, default=None
        Limit of the time of `fit`. Training ends after the first epoch or iteration that ends
        later (short epochs that share a call of the core end together), with a ConvergenceWarning.
        The result is that of ``max_iter=n_iter_``, bit for bit.

    Attributes
    ----------
    loss_ : float
        The final loss: that of the last epoch, or of the result of 'lbfgs'.

    best_loss_ : float or None
        The smallest loss of all epochs; None with early stopping. Not set by 'lbfgs'.

    loss_curve_ : list of float
        The loss of each epoch, computed before each step, with the penalty. Not set by 'lbfgs'.

    validation_scores_ : list of float or None
        The score on the validation set after each epoch, or after each iteration of 'lbfgs';
        None without early stopping and without `X_val`. Not set by 'lbfgs' without `X_val`.

    validation_loss_curve_ : list of float or None
        The loss on the validation set after each epoch or iteration: the loss of `loss_curve_`
        without the penalty. None or not set where `validation_scores_` is.

    best_validation_score_ : float or None
        The best of `validation_scores_`; None without early stopping. Not set by 'lbfgs'.

    t_ : int
        Number of samples seen in training: epochs times samples, for all calls that continued
        earlier ones.

    coefs_ : list of ndarray, each of shape (fan_in, fan_out)
        Weights of each layer, in the dtype of X. You may change the arrays or put others into the
        list: predictions read them where they lie. `partial_fit` and a warm start change the same
        arrays.

    intercepts_ : list of ndarray, each of shape (fan_out,)
        Biases of each layer.

    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    n_iter_ : int
        Number of epochs or iterations of the last call.

    stop_reason_ : str
        Why the last fit ended: 'max_iter'; 'tol', if the loss has stalled or 'lbfgs' has converged;
        'early_stopping', if the score has stalled; 'time', 'callback', 'interrupt' or 'diverged'.

    n_layers_ : int
        Number of layers, including input and output.

    n_outputs_ : int
        Number of outputs of the network: one for each target, one for each target and level of
        `quantile`, or with ``loss='gaussian'`` all means, then all log variances.

    rate_ : float
        The learning rate of the next epoch of `partial_fit` ('sgd' and 'adam'). It may be set
        between two calls. The schedule 'invscaling' sets it anew after each epoch.

    out_activation_ : str
        Link of the output, 'identity', 'logistic', 'softplus' or 'exp'.

    See Also
    --------
    MLPClassifier : A multilayer perceptron for classification.

    Notes
    -----
    Ctrl-C ends training at a batch boundary, and the model can be used: 'sgd' and 'adam' warn and
    return, 'lbfgs' keeps its last iterate and raises KeyboardInterrupt. Python delivers Ctrl-C only
    to the main thread, so it does not stop a fit in another thread.

    Several threads may use one estimator. Their fits wait for each other. A prediction uses the
    weights of one moment, before or after a fit or a call of `partial_fit`.

    Training flushes denormal numbers to zero. A fit that raises an error does not change the
    estimator.
    Differences from scikit-learn are listed in docs/differences.md.

    References
    ----------
    .. [1] D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015,
       arXiv:1412.6980.
    .. [2] D. Rumelhart, G. Hinton and R. Williams, "Learning representations by back-propagating
       errors", Nature 323, 1986.
    .. [3] D. Nix and A. Weigend, "Estimating the mean and variance of the target probability
       distribution", ICNN 1994.

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> reg = MLPRegressor(solver="lbfgs", max_iter=500, random_state=1).fit(X, y)
    >>> bool(reg.score(X, y) > 0.99)
    True
    """

    _saved_as = "MLPRegressor"
    _y_is_numeric = True
    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(LINKS_OF_LOSSES)), callable],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "huber_threshold": [Interval(Real, 0, None, closed="neither")],
        "tweedie_power": [Interval(Real, 1, 2, closed="neither")],
        "out_activation": [StrOptions({"identity", "logistic", "softplus", "exp"}), None],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        quantile=0.5,
        huber_threshold=1.0,
        tweedie_power=1.5,
        out_activation=None,
        init="auto",
        n_threads=None,
        dropout=0.0,
        input_dropout=0.0,
        weight_decay=0.0,
        clip_norm=None,
        ema_decay=None,
        scoring=None,
        max_seconds=None,
    ):
        self._store(locals())

    def _validate_params(self):
        """Check the parameters; the error tells what to write if sizes are given as the loss."""
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            if isinstance(self.loss, (int, tuple, list, np.ndarray)):
                raise InvalidParameterError(
                    f"{error} Since scikit-learn 1.7 the first positional parameter is the loss: "
                    f"write MLPRegressor(hidden_layer_sizes={self.loss!r})."
                ) from None
            raise

    @fit_context
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
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 stays float32, everything else becomes float64.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative; None: equal weights.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation samples, at least two. Early stopping then holds out no samples, so all of X
            is used. After each epoch (or iteration of 'lbfgs') the loss and score of the
            validation samples are recorded in `validation_loss_curve_` and `validation_scores_`.
            With ``early_stopping=True`` ('sgd', 'adam') the score decides when to stop and which
            weights are kept. Otherwise training gives the same bits as without validation samples.
            In a pipeline, ``Pipeline(..., transform_input=["X_val"])`` transforms them like X; this
            needs scikit-learn's metadata routing and ``set_fit_request(X_val=True, y_val=True)``.
        y_val : {array-like, sparse matrix} of shape (n_val,) or (n_val, n_outputs), default=None
            Target values of the validation samples.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation samples in their loss and score.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid, if only one of X_val and y_val is given, or if
            training diverged.
        MemoryError
            If the network needs more memory than there is. Nothing is allocated.
        TypeError
            If a subclass overrides a private method of scikit-learn, which would never be called.
        RuntimeError
            If this thread is already fitting this estimator.
        """
        with fitting(self):
            job = self._job(X, y, sample_weight, validation=Data(X_val, y_val, sample_weight_val))
            return self._adopt(job, self._run(job, Data(X, y, sample_weight)))

    @fit_context
    def fit_blocks(
        self,
        source: Any,
        *,
        window: int | None = None,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Fit the network to data that is read in blocks, and may be larger than memory.

        'lbfgs' reads the rows in order, once for each evaluation of the loss: the model has the
        bits of `fit`. 'sgd' and 'adam' read blocks of rows in random order and shuffle the rows of
        those blocks that are in a window; with ``shuffle=False`` they read in order. If the window
        holds all rows, the model has the bits of `fit` for every solver. A thread reads ahead while
        the network is trained.

        Parameters
        ----------
        source : object
            It has ``len(source)`` rows, and ``source.read(first, stop)`` returns (X, y, weight) of
            the rows first to stop - 1, each as `fit` takes it; weight may be None. It may have
            `borders`, the rows at which reading can well begin: integers from 0 to the number of
            rows. `fastbp.blocks` makes sources of NumPy files, Parquet files and other arrays.
            `read` is called again in each epoch, by one thread at a time, which may be another one
            than that of the caller. What it returns must not change later.
        window : int, default=None
            Bytes of samples that are in memory at once, in the dtype of training; None: 2^30. 'sgd'
            and 'adam' give another model for another window, so it does not follow from the memory
            that is free.
        X_val, y_val, sample_weight_val
            Validation samples in memory, as in `fit`. ``early_stopping=True`` needs them.

        Returns
        -------
        self : object
            The fitted estimator. ``resume(source)`` goes on with the fit.

        Raises
        ------
        ValueError
            As in `fit`; the rows of `source` are named. Or if half the window is too small for a
            batch ('sgd', 'adam') or for 1024 rows ('lbfgs'); if parts differ in features, dtype,
            or in whether they are sparse or have weights.
        TypeError
            If `source` has no `read`, or if it does not return three values with rows.
        MemoryError
            If the window or the network needs more memory than there is.
        """
        return self._fit_blocks(source, None, window, Data(X_val, y_val, sample_weight_val))

    @available_if(lambda est: est._check_solver())
    @fit_context
    def partial_fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one more epoch, on these data ('sgd' and 'adam').

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 stays float32, everything else becomes float64.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative; None: equal weights.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid, or if training diverged.
        MemoryError
            If the network needs more memory than there is. Nothing is allocated.
        TypeError
            If a subclass overrides a private method of scikit-learn, which would never be called.
        RuntimeError
            If this thread is already fitting this estimator.
        """
        with fitting(self):
            job = self._job(X, y, sample_weight, purpose=PARTIAL_FIT)
            course = training.run(job, job.watches)
            return self._adopt(job, course)

    @classmethod
    def from_weights(
        cls,
        coefs: Sequence[ArrayLike],
        intercepts: Sequence[ArrayLike],
        *,
        activation: Any,
        **parameters: Any,
    ) -> Self:
        """A fitted regressor with given weights.

        Parameters
        ----------
        coefs : list of array-like, each of shape (fan_in, fan_out)
            Weights of each layer, the first layer first. They are copied; float32 stays float32.
        intercepts : list of array-like, each of shape (fan_out,)
            Biases of each layer.
        activation : str, callable, Expression or list of these
            Activation of the hidden layers, as in the constructor.
        **parameters
            Other parameters of the constructor.

        Returns
        -------
        estimator : MLPRegressor
            A fitted estimator. `partial_fit` can train it further.

        Raises
        ------
        ValueError
            If the shapes do not match each other, or if a number is not finite.

        Examples
        --------
        >>> from fastbp import MLPRegressor
        >>> line = MLPRegressor.from_weights([[[2.0]]], [[1.0]], activation="identity")
        >>> line.predict([[0.0], [3.0]])
        array([1., 7.])
        """
        estimator = cls._from_weights(coefs, intercepts, dict(parameters, activation=activation))
        estimator.out_activation_ = estimator._objective(estimator.n_outputs_, Labels()).link
        join_arrays(estimator)
        return estimator

    @classmethod
    def from_sklearn(cls, model: BaseEstimator) -> Self:
        """A copy of a fitted `sklearn.neural_network.MLPRegressor`.

        Parameters
        ----------
        model : sklearn.neural_network.MLPRegressor
            A fitted estimator. It is not changed and shares no data with the result.

        Returns
        -------
        estimator : MLPRegressor
            It has the same parameters, attributes and predictions. The moments of the optimizer are
            not copied.

        Raises
        ------
        TypeError
            If `model` is not such an estimator.
        NotFittedError
            If `model` is not fitted.
        """
        return cls._from_sklearn(model)

    @overload
    def predict(self, X: Matrix, return_std: Literal[False] = False) -> NDArray[np.floating]: ...

    @overload
    def predict(
        self, X: Matrix, return_std: Literal[True]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]: ...

    def predict(self, X, return_std=False):
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        return_std : bool, default=False
            Whether to return standard deviations too. Only models with ``loss='gaussian'`` predict
            them.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The predictions: the link of the raw predictions. A Poisson model predicts means. With
            several levels of `quantile` there is a column for each target and level.
        std : ndarray of the shape of y
            The standard deviations ``exp(v / 2)`` of the targets, of which y are the means; v is
            the predicted log variance. Only with ``return_std=True``.

        Raises
        ------
        ValueError
            If X is not valid, or if ``return_std=True`` with another loss than 'gaussian'.
        TypeError
            If `return_std` is not a bool.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp import MLPRegressor
        >>> random = np.random.RandomState(0)
        >>> X = random.uniform(-1, 1, (1000, 1))
        >>> y = X[:, 0] + 0.1 * random.randn(1000)
        >>> reg = MLPRegressor("gaussian", (), learning_rate_init=0.01, random_state=0).fit(X, y)
        >>> mean, std = reg.predict([[0.0], [0.5]], return_std=True)
        >>> mean.round(1), std.round(1)
        (array([0. , 0.5]), array([0.1, 0.1]))
        """
        inputs.check_bool(return_std, "return_std")
        if return_std and self.loss != "gaussian":
            raise ValueError(
                "return_std=True needs loss='gaussian', whose models predict a standard deviation, "
                f"got loss={self.loss!r}."
            )
        model, prediction = self._predict(X)
        y = self._decode(model.labels, prediction)
        if not return_std:
            return y
        return y, deviations_of(prediction).reshape(y.shape)

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
            R^2, or the mean D^2 of the pinball losses of all levels and targets
            (`sklearn.metrics.d2_pinball_score`).
        """
        return self._score_of(y, sample_weight, lambda: self.predict(X))

    # ---- hooks of BaseMLP

    def _score_of(
        self,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        predict: Callable[[], NDArray[Any]],
    ) -> float:
        """The score of the result of predict(), after the checks of y."""
        inputs.refuse_sparse(sample_weight, "sample_weight")
        y = inputs.dense_targets(y)
        if self.loss != "quantile":
            return self._metric(Labels(), y, sample_weight)(predict())
        prediction, y = predict(), self._for_each_output(np.asarray(y))
        n_outputs = y.shape[1] if y.ndim > 1 else 1
        if n_outputs != self.n_outputs_:
            raise ValueError(
                f"y and quantile make {n_outputs} outputs, but the fitted model has "
                f"{self.n_outputs_}."
            )
        return self._metric(Labels(), y, sample_weight)(prediction)

    def _read_targets(
        self, y: NDArray[Any], labels: Labels | None, strict: bool
    ) -> tuple[NDArray[Any], Labels]:
        """Targets with a column for each output."""
        return self._check_targets(y), Labels()

    def _check_targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """y with a column for each output, after a check that the loss is defined for it."""
        if self.loss in ("poisson", "tweedie", "gamma"):
            what = f"loss={self.loss!r}"
            inputs.check_target_range(y, what, 0, open_end=self.loss == "gamma")
        if isinstance(self.loss, str) and self.out_activation == "logistic":
            if self.loss not in OF_RAW:
                inputs.check_target_range(y, "out_activation='logistic'", 0, 1)
        return self._for_each_output(y)

    def _read_validation_targets(
        self, y: NDArray[Any], labels: Labels, n_outputs: int
    ) -> NDArray[Any]:
        """The targets y_val, with as many columns as y has."""
        shape, y = y.shape, self._check_targets(y)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        if y.shape[1] != n_outputs:
            raise ValueError(
                f"y_val has shape {shape}, which makes {y.shape[1]} outputs; y makes {n_outputs}."
            )
        return y

    def _for_each_output(self, y: NDArray[Any]) -> NDArray[Any]:
        """y with a column for each target and level, the levels of the first target first.

        With the Gaussian loss, for each mean and then for each log variance.
        """
        if self.loss == "gaussian":
            return np.tile(y.reshape(len(y), -1), 2)
        n_levels = len(check_levels(self.quantile)) if self.loss == "quantile" else 1
        return np.repeat(y.reshape(len(y), -1), n_levels, axis=1) if n_levels > 1 else y

    def _objective(self, n_outputs: int, labels: Labels) -> Objective:
        """The objective: the loss with its parameters and its link."""
        if callable(self.loss):
            return Objective(trace_loss(self.loss), self.out_activation or "identity")
        link = LINKS_OF_LOSSES[self.loss]
        if self.loss in OF_RAW and self.out_activation not in (None, link):
            raise ValueError(
                f"loss={self.loss!r} has out_activation={link!r}, got {self.out_activation!r}. "
                "Write the loss as a function to have it with another."
            )
        if self.loss == "gaussian":
            _check_is_even(n_outputs)
        parameters = None
        if self.loss == "quantile":
            levels = check_levels(self.quantile)
            if n_outputs % len(levels):
                raise ValueError(
                    f"quantile has {len(levels)} levels, but there are {n_outputs} "
                    "outputs: each target has one for each level"
                )
            parameters = np.tile(levels, n_outputs // len(levels))
        elif self.loss in ("huber", "tweedie"):
            own = self.huber_threshold if self.loss == "huber" else self.tweedie_power
            parameters = np.array([own], np.float64)
        # Reported, as in scikit-learn: the mean over outputs.
        scale = 1 / n_outputs if self.loss == "squared_error" else 1.0
        return Objective(self.loss, self.out_activation or link, parameters, scale=scale)

    def _lower_targets(
        self, y: NDArray[Any], labels: Labels, dtype: DTypeLike
    ) -> NDArray[np.floating]:
        """The targets as floats."""
        return inputs.as_targets(y, dtype)

    def _set_output_biases(
        self, biases: NDArray[np.floating], spread_of_y: Callable[[], NDArray[np.float64]]
    ) -> None:
        """Let the Gaussian loss begin with the variances of y, and with 1 where y is constant.

        Their logarithms are rounded, so that they do not depend on the order of sums.
        """
        if self.loss == "gaussian":
            n_targets = len(biases) // 2
            spread = spread_of_y()[:n_targets]
            logarithms = 2 * np.log(np.where(spread > 0, spread, 1))
            biases[n_targets:] = np.round(logarithms * LOG_STEPS) / LOG_STEPS

    def _metric(self, labels: Labels, y_true: Any, sample_weight: Any) -> Callable[[Any], float]:
        """R^2, or D^2 of the pinball losses."""
        if self.loss != "quantile":
            return R2(y_true, sample_weight)
        return D2Pinball(y_true, sample_weight, check_levels(self.quantile))

    def _decode(self, labels: Labels, prediction: NDArray[Any]) -> NDArray[Any]:
        """The predictions, or the means among them, with one dimension if there is one column."""
        is_gaussian = self.__dict__.get("loss") == "gaussian"  # predictions need no parameter
        if is_gaussian:
            _check_is_even(prediction.shape[1])
        return numbers_of(prediction, is_gaussian=is_gaussian)


def _check_is_even(n_outputs: int) -> None:
    """Refuse a number of outputs that are not means and log variances."""
    if n_outputs % 2:
        raise ValueError(
            "loss='gaussian' has two outputs for each target, a mean and a log variance, but there "
            f"are {n_outputs} outputs."
        )
