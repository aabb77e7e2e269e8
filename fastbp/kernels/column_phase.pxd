"""The column phase: slices of the weights, their gradient over all rows and a step by it."""

from cython cimport floating
from libc cimport math
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from fastbp.kernels.affine cimport (
    affine_backward_bias,
    affine_backward_weights,
    affine_backward_weights_csr,
)
from fastbp.kernels.optimizers cimport (
    Step,
    corrected_rate,
    objective_gradient,
    rule_rows,
    sum_of_squares,
    whole_step,
)
from fastbp.kernels.scratch cimport batch_input, layer_rows, own_products, slice_rows
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "team.h" nogil:
    void team_own(const void* memory, Py_ssize_t bytes)
    int team_barrier(int32_t* words, int size)

cdef enum:          # parts of a column phase
    DERIVE = 1      # computes the gradient of each slice
    STEP = 2        # steps the slice by its gradient
    FINISH = 4      # scales the gradient into that of the objective
    ADD = 8         # with DERIVE: adds to the gradient of the chunks before
    LEAVE = 16      # first copies the slice from the origin
    MEASURE = 32    # with FINISH: notes the square of the gradient's norm


cdef inline void copy_origin(const Walk* walk, floating* params, Py_ssize_t offset,
                             Py_ssize_t n) noexcept nogil:
    """Copy n parameters and their state from the origin, right before their first step."""
    cdef Py_ssize_t row, at
    memcpy(params + offset, <const floating*>walk.origin_params + offset, n * sizeof(floating))
    for row in range(rule_rows(&walk.rule)):
        at = row * walk.size_params + offset
        memcpy(<floating*>walk.state + at, <const floating*>walk.origin_state + at,
               n * sizeof(floating))


cdef inline double use_gradient(const Walk* walk, floating* params, floating* dw,
                                Py_ssize_t offset, Py_ssize_t n, int parts,
                                const Step* step) noexcept nogil:
    """Step n parameters by their gradient, or scale it into that of the objective.

    Returns the square of its norm, if that is measured.
    """
    if parts & STEP:
        whole_step(params + offset, dw, <floating*>walk.state + offset, walk.size_params, n,
                   &walk.rule, step)
    elif parts & FINISH:
        objective_gradient(dw, params + offset, n, step)
    return sum_of_squares(dw, n) if parts & MEASURE else 0


cdef inline bint is_mine(const Walk* walk, Py_ssize_t before) noexcept nogil:
    """Whether the slice behind `before` weights is this rank's."""
    return walk.size == 1 or before * walk.size // walk.size_params == walk.rank


