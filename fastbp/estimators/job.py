"""Makes a job of parameters and data: all checks, conversions and draws before training."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_random_state

from fastbp.estimators import inputs, memory
from fastbp.estimators.continued import check_attributes, last_optimizer
from fastbp.estimators.inputs import CheckedMatrix, Features, Matrix
from fastbp.estimators.labels import Labels, fitted_labels
from fastbp.estimators.messages import warn
from fastbp.estimators.model import Model, model_of, refuse_overlaps
from fastbp.estimators.overrides import refuse_overrides
from fastbp.estimators.precision import precision_of
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.stochastic import dropout_rates, refuse_for_lbfgs
from fastbp.kernels import CSR, Origin, Rows, core
from fastbp.network import Network, hidden_activations
from fastbp.training import (
    LBFGS,
    MOST_SEED,
    Course,
    Job,
    Objective,
    Optimizer,
    Rule,
    Samples,
    Schedule,
    ValidationSet,
    Watch,
    watches,
)

FIT, PARTIAL_FIT, INSPECT = "fit", "partial_fit", "inspect"  # purposes of a job
BATCH_CLIPPED = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"


class Data(NamedTuple):
    """Samples, targets and weights as users give them."""

    X: Matrix | None
    y: ArrayLike | None
    sample_weight: ArrayLike | None = None


NO_DATA = Data(None, None)


class HeldOut(NamedTuple):
    """Validation data after all checks."""

    x: Rows
    y: NDArray[Any]  # a column for each output
    weight: NDArray[np.float64] | None


@dataclass(frozen=True)
class Request:
    """An estimator that asks for a job, and its purpose.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A draft, on which scikit-learn's checks set attributes.
    purpose : {'fit', 'partial_fit', 'inspect'}
    labels : Labels, default=None
        Those of the first call of `partial_fit`.
    dtype : dtype, default=None
        Dtype of samples and network; None: that of the fitted network, or of X.
    """

    estimator: CheckedEstimator
    purpose: str = FIT
    labels: Labels | None = None
    dtype: DTypeLike | None = None

    @property
    def inspects(self) -> bool:
        """Whether nothing is trained."""
        return self.purpose == INSPECT

    @property
    def takes_over(self) -> bool:
        """Whether the job continues from a fitted estimator."""
        return self.purpose != FIT or self.estimator.warm_start


@dataclass(kw_only=True)
class EstimatorJob(Job):
    """A job with the attributes that the estimator learns besides the weights.

    Parameters
    ----------
    features : Features
    labels : Labels
    validation_set : ValidationSet or None
    source : Model or None
        The model that the job continues; None if it begins with a new network.
    watches : list of Watch
        What looks at each epoch.
    """

    features: Features
    labels: Labels
    validation_set: ValidationSet | None
    source: Model | None
    watches: list[Watch] = field(default_factory=list)

    @property
    def continues(self) -> bool:
        """Whether the job continues the last fit."""
        return self.source is not None

    @property
    def in_place(self) -> bool:
        """Whether the fit changes the arrays of the last one, as scikit-learn's does."""
        if self.source is None or self.early_stopping or isinstance(self.rule, LBFGS):
            return False
        return self.network.params.dtype == self.source.network.params.dtype


def make_job(request: Request, data: Data, validation: Data) -> EstimatorJob:
    """The job of an estimator on these data; see `BaseMLP._job`."""
    estimator = request.estimator
    _check_request(request)
    validates = inputs.is_validation_given(*validation)
    hidden = inputs.check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    source = _source(request)
    X, y, features = inputs.check_training_data(
        estimator, data.X, data.y, reset=source is None, y_numeric=estimator._y_is_numeric
    )
    y, labels = _targets(request, y)
    dtype = request.dtype
    if dtype is None and source is not None:
        dtype = source.network.params.dtype
    samples, objective, dtype = _problem(request, X, y, data.sample_weight, labels, dtype)
    held_out = None
    if validates:
        held_out = _given_validation(estimator, validation, y.shape[1], labels, samples.y.dtype)
    random_state = check_random_state(
        copy.deepcopy(estimator.random_state) if request.inspects else estimator.random_state
    )
    origin = None
    if source is not None:
        _check_shape(request, source.network, hidden, y.shape[1])
        _check_trainable(request, source, objective)
        origin = _origin(request, source, samples.y.dtype)
        is_copied = origin is None
        network = source.copy_network(samples.y.dtype) if is_copied else source.network.unset_copy()
    else:
        units = [X.shape[1], *hidden, y.shape[1]]
        n_validation = 0 if held_out is None else len(held_out.y)
        network = _new_network(request, units, samples, n_validation, random_state)
    job = EstimatorJob(
        samples=samples,
        objective=objective,
        course=Course(network, random_state, len(samples), origin=origin),
        features=features,
        labels=labels,
        validation_set=None,
        source=source,
        n_threads=estimator.n_threads,
        result_dtype=dtype,
    )
    if request.inspects:
        return replace(job, objective=replace(objective, scale=1.0))
    job = _for_training(request, job, y, held_out)
    job.watches = watches_of(estimator, job)
    return job


