"""Peak memory of a fit beyond its data, and the time of an import, in new processes.

Memory: one epoch of 784-100-10 on MNIST (60,000 float32 images). The figure is the peak of resident
memory at the end minus the peak just before `fit`. By then the data (188 MB) are in memory, and
nothing larger has been. Import: the median time beyond the imports that every such estimator
needs, in turns. Those come first in the same process: the time to load SciPy varies by 50 ms with
the depth of the stack where it begins, since at the end of a chunk of the interpreter's stack each
call costs an allocation.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
MODULES = {"scikit-learn": "sklearn.neural_network", "fastbp": "fastbp"}

# The data are prepared by one process and measured in others: a process inherits the peak of the
# one that started it, and loading leaves a peak of its own.
PREPARE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[2])
import workloads
X, y = workloads.load("mnist", "float32")
np.save(sys.argv[1] + "/X.npy", X)
np.save(sys.argv[1] + "/y.npy", y)
"""

FIT = """
import importlib, resource, sys, warnings
import numpy as np
folder, module = sys.argv[1:]
MLPClassifier = importlib.import_module(module).MLPClassifier
warnings.simplefilter("ignore")
# A small fit first: code and buffers that a process needs once are not counted.
MLPClassifier((4,), max_iter=1).fit(np.ones((400, 4), np.float32), np.arange(400) % 10)
X, y = np.load(folder + "/X.npy"), np.load(folder + "/y.npy")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
MLPClassifier((100,), max_iter=1, random_state=0).fit(X, y)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024) / 2**20)
"""

IMPORT = """
import importlib, sys
import sklearn.base, scipy.linalg.cython_blas
from time import perf_counter
start = perf_counter()
importlib.import_module(sys.argv[1])
print(1000 * (perf_counter() - start))
"""


def run(code: str, *arguments: object) -> float:
    """The number that `code` prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout or "nan")


def measure(
    codes: dict[str, str], arguments: dict[str, tuple], rounds: int
) -> dict[str, float | None]:
    """The median of the numbers of each code, run in turns; None if a run fails."""
    seen: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            try:
                seen[name].append(run(code, *arguments.get(name, ())))
            except subprocess.CalledProcessError:
                seen[name].append(np.nan)
    medians = {name: median(values) for name, values in seen.items()}
    return {name: None if np.isnan(value) else value for name, value in medians.items()}


def fit_mebibytes(rounds: int = 3) -> dict[str, float | None]:
    """Peak memory of a fit beyond its data, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        run(PREPARE, folder, HERE)
        arguments = {name: (folder, module) for name, module in MODULES.items()}
        found = measure(dict.fromkeys(MODULES, FIT), arguments, rounds)
    return {name: value and round(value, 1) for name, value in found.items()}


def import_milliseconds(rounds: int = 11) -> dict[str, float | None]:
    """An import beyond scikit-learn's estimator base and SciPy's BLAS, milliseconds."""
    arguments = {name: (module,) for name, module in MODULES.items()}
    measure(dict.fromkeys(MODULES, IMPORT), arguments, 1)  # files into the system's cache
    found = measure(dict.fromkeys(MODULES, IMPORT), arguments, rounds)
    return {name: value and round(value, 1) for name, value in found.items()}
