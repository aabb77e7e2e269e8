"""Every peer on every workload, in one run: microseconds per step, ratios, share of the peak.

    make bench                                        # all, stored, and into README.md; for hours
    make bench ARGS="--only W1,W3 --rounds 3"         # some, shown only
    make bench ARGS="--threads 1"                     # by CPU time only: for a busy machine

Each peer runs in a process of its own, and they take turns at each workload (turns.py). The figure
is the median of all epochs (of all fits, of all calls). All get the same data, first weights,
orders, batches, optimizer and hyperparameters. Final losses have to agree with fastbp's to 1 %:
ways that arrive elsewhere are passed over, and peers that have no other way are named.

There are two races for each workload, with two clocks. In the first, every process has one core,
and its CPU time counts, which other programs disturb little. In the second, every process has all
cores, and wall time counts, which is worth something only on an idle machine.

Each peer runs in its fastest way. Where it has several, a trial finds the fastest for each
workload; compilation is not counted. scikit-learn: BLAS with its default threads. PyTorch: fused
optimizers, tensors in memory. JAX: the whole epoch in one compiled scan, unrolled or not, as a
loop of the runtime or as one compiled function; a fit of iris is one scan, and lbfgs is SciPy's
with JAX's gradient. TensorFlow: the whole epoch in one loop compiled by XLA. libtorch: the epoch in
C++. numba: loops with constant sizes and reordered arithmetic, in one thread. NumPy: by hand, into
arrays made once. ONNX Runtime, OpenVINO, LiteRT: the bare session. fastbp: its defaults.

In float32, lbfgs by hand arrives elsewhere: roundings part the paths of its line searches.
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
from peers import PEERS, ways_of
from report import ALL, ONE, THREADS
from workloads import BOTH, EPOCH, SHAPES, WORKLOADS, real

HERE = Path(__file__).resolve().parent
PARTIAL = HERE.parent / "build" / "bench.json"


CLOCKS = {ONE: turns.CPU, ALL: turns.WALL}


def measure(name, dtype, threads, wanted, rounds):
    """The figures of a workload, for all its peers among `wanted`."""
    workload, clock = WORKLOADS[name], CLOCKS[threads]
    contestants, trials, expected = [], {}, None
    try:
        for peer in workload.peers:
            if peer not in wanted or (threads == ONE and peer == report.ONE_THREAD):
                continue
            contestant, trials[peer] = turns.best_way(
                peer, ways_of(peer, threads), name, dtype, clock, expected
            )
            contestants.append(contestant)
            if peer == report.US:
                expected = contestant.last.get("result")
        turns.race(contestants, rounds)
        found = {c.peer: c.result(clock) for c in contestants}
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
        "threads": threads,
        "clock": clock,
        "revision": machine.revision(),
        "timed": workload.timed,
        "steps": workload.steps if workload.timed == EPOCH else 1,
        "flops": workload.flops,
        "peers": found,
    }


def mark_strangers(found):
    """Mark peers whose result differs from the first one's, fastbp's: they did other work."""
    results = [result for result in found.values() if "result" in result]
    for result in results:
        if not turns.agrees(result["result"], results[0]["result"]):
            result["disagrees"] = True


def chosen(text, known, parser):
    names = text.split(",") if text else list(known)
    if unknown := set(names) - set(known):
        parser.error(f"not known: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def write(path, stored):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def begin(rounds, threads, resume, parser):
    """The figures stored so far: of an interrupted run that is resumed, or none."""
    facts = machine.facts()
    if (facts["load_average"] or 0) > 0.5 * facts["cores"]:
        print("the machine is busy: only CPU times will say something", file=sys.stderr)
    random_data = [name for name in SHAPES if not real(name)]
    if resume:
        before = json.loads(PARTIAL.read_text(encoding="utf-8"))
        same = (
            before["rounds"] == rounds
            and list(before["peak"]) == [str(kind) for kind in threads]
            and before["random_data"] == random_data
            and before["machine"]["versions"] == facts["versions"]
        )
        if not same:
            parser.error("the interrupted run had other versions, data, threads or rounds")
        return before
    return {
        "date": str(date.today()),
        "rounds": rounds,
        "machine": facts,
        "random_data": random_data,
        "peak": {
            str(kind): {dtype: machine.peak(dtype, kind) for dtype in BOTH} for kind in threads
        },
        "results": [],
    }


def measure_rest(stored, names, dtypes, threads, wanted):
    """Measure, show and store the workloads that `stored` lacks."""
    done = {(result["name"], result["dtype"], result["threads"]) for result in stored["results"]}
    for kind in threads:
        for dtype in dtypes:
            for name in names:
                if dtype not in WORKLOADS[name].dtypes or (name, dtype, kind) in done:
                    continue
                stored["results"].append(measure(name, dtype, kind, wanted, stored["rounds"]))
                # Measured again: the machine may have been slow the first time.
                peak = stored["peak"][str(kind)]
                peak[dtype] = machine.peak(dtype, kind, peak[dtype])
                write(PARTIAL, stored)  # a long run may be interrupted
                print(report.line(stored["results"][-1], stored), flush=True)
    stored["results"].sort(
        key=lambda result: (
            threads.index(result["threads"]),
            BOTH.index(result["dtype"]),
            list(WORKLOADS).index(result["name"]),
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"of the workloads {','.join(WORKLOADS)}")
    parser.add_argument("--peers", help="such as JAX,fastbp")
    parser.add_argument("--dtype", choices=BOTH, help="only this one")
    parser.add_argument("--threads", choices=("1", "all"), help="only this race")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each peer (default 7)")
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run")
    options = parser.parse_args()
    names, wanted = chosen(options.only, WORKLOADS, parser), chosen(options.peers, PEERS, parser)
    dtypes = [options.dtype] if options.dtype else BOTH
    threads = [kind for kind in THREADS if options.threads in (None, str(kind))]
    some = options.only or options.peers or options.dtype
    complete = options.rounds >= 7 and not some

    stored = begin(options.rounds, threads, options.resume, parser)
    print(report.HEADER, flush=True)
    for result in stored["results"]:
        print(report.line(result, stored), flush=True)
    measure_rest(stored, names, dtypes, threads, wanted)
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
