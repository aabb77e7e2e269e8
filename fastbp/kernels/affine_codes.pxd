"""The affine map and its backward where columns of a are piecewise-linear codes.

A code has a column for each bin: `one` before its own bin, a share of it there, 0 behind. The
formulas are in codes.h.
"""

from cython cimport floating
from libc.stdint cimport int32_t

cdef extern from "gemm.h" nogil:
    void sums_of_bins_float(float* sums, const float* w, float one, Py_ssize_t bins, Py_ssize_t n)
    void sums_of_bins_double(double* sums, const double* w, double one, Py_ssize_t bins,
                             Py_ssize_t n)
    void codes_forward_float(float* z, const float* sums, const float* w, const Py_ssize_t* first,
                             Py_ssize_t codes, const int32_t* bins, const float* shares,
                             Py_ssize_t step, Py_ssize_t m, Py_ssize_t n)
    void codes_forward_double(double* z, const double* sums, const double* w,
                              const Py_ssize_t* first, Py_ssize_t codes, const int32_t* bins,
                              const double* shares, Py_ssize_t step, Py_ssize_t m, Py_ssize_t n)
    void code_backward_float(float* dw, const int32_t* bin, const float* shares, float one,
                             Py_ssize_t bins, const float* delta, Py_ssize_t m, Py_ssize_t n,
                             int32_t* scratch)
    void code_backward_double(double* dw, const int32_t* bin, const double* shares, double one,
                              Py_ssize_t bins, const double* delta, Py_ssize_t m, Py_ssize_t n,
                              int32_t* scratch)

cdef struct Codes:          # of all samples, or of the rows of a batch
    Py_ssize_t n            # of a row; 0: there are none
    const Py_ssize_t* first     # column of each code, one behind the other, then their end
    const int32_t* bins     # (samples, n), or (n, rows); counted from the code's first column
    const void* shares      # the same
    Py_ssize_t step         # from code to code
    double one


cdef inline void sums_of_bins(floating* sums, const floating* w_io, const Codes* codes,
                              Py_ssize_t O) noexcept nogil:
    """For each row of w of a code: the sum of `one` times the code's rows before it."""
    cdef Py_ssize_t j, at, bins
    cdef floating one = <floating>codes.one
    for j in range(codes.n):
        bins = codes.first[j + 1] - codes.first[j]
        at = (codes.first[j] - codes.first[0]) * O
        if floating is double:
            sums_of_bins_double(sums + at, w_io + codes.first[j] * O, one, bins, O)
        else:
            sums_of_bins_float(sums + at, w_io + codes.first[j] * O, one, bins, O)


cdef inline void affine_forward_codes(floating* z_bo, const floating* w_io, const floating* sums,
                                      const Codes* batch, Py_ssize_t B,
                                      Py_ssize_t O) noexcept nogil:
    """z += a w over the columns of codes."""
    cdef const floating* w = w_io + batch.first[0] * O
    if floating is double:
        codes_forward_double(z_bo, sums, w, batch.first, batch.n, batch.bins,
                             <const double*>batch.shares, batch.step, B, O)
    else:
        codes_forward_float(z_bo, sums, w, batch.first, batch.n, batch.bins,
                            <const float*>batch.shares, batch.step, B, O)


cdef inline void affine_backward_weights_code(floating* dw_io, const Codes* batch, Py_ssize_t j,
                                              const floating* delta_bo, Py_ssize_t B, Py_ssize_t O,
                                              int32_t* scratch) noexcept nogil:
    """dw := a^T delta over the columns of code j. Scratch: for each row and column, and one."""
    cdef Py_ssize_t columns = batch.first[j + 1] - batch.first[j], at = j * batch.step
    cdef const int32_t* bins = batch.bins + at
    cdef const floating* shares = <const floating*>batch.shares + at
    cdef floating one = <floating>batch.one
    if floating is double:
        code_backward_double(dw_io, bins, shares, one, columns, delta_bo, B, O, scratch)
    else:
        code_backward_float(dw_io, bins, shares, one, columns, delta_bo, B, O, scratch)
