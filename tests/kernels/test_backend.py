"""The backends of matrix products: BLAS is bound when it is first needed, and to either integer."""

import subprocess
import sys

import pytest

from fastbp.kernels import core

RUN = """
import os
os.environ["FASTBP_MATMUL"] = "blas"
import ctypes, sys, types
import numpy as np

MODULE = "scipy.linalg.cython_blas"
PREFIX = "__pyx_t_5scipy_6linalg_11cython_blas_"
seen = []

def signature(routine, integer):
    I, R = f"{integer} *", f"{PREFIX}{routine[0]} *"
    arguments = {
        "gemm": ["char *", "char *", I, I, I, R, R, I, R, I, R, R, I],
        "gemv": ["char *", I, I, R, R, I, R, I, R, R, I],
    }[routine[1:]]
    return f"void ({', '.join(arguments)})".encode()

class Fake:
    def __init__(self, integer, **attributes):
        size = ctypes.c_int64 if attributes.pop("wide", False) else ctypes.c_int32
        self.module = types.ModuleType(MODULE)
        vars(self.module).update(attributes)
        self.keep = []
        self.module.__pyx_capi__ = {
            name: self.capsule(name, size, signature(name, integer))
            for name in ("sgemm", "dgemm", "sgemv", "dgemv")
        }
        import scipy.linalg
        sys.modules[MODULE] = scipy.linalg.cython_blas = self.module

    def capsule(self, name, size, signature):
        real = ctypes.c_float if name[0] == "s" else ctypes.c_double
        integer, number = ctypes.POINTER(size), ctypes.POINTER(real)
        flag = ctypes.POINTER(ctypes.c_char)

        def gemm(trans_b, trans_a, n, m, k, one, b, ldb, a, lda, beta, c, ldc):
            seen.append(name)
            for i in range(m[0]):
                for j in range(n[0]):
                    total = 0
                    for l in range(k[0]):
                        of_a = l * lda[0] + i if trans_a[0] == b"T" else i * lda[0] + l
                        of_b = j * ldb[0] + l if trans_b[0] == b"T" else l * ldb[0] + j
                        total += a[of_a] * b[of_b]
                    at = i * ldc[0] + j
                    c[at] = total + (beta[0] * c[at] if beta[0] else 0)

        def gemv(trans, m, n, one, a, lda, x, step_x, beta, y, step_y):
            seen.append(name)
            for i in range(n[0] if trans[0] == b"T" else m[0]):
                total = 0
                for l in range(m[0] if trans[0] == b"T" else n[0]):
                    at = i * lda[0] + l if trans[0] == b"T" else l * lda[0] + i
                    total += a[at] * x[l * step_x[0]]
                y[i * step_y[0]] = total + (beta[0] * y[i * step_y[0]] if beta[0] else 0)

        arguments = {
            "gemm": [flag, flag, *[integer] * 3, number, number, integer, number, integer, number,
                     number, integer],
            "gemv": [flag, integer, integer, number, number, integer, number, integer, number,
                     number, integer],
        }[name[1:]]
        call = ctypes.CFUNCTYPE(None, *arguments)({"gemm": gemm, "gemv": gemv}[name[1:]])
        self.keep += [call, signature]
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.cast(call, ctypes.c_void_p), signature, None)

def products():
    from fastbp.kernels import core
    rng = np.random.RandomState(0)
    for dtype in ("f", "d"):
        for m, n, k in ((3, 4, 5), (1, 4, 5), (3, 1, 5)):
            a, b = rng.randn(m, k).astype(dtype), rng.randn(k, n).astype(dtype)
            c = np.zeros((m, n), dtype)
            for form, left, right in (("nn", a, b), ("nt", a, b.T), ("tn", a.T, b)):
                bias = np.zeros(n, dtype) if form == "nn" else None
                left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
                core.kernel_matmul(left, right, c, form, np.empty(0, dtype), bias)
                np.testing.assert_allclose(c, a @ b, rtol=1e-5)
"""


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("backend", core.BACKENDS)
def test_kernels_and_network_import_no_scipy(backend):
    program = f"import os; os.environ['FASTBP_MATMUL'] = {backend!r}\n" + (
        "import sys, fastbp.network, fastbp.kernels\n"
        "assert fastbp.kernels.backend == os.environ['FASTBP_MATMUL']\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    assert not {"scipy", "joblib", "sklearn"} & {*run(program)}


@pytest.mark.parametrize("missing", ["scipy", "threadpoolctl"])
def test_without_scipy_products_go_through_the_tiles(missing):
    program = (
        "import os, sys\n"
        "os.environ['FASTBP_ISA'] = 'baseline'\n"
        "os.environ.pop('FASTBP_MATMUL', None)\n"
        f"sys.modules[{missing!r}] = None\n"
        "import numpy as np\n"
        "from fastbp.kernels import backend, core\n"
        "from fastbp.network import Network\n"
        "network, out = Network((3, 4, 1), 'tanh', np.float64), np.empty((1, 1))\n"
        "network.predict(np.ones((1, 3)), 'exp', out)\n"
        "print(backend, core.BACKENDS[0], *out.ravel())"
    )
    backend, best, value = run(program)
    assert (backend, value) == ("native", "1.0") and best in core.BACKENDS


def test_blas_is_bound_when_it_is_first_needed():
    program = RUN + (
        "from fastbp.network import Network\n"
        "network = Network((3, 4, 1), 'tanh', np.float64)\n"
        "assert MODULE not in sys.modules\n"
        "network.scratch(1, 1, 'predict')\n"
        "assert MODULE in sys.modules\n"
        "products()\n"
    )
    assert run(program) == []


@pytest.mark.parametrize(
    "integer, attributes",
    [
        ("int", {}),
        ("int64_t", dict(wide=True)),
        ("__pyx_t_5scipy_6linalg_11cython_blas_blas_int", dict(_blas_int_size="4")),
        ("__pyx_t_5scipy_6linalg_11cython_blas_blas_int", dict(_blas_int_size="8", wide=True)),
    ],
    ids=["int", "int64_t", "blas_int of 4 bytes", "blas_int of 8 bytes"],
)
def test_blas_is_called_with_its_own_integers(integer, attributes):
    given = ", ".join(
        f"{name}=lambda: {value}" if name == "_blas_int_size" else f"{name}={value}"
        for name, value in attributes.items()
    )
    program = RUN + f"fake = Fake({integer!r}, {given})\nproducts()\nprint(*sorted(set(seen)))"
    assert run(program) == ["dgemm", "dgemv", "sgemm", "sgemv"]


@pytest.mark.parametrize("integer", ["long", "int16_t", "blas_int"])
def test_an_unknown_blas_is_refused(integer):
    attributes = "_blas_int_size=lambda: 2" if integer == "blas_int" else ""
    program = RUN + (
        f"fake = Fake({integer!r}, {attributes})\n"
        "try: products()\n"
        "except ImportError as error: print(error)"
    )
    assert "cannot call SciPy's sgemm, whose signature is" in " ".join(run(program))
