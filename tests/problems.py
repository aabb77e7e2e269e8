"""Small problems over the core's own tables, and the doors called with them."""

import numpy as np
import scipy.sparse

from fastbp._dispatch import core
from fastbp._validation import as_rows
from fastbp.network import Network

HYPER = dict(loss_scale=1.0, alpha=0.1, rate=0.01, momentum=0.9, nesterov=True, beta_1=0.9,
             beta_2=0.999, epsilon=1e-8)
DTYPES = (np.float64, np.float32)


class Problem:
    """A network, data and the hyperparameters of a step, drawn from a seed."""

    def __init__(self, activation="tanh", loss="squared_error", dtype=np.float64, *, n=23,
                 hidden=(5, 4), features=6, outputs=None, sparse=False, weighted=True, seed=0,
                 **hyper):
        rng = np.random.RandomState(seed)
        outputs = outputs or {"log_loss": 4, "squared_error": 2}.get(loss, 3)
        self.activation, self.loss, self.dtype, self.n = activation, loss, dtype, n
        self.hyper = {**HYPER, "loss": core.LOSSES[loss], "optimizer": core.OPTIMIZERS["sgd"],
                      "batch": n, **hyper}
        self.network = Network([features, *hidden, outputs], activation, dtype)
        self.network.initialize(rng)
        X = rng.randn(n, features)
        if sparse:
            X[rng.rand(*X.shape) < 0.6] = 0
        self.X = X.astype(dtype)
        self.x = as_rows(scipy.sparse.csr_array(self.X) if sparse else self.X, dtype)
        self.y = {
            "squared_error": lambda: rng.randn(n, outputs),
            "poisson": lambda: rng.poisson(2.0, (n, outputs)),
            "binary_log_loss": lambda: rng.randint(0, 2, (n, outputs)),
            "log_loss": lambda: rng.randint(0, outputs, (n, 1)),
        }[loss]().astype(dtype)
        self.weight = rng.randint(0, 4, n).astype(float) if weighted else None

    @property
    def coefs(self):
        return [w.astype(np.float64) for w in self.network.coefs]

    @property
    def intercepts(self):
        return [b.astype(np.float64) for b in self.network.intercepts]

    def words(self):
        return np.zeros(core.TEAM_WORDS, np.int32)

    def loss_gradient(self, params=None, chunk=None, x=None, y=None, weight="own"):
        """Reported loss and flat gradient, by the core."""
        params = self.network.params if params is None else params.astype(self.dtype)
        chunk = chunk or self.n
        weight = self.weight if isinstance(weight, str) else weight
        grads, tally = np.empty_like(params), np.zeros(2)
        data = (self.x if x is None else x, self.y if y is None else y, weight, None)
        core.loss_gradient(self.network.plan, params, grads,
                           self.network.scratch(chunk, 1, "gradient"), tally, data,
                           {**self.hyper, "batch": chunk}, (self.words(), 0, 1))
        assert tally[1] == len(data[1])
        return tally[0], grads

    def pack(self, coefs, intercepts):
        """Lists as one flat array, in the arena's order."""
        return np.concatenate([array.ravel() for array in [*coefs, *intercepts]])

    def unpack(self, params):
        """Lists of float64 views of a flat array."""
        coefs, intercepts = [], []
        for layer in self.network.plan:
            size = layer["fan_in"] * layer["fan_out"]
            coefs.append(params[layer["weight"]:layer["weight"] + size]
                         .reshape(layer["fan_in"], layer["fan_out"]))
            intercepts.append(params[layer["bias"]:layer["bias"] + layer["fan_out"]])
        return coefs, intercepts


def state_of(network, optimizer):
    return np.zeros((core.STATE_ROWS[optimizer], network.params.size), network.params.dtype)
