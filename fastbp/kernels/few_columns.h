/* The last few columns of a product, which would leave most of a vector empty. Included by gemm.h for
   each dtype, without a guard. */

#define CHAINS ((int)(64 / sizeof(REAL))) /* of a dot product, the same at every level */
#define PARTS (CHAINS / LANES)
#if TILE_BYTES == 64
#define DOT_ROWS 4
#else
#define DOT_ROWS 1
#endif

/* 0 in place of -0, so that no sum of chains is -0: its sign would tell which zeros were left out. */
INLINE REAL F(without_sign)(REAL init) { return init + 0; }

/* sum[r][j] += a[r] b[j], for `count` numbers at the same place of all rows of a and b. */
INLINE void F(dot_step)(const int rows, const int columns, F(vector) (*sum)[FEW_COLUMNS],
                        const REAL *a, ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, int count) {
    F(vector) row[DOT_ROWS];
    UNROLL for (int r = 0; r < rows; r++)
        row[r] = count == LANES ? F(load)(a + r * lda) : F(load_part)(a + r * lda, count);
    UNROLL for (int j = 0; j < columns; j++) {
        const F(vector) column =
            count == LANES ? F(load)(b + j * ldb) : F(load_part)(b + j * ldb, count);
        UNROLL for (int r = 0; r < rows; r++)
            sum[r][j] = F(add_product)(sum[r][j], row[r], column);
    }
}

/* c[r][j] := init[r][j] + sum_k a[r][k] b[j][k] for a constant number of rows and of columns. */
INLINE void F(dot_tile)(const int rows, const int columns, REAL *c, ptrdiff_t ldc, const REAL *a,
                        ptrdiff_t lda, const REAL *b, ptrdiff_t ldb, ptrdiff_t k, const REAL *init,
                        ptrdiff_t init_step) {
    const F(lanes) lane = LANE_NUMBERS;
    F(vector) sum[PARTS][DOT_ROWS][FEW_COLUMNS];
    ptrdiff_t i = 0;
    UNROLL for (int part = 0; part < PARTS; part++)
        UNROLL for (int r = 0; r < rows; r++)
            UNROLL for (int j = 0; j < columns; j++) sum[part][r][j] = (F(vector)){0};
    for (; i + CHAINS <= k; i += CHAINS)
        UNROLL for (int part = 0; part < PARTS; part++)
            F(dot_step)(rows, columns, sum[part], a + i + part * LANES, lda, b + i + part * LANES,
                        ldb, LANES);
    UNROLL for (int part = 0; part < PARTS; part++, i += LANES)
        if (i < k)
            F(dot_step)(rows, columns, sum[part], a + i, lda, b + i, ldb,
                        k - i < LANES ? (int)(k - i) : LANES);
    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int j = 0; j < columns; j++) {
            UNROLL for (int h = PARTS / 2; h; h /= 2)
                UNROLL for (int part = 0; part < h; part++) sum[part][r][j] += sum[part + h][r][j];
            UNROLL for (int h = LANES / 2; h; h /= 2)
                sum[0][r][j] += F(shuffle)(sum[0][r][j], sum[0][r][j], lane ^ h);
            c[r * ldc + j] = F(without_sign)(init ? init[r * init_step + j] : 0) + sum[0][r][j][0];
        }
}

/* The last few columns of c by dot products; b is transposed. */
static void F(dots)(int columns, REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, const REAL *b,
                    ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t k, const REAL *init,
                    ptrdiff_t init_step) {
#define DOTS(rows, columns)                                                                    \
    for (; r + rows <= m; r += rows)                                                           \
        F(dot_tile)(rows, columns, c + r * ldc, ldc, a + r * lda, lda, b, ldb, k,              \
                    init ? init + r * init_step : NULL, init_step);
    ptrdiff_t r = 0;
    switch (columns) {
    case 1: DOTS(DOT_ROWS, 1) DOTS(1, 1) break;
    case 2: DOTS(DOT_ROWS, 2) DOTS(1, 2) break;
    case 3: DOTS(DOT_ROWS, 3) DOTS(1, 3) break;
    default: DOTS(DOT_ROWS, 4) DOTS(1, 4)
    }
#undef DOTS
}

