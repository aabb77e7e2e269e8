"""The compiled core: its doors. It owns no memory.

The ranks of a team are Python threads inside the same door without the GIL. They agree only at
barriers: a stop takes effect before an update or not at all.
"""

from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython cimport floating
from libc cimport math
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastbp.kernels cimport (
    activations,
    affine,
    dropout as dropping,
    losses,
    matmul,
    optimizers,
    scalar,
    tape,
)
from fastbp.kernels.binding cimport (
    MOST,
    bind_arrays,
    bind_backend,
    bind_layout,
    bind_objective,
    bind_plan,
    bind_program,
    bind_rank,
    bind_samples,
    bind_widths,
    bind_x,
    check_sizes,
    check_words,
    is_tape,
    room,
)
from fastbp.kernels.binding_task cimport (
    bind_codes,
    bind_dropout,
    bind_epochs,
    bind_firsts,
    bind_order,
    bind_origin,
    bind_rates,
    bind_rule,
    bind_run,
    check_run,
)
from fastbp.kernels.codes cimport code_row
from fastbp.kernels.column_phase cimport (
    batch_weight,
    derive_columns,
    fill_columns,
    finish_columns,
    hold_columns,
    penalty,
    sum_losses,
)
from fastbp.kernels.epochs cimport (
    BEST_LOSS as AT_BEST_LOSS,
    BEGUN as AT_BEGUN,
    COUNTERS_END,
    DONE as AT_DONE,
    FIRST_STEP as AT_FIRST_STEP,
    FINITE as AT_FINITE,
    STALLS as AT_STALLS,
    BitGenerator,
    Epochs,
    count_stall,
    draw,
    epochs_rank,
    shuffle,
)
from fastbp.kernels.finite cimport all_below, all_finite
from fastbp.kernels.row_phase cimport (
    backward,
    begin_rows,
    copy_layers,
    copy_slopes,
    fill_registers,
    forward,
    losses_and_deltas,
    output_deltas,
    row_phase,
    rows_of,
)
from fastbp.kernels.scratch cimport (
    BLAS_ROWS as N_BLAS_ROWS,
    EPOCH,
    EPOCH_CLIPPED,
    EPOCH_CSR,
    EXAMINE,
    GRADIENT,
    PREDICT,
    PREDICT_ARRAYS,
    Use,
    VALIDATE,
    drops,
    layer_rows,
    own_products,
)
from fastbp.kernels.tree cimport (
    LOSS as SUM_LOSS,
    ROWS as SUM_ROWS,
    TOTALS_END,
    WEIGHT as SUM_WEIGHT,
    Run,
    join,
    most_nodes,
    n_joins,
    n_nodes,
    node_size,
    whole_totals,
)
from fastbp.kernels.walk cimport Layer, Walk
from fastbp.kernels.zeros cimport (
    decide_on_zeros,
    has_many_zeros,
    keep_if_finite,
    look_for_zeros,
    may_leave_out,
)

cdef extern from "team.h" nogil:
    enum: team_stop, team_leave, team_abort, team_words
    int team_read(const int32_t* words, int which)
    void team_write(int32_t* words, int which, int value)
    int team_decide(int32_t* words, int value)
    int team_start(int32_t* words, int size)
    int team_barrier(int32_t* words, int size)
    uint64_t flush_to_zero()
    void flush_restore(uint64_t before)

cdef extern from *:
    """
    #ifdef FASTBP_DEBUG
    #define fastbp_debug 1
    #else
    #define fastbp_debug 0
    #endif
    """
    const int fastbp_debug

