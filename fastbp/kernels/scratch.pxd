"""The layout of the scratch: which regions a use of the core has, and where their rows lie."""

from cython cimport floating
from libc.stdint cimport int32_t, uint64_t, uintptr_t

from fastbp.kernels.activations cimport RELU, has_slope
from fastbp.kernels.affine_codes cimport Codes
from fastbp.kernels.matmul cimport (
    is_packed,
    matmul_native,
    packed_nn,
    packed_tn,
    scratch_nn,
    scratch_nt,
    scratch_tn,
)
from fastbp.kernels.tape cimport TAPES, registers_before
from fastbp.kernels.walk cimport Layer, Walk

cdef enum Use:
    EPOCH       # steps on dense rows: each slice is stepped while it is in cache
    EPOCH_CLIPPED   # the same by a clipped gradient, which is materialized first
    EPOCH_CSR   # steps on CSR rows, whose gradient is materialized first, clipped or not
    GRADIENT    # the gradient of the objective, in chunks
    PREDICT
    PREDICT_ARRAYS  # with weights that may be transposed
    EXAMINE     # activations, slopes and deltas of all layers
    VALIDATE    # predictions and row losses

cdef enum:
    # Rows that pass through all layers together. With BLAS their number changes the bits, so it is
    # fixed.
    BLAS_ROWS = 64
    # The same on the tiles, where it changes no bits: more rows make products more efficient, but
    # their activations leave the cache.
    BLOCK_ROWS = 256
    # So many weights leave the second cache anyway: each block reads and copies them again, so that
    # it has twice the rows.
    LARGE_NETWORK = 131072
    # Multiply-adds of a block on the tiles. Ranks look at the stop word between blocks,
    # so larger blocks delay a stop.
    BLOCK_WORK = 1000000000
    # Weights of a slice, about. Larger slices and their optimizer state leave the first cache.
    SLICE_ELEMENTS = 2048
    # Rows of a slice, at least. Fewer leave the register tiles partly empty.
    SLICE_ROWS = 16
    # The same with BLAS, which is slow on few rows.
    BLAS_SLICE_ROWS = 64
    # Columns for each row of a slice, at most. Each slice reads the deltas of all columns, so that
    # wide layers need higher slices.
    SLICE_SHAPE = 16
    # Rows of a block where nothing is trained.
    PREDICT_BLOCK = 256
    # Where zeros of X are left out, blocks have fewer rows, LISTED_BLOCK at least, and the first
    # weights are packed. About LISTED_NUMBERS numbers of X, which the block before has asked for,
    # stay in the second cache beside them. A layer of LISTED_UNITS wants more rows; larger weights
    # leave that cache; in narrow layers there is little to pack.
    LISTED_BLOCK = 64
    LISTED_NUMBERS = 51200
    LISTED_UNITS = 256
    MOST_PACKED_WEIGHTS = 262144
    LEAST_PACKED_UNITS = 16
    # Numbers by which a packed row is longer, at most, and those before the first aligned one.
    PACKED_MORE = 16


cdef inline Py_ssize_t padded(Py_ssize_t n) noexcept nogil:
    """n rounded up to whole cache lines of float32."""
    return (n + 15) // 16 * 16


