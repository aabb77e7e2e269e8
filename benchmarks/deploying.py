"""One model through all ways to ship it: size, start, memory, one row, many rows, exactness.

    make bench-deploying                               # ARGS="--rounds 15"

The model is a network 784-100-10 in float32. Each way runs in processes of its own, on one core,
and they take turns. All times are CPU time, user and system; all numbers are the least of the
rounds, since what others do on the machine only adds. A start is a process from its beginning to
its first prediction; memory is the most that it had.

Exactness is the largest distance of a probability from `predict_proba`, in units in the last place
of the row's largest probability: of 10 000 rows.

C needs a compiler (cc), WebAssembly the package ziglang and Node.js, ONNX the packages onnx and
onnxruntime. Ways that lack something are left out, and named.
"""

import argparse
import importlib
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastbp
from fastbp import MLPClassifier
from fastbp.export import to_c

FEATURES, CLASSES, ROWS = 784, 10, 10_000
BASE = "estimator, pickle"

# ---- programs. Each gets the folder of the models and a number of turns. With 0 turns it predicts
# a row and prints the kilobytes that it had at most. Else it writes its predictions of all rows to
# the file "out", and prints the least microseconds of one row, and of all rows.

PYTHON = """
import sys
folder, turns = sys.argv[1], int(sys.argv[2])
{load}
if not turns:
    {first}
    print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
else:
    import gc, time
    import numpy as np
    X = np.fromfile(folder + "/rows", np.float32).reshape(-1, {features})
    row = X[:1].copy()
    def least(n, x):
        times = []
        for _ in range(turns):
            start = time.process_time()
            for _ in range(n):
                predict(x)
            times.append((time.process_time() - start) / n)
        return 1e6 * min(times)
    np.asarray(predict(X)).tofile(folder + "/out")
    gc.disable()
    print(least(3000, row), least(1, X))
"""
ZEROS = f"import numpy as np; predict(np.zeros((1, {FEATURES}), np.float32))"
LOADS = {
    "Python alone": ("", "pass"),
    "NumPy alone": ("import numpy as np", "pass"),
    BASE: (
        "import pickle\npredict = pickle.load(open(folder + '/model.pickle', 'rb')).predict_proba",
        ZEROS,
    ),
    "estimator, fastbp.load": (
        "import fastbp\npredict = fastbp.load(folder + '/model.safetensors').predict_proba",
        ZEROS,
    ),
    "fastbp.runtime": (
        "from fastbp import runtime\n"
        "predict = runtime.load(folder + '/model.safetensors').predict_proba",
        ZEROS,
    ),
    "ONNX Runtime": (
        "import onnxruntime\n"
        "options = onnxruntime.SessionOptions()\n"
        "options.intra_op_num_threads = 1\n"
        "session = onnxruntime.InferenceSession(folder + '/model.onnx', options)\n"
        "name = session.get_inputs()[0].name\n"
        "predict = lambda X: session.run(['probabilities'], {name: X})[0]",
        ZEROS,
    ),
}
C = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static float zeros[model_n_features], out[model_n_outputs];

static double seconds(const float *x, int rows, int turns, int step) {{
    double least = 1e9;
    int turn, k;
    for (turn = 0; turn < turns; turn++) {{
        const clock_t start = clock();
        double took;
        for (k = 0; k < rows; k++) model_predict(x + (size_t)k * step * model_n_features, out);
        took = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (took < least) least = took;
    }}
    return least;
}}

