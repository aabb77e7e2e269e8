"""libtorch: the epoch in C++, without autograd and without Python (libtorch.cpp).

It is compiled once for each version of PyTorch, into build/. This takes a minute.
"""

import ctypes
import os
import subprocess
from pathlib import Path

import numpy as np
import torch
import workloads as w

from peers import done, now

SOURCE = Path(__file__).with_name("libtorch.cpp")
BUILD = Path(__file__).resolve().parents[2] / "build"


def library():
    made = BUILD / f"libtorch-{torch.__version__}.so"
    if not made.exists() or made.stat().st_mtime < SOURCE.stat().st_mtime:
        torch_at = Path(torch.__file__).parent
        lib = torch_at / "lib"
        made.parent.mkdir(exist_ok=True)
        unfinished = made.with_suffix(f".{os.getpid()}")
        command = [
            os.environ.get("CXX", "g++"),
            *("-std=c++20", "-O2", "-march=native", "-shared", "-fPIC", str(SOURCE)),
            *("-I", str(torch_at / "include"), "-L", str(lib), f"-Wl,-rpath,{lib}"),
            *("-ltorch_cpu", "-lc10", "-o", str(unfinished)),
        ]
        subprocess.run(command, check=True)
        unfinished.replace(made)
    loaded = ctypes.CDLL(str(made))
    loaded.make.restype, loaded.epoch.restype = ctypes.c_void_p, ctypes.c_double
    return loaded


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def prepare(workload, X, y, way):
    loaded, n = library(), len(X)
    y = y.astype(np.int64 if workload.loss == "multinomial" else X.dtype)
    constants = np.array([w.ALPHA, w.RATE, w.MOMENTUM, w.BETA_1, w.BETA_2, w.EPSILON])
    sizes = np.array(workload.sizes, np.int64)
    net = loaded.make(
        pointer(sizes),
        *(ctypes.c_int64(len(sizes) - 1), workload.activation.encode(), workload.loss.encode()),
        *map(ctypes.c_int64, (workload.solver == "adam", workload.batch, X.itemsize == 8, n)),
        *(pointer(X), pointer(y), pointer(constants)),
        ctypes.c_int64(1 if way["cores"] == 1 else 0),
    )
    net = ctypes.c_void_p(net)

    def turn():
        keep = X, y  # the net points to them
        random = np.random.RandomState(0)
        layers = w.initial(workload, random, X.dtype)
        kinds = zip(*layers, strict=True)  # all weights, then all biases
        params = np.concatenate([part.ravel() for kind in kinds for part in kind])
        loaded.start(net, pointer(params))
        order, times = np.arange(len(keep[0])), []
        for _ in range(workload.epochs):
            begin = now()
            random.shuffle(order)
            loss = loaded.epoch(net, pointer(order))
            times.append((now() - begin) / workload.steps)
        return done(times, loss)

    return turn