DEBUG = bool(fastbp_debug)
HAS_CODES = bool(matmul.gemm_has_tiles)  # whether epochs read codes of samples
TEAM_WORDS = team_words
TEAM_STOP = team_stop  # the word that asks the ranks to stop
BLAS_ROWS = N_BLAS_ROWS
BLAS_INT_MAX = MOST  # the largest dimension
ACTIVATIONS = {
    "identity": activations.IDENTITY, "logistic": activations.LOGISTIC,
    "tanh": activations.TANH, "relu": activations.RELU, "leaky_relu": activations.LEAKY_RELU,
    "elu": activations.ELU, "selu": activations.SELU, "softplus": activations.SOFTPLUS,
    "hard_sigmoid": activations.HARD_SIGMOID, "step": activations.STEP,
    "gelu": activations.GELU, "gelu_tanh": activations.GELU_TANH, "silu": activations.SILU,
    "mish": activations.MISH,
}
LOSSES = {
    "squared_error": losses.SQUARED_ERROR, "absolute_error": losses.ABSOLUTE_ERROR,
    "huber": losses.HUBER, "quantile": losses.QUANTILE, "log_cosh": losses.LOG_COSH,
    "gaussian": losses.GAUSSIAN, "poisson": losses.POISSON, "gamma": losses.GAMMA,
    "tweedie": losses.TWEEDIE, "binary_log_loss": losses.BINARY_LOG_LOSS,
    "log_loss": losses.LOG_LOSS, "soft_log_loss": losses.SOFT_LOG_LOSS,
    "grouped_log_loss": losses.GROUPED_LOG_LOSS,
}
LINKS = {"identity": losses.LINK_IDENTITY, "exp": losses.LINK_EXP,
         "logistic": losses.LINK_LOGISTIC, "softplus": losses.LINK_SOFTPLUS,
         "softmax": losses.LINK_SOFTMAX, "grouped_softmax": losses.LINK_GROUPED,
         "relu": losses.LINK_RELU, "tanh": losses.LINK_TANH}
TAPES = tape.TAPES  # the codes of tapes begin here
OPTIMIZERS = {"sgd": optimizers.SGD, "adam": optimizers.ADAM}
TAPE_OPERATIONS = {
    "add": tape.T_ADD, "subtract": tape.T_SUBTRACT, "multiply": tape.T_MULTIPLY,
    "divide": tape.T_DIVIDE, "power": tape.T_POWER, "maximum": tape.T_MAXIMUM,
    "minimum": tape.T_MINIMUM, "less": tape.T_LESS, "less_equal": tape.T_LESS_EQUAL,
    "equal": tape.T_EQUAL, "where": tape.T_WHERE, "negative": tape.T_NEGATIVE,
    "abs": tape.T_ABS, "sign": tape.T_SIGN, "relu": tape.T_RELU, "sqrt": tape.T_SQRT,
    "exp": tape.T_EXP, "expm1": tape.T_EXPM1, "log": tape.T_LOG, "log1p": tape.T_LOG1P,
    "sin": tape.T_SIN, "cos": tape.T_COS, "sinh": tape.T_SINH, "cosh": tape.T_COSH,
    "tanh": tape.T_TANH, "sigmoid": tape.T_SIGMOID, "softplus": tape.T_SOFTPLUS,
    "erf": tape.T_ERF, "sum": tape.T_SUM, "largest": tape.T_LARGEST,
    "spread": tape.T_SPREAD, "item": tape.T_ITEM, "place": tape.T_PLACE,
}
BACKENDS = ("native", "blas") if scalar.fastbp_fma else ("blas", "native")
matmul.gemm_start()
if not matmul.gemm_has_tiles:
    BACKENDS = ("blas",)
# The names are those of the estimators' parameters.
COMMON_CONSTANTS = ("weight_decay", "clip_norm", "ema_decay")  # 0: none
RULE_CONSTANTS = {"sgd": ("momentum", "nesterovs_momentum", *COMMON_CONSTANTS),
                  "adam": ("beta_1", "beta_2", "epsilon", *COMMON_CONSTANTS)}
ALL_CONSTANTS = tuple(dict.fromkeys(name for names in RULE_CONSTANTS.values() for name in names))
STATE_ROWS = {name: optimizers.state_rows(code) for name, code in OPTIMIZERS.items()}
# Where the counters of the epochs of a call lie.
BEGUN, DONE, FIRST_STEP = AT_BEGUN, AT_DONE, AT_FIRST_STEP
BEST_LOSS, STALLS, FINITE = AT_BEST_LOSS, AT_STALLS, AT_FINITE
N_COUNTERS = COUNTERS_END
USES = {"epoch": EPOCH, "epoch_clipped": EPOCH_CLIPPED, "epoch_csr": EPOCH_CSR,
        "gradient": GRADIENT, "predict": PREDICT, "predict_arrays": PREDICT_ARRAYS,
        "examine": EXAMINE, "validate": VALIDATE}

