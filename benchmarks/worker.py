"""One peer on one workload in a process of its own: a turn of work for each line it is sent.

    python benchmarks/worker.py '{"peer": ..., "workload": ..., "dtype": ..., "way": {...}}'

A turn repeats the work for half a second, since short ones drown in the noise of the machine.
"""

import importlib
import importlib.metadata
import json
import os
import sys
from time import perf_counter

# Libraries may print; answers go where nothing else does.
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
    turn = module.prepare(workload, X, y, way)
    answer(ready=True)
    for _ in sys.stdin:
        seconds, start = [], perf_counter()
        while not seconds or perf_counter() - start < 0.5:
            done = turn()
            seconds += done.pop("seconds")
        answer(seconds=[float(s) for s in seconds], **{k: float(v) for k, v in done.items()})


if __name__ == "__main__":
    main()
