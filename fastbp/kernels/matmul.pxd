"""Row-major matrix products by one of two backends: the native tiles of gemm.h, or SciPy's BLAS.

`matmul_native` chooses for the whole process, at import. On the tiles every element is one chain of
multiply-adds, whatever the block of rows it is computed in. With BLAS the order of the sums depends
on the shape of the product, so that callers fix the blocks by the problem's shape and never by the
team. BLAS is column-major: the operands and their flags change places. Callers keep every dimension
within 32-bit integers, and have bound BLAS.

The last argument is scratch: as many numbers as `scratch_nn`, `scratch_nt` or `scratch_tn` says.
Nothing is allocated here, and nothing large lies on the stack.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastbp.kernels.blas cimport (
    blas_gemm_double,
    blas_gemm_float,
    blas_gemv_double,
    blas_gemv_float,
)

cdef extern from "gemm.h" nogil:
    const int gemm_has_tiles
    const int gemm_tile_rows  # of tiles that may leave out zeros; 0: none may
    const int gemm_least_packed  # rows of b that is packed for `matmul_nn`
    int matmul_native  # whether products go through the tiles, or through BLAS
    void gemm_start()  # once, before the first product
    void gemm_float(float* c, Py_ssize_t ldc, const float* a, Py_ssize_t lda, int a_trans,
                    const float* b, Py_ssize_t ldb, int b_trans, const float* packed,
                    Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const float* init,
                    Py_ssize_t init_step, int zeros, int follows, float* scratch)
    void gemm_double(double* c, Py_ssize_t ldc, const double* a, Py_ssize_t lda, int a_trans,
                     const double* b, Py_ssize_t ldb, int b_trans, const double* packed,
                     Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const double* init,
                     Py_ssize_t init_step, int zeros, int follows, double* scratch)
    Py_ssize_t gemm_room_float(Py_ssize_t n, Py_ssize_t k)
    Py_ssize_t gemm_room_double(Py_ssize_t n, Py_ssize_t k)
    Py_ssize_t gemm_packed_float(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k)
    Py_ssize_t gemm_packed_double(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k)
    void gemm_pack_float(float* packed, const float* b, Py_ssize_t n, Py_ssize_t k,
                         Py_ssize_t top, Py_ssize_t rows)
    void gemm_pack_double(double* packed, const double* b, Py_ssize_t n, Py_ssize_t k,
                          Py_ssize_t top, Py_ssize_t rows)
    Py_ssize_t gemm_scratch_float(Py_ssize_t lda, int a_trans, Py_ssize_t ldb, int b_trans,
                                  Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, int zeros)
    Py_ssize_t gemm_scratch_double(Py_ssize_t lda, int a_trans, Py_ssize_t ldb, int b_trans,
                                   Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, int zeros)
    void gemm_row_float(float* c, const float* a, const float* b, Py_ssize_t n, Py_ssize_t k,
                        const float* init, float* scratch)
    void gemm_row_double(double* c, const double* a, const double* b, Py_ssize_t n, Py_ssize_t k,
                         const double* init, double* scratch)
    void outer_float(float* c, const float* a, const float* b, Py_ssize_t m, Py_ssize_t n)
    void outer_double(double* c, const double* a, const double* b, Py_ssize_t m, Py_ssize_t n)


cdef inline void tiles(floating* c_mn, const floating* a, Py_ssize_t lda, bint a_trans,
                       const floating* b, Py_ssize_t ldb, bint b_trans, const floating* packed,
                       Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating* init,
                       Py_ssize_t init_step, bint zeros, bint follows,
                       floating* scratch) noexcept nogil:
    if floating is double:
        gemm_double(c_mn, n, a, lda, a_trans, b, ldb, b_trans, packed, m, n, k, init, init_step,
                    zeros, follows, scratch)
    else:
        gemm_float(c_mn, n, a, lda, a_trans, b, ldb, b_trans, packed, m, n, k, init, init_step,
                   zeros, follows, scratch)


cdef inline Py_ssize_t tiles_scratch(Py_ssize_t lda, bint a_trans, Py_ssize_t ldb, bint b_trans,
                                     Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                                     bint zeros) noexcept nogil:
    """Numbers of scratch for `tiles`, of either dtype."""
    if not matmul_native:
        return 0
    return max(gemm_scratch_float(lda, a_trans, ldb, b_trans, m, n, k, zeros),
               gemm_scratch_double(lda, a_trans, ldb, b_trans, m, n, k, zeros))


cdef inline void gemm(char trans_b, char trans_a, Py_ssize_t n, Py_ssize_t m, Py_ssize_t k,
                      const floating* b, Py_ssize_t ldb, const floating* a, Py_ssize_t lda,
                      floating beta, floating* c, Py_ssize_t ldc) noexcept nogil:
    if floating is double:
        blas_gemm_double(trans_b, trans_a, n, m, k, b, ldb, a, lda, beta, c, ldc)
    else:
        blas_gemm_float(trans_b, trans_a, n, m, k, b, ldb, a, lda, beta, c, ldc)


cdef inline void gemv(char trans, Py_ssize_t m, Py_ssize_t n, const floating* a, Py_ssize_t lda,
                      const floating* x, Py_ssize_t step_x, floating beta,
                      floating* y, Py_ssize_t step_y) noexcept nogil:
    if floating is double:
        blas_gemv_double(trans, m, n, a, lda, x, step_x, beta, y, step_y)
    else:
        blas_gemv_float(trans, m, n, a, lda, x, step_x, beta, y, step_y)


cdef inline void matmul_nn(floating* c_mn, const floating* a_mk, const floating* b_kn,
                           const floating* packed, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                           const floating* bias_n, bint zeros, bint follows,
                           floating* scratch) noexcept nogil:
    """c := bias + a b, the bias in every row.

    packed: b as `pack_rows` leaves it, or NULL. zeros: whether a has many, and b is finite.
    follows: whether a goes on with the m rows of the next product, which may be fetched ahead.
    """
    cdef Py_ssize_t r
    cdef floating one = 1
    if matmul_native:
        tiles(c_mn, a_mk, k, False, b_kn, n, False, packed, m, n, k, bias_n, 0, zeros, follows,
              scratch)
        return
    for r in range(m):
        memcpy(c_mn + r * n, bias_n, n * sizeof(floating))
    if n == 1:
        gemv(c"T", k, m, a_mk, k, b_kn, 1, one, c_mn, 1)
    elif m == 1:
        gemv(c"N", n, k, b_kn, n, a_mk, 1, one, c_mn, 1)
    else:
        gemm(c"N", c"N", n, m, k, b_kn, n, a_mk, k, one, c_mn, n)


cdef inline void matmul_row(floating* c_n, const floating* a_k, const floating* b_kn,
                            Py_ssize_t n, Py_ssize_t k, const floating* bias_n,
                            floating* scratch) noexcept nogil:
    """c := bias + a b of one row a, with the bits of `matmul_nn`."""
    if not matmul_native:
        matmul_nn(c_n, a_k, b_kn, <floating*>NULL, 1, n, k, bias_n, False, False, scratch)
    elif floating is double:
        gemm_row_double(c_n, a_k, b_kn, n, k, bias_n, scratch)
    else:
        gemm_row_float(c_n, a_k, b_kn, n, k, bias_n, scratch)


cdef inline void outer(floating* c_mn, const floating* a_m, const floating* b_n, Py_ssize_t m,
                       Py_ssize_t n) noexcept nogil:
    """c := a b^T."""
    if floating is double:
        outer_double(c_mn, a_m, b_n, m, n)
    else:
        outer_float(c_mn, a_m, b_n, m, n)


cdef inline Py_ssize_t scratch_nn(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                                  bint zeros) noexcept nogil:
    """Numbers of scratch for `matmul_nn` with up to m rows."""
    return tiles_scratch(k, False, n, False, m, n, k, zeros)


cdef inline void matmul_nt(floating* c_mn, const floating* a_mk, const floating* b_nk,
                           Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, const floating* bias_n,
                           floating* scratch) noexcept nogil:
    """c := bias + a b^T, the bias in every row; NULL: without it."""
    cdef Py_ssize_t r
    cdef floating beta = bias_n != NULL
    if matmul_native:
        if m == 1 and k == 1:  # b is one row either way
            matmul_row(c_mn, a_mk, b_nk, n, k, bias_n, scratch)
        else:
            tiles(c_mn, a_mk, k, False, b_nk, k, True, <floating*>NULL, m, n, k, bias_n, 0, False,
                  False, scratch)
        return
    if bias_n != NULL:
        for r in range(m):
            memcpy(c_mn + r * n, bias_n, n * sizeof(floating))
    if m == 1:
        gemv(c"T", k, n, b_nk, k, a_mk, 1, beta, c_mn, 1)
    else:
        gemm(c"T", c"N", n, m, k, b_nk, k, a_mk, k, beta, c_mn, n)


cdef inline Py_ssize_t scratch_nt(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Numbers of scratch for `matmul_nt` with up to m rows."""
    return tiles_scratch(k, False, k, True, m, n, k, False)


