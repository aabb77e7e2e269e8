"""From Python's objects to a Walk: what the doors receive is looked at here, once.

The arrays stay the caller's: a Walk has their addresses alone.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from fastbp.kernels cimport losses as _losses
from fastbp.kernels cimport matmul as _matmul
from fastbp.kernels cimport tape as _tape
from fastbp.kernels.losses cimport Loss
from fastbp.kernels.walk cimport Layer, Walk

cdef extern from "team.h" nogil:
    enum: team_words


cdef inline int64_t blas_int_max() noexcept nogil:
    """The largest dimension that BLAS's integers hold."""
    return (<int64_t>1 << (8 * sizeof(_matmul.blas_int) - 2)) * 2 - 1


cdef inline int bind_plan(Walk* walk, plan, Py_ssize_t batch) except -1:
    """The plan's rows, and every dimension within BLAS's integers; the caller keeps the plan.

    With tapes the plan comes as (plan, tapes, code, constants).
    """
    cdef Py_ssize_t l, most = blas_int_max(), row
    cdef const Layer* layer
    cdef Py_buffer rows
    walk.program.n_tapes = 0
    if isinstance(plan, tuple):
        bind_program(&walk.program, plan)
        plan = plan[0]
    # As mere bytes: NumPy takes longer to tell the names of the fields than we to predict a row.
    PyObject_GetBuffer(plan, &rows, PyBUF_SIMPLE)
    walk.plan, walk.layers = <const Layer*>rows.buf, rows.len // sizeof(Layer)
    row = rows.itemsize
    PyBuffer_Release(&rows)
    if row != sizeof(Layer) or walk.layers < 1:
        raise ValueError(f"a plan has rows of {sizeof(Layer)} bytes, not of {row}")
    walk.batch = batch
    walk.size_params = 0
    for l in range(walk.layers):
        layer = walk.plan + l
        if not (1 <= layer.fan_in <= most and 1 <= layer.fan_out <= most and 1 <= batch <= most):
            for name, dimension in (("fan-in", layer.fan_in), ("fan-out", layer.fan_out),
                                    ("batch", batch)):
                if not 1 <= dimension <= most:
                    raise OverflowError(f"layer {l}: a {name} of {dimension} is out of the range "
                                        f"of BLAS, 1 to {most}")
        if layer.activation >= _tape.TAPES + walk.program.n_tapes:
            raise ValueError(f"layer {l} has the activation {layer.activation}, which is none")
        walk.size_params += (layer.fan_in + 1) * layer.fan_out
    return 0


cdef inline int bind_program(_tape.Program* program, tuple plan) except -1:
    """The tapes that come with a plan, within their arrays; the caller keeps them."""
    cdef const int64_t[:, ::1] tapes = plan[1]
    cdef const int32_t[:, ::1] code = plan[2]
    cdef const double[::1] constants = plan[3]
    cdef const _tape.Tape* tape
    cdef Py_ssize_t t
    program.n_tapes = tapes.shape[0]
    program.tapes = <const _tape.Tape*>&tapes[0, 0]
    program.code = <const _tape.Instruction*>&code[0, 0] if code.shape[0] else NULL
    program.constants = &constants[0] if constants.shape[0] else NULL
    if (tapes.shape[1] * sizeof(int64_t) != sizeof(_tape.Tape)
            or code.shape[1] * sizeof(int32_t) != sizeof(_tape.Instruction)):
        raise ValueError("tapes or instructions have another length")
    for t in range(program.n_tapes):
        tape = program.tapes + t
        if (tape.K < 1 or tape.code + tape.length > code.shape[0]
                or tape.constants + tape.n_constants * tape.K > constants.shape[0]):
            raise ValueError(f"tape {t} is longer than what it stands on")
    return 0


