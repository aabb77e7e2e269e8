/* Steps of sgd on one sample: weights by an outer product, which is nowhere written down, and biases.
   Included by gemm.h for each dtype, without a guard. The operations are those of sgd_step, in its
   order. */

/* w := w + v, or w + momentum v - rate g (Nesterov), with v := momentum v - rate g. */
INLINE F(vector) F(sgd)(const int nesterov, F(vector) w, F(vector) *v, F(vector) g, REAL rate,
                        REAL momentum) {
    *v = F(add_product)(-(rate * g), F(spread)(momentum), *v);
    return w + (nesterov ? F(add_product)(-(rate * g), F(spread)(momentum), *v) : *v);
}

/* Steps w (m, n) and its velocity by dw = a^T delta, with g = (dw + alpha w) scale; n is a multiple of 16.
   Returns the sum of the w^2 before the step, as sum_of_squares does. */
INLINE REAL F(outer_step_of)(const int nesterov, REAL *w, REAL *velocity, const REAL *a,
                             const REAL *delta, ptrdiff_t m, ptrdiff_t n, REAL rate, REAL alpha,
                             REAL scale, REAL momentum) {
    const F(lanes) lane = LANE_NUMBERS;
    F(vector) sum[16 / LANES];
    UNROLL for (int l = 0; l < 16 / LANES; l++) sum[l] = (F(vector)){0};
    for (const REAL *const end = a + m; a < end; a++)
        for (ptrdiff_t j = 0; j < n; j += 16, w += 16, velocity += 16)
            UNROLL for (int l = 0; l < 16; l += LANES) {
                const F(vector) before = F(load)(w + l), dw = *a * F(load)(delta + j + l);
                const F(vector) g = F(add_product)(dw, F(spread)(alpha), before) * scale;
                F(vector) v = F(load)(velocity + l);
                *(F(unaligned) *)(w + l) = F(sgd)(nesterov, before, &v, g, rate, momentum);
                *(F(unaligned) *)(velocity + l) = v;
                sum[l / LANES] = F(add_product)(sum[l / LANES], before, before);
            }
    UNROLL for (int h = 8 / LANES; h; h /= 2)
        UNROLL for (int l = 0; l < h; l++) sum[l] += sum[l + h];
    UNROLL for (int h = LANES / 2; h; h /= 2) sum[0] += F(shuffle)(sum[0], sum[0], lane ^ h);
    return sum[0][0];
}

/* The same, or for one column of m numbers, a multiple of 16. */
static REAL F(outer_step)(REAL *w, REAL *velocity, const REAL *a, const REAL *delta, ptrdiff_t m,
                          ptrdiff_t n, REAL rate, REAL alpha, REAL scale, REAL momentum,
                          int nesterov) {
    if (n == 1) { /* it is a row */
        const REAL *const column = a;
        a = delta, delta = column, n = m, m = 1;
    }
#define STEP(nesterov, n) \
    F(outer_step_of)(nesterov, w, velocity, a, delta, m, n, rate, alpha, scale, momentum)
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
