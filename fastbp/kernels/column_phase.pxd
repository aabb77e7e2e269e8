"""The column phase: slices of the weights, their gradient over all rows and a step by it."""

from cython cimport floating
from libc cimport math
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy, memset

from fastbp.kernels.affine cimport (
    affine_backward_bias,
    affine_backward_weights,
    affine_backward_weights_csr,
)
from fastbp.kernels.affine_codes cimport Codes, affine_backward_weights_code
from fastbp.kernels.finite cimport all_finite
from fastbp.kernels.optimizers cimport (
    Step,
    corrected_rate,
    has_pass_step,
    objective_gradient,
    pass_step,
    rule_rows,
    sum_of_squares,
    whole_step,
)
from fastbp.kernels.scratch cimport (
    batch_codes,
    batch_input,
    held_columns,
    layer_rows,
    own_products,
    own_slice,
    own_sums,
    packed_deltas,
    slice_rows,
)
from fastbp.kernels.tree cimport join, join_held
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "team.h" nogil:
    enum: team_overflow
    void team_write(int32_t* words, int which, int value)
    void team_own(const void* memory, Py_ssize_t bytes)
    int team_barrier(int32_t* words, int size)

cdef struct Slice:          # rows of the weights of a layer
    const Layer* layer
    Py_ssize_t top          # its first row
    Py_ssize_t rows
    Py_ssize_t height       # rows of the layer's slices, but for the last one
    Py_ssize_t index        # among the slices of all layers
    Py_ssize_t before       # weights of the slices before it
    Py_ssize_t code         # whose columns it has; -1: none yet, the number of codes: none more


cdef inline Slice no_slice(const Walk* walk) noexcept nogil:
    """What is before the first slice."""
    return Slice(walk.plan, 0, 0, slice_rows(walk.plan), -1, 0, -1)


cdef inline bint is_mine(const Walk* walk, Py_ssize_t before) noexcept nogil:
    """Whether the slice behind `before` weights is this rank's."""
    return walk.size == 1 or before * walk.size // walk.size_params == walk.rank


cdef inline bint next_slice(const Walk* walk, Slice* slice) noexcept nogil:
    """Go to this rank's next slice; False if there is none."""
    while True:
        slice.index += 1
        slice.top += slice.rows
        slice.before += slice.rows * slice.layer.fan_out
        if slice.top == slice.layer.fan_in:
            slice.layer += 1
            if slice.layer == walk.plan + walk.layers:
                return False
            slice.top, slice.height, slice.code = 0, slice_rows(slice.layer), -1
        slice.rows = min(slice.height, slice.layer.fan_in - slice.top)
        if slice.layer == walk.plan and walk.codes.n:
            if slice.top < walk.codes.first[0]:
                slice.rows = min(slice.height, walk.codes.first[0] - slice.top)
            elif slice.code < walk.codes.n:
                slice.code += 1  # beyond the last one: other features
                if slice.code < walk.codes.n:
                    slice.rows = walk.codes.first[slice.code + 1] - slice.top
        if is_mine(walk, slice.before):
            return True


cdef inline Py_ssize_t weights_of(const Slice* slice) noexcept nogil:
    """Where the weights of a slice begin in the arena of parameters."""
    return slice.layer.weight + slice.top * slice.layer.fan_out


# ---- the gradient


cdef inline bint has_columns(const Walk* walk, Py_ssize_t* top, Py_ssize_t* end) noexcept nogil:
    """The columns of CSR rows whose weights are in this rank's slices, from top to end.

    The slices are neighbours, although columns may be sorted by their number of entries: dealt out
    in turn they took up to twice as long.
    """
    cdef Slice slice = no_slice(walk)
    top[0], end[0] = walk.plan.fan_in, 0
    while walk.indptr != NULL and next_slice(walk, &slice) and slice.layer == walk.plan:
        top[0] = min(top[0], slice.top)
        end[0] = slice.top + slice.rows
    return end[0] > 0


cdef inline void hold_columns(const Walk* walk, const floating* params) noexcept nogil:
    """All nodes there are hold this rank's columns of CSR rows."""
    cdef Py_ssize_t top, end
    if has_columns(walk, &top, &end):
        memset(held_columns(walk, params) + top, 0xff, (end - top) * sizeof(uint64_t))


cdef inline void fill_columns(const Walk* walk, floating* last, Py_ssize_t nodes) noexcept nogil:
    """Write the zeros of this rank's columns of CSR rows that so many nodes do not hold."""
    cdef Py_ssize_t column, top, end, node, O = walk.plan.fan_out
    cdef uint64_t* held = held_columns(walk, last)
    if not has_columns(walk, &top, &end):
        return
    for node in range(nodes):
        for column in range(top, end):
            if not held[column] >> node & 1:
                memset(last + walk.plan.weight + column * O, 0, O * sizeof(floating))
        last -= walk.size_params


