"""How much memory there is, and a refusal of what would not fit, before anything is allocated."""

import os
from pathlib import Path

LITTLE = 2**24  # bytes that are not asked after: to ask takes longer than many a fit


def check_fits(needed, what):
    """Raise MemoryError with both numbers if `needed` bytes are more than there is."""
    if needed <= LITTLE:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise MemoryError(
            f"Fitting {what} needs {readable(needed)} of memory, "
            f"but {readable(available)} is available."
        )


def readable(size):
    """Bytes as text, such as '1.5 GiB'."""
    units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
    power = min(max(int(size).bit_length() - 1, 0) // 10, len(units) - 1)
    tenths = 10 * int(size) // 1024**power  # integers: a size may be beyond every float
    return f"{tenths // 10}.{tenths % 10} {units[power]}"


def available_memory(proc=Path("/proc"), cgroups=Path("/sys/fs/cgroup")):
    """Bytes that the machine and the process's control groups still allow; None if unknown."""
    known = [_machine(proc), *_control_groups(proc, cgroups)]
    known = [size for size in known if size is not None]
    return min(known) if known else None


def _machine(proc):
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:  # other systems tell at least how much there is in all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_groups(proc, cgroups):
    """What each control group above the process leaves: version 2, then version 1."""
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


def _left(folder, limit, usage):
    """limit - usage of a control group; page cache, which gives way, is not counted as used."""
    try:
        allowed = int((folder / limit).read_text())
        used = int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or the word "max"
        return None
    cache = sum(
        int(stat.get(f"total_{name}", stat.get(name, 0)))
        for name in ("inactive_file", "active_file", "slab_reclaimable")
    )
    return max(allowed - max(used - cache, 0), 0)