cdef inline Py_ssize_t slice_rows(const Layer* layer) noexcept nogil:
    """Rows of the layer's weights in one slice of the column phase."""
    cdef Py_ssize_t rows
    if layer.fan_in * layer.fan_out <= SLICE_ELEMENTS:
        return layer.fan_in
    rows = max(SLICE_ELEMENTS // layer.fan_out, layer.fan_out // SLICE_SHAPE)
    rows = max((rows + 7) // 8 * 8, SLICE_ROWS if matmul_native else BLAS_SLICE_ROWS)
    return min(rows, layer.fan_in)


cdef inline Py_ssize_t block_rows(const Walk* walk) noexcept nogil:
    """Rows of a block in training. On the tiles each rank has the same number of blocks."""
    cdef Py_ssize_t most = BLAS_ROWS, blocks
    if matmul_native:
        most = BLOCK_ROWS if walk.size_params < LARGE_NETWORK else 2 * BLOCK_ROWS
        most = max(<Py_ssize_t>BLAS_ROWS, min(most, BLOCK_WORK // walk.size_params))
    blocks = (walk.batch + most - 1) // most
    if matmul_native:
        blocks = (blocks + walk.size - 1) // walk.size * walk.size
    return (walk.batch + blocks - 1) // blocks


cdef inline Py_ssize_t listed_block(const Walk* walk) noexcept nogil:
    """Rows of a block where the first weights are packed."""
    return max(<Py_ssize_t>LISTED_BLOCK, LISTED_NUMBERS // walk.plan.fan_in // 8 * 8)


cdef inline bint in_blocks(Use use) noexcept nogil:
    """Whether all rows are walked in blocks of a fixed size, whatever their number."""
    return use in (PREDICT, PREDICT_ARRAYS, EXAMINE, VALIDATE)


cdef inline bint has_backward(Use use) noexcept nogil:
    """Whether there are deltas of all layers."""
    return use in (EPOCH, EPOCH_CLIPPED, EPOCH_CSR, GRADIENT, EXAMINE)


cdef inline Py_ssize_t product_scratch(const Layer* layer, Py_ssize_t rows, Py_ssize_t batch,
                                       Use use, bint zeros) noexcept nogil:
    """Numbers of scratch for one of the layer's products: up to `rows` at once of a batch.

    zeros: whether the products may leave out zeros of X.
    """
    cdef Py_ssize_t I = layer.fan_in, O = layer.fan_out, size = scratch_nn(rows, O, I, zeros)
    if use == PREDICT_ARRAYS:
        size = max(size, scratch_nt(rows, O, I))
    if has_backward(use):
        size = max(size, scratch_nt(rows, I, O))
        size = max(size, scratch_tn(I, slice_rows(layer), O, batch, zeros))
    return size


cdef inline bint drops(const Walk* walk, Py_ssize_t l) noexcept nogil:
    """Whether units are dropped before layer l: of X, or of the hidden layer before it."""
    return walk.dropout.thresholds != NULL and walk.dropout.thresholds[l] > 0


cdef inline bint drops_hidden(const Walk* walk, Py_ssize_t l) noexcept nogil:
    """Whether units of layer l are dropped; never those of the output."""
    return walk.dropout.thresholds != NULL and l + 1 < walk.layers and drops(walk, l + 1)


cdef inline Py_ssize_t packed_room(const Walk* walk, Use use) noexcept nogil:
    """Numbers for the packed deltas of a batch, of all layers and either dtype; 0 if none are."""
    cdef Py_ssize_t l
    cdef const Layer* layer
    if not has_backward(use) or use == EXAMINE or walk.batch == 1:
        return 0
    for l in range(use == EPOCH_CSR, walk.layers):
        layer = walk.plan + l
        if packed_tn(layer.fan_in, layer.fan_out, walk.batch) > 0:
            return padded(walk.batch * walk.widths
                          + (walk.batch + 1) * PACKED_MORE * walk.layers)
    return 0


cdef inline Py_ssize_t packed_weights_room(const Walk* walk, Use use,
                                           Py_ssize_t rows) noexcept nogil:
    """Numbers for the packed weights of the first layer; 0 if they are not packed."""
    cdef Py_ssize_t l, size = packed_nn(walk.plan.fan_out, walk.plan.fan_in)
    if (use not in (PREDICT, VALIDATE) or rows < 2 * LISTED_BLOCK or walk.codes.n
            or walk.plan.fan_out < LEAST_PACKED_UNITS or size > MOST_PACKED_WEIGHTS):
        return 0
    for l in range(walk.layers):
        if walk.plan[l].fan_out >= LISTED_UNITS:
            return 0
    return padded(size)


cdef inline Py_ssize_t lay_out_packed(Walk* walk, Use use, Py_ssize_t rows,
                                      Py_ssize_t top) noexcept nogil:
    """The regions of what is packed, from `top` on. Returns their end."""
    cdef Py_ssize_t deltas = packed_room(walk, use), weights = packed_weights_room(walk, use, rows)
    walk.packed = top if deltas else -1
    walk.packed_weights = top + deltas if weights else -1
    return top + deltas + weights


cdef inline Py_ssize_t slices_of(const Walk* walk, const Layer* layer) noexcept nogil:
    """Slices of a layer: each code is one, between those of other features."""
    cdef Py_ssize_t top, height = slice_rows(layer)
    if walk.codes.n and layer == walk.plan:
        top = walk.codes.first[walk.codes.n]
        return ((walk.codes.first[0] + height - 1) // height + walk.codes.n
                + (layer.fan_in - top + height - 1) // height)
    return (layer.fan_in + height - 1) // height


cdef inline Py_ssize_t widest_code(const Walk* walk) noexcept nogil:
    """The most columns of a code."""
    cdef Py_ssize_t j, widest = 0
    for j in range(walk.codes.n):
        widest = max(widest, walk.codes.first[j + 1] - walk.codes.first[j])
    return widest


cdef inline Py_ssize_t highest_slice(const Walk* walk, const Layer* layer) noexcept nogil:
    """The most rows of a slice of a layer."""
    return max(slice_rows(layer), widest_code(walk) if layer == walk.plan else 0)


cdef inline Py_ssize_t lay_out_codes(Walk* walk, Py_ssize_t top) noexcept nogil:
    """The regions of codes, from `top` on. Returns their end."""
    cdef Py_ssize_t n = walk.codes.n, O = walk.plan.fan_out, of_codes
    walk.sums_size = walk.others_size = 0
    if n:
        of_codes = walk.codes.first[n] - walk.codes.first[0]
        # Sums of all bins, or what the backward of a code needs.
        walk.sums_size = padded(max(of_codes * O, walk.batch + widest_code(walk) + 1))
        walk.others_size = padded((walk.plan.fan_in - of_codes) * O)
    walk.sums = top
    walk.others = walk.sums + walk.size * walk.sums_size
    walk.code_bins = walk.others + walk.size * walk.others_size
    walk.code_shares = walk.code_bins + padded(walk.batch * n)
    return walk.code_shares + padded(walk.batch * n)


cdef inline void lay_out(Walk* walk, Use use, Py_ssize_t batch) noexcept nogil:
    """Set the offsets of all regions and their total, in numbers, for batches of that many rows."""
    cdef Py_ssize_t l, outputs, slice_size = 0, product_size = 0
    cdef const Layer* layer
    cdef bint has_slopes = False, backward = has_backward(use)
    cdef bint in_slices = use in (EPOCH, GRADIENT)
    cdef bint has_losses = backward or use == VALIDATE
    cdef bint materialized = use in (EPOCH_CLIPPED, EPOCH_CSR)
    cdef bint has_zeros = use not in (EPOCH_CSR, EXAMINE)
    cdef Py_ssize_t rows
    walk.batch = min(batch, PREDICT_BLOCK) if in_blocks(use) else batch
    walk.block = block_rows(walk) if backward else walk.batch
    rows = walk.batch if in_blocks(use) else walk.block
    walk.has_slopes_of_tapes, walk.n_slices = backward, 0
    for l in range(walk.layers):
        layer = walk.plan + l
        walk.n_slices += slices_of(walk, layer)
        slice_size = max(slice_size, highest_slice(walk, layer) * layer.fan_out)
        product_size = max(product_size, product_scratch(layer, rows, walk.batch, use,
                                                         l == 0 and has_zeros))
        has_slopes |= (layer.activation >= TAPES or has_slope(<int>layer.activation)
                       or (drops_hidden(walk, l) and layer.activation != RELU))
    outputs = walk.plan[walk.layers - 1].fan_out
    # Small layers share a slice's room where single samples are walked.
    walk.slice_size = padded(max(slice_size, min(walk.size_params, <Py_ssize_t>SLICE_ELEMENTS)))
    walk.product_size = padded(product_size)
    walk.register_size = padded(registers_before(&walk.program, walk.program.n_tapes))
    walk.gathers = ((walk.order != NULL and walk.batch > 1) or drops(walk, 0)
                    or walk.codes.n > 0)
    walk.gathered = 0
    walk.activations = 0
    if use in (EPOCH, EPOCH_CLIPPED):
        walk.activations = padded(walk.batch * walk.plan[0].fan_in)
    walk.slopes = walk.activations + padded(walk.batch * walk.widths)
    walk.loss_scratch = walk.slopes + (padded(walk.batch * walk.widths) if has_slopes else 0)
    walk.deltas = walk.loss_scratch + (padded(walk.batch * outputs) if has_losses else 0)
    walk.losses = walk.deltas + (padded(walk.batch * walk.widths) if has_losses else 0)
    walk.squares = walk.losses + (padded(walk.batch) if has_losses else 0)
    walk.norms = walk.squares + (padded(walk.n_slices) if backward else 0)
    walk.held = walk.norms + (padded(walk.n_slices) if materialized else 0)
    walk.registers = lay_out_packed(walk, use, batch, walk.held + (
        padded(2 * walk.plan.fan_in + 2) if use == GRADIENT else 0))
    if use != GRADIENT:
        walk.held = -1
    walk.products = walk.registers + walk.size * walk.register_size
    walk.slices = walk.products + walk.size * walk.product_size
    walk.gradient = lay_out_codes(walk, walk.slices
                                  + (walk.size * walk.slice_size if in_slices else 0))
    walk.scratch_size = walk.gradient + (walk.size_params if materialized else 0)


cdef inline const floating* batch_input(const Walk* walk, const floating* _,
                                        Py_ssize_t first) noexcept nogil:
    """The dense rows of the batch that begins at sample `first`."""
    if walk.gathers:
        return <const floating*>walk.scratch + walk.gathered
    if walk.order != NULL:
        first = walk.order[first]
    return <const floating*>walk.x + first * walk.row_length


cdef inline floating* layer_rows(const Walk* walk, const floating* _, Py_ssize_t region,
                                 const Layer* layer, Py_ssize_t top) noexcept nogil:
    """Row `top` of the layer's activations, slopes or deltas."""
    return (<floating*>walk.scratch + region + walk.batch * layer.output
            + top * layer.fan_out)


cdef inline floating* packed_deltas(const Walk* walk, const floating* tag, const Layer* layer,
                                    Py_ssize_t rows) noexcept nogil:
    """Where the deltas of a batch of so many rows lie packed; NULL if they are not."""
    if walk.packed < 0 or rows < 2 or not is_packed(tag, layer.fan_in, layer.fan_out, rows) or (
            layer == walk.plan and walk.indptr != NULL):
        return NULL
    return (<floating*>walk.scratch + walk.packed + walk.batch * layer.output
            + (walk.batch + 1) * PACKED_MORE * (layer - walk.plan))


cdef inline const floating* packed_weights(const Walk* walk, const floating* _) noexcept nogil:
    """Where the weights of the first layer lie packed; NULL if they are not."""
    if walk.packed_weights < 0:
        return NULL
    return <const floating*>walk.scratch + walk.packed_weights


cdef inline floating* own_registers(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's registers of all tapes."""
    return <floating*>walk.scratch + walk.registers + walk.rank * walk.register_size


cdef inline floating* own_products(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's scratch of matrix products."""
    return <floating*>walk.scratch + walk.products + walk.rank * walk.product_size


cdef inline floating* own_slice(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's room for the gradient of a slice, which stays in cache."""
    return <floating*>walk.scratch + walk.slices + walk.rank * walk.slice_size


cdef inline floating* own_sums(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's room for the sums over the bins of codes."""
    return <floating*>walk.scratch + walk.sums + walk.rank * walk.sums_size


cdef inline floating* own_others(const Walk* walk, const floating* _) noexcept nogil:
    """This rank's room for the first weights of features that are no codes."""
    return <floating*>walk.scratch + walk.others + walk.rank * walk.others_size


cdef inline Codes batch_codes(const Walk* walk, const floating* _, Py_ssize_t top) noexcept nogil:
    """The codes of a batch from row `top` on."""
    cdef Codes batch = walk.codes
    batch.step = walk.batch
    batch.bins = <int32_t*>(<floating*>walk.scratch + walk.code_bins) + top
    batch.shares = <floating*>walk.scratch + walk.code_shares + top
    return batch


cdef inline uint64_t* held_columns(const Walk* walk, const floating* _) noexcept nogil:
    """For each column of CSR rows the nodes that hold it, see `join_held`; NULL: all do."""
    if walk.held < 0:
        return NULL
    return <uint64_t*>((<uintptr_t>(<floating*>walk.scratch + walk.held) + 7) // 8 * 8)
