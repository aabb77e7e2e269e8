"""Optimizers: one fused pass over a flat slice of the parameters and of their state.

The gradient that arrives is a sum over the batch, without the penalty: `g = (dw + alpha w) * scale`
is the gradient of the objective, where scale is 1 / (sum of the batch's weights).
OPTIMIZERS in _core.pyx gives the names.
"""

from cython cimport floating

from fastbp.kernels cimport scalar

cdef enum:
    SGD, ADAM

cdef struct Hyper:
    int optimizer         # of OPTIMIZERS
    bint nesterov
    Py_ssize_t batch      # samples of a batch
    double loss_scale     # reported loss = loss_scale * mean row loss + penalty
    double alpha          # L2
    double rate           # learning rate; Adam's without the bias correction
    double momentum
    double beta_1
    double beta_2
    double epsilon


cdef inline int state_rows(int optimizer) noexcept nogil:
    """Numbers that an optimizer keeps for each parameter."""
    return 1 if optimizer == SGD else 2


cdef inline double adam_rate(const Hyper* hyper, double step) noexcept nogil:
    """rate sqrt(1 - beta_2^t) / (1 - beta_1^t) at step t = 1, 2, ... (Kingma and Ba, 2015, sec. 2).
    """
    return (hyper.rate * scalar.sqrt(1 - scalar.power(hyper.beta_2, step))
            / (1 - scalar.power(hyper.beta_1, step)))


cdef inline void sgd_step(floating* w, const floating* dw, floating* velocity, Py_ssize_t n,
                          const Hyper* hyper, double step_rate, double decay,
                          double grad_scale) noexcept nogil:
    """v := momentum v - rate g;  w := w + v, or w + momentum v - rate g (Nesterov)."""
    cdef Py_ssize_t i
    cdef floating g, v, alpha = decay, scale = grad_scale, rate = step_rate
    cdef floating momentum = hyper.momentum
    if hyper.nesterov:
        for i in range(n):
            g = (dw[i] + alpha * w[i]) * scale
            v = momentum * velocity[i] - rate * g
            velocity[i] = v
            w[i] += momentum * v - rate * g
    else:
        for i in range(n):
            g = (dw[i] + alpha * w[i]) * scale
            v = momentum * velocity[i] - rate * g
            velocity[i] = v
            w[i] += v


cdef inline void adam_step(floating* w, const floating* dw, floating* first, floating* second,
                           Py_ssize_t n, const Hyper* hyper, double step_rate, double decay,
                           double grad_scale) noexcept nogil:
    """m := b1 m + (1 - b1) g;  v := b2 v + (1 - b2) g^2;  w := w - rate m / (sqrt(v) + eps)."""
    cdef Py_ssize_t i
    cdef floating g, m, v, alpha = decay, scale = grad_scale, rate = step_rate
    cdef floating beta_1 = hyper.beta_1, beta_2 = hyper.beta_2, epsilon = hyper.epsilon
    cdef floating fresh_1 = 1 - hyper.beta_1, fresh_2 = 1 - hyper.beta_2
    for i in range(n):
        g = (dw[i] + alpha * w[i]) * scale
        m = beta_1 * first[i] + fresh_1 * g
        v = beta_2 * second[i] + fresh_2 * (g * g)
        first[i] = m
        second[i] = v
        w[i] -= rate * m * scalar.reciprocal(scalar.sqrt(v) + epsilon)


cdef inline void optimizer_step(floating* w, const floating* dw, floating* state,
                                Py_ssize_t stride, Py_ssize_t n, const Hyper* hyper, double rate,
                                double alpha, double scale) noexcept nogil:
    """One step of w's slice; row k of its state begins at state + k * stride."""
    if hyper.optimizer == SGD:
        sgd_step(w, dw, state, n, hyper, rate, alpha, scale)
    else:
        adam_step(w, dw, state, state + stride, n, hyper, rate, alpha, scale)


cdef inline void objective_gradient(floating* dw, const floating* w, Py_ssize_t n, double decay,
                                    double grad_scale) noexcept nogil:
    """dw := g = (dw + alpha w) scale, for solvers that step elsewhere."""
    cdef Py_ssize_t i
    cdef floating alpha = decay, scale = grad_scale
    for i in range(n):
        dw[i] = (dw[i] + alpha * w[i]) * scale


cdef inline double sum_of_squares(const floating* w, Py_ssize_t n) noexcept nogil:
    """sum w^2, in 16 fixed lanes: the order is the same whatever vector width is compiled."""
    cdef floating lanes[16]
    cdef Py_ssize_t i, j, body = n - n % 16
    cdef double rest = 0
    for j in range(body, n):
        rest += w[j] * w[j]
    if body == 0:
        return rest
    for j in range(16):
        lanes[j] = w[j] * w[j]
    for i in range(16, body, 16):
        for j in range(16):
            lanes[j] += w[i + j] * w[i + j]
    return rest + scalar.fold(lanes)
