"""Network: the plan (a table of layers), the arena of parameters, and views into it."""

from itertools import pairwise

import numpy as np

from fastbp import initializers
from fastbp._dispatch import core

PLAN = np.dtype(
    [(name, np.int64) for name in ("fan_in", "fan_out", "activation", "weight", "bias", "output")]
)

# Rows and multiply-adds that one call of the core predicts at most: some 50 ms.
PREDICT_CHUNK, PREDICT_WORK = 4096, 400_000_000


def count_params(units):
    """Weights and biases of a network with these widths, the input's first."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(units))


def make_plan(units, activation):
    """One row per layer; all weights lie before all biases, the order of scikit-learn's lbfgs."""
    plan = np.zeros(len(units) - 1, PLAN)
    plan["fan_in"], plan["fan_out"] = units[:-1], units[1:]
    plan["activation"][:-1] = core.ACTIVATIONS[activation]
    plan["activation"][-1] = core.ACTIVATIONS["identity"]
    weights = plan["fan_in"] * plan["fan_out"]
    plan["weight"] = np.cumsum(weights) - weights
    plan["bias"] = weights.sum() + np.cumsum(plan["fan_out"]) - plan["fan_out"]
    plan["output"] = np.cumsum(plan["fan_out"]) - plan["fan_out"]
    return plan


def allocate(size, dtype):
    """Scratch: not initialized, but NaN in a debug build, so that a stray read is seen."""
    return np.full(size, np.nan, dtype) if core.DEBUG else np.empty(size, dtype)


class Network:
    """A multilayer perceptron: plan, params, and `coefs` and `intercepts` as views into params.

    Parameters
    ----------
    units : sequence of int
        Widths of all layers, the input's first.
    activation : str
        Of the hidden layers; a key of `core.ACTIVATIONS`.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, units, activation, dtype):
        self.units = tuple(int(width) for width in units)
        self.activation = activation
        self.plan = make_plan(self.units, activation)
        self.params = np.zeros(count_params(self.units), dtype)
        self.coefs, self.intercepts = [], []
        for layer in self.plan:
            fan_in, fan_out = layer["fan_in"], layer["fan_out"]
            weight = self.params[layer["weight"] : layer["weight"] + fan_in * fan_out]
            self.coefs.append(weight.reshape(fan_in, fan_out))
            self.intercepts.append(self.params[layer["bias"] : layer["bias"] + fan_out])

    @classmethod
    def from_arrays(cls, coefs, intercepts, activation):
        """A network with the values of these lists, which are not changed."""
        coefs = [np.asarray(weight) for weight in coefs]
        intercepts = [np.asarray(bias) for bias in intercepts]
        shapes = [weight.shape for weight in coefs]
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
        dtype = np.float32 if dtype == np.float32 else np.float64
        network = cls([shapes[0][0], *(shape[1] for shape in shapes)], activation, dtype)
        for view, array in zip(
            network.coefs + network.intercepts, coefs + intercepts, strict=True
        ):
            view[...] = array
        return network

    def copy(self):
        """The same network in an arena of its own."""
        return self.astype(self.params.dtype)

    def astype(self, dtype):
        """A copy in another dtype."""
        network = Network(self.units, self.activation, dtype)
        network.params[...] = self.params
        return network

    def holds(self, coefs, intercepts):
        """Whether the lists are, array for array, this network's views."""
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(_same, coefs, self.coefs))
            and all(map(_same, intercepts, self.intercepts))
        )

    def initialize(self, random_state):
        """Draw all layers' parameters, from the input to the output."""
        factor = 2.0 if self.activation == "logistic" else 6.0
        for weight, bias in zip(self.coefs, self.intercepts, strict=True):
            initializers.glorot_uniform(weight, bias, random_state, factor)

    def scratch(self, batch, ranks, use):
        """Scratch for a use of the core: 'epoch', 'epoch_csr', 'gradient' or 'predict'."""
        return allocate(core.scratch_size(self.plan, batch, ranks, use), self.params.dtype)

    def predict(self, x, loss, out):
        """Write the predictions of rows x, link of the loss applied, into out (rows, outputs).

        In chunks, between which Python sees signals.
        """
        work = int((self.plan["fan_in"] * self.plan["fan_out"]).sum())
        chunk = min(max(PREDICT_WORK // work, 64), PREDICT_CHUNK, len(out))
        scratch = self.scratch(chunk, 1, "predict")
        for first in range(0, len(out), chunk):
            last = first + chunk
            if isinstance(x, tuple):  # CSR: the chunk's row pointers, into the same entries
                data, indices, indptr, features = x
                rows = (data, indices, indptr[first : last + 1], features)
            else:
                rows = x[first:last]
            core.predict(
                self.plan, self.params, scratch, rows, out[first:last], core.LOSSES[loss]
            )
        return out


def _same(a, b):
    return a is b
