"""One method, fitted to one split of one tabular data set, in a process of its own.

    python benchmarks/tabular_worker.py '{"method": ..., "set": ..., "split": ...}'

It prints what it measured as a line of JSON. Before the clock starts, a brief fit to a few rows
brings into memory what libraries load late.
"""

import json
import os
import resource
import sys
import time
import warnings

import machine
import numpy as np
from tabular_methods import METHODS, load, split

WARM_UP = 40  # rows of each class, or five times as many rows without classes


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def peak_mib() -> float:
    """The largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def few(y: np.ndarray, rows: np.ndarray, classes: bool) -> np.ndarray:
    """Some of the rows, with all classes among them."""
    if not classes:
        return rows[: 5 * WARM_UP]
    return np.concatenate([rows[y[rows] == label][:WARM_UP] for label in np.unique(y)])


def log_loss(y: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the probability of the true class, as float64 and with rows of sum 1."""
    p = probabilities.astype(np.float64)
    p = np.clip(p / p.sum(axis=1, keepdims=True), np.finfo(np.float64).eps, 1)
    return float(-np.mean(np.log(p[np.arange(len(y)), np.searchsorted(labels, y)])))


def errors(y: np.ndarray, rows: list[np.ndarray], predicted: np.ndarray) -> dict[str, float]:
    """Error of a class (1 - accuracy, log loss, that of the prior) or of a number.

    predicted: probabilities of the classes, or numbers. RMSE is divided by the standard deviation
    of the whole target.
    """
    train, test = rows
    if predicted.ndim == 1:
        return {"error": float(np.sqrt(np.mean((predicted - y[test]) ** 2)) / np.std(y))}
    labels, counts = np.unique(y[train], return_counts=True)
    prior = np.broadcast_to(counts / counts.sum(), predicted.shape)
    return {
        "error": float(np.mean(labels[predicted.argmax(axis=1)] != y[test])),
        "log_loss": log_loss(y[test], predicted, labels),
        "log_loss_of_prior": log_loss(y[test], prior, labels),
    }


def measure(method: str, name: str, seed: int) -> dict[str, object]:
    """Errors on the test rows, CPU seconds of the fit and of the prediction, and versions."""
    X, y, classes = load(name)
    rows = split(y, seed, classes)
    train, test = rows
    chosen = METHODS[method]
    some = few(y, train, classes)
    brief = chosen.estimator(classes, seed, brief=True).fit(X.iloc[some], y[some])
    for predict in ("predict", "predict_proba")[: 1 + classes]:
        getattr(brief, predict)(X.iloc[some])

    X_train, X_test = X.iloc[train].reset_index(drop=True), X.iloc[test].reset_index(drop=True)
    estimator = chosen.estimator(classes, seed)
    before = peak_mib()
    start = cpu_seconds()
    estimator.fit(X_train, y[train])
    fitted = cpu_seconds()
    mib = peak_mib() - before
    predicted = estimator.predict_proba(X_test) if classes else estimator.predict(X_test)
    done = cpu_seconds()
    return {
        **errors(y, rows, np.asarray(predicted)),
        "cpu_fit": round(fitted - start, 4),
        "cpu_predict": round(done - fitted, 4),
        "mib": round(mib, 1),
        "versions": {
            package: version
            for package in chosen.versions()
            if (version := machine.version(package))
        },
        "revision": machine.revision() if chosen.module.startswith("fastbp") else None,
        "cpu": machine.cpu(),
    }


def main() -> None:
    # Libraries may print on stdout, so the answer has a descriptor of its own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")  # of convergence, and of libraries about each other
    job = json.loads(sys.argv[1])
    if METHODS[job["method"]].module == "pytabkit":
        import torch

        torch.set_num_threads(1)
    found = measure(job["method"], job["set"], job["split"])
    print(json.dumps(job | found), file=answers, flush=True)


if __name__ == "__main__":
    main()