def _check_request(request: Request) -> None:
    """Raise an error for a class or for parameters that cannot be trained, whatever the data."""
    refuse_overrides(request.estimator)
    if request.purpose == PARTIAL_FIT and request.estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    if not request.inspects:
        refuse_for_lbfgs(request.estimator)


def _source(request: Request) -> Model | None:
    """The model that the job continues, or None if it begins with a new network."""
    estimator = request.estimator
    if not hasattr(estimator, "coefs_") or not request.takes_over:
        return None
    if not request.inspects:
        check_attributes(estimator)
    return model_of(estimator)


def _targets(request: Request, y: NDArray[Any]) -> tuple[NDArray[Any], Labels]:
    """Targets with a column for each output, and the labels of a classifier.

    If the request has no labels, they are those of the fitted estimator: in a warm start, in later
    calls of `partial_fit` and for inspection.
    """
    estimator, labels = request.estimator, request.labels
    if labels is None and hasattr(estimator, "classes_") and request.takes_over:
        labels = fitted_labels(estimator.classes_, estimator._label_binarizer)
    strict = estimator.warm_start and not request.inspects
    y, labels = estimator._read_targets(y, labels, strict)
    return (y.reshape(-1, 1) if y.ndim == 1 else y), labels


def _problem(
    request: Request,
    X: CheckedMatrix,
    y: NDArray[Any],
    sample_weight: ArrayLike | None,
    labels: Labels,
    dtype: DTypeLike | None,
) -> tuple[Samples, Objective, DTypeLike]:
    """Samples, objective and the dtype of the trained network. `dtype` None: that of X."""
    estimator = request.estimator
    objective = estimator._objective(y.shape[1], labels)
    dtype = X.dtype if dtype is None else dtype
    weights, alpha = inputs.near_one(inputs.check_weights(sample_weight, X), estimator.alpha)
    targets, kept = estimator._lower_targets(y, labels, dtype), dtype
    if not request.inspects:
        incremental = request.purpose == PARTIAL_FIT
        training, kept = precision_of(
            estimator, objective, X, y, weights, dtype, incremental=incremental
        )
        if training != dtype:
            targets = estimator._lower_targets(y, labels, training)
    samples = Samples(inputs.as_rows(X, targets.dtype), targets, weights)
    return samples, replace(objective, alpha=alpha), kept


def _given_validation(
    draft: CheckedEstimator, validation: Data, n_outputs: int, labels: Labels, dtype: DTypeLike
) -> HeldOut:
    """The given validation data, checked and converted like the training data."""
    X, y, sample_weight = inputs.check_validation_data(
        draft, *validation, y_numeric=draft._y_is_numeric
    )
    with inputs.about("X_val"):
        x = inputs.as_rows(X, dtype)
    with inputs.about("y_val"):
        y = draft._read_validation_targets(y, labels, n_outputs)
    return HeldOut(x, y, inputs.near_one(sample_weight, 0.0)[0])


def _check_shape(request: Request, network: Network, hidden: list[int], n_outputs: int) -> None:
    """Raise ValueError if the fitted network does not have the shape of the parameters and y.

    'sgd' and 'adam' ignore other widths if the depth is the same, as in scikit-learn.
    """
    fitted, is_lbfgs = network.units[1:-1], request.estimator.solver == "lbfgs"
    if not request.inspects and (
        len(hidden) != len(fitted) or (is_lbfgs and tuple(hidden) != fitted)
    ):
        raise ValueError(
            f"hidden_layer_sizes is {hidden}, but the fitted model has {list(fitted)}."
        )
    if n_outputs != network.units[-1]:
        raise ValueError(
            f"y has {n_outputs} columns, but the fitted model has {network.units[-1]} outputs."
        )


