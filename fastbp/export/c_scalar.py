"""Scalar functions in C: those of `kernels/scalar.pxd`, as text, for float and for double.

They need no library of mathematics. `functions` gives those that a text calls, and what they call.
In the text REAL is the type of the numbers, WORD the unsigned integer of its size, and NAME_ the
prefix of all names. CAPITALS are constants of `CONSTANTS`; a line ``q := POLYNOMIAL(t)`` becomes
Horner's scheme with the coefficients of `POLYNOMIALS`.
"""

import re
from collections.abc import Iterable

CONSTANTS = {
    "float": {
        "REAL": "float",
        "WORD": "uint32_t",
        "SIGN_BIT": "0x80000000u",
        "INFINITY_BITS": "0x7F800000u",
        "NAN_BITS": "0x7FC00000u",
        "MANTISSA_BITS": "23",
        "MANTISSA_MASK": "0x7FFFFFu",
        "ROOT_HALF_BITS": "0x3F3504F3u",
        "ONE_BITS": "0x3F800000u",
        "EXPONENT_BITS": "0x4B000000u",
        "EXPONENT_OFFSET": "8388735.0f",
        "LOG2_E": "1.442695f",
        "ROUNDER": "12582912.0f",
        "LOG_2_HIGH": "0.69314575f",
        "LOG_2_LOW": "1.4286068e-06f",
        "LOWEST_EXP": "-87.33654f",
        "HIGHEST_EXP": "88.72283f",
        "EXPM1_IS_EXP": "20",
        "SMALLEST": "1.17549435e-38f",
        "SCALE_UP": "33554432.0f",
        "SCALE_EXPONENT": "-25",
        "ROOT_OFFSET": "0x1FBD1DF5u",
        "ROOT_SCALE_UP": "16777216.0f",
        "ROOT_SCALE_DOWN": "0.000244140625f",
        "ROOT_STEPS": "3",
        "WHOLE": "8388608.0f",
        "MOST_ERF": "3.95f",
    },
    "double": {
        "REAL": "double",
        "WORD": "uint64_t",
        "SIGN_BIT": "0x8000000000000000u",
        "INFINITY_BITS": "0x7FF0000000000000u",
        "NAN_BITS": "0x7FF8000000000000u",
        "MANTISSA_BITS": "52",
        "MANTISSA_MASK": "0xFFFFFFFFFFFFFu",
        "ROOT_HALF_BITS": "0x3FE6A09E667F3BCDu",
        "ONE_BITS": "0x3FF0000000000000u",
        "EXPONENT_BITS": "0x4330000000000000u",
        "EXPONENT_OFFSET": "4503599627371519.0",
        "LOG2_E": "1.4426950408889634",
        "ROUNDER": "6755399441055744.0",
        "LOG_2_HIGH": "0.693147180559663",
        "LOG_2_LOW": "2.8235290563031577e-13",
        "LOWEST_EXP": "-708.3964185322641",
        "HIGHEST_EXP": "709.782712893384",
        "EXPM1_IS_EXP": "40",
        "SMALLEST": "2.2250738585072014e-308",
        "SCALE_UP": "18014398509481984.0",
        "SCALE_EXPONENT": "-54",
        "ROOT_OFFSET": "0x1FF7A3BEA91D9B1Bu",
        "ROOT_SCALE_UP": "18014398509481984.0",
        "ROOT_SCALE_DOWN": "7.450580596923828e-09",
        "ROOT_STEPS": "4",
        "WHOLE": "4503599627370496.0",
        "MOST_ERF": "5.95",
    },
}

