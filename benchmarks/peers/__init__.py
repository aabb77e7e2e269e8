"""The libraries that are compared, and the ways to run each; of several ways the best one counts.

A module of this folder has `prepare(workload, X, y, way)`. It returns a function without
parameters that does the workload's work once, from the same start every time, and returns
"seconds", a list of what was timed (per step, fit or call), and "result", a number that all peers
should arrive at.
"""

from collections import namedtuple
from time import perf_counter

Peer = namedtuple("Peer", "module package ways")
PEERS = {
    "scikit-learn": Peer("estimators", "scikit-learn", [{"module": "sklearn.neural_network"}]),
    "PyTorch": Peer("with_torch", "torch", [{"cores": "all"}, {"cores": 1}]),
    "JAX": Peer(
        "with_jax",
        "jax",
        [{"cores": cores, "unroll": unroll} for cores in ("all", 1) for unroll in (1, 4)],
    ),
    "ONNX Runtime": Peer("with_onnxruntime", "onnxruntime", [{"cores": "all"}, {"cores": 1}]),
    "fastbp": Peer("estimators", "fastbp", [{"module": "fastbp"}]),
    "fastbp, 1 thread": Peer("estimators", "fastbp", [{"module": "fastbp", "n_threads": 1}]),
}


def calls(predict, X):
    """A turn of calls `predict(X)`: so many at a time that the clock does not show."""
    predict(X)
    start = perf_counter()
    predict(X)
    repeats = 1 + int(0.01 / (perf_counter() - start))

    def turn():
        start = perf_counter()
        for _ in range(repeats):
            P = predict(X)
        seconds = (perf_counter() - start) / repeats
        return {"seconds": [seconds], "result": float(P.max(axis=1).mean())}

    return turn