cdef inline int bind_loss(Walk* walk, dict hyper, Py_ssize_t targets) except -1:
    """The loss of `hyper`, for that many columns of targets; the caller keeps its parameters."""
    cdef const double[::1] parameters
    cdef Loss* loss = &walk.loss
    loss.kind, loss.link, loss.objective = hyper["loss"], hyper["link"], hyper["objective"]
    loss.K, loss.targets = walk.plan[walk.layers - 1].fan_out, targets
    loss.parameters = NULL
    if loss.kind >= _tape.TAPES:
        if (loss.kind >= _tape.TAPES + walk.program.n_tapes
                or walk.program.tapes[loss.kind - _tape.TAPES].K != loss.K):
            raise ValueError(f"there is no tape for the loss {loss.kind}")
    elif not 0 <= loss.kind < _losses.LOSSES_END:
        raise ValueError(f"no loss has the number {loss.kind}")
    if not 0 <= loss.link < _losses.LINKS_END:
        raise ValueError(f"no link has the number {loss.link}")
    # One number tells a class; but an output of its own is one number too.
    one_class = loss.kind == _losses.LOG_LOSS or loss.link == _losses.LINK_SOFTMAX
    if targets != (1 if one_class else loss.K):
        raise ValueError(f"y has {targets} columns, the plan {loss.K} outputs")
    if loss.kind in (_losses.HUBER, _losses.QUANTILE, _losses.TWEEDIE):
        parameters = hyper["parameters"]
        if parameters.shape[0] != (loss.K if loss.kind == _losses.QUANTILE else 1):
            raise ValueError(f"the loss has {parameters.shape[0]} parameters")
        loss.parameters = &parameters[0]
    return 0


cdef inline int bind_x(Walk* walk, const floating* _, x) except -1:
    """X as rows, or as a tuple (data, indices, indptr, features) of CSR; the caller keeps it."""
    cdef const floating[:, ::1] dense
    cdef const floating[::1] values
    cdef const int32_t[::1] indices
    cdef const int64_t[::1] indptr
    if isinstance(x, tuple):
        values, indices, indptr = x[0], x[1], x[2]
        walk.samples, walk.features = indptr.shape[0] - 1, 0
        features = x[3]
        walk.x = <const void*>&values[0] if values.shape[0] else NULL
        walk.indices = &indices[0] if indices.shape[0] else NULL
        walk.indptr = &indptr[0]
        if indices.shape[0] < indptr[walk.samples] or values.shape[0] < indptr[walk.samples]:
            raise ValueError("CSR arrays are shorter than indptr says")
    else:
        dense = x
        walk.samples, walk.features = dense.shape[0], dense.shape[1]
        features = dense.shape[1]
        walk.x = &dense[0, 0]
        walk.indptr = NULL
    if features != walk.plan[0].fan_in:
        raise ValueError(f"X has {features} features, the plan {walk.plan[0].fan_in}")
    return 0


cdef inline int bind_data(Walk* walk, const floating* tag, tuple data, dict hyper) except -1:
    """data = (X, y, sample_weight or None, order or None)."""
    cdef const floating[:, ::1] y = data[1]
    cdef const double[::1] sample_weight
    cdef const Py_ssize_t[::1] order
    bind_x(walk, tag, data[0])
    bind_loss(walk, hyper, y.shape[1])
    walk.y = &y[0, 0]
    walk.sample_weight, walk.order = NULL, NULL
    if y.shape[0] != walk.samples:
        raise ValueError(f"y has {y.shape[0]} rows, X {walk.samples}")
    if data[2] is not None:
        sample_weight = data[2]
        walk.sample_weight = &sample_weight[0]
        if sample_weight.shape[0] != walk.samples:
            raise ValueError(f"{sample_weight.shape[0]} weights, X has {walk.samples} rows")
    if data[3] is not None:
        order = data[3]
        walk.order = &order[0]
        walk.samples = order.shape[0]
    return 0


cdef inline int bind_team(Walk* walk, tuple team) except -1:
    """team = (words, rank, size)."""
    cdef int32_t[::1] words = team[0]
    walk.words, walk.rank, walk.size = &words[0], team[1], team[2]
    if words.shape[0] != team_words:
        raise ValueError(f"a team has {team_words} words, not {words.shape[0]}")
    return 0


cdef inline int check_sizes(const Walk* walk, Py_ssize_t params, Py_ssize_t scratch,
                     Py_ssize_t tally=3) except -1:
    if tally < 2:
        raise ValueError(f"the tally has 2 numbers or 3, not {tally}")
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
