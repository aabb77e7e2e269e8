"""Callbacks of users: scikit-learn's protocol around the run of a job."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scipy.optimize import OptimizeResult

from fastbp import training
from fastbp.estimators import callback_context
from fastbp.estimators.guard import guard_of
from fastbp.estimators.held_out import Data
from fastbp.estimators.inputs import draft_of
from fastbp.estimators.request import EstimatorJob
from fastbp.estimators.scikit_learn import callback_support
from fastbp.estimators.scoring import attributes_of
from fastbp.network import Network
from fastbp.threads import Team
from fastbp.training import LBFGS, Course, Epoch, Watch

HOOKS = ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown")
CALLBACKS = "_skl_callbacks"  # the name that scikit-learn uses
# Attributes of a fit in progress, which no pickle and no copy has.
OF_THE_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx", "_live")
FROM_BEFORE = (
    "_optimizer",
    "_resume",
    "_random_state",
    "stop_reason_",
    "_no_improvement_count",
    "loss_",
)


def check_callbacks(callbacks: tuple[Any, ...]) -> None:
    """Raise TypeError unless these are objects, no classes, with all four hooks."""
    for callback in callbacks:
        if isinstance(callback, type) or not all(hasattr(callback, hook) for hook in HOOKS):
            raise TypeError(
                "callbacks must be instances following the FitCallback protocol: objects with the "
                f"methods {', '.join(HOOKS)}, got {callback!r}."
            )


def plain_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of an estimator for a pickle.

    A fitted model goes without callbacks, which may hold anything; an estimator that is still to be
    fitted takes them along, so that those of a search work in other processes.
    """
    left_out = {*OF_THE_FIT, CALLBACKS} if "coefs_" in state else set(OF_THE_FIT)
    return {name: value for name, value in state.items() if name not in left_out}


def _called(hooks: Callable[..., Any], **arguments: Any) -> Any:
    """The result of hooks; SciPy would take their StopIteration for the wish to stop."""
    try:
        return hooks(**arguments)
    except StopIteration as error:
        raise RuntimeError("a callback raised StopIteration") from error


class Reconstruction(NamedTuple):
    """Makes the estimator that hooks get as `fitted_estimator`, with copies of the weights."""

    seen: Any

    def __call__(self) -> dict[str, Any]:
        """scikit-learn copies the estimator, weights included, and then sets these attributes."""
        return {}

    def estimator(self) -> Any:
        """The estimator itself."""
        return copy.copy(self.seen)


