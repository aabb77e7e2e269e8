"""From a Task of training to a Walk: order, rule, dropout, epochs, rates, origin; and Sums."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from cython cimport floating
from libc cimport math
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from fastbp.kernels.binding cimport MOST_NUMBERS
from fastbp.kernels.epochs cimport COUNTERS_END, BitGenerator, Epochs
from fastbp.kernels.optimizers cimport is_optimizer, rule_rows
from fastbp.kernels.tree cimport TOTALS_END, Run, most_nodes
from fastbp.kernels.walk cimport Walk

cdef extern from "gemm.h" nogil:
    const int gemm_has_tiles


cdef inline int bind_order(Walk* walk, rows) except -1:
    """The rows that an epoch walks, in their order; None: all. The caller keeps them."""
    cdef const Py_ssize_t[::1] order
    if rows is not None:
        order = rows
        if order.shape[0] > walk.samples:
            raise ValueError(f"the order has {order.shape[0]} rows, X {walk.samples}")
        check_order(&order[0], order.shape[0], walk.samples)
        walk.order = &order[0]
        walk.samples = order.shape[0]
    return 0


cdef inline int check_order(const Py_ssize_t* order, Py_ssize_t n, Py_ssize_t rows) except -1:
    """Refuse an order that names other rows: it was written by the user's random_state."""
    cdef Py_ssize_t r
    cdef size_t signs = 0
    for r in range(n):  # of the row, and of its distance from the last row
        signs |= <size_t>order[r] | (<size_t>(rows - 1) - <size_t>order[r])
    if <Py_ssize_t>signs < 0:
        for r in range(n):
            if not 0 <= order[r] < rows:
                raise ValueError(f"the shuffle of random_state gave an order with row {order[r]}, "
                                 f"X has rows 0 to {rows - 1}")
    return 0


cdef inline int bind_rule(Walk* walk, rule) except -1:
    """An optimizer with its constants."""
    if rule is None:
        raise ValueError("training needs a rule")
    walk.rule = rule
    if not is_optimizer(walk.rule.optimizer):
        raise ValueError(f"no optimizer has the code {walk.rule.optimizer}")
    return 0


cdef inline int bind_dropout(Walk* walk, dropout) except -1:
    """Which units are dropped, of a bound plan; None: none. The caller keeps it."""
    cdef const uint32_t[::1] thresholds
    cdef const uint64_t[::1] seen
    cdef Py_ssize_t l
    if dropout is None:
        return 0
    thresholds, seen = dropout.thresholds, dropout.seen
    if thresholds.shape[0] != walk.layers or seen.shape[0] != 1:
        raise ValueError(f"dropout has a threshold for each of {walk.layers} layers and one number "
                         f"of samples, not {thresholds.shape[0]} and {seen.shape[0]}")
    for l in range(walk.layers):
        if thresholds[l] > 65535:
            raise ValueError(f"a threshold of dropout is at most 65535, not {thresholds[l]}")
    walk.dropout.thresholds = &thresholds[0]
    walk.dropout.seed, walk.dropout.seen = dropout.seed, seen[0]
    return 0


cdef inline int bind_firsts(Walk* walk, codes) except -1:
    """Where the columns of each code begin, of a bound plan; None: there are no codes."""
    cdef const Py_ssize_t[::1] first
    cdef Py_ssize_t j
    if codes is None:
        return 0
    first = codes.first
    if first.shape[0] < 2 or first[0] < 1 or first[first.shape[0] - 1] > walk.plan.fan_in:
        raise ValueError(f"the columns of codes are some of {walk.plan.fan_in}, behind others")
    for j in range(first.shape[0] - 1):
        if first[j] >= first[j + 1]:
            raise ValueError(f"code {j} has the columns {first[j]} to {first[j + 1]}")
    walk.codes.n, walk.codes.first, walk.codes.one = first.shape[0] - 1, &first[0], codes.one
    return 0


cdef inline int bind_codes(Walk* walk, const floating* _, codes) except -1:
    """The codes of dense samples, which their rows have too; None: none. The caller keeps them."""
    cdef const int32_t[:, ::1] bins
    cdef const floating[:, ::1] shares
    cdef Py_ssize_t r, j
    cdef bint known = True
    if codes is None:
        return 0
    bind_firsts(walk, codes)
    bins, shares = codes.bins, codes.shares
    if not gemm_has_tiles:
        raise ValueError("this build takes no codes")
    if walk.indptr != NULL:
        raise ValueError("CSR rows have no codes")
    if (bins.shape[0] != walk.samples or shares.shape[0] != walk.samples
            or bins.shape[1] != walk.codes.n or shares.shape[1] != walk.codes.n):
        raise ValueError(f"each of {walk.samples} samples has a bin and a share for each of "
                         f"{walk.codes.n} codes")
    with nogil:
        for r in range(walk.samples):
            for j in range(walk.codes.n):
                known &= 0 <= bins[r, j] < walk.codes.first[j + 1] - walk.codes.first[j]
    if not known:
        raise ValueError("a code has no such bin")
    walk.codes.bins, walk.codes.shares, walk.codes.step = &bins[0, 0], &shares[0, 0], 1
    walk.features -= walk.codes.first[walk.codes.n] - walk.codes.first[0]
    return 0


