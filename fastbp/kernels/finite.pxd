"""Whether all numbers of an array are finite."""

from cython cimport floating
from libc.math cimport fabs


cdef inline bint all_finite(const floating* x, Py_ssize_t n) noexcept nogil:
    """Whether no element is NaN or infinite: for all others x - x is 0."""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= x[i] - x[i] != 0
    return odd == 0


cdef inline bint all_below(const floating* x, Py_ssize_t n, double most) noexcept nogil:
    """Whether all |x| are at most this; NaN is not."""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= not fabs(<double>x[i]) <= most
    return odd == 0
