/* Vectors of REAL in TILE_BYTES: parts of them in memory, and shuffles. Included by gemm.h for each
   dtype, without a guard. */
typedef REAL F(vector) __attribute__((vector_size(TILE_BYTES)));
typedef REAL F(unaligned) __attribute__((vector_size(TILE_BYTES), aligned(sizeof(REAL)), may_alias));
typedef INDEX F(lanes) __attribute__((vector_size(TILE_BYTES)));
typedef unsigned INDEX F(bits) __attribute__((vector_size(TILE_BYTES), may_alias));
typedef REAL F(four) __attribute__((vector_size(4 * sizeof(REAL))));
typedef REAL F(unaligned_four)
    __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

#if LANES == 16
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
#elif LANES == 8
#define LANE_NUMBERS {0, 1, 2, 3, 4, 5, 6, 7}
#elif LANES == 4
#define LANE_NUMBERS {0, 1, 2, 3}
#else
#define LANE_NUMBERS {0, 1}
#endif

/* The first `count` lanes of a vector in memory. What lies behind them stays as it is, and behind `end`
   it is not touched. */
#if TILE_BYTES == 64
#include <immintrin.h>
#define MASK(count) ((unsigned)((1u << (count)) - 1))
INLINE F(vector) F(load_part)(const REAL *p, int count) {
    return sizeof(REAL) == 4 ? (F(vector))_mm512_maskz_loadu_ps((__mmask16)MASK(count), p)
                             : (F(vector))_mm512_maskz_loadu_pd((__mmask8)MASK(count), p);
}
INLINE void F(store_part)(REAL *p, F(vector) v, int count, const REAL *end) {
    (void)end;
    if (sizeof(REAL) == 4) _mm512_mask_storeu_ps(p, (__mmask16)MASK(count), (__m512)v);
    else _mm512_mask_storeu_pd(p, (__mmask8)MASK(count), (__m512d)v);
}
/* A bit for each lane that is not zero; that of -0 is 0, as well. */
INLINE unsigned F(nonzero)(F(vector) v) {
    return sizeof(REAL) == 4
               ? _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ)
               : _mm512_cmp_pd_mask((__m512d)v, _mm512_setzero_pd(), _CMP_NEQ_UQ);
}
#elif TILE_BYTES == 32
#include <immintrin.h>
#define MASK(count) ((1u << (count)) - 1)
INLINE __m256i F(mask)(int count) {
    const F(lanes) lane = LANE_NUMBERS;
    return (__m256i)(lane < (INDEX)count);
}
INLINE F(vector) F(load_part)(const REAL *p, int count) {
    return sizeof(REAL) == 4
               ? (F(vector))_mm256_maskload_ps((const float *)p, F(mask)(count))
               : (F(vector))_mm256_maskload_pd((const double *)p, F(mask)(count));
}
INLINE void F(store_part)(REAL *p, F(vector) v, int count, const REAL *end) {
    const __m256i mask = F(mask)(count);
    if (end - p >= LANES) { /* AMD's processors are slow at masked stores */
        const F(vector) old = *(const F(unaligned) *)p;
        *(F(unaligned) *)p =
            sizeof(REAL) == 4
                ? (F(vector))_mm256_blendv_ps((__m256)old, (__m256)v, (__m256)mask)
                : (F(vector))_mm256_blendv_pd((__m256d)old, (__m256d)v, (__m256d)mask);
    } else if (sizeof(REAL) == 4) _mm256_maskstore_ps((float *)p, mask, (__m256)v);
    else _mm256_maskstore_pd((double *)p, mask, (__m256d)v);
}
INLINE unsigned F(nonzero)(F(vector) v) {
    return sizeof(REAL) == 4
               ? (unsigned)_mm256_movemask_ps((__m256)(v != (F(vector)){0}))
               : (unsigned)_mm256_movemask_pd((__m256d)(v != (F(vector)){0}));
}
#else
INLINE F(vector) F(load_part)(const REAL *p, int count) {
    F(vector) v = {0};
    for (int l = 0; l < LANES; l++)
        if (l < count) v[l] = p[l];
    return v;
}
INLINE void F(store_part)(REAL *p, F(vector) v, int count, const REAL *end) {
    (void)end;
    for (int l = 0; l < LANES; l++)
        if (l < count) p[l] = v[l];
}
#endif

INLINE F(vector) F(load)(const REAL *p) { return *(const F(unaligned) *)p; }

/* x in all lanes; of -0, too. */
INLINE F(vector) F(spread)(REAL x) { return x - (F(vector)){0}; }

/* sum + a b, rounded once. By name: a compiler that may contract the two operations need not do it, GCC
   does not where they have come to stand in two branches, and of two products it may take the other. */
INLINE F(vector) F(add_product)(F(vector) sum, F(vector) a, F(vector) b) {
#if TILE_BYTES == 64
    return sizeof(REAL) == 4
               ? (F(vector))_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum)
               : (F(vector))_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)sum);
#elif TILE_BYTES == 32 && fastbp_fma
    return sizeof(REAL) == 4
               ? (F(vector))_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum)
               : (F(vector))_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)sum);
#elif NEON
    return sizeof(REAL) == 4
               ? (F(vector))vfmaq_f32((float32x4_t)sum, (float32x4_t)a, (float32x4_t)b)
               : (F(vector))vfmaq_f64((float64x2_t)sum, (float64x2_t)a, (float64x2_t)b);
#else
    return sum + a * b;
#endif
}

/* The same of single numbers. */
INLINE REAL F(add_number)(REAL sum, REAL a, REAL b) {
    return sizeof(REAL) == 4 ? (REAL)fastbp_add_product_f((float)sum, (float)a, (float)b)
                             : (REAL)fastbp_add_product_d(sum, a, b);
}

/* Lane l of the result is lane from[l] of a followed by b. */
INLINE F(vector) F(shuffle)(F(vector) a, F(vector) b, F(lanes) from) {
#if defined(__clang__)
    F(vector) v = a;
    UNROLL for (int l = 0; l < LANES; l++) v[l] = from[l] < LANES ? a[from[l]] : b[from[l] - LANES];
    return v;
#else
    return __builtin_shuffle(a, b, from);
#endif
}
