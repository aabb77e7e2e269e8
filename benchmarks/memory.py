"""What a fit and an import cost beside scikit-learn's: peak memory, seconds, size of the wheel.

    python benchmarks/memory.py [--repeats 7] [--wheel dist/fastbp-...whl]

Memory: one epoch of 784-100-10 on MNIST (60,000 float32 images), each library in a process of its
own. The figure is the peak of resident memory at the end minus the peak just before `fit`, when
the data (188 MB) lie in memory and nothing bigger ever did. Import: median over fresh processes,
taking turns; the interpreter's own start is not counted.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
MODULES = {"scikit-learn": "sklearn.neural_network", "fastbp": "fastbp"}

# The data are prepared by one process and measured in others: a process inherits the peak of the
# one that started it, and loading through uint8 would leave a peak of its own.
PREPARE = """
import sys
import numpy as np
folder, examples = sys.argv[1:]
sys.path.insert(0, examples)
import _data
path = _data.find("mnist.npz")
if path:
    X, y, _, _ = _data.mnist(path)
else:
    print("MNIST is not at hand: random numbers of its shape instead")
    random = np.random.RandomState(0)
    X = (random.rand(60000, 784) * (random.rand(60000, 784) < 0.19)).astype(np.float32)
    y = random.randint(10, size=60000)
np.save(folder + "/X.npy", X)
np.save(folder + "/y.npy", y)
"""

FIT = """
import resource, sys, warnings
import numpy as np
folder, module = sys.argv[1:]
__import__(module)
MLPClassifier = sys.modules[module].MLPClassifier
warnings.simplefilter("ignore")
# A small fit first: code and buffers that every fit needs once are no part of the figure.
MLPClassifier((4,), max_iter=1).fit(np.ones((400, 4), np.float32), np.arange(400) % 10)
X, y = np.load(folder + "/X.npy"), np.load(folder + "/y.npy")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
MLPClassifier((100,), max_iter=1, random_state=0).fit(X, y)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024) / 1e6)
"""

IMPORT = """
import sys
from time import perf_counter
start = perf_counter()
__import__(sys.argv[1])
print(perf_counter() - start)
"""


def run(code, *arguments):
    """The output of `code` in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        check=True, stdout=subprocess.PIPE, text=True,
    ).stdout.strip()  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="fresh processes per import")
    parser.add_argument("--wheel", type=Path, help="a wheel to weigh")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        if said := run(PREPARE, folder, HERE.parent / "examples"):
            print(said)
        memory = {name: median(float(run(FIT, folder, module)) for _ in range(3))
                  for name, module in MODULES.items()}  # fmt: skip
    times = {name: [] for name in MODULES}
    for _ in range(options.repeats):
        for name, module in MODULES.items():
            times[name].append(float(run(IMPORT, module)))

    print(f"{'':<34}{'scikit-learn':>14}{'fastbp':>12}")
    print(f"{'memory of an MNIST fit, data apart':<34}"
          f"{memory['scikit-learn']:>11.1f} MB{memory['fastbp']:>9.1f} MB")  # fmt: skip
    print(f"{'import':<34}{median(times['scikit-learn']):>12.2f} s"
          f"{median(times['fastbp']):>10.2f} s")  # fmt: skip
    if options.wheel:
        print(f"{'wheel':<34}{'':>14}{options.wheel.stat().st_size / 1e6:>9.2f} MB")


if __name__ == "__main__":
    main()
