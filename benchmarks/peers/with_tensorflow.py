"""TensorFlow by XLA: the whole epoch is one compiled loop over tensors in memory.

L2 enters as a gradient and not through the loss, which saves a pass over the weights.
"""

import os
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import workloads as w

from peers import done, now

ACTIVATIONS = {"relu": tf.nn.relu, "logistic": tf.sigmoid, "tanh": tf.tanh}


def objective(params, workload, X, y):
    for i in range(0, len(params) - 2, 2):
        X = ACTIVATIONS[workload.activation](X @ params[i] + params[i + 1])
    raw = X @ params[-2] + params[-1]
    if workload.loss == "multinomial":
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=raw)
    elif workload.loss == "logistic":
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=raw[:, 0])
    else:
        losses = 0.5 * tf.square(raw[:, 0] - y)
    return tf.reduce_mean(losses)


def adam(params, grads, state, t):
    """Twice as many arrays of state as parameters: first moments, then second ones."""
    n, t = len(params), tf.cast(t, params[0].dtype)
    first = [w.BETA_1 * m + (1 - w.BETA_1) * g for m, g in zip(state[:n], grads, strict=True)]
    second = [w.BETA_2 * v + (1 - w.BETA_2) * g * g for v, g in zip(state[n:], grads, strict=True)]
    rate = w.RATE * tf.sqrt(1 - w.BETA_2**t) / (1 - w.BETA_1**t)
    params = [
        p - rate * m / (tf.sqrt(v) + w.EPSILON)
        for p, m, v in zip(params, first, second, strict=True)
    ]
    return params, first + second


def sgd(params, grads, state, t):
    """Nesterov's momentum in scikit-learn's form."""
    state = [w.MOMENTUM * v - w.RATE * g for v, g in zip(state, grads, strict=True)]
    params = [p + w.MOMENTUM * v - w.RATE * g for p, v, g in zip(params, state, grads, strict=True)]
    return params, state


def prepare(workload, X, y, way):
    if way["cores"] == 1:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    n, batch, dtype = len(X), workload.batch, X.dtype
    whole = n // batch  # a last batch that is smaller follows the loop
    y = y.astype(np.int32 if workload.loss == "multinomial" else dtype)
    optimizer = {"adam": adam, "sgd": sgd}[workload.solver]
    moments = 2 if workload.solver == "adam" else 1
    X, y = tf.constant(X), tf.constant(y)

    def step(params, state, t, rows):
        xs, ys = tf.gather(X, rows), tf.gather(y, rows)
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = objective(params, workload, xs, ys)
        grads = tape.gradient(loss, params)
        decay = w.ALPHA / int(rows.shape[0])
        grads = [g if i % 2 else g + decay * params[i] for i, g in enumerate(grads)]
        return *optimizer(params, grads, state, t + 1), loss * int(rows.shape[0])

    @tf.function(jit_compile=True)
    def epoch(params, state, t, order):
        order = tf.ensure_shape(order, (n,))
        batches = tf.reshape(order[: whole * batch], (whole, batch))

        def body(i, params, state, total):
            params, state, loss = step(params, state, t + i, batches[i])
            return i + 1, params, state, total + loss

        total = tf.zeros((), dtype)
        _, params, state, total = tf.while_loop(
            lambda i, *_: i < whole, body, (0, params, state, total), maximum_iterations=whole
        )
        if whole * batch < n:
            params, state, loss = step(params, state, t + whole, order[whole * batch :])
            total += loss
        return params, state, total / n

    def start():
        random = np.random.RandomState(0)
        layers = w.initial(workload, random, dtype)
        params = [tf.constant(part) for layer in layers for part in layer]
        state = [tf.zeros_like(p) for _ in range(moments) for p in params]
        return random, np.arange(n, dtype=np.int32), params, state

    begin = perf_counter()
    _, order, params, state = start()
    epoch(params, state, tf.constant(0), tf.constant(order))
    compile_seconds = perf_counter() - begin

    def turn():
        random, order, params, state = start()
        times = []
        for i in range(workload.epochs):
            begin = now()
            random.shuffle(order)
            t = tf.constant(i * workload.steps)
            params, state, loss = epoch(params, state, t, tf.constant(order))
            loss = float(loss)  # waits for the epoch
            times.append((now() - begin) / workload.steps)
        return done(times, loss, compile_seconds=compile_seconds)

    return turn
