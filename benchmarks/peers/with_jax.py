"""JAX at its best: the whole epoch is one compiled scan, all data on the device, buffers donated.

L2 enters as a gradient and not through the loss, which saves a pass over the weights. A single
sample is a vector, not a matrix of one row. "whole" is an option of XLA that compiles a loop into
one function, instead of a step that its runtime repeats.

A whole fit is one scan over the epochs, in the orders that are drawn before it. For lbfgs, JAX
gives SciPy's optimizer the objective and its gradient.
"""

import os
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
import workloads as w
from jax.flatten_util import ravel_pytree
from scipy.optimize import minimize

from peers import done, now, timed

WHOLE = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=2000000000"
ACTIVATIONS = {"relu": jax.nn.relu, "logistic": jax.nn.sigmoid, "tanh": jnp.tanh}


def objective(params, workload, X, y):
    for W, b in params[:-1]:
        X = ACTIVATIONS[workload.activation](X @ W + b)
    W, b = params[-1]
    raw = X @ W + b
    if workload.loss == "multinomial":
        return -jnp.take_along_axis(jax.nn.log_softmax(raw), y[..., None], axis=-1).mean()
    if workload.loss == "logistic":
        return (jax.nn.softplus(raw[..., 0]) - y * raw[..., 0]).mean()
    return 0.5 * jnp.square(raw[..., 0] - y).mean()


def adam(params, grads, state):
    def update(p, m, v):
        return p - rate.astype(p.dtype) * m / (jnp.sqrt(v) + w.EPSILON)

    t, first, second = state
    t += 1
    first = jax.tree.map(lambda m, g: w.BETA_1 * m + (1 - w.BETA_1) * g, first, grads)
    second = jax.tree.map(lambda v, g: w.BETA_2 * v + (1 - w.BETA_2) * g * g, second, grads)
    rate = w.RATE * jnp.sqrt(1 - w.BETA_2**t) / (1 - w.BETA_1**t)
    return jax.tree.map(update, params, first, second), (t, first, second)


def sgd(params, grads, velocity):
    """Nesterov's momentum in scikit-learn's form."""
    velocity = jax.tree.map(lambda v, g: w.MOMENTUM * v - w.RATE * g, velocity, grads)
    params = jax.tree.map(lambda p, v, g: p + w.MOMENTUM * v - w.RATE * g, params, velocity, grads)
    return params, velocity


def loss_and_grads(params, workload, X, y):
    """The loss without L2, and the gradient with it."""
    loss, grads = jax.value_and_grad(objective)(params, workload, X, y)
    decay = w.ALPHA / (len(X) if X.ndim == 2 else 1)
    return loss, [(dW + decay * W, db) for (dW, db), (W, _) in zip(grads, params, strict=True)]


def prepare(workload, X, y, way):
    if way["whole"]:  # before the first computation, which reads it
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {WHOLE}"
    jax.config.update("jax_enable_x64", X.dtype == np.float64)
    X, y = jnp.asarray(X), jnp.asarray(y)
    if workload.timed == w.EPOCH:
        return epochs(workload, X, y, way)
    return lbfgs(workload, X, y) if workload.solver == "lbfgs" else fit(workload, X, y, way)


def start(workload, n, dtype):
    random = np.random.RandomState(0)
    params = jax.tree.map(jnp.array, w.initial(workload, random, dtype))
    state = jax.tree.map(jnp.zeros_like, params)
    if workload.solver == "adam":
        state = (jnp.zeros((), dtype), state, jax.tree.map(jnp.zeros_like, params))
    return random, np.arange(n, dtype=np.int32), params, state


def epoch_of(workload, n, unroll):
    """A function that does an epoch: parameters, the optimizer's state, and the mean loss."""
    batch = min(workload.batch, n)
    whole = n - n % batch  # a last batch that is smaller follows the scan
    optimizer = {"adam": adam, "sgd": sgd}[workload.solver]

    def epoch(params, state, order, X, y):
        def step(carry, rows):
            params, state = carry
            loss, grads = loss_and_grads(params, workload, X[rows], y[rows])
            return optimizer(params, grads, state), loss * rows.size

        batches = order[:whole].reshape((-1, batch) if batch > 1 else -1)
        carry, losses = jax.lax.scan(step, (params, state), batches, unroll=unroll)
        loss = losses.sum()
        if whole < n:
            carry, last = step(carry, order[whole:])
            loss += last
        return *carry, loss / n

    return epoch


def compiled(function, *arguments, donated=()):
    """The function compiled for such arguments, and how long that took."""
    begin = perf_counter()
    made = jax.jit(function, donate_argnums=donated).lower(*arguments).compile()
    return made, perf_counter() - begin


def epochs(workload, X, y, way):
    n, dtype = len(X), X.dtype
    _, order, params, state = start(workload, n, dtype)
    run, compile_seconds = compiled(
        epoch_of(workload, n, way["unroll"]), params, state, order, X, y, donated=(0, 1)
    )

    def turn():
        random, order, params, state = jax.block_until_ready(start(workload, n, dtype))
        times = []
        for _ in range(workload.epochs):
            begin = now()
            random.shuffle(order)
            params, state, loss = jax.block_until_ready(run(params, state, order, X, y))
            times.append((now() - begin) / workload.steps)
        return done(times, loss, compile_seconds=compile_seconds)

    return turn


def fit(workload, X, y, way):
    n, dtype, epoch = len(X), X.dtype, epoch_of(workload, len(X), way["unroll"])

    def all_epochs(params, state, orders, X, y):
        def one(carry, order):
            *carry, loss = epoch(*carry, order, X, y)
            return tuple(carry), loss

        (params, _), losses = jax.lax.scan(one, (params, state), orders)
        return params, losses[-1]

    def begin():
        random, order, params, state = start(workload, n, dtype)
        orders = np.empty((workload.epochs, n), np.int32)
        for row in orders:
            random.shuffle(order)
            row[:] = order
        return params, state, orders, X, y

    run, compile_seconds = compiled(all_epochs, *begin())

    def work():
        _, loss = jax.block_until_ready(run(*begin()))
        return loss, workload.epochs

    return timed(work, compile_seconds=compile_seconds)


def lbfgs(workload, X, y):
    dtype = X.dtype
    layers = w.initial(workload, np.random.RandomState(0), dtype)
    flat, unravel = ravel_pytree(layers)

    def value_and_gradient(flat, X, y):
        params = unravel(flat)
        loss, grads = loss_and_grads(params, workload, X, y)
        loss += 0.5 * w.ALPHA / len(X) * sum((W * W).sum() for W, _ in params)
        return loss, ravel_pytree(grads)[0]

    run, compile_seconds = compiled(value_and_gradient, flat, X, y)

    def function(x):
        loss, gradient = run(x.astype(dtype), X, y)
        return float(loss), np.asarray(gradient, np.float64)

    def work():
        layers = w.initial(workload, np.random.RandomState(0), dtype)
        first = np.concatenate([part.ravel() for layer in layers for part in layer])
        found = minimize(function, first, jac=True, method="L-BFGS-B", options=workload.lbfgs)
        return found.fun, found.nit

    return timed(work, compile_seconds=compile_seconds)
