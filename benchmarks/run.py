"""Every peer on every workload, in one run: microseconds per step, ratios, share of the peak.

    make bench                                        # all, stored, and into README.md
    make bench ARGS="--only W1,W3 --rounds 3"         # some, shown only

Each peer runs in a process of its own, and they take turns at each workload (turns.py). The figure
is the median of all epochs (of all fits, of all calls). All get the same data, first weights,
orders, batches, optimizer and hyperparameters. Peers with another final loss are named.

Each peer runs in its fastest way. PyTorch: fused optimizers, tensors in memory, all cores or one.
JAX: the whole epoch in one compiled scan, on all cores or one, the scan unrolled or not; its
compilation is not counted. ONNX Runtime: the bare session. scikit-learn: BLAS with its default
threads. Where a peer has several ways, a trial finds the fastest for each workload. fastbp: its
defaults.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

import machine
import memory
import report
import turns
from peers import PEERS
from workloads import BOTH, EPOCH, SHAPES, WORKLOADS, real

HERE = Path(__file__).resolve().parent
PARTIAL = HERE.parent / "build" / "bench.json"


def measure(name, dtype, wanted, rounds):
    """The figures of a workload, for all its peers among `wanted`."""
    workload = WORKLOADS[name]
    contestants, trials = [], {}
    for peer in workload.peers:
        if peer in wanted:
            contestant, trials[peer] = turns.best_way(peer, PEERS[peer].ways, name, dtype)
            contestants.append(contestant)
    try:
        turns.race(contestants, rounds)
        found = {c.peer: c.result() for c in contestants}
    finally:
        for contestant in contestants:
            contestant.stop()
    for peer, result in found.items():
        if trials[peer]:
            result["ways_us"] = trials[peer]
    mark_strangers(found)
    return {
        "name": name,
        "what": workload.what,
        "dtype": dtype,
        "revision": machine.revision(),
        "timed": workload.timed,
        "steps": workload.steps if workload.timed == EPOCH else 1,
        "flops": workload.flops,
        "peers": found,
    }


def mark_strangers(found):
    """Mark peers whose result differs from the first one's: they did other work."""
    results = [result for result in found.values() if "result" in result]
    for result in results:
        # Estimators report the loss with L2, and rounding differs.
        expected = results[0]["result"]
        if not abs(result["result"] - expected) <= 0.02 * abs(expected) + 0.002:
            result["disagrees"] = True


def chosen(text, known, parser):
    names = text.split(",") if text else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"not known: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def write(path, stored):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def begin(rounds, resume, parser):
    """The figures stored so far: of an interrupted run that is resumed, or none."""
    facts = machine.facts()
    if (facts["load_average"] or 0) > 0.5 * facts["cores"]:
        print("the machine is busy: these figures will say little", file=sys.stderr)
    random_data = [name for name in SHAPES if not real(name)]
    if resume:
        before = json.loads(PARTIAL.read_text(encoding="utf-8"))
        same = (
            before["rounds"] == rounds
            and before["random_data"] == random_data
            and before["machine"]["versions"] == facts["versions"]
        )
        if not same:
            parser.error("the interrupted run had other versions, data or rounds")
        return before
    return {
        "date": str(date.today()),
        "rounds": rounds,
        "machine": facts,
        "random_data": random_data,
        "peak": {dtype: machine.peak(dtype) for dtype in BOTH},
        "results": [],
    }


def measure_rest(stored, names, dtypes, wanted):
    """Measure, show and store the workloads that `stored` lacks."""
    done = {(result["name"], result["dtype"]) for result in stored["results"]}
    for dtype in dtypes:
        for name in names:
            if dtype not in WORKLOADS[name].dtypes or (name, dtype) in done:
                continue
            stored["results"].append(measure(name, dtype, wanted, stored["rounds"]))
            # Measured again: the machine may have been slow the first time.
            stored["peak"][dtype] = machine.peak(dtype, stored["peak"][dtype])
            print(report.line(stored["results"][-1], stored), flush=True)
            write(PARTIAL, stored)  # a long run may be interrupted
    stored["results"].sort(
        key=lambda result: (BOTH.index(result["dtype"]), list(WORKLOADS).index(result["name"]))
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"of the workloads {','.join(WORKLOADS)}")
    parser.add_argument("--peers", help="such as JAX,fastbp")
    parser.add_argument("--dtype", choices=BOTH, help="only this one")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each peer (default 7)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    options = parser.parse_args()
    names, wanted = chosen(options.only, WORKLOADS, parser), chosen(options.peers, PEERS, parser)
    dtypes = [options.dtype] if options.dtype else BOTH
    complete = options.rounds >= 7 and not (options.only or options.peers or options.dtype)

    stored = begin(options.rounds, options.resume, parser)
    print(report.HEADER, flush=True)
    for result in stored["results"]:
        print(report.line(result, stored), flush=True)
    measure_rest(stored, names, dtypes, wanted)
    if not options.only:
        stored["memory"], stored["import"] = memory.fit_mebibytes(), memory.import_milliseconds()
    write(PARTIAL, stored)
    print(report.rest(stored))

    path = PARTIAL
    if complete:
        path = HERE / "results" / f"{stored['machine']['versions']['fastbp']}.json"
        write(path, stored)
        report.write_readme(stored)
    print(f"stored: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
