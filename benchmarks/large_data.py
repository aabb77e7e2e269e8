"""A model of what several machines cost: how many times faster than one machine they are.

    make bench-large-data                       # prints the table, draws build/large_data.svg
    make bench-large-data ARGS="--page"         # also writes the table into the guide

Nothing is run. Training goes in rounds: the client sends the parameters to all machines, each
computes its share of the rows, the results are added up, and the client takes a step. The constants
were measured on one machine with two workers of Dask, over its loopback; the speed of the link is
assumed. One machine alone needs no engine and has no such costs. In this model it keeps all of its
cores busy, which is kind to it: mini-batches of a few hundred rows do not.
"""

import argparse
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, log2, log10
from pathlib import Path
from typing import NamedTuple

from workloads import step_flops

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "guide" / "large_data.md"
MARK = "<!-- bench-large-data -->"

ROUND = 0.014  # seconds of a round in which nothing is computed or sent
TASK = 0.001  # seconds of the scheduler and the client for each task of a round
COPY = 0.4e-9  # seconds for a byte, at each end of a link
CORE = 90e9  # operations a second of one core, in a gradient in float32
CORES, BUSY = 16, 0.8  # of a machine, and the share of them that a fit uses
FAN_IN = 4  # results that a task adds up, if tasks do and not the client
GIGABITS = 1, 10  # a second, of a link
MACHINES = (*(2**k for k in range(10)), 1000)

Net = tuple[int, ...]  # units of each layer
NETS: tuple[Net, ...] = ((54, 128, 64, 7), (784, 100, 10), (784, 1024, 1024, 10))


class Way(NamedTuple):
    """A way to train on several machines."""

    name: str
    rows: tuple[float, ...]  # of an epoch, or of a batch
    unit: str  # what `rows` are
    rounds: int = 1  # in which the rows are seen once
    vectors: int = 1  # of the length of the parameters, sent down and up in a round


ROWS = 1e6, 1e7, 1e8
WAYS = (
    Way("every step over the link", (1024, 8192, 65536), "rows of a batch"),
    Way("`lbfgs`", ROWS, "rows of the data"),
    # both moments travel with the parameters
    Way("`adam`, local steps", ROWS, "rows of the data", rounds=10, vectors=3),
)


# ---- the model


def parameters(net: Net) -> int:
    """The number of weights and biases."""
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(net))


def arithmetic(net: Net, rows: float) -> float:
    """Seconds of one machine for the gradient of these rows."""
    return rows * step_flops(net, 1) / (CORE * CORES * BUSY)


def added_flat(machines: int) -> tuple[int, int]:
    """Hops of results and tasks of a round if the client adds up all results."""
    return machines, machines


def added_by_fours(machines: int) -> tuple[int, int]:
    """The same if tasks add up four results each, then four of theirs; the last one is sent."""
    hops, tasks, left = 1, machines, machines
    while left > 1:
        hops += min(left, FAN_IN)
        left = ceil(left / FAN_IN)
        tasks += left
    return hops, tasks


def seconds(machines: int, net: Net, way: Way, rows: float, gigabits: float) -> float:
    """Seconds of a round. Parameters spread by doubling: who has them sends them on."""
    work = arithmetic(net, rows / way.rounds) / machines
    if machines == 1:
        return work
    size = 4 * way.vectors * parameters(net)
    hop = size * (8e-9 / gigabits + 2 * COPY)
    spread = ceil(log2(machines + 1)) * hop  # the client has them first
    ways = (added_flat(machines), added_by_fours(machines))
    return ROUND + work + spread + min(hops * hop + tasks * TASK for hops, tasks in ways)


def speed_up(machines: int, net: Net, way: Way, rows: float, gigabits: float) -> float:
    """How many times faster than one machine."""
    case = net, way, rows, gigabits
    return seconds(1, *case) / seconds(machines, *case)


def half_efficient(net: Net, way: Way, rows: float, gigabits: float) -> int:
    """The largest number of machines of which at least half count."""
    gains = {machines: speed_up(machines, net, way, rows, gigabits) for machines in MACHINES}
    return max(machines for machines, gain in gains.items() if 2 * gain >= machines)


def best(net: Net, way: Way, rows: float, gigabits: float) -> tuple[float, int]:
    """The largest speed-up, and the smallest number of machines that has it."""
    gains = {machines: speed_up(machines, net, way, rows, gigabits) for machines in MACHINES}
    machines = max(gains, key=gains.__getitem__)
    return gains[machines], machines


# ---- table and picture


def name_of(net: Net) -> str:
    return "-".join(map(str, net))


def cell(net: Net, way: Way, rows: float) -> str:
    """The most that is gained, by link; a dash where one machine is the fastest."""
    found = [best(net, way, rows, gigabits) for gigabits in GIGABITS]
    words = [
        f"{gain:.{0 if gain > 9.95 else 1}f} at {machines}" if machines > 1 else "-"
        for gain, machines in found
    ]
    return words[0] if len(set(words)) == 1 else " / ".join(words)


def rows_in_words(rows: float) -> str:
    return f"$10^{log10(rows):.0f}$" if rows in ROWS else f"{rows:,.0f}"


def lines(ways: tuple[Way, ...]) -> Iterator[str]:
    """A table in Markdown of ways with the same rows."""
    yield f"| {ways[0].unit} | {' | '.join(map(rows_in_words, ways[0].rows))} |"
    yield "|---|" + "---|" * len(ways[0].rows)
    for way in ways:
        for net in NETS:
            cells = [cell(net, way, rows) for rows in way.rows]
            yield f"| {way.name}, {name_of(net)} | {' | '.join(cells)} |"


def table() -> str:
    """What the guide shows between its two marks."""
    return "\n".join([*lines(WAYS[1:]), "", *lines(WAYS[:1])])


def draw(path: Path) -> None:
    """Write the picture: a way to train in each row, a network in each column."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(
        2, len(NETS), figsize=(11, 6.4), sharex=True, sharey=True, layout="constrained"
    )
    for way, row in zip(WAYS[1:], grid, strict=True):
        for net, axes in zip(NETS, row, strict=True):
            axes.plot(MACHINES, [m / 2 for m in MACHINES], ":", color="tab:gray", lw=1)
            axes.axhline(1, color="tab:gray", lw=0.8)
            for rows, color in zip(way.rows, ("tab:green", "tab:blue", "tab:red"), strict=True):
                for gigabits, style in zip(GIGABITS, ("--", "-"), strict=True):
                    gains = [speed_up(m, net, way, rows, gigabits) for m in MACHINES]
                    label = f"$10^{log10(rows):.0f}$ rows, {gigabits} Gbit/s"
                    axes.plot(MACHINES, gains, style, color=color, label=label)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_ylim(0.3, 500)
            axes.set_title(f"{name_of(net)}, {way.name.replace('`', '')}", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("machines")
    for axes in grid[:, 0]:
        axes.set_ylabel("times faster than one")
    grid[-1, 0].legend(fontsize=8, loc="upper left")
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Print the table, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="store_true", help="write the table into the guide")
    parser.add_argument("--picture", type=Path, default=ROOT / "build" / "large_data.svg")
    options = parser.parse_args()
    print(table())
    options.picture.parent.mkdir(exist_ok=True)
    draw(options.picture)
    print(options.picture)
    if options.page:
        before, _, after = PAGE.read_text(encoding="utf-8").split(MARK)
        PAGE.write_text(f"{before}{MARK}\n{table()}\n{MARK}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
