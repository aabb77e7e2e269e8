"""NumPy by hand: what a careful user writes for one network, without checks.

Arrays are made once, and every operation writes into one of them. relu and softmax only.
"""

from functools import partial

import numpy as np
import workloads as w
from scipy.optimize import minimize

from peers import calls, timed


def views(flat, layers):
    """Weights and biases of each layer, as views of one array."""
    ends = np.cumsum([part.size for layer in layers for part in layer])
    parts = np.split(flat, ends[:-1])
    return [(parts[2 * i].reshape(W.shape), parts[2 * i + 1]) for i, (W, _) in enumerate(layers)]


class Net:
    """relu layers and softmax, in views of one array of parameters and one of gradients."""

    def __init__(self, workload, n, dtype):
        layers = w.initial(workload, np.random.RandomState(0), dtype)
        self.params = np.concatenate([part.ravel() for layer in layers for part in layer])
        self.grads = np.zeros_like(self.params)
        self.layers, self.d_layers = (views(a, layers) for a in (self.params, self.grads))
        for mine, drawn in zip(self.layers, layers, strict=True):
            mine[0][:], mine[1][:] = drawn
        sizes = workload.sizes[1:]
        self.outputs = [np.empty((n, size), dtype) for size in sizes]
        self.deltas = [np.empty((n, size), dtype) for size in sizes]
        self.rows = np.arange(n)
        self.least = np.finfo(dtype).tiny  # log(0) is not defined

    def forward(self, X):
        for (W, b), out in zip(self.layers, self.outputs, strict=True):
            np.dot(X, W, out=out)
            out += b
            if out is not self.outputs[-1]:
                np.maximum(out, 0, out=out)
            X = out
        X -= X.max(axis=1, keepdims=True)
        np.exp(X, out=X)
        X /= X.sum(axis=1, keepdims=True)
        return X

    def gradient(self, X, y, alpha):
        """The loss without L2; the gradient with it is in `grads`."""
        P, n = self.forward(X), len(X)
        loss = -np.log(np.maximum(P[self.rows, y], self.least)).mean()
        delta = self.deltas[-1]
        np.divide(P, n, out=delta)
        delta[self.rows, y] -= 1 / n
        for i in reversed(range(len(self.layers))):
            (W, _), (dW, db) = self.layers[i], self.d_layers[i]
            below = self.outputs[i - 1] if i else X
            np.dot(below.T, delta, out=dW)
            dW += alpha / n * W
            delta.sum(axis=0, out=db)
            if i:
                np.dot(delta, W.T, out=self.deltas[i - 1])
                delta = self.deltas[i - 1]
                delta *= below > 0
        return loss


class Adam:
    def __init__(self, params):
        self.first, self.second, self.step = (np.zeros_like(params) for _ in range(3))
        self.t = 0

    def update(self, params, grads):
        self.t += 1
        rate = w.RATE * (1 - w.BETA_2**self.t) ** 0.5 / (1 - w.BETA_1**self.t)
        first, second, step = self.first, self.second, self.step
        first *= w.BETA_1
        first += np.multiply(grads, 1 - w.BETA_1, out=step)
        second *= w.BETA_2
        np.multiply(grads, grads, out=step)
        step *= 1 - w.BETA_2
        second += step
        np.sqrt(second, out=step)
        step += w.EPSILON
        np.divide(first, step, out=step)
        step *= rate
        params -= step


def prepare(workload, X, y, way):
    if workload.timed == w.PREDICT:
        net = Net(workload, workload.rows, X.dtype)
        return calls(net.forward, X[: workload.rows])
    work = {"lbfgs": lbfgs, "adam": fit}[workload.solver]
    return timed(partial(work, workload, X, y))


def fit(workload, X, y):
    """Epochs of one batch."""
    random, order = np.random.RandomState(0), np.arange(len(X))
    w.initial(workload, random, X.dtype)  # as many draws as the weights take
    net = Net(workload, len(X), X.dtype)
    adam = Adam(net.params)
    for _ in range(workload.epochs):
        random.shuffle(order)
        loss = net.gradient(X[order], y[order], w.ALPHA)
        adam.update(net.params, net.grads)
    return loss, workload.epochs


def lbfgs(workload, X, y):
    net = Net(workload, len(X), X.dtype)

    def function(flat):
        net.params[:] = flat
        loss = net.gradient(X, y, w.ALPHA)
        loss += 0.5 * w.ALPHA / len(X) * sum(np.vdot(W, W) for W, _ in net.layers)
        return float(loss), net.grads.astype(np.float64)

    found = minimize(
        function, net.params.copy(), jac=True, method="L-BFGS-B", options=workload.lbfgs
    )
    return found.fun, found.nit
