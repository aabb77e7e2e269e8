"""Losses: raw predictions and targets of B rows -> row losses and deltas; and the links.

A loss takes the raw prediction z (the last preactivation) and computes delta = dloss/dz, the
gradient of the true objective. The link turns z into the prediction p. Some losses belong to one
link and are written in z. The others are written in p; if the link is not the identity, the link's
backward follows them.

The row loss is the *reported* number: as in scikit-learn, the log losses use probabilities clipped
to [eps, 1 - eps] of the dtype, unless `exact` asks for the true objective.

A row has K targets. Under softmax it has one number, the index of the class; but the soft log loss
has K shares of the classes. The Gaussian loss has a mean and a log variance for each target, and
reads the first K / 2 numbers. The grouped log loss has several targets of several classes each: a
row has the index of the class for each, and the outputs are blocks, one output for two classes or
else one for each.

Label smoothing e mixes the target of a log loss with the uniform distribution over its K classes:
(1 - e) y + e / K, where a single output has two classes.

The loops run over all B K numbers, since K alone is too few for a vector. Each number depends on
its row alone, so that the size of the blocks changes nothing. LOSSES and LINKS in _core.pyx give
the names.
"""

from cython cimport floating
from libc.string cimport memcpy

from fastbp.kernels cimport scalar
from fastbp.kernels.activations cimport relu_forward, softplus_forward, tanh_forward

cdef enum:
    POISSON, GAMMA, TWEEDIE, BINARY_LOG_LOSS, LOG_LOSS, SOFT_LOG_LOSS
    SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, LOG_COSH
    GAUSSIAN, GROUPED_LOG_LOSS
    LOSSES_END

cdef enum:
    LINK_IDENTITY, LINK_EXP, LINK_LOGISTIC, LINK_SOFTPLUS, LINK_SOFTMAX
    LINK_GROUPED            # of GROUPED_LOG_LOSS alone
    LINK_RELU, LINK_TANH    # of predictions alone: no loss has them
    LINKS_END

cdef struct Loss:
    int kind                # of LOSSES, or a tape
    int link                # of LINKS
    bint exact              # whether the row loss has unclipped probabilities
    Py_ssize_t K, targets
    Py_ssize_t stride       # numbers of y from a row to the next
    double smoothing        # of the targets of log losses; 0: none
    # Of quantile one for each output, of the grouped log loss the outputs of each target; of huber
    # and tweedie one.
    const double* parameters

cdef enum:
    # Numbers that a link of several targets takes into one block of whole rows.
    LINK_BLOCK = 256


cdef inline Py_ssize_t n_parameters(int kind, Py_ssize_t K, Py_ssize_t targets) noexcept nogil:
    """The number of parameters of a loss of K outputs."""
    if kind == QUANTILE:
        return K
    if kind == GROUPED_LOG_LOSS:
        return targets
    return 1 if kind in (HUBER, TWEEDIE) else 0


cdef inline Py_ssize_t outputs_of_a_target(int kind) noexcept nogil:
    """The number of raw predictions that a loss needs for each target."""
    return 2 if kind == GAUSSIAN else 1


cdef inline bint is_loss(Py_ssize_t code) noexcept nogil:
    """Whether a code is that of a loss with a name."""
    return 0 <= code < LOSSES_END


cdef inline bint is_link(Py_ssize_t code) noexcept nogil:
    """Whether a code is that of a link."""
    return 0 <= code < LINKS_END


cdef inline bint is_trained(int link) noexcept nogil:
    """Whether a link has a backward, so that any loss of predictions can have it."""
    return link not in (LINK_GROUPED, LINK_RELU, LINK_TANH)


cdef inline int only_link(int kind) noexcept nogil:
    """The link of a loss that is written in z; -1 of other losses and of tapes, which have any."""
    if kind in (POISSON, GAMMA, TWEEDIE):
        return LINK_EXP
    if kind == BINARY_LOG_LOSS:
        return LINK_LOGISTIC
    if kind == GAUSSIAN:
        return LINK_IDENTITY
    if kind == GROUPED_LOG_LOSS:
        return LINK_GROUPED
    return LINK_SOFTMAX if kind in (LOG_LOSS, SOFT_LOG_LOSS) else -1


