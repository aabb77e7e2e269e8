"""Scalar functions of both dtypes, without branches, so that a plain loop over them is vectorized.

exp, log, tanh and logistic are polynomials on a reduced argument, after Cody and Waite (1980) and
fdlibm. Selects take the place of branches. Infinities, NaN and -0.0 come out as in C; results of
exp below the smallest normal number are zero. Worst of all float32 and of many float64 (`make
exhaustive`): exp 1.05 ULP, log 1.3, logistic 2.5, softplus 2.1, tanh 2.6. The bounds of all are in
tests/kernels/exhaustive.py.

The coefficients are minimax in the relative error: Remez's exchange in 60 digits, then rounded.
Each sum has one product in it, so that fused multiply-adds can be formed in one way only.
"""

from cython cimport floating
from libc cimport math
from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
    #error "sums have to be rounded to their own type: on 32-bit x86, -msse2 -mfpmath=sse"
    #endif

    static inline uint32_t fastbp_bits_f(float x) {
        union { float number; uint32_t bits; } u; u.number = x; return u.bits;
    }
    static inline uint64_t fastbp_bits_d(double x) {
        union { double number; uint64_t bits; } u; u.number = x; return u.bits;
    }
    static inline float fastbp_number_f(uint32_t x) {
        union { float number; uint32_t bits; } u; u.bits = x; return u.number;
    }
    static inline double fastbp_number_d(uint64_t x) {
        union { double number; uint64_t bits; } u; u.bits = x; return u.number;
    }

    /* The sum of 16 lanes, by halves. By vectors: of short loops GCC makes single additions. */
    #include "compiler.h"
    #if fastbp_gnu
    #define FASTBP_FOLD(real, four, fold)                                                      \\
        typedef real four                                                                      \\
            __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));  \\
        static inline real fold(const real *lanes) {                                           \\
            const four *const part = (const four *)lanes;                                      \\
            const four sum = (part[0] + part[2]) + (part[1] + part[3]);                        \\
            return (sum[0] + sum[2]) + (sum[1] + sum[3]);                                      \\
        }
    #else
    #define FASTBP_FOLD(real, four, fold)                                                      \\
        static inline real fold(const real *lanes) {                                           \\
            real sum[4];                                                                       \\
            for (int j = 0; j < 4; j++)                                                        \\
                sum[j] = (lanes[j] + lanes[j + 8]) + (lanes[j + 4] + lanes[j + 12]);           \\
            return (sum[0] + sum[2]) + (sum[1] + sum[3]);                                      \\
        }
    #endif
    FASTBP_FOLD(float, fastbp_four_f, fastbp_fold_f)
    FASTBP_FOLD(double, fastbp_four_d, fastbp_fold_d)
    """
    float fastbp_fold_f(const float* lanes)
    double fastbp_fold_d(const double* lanes)
    uint32_t fastbp_bits_f(float x)
    uint64_t fastbp_bits_d(double x)
    float fastbp_number_f(uint32_t x)
    double fastbp_number_d(uint64_t x)

cdef extern from "compiler.h" nogil:
    const bint fastbp_fma  # whether multiply and add are one instruction
    float fastbp_add_product_f(float sum, float a, float b)
    double fastbp_add_product_d(double sum, double a, double b)


cdef inline floating add_product(floating sum, floating a, floating b) noexcept nogil:
    """sum + a b, rounded once. For a sum of two products, which could be fused in two ways."""
    if floating is double:
        return fastbp_add_product_d(sum, a, b)
    else:
        return fastbp_add_product_f(sum, a, b)


cdef inline floating ldexp(floating p, floating n) noexcept nogil:
    """p 2^n, where both are normal; the argument is n + 1.5 * 2^52, or n + 1.5 * 2^23 in float."""
    if floating is double:
        return fastbp_number_d(fastbp_bits_d(p) + (fastbp_bits_d(n) << 52))
    else:
        return fastbp_number_f(fastbp_bits_f(p) + (fastbp_bits_f(n) << 23))


cdef inline floating frexp(floating x, floating* e) noexcept nogil:
    """The m of x = m 2^e, sqrt(1/2) <= m < sqrt(2), for normal x > 0; e is added up."""
    cdef uint64_t d
    cdef uint32_t f
    if floating is double:  # e + 1023 is in the last bits of 2^52
        d = fastbp_bits_d(x) + (<uint64_t>0x3FF0000000000000 - <uint64_t>0x3FE6A09E667F3BCD)
        e[0] += fastbp_number_d((d >> 52) | <uint64_t>0x4330000000000000) - 4503599627371519.0
        return fastbp_number_d((d & <uint64_t>0xFFFFFFFFFFFFF) + <uint64_t>0x3FE6A09E667F3BCD)
    else:
        f = fastbp_bits_f(x) + (<uint32_t>0x3F800000 - <uint32_t>0x3F3504F3)
        e[0] += fastbp_number_f((f >> 23) | <uint32_t>0x4B000000) - <float>8388735.0
        return fastbp_number_f((f & <uint32_t>0x7FFFFF) + <uint32_t>0x3F3504F3)


cdef inline floating reduce(floating x, floating* n) noexcept nogil:
    """The r of x = n log(2) + r, |r| <= log(2) / 2; adding 1.5 * 2^52 or 1.5 * 2^23 rounds n."""
    cdef floating k
    if floating is double:
        n[0] = x * 1.4426950408889634 + 6755399441055744.0
        k = n[0] - 6755399441055744.0
        return x - k * 0.693147180559663 - k * 2.8235290563031577e-13  # k * the first is exact
    else:
        n[0] = x * <float>1.442695 + <float>12582912.0
        k = n[0] - <float>12582912.0
        return x - k * <float>0.69314575 - k * <float>1.4286068e-06


cdef inline floating exp_rest(floating r) noexcept nogil:
    """exp(r) - 1 - r = r^2 q(r) for |r| <= log(2) / 2, within |r| 2^-55.1 and |r| 2^-26.1."""
    cdef floating q
    if floating is double:
        q = 2.511007857414965e-08
        q = q * r + 2.7622441199740833e-07
        q = q * r + 2.7557243519794687e-06
        q = q * r + 2.48015159063702e-05
        q = q * r + 0.0001984126988318146
        q = q * r + 0.0013888888920773877
        q = q * r + 0.008333333333325258
        q = q * r + 0.04166666666661957
        q = q * r + 0.16666666666666666
        q = q * r + 0.5
    else:
        q = 0.0013917087
        q = q * r + <float>0.008367182
        q = q * r + <float>0.041666612
        q = q * r + <float>0.16666539
        q = q * r + <float>0.5
    return q * (r * r)


cdef inline floating exp(floating x) noexcept nogil:
    cdef floating n, r, p, lowest, highest, one = 1
    if floating is double:  # logarithms of the smallest normal number, and of the largest
        lowest, highest = -708.3964185322641, 709.782712893384
    else:
        lowest, highest = -87.33654, 88.72283
    r = reduce(x, &n)
    p = one + (r + exp_rest(r))
    p = ldexp(p, n) if x >= lowest else <floating>0
    # One NaN for all: the sign of x's own would depend on how a compiler writes exp(-x).
    return p if x <= highest else (
        <floating>math.INFINITY if x > highest else <floating>math.NAN)


cdef inline floating logistic(floating x) noexcept nogil:
    """1 / (1 + exp(-x)), without overflow: exp(-x) = inf gives 0."""
    cdef floating one = 1
    return one / (one + exp(-x))


cdef inline floating expm1_is_exp_above(floating _) noexcept nogil:
    """Above this x, exp(x) - 1 rounds to exp(x)."""
    return 40 if floating is double else 20


cdef inline floating expm1_near(floating x) noexcept nogil:
    """exp(x) - 1 = 2^n exp(r) - 1 for |x| <= expm1_is_exp_above."""
    cdef floating n, r, power, one = 1
    r = reduce(x, &n)
    power = ldexp(one, n)
    return power * exp_rest(r) + (power * r + (power - one))  # the bracket is exact for small n


cdef inline floating expm1_negative(floating x) noexcept nogil:
    """exp(x) - 1 for x <= 0."""
    cdef floating most = expm1_is_exp_above(x)
    return expm1_near(-most if x < -most else x)


cdef inline floating expm1(floating x) noexcept nogil:
    """exp(x) - 1; for large x exp(x / 2)^2, since one exp beside another is not rounded alike at
    all levels."""
    cdef floating half = 0.5, most = expm1_is_exp_above(x), t, root
    root = exp(half * x)
    t = most if x > most else x
    t = expm1_near(-most if t < -most else t)
    return root * root if x > most else copysign(t, x)


cdef inline floating tanh(floating x) noexcept nogil:
    """t / (t + 2) with t = exp(2 |x|) - 1, and the sign of x."""
    cdef floating one = 1, most = expm1_is_exp_above(x), t = abs(x)
    t += t
    t = expm1_near(most if t > most else t)
    return copysign(t / (t + (one + one)), x)


cdef inline floating sinh(floating x) noexcept nogil:
    """(t + t / (t + 1)) / 2 with t = exp(|x|) - 1; for large x exp(|x| / 2)^2 / 2."""
    cdef floating one = 1, half = 0.5, most = expm1_is_exp_above(x), a = abs(x), t, root
    t = expm1_near(most if a > most else a)
    root = exp(half * a)
    t = half * (t + t / (t + one))
    return copysign(half * root * root if a > most else t, x)


cdef inline floating cosh(floating x) noexcept nogil:
    """(t + 1 / t) / 2 with t = exp(|x|); for large x exp(|x| / 2)^2 / 2."""
    cdef floating one = 1, half = 0.5, most = expm1_is_exp_above(x), a = abs(x), t, root
    t = exp(most if a > most else a)
    root = exp(half * a)
    t = half * (t + one / t)
    return half * root * root if a > most else t


cdef inline floating log(floating x) noexcept nogil:
    """e log(2) + log(m); with f = m - 1 and s = f / (2 + f), log(m) = f - s (f - s^2 p(s^2))."""
    cdef floating f, s, z, p, low, high, one = 1, e = 0, y = x
    if floating is double:
        if x < 2.2250738585072014e-308:  # denormal
            y, e = x * 18014398509481984.0, -54
        f = frexp(y, &e) - one
        s = f / (f + (one + one))
        z = s * s
        p = 0.1479530567739825
        p = p * z + 0.1531412152138024
        p = p * z + 0.18183561233030035
        p = p * z + 0.22222198640608712
        p = p * z + 0.2857142874162557
        p = p * z + 0.39999999999418806
        p = p * z + 0.6666666666666734
        high, low = 0.693147180559663, 2.8235290563031577e-13
    else:
        if x < <float>1.17549435e-38:
            y, e = x * <float>33554432.0, -25
        f = frexp(y, &e) - one
        s = f / (f + (one + one))
        z = s * s
        p = 0.23581685
        p = p * z + <float>0.2853734
        p = p * z + <float>0.40000334
        p = p * z + <float>0.6666666
        high, low = 0.69314575, 1.4286068e-06
    f = f - s * (f - z * p) + e * low + e * high
    f = f if x > 0 else (-<floating>math.INFINITY if x == 0 else <floating>math.NAN)
    return f if x < <floating>math.INFINITY else x


cdef inline floating log1p(floating x) noexcept nogil:
    """log(u) + (x - (u - 1)) / u with u = 1 + x: the last term restores the error of u."""
    cdef floating one = 1, u = one + x, lost = (x - (u - one)) / u, result = log(u)
    result = result + (lost if u > 0 and u < <floating>math.INFINITY else <floating>0)
    return copysign(result, x) if x > -one else result


cdef inline floating softplus(floating x) noexcept nogil:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))."""
    return (x if x > 0 else <floating>0) + log1p(exp(-abs(x)))