POLYNOMIALS = {
    "float": {
        "EXP_REST": "0.0013917087 0.008367182 0.041666612 0.16666539 0.5",
        "LOG": "0.23581685 0.2853734 0.40000334 0.6666666",
        "ERF_NEAR": """7.853867e-05 -0.00080101955 0.0051883277 -0.026853813 0.112835854
            -0.37612626 0.12837917""",
        "LOG_ERFC": """0.00018637744 -0.0018293769 0.009895453 -0.041503493 -0.8431176 -2.6389668
            -1.8496056""",
        "SINE": "2.7182373e-06 -0.00019839327 0.008333329 -0.16666667",
        "COSINE": "2.4437732e-05 -0.0013887362 0.041666646",
    },
    "double": {
        "EXP_REST": """2.511007857414965e-08 2.7622441199740833e-07 2.7557243519794687e-06
            2.48015159063702e-05 0.0001984126988318146 0.0013888888920773877 0.008333333333325258
            0.04166666666661957 0.16666666666666666 0.5""",
        "LOG": """0.1479530567739825 0.1531412152138024 0.18183561233030035 0.22222198640608712
            0.2857142874162557 0.39999999999418806 0.6666666666666734""",
        "ERF_NEAR": """-7.779465445261772e-10 1.3710978512408646e-08 -1.6206313254516387e-07
            1.6447131494882777e-06 -1.4924712294752659e-05 0.00012055293576450545
            -0.0008548325929296111 0.005223977606117989 -0.02686617064311139 0.11283791670944184
            -0.3761263890318352 0.12837916709551256""",
        "LOG_ERFC": """-4.928673451366764e-12 1.2071098049909277e-10 -1.3326272641360317e-09
            8.597186690930935e-09 -3.36923726870574e-08 5.8820347479546355e-08
            2.0324766245405557e-07 -2.12972955083471e-06 9.669086349996184e-06
            -2.7197239553374442e-05 2.6295381949835703e-05 0.00023731679778249382
            -0.0019779013106687297 0.010033825195109222 -0.04156109802667743 -0.8431072563593307
            -2.6389675142347775 -1.8496055099332482""",
        "SINE": """1.5896504754848507e-10 -2.505075326074437e-08 2.7557313662030493e-06
            -0.0001984126982972512 0.008333333333322314 -0.16666666666666632""",
        "COSINE": """-1.1359448947232488e-11 2.0875719563777373e-09 -2.75573143260669e-07
            2.4801587289395045e-05 -0.001388888888887399 0.0416666666666666""",
    },
}

