"""Losses: raw prediction and target of one row -> row loss and delta; and the links.

A loss takes the raw prediction z (the last preactivation) and gives delta = dloss/dz, the gradient
of the true objective. The row loss is the number that is *reported*: like scikit-learn's, the log
losses are those of probabilities clipped to [eps, 1 - eps] of the dtype. The link turns z into the
prediction, in place. LOSSES in _core.pyx gives the names.

y_k holds K targets; for the multinomial loss it holds one number, the index of the class.
"""

from cython cimport floating

from fastbp cimport _math

cdef enum:
    SQUARED_ERROR, POISSON, BINARY_LOG_LOSS, LOG_LOSS


cdef inline floating clip(floating p, floating eps) noexcept nogil:
    """p within [eps, 1 - eps]; NaN stays NaN."""
    if p < eps:
        return eps
    if p > 1 - eps:
        return 1 - eps
    return p


cdef inline floating squared_error(floating* delta_k, const floating* z_k, const floating* y_k,
                                   Py_ssize_t K) noexcept nogil:
    """delta = z - y; loss = sum (z - y)^2 / 2."""
    cdef Py_ssize_t k
    cdef floating loss = 0
    for k in range(K):
        delta_k[k] = z_k[k] - y_k[k]
        loss += delta_k[k] * delta_k[k]
    return loss / 2


cdef inline floating poisson(floating* delta_k, const floating* z_k, const floating* y_k,
                             Py_ssize_t K) noexcept nogil:
    """delta = exp(z) - y; loss = sum y log(y / exp(z)) - y + exp(z), half the Poisson deviance."""
    cdef Py_ssize_t k
    cdef floating loss = 0, mean
    for k in range(K):
        mean = _math.exp(z_k[k])
        delta_k[k] = mean - y_k[k]
        if y_k[k] != 0:
            loss += y_k[k] * _math.log(y_k[k] / mean)
        loss += delta_k[k]
    return loss


cdef inline floating binary_log_loss(floating* delta_k, const floating* z_k, const floating* y_k,
                                     Py_ssize_t K) noexcept nogil:
    """p = logistic(z), y in {0, 1}: delta = p - y; loss = -sum log(p if y else 1 - p)."""
    cdef Py_ssize_t k
    cdef floating loss = 0, p, eps = _math.machine_epsilon(z_k)
    for k in range(K):
        p = _math.logistic(z_k[k])
        delta_k[k] = p - y_k[k]
        p = clip(p, eps)
        loss -= _math.log(p if y_k[k] != 0 else 1 - p)
    return loss


cdef inline floating log_loss(floating* delta_k, const floating* z_k, const floating* y_k,
                              Py_ssize_t K) noexcept nogil:
    """p = softmax(z), c = the class: delta = p - onehot(c); loss = -log p_c."""
    cdef Py_ssize_t k, c = <Py_ssize_t>y_k[0]
    cdef floating p
    for k in range(K):
        delta_k[k] = z_k[k]
    softmax(delta_k, K)
    p = delta_k[c]
    delta_k[c] = p - 1
    return -_math.log(clip(p, _math.machine_epsilon(z_k)))


cdef inline floating loss_delta(int loss, floating* delta_k, const floating* z_k,
                                const floating* y_k, Py_ssize_t K) noexcept nogil:
    """The loss of one row is returned, its delta = dloss/dz written."""
    if loss == SQUARED_ERROR:
        return squared_error(delta_k, z_k, y_k, K)
    elif loss == POISSON:
        return poisson(delta_k, z_k, y_k, K)
    elif loss == BINARY_LOG_LOSS:
        return binary_log_loss(delta_k, z_k, y_k, K)
    else:
        return log_loss(delta_k, z_k, y_k, K)


cdef inline void softmax(floating* z_k, Py_ssize_t K) noexcept nogil:
    """p_k := exp(z_k - max z) / sum exp(z - max z)."""
    cdef Py_ssize_t k
    cdef floating top = z_k[0], total = 0
    for k in range(1, K):
        if z_k[k] > top:
            top = z_k[k]
    for k in range(K):
        z_k[k] = _math.exp(z_k[k] - top)
        total += z_k[k]
    for k in range(K):
        z_k[k] /= total


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
        for i in range(B):
            softmax(z_bk + i * K, K)
