"""Tapes: the formulas of users, run over blocks of rows without Python.

A tape is a sequence of instructions on registers. A register has one number for each row of the
block, or K of them. Each instruction is one plain loop over the block. The block is small enough
for all registers to stay in the first cache, and large enough for the dispatch to cost little.
Instructions work on each number alone or on each row alone, so that the size of the blocks changes
nothing.

TAPE_OPERATIONS in _core.pyx gives the names. graph/tape.py writes tapes, each of which ends with
the value and the derivative.
"""

from cython cimport floating
from libc cimport math
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from fastbp.kernels cimport scalar

cdef enum:
    REGISTER_NUMBERS = 512  # of a register, or one row if that is longer
    TAPES = 64              # the codes of activations and losses that are tapes begin here

cdef enum:                  # of a single number, or of two, or of three
    T_ADD, T_SUBTRACT, T_MULTIPLY, T_DIVIDE, T_POWER, T_MAXIMUM, T_MINIMUM, T_LESS, T_LESS_EQUAL
    T_EQUAL, T_WHERE, T_NEGATIVE, T_ABS, T_SIGN, T_RELU, T_SQRT, T_EXP, T_EXPM1, T_LOG, T_LOG1P
    T_SIN, T_COS, T_SINH, T_COSH, T_TANH, T_SIGMOID, T_SOFTPLUS, T_ERF
    T_SUM, T_LARGEST, T_SPREAD, T_ITEM, T_PLACE  # of a row, or into one

cdef packed struct Instruction:
    int32_t operation
    int32_t to
    int32_t a
    int32_t b
    int32_t c
    int32_t wide            # whether the result is K numbers a row

cdef packed struct Tape:    # a row of the table of tapes
    int64_t code            # index of its first instruction
    int64_t head            # instructions of the value
    int64_t length          # instructions of value and derivative
    int64_t constants       # index of its first constant
    int64_t n_constants     # constants, of K numbers each
    int64_t registers       # registers: constants first, then inputs, then results
    int64_t value           # register of the value
    int64_t derivative      # register of the derivative
    int64_t K

cdef struct Program:        # the tapes of a network
    const Tape* tapes
    Py_ssize_t n_tapes
    const Instruction* code
    const double* constants


