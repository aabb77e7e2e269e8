/* The first layer's products where columns of a are piecewise-linear codes. Included by gemm.h for each
   dtype, without a guard.

   A code has a column for each bin: `one` before its own bin, a share of it there, 0 behind. It adds
   s + share w to z, where s is the sum of `one` w over the rows of w before that of its bin. Two rows
   of w take the place of all. */

/* A vector of as many lanes, or one number in all of them, which is stored once. */
INLINE F(vector) F(load_lanes)(const REAL *p, const int lanes) {
    return lanes == 1 ? F(spread)(*p) : F(load)(p);
}
INLINE void F(store_lanes)(REAL *p, F(vector) v, const int lanes) {
    if (lanes == 1) *p = v[0];
    else *(F(unaligned) *)p = v;
}

/* sum + a b, rounded once. Of single numbers by name: GCC multiplies them before it spreads them. */
INLINE F(vector) F(add_lanes)(F(vector) sum, F(vector) a, F(vector) b, const int lanes) {
    return lanes == 1 ? F(spread)(F(add_number)(sum[0], a[0], b[0])) : F(add_product)(sum, a, b);
}

/* By rows of w, those of a code of `bins` columns: the sum of one w over the rows before. */
static void F(sums_of_bins)(REAL *sums, const REAL *w, REAL one, ptrdiff_t bins, ptrdiff_t n) {
    for (ptrdiff_t o = 0; o < n; o++) sums[o] = 0;
    for (; --bins > 0; sums += n, w += n) {
        ptrdiff_t o = 0;
#define SUM(lanes) \
    F(store_lanes)(sums + n + o, F(add_lanes)(F(load_lanes)(sums + o, lanes), F(spread)(one), \
                                              F(load_lanes)(w + o, lanes), lanes), lanes)
        for (; o + LANES <= n; o += LANES) SUM(LANES);
        for (; o < n; o++) SUM(1);
#undef SUM
    }
}

/* z += s + share w, for codes whose rows of both are at[0], at[1], ... */
INLINE void F(add_codes)(const int codes, REAL *z, const REAL *sums, const REAL *w,
                         const ptrdiff_t *at, const REAL *shares, ptrdiff_t n) {
    ptrdiff_t o = 0;
#define ADD(lanes) \
    F(vector) v = F(load_lanes)(z + o, lanes); \
    UNROLL for (int c = 0; c < codes; c++) \
        v += F(add_lanes)(F(load_lanes)(sums + at[c] + o, lanes), F(spread)(shares[c]), \
                          F(load_lanes)(w + at[c] + o, lanes), lanes); \
    F(store_lanes)(z + o, v, lanes);
    for (; o + LANES <= n; o += LANES) { ADD(LANES) }
    for (; o < n; o++) { ADD(1) }
#undef ADD
}

/* z (m, n) += a w over the columns of codes. Code j of row r has the bin bins[j step + r] and its share;
   its rows of w begin at first[j]. z stays in the first cache beside the weights of a few codes. */
static void F(codes_forward)(REAL *z, const REAL *sums, const REAL *w, const ptrdiff_t *first,
                             ptrdiff_t codes, const int32_t *bins, const REAL *shares,
                             ptrdiff_t step, ptrdiff_t m, ptrdiff_t n) {
    for (ptrdiff_t top = 0; top < m; top += CODE_ROWS)
        for (ptrdiff_t j = 0; j < codes; j += CODES_AT_ONCE) {
            const int some = codes - j < CODES_AT_ONCE ? (int)(codes - j) : CODES_AT_ONCE;
            for (ptrdiff_t r = top; r < m && r < top + CODE_ROWS; r++) {
                ptrdiff_t at[CODES_AT_ONCE];
                REAL share[CODES_AT_ONCE];
                for (int c = 0; c < some; c++) {
                    at[c] = (first[j + c] - first[0] + bins[(j + c) * step + r]) * n;
                    share[c] = shares[(j + c) * step + r];
                }
                if (some == CODES_AT_ONCE) F(add_codes)(CODES_AT_ONCE, z + r * n, sums, w, at, share, n);
                else for (int c = 0; c < some; c++)
                    F(add_codes)(1, z + r * n, sums, w, at + c, share + c, n);
            }
        }
}

/* Some vectors of columns of dw: see below. Rows order[start[i]..start[i + 1]] have the bin i. */
INLINE void F(code_columns)(const int vectors, const int lanes, REAL *dw, const int32_t *start,
                            const int32_t *order, const REAL *shares, REAL one, ptrdiff_t bins,
                            const REAL *delta, ptrdiff_t n) {
    F(vector) behind[4], sum[4];
    UNROLL for (int v = 0; v < vectors; v++) behind[v] = (F(vector)){0};
    for (ptrdiff_t i = bins - 1; i >= 0; i--) {
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = one * behind[v];
        for (int32_t k = start[i]; k < start[i + 1]; k++)
            UNROLL for (int v = 0; v < vectors; v++) {
                const F(vector) d = F(load_lanes)(delta + order[k] * n + v * LANES, lanes);
                behind[v] += d;
                sum[v] = F(add_lanes)(sum[v], F(spread)(shares[order[k]]), d, lanes);
            }
        UNROLL for (int v = 0; v < vectors; v++)
            F(store_lanes)(dw + i * n + v * LANES, sum[v], lanes);
    }
}

/* dw (bins, n) := a^T delta over the columns of a code, for m rows: the shares of delta in a bin, and
   `one` times delta of all bins behind. The scratch has room for m + bins + 1 numbers. */
static void F(code_backward)(REAL *dw, const int32_t *bin, const REAL *shares, REAL one,
                             ptrdiff_t bins, const REAL *delta, ptrdiff_t m, ptrdiff_t n,
                             int32_t *scratch) {
    int32_t *const start = scratch, *const order = scratch + bins + 1;
    for (ptrdiff_t i = 0; i <= bins; i++) start[i] = 0;
    for (ptrdiff_t r = 0; r < m; r++) start[bin[r]]++;
    for (ptrdiff_t i = 1; i <= bins; i++) start[i] += start[i - 1]; /* the ends */
    for (ptrdiff_t r = m - 1; r >= 0; r--) order[--start[bin[r]]] = (int32_t)r;
    ptrdiff_t o = 0;
#define COLUMNS(vectors, lanes) \
    F(code_columns)(vectors, lanes, dw + o, start, order, shares, one, bins, delta + o, n)
    for (; o + 4 * LANES <= n; o += 4 * LANES) COLUMNS(4, LANES);
    for (; o + LANES <= n; o += LANES) COLUMNS(1, LANES);
    for (; o < n; o++) COLUMNS(1, 1);
#undef COLUMNS
}
