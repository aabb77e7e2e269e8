"""The available memory, read from the files of invented systems, and the error if it is short."""

import pytest

from fastbp.estimators import memory
from fastbp.estimators.memory import LITTLE, available_memory, check_fits, readable

GIB = 2**30
MEMINFO = "MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, 4 * GIB),
        # cgroup version 2: a limit in the group; "max" at the top means no limit
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "cg/a/b/memory.max": f"{3 * GIB}\n",
                "cg/a/b/memory.current": f"{GIB}\n",
                "cg/a/b/memory.stat": f"inactive_file {GIB // 2}\n",
                "cg/memory.max": "max\n",
            },
            2.5 * GIB,
        ),
        # a limit in the group above
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "cg/a/b/memory.max": "max\n",
                "cg/a/memory.max": f"{2 * GIB}\n",
                "cg/a/memory.current": f"{GIB}\n",
                "cg/a/memory.stat": "inactive_file 0\n",
            },
            GIB,
        ),
        # a container: the path is that of the host, but the group is mounted at the root
        (
            {
                "proc/self/cgroup": "0::/host/slice\n",
                "cg/memory.max": f"{GIB}\n",
                "cg/memory.current": "0\n",
                "cg/memory.stat": "inactive_file 0\n",
            },
            GIB,
        ),
        # cgroup version 1
        (
            {
                "proc/self/cgroup": "9:cpu:/\n4:memory:/job\n",
                "cg/memory/job/memory.limit_in_bytes": f"{2 * GIB}\n",
                "cg/memory/job/memory.usage_in_bytes": f"{GIB}\n",
                "cg/memory/job/memory.stat": f"cache 7\ntotal_inactive_file {GIB // 4}\n",
            },
            1.25 * GIB,
        ),
        # active_file, the pages of a file that was read twice, is cache too
        (
            {
                "proc/self/cgroup": "0::/\n",
                "cg/memory.max": f"{3 * GIB}\n",
                "cg/memory.current": f"{2 * GIB}\n",
                "cg/memory.stat": f"inactive_file 0\nactive_file {GIB}\nslab_reclaimable 512\n",
            },
            2 * GIB + 512,
        ),
        # more in use than allowed
        (
            {
                "proc/self/cgroup": "0::/\n",
                "cg/memory.max": "100\n",
                "cg/memory.current": "200\n",
                "cg/memory.stat": "inactive_file 0\n",
            },
            0,
        ),
    ],
)
def test_available_memory(tmp_path, files, expected):
    write(tmp_path, {"proc/meminfo": MEMINFO, **files})
    assert available_memory(tmp_path / "proc", tmp_path / "cg") == expected


def test_here_there_is_some():
    assert available_memory() > 2**20


def test_refusal_names_both_numbers(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 17 * 2**20)
    check_fits(17 * 2**20, "x")
    with pytest.raises(
        MemoryError,
        match=r"^Fitting x needs 1\.5 GiB of memory, but 17\.0 MiB is "
        r"available\.$",
    ):
        check_fits(3 * GIB // 2, "x")
    monkeypatch.setattr(memory, "available_memory", lambda: None)  # unknown: nothing is refused
    check_fits(GIB, "x")
    monkeypatch.setattr(memory, "available_memory", lambda: pytest.fail("asked"))
    check_fits(LITTLE, "x")


@pytest.mark.parametrize(
    "size, text",
    [(0, "0.0 B"), (1023, "1023.0 B"), (1024, "1.0 KiB"), (GIB - 1, "1023.9 MiB"), (10**400, None)],
)
def test_readable(size, text):
    assert readable(size) == text if text else readable(size).endswith(" YiB")
