"""Doors of single kernels, most of them for the tests; included by _core.pyx."""


def matmul_scratch(str form, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, bint zeros=False):
    """Numbers of scratch for a product of one of the forms of `kernel_matmul`."""
    if form == "nn":
        return matmul.scratch_nn(m, n, k, zeros)
    if form == "nt":
        return matmul.scratch_nt(m, n, k)
    if form == "tn":
        return matmul.scratch_tn(m, m, n, k, zeros)
    raise ValueError(f"no product has the form {form!r}")


cdef floating* start_of(floating[::1] scratch):
    """Where scratch begins; NULL if it is empty, as that of some products."""
    return &scratch[0] if scratch.shape[0] else NULL


def kernel_matmul(const floating[:, ::1] a, const floating[:, ::1] b, floating[:, ::1] c, str form,
                  floating[::1] scratch, const floating[::1] bias=None, bint add=False,
                  bint zeros=False):
    """c := bias + a b ('nn'), a b^T ('nt') or a^T b ('tn'; added to c if `add`).

    zeros: whether zeros of a are left out.
    """
    cdef Py_ssize_t m = c.shape[0], n = c.shape[1]
    cdef Py_ssize_t k = a.shape[0] if form == "tn" else a.shape[1]
    bind_backend()
    if scratch.shape[0] < matmul_scratch(form, m, n, k, zeros):
        raise ValueError("too little scratch")
    if form == "nn":
        matmul.matmul_nn(&c[0, 0], &a[0, 0], &b[0, 0], <floating*>NULL, m, n, k, &bias[0], zeros,
                         False, start_of(scratch))
    elif form == "nt":
        matmul.matmul_nt(&c[0, 0], &a[0, 0], &b[0, 0], m, n, k, NULL, start_of(scratch))
    else:
        matmul.matmul_tn(&c[0, 0], &a[0, 0], a.shape[1], &b[0, 0], <floating*>NULL, m, n, k, add,
                         zeros, start_of(scratch))


def packed_size(Py_ssize_t m, Py_ssize_t n, Py_ssize_t k):
    """Numbers that b of a product 'tn' takes when it is packed; 0 if it is not, in either dtype."""
    return matmul.packed_tn(m, n, k)


cdef int check_packed(const floating[:, ::1] b, const floating[::1] packed) except -1:
    """Refuse a b that is not packed, or too little room for it."""
    cdef Py_ssize_t n = b.shape[1], k = b.shape[0]
    if not matmul.is_packed(&b[0, 0], MOST, n, k) or packed.shape[0] < matmul.packed_tn(MOST, n, k):
        raise ValueError(f"b has {n} columns, which are not packed, or there is too little room")
    return 0


def kernel_pack(const floating[:, ::1] b, floating[::1] packed, Py_ssize_t top, Py_ssize_t rows):
    """Pack some rows of b, for products 'tn' of any number of rows."""
    check_packed(b, packed)
    if not 0 <= top <= top + rows <= b.shape[0]:
        raise ValueError(f"b has {b.shape[0]} rows, not {top} to {top + rows}")
    matmul.pack_rows(&packed[0], &b[0, 0], b.shape[1], b.shape[0], top, rows)


def kernel_packed(const floating[:, ::1] a, const floating[:, ::1] b, floating[::1] packed,
                  floating[:, ::1] c, floating[::1] scratch, bint add, bint zeros=False):
    """c := a^T b, added to c if `add`; b is what `kernel_pack` has packed."""
    cdef Py_ssize_t m = c.shape[0], n = c.shape[1], k = a.shape[0]
    check_packed(b, packed)
    if scratch.shape[0] < matmul_scratch("tn", m, n, k, zeros) or b.shape[1] != n:
        raise ValueError("too little scratch, or another b")
    matmul.matmul_tn(&c[0, 0], &a[0, 0], m, &b[0, 0], &packed[0], m, n, k, add, zeros,
                     start_of(scratch))


def kernel_affine(const floating[:, ::1] a, const floating[:, ::1] w, const floating[::1] b,
                  floating[:, ::1] z, floating[::1] scratch):
    """z := a w + b."""
    cdef Py_ssize_t B = a.shape[0], I = w.shape[0], O = w.shape[1]
    bind_backend()
    if scratch.shape[0] < matmul.scratch_nn(B, O, I, False):
        raise ValueError("too little scratch")
    affine.affine_forward(&z[0, 0], &a[0, 0], &w[0, 0], <floating*>NULL, &b[0], B, I, O, False,
                          False, start_of(scratch))


