"""Fits on clusters of this machine: bits, kills, accuracy, and the overhead of a round.

    make bench-dask                            # ARGS="--only bits,rounds"

Workers are processes of one thread that talk over the loopback. Fits on a cluster stand beside the
local fit of the same rows in the same run.

- bits: SHA-256 of the weights for 1 to 4 workers times 20 random partitionings, in which partitions
  are empty, have one row, or lack classes.
- kills: a fit of lbfgs in which a worker is killed 12 times.
- accuracy: MNIST, 784-100-10, adam, 4 shards, 10 epochs, shuffled rows and rows sorted by class,
  beside one machine; means of three seeds. FASTBP_DATA names the folder with the data.
- rounds: the time of an evaluation of 79 510 parameters by two workers, least of 100, less that of
  the same evaluation of one worker's rows in this process; beside it a round by Dask alone, whose
  tasks return the parameters and compute nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier
from fastbp.dask import DaskMLPClassifier
from fastbp.dask.cluster import Cluster
from fastbp.dask.gradient import ExactGradient
from fastbp.dask.parts import parts_of
from fastbp.dask.placing import place_runs
from fastbp.network import Network
from fastbp.threads import Team
from fastbp.training import Course, Gradient, Job, Objective, Samples

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from _data import find, mnist

PARTITIONINGS, ROUNDS, KILLS, SEEDS = 20, 100, 12, 3
Data = tuple[NDArray[Any], NDArray[Any]]


@contextmanager
def local_cluster(n_workers: int) -> Iterator[Client]:
    """A cluster of processes of one thread, which listens to this machine alone."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def cut(data: Data, rows: tuple[int, ...]) -> Any:
    """X and y as arrays of Dask with partitions of these lengths."""
    X, y = data
    return da.from_array(X, chunks=(rows, (X.shape[1],))), da.from_array(y, chunks=(rows,))


def random_rows(n: int, seed: int) -> tuple[int, ...]:
    """Lengths of partitions: some are empty or have one row."""
    rng = np.random.RandomState(seed)
    inner = rng.randint(0, n + 1, rng.randint(0, 6))
    cuts = sorted([*inner, *inner[:1], *np.minimum(inner[:1] + 1, n)])
    return tuple(np.diff([0, *cuts, n]).tolist())


def sha(model: Any) -> str:
    """The first digits of SHA-256 of the weights."""
    arrays = [*model.coefs_, *model.intercepts_]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def sorted_rows(n: int, features: int, dtype: Any) -> Data:
    """Rows whose classes come one after another, so that most partitions lack some."""
    rng = np.random.RandomState(0)
    y = np.sort(rng.randint(0, 5, n))
    X = rng.randn(n, features).astype(dtype)
    X[:, 0] += y
    return X, y


# ---- what is measured


def bits() -> None:
    """SHA-256 of lbfgs and of local steps for any number of workers and any partitions."""
    few = dict(hidden_layer_sizes=(20,), random_state=0)
    exact, steps = dict(few, solver="lbfgs", max_iter=3), dict(few, max_iter=2, n_shards=3)
    datas = [sorted_rows(4500, 10, dtype) for dtype in (np.float32, np.float64)]
    for data in datas:
        local = sha(MLPClassifier(**exact).fit(*data))
        print(f"{data[0].dtype}, local fit of lbfgs: {local}")
    with local_cluster(1) as client:
        for n_workers in range(1, 5):
            client.cluster.scale(n_workers)
            client.wait_for_workers(n_workers)
            for data in datas:
                for name, parameters in (("lbfgs", exact), ("adam, 3 shards", steps)):
                    found = {
                        sha(DaskMLPClassifier(**parameters).fit(*cut(data, rows)))
                        for rows in (random_rows(4500, k) for k in range(PARTITIONINGS))
                    }
                    print(
                        f"{data[0].dtype}, {n_workers} workers, {PARTITIONINGS} partitionings, "
                        f"{name}: {', '.join(sorted(found))}",
                        flush=True,
                    )


