"""The row phase: blocks of rows through forward, loss and delta, by one rank."""

from cython cimport floating
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from fastbp.kernels.activations cimport (
    RELU,
    activation_backward,
    activation_forward,
    has_slope,
    slope_backward,
)
from fastbp.kernels.affine cimport (
    affine_backward_rows,
    affine_forward,
    affine_forward_csr,
    affine_forward_transposed,
)
from fastbp.kernels.affine_codes cimport Codes, affine_forward_codes, sums_of_bins
from fastbp.kernels.dropout cimport (
    dropout_backward,
    dropout_forward,
    dropout_scale,
    relu_dropout_backward,
)
from fastbp.kernels.losses cimport gather_targets, loss_delta
from fastbp.kernels.matmul cimport pack_rows
from fastbp.kernels.scratch cimport (
    batch_codes,
    batch_input,
    drops,
    drops_hidden,
    layer_rows,
    listed_block,
    own_others,
    own_products,
    own_registers,
    own_sums,
    packed_deltas,
    packed_weights,
)
from fastbp.kernels.tape cimport TAPES, fill_constants, tape_activation, tape_loss
from fastbp.kernels.walk cimport Layer, Walk
from fastbp.kernels.zeros cimport decide_on_zeros

cdef extern from "team.h" nogil:
    enum: team_stop, team_leave
    int team_read(const int32_t* words, int which)
    void team_write(int32_t* words, int which, int value)


cdef extern from * nogil:
    """
    #include <stdint.h>
    #include "compiler.h"
    #if fastbp_gnu
    /* Ask for the row that is read next: no processor foresees a random order. Of a long row only
       for its beginning: the rest is foreseen, and might be lost again before it is read. */
    static inline void fastbp_fetch(const void *memory, Py_ssize_t bytes) {
        const Py_ssize_t skew = (uintptr_t)memory % 64, end = skew + (bytes < 4096 ? bytes : 4096);
        const char *const line = (const char *)memory - skew;
        for (Py_ssize_t at = 0; at < end; at += 64) __builtin_prefetch(line + at);
        __asm__ volatile(""); /* GCC drops calls of functions that do nothing but fetch */
    }
    #else
    static inline void fastbp_fetch(const void *memory, Py_ssize_t bytes) {}
    #endif
    """
    void fetch "fastbp_fetch"(const void* memory, Py_ssize_t bytes)


cdef inline void fill_registers(const Walk* walk, const floating* params) noexcept nogil:
    """Write the constants of all tapes into this rank's registers: once, before its first rows."""
    fill_constants(&walk.program, own_registers(walk, params))


cdef inline void activate(const Walk* walk, const Layer* layer, floating* z, floating* s,
                          Py_ssize_t n) noexcept nogil:
    """a := f(z), and s := f'(z) where the backward needs it."""
    if layer.activation >= TAPES:
        tape_activation(&walk.program, layer.activation - TAPES, own_registers(walk, z), z,
                        s if walk.has_slopes_of_tapes else NULL, n)
    else:
        activation_forward(<int>layer.activation, z, s, n)


cdef inline void gather(const Walk* walk, floating* rows, Py_ssize_t first,
                        Py_ssize_t B) noexcept nogil:
    """Copy the dense rows of B samples from `first` on; units of the copies may be dropped."""
    cdef Py_ssize_t r, row, n = walk.features, before = n
    cdef const floating* x
    if walk.codes.n:
        before = walk.codes.first[0]
    for r in range(B):
        row = walk.order[first + r] if walk.order != NULL else first + r
        if r + 1 < B and walk.order != NULL:
            fetch(<const floating*>walk.x + walk.order[first + r + 1] * walk.row_length,
                  before * sizeof(floating))
        x = <const floating*>walk.x + row * walk.row_length
        memcpy(rows + r * n, x, before * sizeof(floating))
        if walk.codes.n:
            memcpy(rows + r * n + before, x + walk.codes.first[walk.codes.n],
                   (n - before) * sizeof(floating))
        if drops(walk, 0):  # while the row is in cache
            dropout_forward(rows + r * n, <floating*>NULL, 1, n, &walk.dropout, 0, first + r)


