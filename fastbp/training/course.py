"""Course: everything that changes while a network is trained."""

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from fastbp.kernels import Origin, core
from fastbp.network import Network
from fastbp.training.rule import Optimizer
from fastbp.training.state_checks import (
    NUMBER,
    Check,
    check_fields,
    floats,
    instance_of,
    or_none,
    whole_number,
)


class Epoch(NamedTuple):
    """The record of one epoch, or of one iteration of L-BFGS."""

    loss: float
    validation_loss: float | None
    validation_score: float | None
    seconds: float  # of training, without validation
    rate: float | None  # scheduled rate of the epoch


COUNTERS = ("best_loss", "best_score", "no_improvement_count")  # they follow from the epochs
FIELDS: dict[str, Check] = {  # of a pickled course
    "network": instance_of(Network, "a Network"),
    "random_state": instance_of(np.random.RandomState, "a RandomState"),
    "n_samples": whole_number(0),
    "optimizer": or_none(instance_of(Optimizer, "an Optimizer")),
    "order": or_none(
        (
            lambda value: (
                isinstance(value, np.ndarray)
                and value.dtype == np.intp
                and value.ndim == 1
                and value.min(initial=0) >= 0
            ),
            "a list of indices, an array of intp",
        )
    ),
    "samples_seen": whole_number(0),
    "loss": NUMBER,
    "best_loss": NUMBER,
    "best_score": NUMBER,
    "best_epoch": whole_number(-1),
    "no_improvement_count": whole_number(0),
    "epochs": (
        lambda value: (
            isinstance(value, list)
            and all(isinstance(one, Epoch) for one in value)
            and all(number is None or isinstance(number, Real) for one in value for number in one)
        ),
        "a list of epochs, which are made of numbers",
    ),
    "continues": instance_of(bool, "a bool"),
    "start": or_none(instance_of(dict, "a dict")),
    "raw_params": or_none(instance_of(np.ndarray, "an array")),
    "kept": instance_of(dict, "a dict"),
    "warnings": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of texts",
    ),
    "interrupted": instance_of(bool, "a bool"),
    "stop_reason": instance_of(str, "a text"),
    "replayed": whole_number(0),
    "tallied": whole_number(-1),
    "first_step": NUMBER,
    "before": (
        lambda value: isinstance(value, dict) and all(map(NUMBER[0], value.values())),
        "a dict of numbers",
    ),
    "origin": or_none(instance_of(Origin, "an Origin")),
    "result": or_none(instance_of(OptimizeResult, "an OptimizeResult")),
}


