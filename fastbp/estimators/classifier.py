"""MLPClassifier."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fastbp import training
from fastbp.estimators import inputs, memory, targets
from fastbp.estimators.base import BaseMLP
from fastbp.estimators.class_weight import ClassWeights, Totals, class_weights_of
from fastbp.estimators.guard import fitting
from fastbp.estimators.held_out import Data
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.labels import (
    Labels,
    PlainLabels,
    TargetBinarizers,
    choice_of,
    is_shares,
    is_soft,
    labels_of_targets,
    most_probable,
    plain_labels,
    probabilities,
    soft_labels,
)
from fastbp.estimators.metrics import Accuracy
from fastbp.estimators.model import join_arrays
from fastbp.estimators.request import PARTIAL_FIT
from fastbp.estimators.scikit_learn import (
    Interval,
    StrOptions,
    check_partial_fit_classes,
    fit_context,
    label_binarizer,
)
from fastbp.network import trace_loss
from fastbp.runtime.decoding import of_each_class
from fastbp.training import Objective

if TYPE_CHECKING:
    from fastbp.graph.expression import Expression


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Classifier: a multilayer perceptron that minimizes the log loss or a given loss.

    A replacement for `sklearn.neural_network.MLPClassifier` with the same parameters and attributes
    and, for float64 data and the same `random_state`, the same numbers. Targets are binary,
    multiclass or multilabel, or several targets of several classes each; data are dense or sparse.
    Training with float32 data uses float32.

    Parameters
    ----------
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

    loss : {'log_loss', 'squared_error'}, callable or Expression, default='log_loss'
        The loss. 'squared_error' is ``sum((p - y) ** 2) / 2`` of the probabilities p. A function of
        the raw predictions and the target of one row uses the functions and operators of
        `fastbp.graph`, such as ``lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y)``. Here `raw`
        and `y` have a column for each class (y is one-hot), or one column for two classes (y is 0
        or 1). The results for all columns are summed. Probabilities are the softmax or logistic
        function of `raw` for every loss. Several targets need 'log_loss', which is summed over
        them.

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

    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes: a sample counts with its `sample_weight` times the weight of its
        class, in training and in validation.

        - A dict ``{label: weight}``; classes that are not in it have the weight 1.
        - 'balanced': ``W / (K * W_c)``, where ``W_c`` is the sum of the weights of the samples of
          class c, ``W`` that of all samples, and K the number of classes in y. `partial_fit`
          refuses it.
        - For multilabel targets 'balanced', or a list with a dict for each column, with the keys 0
          and 1; the weights of the columns are multiplied. For several targets of several classes
          the same, with a dict ``{label: weight}`` for each.

        `predict_proba` then gives the probabilities of a world in which classes are as frequent as
        their weights say. ``p_c / w_c``, divided by its sum over the classes, leads back;
        `sklearn.calibration.CalibratedClassifierCV` calibrates, and
        `sklearn.model_selection.TunedThresholdClassifierCV` chooses another threshold instead of
        weights. `score` does not use them.

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

    label_smoothing : float, default=0.0
        Share e of the uniform distribution in the targets of 'log_loss', in [0, 1). Training, by
        each solver, minimizes the log loss of ``(1 - e) * y + e / K``, where K is the number of
        classes: 2 for each output of multilabel targets; of several targets that of each. Soft
        labels are smoothed too. `loss_curve_` is this loss; the validation loss and all scores are
        those of y itself.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of such arrays
        The class labels; a list with those of each target if there are several.

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
        without the penalty and without `label_smoothing`. None or not set where
        `validation_scores_` is.

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
        Number of outputs of the network: one for two classes, else one for each; of several targets
        the sum.

    rate_ : float
        The learning rate of the next epoch of `partial_fit` ('sgd' and 'adam'). It may be set
        between two calls. The schedule 'invscaling' sets it anew after each epoch.

    out_activation_ : str
        Link of the output: 'softmax' for more than two classes, else 'logistic'; for several
        targets 'grouped_softmax', which is one or the other for each.

    See Also
    --------
    MLPRegressor : A multilayer perceptron for regression.

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

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = make_classification(n_samples=500, random_state=1)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=1)
    >>> clf = MLPClassifier(learning_rate_init=0.01, max_iter=300, random_state=1)
    >>> bool(clf.fit(X_train, y_train).score(X_test, y_test) > 0.9)
    True
    """

    _saved_as = "MLPClassifier"
    _y_is_numeric = False
    _parameter_constraints: ClassVar[dict] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions({"log_loss", "squared_error"}), callable],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
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
        loss="log_loss",
        init="auto",
        n_threads=None,
        class_weight=None,
        dropout=0.0,
        input_dropout=0.0,
        weight_decay=0.0,
        clip_norm=None,
        ema_decay=None,
        scoring=None,
        max_seconds=None,
        label_smoothing=0.0,
    ):
        self._store(locals())

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
            Class labels, or an indicator matrix for multilabel targets. Or several targets of
            several classes: a matrix or frame of labels, with a column for each target. A matrix
            of two numbers is an indicator matrix. Or soft labels: a float matrix whose rows are
            probabilities, >= 0 and with the sum 1, and are not all 0 and 1. Then the classes are
            the numbers of the columns, and the loss is the cross entropy.
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
            Labels of the validation samples. All of them have to be in y. If y is soft labels, so
            may y_val be.
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
        classes: ArrayLike | None = None,
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
        classes : array-like of shape (n_classes,), or list of them, default=None
            All classes; of several targets a list with those of each. If they are given, only the
            first and the last 1024 rows are read before training, unless there are weights of
            samples or ``class_weight="balanced"``. None: a first pass over all rows finds them.
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
        return self._fit_blocks(source, classes, window, Data(X_val, y_val, sample_weight_val))

    @available_if(lambda est: est._check_solver())
    @fit_context
    def partial_fit(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch, on these data ('sgd' and 'adam').

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 stays float32, everything else becomes float64.
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or an indicator matrix for multilabel targets. Or several targets of
            several classes: a matrix or frame of labels, with a column for each target. A matrix
            of two numbers is an indicator matrix. Or soft labels: a float matrix whose rows are
            probabilities, >= 0 and with the sum 1, and are not all 0 and 1. Then the classes are
            the numbers of the columns, and the loss is the cross entropy.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, not negative; None: equal weights.
        classes : array-like of shape (n_classes,), or list of such arrays, default=None
            All classes that occur in any call. Required in the first call. For soft labels they are
            ``range(n_classes)``. A list with an array for each of two or more targets makes y
            several targets, even if all its labels are 0 and 1.

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
            labels = self._first_labels(y, classes)
            job = self._job(X, y, sample_weight, labels=labels, purpose=PARTIAL_FIT)
            course = training.run(job, job.watches)
            return self._adopt(job, course)

    @classmethod
    def from_weights(
        cls,
        coefs: Sequence[ArrayLike],
        intercepts: Sequence[ArrayLike],
        *,
        activation: Any,
        classes: ArrayLike | None = None,
        **parameters: Any,
    ) -> Self:
        """A fitted classifier with given weights.

        Parameters
        ----------
        coefs : list of array-like, each of shape (fan_in, fan_out)
            Weights of each layer, the first layer first. They are copied; float32 stays float32.
        intercepts : list of array-like, each of shape (fan_out,)
            Biases of each layer.
        activation : str, callable, Expression or list of these
            Activation of the hidden layers, as in the constructor.
        classes : array-like of shape (n_classes,), or list of such arrays, default=None
            The labels, in rising order: one for each output, or two if there is one output, whose
            probability is that of the second class. None: 0, 1, 2, ... A list has the labels of
            each of several targets, whose outputs follow each other.
        **parameters
            Other parameters of the constructor.

        Returns
        -------
        estimator : MLPClassifier
            A fitted estimator. `partial_fit` can train it further.

        Raises
        ------
        ValueError
            If the shapes do not match each other or `classes`, or if a number is not finite.

        Examples
        --------
        A perceptron that computes AND, which is 1 if ``a + b > 1.5``:

        >>> from fastbp import MLPClassifier
        >>> gate = MLPClassifier.from_weights([[[1], [1]]], [[-1.5]], activation="step")
        >>> gate.predict([[0, 0], [0, 1], [1, 0], [1, 1]])
        array([0, 0, 0, 1])
        """
        estimator = cls._from_weights(coefs, intercepts, dict(parameters, activation=activation))
        several = targets.classes_of_targets(classes)
        if several is not None:
            labels = labels_of_targets(_labels_of_classes(one) for one in several)
            targets.check_width(labels, estimator.n_outputs_)
        else:
            labels = _labels_of_classes(_names_of_outputs(classes, estimator.n_outputs_))
        estimator.classes_, estimator._label_binarizer = labels[:2]
        estimator.out_activation_ = estimator._objective(estimator.n_outputs_, labels).link
        join_arrays(estimator)
        return estimator

    @classmethod
    def from_sklearn(cls, model: BaseEstimator) -> Self:
        """A copy of a fitted `sklearn.neural_network.MLPClassifier`.

        Parameters
        ----------
        model : sklearn.neural_network.MLPClassifier
            A fitted estimator. It is not changed and shares no data with the result.

        Returns
        -------
        estimator : MLPClassifier
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

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Predict the class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_targets)
            The labels; an indicator matrix for multilabel targets; for several targets a column for
            each.
        """
        model, probability = self._predict(X)
        return self._decode(model.labels, probability)

    def predict_proba(self, X: Matrix) -> Any:
        """Predict the probability of each class.

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
        model, probability = self._predict(X)
        labels = model.labels
        if not labels.targets:
            several = len(labels.classes) > 2  # one output for each
            return probability if several else of_each_class(len(labels.classes), probability)
        pairs = zip(labels.targets, targets.blocks_of(labels, probability), strict=True)
        return [of_each_class(len(one.classes), block.copy()) for one, block in pairs]

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
            Class labels, or an indicator matrix for multilabel targets, or several targets, or soft
            labels, of which the most probable class counts, as in early stopping.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            `sklearn.metrics.accuracy_score` of the predictions; for several targets that of
            `sklearn.multioutput.MultiOutputClassifier`.
        """
        return self._score_of(y, sample_weight, lambda: self.predict(X))

    # ---- hooks of BaseMLP

    def _first_labels(self, y: ArrayLike, classes: ArrayLike | None) -> Labels | None:
        """The labels given in the first call of `partial_fit`; None in later calls."""
        draft = inputs.draft_of(self)
        inputs.refuse_sparse(classes, "classes")
        several = targets.classes_of_targets(classes)
        if several is not None:
            if hasattr(draft, "classes_"):
                targets.refuse_other_classes(draft.classes_, classes, several)
                return None
            return labels_of_targets(_labels_of_classes(one) for one in several)
        if not check_partial_fit_classes(draft, classes):
            return None
        from sklearn.preprocessing import LabelBinarizer

        y = inputs.sound_targets(y)
        if is_soft(y):
            n_classes = np.shape(y)[1]
            if not np.array_equal(draft.classes_, np.arange(n_classes)):
                raise ValueError(
                    f"y is soft labels, so classes must be 0 to {n_classes - 1}, one for each "
                    f"column, got {classes!r}."
                )
            return soft_labels(n_classes)
        multilabel = type_of_target(y).startswith("multilabel")
        return Labels(draft.classes_, LabelBinarizer().fit(y if multilabel else classes))

    def _read_targets(
        self, y: NDArray[Any], labels: Labels | None, strict: bool
    ) -> tuple[NDArray[Any], Labels]:
        """A bool for each sample and output, or soft labels as they are; and the labels."""
        if labels is None and is_soft(y):
            labels = soft_labels(y.shape[1])
        if labels.targets if labels is not None else targets.are_several(y):
            return targets.read_targets(y, labels, partial(self._read_targets, strict=strict))
        if labels is not None and labels.is_multinomial and is_shares(y):
            return probabilities(y, labels, "y"), labels._replace(soft=True)
        plain = plain_labels(y, None if labels is None else labels.classes)
        if labels is None:
            labels = self._labels_of(y, plain)
        elif plain is None or (strict and not plain.is_complete):
            self._check_classes(y, labels.classes, strict)
        return self._indicators(y, labels, plain), labels

    def _labels_of(self, y: NDArray[Any], plain: PlainLabels | None) -> Labels:
        """The labels in y; `plain` is the result of `plain_labels`."""
        if plain is None:
            from sklearn.preprocessing import LabelBinarizer

            binarizer = LabelBinarizer().fit(y)
        else:
            kind = "binary" if len(plain.classes) <= 2 else "multiclass"
            binarizer = label_binarizer(plain.classes, kind)
        return Labels(binarizer.classes_, binarizer)

    def _indicators(
        self, y: NDArray[Any], labels: Labels, plain: PlainLabels | None
    ) -> NDArray[np.bool_]:
        """A bool for each sample and output; `plain` is the result of `plain_labels` for y."""
        n_classes = len(labels.classes)
        n_columns = n_classes if n_classes > 2 or labels.is_multinomial else 1
        memory.check_fits(  # an indicator matrix of integers, and one of bools
            9 * y.shape[0] * n_columns, f"{y.shape[0]} samples of {n_columns} classes"
        )
        if plain is not None:
            indices = plain.indices
        elif n_columns == n_classes == 2:  # the binarizer would make one column
            indices = labels.classes.searchsorted(y)
        else:
            return labels.binarizer.transform(y).astype(bool)
        first = 0 if n_columns > 1 else 1
        return indices[:, None] == np.arange(first, first + n_columns)

    def _class_weights(
        self, totals: Callable[[], Totals], n_outputs: int, labels: Labels, purpose: str
    ) -> ClassWeights | None:
        """The weights of the classes, which multiply those of the samples."""
        return class_weights_of(
            self.class_weight, totals, n_outputs, labels, purpose == PARTIAL_FIT
        )

    def _read_validation_targets(
        self, y: NDArray[Any], labels: Labels, n_outputs: int
    ) -> NDArray[Any]:
        """Indicators of the labels y_val. All labels have to be among the classes."""
        if labels.targets:
            read = partial(self._read_validation_targets, n_outputs=1)
            return targets.read_validation_targets(y, labels, read)
        if labels.soft and is_shares(y):
            return probabilities(y, labels, "y_val")
        multilabel = labels.binarizer.y_type_ == "multilabel-indicator"
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            raise ValueError(f"y_val must be class labels, got targets of type {kind!r}.")
        if (kind == "multilabel-indicator") != multilabel:
            raise ValueError(
                "y is a multilabel indicator matrix, but y_val is not."
                if multilabel
                else "y_val is a multilabel indicator matrix, but y is not."
            )
        if multilabel and y.shape[1] != n_outputs:
            raise ValueError(f"y_val has {y.shape[1]} columns, y has {n_outputs}.")
        plain = plain_labels(y, labels.classes)
        if plain is None:
            seen = set(labels.classes.tolist())
            unseen = [label for label in unique_labels(y).tolist() if label not in seen]
            if unseen:
                raise ValueError(
                    f"y_val has labels that y has not: {unseen}. The classes of y are "
                    f"{labels.classes}."
                )
        return self._indicators(y, labels, plain)

    def _check_classes(self, y: NDArray[Any], classes: NDArray[Any], strict: bool) -> None:
        """Raise ValueError unless y has the classes of the fitted model, or some if not strict."""
        present = unique_labels(y)
        if strict:
            if set(present) != set(classes):
                raise ValueError(
                    "warm_start can only be used where `y` has the same "
                    "classes as in the previous call to fit. Previously "
                    f"got {classes}, `y` has {present}"
                )
        elif len(np.setdiff1d(present, classes, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {classes}. 'y' has {present}."
            )

    def _objective(self, n_outputs: int, labels: Labels) -> Objective:
        """The objective: log loss for the kind of labels, or the loss given as a parameter."""
        if labels.soft and self.loss != "log_loss":
            raise ValueError(f"y is soft labels, which need loss='log_loss', got {self.loss!r}.")
        smoothing = float(self.label_smoothing)
        if smoothing > 0 and self.loss != "log_loss":
            raise ValueError(
                f"label_smoothing must be 0 unless loss='log_loss', got {self.label_smoothing!r} "
                f"and loss={self.loss!r}."
            )
        if labels.targets:
            if self.loss != "log_loss":
                raise ValueError(
                    f"y has several targets, which need loss='log_loss', got {self.loss!r}."
                )
            return Objective(targets.LOSS, targets.LINK, labels.widths, smoothing=smoothing)
        if callable(self.loss):
            loss: str | Expression = trace_loss(self.loss)
        elif labels.soft:
            loss = "soft_log_loss"
        elif self.loss == "log_loss" and not labels.is_multinomial:
            loss = "binary_log_loss"
        else:
            loss = self.loss
        link = "softmax" if labels.is_multinomial else "logistic"
        return Objective(loss, link, smoothing=smoothing)

    def _lower_targets(
        self, y: NDArray[Any], labels: Labels, dtype: DTypeLike
    ) -> NDArray[np.floating]:
        """The index of the class, or the indicators or soft labels, as floats."""
        if labels.targets:
            return inputs.as_targets(np.column_stack(targets.class_numbers(y, labels)), dtype)
        is_index = labels.is_multinomial and not labels.soft
        return inputs.as_targets(y.argmax(axis=1) if is_index else y, dtype)

    def _score_of(
        self,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        predict: Callable[[], NDArray[Any]],
    ) -> float:
        """The score of the result of predict(), after the checks of y."""
        inputs.refuse_sparse(sample_weight, "sample_weight")
        binarizer = self.__dict__.get("_label_binarizer")
        if isinstance(binarizer, TargetBinarizers):
            return targets.score_of_targets(binarizer, y, sample_weight, predict)
        y = most_probable(inputs.sound_targets(y), binarizer)
        return Accuracy(y, sample_weight)(predict())

    def _metric(self, labels: Labels, y_true: Any, sample_weight: Any) -> Callable[[Any], float]:
        """Accuracy."""
        if labels.targets:
            return targets.AllRight(y_true, sample_weight)
        return Accuracy(y_true, sample_weight)

    @staticmethod
    def _decode(labels: Labels, probability: NDArray[Any]) -> NDArray[Any]:
        """Labels of probabilities or indicators, one column for each output."""
        if labels.targets:
            return targets.decode_targets(labels, probability, MLPClassifier._decode)
        binarizer = labels.binarizer
        if binarizer is None:  # weights were set by hand
            raise AttributeError("the estimator has no attribute '_label_binarizer'")
        classes = np.asarray(binarizer.classes_)  # scikit-learn's predict asks it alone
        choose = choice_of(binarizer)
        if choose is not None:  # the result of inverse_transform, without its checks
            return classes.take(choose(probability))
        if probability.shape[1] == 1:
            probability = probability.ravel()
        return binarizer.inverse_transform(probability)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags


def _labels_of_classes(classes: NDArray[Any]) -> Labels:
    """The labels of a target with these classes."""
    from sklearn.preprocessing import LabelBinarizer

    binarizer = LabelBinarizer().fit(classes)
    return Labels(binarizer.classes_, binarizer)


def _names_of_outputs(classes: ArrayLike | None, n_outputs: int) -> NDArray[Any]:
    """The given classes of a number of outputs, or 0, 1, 2, ..."""
    n_classes = 2 if n_outputs == 1 else n_outputs
    names = np.arange(n_classes) if classes is None else np.asarray(classes)
    if n_outputs == 2:
        raise ValueError(
            "two classes have one output, that of the second: of two columns of "
            "weights take the second minus the first"
        )
    if names.shape != (n_classes,) or (names[1:] <= names[:-1]).any():
        raise ValueError(f"classes must be {n_classes} labels in rising order, got {classes!r}")
    return names
