"""Memory estimates: an error before a fit allocates more than is available."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.estimators.stochastic import dropout_rates
from fastbp.kernels import core
from fastbp.network import count_params, epoch_use, make_plan
from fastbp.threads import MOST_RANKS, available_cores
from fastbp.training import Outline, Samples, chunk_size, lower_dropout, n_chunks

if TYPE_CHECKING:
    from fastbp.graph.expression import Expression

LITTLE = 2**24  # bytes; less is not checked, since the check takes longer than a small fit
LBFGS_VECTORS = 38  # float64 vectors of the parameters' size that SciPy's L-BFGS keeps (measured)
GRADIENT_ARRAYS = 5  # arrays of the parameters' size in a gradient check, but for its sums


def check_gradient(units: Sequence[int], samples: Samples | Outline, what: str) -> None:
    """Raise MemoryError if there is too little memory to check the gradient of this network."""
    arrays = GRADIENT_ARRAYS + _sums(samples)
    check_fits(samples.dtype.itemsize * arrays * count_params(units), what)


def check_training(
    estimator: CheckedEstimator,
    units: Sequence[int],
    activations: "Sequence[str | Expression]",
    samples: Samples | Outline,
    n_validation: int,
    what: str,
) -> None:
    """Raise MemoryError if there is too little memory to train this network."""
    rows, ranks = len(samples) + n_validation, int(estimator.n_threads or 1)
    if 512 * ranks * (count_params(units) + rows * sum(units)) <= LITTLE:  # far more than needed
        return
    size = samples.dtype.itemsize
    stochastic = estimator.solver in core.OPTIMIZERS
    # Early stopping keeps the parameters of the start, the best and, briefly, the previous best.
    arrays = 1 + core.STATE_ROWS.get(estimator.solver, 0) + 3 * estimator.early_stopping
    arrays += 2 * (estimator.ema_decay is not None)  # the average, and a copy to exchange it
    per_param = size * arrays if stochastic else 8 * LBFGS_VECTORS + size * (1 + _sums(samples))
    needed = count_params(units) * per_param
    check_fits(needed, what)
    dropout = None
    if stochastic:
        is_sparse = samples.is_sparse
        batch = 200 if estimator.batch_size == "auto" else estimator.batch_size
        batch = min(batch, len(samples))
        use = epoch_use(is_sparse, estimator.clip_norm is not None)
        dropout = lower_dropout(dropout_rates(estimator, len(units) - 2, is_sparse=is_sparse), 0)
    else:
        batch, use = chunk_size(samples), "gradient"
    # A layer with a tape needs as much as one with gelu. Its registers, a few dozen
    # rows, are not counted.
    gelu = core.ACTIVATIONS["gelu"]
    plan = make_plan(units, [core.ACTIVATIONS.get(one, gelu) for one in activations])
    # A small network gets few ranks, which need little memory: the cores need not be counted.
    ranks = estimator.n_threads or (available_cores() if needed > LITTLE else 1)
    needed += size * core.scratch_size(plan, batch, min(ranks, MOST_RANKS), use, dropout)
    needed += size * n_validation * (2 * units[-1] + 1)  # targets, predictions, losses
    check_fits(needed, what)


def _sums(samples: Samples | Outline) -> int:
    """Arrays of the parameters' size that the gradient of all samples is summed in."""
    return core.most_sums(0, n_chunks(samples))


def check_fits(needed: int, what: str) -> None:
    """Raise MemoryError, with both numbers, if `needed` bytes are more than available."""
    if needed <= LITTLE:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise MemoryError(
            f"Fitting {what} needs {readable(needed)} of memory, "
            f"but {readable(available)} is available."
        )


def readable(size: int) -> str:
    """A number of bytes as text, such as '1.5 GiB'."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    power = min(max(int(size).bit_length() - 1, 0) // 10, len(units) - 1)
    tenths = 10 * int(size) // 1024**power  # integers: a size may be too large for a float
    return f"{tenths // 10}.{tenths % 10} {units[power]}"


def available_memory(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that the machine and the control groups of the process allow; None if unknown."""
    sizes = [_machine(proc), *_control_groups(proc, cgroups)]
    known = [size for size in sizes if size is not None]
    return min(known) if known else None


def _machine(proc: Path) -> int | None:
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # other systems tell at least the total
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_groups(proc: Path, cgroups: Path) -> Iterator[int | None]:
    """Bytes left in each control group of the process, of version 2 and version 1."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, usage = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = root / path.lstrip("/")
        # In a container the path may be the host's, and the group be mounted at the root.
        for folder in {group, *group.parents, root}:
            if folder == root or root in folder.parents:
                yield _left(folder, limit, usage)


def _left(folder: Path, limit: str, usage: str) -> int | None:
    """Limit minus usage of a control group. Page cache is not counted, as it can be freed."""
    try:
        allowed = int((folder / limit).read_text())
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or it says "max"
        return None
    cache = sum(
        int(stat.get(f"total_{name}", stat.get(name, 0)))
        for name in ("inactive_file", "active_file", "slab_reclaimable")
    )
    return max(allowed - max(used - cache, 0), 0)
