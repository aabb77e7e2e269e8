"""Colours, style and output path of the pictures that the examples draw."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # the examples write files, so they run without a display

import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

INK, GREY, LINE, PAPER = "#22252b", "#7a808a", "#d9dce1", "#ffffff"
BLUE, ORANGE = "#1f5fa8", "#e07b28"
BLUES = LinearSegmentedColormap.from_list("blues", [PAPER, "#a9c6e8", BLUE, "#12355e"])
DIVERGING = LinearSegmentedColormap.from_list(
    "diverging", ["#8a3f07", ORANGE, "#f7d9bd", "#fbfbfb", "#c2d7ef", BLUE, "#0f3460"]
)

plt.rcParams.update(
    {
        "figure.facecolor": PAPER,
        "savefig.dpi": 160,
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "text.color": INK,
        "axes.edgecolor": LINE,
        "axes.labelcolor": GREY,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": "#eceef1",
        "xtick.color": LINE,
        "ytick.color": LINE,
        "xtick.labelcolor": GREY,
        "ytick.labelcolor": GREY,
        "legend.frameon": False,
    }
)


def headline(fig, title, below):
    """Draw a title at the left edge of the figure, and one grey sentence under it."""
    height = fig.get_figheight()
    fig.text(0.03, 1 - 0.36 / height, title, fontsize=15, weight="bold", va="center")
    fig.text(0.03, 1 - 0.66 / height, below, fontsize=10, color=GREY, va="center")


def save(fig, path, default):
    """Write the picture to `path`, or to examples/output if it is None; print the path."""
    path = Path(path) if path else Path(__file__).parent / "output" / default
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path)
    print(f"picture: {path}")
