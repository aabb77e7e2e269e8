"""Fits and predictions in threads with the smallest stacks, their ranks included."""

import subprocess
import sys

import numpy as np
import pytest

from fastbp.kernels import backend

# Products of all kinds: copies of weights and of inputs, and a few last columns.
PROGRAM = """
import itertools, sys, threading, warnings
import numpy as np, scipy.sparse
from fastbp import MLPClassifier, MLPRegressor

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X, y = rng.randn(140, 560), np.arange(140) % 12
X[:, :500] *= rng.rand(140, 500) < 0.1

def work(dtype, is_sparse, n_threads, solver):
    rows = scipy.sparse.csr_matrix(X.astype(dtype)) if is_sparse else X.astype(dtype)
    model = MLPClassifier(
        (270, 18), solver=solver, max_iter=2, batch_size=139, n_threads=n_threads, random_state=0
    )
    model.fit(rows, y)
    if solver != "lbfgs":
        model.partial_fit(rows, y)
    model.predict(rows[:1])
    many = scipy.sparse.vstack([rows] * 20) if is_sparse else np.tile(rows, (20, 1))
    return model.predict_proba(many)

cases = list(itertools.product(("float32", "float64"), (False, True), (1, 2)))
solvers = sys.argv[2:]
expected = [work(*case, solver) for case in cases for solver in solvers]  # imports everything
threading.stack_size(int(sys.argv[1]))
found = []

def run():
    found.extend(work(*case, solver) for case in cases for solver in solvers)

thread = threading.Thread(target=run)
thread.start()
thread.join()
assert len(found) == len(expected)
assert all((ours == theirs).all() for ours, theirs in zip(found, expected))
"""


# The oldest versions of what fastbp stands on take between 32 and 40 KiB.
SMALLEST = 40960 if np.__version__.startswith("2.0.") else 32768


# SciPy's L-BFGS ends with NumPy's einsum, which alone takes more than 16 KiB.
@pytest.mark.parametrize("size, solvers", [(SMALLEST, ["sgd", "adam"]), (65536, ["lbfgs"])])
@pytest.mark.skipif(backend == "blas", reason="OpenBLAS has large frames of its own")
def test_fits_and_predictions_have_small_stacks(size, solvers):
    command = [sys.executable, "-c", PROGRAM, str(size), *solvers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (done.returncode, done.stderr)
