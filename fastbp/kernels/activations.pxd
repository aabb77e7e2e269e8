"""Activations of the hidden layers, in place: z becomes a = f(z), delta becomes delta * f'(z).

Most backwards use the output a alone. Those with slopes cannot: their forward also writes the
slopes f'(z) into s, and computes costly terms once for both. The loops are plain, so that the
compiler vectorizes them. A literal would be a double among floats, hence `one`. ACTIVATIONS in
_core.pyx gives the names.
"""

from cython cimport floating

from fastbp.kernels cimport scalar

cdef enum:
    IDENTITY, LOGISTIC, TANH, RELU, LEAKY_RELU, ELU, SELU, SOFTPLUS, HARD_SIGMOID, STEP
    GELU, GELU_TANH, SILU, MISH
    ACTIVATIONS_END


cdef inline bint is_activation(Py_ssize_t code) noexcept nogil:
    """Whether a code is that of an activation with a name."""
    return 0 <= code < ACTIVATIONS_END


cdef inline void logistic_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := 1 / (1 + exp(-z))."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = scalar.logistic(z[i])


cdef inline void logistic_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta * a (1 - a)."""
    cdef Py_ssize_t i
    cdef floating one = 1
    for i in range(n):
        delta[i] *= a[i] * (one - a[i])


cdef inline void tanh_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := tanh(z)."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = scalar.tanh(z[i])


cdef inline void tanh_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta * (1 - a^2)."""
    cdef Py_ssize_t i
    cdef floating one = 1
    for i in range(n):
        delta[i] *= one - a[i] * a[i]


cdef inline void relu_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := max(z, 0). NaN stays NaN: divergence must not be hidden."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = 0 if z[i] < 0 else z[i]


cdef inline void relu_backward(floating* delta, const floating* a, Py_ssize_t n) noexcept nogil:
    """delta := delta where a is not 0, else 0."""
    cdef Py_ssize_t i
    for i in range(n):
        delta[i] = 0 if a[i] == 0 else delta[i]


cdef inline void leaky_relu_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := z if z > 0, else z / 100 (Maas et al., 2013)."""
    cdef Py_ssize_t i
    cdef floating little = 0.01
    for i in range(n):
        z[i] = z[i] if z[i] > 0 else little * z[i]


cdef inline void leaky_relu_backward(floating* delta, const floating* a,
                                     Py_ssize_t n) noexcept nogil:
    """delta := delta where a > 0, else delta / 100."""
    cdef Py_ssize_t i
    cdef floating little = 0.01
    for i in range(n):
        delta[i] = delta[i] if a[i] > 0 else little * delta[i]


cdef inline void elu_forward(floating* z, Py_ssize_t n, floating scale,
                             floating alpha) noexcept nogil:
    """a := scale z if z > 0, else scale alpha (exp(z) - 1) (Clevert et al., 2015)."""
    cdef Py_ssize_t i
    cdef floating least = scale * alpha
    for i in range(n):
        z[i] = scale * z[i] if z[i] > 0 else least * scalar.expm1_negative(z[i])


cdef inline void elu_backward(floating* delta, const floating* a, Py_ssize_t n, floating scale,
                              floating alpha) noexcept nogil:
    """delta := delta scale where a > 0, else delta (a + scale alpha)."""
    cdef Py_ssize_t i
    cdef floating least = scale * alpha
    for i in range(n):
        delta[i] *= scale if a[i] > 0 else a[i] + least


# SELU is ELU with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017).
cdef inline floating selu_scale(const floating* _) noexcept nogil:
    return 1.0507009873554805


cdef inline floating selu_alpha(const floating* _) noexcept nogil:
    return 1.6732632423543772


cdef inline void softplus_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := log(1 + exp(z))."""
    cdef Py_ssize_t i
    for i in range(n):
        z[i] = scalar.softplus(z[i])


cdef inline void softplus_backward(floating* delta, const floating* a,
                                   Py_ssize_t n) noexcept nogil:
    """delta := delta (1 - exp(-a))."""
    cdef Py_ssize_t i
    for i in range(n):
        delta[i] *= -scalar.expm1_negative(-a[i])


