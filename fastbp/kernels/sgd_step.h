/* Steps of sgd in one pass: of a slice of weights, which also sums their squares and looks whether they
   are finite; and on one sample, where the gradient is an outer product that is nowhere written down.
   Included by gemm.h for each dtype, without a guard. The operations are those of sgd_step, in its
   order. */

/* w := w + v, or w + momentum v - rate g (Nesterov), with v := momentum v - rate g. */
INLINE F(vector) F(sgd)(const int nesterov, F(vector) w, F(vector) *v, F(vector) g, REAL rate,
                        REAL momentum) {
    *v = F(add_product)(-(rate * g), F(spread)(momentum), *v);
    return w + (nesterov ? F(add_product)(-(rate * g), F(spread)(momentum), *v) : *v);
}

/* The sum of sixteen lanes: of halves, again and again. */
INLINE REAL F(fold)(F(vector) *sum) {
    const F(lanes) lane = LANE_NUMBERS;
    UNROLL for (int h = 8 / LANES; h; h /= 2)
        UNROLL for (int l = 0; l < h; l++) sum[l] += sum[l + h];
    UNROLL for (int h = LANES / 2; h; h /= 2) sum[0] += F(shuffle)(sum[0], sum[0], lane ^ h);
    return sum[0][0];
}

/* Steps w (m, n) and its velocity by dw, with g = (dw + alpha w) scale; n is a multiple of 16. dw is
   a^T delta if `outer`, else delta itself (m is 1). Returns the sum of the w^2 before the step, as
   sum_of_squares does. finite: whether w is finite after it, if somebody `asks`. */
INLINE REAL F(pass)(const int nesterov, const int outer, const int asks, REAL *w, REAL *velocity,
                    const REAL *a, const REAL *delta, ptrdiff_t m, ptrdiff_t n, REAL rate,
                    REAL alpha, REAL scale, REAL momentum, int *finite) {
    F(vector) sum[16 / LANES], zero[16 / LANES];
    UNROLL for (int l = 0; l < 16 / LANES; l++) sum[l] = zero[l] = (F(vector)){0};
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j += 16, w += 16, velocity += 16)
            UNROLL for (int l = 0; l < 16; l += LANES) {
                const F(vector) row = F(load)(delta + j + l), dw = outer ? a[i] * row : row;
                const F(vector) before = F(load)(w + l);
                const F(vector) g = F(add_product)(dw, F(spread)(alpha), before) * scale;
                F(vector) v = F(load)(velocity + l);
                const F(vector) after = F(sgd)(nesterov, before, &v, g, rate, momentum);
                *(F(unaligned) *)(w + l) = after;
                *(F(unaligned) *)(velocity + l) = v;
                sum[l / LANES] = F(add_product)(sum[l / LANES], before, before);
                if (asks) zero[l / LANES] = F(add_product)(zero[l / LANES], after, F(spread)(0));
            }
    if (asks) *finite = F(fold)(zero) == 0;
    return F(fold)(sum);
}

/* Steps a slice of n weights, a multiple of 16, by their gradient. */
static REAL F(slice_step)(REAL *w, REAL *velocity, const REAL *dw, ptrdiff_t n, REAL rate, REAL alpha,
                          REAL scale, REAL momentum, int nesterov, int *finite) {
#define STEP(nesterov) \
    F(pass)(nesterov, 0, 1, w, velocity, NULL, dw, 1, n, rate, alpha, scale, momentum, finite)
    return nesterov ? STEP(1) : STEP(0);
#undef STEP
}

/* Steps w (m, n) by a^T delta; n, or m of a single column, is a multiple of 16. */
static REAL F(outer_step)(REAL *w, REAL *velocity, const REAL *a, const REAL *delta, ptrdiff_t m,
                          ptrdiff_t n, REAL rate, REAL alpha, REAL scale, REAL momentum,
                          int nesterov) {
    if (n == 1) { /* it is a row */
        const REAL *const column = a;
        a = delta, delta = column, n = m, m = 1;
    }
#define STEP(nesterov, n) \
    F(pass)(nesterov, 1, 0, w, velocity, a, delta, m, n, rate, alpha, scale, momentum, NULL)
    if (n == 16) return nesterov ? STEP(1, 16) : STEP(0, 16); /* a constant: loops are no burden */
    return nesterov ? STEP(1, n) : STEP(0, n);
#undef STEP
}

/* Steps n biases and their velocity by delta, in which no -0 is left, as in a sum over a batch. */
static void F(bias_step)(REAL *w, REAL *velocity, const REAL *delta, ptrdiff_t n, REAL rate,
                         REAL scale, REAL momentum, int nesterov) {
    ptrdiff_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        const F(vector) before = F(load)(w + j);
        const F(vector) g = F(add_product)(0 + F(load)(delta + j), F(spread)(0), before) * scale;
        F(vector) v = F(load)(velocity + j);
        *(F(unaligned) *)(w + j) = F(sgd)(nesterov, before, &v, g, rate, momentum);
        *(F(unaligned) *)(velocity + j) = v;
    }
    for (; j < n; j++) { /* fused by name: GCC multiplies equal lanes before it spreads them */
        const REAL g = F(add_number)(0 + delta[j], 0, w[j]) * scale;
        velocity[j] = F(add_number)(-(rate * g), momentum, velocity[j]);
        w[j] += nesterov ? F(add_number)(-(rate * g), momentum, velocity[j]) : velocity[j];
    }
}
