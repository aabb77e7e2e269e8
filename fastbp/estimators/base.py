"""What classifier and regressor share: from parameters and data to a trained network and back."""

import copy
import functools
import warnings
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions, make_constraint
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import check_is_fitted

from fastbp.estimators import inputs, memory
from fastbp.kernels import backend, core
from fastbp.network import (
    INITIALIZERS,
    LEAST_CHUNK,
    Network,
    chunk_rows,
    count_params,
    epoch_use,
    hidden_activations,
    make_plan,
    predict_chunks,
    trace_activation,
    trace_loss,
)
from fastbp.threads.team import MOST_RANKS, available_cores, call_cost, team
from fastbp.training.trainer import (
    GRADIENT_CHUNK,
    NAN_LOSS,
    NON_FINITE,
    History,
    Optimizer,
    Settings,
    minimize,
    train,
)
from fastbp.training.validation_set import ValidationSet, hold_out

# Products below so many multiply-adds are never threaded by OpenBLAS (its least bound, that of
# matrix times vector); larger ones are held to one thread, so that predictions do not depend on
# how many there are.
SMALL_PRODUCT = 9216
LEARNED = (  # attributes that scikit-learn's estimators have as well
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
USER_LINE = 4  # frames from the end of a fit up to the line that called it
LBFGS_VECTORS = 38  # float64 vectors of the parameters' size that SciPy's L-BFGS keeps (measured)


def all_or_nothing(fit):
    """The fit of a twin, which the estimator becomes at one blow once it is done.

    A fit that raises leaves the estimator exactly as it was, and who predicts meanwhile in another
    thread finds it whole. The method returns a function that says what is left to say once the
    model is stored: warnings, which the user may have turned into errors, or KeyboardInterrupt.
    They do not undo the fit.
    """

    @functools.wraps(fit)
    def wrapper(self, *args, **kwargs):
        twin = object.__new__(type(self))
        vars(twin).update(vars(self))
        finish = fit(twin, *args, **kwargs)
        self.__dict__ = vars(twin)
        finish()
        return self

    return wrapper


def _as_formula(value, name):
    """The value of a parameter with an Expression in place of each function."""
    if isinstance(value, list | tuple):
        return type(value)(_as_formula(one, name) for one in value)
    trace = {"loss": trace_loss, "activation": trace_activation}[name]
    return trace(value, name) if callable(value) else value


@functools.lru_cache(64)
def _constraints(cls):
    """(name, constraints) of each parameter of an estimator."""
    found = {
        name: cls._parameter_constraints.get(name, "no_validation")
        for name in cls._get_param_names()
    }
    return [
        (name, [make_constraint(constraint) for constraint in constraints])
        for name, constraints in found.items()
        if constraints != "no_validation"
    ]


class BaseMLP(BaseEstimator):
    """What classifier and regressor share. A subclass says how y becomes targets, and its loss."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(core.ACTIVATIONS)), callable, list, tuple],
        "init": [StrOptions({"auto", *INITIALIZERS})],
        "solver": [StrOptions({"lbfgs", *core.OPTIMIZERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
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
    }

    # Until fastbp has pages of its own: the API is that of scikit-learn's page. Notebooks show our
    # descriptions of the parameters only where there is a page to link to.
    _doc_link_module = "fastbp"
    _doc_link_template = "https://scikit-learn.org/stable/modules/generated/sklearn.neural_network.{estimator_name}.html"

    def _validate_params(self):
        """scikit-learn's check, whose words are asked for only where there is an error."""
        for name, constraints in _constraints(type(self)):
            value = getattr(self, name)
            if not any(constraint.is_satisfied_by(value) for constraint in constraints):
                super()._validate_params()

    def _store(self, parameters):
        """Set the constructor's parameters, given its locals()."""
        for name, value in parameters.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def _check_solver(self):
        if self.solver not in core.OPTIMIZERS:
            raise AttributeError(
                "partial_fit is only available for stochastic"
                f" optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---- fit

    def _fit(self, X, y, sample_weight, incremental, validation=(None, None, None)):
        """Fit, store the model, and return the function that `all_or_nothing` ends with."""
        validates = inputs.is_validation_given(*validation)
        hidden = inputs.check_hidden_layer_sizes(self.hidden_layer_sizes)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first_pass = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        network = None if first_pass else self._current_network().copy()
        X, y, data, objective, alpha = self._prepare(
            X,
            y,
            sample_weight,
            None if first_pass else network.params.dtype,
            incremental=incremental,
            reset=first_pass,
        )
        dtype = data[1].dtype
        given = self._check_validation(validation, y.shape[1], dtype) if validates else None
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            units = [X.shape[1], *hidden, y.shape[1]]
            activations = hidden_activations(self.activation, len(hidden))
            self._check_memory(units, activations, X, len(given[1]) if validates else 0)
            self._reset(objective.link, y.shape[1], len(units), validates)
            network = Network(units, self.activation, dtype, activations)
            network.initialize(self._random_state, self.init)
        else:
            self._check_shape(network.units, hidden, y.shape[1])
            self.n_outputs_, self.out_activation_ = y.shape[1], objective.link
        settings = Settings(
            objective=objective,
            alpha=alpha,
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            early_stopping=self.early_stopping and self.solver != "lbfgs",
            verbose=bool(self.verbose),
            max_fun=self.max_fun,
            n_threads=self.n_threads,
        )
        rows = None
        if settings.early_stopping and not validates:
            rows, given = self._hold_out(X, y, data[2], dtype)
        validate = given and self._validation_set(network, objective, *given)
        if self.solver == "lbfgs":
            interrupted, warn = self._fit_lbfgs(network, data, settings, validate)
        else:
            interrupted, warn = self._fit_stochastic(
                network, data, settings, rows, validate, incremental
            )
        if not network.is_finite():
            raise ValueError(NON_FINITE)
        if self.solver == "lbfgs" and np.isnan(self.loss_):
            raise ValueError(NAN_LOSS)
        self._network = network
        self.coefs_, self.intercepts_ = list(network.coefs), list(network.intercepts)

        def finish():
            if interrupted and self.solver == "lbfgs":
                raise KeyboardInterrupt
            warn()
            if interrupted:
                warnings.warn("Training interrupted by user.", stacklevel=USER_LINE)

        return finish

    def _prepare(self, X, y, sample_weight, dtype=None, *, incremental, reset):
        """What is made small, and on what: (X, y, data, objective, alpha).

        X and y as they were checked; data, in that dtype or else that of X, is for the core. Class
        labels that the estimator knows stay as they are if `incremental`.
        """
        X, y = self._check_data(X, y, incremental, reset=reset)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        objective = self._objective(y.shape[1])
        dtype = X.dtype if dtype is None else dtype
        sample_weight = inputs.check_weights(sample_weight, X)
        sample_weight, alpha = inputs.near_one(sample_weight, self.alpha)
        data = (inputs.as_rows(X, dtype), self._targets(y, dtype), sample_weight)
        return X, y, data, objective, alpha

    def _reset(self, out_activation, n_outputs, n_layers, validates):
        """Forget what an earlier fit left; set what does not depend on training."""
        names = ["validation_scores_", "validation_loss_curve_", "best_validation_score_"]
        if self.solver in core.OPTIMIZERS:
            names += ["loss_curve_", "best_loss_", "_no_improvement_count"]
        elif not validates:  # lbfgs has no curves then, and leaves those it finds
            names = []
        for name in names:
            vars(self).pop(name, None)
        self.n_iter_ = self.t_ = 0
        self.n_outputs_ = n_outputs
        self.n_layers_ = n_layers
        self.out_activation_ = out_activation

    def _check_shape(self, units, hidden, n_outputs):
        """Raise ValueError where a fitted network cannot go on as the parameters now say.

        Other widths at the same depth are ignored by 'sgd' and 'adam', as in scikit-learn.
        """
        if len(hidden) != len(units) - 2 or (
            self.solver == "lbfgs" and tuple(hidden) != units[1:-1]
        ):
            raise ValueError(
                f"hidden_layer_sizes is {hidden}, but the fitted model has {list(units[1:-1])}."
            )
        if n_outputs != units[-1]:
            raise ValueError(
                f"y has {n_outputs} columns, but the fitted model has {units[-1]} outputs."
            )

    def _check_memory(self, units, activations, X, n_validation):
        """Refuse what would not fit, before it is allocated: parameters first, then scratch."""
        what = f"hidden_layer_sizes={self.hidden_layer_sizes!r}"
        size = X.dtype.itemsize
        stochastic = self.solver in core.OPTIMIZERS
        # Early stopping keeps the first parameters, the best, and for a moment the best before.
        arrays = 1 + core.STATE_ROWS.get(self.solver, 0) + 3 * self.early_stopping
        per_param = size * arrays if stochastic else 8 * LBFGS_VECTORS + 2 * size
        needed = count_params(units) * per_param
        memory.check_fits(needed, what)
        if stochastic:
            batch = min(200 if self.batch_size == "auto" else self.batch_size, X.shape[0])
            use = epoch_use(issparse(X))
        else:
            batch, use = min(GRADIENT_CHUNK, X.shape[0]), "gradient"
        # A tape's layer needs what gelu's does; its registers, some dozens of rows, are left out.
        gelu = core.ACTIVATIONS["gelu"]
        plan = make_plan(units, [core.ACTIVATIONS.get(one, gelu) for one in activations])
        # A small network gets few ranks, and each needs little: no need to count the cores.
        ranks = self.n_threads or (available_cores() if needed > memory.LITTLE else 1)
        needed += size * core.scratch_size(plan, batch, min(ranks, MOST_RANKS), use)
        needed += size * n_validation * (2 * units[-1] + 1)  # targets, predictions, losses
        memory.check_fits(needed, what)

    def _fit_lbfgs(self, network, data, settings, validate):
        history = self._history(validate, settings.early_stopping)
        result, interrupted = minimize(network, data, settings, history, validate)
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = float(result.fun)
        if validate:
            self._store_validation(history)
        return interrupted, lambda: _check_optimize_result("lbfgs", result, self.max_iter)

    def _fit_stochastic(self, network, data, settings, rows, validate, incremental):
        n_samples = len(data[1]) if rows is None else len(rows)
        if self.batch_size == "auto":
            settings.batch_size = min(200, n_samples)
        else:
            if self.batch_size > n_samples:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than "
                    "sample size. It is going to be clipped",
                    stacklevel=USER_LINE + 2,
                )
            settings.batch_size = int(min(self.batch_size, n_samples))
        optimizer = getattr(self, "_optimizer", None) if incremental else None
        if optimizer is not None:
            optimizer = optimizer.copy(network.params.dtype)
        else:
            optimizer = Optimizer(
                self.solver,
                network.params.size,
                network.params.dtype,
                rate=self.learning_rate_init,
                schedule=self.learning_rate,
                power_t=self.power_t,
                momentum=self.momentum,
                nesterov=self.nesterovs_momentum,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )
        history = self._history(validate, settings.early_stopping)
        interrupted = train(
            network,
            data,
            optimizer,
            settings,
            history,
            self._random_state,
            rows=rows,
            validate=validate,
            incremental=incremental,
        )
        self._optimizer = optimizer
        self.n_iter_, self.t_, self.loss_ = history.n_iter, history.t, history.loss
        self.loss_curve_, self.best_loss_ = history.loss_curve, history.best_loss
        self._store_validation(history)
        self._no_improvement_count = history.no_improvement_count

        def warn():
            if history.warning:
                warnings.warn(history.warning, ConvergenceWarning, stacklevel=USER_LINE + 1)

        return interrupted, warn

    def _store_validation(self, history):
        self.validation_scores_ = history.validation_scores
        self.validation_loss_curve_ = history.validation_loss_curve
        self.best_validation_score_ = history.best_validation_score

    def _history(self, validates, early_stopping):
        """The course of the fits that this one continues, as far as there were any."""
        history = History(
            t=self.t_,
            loss=getattr(self, "loss_", np.inf),
            loss_curve=list(getattr(self, "loss_curve_", ())),
            no_improvement_count=getattr(self, "_no_improvement_count", 0),
        )
        if validates:
            history.validation_scores = list(getattr(self, "validation_scores_", None) or ())
            history.validation_loss_curve = list(
                getattr(self, "validation_loss_curve_", None) or ()
            )
        if early_stopping:
            history.best_loss = None
            best = getattr(self, "best_validation_score_", None)
            history.best_validation_score = -np.inf if best is None else best
        else:
            best = getattr(self, "best_loss_", None)
            history.best_loss = np.inf if best is None else best
        return history

    # ---- validation

    def _check_validation(self, validation, n_outputs, dtype):
        """(X, y, sample_weight) that `fit` was given for validation, as `_fit` has its own."""
        X, y, sample_weight = inputs.check_validation_data(
            self, *validation, y_numeric=not is_classifier(self)
        )
        with inputs.about("X_val"):
            x = inputs.as_rows(X, dtype)
        with inputs.about("y_val"):
            y = self._check_validation_targets(y, n_outputs)
        return x, y, inputs.near_one(sample_weight, 0.0)[0]

    def _hold_out(self, X, y, sample_weight, dtype):
        """Rows to train on, and (X, y, sample_weight) of the others."""
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        rows, held_out = hold_out(len(y), self.validation_fraction, self._random_state, stratify)
        weight = None if sample_weight is None else sample_weight[held_out]
        return rows, (inputs.as_rows(X[held_out], dtype), y[held_out], weight)

    def _validation_set(self, network, objective, x, y, sample_weight):
        """What the trainer calls: a team -> score and loss of the network as it stands."""
        truth = self._decode(y)

        def score(out):
            prediction = self._decode(out)
            if prediction.dtype.kind == "f" and not np.isfinite(prediction).all():
                return np.nan
            with np.errstate(over="ignore", invalid="ignore"):  # predictions may be huge
                return float(self._metric(truth, prediction, sample_weight=sample_weight))

        # The losses that lbfgs reports are not scaled.
        scale = 1.0 if self.solver == "lbfgs" else objective.scale
        with inputs.about("y_val"):  # float32 may not hold it
            targets = self._targets(y, network.params.dtype)
        return ValidationSet(network, objective, scale, (x, targets, sample_weight), score)

    # ---- given weights

    @classmethod
    def _from_weights(cls, coefs, intercepts, parameters):
        """A new estimator with a network of these values; what it predicts is not yet said."""
        network = Network.from_arrays(coefs, intercepts, parameters["activation"])
        estimator = cls(hidden_layer_sizes=network.units[1:-1], **parameters)
        estimator._validate_params()
        if not network.is_finite():
            raise ValueError("coefs and intercepts must be finite")
        estimator.n_features_in_ = network.units[0]
        estimator._reset(None, network.units[-1], len(network.units), False)
        estimator._network = network
        estimator.coefs_, estimator.intercepts_ = list(network.coefs), list(network.intercepts)
        return estimator

    @classmethod
    def _from_sklearn(cls, model):
        """The twin of a fitted estimator of scikit-learn's with the same name."""
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
        known = {*LEARNED, "_label_binarizer", "_no_improvement_count"}
        vars(estimator).update(
            {name: copy.deepcopy(value) for name, value in vars(model).items() if name in known}
        )
        network = estimator._current_network()
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

    # ---- predict

    def _current_network(self):
        """The network of coefs_ and intercepts_: those lists are the truth, its arena a cache."""
        known = vars(self)
        network, coefs, intercepts = known.get("_network"), self.coefs_, self.intercepts_
        if (
            network is None
            or network.activation != self.activation
            or not network.holds(coefs, intercepts)
        ):
            network = Network.from_arrays(coefs, intercepts, self.activation)
            expected = getattr(self, "n_features_in_", network.units[0])
            if network.units[0] != expected:
                raise ValueError(
                    f"coefs_[0] has {network.units[0]} rows, but the model was fitted "
                    f"on {expected} features."
                )
            # At one blow, and never over what a fit in another thread has brought meanwhile.
            known.update(
                _network=network, coefs_=list(network.coefs), intercepts_=list(network.intercepts)
            )
        return network

    def __getstate__(self):
        """Without the cache: the weights are pickled once, as plain arrays.

        Functions are pickled as the formulas that they are, or were when the network was made.
        """
        state = {
            name: value for name, value in super().__getstate__().items() if name != "_network"
        }
        network, activation = vars(self).get("_network"), self.activation
        if network is not None and network.activations and network.activation == activation:
            is_list = isinstance(activation, list | tuple)
            state["activation"] = (
                type(activation)(network.activations) if is_list else network.activations[0]
            )
        for name in ("loss", "activation"):
            state[name] = _as_formula(state[name], name)
        return state

    def _predict(self, X):
        """Predictions of the network, shape (n_samples, n_outputs)."""
        network, rows = self._plain(X)
        if network is not None:
            out, finite = self._forward(network, rows)
            if finite:  # or else the checks tell NaN from sums that overflowed
                return out
        check_is_fitted(self)
        X = inputs.check_prediction_data(self, X)
        return self._forward(self._current_network(), X)[0]

    def _plain(self, X):
        """Network and rows, where all that scikit-learn could still say is that X is not finite.

        (None, None) otherwise. Its checks take ten times as long as to predict a row.
        """
        known = vars(self)  # once: a fit that ends meanwhile brings its own
        network = known.get("_network")
        names = getattr(self, "feature_names_in_", None)
        if names is not None:
            X = inputs.plain_frame(X, names)
        if (
            network is not None
            and inputs.is_plain(X)
            and X.shape[1] == network.units[0] == known.get("n_features_in_")
            and network.activation == known.get("activation")
            and network.holds(known.get("coefs_", ()), known.get("intercepts_", ()))
            and not hasattr(self, "__sklearn_is_fitted__")
        ):
            return network, X
        return None, None

    def _forward(self, network, X):
        """Predictions of rows X in any layout, or CSR, and whether they are finite."""
        if X.dtype != network.params.dtype:
            network = network.for_rows_of(X.dtype)
        dtype = network.params.dtype
        link = self.out_activation_
        n_samples = X.shape[0]
        out = np.empty((n_samples, network.units[-1]), dtype)
        if n_samples <= LEAST_CHUNK and (
            backend == "native" or n_samples * max(network.products) < SMALL_PRODUCT
        ):
            return out, network.predict(inputs.as_rows(X, dtype), link, out)
        work = sum(network.row_work(X.nnz / n_samples if issparse(X) else None))
        chunk = chunk_rows(work)
        chunks = -(-n_samples // chunk)
        n_threads = 1 if chunks == 1 else self.n_threads and min(self.n_threads, chunks)
        with team(n_threads, call_cost(n_samples * work), n_samples, 0) as members:
            # What has to be copied or converted is so chunk by chunk.
            return out, predict_chunks(
                network, lambda part: inputs.as_rows(X[part], dtype), chunk, link, out, members
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