cdef inline void hard_sigmoid_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := z / 6 + 1 / 2 within [0, 1]."""
    cdef Py_ssize_t i
    cdef floating zero = 0, one = 1, three = 3, six = 6
    for i in range(n):
        z[i] = (z[i] + three) / six
    for i in range(n):
        z[i] = zero if z[i] < 0 else (one if z[i] > 1 else z[i])


cdef inline void hard_sigmoid_backward(floating* delta, const floating* a,
                                       Py_ssize_t n) noexcept nogil:
    """delta := delta / 6 where 0 < a < 1, else 0."""
    cdef Py_ssize_t i
    cdef floating six = 6
    for i in range(n):
        delta[i] = delta[i] / six if a[i] > 0 and a[i] < 1 else 0


cdef inline void step_forward(floating* z, Py_ssize_t n) noexcept nogil:
    """a := 1 if z > 0, else 0. NaN stays NaN. The derivative is 0, but training uses that of the
    identity (straight-through estimator; Bengio et al., 2013): the backward changes nothing.
    """
    cdef Py_ssize_t i
    cdef floating zero = 0, one = 1
    for i in range(n):
        z[i] = one if z[i] > 0 else (zero if z[i] <= 0 else z[i])


# ---- with slopes: s := f'(z) before z becomes a

cdef inline void gelu_forward(floating* z, floating* s, Py_ssize_t n) noexcept nogil:
    """a := z P(z), s := P(z) + z p(z), of the normal distribution (Hendrycks and Gimpel, 2016)."""
    cdef Py_ssize_t i
    cdef floating half = 0.5, root = 0.7071067811865476, height = 0.3989422804014327
    cdef floating share, density
    for i in range(n):
        share = half + half * scalar.erf(root * z[i])
        density = height * scalar.exp(-half * (z[i] * z[i]))
        s[i] = z[i] * density + share
        z[i] *= share


cdef inline void gelu_tanh_forward(floating* z, floating* s, Py_ssize_t n) noexcept nogil:
    """a := z (1 + t) / 2 with t = tanh(r (z + k z^3)), and its slope."""
    cdef Py_ssize_t i
    cdef floating half = 0.5, one = 1, three = 3
    cdef floating r = 0.7978845608028654, k = 0.044715, t, square, most = 10000
    for i in range(n):
        square = z[i] * z[i]
        square = k * (most if square > most else square)  # beyond it t is 1 or -1; 0 * inf is NaN
        t = scalar.tanh(r * (square * z[i] + z[i]))
        s[i] = half * (one + t) + (half * z[i]) * ((one - t * t) * (r * (three * square + one)))
        z[i] *= half * (one + t)


cdef inline void silu_forward(floating* z, floating* s, Py_ssize_t n) noexcept nogil:
    """a := z p with p = logistic(z), s := p + a (1 - p) (Elfwing et al., 2017)."""
    cdef Py_ssize_t i
    cdef floating one = 1, p, a
    for i in range(n):
        p = scalar.logistic(z[i])
        a = z[i] * p
        s[i] = scalar.add_product(p, a, one - p)
        z[i] = a


cdef inline void mish_forward(floating* z, floating* s, Py_ssize_t n) noexcept nogil:
    """a := z t with t = tanh(softplus(z)), and its slope (Misra, 2019). With e = exp(z) and
    m = e (e + 2), t is m / (m + 2), and the slope t + 4 z e (e + 1) / (m + 2)^2."""
    cdef Py_ssize_t i
    cdef floating one = 1, two = 2, x, e, m, t, rest, most = scalar.expm1_is_exp_above(z[0])
    for i in range(n):
        x = most if z[i] > most else z[i]   # beyond it t is 1
        e = scalar.exp(x)
        m = e * (e + two)
        t = m / (m + two)
        rest = two / (m + two)
        s[i] = (x * (e * (e + one))) * (rest * rest) + t
        z[i] *= t


cdef inline void slope_backward(floating* delta, const floating* s, Py_ssize_t n) noexcept nogil:
    """delta := delta s."""
    cdef Py_ssize_t i
    for i in range(n):
        delta[i] *= s[i]


cdef inline bint has_slope(int activation) noexcept nogil:
    """Whether the forward stores f'(z) for the backward, which cannot compute it from a."""
    return activation in (GELU, GELU_TANH, SILU, MISH)


cdef inline void activation_forward(int activation, floating* z, floating* s,
                                    Py_ssize_t n) noexcept nogil:
    """a := f(z), and s := f'(z) if has_slope."""
    if activation == IDENTITY:
        pass
    elif activation == LOGISTIC:
        logistic_forward(z, n)
    elif activation == TANH:
        tanh_forward(z, n)
    elif activation == RELU:
        relu_forward(z, n)
    elif activation == LEAKY_RELU:
        leaky_relu_forward(z, n)
    elif activation == ELU:
        elu_forward(z, n, <floating>1, <floating>1)
    elif activation == SELU:
        elu_forward(z, n, selu_scale(z), selu_alpha(z))
    elif activation == SOFTPLUS:
        softplus_forward(z, n)
    elif activation == HARD_SIGMOID:
        hard_sigmoid_forward(z, n)
    elif activation == STEP:
        step_forward(z, n)
    elif activation == GELU:
        gelu_forward(z, s, n)
    elif activation == GELU_TANH:
        gelu_tanh_forward(z, s, n)
    elif activation == SILU:
        silu_forward(z, s, n)
    elif activation == MISH:
        mish_forward(z, s, n)


cdef inline void activation_backward(int activation, floating* delta, const floating* a,
                                     const floating* s, Py_ssize_t n) noexcept nogil:
    """delta := delta * f'(z), from a = f(z) or from the slope s."""
    if has_slope(activation):
        slope_backward(delta, s, n)
    elif activation == LOGISTIC:
        logistic_backward(delta, a, n)
    elif activation == TANH:
        tanh_backward(delta, a, n)
    elif activation == RELU:
        relu_backward(delta, a, n)
    elif activation == LEAKY_RELU:
        leaky_relu_backward(delta, a, n)
    elif activation == ELU:
        elu_backward(delta, a, n, <floating>1, <floating>1)
    elif activation == SELU:
        elu_backward(delta, a, n, selu_scale(a), selu_alpha(a))
    elif activation == SOFTPLUS:
        softplus_backward(delta, a, n)
    elif activation == HARD_SIGMOID:
        hard_sigmoid_backward(delta, a, n)
    elif activation == IDENTITY or activation == STEP:
        pass
