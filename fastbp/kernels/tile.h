/* A tile of c, whose sums are registers, and a panel of tiles; then, by lists.h, panels that leave out
   zeros. Included by gemm.h for each dtype, without a guard. */

/* sum[r][j] += a[r][i] b[i][j] for all rows and vectors of a tile; b points to row i. Of the numbers of
   a and the vectors of b the fewer are held in registers, the others are read in turn. */
INLINE void F(tile_step)(const int rows, const int vectors, const int whole, const int a_trans,
                         F(vector) (*sum)[ROW_VECTORS], const REAL *a, ptrdiff_t lda, const REAL *b,
                         int tail, ptrdiff_t i) {
    const int last = vectors - (whole != 1);
    F(vector) number[TILE_ROWS], vector[ROW_VECTORS];
#define NUMBER(r) number[r] = F(spread)(a_trans ? a[i * lda + r] : a[r * lda + i])
#define VECTOR(j)                                               \
    vector[j] = j < last || whole == 2 ? F(load)(b + j * LANES) \
                                       : F(load_part)(b + j * LANES, tail)
#define ADD(r, j) sum[r][j] = F(add_product)(sum[r][j], number[r], vector[j])
    if (rows < vectors) {
        UNROLL for (int r = 0; r < rows; r++) NUMBER(r);
        UNROLL for (int j = 0; j < vectors; j++) {
            VECTOR(j);
            UNROLL for (int r = 0; r < rows; r++) ADD(r, j);
        }
    } else {
        UNROLL for (int j = 0; j < vectors; j++) VECTOR(j);
        UNROLL for (int r = 0; r < rows; r++) {
            NUMBER(r);
            UNROLL for (int j = 0; j < vectors; j++) ADD(r, j);
        }
    }
#undef NUMBER
#undef VECTOR
#undef ADD
}

/* One tile: c[r][j] := init[r][j] + sum_k a[r][k] b[k][j], for `rows` rows and `vectors` vectors, of
   the last of which `tail` lanes are c's; all of them if `whole` is 1, and all may be read of b if it is
   2. Constants at every call, so that the sums are registers. k runs over the numbers of `list`, unless
   it is NULL, which is a constant, too. c ends at `end`. */
INLINE void F(tile)(const int rows, const int vectors, const int whole, const int a_trans, REAL *c,
                    ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b, ptrdiff_t ldb,
                    ptrdiff_t k, const REAL *init, ptrdiff_t init_step, int tail, const REAL *end,
                    const uint8_t *list) {
    F(vector) sum[TILE_ROWS][ROW_VECTORS];
    const int last = vectors - (whole != 1);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < vectors; j++) {
            const ptrdiff_t at = r * init_step + j * LANES;
            if (!init) sum[r][j] = (F(vector)){0};
            else if (j < last) sum[r][j] = F(load)(init + at);
            else sum[r][j] = F(load_part)(init + at, tail);
        }
    if (list)
        for (ptrdiff_t t = 0; t < k; t++)
            F(tile_step)(rows, vectors, whole, a_trans, sum, a, lda, b + list[t] * ldb, tail, list[t]);
    else
        UNROLL_TERMS
        for (ptrdiff_t i = 0; i < k; i++, b += ldb)
            F(tile_step)(rows, vectors, whole, a_trans, sum, a, lda, b, tail, i);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < vectors; j++) {
            REAL *to = c + r * ldc + j * LANES;
            if (list) sum[r][j] += 0; /* -0 becomes 0: its sign would tell which rows share a tile */
            if (j < last) *(F(unaligned) *)to = sum[r][j];
            else F(store_part)(to, sum[r][j], tail, end);
        }
}

/* Ask for k numbers of the rows first, first + step, ... of so many rows of a. */
static NOINLINE void F(ask_for)(const REAL *a, ptrdiff_t lda, int rows, ptrdiff_t k, ptrdiff_t first,
                                ptrdiff_t step) {
    for (ptrdiff_t r = first; r < rows; r += step)
        for (ptrdiff_t i = 0; i < k; i += 64 / (ptrdiff_t)sizeof(REAL))
            __builtin_prefetch(a + r * lda + i);
    __asm__ volatile(""); /* GCC drops calls of functions that do nothing but fetch */
}

/* All rows of one panel of c, a tile's width wide. Where there are lists and `step` is not 0, each tile
   asks for some of the rows that lie m rows behind its own, see ask_for: each panel for others. */
