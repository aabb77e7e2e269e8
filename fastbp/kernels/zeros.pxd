"""Zeros of X: whether the first layer's products should leave them out.

A tile of the products takes several rows of X at once (forward), or several columns (gradient). It
leaves out the places where all of them are zero. That pays where such places are many.
"""

from cython cimport floating

from fastbp.kernels.finite cimport all_finite
from fastbp.kernels.walk cimport Walk

cdef extern from "gemm.h" nogil:
    const int gemm_tile_rows

cdef enum:
    SAMPLED_TILES = 16      # of rows that are looked at
    ROWS_OF_A_TILE = 64     # of X for each of them: the look takes 2 % of a pass, at most
    # In percent: places that are left, at most. Measured on AVX2 (benchmarks/zeros.py): from 75 on,
    # or 50 in a narrow layer, the loop over lists takes as long as the full one.
    MOST_PLACES = 65
    MOST_PLACES_NARROW = 40
    NARROW = 32             # a layer of fewer units, whose products hide less of the lists


cdef inline bint has_any(const floating* x, Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    """Whether one of n numbers, so far apart, is not zero."""
    cdef Py_ssize_t i
    cdef bint found = False
    for i in range(n):
        found |= x[i * step] != 0
    return found


cdef inline void look_for_zeros(Walk* walk, const floating* _) noexcept nogil:
    """Decide from a sample of the dense rows; before an order is bound.

    The rows of a tile are taken from all over X, since an order may bring any rows together.
    """
    cdef const floating* x = <const floating*>walk.x
    cdef Py_ssize_t T = gemm_tile_rows, n = walk.features, tiles, apart, t, r, i
    cdef Py_ssize_t in_rows = 0, in_columns = 0, groups, most = MOST_PLACES
    tiles = min(walk.samples // ROWS_OF_A_TILE, SAMPLED_TILES)
    if walk.indptr != NULL or T == 0 or tiles == 0:
        return
    if walk.plan.fan_out < NARROW:
        most = MOST_PLACES_NARROW
    apart = walk.samples // T
    groups = n // T
    for t in range(tiles):
        for i in range(n):
            in_rows += has_any(x + t * (apart // tiles) * n + i, T, apart * n)
        for r in range(T):
            for i in range(groups):
                in_columns += has_any(x + (t * (apart // tiles) + r * apart) * n + i * T, T, 1)
    walk.zeros_in_rows = 100 * in_rows <= most * tiles * n
    walk.zeros_in_columns = groups > 0 and 100 * in_columns <= most * tiles * T * groups


cdef inline void keep_if_finite(Walk* walk, const floating* params) noexcept nogil:
    """Leave nothing out if weights of the first layer are not finite: 0 times infinity is NaN.

    Later in an epoch they may overflow. They stay so until its end, where it is noticed.
    """
    if walk.zeros_in_rows:
        walk.zeros_in_rows = all_finite(params + walk.plan.weight,
                                        walk.plan.fan_in * walk.plan.fan_out)
