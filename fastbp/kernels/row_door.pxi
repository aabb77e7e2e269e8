"""The door of a single row, for one model; included by _core.pyx.

A small network predicts a row faster than Python checks it. So the checks are compiled too, and all
that does not depend on the row is bound once.
"""

cdef extern from *:
    """
    #include "compiler.h"
    /* References of one's own: without the GIL others may drop what a list or dict lends. */
    #if PY_VERSION_HEX >= 0x030D0000
    static CYTHON_INLINE PyObject *fastbp_value(PyObject *dict, PyObject *key, PyObject *absent) {
        PyObject *value;
        const int found = PyDict_GetItemRef(dict, key, &value);
        return found < 0 ? NULL : found ? value : Py_NewRef(absent);
    }
    static CYTHON_INLINE PyObject *fastbp_first(PyObject *list) {
        return PyList_GetItemRef(list, 0);
    }
    #else
    static CYTHON_INLINE PyObject *fastbp_value(PyObject *dict, PyObject *key, PyObject *absent) {
        PyObject *const value = PyDict_GetItemWithError(dict, key);
        return value ? Py_NewRef(value) : PyErr_Occurred() ? NULL : Py_NewRef(absent);
    }
    static CYTHON_INLINE PyObject *fastbp_first(PyObject *list) {
        return Py_XNewRef(PyList_GetItem(list, 0));
    }
    #endif
    /* What is read after this call is not read before it. */
    static CYTHON_INLINE void fastbp_reads_are_done(void) {
    #if fastbp_gnu
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    #endif
    }
    """
    object value_of "fastbp_value"(dict attributes, object name, object absent)
    object first_of "fastbp_first"(list numbers)
    void reads_are_done "fastbp_reads_are_done"()

ABSENT = object()


def is_made_of(dict attributes not None, tuple names, tuple values, tuple lists, tuple entries):
    """Whether the attributes of these names have these values, and lists exactly these entries.

    Values may be equal, entries must be the same objects. The value of an attribute that must not
    exist is ABSENT. `lists` has the names of the lists, and `entries` a tuple for each.
    """
    return have_values(attributes, names, values) and have_entries(attributes, lists, entries)


cdef bint have_values(dict attributes, tuple names, tuple values) except -1:
    """Whether the attributes of these names have these values, or equal ones."""
    cdef Py_ssize_t i
    for i in range(len(names)):
        value = value_of(attributes, names[i], ABSENT)
        if value is values[i]:
            continue
        if value is ABSENT or values[i] is ABSENT or not values[i] == value:
            return False
    return True


cdef bint have_entries(dict attributes, tuple lists, tuple entries) except -1:
    """Whether the attributes of these names are lists of these objects."""
    cdef Py_ssize_t i, k
    cdef tuple expected, found
    for i in range(len(lists)):
        value = value_of(attributes, lists[i], ABSENT)
        if value is ABSENT:
            return False
        expected, found = entries[i], tuple(value)  # of one moment: other threads may set entries
        if len(found) != len(expected):
            return False
        for k in range(len(expected)):
            if found[k] is not expected[k]:
                return False
    return True