cdef inline void derive_csr(const Walk* walk, const floating* params, Py_ssize_t first,
                            Py_ssize_t rows) noexcept nogil:
    """The gradient of this rank's slices of the first layer, in one pass over the CSR rows."""
    cdef Py_ssize_t column, top, end
    cdef uint64_t* held = held_columns(walk, params)
    if not has_columns(walk, &top, &end):
        return
    if held != NULL:
        for column in range(top, end):  # not yet by the new node
            held[column] <<= 1
    affine_backward_weights_csr(
        <floating*>walk.grads + walk.plan.weight, <const floating*>walk.x, walk.indices,
        walk.indptr, walk.order + first if walk.order != NULL else NULL, first,
        layer_rows(walk, params, walk.deltas, walk.plan, 0), rows, walk.plan.fan_out, top, end,
        held)


cdef inline bint leaves_out(const Walk* walk, const floating* params,
                            Py_ssize_t rows) noexcept nogil:
    """Whether products with the zeros of X are left out: for this batch all deltas are finite."""
    return walk.zeros_in_columns and all_finite(
        layer_rows(walk, params, walk.deltas, walk.plan, 0), rows * walk.plan.fan_out)


cdef inline void derive_weights(const Walk* walk, floating* dw_io, const Slice* slice,
                                Py_ssize_t first, Py_ssize_t rows,
                                bint zeros) noexcept nogil:
    """The gradient of the slice's weights over all rows of a batch, unless derive_csr had it.

    zeros: whether products with the zeros of X are left out.
    """
    cdef const Layer* layer = slice.layer
    cdef const floating* a_bi
    cdef Py_ssize_t fan_in = layer.fan_in, column = slice.top
    cdef Codes codes
    if 0 <= slice.code < walk.codes.n:
        codes = batch_codes(walk, dw_io, 0)
        affine_backward_weights_code(dw_io, &codes, slice.code,
                                     layer_rows(walk, dw_io, walk.deltas, layer, 0), rows,
                                     layer.fan_out, <int32_t*>own_sums(walk, dw_io))
        return
    if layer > walk.plan:
        a_bi = layer_rows(walk, dw_io, walk.activations, layer - 1, 0)
    elif walk.indptr == NULL:
        a_bi, fan_in = batch_input(walk, dw_io, first), walk.features
        if slice.code >= 0:  # behind the codes, which rows of the batch do not have
            column -= layer.fan_in - walk.features
    else:
        return
    affine_backward_weights(dw_io, a_bi + column, fan_in,
                            layer_rows(walk, dw_io, walk.deltas, layer, 0),
                            packed_deltas(walk, dw_io, layer, rows), rows, slice.rows,
                            layer.fan_out, zeros and layer == walk.plan,
                            own_products(walk, dw_io))


cdef inline void derive_bias(const Walk* walk, floating* db_o, const Layer* layer,
                             Py_ssize_t rows) noexcept nogil:
    """The gradient of a layer's bias over all rows of a batch."""
    affine_backward_bias(db_o, layer_rows(walk, db_o, walk.deltas, layer, 0), rows, layer.fan_out)


cdef inline void finish_slice(const Walk* walk, const floating* params, const Slice* slice,
                              const Step* step) noexcept nogil:
    """Scale the slice's gradient into that of the objective; note the squares of the weights."""
    cdef const Layer* layer = slice.layer
    cdef floating* grads = <floating*>walk.grads
    cdef Py_ssize_t offset = weights_of(slice)
    cdef Step of_bias = bias_step(step)
    if step.alpha != 0:
        (<floating*>walk.scratch + walk.squares)[slice.index] = <floating>sum_of_squares(
            params + offset, slice.rows * layer.fan_out)
    objective_gradient(grads + offset, params + offset, slice.rows * layer.fan_out, step)
    if slice.top == 0:
        objective_gradient(grads + layer.bias, params + layer.bias, layer.fan_out, &of_bias)


cdef inline void note_norm(const Walk* walk, const floating* _, const Slice* slice) noexcept nogil:
    """Note the square of the norm of the slice's gradient, for clipping."""
    cdef const floating* grads = <const floating*>walk.grads
    cdef double square = sum_of_squares(grads + weights_of(slice),
                                        slice.rows * slice.layer.fan_out)
    if slice.top == 0:
        square += sum_of_squares(grads + slice.layer.bias, slice.layer.fan_out)
    (<floating*>walk.scratch + walk.norms)[slice.index] = <floating>square


