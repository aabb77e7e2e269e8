"""The walk over the plan: all that one rank needs, in one struct.

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

from libc.stdint cimport int32_t, int64_t

from fastbp.kernels.affine_codes cimport Codes
from fastbp.kernels.dropout cimport Dropout
from fastbp.kernels.losses cimport Loss
from fastbp.kernels.optimizers cimport Rule
from fastbp.kernels.tape cimport Program

cdef packed struct Layer:   # a row of the plan
    int64_t fan_in
    int64_t fan_out
    int64_t activation
    int64_t weight          # offset in the arena of parameters
    int64_t bias            # the same
    int64_t output          # sum of the fan-outs of the layers before

cdef struct Walk:           # dtype-free, so that it can be a struct
    # The network.
    const Layer* plan
    const char* transposed  # by layer, whether the weights lie column by column; NULL: none do
    Program program         # its tapes
    Py_ssize_t layers
    Py_ssize_t size_params
    Py_ssize_t widths       # sum of all fan-outs
    # The samples.
    Py_ssize_t samples      # those of the order, if there is one
    Py_ssize_t features     # of dense rows, but for those of codes; 0 for CSR
    Py_ssize_t row_length   # of x: the features, with those of codes
    const void* x           # dense rows, or the entries of CSR rows
    Codes codes             # the features of dense rows that are codes
    # Whether products with zeros of dense rows are left out: rows together, columns together.
    bint zeros_in_rows, zeros_in_columns
    const int32_t* indices  # NULL for dense rows
    const int64_t* indptr   # the same
    const void* y
    const double* sample_weight     # NULL: all are 1
    const Py_ssize_t* order         # NULL: the rows in their own order
    # The objective.
    Loss loss
    double alpha            # L2
    double scale            # reported loss = scale * mean row loss + penalty
    Dropout dropout
    # The rule and its rates.
    Rule rule
    const double* rates     # rows of steps, the scheduled rate first
    Py_ssize_t rate_stride  # from step to step; 0: all have the same row
    Py_ssize_t epoch_stride    # from epoch to epoch
    void* state             # rows of size_params: the optimizer's, then the average
    const void* origin_params       # what the first step reads; NULL: what it changes
    const void* origin_state        # the same
    void* grads             # NULL: each slice is stepped while in cache (fused)
    # The scratch: its address, and the offsets of its regions.
    void* scratch
    bint gathers            # whether rows are copied together: to put in order, or to change
    bint has_slopes_of_tapes        # whether tapes compute f'(z), too
    Py_ssize_t batch        # rows at once, at most; the regions have room for them
    Py_ssize_t block        # rows of the batch that pass through all layers together
    Py_ssize_t n_slices     # of all layers
    Py_ssize_t gathered, activations, slopes, loss_scratch, deltas, losses, squares, norms
    Py_ssize_t held         # which nodes of sums hold a column of CSR rows; -1: all do
    Py_ssize_t packed       # deltas of wide layers; -1 if there are none
    Py_ssize_t packed_weights       # of the first layer; -1 if they are not packed
    Py_ssize_t code_bins, code_shares       # of a batch, code by code
    # Of one rank: sums over the bins of codes, and the first weights of the other features.
    Py_ssize_t sums, others
    Py_ssize_t registers, products, slices, gradient, scratch_size
    Py_ssize_t register_size, product_size, slice_size, sums_size, others_size  # of one rank
    # The team.
    int32_t* words
    int rank, size
