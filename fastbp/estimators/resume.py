"""Exact resume: what a fit leaves for it, and the course that goes on from there."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.inputs import check_hidden_layer_sizes
from fastbp.estimators.request import EstimatorJob
from fastbp.estimators.scikit_learn import CheckedEstimator, parameter_names
from fastbp.kernels import CSR
from fastbp.training import (
    Course,
    Epoch,
    Factor,
    Optimizer,
    Samples,
    checksum_of,
    factor_of,
    replay_epochs,
    replay_order,
)
from fastbp.training.state_checks import (
    NUMBER,
    SIZE,
    Check,
    check_fields,
    floats,
    instance_of,
    or_none,
    whole_number,
)

# Parameters that may differ from those of the fit.
FREE = {
    "max_iter",
    "max_seconds",
    "verbose",
    "n_threads",
    "tol",
    "n_iter_no_change",
    "warm_start",
    "max_fun",
}
PLAIN = {str, bool, int, float, type(None)}
CHECKED_BYTES = 2**20  # of each array
NO_FIT = (
    "resume goes on with a fit of solver='sgd' or 'adam', but the last call was none: weights that "
    "were given, partial_fit and 'lbfgs' leave nothing to resume."
)
STATE: dict[str, Check] = {
    "random_state": or_none(instance_of(dict, "a dict")),
    "generator": or_none(whole_number(0)),
    "n_epochs": whole_number(0),
    "samples_seen": whole_number(0),
    "best_epoch": whole_number(-1),
    "continues": instance_of(bool, "a bool"),
    "tallied": whole_number(-1),
    "first_step": NUMBER,
    "rate": SIZE,
    "raw_params": or_none((lambda value: floats(value, None), "an array of floats")),
    "best_loss": NUMBER,
    "best_score": NUMBER,
    "no_improvement_count": whole_number(0),
    "epochs": whole_number(0),
    "parameters": instance_of(dict, "a dict"),
    "data": instance_of(dict, "a dict"),
}


def facts_of_fit(estimator: CheckedEstimator, job: EstimatorJob) -> dict[str, Any]:
    """What has to be the same when the fit goes on: parameters, and checksums of the data."""
    kind: Any = type(estimator)
    parameters = {}
    for name in parameter_names(kind):
        value = getattr(estimator, name, None)
        if name not in FREE:  # most are plain: this is done in each fit
            parameters[name] = value if type(value) in PLAIN else _plain(value)
    parameters["activation"] = list(job.network.activations)
    parameters["hidden_layer_sizes"] = check_hidden_layer_sizes(estimator.hidden_layer_sizes)
    factor = factor_of(estimator.learning_rate)
    if factor is not None:
        parameters["learning_rate"] = _plain(factor)
    parameters["loss"] = job.objective.loss
    data = checksums(job.in_memory, "") if job.engine is None else dict(job.engine.facts() or {})
    if data.get("sample_weight") is not None:  # both are divided by a power of two
        data["sample_weight"] = [data["sample_weight"], job.objective.alpha]
    if job.validation_set is not None and not _is_held_out(job):
        data |= checksums(job.validation_set.samples, "_val")
    return {"parameters": parameters, "data": data}


def _is_held_out(job: EstimatorJob) -> bool:
    return job.course.n_samples < len(job.samples)


def _plain(value: Any) -> Any:
    """A parameter as plain data that can be compared; functions and generators as their type."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return sorted(([_plain(name), _plain(one)] for name, one in value.items()), key=repr)
    if isinstance(value, Factor):
        return repr(value)
    return value if type(value) in PLAIN else type(value).__name__


def checksums(samples: Samples, end: str) -> dict[str, Any]:
    """Sizes and checksums by the name of the argument."""
    x = samples.x
    parts = [x.data, x.indices, x.indptr] if isinstance(x, CSR) else [x]
    return {
        f"X{end}": [len(samples), *map(_checksum, parts)],
        f"y{end}": _checksum(samples.y),
        f"sample_weight{end}": None if samples.weight is None else _checksum(samples.weight),
    }


