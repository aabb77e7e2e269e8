"""The tabular estimators at their defaults beside other libraries': errors and CPU seconds.

    make bench-tabular                                     # all that is not stored yet; for hours
    make bench-tabular ARGS="--methods fastbp,hgb --splits 0"
    make bench-tabular ARGS="--methods fastbp --again"     # measure again what is stored
    make bench-tabular ARGS="--sets waves,waves-classes,steps --splits 0"  # 100 000 rows
    make bench-tabular ARGS="--table --picture tabular.png"  # of what is stored; nothing runs
    make bench-tabular ARGS="--table --readme"             # the same into README.md

The folder that FASTBP_DATA names holds the twelve data sets. All methods get the same splits, and
each run is a process of its own with one thread: preprocessing and fit are on its CPU clock, the
prediction is on another, imports and a brief fit to a few rows come before. Nothing is tuned. The
error is 1 - accuracy, or the RMSE over the standard deviation of the target.

Each run becomes one line of JSON in the store, and is not repeated while it is there. The store is
build/tabular.jsonl; --table reads the runs that README.md shows unless --store names a file. A run
that fails is told, not stored. `realmlp-cv5` and `tabm` take long: they run on three small sets
only, unless --sets names others.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import machine
import tabular_report
from tabular_large import LARGE
from tabular_methods import ALL_SETS, METHODS, SETS, describe, path_of

HERE = Path(__file__).resolve().parent
STORE = HERE.parent / "build" / "tabular.jsonl"  # of new runs
STORED = HERE / "tabular_results.jsonl"  # of the runs that README shows
WORKER = HERE / "tabular_worker.py"
SPLITS = (0, 1, 2)
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")


class Run(NamedTuple):
    """What is measured at once."""

    split: int
    method: str
    set: str


def planned(methods: Sequence[str], sets: Sequence[str] | None, splits: Sequence[int]) -> list[Run]:
    """All runs, whole splits one after the other; without `sets`, each method has its own."""
    return [
        Run(split, method, name)
        for split in splits
        for method in methods
        for name in sets or METHODS[method].sets
        if METHODS[method].regressor or describe(name)["task"] != "reg"
    ]


# ---- the store


def read(store: Path) -> dict[Run, dict[str, Any]]:
    """The stored runs, the newest of each; a last line that was cut off is left out."""
    found = {}
    for line in store.read_text(encoding="utf-8").splitlines() if store.exists() else ():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        found[Run(result["split"], result["method"], result["set"])] = result
    return found


def append(store: Path, result: dict[str, Any]) -> None:
    """Write a result to the end of the store, on a line of its own."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with store.open("a+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        cut = file.read() not in (b"", b"\n")
        file.write(b"\n" * cut + json.dumps(result).encode() + b"\n")


# ---- the runs


def environment() -> dict[str, str]:
    """Of a worker: one thread, whatever library counts them."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return variables | {f"{name}_NUM_THREADS": "1" for name in THREADS}


def measure(run: Run) -> dict[str, Any]:
    """The result of a run and the seconds of its process; if it failed, its last line."""
    start = time.perf_counter()
    job = json.dumps({"method": run.method, "set": run.set, "split": run.split})
    done = subprocess.run(
        [sys.executable, str(WORKER), job], env=environment(), capture_output=True, text=True
    )
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout)
        return result | {"wall": round(time.perf_counter() - start, 2)}
    said = done.stderr.strip().splitlines()
    return {"failed": said[-1] if said else f"exit status {done.returncode}"}


def seconds_left(todo: Sequence[Run], stored: dict[Run, dict[str, Any]]) -> tuple[float, bool]:
    """Expected seconds of runs, from those that are stored, and whether all could be estimated.

    A run takes as long as the same method on other splits of the set; else by the row as long as
    the method on other sets.
    """
    total, complete = 0.0, True
    for run in todo:
        same = [r for known, r in stored.items() if known.method == run.method]
        here = [r["wall"] for r in same if r["set"] == run.set]
        if here:
            total += fmean(here)
        elif same:
            by_row = fmean(r["wall"] / describe(r["set"])["rows"] for r in same)
            total += by_row * describe(run.set)["rows"]
        else:
            complete = False
    return total, complete


def spoken(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run_all(todo: list[Run], store: Path) -> Iterator[str]:
    """Measure and store what is to do; yields a line for each run."""
    stored, absent = read(store), set[str]()
    width = max((len(run.method) + len(run.set) for run in todo), default=0) + 2
    for i, run in enumerate(todo, 1):
        if run.method in absent:
            continue
        result = measure(run)
        what = f"{i:>4}/{len(todo)}  split {run.split}  {run.method + ' ' + run.set:<{width}}"
        if "failed" in result:
            if result["failed"].startswith("ModuleNotFoundError"):
                absent.add(run.method)
            yield f"{what} FAILED: {result['failed']}"
            continue
        append(store, result)
        stored[run] = result
        rest = [other for other in todo[i:] if other.method not in absent]
        left, complete = seconds_left(rest, stored)
        yield (
            f"{what} error {result['error']:.4f}  CPU {result['cpu_fit']:8.2f} s"
            f"  left: {'' if complete else 'more than '}{spoken(left)}"
        )


# ---- the command line


def chosen(text: str | None, known: Sequence[Any], parser: argparse.ArgumentParser) -> list[Any]:
    """The names in a comma-separated list; all that are known without one."""
    by_name = {str(name): name for name in known}
    names = text.split(",") if text else list(by_name)
    if unknown := set(names) - set(by_name):
        parser.error(f"not known: {', '.join(sorted(unknown))}; known: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", help=f"of {','.join(METHODS)}")
    parser.add_argument("--sets", help=f"of {','.join(ALL_SETS)}")
    parser.add_argument("--splits", help="seeds of splits (default 0,1,2)")
    parser.add_argument("--store", type=Path, help="file of the results")
    parser.add_argument("--again", action="store_true", help="repeat runs that are stored")
    parser.add_argument("--table", action="store_true", help="only print the tables")
    parser.add_argument("--readme", action="store_true", help="write README.md's table")
    parser.add_argument("--picture", type=Path, help="draw errors over CPU seconds to this file")
    options = parser.parse_args()
    methods = chosen(options.methods, list(METHODS), parser)
    sets = chosen(options.sets, ALL_SETS, parser) if options.sets else list(SETS)
    splits = chosen(options.splits, range(10), parser) if options.splits else list(SPLITS)

    options.store = options.store or (STORED if options.table else STORE)
    failed = False
    if not options.table:
        for name in set(sets) - set(LARGE):
            path_of(name)  # ends the program where data are missing
        runs = planned(methods, sets if options.sets else None, splits)
        todo = [run for run in runs if options.again or run not in read(options.store)]
        print(f"{len(runs)} runs, {len(runs) - len(todo)} stored; {machine.cpu()}", flush=True)
        start = time.perf_counter()
        for line in run_all(todo, options.store):
            print(line, flush=True)
            failed |= "FAILED" in line
        print(f"{spoken(time.perf_counter() - start)}; stored: {options.store}\n")
    results = [
        result
        for run, result in read(options.store).items()
        if run.method in methods and run.set in sets and run.split in splits
    ]
    print(tabular_report.text(results))
    if options.readme:
        tabular_report.write_section(results, HERE.parent / "README.md")
    if options.picture:
        tabular_report.draw(results, options.picture)
        print(f"drawn: {options.picture}")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
