"""From parameters and data to a job: all checks, conversions and draws before training."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_random_state

from fastbp.estimators import inputs, memory
from fastbp.estimators.inputs import Features, Matrix
from fastbp.estimators.messages import warn
from fastbp.estimators.model import Labels, current_model
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.kernels import core
from fastbp.network import Network, hidden_activations
from fastbp.training import (
    LBFGS,
    BestWeights,
    Course,
    Job,
    Optimizer,
    Patience,
    PatienceWithScore,
    PrintLoss,
    PrintScore,
    Rule,
    Samples,
    Schedule,
    Validation,
    ValidationSet,
    Watch,
)

GivenValidation: TypeAlias = tuple[Matrix | None, ArrayLike | None, ArrayLike | None]
FIT, PARTIAL_FIT, INSPECT = "fit", "partial_fit", "inspect"  # purposes of a job
BATCH_CLIPPED = "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"


@dataclass(kw_only=True)
class EstimatorJob(Job):
    """A job, and what the estimator learns besides the weights.

    Parameters
    ----------
    features : Features
    labels : Labels
    validation_set : ValidationSet or None
    continues : bool
        Whether the job continues the last fit.
    """

    features: Features
    labels: Labels
    validation_set: ValidationSet | None
    continues: bool


def make_job(estimator, X, y, sample_weight, validation, labels, purpose, dtype):
    """The job of an estimator on these data; see `BaseMLP._job`."""
    validates = inputs.is_validation_given(*validation)
    hidden = inputs.check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    if purpose == PARTIAL_FIT and estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    continues = hasattr(estimator, "coefs_") and (purpose != FIT or estimator.warm_start)
    network = None
    if continues:
        network = current_model(estimator).network
        network = network.copy() if dtype is None else network.astype(dtype)
        dtype = network.params.dtype
    draft = inputs.draft_of(estimator)
    X, y, features = inputs.check_training_data(
        draft, X, y, reset=not continues, y_numeric=not is_classifier(estimator)
    )
    y, labels = _targets(estimator, y, labels, purpose)
    samples, objective = _problem(estimator, X, y, sample_weight, labels, dtype)
    held_out = None
    if validates:
        held_out = _given_validation(estimator, draft, validation, y.shape[1], labels, samples)
    random_state = check_random_state(
        copy.deepcopy(estimator.random_state) if purpose == INSPECT else estimator.random_state
    )
    if continues:
        _check_shape(estimator, network, hidden, y.shape[1], purpose)
    else:
        units = [X.shape[1], *hidden, y.shape[1]]
        n_validation = len(held_out[1]) if validates else 0
        network = _new_network(estimator, units, samples, n_validation, random_state, purpose)
    job = EstimatorJob(
        samples=samples,
        objective=objective,
        course=Course(network, random_state, len(samples)),
        features=features,
        labels=labels,
        validation_set=None,
        continues=continues,
        n_threads=estimator.n_threads,
    )
    if purpose == INSPECT:
        return replace(job, objective=replace(objective, scale=1.0))
    return _for_training(estimator, job, X, y, held_out, purpose)


def _targets(estimator, y, labels, purpose):
    """Targets with a column for each output, and the labels of a classifier.

    `labels` are those that the first call of `partial_fit` was given. Afterwards, and in a warm
    start, they are those of the fitted estimator.
    """
    if labels is None and hasattr(estimator, "classes_"):
        if purpose != FIT or estimator.warm_start:
            labels = Labels(estimator.classes_, estimator._label_binarizer)
    y, labels = estimator._read_targets(y, labels, estimator.warm_start and purpose != INSPECT)
    return (y.reshape(-1, 1) if y.ndim == 1 else y), labels


def _problem(estimator, X, y, sample_weight, labels, dtype):
    """What is minimized, on what: samples, in `dtype` or else that of X, and objective."""
    objective = estimator._objective(y.shape[1], labels)
    dtype = X.dtype if dtype is None else dtype
    sample_weight = inputs.check_weights(sample_weight, X)
    sample_weight, alpha = inputs.near_one(sample_weight, estimator.alpha)
    targets = estimator._lower_targets(y, labels, dtype)
    samples = Samples(inputs.as_rows(X, dtype), targets, sample_weight)
    return samples, replace(objective, alpha=alpha)


def _given_validation(estimator, draft, validation, n_outputs, labels, samples):
    """The given validation data, converted like the training data: rows, targets and weights."""
    X, y, sample_weight = inputs.check_validation_data(
        draft, *validation, y_numeric=not is_classifier(estimator)
    )
    with inputs.about("X_val"):
        x = inputs.as_rows(X, samples.y.dtype)
    with inputs.about("y_val"):
        y = estimator._read_validation_targets(y, labels, n_outputs)
    return x, y, inputs.near_one(sample_weight, 0.0)[0]


def _check_shape(estimator, network, hidden, n_outputs, purpose):
    """Raise ValueError where the fitted network does not have the shape that is asked for.

    Other widths at the same depth are ignored by 'sgd' and 'adam', as in scikit-learn.
    """
    fitted = network.units[1:-1]
    if purpose != INSPECT and (
        len(hidden) != len(fitted) or (estimator.solver == "lbfgs" and tuple(hidden) != fitted)
    ):
        raise ValueError(
            f"hidden_layer_sizes is {hidden}, but the fitted model has {list(fitted)}."
        )
    if n_outputs != network.units[-1]:
        raise ValueError(
            f"y has {n_outputs} columns, but the fitted model has {network.units[-1]} outputs."
        )


def _new_network(estimator, units, samples, n_validation, random_state, purpose):
    """A network with initial weights, if there is enough memory to train it."""
    activations = hidden_activations(estimator.activation, len(units) - 2)
    dtype = samples.y.dtype
    what = f"hidden_layer_sizes={estimator.hidden_layer_sizes!r}"
    if purpose == INSPECT:
        memory.check_gradient(units, dtype, what)
    else:
        memory.check_training(estimator, units, activations, samples, n_validation, what)
    network = Network(units, estimator.activation, dtype, activations)
    network.initialize(random_state, estimator.init)
    return network


def _for_training(estimator, job, X, y, held_out, purpose):
    """The job with a rule, a course to continue, a validation set and limits."""
    is_lbfgs = estimator.solver == "lbfgs"
    rows, network, dtype = None, job.network, job.samples.y.dtype
    if is_lbfgs:  # its loss is not scaled, see Gradient
        job.objective = replace(job.objective, scale=1.0)
    job.early_stopping = estimator.early_stopping and not is_lbfgs
    job.incremental = purpose == PARTIAL_FIT
    resumable = not (is_lbfgs or job.incremental)
    start = job.course.random_state.get_state(legacy=False) if resumable else None
    if job.early_stopping and held_out is None:
        stratify = y if is_classifier(estimator) and y.shape[1] == 1 else None
        rows, others = inputs.hold_out(
            len(y), estimator.validation_fraction, job.course.random_state, stratify
        )
        weight = job.samples.weight
        weight = None if weight is None else weight[others]
        held_out = inputs.as_rows(X[others], dtype), y[others], weight
    if held_out is not None:
        job.validation_set = _validation_set(estimator, job, *held_out)
    job.max_iter = 1 if job.incremental else estimator.max_iter
    if is_lbfgs:
        job.rule = LBFGS(estimator.tol, estimator.max_fun)
        job.course = last_course(estimator, job, network, rows)
        return job
    job.shuffle = estimator.shuffle
    job.batch_size = _batch_size(estimator, len(y) if rows is None else len(rows))
    job.course = last_course(estimator, job, network, rows)
    job.course.start = start
    job.course.optimizer = _optimizer(estimator, network, job.incremental)
    job.rule = job.course.optimizer.rule
    return job


def _batch_size(estimator, n_samples):
    """Samples of a mini-batch."""
    if estimator.batch_size == "auto":
        return min(200, n_samples)
    if estimator.batch_size > n_samples:
        warn(BATCH_CLIPPED)
    return int(min(estimator.batch_size, n_samples))


def _optimizer(estimator, network, incremental):
    """That of the last call of `partial_fit`, or one before its first step."""
    last = getattr(estimator, "_optimizer", None) if incremental else None
    if last is not None:
        return last.copy(network.params.dtype)
    constants = {name: getattr(estimator, name) for name in core.RULE_CONSTANTS[estimator.solver]}
    # scikit-learn's Adam knows no schedule.
    name = estimator.learning_rate if estimator.solver == "sgd" else "constant"
    schedule = Schedule(name, float(estimator.learning_rate_init), estimator.power_t)
    return Optimizer.start(
        Rule(estimator.solver, constants), schedule, network.params.size, network.params.dtype
    )


def last_course(
    estimator: CheckedEstimator, job: EstimatorJob, network: Network, rows: NDArray[np.intp] | None
) -> Course:
    """A course at its start, which takes over from the last one what scikit-learn takes over.

    A warm start and `partial_fit` continue the counters and the best values; the order of the
    samples and the random state begin anew in each call, and in a warm start the moments too.
    """
    learned = vars(estimator) if job.continues else {}
    best_loss, best_score = learned.get("best_loss_"), learned.get("best_validation_score_")
    return Course(
        network,
        job.course.random_state,
        n_samples=len(job.samples) if rows is None else len(rows),
        order=rows,
        samples_seen=learned.get("t_", 0),
        loss=vars(estimator).get("loss_", np.inf),
        best_loss=np.inf if best_loss is None else best_loss,
        best_score=-np.inf if best_score is None else best_score,
        no_improvement_count=learned.get("_no_improvement_count", 0),
        continues=bool(learned.get("loss_curve_")),
    )


def _validation_set(estimator, job, x, y, sample_weight):
    """The validation set with the metric of the estimator."""
    labels = job.labels
    decode = partial(estimator._decode, labels)
    score = partial(_score, estimator._metric(), decode, decode(y), sample_weight)
    with inputs.about("y_val"):  # float32 may not hold it
        targets = estimator._lower_targets(y, labels, job.samples.y.dtype)
    return ValidationSet(job.network, job.objective, Samples(x, targets, sample_weight), score)


def _score(metric, decode, truth, sample_weight, out):
    """The metric of predictions with a column for each output; NaN where one is not finite."""
    prediction = decode(out)
    if prediction.dtype.kind == "f" and not np.isfinite(prediction).all():
        return np.nan
    with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
        return float(metric(truth, prediction, sample_weight=sample_weight))


def watches_of(estimator: CheckedEstimator, job: EstimatorJob) -> list[Watch]:
    """What looks at each epoch, as the parameters say."""
    watches: list[Watch] = []
    steps = not isinstance(job.rule, LBFGS)
    verbose = bool(estimator.verbose)
    if verbose and steps:
        watches.append(PrintLoss())
    if job.validation_set is not None:
        watches.append(Validation(job.validation_set))
        if verbose:
            watches.append(PrintScore())
    if steps:
        patience = PatienceWithScore if job.early_stopping else Patience
        watches.append(patience(estimator.tol, estimator.n_iter_no_change, verbose))
    if job.early_stopping:
        watches.append(BestWeights())
    return watches
