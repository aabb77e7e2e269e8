"""Optimizers: one fused pass over a flat slice of the parameters and of their state.

The gradient that arrives is a sum over the batch, without the penalty: `g = (dw + alpha w) * scale`
is the gradient of the objective, where scale is 1 / (sum of the batch's weights).
OPTIMIZERS and RULE_CONSTANTS in _core.pyx give the names.
"""

from cython cimport floating
from libc cimport math
from libc.string cimport memcpy

from fastbp.kernels cimport scalar

cdef extern from "gemm.h" nogil:
    const int gemm_has_tiles
    float slice_step_float(float* w, float* velocity, const float* dw, Py_ssize_t n, float rate,
                           float alpha, float scale, float momentum, int nesterov, int* finite)
    double slice_step_double(double* w, double* velocity, const double* dw, Py_ssize_t n,
                             double rate, double alpha, double scale, double momentum,
                             int nesterov, int* finite)

cdef enum:
    SGD, ADAM
    OPTIMIZERS_END

cdef struct Rule:           # an optimizer and its constants; 0 for those that it does not have
    int optimizer           # of OPTIMIZERS
    bint nesterovs_momentum
    double momentum
    double beta_1
    double beta_2
    double epsilon
    # Of all optimizers; 0: none.
    double weight_decay     # decoupled from the gradient, of weights alone
    double clip_norm        # largest norm of the gradient of all parameters
    double ema_decay        # of the moving average of the parameters


cdef struct Step:           # the numbers of one step; g = (dw + alpha w) scale
    double rate             # that the optimizer multiplies by
    double alpha            # 0 for biases
    double scale            # 1 / (sum of the batch's weights)
    double keep             # weights are multiplied by it first; 1 for biases
    double fresh            # share of the new parameters in their average; 0: no average


cdef inline bint is_optimizer(Py_ssize_t code) noexcept nogil:
    """Whether a code is that of an optimizer."""
    return 0 <= code < OPTIMIZERS_END


cdef inline int state_rows(int optimizer) noexcept nogil:
    """Numbers that an optimizer keeps for each parameter; -1 of an unknown code."""
    if optimizer == SGD:
        return 1
    if optimizer == ADAM:
        return 2
    return -1


cdef inline int rule_rows(const Rule* rule) noexcept nogil:
    """Rows of the state: those of the optimizer, then the average of the parameters."""
    return state_rows(rule.optimizer) + (1 if rule.ema_decay > 0 else 0)


cdef inline double corrected_rate(const Rule* rule, double rate, double step) noexcept nogil:
    """The rate that step number 1, 2, ... multiplies by, from the scheduled rate."""
    if rule.optimizer == SGD:
        return rate
    if rule.optimizer == ADAM:
        return adam_rate(rule, rate, step)
    return math.NAN


cdef inline double adam_rate(const Rule* rule, double rate, double step) noexcept nogil:
    """rate sqrt(1 - beta_2^t) / (1 - beta_1^t) at step t = 1, 2, ... (Kingma and Ba, 2015, sec. 2).
    """
    return (rate * scalar.sqrt(1 - scalar.whole_power(rule.beta_2, step))
            / (1 - scalar.whole_power(rule.beta_1, step)))


cdef inline void sgd_step(floating* w, const floating* dw, floating* velocity, Py_ssize_t n,
                          const Rule* rule, const Step* step) noexcept nogil:
    """v := momentum v - rate g;  w := w + v, or w + momentum v - rate g (Nesterov)."""
    cdef Py_ssize_t i
    cdef floating g, v, alpha = step.alpha, scale = step.scale, rate = step.rate
    cdef floating momentum = rule.momentum
    if rule.nesterovs_momentum:
        for i in range(n):
            g = (dw[i] + alpha * w[i]) * scale
            v = scalar.add_product(-(rate * g), momentum, velocity[i])
            velocity[i] = v
            w[i] += scalar.add_product(-(rate * g), momentum, v)
    else:
        for i in range(n):
            g = (dw[i] + alpha * w[i]) * scale
            v = scalar.add_product(-(rate * g), momentum, velocity[i])
            velocity[i] = v
            w[i] += v