cdef inline bint has_smoothing(int kind) noexcept nogil:
    """Whether the targets of a loss are probabilities, which can be smoothed."""
    return kind in (BINARY_LOG_LOSS, LOG_LOSS, SOFT_LOG_LOSS, GROUPED_LOG_LOSS)


cdef inline bint is_of_prediction(int kind) noexcept nogil:
    """Whether a loss is written in p; the others are written in z."""
    return kind in (SQUARED_ERROR, ABSOLUTE_ERROR, HUBER, QUANTILE, LOG_COSH)


# ---- links

cdef inline void link_forward(int link, const double* widths, floating* z_bk, Py_ssize_t B,
                              Py_ssize_t K) noexcept nogil:
    """z := p: z, exp(z), logistic(z), log(1 + exp(z)), softmax(z), max(z, 0) or tanh(z); of several
    targets softmax(z) or logistic(z), block by block of these widths."""
    cdef Py_ssize_t i
    if link == LINK_IDENTITY:
        pass
    elif link == LINK_EXP:
        for i in range(B * K):
            z_bk[i] = scalar.exp(z_bk[i])
    elif link == LINK_LOGISTIC:
        for i in range(B * K):
            z_bk[i] = scalar.logistic(z_bk[i])
    elif link == LINK_SOFTPLUS:
        softplus_forward(z_bk, B * K)
    elif link == LINK_SOFTMAX:
        softmax(z_bk, B, K)
    elif link == LINK_GROUPED:
        grouped_softmax(z_bk, widths, B, K)
    elif link == LINK_RELU:
        relu_forward(z_bk, B * K)
    elif link == LINK_TANH:
        tanh_forward(z_bk, B * K)


cdef inline void link_backward(int link, floating* delta_bk, const floating* p_bk, Py_ssize_t B,
                               Py_ssize_t K) noexcept nogil:
    """delta := dloss/dz, given dloss/dp."""
    cdef Py_ssize_t r, k, i
    cdef floating mean, one = 1
    if link == LINK_IDENTITY:
        pass
    elif link == LINK_EXP:
        for i in range(B * K):
            delta_bk[i] *= p_bk[i]
    elif link == LINK_LOGISTIC:
        for i in range(B * K):
            delta_bk[i] *= p_bk[i] * (one - p_bk[i])
    elif link == LINK_SOFTPLUS:
        for i in range(B * K):
            delta_bk[i] *= -scalar.expm1_negative(-p_bk[i])
    elif link == LINK_SOFTMAX:
        for i in range(B * K):
            delta_bk[i] *= p_bk[i]
        for r in range(B):
            mean = scalar.total(delta_bk + r * K, K)
            for k in range(r * K, (r + 1) * K):
                delta_bk[k] -= p_bk[k] * mean


cdef inline void softmax(floating* z_bk, Py_ssize_t B, Py_ssize_t K) noexcept nogil:
    """p_k := exp(z_k - max z) / sum exp(z - max z), in each row."""
    cdef Py_ssize_t r, k, i
    cdef floating top, scale, one = 1
    for r in range(B):
        top = scalar.largest(z_bk + r * K, K)
        for k in range(r * K, (r + 1) * K):
            z_bk[k] -= top
    for i in range(B * K):
        z_bk[i] = scalar.exp(z_bk[i])
    for r in range(B):
        scale = one / scalar.total(z_bk + r * K, K)
        for k in range(r * K, (r + 1) * K):
            z_bk[k] *= scale


