"""Run an example of the gallery, warnings being errors, and save the figures that it leaves open.

python tests/run_example.py examples/1_basics/plot_logic_gates.py folder
"""

import runpy
import sys
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

script, folder = map(Path, sys.argv[1:])
sys.path[:0] = [str(script.parent)]  # as Python itself has it for a script
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # said by plt.show()
runpy.run_path(str(script), run_name="__main__")
for number in plt.get_fignums():
    plt.figure(number).savefig(folder / f"figure-{number}.png", dpi=160)
