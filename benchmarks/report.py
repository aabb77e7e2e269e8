"""Lines for the screen and two tables for README.md, from the stored figures of a run.

    python benchmarks/report.py [--readme]      # of the newest results/<version>.json

Only the stored file is read. Every number in README's section comes from here.
"""

import argparse
import json
import re
from pathlib import Path
from textwrap import fill

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
MARK = "<!-- bench -->"
US, ONE_THREAD = "fastbp", "fastbp, 1 thread"
SHOWN = ("scikit-learn", "PyTorch", "JAX")  # with a column of their own
OTHERS = (
    *SHOWN,
    "TensorFlow",
    "libtorch",
    "numba",
    "NumPy",
    "ONNX Runtime",
    "OpenVINO",
    "LiteRT",
)
# The races, in the order of the tables, and what their tables are called.
THREADS = ONE, ALL = 1, "all"
CLOCKS = {ONE: "one thread, CPU time, float32", ALL: "{} cores, wall time, float32"}
FLOOR = "scikit-learn's estimator base and SciPy's BLAS"


def newest():
    """The stored results of the highest version, or None."""

    def version(path):
        return [int(digits) for digits in re.findall(r"\d+", path.stem)]

    return max((HERE / "results").glob("*.json"), key=version, default=None)


# ---- figures


def us(result, peer):
    """Microseconds of a peer at a workload; None if it did not run or failed."""
    return result["peers"].get(peer, {}).get("us")


def best_peer(result):
    """Name of the fastest of the others, or None."""
    there = [peer for peer in OTHERS if us(result, peer)]
    return min(there, key=lambda peer: us(result, peer), default=None)


def ratio(theirs, ours):
    return theirs / ours if theirs and ours else None


def over_best(result):
    return ratio(us(result, best_peer(result)), us(result, US))


def threads_gain(result):
    """Time with one thread over time with as many as fastbp chooses."""
    return ratio(us(result, ONE_THREAD), us(result, US))


def gflops(result):
    ours = us(result, US)
    return result["flops"] / ours / 1e3 if result["flops"] and ours else None


def share(result, stored):
    """The share of the highest peak that was measured with so many threads."""
    peak = stored["peak"][str(result["threads"])][result["dtype"]]["gflops"]
    return gflops(result) / peak if gflops(result) and peak else None


# ---- numbers in words


