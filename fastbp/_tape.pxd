"""Tapes: the formulas of users, run over blocks of rows without Python.

A tape is a line of instructions on registers. A register has a number for each row of the block, or
K of them; each instruction is one plain loop over a block small enough that all registers stay in
the first cache, so that what it costs to find the loop is little beside the loop. Instructions work
on every number alone, or on every row alone: how rows are cut into blocks changes nothing.

TAPE_OPERATIONS in _core.pyx gives the names. _lowering.py writes tapes, each of which ends with the
value and the derivative.
"""

from cython cimport floating
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from fastbp cimport _math

cdef enum:
    REGISTER_BYTES = 2048   # of a register, or one row if that is longer

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

cdef struct Tape:
    const Instruction* code
    const double* constants  # K numbers of each
    Py_ssize_t length, n_constants, registers, value, derivative, K


cdef inline Py_ssize_t block_of_rows(const floating* _, Py_ssize_t K) noexcept nogil:
    """Rows that pass together."""
    return max(REGISTER_BYTES // <Py_ssize_t>sizeof(floating) // K, 1)


cdef inline Py_ssize_t register_size(const floating* _, Py_ssize_t K) noexcept nogil:
    """Numbers of a register."""
    return (block_of_rows(_, K) * K + 15) // 16 * 16


cdef inline void unary(int operation, floating* to, const floating* a, Py_ssize_t n) noexcept nogil:
    """to := f(a)."""
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
            to[i] = _math.sqrt(a[i])
    elif operation == T_EXP:
        for i in range(n):
            to[i] = _math.exp(a[i])
    elif operation == T_EXPM1:
        for i in range(n):
            to[i] = _math.expm1(a[i])
    elif operation == T_LOG:
        for i in range(n):
            to[i] = _math.log(a[i])
    elif operation == T_LOG1P:
        for i in range(n):
            to[i] = _math.log1p(a[i])
    elif operation == T_SIN:
        for i in range(n):
            to[i] = _math.sin(a[i])
    elif operation == T_COS:
        for i in range(n):
            to[i] = _math.cos(a[i])
    elif operation == T_SINH:
        for i in range(n):
            to[i] = _math.sinh(a[i])
    elif operation == T_COSH:
        for i in range(n):
            to[i] = _math.cosh(a[i])
    elif operation == T_TANH:
        for i in range(n):
            to[i] = _math.tanh(a[i])
    elif operation == T_SIGMOID:
        for i in range(n):
            to[i] = _math.logistic(a[i])
    elif operation == T_SOFTPLUS:
        for i in range(n):
            to[i] = _math.softplus(a[i])
    elif operation == T_ERF:
        for i in range(n):
            to[i] = _math.erf(a[i])


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
            to[i] = _math.general_power(a[i], b[i])
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
            to[r] = _math.total(a + r * K, K)
    elif operation == T_LARGEST:
        for r in range(B):
            to[r] = _math.largest(a + r * K, K)
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


cdef inline void fill_constants(const Tape* tape, floating* registers) noexcept nogil:
    """The first registers, which no instruction changes."""
    cdef Py_ssize_t c, k, done, size = register_size(registers, tape.K)
    cdef floating* to
    for c in range(tape.n_constants):
        to = registers + c * size
        for k in range(tape.K):
            to[k] = <floating>tape.constants[c * tape.K + k]
        done = tape.K
        while done < size:  # twice as many each time
            memcpy(to + done, to, min(done, size - done) * sizeof(floating))
            done *= 2


cdef inline void run(const Tape* tape, floating* registers, Py_ssize_t B) noexcept nogil:
    """All instructions, on B rows; constants and inputs are in their registers."""
    cdef Py_ssize_t i, n, size = register_size(registers, tape.K)
    cdef const Instruction* line
    cdef floating* to
    cdef const floating* a
    for i in range(tape.length):
        line = tape.code + i
        to = registers + line.to * size
        a = registers + line.a * size
        n = B * tape.K if line.wide else B
        if line.operation >= T_SUM:
            across(line.operation, to, a, line.b, B, tape.K)
        elif line.operation >= T_NEGATIVE:
            unary(line.operation, to, a, n)
        elif line.operation == T_WHERE:
            select(to, a, registers + line.b * size, registers + line.c * size, n)
        else:
            binary(line.operation, to, a, registers + line.b * size, n)
