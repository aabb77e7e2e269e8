"""DaskMLPClassifier."""

from typing import Any, ClassVar, Self

from sklearn.base import ClassifierMixin

from fastbp.dask.base import OWN, DaskMLP
from fastbp.dask.scores import accuracy_of_parts
from fastbp.estimators import MLPClassifier
from fastbp.estimators.held_out import Data
from fastbp.estimators.scikit_learn import fit_context


class DaskMLPClassifier(ClassifierMixin, DaskMLP):
    """A multilayer perceptron as a classifier that is trained on a cluster of Dask.

    `lbfgs` gives the model of `MLPClassifier` on the same rows in memory, bit for bit, for any
    partitions and any number of workers. `sgd` and `adam` make local steps: chunks of 1024 rows
    are dealt to shards in turn, each shard trains by itself, and parameters and moments are
    averaged `rounds_per_epoch` times in an epoch. Their bits depend on the rows, the parameters
    and the seed, never on partitions or workers. A worker that is lost costs one round.

    Parameters
    ----------
    hidden_layer_sizes, activation, ... : as of `fastbp.MLPClassifier`
        All parameters of the local estimator, with the same meaning. `batch_size` is that of a
        shard, `n_threads` that of a task: None is one thread. `early_stopping` needs X_val.
    client : distributed.Client, default=None
        None: the current client when `fit` is called. It is neither pickled nor copied.
    patience : float, default=60
        Seconds without any worker after which `fit` raises TimeoutError.
    n_shards : int, default=8
        Number of shards of 'sgd' and 'adam'. It changes the model. More than the workers is fine;
        fewer leave workers idle.
    rounds_per_epoch : int, default=10
        Number of averages in an epoch of 'sgd' and 'adam'.
    scale_rate : bool, default=True
        Whether the learning rate of a step is multiplied by the number of shards, but by 8 at most:
        the mean of several short ways is shorter than one long way.

    Attributes
    ----------
    coefs_, intercepts_, loss_, loss_curve_, ... : as of `fastbp.MLPClassifier`
        All fitted attributes of the local estimator.

    See Also
    --------
    fastbp.MLPClassifier : The local estimator.

    Examples
    --------
    >>> from dask.distributed import Client  # doctest: +SKIP
    >>> from fastbp.dask import DaskMLPClassifier  # doctest: +SKIP
    >>> client = Client()  # doctest: +SKIP
    >>> model = DaskMLPClassifier(solver="lbfgs").fit(X, y)  # doctest: +SKIP
    >>> model.predict(X).compute()  # doctest: +SKIP
    """

    _local_kind = MLPClassifier
    _parameter_constraints: ClassVar[dict] = {**MLPClassifier._parameter_constraints, **OWN}

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
        client=None,
        patience=60,
        n_shards=8,
        rounds_per_epoch=10,
        scale_rate=True,
    ):
        self._store(locals())

    @fit_context
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to X and y, which stay on the workers.

        Parameters
        ----------
        X : dask Array, dask DataFrame, or list of delayed
            Samples, of shape (n_samples, n_features). Partitions may have any lengths, which need
            not be known; all have the same dtype, columns and form (dense or sparse).
        y : dask Array, Series, DataFrame, or list of delayed
            Class labels, or several columns of them, as of the local estimator.
        sample_weight : dask Array, Series, or list of delayed, default=None
            Weights of the samples, not negative; None: equal weights.
        X_val : collection of Dask, or array-like, default=None
            Validation samples. Of a collection the score is computed where it is, if it is a sum:
            the loss or the accuracy. Any score takes samples in memory.
        y_val, sample_weight_val : of the kind of X_val, default=None
            Targets and weights of the validation samples.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data or a parameter is not valid; the number of the partition stands in the
            error. Or if training diverged.
        TypeError
            If X, y or weights are not distributed.
        TimeoutError
            If there was no worker for `patience` seconds.
        RuntimeError
            If a task has lost its worker again and again, or if data are lost that cannot be
            computed again.

        Notes
        -----
        After an error the estimator is as before. After Ctrl-C it has the last model, as the local
        one.
        """
        return self._fit(Data(X, y, sample_weight), Data(X_val, y_val, sample_weight_val))

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class, partition by partition.

        Parameters
        ----------
        X : dask Array, dask DataFrame, list of delayed, or array-like
            Samples.

        Returns
        -------
        probability : of the kind of X
            A lazy collection with a column for each class, in the order of `classes_`; a list of
            them for several targets.
        """
        return self._lazily("predict_proba", X)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithm of the probability of each class, partition by partition.

        Parameters
        ----------
        X : dask Array, dask DataFrame, list of delayed, or array-like
            Samples.

        Returns
        -------
        log_probability : of the kind of X
            A lazy collection as that of `predict_proba`.
        """
        return self._lazily("predict_log_proba", X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, computed where the samples are.

        Parameters
        ----------
        X : dask Array, dask DataFrame, list of delayed, or array-like
            Samples.
        y : of the kind of X
            Labels.
        sample_weight : of the kind of X, default=None
            Weights of the samples.

        Returns
        -------
        score : float
            The score of `to_local()` on the same samples.
        """
        return self._score(accuracy_of_parts, Data(X, y, sample_weight))
