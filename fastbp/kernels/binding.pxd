"""From Python's objects to a Walk: each door checks here, once, what it receives.

The arrays stay the caller's: a Walk holds only their addresses. A code that is bound here is one
that every dispatch knows.
"""

from cpython.buffer cimport (
    PyBUF_ANY_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_SIMPLE,
    PyBuffer_IsContiguous,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cython cimport floating
from libc.stdint cimport int32_t, int64_t, intptr_t
from libc.string cimport memcpy

from fastbp.kernels.activations cimport is_activation
from fastbp.kernels.blas cimport bind_blas, blas_is_bound
from fastbp.kernels.losses cimport (
    GROUPED_LOG_LOSS,
    LINK_GROUPED,
    LINK_SOFTMAX,
    LOG_LOSS,
    SOFT_LOG_LOSS,
    Loss,
    has_smoothing,
    is_link,
    is_loss,
    is_trained,
    n_parameters,
    only_link,
    outputs_of_a_target,
)
from fastbp.kernels.matmul cimport matmul_native
from fastbp.kernels.scratch cimport (
    MOST_PACKED_WEIGHTS,
    PACKED_MORE,
    PREDICT_BLOCK,
    Use,
    in_blocks,
    lay_out,
)
from fastbp.kernels.tape cimport (
    TAPES,
    Instruction,
    Program,
    Tape,
    is_operation,
    register_size,
    registers_before,
    stays_within,
)
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "team.h" nogil:
    enum: team_words

cdef enum:
    # The largest dimension: that of BLAS's integers where they are shortest.
    MOST = 2147483647

cdef extern from *:
    """
    /* Numbers of any memory, at most: bytes, and sums of a few such sizes, do not overflow. A power
       of two, which is the same in double. */
    #define fastbp_most_numbers (PY_SSIZE_T_MAX / 16 + 1)
    """
    const Py_ssize_t MOST_NUMBERS "fastbp_most_numbers"


cdef inline int bind_backend() except -1:
    """Find BLAS, if products go through it and this is the first time."""
    if not matmul_native and not blas_is_bound():
        bind_blas()
    return 0


cdef inline int bind_plan(Walk* walk, program) except -1:
    """The plan's rows: every dimension within BLAS's integers, every activation a known one.

    With tapes the plan comes as a Program. The caller keeps it.
    """
    cdef Py_ssize_t l, row
    cdef const Layer* layer
    cdef Py_buffer rows
    bind_backend()
    plan = program
    walk.program.n_tapes = 0
    if isinstance(program, tuple):
        bind_program(&walk.program, program)
        plan = program.plan
    # As plain bytes: a typed view would check the names of the fields, which takes longer than the
    # prediction of a row.
    PyObject_GetBuffer(plan, &rows, PyBUF_SIMPLE)
    walk.plan, walk.layers = <const Layer*>rows.buf, rows.len // sizeof(Layer)
    row = rows.itemsize
    PyBuffer_Release(&rows)
    if row != sizeof(Layer) or walk.layers < 1:
        raise ValueError(f"a plan has rows of {sizeof(Layer)} bytes, not of {row}")
    walk.rank, walk.size, walk.transposed, walk.order = 0, 1, NULL, NULL
    walk.dropout.thresholds, walk.codes.n = NULL, 0
    walk.size_params = walk.widths = 0
    for l in range(walk.layers):
        check_layer(walk, l)
        layer = walk.plan + l
        # At most MOST^2 more than MOST_NUMBERS, which does not overflow.
        walk.size_params += <Py_ssize_t>(layer.fan_in * layer.fan_out)
        walk.widths += <Py_ssize_t>layer.fan_out
        if walk.size_params > MOST_NUMBERS:
            raise OverflowError(f"layer {l}: more than {MOST_NUMBERS} parameters up to here")
    for l in range(walk.layers):
        layer = walk.plan + l
        if layer.bias != walk.size_params + layer.output:
            raise ValueError(f"layer {l}: biases begin at {walk.size_params + layer.output}, not "
                             f"at {layer.bias}")
    walk.size_params += walk.widths
    return 0


cdef inline int check_layer(const Walk* walk, Py_ssize_t l) except -1:
    """Refuse a layer that does not go on where the layers before it end."""
    cdef const Layer* layer = walk.plan + l
    if not (1 <= layer.fan_in <= MOST and 1 <= layer.fan_out <= MOST):
        wide = ("fan-out", layer.fan_out)
        if not 1 <= layer.fan_in <= MOST:
            wide = ("fan-in", layer.fan_in)
        raise OverflowError(f"layer {l}: a {wide[0]} of {wide[1]} is out of the range of BLAS, "
                            f"1 to {MOST}")
    if not (is_activation(layer.activation) or is_tape(&walk.program, layer.activation, 1, 1)):
        raise ValueError(f"layer {l}: no activation has the code {layer.activation}")
    if l > 0 and layer.fan_in != walk.plan[l - 1].fan_out:
        raise ValueError(f"layer {l}: a fan-in of {layer.fan_in}, but the layer before has a "
                         f"fan-out of {walk.plan[l - 1].fan_out}")
    if layer.weight != walk.size_params or layer.output != walk.widths:
        raise ValueError(f"layer {l}: weights begin at {walk.size_params} and outputs at "
                         f"{walk.widths}, not at {layer.weight} and {layer.output}")
    return 0


cdef inline const floating* bind_array(const floating* _, array, Py_ssize_t rows,
                                       Py_ssize_t columns, str name, Py_ssize_t layer,
                                       char* transposed) except NULL:
    """Where an array of that shape begins; of one dimension if rows is 0. The caller keeps it.

    `transposed` receives whether it lies column by column.
    """
    cdef Py_buffer view
    cdef const floating* first
    cdef bint fits, is_double = sizeof(floating) == sizeof(double)
    # Not a typed view, which takes several times as long.
    PyObject_GetBuffer(array, &view, PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT)
    transposed[0] = not PyBuffer_IsContiguous(&view, c"C")
    first = <const floating*>view.buf
    fits = (view.format != NULL
            and view.format[0] == (c"d" if is_double else c"f") and view.format[1] == 0
            and <size_t>first % sizeof(floating) == 0
            and view.ndim == (2 if rows else 1)
            and view.shape[view.ndim - 1] == columns and (not rows or view.shape[0] == rows))
    PyBuffer_Release(&view)
    if not fits:
        shape = f"({rows}, {columns})" if rows else f"({columns},)"
        dtype = "float64" if is_double else "float32"
        raise ValueError(f"{name}[{layer}] is not an aligned {dtype} array of shape {shape}")
    return first


cdef inline bytearray bind_arrays(Walk* walk, const floating** params, tuple coefs,
                                  tuple intercepts):
    """Parameters of a bound plan that lie in arrays of their own, one or two for each layer.

    The layers get offsets from the first array, which `params` receives. The caller keeps the
    arrays, and the memory that is returned: a copy of the plan, then a byte for each layer.
    """
    cdef Py_ssize_t l, size = walk.layers * sizeof(Layer)
    cdef bytearray memory = PyByteArray_FromStringAndSize(NULL, size + walk.layers)
    cdef Layer* layers = <Layer*>PyByteArray_AS_STRING(memory)
    cdef char* transposed = PyByteArray_AS_STRING(memory) + size
    cdef char of_bias
    cdef Layer* layer
    cdef const floating* weight
    cdef const floating* bias
    if len(coefs) != walk.layers or len(intercepts) != walk.layers:
        raise ValueError(f"the plan has {walk.layers} layers, got {len(coefs)} arrays of weights "
                         f"and {len(intercepts)} of biases")
    memcpy(layers, walk.plan, size)
    for l in range(walk.layers):
        layer = layers + l
        weight = bind_array(params[0], coefs[l], layer.fan_in, layer.fan_out, "coefs", l,
                            transposed + l)
        bias = bind_array(params[0], intercepts[l], 0, layer.fan_out, "intercepts", l, &of_bias)
        if l == 0:
            params[0] = weight
        # As integers: pointers into different arrays have no difference in C.
        layer.weight = (<intptr_t>weight - <intptr_t>params[0]) // <intptr_t>sizeof(floating)
        layer.bias = (<intptr_t>bias - <intptr_t>params[0]) // <intptr_t>sizeof(floating)
    walk.plan, walk.transposed = layers, transposed
    return memory


cdef inline int bind_program(Program* bound, program) except -1:
    """The tapes of a Program, within their arrays, of known operations; the caller keeps them."""
    cdef const int64_t[:, ::1] tapes = program.tapes
    cdef const int32_t[:, ::1] code = program.code
    cdef const double[::1] constants = program.constants
    cdef Py_ssize_t t
    cdef double size = 0
    bound.n_tapes = tapes.shape[0]
    bound.tapes = <const Tape*>&tapes[0, 0] if tapes.shape[0] else NULL
    bound.code = <const Instruction*>&code[0, 0] if code.shape[0] else NULL
    bound.constants = &constants[0] if constants.shape[0] else NULL
    if (tapes.shape[1] * sizeof(int64_t) != sizeof(Tape)
            or code.shape[1] * sizeof(int32_t) != sizeof(Instruction)):
        raise ValueError("tapes or instructions have another length")
    for t in range(bound.n_tapes):
        check_tape(bound, t, code.shape[0], constants.shape[0])
        size += <double>bound.tapes[t].registers * register_size(bound.tapes[t].K)
        if size > MOST_NUMBERS:
            raise OverflowError(f"tape {t}: more than {MOST_NUMBERS} numbers in registers")
    return 0


cdef inline int check_tape(const Program* bound, Py_ssize_t t, Py_ssize_t length,
                           Py_ssize_t n_constants) except -1:
    """Refuse a tape that leaves its instructions, constants or registers."""
    cdef const Tape* tape = bound.tapes + t
    cdef const Instruction* line
    cdef Py_ssize_t i
    if not (1 <= tape.K <= MOST and 0 <= tape.code <= length
            and 0 <= tape.head <= tape.length <= length - tape.code
            and 0 <= tape.constants <= n_constants
            and 0 <= tape.n_constants <= (n_constants - tape.constants) // tape.K):
        raise ValueError(f"tape {t} is longer than its instructions or constants")
    # Each instruction fills one register at most.
    if not (tape.n_constants < tape.registers <= tape.n_constants + 2 + tape.length
            and 0 <= tape.value < tape.registers and 0 <= tape.derivative < tape.registers):
        raise ValueError(f"tape {t} has {tape.registers} registers, results in {tape.value} and "
                         f"{tape.derivative}")
    for i in range(tape.length):
        line = bound.code + tape.code + i
        if not is_operation(line.operation):
            raise ValueError(f"tape {t}: no operation has the code {line.operation}")
        if not stays_within(line, tape):
            raise ValueError(f"tape {t}: instruction {i} leaves its {tape.registers} registers "
                             f"or {tape.K} columns")
    return 0


cdef inline bint is_tape(const Program* program, Py_ssize_t code, Py_ssize_t K,
                         Py_ssize_t inputs) noexcept nogil:
    """Whether a code is that of a tape of K numbers a row, with registers for its inputs."""
    cdef const Tape* tape
    if not TAPES <= code < TAPES + program.n_tapes:
        return False
    tape = program.tapes + (code - TAPES)
    return tape.K == K and tape.registers >= tape.n_constants + inputs


cdef inline int check_link(Py_ssize_t link) except -1:
    """Refuse a code that is no link's."""
    if not is_link(link):
        raise ValueError(f"no link has the code {link}")
    return 0


cdef inline int check_widths(const double[::1] widths, Py_ssize_t K) except -1:
    """Refuse blocks of outputs that are not whole or do not tile K outputs."""
    cdef Py_ssize_t t
    cdef double first = 0
    for t in range(widths.shape[0]):
        # Whole, and so small that the sum is exact.
        if not (1 <= widths[t] <= K and widths[t] == <double><Py_ssize_t>widths[t]):
            raise ValueError(f"target {t} has {widths[t]} outputs, of {K} in all")
        first += widths[t]
    if first != K:
        raise ValueError(f"the targets have {first:.0f} outputs, not {K}")
    return 0


cdef inline const double* bind_widths(Py_ssize_t link, given, Py_ssize_t K) except? NULL:
    """The widths of the blocks of a link of several targets, of K outputs; NULL of other links. The
    caller keeps them."""
    cdef const double[::1] widths
    check_link(link)
    if link != LINK_GROUPED:
        return NULL
    if given is None:
        raise ValueError("the link of several targets needs the widths of their blocks")
    widths = given
    check_widths(widths, K)
    return &widths[0]


cdef inline int bind_objective(Walk* walk, objective, const floating[:, ::1] y) except -1:
    """Bind a LoweredObjective to targets y; the caller keeps its parameters."""
    cdef const double[::1] parameters
    cdef Loss* loss = &walk.loss
    cdef Py_ssize_t t, expected, given = 0, targets = y.shape[1]
    cdef Py_ssize_t kind = objective.loss, link = objective.link
    walk.alpha, walk.scale, loss.exact = objective.alpha, objective.scale, objective.exact
    loss.K, loss.targets, loss.stride = walk.plan[walk.layers - 1].fan_out, targets, targets
    loss.parameters, loss.smoothing = NULL, objective.smoothing
    if not (is_loss(kind) or is_tape(&walk.program, kind, loss.K, 2)):
        raise ValueError(f"no loss has the code {kind}")
    check_link(link)
    if not is_trained(<int>link) and link != only_link(<int>kind):
        raise ValueError(f"no loss has the link {link}: it is of predictions alone, or of several "
                         "targets")
    if only_link(<int>kind) not in (-1, link):
        raise ValueError(f"the loss {kind} has the link {only_link(<int>kind)}, not {link}")
    loss.kind, loss.link = <int>kind, <int>link
    if not (0 <= loss.smoothing < 1 and (has_smoothing(loss.kind) or loss.smoothing == 0)):
        raise ValueError(f"no loss {kind} has targets with a smoothing of {loss.smoothing}")
    # One number tells a class; but an output of its own is one number too.
    one_class = kind == LOG_LOSS or (link == LINK_SOFTMAX and kind != SOFT_LOG_LOSS)
    if kind != GROUPED_LOG_LOSS and targets != (1 if one_class else loss.K):
        raise ValueError(f"y has {targets} columns, the plan {loss.K} outputs")
    if loss.K % outputs_of_a_target(loss.kind):
        raise ValueError(f"the loss {kind} has {outputs_of_a_target(loss.kind)} outputs for each "
                         f"target, the plan {loss.K}")
    if one_class:
        check_classes(&y[0, 0], y.shape[0], loss.K, 0, 1)
    expected = n_parameters(loss.kind, loss.K, targets)
    if objective.parameters is not None:
        parameters = objective.parameters
        given = parameters.shape[0]
        loss.parameters = &parameters[0] if given else NULL
    if given != expected:
        raise ValueError(f"the loss has {expected} parameters, got {given}")
    if kind == GROUPED_LOG_LOSS:
        check_widths(parameters, loss.K)
        for t in range(targets):
            check_classes(&y[0, 0], y.shape[0], max(<Py_ssize_t>parameters[t], 2), t, targets)
    return 0


cdef inline int check_classes(const floating* y, Py_ssize_t n, Py_ssize_t K, Py_ssize_t t,
                              Py_ssize_t targets) except -1:
    """Refuse a y whose column t, of so many, is not the index of one of K classes."""
    cdef Py_ssize_t i
    cdef bint known = True
    cdef floating end = K
    for i in range(n):
        known &= (y[i * targets + t] >= 0) & (y[i * targets + t] < end)
    if not known:
        for i in range(n):
            if not 0 <= y[i * targets + t] < end:
                place = f"{i}" if targets == 1 else f"{i}, {t}"
                raise ValueError(f"y[{place}] is {y[i * targets + t]}, which is no class: they are "
                                 f"0 to {K - 1}")
    return 0


cdef inline int check_indptr(const int64_t* indptr, Py_ssize_t rows, Py_ssize_t entries) except -1:
    """Refuse row pointers that do not rise from 0 or more to `entries` or less."""
    cdef Py_ssize_t r
    cdef bint rises = True
    if rows < 0:
        raise ValueError("indptr is empty")
    for r in range(rows):
        rises &= indptr[r] <= indptr[r + 1]
    if not rises or indptr[0] < 0:
        raise ValueError("indptr does not rise from 0 on")
    if indptr[rows] > entries:
        raise ValueError("CSR arrays are shorter than indptr says")
    return 0


cdef inline int bind_x(Walk* walk, const floating* _, x) except -1:
    """Bind X, dense rows or CSR; the caller keeps it."""
    cdef const floating[:, ::1] dense
    cdef const floating[::1] values
    cdef const int32_t[::1] indices
    cdef const int64_t[::1] indptr
    walk.order = NULL
    walk.zeros_in_rows = walk.zeros_in_columns = False
    if isinstance(x, tuple):
        values, indices, indptr = x.data, x.indices, x.indptr
        walk.samples, walk.features, walk.row_length = indptr.shape[0] - 1, 0, 0
        features = x.n_features
        walk.x = <const void*>&values[0] if values.shape[0] else NULL
        walk.indices = &indices[0] if indices.shape[0] else NULL
        walk.indptr = &indptr[0] if indptr.shape[0] else NULL  # which is refused
        check_indptr(walk.indptr, walk.samples, min(indices.shape[0], values.shape[0]))
    else:
        dense = x
        walk.samples, walk.features = dense.shape[0], dense.shape[1]
        walk.row_length = features = walk.features
        walk.x = &dense[0, 0]
        walk.indptr = NULL
    if features != walk.plan[0].fan_in:
        raise ValueError(f"X has {features} features, the plan {walk.plan[0].fan_in}")
    return 0


cdef inline int bind_samples(Walk* walk, const floating* tag, samples, objective) except -1:
    """X, targets and weights of the samples, and the objective on them; the caller keeps them."""
    cdef const floating[:, ::1] y = samples.y
    cdef const double[::1] sample_weight
    weight = samples.weight
    bind_x(walk, tag, samples.x)
    bind_objective(walk, objective, y)
    walk.y = &y[0, 0]
    walk.sample_weight = NULL
    if y.shape[0] != walk.samples:
        raise ValueError(f"y has {y.shape[0]} rows, X {walk.samples}")
    if weight is not None:
        sample_weight = weight
        walk.sample_weight = &sample_weight[0]
        if sample_weight.shape[0] != walk.samples:
            raise ValueError(f"{sample_weight.shape[0]} weights, X has {walk.samples} rows")
    return 0


cdef inline int check_words(int32_t[::1] words) except -1:
    """Refuse other memory than that of a team."""
    if words.shape[0] != team_words:
        raise ValueError(f"a team has {team_words} words, not {words.shape[0]}")
    return 0


cdef inline int bind_rank(Walk* walk, rank) except -1:
    """One rank of a team, which shares the team's words."""
    cdef int32_t[::1] words = rank.words
    check_words(words)
    walk.words, walk.rank, walk.size = &words[0], rank.rank, rank.size
    if not 0 <= walk.rank < walk.size:
        raise ValueError(f"a team of {walk.size} has no rank {walk.rank}")
    return 0


cdef inline int bind_layout(Walk* walk, Use use, Py_ssize_t batch) except -1:
    """The regions of the scratch that a use has, for batches of that many rows."""
    if batch < 1 or (batch > MOST and not in_blocks(use)):
        raise OverflowError(f"a batch of {batch} is out of the range of BLAS, 1 to {MOST}")
    check_scratch_size(walk, use, batch)
    lay_out(walk, use, batch)
    return 0


cdef inline int check_scratch_size(const Walk* walk, Use use, Py_ssize_t batch) except -1:
    """Refuse a layout whose offsets would overflow."""
    cdef double rows = min(batch, PREDICT_BLOCK) if in_blocks(use) else batch
    cdef double of_rank = 2.0 * walk.size_params + registers_before(&walk.program,
                                                                    walk.program.n_tapes)
    cdef double of_row = walk.plan[0].fan_in + 5.0 * walk.widths + PACKED_MORE * walk.layers
    of_row += 2.0 * walk.codes.n
    of_rank += 2.0 * MOST_PACKED_WEIGHTS
    if (rows + 1) * of_row + walk.size * of_rank > MOST_NUMBERS:
        raise OverflowError(f"the scratch of {walk.size} ranks for batches of {batch} would be "
                            f"larger than {MOST_NUMBERS} numbers")
    return 0


cdef inline int check_sizes(const Walk* walk, Py_ssize_t params, Py_ssize_t scratch) except -1:
    """Refuse an arena or a scratch of another size."""
    if params != walk.size_params:
        raise ValueError(f"the plan has {walk.size_params} parameters, the arena {params}")
    if scratch < walk.scratch_size:
        raise ValueError(f"{walk.scratch_size} numbers of scratch are needed, not {scratch}")
    return 0


cdef inline floating* room(const floating* _, array, Py_ssize_t size) except? NULL:
    """Where an array of that size begins; NULL for None."""
    cdef floating[::1] view
    if array is None:
        return NULL
    view = array
    if view.shape[0] != size:
        raise ValueError(f"an array of {size} numbers is needed, not of {view.shape[0]}")
    return &view[0]
