"""Zeros of X: whether the first layer's products should leave them out.

A tile of the products takes several rows of X at once (forward), or several columns (gradient). It
leaves out the places where all of them are zero. That pays where such places are many.
"""

from cython cimport floating

from fastbp.kernels.finite cimport all_finite
from fastbp.kernels.matmul cimport matmul_native
from fastbp.kernels.walk cimport Walk

cdef extern from "gemm.h" nogil:
    const int gemm_tile_rows

cdef enum:
    SAMPLED_TILES = 16      # that are looked at
    ROWS_OF_A_TILE = 128    # of X for each of them, so that the look costs little
    # In percent: places that are left, at most. On AVX2 the loop over lists took as long as the
    # full one from 60 to 85 on, and from 30 to 60 on in a narrow layer (benchmarks/zeros.py).
    MOST_PLACES = 65
    MOST_PLACES_NARROW = 40
    NARROW = 32             # a layer of fewer units, whose products hide less of the lists
    LONG_ROW = 64           # a single row with fewer features is not looked at


cdef inline Py_ssize_t column_of(const Walk* walk, Py_ssize_t i) noexcept nogil:
    """The column of x of feature i, of those that are no codes."""
    if walk.codes.n and i >= walk.codes.first[0]:
        i += walk.codes.first[walk.codes.n] - walk.codes.first[0]
    return i


cdef inline void look_for_zeros(Walk* walk, const floating* _) noexcept nogil:
    """Decide from a sample of the dense rows; before an order is bound.

    The rows of a tile are taken from all over X, since an order may bring any rows together. Of
    columns, the tiles of one of the rows are looked at.
    """
    cdef Py_ssize_t n = walk.features, length = walk.row_length
    cdef Py_ssize_t height = gemm_tile_rows, groups, tiles, apart, t, i
    cdef int r, found, in_rows = 0, in_columns = 0, most = MOST_PLACES
    cdef const floating* x
    tiles = min(walk.samples // ROWS_OF_A_TILE, SAMPLED_TILES)
    if not matmul_native or walk.indptr != NULL or height == 0 or tiles == 0:
        return
    if walk.plan.fan_out < NARROW:
        most = MOST_PLACES_NARROW
    apart, groups = walk.samples // height, n // height
    for t in range(tiles):
        x = <const floating*>walk.x + t * (apart // tiles) * length
        for i in range(n):
            found = 0
            for r in range(gemm_tile_rows):
                found |= x[r * apart * length + column_of(walk, i)] != 0
            in_rows += found
        for i in range(groups):
            found = 0
            for r in range(gemm_tile_rows):
                found |= x[column_of(walk, i * gemm_tile_rows + r)] != 0
            in_columns += found
    walk.zeros_in_rows = <Py_ssize_t>100 * in_rows <= most * tiles * n
    walk.zeros_in_columns = groups > 0 and <Py_ssize_t>100 * in_columns <= most * tiles * groups


cdef inline void keep_if_finite(Walk* walk, const floating* params) noexcept nogil:
    """Leave nothing out if weights of the first layer are not finite: 0 times infinity is NaN."""
    if walk.zeros_in_rows:
        walk.zeros_in_rows = all_finite(params + walk.plan.weight,
                                        walk.plan.fan_in * walk.plan.fan_out)


cdef inline void decide_on_zeros(Walk* walk, const floating* params) noexcept nogil:
    """Both, where there is no order."""
    look_for_zeros(walk, params)
    keep_if_finite(walk, params)


cdef inline bint may_leave_out(const Walk* walk, const floating* params) noexcept nogil:
    """Whether single rows are worth a look at their zeros. Decided once for a model."""
    return (matmul_native and gemm_tile_rows != 0 and walk.plan.fan_in >= LONG_ROW
            and all_finite(params + walk.plan.weight, walk.plan.fan_in * walk.plan.fan_out))


cdef inline bint has_many_zeros(const Walk* walk, const floating* x) noexcept nogil:
    """Whether the products with the zeros of a single row are left out."""
    cdef Py_ssize_t i
    cdef int found = 0, most = MOST_PLACES
    if walk.plan.fan_out < NARROW:
        most = MOST_PLACES_NARROW
    for i in range(walk.plan.fan_in):
        found += x[i] != 0
    return <Py_ssize_t>100 * found <= most * <Py_ssize_t>walk.plan.fan_in
