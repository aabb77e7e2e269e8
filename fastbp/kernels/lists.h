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
                            ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t k,
                            const REAL *init, ptrdiff_t init_step, int tail, const REAL *end,
                            const uint8_t *lists, ptrdiff_t first, ptrdiff_t step) {
    const int padded = 0;
    if (m == 1 && !a_trans && vectors > TILE_VECTORS)
        WIDE_ROWS(*(const uint16_t *)lists, lists + LIST_HEAD)
    else ALL_PANELS(k, lists)
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

/* The list of a tile, whose number of rows is a constant. */
INLINE void F(list_tile)(const int rows, uint8_t *list, const REAL *a, ptrdiff_t lda, ptrdiff_t k) {
    uint8_t *end = list + LIST_HEAD;
    for (ptrdiff_t i = 0; i < k; i += LANES) {
        const int count = k - i < LANES ? (int)(k - i) : LANES;
        F(lanes) any = {0};
        UNROLL for (int r = 0; r < rows; r++) {
            const REAL *const from = a + r * lda + i;
            any |= (F(lanes))(count == LANES ? F(load)(from) : F(load_part)(from, count));
        }
        unsigned bits = F(nonzero)((F(vector))any);
        UNROLL for (int h = 0; h < LANES; h += 8, bits >>= 8)
            end = list_bits(end, bits & 255, i + h);
    }
    *(uint16_t *)list = (uint16_t)(end - list - LIST_HEAD);
}

/* The lists of the tiles of m rows of a, k numbers each. */
static void F(list_rows)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                         int flat) {
    for (int rows; m > 0; m -= rows, a += rows * lda, lists += LIST_BYTES) {
        rows = F(tile_rows)(m, flat);
        if (rows == TILE_ROWS) F(list_tile)(TILE_ROWS, lists, a, lda, k);
        else if (rows == 4) F(list_tile)(4, lists, a, lda, k);
        else if (rows == 3) F(list_tile)(3, lists, a, lda, k);
        else if (rows == 2) F(list_tile)(2, lists, a, lda, k);
        else F(list_tile)(1, lists, a, lda, k);
    }
}

/* The same for m columns of a, k rows. What is left of the marked columns, less than a tile, comes again
   in the next turn. */
static void F(list_columns)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                            int flat) {
    __attribute__((aligned(TILE_BYTES))) unsigned INDEX marks[MARKED_COLUMNS];
    uint8_t *list = lists;
    for (ptrdiff_t done = 0, columns; m > 0; m -= done, a += done, lists = list) {
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