cdef Layer a_layer
PLAN = <Layer[:1]>&a_layer  # an array of one row of a plan, for its dtype


def use_backend(str name):
    """Let all products go through this backend, one of BACKENDS; before anything is computed."""
    if name not in BACKENDS:
        raise ValueError(f"this build has no backend {name!r} of matrix products, only {BACKENDS}")
    matmul.matmul_native = name == "native"


def scratch_size(program, Py_ssize_t batch, Py_ssize_t ranks, str use, dropout=None, codes=None):
    """Numbers of scratch for one of USES; of an epoch with this dropout and such codes."""
    cdef Walk walk
    if use not in USES:
        raise ValueError(f"no scratch for the use {use!r}")
    if ranks < 1:
        raise ValueError(f"a team has at least 1 rank, not {ranks}")
    bind_plan(&walk, program)
    walk.size = ranks
    bind_dropout(&walk, dropout)
    bind_firsts(&walk, codes)
    bind_layout(&walk, USES[use], batch)
    return walk.scratch_size


# ---- training -------------------------------------------------------------------------------

def train_epochs(program, floating[::1] params, floating[:, ::1] state, floating[::1] scratch,
                 double[::1] tally, task, rank):
    """Epochs of mini-batch steps, or the rest of one, in place; one rank's part of them.

    tally receives the sum of batch loss times batch size and the samples of the finished batches
    of the last epoch; steps are added to tally[2]. A stop leaves parameters, state and tally at a
    batch boundary. With an origin they are first written in the first step.
    """
    cdef Walk walk
    cdef Epochs epochs
    cdef double alone[COUNTERS_END + 1]
    cdef uint64_t before
    cdef Use use = EPOCH
    bind_plan(&walk, program)
    bind_rank(&walk, rank)
    bind_samples(&walk, &params[0], task.samples, task.objective)
    bind_codes(&walk, &params[0], task.samples.codes)
    look_for_zeros(&walk, &params[0])
    bind_order(&walk, task.order)
    bind_rule(&walk, task.rule)
    bind_dropout(&walk, task.dropout)
    if walk.indptr != NULL and drops(&walk, 0):
        raise ValueError("entries of CSR rows cannot be dropped")
    if walk.codes.n and drops(&walk, 0):
        raise ValueError("features that are codes cannot be dropped")
    if walk.indptr != NULL:
        use = EPOCH_CSR
    elif walk.rule.clip_norm > 0:
        use = EPOCH_CLIPPED
    bind_layout(&walk, use, task.batch)
    bind_epochs(&walk, &epochs, task, alone)
    bind_rates(&walk, task.rates, epochs.most)
    check_sizes(&walk, params.shape[0], scratch.shape[0])
    walk.scratch, walk.state = &scratch[0], &state[0, 0]
    walk.grads = NULL if use == EPOCH else &scratch[walk.gradient]
    if state.shape[1] != walk.size_params or state.shape[0] != optimizers.rule_rows(&walk.rule):
        raise ValueError("the optimizer's state does not fit the plan")
    if tally.shape[0] < 3:
        raise ValueError(f"the tally has 3 numbers, not {tally.shape[0]}")
    bind_origin(&walk, &params[0], task.origin, tally[2])
    with nogil:
        walk.zeros_in_rows &= walk.batch > 1  # one row, by one rank or by several, leaves none out
        keep_if_finite(&walk, &params[0] if walk.origin_params == NULL
                       else <const floating*>walk.origin_params)
        before = flush_to_zero()
        epochs_rank(&walk, &epochs, &params[0], &tally[0])
        flush_restore(before)


# ---- prediction, and inside the layers ------------------------------------------------------

