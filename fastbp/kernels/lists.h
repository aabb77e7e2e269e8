/* The places where a tile's rows of `a` have other numbers than zeros, and products over them. Included
   by gemm.h for each dtype, without a guard. */

/* Rows of the next tile of m rows, see panel_of. */
INLINE int F(tile_rows)(ptrdiff_t m, int flat) {
    if (flat) return FLAT_IS_NEXT(m) ? FLAT_ROWS : m >= 2 ? 2 : 1;
    return m >= TILE_ROWS ? TILE_ROWS : m >= 4 ? 4 : m >= 2 ? 2 : 1;
}

#if MASKED
/* The same panel over the lists of its tiles. */
static void F(listed_panel)(int vectors, int a_trans, REAL *c, ptrdiff_t ldc, const REAL *a,
                            ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, ptrdiff_t m,
                            const REAL *init, ptrdiff_t init_step, int tail, const REAL *end,
                            const uint8_t *lists) {
    const int padded = 0;
    if (m == 1 && !a_trans && vectors > TILE_VECTORS)
        WIDE_ROWS(*(const uint16_t *)lists, lists + LIST_HEAD)
    else ALL_PANELS(0, lists)
}

/* The lists of the tiles of m rows of a, k numbers each. */
static void F(list_rows)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                         int flat) {
    for (ptrdiff_t r = 0; r < m; lists += LIST_BYTES) {
        const int rows = F(tile_rows)(m - r, flat);
        uint8_t *const list = lists + LIST_HEAD, *end = list;
        for (ptrdiff_t i = 0; i < k; i += LANES) {
            F(lanes) any = {0};
            const int count = k - i < LANES ? (int)(k - i) : LANES;
            for (int j = 0; j < rows; j++) {
                const REAL *const from = a + (r + j) * lda + i;
                any |= (F(lanes))(count == LANES ? F(load)(from) : F(load_part)(from, count));
            }
            unsigned bits = F(nonzero)((F(vector))any);
            UNROLL for (int h = 0; h < LANES; h += 8, bits >>= 8)
                end = list_bits(end, bits & 255, i + h);
        }
        *(uint16_t *)lists = (uint16_t)(end - list);
        r += rows;
    }
}

/* The same for m columns of a, k rows, two tiles at once where a vector has room for them. */
static void F(list_columns)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                            int flat) {
    for (ptrdiff_t r = 0; r < m; lists += LIST_BYTES) {
        const int rows = F(tile_rows)(m - r, flat);
        uint8_t *list = lists + LIST_HEAD, *end = list;
        if (2 * rows <= LANES && m - r >= LANES) {
            uint8_t *const next = list + LIST_BYTES;
            ptrdiff_t low = 0, high = 0;
            for (ptrdiff_t i = 0; i < k; i++) {
                const unsigned bits = F(nonzero)(F(load)(a + i * lda + r));
                list[low] = next[high] = (uint8_t)i;
                low += (bits & MASK(rows)) != 0;
                high += (bits >> rows & MASK(rows)) != 0;
            }
            *(uint16_t *)lists = (uint16_t)low;
            lists += LIST_BYTES;
            *(uint16_t *)lists = (uint16_t)high;
            r += 2 * rows;
            continue;
        }
        for (ptrdiff_t i = 0; i < k; i++) {
            *end = (uint8_t)i;
            end += F(nonzero)(F(load_part)(a + i * lda + r, rows)) != 0;
        }
        *(uint16_t *)lists = (uint16_t)(end - list);
        r += rows;
    }
}
#endif
