"""core = the widest build of the compiled core that this CPU runs; FASTBP_ISA forces one.

matmul = the way its matrix products go: "native", its own tiles, or "blas"; FASTBP_MATMUL forces
one. Where multiply and add are one instruction the tiles are ahead of BLAS at every shape; where
they are not it is BLAS, which finds out by itself what the CPU has. `core.MATMUL` has the better
way first.
"""

import importlib
import os

LEVELS = {"v4": "_core_v4", "v3": "_core_v3", "baseline": "_core"}


def runnable_levels():
    """Names of the levels that this CPU runs, widest first."""
    try:  # NumPy's own run-time detection; private, so its absence means baseline
        from numpy._core._multiarray_umath import __cpu_features__ as cpu
    except ImportError:
        return ["baseline"]
    v3 = cpu.get("X86_V3", cpu.get("AVX2", False) and cpu.get("FMA3", False))
    v4 = v3 and cpu.get("X86_V4", cpu.get("AVX512_SKX", False))
    return ["v4"] * bool(v4) + ["v3"] * bool(v3) + ["baseline"]


def load_core(forced):
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


def choose_matmul(core, forced):
    """Set and return the way of matrix products: the forced one, or the core's best."""
    if forced and forced not in core.MATMUL:
        raise ImportError(
            f"FASTBP_MATMUL must be one of {', '.join(core.MATMUL)} here, got {forced!r}"
        )
    way = forced or core.MATMUL[0]
    core.use_matmul(way)
    return way


level, core = load_core(os.environ.get("FASTBP_ISA", ""))
matmul = choose_matmul(core, os.environ.get("FASTBP_MATMUL", ""))
