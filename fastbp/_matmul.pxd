"""Row-major matrix products: c := beta c + op(a) op(b), through SciPy's BLAS.

BLAS is column-major: the operands and their flags change places. The way a product is computed
depends on its shape alone, never on the team, so that every element is the same chain of
multiply-adds at any number of threads. Callers keep every dimension within `blas_int`.
"""

from cython cimport floating
from scipy.linalg.cython_blas cimport dgemm, dgemv, sgemm, sgemv

# SciPy >= 1.18 can be built with 64-bit BLAS integers: this line, and nothing else, follows it.
ctypedef int blas_int


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
                           Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, floating beta) noexcept nogil:
    """c := beta c + a b."""
    if n == 1:
        gemv(c"T", <blas_int>k, <blas_int>m, a_mk, <blas_int>k, b_kn, 1, beta, c_mn, 1)
    elif m == 1:
        gemv(c"N", <blas_int>n, <blas_int>k, b_kn, <blas_int>n, a_mk, 1, beta, c_mn, 1)
    else:
        gemm(c"N", c"N", <blas_int>n, <blas_int>m, <blas_int>k, b_kn, <blas_int>n,
             a_mk, <blas_int>k, beta, c_mn, <blas_int>n)


cdef inline void matmul_nt(floating* c_mn, const floating* a_mk, const floating* b_nk,
                           Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, floating beta) noexcept nogil:
    """c := beta c + a b^T."""
    if m == 1:
        gemv(c"T", <blas_int>k, <blas_int>n, b_nk, <blas_int>k, a_mk, 1, beta, c_mn, 1)
    else:
        gemm(c"T", c"N", <blas_int>n, <blas_int>m, <blas_int>k, b_nk, <blas_int>k,
             a_mk, <blas_int>k, beta, c_mn, <blas_int>n)


cdef inline void matmul_tn(floating* c_mn, const floating* a_km, Py_ssize_t lda,
                           const floating* b_kn, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                           floating beta) noexcept nogil:
    """c := beta c + a^T b, where a is m columns of a matrix with rows of length lda."""
    if n == 1:
        gemv(c"N", <blas_int>m, <blas_int>k, a_km, <blas_int>lda, b_kn, 1, beta, c_mn, 1)
    else:
        gemm(c"N", c"T", <blas_int>n, <blas_int>m, <blas_int>k, b_kn, <blas_int>n,
             a_km, <blas_int>lda, beta, c_mn, <blas_int>n)