cdef bint predict_blocks(Walk* walk, const floating* params, floating* out, int link,
                         const double* of_targets) noexcept nogil:
    """Forward in blocks of rows, then the link. Returns as `predict`."""
    cdef Py_ssize_t k, first, rows
    cdef const Layer* last = walk.plan + walk.layers - 1
    cdef Py_ssize_t K = last.fan_out
    cdef bint finite = True
    for k in range((walk.samples + walk.batch - 1) // walk.batch):
        first = k * walk.batch
        rows = min(walk.batch, walk.samples - first)
        forward(walk, params, first, 0, rows, &finite)
        memcpy(out + first * K, layer_rows(walk, params, walk.activations, last, 0),
               rows * K * sizeof(floating))
        losses.link_forward(link, of_targets, out + first * K, rows, K)
    return finite


cdef int predict_rows(Walk* walk, Use use, const floating* params, Py_ssize_t size_params,
                      floating[::1] scratch, floating[:, ::1] out, int link,
                      widths) except -1:
    """Predictions of all rows. Returns as `predict`."""
    cdef Py_ssize_t K = out.shape[1]
    cdef const double* of_targets = bind_widths(link, widths, K)
    cdef bint finite = True
    bind_layout(walk, use, walk.samples)
    check_sizes(walk, size_params, scratch.shape[0])
    walk.scratch = &scratch[0]
    if out.shape[0] != walk.samples or K != walk.plan[walk.layers - 1].fan_out:
        raise ValueError("the output does not fit")
    with nogil:
        begin_rows(walk, params)
        finite = predict_blocks(walk, params, &out[0, 0], link, of_targets)
    return finite


def predict(program, const floating[::1] params, floating[::1] scratch, x, floating[:, ::1] out,
            int link, widths=None):
    """Predictions of all rows. The link of several targets needs the widths of their blocks.

    Returns whether x is finite; also False if a sum of a finite x overflows in the first layer.
    """
    cdef Walk walk
    bind_plan(&walk, program)
    bind_x(&walk, &params[0], x)
    return predict_rows(&walk, PREDICT, &params[0], params.shape[0], scratch, out, link,
                        widths) != 0


def predict_arrays(program, tuple coefs, tuple intercepts, floating[::1] scratch, x,
                   floating[:, ::1] out, int link, widths=None):
    """`predict` where the parameters of each layer lie in two arrays of their own.

    They are read where they lie. Each is contiguous, by rows or by columns, aligned, and of the
    door's dtype. For CSR rows the first weights lie by rows.
    """
    cdef Walk walk
    cdef const floating* params = NULL
    bind_plan(&walk, program)
    _layers = bind_arrays(&walk, &params, coefs, intercepts)  # kept until the end
    bind_x(&walk, params, x)
    if walk.indptr != NULL and walk.transposed[0]:
        raise ValueError("coefs[0] lies by columns, which CSR rows cannot use")
    return predict_rows(&walk, PREDICT_ARRAYS, params, walk.size_params, scratch, out, link,
                        widths) != 0


def validate(program, const floating[::1] params, floating[::1] scratch, samples, objective,
             floating[:, ::1] out, floating[::1] losses_b):
    """Predictions of all rows, and the reported loss of each, which its weight does not change.

    Returns whether the sum of the losses is finite for certain.
    """
    cdef Walk walk
    cdef Py_ssize_t k, first, rows, K = out.shape[1]
    cdef const Layer* last
    bind_plan(&walk, program)
    bind_samples(&walk, &params[0], samples, objective)
    bind_layout(&walk, VALIDATE, walk.samples)
    check_sizes(&walk, params.shape[0], scratch.shape[0])
    walk.scratch, walk.sample_weight = &scratch[0], NULL
    last = walk.plan + walk.layers - 1
    if out.shape[0] != walk.samples or K != last.fan_out or losses_b.shape[0] != walk.samples:
        raise ValueError("the output does not fit")
    with nogil:
        begin_rows(&walk, &params[0])
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, NULL)
            memcpy(&out[first, 0], layer_rows(&walk, &params[0], walk.activations, last, 0),
                   rows * K * sizeof(floating))
            output_deltas(&walk, &params[0], first, 0, rows)
            memcpy(&losses_b[first], <floating*>walk.scratch + walk.losses,
                   rows * sizeof(floating))
            losses.link_forward(walk.loss.link, walk.loss.parameters, &out[first, 0], rows, K)
    return all_below(&losses_b[0], walk.samples, 1e290)


