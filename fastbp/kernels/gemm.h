/* Register-tiled matrix products for row-major matrices, in GCC/Clang vector extensions.

   c := init + op(a) op(b), where init is zero, c itself, or one row (a bias) for all rows of c.

   A tile of c, TILE_ROWS rows by up to TILE_VECTORS vectors, stays in registers while k runs: per k,
   one broadcast of `a` for each row and one load of `b` for each vector feed rows x vectors fused
   multiply-adds. Every element of c is one chain, init + a[0] b[0] + a[1] b[1] + ..., in the order of
   k, whatever tile it falls into: cutting k into blocks passes the chain through c, which is exact.
   So the bits depend neither on how rows are shared among ranks nor on the width of the vectors.

   Where `a` has many zeros, each tile of rows has a list of those k at which one of its rows is not
   zero, and k runs over the list. What is left out adds 0 b[k] = 0 to a chain: if b is finite, that
   changes no number, but that a sum of -0 becomes 0. In the last few columns zeros are
   left out of a single row alone, where b is not transposed.

   A few columns at the end (100 is 6 x 16 + 4) would leave most of a vector empty. There vectors run
   along k instead, and an element is as many interleaved chains as 64 bytes have numbers; or, if a is
   transposed, along the rows of c, which keeps the one chain.

   The rows of wide matrices lie on many pages and compete for few places of the first cache. There a
   and b are copied: b in panels of a tile's width, a in groups of a tile's rows, block by block of k.
   What several products share is packed only once, by gemm_pack.

   Copies of blocks lie in scratch memory of the caller: gemm_scratch says how much. The stack of a
   thread may be small.

   Included three times: by the core, and by itself once for each dtype. */
#ifndef REAL

#ifndef FASTBP_GEMM_H
#define FASTBP_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

static int matmul_native = 0; /* whether products go through the tiles, or through BLAS */

#if fastbp_gnu
#define gemm_has_tiles 1

#if defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define NEON 1
#else
#define NEON 0
#endif

#if defined(__AVX512F__)
#define TILE_BYTES 64
#define TILE_ROWS 8
#define MASKED 1
#elif defined(__AVX2__)
#define TILE_BYTES 32
#define TILE_ROWS 4
#define MASKED 1
#else
#define TILE_BYTES 16
#define TILE_ROWS (NEON ? 8 : 4)
#define MASKED 0 /* parts of vectors are loaded number by number: not in a loop */
#endif
#define gemm_tile_rows (MASKED ? TILE_ROWS : 0) /* of tiles that may leave out zeros; 0: none may */
#define ROW_VECTORS 6  /* a single row of c has registers left for more */
#define TILE_VECTORS 3 /* 8 x 3 sums of 32 registers, 4 x 3 of 16: the rest hold a and b */
/* At AVX2, where c is 4 vectors wide, tiles are flat: 3 x 4. 4 x 2 sums are too few to hide the latency
   of a multiply-add. The last four rows are two and two. */
#define FLAT_VECTORS 4
#define FLAT_ROWS 3
#define IS_FLAT(vectors) (TILE_BYTES == 32 && (vectors) == FLAT_VECTORS)
#define FLAT_IS_NEXT(m) ((m) > 4 || (m) == FLAT_ROWS)
#define MOST_IN_ROW (MASKED ? ROW_VECTORS : TILE_VECTORS)
#define FEW_COLUMNS 4 /* at most, at the end of c */
#define DOT_DEPTH 64  /* least k for which folding chains costs less than empty lanes */
#define gemm_least_packed DOT_DEPTH
#define DOT_BLOCK 512
#define K_BLOCK 128 /* this many rows of b, a tile's width of each, stay in the first cache */
#define PACK_BLOCK 256 /* and this many where they are packed, or a single row leaves out zeros */
/* One row of a reads b once, from memory if b is large. Then STREAMS rows of b are read side by side,
   each from its beginning to its end, as the processor fetches ahead. */
#define STREAMS 8
#define STREAM_STRIDE 4096 /* for rows of b of at least so many bytes */
/* Rows that are FAR_STRIDE bytes or more apart fall on few cache sets and on many pages. Then blocks of
   b are copied, PACK_PANELS at a time, if they serve at least COPY_ROWS rows of c; and blocks of a,
   GROUP rows at a time, if they serve at least COPY_PANELS panels. PACK_ROWS rows at a time go into all
   panels, while those PACK_AHEAD rows later are fetched. */
