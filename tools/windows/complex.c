/* Complex functions that Wine's C library lacks, by those of MinGW, for tests of Windows' wheels of NumPy
   there (tools/cross.py). Long doubles are doubles on Windows, and complex numbers are structures. */
#include <complex.h>

typedef struct { double re, im; } Complex;
typedef struct { float re, im; } Complexf;

#define FROM(z) __builtin_complex((z).re, (z).im)
#define TO(type, value)                  \
    __typeof__(value) found = value;     \
    return (type){__real__ found, __imag__ found};

#define OF_ONE(name)                                                 \
    Complex our_##name(Complex z) { TO(Complex, name(FROM(z))) }     \
    Complex our_##name##l(Complex z) { TO(Complex, name(FROM(z))) }  \
    Complexf our_##name##f(Complexf z) { TO(Complexf, name##f(FROM(z))) }
OF_ONE(cexp)
OF_ONE(clog)
OF_ONE(csin)
OF_ONE(ccos)
OF_ONE(ctan)
OF_ONE(csinh)
OF_ONE(ccosh)
OF_ONE(ctanh)
OF_ONE(csqrt)
OF_ONE(catan)

Complex our_cpow(Complex x, Complex y) { TO(Complex, cpow(FROM(x), FROM(y))) }
Complex our_cpowl(Complex x, Complex y) { TO(Complex, cpow(FROM(x), FROM(y))) }
Complexf our_cpowf(Complexf x, Complexf y) { TO(Complexf, cpowf(FROM(x), FROM(y))) }

#define REAL_OF(name)                                       \
    double our_##name(Complex z) { return name(FROM(z)); }  \
    double our_##name##l(Complex z) { return name(FROM(z)); } \
    float our_##name##f(Complexf z) { return name##f(FROM(z)); }
REAL_OF(cabs)
REAL_OF(carg)
REAL_OF(creal)
REAL_OF(cimag)