cdef inline void derive_csr(const Walk* walk, const floating* params, Py_ssize_t first,
                            Py_ssize_t rows, bint add) noexcept nogil:
    """The gradient of this rank's slices of the first layer, in one pass over the CSR rows.

    The slices are neighbours, although columns may be sorted by their number of entries: dealt out
    in turn they took up to twice as long.
    """
    cdef const Layer* layer = walk.plan
    cdef Py_ssize_t k, O = layer.fan_out, step = slice_rows(layer), top = layer.fan_in, end = 0
    for k in range((layer.fan_in + step - 1) // step):
        if is_mine(walk, k * step * O):
            top = min(top, k * step)
            end = min((k + 1) * step, layer.fan_in)
    if end > 0:
        affine_backward_weights_csr(
            <floating*>walk.grads + layer.weight, <const floating*>walk.x, walk.indices,
            walk.indptr, walk.order + first if walk.order != NULL else NULL, first,
            layer_rows(walk, params, walk.deltas, layer, 0), rows, O, top, end, add)


cdef inline const floating* layer_input(const Walk* walk, const floating* params, Py_ssize_t l,
                                        Py_ssize_t first) noexcept nogil:
    """The dense rows that layer l multiplies by its weights; NULL for CSR rows."""
    if l > 0:
        return layer_rows(walk, params, walk.activations, walk.plan + l - 1, 0)
    return batch_input(walk, params, first) if walk.indptr == NULL else NULL


cdef inline void column_phase(const Walk* walk, floating* params, Py_ssize_t first,
                              Py_ssize_t rows, int parts, const Step* step) noexcept nogil:
    """Do the parts of a column phase for this rank's slices of all weights."""
    cdef Py_ssize_t l, k, i, n, O, height, offset, index = 0, before = 0
    cdef Step of_biases = Step(step.rate, 0, step.scale, 1, step.fresh)
    cdef const Layer* layer
    cdef const floating* a_bi
    cdef const floating* delta_bo
    cdef floating* dw_io = <floating*>walk.scratch + walk.slices + walk.rank * walk.slice_size
    cdef floating* dw_o = dw_io
    cdef floating* squares = <floating*>walk.scratch + walk.squares
    cdef floating* norms = <floating*>walk.scratch + walk.norms
    cdef double square
    cdef bint add = (parts & ADD) != 0
    if parts & DERIVE and walk.indptr != NULL:
        derive_csr(walk, <const floating*>params, first, rows, add)
    for l in range(walk.layers):
        layer = walk.plan + l
        O = layer.fan_out
        delta_bo = layer_rows(walk, params, walk.deltas, layer, 0)
        a_bi = layer_input(walk, params, l, first)
        height = slice_rows(layer)
        for k in range((layer.fan_in + height - 1) // height):
            i = k * height
            n = min(height, layer.fan_in - i)
            if is_mine(walk, before):
                offset = layer.weight + i * O
                if walk.grads != NULL:
                    dw_io = <floating*>walk.grads + offset
                    dw_o = <floating*>walk.grads + layer.bias
                if parts & STEP and walk.size > 1:
                    team_own(params + offset, n * O * sizeof(floating))
                if parts & DERIVE and a_bi != NULL:
                    affine_backward_weights(dw_io, a_bi + i, layer.fan_in, delta_bo, rows, n, O,
                                            add, own_products(walk, params))
                if parts & LEAVE:
                    copy_origin(walk, params, offset, n * O)
                    if i == 0:
                        copy_origin(walk, params, layer.bias, O)
                if step.alpha != 0 and parts & (STEP | FINISH):
                    squares[index] = <floating>sum_of_squares(params + offset, n * O)
                square = use_gradient(walk, params, dw_io, offset, n * O, parts, step)
                if i == 0:
                    if parts & DERIVE:
                        affine_backward_bias(dw_o, delta_bo, rows, O, add)
                    square += use_gradient(walk, params, dw_o, layer.bias, O, parts, &of_biases)
                if parts & MEASURE:
                    norms[index] = <floating>square
            before += n * O
            index += 1


cdef inline Step clipped(const Walk* walk, const floating* _, const Step* step) noexcept nogil:
    """The step by the gradient g clip_norm / |g|, by g itself where |g| is not larger.

    The norm is that of all slices, in their order. If it is not finite, neither is the step: a
    gradient that overflows is not hidden.
    """
    cdef const floating* norms = <const floating*>walk.scratch + walk.norms
    cdef double norm = 0, scale = 1
    cdef Py_ssize_t index
    for index in range(walk.n_slices):
        norm += norms[index]
    norm = math.sqrt(norm)
    if norm - norm != 0:
        scale = math.NAN
    elif norm > walk.rule.clip_norm:
        scale = walk.rule.clip_norm / norm
    return Step(step.rate, 0, scale, step.keep, step.fresh)


cdef inline bint step_columns(const Walk* walk, floating* params, Py_ssize_t first,
                              Py_ssize_t rows, bint leave, const Step* step) noexcept nogil:
    """The column phase of a step, from the origin if `leave`. False if the team was aborted."""
    cdef int parts = DERIVE | (LEAVE if leave else 0)
    cdef Step rest
    if walk.rule.clip_norm <= 0:
        column_phase(walk, params, first, rows, parts | STEP, step)
        return True
    column_phase(walk, params, first, rows, parts | FINISH | MEASURE, step)
    if not team_barrier(walk.words, walk.size):
        return False
    rest = clipped(walk, <const floating*>params, step)
    column_phase(walk, params, first, rows, STEP, &rest)
    return True


cdef inline double batch_weight(const Walk* walk, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """The sum of the samples' weights; their number without weights."""
    cdef double total = 0
    cdef Py_ssize_t r
    if walk.sample_weight == NULL:
        return rows
    for r in range(first, first + rows):
        total += walk.sample_weight[walk.order[r] if walk.order != NULL else r]
    return total


cdef inline Step next_step(const Walk* walk, Py_ssize_t done, double before,
                           double weight) noexcept nogil:
    """The next step, after `done` steps of this epoch and `before` of earlier ones.

    The decay of the weights has the scheduled rate, not Adam's corrected one.
    """
    cdef double rate = walk.rates[done * walk.rate_stride], number = before + done + 1
    cdef double fresh = 0
    if walk.rule.ema_decay > 0:
        fresh = 1 if number == 1 else 1 - walk.rule.ema_decay
    return Step(corrected_rate(&walk.rule, rate, number), walk.alpha, 1 / weight,
                1 - rate * walk.rule.weight_decay, fresh)


cdef inline double sum_losses(const Walk* walk, const floating* _, Py_ssize_t rows) noexcept nogil:
    """The sum of the batch's row losses, in the order of the rows."""
    cdef const floating* losses = <const floating*>walk.scratch + walk.losses
    cdef double total = 0
    cdef Py_ssize_t r
    for r in range(rows):
        total += losses[r]
    return total


cdef inline double penalty(const Walk* walk, const floating* _) noexcept nogil:
    """alpha / 2 * sum w^2, from the slices' sums."""
    cdef const floating* squares = <const floating*>walk.scratch + walk.squares
    cdef double total = 0
    cdef Py_ssize_t index
    if walk.alpha == 0:
        return 0
    for index in range(walk.n_slices):
        total += squares[index]
    return walk.alpha / 2 * total
