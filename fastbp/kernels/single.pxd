"""Steps on single samples: for one rank, batches of one dense row, and neither dropout nor clipping.

A small network takes a few hundred nanoseconds for such a step. So nothing is done here that only
batches or teams need: the row is read where it lies, and slices are walked in plain loops. The
biases lie one behind the other, as the deltas do, so that all are stepped together. Each number is
computed by the operations of the phases, in their order.
"""

from cython cimport floating
from libc.stdint cimport int32_t

from fastbp.kernels.affine cimport affine_backward_weights, affine_forward
from fastbp.kernels.column_phase cimport (
    batch_weight,
    bias_step,
    leave_origin,
    next_step,
    penalty,
    step_parameters,
    sum_losses,
)
from fastbp.kernels.optimizers cimport Step, sum_of_squares
from fastbp.kernels.row_phase cimport activate, backward, output_deltas
from fastbp.kernels.scratch cimport batch_input, layer_rows, own_products, slice_rows
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "team.h" nogil:
    enum: team_stop
    int team_read(const int32_t* words, int which)


cdef inline bint steps_singly(const Walk* walk) noexcept nogil:
    """Whether the steps of a call are made here."""
    return (walk.size == 1 and walk.batch == 1 and walk.indptr == NULL and walk.grads == NULL
            and walk.dropout.thresholds == NULL)


cdef inline void forward_row(const Walk* walk, const floating* params,
                             const floating* x) noexcept nogil:
    """All layers, for the row x."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    cdef floating* z
    for l in range(walk.layers):
        layer = walk.plan + l
        z = layer_rows(walk, params, walk.activations, layer, 0)
        affine_forward(z, x, params + layer.weight, params + layer.bias, 1, layer.fan_in,
                       layer.fan_out, False, own_products(walk, params))
        activate(walk, layer, z, layer_rows(walk, params, walk.slopes, layer, 0), layer.fan_out)
        x = z


cdef inline void step_weights(const Walk* walk, floating* params, const floating* x,
                              const Step* step) noexcept nogil:
    """The outer product a^T delta of each slice of weights, and a step by it."""
    cdef Py_ssize_t l, top, rows, height, n, index = 0
    cdef const Layer* layer
    cdef floating* w
    cdef floating* dw = <floating*>walk.scratch + walk.slices
    cdef floating* squares = <floating*>walk.scratch + walk.squares
    for l in range(walk.layers):
        layer = walk.plan + l
        height, top = slice_rows(layer), 0
        while top < layer.fan_in:
            rows = min(height, <Py_ssize_t>layer.fan_in - top)
            n = rows * layer.fan_out
            w = params + layer.weight + top * layer.fan_out
            affine_backward_weights(dw, x + top, layer.fan_in,
                                    layer_rows(walk, params, walk.deltas, layer, 0), 1, rows,
                                    layer.fan_out, False, False, dw)
            if step.alpha != 0:
                squares[index] = <floating>sum_of_squares(<const floating*>w, n)
                index += 1
            step_parameters(walk, params, dw, w - params, n, step)
            top += height
        x = layer_rows(walk, params, walk.activations, layer, 0)


cdef inline void step_biases(const Walk* walk, floating* params, const Step* step) noexcept nogil:
    """A step of all biases by the deltas."""
    cdef floating* delta = <floating*>walk.scratch + walk.deltas
    cdef Step of_bias = bias_step(step)
    cdef Py_ssize_t i
    cdef floating zero = 0
    for i in range(walk.widths):
        delta[i] = zero + delta[i]  # the sum over a batch, in which no -0 is left
    step_parameters(walk, params, delta, walk.plan.bias, walk.widths, &of_bias)


cdef inline bint single_steps(const Walk* walk, floating* params, Py_ssize_t epoch,
                              double* tally) noexcept nogil:
    """The steps of an epoch. False after a stop. tally = that of `epoch_steps`."""
    cdef Py_ssize_t k, done = 0
    cdef double weight, loss, before = tally[2]
    cdef const floating* read = <const floating*>walk.origin_params  # by the next step
    cdef const floating* x
    cdef bint leave = read != NULL
    cdef Step step
    if not leave:
        read = params
    for k in range(walk.samples):
        if team_read(walk.words, team_stop):
            return False
        weight = batch_weight(walk, k, 1)
        if weight > 0:
            x = batch_input(walk, read, k)
            forward_row(walk, read, x)
            output_deltas(walk, read, k, 0, 1)
            backward(walk, read, 0, 1)
            step = next_step(walk, epoch, done, before, weight)
            if leave:
                leave_origin(walk, params, 0, walk.size_params)
            step_weights(walk, params, x, &step)
            step_biases(walk, params, &step)
            read, leave = params, False
            done += 1
            loss = walk.scale * sum_losses(walk, read, 1) + penalty(walk, read)
            tally[0] += loss / weight
        tally[1] += 1
        tally[2] = before + done
    return True
