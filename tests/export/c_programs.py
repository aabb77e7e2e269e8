"""C files are compiled here, and their functions called."""

import ctypes
import os
import shutil
import subprocess
from itertools import count
from pathlib import Path

import numpy as np

STRICT = ("-Wall", "-Wextra", "-pedantic", "-Werror")
C = "-std=c99"
# Language and standard of each compiler, by the name of its program.
COMPILERS = {
    "gcc": ("-x", "c", C),
    "g++": ("-x", "c++"),
    "clang": ("-x", "c", C),
    "clang++": ("-x", "c++"),
    "aarch64-linux-gnu-gcc": ("-x", "c", C),
    "aarch64-linux-gnu-g++": ("-x", "c++"),
    "arm-none-eabi-gcc": ("-x", "c", C, "-mcpu=cortex-m4"),
}
NUMBERS = count()  # a library is not loaded again under a name that it had


def compiler():
    """A compiler of C for this machine, or None."""
    named = os.environ.get("CC", "cc")
    return next(filter(None, map(shutil.which, [named, "gcc", "clang"])), None)


def run(*command):
    """The output of a command; AssertionError, with what it said, if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert not done.returncode, f"{' '.join(map(str, command))}\n{done.stderr[-4000:]}"
    return done.stdout


def library(text, folder, flags=("-O2", C), program=None):
    """The functions of a C file, compiled with strict warnings as errors."""
    folder = Path(folder)
    source, target = folder / "models.c", folder / f"models{next(NUMBERS)}.so"
    source.write_text(text, encoding="ascii")
    run(program or compiler(), *STRICT, *flags, "-shared", "-fPIC", source, "-o", target)
    return ctypes.CDLL(str(target))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def each_row(function, X, width, dtype=None, n_results=1):
    """What `function(x, out, ...)` writes for each row of X, as so many matrices."""
    function.restype = None
    results = [np.empty((len(X), width), dtype or X.dtype) for _ in range(n_results)]
    for k, x in enumerate(X):
        function(pointer(x), *(pointer(result[k]) for result in results))
    return results if n_results > 1 else results[0]


def indices(function, X):
    """What `int function(x)` returns for each row of X."""
    function.restype = ctypes.c_int
    return np.array([function(pointer(x)) for x in X])


def ulps(found, expected, is_regressor=False):
    """The greatest distance in units in the last place of the row's largest output.

    Of regressors, of the root mean square of all outputs where that is larger: a prediction near
    zero is the sum of terms that are not, and so is the rounding of `predict` itself.
    """
    found = np.asarray(found).reshape(len(found), -1)
    expected = np.asarray(expected).reshape(found.shape)
    assert found.dtype == expected.dtype
    assert np.isfinite(found).all() and np.isfinite(expected).all()
    largest = np.abs(expected).max(axis=1, keepdims=True)
    if is_regressor:
        usual = np.sqrt(np.mean(np.square(expected, dtype=np.float64)))
        largest = np.maximum(largest, usual.astype(expected.dtype))
    wide = np.longdouble
    distance = np.abs(found.astype(wide) - expected.astype(wide))
    return float((distance / np.spacing(largest)).max())
