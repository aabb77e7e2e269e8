"""From the start of a process to its first prediction: the estimator and `fastbp.runtime`.

    make bench-cold-start                               # ARGS="--rounds 15"

A network 784-100-10 in float32 is saved in each way. Processes take turns, one for each way and
round. CPU time, user and system, and memory are what the operating system reports for a process.
All numbers are the least of the rounds: what others do on the machine only adds. Then one process
for each way times one row, in turns of short loops.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastbp import MLPClassifier

FEATURES = 784
ROW = f"np.zeros((1, {FEATURES}), np.float32)"
# Of each way the program, which gets the folder of the models.
WAYS = {
    "Python alone": "",
    "NumPy alone": "import numpy as np",
    "estimator, pickle": (
        "import pickle, numpy as np\n"
        "model = pickle.load(open(folder + '/model.pickle', 'rb'))\n"
        f"model.predict_proba({ROW})"
    ),
    "estimator, fastbp.load": (
        "import fastbp, numpy as np\n"
        "model = fastbp.load(folder + '/model.safetensors')\n"
        f"model.predict_proba({ROW})"
    ),
    "fastbp.runtime": (
        "import numpy as np\n"
        "from fastbp import runtime\n"
        "model = runtime.load(folder + '/model.safetensors')\n"
        f"model.predict_proba({ROW})"
    ),
}
BASE = "estimator, pickle"
# Modules, and the most memory: of its own, if Linux tells it; `wait4` counts the parent's fork.
REPORT = """
import sys
print(len(sys.modules))
try:
    lines = open("/proc/self/status").read().splitlines()
    print(*(line.split()[1] for line in lines if line.startswith("VmHWM")))
except OSError:
    print(0)
"""
TIME_A_ROW = f"""
import gc, time
def turn(n, row={ROW}, predict=model.predict_proba):
    start = time.process_time()
    for _ in range(n):
        predict(row)
    return (time.process_time() - start) / n
gc.disable()
print(1e6 * min(turn(2000) for _ in range(40)))
"""


class Start(NamedTuple):
    """One start of a process: CPU milliseconds, megabytes at most, and modules at the end."""

    cpu: float
    memory: float
    modules: int


def save_models(folder: Path) -> None:
    """A fitted network in a pickle and in a model file, both with what training needs."""
    rng = np.random.RandomState(0)
    X, y = rng.rand(1000, FEATURES).astype(np.float32), rng.randint(10, size=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence
        model = MLPClassifier((100,), max_iter=2, random_state=0).fit(X, y)
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    model.save(folder / "model.safetensors")


def command(program: str, folder: Path) -> list[str]:
    return [sys.executable, "-c", f"folder = {str(folder)!r}\n{program}"]


def start(way: str, folder: Path) -> Start:
    """Run the program of a way in a process of its own."""
    process = subprocess.Popen(command(f"{WAYS[way]}\n{REPORT}", folder), stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as out:
        modules, memory = map(int, out.read().split())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the process of {way!r} ended with {process.returncode}")
    return Start(
        1e3 * (usage.ru_utime + usage.ru_stime), (memory or usage.ru_maxrss) / 1024, modules
    )


def race(rounds: int, folder: Path) -> dict[str, Start]:
    """The least numbers of each way. The first round, in which bytecode is written, is left out."""
    found: dict[str, list[Start]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):
        for way, starts in found.items():
            starts.append(start(way, folder))
    return {way: Start(*map(min, zip(*starts[1:], strict=True))) for way, starts in found.items()}


def row_times(folder: Path, rounds: int) -> dict[str, float]:
    """CPU microseconds of one row, the least of all turns."""
    ways = [way for way in WAYS if "model" in WAYS[way]]
    found = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for way in ways:
            done = subprocess.run(
                command(WAYS[way] + TIME_A_ROW, folder), capture_output=True, text=True, check=True
            )
            found[way] = min(found[way], float(done.stdout))
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="starts of each (default 7)")
    rounds = parser.parse_args().rounds
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_models(folder)
        found, rows = race(rounds, folder), row_times(folder, 3)
    print(f"{'':<24}{'CPU ms':>8}{'ratio':>8}{'MB':>6}{'modules':>9}{'one row us':>12}")
    for way, one in found.items():
        ratio, row = one.cpu / found[BASE].cpu, f"{rows[way]:.2f}" if way in rows else ""
        print(f"{way:<24}{one.cpu:8.0f}{ratio:8.3f}{one.memory:6.0f}{one.modules:9}{row:>12}")


if __name__ == "__main__":
    main()
