"""Small problems over the core's own tables, and the doors called with them."""

import threading

import numpy as np
import scipy.sparse

import oracle
import twins
from fastbp import MLPClassifier
from fastbp.estimators.inputs import as_rows
from fastbp.kernels import CSR, LoweredObjective, Rank, Task, core
from fastbp.network import Network, epoch_use, make_plan
from fastbp.training import Samples, empty_sums

DEFAULTS = MLPClassifier().get_params()
DTYPES = (np.float64, np.float32)
# Those that the core has, and some of prediction under other links: "loss/link".
LOSSES = [
    *core.LOSSES,
    "squared_error/softmax",
    "squared_error/logistic",
    "absolute_error/softplus",
    "huber/softplus",
    "quantile/exp",
    "log_cosh/logistic",
]


def rule_of(optimizer, **constants):
    """The core's Rule of an optimizer's name."""
    defaults = {name: DEFAULTS[name] or 0.0 for name in core.ALL_CONSTANTS}
    return {**defaults, **constants, "optimizer": core.OPTIMIZERS[optimizer]}


def lowered(loss, outputs, alpha=0.0, exact=False):
    """The core's objective of a name in LOSSES."""
    name, link = oracle.split(loss)
    parameters = twins.LOSSES[name].lowered(outputs)
    return LoweredObjective(core.LOSSES[name], core.LINKS[link], parameters, alpha, 1.0, exact)


def guarded(array):
    """A copy with NaN before and behind it, and the whole: what is read or written there shows."""
    whole = np.full(array.size + 128, np.nan, array.dtype)
    copy = whole[64:-64].reshape(array.shape)
    copy[...] = array
    return copy, whole


