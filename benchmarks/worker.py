"""One peer on one workload in a process of its own: a turn of work for each line it is sent.

    python benchmarks/worker.py '{"peer": ..., "workload": ..., "dtype": ..., "way": {...}}'

A turn repeats the work for half a second: shorter ones are lost in the noise of the machine. With
an "amount" the process does that amount of work, the same in each run, and ends.
"""

import importlib
import importlib.metadata
import json
import os
import sys
from dataclasses import replace
from time import perf_counter

from turns import TURN

# Libraries may print on stdout, so answers have a descriptor of their own.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def answer(**what):
    print(json.dumps(what), file=answers)


def main():
    job = json.loads(sys.argv[1])
    way = job["way"]
    if way.get("cores") == 1:  # before the libraries count them
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import peers
    import workloads

    peer, workload = peers.PEERS[job["peer"]], workloads.WORKLOADS[job["workload"]]
    module = importlib.import_module(f"peers.{peer.module}")
    X, y = workloads.load(workload.data, job["dtype"])
    if "amount" in job:
        do_amount(module, workload, X, y, way, job["amount"])
        return
    turn = module.prepare(workload, X, y, way)
    answer(ready=True)
    for _ in sys.stdin:
        seconds, cpu_seconds, start = [], [], perf_counter()
        while not seconds or perf_counter() - start < TURN:
            done = turn()
            seconds += done.pop("seconds")
            cpu_seconds += done.pop("cpu_seconds", [])
        answer(
            seconds=[float(s) for s in seconds],
            cpu_seconds=[float(s) for s in cpu_seconds],
            **{k: float(v) for k, v in done.items()},
        )


def do_amount(module, workload, X, y, way, amount):
    """Do `amount` units of work: epochs of one fit, fits or calls.

    A unit has at least some 10^9 instructions: those of startup vary by 10^7 between processes.
    """
    if workload.timed == "epoch":
        rows = max(20 * workload.batch, 5000)
        flops = (workload.flops or 1e9) * rows / workload.batch
        epochs = amount * max(1, round(5e9 / flops))
        module.prepare(replace(workload, epochs=epochs), X[:rows], y[:rows], way)()
        return
    calls = max(3, 10_000 // workload.rows) if workload.rows else None
    turn = module.prepare(workload, X, y, {**way, "calls": calls})
    for _ in range(amount * (50 if workload.data == "iris" else 1)):
        turn()


if __name__ == "__main__":
    main()