#define FAR_STRIDE 2048
#define COPY_ROWS 128
#define COPY_LISTED 64
#define COPY_PANELS 8
#define PACK_PANELS 4
#define PACK_ROWS 4
#define PACK_AHEAD 16
/* Rows of z that stay in the first cache beside the weights of so many codes. */
#define CODE_ROWS 32
#define CODES_AT_ONCE 4
#define GROUP (LANES < TILE_ROWS ? TILE_ROWS : LANES)
/* The list of a tile: its length, then numbers of one byte, since blocks of k are not longer than 256.
   They are written eight at a time. */
#define LIST_HEAD 8
#define LIST_BYTES (LIST_HEAD + PACK_BLOCK + 8)
#define MARKED_ROWS 32 /* whose zeros are looked for at once, a bit each */
#define MARKED_COLUMNS 128 /* in so many columns: their words stay in the first cache */
/* Of all tiles of m rows, of which the last few are up to 3; whole cache lines. */
#define BYTES_OF_LISTS(m) \
    ((((m) / (TILE_BYTES == 32 ? FLAT_ROWS : TILE_ROWS) + 3) * LIST_BYTES + 63) / 64 * 64)

#if defined(__clang__) /* UNROLL: the trip count is a constant of at most 16 */
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_FOUR _Pragma("clang loop unroll_count(4)")
#define UNROLL_EIGHT _Pragma("clang loop unroll_count(8)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_FOUR _Pragma("GCC unroll 4")
#define UNROLL_EIGHT _Pragma("GCC unroll 8")
#endif
/* The loop over k has some hundred multiply-adds at once: its end is foreseen more often, and a core
   whose other thread is busy reads fewer jumps. */
#if TILE_BYTES == 64
#define UNROLL_TERMS UNROLL_FOUR
#elif TILE_BYTES == 32
#define UNROLL_TERMS UNROLL_EIGHT
#else
#define UNROLL_TERMS
#endif
#define GEMM_PASTE(name, real) name##_##real
#define GEMM_NAME(name, real) GEMM_PASTE(name, real)

/* By the bits of a byte: their places, a byte each. */
static uint64_t gemm_places[256];

static inline void gemm_start(void) {
    for (int bits = 0; bits < 256; bits++) {
        uint64_t places = 0;
        for (int place = 7; place >= 0; place--)
            if (bits >> place & 1) places = places << 8 | (unsigned)place;
        gemm_places[bits] = places;
    }
}

/* Append the places of the bits of a byte, plus top, to a list. Returns its new end. */
static inline uint8_t *list_bits(uint8_t *end, unsigned bits, ptrdiff_t top) {
    const uint64_t found = gemm_places[bits] + 0x0101010101010101 * (uint64_t)top;
    for (int i = 0; i < 8; i++) end[i] = (uint8_t)(found >> 8 * i);
    return end + __builtin_popcount(bits);
}

#define REAL float
#define INDEX int
#define LANES (TILE_BYTES / 4)
#include "gemm.h"
#undef REAL
#undef INDEX
#undef LANES
#define REAL double
#define INDEX long long
#define LANES (TILE_BYTES / 8)
#include "gemm.h"
#undef REAL
#undef INDEX
#undef LANES

