"""Members: networks that are trained on the rows of a fold and validated on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.held_out import Data
from fastbp.estimators.labels import Labels
from fastbp.estimators.messages import Said
from fastbp.estimators.side_by_side import side_by_side
from fastbp.tabular.folds import Rows
from fastbp.tabular.progress import Progress
from fastbp.tabular.recipe import batch_size, initial_weights
from fastbp.tabular.short_codes import short_codes
from fastbp.tabular.units import Units, units_of
from fastbp.threads import available_cores
from fastbp.training import ranks_that_pay, watches

GIVEN = ("scoring", "n_threads", "max_seconds", "huber_threshold")  # during training others
FORGOTTEN = ("_optimizer", "_resume", "_random_state", "_no_improvement_count")


class CheckedData(NamedTuple):
    """Transformed rows with their targets and weights, after all checks."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None = None

    def take(self, rows: Rows) -> CheckedData:
        """Copies of the rows with these indices."""
        weight = self.sample_weight
        return CheckedData(self.X[rows], self.y[rows], None if weight is None else weight[rows])


class Shared(NamedTuple):
    """What the fits of all members share.

    Parameters
    ----------
    labels : Labels or None
        Those of all rows, of a classifier: a fold may lack a class.
    factor : float32
        That of the inputs during training.
    codes : ndarray of intp or None
        Where the columns of each code begin, and their end; None: they have no short form.
    scorer_of : callable or None
        Makes the scorer of a regressor, given its units and its validation data.
    progress : Progress
    callbacks : tuple
        Those of the member that is trained.
    """

    labels: Labels | None
    factor: np.float32
    codes: NDArray[np.intp] | None
    scorer_of: Callable[[Units, CheckedData], Any] | None
    progress: Progress
    callbacks: tuple[Any, ...] = ()


@dataclass
class MemberFit:
    """The fit of a member.

    Parameters
    ----------
    member : MLPClassifier or MLPRegressor
        With the parameters that do not depend on its rows.
    seed : int
        Of its initial weights and of its orders.
    rows : callable
        Returns its rows for training and for validation: copies that live as long as its fit.
    shared : Shared
    most_threads : int, default=1
        Threads that it may use.
    units : Units
        Of a regressor, after the fit.
    best_epoch : int, default=0
        After the fit the number of the epoch, from 1 on, whose weights the member has.
    """

    member: Any
    seed: int
    rows: Callable[[], tuple[CheckedData, CheckedData]]
    shared: Shared
    most_threads: int = 1
    units: Units | None = None
    best_epoch: int = 0

    def __call__(self) -> None:
        """Fit the member; it then takes inputs without the factor, and predicts in units of y."""
        member, shared = self.member, self.shared
        given = {name: getattr(member, name) for name in GIVEN if hasattr(member, name)}
        member.max_seconds = shared.progress.seconds_of_next()
        member.n_threads = self.most_threads
        data, validation = self.rows()
        np.multiply(data.X, shared.factor, out=data.X)  # a copy; others may share the second
        self._train(data, validation._replace(X=validation.X * shared.factor))
        del data, validation
        member.set_params(init="auto", **given)
        for name in FORGOTTEN:  # a model is its weights
            vars(member).pop(name, None)
        member.coefs_[0] *= shared.factor
        if self.units is not None:
            self.units.return_to(member)
        shared.progress.end(member, self.best_epoch)

    def _train(self, data: CheckedData, validation: CheckedData) -> None:
        """Run the job of the member's `fit`, with the labels of all rows."""
        member, shared = self.member, self.shared
        if shared.labels is None:
            data, validation = self._in_units(data, validation)
        random_state = np.random.RandomState(self.seed)
        widths = [data.X.shape[1], *member.hidden_layer_sizes, self._n_outputs(data.y)]
        init = initial_weights(
            data.X, widths, member.activation, random_state, n_threads=self.most_threads
        )
        order = int(random_state.randint(np.iinfo(np.int32).max))
        member.set_params(init=init, random_state=order)
        if member.batch_size == "auto":
            member.batch_size = batch_size(len(data.y))
        member._validate_params()
        job = member._job(*data, validation=Data(*validation), labels=shared.labels)
        samples = job.in_memory
        codes = short_codes(samples.x, shared.codes, float(shared.factor), job.batch_size)
        job.samples = replace(samples, codes=codes)
        job.n_threads = ranks_that_pay(job, self.most_threads)
        # Of equal scores the last: accuracies tie, and later weights are better in what they hide.
        last = watches.BestWeights(last=True)
        job.watches = [last if type(one) is watches.BestWeights else one for one in job.watches]
        job.watches += shared.progress.watches
        member.set_callbacks(*shared.callbacks)
        course = member._run(job, Data(*data))
        member._adopt(job, course)
        member.set_callbacks()
        self.best_epoch = course.best_epoch + 1

    def _in_units(
        self, data: CheckedData, validation: CheckedData
    ) -> tuple[CheckedData, CheckedData]:
        """The rows of a regressor with scaled targets; its threshold and scorer are scaled too."""
        member, scorer_of = self.member, self.shared.scorer_of
        y, y_val = (one.y.reshape(len(one.y), -1) for one in (data, validation))
        self.units = units = units_of(y, data.sample_weight, member.loss)
        if member.loss == "huber":
            member.huber_threshold = units.threshold_of(member.huber_threshold)
        if scorer_of is not None:
            member.scoring = scorer_of(units, validation)
        return data._replace(y=units.of(y)), validation._replace(y=units.of(y_val))

    def _n_outputs(self, y: NDArray[Any]) -> int:
        """The number of outputs of the network."""
        if self.shared.labels is not None:
            return self.shared.labels.width
        return int(self.member._for_each_output(y.reshape(len(y), -1)).shape[1])


def fit_members(fits: Sequence[MemberFit], n_threads: int | None, *, one_by_one: bool) -> Said:
    """Fit members side by side. Returns messages and categories of warnings.

    As many rounds as possible train a member in each thread. Members that are left over share the
    threads, so that none is idle in the last round.
    """
    threads = n_threads or available_cores()
    left = len(fits) if one_by_one else len(fits) % threads
    share = threads if one_by_one else threads // max(left, 1)
    if share < 2 and not one_by_one:  # they fill the last round
        left = 0
    first, rest = fits[: len(fits) - left], fits[len(fits) - left :]
    for fit in rest:
        fit.most_threads = share
    said = side_by_side(first, n_threads) if first else []
    side = 1 if one_by_one else n_threads and min(n_threads, left)
    return said + (side_by_side(rest, side) if rest else [])