class Problem:
    """A network, data, an objective and the constants of a step, drawn from a seed."""

    def __init__(
        self,
        activation="tanh",
        loss="squared_error",
        dtype=np.float64,
        *,
        n=23,
        hidden=(5, 4),
        features=6,
        outputs=None,
        sparse=False,
        weighted=True,
        seed=0,
        alpha=0.1,
        exact=False,
        smoothing=0.0,
        batch=None,
        rate=0.01,
        optimizer="sgd",
    ):
        rng = np.random.RandomState(seed)
        outputs = outputs or {"log_loss": 4, "squared_error": 2}.get(loss, 3)
        name, link = oracle.split(loss)
        outputs *= twins.LOSSES[name].per_target
        self.activation, self.loss, self.dtype, self.n = activation, loss, dtype, n
        self.objective = lowered(loss, outputs, alpha, exact)._replace(smoothing=smoothing)
        self.alpha, self.batch, self.rate, self.rule = alpha, batch or n, rate, rule_of(optimizer)
        self.network = Network([features, *hidden, outputs], activation, dtype)
        self.network.initialize(rng, "glorot_uniform")  # biases that are not 0: no kink at z = 0
        X = rng.randn(n, features)
        if sparse:
            X[rng.rand(*X.shape) < 0.6] = 0
        self.X = X.astype(dtype)
        self.x = as_rows(scipy.sparse.csr_array(self.X) if sparse else self.X, dtype)
        if twins.LOSSES[name].targets:
            y = twins.LOSSES[name].targets(rng, (n, outputs))
        elif link == "softmax":
            y = rng.randint(0, outputs, (n, 1))
        elif link == "logistic":
            y = rng.randint(0, 2, (n, outputs))
        else:
            y = rng.randn(n, outputs)
        self.y = y.astype(dtype)
        self.weight = rng.randint(0, 4, n).astype(float) if weighted else None
        self.codes = None

    @property
    def coefs(self):
        return [w.astype(np.float64) for w in self.network.coefs]

    @property
    def intercepts(self):
        return [b.astype(np.float64) for b in self.network.intercepts]

    def words(self):
        return np.zeros(core.TEAM_WORDS, np.int32)

    def alone(self):
        """The only rank of a team."""
        return Rank(self.words(), 0, 1)

    def task(self, *, weight=None, order=None, **fields):
        """The work of an epoch."""
        steps = -(-self.n // self.batch)
        if order is not None and order.dtype != np.intp:
            order = order.astype(np.intp)  # NumPy's permutations are of 32 bits on Windows
        given = dict(
            samples=Samples(self.x, self.y, weight, self.codes),
            objective=self.objective,
            rule=self.rule,
            batch=self.batch,
            rates=np.full((steps, 1), float(self.rate)),
        )
        return Task(**{**given, **fields}, order=order)

    def loss_gradient(self, params=None, chunk=None, x=None, y=None, weight="own"):
        """Reported loss and flat gradient, by the core."""
        params = self.network.params if params is None else params.astype(self.dtype)
        chunk = chunk or self.n
        weight = self.weight if isinstance(weight, str) else weight
        samples = Samples(self.x if x is None else x, self.y if y is None else y, weight)
        sums, tally = sums_of(params, -(-len(samples) // chunk)), np.zeros(2)
        core.loss_gradient(
            self.network.plan,
            params,
            sums,
            self.network.scratch(chunk, 1, "gradient"),
            tally,
            Task(samples, self.objective, batch=chunk),
            self.alone(),
        )
        assert tally[1] == len(samples.y)
        return tally[0], sums.grads[0]

    def pack(self, coefs, intercepts):
        """Lists as one flat array, in the arena's order."""
        return np.concatenate([array.ravel() for array in [*coefs, *intercepts]])

    def unpack(self, params):
        """Lists of float64 views of a flat array."""
        coefs, intercepts = [], []
        for layer in self.network.plan:
            size = layer["fan_in"] * layer["fan_out"]
            coefs.append(
                params[layer["weight"] : layer["weight"] + size].reshape(
                    layer["fan_in"], layer["fan_out"]
                )
            )
            intercepts.append(params[layer["bias"] : layer["bias"] + layer["fan_out"]])
        return coefs, intercepts


def row_losses(loss, z, y, exact=False, core=core, **fields):
    """Row losses and deltas of raw predictions, by the core."""
    n, outputs = z.shape
    plan = make_plan([1, outputs], [])
    delta, rows = np.empty_like(z), np.empty(n, z.dtype)
    scratch = np.full(core.scratch_size(plan, n, 1, "validate"), np.nan, z.dtype)
    objective = lowered(loss, outputs, exact=exact)._replace(**fields)
    core.kernel_losses(plan, z.copy(), y, objective, delta, rows, scratch)
    return rows, delta


def state_of(network, optimizer, ema_decay=0.0):
    """State before the first step, with a row for the average if there is one."""
    rows = core.STATE_ROWS[optimizer] + (ema_decay > 0)
    return np.zeros((rows, network.params.size), network.params.dtype)


def sums_of(params, end, first=0):
    """Room for the sums of the chunks first..end, of which none is there."""
    sums = empty_sums(params, first, end)
    sums.grads[:] = np.nan
    return sums


def in_team(door, words, size, *arguments):
    """Call a door of the core in each rank of a team of that size."""
    ranks = [
        threading.Thread(target=door, args=(*arguments, Rank(words, rank, size)))
        for rank in range(size)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()


def run_epoch(
    problem,
    optimizer="sgd",
    *,
    params=None,
    state=None,
    weight=None,
    order=None,
    size=1,
    t=0.0,
    origin=None,
    dropout=None,
    **constants,
):
    """Parameters, state and tally after one epoch, by the core, in a team of that size."""
    problem.rule = rule_of(optimizer, **constants)
    network, use = problem.network.copy(), "epoch"
    if params is not None:
        network.params[:] = params
    if state is None:
        state = state_of(network, optimizer, problem.rule["ema_decay"])
    state, tally = state.copy(), np.array([0.0, 0, t])
    if dropout is not None:  # the core adds to the samples that were seen
        dropout = dropout._replace(seen=dropout.seen.copy())
    task = problem.task(weight=weight, order=order, origin=origin, dropout=dropout)
    if origin is not None and origin.steps == t:
        network.params[:] = state[:] = np.nan  # first written in the first step
    use = epoch_use(isinstance(problem.x, CSR), problem.rule["clip_norm"] > 0)
    codes = task.samples.codes
    scratch = network.scratch(problem.batch, size, use, dropout=dropout, codes=codes)
    arguments = network.program, network.params, state, scratch, tally, task
    in_team(core.train_epochs, problem.words(), size, *arguments)
    return network.params, state, tally


def oracle_epoch(problem, params, state, t, *, weight=None, order=None, dropout=None):
    """An epoch of the problem's rule after t steps, in place. Returns the sum of batch losses."""
    order, total = np.arange(problem.n) if order is None else order, 0.0
    optimizer = {code: name for name, code in core.OPTIMIZERS.items()}[problem.rule["optimizer"]]
    is_weight = np.arange(params.size) < sum(w.size for w in problem.coefs)
    for first in range(0, problem.n, problem.batch):
        rows = order[first : first + problem.batch]
        weights = None if weight is None else weight[rows]
        if weights is not None and not weights.any():
            continue
        t += 1
        masks = None
        if dropout is not None:
            widths = enumerate(problem.network.units[:-1])
            masks = [oracle.mask(dropout, k, first, len(rows), width) for k, width in widths]
        loss, _, dcoefs, dintercepts = oracle.loss_gradient(
            *problem.unpack(params),
            problem.activation,
            problem.loss,
            problem.X[rows],
            problem.y[rows],
            weights,
            problem.alpha,
            masks=masks,
        )
        total += loss * len(rows)
        grads = problem.pack(dcoefs, dintercepts)
        oracle.step(params, grads, state, t, problem.rate, problem.rule, optimizer, is_weight)
    return total