cdef int bind_examined(Walk* walk, const floating* params, Py_ssize_t size_params,
                       floating[::1] scratch) except -1:
    """The layout for the doors below, of samples that are bound."""
    bind_layout(walk, EXAMINE, walk.samples)
    check_sizes(walk, size_params, scratch.shape[0])
    walk.scratch = &scratch[0]
    fill_registers(walk, params)
    return 0


def look(program, const floating[::1] params, floating[::1] scratch, x, a, s):
    """Activations and slopes f'(z) of all layers for all rows, written into a and s.

    Each is None or a flat array: layer after layer, with all rows of each. The last activation is
    the raw prediction.
    """
    cdef Walk walk
    cdef Py_ssize_t k, first, rows
    cdef floating* out_a
    cdef floating* out_s
    bind_plan(&walk, program)
    bind_x(&walk, &params[0], x)
    bind_examined(&walk, &params[0], params.shape[0], scratch)
    out_a = room(&params[0], a, walk.samples * walk.widths)
    out_s = room(&params[0], s, walk.samples * walk.widths)
    with nogil:
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, NULL)
            if out_a != NULL:
                copy_layers(&walk, walk.activations, out_a, first, rows)
            if out_s != NULL:
                copy_slopes(&walk, out_s, first, rows)


def deltas(program, const floating[::1] params, floating[::1] scratch, task,
           floating[::1] deltas):
    """dloss/dz of all layers for all rows, each row's times its weight; flat as those of `look`."""
    cdef Walk walk
    cdef Py_ssize_t k, first, rows
    cdef floating* out
    bind_plan(&walk, program)
    bind_samples(&walk, &params[0], task.samples, task.objective)
    if task.order is not None:
        raise ValueError("deltas takes the rows in their own order")
    bind_examined(&walk, &params[0], params.shape[0], scratch)
    out = room(&params[0], deltas, walk.samples * walk.widths)
    with nogil:
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, NULL)
            output_deltas(&walk, &params[0], first, 0, rows)
            backward(&walk, &params[0], 0, rows)
            copy_layers(&walk, walk.deltas, out, first, rows)


def pull_back(program, const floating[::1] params, floating[::1] scratch, x,
              floating[::1] deltas, floating[::1] dx):
    """The derivatives of any function of the raw predictions, from the output back to x.

    Its derivatives by the raw predictions are given in the last layer of `deltas`, flat as those of
    `look`; the other layers are filled, and dx with their product with the first weights.
    """
    cdef Walk walk
    cdef Py_ssize_t k, first, rows
    cdef const Layer* layer
    cdef floating* out
    cdef floating* out_x
    bind_plan(&walk, program)
    bind_x(&walk, &params[0], x)
    bind_examined(&walk, &params[0], params.shape[0], scratch)
    out = room(&params[0], deltas, walk.samples * walk.widths)
    out_x = room(&params[0], dx, walk.samples * walk.plan.fan_in)
    with nogil:
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, NULL)
            layer = walk.plan + walk.layers - 1
            memcpy(layer_rows(&walk, &params[0], walk.deltas, layer, 0),
                   rows_of(&walk, out, layer, first), rows * layer.fan_out * sizeof(floating))
            backward(&walk, &params[0], 0, rows)
            copy_layers(&walk, walk.deltas, out, first, rows)
            layer = walk.plan
            affine.affine_backward_rows(
                out_x + first * layer.fan_in, layer_rows(&walk, &params[0], walk.deltas, layer, 0),
                &params[layer.weight], rows, layer.fan_in, layer.fan_out,
                own_products(&walk, &params[0]))


# ---- the rest -------------------------------------------------------------------------------

def is_finite(const floating[::1] x):
    """Whether no element is NaN or infinite."""
    return all_finite(&x[0], x.shape[0])


def stop_team(int32_t[::1] words):
    """Ask the ranks to stop at the next batch boundary, and cancel a launch that has not begun."""
    check_words(words)
    team_decide(&words[0], 2)
    team_write(&words[0], team_stop, 1)


def abort_team(int32_t[::1] words):
    """Release all waiting ranks at once, after another rank failed or did not start."""
    check_words(words)
    team_write(&words[0], team_abort, 1)


include "kernels/sums_door.pxi"
include "kernels/row_door.pxi"
include "kernels/codes_door.pxi"
include "kernels/kernel_doors.pxi"