def _checksum(array: NDArray[Any]) -> int:
    """CRC-32 of a megabyte of rows, spread over the array."""
    step = max(1, array.nbytes // CHECKED_BYTES)
    return zlib.crc32(np.ascontiguousarray(array[::step]).view(np.uint8).data)


# ---- going on


def state_of_fit(estimator: CheckedEstimator) -> dict[str, Any]:
    """The state that the last fit has left; ValueError if there is none, or it is damaged."""
    state = vars(estimator).get("_resume")
    if state is None:
        raise ValueError(NO_FIT)
    check_fields("the fit (_resume)", state, STATE)
    n_epochs, curve = state["n_epochs"], vars(estimator).get("loss_curve_", ())
    if len(curve) < n_epochs:
        raise ValueError(
            f"loss_curve_ has {len(curve)} entries, but the fit had {n_epochs} epochs: it cannot "
            "be resumed."
        )
    if state["random_state"] is None:
        raise ValueError(
            "resume repeats the shuffles of the fit, but random_state is of a class of its own: it "
            "needs an int, None or numpy.random.RandomState."
        )
    if state["best_epoch"] >= n_epochs:
        raise ValueError("'best_epoch' of the fit (_resume) is none of its epochs.")
    if vars(estimator).get("stop_reason_") == "diverged":
        raise ValueError("the fit has diverged: there is nothing to resume.")
    return state


def check_same(state: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Raise ValueError if parameters or data are not those of the fit."""
    before, now = state["parameters"], facts["parameters"]
    for name in now:
        if name not in before or now[name] != before[name]:
            raise ValueError(
                f"{name} is {now[name]!r}, but was {before.get(name)!r} in the fit: resume needs "
                f"the parameters of the fit. Only {', '.join(sorted(FREE))} may change."
            )
    before, now = state["data"], facts["data"]
    if ("window" in before) != ("window" in now):
        forms = ["arrays in memory", "a source that is read in blocks"]
        raise ValueError(
            f"resume needs the data of the fit: it had {forms['window' in before]}, now there "
            f"are {forms['window' in now]}."
        )
    if before.keys() != now.keys():
        had = "X_val" in before
        raise ValueError(
            f"resume needs the data of the fit: it had {'' if had else 'no '}X_val, "
            f"{'but none is' if had else 'but one is'} given."
        )
    for name in now:
        had_rows = isinstance(before[name], list) and len(before[name]) > 0
        if name.startswith("X") and had_rows and now[name][0] != before[name][0]:
            raise ValueError(
                f"resume needs the data of the fit: {name} has {now[name][0]} rows, it had "
                f"{before[name][0]}."
            )
    for name in now:
        if name == "window" and now[name] != before[name]:
            raise ValueError("resume needs the data of the fit: the borders of source differ.")
        if now[name] != before[name]:
            raise ValueError(
                f"resume needs the data of the fit: {name} differs in its values or its dtype."
            )


def resumed_course(
    job: EstimatorJob, state: Mapping[str, Any], rows: NDArray[np.intp] | None
) -> Course:
    """The course of the fit before its epochs, which `go_on` repeats."""
    return Course(
        job.network,
        job.course.random_state,
        n_samples=len(job.samples) if rows is None else len(rows),
        order=rows,
        samples_seen=state["samples_seen"],
        best_loss=state["best_loss"],
        best_score=state["best_score"],
        no_improvement_count=state["no_improvement_count"],
        continues=state["continues"],
        start=state["random_state"],
    )


def go_on(estimator: CheckedEstimator, job: EstimatorJob, state: Mapping[str, Any]) -> None:
    """Bring the course of a job to the end of the last finished epoch, or to the cut of the next.

    Sets `job.is_over` if nothing is left to do.
    """
    course, optimizer, n_epochs = job.course, job.course.optimizer, state["n_epochs"]
    assert optimizer is not None
    optimizer.epochs = 0
    course.begin_run()
    rate, optimizer.rate = optimizer.rate, optimizer.schedule.initial_rate
    reason = replay_epochs(course, optimizer, _epochs(estimator, n_epochs), job.watches)
    # An interrupt may have come between an epoch and its rule. Else the rate is what it was, or
    # what was set by hand, also where other limits would have changed it.
    if vars(estimator).get("stop_reason_") != "interrupt" or rate != state["rate"]:
        optimizer.rate = rate
    course.tallied, course.first_step = state["tallied"], state["first_step"]
    course.loss = vars(estimator).get("loss_", np.inf)
    raw_params = state["raw_params"]
    if raw_params is not None and raw_params.size != job.network.params.size:
        raise ValueError("'raw_params' of the fit (_resume) does not fit the network")
    if job.early_stopping:
        course.raw_params = None if raw_params is None else raw_params.copy()
    elif raw_params is not None:
        job.network.params[...] = raw_params
    job.is_over = reason or ("max_iter" if n_epochs >= job.max_iter else "")
    if not job.is_over:
        _repeat_shuffles(job, course, state)


def _repeat_shuffles(job: EstimatorJob, course: Course, state: Mapping[str, Any]) -> None:
    """Bring order and generator to where they were; ValueError if others have drawn from it."""
    order = np.arange(course.n_samples) if course.order is None else course.order
    n_epochs = state["n_epochs"] if job.shuffle else 0
    order = replay_order(course.random_state, order, n_epochs)
    stands = [None, checksum_of(course.random_state)]
    if job.shuffle and course.is_cut:  # the interrupt may have come before the shuffle
        course.random_state.shuffle(order)
        stands.append(checksum_of(course.random_state))
    if state["generator"] not in stands:
        raise ValueError(
            "something else has drawn from random_state during the fit, so that its shuffles "
            "cannot be repeated: resume needs a seed, or a generator that only the fit uses."
        )
    if job.shuffle:
        course.order = order


def _epochs(estimator: CheckedEstimator, n_epochs: int) -> list[Epoch]:
    """The epochs of the fit, from the curves."""
    attributes = vars(estimator)

    def curve(name: str) -> list[Any]:
        values = attributes.get(name)
        if values is None:
            return [None] * n_epochs
        if len(values) < n_epochs:
            raise ValueError(f"{name} has {len(values)} entries, but the fit had {n_epochs}.")
        return list(values)[len(values) - n_epochs :]

    return [
        Epoch(loss, validation_loss, score, 0.0, None)
        for loss, validation_loss, score in zip(
            curve("loss_curve_"),
            curve("validation_loss_curve_"),
            curve("validation_scores_"),
            strict=True,
        )
    ]


def optimizer_to_go_on(last: Optimizer | None, job: EstimatorJob) -> Optimizer:
    """A copy of the optimizer of the fit."""
    if last is None:
        raise ValueError("_optimizer is missing: the fit cannot be resumed.")
    return last.copy(job.network.params.dtype)
