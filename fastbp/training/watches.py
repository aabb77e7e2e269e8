"""Watches: actions after each epoch, such as printing, validation and stopping.

A watch has no state. What it counts is in the course, so that a saved course can be continued.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from fastbp.threads import Team
from fastbp.training.course import Course, Epoch
from fastbp.training.validation_set import ValidationSet


class Watch:
    """The base class of watches. Its methods do nothing.

    Attributes
    ----------
    sees_each_epoch : bool
        Whether it has to be called after each epoch. If False, it may be called after several.
    """

    sees_each_epoch: ClassVar[bool] = True

    def before_epoch(self, course: Course) -> None:
        """Called before each epoch."""

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        """The epoch with the results of this watch, before it is appended to the course."""
        return epoch

    def count(self, course: Course) -> None:
        """Take notice of the epoch that was appended last, also if it diverged."""

    def after_epoch(self, course: Course, team: Team | None) -> str:
        """Why training has to end, or ''. Called after the epoch was appended."""
        return ""

    def after_run(self) -> None:
        """Called when training has ended, in whatever way."""


def hooks(watches: Sequence[Watch], name: str) -> list[Callable[..., Any]]:
    """The methods of this name that the watches define themselves, in order."""
    return [
        getattr(watch, name)
        for watch in watches
        if getattr(type(watch), name) != getattr(Watch, name)
    ]


@dataclass(frozen=True)
class Validation(Watch):
    """Records score and loss on the validation set."""

    validation_set: ValidationSet

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        score, loss = self.validation_set(course.evaluated, team)
        return Epoch(epoch.loss, loss, score, epoch.seconds, epoch.rate)


class PrintLoss(Watch):
    """Prints a line with the loss."""

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        print(f"Iteration {len(course.epochs) + 1}, loss = {epoch.loss:.8f}")
        return epoch


class PrintScore(Watch):
    """Prints a line with the validation score."""

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        print(f"Validation score: {epoch.validation_score:f}")
        return epoch


@dataclass(frozen=True)
class BestWeights(Watch):
    """Keeps the parameters of the epoch with the best validation score.

    Parameters
    ----------
    last : bool, default=False
        Whether the last of several equal scores is the best. If False the first one is.
    """

    last: bool = False

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        score = epoch.validation_score
        if score is not None and course.is_best(score, or_equal=self.last):
            course.keep()
        return epoch

    def count(self, course: Course) -> None:
        course.note_best(or_equal=self.last)


@dataclass(frozen=True)
class Patience(Watch):
    """Ends training that has stalled, unless the schedule has a smaller rate.

    Parameters
    ----------
    tol : float
        Smallest improvement that counts.
    most : float
        Number of epochs in a row without improvement that is tolerated.
    verbose : bool
        Whether to print why training ends.
    """

    tol: float
    most: float
    verbose: bool

    sees_each_epoch: ClassVar[bool] = False  # the core counts as `count` does
    what: ClassVar[str] = "Training loss"
    reason: ClassVar[str] = "tol"

    def count(self, course: Course) -> None:
        loss = course.epochs[-1].loss
        stalls = loss > course.best_loss - self.tol  # not if it is NaN, as in scikit-learn
        course.no_improvement_count = course.no_improvement_count + 1 if stalls else 0
        if loss < course.best_loss:
            course.best_loss = loss

    def after_epoch(self, course: Course, team: Team | None) -> str:
        if course.no_improvement_count <= self.most:
            return ""
        optimizer = course.optimizer
        if optimizer is None:
            return self.reason
        lowered = optimizer.lower_rate(course.t)
        if self.verbose:
            then = optimizer.schedule.rules.ended
            if lowered:
                then = f"Setting learning rate to {optimizer.rate:f}"
            print(
                f"{self.what} did not improve more than tol={self.tol:f} for {self.most:d} "
                f"consecutive epochs. {then}"
            )
        if lowered:
            course.no_improvement_count = 0
            return ""
        return self.reason


@dataclass(frozen=True)
class PatienceWithScore(Patience):
    """Ends training if the validation score has stalled, unless the schedule has a smaller rate.

    Parameters
    ----------
    nan_stalls : bool, default=False
        Whether a score that is NaN is no improvement. If False it is one, as in scikit-learn.
    """

    nan_stalls: bool = False

    sees_each_epoch: ClassVar[bool] = True
    what: ClassVar[str] = "Validation score"
    reason: ClassVar[str] = "early_stopping"

    def count(self, course: Course) -> None:
        score = course.epochs[-1].validation_score
        stalls = score is not None and (
            score < course.best_score + self.tol or (self.nan_stalls and math.isnan(score))
        )
        course.no_improvement_count = course.no_improvement_count + 1 if stalls else 0


@dataclass(frozen=True)
class TimeLimit(Watch):
    """Ends training after the first epoch that ends too late, or some short ones later.

    Parameters
    ----------
    seconds : float
        The limit, for the warning.
    deadline : float
        When it is reached, as `time.perf_counter` counts.
    """

    seconds: float
    deadline: float

    sees_each_epoch: ClassVar[bool] = False

    def after_epoch(self, course: Course, team: Team | None) -> str:
        if perf_counter() < self.deadline:
            return ""
        course.warnings.append(
            f"Time limit ({self.seconds:g} s) reached and the optimization hasn't converged yet."
        )
        return "time"


@dataclass(frozen=True)
class ProgressLine(Watch):
    """Prints the progress: in a terminal one line that is rewritten, elsewhere a line per epoch.

    Parameters
    ----------
    max_iter : int
        Number of epochs at most.
    began : float
        When the fit began, as `time.perf_counter` counts.
    """

    max_iter: int
    began: float

    def after_epoch(self, course: Course, team: Team | None) -> str:
        epoch, n = course.epochs[-1], len(course.epochs)
        of_run = n - course.replayed
        left = (perf_counter() - self.began) / of_run * (self.max_iter - n)
        parts = [f"epoch {n}/{self.max_iter}", f"loss {epoch.loss:.6g}"]
        if epoch.validation_score is not None:
            parts.append(f"score {epoch.validation_score:.4g}")
        if epoch.rate is not None:
            parts.append(f"rate {epoch.rate:.3g}")
        parts.append(f"{left:.0f} s left")
        if _is_terminal():
            print(f"\r{', '.join(parts)}\033[K", end="", flush=True)
        else:
            print(", ".join(parts))
        return ""

    def after_run(self) -> None:
        if _is_terminal():
            print()


def _is_terminal() -> bool:
    """Whether print writes to a terminal."""
    asks = getattr(sys.stdout, "isatty", None)
    return asks is not None and bool(asks())
