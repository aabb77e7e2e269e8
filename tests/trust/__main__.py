"""The scorecard of reliability, tried and stored.

    make trust                                              # all, stored, and into the guide
    make trust ARGS="--only races,leaks/calls"              # some rows, shown only
    make trust ARGS="--cases 100 --seconds 600 --seed 1"    # fewer cases, other random numbers
    make trust ARGS="--only random --case 1234"             # one case, in this process

Each case runs in a fork, with a time limit. The exit status is 1 if a promise is broken.
"""

import argparse
import os
import sys
import time
import warnings

from trust import harness, table
from trust.rows import ROWS, prepare
from trust.stamp import facts, stamped

SECONDS = 3300  # of all: no case is begun after them
SHOWN = 5  # failures of a row that are printed


def chosen(names, parser):
    """The rows of some subjects, or of titles such as races/steps; None means all."""
    if names is None:
        return ROWS
    wanted = set(names.split(","))
    known = {row.subject for row in ROWS} | {row.title for row in ROWS}
    if unknown := wanted - known:
        parser.error(f"not known: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    return [row for row in ROWS if {row.subject, row.title} & wanted]


def show(row, number, verdict):
    """Print a failure."""
    print(f"  {row.title} --case {number}: {verdict.kind}", flush=True)
    print("    " + "\n    ".join(verdict.detail.strip().splitlines()[-25:]), flush=True)


def try_row(row, options, deadline):
    """Run the cases of a row, and print what comes out."""
    numbers = row.numbers(options.cases or row.full)
    print(f"{row.title}: {len(numbers)} {row.unit}", flush=True)
    began, result = time.monotonic(), harness.Result(row)
    verdicts = harness.run(row, numbers, seed=options.seed, jobs=options.jobs, deadline=deadline)
    for number, verdict in verdicts:
        result.add(number, verdict)
        if verdict.kind in harness.FAILURES and len(result.failures) <= options.failures:
            show(row, number, verdict)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kinds.items()))
    more = ", ".join(f"{count} {what}" for what, count in result.tried.items())
    print(f"  {counts} in {time.monotonic() - began:.0f} s ({more or 'nothing counted'})")
    if result.reason:
        print(f"  skipped: {result.reason}")
    return result


def in_foreground(rows, options, parser):
    """Run one case in this process."""
    if len(rows) != 1 or not 0 <= options.case < rows[0].full:
        parser.error("--case needs --only with one row, and a number below its number of cases")
    verdict = harness.attempt(rows[0], options.case, options.seed)
    print(verdict.kind, verdict.tried, verdict.detail, sep="\n")
    return int(verdict.kind in harness.FAILURES)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"of {', '.join(dict.fromkeys(r.subject for r in ROWS))}")
    parser.add_argument("--case", type=int, help="run this case of one row, not in a fork")
    parser.add_argument("--cases", type=int, help="at most so many of each row")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of all rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--failures", type=int, default=SHOWN, help="printed of each row")
    options = parser.parse_args()
    rows = chosen(options.only, parser)
    if options.case is not None:
        return in_foreground(rows, options, parser)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare()
    deadline = time.monotonic() + options.seconds
    results = [try_row(row, options, deadline) for row in rows]
    short = [r.row.title for r in results if r.kinds.total() < r.row.full]
    failed = [r.row.title for r in results if r.failures]
    if failed:
        print(f"broken: {', '.join(failed)}")
    if short:
        print(f"not stored, as not all cases were run of: {', '.join(short)}")
    elif options.only is None or table.read():
        found = [stamped(result.to_plain()) for result in results]
        table.store(table.merged(table.read(), found, facts()))
        print(f"stored: {table.STORED.relative_to(table.ROOT)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
