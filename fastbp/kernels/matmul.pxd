"""Row-major matrix products, one door and two ways: the native tiles of gemm.h, or SciPy's BLAS.

`matmul_native` chooses for the whole process, at import: on the tiles every element is one chain of
multiply-adds, whatever the block of rows it is computed in. With BLAS the way of a product depends
on its shape, so that callers fix the blocks by the problem's shape and never by the team. BLAS is
column-major: the operands and their flags change places. Callers keep every dimension within
`blas_int`.
"""

from cython cimport floating
from libc.string cimport memcpy
from scipy.linalg.cython_blas cimport dgemm, dgemv, sgemm, sgemv

# SciPy >= 1.18 can be built with 64-bit BLAS integers: this line, and nothing else, follows it.
ctypedef int blas_int

cdef extern from "gemm.h" nogil:
    const int gemm_has_tiles, gemm_has_fma
    int matmul_native
    void gemm_float(float* c, Py_ssize_t ldc, const float* a, Py_ssize_t lda, int a_trans,
                    const float* b, Py_ssize_t ldb, int b_trans, Py_ssize_t m, Py_ssize_t n,
                    Py_ssize_t k, const float* init, Py_ssize_t init_step)
    void gemm_double(double* c, Py_ssize_t ldc, const double* a, Py_ssize_t lda, int a_trans,
                     const double* b, Py_ssize_t ldb, int b_trans, Py_ssize_t m, Py_ssize_t n,
                     Py_ssize_t k, const double* init, Py_ssize_t init_step)


cdef inline void tiles(floating* c_mn, const floating* a, Py_ssize_t lda, bint a_trans,
                       const floating* b, Py_ssize_t ldb, bint b_trans, Py_ssize_t m,
                       Py_ssize_t n, Py_ssize_t k, const floating* init,
                       Py_ssize_t init_step) noexcept nogil:
    if floating is double:
        gemm_double(c_mn, n, a, lda, a_trans, b, ldb, b_trans, m, n, k, init, init_step)
    else:
        gemm_float(c_mn, n, a, lda, a_trans, b, ldb, b_trans, m, n, k, init, init_step)


cdef inline void gemm(char trans_b, char trans_a, blas_int n, blas_int m, blas_int k,
                      const floating* b, blas_int ldb, const floating* a, blas_int lda,
                      floating beta, floating* c, blas_int ldc) noexcept nogil:
    cdef floating one = 1
    if floating is double:
        dgemm(&trans_b, &trans_a, &n, &m, &k, &one, <double*>b, &ldb, <double*>a, &lda,
              &beta, c, &ldc)
    else:
        sgemm(&trans_b, &trans_a, &n, &m, &k, &one, <float*>b, &ldb, <float*>a, &lda,
              &beta, c, &ldc)


cdef inline void gemv(char trans, blas_int m, blas_int n, const floating* a, blas_int lda,
                      const floating* x, blas_int step_x, floating beta,
                      floating* y, blas_int step_y) noexcept nogil:
    cdef floating one = 1
    if floating is double:
        dgemv(&trans, &m, &n, &one, <double*>a, &lda, <double*>x, &step_x, &beta, y, &step_y)
    else:
        sgemv(&trans, &m, &n, &one, <float*>a, &lda, <float*>x, &step_x, &beta, y, &step_y)


cdef inline void matmul_nn(floating* c_mn, const floating* a_mk, const floating* b_kn,
                           Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                           const floating* bias_n) noexcept nogil:
    """c := bias + a b, the bias in every row."""
    cdef Py_ssize_t r
    cdef floating one = 1
    if matmul_native:
        tiles(c_mn, a_mk, k, False, b_kn, n, False, m, n, k, bias_n, 0)
        return
    for r in range(m):
        memcpy(c_mn + r * n, bias_n, n * sizeof(floating))
    if n == 1:
        gemv(c"T", <blas_int>k, <blas_int>m, a_mk, <blas_int>k, b_kn, 1, one, c_mn, 1)
    elif m == 1:
        gemv(c"N", <blas_int>n, <blas_int>k, b_kn, <blas_int>n, a_mk, 1, one, c_mn, 1)
    else:
        gemm(c"N", c"N", <blas_int>n, <blas_int>m, <blas_int>k, b_kn, <blas_int>n,
             a_mk, <blas_int>k, one, c_mn, <blas_int>n)


cdef inline void matmul_nt(floating* c_mn, const floating* a_mk, const floating* b_nk,
                           Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """c := a b^T."""
    cdef floating zero = 0
    if matmul_native:
        tiles(c_mn, a_mk, k, False, b_nk, k, True, m, n, k, NULL, 0)
    elif m == 1:
        gemv(c"T", <blas_int>k, <blas_int>n, b_nk, <blas_int>k, a_mk, 1, zero, c_mn, 1)
    else:
        gemm(c"T", c"N", <blas_int>n, <blas_int>m, <blas_int>k, b_nk, <blas_int>k,
             a_mk, <blas_int>k, zero, c_mn, <blas_int>n)


cdef inline void matmul_tn(floating* c_mn, const floating* a_km, Py_ssize_t lda,
                           const floating* b_kn, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                           bint add) noexcept nogil:
    """c := a^T b, added to c if `add`; a is m columns of a matrix with rows of length lda."""
    if matmul_native:
        tiles(c_mn, a_km, lda, True, b_kn, n, False, m, n, k, c_mn if add else NULL, n)
    elif n == 1:
        gemv(c"N", <blas_int>m, <blas_int>k, a_km, <blas_int>lda, b_kn, 1, <floating>add, c_mn, 1)
    else:
        gemm(c"N", c"T", <blas_int>n, <blas_int>m, <blas_int>k, b_kn, <blas_int>n,
             a_km, <blas_int>lda, <floating>add, c_mn, <blas_int>n)
