"""Time per step with a user's loss or activation, beside the built-in one.

    make bench-expressions

The shapes of W1 and W3, as regression: log_cosh in place of the loss, gelu in place of relu, once
by name and once as a function. Whole fits of a few epochs take turns, tracing and compiling
included, in one thread and in as many as fastbp chooses. The ratio is the median over the rounds of
the function's time over the name's.
"""

import argparse
import warnings
from statistics import median
from time import perf_counter

import numpy as np
from workloads import BOTH, SHAPES, WORKLOADS

from fastbp import MLPRegressor
from fastbp import graph as fg

TWINS = {
    "log_cosh": (dict(loss="log_cosh"), dict(loss=lambda raw, y: fg.log(fg.cosh(raw - y)))),
    "gelu": (
        dict(activation="gelu"),
        dict(activation=lambda z: 0.5 * z * (1 + fg.erf(z / 2**0.5)), init="he_uniform"),
    ),
}
ROWS = 12_000


def data(name, dtype):
    """Random numbers of the workload's shape; their values do not change the time."""
    _, columns, outputs = SHAPES[WORKLOADS[name].data]
    random = np.random.RandomState(0)
    X, y = random.uniform(-1, 1, (ROWS, columns)), random.uniform(-1, 1, (ROWS, outputs))
    return X.astype(dtype), y.astype(dtype)


def seconds_per_step(workload, X, y, parameters, n_threads):
    epochs = 4
    model = MLPRegressor(
        hidden_layer_sizes=workload.hidden,
        batch_size=workload.batch,
        tol=0,
        max_iter=epochs,
        random_state=0,
        n_threads=n_threads,
        **parameters,
    )
    start = perf_counter()
    model.fit(X, y)
    return (perf_counter() - start) / (epochs * -(-ROWS // workload.batch))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=BOTH, help="only this one")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default 9)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of convergence
    print(f"{'':<33}{'name, us':>10}{'function, us':>14}{'ratio':>7}")
    for dtype in [options.dtype] if options.dtype else BOTH:
        for name in ("W1", "W3"):
            X, y = data(name, dtype)
            for what, twins in TWINS.items():
                for n_threads in (1, None):
                    rounds = [
                        [seconds_per_step(WORKLOADS[name], X, y, twin, n_threads) for twin in twins]
                        for _ in range(options.rounds + 1)
                    ][1:]
                    ours, theirs = (1e6 * median(times) for times in zip(*rounds, strict=True))
                    ratio = median(function / by_name for by_name, function in rounds)
                    threads = "1 thread" if n_threads else "threads as chosen"
                    print(
                        f"{name} {dtype:<8} {what:<9}{threads:<17} {ours:>6.1f}{theirs:>14.1f}"
                        f"{ratio:>7.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
