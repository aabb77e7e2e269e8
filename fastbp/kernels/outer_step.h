/* A step of sgd by an outer product, which is nowhere written down. Included by gemm.h for each dtype,
   without a guard. */

/* Steps w (m, n) and its velocity by dw = a^T delta: with g = (dw + alpha w) scale,
   v := momentum v - rate g and w := w + v, or w + momentum v - rate g (Nesterov). n is a multiple of 16,
   or 1 where m is one.
   squares: 16 sums of the w^2 before the step, as sum_of_squares has them. The operations are those of
   sgd_step, in its order. */
INLINE void F(outer_step_of)(const int nesterov, REAL *w, REAL *velocity, const REAL *a,
                             const REAL *delta, ptrdiff_t m, ptrdiff_t n, REAL rate, REAL alpha,
                             REAL scale, REAL momentum, REAL *squares) {
    F(vector) sum[16 / LANES];
    UNROLL for (int l = 0; l < 16 / LANES; l++) sum[l] = (F(vector)){0};
    for (const REAL *const end = a + m; a < end; a++)
        for (ptrdiff_t j = 0; j < n; j += 16, w += 16, velocity += 16)
            UNROLL for (int l = 0; l < 16; l += LANES) {
                const F(vector) before = F(load)(w + l), dw = *a * F(load)(delta + j + l);
                const F(vector) g = F(add_product)(dw, F(spread)(alpha), before) * scale;
                const F(vector) v =
                    F(add_product)(-(rate * g), F(spread)(momentum), F(load)(velocity + l));
                *(F(unaligned) *)(velocity + l) = v;
                *(F(unaligned) *)(w + l) =
                    before
                    + (nesterov ? F(add_product)(-(rate * g), F(spread)(momentum), v) : v);
                sum[l / LANES] = F(add_product)(sum[l / LANES], before, before);
            }
    UNROLL for (int l = 0; l < 16 / LANES; l++) *(F(unaligned) *)(squares + l * LANES) = sum[l];
}

static void F(outer_step)(REAL *w, REAL *velocity, const REAL *a, const REAL *delta, ptrdiff_t m,
                          ptrdiff_t n, REAL rate, REAL alpha, REAL scale, REAL momentum,
                          int nesterov, REAL *squares) {
    if (n == 1) { /* a column is a row of m numbers */
        const REAL *const column = a;
        a = delta, delta = column, n = m, m = 1;
    }
    if (nesterov)
        F(outer_step_of)(1, w, velocity, a, delta, m, n, rate, alpha, scale, momentum, squares);
    else F(outer_step_of)(0, w, velocity, a, delta, m, n, rate, alpha, scale, momentum, squares);
}