cdef inline void join_columns(const Walk* walk, const floating* params, const Slice* slice,
                              Py_ssize_t joins) noexcept nogil:
    """Join the gradient of columns of CSR rows to those of so many nodes before."""
    cdef uint64_t* held = held_columns(walk, params)
    cdef Py_ssize_t column, O = slice.layer.fan_out
    cdef floating* dw_io = <floating*>walk.grads + slice.layer.weight
    if joins == 0:
        return
    for column in range(slice.top, slice.top + slice.rows):
        join_held(dw_io + column * O, O, walk.size_params, joins, held + column)


cdef inline void derive_columns(const Walk* walk, const floating* params, Py_ssize_t first,
                                Py_ssize_t rows, Py_ssize_t joins) noexcept nogil:
    """The gradient of all slices of this rank, joined to those of so many nodes before.

    A gradient that is joined at once does not leave the cache.
    """
    cdef Slice slice = no_slice(walk)
    cdef const Layer* layer
    cdef floating* own = own_slice(walk, params)
    cdef floating* dw_io
    cdef floating* db_o
    cdef bint zeros = leaves_out(walk, params, rows)
    if walk.indptr != NULL:
        derive_csr(walk, params, first, rows)
    while next_slice(walk, &slice):
        layer = slice.layer
        dw_io = <floating*>walk.grads + weights_of(&slice)
        db_o = <floating*>walk.grads + layer.bias
        if layer == walk.plan and walk.indptr != NULL:
            join_columns(walk, params, &slice, joins)
        else:
            derive_weights(walk, own if joins else dw_io, &slice, first, rows, zeros)
            join(dw_io, own, slice.rows * layer.fan_out, walk.size_params, joins)
        if slice.top == 0:
            derive_bias(walk, own if joins else db_o, layer, rows)
            join(db_o, own, layer.fan_out, walk.size_params, joins)


cdef inline void add_nodes(floating* first, Py_ssize_t n, Py_ssize_t stride,
                           Py_ssize_t nodes) noexcept nogil:
    """Add so many nodes to the first one, from right to left.

    No zero of the sum is negative: which zero it is might depend on how the data is cut.
    """
    cdef Py_ssize_t i
    cdef floating* last = first + nodes * stride
    join(last, last, n, stride, nodes)
    for i in range(n):
        first[i] += 0


cdef inline void finish_columns(const Walk* walk, const floating* params, Py_ssize_t nodes,
                                const Step* step) noexcept nogil:
    """Add so many nodes to the first one, and scale it into the gradient of the objective.

    All slices of this rank.
    """
    cdef Slice slice = no_slice(walk)
    cdef floating* grads = <floating*>walk.grads
    while next_slice(walk, &slice):
        add_nodes(grads + weights_of(&slice), slice.rows * slice.layer.fan_out, walk.size_params,
                  nodes)
        if slice.top == 0:
            add_nodes(grads + slice.layer.bias, slice.layer.fan_out, walk.size_params, nodes)
        finish_slice(walk, params, &slice, step)


# ---- the step


cdef inline Step bias_step(const Step* step) noexcept nogil:
    """The step of biases, which neither penalty nor decay have."""
    return Step(step.rate, 0, step.scale, 1, step.fresh)


cdef inline void leave_origin(const Walk* walk, floating* params, Py_ssize_t offset,
                              Py_ssize_t n) noexcept nogil:
    """Copy n parameters and their state from the origin, right before their first step."""
    cdef Py_ssize_t row, at
    memcpy(params + offset, <const floating*>walk.origin_params + offset, n * sizeof(floating))
    for row in range(rule_rows(&walk.rule)):
        at = row * walk.size_params + offset
        memcpy(<floating*>walk.state + at, <const floating*>walk.origin_state + at,
               n * sizeof(floating))


cdef inline void leave_origin_of(const Walk* walk, floating* params,
                                 const Slice* slice) noexcept nogil:
    """The same for a slice and its bias."""
    leave_origin(walk, params, weights_of(slice), slice.rows * slice.layer.fan_out)
    if slice.top == 0:
        leave_origin(walk, params, slice.layer.bias, slice.layer.fan_out)


cdef inline void step_parameters(const Walk* walk, floating* params, floating* dw,
                                 Py_ssize_t offset, Py_ssize_t n, const Step* step) noexcept nogil:
    """Step n parameters by their gradient."""
    whole_step(params + offset, dw, <floating*>walk.state + offset, walk.size_params, n,
               &walk.rule, step)


