"""The base class of both estimators: fits, given weights, pickles, predictions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastbp import training
from fastbp.estimators import inputs
from fastbp.estimators.adopt import at_once, extensions, forget_known, replacements
from fastbp.estimators.blocks import is_source, job_of_blocks
from fastbp.estimators.callbacks import CALLBACKS, LiveFit, check_callbacks, plain_state
from fastbp.estimators.class_weight import ClassWeights
from fastbp.estimators.guard import (
    Guarded,
    between_changes,
    between_fits,
    changes_of,
    fitting,
    guard_of,
)
from fastbp.estimators.held_out import NO_DATA, Data
from fastbp.estimators.inputs import Matrix
from fastbp.estimators.job import make_job
from fastbp.estimators.labels import Labels
from fastbp.estimators.messages import INTERRUPTED, lbfgs_message, warn
from fastbp.estimators.model import (
    Model,
    current_model,
    join_arrays,
    make_model,
    of_one_moment,
)
from fastbp.estimators.model_file import (
    TRACED,
    as_formula,
    check_savable,
    new_estimator,
    node_of_estimator,
)
from fastbp.estimators.predict import IS_FITTED, checked_rows, plain_prediction, predict_rows
from fastbp.estimators.request import FIT, PARTIAL_FIT, RESUME, EstimatorJob, Request
from fastbp.estimators.savable import Savable
from fastbp.estimators.scikit_learn import (
    CheckedEstimator,
    Interval,
    Options,
    StrOptions,
    fit_context,
)
from fastbp.files import Reader, Writer
from fastbp.kernels import core
from fastbp.network import INITIALIZERS, Network
from fastbp.training import FACTORS, SCHEDULES, Course, Optimizer

LEARNED = (  # fitted attributes that scikit-learn's estimators have too
    "classes_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "t_",
    "coefs_",
    "intercepts_",
    "n_features_in_",
    "feature_names_in_",
    "n_iter_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
)


def _has_steps(estimator: BaseMLP) -> bool:
    return estimator._check_solver("resume")


class BaseMLP(Savable, Guarded, CheckedEstimator):
    """The base class of MLPClassifier and MLPRegressor.

    A subclass has the following hooks. `y` has passed scikit-learn's checks, and `labels` are None
    before the first fit.

    - ``_read_targets(y, labels, strict)``: targets with a column for each output, and Labels. If
      `strict`, y has to have all classes.
    - ``_read_validation_targets(y, labels, n_outputs)``: targets of y_val.
    - ``_class_weights(totals, n_outputs, labels, purpose)``: ClassWeights, or None.
    - ``_lower_targets(y, labels, dtype)``: targets as the core takes them.
    - ``_objective(n_outputs, labels)``: the Objective, without alpha.
    - ``_decode(labels, prediction)``: the result of `predict`, from predictions or targets
      with a column for each output.
    - ``_set_output_biases(biases, spread_of_y)``: those of a new network that follow from targets.
    - ``_score_of(y, sample_weight, predict)``: the score of the result of predict().
    - ``_metric(labels, y_true, sample_weight)``: the score as a function of predictions.
    - ``_y_is_numeric``: whether targets are numbers, and not class labels.
    """

    _y_is_numeric: ClassVar[bool]

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(core.ACTIVATIONS)), callable, list, tuple],
        "init": [StrOptions({"auto", *INITIALIZERS}), tuple, callable],
        "solver": [StrOptions({"lbfgs", *core.OPTIMIZERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({*SCHEDULES, *FACTORS}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "ema_decay": [Interval(Real, 0, 1, closed="neither"), None],
        "scoring": [str, callable, None],
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
    }

    def _check_solver(self, method: str = "partial_fit") -> bool:
        if self.solver not in core.OPTIMIZERS:
            raise AttributeError(
                f"{method} is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    def _class_weights(self, *_: Any) -> ClassWeights | None:
        """None: only classifiers have classes."""
        return None

    def _set_output_biases(
        self, biases: NDArray[np.floating], spread_of_y: Callable[[], NDArray[np.float64]]
    ) -> None:
        """Leave the biases as they were drawn."""

    # ---- fit: job, run, adopt

    def _job(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        validation: Data = NO_DATA,
        labels: Labels | None = None,
        purpose: str = FIT,
        dtype: DTypeLike | None = None,
    ) -> EstimatorJob:
        """The job of these data. Only this method reads parameters and data.

        It either raises an error or returns a complete job, and does not change the estimator.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` takes them.
        validation : Data
            X_val, y_val and sample_weight_val, as `fit` takes them.
        labels : Labels, default=None
            Those given in the first call of `partial_fit`.
        purpose : {'fit', 'partial_fit', 'inspect'}
            A job for inspection is not run: it has no rule. It has the fitted network if there is
            one, and takes labels as `partial_fit` does.
        dtype : dtype, default=None
            Dtype of samples and network; None: that of the fitted network, or of X.
        """
        if purpose == PARTIAL_FIT:
            guard = guard_of(self)
            guard.params = self._validate_new_params(guard.params)
        request = Request(inputs.draft_of(self), purpose, labels, dtype)
        return make_job(request, Data(X, y, sample_weight), validation)

    def _adopt(self, job: EstimatorJob, course: Course) -> Self:
        """Set all fitted attributes in one step, then warn.

        Other attributes are not touched, since another thread may have set them. Arrays and lists
        that scikit-learn changes in place are changed in place here too: users may have kept them.
        """
        learned, curves = self._learned(job, course)
        changes, known = guard_of(self).changes, self.__dict__
        actions = extensions(known, job, curves, learned)
        if job.continues:
            actions += replacements(known, job, learned)
            forget_known(job, learned)
        names = {"_resume", "stop_reason_"}
        for name in names if job.continues else {"feature_names_in_", *names}:
            if name not in learned:
                actions.append(partial(known.pop, name, None))
        # What is replaced lives until the new model is whole: its finalizers may predict.
        last = known.get("_optimizer")
        replaced = known.copy(), getattr(last, "state", None), getattr(last, "tally", None)
        before = changes[0]
        actions = [
            partial(changes.__setitem__, 0, before + 1),
            *actions,
            partial(known.update, learned),
            partial(changes.__setitem__, 0, before + 2),
        ]
        try:
            at_once(actions)
        finally:  # or predictions would wait for ever
            changes[0] = before + 2
        del replaced
        self._warn(job, course)
        return self

    def _learned(
        self, job: EstimatorJob, course: Course
    ) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        """Values of the fitted attributes, and new entries of lists, both by name."""
        network, labels, link = course.network, job.labels, job.objective.link
        learned = {
            "_model": make_model(network, link, labels),
            "_random_state": course.random_state,
            "n_outputs_": network.units[-1],
            "n_layers_": len(network.units),
            "out_activation_": link,
            "coefs_": list(network.coefs),
            "intercepts_": list(network.intercepts),
            "loss_": course.loss,
        }
        if not job.continues:
            learned["n_features_in_"] = job.features.n_features
            if job.features.names is not None:
                learned["feature_names_in_"] = job.features.names
            if labels.binarizer is not None:
                learned.update(classes_=labels.classes, _label_binarizer=labels.binarizer)
        lists: dict[str, list[Any]] = {}
        epochs = course.epochs[course.replayed :]
        if job.validation_set is not None:
            lists["validation_scores_"] = [epoch.validation_score for epoch in epochs]
            lists["validation_loss_curve_"] = [epoch.validation_loss for epoch in epochs]
            learned["best_validation_score_"] = course.best_score if job.early_stopping else None
        if not job.incremental:
            learned["stop_reason_"] = course.stop_reason
        if course.result is not None:  # of L-BFGS
            learned.update(n_iter_=min(course.result.nit, job.max_iter), t_=course.samples_seen)
            return learned, lists
        # NumPy's floats, as scikit-learn's.
        lists["loss_curve_"] = list(np.array([epoch.loss for epoch in epochs], np.float64))
        if job.validation_set is None:
            learned.update(
                validation_scores_=None, validation_loss_curve_=None, best_validation_score_=None
            )
        best_loss = min([course.best_loss, *lists["loss_curve_"]])
        learned.update(
            loss_=np.float64(course.loss),
            n_iter_=len(course.epochs),
            t_=course.t,
            best_loss_=None if job.early_stopping else best_loss,
            _no_improvement_count=course.no_improvement_count,
            _optimizer=course.optimizer,
        )
        if job.facts:
            learned["_resume"] = {**training.small_state(course), **job.facts}
        return learned, lists

    def _warn(self, job: EstimatorJob, course: Course) -> None:
        """Give the warnings of a fit. The model is already stored, in case warnings are errors."""
        if course.result is not None:  # of L-BFGS
            if course.interrupted:
                raise KeyboardInterrupt
            if message := lbfgs_message(course.result, job.max_iter):
                warn(message, ConvergenceWarning)
        for message in course.warnings:
            warn(message, ConvergenceWarning)
        if course.interrupted:
            warn(INTERRUPTED)

    def _fit_blocks(self, source: Any, classes: Any, window: Any, validation: Data) -> Self:
        """What `fit_blocks` of both estimators does."""
        with fitting(self):
            request = Request(inputs.draft_of(self))
            job = job_of_blocks(request, source, validation, classes=classes, window=window)
            return self._adopt(job, self._run(job, NO_DATA))

    @available_if(_has_steps)
    @fit_context
    def resume(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Go on with the fit that ended last, until `max_iter` epochs in all ('sgd' and 'adam').

        Whatever ended the fit (`max_iter`, `max_seconds`, Ctrl-C, a callback), the result is that
        of a fit that was not interrupted, bit for bit: in another process, from a pickle, and for
        any `n_threads`. A fit that had ended by itself (`tol`, early stopping) stays as it is.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            The data of the fit, the same again. After `fit_blocks` X is its source, and y and
            sample_weight are left out; the window is that of the fit.

        Returns
        -------
        self : object
            The fitted estimator. `n_iter_` counts all epochs of the fit.

        Raises
        ------
        NotFittedError
            If there was no fit.
        ValueError
            If the data are not those of the fit; if a parameter differs, other than `max_iter`,
            `max_seconds`, `tol`, `n_iter_no_change`, `verbose` and `n_threads`; if the last call
            was `partial_fit` or a fit of 'lbfgs', or if training diverged.
        RuntimeError
            If this thread is already fitting this estimator.
        """
        with fitting(self):
            check_is_fitted(self)
            data, validation = Data(X, y, sample_weight), Data(X_val, y_val, sample_weight_val)
            if is_source(X):
                if y is not None or sample_weight is not None:
                    raise ValueError(
                        "X is a source, which gives y and sample_weight too: leave them out."
                    )
                data = NO_DATA
                job = job_of_blocks(Request(inputs.draft_of(self), RESUME), X, validation)
            else:
                job = self._job(X, y, sample_weight, validation=validation, purpose=RESUME)
            if job.is_over:
                self.stop_reason_ = job.is_over
                return self
            return self._adopt(job, self._run(job, data))

    # ---- callbacks

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that `fit` and `resume` call, instead of those that were set before.

        Parameters
        ----------
        *callbacks : objects
            They follow scikit-learn's protocol: methods ``setup(estimator, context)``,
            ``on_fit_task_begin(estimator, context, ...)``, ``on_fit_task_end(estimator, context,
            ...)``, which returns whether training has to end, and ``teardown(estimator,
            context)``. The two in the middle may have keyword-only parameters `X`, `y`, `metadata`
            and `fitted_estimator`. Each epoch is a task, and each iteration of 'lbfgs'. See
            `fastbp.callbacks`.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If a callback is a class, or lacks one of the methods.
        """
        check_callbacks(callbacks)
        if callbacks:
            self.__dict__[CALLBACKS] = list(callbacks)
        else:
            self.__dict__.pop(CALLBACKS, None)
        return self

    def _run(self, job: EstimatorJob, data: Data) -> Course:
        """Run a job, with callbacks if there are any."""
        if CALLBACKS in self.__dict__:
            return LiveFit(self, job, data).run()
        return training.run(job, job.watches)

    # ---- the learning rate

    @property
    def rate_(self) -> float:
        """The scheduled learning rate of the next epoch of `partial_fit`."""
        optimizer = self.__dict__.get("_optimizer")
        if not isinstance(optimizer, Optimizer):
            raise AttributeError(
                f"this {type(self).__name__} has no rate_ yet: it has no optimizer before "
                "a fit with solver='sgd' or 'adam'"
            )
        return optimizer.rate

    @rate_.setter
    def rate_(self, rate: float) -> None:
        self.rate_  # noqa: B018  raises if there is no optimizer
        with between_fits(self):  # a fit in another thread has a copy
            self._optimizer.set_rate("rate_", rate)

    # ---- given weights

    @classmethod
    def _from_weights(
        cls, coefs: Sequence[ArrayLike], intercepts: Sequence[ArrayLike], parameters: dict[str, Any]
    ) -> Self:
        """A new estimator with these weights. The caller sets its classes and link."""
        network = Network.from_arrays(coefs, intercepts, parameters["activation"])
        estimator = cls(hidden_layer_sizes=network.units[1:-1], **parameters)
        estimator._validate_params()
        if not network.is_finite():
            raise ValueError("coefs and intercepts must be finite")
        estimator.__dict__.update(
            n_features_in_=network.units[0],
            n_iter_=0,
            t_=0,
            n_outputs_=network.units[-1],
            n_layers_=len(network.units),
            coefs_=list(network.coefs),
            intercepts_=list(network.intercepts),
        )
        return estimator

    @classmethod
    def _from_sklearn(cls, model: BaseEstimator) -> Self:
        """A copy of a fitted estimator of scikit-learn that has the same name."""
        import sklearn.neural_network

        theirs = getattr(sklearn.neural_network, cls.__name__)
        if not isinstance(model, theirs):
            raise TypeError(
                f"model must be a fitted sklearn.neural_network.{theirs.__name__}, got "
                f"{type(model).__name__}"
            )
        check_is_fitted(model)
        estimator = cls(**copy.deepcopy(model.get_params(deep=False)))
        estimator._validate_params()
        names = {*LEARNED, "_label_binarizer", "_no_improvement_count"}
        estimator.__dict__.update(
            {name: copy.deepcopy(value) for name, value in vars(model).items() if name in names}
        )
        join_arrays(estimator)
        network = current_model(estimator).network
        expected = [
            model.n_features_in_,
            *inputs.check_hidden_layer_sizes(model.hidden_layer_sizes),
            model.n_outputs_,
        ]
        if list(network.units) != expected:
            raise ValueError(
                f"model has weights for the widths {list(network.units)}, but says {expected}"
            )
        return estimator

    # ---- pickles

    def __getstate__(self) -> dict[str, Any]:
        """The state as plain data, with copies of the weights, all of one moment.

        The cached model is left out, since `coefs_` and `intercepts_` have its weights. Functions
        are pickled as formulas; those of a fitted model as they were traced.
        """
        state = between_changes(self, self._plain_attributes)
        model, activation = state.pop("_model", None), state.get("activation")
        if isinstance(model, Model) and model.network.activations:
            network = model.network
            if network.activation == activation:
                is_list = isinstance(activation, list | tuple)
                state["activation"] = (
                    type(activation)(network.activations) if is_list else network.activations[0]
                )
        for name, trace in TRACED.items():
            if name in state:  # it may have been deleted
                state[name] = as_formula(state[name], trace)
        return state

    def _plain_attributes(self) -> dict[str, Any]:
        """The attributes, with the optimizer as a plain dict: the object goes on changing."""
        state = plain_state(super().__getstate__().copy())  # it may be `__dict__` itself
        if isinstance(state.get("_optimizer"), Optimizer):
            state["_optimizer"] = state["_optimizer"].to_plain()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state that `__getstate__` returned."""
        if not isinstance(state, dict):
            raise ValueError(
                f"the state of a {type(self).__name__} must be a dict of its attributes, got a "
                f"{type(state).__name__}"
            )
        if isinstance(state.get("_optimizer"), dict):
            state = {**state, "_optimizer": Optimizer.from_plain(state["_optimizer"])}
        super().__setstate__(state)
        join_arrays(self)

    # ---- model files

    def _check_savable(self, training: bool) -> None:
        """Raise TypeError if no file can hold the parameters; the estimator need not be fitted."""
        check_savable(self, training)

    def _to_node(self, writer: Writer, training: bool) -> dict[str, Any]:
        check_is_fitted(self)
        return node_of_estimator(self, writer, training)

    @classmethod
    def _from_node(cls, node: dict[str, Any], reader: Reader) -> Self:
        estimator: Self = new_estimator(cls, node, reader)
        return estimator

    # ---- predict

    def _predict(self, X: Matrix) -> tuple[Model, NDArray[np.floating]]:
        """The current model and its predictions, shape (n_samples, n_outputs).

        A prediction that a change of the weights overtakes is repeated, on copies of them.
        """
        try:
            changes = self._guard.changes  # as changes_of, whose call would take a while
        except AttributeError:  # the first use of this object
            changes = changes_of(self)
        attributes = self.__dict__  # not in a function, whose call would take a while, too
        model = attributes.get("_model")
        if type(model) is Model and type(self).__sklearn_is_fitted__ is IS_FITTED:
            door = model.row
            prediction = None if door is None else door.predict(X, attributes, changes)
            if prediction is not None:
                return model, prediction
        before = changes[0]
        plain = plain_prediction(self, X)
        if plain is not None and changes[0] == before and not before & 1:
            return plain
        return self._predict_checked(X)

    def _predict_checked(self, X: Matrix) -> tuple[Model, NDArray[np.floating]]:
        """The result of `_predict`, after all checks."""
        changes = changes_of(self)
        before, failure = changes[0], None
        try:
            check_is_fitted(self)
            model, rows = checked_rows(self, X)
            prediction = predict_rows(model, rows, self.n_threads)[0]
        except Exception as error:  # perhaps because of half a change
            failure = error
        if changes[0] != before or before & 1:
            return of_one_moment(self)._predict_checked(X)
        if failure is not None:
            raise failure
        return model, prediction

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