cdef inline void gather_codes(const Walk* walk, const Codes* batch, const floating* _,
                              Py_ssize_t first, Py_ssize_t B) noexcept nogil:
    """Copy the codes of B samples from `first` on."""
    cdef Py_ssize_t r, j, row, n = batch.n
    cdef int32_t* bins = <int32_t*>batch.bins
    cdef floating* shares = <floating*>batch.shares
    for r in range(B):
        row = walk.order[first + r] if walk.order != NULL else first + r
        for j in range(n):
            bins[j * batch.step + r] = walk.codes.bins[row * n + j]
            shares[j * batch.step + r] = (<const floating*>walk.codes.shares)[row * n + j]


cdef inline void drop_units(const Walk* walk, Py_ssize_t l, floating* a, floating* s,
                            Py_ssize_t first, Py_ssize_t B) noexcept nogil:
    """Drop units of the hidden layer l for B samples from `first` on, and so their slopes s.

    The relu needs no slopes: see its backward.
    """
    cdef const Layer* layer = walk.plan + l
    cdef Py_ssize_t i, n = B * layer.fan_out
    if layer.activation == RELU:
        s = NULL
    elif layer.activation < TAPES and not has_slope(<int>layer.activation):
        for i in range(n):
            s[i] = 1
        activation_backward(<int>layer.activation, s, a, s, n)
    dropout_forward(a, s, B, layer.fan_out, &walk.dropout, l + 1, first)


cdef inline bint goes_on(const Walk* walk, Py_ssize_t first, Py_ssize_t B) noexcept nogil:
    """Whether B rows of x that come next lie behind those from `first` on, in small blocks."""
    return walk.packed_weights >= 0 and not walk.gathers and first + 2 * B <= walk.samples


cdef inline void forward(const Walk* walk, const floating* params, Py_ssize_t first,
                         Py_ssize_t top, Py_ssize_t B, bint* finite) noexcept nogil:
    """All layers, for rows top..top + B of the batch that begins at sample `first`.

    `finite`, unless NULL, becomes False where x has NaN or infinity: they remain in every sum of
    their row, whatever the weights, so that the first unit is enough to look at. It also becomes
    False where the sum of a finite row overflows.
    """
    cdef Py_ssize_t l, r, fan_in
    cdef const Layer* layer
    cdef floating* z_bo
    cdef const floating* a_bi = NULL
    cdef const floating* w_io
    cdef floating* s_bo
    cdef Codes codes
    cdef bint zeros
    if walk.indptr == NULL:
        a_bi = batch_input(walk, params, first) + top * walk.features
        if walk.gathers:
            gather(walk, <floating*>a_bi, first + top, B)
    for l in range(walk.layers):
        layer = walk.plan + l
        z_bo = layer_rows(walk, params, walk.activations, layer, top)
        if a_bi == NULL:
            affine_forward_csr(z_bo, <const floating*>walk.x, walk.indices, walk.indptr,
                               walk.order + first + top if walk.order != NULL else NULL,
                               first + top, params + layer.weight, params + layer.bias,
                               B, layer.fan_in, layer.fan_out)
        elif walk.transposed != NULL and walk.transposed[l]:
            affine_forward_transposed(z_bo, a_bi, params + layer.weight, params + layer.bias, B,
                                      layer.fan_in, layer.fan_out, own_products(walk, params))
        else:
            w_io, fan_in = params + layer.weight, layer.fan_in
            if l == 0 and walk.codes.n:
                w_io, fan_in = own_others(walk, params), walk.features
            zeros = walk.zeros_in_rows and l == 0
            affine_forward(z_bo, a_bi, w_io, packed_weights(walk, params) if zeros else NULL,
                           params + layer.bias, B, fan_in, layer.fan_out, zeros,
                           zeros and goes_on(walk, first + top, B), own_products(walk, params))
            if l == 0 and walk.codes.n:
                codes = batch_codes(walk, params, top)
                gather_codes(walk, &codes, params, first + top, B)
                affine_forward_codes(z_bo, params + layer.weight, own_sums(walk, params), &codes,
                                     B, layer.fan_out)
        if finite != NULL and l == 0:
            for r in range(B):
                finite[0] &= z_bo[r * layer.fan_out] - z_bo[r * layer.fan_out] == 0
        s_bo = layer_rows(walk, params, walk.slopes, layer, top)
        activate(walk, layer, z_bo, s_bo, B * layer.fan_out)
        if drops_hidden(walk, l):
            drop_units(walk, l, z_bo, s_bo, first + top, B)
        a_bi = z_bo