cdef inline floating erf_near(floating z) noexcept nogil:
    """p(z) with erf(x) = x + x p(x^2) for |x| < 1."""
    cdef floating p
    if floating is double:
        p = -7.779465445261772e-10
        p = p * z + 1.3710978512408646e-08
        p = p * z - 1.6206313254516387e-07
        p = p * z + 1.6447131494882777e-06
        p = p * z - 1.4924712294752659e-05
        p = p * z + 0.00012055293576450545
        p = p * z - 0.0008548325929296111
        p = p * z + 0.005223977606117989
        p = p * z - 0.02686617064311139
        p = p * z + 0.11283791670944184
        p = p * z - 0.3761263890318352
        p = p * z + 0.12837916709551256
    else:
        p = 7.853867e-05
        p = p * z - <float>0.00080101955
        p = p * z + <float>0.0051883277
        p = p * z - <float>0.026853813
        p = p * z + <float>0.112835854
        p = p * z - <float>0.37612626
        p = p * z + <float>0.12837917
    return p


cdef inline floating log_erfc(floating s) noexcept nogil:
    """log(1 - erf(s + 1)) for 0 <= s, up to where erf rounds to 1."""
    cdef floating q
    if floating is double:
        q = -4.928673451366764e-12
        q = q * s + 1.2071098049909277e-10
        q = q * s - 1.3326272641360317e-09
        q = q * s + 8.597186690930935e-09
        q = q * s - 3.36923726870574e-08
        q = q * s + 5.8820347479546355e-08
        q = q * s + 2.0324766245405557e-07
        q = q * s - 2.12972955083471e-06
        q = q * s + 9.669086349996184e-06
        q = q * s - 2.7197239553374442e-05
        q = q * s + 2.6295381949835703e-05
        q = q * s + 0.00023731679778249382
        q = q * s - 0.0019779013106687297
        q = q * s + 0.010033825195109222
        q = q * s - 0.04156109802667743
        q = q * s - 0.8431072563593307
        q = q * s - 2.6389675142347775
        q = q * s - 1.8496055099332482
    else:
        q = 0.00018637744
        q = q * s - <float>0.0018293769
        q = q * s + <float>0.009895453
        q = q * s - <float>0.041503493
        q = q * s - <float>0.8431176
        q = q * s - <float>2.6389668
        q = q * s - <float>1.8496056
    return q