def _check_trainable(request: Request, source: Model, objective: Objective) -> None:
    """Raise ValueError for a link that is not the loss's, and for layers that share memory."""
    if request.inspects:
        return
    if request.estimator.solver != "lbfgs":  # which makes new arrays
        refuse_overlaps(source)
    link = request.estimator.out_activation_
    if link != objective.link:
        raise ValueError(
            f"out_activation_ is {link!r}, but training with this loss needs {objective.link!r}: "
            "predictions can use another link, training cannot. Set out_activation_ to "
            f"{objective.link!r} to train on."
        )


def _origin(request: Request, source: Model, dtype: DTypeLike) -> Origin | None:
    """What the first step of `partial_fit` can read without a copy, if it is all in one place."""
    if request.purpose != PARTIAL_FIT:
        return None
    last = last_optimizer(request.estimator, source.network.units)
    if last is None or not source.owns or not last.state.flags.c_contiguous:
        return None
    if last.rule.averages:  # the parameters are exchanged first: see Course.exchange
        return None
    params, state = source.network.params, last.state
    if not params.dtype == state.dtype == dtype:
        return None
    return Origin(params, state, last.tally[2])


def _new_network(
    request: Request,
    units: list[int],
    samples: Samples,
    n_validation: int,
    random_state: np.random.RandomState,
) -> Network:
    """A network with initial weights. MemoryError if there is too little memory to train it."""
    estimator = request.estimator
    activations = hidden_activations(estimator.activation, len(units) - 2)
    dtype = samples.y.dtype
    what = f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}"
    if request.inspects:
        memory.check_gradient(units, dtype, what)
    else:
        memory.check_training(estimator, units, activations, samples, n_validation, what)
    network = Network(units, estimator.activation, dtype, activations)
    network.initialize(random_state, estimator.init)
    return network


def _for_training(
    request: Request, job: EstimatorJob, y: NDArray[Any], held_out: HeldOut | None
) -> EstimatorJob:
    """The job with a rule, a course to continue, a validation set and limits."""
    estimator, rows = request.estimator, None
    is_lbfgs = estimator.solver == "lbfgs"
    if is_lbfgs:  # its loss is not scaled, see Gradient
        job.objective = replace(job.objective, scale=1.0)
    job.early_stopping = estimator.early_stopping and not is_lbfgs
    job.incremental = request.purpose == PARTIAL_FIT
    start = None  # from a seed the state can be drawn again, which is cheaper than to keep it
    if not (is_lbfgs or job.incremental or isinstance(estimator.random_state, Integral)):
        start = job.course.random_state.get_state(legacy=False)
    if job.early_stopping and held_out is None:
        rows, held_out = _hold_out(estimator, job, y)
    if held_out is not None:
        job.validation_set = _validation_set(estimator, job, held_out)
    job.max_iter = 1 if job.incremental else estimator.max_iter
    job.course = last_course(estimator, job, rows)
    if is_lbfgs:
        job.rule = LBFGS(estimator.tol, estimator.max_fun)
        return job
    job.shuffle = estimator.shuffle
    job.batch_size = _batch_size(estimator, job.course.n_samples)
    job.course.start = start
    is_sparse = isinstance(job.samples.x, CSR)
    job.dropout = dropout_rates(estimator, len(job.network.units) - 2, is_sparse=is_sparse)
    optimizer = job.course.optimizer = _optimizer(estimator, job)
    job.rule = optimizer.rule
    if job.dropout and optimizer.seed is None:
        optimizer.seed = int(job.course.random_state.randint(MOST_SEED + 1, dtype=np.int64))
    return job


def _hold_out(
    estimator: CheckedEstimator, job: EstimatorJob, y: NDArray[Any]
) -> tuple[NDArray[np.intp], HeldOut]:
    """Indices of the training rows, and the samples that early stopping holds out."""
    stratify = y if y.shape[1] == 1 and not estimator._y_is_numeric else None
    rows, others = inputs.hold_out(
        len(y), estimator.validation_fraction, job.course.random_state, stratify
    )
    held_out = job.samples.take(others)
    return rows, HeldOut(held_out.x, y[others], held_out.weight)


