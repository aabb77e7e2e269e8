"""The libraries that are compared, and the ways to run each; the fastest way counts.

A module of this folder has `prepare(workload, X, y, way)`. It returns a function without
parameters that does the workload's work once, from the same start every time. It returns "seconds",
a list of measured times (per step, fit or call), "cpu_seconds", the CPU time of the process over
the same work, and "result", a number that all peers should agree on.
"""

from collections import namedtuple
from time import perf_counter, process_time

import numpy as np

Peer = namedtuple("Peer", "module package ways")
PEERS = {
    "scikit-learn": Peer("estimators", "scikit-learn", [{"module": "sklearn.neural_network"}]),
    "PyTorch": Peer("with_torch", "torch", [{"cores": "all"}, {"cores": 1}]),
    "JAX": Peer(
        "with_jax",
        "jax",
        [
            {"cores": cores, "unroll": unroll, "whole": whole}
            for cores in ("all", 1)
            for unroll in (1, 4)
            for whole in (False, True)
        ],
    ),
    "TensorFlow": Peer("with_tensorflow", "tensorflow-cpu", [{"cores": "all"}, {"cores": 1}]),
    "libtorch": Peer("with_libtorch", "torch", [{"cores": "all"}, {"cores": 1}]),
    "numba": Peer("with_numba", "numba", [{"cores": 1, "skip": skip} for skip in (False, True)]),
    "NumPy": Peer("with_numpy", "numpy", [{"cores": "all"}, {"cores": 1}]),
    "ONNX Runtime": Peer("with_onnxruntime", "onnxruntime", [{"cores": "all"}, {"cores": 1}]),
    "OpenVINO": Peer("with_openvino", "openvino", [{"cores": "all"}, {"cores": 1}]),
    "LiteRT": Peer("with_litert", "ai-edge-litert", [{"cores": "all"}, {"cores": 1}]),
    "fastbp": Peer("estimators", "fastbp", [{"module": "fastbp"}]),
    "fastbp, 1 thread": Peer("estimators", "fastbp", [{"module": "fastbp", "n_threads": 1}]),
}


def ways_of(peer, threads):
    """The ways of a peer, in one thread (1) or in as many as it likes ("all")."""
    ways = PEERS[peer].ways
    if threads == 1:
        ways = [{**way, "cores": 1} for way in ways]
    return [way for i, way in enumerate(ways) if way not in ways[:i]]


def now():
    """The clock's time and the CPU time of this process, in seconds."""
    return np.array((perf_counter(), process_time()))


def done(times, result, **more):
    """What a turn returns, of one difference of two `now()`, or of a list of them."""
    seconds, cpu_seconds = np.atleast_2d(times).T.tolist()
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "result": float(result), **more}


def timed(work, **more):
    """A turn of a function that returns the final loss and maybe a number of iterations."""

    def turn():
        begin = now()
        loss, iterations = work()
        return done(now() - begin, loss, iterations=iterations, **more)

    return turn


def calls(predict, X, repeats=None):
    """A turn of `repeats` calls `predict(X)`; by default enough to hide the cost of the clock."""
    predict(X)
    if repeats is None:
        start = perf_counter()
        predict(X)
        repeats = 1 + int(0.01 / (perf_counter() - start))

    def turn():
        start = now()
        for _ in range(repeats):
            P = predict(X)
        return done((now() - start) / repeats, P.max(axis=1).mean())

    return turn
