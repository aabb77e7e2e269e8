"""Another revision of fastbp against this one, pair by pair in one run.

    make bench-against REV=main                       # ARGS="--only W1,W3 --rounds 11"

Both run every workload in processes of their own that take turns. The ratio is the median over the
rounds of one's time over the other's: above 1, this one is faster. "least" compares the least time
of either, which other work on the machine disturbs less.
"""

import argparse
from pathlib import Path
from statistics import median

import turns
from peers import PEERS
from report import number
from run import chosen
from workloads import BOTH, WORKLOADS

PEER = "fastbp"


def pair(name, dtype, path, rounds):
    """The other revision's contestant and ours after the race."""
    both = [
        turns.Contestant(PEER, name, dtype, PEERS[PEER].ways[0], path=where)
        for where in (path, None)
    ]
    try:
        for contestant in both:
            contestant.start().turn(count=False)
        turns.race(both, rounds)
    finally:
        for contestant in both:
            contestant.stop()
    return both


def line(name, dtype, other, ours):
    if other.error or ours.error:
        return f"{name:<6}{dtype:<9}other: {other.error or 'well'}; this: {ours.error or 'well'}"
    ratios = sorted(median(a) / median(b) for a, b in zip(other.turns, ours.turns, strict=True))
    times = f"{number(other.microseconds()):>11}{number(ours.microseconds()):>11}"
    least = other.least() / ours.least()
    spread = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
    return f"{name:<6}{dtype:<9}{times}{median(ratios):>8.3f}{least:>8.3f}  {spread}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="where the other revision is installed")
    parser.add_argument("--only", help=f"of the workloads {','.join(WORKLOADS)}")
    parser.add_argument("--dtype", choices=BOTH, help="only this one")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default 7)")
    options = parser.parse_args()
    print(f"{'':<15}{'other, us':>11}{'this, us':>11}{'ratio':>8}{'least':>8}  rounds", flush=True)
    for name in chosen(options.only, WORKLOADS, parser):
        for dtype in WORKLOADS[name].dtypes:
            if options.dtype in (None, dtype):
                print(
                    line(name, dtype, *pair(name, dtype, options.path.resolve(), options.rounds)),
                    flush=True,
                )


if __name__ == "__main__":
    main()
