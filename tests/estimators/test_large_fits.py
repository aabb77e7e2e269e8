"""A fit on a file of four times the memory that its process may take."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.format import open_memmap

SCRIPT = Path(__file__).parents[1] / "large_fit.py"
WINDOW, LIMIT = 12, 40  # MiB
FEATURES = 54


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with X.npy and y.npy; blocks of rows repeat."""
    folder = tmp_path_factory.mktemp("large")
    n_rows = 4 * LIMIT * 2**20 // (4 * FEATURES) + 1
    block = np.random.RandomState(0).randn(100_000, FEATURES).astype(np.float32)
    X = open_memmap(folder / "X.npy", "w+", np.float32, (n_rows, FEATURES))
    y = open_memmap(folder / "y.npy", "w+", np.int64, (n_rows,))
    for first in range(0, n_rows, len(block)):
        part = slice(first, first + len(block))
        X[part] = block[: n_rows - first]
        y[part] = X[part, 0] > 0
    del X, y
    return folder


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.skipif("san.so" in os.environ.get("LD_PRELOAD", ""), reason="takes memory of its own")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_memory_of_a_fit_is_that_of_its_window(solver, folder):
    """The limit counts all private memory, the measurement what was touched."""
    parameters = dict(hidden_layer_sizes=[4], solver=solver, max_iter=1, batch_size=256)
    command = [sys.executable, str(SCRIPT), str(folder), "--parameters", json.dumps(parameters)]
    command += ["--window", str(WINDOW), "--limit", str(LIMIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["seconds"]) == 1
    assert result["taken"] < (WINDOW + 24) * 2**20
