"""The epochs of a call: the order and the steps of each, and whether another one follows."""

from cython cimport floating
from libc.stdint cimport int32_t, uint32_t, uint64_t

from fastbp.kernels.column_phase cimport (
    batch_weight,
    clipped_column_phase,
    column_phase,
    next_step,
    penalty,
    sum_losses,
)
from fastbp.kernels.finite cimport all_finite
from fastbp.kernels.optimizers cimport Step, rule_rows
from fastbp.kernels.row_phase cimport fill_registers, row_phase
from fastbp.kernels.single cimport single_steps, steps_singly
from fastbp.kernels.walk cimport Walk

cdef extern from "team.h" nogil:
    enum: team_leave, team_overflow
    int team_read(const int32_t* words, int which)
    int team_start(int32_t* words, int size)
    int team_barrier(int32_t* words, int size)

cdef struct BitGenerator:   # as NumPy lays it out: numpy/random/bitgen.h
    void* state
    uint64_t (*next_uint64)(void*) noexcept nogil
    uint32_t (*next_uint32)(void*) noexcept nogil
    double (*next_double)(void*) noexcept nogil
    uint64_t (*next_raw)(void*) noexcept nogil

cdef enum:                  # the counters of a call, which all ranks share
    BEGUN                   # epochs
    DONE                    # the same
    FIRST_STEP              # steps before the epoch that was begun last
    BEST_LOSS               # so far, also of earlier calls
    STALLS                  # epochs in a row without a better loss, the same
    FINITE                  # whether all parameters are, after the last epoch that is done
    GOES_ON                 # whether another epoch follows
    COUNTERS_END

cdef struct Epochs:
    Py_ssize_t most
    bint is_rest            # whether the first one goes on where a stop has cut it short
    Py_ssize_t* order       # NULL: it stays as it is
    BitGenerator* generator
    double tol              # smallest improvement that counts
    double patience         # stalls in a row that are tolerated
    double* losses          # of each epoch
    double* counters


cdef inline uint64_t draw(BitGenerator* generator, uint64_t most) noexcept nogil:
    """An integer from 0 to `most`: bits under a mask, drawn until they are not larger."""
    cdef uint64_t mask = most, value
    cdef int k
    for k in range(6):
        mask |= mask >> (1 << k)
    while True:
        if most <= 0xffffffffU:
            value = generator.next_uint32(generator.state) & mask
        else:
            value = generator.next_uint64(generator.state) & mask
        if value <= most:
            return value


cdef inline void shuffle(Py_ssize_t* order, Py_ssize_t n, BitGenerator* generator) noexcept nogil:
    """Fisher and Yates' shuffle from the end: the order that RandomState.shuffle gives."""
    cdef Py_ssize_t i, j
    for i in range(n - 1, 0, -1):
        j = <Py_ssize_t>draw(generator, i)
        order[i], order[j] = order[j], order[i]


cdef inline bint is_trained_finite(const Walk* walk, const floating* params) noexcept nogil:
    """Whether all parameters and their averages are finite."""
    cdef Py_ssize_t n = walk.size_params
    cdef const floating* averages = <const floating*>walk.state + (rule_rows(&walk.rule) - 1) * n
    return all_finite(params, n) and (walk.rule.ema_decay <= 0 or all_finite(averages, n))


cdef inline void count_stall(double* counters, double loss, double tol) noexcept nogil:
    """Count the epoch if its loss is no improvement; a loss that is NaN ends the count."""
    counters[STALLS] = counters[STALLS] + 1 if loss > counters[BEST_LOSS] - tol else 0
    if loss < counters[BEST_LOSS]:
        counters[BEST_LOSS] = loss


cdef inline void begin_epoch(const Walk* walk, const Epochs* epochs,
                             double* tally) noexcept nogil:
    """Draw the order of the next epoch; by one rank. The rest of an epoch keeps its own."""
    cdef double* counters = epochs.counters
    counters[BEGUN] += 1
    if epochs.is_rest and counters[DONE] == 0:
        return
    tally[0] = tally[1] = 0
    counters[FIRST_STEP] = tally[2]
    if epochs.order != NULL:
        shuffle(epochs.order, walk.samples, epochs.generator)


cdef inline void end_epoch(const Walk* walk, const Epochs* epochs, const floating* params,
                           double* tally) noexcept nogil:
    """Note the loss of an epoch and begin the next one, if there is one; by one rank.

    There is none after a loss that is NaN, parameters that are not finite, or too many stalls.
    """
    cdef double* counters = epochs.counters
    cdef double loss = tally[0] / tally[1]
    epochs.losses[<Py_ssize_t>counters[DONE]] = loss
    counters[DONE] += 1
    count_stall(counters, loss, epochs.tol)
    counters[FINITE] = is_trained_finite(walk, params)
    counters[GOES_ON] = (counters[DONE] < epochs.most and counters[STALLS] <= epochs.patience
                         and loss == loss and counters[FINITE] != 0)
    if counters[GOES_ON]:
        begin_epoch(walk, epochs, tally)


cdef inline bint epoch_steps(Walk* walk, floating* params, Py_ssize_t epoch,
                             double* tally) noexcept nogil:
    """One rank's part of an epoch's steps. False after a stop.

    tally = loss times samples, samples, steps ever made.
    """
    cdef Py_ssize_t k, first, rows, done = 0
    cdef double weight, before = tally[2], loss = 0
    cdef const floating* read = <const floating*>walk.origin_params  # by the next step
    cdef bint leave = read != NULL
    cdef Step step
    if not leave:
        read = params
    for k in range((walk.samples + walk.batch - 1) // walk.batch):
        first = k * walk.batch
        rows = min(walk.batch, walk.samples - first)
        row_phase(walk, read, first, rows)
        if not team_barrier(walk.words, walk.size) or team_read(walk.words, team_leave):
            return False
        weight = batch_weight(walk, first, rows)
        if weight > 0:
            if walk.rank == 0:
                loss = sum_losses(walk, <const floating*>params, rows)
            step = next_step(walk, epoch, done, before, weight)
            if walk.rule.clip_norm <= 0:
                column_phase(walk, params, first, rows, leave, &step)
            elif not clipped_column_phase(walk, params, first, rows, leave, &step):
                return False
            read, leave = params, False
            done += 1
        if not team_barrier(walk.words, walk.size):
            return False
        walk.zeros_in_rows = walk.zeros_in_rows and not team_read(walk.words, team_overflow)
        if walk.rank == 0:
            if weight > 0:
                loss = walk.scale * loss + penalty(walk, <const floating*>params)
                tally[0] += loss / weight * rows
            tally[1] += rows
            tally[2] = before + done
    return True


cdef inline void epochs_rank(Walk* walk, const Epochs* epochs, floating* params,
                             double* tally) noexcept nogil:
    """One rank's part of the epochs of a call."""
    cdef Py_ssize_t epoch
    cdef bint singly = steps_singly(walk)
    fill_registers(walk, <const floating*>params)
    if not team_start(walk.words, walk.size):
        return
    if walk.rank == 0:
        begin_epoch(walk, epochs, tally)
    for epoch in range(epochs.most):
        if not team_barrier(walk.words, walk.size):
            return
        if not (single_steps(walk, params, epoch, tally) if singly
                else epoch_steps(walk, params, epoch, tally)):
            return
        # In step with the last barrier of the steps: nobody reads the tally or the order now.
        if walk.rank == 0:
            end_epoch(walk, epochs, <const floating*>params, tally)
        if not team_barrier(walk.words, walk.size) or not epochs.counters[GOES_ON]:
            return
        walk.origin_params = NULL
        walk.dropout.seen += walk.samples
