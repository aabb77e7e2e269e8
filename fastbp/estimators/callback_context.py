"""Contexts of callbacks for scikit-learn 1.6 to 1.8, with the attributes of those of 1.9."""

import inspect
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

ARGUMENTS = {"X", "y", "metadata", "fitted_estimator"}  # that a hook may ask for


class CallbackContext:
    """A task of a fit: the fit itself, or one of its epochs.

    Parameters
    ----------
    estimator_name, task_name : str
    task_id : int
        Number of the task among those of its parent.
    max_subtasks : int
        Largest number of subtasks; 0 for a leaf.
    parent : CallbackContext or None
    callbacks : list
    """

    sequential_subtasks = True

    def __init__(
        self,
        estimator_name: str,
        task_name: str,
        task_id: int,
        max_subtasks: int,
        parent: "CallbackContext | None",
        callbacks: list[Any],
    ) -> None:
        self.estimator_name, self.task_name, self.task_id = estimator_name, task_name, task_id
        self.max_subtasks, self.parent, self.callbacks = max_subtasks, parent, callbacks
        self.root_uuid: uuid.UUID = uuid.uuid4() if parent is None else parent.root_uuid
        self.init_time = datetime.now(UTC)
        self.n_subtasks = 0

    def subcontext(self, task_name: str = "") -> "CallbackContext":
        """The context of the next subtask."""
        if self.n_subtasks >= self.max_subtasks:
            raise ValueError(
                f"the task {self.task_name!r} has {self.max_subtasks} subtasks at most"
            )
        self.n_subtasks += 1
        return CallbackContext(
            self.estimator_name, task_name, self.n_subtasks - 1, 0, self, self.callbacks
        )

    def call_on_fit_task_begin(self, **arguments: Any) -> "CallbackContext":
        """Call the hook of all callbacks."""
        self._call("on_fit_task_begin", **arguments)
        return self

    def call_on_fit_task_end(self, **arguments: Any) -> bool:
        """Call the hook of all callbacks. Returns whether one of them asks to stop."""
        return self._call("on_fit_task_end", **arguments)

    def _call(
        self, hook: str, estimator: Any, reconstruction_attributes: Any = None, **values: Any
    ) -> bool:
        stop = False
        for callback in self.callbacks:
            function = getattr(callback, hook)
            names = {
                one.name
                for one in inspect.signature(function).parameters.values()
                if one.kind is one.KEYWORD_ONLY
            }
            if names - ARGUMENTS:
                raise TypeError(
                    f"Hook {hook} of the callback {type(callback).__name__} has parameters that "
                    f"are not valid: {names - ARGUMENTS}. The valid parameters are: {ARGUMENTS}."
                )
            if "fitted_estimator" in names and "fitted_estimator" not in values:
                make = reconstruction_attributes
                values["fitted_estimator"] = None if make is None else make.estimator()
            stop |= bool(function(estimator, self, **{name: values.get(name) for name in names}))
        return stop


def begin(estimator: Any, task_name: str, max_subtasks: int) -> CallbackContext:
    """The context of a fit, after `setup` of all callbacks."""
    callbacks = estimator._skl_callbacks
    context = CallbackContext(type(estimator).__name__, task_name, 0, max_subtasks, None, callbacks)
    estimator._callback_fit_ctx, estimator._skl_callbacks_to_teardown = context, []
    for callback in callbacks:
        estimator._skl_callbacks_to_teardown.append(callback)
        callback.setup(estimator=estimator, context=context)
    return context


@contextmanager
def managing(estimator: Any) -> Iterator[None]:
    """Call `teardown` of all callbacks whose `setup` was called."""
    try:
        yield
    finally:
        if hasattr(estimator, "_callback_fit_ctx"):
            errors = []
            for callback in estimator._skl_callbacks_to_teardown:
                try:
                    callback.teardown(estimator=estimator, context=estimator._callback_fit_ctx)
                except Exception as error:
                    errors.append(error)
            del estimator._skl_callbacks_to_teardown, estimator._callback_fit_ctx
            if len(errors) == 1:
                raise errors[0]
            if errors:
                raise ExceptionGroup("errors in the teardown of callbacks", errors)
