"""Callbacks for `set_callbacks`: save models during a fit, stop it, log it.

They follow scikit-learn's protocol of callbacks, so those of scikit-learn work as well, such as
`sklearn.callback.ProgressBar` and `sklearn.callback.ScoringMonitor` (from version 1.9 on). What
other libraries have as callbacks is a parameter here: early stopping, schedules of the learning
rate, a limit of time.
"""

import os
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

    `fastbp.load` loads the file, and `resume` of the loaded estimator goes on with the fit, with
    the same bits. A file is whole at any time: it is written beside its place, and then takes the
    place of the last one.

    Parameters
    ----------
    path : str or Path
        The file, as the method `save` of the estimator writes it. ``{epoch}`` in it stands for the
        number of the epoch.
    every : int, default=1
        Number of epochs from one file to the next.
    best_only : bool, default=False
        Whether to write only after an epoch that is the best so far: by its validation score, or
        without validation samples by its loss.
    training : bool, default=True
        Whether to keep what `resume` needs, as of the method `save`. Without it `scoring`,
        `learning_rate` and `init` may be functions, and the file is smaller.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fastbp
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import MLPClassifier
    >>> from fastbp.callbacks import Checkpoint
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "model.safetensors")
    ...     model = MLPClassifier(random_state=0, max_iter=2000).set_callbacks(
    ...         Checkpoint(path, every=50)
    ...     ).fit(X, y)
    ...     saved = fastbp.load(path)
    >>> saved.n_iter_ % 50
    0
    >>> bool((saved.resume(X, y).coefs_[0] == model.coefs_[0]).all())
    True
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: int = 1,
        best_only: bool = False,
        training: bool = True,
    ):
        if not isinstance(every, Integral) or isinstance(every, bool) or every < 1:
            raise ValueError(f"every must be an integer of at least 1, got {every!r}")
        self.path, self.every, self.best_only = path, every, best_only
        self.training = training

    def setup(self, estimator: Any, context: Any) -> None:
        """Raise TypeError before the fit if its file could not hold a parameter."""
        if hasattr(estimator, "_check_savable"):
            estimator._check_savable(self.training)

    def _after_epoch(self, estimator: Any) -> None:
        epoch = estimator.n_iter_
        if epoch % self.every == 0 and (not self.best_only or _is_best(estimator)):
            path = Path(os.fspath(self.path).replace("{epoch}", str(epoch)))
            estimator._live.as_if_ended().save(path, training=self.training)


def _is_best(estimator: Any) -> bool:
    """Whether the last epoch is better than all before it."""
    scores = estimator.validation_scores_
    values = [-loss for loss in estimator.loss_curve_] if scores is None else scores
    before = [value for value in values[:-1] if value == value]  # NaN is never the best
    return not before or bool(values[-1] > max(before))


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