@dataclass
class Course:
    """A network in training. A pickled and loaded course continues with the same bits.

    Parameters
    ----------
    network : Network
    random_state : RandomState
        Draws the order of each epoch.
    n_samples : int
        Samples of an epoch.
    optimizer : Optimizer, default=None
        None for L-BFGS.
    order : ndarray of intp, default=None
        Indices of the training samples, in the order of the last epoch; None: all samples in their
        own order.
    samples_seen : int, default=0
        Samples seen before the first of `epochs`.
    loss : float
        The loss of the last epoch so far.
    best_loss, best_score : float
        The best values so far, including those of the fits that this one continues.
    best_epoch : int
        Number of the epoch with the best validation score; -1 if no epoch is better than the start.
    no_improvement_count : int
        Epochs in a row without improvement.
    epochs : list of Epoch
        All finished epochs. Curves and counters follow from it.
    continues : bool
        Whether the course continues earlier fits. It matters to early stopping if no epoch is
        better than the best one before: if True, the network ends with the parameters of the last
        epoch, else with those of the start.
    start : dict, default=None
        State of `random_state` before the validation split, or the seed that gives it. All orders
        can be repeated from it. None if they cannot.
    raw_params : ndarray, default=None
        Parameters after the last epoch, if the network has those of the best epoch. Both are
        averaged ones if the rule averages them.
    kept : dict of int to ndarray
        Copies of parameters by the number of their epoch, to be restored; -1 is the start.
    warnings : list of str
        Messages of the warnings that the caller has to give.
    interrupted : bool
        Whether Ctrl-C ended the last run.
    stop_reason : str
        Why the last run ended: 'max_iter', 'tol', 'early_stopping', 'time', 'interrupt' or
        'diverged'; '' before its end.
    replayed : int, default=0
        Epochs of `epochs` that an earlier run has finished.
    tallied : int, default=-1
        Number of the epoch whose samples and losses the optimizer's tally has. If it is that of the
        next epoch, a stop has cut it short.
    first_step : float, default=0.0
        The number of steps before that epoch, as the tally counts them.
    before : dict
        The values of COUNTERS, and the epochs of the optimizer, before the first of `epochs`.
    result : scipy.optimize.OptimizeResult, default=None
        SciPy's result of L-BFGS.
    origin : Origin, default=None
        What the first step reads, if network and optimizer are still to be written.
    """

    network: Network
    random_state: np.random.RandomState
    n_samples: int
    optimizer: Optimizer | None = None
    order: NDArray[np.intp] | None = None
    samples_seen: int = 0
    loss: float = np.inf
    best_loss: float = np.inf
    best_score: float = -np.inf
    best_epoch: int = -1
    no_improvement_count: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    continues: bool = False
    start: dict[str, Any] | None = None
    raw_params: NDArray[np.floating] | None = None
    kept: dict[int, NDArray[np.floating]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    stop_reason: str = ""
    replayed: int = 0
    tallied: int = -1
    first_step: float = 0.0
    before: dict[str, float] = field(default_factory=dict)
    result: OptimizeResult | None = None
    origin: Origin | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled course; ValueError if it is damaged."""
        check_fields("the course", state, FIELDS)
        size, optimizer, order = state["network"].params.size, state["optimizer"], state["order"]
        origin = state["origin"]
        if origin is not None and not (
            optimizer is not None and np.shape(origin.state) == optimizer.state.shape
        ):
            raise ValueError("'origin' of the course must have a state like its optimizer's")
        copies = {f"kept[{number}]": params for number, params in state["kept"].items()}
        if state["raw_params"] is not None:
            copies["raw_params"] = state["raw_params"]
        if origin is not None:
            copies["origin[0]"] = origin.params
        for name, params in copies.items():
            if not floats(params, size):
                raise ValueError(f"{name!r} of the course must be an array of {size} floats")
        if optimizer is not None and optimizer.state.shape[1] != size:
            raise ValueError(f"'optimizer' of the course must have a state of {size} columns")
        if order is not None and len(order) != state["n_samples"]:
            raise ValueError(f"'order' of the course must have {state['n_samples']} indices")
        if state["best_epoch"] >= len(state["epochs"]):
            raise ValueError("'best_epoch' of the course must be the number of one of its epochs")
        vars(self).update(state)

    @property
    def t(self) -> int:
        """The number of samples seen, including the fits that this one continues."""
        return self.samples_seen + len(self.epochs) * self.n_samples

    @property
    def is_cut(self) -> bool:
        """Whether a stop has cut the next epoch short."""
        return self.tallied == len(self.epochs)

    def begin_run(self) -> None:
        """Forget how the last run ended; note the counters before the first epoch."""
        if not self.epochs:
            self.before = {name: getattr(self, name) for name in COUNTERS}
            self.before["epochs"] = 0 if self.optimizer is None else self.optimizer.epochs
        self.interrupted, self.warnings, self.stop_reason = False, [], ""

    @property
    def optimizer_epochs(self) -> int:
        """Number of finished epochs since the optimizer was made."""
        return int(self.before["epochs"]) + len(self.epochs)

    def begin_epoch(self) -> None:
        """Let the tally be that of the next epoch. In this order, wherever Ctrl-C interrupts."""
        if self.optimizer is not None:
            self.optimizer.tally[:2] = 0
            self.first_step = self.optimizer.tally.item(2)
        self.tallied = len(self.epochs)

    def leave_origin(self) -> None:
        """Drop the origin after a run; if no step was made, its values are copied."""
        origin, optimizer = self.origin, self.optimizer
        if origin is not None and optimizer is not None:
            if optimizer.tally[2] == origin.steps:
                self.network.params[...], optimizer.state[...] = origin.params, origin.state
            self.origin = None

    @property
    def evaluated(self) -> NDArray[np.floating]:
        """The parameters that are validated, kept and returned, while training runs.

        They are the averaged ones if the rule averages.
        """
        optimizer = self.optimizer
        if optimizer is None or not optimizer.rule.averages:
            return self.network.params
        return optimizer.state[-1]

    def is_finite(self) -> bool:
        """Whether all parameters and their averages are finite."""
        params, evaluated = self.network.params, self.evaluated
        return core.is_finite(params) and (evaluated is params or core.is_finite(evaluated))

    def exchange(self) -> None:
        """Exchange the parameters and their average, before and after a run.

        While training runs, the network has the parameters, and the last row of the optimizer's
        state their average. Otherwise the network has the average.
        """
        optimizer = self.optimizer
        if optimizer is None or not optimizer.rule.averages:
            return
        params, row = self.network.params, optimizer.state[-1]
        if not optimizer.t:  # there is no average before the first step
            row[...] = params
            return
        average = params.copy()
        params[...] = row
        row[...] = average

    def keep(self) -> None:
        """Keep a copy of the parameters for the epoch that is appended next.

        The copy is made before the epoch is appended, and older copies are dropped afterwards. So
        the parameters of the best epoch in `epochs` are kept wherever Ctrl-C interrupts.
        """
        self.kept[len(self.epochs)] = self.evaluated.copy()

    def note_best(self, *, or_equal: bool = False) -> None:
        """Make the last epoch the best if its score is; drop the parameters of all others."""
        score = self.epochs[-1].validation_score if self.epochs else None
        if score is not None and self.is_best(score, or_equal=or_equal):
            self.best_epoch = len(self.epochs) - 1
            self.best_score = score
        self.drop_all_but(self.best_epoch)

    def is_best(self, score: float, *, or_equal: bool = False) -> bool:
        """Whether a score is better than all before it, or as good as the best."""
        return score > self.best_score or (or_equal and score == self.best_score > -np.inf)

    def drop_all_but(self, number: int) -> None:
        """Drop the parameters of all epochs but one."""
        for other in [*self.kept]:
            if other != number:
                del self.kept[other]

    def begin(self) -> None:
        """Prepare early stopping: set the last parameters, and keep a copy of the best ones."""
        params = self.network.params
        if self.raw_params is not None:
            self.kept[self.best_epoch] = params.copy()
            params[...], self.raw_params = self.raw_params, None
        elif self.best_epoch >= 0:  # the last epoch is the best
            self.kept[self.best_epoch] = params.copy()
        elif not self.continues:
            self.kept[-1] = params.copy()

    def end(self) -> None:
        """Set the network to the parameters of the best epoch, if they were kept."""
        best = self.kept.get(self.best_epoch)
        self.kept.clear()
        # After Ctrl-C the parameters may be those of a batch within the next epoch.
        has_best = self.best_epoch == len(self.epochs) - 1 >= 0 and not self.interrupted
        if best is not None and not has_best:
            self.raw_params = self.network.params.copy()
            self.network.params[...] = best
