"""Clusters of this machine, data cut at random, and what the tests of fastbp.dask compare."""

import contextlib
import hashlib
import os
import signal
import threading
import time

import numpy as np
import pytest

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

# A worker that takes long to come back is not given up: the machine may be busy.
dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})


@contextlib.contextmanager
def local_cluster(n_workers=2):
    """A cluster of processes of one thread, which listens to this machine alone."""
    kind = distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # any free port
        silence_logs=50,
    )
    with kind as cluster, distributed.Client(cluster) as client:
        yield client


def scale(client, n_workers):
    """Let the cluster have so many workers."""
    client.cluster.scale(n_workers)
    deadline = time.monotonic() + 120
    while len(client.nthreads()) != n_workers:
        assert time.monotonic() < deadline, "the cluster does not scale"
        time.sleep(0.05)


def pids(client):
    """The processes of all workers."""
    return [worker.pid for worker in client.cluster.workers.values() if worker.pid]


def kill(pid):
    """kill -9, unless the process has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class KillAt:
    """A callback that kills a worker when an epoch has ended."""

    def __init__(self, client, epochs, which=0):
        self.client, self.epochs, self.which, self.killed = client, set(epochs), which, 0

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if estimator.n_iter_ in self.epochs:
            self.epochs.discard(estimator.n_iter_)
            alive = pids(self.client)
            kill(alive[self.which % len(alive)])
            self.killed += 1

    def teardown(self, estimator, context):
        pass


def kill_later(client, seconds, which=0):
    """Kill a worker after some seconds, from a thread; it returns the thread."""

    def run():
        time.sleep(seconds)
        alive = pids(client)
        if alive:
            kill(alive[which % len(alive)])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


# ---- data


def labelled(n=2500, features=7, dtype=np.float32, classes=3):
    """Rows whose classes come one after another, so that most partitions lack some."""
    rng = np.random.RandomState(0)
    y = np.sort(rng.randint(0, classes, n))
    X = rng.randn(n, features).astype(dtype)
    X[:, 0] += y
    return X, y


def random_rows(n, seed):
    """Lengths of partitions: some are empty or have one row."""
    rng = np.random.RandomState(seed)
    cuts = rng.randint(0, n + 1, rng.randint(0, 5))
    cuts = sorted([*cuts, *cuts[:1], *np.minimum(cuts[:1] + 1, n)])
    return tuple(np.diff([0, *cuts, n]).tolist())


def as_dask(array, rows):
    """An array of Dask with these lengths of partitions."""
    if array is None:
        return None
    chunks = (rows,) if array.ndim == 1 else (rows, (array.shape[1],))
    # A name of its own and one block for each task: what a lost worker held is made again.
    return da.from_array(array, chunks=chunks)


def sha(model):
    """SHA-256 of the weights, the curve and the loss."""
    arrays = [*model.coefs_, *model.intercepts_, np.array(getattr(model, "loss_curve_", []))]
    joined = b"".join(array.tobytes() for array in arrays)
    return hashlib.sha256(joined + repr(float(model.loss_)).encode()).hexdigest()
