"""SciPy's BLAS, found when it is first needed: an import of the core loads no SciPy."""

from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer

cdef extern from "blas.h" nogil:
    bint blas_is_bound()
    void blas_bind(void** routines, int integer_bytes)
    void blas_gemm_float(char trans_b, char trans_a, Py_ssize_t n, Py_ssize_t m, Py_ssize_t k,
                         const float* b, Py_ssize_t ldb, const float* a, Py_ssize_t lda,
                         float beta, float* c, Py_ssize_t ldc)
    void blas_gemm_double(char trans_b, char trans_a, Py_ssize_t n, Py_ssize_t m, Py_ssize_t k,
                          const double* b, Py_ssize_t ldb, const double* a, Py_ssize_t lda,
                          double beta, double* c, Py_ssize_t ldc)
    void blas_gemv_float(char trans, Py_ssize_t m, Py_ssize_t n, const float* a, Py_ssize_t lda,
                         const float* x, Py_ssize_t step_x, float beta, float* y,
                         Py_ssize_t step_y)
    void blas_gemv_double(char trans, Py_ssize_t m, Py_ssize_t n, const double* a, Py_ssize_t lda,
                          const double* x, Py_ssize_t step_x, double beta, double* y,
                          Py_ssize_t step_y)


cdef inline int bind_blas() except -1:
    """Take the addresses of four routines out of scipy.linalg.cython_blas."""
    cdef void* addresses[4]
    cdef int i, width = 0
    from scipy.linalg import cython_blas
    for i, routine in enumerate(("sgemm", "dgemm", "sgemv", "dgemv")):
        capsule = cython_blas.__pyx_capi__[routine]
        addresses[i] = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))
        width = integer_bytes(cython_blas, routine, PyCapsule_GetName(capsule).decode())
    blas_bind(addresses, width)
    return 0


cdef inline int integer_bytes(module, str routine, str signature) except -1:
    """Bytes of the integers in a routine's signature, which is the name of its capsule."""
    arguments = {
        "gemm": "char, char, int, int, int, real, real, int, real, int, real, real, int",
        "gemv": "char, int, int, real, real, int, real, int, real, real, int",
    }[routine[1:]]
    found = signature.replace("__pyx_t_5scipy_6linalg_11cython_blas_", "").replace(" *", "")
    for name in ("int", "int64_t", "blas_int"):
        expected = arguments.replace("int", name).replace("real", routine[0])
        if found == f"void ({expected})":
            size = sizeof(int) if name == "int" else 8
            size = module._blas_int_size() if name == "blas_int" else size
            if size in (4, 8):
                return size
    raise ImportError(f"fastbp cannot call SciPy's {routine}, whose signature is {signature!r}")