/* The last few columns of c where a is transposed: c^T := init^T + b^T a, tile by tile. */
static void F(turned)(int columns, REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda,
                      const REAL *b, ptrdiff_t ldb, ptrdiff_t m, ptrdiff_t k, const REAL *init,
                      ptrdiff_t init_step) {
    REAL turned[FEW_COLUMNS][TILE_VECTORS * LANES];
    for (ptrdiff_t i = 0; i < m; i += TILE_VECTORS * LANES) {
        const int rows = m - i < TILE_VECTORS * LANES ? (int)(m - i) : TILE_VECTORS * LANES;
        const int vectors = (rows + LANES - 1) / LANES, tail = rows - (vectors - 1) * LANES;
        for (int j = 0; j < columns; j++)
            for (int r = 0; r < rows; r++)
                turned[j][r] = init ? init[(i + r) * init_step + j] : 0;
        F(panel)(vectors, 1, turned[0], TILE_VECTORS * LANES, b, ldb, a + i, lda, columns, k,
                 turned[0], TILE_VECTORS * LANES, tail, turned[columns - 1] + rows, 0);
        for (int j = 0; j < columns; j++)
            for (int r = 0; r < rows; r++) c[(i + r) * ldc + j] = turned[j][r];
    }
}

/* sum := sum + a b of four columns. */
INLINE void F(add_to_four)(F(four) *sum, REAL a, const REAL *b) {
#if NEON
    UNROLL for (int j = 0; j < 4; j += LANES) {
        F(unaligned) *const part = (F(unaligned) *)sum + j / LANES;
        *part = F(add_product)(*part, F(spread)(a), F(load)(b + j));
    }
#else
    *sum += a * *(const F(unaligned_four) *)b;
#endif
}

/* The same products for one row of a and rows of b as they lie, without turning them first: a chain of
   four columns is a short vector. `few` columns end where the four end. zeros: whether zeros are left
   out, for which b has to be finite. */
static void F(dot_row)(int few, REAL *c, const REAL *a, const REAL *b, ptrdiff_t ldb, ptrdiff_t k,
                       const REAL *init, int zeros) {
    F(four) chain[CHAINS] = {{0}};
    ptrdiff_t i = 0;
#if MASKED
    if (zeros) {
        F(four) sum[CHAINS] = {{0}}; /* in memory: which chain is next is known only then */
        for (; i < k; i += PACK_BLOCK) {
            __attribute__((aligned(8))) uint8_t list[LIST_BYTES];
            F(list_rows)(list, a + i, 0, 1, k - i < PACK_BLOCK ? k - i : PACK_BLOCK, 0);
            for (int t = 0; t < *(const uint16_t *)list; t++) {
                const ptrdiff_t at = i + list[LIST_HEAD + t];
                F(add_to_four)(sum + at % CHAINS, a[at], b + at * ldb);
            }
        }
        UNROLL for (int l = 0; l < CHAINS; l++) chain[l] = sum[l];
    }
#else
    (void)zeros; /* only asked where there are masks */
#endif
    for (; i + CHAINS <= k; i += CHAINS)
        UNROLL for (int l = 0; l < CHAINS; l++)
            F(add_to_four)(chain + l, a[i + l], b + (i + l) * ldb);
    for (int l = 0; i < k; i++, l++) F(add_to_four)(chain + l, a[i], b + i * ldb);
    UNROLL for (int h = CHAINS / 2; h; h /= 2)
        UNROLL for (int l = 0; l < h; l++) chain[l] += chain[l + h];
    for (int j = 0; j < few; j++)
        c[j] = F(without_sign)(init ? init[j] : 0) + chain[0][FEW_COLUMNS - few + j];
}

/* The last few columns of c := init + op(a) op(b). */
static NOINLINE void F(gemm_few)(int few, REAL *c, ptrdiff_t ldc, const REAL *a, ptrdiff_t lda, int a_trans,
                        const REAL *b, ptrdiff_t ldb, int b_trans, ptrdiff_t m, ptrdiff_t k,
                        const REAL *init, ptrdiff_t init_step, int zeros, REAL *scratch) {
    REAL *const turned = scratch; /* FEW_COLUMNS rows of DOT_BLOCK */
    if (a_trans || b_trans || ldb == 1) {
        (a_trans ? F(turned) : F(dots))(few, c, ldc, a, lda, b, ldb, m, k, init, init_step);
        return;
    }
    for (ptrdiff_t top = 0; top < k; top += DOT_BLOCK) {
        const ptrdiff_t depth = k - top < DOT_BLOCK ? k - top : DOT_BLOCK;
        if (m == 1)
            F(dot_row)(few, c, a + top, b + top * ldb + few - FEW_COLUMNS, ldb, depth, init, zeros);
        else {
            for (ptrdiff_t i = 0; i < depth; i++)
                for (int j = 0; j < few; j++) turned[j * DOT_BLOCK + i] = b[(top + i) * ldb + j];
            F(dots)(few, c, ldc, a + top, lda, turned, DOT_BLOCK, m, depth, init, init_step);
        }
        init = c;
        init_step = ldc;
    }
}
