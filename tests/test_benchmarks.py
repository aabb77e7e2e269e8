"""The benchmark counts right, its workers work, and README.md shows what it stored."""

import gzip
import json
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

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


def test_worker(benchmarks):
    """A turn of epochs in a process of their own; the races below have turns of whole fits."""
    turns, peers = benchmarks("turns"), benchmarks("peers")
    contestant = turns.Contestant(
        "fastbp",
        "W3",
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


def test_slow_peers_take_fewer_turns_and_those_beside_each_other_the_same(benchmarks):
    turns = benchmarks("turns")

    class Stub(turns.Contestant):
        def __init__(self, seconds):
            super().__init__("", "", "", {})
            self.seconds, self.made = seconds, 0

        def turn(self, count=True):
            self.made += 1
            self.took.append(self.seconds)

    for seconds, made in (
        ([0.5, 1.9, 2.1], [7, 7, 3]),
        ([1.9, 2.1], [7, 7]),
        ([4.0, 5.0, 13.0], [7, 7, 3]),
    ):
        contestants = [Stub(s) for s in seconds]
        turns.race(contestants, 7)
        assert [c.made for c in contestants] == made


def test_one_thread_has_one_core_and_the_second_clock(benchmarks):
    turns, peers = benchmarks("turns"), benchmarks("peers")
    assert peers.ways_of("PyTorch", 1) == [{"cores": 1}]
    assert peers.ways_of("PyTorch", "all") == [{"cores": "all"}, {"cores": 1}]
    contestant = turns.Contestant("PyTorch", "W1", "float32", {"cores": 1})
    assert contestant.environment["OMP_NUM_THREADS"] == "1"
    contestant.turns, contestant.cpu_turns = [[3.0, 5.0]], [[1.0, 2.0]]
    assert contestant.result()["us"] == 4e6
    assert contestant.result(turns.CPU)["us"] == 1.5e6


def test_ways_that_arrive_elsewhere_are_passed_over(benchmarks, monkeypatch):
    turns = benchmarks("turns")

    class Way(turns.Contestant):
        def start(self):
            return self

        def turn(self, count=True):
            self.turns.append([self.way["seconds"]])
            self.last = {"result": self.way["loss"]}

        def stop(self):
            pass

    monkeypatch.setattr(turns, "Contestant", Way)
    ways = [{"seconds": s, "loss": loss} for s, loss in ((1.0, 0.6), (3.0, 0.5), (2.0, 0.504))]
    best, trial = turns.best_way("a", ways, "W1", "float32", expected=0.5)
    assert best.way == ways[2]
    assert [str(said).endswith("elsewhere: 0.6") for said in trial.values()] == [True, False, False]
    assert turns.best_way("a", ways, "W1", "float32", expected=9.0)[0].way == ways[0]


def test_worker_that_fails_says_why(benchmarks):
    contestant = benchmarks("turns").Contestant("fastbp", "iris", "float32", {"module": "nowhere"})
    try:
        contestant.start().turn()
    finally:
        contestant.stop()
    assert "nowhere" in contestant.result()["error"]


# ---- two revisions


@pytest.fixture
def against(benchmarks, monkeypatch):
    """benchmarks/against.py with the least work, and the fastbp under test as both revisions."""
    turns = benchmarks("turns")
    monkeypatch.setattr(turns, "SETTLE", 0)
    monkeypatch.setattr(turns, "TURN", 0)
    of_revision = turns.environment
    path = Path(fastbp.__file__).parents[1]
    monkeypatch.setattr(turns, "environment", lambda _, one_thread: of_revision(path, one_thread))
    return benchmarks("against")


@pytest.mark.parametrize(("name", "dtype", "rounds"), [("iris", "float32", 1), ("import", "", 1)])
def test_race_of_two_revisions(against, monkeypatch, name, dtype, rounds):
    program = sys.modules["turns"].Program  # one that is shorter than the import of estimators
    monkeypatch.setattr(against, "Program", lambda _, *rest: program("import json", *rest))
    free, single = against.run_pairs(name, dtype, ROOT, rounds)
    assert not [c.error for pair in (free, single) for c in pair if c.error]
    for pair, clock in ((free, "turns"), (single, "cpu_turns")):
        ratios = pair.ratios(clock)
        assert len(ratios) == rounds and min(ratios) > 0
        if name != "import":
            result = pair.ours.result()
            assert result["us"] > 0 and result["result"] > 0
    row = against.line(name, dtype, free, single)
    assert row.startswith(f"{name:<6}{dtype:<9}")
    assert " to " in row


def test_race_names_the_revision_that_fails(against):
    turns = sys.modules["turns"]
    program = turns.Program("raise ValueError('wrong')")
    program.turn()
    well = turns.Program("pass")
    well.turn()
    pair = against.Pair(program, well)
    row = against.line("import", "", pair, pair)
    assert "other: ValueError: wrong; this: no error" in row
    assert against.counted(pair) == ""


def test_ratios_are_paired_turn_by_turn(against):
    other, ours = (sys.modules["turns"].Program("") for _ in range(2))
    other.turns = other.cpu_turns = [[2.0, 2.0, 9.0], [4.0], [8.0], [1.0], [6.0]]
    ours.turns = ours.cpu_turns = [[1.0], [1.0], [1.0], [1.0], [1.0, 2.0, 3.0]]
    pair = against.Pair(other, ours)
    assert pair.ratios("turns") == [2.0, 4.0, 8.0, 1.0, 3.0]
    assert against.quartiles(pair.ratios("cpu_turns")) == (2.0, 4.0)
    assert against.quartiles([1.5]) == (1.5, 1.5)
    assert " 3.000  2.000 to 4.000" in against.line("W1", "float32", pair, pair)


def test_instructions_are_the_difference_of_two_amounts(against, monkeypatch):
    """Of the same job; what both amounts need cancels out."""
    jobs = []

    def count(command, environment):
        assert environment["OMP_NUM_THREADS"] == "1"
        jobs.append(json.loads(command[-1]))
        return 1000 + 7 * jobs[-1]["amount"] * (3 if len(jobs) <= 2 else 1)

    monkeypatch.setattr(against.instructions, "count", count)
    pair = against.enter("W3", "float32", ROOT, one_thread=True)
    assert against.instructions_ratio(pair) == 3
    assert jobs[0] == jobs[2] and jobs[1] == jobs[3] and jobs[0]["amount"] < jobs[1]["amount"]
    assert against.counted(pair).strip() == "1.0000"


def test_workers_do_a_fixed_amount(against):
    """Of epochs, of whole fits and of single rows; the three run side by side."""
    running = {}
    for name in ("W3", "iris", "row"):
        pair = against.enter(name, "float32", ROOT, one_thread=True)
        command, environment = pair.ours.fixed_work(False)
        running[name] = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    for name, process in running.items():
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, f"{name}: {said}"


def test_counters_are_read(benchmarks):
    instructions = benchmarks("instructions")
    assert instructions.parse_perf("# started\n\n123456,,instructions:u,99,100.00,,\n") == 123456
    two_kinds = "10,,cpu_core/instructions:u/,9,60.00,,\n5,,cpu_atom/instructions:u/,9,40.00,,\n"
    assert instructions.parse_perf(two_kinds) == 15
    assert instructions.parse_perf("<not supported>,,instructions:u,0,100.00,,\n") is None
    assert instructions.parse_callgrind("==1== Events    : Ir\n==1== Collected : 1234\n") == 1234
    assert instructions.parse_callgrind("valgrind: no such tool") is None


def test_instructions_are_counted_or_the_reason_is_given(benchmarks):
    instructions = benchmarks("instructions")

    def loop(repeats):
        """A program that starts sooner than Python, which matters under valgrind."""
        return ["sh", "-c", f"i=0; while [ $i -lt {repeats} ]; do i=$((i+1)); done"]

    try:
        less, more = (instructions.count(loop(repeats)) for repeats in (1, 2_000))
    except instructions.NotCountedError as error:
        assert "perf" in str(error)
        assert "valgrind" in str(error)
    else:
        assert more - less > 100_000


def test_strangers_are_marked(benchmarks):
    found = {
        "a": {"result": 0.5},
        "b": {"result": 0.504},
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
        "fastbp, 1 thread": {"us": 160.0, "us_of_turns": [160.0, 80.0], "result": 0.1},
    }
    epoch = {
        "name": "W1",
        "what": "a net",
        "dtype": "float32",
        "threads": "all",
        "clock": "wall",
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
    theirs = {"numba": {"us": 120.0, "us_of_turns": [120.0], "result": 0.1}}
    single = {**epoch, "threads": 1, "clock": "CPU", "peers": {**peers, **theirs}}
    return {
        "date": "2026-01-01",
        "rounds": 7,
        "random_data": [],
        "machine": {"cpu": "a CPU", "cores": 2, "python": "3.11", "versions": {"fastbp": "1"}},
        "peak": {
            "1": {"float32": {"gflops": 250.0, "core_type": ""}},
            "all": {"float32": {"gflops": 400.0, "core_type": ""}},
        },
        "memory": {"scikit-learn": 200.0, "fastbp": 10.0},
        "import": {"scikit-learn": 12.5, "fastbp": 5.0},
        "results": [epoch, {**epoch, "dtype": "float64"}, fit, single],
        **more,
    }


def test_readme_tables(benchmarks):
    text = benchmarks("report").section(stored())
    one, every = text.split("| 2 cores, wall time, float32 |")
    assert one.startswith("| one thread, CPU time, float32 |")
    assert "one step | 400 µs | - | 200 µs | 120 µs (numba) | 100 µs | 1.2 | 40 % |" in one
    elsewhere = "200 µs (JAX; another loss)"
    assert f"net, one step | 400 µs | - | 200 µs | {elsewhere} | 100 µs | 2.0 | 25 % |" in every
    assert f"| iris: a fit | 400 µs | - | 200 µs | {elsewhere} | 100 µs | 2.0 | - |" in every
    text = " ".join(text.split())
    assert "SciPy's BLAS: scikit-learn 12.5 ms, fastbp 5 ms." in text
    assert "In float64, × best: W1 2.00." in text
    assert "float32: W1 1.60, iris 1.60." in text
    assert "400 GFLOP/s and 250 GFLOP/s with one thread" in text
    assert text.count("In float64") == 1  # there are no such figures of one thread
    assert (
        "7 rounds; 2026-01-01, commit abc (iris with all cores at def). Took no part: PyTorch."
        in text
    )


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


def test_ensembles_take_turns(benchmarks, monkeypatch):
    ensemble = benchmarks("ensemble")
    monkeypatch.setitem(ensemble.CASES, "short", (ensemble.load_iris, (3,), 2))
    monkeypatch.setattr(ensemble, "MEMBERS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ensemble.race("short", 3)
    assert set(found) == {"bare fits", "1 thread", "2 threads"}
    assert all(len(times) == 3 and min(min(times)) > 0 for times in found.values())


def test_ways_to_ship_a_model_are_measured(benchmarks, tmp_path, monkeypatch):
    """The figures are of this model: the runtime predicts its bits, C nearly."""
    deploying = benchmarks("deploying")
    monkeypatch.setattr(deploying, "WRITERS", (deploying.write_python, deploying.write_c))
    model, ways = deploying.prepare(tmp_path)
    starts = {
        name: deploying.start(ways[name], tmp_path)
        for name in ("NumPy alone", "estimator, pickle", "fastbp.runtime")
    }
    memory = [one.memory for one in starts.values()]
    assert memory[0] < memory[2] < memory[1]
    rows = np.fromfile(tmp_path / "rows", np.float32).reshape(-1, deploying.FEATURES)
    expected = model.predict_proba(rows)
    for name in set(ways) & {"fastbp.runtime", "C", 'C, weights="int8"'}:
        row, all_rows = deploying.times(ways[name], tmp_path, 1)
        assert 0 < row < all_rows
        error, ulps = deploying.distances(expected, tmp_path)
        assert error == 0 if name == "fastbp.runtime" else 0 < error < 0.02
        assert ulps <= 16 or "int8" in name
    figures = {name: one._replace(row=2, rows=3000, error=0) for name, one in starts.items()}
    lines = list(deploying.table(figures, ways, tmp_path))
    assert lines[2].startswith("| NumPy alone |  |")
    assert lines[4].startswith("| fastbp.runtime | 3")
    assert lines[4].endswith("| 2.0 µs | 3 ms | the same bits |")


# ---- the cost model of several machines


@pytest.fixture
def model(benchmarks):
    return benchmarks("large_data")


def cases(model):
    """Nets, ways to train, rows or batches, and links."""
    return [
        (net, way, rows, gigabits)
        for net in model.NETS
        for way in model.WAYS
        for rows in way.rows
        for gigabits in model.GIGABITS
    ]


def test_model_has_one_machine_as_its_unit(model):
    for net, way, rows, gigabits in cases(model):
        assert model.speed_up(1, net, way, rows, gigabits) == 1


def test_model_never_gains_more_than_the_machines(model):
    """Nor more than the time of an engine without data and arithmetic allows."""
    for net, way, rows, gigabits in cases(model):
        alone = model.arithmetic(net, rows / way.rounds)
        for machines in model.MACHINES[1:]:
            gain = model.speed_up(machines, net, way, rows, gigabits)
            assert 0 < gain < machines
            assert gain < alone / (model.ROUND + machines * model.TASK)


def test_model_gains_more_from_more_rows_and_from_a_faster_link(model):
    for net, way, rows, gigabits in cases(model):
        for machines in model.MACHINES[1:]:
            gain = model.speed_up(machines, net, way, rows, gigabits)
            assert model.speed_up(machines, net, way, 2 * rows, gigabits) > gain
            assert model.speed_up(machines, net, way, rows, 2 * gigabits) > gain
            assert model.speed_up(machines, net, way, 1e15, gigabits) > 0.99 * machines


def test_model_adds_up(model):
    """Two machines, by hand: two hops of parameters, two of sums, two tasks."""
    net, way = model.NETS[1], model.WAYS[1]
    assert way.vectors == 1 and way.rounds == 1
    hop = 4 * 79_510 * (8e-9 + 2 * 0.4e-9)
    seconds = 0.014 + 2 * 0.001 + 4 * hop + 319_600 * 1e6 / 2 / (0.8 * 16 * 90e9)
    assert model.seconds(2, net, way, 1e6, 1) == pytest.approx(seconds)
    assert model.added_flat(64) == (64, 64)  # hops and tasks
    assert model.added_by_fours(64) == (13, 85)


def test_model_finds_the_best_number_of_machines(model):
    net, way = model.NETS[1], model.WAYS[1]
    most, machines = model.best(net, way, 1e7, 1)
    others = [model.speed_up(m, net, way, 1e7, 1) for m in model.MACHINES]
    assert most == max(others) == others[model.MACHINES.index(machines)]
    small = model.half_efficient(net, way, 1e7, 1)
    assert model.speed_up(small, net, way, 1e7, 1) >= small / 2
    assert model.speed_up(2 * small, net, way, 1e7, 1) < small


def test_page_shows_the_model(model, tmp_path):
    page = ROOT / "docs" / "guide" / "large_data.md"
    if not page.exists():
        pytest.skip("no pages beside the tests")
    assert page.read_text(encoding="utf-8").split(model.MARK)[1].strip("\n") == model.table()
    model.draw(tmp_path / "picture.svg")
    assert "</svg>" in (tmp_path / "picture.svg").read_text(encoding="utf-8")


# ---- tables of data


@pytest.fixture
def tables(benchmarks, tmp_path):
    """Imports a file of benchmarks/; FASTBP_DATA has a set of classes, one of numbers, housing."""
    pytest.importorskip("pandas")
    rng = np.random.RandomState(0)
    folder = tmp_path / "tabular"
    folder.mkdir()
    about = {"german": "bin", "concrete": "reg"}
    for name, task in about.items():
        lines = ["size,color,__target__"]
        for i in range(200):
            size = "" if i % 9 == 0 else f"{rng.rand():.3f}"
            color = ("NA", "red", "")[rng.randint(3)]
            target = int(i % 4 == 0) if task == "bin" else f"{rng.rand():.3f}"
            lines.append(f"{size},{color},{target}")
        with gzip.open(folder / f"{name}.csv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    sets = {
        name: {"task": task, "rows": 200, "categorical": ["color"]} for name, task in about.items()
    }
    (folder / "sets.json").write_text(json.dumps(sets))
    houses = [f"{i},{('INLAND', 'ISLAND')[i % 2]},{1000 + i}" for i in range(30)]
    header = "households,ocean_proximity,median_house_value"
    (tmp_path / "housing.csv").write_text("\n".join([header, *houses]) + "\n")
    return benchmarks


def tabular_result(method, name, seed, error, cpu=1.0, **more):
    """A run as benchmarks/tabular.py stores it."""
    return {
        "method": method,
        "set": name,
        "split": seed,
        "error": error,
        "cpu_fit": cpu,
        "cpu_predict": 0.1,
        "wall": 2 * cpu,
        "versions": {"numpy": "2.0"},
        "cpu": "a CPU",
        **more,
    }


def test_only_empty_cells_of_a_table_are_missing(tables, monkeypatch):
    methods = tables("tabular_methods")
    X, y, classes = methods.load("german")
    assert classes and set(y) == {0, 1} and len(X) == 200
    assert X.dtypes["color"] == "category" and X.dtypes["size"].kind == "f"
    assert set(X["color"].cat.categories) == {"NA", "red"} and X["color"].isna().any()
    assert X["size"].isna().sum() == 23
    assert not methods.load("concrete")[2]
    monkeypatch.setitem(methods.HOUSING, "rows", 20)
    X, y, classes = methods.load("housing")
    assert X.shape == (20, 2) and not classes
    assert np.array_equal(y, np.log(1000.0 + X["households"]))
    assert methods.load("housing")[0].equals(X)


def test_splits_of_tables_are_stratified_and_fixed(tables):
    split = tables("tabular_methods").split
    y = np.arange(200) % 4 == 0
    train, test = split(y, 1, True)
    assert sorted([*train, *test]) == list(range(200)) and len(test) == 50
    assert y[train].mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(split(y, 1, True)[1], test)
    assert not np.array_equal(split(y, 2, True)[1], test)


def test_errors_on_tables(tables):
    errors = tables("tabular_worker").errors
    y = np.array([0, 0, 0, 1, 0, 1])
    rows = [np.arange(4), np.array([4, 5])]
    found = errors(y, rows, np.array([[0.5, 0.25], [0.75, 0.25]], np.float32))
    assert found["error"] == 0.5
    assert found["log_loss"] == pytest.approx(-np.log([2 / 3, 1 / 4]).mean())
    assert found["log_loss_of_prior"] == pytest.approx(-np.log([3 / 4, 1 / 4]).mean())
    found = errors(np.array([0.0, 2, 1, 3]), [np.arange(2), np.arange(2, 4)], np.array([1.0, 5]))
    assert found == {"error": pytest.approx(np.sqrt(2) / np.sqrt(1.25))}


@pytest.mark.parametrize("name", ["german", "concrete"])
def test_methods_take_tables_with_gaps_and_categories(tables, name):
    """In this process, of which the warnings are not silenced but for convergence."""
    measure = tables("tabular_worker").measure
    for method in ("hgb", "mlp"):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=ConvergenceWarning)
            result = measure(method, name, 0)
        assert 0 < result["error"] < 2 and result["cpu_fit"] > 0 and result["cpu_predict"] > 0
        assert ("log_loss" in result) == (name == "german")
        assert "scikit-learn" in result["versions"]


def test_a_run_on_a_table_has_a_process_of_its_own(tables, capfd):
    tabular = tables("tabular")
    run = tabular.Run(1, "hgb", "german")
    result = tabular.measure(run)
    assert "failed" not in result, result
    assert (result["split"], result["method"], result["set"]) == run
    assert result["wall"] > result["cpu_fit"] > 0
    assert "KeyError" in tabular.measure(tabular.Run(0, "no such method", "german"))["failed"]
    assert tabular.environment()["OMP_NUM_THREADS"] == "1"


def test_runs_on_tables_are_planned_by_split(tables):
    tabular = tables("tabular")
    runs = tabular.planned(["hgb", "fastbp-logloss"], ["german", "concrete"], [0, 2])
    assert [tuple(run) for run in runs] == [
        (split, *rest)
        for split in (0, 2)
        for rest in (("hgb", "german"), ("hgb", "concrete"), ("fastbp-logloss", "german"))
    ]
    assert [run.set for run in tabular.planned(["tabm"], None, [0])] == [
        "german",
        "concrete",
        "segment",
    ]


def test_stored_runs_on_tables_are_not_repeated(tables, monkeypatch, tmp_path):
    tabular, store = tables("tabular"), tmp_path / "build" / "store.jsonl"
    made = []

    def measure(run):
        made.append(run)
        if run.method == "xgboost":
            return {"failed": "ModuleNotFoundError: No module named 'xgboost'"}
        return tabular_result(run.method, run.set, run.split, 0.25)

    monkeypatch.setattr(tabular, "measure", measure)
    runs = tabular.planned(["xgboost", "hgb"], ["german", "concrete"], [0])
    said = list(tabular.run_all(runs, store))
    assert [run.method for run in made] == ["xgboost", "hgb", "hgb"]
    assert "FAILED: ModuleNotFoundError" in said[0]
    assert "error 0.2500" in said[1] and said[1].endswith("left: 2 s")
    assert set(tabular.read(store)) == set(runs[2:])
    with store.open("a") as file:
        file.write('{"method": "hgb", "set"')  # interrupted
    assert set(tabular.read(store)) == set(runs[2:])
    tabular.append(store, tabular_result("hgb", "german", 0, 0.5))
    tabular.append(store, tabular_result("hgb", "german", 1, 0.5))
    stored = tabular.read(store)
    assert [stored[run]["error"] for run in runs[2:]] == [0.5, 0.25] and len(stored) == 3


def test_time_left_for_tables_is_that_of_the_same_method(tables):
    tabular = tables("tabular")
    stored = {
        tabular.Run(0, "hgb", "german"): tabular_result("hgb", "german", 0, 0.1, cpu=2.0),
        tabular.Run(1, "hgb", "german"): tabular_result("hgb", "german", 1, 0.1, cpu=4.0),
    }
    again, other = tabular.Run(2, "hgb", "german"), tabular.Run(0, "hgb", "concrete")
    assert tabular.seconds_left([again, other], stored) == (6.0 + 6.0, True)
    assert tabular.seconds_left([again, tabular.Run(0, "mlp", "german")], stored) == (6.0, False)


def tabular_results():
    """Of two methods: the shifted ratios are 2 and 1 on german, 1/4 on concrete."""
    rows = [("german", 0, 0.39, 0.19), ("german", 1, 0.19, 0.19), ("concrete", 0, 0.09, 0.39)]
    losses = {"log_loss": 0.7, "log_loss_of_prior": 0.6}
    return [
        result
        for name, seed, ours, theirs in rows
        for result in (
            tabular_result("fastbp", name, seed, ours, 2.0, **losses if name == "german" else {}),
            tabular_result("hgb", name, seed, theirs, 1.0, **losses if name == "german" else {}),
        )
    ] + [tabular_result("hgb", "concrete", 1, 0.5)]


def test_methods_are_compared_on_the_tables_that_both_ran(tables):
    report = tables("tabular_report")
    found = report.paired(tabular_results(), "fastbp", "hgb")
    assert found.sets == 2 and found.better == 1 and found.cpu == 2
    assert found.ratio == pytest.approx(2**-0.75)
    assert found.standard_error == pytest.approx(1.25 * np.log(2))
    assert report.paired(tabular_results(), "fastbp", "tabm") is None
    loss = report.paired(tabular_results(), "fastbp", "hgb", "log_loss")
    assert loss.sets == 1 and loss.ratio == 1 and np.isnan(loss.standard_error)


def test_report_on_tables(tables, tmp_path):
    report = tables("tabular_report")
    text = report.text(tabular_results())
    squeezed = " ".join(text.split())
    assert "fastbp against hgb 2 0.595 -40.5 % +- 86.6 1 2 " in squeezed
    assert "german 0.2900 0.1900 concrete 0.0900 0.4450" in squeezed
    assert "fastbp is worse than the prior on german" in text
    assert "numpy 2.0" in text and "a CPU" in text
    assert report.text([]) == "nothing is stored"
    seconds, pair = report.points(tabular_results())["fastbp"]
    assert seconds == pytest.approx(2.0) and pair.sets == 2
    report.draw(tabular_results(), tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_readme_shows_the_stored_runs_on_tables(tables):
    report, tabular = tables("tabular_report"), tables("tabular")
    results = list(tabular.read(tabular.STORED).values())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.split(report.MARK)[1].strip("\n") == report.section(results)
    assert {"fastbp", "hgb", "realmlp"} <= {result["method"] for result in results}