#else
#define gemm_has_tiles 0
#define gemm_tile_rows 0
#define gemm_least_packed 0
static inline void gemm_start(void) {}
#define NO_TILES(REAL)                                                                             \
    static inline void gemm_##REAL(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda,           \
                                   int a_trans, const REAL *b, ptrdiff_t ldb, int b_trans,         \
                                   const REAL *packed, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k,      \
                                   const REAL *init, ptrdiff_t init_step, int zeros, int follows,  \
                                   REAL *scratch) {}                                               \
    static inline ptrdiff_t gemm_room_##REAL(ptrdiff_t n, ptrdiff_t k) { return 0; }               \
    static inline ptrdiff_t gemm_packed_##REAL(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {            \
        return 0;                                                                                  \
    }                                                                                              \
    static inline void gemm_pack_##REAL(REAL *packed, const REAL *b, ptrdiff_t n, ptrdiff_t k,     \
                                        ptrdiff_t top, ptrdiff_t rows) {}                          \
    static inline ptrdiff_t gemm_scratch_##REAL(ptrdiff_t lda, int a_trans, ptrdiff_t ldb,         \
                                                int b_trans, ptrdiff_t m, ptrdiff_t n,             \
                                                ptrdiff_t k, int zeros) {                          \
        return 0;                                                                                  \
    }                                                                                              \
    static inline void gemm_row_##REAL(REAL *c, const REAL *a, const REAL *b, ptrdiff_t n,         \
                                       ptrdiff_t k, const REAL *init, REAL *scratch) {}            \
    static inline void outer_##REAL(REAL *c, const REAL *a, const REAL *b, ptrdiff_t m,            \
                                    ptrdiff_t n) {                                                 \
        for (ptrdiff_t i = 0; i < m; i++)                                                          \
            for (ptrdiff_t j = 0; j < n; j++) c[i * n + j] = a[i] * b[j];                          \
    }                                                                                              \
    static inline REAL outer_step_##REAL(REAL *w, REAL *velocity, const REAL *a,                   \
                                         const REAL *delta, ptrdiff_t m, ptrdiff_t n, REAL rate,   \
                                         REAL alpha, REAL scale, REAL momentum, int nesterov) {    \
        return 0;                                                                                  \
    }                                                                                              \
    static inline REAL slice_step_##REAL(REAL *w, REAL *velocity, const REAL *dw, ptrdiff_t n,     \
                                         REAL rate, REAL alpha, REAL scale, REAL momentum,         \
                                         int nesterov, int *finite) {                              \
        return 0;                                                                                  \
    }                                                                                              \
    static inline void bias_step_##REAL(REAL *w, REAL *velocity, const REAL *delta, ptrdiff_t n,   \
                                        REAL rate, REAL scale, REAL momentum, int nesterov) {}     \
    static inline void sums_of_bins_##REAL(REAL *sums, const REAL *w, REAL one, ptrdiff_t bins,    \
                                           ptrdiff_t n) {}                                         \
    static inline void codes_forward_##REAL(REAL *z, const REAL *sums, const REAL *w,              \
                                            const ptrdiff_t *first, ptrdiff_t codes,               \
                                            const int32_t *bins, const REAL *shares,               \
                                            ptrdiff_t step, ptrdiff_t m, ptrdiff_t n) {}           \
    static inline void code_backward_##REAL(REAL *dw, const int32_t *bin, const REAL *shares,      \
                                            REAL one, ptrdiff_t bins, const REAL *delta,           \
                                            ptrdiff_t m, ptrdiff_t n, int32_t *scratch) {}
NO_TILES(float)
NO_TILES(double)
#undef NO_TILES
#endif
#endif /* FASTBP_GEMM_H */

#else /* REAL is defined: the body, for one dtype */

#define F(name) GEMM_NAME(name, REAL)
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline)) /* of rare ways, which would crowd gemm */

#include "vectors.h"
#include "tile.h"
#include "pack.h"
#include "few_columns.h"
#include "sgd_step.h"
#include "codes.h"

/* How many columns at the end of c are left to gemm_few. */
INLINE int F(few_columns)(int a_trans, ptrdiff_t ldb, int b_trans, ptrdiff_t n, ptrdiff_t k) {
    const int few = (int)(n % CHAINS);
    if (few > FEW_COLUMNS) return 0;
    if (n == few) return n > 1 || !(a_trans || b_trans || ldb == 1) ? 0 : few;
    return k < (a_trans ? CHAINS : DOT_DEPTH) ? 0 : few;
}

/* Whether blocks of b are copied. A list walks through them in leaps, which no processor foresees. */
INLINE int F(copies_b)(ptrdiff_t ldb, int b_trans, ptrdiff_t m, ptrdiff_t n, int in_leaps) {
    return b_trans || (m >= COPY_LISTED && in_leaps) || (!MASKED && m > 1 && n % LANES)
           || (m >= COPY_ROWS && F(is_far)(ldb));
}

