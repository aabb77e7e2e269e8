"""core = the widest build of the compiled core that this CPU runs; FASTBP_ISA forces one.

backend = what computes matrix products: "native", the core's own tiles, or "blas", that of SciPy;
FASTBP_MATMUL forces one. Where multiply and add are one instruction the tiles are ahead of BLAS at
every shape; elsewhere BLAS is, which detects by itself what the CPU has. `core.BACKENDS` has the
better one first. Without SciPy, which `fastbp.runtime` does not need, products go through the
tiles.
"""

import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any

from fastbp.kernels.border import (
    CSR,
    Codes,
    Dropout,
    Epochs,
    LoweredObjective,
    Origin,
    Plan,
    Program,
    Rank,
    Rows,
    Sums,
    Task,
    is_core_float,
)

__all__ = [
    "CSR",
    "LEVELS",
    "Codes",
    "Dropout",
    "Epochs",
    "LoweredObjective",
    "Origin",
    "Plan",
    "Program",
    "Rank",
    "Rows",
    "Sums",
    "Task",
    "backend",
    "core",
    "is_core_float",
    "level",
    "runnable_levels",
    "variant",
]

LEVELS = {"v4": "_core_v4", "v3": "_core_v3", "baseline": "_core"}


def runnable_levels() -> list[str]:
    """Names of the levels that this CPU runs, widest first."""
    try:  # NumPy's own run-time detection; private, so its absence means baseline
        from numpy._core._multiarray_umath import __cpu_features__ as cpu
    except ImportError:
        return ["baseline"]
    v3 = cpu.get("X86_V3", cpu.get("AVX2", False) and cpu.get("FMA3", False))
    v4 = v3 and cpu.get("X86_V4", cpu.get("AVX512_SKX", False))
    return ["v4"] * bool(v4) + ["v3"] * bool(v3) + ["baseline"]


def load_core(forced: str) -> tuple[str, ModuleType]:
    """The core of the forced level, or of the widest one that was built and runs here."""
    if forced and forced not in LEVELS:
        raise ImportError(f"FASTBP_ISA must be one of baseline, v3, v4, got {forced!r}")
    runnable = runnable_levels()
    if forced and forced not in runnable:
        raise ImportError(f"FASTBP_ISA={forced}, but this CPU runs only {', '.join(runnable)}")
    for level in [forced] if forced else runnable:
        try:
            return level, importlib.import_module(f"fastbp.{LEVELS[level]}")
        except ModuleNotFoundError:
            continue
    raise ImportError(f"fastbp was built without its compiled core for {forced or 'this CPU'}")


def choose_backend(core: ModuleType, forced: str) -> str:
    """Set and return the backend of matrix products: the forced one, or the core's best."""
    if forced and forced not in core.BACKENDS:
        raise ImportError(
            f"FASTBP_MATMUL must be one of {', '.join(core.BACKENDS)} here, got {forced!r}"
        )
    backend = forced or core.BACKENDS[0]
    if not forced and backend == "blas" and not _has_blas():
        backend = core.BACKENDS[-1]
    core.use_backend(backend)
    return backend


def _has_blas() -> bool:
    """Whether SciPy is installed, and what limits its threads; nothing is imported."""
    return all(map(importlib.util.find_spec, ("scipy", "threadpoolctl")))


def variant(door: Any, dtype: Any) -> Any:
    """The variant of a door for this dtype; asking for it once is faster than at every call."""
    return door["float" if dtype == "float32" else "double"]


level, core = load_core(os.environ.get("FASTBP_ISA", ""))
backend = choose_backend(core, os.environ.get("FASTBP_MATMUL", ""))
