"""One row by the C file of `fastbp.export`, beside the core's own prediction of a row.

    python benchmarks/export_c.py                     # --rounds 200 --compiler clang

The C function is called in a loop in C. The core's door is called in a loop in Python. What the
same call takes for a network of a single weight is subtracted, so that the kernel alone is left.
Times are the least CPU time over many rounds, in turns.
"""

import argparse
import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import process_time_ns

import numpy as np

from fastbp import MLPClassifier
from fastbp.export import to_c
from fastbp.kernels import core, level
from fastbp.network import Network

SHAPES = (20, 16, 3), (784, 100, 10)
FLAGS = ("-std=c99", "-O2"), ("-std=c99", "-O3"), ("-O3", "-march=native"), ("-std=c99", "-Os")
STORED = None, "float16", "int8"
ROWS = 16  # different rows that take turns
LOOP = """
void many(const {real} *x, {real} *out, int n);
void many(const {real} *x, {real} *out, int n) {{
    int i;
    for (i = 0; i < n; i++) model_predict(x + i % {rows} * model_n_features, out);
}}
"""


def made(units: tuple[int, ...], dtype: str) -> MLPClassifier:
    """A classifier with random weights."""
    rng = np.random.RandomState(0)
    shapes = list(pairwise(units))
    return MLPClassifier.from_weights(
        [rng.uniform(-0.3, 0.3, shape).astype(dtype) for shape in shapes],
        [rng.uniform(-0.3, 0.3, n).astype(dtype) for _, n in shapes],
        activation="relu",
    )


def door(units: tuple[int, ...], dtype: str) -> Callable[[], float]:
    """A function that predicts rows by the core and returns the nanoseconds for one."""
    network = Network(units, "relu", dtype)
    network.params[...] = np.random.RandomState(0).uniform(-0.3, 0.3, network.params.size)
    rows = np.random.RandomState(1).rand(ROWS, 1, units[0]).astype(dtype)
    out, scratch = np.empty((1, units[-1]), dtype), network.scratch(1, 1, "predict")
    arguments = network.program, network.params, scratch
    link = core.LINKS["softmax"]

    def turn() -> float:
        start = process_time_ns()
        for _ in range(4):
            for row in rows:
                network._predict(*arguments, row, out, link, None)
        return (process_time_ns() - start) / (4 * ROWS)

    return turn


def compiled(
    model: MLPClassifier, compiler: str, flags: tuple[str, ...], weights: str | None, folder: Path
) -> Callable[[], float]:
    """A function that predicts rows by the C file and returns the nanoseconds for one."""
    dtype = model.coefs_[0].dtype
    real = "float" if dtype == np.float32 else "double"
    name = f"{len(list(folder.iterdir()))}"
    source, target = folder / f"{name}.c", folder / f"{name}.so"
    source.write_text(to_c(model, weights=weights) + LOOP.format(real=real, rows=ROWS))
    subprocess.run(
        [compiler, *flags, "-shared", "-fPIC", str(source), "-o", str(target)], check=True
    )
    library = ctypes.CDLL(str(target))
    rows = np.random.RandomState(1).rand(ROWS, model.n_features_in_).astype(dtype)
    out = np.empty(len(model.classes_), dtype)
    n = max(64, 400_000 // model.coefs_[0].size)
    x, y = (array.ctypes.data_as(ctypes.c_void_p) for array in (rows, out))

    def turn() -> float:
        start = process_time_ns()
        library.many(x, y, n)
        return (process_time_ns() - start) / n

    turn.rows = rows  # type: ignore[attr-defined]  # kept, since the library has addresses
    turn.out = out  # type: ignore[attr-defined]
    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="turns of each (default 200)")
    parser.add_argument("--compiler", default="cc", help="the compiler of C (default cc)")
    options = parser.parse_args()
    if not shutil.which(options.compiler):
        raise SystemExit(f"there is no compiler {options.compiler!r}")
    print(f"one row, us; the core at level {level}, {options.compiler}")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in ("float32", "float64"):
            for units in SHAPES:
                model = made(units, dtype)
                turns = {"core": door(units, dtype), "empty": door((1, 1, 1), dtype)}
                for flags in FLAGS:
                    for weights in STORED:
                        name = " ".join([*flags, weights or ""]).strip()
                        turns[name] = compiled(
                            model, options.compiler, flags, weights, Path(folder)
                        )
                times = {name: min(turn() for _ in range(3)) for name, turn in turns.items()}
                for _ in range(options.rounds):
                    for name, turn in turns.items():
                        times[name] = min(times[name], turn())
                bare = times.pop("core") - times.pop("empty")
                shape = "-".join(map(str, units))
                print(f"\n{dtype} {shape}\n  {'bare kernel of the core':<36}{bare / 1e3:>8.2f}")
                for name, nanoseconds in times.items():
                    ratio = nanoseconds / bare
                    print(f"  {name:<36}{nanoseconds / 1e3:>8.2f}{ratio:>8.2f} of the kernel's")


if __name__ == "__main__":
    main()