/* Whether blocks of a are copied. */
INLINE int F(copies_a)(ptrdiff_t lda, ptrdiff_t m, ptrdiff_t panels) {
    return m > 1 && panels >= COPY_PANELS && F(is_far)(lda);
}

/* Numbers of scratch that are enough for gemm, with up to m rows and k terms. */
INLINE ptrdiff_t F(gemm_scratch)(ptrdiff_t lda, int a_trans, ptrdiff_t ldb, int b_trans, ptrdiff_t m,
                                 ptrdiff_t n, ptrdiff_t k, int zeros) {
    const ptrdiff_t vectors = (n + LANES - 1) / LANES, most = PACK_PANELS * TILE_VECTORS;
    const ptrdiff_t depth = k < PACK_BLOCK ? k : PACK_BLOCK;
    ptrdiff_t numbers = 0;
    if (!a_trans && !b_trans && ldb > 1 && m > 1 && F(few_columns)(0, ldb, 0, n, k))
        numbers = FEW_COLUMNS * DOT_BLOCK;
    if (F(copies_b)(ldb, b_trans, m, n, zeros && MASKED && !a_trans)) {
        const ptrdiff_t packed = depth * LANES * (vectors < most ? vectors : most);
        if (packed > numbers) numbers = packed;
    }
    if (F(copies_a)(lda, m, (vectors + TILE_VECTORS - 1) / TILE_VECTORS))
        numbers += (m + GROUP) * depth;
    if (zeros && MASKED) numbers += BYTES_OF_LISTS(m) / (ptrdiff_t)sizeof(REAL);
    return numbers ? numbers + (ptrdiff_t)(TILE_BYTES / sizeof(REAL)) : 0;
}

/* One row of a and few columns: one panel, or dot products. 0 if that is not enough. */
INLINE int F(row)(REAL *c, const REAL *a, const REAL *b, ptrdiff_t ldb, ptrdiff_t n, ptrdiff_t k,
                  const REAL *init) {
    const int few = F(few_columns)(0, ldb, 0, n, k), wide = (int)((n + LANES - 1) / LANES);
    if (wide > MOST_IN_ROW || (few && few < n)) return 0;
    if (few) F(dots)(few, c, n, a, k, b, ldb, 1, k, init, 0);
    else
        F(panel)(wide, 0, c, n, a, k, b, ldb, 1, k, init, 0, (int)(n - (wide - 1) * LANES), c + n, 0);
    return 1;
}

/* c := a b^T of m and n numbers: each element is one product. Fewer columns than a vector has. */
static NOINLINE void F(outer_few)(REAL *c, const REAL *a, const REAL *b, ptrdiff_t m, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) c[i * n + j] = a[i] * b[j];
}

/* The same for any number of columns. */
static void F(outer)(REAL *c, const REAL *a, const REAL *b, ptrdiff_t m, ptrdiff_t n) {
    if (n == 1) {
        const REAL *const column = a;
        a = b, b = column, n = m, m = 1;
    }
    if (n < LANES) {
        F(outer_few)(c, a, b, m, n);
        return;
    }
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const ptrdiff_t at = j + LANES <= n ? j : n - LANES; /* the last vector may repeat some */
        const F(vector) row = F(load)(b + at);
        REAL *to = c + at;
        UNROLL_FOUR
        for (ptrdiff_t i = 0; i < m; i++, to += n) *(F(unaligned) *)to = a[i] * row;
    }
}

/* The first address from `memory` on that vectors may have. */
INLINE REAL *F(aligned)(const REAL *memory) {
    return (REAL *)(((uintptr_t)memory + TILE_BYTES - 1) & ~(uintptr_t)(TILE_BYTES - 1));
}

/* Panels of so many vectors, where a has several rows. */
INLINE ptrdiff_t F(panels_of_tiles)(ptrdiff_t vectors) {
    const ptrdiff_t most = IS_FLAT(vectors) ? FLAT_VECTORS : TILE_VECTORS;
    return (vectors + most - 1) / most;
}

/* Numbers that b (k, n) takes when it is packed. */
INLINE ptrdiff_t F(gemm_room)(ptrdiff_t n, ptrdiff_t k) {
    return ((n + LANES - 1) / LANES * k + 1) * LANES;
}

