"""Watches: actions after each epoch, such as printing, validation and stopping.

A watch has no state. What it counts is in the course, so that a saved course can be continued.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fastbp.threads import Team
from fastbp.training.course import Course, Epoch
from fastbp.training.validation_set import ValidationSet


class Watch:
    """The base class of watches. Its methods do nothing."""

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        """The epoch with the results of this watch, before it is appended to the course."""
        return epoch

    def count(self, course: Course) -> None:
        """Take notice of the epoch that was appended last, also if it diverged."""

    def after_epoch(self, course: Course, team: Team) -> bool:
        """Whether training has to end. Called after the epoch was appended."""
        return False


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


class BestWeights(Watch):
    """Keeps the parameters of the epoch with the best validation score."""

    def record(self, course: Course, epoch: Epoch, team: Team) -> Epoch:
        score = epoch.validation_score
        if score is not None and score > course.best_score:
            course.keep()
        return epoch

    def count(self, course: Course) -> None:
        course.note_best()


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

    what: ClassVar[str] = "Training loss"

    def count(self, course: Course) -> None:
        loss = course.epochs[-1].loss
        stalls = loss > course.best_loss - self.tol  # not if it is NaN, as in scikit-learn
        course.no_improvement_count = course.no_improvement_count + 1 if stalls else 0
        if loss < course.best_loss:
            course.best_loss = loss

    def after_epoch(self, course: Course, team: Team) -> bool:
        if course.no_improvement_count <= self.most:
            return False
        optimizer = course.optimizer
        if optimizer is None:
            return True
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
        return not lowered


@dataclass(frozen=True)
class PatienceWithScore(Patience):
    """Ends training if the validation score has stalled, unless the schedule has a smaller rate."""

    what: ClassVar[str] = "Validation score"

    def count(self, course: Course) -> None:
        score = course.epochs[-1].validation_score
        stalls = score is not None and score < course.best_score + self.tol
        course.no_improvement_count = course.no_improvement_count + 1 if stalls else 0