cdef inline int bind_epochs(const Walk* walk, Epochs* epochs, task, double* alone) except -1:
    """The epochs of a task. The caller keeps them.

    None: one epoch in the order that the task has, with its loss and counters in `alone`.
    """
    cdef double[::1] counters, losses
    cdef Py_ssize_t[::1] order
    cdef Py_ssize_t k
    wanted = task.epochs
    epochs.is_rest = task.goes_on
    epochs.order, epochs.generator = NULL, NULL
    if wanted is None:
        epochs.most, epochs.tol, epochs.patience = 1, 0, math.INFINITY
        for k in range(COUNTERS_END):
            alone[k] = 0
        epochs.counters, epochs.losses = alone, alone + COUNTERS_END
        return 0
    counters, losses = wanted.counters, wanted.losses
    epochs.most, epochs.tol, epochs.patience = losses.shape[0], wanted.tol, wanted.patience
    if epochs.most < 1 or counters.shape[0] != COUNTERS_END:
        raise ValueError(f"epochs have room for a loss at least and {COUNTERS_END} counters, not "
                         f"{epochs.most} and {counters.shape[0]}")
    epochs.counters, epochs.losses = &counters[0], &losses[0]
    if wanted.generator is not None:
        if walk.order == NULL:
            raise ValueError("there is no order to shuffle")
        order = task.order
        epochs.order = &order[0]
        epochs.generator = <BitGenerator*>PyCapsule_GetPointer(wanted.generator, "BitGenerator")
    return 0


cdef inline int bind_rates(Walk* walk, const double[:, ::1] rates, Py_ssize_t epochs) except -1:
    """A row of rates for all steps, for each epoch or for each step; the caller keeps them."""
    cdef Py_ssize_t steps = (walk.samples + walk.batch - 1) // walk.batch, rows
    if rates is None or rates.shape[1] < 1:
        raise ValueError("rates have rows of a number at least")
    rows = rates.shape[0]
    walk.rates, walk.rate_stride, walk.epoch_stride = &rates[0, 0], 0, 0
    if rows == 1:
        return 0
    if rows == epochs:
        walk.epoch_stride = rates.shape[1]
    elif rows >= steps * epochs:
        walk.rate_stride, walk.epoch_stride = rates.shape[1], steps * rates.shape[1]
    else:
        raise ValueError(f"rates have a row for each of {steps} steps of {epochs} epochs, for each "
                         f"epoch or for all, not {rows}")
    return 0


cdef inline int bind_origin(Walk* walk, const floating* _, origin, double steps) except -1:
    """What the first step reads, unless steps were made since; the caller keeps it."""
    cdef const floating[::1] params
    cdef const floating[:, ::1] state
    walk.origin_params = walk.origin_state = NULL
    if origin is None or origin.steps != steps:
        return 0
    params, state = origin.params, origin.state
    if (params.shape[0] != walk.size_params or state.shape[1] != walk.size_params
            or state.shape[0] != rule_rows(&walk.rule)):
        raise ValueError("the origin does not fit the plan and the optimizer")
    walk.origin_params, walk.origin_state = &params[0], &state[0, 0]
    return 0


cdef inline int check_run(Py_ssize_t first, Py_ssize_t end, Py_ssize_t rows, Py_ssize_t nodes,
                          Py_ssize_t totals) except -1:
    """Refuse the sums of no run of chunks, with too few rows, or with other totals."""
    if not 0 <= first <= end <= MOST_NUMBERS:
        raise ValueError(f"no run has the chunks {first} to {end}")
    if rows < nodes or totals != TOTALS_END:
        raise ValueError(f"the sums of the chunks {first} to {end} have {nodes} rows and "
                         f"{TOTALS_END} totals, not {rows} and {totals}")
    return 0


cdef inline int bind_run(Run* run, const floating* _, sums, Py_ssize_t size,
                         Py_ssize_t more) except -1:
    """Sums with room for so many chunks more; the caller keeps them."""
    cdef floating[:, ::1] grads = sums.grads
    cdef double[:, ::1] totals = sums.totals
    cdef const int64_t[::1] chunks = sums.chunks
    if chunks.shape[0] != 2 or grads.shape[1] != size:
        raise ValueError(f"the sums are of {size} parameters and have 2 chunks, not of "
                         f"{grads.shape[1]} and {chunks.shape[0]}")
    run.first, run.end = chunks[0], chunks[1]
    check_run(run.first, run.end, 1, 1, totals.shape[1])
    check_run(run.first, run.end + more, min(grads.shape[0], totals.shape[0]),
              most_nodes(run.first, run.end + more), totals.shape[1])
    run.grads, run.totals = &grads[0, 0], &totals[0, 0]
    return 0
