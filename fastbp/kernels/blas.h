/* SciPy's BLAS, bound at run time: the addresses of its routines, and calls for either width of its
   integers. C, because a .pxd file without a .pyx holds no variables. */
#ifndef FASTBP_BLAS_H
#define FASTBP_BLAS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

static void *blas_sgemm, *blas_dgemm, *blas_sgemv, *blas_dgemv;
static _Atomic int blas_integer_bytes = 0; /* 0: not bound */

static inline int blas_is_bound(void) {
    return atomic_load_explicit(&blas_integer_bytes, memory_order_acquire) != 0;
}

/* Threads that bind at the same time write the same addresses; the width is written last, so that
   whoever reads it finds them. */
static inline void blas_bind(void *const *routines, int integer_bytes) {
    blas_sgemm = routines[0];
    blas_dgemm = routines[1];
    blas_sgemv = routines[2];
    blas_dgemv = routines[3];
    atomic_store_explicit(&blas_integer_bytes, integer_bytes, memory_order_release);
}

#define GEMM(INT, real, address)                                                                  \
    {                                                                                             \
        INT n_ = (INT)n, m_ = (INT)m, k_ = (INT)k, ldb_ = (INT)ldb, lda_ = (INT)lda,              \
            ldc_ = (INT)ldc;                                                                      \
        ((void (*)(char *, char *, INT *, INT *, INT *, real *, real *, INT *, real *, INT *,     \
                   real *, real *, INT *))address)(&trans_b, &trans_a, &n_, &m_, &k_, &one,       \
                                                   (real *)b, &ldb_, (real *)a, &lda_, &beta, c,  \
                                                   &ldc_);                                        \
    }
#define GEMV(INT, real, address)                                                                  \
    {                                                                                             \
        INT m_ = (INT)m, n_ = (INT)n, lda_ = (INT)lda, step_x_ = (INT)step_x,                     \
            step_y_ = (INT)step_y;                                                                \
        ((void (*)(char *, INT *, INT *, real *, real *, INT *, real *, INT *, real *, real *,    \
                   INT *))address)(&trans, &m_, &n_, &one, (real *)a, &lda_, (real *)x, &step_x_, \
                                   &beta, y, &step_y_);                                           \
    }
#define CALLS(real, gemm_address, gemv_address)                                                   \
    static inline void blas_gemm_##real(char trans_b, char trans_a, ptrdiff_t n, ptrdiff_t m,     \
                                        ptrdiff_t k, const real *b, ptrdiff_t ldb, const real *a, \
                                        ptrdiff_t lda, real beta, real *c, ptrdiff_t ldc) {       \
        real one = 1;                                                                             \
        if (blas_integer_bytes == 4) GEMM(int32_t, real, gemm_address)                            \
        else GEMM(int64_t, real, gemm_address)                                                    \
    }                                                                                             \
    static inline void blas_gemv_##real(char trans, ptrdiff_t m, ptrdiff_t n, const real *a,      \
                                        ptrdiff_t lda, const real *x, ptrdiff_t step_x,           \
                                        real beta, real *y, ptrdiff_t step_y) {                   \
        real one = 1;                                                                             \
        if (blas_integer_bytes == 4) GEMV(int32_t, real, gemv_address)                            \
        else GEMV(int64_t, real, gemv_address)                                                    \
    }

CALLS(float, blas_sgemm, blas_sgemv)
CALLS(double, blas_dgemm, blas_dgemv)

#undef GEMM
#undef GEMV
#undef CALLS
#endif