cdef inline void times_slope(const Walk* walk, const Layer* layer, floating* delta, Py_ssize_t top,
                             Py_ssize_t B) noexcept nogil:
    """delta := delta f'(z), after the forward of rows top..top + B."""
    cdef floating* s = layer_rows(walk, delta, walk.slopes, layer, top)
    cdef const floating* a = layer_rows(walk, delta, walk.activations, layer, top)
    cdef Py_ssize_t n = B * layer.fan_out, l = layer - walk.plan
    if drops_hidden(walk, l):
        if layer.activation == RELU:
            relu_dropout_backward(delta, a, n, <floating>dropout_scale(&walk.dropout, l + 1))
        else:
            dropout_backward(delta, s, n)
    elif layer.activation >= TAPES:
        slope_backward(delta, s, n)
    else:
        activation_backward(<int>layer.activation, delta, a, s, n)


cdef inline void losses_and_deltas(const Walk* walk, floating* losses_b, floating* delta_bk,
                                   floating* z_bk, floating* scratch_bk, const floating* y,
                                   const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """The losses of B rows and their deltas; arguments as for loss_delta."""
    if walk.loss.kind >= TAPES:
        gather_targets(&walk.loss, delta_bk, y, order, B)
        tape_loss(&walk.program, walk.loss.kind - TAPES, own_registers(walk, z_bk), losses_b,
                  delta_bk, z_bk, B)
    else:
        loss_delta(&walk.loss, losses_b, delta_bk, z_bk, scratch_bk, y, order, B)


cdef inline void output_deltas(const Walk* walk, const floating* params, Py_ssize_t first,
                               Py_ssize_t top, Py_ssize_t B) noexcept nogil:
    """Row losses and the deltas of the raw predictions, which are overwritten."""
    cdef Py_ssize_t r, k, row
    cdef const Layer* layer = walk.plan + walk.layers - 1
    cdef Py_ssize_t K = layer.fan_out
    cdef floating* z_bk = layer_rows(walk, params, walk.activations, layer, top)
    cdef floating* delta_bk = layer_rows(walk, params, walk.deltas, layer, top)
    cdef floating* losses = <floating*>walk.scratch + walk.losses + top
    cdef const floating* y = <const floating*>walk.y
    cdef const Py_ssize_t* order = NULL
    cdef floating weight
    if walk.order != NULL:
        order = walk.order + first + top
    else:
        y += (first + top) * walk.loss.targets
    losses_and_deltas(walk, losses, delta_bk, z_bk,
                      <floating*>walk.scratch + walk.loss_scratch + top * K, y, order, B)
    if walk.sample_weight != NULL:
        for r in range(B):
            row = order[r] if order != NULL else first + top + r
            weight = walk.sample_weight[row]
            if weight == 0:  # a sample of weight 0 is absent, even where its loss is not finite
                losses[r] = 0
            else:
                losses[r] *= weight
            for k in range(K):
                delta_bk[r * K + k] = delta_bk[r * K + k] * weight if weight != 0 else 0


cdef inline void backward(const Walk* walk, const floating* params, Py_ssize_t top,
                          Py_ssize_t B) noexcept nogil:
    """The deltas of the hidden layers from those of the output, for rows top..top + B."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    cdef floating* delta_bi
    cdef floating* delta_bo = layer_rows(walk, params, walk.deltas, walk.plan + walk.layers - 1,
                                         top)
    for l in range(walk.layers - 1, 0, -1):
        layer = walk.plan + l
        delta_bi = layer_rows(walk, params, walk.deltas, layer - 1, top)
        affine_backward_rows(delta_bi, delta_bo, params + layer.weight, B, layer.fan_in,
                             layer.fan_out, own_products(walk, params))
        times_slope(walk, layer - 1, delta_bi, top, B)
        delta_bo = delta_bi


cdef inline void pack_deltas(const Walk* walk, const floating* params, Py_ssize_t top, Py_ssize_t B,
                             Py_ssize_t rows) noexcept nogil:
    """Pack the deltas of B rows of `rows` where all slices of a layer share them so."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    cdef floating* packed
    for l in range(walk.layers):
        layer = walk.plan + l
        packed = packed_deltas(walk, params, layer, rows)
        if packed != NULL:
            pack_rows(packed, layer_rows(walk, params, walk.deltas, layer, 0), layer.fan_out, rows,
                      top, B)


cdef inline void weights_of_codes(const Walk* walk, const floating* params) noexcept nogil:
    """What the forward of codes reads of the first weights: sums of bins, and other features."""
    cdef Py_ssize_t O = walk.plan.fan_out, begin = walk.codes.first[0] * O
    cdef Py_ssize_t end = walk.codes.first[walk.codes.n] * O
    cdef const floating* w = params + walk.plan.weight
    cdef floating* others = own_others(walk, params)
    sums_of_bins(own_sums(walk, params), w, &walk.codes, O)
    memcpy(others, w, begin * sizeof(floating))
    memcpy(others + begin, w + end, (walk.plan.fan_in * O - end) * sizeof(floating))


cdef inline void row_phase(const Walk* walk, const floating* params, Py_ssize_t first,
                           Py_ssize_t rows) noexcept nogil:
    """This rank's blocks of the batch: forward, loss, deltas. Left early when asked to stop."""
    cdef Py_ssize_t blocks = (rows + walk.block - 1) // walk.block
    cdef Py_ssize_t k, top, B
    if walk.codes.n:
        weights_of_codes(walk, params)
    for k in range(blocks * walk.rank // walk.size, blocks * (walk.rank + 1) // walk.size):
        if team_read(walk.words, team_stop):
            team_write(walk.words, team_leave, 1)
            return
        top = k * walk.block
        B = min(walk.block, rows - top)
        forward(walk, params, first, top, B, NULL)
        output_deltas(walk, params, first, top, B)
        backward(walk, params, top, B)
        pack_deltas(walk, params, top, B, rows)


cdef inline void begin_rows(Walk* walk, const floating* params) noexcept nogil:
    """Once before rows with which nothing is trained: zeros, packed weights, constants of tapes."""
    cdef const Layer* layer = walk.plan
    decide_on_zeros(walk, params)
    if not walk.zeros_in_rows:
        walk.packed_weights = -1
    if walk.packed_weights >= 0:
        walk.batch = walk.block = min(walk.batch, listed_block(walk))
        pack_rows(<floating*>packed_weights(walk, params), params + layer.weight, layer.fan_out,
                  layer.fan_in, 0, layer.fan_in)
    fill_registers(walk, params)


# ---- of all layers, for the doors that look inside


cdef inline floating* rows_of(const Walk* walk, floating* out, const Layer* layer,
                              Py_ssize_t first) noexcept nogil:
    """Row `first` of a layer in a flat array that has all samples of each layer."""
    return out + walk.samples * layer.output + first * layer.fan_out


cdef inline void copy_layers(const Walk* walk, Py_ssize_t region, floating* out,
                             Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """Copy the batch's activations or deltas to a flat array of all samples."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    for l in range(walk.layers):
        layer = walk.plan + l
        memcpy(rows_of(walk, out, layer, first), layer_rows(walk, out, region, layer, 0),
               rows * layer.fan_out * sizeof(floating))


cdef inline void copy_slopes(const Walk* walk, floating* out, Py_ssize_t first,
                             Py_ssize_t rows) noexcept nogil:
    """Write f'(z) of the batch into a flat array of all samples."""
    cdef Py_ssize_t l, i
    cdef const Layer* layer
    cdef floating* slopes
    for l in range(walk.layers):
        layer = walk.plan + l
        slopes = rows_of(walk, out, layer, first)
        for i in range(rows * layer.fan_out):
            slopes[i] = 1
        times_slope(walk, layer, slopes, 0, rows)