class LiveFit(Watch):
    """Calls the hooks of all callbacks at the begin and the end of each epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The one that is fitted. It changes when the fit has ended.
    job : EstimatorJob
    data : Data
        X, y and sample_weight as the user gave them.
    """

    def __init__(self, estimator: Any, job: EstimatorJob, data: Data) -> None:
        self.estimator, self.job = estimator, job
        self.seen = _seen_by_callbacks(estimator, job, self)
        metadata = None
        if data.sample_weight is not None:
            metadata = {"sample_weight": data.sample_weight}
        self.arguments = dict(estimator=self.seen, X=data.X, y=data.y, metadata=metadata)
        self.task_name = "iteration" if isinstance(job.rule, LBFGS) else "epoch"
        self.root: Any = None
        self.context: Any = None

    @property
    def last_epoch(self) -> Epoch:
        """The record of the epoch that ended last."""
        return self.job.course.epochs[-1]

    def before_epoch(self, course: Course) -> None:
        self.context = self.root.subcontext(task_name=self.task_name)
        _called(self.context.call_on_fit_task_begin, **self.arguments)

    def count(self, course: Course) -> None:
        """Lengthen the curves that callbacks see."""
        epoch, attributes = course.epochs[-1], vars(self.seen)
        attributes["loss_curve_"].append(epoch.loss)
        if self.job.validation_set is not None:
            attributes["validation_scores_"].append(epoch.validation_score)
            attributes["validation_loss_curve_"].append(epoch.validation_loss)
        attributes.update(loss_=epoch.loss, n_iter_=len(course.epochs), t_=course.t)
        attributes.update(_best(self.job))

    def after_epoch(self, course: Course, team: Team | None) -> str:
        return "callback" if self._end(self.context) else ""

    def run(self) -> Course:
        """Run the job, with the hooks of the fit around it."""
        job, support = self.job, callback_support() or callback_context
        try:
            with support.managing(self.seen):
                self.root = support.begin(self.seen, "fit", job.max_iter)
                self.root.call_on_fit_task_begin(**self.arguments)
                course = training.run(job, [*job.watches, self])
                vars(self.seen).update(_views(job, job.network))
                self._end(self.root)
        finally:  # or a cycle would keep the data until it is collected
            vars(self.seen).pop("_live", None)
        return course

    def _end(self, context: Any) -> bool:
        made = Reconstruction(self.seen)
        end = context.call_on_fit_task_end
        return bool(_called(end, **self.arguments, reconstruction_attributes=made))

    def as_if_ended(self) -> Any:
        """The estimator as it would be if the fit ended now. It shares no array with the fit."""
        job, course = self.job, copy.copy(self.job.course)
        network, optimizer = course.network, course.optimizer
        course.network = network.astype(network.params.dtype)
        if optimizer is not None:
            course.optimizer = optimizer.copy(network.params.dtype)
            course.optimizer.epochs = course.optimizer_epochs
        course.kept, course.warnings = dict(course.kept), []
        course.random_state = copy.deepcopy(course.random_state)
        course.stop_reason, course.loss = "callback", self.last_epoch.loss
        course.exchange()
        if isinstance(job.rule, LBFGS):
            course.result = OptimizeResult(nit=len(course.epochs), status=0)
        if job.early_stopping:
            course.end()
        training.round_result(job, course)
        learned, curves = self.estimator._learned(job, course)
        ended = draft_of(self.estimator)
        known = vars(ended)
        for name, new in curves.items():
            before = known.get(name) if job.continues else None
            learned[name] = [*(before or ()), *new]
        known.pop(CALLBACKS, None)
        known.update(learned)
        return ended


def _seen_by_callbacks(estimator: Any, job: EstimatorJob, live: LiveFit) -> Any:
    """The copy of the estimator that hooks see, with live weights and curves.

    It shares the lock of the estimator: a hook cannot fit it.
    """
    seen = draft_of(estimator)
    seen._guard = guard_of(estimator)
    attributes = vars(seen)
    for name in FROM_BEFORE:
        attributes.pop(name, None)
    attributes.update(_views(job, job.network.over(job.course.evaluated)))
    attributes.update(_best(job))
    if not job.continues:
        attributes.pop("feature_names_in_", None)
        attributes["n_features_in_"] = job.features.n_features
        if job.features.names is not None:
            attributes["feature_names_in_"] = job.features.names
    is_validated = job.validation_set is not None
    for name, has_curve in (
        ("loss_curve_", True),
        ("validation_scores_", is_validated),
        ("validation_loss_curve_", is_validated),
    ):
        before = attributes.get(name) if job.continues else None
        attributes[name] = [*(before or ())] if has_curve else None
    attributes.update(n_iter_=len(job.course.epochs), t_=job.course.t, _live=live)
    return seen


def _best(job: EstimatorJob) -> dict[str, Any]:
    """The best loss or score so far."""
    course = job.course
    if job.early_stopping:
        return {"best_loss_": None, "best_validation_score_": course.best_score}
    losses = [course.before.get("best_loss", course.best_loss)]
    losses += [epoch.loss for epoch in course.epochs[-1:]]
    return {"best_loss_": min([*losses, course.best_loss]), "best_validation_score_": None}


def _views(job: EstimatorJob, network: Network) -> dict[str, Any]:
    return attributes_of(network, job.objective.link, job.labels)
