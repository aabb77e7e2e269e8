"""Memory, descriptors and threads after thousands of calls."""

import os
import pickle
import resource
import sys
import time
from functools import cache

import numpy as np
import scipy.sparse as sp

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from trust.common import Untouched, data
from trust.harness import Row, Skipped

X, Y = data(60, 8)
MANY = np.tile(X, (100, 1))
CSR = sp.csr_array(np.where(X > 0, X, 0))
SMALL = dict(hidden_layer_sizes=(8,), max_iter=2, random_state=0)

MOST_MEMORY = 2**20  # bytes that a process may grow, by the allocator's caches
MOST_BLOCKS = 400  # of Python's allocator: caches of the interpreter


def in_use(untouched):
    """What the process holds: resident bytes, blocks of Python, descriptors, threads."""
    untouched.check()
    time.sleep(0.1)  # a thread that Python counts no more may still be ending
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            resident = int(file.read().split()[1]) * resource.getpagesize()
        descriptors, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))
    except OSError as error:
        raise Skipped("what the process holds is not known here") from error
    return resident, sys.getallocatedblocks(), descriptors, threads


def failing_fit():
    """A fit that diverges, and one whose data are refused."""
    for model, y in (
        (MLPRegressor(**SMALL, solver="sgd", learning_rate_init=1e300), Y * 1.0),
        (MLPRegressor(**SMALL), np.full(len(X), np.nan)),
    ):
        try:
            model.fit(X, y)
        except ValueError:
            continue
        raise AssertionError("it did not fail")


@cache
def classifier():
    return MLPClassifier(**SMALL).fit(X, Y)


@cache
def threaded():
    return MLPClassifier(**SMALL, n_threads=2).fit(X, Y)


@cache
def of_sparse():
    return MLPRegressor(**SMALL).fit(CSR, Y)


def traced_fit():
    MLPRegressor(**SMALL, activation=lambda z: z * fg.sigmoid(z)).fit(X, Y)


def assign():
    """An array of the user's in the list of weights, and a prediction."""
    classifier().coefs_[0] = classifier().coefs_[0].copy()
    classifier().predict(X[:1])


# What is repeated: how often, and the call.
CALLS = {
    "predictions": (200_000, lambda: classifier().predict_proba(X[:1])),
    "fits": (2_000, lambda: MLPClassifier(**SMALL).fit(X, Y)),
    "fits of lbfgs": (2_000, lambda: MLPRegressor(**SMALL, solver="lbfgs").fit(X, Y)),
    "fits in two threads": (2_000, lambda: MLPClassifier(**SMALL, n_threads=2).fit(X, Y)),
    "early stopping": (500, lambda: MLPRegressor(**SMALL, early_stopping=True).fit(X, Y)),
    "sparse fits": (2_000, lambda: MLPRegressor(**SMALL).fit(CSR, Y)),
    "refits": (2_000, lambda: classifier().fit(X, Y)),
    "traced fits": (500, traced_fit),
    "failing fits": (500, failing_fit),
    "pickles": (2_000, lambda: pickle.loads(pickle.dumps(classifier()))),
    "predictions of many rows": (2_000, lambda: threaded().predict(MANY)),
    "sparse predictions": (2_000, lambda: of_sparse().predict(CSR)),
    "assigned weights": (2_000, assign),
}


def repeat(number, _):
    """The growth of the process over many calls, after a tenth as many."""
    name = list(CALLS)[number]
    n, call = CALLS[name]
    untouched = Untouched()
    for _ in range(n // 10):
        call()
    before = in_use(untouched)
    for _ in range(n):
        call()
    grown = [b - a for a, b in zip(before, in_use(untouched), strict=True)]
    words = dict(zip(("bytes", "blocks", "descriptors", "threads"), grown, strict=True))
    assert grown[0] <= MOST_MEMORY and grown[1] <= MOST_BLOCKS, f"{n} {name}: {words}"
    assert grown[2] <= 0 and grown[3] <= 0, f"{n} {name}: {words}"
    return {name: n}


ROWS = [
    Row(
        "leaks",
        "calls",
        "Memory does not grow with the number of calls, nor do descriptors and threads.",
        repeat,
        full=len(CALLS),
        short=2,
        limit=300,
    ),
]
