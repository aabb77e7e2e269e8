"""Another revision of fastbp against this one: wall time, CPU time of one thread, instructions.

    make bench-against REV=main                       # ARGS="--only W1,import --rounds 11"
    make bench-against REV=main ARGS="--only W6 --instructions"

Each ratio is the other revision's figure over this one's: above 1, this one is better. Both run
each workload in processes of their own that take turns, and the ratios are paired turn by turn.
"time" has threads as fastbp chooses, "CPU" is the CPU time of a process with one thread. For both
the median ratio is given, for CPU the quartiles too. "least" is the ratio of the least times. The
workload "import" is a whole program: python -c "from fastbp import MLPClassifier".

Judge a limit of some percent by CPU. Where its quartiles are further apart than the limit, judge by
instructions: --instructions counts them for a fixed amount of work in one thread, as the difference
of two amounts, so that startup cancels out. This is slow without hardware counters.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import instructions
from peers import PEERS
from report import number
from run import chosen
from turns import Contestant, Program, race
from workloads import BOTH, WORKLOADS

IMPORT = "import"
NAMES = (*WORKLOADS, IMPORT)
HEADER = (
    f"{'':<15}{'other, us':>11}{'this, us':>11}{'time':>8}{'least':>8}"
    f"{'CPU':>8}{'  quartiles':<18}{'instructions':>12}"
)
FOOTER = """
Ratios are other / this: above 1, this one is better. Judge by CPU, the time of one thread; where
its quartiles are further apart than the limit, by instructions (ARGS=--instructions, slow)."""


class Pair(NamedTuple):
    """The other revision and this one at the same work."""

    other: Contestant
    ours: Contestant

    def ratios(self, clock: str) -> list[float]:
        """The other's time over ours, turn by turn; of the clock "turns" or "cpu_turns"."""
        both = zip(getattr(self.other, clock), getattr(self.ours, clock), strict=True)
        return [median(other) / median(ours) for other, ours in both]


def enter(name: str, dtype: str, path: Path, one_thread: bool) -> Pair:
    """Contestants that have not started."""
    peer = "fastbp, 1 thread" if one_thread else "fastbp"

    def contestant(where: Path | None) -> Contestant:
        if name == IMPORT:
            return Program("from fastbp import MLPClassifier", where, one_thread)
        return Contestant(peer, name, dtype, PEERS[peer].ways[0], where, one_thread)

    return Pair(contestant(path), contestant(None))


def run_pairs(name: str, dtype: str, path: Path, rounds: int) -> tuple[Pair, Pair]:
    """With threads as fastbp chooses and with one thread, after `rounds` turns of each."""
    pairs = enter(name, dtype, path, one_thread=False), enter(name, dtype, path, one_thread=True)
    everyone = [contestant for pair in pairs for contestant in pair]
    started = []
    try:
        for contestant in everyone:
            started.append(contestant.start())
            contestant.turn(count=False)
        race(everyone, rounds)
    finally:
        for contestant in started:
            contestant.stop()
    return pairs


def instructions_ratio(pair: Pair) -> float:
    """The other's instructions over ours; NotCountedError where they cannot be counted."""
    spent = []
    for contestant in pair:
        less, more = (instructions.count(*contestant.fixed_work(m)) for m in (False, True))
        spent.append(more - less)
    return spent[0] / spent[1]


def quartiles(ratios: Sequence[float]) -> tuple[float, float]:
    if len(ratios) == 1:
        return ratios[0], ratios[0]
    first, _, third = quantiles(ratios, n=4, method="inclusive")
    return first, third


def line(name: str, dtype: str, free: Pair, single: Pair) -> str:
    """The row of a workload, up to the instructions."""
    for pair in free, single:
        if pair.other.error or pair.ours.error:
            said = [contestant.error or "no error" for contestant in pair]
            return f"{name:<6}{dtype:<9}other: {said[0]}; this: {said[1]}"
    times = [f"{number(contestant.microseconds()):>11}" for contestant in free]
    least = free.other.least() / free.ours.least()
    cpu = single.ratios("cpu_turns")
    spread = "  {:.3f} to {:.3f}".format(*quartiles(cpu))
    return (
        f"{name:<6}{dtype:<9}{''.join(times)}{median(free.ratios('turns')):>8.3f}{least:>8.3f}"
        f"{median(cpu):>8.3f}{spread:<18}"
    )


def counted(single: Pair) -> str:
    """The last cell of a row."""
    if single.other.error or single.ours.error:
        return ""
    try:
        return f"{instructions_ratio(single):>12.4f}"
    except instructions.NotCountedError as error:
        return f"  not counted: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="where the other revision is installed")
    parser.add_argument("--only", help=f"of the workloads {','.join(NAMES)}")
    parser.add_argument("--dtype", choices=BOTH, help="only this one")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each (default 7)")
    parser.add_argument("--instructions", action="store_true", help="count them too (slow)")
    options = parser.parse_args()
    if options.instructions:
        try:
            print(f"instructions: {instructions.counter()}", file=sys.stderr)
        except instructions.NotCountedError as error:
            print(f"instructions: not counted: {error}", file=sys.stderr)
            options.instructions = False
    print(HEADER, flush=True)
    for name in chosen(options.only, NAMES, parser):
        for dtype in [""] if name == IMPORT else WORKLOADS[name].dtypes:
            if dtype and options.dtype not in (None, dtype):
                continue
            free, single = run_pairs(name, dtype, options.path.resolve(), options.rounds)
            print(line(name, dtype, free, single), end="", flush=True)
            print(counted(single) if options.instructions else "", flush=True)
    print(FOOTER)


if __name__ == "__main__":
    main()
