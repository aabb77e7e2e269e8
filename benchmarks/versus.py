"""scikit-learn and fastbp on the same work, in one run: microseconds per optimization step.

    python benchmarks/versus.py [--workloads W1,W3] [--float64] [--turns 5] [--markdown]
    python benchmarks/versus.py --readme        # also writes the table into README.md

How the time of an epoch is taken: both libraries draw the order of each epoch from the RandomState
they are given. Theirs notes the time of each draw, and an epoch lasts from one draw to the next.
What is paid once per fit (validation, the first weights, the ends) lies outside. Both get the same
parameters, seed and number of epochs; they take turns, and the median of all epochs is reported.
Each runs in its natural thread setting: BLAS as scikit-learn finds it, n_threads=None for fastbp.

Figures are stored in benchmarks/results when all workloads were run.
"""

import argparse
import json
import os
import platform
import re
import sys
import warnings
from collections import namedtuple
from datetime import date
from pathlib import Path
from statistics import median
from textwrap import fill
from time import perf_counter

import numpy as np
import scipy
import sklearn
import sklearn.neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

import fastbp
from fastbp import _dispatch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "examples"))
import _data  # noqa: E402

# One row per workload: the estimator (as both libraries call it), the data set, the epochs timed in
# each turn, and the parameters.
Workload = namedtuple("Workload", "what estimator data epochs parameters")
WORKLOADS = {
    "W1": Workload(
        "MNIST 784-100-10, relu, adam, batch 200", "MLPClassifier", "mnist", 4,
        {"hidden_layer_sizes": (100,), "batch_size": 200},
    ),
    "W2": Workload(
        "MNIST 784-50-100-10, logistic, sgd, batch 100", "MLPClassifier", "mnist", 4,
        {"hidden_layer_sizes": (50, 100), "activation": "logistic", "solver": "sgd",
         "batch_size": 100},
    ),
    "W3": Workload(
        "housing 8-64-64-1, relu, adam, batch 32", "MLPRegressor", "housing", 10,
        {"hidden_layer_sizes": (64, 64), "batch_size": 32},
    ),
    "W4": Workload(
        "MNIST 784-1024-1024-10, relu, adam, batch 512", "MLPClassifier", "mnist", 2,
        {"hidden_layer_sizes": (1024, 1024), "batch_size": 512},
    ),
    "W5": Workload(
        "MNIST 784-30-10, logistic, sgd, batch 10", "MLPClassifier", "mnist", 2,
        {"hidden_layer_sizes": (30,), "activation": "logistic", "solver": "sgd",
         "batch_size": 10},
    ),
    "W6": Workload(
        "housing 8-16-1, tanh, sgd, batch 1", "MLPRegressor", "housing", 2,
        {"hidden_layer_sizes": (16,), "activation": "tanh", "solver": "sgd", "batch_size": 1},
    ),
}  # fmt: skip
LIBRARIES = {"scikit-learn": sklearn.neural_network, "fastbp": fastbp}


def load(name, dtype):
    """X, y of a data set, or random numbers of the same shape where it is not at hand."""
    path = _data.find({"mnist": "mnist.npz", "housing": "housing.csv"}[name])
    if path and name == "mnist":
        X, y, _, _ = _data.mnist(path)
    elif path:
        X, y, _ = _data.housing(path)
        X = StandardScaler().fit_transform(X)
    else:
        print(f"{name} is not at hand: random numbers of its shape instead", file=sys.stderr)
        random = np.random.RandomState(0)
        if name == "mnist":
            X = random.rand(60000, 784) * (random.rand(60000, 784) < 0.19)
            y = random.randint(10, size=60000)
        else:
            X = random.randn(20640, 8)
            y = np.abs(X @ random.randn(8)) + random.rand(20640)
    return np.ascontiguousarray(X, dtype), y if name == "mnist" else y.astype(dtype)


class Clock(np.random.RandomState):
    """A RandomState that notes when it is asked to shuffle: at the start of each epoch."""

    def __init__(self, seed):
        super().__init__(seed)
        self.ticks = []

    def shuffle(self, x):
        self.ticks.append(perf_counter())
        super().shuffle(x)


def time_epochs(library, workload, X, y):
    """Seconds of each of the workload's epochs in a fresh fit, and the loss at the end."""
    clock = Clock(0)
    # The end of the last epoch is not seen, so there is one more than are timed. Without the two
    # settings in the middle training would stop where the loss does.
    estimator = getattr(LIBRARIES[library], workload.estimator)(
        **workload.parameters, max_iter=workload.epochs + 1, tol=0, n_iter_no_change=np.inf,
        random_state=clock,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X, y)
    assert len(clock.ticks) == estimator.n_iter_ == workload.epochs + 1
    return np.diff(clock.ticks), estimator.loss_