cdef inline floating erf(floating x) noexcept nogil:
    """x + x p(x^2) for |x| < 1, then 1 - exp(q(|x| - 1)), q = log(erfc).

    Relative to erf within 2^-56.9 and 2^-57.0, in float32 2^-29.6 and 2^-29.8.
    """
    cdef floating z, s, p, q, one = 1, a = abs(x), most = 5.95 if floating is double else 3.95
    z = one if a > one else a * a
    s = (most if a > most else a) - one
    p = x * erf_near(z) + x
    q = copysign(one - exp(log_erfc(s)), x)
    return p if a < one else q


cdef inline double quarter_turns(double x, double* n) noexcept nogil:
    """The r of x = n pi / 2 + r, |r| <= pi / 4; n is stored plus 1.5 * 2^52. For |x| <= 2^30.

    pi / 2 is split into three parts. The first two have 33 bits, so that their products with an n
    below 2^20 are exact (Cody and Waite, 1980).
    """
    cdef double k, r
    n[0] = x * 0.6366197723675814 + 6755399441055744.0
    k = n[0] - 6755399441055744.0
    r = x - k * 1.5707963267341256
    r = r - k * 6.077100506303966e-11
    return r - k * 2.0222662487959506e-21


cdef inline floating sine(floating x, uint64_t turns) noexcept nogil:
    """sin(x + turns pi / 2); NaN for |x| > 2^30, where the turns of a rounded x mean nothing."""
    cdef double n
    cdef floating r, z, s, c, one = 1, half = 0.5
    cdef uint64_t quarter
    r = <floating>quarter_turns(x, &n)
    quarter = fastbp_bits_d(n) + turns
    z = r * r
    if floating is double:
        s = 1.5896504754848507e-10
        s = s * z - 2.505075326074437e-08
        s = s * z + 2.7557313662030493e-06
        s = s * z - 0.0001984126982972512
        s = s * z + 0.008333333333322314
        s = s * z - 0.16666666666666632
        c = -1.1359448947232488e-11
        c = c * z + 2.0875719563777373e-09
        c = c * z - 2.75573143260669e-07
        c = c * z + 2.4801587289395045e-05
        c = c * z - 0.001388888888887399
        c = c * z + 0.0416666666666666
    else:
        s = 2.7182373e-06
        s = s * z - <float>0.00019839327
        s = s * z + <float>0.008333329
        s = s * z - <float>0.16666667
        c = 2.4437732e-05
        c = c * z - <float>0.0013887362
        c = c * z + <float>0.041666646
    s = copysign((s * z) * r + r, r)  # the sum loses the sign of 0
    c = (c * z) * z + (one - half * z)
    s = c if quarter & 1 else s
    s = -s if quarter & 2 else s
    return s if abs(x) <= <floating>1073741824.0 else <floating>math.NAN


