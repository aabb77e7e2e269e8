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

/* Append to a list, plus top, the numbers of those bytes that have one of the bits of `mask`. */
INLINE uint8_t *F(list_bytes)(uint8_t *end, uint64_t bytes, unsigned mask, ptrdiff_t top) {
    const uint64_t ones = 0x0101010101010101, low = 0x7f * ones;
    bytes &= mask * ones;
    bytes = (((bytes & low) + low) | bytes) >> 7 & ones;
    /* The product moves the bit of byte s to the place 56 + s, and no two to the same. */
    return list_bits(end, (unsigned)(bytes * 0x0102040810204080 >> 56), top);
}

/* Of up to eight rows of a, a byte each: bits of the columns where they are not zero. All lanes of
   vectors if `whole`, else so many. */
INLINE uint64_t F(nonzero_rows)(const int whole, const REAL *a, ptrdiff_t lda, int columns, int rows) {
    uint64_t bytes = 0;
    UNROLL_EIGHT
    for (int r = 0; r < rows; r++, a += lda)
        bytes |= (uint64_t)F(nonzero)(whole ? F(load)(a) : F(load_part)(a, columns)) << 8 * r;
    return bytes;
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

/* The same for m columns of a, k rows, two tiles at once where a vector and a byte have room for them. */
static void F(list_columns)(uint8_t *lists, const REAL *a, ptrdiff_t lda, ptrdiff_t m, ptrdiff_t k,
                            int flat) {
    for (ptrdiff_t r = 0; r < m; lists += LIST_BYTES) {
        const int rows = F(tile_rows)(m - r, flat);
        const int two = 2 * rows <= LANES && LANES <= 8 && m - r >= LANES;
        uint8_t *const list = lists + LIST_HEAD, *const next = list + LIST_BYTES;
        uint8_t *end = list, *end_of_next = next;
        const int columns = two ? LANES : rows;
        for (ptrdiff_t i = 0; i < k; i += 8) {
            const REAL *const from = a + i * lda + r;
            const int count = k - i < 8 ? (int)(k - i) : 8;
            const uint64_t bytes = two && count == 8 ? F(nonzero_rows)(1, from, lda, LANES, 8)
                                                     : F(nonzero_rows)(0, from, lda, columns, count);
            end = F(list_bytes)(end, bytes, MASK(rows), i);
            if (two) end_of_next = F(list_bytes)(end_of_next, bytes, MASK(rows) << rows, i);
        }
        *(uint16_t *)lists = (uint16_t)(end - list);
        r += rows;
        if (two) {
            lists += LIST_BYTES;
            *(uint16_t *)lists = (uint16_t)(end_of_next - next);
            r += rows;
        }
    }
}
#endif
