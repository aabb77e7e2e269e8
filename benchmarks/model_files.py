"""Time and size of model files, beside pickles and beside a loader that copies.

    make bench-files                                  # ARGS="--rounds 51"

A fitted network is saved to a file and loaded, after one step of adam, whose state is twice the
size of the weights. What waits for the disk (fsync) is left out: a pickle does not wait. Numbers
are CPU time, least of all rounds, in which the ways take turns.

The loader that copies does what a first sketch of the format did: it reads all bytes, compares the
checksum, and copies weights, moments and curves into arrays of their own. `fastbp.load` must not
copy the moments.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any
from unittest import mock

import numpy as np

import fastbp
from fastbp.network import Network

SHAPES = ((784, 100, 10), (784, 1024, 1024, 10))


def fitted(widths: tuple[int, ...], dtype: str) -> Any:
    """A classifier of these widths after one step of adam."""
    rng = np.random.RandomState(0)
    X = rng.rand(200, widths[0]).astype(dtype)
    model = fastbp.MLPClassifier(widths[1:-1], random_state=0, n_threads=1)
    return model.partial_fit(X, np.arange(200) % widths[-1], classes=range(widths[-1]))


def dump(model: Any, path: Path) -> None:
    """Write a pickle."""
    with open(path, "wb") as file:
        pickle.dump(model, file, protocol=5)


def undump(path: Path) -> Any:
    """Read a pickle."""
    with open(path, "rb") as file:
        return pickle.load(file)


def load_with_copies(path: Path) -> Any:
    """A network with copies of all that a file holds, after the check of its checksum."""
    with open(path, "rb") as file:
        first = file.read(8)
        head = file.read(int.from_bytes(first, "little"))
        body = np.fromfile(file, np.uint8)
    table = json.loads(head)
    about = json.loads(table.pop("__metadata__")["fastbp"])
    at = head.index(b'crc32\\":\\"') + len(b'crc32\\":\\"')
    crc = zlib.crc32(head[:at] + b"00000000" + head[at + 8 :], zlib.crc32(first))
    assert f"{zlib.crc32(body.data, crc):08x}" == about["crc32"]
    copies = {}
    for name, entry in table.items():
        start, stop = entry["data_offsets"]
        dtype = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}[entry["dtype"]]
        copies[name] = body[start:stop].view(dtype).reshape(entry["shape"]).copy()
    units = about["network"]["units"]
    network = Network(units, "relu", copies["params"].dtype)
    network.params[...] = copies["params"]
    return network if network.is_finite() else None, copies


def least(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Milliseconds of CPU time of each call: the least of all rounds, in which they take turns."""
    found = dict.fromkeys(calls, np.inf)
    for _ in range(rounds):
        for name, call in calls.items():
            start = process_time()
            call()
            found[name] = min(found[name], 1000 * (process_time() - start))
    return found


def measure(widths: tuple[int, ...], dtype: str, rounds: int) -> dict[str, float]:
    """Times in milliseconds and sizes in bytes for one shape."""
    model = fitted(widths, dtype)
    with tempfile.TemporaryDirectory() as folder:
        whole, part, pickled = (Path(folder, name) for name in ("whole", "part", "pickle"))
        saves: dict[str, Callable[[], Any]] = {
            "save pickle": lambda: dump(model, pickled),
            "save": lambda: model.save(whole),
            "save without training": lambda: model.save(part, training=False),
        }
        loads: dict[str, Callable[[], Any]] = {
            "load pickle": lambda: undump(pickled),
            "load": lambda: fastbp.load(whole),
            "load mapped": lambda: fastbp.load(whole, mmap=True),
            "load with copies": lambda: load_with_copies(whole),
            "load without training": lambda: fastbp.load(part),
        }
        with mock.patch.object(os, "fsync", lambda _: None):
            found = least(saves, rounds)
        found |= least(loads, rounds)
        for name, path in (("size pickle", pickled), ("size", whole), ("size part", part)):
            found[name] = path.stat().st_size
    return found


def main() -> None:
    """Print a table for each shape, and the ratios that are promised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    for widths in SHAPES:
        print(f"{'-'.join(map(str, widths))}, {options.dtype}")
        found = measure(widths, options.dtype, options.rounds)
        for name, number in found.items():
            unit = "bytes" if name.startswith("size") else "ms"
            print(f"  {name:24}{number:12.{0 if unit == 'bytes' else 3}f} {unit}")
        for name in ("save", "load", "size"):
            print(f"  {name} / pickle's{found[name] / found[f'{name} pickle']:22.2f}")
        print(f"  load / load with copies{found['load'] / found['load with copies']:13.2f}")


if __name__ == "__main__":
    main()
