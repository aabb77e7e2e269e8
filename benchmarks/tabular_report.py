"""Tables and a picture of the stored runs of the tabular benchmark.

Errors are compared in pairs, on the splits that both methods ran: exp of the mean over the sets of
log(a + 0.01) - log(b + 0.01), where the splits of a set are averaged first. The standard error is
the one over the sets.
"""

from collections.abc import Iterable, Sequence
from math import exp, isnan, log, sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from tabular_methods import ALL_SETS, METHODS, SETS

SHIFT = 0.01
Result = dict[str, Any]

# What the error of each method is compared with.
RIVALS = {
    "fastbp": ("realmlp", "realmlp-cv5", "tabm", "hgb", "lightgbm", "xgboost", "mlp"),
    "fastbp-10": ("realmlp-cv5", "tabm", "realmlp", "hgb", "lightgbm", "fastbp"),
    "mlp": ("hgb", "lightgbm"),
    "realmlp": ("hgb", "lightgbm", "mlp"),
    "realmlp-cv5": ("realmlp", "hgb"),
    "tabm": ("realmlp", "realmlp-cv5", "hgb"),
}
# And the log loss.
RIVALS_OF_LOG_LOSS = {
    "fastbp-logloss": ("hgb", "lightgbm", "realmlp-logloss", "realmlp", "fastbp"),
    "fastbp": ("hgb",),
    "realmlp-logloss": ("realmlp", "hgb"),
}
PRIOR = "log_loss_of_prior"
MARK = "<!-- bench-tabular -->"


# ---- figures


class Paired(NamedTuple):
    """One method against another, on the sets and splits that both ran."""

    sets: int
    ratio: float  # of shifted errors
    standard_error: float  # of its logarithm, over the sets; NaN for one set
    better: int  # sets where the first has the smaller error
    cpu: float  # ratio of the summed CPU seconds of the fits


def by_split(results: Iterable[Result], method: str, key: str) -> dict[tuple[str, int], Result]:
    """The results of a method that have this figure, by set and split."""
    return {(r["set"], r["split"]): r for r in results if r["method"] == method and key in r}


def ratios_of_sets(
    results: Sequence[Result], a: str, b: str, key: str, shift: float = SHIFT
) -> dict[str, float]:
    """For each set that both ran the mean over its splits of log((a + shift) / (b + shift))."""
    first, second = by_split(results, a, key), by_split(results, b, key)
    logs: dict[str, list[float]] = {}
    for name, seed in sorted(first.keys() & second.keys()):
        of_a, of_b = (found[name, seed][key] for found in (first, second))
        logs.setdefault(name, []).append(log((of_a + shift) / (of_b + shift)))
    return {name: fmean(values) for name, values in logs.items()}


def paired(results: Sequence[Result], a: str, b: str, key: str = "error") -> Paired | None:
    """How `a` compares with `b`; None if there is no split that both ran."""
    logs = list(ratios_of_sets(results, a, b, key).values())
    if not logs:
        return None
    first, second = by_split(results, a, key), by_split(results, b, key)
    common = first.keys() & second.keys()
    cpu_a, cpu_b = (sum(found[one]["cpu_fit"] for one in common) for found in (first, second))
    return Paired(
        len(logs),
        exp(fmean(logs)),
        stdev(logs) / sqrt(len(logs)) if len(logs) > 1 else float("nan"),
        sum(value < 0 for value in logs),
        cpu_a / cpu_b,
    )


def mean_of(results: Iterable[Result], method: str, name: str, key: str) -> float | None:
    """The mean of a figure over the splits of a set; None if there is none."""
    values = [r[key] for r in results if (r["method"], r["set"]) == (method, name) and key in r]
    return fmean(values) if values else None


def methods_of(results: Sequence[Result]) -> list[str]:
    """The methods that ran, in the order of METHODS."""
    return [method for method in METHODS if any(r["method"] == method for r in results)]


# ---- tables