def kernel_affine_gradient(const floating[:, ::1] a, const floating[:, ::1] w,
                           const floating[:, ::1] delta, floating[:, ::1] da,
                           floating[:, ::1] dw, floating[::1] db, floating[::1] scratch):
    """da := delta w^T;  dw := a^T delta;  db := 1^T delta."""
    cdef Py_ssize_t B = a.shape[0], I = w.shape[0], O = w.shape[1]
    bind_backend()
    if scratch.shape[0] < max(matmul.scratch_nt(B, I, O), matmul.scratch_tn(I, I, O, B, False)):
        raise ValueError("too little scratch")
    affine.affine_backward_rows(&da[0, 0], &delta[0, 0], &w[0, 0], B, I, O, start_of(scratch))
    affine.affine_backward_weights(&dw[0, 0], &a[0, 0], I, &delta[0, 0], <floating*>NULL, B, I, O,
                                   False, start_of(scratch))
    affine.affine_backward_bias(&db[0], &delta[0, 0], B, O)


def kernel_affine_csr(x, const Py_ssize_t[::1] order, const floating[:, ::1] w,
                      const floating[::1] b, floating[:, ::1] z):
    """z := a w + b for the CSR rows in order."""
    cdef const floating[::1] data = x.data
    cdef const int32_t[::1] indices = x.indices
    cdef const int64_t[::1] indptr = x.indptr
    affine.affine_forward_csr(&z[0, 0], &data[0], &indices[0], &indptr[0], &order[0], 0,
                              &w[0, 0], &b[0], z.shape[0], w.shape[0], w.shape[1])


def kernel_affine_csr_gradient(x, const Py_ssize_t[::1] order, const floating[:, ::1] delta,
                               floating[:, ::1] dw, Py_ssize_t top, Py_ssize_t end):
    """dw := a^T delta for the CSR rows in order, in the rows top..end of dw."""
    cdef const floating[::1] data = x.data
    cdef const int32_t[::1] indices = x.indices
    cdef const int64_t[::1] indptr = x.indptr
    affine.affine_backward_weights_csr(
        &dw[0, 0], &data[0], &indices[0], &indptr[0], &order[0], 0, &delta[0, 0], delta.shape[0],
        dw.shape[1], top, end, NULL)


def kernel_zeros(program, const floating[::1] params, x):
    """Whether products with zeros of x are left out: in tiles of rows, and of columns."""
    cdef Walk walk
    bind_plan(&walk, program)
    bind_x(&walk, &params[0], x)
    if params.shape[0] != walk.size_params:
        raise ValueError(f"the plan has {walk.size_params} parameters, not {params.shape[0]}")
    decide_on_zeros(&walk, &params[0])
    return walk.zeros_in_rows != 0, walk.zeros_in_columns != 0


cdef int check_activation(Py_ssize_t code) except -1:
    """Refuse a code that is no activation's with a name."""
    if not activations.is_activation(code):
        raise ValueError(f"no activation has the code {code}")
    return 0


def kernel_activate(int activation, floating[::1] z, floating[::1] s):
    """z := f(z), and s := f'(z) where the backward needs it."""
    check_activation(activation)
    activations.activation_forward(activation, &z[0], &s[0], z.shape[0])


def kernel_activate_gradient(int activation, floating[::1] delta, const floating[::1] a,
                             const floating[::1] s):
    """delta := delta f'(z), given a = f(z) and the s of `kernel_activate`."""
    check_activation(activation)
    activations.activation_backward(activation, &delta[0], &a[0], &s[0], a.shape[0])


def kernel_elementary(str name, floating[::1] x):
    """x := f(x), where f is an operation of one number on tapes, or 'reciprocal'."""
    cdef Py_ssize_t i
    cdef int operation = TAPE_OPERATIONS.get(name, -1)
    if name == "reciprocal":
        for i in range(x.shape[0]):
            x[i] = scalar.reciprocal(x[i])
    elif tape.is_transcendental(operation):
        tape.transcendental(operation, &x[0], &x[0], x.shape[0])
    elif tape.is_algebraic(operation):
        tape.algebraic(operation, &x[0], &x[0], x.shape[0])
    else:
        raise ValueError(f"no operation of one number has the name {name!r}")


def kernel_run_tape(program, Py_ssize_t which, floating[:, ::1] inputs, floating[::1] value,
                    floating[:, ::1] derivative, floating[::1] registers):
    """Value and derivative of one tape of a Program, for rows of its inputs. The plan may be None.

    For an activation `inputs` has one row of numbers; for a loss it has two, raw predictions and
    targets.
    """
    cdef tape.Program bound
    bind_program(&bound, program)
    if not 0 <= which < bound.n_tapes or inputs.shape[0] not in (1, 2):
        raise ValueError(f"no tape {which} of {inputs.shape[0]} inputs")
    if registers.shape[0] < tape.registers_before(&bound, bound.n_tapes):
        raise ValueError("too few registers")
    if (not is_tape(&bound, tape.TAPES + which, bound.tapes[which].K, inputs.shape[0])
            or inputs.shape[1] != value.shape[0] * bound.tapes[which].K
            or derivative.shape[0] * derivative.shape[1] != inputs.shape[1]):
        raise ValueError(f"the arrays do not fit tape {which}")
    with nogil:
        tape.fill_constants(&bound, &registers[0])
        if inputs.shape[0] == 1:
            memcpy(&value[0], &inputs[0, 0], value.shape[0] * sizeof(floating))
            tape.tape_activation(&bound, which, &registers[0], &value[0], &derivative[0, 0],
                                 value.shape[0])
        else:
            memcpy(&derivative[0, 0], &inputs[1, 0], inputs.shape[1] * sizeof(floating))
            tape.tape_loss(&bound, which, &registers[0], &value[0], &derivative[0, 0],
                           &inputs[0, 0], value.shape[0])