cdef inline void matmul_tn(floating* c_mn, const floating* a_km, Py_ssize_t lda,
                           const floating* b_kn, const floating* packed, Py_ssize_t m,
                           Py_ssize_t n, Py_ssize_t k, bint add, bint zeros,
                           floating* scratch) noexcept nogil:
    """c := a^T b, added to c if `add`; a is m columns of a matrix whose rows have length lda.

    packed: b as `pack_rows` leaves it, or NULL. zeros: whether a has many, and b is finite.
    """
    if matmul_native:
        tiles(c_mn, a_km, lda, True, b_kn, n, False, packed, m, n, k, c_mn if add else NULL, n,
              zeros, False, scratch)
    elif n == 1:
        gemv(c"N", m, k, a_km, lda, b_kn, 1, <floating>add, c_mn, 1)
    else:
        gemm(c"N", c"T", n, m, k, b_kn, n, a_km, lda, <floating>add, c_mn, n)


cdef inline Py_ssize_t scratch_tn(Py_ssize_t lda, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k,
                                  bint zeros) noexcept nogil:
    """Numbers of scratch for `matmul_tn` with up to m rows of c and k of b."""
    return tiles_scratch(lda, True, n, False, m, n, k, zeros)


cdef inline Py_ssize_t packed_nn(Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Numbers that b of `matmul_nn` takes when it is packed, of either dtype; 0: it cannot be."""
    if not matmul_native or gemm_tile_rows == 0 or k < gemm_least_packed:
        return 0
    return max(gemm_room_float(n, k), gemm_room_double(n, k))


cdef inline Py_ssize_t packed_tn(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Numbers that b of `matmul_tn` takes when it is packed, for products of m rows of c in all.

    Of either dtype; 0 if that pays for none.
    """
    if not matmul_native:
        return 0
    return max(gemm_packed_float(m, n, k), gemm_packed_double(m, n, k))


cdef inline bint is_packed(const floating* _, Py_ssize_t m, Py_ssize_t n,
                           Py_ssize_t k) noexcept nogil:
    """Whether it pays for this dtype."""
    if floating is double:
        return matmul_native and gemm_packed_double(m, n, k) > 0
    else:
        return matmul_native and gemm_packed_float(m, n, k) > 0


cdef inline void pack_rows(floating* packed, const floating* b_kn, Py_ssize_t n, Py_ssize_t k,
                           Py_ssize_t top, Py_ssize_t rows) noexcept nogil:
    """Pack `rows` rows of b from the row `top` on. Each rank may pack some."""
    if floating is double:
        gemm_pack_double(packed, b_kn, n, k, top, rows)
    else:
        gemm_pack_float(packed, b_kn, n, k, top, rows)
