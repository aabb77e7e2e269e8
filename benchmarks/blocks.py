"""Epochs on a file that is read in windows, beside reading it alone and training alone.

    make bench-blocks                                  # ARGS="--mib 512 --rounds 3"

A file of random rows is written, larger than the window by far. In turns it is read from its first
byte to its last ("disk"), a part of it is trained on in memory ("core"), and all of it is trained
on by `fit_blocks`. Pages of the file are dropped from the system's cache before it is read. All
times are wall times, the best of the rounds; "share" is the slower of disk and core divided by the
epoch. Memory is the most anonymous memory that the fit took beyond what the process had; pages of
files are not in it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from fastbp import MLPClassifier
from fastbp.blocks import from_npy

MIB = 2**20
NETS = {"54-128-64-7": (54, (128, 64), 7, 256), "784-100-10": (784, (100,), 10, 200)}
SCRIPT = Path(__file__).parents[1] / "tests" / "large_fit.py"


def write(folder: Path, n_rows: int, n_features: int, n_classes: int) -> None:
    """Random rows; the class follows from a few of the features."""
    rng = np.random.RandomState(0)
    X = open_memmap(folder / "X.npy", "w+", np.float32, (n_rows, n_features))
    y = open_memmap(folder / "y.npy", "w+", np.int64, (n_rows,))
    block = rng.randn(min(n_rows, 50_000), n_features).astype(np.float32)
    labels = np.clip((block[:, :4].sum(axis=1) + n_classes / 2).astype(int), 0, n_classes - 1)
    for first in range(0, n_rows, len(block)):
        shuffled = rng.permutation(len(block))[: n_rows - first]
        part = slice(first, first + len(block))
        X[part], y[part] = block[shuffled], labels[shuffled]
    X.flush()
    y.flush()


def forget(folder: Path) -> None:
    """Drop the pages of the files from the system's cache."""
    for path in folder.glob("*.npy"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk(folder: Path) -> float:
    """Seconds to read all rows, in their order."""
    forget(folder)
    began = time.perf_counter()
    buffer = bytearray(4 * MIB)
    for path in folder.glob("*.npy"):
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - began


def core(folder: Path, n_rows: int, parameters: dict[str, Any]) -> float:
    """Seconds that an epoch on all rows would take if they were in memory, from one on a part."""
    source = from_npy(folder / "X.npy", folder / "y.npy")
    some = min(n_rows, 200_000)
    X, y, _ = source.read(0, some)
    model = MLPClassifier(**parameters)
    began = time.perf_counter()
    model.fit(X, y)
    return (time.perf_counter() - began) * n_rows / some


def fit(folder: Path, window: int, parameters: dict[str, Any]) -> tuple[float, int]:
    """Seconds of the epoch of a fit by `fit_blocks` in a process of its own, and its memory."""
    forget(folder)
    command = [sys.executable, str(SCRIPT), str(folder), "--window", str(window)]
    command += ["--parameters", json.dumps(parameters)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return result["seconds"][0], result["taken"]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--window", type=int, default=64, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the file is written; on the disk meant")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"file {given.mib} MiB, window {given.window} MiB, best of {given.rounds} rounds\n")
    print("| net | disk, s | core, s | fit_blocks, s | share | memory, MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, (n_features, hidden, n_classes, batch) in NETS.items():
        n_rows = given.mib * MIB // (4 * n_features)
        parameters = dict(hidden_layer_sizes=hidden, batch_size=batch, max_iter=1, random_state=0)
        parameters["n_threads"] = given.threads
        with tempfile.TemporaryDirectory(dir=given.folder) as path:
            folder = Path(path)
            write(folder, n_rows, n_features, n_classes)
            rounds = [
                (
                    disk(folder),
                    core(folder, n_rows, parameters),
                    *fit(folder, given.window, parameters),
                )
                for _ in range(given.rounds)
            ]
        of_disk, of_core, of_fit, memory = np.array(rounds).T
        slower = max(of_disk.min(), of_core.min())
        print(
            f"| {name} | {of_disk.min():.2f} | {of_core.min():.2f} | {of_fit.min():.2f} "
            f"| {slower / of_fit.min():.2f} | {memory.max() / MIB:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
