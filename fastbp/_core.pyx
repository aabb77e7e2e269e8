"""The compiled core: the doors and the batch loop. Owns no memory.

Ranks are Python threads inside the same door without the GIL. They agree at barriers alone: a stop
is taken before an update or not at all.
"""

from cython cimport floating
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from fastbp.kernels cimport activations as _activations
from fastbp.kernels cimport affine as _affine
from fastbp.kernels cimport losses as _losses
from fastbp.kernels cimport matmul as _matmul
from fastbp.kernels cimport optimizers as _optimizers
from fastbp.kernels cimport tape as _tape
from fastbp.kernels cimport walk as _walk
from fastbp.kernels cimport scalar
from fastbp.kernels.binding cimport (
    bind_data,
    bind_loss,
    bind_plan,
    bind_program,
    bind_team,
    bind_x,
    blas_int_max,
    check_sizes,
    room,
)
from fastbp.kernels.optimizers cimport Hyper, adam_rate
from fastbp.kernels.walk cimport (
    ADD,
    DERIVE,
    FINISH,
    PREDICT_BLOCK,
    STEP,
    Layer,
    Walk,
    backward,
    batch_weight,
    begin,
    column_phase,
    copy_layers,
    copy_slopes,
    forward,
    lay_out,
    layer_rows,
    output_deltas,
    penalty,
    row_phase,
    rows_of,
    sum_losses,
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
TEAM_WORDS = team_words
TEAM_STOP = team_stop  # the word that asks the ranks to stop
BLAS_ROWS = _walk.BLAS_ROWS
BLAS_INT_MAX = blas_int_max()
ACTIVATIONS = {
    "identity": _activations.IDENTITY, "logistic": _activations.LOGISTIC,
    "tanh": _activations.TANH, "relu": _activations.RELU, "leaky_relu": _activations.LEAKY_RELU,
    "elu": _activations.ELU, "selu": _activations.SELU, "softplus": _activations.SOFTPLUS,
    "hard_sigmoid": _activations.HARD_SIGMOID, "step": _activations.STEP,
    "gelu": _activations.GELU, "gelu_tanh": _activations.GELU_TANH, "silu": _activations.SILU,
    "mish": _activations.MISH,
}
LOSSES = {
    "squared_error": _losses.SQUARED_ERROR, "absolute_error": _losses.ABSOLUTE_ERROR,
    "huber": _losses.HUBER, "quantile": _losses.QUANTILE, "log_cosh": _losses.LOG_COSH,
    "poisson": _losses.POISSON, "gamma": _losses.GAMMA, "tweedie": _losses.TWEEDIE,
    "binary_log_loss": _losses.BINARY_LOG_LOSS, "log_loss": _losses.LOG_LOSS,
}
LINKS = {"identity": _losses.LINK_IDENTITY, "exp": _losses.LINK_EXP,
         "logistic": _losses.LINK_LOGISTIC, "softplus": _losses.LINK_SOFTPLUS,
         "softmax": _losses.LINK_SOFTMAX}
TAPES = _tape.TAPES  # the codes of tapes begin here
OPTIMIZERS = {"sgd": _optimizers.SGD, "adam": _optimizers.ADAM}
TAPE_OPERATIONS = {
    "add": _tape.T_ADD, "subtract": _tape.T_SUBTRACT, "multiply": _tape.T_MULTIPLY,
    "divide": _tape.T_DIVIDE, "power": _tape.T_POWER, "maximum": _tape.T_MAXIMUM,
    "minimum": _tape.T_MINIMUM, "less": _tape.T_LESS, "less_equal": _tape.T_LESS_EQUAL,
    "equal": _tape.T_EQUAL, "where": _tape.T_WHERE, "negative": _tape.T_NEGATIVE,
    "abs": _tape.T_ABS, "sign": _tape.T_SIGN, "relu": _tape.T_RELU, "sqrt": _tape.T_SQRT,
    "exp": _tape.T_EXP, "expm1": _tape.T_EXPM1, "log": _tape.T_LOG, "log1p": _tape.T_LOG1P,
    "sin": _tape.T_SIN, "cos": _tape.T_COS, "sinh": _tape.T_SINH, "cosh": _tape.T_COSH,
    "tanh": _tape.T_TANH, "sigmoid": _tape.T_SIGMOID, "softplus": _tape.T_SOFTPLUS,
    "erf": _tape.T_ERF, "sum": _tape.T_SUM, "largest": _tape.T_LARGEST,
    "spread": _tape.T_SPREAD, "item": _tape.T_ITEM, "place": _tape.T_PLACE,
}
MATMUL = ("native", "blas") if _matmul.gemm_has_fma else ("blas", "native")
if not _matmul.gemm_has_tiles:
    MATMUL = ("blas",)
STATE_ROWS = {name: _optimizers.state_rows(code) for name, code in OPTIMIZERS.items()}


def use_matmul(str way):
    """Let all products go this way, one of MATMUL; before anything is computed."""
    if way not in MATMUL:
        raise ValueError(f"this build has no products of the way {way!r}, only {MATMUL}")
    _matmul.matmul_native = way == "native"


def scratch_size(plan, Py_ssize_t batch, Py_ssize_t ranks, str use):
    """Numbers of scratch for a use: 'epoch', 'epoch_csr', 'gradient', 'predict' or 'examine'."""
    cdef Walk walk
    if use not in ("epoch", "epoch_csr", "gradient", "predict", "examine"):
        raise ValueError(f"no scratch for the use {use!r}")
    bind_plan(&walk, plan, min(batch, PREDICT_BLOCK) if use in ("predict", "examine") else batch)
    walk.size = ranks
    lay_out(&walk, use != "predict", use == "epoch", use == "epoch")
    return walk.scratch_size + (walk.size_params if use == "epoch_csr" else 0)


# ---- one rank's part ------------------------------------------------------------------------

cdef void epoch_rank(const Walk* walk, floating* params, double* tally) noexcept nogil:
    """One rank's part of an epoch. tally = loss times samples so far, samples, steps ever."""
    cdef Py_ssize_t k, first, rows
    cdef double weight, rate = walk.hyper.rate, step = tally[2], loss = 0
    begin(walk, <const floating*>params)
    if not team_start(walk.words, walk.size):
        return
    for k in range((walk.samples + walk.batch - 1) // walk.batch):
        first = k * walk.batch
        rows = min(walk.batch, walk.samples - first)
        row_phase(walk, <const floating*>params, first, rows)
        if not team_barrier(walk.words, walk.size) or team_read(walk.words, team_leave):
            return
        weight = batch_weight(walk, first, rows)
        if weight > 0:
            step += 1
            if walk.hyper.optimizer == _optimizers.ADAM:
                rate = adam_rate(&walk.hyper, step)
            if walk.rank == 0:
                loss = sum_losses(walk, <const floating*>params, rows)
            column_phase(walk, params, first, rows, DERIVE | STEP, rate, 1 / weight)
        if not team_barrier(walk.words, walk.size):
            return
        if walk.rank == 0:
            if weight > 0:
                loss = walk.hyper.loss_scale * loss + penalty(walk, <const floating*>params)
                tally[0] += loss / weight * rows
            tally[1] += rows
            tally[2] = step


cdef void gradient_rank(const Walk* walk, floating* params, double* tally) noexcept nogil:
    """One rank's part of the objective's gradient over all samples, walked in chunks."""
    cdef Py_ssize_t k, first, rows
    cdef double loss = 0, weight = batch_weight(walk, 0, walk.samples)
    begin(walk, <const floating*>params)
    if not team_start(walk.words, walk.size):
        return
    for k in range((walk.samples + walk.batch - 1) // walk.batch):
        first = k * walk.batch
        rows = min(walk.batch, walk.samples - first)
        row_phase(walk, <const floating*>params, first, rows)
        if not team_barrier(walk.words, walk.size) or team_read(walk.words, team_leave):
            return
        if walk.rank == 0:
            loss += sum_losses(walk, <const floating*>params, rows)
        column_phase(walk, params, first, rows, DERIVE | ADD if k > 0 else DERIVE, 0, 0)
        if not team_barrier(walk.words, walk.size):
            return
    column_phase(walk, params, 0, 0, FINISH, 0, 1 / weight)
    if team_barrier(walk.words, walk.size) and walk.rank == 0:
        tally[0] = (walk.hyper.loss_scale * loss + penalty(walk, <const floating*>params)) / weight
        tally[1] = walk.samples


cdef bint all_finite(const floating* x, Py_ssize_t n) noexcept nogil:
    """Whether no element is NaN or infinite: for all others x - x is 0."""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= x[i] - x[i] != 0
    return odd == 0


# ---- doors ----------------------------------------------------------------------------------

def train_epoch(plan, floating[::1] params, floating[:, ::1] state, floating[::1] scratch,
                double[::1] tally, tuple data, dict hyper, tuple team):
    """One epoch of mini-batch steps, in place; one rank of the team's part of it.

    data is (X, y, sample_weight or None, order or None), with CSR as X = (data, indices, indptr,
    features); hyper holds the fields of Hyper; team is (words, rank, size). tally receives the sum
    of batch loss times batch size and the samples of the finished batches; steps are added to
    tally[2]. A stop leaves parameters, state and tally at a batch boundary.
    """
    cdef Walk walk
    cdef uint64_t before
    walk.hyper = hyper
    bind_plan(&walk, plan, walk.hyper.batch)
    bind_team(&walk, team)
    bind_data(&walk, &params[0], data, hyper)
    lay_out(&walk, True, walk.order != NULL and walk.indptr == NULL, walk.indptr == NULL)
    walk.scratch, walk.state = &scratch[0], &state[0, 0]
    walk.grads = NULL
    check_sizes(&walk, params.shape[0], scratch.shape[0], tally.shape[0] - 1)
    if walk.indptr != NULL:
        if scratch.shape[0] < walk.scratch_size + walk.size_params:
            raise ValueError("the scratch has no room for the gradient that CSR data needs")
        walk.grads = &scratch[walk.scratch_size]
    if (state.shape[1] != walk.size_params
            or state.shape[0] != _optimizers.state_rows(walk.hyper.optimizer)):
        raise ValueError("the optimizer's state does not fit the plan")
    if walk.rank == 0:
        tally[0] = tally[1] = 0
    with nogil:
        before = flush_to_zero()
        epoch_rank(&walk, &params[0], &tally[0])
        flush_restore(before)


def loss_gradient(plan, floating[::1] params, floating[::1] grads, floating[::1] scratch,
                  double[::1] tally, tuple data, dict hyper, tuple team):
    """Reported loss and gradient of the objective over all samples, in chunks of hyper['batch'].

    Arguments as for train_epoch; tally receives the loss and the number of samples, which stays 0
    after a stop.
    """
    cdef Walk walk
    cdef uint64_t before
    walk.hyper = hyper
    bind_plan(&walk, plan, walk.hyper.batch)
    bind_team(&walk, team)
    bind_data(&walk, &params[0], data, hyper)
    if walk.order != NULL:
        raise ValueError("loss_gradient takes the rows as they stand")
    lay_out(&walk, True, False, False)
    walk.scratch, walk.state, walk.grads = &scratch[0], NULL, &grads[0]
    check_sizes(&walk, params.shape[0], scratch.shape[0], tally.shape[0])
    if grads.shape[0] != walk.size_params:
        raise ValueError("the gradient does not fit the plan")
    if walk.rank == 0:
        tally[0] = tally[1] = 0
    with nogil:
        before = flush_to_zero()
        gradient_rank(&walk, &params[0], &tally[0])
        flush_restore(before)


def predict(plan, const floating[::1] params, floating[::1] scratch, x, floating[:, ::1] out,
            int link):
    """Predictions of all rows: forward in blocks of rows, then the link.

    Returns whether x is finite; False as well where the first layer's sums of a finite x are not.
    """
    cdef Walk walk
    cdef Py_ssize_t k, first, rows, K = out.shape[1]
    cdef const Layer* last
    cdef bint finite = True
    bind_plan(&walk, plan, min(out.shape[0], PREDICT_BLOCK))
    walk.rank, walk.size, walk.order = 0, 1, NULL
    bind_x(&walk, &params[0], x)
    lay_out(&walk, False, False, False)
    walk.scratch = &scratch[0]
    check_sizes(&walk, params.shape[0], scratch.shape[0])
    last = walk.plan + walk.layers - 1
    if out.shape[0] != walk.samples or K != last.fan_out:
        raise ValueError("the output does not fit")
    with nogil:
        begin(&walk, &params[0])
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, &finite)
            memcpy(&out[first, 0], layer_rows(&walk, &params[0], walk.activations, last, 0),
                   rows * K * sizeof(floating))
            _losses.link_forward(link, &out[first, 0], rows, K)
    return finite


def examine(plan, const floating[::1] params, floating[::1] scratch, tuple data, hyper,
            tuple found):
    """What training's forward and backward leave in all layers, for all rows.

    found is (activations, slopes f'(z), deltas, dx), each an array or None. The first three are
    flat, layer by layer with all rows of each; the last activation is the raw prediction, and dx
    what comes back to X. Deltas are those of the loss, arguments as for train_epoch, and each row's
    are times its weight. Where hyper is None, data is (X,) and they are those of any function of
    the raw predictions: its derivatives by them come in the last layer of the deltas.
    """
    cdef Walk walk
    cdef Py_ssize_t k, first, rows
    cdef const Layer* layer
    cdef floating* activations
    cdef floating* slopes
    cdef floating* deltas
    cdef floating* dx
    cdef bint has_loss = hyper is not None
    bind_plan(&walk, plan, 1)
    if has_loss:
        bind_data(&walk, &params[0], data, hyper)
    else:
        bind_x(&walk, &params[0], data[0])
        walk.order = NULL
    if walk.order != NULL:
        raise ValueError("examine takes the rows as they stand")
    walk.rank, walk.size, walk.batch = 0, 1, min(walk.samples, PREDICT_BLOCK)
    lay_out(&walk, True, False, False)
    walk.scratch = &scratch[0]
    check_sizes(&walk, params.shape[0], scratch.shape[0])
    activations = room(&params[0], found[0], walk.samples * walk.widths)
    slopes = room(&params[0], found[1], walk.samples * walk.widths)
    deltas = room(&params[0], found[2], walk.samples * walk.widths)
    dx = room(&params[0], found[3], walk.samples * walk.plan.fan_in)
    if deltas == NULL and (dx != NULL or has_loss):
        raise ValueError("there is no room for the deltas")
    with nogil:
        begin(&walk, &params[0])
        for k in range((walk.samples + walk.batch - 1) // walk.batch):
            first = k * walk.batch
            rows = min(walk.batch, walk.samples - first)
            forward(&walk, &params[0], first, 0, rows, NULL)
            if activations != NULL:
                copy_layers(&walk, walk.activations, activations, first, rows)
            if slopes != NULL:
                copy_slopes(&walk, slopes, first, rows)
            if deltas == NULL:
                continue
            if has_loss:
                output_deltas(&walk, &params[0], first, 0, rows)
            else:
                layer = walk.plan + walk.layers - 1
                memcpy(layer_rows(&walk, &params[0], walk.deltas, layer, 0),
                       rows_of(&walk, deltas, layer, first),
                       rows * layer.fan_out * sizeof(floating))
            backward(&walk, &params[0], 0, rows)
            copy_layers(&walk, walk.deltas, deltas, first, rows)
            if dx != NULL:
                layer = walk.plan
                _affine.affine_backward_rows(
                    dx + first * layer.fan_in, layer_rows(&walk, &params[0], walk.deltas, layer, 0),
                    &params[layer.weight], rows, layer.fan_in, layer.fan_out)


def losses(plan, floating[:, ::1] z, const floating[:, ::1] y, dict hyper,
           floating[:, ::1] delta, floating[::1] row_losses, floating[::1] scratch):
    """Reported loss and delta of each row; z is used up."""
    cdef Walk walk
    cdef Py_ssize_t B = z.shape[0]
    bind_plan(&walk, plan, B)
    bind_loss(&walk, hyper, y.shape[1])
    walk.rank, walk.size = 0, 1
    lay_out(&walk, False, False, False)
    walk.scratch, walk.registers = &scratch[0], B * walk.loss.K
    if (z.shape[1] != walk.loss.K or delta.shape[1] != walk.loss.K or y.shape[0] != B
            or delta.shape[0] != B or row_losses.shape[0] != B
            or scratch.shape[0] < walk.registers + walk.register_size):
        raise ValueError("the arrays of a loss do not fit each other")
    with nogil:
        begin(&walk, &z[0, 0])
        _walk.row_losses(&walk, &row_losses[0], &delta[0, 0], &z[0, 0], &scratch[0], &y[0, 0], NULL,
                         B)


def links(int link, floating[:, ::1] z):
    """z := the prediction."""
    _losses.link_forward(link, &z[0, 0], z.shape[0], z.shape[1])


def is_finite(const floating[::1] x):
    """Whether no element is NaN or infinite."""
    return all_finite(&x[0], x.shape[0])


def stop_team(int32_t[::1] words):
    """Ask the ranks to stop at the next batch boundary; one that has not begun never will."""
    team_decide(&words[0], 2)
    team_write(&words[0], team_stop, 1)


def abort_team(int32_t[::1] words):
    """Let every waiting rank leave at once: for ranks whose mates did not start or failed."""
    team_write(&words[0], team_abort, 1)


# ---- doors of single kernels, for the tests -------------------------------------------------

def matmul(const floating[:, ::1] a, const floating[:, ::1] b, floating[:, ::1] c, str form,
           const floating[::1] bias=None, bint add=False):
    """c := bias + a b ('nn'), a b^T ('nt') or a^T b ('tn'; added to c if `add`)."""
    cdef Py_ssize_t m = c.shape[0], n = c.shape[1]
    if form == "nn":
        _matmul.matmul_nn(&c[0, 0], &a[0, 0], &b[0, 0], m, n, a.shape[1], &bias[0])
    elif form == "nt":
        _matmul.matmul_nt(&c[0, 0], &a[0, 0], &b[0, 0], m, n, a.shape[1])
    else:
        _matmul.matmul_tn(&c[0, 0], &a[0, 0], a.shape[1], &b[0, 0], m, n, a.shape[0], add)


def affine(const floating[:, ::1] a, const floating[:, ::1] w, const floating[::1] b,
           floating[:, ::1] z):
    """z := a w + b."""
    _affine.affine_forward(&z[0, 0], &a[0, 0], &w[0, 0], &b[0], a.shape[0], w.shape[0], w.shape[1])


def affine_gradient(const floating[:, ::1] a, const floating[:, ::1] w,
                    const floating[:, ::1] delta, floating[:, ::1] da, floating[:, ::1] dw,
                    floating[::1] db, bint add):
    """da := delta w^T;  dw := a^T delta;  db := 1^T delta (dw and db added to if `add`)."""
    cdef Py_ssize_t B = a.shape[0], I = w.shape[0], O = w.shape[1]
    _affine.affine_backward_rows(&da[0, 0], &delta[0, 0], &w[0, 0], B, I, O)
    _affine.affine_backward_weights(&dw[0, 0], &a[0, 0], I, &delta[0, 0], B, I, O, add)
    _affine.affine_backward_bias(&db[0], &delta[0, 0], B, O, add)


def affine_csr(tuple x, const Py_ssize_t[::1] order, const floating[:, ::1] w,
               const floating[::1] b, floating[:, ::1] z):
    """z := a w + b for the CSR rows in order."""
    cdef const floating[::1] data = x[0]
    cdef const int32_t[::1] indices = x[1]
    cdef const int64_t[::1] indptr = x[2]
    _affine.affine_forward_csr(&z[0, 0], &data[0], &indices[0], &indptr[0], &order[0], 0,
                               &w[0, 0], &b[0], z.shape[0], z.shape[1])


def affine_csr_gradient(tuple x, const Py_ssize_t[::1] order, const floating[:, ::1] delta,
                        floating[:, ::1] dw, Py_ssize_t top, Py_ssize_t end, bint add):
    """dw := a^T delta for the CSR rows in order, in the rows top..end of dw."""
    cdef const floating[::1] data = x[0]
    cdef const int32_t[::1] indices = x[1]
    cdef const int64_t[::1] indptr = x[2]
    _affine.affine_backward_weights_csr(
        &dw[0, 0], &data[0], &indices[0], &indptr[0], &order[0], 0, &delta[0, 0], delta.shape[0],
        dw.shape[1], top, end, add)


def activate(int activation, floating[::1] z, floating[::1] s):
    """z := f(z), and s := f'(z) where the backward needs it."""
    _activations.activation_forward(activation, &z[0], &s[0], z.shape[0])


def activate_gradient(int activation, floating[::1] delta, const floating[::1] a,
                      const floating[::1] s):
    """delta := delta f'(z), given a = f(z) and what `activate` left in s."""
    _activations.activation_backward(activation, &delta[0], &a[0], &s[0], a.shape[0])


def elementary(str name, floating[::1] x):
    """x := f(x), where f is an operation of one number on tapes, or 'reciprocal'."""
    cdef Py_ssize_t i
    cdef int operation = -1 if name == "reciprocal" else TAPE_OPERATIONS[name]
    if operation < 0:
        for i in range(x.shape[0]):
            x[i] = scalar.reciprocal(x[i])
    else:
        _tape.unary(operation, &x[0], &x[0], x.shape[0])


def run_tape(tuple plan, int which, floating[:, ::1] inputs, floating[::1] value,
             floating[:, ::1] derivative, floating[::1] registers):
    """Value and derivative of a tape that comes with a plan, over rows of its inputs.

    Of an activation inputs has one row of numbers, of a loss two: raw predictions and targets.
    """
    cdef _tape.Program program
    bind_program(&program, plan)
    if registers.shape[0] < _tape.registers_before(&program, program.n_tapes):
        raise ValueError("too few registers")
    with nogil:
        _tape.fill_constants(&program, &registers[0])
        if inputs.shape[0] == 1:
            memcpy(&value[0], &inputs[0, 0], value.shape[0] * sizeof(floating))
            _tape.tape_activation(&program, which, &registers[0], &value[0], &derivative[0, 0],
                                  value.shape[0])
        else:
            memcpy(&derivative[0, 0], &inputs[1, 0], inputs.shape[1] * sizeof(floating))
            _tape.tape_loss(&program, which, &registers[0], &value[0], &derivative[0, 0],
                            &inputs[0, 0], value.shape[0])


def step(floating[::1] w, const floating[::1] dw, floating[:, ::1] state, dict hyper, double t,
         double scale):
    """The optimizer's step number t by the gradient (dw + alpha w) scale."""
    cdef Hyper fields = hyper
    cdef double rate = fields.rate
    if fields.optimizer == _optimizers.ADAM:
        rate = adam_rate(&fields, t)
    _optimizers.optimizer_step(&w[0], &dw[0], &state[0, 0], state.shape[1], w.shape[0], &fields,
                               rate, fields.alpha, scale)