cdef inline floating sin(floating x) noexcept nogil:
    return sine(x, 0)


cdef inline floating cos(floating x) noexcept nogil:
    return sine(x, 1)


cdef inline floating general_power(floating x, floating y) noexcept nogil:
    """exp(y log|x|), and the sign of x where y is odd; NaN for x < 0 unless y is a whole number.

    Its relative error is about |y log(x)| times that of a logarithm.
    """
    cdef floating size, negative, whole, even, half = 0.5, one = 1
    if floating is double:
        whole, even = math.floor(y), math.floor(half * y)
    else:
        whole, even = math.floorf(y), math.floorf(half * y)
    size = exp(y * log(abs(x)))
    size = one if y == 0 else size
    size = one if x == one else size  # `or` would not be vectorized
    negative = size if even + even == y else -size
    negative = negative if whole == y else <floating>math.NAN
    return negative if x < 0 else size


cdef inline floating reciprocal(floating x) noexcept nogil:
    """1 / x, x > 0, within 1 ULP; 0 where it is below the smallest normal number.

    The division after a square root keeps the divider busy, as long as 30 multiply-adds in float:
    there it is a guess from the bits (relative error 1/8), and twice Halley's step.
    """
    cdef floating r, error, one = 1
    if floating is float:
        if fastbp_fma:
            r = fastbp_number_f(<uint32_t>0x7EF311C3 - fastbp_bits_f(x))
            error = one - x * r
            r = r * (error * error + error) + r
            error = one - x * r
            r = r * (error * error + error) + r
            return <floating>0 if x > <float>8.507059e+37 else r
    return one / x


