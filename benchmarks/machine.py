"""The machine: what it is, and its peak in matrix products."""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGES = (
    "fastbp",
    "scikit-learn",
    "torch",
    "jax",
    "tensorflow-cpu",
    "numba",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "numpy",
    "scipy",
)
# OpenBLAS kernels to try: its own choice is not always the fastest.
CORE_TYPES = ("", "SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS", "ZEN", "HASWELL")

PRODUCTS = """
import sys
from statistics import median
from time import perf_counter, process_time
import numpy as np
n, seconds, clock = 2048, [], process_time if sys.argv[3] == "1" else perf_counter
a, b = (np.random.rand(n, n).astype(sys.argv[1]) for _ in range(2))
c = a @ b
for _ in range(int(sys.argv[2])):
    start = clock()
    np.matmul(a, b, out=c)
    seconds.append(clock() - start)
print(2e-9 * n**3 / median(seconds))
"""


def cpu() -> str:
    """The processor's name, if the system gives one."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def revision() -> str | None:
    """The commit that is measured, with a + if its files were changed since; None without git."""
    here = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.check_output([*here, "rev-parse", "--short", "HEAD"], text=True)
        changed = subprocess.run([*here, "diff", "--quiet", "HEAD", "--", "../fastbp"]).returncode
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.strip() + "+" * bool(changed)


def facts() -> dict[str, Any]:
    return {
        "cpu": cpu(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
        # Variables that change a library's threads or kernels.
        "environment": {
            k: v
            for k, v in sorted(os.environ.items())
            if k.startswith(("OMP_", "OPENBLAS_", "MKL_", "XLA_", "FASTBP_")) and k != "FASTBP_DATA"
        },
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def gflops(dtype: str, core_type: str, threads: int | str = "all", products: int = 12) -> float:
    """GFLOP/s of a 2048 x 2048 product by NumPy's OpenBLAS with these kernels; 0 if it fails.

    threads: 1, by CPU time; or "all", by wall time.
    """
    environment = dict(os.environ, OPENBLAS_CORETYPE=core_type)
    if threads == 1:
        environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTS, dtype, str(products), str(threads)],
        env=environment,
        capture_output=True,
        text=True,
    )
    return float(done.stdout) if done.returncode == 0 else 0.0


def peak(
    dtype: str, threads: int | str = "all", before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The fastest kernels and their GFLOP/s; given `before`, only its kernels are tried again."""
    if before:
        again = gflops(dtype, before["core_type"], threads)
        return {**before, "gflops": round(max(again, before["gflops"]), 1)}
    reached = {core_type: gflops(dtype, core_type, threads) for core_type in CORE_TYPES}
    best = max(reached, key=lambda core_type: reached[core_type])
    return {
        "gflops": round(reached[best], 1),
        "core_type": best,
        "of_core_types": {name or "(its own)": round(value, 1) for name, value in reached.items()},
    }
