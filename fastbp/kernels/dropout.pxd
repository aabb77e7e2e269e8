"""Dropout: units of a layer are dropped at random, each row anew (Srivastava et al., 2014).

The mask is a function of seed, layer, number of the sample and unit. So it is the same in any
block and team, nothing has to be stored, and a fit that is continued goes on with it. Two rounds of
a hash for two units at once are several times as fast as a generator of the Philox kind.
"""

from cython cimport floating
from libc.stdint cimport int32_t, uint32_t, uint64_t

from fastbp.kernels.activations cimport slope_backward

cdef enum:
    WORDS = 256             # that are hashed before they are used


cdef struct Dropout:
    # Of the input and of each hidden layer, in steps of 2^-16; NULL: no unit is dropped.
    const uint32_t* thresholds
    uint64_t seed
    uint64_t seen           # samples before the epoch


cdef inline uint64_t mix64(uint64_t x) noexcept nogil:
    """The finalizer of SplitMix64."""
    x = (x ^ (x >> 30)) * <uint64_t>0xbf58476d1ce4e5b9ULL
    x = (x ^ (x >> 27)) * <uint64_t>0x94d049bb133111ebULL
    return x ^ (x >> 31)


cdef inline uint32_t mix32(uint32_t x) noexcept nogil:
    """A hash of 32 bits: two multiplications between three shifts."""
    x = (x ^ (x >> 16)) * <uint32_t>0x7feb352dU
    x = (x ^ (x >> 15)) * <uint32_t>0x846ca68bU
    return x ^ (x >> 16)


cdef inline uint64_t row_key(uint64_t seed, Py_ssize_t layer, uint64_t sample) noexcept nogil:
    """What the units of a row are hashed with."""
    return mix64(seed + <uint64_t>layer * <uint64_t>0x9e3779b97f4a7c15ULL + mix64(sample))


cdef inline void hash_units(uint32_t* words, int first, int n, uint64_t key) noexcept nogil:
    """The bits of the units first..first + n, and of their partners: 16 for each of both."""
    cdef int j
    cdef uint32_t step = 0x9e3779b9U, high = <uint32_t>(key >> 32)
    cdef uint32_t x = <uint32_t>key + <uint32_t>first * step  # of unit j: key + j step
    for j in range(n):
        words[j] = mix32(mix32(x) ^ high)
        x += step


cdef inline void drop(floating* a, const uint32_t* words, int n, int shift, int32_t threshold,
                      floating scale) noexcept nogil:
    """a := a scale, or 0 where 16 bits of its word are below the threshold. NaN stays NaN."""
    cdef int j
    cdef floating zero = 0
    for j in range(n):
        a[j] *= scale if <int32_t>((words[j] >> shift) & 0xffff) >= threshold else zero


cdef inline void drop_row(floating* a, floating* s, Py_ssize_t n, uint64_t key, int32_t threshold,
                          floating scale) noexcept nogil:
    """Drop n units of a row, and their slopes unless s is NULL.

    The partner of unit j is unit j + ceil(n / 2). A loop that hashes and one that multiplies are
    faster than one that does both.
    """
    cdef uint32_t words[WORDS]
    cdef Py_ssize_t k, first, half = (n + 1) // 2
    cdef int n_low, n_high
    for k in range((half + WORDS - 1) // WORDS):
        first = k * WORDS
        n_low = <int>min(<Py_ssize_t>WORDS, half - first)
        n_high = <int>min(<Py_ssize_t>WORDS, n - half - first)
        hash_units(words, <int>first, n_low, key)
        drop(a + first, words, n_low, 0, threshold, scale)
        drop(a + half + first, words, n_high, 16, threshold, scale)
        if s != NULL:
            drop(s + first, words, n_low, 0, threshold, scale)
            drop(s + half + first, words, n_high, 16, threshold, scale)


cdef inline double dropout_scale(const Dropout* dropout, Py_ssize_t layer) noexcept nogil:
    """1 / (1 - q): by it the units that remain are multiplied."""
    return 65536. / (65536 - dropout.thresholds[layer])


cdef inline void dropout_forward(floating* a_bn, floating* s_bn, Py_ssize_t B, Py_ssize_t n,
                                 const Dropout* dropout, Py_ssize_t layer,
                                 Py_ssize_t first) noexcept nogil:
    """a := a m / (1 - q), and so the slopes s unless NULL, where m is 0 at the rate q, else 1.

    For B rows of n units, from sample `first` of the epoch on. Layer 0 is the input.
    """
    cdef Py_ssize_t r
    cdef uint64_t key
    cdef floating scale = dropout_scale(dropout, layer)
    for r in range(B):
        key = row_key(dropout.seed, layer, dropout.seen + <uint64_t>(first + r))
        drop_row(a_bn + r * n, s_bn + r * n if s_bn != NULL else s_bn, n, key,
                 <int32_t>dropout.thresholds[layer], scale)


cdef inline void dropout_backward(floating* delta, const floating* s, Py_ssize_t n) noexcept nogil:
    """delta := delta s, with s = f'(z) m / (1 - q): slopes that were dropped as the units were."""
    slope_backward(delta, s, n)


cdef inline void relu_dropout_backward(floating* delta, const floating* a, Py_ssize_t n,
                                       floating scale) noexcept nogil:
    """The same from a = max(z, 0) m / (1 - q) alone: no unit that is not 0 was dropped."""
    cdef Py_ssize_t i
    for i in range(n):
        delta[i] = 0 if a[i] == 0 else delta[i] * scale
