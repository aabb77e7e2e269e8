"""The progress of all members: time left, lines for the user, and the share of a limit of time."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from fastbp.estimators.messages import Said
from fastbp.threads import Team
from fastbp.training import Course, Watch

# How messages of members begin that are not passed on as they are.
HEARD = ("Time limit", "Stochastic Optimizer: Maximum iterations", "y has a mean of ")


class Progress:
    """What the fits of the members say while they run, in several threads.

    Parameters
    ----------
    n_members : int
    threads : int
        Members that are trained side by side.
    max_seconds : float or None
        Limit of the time of all members.
    verbose : bool or int
        1 prints a line for each member, 2 also a line for each epoch.

    Attributes
    ----------
    max_iter : int
        Epochs of a member, set before the first one begins.
    """

    max_iter: int

    def __init__(
        self,
        n_members: int,
        threads: int,
        max_seconds: float | None,
        verbose: bool | int,
    ) -> None:
        self.n_members, self.threads = n_members, threads
        self.max_seconds, self.verbose = max_seconds, int(verbose)
        self.begun = self.ended = self.epochs = 0
        self.began = perf_counter()
        self.lock = threading.Lock()

    @property
    def watches(self) -> list[Watch]:
        """What looks at each epoch of a member, if anything is to be printed then."""
        return [EpochLine(self)] if self.verbose > 1 else []

    def seconds_of_next(self) -> float | None:
        """The limit of the member that begins now: an equal share for each round that is left."""
        with self.lock:
            rounds = -(-self.n_members // self.threads) - self.begun // self.threads
            self.begun += 1
        if self.max_seconds is None:
            return None
        left = self.max_seconds - (perf_counter() - self.began)
        return max(left / max(rounds, 1), 1e-3)

    def end_epoch(self, course: Course) -> None:
        """Print a line about an epoch of a member."""
        with self.lock:
            self.epochs += 1
            epoch = course.epochs[-1]
            done = f"epoch {self.epochs} of {self.n_members * self.max_iter}"
            score = f"loss {epoch.loss:.6g}, score {epoch.validation_score:.4g}"
            share = self.epochs / (self.n_members * self.max_iter)
            print(f"{done}, {score}, {self._left(share):.0f} s left")

    def end(self, member: Any, best: int) -> None:
        """Print a line about a member that has been trained; `best` is its best epoch, or 0."""
        with self.lock:
            self.ended += 1
            if not self.verbose:
                return
            score = f"{member.validation_scores_[best - 1]:.4g}" if best else "none"
            print(
                f"member {self.ended} of {self.n_members}: the best of {member.n_iter_} epochs is "
                f"{best}, with the score {score}; "
                f"{self._left(self.ended / self.n_members):.0f} s left"
            )

    def warnings(self, said: Said) -> Said:
        """What members have said, without what is no news: that `max_iter` ended them.

        Nor that targets in their units need float64. That time has ended several of them is said
        once.
        """
        late = sum(message.startswith("Time limit") for message, _ in said)
        kept = [(message, category) for message, category in said if not message.startswith(HEARD)]
        if late:
            kept.append(
                (
                    f"Time limit ({self.max_seconds:g} s) reached: the training of {late} of "
                    f"{self.n_members} members ended before max_iter={self.max_iter} epochs.",
                    ConvergenceWarning,
                )
            )
        return kept

    def _left(self, share: float) -> float:
        """The seconds left when a share of the work has been done."""
        return (perf_counter() - self.began) * (1 - share) / share


class EpochLine(Watch):
    """Prints a line after each epoch.

    Parameters
    ----------
    progress : Progress
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def after_epoch(self, course: Course, team: Team | None) -> str:
        self.progress.end_epoch(course)
        return ""
