"""Loops compiled by numba: what a clever user writes for one network.

Sizes are constants of the compiled loops, and arithmetic may be reordered. tanh and the logistic
function are a rational approximation, since numba calls libm for each number. A loop over an input
may pass over it where it is zero; whether that pays is tried. One thread only.
"""

from functools import lru_cache
from itertools import pairwise
from time import perf_counter

import numba
import numpy as np
import workloads as w

from peers import calls, done, now

compiled = numba.njit(fastmath=True, error_model="numpy", boundscheck=False)
# tanh(x) = x P(x^2) / Q(x^2) for |x| < 7.9: the coefficients that Eigen has, to about 1e-7.
LIMIT = 7.90531110763549805
P = (
    4.89352455891786e-03,
    6.37261928875436e-04,
    1.48572235717979e-05,
    5.12229709037114e-08,
    -8.60467152213735e-11,
    2.00018790482477e-13,
    -2.76076847742355e-16,
)
Q = (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)


@lru_cache
def scalars(dtype):
    """tanh, exp and constants in the precision of the data."""
    real = np.dtype(dtype).type
    limit, zero, one, half = map(real, (LIMIT, 0, 1, 0.5))
    p0, p1, p2, p3, p4, p5, p6 = map(real, P)
    q0, q1, q2, q3 = map(real, Q)

    @compiled
    def rational(x):
        x = min(max(x, -limit), limit)
        s = x * x
        top = p0 + s * (p1 + s * (p2 + s * (p3 + s * (p4 + s * (p5 + s * p6)))))
        return x * top / (q0 + s * (q1 + s * (q2 + s * q3)))

    @compiled
    def exact(x):
        return one - (one + one) / (np.exp(x + x) + one)

    tanh = rational if real is np.float32 else exact

    @compiled
    def logistic(x):
        return half + half * tanh(half * x)

    @compiled
    def relu(x):
        return max(x, zero)

    @compiled
    def relu_slope(a):
        return one if a > zero else zero

    @compiled
    def tanh_slope(a):
        return one - a * a

    @compiled
    def logistic_slope(a):
        return a * (one - a)

    return {
        "relu": (relu, relu_slope),
        "tanh": (tanh, tanh_slope),
        "logistic": (logistic, logistic_slope),
    }


@lru_cache  # layers of one shape share what is compiled
def forward_of(fan_in, fan_out, skip):
    """z := b + x W, for one sample."""

    @compiled
    def forward(x, W, b, z):
        for o in range(fan_out):
            z[o] = b[o]
        for i in range(fan_in):
            xi = x[i]
            if skip and xi == 0:
                continue
            for o in range(fan_out):
                z[o] += xi * W[i, o]

    return forward


@lru_cache
def weights_of(fan_in, fan_out, skip):
    """dW := decay W + X^T delta, and db, for a batch."""

    @compiled
    def weights(X, delta, count, W, dW, db, decay):
        for i in range(fan_in):
            for o in range(fan_out):
                dW[i, o] = decay * W[i, o]
        for o in range(fan_out):
            db[o] = 0
        for r in range(count):
            d = delta[r]
            for o in range(fan_out):
                db[o] += d[o]
            for i in range(fan_in):
                xi = X[r, i]
                if skip and xi == 0:
                    continue
                for o in range(fan_out):
                    dW[i, o] += xi * d[o]

    return weights


@lru_cache
def loss_of(kind, outputs, dtype):
    """The loss of a sample; raw predictions become delta times `part`."""
    real = np.dtype(dtype).type
    one, half = real(1), real(0.5)

    @compiled
    def squared(z, y, part):
        error = z[0] - y
        z[0] = error * part
        return half * error * error

    @compiled
    def logistic(z, y, part):
        e = np.exp(-abs(z[0]))
        p = one / (one + e) if z[0] >= 0 else e / (one + e)
        loss = max(z[0], real(0)) - y * z[0] + np.log(one + e)
        z[0] = (p - y) * part
        return loss

    @compiled
    def multinomial(z, y, part):
        most, total, own = z[0], real(0), z[y]
        for o in range(1, outputs):
            most = max(most, z[o])
        for o in range(outputs):
            z[o] = np.exp(z[o] - most)
            total += z[o]
        for o in range(outputs):
            z[o] *= part / total
        z[y] -= part
        return np.log(total) + most - own

    return {"squared": squared, "logistic": logistic, "multinomial": multinomial}[kind]


def places(workload, i):
    """Where the weights and biases of a layer are, its outputs and those below.

    Arrays are flat: numba compiles slowly what gets many arrays.
    """
    sizes, batch = workload.sizes, workload.batch
    begin = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes[: i + 1]))
    biases = begin + sizes[i] * sizes[i + 1]
    outs = batch * sum(sizes[1 : i + 1])
    return begin, biases, biases + sizes[i + 1], outs, outs - batch * sizes[i] if i else 0


