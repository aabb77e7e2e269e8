"""Numbers of tables as networks see them: scaled, clipped smoothly, coded piecewise linearly."""

from cython cimport floating
from libc.math cimport fabs, sqrt

cdef enum:
    LARGEST = 3     # in absolute value, after the clip


cdef inline double scaled_number(double x, double unit, double median, double scale) noexcept nogil:
    """u = (x unit - median) / scale; u / sqrt(1 + (u / 3)^2), in [-3, 3]. NaN becomes 0."""
    cdef double u = (x * unit - median) / scale
    if u != u:  # missing; or far from a constant column, infinity by infinity
        return 0
    if fabs(u) > 1e150:  # whose square is not finite
        return LARGEST if u > 0 else -LARGEST
    u = u / sqrt(1 + (u / LARGEST) * (u / LARGEST))
    return max(min(u, <double>LARGEST), <double>-LARGEST)  # a rounding error beyond


cdef inline void code_forward(double u, const double* left, const double* width, floating* code,
                              Py_ssize_t n) noexcept nogil:
    """code_i = clip((u - left_i) / width_i, 0, 1); a bin may be as narrow as a denormal number."""
    cdef Py_ssize_t i
    cdef double t
    for i in range(n):
        t = (u - left[i]) / width[i]
        t = t if t > 0 else 0
        code[i] = <floating>(t if t < 1 else 1)


cdef inline void code_row(const double* x, const double* columns, const Py_ssize_t* counts,
                          const double* bins, Py_ssize_t n_columns, Py_ssize_t n_bins,
                          floating* out) noexcept nogil:
    """The scaled numbers of a row, then the codes of all of them.

    `columns` has units, medians and scales; `counts` the bins of each column, and `bins` the left
    edges and the widths of all of them.
    """
    cdef Py_ssize_t j, first = 0
    cdef const double* median = columns + n_columns
    cdef const double* scale = median + n_columns
    cdef double u
    for j in range(n_columns):
        u = scaled_number(x[j], columns[j], median[j], scale[j])
        out[j] = <floating>u
        code_forward(u, bins + first, bins + n_bins + first, out + n_columns + first, counts[j])
        first += counts[j]
