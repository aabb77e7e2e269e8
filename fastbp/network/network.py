"""Network: the plan (a table of layers), the arena of parameters, and views into it."""

from contextlib import contextmanager
from itertools import pairwise
from operator import is_

import numpy as np

from fastbp.kernels import core
from fastbp.network import initializers

PLAN = np.dtype(
    [(name, np.int64) for name in ("fan_in", "fan_out", "activation", "weight", "bias", "output")]
)

# Rows and multiply-adds of a chunk of predict, about: a millisecond, between which Python sees
# signals and the ranks of a team take turns.
PREDICT_CHUNK, LEAST_CHUNK, PREDICT_WORK = 4096, 64, 32_000_000
# Rows that are examined together: a few MiB for usual widths.
EXAMINE_CHUNK = 1024


def count_params(units):
    """Weights and biases of a network with these widths, the input's first."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))


def make_plan(units, codes):
    """One row per layer; all weights lie before all biases, the order of scikit-learn's lbfgs.

    codes are those of the hidden layers' activations.
    """
    weight, output = 0, 0
    biases = sum(fan_in * fan_out for fan_in, fan_out in pairwise(units))
    layers = []
    kinds = [*codes, core.ACTIVATIONS["identity"]]
    for (fan_in, fan_out), kind in zip(pairwise(units), kinds, strict=True):
        layers.append((fan_in, fan_out, kind, weight, biases + output, output))
        weight, output = weight + fan_in * fan_out, output + fan_out
    return np.array(layers, PLAN)


def hidden_activations(activation, depth):
    """The activation of each hidden layer: a name, or an Expression.

    Parameters
    ----------
    activation : str, callable, Expression, or list of them
        One for all layers, or a list with one for each.
    depth : int
        Hidden layers.
    """
    if not isinstance(activation, list | tuple):
        return [_activation(activation, "activation")] * depth
    if len(activation) != depth:
        raise ValueError(
            f"activation has {len(activation)} entries, but hidden_layer_sizes has {depth} layers: "
            "a list has one for each hidden layer"
        )
    return [_activation(one, f"activation[{k}]") for k, one in enumerate(activation)]


def _activation(activation, name):
    if isinstance(activation, str) and activation in core.ACTIVATIONS:
        return activation
    if not callable(activation):
        raise ValueError(
            f"{name} must be a function of fastbp.graph expressions or one of "
            f"{', '.join(core.ACTIVATIONS)}, got {activation!r}"
        )
    return trace(activation, name)


def trace(function, parameter):
    """The Expression of a function that is the value of an estimator's parameter."""
    from fastbp.graph import expression  # who has no function need not wait for it

    inputs = expression.LOSS if parameter == "loss" else expression.ACTIVATION
    with _of_parameter(parameter):
        return expression.Expression.trace(function, inputs)


def compiled(expression, n_outputs, parameter):
    """The tape of an Expression that is the value of an estimator's parameter."""
    from fastbp.graph.tape import compile_tape

    with _of_parameter(parameter):
        return compile_tape(expression, n_outputs, core.TAPE_OPERATIONS)