/* gemm_room for products of m rows in all with a transposed; 0 if packing does not pay. */
INLINE ptrdiff_t F(gemm_packed)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k) {
    return m < COPY_ROWS || !F(is_far)(n) ? 0 : F(gemm_room)(n, k);
}

/* Pack `rows` rows of b from the row `top` on, of k in all. Where a is not transposed, k is
   gemm_least_packed at least: then the last few columns, which are not packed, are the same. */
static NOINLINE void F(gemm_pack)(REAL *packed, const REAL *b, ptrdiff_t n, ptrdiff_t k,
                                  ptrdiff_t top, ptrdiff_t rows) {
    const int few = F(few_columns)(1, n, 0, n, k);
    const ptrdiff_t vectors = (n - few + LANES - 1) / LANES;
    const ptrdiff_t panels = F(panels_of_tiles)(vectors);
    if (panels)
        F(pack_panels)(F(aligned)(packed), k, top, 0, panels, panels, vectors, b + top * n, n, 0,
                       n - few, rows);
}

/* c (m, n; rows ldc apart) := init + op(a) op(b). a is (m, k), or (k, m) if transposed; b is (k, n),
   or (n, k), but not both transposed. packed: b as gemm_pack leaves it, or NULL. init: NULL for zeros;
   rows init_step apart, 0 for one row used for all. zeros: whether a has many, and b is finite.
   follows: whether a goes on with the m rows of the next product. Where zeros are left out, rows that
   are far apart are asked for meanwhile. scratch: of any alignment. */