# Each function calls only those above it. Blank lines separate them.
TEXT = r"""
static WORD NAME_bits(REAL x) {
    WORD u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static REAL NAME_number(WORD u) {
    REAL x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static REAL NAME_abs(REAL x) { return NAME_number(NAME_bits(x) & ~SIGN_BIT); }

static REAL NAME_copysign(REAL x, REAL sign) {
    return NAME_number((NAME_bits(x) & ~SIGN_BIT) | (NAME_bits(sign) & SIGN_BIT));
}

/* A number of half precision, by its bits; infinity and NaN do not occur. */
static REAL NAME_half(uint16_t h) {
    const uint32_t u = (uint32_t)(h & 0x7FFFu) << 13 | (uint32_t)(h & 0x8000u) << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    x *= 5.192296858534828e+33f; /* 2^112, the difference of the exponents */
    return (REAL)x;
}

/* p 2^n; the argument is n + ROUNDER. */
static REAL NAME_ldexp(REAL p, REAL n) {
    return NAME_number(NAME_bits(p) + (NAME_bits(n) << MANTISSA_BITS));
}

/* The r of x = n log(2) + r, |r| <= log(2) / 2; adding ROUNDER rounds n. */
static REAL NAME_reduce(REAL x, REAL *n) {
    REAL k;
    *n = x * LOG2_E + ROUNDER;
    k = *n - ROUNDER;
    return x - k * LOG_2_HIGH - k * LOG_2_LOW;
}

/* exp(r) - 1 - r for |r| <= log(2) / 2. */
static REAL NAME_exp_rest(REAL r) {
    REAL q;
    q := EXP_REST(r)
    return q * (r * r);
}

static REAL NAME_exp(REAL x) {
    REAL n, r, p;
    r = NAME_reduce(x, &n);
    p = 1 + (r + NAME_exp_rest(r));
    p = x >= LOWEST_EXP ? NAME_ldexp(p, n) : 0;
    return x <= HIGHEST_EXP ? p : NAME_number(x > HIGHEST_EXP ? INFINITY_BITS : NAN_BITS);
}

static REAL NAME_logistic(REAL x) { return 1 / (1 + NAME_exp(-x)); }

/* exp(x) - 1 for |x| <= EXPM1_IS_EXP. */
static REAL NAME_expm1_near(REAL x) {
    REAL n, r, power;
    r = NAME_reduce(x, &n);
    power = NAME_ldexp(1, n);
    return power * NAME_exp_rest(r) + (power * r + (power - 1));
}

/* exp(x) - 1 for x <= 0. */
static REAL NAME_expm1_negative(REAL x) {
    return NAME_expm1_near(x < -EXPM1_IS_EXP ? -EXPM1_IS_EXP : x);
}

static REAL NAME_expm1(REAL x) {
    const REAL root = NAME_exp(x / 2);
    REAL t = x > EXPM1_IS_EXP ? EXPM1_IS_EXP : x;
    t = NAME_expm1_near(t < -EXPM1_IS_EXP ? -EXPM1_IS_EXP : t);
    return x > EXPM1_IS_EXP ? root * root : NAME_copysign(t, x);
}

/* t / (t + 2) with t = exp(2 |x|) - 1, and the sign of x. */
static REAL NAME_tanh(REAL x) {
    REAL t = NAME_abs(x);
    t += t;
    t = NAME_expm1_near(t > EXPM1_IS_EXP ? EXPM1_IS_EXP : t);
    return NAME_copysign(t / (t + 2), x);
}

static REAL NAME_sinh(REAL x) {
    const REAL a = NAME_abs(x), root = NAME_exp(a / 2);
    REAL t = NAME_expm1_near(a > EXPM1_IS_EXP ? EXPM1_IS_EXP : a);
    t = (t + t / (t + 1)) / 2;
    return NAME_copysign(a > EXPM1_IS_EXP ? root / 2 * root : t, x);
}

static REAL NAME_cosh(REAL x) {
    const REAL a = NAME_abs(x), root = NAME_exp(a / 2);
    REAL t = NAME_exp(a > EXPM1_IS_EXP ? EXPM1_IS_EXP : a);
    t = (t + 1 / t) / 2;
    return a > EXPM1_IS_EXP ? root / 2 * root : t;
}

/* e log(2) + log(m) with x = m 2^e, sqrt(1/2) <= m < sqrt(2). */
static REAL NAME_log(REAL x) {
    const int is_small = x < SMALLEST;
    const WORD u = NAME_bits(is_small ? x * SCALE_UP : x) + (ONE_BITS - ROOT_HALF_BITS);
    const REAL e = (is_small ? SCALE_EXPONENT : 0) +
                   (NAME_number((u >> MANTISSA_BITS) | EXPONENT_BITS) - EXPONENT_OFFSET);
    const REAL f = NAME_number((u & MANTISSA_MASK) + ROOT_HALF_BITS) - 1;
    const REAL s = f / (f + 2), z = s * s;
    REAL p;
    p := LOG(z)
    p = f - s * (f - z * p) + e * LOG_2_LOW + e * LOG_2_HIGH;
    p = x > 0 ? p : NAME_number(x == 0 ? INFINITY_BITS | SIGN_BIT : NAN_BITS);
    return x < NAME_number(INFINITY_BITS) ? p : x;
}

/* log(u) + (x - (u - 1)) / u with u = 1 + x: the last term restores the error of u. */
static REAL NAME_log1p(REAL x) {
    const REAL u = 1 + x, lost = (x - (u - 1)) / u, infinity = NAME_number(INFINITY_BITS);
    REAL result = NAME_log(u);
    result = result + (u > 0 && u < infinity ? lost : 0);
    return x > -1 ? NAME_copysign(result, x) : result;
}

/* log(1 + exp(x)) */
static REAL NAME_softplus(REAL x) {
    return (x > 0 ? x : 0) + NAME_log1p(NAME_exp(-NAME_abs(x)));
}

/* x + x p(x^2) for |x| < 1, then 1 - exp(q(|x| - 1)), q = log(1 - erf). */
static REAL NAME_erf(REAL x) {
    const REAL a = NAME_abs(x), z = a > 1 ? 1 : a * a, s = (a > MOST_ERF ? MOST_ERF : a) - 1;
    REAL p, q;
    p := ERF_NEAR(z)
    q := LOG_ERFC(s)
    p = x * p + x;
    q = NAME_copysign(1 - NAME_exp(q), x);
    return a < 1 ? p : q;
}

/* The r of x = n pi / 2 + r, |r| <= pi / 4, for |x| <= 2^30; *turns has the last bits of n. */
static double NAME_quarter_turns(double x, uint64_t *turns) {
    const double n = x * 0.6366197723675814 + 6755399441055744.0;
    const double k = n - 6755399441055744.0;
    double r = x - k * 1.5707963267341256;
    memcpy(turns, &n, sizeof n);
    r = r - k * 6.077100506303966e-11;
    return r - k * 2.0222662487959506e-21;
}

/* sin(x + turns pi / 2); NaN for |x| > 2^30. */
static REAL NAME_sine(REAL x, unsigned turns) {
    uint64_t quarter;
    const REAL r = (REAL)NAME_quarter_turns((double)x, &quarter), z = r * r;
    REAL s, c;
    s := SINE(z)
    c := COSINE(z)
    s = NAME_copysign((s * z) * r + r, r);
    c = (c * z) * z + (1 - z / 2);
    quarter += turns;
    s = quarter & 1 ? c : s;
    s = quarter & 2 ? -s : s;
    return NAME_abs(x) <= 1073741824 ? s : NAME_number(NAN_BITS);
}

static REAL NAME_sin(REAL x) { return NAME_sine(x, 0); }

static REAL NAME_cos(REAL x) { return NAME_sine(x, 1); }

/* Three or four steps of Heron from a guess by the bits, within 1 ULP. */
static REAL NAME_sqrt(REAL x) {
    const int is_small = x < SMALLEST;
    const REAL a = is_small ? x * ROOT_SCALE_UP : x;
    REAL y = NAME_number((NAME_bits(a) >> 1) + ROOT_OFFSET);
    int k;
    for (k = 0; k < ROOT_STEPS; k++) y = (y + a / y) / 2;
    y = is_small ? y * ROOT_SCALE_DOWN : y;
    y = x < NAME_number(INFINITY_BITS) ? y : x;
    return x > 0 ? y : x == 0 ? x : NAME_number(NAN_BITS);
}

/* The root of the sum of m squares, divided by n. In units of the largest number, whose square need
   not be a number. */
static REAL NAME_root_of_squares(const REAL *a, int m, int n) {
    REAL unit = 0, sum = 0;
    int k;
    for (k = 0; k < m; k++) unit = NAME_abs(a[k]) > unit ? NAME_abs(a[k]) : unit;
    unit = unit > 0 ? unit : 1;
    for (k = 0; k < m; k++) sum += (a[k] / unit) * (a[k] / unit);
    return unit * NAME_sqrt(sum / (REAL)n);
}

/* The largest whole number that is not above x. */
static REAL NAME_floor(REAL x) {
    const REAL a = NAME_abs(x);
    const REAL near = NAME_copysign((a + WHOLE) - WHOLE, x);
    return a < WHOLE ? near > x ? near - 1 : near : x;
}

/* exp(y log|x|), and the sign of x where y is odd; NaN for x < 0 unless y is a whole number. */
static REAL NAME_power(REAL x, REAL y) {
    const REAL whole = NAME_floor(y), even = NAME_floor(y / 2);
    REAL size = NAME_exp(y * NAME_log(NAME_abs(x))), negative;
    size = y == 0 ? 1 : size;
    size = x == 1 ? 1 : size;
    negative = even + even == y ? size : -size;
    negative = whole == y ? negative : NAME_number(NAN_BITS);
    return x < 0 ? negative : size;
}

static REAL NAME_sign(REAL x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

/* NaN of either side stays NaN. */
static REAL NAME_maximum(REAL x, REAL y) { return x != x ? x : x > y ? x : y; }

static REAL NAME_minimum(REAL x, REAL y) { return x != x ? x : x < y ? x : y; }

/* The softmax of n numbers; out may be z. */
static void NAME_softmax(const REAL *z, REAL *out, int n) {
    REAL top = z[0], sum = 0;
    int j;
    for (j = 1; j < n; j++) top = z[j] > top ? z[j] : top;
    for (j = 0; j < n; j++) out[j] = NAME_exp(z[j] - top);
    for (j = 0; j < n; j++) sum += out[j];
    sum = 1 / sum;
    for (j = 0; j < n; j++) out[j] *= sum;
}

/* The index of the largest of n numbers, the first of equal ones. */
static int NAME_largest(const REAL *p, int n) {
    int j, best = 0;
    for (j = 1; j < n; j++)
        if (p[j] > p[best]) best = j;
    return best;
}
"""