def batch_of(workload, dtype, skip, i=0):
    """From layer i on: the losses of a batch, and the gradients of these layers.

    Layer i leaves the gradient by its input in the deltas of the layer below.
    """
    last = len(workload.sizes) - 2
    fan_in, fan_out = workload.sizes[i : i + 2]
    skip = skip and i == 0
    forward, weights = (make(fan_in, fan_out, skip) for make in (forward_of, weights_of))
    activation, slope = scalars(dtype)[workload.activation]
    loss = loss_of(workload.loss, fan_out, dtype)
    above = batch_of(workload, dtype, skip, i + 1) if i < last else None
    real = np.dtype(dtype).type

    weights_at, biases_at, end, outs_at, below_at = places(workload, i)
    batch, outs_end = workload.batch, outs_at + workload.batch * fan_out

    @compiled
    def affine(X, count, params, out):
        W, b = params[weights_at:biases_at].reshape((fan_in, fan_out)), params[biases_at:end]
        for r in range(count):
            forward(X[r], W, b, out[r])

    @compiled
    def output(X, y, count, params, grads, outs, deltas, decay):
        delta = deltas[outs_at:outs_end].reshape((batch, fan_out))
        affine(X, count, params, delta)
        total, part = real(0), real(1) / real(count)
        for r in range(count):
            total += loss(delta[r], y[r], part)
        return total

    @compiled
    def hidden(X, y, count, params, grads, outs, deltas, decay):
        out = outs[outs_at:outs_end].reshape((batch, fan_out))
        delta = deltas[outs_at:outs_end].reshape((batch, fan_out))
        affine(X, count, params, out)
        for r in range(count):
            for o in range(fan_out):
                out[r, o] = activation(out[r, o])
        total = above(out, y, count, params, grads, outs, deltas, decay)
        for r in range(count):
            for o in range(fan_out):
                delta[r, o] *= slope(out[r, o])
        return total

    run = output if i == last else hidden

    @compiled
    def layer(X, y, count, params, grads, outs, deltas, decay):
        total = run(X, y, count, params, grads, outs, deltas, decay)
        delta = deltas[outs_at:outs_end].reshape((batch, fan_out))
        W = params[weights_at:biases_at].reshape((fan_in, fan_out))
        if i > 0:
            below = deltas[below_at:outs_at].reshape((batch, fan_in))
            for r in range(count):
                for k in range(fan_in):
                    s = real(0)
                    for o in range(fan_out):
                        s += delta[r, o] * W[k, o]
                    below[r, k] = s
        dW, db = grads[weights_at:biases_at].reshape((fan_in, fan_out)), grads[biases_at:end]
        weights(X, delta, count, W, dW, db, decay)
        return total

    return layer


def optimizer_of(workload, size, dtype):
    """A step of all parameters."""
    real = np.dtype(dtype).type
    one, momentum, sgd_rate = map(real, (1, w.MOMENTUM, w.RATE))
    beta_1, beta_2, epsilon = map(real, (w.BETA_1, w.BETA_2, w.EPSILON))

    @compiled
    def adam(params, grads, first, second, t):
        rate = real(w.RATE * np.sqrt(1 - w.BETA_2**t) / (1 - w.BETA_1**t))
        for i in range(size):
            g = grads[i]
            first[i] = beta_1 * first[i] + (one - beta_1) * g
            second[i] = beta_2 * second[i] + (one - beta_2) * g * g
            params[i] -= rate * first[i] / (np.sqrt(second[i]) + epsilon)

    @compiled
    def sgd(params, grads, velocity, _, t):
        for i in range(size):
            v = momentum * velocity[i] - sgd_rate * grads[i]
            velocity[i] = v
            params[i] += momentum * v - sgd_rate * grads[i]

    return {"adam": adam, "sgd": sgd}[workload.solver]


def epoch_of(workload, n, size, dtype, skip):
    """An epoch, and the mean loss."""
    batch, features, alpha = workload.batch, workload.sizes[0], w.ALPHA
    run, step = batch_of(workload, dtype, skip), optimizer_of(workload, size, dtype)
    real = np.dtype(dtype).type

    @compiled
    def epoch(X, y, order, params, grads, first, second, t, outs, deltas, x, targets):
        total = 0.0
        for begin in range(0, n, batch):
            count = min(batch, n - begin)
            for r in range(count):
                at = order[begin + r]
                targets[r] = y[at]
                for i in range(features):
                    x[r, i] = X[at, i]
            total += run(x, targets, count, params, grads, outs, deltas, real(alpha / count))
            t += 1
            step(params, grads, first, second, t)
        return total / n

    return epoch


