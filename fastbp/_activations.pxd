"""Activations of the hidden layers, in place: z becomes a = f(z), delta becomes delta * f'(z).

Every backward uses the output a alone. The loops are plain, so that the compiler vectorizes them; a
literal would be a double among floats, hence `one`. ACTIVATIONS in _core.pyx gives the names.
"""

from cython cimport floating

from fastbp cimport _math

cdef enum:
    IDENTITY, LOGISTIC, TANH, RELU


cdef inline void logistic_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := 1 / (1 + exp(-z))."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = _math.logistic(z[i])


cdef inline void logistic_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta * a (1 - a)."""
    cdef Py_ssize_t i
    cdef floating one = 1
    for i in range(n):
        delta[i] *= a[i] * (one - a[i])


cdef inline void tanh_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := tanh(z)."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = _math.tanh(z[i])


cdef inline void tanh_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta * (1 - a^2)."""
    cdef Py_ssize_t i
    cdef floating one = 1
    for i in range(n):
        delta[i] *= one - a[i] * a[i]


cdef inline void relu_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := max(z, 0); NaN stays NaN, so that divergence is seen."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = 0 if z[i] < 0 else z[i]


cdef inline void relu_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta where a is not 0, else 0."""
    cdef Py_ssize_t i
    for i in range(n):
        delta[i] = 0 if a[i] == 0 else delta[i]


cdef inline void activation_forward(int activation, floating* z, Py_ssize_t n) noexcept nogil:
    """a := f(z)."""
    if activation == LOGISTIC:
        logistic_forward(z, n)
    elif activation == TANH:
        tanh_forward(z, n)
    elif activation == RELU:
        relu_forward(z, n)


cdef inline void activation_backward(int activation, floating* delta, const floating* a,
                                     Py_ssize_t n) noexcept nogil:
    """delta := delta * f'(z), given a = f(z)."""
    if activation == LOGISTIC:
        logistic_backward(delta, a, n)
    elif activation == TANH:
        tanh_backward(delta, a, n)
    elif activation == RELU:
        relu_backward(delta, a, n)
