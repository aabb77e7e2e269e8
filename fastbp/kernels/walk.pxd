"""The walk over the plan: layout of the scratch, forward, backward, row phase, column phase.

1. The plan is a table of integers, the arenas are flat arrays: nothing here knows a dtype but
   through `floating`, and Walk holds `void*`, since a struct cannot be fused. The first floating
   pointer of a function is what names the dtype. A class per dtype, or a text template, would say
   everything twice.
2. One step is two phases. Row phase: each rank takes blocks of rows through forward, loss and
   delta. Column phase: each rank takes slices of the weights, computes the gradient of the slice
   over all rows and steps it at once. Blocks and slices are fixed by the shape, never by the team,
   so each number is one chain of operations whatever the team's size. Gradients per thread, added
   up afterwards, would cost memory and change the last bits with every team.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastbp.kernels.activations cimport activation_backward, activation_forward, has_slope
from fastbp.kernels.affine cimport (
    affine_backward_bias,
    affine_backward_rows,
    affine_backward_weights,
    affine_backward_weights_csr,
    affine_forward,
    affine_forward_csr,
)
from fastbp.kernels.losses cimport Loss, gather_targets, loss_delta
from fastbp.kernels.matmul cimport matmul_native
from fastbp.kernels.optimizers cimport Hyper, objective_gradient, optimizer_step, sum_of_squares
from fastbp.kernels.tape cimport (
    TAPES,
    Program,
    fill_constants,
    registers_before,
    tape_activation,
    tape_loss,
)

cdef extern from "team.h" nogil:
    enum: team_stop, team_leave
    int team_read(const int32_t* words, int which)
    void team_write(int32_t* words, int which, int value)
    void team_own(const void* memory, Py_ssize_t bytes)

cdef enum:
    BLAS_ROWS = 64          # rows that pass through all layers together, fixed for BLAS,
    BLOCK_ROWS = 256        # and at most, where the bits do not depend on them;
    BLOCK_WORK = 500000000  # fewer if their multiply-adds are more: a stop should not wait long
    SLICE_ELEMENTS = 2048   # about so many weights make a slice of a layer's,
    SLICE_ROWS = 16         # of at least so many rows,
    SLICE_SHAPE = 16        # and of one for so many columns: each slice reads all deltas;
    BLAS_SLICE_ROWS = 64    # BLAS wants more
    PREDICT_BLOCK = 256     # rows of a block of predict
    DERIVE = 1              # parts of a column phase: gradient of the slice,
    STEP = 2                # its optimizer step,
    FINISH = 4              # or its scaling into the objective's gradient;
    ADD = 8                 # the gradient is added to that of the chunks before

cdef packed struct Layer:   # a row of the plan
    int64_t fan_in
    int64_t fan_out
    int64_t activation
    int64_t weight          # offsets in the arena of parameters
    int64_t bias
    int64_t output          # sum of the fan-outs of the layers before

cdef struct Walk:           # all that a rank needs; dtype-free, so that it can be a struct
    const Layer* plan
    Program program
    Loss loss
    Py_ssize_t layers, size_params, widths
    Py_ssize_t samples, features            # features: 0 for CSR
    const void* x
    const int32_t* indices
    const int64_t* indptr
    const void* y
    const double* sample_weight
    const Py_ssize_t* order                 # NULL: rows as they stand
    Py_ssize_t batch, block, tasks
    void* scratch
    Py_ssize_t gathered, activations, slopes, more, deltas, losses, squares
    Py_ssize_t registers, slices, register_size, slice_size, scratch_size
    void* state
    void* grads                             # NULL: each slice is stepped while in cache (fused)
    Hyper hyper
    int32_t* words
    int rank, size
    bint training


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    return (n + 15) // 16 * 16


cdef inline Py_ssize_t slice_rows(const Layer* layer) noexcept nogil:
    """Rows of the layer's weights that one task of the column phase owns."""
    cdef Py_ssize_t rows = max(SLICE_ELEMENTS // layer.fan_out, layer.fan_out // SLICE_SHAPE)
    rows = max((rows + 7) // 8 * 8, SLICE_ROWS if matmul_native else BLAS_SLICE_ROWS)
    return min(rows, layer.fan_in)


cdef inline Py_ssize_t block_rows(const Walk* walk) noexcept nogil:
    """Rows of a block in training; on the tiles as many blocks for each rank as for the others."""
    cdef Py_ssize_t most = BLAS_ROWS, blocks
    if matmul_native:
        most = max(BLAS_ROWS, min(BLOCK_ROWS, BLOCK_WORK // walk.size_params))
    blocks = (walk.batch + most - 1) // most
    if matmul_native:
        blocks = (blocks + walk.size - 1) // walk.size * walk.size
    return (walk.batch + blocks - 1) // blocks


cdef inline void lay_out(Walk* walk, bint training, bint gather, bint fused) noexcept nogil:
    """Offsets of the scratch regions, and their total; blocks of equal size."""
    cdef Py_ssize_t l, outputs, slice_size = 0
    cdef const Layer* layer
    cdef bint slopes = False
    walk.training, walk.tasks = training, 0
    for l in range(walk.layers):
        layer = walk.plan + l
        walk.tasks += (layer.fan_in + slice_rows(layer) - 1) // slice_rows(layer)
        slice_size = max(slice_size, slice_rows(layer) * layer.fan_out)
        slopes |= has_slope(<int>layer.activation)
    outputs = walk.plan[walk.layers - 1].fan_out
    walk.block = block_rows(walk) if training else walk.batch
    walk.widths = walk.plan[walk.layers - 1].output + outputs
    walk.slice_size = padded(slice_size)
    walk.register_size = padded(registers_before(&walk.program, walk.program.n_tapes))
    walk.gathered = 0
    walk.activations = padded(walk.batch * walk.plan[0].fan_in) if gather else 0
    walk.slopes = walk.activations + padded(walk.batch * walk.widths)
    walk.more = walk.slopes + (padded(walk.batch * walk.widths) if slopes else 0)
    walk.deltas = walk.more + (padded(walk.batch * outputs) if training else 0)
    walk.losses = walk.deltas + (padded(walk.batch * walk.widths) if training else 0)
    walk.squares = walk.losses + (padded(walk.batch) if training else 0)
    walk.registers = walk.squares + (padded(walk.tasks) if training else 0)
    walk.slices = walk.registers + walk.size * walk.register_size
    walk.scratch_size = walk.slices + (walk.size * walk.slice_size if fused else 0)


cdef inline const floating* batch_input(const Walk* walk, const floating* _,
                                        Py_ssize_t first) noexcept nogil:
    """The dense rows of the batch that begins at sample `first`, gathered if they are several."""
    if walk.order != NULL and walk.batch == 1:
        return <const floating*>walk.x + walk.order[first] * walk.features
    if walk.order != NULL:
        return <const floating*>walk.scratch + walk.gathered
    return <const floating*>walk.x + first * walk.features


cdef inline floating* layer_rows(const Walk* walk, const floating* _, Py_ssize_t region,
                                 const Layer* layer, Py_ssize_t top) noexcept nogil:
    """Row `top` of the layer's activations or deltas."""
    return (<floating*>walk.scratch + region + walk.batch * layer.output
            + top * layer.fan_out)


cdef inline floating* own_registers(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's registers of all tapes."""
    return <floating*>walk.scratch + walk.registers + walk.rank * walk.register_size


cdef inline void begin(const Walk* walk, const floating* params) noexcept nogil:
    """What a rank does once, before its first rows."""
    fill_constants(&walk.program, own_registers(walk, params))


cdef inline void activate(const Walk* walk, const Layer* layer, floating* z, floating* s,
                          Py_ssize_t n) noexcept nogil:
    """a := f(z), and s := f'(z) where the backward needs it."""
    if layer.activation >= TAPES:
        tape_activation(&walk.program, layer.activation - TAPES, own_registers(walk, z), z,
                        s if walk.training else NULL, n)
    else:
        activation_forward(<int>layer.activation, z, s, n)


cdef inline void forward(const Walk* walk, const floating* params, Py_ssize_t first,
                         Py_ssize_t top, Py_ssize_t B, bint* finite) noexcept nogil:
    """All layers, for rows top..top + B of the batch that begins at sample `first`.

    `finite`, unless NULL, becomes False where x is not: NaN and infinity stay in every sum of their
    row, whatever the weights, so that the first unit's tells. That of a finite x may overflow, too.
    """
    cdef Py_ssize_t l, r
    cdef const Layer* layer
    cdef floating* z_bo
    cdef const floating* a_bi = NULL
    cdef floating* gathered
    if walk.indptr == NULL:
        a_bi = batch_input(walk, params, first) + top * walk.features
        if walk.order != NULL and walk.batch > 1:
            gathered = <floating*>a_bi
            for r in range(B):
                memcpy(gathered + r * walk.features,
                       <const floating*>walk.x + walk.order[first + top + r] * walk.features,
                       walk.features * sizeof(floating))
    for l in range(walk.layers):
        layer = walk.plan + l
        z_bo = layer_rows(walk, params, walk.activations, layer, top)
        if a_bi == NULL:
            affine_forward_csr(z_bo, <const floating*>walk.x, walk.indices, walk.indptr,
                               walk.order + first + top if walk.order != NULL else NULL,
                               first + top, params + layer.weight, params + layer.bias,
                               B, layer.fan_out)
        else:
            affine_forward(z_bo, a_bi, params + layer.weight, params + layer.bias,
                           B, layer.fan_in, layer.fan_out)
        if finite != NULL and l == 0:
            for r in range(B):
                finite[0] &= z_bo[r * layer.fan_out] - z_bo[r * layer.fan_out] == 0
        activate(walk, layer, z_bo, layer_rows(walk, params, walk.slopes, layer, top),
                 B * layer.fan_out)
        a_bi = z_bo


cdef inline void derive(const Walk* walk, const Layer* layer, floating* delta, Py_ssize_t top,
                        Py_ssize_t B) noexcept nogil:
    """delta := delta f'(z), after the forward of rows top..top + B."""
    activation_backward(<int>layer.activation, delta,
                        layer_rows(walk, delta, walk.activations, layer, top),
                        layer_rows(walk, delta, walk.slopes, layer, top), B * layer.fan_out)


cdef inline void row_losses(const Walk* walk, floating* losses_b, floating* delta_bk,
                            floating* z_bk, floating* more_bk, const floating* y,
                            const Py_ssize_t* order, Py_ssize_t B) noexcept nogil:
    """The losses of B rows and their deltas; arguments as for loss_delta."""
    if walk.loss.kind >= TAPES:
        gather_targets(&walk.loss, delta_bk, y, order, B)
        tape_loss(&walk.program, walk.loss.kind - TAPES, own_registers(walk, z_bk), losses_b,
                  delta_bk, z_bk, B)
    else:
        loss_delta(&walk.loss, losses_b, delta_bk, z_bk, more_bk, y, order, B)


cdef inline void output_deltas(const Walk* walk, const floating* params, Py_ssize_t first,
                               Py_ssize_t top, Py_ssize_t B) noexcept nogil:
    """Row losses and the deltas of the raw predictions, which are used up."""
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
    row_losses(walk, losses, delta_bk, z_bk, <floating*>walk.scratch + walk.more + top * K, y,
               order, B)
    if walk.sample_weight != NULL:
        for r in range(B):
            row = order[r] if order != NULL else first + top + r
            weight = walk.sample_weight[row]
            if weight == 0:  # a sample of no weight is absent, even where its loss is not finite
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
                             layer.fan_out)
        derive(walk, layer - 1, delta_bi, top, B)
        delta_bo = delta_bi


cdef inline floating* rows_of(const Walk* walk, floating* found, const Layer* layer,
                              Py_ssize_t first) noexcept nogil:
    """The rows from sample `first` on in a layer of what `examine` leaves for all samples."""
    return found + walk.samples * layer.output + first * layer.fan_out


cdef inline void copy_layers(const Walk* walk, Py_ssize_t region, floating* found,
                             Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """The batch's activations or deltas to where those of all samples lie."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    for l in range(walk.layers):
        layer = walk.plan + l
        memcpy(rows_of(walk, found, layer, first), layer_rows(walk, found, region, layer, 0),
               rows * layer.fan_out * sizeof(floating))


cdef inline void copy_slopes(const Walk* walk, floating* found, Py_ssize_t first,
                             Py_ssize_t rows) noexcept nogil:
    """f'(z) of the batch to where those of all samples lie."""
    cdef Py_ssize_t l, i
    cdef const Layer* layer
    cdef floating* slopes
    for l in range(walk.layers):
        layer = walk.plan + l
        slopes = rows_of(walk, found, layer, first)
        for i in range(rows * layer.fan_out):
            slopes[i] = 1
        derive(walk, layer, slopes, 0, rows)


cdef inline void row_phase(const Walk* walk, const floating* params, Py_ssize_t first,
                           Py_ssize_t rows) noexcept nogil:
    """This rank's blocks of the batch: forward, loss, deltas. Left early when asked to stop."""
    cdef Py_ssize_t blocks = (rows + walk.block - 1) // walk.block
    cdef Py_ssize_t k, top, B
    for k in range(blocks * walk.rank // walk.size, blocks * (walk.rank + 1) // walk.size):
        if team_read(walk.words, team_stop):
            team_write(walk.words, team_leave, 1)
            return
        top = k * walk.block
        B = min(walk.block, rows - top)
        forward(walk, params, first, top, B, NULL)
        output_deltas(walk, params, first, top, B)
        backward(walk, params, top, B)


cdef inline void use_slice(const Walk* walk, floating* params, floating* dw, Py_ssize_t offset,
                           Py_ssize_t n, int parts, double rate, double alpha,
                           double scale) noexcept nogil:
    """Step the slice by its gradient, or scale the gradient into the objective's."""
    if parts & STEP:
        optimizer_step(params + offset, dw, <floating*>walk.state + offset, walk.size_params, n,
                       &walk.hyper, rate, alpha, scale)
    elif parts & FINISH:
        objective_gradient(dw, params + offset, n, alpha, scale)


cdef inline bint owns(const Walk* walk, Py_ssize_t before) noexcept nogil:
    """Whether the slice that comes after so many parameters is this rank's."""
    return walk.size == 1 or before * walk.size // walk.size_params == walk.rank


cdef inline void derive_csr(const Walk* walk, const floating* params, Py_ssize_t first,
                            Py_ssize_t rows, bint add) noexcept nogil:
    """The gradient of this rank's slices of the first layer, in one pass over the CSR rows.

    They lie side by side, although columns may be sorted by how many entries they have: dealt out
    in turn they took up to twice as long.
    """
    cdef const Layer* layer = walk.plan
    cdef Py_ssize_t k, O = layer.fan_out, step = slice_rows(layer), top = layer.fan_in, end = 0
    for k in range((layer.fan_in + step - 1) // step):
        if owns(walk, k * step * O):
            top = min(top, k * step)
            end = min((k + 1) * step, layer.fan_in)
    if end > 0:
        affine_backward_weights_csr(
            <floating*>walk.grads + layer.weight, <const floating*>walk.x, walk.indices,
            walk.indptr, walk.order + first if walk.order != NULL else NULL, first,
            layer_rows(walk, params, walk.deltas, layer, 0), rows, O, top, end, add)


cdef inline void column_phase(const Walk* walk, floating* params, Py_ssize_t first,
                              Py_ssize_t rows, int parts, double rate,
                              double scale) noexcept nogil:
    """This rank's slices of all weights: their gradient over all rows, then its use."""
    cdef Py_ssize_t l, k, i, n, O, step, offset, task = 0, before = 0
    cdef const Layer* layer
    cdef const floating* a_bi
    cdef const floating* delta_bo
    cdef floating* dw_io = <floating*>walk.scratch + walk.slices + walk.rank * walk.slice_size
    cdef floating* dw_o = dw_io
    cdef floating* squares = <floating*>walk.scratch + walk.squares
    cdef double alpha = walk.hyper.alpha
    cdef bint add = (parts & ADD) != 0
    if parts & DERIVE and walk.indptr != NULL:
        derive_csr(walk, <const floating*>params, first, rows, add)
    for l in range(walk.layers):
        layer = walk.plan + l
        O = layer.fan_out
        delta_bo = layer_rows(walk, params, walk.deltas, layer, 0)
        a_bi = NULL
        if l > 0:
            a_bi = layer_rows(walk, params, walk.activations, layer - 1, 0)
        elif walk.indptr == NULL:
            a_bi = batch_input(walk, params, first)
        step = slice_rows(layer)
        for k in range((layer.fan_in + step - 1) // step):
            i = k * step
            n = min(step, layer.fan_in - i)
            if owns(walk, before):
                offset = layer.weight + i * O
                if walk.grads != NULL:
                    dw_io = <floating*>walk.grads + offset
                    dw_o = <floating*>walk.grads + layer.bias
                if parts & STEP and walk.size > 1:
                    team_own(params + offset, n * O * sizeof(floating))
                if parts & DERIVE and a_bi != NULL:
                    affine_backward_weights(dw_io, a_bi + i, layer.fan_in, delta_bo, rows, n, O,
                                            add)
                if alpha != 0 and parts & (STEP | FINISH):
                    squares[task] = <floating>sum_of_squares(params + offset, n * O)
                use_slice(walk, params, dw_io, offset, n * O, parts, rate, alpha, scale)
                if i == 0:
                    if parts & DERIVE:
                        affine_backward_bias(dw_o, delta_bo, rows, O, add)
                    use_slice(walk, params, dw_o, layer.bias, O, parts, rate, 0, scale)
            before += n * O
            task += 1


cdef inline double batch_weight(const Walk* walk, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """The sum of the samples' weights; their number without weights."""
    cdef double total = 0
    cdef Py_ssize_t r
    if walk.sample_weight == NULL:
        return rows
    for r in range(first, first + rows):
        total += walk.sample_weight[walk.order[r] if walk.order != NULL else r]
    return total


cdef inline double sum_losses(const Walk* walk, const floating* _, Py_ssize_t rows) noexcept nogil:
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
    cdef Py_ssize_t task
    if walk.hyper.alpha == 0:
        return 0
    for task in range(walk.tasks):
        total += squares[task]
    return walk.hyper.alpha / 2 * total