cdef inline floating copysign(floating x, floating sign) noexcept nogil:
    if floating is double:
        return math.copysign(x, sign)
    else:
        return math.copysignf(x, sign)


cdef inline floating sqrt(floating x) noexcept nogil:
    if floating is double:
        return math.sqrt(x)
    else:
        return math.sqrtf(x)


cdef struct Pair:           # a double, and what is left of a number beside it
    double head, rest


cdef inline Pair pair_product(Pair x, Pair y) noexcept nogil:
    """x y with some 100 bits (Dekker, 1971). No product is left that a compiler could fuse."""
    cdef double p = add_product(<double>0, x.head, y.head)
    cdef double rest = (add_product(-p, x.head, y.head)
                        + add_product(x.head * y.rest, x.rest, y.head))
    cdef double head = p + rest
    return Pair(head, rest - (head - p))


cdef inline double whole_power(double x, double n) noexcept nogil:
    """x ** n for 0 <= x < 1 and whole n >= 0. It may be 0 below 1e-18, where 1 - x ** n is 1.

    By squares: the functions of C libraries differ in the last place. Without fused multiply-adds
    it is the library's, for bits differ there anyway.
    """
    cdef Pair power = Pair(1, 0), square = Pair(x, 0)
    cdef uint64_t bits
    if not fastbp_fma:
        return math.pow(x, n)
    if n * (1 - x) > 42:  # x ** n < exp(-n (1 - x))
        return 0
    bits = <uint64_t>n
    while bits:
        if bits & 1:
            power = pair_product(power, square)
        square = pair_product(square, square)
        bits >>= 1
    return power.head


cdef inline floating machine_epsilon(const floating* _) noexcept nogil:
    """Distance from 1 to the next number of the dtype; the pointer only names the dtype."""
    if floating is double:
        return 2.220446049250313e-16
    else:
        return 1.1920928955078125e-07


cdef inline floating fold(const floating* lanes) noexcept nogil:
    """The sum of 16 lanes, by halves."""
    if floating is double:
        return fastbp_fold_d(lanes)
    else:
        return fastbp_fold_f(lanes)


cdef inline floating total(const floating* x, Py_ssize_t n) noexcept nogil:
    """sum x, in 16 fixed lanes: the order is the same whatever vector width is compiled."""
    cdef floating lanes[16]
    cdef floating result = 0
    cdef Py_ssize_t i, j, body = n - n % 16
    if body > 0:
        for j in range(16):
            lanes[j] = x[j]
        for i in range(16, body, 16):
            for j in range(16):
                lanes[j] += x[i + j]
        result = fold(lanes)
    for i in range(body, n):
        result += x[i]
    return result


cdef inline floating larger(floating x, floating y) noexcept nogil:
    return x if x > y else y


cdef inline floating largest(const floating* x, Py_ssize_t n) noexcept nogil:
    """max x, in 16 lanes as well; with a NaN in x the result is unspecified."""
    cdef floating lanes[16]
    cdef floating result = x[0]
    cdef Py_ssize_t i, j, body = n - n % 16
    if body > 0:
        for j in range(16):
            lanes[j] = x[j]
        for i in range(16, body, 16):
            for j in range(16):
                lanes[j] = larger(x[i + j], lanes[j])
        for j in range(16):
            result = larger(lanes[j], result)
    for i in range(body, n):
        result = larger(x[i], result)
    return result
