"""Losses: raw predictions and targets of B rows -> row losses and deltas; and the links.

A loss takes the raw prediction z (the last preactivation) and gives delta = dloss/dz, the gradient
of the true objective. The row loss is the number that is *reported*: like scikit-learn's, the log
losses are those of probabilities clipped to [eps, 1 - eps] of the dtype. The link turns z into the
prediction, in place. LOSSES in _core.pyx gives the names.

A row has K targets; for the multinomial loss it has one number, the index of the class. The loops
run over all B K numbers, since K alone is too few for a vector, and each number depends on its row
alone: how the batch is cut into blocks changes nothing.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastbp cimport _math

cdef enum:
    SQUARED_ERROR, POISSON, BINARY_LOG_LOSS, LOG_LOSS


cdef inline floating clip(floating p, floating eps) noexcept nogil:
    """p within [eps, 1 - eps]; NaN stays NaN."""
    cdef floating most = <floating>1 - eps
    p = eps if p < eps else p
    return most if p > most else p


# ---- of single outputs: delta comes holding y, z leaves holding the output's part of the loss

cdef inline void squared_error(floating* delta, floating* z, Py_ssize_t n) noexcept nogil:
    """delta = z - y; loss = (z - y)^2 / 2."""
    cdef Py_ssize_t i
    cdef floating error, half = 0.5
    for i in range(n):
        error = z[i] - delta[i]
        delta[i] = error
        z[i] = half * (error * error)


cdef inline void poisson(floating* delta, floating* z, Py_ssize_t n) noexcept nogil:
    """delta = exp(z) - y; loss = y log(y / exp(z)) - y + exp(z), half the Poisson deviance."""
    cdef Py_ssize_t i
    cdef floating y, mean, product
    for i in range(n):
        y = delta[i]
        mean = _math.exp(z[i])
        product = y * _math.log(y / mean)
        delta[i] = mean - y
        z[i] = product if y != 0 else <floating>0
    for i in range(n):  # on its own: where product is no vector, it would be fused with this sum
        z[i] += delta[i]


cdef inline void binary_log_loss(floating* delta, floating* z, Py_ssize_t n) noexcept nogil:
    """p = logistic(z), y in {0, 1}: delta = p - y; loss = -log(p if y else 1 - p)."""
    cdef Py_ssize_t i
    cdef floating y, p, one = 1, eps = _math.machine_epsilon(z)
    for i in range(n):
        y = delta[i]
        p = _math.logistic(z[i])
        delta[i] = p - y
        z[i] = clip(p if y != 0 else one - p, eps)
    for i in range(n):  # on its own: the constants of clip in log would become branches
        z[i] = -_math.log(z[i])


# ---- of whole rows

cdef inline void log_loss(floating* losses_b, floating* delta_bk, const floating* z_bk,
                          const floating* y, const Py_ssize_t* order, Py_ssize_t B,
                          Py_ssize_t K) noexcept nogil:
    """p = softmax(z), c = the class: delta = p - onehot(c); loss = -log p_c."""
    cdef Py_ssize_t r, c
    cdef floating one = 1, eps = _math.machine_epsilon(z_bk)
    memcpy(delta_bk, z_bk, B * K * sizeof(floating))
    softmax(delta_bk, B, K)
    for r in range(B):
        c = r * K + <Py_ssize_t>y[order[r] if order != NULL else r]
        losses_b[r] = clip(delta_bk[c], eps)
        delta_bk[c] -= one
    for r in range(B):
        losses_b[r] = -_math.log(losses_b[r])


cdef inline void loss_delta(int loss, floating* losses_b, floating* delta_bk, floating* z_bk,
                            const floating* y, const Py_ssize_t* order, Py_ssize_t B,
                            Py_ssize_t K) noexcept nogil:
    """Row losses and delta = dloss/dz; z is used up. Row r has the targets in row order[r] of y,
    or in row r without an order."""
    cdef Py_ssize_t r, k, row
    if loss == LOG_LOSS:
        log_loss(losses_b, delta_bk, z_bk, y, order, B, K)
        return
    for r in range(B):
        row = order[r] if order != NULL else r
        for k in range(K):
            delta_bk[r * K + k] = y[row * K + k]
    if loss == SQUARED_ERROR:
        squared_error(delta_bk, z_bk, B * K)
    elif loss == POISSON:
        poisson(delta_bk, z_bk, B * K)
    else:
        binary_log_loss(delta_bk, z_bk, B * K)
    for r in range(B):
        losses_b[r] = _math.total(z_bk + r * K, K)


cdef inline void softmax(floating* z_bk, Py_ssize_t B, Py_ssize_t K) noexcept nogil:
    """p_k := exp(z_k - max z) / sum exp(z - max z), in each row."""
    cdef Py_ssize_t r, k, i
    cdef floating top, scale, one = 1
    for r in range(B):
        top = _math.largest(z_bk + r * K, K)
        for k in range(K):
            z_bk[r * K + k] -= top
    for i in range(B * K):
        z_bk[i] = _math.exp(z_bk[i])
    for r in range(B):
        scale = one / _math.total(z_bk + r * K, K)
        for k in range(K):
            z_bk[r * K + k] *= scale


cdef inline void link(int loss, floating* z_bk, Py_ssize_t B, Py_ssize_t K) noexcept nogil:
    """z := the prediction: z itself, exp(z), logistic(z) or softmax(z), in place."""
    cdef Py_ssize_t i
    if loss == POISSON:
        for i in range(B * K):
            z_bk[i] = _math.exp(z_bk[i])
    elif loss == BINARY_LOG_LOSS:
        for i in range(B * K):
            z_bk[i] = _math.logistic(z_bk[i])
    elif loss == LOG_LOSS:
        softmax(z_bk, B, K)
