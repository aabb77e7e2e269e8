/* The places where a tile's rows of `a` have other numbers than zeros, and products over them. Included
   by tile.h for each dtype, without a guard, with its macros of panels. */

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

/* marks[j]: bits that say which of up to MARKED_ROWS rows of a are not zero in column j. */
INLINE void F(mark_rows)(unsigned INDEX *marks, const REAL *a, ptrdiff_t lda, ptrdiff_t columns,
                         int rows) {
    for (ptrdiff_t j = 0; j < columns; j += LANES) {
        const int count = columns - j < LANES ? (int)(columns - j) : LANES;
        F(bits) bits = {0};
#define MARK(row) bits = bits + bits - (F(bits))((F(vector)){0} != (row)) /* true is -1 */
        if (count == LANES)
            UNROLL_FOUR
            for (int r = rows - 1; r >= 0; r--) MARK(F(load)(a + r * lda + j));
        else
            for (int r = rows - 1; r >= 0; r--) MARK(F(load_part)(a + r * lda + j, count));
#undef MARK
        *(F(bits) *)(marks + j) = bits;
    }
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

/* The same for m columns of a, k rows. What is left of the marked columns, less than a tile, comes again
   in the next turn. */
static void F(list_columns)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                            int flat) {
    __attribute__((aligned(TILE_BYTES))) unsigned INDEX marks[MARKED_COLUMNS];
    uint8_t *list = lists;
    for (ptrdiff_t done, columns; m > 0; m -= done, a += done, lists = list) {
        columns = m < MARKED_COLUMNS ? m : MARKED_COLUMNS;
        for (ptrdiff_t top = 0; top < k; top += MARKED_ROWS) {
            const int count = k - top < MARKED_ROWS ? (int)(k - top) : MARKED_ROWS;
            int rows;
            F(mark_rows)(marks, a + top * lda, lda, columns, count);
            list = lists;
            for (done = 0; done + (rows = F(tile_rows)(m - done, flat)) <= columns; done += rows) {
                uint8_t *end = list + LIST_HEAD + (top ? *(uint16_t *)list : 0);
                unsigned bits = 0;
                for (int j = 0; j < rows; j++) bits |= (unsigned)marks[done + j];
                for (int h = 0; h < count; h += 8, bits >>= 8)
                    end = list_bits(end, bits & 255, top + h);
                *(uint16_t *)list = (uint16_t)(end - list - LIST_HEAD);
                list += LIST_BYTES;
            }
        }
    }
}
#endif