def online_epoch_of(workload, n, dtype):
    """An epoch of batches of one, for one hidden layer and one output, by momentum.

    Each weight takes its step where its gradient is computed.
    """
    features, units, _ = workload.sizes
    inner, hidden = features * units, (features + 1) * units  # ends of weights, of biases
    activation, slope = scalars(dtype)[workload.activation]
    loss, real = loss_of(workload.loss, 1, dtype), np.dtype(dtype).type
    one, momentum, rate, decay = map(real, (1, w.MOMENTUM, w.RATE, w.ALPHA))

    @compiled
    def epoch(X, y, order, params, _, velocities, second, t, outs, deltas, x, targets):
        W, b = params[:inner].reshape((features, units)), params[inner:hidden]
        w_out, b_out = params[hidden:-1].reshape((units, 1)), params[-1:]
        V, c = velocities[:inner].reshape((features, units)), velocities[inner:hidden]
        v_out, c_out = velocities[hidden:-1].reshape((units, 1)), velocities[-1:]
        a, d, z, total = np.empty(units, dtype), np.empty(units, dtype), np.empty(1, dtype), 0.0
        for at in order:
            for o in range(units):
                a[o] = b[o]
            for i in range(features):
                xi = X[at, i]
                for o in range(units):
                    a[o] += xi * W[i, o]
            raw = b_out[0]
            for o in range(units):
                a[o] = activation(a[o])
                raw += a[o] * w_out[o, 0]
            z[0] = raw
            total += loss(z, y[at], one)
            error = z[0]
            for o in range(units):
                d[o] = error * w_out[o, 0] * slope(a[o])
                g = rate * (error * a[o] + decay * w_out[o, 0])
                v_out[o, 0] = momentum * v_out[o, 0] - g
                w_out[o, 0] += momentum * v_out[o, 0] - g
            for i in range(features):
                xi = X[at, i]
                for o in range(units):
                    g = rate * (xi * d[o] + decay * W[i, o])
                    V[i, o] = momentum * V[i, o] - g
                    W[i, o] += momentum * V[i, o] - g
            for o in range(units):
                g = rate * d[o]
                c[o] = momentum * c[o] - g
                b[o] += momentum * c[o] - g
            g = rate * error
            c_out[0] = momentum * c_out[0] - g
            b_out[0] += momentum * c_out[0] - g
        return total / n

    return epoch


def prepare(workload, X, y, way):
    if workload.timed == w.PREDICT:
        return predict(workload, X, way)
    n, dtype = len(X), X.dtype
    y = y.astype(np.int64 if workload.loss == "multinomial" else dtype)
    random = np.random.RandomState(0)
    layers = w.initial(workload, random, dtype)
    state = random.get_state()
    first_params = np.concatenate([part.ravel() for layer in layers for part in layer])
    if workload.batch == 1 and workload.solver == "sgd" and len(workload.hidden) == 1:
        epoch = online_epoch_of(workload, n, dtype)
    else:
        epoch = epoch_of(workload, n, first_params.size, dtype, way["skip"])

    def start():
        params = first_params.copy()
        grads, first, second = (np.zeros_like(params) for _ in range(3))
        outs, deltas = np.empty((2, workload.batch * sum(workload.sizes[1:])), dtype)
        x = np.empty((workload.batch, X.shape[1]), dtype)
        targets = np.empty(workload.batch, y.dtype)
        return (params, grads, first, second), (outs, deltas, x, targets)

    begin = perf_counter()
    arrays, scratch = start()
    epoch(X, y, np.arange(n), *arrays, 0, *scratch)
    compile_seconds = perf_counter() - begin

    def turn():
        random.set_state(state)
        order, times = np.arange(n), []
        arrays, scratch = start()
        for i in range(workload.epochs):
            begin = now()
            random.shuffle(order)
            loss = epoch(X, y, order, *arrays, i * workload.steps, *scratch)
            times.append((now() - begin) / workload.steps)
        return done(times, loss, compile_seconds=compile_seconds)

    return turn


def predict(workload, X, way):
    """predict_proba of a net with one hidden layer."""
    features, units, outputs = workload.sizes
    dtype = X.dtype
    (W0, b0), (W1, b1) = w.initial(workload, np.random.RandomState(0), dtype)
    first, second = forward_of(features, units, way["skip"]), forward_of(units, outputs, False)
    zero = dtype.type(0)

    @compiled
    def run(X, W0, b0, W1, b1):
        P, a = np.empty((len(X), outputs), dtype), np.empty(units, dtype)
        for r in range(len(X)):
            p = P[r]
            first(X[r], W0, b0, a)
            for o in range(units):
                a[o] = max(a[o], zero)
            second(a, W1, b1, p)
            most, total = p[0], zero
            for o in range(1, outputs):
                most = max(most, p[o])
            for o in range(outputs):
                p[o] = np.exp(p[o] - most)
                total += p[o]
            for o in range(outputs):
                p[o] /= total
        return P

    return calls(lambda X: run(X, W0, b0, W1, b1), X[: workload.rows])
