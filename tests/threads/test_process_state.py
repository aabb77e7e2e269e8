"""Law 12: import, fit and a failed fit do not change the state of the process."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import gc, json, signal, sys, threading, warnings
import numpy as np, scipy.linalg, sklearn.neural_network, sklearn.datasets
from threadpoolctl import threadpool_info

def state():
    gc.collect()
    tiny = np.array([1e-310, 2e-310])
    return {
        "flush": [float((tiny * 0.5)[0]), float(np.float32(1e-40) * np.float32(0.5)),
                  float(np.finfo(np.float32).smallest_subnormal)],
        "rounding": float(np.float64(1) / 3), "errstate": np.geterr(),
        "threads": threading.active_count(), "bare": __import__("_thread")._count(),
        "libraries": sorted((lib["filepath"], lib["num_threads"]) for lib in threadpool_info()),
        "signals": [str(signal.getsignal(s)) for s in sorted(signal.valid_signals())],
        "filters": str(warnings.filters),
        "random": np.random.get_state()[1].tolist(),
        "system": (len(__import__("os").listdir("/proc/self/task"))
                   if sys.platform == "linux" else 0),
    }

threadpool_info()
np.ones((600, 600)) @ np.ones((600, 600))  # NumPy's BLAS has started its own threads
scipy.linalg.blas.dgemm(1.0, np.ones((600, 600)), np.ones((600, 600)))
report = {"at first": state()}
import fastbp
report["import"] = state()
X, y = sklearn.datasets.load_digits(return_X_y=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for parameters in ({}, {"solver": "lbfgs"}, {"n_threads": 3, "early_stopping": True}):
        model = fastbp.MLPClassifier(max_iter=3, random_state=0, **parameters).fit(X, y)
        model.predict_proba(X)
report["fit"] = state()
for n_threads in (1, 2):
    try:
        fastbp.MLPRegressor(solver="sgd", learning_rate_init=1e10, random_state=0,
                            n_threads=n_threads).fit(X, y)
    except ValueError:
        report[f"failed fit {n_threads}"] = state()
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def report():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("event", ["import", "fit", "failed fit 1", "failed fit 2"])
def test_law_12_nothing_in_the_process_has_changed(report, event):
    assert report["at first"]["flush"][0] > 0 and report["at first"]["flush"][1] > 0
    assert report[event] == report["at first"]


def test_import_brings_no_library_and_no_plotting():
    """It loads only itself, the standard library and requirements of scikit-learn."""
    program = (
        "import sys, sklearn.neural_network; before = set(sys.modules); import fastbp; "
        "fastbp.MLPClassifier, fastbp.check_gradient; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    needed = {"fastbp", "numpy", "scipy", "sklearn", "joblib", "threadpoolctl"}
    loaded = {name for name in done.stdout.split() if not name.startswith("_cython_")}  # types
    assert loaded <= needed | set(sys.stdlib_module_names)
