"""Steps on single samples: one rank, batches of one dense row, neither dropout nor clipping.

A small network takes a few hundred nanoseconds for such a step. So nothing is done here that only
batches or teams need: the row is read where it lies, and slices are walked in plain loops. The
biases lie one behind the other, as the deltas do, so that all are stepped together. Each number is
computed by the operations of the phases, in their order.
"""

from cython cimport floating
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from fastbp.kernels cimport scalar
from fastbp.kernels.affine cimport affine_backward_rows
from fastbp.kernels.column_phase cimport (
    batch_weight,
    bias_step,
    leave_origin,
    next_step,
    penalty,
    step_parameters,
    sum_losses,
)
from fastbp.kernels.losses cimport LINK_IDENTITY, SQUARED_ERROR, Loss, squared_error
from fastbp.kernels.matmul cimport matmul_native, matmul_row, outer
from fastbp.kernels.optimizers cimport SGD, Step, sum_of_squares
from fastbp.kernels.row_phase cimport activate, fetch, output_deltas, times_slope
from fastbp.kernels.scratch cimport batch_input, own_products, slice_rows
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "gemm.h" nogil:
    const int gemm_has_tiles
    void gemm_row_float(float* c, const float* a, const float* b, Py_ssize_t n, Py_ssize_t k,
                        const float* init, float* scratch)
    void gemm_row_double(double* c, const double* a, const double* b, Py_ssize_t n, Py_ssize_t k,
                         const double* init, double* scratch)
    float outer_step_float(float* w, float* velocity, const float* a, const float* delta,
                           Py_ssize_t m, Py_ssize_t n, float rate, float alpha, float scale,
                           float momentum, int nesterov)
    double outer_step_double(double* w, double* velocity, const double* a, const double* delta,
                             Py_ssize_t m, Py_ssize_t n, double rate, double alpha, double scale,
                             double momentum, int nesterov)
    void bias_step_float(float* w, float* velocity, const float* delta, Py_ssize_t n, float rate,
                         float scale, float momentum, int nesterov)
    void bias_step_double(double* w, double* velocity, const double* delta, Py_ssize_t n,
                          double rate, double scale, double momentum, int nesterov)

cdef extern from "team.h" nogil:
    enum: team_stop
    int team_read(const int32_t* words, int which)


cdef enum:
    AHEAD = 2               # samples: a small network's step takes as long as memory


cdef inline bint steps_singly(const Walk* walk) noexcept nogil:
    """Whether the steps of a call are made here."""
    return (walk.size == 1 and walk.batch == 1 and walk.indptr == NULL and walk.codes.n == 0
            and walk.grads == NULL and walk.dropout.thresholds == NULL)


cdef inline void fetch_sample(const Walk* walk, const floating* _, Py_ssize_t k) noexcept nogil:
    """Ask for the sample k, which a step will read soon."""
    cdef Py_ssize_t row, stride = walk.loss.stride
    if walk.order != NULL and k < walk.samples:
        row = walk.order[k]
        fetch(<const floating*>walk.x + row * walk.features, walk.features * sizeof(floating))
        fetch(<const floating*>walk.y + row * stride, stride * sizeof(floating))


cdef inline void row_product(floating* c_n, const floating* a_k, const floating* b_kn,
                             Py_ssize_t n, Py_ssize_t k, const floating* init,
                             floating* scratch) noexcept nogil:
    """c := init + a b on the tiles. A call of `matmul_row` would take as long as this."""
    if floating is double:
        gemm_row_double(c_n, a_k, b_kn, n, k, init, scratch)
    else:
        gemm_row_float(c_n, a_k, b_kn, n, k, init, scratch)


cdef inline void forward_row(const Walk* walk, const floating* params,
                             const floating* x) noexcept nogil:
    """All layers, for the row x."""
    cdef Py_ssize_t _
    cdef const Layer* layer = walk.plan
    cdef floating* z = <floating*>walk.scratch + walk.activations
    cdef floating* s = <floating*>walk.scratch + walk.slopes
    for _ in range(walk.layers):
        if matmul_native:
            row_product(z, x, params + layer.weight, layer.fan_out, layer.fan_in,
                        params + layer.bias, own_products(walk, params))
        else:
            matmul_row(z, x, params + layer.weight, layer.fan_out, layer.fan_in,
                       params + layer.bias, own_products(walk, params))
        activate(walk, layer, z, s, layer.fan_out)
        x = z
        z += layer.fan_out
        s += layer.fan_out
        layer += 1


cdef inline void loss_of_row(const Walk* walk, const floating* params,
                             Py_ssize_t k) noexcept nogil:
    """The loss of sample k and its delta. The squared error is too short for the general way."""
    cdef const Loss* loss = &walk.loss
    cdef const Layer* layer = walk.plan + walk.layers - 1
    cdef Py_ssize_t row = walk.order[k] if walk.order != NULL else k
    cdef floating* z = <floating*>walk.scratch + walk.activations + layer.output
    cdef floating* delta = <floating*>walk.scratch + walk.deltas + layer.output
    if loss.kind != SQUARED_ERROR or loss.link != LINK_IDENTITY or walk.sample_weight != NULL:
        output_deltas(walk, params, k, 0, 1)
        return
    if loss.K == 1:
        delta[0] = (<const floating*>walk.y)[row * loss.stride]
    else:
        memcpy(delta, <const floating*>walk.y + row * loss.stride, loss.K * sizeof(floating))
    squared_error(delta, z, loss.K)
    (<floating*>walk.scratch + walk.losses)[0] = scalar.total(<const floating*>z, loss.K)