def kernel_step(floating[::1] w, const floating[::1] dw, floating[:, ::1] state, dict rule,
                double rate, double alpha, double scale):
    """One step of the optimizer at this rate, by the gradient (dw + alpha w) scale."""
    cdef Walk walk
    cdef optimizers.Step step = optimizers.Step(rate, alpha, scale, 1, 0)
    bind_rule(&walk, rule)
    optimizers.optimizer_step(&w[0], &dw[0], &state[0, 0], state.shape[1], w.shape[0], &walk.rule,
                              &step)


def kernel_rate(dict rule, double rate, Py_ssize_t step):
    """The rate that step number 1, 2, ... multiplies by."""
    cdef Walk walk
    bind_rule(&walk, rule)
    return optimizers.corrected_rate(&walk.rule, rate, step)


def kernel_losses(program, floating[:, ::1] z, const floating[:, ::1] y, objective,
                  floating[:, ::1] delta, floating[::1] losses_b, floating[::1] scratch):
    """Reported loss and delta of each row; the raw predictions z are overwritten."""
    cdef Walk walk
    cdef Py_ssize_t k, B = z.shape[0]
    bind_plan(&walk, program)
    bind_objective(&walk, objective, y)
    bind_layout(&walk, VALIDATE, B)
    walk.scratch = &scratch[0]
    if (z.shape[1] != walk.loss.K or delta.shape[1] != walk.loss.K or y.shape[0] != B
            or delta.shape[0] != B or losses_b.shape[0] != B
            or scratch.shape[0] < walk.scratch_size):
        raise ValueError("the arrays of a loss do not fit each other")
    fill_registers(&walk, &z[0, 0])
    for k in range(0, B, walk.batch):
        losses_and_deltas(&walk, &losses_b[k], &delta[k, 0], &z[k, 0],
                          &scratch[walk.loss_scratch], &y[k, 0], NULL, min(walk.batch, B - k))


def kernel_link(int link, floating[:, ::1] z, widths=None):
    """z := the prediction; of several targets block by block of these widths."""
    if z.shape[1] < 1:
        raise ValueError("a prediction has one column at least")
    cdef const double* of_targets = bind_widths(link, widths, z.shape[1])
    losses.link_forward(link, of_targets, &z[0, 0], z.shape[0], z.shape[1])


def kernel_dropout(floating[:, ::1] a, floating[:, ::1] s, dropout, Py_ssize_t layer):
    """a := a m / (1 - q), and so s, for rows of a layer from the epoch's first sample on.

    Layer 0 is the input.
    """
    cdef Walk walk
    walk.layers = dropout.thresholds.shape[0]
    bind_dropout(&walk, dropout)
    if not 0 <= layer < walk.layers:
        raise ValueError(f"no layer {layer} of {walk.layers}")
    if a.shape[0] != s.shape[0] or a.shape[1] != s.shape[1] or a.shape[0] * a.shape[1] == 0:
        raise ValueError("units and slopes are as many, one at least")
    dropping.dropout_forward(&a[0, 0], &s[0, 0], a.shape[0], a.shape[1], &walk.dropout, layer, 0)


def kernel_shuffle(Py_ssize_t[::1] order, generator):
    """Shuffle an order as RandomState does, by the capsule of its bit generator."""
    cdef BitGenerator* bits = <BitGenerator*>PyCapsule_GetPointer(generator, "BitGenerator")
    if order.shape[0] > 0:
        shuffle(&order[0], order.shape[0], bits)


def kernel_draw(uint64_t most, generator):
    """An integer from 0 to `most`."""
    return draw(<BitGenerator*>PyCapsule_GetPointer(generator, "BitGenerator"), most)


def kernel_stalls(const double[::1] losses, double tol, double[::1] counters):
    """Count the stalls of losses, one after the other."""
    cdef Py_ssize_t k
    if counters.shape[0] != COUNTERS_END:
        raise ValueError(f"there are {COUNTERS_END} counters, not {counters.shape[0]}")
    for k in range(losses.shape[0]):
        count_stall(&counters[0], losses[k], tol)
