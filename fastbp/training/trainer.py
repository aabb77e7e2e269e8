"""Training: epochs, early stopping, curves, interrupts. The only training loop in Python."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize

from fastbp.kernels import CSR, LoweredObjective, Rank, Task, core, variant
from fastbp.network import allocate, count_rows, epoch_use
from fastbp.threads.team import single_threaded_blas, step_cost, team
from fastbp.training import schedules

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
NAN_LOSS = "The loss is NaN: it is not defined for some raw predictions that training came to."
# Rows of the chunks in which lbfgs walks the data: enough for efficient products, and scratch of
# a few MiB for usual widths.
GRADIENT_CHUNK = 1024


@dataclass
class Objective:
    """What training makes small: a loss of raw predictions and targets.

    loss is a name or an Expression, link the name of what makes predictions of raw ones; parameters
    are the loss's own: a level for each output, a threshold, a power. The reported loss is that of
    clipped probabilities, unless it is to be `exact`, and multiplied by `scale`.
    """

    loss: object
    link: str
    parameters: np.ndarray | None = None
    scale: float = 1.0
    exact: bool = False

    def program(self, network, alpha=0.0, scale=1.0):
        """The network's program with this loss, and the objective as the core computes it."""
        program, code = network.with_loss(self.loss)
        return program, LoweredObjective(
            code, core.LINKS[self.link], self.parameters, alpha, scale, self.exact
        )


class Samples(NamedTuple):
    """What is trained on, as the core reads it."""

    x: Any
    y: Any
    weight: Any


@dataclass
class Settings:
    """What training needs to know besides network, data and optimizer."""

    objective: Objective
    alpha: float
    max_iter: int
    tol: float
    batch_size: int = 1
    n_iter_no_change: float = 10
    shuffle: bool = True
    early_stopping: bool = False  # whether the validation score decides, or the loss
    verbose: bool = False
    max_fun: int = 15000
    n_threads: int | None = None


@dataclass
class History:
    """The course of training so far; goes on over warm starts and partial_fit."""

    t: int = 0  # samples seen
    n_iter: int = 0  # epochs of the last fit
    loss: float = np.inf
    loss_curve: list = field(default_factory=list)
    best_loss: float | None = np.inf
    validation_scores: list | None = None  # None: without a validation set
    validation_loss_curve: list | None = None
    best_validation_score: float | None = None
    no_improvement_count: int = 0
    warning: str = ""  # of convergence, for the caller to give once the model is stored


class Optimizer:
    """Solver, hyperparameters, rate, and state: an arena of one or two rows (of the core's order).

    `tally` is the core's report: loss times samples, and samples, of the epoch; steps ever taken.
    """

    def __init__(
        self,
        solver,
        size,
        dtype,
        *,
        rate,
        schedule="constant",
        power_t=0.5,
        momentum=0.9,
        nesterov=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
    ):
        self.solver = solver
        self.initial_rate = self.rate = float(rate)
        self.schedule = schedule if solver == "sgd" else "constant"  # as scikit-learn's Adam
        self.power_t = power_t
        self.fields = dict(
            momentum=momentum,
            nesterovs_momentum=nesterov,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
        )
        self.state = np.zeros((core.STATE_ROWS[solver], size), dtype)
        self.tally = np.zeros(3)

    def copy(self, dtype):
        """The same optimizer with a state of its own, of this dtype."""
        twin = object.__new__(Optimizer)
        vars(twin).update(vars(self), state=self.state.astype(dtype), tally=self.tally.copy())
        return twin

    def rule(self):
        """The fields of the core's Rule."""
        return dict(self.fields, optimizer=core.OPTIMIZERS[self.solver])

    def set_rates(self, rates):
        """Write the rates of the epoch's steps."""
        rates[:, 0] = self.rate
        core.step_rates(self.rule(), rates, int(self.tally[2]) + 1)

    def end_epoch(self, samples_seen):
        """Let the schedule set the rate of the next epoch."""
        if self.schedule == "invscaling":
            self.rate = schedules.invscaling(self.initial_rate, samples_seen, self.power_t)

    def stops(self, message, verbose):
        """Whether training that has stalled ends; the adaptive schedule lowers the rate first."""
        rate, end = None, "Stopping."
        if self.schedule == "adaptive":
            rate = schedules.adaptive(self.rate)
            end = "Learning rate too small. Stopping."
            if rate is not None:
                self.rate, end = rate, f"Setting learning rate to {rate:f}"
        if verbose:
            print(f"{message} {end}")
        return rate is None