def times(value: float) -> str:
    """A ratio with three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def pairs(results: Sequence[Result], rivals: dict[str, tuple[str, ...]], key: str) -> list[str]:
    """A row for each pair, with the ratio of this figure."""
    rows = [f"{'a against b':<34}{'sets':>5}{'a / b':>8}{'change':>18}{'better':>8}{'CPU':>9}"]
    for a, others in rivals.items():
        for b in others:
            if (found := paired(results, a, b, key)) is None:
                continue
            change, error = 100 * (found.ratio - 1), 100 * found.standard_error
            spread = "" if isnan(error) else f" +- {error:.1f}"
            rows.append(
                f"{a + ' against ' + b:<34}{found.sets:>5}{found.ratio:>8.3f}"
                f"{f'{change:+.1f} %{spread}':>18}{found.better:>8}{times(found.cpu):>9}"
            )
    return rows if len(rows) > 1 else []


def by_set(results: Sequence[Result], key: str, digits: int) -> list[str]:
    """A row for each set with the figure of each method, the mean over the splits."""
    methods = [m for m in methods_of(results) if any(key in r for r in results if r["method"] == m)]
    widths = [max(len(method), 8) + 2 for method in methods]
    rows = [f"{'':<15}{''.join(f'{m:>{w}}' for m, w in zip(methods, widths, strict=True))}"]
    for name in ALL_SETS:
        values = [mean_of(results, method, name, key) for method in methods]
        if any(value is not None for value in values):
            cells = ["-" if value is None else f"{value:.{digits}f}" for value in values]
            row = "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
            rows.append(f"{name:<15}{row}")
    return rows if len(rows) > 1 else []


def above_prior(results: Sequence[Result]) -> list[str]:
    """For each method the sets where its log loss is above that of the classes' frequencies."""
    rows = []
    for method in methods_of(results):
        worse = []
        for name in ALL_SETS:
            loss, prior = (mean_of(results, method, name, key) for key in ("log_loss", PRIOR))
            if loss is not None and prior is not None and loss > prior:
                worse.append(name)
        if worse:
            rows.append(f"{method} is worse than the prior on {', '.join(worse)}")
    return rows


def text(results: Sequence[Result]) -> str:
    """All tables."""
    if not results:
        return "nothing is stored"
    splits = ", ".join(str(seed) for seed in sorted({r["split"] for r in results}))
    sections = {
        f"Errors in pairs (splits {splits}; CPU: ratio of the summed fits)": pairs(
            results, RIVALS, "error"
        ),
        "Log loss in pairs": pairs(results, RIVALS_OF_LOG_LOSS, "log_loss"),
        "Error: 1 - accuracy, or RMSE over the standard deviation": by_set(results, "error", 4),
        "CPU seconds of a fit": by_set(results, "cpu_fit", 2),
        "CPU seconds of a prediction of the test rows": by_set(results, "cpu_predict", 3),
        "MiB that a fit adds to the largest memory of the process": by_set(results, "mib", 0),
        "Log loss": by_set(results, "log_loss", 4) + above_prior(results),
        "Measured with": made_with(results),
    }
    return "\n\n".join("\n".join([title, *rows]) for title, rows in sections.items() if rows)


def made_with(results: Sequence[Result]) -> list[str]:
    """Versions and processors of the runs, each once."""
    versions: dict[str, set[str]] = {}
    for result in results:
        for package, version in result["versions"].items():
            versions.setdefault(package, set()).add(version)
        if result.get("revision"):
            versions.setdefault("commit", set()).add(result["revision"])
    packages = [f"{package} {'/'.join(sorted(found))}" for package, found in versions.items()]
    return [", ".join(packages), "; ".join(sorted({r["cpu"] for r in results}))]


# ---- README.md

OF_README = (
    ("fastbp", "hgb", "error"),
    ("fastbp", "lightgbm", "error"),
    ("fastbp", "xgboost", "error"),
    ("fastbp", "realmlp", "error"),
    ("fastbp", "tabm", "error"),
    ("fastbp", "mlp", "error"),
    ("fastbp-10", "realmlp-cv5", "error"),
    ("fastbp-logloss", "hgb", "log_loss"),
    ("fastbp-logloss", "realmlp-logloss", "log_loss"),
)
NAMES = {
    "fastbp": "defaults",
    "fastbp-10": "`n_members=10`",
    "fastbp-logloss": '`scoring="neg_log_loss"`',
    "hgb": "HistGradientBoosting",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "realmlp": "RealMLP-TD",
    "realmlp-cv5": "RealMLP-TD, `n_cv=5`",
    "realmlp-logloss": "RealMLP-TD, for log loss",
    "tabm": "TabM",
    "mlp": "`MLPClassifier`, `MLPRegressor` behind the usual pipeline",
}


