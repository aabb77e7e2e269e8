"""The workloads: networks and data, the same for every peer, and the FLOPs of a step.

Initial weights and orders are drawn as scikit-learn draws them. All peers then take the same steps,
and their final losses show whether they did the same work.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import _data

# Rows, columns and outputs of each data set. Only those with a file can be real.
SHAPES = {
    "mnist": (60000, 784, 10),
    "mnist5000": (5000, 784, 10),
    "housing": (20640, 8, 1),
    "higgs": (50000, 28, 1),
    "text": (20000, 50000, 20),
    "iris": (150, 4, 3),
    "digits": (1797, 64, 10),
    "onehot": (20000, 396, 1),
}
LEVELS = tuple(range(5, 61, 5))  # of the 12 categorical columns of "onehot"; numbers are the rest
FILES = {"mnist": "mnist.npz", "mnist5000": "mnist.npz", "housing": "housing.csv"}

# scikit-learn's defaults, for all peers.
RATE, ALPHA, MOMENTUM, BETA_1, BETA_2, EPSILON = 0.001, 0.0001, 0.9, 0.9, 0.999, 1e-8

# What is timed: every epoch of a fit, per step; whole fits; one call.
EPOCH, FIT, PREDICT = "epoch", "fit", "predict"
BOTH = ("float32", "float64")
# fastbp comes first: the results of the others are compared with its own.
ESTIMATORS = ("fastbp", "fastbp, 1 thread", "scikit-learn")
TRAINERS = (*ESTIMATORS, "PyTorch", "JAX", "TensorFlow", "libtorch")
WITH_LOOPS = (*TRAINERS, "numba")  # where products are small
PREDICTORS = (
    "fastbp",
    "scikit-learn",
    "PyTorch",
    "NumPy",
    "ONNX Runtime",
    "OpenVINO",
    "LiteRT",
)


@dataclass(frozen=True)
class Workload:
    """A network, its data and what is timed, with scikit-learn's names."""

    what: str
    data: str
    hidden: tuple
    activation: str = "relu"
    solver: str = "adam"
    batch: int = 200
    epochs: int = 1  # epochs of each fit that are timed; of a whole fit, max_iter
    timed: str = EPOCH
    peers: tuple = TRAINERS
    dtypes: tuple = BOTH
    rows: int = 0  # to predict

    @property
    def loss(self) -> str:
        if self.data == "housing":
            return "squared"
        return "logistic" if self.sizes[-1] == 1 else "multinomial"

    @property
    def estimator(self) -> str:
        return "MLPRegressor" if self.loss == "squared" else "MLPClassifier"

    @property
    def parameters(self) -> dict[str, Any]:
        """Constructor parameters of the estimators."""
        batch = {} if self.solver == "lbfgs" else {"batch_size": self.batch}
        return {
            "hidden_layer_sizes": self.hidden,
            "activation": self.activation,
            "solver": self.solver,
            **batch,
        }

    @property
    def lbfgs(self) -> dict[str, Any]:
        """Options of SciPy's optimizer, as scikit-learn gives them."""
        return {"maxiter": self.epochs, "maxfun": 15000, "gtol": 1e-4}

    @property
    def sizes(self) -> tuple[int, ...]:
        _, columns, outputs = SHAPES[self.data]
        return (columns, *self.hidden, outputs)

    @property
    def steps(self) -> int:
        """Optimization steps of an epoch."""
        return -(-SHAPES[self.data][0] // self.batch)

    @property
    def flops(self) -> int | None:
        """FLOPs of the timed work; None where it is not mostly dense products."""
        if self.timed == PREDICT:
            return forward_flops(self.sizes, self.rows)
        if self.data == "text" or self.timed == FIT:
            return None
        return step_flops(self.sizes, self.batch)


def forward_flops(sizes: Sequence[int], batch: int) -> int:
    return sum(2 * batch * fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def step_flops(sizes: Sequence[int], batch: int) -> int:
    """Forward, dW = aT delta and delta WT; the first layer does not need the last."""
    return 3 * forward_flops(sizes, batch) - forward_flops(sizes[:2], batch)


NET: dict[str, Any] = {
    "data": "mnist",
    "hidden": (100,),
    "timed": PREDICT,
    "peers": PREDICTORS,
    "dtypes": ("float32",),
}
WORKLOADS = {
    "W1": Workload("MNIST 784-100-10, relu, adam, batch 200", "mnist", (100,), epochs=2),
    "W2": Workload(
        "MNIST 784-50-100-10, logistic, sgd, batch 100",
        "mnist",
        (50, 100),
        "logistic",
        "sgd",
        100,
        epochs=2,
    ),
    "W3": Workload(
        "housing 8-64-64-1, relu, adam, batch 32",
        "housing",
        (64, 64),
        batch=32,
        epochs=5,
        peers=WITH_LOOPS,
    ),
    "W4": Workload(
        "MNIST 784-1024-1024-10, relu, adam, batch 512", "mnist", (1024, 1024), batch=512
    ),
    "W5": Workload(
        "MNIST 784-30-10, logistic, sgd, batch 10",
        "mnist",
        (30,),
        "logistic",
        "sgd",
        10,
        epochs=2,
        peers=WITH_LOOPS,
    ),
    "W6": Workload(
        "housing 8-16-1, tanh, sgd, batch 1", "housing", (16,), "tanh", "sgd", 1, peers=WITH_LOOPS
    ),
    "deep": Workload(
        "housing 8-(10 x 32)-1, relu, adam, batch 32",
        "housing",
        (32,) * 10,
        batch=32,
        epochs=3,
        peers=WITH_LOOPS,
    ),
    "tanh": Workload(
        "28-(5 x 300)-1 (HIGGS's shape), tanh, sgd, batch 100",
        "higgs",
        (300,) * 5,
        "tanh",
        "sgd",
        100,
    ),
    "onehot": Workload(
        "one-hot, 12 columns of 5 to 60 levels and 6 numbers, 396-64-64-1, relu, adam, batch 256",
        "onehot",
        (64, 64),
        batch=256,
        epochs=3,
    ),
    "digits-small": Workload(
        "digits 64-32-10, relu, adam, batch 32",
        "digits",
        (32,),
        batch=32,
        epochs=5,
        peers=WITH_LOOPS,
    ),
    "text": Workload(
        "CSR 20,000 x 50,000, 0.1 % dense, 100 hidden, relu, adam, batch 200",
        "text",
        (100,),
        peers=ESTIMATORS,
        dtypes=("float32",),
    ),
    "lbfgs": Workload(
        "5000 MNIST rows, 784-100-10, relu, lbfgs, 50 iterations",
        "mnist5000",
        (100,),
        solver="lbfgs",
        epochs=50,
        timed=FIT,
        peers=(*ESTIMATORS, "JAX", "NumPy"),
    ),
    "iris": Workload(
        "iris 4-10-3, relu, adam, 200 epochs",
        "iris",
        (10,),
        batch=150,
        epochs=200,
        timed=FIT,
        peers=(*ESTIMATORS, "JAX", "NumPy"),
    ),
    "row": Workload(
        "predict_proba of 1 row, 784-100-10", rows=1, **{**NET, "peers": (*PREDICTORS, "numba")}
    ),
    "rows": Workload("predict_proba of 10,000 rows, 784-100-10", rows=10000, **NET),
}


def initial(
    workload: Workload, random: np.random.RandomState, dtype: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Initial weights and biases of each layer, drawn from `random` as scikit-learn draws them."""
    layers = []
    for fan_in, fan_out in pairwise(workload.sizes):
        bound = ((2 if workload.activation == "logistic" else 6) / (fan_in + fan_out)) ** 0.5
        W = random.uniform(-bound, bound, (fan_in, fan_out))
        b = random.uniform(-bound, bound, fan_out)
        layers.append((W.astype(dtype), b.astype(dtype)))
    return layers


def load(name: str, dtype: str) -> tuple[Any, np.ndarray]:
    """X and y; random numbers of the same shape if there is no file."""
    random = np.random.RandomState(0)
    rows, columns, outputs = SHAPES[name]
    path = _data.find(FILES[name]) if name in FILES else None
    if path and name == "housing":
        X, y, _ = _data.housing(path)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    elif path:
        X, y, _, _ = _data.mnist(path)
        X, y = X[:rows], y[:rows]
    elif name == "iris":
        from sklearn.datasets import load_iris

        X, y = load_iris(return_X_y=True)
    elif name == "digits":
        from sklearn.datasets import load_digits

        X, y = load_digits(return_X_y=True)
        X /= 16
    elif name == "onehot":
        X, y = onehot(random, rows, columns)
    elif name == "text":
        X, y = text(random, rows, columns, outputs)
    elif name == "higgs":
        X = random.randn(rows, columns)
        y = (np.tanh(X @ random.randn(columns, 20)).sum(axis=1) > 0).astype(int)
    elif name == "housing":
        X = random.randn(rows, columns)
        y = np.abs(X @ random.randn(columns)) + random.rand(rows)
    else:
        X = random.rand(rows, columns) * (random.rand(rows, columns) < 0.19)
        y = random.randint(outputs, size=rows)
    if name == "housing":
        y = y.astype(dtype)
    return (X.astype(dtype) if name == "text" else np.ascontiguousarray(X, dtype)), y


def onehot(random: np.random.RandomState, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A dense table of numbers and of one-hot columns, whose first levels are the most frequent."""
    numbers = random.randn(rows, columns - sum(LEVELS))
    levels = [(n * random.rand(rows) ** 2).astype(int) for n in LEVELS]
    X = np.hstack([*(np.eye(n)[at] for n, at in zip(LEVELS, levels, strict=True)), numbers])
    score = X @ random.randn(columns) + random.randn(rows)
    return X, (score > np.median(score)).astype(int)


def text(
    random: np.random.RandomState, rows: int, columns: int, topics: int
) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    """A matrix like that of tf-idf: 50 words in each row, few of them frequent."""
    words = (columns * random.rand(rows, 50) ** 3).astype(np.int32)
    weights = random.rand(rows, 50)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    start = np.arange(0, 50 * rows + 1, 50)
    X = scipy.sparse.csr_matrix((weights.ravel(), words.ravel(), start), (rows, columns))
    X.sum_duplicates()
    return X, np.argmax(X @ random.randn(columns, topics), axis=1)


def real(name: str) -> bool:
    """Whether the data set is the real one, not random numbers in its place."""
    return name not in FILES or _data.find(FILES[name]) is not None