cdef inline Py_ssize_t block_of_rows(Py_ssize_t K) noexcept nogil:
    """Rows of a block."""
    return max(REGISTER_NUMBERS // K, 1)


cdef inline Py_ssize_t register_size(Py_ssize_t K) noexcept nogil:
    """Numbers of a register."""
    return (block_of_rows(K) * K + 15) // 16 * 16


cdef inline Py_ssize_t registers_before(const Program* program, Py_ssize_t which) noexcept nogil:
    """Numbers in the registers of all tapes before this one."""
    cdef Py_ssize_t t, size = 0
    for t in range(which):
        size += program.tapes[t].registers * register_size(program.tapes[t].K)
    return size


cdef inline bint is_algebraic(int operation) noexcept nogil:
    """Whether an operation takes one number, and is one of `algebraic`."""
    return operation in (T_NEGATIVE, T_ABS, T_SIGN, T_RELU, T_SQRT)


cdef inline bint is_transcendental(int operation) noexcept nogil:
    """Whether an operation takes one number, and is one of `transcendental`."""
    return operation in (T_EXP, T_EXPM1, T_LOG, T_LOG1P, T_SIN, T_COS, T_SINH, T_COSH, T_TANH,
                         T_SIGMOID, T_SOFTPLUS, T_ERF)


cdef inline bint is_binary(int operation) noexcept nogil:
    """Whether an operation takes two numbers."""
    return operation in (T_ADD, T_SUBTRACT, T_MULTIPLY, T_DIVIDE, T_POWER, T_MAXIMUM, T_MINIMUM,
                         T_LESS, T_LESS_EQUAL, T_EQUAL)


cdef inline bint is_across(int operation) noexcept nogil:
    """Whether an operation turns rows into numbers, or numbers into rows."""
    return operation in (T_SUM, T_LARGEST, T_SPREAD, T_ITEM, T_PLACE)


cdef inline bint is_operation(int operation) noexcept nogil:
    """Whether a code is that of an operation."""
    return (is_algebraic(operation) or is_transcendental(operation) or is_binary(operation)
            or is_across(operation) or operation == T_WHERE)


cdef inline bint stays_within(const Instruction* line, const Tape* tape) noexcept nogil:
    """Whether an instruction stays within the registers and columns of its tape."""
    if not (tape.n_constants <= line.to < tape.registers and 0 <= line.a < tape.registers):
        return False
    if line.operation in (T_ITEM, T_PLACE):
        return 0 <= line.b < tape.K
    if is_binary(line.operation) or line.operation == T_WHERE:
        return (0 <= line.b < tape.registers
                and (line.operation != T_WHERE or 0 <= line.c < tape.registers))
    return True


cdef inline void algebraic(int operation, floating* to, const floating* a,
                           Py_ssize_t n) noexcept nogil:
    """to := f(a) of an operation without exp, log or their like."""
    cdef Py_ssize_t i
    cdef floating zero = 0, one = 1
    if operation == T_NEGATIVE:
        for i in range(n):
            to[i] = -a[i]
    elif operation == T_ABS:
        for i in range(n):
            to[i] = abs(a[i])
    elif operation == T_SIGN:
        for i in range(n):
            to[i] = one if a[i] > 0 else (-one if a[i] < 0 else a[i])
    elif operation == T_RELU:
        for i in range(n):
            to[i] = zero if a[i] < 0 else a[i]
    elif operation == T_SQRT:
        for i in range(n):
            to[i] = scalar.sqrt(a[i])


cdef inline void transcendental(int operation, floating* to, const floating* a,
                                Py_ssize_t n) noexcept nogil:
    """to := f(a) of the other operations on single numbers."""
    cdef Py_ssize_t i
    if operation == T_EXP:
        for i in range(n):
            to[i] = scalar.exp(a[i])
    elif operation == T_EXPM1:
        for i in range(n):
            to[i] = scalar.expm1(a[i])
    elif operation == T_LOG:
        for i in range(n):
            to[i] = scalar.log(a[i])
    elif operation == T_LOG1P:
        for i in range(n):
            to[i] = scalar.log1p(a[i])
    elif operation == T_SIN:
        for i in range(n):
            to[i] = scalar.sin(a[i])
    elif operation == T_COS:
        for i in range(n):
            to[i] = scalar.cos(a[i])
    elif operation == T_SINH:
        for i in range(n):
            to[i] = scalar.sinh(a[i])
    elif operation == T_COSH:
        for i in range(n):
            to[i] = scalar.cosh(a[i])
    elif operation == T_TANH:
        for i in range(n):
            to[i] = scalar.tanh(a[i])
    elif operation == T_SIGMOID:
        for i in range(n):
            to[i] = scalar.logistic(a[i])
    elif operation == T_SOFTPLUS:
        for i in range(n):
            to[i] = scalar.softplus(a[i])
    elif operation == T_ERF:
        for i in range(n):
            to[i] = scalar.erf(a[i])


cdef inline void binary(int operation, floating* to, const floating* a, const floating* b,
                        Py_ssize_t n) noexcept nogil:
    """to := f(a, b)."""
    cdef Py_ssize_t i
    cdef floating larger, smaller, zero = 0, one = 1
    if operation == T_ADD:
        for i in range(n):
            to[i] = a[i] + b[i]
    elif operation == T_SUBTRACT:
        for i in range(n):
            to[i] = a[i] - b[i]
    elif operation == T_MULTIPLY:
        for i in range(n):
            to[i] = a[i] * b[i]
    elif operation == T_DIVIDE:
        for i in range(n):
            to[i] = a[i] / b[i]
    elif operation == T_POWER:
        for i in range(n):
            to[i] = scalar.general_power(a[i], b[i])
    elif operation == T_MAXIMUM:  # NaN of either side stays NaN; `or` would not be vectorized
        for i in range(n):
            larger = a[i] if a[i] > b[i] else b[i]
            to[i] = a[i] if a[i] != a[i] else larger
    elif operation == T_MINIMUM:
        for i in range(n):
            smaller = a[i] if a[i] < b[i] else b[i]
            to[i] = a[i] if a[i] != a[i] else smaller
    elif operation == T_LESS:
        for i in range(n):
            to[i] = one if a[i] < b[i] else zero
    elif operation == T_LESS_EQUAL:
        for i in range(n):
            to[i] = one if a[i] <= b[i] else zero
    elif operation == T_EQUAL:
        for i in range(n):
            to[i] = one if a[i] == b[i] else zero


cdef inline void select(floating* to, const floating* condition, const floating* a,
                        const floating* b, Py_ssize_t n) noexcept nogil:
    """to := a where the condition is not 0, else b."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = a[i] if condition[i] != 0 else b[i]


cdef inline void across(int operation, floating* to, const floating* a, Py_ssize_t option,
                        Py_ssize_t B, Py_ssize_t K) noexcept nogil:
    """From rows to numbers, or from numbers to rows."""
    cdef Py_ssize_t r, k
    if operation == T_SUM:
        for r in range(B):
            to[r] = scalar.total(a + r * K, K)
    elif operation == T_LARGEST:
        for r in range(B):
            to[r] = scalar.largest(a + r * K, K)
    elif operation == T_ITEM:
        for r in range(B):
            to[r] = a[r * K + option]
    elif operation == T_SPREAD:
        for r in range(B):
            for k in range(K):
                to[r * K + k] = a[r]
    elif operation == T_PLACE:
        for r in range(B * K):
            to[r] = 0
        for r in range(B):
            to[r * K + option] = a[r]


cdef inline void fill_constants(const Program* program, floating* registers) noexcept nogil:
    """Write the constants into the first registers of all tapes; no instruction changes them."""
    cdef Py_ssize_t t, c, k, done, size
    cdef const Tape* tape
    cdef floating* to
    for t in range(program.n_tapes):
        tape = program.tapes + t
        size = register_size(tape.K)
        to = registers + registers_before(program, t)
        for c in range(tape.n_constants):
            for k in range(tape.K):
                to[k] = <floating>program.constants[tape.constants + c * tape.K + k]
            done = tape.K
            while done < size:  # doubling the filled part each time
                memcpy(to + done, to, min(done, size - done) * sizeof(floating))
                done *= 2
            to += size


cdef inline void run_tape(const Program* program, Py_ssize_t which, floating* registers,
                          Py_ssize_t B, Py_ssize_t length) noexcept nogil:
    """Run `length` instructions of a tape on B rows; registers hold the constants and inputs."""
    cdef const Tape* tape = program.tapes + which
    cdef Py_ssize_t i, n, size = register_size(tape.K)
    cdef const Instruction* line
    cdef floating* to
    cdef const floating* a
    for i in range(length):
        line = program.code + tape.code + i
        to = registers + line.to * size
        a = registers + line.a * size
        n = B * tape.K if line.wide else B
        if is_binary(line.operation):
            binary(line.operation, to, a, registers + line.b * size, n)
        elif is_transcendental(line.operation):
            transcendental(line.operation, to, a, n)
        elif is_algebraic(line.operation):
            algebraic(line.operation, to, a, n)
        elif is_across(line.operation):
            across(line.operation, to, a, line.b, B, tape.K)
        elif line.operation == T_WHERE:
            select(to, a, registers + line.b * size, registers + line.c * size, n)


cdef inline void store(floating* to, const floating* result, Py_ssize_t n) noexcept nogil:
    """Copy the result, replacing every NaN by one fixed NaN: all builds give the same bits."""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = result[i] if result[i] == result[i] else <floating>math.NAN


cdef inline void tape_activation(const Program* program, Py_ssize_t which, floating* registers,
                                 floating* z, floating* s, Py_ssize_t n) noexcept nogil:
    """a := f(z) and, unless s is NULL, s := f'(z)."""
    cdef const Tape* tape = program.tapes + which
    cdef Py_ssize_t k, top, rows, size = register_size(1), block = block_of_rows(1)
    cdef floating* own = registers + registers_before(program, which)
    for k in range((n + block - 1) // block):
        top = k * block
        rows = min(block, n - top)
        memcpy(own + tape.n_constants * size, z + top, rows * sizeof(floating))
        run_tape(program, which, own, rows, tape.length if s != NULL else tape.head)
        store(z + top, own + tape.value * size, rows)
        if s != NULL:
            store(s + top, own + tape.derivative * size, rows)


cdef inline void tape_loss(const Program* program, Py_ssize_t which, floating* registers,
                           floating* losses_b, floating* delta_bk, const floating* z_bk,
                           Py_ssize_t B) noexcept nogil:
    """Row losses and delta = dloss/dz of B rows; on entry delta holds the targets."""
    cdef const Tape* tape = program.tapes + which
    cdef Py_ssize_t k, top, rows, K = tape.K
    cdef Py_ssize_t size = register_size(K), block = block_of_rows(K)
    cdef floating* own = registers + registers_before(program, which)
    cdef floating* inputs = own + tape.n_constants * size
    for k in range((B + block - 1) // block):
        top = k * block
        rows = min(block, B - top)
        memcpy(inputs, z_bk + top * K, rows * K * sizeof(floating))
        memcpy(inputs + size, delta_bk + top * K, rows * K * sizeof(floating))
        run_tape(program, which, own, rows, tape.length)
        store(losses_b + top, own + tape.value * size, rows)
        store(delta_bk + top * K, own + tape.derivative * size, rows * K)
