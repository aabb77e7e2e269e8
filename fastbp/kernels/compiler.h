/* What the compiler has, asked in one place: the same question twice could be answered in two ways. */
#ifndef FASTBP_COMPILER_H
#define FASTBP_COMPILER_H

/* Whether multiply and add are one instruction: the bits of all sums depend on it. */
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define fastbp_fma 1
#else
#define fastbp_fma 0
#endif

/* Whether there are vectors, built-in functions and assembly as in GCC. clang-cl has them, too, but
   defines __clang__ only. */
#if defined(__GNUC__) || defined(__clang__)
#define fastbp_gnu 1
#else
#define fastbp_gnu 0
#endif

/* sum + a b, rounded once where that is one instruction. */
#if fastbp_fma && fastbp_gnu
static inline float fastbp_add_product_f(float sum, float a, float b) {
    return __builtin_fmaf(a, b, sum);
}
static inline double fastbp_add_product_d(double sum, double a, double b) {
    return __builtin_fma(a, b, sum);
}
#else
static inline float fastbp_add_product_f(float sum, float a, float b) { return sum + a * b; }
static inline double fastbp_add_product_d(double sum, double a, double b) { return sum + a * b; }
#endif

#endif
