"""Scalar functions of both dtypes: the one place where libm is called."""

from cython cimport floating
from libc cimport math


cdef inline floating exp(floating x) noexcept nogil:
    if floating is double:
        return math.exp(x)
    else:
        return math.expf(x)


cdef inline floating log(floating x) noexcept nogil:
    if floating is double:
        return math.log(x)
    else:
        return math.logf(x)


cdef inline floating sqrt(floating x) noexcept nogil:
    if floating is double:
        return math.sqrt(x)
    else:
        return math.sqrtf(x)


cdef inline floating tanh(floating x) noexcept nogil:
    if floating is double:
        return math.tanh(x)
    else:
        return math.tanhf(x)


cdef inline floating logistic(floating x) noexcept nogil:
    """1 / (1 + exp(-x)), without overflow: exp(-x) = inf gives 0."""
    return 1 / (1 + exp(-x))


cdef inline double power(double x, double y) noexcept nogil:
    return math.pow(x, y)


cdef inline floating machine_epsilon(const floating* _) noexcept nogil:
    """Distance from 1 to the next number of the dtype; the pointer only names the dtype."""
    if floating is double:
        return 2.220446049250313e-16
    else:
        return 1.1920928955078125e-07