def work_per_sample(network, x):
    """Multiply-adds of forward and backward for one sample."""
    entries = len(x.data) / max(count_rows(x), 1) if isinstance(x, CSR) else None  # CSR
    first, others = network.row_work(entries)
    return 10 * sum(network.units[1:]) + 2 * first + 3 * others  # 10: activations and losses


def train(
    network,
    data,
    optimizer,
    settings,
    history,
    random_state,
    *,
    rows=None,
    validate=None,
    incremental=False,
):
    """Train by mini-batch steps, in place, and write the course into history.

    Parameters
    ----------
    network : Network
    data : tuple (x, y, sample_weight or None)
        Arrays as `_validation` gives them.
    optimizer : Optimizer
    settings : Settings
    history : History
    random_state : RandomState
        Draws the order of each epoch, as `sklearn.utils.shuffle` does.
    rows : ndarray of intp, default=None
        The samples to train on; None: all.
    validate : callable, default=None
        team -> validation score and loss of the network as it stands: recorded after each epoch.
    incremental : bool, default=False
        One epoch, no warning about convergence.

    Returns
    -------
    interrupted : bool
        Whether Ctrl-C ended training, at a batch boundary.

    Raises
    ------
    ValueError
        At the first epoch that ends with parameters that are not finite, or whose loss is NaN; with
        early stopping the best parameters are restored instead, with a warning.
    """
    n_samples = len(data[1]) if rows is None else len(rows)
    program, objective = settings.objective.program(
        network, settings.alpha, settings.objective.scale
    )
    use = epoch_use(isinstance(data[0], CSR))
    sample_work = work_per_sample(network, data[0])
    step_work = sample_work * settings.batch_size + 8 * network.params.size
    epoch_work = step_work * math.ceil(n_samples / settings.batch_size)
    began = History(
        history.t,
        0,
        history.loss,
        list(history.loss_curve),
        validation_scores=list(history.validation_scores or ()),
        validation_loss_curve=list(history.validation_loss_curve or ()),
    )
    # (score, parameters). None: "as they stand", for after a warm start scikit-learn's best weights
    # are the current ones; only divergence goes back to those it began with.
    start = network.params.copy() if settings.early_stopping else None
    best = (history.best_validation_score, None if began.loss_curve else start)
    interrupted, diverged = False, ""
    optimizer.tally[:2] = 0
    history.n_iter = 0
    try:
        cost = step_cost(step_work, network.params.size)
        with team(settings.n_threads, cost, settings.batch_size, epoch_work) as members:
            scratch = network.scratch(settings.batch_size, members.size, use, program)
            steps = -(-n_samples // settings.batch_size)
            rates = np.empty((steps if core.CORRECTS_RATE[optimizer.solver] else 1, 2))
            order = rows
            if settings.shuffle:
                order = np.arange(n_samples, dtype=np.intp) if rows is None else rows.copy()
            arguments = (
                program,
                network.params,
                optimizer.state,
                scratch,
                optimizer.tally,
                Task(
                    Samples(*data), objective, optimizer.rule(), order, settings.batch_size, rates
                ),
            )
            epoch = functools.partial(variant(core.train_epoch, network.params.dtype), *arguments)
            for _ in range(settings.max_iter):
                if settings.shuffle:  # as `sklearn.utils.shuffle`, out of the order before
                    random_state.shuffle(order)
                optimizer.set_rates(rates)
                members.run(epoch)
                history.loss = optimizer.tally[0] / n_samples
                history.loss_curve.append(history.loss)
                history.n_iter += 1
                history.t += n_samples
                if settings.verbose:
                    print(f"Iteration {history.n_iter}, loss = {history.loss:.8f}")
                if validate:
                    _record(history, settings, *validate(members))
                if not settings.early_stopping:
                    _watch_loss(history, settings)
                elif _watch_score(history, settings):
                    best = (history.validation_scores[-1], network.params.copy())
                    history.best_validation_score = best[0]
                if not network.is_finite():
                    diverged = NON_FINITE
                elif math.isnan(history.loss):  # weights may stay finite, where slopes do
                    diverged = NAN_LOSS
                if diverged:
                    break
                optimizer.end_epoch(history.t)
                if _has_stalled(history, settings, optimizer) or incremental:
                    break
                if history.n_iter == settings.max_iter:
                    history.warning = (
                        f"Stochastic Optimizer: Maximum iterations ({settings.max_iter:d}) reached "
                        "and the optimization hasn't converged yet."
                    )
    except KeyboardInterrupt:
        interrupted = True
        _make_consistent(
            history, began, optimizer, n_samples, best[0] if settings.early_stopping else None
        )
    if diverged:
        where = (
            f" Training stopped at epoch {history.n_iter} with learning rate {optimizer.rate:g}."
        )
        if not settings.early_stopping:
            raise ValueError(diverged + where)
        history.warning = diverged + where + " The best weights of the epochs before are restored."
        best = (best[0], start if best[1] is None else best[1])
    if best[1] is not None:
        network.params[...] = best[1]
    return interrupted


def _has_stalled(history, settings, optimizer):
    """Whether too many epochs brought too little, and the optimizer sees no way to go on."""
    if history.no_improvement_count <= settings.n_iter_no_change:
        return False
    what = "Validation score" if settings.early_stopping else "Training loss"
    message = (
        f"{what} did not improve more than tol={settings.tol:f} for "
        f"{settings.n_iter_no_change:d} consecutive epochs."
    )
    if optimizer.stops(message, settings.verbose):
        return True
    history.no_improvement_count = 0
    return False


def _record(history, settings, score, loss):
    """Append what the validation set says of the epoch."""
    history.validation_scores.append(score)
    history.validation_loss_curve.append(loss)
    if settings.verbose:
        print(f"Validation score: {score:f}")


def _watch_score(history, settings):
    """Count the epoch's validation score; whether it is the best so far."""
    score = history.validation_scores[-1]
    if score < history.best_validation_score + settings.tol:
        history.no_improvement_count += 1
    else:  # NaN too, as in scikit-learn
        history.no_improvement_count = 0
    return score > history.best_validation_score


def _watch_loss(history, settings):
    """Count the epoch's loss against the best so far."""
    if history.loss > history.best_loss - settings.tol:
        history.no_improvement_count += 1
    else:
        history.no_improvement_count = 0
    history.best_loss = min(history.best_loss, history.loss)


def _make_consistent(history, began, optimizer, n_samples, best_score):
    """After an interrupt, at whatever line it came: all counters follow from the curves.

    best_score is that of the parameters that were kept, None without early stopping.
    """
    curves = [(history.loss_curve, began.loss_curve)]
    if history.validation_scores is not None:
        curves += [
            (history.validation_scores, began.validation_scores),
            (history.validation_loss_curve, began.validation_loss_curve),
        ]
    done = min(len(curve) - len(before) for curve, before in curves)
    if best_score is not None:
        last = len(began.validation_scores) + done - 1
        if done and history.validation_scores[last] > best_score:
            done -= 1  # its parameters were not kept any more
        history.best_validation_score = best_score
    for curve, before in curves:
        del curve[len(before) + done :]
    history.n_iter = done
    history.t = began.t + done * n_samples
    if done:
        history.loss = history.loss_curve[-1]
    elif optimizer.tally[1]:  # the mean over the finished batches of the first epoch
        history.loss = optimizer.tally[0] / optimizer.tally[1]
    else:
        history.loss = began.loss
    if best_score is None:
        history.best_loss = min([x for x in history.loss_curve if x == x], default=np.inf)


def gradient_door(network, data, settings, ranks=1):
    """The door of reported loss and gradient over all samples, and the arrays it fills.

    Returns
    -------
    door : callable
        Of a member of the team.
    grads : ndarray
        The gradient of the objective, in the order of the network's params.
    tally : ndarray
        Loss, and number of samples.
    """
    chunk = min(GRADIENT_CHUNK, len(data[1]))
    # The penalty's and the outputs' terms are summed as they stand in the gradient, so multi-output
    # squared error is the sum over outputs (scikit-learn #8349).
    program, objective = settings.objective.program(network, settings.alpha)
    task = Task(Samples(*data), objective, batch=chunk)
    grads = allocate(network.params.size, network.params.dtype)
    tally = np.zeros(2)
    scratch = network.scratch(chunk, ranks, "gradient", program)

    def door(member):
        core.loss_gradient(program, network.params, grads, scratch, tally, task, member)

    return door, grads, tally


def loss_gradient(network, data, settings):
    """Reported loss, and the gradient of the objective, over all samples; by this thread alone."""
    door, grads, tally = gradient_door(network, data, settings)
    door(Rank(np.zeros(core.TEAM_WORDS, np.int32), 0, 1))
    return tally[0], grads


def minimize(network, data, settings, history, validate=None):
    """Fit by L-BFGS (scipy.optimize), in place, on gradients of all samples.

    What `validate` says of each iterate, as in `train`, goes into history; it decides nothing.

    Returns
    -------
    result : scipy.optimize.OptimizeResult
        Of which x is the network's parameters.
    interrupted : bool
        Whether Ctrl-C ended it; the last accepted iterate is kept then.
    """
    x, y, _ = data
    chunk = min(GRADIENT_CHUNK, len(y))
    start = network.params.astype(np.float64)
    accepted = scipy.optimize.OptimizeResult(x=start, fun=np.inf, nit=0)
    known = len(history.validation_scores or ())
    sample_work = work_per_sample(network, x)
    try:
        cost = step_cost(sample_work * chunk, network.params.size)
        # SciPy's L-BFGS calls BLAS for vectors, with as many threads as it may, beside the ranks.
        epoch_work = sample_work * len(y)
        with single_threaded_blas(), team(settings.n_threads, cost, chunk, epoch_work) as members:
            door, grads, tally = gradient_door(network, data, settings, members.size)

            def loss_gradient(params):
                network.params[...] = params
                members.run(door)
                if not accepted.nit and accepted.fun == np.inf:
                    accepted.fun = tally[0]
                return tally[0], grads.astype(np.float64)

            def accept(intermediate_result):
                nonlocal accepted
                if validate:
                    network.params[...] = intermediate_result.x
                    _record(history, settings, *validate(members))
                accepted = scipy.optimize.OptimizeResult(
                    x=intermediate_result.x.copy(),
                    fun=intermediate_result.fun,
                    nit=accepted.nit + 1,
                )

            options = {
                "maxfun": settings.max_fun,
                "maxiter": settings.max_iter,
                "gtol": settings.tol,
            }
            result = scipy.optimize.minimize(
                loss_gradient, start, method="L-BFGS-B", jac=True, options=options, callback=accept
            )
    except KeyboardInterrupt:
        network.params[...] = accepted.x
        if validate:  # it may know an iterate that was not accepted any more
            for curve in (history.validation_scores, history.validation_loss_curve):
                del curve[known + accepted.nit :]
        return accepted, True
    network.params[...] = result.x
    return result, False
