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

#endif