cdef inline void backward_row(const Walk* walk, const floating* params) noexcept nogil:
    """The deltas of the hidden layers from those of the output."""
    cdef Py_ssize_t _
    cdef const Layer* layer = walk.plan + walk.layers - 1
    cdef floating* delta = <floating*>walk.scratch + walk.deltas + layer.output
    for _ in range(walk.layers - 1):
        if matmul_native and layer.fan_out == 1:
            row_product(delta - layer.fan_in, <const floating*>delta, params + layer.weight,
                        layer.fan_in, 1, <const floating*>NULL, own_products(walk, params))
        else:
            affine_backward_rows(delta - layer.fan_in, <const floating*>delta,
                                 params + layer.weight, 1, layer.fan_in, layer.fan_out,
                                 own_products(walk, params))
        delta -= layer.fan_in
        layer -= 1
        times_slope(walk, layer, delta, 0, 1)


cdef inline void step_weights(const Walk* walk, floating* params, const floating* x,
                              const Step* step) noexcept nogil:
    """The outer products a^T delta of slices, as many as there is room for, and a step by them."""
    cdef Py_ssize_t _, top, rows, height, n, index = 0, done = 0, used = 0
    cdef const Layer* layer = walk.plan
    cdef floating* dw = <floating*>walk.scratch + walk.slices
    cdef floating* squares = <floating*>walk.scratch + walk.squares
    cdef const floating* delta = <floating*>walk.scratch + walk.deltas
    cdef const floating* a = <floating*>walk.scratch + walk.activations
    for _ in range(walk.layers):
        height, top = slice_rows(layer), 0
        while top < layer.fan_in:
            rows = min(height, <Py_ssize_t>layer.fan_in - top)
            n = rows * layer.fan_out
            if used + n > walk.slice_size:
                step_parameters(walk, params, dw, done, used, step)
                done, used = done + used, 0
            outer(dw + used, x + top, delta, rows, layer.fan_out)
            if step.alpha != 0:
                squares[index] = <floating>sum_of_squares(
                    <const floating*>params + done + used, n)
                index += 1
            used += n
            top += height
        x = a
        a += layer.fan_out
        delta += layer.fan_out
        layer += 1
    step_parameters(walk, params, dw, done, used, step)


cdef inline bint steps_by_outer(const Walk* walk) noexcept nogil:
    """Whether `outer_step` takes all weights: sgd alone, one slice a layer, in blocks of 16."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    if (not gemm_has_tiles or walk.rule.optimizer != SGD or walk.rule.weight_decay != 0
            or walk.rule.ema_decay > 0):
        return False
    for l in range(walk.layers):
        layer = walk.plan + l
        if slice_rows(layer) < layer.fan_in or (
                layer.fan_in if layer.fan_out == 1 else layer.fan_out) % 16 != 0:
            return False
    return True


cdef inline floating outer_step(floating* w, floating* velocity, const floating* a,
                                const floating* delta, const Layer* layer, const Walk* walk,
                                const Step* step) noexcept nogil:
    """A step of a layer's weights by a^T delta; the sum of their squares before it."""
    if floating is double:
        return outer_step_double(
            w, velocity, a, delta, layer.fan_in, layer.fan_out, step.rate, step.alpha, step.scale,
            walk.rule.momentum, walk.rule.nesterovs_momentum)
    else:
        return outer_step_float(
            w, velocity, a, delta, layer.fan_in, layer.fan_out, <float>step.rate,
            <float>step.alpha, <float>step.scale, <float>walk.rule.momentum,
            walk.rule.nesterovs_momentum)


cdef inline void step_by_outer(const Walk* walk, floating* params, const floating* x,
                               const Step* step) noexcept nogil:
    """A step of all weights by outer products, and of all biases."""
    cdef Py_ssize_t l, bias = walk.plan.bias
    cdef const Layer* layer = walk.plan
    cdef floating* velocity = <floating*>walk.state
    cdef const floating* deltas = <floating*>walk.scratch + walk.deltas
    cdef const floating* delta = deltas
    cdef const floating* a = <floating*>walk.scratch + walk.activations
    cdef floating square
    for l in range(walk.layers):
        square = outer_step(params + layer.weight, velocity + layer.weight, x, delta, layer, walk,
                            step)
        if step.alpha != 0:
            (<floating*>walk.scratch + walk.squares)[l] = square
        x = a
        a += layer.fan_out
        delta += layer.fan_out
        layer += 1
    if floating is double:
        bias_step_double(params + bias, velocity + bias, deltas, walk.widths, step.rate, step.scale,
                         walk.rule.momentum, walk.rule.nesterovs_momentum)
    else:
        bias_step_float(params + bias, velocity + bias, deltas, walk.widths, <float>step.rate,
                        <float>step.scale, <float>walk.rule.momentum,
                        walk.rule.nesterovs_momentum)


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
    cdef bint leave = read != NULL, by_outer = steps_by_outer(walk)
    cdef Step step
    if not leave:
        read = params
    for k in range(walk.samples):
        if team_read(walk.words, team_stop):
            return False
        fetch_sample(walk, read, k + AHEAD)
        weight = batch_weight(walk, k, 1)
        if weight > 0:
            x = batch_input(walk, read, k)
            forward_row(walk, read, x)
            loss_of_row(walk, read, k)
            backward_row(walk, read)
            step = next_step(walk, epoch, done, before, weight)
            if leave:
                leave_origin(walk, params, 0, walk.size_params)
            if by_outer:
                step_by_outer(walk, params, x, &step)
            else:
                step_weights(walk, params, x, &step)
                step_biases(walk, params, &step)
            read, leave = params, False
            done += 1
            loss = walk.scale * sum_losses(walk, read, 1) + penalty(walk, read)
            tally[0] += loss / weight
        tally[1] += 1
        tally[2] = before + done
    return True