cdef inline void adam_step(floating* w, const floating* dw, floating* first, floating* second,
                           Py_ssize_t n, const Rule* rule, const Step* step) noexcept nogil:
    """m := b1 m + (1 - b1) g;  v := b2 v + (1 - b2) g^2;  w := w - rate m / (sqrt(v) + eps)."""
    cdef Py_ssize_t i
    cdef floating g, m, v, alpha = step.alpha, scale = step.scale, rate = step.rate
    cdef floating beta_1 = rule.beta_1, beta_2 = rule.beta_2, epsilon = rule.epsilon
    cdef floating fresh_1 = 1 - rule.beta_1, fresh_2 = 1 - rule.beta_2
    for i in range(n):
        g = (dw[i] + alpha * w[i]) * scale
        m = scalar.add_product(fresh_1 * g, beta_1, first[i])
        v = scalar.add_product(fresh_2 * (g * g), beta_2, second[i])
        first[i] = m
        second[i] = v
        w[i] -= rate * m * scalar.reciprocal(scalar.sqrt(v) + epsilon)


cdef inline void decay(floating* w, Py_ssize_t n, floating keep) noexcept nogil:
    """w := keep w (Loshchilov and Hutter, 2019)."""
    cdef Py_ssize_t i
    for i in range(n):
        w[i] *= keep


cdef inline void average(floating* mean, const floating* w, Py_ssize_t n,
                         floating fresh) noexcept nogil:
    """mean := mean + fresh (w - mean); after the first step, where fresh is 1, w itself."""
    cdef Py_ssize_t i
    if fresh == 1:
        memcpy(mean, w, n * sizeof(floating))
        return
    for i in range(n):
        mean[i] += fresh * (w[i] - mean[i])


cdef inline void optimizer_step(floating* w, const floating* dw, floating* state,
                                Py_ssize_t stride, Py_ssize_t n, const Rule* rule,
                                const Step* step) noexcept nogil:
    """One step of w's slice; row k of its state begins at state + k * stride."""
    if rule.optimizer == SGD:
        sgd_step(w, dw, state, n, rule, step)
    elif rule.optimizer == ADAM:
        adam_step(w, dw, state, state + stride, n, rule, step)


cdef inline void whole_step(floating* w, floating* dw, floating* state, Py_ssize_t stride,
                            Py_ssize_t n, const Rule* rule, const Step* step) noexcept nogil:
    """Decay of w's slice, its step, and its average. dw may be overwritten."""
    cdef Step rest
    if step.keep != 1:
        # Before the weights change: the penalty belongs to those that the loss belongs to.
        objective_gradient(dw, w, n, step)
        decay(w, n, <floating>step.keep)
        rest = Step(step.rate, 0, 1, 1, step.fresh)
        step = &rest
    optimizer_step(w, dw, state, stride, n, rule, step)
    if step.fresh != 0:
        average(state + state_rows(rule.optimizer) * stride, w, n, <floating>step.fresh)


cdef inline void objective_gradient(floating* dw, const floating* w, Py_ssize_t n,
                                    const Step* step) noexcept nogil:
    """dw := g = (dw + alpha w) scale."""
    cdef Py_ssize_t i
    cdef floating alpha = step.alpha, scale = step.scale
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


cdef inline bint has_pass_step(const Rule* rule, const Step* step) noexcept nogil:
    """Whether `pass_step` is the whole step."""
    return gemm_has_tiles and rule.optimizer == SGD and step.keep == 1 and step.fresh == 0


cdef inline double pass_step(floating* w, const floating* dw, floating* velocity, Py_ssize_t n,
                             const Rule* rule, const Step* step, int* finite) noexcept nogil:
    """`sgd_step` of a multiple of 16 numbers, in one pass with two more things.

    Returns sum w^2 before it, as `sum_of_squares` does. finite: whether w is, after it.
    """
    if floating is double:
        return slice_step_double(w, velocity, dw, n, step.rate, step.alpha, step.scale,
                                 rule.momentum, rule.nesterovs_momentum, finite)
    else:
        return slice_step_float(w, velocity, dw, n, <float>step.rate, <float>step.alpha,
                                <float>step.scale, <float>rule.momentum, rule.nesterovs_momentum,
                                finite)
