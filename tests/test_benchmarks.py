"""The benchmark counts right, its workers work, and README.md shows what it stored."""

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import fastbp

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks" / "run.py").exists(), reason="no benchmarks beside the tests"
)


@pytest.fixture
def benchmarks(monkeypatch, tmp_path):
    """Imports a file of benchmarks/, which are on the path for this long, and without data."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setenv("FASTBP_DATA", str(tmp_path))
    before = set(sys.modules)
    yield import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or "/"
        if Path(file).is_relative_to(ROOT / "benchmarks"):
            del sys.modules[name]


# ---- the work


def test_flops(benchmarks):
    """2 B I O for each product: three for every layer, but for the first two."""
    workloads = benchmarks("workloads")
    assert workloads.step_flops((3, 5, 2), 7) == 2 * 7 * (2 * 3 * 5 + 3 * 5 * 2)
    assert workloads.forward_flops((3, 5, 2), 7) == 2 * 7 * (3 * 5 + 5 * 2)
    assert workloads.WORKLOADS["W1"].flops == 6 * 200 * (78400 + 1000) - 2 * 200 * 78400
    assert workloads.WORKLOADS["text"].flops is None


def test_initial_weights_are_scikit_learns(benchmarks):
    """As the first step of a fit with rate 0 leaves them."""
    workloads = benchmarks("workloads")
    for name in ("W2", "W3"):
        workload = workloads.WORKLOADS[name]
        _, columns, outputs = workloads.SHAPES[workload.data]
        X = np.ones((20, columns))
        y = np.arange(20) % outputs
        estimator = getattr(fastbp, workload.estimator)(
            hidden_layer_sizes=workload.hidden,
            activation=workload.activation,
            max_iter=1,
            random_state=0,
            learning_rate_init=1e-300,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
        layers = workloads.initial(workload, np.random.RandomState(0), np.float64)
        for (W, b), coef, intercept in zip(
            layers, estimator.coefs_, estimator.intercepts_, strict=True
        ):
            assert np.array_equal(W, coef)
            assert np.array_equal(b, intercept)


@pytest.mark.parametrize("name", ["W3", "iris"])
def test_worker(benchmarks, name):
    """A turn of epochs and a turn of a whole fit, in a process of their own."""
    turns, peers = benchmarks("turns"), benchmarks("peers")
    contestant = turns.Contestant(
        "fastbp",
        name,
        "float32",
        peers.PEERS["fastbp"].ways[0],
        path=Path(fastbp.__file__).parents[1],
    )
    try:
        contestant.start()
        turns.race([contestant], 1)
    finally:
        contestant.stop()
    result = contestant.result()
    assert "error" not in result, result
    assert result["us"] > 0
    assert result["result"] > 0


def test_worker_that_fails_says_why(benchmarks):
    contestant = benchmarks("turns").Contestant("fastbp", "iris", "float32", {"module": "nowhere"})
    try:
        contestant.start().turn()
    finally:
        contestant.stop()
    assert "nowhere" in contestant.result()["error"]


def test_strangers_are_marked(benchmarks):
    found = {
        "a": {"result": 0.5},
        "b": {"result": 0.505},
        "c": {"result": 0.6},
        "d": {"result": float("nan")},
        "e": {"error": "missing"},
    }
    benchmarks("run").mark_strangers(found)
    assert [name for name in found if "disagrees" in found[name]] == ["c", "d"]


# ---- the report


def stored(**more):
    """Two workloads as run.py stores them."""
    peers = {
        "scikit-learn": {"us": 400.0, "us_of_turns": [400.0], "result": 0.1},
        "PyTorch": {"error": "No module named 'torch'"},
        "JAX": {
            "us": 200.0,
            "us_of_turns": [200.0],
            "result": 0.3,
            "disagrees": True,
            "compile_seconds": 1.25,
        },
        "fastbp": {"us": 100.0, "us_of_turns": [100.0, 50.0, 100.0], "result": 0.1},
        "fastbp, 1 thread": {"us": 160.0, "us_of_turns": [160.0, 80.0, 190.0], "result": 0.1},
    }
    epoch = {
        "name": "W1",
        "what": "a net",
        "dtype": "float32",
        "revision": "abc",
        "timed": "epoch",
        "steps": 300,
        "flops": 10_000_000,
        "peers": peers,
    }
    fit = {
        **epoch,
        "name": "iris",
        "what": "a fit",
        "timed": "fit",
        "flops": None,
        "revision": "def",
    }
    return {
        "date": "2026-01-01",
        "rounds": 7,
        "random_data": [],
        "machine": {"cpu": "a CPU", "cores": 2, "python": "3.11", "versions": {"fastbp": "1"}},
        "peak": {"float32": {"gflops": 400.0, "core_type": ""}},
        "memory": {"scikit-learn": 200.0, "fastbp": 10.0},
        "import": {"scikit-learn": 12.5, "fastbp": 5.0},
        "results": [epoch, {**epoch, "dtype": "float64"}, fit],
        **more,
    }


def test_readme_tables(benchmarks):
    text = benchmarks("report").section(stored())
    assert "| W1: a net | 400 | - | 200 | 100 | 2.0 | 25 % |" in text
    assert "| iris: a fit | 400 µs | 200 µs (JAX) | 100 µs | 2.0 |" in text
    assert "BLAS, ms | 12.5 | - | 5 | - |" in text
    assert "In float64, × best: W1 2.00." in text
    assert "float32: W1 1.60, iris 1.60." in text
    assert "7 rounds; 2026-01-01, commit abc (iris at def)." in " ".join(text.split())


def test_screen_tells_who_failed(benchmarks):
    report, data = benchmarks("report"), stored()
    line = report.line(data["results"][0], data)
    assert "PyTorch took no part: No module named 'torch'" in line
    assert "JAX arrives elsewhere" in line
    assert "25 %" in line
    assert "ms: scikit-learn 12.5, fastbp 5.0" in report.rest(data)


def test_readme_is_the_newest_stored_run(benchmarks):
    """`make bench` writes both; no figure is typed by hand."""
    report = benchmarks("report")
    path = report.newest()
    expected = report.section(json.loads(path.read_text(encoding="utf-8"))) if path else ""
    assert report.in_readme() == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_expressions_and_their_twins_in_numpy_agree(benchmarks, dtype):
    expressions = benchmarks("expressions")
    with np.errstate(all="ignore"):
        expression = expressions.drawn(3)
        assert len(expressions.written(expression).split(" = ")) - 1 == expressions.OPERATIONS
        steps, *_, ratio = expressions.race(expression, dtype, 1)  # asserts that they agree
    assert steps > expressions.OPERATIONS and ratio > 0