cdef inline void grouped_softmax(floating* z_bk, const double* widths, Py_ssize_t B,
                                 Py_ssize_t K) noexcept nogil:
    """p := softmax(z) of each target's outputs, logistic(z) of a single one."""
    cdef Py_ssize_t t = 0, k = 0, r, i, O, rows
    cdef floating block[LINK_BLOCK]
    while k < K:
        O, r = <Py_ssize_t>widths[t], 0
        while r < B:
            rows = min(LINK_BLOCK // O, B - r)
            if rows == 0:   # wide enough as it is
                softmax(z_bk + r * K + k, 1, O)
                rows = 1
            else:
                copy_columns(block, O, z_bk + r * K + k, K, rows, O)
                if O == 1:
                    for i in range(rows):
                        block[i] = scalar.logistic(block[i])
                else:
                    softmax(block, rows, O)
                copy_columns(z_bk + r * K + k, K, block, O, rows, O)
            r += rows
        k, t = k + O, t + 1


cdef inline void copy_columns(floating* b, Py_ssize_t b_columns, const floating* a,
                              Py_ssize_t a_columns, Py_ssize_t B, Py_ssize_t O) noexcept nogil:
    """b := a, the first O columns of B rows."""
    cdef Py_ssize_t r, k
    for r in range(B):
        for k in range(O):
            b[r * b_columns + k] = a[r * a_columns + k]


# ---- of single outputs: on entry delta holds y; on return z holds the output's part of the loss

cdef inline void squared_error(floating* delta, floating* p, Py_ssize_t n) noexcept nogil:
    """delta = p - y; loss = (p - y)^2 / 2."""
    cdef Py_ssize_t i
    cdef floating error, half = 0.5
    for i in range(n):
        error = p[i] - delta[i]
        delta[i] = error
        p[i] = half * (error * error)


cdef inline void absolute_error(floating* delta, floating* p, Py_ssize_t n) noexcept nogil:
    """delta = sign(p - y), 0 for 0; loss = |p - y|."""
    cdef Py_ssize_t i
    cdef floating error, one = 1
    for i in range(n):
        error = p[i] - delta[i]
        delta[i] = one if error > 0 else (-one if error < 0 else error)
        p[i] = abs(error)


cdef inline void huber(floating* delta, floating* p, Py_ssize_t n, double t) noexcept nogil:
    """delta = p - y within [-t, t]; loss = (p - y)^2 / 2, or beyond t (|p - y| - t / 2) (Huber,
    1964)."""
    cdef Py_ssize_t i
    cdef floating error, slope, half = 0.5, most = t
    for i in range(n):
        error = p[i] - delta[i]
        slope = most if error > most else (-most if error < -most else error)
        delta[i] = slope
        p[i] = slope * (error - half * slope)


cdef inline void quantile(floating* delta, floating* p, Py_ssize_t B, Py_ssize_t K,
                          const double* levels) noexcept nogil:
    """delta = 1 - q where p > y, -q where p < y; loss = delta (p - y) (Koenker and Bassett, 1978).
    """
    cdef Py_ssize_t r, k, i
    cdef floating error, above, below
    for k in range(K):
        above, below = 1 - levels[k], -levels[k]
        for r in range(B):
            i = r * K + k
            error = p[i] - delta[i]
            delta[i] = above if error > 0 else (below if error < 0 else error)
            p[i] = delta[i] * error


cdef inline void log_cosh(floating* delta, floating* p, Py_ssize_t n) noexcept nogil:
    """delta = tanh(e), e = p - y; loss = log(cosh(e)). With t = exp(|e|) - 1 and u = t (t + 2) they
    are u / (u + 2) and log(1 + t^2 / (2 t + 2)); for large |e| the loss is |e| - log(2)."""
    cdef Py_ssize_t i
    cdef floating error, size, t, u, two = 2, most = scalar.expm1_is_exp_above(p[0])
    for i in range(n):
        error = p[i] - delta[i]
        size = abs(error)
        t = scalar.expm1_near(most if size > most else size)
        u = t * (t + two)
        delta[i] = scalar.copysign(u / (u + two), error)
        t = scalar.log1p(t * t / (t + t + two))
        p[i] = t if size <= most else (size - most) + t


cdef inline void poisson(floating* delta, floating* z, Py_ssize_t n) noexcept nogil:
    """delta = exp(z) - y; loss = y log(y / exp(z)) - y + exp(z), half the Poisson deviance."""
    cdef Py_ssize_t i
    cdef floating y, mean, product
    for i in range(n):
        y = delta[i]
        mean = scalar.exp(z[i])
        product = y * scalar.log(y / mean)
        delta[i] = mean - y
        z[i] = product if y != 0 else <floating>0
    for i in range(n):  # a loop of its own: a scalar product would be fused with this sum
        z[i] += delta[i]


cdef inline void gamma(floating* delta, floating* z, Py_ssize_t n) noexcept nogil:
    """delta = 1 - y / exp(z); loss = z - log(y) + y / exp(z) - 1, half the gamma deviance."""
    cdef Py_ssize_t i
    cdef floating y, one = 1
    for i in range(n):
        y = delta[i]
        delta[i] = one - y * scalar.exp(-z[i])
        z[i] -= scalar.log(y)
    for i in range(n):
        z[i] -= delta[i]


cdef inline void tweedie(floating* delta, floating* z, floating* scratch, Py_ssize_t n,
                         double power) noexcept nogil:
    """delta = exp(h z) - y exp(-l z), h = 2 - q and l = q - 1 of the variance's power q, 1 < q < 2;
    loss = y^h (expm1(h u) / h + expm1(-l u) / l), u = z - log(y), or for y = 0 exp(h z) / h: half
    the Tweedie deviance (Jorgensen, 1987), written so that nothing cancels near q = 1 and q = 2."""
    cdef Py_ssize_t i
    cdef floating high = 2 - power, low = power - 1, y, rise, fall, scale, one = 1
    for i in range(n):
        z[i] -= scalar.log(delta[i] if delta[i] != 0 else one)
    for i in range(n):  # one exp in each loop: two are not rounded alike at all levels
        scratch[i] = scalar.expm1(high * z[i])
    for i in range(n):
        z[i] = scalar.expm1(-low * z[i])
    for i in range(n):
        y, rise, fall = delta[i], scratch[i], z[i]
        scale = scalar.general_power(y if y != 0 else one, high)
        delta[i] = scale * (rise - fall) if y != 0 else rise + one
        z[i] = scale * (rise / high + fall / low) if y != 0 else (rise + one) / high


cdef inline floating clip(floating p, floating eps) noexcept nogil:
    """p within [eps, 1 - eps]; NaN stays NaN."""
    cdef floating most = <floating>1 - eps
    p = eps if p < eps else p
    return most if p > most else p


cdef inline void binary_log_loss(floating* delta, floating* z, Py_ssize_t n,
                                 bint exact) noexcept nogil:
    """p = logistic(z), y in {0, 1}: delta = p - y; loss = -log(p if y else 1 - p)."""
    cdef Py_ssize_t i
    cdef floating y, p, one = 1, eps = scalar.machine_epsilon(z)
    if exact:
        for i in range(n):
            y = delta[i]
            delta[i] = scalar.logistic(z[i]) - y
            z[i] = -z[i] if y != 0 else z[i]
        softplus_forward(z, n)
        return
    for i in range(n):
        y = delta[i]
        p = scalar.logistic(z[i])
        delta[i] = p - y
        z[i] = clip(p if y != 0 else one - p, eps)
    for i in range(n):  # a loop of its own: inside log the constants of clip would become branches
        z[i] = -scalar.log(z[i])


cdef inline void smoothed_binary_log_loss(floating* delta, floating* z, floating* scratch,
                                          Py_ssize_t n, double smoothing,
                                          bint exact) noexcept nogil:
    """The target is t = 1 - h or h for y in {1, 0}, h = smoothing / 2: delta = p - t; loss =
    -log(q) + h (log(q) - log(1 - q)) for the probability q of y. With m = z or -z, log(q) is
    -log(1 + exp(-m)), and log(1 - q) is log(q) - m: so no digits of 1 - q are lost."""
    cdef Py_ssize_t i
    cdef floating y, own, other, half = smoothing / 2, most = 1 - smoothing / 2
    cdef floating least_loss = scalar.machine_epsilon(z), most_loss = -scalar.log(least_loss)
    for i in range(n):
        y = delta[i]
        delta[i] = scalar.logistic(z[i]) - (most if y != 0 else half)
        scratch[i] = z[i] if y != 0 else -z[i]
        z[i] = -scratch[i]
    softplus_forward(z, n)
    if exact:
        for i in range(n):
            z[i] += half * scratch[i]
        return
    for i in range(n):
        own, other = z[i], z[i] + scratch[i]
        own = least_loss if own < least_loss else own
        own = most_loss if own > most_loss else own
        other = least_loss if other < least_loss else other
        other = most_loss if other > most_loss else other
        z[i] = own + half * (other - own)


# ---- of whole rows

cdef inline void gaussian(floating* delta_bk, floating* z_bk, floating* scratch, Py_ssize_t B,
                          Py_ssize_t K) noexcept nogil:
    """z = means m, then log variances v: delta = e exp(-v), then (1 - e^2 exp(-v)) / 2, e = m - y;
    loss = (v + e^2 exp(-v)) / 2, the negative log-likelihood without its constant (Nix and Weigend,
    1994). On entry delta holds y, of which the first half is read."""
    cdef Py_ssize_t r, k, i, T = K // 2
    cdef floating error, half = 0.5, one = 1
    for r in range(B):
        for k in range(T):
            scratch[r * T + k] = -z_bk[r * K + T + k]
    for i in range(B * T):
        scratch[i] = scalar.exp(scratch[i])
    for r in range(B):
        for k in range(T):
            i = r * K + k
            error = z_bk[i] - delta_bk[i]
            delta_bk[i] = error * scratch[r * T + k]
            z_bk[i] = error * delta_bk[i]
    for r in range(B):  # a loop of its own: a scalar product would be fused with this sum
        for k in range(T):
            i = r * K + k
            delta_bk[i + T] = half * (one - z_bk[i])
            z_bk[i] *= half
            z_bk[i + T] *= half


cdef inline void log_loss(const Loss* loss, floating* losses_b, floating* delta_bk,
                          const floating* z_bk, const floating* y, const Py_ssize_t* order,
                          Py_ssize_t B) noexcept nogil:
    """p = softmax(z), c = the class: delta = p - onehot(c); loss = -log p_c."""
    cdef Py_ssize_t r, c, K = loss.K
    cdef floating one = 1, eps = scalar.machine_epsilon(z_bk)
    memcpy(delta_bk, z_bk, B * K * sizeof(floating))
    softmax(delta_bk, B, K)
    for r in range(B):
        c = r * K + <Py_ssize_t>y[(order[r] if order != NULL else r) * loss.stride]
        losses_b[r] = clip(delta_bk[c], eps)
        delta_bk[c] -= one
    for r in range(B):
        losses_b[r] = -scalar.log(losses_b[r])


cdef inline void log_loss_objective(const Loss* loss, floating* losses_b, floating* z_bk,
                                    const floating* y, const Py_ssize_t* order,
                                    Py_ssize_t B) noexcept nogil:
    """-log p_c = log(sum exp(z - z_c)), finite even where p_c underflows; z is overwritten."""
    cdef Py_ssize_t r, k, K = loss.K
    cdef floating top, truth
    cdef floating* z_k
    for r in range(B):
        z_k = z_bk + r * K
        truth = z_k[<Py_ssize_t>y[(order[r] if order != NULL else r) * loss.stride]]
        top = scalar.largest(z_k, K)
        for k in range(K):
            z_k[k] = scalar.exp(z_k[k] - top)
        losses_b[r] = scalar.log(scalar.total(z_k, K)) + (top - truth)


cdef inline void soft_log_loss(floating* losses_b, floating* delta_bk, floating* z_bk,
                               floating* scratch_bk, Py_ssize_t B, Py_ssize_t K,
                               bint exact) noexcept nogil:
    """p = softmax(z), y shares of the classes: delta = s p - y, where s = sum y is 1 or near;
    loss = -sum y log p. On entry delta holds y. With one share of 1 the bits are those of
    `log_loss`."""
    cdef Py_ssize_t r, i
    cdef floating y, sum_y, eps = scalar.machine_epsilon(z_bk)
    if exact:
        soft_log_loss_objective(losses_b, delta_bk, z_bk, scratch_bk, B, K)
    softmax(z_bk, B, K)
    for r in range(B):
        sum_y = scalar.total(delta_bk + r * K, K)
        for i in range(r * K, (r + 1) * K):
            y = delta_bk[i]
            scratch_bk[i] = y
            delta_bk[i] = sum_y * z_bk[i] - y
            z_bk[i] = clip(z_bk[i], eps)
    if exact:
        return
    for i in range(B * K):
        z_bk[i] = -scalar.log(z_bk[i])
    for i in range(B * K):
        z_bk[i] *= scratch_bk[i]
    for r in range(B):
        losses_b[r] = scalar.total(z_bk + r * K, K)


cdef inline void soft_log_loss_objective(floating* losses_b, const floating* y_bk,
                                         const floating* z_bk, floating* scratch_bk, Py_ssize_t B,
                                         Py_ssize_t K) noexcept nogil:
    """-log p_k = log(sum exp(z - max z)) + (max z - z_k), finite even where p_k underflows."""
    cdef Py_ssize_t r, k
    cdef floating top, rest
    cdef const floating* z_k
    cdef const floating* y_k
    cdef floating* scratch_k
    for r in range(B):
        z_k, y_k, scratch_k = z_bk + r * K, y_bk + r * K, scratch_bk + r * K
        top = scalar.largest(z_k, K)
        for k in range(K):
            scratch_k[k] = scalar.exp(z_k[k] - top)
        rest = scalar.log(scalar.total(scratch_k, K))
        for k in range(K):
            scratch_k[k] = y_k[k] * (rest + (top - z_k[k])) if y_k[k] != 0 else <floating>0
        losses_b[r] = scalar.total(scratch_k, K)


cdef inline void gather_targets(const Loss* loss, floating* delta_bk, const floating* y,
                                const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """delta := the targets of the rows, one-hot for a multinomial model."""
    cdef Py_ssize_t r, k, row, K = loss.K
    for r in range(B):
        row = order[r] if order != NULL else r
        if loss.targets == K:
            for k in range(K):
                delta_bk[r * K + k] = y[row * loss.stride + k]
        else:
            for k in range(K):
                delta_bk[r * K + k] = k == <Py_ssize_t>y[row * loss.stride]


cdef inline void smooth(floating* y_bk, Py_ssize_t n, Py_ssize_t K,
                        double smoothing) noexcept nogil:
    """y := (1 - e) y + e / K, for n shares of K classes."""
    cdef Py_ssize_t i
    cdef floating kept = 1 - smoothing, share = smoothing / K
    for i in range(n):
        y_bk[i] = kept * y_bk[i] + share


cdef inline void grouped_log_loss(const Loss* loss, floating* losses_b, floating* delta_bk,
                                  floating* z_bk, floating* scratch_bk, const floating* y,
                                  const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """z has blocks of outputs, one for each target, y the numbers of their classes: delta = the
    targets' own; loss = the sum of their log losses, binary for a single output."""
    cdef Py_ssize_t t, r, O, first = 0, K = loss.K
    cdef Loss one = loss[0]
    cdef floating* own_b = losses_b
    cdef floating* free = delta_bk  # room for the outputs of a target
    one.targets = 1
    for t in range(loss.targets):   # in turns, since log_loss takes whole rows
        O = <Py_ssize_t>loss.parameters[t]
        copy_columns(scratch_bk + B * first, O, z_bk + first, K, B, O)
        first += O
    first = 0
    for t in range(loss.targets):
        one.K = <Py_ssize_t>loss.parameters[t]
        one.kind = BINARY_LOG_LOSS if one.K == 1 else LOG_LOSS
        one.link = only_link(one.kind)
        loss_delta_of_target(&one, own_b, z_bk + B * first, scratch_bk + B * first, free, y + t,
                             order, B)
        if t > 0:
            for r in range(B):
                losses_b[r] += own_b[r]
        own_b, free = delta_bk, delta_bk + B    # the first target has one output at least
        first += one.K
    first = 0
    for t in range(loss.targets):
        O = <Py_ssize_t>loss.parameters[t]
        copy_columns(delta_bk + first, K, z_bk + B * first, O, B, O)
        first += O


cdef inline void loss_delta(const Loss* loss, floating* losses_b, floating* delta_bk,
                            floating* z_bk, floating* scratch_bk, const floating* y,
                            const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """Row losses and delta = dloss/dz; z is overwritten, and scratch_bk has room for as much. Row r
    has the targets in row order[r] of y, or in row r without an order."""
    if loss.kind == GROUPED_LOG_LOSS:
        grouped_log_loss(loss, losses_b, delta_bk, z_bk, scratch_bk, y, order, B)
    else:
        loss_delta_of_target(loss, losses_b, delta_bk, z_bk, scratch_bk, y, order, B)


cdef inline void loss_delta_of_target(const Loss* loss, floating* losses_b, floating* delta_bk,
                                      floating* z_bk, floating* scratch_bk, const floating* y,
                                      const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """The same for any loss but that of several targets of several classes."""
    cdef Py_ssize_t r, K = loss.K, n = B * K
    cdef bint composed = is_of_prediction(loss.kind) and loss.link != LINK_IDENTITY
    if loss.kind == LOG_LOSS and loss.smoothing == 0:
        log_loss(loss, losses_b, delta_bk, z_bk, y, order, B)
        if loss.exact:
            log_loss_objective(loss, losses_b, z_bk, y, order, B)
        return
    gather_targets(loss, delta_bk, y, order, B)
    if loss.kind in (LOG_LOSS, SOFT_LOG_LOSS):
        if loss.smoothing > 0:
            smooth(delta_bk, n, K, loss.smoothing)
        soft_log_loss(losses_b, delta_bk, z_bk, scratch_bk, B, K, loss.exact)
        return
    if composed:
        link_forward(loss.link, NULL, z_bk, B, K)
        memcpy(scratch_bk, z_bk, n * sizeof(floating))
    if loss.kind == SQUARED_ERROR:
        squared_error(delta_bk, z_bk, n)
    elif loss.kind == ABSOLUTE_ERROR:
        absolute_error(delta_bk, z_bk, n)
    elif loss.kind == HUBER:
        huber(delta_bk, z_bk, n, loss.parameters[0])
    elif loss.kind == QUANTILE:
        quantile(delta_bk, z_bk, B, K, loss.parameters)
    elif loss.kind == LOG_COSH:
        log_cosh(delta_bk, z_bk, n)
    elif loss.kind == GAUSSIAN:
        gaussian(delta_bk, z_bk, scratch_bk, B, K)
    elif loss.kind == POISSON:
        poisson(delta_bk, z_bk, n)
    elif loss.kind == GAMMA:
        gamma(delta_bk, z_bk, n)
    elif loss.kind == TWEEDIE:
        tweedie(delta_bk, z_bk, scratch_bk, n, loss.parameters[0])
    elif loss.kind == BINARY_LOG_LOSS:
        if loss.smoothing > 0:
            smoothed_binary_log_loss(delta_bk, z_bk, scratch_bk, n, loss.smoothing, loss.exact)
        else:
            binary_log_loss(delta_bk, z_bk, n, loss.exact)
    if composed:
        link_backward(loss.link, delta_bk, scratch_bk, B, K)
    for r in range(B):
        losses_b[r] = scalar.total(z_bk + r * K, K)
