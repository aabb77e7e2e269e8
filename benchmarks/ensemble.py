"""Ten members of an ensemble in one thread and in two, beside ten bare fits.

    make bench-ensemble                               # ARGS="--rounds 9"

The three take turns. Wall times count on idle cores only, where two threads should take little more
than half of the time of one. On busy cores CPU times tell whether threads cost something: the ratio
of two threads to one should be near 1. Ratios are medians over the rounds.
"""

import argparse
import warnings
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter, process_time

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.preprocessing import scale

from fastbp import MLPClassifier
from fastbp.ensemble import MLPEnsembleClassifier

MEMBERS = 10
CASES = {
    "iris 4-10-3, 200 epochs": (load_iris, (10,), 200),
    "digits 64-32-10, 30 epochs": (load_digits, (32,), 30),
    "digits 64-300-10, 30 epochs": (load_digits, (300,), 30),
}


def bare(member: MLPClassifier, X: np.ndarray, y: np.ndarray) -> None:
    """Fits of the members, one after the other, in one thread."""
    for seed in range(MEMBERS):
        clone(member).set_params(random_state=seed, n_threads=1).fit(X, y)


def together(member: MLPClassifier, X: np.ndarray, y: np.ndarray, n_threads: int) -> None:
    """An ensemble in so many threads."""
    MLPEnsembleClassifier(member, n_members=MEMBERS, random_state=0, n_threads=n_threads).fit(X, y)


def times(function: Callable[..., None], *data: object) -> tuple[float, float]:
    """Wall and CPU time of a call, in milliseconds."""
    wall, cpu = perf_counter(), process_time()
    function(*data)
    return 1e3 * (perf_counter() - wall), 1e3 * (process_time() - cpu)


def race(name: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """The times of each way to fit, one for each round."""
    load, hidden, epochs = CASES[name]
    X, y = load(return_X_y=True)
    member = MLPClassifier(hidden, max_iter=epochs, tol=0, n_iter_no_change=epochs)
    ways: dict[str, Callable[..., None]] = {
        "bare fits": bare,
        "1 thread": partial(together, n_threads=1),
        "2 threads": partial(together, n_threads=2),
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, function in ways.items():
            found[way].append(times(function, member, scale(X), y))
    return {way: all_times[1:] for way, all_times in found.items()}


def main() -> None:
    """Print a table of times, and what two threads gain and cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default 9)")
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # of convergence
    for name in CASES:
        found = race(name, rounds)
        print(name)
        for way, all_times in found.items():
            wall, cpu = (median(column) for column in zip(*all_times, strict=True))
            print(f"  {way:<10} wall {wall:7.1f} ms   CPU {cpu:7.1f} ms")
        pairs = list(zip(found["bare fits"], found["1 thread"], found["2 threads"], strict=True))
        speed = median(one[0] / two[0] for _, one, two in pairs)
        cost = median(two[1] / one[1] for _, one, two in pairs)
        own = median(one[1] / alone[1] for alone, one, _ in pairs)
        print(f"  2 threads: {speed:.2f} times the speed of 1, {cost:.2f} times its CPU time")
        print(f"  1 thread: {own:.2f} times the CPU time of bare fits", flush=True)


if __name__ == "__main__":
    main()