def section(results: Sequence[Result]) -> str:
    """The table of README.md, with what it was measured with."""
    rows = [
        "| fastbp | against | of | sets, splits | ratio | better on | ratio of CPU |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for a, b, key in OF_README:
        if (found := paired(results, a, b, key)) is None:
            continue
        both = by_split(results, a, key).keys() & by_split(results, b, key).keys()
        error = f" ± {found.standard_error:.2f}" if found.sets > 1 else ""
        rows.append(
            f"| {NAMES[a]} | {NAMES[b]} | {key.replace('_', ' ')} | {found.sets}, {len(both)} | "
            f"{found.ratio:.2f}{error} | {found.better} | {times(found.cpu)} |"
        )
    return "\n".join([*rows, "", "; ".join(made_with(results)) + "."])


def write_section(results: Sequence[Result], readme: Path) -> None:
    """Put the table into README.md, between its two marks."""
    before, _, after = readme.read_text(encoding="utf-8").split(MARK)
    readme.write_text(f"{before}{MARK}\n{section(results)}\n{MARK}{after}", encoding="utf-8")


# ---- the picture


def points(results: Sequence[Result], base: str = "hgb") -> dict[str, tuple[float, Paired]]:
    """For each method its CPU seconds for a fit, and how its error compares with the base's.

    Methods that ran on a few sets are compared there only. So that their seconds can stand beside
    the others', they are the base's geometric mean over all sets, times the geometric mean of the
    ratios on the common sets.
    """
    seconds = [mean_of(results, base, name, "cpu_fit") for name in SETS]
    typical = [log(value) for value in seconds if value]
    found = {}
    for method in methods_of(results):
        if method.endswith("-logloss"):  # another aim than a small error
            continue
        pair = paired(results, method, base)
        if pair is not None and typical:
            slower = ratios_of_sets(results, method, base, "cpu_fit", shift=0)
            found[method] = exp(fmean(typical) + fmean(slower.values())), pair
    return found


def labels_above(found: dict[str, tuple[float, Paired]]) -> dict[str, bool]:
    """Whether the label of a point goes above it: if the nearest point by time is not higher."""
    above = {}
    for method, (seconds, pair) in found.items():
        others = [other for name, other in found.items() if name != method]
        near = min(others, key=lambda other: abs(log(other[0] / seconds)), default=None)
        above[method] = near is None or pair.ratio >= near[1].ratio
    return above


def draw(results: Sequence[Result], path: Path, base: str = "hgb") -> None:
    """Write the picture of errors, relative to the base's, over CPU seconds."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    found = points(results, base)
    above = labels_above(found)
    most = max((pair.sets for _, pair in found.values()), default=0)
    for method, (seconds, pair) in found.items():
        ours, change = method.startswith("fastbp"), 100 * (pair.ratio - 1)
        error = 0 if isnan(pair.standard_error) else 100 * pair.standard_error * pair.ratio
        color = "tab:red" if ours else "tab:gray" if method == base else "tab:blue"
        axes.errorbar(
            seconds,
            change,
            yerr=error,
            fmt="o" if pair.sets == most else "s",
            mfc=color if pair.sets == most else "white",
            color=color,
            ecolor=(*matplotlib.colors.to_rgb(color), 0.35),
            markersize=8,
        )
        axes.annotate(
            method if pair.sets == most else f"{method} ({pair.sets} sets)",
            (seconds, change),
            xytext=(6, 5 if above[method] else -14),
            textcoords="offset points",
            weight="bold" if ours else "normal",
            color=color,
        )
    axes.axhline(0, color="tab:gray", lw=0.8, zorder=0)
    axes.set_xscale("log")
    axes.margins(x=0.2, y=0.12)
    axes.set_xlabel("CPU seconds of a fit, geometric mean over the sets")
    axes.set_ylabel(f"error relative to {base}, %")
    axes.set_title(f"Defaults on {most} tabular sets; bars: one standard error over the sets")
    figure.savefig(path, dpi=150)
    plt.close(figure)
