"""The affine map z = a w + b and its backward, for dense rows and for CSR rows.

Shape letters: B rows of the batch, I fan-in, O fan-out. `scratch` is that of the products, see
matmul.pxd. A CSR row r of the batch is the data's row order[r]; its indices may be unsorted and may
repeat (repeated entries add up). The caller's other threads may write indices meanwhile: each is
read once and compared, and an entry outside of the columns is left out.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

from fastbp.kernels.matmul cimport matmul_nn, matmul_nt, matmul_tn, outer

cdef extern from * nogil:
    """
    /* Volatile, so that the number that is compared is the one that is used. */
    static inline Py_ssize_t fastbp_column(const int32_t *index) {
        return *(const volatile int32_t *)index;
    }
    """
    Py_ssize_t fastbp_column(const int32_t* index)


cdef inline void affine_forward(floating* z_bo, const floating* a_bi, const floating* w_io,
                                const floating* packed, const floating* b_o, Py_ssize_t B,
                                Py_ssize_t I, Py_ssize_t O, bint zeros, bint follows,
                                floating* scratch) noexcept nogil:
    """z := a w + b.

    packed: w as `pack_rows` leaves it, or NULL. zeros: whether a has many, and w is finite.
    follows: whether a goes on with B rows that come next.
    """
    matmul_nn(z_bo, a_bi, w_io, packed, B, O, I, b_o, zeros, follows, scratch)


cdef inline void affine_forward_transposed(floating* z_bo, const floating* a_bi,
                                           const floating* w_oi, const floating* b_o,
                                           Py_ssize_t B, Py_ssize_t I, Py_ssize_t O,
                                           floating* scratch) noexcept nogil:
    """z := a w^T + b."""
    matmul_nt(z_bo, a_bi, w_oi, B, O, I, b_o, scratch)


cdef inline void affine_backward_rows(floating* da_bi, const floating* delta_bo,
                                      const floating* w_io, Py_ssize_t B, Py_ssize_t I,
                                      Py_ssize_t O, floating* scratch) noexcept nogil:
    """da := delta w^T."""
    matmul_nt(da_bi, delta_bo, w_io, B, I, O, NULL, scratch)


cdef inline void affine_backward_weights(floating* dw_io, const floating* a_bi, Py_ssize_t fan_in,
                                         const floating* delta_bo, const floating* packed,
                                         Py_ssize_t B, Py_ssize_t I, Py_ssize_t O, bint zeros,
                                         floating* scratch) noexcept nogil:
    """dw := a^T delta, for I of the fan_in columns of a.

    packed: delta as `pack_rows` leaves it, or NULL. zeros: whether a has many, and delta is finite.
    """
    if B > 1:
        matmul_tn(dw_io, a_bi, fan_in, delta_bo, packed, I, O, B, False, zeros, scratch)
    else:
        outer(dw_io, a_bi, delta_bo, I, O)


cdef inline void affine_backward_bias(floating* db_o, const floating* delta_bo, Py_ssize_t B,
                                      Py_ssize_t O) noexcept nogil:
    """db := 1^T delta."""
    cdef Py_ssize_t r, o
    memset(db_o, 0, O * sizeof(floating))
    for r in range(B):
        for o in range(O):
            db_o[o] += delta_bo[r * O + o]


cdef inline void affine_forward_csr(floating* z_bo, const floating* data, const int32_t* indices,
                                    const int64_t* indptr, const Py_ssize_t* order,
                                    Py_ssize_t first, const floating* w_io, const floating* b_o,
                                    Py_ssize_t B, Py_ssize_t I, Py_ssize_t O) noexcept nogil:
    """z := a w + b for CSR rows order[0..B), or first..first + B without an order."""
    cdef Py_ssize_t r, row, entry, column, o
    cdef floating value
    cdef const floating* w_o
    cdef floating* z_o
    for r in range(B):
        row = order[r] if order != NULL else first + r
        z_o = z_bo + r * O
        memcpy(z_o, b_o, O * sizeof(floating))
        for entry in range(indptr[row], indptr[row + 1]):
            column = fastbp_column(indices + entry)
            if 0 <= column < I:
                value = data[entry]
                w_o = w_io + column * O
                for o in range(O):
                    z_o[o] += value * w_o[o]


cdef inline void affine_backward_weights_csr(
        floating* dw_io, const floating* data, const int32_t* indices, const int64_t* indptr,
        const Py_ssize_t* order, Py_ssize_t first, const floating* delta_bo, Py_ssize_t B,
        Py_ssize_t O, Py_ssize_t top, Py_ssize_t end, uint64_t* held) noexcept nogil:
    """dw := a^T delta for CSR rows, in the rows top..end of dw.

    held: NULL, or numbers whose first bit becomes 1 for rows of dw that have entries; no others are
    written.
    """
    cdef Py_ssize_t r, row, entry, column, o
    cdef floating value
    cdef floating* dw_o
    cdef const floating* delta_o
    if held == NULL:
        memset(dw_io + top * O, 0, (end - top) * O * sizeof(floating))
    for r in range(B):
        row = order[r] if order != NULL else first + r
        delta_o = delta_bo + r * O
        for entry in range(indptr[row], indptr[row + 1]):
            column = fastbp_column(indices + entry)
            if top <= column < end:
                value = data[entry]
                dw_o = dw_io + column * O
                if held != NULL and not held[column] & 1:
                    memset(dw_o, 0, O * sizeof(floating))
                    held[column] |= 1
                for o in range(O):
                    dw_o[o] += value * delta_o[o]