cdef inline void step_slice(const Walk* walk, floating* params, floating* dw_io,
                            const Slice* slice, const Step* step) noexcept nogil:
    """Step the slice's weights by their gradient. Note their squares before, for the penalty.

    Tell all ranks if a slice of the first weights is not finite after it: then no zero is left out.
    """
    cdef Py_ssize_t offset = weights_of(slice), n = slice.rows * slice.layer.fan_out, body = 0
    cdef double squares = 0
    cdef int finite = True
    # Steps on single samples have the bits of single.pxd, signs of NaN too: here they may differ.
    if walk.batch > 1 and has_pass_step(&walk.rule, step):
        body = n - n % 16
    if body > 0:
        squares = pass_step(params + offset, <const floating*>dw_io,
                            <floating*>walk.state + offset, body, &walk.rule, step, &finite)
        offset, n, dw_io = offset + body, n - body, dw_io + body
    if step.alpha != 0:
        squares += sum_of_squares(<const floating*>params + offset, n)
        (<floating*>walk.scratch + walk.squares)[slice.index] = <floating>squares
    if n > 0:
        step_parameters(walk, params, dw_io, offset, n, step)
    if walk.zeros_in_rows and slice.layer == walk.plan and not (
            finite and all_finite(<const floating*>params + offset, n)):
        team_write(walk.words, team_overflow, 1)


cdef inline void own(const Walk* walk, const floating* params, const Slice* slice) noexcept nogil:
    """Ask for the slice's weights, which other ranks have read."""
    if walk.size > 1:
        team_own(params + weights_of(slice), slice.rows * slice.layer.fan_out * sizeof(floating))


cdef inline void column_phase(const Walk* walk, floating* params, Py_ssize_t first,
                              Py_ssize_t rows, bint leave, const Step* step) noexcept nogil:
    """The gradient of this rank's slices and a step by it, slice by slice.

    From the origin if `leave`.
    """
    cdef Slice slice = no_slice(walk)
    cdef Step of_bias = bias_step(step)
    cdef const Layer* layer
    cdef floating* dw_io = own_slice(walk, <const floating*>params)
    cdef floating* db_o = dw_io
    cdef bint zeros = leaves_out(walk, <const floating*>params, rows)
    if walk.indptr != NULL:
        derive_csr(walk, <const floating*>params, first, rows)
    while next_slice(walk, &slice):
        layer = slice.layer
        if walk.grads != NULL:
            dw_io = <floating*>walk.grads + weights_of(&slice)
            db_o = <floating*>walk.grads + layer.bias
        own(walk, <const floating*>params, &slice)
        derive_weights(walk, dw_io, &slice, first, rows, zeros)
        if leave:
            leave_origin_of(walk, params, &slice)
        step_slice(walk, params, dw_io, &slice, step)
        if slice.top == 0:
            derive_bias(walk, db_o, layer, rows)
            step_parameters(walk, params, db_o, layer.bias, layer.fan_out, &of_bias)


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


cdef inline bint clipped_column_phase(const Walk* walk, floating* params, Py_ssize_t first,
                                      Py_ssize_t rows, bint leave,
                                      const Step* step) noexcept nogil:
    """The same by the clipped gradient, in two passes. False if the team was aborted between."""
    cdef Slice slice = no_slice(walk)
    cdef Step rest, of_bias
    derive_columns(walk, <const floating*>params, first, rows, 0)
    while next_slice(walk, &slice):
        if leave:
            leave_origin_of(walk, params, &slice)
        finish_slice(walk, <const floating*>params, &slice, step)
        note_norm(walk, <const floating*>params, &slice)
    if not team_barrier(walk.words, walk.size):
        return False
    rest = clipped(walk, <const floating*>params, step)
    of_bias = bias_step(&rest)
    slice = no_slice(walk)
    while next_slice(walk, &slice):
        own(walk, <const floating*>params, &slice)
        step_slice(walk, params, <floating*>walk.grads + weights_of(&slice), &slice, &rest)
        if slice.top == 0:
            step_parameters(walk, params, <floating*>walk.grads + slice.layer.bias,
                            slice.layer.bias, slice.layer.fan_out, &of_bias)
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


cdef inline Step next_step(const Walk* walk, Py_ssize_t epoch, Py_ssize_t done, double before,
                           double weight) noexcept nogil:
    """The next step, after `done` steps of this epoch of the call and `before` of earlier ones.

    The decay of the weights has the scheduled rate, not Adam's corrected one.
    """
    cdef double rate = walk.rates[epoch * walk.epoch_stride + done * walk.rate_stride]
    cdef double number = before + done + 1
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