def number(value):
    """Three significant digits, thousands separated."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def times(value):
    return "-" if value is None else f"{value:.0f}" if value >= 99.5 else f"{value:.1f}"


def percent(value):
    return "-" if value is None else f"{100 * value:.{0 if value >= 0.0095 else 1}f} %"


def duration(microseconds):
    """A time with a suitable unit."""
    if microseconds is None:
        return "-"
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{number(microseconds / size)} {unit}"
    return f"{number(microseconds)} µs"


# ---- the screen


WIDTHS = dict(zip((*SHOWN, US), (13, 11, 11, 11), strict=True))
HEADER = (
    f"{'µs':<26}{''.join(f'{peer:>{width}}' for peer, width in WIDTHS.items())}"
    f"{'x best':>8}{'x sklearn':>10}{'GFLOP/s':>9}{'of peak':>8}{'x 1 thr.':>9}"
)


def line(result, stored):
    """The row of a workload, below HEADER."""
    cells = [f"{number(us(result, peer)):>{width}}" for peer, width in WIDTHS.items()]
    over_sklearn = ratio(us(result, "scikit-learn"), us(result, US))
    gain = threads_gain(result)
    text = (
        f"{result['name']:<13}{result['dtype']:<8} {result['threads']!s:<4}{''.join(cells)}"
        f"{times(over_best(result)):>8}{times(over_sklearn):>10}"
        f"{number(gflops(result)):>9}{percent(share(result, stored)):>8}"
        f"{'-' if gain is None else f'{gain:.2f}':>9}"
    )
    more = [peer for peer in OTHERS[len(SHOWN) :] if us(result, peer)]
    if more:
        text += "\n       " + ", ".join(f"{peer} {number(us(result, peer))}" for peer in more)
    if each := [
        f"{peer} {number(found['us'] / found['iterations'])}"
        for peer, found in result["peers"].items()
        if "iterations" in found
    ]:
        text += f"\n       each iteration: {', '.join(each)}"
    for peer, found in result["peers"].items():
        if "error" in found:
            text += f"\n       {peer} took no part: {found['error']}"
        if found.get("disagrees"):
            text += f"\n       {peer} arrives elsewhere: {found['result']}"
    return text


def rest(stored):
    """The lines that belong to no workload."""
    lines = [
        f"peak {dtype}, threads {threads}: {number(peak['gflops'])} GFLOP/s, OpenBLAS "
        f"{peak['core_type'] or 'with its own choice of kernels'}"
        for threads, peaks in stored["peak"].items()
        for dtype, peak in peaks.items()
    ]
    compiled = [
        f"{result['name']} {result['dtype']} {found['compile_seconds']:.1f}"
        for result in stored["results"]
        for found in result["peers"].values()
        if "compile_seconds" in found
    ]
    if compiled:
        lines.append(f"JAX compiles, seconds: {', '.join(compiled)}")
    if "memory" in stored:
        lines += [
            f"memory of an MNIST fit beyond the data, MiB: {pairs(stored['memory'])}",
            f"import beyond {FLOOR}, ms: {pairs(stored['import'])}",
        ]
    return "\n".join(lines)


def pairs(values):
    return ", ".join(f"{name} {value}" for name, value in values.items())


# ---- README.md


def rows(header, lines):
    align = "|".join(["---"] + ["---:"] * (header.count("|") - 2))
    return "\n".join([header, f"|{align}|", *lines])


def chosen(stored, **wanted):
    return [
        result
        for result in stored["results"]
        if all(result[key] == value for key, value in wanted.items())
    ]


def table(stored, threads):
    """The float32 figures of all workloads, with one thread or with all."""
    lines = []
    for result in chosen(stored, dtype="float32", threads=threads):
        best = best_peer(result)
        found = "-"
        if best:
            elsewhere = "; another loss" if result["peers"][best].get("disagrees") else ""
            found = f"{duration(us(result, best))} ({best}{elsewhere})"
        cells = [*(duration(us(result, peer)) for peer in SHOWN), found, duration(us(result, US))]
        cells += [times(over_best(result)), percent(share(result, stored))]
        step = ", one step" if result["timed"] == "epoch" else ""
        lines.append(f"| {result['name']}: {result['what']}{step} | {' | '.join(cells)} |")
    head = CLOCKS[threads].format(stored["machine"]["cores"])
    return rows(f"| {head} | {' | '.join(SHOWN)} | best other | fastbp | × best | of peak |", lines)


def sentence(stored, value, **wanted):
    found = [(result["name"], value(result)) for result in chosen(stored, **wanted)]
    return ", ".join(f"{name} {amount:.2f}" for name, amount in found if amount is not None)


def costs(stored):
    """What a fit takes in memory and an import in time."""
    said = []
    for what, unit, values in (
        ("Peak memory of an MNIST fit beyond the data", "MiB", stored["memory"]),
        (f"Import beyond {FLOOR}", "ms", stored["import"]),
    ):
        each = (f"{name} {number(values[name])} {unit}" for name in ("scikit-learn", US))
        said.append(f"{what}: {', '.join(each)}.")
    return " ".join(said)


def absent(stored):
    """The peers that failed, with the workloads unless it is all of them; "" if there are none."""
    said = []
    for peer in OTHERS:
        took_part = [result for result in stored["results"] if peer in result["peers"]]
        failed = [result["name"] for result in took_part if us(result, peer) is None]
        if failed:
            all_of_them = len(failed) == len(took_part)
            said.append(peer if all_of_them else f"{peer} at {', '.join(dict.fromkeys(failed))}")
    return "; ".join(said)


def revisions(stored):
    """The measured commits: an interrupted run may be resumed after a change."""
    commits = [result.get("revision") for result in stored["results"]]
    most, said = max(commits, key=commits.count), {}
    for result, commit in zip(stored["results"], commits, strict=True):
        table = " in float64" * (result["dtype"] == "float64")
        table += " with all cores" * (result["threads"] == ALL)
        if commit != most:
            said.setdefault((commit, table), []).append(result["name"])
    rest = [f"{', '.join(names)}{table} at {commit}" for (commit, table), names in said.items()]
    return f"commit {most}" + (f" ({'; '.join(rest)})" if rest else "")


def caption(stored):
    facts = stored["machine"]
    versions = ", ".join(
        f"{package} {number}" for package, number in facts["versions"].items() if number
    )
    reached = " and ".join(
        f"{number(peak['float32']['gflops'])} GFLOP/s" + " with one thread" * (threads == "1")
        for threads, peak in reversed(stored["peak"].items())
    )
    random = ", ".join(stored["random_data"])
    cores = "1 core" if facts["cores"] == 1 else f"{facts['cores']} cores"
    return (
        f"{cores} of {facts['cpu']}, {reached} in a float32 "
        f"product of 2048 x 2048; Python {facts['python']}, {versions}; medians of "
        f"{stored['rounds']} rounds; {stored['date']}, {revisions(stored)}."
        + (f" Random numbers instead of: {random}." if random else "")
        + (f" Took no part: {absent(stored)}." if absent(stored) else "")
    )


def section(stored):
    """The text between the marks."""
    parts = []
    for threads in THREADS:
        if chosen(stored, threads=threads):
            parts.append(table(stored, threads))
            if double := sentence(stored, over_best, dtype="float64", threads=threads):
                parts.append(fill(f"In float64, × best: {double}.", 99))
    gains = sentence(stored, threads_gain, dtype="float32", threads=ALL)
    if gains:
        parts.append(fill(f"How much faster than one thread, float32: {gains}.", 99))
    return "\n\n".join([*parts, fill(costs(stored), 99), fill(caption(stored), 99)])


def in_readme():
    """The present section of README.md."""
    return README.read_text(encoding="utf-8").split(MARK)[1].strip("\n")


def write_readme(stored):
    before, _, after = README.read_text(encoding="utf-8").split(MARK)
    README.write_text(f"{before}{MARK}\n{section(stored)}\n{MARK}{after}", encoding="utf-8")


def show(stored):
    print(
        HEADER, *(line(result, stored) for result in stored["results"]), "", rest(stored), sep="\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readme", action="store_true", help="write README.md's tables")
    parser.add_argument("file", nargs="?", type=Path, default=newest())
    options = parser.parse_args()
    stored = json.loads(options.file.read_text(encoding="utf-8"))
    show(stored)
    if options.readme:
        write_readme(stored)


if __name__ == "__main__":
    main()
