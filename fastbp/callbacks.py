"""Callbacks for `set_callbacks`: save models during a fit, stop it, log it.

They follow scikit-learn's protocol of callbacks, so those of scikit-learn work as well, such as
`sklearn.callback.ProgressBar` and `sklearn.callback.ScoringMonitor` (from version 1.9 on). What
other libraries have as callbacks is a parameter here: early stopping, schedules of the learning
rate, a limit of time.
"""

import os
import pickle
import threading
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

__all__ = ["Checkpoint", "LogTo", "StopWhen"]

EPOCHS = ("epoch", "iteration")  # the names of the tasks of a fit


class _AfterEpoch:
    """A callback that does something after each epoch, or iteration of 'lbfgs'."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Called at the begin of a fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Called at the begin of a fit and of each epoch."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Called at the end of each epoch and of the fit. Returns whether training has to end."""
        if context.task_name not in EPOCHS:
            return False
        if "_live" not in vars(estimator):
            raise TypeError(
                f"{type(self).__name__} is a callback of estimators of fastbp, got a "
                f"{type(estimator).__name__}: set it there."
            )
        return bool(self._after_epoch(estimator))

    def teardown(self, estimator: Any, context: Any) -> None:
        """Called when a fit has ended."""

    def _after_epoch(self, estimator: Any) -> Any:
        """What it does; true ends training."""


class Checkpoint(_AfterEpoch):
    """Saves the estimator after each epoch, as it would be if the fit ended there.

    `resume` of the loaded estimator goes on with the fit, with the same bits. A file is whole at
    any time: it is written beside its place, and then takes the place of the last one.

    Parameters
    ----------
    path : str or Path
        The file, a pickle. ``{epoch}`` in it stands for the number of the epoch.
    every : int, default=1
        Number of epochs from one file to the next.
    best_only : bool, default=False
        Whether to write only after an epoch that is the best so far: by its validation score, or
        without validation samples by its loss.

    Examples
    --------
    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.callbacks import Checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.pickle")
    ...     model = MLPClassifier(random_state=0, max_iter=2000).set_callbacks(
    ...         Checkpoint(path, every=50)
    ...     ).fit(X, y)
    ...     saved = pickle.loads(path.read_bytes())
    >>> saved.n_iter_ % 50
    0
    >>> bool((saved.resume(X, y).coefs_[0] == model.coefs_[0]).all())
    True
    """

    def __init__(self, path: str | os.PathLike[str], *, every: int = 1, best_only: bool = False):
        if not isinstance(every, Integral) or isinstance(every, bool) or every < 1:
            raise ValueError(f"every must be an integer of at least 1, got {every!r}")
        self.path, self.every, self.best_only = path, every, best_only

    def _after_epoch(self, estimator: Any) -> None:
        epoch = estimator.n_iter_
        if epoch % self.every == 0 and (not self.best_only or _is_best(estimator)):
            path = Path(str(self.path).replace("{epoch}", str(epoch)))
            _replace_file(path, pickle.dumps(estimator._live.as_if_ended(), protocol=5))


def _is_best(estimator: Any) -> bool:
    """Whether the last epoch is better than all before it."""
    scores = estimator.validation_scores_
    values = [-loss for loss in estimator.loss_curve_] if scores is None else scores
    before = [value for value in values[:-1] if value == value]  # NaN is never the best
    return not before or bool(values[-1] > max(before))


def _replace_file(path: Path, content: bytes) -> None:
    """Write a file so that at any time, even of a crash, the old or the new one is there whole."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # or the new name may be lost
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class StopWhen(_AfterEpoch):
    """Ends training when a condition is true.

    Parameters
    ----------
    condition : callable
        ``condition(estimator)``, called after each epoch. The estimator has the weights and curves
        so far. Training ends if the result is true; `stop_reason_` is then 'callback'.

    Examples
    --------
    Stop from another thread:

    >>> import threading
    >>> from fastbp import MLPClassifier
    >>> from fastbp.callbacks import StopWhen
    >>> wish = threading.Event()
    >>> model = MLPClassifier().set_callbacks(StopWhen(lambda estimator: wish.is_set()))
    """

    def __init__(self, condition: Callable[[Any], Any]):
        if not callable(condition):
            raise TypeError(f"condition must be callable, got {condition!r}")
        self.condition = condition

    def _after_epoch(self, estimator: Any) -> Any:
        return self.condition(estimator)


class LogTo(_AfterEpoch):
    """Calls a function with the numbers of each epoch.

    Parameters
    ----------
    function : callable
        ``function(epoch, numbers)``: the number of the epoch, from 1 on, and a dict of floats:
        'loss', 'seconds' of training, for 'sgd' and 'adam' the 'rate', and with validation samples
        'validation_loss' and 'validation_score'.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.callbacks import LogTo
    >>> losses = {}
    >>> log = LogTo(lambda epoch, numbers: losses.update({epoch: numbers["loss"]}))
    >>> model = MLPClassifier(random_state=0, max_iter=2000).set_callbacks(log)
    >>> model = model.fit(*load_iris(return_X_y=True))
    >>> list(losses.values()) == model.loss_curve_
    True
    """

    def __init__(self, function: Callable[[int, dict[str, float]], Any]):
        if not callable(function):
            raise TypeError(f"function must be callable, got {function!r}")
        self.function = function

    def _after_epoch(self, estimator: Any) -> None:
        numbers = estimator._live.last_epoch._asdict()
        self.function(
            estimator.n_iter_,
            {name: float(number) for name, number in numbers.items() if number is not None},
        )