int main(int count, char **values) {{
    char path[4096], line[256];
    const int turns = count == 3 ? atoi(values[2]) : 0;
    if (!turns) {{
        FILE *file = fopen("/proc/self/status", "r");
        int kilobytes;
        model_predict(zeros, out);
        while (file && fgets(line, sizeof line, file))
            if (sscanf(line, "VmHWM: %d", &kilobytes) == 1) printf("%d\\n", kilobytes);
    }} else {{
        float *rows = malloc(sizeof(float) * {rows} * model_n_features);
        FILE *file;
        int k;
        snprintf(path, sizeof path, "%s/rows", values[1]);
        file = fopen(path, "rb");
        if (!rows || !file || fread(rows, sizeof(float) * model_n_features, {rows}, file) != {rows})
            return 1;
        fclose(file);
        snprintf(path, sizeof path, "%s/out", values[1]);
        file = fopen(path, "wb");
        for (k = 0; k < {rows}; k++) {{
            model_predict(rows + (size_t)k * model_n_features, out);
            fwrite(out, sizeof out, 1, file);
        }}
        fclose(file);
        printf("%f %f\\n", seconds(rows, {rows}, turns, 0) * 1e6 / {rows},
               seconds(rows, {rows}, turns, 1) * 1e6);
    }}
    return 0;
}}
"""
GLUE = """
static float x[model_n_features], out[model_n_outputs];
__attribute__((export_name("inputs"))) float *inputs(void) { return x; }
__attribute__((export_name("outputs"))) float *outputs(void) { return out; }
__attribute__((export_name("predict"))) void predict(void) { model_predict(x, out); }
"""
NODE = """
const fs = require("fs");
const folder = process.argv[2], turns = Number(process.argv[3]);
const code = new WebAssembly.Module(fs.readFileSync(folder + "/model.wasm"));
const { memory, inputs, outputs, predict } = new WebAssembly.Instance(code).exports;
const x = new Float32Array(memory.buffer, inputs(), FEATURES);
const out = new Float32Array(memory.buffer, outputs(), CLASSES);
if (turns === 0) {
  predict();
  console.log(/VmHWM:\\s+(\\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);
} else {
  const bytes = fs.readFileSync(folder + "/rows");
  const X = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const rows = X.length / FEATURES;
  const all = new Float32Array(rows * CLASSES);
  const row = (k) => {
    x.set(X.subarray(k * FEATURES, (k + 1) * FEATURES));
    predict();
    all.set(out, k * CLASSES);
  };
  const least = (step) => {
    let found = Infinity;
    for (let turn = 0; turn < turns; turn++) {
      const start = process.cpuUsage();
      for (let k = 0; k < rows; k++) row(k * step);
      const took = process.cpuUsage(start);
      found = Math.min(found, took.user + took.system);
    }
    return found;
  };
  const one = least(0) / rows;
  console.log(one, least(1));
  fs.writeFileSync(folder + "/out", all);
}
""".replace("FEATURES", str(FEATURES)).replace("CLASSES", str(CLASSES))


class Way(NamedTuple):
    """A way to ship the model: the program, and the file that has the model."""

    program: list[str]
    file: str | None


class Figures(NamedTuple):
    """CPU milliseconds and megabytes of a start, microseconds of one row and all rows, errors."""

    cpu: float
    memory: float
    row: float = np.inf
    rows: float = np.inf
    error: float = np.inf
    ulps: float = np.inf


def fitted() -> MLPClassifier:
    """A network that was trained a little: sizes and times do not depend on its weights."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(1000, FEATURES).astype(np.float32), rng.randint(CLASSES, size=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence
        return MLPClassifier((100,), max_iter=2, random_state=0).fit(X, y)


def write_python(model: MLPClassifier, folder: Path) -> dict[str, Way]:
    """A pickle, a model file without what only training needs, and programs that load them."""
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    model.save(folder / "model.safetensors", training=False)
    files = {BASE: "model.pickle"} | dict.fromkeys(
        ["estimator, fastbp.load", "fastbp.runtime"], "model.safetensors"
    )
    return {
        name: Way([sys.executable, "-P", "-c", python_program(name)], files.get(name))
        for name in LOADS
        if name != "ONNX Runtime"
    }


def python_program(name: str) -> str:
    load, first = LOADS[name]
    return PYTHON.format(load=load, first=first, features=FEATURES)


def write_onnx(model: MLPClassifier, folder: Path) -> dict[str, Way]:
    for package in ("onnx", "onnxruntime"):
        if not importlib.util.find_spec(package):
            raise LookupError(f"the package {package}")
    from fastbp.onnx import to_onnx

    (folder / "model.onnx").write_bytes(to_onnx(model).SerializeToString())
    program = [sys.executable, "-P", "-c", python_program("ONNX Runtime")]
    return {"ONNX Runtime": Way(program, "model.onnx")}


def write_c(model: MLPClassifier, folder: Path) -> dict[str, Way]:
    """Programs for this processor, with the weights as floats and as integers of 8 bits."""
    compiler = shutil.which("cc")
    if not compiler:
        raise LookupError("a C compiler")
    ways = {}
    for name, weights in (("C", None), ('C, weights="int8"', "int8")):
        target = f"model-{weights or 'float32'}"
        source, tables = folder / f"{target}.c", folder / f"{target}.o"
        text = to_c(model, weights=weights)
        source.write_text(text)
        options = ["-O3", "-march=native"]
        subprocess.run([compiler, *options, "-c", str(source), "-o", str(tables)], check=True)
        source.write_text(text + C.format(rows=ROWS))
        subprocess.run([compiler, *options, str(source), "-o", str(folder / target)], check=True)
        ways[name] = Way([str(folder / target)], f"{target}.o")
    return ways


def write_webassembly(model: MLPClassifier, folder: Path) -> dict[str, Way]:
    node = shutil.which("node")
    if not node:
        raise LookupError("Node.js")
    if not importlib.util.find_spec("ziglang"):
        raise LookupError("the package ziglang")
    sys.path.append(str(Path(__file__).parents[1] / "docs" / "extensions"))
    page = importlib.import_module("browser_page")  # whose figure is made in the same way
    (folder / "model.wasm").write_bytes(page.compiled(to_c(model) + GLUE))
    (folder / "model.js").write_text(NODE)
    return {"WebAssembly, Node.js": Way([node, str(folder / "model.js")], "model.wasm")}


WRITERS: tuple[Callable[[MLPClassifier, Path], dict[str, Way]], ...] = (
    write_python,
    write_onnx,
    write_c,
    write_webassembly,
)


def prepare(folder: Path) -> tuple[MLPClassifier, dict[str, Way]]:
    """The model, its files in `folder`, and all ways that can run here."""
    model, ways = fitted(), {}
    np.random.RandomState(1).rand(ROWS, FEATURES).astype(np.float32).tofile(folder / "rows")
    for write in WRITERS:
        try:
            ways |= write(model, folder)
        except LookupError as missing:
            print(f"left out: {write.__name__.removeprefix('write_')}, without {missing.args[0]}")
    return model, ways


def start(way: Way, folder: Path) -> Figures:
    """Start a process, up to its first prediction."""
    process = subprocess.Popen([*way.program, str(folder), "0"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        memory = out.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{way.program[0]} ended with {process.returncode}")
    return Figures(1e3 * (usage.ru_utime + usage.ru_stime), int(memory) / 1024)


def times(way: Way, folder: Path, turns: int) -> tuple[float, float]:
    """Microseconds of one row and of all rows; predictions are in the file "out" then."""
    command = [*way.program, str(folder), str(turns)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    row, rows = map(float, done.stdout.split())
    return row, rows


def distances(expected: np.ndarray, folder: Path) -> tuple[float, float]:
    """The largest of the file "out": absolute, and in ulps of the row's largest probability."""
    out = np.fromfile(folder / "out", np.float32).reshape(expected.shape)
    errors = np.abs(out - expected)
    one = np.spacing(expected.max(axis=1, keepdims=True))
    return float(errors.max()), float((errors / one).max())


def race(
    rounds: int, model: MLPClassifier, ways: dict[str, Way], folder: Path
) -> dict[str, Figures]:
    """The least figures of each way. In a first round, which is left out, bytecode is written."""
    starts: dict[str, list[Figures]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            starts[name].append(start(way, folder))
    found = {name: Figures(*map(min, zip(*all_[1:], strict=True))) for name, all_ in starts.items()}
    expected = model.predict_proba(np.fromfile(folder / "rows", np.float32).reshape(ROWS, FEATURES))
    for _ in range(3):
        for name, way in ways.items():
            if way.file:
                row, rows = times(way, folder, 15)
                old = found[name]
                found[name] = Figures(
                    old.cpu,
                    old.memory,
                    min(row, old.row),
                    min(rows, old.rows),
                    *distances(expected, folder),
                )
    return found


def table(found: dict[str, Figures], ways: dict[str, Way], folder: Path) -> Iterator[str]:
    """The lines of a table in Markdown. CPU of starts is a ratio, to that of BASE."""
    yield "| | size | start, CPU | memory | one row | 10 000 rows | beside `predict_proba` |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for name, one in found.items():
        size = row = rows = exact = ""
        if file := ways[name].file:
            size = f"{(folder / file).stat().st_size / 1000:.0f} kB"
            row, rows = f"{one.row:.1f} µs", f"{one.rows / 1000:.0f} ms"
            exact = f"{one.ulps:.0f} ulp" if one.ulps < 1000 else f"to {one.error:.4f}"
            exact = exact if one.error else "the same bits"
        ratio = one.cpu / found[BASE].cpu
        began = f"{f'{ratio:.3f}' if ratio > 0.001 else '< 0.001'} | {one.memory:.0f} MB"
        yield f"| {name} | {size} | {began} | {row} | {rows} | {exact} |"
    yield ""
    yield f"A start by {BASE!r} took {found[BASE].cpu:.0f} ms. fastbp {fastbp.__version__}."


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (default 7)")
    rounds = parser.parse_args().rounds
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, ways = prepare(folder)
        print("\n".join(table(race(rounds, model, ways, folder), ways, folder)))


if __name__ == "__main__":
    main()