def _batch_size(estimator: CheckedEstimator, n_samples: int) -> int:
    """The number of samples in a mini-batch."""
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn(BATCH_CLIPPED)
    return int(min(estimator.batch_size, n_samples))


def _optimizer(estimator: CheckedEstimator, job: EstimatorJob) -> Optimizer:
    """The optimizer of the last call of `partial_fit`, or a new one."""
    network = job.network
    last = None
    if job.incremental:  # it is checked where a job continues: see _origin
        last = getattr(estimator, "_optimizer", None)
        if not job.continues:
            last = last_optimizer(estimator, network.units)
    if last is not None:
        if job.course.origin is not None:
            return last.unset_copy()
        return last.copy(network.params.dtype)
    values = {name: getattr(estimator, name) for name in core.RULE_CONSTANTS[estimator.solver]}
    constants = {name: 0.0 if value is None else value for name, value in values.items()}
    # Adam ignores the schedule, as in scikit-learn.
    name = "constant" if estimator.solver == "adam" else estimator.learning_rate
    schedule = Schedule(name, float(estimator.learning_rate_init), estimator.power_t)
    return Optimizer.start(
        Rule(estimator.solver, constants), schedule, network.units, network.params.dtype
    )


def last_course(
    estimator: CheckedEstimator, job: EstimatorJob, rows: NDArray[np.intp] | None
) -> Course:
    """A new course, with the values of the last one that scikit-learn keeps as well.

    A warm start and `partial_fit` continue the counters and the best values. The order of the
    samples and the random state are new in each call; in a warm start the moments are new too.
    """
    learned = vars(estimator) if job.continues else {}
    best_loss, best_score = learned.get("best_loss_"), learned.get("best_validation_score_")
    return Course(
        job.network,
        job.course.random_state,
        n_samples=len(job.samples) if rows is None else len(rows),
        order=rows,
        samples_seen=learned.get("t_", 0),
        loss=vars(estimator).get("loss_", np.inf),
        best_loss=np.inf if best_loss is None else best_loss,
        best_score=-np.inf if best_score is None else best_score,
        no_improvement_count=learned.get("_no_improvement_count", 0),
        continues=bool(learned.get("loss_curve_")),
        origin=job.course.origin,
    )


def _validation_set(
    estimator: CheckedEstimator, job: EstimatorJob, held_out: HeldOut
) -> ValidationSet:
    """The validation set with the metric of the estimator."""
    labels = job.labels
    decode = partial(estimator._decode, labels)
    score = partial(_score, estimator._metric(decode(held_out.y), held_out.weight), decode)
    with inputs.about("y_val"):  # float32 may not hold it
        targets = estimator._lower_targets(held_out.y, labels, job.samples.y.dtype)
    samples = Samples(held_out.x, targets, held_out.weight)
    return ValidationSet(job.network, job.objective, samples, score)


def _score(
    metric: Callable[[Any], float],
    decode: Callable[[NDArray[Any]], NDArray[Any]],
    out: NDArray[np.floating],
) -> float:
    """The metric of predictions with a column for each output; NaN if one is not finite."""
    prediction = decode(out)
    if prediction.dtype.kind != "f":
        return metric(prediction)
    if not np.isfinite(prediction).all():
        return np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
        return metric(prediction)


def watches_of(estimator: CheckedEstimator, job: EstimatorJob) -> list[Watch]:
    """The watches that the parameters ask for."""
    chosen: list[Watch] = []
    steps = not isinstance(job.rule, LBFGS)
    verbose = bool(estimator.verbose)
    if verbose and steps:
        chosen.append(watches.PrintLoss())
    if job.validation_set is not None:
        chosen.append(watches.Validation(job.validation_set))
        if verbose:
            chosen.append(watches.PrintScore())
    if steps:
        patience = watches.PatienceWithScore if job.early_stopping else watches.Patience
        chosen.append(patience(estimator.tol, estimator.n_iter_no_change, verbose))
    if job.early_stopping:
        chosen.append(watches.BestWeights())
    return chosen
