"""The number of ranks of a fit, alone and beside other fits."""

import re
from itertools import pairwise
from pathlib import Path

import joblib
import pytest

from fastbp.kernels import backend, core
from fastbp.threads import MOST_RANKS, available_cores, call_cost, cores, step_cost
from fastbp.threads.cores import reserved_cores


def test_n_threads_is_taken_at_its_word_and_none_decides(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    small, large = step_cost(1e6, 1000), step_cost(1e12, 1000)
    for n_threads, cost, expected in (
        (5, small, 5),
        (None, small, 1),
        (None, large, 8),
        (2**40, small, MOST_RANKS),
        (None, call_cost(1e6), 1),
        (None, call_cost(1e12), 8),
    ):
        with reserved_cores(n_threads, cost, 1000) as size:
            assert size == expected
    block = cores.ROWS_OF_A_RANK if backend == "native" else core.BLAS_ROWS
    with reserved_cores(None, large, 2 * block) as size:  # a rank for each of two blocks of rows
        assert size == 2
    if backend == "native":
        with reserved_cores(None, large, 2 * block - 1) as size:  # a rank has no fewer rows
            assert size == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert available_cores() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert available_cores() == 8


@pytest.mark.parametrize(
    "work, params, expected",
    [
        (0.8e6, 23_860, 1),  # 784-30-10, batch 10: 25 us with one thread, 32 us with two
        (3.2e6, 79_510, 1),  # 784-100-10, batch 16: 91, 111
        (5.8e6, 79_510, 2),  # batch 32: 130, 116
        (8.9e6, 274_000, 1),  # 300-300-300-10, batch 16: 229, 250
        (31e6, 274_000, 2),  # batch 64: 521, 428
        (41e6, 5_000_000, 2),  # more parameters than any cache holds
    ],
)
def test_a_second_thread_is_taken_where_it_was_measured_to_pay(work, params, expected, monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with reserved_cores(None, step_cost(work, params), 1000) as size:
        assert size == expected


@pytest.mark.parametrize(
    "work, params, available, expected",
    [
        (32e6, 79_510, 64, 4),  # 784-100-10, batch 200: the cost is 13.0; the least, of 6, is 12.2
        (32e6, 79_510, 3, 3),
        (2.45e9, 1_900_000, 8, 8),  # 784-1024-1024-10, batch 512
        (2.45e9, 1_900_000, 64, 34),
        (5.8e6, 79_510, 64, 2),  # as on two cores
        (0.8e6, 23_860, 64, 1),
    ],
)
def test_many_cores_are_taken_only_as_far_as_they_pay(
    work, params, available, expected, monkeypatch
):
    monkeypatch.setattr(joblib, "cpu_count", lambda: available)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with reserved_cores(None, step_cost(work, params), 10_000) as size:
        assert size == expected


def test_fits_side_by_side_share_the_cores(monkeypatch):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cost = step_cost(1e12, 1000)
    with reserved_cores(3, cost, 1000) as first:
        with reserved_cores(None, cost, 999) as second, reserved_cores(None, cost, 999) as third:
            assert (first, second, third) == (3, 1, 1)
    with reserved_cores(None, cost, 1000) as size:
        assert size == 4
    assert not cores._cores_taken


ROW = re.compile(r"\| ([\d(] ?[^|]+-\d+), (\d+) \|([ \d.|]+)\| (\d+) \|")


@pytest.mark.skipif(backend != "native", reason="with BLAS a batch has fewer blocks to share")
def test_the_guide_shows_the_model(monkeypatch):
    """The gains of its table, and the threads that are taken of 64."""
    monkeypatch.setattr(joblib, "cpu_count", lambda: 64)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    guide = Path(__file__).parents[2] / "docs" / "guide" / "speed.md"
    rows = ROW.findall(guide.read_text(encoding="utf-8"))
    assert len(rows) == 4
    for network, batch, gains, taken in rows:
        repeated = re.sub(r"\((\d) x (\d+)\)", lambda m: "-".join(int(m[1]) * [m[2]]), network)
        units = [int(n) for n in repeated.split("-")]
        first, *others = (a * b for a, b in pairwise(units))
        params = first + sum(others) + sum(units[1:])
        row_work = 2 * first + 3 * sum(others) + 10 * sum(units[1:])
        cost = step_cost(int(batch) * row_work + 8 * params, params)
        shown = [float(gain) for gain in gains.split("|")]
        assert shown == [round(cost(1) / cost(2**i), 1) for i in range(1, 7)], network
        with reserved_cores(None, cost, 512) as size:
            assert size == int(taken), network