INLINE void F(panel_of)(const int vectors, const int whole, const int a_trans, REAL *c,
                        ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b, ptrdiff_t ldb,
                        ptrdiff_t m, ptrdiff_t k, const REAL *init, ptrdiff_t init_step, int tail,
                        const REAL *end, const uint8_t *lists, ptrdiff_t first, ptrdiff_t step) {
    const ptrdiff_t next_row = a_trans ? 1 : lda, below = m * lda;
#define TILES(rows, until)                                                                       \
    for (; until; m -= rows) {                                                                   \
        if (lists) {                                                                             \
            if (step && !a_trans) F(ask_for)(a + below, lda, rows, k, first, step);              \
            F(tile)(rows, vectors, whole, a_trans, c, ldc, a, lda, b, ldb,                       \
                    *(const uint16_t *)lists, init, init_step, tail, end, lists + LIST_HEAD);    \
            lists += LIST_BYTES;                                                                 \
        } else                                                                                   \
            F(tile)(rows, vectors, whole, a_trans, c, ldc, a, lda, b, ldb, k, init, init_step,   \
                    tail, end, NULL);                                                            \
        c += rows * ldc;                                                                         \
        a += rows * next_row;                                                                    \
        if (init) init += rows * init_step;                                                      \
    }
    if (IS_FLAT(vectors)) TILES(FLAT_ROWS, FLAT_IS_NEXT(m))
    else {
        TILES(TILE_ROWS, m >= TILE_ROWS)
#if TILE_ROWS > 4
        TILES(4, m >= 4)
#endif
    }
    TILES(2, m >= 2)
    TILES(1, m >= 1)
#undef TILES
}

/* Whether masks are left away where no vector is cut off: they take registers, but on AVX-512. NEON has
   none. */
#define IS_WHOLE(tail) ((TILE_BYTES == 32 || NEON) && (tail) == LANES)

/* panel_of for a width and a form that are no constants. */
#define PANEL(vectors, whole, a_trans, k, lists)                                                  \
    F(panel_of)(vectors, whole, a_trans, c, ldc, a, lda, b, ldb, m, k, init, init_step, tail, end, \
                lists, first, step)
#define PANELS(whole, a_trans, k, lists)                           \
    if (vectors == 1) PANEL(1, whole, a_trans, k, lists);          \
    else if (vectors == 2) PANEL(2, whole, a_trans, k, lists);     \
    else if (IS_FLAT(vectors)) PANEL(4, whole, a_trans, k, lists); \
    else PANEL(3, whole, a_trans, k, lists);
#define ALL_PANELS(k, lists)                                            \
    if (IS_WHOLE(tail)) {                                               \
        if (a_trans) { PANELS(1, 1, k, lists) }                         \
        else { PANELS(1, 0, k, lists) }                                 \
    } else if (NEON && padded) {                                        \
        if (a_trans) { PANELS(2, 1, k, lists) }                         \
        else { PANELS(2, 0, k, lists) }                                 \
    } else if (a_trans) { PANELS(0, 1, k, lists) }                      \
    else { PANELS(0, 0, k, lists) }

/* A single row and more vectors than a tile of several rows has. */
#define WIDE_ROW(vectors, k, list) \
    F(tile)(1, vectors, 0, 0, c, ldc, a, lda, b, ldb, k, init, init_step, tail, end, list)
#define WIDE_ROWS(k, list)                           \
    {                                                \
        if (vectors == 4) WIDE_ROW(4, k, list);      \
        else if (vectors == 5) WIDE_ROW(5, k, list); \
        else WIDE_ROW(6, k, list);                   \
    }

static void F(panel)(int vectors, int a_trans, REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda,
                     const REAL *b, ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t k, const REAL *init,
                     ptrdiff_t init_step, int tail, const REAL *end, int padded) {
    const ptrdiff_t first = 0, step = 0;
    (void)padded; /* only asked where there are no masks */
    if (m == 1 && !a_trans && vectors > TILE_VECTORS) WIDE_ROWS(k, NULL)
    else ALL_PANELS(k, NULL)
}

#include "lists.h"
#undef WIDE_ROWS
#undef WIDE_ROW
#undef ALL_PANELS
#undef PANELS
#undef PANEL
#undef IS_WHOLE