class Killer:
    """A callback that kills a worker now and then."""

    def __init__(self, client: Client, every: int) -> None:
        self.client, self.every, self.killed = client, every, 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Kill one of the workers that are there."""
        alive = [one.pid for one in self.client.cluster.workers.values() if one.pid]
        if estimator.n_iter_ % self.every == 0 and self.killed < KILLS and alive:
            os.kill(alive[self.killed % len(alive)], signal.SIGKILL)
            self.killed += 1

    def teardown(self, estimator: Any, context: Any) -> None:
        """Nothing."""


def kills() -> None:
    """A fit of lbfgs in which workers are killed."""
    data = sorted_rows(20_000, 10, np.float32)
    parameters = dict(hidden_layer_sizes=(20,), random_state=0, solver="lbfgs", max_iter=140)
    print(f"local fit: {sha(MLPClassifier(**parameters).fit(*data))}")
    with local_cluster(2) as client:
        killer, began = Killer(client, 140 // KILLS), time.perf_counter()
        model = DaskMLPClassifier(**parameters).set_callbacks(killer)
        model.fit(*cut(data, random_rows(20_000, 3)))
        seconds = time.perf_counter() - began
        print(
            f"{killer.killed} kills in {seconds:.0f} s, {model.n_iter_} iterations: {sha(model)}",
            flush=True,
        )


def accuracy() -> None:
    """MNIST by local steps beside one machine, shuffled and sorted by class."""
    path = find("mnist.npz")
    if path is None:
        print("no mnist.npz: FASTBP_DATA names the folder with it")
        return
    X, y, X_test, y_test = mnist(path)
    order = np.argsort(y, kind="stable")
    parameters = dict(hidden_layer_sizes=(100,), max_iter=10)
    with local_cluster(2):
        for name, rows in (("shuffled", slice(None)), ("sorted by class", order)):
            of_one, of_four = [], []
            parts = cut((X[rows], y[rows]), (len(X) // 2, len(X) - len(X) // 2))
            for seed in range(SEEDS):
                one = MLPClassifier(**parameters, random_state=seed).fit(X[rows], y[rows])
                four = DaskMLPClassifier(**parameters, random_state=seed, n_shards=4).fit(*parts)
                of_one.append(100 * one.score(X_test, y_test))
                of_four.append(100 * four.to_local().score(X_test, y_test))
            print(
                f"{name}: one machine {np.mean(of_one):.2f} +- {np.std(of_one):.2f} %, 4 shards "
                f"{np.mean(of_four):.2f} +- {np.std(of_four):.2f} %",
                flush=True,
            )


def rounds() -> None:
    """The overhead of an evaluation by two workers."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(2048, 784).astype(np.float32), rng.randint(0, 10, 2048)
    with local_cluster(2) as client:
        cluster = Cluster(client, 60)
        parts = client.compute(parts_of(*cut((X, y), (1024, 1024))))
        runs = place_runs(cluster, parts, [1024, 1024], as_samples)
        job = job_of(as_samples(X, y))
        gradient = ExactGradient(cluster, job, runs, str)
        alone = Team(1, inline=True)
        whole = least(lambda: gradient.run(alone))
        compute = least(Gradient(job_of(as_samples(X[:1024], y[:1024]))).compute)
        bare = least(lambda: bare_round(client, job.network.params, runs))
        print(
            f"{job.network.params.size} parameters, 2 workers: a round {1e3 * whole:.1f} ms, of "
            f"which computing {1e3 * compute:.1f} ms: overhead {1e3 * (whole - compute):.1f} ms; "
            f"a round of Dask alone, which computes nothing: {1e3 * bare:.1f} ms"
        )


def bare_round(client: Client, params: NDArray[Any], runs: Any) -> None:
    """A round of as many tasks by Dask itself, which send and return parameters."""
    parameters = params.copy()
    futures = [client.submit(second, samples, parameters, pure=False) for _, samples in runs]
    client.gather(futures)


def second(samples: Samples, params: NDArray[Any]) -> NDArray[Any]:
    """The parameters; a task."""
    return params


def as_samples(X: NDArray[Any], y: NDArray[Any], weight: Any = None) -> Samples:
    """Rows and labels as samples."""
    return Samples(X, y.astype(X.dtype).reshape(-1, 1), weight)


def job_of(samples: Samples) -> Job:
    """The job of a network of 784-100-10."""
    network, random_state = Network([784, 100, 10], "relu", np.float32), np.random.RandomState(0)
    network.initialize(random_state)
    course = Course(network, random_state, len(samples))
    return Job(samples, Objective("log_loss", "softmax"), course)


def least(call: Any) -> float:
    """Seconds of a call, the least of all rounds."""
    found = np.inf
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - began)
    return found


def main() -> None:
    """Run the parts that are asked for."""
    parts = {one.__name__: one for one in (bits, kills, accuracy, rounds)}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(parts), help="parts, by commas")
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in parser.parse_args().only.split(","):
        print(f"---- {name}: {parts[name].__doc__}")
        parts[name]()


if __name__ == "__main__":
    main()