@contextmanager
def _of_parameter(name):
    """Let an error say which parameter's function it speaks of."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        error.add_note(f"This function is the parameter {name!r}.")
        raise


def assemble(plan, tapes):
    """What the doors of the core take for a plan: itself, or (plan, tapes, code, constants)."""
    if not tapes:
        return plan
    rows, code, constants = [], 0, 0
    for tape in tapes:
        n_constants, K = tape.constants.shape
        rows.append(
            (
                code,
                tape.head,
                len(tape.code),
                constants,
                n_constants,
                tape.registers,
                tape.value,
                tape.derivative,
                K,
            )
        )
        code, constants = code + len(tape.code), constants + n_constants * K
    return (
        plan,
        np.array(rows, np.int64),
        np.concatenate([tape.code for tape in tapes]),
        np.concatenate([tape.constants.ravel() for tape in tapes]),
    )


def allocate(size, dtype):
    """Scratch: not initialized, but NaN in a debug build, so that a stray read is seen."""
    return np.full(size, np.nan, dtype) if core.DEBUG else np.empty(size, dtype)


class Network:
    """A multilayer perceptron: plan, params, and `coefs` and `intercepts` as views into params.

    Parameters
    ----------
    units : sequence of int
        Widths of all layers, the input's first.
    activation : str, callable, Expression, or list of them
        Of the hidden layers, as `hidden_activations` takes it.
    dtype : dtype
        float32 or float64.
    activations : list, default=None
        What `hidden_activations` made of it, if that is known.

    Attributes
    ----------
    plan : ndarray of PLAN
        One row per layer.
    program : ndarray or tuple
        The plan with the tapes of its activations, as the doors of the core take it.
    """

    def __init__(self, units, activation, dtype, activations=None):
        self.units = tuple(int(width) for width in units)
        # A list is kept as it is now, so that one that the user changes is another.
        self.activation = list(activation) if isinstance(activation, list) else activation
        if activations is None:
            activations = hidden_activations(activation, len(self.units) - 2)
        self.activations = activations
        codes, self.tapes, known = [], [], {}
        for one in self.activations:
            if one not in known:
                known[one] = core.ACTIVATIONS.get(one, core.TAPES + len(self.tapes))
                if not isinstance(one, str):
                    self.tapes.append(compiled(one, 1, "activation"))
            codes.append(known[one])
        self.plan = make_plan(self.units, codes)
        self.program = assemble(self.plan, self.tapes)
        self._allocate(dtype)

    def _allocate(self, dtype):
        self.params = np.zeros(count_params(self.units), dtype)
        self.coefs, self.intercepts = [], []
        for fan_in, fan_out, _, weight, bias, _ in self.plan.tolist():
            view = self.params[weight : weight + fan_in * fan_out]
            self.coefs.append(view.reshape(fan_in, fan_out))
            self.intercepts.append(self.params[bias : bias + fan_out])
        self.products = [fan_in * fan_out for fan_in, fan_out in pairwise(self.units)]
        self._predict = core.predict["float" if dtype == np.float32 else "double"]

    @classmethod
    def from_arrays(cls, coefs, intercepts, activation):
        """A network with the values of these lists, which are not changed."""
        coefs = [np.asarray(weight) for weight in coefs]
        intercepts = [np.asarray(bias) for bias in intercepts]
        shapes = [weight.shape for weight in coefs]
        if not shapes or any(0 in shape for shape in shapes):
            raise ValueError(
                f"coefs_ has one layer at least, of which no width is 0, got shapes {shapes}"
            )
        if (
            any(len(shape) != 2 for shape in shapes)
            or any(left[1] != right[0] for left, right in pairwise(shapes))
            or [bias.shape for bias in intercepts] != [shape[1:] for shape in shapes]
        ):
            raise ValueError(
                f"coefs_ and intercepts_ do not fit each other: got shapes {shapes} and "
                f"{[bias.shape for bias in intercepts]}"
            )
        dtype = np.result_type(*coefs, *intercepts)
        if dtype.kind == "c":
            raise ValueError(f"coefs_ and intercepts_ must be real numbers, got {dtype}")
        dtype = np.float32 if dtype == np.float32 else np.float64
        network = cls([shapes[0][0], *(shape[1] for shape in shapes)], activation, dtype)
        for view, array in zip(network.coefs + network.intercepts, coefs + intercepts, strict=True):
            view[...] = array
        return network

    def copy(self):
        """The same network in an arena of its own."""
        return self.astype(self.params.dtype)

    def astype(self, dtype):
        """A copy in another dtype; functions are not traced again."""
        network = object.__new__(Network)
        vars(network).update(vars(self))
        network._allocate(dtype)
        network.params[...] = self.params
        return network

    def for_rows_of(self, dtype):
        """This network, or a copy in float64 where float32 would round rows of this dtype."""
        dtype = np.result_type(dtype, self.params.dtype)
        dtype = np.dtype(np.float32 if dtype == np.float32 else np.float64)
        return self if dtype == self.params.dtype else self.astype(dtype)

    def holds(self, coefs, intercepts):
        """Whether the lists are, array for array, this network's views."""
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(is_, coefs, self.coefs))
            and all(map(is_, intercepts, self.intercepts))
        )

    def with_loss(self, loss):
        """The program with a loss, a name or an Expression, and the loss's code."""
        if isinstance(loss, str):
            return self.program, core.LOSSES[loss]
        tapes = [*self.tapes, compiled(loss, self.units[-1], "loss")]
        return assemble(self.plan, tapes), core.TAPES + len(self.tapes)

    def initialize(self, random_state, init="auto"):
        """Draw all layers' parameters, from the input to the output.

        'auto' takes what fits each layer's activation, and for the output layer Glorot's, with the
        factor of the last hidden layer.
        """
        last = self.activations[-1] if self.activations else self.activation
        last = "logistic" if last == "logistic" else "identity"
        for weight, bias, activation in zip(
            self.coefs, self.intercepts, [*self.activations, last], strict=True
        ):
            fill = initializers.INITIALIZERS.get(init) or initializers.fitting(activation)
            fill(weight, bias, random_state)

    def is_finite(self):
        """Whether all parameters are."""
        return core.is_finite(self.params)

    def scratch(self, batch, ranks, use, program=None):
        """Scratch for a use of the core, which says what there is."""
        program = self.program if program is None else program
        return allocate(core.scratch_size(program, batch, ranks, use), self.params.dtype)

    def row_work(self, entries=None):
        """Multiply-adds for one row: of the first layer, and of the others.

        entries is the mean number of a CSR row's; None: dense rows.
        """
        first = self.products[0] if entries is None else entries * self.units[1]
        return first, sum(self.products) - self.products[0]

    def predict(self, x, link, out):
        """Write the predictions of rows x, link applied, into out (rows, outputs).

        Scratch belongs to the call, so that any number of threads may predict at once. Returns
        whether x is finite; False as well where the first layer's sums of a finite x are not.
        """
        scratch = self.scratch(len(out), 1, "predict")
        return self._predict(self.program, self.params, scratch, x, out, core.LINKS[link])

    def predict_chunks(self, rows, chunk, link, out, team, finish=None):
        """The same for many rows: rows(slice) is a chunk of x, and the ranks of a team take turns.

        finish(slice), if there is one, is called by the same rank. A stop is heard between chunks.
        """
        finite = []

        def predict_chunk(first):
            part = slice(first, first + chunk)
            finite.append(self.predict(rows(part), link, out[part]))
            if finish is not None:
                finish(part)

        team.for_each(range(0, len(out), chunk), predict_chunk)
        return all(finite)

    def forward(self, x, slopes=False):
        """The activations of all layers for rows x, the raw prediction last; or the slopes f'(z).

        Lists of arrays (rows, fan_out).
        """
        layers, flat = self._layers(count_rows(x))
        self._examine((x,), (None, flat, None, None) if slopes else (flat, None, None, None))
        return layers

    def input_gradients(self, x):
        """The derivatives of the raw predictions by x, shape (rows, outputs, features).

        An output's own delta is 1 there, and that of the others 0.
        """
        n_rows, n_outputs = count_rows(x), self.units[-1]
        found = np.empty((n_rows, n_outputs, self.units[0]), self.params.dtype)
        for first in range(0, n_rows, EXAMINE_CHUNK):
            part = slice(first, min(first + EXAMINE_CHUNK, n_rows))
            layers, deltas = self._layers(part.stop - first)
            dx = allocate((part.stop - first) * self.units[0], self.params.dtype)
            for k in range(n_outputs):
                layers[-1][:] = np.arange(n_outputs) == k
                self._examine((row_slice(x, part),), (None, None, deltas, dx))
                found[part, k] = dx.reshape(-1, self.units[0])
        return found

    def examine(self, x, y, program, loss_fields):
        """What training sees for rows x and their targets y.

        Parameters
        ----------
        x, y : rows and targets, as `_validation` gives them
        program, loss_fields
            Of an Objective.

        Returns
        -------
        activations, slopes, deltas : lists of ndarray of shape (rows, fan_out)
            a, f'(z) and dloss/dz of all layers; the last activation is the raw prediction.
        """
        found = [self._layers(len(y)) for _ in range(3)]
        flat = (*(flat for _, flat in found), None)
        self._examine((x, y, None, None), flat, program, loss_fields)
        return [layers for layers, _ in found]

    def _examine(self, data, found, program=None, loss_fields=None):
        scratch = self.scratch(count_rows(data[0]), 1, "examine", program)
        program = self.program if program is None else program
        core.examine(program, self.params, scratch, data, loss_fields, found)

    def _layers(self, n_rows):
        """An array (rows, fan_out) for each layer, and the flat one that they are views into."""
        flat = allocate(n_rows * sum(self.units[1:]), self.params.dtype)
        ends = n_rows * np.cumsum(self.units[1:])
        return [part.reshape(n_rows, -1) for part in np.split(flat, ends[:-1])], flat


def chunk_rows(work):
    """Rows of a chunk of predict, each so many multiply-adds.

    It depends on the network and the data alone, never on the team: the same blocks of rows, and
    with BLAS the same bits, at any number of threads.
    """
    blocks = int(PREDICT_WORK // max(work, 1)) // LEAST_CHUNK
    return min(max(blocks, 1) * LEAST_CHUNK, PREDICT_CHUNK)


def count_rows(x):
    """The number of rows, dense or CSR as the core takes it."""
    return len(x[2]) - 1 if isinstance(x, tuple) else len(x)


def row_slice(x, part):
    """A slice of rows, or of CSR as the core takes it: row pointers into the same entries."""
    if not isinstance(x, tuple):
        return x[part]
    data, indices, indptr, features = x
    return data, indices, indptr[part.start : part.stop + 1], features