def measure(workload, X, y, turns):
    """Microseconds per step of each library: median and least of all epochs, and the last loss."""
    steps = -(-len(X) // workload.parameters["batch_size"])
    epochs, losses = {name: [] for name in LIBRARIES}, {}
    for _ in range(turns):
        for name in LIBRARIES:
            # Short epochs drown in the noise of the machine: repeat them for half a second.
            spent = 0
            while spent < 0.5:
                seconds, losses[name] = time_epochs(name, workload, X, y)
                epochs[name].extend(seconds)
                spent += sum(seconds)
    return {
        name: {
            "us_per_step": round(median(epochs[name]) / steps * 1e6, 3),
            "least_us_per_step": round(min(epochs[name]) / steps * 1e6, 3),
            "seconds_per_epoch": round(median(epochs[name]), 6),
            "epochs": len(epochs[name]),
            "last_loss": float(losses[name]),
        }
        for name in LIBRARIES
    }


def cpu():
    """The processor's name, as far as the system tells."""
    try:
        return re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def machine():
    usable = getattr(os, "process_cpu_count", os.cpu_count)()
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
    return {
        "cpu": cpu(),
        "cores": usable,
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "fastbp": fastbp.__version__,
        "blas_threads": max((b["num_threads"] for b in threadpool_info()
                             if b["user_api"] == "blas"), default=None),
        "n_threads": None,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "level": _dispatch.level,
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }  # fmt: skip


def number(value):
    """Three digits that mean something, thousands set apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(results):
    lines = [
        "| workload | scikit-learn, µs per step | fastbp, µs per step | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, result in results.items():
        theirs, ours = (result[library]["us_per_step"] for library in LIBRARIES)
        lines.append(f"| {name} {WORKLOADS[name].what} | {number(theirs)} | {number(ours)} "
                     f"| {theirs / ours:.1f} |")  # fmt: skip
    return "\n".join(lines)


def caption(facts, dtype):
    return fill(
        f"{dtype}, {facts['cores']} cores of {facts['cpu']}, Python {facts['python']}, "
        f"scikit-learn {facts['scikit-learn']}, NumPy {facts['numpy']}, SciPy {facts['scipy']}, "
        f"fastbp {facts['fastbp']}; "
        f"both libraries in one run, taking turns; {date.today()}.",
        width=98,
    )


def write_readme(text):
    readme = HERE.parent / "README.md"
    before, _, after = readme.read_text().split("<!-- versus -->")
    readme.write_text(f"{before}<!-- versus -->\n{text}\n<!-- versus -->{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="such as W1,W3")
    parser.add_argument("--float64", action="store_true", help="instead of float32")
    parser.add_argument("--turns", type=int, default=5, help="fits of each library (default 5)")
    parser.add_argument("--markdown", action="store_true", help="print the table and nothing else")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    options = parser.parse_args()
    names = options.workloads.split(",")
    if unknown := set(names) - set(WORKLOADS):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    complete = set(names) == set(WORKLOADS)
    if options.readme and (options.float64 or not complete):
        parser.error("--readme wants all workloads, in float32")

    dtype = "float64" if options.float64 else "float32"
    facts, results, data = machine(), {}, {}
    if (facts["load_average"] or 0) > 0.5 * facts["cores"]:
        print("the machine is busy: these figures will say little", file=sys.stderr)
    for name in names:
        workload = WORKLOADS[name]
        if workload.data not in data:
            data[workload.data] = load(workload.data, dtype)
        results[name] = result = measure(workload, *data[workload.data], options.turns)
        theirs, ours = result["scikit-learn"], result["fastbp"]
        if not options.markdown:
            print(f"{name}  scikit-learn {theirs['us_per_step']:10.2f}   "
                  f"fastbp {ours['us_per_step']:10.2f} us per step   "
                  f"x {theirs['us_per_step'] / ours['us_per_step']:.1f}", flush=True)  # fmt: skip
        if not np.isclose(theirs["last_loss"], ours["last_loss"], rtol=0.02):
            print(f"{name}  the losses differ: {theirs['last_loss']} {ours['last_loss']}",
                  file=sys.stderr)  # fmt: skip

    print("" if options.markdown else "\n", table(results), sep="")
    print(f"\n{caption(facts, dtype)}")
    if complete:
        suffix = "-float64" if options.float64 else ""
        path = HERE / "results" / f"versus-{fastbp.__version__}{suffix}.json"
        path.parent.mkdir(exist_ok=True)
        stored = {"date": str(date.today()), "dtype": dtype, "machine": facts, "results": results}
        path.write_text(json.dumps(stored, indent=1) + "\n")
        if not options.markdown:
            print(f"stored: {path.relative_to(HERE.parent)}")
    if options.readme:
        write_readme(f"{table(results)}\n\n{caption(facts, dtype)}")


if __name__ == "__main__":
    main()