static void F(gemm)(REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, int a_trans, const REAL *b,
                    ptrdiff_t ldb, int b_trans, const REAL *packed, ptrdiff_t m, ptrdiff_t n,
                    ptrdiff_t k, const REAL *init, ptrdiff_t init_step, int zeros, int follows,
                    REAL *scratch) {
    if (b_trans && k == 1 && ldb == 1) b_trans = 0; /* one row either way */
    if (m == 1 && !a_trans && !b_trans && !zeros && F(row)(c, a, b, ldb, n, k, init)) return;
    const int few = F(few_columns)(a_trans, ldb, b_trans, n, k);
    const ptrdiff_t vectors = (n - few + LANES - 1) / LANES;
    const int single = m == 1 && !a_trans && !b_trans;
    const ptrdiff_t panels =
        single ? (vectors + MOST_IN_ROW - 1) / MOST_IN_ROW : F(panels_of_tiles)(vectors);
    zeros = zeros && MASKED;
    packed = packed && !single ? F(aligned)(packed) : NULL;
    scratch = F(aligned)(scratch);
#if MASKED
    uint8_t *const lists = (uint8_t *)scratch;
#endif
    if (zeros) scratch += BYTES_OF_LISTS(m) / sizeof(REAL);
    if (few) {
        n -= few;
        F(gemm_few)(few, c + n, ldc, a, lda, a_trans, b + n * (b_trans ? ldb : 1), ldb, b_trans, m, k,
                    init ? init + n : NULL, init_step, zeros, scratch);
        if (!n) return;
    }
    const int copy_b = !packed && F(copies_b)(ldb, b_trans, m, n, zeros && !a_trans);
    const int copy_a = F(copies_a)(lda, m, panels), trans = copy_a || a_trans;
    const int in_streams = m == 1 && ldb * (ptrdiff_t)sizeof(REAL) >= STREAM_STRIDE;
    const ptrdiff_t in_place = in_streams ? STREAMS : m == 1 && zeros ? PACK_BLOCK : K_BLOCK;
    const ptrdiff_t block = copy_a || copy_b ? PACK_BLOCK : in_place;
    const ptrdiff_t blocks = (k + block - 1) / block;
    const ptrdiff_t most = blocks > 1 ? (k + blocks - 1) / blocks : k;
    const ptrdiff_t together = F(is_far)(ldb) ? PACK_PANELS : 1; /* panels that are copied */
    const ptrdiff_t groups = (m + GROUP - 1) / GROUP;
    const ptrdiff_t group = copy_a ? GROUP : m, a_step = copy_a ? GROUP : lda;
    const ptrdiff_t step = follows && !copy_a && F(is_far)(lda) ? panels : 0;
    (void)step; /* only asked where there are masks */
    const REAL *const end = c + (m - 1) * ldc + n;
    REAL *const a_copy = scratch, *const b_copy = scratch + (copy_a ? groups * GROUP * most : 0);
    ptrdiff_t top = 0;
    do {
        const ptrdiff_t depth = k - top < most ? k - top : most;
        const REAL *const a_k = a + (a_trans ? top * lda : top);
        const REAL *const b_k = b + (b_trans ? top : top * ldb), *copied = b_copy;
#if MASKED
        if (zeros)
            (a_trans ? F(list_columns) : F(list_rows))(lists, a_k, lda, m, depth,
                                                       !single && IS_FLAT(vectors));
#endif
        if (copy_a)
            F(pack_panels)(a_copy, depth, 0, 0, groups, groups, groups * (GROUP / LANES), a_k, lda,
                           !a_trans, m, depth);
        for (ptrdiff_t p = 0; p < panels; p++) {
            const ptrdiff_t left = F(left_of)(p, panels, vectors);
            const ptrdiff_t width = F(left_of)(p + 1, panels, vectors) - left, right = n - left;
            const int tail = (int)(right < width ? right - width + LANES : LANES);
            const REAL *panel = b_k + (b_trans ? left * ldb : left);
            ptrdiff_t b_step = ldb;
            if (copy_b && p % together == 0) {
                const ptrdiff_t last = panels - p < together ? panels : p + together;
                F(pack_panels)(b_copy, depth, 0, p, last, panels, vectors, panel, ldb, b_trans, right,
                               depth);
                copied = b_copy;
            }
            if (packed) panel = packed + left * k + top * width;
            if (copy_b) panel = copied, copied += width * depth;
            if (packed || copy_b) b_step = width;
            for (ptrdiff_t i = 0; i < m; i += group) {
                const ptrdiff_t rows = m - i < group ? m - i : group;
                const REAL *const from = init ? init + i * init_step + left : NULL;
                const REAL *const a_i = copy_a ? a_copy + i * depth : a_k;
                REAL *const to = c + i * ldc + left;
#if MASKED
                if (zeros)
                    F(listed_panel)((int)width / LANES, trans, to, ldc, a_i, a_step, panel, b_step,
                                    rows, depth, from, init_step, tail, end,
                                    lists + i / TILE_ROWS * LIST_BYTES, p, step);
                else
#endif
                    F(panel)((int)width / LANES, trans, to, ldc, a_i, a_step, panel, b_step, rows,
                             depth, from, init_step, tail, end, packed || copy_b);
            }
        }
        top += depth;
        init = c; /* the next block adds to the sums of this one */
        init_step = ldc;
    } while (top < k);
}

/* c := init + a b for one row, of any size. */
static NOINLINE void F(gemm_any_row)(REAL *c, const REAL *a, const REAL *b, ptrdiff_t n, ptrdiff_t k,
                                     const REAL *init, REAL *scratch) {
    if (!F(row)(c, a, b, n, n, k, init))
        F(gemm)(c, n, a, k, 0, b, n, 0, NULL, 1, n, k, init, 0, 0, 0, scratch);
}

/* The same. The first forms are those of small networks: there a call takes as long as a product. */
INLINE void F(gemm_row)(REAL *c, const REAL *a, const REAL *b, ptrdiff_t n, ptrdiff_t k,
                        const REAL *init, REAL *scratch) {
#define WHOLE_ROW(vectors) \
    F(tile)(1, vectors, 1, 0, c, n, a, k, b, n, k, init, 0, LANES, c + n, NULL)
    if (n == 1) F(dot_tile)(1, 1, c, 1, a, k, b, k, k, init, 0);
    else if (n == LANES) WHOLE_ROW(1);
    else if (n == 2 * LANES) WHOLE_ROW(2);
    else if (n == 4 * LANES) WHOLE_ROW(4);
    else F(gemm_any_row)(c, a, b, n, k, init, scratch);
#undef WHOLE_ROW
}

#undef F
#undef LANE_NUMBERS
#undef CHAINS
#undef PARTS
#undef DOT_ROWS
#undef INLINE
#undef NOINLINE
#undef MASK

#endif
