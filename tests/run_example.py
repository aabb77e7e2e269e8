"""Run examples of the gallery, warnings being errors, and save the figures that they leave open.

python tests/run_example.py examples/1_basics/plot_logic_gates.py folder [script folder ...]

Each runs in a fork of a process that has imported what most of them need, two at a time. Beside its
figures it leaves what it said and, when it has ended, its exit code.
"""

import os
import runpy
import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

# For the forks; imports take most of the time of an example.
import matplotlib.pyplot as plt
import sklearn.datasets
import sklearn.metrics
import sklearn.model_selection
import sklearn.pipeline
import sklearn.preprocessing  # noqa: F401

import fastbp.ensemble
import fastbp.inspection  # noqa: F401

AT_A_TIME = 2


def run(script, folder):
    """The example, as Python itself runs a script, in its folder."""
    os.chdir(folder)
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv[:] = [str(script)]
    sys.path[:0] = [str(script.parent)]
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # said by plt.show()
    runpy.run_path(str(script), run_name="__main__")
    for number in plt.get_fignums():
        plt.figure(number).savefig(folder / f"figure-{number}.png", dpi=160)


def wait_for_one(running):
    """Note the exit code of the next example that ends."""
    child, status = os.wait()
    folder = running.pop(child)
    (folder / "code.new").write_text(str(os.waitstatus_to_exitcode(status)))
    (folder / "code.new").rename(folder / "code")


def main(scripts, folders):
    running = {}
    for script, folder in zip(scripts, folders, strict=True):
        if len(running) == AT_A_TIME:
            wait_for_one(running)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that BLAS has threads
            child = os.fork()
        if not child:
            return run(script, folder)
        running[child] = folder
    while running:
        wait_for_one(running)


paths = [Path(argument).resolve() for argument in sys.argv[1:]]
main(paths[::2], paths[1::2])
