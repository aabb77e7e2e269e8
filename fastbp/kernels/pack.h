/* Blocks of a matrix copied into panels, a tile's width or a tile's rows each, transposed or not.
   Included by gemm.h for each dtype, without a guard. */

/* to[i][l] := from[l][i] for i < depth, l < rows; zeros for the other l. In registers: at distance
   h = 1, 2, 4, ... the off-diagonal halves of every 2h x 2h square change places. */
INLINE void F(transpose)(REAL *to, int width, const REAL *from, ptrdiff_t ld, int rows, int depth) {
    const F(lanes) lane = LANE_NUMBERS;
    F(vector) x[LANES];
    UNROLL for (int l = 0; l < LANES; l++)
        x[l] = l >= rows ? (F(vector)){0}
               : depth == LANES ? F(load)(from + l * ld) : F(load_part)(from + l * ld, depth);
    UNROLL for (int h = 1; h < LANES; h *= 2) {
        const F(lanes) low = lane + (((lane & h) != 0) & (LANES - h)), high = low + h;
        UNROLL for (int i = 0; i < LANES; i++)
            if (!(i & h)) {
                F(vector) even = x[i], odd = x[i + h];
                x[i] = F(shuffle)(even, odd, low);
                x[i + h] = F(shuffle)(even, odd, high);
            }
    }
    UNROLL for (int i = 0; i < LANES; i++)
        if (i < depth) *(F(vector) *)(to + i * width) = x[i];
}

/* packed[i][j] := b[i][j], or b[j][i] if transposed, for k rows and n of `width` columns; then 0. */
static void F(pack)(REAL *packed, int width, const REAL *b, ptrdiff_t ldb, int b_trans, ptrdiff_t n,
                    ptrdiff_t k) {
    for (int j = 0; j < width; j += LANES) {
        const int rows = n - j < LANES ? (int)(n - j) : LANES;
        ptrdiff_t i = 0;
        if (!b_trans) {
            for (; i < k; i++)
                *(F(vector) *)(packed + i * width + j) =
                    rows == LANES ? F(load)(b + i * ldb + j) : F(load_part)(b + i * ldb + j, rows);
            continue;
        }
        if (rows == LANES)
            for (; i + LANES <= k; i += LANES)
                F(transpose)(packed + i * width + j, width, b + j * ldb + i, ldb, LANES, LANES);
        for (; i < k; i += LANES)
            F(transpose)(packed + i * width + j, width, b + j * ldb + i, ldb, rows,
                         k - i < LANES ? (int)(k - i) : LANES);
    }
}

/* Whether rows of a matrix fall on few cache sets and on many pages. */
INLINE int F(is_far)(ptrdiff_t ld) { return ld * (ptrdiff_t)sizeof(REAL) >= FAR_STRIDE; }

/* The first column of panel p of so many, which share the vectors. */
INLINE ptrdiff_t F(left_of)(ptrdiff_t p, ptrdiff_t panels, ptrdiff_t vectors) {
    return p * vectors / panels * LANES;
}

/* The panels from `first` up to `last` of op(b), n columns of it from the first panel on, one behind
   the other. Each has room for `height` rows; k are written from the row `top` on. */
static void F(pack_panels)(REAL *packed, ptrdiff_t height, ptrdiff_t top, ptrdiff_t first,
                           ptrdiff_t last, ptrdiff_t panels, ptrdiff_t vectors, const REAL *b,
                           ptrdiff_t ldb, int b_trans, ptrdiff_t n, ptrdiff_t k) {
    const ptrdiff_t start = F(left_of)(first, panels, vectors);
    const ptrdiff_t all = F(left_of)(last, panels, vectors) - start, right = n < all ? n : all;
    const int far = !b_trans && F(is_far)(ldb);
    const ptrdiff_t rows = far ? PACK_ROWS : k;
    for (ptrdiff_t i = 0; i < k; i += rows) {
        for (ptrdiff_t r = i + PACK_AHEAD; far && r < i + PACK_AHEAD + rows && r < k; r++)
            for (ptrdiff_t j = 0; j < right; j += 64 / sizeof(REAL))
                __builtin_prefetch(b + r * ldb + j); /* rows on other pages are not foreseen */
        for (ptrdiff_t p = first; p < last; p++) {
            const ptrdiff_t left = F(left_of)(p, panels, vectors) - start;
            const ptrdiff_t width = F(left_of)(p + 1, panels, vectors) - start - left;
            F(pack)(packed + left * height + (top + i) * width, (int)width,
                    b + (b_trans ? left * ldb + i : i * ldb + left), ldb, b_trans,
                    n - left < width ? n - left : width, k - i < rows ? k - i : rows);
        }
    }
}
