"""The doors of loss and gradient over all samples: sums over chunks; included by _core.pyx.

In memory `loss_gradient` does everything in one call. Where the data is in parts, the chunks of a
part are summed alone, the sums are joined from left to right, and finished: with the same bits.
"""

# Of the totals of a node.
N_TOTALS = TOTALS_END


def most_sums(Py_ssize_t first, Py_ssize_t end):
    """The rows of Sums that have room for the chunks first..end, added one by one."""
    if not 0 <= first <= end:
        raise ValueError(f"no run has the chunks {first} to {end}")
    return most_nodes(first, end)


def n_sums(Py_ssize_t first, Py_ssize_t end):
    """The rows of Sums that the chunks first..end fill once all are added."""
    if not 0 <= first <= end:
        raise ValueError(f"no run has the chunks {first} to {end}")
    return n_nodes(first, end)


cdef bint sum_chunks(Walk* walk, const floating* params, Run* run) noexcept nogil:
    """One rank's part of the sums over all samples, in chunks that are added to a run.

    False after a stop.
    """
    cdef Py_ssize_t k, first, rows, joins, node = n_nodes(run.first, run.end)
    cdef double* totals
    fill_registers(walk, params)
    if not team_start(walk.words, walk.size):
        return False
    hold_columns(walk, params)
    for k in range((walk.samples + walk.batch - 1) // walk.batch):
        first = k * walk.batch
        rows = min(walk.batch, walk.samples - first)
        row_phase(walk, params, first, rows)
        if not team_barrier(walk.words, walk.size) or team_read(walk.words, team_leave):
            return False
        run.end += 1
        joins = n_joins(run.first, run.end, 1)
        if walk.rank == 0:
            totals = run.totals + node * TOTALS_END
            totals[SUM_LOSS] = sum_losses(walk, params, rows)
            totals[SUM_WEIGHT] = batch_weight(walk, first, rows)
            totals[SUM_ROWS] = rows
            join(totals, totals, TOTALS_END, TOTALS_END, joins)
        walk.grads = <floating*>run.grads + node * walk.size_params
        derive_columns(walk, params, first, rows, joins)
        node += 1 - joins
        if not team_barrier(walk.words, walk.size):
            return False
    fill_columns(walk, <floating*>run.grads + (node - 1) * walk.size_params, node)
    return True


cdef void finish_run(Walk* walk, const floating* params, const Run* run,
                     double* tally) noexcept nogil:
    """One rank's part of the way from sums to loss and gradient, which the first node becomes."""
    cdef double totals[TOTALS_END]
    cdef optimizers.Step finish
    whole_totals(run, totals)
    finish = optimizers.Step(0, walk.alpha, 1 / totals[SUM_WEIGHT], 1, 0)
    walk.grads = run.grads
    finish_columns(walk, params, n_nodes(run.first, run.end) - 1, &finish)
    if team_barrier(walk.words, walk.size) and walk.rank == 0:
        tally[0] = (walk.scale * totals[SUM_LOSS] + penalty(walk, params)) / totals[SUM_WEIGHT]
        tally[1] = totals[SUM_ROWS]


cdef int bind_gradient(Walk* walk, Run* run, program, const floating[::1] params, sums,
                       floating[::1] scratch, task, rank) except -1:
    """The walk of one rank, and the run that its chunks are added to."""
    bind_plan(walk, program)
    bind_rank(walk, rank)
    bind_samples(walk, &params[0], task.samples, task.objective)
    if task.order is not None:
        raise ValueError("the gradient takes the rows in their own order")
    bind_layout(walk, GRADIENT, task.batch)
    check_sizes(walk, params.shape[0], scratch.shape[0])
    bind_run(run, &params[0], sums, walk.size_params,
             (walk.samples + walk.batch - 1) // walk.batch)
    walk.scratch, walk.state = &scratch[0], NULL
    return 0


def loss_gradient(program, const floating[::1] params, sums, floating[::1] scratch,
                  double[::1] tally, task, rank):
    """Reported loss and gradient of the objective over all samples, in chunks of the task's batch.

    One rank's part of it. The sums are those of no chunk yet; their first row becomes the gradient.
    tally receives the loss and the number of samples, which stays 0 after a stop.
    """
    cdef Walk walk
    cdef Run run
    cdef uint64_t before
    bind_gradient(&walk, &run, program, params, sums, scratch, task, rank)
    if run.end > 0:
        raise ValueError(f"the sums begin with chunk 0 and are empty, not {run.first} to {run.end}")
    if tally.shape[0] < 2:
        raise ValueError(f"the tally has 2 numbers, not {tally.shape[0]}")
    if walk.rank == 0:
        tally[0] = tally[1] = 0
    with nogil:
        decide_on_zeros(&walk, &params[0])
        before = flush_to_zero()
        if sum_chunks(&walk, &params[0], &run):
            finish_run(&walk, &params[0], &run, &tally[0])
        flush_restore(before)


def chunk_sums(program, const floating[::1] params, sums, floating[::1] scratch, task, rank):
    """Add the chunks of the samples to the sums of the chunks before them; one rank's part of it.

    A chunk has the rows of the task's batch, the last one of all data may have fewer. sums.chunks
    tells how far it has come: after a stop it is as before, and the sums are lost.
    """
    cdef Walk walk
    cdef Run run
    cdef uint64_t before
    cdef int64_t[::1] chunks = sums.chunks
    cdef bint done
    bind_gradient(&walk, &run, program, params, sums, scratch, task, rank)
    with nogil:
        decide_on_zeros(&walk, &params[0])
        before = flush_to_zero()
        done = sum_chunks(&walk, &params[0], &run)
        flush_restore(before)
    if done and walk.rank == 0:
        chunks[1] = run.end


def join_sums(const floating[:, ::1] grads, const double[:, ::1] totals,
              const int64_t[::1] chunks, sums):
    """Join Sums, given as their three arrays, to the sums of the chunks before them."""
    cdef Run run
    cdef int64_t[::1] joined = sums.chunks
    cdef Py_ssize_t at = chunks[0], end = chunks[1], n = grads.shape[1], count, node, size, joins
    cdef floating* row
    cdef double* total
    cdef uint64_t before
    check_run(at, end, min(grads.shape[0], totals.shape[0]), n_nodes(at, end), totals.shape[1])
    bind_run(&run, &grads[0, 0], sums, n, end - at)
    if at != run.end:
        raise ValueError(f"chunk {at} does not follow on chunk {run.end - 1}")
    count = n_nodes(run.first, run.end)
    before = flush_to_zero()
    for node in range(n_nodes(at, end)):
        size = node_size(at, end)
        at += size
        joins = n_joins(run.first, at, size)
        row, total = <floating*>run.grads + count * n, run.totals + count * TOTALS_END
        memcpy(row, &grads[node, 0], n * sizeof(floating))
        memcpy(total, &totals[node, 0], TOTALS_END * sizeof(double))
        join(row, row, n, n, joins)
        join(total, total, TOTALS_END, TOTALS_END, joins)
        count += 1 - joins
    flush_restore(before)
    joined[1] = end


def finish_sums(program, const floating[::1] params, sums, floating[::1] scratch,
                double[::1] tally, objective):
    """Reported loss and gradient from the sums over all chunks, which are used up.

    As `loss_gradient` leaves them.
    """
    cdef Walk walk
    cdef Run run
    cdef uint64_t before
    cdef int64_t[::1] chunks = sums.chunks
    bind_plan(&walk, program)
    bind_layout(&walk, GRADIENT, 1)
    check_sizes(&walk, params.shape[0], scratch.shape[0])
    bind_run(&run, &params[0], sums, walk.size_params, 0)
    if run.first != 0 or run.end == 0:
        raise ValueError(f"the sums are of the chunks {run.first} to {run.end}, not of all")
    if tally.shape[0] < 2:
        raise ValueError(f"the tally has 2 numbers, not {tally.shape[0]}")
    walk.scratch, walk.alpha, walk.scale = &scratch[0], objective.alpha, objective.scale
    with nogil:
        before = flush_to_zero()
        finish_run(&walk, &params[0], &run, &tally[0])
        flush_restore(before)
    chunks[1] = 0
