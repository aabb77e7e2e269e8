"""Whether all numbers of an array are finite."""

from cython cimport floating
from libc.math cimport fabs


cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <string.h>

    #if defined(__GNUC__) && !defined(__clang__)
    #define FASTBP_UNROLL _Pragma("GCC unroll 4")
    #else
    #define FASTBP_UNROLL
    #endif
    /* All bits of the exponent are set in NaN and infinity alone: one more reaches the sign. */
    #define FASTBP_ALL_FINITE(REAL, BITS, ONE)                                       \
        static inline int fastbp_all_finite_##REAL(const REAL *x, Py_ssize_t n) {    \
            const BITS sign = (BITS)1 << (8 * sizeof(BITS) - 1);                     \
            BITS odd = 0, bits;                                                      \
            FASTBP_UNROLL for (Py_ssize_t i = 0; i < n; i++) {                       \
                memcpy(&bits, x + i, sizeof bits);                                   \
                odd |= (bits & ~sign) + ((BITS)1 << ONE);                            \
            }                                                                        \
            return !(odd & sign);                                                    \
        }
    FASTBP_ALL_FINITE(float, uint32_t, 23)
    FASTBP_ALL_FINITE(double, uint64_t, 52)
    """
    bint all_finite_float "fastbp_all_finite_float"(const float* x, Py_ssize_t n)
    bint all_finite_double "fastbp_all_finite_double"(const double* x, Py_ssize_t n)


cdef inline bint all_finite(const floating* x, Py_ssize_t n) noexcept nogil:
    """Whether no element is NaN or infinite. Asked after steps, so it takes no time to speak of."""
    if floating is double:
        return all_finite_double(x, n)
    else:
        return all_finite_float(x, n)


cdef inline bint all_below(const floating* x, Py_ssize_t n, double most) noexcept nogil:
    """Whether all |x| are at most this; NaN is not."""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= not fabs(<double>x[i]) <= most
    return odd == 0
