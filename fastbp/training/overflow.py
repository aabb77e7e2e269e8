"""Numbers that overflow in training: how they are noticed, and what is said about them."""

import math
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import CSR, core
from fastbp.training.gradient import chunk_size
from fastbp.training.job import Job
from fastbp.training.rule import Optimizer
from fastbp.training.samples import Samples

# What is looked at after training: predictions of some samples, besides those of the largest
# numbers, and after a call of `partial_fit`, which may be short, of fewer, and a few times so many
# second moments.
FEW, FEWER, SECOND_MOMENTS = 16, 4, 2048
# The largest numbers of X are sought among so many, or among one for so many multiply-adds of
# training, if that is more: it then takes about 1 % of the time at most.
LOOKED_AT, WORK_PER_LOOK = 2**13, 2000
AT_ONCE = 2**16  # numbers of X
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
SMALL_LINKS = ("identity", "softmax", "logistic", "grouped_softmax")  # of small numbers
OF_CLASSES = ("softmax", "logistic", "grouped_softmax")  # links
NOT_DEFINED = "it is not defined for some raw predictions that training came to."


def check_result(job: Job) -> None:
    """Raise ValueError if parameters or predictions after training are not finite."""
    course = job.course
    # Mini-batch training has looked at the parameters of each epoch.
    is_checked = course.optimizer is not None and not course.interrupted
    is_same = job.network.params.dtype == job.samples.dtype
    if not (is_checked and is_same) and not course.is_finite():
        raise ValueError(NON_FINITE)
    samples = _in_memory(job)
    if samples is None or _stays_small(job, samples):
        return
    predictions = _predictions(job, _some_samples(job, samples), job.objective.link)
    if job.objective.loss == "gaussian":  # and the standard deviations of log variances
        log_variances = predictions[:, predictions.shape[1] // 2 :]
        with np.errstate(over="ignore"):
            predictions = np.hstack([predictions, np.exp(log_variances / 2)])
    if not np.isfinite(predictions).all():
        raise ValueError(
            f"Predictions for samples of X are not finite after training: {_of_layers(job)}"
        )


def _in_memory(job: Job) -> Samples | None:
    """All samples, or some of them if not all are in memory; None if there are none."""
    return job.in_memory if job.engine is None else job.engine.examples()


def _stays_small(job: Job, samples: Samples) -> bool:
    """Whether a bound on all numbers in a small network is far below those that overflow.

    It takes that ``|f(z)| <= 2 |z| + 2``, which holds for all activations that have a name.
    """
    network, x = job.network, samples.x
    params = network.params
    if isinstance(x, CSR) or x.size > LOOKED_AT or params.size > LOOKED_AT:
        return False
    if job.objective.link not in SMALL_LINKS or network.tapes:
        return False
    if job.objective.loss == "gaussian":  # the exp of log variances
        return False
    bound, largest = float(np.abs(x).max()), float(np.abs(params).max())
    for fan_in in network.units[:-1]:
        bound = 2 * (fan_in + 1) * largest * max(bound, 1.0) + 2
    return bound < 1e-3 * float(np.finfo(params.dtype).max)


def warnings_of(job: Job) -> list[str]:
    """Messages about results of training that overflow, although the network can be used."""
    course, messages = job.course, []
    last = course.epochs[-1] if course.epochs else None
    if last is not None and math.isinf(last.loss):
        messages.append(explain_loss(job, last.loss))
    if course.optimizer is not None and _second_moment_overflows(job, course.optimizer):
        messages.append(
            "Adam's second moment, the mean of squared gradients, overflows "
            f"{job.network.params.dtype}: parameters with such gradients are not trained. "
            f"{_advice(job)}"
        )
    for name in ("validation_loss", "validation_score"):
        value = None if last is None else getattr(last, name)
        if value is not None and not math.isfinite(value):
            what = name.replace("_", " ")
            messages.append(
                f"The {what} is {value:g}: numbers overflow for samples of the validation set. "
                "Scale X_val and y_val like X and y."
            )
            break
    return messages


def _some_samples(job: Job, samples: Samples) -> Samples:
    """Samples that are spread over all that have a weight, and those of the largest numbers."""
    few = FEWER if job.incremental else FEW
    if len(samples) <= few:
        return samples
    weighted = range(len(samples)) if samples.weight is None else np.flatnonzero(samples.weight)
    spread = [(len(weighted) - 1) * i // (few - 1) for i in range(few)] if len(weighted) else []
    rows = [weighted[i] for i in spread] + [row for row, _ in _largest(job, samples)]
    return samples.take(np.array(rows, np.intp))


def _largest(job: Job, samples: Samples) -> list[tuple[int, int]]:
    """Row and column of the largest and of the smallest number of X, or of a part of X."""
    x, step = samples.x, 1
    numbers = x.data if isinstance(x, CSR) else x
    if numbers.size > LOOKED_AT:
        work = len(job.course.epochs) * len(samples) * job.work_per_sample
        step += int(numbers.size / max(LOOKED_AT, work / WORK_PER_LOOK))
    places = _extremes(numbers[::step])
    if not places:
        return []
    if isinstance(x, CSR):
        entries = [place * step for place in places]
        rows = np.searchsorted(x.indptr, entries, side="right") - 1
        return list(zip(rows.tolist(), x.indices[entries].tolist(), strict=True))
    width = x.shape[1]
    return [(place // width * step, place % width) for place in places]


def _extremes(numbers: NDArray[Any]) -> list[int]:
    """Where the largest and the smallest number are. Numbers with gaps are copied, so in blocks."""
    best: list[tuple[Any, int]] = []
    width = numbers[:1].size
    if width == 0:
        return []
    height, value = AT_ONCE // width + 1, itemgetter(0)
    for top in range(0, len(numbers), height):
        block = np.ascontiguousarray(numbers[top : top + height])
        places = int(block.argmax()), int(block.argmin())
        some = [(block.flat[place], top * width + place) for place in places]
        best = best or some
        best = [max(best[0], some[0], key=value), min(best[1], some[1], key=value)]
    return [place for _, place in best]


def _second_moment_overflows(job: Job, optimizer: Optimizer) -> bool:
    """Whether a second moment is infinite; of large networks `partial_fit` looks at some only.

    The gradient of a feature's weights is in proportion to the feature, so it overflows first for
    the largest one, in those units that are active. The others are noticed by the last moments,
    which are those of the biases and of the last layer, or by those that are spread over all.
    """
    if optimizer.rule.optimizer != "adam":
        return False
    moments, first = optimizer.state[1], optimizer.units[1]
    if job.incremental and len(moments) > 4 * SECOND_MOMENTS:
        some = [moments[:: len(moments) // SECOND_MOMENTS | 1], moments[-SECOND_MOMENTS:]]
        samples = _in_memory(job)
        columns = {column for _, column in _largest(job, samples)} if samples else set()
        some += [moments[column * first : (column + 1) * first] for column in columns]
        moments = np.concatenate(some)
    return not core.is_finite(moments)


def explain_loss(job: Job, loss: float) -> str:
    """Why a loss is NaN or infinite: what overflows, or that the loss is not defined."""
    samples = _in_memory(job)
    if samples is None:
        return f"The loss is {'NaN' if math.isnan(loss) else 'infinite'}. {_advice(job)}"
    size = chunk_size(samples)
    parts = [samples[first : first + size] for first in range(0, len(samples), size)]
    raw = np.concatenate([_predictions(job, part, "identity") for part in parts])
    what = f"The loss is {'NaN' if math.isnan(loss) else 'infinite'}: "
    if not np.isfinite(raw).all():
        return what + _of_layers(job)
    dtype = job.network.params.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        penalty = job.objective.alpha * sum(np.square(weight).sum() for weight in job.network.coefs)
        square = max(np.square(numbers).max(initial=0) for numbers in (raw, samples.y))
    if penalty > square:
        return what + f"the L2 penalty overflows {dtype}. Reduce alpha."
    if isinstance(job.objective.loss, str) or math.isinf(loss) or math.isinf(square):
        return what + f"errors or their squares overflow {dtype}. {_advice(job)}"
    return what + NOT_DEFINED


def _of_layers(job: Job) -> str:
    """That numbers in the layers or in the link overflow, or that an activation is not defined."""
    own = any(not isinstance(one, str) for one in job.network.activations)
    other = ", or an activation is not defined for its argument" if own else ""
    return f"numbers in the network overflow {job.network.params.dtype}{other}. {_advice(job)}"


def _advice(job: Job) -> str:
    """What to do about numbers that overflow."""
    ways = ["Scale X" if job.objective.link in OF_CLASSES else "Scale X and y"]
    if job.course.optimizer is not None:
        ways.append("reduce the learning rate")
    if job.network.params.dtype == np.float32:
        ways.append("convert X to float64")
    return ", or ".join(ways) + "."


def _predictions(job: Job, samples: Samples, link: str) -> NDArray[np.floating]:
    """Predictions of the samples that have a weight, by the trained network."""
    network, x = job.network, samples.x
    dtype = network.params.dtype
    if isinstance(x, CSR):
        x = x._replace(data=x.data.astype(dtype, copy=False))
    else:
        x = x.astype(dtype, copy=False)
    out = np.empty((len(samples), network.units[-1]), dtype)
    network.predict(x, link, out, job.objective.widths)
    return out if samples.weight is None else out[samples.weight > 0]