cdef class Row:
    """Predictions of single rows by the arena of a model, where it lies.

    Products with the zeros of a row are left out if the first weights are finite when the door is
    made. To look at them in each call would take as long as all products.

    Parameters
    ----------
    program, params, link, widths
        As `predict` takes them. Nothing else may be written into the program.
    empty : callable
        `numpy.empty`: the core makes no arrays by itself.
    made_of : tuple
        All arguments of `is_made_of` but the first.
    """

    cdef Walk walk
    cdef const void* arena
    cdef const double* of_targets
    cdef int link
    cdef bint is_double
    cdef Py_ssize_t size        # of a prediction, in bytes
    cdef object program, params, widths, empty, shape, dtype  # kept: the walk has addresses
    cdef tuple names, values, lists, entries

    def __cinit__(self, program, params, int link, widths, empty, tuple made_of):
        cdef const double[::1] doubles
        cdef const float[::1] singles
        cdef Py_ssize_t size, K
        bind_plan(&self.walk, program)
        K = self.walk.plan[self.walk.layers - 1].fan_out
        self.is_double = params.itemsize == sizeof(double)
        if self.is_double:
            doubles = params
            self.arena, size = &doubles[0], doubles.shape[0]
        else:
            singles = params
            self.arena, size = &singles[0], singles.shape[0]
        self.of_targets = bind_widths(link, widths, K)
        self.walk.samples, self.walk.features = 1, self.walk.plan.fan_in
        self.walk.row_length = self.walk.features
        bind_layout(&self.walk, PREDICT, 1)
        check_sizes(&self.walk, size, self.walk.scratch_size)
        if self.is_double:
            self.walk.zeros_in_rows = may_leave_out(&self.walk, <const double*>self.arena)
        else:
            self.walk.zeros_in_rows = may_leave_out(&self.walk, <const float*>self.arena)
        self.program, self.params, self.widths, self.link = program, params, widths, link
        self.empty, self.shape, self.size = empty, (1, K), K * params.itemsize
        # That of a new array: arrays from pickles have dtypes of their own.
        self.dtype = empty(self.shape, "f8" if self.is_double else "f4").dtype
        self.names, self.values, self.lists, self.entries = made_of

    def predict(self, x, dict attributes not None, list changes not None):
        """The prediction of a row, shape (1, n_outputs).

        None if X is not a plain row of the arena's dtype, if the attributes are no longer those of
        the model, or if the result may not be finite. Also None if the one number in `changes` is
        odd, so that the weights are just being changed, or grows meanwhile.
        """
        cdef const void* row
        cdef void* out
        before = first_of(changes)
        if before & 1 or type(x) is not type(self.params):
            return None
        row = self.row_of(x)
        if row == NULL:
            return None
        try:
            if not (have_values(attributes, self.names, self.values)
                    and have_entries(attributes, self.lists, self.entries)):
                return None
        except (TypeError, ValueError):  # one cannot be compared
            return None
        result = self.empty(self.shape, self.dtype)
        out = memory_of(result, self.size)
        if self.is_double:
            finite = predict_row(&self.walk, <const double*>self.arena, <const double*>row,
                                 <double*>out, self.link, self.of_targets)
        else:
            finite = predict_row(&self.walk, <const float*>self.arena, <const float*>row,
                                 <float*>out, self.link, self.of_targets)
        reads_are_done()
        return result if finite and first_of(changes) == before else None

    cdef const void* row_of(self, x) except? NULL:
        """Where an array begins, if it is a row as the walk takes it; else NULL."""
        cdef Py_buffer view
        cdef int flags = PyBUF_ND
        cdef size_t size = sizeof(double) if self.is_double else sizeof(float)
        cdef char letter = c"d" if self.is_double else c"f"
        if x.dtype is not self.dtype:  # a format takes a while
            flags |= PyBUF_FORMAT
        try:
            PyObject_GetBuffer(x, &view, flags)
        except (BufferError, ValueError):  # no numbers, or none that lie so
            return NULL
        fits = (view.ndim == 2 and view.shape[0] == 1 and view.shape[1] == self.walk.features
                and <size_t>view.buf % size == 0
                and (flags == PyBUF_ND or (view.format[0] == letter and view.format[1] == 0)))
        PyBuffer_Release(&view)
        return view.buf if fits else NULL


cdef void* memory_of(array, Py_ssize_t size) except NULL:
    """Where an array of so many bytes begins, which the caller keeps."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_WRITABLE)
    PyBuffer_Release(&view)
    if view.len != size:
        raise ValueError(f"the output has {view.len} bytes, not {size}")
    return view.buf


cdef int predict_row(const Walk* bound, const floating* params, const floating* x, floating* out,
                     int link, const double* of_targets) except -1:
    """Write the prediction of one row; returns whether it is finite, as `predict`.

    Other threads may use the same walk: this call has a copy, and scratch of its own.
    """
    cdef Walk walk = bound[0]
    cdef Py_ssize_t i, size = walk.scratch_size
    cdef bint finite
    cdef floating* scratch = <floating*>PyMem_RawMalloc(size * sizeof(floating))
    if scratch == NULL:
        raise MemoryError
    if fastbp_debug:  # a stray read shows
        for i in range(size):
            scratch[i] = <floating>math.NAN
    walk.x, walk.scratch = x, scratch
    walk.zeros_in_rows = walk.zeros_in_rows and has_many_zeros(&walk, x)
    fill_registers(&walk, params)
    finite = predict_blocks(&walk, params, out, link, of_targets)
    PyMem_RawFree(scratch)
    return finite