ALL = {
    re.search(r"static \w+ NAME_(\w+)\(", part)[1]: part.strip()  # type: ignore[index]
    for part in TEXT.split("\n\n")
}


def functions(text: str, real: str) -> str:
    """The functions that a text calls, with all that they call, for 'float' or 'double'."""
    needed = set(_called(text))
    for name in reversed(ALL):
        if name in needed:
            needed.update(_called(ALL[name]))
    return "\n\n".join(for_type(part, real) for name, part in ALL.items() if name in needed)


def _called(text: str) -> Iterable[str]:
    """The functions of the table that a text names."""
    return [name for name in re.findall(r"\bNAME_(\w+)\b", text) if name in ALL]


def for_type(text: str, real: str) -> str:
    """The text with the type, the constants and the polynomials of 'float' or 'double'."""

    def polynomial(match: re.Match[str]) -> str:
        indent, to, name, argument = match.groups()
        return "\n".join(_horner(indent, to, name, argument, real))

    text = re.sub(r"^( *)(\w+) := (\w+)\((\w+)\)$", polynomial, text, flags=re.MULTILINE)
    constants = CONSTANTS[real]
    return re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda match: constants.get(match[0], match[0]), text)


def _horner(indent: str, to: str, name: str, argument: str, real: str) -> Iterable[str]:
    """The lines that evaluate a polynomial, the highest power first."""
    suffix = "f" if real == "float" else ""
    first, *others = POLYNOMIALS[real][name].split()
    yield f"{indent}{to} = {first}{suffix};"
    for number in others:
        sign = "-" if number.startswith("-") else "+"
        yield f"{indent}{to} = {to} * {argument} {sign} {number.lstrip('-')}{suffix};"
